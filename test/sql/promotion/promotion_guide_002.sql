-- The guide "Promote to prod", step by step, with its own names of things.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

-- ---- prerequisites: one flow, registered environments, routes wired between them ----
INSERT INTO promote.bundle VALUES ('flow');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('flow', '0.4.0', '{}'),
    ('flow', '0.5.0', '{}');
INSERT INTO promote.project (project) VALUES ('pipebase');
INSERT INTO promote.environment (project, environment, source_policy, require_source_in_sync)
SELECT 'pipebase', name, 'path', true
  FROM unnest(ARRAY['dev', 'test', 'staging', 'prod']) AS name;
INSERT INTO promote.parameter_set (project, environment, parameters)
SELECT 'pipebase', name, jsonb_build_object('paramName', name || '.example.com')
  FROM unnest(ARRAY['dev', 'test', 'staging', 'prod']) AS name;
INSERT INTO promote.component (project, component, bundle) VALUES ('pipebase', 'orders', 'flow');
INSERT INTO promote.instance (project, environment, component) SELECT 'pipebase', environment, 'orders'
    FROM promote.environment WHERE project = 'pipebase';
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
VALUES ('pipebase', 'dev', 'test'), ('pipebase', 'test', 'staging'), ('pipebase', 'staging', 'prod');
SELECT promote.configure_instance(name, '{"url": "{{paramName}}", "rate": 1}', '0.4.0') FROM promote.instance
    WHERE project = 'pipebase' \g /dev/null
SELECT pg_temp.deploy(name) FROM promote.instance WHERE project = 'pipebase' \g /dev/null

-- A row of the matrix: status of the flow there, and may it be promoted to the next?
CREATE FUNCTION pg_temp.cell(environment text, OUT status text, OUT promotable boolean, OUT why text) LANGUAGE sql AS $$
    SELECT m.status, m.promotable, m.why_not FROM promote.promotion_matrix AS m
     WHERE m.project = 'pipebase' AND m.environment = cell.environment AND m.component = 'orders'
$$;

-- ---- the promotion model: dev -> test -> staging -> prod ----
SELECT is((SELECT string_agg(environment, ' ') FROM promote.next_environments('pipebase-dev')), 'test',
    'each environment points at the next one downstream');
SELECT is((SELECT string_agg(environment, ' -> ' ORDER BY distance DESC)
    FROM promote.upstream_environments('pipebase-prod')), 'dev -> test -> staging', 'they form a tree or DAG');
SELECT is((pg_temp.refusal($$INSERT INTO promote.promotion_path VALUES ('pipebase', 'prod', 'dev')$$)).state, 'PM605',
    'cycles are detected');
SELECT matches((pg_temp.refusal($$INSERT INTO promote.promotion_path VALUES ('pipebase', 'prod', 'dev')$$)).detail,
    'dev.*test.*staging.*prod', '... naming the whole chain');

-- ---- 1. and 2. open the flow, and verify that dev is in sync ----
SELECT promote.configure_instance('pipebase-dev-orders', '{"url": "{{paramName}}", "rate": 2}', '0.5.0') \g /dev/null
SELECT is((pg_temp.cell('dev')).status, 'stale', 'changed and not deployed: it says Stale');
SELECT is((pg_temp.cell('dev')).promotable, false,
    '"Promote to next" only appears when the current environment has the flow in sync');
SELECT matches((pg_temp.cell('dev')).why, 'sync', '... and it says why not');
SELECT pg_temp.deploy('pipebase-dev-orders') \g /dev/null
SELECT is((pg_temp.cell('dev')).status, 'in_sync', 'redeployed: the row for dev says In sync');
SELECT is((pg_temp.cell('dev')).promotable, true, '... and it can be promoted');
SELECT is((pg_temp.cell('prod')).promotable, NULL, 'behind prod comes nothing: no button');

-- ---- 3. "Promote to test" ----
SELECT is((SELECT destination FROM promote.promote_to_next('pipebase-dev-orders')), 'pipebase-test-orders',
    'promotes to the next one, test');
SELECT is((pg_temp.refusal($$SELECT promote.promote_instance('pipebase-dev-orders', 'pipebase-prod-orders')$$)).state,
    'PM605', 'and nowhere past it');

-- ---- 4. wait: the test row updates to In sync; parameter substitution applies ----
SELECT is(pg_temp.work('pipebase-test-orders'), 1, 'a worker plans');
SELECT promote.deploy_instance('pipebase-test-orders') \g /dev/null
SELECT is(pg_temp.work('pipebase-test-orders'), 1, '... and deploys, the same code path as a regular deploy');
SELECT is((pg_temp.cell('test')).status, 'in_sync', 'the test row updates to In sync');
SELECT is((SELECT c.params ->> 'url' FROM promote.instance AS i JOIN promote.deployment AS d ON d.project = i.project
    AND d.environment = i.environment AND d.component = i.component
    AND d.deployment = i.deployed_by JOIN promote.config AS c ON c.project = d.project AND c.digest = d.rendered_digest
        WHERE i.name = 'pipebase-test-orders'),
    'test.example.com', 'environment-specific values swap in automatically');

-- ---- 5. repeat for test -> staging and staging -> prod ----
SELECT is((SELECT destination FROM promote.promote_to_next('pipebase-test-orders')), 'pipebase-staging-orders',
    'test -> staging');
SELECT is((pg_temp.cell('staging')).status, 'stale', 'staged there, not deployed yet');
SELECT pg_temp.work('pipebase-staging-orders') \g /dev/null
SELECT promote.deploy_instance('pipebase-staging-orders') \g /dev/null
SELECT pg_temp.work('pipebase-staging-orders') \g /dev/null
SELECT is((SELECT destination FROM promote.promote_to_next('pipebase-staging-orders')), 'pipebase-prod-orders',
    'staging -> prod');
SELECT pg_temp.work('pipebase-prod-orders') \g /dev/null
SELECT promote.deploy_instance('pipebase-prod-orders') \g /dev/null
SELECT pg_temp.work('pipebase-prod-orders') \g /dev/null
SELECT is((SELECT count(DISTINCT digest) FROM promote.promotion_matrix WHERE project = 'pipebase'), 1::bigint,
    'the same configuration everywhere, by its hash');
SELECT is((SELECT string_agg(status, ' ') FROM promote.promotion_matrix WHERE project = 'pipebase'),
    'in_sync in_sync in_sync in_sync', 'all in sync');

-- Gates are judged when it is deployed, too: what is not in sync at the source any more is not deployed.
SELECT promote.configure_instance('pipebase-staging-orders', '{"rate": 3}') \g /dev/null
SELECT pg_temp.deploy('pipebase-staging-orders') \g /dev/null
SELECT promote.promote_to_next('pipebase-staging-orders') \g /dev/null
SELECT pg_temp.work('pipebase-prod-orders') \g /dev/null
SELECT promote.configure_instance('pipebase-staging-orders', '{"rate": 4}') \g /dev/null
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('pipebase-prod-orders')), 'source_in_sync',
    'staging has moved on: prod is not deployed from it');
SELECT is((pg_temp.refusal($$SELECT promote.deploy_instance('pipebase-prod-orders')$$)).state, 'PM601',
    '... and deploying is refused');

-- ---- rollback: undeploy, then redeploy from the upstream environment's source; or pin to a previous version ----
SELECT promote.rollback_instance('pipebase-staging-orders', 2) \g /dev/null
SELECT pg_temp.work('pipebase-staging-orders') \g /dev/null
SELECT promote.deploy_instance('pipebase-staging-orders') \g /dev/null
SELECT pg_temp.work('pipebase-staging-orders') \g /dev/null
SELECT is((SELECT desired_version FROM promote.instance_status WHERE instance = 'pipebase-staging-orders'), '0.5.0',
    'staging is back at what it was promoted');
SELECT is((SELECT row(changed, deployment, diff)::text FROM promote.promote_to_next('pipebase-staging-orders')),
    '(t,,[])', '... and prod desires what it runs again: there is nothing to do');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'pipebase-prod-orders'), 'in_sync',
    'prod runs the same');

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and all of it is on record');
SELECT * FROM finish();
ROLLBACK;
