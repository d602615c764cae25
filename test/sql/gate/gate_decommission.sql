-- What keeps an instance from being decommissioned: promote.blockers(..., action => 'DECOMMISSION') shows what
-- decommission_instance refuses for, gate by gate.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

-- The reasons of promote.blockers, as a refusal has them.
CREATE FUNCTION pg_temp.shown(name text DEFAULT 'ecomm-production-db') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(code || ': ' || message || COALESCE(' (until ' || until || ')', '')
        || COALESCE(' (' || liftable_by || ')', ''), E'\n')
      FROM promote.blockers(name, action => 'DECOMMISSION')
$$;
CREATE FUNCTION pg_temp.codes() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-db', action => 'DECOMMISSION')
$$;
-- The refusal of decommission_instance; NULL: it is queued, which is undone.
CREATE FUNCTION pg_temp.refused(name text DEFAULT 'ecomm-production-db') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
    detail text;
BEGIN
    BEGIN
        PERFORM promote.decommission_instance(name);
        RAISE 'undo' USING ERRCODE = 'ZZ000';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    END;
    RETURN CASE state WHEN 'ZZ000' THEN NULL WHEN 'PM601' THEN detail
           -- review.c refuses before the gates are asked
           ELSE 'plan: ' || message || ': ' || detail || ' (promote.plan_instance and a worker)' END;
END
$$;

SELECT is(pg_temp.refused('ecomm-staging-db'), pg_temp.shown('ecomm-staging-db'), 'nothing has run');
SELECT pg_temp.refuses($$SELECT promote.blockers('ecomm-production-cache', action => 'DECOMMISSION')$$, 'PM005',
    'no revision',
    'what desires nothing');
SELECT pg_temp.refuses($$SELECT promote.blockers('ecomm-nowhere-db', action => 'DECOMMISSION')$$, 'PM002',
    'no environment',
    'what is not there');
SELECT pg_temp.deploy('ecomm-production-db') AS number \gset
SELECT is(pg_temp.refused(), NULL, 'it may be decommissioned');
SELECT is(pg_temp.shown(), NULL, 'and nothing blocks that');

-- What closes each gate that concerns a DECOMMISSION.
CREATE SCHEMA rules;
CREATE FUNCTION rules.no(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS $$ SELECT 'policy', 'never', NULL::timestamptz, NULL::timestamptz, 'nobody', false $$;
CREATE TEMP TABLE closing (code text, does text);
INSERT INTO pg_temp.closing VALUES
    ('plan', $$UPDATE promote.environment SET decommission_protection = true WHERE project = 'ecomm'
        AND environment = 'production'$$),
    ('stopped', $$SELECT promote.stop_line('it burns', 'ecomm')$$),
    ('freeze', $$INSERT INTO promote.freeze_window (name, project, during)
        VALUES ('audit', 'ecomm', '[2020-01-01,2098-01-01)')$$),
    ('window', $$INSERT INTO promote.change_window (name, project, during)
        VALUES ('once', 'ecomm', '[2097-01-01,2098-01-01)')$$),
    ('budget', $$INSERT INTO promote.change_window (name, project, during, max_deployments_per_window)
        VALUES ('few', 'ecomm', '[2020-01-01,2098-01-01)', 1)$$),
    ('policy', $$INSERT INTO promote.policy (policy, function) VALUES ('no', 'rules.no')$$),
    ('approval', $$INSERT INTO promote.approval_rule (project, environment, rule, role)
        VALUES ('ecomm', 'production', 'two', current_user)$$),
    ('request', $$SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["db"]}')$$);
SELECT set_eq($$SELECT code FROM pg_temp.closing UNION VALUES ('rejected'), ('dependency')$$, $$SELECT code
    FROM promote.gates()
    WHERE decommission$$,
    'every gate that concerns a DECOMMISSION is closed here but rejections, which end its proposal, and dependencies, '
    'for which it waits in the queue');
CREATE FUNCTION pg_temp.agrees(closing pg_temp.closing) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    codes text;
    refused text;
    shown text;
BEGIN
    BEGIN
        EXECUTE closing.does;
        codes := pg_temp.codes();
        refused := pg_temp.refused();
        shown := pg_temp.shown();
        RAISE 'undo' USING ERRCODE = 'ZZ001';
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
        NULL;
    END;
    RETURN NEXT is(codes, closing.code, closing.code || ' is shown');
    RETURN NEXT is(refused, shown, closing.code || ': refused for the same, to the letter');
END
$$;
SELECT pg_temp.agrees(c) FROM pg_temp.closing AS c;
-- all but the first, which is refused before the gates are asked
DO $$ DECLARE c record; BEGIN FOR c IN SELECT * FROM pg_temp.closing
    WHERE code NOT IN ('plan', 'budget') LOOP EXECUTE c.does; END LOOP; END $$;
SELECT is(pg_temp.codes(), 'stopped freeze window policy approval request', 'all are shown together');
SELECT is(pg_temp.refused(), pg_temp.shown(), 'and refused together');
SELECT matches(hint, 'blockers\(\.\.\., action => ''DECOMMISSION''\)', 'the hint says where to look')
  FROM pg_temp.refusal($$SELECT promote.decommission_instance('ecomm-production-db')$$);
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-db', at => '2097-06-01',
    action => 'DECOMMISSION')),
    'stopped freeze policy approval request', 'a later time is a forecast');
SELECT promote.resume_line('ecomm') \g /dev/null
DELETE FROM promote.freeze_window WHERE name = 'audit';
SELECT is(promote.next_possible('ecomm-production-db', action => 'DECOMMISSION'), '2097-01-01'::timestamptz,
    'when time alone has opened the gates');

-- ---- the action and the deployment ----
SELECT pg_temp.refuses($$SELECT promote.blockers('ecomm-production-db', action => 'PLAN')$$, 'PM404', 'passes no gates',
    'a PLAN');
SELECT pg_temp.refuses($$SELECT promote.blockers('ecomm-production-db', action => 'drop')$$, 'PM404',
    'PROVISION and DECOMM', 'what is no action');
SELECT pg_temp.refuses($$SELECT promote.blockers('ecomm-production-db', 1, action => 'DECOMMISSION')$$, 'PM404',
    'by deployment 1 of "ecomm-production-db" is a PROVISION', 'of a plan');
SELECT pg_temp.refuses($$SELECT promote.next_possible('ecomm-production-db', 1, action => 'DECOMMISSION')$$, 'PM404',
    'is a PROVISION', 'nor is that asked when');
SELECT (promote.propose_deployment('ecomm-production-db', 'DECOMMISSION')).deployment AS away \gset
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-db', :away, action => 'DECOMMISSION')),
    pg_temp.codes(),
    'of a proposal to decommission it is what it is');
SELECT results_eq($$SELECT * FROM promote.blockers('ecomm-production-db', action => 'PROVISION')$$,
    $$SELECT * FROM promote.blockers('ecomm-production-db')$$, 'without an action it is about a PROVISION');
DELETE FROM promote.approval_rule;
DELETE FROM promote.policy;
DELETE FROM promote.change_window;
SELECT promote.cancel_request('ecomm', 1, 'over') \g /dev/null
SELECT is((promote.decommission_instance('ecomm-production-db')).status, 'PENDING',
    'and without all that it is decommissioned');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.shown(), NULL, 'what is gone already is returned, and nothing blocks that');
SELECT * FROM finish();
ROLLBACK;
