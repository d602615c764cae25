-- Overrides that are a JSON Patch, in promotions, edits and requests.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

CREATE FUNCTION pg_temp.preview(overrides jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines(format('SELECT path, change, old_value, new_value, origin, sensitive
        FROM promote.preview_promotion(%L, %L, %L) WHERE kind = %L AND change NOT IN (%L, %L)', 'ecomm-staging-db',
        'ecomm-production-db', overrides, 'param', 'none', 'keep')) $$;

-- ---- what it does ----
SELECT is(pg_temp.preview('[{"op": "test", "path": "/nodes/0/role", "value": "primary"},
    {"op": "replace", "path": "/nodes/0/role", "value": "leader"}, {"op": "add", "path": "/network/zones/0",
    "value": "z"}, {"op": "copy", "from": "/size", "path": "/tier"}, {"op": "remove", "path": "/subnet"}]'),
E'(.size,change,"""small""","""medium""",source,f)
(.tier,add,,"""medium""",override,f)
(.nodes[0].role,change,"""x""","""leader""",override,f)
(.nodes[1].id,remove,"""p2""",,source,f)
(.nodes[1].role,remove,"""y""",,source,f)
(.subnet,remove,"""internal""",,override,f)
(.network.zones[0],add,,"""z""",override,f)
(.network.zones[1],add,,"""a""",override,f)
(.password,change,"""(sensitive value)""","""(sensitive value)""",source,t)
(.replicas,add,,1,source,f)', 'one element of an array is set; where elements come and go, the array is the override');
CREATE TEMP TABLE patch ON COMMIT DROP AS SELECT '[{"op": "replace", "path": "/nodes/0/role", "value": "leader"},
    {"op": "add", "path": "/network/zones/-", "value": "z"}]'::jsonb AS patch;
SELECT is(pg_temp.lines($$SELECT changed, new_revision FROM patch,
    promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', patch, idempotency_key => 'k')$$), '(t,2)',
    'it is promoted');
SELECT is(pg_temp.params('ecomm-production-db'),
    '{"size": "medium", "replicas": 1, "account": "prod", "subnet": "internal", "password": "hush", "tier": null,
    "network": {"cidr": "10.9.0.0/16", "zones": ["a", "z"]}, "nodes": [{"id": "p1", "role": "leader"}]}',
    'on top of what is composed, once');
SELECT is((SELECT overrides FROM promote.revision WHERE environment = 'production' AND revision = 2),
    (SELECT jsonb_agg(o || CASE WHEN o ? 'value' THEN '{"value": "(value)"}' ELSE '{}' END::jsonb ORDER BY n)
       FROM patch, jsonb_array_elements(patch) WITH ORDINALITY AS x (o, n)),
    'the revision has it as it was given, but for the values');
SELECT is(pg_temp.lines($$SELECT new_revision FROM patch,
    promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', patch, idempotency_key => 'k')$$), '(2)',
    'a repeated call is recognized');
SELECT throws_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '[]',
    idempotency_key => 'k')$$, 'PM402', NULL, 'and one with another patch is not');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.configure_instance('ecomm-production-db',
    '[{"op": "test", "path": "/network/zones/1", "value": "z"}, {"op": "remove", "path": "/network/zones/0"}]',
    expected_revision => 2)$$), '(t)', 'an edit may be one');
SELECT is(pg_temp.params('ecomm-production-db') -> 'network', '{"cidr": "10.9.0.0/16", "zones": ["z"]}', 'too');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.configure_instance('ecomm-prod-uswest-db',
    '[{"op": "add", "path": "/size", "value": "small"}]', '1.0.0')$$), '(t)', 'and so may the first one');

-- ---- what does not fit ----
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s(%L, %L, %L)', verb, 'ecomm-staging-db', 'ecomm-production-db',
    patch), state, detail, verb || ' ' || patch)
  FROM (VALUES
    ('[{"op": "add", "path": "/size", "value": "small"}, {"op": "test", "path": "/size", "value": "large"}]', 'PM108',
        '^Operation 1 \(test "/size"\): the value there is not the one that is expected\.$'),
    ('[{"op": "remove", "path": "nodes"}]', 'PM108',
        '^Operation 0 \(remove "nodes"\): its "path" is not a JSON Pointer'),
    ('[{"op": "remove", "path": "/nodes/7"}]', 'PM108', '^Operation 0 .*"/nodes/7" is past the end of the array'),
    ('[{"op": "jump", "path": ""}]', 'PM108', 'there is no "op" named "jump"'),
    ('[{"op": "replace", "path": "", "value": [1]}]', 'PM101', 'They are of type array'),
    ('[{"op": "remove", "path": "/size"}, {"op": "add", "path": "/replicas", "value": 11}]', 'PM103', '.')) AS
       v(patch, state, detail), unnest(ARRAY['promote_instance', 'preview_promotion']) AS verb
 WHERE state <> 'PM103' OR verb = 'promote_instance';
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-db',
    '[{"op": "test", "path": "/size", "value": "small"}]')$$, 'PM108', 'Operation 0', 'an edit whose test fails');

-- ---- what is sensitive ----
SELECT pg_temp.refuses(format('SELECT * FROM promote.preview_promotion(%L, %L, %L)', 'ecomm-staging-db',
    'ecomm-production-db', patch), 'PM108', 'a value there is sensitive, and is not compared', 'tests ' || patch)
  FROM (VALUES ('[{"op": "test", "path": "/password", "value": "hush"}]'),
      ('[{"op": "test", "path": "/password", "value": "wrong"}]'),
      ('[{"op": "move", "from": "/password", "path": "/tier"}, {"op": "test", "path": "/tier", "value": "hush"}]'),
      ('[{"op": "test", "path": "", "value": {}}]')) AS v(patch);
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-db',
    '[{"op": "test", "path": "/password", "value": "hush"}]')$$, 'PM108', 'is sensitive', 'an edit that tests');
SELECT is(pg_temp.lines($$SELECT path, new_value, origin FROM promote.preview_promotion('ecomm-staging-db',
    'ecomm-production-db', '[{"op": "copy", "from": "/password", "path": "/tier"}]') WHERE path = '.tier'$$),
    '(.tier,"""(sensitive value)""",override)', 'what is copied from there stays masked, however short it is');
SELECT unalike((promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '[{"op": "copy", "from": "/password", "path": "/tier"}]')).diff::text, '%hush%', 'also in the diff');
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'production' ORDER BY revision DESC LIMIT 1),
    '[".tier"]', 'for it is written down');
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 7}') \g /dev/null
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'production' ORDER BY revision DESC LIMIT 1),
    '[".tier"]', 'and lasts as long as the value');
SELECT unalike((promote.configure_instance('ecomm-production-db',
    '[{"op": "copy", "from": "/tier", "path": "/nodes/0/role"}]')).diff::text, '%hush%', 'an edit copies it on');
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'production' ORDER BY revision DESC LIMIT 1),
    '[".tier", ".nodes[0].role"]', 'with its mark');
SELECT is(pg_temp.lines($$SELECT path, new_value FROM promote.preview_promotion('ecomm-staging-db',
    'ecomm-production-db', '[{"op": "add", "path": "/tier", "value": "hush"}]') WHERE path = '.tier'$$),
    '(.tier,"""(sensitive value)""")', 'a guess at a place that is masked is not confirmed');

-- ---- what a violation would tell ----
INSERT INTO promote.bundle VALUES ('told');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('told', '1.0.0', '{"properties": {
    "pin": {"$md.sensitive": true}, "kind": {"enum": ["plain"]}, "all": {"uniqueItems": true},
    "keys": {"uniqueItems": true, "items": {"$md.sensitive": true}}}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'told', 'told');
INSERT INTO promote.instance (project, environment, component)
    VALUES ('ecomm', 'staging', 'told'), ('ecomm', 'production', 'told');
SELECT promote.configure_instance('ecomm-staging-told', '{"pin": "1", "keys": ["1"]}', '1.0.0'),
    promote.configure_instance('ecomm-production-told', '{"pin": "1", "keys": ["1"]}', '1.0.0') \g /dev/null
CREATE ROLE looker;
SELECT promote.grant_action('looker', 'view', 'ecomm') \g /dev/null
CREATE FUNCTION pg_temp.violations(patch jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s: %s', path, problem), ', ')
      FROM (SELECT path, problem FROM promote.preview_promotion('ecomm-staging-told', 'ecomm-production-told', patch)
             WHERE kind = 'violation'
            UNION ALL
            SELECT path, problem FROM promote.preview_configuration('ecomm-production-told', patch)
             WHERE kind = 'violation') AS v
$$;
SET ROLE looker;
SELECT is(pg_temp.violations(patch), NULL, 'no guess is confirmed to who may only view, by ' || patch::text)
  FROM (VALUES ('[{"op": "add", "path": "/all", "value": ["1"]},
      {"op": "copy", "from": "/pin", "path": "/all/-"}]'::jsonb),
      ('[{"op": "add", "path": "/keys/-", "value": "1"}]'), ('[{"op": "replace", "path": "/keys/0", "value": "1"},
      {"op": "copy", "from": "/pin", "path": "/keys/-"}]'),
      ('[{"op": "copy", "from": "/pin", "path": "/kind"}]'),
      ('[{"op": "add", "path": "", "value": {}}, {"op": "add", "path": "/all", "value": ["1"]}]')) AS v(patch);
SELECT is(pg_temp.violations('[{"op": "add", "path": "/all", "value": [1, 1]},
    {"op": "add", "path": "/kind", "value": 1}]'),
    '.all: expected items that are all different, .kind: expected "plain", '
    '.all: expected items that are all different, .kind: expected "plain"', 'all else is shown');
RESET ROLE;
SELECT alike(pg_temp.violations('[{"op": "copy", "from": "/pin", "path": "/kind"}]'), '.kind: %',
    'who may write it is told');
UPDATE promote.parameter_set SET parameters = '{"domain": "d"}' WHERE project = 'ecomm' AND environment = 'production';
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
