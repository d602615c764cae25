-- Promoting to what has no configuration yet, and what is shown of a promotion that would be refused.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';
INSERT INTO promote.bundle_release (bundle, version, params_schema, presets) VALUES ('redis', '2.0.0', '{
    "type": "object", "required": ["size", "account", "net"],
    "properties": {
        "size": {"type": "integer"},
        "account": {"type": "string", "$md.copyable": false},
        "password": {"type": "string", "$md": {"copyable": false, "sensitive": true}},
        "log": {"$md.copyable": false, "default": "info"},
        "net": {"type": "object", "required": ["cidr", "mtu"], "$md.copyable": false,
                "properties": {"cidr": {"type": "string"}, "mtu": {"type": "integer", "default": 1500}}}}}', '{
    "production": {"account": "prod", "password": "preset", "size": 99, "net": {"cidr": "10.0.0.0/8"}, "extra": 1}}');
SELECT promote.configure_instance('ecomm-staging-cache',
    '{"size": 3, "account": "stage", "password": "hush", "net": {"cidr": "1", "mtu": 1}, "host": "{{domain}}"}',
        '~2') \g /dev/null

-- ---- what is missing ----
SELECT is(r.state || E'\n' || r.detail,
    E'PM103\n.: required property "net" is missing\n.net: required property "mtu" is missing\n'
    '.net: required property "cidr" is missing\n.: required property "account" is missing',
        'all that is missing at once')
  FROM pg_temp.refusal($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$) AS r;
SELECT is(r.hint, 'Set what is named above by overrides, or in the patch of an edit; a preset and fill_defaults => '
    'true fill in what they have of it.',
    'the hint says what can be done')
  FROM pg_temp.refusal($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$) AS r;
SELECT is(pg_temp.lines($$SELECT kind, path, change, new_value, origin, problem
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache')$$),
E'(violation,.,,,,"required property ""net"" is missing")
(violation,.net,,,,"required property ""mtu"" is missing")
(violation,.net,,,,"required property ""cidr"" is missing")
(violation,.,,,,"required property ""account"" is missing")
(release,"release version",add,"""2.0.0""",source,)
(release,"release constraint",add,"""~2""",source,)
(release,"release channel",add,"""stable""",source,)
(param,.host,add,"""example.com""",source,)
(param,.size,add,3,source,)', 'the preview shows it with all that would be added');
SELECT matches((SELECT hint FROM pg_temp.refusal($$SELECT promote.promote_instance('ecomm-staging-cache',
    'ecomm-production-cache', '{"account": "a", "net": {"cidr": "c"}}')$$)), '^Pass fill_defaults => true',
        'defaults would do');

-- ---- three ways to say it ----
SAVEPOINT fresh;
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    '{"account": "a", "net": {"cidr": "c", "mtu": 9}}')$$, 'overrides');
SELECT is(pg_temp.params('ecomm-production-cache'),
    '{"size": 3, "account": "a", "net": {"cidr": "c", "mtu": 9}, "host": "{{domain}}"}',
    'what is copyable comes from the source, all else from the overrides');
ROLLBACK TO fresh;
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    '{"account": "a", "net": {"cidr": "c"}}', fill_defaults => true)$$, 'defaults');
SELECT is(pg_temp.params('ecomm-production-cache'),
    '{"size": 3, "account": "a", "log": "info", "net": {"cidr": "c", "mtu": 1500}, "host": "{{domain}}"}',
        '... come last');
ROLLBACK TO fresh;
CREATE TEMP TABLE previewed ON COMMIT DROP AS SELECT * FROM promote.preview_promotion('ecomm-staging-cache',
    'ecomm-production-cache', '{"host": "h"}', preset => 'production', fill_defaults => true);
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, running_value, since, origin, sensitive
    FROM previewed$$),
E'("release version",add,,"""2.0.0""",,1,source,f)
("release constraint",add,,"""~2""",,1,source,f)
("release channel",add,,"""stable""",,1,source,f)
(.log,add,,"""info""",,1,default,f)
(.net.mtu,add,,1500,,1,default,f)
(.net.cidr,add,,"""10.0.0.0/8""",,1,preset,f)
(.host,add,,"""h""",,1,override,f)
(.size,add,,3,,1,source,f)
(.account,add,,"""prod""",,1,preset,f)
(.password,add,,"""(sensitive value)""",,1,preset,t)', 'the preview says where each comes from');
SELECT is(pg_temp.lines($$SELECT old_revision, new_revision, deployment, changed FROM promote.promote_instance(
    'ecomm-staging-cache', 'ecomm-production-cache', '{"host": "h"}', message => 'onboarding', idempotency_key => 'k',
    preset => 'production', fill_defaults => true)$$), '(,1,1,t)', 'a preset and defaults');
SELECT is(pg_temp.params('ecomm-production-cache'), '{"size": 3, "account": "prod", "password": "preset", "log": "info",
    "net": {"cidr": "10.0.0.0/8", "mtu": 1500}, "host": "h"}', 'the preset gives only what the source may not give');
SELECT is((SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C")
    FROM (SELECT concat_ws(' ', path, 'add ->', new_value, since)
    FROM previewed) AS v (line)), (SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C")
        FROM promote.deployment AS d,
    string_to_table(pg_temp.entries(d.diff), E'\n') AS line WHERE environment = 'production' AND component = 'cache'),
    'the plan is what was previewed');
SELECT is(pg_temp.lines($$SELECT origin, source_environment, source_revision, overrides, message FROM promote.revision
    WHERE environment = 'production' AND component = 'cache'$$),
        '(promotion,staging,1,"{""host"": ""(value)""}",onboarding)',
    'the first revision is a promotion');
SELECT is(pg_temp.lines($$SELECT new_revision, changed FROM promote.promote_instance('ecomm-staging-cache',
    'ecomm-production-cache', '{"host": "h"}', message => 'onboarding', idempotency_key => 'k', preset => 'production',
    fill_defaults => true)$$), '(1,t)', 'a repeated call has its result');
SELECT pg_temp.refuses(format($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    '{"host": "h"}', message => 'onboarding', idempotency_key => 'k'%s)$$, more), 'PM402', 'other arguments',
        'another call' || more)
  FROM unnest(ARRAY['', ', preset => ''production''', ', fill_defaults => true']) AS more;
SELECT is(pg_temp.lines($$SELECT changed FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    '{"host": "h"}', preset => 'production', fill_defaults => true)$$), '(f)', 'and once is enough');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-cache'), 'never_deployed',
    'the status');
SELECT is(pg_temp.deploy('ecomm-production-cache') IS NOT NULL, true, 'the gates let it pass');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'ecomm-production-cache'), 'in_sync', 'it runs');
SELECT is(pg_temp.params('ecomm-production-cache') ->> 'account', 'prod', 'its own');
SELECT is(pg_temp.lines($$SELECT path, origin
    FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache',
    preset => 'production') WHERE change <> 'none' ORDER BY path COLLATE "C"$$),
    E'(.account,destination)\n(.host,source)\n(.log,destination)\n(.net.cidr,destination)\n(.net.mtu,destination)\n'
        '(.password,destination)',
    'where the destination has its own the preset gives nothing');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
ROLLBACK TO fresh;

-- ---- refusals ----
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-production-cache', 'ecomm-staging-cache')$$, 'PM005',
    'no revision', 'a source has to have something to give');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    preset => 'Prod')$$,
    'PM002', '^It has "production"\.$', 'a preset that is not there');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache',
    preset => 'Prod')$$,
    'PM002', '^It has "production"\.$', '... in a preview');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    "only" => '{.size}')$$,
    'PM005', 'has no configuration yet, and "only" leaves the release out', 'without its release');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache',
    "only" => '{.size}', fill_defaults => true)$$,
    'PM005', 'has no configuration yet, and "only" leaves the release out', '... in a preview');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache', '{"account": "a",
    "net": {"cidr": "c", "mtu": 3}}', "only" => '{.size,release}')$$, 'what is named alone, with it');
SELECT is(pg_temp.params('ecomm-production-cache'), '{"size": 3, "account": "a", "net": {"cidr": "c", "mtu": 3}}',
    '... and no more');
ROLLBACK TO fresh;
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    '{"net": {"mtu": 3}}', "only" => '{.size,release}', preset => 'production')$$, 'beside a preset');
SELECT is(pg_temp.params('ecomm-production-cache'), '{"size": 3, "account": "prod", "password": "preset", "extra": 1,
    "net": {"cidr": "10.0.0.0/8", "mtu": 3}}', '... which stands for all that the destination has not');
ROLLBACK TO fresh;
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    '[{"op": "add", "path": "/account", "value": "a"}, {"op": "add", "path": "/net", "value": {"cidr": "c"}}]',
        fill_defaults => true)$$,
    'by a JSON Patch');
ROLLBACK TO fresh;
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    expected_revision => 1)$$,
    'PM401', 'revision is 0', 'a revision that is not there yet');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    expected_revision => 0,
    preset => 'production', fill_defaults => true)$$, '... is 0');
ROLLBACK TO fresh;

-- ---- what else is carried ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
    VALUES ('redis', '3.0.0', '{}',
    '{"pw": {}}', '{"vpc": {"required": true}}');
SELECT promote.configure_instance('ecomm-staging-cache', '{"domain": "{{domain}}"}', '3.0.0') \g /dev/null
SELECT promote.set_remote_reference('ecomm-staging-cache', 'vpc', 'vpc-{{domain}}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT kind, path, change, new_value, origin
    FROM promote.preview_promotion('ecomm-staging-cache',
    'ecomm-production-cache', copy_remote_references => true) WHERE kind = 'reference'$$),
    '(reference,"reference vpc",add,"""vpc-example.com""",source)', 'a reference is shown');
SELECT is(pg_temp.lines($$SELECT new_revision
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    copy_remote_references => true)$$), '(1)', 'and copied');
SELECT is((SELECT reference FROM promote.reference_status WHERE instance = 'ecomm-production-cache'), 'vpc-{{domain}}',
    'as it is');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole with it');
ROLLBACK TO fresh;

-- ---- along a path ----
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('ecomm', 'staging', 'production');
SELECT is(pg_temp.lines($$SELECT promotable, why_not FROM promote.promotion_matrix WHERE component = 'cache'
    AND environment = 'staging'$$),
    E'(f,"production: params: the params of ""ecomm-production-cache"" would not be valid for redis 2.0.0: '
    '.: required property ""net"" is missing\n.net: required property ""mtu"" is missing\n'
    '.net: required property ""cidr"" is missing\n.: required property ""account"" is missing (whoever configures '
        'it)")',
    'the matrix says that something is missing');
SELECT is(pg_temp.lines($$SELECT destination, new_revision FROM promote.promote_to_next('ecomm-staging-cache',
    preset => 'production', fill_defaults => true)$$), '(ecomm-production-cache,1)', 'to the next environment');
ROLLBACK TO fresh;
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('ecomm', 'staging', 'production');
SELECT promote.configure_instance('ecomm-staging-cache', '{}', '1.0.0') \g /dev/null
SELECT is(pg_temp.lines($$SELECT promotable FROM promote.promotion_matrix WHERE component = 'cache'
    AND environment = 'staging'$$),
    '(t)', 'the matrix lets pass where nothing is missing');
ROLLBACK TO fresh;

-- ---- previews show what promoting refuses ----
CREATE FUNCTION pg_temp.agrees(arguments text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    violated text;
    refused text := 'nothing';
BEGIN
    EXECUTE format('SELECT string_agg(concat_ws('' '', path, problem), E''\n'') FROM promote.preview_promotion(%s)
        WHERE kind = ''violation''', arguments) INTO violated;
    BEGIN
        EXECUTE format('SELECT promote.promote_instance(%s)', arguments);
        RAISE EXCEPTION USING ERRCODE = 'PT000';
    EXCEPTION WHEN SQLSTATE 'PT000' THEN
    WHEN OTHERS THEN
        refused := SQLSTATE;
    END;
    RETURN is(violated IS NOT NULL, refused <> 'nothing', concat_ws(' ', what, arguments, refused, violated));
END
$$;
UPDATE promote.parameter_set SET parameters = parameters || '{"only": "x"}' WHERE environment = 'staging';
SAVEPOINT parameter;
SELECT promote.configure_instance('ecomm-staging-db', '{"tier": "{{only}}"}', plan => false) \g /dev/null
SELECT pg_temp.agrees('''ecomm-staging-db'', ''ecomm-production-db''',
    'a parameter that is missing at the destination');
ROLLBACK TO parameter;
SELECT promote.configure_instance('ecomm-production-db', '{"account": "mine"}', '1.0.0') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT pg_temp.agrees(format('''ecomm-staging-db'', ''%s'', %L', destination, overrides), 'it')
  FROM unnest(ARRAY['ecomm-production-db', 'ecomm-prod-uswest-db']) AS destination,
      unnest(ARRAY['{}', '{"subnet": "other"}',
    '{"subnet": null}', '{"size": "huge", "replicas": "many"}', '{"size": null}', '{"tier": "{{domain}}"}',
        '{"tier": "{{none}}"}',
    '{"tier": "{{"}', '{"network": {"cidr": "10.9.0.0/16"}}', '{"network": {"cidr": 3}}', '{"network": null}',
    '{"password": "{{none}}", "size": "huge"}']) AS overrides;
SELECT is(pg_temp.lines($$SELECT path, immutable, problem
    FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db',
    '{"subnet": "other", "network": {"cidr": "x"}, "size": "huge"}') WHERE kind = 'violation'
        ORDER BY path COLLATE "C"$$),
    E'(.network.cidr,t,"what runs has another value, which is immutable")\n'
    '(.size,f,"expected one of ""small"", ""medium"", ""large""")'
    '\n(.subnet,t,"what runs has another value, which is immutable")', 'all of them at once');
SELECT is_empty($$SELECT * FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db',
    '{"password": ["topsecret"]}') WHERE problem ~ 'topsecret'$$, 'no sentence has a value');
SELECT * FROM finish();
ROLLBACK;
