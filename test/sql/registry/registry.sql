-- The registry: plain DML with its rules, and how a release is found.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

-- ---- releases ----
SELECT pg_temp.refuses(format('INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES (%L, %L, %L)',
    'postgres', '9.0.0', s), 'PM106', place, 'schema ' || s)
  FROM (VALUES ('[]', '#'), ('{"type":"florp"}', '#/type'), ('{"properties":{"a":{"minimum":"x"}}}',
      '#/properties/a/minimum'),
               ('{"properties":{"a":{"$ref":"#/definitions/none"}}}', '#/properties/a'), ('{"$ref":"#"}', '#'),
               ('{"$ref":"x.json"}', '#'), ('{"required":"a"}', '#/required'), ('{"pattern":"("}', '#/pattern')) AS v(s,
                   place);
SELECT throws_ok(format('INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES (%L, %L, %L)',
    'postgres', v, '{}'), CASE WHEN promote.is_version(v) THEN 'PM404' ELSE 'PM201' END, NULL, 'version ' || v)
  FROM unnest(ARRAY['1', '1.2', 'v1.2.3', '1.2.3+build', 'latest', '01.0.0', '']) AS v;
SELECT throws_ok($$INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('postgres', '1.0.0', '{}')$$, '23505', NULL, 'a version once');
SELECT throws_ok($$UPDATE promote.bundle_release SET params_schema = '{"type":1}' WHERE bundle = 'redis'$$, 'PM301',
    NULL, 'a schema that is published stays');
SELECT lives_ok($$UPDATE promote.bundle_release SET published_at = now() WHERE bundle = 'redis'$$,
    'what else a release has does not matter');
SELECT throws_ok($$DELETE FROM promote.bundle_release WHERE bundle = 'postgres' AND version = '1.0.0'$$, '23503', NULL,
    'a release that was planned stays');

-- ---- which release a constraint stands for ----
INSERT INTO promote.bundle VALUES ('many');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'many', v, '{}' FROM unnest(ARRAY['0.9.0', '1.0.0-rc.1', '1.0.0', '1.2.0', '1.2.10', '1.2.9',
    '1.3.0-dev.20260101T000000Z', '1.3.0-dev.20260102T000000Z',
    '1.10.0', '2.0.0-dev.20260101T000000Z', '2.0.0-dev.20260915T101500Z']) AS v;
SELECT is((SELECT version FROM promote.resolve_release('many', c, channel)), expected, c || ' on ' || channel)
  FROM (VALUES ('latest', 'stable', '1.10.0'), ('latest', 'development', '2.0.0-dev.20260915T101500Z'),
      ('~1', 'stable', '1.10.0'),
               ('~1', 'development', '1.10.0'), ('~1.2', 'stable', '1.2.10'), ('~1.3', 'stable', NULL),
                   ('~1.3', 'development', '1.3.0-dev.20260102T000000Z'),
               ('~2', 'stable', NULL), ('~2', 'development', '2.0.0-dev.20260915T101500Z'), ('~0', 'stable', '0.9.0'),
                   ('1.2.9', 'stable', '1.2.9'),
               ('1.2.9', 'development', '1.2.9'), ('1.0.0-rc.1', 'stable', '1.0.0-rc.1'), ('1.2.8', 'stable', NULL),
                   ('~3', 'development', NULL)) AS v(c, channel, expected);
SELECT is((SELECT count(*) FROM promote.resolve_release('empty', 'latest', 'development')), 0::bigint,
    'a bundle without releases');

-- The newest stable release is found through its index however many development builds came after it.
INSERT INTO promote.bundle VALUES ('busy');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'busy', '1.0.' || n, '{}'::jsonb FROM generate_series(1, 100) AS n
UNION ALL SELECT 'busy', '2.0.0-dev.' || n, '{}' FROM generate_series(1, 2000) AS n;
ANALYZE promote.bundle_release;
CREATE FUNCTION pg_temp.rows_read(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, TIMING off, FORMAT json) ' || statement INTO plan;
    RETURN (SELECT sum((n ->> 'Actual Rows')::numeric * (n ->> 'Actual Loops')::numeric +
        COALESCE((n ->> 'Rows Removed by Filter')::numeric, 0))
              FROM jsonb_path_query(plan::jsonb, '$.**') AS n WHERE jsonb_typeof(n) = 'object'
                  AND n ->> 'Relation Name' = 'bundle_release');
END
$$;
SELECT is((SELECT version FROM promote.resolve_release('busy', 'latest', 'stable')), '1.0.100',
    'behind 2000 development builds');
SELECT cmp_ok(pg_temp.rows_read($$SELECT version FROM promote.resolve_release('busy', 'latest', 'stable')$$), '<=',
    2::bigint, 'and no other row is read on the way');
SELECT cmp_ok(pg_temp.rows_read($$SELECT version FROM promote.resolve_release('busy', '~1', 'development')$$), '<=',
    2::bigint, 'nor within a range');

-- ---- instances ----
SELECT throws_ok($$INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'nowhere', 'db')$$,
    '23503', NULL, 'an unknown environment');
SELECT throws_ok($$INSERT INTO promote.instance (project, environment, component)
    VALUES ('other', 'production', 'cache')$$, '23503', NULL, 'an unknown component');
SELECT throws_ok($$INSERT INTO promote.instance (project, environment, component)
    VALUES ('other', 'production', 'db')$$, '23505', NULL, 'an instance once');
SELECT throws_ok($$DELETE FROM promote.instance WHERE name = 'ecomm-staging-db'$$, 'PM301', NULL,
    'an instance with a history stays');
SELECT lives_ok($$DELETE FROM promote.instance WHERE name = 'other-production-db'$$, 'one without may go');
SELECT lives_ok($$UPDATE promote.instance SET attributes = '{"tenant":"acme"}' WHERE name = 'ecomm-staging-db'$$,
    'attributes are a plain column');
SELECT throws_ok(format('UPDATE promote.instance SET %s WHERE name = ''ecomm-staging-db''', a), 'PM303', NULL,
    a || ' is kept by promote')
  FROM unnest(ARRAY['status = ''PROVISIONED''', 'deployed_revision = 1', 'deployed_by = 1', 'changed_by = 1',
      'deployment = 9', 'removed_secrets = ''{}''']) a;
SELECT throws_ok(format('UPDATE promote.%s SET %s', t, a), CASE a WHEN 'max_lost_leases = 0' THEN 'PM404' ELSE 'PM101'
    END, NULL, t || ': ' || a)
  FROM (VALUES ('environment', 'max_lost_leases = 0'), ('instance', $$attributes = '[]'$$),
      ('parameter_set', $$parameters = '1'$$),
               ('environment', $$attributes = 'null'$$), ('project', $$attributes = '[]'$$),
                   ('component', $$attributes = '"x"'$$)) AS v(t, a);

-- Every constraint has a name of its own, every object a comment, every table is dumped.
SELECT is(count(*), 0::bigint, 'no constraint was named by PostgreSQL')
  FROM pg_constraint c WHERE c.connamespace = 'promote'::regnamespace AND c.conname ~ '_(check|fkey|key)[0-9]+$';
SELECT is(array_agg(c.relname ORDER BY 1), NULL, 'every table has a primary key')
  FROM pg_class c WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r'
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p');
SELECT is(array_agg(a.attrelid::regclass || '.' || a.attname), NULL, 'every column of what people read has a comment')
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
   AND col_description(c.oid, a.attnum) IS NULL;
SELECT is(array_agg(c.conname), NULL, 'foreign keys never delete or set anything')
  FROM pg_constraint c WHERE c.connamespace = 'promote'::regnamespace AND c.contype = 'f'
      AND (c.confdeltype <> 'a' OR c.confupdtype <> 'a');
SELECT is(array_agg(c.oid::regclass || '.' || a.attname), NULL,
    'columns are of types that survive pg_upgrade and are written to a dump as they are')
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
   AND COALESCE(NULLIF(t.typbasetype, 0), t.oid)::regtype::text NOT IN ('text', 'integer', 'bigint', 'boolean', 'jsonb',
       'bytea', 'timestamp with time zone', 'text[]',
       'interval', 'tstzrange', 'timestamp without time zone', 'timestamp without time zone[]', 'xid8');

-- ---- which rows of instances make sense: all that there can be of small numbers ----
SELECT results_eq($$
    SELECT count(*), count(*) FILTER (WHERE said), count(*) FILTER (WHERE said IS DISTINCT FROM COALESCE(
               status IN ('INITIALIZED', 'PROVISIONED', 'FAILED', 'DECOMMISSIONED') AND opened BETWEEN 0 AND revision
               AND deployment >= 0
               AND (of_constraint IS NULL) = (revision = opened) AND (channel IS NULL) = (revision = opened)
               AND COALESCE(deployed_revision > opened AND deployed_revision <= revision, true)
               AND COALESCE(deployed_by BETWEEN 1 AND deployment, true)
               AND (deployed_by IS NULL) = (deployed_revision IS NULL) AND (deployed_by IS NULL OR changed_by > 0)
               AND changed_by BETWEEN 0 AND deployment, true))
      FROM unnest(ARRAY['INITIALIZED', 'PROVISIONED', 'FAILED', 'DECOMMISSIONED', 'RUNNING']) AS status,
           generate_series(-1, 2) AS revision, generate_series(-1, 2) AS opened, generate_series(-1, 2) AS deployment,
           unnest(ARRAY[NULL, 'latest']) AS of_constraint, unnest(ARRAY[NULL, 'stable']) AS channel,
           unnest(ARRAY[NULL, -1, 0, 1, 2, 3]) AS deployed_revision, unnest(ARRAY[NULL, -1, 0, 1, 2, 3]) AS deployed_by,
           generate_series(-1, 3) AS changed_by,
           promote_internal.check_instance(status, revision, opened, deployment, of_constraint, channel,
               deployed_revision, deployed_by, changed_by) AS said$$,
    'VALUES (230400::bigint, 224::bigint, 0::bigint)', 'check_instance says what single checks would say');
SELECT is(promote_internal.check_instance(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), false,
    '... and nothing of nothing');
SELECT is((SELECT count(*) FROM pg_constraint WHERE conrelid = 'promote.instance'::regclass
    AND conname = 'instance_check' AND convalidated AND pg_get_constraintdef(oid) = 'CHECK ('
    'promote_internal.check_instance(status, revision, opened_revision, deployment,'
    ' (version_constraint)::text, (release_channel)::text, deployed_revision, deployed_by, changed_by))'), 1::bigint,
    '... of its columns');

SELECT * FROM finish();
ROLLBACK;
