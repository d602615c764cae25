-- What a transaction leaves for listeners: nothing of its own in the database, and who sends it is a setting.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SELECT is(current_setting('promote.notify'), 'worker', 'a worker notifies');
SELECT throws_ok($$SET promote.notify = 'nobody'$$, '22023', NULL, 'a setting that there is not');
SELECT throws_ok($$INSERT INTO promote.notice VALUES (pg_current_xact_id(), 1, 'x')$$, 'PM303', NULL,
    'nobody writes notices by hand');
SELECT is_empty('SELECT FROM promote.notice', 'nothing waits');
SELECT is((SELECT string_agg(privilege_type, ' ') FROM pg_class, aclexplode(relacl)
    WHERE oid = 'promote.notice'::regclass AND grantee <> relowner), NULL, 'and nobody reads it');
SELECT lives_ok($$SELECT promote.stop_line('x', 'ecomm'); SET LOCAL promote.notify = 'transaction'$$,
    'everybody may set it');
SELECT finish();
ROLLBACK;
