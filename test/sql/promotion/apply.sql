-- Applying what one revision changed to another instance.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/as_role.sql
INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'api', v, '{"properties": {"own": {"$md.copyable": false}, "password": {"$md.sensitive": true},
    "size": {"type": "integer"}, "disk": {"$md.immutable": true}, "nodes": {"$md.key": "name", "items": {"type": '
        '"object"}}}}'
  FROM unnest(ARRAY['1.0.0', '1.1.0', '2.0.0']) AS v;
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment, require_proven_release)
    VALUES ('shop', 'dev', false), ('shop', 'staging', false), ('shop', 'production', false);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'api', 'api'), ('shop', 'web', 'api');
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, 'api' FROM unnest(ARRAY['dev', 'staging', 'production']) AS e;
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'dev', 'web');
-- A call, as its numbers and what came out.
CREATE FUNCTION pg_temp.apply(number integer, source text, destination text, choice text DEFAULT NULL,
                              overrides jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', old_revision, new_revision, deployment, changed) FROM promote.apply_revision(
        'shop-' || source || '-api', number, 'shop-' || destination || '-api', on_conflict => choice,
        overrides => $5, plan => false, message => 'applied')
$$;
CREATE FUNCTION pg_temp.state(environment text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', version_constraint, release_channel, params)
      FROM promote.config_as_of('shop-' || environment || '-api', 'infinity')
$$;

-- ---- a hotfix comes back ----
SET LOCAL promote.actor = 'ada';
SELECT promote.configure_instance('shop-staging-api',
    '{"size": 1, "own": "s", "a": {"b": 1, "c": 1}, "password": "hush, hush",
    "nodes": [{"name": "x", "v": 1}]}', '~1.0', plan => false) \g /dev/null
SELECT promote.configure_instance('shop-production-api', '{"own": "p"}', '~1.0', plan => false) \g /dev/null
SELECT promote.promote_instance('shop-staging-api', 'shop-production-api', plan => false) \g /dev/null
SELECT promote.configure_instance('shop-staging-api', '{"a": {"b": 2}, "new": true}', plan => false) \g /dev/null
SELECT promote.configure_instance('shop-production-api',
    '{"size": 5, "own": "q", "a": {"c": null}, "nodes": [{"name": "x",
    "v": 1}, {"name": "y", "v": 2}]}', '~1', message => 'hotfix', plan => false) \g /dev/null
SELECT promote.configure_instance('shop-production-api', '{"other": 1}', plan => false) \g /dev/null
SELECT is(pg_temp.apply(3, 'production', 'staging'), '2 3 t', 'a revision is applied');
SELECT is(pg_temp.state('staging'),
    '~1 stable {"a": {"b": 2}, "new": true, "own": "s", "size": 5, "nodes": [{"v": 1, "name": "x"}, '
    '{"v": 2, "name": "y"}], "password": "hush, hush"}',
    'what it changed, the release included, and nothing else; not what is the destination''s own');
SELECT is(pg_temp.lines($$SELECT origin, source_environment, source_revision, overrides, message, actor
    FROM promote.revision
    WHERE project = 'shop' AND environment = 'staging' AND revision = 3$$), '(merge,production,3,{},applied,ada)',
    'the revision says where it comes from');
SELECT is(pg_temp.lines($$SELECT path, set_in, set_revision, origin FROM promote.blame('shop-staging-api')
    WHERE path IN ('.size', '.new', 'release constraint') ORDER BY path$$),
    '(.new,shop-staging-api,2,edit)
(.size,shop-production-api,3,edit)
("release constraint",shop-production-api,3,edit)', 'and so does its blame');
SELECT is(pg_temp.apply(3, 'production', 'staging'), '3 3 f', 'applied again it changes nothing');
SELECT is(pg_temp.lines($$SELECT old_revision, new_revision, deployment, changed, pg_temp.entries(diff, 4)
    FROM promote.apply_revision('shop-production-api', 4, 'shop-staging-api')$$), '(3,4,1,t,".other add -> 1 4")',
    'a plan is queued unless it is not wanted');

-- ---- the first revision ----
SELECT promote.configure_instance('shop-dev-api', '{"own": "d", "more": 1}', '~1', plan => false) \g /dev/null
SELECT is(pg_temp.apply(1, 'staging', 'dev', 'destination'), '1 2 t', 'the first has nothing before it');
SELECT is(pg_temp.state('dev'),
    '~1 stable {"a": {"b": 1, "c": 1}, "own": "d", "more": 1, "size": 1, "nodes": [{"v": 1, "name": '
    '"x"}], "password": "hush, hush"}', 'and all of it is what it changed');

-- ---- onto itself ----
SELECT promote.configure_instance('shop-dev-api', '{"size": 7, "a": {"b": 9}}', plan => false) \g /dev/null
SELECT promote.configure_instance('shop-dev-api', '{"size": 1, "a": {"b": 1}, "late": 1}', plan => false) \g /dev/null
SELECT is(pg_temp.apply(3, 'dev', 'dev'), '4 5 t', 'what was taken back is applied anew');
SELECT is((SELECT params -> 'size' FROM promote.config_as_of('shop-dev-api', 'infinity')
    WHERE params @> '{"late": 1, "a": {"b": 9}}'),
    '7'::jsonb, 'on top of what was done since');
SELECT is(pg_temp.lines($$SELECT origin, source_environment, source_revision FROM promote.revision
    WHERE project = 'shop' AND environment = 'dev' AND revision = 5$$), '(merge,dev,3)',
        'it comes from the instance itself');

-- ---- conflicts ----
SELECT promote.configure_instance('shop-dev-api', '{"size": 8, "a": {"b": 10}, "password": "quiet, quiet", "x": [1]}',
    '2.0.0',
    plan => false) \g /dev/null
SELECT promote.configure_instance('shop-staging-api', '{"size": 6, "password": "silent, silent"}', '1.1.0',
    plan => false) \g /dev/null
CREATE TEMP TABLE refused ON COMMIT DROP AS SELECT * FROM pg_temp.refusal(
    $$SELECT promote.apply_revision('shop-dev-api', 6, 'shop-staging-api')$$);
SELECT is((SELECT state FROM refused), 'PM109', 'what both changed differently is refused');
SELECT is((SELECT detail FROM refused), 'release constraint: base "~1", source "2.0.0", destination "1.1.0"
.a.b: base 9, source 10, destination 2
.size: base 7, source 8, destination 6
.password: base "(sensitive value)", source "(sensitive value)", destination "(sensitive value)"',
    'all of it at once, with the three values; what is sensitive is masked');
SAVEPOINT conflict;
SELECT is(pg_temp.apply(6, 'dev', 'staging', 'source'), '5 6 t', 'unless the source wins');
SELECT is(pg_temp.lines($$SELECT version_constraint, params -> 'size', params -> 'a' -> 'b', params -> 'x'
    FROM promote.config_as_of('shop-staging-api', 'infinity')$$), '(2.0.0,8,10,[1])', 'its values');
ROLLBACK TO conflict;
SELECT is(pg_temp.apply(6, 'dev', 'staging', 'destination'), '5 6 t', 'or the destination');
SELECT is(pg_temp.lines($$SELECT version_constraint, params -> 'size', params -> 'a' -> 'b', params -> 'x'
    FROM promote.config_as_of('shop-staging-api', 'infinity')$$), '(1.1.0,6,2,[1])',
        'the others are taken all the same');
ROLLBACK TO conflict;
SELECT promote.configure_instance('shop-staging-api', '{}', '~1', plan => false) \g /dev/null
SELECT is(pg_temp.apply(6, 'dev', 'staging', NULL, '{"size": 3, "a": {"b": 3}, "password": "words, words"}'), '6 7 t',
    'or overrides decide');
SELECT is(pg_temp.lines($$SELECT version_constraint, params -> 'size', params -> 'a' -> 'b'
    FROM promote.config_as_of('shop-staging-api', 'infinity')$$), '(2.0.0,3,3)', 'theirs are on top');
SELECT is((SELECT overrides FROM promote.revision WHERE project = 'shop' AND environment = 'staging' AND revision = 7),
    '{"size": "(value)", "a": {"b": "(value)"}, "password": "(value)"}', 'and recorded, but for the values');
ROLLBACK TO conflict;
SELECT promote.configure_instance('shop-staging-api', '{}', '~1', plan => false) \g /dev/null
SELECT is(pg_temp.apply(6, 'dev', 'staging', 'source', '[{"op": "replace", "path": "/size", "value": 4}]'), '6 7 t',
    'a JSON Patch is laid on top');
SELECT is((SELECT params -> 'size' FROM promote.config_as_of('shop-staging-api', 'infinity')), '4'::jsonb,
    '... as well');
ROLLBACK TO conflict;
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('api', '3.0.0', '{"properties": {"token": {"$md.sensitive": true}}}');
SELECT promote.configure_instance('shop-dev-api', '{}', '3.0.0', plan => false) \g /dev/null
SELECT promote.configure_instance('shop-dev-api', '{"token": "deep, deep"}', plan => false) \g /dev/null
SELECT is(pg_temp.apply(8, 'dev', 'staging'), '5 6 t', 'a value that the source''s release alone calls sensitive');
SELECT is(pg_temp.lines($$SELECT new_value, sensitive FROM promote.leaf_history('shop-staging-api', '.token')$$),
    '("""(sensitive value)""",t)', 'stays masked');
ROLLBACK TO conflict;

-- ---- what refuses a promotion refuses this ----
SELECT pg_temp.refuses($$SELECT promote.apply_revision('shop-production-api', 4, 'shop-staging-api',
    expected_revision => 4)$$,
    'PM401', 'is 5', 'another revision than expected');
SELECT pg_temp.refuses($$SELECT promote.apply_revision('shop-dev-api', 6, 'shop-staging-api', on_conflict => 'source',
    overrides => '{"size": "x"}')$$, 'PM103', '\.size', 'what is not valid');
SAVEPOINT before;
SELECT promote.block_release('api', '2.0.0', 'CVE-1') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.apply_revision('shop-dev-api', 6, 'shop-staging-api',
    on_conflict => 'source')$$,
    'PM510', 'CVE-1', 'a release that is blocked');
ROLLBACK TO before;
UPDATE promote.environment SET source_policy = 'path' WHERE project = 'shop' AND environment = 'staging';
SELECT pg_temp.refuses($$SELECT promote.apply_revision('shop-production-api', 4, 'shop-staging-api')$$, 'PM605',
    'takes from where a path leads from', 'without a path where one is needed');
SELECT is(pg_temp.apply(2, 'staging', 'staging'), '5 5 f', 'which it is not from itself');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'dev', 'staging');
SELECT is(pg_temp.apply(6, 'dev', 'staging', 'source'), '5 6 t', 'with one');
ROLLBACK TO before;
SELECT promote.configure_instance('shop-production-api', '{"disk": 1}', plan => false) \g /dev/null
SELECT pg_temp.deploy('shop-production-api') \g /dev/null
SELECT promote.configure_instance('shop-dev-api', '{"disk": 2}', plan => false) \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.apply_revision('shop-dev-api', 7, 'shop-production-api',
    on_conflict => 'source')$$,
    'PM104', '\.disk', 'an immutable value of what runs');
SELECT is((SELECT changed FROM promote.apply_revision('shop-dev-api', 7, 'shop-production-api', on_conflict => 'source',
    allow_replace => true)), true, 'unless it may be replaced');
SELECT promote.decommission_instance('shop-production-api', 'over') \g /dev/null
SELECT pg_temp.work('shop-production-api') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.apply_revision('shop-dev-api', 3, 'shop-production-api')$$, 'PM511',
    'was decommissioned',
    'what was decommissioned');
ROLLBACK TO before;
CREATE ROLE apply_viewer;
CREATE ROLE apply_promoter;
SELECT promote.grant_action('apply_viewer', 'view', 'shop') \g /dev/null
SELECT promote.grant_action('apply_promoter', 'promote', 'shop', 'staging') \g /dev/null
SELECT matches(pg_temp.as_role('apply_viewer',
    $$SELECT promote.apply_revision('shop-production-api', 4, 'shop-staging-api')::text$$),
    '^PM701: .*"promote" for environment "staging"', 'without the grant at the destination');
SELECT matches(pg_temp.as_role('apply_promoter',
    $$SELECT promote.apply_revision('shop-production-api', 4, 'shop-staging-api')::text$$),
    '^PM701: .*"view" for environment "production"', 'without one at the source');
SELECT promote.grant_action('apply_promoter', 'view', 'shop', 'dev') \g /dev/null
SET LOCAL promote.actor = '';
SELECT is(pg_temp.as_role('apply_promoter', $$SELECT changed::text FROM promote.apply_revision('shop-dev-api', 6,
    'shop-staging-api', on_conflict => 'source')$$), 'true', 'with both');

-- ---- bad input ----
SELECT pg_temp.refuses(format('SELECT promote.apply_revision(%L, %L, %L)', a, n, b), state, detail,
    concat_ws(' ', a, n, b))
  FROM (VALUES (NULL, 1, 'shop-dev-api', 'PM001', 'null'), ('shop-dev-api', 1, NULL, 'PM001', 'null'),
               ('shop-dev-api', NULL, 'shop-staging-api', 'PM404', 'null'),
               ('shop-dev-api', 0, 'shop-staging-api', 'PM002', 'from 1 to 6'),
               ('shop-dev-api', 7, 'shop-staging-api', 'PM002', 'from 1 to 6'),
               ('shop-dev-web', 1, 'shop-dev-web', 'PM005', 'no revision'),
               ('shop-dev-api', 1, 'shop-dev-web', 'PM004', 'component "web"'),
               ('shop-nowhere-api', 1, 'shop-dev-api', 'PM002', 'environment'),
               ('shop-dev-api', 1, 'shop-nowhere-api', 'PM002', 'environment'),
               ('ecomm-staging-db', 1, 'ecomm-prod-uswest-db', 'PM005', 'no revision')) AS v(a, n, b, state, detail);
SELECT pg_temp.refuses($$SELECT promote.apply_revision('shop-dev-api', 6, 'shop-staging-api', on_conflict => 'mine')$$,
    'PM404',
    'neither', 'a way to decide that is none');
SELECT pg_temp.refuses($$SELECT promote.apply_revision('shop-dev-api', 6, 'shop-staging-api', overrides => '1')$$,
    'PM101', '',
    'overrides that are none');
INSERT INTO promote.config (project, params) VALUES ('shop', '{"z": 1}');
SELECT pg_temp.refuses($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint,
    origin)
    SELECT 'shop', 'staging', 'api', promote.config_digest('shop', '{"z": 1}'), '~1', 'merge'$$, 'PM404',
        'from a revision',
    'a merge by hand without a source');

-- ---- which conflicts a JSON Patch decides ----
SELECT promote.configure_instance('shop-staging-api', '{"nodes": [{"name": "x", "v": 1}, {"name": "y", "v": 1}]}',
    plan => false), promote.configure_instance('shop-production-api', '{"nodes": [{"name": "x", "v": 1}, {"name": "y",
    "v": 1}]}', plan => false) \g /dev/null
SELECT new_revision AS taken FROM promote.configure_instance('shop-staging-api',
    '{"nodes": [{"name": "x", "v": 2}, {"name": "y", "v": 1}]}', plan => false) \gset
SELECT promote.configure_instance('shop-production-api', '{"nodes": [{"name": "x", "v": 3}, {"name": "y", "v": 1}]}',
    plan => false) \g /dev/null
SELECT pg_temp.refuses(format('SELECT promote.apply_revision(%L, %s, %L, overrides => %L)', 'shop-staging-api', :taken,
    'shop-production-api', patch), 'PM109', 'nodes\[0\]\.v', 'elements that come and go decide nothing: ' || patch)
  FROM (VALUES ('[{"op": "add", "path": "/nodes/-", "value": {"name": "z"}}]'),
               ('[{"op": "remove", "path": "/nodes/1"}]'),
               ('[{"op": "add", "path": "/nodes/0", "value": {"name": "z"}},
                  {"op": "replace", "path": "/nodes/0/v", "value": 9}]')) AS v(patch);
SELECT lives_ok(format('SELECT promote.apply_revision(%L, %s, %L, overrides => %L, plan => false)', 'shop-staging-api',
    :taken, 'shop-production-api', '[{"op": "replace", "path": "/nodes/0/v", "value": 9},
    {"op": "add", "path": "/other", "value": 1}]'), 'a place that is set is decided');

SELECT * FROM finish();
ROLLBACK;
