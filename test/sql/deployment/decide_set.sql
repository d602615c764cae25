-- Approving and rejecting many by one call.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
CREATE FUNCTION pg_temp.propose() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1 .. 4 LOOP
        PERFORM promote.propose_deployment('shop-staging-s' || n);
    END LOOP;
END
$$;
CREATE FUNCTION pg_temp.proposals(OUT i text[], OUT d integer[]) LANGUAGE sql AS $$
    SELECT array_agg(concat_ws('-', project, environment, component) ORDER BY component), array_agg(deployment
        ORDER BY component)
      FROM promote.deployment WHERE status = 'PROPOSED'
$$;
SELECT pg_temp.propose();
SELECT i, d FROM pg_temp.proposals() \gset
SET LOCAL promote.actor = 'bob';
SELECT is(pg_temp.lines(format('SELECT right(instance, 2), action, status, code FROM promote.approve_many(%L, '
    '%L, ''fine'')',
    (:'i'::text[])[1:2], (:'d'::integer[])[1:2])), E'(s1,PROVISION,APPROVED,)\n(s2,PROVISION,APPROVED,)',
        'approved, and queued');
SELECT is(pg_temp.lines($$SELECT component, approved_by, reason, due_at IS NOT NULL, gates IS NOT NULL
    FROM promote.deployment
    WHERE status = 'APPROVED' ORDER BY 1$$), E'(s1,bob,fine,t,t)\n(s2,bob,fine,t,t)', 'as by the verb of one');
SELECT is(pg_temp.lines(format('SELECT status, code FROM promote.approve_many(%L, %L)', (:'i'::text[])[1:2],
    (:'d'::integer[])[1:2])), E'(APPROVED,)\n(APPROVED,)', 'twice is once');
SELECT pg_temp.refuses(format('SELECT promote.approve_many(%L, %L)', (:'i'::text[])[3:4],
    ARRAY[(:'d'::integer[])[3], 1]),
    'PM603', 'shop-staging-s4', 'one that cannot be approved refuses all');
SELECT is((SELECT count(*) FROM promote.deployment WHERE status = 'PROPOSED'), 2::bigint, 'and nothing is done');
SELECT is(pg_temp.lines(format('SELECT right(instance, 2), status, code FROM promote.approve_many(%L, %L, '
    'partial => true)',
    (:'i'::text[])[3:4] || ARRAY['shop-staging-s9'], ARRAY[(:'d'::integer[])[3], 99, 1])),
    E'(s3,APPROVED,)\n(s4,,PM002)\n(s9,,PM002)', 'a part of it');
SELECT pg_temp.refuses(format('SELECT promote.reject_many(%L, %L, NULL)', (:'i'::text[])[4:4],
    (:'d'::integer[])[4:4]), 'PM404',
    'null or empty', 'who rejects says why');
SELECT is(pg_temp.lines(format('SELECT right(instance, 2), status, code FROM promote.reject_many(%L, '
    '%L, ''no'', true)',
    (:'i'::text[])[3:4], (:'d'::integer[])[3:4])), E'(s3,,PM501)\n(s4,REJECTED,)',
        'rejected, where that is still possible');
SELECT pg_temp.work_all() \g /dev/null

-- ---- votes ----
CREATE ROLE set_voters;
CREATE ROLE set_bob LOGIN IN ROLE set_voters;
CREATE ROLE set_eve LOGIN IN ROLE set_voters;
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
    VALUES ('shop', 'staging', 'two', 'set_voters', 2);
SELECT promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', 30 + n))
    FROM generate_series(1, 3) AS n \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SET LOCAL promote.actor = 'ada';
SELECT promote.propose_deployment('shop-staging-s' || n) FROM generate_series(1, 2) AS n \g /dev/null
SELECT i, d FROM pg_temp.proposals() \gset
SELECT set_config('d.plan', deployment::text, true) FROM promote.deployment WHERE environment = 'staging'
    AND component = 's3'
    AND action = 'PLAN' ORDER BY deployment DESC LIMIT 1 \g /dev/null
GRANT USAGE ON SCHEMA promote TO set_voters;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA promote TO set_voters;
SELECT promote.grant_action('set_voters', 'approve', 'shop', 'staging') \g /dev/null
SET LOCAL promote.actor = '';
SET LOCAL ROLE set_bob;
SELECT string_agg(concat_ws(' ', right(instance, 2), status, code, problem ~ 'two'), ', ') AS given
    FROM promote.approve_many(
    :'i'::text[] || ARRAY['shop-staging-s3', 'shop-production-s1'],
        :'d'::integer[] || ARRAY[current_setting('d.plan')::integer, 1],
    partial => true) \gset
RESET ROLE;
SELECT is(:'given'::text, 's1 PROPOSED t, s2 PROPOSED t, s3 COMPLETED, s1 PM701 f',
    'a vote is kept, and the row says why the proposal stays one; a plan is voted on; a grant is asked for each');
SELECT is((SELECT count(*) FROM promote.approval), 3::bigint, 'three votes');
SET LOCAL ROLE set_eve;
SELECT string_agg(concat_ws(' ', right(instance, 2), status, code), ', ') AS given
    FROM promote.approve_many(:'i', :'d') \gset
RESET ROLE;
SELECT is(:'given'::text, 's1 APPROVED, s2 APPROVED', 'the last vote queues each');

-- ---- votes on plans, which are given together ----
SELECT promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', 60 + n))
    FROM generate_series(1, 3) AS n \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT array_agg('shop-staging-' || component ORDER BY component) AS i, array_agg(last ORDER BY component) AS d
    FROM (SELECT component, max(deployment) AS last FROM promote.deployment WHERE project = 'shop'
    AND environment = 'staging' AND action = 'PLAN' AND component IN ('s1', 's2', 's3') GROUP BY 1) AS p \gset
CREATE TABLE pg_temp.inserting (rows bigint);
CREATE FUNCTION pg_temp.count_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pg_temp.inserting SELECT count(*) FROM given;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_votes AFTER INSERT ON promote.approval REFERENCING NEW TABLE AS given
    FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.count_votes();
SET LOCAL ROLE set_eve;
SELECT string_agg(concat_ws(' ', right(instance, 2), status, code), ', ') AS given
    FROM promote.approve_many(:'i', :'d', 'seen') \gset
SELECT string_agg(concat_ws(' ', right(instance, 2), status, code), ', ') AS again
    FROM promote.approve_many(:'i', :'d', 'seen') \gset
RESET ROLE;
SELECT is(:'given'::text, 's1 COMPLETED, s2 COMPLETED, s3 COMPLETED', 'plans are voted on');
SELECT is(:'again'::text, :'given'::text, 'twice is once');
SELECT is((SELECT string_agg(rows::text, ' ') FROM pg_temp.inserting), '3', 'the votes are one statement');
SELECT is(pg_temp.lines($$SELECT component, vote - (SELECT count(*) FROM promote.approval AS b
    WHERE b.component = a.component AND b.vote < a.vote), decision, database_role
    FROM promote.approval AS a WHERE reason = 'seen' ORDER BY 1$$),
    E'(s1,1,approved,set_eve)\n(s2,1,approved,set_eve)\n(s3,1,approved,set_eve)', 'numbered after those before');
SELECT is(pg_temp.lines($$SELECT subject, count(*) FROM promote.audit_log WHERE event = 'approval.given'
    AND data ->> 'reason' = 'seen' GROUP BY 1 ORDER BY 1$$),
    E'(shop-staging-s1,1)\n(shop-staging-s2,1)\n(shop-staging-s3,1)', 'an event for each');
UPDATE promote.approval_rule SET component = 's1' WHERE rule = 'two';
INSERT INTO promote.approval_rule (project, environment, component, rule, role, quorum)
    VALUES ('shop', 'staging', 's3', 'three', 'set_voters', 2);
SET LOCAL ROLE set_bob;
SELECT string_agg(concat_ws(' ', right(instance, 2), status, code), ', ') AS given
    FROM promote.approve_many(:'i', :'d', 'in part', true) \gset
SELECT string_agg(concat_ws(' ', right(instance, 2), status, code), ', ') AS refused
    FROM promote.reject_many(:'i', :'d', 'not so', true) \gset
RESET ROLE;
SELECT is(:'given'::text, 's1 COMPLETED, s2 PM603, s3 COMPLETED', 'where one cannot be voted on, the others are');
SELECT is(:'refused'::text, :'given'::text, 'rejecting them, too');
SELECT is(pg_temp.lines($$SELECT component, rule, decision FROM promote.approval WHERE reason IN ('in part', 'not so')
    ORDER BY component, vote$$),
    E'(s1,two,approved)\n(s1,two,rejected)\n(s3,three,approved)\n(s3,three,rejected)', 'once each');

-- ---- proposals, which are decided together unless one may look at what is approved before it ----
DELETE FROM promote.approval_rule;
CREATE FUNCTION pg_temp.propose_anew(size integer, OUT i text[], OUT d integer[]) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('promote.actor', 'ada', true), pg_temp.work_all();
    PERFORM promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', size + n))
       FROM generate_series(1, 3) AS n;
    PERFORM pg_temp.work_all();
    PERFORM promote.propose_deployment('shop-staging-s' || n) FROM generate_series(1, 3) AS n;
    SELECT p.i, p.d INTO i, d FROM pg_temp.proposals() AS p;
    PERFORM set_config('promote.actor', 'bob', true);
    TRUNCATE pg_temp.inserting;
END
$$;
CREATE FUNCTION pg_temp.decided(statement text, OUT outcome text, OUT counts text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($x$SELECT string_agg(concat_ws(' ', right(instance, 2), status, code), ', ') FROM promote.%s$x$,
        statement) INTO outcome;
    SELECT string_agg(rows::text, ' ') INTO counts FROM pg_temp.inserting;
END
$$;
SELECT * FROM pg_temp.propose_anew(70) \gset
CREATE TRIGGER count_steps AFTER UPDATE ON promote.deployment REFERENCING NEW TABLE AS given
    FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.count_votes();
SELECT is(pg_temp.decided(format('approve_many(%L, %L)', :'i', :'d'))::text,
    '("s1 APPROVED, s2 APPROVED, s3 APPROVED","3 3")',
    'proposals are approved by one statement, and due by another');
ALTER TABLE promote.deployment DISABLE TRIGGER count_steps;
SELECT * FROM pg_temp.propose_anew(80) \gset
ALTER TABLE promote.deployment ENABLE TRIGGER count_steps;
SELECT is(pg_temp.decided(format('reject_many(%L, %L, ''no'')', :'i', :'d'))::text,
    '("s1 REJECTED, s2 REJECTED, s3 REJECTED",3)',
    'and rejected');
ALTER TABLE promote.deployment DISABLE TRIGGER count_steps;
SELECT * FROM pg_temp.propose_anew(90) \gset
INSERT INTO promote.change_window (name, project, environment, during, max_deployments_per_window)
    VALUES ('one', 'shop', 'staging', tstzrange(clock_timestamp(), clock_timestamp() + interval '1 day'), 1);
SELECT is((pg_temp.decided(format('approve_many(%L, %L, partial => true)', :'i', :'d'))).outcome,
    's1 APPROVED, s2 PM601, s3 PM601', 'a budget has what was approved before');
SELECT is(pg_temp.lines('SELECT * FROM promote.verify_audit()'), NULL, 'the log tells all of it');
SELECT * FROM finish();
ROLLBACK;
