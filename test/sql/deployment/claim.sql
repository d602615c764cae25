-- Claiming up to as many as the worker asks for: in order, one of each instance, each with its own fencing number, and
-- nothing that the same worker would not get one by one.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'robot';
-- What is due goes on in the order of the components, which are told by their last letter.
CREATE FUNCTION pg_temp.claims(args text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT instance, deployment, action, fencing FROM promote.claim_deployment(' || args || ')')
$$;
CREATE FUNCTION pg_temp.names(args text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    names text;
BEGIN
    EXECUTE 'SELECT string_agg(instance, '' '') FROM promote.claim_deployment(' || args || ')' INTO names;
    RETURN names;
END
$$;
CREATE FUNCTION pg_temp.plan(names text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY string_to_array(names, ' ') LOOP
        PERFORM promote.plan_instance('shop-' || name);
    END LOOP;
END
$$;
CREATE FUNCTION pg_temp.running() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM promote.deployment WHERE status = 'RUNNING' AND project = 'shop'
$$;
CREATE FUNCTION pg_temp.expire() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE promote.deployment DISABLE TRIGGER guard_deployment;
    UPDATE promote.deployment SET due_at = clock_timestamp() - interval '1 second' WHERE status = 'RUNNING';
    ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;
END
$$;
-- Gives back and aborts whatever waits or runs.
CREATE FUNCTION pg_temp.clear() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    FOR d IN SELECT * FROM promote.deployment WHERE status IN ('PENDING', 'APPROVED', 'RUNNING', 'PROPOSED') LOOP
        IF d.status = 'PROPOSED' THEN
            PERFORM promote.reject_deployment(concat_ws('-', d.project, d.environment, d.component), d.deployment,
                'no');
        ELSE
            PERFORM promote.abort_deployment(concat_ws('-', d.project, d.environment, d.component), d.deployment, 'no');
        END IF;
    END LOOP;
END
$$;
SELECT pg_temp.clear();

-- ---- how many ----
SELECT pg_temp.plan('staging-s2 staging-s1 staging-s3 production-s1');
SELECT is(pg_temp.names($$'w', max => 3$$), 'shop-staging-s2 shop-staging-s1 shop-staging-s3',
    'as many as are asked for, what has been due longest first');
SELECT is(pg_temp.lines($$SELECT DISTINCT status, worker, fencing, seen_change IS NOT NULL FROM promote.deployment
    WHERE status = 'RUNNING'$$), '(RUNNING,w,1,t)', 'each is claimed as if by itself');
SELECT is(pg_temp.names($$'w', max => 3$$), 'shop-production-s1', 'fewer where there are fewer');
SELECT is(pg_temp.names($$'w', max => 3$$), NULL, 'and none where there is none');
SELECT is(pg_temp.lines($$SELECT count(*), count(DISTINCT subject), min(data ->> 'fencing') FROM promote.audit_log
    WHERE event = 'deployment.started' AND data ->> 'worker' = 'w'$$), '(4,4,1)',
        'the log has each in the chain of its instance');
SELECT pg_temp.clear();
SELECT pg_temp.plan('staging-s1 staging-s2');
SELECT is(pg_temp.names($$'w'$$), 'shop-staging-s1', 'one where nothing is said');
SELECT is(pg_temp.names($$'w', max => NULL$$), 'shop-staging-s2', 'or NULL');
SELECT pg_temp.refuses(format('SELECT promote.claim_deployment(%L, max => %s)', 'w', n), 'PM404', d, 'not ' || n)
  FROM (VALUES (0, 'from 1 to 10000'), (-1, 'from 1 to 10000'), (10001, 'from 1 to 10000')) AS v(n, d);

-- ---- one of an instance at a time ----
SELECT pg_temp.clear();
SELECT pg_temp.plan('staging-s1');
SELECT promote.propose_deployment('shop-staging-s1', 'PLAN') \g /dev/null
SELECT promote.approve_deployment('shop-staging-s1', i.deployment) FROM promote.instance AS i
    WHERE name = 'shop-staging-s1' \g /dev/null
SELECT is(pg_temp.names($$'w', max => 10$$), 'shop-staging-s1', 'of two that wait of one instance the first');
SELECT is(pg_temp.running(), 1::bigint, 'alone');
SELECT is(pg_temp.names($$'w', max => 10$$), NULL, 'until it is done');

-- ---- what the worker may not take ----
SELECT pg_temp.clear();
SELECT pg_temp.plan('staging-s1 staging-s2 staging-s3 staging-s4 production-s1 production-s2');
SELECT is(pg_temp.names($$'w', max => 10, selector => '{"tenant": "acme"}'$$),
    'shop-staging-s1 shop-staging-s2 shop-production-s1 shop-production-s2', 'what the selector names');
SELECT is(pg_temp.names($$'w', ARRAY['PROVISION'], max => 10$$), NULL, 'of these actions');
CREATE ROLE claim_robot;
GRANT USAGE ON SCHEMA promote TO claim_robot;
GRANT EXECUTE ON FUNCTION promote.claim_deployment(text, text[], interval, jsonb, integer) TO claim_robot;
SELECT promote.grant_action('claim_robot', 'work', 'shop', 'production');
SELECT pg_temp.plan('production-s3');
SET LOCAL promote.actor = '';
SET LOCAL ROLE claim_robot;
SELECT array_agg(instance ORDER BY instance) AS given FROM promote.claim_deployment('w', max => 10) \gset
RESET ROLE;
SET LOCAL promote.actor = 'robot';
SELECT is(:'given'::text, '{shop-production-s3}', 'what the grant reaches, though more is due');

-- ---- what must not begin is put aside, and the others are claimed ----
SELECT pg_temp.clear();
SELECT pg_temp.plan('staging-s1 staging-s2 staging-s3');
SELECT count(*) FROM promote.claim_deployment('lost', max => 2) \g /dev/null
SELECT pg_temp.expire();
SELECT is(pg_temp.claims($$'w', max => 10$$),
    E'(shop-staging-s3,' || (SELECT deployment FROM promote.instance WHERE name = 'shop-staging-s3') || E',PLAN,1)\n'
    '(shop-staging-s1,' || (SELECT deployment FROM promote.instance WHERE name = 'shop-staging-s1') || E',PLAN,2)\n'
    '(shop-staging-s2,' || (SELECT deployment FROM promote.instance WHERE name = 'shop-staging-s2') || E',PLAN,2)',
    'claims that were lost are taken back, and claimed again by the same call');
SELECT is(pg_temp.lines($$SELECT lost_leases, fencing, worker FROM promote.deployment WHERE status = 'RUNNING'
    AND fencing = 2$$),
    E'(1,2,w)\n(1,2,w)', 'which the row says');

SELECT pg_temp.clear();
SELECT pg_temp.plan('staging-s1 staging-s2 staging-s3');
SELECT pg_temp.work_all();
SELECT promote.deploy_instance('shop-staging-s' || n) FROM generate_series(1, 3) AS n \g /dev/null
INSERT INTO promote.freeze_window (project, component, name, during, reason)
VALUES ('shop', 's1', 'quiet', '[2000-01-01,2100-01-01)', 'hush');
SELECT is(pg_temp.names($$'w', max => 10$$), 'shop-staging-s2 shop-staging-s3',
    'what a freeze holds back stays behind');
SELECT is(pg_temp.lines($$SELECT status, due_at BETWEEN clock_timestamp() + interval '10 s'
    AND clock_timestamp() + interval '31 s'
    FROM promote.deployment WHERE component = 's1' AND status = 'PENDING'$$), '(PENDING,t)',
        'and is looked at again in a while');
DELETE FROM promote.freeze_window;

SELECT pg_temp.clear();
SELECT promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', 50 + n))
    FROM generate_series(1, 3) AS n \g /dev/null
SELECT pg_temp.work_all();
SELECT promote.deploy_instance('shop-staging-s' || n) FROM generate_series(1, 3) AS n \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('service', '0.9.0', '{}');
SELECT promote.block_release('service', '1.0.0', 'bad');
SELECT is(pg_temp.names($$'w', max => 10$$), NULL, 'what became outdated is not claimed');
SELECT is(pg_temp.lines($$SELECT DISTINCT status, reason FROM promote.deployment
    WHERE (project, environment, component, deployment) IN (SELECT project, environment, component, deployment
        FROM promote.instance WHERE name IN ('shop-staging-s1', 'shop-staging-s2', 'shop-staging-s3'))$$),
    '(ABORTED,"release 1.0.0 is blocked: bad")', 'but aborted, all of it');

-- A plan that starts from something else than when it was queued is made anew, others beside it are not.
SELECT promote.unblock_release('service', '1.0.0', 'good');
SELECT pg_temp.clear();
SELECT promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', 60 + n))
    FROM generate_series(1, 2) AS n \g /dev/null
SELECT pg_temp.work_all();
SELECT promote.configure_instance('shop-staging-s2', '{"size": 70}') \g /dev/null
SELECT pg_temp.clear();
SELECT promote.deploy_instance('shop-staging-s1') \g /dev/null
SELECT promote.plan_instance('shop-staging-s1') \g /dev/null
SELECT promote.plan_instance('shop-staging-s2') \g /dev/null
SELECT pg_temp.lines($$SELECT d.base_deployment IS NOT DISTINCT FROM i.deployed_by FROM promote.deployment AS d
    JOIN promote.instance AS i USING (project, environment, component)
    WHERE d.status = 'PENDING' AND d.action = 'PLAN' ORDER BY d.component$$) AS before \gset
SELECT instance, deployment, fencing FROM promote.claim_deployment('w', ARRAY['PROVISION']) \gset
SELECT status FROM promote.complete_deployment(:'instance', :deployment, :fencing) \g /dev/null
SELECT is(pg_temp.lines($$SELECT d.base_deployment IS NOT DISTINCT FROM i.deployed_by FROM promote.deployment AS d
    JOIN promote.instance AS i USING (project, environment, component)
    WHERE d.status = 'PENDING' AND d.action = 'PLAN' ORDER BY d.component$$), E'(f)\n(t)', 'one plan strays');
SELECT is(pg_temp.names($$'w', max => 10$$), 'shop-staging-s2 shop-staging-s1', 'both are claimed');
SELECT is(pg_temp.lines($$SELECT d.base_deployment IS NOT DISTINCT FROM i.deployed_by FROM promote.deployment AS d
    JOIN promote.instance AS i USING (project, environment, component)
    WHERE d.status = 'RUNNING' ORDER BY d.component$$), E'(t)\n(t)', 'and start from what runs');
SELECT is(pg_temp.lines($$SELECT b.awaits, b.lacks_secret, b.reason FROM promote.deployment AS d,
    promote_internal.beginning(d.project, d.environment, d.component, d.deployment) AS b
    WHERE d.status = 'RUNNING' ORDER BY d.component$$), E'(f,f,)\n(f,f,)', 'which can be asked');
SELECT is(pg_temp.lines('SELECT * FROM promote.verify_audit()'), NULL, 'the log tells all of it');
SELECT * FROM finish();
ROLLBACK;
