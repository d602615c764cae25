-- The gate "structure": an environment that has to be shaped like another one.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'empty', version, '{"properties": {"replicas": {"type": "integer"}, "on": {"type": "boolean"},
    "tier": {"enum": ["a", "b"]}}}' FROM unnest(ARRAY['1.0.0', '1.1.0', '2.0.0']) AS version;
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'staging', 'bare');

-- What the gate says of production's.
CREATE FUNCTION pg_temp.closed(instance text DEFAULT 'ecomm-production-bare') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws('|', b.message, b.liftable_by, b.overridable), E'\n')
        FROM promote.blockers(instance) AS b
     WHERE b.code = 'structure'
$$;

SELECT promote.configure_instance('ecomm-staging-bare', '{"replicas": 1, "on": true, "tier": "a"}', '1.0.0')
    \g /dev/null
SELECT promote.configure_instance('ecomm-production-bare', '{"replicas": 9, "on": true, "tier": "a"}', '1.1.0')
    \g /dev/null
SELECT is(pg_temp.closed(), NULL, 'nobody asks for it');
UPDATE promote.environment SET require_structure = 'staging' WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.closed(), '"ecomm-production-bare" has to be shaped like "ecomm-staging-bare", which runs nothing'
    '|whoever deploys "ecomm-staging-bare" first|f', 'what does not run there has no shape yet');
SELECT pg_temp.deploy('ecomm-staging-bare') \g /dev/null
SELECT is(pg_temp.closed(), NULL, 'another size and a minor version are of one shape');

SELECT promote.configure_instance('ecomm-production-bare', '{"on": false, "tier": "b", "x": 1}', '2.0.0') \g /dev/null
SELECT is(pg_temp.closed(),
    '"ecomm-production-bare" would not be shaped like "ecomm-staging-bare": release version, .x, .on, '
    '.tier|whoever gives both the same shape|f', 'all in which it is another one is named');
SELECT promote.plan_instance('ecomm-production-bare') \g /dev/null
SELECT pg_temp.work('ecomm-production-bare') \g /dev/null
SELECT matches((pg_temp.refusal($$SELECT promote.deploy_instance('ecomm-production-bare')$$)).detail, 'structure',
    'the verb asks the same gate');
SELECT is((pg_temp.refusal($$SELECT promote.deploy_instance('ecomm-production-bare')$$)).state, 'PM601', 'and refuses');

-- ---- as it was planned ----
UPDATE promote.parameter_set SET parameters = '{"on": false}' WHERE project = 'ecomm' AND environment = 'production';
SELECT promote.configure_instance('ecomm-production-bare', '{"on": "{{on}}", "tier": "a", "x": null}', '1.1.0')
    \g /dev/null
SELECT matches(pg_temp.closed(), ': .on\|', 'rendered');
UPDATE promote.parameter_set SET parameters = '{"on": true}' WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.closed(), NULL, 'with the parameters of now');
SELECT promote.plan_instance('ecomm-production-bare') AS planned \gset
SELECT pg_temp.work('ecomm-production-bare') \g /dev/null
SELECT is(pg_temp.closed(), NULL, 'a plan that has the shape');

-- ---- what runs there counts, and not what is desired there ----
SELECT promote.configure_instance('ecomm-staging-bare', '{"on": false}') \g /dev/null
SELECT is(pg_temp.closed(), NULL, 'what is only desired there changes nothing');
SELECT pg_temp.deploy('ecomm-staging-bare') \g /dev/null
SELECT matches(pg_temp.closed(), ': .on\|', 'what runs there does');

-- ---- overriding, and what has no shape ----
INSERT INTO promote.override_rule (project, environment, code, role) VALUES ('ecomm', 'production', 'structure',
    current_user);
SELECT promote.override_gate('ecomm-production-bare', (SELECT max(deployment) FROM promote.deployment
    WHERE environment = 'production' AND component = 'bare'), 'structure', 'it is a trial') \g /dev/null
SELECT is(pg_temp.closed(), NULL, 'an override opens it');
SELECT promote.configure_instance('ecomm-production-bare', '{"tier": "b"}') \g /dev/null
SELECT matches(pg_temp.closed(), ': .on, .tier\|', 'for the differences that it was given for');
SELECT promote.configure_instance('ecomm-production-bare', '{"on": false, "tier": "a"}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-bare') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-bare', '{"on": true}') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-bare') \g /dev/null
SELECT is((SELECT string_agg(code, ',') FROM promote.blockers('ecomm-production-bare', action => 'DECOMMISSION')), NULL,
    'what is taken away has no shape');

-- ---- before anything is staged ----
INSERT INTO promote.promotion_path VALUES ('ecomm', 'prod-uswest', 'production');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'prod-uswest', 'bare');
SELECT promote.configure_instance('ecomm-prod-uswest-bare', '{"replicas": 1, "on": false, "tier": "a"}', '1.0.0')
    \g /dev/null
SELECT matches((SELECT why_not FROM promote.promotion_matrix WHERE instance = 'ecomm-prod-uswest-bare'),
    'would not be shaped like "ecomm-staging-bare": .on', 'the matrix says it');
SELECT promote.open_request('ecomm', 'prod-uswest', 'production', '{"components": ["bare"]}') \g /dev/null
SELECT matches((SELECT jsonb_path_query_array(blockers, '$[*] ? (@.code == "structure").message')::text
    FROM promote.preview_request('ecomm', 1)), 'shaped like', 'so does the preview of a request');

-- ---- bad input ----
SELECT pg_temp.refuses($$UPDATE promote.environment SET require_structure = 'staging' WHERE environment = 'staging'$$,
    'PM404', 'environment itself', 'like itself');
UPDATE promote.environment SET require_structure = 'nowhere' WHERE project = 'ecomm' AND environment = 'production';
SELECT matches(pg_temp.closed(), 'shaped like "ecomm-nowhere-bare", which runs nothing', 'like one that is not there');

SELECT * FROM finish();
ROLLBACK;
