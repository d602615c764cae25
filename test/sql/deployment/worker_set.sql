-- What workers that take batches report by one call: a row for each, all or nothing or a part, each judged as by
-- itself.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'robot';
CREATE FUNCTION pg_temp.plan() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1 .. 6 LOOP
        PERFORM promote.plan_instance('shop-staging-s' || n);
    END LOOP;
END
$$;
-- Claims all that waits of the shop, and keeps the claims as arrays.
CREATE FUNCTION pg_temp.claim(OUT i text[], OUT d integer[], OUT f integer[]) LANGUAGE sql AS $$
    SELECT array_agg(instance), array_agg(deployment), array_agg(fencing)
      FROM (SELECT * FROM promote.claim_deployment('w', max => 100) ORDER BY instance) AS c WHERE project = 'shop'
$$;
CREATE FUNCTION pg_temp.states() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(d.status, ' ' ORDER BY d.component) FROM promote.deployment AS d
      JOIN promote.instance AS i USING (project, environment, component, deployment)
     WHERE d.project = 'shop' AND d.environment = 'staging'
$$;
CREATE FUNCTION pg_temp.expire() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE promote.deployment DISABLE TRIGGER guard_deployment;
    UPDATE promote.deployment SET due_at = clock_timestamp() - interval '1 second' WHERE status = 'RUNNING';
    ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;
END
$$;

-- ---- completing ----
SELECT pg_temp.plan();
SELECT i, d, f FROM pg_temp.claim() \gset
SELECT is(pg_temp.lines(format($$SELECT instance, action, status, code, problem FROM promote.complete_many(
    ARRAY[%L, %L], ARRAY[%s, %s], ARRAY[1, 1], 'well')$$, (:'i'::text[])[2], (:'i'::text[])[1], (:'d'::integer[])[2],
    (:'d'::integer[])[1])), E'(shop-staging-s2,PLAN,COMPLETED,,)\n(shop-staging-s1,PLAN,COMPLETED,,)',
    'a row for each, in the order given');
SELECT is(pg_temp.states(), 'COMPLETED COMPLETED RUNNING RUNNING RUNNING RUNNING', 'they are completed');
SELECT is(pg_temp.lines($$SELECT DISTINCT reason, plan_digest = rendered_digest, due_at FROM promote.deployment
    WHERE project = 'shop' AND status = 'COMPLETED' AND reason = 'well'$$), '(well,t,)', 'as if each by itself');
SELECT is(pg_temp.lines($$SELECT subject, data ->> 'status' FROM promote.audit_log WHERE event = 'deployment.completed'
    AND data ->> 'reason' = 'well' ORDER BY subject$$), E'(shop-staging-s1,COMPLETED)\n(shop-staging-s2,COMPLETED)',
    'and recorded, each in its chain');
SELECT is(pg_temp.lines(format($$SELECT status, code FROM promote.complete_many(%L, %L, %L)$$,
    (:'i'::text[])[1:3],
    (:'d'::integer[])[1:3], (:'f'::integer[])[1:3])), E'(COMPLETED,)\n(COMPLETED,)\n(COMPLETED,)',
    'what the same claim has said already stands');

-- ---- refusing: all are named, and nothing is done ----
SELECT pg_temp.refuses(format($$SELECT promote.complete_many(ARRAY['shop-staging-s4', 'shop-staging-s5', 'nix',
    'shop-nowhere-s1', 'shop-staging-s6', 'shop-staging-s4', NULL, 'shop-staging-s1'],
        ARRAY[%s, %s, 1, 1, 99, %s, 1, NULL],
    ARRAY[1, 7, 1, 1, 1, 1, 1, 1])$$, (:'d'::integer[])[4], (:'d'::integer[])[5], (:'d'::integer[])[4]), 'PM502',
    'PM502 shop-staging-s5', 'one error for all, with the code of the first');
SELECT is((pg_temp.refusal(format($$SELECT promote.complete_many(ARRAY['shop-staging-s4', 'nix',
    'shop-staging-s6'],
    ARRAY[%s, 1, 99], ARRAY[1, 1, 1])$$, (:'d'::integer[])[4]))).detail,
    E'PM001 nix: invalid instance name "nix": It has fewer than three parts.\n'
    'PM002 shop-staging-s6: "shop-staging-s6" has no deployment 99: Its deployments are numbered from 1 to ' ||
    (SELECT deployment FROM promote.instance WHERE name = 'shop-staging-s6') || '.',
        'each with its code and its problem');
SELECT is((pg_temp.refusal($$SELECT promote.complete_many(array_agg('nix'::text), array_agg(n), array_agg(1))
    FROM generate_series(1, 25) AS n$$)).message, '25 of 25 deployments are refused', 'how many');
SELECT is((SELECT array_length(string_to_array((pg_temp.refusal($$SELECT
    promote.complete_many(array_agg('nix'::text),
    array_agg(n), array_agg(1)) FROM generate_series(1, 25) AS n$$)).detail, E'\n'), 1)), 21,
        'the first twenty by name');
SELECT is(pg_temp.states(), 'COMPLETED COMPLETED COMPLETED RUNNING RUNNING RUNNING', 'and nothing was done');
SELECT is(pg_temp.lines(format($$SELECT instance, deployment IS NULL, status, code FROM promote.complete_many(
    ARRAY['shop-staging-s4', 'shop-staging-s5', 'nix', 'shop-nowhere-s1', 'shop-staging-s6', 'shop-staging-s4', NULL,
    'shop-staging-s1'], ARRAY[%s, %s, 1, 1, 99, %s, 1, NULL], ARRAY[1, 7, 1, 1, 1, 1, 1, 1], partial => true)$$,
    (:'d'::integer[])[4], (:'d'::integer[])[5], (:'d'::integer[])[4])),
    E'(shop-staging-s4,f,COMPLETED,)\n(shop-staging-s5,f,,PM502)\n(nix,f,,PM001)\n(shop-nowhere-s1,f,,PM002)\n'
    '(shop-staging-s6,f,,PM002)\n(shop-staging-s4,f,,PM404)\n(,f,,PM001)\n(shop-staging-s1,t,,PM404)',
    'a part of it: the others are done, and the row of each that is not says why');
SELECT pg_temp.refuses('SELECT promote.' || call, 'PM404', detail, call)
  FROM (VALUES ($$complete_many(NULL, '{1}', '{1}')$$, 'null'),
               ($$complete_many('{a-b-c}', NULL, '{1}')$$, 'null'),
               ($$complete_many('{a-b-c}', '{1,2}', '{1}')$$, '2 elements, and the first array has 1'),
               ($$complete_many('{{a-b-c},{a-b-d}}', '{1,2}', '{1,1}')$$, 'dimension'),
               ($$complete_many(array_fill('a-b-c'::text, ARRAY[100001]), '{}', '{}')$$, '100001 elements'),
               ($$fail_many('{a-b-c}', '{1}', ' ', '{1}')$$, 'null or empty')) AS v(call, detail);
SELECT is(pg_temp.lines($$SELECT * FROM promote.complete_many('{}', '{}', '{}')$$), NULL, 'no element, no row');

-- ---- failing, heartbeats, giving back ----
SELECT is(pg_temp.lines(format($$SELECT status, code FROM promote.fail_many(%L, %L, 'exit 1', %L)$$,
    (:'i'::text[])[5:5], (:'d'::integer[])[5:5], (:'f'::integer[])[5:5])), '(FAILED,)', 'failed');
SELECT is(pg_temp.lines(format($$SELECT status, code FROM promote.fail_many(%L, %L, 'exit 1', %L, true)$$,
    (:'i'::text[])[4:5], (:'d'::integer[])[4:5], (:'f'::integer[])[4:5])), E'(,PM502)\n(FAILED,)',
    'what completed cannot fail, what failed has');
SELECT is(pg_temp.lines(format($$SELECT status, code FROM promote.heartbeat_many(%L, %L, %L, '2 hours', true)$$,
    (:'i'::text[])[5:6], (:'d'::integer[])[5:6], (:'f'::integer[])[5:6])), E'(,PM502)\n(RUNNING,)',
        'what runs lives on');
SELECT is(pg_temp.lines($$SELECT due_at > clock_timestamp() + interval '119 minutes' FROM promote.deployment
    WHERE status = 'RUNNING'$$), '(t)', 'for as long as was said');
SELECT is(pg_temp.lines(format($$SELECT status, code FROM promote.release_many(%L, %L, %L, 'no time', '1 hour',
    true)$$,
    (:'i'::text[])[5:6], (:'d'::integer[])[5:6], (:'f'::integer[])[5:6])), E'(,PM502)\n(PENDING,)', 'given back');
SELECT is(pg_temp.lines($$SELECT reason, due_at > clock_timestamp() + interval '59 minutes' FROM promote.deployment
    WHERE project = 'shop' AND status = 'PENDING'$$), '("no time",t)', 'for later');

-- ---- leases that are over, and logs ----
SELECT pg_temp.plan();
SELECT i, d, f FROM pg_temp.claim() \gset
SELECT promote.append_deployment_log((:'i'::text[])[1], (:'d'::integer[])[1], 'said', 1) \g /dev/null
SELECT pg_temp.expire();
SELECT is(pg_temp.lines(format($$SELECT DISTINCT code FROM promote.complete_many(%L, %L, %L, partial => true)$$,
    :'i',
    :'d', :'f')), '(PM502)', 'too late');
SELECT i, d, f FROM pg_temp.claim() \gset
SELECT is(pg_temp.lines(format($$SELECT DISTINCT status, code FROM promote.complete_many(%L, %L, %L)$$, :'i',
    :'d', :'f')),
    '(COMPLETED,)', 'claimed anew');

-- ---- who may ----
SELECT promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', 10 + n))
    FROM generate_series(1, 6) AS n \g /dev/null
SELECT promote.configure_instance('shop-production-s1', '{"size": 11}') \g /dev/null
SELECT i, d, f FROM pg_temp.claim() \gset
CREATE ROLE set_robot;
GRANT USAGE ON SCHEMA promote TO set_robot;
GRANT EXECUTE ON FUNCTION promote.complete_many(text[], integer[], integer[], text, boolean) TO set_robot;
SELECT promote.grant_action('set_robot', 'work', 'shop', 'production') \g /dev/null
SET LOCAL promote.actor = '';
SET LOCAL ROLE set_robot;
SELECT string_agg(concat_ws(' ', instance, COALESCE(status, code)), ', ') AS given
  FROM promote.complete_many((:'i'::text[])[1:2], (:'d'::integer[])[1:2], (:'f'::integer[])[1:2],
      partial => true) \gset
RESET ROLE;
SET LOCAL promote.actor = 'robot';
SELECT is(:'given'::text, 'shop-production-s1 COMPLETED, shop-staging-s1 PM701', 'a grant is asked for each');
SELECT * FROM promote.complete_many((:'i'::text[])[2:], (:'d'::integer[])[2:],
    (:'f'::integer[])[2:]) \g /dev/null

-- ---- what follows a step follows each ----
SELECT promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', 20 + n), plan => false)
    FROM generate_series(1, 3) AS n \g /dev/null
SELECT promote.plan_and_deploy('shop-staging-s' || n) FROM generate_series(1, 3) AS n \g /dev/null
INSERT INTO promote.freeze_window (project, component, name, during)
    VALUES ('shop', 's2', 'quiet', '[2000-01-01,2100-01-01)');
SELECT i, d, f FROM pg_temp.claim() \gset
SELECT is(pg_temp.lines(format('SELECT status FROM promote.complete_many(%L, %L, %L)', :'i', :'d', :'f')),
    E'(COMPLETED)\n(COMPLETED)\n(COMPLETED)', 'plans that are to be deployed');
SELECT is(pg_temp.lines($$SELECT d.component, d.action, d.status, d.not_deployed IS NOT NULL
    FROM promote.deployment AS d
    JOIN promote.instance AS i USING (project, environment, component, deployment)
    WHERE i.environment = 'staging' AND i.component IN ('s1', 's2', 's3') ORDER BY 1$$),
    E'(s1,PROVISION,PENDING,f)\n(s2,PLAN,COMPLETED,t)\n(s3,PROVISION,PENDING,f)',
        'are, where nothing is in the way of it');

-- ---- an UPDATE by hand of several of one instance, and a trigger that writes once more ----
SELECT promote.plan_instance('shop-production-s' || n) FROM generate_series(1, 2) AS n \g /dev/null
SELECT promote.propose_deployment('shop-production-s1', 'PLAN') AS p \gset
SELECT promote.approve_deployment('shop-production-s1', (SELECT deployment FROM promote.instance
    WHERE name = 'shop-production-s1')) \g /dev/null
UPDATE promote.deployment SET status = 'ABORTED', reason = 'all of them' WHERE environment = 'production'
    AND project = 'shop'
    AND status IN ('PENDING', 'APPROVED');
SELECT is(pg_temp.lines($$SELECT subject, count(*) FROM promote.audit_log WHERE event = 'deployment.aborted'
    AND subject ~ '^shop-production-s[12]' GROUP BY 1 ORDER BY 1$$), E'(shop-production-s1,2)\n(shop-production-s2,1)',
    'each step has its event, also two of one instance');
CREATE FUNCTION pg_temp.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = 'FAILED' AND OLD.status = 'RUNNING' THEN
        PERFORM promote.plan_instance(concat_ws('-', NEW.project, NEW.environment, NEW.component));
    ELSIF NEW.status = 'RUNNING' AND OLD.status = 'PENDING' THEN
        UPDATE promote.deployment SET status = 'ABORTED' WHERE project = NEW.project AND environment = NEW.environment
            AND component = NEW.component AND deployment = NEW.deployment;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER again AFTER UPDATE ON promote.deployment FOR EACH ROW EXECUTE FUNCTION pg_temp.again();
SELECT promote.plan_instance('shop-production-s' || n) FROM generate_series(3, 4) AS n \g /dev/null
SELECT count(*) FROM promote.claim_deployment('w', selector => '{"tenant": "rest"}', max => 2) \g /dev/null
SELECT is(pg_temp.lines($$SELECT event, data ->> 'status' FROM promote.audit_log WHERE subject = 'shop-production-s3'
    ORDER BY seq DESC LIMIT 2$$), E'(deployment.started,RUNNING)\n(deployment.aborted,ABORTED)',
    'what a user''s trigger does within is recorded, and the row as it is in the end');
DROP TRIGGER again ON promote.deployment;
SELECT is(pg_temp.lines('SELECT * FROM promote.verify_audit()'), NULL, 'the log tells all of it');
SELECT * FROM finish();
ROLLBACK;
