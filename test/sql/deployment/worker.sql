-- Workers: claims, leases, fencing, and the order in which work is given out.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'robot';
CREATE FUNCTION pg_temp.no(call text, state text, detail text, what text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.refuses('SELECT promote.' || call, state, detail, what)
$$;
CREATE FUNCTION pg_temp.claims(args text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT instance, deployment, action, fencing FROM promote.claim_deployment(' || args || ')')
$$;
-- Lets a lease be over: what waiting would do.
CREATE FUNCTION pg_temp.expire(name text, number integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE promote.deployment DISABLE TRIGGER guard_deployment;
    UPDATE promote.deployment SET due_at = clock_timestamp() - interval '1 second'
     WHERE project || '-' || environment || '-' || component = name AND deployment = number;
    ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;
END
$$;

-- ---- a claim ----
SELECT is(pg_temp.lines($$SELECT instance, deployment, action, fencing,
    lease_until > clock_timestamp() + interval '4 minutes', project, environment, component, revision, bundle, version,
    params ->> 'size', params_digest = promote.config_digest(project, params), plan, plan_digest
    FROM promote.claim_deployment('w1')$$),
        '(ecomm-staging-db,1,PLAN,1,t,ecomm,staging,db,1,postgres,1.2.0-dev.20260915T101500Z,medium,t,,)',
        'what has been due longest, with all that a worker needs');
SELECT is(pg_temp.lines($$SELECT status, worker, fencing, started_at IS NOT NULL, seen_change, lost_leases
    FROM promote.deployment WHERE environment = 'staging'$$), '(RUNNING,w1,1,t,0,0)', 'its row says so');
SELECT is(pg_temp.lines($$SELECT params ->> 'password' FROM promote.claim_deployment('w2', lease => '1 hour')$$),
    '(secret)', 'the next worker gets the next, unmasked');
SELECT is(pg_temp.claims($$'w3'$$), NULL, 'and the third nothing');
SELECT is(pg_temp.lines($$SELECT event, data ->> 'worker', data ->> 'fencing', actor FROM promote.audit_log
    WHERE subject = 'ecomm-staging-db' ORDER BY seq DESC LIMIT 1$$), '(deployment.started,w1,1,robot)',
    'the audit log has it');

-- ---- heartbeats, logs, ends ----
SELECT is((promote.heartbeat_deployment('ecomm-staging-db', 1, 1, '2 hours')).due_at > clock_timestamp() + interval
    '119 minutes', true, 'a heartbeat extends the lease');
SELECT is((promote.heartbeat_deployment('ecomm-staging-db', 1, 1, '1 minute')).due_at < clock_timestamp() + interval
    '2 minutes', true, 'from now on');
SELECT is(promote.append_deployment_log('ecomm-staging-db', 1, E'planning\nmore', 1), 1, 'the first entry of the log');
SELECT is(promote.append_deployment_log('ecomm-staging-db', 1, 'done', 1), 2, 'and the second');
SELECT is(pg_temp.lines($$SELECT entry, fencing, message FROM promote.deployment_log WHERE environment = 'staging'
    ORDER BY entry$$), E'(1,1,"planning\nmore")\n(2,1,done)', 'in their order');
SELECT is(pg_temp.lines($$SELECT status, reason, due_at, finished_at IS NOT NULL
    FROM promote.complete_deployment('ecomm-staging-db', 1, 1, 'no changes')$$), '(COMPLETED,"no changes",,t)',
    'completed, with a word');
SELECT is((promote.complete_deployment('ecomm-staging-db', 1, 1)).reason, 'no changes',
    'again: it is completed already');
SELECT pg_temp.no($$fail_deployment('ecomm-staging-db', 1, 'oh', 1)$$, 'PM502', 'It is COMPLETED',
    'but it cannot fail any more');
SELECT pg_temp.no($$complete_deployment('ecomm-staging-db', 1, 2)$$, 'PM502', 'Claim 2 is not the last one; that is 1',
    'nor is it another claim''s');
SELECT pg_temp.no($$fail_deployment('ecomm-production-db', 1, '', 1)$$, 'PM404', 'null or empty',
    'what fails has a reason');
SELECT is(pg_temp.lines($$SELECT status, reason FROM promote.fail_deployment('ecomm-production-db', 1, 'exit 1', 1)$$),
    '(FAILED,"exit 1")', 'failed');
SELECT is((promote.fail_deployment('ecomm-production-db', 1, 'other words', 1)).reason, 'exit 1',
    'again: it has failed already');
SELECT is((SELECT status FROM promote.instance WHERE name = 'ecomm-production-db'), 'INITIALIZED',
    'a plan that fails does nothing to the instance');

-- ---- bad calls ----
SELECT lives_ok($$SELECT promote.plan_instance('ecomm-staging-db')$$, 'work waits');
SELECT pg_temp.no(call, state, detail, call) FROM (VALUES
    ($$complete_deployment('ecomm-staging-db', 2, 1)$$, 'PM502', 'never claimed, and is PENDING'),
    ($$heartbeat_deployment('ecomm-staging-db', 2, 1)$$, 'PM502', 'never claimed'),
    ($$append_deployment_log('ecomm-staging-db', 2, 'x', 1)$$, 'PM502', 'never claimed'),
    ($$release_deployment('ecomm-staging-db', 2, 0)$$, 'PM502', 'never claimed'),
    ($$complete_deployment('ecomm-staging-db', 3, 1)$$, 'PM002', 'from 1 to 2'),
    ($$complete_deployment('ecomm-staging-db', 2, NULL)$$, 'PM404', 'null'),
    ($$complete_deployment('ecomm-staging-db', NULL, 1)$$, 'PM404', 'null'),
    ($$heartbeat_deployment('ecomm-nowhere-db', 1, 1)$$, 'PM002', 'environment'),
    ($$heartbeat_deployment('ecomm-staging-db', 2, 1, '178000000 years')$$, 'PM404', 'millisecond'),
    ($$claim_deployment('w', lease => '-178000000 years')$$, 'PM404', 'millisecond'),
    ($$append_deployment_log('ecomm-staging-db', 2, repeat('x', 1048577), 1)$$, 'PM102', '1048577 bytes'),
    ($$append_deployment_log('ecomm-staging-db', 2, NULL, 1)$$, 'PM404', 'null'),
    ($$claim_deployment(NULL)$$, 'PM404', 'null'),
    ($$claim_deployment('')$$, 'PM404', 'empty'),
    ($$claim_deployment(E'a\nb')$$, 'PM001', 'control characters'),
    ($$claim_deployment(repeat('x', 256))$$, 'PM001', '255'),
    ($$claim_deployment('w', '{APPLY}')$$, 'PM404', 'Actions are'),
    ($$claim_deployment('w', '{NULL}')$$, 'PM404', 'Actions are'),
    ($$claim_deployment('w', lease => '0')$$, 'PM404', 'millisecond'),
    ($$claim_deployment('w', lease => '-1 hour')$$, 'PM404', 'millisecond'),
    ($$claim_deployment('w', lease => '32 days')$$, 'PM404', '31 days'),
    ($$claim_deployment('w', selector => '[]')$$, 'PM101', 'It is of type array')) AS v(call, state, detail);

-- ---- which work a worker takes on ----
SELECT is(pg_temp.claims($$'w', '{PROVISION,DECOMMISSION}'$$), NULL, 'no action of those');
SELECT is(pg_temp.claims($$'w', '{}'$$), NULL, 'nor of none');
SELECT is(pg_temp.claims($$'w', selector => '{"tenant": "acme"}'$$), NULL, 'no instance of such');
UPDATE promote.project SET attributes = '{"tenant": "acme", "tier": "free"}' WHERE project = 'ecomm';
UPDATE promote.environment SET attributes = '{"tier": "paid", "zone": "eu"}' WHERE environment = 'staging';
UPDATE promote.component SET attributes = '{"kind": "db", "zone": "us"}' WHERE component = 'db';
UPDATE promote.instance SET attributes = '{"zone": "ap"}' WHERE name = 'ecomm-staging-db';
SAVEPOINT unclaimed;
SELECT is(pg_temp.claims(format('''w'', selector => %L', s)), r, s)
  FROM (VALUES ('{"tenant": "acme", "tier": "free"}', NULL), ('{"zone": "us"}', NULL), ('{"zone": "eu"}', NULL),
      ('{"tenant": ["acme"]}', NULL),
               ('{"tenant": "acme", "tier": "paid", "kind": "db", "zone": "ap"}',
                   '(ecomm-staging-db,2,PLAN,1)')) AS v(s, r);
ROLLBACK TO unclaimed;

-- ---- a lease that is over ----
SELECT is(pg_temp.claims($$'w1'$$), '(ecomm-staging-db,2,PLAN,1)', 'one worker');
SELECT lives_ok($$SELECT promote.plan_instance('ecomm-production-db')$$, 'other work comes');
SELECT pg_temp.expire('ecomm-staging-db', 2);
SELECT pg_temp.no(call, 'PM502', 'lease ended at', 'once its lease is over: ' || call)
  FROM unnest(ARRAY[$$complete_deployment('ecomm-staging-db', 2, 1)$$,
      $$fail_deployment('ecomm-staging-db', 2, 'x', 1)$$, $$heartbeat_deployment('ecomm-staging-db', 2, 1)$$,
                    $$append_deployment_log('ecomm-staging-db', 2, 'x', 1)$$,
                        $$release_deployment('ecomm-staging-db', 2, 1)$$]) AS call;
SELECT throws_ok($$UPDATE promote.deployment SET status = 'COMPLETED' WHERE environment = 'staging'
    AND deployment = 2$$, 'PM502', NULL, 'nor by hand');
SELECT is(pg_temp.claims($$'w2'$$), '(ecomm-staging-db,2,PLAN,2)',
    'it goes to the next worker, before what came later');
SELECT is(pg_temp.lines($$SELECT status, worker, fencing, lost_leases FROM promote.deployment
    WHERE environment = 'staging' AND deployment = 2$$), '(RUNNING,w2,2,1)', 'whose it is');
SELECT is(pg_temp.lines($$SELECT event, data ->> 'status', data ->> 'reason', data ->> 'lost_leases'
    FROM promote.audit_log WHERE subject = 'ecomm-staging-db' ORDER BY seq DESC LIMIT 2$$),
    E'(deployment.started,RUNNING,,1)\n(deployment.lost,PENDING,"the lease was lost 1 time, the last time by w1",1)',
        'the audit log tells what happened');
SELECT pg_temp.no($$complete_deployment('ecomm-staging-db', 2, 1)$$, 'PM502',
    'Claim 1 is not the last one; that is 2, of worker "w2"', 'the first worker is told');
SELECT pg_temp.expire('ecomm-staging-db', 2);
SELECT is(pg_temp.claims($$'w3'$$), '(ecomm-staging-db,2,PLAN,3)', 'a third one');
SELECT pg_temp.expire('ecomm-staging-db', 2);
SELECT is(pg_temp.claims($$'w4'$$), '(ecomm-production-db,2,PLAN,1)',
    'after three lost leases nobody gets it any more');
SELECT is(pg_temp.lines($$SELECT status, reason, lost_leases, fencing FROM promote.deployment
    WHERE environment = 'staging' AND deployment = 2$$),
    '(FAILED,"the lease was lost 3 times, the last time by w3",3,3)', 'it has failed, for that reason');
UPDATE promote.environment SET max_lost_leases = 1 WHERE project = 'ecomm' AND environment = 'production';
SELECT pg_temp.expire('ecomm-production-db', 2);
SELECT is(pg_temp.claims($$'w5'$$), NULL, 'the environment says how many');
SELECT is(pg_temp.lines($$SELECT status, reason FROM promote.deployment WHERE project = 'ecomm'
    AND environment = 'production' AND deployment = 2$$), '(FAILED,"the lease was lost 1 time, the last time by w4")',
    'one is enough there');
ROLLBACK TO unclaimed;

-- ---- giving work back ----
SELECT is(pg_temp.claims($$'w1'$$), '(ecomm-staging-db,2,PLAN,1)', 'claimed');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 7}')$$,
    'more work of the same instance');
SELECT is(pg_temp.lines($$SELECT status, reason, due_at <= clock_timestamp(), lost_leases
    FROM promote.release_deployment('ecomm-staging-db', 2, 1, 'restarting')$$), '(PENDING,restarting,t,0)', 'released');
SELECT is(pg_temp.claims($$'w2'$$), '(ecomm-staging-db,2,PLAN,2)', 'it is the instance''s next again');
SELECT is(due_at - interval '5 minutes' BETWEEN now() AND clock_timestamp(), true, 'a lease of NULL is the default')
  FROM promote.heartbeat_deployment('ecomm-staging-db', 2, 2, NULL);
SELECT is((promote.release_deployment('ecomm-staging-db', 2, 2, delay => '1 hour')).due_at > clock_timestamp() +
    interval '59 minutes', true, 'released for later');
SELECT is(pg_temp.claims($$'w2'$$), NULL, 'nothing of the instance is done before');
SELECT pg_temp.no($$release_deployment('ecomm-staging-db', 2, 2)$$, 'PM502', 'It is PENDING',
    'and it is no longer claimed');
SELECT pg_temp.no(call, 'PM502', 'It is PENDING', '... nor ended: ' || call)
  FROM unnest(ARRAY[$$complete_deployment('ecomm-staging-db', 2, 2)$$,
                    $$fail_deployment('ecomm-staging-db', 2, 'late', 2)$$]) AS call;
SELECT pg_temp.no($$release_deployment('ecomm-staging-db', 2, 2, delay => '-1 second')$$, 'PM404',
    'nothing and 31 days', 'no delay into the past');
ROLLBACK TO unclaimed;
UPDATE promote.instance SET attributes = '{"t": 1}' WHERE name = 'ecomm-staging-db';
SELECT pg_temp.work('ecomm-staging-db') \g /dev/null
SELECT is((promote.deploy_instance('ecomm-staging-db')).deployment, 3, 'what follows a plan');
SELECT is(pg_temp.claims($$'w', '{PLAN}', selector => '{"t": 1}'$$), NULL, 'nothing for who only plans, of those');
SELECT is(pg_temp.claims($$'w', '{PROVISION}', selector => '{"t": 1}'$$), '(ecomm-staging-db,3,PROVISION,1)',
    '... but for who provisions');
SELECT is((promote.release_deployment('ecomm-staging-db', 3, 1)).plan_digest, (SELECT plan_digest
    FROM promote.deployment WHERE project = 'ecomm' AND environment = 'staging' AND component = 'db'
    AND deployment = 2), 'given back it follows that plan still');
ROLLBACK TO unclaimed;
SELECT is((promote.propose_deployment('ecomm-staging-db', 'PLAN')).deployment, 3, 'a proposal');
SELECT lives_ok($$SELECT promote.abort_deployment('ecomm-staging-db', 2)$$, 'nothing before it');
SELECT lives_ok($$SELECT promote.approve_deployment('ecomm-staging-db', 3)$$, 'approved');
SELECT is(pg_temp.claims($$'w'$$), '(ecomm-staging-db,3,PLAN,1)', 'claimed');
SELECT is((promote.release_deployment('ecomm-staging-db', 3, 1)).status, 'APPROVED', 'goes back as approved');
SELECT is(pg_temp.claims($$'w'$$), '(ecomm-staging-db,3,PLAN,2)', 'and is claimed again');
ROLLBACK TO unclaimed;

-- ---- an abort takes the claim away ----
SELECT is(pg_temp.claims($$'w1'$$), '(ecomm-staging-db,2,PLAN,1)', 'claimed');
SELECT is((promote.abort_deployment('ecomm-staging-db', 2, 'enough')).status, 'ABORTED', 'aborted');
SELECT pg_temp.no($$heartbeat_deployment('ecomm-staging-db', 2, 1)$$, 'PM502', 'It is ABORTED',
    'which the next heartbeat tells');
ROLLBACK TO unclaimed;

-- ---- order: within an instance as queued, between instances in turn ----
SELECT pg_temp.work('ecomm-staging-db');
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'a'), ('ecomm', 'b'), ('ecomm', 'c');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'a', 'db'), ('ecomm', 'b', 'db'),
    ('ecomm', 'c', 'db');
DO $$
BEGIN
    FOR i IN 1 .. 4 LOOP PERFORM promote.configure_instance('ecomm-a-db', jsonb_build_object('size', 'small',
        'replicas', i), '1.0.0'); END LOOP;
    FOR i IN 1 .. 2 LOOP PERFORM promote.configure_instance('ecomm-b-db', jsonb_build_object('size', 'small',
        'replicas', i), '1.0.0'); END LOOP;
    PERFORM promote.configure_instance('ecomm-c-db', '{"size": "small"}', '1.0.0');
END $$;
SELECT is((SELECT count(*) FROM promote.deployment WHERE due_at IS NOT NULL), 3::bigint, 'one of each instance is due');
CREATE TEMP TABLE done (n integer GENERATED ALWAYS AS IDENTITY, work text) ON COMMIT DROP;
DO $$
DECLARE
    claim record;
BEGIN
    LOOP
        SELECT * INTO claim FROM promote.claim_deployment('w');
        EXIT WHEN NOT FOUND;
        PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
        INSERT INTO done (work) VALUES (claim.environment || claim.deployment);
    END LOOP;
END $$;
SELECT is((SELECT string_agg(work, ' ' ORDER BY n) FROM done), 'a1 b1 c1 a2 b2 a3 a4',
    'no instance waits for all of another''s');
SELECT is((SELECT count(*) FROM promote.deployment WHERE due_at IS NOT NULL), 0::bigint, 'and then nothing is due');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
