-- Who is acting: the person beside the role, both recorded.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

SELECT is(promote.current_actor(), current_user::text, 'without a setting the role stands for the actor');
SET LOCAL promote.actor = 'Ada Lovelace <ada@example.com>';
SELECT is(promote.current_actor(), 'Ada Lovelace <ada@example.com>', 'the setting');
SELECT throws_ok(format('SET LOCAL promote.actor = %L', a), '22023', NULL, 'refused: ' || left(a, 9))
  FROM unnest(ARRAY[repeat('x', 256), E'a\nb', E'a\x1b[31m', E'a\x7f']) AS a;
SELECT throws_ok(format('SET LOCAL promote.actor = %L', a), '22023', NULL, 'one that looks like another is refused: U+'
    || to_hex(ascii(trim(a, 'an'))))
  FROM unnest(ARRAY['ann ', ' ann', ' ', U&'ann\202E', U&'\200Bann', U&'a\2060nn', U&'ann\00A0', U&'a\00ADnn',
      U&'\009B31mann', U&'ann\2028', U&'\FEFFann', U&'ann\+0E0061']) AS a;
SELECT lives_ok(format('SET LOCAL promote.actor = %L', a), 'a name: ' || a)
  FROM unnest(ARRAY[U&'Ann \00D6sterreich', U&'\5C71\7530 \592A\90CE', U&'\+01F600']) AS a;
SET LOCAL promote.actor = 'Ada Lovelace <ada@example.com>';
SELECT throws_ok($$SET LOCAL promote.no_such_setting = 1$$, '42602', NULL, 'the prefix is reserved');

CREATE ROLE promote_test_person;
INSERT INTO promote.grants (role, action, project, environment)
    VALUES ('promote_test_person', 'configure', 'ecomm', 'staging');
CREATE FUNCTION pg_temp.wrapped() RETURNS text
    LANGUAGE sql SECURITY DEFINER AS 'SELECT promote.current_database_role()';
SET LOCAL ROLE promote_test_person;
SELECT is(promote.current_database_role(), 'promote_test_person', 'the role of SET ROLE');
SELECT is(pg_temp.wrapped(), 'promote_test_person', 'even in a SECURITY DEFINER function');
SELECT throws_ok($$SELECT promote.current_actor()$$, 'PM703', NULL, 'nobody is named without the grant "impersonate"');
SELECT throws_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 4}')$$, 'PM703', NULL,
    '... by no verb');
SET LOCAL promote.actor = 'promote_test_person';
SELECT is(promote.current_actor(), 'promote_test_person', '... but oneself');
RESET ROLE;
SELECT throws_ok($$SELECT promote.current_actor()$$, 'PM703', NULL, '... which is not the word of another role');
RESET promote.actor;
SELECT promote.grant_action('promote_test_person', 'impersonate') \g /dev/null
SET LOCAL promote.actor = 'Ada Lovelace <ada@example.com>';
SET LOCAL ROLE promote_test_person;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 4}')$$,
    'with it, the grants are enough');
SELECT is(current_user::text, 'promote_test_person', 'and the caller is itself again');
SELECT throws_ok($$INSERT INTO promote.config (project, params) VALUES ('ecomm', '{}')$$, '42501', NULL,
    'who may write no table');
RESET ROLE;
SELECT is(pg_temp.lines($$SELECT actor, database_role FROM promote.revision WHERE environment = 'staging'
    ORDER BY revision DESC LIMIT 1$$), '("Ada Lovelace <ada@example.com>",promote_test_person)',
    'the revision has both');
SELECT is(pg_temp.lines($$SELECT DISTINCT actor, database_role FROM promote.audit_log WHERE subject = 'ecomm-staging-db'
    AND seq > 2$$), '("Ada Lovelace <ada@example.com>",promote_test_person)', 'and so has the audit log');
SET LOCAL search_path = public, pg_temp;
SET LOCAL enable_seqscan = on;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 5}')$$, 'a call');
SELECT is(current_setting('search_path') || '; ' || current_setting('enable_seqscan'), 'public, pg_temp; on',
    'leaves the caller''s settings as they were');
SELECT throws_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 50}')$$, 'PM103', NULL,
    'a call that fails');
SELECT is(current_setting('search_path') || '; ' || current_setting('enable_seqscan'), 'public, pg_temp; on',
    'does too');

SELECT * FROM finish();
ROLLBACK;
