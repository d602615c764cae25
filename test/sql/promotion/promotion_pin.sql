-- Promoting what the source runs, whatever its constraint says.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = error;
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'staging', 'production');
SELECT promote.configure_instance('shop-staging-s' || n, '{"size": 3}', '~1') FROM generate_series(1, 4) AS n
    \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-staging-s' || n) FROM unnest(ARRAY[1, 2, 3]) AS n \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'service', v, params_schema FROM promote.bundle_release, unnest(ARRAY['1.1.0', '2.0.0-rc.1']) AS v
    WHERE bundle = 'service';
-- What an instance desires: its constraint, channel and release.
CREATE FUNCTION pg_temp.desired(name text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', i.version_constraint, i.release_channel, r.version) FROM promote.instance AS i
        JOIN promote.revision AS r USING (project, environment, component, revision) WHERE i.name = desired.name
$$;

SELECT is((promote.promote_instance('shop-staging-s1', 'shop-production-s1')).changed, true, 'as ever');
SELECT is(pg_temp.desired('shop-production-s1'), '~1 stable 1.1.0', 'the constraint stands for what nobody runs');
SELECT lives_ok($$SELECT * FROM promote.preview_promotion('shop-staging-s1', 'shop-production-s1', pin => true)$$,
    'a preview of it');
SELECT is((promote.promote_instance('shop-staging-s1', 'shop-production-s1', pin => true)).changed, true,
    'another constraint is another state');
SELECT is(pg_temp.desired('shop-production-s1'), '1.0.0 stable 1.0.0', 'what the source runs');
SELECT is((promote.promote_instance('shop-staging-s1', 'shop-production-s1', pin => true)).changed, false,
    'which is desired already then');
SELECT is((promote.promote_to_next('shop-staging-s2', pin => true)).changed, true, 'along the path, too');
SELECT is(pg_temp.desired('shop-production-s2'), '1.0.0 stable 1.0.0', '... it is that release');
SELECT is((promote.promote_to_next('shop-staging-s2', pin => NULL)).changed, true, 'NULL is the default');
SELECT is(pg_temp.desired('shop-production-s2'), '~1 stable 1.1.0', '... which is the constraint');

-- a prerelease goes by its exact version, whatever the channel
SELECT promote.configure_instance('shop-staging-s3', '{"size": 3}', 'latest+dev') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-staging-s3') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'service', '2.0.0-rc.2', params_schema FROM promote.bundle_release WHERE bundle = 'service'
    AND version = '1.0.0';
SELECT is((promote.promote_instance('shop-staging-s3', 'shop-production-s3', pin => true)).changed, true,
    'a prerelease');
SELECT is(pg_temp.desired('shop-production-s3'), '2.0.0-rc.1 development 2.0.0-rc.1', '... is the one that runs');

-- ---- nothing runs ----
SELECT pg_temp.refuses($$SELECT promote.promote_instance('shop-staging-s4', 'shop-production-s4', pin => true)$$,
    'PM508',
    '^The call has pin, and the source is not provisioned\.$', 'a source that runs nothing');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_promotion('shop-staging-s4', 'shop-production-s4',
    pin => true)$$,
    'PM508', '^The call has pin, and the source is not provisioned\.$', '... as its preview says');
SELECT pg_temp.refuses($$SELECT promote.promote_to_next('shop-staging-s4', pin => true)$$, 'PM508', '',
    '... and along paths');

-- ---- as a rule ----
SELECT is((SELECT DISTINCT version_policy FROM promote.environment), 'constraint', 'no environment pins by default');
UPDATE promote.environment SET version_policy = 'pinned' WHERE project = 'shop' AND environment = 'production';
SELECT pg_temp.refuses($$SELECT promote.promote_instance('shop-staging-s4', 'shop-production-s4')$$, 'PM508',
    '^The version_policy of the component, or else of the destination''s environment, is pinned',
        'a rule of the destination');
SELECT is((promote.promote_instance('shop-staging-s2', 'shop-production-s2')).changed, true,
    'promotes without being asked');
SELECT is(pg_temp.desired('shop-production-s2'), '1.0.0 stable 1.0.0', '... what runs');
SELECT is((promote.promote_instance('shop-production-s2', 'shop-staging-s2')).changed, true,
    'it is not one of the source');
SELECT is(pg_temp.desired('shop-staging-s2'), '1.0.0 stable 1.0.0', '... whose constraint is promoted');
UPDATE promote.component SET version_policy = 'constraint' WHERE project = 'shop' AND component = 's1';
SELECT is((promote.promote_instance('shop-staging-s1', 'shop-production-s1')).changed, true,
    'a component''s goes before it');
SELECT is(pg_temp.desired('shop-production-s1'), '~1 stable 1.1.0', '... with its constraint');
UPDATE promote.environment SET version_policy = 'constraint' WHERE project = 'shop' AND environment = 'production';
UPDATE promote.component SET version_policy = 'pinned' WHERE project = 'shop' AND component = 's1';
SELECT is((promote.promote_instance('shop-staging-s1', 'shop-production-s1')).changed, true, 'also to pin');
SELECT is(pg_temp.desired('shop-production-s1'), '1.0.0 stable 1.0.0', '... what runs');
SELECT is((promote.configure_instance('shop-production-s1', '{"size": 5}', '~1')).changed, true,
    'an edit is never pinned');
SELECT is(pg_temp.desired('shop-production-s1'), '~1 stable 1.1.0', '... but what it says');
SELECT throws_ok($$UPDATE promote.component SET version_policy = 'sometimes' WHERE project = 'shop'$$, 'PM404', NULL,
    'a policy that there is not');
SELECT throws_ok($$UPDATE promote.environment SET version_policy = 'sometimes' WHERE project = 'shop'$$, 'PM404', NULL,
    '... of an environment');
UPDATE promote.component SET version_policy = NULL WHERE project = 'shop' AND component = 's1';

-- ---- idempotency ----
SELECT lives_ok($$SELECT promote.promote_instance('shop-staging-s1', 'shop-production-s1', idempotency_key => 'k',
    pin => true)$$, 'with a key');
SELECT is((promote.promote_instance('shop-staging-s1', 'shop-production-s1', idempotency_key => 'k',
    pin => true)).changed,
    true, '... twice');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('shop-staging-s1', 'shop-production-s1',
    idempotency_key => 'k')$$,
    'PM402', 'other arguments', 'the key is of that call');

-- ---- requests ----
UPDATE promote.environment SET require_expected = false WHERE project = 'shop';
SELECT is((SELECT pin FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s2", "s3"]}',
    strategy => 'all_at_once', include_other_changes => true, pin => true)), true, 'a request');
SELECT throws_ok($$UPDATE promote.promotion_request SET pin = false WHERE project = 'shop'$$, 'PM301', NULL,
    'stays as it was asked for');
SELECT promote.configure_instance('shop-staging-s2', '{"size": 8}', '~1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is((SELECT version FROM promote.preview_request('shop', 1) WHERE component = 's2'), '1.0.0',
    'its preview shows what would run');
SELECT is(pg_temp.drain(1), 'COMPLETED', 'it goes through');
SELECT is(pg_temp.desired('shop-production-s2'), '1.0.0 stable 1.0.0', '... with what the source runs');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'after all that the chains are whole');
SELECT * FROM finish();
ROLLBACK;
