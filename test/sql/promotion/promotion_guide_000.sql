-- The guide "Promote Configs Across Environments", step by step, with its own names of things.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'prod-useast'), ('ecomm', 'template'),
    ('ecomm', 'acme'), ('ecomm', 'recovery');
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'app', 'redis');
INSERT INTO promote.instance (project, environment, component)
VALUES ('ecomm', 'staging', 'app'), ('ecomm', 'production', 'app'), ('ecomm', 'prod-useast', 'db'),
       ('ecomm', 'template', 'cache'), ('ecomm', 'acme', 'cache'), ('ecomm', 'recovery', 'db');
SELECT promote.configure_instance('ecomm-production-db', '{"size": "small"}', '1.0.0') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null

-- ---- mass instance promote ecomm-staging-db --to ecomm-production-db ----
-- The source runs a constraint of the development channel with tuned params; production still has the older version.
SELECT is((SELECT row(version_constraint, release_channel)::text FROM promote.instance WHERE name = 'ecomm-staging-db'),
    '(~1,development)', 'the source is on the development channel');
SELECT is((SELECT version_constraint FROM promote.instance WHERE name = 'ecomm-production-db'), '1.0.0',
    'the destination is on the older version');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$$,
    'one statement promotes');

-- ---- what gets promoted ----
SELECT is(pg_temp.params('ecomm-production-db') ->> 'size', 'medium', 'the source''s params');
SELECT is(pg_temp.params('ecomm-production-db') ->> 'account', 'prod',
    'minus any field the bundle marks $md.copyable: false');
SELECT is((SELECT row(version_constraint, release_channel)::text FROM promote.instance
    WHERE name = 'ecomm-production-db'), '(~1,development)', 'the source''s version constraint and release channel');
SELECT is((SELECT row(action, status)::text FROM promote.deployment WHERE environment = 'production'
    AND component = 'db' ORDER BY deployment DESC LIMIT 1),
    '(PLAN,PENDING)', 'then a PLAN deployment is created on the destination');
SELECT is((SELECT deployed_revision FROM promote.instance WHERE name = 'ecomm-production-db') < (SELECT revision
    FROM promote.instance WHERE name = 'ecomm-production-db'),
    true, 'and nothing is deployed: production never moves without explicit human action');
SELECT matches(promote.plan_text('ecomm-production-db'), 'size',
    'so you (or an approver) can review the diff before applying');

-- ---- overrides: deep-merged on top of the source params before writing ----
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    promote.yaml_to_jsonb(E'replicas: 3\nnetwork:\n  zones: [a, b]\n')) \g /dev/null
SELECT is(pg_temp.params('ecomm-production-db') -> 'replicas', '3',
    'production scales bigger than staging: an override of a YAML file');
SELECT is(pg_temp.params('ecomm-production-db') -> 'network', '{"cidr": "10.9.0.0/16", "zones": ["a", "b"]}',
    '... deep-merged: what is not named stays');

-- ---- once the plan deployment looks good, ship it ----
SELECT is(pg_temp.work('ecomm-production-db'), 2, 'a worker plans');
SELECT is((SELECT row(action, status)::text FROM promote.deploy_instance('ecomm-production-db')), '(PROVISION,PENDING)',
    'mass instance deploy ecomm-production-db');
SELECT is(pg_temp.work('ecomm-production-db'), 1, 'a worker provisions');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-db'), 'in_sync',
    'production runs it');

-- ---- a promote with no overrides creates an identical destination configuration ----
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT is(pg_temp.params('ecomm-production-db') - 'account' - 'network' - 'nodes',
    pg_temp.params('ecomm-staging-db') - 'account' - 'network' - 'nodes',
    'identical, but for what is not copyable');

-- ---- components must match ----
SELECT is((pg_temp.refusal($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-cache')$$)).state,
    'PM004', 'mismatched copies are rejected');
SELECT matches((pg_temp.refusal($$SELECT promote.promote_instance('ecomm-staging-db',
    'ecomm-production-cache')$$)).detail, 'db.*cache', '... with a clear error that names both');

-- ---- promote as a CI pattern: several in one transaction, none deployed ----
SELECT promote.configure_instance('ecomm-staging-app', '{"a": 1}', '1.0.0') \g /dev/null
SELECT promote.configure_instance('ecomm-production-app', '{"a": 0}', '1.0.0') \g /dev/null
SELECT is((SELECT count(*) FROM (VALUES ('ecomm-staging-db', 'ecomm-production-db'),
    ('ecomm-staging-app', 'ecomm-production-app')) AS pair (src, dst),
    promote.promote_instance(src, dst, idempotency_key => 'run-4711')), 2::bigint,
        'wired into a release pipeline, with its run as the key');
SELECT is((SELECT count(*) FROM promote.deployment WHERE action = 'PROVISION' AND status = 'PENDING'), 0::bigint,
    'each promote ends in a plan deployment, not an apply');

-- ---- beyond two environments ----
SELECT promote.configure_instance(name, '{"size": "small"}', '1.0.0') FROM promote.instance
    WHERE environment IN ('prod-uswest', 'prod-useast', 'recovery') \g /dev/null
SELECT promote.configure_instance(name, '{}', '1.0.0') FROM promote.instance
    WHERE environment IN ('template', 'acme') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-prod-uswest-db', 'ecomm-prod-useast-db')$$, 'region rollouts');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-template-cache', 'ecomm-acme-cache')$$, 'per-tenant updates');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-production-db', 'ecomm-recovery-db')$$,
    'disaster recovery rehearsals: promote prod into a parallel env');
SELECT is(pg_temp.work('ecomm-recovery-db') > 0 AND (promote.deploy_instance('ecomm-recovery-db')).status = 'PENDING',
    true, '... and deploy from there');

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and all of it is on record');
SELECT * FROM finish();
ROLLBACK;
