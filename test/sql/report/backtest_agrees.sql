-- What gate_backtest says afterwards of deployments is what the gates said before each, with these settings switched on
-- for a moment: over histories by chance.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
UPDATE promote.environment SET require_plan = false, require_expected = false, require_no_drift = false
 WHERE project = 'ecomm';
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
VALUES ('ecomm', 'prod-uswest', 'production');
CREATE ROLE test_ops;
DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY '{test_ada,test_bob,test_cid}'::text[] LOOP
        EXECUTE format('CREATE ROLE %I LOGIN IN ROLE test_ops', r);
        INSERT INTO promote.grants (role, action, project)
        SELECT r, a, 'ecomm' FROM unnest('{view,configure,promote,plan,approve,deploy}'::text[]) AS a;
    END LOOP;
END
$$;
SET LOCAL client_min_messages = error;
-- votes are asked for in production, and nobody has to give one: the gate is overridden as soon as there is one rule
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum) VALUES ('ecomm', 'production', 'two',
    'test_ops', 1);

-- What is supposed: the settings, how they are switched on for a moment, and the gate that says something then.
CREATE TEMP TABLE supposed (settings jsonb, statement text, code text);
INSERT INTO supposed VALUES
    ('{"required_soak": "1 hour"}', 'UPDATE promote.environment SET required_soak = ''1 hour''', 'soak'),
    ('{"required_soak": "1 microsecond"}', 'UPDATE promote.environment SET required_soak = ''1 microsecond''', 'soak'),
    ('{"require_proven_release": true}', 'UPDATE promote.environment SET require_proven_release = true',
     'release_unproven'),
    ('{"source_policy": "path"}', 'UPDATE promote.environment SET source_policy = ''path''', 'path'),
    ('{"require_artifact_digest": true}', 'UPDATE promote.environment SET require_artifact_digest = true', 'artifact'),
    ('{"require_plan": true}', 'UPDATE promote.environment SET require_plan = true', 'plan'),
    ('{"require_no_reverts": true}', 'UPDATE promote.environment SET require_no_reverts = true', 'reverts'),
    ('{"approvals": {"quorum": 2}}', 'UPDATE promote.approval_rule SET quorum = 2', 'approval'),
    ('{"approvals": {"requester_counts": false}}', 'UPDATE promote.approval_rule SET requester_counts = false',
     'approval'),
    ('{"approvals": {"quorum": 2, "rule": "two", "requester_counts": false}}',
     'UPDATE promote.approval_rule SET quorum = 2, requester_counts = false', 'approval');
CREATE TEMP TABLE foreseen (deployment integer, settings jsonb, said text);

-- What a gate says, for a moment in which a statement has taken effect.
CREATE FUNCTION pg_temp.for_a_moment(statement text, asked text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    EXECUTE statement || ' WHERE project = ''ecomm'' AND environment = ''production''';
    SELECT string_agg(CASE WHEN b.code IN ('plan', 'approval') THEN b.code ELSE b.message END, '; ' ORDER BY b.message)
      INTO said FROM promote.blockers('ecomm-production-db', at => clock_timestamp()) AS b WHERE b.code = asked;
    RAISE EXCEPTION USING ERRCODE = 'XX999', MESSAGE = coalesce(said, '');
EXCEPTION WHEN SQLSTATE 'XX999' THEN
    RETURN SQLERRM;
END
$$;
CREATE FUNCTION pg_temp.as_one_of_them(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('role', ('{test_ada,test_bob,test_cid}'::text[])[1 + floor(random() * 3)::integer], true);
    EXECUTE statement;
    PERFORM set_config('role', 'none', true);
EXCEPTION WHEN OTHERS THEN
    -- a second vote, or a promotion of nothing
    IF SQLSTATE !~ '^PM' THEN
        RAISE;
    END IF;
END
$$;
CREATE FUNCTION pg_temp.other_replicas(environment text) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT promote.configure_instance(%L, %L)', 'ecomm-' || $1 || '-db',
                  jsonb_build_object('replicas', floor(random() * 9)))
$$;
CREATE FUNCTION pg_temp.live(steps integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s record;
    number integer;
    of_plan boolean;
BEGIN
    FOR i IN 1 .. steps LOOP
        IF random() < 0.6 THEN
            PERFORM pg_temp.as_one_of_them(pg_temp.other_replicas('staging'));
        END IF;
        IF random() < 0.3 THEN
            INSERT INTO promote.bundle_release (bundle, version, params_schema, artifact_digest)
            SELECT 'postgres', '1.3.' || i, f.params_schema,
                   CASE WHEN random() < 0.5 THEN 'sha256:' || repeat('0', 64) END
              FROM promote.bundle_release AS f WHERE f.bundle = 'postgres' AND f.version = '1.0.0';
        END IF;
        IF random() < 0.5 THEN
            PERFORM pg_temp.deploy('ecomm-staging-db', true);
        END IF;
        IF random() < 0.3 THEN
            PERFORM promote.report_health('ecomm-staging-db', 'smoke', random() < 0.7);
        END IF;
        IF random() < 0.7 THEN
            PERFORM pg_temp.as_one_of_them(
                $p$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$p$);
        ELSE
            PERFORM pg_temp.as_one_of_them(pg_temp.other_replicas('production'));
        END IF;
        PERFORM pg_temp.as_one_of_them($p$SELECT promote.plan_instance('ecomm-production-db')$p$);
        PERFORM pg_temp.work('ecomm-production-db');
        FOR vote IN 1 .. 1 + floor(random() * 3)::integer LOOP
            PERFORM pg_temp.as_one_of_them($p$SELECT promote.approve_deployment('ecomm-production-db',
                (SELECT max(deployment) FROM promote.deployment WHERE environment = 'production' AND component = 'db'
                                                              AND project = 'ecomm'))$p$);
        END LOOP;
        CONTINUE WHEN EXISTS (SELECT FROM promote.blockers('ecomm-production-db'));
        CREATE TEMP TABLE now_said AS SELECT v.settings, pg_temp.for_a_moment(v.statement, v.code) AS said
            FROM supposed AS v;
        BEGIN
            number := (promote.deploy_instance('ecomm-production-db')).deployment;
            INSERT INTO foreseen SELECT number, n.settings, n.said FROM now_said AS n
             WHERE NOT EXISTS (SELECT FROM foreseen AS f WHERE f.deployment = number);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
        DROP TABLE now_said;
        PERFORM pg_temp.work('ecomm-production-db');
    END LOOP;
END
$$;
SELECT setseed(0.4);
SELECT pg_temp.live(40) \g /dev/null
SELECT cmp_ok((SELECT count(DISTINCT deployment)::integer FROM foreseen), '>', 15, 'enough was deployed');
SELECT is(pg_temp.lines($$
    SELECT f.settings, f.deployment, f.said, '/', g.said
      FROM foreseen AS f
     CROSS JOIN LATERAL (
          SELECT coalesce(string_agg(CASE WHEN g.code IN ('plan', 'approval') THEN g.code ELSE g.message END, '; '
                                     ORDER BY g.message) FILTER (WHERE g.verdict = 'blocked'), '') AS said,
                 coalesce(bool_or(g.verdict = 'undecided'), false) AS undecided
            FROM promote.gate_backtest('ecomm', 'production', f.settings) AS g
           WHERE g.deployment = f.deployment AND g.component = 'db') AS g
     WHERE NOT g.undecided AND f.said <> g.said ORDER BY 1, 2$$), NULL, 'what is said afterwards was said before');
SELECT is((SELECT string_agg(s.settings::text, ' ' ORDER BY 1) FROM supposed AS s
    WHERE s.settings NOT IN (SELECT f.settings FROM foreseen AS f WHERE f.said <> '')), '{"require_plan": true}',
    'each but that of plans, which all had, has stopped something');
SELECT is((SELECT string_agg(s.settings::text, ' ' ORDER BY 1) FROM supposed AS s
    WHERE s.settings NOT IN (SELECT f.settings FROM foreseen AS f WHERE f.said = '')), NULL,
    '... and let something through');
SELECT is((SELECT string_agg(DISTINCT g.message, '; ') FROM supposed AS s
    CROSS JOIN LATERAL promote.gate_backtest('ecomm', 'production', s.settings) AS g
    WHERE g.verdict = 'undecided'), NULL, 'all of it is told by history');

-- ---- selectors, where attributes are as they were ----
UPDATE promote.environment SET attributes = '{"tier": "gold"}' WHERE project = 'ecomm' AND environment = 'production';
DELETE FROM promote.approval_rule;
SELECT promote.configure_instance('ecomm-production-cache', '{}'),
       promote.deploy_instance('ecomm-production-cache') \g /dev/null
DO $$
DECLARE
    c record;
BEGIN
    LOOP
        SELECT * INTO c FROM promote.claim_deployment('test');
        EXIT WHEN NOT FOUND;
        PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing);
    END LOOP;
END
$$;
CREATE SCHEMA rules;
CREATE FUNCTION rules.never(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS $$ SELECT 'never', 'no', NULL::timestamptz, NULL::timestamptz, NULL, true $$;
INSERT INTO promote.policy (policy, function, project, selector)
SELECT tier, 'rules.never', 'ecomm', jsonb_build_object('tier', tier) FROM unnest('{gold,silver}'::text[]) AS tier;
SELECT is(pg_temp.lines(format('SELECT p.verdict FROM promote.policy_backtest(%L) AS p WHERE p.component = ''cache''',
    tier)), expected, 'policy for ' || tier)
  FROM (VALUES ('gold', '(blocked)'), ('silver', NULL)) AS v (tier, expected);
SELECT is(pg_temp.lines(format('SELECT g.verdict FROM promote.gate_backtest(''ecomm'', ''production'', %L) AS g '
    'WHERE g.component = ''cache''', jsonb_build_object('freeze', jsonb_build_object('during',
    '[2020-01-01, 2099-01-01)', 'selector', jsonb_build_object('tier', tier))))), expected, 'freeze for ' || tier)
  FROM (VALUES ('gold', '(blocked)'), ('silver', '(passed)')) AS v (tier, expected);

SELECT * FROM finish();
ROLLBACK;
