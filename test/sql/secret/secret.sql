-- Secrets: declared by releases, sealed for their rows, asked for by a gate, handed to workers.  Keys are printed by
-- a command here; files are test/t/secret_machine.pl's.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

-- Has keys of these names, the first to seal with; each has 32 bytes that its name stands for.
CREATE FUNCTION pg_temp.keys(VARIADIC names text[]) RETURNS void LANGUAGE sql AS $$
    SELECT set_config('promote.secret_key_command', 'printf ''' || string_agg(format('%s:%s\n', split_part(n, '=', 1),
               encode(sha256(convert_to(n, 'UTF8')), 'base64')), '') || '''', true) FROM unnest(names) AS n
$$;
-- The whole refusal, to look for what must not be in it.
CREATE FUNCTION pg_temp.words(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(E'\n', message, detail, hint) FROM pg_temp.refusal(statement)
$$;
-- Claims the next deployment of production's database.
CREATE FUNCTION pg_temp.claim(OUT deployment integer, OUT fencing integer, OUT action text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE promote.instance SET attributes = '{"mine": 1}' WHERE name = 'ecomm-production-db';
    SELECT c.deployment, c.fencing, c.action INTO deployment, fencing, action
        FROM promote.claim_deployment('w', selector => '{"mine": 1}') AS c;
END
$$;
CREATE FUNCTION pg_temp.handed(deployment integer, fencing integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s=%s (%s)', name, value, format), ', ')
        FROM promote.deployment_secrets('ecomm-production-db', deployment, fencing)
$$;
CREATE FUNCTION pg_temp.gate() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(message, E'\n') FROM promote.blockers('ecomm-production-db') WHERE code = 'secrets'
$$;
-- What a value is known by.
CREATE FUNCTION pg_temp.known(value text) RETURNS text
    LANGUAGE sql AS $$ SELECT encode(promote.secret_fingerprint('ecomm', value), 'hex') $$;
-- What the audit log says of secrets, the last n rows.
CREATE FUNCTION pg_temp.recorded(n integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', subject, event, actor, data - 'fingerprint'), E'\n' ORDER BY seq)
      FROM (SELECT * FROM promote.audit_log WHERE event ~ '^secrets?\.' ORDER BY at DESC LIMIT n) AS a
$$;

-- ---- what releases declare ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets) VALUES
    ('postgres', '1.6.0', '{}',
        '{"db_password": {"description": "of the owner"}, "config": {"required": false, "format": "json"}, "_a9": '
        '{"required": false, "format": "text"}}'),
    ('postgres', '3.0.0', '{}',
        '{"db_password": {}, "config": {"format": "json"}, "_a9": {"format": "json", "required": false}}');
CREATE FUNCTION pg_temp.declare(secrets jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.refuses(format($q$INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
        VALUES ('postgres', '9.0.0', '{}', %L)$q$, secrets),
        'PM404', '^".*" (is|says|has) .*\.$', replace(secrets::text, '\n', ' '))
$$;
SELECT pg_temp.declare(d::jsonb) FROM (VALUES ('{"a": 1}'), ('{"a": []}'), ('{"a": null}'),
    ('{"a": {"required": "yes"}}'), ('{"a": {"required": null}}'), ('{"a": {"format": "yaml"}}'),
    ('{"a": {"format": 1}}'),
    ('{"a": {"description": 1}}'), ('{"a": {"requierd": true}}'), ('{"": {}}'), ('{"9a": {}}'), ('{"a-b": {}}'),
        ('{"a b": {}}'), ('{"größe": {}}'), ('{"a\nb": {}}'), (format('{"%s": {}}', repeat('x', 64)))) AS v(d);
SELECT throws_ok($$INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('postgres', '9.0.0', '{}', '[]')$$, 'PM101', NULL, 'an array is no declaration');
SELECT throws_ok($$INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('postgres', '9.0.0', '{}', '"db_password"')$$, 'PM101', NULL, 'nor is a string');
SELECT lives_ok(format($$INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('postgres', '9.0.0-dev.1', '{}', '{"%s": {}}')$$, repeat('x', 63)), '63 bytes are a name');
SELECT pg_temp.refuses($$UPDATE promote.bundle_release SET secrets = '{}' WHERE version = '1.6.0'$$, 'PM301',
    'has to stay', 'what is published stays');

-- ---- without any key ----
SELECT pg_temp.refuses($$SELECT promote.set_secret('ecomm-production-bare', 'db_password', 'hush')$$, 'PM005',
    'no revision', 'what has no release declares nothing');
SELECT promote.configure_instance('ecomm-production-db', '{}', '1.6.0') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.set_secret('ecomm-production-db', 'db_password', 'hush')$$, 'PM711',
    'secret_key_file', 'no key is configured');
SELECT pg_temp.refuses($$SELECT promote.rotate_secrets()$$, 'PM711', 'secret_key_command',
    'nor anything to rotate with');
SELECT is(promote.remove_secret('ecomm-production-db', 'db_password'), false, 'removing needs none');
SELECT is(pg_temp.lines($$SELECT name, required, declared, format, description, is_set, fingerprint, set_at
    FROM promote.secret_status WHERE instance = 'ecomm-production-db' ORDER BY name$$),
    E'(_a9,f,t,text,,f,,)\n(config,f,t,json,,f,,)\n(db_password,t,t,text,"of the owner",f,,)',
        'the status shows what is declared');
SELECT is(pg_temp.gate(), 'secret "db_password", which release 1.6.0 requires, is not set',
    'what is required and missing blocks');
SELECT is((SELECT overridable FROM promote.blockers('ecomm-production-db') WHERE code = 'secrets'), false,
    'and cannot be overridden');

-- ---- setting ----
SELECT pg_temp.keys('k1') \g /dev/null
SELECT is(pg_temp.lines($$SELECT * FROM promote.set_secret('ecomm-production-db', 'db_password', 'hush')$$),
    format('(%s,t)', pg_temp.known('hush')), 'set: the fingerprint is by the project''s key');
SELECT is(pg_temp.lines($$SELECT name, is_set, fingerprint = pg_temp.known('hush'), key_id,
    set_at > now() - '1 min'::interval, set_by, set_by_role = current_user FROM promote.secret_status WHERE is_set$$),
    '(db_password,t,t,k1,t,ada,t)', 'the status says what is set, when and by whom');
SELECT is((SELECT length(ciphertext) FROM promote.secret), 2 + 2 + 12 + 4 + 16,
    'stored are version, id, nonce, ciphertext and tag');
SELECT is(pg_temp.recorded(1),
    'ecomm-production-db secret.set ada {"key_id": "k1", "secret": "db_password", "changed": true}', 'recorded');
SELECT is((SELECT data ->> 'fingerprint' FROM promote.audit_log WHERE event = 'secret.set'), pg_temp.known('hush'),
    'with the fingerprint');
INSERT INTO promote.project (project) VALUES ('another');
SELECT ok(NOT (promote.secret_fingerprint('ecomm', '"hush"') = ANY (ARRAY[sha256('hush'), sha256('"hush"'),
    promote.config_digest('ecomm', '"hush"'), promote.secret_fingerprint('another', '"hush"')])),
    '... which nobody makes without the key, nor by a document, nor by a secret of another project');
SELECT is((SELECT encode(fingerprint, 'hex') FROM promote.secret), pg_temp.known('hush'), 'the owner can');
SELECT pg_temp.refuses($$SELECT promote.secret_fingerprint('none', 'hush')$$, 'PM002',
    'made with a key of their project', '... in a project that there is');
CREATE TEMP TABLE before AS SELECT * FROM promote.secret;
SELECT is((promote.set_secret('ecomm-production-db', 'db_password', 'hush')).changed, false,
    'the same again is no change');
SELECT is((SELECT data -> 'changed' FROM promote.audit_log WHERE event = 'secret.set' ORDER BY seq DESC LIMIT 1),
    'false', 'as the log says');
SELECT isnt(s.ciphertext, b.ciphertext, 'but is sealed anew: equal values do not look equal') FROM promote.secret s,
    before b;
SELECT is((promote.set_secret('ecomm-production-db', 'db_password', 'hush!')).changed, true, 'another value is one');
SELECT is(pg_temp.gate(), NULL, 'nothing is missing any more');
SELECT is(count(*), 0::bigint, 'and is whole') FROM promote.verify_audit();

-- ---- names ----
SELECT pg_temp.refuses($$SELECT promote.set_secret('ecomm-nowhere-db', 'db_password', 'x')$$, 'PM002',
    'has no environment', 'an instance that is not there');
SELECT pg_temp.refuses(format('SELECT promote.set_secret(%L, %L, %L)', 'ecomm-production-db', name, 'x'), 'PM714',
    '^It declares: _a9, config, db_password\.$', 'undeclared: ' || quote_nullable(left(replace(name, E'\n', ' '), 20)))
  FROM unnest(ARRAY['other', 'DB_PASSWORD', 'db_password ', 'db-password', 'größe', E'a\nb', '../x', '''; DROP TABLE',
      '%s%n', repeat('x', 100000), '☃', '_', '*']) AS name;
SELECT pg_temp.refuses(format('SELECT promote.set_secret(%L, %L, %L)', 'ecomm-production-db', name, 'x'), 'PM404',
    'null or empty', 'no name') FROM unnest(ARRAY[NULL, '', '  ']) AS name;
SELECT unalike(pg_temp.words($$SELECT promote.set_secret('ecomm-production-db', 'xyzzy', 'db_password')$$), '%xyzzy%',
    'who confuses name and value does not find the value in the error');
SELECT pg_temp.refuses($$SELECT promote.set_secret('ecomm-production-cache', 'a', 'x')$$, 'PM005', '.',
    'an instance without revision');
SELECT promote.configure_instance('ecomm-production-cache', '{}') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.set_secret('ecomm-production-cache', 'a', 'x')$$, 'PM714',
    '^It declares: none\.$', 'a release that declares nothing');
SELECT is(promote.remove_secret('ecomm-production-db', E'a\nb'), false, 'what is not there is not removed');

-- ---- values ----
SELECT pg_temp.refuses(format('SELECT promote.set_secret(%L, %L, %L)', 'ecomm-production-db', 'db_password', value),
    'PM715', 'null or empty', 'nothing') FROM unnest(ARRAY[NULL, '']) AS value;
SELECT pg_temp.refuses($$SELECT promote.set_secret('ecomm-production-db', 'db_password',
    repeat('xyzzy', 209715) || 'xy')$$, 'PM715', '^It has 1048577 bytes, and may have 1048576\.$',
    'a byte more than 1 MB');
SELECT unalike(pg_temp.words($$SELECT promote.set_secret('ecomm-production-db', 'db_password',
    repeat('xyzzy', 300000))$$), '%xyzzy%', '... nothing of which is shown');
SELECT is((promote.set_secret('ecomm-production-db', 'db_password', repeat('€', 349525) || 'x')).fingerprint,
    pg_temp.known(repeat('€', 349525) || 'x'), '1 MB is a secret');
CREATE TEMP TABLE big (plain text, compressed text);
ALTER TABLE big ALTER plain SET STORAGE EXTERNAL;
INSERT INTO big VALUES (repeat('plain', 10000), repeat('compressed', 10000));
SELECT is((promote.set_secret('ecomm-production-db', 'db_password', plain)).fingerprint, pg_temp.known(plain),
    'out of a table') FROM big;
SELECT is((promote.set_secret('ecomm-production-db', '_a9', compressed)).fingerprint, pg_temp.known(compressed),
    'compressed') FROM big;
SELECT is((promote.set_secret('ecomm-production-db', '_a9', ' ')).changed, true, 'a blank is a value');
SELECT pg_temp.refuses(format('SELECT promote.set_secret(%L, %L, %L)', 'ecomm-production-db', 'config', value), 'PM715',
    'declares it as JSON, and it is none', 'no JSON: ' || replace(left(value, 20), E'\n', ' '))
  FROM unnest(ARRAY['xyzzy', '{"xyzzy": }', '{"a": 1} xyzzy', '"xyzzy', '[1,]', ' ', 'nul', '"\uZZZZ"', E'"\n"',
      '{"a" 1}', '01', repeat('[', 1000000), repeat('[', 1001) || repeat(']', 1001), repeat('{"a":', 50000)]) AS value;
SELECT unalike(pg_temp.words($$SELECT promote.set_secret('ecomm-production-db', 'config', '{"user": "xyzzy", }')$$),
    '%xyzzy%', 'nothing is shown of what is no JSON');
SELECT is((promote.set_secret('ecomm-production-db', 'config', value)).fingerprint, pg_temp.known(value),
    'stored as it is: ' || left(value, 20))
  FROM unnest(ARRAY['null', ' {"b": 1.0, "a": "[[[\"{", "a": 2}', '"x"', repeat('[', 1000) || repeat(']', 1000),
      '[' || repeat('[],', 5000) || '"\u0000\ud800"]', '[' || repeat('{},', 5000) || '{}]',
      '{"a": {}' || repeat(', "a": {"b": [{}]}', 5000) || '}', '{"password": "xyzzy"}']) AS value;
SELECT unalike(string_agg(data::text, ''), '%xyzzy%', 'no value is in the log') FROM promote.audit_log;

-- ---- workers ----
SELECT promote.set_secret('ecomm-production-db', 'db_password', 'hush') \g /dev/null
SELECT promote.remove_secret('ecomm-production-db', '_a9') AS removed \gset
SELECT is(:'removed'::boolean, true, 'removed');
SELECT is(pg_temp.recorded(1), 'ecomm-production-db secret.removed ada {"secret": "_a9"}', 'which is recorded');
SELECT deployment, fencing, action FROM pg_temp.claim() \gset
SELECT is(pg_temp.handed(:deployment, :fencing), NULL, 'a deployment of a release that declares nothing gets nothing');
SELECT promote.complete_deployment('ecomm-production-db', :deployment, :fencing) \g /dev/null
SELECT deployment, fencing, action FROM pg_temp.claim() \gset
SELECT is(:'action'::text, 'PLAN', 'a plan is claimed');
SELECT is(pg_temp.handed(:deployment, :fencing), 'config={"password": "xyzzy"} (json), db_password=hush (text)',
    'the worker gets what is set, in order');
SELECT is(pg_temp.recorded(1),
    format('ecomm-production-db secrets.read ada {"worker": "w", "fencing": 1, "secrets": ["config", "db_password"], '
    '"deployment": %s}', :deployment), 'each reading is recorded, with names');
SELECT count(*) AS n FROM promote.audit_log WHERE event = 'secrets.read' \gset
SELECT is(pg_temp.handed(:deployment, :fencing) IS NOT NULL, true, 'it may ask again');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event = 'secrets.read'), :n + 1::bigint,
    'which is recorded again');
CREATE FUNCTION pg_temp.round_trip(deployment integer, fencing integer, given text) RETURNS boolean
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.set_secret('ecomm-production-db', 'db_password', given);
    RETURN given = s.value FROM promote.deployment_secrets('ecomm-production-db', round_trip.deployment,
        round_trip.fencing) AS s WHERE s.name = 'db_password';
END
$$;
SELECT is(string_agg(length::text, ' '), NULL,
    'values of all lengths come back as they were, however their rows are stored')
  FROM unnest(ARRAY[1, 15, 16, 17, 93, 94, 95, 96, 97, 98, 126, 127, 128, 500, 1900, 1950, 1960, 1970, 1980, 1990, 1996,
      2000, 2032, 2048, 8000, 8192, 100000, 1048576]) AS length
 WHERE NOT pg_temp.round_trip(:deployment, :fencing, repeat('x', length));
SELECT promote.set_secret('ecomm-production-db', 'db_password', 'hush') \g /dev/null
SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, %s)', :deployment, :fencing + 1), 'PM502', 'not the last',
    'another claim');
SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, 0)', :deployment), 'PM502', 'not the last', 'no claim');
SELECT pg_temp.refuses('SELECT pg_temp.handed(99, 1)', 'PM002', '.', 'no deployment');
SELECT pg_temp.refuses('SELECT pg_temp.handed(NULL, 1)', 'PM404', '.', 'null');
SELECT promote.complete_deployment('ecomm-production-db', :deployment, :fencing) \g /dev/null
SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, %s)', :deployment, :fencing), 'PM502', 'COMPLETED',
    'what has run hands out nothing');
-- a deployment has the secrets of its release
SELECT (promote.deploy_instance('ecomm-production-db')).deployment \gset
SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, 0)', :deployment), 'PM502', 'never claimed',
    'what waits hands out nothing');
SELECT promote.configure_instance('ecomm-production-db', '{}', '3.0.0') \g /dev/null
SELECT promote.set_secret('ecomm-production-db', '_a9', '{}') \g /dev/null
SELECT deployment, fencing, action FROM pg_temp.claim() \gset
SELECT is(:'action'::text, 'PROVISION', 'a provision of the release before');
SELECT is(pg_temp.handed(:deployment, :fencing),
    '_a9={} (text), config={"password": "xyzzy"} (json), db_password=hush (text)', 'has formats of its own');
SELECT promote.remove_secret('ecomm-production-db', 'config'), promote.remove_secret('ecomm-production-db', '_a9'),
    promote.remove_secret('ecomm-production-db', 'db_password') \g /dev/null
SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, %s)', :deployment, :fencing), 'PM601',
    'cannot be carried out without', 'what was removed since it was queued, and is required, is missed');
SELECT promote.fail_deployment('ecomm-production-db', :deployment, 'a secret is missing', :fencing),
    promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT deployment, fencing, action FROM pg_temp.claim() \gset
SELECT is(:'action'::text, 'PLAN', 'but a plan needs none');
SELECT count(*) AS n FROM promote.audit_log WHERE event = 'secrets.read' \gset
SET LOCAL promote.secret_key_command = '';
SELECT is(pg_temp.handed(:deployment, :fencing), NULL, 'where nothing is set no key is needed');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event = 'secrets.read'), :n::bigint, 'and nothing was read');
SELECT pg_temp.keys('k1') \g /dev/null
SELECT promote.complete_deployment('ecomm-production-db', :deployment, :fencing) \g /dev/null

-- ---- another release ----
SELECT is(pg_temp.gate(),
    E'secret "config", which release 3.0.0 requires, is not set\nsecret "db_password", which release 3.0.0 requires, '
    'is not set', 'each that is missing is a reason');
SELECT promote.configure_instance('ecomm-production-db', '{}', '1.6.0') \g /dev/null
SELECT promote.set_secret('ecomm-production-db', '_a9', '{}'), promote.set_secret('ecomm-production-db', 'config',
    '{}'), promote.set_secret('ecomm-production-db', 'db_password', 'hush') \g /dev/null
SELECT promote.configure_instance('ecomm-production-db', '{}', '3.0.0') \g /dev/null
SELECT is(pg_temp.gate(), 'secret "_a9" was set as text, and release 3.0.0 declares it as JSON',
    'what was text is not taken for JSON');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT throws_ok($$SELECT promote.deploy_instance('ecomm-production-db')$$, 'PM601', NULL, 'deploying is refused');
SELECT promote.set_secret('ecomm-production-db', '_a9', '{}') \g /dev/null
SELECT is(pg_temp.gate(), NULL, 'set again');
-- the gate was open when it was queued: what is removed since holds it back
SELECT is((promote.deploy_instance('ecomm-production-db')).status, 'PENDING', 'deploying is not refused any more');
SELECT promote.remove_secret('ecomm-production-db', 'db_password') \g /dev/null
SELECT is((SELECT deployment FROM pg_temp.claim()), NULL, 'without a required secret nothing is begun');
SELECT is(pg_temp.lines($$SELECT status, due_at > clock_timestamp() + '20 s'::interval FROM promote.deployment
    WHERE project = 'ecomm' AND environment = 'production' AND component = 'db' AND action = 'PROVISION'
    ORDER BY deployment DESC LIMIT 1$$), '(PENDING,t)', '... it waits');
SELECT throws_ok($$UPDATE promote.deployment SET status = 'RUNNING', worker = 'w', due_at = now() + '1 h'::interval
    WHERE status = 'PENDING' AND action = 'PROVISION'$$, 'PM601', NULL, '... nor is it by hand');
SELECT promote.set_secret('ecomm-production-db', 'db_password', 'hush') \g /dev/null
SELECT is((promote.abort_deployment('ecomm-production-db', deployment)).status, 'ABORTED', 'given up')
    FROM promote.deployment WHERE status = 'PENDING' AND action = 'PROVISION';
SELECT promote.configure_instance('ecomm-production-db', '{}', '1.0.0') \g /dev/null
SELECT is(pg_temp.gate(), NULL, 'a release that declares nothing');
SELECT is(pg_temp.lines($$SELECT name, declared, required, format, is_set FROM promote.secret_status
    WHERE instance = 'ecomm-production-db' ORDER BY name$$),
    E'(_a9,f,f,json,t)\n(config,f,f,json,t)\n(db_password,f,f,text,t)', 'leaves them where they are');
SELECT pg_temp.refuses($$SELECT promote.set_secret('ecomm-production-db', 'db_password', 'hush')$$, 'PM714', 'none',
    'but they cannot be set');
SELECT is(promote.remove_secret('ecomm-production-db', '_a9'), true, 'only removed');
-- a range: what the newest release declares may be set before the revision is of it, and what the revision was made
-- with still
SELECT promote.configure_instance('ecomm-production-db', '{}', '~3') \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('postgres', '3.1.0', '{}', '{"fresh": {}, "db_password": {"format": "json"}}');
SELECT is(pg_temp.lines($$SELECT name, declared, required, format, is_set FROM promote.secret_status
    WHERE instance = 'ecomm-production-db' ORDER BY name$$),
    E'(_a9,t,f,json,f)\n(config,t,t,json,t)\n(db_password,t,t,json,t)\n(fresh,t,t,text,f)',
        'a newer release declares, too');
SELECT is((promote.set_secret('ecomm-production-db', 'fresh', 'x')).changed, true, 'its secrets may be set');
SELECT is((promote.set_secret('ecomm-production-db', '_a9', '{}')).changed, true, 'those of the revision''s as well');
SELECT pg_temp.refuses($$SELECT promote.set_secret('ecomm-production-db', 'db_password', 'hush')$$, 'PM715', 'JSON',
    'the newer one counts');

-- ---- the guard ----
SELECT pg_temp.refuses($$UPDATE promote.secret SET secret = 'x'$$, 'PM303', 'sealed', 'an UPDATE');
SELECT pg_temp.refuses($$DELETE FROM promote.secret$$, 'PM303', 'sealed', 'a DELETE');
SELECT pg_temp.refuses($$TRUNCATE promote.secret$$, 'PM303', 'sealed', 'a TRUNCATE');
SET LOCAL row_security = off;
SELECT lives_ok($$INSERT INTO promote.secret (project, environment, component, secret, ciphertext, fingerprint, format)
    SELECT project, environment, component, 'restored', ciphertext, fingerprint, format FROM promote.secret
    WHERE secret = 'fresh'$$, 'the owner restores rows');
RESET row_security;
CREATE ROLE intruder;
GRANT USAGE ON SCHEMA promote TO intruder;
GRANT ALL ON promote.secret TO intruder;
CREATE FUNCTION pg_temp.as_intruder(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text := 'accepted';
BEGIN
    SET LOCAL promote.actor = '';
    SET LOCAL ROLE intruder;
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        result := SQLSTATE;
    END;
    RESET ROLE;
    SET LOCAL promote.actor = 'ada';
    RETURN result;
END
$$;
SELECT is(pg_temp.as_intruder(format($$INSERT INTO promote.secret (project, environment, component, secret, ciphertext,
    fingerprint, format) VALUES ('ecomm', 'production', 'db', 'x', %L, %L, 'text')$$, ciphertext, fingerprint)),
    'PM303', 'nobody else does') FROM promote.secret WHERE secret = 'fresh';
SELECT is(pg_temp.as_intruder($$SELECT promote.set_secret('ecomm-production-db', 'fresh', 'x')$$), '42501',
    'nor calls any verb');
-- each verb asks for its own grant, of the instance's environment
SELECT promote.grant_action('intruder', action, 'ecomm')
    FROM unnest(ARRAY['view', 'configure', 'promote', 'plan', 'deploy', 'approve', 'override',
    'decommission']) AS action \g /dev/null
SELECT promote.grant_action('intruder', action, 'ecomm', 'staging')
    FROM unnest(ARRAY['secrets', 'work', 'admin']) AS action \g /dev/null
CREATE FUNCTION pg_temp.tried() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', pg_temp.as_intruder('SELECT promote.set_secret(''ecomm-production-db'', ''fresh'', ''x'')'),
        pg_temp.as_intruder('SELECT promote.remove_secret(''ecomm-production-db'', ''x'')'),
        pg_temp.as_intruder('SELECT promote.deployment_secrets(''ecomm-production-db'', 99, 1)'),
            pg_temp.as_intruder('SELECT promote.rotate_secrets()'))
$$;
SELECT is(pg_temp.tried(), 'PM701 PM701 PM701 PM701', 'without the grant none of them works');
SELECT promote.grant_action('intruder', 'secrets', 'ecomm', 'production') \g /dev/null
SELECT is(pg_temp.tried(), 'accepted accepted PM701 PM701', 'who may set them may not read them');
SELECT promote.revoke_action('intruder', 'secrets', 'ecomm', 'production'), promote.grant_action('intruder', 'work',
    'ecomm', 'production') \g /dev/null
SELECT is(pg_temp.tried(), 'PM701 PM701 PM002 PM701', 'a worker asks for those of its deployments');
SELECT promote.revoke_action('intruder', 'work', 'ecomm', 'production'),
    promote.grant_action('intruder', 'admin') \g /dev/null
SELECT is(pg_temp.tried(), 'PM701 PM701 PM701 accepted', 'an admin of everything rotates, and no more');
SELECT is(pg_temp.as_intruder($$SHOW promote.secret_key_command$$), '42501', 'the settings are for superusers to see');
SELECT is(pg_temp.as_intruder($$SET promote.secret_key_command = 'id'$$), '42501', 'and to set');
SELECT is(pg_temp.as_intruder($$SET promote.secret_key_file = '/dev/null'$$), '42501', '... both');

-- ---- what does not open ----
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT deployment, fencing FROM pg_temp.claim() \gset
ALTER TABLE promote.secret DISABLE TRIGGER guard_secret;
DELETE FROM promote.secret WHERE secret = 'restored';
CREATE TEMP TABLE sealed AS SELECT * FROM promote.secret;
CREATE FUNCTION pg_temp.spoil(spoilt bytea, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    d integer := (SELECT deployment FROM promote.deployment WHERE due_at IS NOT NULL AND status = 'RUNNING'
        AND project = 'ecomm' AND environment = 'production' AND component = 'db');
BEGIN
    UPDATE promote.secret SET ciphertext = spoilt WHERE secret = 'fresh' AND (project, environment, component)
        = ('ecomm', 'production', 'db');
    RETURN QUERY SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, 1)', d), 'PM713',
        'another key of that id or for another owner, or was changed', what);
    UPDATE promote.secret AS s SET ciphertext = k.ciphertext FROM sealed AS k
     WHERE s.secret = 'fresh' AND (s.project, s.environment, s.component, s.secret) = (k.project, k.environment,
         k.component, k.secret);
END
$$;
SELECT is(pg_temp.handed(:deployment, :fencing), 'fresh=x (text)', 'it opens')
    FROM (SELECT promote.remove_secret('ecomm-production-db', 'db_password')) AS r;
SELECT pg_temp.spoil(set_byte(ciphertext, n, get_byte(ciphertext, n) # 1), 'byte ' || n)
    FROM sealed, unnest(ARRAY[4, 15, 16, 17, 32]) AS n WHERE secret = 'fresh';
SELECT pg_temp.spoil(set_byte(ciphertext, length(ciphertext) - 1, get_byte(ciphertext, length(ciphertext) - 1) # 1),
    'a byte of the tag') FROM sealed WHERE secret = 'fresh';
SELECT pg_temp.spoil(ciphertext || '\x00', 'longer') FROM sealed WHERE secret = 'fresh';
SELECT pg_temp.spoil(substr(k.ciphertext, 1, 4) || substr(c.ciphertext, 5), 'of another secret')
    FROM sealed AS k, sealed AS c WHERE k.secret = 'fresh' AND c.secret = 'config';
SELECT pg_temp.spoil(c.ciphertext, 'of another row') FROM sealed AS c WHERE c.secret = '_a9';
-- the same value of the same name, of another environment, component and project
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    VALUES ('redis', '3.0.0', '{}', '{"fresh": {}}');
SELECT promote.configure_instance(name, '{}', '~3', plan => false), promote.set_secret(name, 'fresh', 'x')
    FROM unnest(ARRAY['ecomm-prod-uswest-db', 'ecomm-production-cache', 'other-production-db']) AS name \g /dev/null
INSERT INTO sealed SELECT * FROM promote.secret WHERE secret = 'fresh' AND (project, environment, component)
    <> ('ecomm', 'production', 'db');
SELECT is(count(*), 3::bigint, 'three others have it') FROM sealed WHERE secret = 'fresh'
    AND (project, environment, component) <> ('ecomm', 'production', 'db');
SELECT pg_temp.spoil(ciphertext, format('of %s-%s-%s', project, environment, component)) FROM sealed
    WHERE secret = 'fresh' AND (project, environment, component) <> ('ecomm', 'production', 'db');
SELECT promote.remove_secret(concat_ws('-', project, environment, component), secret) FROM promote.secret
    WHERE (project, environment, component) <> ('ecomm', 'production', 'db') \g /dev/null
DELETE FROM sealed WHERE (project, environment, component) <> ('ecomm', 'production', 'db');
SELECT throws_ok(format($$UPDATE promote.secret SET ciphertext = %L WHERE secret = 'fresh'$$, substr(ciphertext, 1, n)),
    '23502', NULL, 'cut after ' || n) FROM sealed, unnest(ARRAY[0, 1, 2, 3, 4, 15, 16, 31, 32]) AS n
    WHERE secret = 'fresh';
SELECT pg_temp.spoil(substr(ciphertext, 1, n), 'cut after ' || n) FROM sealed, unnest(ARRAY[33, 40]) AS n
    WHERE secret = '_a9' AND n < length(ciphertext);
SELECT throws_ok(format($$UPDATE promote.secret SET ciphertext = %L WHERE secret = 'fresh'$$,
    set_byte(ciphertext, n, b)), '23502', NULL, 'not even the form: byte ' || n)
    FROM sealed, (VALUES (0, 0), (0, 2), (1, 0), (1, 64), (1, 255), (2, 0), (2, 58), (3, 10)) AS v(n, b)
    WHERE secret = 'fresh';
UPDATE promote.secret SET fingerprint = sha256('y') WHERE secret = 'fresh';
SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, %s)', :deployment, :fencing), 'PM713', 'in part',
    'the fingerprint of another value');
UPDATE promote.secret SET fingerprint = promote.secret_fingerprint('ecomm', 'x') WHERE secret = 'fresh';
SELECT is(pg_temp.handed(:deployment, :fencing), 'fresh=x (text)', 'nothing was lost');
ALTER TABLE promote.secret ENABLE ALWAYS TRIGGER guard_secret;
SELECT pg_temp.keys('k1=other') \g /dev/null
SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, %s)', :deployment, :fencing), 'PM713',
    'another key of that id', 'the wrong key');
SELECT pg_temp.keys('k2') \g /dev/null
SELECT pg_temp.refuses(format('SELECT pg_temp.handed(%s, %s)', :deployment, :fencing), 'PM712', 'is needed until',
    'a key that is gone');
SELECT unalike(pg_temp.words(format('SELECT pg_temp.handed(%s, %s)', :deployment, :fencing)),
    '%' || left(encode(sha256('k2'), 'base64'), 10) || '%', 'no key is shown');

-- ---- keys that cannot be used ----
CREATE FUNCTION pg_temp.bad_keys(command text, detail text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('promote.secret_key_command', command, true);
    RETURN QUERY SELECT pg_temp.refuses('SELECT promote.rotate_secrets()', 'PM712', detail, what);
    RETURN NEXT unalike(pg_temp.words('SELECT promote.rotate_secrets()'), '%QUFB%', what || ': shows nothing of it');
END
$$;
SELECT pg_temp.bad_keys('true', '^There is none\.$', 'no key');
SELECT pg_temp.bad_keys('printf "# only\n\n  \n"', '^There is none\.$', 'only comments');
SELECT pg_temp.bad_keys('exit 3', '^The command failed', 'a command that fails');
SELECT pg_temp.bad_keys('printf "k:%s\n" QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=; kill -9 $$',
    '^The command failed', 'a command that prints a key and dies');
SELECT pg_temp.bad_keys('/nonexistent/program', '^The command failed', 'no program');
SELECT pg_temp.bad_keys('echo QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=',
    '^Line 1 does not begin with the key''s id', 'no id');
SELECT pg_temp.bad_keys('echo :QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=',
    '^Line 1 does not begin with the key''s id', 'an empty id');
SELECT pg_temp.bad_keys('echo k 1:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=',
    '^Line 1 does not begin with the key''s id', 'a blank in it');
SELECT pg_temp.bad_keys(format('echo %s:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=', repeat('x', 64)),
    '^Line 1 does not begin with the key''s id', 'a long id');
SELECT pg_temp.bad_keys('printf "#\nk:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQQ==\n"',
    '^Line 2 does not have 32 bytes in base64', '31 bytes');
SELECT pg_temp.bad_keys('printf "#\nk:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQQ==\n"',
    '^Line 2 does not have 32 bytes in base64', '34 bytes');
SELECT pg_temp.bad_keys('printf "k:QUFB***\n"', '^Line 1 does not have 32 bytes in base64', 'no base64');
SELECT pg_temp.bad_keys('printf "k:\n"', '^Line 1 does not have 32 bytes in base64', 'no key behind the id');
SELECT pg_temp.bad_keys('for i in 1 2; do echo k:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=; done',
    '^Line 2 has the id of a key before', 'an id twice');
SELECT pg_temp.bad_keys('for i in $(seq 33); do echo k$i:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=; done',
    '^There are more than 32 keys', 'very many keys');
SELECT pg_temp.bad_keys('yes QUFB', '^There are more than 16384 bytes', 'a command without an end');
SELECT pg_temp.bad_keys('head -c 3000 /dev/zero', '^Line 1 does not begin', 'NUL bytes');
SELECT set_config('promote.secret_key_file', 'x', true) \g /dev/null
SELECT pg_temp.bad_keys('true', '^Both a file and a command', 'both settings');
SET LOCAL promote.secret_key_file = '';

-- ---- rotation ----
SELECT pg_temp.keys('k1') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-db', '{}', '1.6.0') \g /dev/null
SELECT promote.set_secret('ecomm-staging-db', 'db_password', 'stage'), promote.set_secret('ecomm-staging-db', '_a9',
    'a') \g /dev/null
CREATE TEMP TABLE earlier AS SELECT * FROM promote.secret;
SELECT count(*) AS n FROM earlier \gset
SELECT is(pg_temp.lines('SELECT * FROM promote.rotate_secrets()'), '(0,0)', 'nothing to rotate');
SELECT pg_temp.refuses(format('SELECT promote.rotate_secrets(%s)', n), 'PM404', '.', 'a batch of ' || n)
    FROM unnest(ARRAY['0', '-1', '100001']) AS n;
SELECT pg_temp.keys('k2') \g /dev/null
SELECT pg_temp.refuses('SELECT promote.rotate_secrets()', 'PM712', 'is needed until', 'without the old key');
SELECT is((SELECT count(*) FROM promote.secret AS s JOIN earlier AS e USING (project, environment, component, secret,
    ciphertext)), :n::bigint, '... nothing is lost');
SELECT pg_temp.keys('k2', 'k1') \g /dev/null
SELECT is(pg_temp.lines('SELECT * FROM promote.rotate_secrets(2)'), format('(2,%s)', :n - 2), 'the first batch');
SELECT is(pg_temp.recorded(1), 'ecomm-production-db secrets.rotated ada {"key_id": "k2", "secrets": ["_a9", "config"]}',
    'recorded, by instance');
SELECT is((SELECT string_agg(DISTINCT key_id, ' ') FROM promote.secret_status), 'k1 k2', 'both keys are in use');
SELECT is(pg_temp.handed(:deployment, :fencing), 'fresh=x (text)', 'what has the old key opens');
SELECT pg_temp.keys('k3', 'k2', 'k1') \g /dev/null
SELECT is(pg_temp.lines('SELECT * FROM promote.rotate_secrets()'), format('(%s,0)', :n),
    'on to a third key, whatever was before');
SELECT is((SELECT string_agg(DISTINCT key_id, ' ') FROM promote.secret), 'k3', 'all of them');
SELECT is((SELECT count(*) FROM promote.secret AS s JOIN earlier AS e USING (project, environment, component, secret,
    fingerprint, set_at, actor)), :n::bigint, 'they are what they were, set when they were set');
SELECT pg_temp.keys('k3') \g /dev/null
SELECT is(pg_temp.handed(:deployment, :fencing), 'fresh=x (text)', 'the old keys can go');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the audit log is whole');

-- ---- copied ----
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT promote.complete_deployment('ecomm-production-db', :deployment, :fencing) \g /dev/null
-- who copies secrets can read them where they go to, and overwrites what is there: the grant is asked for at both ends
CREATE FUNCTION pg_temp.copied(function text DEFAULT 'promote_instance(''ecomm-staging-db'', ''ecomm-production-db'', ')
    RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_intruder('SELECT promote.' || function
        || 'copy_secrets => true, plan => false, allow_replace => true)')
$$;
SELECT promote.revoke_action('intruder', 'admin'), promote.revoke_action('intruder', 'secrets', 'ecomm', 'staging'),
    promote.grant_action('intruder', 'secrets', 'ecomm', 'production') \g /dev/null
INSERT INTO promote.promotion_path VALUES ('ecomm', 'staging', 'production');
SELECT is(pg_temp.copied() || pg_temp.copied('promote_to_next(''ecomm-staging-db'', '), 'PM701PM701',
    'secrets of the source are not to be copied by who may only view it');
SELECT promote.revoke_action('intruder', 'secrets', 'ecomm', 'production'), promote.grant_action('intruder', 'secrets',
    'ecomm', 'staging') \g /dev/null
SELECT is(pg_temp.copied() || pg_temp.copied('promote_to_next(''ecomm-staging-db'', '), 'PM701PM701',
    'nor those of the destination overwritten');
SELECT promote.grant_action('intruder', 'secrets', 'ecomm', 'production') \g /dev/null
SELECT is(pg_temp.copied(), 'accepted', 'with both it works');
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT promote.plan_instance('ecomm-production-db') \g /dev/null
SELECT deployment, fencing FROM pg_temp.claim() \gset
SELECT is(pg_temp.handed(:deployment, :fencing), '_a9=a (text), config={} (json), db_password=stage (text)',
    'what was copied opens where it is');
SELECT isnt(p.ciphertext, s.ciphertext, 'it is sealed anew') FROM promote.secret AS p, promote.secret AS s
    WHERE (p.environment, p.secret, s.environment, s.secret) = ('production', 'db_password', 'staging', 'db_password');
SELECT is((promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', copy_secrets => true,
    plan => false)).changed, false, 'the same again is no change');
SELECT promote.configure_instance('ecomm-staging-db', '{}', '3.0.0') \g /dev/null
SELECT promote.set_secret('ecomm-staging-db', 'db_password', 'xyzzy'), promote.remove_secret('ecomm-production-db',
    '_a9') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    copy_secrets => true)$$, 'PM715', 'declares it as JSON, and it is none',
    'what was text is not copied to where JSON is declared');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db',
    copy_secrets => true)$$, 'PM715', 'declares it as JSON, and it is none', '... as the preview says, too');
SELECT promote.set_secret('ecomm-staging-db', '_a9', '[]') \g /dev/null
SELECT pg_temp.keys('k3=other') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    copy_secrets => true)$$, 'PM713', 'another key of that id', 'what does not open is not copied');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db',
    copy_secrets => true)$$, 'PM713', 'another key of that id', '... which the preview knows');
SELECT pg_temp.keys('k4', 'k3') \g /dev/null
SELECT is((promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', copy_secrets => true,
    plan => false)).changed, true, 'with the right one it is');
SELECT is(pg_temp.lines($$SELECT name, key_id FROM promote.secret_status WHERE instance = 'ecomm-production-db'
    AND is_set ORDER BY name$$), E'(_a9,k4)\n(config,k3)\n(db_password,k4)\n(fresh,k3)',
    'sealed with the key that counts; what the source lacks stays as it was');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the audit log is whole');

SELECT * FROM finish();
ROLLBACK;
