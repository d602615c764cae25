-- Promotion paths: never in a circle, asked for, and followed.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

CREATE FUNCTION pg_temp.path(source text, destination text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
        VALUES ('ecomm', source, destination)
$$;
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'dev'), ('ecomm', 'qa'), ('ecomm', 'e1'),
    ('ecomm', 'e2');

-- ---- cycles ----
SELECT lives_ok($$SELECT pg_temp.path('dev', 'staging'), pg_temp.path('staging', 'production')$$, 'a chain');
SELECT pg_temp.refuses($$SELECT pg_temp.path('production', 'dev')$$, 'PM605',
    '^The cycle is dev -> staging -> production -> dev\.$', 'a row that closes a cycle');
SELECT is((pg_temp.refusal($$SELECT pg_temp.path('production', 'dev')$$)).message,
    'the promotion paths of project "ecomm" would close a cycle', '... is refused in words');
SELECT pg_temp.refuses($$SELECT pg_temp.path('qa', 'qa')$$, 'PM605', '^The cycle is qa -> qa\.$',
    'a path to where it begins');
SELECT pg_temp.refuses($$INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('ecomm', 'e1', 'e2'), ('ecomm', 'qa', 'e1'), ('ecomm', 'e2', 'qa')$$,
    'PM605', '^The cycle is e1 -> e2 -> qa -> e1\.$', 'several rows that close one together');
SELECT is((SELECT count(*) FROM promote.promotion_path), 2::bigint, 'nothing of it is kept');
SELECT lives_ok($$SELECT pg_temp.path('dev', 'qa'), pg_temp.path('qa', 'production'), pg_temp.path('qa', 'e1'),
    pg_temp.path('staging', 'e1')$$, 'branches and joins');
SELECT pg_temp.refuses($$SELECT pg_temp.path('e1', 'dev')$$, 'PM605', '^The cycle is dev -> qa -> e1 -> dev\.$',
    'a cycle through one of the branches');
SELECT pg_temp.refuses($$UPDATE promote.promotion_path SET destination_environment = 'dev'
    WHERE source_environment = 'qa' AND destination_environment = 'e1'$$,
    'PM605', '^The cycle is dev -> qa -> dev\.$', 'a path that is bent into a cycle');
SELECT lives_ok($$UPDATE promote.promotion_path SET destination_environment = 'e2' WHERE source_environment = 'qa'
    AND destination_environment = 'e1'$$, 'one that is bent elsewhere');
SELECT lives_ok($$UPDATE promote.promotion_path SET source_environment = 'e2', destination_environment = 'qa'
    WHERE source_environment = 'qa' AND destination_environment = 'e2'$$, 'or turned round');
SELECT lives_ok($$DELETE FROM promote.promotion_path WHERE source_environment = 'e2'$$, 'or taken away');
SELECT lives_ok($$INSERT INTO promote.promotion_path VALUES ('ecomm', 'e2', 'dev', 'for people'),
    ('ecomm', 'e2', 'e1', NULL)$$, 'what was there does not stay in the way');
SELECT lives_ok($$INSERT INTO promote.environment (project, environment) VALUES ('other', 'dev');
    INSERT INTO promote.promotion_path VALUES ('other', 'production', 'dev')$$, 'another project has paths of its own');
SELECT throws_ok($$SELECT pg_temp.path('dev', 'staging')$$, '23505', NULL, 'a path is there once');
SELECT throws_ok($$SELECT pg_temp.path('dev', 'nowhere')$$, '23503', NULL, 'an environment that is not there');
SELECT throws_ok($$DELETE FROM promote.environment WHERE environment = 'e1'$$, '23503', NULL,
    'one that a path leads to stays');
SET LOCAL session_replication_role = replica;
SELECT pg_temp.refuses($$SELECT pg_temp.path('production', 'dev')$$, 'PM605', 'cycle', 'replicas are checked too');
RESET session_replication_role;
SELECT throws_ok(format('CREATE TRIGGER t %s ON promote.project FOR EACH %s EXECUTE FUNCTION promote_internal.%s(); '
    'UPDATE promote.project SET project = project', t, e, f), '39P01', NULL, f || ' is not for other triggers')
  FROM (VALUES ('AFTER UPDATE', 'ROW', 'lock_project'), ('AFTER UPDATE', 'STATEMENT', 'check_paths')) AS v(t, e, f);
SELECT throws_ok($$CREATE TRIGGER t AFTER DELETE ON promote.promotion_path FOR EACH STATEMENT EXECUTE FUNCTION
    promote_internal.check_paths(); DELETE FROM promote.promotion_path$$, '39P01', NULL,
    'nor for statements without new rows');

-- ---- long chains ----
SAVEPOINT chain;
INSERT INTO promote.environment (project, environment) SELECT 'other', 'c' || n FROM generate_series(1, 3000) AS n;
SELECT lives_ok($$INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    SELECT 'other', 'c' || n, 'c' || n + 1 FROM generate_series(1, 2999) AS n ORDER BY n DESC$$,
    'a chain of thousands');
SELECT matches((pg_temp.refusal($$INSERT INTO promote.promotion_path VALUES ('other', 'c3000', 'c1')$$)).detail,
    '^The cycle is c1 -> c2 -> .* -> c2999 -> c3000 -> c1\.$', 'its cycle is named whole');
SELECT is(pg_temp.lines($$SELECT count(*), max(distance), min(environment) FILTER (WHERE distance = 1)
    FROM promote.upstream_environments('other-c3000')$$), '(2999,2999,c2999)', 'all upstream of its end');
ROLLBACK TO chain;
-- every layer is reached by 2^layers ways
INSERT INTO promote.environment (project, environment) SELECT 'other', format('l%s-%s', l, n)
    FROM generate_series(1, 60) AS l, generate_series(1, 2) AS n;
SELECT lives_ok($$INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    SELECT 'other', format('l%s-%s', l, a), format('l%s-%s', l + 1, b) FROM generate_series(1, 59) AS l,
        generate_series(1, 2) AS a, generate_series(1, 2) AS b$$, 'more ways than could be walked one by one');
SELECT is(pg_temp.lines($$SELECT count(*), max(distance) FROM promote.upstream_environments('other-l60-1')$$),
    '(118,59)', '... each environment once');

-- ---- asking ----
DELETE FROM promote.promotion_path WHERE source_environment = 'e2';
SELECT is(pg_temp.lines($$SELECT * FROM promote.next_environments('ecomm-dev')$$), E'(qa,)\n(staging,)',
    'what is next');
SELECT is(pg_temp.lines($$SELECT * FROM promote.next_environments('ecomm-production')$$), NULL,
    'nothing is next of the last');
UPDATE promote.promotion_path SET description = 'nightly' WHERE source_environment = 'qa';
SELECT is(pg_temp.lines($$SELECT * FROM promote.next_environments('ecomm-qa')$$), '(production,nightly)',
    'with what is said of the path');
SELECT is(pg_temp.lines($$SELECT * FROM promote.upstream_environments('ecomm-production')$$),
    E'(qa,1)\n(staging,1)\n(dev,2)', 'what is upstream');
SELECT pg_temp.path('dev', 'production');
SELECT is(pg_temp.lines($$SELECT * FROM promote.upstream_environments('ecomm-production')$$),
    E'(dev,1)\n(qa,1)\n(staging,1)', 'by the shortest way');
SELECT is(pg_temp.lines($$SELECT * FROM promote.upstream_environments('ecomm-dev')$$), NULL,
    'nothing is upstream of the first');
SELECT pg_temp.path('dev', 'prod-uswest');
SELECT is(pg_temp.lines($$SELECT * FROM promote.upstream_environments('ecomm-prod-uswest')$$), '(dev,1)',
    'a name with dashes');
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s(%L)', f, a), state, detail, f || ': ' || what)
  FROM unnest(ARRAY['next_environments', 'upstream_environments']) AS f, (VALUES
    ('ecomm-nowhere', 'PM002', 'no environment "nowhere"', 'an unknown environment'),
    ('nope-staging', 'PM002', 'no project "nope"', 'an unknown project'),
    ('staging', 'PM001', 'fewer than two parts', 'an environment without its project'),
    ('ecomm-', 'PM001', 'environment is empty', 'a project alone'),
    ('-staging', 'PM001', 'project is empty', 'a name without a project'),
    ('ecomm-Staging', 'PM001', 'Its environment "Staging" holds', 'a malformed environment'),
    ('ecomm-a--b', 'PM001', 'two in a row', 'two dashes'),
    (NULL, 'PM404', 'null or empty', 'no name')) AS v(a, state, detail, what);

-- ---- promoting to what is next ----
SET LOCAL promote.actor = 'ada';
SELECT is(pg_temp.lines($$SELECT destination, old_revision, new_revision, deployment, changed, jsonb_array_length(diff)
    FROM promote.promote_to_next('ecomm-staging-db', '{"replicas": 7}', message => 'on')$$),
    '(ecomm-production-db,1,2,2,t,13)', 'along the only path to where the component is');
SELECT is(pg_temp.lines($$SELECT origin, source_environment, source_revision, overrides, message, plan, actor
    FROM promote.revision WHERE environment = 'production' AND project = 'ecomm' AND revision = 2$$),
    '(promotion,staging,1,"{""replicas"": ""(value)""}",on,t,ada)', '... is a promotion as any other');
SELECT is(pg_temp.lines($$SELECT new_revision, changed
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 7}')$$), '(2,f)',
    '... that promote_instance finds done');
SELECT is(pg_temp.lines($$SELECT new_revision, deployment
    FROM promote.promote_to_next('ecomm-staging-db', plan => false, expected_revision => 2, idempotency_key => 'k')$$),
    '(3,)', 'with the options');
SELECT is(pg_temp.lines($$SELECT new_revision FROM promote.promote_to_next('ecomm-staging-db', plan => false,
    idempotency_key => 'k')$$), '(3)', 'the call that was made before');
SELECT is(pg_temp.lines($$SELECT new_revision FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    plan => false, idempotency_key => 'k')$$), '(3)', '... by either name');
SELECT pg_temp.refuses(format('SELECT promote.promote_to_next(%L, %s)', 'ecomm-staging-db', more), state, detail, more)
  FROM (VALUES ($$"only" => ARRAY['.gone', '.lost']$$, 'PM405', E'^\.gone: neither side has it\n\.lost: neither'),
      ('source_revision => 99', 'PM002', 'source_revision'), ('expected_source_revision => 99', 'PM401', 'would be'),
      ($$source_state => 'running'$$, 'PM508', 'not provisioned')) AS v(more, state, detail);
SELECT pg_temp.refuses($$SELECT promote.promote_to_next('ecomm-staging-db', '{"size": "small"}',
    expected_revision => 9)$$, 'PM401', 'revision is 3', 'an expectation that does not hold');
SELECT lives_ok($$SELECT promote.promote_to_next('ecomm-staging-db', '{"subnet": "other"}', allow_replace => true)$$,
    'which may replace');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'dev', 'db'), ('ecomm', 'dev', 'bare'),
    ('ecomm', 'e1', 'db');
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-dev-db', '{"size": "small", "replicas": 2}', '1.0.0'); END $$;
SELECT pg_temp.refuses($$SELECT promote.promote_to_next('ecomm-dev-db')$$, 'PM605',
    '^They lead to prod-uswest, production, staging\.$', 'several paths');
SELECT matches((pg_temp.refusal($$SELECT promote.promote_to_next('ecomm-dev-db')$$)).hint,
    'promote.promote_instance\(''ecomm-dev-db'', ''ecomm-prod-uswest-db''\)', '... with what to call instead');
SELECT pg_temp.refuses($$SELECT promote.promote_to_next('ecomm-production-db')$$, 'PM605',
    '^There is none out of environment "production" of project "ecomm"\.$', 'no path');
SELECT pg_temp.refuses($$SELECT promote.promote_to_next('ecomm-staging-cache')$$, 'PM005', 'no revision',
    'a source without a revision');
DELETE FROM promote.promotion_path WHERE source_environment = 'dev' AND destination_environment = 'production';
SELECT pg_temp.refuses($$SELECT promote.promote_to_next('ecomm-dev-bare')$$, 'PM605',
    '^There is no component "bare" where the paths lead to: prod-uswest, qa, staging\.$',
    'paths to where the component is not');
SELECT pg_temp.refuses($$SELECT promote.promote_to_next('ecomm-nowhere-db')$$, 'PM002', 'no environment "nowhere"',
    'an unknown instance');
SELECT pg_temp.refuses($$SELECT promote.promote_to_next('nonsense')$$, 'PM001', 'three parts', 'a malformed one');
SELECT pg_temp.refuses($$SELECT promote.promote_to_next(NULL)$$, 'PM001', 'null', 'none');

-- ---- along paths only ----
DELETE FROM promote.promotion_path WHERE source_environment = 'staging' AND destination_environment = 'e1';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-e1-db', '{"size": "small"}', '1.0.0')$$,
    'an environment off the paths');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-e1-db', 'ecomm-production-db')$$,
    'by default promotions may come from anywhere');
SELECT throws_ok($$UPDATE promote.environment SET source_policy = 'some'$$, 'PM404', NULL, 'there are two policies');
UPDATE promote.environment SET source_policy = 'path' WHERE project = 'ecomm' AND environment IN ('production', 'e1');
SELECT pg_temp.refuses(s, 'PM605',
    '^Environment "production" of project "ecomm" takes from where a path leads from: qa, staging\.$', s)
  FROM unnest(ARRAY[$$SELECT promote.promote_instance('ecomm-e1-db', 'ecomm-production-db')$$,
      $$SELECT * FROM promote.preview_promotion('ecomm-e1-db', 'ecomm-production-db')$$,
    $$SELECT promote.promote_instance('ecomm-dev-db', 'ecomm-production-db')$$,
    $$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, origin,
        source_environment, source_revision)
      SELECT project, 'production', component, digest, version_constraint, 'promotion', environment, revision
          FROM promote.revision WHERE environment = 'e1' AND revision = 1$$]) AS s;
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-production-db', 'ecomm-e1-db')$$, 'PM605',
    'there is none to it\.$', 'where no path leads to');
SELECT lives_ok(s, s)
  FROM unnest(ARRAY[$$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$$,
      $$SELECT promote.promote_to_next('ecomm-staging-db')$$,
      $$SELECT * FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db')$$,
    $$SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 1}')$$,
        $$SELECT promote.plan_instance('ecomm-production-db')$$,
    $$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, origin,
        source_environment, source_revision)
      SELECT project, 'production', component, digest, version_constraint, 'promotion', environment, revision
          FROM promote.revision WHERE environment = 'staging' AND revision = 1$$]) AS s;
SELECT ok(pg_temp.deploy('ecomm-production-db') > 0, 'deployed');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 4}')$$,
    'promoted again');
SELECT ok(pg_temp.deploy('ecomm-production-db') > 0, '... and deployed');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 6}')$$,
    'promoted once more');
SELECT ok(pg_temp.work('ecomm-production-db') > 0, '... and planned');
SELECT is_empty($$SELECT * FROM promote.blockers('ecomm-production-db')$$, 'what came along a path may be deployed');
DELETE FROM promote.promotion_path WHERE source_environment = 'staging' AND destination_environment = 'production';
SELECT is(pg_temp.lines($$SELECT * FROM promote.blockers('ecomm-production-db')$$),
    '(path,"there is no promotion path from ""staging"" to ""production"", only from qa",,,"whoever '
    'adds the path, promotes to it from where one leads from, or edits it",f)',
    '... until the path is gone');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-db')$$, 'PM601',
    '^path: there is no promotion path', '... when it is refused');
DELETE FROM promote.promotion_path WHERE destination_environment = 'production';
SELECT is(pg_temp.lines($$SELECT message FROM promote.blockers('ecomm-production-db')$$),
    '("there is no promotion path from ""staging"" to ""production"", and no other")', '... or none is left');
UPDATE promote.environment SET source_policy = 'any' WHERE environment = 'production';
SELECT is_empty($$SELECT * FROM promote.blockers('ecomm-production-db')$$, '... and it has to be one');
UPDATE promote.environment SET source_policy = 'path' WHERE environment = 'production';
SELECT lives_ok($$SELECT promote.rollback_instance('ecomm-production-db')$$,
    'a rollback takes from the instance itself');
-- ---- what came from where nothing may come from any more ----
UPDATE promote.environment SET source_policy = 'any', require_plan = false WHERE environment = 'production';
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 5}') AS p \gset
SELECT pg_temp.path('qa', 'production');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'qa', 'db');
INSERT INTO promote.revision (project, environment, component, digest, version_constraint, release_channel)
SELECT r.project, 'qa', r.component, r.digest, r.version_constraint, r.release_channel FROM promote.revision AS r
  JOIN promote.instance AS i USING (project, environment, component, revision) WHERE i.name = 'ecomm-production-db';
UPDATE promote.environment SET source_policy = 'path' WHERE environment = 'production';
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-db')$$, 'PM601', '^path: ',
    'it is not deployed');
SELECT alike((SELECT liftable_by FROM promote.blockers('ecomm-production-db')),
    '%promotes to it from where one leads from%',
    '... and the blocker says what to do');
SAVEPOINT stuck;
SELECT is((SELECT promotable FROM promote.matrix('ecomm') WHERE instance = 'ecomm-qa-db'), true,
    'the same can be promoted from where a path leads from');
SELECT is(pg_temp.lines($$SELECT changed, new_revision - old_revision FROM promote.promote_instance('ecomm-qa-db',
    'ecomm-production-db')$$),
    '(f,1)', '... which is a new revision, of what is desired already');
SELECT is_empty($$SELECT * FROM promote.blockers('ecomm-production-db')$$, '... that nothing blocks');
SELECT ok(pg_temp.deploy('ecomm-production-db') > 0, '... and that is deployed');
SELECT is(pg_temp.lines($$SELECT changed, new_revision - old_revision FROM promote.promote_instance('ecomm-qa-db',
    'ecomm-production-db')$$),
    '(f,0)', '... once');
ROLLBACK TO stuck;
SELECT is(pg_temp.lines($$SELECT changed, new_revision - old_revision
    FROM promote.configure_instance('ecomm-production-db')$$), '(f,1)',
    'an edit that changes nothing is a way out, too');
SELECT is_empty($$SELECT * FROM promote.blockers('ecomm-production-db')$$, '... that nothing blocks');
SELECT is(pg_temp.lines($$SELECT changed, new_revision - old_revision
    FROM promote.configure_instance('ecomm-production-db')$$), '(f,0)',
    '... once');
SELECT pg_temp.path('staging', 'production');
UPDATE promote.environment SET source_policy = 'path';
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 3}')$$,
    'the source''s own policy does not matter');

SELECT * FROM finish();
ROLLBACK;
