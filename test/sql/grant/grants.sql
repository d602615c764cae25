-- Who may do what.

BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

CREATE ROLE g_admin;
CREATE ROLE g_dev;
CREATE ROLE g_group;
CREATE ROLE g_member IN ROLE g_group;
CREATE ROLE g_stranger;

CREATE FUNCTION pg_temp.refused(statement text, code text, detail text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE told text; message text;
BEGIN
    EXECUTE statement;
    RETURN fail(statement || ' is refused');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS told = PG_EXCEPTION_DETAIL, message = MESSAGE_TEXT;
    RETURN CASE WHEN SQLSTATE = code AND concat(message, ' ', told) LIKE '%' || detail || '%'
        THEN pass(statement || ' is refused: ' || code)
        ELSE diag(SQLSTATE || ' ' || message || ' / ' || told) || fail(statement || ' is refused: ' || code) END;
END $$;

SELECT pg_temp.refused($$INSERT INTO promote.grants (role, action) VALUES ('g_dev', 'dance')$$, 'PM404',
    'It is none of view');
SELECT pg_temp.refused($$INSERT INTO promote.grants (role, action, project) VALUES ('g_dev', 'impersonate', 'ecomm')$$,
    'PM404', 'counts in all projects');
SELECT pg_temp.refused($$INSERT INTO promote.grants (role, action, project, environment)
    VALUES ('g_dev', 'view', 'ecomm', 'moon')$$, '23503', 'moon');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_dev', 'view', 'ecomm', 'moon')$$, 'PM702',
    'no environment "moon" in project "ecomm"');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_dev', 'view', NULL, 'moon')$$, 'PM702',
    'no environment "moon" in any project');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_dev', 'view', 'mars')$$, 'PM702', 'no project "mars"');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_nobody', 'view')$$, 'PM702', 'no role "g_nobody"');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_dev', 'dance')$$, 'PM702', '"dance" is not an action');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_dev', 'impersonate', 'ecomm')$$, 'PM702', 'all projects');

-- the door opens with the first grant and closes with the last
SELECT ok(NOT has_function_privilege('g_dev', 'promote.promote_instance'::regproc, 'EXECUTE'),
    'no function is open to a role without grants');
SELECT ok(promote.grant_action('g_dev', 'view', 'ecomm', 'staging'), 'a grant is new');
SELECT ok(NOT promote.grant_action('g_dev', 'view', 'ecomm', 'staging'), '... and then is not');
SELECT ok(has_function_privilege('g_dev', 'promote.promote_instance'::regproc, 'EXECUTE'),
    'the first grant opens functions');
SELECT ok(has_table_privilege('g_dev', 'promote.instance', 'SELECT'), '... and tables');
SELECT ok(NOT has_column_privilege('g_dev', 'promote.config', 'params', 'SELECT'), '... but not what is sensitive');
SELECT ok(NOT has_table_privilege('g_dev', 'promote.instance', 'INSERT'), '... and nothing to write');
SELECT ok(promote.revoke_action('g_dev', 'view', 'ecomm', 'staging'), 'a grant is taken back');
SELECT ok(NOT promote.revoke_action('g_dev', 'view', 'ecomm', 'staging'), '... once');
SELECT ok(NOT has_function_privilege('g_dev', 'promote.promote_instance'::regproc, 'EXECUTE')
          AND NOT has_table_privilege('g_dev', 'promote.instance', 'SELECT'), 'the last one that goes closes the door');

-- what is allowed where
INSERT INTO promote.grants (role, action, project, environment)
VALUES ('g_dev', 'deploy', 'ecomm', 'staging'), ('g_group', 'promote', 'ecomm', NULL),
    ('g_admin', 'admin', 'ecomm', NULL);
CREATE FUNCTION pg_temp.may(role text, VARIADIC asked text[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE answer boolean;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    answer := promote.may(asked[1], asked[2], asked[3]);
    RESET ROLE;
    RETURN answer;
END $$;
SELECT ok(pg_temp.may('g_dev', 'deploy', 'ecomm', 'staging'), 'granted');
SELECT ok(NOT pg_temp.may('g_dev', 'deploy', 'ecomm', 'production'), 'not in another environment');
SELECT ok(NOT pg_temp.may('g_dev', 'deploy', 'ecomm', NULL), 'not in all of the project');
SELECT ok(NOT pg_temp.may('g_dev', 'promote', 'ecomm', 'staging'), 'not another action');
SELECT ok(pg_temp.may('g_dev', 'view', 'ecomm', 'staging') AND NOT pg_temp.may('g_dev', 'view', 'ecomm', 'production'),
    'any action implies to view, where it is');
SELECT ok(pg_temp.may('g_member', 'promote', 'ecomm', 'production'),
    'a member of a group has its grants, of the whole project');
SELECT ok(NOT pg_temp.may('g_member', 'promote', NULL, NULL), '... not of all projects');
SELECT ok(NOT pg_temp.may('g_admin', 'deploy', 'ecomm', 'staging'), 'admin is not everything');
SELECT is(pg_temp.may('g_stranger', 'view', 'ecomm', 'staging'), false, 'a stranger may nothing');
REVOKE g_group FROM g_member;
SELECT ok(NOT pg_temp.may('g_member', 'promote', 'ecomm', 'production'),
    'a membership that is gone counts no more, in the same session');

-- granting
SET LOCAL ROLE g_admin;
SELECT lives_ok($$SELECT promote.grant_action('g_dev', 'promote', 'ecomm', 'production')$$,
    'an admin of the project grants');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_admin', 'approve', 'ecomm')$$, 'PM702', 'caller''s own');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_dev', 'promote')$$, 'PM701', 'all projects');
SELECT pg_temp.refused($$INSERT INTO promote.grants (role, action) VALUES ('g_admin', 'deploy')$$, '42501',
    'permission denied');
RESET ROLE;
GRANT g_dev TO g_admin;
SET LOCAL ROLE g_admin;
SELECT pg_temp.refused($$SELECT promote.grant_action('g_dev', 'approve', 'ecomm')$$, 'PM702', 'member of');
RESET ROLE;
SET LOCAL ROLE g_dev;
SELECT pg_temp.refused($$SELECT promote.grant_action('g_dev', 'admin', 'ecomm')$$, 'PM701', 'no grant "admin"');
SELECT pg_temp.refused($$SELECT promote.revoke_action('g_admin', 'admin', 'ecomm')$$, 'PM701', 'no grant "admin"');
SELECT pg_temp.refused($$SELECT promote.refresh_grants()$$, 'PM701', 'all projects');
RESET ROLE;
SELECT pg_temp.refused($$SELECT promote.refresh_grants('g_stranger')$$, 'PM702', 'has no grants');
SELECT pg_temp.refused($$UPDATE promote.grants SET action = 'admin'$$, 'PM702', 'not changed');

-- a role that was dropped
CREATE ROLE g_gone;
CREATE ROLE g_team;
GRANT g_team TO g_gone;
SELECT promote.grant_action('g_gone', 'approve', 'ecomm'), promote.grant_action('g_team', 'view', 'ecomm');
SELECT ok(pg_temp.may('g_gone', 'approve', 'ecomm', NULL), 'granted');
SELECT pg_temp.refused('DROP ROLE g_gone', '2BP01', 'privileges for');
DROP OWNED BY g_gone;
DROP ROLE g_gone;
CREATE ROLE g_gone IN ROLE g_team;
SELECT ok(pg_temp.may('g_gone', 'view', 'ecomm', NULL),
    'a role made again under an old name has what it is granted anew');
SELECT ok(NOT pg_temp.may('g_gone', 'approve', 'ecomm', NULL), '... and nothing that was granted to the other');
SELECT pg_temp.refused($$SELECT promote.grant_action('g_gone', 'view', 'ecomm')$$, 'PM702',
    'not given to this role of that name');
SELECT pg_temp.refused($$INSERT INTO promote.grants (role, action) VALUES ('g_gone', 'view')$$, 'PM702',
    'not given to this role of that name');
SELECT ok(NOT pg_temp.may('g_gone', 'approve', 'ecomm', NULL),
    '... so that no other grant lets those of the one that is gone count');
SELECT is(promote.refresh_grants(), 4, 'refreshing opens the door anew to all for whom it is open');
SELECT ok(NOT pg_temp.may('g_gone', 'approve', 'ecomm', NULL), '... and to no other');
SELECT is(promote.refresh_grants('g_gone'), 1, '... unless it is named');
SELECT is((SELECT data -> 'roles' FROM promote.audit_log WHERE project = '*' AND event = 'grants.refreshed'
    ORDER BY seq DESC LIMIT 1), '["g_gone"]', '... which is recorded');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... and is in order');
SELECT ok(pg_temp.may('g_gone', 'approve', 'ecomm', NULL), 'which says that it is the same');

-- a role that is not there yet, as where a dump comes before its roles
SELECT lives_ok($$INSERT INTO promote.grants (role, action, project) VALUES ('g_later', 'view', 'ecomm'),
    ('g_later', 'admin', NULL), ('g_never', 'view', NULL)$$, 'what was granted to a role that is not there is loaded');
SELECT lives_ok($$DELETE FROM promote.grants WHERE role = 'g_never'$$, '... and taken back');
SELECT pg_temp.refused($$SELECT promote.refresh_grants('g_never')$$, 'PM702', 'no role "g_never"');
SELECT pg_temp.refused($$SELECT promote.refresh_grants('g_later')$$, 'PM702', 'no role "g_later"');
SELECT is(promote.refresh_grants(), 5, 'refreshing passes over it');
CREATE ROLE g_later;
SELECT ok(NOT pg_temp.may('g_later', 'view', 'ecomm', NULL), 'made by now, it may nothing');
SELECT ok(NOT has_table_privilege('g_later', 'promote.instance', 'SELECT'), '... for no door was opened');
SELECT is(promote.refresh_grants('g_later'), 1, 'unless it is named');
SELECT ok(pg_temp.may('g_later', 'view', 'ecomm', NULL) AND has_table_privilege('g_later', 'promote.instance',
    'SELECT'), '... and then has what it was granted');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... and the record is whole');

-- beside parallel workers no snapshot may be taken
CREATE TABLE some_rows AS SELECT g FROM generate_series(1, 1000) AS g;
ANALYZE some_rows;
ALTER TABLE some_rows SET (parallel_workers = 2);
GRANT SELECT ON some_rows TO g_dev;
GRANT USAGE ON SCHEMA promote_internal TO g_dev;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL ROLE g_dev;
SELECT promote_internal.may_view('ecomm', CASE c WHEN 1000 THEN 'staging' END) AS beside
    FROM (SELECT count(*) AS c FROM some_rows) AS x \gset
RESET ROLE;
SELECT ok(:'beside', 'asked beside parallel workers');

-- what was rolled back counts no more
SAVEPOINT s;
SELECT promote.grant_action('g_stranger', 'deploy', 'ecomm');
SELECT ok(pg_temp.may('g_stranger', 'deploy', 'ecomm', NULL), 'a grant of the transaction counts in it');
ROLLBACK TO s;
SELECT ok(NOT pg_temp.may('g_stranger', 'deploy', 'ecomm', NULL), '... until it is rolled back');

SELECT * FROM finish();
ROLLBACK;
