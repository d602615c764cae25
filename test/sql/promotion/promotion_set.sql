-- Many promotions by one call: what comes out is what the single verb gives, refusals name their element, and new
-- revisions of one INSERT are refused together.
BEGIN;
SELECT no_plan();
INSERT INTO promote.bundle VALUES ('db');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('db', '1.0.0', '{
    "properties": {"size": {"type": "integer"}, "zone": {"type": "string", "$md.copyable": false}}}');
INSERT INTO promote.project VALUES ('shop');
INSERT INTO promote.environment (project, environment, require_proven_release)
SELECT 'shop', e, false
  FROM unnest('{staging,a,b,c,d,z}'::text[]) AS e;
INSERT INTO promote.parameter_set (project, environment, parameters)
SELECT 'shop', e, jsonb_build_object('name', e)
  FROM unnest('{staging,a,b,c,d,z}'::text[]) AS e;
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'db'), ('shop', 'app', 'db');
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', environment, c FROM promote.environment, unnest('{db,app}'::text[]) AS c WHERE environment <> 'z';
SELECT count(*) FROM (
    SELECT promote.configure_instance('shop-staging-db', '{"size": 1, "host": "{{name}}"}')
    UNION ALL SELECT promote.configure_instance('shop-staging-app', '{"size": 5}')
    UNION ALL SELECT promote.configure_instance('shop-a-db', '{"size": 9, "zone": "a"}')) AS x \g /dev/null

CREATE FUNCTION pg_temp.set_of(destinations text[], overrides jsonb[] DEFAULT NULL, partial boolean DEFAULT false,
                               plan boolean DEFAULT true)
RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', instance, changed, revision, COALESCE(deployment::text, '-'), code, problem)
      FROM promote.promote_many(array_fill('shop-staging-db'::text, ARRAY[cardinality(destinations)]),
                                     destinations, overrides, partial => set_of.partial, plan => set_of.plan)
$$;

-- ---- what it does ----
SELECT results_eq($$SELECT pg_temp.set_of('{shop-c-db,shop-a-db,shop-b-db}',
        ARRAY['{"size": 3}', '{}', NULL]::jsonb[])$$,
    ARRAY['shop-c-db t 1 1', 'shop-a-db t 2 2', 'shop-b-db t 1 1'], 'a row for each, in the order given');
SELECT results_eq($$SELECT environment::text COLLATE "default", params
                      FROM promote.revision JOIN promote.config USING (project, digest)
                     WHERE origin = 'promotion' ORDER BY environment$$,
    $$VALUES ('a', '{"size": 1, "host": "{{name}}", "zone": "a"}'::jsonb), ('b', '{"size": 1, "host": "{{name}}"}'),
             ('c', '{"size": 3, "host": "{{name}}"}')$$,
    'each gets the source''s params, with its own overrides and what is its own');
SELECT results_eq($$SELECT d.environment::text COLLATE "default", c.params ->> 'host' FROM promote.deployment AS d
                      JOIN promote.config AS c ON (c.project, c.digest) = (d.project, d.rendered_digest)
                     WHERE d.environment <> 'staging' AND c.params ? 'host' ORDER BY 1$$,
    $$VALUES ('a', 'a'), ('b', 'b'), ('c', 'c')$$, '... rendered for its own environment');
SELECT results_eq($$SELECT pg_temp.set_of('{shop-a-db,shop-b-db,shop-d-db}')$$,
    ARRAY['shop-a-db f 2 -', 'shop-b-db f 1 -', 'shop-d-db t 1 1'], 'what is the same already stays as it is');
SELECT results_eq($$SELECT pg_temp.set_of('{shop-a-db,shop-b-db}', '{"{\"size\": 4}","{\"size\": 6}"}',
        plan => false)$$,
    ARRAY['shop-a-db t 3 -', 'shop-b-db t 2 -'], 'without plans');
SELECT results_eq($$SELECT pg_temp.set_of('{shop-a-db,shop-b-db}', '{"{\"size\": 4}","{\"size\": 6}"}')$$,
    ARRAY['shop-a-db f 3 3', 'shop-b-db f 2 2'], '... and those that were missing');
SELECT results_eq($$SELECT pg_temp.set_of('{}')$$, ARRAY[]::text[], 'none is none');
SELECT results_eq($$SELECT instance, revision FROM promote.promote_many(
        '{shop-a-db,shop-b-db,shop-staging-app}', '{shop-b-db,shop-c-db,shop-a-app}')$$,
    $$VALUES ('shop-b-db', 3), ('shop-c-db', 2), ('shop-a-app', 1)$$,
    'where one promotes what another has just got, it is as if they were called one after the other');
SELECT is(params ->> 'zone', NULL, '... what is not copyable did not travel')
  FROM promote.config_as_of('shop-c-db', 'infinity');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

-- ---- what it refuses ----
CREATE FUNCTION pg_temp.said(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d text;
    h text;
BEGIN
    EXECUTE statement;
    RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE, SQLERRM, d, h);
END $$;
\set hint 'Nothing was written. Mend what is said of each, or leave these out: functions with partial => true do.'
CREATE TEMP TABLE before ON COMMIT DROP AS SELECT count(*) FROM promote.revision;
SELECT is(pg_temp.said($$SELECT promote.promote_many(
    ARRAY['shop-staging-db', 'shop-staging-db', 'shop-staging-db', 'shop-staging-app', 'shop-staging-db', NULL],
    ARRAY['shop-a-db', 'shop-z-db', 'shop-b-db', 'shop-d-db', 'shop-c-db', 'shop-d-app'],
    ARRAY['{"size": 7}', '{}', '{"size": "x"}', '{}', '{"host": "{{none}}"}', '{}']::jsonb[])$$),
    E'PM004\n5 of 6 promotions are refused\n'
    'PM004 shop-d-db: cannot promote "shop-staging-app" to "shop-d-db": The source is component "app" of project '
    '"shop", the destination component "db" of project "shop".\n'
    'PM001 shop-d-app: the source is missing: An element of the array is null.\n'
    'PM002 shop-z-db: instance "shop-z-db" does not exist: Its project, environment and component exist.\n'
    'PM103 shop-b-db: the params of "shop-b-db" would not be valid for db 1.0.0: .size: expected integer, '
    'found string\n'
    'PM105 shop-c-db: ' || (SELECT split_part(pg_temp.said($$SELECT promote.promote_instance('shop-staging-db',
        'shop-c-db', '{"host": "{{none}}"}')$$), E'\n', 2) || ': ' || split_part(pg_temp.said($$SELECT
        promote.promote_instance('shop-staging-db', 'shop-c-db', '{"host": "{{none}}"}')$$), E'\n', 3))
    || E'\n' || :'hint',
    'all that are refused are named, each with its reason');
SELECT is((SELECT count(*) FROM promote.revision), (SELECT count FROM before), '... and nothing was written');
SELECT is(pg_temp.said($$SELECT pg_temp.set_of('{shop-a-db,shop-b-db}', '{"{}","{\"size\": \"x\"}"}')$$),
          pg_temp.said($$SELECT promote.promote_instance('shop-staging-db', 'shop-b-db', '{"size": "x"}')$$),
    'a single refusal is what the single verb says');
SELECT results_eq($$SELECT code, split_part(problem, ':', 1), revision FROM promote.promote_many(
    ARRAY['shop-staging-db', 'shop-staging-db', 'shop-staging-db', 'shop-staging-app', 'shop-staging-db', NULL],
    ARRAY['shop-a-db', 'shop-z-db', 'shop-b-db', 'shop-d-db', 'shop-c-db', 'shop-d-app'],
    ARRAY['{"size": 7}', '{}', '{"size": "x"}', '{}', '{"host": "{{name}}!"}', '{}']::jsonb[], partial => true)$$,
    $$VALUES (NULL, NULL, 4), ('PM002', 'instance "shop-z-db" does not exist', NULL),
             ('PM103', 'the params of "shop-b-db" would not be valid for db 1.0.0', NULL),
             ('PM004', 'cannot promote "shop-staging-app" to "shop-d-db"', NULL), (NULL, NULL, 3),
             ('PM001', 'the source is missing', NULL)$$,
    'partial leaves out what is refused, and says why');
SELECT is(pg_temp.said($$SELECT pg_temp.set_of('{shop-a-db,shop-b-db,shop-a-db}')$$),
    E'PM404\n"shop-a-db" is promoted to twice\nTwo elements have it as their destination.\nCall it once for each.',
    'a destination is there once');
SELECT is(pg_temp.said(format('SELECT promote.promote_many(%s)', arguments)), format(E'PM404\nthe array "%s" does '
    'not fit\n%s\nPass one-dimensional arrays of the same length, with up to 100000 elements.', name, detail),
    arguments)
  FROM (VALUES ('NULL, NULL', 'source', 'It is null.'),
               ($$'{}', NULL$$, 'destination', 'It is null.'),
               ($$'{shop-staging-db}', '{}'$$, 'destination', 'It has 0 elements, and the first array has 1.'),
               ($$'{shop-staging-db}', '{shop-a-db}', expected_revision => '{1,2}'$$, 'expected_revision',
                   'It has 2 elements, and the first array has 1.'),
               ($$'{{shop-staging-db},{shop-staging-db}}', '{shop-a-db,shop-b-db}'$$, 'source',
                   'It has more than one dimension.'),
               ($$'{shop-staging-db,shop-staging-db}', '{{shop-a-db,shop-b-db}}'$$, 'destination',
                   'It has more than one dimension.'),
               ($$'{shop-staging-db}', '{shop-a-db}', '{{"{}"}}'$$, 'overrides', 'It has more than one dimension.'),
               ($$array_fill('shop-staging-db'::text, '{100001}'), array_fill('shop-a-db'::text, '{100001}')$$,
                   'source', 'It has 100001 elements.')) AS v (arguments, name, detail);
SELECT results_eq($$SELECT instance, code FROM promote.promote_many('{shop-staging-db,shop-staging-db}',
    '{shop-a-db,shop-b-db}', expected_revision => '{1,NULL}', partial => true)$$,
    $$VALUES ('shop-a-db', (SELECT split_part(pg_temp.said($x$SELECT promote.promote_instance('shop-staging-db',
        'shop-a-db', expected_revision => 1)$x$), E'\n', 1))), ('shop-b-db', NULL)$$,
    'each may expect a revision of its own');

SELECT is(pg_temp.said($$SELECT promote.promote_many(array_fill('shop-staging-db'::text, '{3}'),
        '{shop-a-db,shop-b-db,shop-c-db}', '{"{\"size\": \"x\"}","{}","{\"size\": \"y\"}"}',
        copy_remote_references => true)$$), E'PM103\n2 of 3 promotions are refused\n'
    'PM103 shop-a-db: the params of "shop-a-db" would not be valid for db 1.0.0: .size: expected integer, '
    'found string\n'
    'PM103 shop-c-db: the params of "shop-c-db" would not be valid for db 1.0.0: .size: expected integer, '
    'found string\n'
    || :'hint',
    '... also where more than params is carried');
SELECT results_eq($$SELECT instance, code FROM promote.promote_many(array_fill('shop-staging-db'::text, '{3}'),
        '{shop-a-db,shop-b-db,shop-c-db}', '{"{\"size\": \"x\"}","{\"size\": 7}","{\"size\": \"y\"}"}',
        copy_remote_references => true, partial => true)$$,
    $$VALUES ('shop-a-db', 'PM103'), ('shop-b-db', NULL), ('shop-c-db', 'PM103')$$, '... or is left out');
SELECT is(pg_temp.said($$SELECT promote.promote_many('{shop-staging-db,shop-staging-app,shop-b-app}',
        '{shop-b-db,shop-b-app,shop-c-app}', '{"{\"size\": \"x\"}","{}","{}"}')$$),
    E'PM103\nthe params of "shop-b-db" would not be valid for db 1.0.0\n.size: expected integer, found string\n'
    || split_part(pg_temp.said($$SELECT promote.promote_instance('shop-staging-db', 'shop-b-db',
        '{"size": "x"}')$$), E'\n', 4),
    'what starts from what another one gets is not refused because something else is');

-- ---- new revisions of one INSERT ----
CREATE FUNCTION pg_temp.inserted(bad text[]) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.said(format($x$INSERT INTO promote.revision (project, environment, component, digest,
            version_constraint)
        SELECT project, environment, component, promote.config_digest('shop', CASE WHEN environment = ANY (%L)
            THEN '{"size": "x"}'::jsonb ELSE '{"size": 8}' END), 'latest' FROM promote.instance
         WHERE component = 'db' ORDER BY environment DESC$x$, bad))
$$;
INSERT INTO promote.config (project, params) VALUES ('shop', '{"size": "x"}'), ('shop', '{"size": 8}');
SELECT is(pg_temp.inserted('{b,d}'), E'PM103\n2 of 5 revisions are refused\n'
    'PM103 shop-b-db: the params of "shop-b-db" would not be valid for db 1.0.0: .size: expected integer, '
    'found string\n'
    'PM103 shop-d-db: the params of "shop-d-db" would not be valid for db 1.0.0: .size: expected integer, '
    'found string\n'
    || :'hint', 'all that are refused are named');
SELECT matches(pg_temp.inserted('{c}'), E'^PM103\nthe params of "shop-c-db" would not be valid',
    'a single refusal is raised as it is');
SELECT is(pg_temp.inserted('{}'), 'nothing', 'without them all are written');
SELECT is((SELECT string_agg(params ->> 'size', ' ') FROM promote.instance JOIN promote.revision
    USING (project, environment, component, revision) JOIN promote.config USING (project, digest)
    WHERE component = 'db'), '8 8 8 8 8', '... as they say');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... in chains that are whole');

-- What is computed of those that come before a refused one is not used again: it was freed.
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'new', 'db');
INSERT INTO promote.instance (project, environment, component) SELECT 'shop', e, 'new'
    FROM unnest('{a,b,c}'::text[]) AS e;
SELECT count(promote.configure_instance('shop-' || e || '-new', '{"k": 1}', '~1', plan => false))
  FROM unnest('{a,b,c}'::text[]) AS e \g /dev/null
CREATE TEMP TABLE proposed ON COMMIT DROP AS
SELECT e, '{"key1": "{{name}} 1"}'::jsonb || patch::jsonb AS params
  FROM (VALUES ('a', '{}'), ('b', '{"zz": 1}'), ('c', '{"zzz": "{{none}}"}')) AS v (e, patch);
INSERT INTO promote.config (project, params) SELECT 'shop', params FROM proposed;
SELECT is(pg_temp.said($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'shop', e, 'new', promote.config_digest('shop', params), '~1' FROM proposed$$),
    pg_temp.said($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'shop', e, 'new', promote.config_digest('shop', params), '~1' FROM proposed WHERE e = 'c'$$),
    'the one that is refused is told also where what comes before it was looked at revision by revision');

SELECT * FROM finish();
ROLLBACK;
