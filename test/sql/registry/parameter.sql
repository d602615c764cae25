-- Parameters of environments: who reads them, and what is shown of those that are sensitive.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/as_role.sql
CREATE ROLE p_configurer;
CREATE ROLE p_viewer;
CREATE ROLE p_admin;
INSERT INTO promote.grants (role, action, project, environment) VALUES
    ('p_configurer', 'configure', 'ecomm', 'production'), ('p_viewer', 'view', 'ecomm', NULL),
    ('p_admin', 'admin', NULL, NULL), ('p_admin', 'promote', NULL, NULL), ('p_admin', 'deploy', NULL, NULL);

-- ---- what can be parameters ----
UPDATE promote.parameter_set SET parameters = '{"host": "db.example.com", "token": "TOKEN-unseen", "pin": 31415926,
    "zones": ["a", "b"], "nothing": null}', sensitive = '{token,pin}', descriptions = '{"token": "of the gateway"}'
    WHERE project = 'ecomm' AND environment = 'production';
SELECT is((SELECT state || ': ' || message || '. ' || detail FROM pg_temp.refusal(format(
    $$UPDATE promote.parameter_set SET %s WHERE environment = 'production'$$, assignment))), expected, assignment)
  FROM (VALUES
    ($$sensitive = '{other}'$$,
        'PM404: invalid sensitive parameters. One of them is no parameter of the environment.'),
    ($$sensitive = '{token,NULL}'$$,
        'PM404: invalid sensitive parameters. One of them is no parameter of the environment.'),
    ($$parameters = parameters - 'pin'$$,
        'PM404: invalid sensitive parameters. One of them is no parameter of the environment.'),
    ($$descriptions = '{"other": "x"}'$$,
        'PM404: invalid descriptions. One is no text, or of what is no parameter of the environment.'),
    ($$descriptions = '{"token": 1}'$$,
        'PM404: invalid descriptions. One is no text, or of what is no parameter of the environment.'),
    ($$descriptions = '[]'$$, 'PM101: the descriptions must be a JSON object. They are of type array.'),
    ($$parameters = parameters || '{"x": "{{host}}"}'$$,
        'PM404: invalid parameters. A name or a value has {{ in it. What a parameter holds is never rendered again.'))
       AS v (assignment, expected);
SELECT is(promote_internal.parameters_of('ecomm', 'prod-uswest'), '{}', 'none');
SELECT is(promote_internal.parameters_of('other', 'production'), '{}', '... also where there is no row');
SELECT is(promote_internal.parameters_of('ecomm', 'production') -> '{{', '["token", "pin"]',
    'what renders is told which are sensitive');
SELECT throws_ok($$DELETE FROM promote.environment WHERE environment = 'prod-uswest' AND project = 'ecomm'$$, '23503',
    NULL, 'an environment is not deleted before its parameters');

-- ---- who reads them ----
SELECT is(pg_temp.as_role('p_configurer', $$SELECT string_agg(p::text, E'\n' ORDER BY p.name)
    FROM (SELECT * FROM promote.parameter) AS p$$),
    E'(ecomm,production,ecomm-production,host,"""db.example.com""",f,)\n'
    '(ecomm,production,ecomm-production,nothing,null,f,)\n'
    '(ecomm,production,ecomm-production,pin,"""(sensitive value)""",t,)\n'
    '(ecomm,production,ecomm-production,token,"""(sensitive value)""",t,"of the gateway")\n'
    '(ecomm,production,ecomm-production,zones,"[""a"", ""b""]",f,)',
    'whoever may configure there, but for what is sensitive');
SELECT is(pg_temp.as_role('p_viewer', 'SELECT count(*) FROM promote.parameter'), '0', 'whoever may view sees none');
SELECT is(pg_temp.as_role('p_admin', 'SELECT count(*) FROM promote.parameter'), '0', '... nor does an admin');
SELECT is((SELECT value FROM promote.parameter WHERE name = 'token'), '"(sensitive value)"',
    'the owner reads the view as others do');
SELECT is((SELECT count(*) FROM promote.parameter WHERE environment = 'staging'), 2::bigint, '... of all environments');
SELECT is(pg_temp.as_role(r, 'SELECT count(*) FROM promote.parameter_set') ~ '^42501', true,
    r || ' does not read the table') FROM unnest('{p_configurer,p_viewer,p_admin}'::text[]) AS r;
GRANT SELECT ON promote.parameter_set TO p_viewer;
SELECT is(pg_temp.as_role('p_viewer', 'SELECT count(*) FROM promote.parameter_set'), '0',
    '... not even its rows, when it was granted by hand');
REVOKE SELECT ON promote.parameter_set FROM p_viewer;

-- ---- what is rendered of sensitive ones ----
SELECT promote.configure_instance('ecomm-production-cache', '{"url": "https://x:{{token}}@{{host}}/", "pin": "{{pin}}",
    "list": ["{{ token }}"], "copy": "TOKEN-unseen", "host": "{{host}}"}', '1.0.0', plan => false) \g /dev/null
SELECT is((SELECT kept_marks FROM promote.revision WHERE component = 'cache' ORDER BY revision DESC LIMIT 1),
    '[".pin", ".url", ".copy", ".list[0]"]', 'the revision notes where they are, and what else has their value');
SELECT pg_temp.deploy('ecomm-production-cache') \g /dev/null
SELECT is((SELECT c.params ->> 'url' FROM promote.deployment AS d
    JOIN promote.config AS c ON c.project = d.project AND c.digest = d.rendered_digest
    WHERE d.component = 'cache' ORDER BY d.deployment DESC LIMIT 1), 'https://x:TOKEN-unseen@db.example.com/',
    'what runs has them');

-- All that a role is shown of the cache, in one text.
CREATE FUNCTION pg_temp.seen(role text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(pg_temp.as_role($1, 'SELECT string_agg(x::text, E''\n'') FROM (' || statement || ') AS x'), E'\n')
      FROM (VALUES ('SELECT * FROM promote.config_as_of(''ecomm-production-cache'')'),
        ('SELECT * FROM promote.config_as_of(''ecomm-production-cache'', state => ''running'')'),
        ('SELECT * FROM promote.config_changes'), ('SELECT * FROM promote.promotion_history'),
        ('SELECT promote.plan_text(''ecomm-production-cache'')'), ('SELECT * FROM promote.deployment'),
        ('SELECT * FROM promote.blame(''ecomm-production-cache'')'),
        ('SELECT * FROM promote.leaf_history(''ecomm-production-cache'', ''.url'')'),
        ('SELECT * FROM promote.leaf_history(''ecomm-production-cache'', ''.copy'')'),
        ('SELECT * FROM promote.compare_instances(''ecomm-staging-cache'', ''ecomm-production-cache'')'),
        ('SELECT * FROM promote.compare_environments(''ecomm-staging'', ''ecomm-production'')'),
        ('SELECT * FROM promote.preview_promotion(''ecomm-staging-cache'', ''ecomm-production-cache'')'),
        ('SELECT * FROM promote.drift_status'), ('SELECT * FROM promote.drift_item'),
        ('SELECT data FROM promote.audit_log')) AS v (statement)
$$;
CREATE FUNCTION pg_temp.hides(role text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    text text := pg_temp.seen(role);
BEGIN
    RETURN NEXT doesnt_match(text, 'TOKEN-unseen|31415926', what || ': no value');
    RETURN NEXT doesnt_match(text, '42501|PM701', '... of all that was asked for');
    RETURN NEXT matches(text, 'sensitive value', '... where there is one');
END
$$;
SELECT promote.configure_instance('ecomm-staging-cache', '{"url": "{{domain}}", "pin": 1}', '1.0.0', plan => false)
\g /dev/null
SELECT pg_temp.hides('p_viewer', 'what runs');
UPDATE promote.parameter_set SET parameters = parameters || '{"token": "TOKEN-unseen-too"}'
    WHERE project = 'ecomm' AND environment = 'production';
SELECT pg_temp.hides('p_viewer', 'with another value');
SELECT pg_temp.deploy('ecomm-production-cache') \g /dev/null
SELECT pg_temp.hides('p_viewer', 'once that is deployed');
SELECT promote.report_observed('ecomm-production-cache', '{"url": "https://x:TOKEN-unseen-too@elsewhere/", "new":
    "TOKEN-unseen-too"}', 'test') \g /dev/null
SELECT pg_temp.hides('p_viewer', 'and was reported');
-- marks that were written down stay
UPDATE promote.parameter_set SET sensitive = '{}' WHERE project = 'ecomm' AND environment = 'production';
SELECT doesnt_match(pg_temp.as_role('p_viewer', $$SELECT string_agg(params::text, '')
    FROM promote.config_as_of('ecomm-production-cache', state => 'running')$$), 'TOKEN-unseen',
    'what ran stays masked when the parameter is not sensitive any more');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE data::text ~ 'TOKEN-unseen|31415926'), 0::bigint,
    'no value is recorded');
SELECT is((SELECT data -> 'before' -> 'sensitive' FROM promote.audit_log
    WHERE subject = 'parameter_set ecomm/production' ORDER BY seq DESC LIMIT 1), '"{token,pin}"',
    '... but which were sensitive');

-- ---- a promotion renders them at the destination ----
UPDATE promote.parameter_set SET sensitive = '{token}' WHERE project = 'ecomm' AND environment = 'production';
UPDATE promote.parameter_set SET parameters = parameters || '{"token": "of staging"}'
    WHERE project = 'ecomm' AND environment = 'staging';
SELECT promote.configure_instance('ecomm-staging-cache', '{"mine": "it is {{token}}", "url": null}', '1.0.0',
    plan => false) \g /dev/null
SELECT doesnt_match(pg_temp.as_role('p_viewer', $$SELECT string_agg(p::text, '')
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache') AS p$$), 'TOKEN-unseen',
    'whoever writes a source does not get the destination''s by a preview');
SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache') \g /dev/null
SELECT pg_temp.hides('p_viewer', 'nor by a promotion');

-- ---- references are shown everywhere ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('redis', '1.1.0', '{}', '{"dns": {"required": false}}');
SELECT promote.configure_instance('ecomm-production-cache', '{}', '~1', plan => false) \g /dev/null
SELECT is((SELECT state || ': ' || detail FROM pg_temp.refusal(
    $$SELECT promote.set_remote_reference('ecomm-production-cache', 'dns', 'urn:{{token}}')$$)),
    'PM722: What fills the slot "dns" has a parameter whose value is sensitive.', 'they take no sensitive parameter');
UPDATE promote.parameter_set SET sensitive = '{}' WHERE project = 'ecomm' AND environment = 'production';
SELECT promote.configure_instance('ecomm-production-cache', '{"mine": null, "url": null, "list": null, "copy": null}',
    plan => false) \g /dev/null
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'dns', 'urn:{{token}}'), true, '... but others');
UPDATE promote.parameter_set SET sensitive = '{token}' WHERE project = 'ecomm' AND environment = 'production';
SELECT doesnt_match(pg_temp.as_role('p_viewer', $$SELECT string_agg(r::text, '') FROM promote.reference_status AS r$$),
    'TOKEN-unseen', '... which they do not show when it becomes sensitive');
SELECT is((SELECT state FROM pg_temp.refusal($$SELECT promote.plan_instance('ecomm-production-cache')$$)), 'PM722',
    '... nor are they planned');

-- ---- what is over ----
SELECT is(promote_internal.check_parameters('{}'), true, 'none are parameters, too');
SELECT promote.archive_environment('ecomm-prod-uswest') \g /dev/null
SELECT is((SELECT parameters_digest FROM promote.environment_generation WHERE environment = 'prod-uswest'), NULL,
    'of an environment without parameters history has none');
SELECT throws_ok($$UPDATE promote.parameter_set SET parameters = '{"a": 1}' WHERE environment = 'prod-uswest'$$,
    'PM006', NULL, 'nor gets it some');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');
SELECT * FROM finish();
ROLLBACK;
