-- What was decommissioned is not brought back by a promotion that does not say so.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('ecomm', 'staging', 'production');
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT promote.decommission_instance('ecomm-production-db') \g /dev/null
SELECT is((SELECT promotable FROM promote.promotion_matrix WHERE instance = 'ecomm-staging-db'), true,
    'it can be promoted');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null

-- ---- one instance ----
SELECT pg_temp.refuses(call, 'PM511', 'was decommissioned: deploying it would bring it back', call)
  FROM unnest(ARRAY[$$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$$,
                    $$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', reprovision => NULL,
                        plan => false)$$,
                    $$SELECT promote.promote_to_next('ecomm-staging-db')$$,
                    $$SELECT promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db')$$]) AS call;
SELECT matches(hint, 'reprovision => true', 'the hint says how')
  FROM pg_temp.refusal($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$$);
SELECT matches(state || ' ' || hint, '^PM511 .* call promote.promote_instance with reprovision => true',
    'also of a row that is inserted by hand')
  FROM pg_temp.refusal($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint,
    origin, source_environment, source_revision) SELECT project, 'production', component, digest, version_constraint,
    'promotion', environment, revision FROM promote.revision WHERE project = 'ecomm' AND environment = 'staging'
    AND component = 'db' ORDER BY revision DESC LIMIT 1$$);
SELECT is((SELECT why_not FROM promote.promotion_matrix WHERE instance = 'ecomm-staging-db'),
    'production: "ecomm-production-db" was decommissioned: deploying it would bring it back', 'and the matrix says so');
SELECT ok(count(*) > 0, 'it can be previewed')
  FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db', reprovision => true);
SAVEPOINT gone;
SELECT is((SELECT new_revision FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    reprovision => true,
    idempotency_key => 'k')), 2, 'where it is asked for, it is promoted');
SELECT is((SELECT new_revision FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    reprovision => true,
    idempotency_key => 'k')), 2, '... and repeated');
SELECT throws_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', idempotency_key => 'k')$$,
    'PM402', NULL,
    'which another call with its key is not');
SELECT throws_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 2}')$$,
    'PM511', NULL,
    'until it runs it has to be said again');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is((promote.deploy_instance('ecomm-production-db')).diff @>
    '[{"path": ".size", "change": "add"}, {"path": ".network.cidr", "change": "add"}]',
    true, 'everything is added');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'), 'in_sync', 'it is back');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 2}')$$,
    'and is promoted to as any other');
ROLLBACK TO gone;
SELECT is((SELECT new_revision FROM promote.promote_to_next('ecomm-staging-db', reprovision => true)), 2,
    'along its path, too');
ROLLBACK TO gone;
SELECT is((SELECT changed FROM promote.configure_instance('ecomm-production-db', '{"size": "large"}')), true,
    'it may be edited');
ROLLBACK TO gone;
SELECT promote.configure_instance('ecomm-production-db', '{"size": "large"}', plan => false) \g /dev/null
SELECT is((SELECT deployment IS NOT NULL FROM promote.rollback_instance('ecomm-production-db', 1)), true,
    'a rollback plans what ran before it was taken down');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is((promote.deploy_instance('ecomm-production-db')).diff @> '[{"path": ".size", "change": "add"}]', true,
    'as added');
ROLLBACK TO gone;

-- ---- a request skips it ----
SELECT promote.decommission_instance('shop-production-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SAVEPOINT gone;
SELECT is((promote.open_request('shop', 'staging', 'production', '{"components": ["s1", "s2"]}')).reprovision, false,
    'a request');
SELECT is((SELECT string_agg(concat_ws(' ', component, status, skip_reason ->> 'code', skip_reason ->> 'message'), ', '
    ORDER BY component)
    FROM promote.promotion_request_item WHERE project = 'shop'),
    's1 SKIPPED decommissioned "shop-production-s1" was decommissioned: deploying it would bring it back, s2 PENDING',
        'leaves it alone');
SELECT pg_temp.refuses($$SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s1"]}')$$,
    'PM404',
    'was decommissioned', 'and there is none over it alone');
ROLLBACK TO gone;
SELECT is((promote.open_request('shop', 'staging', 'production', '{"components": ["s1", "s2"]}',
    reprovision => true)).reprovision, true,
    'one that is to bring it back');
SELECT is(pg_temp.preview(1), 2::bigint, 'shows it');
SELECT is(pg_temp.drain(1), 'COMPLETED', 'and deploys it');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'shop-production-s1'), 'in_sync', 'it is back');
ROLLBACK TO gone;

-- ---- what is decommissioned while a request is under way ----
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s2", "s3"]}', 'all_at_once',
    rollback_mode => 'all') \g /dev/null
SELECT is(pg_temp.preview(1), 2::bigint, 'a request over two');
SAVEPOINT opened;
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('shop', 'production', 'request', current_user);
SELECT (promote.propose_deployment('shop-production-s2', 'DECOMMISSION')).deployment AS away \gset
SELECT promote.override_gate('shop-production-s2', :away, 'request', 'it is to go') \g /dev/null
SAVEPOINT proposed;
SELECT promote.approve_deployment('shop-production-s2', :away) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is((SELECT skip_reason ->> 'message' FROM promote.preview_request('shop', 1) WHERE component = 's2'),
    '"shop-production-s2" was decommissioned: deploying it would bring it back', 'the preview says so');
SELECT is(pg_temp.drain(1), 'COMPLETED', 'before it is staged');
SELECT is(pg_temp.items(1), 's2 1 SKIPPED, s3 1 DONE', 'it is skipped');
ROLLBACK TO proposed;
SELECT pg_temp.advance(1) \g /dev/null
SELECT is(pg_temp.items(1), 's2 1 STAGED, s3 1 STAGED', 'both are staged');
SELECT promote.approve_deployment('shop-production-s2', :away) \g /dev/null
SELECT is(pg_temp.drain(1), 'COMPLETED', 'after it was staged');
SELECT is(pg_temp.items(1), 's2 1 SKIPPED, s3 1 DONE', 'it is skipped as well');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'shop-production-s2'), 'decommissioned',
    'and stays down');
ROLLBACK TO opened;
SELECT pg_temp.advance(1) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.advance(1) \g /dev/null
SELECT is(pg_temp.items(1), 's2 1 DEPLOYING, s3 1 DEPLOYING', 'both are deployed');
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('shop', 'production', 'request', current_user);
SELECT pg_temp.work_all('s3$') \g /dev/null
SELECT (promote.propose_deployment('shop-production-s2', 'DECOMMISSION')).deployment AS away \gset
SELECT promote.override_gate('shop-production-s2', :away, 'request', 'it is to go') \g /dev/null
SELECT promote.approve_deployment('shop-production-s2', :away) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.drain(1), 'ROLLED_BACK', 'one fails, and all is rolled back');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'shop-production-s2'), 'decommissioned',
    'but what was taken down meanwhile');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
