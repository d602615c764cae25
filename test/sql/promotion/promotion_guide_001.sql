-- The guide "Multi-Environment Promotion for Infrastructure as Code", principle by principle, with its own names of
-- things.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql

-- ---- same code, different inputs: infra/modules is one bundle, environments/*.tfvars are params and parameters ----
INSERT INTO promote.bundle VALUES ('modules');
INSERT INTO promote.bundle_release (bundle, version, params_schema, stateful_types) VALUES
    ('modules', '1.0.0', '{"properties": {"instances": {"type": "integer"}, "size": {"$md.copyable": false}}}',
        '{aws_db_instance}'),
    ('modules', '1.1.0', '{"properties": {"instances": {"type": "integer"}, "size": {"$md.copyable": false}}}',
        '{aws_db_instance}');
INSERT INTO promote.project (project) VALUES ('infra');
INSERT INTO promote.environment (project, environment)
    VALUES ('infra', 'dev'), ('infra', 'staging'), ('infra', 'prod');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('infra', 'dev', '{"endpoint": "dev.internal"}'),
           ('infra', 'staging', '{"endpoint": "staging.internal"}'),
           ('infra', 'prod', '{"endpoint": "prod.internal"}');
INSERT INTO promote.component (project, component, bundle) VALUES ('infra', 'db', 'modules');
INSERT INTO promote.instance (project, environment, component) SELECT 'infra', environment, 'db'
    FROM promote.environment WHERE project = 'infra';
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('infra', 'dev', 'staging'), ('infra', 'staging', 'prod');
SELECT promote.configure_instance(name, jsonb_build_object('instances', 1, 'endpoint', '{{endpoint}}', 'size',
    environment), '1.0.0')
  FROM promote.instance WHERE project = 'infra' \g /dev/null
SELECT pg_temp.deploy(name) FROM promote.instance WHERE project = 'infra' \g /dev/null

-- What stands in the way of prod, by codes.
CREATE FUNCTION pg_temp.codes(plan integer DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(code, ' ') FROM promote.blockers('infra-prod-db', plan)
$$;

-- ---- the pipeline: 1. and 2. a change is merged, and goes to dev at once ----
SET LOCAL promote.actor = 'dev';
SELECT promote.configure_instance('infra-dev-db', '{"instances": 2}', '1.1.0') \g /dev/null
SELECT is(pg_temp.deploy('infra-dev-db') > 0, true, 'auto-deploy to dev: no gates, breakage is free');

-- ---- 3. promote to staging, same artifact, staging inputs; run integration tests against it ----
SELECT promote.promote_to_next('infra-dev-db') \g /dev/null
SELECT pg_temp.planned('infra-staging-db',
    '[["aws_db_instance.main", ["update"], {"instances": 1}, {"instances": 2}]]') \g /dev/null
SELECT promote.deploy_instance('infra-staging-db') \g /dev/null
SELECT pg_temp.work('infra-staging-db') \g /dev/null
SELECT is((SELECT desired_version FROM promote.instance_status WHERE instance = 'infra-staging-db'), '1.1.0',
    'the same artifact');
SELECT is((SELECT c.params ->> 'endpoint' FROM promote.instance_status AS s
    JOIN promote.config AS c ON c.project = s.project AND c.digest = s.rendered_digest
    WHERE s.instance = 'infra-staging-db'),
    'staging.internal', 'staging inputs');

-- ---- 4. gate to prod: a human approval, plus the full policy and test suite, plus a plan review ----
UPDATE promote.environment SET source_policy = 'path', require_source_in_sync = true, separation_of_duty = true
    WHERE project = 'infra' AND environment = 'prod';
CREATE ROLE reviewer;
CREATE ROLE rita LOGIN IN ROLE reviewer;
INSERT INTO promote.grants (role, action, project) VALUES ('reviewer', 'approve', 'infra');
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
    VALUES ('infra', 'prod', 'plan review', 'reviewer', 1);
INSERT INTO promote.required_check (project, environment, check_name, "of")
    VALUES ('infra', 'prod', 'integration tests', 'source');
INSERT INTO promote.required_check (project, environment, check_name, per_revision)
    VALUES ('infra', 'prod', 'schema migration', true);
CREATE SCHEMA policies;
CREATE FUNCTION policies.at_least_two(instance text, deployment integer,
    at timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE sql STABLE AS $$
    SELECT 'policy', 'production runs at least three of everything', NULL::timestamptz, NULL::timestamptz,
        'whoever configures it', true
     WHERE (SELECT (c.params ->> 'instances')::integer FROM promote.config_as_of($1) AS c) < 3
$$;
INSERT INTO promote.policy (policy, function, project, environment)
    VALUES ('at least three', 'policies.at_least_two', 'infra', 'prod');

SELECT promote.promote_to_next('infra-staging-db', message => 'ship it') \g /dev/null
SELECT is(pg_temp.codes(), 'plan health health policy approval', 'all that is missing, at once');
SELECT is((pg_temp.refusal($$SELECT promote.promote_instance('infra-dev-db', 'infra-prod-db')$$)).state, 'PM605',
    'prod takes from staging alone: what reaches it was validated lower down');
SELECT promote.promote_to_next('infra-staging-db', '{"instances": 3}', message => 'ship it') \g /dev/null

-- ---- review the prod plan before it runs: anything destructive, and what was not in the staging plan ----
SELECT pg_temp.planned('infra-prod-db',
    '[["aws_db_instance.main", ["delete", "create"], {"instances": 1}, {"instances": 3}],
    ["aws_db_instance.surprise", ["create"], null, {"instances": 3}]]') AS plan \gset
SELECT is((SELECT string_agg(address, ' ') FROM promote.resource_changes WHERE instance = 'infra-prod-db'
    AND deployment = :plan AND destructive AND stateful), 'aws_db_instance.main',
    'anything destructive is flagged');
SELECT is((SELECT string_agg(address, ' ' ORDER BY change) FROM promote.resource_changes
    WHERE instance = 'infra-prod-db' AND deployment = :plan AND unexpected),
    'aws_db_instance.main aws_db_instance.surprise',
    'and which changes were not present in the staging plan');
SELECT is(pg_temp.codes(), 'health health destructive unexpected approval',
    'a replaced database and surprises block: policy as code as a hard rule');
SELECT is((pg_temp.refusal($$SELECT promote.deploy_instance('infra-prod-db')$$)).state, 'PM601',
    'promotion never deletes and recreates a stateful resource');
SET LOCAL promote.actor = 'rita';
SET LOCAL ROLE rita;
SELECT is((promote.reject_deployment('infra-prod-db', :plan, 'it would replace the database')).status, 'COMPLETED',
    'the reviewer rejects the plan, for a reason');
RESET ROLE;
SET LOCAL promote.actor = 'dev';
SELECT is(pg_temp.codes(), 'health health destructive unexpected approval rejected', '... which blocks as well');

-- ---- mended: the plan does in prod what it did in staging ----
SELECT pg_temp.planned('infra-prod-db', '[["aws_db_instance.main", ["update"], {"instances": 1}, {"instances": 3}]]') AS
    plan \gset
SELECT is(pg_temp.codes(), 'health health approval',
    'another plan: nothing destructive, nothing unexpected, and not rejected');

-- ---- tests, and schema migrations as their own gated step ----
SELECT promote.report_health('infra-staging-db', 'integration tests', true, '214 passed') \g /dev/null
SELECT promote.report_health('infra-prod-db', 'schema migration', true, 'backward compatible; done') \g /dev/null
SELECT is(pg_temp.codes(), 'approval', 'the test suite is green, the migration is done');
SELECT is((pg_temp.refusal($$SELECT promote.deploy_instance('infra-prod-db')$$)).state, 'PM601',
    'the human gate: somebody accountable looks at the diff and says yes');
SET LOCAL promote.actor = 'rita';
SET LOCAL ROLE rita;
SELECT is((promote.approve_deployment('infra-prod-db', :plan, 'read it')).deployment, :plan, 'says yes');
RESET ROLE;
SET LOCAL promote.actor = 'dev';
SELECT is(pg_temp.codes(), NULL, 'nothing is in the way');

-- ---- 5. deploy to prod with the same artifact, prod inputs, and a watched rollout ----
SELECT is((promote.deploy_instance('infra-prod-db')).plan, :plan, 'what was reviewed is what is deployed');
SELECT pg_temp.work('infra-prod-db') \g /dev/null
SELECT is((SELECT row(status, deployed_version)::text FROM promote.instance_status WHERE instance = 'infra-prod-db'),
    '(in_sync,1.1.0)', 'the same artifact');
SELECT is((SELECT row(c.params ->> 'endpoint', c.params ->> 'size', c.params ->> 'instances')::text
    FROM promote.instance_status AS s JOIN promote.config AS c
    ON c.project = s.project AND c.digest = s.rendered_digest WHERE s.instance = 'infra-prod-db'),
        '(prod.internal,prod,3)', 'prod inputs');
SELECT promote.report_health('infra-prod-db', 'integration tests', false, 'errors rise') \g /dev/null
SELECT is((SELECT healthy FROM promote.instance_health WHERE instance = 'infra-prod-db'
    AND check_name = 'integration tests'), false, 'watched');

-- ---- roll back like you mean it: the same mechanism in reverse, tested before you need it ----
SELECT is((SELECT string_agg(path, ', ') FROM promote.rehearse_rollback('infra-prod-db') WHERE change IS NOT NULL),
    'release version, release constraint, .instances',
    'rehearsed');
SELECT promote.rollback_instance('infra-prod-db', message => 'errors rise') \g /dev/null
SELECT pg_temp.planned('infra-prod-db', '[["aws_db_instance.main", ["update"], {"instances": 3}, {"instances": 1}]]') AS
    plan \gset
SELECT is(pg_temp.codes(), 'health policy approval', 'through the same gates');
SELECT * FROM finish();
ROLLBACK;
