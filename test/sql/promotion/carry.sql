-- Secrets that promotions carry: what is said of them, and what is not.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references) VALUES
    ('redis', '2.0.0', '{}',
        '{"password": {"required": false}, "token": {"required": false}, "tls": {"required": false, "format": "json"}}',
        '{"network": {"required": false}}'),
    ('redis', '2.1.0', '{}', '{"password": {"required": true}}', '{}');
SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 1}', '2.0.0') \g /dev/null
SELECT promote.configure_instance('ecomm-production-cache', '{"a": 1}', '2.0.0') \g /dev/null

CREATE FUNCTION pg_temp.fingerprint(environment text, name text) RETURNS bytea LANGUAGE sql AS $$
    SELECT s.fingerprint FROM promote.secret s WHERE s.component = 'cache' AND s.environment = $1 AND s.secret = $2
$$;
-- Of the diffs, in which everything is that waits, what is carried.
CREATE FUNCTION pg_temp.carried(diff jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT COALESCE(jsonb_agg(e ORDER BY n), '[]') FROM jsonb_array_elements($1) WITH ORDINALITY AS x (e, n)
     WHERE e ->> 'kind' IN ('secret', 'reference')
$$;
CREATE FUNCTION pg_temp.promoted(options text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT old_revision, new_revision, deployment, changed, pg_temp.carried(diff) FROM '
        'promote.promote_instance(''ecomm-staging-cache'', ''ecomm-production-cache'', copy_secrets => true' || options
        || ')')
$$;
CREATE FUNCTION pg_temp.previewed() RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT path, change, old_value, new_value, origin, immutable, sensitive FROM '
        'promote.preview_promotion(''ecomm-staging-cache'', ''ecomm-production-cache'', copy_secrets => true) '
        'WHERE kind = ''secret''')
$$;

-- ---- without a key ----
SELECT is(pg_temp.promoted(), '(1,1,,f,[])', 'nothing to copy needs no key');

SET LOCAL promote.secret_key_command = 'echo one:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=';
SELECT promote.set_secret('ecomm-staging-cache', 'password', 'hush-hush') \g /dev/null
SELECT promote.set_secret('ecomm-staging-cache', 'token', 'tick-tock') \g /dev/null
SELECT promote.set_secret('ecomm-production-cache', 'token', 'other-tock') \g /dev/null
SELECT promote.set_secret('ecomm-production-cache', 'tls', '{"key": "prod-key"}') \g /dev/null
SET LOCAL promote.secret_key_command = '';
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    copy_secrets => true)$$, 'PM711', 'Neither', 'without a key secrets are not copied');
SELECT is(pg_temp.lines($$SELECT changed
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$), '(f)', 'all else is as ever');
SET LOCAL promote.secret_key_command = 'echo one:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=';

-- ---- the preview ----
SELECT is(pg_temp.previewed(),
E'("secret password",add,,"""(sensitive value)""",source,f,t)
("secret tls",keep,"""(sensitive value)""","""(sensitive value)""",destination,f,t)
("secret token",change,"""(sensitive value)""","""(sensitive value)""",source,f,t)',
    'the preview says of each what would become of it');
SELECT is(pg_temp.fingerprint('production', 'password'), NULL, '... and copies none');
SELECT is(pg_temp.lines($$SELECT * FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache')
    WHERE change <> 'none'$$), NULL, 'nothing is copied unasked');

-- ---- the promotion ----
SELECT is(pg_temp.promoted(', expected_revision => 1'),
'(1,1,2,t,"[{""new"": ""(sensitive value)"", ""kind"": ""secret"", ""path"": ""secret password"", ""since"": 1, '
    '""change"": ""add"", ""sensitive"": true}, {""new"": ""(sensitive value)"", ""old"": ""(sensitive value)"", '
    '""kind"": ""secret"", ""path"": ""secret token"", ""since"": 1, ""change"": ""change"", ""sensitive"": true}]")',
    'secrets alone are a change without a revision, and are planned');
SELECT is(pg_temp.fingerprint('production', 'password'), promote.secret_fingerprint('ecomm', 'hush-hush'),
    'one is set');
SELECT is(pg_temp.fingerprint('production', 'token'), promote.secret_fingerprint('ecomm', 'tick-tock'),
    'one is replaced');
SELECT is(pg_temp.lines($$SELECT name, is_set, set_by FROM promote.secret_status
    WHERE instance = 'ecomm-production-cache' ORDER BY name$$), E'(password,t,ada)\n(tls,t,ada)\n(token,t,ada)',
    'what the source lacks stays');
SELECT is((SELECT data - 'actor' - 'database_role' FROM promote.audit_log WHERE event = 'secrets.copied'),
    '{"source": "ecomm-staging-cache", "secrets": [{"name": "password", "change": "set"}, {"name": "tls", "change": '
        '"kept"}, {"name": "token", "change": "replaced"}]}', 'the record says names and what became of each');
SELECT is(promote.plan_text('ecomm-production-cache'),
    E'ecomm-production-cache, plan 2: revision 1, redis 2.0.0\n\n  + release version     "2.0.0"\n  + release '
    'constraint  "2.0.0"\n  + release channel     "stable"\n  + .a                  1\n  + secret password     '
    '"(sensitive value)"\n  ~ secret token        "(sensitive value)" -> "(sensitive value)"\n\nPlan: 5 to add, 1 to '
    'change, 0 to remove.',
    'the plan''s text shows the names');
SELECT is(pg_temp.lines($$SELECT path FROM promote.config_changes WHERE instance = 'ecomm-production-cache'
    AND deployment = 2$$), '(.a)', 'they are no leaves of the configuration');
SELECT is(split_part(pg_temp.promoted(), '"', 1), '(1,1,,f,', 'once');
SELECT is(pg_temp.lines($$SELECT path, change, old_value, running_value, since
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_secrets => true)
    WHERE kind = 'secret'$$),
E'("secret tls",keep,"""(sensitive value)""","""(sensitive value)""",)
("secret password",none,"""(sensitive value)""",,1)
("secret token",none,"""(sensitive value)""","""(sensitive value)""",1)', 'nothing is left to be copied, but it waits');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event = 'secrets.copied'), 1::bigint, '... and recorded once');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE data::text ~ 'hush-hush|tick-tock|other-tock|prod-key')
        + (SELECT count(*) FROM promote.deployment d
            WHERE d::text ~ ('hush-hush|tick-tock|other-tock|prod-key|' || encode(promote.secret_fingerprint('ecomm',
            'hush-hush'), 'hex'))), 0::bigint, 'no value and no fingerprint is in a plan');

-- ---- bound to nothing ----
SELECT is(pg_temp.work('ecomm-production-cache') > 0, true, 'planned');
SELECT promote.set_secret('ecomm-production-cache', 'password', 'rotated') \g /dev/null
SELECT is(pg_temp.lines($$SELECT status FROM promote.deploy_instance('ecomm-production-cache')$$), '(PENDING)',
    'a secret that was rotated since does not move what was reviewed');

-- ---- without a plan; with a revision; with references ----
SELECT is(pg_temp.promoted(', plan => false'),
    '(1,1,,t,"[{""new"": ""(sensitive value)"", ""kind"": ""secret"", ""path"": ""secret password"", ""since"": 1, '
    '""change"": ""add"", ""sensitive"": true}, {""new"": ""(sensitive value)"", ""old"": ""(sensitive value)"", '
    '""kind"": ""secret"", ""path"": ""secret token"", ""since"": 1, ""change"": ""change"", ""sensitive"": true}]")',
    'staged without a plan');
SELECT promote.set_secret('ecomm-staging-cache', 'token', 'again') \g /dev/null
SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-1') \g /dev/null
SELECT is(pg_temp.lines($$SELECT new_revision, changed,
    (SELECT string_agg(c ->> 'path' || ' ' || (c ->> 'change'), ', ') FROM jsonb_array_elements(diff) c
      WHERE c ->> 'kind' <> 'release')
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', '{"a": 2}', copy_secrets => true,
    copy_remote_references => true)$$),
    '(2,t,".a add, reference network add, secret password add, secret token change")',
    'all in one diff, the leaves first');
SELECT is((SELECT d.diff FROM promote.instance i JOIN promote.deployment d USING (project, environment, component,
    deployment) WHERE i.name = 'ecomm-production-cache') -> -1,
    '{"path": "secret token", "change": "change", "kind": "secret", "old": "(sensitive value)", "new": "(sensitive '
        'value)", "sensitive": true, "since": 2}', '... which the plan has, too');
SELECT is(pg_temp.lines($$SELECT plan_status, changes FROM promote.promotion_history
    WHERE destination = 'ecomm-production-cache' AND revision = 2$$), '(PENDING,7)', 'the history counts them');

-- ---- of the destination's release only ----
SELECT promote.configure_instance('ecomm-staging-cache', '{}', '2.1.0') \g /dev/null
SELECT promote.set_secret('ecomm-staging-cache', 'password', 'newer') \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, change
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache', copy_secrets => true)
    WHERE sensitive AND change <> 'none'$$), '("secret password",change)',
        'what the release to come does not declare is not copied');
SELECT promote.set_secret('ecomm-production-cache', 'token', 'own') \g /dev/null
SELECT is(pg_temp.lines($$SELECT changed FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    copy_secrets => true)$$), '(t)', 'promoted');
SELECT is(pg_temp.fingerprint('production', 'token'), promote.secret_fingerprint('ecomm', 'own'), '... it stays');
SELECT is((SELECT data -> 'secrets' FROM promote.audit_log WHERE event = 'secrets.copied' ORDER BY seq DESC LIMIT 1),
    '[{"name": "password", "change": "replaced"}, {"name": "token", "change": "undeclared"}]',
    '... which the record says');

-- ---- along a path ----
INSERT INTO promote.promotion_path VALUES ('ecomm', 'staging', 'production');
SELECT promote.set_secret('ecomm-staging-cache', 'password', 'newest') \g /dev/null
SELECT is(pg_temp.lines($$SELECT changed,
    jsonb_path_query_first(diff, '$[*] ? (@.path == "secret password")') -> 'since'
    FROM promote.promote_to_next('ecomm-staging-cache', copy_secrets => true)$$), '(t,3)',
    'promote_to_next copies as well');

-- ---- who may ----
CREATE ROLE promote_test_carrier;
INSERT INTO promote.grants (role, project, environment, action)
    VALUES ('promote_test_carrier', 'ecomm', 'staging', 'view'), ('promote_test_carrier', 'ecomm', 'production',
    'promote');
SET LOCAL ROLE promote_test_carrier;
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    copy_remote_references => true)$$, 'who may promote may copy references');
SELECT throws_ok(format('SELECT * FROM promote.%s, copy_secrets => true)', call), 'PM701', NULL, call)
    FROM unnest(ARRAY[$$promote_instance('ecomm-staging-cache', 'ecomm-production-cache'$$,
    $$promote_to_next('ecomm-staging-cache'$$, $$preview_promotion('ecomm-staging-cache', 'ecomm-production-cache'$$])
    AS call;
RESET ROLE;
INSERT INTO promote.grants (role, project, environment, action)
    VALUES ('promote_test_carrier', 'ecomm', 'production', 'secrets');
SET LOCAL ROLE promote_test_carrier;
SELECT throws_ok(format('SELECT * FROM promote.%s, copy_secrets => true)', call), 'PM701', NULL,
    '... of the source, too: ' || call)
    FROM unnest(ARRAY[$$promote_instance('ecomm-staging-cache', 'ecomm-production-cache'$$,
    $$promote_to_next('ecomm-staging-cache'$$]) AS call;
RESET ROLE;
DELETE FROM promote.grants WHERE action = 'secrets';
INSERT INTO promote.grants (role, project, environment, action)
    VALUES ('promote_test_carrier', 'ecomm', 'staging', 'secrets');
SET LOCAL ROLE promote_test_carrier;
SELECT throws_ok(format('SELECT * FROM promote.%s, copy_secrets => true)', call), 'PM701', NULL,
    '... and of the destination: ' || call)
    FROM unnest(ARRAY[$$promote_instance('ecomm-staging-cache', 'ecomm-production-cache'$$,
    $$promote_to_next('ecomm-staging-cache'$$]) AS call;
RESET ROLE;
INSERT INTO promote.grants (role, project, environment, action)
    VALUES ('promote_test_carrier', 'ecomm', 'production', 'secrets');
SET LOCAL ROLE promote_test_carrier;
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    copy_secrets => true)$$, 'who may both may');
RESET ROLE;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');


-- ---- in requests ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references) VALUES
    ('redis', '2.4.0', '{}', '{"password": {}, "token": {}}', '{"network": {}, "dns": {"required": false}}');
SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 7}', '2.4.0') \g /dev/null
SELECT promote.set_secret('ecomm-staging-cache', 'token', 'asked-for') \g /dev/null
SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-7') \g /dev/null
DELETE FROM promote.promotion_path;
SELECT promote.remove_secret('ecomm-production-cache', 'token') \g /dev/null
SELECT promote.remove_remote_reference('ecomm-production-cache', 'network') \g /dev/null
DELETE FROM promote.grants WHERE role = 'promote_test_carrier' AND environment = 'production' AND action = 'secrets';
SET LOCAL ROLE promote_test_carrier;
SELECT throws_ok($$SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["cache"]}',
    copy_secrets => true)$$, 'PM701', NULL, 'who asks for secrets has to be allowed to handle them');
RESET ROLE;
SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["cache"]}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT b ->> 'code', b ->> 'message' FROM promote.preview_request('ecomm', 1),
    jsonb_array_elements(blockers) b WHERE b ->> 'code' ~ 'secrets|references'$$),
    E'(secrets,"secret ""token"", which release 2.4.0 requires, is not set")\n(references,"""ecomm-production-cache"" '
        'lacks remote references that release 2.4.0 requires: network")',
        'what a request does not carry stands in its way');
SELECT promote.cancel_request('ecomm', 1, 'without') \g /dev/null
SELECT is(pg_temp.lines($$SELECT copy_secrets, copy_remote_references
    FROM promote.open_request('ecomm', 'staging', 'production', '{"components": ["cache"]}', copy_secrets => true,
    copy_remote_references => true)$$), '(t,t)', 'asked for');
SELECT throws_ok($$UPDATE promote.promotion_request SET copy_secrets = false WHERE request = 2$$, 'PM301', NULL,
    '... for good');
SELECT is(pg_temp.lines($$SELECT (SELECT string_agg(c ->> 'path', ', ') FROM jsonb_array_elements(diff) c
      WHERE c ->> 'kind' <> 'release'),
    (SELECT string_agg(b ->> 'code', ', ') FROM jsonb_array_elements(blockers) b)
    FROM promote.preview_request('ecomm', 2)$$),
    '(".a, reference network, secret password, secret token",)',
        'the preview shows what would be carried, and nothing is in its way');
SELECT is(pg_temp.fingerprint('production', 'token'), NULL, '... which it is not yet');
SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-8') \g /dev/null
SELECT throws_ok($$SELECT promote.advance_request('ecomm', 2)$$, 'PM607', NULL,
    'what has moved since the preview is not staged');
SELECT count(*) FROM promote.preview_request('ecomm', 2) \g /dev/null
SELECT is((SELECT moved FROM promote.advance_request('ecomm', 2)), 1, 'staged');
SELECT is(pg_temp.fingerprint('production', 'token'), promote.secret_fingerprint('ecomm', 'asked-for'),
    'with the secret');
SELECT is((SELECT reference FROM promote.remote_reference WHERE environment = 'production' AND field = 'network'),
    'vpc-8', 'and the reference');
SELECT ok(pg_temp.work('ecomm-production-cache') > 0, 'planned');
SELECT is((SELECT moved FROM promote.advance_request('ecomm', 2)), 1, 'deployed');
SELECT ok(pg_temp.work('ecomm-production-cache') > 0, 'carried out');
SELECT is((SELECT status FROM promote.advance_request('ecomm', 2)), 'COMPLETED', 'done');
SELECT is((SELECT remote_references FROM promote.deployment d JOIN promote.instance i
    USING (project, environment, component) WHERE i.name = 'ecomm-production-cache' AND d.deployment = i.deployed_by),
    '{"network": "vpc-8"}', '... with it');
SELECT promote.set_remote_reference('ecomm-staging-cache', 'network', 'vpc-9') \g /dev/null
SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["cache"]}',
    copy_remote_references => true) \g /dev/null
SELECT is(pg_temp.lines($$SELECT b ->> 'code', b ->> 'message' FROM promote.preview_request('ecomm', 3),
    jsonb_array_elements(blockers) b WHERE b ->> 'code' = 'references'$$),
    '(references,"remote reference network: what runs has another one")', 'a request never replaces what runs');
SELECT promote.cancel_request('ecomm', 3, 'no') \g /dev/null
SELECT promote.set_secret('ecomm-staging-cache', 'token', 'the-next') \g /dev/null
SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["cache"]}',
    copy_secrets => true) \g /dev/null
SELECT is(pg_temp.lines($$SELECT skip_reason, (SELECT string_agg(c ->> 'path', ', ') FROM jsonb_array_elements(diff) c)
    FROM promote.preview_request('ecomm', 4)$$), '(,"secret token")', 'a secret alone is something to do');
SELECT is((SELECT moved FROM promote.advance_request('ecomm', 4)), 1, '... and done');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole after all this');

-- ---- by name, declared or not ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets) VALUES
    ('redis', '2.5.0', '{}',
        '{"after": {"required": false}, "mode": {"required": false}, "zone": {"required": false}}'),
    ('redis', '2.6.0', '{}', '{"mode": {"required": false}}');
SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 1}', '2.5.0', plan => false) \g /dev/null
SELECT promote.set_secret('ecomm-staging-cache', name, 'ordered')
    FROM unnest('{after,mode,zone}'::text[]) AS name \g /dev/null
SELECT promote.configure_instance('ecomm-staging-cache', '{}', '2.6.0', plan => false) \g /dev/null
SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', copy_secrets => true) \g /dev/null
SELECT is((SELECT jsonb_path_query_array(data, '$.secrets[*] ? (@.name like_regex "after|mode|zone")')
    FROM promote.audit_log WHERE event = 'secrets.copied' ORDER BY seq DESC LIMIT 1),
    '[{"name": "after", "change": "undeclared"}, {"name": "mode", "change": "set"}, '
    '{"name": "zone", "change": "undeclared"}]', 'the record has all names in order');

-- ---- the same value, as JSON by now ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets) VALUES
    ('redis', '3.0.0', '{}', '{"mode": {}}'), ('redis', '3.1.0', '{}', '{"mode": {"format": "json"}}');
SELECT promote.configure_instance('ecomm-' || e || '-cache', '{"a": 1}', '3.0.0', plan => false)
    FROM unnest('{staging,production}'::text[]) AS e \g /dev/null
SELECT promote.set_secret('ecomm-' || e || '-cache', 'mode', '{"x": 1}')
    FROM unnest('{staging,production}'::text[]) AS e \g /dev/null
SELECT promote.configure_instance('ecomm-staging-cache', '{}', '3.1.0', plan => false) \g /dev/null
SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', copy_secrets => true) \g /dev/null
SELECT is(pg_temp.lines($$SELECT format FROM promote.secret WHERE environment = 'production' AND secret = 'mode'$$),
    '(json)', 'an equal value that was set as text is set again as what is declared');
SELECT is((SELECT count(*) FROM promote.blockers('ecomm-production-cache') WHERE code = 'secrets'), 0::bigint,
    '... and blocks no more');

SELECT promote.cancel_request('ecomm', 4, 'another matter') \g /dev/null
-- ---- what was staged without a plan, or by one that failed, waits as well ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('redis', '5.0.0', '{}', '{"late": {"required": false}}');
SELECT promote.configure_instance('ecomm-' || e || '-cache', '{"a": 5}', '5.0.0', plan => false, allow_replace => true)
    FROM unnest('{staging,production}'::text[]) AS e \g /dev/null
SELECT promote.set_secret('ecomm-staging-cache', 'late', 'riding along') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', copy_secrets => true, plan => false)
    \g /dev/null
CREATE FUNCTION pg_temp.late() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(e ->> 'change', ',') FROM promote.plan_instance('ecomm-production-cache') AS d,
           jsonb_array_elements(d.diff) AS e WHERE e ->> 'path' = 'secret late'
$$;
SELECT is(pg_temp.late(), 'add', 'a secret rides along with the next plan');
SELECT promote.abort_deployment('ecomm-production-cache', (SELECT deployment FROM promote.instance
    WHERE name = 'ecomm-production-cache'), 'another one') \g /dev/null
SELECT is(pg_temp.late(), 'add', '... and if that was aborted, with the one after');
SELECT promote.set_secret('ecomm-staging-cache', 'late', 'anew') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', copy_secrets => true) \g /dev/null
SELECT is(pg_temp.late(), 'add', '... being new to what runs, however often it was copied');
SELECT pg_temp.deploy('ecomm-production-cache') \g /dev/null
SELECT is(pg_temp.late(), NULL, 'deployed, it waits no more');

SELECT * FROM finish();
ROLLBACK;
