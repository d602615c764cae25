-- Gates as a whole: their table, what deploys asks them, and overriding them.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql
SET LOCAL promote.actor = 'ada';
CREATE ROLE test_duty;
CREATE ROLE test_ivy LOGIN IN ROLE test_duty;
CREATE ROLE test_joe LOGIN;
INSERT INTO promote.grants (role, action, project) SELECT r, a, 'ecomm' FROM unnest('{test_ivy,test_joe}'::text[]) AS r,
    unnest('{override,deploy}'::text[]) AS a;

-- What a statement comes to, as a role: a value, or the refusal's code, message and detail.
CREATE FUNCTION pg_temp.as_role(name text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    detail text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', name);
    PERFORM set_config('promote.actor', name, true);
    BEGIN
        EXECUTE statement INTO result;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        result := SQLSTATE || ': ' || SQLERRM || ': ' || detail;
    END;
    RESET ROLE;
    PERFORM set_config('promote.actor', 'ada', true);
    RETURN result;
END
$$;
CREATE FUNCTION pg_temp.codes(deployment integer DEFAULT NULL, at timestamptz DEFAULT now()) RETURNS text
    LANGUAGE sql AS $$
    SELECT string_agg(b.code || CASE WHEN b.overridable THEN '!' ELSE '' END, ' ')
        FROM promote.blockers('ecomm-production-db', deployment, at) AS b
$$;

-- ---- the table ----
SELECT is((SELECT string_agg(code, ' ' ORDER BY gate) FROM promote.gates()),
    'path component params release artifact secrets references plan stopped freeze window soak budget source_in_sync '
        'release_unproven reverts drift '
         'health structure destructive unexpected policy approval rejected request dependency',
    'the gates in their order');
SELECT is((SELECT string_agg(DISTINCT kind, ' ') FROM promote.gates()), 'lock people state static time',
    'of five kinds');
SELECT is((SELECT string_agg(kind, ' ') FROM (SELECT kind, min(gate) AS first FROM promote.gates() GROUP BY kind
    ORDER BY first) AS k), 'static time state people lock', '... one behind the other');

-- ---- who is asked ----
SELECT pg_temp.refuses($$SELECT * FROM promote.blockers('ecomm-nowhere-db')$$, 'PM002', 'has no environment',
    'an instance that is not there');
SELECT pg_temp.refuses($$SELECT * FROM promote.blockers('ecomm-production-db', 99)$$, 'PM002', 'numbered from 1',
    'a deployment that is not there');
SELECT pg_temp.refuses($$SELECT * FROM promote.blockers('ecomm-prod-uswest-db')$$, 'PM005', 'no revision',
    'an instance that desires nothing');
SELECT pg_temp.refuses($$SELECT * FROM promote.blockers('ecomm-production-db', at => 'infinity')$$, 'PM404', 'infinite',
    'the end of time');
SELECT pg_temp.refuses($$SELECT * FROM promote.blockers(NULL)$$, 'PM001', '', 'no instance');
SELECT is(pg_temp.codes(), 'plan', 'what was never planned');
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db')),
    'revision 1 of "ecomm-production-db" has no completed plan: Its last plan, deployment 1, is PENDING.',
    '... says so');
SELECT is(pg_temp.work('ecomm-production-db'), 1, 'planned');
SELECT is(pg_temp.codes(), NULL, 'nothing blocks');
SELECT is(pg_temp.codes(1), NULL, '... nor by its number');
UPDATE promote.parameter_set SET parameters = '{}' WHERE environment = 'production';
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "basic"}') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.codes(1), 'plan', 'a plan of another revision');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.codes(), NULL, 'what was carried out does not block itself');
SELECT is((SELECT string_agg(b.message, '') FROM promote.deployment AS d, promote.blockers('ecomm-production-db',
    d.deployment) AS b WHERE d.environment = 'production' AND d.action = 'PROVISION'),
    (SELECT format('deployment %s of "ecomm-production-db" is COMPLETED: What runs or is over passes no gates any '
        'more.', deployed_by) FROM promote.instance WHERE name = 'ecomm-production-db'), 'what is over');

-- ---- params that are not valid any more, and several reasons at once ----
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "gold"}') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
INSERT INTO promote.freeze_window (name, project, environment, during, reason)
    VALUES ('audit', 'ecomm', 'production', tstzrange(now() - interval '1 h', now() + interval '1 day'),
    'the auditors are there');
SELECT promote.stop_line('something burns', 'ecomm') \g /dev/null
SELECT is(pg_temp.codes(), 'stopped freeze', 'all reasons at once, in their order');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-db')$$, 'PM601',
    '^stopped: .*something burns.*\nfreeze: freeze "audit" is on: the auditors are there \(until ',
    'deploying is refused with the same');
SELECT pg_temp.refuses($$SELECT promote.decommission_instance('ecomm-production-db')$$, 'PM601', '^stopped: ',
    'and decommissioning');
SELECT (promote.propose_deployment('ecomm-production-db')).deployment AS proposal \gset
SELECT pg_temp.refuses(format($$SELECT promote.approve_deployment('ecomm-production-db', %s)$$, :proposal), 'PM601',
    '^stopped: ', 'and approving');
SELECT pg_temp.refuses(format($$UPDATE promote.deployment SET status = 'APPROVED' WHERE environment = 'production'
    AND deployment = %s$$, :proposal), 'PM601', '^stopped: ', '... also by hand');
SELECT is(promote.next_possible('ecomm-production-db'), NULL, 'nobody knows until when');
SELECT promote.resume_line('ecomm') \g /dev/null
SELECT is(pg_temp.codes(), 'freeze', 'the line goes on');
SELECT is(pg_temp.codes(:proposal), 'freeze', 'of a proposal as well');
SELECT is(pg_temp.codes(at => now() + interval '2 days'), NULL, 'a forecast');
SELECT is(promote.next_possible('ecomm-production-db'), now() + interval '1 day', 'and when');

-- ---- overriding: for gates marked so, by those granted it ----
SELECT deployment AS plan FROM promote.deployment WHERE environment = 'production' AND action = 'PLAN'
    ORDER BY deployment DESC LIMIT 1 \gset
SELECT pg_temp.refuses(format($$SELECT promote.override_gate('ecomm-production-db', %s, 'freeze', 'it burns')$$, :plan),
    'PM604', 'No override_rule of its environment allows it', 'a gate that is not marked');
SELECT pg_temp.refuses($$INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'plan', 'test_duty')$$, 'PM604', 'would not be what was reviewed',
    'a gate that is never overridden');
INSERT INTO promote.override_rule (project, environment, code, role) VALUES ('other', NULL, 'freeze', 'test_duty'),
    (NULL, 'staging', 'freeze', 'test_duty');
SELECT is(pg_temp.codes(), 'freeze', 'marked elsewhere');
SAVEPOINT unmarked;
INSERT INTO promote.override_rule (project, code, role) VALUES ('ecomm', 'freeze', 'test_duty');
SELECT is(pg_temp.codes(), 'freeze!', 'marked for the project');
ROLLBACK TO unmarked;
INSERT INTO promote.override_rule (code, role) VALUES ('freeze', 'test_duty');
SELECT is(pg_temp.codes(), 'freeze!', 'marked everywhere');
ROLLBACK TO unmarked;
INSERT INTO promote.override_rule (environment, code, role) VALUES ('production', 'freeze', 'test_duty');
SELECT is(pg_temp.codes(), 'freeze!', 'marked for all environments of a name');
ROLLBACK TO unmarked;
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'freeze', 'test_duty');
SELECT is(pg_temp.codes(), 'freeze!', 'marked');
SELECT is(pg_temp.codes(at => now() + interval '1 h'), 'freeze!', '... in a forecast, too');
SELECT is(pg_temp.as_role('test_joe',
    format($$SELECT (promote.override_gate('ecomm-production-db', %s, 'freeze', 'it burns')).code$$, :plan)),
    'PM604: gate "freeze" of "ecomm-production-db" cannot be overridden: Role "test_joe" is no member of a role that '
        'may.', 'by somebody else');
SELECT pg_temp.refuses(format($$SELECT promote.override_gate('ecomm-production-db', %s, 'freeze', 'it burns')$$, :plan),
    'PM604', 'no member', 'being a superuser is no membership');
SELECT pg_temp.refuses(format($$SELECT promote.override_gate('ecomm-production-db', %s, 'window', 'it burns')$$, :plan),
    'PM604', 'It does not block', 'what does not block');
SELECT pg_temp.refuses(format($$SELECT promote.override_gate('ecomm-production-db', %s, 'freeze', NULL)$$, :plan),
    'PM404', '', 'without a reason');
SELECT pg_temp.refuses(format($$SELECT promote.override_gate('ecomm-production-db', %s, 'freeze', '')$$, :plan),
    'PM404', '', 'with an empty one');
SELECT is(pg_temp.as_role('test_ivy',
    format($$SELECT (promote.override_gate('ecomm-production-db', %s, 'freeze', 'it burns')).override$$, :plan)), '1',
    'by a member, for a reason');
SELECT is(pg_temp.as_role('test_ivy',
    format($$SELECT (promote.override_gate('ecomm-production-db', %s, 'freeze', 'it burns')).override$$, :plan)), '1',
    'again: it is there already');
SELECT is(pg_temp.codes(), NULL, 'nothing blocks');
SELECT is(pg_temp.codes(:proposal), NULL, '... nor what follows that plan');

-- ---- it covers what was seen, for that plan's digest, by who still may ----
INSERT INTO promote.freeze_window (name, project, during)
    VALUES ('incident', 'ecomm', tstzrange(now(), now() + interval '1 h'));
SELECT is(pg_temp.codes(), 'freeze!', 'a freeze that came later blocks');
SELECT is(pg_temp.as_role('test_ivy',
    format($$SELECT (promote.override_gate('ecomm-production-db', %s, 'freeze', 'still')).override$$, :plan)), '2',
    'it is overridden by itself');
SELECT is(pg_temp.codes(), NULL, '... and both hold');
DELETE FROM promote.freeze_window WHERE name = 'incident';
REVOKE test_duty FROM test_ivy;
SELECT is(pg_temp.codes(), 'freeze!', 'who may not override any more has not');
GRANT test_duty TO test_ivy;
SAVEPOINT grouped;
CREATE ROLE test_group IN ROLE test_duty ROLE test_ivy;
INSERT INTO promote.freeze_window (name, project, during)
    VALUES ('fire', 'ecomm', tstzrange(now(), now() + interval '1 h'));
INSERT INTO promote.grants (role, action, project) VALUES ('test_group', 'override', 'ecomm');
SET LOCAL SESSION AUTHORIZATION test_ivy;
SET LOCAL ROLE test_group;
SET LOCAL promote.actor = '';
SELECT promote.override_gate('ecomm-production-db', :plan, 'freeze', 'as one of us') \g /dev/null
RESET SESSION AUTHORIZATION;
RESET ROLE;
SET LOCAL promote.actor = 'ada';
SELECT is((SELECT actor || ' ' || database_role FROM promote.gate_override WHERE reason = 'as one of us'),
    'test_ivy test_group', 'by SET ROLE to a group');
SELECT is(pg_temp.codes(), NULL, '... it counts');
REVOKE test_group FROM test_ivy;
SELECT is(pg_temp.codes(), 'freeze!', '... as long as its author may act as that');
ROLLBACK TO grouped;
SELECT pg_temp.planned('ecomm-production-db', '[["aws_db_instance.a", ["update"], {"a": 1}, {"a": 2}]]') \g /dev/null
SELECT is(pg_temp.codes(), 'freeze!', 'a plan that comes to something else is not covered');
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is(pg_temp.codes(), NULL, 'one with the same digest is');
DELETE FROM promote.override_rule;
SELECT is(pg_temp.codes(), 'freeze', 'nor is anything, without a rule');
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'freeze', 'test_duty');

-- ---- shown in every report ----
SELECT (promote.deploy_instance('ecomm-production-db')).deployment AS done \gset
SELECT is((SELECT gates -> 'overridden' FROM promote.deployment WHERE environment = 'production'
    AND deployment = :done),
    format('[{"code": "freeze", "subject": "audit since %s, made at %s", "message": "freeze \"audit\" is on: the '
        'auditors are there", "deployment": %s, "override": 1}]',
        to_char((now() - interval '1 h') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        (SELECT to_char(f.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            FROM promote.freeze_window AS f WHERE f.name = 'audit'), :plan)::jsonb, 'the deployment keeps it');
SELECT is((SELECT gates -> 'gates' FROM promote.deployment WHERE environment = 'production' AND deployment = :done),
    (SELECT jsonb_agg(code ORDER BY gate) FROM promote.gates()), '... with the gates it passed');
SELECT is((SELECT data -> 'gates' -> 'overridden' -> 0 ->> 'code' FROM promote.audit_log
    WHERE subject = 'ecomm-production-db' AND event = 'gates.judged' AND (data ->> 'deployment')::integer = :done),
    'freeze', 'and the audit log');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event = 'gate.overridden' AND actor = 'test_ivy'), 2::bigint,
    'each override is there by itself');
SELECT matches(promote.plan_text('ecomm-production-db', :plan),
    'Overridden by test_ivy, gate freeze \(freeze "audit" is on: the auditors are there\): it burns',
    'the plan''s text shows it');
SELECT is(pg_temp.lines(format($$SELECT override, actor, reason, deployed = ARRAY[%s] AS used, reviewed_at
    FROM promote.gate_override AS g JOIN promote.override_status AS o USING (deployment, code, reason, actor)
    ORDER BY 1$$, :done)),
    E'(1,test_ivy,"it burns",t,)\n(2,test_ivy,still,,)', 'and the list of overrides, none reviewed yet');

-- ---- reviewed by somebody else ----
SELECT is(pg_temp.as_role('test_ivy', format($$SELECT promote.review_override('ecomm-production-db', %s, 'freeze')$$,
    :plan)), '0', 'one''s own is not reviewed');
SELECT is(pg_temp.as_role('test_joe',
    format($$SELECT promote.review_override('ecomm-production-db', %s, 'freeze', 'agreed')$$, :plan)), '2',
    'by somebody else');
SELECT is(pg_temp.as_role('test_joe',
    format($$SELECT promote.review_override('ecomm-production-db', %s, 'freeze', 'agreed')$$, :plan)), '0',
    'again: nothing is left');
SELECT is_empty('SELECT * FROM promote.override_status WHERE reviewed_at IS NULL', 'nothing is left to review');
SELECT is((SELECT string_agg(DISTINCT reviewed_by || ' ' || review, '') FROM promote.override_status),
    'test_joe agreed', 'it says who and what');
SELECT pg_temp.refuses(format($$SELECT promote.review_override('ecomm-production-db', %s, 'drift')$$, :plan), 'PM604',
    'does not block', 'what was not overridden');
SELECT is((pg_temp.refusal('UPDATE promote.gate_override SET reason = NULL')).state, 'PM301', 'overrides are history');
SELECT is((pg_temp.refusal('DELETE FROM promote.override_review')).state, 'PM301', '... and reviews');

-- ---- a promotion's history ----
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'production', 'unexpected', 'test_duty');
DELETE FROM promote.freeze_window;
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT is((SELECT overridden FROM promote.promotion_history), NULL, 'nothing overridden');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
INSERT INTO promote.freeze_window (name, during) VALUES ('all', tstzrange(now(), now() + interval '1 year'));
SELECT is(pg_temp.codes(), 'freeze!', 'a freeze of all projects');
SELECT deployment AS plan FROM promote.deployment WHERE environment = 'production' AND action = 'PLAN'
    ORDER BY deployment DESC LIMIT 1 \gset
SELECT pg_temp.as_role('test_ivy',
    format($$SELECT (promote.override_gate('ecomm-production-db', %s, 'freeze', 'now')).code$$, :plan)) \g /dev/null
SELECT is((SELECT overridden FROM promote.promotion_history), ARRAY['freeze'], 'the history of promotions shows it');

-- ---- what waits is not begun in a freeze ----
SELECT (promote.deploy_instance('ecomm-production-db')).status \g /dev/null
SELECT is(pg_temp.work('ecomm-production-db'), 1, 'overridden for that one: it is begun');
UPDATE promote.environment SET require_plan = false WHERE environment = 'production';
DELETE FROM promote.freeze_window;
SELECT promote.configure_instance('ecomm-production-db', '{"tier": "silver"}', plan => false) \g /dev/null
SELECT (promote.deploy_instance('ecomm-production-db')).deployment AS waits \gset
INSERT INTO promote.freeze_window (name, project, during)
    VALUES ('late', 'ecomm', tstzrange(now(), now() + interval '1 h'));
SELECT is(pg_temp.work('ecomm-production-db'), 0, 'queued before the freeze, it waits for its end');
SELECT is((SELECT status = 'PENDING' AND due_at > clock_timestamp() AND due_at <= clock_timestamp() + interval '30 s'
    FROM promote.deployment WHERE environment = 'production' AND deployment = :waits), true,
    '... looked at again before long: freezes can be lifted');
SELECT is(pg_temp.codes(:waits), 'freeze!', 'and it says so');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
