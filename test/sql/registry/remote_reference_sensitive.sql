-- Remote references are shown everywhere: what is sensitive in the params gets into none by a placeholder.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

INSERT INTO promote.bundle VALUES ('vault');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references) VALUES
    ('vault', '1.0.0', '{"properties": {"token": {"$md.sensitive": true}, "pin": {"$md.sensitive": true}}}',
     '{"network": {"required": false}, "dns": {"required": false}}');
INSERT INTO promote.component VALUES ('ecomm', 'vault', 'vault');
INSERT INTO promote.instance (project, environment, component)
SELECT 'ecomm', e, 'vault' FROM unnest('{staging,production}'::text[]) AS e;
UPDATE promote.parameter_set SET parameters = parameters || '{"token": "hunter-of-staging", "zone": "eu-north-7"}'
    WHERE environment = 'staging';
UPDATE promote.parameter_set SET parameters = parameters
    || '{"token": "hunter-of-production", "zone": "eu-south-9", "pin": 31415926}' WHERE environment = 'production';
SELECT promote.configure_instance('ecomm-staging-vault', '{"size": 1, "token": "none of these"}', '~1') \g /dev/null
SELECT promote.configure_instance('ecomm-production-vault', '{"size": 1, "token": "{{token}}", "pin": "{{pin}}"}', '~1')
\g /dev/null

-- What shows that it would be refused, and says nothing of the value.
CREATE FUNCTION pg_temp.tells(statement text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    problems text;
    rows text;
BEGIN
    EXECUTE format('SELECT string_agg(p.problem, '' ''), string_agg(p::text, '' '') FROM (%s) AS p', statement)
        INTO problems, rows;
    RETURN NEXT matches(problems, 'the slot "(network|dns)" has a parameter', what || ' names the slot');
    RETURN NEXT doesnt_match(rows, 'hunter|31415', '... and no value');
END
$$;
-- What refuses it, and says nothing of the value.
CREATE FUNCTION pg_temp.hides(statement text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    said record;
BEGIN
    SELECT * INTO said FROM pg_temp.refusal(statement);
    RETURN NEXT is(said.state, 'PM722', what);
    RETURN NEXT matches(said.detail, 'the slot "(network|dns)" has a parameter', '... which names the slot');
    RETURN NEXT doesnt_match(said::text, 'hunter|31415|eu-', '... and no value');
END
$$;

-- ---- setting ----
SELECT pg_temp.hides(format($$SELECT promote.set_remote_reference('ecomm-production-vault', 'dns', %L)$$, reference),
    reference) FROM unnest(ARRAY['urn:{{token}}', '{{token}}', 'a.{{zone}}.{{ token }}', 'urn:{{pin}}']) AS reference;
SELECT is(promote.set_remote_reference('ecomm-production-vault', 'dns', 'x.{{zone}}'), true,
    'what is sensitive nowhere may be in one');
SELECT is(promote.set_remote_reference('ecomm-production-vault', 'dns', 'x.\{{token}}'), true,
    '... and braces that are meant literally');
SELECT promote.remove_remote_reference('ecomm-production-vault', 'dns') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-vault') \g /dev/null
SELECT is(promote.set_remote_reference('ecomm-staging-vault', 'network', 'urn:{{token}}'), true,
    'where no sensitive param has the value it may');

-- ---- promoting: where it arrives it would show the value ----
SELECT pg_temp.tells($$SELECT * FROM promote.preview_promotion('ecomm-staging-vault', 'ecomm-production-vault',
    '{"token": "{{token}}"}', copy_remote_references => true)$$, 'a preview');
SELECT pg_temp.hides($$SELECT promote.promote_instance('ecomm-staging-vault', 'ecomm-production-vault',
    '{"token": "{{token}}"}', copy_remote_references => true, allow_replace => true)$$, 'a promotion');
SELECT is_empty($$SELECT FROM promote.remote_reference WHERE environment = 'production' AND component = 'vault'$$,
    '... which copies nothing');
SELECT pg_temp.tells($$SELECT * FROM promote.preview_promotion('ecomm-staging-vault', 'ecomm-production-vault',
    copy_remote_references => true)$$, 'a preview, where what runs has the value');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-vault', 'ecomm-production-vault', plan => false)$$,
    'without the references it may');
SELECT promote.configure_instance('ecomm-production-vault', '{"token": "{{token}}", "pin": 1}') \g /dev/null
SELECT request FROM promote.open_request('ecomm', 'staging', 'production', '{"components": ["vault"]}',
    copy_remote_references => true) \gset
CREATE TEMP TABLE previewed ON COMMIT DROP AS SELECT r::text AS row FROM promote.preview_request('ecomm',
    :request) AS r;
SELECT matches(row, '"+code"+: "+references"+.*the slot \W+network\W+ has a parameter', 'a request is told of it')
  FROM previewed;
SELECT doesnt_match(row, 'hunter', '... and shows no value') FROM previewed;
SELECT promote.cancel_request('ecomm', :request, 'enough') \g /dev/null

-- ---- a parameter moves ----
SELECT promote.set_remote_reference('ecomm-production-vault', 'dns', 'urn:{{zone}}', true) \g /dev/null
SELECT pg_temp.deploy('ecomm-production-vault') \g /dev/null
UPDATE promote.parameter_set SET parameters = parameters || '{"zone": "hunter-of-production"}'
    WHERE environment = 'production';
SELECT pg_temp.hides(statement, statement) FROM unnest(ARRAY[
    $$SELECT promote.plan_instance('ecomm-production-vault')$$,
    $$SELECT promote.deploy_instance('ecomm-production-vault')$$,
    $$SELECT promote.plan_and_deploy('ecomm-production-vault')$$,
    $$SELECT promote.propose_deployment('ecomm-production-vault')$$,
    $$SELECT promote.configure_instance('ecomm-production-vault', '{"size": 2}')$$,
    $$SELECT promote.promote_instance('ecomm-staging-vault', 'ecomm-production-vault')$$,
    $$SELECT promote.rollback_instance('ecomm-production-vault', 1)$$]) AS statement;
INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"size": 3, "token": "{{token}}"}');
SELECT pg_temp.hides(format($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint,
    release_channel) VALUES ('ecomm', 'production', 'vault', %L, '~1', 'stable')$$, digest), 'a row of revision')
  FROM promote.config WHERE params @> '{"size": 3, "token": "{{token}}"}';
SELECT matches((SELECT string_agg(r::text, ' ') FROM promote.rehearse_rollback('ecomm-production-vault', 1) AS r),
    'PM722.*the slot "+dns"+ has a parameter', 'a rehearsal tells of it');
SELECT doesnt_match((SELECT string_agg(r::text, ' ') FROM promote.rehearse_rollback('ecomm-production-vault', 1) AS r),
    'hunter', '... and shows no value');
SELECT is(pg_temp.lines($$SELECT path, a_value, b_value FROM promote.compare_instances('ecomm-staging-vault',
    'ecomm-production-vault') WHERE kind = 'reference'$$),
    E'("reference dns",,"""urn:{{zone}}""")\n("reference network","""urn:hunter-of-staging""",)',
    'a comparison shows it as it is written');

-- ---- what two parameters are together ----
UPDATE promote.parameter_set SET parameters = parameters || '{"zone": "eu-south-9"}' WHERE environment = 'production';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-vault', '{"token": "{{zone}}+{{domain}}"}')$$,
    'a part of what is sensitive may be in one');
SELECT pg_temp.hides($$SELECT promote.set_remote_reference('ecomm-production-vault', 'dns', 'a.{{zone}}+{{domain}}.b',
    true)$$, '... all of it may not');

-- ---- a release says what is sensitive ----
SELECT promote.configure_instance('ecomm-production-vault', '{"token": null, "place": "{{zone}}"}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-vault') \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
SELECT 'vault', '1.1.0', '{"properties": {"place": {"$md.sensitive": true}}}', remote_references
  FROM promote.bundle_release WHERE bundle = 'vault';
SELECT pg_temp.hides($$SELECT promote.plan_instance('ecomm-production-vault')$$, 'a newer release marks it');
SELECT pg_temp.hides($$SELECT promote.set_remote_reference('ecomm-production-vault', 'network', '{{zone}}')$$,
    '... for what is set, too');
SELECT promote.set_remote_reference('ecomm-production-vault', 'dns', 'urn:7', true) \g /dev/null
SELECT lives_ok($$SELECT promote.plan_instance('ecomm-production-vault')$$, 'another reference mends it');
SELECT doesnt_match((SELECT string_agg(d::text, ' ') FROM promote.deployment AS d WHERE component = 'vault'), 'hunter',
    'no deployment has ever shown a value');

SELECT * FROM finish();
ROLLBACK;
