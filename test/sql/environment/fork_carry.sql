-- What else a fork gets on request, and that nothing of it is left where its environment is archived.
BEGIN;
SELECT no_plan();
SELECT set_config('promote.secret_key_command', format('printf ''k:%s\n''', encode(sha256('k'), 'base64')), true)
    \g /dev/null
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
    VALUES ('postgres', '1.4.0', '{}', '{"token": {"required": false}}', '{"net": {"required": false}}');
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'db');
SELECT promote.configure_instance('shop-staging-db', '{"a": 1}', plan => false) \g /dev/null
SELECT promote.set_remote_reference('shop-staging-db', 'net', 'arn:x') \g /dev/null
SELECT promote.set_secret('shop-staging-db', 'token', 'hush') \g /dev/null
CREATE FUNCTION pg_temp.carried() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT count(*) FROM promote.secret WHERE environment = 'pr'),
        (SELECT count(*) FROM promote.remote_reference WHERE environment = 'pr'))
$$;
CREATE FUNCTION pg_temp.forked(copies boolean) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', component, changed, revision, code)
      FROM promote.fork_environment('shop-staging', 'shop-pr', copy_secrets => copies, copy_remote_references => copies,
          plan => false)
$$;
SELECT results_eq($$SELECT concat_ws(' ', component, changed, revision, code) FROM promote.preview_fork_environment(
    'shop-staging', 'shop-pr', copy_secrets => true, copy_remote_references => true, plan => false)$$,
    ARRAY['db t 1'], 'previewed');
SELECT is(pg_temp.carried(), '0 0', '... which writes nothing');
SELECT is(pg_temp.forked(true), 'db t 1', 'forked with secrets and references');
SELECT is(pg_temp.carried(), '1 1', '... which are there');
SELECT is((SELECT origin FROM promote.revision WHERE environment = 'pr'), 'fork', '... with a revision that says so');
SELECT promote.archive_environment('shop-pr') \g /dev/null
SELECT is(pg_temp.carried(), '0 0', 'archived, nothing of them is left');
SELECT is(pg_temp.forked(false), 'db t 3', 'opened again');
SELECT is(pg_temp.carried(), '0 0', '... without them');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and all of it is told');
SELECT finish();
ROLLBACK;
