-- What people see: a promotion's preview, result, plan and refusals, as psql prints them.
\set VERBOSITY default
\set SHOW_CONTEXT never
\pset null '(missing)'
INSERT INTO promote.bundle VALUES ('web');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'web', version, '{
    "type": "object",
    "required": ["image"],
    "additionalProperties": false,
    "properties": {
        "image": {"type": "string"},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 9},
        "account": {"type": "string", "$md.copyable": false},
        "region": {"type": "string", "$md.immutable": true},
        "token": {"type": "string", "$md.sensitive": true},
        "hosts": {"type": "array", "items": {"type": "string", "pattern": "^[a-z.]+$"}},
        "note": {}
    }
}' FROM unnest(ARRAY['1.0.0', '1.1.0', '1.2.0-dev.20260915T101500Z']) AS version;
-- with a key, as a dump is loaded, so that digests are the same each time
SET row_security = off;
INSERT INTO promote.project_key (project, digest_key) VALUES ('shop', sha256('shop'));
INSERT INTO promote.project (project) VALUES ('shop');
RESET row_security;
INSERT INTO promote.environment (project, environment, require_proven_release)
    VALUES ('shop', 'staging', false), ('shop', 'production', false);
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('shop', 'staging', '{"domain": "staging.example"}'), ('shop', 'production', '{"domain": "example"}');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'web', 'web'), ('shop', 'api', 'web');
INSERT INTO promote.instance (project, environment, component)
VALUES ('shop', 'staging', 'web'), ('shop', 'production', 'web'), ('shop', 'production', 'api');

SET promote.actor = 'ada';
SELECT * FROM promote.configure_instance('shop-staging-web',
    '{"image": "web:2", "replicas": 2, "account": "s", "region": "eu", "token": "hush", "hosts": ["www.{{domain}}"]}',
        'latest+dev');
SELECT * FROM promote.configure_instance('shop-production-web',
    '{"image": "web:1", "account": "p", "region": "us", "token": "secret", "note": {"a": [1, {"b": null}]}}', '1.0.0');
SELECT * FROM promote.preview_promotion('shop-staging-web', 'shop-production-web', '{"replicas": 5}');
SELECT * FROM promote.promote_instance('shop-staging-web', 'shop-production-web', '{"replicas": 5}',
    message => 'release 2');
SELECT * FROM promote.promote_instance('shop-staging-web', 'shop-production-web', '{"replicas": 5}');
SELECT promote.plan_text('shop-production-web', 2);
SELECT actor, source, source_revision, destination, revision, version_constraint, previous_version, version, changes,
    plan, plan_status, message
  FROM promote.promotion_history;
SELECT revision, params FROM promote.config_as_of('shop-production-web', 'infinity');
SELECT subject, seq, actor, event, data - 'created_at' - 'database_role' AS data FROM promote.audit_log
    WHERE subject LIKE 'shop-%' ORDER BY subject, seq;
SELECT * FROM promote.verify_audit();

-- refusals
SELECT promote.promote_instance('shop-staging-web', 'shop-production-api');
SELECT promote.promote_instance('shop-staging-web', 'shop-staging-web');
SELECT promote.promote_instance('shop-staging-web', 'shop-canary-web');
SELECT promote.promote_instance('shop-staging-web', 'shop-prod uction-web');
SELECT promote.promote_instance('shop-staging-web', 'shop-production-web',
    '{"image": null, "replicas": 50, "hosts": ["WWW"], "token": ["hidden"], "extra": 1}');
SELECT promote.promote_instance('shop-staging-web', 'shop-production-web', '{"image": "{{tag}} {{branch}}"}');
SELECT promote.promote_instance('shop-staging-web', 'shop-production-web', expected_revision => 1);
DO $$
DECLARE
    claim record;
BEGIN
    FOR i IN 1 .. 2 LOOP
        LOOP
            SELECT * INTO claim FROM promote.claim_deployment('test');
            EXIT WHEN NOT FOUND;
            PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
        END LOOP;
        EXIT WHEN i = 2;
        PERFORM promote.deploy_instance('shop-production-web');
    END LOOP;
END $$;
SELECT name, status, deployed_revision, deployed_by FROM promote.instance ORDER BY name;
SELECT promote.promote_instance('shop-staging-web', 'shop-production-web', '{"region": "asia"}');
SELECT destination, new_revision, changed FROM promote.promote_instance('shop-staging-web', 'shop-production-web',
    '{"region": "asia"}', allow_replace => true);
SELECT promote.plan_text('shop-production-web');
SELECT promote.configure_instance('shop-staging-web', version_constraint => '~4');
DELETE FROM promote.revision;
UPDATE promote.instance SET revision = 9;
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('web', '2.0.0', '{"properties": {"a": {"type": "strin"}}}');
SELECT promote.yaml_to_jsonb(E'a: 1\na: 2');
