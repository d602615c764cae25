-- History is only appended to, configurations are stored once, and bookkeeping is not set by hand.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

SELECT pg_temp.refuses(replace(statement, '@', t), 'PM301', 'never', t || ': ' || statement)
  FROM unnest(ARRAY['config', 'revision', 'deployment', 'audit_log']) AS t,
       unnest(ARRAY['UPDATE promote.@ SET project = ''other''', 'DELETE FROM promote.@',
           'TRUNCATE promote.@ CASCADE']) AS statement;
SET LOCAL session_replication_role = replica;
SELECT pg_temp.refuses(replace(statement, '@', t), 'PM301', 'never', t || ' as a replica: ' || statement)
  FROM unnest(ARRAY['config', 'revision', 'deployment', 'audit_log']) AS t,
       unnest(ARRAY['UPDATE promote.@ SET project = ''other''', 'DELETE FROM promote.@',
           'TRUNCATE promote.@ CASCADE']) AS statement;
SELECT throws_ok('TRUNCATE promote.project CASCADE', 'PM301', NULL, 'a cascade is no way round');
SELECT throws_ok($$UPDATE promote.instance SET revision = 7 WHERE name = 'ecomm-staging-db'$$, 'PM303', NULL,
    'nor is it for the counters');
SELECT throws_ok($$DELETE FROM promote.instance WHERE name = 'ecomm-staging-db'$$, 'PM301', NULL,
    'nor for the instance itself');
SELECT throws_ok($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    VALUES ('ecomm', 'staging', 'db', sha256('x'), '~1')$$, 'PM002', NULL, 'nor for a configuration that is not there');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 2}')$$,
    'and what is written is recorded');
SET LOCAL session_replication_role = origin;
SELECT is((SELECT array_agg(event ORDER BY seq) FROM promote.audit_log WHERE subject = 'ecomm-staging-db'),
          ARRAY['revision.created', 'deployment.created', 'revision.created', 'deployment.created'], 'as ever');

SELECT pg_temp.refuses('UPDATE promote.instance SET ' || a || $$ WHERE name = 'ecomm-staging-db'$$, 'PM303', 'history',
    a)
  FROM unnest(ARRAY['revision = revision + 1', 'revision = 0', 'deployment = 9', $$version_constraint = '~9'$$,
      $$release_channel = 'stable'$$,
                    $$environment = 'prod-uswest'$$, $$component = 'cache'$$, $$project = 'other'$$]) AS a;
SELECT lives_ok($$UPDATE promote.instance SET revision = revision, version_constraint = version_constraint$$,
    'the same value is no change');

-- Configurations are stored once and under their digest, whatever the spelling.
SELECT lives_ok($$INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"x": 1.50, "y": [1e2]}')$$,
    'a configuration');
SELECT throws_ok($$INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"y": [100], "x": 1.5}')$$, '23505',
    NULL, 'is stored once');
SELECT throws_ok($$INSERT INTO promote.config (project, digest, params) VALUES ('ecomm', '\x00', '{}')$$, 'PM303', NULL,
    'its digest is not chosen');
SELECT is(count(*), 0::bigint, 'every digest is that of the params') FROM promote.config
    WHERE digest <> promote.config_digest(project, params);
SELECT throws_ok(format('INSERT INTO promote.config (project, params) VALUES (%L, %L)', 'ecomm', p), state, NULL,
    'not stored: ' || left(p, 30))
  FROM (VALUES ('[]', 'PM101'), ('{"a":' || repeat('1', 10000) || '}', 'PM102'),
      ('{"a":' || repeat('[', 1000) || repeat(']', 1000) || '}', 'PM102')) AS v(p, state);

-- An instance begins without a history, unless its owner loads one.
CREATE ROLE promote_test_registrar;
GRANT INSERT ON promote.instance TO promote_test_registrar;
SET LOCAL ROLE promote_test_registrar;
SELECT throws_ok($$INSERT INTO promote.instance (project, environment, component, revision, version_constraint,
    release_channel) VALUES ('ecomm', 'staging', 'bare', 3, '1.0.0', 'stable')$$,
                 'PM303', NULL, 'one with revisions is refused');
SELECT throws_ok($$INSERT INTO promote.instance (project, environment, component, deployment)
    VALUES ('ecomm', 'staging', 'bare', 3)$$, 'PM303', NULL, 'and one with deployments');
SELECT throws_ok($$INSERT INTO promote.instance (project, environment, component, status)
    VALUES ('ecomm', 'staging', 'bare', 'PROVISIONED')$$, 'PM303', NULL, 'and one that runs');
SELECT throws_ok($$INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'staging', 'bare')$$,
    '42501', NULL, 'an honest one is the owner''s to insert');
RESET ROLE;
SELECT lives_ok($$INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'staging', 'bare')$$,
    '... who is not refused');

-- How tables are stored: what is only appended to is frozen as it grows, and what moves has room or is vacuumed early.
SELECT is((SELECT string_agg(c.relname || ': ' || array_to_string(c.reloptions, ' '), E'\n' ORDER BY c.relname)
    FROM pg_class AS c
            WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r' AND c.reloptions IS NOT NULL),
    'audit_log: autovacuum_vacuum_insert_scale_factor=0.02 autovacuum_freeze_min_age=0
config: autovacuum_vacuum_insert_scale_factor=0.02 autovacuum_freeze_min_age=0
deployment: autovacuum_vacuum_scale_factor=0.05
deployment_log: autovacuum_vacuum_insert_scale_factor=0.02 autovacuum_freeze_min_age=0
health_report: autovacuum_vacuum_insert_scale_factor=0.02 autovacuum_freeze_min_age=0
instance: fillfactor=80
observation: fillfactor=80
planned_change: autovacuum_vacuum_insert_scale_factor=0.02 autovacuum_freeze_min_age=0
revision: autovacuum_vacuum_insert_scale_factor=0.02 autovacuum_freeze_min_age=0', 'how tables are stored');
-- A promotion and its plan move the instance on its page: none of its columns that move may be in an index.
SELECT is_empty($$SELECT i.indexrelid::regclass, a.attname FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid
                     AND (a.attnum = ANY (i.indkey) OR pg_get_expr(i.indpred, i.indrelid) ~ a.attname::text)
                   WHERE i.indrelid = 'promote.instance'::regclass
                     AND a.attname NOT IN ('project', 'environment', 'component', 'name')$$,
                         'what moves of an instance is in no index');
-- While tables are small, PostgreSQL takes any index that begins with a part of a key for as good as that of the whole
-- key, and keeps the plan. Those that begin with less than an instance are partial.
SELECT is((SELECT string_agg(i.indexrelid::regclass::text, ' ' ORDER BY i.indexrelid::regclass::text) FROM pg_index AS i
            WHERE i.indrelid IN ('promote.revision'::regclass, 'promote.deployment'::regclass,
                'promote.audit_log'::regclass)
              AND (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0])
                  = 'project'
              AND pg_get_indexdef(i.indexrelid) !~ '\(project, environment, component' AND NOT i.indisprimary),
    'promote.deployment_finished_idx promote.deployment_queued_idx promote.revision_changed_idx '
    'promote.revision_promoted_idx',
    'indexes that begin with the project alone');
SELECT is_empty($$SELECT i.indexrelid::regclass FROM pg_index AS i
                   WHERE i.indexrelid IN ('promote.deployment_finished_idx'::regclass,
                       'promote.deployment_queued_idx'::regclass, 'promote.revision_changed_idx'::regclass,
                       'promote.revision_promoted_idx'::regclass)
                     AND i.indpred IS NULL$$, '... are partial');

-- ---- plain tables ----
SELECT set_eq('SELECT table_name FROM promote.plain_tables()',
    $$SELECT c.relname::text FROM pg_class AS c WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r'
         AND c.relname <> ALL ('{config,parameter_set,project_key,secret,notice,rule_change}')$$,
    'plain tables can be made of all but what is withheld, and what is for a moment');
SELECT is((SELECT string_agg(table_name, ' ') FROM promote.plain_tables('{secret,nothing,approval}')),
    'approval secret', '... or of those that are named');
CREATE SCHEMA plain;
SELECT lives_ok(replace(definition, 'promote.', 'plain.'), '... of ' || table_name)
  FROM promote.plain_tables((SELECT array_agg(relname::text) FROM pg_class
                              WHERE relnamespace = 'promote'::regnamespace AND relkind = 'r'));
SELECT set_eq($$SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
                  JOIN pg_type AS t ON t.oid = a.atttypid AND t.typnamespace = 'pg_catalog'::regnamespace
                 WHERE c.relnamespace = 'plain'::regnamespace AND c.relkind = 'r' AND a.attnum > 0$$,
    $$SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attgenerated = ''$$,
    'they have all columns but those that are generated, of types that PostgreSQL has');
SELECT set_eq($$SELECT c.relname, pg_get_constraintdef(k.oid)
                  FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
                 WHERE c.relnamespace = 'plain'::regnamespace AND k.contype = 'p'$$,
    $$SELECT c.relname, pg_get_constraintdef(k.oid) FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
       WHERE c.relnamespace = 'promote'::regnamespace AND k.contype = 'p'$$,
    '... and the same keys, by which a subscription finds rows');
SELECT is((SELECT columns FROM promote.plain_tables('{stateful_type}')), 'pattern, description, builtin',
    'a publication can name the columns that are not generated');

SELECT * FROM finish();
ROLLBACK;
