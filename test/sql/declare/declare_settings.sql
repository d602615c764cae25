-- Settings that every role may change change nothing of what verbs that declare judge: those under which the owner of the
-- tables loads rows as they are, and those under which functions are taken as they come.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql

CREATE ROLE test_publisher;
SELECT promote.grant_action('test_publisher', 'publish'), promote.grant_action('test_publisher', 'rules') \g /dev/null
-- Presets of a release are not judged where a dump is restored.
CREATE FUNCTION pg_temp.publish() RETURNS text LANGUAGE sql AS $$
    SELECT left(pg_temp.as_role('test_publisher', $call$SELECT promote.publish_release('redis', '7.0.0',
        '{"properties": {"size": {"type": "integer"}}}', presets => '{"bad": {"size": "none"}}')$call$), 5)
$$;
SELECT is(pg_temp.publish(), 'PM103', 'presets that the schema refuses');
SET LOCAL row_security = off;
SELECT is(pg_temp.publish(), 'PM103', '... also of whoever says that rows are loaded');
SET LOCAL check_function_bodies = off;
SELECT is(left(pg_temp.as_role('test_publisher', $$SELECT promote.set_policy('p', 'no.where')$$), 5), 'PM610',
    'a function that is not there, of whoever does not look at functions');
RESET check_function_bodies;
RESET row_security;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the log verifies');

SELECT * FROM finish();
ROLLBACK;
