-- Who has set what an instance desires, and what became of each leaf.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/as_role.sql
INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES
    ('api', '1.0.0', '{"properties": {"own": {"$md.copyable": false}, "password": {"$md.sensitive": true}}}'),
    ('api', '1.1.0', '{"properties": {"own": {"$md.copyable": false}, "password": {"$md.sensitive": true},
                       "token": {"$md.sensitive": true}}}');
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment, require_proven_release)
    VALUES ('shop', 'dev', false), ('shop', 'staging', false), ('shop', 'production', false);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'api', 'api'), ('shop', 'web', 'api');
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, c FROM unnest(ARRAY['dev', 'staging', 'production']) AS e, unnest(ARRAY['api', 'web']) AS c;

-- A blame, a line for each leaf: where it was set, by which revision, by whom, its origin and message, and through what
-- it came.
CREATE FUNCTION pg_temp.blame(name text, number integer DEFAULT NULL, leaf text DEFAULT '%') RETURNS text
    LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', b.path, b.value, b.set_in || '/' || b.set_revision, b.actor, b.origin, b.message,
                                CASE WHEN b.sensitive THEN 'masked' END, CASE WHEN b.hidden THEN 'hidden' END,
                                (SELECT string_agg('< ' || (e ->> 'instance') || '/' || (e ->> 'revision'), ' '
                                    ORDER BY n)
                                   FROM jsonb_array_elements(b.through) WITH ORDINALITY AS x (e, n))),
                      E'\n' ORDER BY b.path COLLATE "C")
      FROM promote.blame(name, number) AS b WHERE b.path LIKE leaf
$$;
-- A history, a line for each change.
CREATE FUNCTION pg_temp.history(name text, leaf text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', h.revision, h.path, h.change, h.old_value, '->', h.new_value,
                                CASE WHEN h.sensitive THEN 'masked' END, h.actor, h.origin,
                                h.source || '/' || h.source_revision, h.message), E'\n')
      FROM promote.leaf_history(name, leaf) AS h
$$;
-- Writes a revision by hand.
CREATE FUNCTION pg_temp.write(params jsonb, origin text, source text, number integer, overrides jsonb DEFAULT NULL,
                              environment text DEFAULT 'production') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.config (project, params) VALUES ('shop', params) ON CONFLICT DO NOTHING;
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint, origin,
                                  source_environment, source_revision, overrides, plan)
    SELECT 'shop', $6, 'api', promote.config_digest('shop', params), 'latest', $2, $3, $4, $5, false;
END
$$;

-- ---- what was set here ----
SET LOCAL promote.actor = 'ada';
SELECT promote.configure_instance('shop-dev-api', '{"size": 1, "tags": ["a", "b"], "none": {}, "own": "d"}', '~1.0',
    message => 'begin') \g /dev/null
SET LOCAL promote.actor = 'bob';
SELECT promote.configure_instance('shop-dev-api', '{"size": 2, "tags": ["a", "c"]}', message => 'grow') \g /dev/null
SELECT is(pg_temp.blame('shop-dev-api'), '.none {} shop-dev-api/1 ada edit begin
.own "d" shop-dev-api/1 ada edit begin
.size 2 shop-dev-api/2 bob edit grow
.tags[0] "a" shop-dev-api/1 ada edit begin
.tags[1] "c" shop-dev-api/2 bob edit grow
release channel "stable" shop-dev-api/1 ada edit begin
release constraint "~1.0" shop-dev-api/1 ada edit begin', 'edits set what they change, and nothing else');
SELECT is(pg_temp.blame('shop-dev-api', 1, '.size'), '.size 1 shop-dev-api/1 ada edit begin', 'a former state');
SELECT promote.configure_instance('shop-dev-api', '{"size": 1}', '~1') \g /dev/null
SELECT is(pg_temp.blame('shop-dev-api', NULL, '.size'), '.size 1 shop-dev-api/3 bob edit',
    'what was changed and came back was set anew');
SELECT is(pg_temp.blame('shop-dev-api', NULL, 'release constraint'),
    'release constraint "~1" shop-dev-api/3 bob edit', 'so with the release');
SELECT is((SELECT path FROM promote.blame('shop-dev-api') LIMIT 1), 'release constraint', 'which comes first');
SELECT is((SELECT created_at FROM promote.blame('shop-dev-api') WHERE path = '.size'), (SELECT created_at
    FROM promote.revision WHERE project = 'shop' AND revision = 3), 'when');

-- ---- through promotions ----
SELECT promote.configure_instance('shop-staging-api', '{"own": "s"}', '~1') \g /dev/null
SELECT promote.configure_instance('shop-production-api', '{"own": "p", "left": true}', '~1') \g /dev/null
SELECT promote.promote_instance('shop-dev-api', 'shop-staging-api', '{"tags": ["x", "c"], "more": {"b": 1}}',
    message => 'stage') \g /dev/null
SELECT promote.configure_instance('shop-dev-api', '{"size": 9}', message => 'later') \g /dev/null
SET LOCAL promote.actor = 'cyn';
SELECT promote.promote_instance('shop-staging-api', 'shop-production-api', message => 'ship') \g /dev/null
SELECT is(pg_temp.blame('shop-production-api'),
    '.more.b 1 shop-staging-api/2 bob override stage < shop-production-api/2
.none {} shop-dev-api/1 ada edit begin < shop-production-api/2 < shop-staging-api/2
.own "p" shop-production-api/1 bob edit
.size 1 shop-dev-api/3 bob edit < shop-production-api/2 < shop-staging-api/2
.tags[0] "x" shop-staging-api/2 bob override stage < shop-production-api/2
.tags[1] "c" shop-staging-api/2 bob override stage < shop-production-api/2
release channel "stable" shop-production-api/1 bob edit
release constraint "~1" shop-production-api/1 bob edit',
    'back to where each was first set; overrides and what an instance keeps are its own, and what the source did later '
        'is not told');
SELECT is((SELECT through FROM promote.blame('shop-production-api') WHERE path = '.more.b'),
    (SELECT jsonb_agg(jsonb_build_object('instance', 'shop-production-api', 'revision', 2, 'actor', 'cyn',
        'created_at', created_at)) FROM promote.revision
      WHERE project = 'shop' AND environment = 'production' AND revision = 2),
          'through which revisions, by whom and when');
SELECT promote.promote_instance('shop-staging-api', 'shop-production-api', '{"size": 1}', plan => false) \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '.size'),
    '.size 1 shop-dev-api/3 bob edit < shop-production-api/2 < shop-staging-api/2',
    'who sets what is there already sets nothing');
SELECT promote.configure_instance('shop-production-api', '{"size": 5}', message => 'hotfix') \g /dev/null
SELECT promote.promote_instance('shop-staging-api', 'shop-production-api', message => 'again') \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '.size'),
    '.size 1 shop-dev-api/3 bob edit < shop-production-api/4 < shop-staging-api/2',
        'the last promotion is the one that counts');
SELECT is(pg_temp.blame('shop-production-api', 3, '.size'), '.size 5 shop-production-api/3 cyn edit hotfix',
    'and before it the hotfix');
SELECT promote.promote_instance('shop-production-api', 'shop-dev-api', message => 'back') \g /dev/null
SELECT is(pg_temp.blame('shop-dev-api', NULL, '.size'),
    '.size 1 shop-dev-api/3 bob edit < shop-dev-api/5 < shop-production-api/4 < shop-staging-api/2',
    'a promotion back leads to where it came from, at an older revision');

-- ---- other origins ----
SELECT pg_temp.write('{"size": 3, "own": "f", "more": {"b": 1}}', 'fork', 'staging', 2) \g /dev/null
SELECT is(pg_temp.blame('shop-production-api'),
    '.more.b 1 shop-staging-api/2 bob override stage < shop-production-api/2
.own "f" shop-production-api/5 cyn fork
.size 3 shop-production-api/5 cyn fork
release channel "stable" shop-production-api/1 bob edit
release constraint "latest" shop-production-api/5 cyn fork', 'of a fork what its source has not is its own');
SELECT pg_temp.write('{"size": 1, "own": "p", "more": {"b": 1}}', 'rollback', 'production', 4) \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '.size'),
    '.size 1 shop-dev-api/3 bob edit < shop-production-api/6 < shop-production-api/4 < shop-staging-api/2',
    'a rollback leads to the revision that it brought back, and on from there');
SELECT pg_temp.write('{"size": 9, "own": "p", "more": {"b": 1}}', 'adoption', 'dev', 4) \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '.size'), '.size 9 shop-production-api/7 cyn adoption',
    'an adoption sets what it changes, whatever another instance has');
SELECT pg_temp.write('{"size": 1.0, "own": "q", "more": {"b": 1}}', 'promotion', 'staging', 2, '{"size": null}')
    \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '.size'), '.size 1.0 shop-production-api/8 cyn override',
    'what the overrides set came from them, also if the source has it');
SELECT pg_temp.write('{"size": 1, "own": "p", "more": {"b": 1}}', 'promotion', 'staging', 2) \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '.size'), '.size 1 shop-production-api/8 cyn override',
    'numbers are the same however they are written');
SELECT pg_temp.write('{"a": [1]}', 'edit', NULL, NULL, NULL, 'staging') \g /dev/null
SELECT pg_temp.write('{"a": [1], "b": 1}', 'promotion', 'staging', 3, '{"a": {"x": 1}}') \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '.a%'),
    '.a[0] 1 shop-staging-api/3 cyn edit < shop-production-api/10',
    'an override of something else says nothing of an element');
SELECT is(pg_temp.blame('shop-production-api', NULL, '.b'), '.b 1 shop-production-api/10 cyn promotion',
    'what neither the source has nor an override says is told of the promotion itself');
SELECT pg_temp.write('{"a": {}, "c": {}}', 'edit', NULL, NULL, NULL, 'staging') \g /dev/null
SELECT pg_temp.write('{"a": {}, "c": {}, "d": {}}', 'promotion', 'staging', 4,
                     '{"a": {"x": null}, "d": {"x": null}}') \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '._'), '.a {} shop-production-api/11 cyn override
.c {} shop-staging-api/4 cyn edit < shop-production-api/11
.d {} shop-production-api/11 cyn override', 'overrides that go into what is empty set it');
SELECT pg_temp.write('{"list": [1, 2], "d": {}}', 'edit', NULL, NULL, NULL, 'staging') \g /dev/null
SELECT pg_temp.write('{"list": [1, 2], "d": {}}', 'promotion', 'staging', 5,
                     '[{"op": "replace", "path": "/list/1", "value": 2}]') \g /dev/null
SELECT is(pg_temp.blame('shop-production-api', NULL, '.list%'),
    '.list[0] 1 shop-staging-api/5 cyn edit < shop-production-api/12
.list[1] 2 shop-production-api/12 cyn override', 'of a JSON Patch the places that it names');

-- ---- a pinned promotion ----
SELECT promote.configure_instance('shop-dev-web', '{"size": 1}', '~1.0') \g /dev/null
SELECT promote.configure_instance('shop-staging-web', '{"size": 2}', '~1') \g /dev/null
SELECT pg_temp.deploy('shop-dev-web') \g /dev/null
SELECT promote.promote_instance('shop-dev-web', 'shop-staging-web', pin => true, message => 'pinned') \g /dev/null
SELECT is(pg_temp.blame('shop-staging-web'), '.size 1 shop-dev-web/1 cyn edit < shop-staging-web/2
release channel "stable" shop-staging-web/1 cyn edit
release constraint "1.0.0" shop-staging-web/2 cyn promotion pinned',
    'a version that no source desired was set by the promotion');

-- ---- the history of leaves ----
SELECT is(pg_temp.history('shop-dev-api', '.size'), '5 .size change 9 -> 1 cyn promotion shop-production-api/4 back
4 .size change 1 -> 9 bob edit later
3 .size change 2 -> 1 bob edit
2 .size change 1 -> 2 bob edit grow
1 .size add -> 1 ada edit begin', 'every change of a leaf, the newest first');
SELECT is(pg_temp.history('shop-dev-api', '.tags'),
    '5 .tags[0] change "a" -> "x" cyn promotion shop-production-api/4 back
2 .tags[1] change "b" -> "c" bob edit grow
1 .tags[0] add -> "a" ada edit begin
1 .tags[1] add -> "b" ada edit begin', 'or of all below a place');
SELECT is(pg_temp.history('shop-dev-api', '.["tags"][1]'), pg_temp.history('shop-dev-api', '.tags[1]'),
    'however the path is spelled');
SELECT is(pg_temp.history('shop-dev-api', '.tag'), NULL, 'and of nothing that is only called alike');
SELECT is(pg_temp.history('shop-dev-api', 'release'), '3 release constraint change "~1.0" -> "~1" bob edit
1 release constraint add -> "~1.0" ada edit begin
1 release channel add -> "stable" ada edit begin', 'of the release');
SELECT is(pg_temp.history('shop-dev-api', 'release channel'), '1 release channel add -> "stable" ada edit begin',
    'or of a part of it');
SELECT is(pg_temp.lines($$SELECT path FROM promote.leaf_history('shop-dev-api') WHERE revision = 1$$),
    E'("release constraint")\n("release channel")\n(.own)\n(.none)\n(.size)\n(.tags[0])\n(.tags[1])',
    'of everything without a path');
SELECT is((SELECT count(*) FROM promote.leaf_history('shop-dev-api', '.')), (SELECT count(*)
    FROM promote.leaf_history('shop-dev-api') WHERE path LIKE '.%'), 'the root is all params');
SELECT is(pg_temp.history('shop-production-api', '.left'),
    E'2 .left remove true -> cyn promotion shop-staging-api/2 ship\n1 .left add -> true bob edit',
    'what was removed as well');
SELECT is((SELECT created_at FROM promote.leaf_history('shop-dev-api', '.size') WHERE revision = 3),
    (SELECT created_at FROM promote.revision WHERE project = 'shop' AND environment = 'dev' AND revision = 3), 'when');

-- ---- what must not be seen ----
SELECT promote.configure_instance('shop-dev-web', '{"password": "hush, hush", "note": "hush, hush", "token": "abc"}',
    '1.0.0',
    plan => false) \g /dev/null
SELECT promote.configure_instance('shop-dev-web', '{"password": "quiet"}', plan => false) \g /dev/null
SELECT is(pg_temp.blame('shop-dev-web', NULL, '.password'),
    '.password "(sensitive value)" shop-dev-web/3 cyn edit masked', 'what is sensitive is masked in a blame');
SELECT is(pg_temp.blame('shop-dev-web', 2, '.note'), '.note "(sensitive value)" shop-dev-web/2 cyn edit masked',
    'wherever the value stands');
SELECT is(pg_temp.blame('shop-dev-web', 2, '.token'), '.token "abc" shop-dev-web/2 cyn edit', 'and nothing else');
SELECT is(pg_temp.history('shop-dev-web', '.password'),
    '3 .password change "(sensitive value)" -> "(sensitive value)" masked cyn edit
2 .password add -> "(sensitive value)" masked cyn edit', 'so in a history');
SELECT is(pg_temp.history('shop-dev-web', '.token'), '2 .token add -> "abc" cyn edit', 'and nothing else');
SELECT promote.configure_instance('shop-dev-web', '{}', '1.1.0', plan => false) \g /dev/null
SELECT is(pg_temp.blame('shop-dev-web', 2, '.token'), '.token "(sensitive value)" shop-dev-web/2 cyn edit masked',
    'what is sensitive by now is masked in former states');
SELECT is(pg_temp.history('shop-dev-web', '.token'), '2 .token add -> "(sensitive value)" masked cyn edit',
    '... and changes');
SELECT promote.configure_instance('shop-dev-web', '{"other": 1}', '1.0.0', plan => false) \g /dev/null
SELECT is(pg_temp.blame('shop-dev-web', NULL, '.token'), '.token "(sensitive value)" shop-dev-web/2 cyn edit masked',
    'what was sensitive once stays masked');
SELECT promote.configure_instance('shop-staging-web', '{"token": "xyz"}', '1.1.0', plan => false) \g /dev/null
INSERT INTO promote.config (project, params) VALUES ('shop', '{"token": "xyz"}');
INSERT INTO promote.revision (project, environment, component, digest, version_constraint, origin, source_environment,
                              source_revision, plan)
SELECT 'shop', 'staging', 'web', promote.config_digest('shop', '{"token": "xyz"}'), '1.0.0', 'edit', NULL, NULL, false;
SELECT is(pg_temp.blame('shop-staging-web', NULL, '.token'),
    '.token "(sensitive value)" shop-staging-web/3 cyn edit masked',
        'also where nobody wrote down that it keeps its mark');
SELECT is(pg_temp.history('shop-staging-web', '.token'), '3 .token add -> "(sensitive value)" masked cyn edit',
    'and in the history');
SELECT promote.configure_instance('shop-staging-web', '{"hint": "loud, loud"}', plan => false) \g /dev/null
SELECT is(pg_temp.blame('shop-staging-web', NULL, '.hint'), '.hint "loud, loud" shop-staging-web/5 cyn edit',
    'what is not sensitive is shown');
SELECT promote.configure_instance('shop-staging-web', '{"password": "loud, loud"}', plan => false) \g /dev/null
SELECT is(pg_temp.blame('shop-staging-web', 5, '.hint'),
    '.hint "(sensitive value)" shop-staging-web/5 cyn edit masked', 'until it is what is sensitive by now');

-- ---- who may see what ----
CREATE ROLE blame_viewer;
SELECT promote.grant_action('blame_viewer', 'view', 'shop', 'production') \g /dev/null
SELECT is(pg_temp.as_role('blame_viewer',
    $$SELECT string_agg(concat_ws(' ', path, set_in, set_revision, origin, message,
    hidden, through), E'\n') FROM promote.blame('shop-production-api', 4)$$),
'release constraint shop-production-api 1 edit f []
release channel shop-production-api 1 edit f []
.own shop-production-api 1 edit f []
.more.b shop-production-api 2 promotion ship t []
.none shop-production-api 2 promotion ship t []
.size shop-production-api 4 promotion again t []
.tags[0] shop-production-api 2 promotion ship t []
.tags[1] shop-production-api 2 promotion ship t []', 'the walk ends where the caller may not look, and says so');
SELECT is(pg_temp.as_role('blame_viewer', $$SELECT string_agg(concat_ws(' ', revision, origin, source, source_revision),
    E'\n') FROM promote.leaf_history('shop-production-api', '.size') WHERE revision IN (2, 6)$$),
    E'6 rollback shop-production-api 4\n2 promotion', 'nor does a history name what he may not view');
SELECT is(pg_temp.as_role('blame_viewer', $$SELECT count(*)::text FROM promote.blame('shop-production-api', 8)
    WHERE path = '.size' AND origin = 'override' AND NOT hidden$$), '1', 'what overrides set is not hidden');
SELECT promote.grant_action('blame_viewer', 'view', 'shop', 'staging') \g /dev/null
SELECT is(pg_temp.as_role('blame_viewer', $$SELECT concat_ws(' ', set_in, set_revision, hidden,
    through -> 0 ->> 'instance', jsonb_array_length(through)) FROM promote.blame('shop-production-api', 4)
    WHERE path = '.size'$$), 'shop-staging-api 2 t shop-production-api 1', 'it goes as far as he may look');
SELECT matches(pg_temp.as_role('blame_viewer', format('SELECT count(*)::text FROM promote.%s(%L)', f, 'shop-dev-api')),
    '^PM701: .*view', f || ' without a grant') FROM unnest(ARRAY['blame', 'leaf_history']) AS f;

-- ---- bad input ----
SELECT pg_temp.refuses(call, state, detail, call)
  FROM (VALUES ('SELECT * FROM promote.blame(NULL)', 'PM001', 'null'),
               ('SELECT * FROM promote.leaf_history(NULL)', 'PM001', 'null'),
               ('SELECT * FROM promote.blame(''ecomm-nowhere-db'')', 'PM002', 'environment'),
               ('SELECT * FROM promote.leaf_history(''ecomm-nowhere-db'')', 'PM002', 'environment'),
               ('SELECT * FROM promote.blame(''ecomm-prod-uswest-db'')', 'PM005', 'no revision'),
               ('SELECT * FROM promote.leaf_history(''ecomm-prod-uswest-db'')', 'PM005', 'no revision'),
               ('SELECT * FROM promote.blame(''shop-dev-api'', 0)', 'PM002', 'from 1 to 5'),
               ('SELECT * FROM promote.blame(''shop-dev-api'', 6)', 'PM002', 'from 1 to 5'),
               ('SELECT * FROM promote.leaf_history(''shop-dev-api'', ''size'')', 'PM404', 'neither with a point'),
               ('SELECT * FROM promote.leaf_history(''shop-dev-api'', '''')', 'PM404', 'neither with a point'),
               ('SELECT * FROM promote.leaf_history(''shop-dev-api'', ''release version'')', 'PM404', 'neither'),
               ('SELECT * FROM promote.leaf_history(''shop-dev-api'', ''.a['')', '22023', 'from character 4'))
       AS v(call, state, detail);
SELECT is((SELECT count(*) FROM promote.blame('shop-dev-api', NULL)), 8::bigint,
    'no revision is the one that is desired');

-- ---- a history that was tampered with ----
SET LOCAL session_replication_role = replica;
ALTER TABLE promote.revision DISABLE TRIGGER USER;
UPDATE promote.revision SET source_environment = 'production', source_revision = 2 WHERE project = 'shop'
    AND component = 'api' AND environment = 'staging' AND revision = 2;
SELECT is(pg_temp.blame('shop-production-api', 2, '.none'),
    '.none {} shop-staging-api/2 bob promotion stage < shop-production-api/2', 'is not followed round and round');

SELECT * FROM finish();
ROLLBACK;
