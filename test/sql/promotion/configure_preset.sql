-- Configuring by presets and defaults, and previews of edits.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/as_role.sql
SET LOCAL promote.actor = 'ada';
INSERT INTO promote.bundle_release (bundle, version, params_schema, presets) VALUES ('redis', '2.0.0', '{
    "type": "object", "required": ["size", "net"],
    "properties": {
        "size": {"type": "integer", "default": 1},
        "tier": {"enum": ["small", "large"]},
        "zone": {"type": "string", "$md.immutable": true},
        "token": {"type": "string", "$md.sensitive": true},
        "net": {"type": "object", "required": ["cidr", "name"],
                "properties": {"cidr": {"type": "string"}, "name": {"default": "main"}, "mtu": {"default": 1500},
                               "peer": {"type": "object", "required": ["id"]}}},
        "nodes": {"type": "array", "items": {"properties": {"role": {"default": "worker"}}}}},
    "if": {"properties": {"tier": {"const": "large"}}, "required": ["tier"]},
    "then": {"properties": {"replicas": {"default": 3}}}}', '{
    "production": {"tier": "large", "size": 8, "net": {"cidr": "10.0.0.0/8"}, "note": null, "token": "preset"},
    "small": {"tier": "small", "zone": "b"}}');

-- ---- a preset ----
SELECT is(pg_temp.lines($$SELECT old_revision, new_revision, changed
    FROM promote.configure_instance('ecomm-staging-cache',
    '{"size": 9, "tier": null, "net": {"name": "n"}}', '~2', preset => 'production')$$), '(,1,t)', 'a first revision');
SELECT is(pg_temp.params('ecomm-staging-cache'),
    '{"size": 9, "net": {"cidr": "10.0.0.0/8", "name": "n"}, "note": null, "token": "preset"}',
    'the preset, then the patch; a null of the preset is a value');
SELECT promote.configure_instance('ecomm-staging-cache', '{"zone": "a"}', preset => 'small') \g /dev/null
SELECT is(pg_temp.params('ecomm-staging-cache'),
    '{"size": 9, "net": {"cidr": "10.0.0.0/8", "name": "n"}, "note": null, "token": "preset", "tier": "small", "zone": '
        '"a"}',
    'a preset is merged over its own, and the patch has the last word');
SELECT is((SELECT overrides FROM promote.revision WHERE component = 'cache' ORDER BY revision DESC LIMIT 1),
    '{"zone": "(value)"}',
    'the revision says what was patched');
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-staging-cache', preset => 'Production')$$, 'PM002',
    '^It has "small", "production"\.$', 'a preset that is not there');
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-cache', version_constraint => '1.0.0',
    preset => 'x')$$, 'PM002', '^It has no presets\.$', 'a release without presets');
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-bare', preset => 'x')$$, 'PM202',
    'no releases',
    'no release');
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-production-bare', fill_defaults => true)$$, 'PM202',
    'no releases', '... that would have defaults');

-- ---- defaults ----
UPDATE promote.parameter_set SET parameters = parameters || '{"tier": "large"}' WHERE environment = 'production';
SELECT promote.configure_instance('ecomm-production-cache', '{"tier": "{{tier}}", "nodes": [{"id": "{{domain}}"}],
    "net": {"cidr": "x", "mtu": null}}', '~2', plan => false, fill_defaults => true) \g /dev/null
SELECT is(pg_temp.params('ecomm-production-cache'), '{"size": 1, "tier": "{{tier}}", "replicas": 3,
    "nodes": [{"id": "{{domain}}", "role": "worker"}], "net": {"cidr": "x", "name": "main", "mtu": 1500}}',
    'defaults fill in what is missing, also within; placeholders stay, and decide about branches');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.configure_instance('ecomm-production-cache', '{}',
    fill_defaults => true)$$), '(f)', 'what is there stays');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.configure_instance('ecomm-production-cache', '{}',
    preset => NULL, fill_defaults => NULL)$$), '(f)', 'NULL is the default');

-- ---- what is missing is listed whole ----
SELECT is((SELECT detail FROM pg_temp.refusal($$SELECT promote.configure_instance('ecomm-production-cache',
    '{"net": null, "size": null}')$$)),
        E'.: required property "net" is missing\n.net: required property "cidr" is missing\n'
    '.net: required property "name" is missing\n.: required property "size" is missing',
        'an object, with what it needs');
SELECT is((SELECT detail FROM pg_temp.refusal($$SELECT promote.configure_instance('ecomm-production-cache',
    '{"net": {"peer": {}}, "size": "x"}')$$)),
    E'.net.peer: required property "id" is missing\n.size: expected integer, found string', 'with what is wrong');
SELECT matches((SELECT hint FROM pg_temp.refusal($$SELECT promote.configure_instance('ecomm-production-cache',
    '{"size": null}')$$)), '^Pass fill_defaults => true', 'the hint leads on');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-cache', '{"size": null}',
    fill_defaults => true)$$,
    '... to success');

-- ---- the preview ----
CREATE FUNCTION pg_temp.preview(arguments text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT path, change, old_value, new_value, running_value, origin, immutable, sensitive, '
        'problem '
        'FROM promote.preview_configuration(' || arguments || ') WHERE change IS DISTINCT FROM ''none''')
$$;
SELECT is(pg_temp.lines($$SELECT * FROM promote.preview_configuration('ecomm-production-cache')
    WHERE change <> 'none' OR since IS NULL$$), NULL, 'nothing to do is nothing but what waits');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_configuration('ecomm-production-bare')$$, 'PM202', 'no releases',
    'without a release there is nothing to show');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_configuration('ecomm-nowhere-db')$$, 'PM002', 'nowhere',
    'nor without an instance');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_configuration('ecomm-staging-cache', preset => 'nope')$$,
    'PM002',
    'It has', 'nor by a preset that is not there');
SELECT is(pg_temp.preview($$'ecomm-prod-uswest-db', '{"size": "huge", "network": {"cidr": 1}}', '2.0.0'$$),
E'(.size,,,,,,f,f,"expected one of ""small"", ""medium"", ""large""")
(.,,,,,,f,f,"required property ""tier"" is missing")
(.network.cidr,,,,,,f,f,"expected string, found number")
("release version",add,,"""2.0.0""",,override,f,f,)
("release constraint",add,,"""2.0.0""",,override,f,f,)
("release channel",add,,"""stable""",,override,f,f,)
(.size,add,,"""huge""",,override,f,f,)
(.network.cidr,add,,1,,override,t,f,)', 'of an instance without a configuration, with all that is wrong');
SELECT is(pg_temp.preview($$'ecomm-staging-cache', '{"note": 1}', preset => 'production', fill_defaults => true$$),
E'(.net.mtu,add,,1500,,default,f,f,)
(.note,change,null,1,,override,f,f,)
(.size,change,9,8,,preset,f,f,)
(.tier,change,"""small""","""large""",,preset,f,f,)
(.replicas,add,,3,,default,f,f,)
(.token,change,"""(sensitive value)""","""(sensitive value)""",,preset,f,t,)', 'each value with where it comes from');

-- ---- it shows what configuring does ----
CREATE FUNCTION pg_temp.agrees(arguments text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    previewed text;
    violated bigint;
    refused text;
    diff jsonb;
BEGIN
    EXECUTE format('SELECT string_agg(concat_ws('' '', path, CASE WHEN running_value IS NULL THEN ''add'' WHEN '
        'new_value IS NULL
        THEN ''remove'' ELSE ''change'' END, running_value, ''->'', new_value, since), E''\n'' ORDER BY path COLLATE '
            '"C")
        FILTER (WHERE since IS NOT NULL AND NOT sensitive), count(*) FILTER (WHERE kind = ''violation'')
        FROM promote.preview_configuration(%s)', arguments) INTO previewed, violated;
    BEGIN
        EXECUTE format('SELECT diff FROM promote.configure_instance(%s)', arguments) INTO diff;
    EXCEPTION WHEN SQLSTATE 'PM103' OR SQLSTATE 'PM104' OR SQLSTATE 'PM105' THEN
        refused := SQLSTATE;
    END;
    RETURN NEXT is(violated > 0, refused IS NOT NULL, arguments || ': violations where it is refused, '
        || COALESCE(refused, 'which it is not'));
    IF refused IS NULL THEN
        RETURN NEXT is(previewed, (SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C")
            FROM string_to_table(pg_temp.entries(diff), E'\n') AS line
             WHERE line !~ '^\.token'), arguments || ': what waits is the diff, but for what is hidden');
    END IF;
END
$$;
SELECT promote.configure_instance('ecomm-staging-cache', '{"zone": "a"}', fill_defaults => true) \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-cache') \g /dev/null
SELECT pg_temp.agrees(format('''ecomm-staging-cache'', %L', patch) || more)
  FROM unnest(ARRAY['{}', '{"size": 3}', '{"size": "x"}', '{"size": null}', '{"zone": "z"}', '{"zone": null}',
                    '{"net": null}', '{"tier": "{{nothing}}"}', '{"note": "{{domain}}"}', '{"token": "new"}']) AS patch,
       unnest(ARRAY['', ', preset => ''small''', ', preset => ''production'', fill_defaults => true']) AS more;
SELECT pg_temp.refuses($$SELECT promote.configure_instance('ecomm-staging-cache', preset => 'small',
    patch => '{"zone": "c"}')$$,
    'PM104', '^\.zone$', 'what is immutable stays so');

-- ---- those who may only view ----
CREATE ROLE promote_test_viewer;
INSERT INTO promote.grants (role, action) VALUES ('promote_test_viewer', 'view');
SELECT is(pg_temp.as_role('promote_test_viewer', $$SELECT count(*)
    FROM promote.preview_configuration('ecomm-staging-cache',
    '{"note": "{{domain}}"}')$$),
        'PM701: Role "promote_test_viewer" has no grant "configure" for "ecomm-staging-cache", '
    'whose parameters would replace them.', 'placeholders are for those who may write them');
SELECT is(pg_temp.as_role('promote_test_viewer', format($$SELECT string_agg(p::text, ' ') FROM
    promote.preview_configuration('ecomm-staging-cache', %L%s) AS p WHERE path = '.token'$$, patch, more)),
    '(param,.token,change,"""(sensitive value)""","""(sensitive value)""","""(sensitive value)""",'
    || (SELECT revision + 1 FROM promote.instance WHERE name = 'ecomm-staging-cache') || ',' || origin || ',f,t,,,)',
    'a guess is not told: ' || patch || more)
  FROM (VALUES ('{"token": "new"}', '', 'override'), ('{"token": "guess"}', '', 'override'),
               ('{}', ', preset => ''production''', 'preset')) AS v (patch, more, origin);
SELECT is(pg_temp.as_role('promote_test_viewer',
    $$SELECT promote.configure_instance('ecomm-staging-cache')$$) ~ '^PM701', true,
    'the preview is no right to write');

-- an immutable and sensitive value that runs
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('redis', '3.0.0',
    '{"properties": {"key": {"$md.sensitive": true, "$md.immutable": true}}}');
SELECT promote.configure_instance('ecomm-staging-cache', '{"key": "hush"}', '3.0.0', allow_replace => true) \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-cache') \g /dev/null
SELECT is(pg_temp.as_role(role, format($$SELECT count(*) FROM promote.preview_configuration('ecomm-staging-cache', %L)
    WHERE kind = 'violation' AND path = '.key'$$, patch)), seen, role || ': ' || patch)
  FROM (VALUES ('promote_test_viewer', '{"key": "hush"}', '1'), ('promote_test_viewer', '{"key": "guess"}', '1'),
               ('none', '{"key": "hush"}', '0'), ('none', '{"key": "guess"}', '1'),
               ('promote_test_viewer', '{}', '0')) AS v (role, patch, seen);
SELECT is_empty($$SELECT * FROM promote.preview_configuration('ecomm-staging-cache', '{"key": "guess"}')
    WHERE problem ~ 'hush|guess'$$, 'no sentence has the value');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SET TRANSACTION READ ONLY;
SELECT lives_ok($$SELECT * FROM promote.preview_configuration('ecomm-staging-cache', '{"size": 4}')$$,
    'a preview works in a read-only transaction');
SELECT * FROM finish();
ROLLBACK;
