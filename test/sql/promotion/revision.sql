-- What writing a revision records, by whichever way it is written.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'dba';
INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"size": "large"}'), ('ecomm', '{"size": "huge"}'),
    ('ecomm', '{"size": "{{nowhere}}"}'),
    ('ecomm', '{"size": "large", "subnet": "private"}');
CREATE FUNCTION pg_temp.insert_revision(columns text, vals text, params text DEFAULT '{"size": "large"}') RETURNS text
    LANGUAGE sql AS $$
    SELECT format('INSERT INTO promote.revision (project, environment, component, digest, version_constraint%s) VALUES '
        '(%L, %L, %L, %L, %L%s)',
                  ', ' || NULLIF(columns, ''), 'ecomm', 'production', 'db',
                      promote.config_digest('ecomm', params::jsonb), '~1', ', ' || NULLIF(vals, ''))
$$;

-- ---- a DBA's own INSERT ----
SELECT lives_ok(pg_temp.insert_revision('message', quote_literal('by hand')), 'a DBA inserts a revision');
SELECT is(pg_temp.lines($$SELECT revision, origin, release_channel, actor, database_role = current_user, message
    FROM promote.revision WHERE environment = 'production' AND revision = 2$$), '(2,edit,stable,dba,t,"by hand")',
    'its number, author and defaults are filled in');
SELECT is(pg_temp.lines($$SELECT revision, deployment, version_constraint, release_channel FROM promote.instance
    WHERE name = 'ecomm-production-db'$$), '(2,2,~1,stable)', 'the instance moves');
SELECT is(pg_temp.lines($$SELECT action, status, revision, base_revision, version, previous_version,
    jsonb_array_length(diff) FROM promote.deployment WHERE environment = 'production' AND deployment = 2$$),
    '(PLAN,PENDING,2,,1.1.0,,4)', 'a plan is queued');
SELECT is(pg_temp.lines($$SELECT seq, actor, database_role = current_user, event, data ->> 'revision',
    data ->> 'message' FROM promote.audit_log WHERE subject = 'ecomm-production-db' AND seq > 2 ORDER BY seq$$),
    E'(3,dba,t,revision.created,2,"by hand")\n(4,dba,t,deployment.created,2,)', 'both are in the audit log');
SELECT lives_ok(pg_temp.insert_revision('revision, plan', '3, false'), 'the number may be said, a plan be left out');
SELECT is(pg_temp.lines($$SELECT revision, deployment FROM promote.instance WHERE name = 'ecomm-production-db'$$),
    '(3,2)', 'then there is none');

SELECT pg_temp.refuses(pg_temp.insert_revision(c, v, COALESCE(p, '{"size": "large"}')), state, detail, what)
  FROM (VALUES ('revision', '7', NULL, 'PM302', 'next revision is 4', 'a gap'),
      ('revision', '5', NULL, 'PM302', 'next revision is 4', 'one too many'),
               ('actor', $$'eve'$$, NULL, 'PM303', 'who writes', 'another''s name'), ('database_role', $$'eve'$$, NULL,
                   'PM303', 'who writes', 'another role'),
               ('created_at', $$'2001-01-01'$$, NULL, 'PM303', 'when', 'another time'),
                   ('created_at', $$'infinity'$$, NULL, 'PM303', 'when', 'never'),
               ('', '', '{"size": "huge"}', 'PM103', '\.size', 'an invalid configuration'),
                   ('', '', '{"size": "{{nowhere}}"}', 'PM105', 'nowhere', 'a missing parameter')) AS v(c, v, p, state,
                   detail, what);
SELECT pg_temp.refuses(replace(pg_temp.insert_revision('', ''), '~1', '~7'), 'PM202',
    '2\.0\.0, 1\.2\.0-dev\.\d+T\d+Z, 1\.1\.0, 1\.0\.0', 'no release matches');
SELECT throws_ok(pg_temp.insert_revision('revision', '3'), '23505', NULL, 'a revision once');
SELECT throws_ok(pg_temp.insert_revision('', '', '{"never": "stored"}'), '23503', NULL, 'an unknown configuration');
SELECT throws_ok(replace(pg_temp.insert_revision('', ''), '''production''', '''nowhere'''), '23502', NULL,
    'an unknown instance has no next revision');
SELECT throws_ok(pg_temp.insert_revision(c, v), CASE c WHEN 'overrides' THEN 'PM101' ELSE 'PM404' END, NULL,
    c || ' = ' || v)
  FROM (VALUES ('origin', $$'luck'$$), ('origin', $$'promotion'$$), ('release_channel', $$'nightly'$$),
      ('source_environment', $$'staging'$$), ('overrides', $$'1'$$)) AS v(c, v);
SELECT throws_ok(replace(pg_temp.insert_revision('', ''), '~1', 'soon'), 'PM201', NULL, 'no constraint');
-- What is left out has a default; what is said to be NULL has none, and is looked up nowhere.
SELECT throws_ok(format('INSERT INTO promote.revision (project, environment, component, digest, version_constraint, '
    'release_channel) VALUES (%s, %s, %s, %L, %s, %s)',
                        p, e, c, promote.config_digest('ecomm', '{"size": "large"}'), v, r), '23502', NULL,
                            concat_ws(' ', 'NULL among', p, e, c, v, r))
  FROM (VALUES ('NULL', '''production''', '''db''', '''~1''', '''stable'''), ('''ecomm''', 'NULL', '''db''', '''~1''',
      '''stable'''), ('''ecomm''', '''production''', 'NULL', '''~1''', '''stable'''),
               ('''ecomm''', '''production''', '''db''', 'NULL', '''stable'''),
                   ('''ecomm''', '''production''', '''db''', '''~1''', 'NULL'),
                   ('''ecomm''', '''production''', '''db''', 'NULL', 'NULL')) AS v(p, e, c, v, r);
SELECT throws_ok($$INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint)
    SELECT 'ecomm', 'production', 'db', r, promote.config_digest('ecomm', '{"size": "large"}'), '~1'
        FROM generate_series(4, 5) r$$, 'PM302', NULL, 'two for one instance in one statement');

-- ---- immutable values of what runs ----
SELECT ok(pg_temp.deploy('ecomm-production-db') > 0, 'deployed');
SELECT pg_temp.refuses(pg_temp.insert_revision('', '', '{"size": "large", "subnet": "private"}'), 'PM104',
    E'^\\.subnet\n\\.network\\.cidr$|^\\.network\\.cidr\n\\.subnet$|subnet', 'immutable values');
SELECT lives_ok(pg_temp.insert_revision('allow_replace', 'true', '{"size": "large", "subnet": "private"}'),
    'unless it may replace');
SELECT results_eq($$SELECT revision, destructive FROM promote.deployment WHERE environment = 'production'
    ORDER BY deployment DESC LIMIT 1$$, 'VALUES (4, true)', 'which the plan says');

-- ---- many at once ----
INSERT INTO promote.environment (project, environment) SELECT 'ecomm', 't' || t FROM generate_series(1, 300) t;
INSERT INTO promote.instance (project, environment, component) SELECT 'ecomm', 't' || t, 'db'
    FROM generate_series(1, 300) t;
SELECT lives_ok($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'ecomm', 't' || t, 'db', promote.config_digest('ecomm', '{"size": "large"}'), '~1'
        FROM generate_series(1, 300) t$$, 'three hundred in one statement');
SELECT results_eq($$SELECT count(*), count(*) FILTER (WHERE revision = 1 AND deployment = 1) FROM promote.instance
    WHERE environment ~ '^t[0-9]'$$, 'VALUES (300::bigint, 300::bigint)', 'all instances moved');
SELECT is((SELECT count(*) FROM promote.deployment WHERE environment ~ '^t[0-9]'), 300::bigint, 'all have a plan');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE subject ~ '^ecomm-t[0-9]'), 600::bigint,
    'all are in the audit log');
SELECT pg_temp.refuses($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'ecomm', 't' || t, 'db', promote.config_digest('ecomm', CASE t WHEN 250 THEN '{"size": "huge"}'
        ELSE '{"size": "large"}' END::jsonb), '~1.0' FROM generate_series(1, 300) t$$,
    'PM103', '\.size', 'one bad one among them refuses all');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
