-- What is due, whose turn it is, what a worker would lack and where a rollback leads to is asked by SQL that people can
-- run, too; it is planned as one statement with whoever asks, and looked up by keys: also without statistics.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

-- ---- what is due ----
CREATE FUNCTION pg_temp.due() RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT environment, deployment, action, status, worker, max_lost_leases, approved, '
        'changed_by, scopes FROM promote_internal.due_deployment ORDER BY due_at')
$$;
CREATE FUNCTION pg_temp.turn() RETURNS integer LANGUAGE sql AS $$
    SELECT n.deployment FROM promote_internal.next_in_queue('ecomm', 'production', 'db') AS n
$$;
SELECT is(pg_temp.due(),
    E'(staging,1,PLAN,PENDING,,,f,0,"{ecomm-staging,ecomm-*,*-staging}")\n'
    '(production,1,PLAN,PENDING,,,f,0,"{ecomm-production,ecomm-*,*-production}")',
    'what waits, in the order in which it became due');
SELECT is((SELECT attributes FROM promote_internal.due_deployment WHERE environment = 'staging'),
    (SELECT attributes FROM promote_internal.instance_attributes WHERE (environment, component) = ('staging', 'db')),
        'with what selects it');
UPDATE promote.environment SET require_plan = false, max_lost_leases = 7;
SELECT is((promote.deploy_instance('ecomm-production-db')).due_at, NULL, 'behind the plan it is not its turn');
SELECT is(pg_temp.turn(), NULL, 'nor anybody''s, as the plan is due');
SELECT promote.claim_deployment('w'), promote.claim_deployment('w') \g /dev/null
SELECT is(pg_temp.due(),
    E'(staging,1,PLAN,RUNNING,w,7,f,0,"{ecomm-staging,ecomm-*,*-staging}")\n(production,1,PLAN,RUNNING,w,7,f,0,'
    '"{ecomm-production,ecomm-*,*-production}")',
    'what runs is due when its lease is over, and may be lost so often');
SELECT is(pg_temp.turn(), NULL, 'nor is it anybody''s turn while it runs');
SELECT promote.complete_deployment('ecomm-production-db', 1, 1) \g /dev/null
SELECT is((SELECT deployment FROM promote_internal.due_deployment WHERE environment = 'production'), 2,
    'then the next is due');
ALTER TABLE promote.deployment DISABLE TRIGGER guard_deployment;
UPDATE promote.deployment SET due_at = NULL WHERE environment = 'production';
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;
SELECT is(pg_temp.turn(), 2, 'for it was its turn');
SELECT is((SELECT count(*) FROM promote_internal.due_deployment WHERE environment = 'production'), 0::bigint,
    'what is not due is not there');

-- ---- what is lacking ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('postgres', '3.0.0', '{}', '{"token": {}, "hint": {"required": false}}');
SELECT promote.configure_instance('ecomm-prod-uswest-db', '{}', '3.0.0', plan => false),
    promote.propose_deployment('ecomm-prod-uswest-db') \g /dev/null
SELECT is(pg_temp.lines('SELECT * FROM promote_internal.lacking_secrets(''ecomm'', ''prod-uswest'', ''db'', 1)'),
    '(token)', 'a secret that is required and not set');
SELECT is((SELECT count(*) FROM promote_internal.lacking_secrets('ecomm', 'production', 'db', 2)), 0::bigint,
    'none, where none is declared');

-- ---- where a rollback leads to ----
CREATE FUNCTION pg_temp.target(to_revision integer) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines(format('SELECT desired, revision, bundle, version, block_reason, release_channel, '
        'judged_version, judged_schema, params ->> ''size'', kept_marks FROM '
        'promote_internal.rollback_target(''ecomm'', ''staging'', ''db'', %L, NULL)', to_revision))
$$;
SELECT is(pg_temp.target(NULL), '(1,,,,,,,,,)', 'nowhere, where nothing has run');
SELECT promote.complete_deployment('ecomm-staging-db', 1, 1), pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is(pg_temp.target(NULL), '(1,,,,,,,,,)', 'nor to what is desired already');
SELECT is(pg_temp.target(1),
    '(1,1,postgres,1.2.0-dev.20260915T101500Z,,development,1.2.0-dev.20260915T101500Z,,medium,)',
    'but where it is named');
SELECT promote.configure_instance('ecomm-staging-db', '{"size": "large"}', '1.0.0'),
    promote.block_release('postgres', '1.2.0-dev.20260915T101500Z', 'slow') \g /dev/null
SELECT is(pg_temp.target(NULL),
    '(2,1,postgres,1.2.0-dev.20260915T101500Z,slow,development,1.2.0-dev.20260915T101500Z,,medium,)',
    'to what ran before, which is blocked by now');
SELECT is((SELECT count(*) FROM promote_internal.rollback_target('ecomm', 'none', 'db', NULL, NULL)), 0::bigint,
    'no row where there is no instance');

-- ---- plans ----
SET LOCAL plan_cache_mode = force_generic_plan;
SET LOCAL enable_seqscan = off;
-- What is wrong with the plan of a statement: a table that is read whole, or a function of ours that was not inlined.
CREATE FUNCTION pg_temp.flaws(statement text, types text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    EXECUTE format('PREPARE asked (%s) AS %s', types, statement);
    FOR line IN EXECUTE format('EXPLAIN (VERBOSE) EXECUTE asked (%s)', regexp_replace(types, '[^,]+', 'NULL', 'g')) LOOP
        RETURN QUERY SELECT btrim(line) WHERE line ~ 'Seq Scan on promote\.|Function Scan on promote_internal';
    END LOOP;
    DEALLOCATE asked;
END
$$;
SELECT is((SELECT string_agg(flaw, ', ') FROM pg_temp.flaws('SELECT * FROM promote_internal.' || call,
    'text, text, text' || more) AS flaw), NULL, call || ' by keys')
  FROM (VALUES ('next_in_queue($1, $2, $3)', ''), ('planned_losses($1, $2, $3)', ''),
               ('lacking_secrets($1, $2, $3, $4)', ', integer'), ('rollback_target($1, $2, $3, $4, $5)',
                   ', integer, integer')) AS v (call, more);
SELECT is((SELECT string_agg(flaw, ', ')
    FROM pg_temp.flaws('SELECT * FROM promote_internal.due_deployment AS d WHERE d.due_at <= $1 AND d.attributes @> $2 '
    'ORDER BY d.due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED', 'timestamptz, jsonb') AS flaw),
    NULL, 'due_deployment by time');
SELECT * FROM finish();
ROLLBACK;
