-- The promotion matrix: what it says may be promoted is held against promoting it.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'staging', 'production'), ('shop', 'dev', 'staging'), ('shop', 'dev', 'production');
INSERT INTO promote.instance (project, environment, component) SELECT 'shop', 'dev', 's' || n
    FROM generate_series(1, 4) AS n;
SELECT promote.configure_instance('shop-dev-s' || n, '{"size": 7}') FROM generate_series(1, 3) AS n \g /dev/null

-- What blocks a promotion when it is really staged and planned; nothing of it stays.
CREATE FUNCTION pg_temp.truth(source text, destination text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    reasons text;
BEGIN
    PERFORM promote.promote_instance(source, destination);
    PERFORM pg_temp.work_all();
    SELECT string_agg(code, ' ') INTO reasons FROM promote.blockers(destination)
        WHERE code NOT IN ('destructive', 'unexpected', 'approval', 'rejected');
    RAISE EXCEPTION SQLSTATE 'ZZ001';
EXCEPTION
    WHEN SQLSTATE 'ZZ001' THEN RETURN COALESCE(reasons, '');
    WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;
-- The cells whose answer is another one.
CREATE FUNCTION pg_temp.lies() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', m.instance, n.name, t.truth, m.why_not), E'\n' ORDER BY m.instance, n.name)
      FROM promote.matrix('shop') AS m, unnest(m.next) AS n (name),
           LATERAL pg_temp.truth(m.instance, 'shop-' || n.name || '-' || m.component) AS t (truth)
     WHERE (t.truth = '') IS DISTINCT FROM (m.promotable AND COALESCE(m.why_not, '') !~ ('(^|\n)' || n.name || ': '))
$$;
CREATE FUNCTION pg_temp.rule(setting text, setting_value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE promote.environment SET %I = %L WHERE project = ''shop'' AND environment = ''production''',
        setting, setting_value);
END $$;

SELECT is(pg_temp.lies(), NULL, 'without rules');
SELECT pg_temp.rule('require_source_in_sync', 'true') \g /dev/null
SELECT is(pg_temp.lies(), NULL, 'sources in sync');
SELECT promote.plan_instance('shop-staging-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-staging-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.lies(), NULL, '... one of which is');
SELECT pg_temp.rule('required_soak', '1 hour') \g /dev/null
SELECT is(pg_temp.lies(), NULL, 'soaked');
SELECT pg_temp.rule('required_soak', '0'), pg_temp.rule('require_source_in_sync', 'false') \g /dev/null
INSERT INTO promote.required_check (project, environment, check_name, per_revision, component)
    VALUES ('shop', 'production', 'migrated', true, 's1'), ('shop', 'production', 'smoke', false, 's2');
SELECT is(pg_temp.lies(), NULL, 'required checks');
SELECT promote.report_health('shop-production-s2', 'smoke', true), promote.report_health('shop-production-s1',
    'migrated', true) \g /dev/null
SELECT is(pg_temp.lies(), NULL, '... reported, one of them about the revision that is there');
DELETE FROM promote.required_check;
INSERT INTO promote.freeze_window (name, project, environment, selector, during, reason)
    VALUES ('f', 'shop', 'production', '{"tenant": "acme"}', tstzrange(now() - interval '1h', now() + interval '1h'),
    'x');
INSERT INTO promote.change_window (name, project, environment, component, during)
    VALUES ('c', 'shop', 'production', 's3', tstzrange(now() + interval '1h', now() + interval '2h'));
SELECT is(pg_temp.lies(), NULL, 'a freeze of some, a window of one');
DELETE FROM promote.freeze_window;
DELETE FROM promote.change_window;
SELECT promote.report_observed('shop-production-s4', '{"size": 77}'::jsonb, 'scan') \g /dev/null
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s5"]}') \g /dev/null
SELECT is(pg_temp.lies(), NULL, 'drift, and what a request holds');
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
SELECT 'service', '1.1.0', params_schema, '{"token": {}}', '{"network": {}}' FROM promote.bundle_release
    WHERE bundle = 'service';
SET LOCAL promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
SELECT promote.set_secret('shop-production-s' || n, 'token', 'x') FROM unnest(ARRAY[2, 3]) AS n \g /dev/null
SELECT promote.set_remote_reference('shop-production-s' || n, 'network', 'vpc')
    FROM unnest(ARRAY[1, 3]) AS n \g /dev/null
SELECT is(pg_temp.lies(), NULL, 'a release that requires a secret and a reference, which some lack');
SELECT is((SELECT string_agg(concat_ws(' ', instance, COALESCE(why_not, '') ~ 'secrets: ',
    COALESCE(why_not, '') ~ 'references: '), ', ' ORDER BY instance) FROM promote.matrix('shop')
    WHERE instance ~ 'staging-s[123]'),
    'shop-staging-s1 t f, shop-staging-s2 f t, shop-staging-s3 f f', 'the matrix says which');
SELECT promote.block_release('service', '1.1.0', 'bad'), promote.block_release('service', '1.0.0', 'bad') \g /dev/null
SELECT is(pg_temp.lies(), NULL, 'a blocked release');

-- ---- one that cannot be composed does not hide the others ----
SET LOCAL client_min_messages = error;
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('service', '1.2.0', '{"$ref": "https://example.com/not-there-yet.json"}');
RESET client_min_messages;
SELECT is((SELECT string_agg(concat_ws(' ', instance, COALESCE(why_not, '') ~ 'production: drift: ',
    COALESCE(why_not, '') ~ 'params: .*not-there-yet'), ', ' ORDER BY instance) FROM promote.matrix('shop')
    WHERE instance ~ 'staging-s[34]'), 'shop-staging-s3 f f, shop-staging-s4 t t',
    'a release whose schema has no place to be judged by is said of what has drifted');

-- ---- environments in order, however many ways lead through them ----
INSERT INTO promote.project (project) VALUES ('ladder');
INSERT INTO promote.component (project, component, bundle) VALUES ('ladder', 'c', 'service');
INSERT INTO promote.environment (project, environment) SELECT 'ladder', 'e' || to_char(n, 'FM00')
    FROM generate_series(0, 39) AS n;
INSERT INTO promote.instance (project, environment, component) SELECT project, environment, 'c' FROM promote.environment
    WHERE project = 'ladder';
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
SELECT 'ladder', a.environment, b.environment FROM promote.environment AS a, promote.environment AS b
    WHERE a.project = 'ladder' AND b.project = 'ladder' AND b.environment < a.environment;
SET LOCAL statement_timeout = '5min';
SELECT is((SELECT string_agg(environment, ' ') FROM promote.matrix('ladder')),
    (SELECT string_agg('e' || to_char(n, 'FM00'), ' ' ORDER BY n DESC) FROM generate_series(0, 39) AS n),
    'a path from each to all behind it');
RESET statement_timeout;

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'after all that the chains are whole');
SELECT * FROM finish();
ROLLBACK;
