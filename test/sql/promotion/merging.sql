-- Promotions that merge what source and destination have changed.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/as_role.sql
INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'api', v, '{"properties": {"own": {"$md.copyable": false}, "password": {"$md.sensitive": true},
    "size": {"type": "integer", "maximum": 100}, "nodes": {"$md.key": "name", "items": {"type": "object"}}}}'
  FROM unnest(ARRAY['1.0.0', '1.1.0', '2.0.0']) AS v;
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment, require_proven_release)
    VALUES ('shop', 'dev', false), ('shop', 'staging', false), ('shop', 'production', false);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'api', 'api');
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, 'api' FROM unnest(ARRAY['dev', 'staging', 'production']) AS e;

-- A merge, as its numbers and whether anything changed.
CREATE FUNCTION pg_temp.merge(source text, destination text, overrides jsonb DEFAULT '{}', choice text DEFAULT NULL,
                              places text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', old_revision, new_revision, deployment, changed) FROM promote.promote_instance(
        'shop-' || $1 || '-api', 'shop-' || $2 || '-api', $3, plan => false, "only" => $5, mode => 'merge',
        on_conflict => $4)
$$;
CREATE FUNCTION pg_temp.edit(environment text, patch jsonb, version_constraint text DEFAULT NULL) RETURNS integer
LANGUAGE sql AS $$
    SELECT new_revision FROM promote.configure_instance('shop-' || $1 || '-api', $2, $3, plan => false)
$$;
-- The rows of its preview of a kind, a line each.
CREATE FUNCTION pg_temp.preview(source text, destination text, kinds text, overrides jsonb DEFAULT '{}',
                                choice text DEFAULT NULL, places text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', kind, path, change, old_value, '->', new_value, '<-' || base_value::text, origin,
                                problem), E'\n')
      FROM promote.preview_promotion('shop-' || $1 || '-api', 'shop-' || $2 || '-api', $4, "only" => $6,
          mode => 'merge',
                                     on_conflict => $5)
     WHERE kind ~ kinds AND change IS DISTINCT FROM 'none'
$$;
CREATE FUNCTION pg_temp.desired(environment text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', version_constraint, release_channel, params)
      FROM promote.config_as_of('shop-' || environment || '-api', 'infinity')
$$;

-- ---- where nothing was promoted yet ----
SELECT pg_temp.edit('staging', '{"size": 1, "own": "s", "a": {"b": 1, "c": 1}, "password": "hush, hush",
    "nodes": [{"name": "x", "v": 1}]}', '~1.0') \g /dev/null
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production')$$, 'PM110', 'Neither was ever promoted',
    'a first promotion that is to merge');
SELECT pg_temp.edit('production', '{"own": "p", "mine": 1}', '~1.0') \g /dev/null
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production')$$, 'PM110', 'Neither was ever promoted',
    'and one to what was configured by hand');
SELECT pg_temp.refuses($$SELECT pg_temp.preview('staging', 'production', '')$$, 'PM110', 'Neither was ever promoted',
    'its preview');
SELECT changed FROM promote.promote_instance('shop-staging-api', 'shop-production-api', '{"mine": 1}', plan => false)
\g /dev/null

-- ---- what either side changed ----
SELECT pg_temp.edit('staging',
    '{"a": {"b": 2}, "new": true, "own": "t", "nodes": [{"name": "w"}, {"name": "x", "v": 1}]}')
\g /dev/null
SELECT pg_temp.edit('production', '{"size": 5, "own": "q", "a": {"c": null},
    "nodes": [{"name": "x", "v": 2}, {"name": "y"}]}', '~1') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'release|param|conflict|violation'),
    'release release version keep "1.1.0" -> "1.1.0" destination
release release constraint keep "~1" -> "~1" destination
param .a.b change 1 -> 2 source
param .new add -> true source
param .nodes[0].v remove 2 -> source
param .nodes[0].name change "x" -> "w" source
param .nodes[1].v add -> 2 destination
param .nodes[1].name change "y" -> "x" source
param .nodes[2].name add -> "y" destination
param .a.c keep -> destination
param .own keep "q" -> "q" destination
param .mine keep 1 -> 1 destination
param .size keep 5 -> 5 destination',
    'the preview shows what is taken, and what stays');
SELECT is(pg_temp.merge('staging', 'production'), '3 4 t', 'is merged');
SELECT is(pg_temp.desired('production'), '~1 stable {"a": {"b": 2}, "new": true, "own": "q", "mine": 1, "size": 5, '
    '"nodes": [{"name": "w"}, {"v": 2, "name": "x"}, {"name": "y"}], "password": "hush, hush"}',
    'the source''s changes are taken, the destination''s stay: an override of the last promotion, too');
SELECT is(pg_temp.lines($$SELECT origin, source_environment, source_revision, mode, "only", pinned_version
    FROM promote.revision WHERE project = 'shop' AND environment = 'production' AND revision IN (2, 4)
    ORDER BY revision$$), '(promotion,staging,1,replace,,)
(promotion,staging,2,merge,,)', 'the revision says how it was promoted');
SELECT is(pg_temp.merge('staging', 'production'), '4 4 f', 'merged again it changes nothing');
SELECT is(pg_temp.preview('staging', 'production', '^(?!param)|x'),
    'release release version keep "1.1.0" -> "1.1.0" destination
release release constraint keep "~1" -> "~1" destination', '... which the preview shows');

-- ---- conflicts ----
SELECT pg_temp.edit('staging', '{"size": 6, "a": {"b": 3}, "password": "quiet, quiet", "later": 1}', '1.1.0')
    \g /dev/null
SELECT pg_temp.edit('production', '{"size": 7, "a": {"b": null}, "password": "silent, silent"}', '1.0.0') \g /dev/null
CREATE TEMP TABLE refused ON COMMIT DROP AS
SELECT * FROM pg_temp.refusal($$SELECT pg_temp.merge('staging', 'production')$$);
SELECT is((SELECT state FROM refused), 'PM109', 'what both have changed differently is refused');
SELECT is((SELECT detail FROM refused), 'release constraint: base "~1.0", source "1.1.0", destination "1.0.0"
.a.b: base 2, source 3, destination missing
.size: base 1, source 6, destination 7
.password: base "(sensitive value)", source "(sensitive value)", destination "(sensitive value)"',
    'the release and params in one, with the three values; what is sensitive is masked');
SELECT is(pg_temp.preview('staging', 'production', 'conflict|violation'),
    'conflict release constraint "1.0.0" -> "1.1.0" <-"~1.0"
conflict .a.b -> 3 <-2
conflict .size 7 -> 6 <-1
conflict .password "(sensitive value)" -> "(sensitive value)" <-"(sensitive value)"',
    'the preview shows the same as rows');
SELECT is(pg_temp.preview('staging', 'production', 'param|release'),
    'release release version keep "1.0.0" -> "1.0.0" destination
release release constraint keep "1.0.0" -> "1.0.0" destination
param .a remove {} -> source
param .a.b add -> 3 source
param .later add -> 1 source
param .a.c keep -> destination
param .own keep "q" -> "q" destination
param .mine keep 1 -> 1 destination
param .size keep 7 -> 7 destination
param .nodes[1].v keep 2 -> 2 destination
param .nodes[2].name keep "y" -> "y" destination
param .password keep "(sensitive value)" -> "(sensitive value)" destination',
    '... with everything else, and the destination''s, if it has one, where nobody has decided');
SELECT is((SELECT array_agg(path ORDER BY path) FROM promote.preview_promotion('shop-staging-api',
    'shop-production-api', mode => 'merge') WHERE kind = 'conflict' AND sensitive), ARRAY['.password'],
    '... which says what is masked');
SAVEPOINT conflict;
SELECT is(pg_temp.preview('staging', 'production', 'conflict', choice => 'source'), NULL, 'the source may win');
SELECT is(pg_temp.merge('staging', 'production', choice => 'source'), '5 6 t', '...');
SELECT is(pg_temp.lines($$SELECT version_constraint, params - 'nodes' - 'own'
    FROM promote.config_as_of('shop-production-api', 'infinity')$$),
    '(1.1.0,"{""a"": {""b"": 3}, ""new"": true, ""mine"": 1, ""size"": 6, ""later"": 1, '
    '""password"": ""quiet, quiet""}")', '... with its values');
ROLLBACK TO conflict;
SELECT is(pg_temp.merge('staging', 'production', choice => 'destination'), '5 6 t', 'or the destination');
SELECT is(pg_temp.lines($$SELECT version_constraint, params - 'nodes' - 'own'
    FROM promote.config_as_of('shop-production-api', 'infinity')$$),
    '(1.0.0,"{""a"": {}, ""new"": true, ""mine"": 1, ""size"": 7, ""later"": 1, ""password"": ""silent, silent""}")',
    '... and the rest is taken all the same');
SELECT is(pg_temp.merge('staging', 'production'), '6 6 f', 'what was decided is not asked again');
SELECT pg_temp.edit('staging', '{"size": 8}') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict'), 'conflict .size 7 -> 8 <-6', 'until it changes again');
SELECT is(pg_temp.merge('staging', 'production', choice => 'destination'), '6 7 f',
    'where nothing changes the decision is written down all the same');
SELECT is(pg_temp.merge('staging', 'production'), '7 7 f', '... once');
ROLLBACK TO conflict;
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production',
    '{"size": 9, "a": {"b": 9}, "password": "words, words"}')$$, 'PM109', '^release constraint: [^\n]*$',
    'overrides, which cannot name the release');
SELECT is(pg_temp.merge('staging', 'production', '{"size": 9}', 'source'), '5 6 t', 'may decide what they set');
SELECT is(pg_temp.lines($$SELECT version_constraint, params -> 'size', params -> 'a' -> 'b'
    FROM promote.config_as_of('shop-production-api', 'infinity')$$), '(1.1.0,9,3)', '..., on top of the choice');
ROLLBACK TO conflict;

-- ---- named places alone ----
SELECT is(pg_temp.preview('staging', 'production', 'conflict', places => ARRAY['.later', '.a']),
    'conflict .a.b -> 3 <-2', 'of named places alone, only their conflicts');
SELECT is(pg_temp.preview('staging', 'production', 'conflict', places => ARRAY['.later', 'release']),
    'conflict release constraint "1.0.0" -> "1.1.0" <-"~1.0"', 'or that of the release');
SELECT is(pg_temp.merge('staging', 'production', places => ARRAY['.later']), '5 6 t', 'what is elsewhere is none');
SELECT is(pg_temp.lines($$SELECT version_constraint, params -> 'size', params -> 'later'
    FROM promote.config_as_of('shop-production-api', 'infinity')$$), '(1.0.0,7,1)', 'these are taken, and no others');
SELECT is(pg_temp.lines($$SELECT mode, "only", source_revision FROM promote.revision
    WHERE project = 'shop' AND environment = 'production' AND revision = 6$$), '(merge,{.later},3)',
    'which the revision says');
SELECT pg_temp.edit('production', '{"later": 2}') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict', places => ARRAY['.later', '.size']),
    'conflict .size 7 -> 6 <-1', 'from then on they start from what was taken, all else from before');
SELECT pg_temp.edit('staging', '{"later": 3}') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict', places => ARRAY['.later']),
    'conflict .later 2 -> 3 <-1', '...');
SELECT is(pg_temp.merge('staging', 'production', choice => 'destination', places => ARRAY['.later']), '7 8 f',
    'a decision about them is written down');
SELECT is(pg_temp.merge('staging', 'production', places => ARRAY['.later']), '8 8 f', '... once');
SELECT is(pg_temp.merge('staging', 'production', places => ARRAY['release'], choice => 'source'), '8 9 t',
    'the release alone');
SELECT is(pg_temp.merge('staging', 'production', places => ARRAY['release']), '9 9 f', '... is asked once');
SELECT pg_temp.edit('production', '{}', '~1') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict', places => ARRAY['release']), NULL,
    '... and starts from there');
SELECT is(pg_temp.merge('staging', 'production', places => ARRAY['release']), '10 10 f', '...');
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production', places => ARRAY['.nothing', '.own'])$$, 'PM405',
    '\.nothing: neither side has it\n\.own: it is not copyable', 'what cannot be taken');
SELECT is(pg_temp.merge('staging', 'production', '{"size": 11}', places => ARRAY['.later']), '10 11 t',
    'overrides may set what is not named');
SELECT is((SELECT params -> 'size' FROM promote.config_as_of('shop-production-api', 'infinity')), '11', '... on top');
ROLLBACK TO conflict;

-- ---- a way back ----
SELECT is(pg_temp.merge('production', 'staging', choice => 'source'), '3 4 t', 'the way back is a merge, too');
SELECT is(pg_temp.desired('staging'), '1.0.0 stable {"a": {}, "new": true, "own": "t", "mine": 1, "size": 7, '
    '"later": 1, "nodes": [{"name": "w"}, {"v": 2, "name": "x"}, {"name": "y"}], "password": "silent, silent"}',
    'of what was changed there since the last way');
SELECT pg_temp.edit('staging', '{"size": 8}') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict'), NULL, 'and then the way starts from there');
SELECT is(pg_temp.merge('staging', 'production'), '5 6 t', '...');
SELECT is((SELECT params -> 'size' FROM promote.config_as_of('shop-production-api', 'infinity')), '8', '...');
SELECT pg_temp.edit('production', '{"size": 9}') \g /dev/null
SELECT is((SELECT concat_ws(' ', old_revision, new_revision, changed)
    FROM promote.promote_instance('shop-production-api', 'shop-staging-api', "only" => ARRAY['.size'], plan => false)),
    '5 6 t', 'a part of it, by whatever mode');
SELECT pg_temp.edit('staging', '{"size": 10}') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict|param'), 'param .size change 9 -> 10 source
param .own keep "q" -> "q" destination', '... is what that part starts from');
ROLLBACK TO conflict;

-- ---- what moves nothing ----
SELECT promote.apply_revision('shop-staging-api', 3, 'shop-production-api', on_conflict => 'destination',
    plan => false) \g /dev/null
SELECT pg_temp.deploy('shop-production-api') \g /dev/null
SELECT pg_temp.edit('production', '{"later": 5}') \g /dev/null
SELECT promote.rollback_instance('shop-production-api', 6, 'back', plan => false) \g /dev/null
SELECT is((SELECT array_agg(path) FROM promote.preview_promotion('shop-staging-api', 'shop-production-api',
    mode => 'merge') WHERE kind = 'conflict'), ARRAY['release constraint', '.a.b', '.size', '.password'],
    'neither applying revisions nor rolling back does: what stays is the destination''s');
ROLLBACK TO conflict;

-- ---- which mode ----
UPDATE promote.environment SET promotion_mode = 'merge' WHERE project = 'shop' AND environment = 'production';
SELECT pg_temp.refuses($$SELECT promote.promote_instance('shop-staging-api', 'shop-production-api')$$, 'PM109', 'size',
    'an environment may say that it is merged');
SELECT is((SELECT count(*) FROM promote.preview_promotion('shop-staging-api', 'shop-production-api')
    WHERE kind = 'conflict'), 4::bigint, '... to previews as well');
SELECT is((SELECT changed FROM promote.promote_instance('shop-staging-api', 'shop-production-api', plan => false,
    on_conflict => 'source')), true, '... and then on_conflict needs no mode');
SELECT is((SELECT mode FROM promote.revision WHERE project = 'shop' AND environment = 'production' AND revision = 6),
    'merge', '... and the revision says so');
ROLLBACK TO conflict;
UPDATE promote.environment SET promotion_mode = 'merge' WHERE project = 'shop' AND environment = 'production';
SELECT is((SELECT changed FROM promote.promote_instance('shop-staging-api', 'shop-production-api', plan => false,
    mode => 'replace')), true, 'the call goes first');
SELECT is(pg_temp.lines($$SELECT mode, params ? 'mine' FROM promote.revision JOIN promote.config
    USING (project, digest) WHERE project = 'shop' AND environment = 'production' AND revision = 6$$), '(replace,f)',
    '...');
UPDATE promote.environment SET promotion_mode = 'merge' WHERE project = 'shop' AND environment = 'dev';
SELECT is((SELECT new_revision FROM promote.promote_instance('shop-staging-api', 'shop-dev-api', '{"own": "d"}',
    plan => false, on_conflict => 'source')), 1,
    'what has no configuration is promoted to as ever where nobody asks for more');
SELECT is((SELECT mode FROM promote.revision WHERE project = 'shop' AND environment = 'dev' AND revision = 1),
    'replace', '...');
SELECT pg_temp.edit('staging', '{"size": 12}') \g /dev/null
SELECT is((SELECT new_revision FROM promote.promote_instance('shop-staging-api', 'shop-dev-api', plan => false)), 2,
    '... which later merges start from');
SELECT is((SELECT mode FROM promote.revision WHERE project = 'shop' AND environment = 'dev' AND revision = 2), 'merge',
    '...');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'staging', 'dev');
SELECT pg_temp.edit('dev', '{"mine": 2}') \g /dev/null
SELECT is((SELECT changed FROM promote.promote_to_next('shop-staging-api', mode => 'replace', plan => false)), true,
    'promote_to_next has it, too');
SELECT is((SELECT params ? 'mine' FROM promote.config_as_of('shop-dev-api', 'infinity')), false, '...');
ROLLBACK TO conflict;
SELECT pg_temp.refuses(format('SELECT promote.%s(''shop-staging-api'', ''shop-production-api'', %s)', f, a), 'PM404',
    d, f || ' ' || a)
  FROM unnest(ARRAY['promote_instance', 'preview_promotion']) AS f,
       (VALUES ('mode => ''mine''', 'neither replace nor merge'),
               ('mode => ''merge'', on_conflict => ''mine''', 'neither ''source'' nor'),
               ('mode => ''replace'', on_conflict => ''source''', 'mode of the call'),
               ('on_conflict => ''source''', 'promotion_mode of the destination')) AS v(a, d);
SELECT throws_ok($$UPDATE promote.environment SET promotion_mode = 'sometimes' WHERE project = 'shop'$$, 'PM404', NULL,
    'no other mode is the rule');

-- ---- keys ----
SELECT is((SELECT new_revision FROM promote.promote_instance('shop-staging-api', 'shop-production-api', plan => false,
    idempotency_key => 'k', mode => 'merge', on_conflict => 'source')), 6, 'a call with a key');
SELECT is((SELECT new_revision FROM promote.promote_instance('shop-staging-api', 'shop-production-api', plan => false,
    idempotency_key => 'k', mode => 'merge', on_conflict => 'source')), 6, '... is recognized');
SELECT pg_temp.refuses(format($$SELECT promote.promote_instance('shop-staging-api', 'shop-production-api',
    plan => false, idempotency_key => 'k'%s)$$, a), 'PM402', 'other arguments', 'with' || a)
  FROM unnest(ARRAY['', ', mode => ''merge''', ', mode => ''merge'', on_conflict => ''destination''']) AS a;
ROLLBACK TO conflict;

-- ---- former revisions ----
SELECT is(pg_temp.lines($$SELECT path, change FROM promote.preview_promotion('shop-staging-api',
    'shop-production-api', source_revision => 1, mode => 'merge') WHERE change IN ('add', 'change', 'remove')
    AND path !~ '^\.(nodes|a)'$$), '(.new,remove)', 'a former revision of the source takes back what came since');
ROLLBACK TO conflict;

-- ---- pinned to what runs ----
SELECT pg_temp.edit('staging', '{"size": 1}', '~1.0') \g /dev/null
SELECT pg_temp.deploy('shop-staging-api') \g /dev/null
UPDATE promote.environment SET version_policy = 'pinned', promotion_mode = 'merge'
 WHERE project = 'shop' AND environment = 'production';
SELECT promote.promote_instance('shop-staging-api', 'shop-production-api', mode => 'replace', plan => false)
\g /dev/null
SELECT is(pg_temp.lines($$SELECT version_constraint, pinned_version FROM promote.revision
    WHERE project = 'shop' AND environment = 'production' AND revision = 6$$), '(1.0.0,1.0.0)',
    'where versions are pinned');
SELECT is(pg_temp.preview('staging', 'production', 'conflict|release'), NULL,
    'merging compares them, and not constraints');
SELECT is(pg_temp.merge('staging', 'production'), '6 6 f', '...');
SAVEPOINT once;
UPDATE promote.environment SET version_policy = 'constraint' WHERE project = 'shop' AND environment = 'production';
SELECT pg_temp.edit('production', '{}', '2.0.0') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict|release'),
    'release release version keep "2.0.0" -> "2.0.0" destination
release release constraint keep "2.0.0" -> "2.0.0" destination',
    'if they are no longer pinned, constraints are compared: one that has not moved is no conflict');
ROLLBACK TO once;
SELECT pg_temp.edit('staging', '{}', '1.1.0') \g /dev/null
SELECT pg_temp.deploy('shop-staging-api') \g /dev/null
SAVEPOINT pinned;
SELECT is(pg_temp.merge('staging', 'production'), '6 7 t', 'what runs at the source moves them');
SELECT is(pg_temp.lines($$SELECT mode, version_constraint, pinned_version FROM promote.revision
    WHERE project = 'shop' AND environment = 'production' AND revision = 7$$), '(merge,1.1.0,1.1.0)', '...');
SELECT pg_temp.edit('production', '{}', '2.0.0') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict|release'),
    'release release version keep "2.0.0" -> "2.0.0" destination
release release constraint keep "2.0.0" -> "2.0.0" destination',
    'and the destination keeps another one as long as not');
SELECT is(pg_temp.merge('staging', 'production'), '8 8 f', '...');
ROLLBACK TO pinned;
SELECT pg_temp.edit('production', '{}', '2.0.0') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict'),
    'conflict release constraint "2.0.0" -> "1.1.0" <-"1.0.0"', 'where both have moved that is a conflict');
SELECT is(pg_temp.merge('staging', 'production', choice => 'destination'), '7 8 f', '... which is decided once');
SELECT is(pg_temp.preview('staging', 'production', 'conflict'), NULL, '...');
ROLLBACK TO pinned;
UPDATE promote.environment SET version_policy = 'constraint' WHERE project = 'shop' AND environment = 'production';
SELECT pg_temp.edit('staging', '{}', '~1') \g /dev/null
SELECT is(pg_temp.merge('staging', 'production'), '6 7 t', 'where they are not pinned any more');
SELECT is((SELECT version_constraint FROM promote.config_as_of('shop-production-api', 'infinity')), '~1',
    'the constraint is taken unless the destination has changed the version');
UPDATE promote.environment SET version_policy = 'pinned' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.merge('staging', 'production'), '7 8 t', 'and the version again where they are');
SELECT pg_temp.edit('staging', '{}', '~1.1') \g /dev/null
SELECT is(pg_temp.merge('staging', 'production'), '8 8 f', 'a constraint that leads to what runs is no change');
ROLLBACK TO conflict;

-- ---- what a preset fills in ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, presets)
SELECT bundle, '1.2.0', params_schema || '{"required": ["own"]}', '{"big": {"own": "preset", "size": 99}}'
  FROM promote.bundle_release WHERE bundle = 'api' AND version = '1.0.0';
SELECT pg_temp.edit('production', '{"own": null}') \g /dev/null
SELECT pg_temp.edit('staging', '{}', '1.2.0') \g /dev/null
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production', choice => 'source')$$, 'PM103', 'own',
    'what a new release wants and is not copyable');
SELECT is((SELECT changed FROM promote.promote_instance('shop-staging-api', 'shop-production-api', plan => false,
    mode => 'merge', on_conflict => 'source', preset => 'big')), true, 'comes from a preset');
SELECT is((SELECT params - 'nodes' FROM promote.config_as_of('shop-production-api', 'infinity')),
    '{"a": {"b": 3}, "new": true, "own": "preset", "mine": 1, "size": 6, "later": 1, "password": "quiet, quiet"}',
    '..., and nothing else does');
ROLLBACK TO conflict;

-- ---- elements of arrays ----
SELECT pg_temp.edit('staging', '{"nodes": [{"name": "w"}, {"name": "x", "v": 1}, {"name": "u"}]}') \g /dev/null
SELECT pg_temp.edit('production', '{"nodes": [{"name": "y"}, {"name": "w"}, {"name": "x", "v": 1}]}') \g /dev/null
SELECT is((SELECT string_agg(line, E'\n') FROM regexp_split_to_table(pg_temp.preview('staging', 'production', 'param',
    choice => 'source'), '\n') AS line WHERE line LIKE '%nodes%'), 'param .nodes[3].name add -> "u" source
param .nodes[0].name keep "y" -> "y" destination', 'previews tell whose elements are, wherever these stand');
ROLLBACK TO conflict;

-- ---- arrays without keys ----
SELECT pg_temp.edit('staging', '{"nodes": [{"name": "x"}, {"name": "x"}]}') \g /dev/null
SELECT pg_temp.edit('production', '{"nodes": [{"name": "x"}]}') \g /dev/null
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production', choice => 'source')$$, 'PM108',
    '\.nodes: The source''s elements 0 and 1 have the same "name"', 'elements that cannot be told apart');
SELECT is(pg_temp.preview('staging', 'production', 'violation'),
    'violation .nodes -> The source''s elements 0 and 1 have the same "name".', '... are a violation in the preview');
SELECT is(pg_temp.preview('staging', 'production', 'violation', places => ARRAY['.later']), NULL,
    '... unless other places are named');
ROLLBACK TO conflict;

-- ---- those who may only view ----
CREATE ROLE merging_viewer;
SELECT promote.grant_action('merging_viewer', 'view', 'shop') \g /dev/null
SET LOCAL promote.actor = '';
CREATE FUNCTION pg_temp.guess(password text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(x::text, E'\n') FROM promote.preview_promotion('shop-staging-api', 'shop-production-api',
        jsonb_build_object('password', $1), mode => 'merge') AS x
$$;
SELECT is(pg_temp.as_role('merging_viewer', $$SELECT pg_temp.guess('silent, silent')$$),
    pg_temp.as_role('merging_viewer', format('SELECT pg_temp.guess(%L)', v)), 'the preview confirms no guess: ' || v)
  FROM unnest(ARRAY['quiet, quiet', 'hush, hush', 'anything else']) AS v;
SELECT matches(pg_temp.as_role('merging_viewer', $$SELECT pg_temp.guess('hush, hush')$$), 'conflict,.size,,7,6', '...');
ROLLBACK TO conflict;

-- ---- what was sensitive ----
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('api', '3.0.0', '{}'), ('api', '3.1.0', '{}');
SELECT pg_temp.edit('staging', '{"password": "first, first"}', '1.1.0') \g /dev/null
SELECT pg_temp.merge('staging', 'production', choice => 'source') \g /dev/null
SELECT pg_temp.edit('staging', '{"password": null}', '3.0.0') \g /dev/null
SELECT pg_temp.edit('staging', '{"password": "open, open"}') \g /dev/null
SELECT pg_temp.edit('production', '{"password": null}', '3.0.0') \g /dev/null
SELECT pg_temp.edit('production', '{"password": "free, free"}') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict'),
    'conflict .password "(sensitive value)" -> "(sensitive value)" <-"(sensitive value)"',
    'what was sensitive when it was promoted last is masked');
SELECT promote.promote_instance('shop-staging-api', 'shop-production-api', plan => false) \g /dev/null
SELECT pg_temp.edit('staging', '{"password": "second, second"}', '1.1.0') \g /dev/null
SELECT promote.promote_instance('shop-staging-api', 'shop-production-api', "only" => ARRAY['.password'],
    plan => false) \g /dev/null
SELECT pg_temp.edit('staging', '{"password": null}', '3.1.0') \g /dev/null
SELECT pg_temp.edit('staging', '{"password": "open, open"}') \g /dev/null
SELECT pg_temp.edit('production', '{"password": null}', '3.1.0') \g /dev/null
SELECT pg_temp.edit('production', '{"password": "free, free"}') \g /dev/null
SELECT is(pg_temp.preview('staging', 'production', 'conflict'),
    'conflict .password "(sensitive value)" -> "(sensitive value)" <-"(sensitive value)"', '..., alone');
ROLLBACK TO conflict;

-- ---- what both began with is gone ----
ALTER TABLE promote.revision DISABLE TRIGGER ALL;
ALTER TABLE promote.config DISABLE TRIGGER ALL;
SAVEPOINT gone;
DELETE FROM promote.revision WHERE project = 'shop' AND environment = 'staging' AND revision = 2;
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production')$$, 'PM110',
    'Revision 2 of "shop-staging-api" was promoted to the other last, and its row', 'a revision that is gone');
ROLLBACK TO gone;
DELETE FROM promote.config AS c USING promote.revision AS r
 WHERE r.project = 'shop' AND r.environment = 'staging' AND r.revision = 2 AND c.project = 'shop'
   AND c.digest = r.digest;
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production')$$, 'PM110',
    'Revision 2 of "shop-staging-api" was promoted to the other last, and its configuration', 'its configuration');
ROLLBACK TO gone;
UPDATE promote.revision SET version = '1.0.9' WHERE project = 'shop' AND environment = 'staging' AND revision = 2;
SELECT pg_temp.refuses($$SELECT pg_temp.merge('staging', 'production')$$, 'PM110',
    'Revision 2 of "shop-staging-api" was promoted to the other last, and its release', 'its release');

SELECT * FROM finish();
ROLLBACK;
