-- Placeholders in remote references: what is set keeps them, what is deployed has the environment's parameters.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references) VALUES
    ('redis', '2.0.0', '{}', '{"network": {"required": true}, "dns": {"required": false}}');
SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 1}', '2.0.0') \g /dev/null
SELECT promote.configure_instance('ecomm-production-cache', '{"a": 1}', '2.0.0') \g /dev/null

-- ---- setting ----
SELECT is(promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc.{{domain}}'), true,
    'one with a placeholder');
SELECT is((SELECT reference FROM promote.reference_status WHERE instance = 'ecomm-staging-cache' AND field = 'network'),
    'vpc.{{domain}}', '... is kept as it is');
SELECT pg_temp.refuses(format($$SELECT promote.set_remote_reference('ecomm-production-cache', 'dns', %L)$$,
    reference), 'PM105',
    detail, 'refused: ' || reference)
  FROM (VALUES ('x.{{nothing}}.{{nowhere}}', '"nothing" is missing\..*"nowhere" is missing'), ('{{zones}}',
      '"dns" is no remote reference.*no text'),
        ('{{domain', 'has {{ without')) AS v (reference, detail);
UPDATE promote.parameter_set SET parameters = parameters || '{"login": "postgres://u:secret@h/"}'
    WHERE environment = 'production';
SELECT pg_temp.refuses($$SELECT promote.set_remote_reference('ecomm-production-cache', 'dns', '{{login}}')$$, 'PM105',
    'It is a URI with a password', 'a parameter that makes something else of it');
SET LOCAL promote.actor = 'rex';
SELECT is(promote.set_remote_reference('ecomm-production-cache', 'dns', '{{count}}'), true, 'a number is its text');
SET LOCAL promote.actor = 'ada';

-- ---- promoting: the template is copied, and rendered where it arrives ----
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, origin
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)
    WHERE path ~ '^reference'$$),
    E'("reference network",add,,"""vpc.example.com""",source)\n("reference dns",keep,"""3""","""3""",destination)',
        'the preview');
SELECT is(pg_temp.lines($$SELECT d ->> 'path', d ->> 'new' FROM promote.promote_instance('ecomm-staging-cache',
    'ecomm-production-cache', copy_remote_references => true) AS p, jsonb_array_elements(p.diff) AS d
        WHERE d ->> 'path' ~ '^reference'$$),
    E'("reference dns",3)\n("reference network",vpc.example.com)', 'the diff');
SELECT is((SELECT reference FROM promote.reference_status WHERE instance = 'ecomm-production-cache'
    AND field = 'network'),
    'vpc.{{domain}}', '... of what is set as a template');
SELECT is((SELECT d.remote_references FROM promote.deployment AS d JOIN promote.instance AS i USING (project,
    environment, component, deployment)
    WHERE i.name = 'ecomm-production-cache'), '{"dns": "3", "network": "vpc.example.com"}',
        'the plan carries it rendered');
SELECT pg_temp.work('ecomm-production-cache') \g /dev/null
SELECT deployment AS queued FROM promote.deploy_instance('ecomm-production-cache') \gset
UPDATE promote.instance SET attributes = '{"mine": 1}' WHERE name = 'ecomm-production-cache';
CREATE TEMP TABLE claim ON COMMIT DROP AS SELECT * FROM promote.claim_deployment('w', selector => '{"mine": 1}');
SELECT is(pg_temp.lines('SELECT action, remote_references FROM claim'),
    '(PROVISION,"{""dns"": ""3"", ""network"": ""vpc.example.com""}")', '... as the worker gets it');
SELECT promote.complete_deployment(instance, deployment, fencing) FROM claim \g /dev/null
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-cache'), 'in_sync',
    'it runs what is desired');

-- ---- who has asked for it: not who has set what runs already ----
SELECT is(pg_temp.lines($$SELECT r.actor FROM promote.instance AS i CROSS JOIN promote_internal.requesters(i.project,
    i.environment, i.component, i.revision, i.deployment, 0, 'redis', '2.0.0') AS r
    WHERE i.name = 'ecomm-production-cache'$$), '(ada)', 'a reference that is rendered as it runs asks for nothing');

-- ---- what is written otherwise and rendered the same ----
SAVEPOINT alike;
SELECT promote.set_remote_reference('ecomm-production-cache', 'network', 'vpc.example.com') \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, running_value, since, origin
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_remote_references => true)
    WHERE path = 'reference network'$$),
    '("reference network",change,"""vpc.example.com""","""vpc.{{domain}}""","""vpc.example.com""",,source)',
    'the preview shows as it is written what changes nothing that runs');
SELECT is(pg_temp.lines($$SELECT changed, diff FROM promote.promote_instance('ecomm-staging-cache',
    'ecomm-production-cache', copy_remote_references => true)$$), '(t,[])', '... which the promotion calls a change');
ROLLBACK TO alike;

-- ---- a parameter moves ----
SELECT deployment AS planned FROM promote.plan_instance('ecomm-production-cache') \gset
SELECT pg_temp.work('ecomm-production-cache') \g /dev/null
UPDATE promote.parameter_set SET parameters = parameters
    || '{"domain": "example.org"}' WHERE environment = 'production';
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-cache'), 'stale',
    'what runs is stale');
SELECT pg_temp.refuses(format($$SELECT promote.deploy_instance('ecomm-production-cache', %s)$$, :planned), 'PM503',
    'Remote references have changed: network', 'a plan of before is another one');
SELECT deployment AS anew FROM promote.plan_instance('ecomm-production-cache') \gset
SELECT matches(promote.plan_text('ecomm-production-cache', :anew),
    'reference network +"vpc.example.com" -> "vpc.example.org"', 'a new plan shows what moves, rendered');
SELECT pg_temp.work('ecomm-production-cache') \g /dev/null
UPDATE promote.parameter_set SET parameters = parameters - 'domain' WHERE environment = 'production';
SELECT pg_temp.refuses(s, 'PM105', '"domain" is missing', s) FROM unnest(ARRAY[
    $$SELECT promote.plan_instance('ecomm-production-cache')$$,
    $$SELECT promote.configure_instance('ecomm-production-cache', '{"a": 2}')$$,
    $$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
        copy_remote_references => true)$$]) AS s;
SELECT matches((SELECT string_agg(problem, ' ')
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache') WHERE kind = 'violation'),
    '"domain" is missing', 'a preview shows it');
SELECT matches((SELECT string_agg(r::text, ' ') FROM promote.rehearse_rollback('ecomm-production-cache', 1) AS r),
    '"+domain"+ is missing', 'a rollback is told of it');
SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 3}') \g /dev/null
SELECT request FROM promote.open_request('ecomm', 'staging', 'production', '{"components": ["cache"]}',
    copy_remote_references => true) \gset
SELECT matches((SELECT string_agg(r::text, ' ') FROM promote.preview_request('ecomm', :request) AS r),
    'domain\W+ is missing', 'and so is a request');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
