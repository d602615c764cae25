-- Differences of kind, of size, and others.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
SELECT 'empty', version, '{"properties": {
    "replicas": {"type": "integer"}, "port": {"type": "integer", "$md.scale": false},
    "class": {"type": "string", "$md.scale": true}, "tier": {"enum": ["a", "b"]}, "mode": {"const": "x"},
    "name": {"type": "string"}, "on": {"type": "boolean"}, "either": {},
    "sizes": {"$md": {"scale": true}, "properties": {"kind": {"type": "boolean", "$md.scale": false}}},
    "nodes": {"items": {"properties": {"on": {"type": "boolean"}}}},
    "flags": {"type": "array", "$md.scale": false},
    "password": {"type": "string", "$md.sensitive": true}, "pin": {"type": "integer", "$md.sensitive": true}}}',
    '{"network": {"required": false}}'
  FROM unnest(ARRAY['1.0.0', '1.1.0', '2.0.0']) AS version;
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'staging', 'bare');

-- The classes of what two configurations differ in, a line each.
CREATE FUNCTION pg_temp.classes(a jsonb, b jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.configure_instance('ecomm-staging-bare', promote.jsonb_diff_patch(p, a), '1.0.0')
       FROM (SELECT COALESCE(pg_temp.params('ecomm-staging-bare'), '{}') AS p) AS own;
    PERFORM promote.configure_instance('ecomm-production-bare', promote.jsonb_diff_patch(p, b), '1.0.0')
       FROM (SELECT COALESCE(pg_temp.params('ecomm-production-bare'), '{}') AS p) AS own;
    RETURN pg_temp.lines($q$SELECT path, class FROM promote.compare_structure('ecomm-staging', 'ecomm-production')
        WHERE component = 'bare' ORDER BY path COLLATE "C"$q$);
END
$$;

SELECT is(pg_temp.classes(a::jsonb, b::jsonb), expected, what)
  FROM (VALUES
    ('{"replicas": 1}', '{"replicas": 3}', '(.replicas,size)', 'a number is a size'),
    ('{"port": 1}', '{"port": 3}', '(.port,structure)', 'unless the schema says that it is none'),
    ('{"name": "a"}', '{"name": "b"}', '(.name,other)', 'a text is neither'),
    ('{"class": "small"}', '{"class": "large"}', '(.class,size)', 'unless the schema says that it is one'),
    ('{"tier": "a"}', '{"tier": "b"}', '(.tier,structure)', 'one of a few values is of kind'),
    ('{"on": true}', '{"on": false}', '(.on,structure)', 'a switch is of kind'),
    ('{"either": 1}', '{"either": "1"}', '(.either,structure)', 'so is another type'),
    ('{"either": 1}', '{"either": null}', '(.either,structure)', 'null is one'),
    ('{"either": 1}', '{"either": {"x": 1}}', E'(.either,structure)\n(.either.x,structure)',
        'a container instead of a value'),
    ('{"either": [1]}', '{"either": {"x": 1}}', E'(.either.x,structure)\n(.either[0],structure)', 'another container'),
    ('{"replicas": 1}', '{}', '(.replicas,structure)', 'a key that is not there is of kind, whatever is in it'),
    ('{"class": "small"}', '{}', '(.class,size)', 'unless it is a size'),
    ('{"either": {}}', '{"either": {"x": 1}}', '(.either.x,structure)', 'an empty object is no difference of its own'),
    ('{"nodes": []}', '{"nodes": [{"on": true}]}', '(.nodes[0].on,size)', 'how many elements there are is a size'),
    ('{"nodes": [{"on": true}]}', '{"nodes": [{"on": true}, {"on": false, "x": 1}]}',
        E'(.nodes[1].on,size)\n(.nodes[1].x,size)', 'with all that is in them'),
    ('{"nodes": [{"on": true}]}', '{"nodes": [{"on": true, "x": 1}]}', '(.nodes[0].x,structure)',
        'what elements have that both have is of kind'),
    ('{"flags": ["a"]}', '{"flags": ["a", "b"]}', '(.flags[1],structure)', 'unless the array is marked'),
    ('{"sizes": {"x": "a", "y": true}}', '{"sizes": {"x": "b", "y": false}}', E'(.sizes.x,size)\n(.sizes.y,size)',
        'a mark is about all that is in it'),
    ('{"sizes": {"kind": true}}', '{"sizes": {"kind": false}}', '(.sizes.kind,structure)', 'the nearest one counts'),
    ('{"name": "{{domain}}"}', '{"name": "{{domain}}"}', '(.name,other)', 'rendered')) AS v(a, b, expected, what);
SELECT is(pg_temp.classes('{"password": "a", "pin": 1}', '{"password": "b", "pin": 2}'),
    E'(.password,other)\n(.pin,size)', 'what is sensitive has a class');
SELECT is(pg_temp.lines($$SELECT path, a_value, b_value, sensitive FROM promote.compare_structure('ecomm-staging',
    'ecomm-production')
    WHERE component = 'bare'$$),
    E'(.pin,"""(sensitive value)""","""(sensitive value)""",t)\n'
        '(.password,"""(sensitive value)""","""(sensitive value)""",t)',
    'and no value');

-- ---- releases, references, secrets, components ----
SELECT promote.configure_instance('ecomm-production-bare', '{}', '1.1.0') \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, class FROM promote.compare_structure('ecomm-staging', 'ecomm-production')
    WHERE component = 'bare' AND kind = 'release'$$), E'("release version",other)\n("release constraint",other)',
    'a minor version is neither');
SELECT promote.configure_instance('ecomm-production-bare', '{}', '2.0.0') \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, class FROM promote.compare_structure('ecomm-staging', 'ecomm-production')
    WHERE component = 'bare' AND kind = 'release'$$), E'("release version",structure)\n("release constraint",other)',
    'a major version is of kind');
SELECT promote.set_remote_reference('ecomm-production-bare', 'network', 'n') \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, change, class FROM promote.compare_structure('ecomm-staging', 'ecomm-production')
    WHERE component = 'bare' AND kind = 'reference'$$), '("reference network",add,structure)',
        'a slot that is filled on one side');
SELECT promote.set_remote_reference('ecomm-staging-bare', 'network', 'm') \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, change, class FROM promote.compare_structure('ecomm-staging', 'ecomm-production')
    WHERE component = 'bare' AND kind = 'reference'$$), '("reference network",change,other)',
        'by what is another matter');
SELECT is(pg_temp.lines($$SELECT component, kind, change, class FROM promote.compare_structure('ecomm-staging',
    'ecomm-prod-uswest')
    WHERE kind = 'component'$$), $$(bare,component,remove,structure)
(cache,component,remove,structure)
(db,component,remove,structure)$$, 'components that one side lacks, or has nothing of');
SELECT is(pg_temp.lines($$SELECT * FROM promote.compare_structure('ecomm-staging', 'ecomm-staging')$$), NULL,
    'nothing from itself');
SELECT results_eq($$SELECT component, kind, path, change, a_value, b_value, sensitive
      FROM promote.compare_structure('ecomm-staging', 'ecomm-production')$$,
    $$SELECT component, kind, path, change, a_value, b_value, sensitive
      FROM promote.compare_environments('ecomm-staging', 'ecomm-production') WHERE kind <> 'rule'$$,
    'the rows are those of compare_environments without the rules');

SELECT * FROM finish();
ROLLBACK;
