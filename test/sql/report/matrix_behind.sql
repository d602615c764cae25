-- How far behind an environment is: held against previews and against the releases themselves.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = error;
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'qa');
UPDATE promote.environment SET require_expected = false, require_no_drift = false;
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
SELECT 'service', v, params_schema,
       CASE WHEN v = '2.0.0' THEN '{"network": {"required": false}, "dns": {"required": false}}' ELSE '{}' END::jsonb
  FROM promote.bundle_release, unnest(ARRAY['1.0.1', '1.1.0', '1.1.1-rc.1', '1.1.1', '2.0.0-rc.1', '2.0.0']) AS v
 WHERE bundle = 'service';
CREATE FUNCTION pg_temp.behind(instance text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', coalesce(m.upstream, '-'), coalesce(m.releases_behind::text, '-'),
        coalesce(m.leaves_behind::text, '-'))
      FROM promote.promotion_matrix AS m WHERE m.instance = behind.instance
$$;
CREATE FUNCTION pg_temp.run(instance text, params jsonb, version text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.configure_instance(instance, params, version);
    PERFORM pg_temp.work_all();
    PERFORM promote.deploy_instance(instance);
    PERFORM pg_temp.work_all();
END
$$;
SELECT pg_temp.run('shop-production-s1', '{"size": 1, "own": 7}', '1.0.0') \g /dev/null
SELECT is(pg_temp.behind('shop-production-s1'), '- - -', 'nothing leads to it');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'dev', 'production'), ('shop', 'staging', 'production');
SELECT is(pg_temp.behind('shop-production-s1'), 'staging - 2',
    'nothing runs upstream: what is desired there is two leaves ahead');
SELECT is(pg_temp.behind('shop-staging-s1'), '- - -', 'nothing leads to the first');
SELECT pg_temp.run('shop-staging-s1', '{"size": 1, "password": null}', '1.0.0') \g /dev/null
SELECT is(pg_temp.behind('shop-production-s1'), 'staging 0 0', 'what is not copyable is no difference');
-- With what the source runs by each of the releases.
CREATE FUNCTION pg_temp.ahead(version text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.run('shop-staging-s1', '{"size": 2, "a": {"b": 1, "c": 2}}', version);
    RETURN pg_temp.behind('shop-production-s1');
END
$$;
SELECT is(pg_temp.ahead(version), wanted, version) FROM (VALUES ('1.0.1', 'staging 1 3'), ('1.1.1', 'staging 3 3'),
    ('1.1.1-rc.1', 'staging 3 3'), ('2.0.0', 'staging 4 3'), ('2.0.0-rc.1', 'staging 5 3'), ('1.0.0', 'staging 0 3'),
    ('2.0.0', 'staging 4 3')) AS v (version, wanted);
SELECT pg_temp.run('shop-production-s1', '{"size": 1, "own": 7}', '2.0.0') \g /dev/null
SELECT is(pg_temp.behind('shop-production-s1'), 'staging 0 3', 'the release has come');
SELECT promote.set_remote_reference('shop-production-s1', 'network', 'vpc', allow_replace => true) \g /dev/null
SELECT is(pg_temp.behind('shop-production-s1'), 'staging 0 4', 'a reference that came since');
SELECT pg_temp.run('shop-production-s1', '{"size": 1, "own": 8}', '2.0.0') \g /dev/null
SELECT is(pg_temp.behind('shop-production-s1'), 'staging 0 3', '... is no difference once it is deployed');
SELECT pg_temp.run('shop-production-s1', '{"size": 1, "own": 8}', '1.0.0'), pg_temp.ahead('1.0.0') \g /dev/null
SELECT pg_temp.run('shop-production-s1', '{"size": 9}', '2.0.0'), pg_temp.run('shop-staging-s1',
    '{"size": 9, "a": null}', '1.0.0')
    \g /dev/null
SELECT is(pg_temp.behind('shop-production-s1'), 'staging 0 1',
    'one that an older release has no slot for; who is ahead is not behind');
UPDATE promote.environment SET version_policy = 'pinned' WHERE project = 'shop' AND environment = 'production';
SELECT promote.configure_instance('shop-staging-s1', '{"size": 9}', '2.0.0') \g /dev/null
SELECT is(pg_temp.behind('shop-production-s1'), 'staging 0 1', '... where that is promoted which runs');
UPDATE promote.environment SET version_policy = 'constraint' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.behind('shop-production-s1'), 'staging 0 0', '... or what is desired');
SELECT promote.decommission_instance('shop-production-s1'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.behind('shop-production-s1'), 'staging - -', 'nothing runs here any more');

-- ---- which it is compared with ----
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'dev', 's2'), ('shop', 'qa', 's2');
SELECT is(pg_temp.behind('shop-production-s2'), 'dev - -', 'the first that a path leads from');
SELECT promote.promote_instance('shop-staging-s2', 'shop-production-s2') \g /dev/null
SELECT is(pg_temp.behind('shop-production-s2'), 'staging - 2', 'but where it was promoted from before that');
DELETE FROM promote.promotion_path WHERE project = 'shop' AND source_environment = 'staging';
SELECT is(pg_temp.behind('shop-production-s2'), 'staging - 2', '... also without a path');

-- ---- as previews say ----
SELECT pg_temp.run('shop-staging-s' || n, jsonb_build_object('size', n, 'list', jsonb_build_array(n, n, 2)), '1.0.0'),
    pg_temp.run('shop-production-s' || n, jsonb_build_object('size', 4, 'own', n, 'list', '[4]'::jsonb), '1.0.0')
    FROM generate_series(3, 6) AS n \g /dev/null
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'staging', 'production');
SELECT is(m.leaves_behind, (SELECT count(*)::integer
    FROM promote.preview_promotion('shop-staging-' || m.component, m.instance) AS p
   WHERE p.change <> 'keep' AND p.path !~ '^release '), m.instance || ' as its preview')
  FROM promote.promotion_matrix AS m WHERE m.instance ~ 'production-s[3456]' ORDER BY m.instance;
SELECT cmp_ok((SELECT count(DISTINCT leaves_behind) FROM promote.promotion_matrix
    WHERE instance ~ 'production-s[3456]'), '>',
    1::bigint, '... which differ');

-- ---- what is there, and does not run there ----
SELECT pg_temp.run('shop-staging-s6', '{"size": 2}', 'latest'),
    promote.promote_instance('shop-staging-s6', 'shop-production-s6'), pg_temp.work_all(),
    promote.deploy_instance('shop-production-s6'), pg_temp.work_all() \g /dev/null
SELECT matches((SELECT why_not FROM promote.matrix('shop') WHERE instance = 'shop-staging-s6'),
    '^production: revision \d+ is there already$', 'all of it is there');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('service', '3.0.0', '{}');
SELECT matches((SELECT why_not FROM promote.matrix('shop') WHERE instance = 'shop-staging-s6'),
    '^production: revision \d+ is there already; release 2.0.0 runs there, not 3.0.0 yet$', '... but the next release');

-- ---- what cannot be composed ----
SELECT pg_temp.run('shop-staging-s5', '{"size": 7}', '~3') \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('service', '3.1.0', '{"$ref": "https://example.com/not-there-yet.json"}');
SELECT is(pg_temp.behind('shop-production-s5'), 'staging 5 -', 'one whose schema refers to nothing');

-- ---- who may see it ----
CREATE ROLE test_viewer;
SELECT promote.grant_action('test_viewer', 'view', 'shop', 'production') \g /dev/null
CREATE TEMP TABLE seen ON COMMIT DROP AS SELECT NULL::text AS instance, NULL::text AS upstream, NULL::integer
    AS leaves LIMIT 0;
GRANT INSERT ON pg_temp.seen TO test_viewer;
SET LOCAL ROLE test_viewer;
INSERT INTO pg_temp.seen SELECT instance, upstream, leaves_behind FROM promote.promotion_matrix;
RESET ROLE;
SELECT is((SELECT string_agg(concat_ws(' ', instance, upstream, leaves), ', ' ORDER BY instance) FROM pg_temp.seen),
    (SELECT string_agg('shop-production-s' || n, ', ') FROM generate_series(1, 6) AS n),
        'who sees one end alone is told of that');
SELECT * FROM finish();
ROLLBACK;
