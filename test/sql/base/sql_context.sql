-- The context of an error shows what its reader has written, and no statement of promote's.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
CREATE ROLE test_context;
INSERT INTO promote.grants (role, action, project) SELECT 'test_context', a, 'ecomm'
    FROM unnest('{configure,promote,deploy,plan}'::text[]) AS a;

-- The context of the error that a statement ends with, as a role.
CREATE FUNCTION pg_temp.context_of(statement text, role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    context text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE statement;
    RESET ROLE;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
    RETURN SQLSTATE || E'\n' || context;
END
$$;
SELECT set_config('promote.actor', 'somebody', true) \g /dev/null
CREATE TEMP TABLE found AS
SELECT s, role, pg_temp.context_of(s, role) AS context FROM (VALUES
    ($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 3}')$$, 'test_context'),
    ($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$$, 'test_context'),
    ($$SELECT promote.set_secret('ecomm-staging-db', 'x', 'y')$$, current_user::text),
    ($$SELECT promote.open_request('ecomm', 'staging', 'production', execution_window => 'empty')$$,
        current_user::text),
    ($$SELECT promote.grant_action('nobody_there', 'no action')$$, current_user::text),
    ($$SELECT promote.report_health('ecomm-staging-db', ' x ', true)$$, current_user::text)) AS v (s, role);
SELECT is(count(*) FILTER (WHERE context ~ '^PM703'), 2::bigint, 'somebody else is not recorded') FROM found;
SELECT unalike(context, 'no error', s) FROM found;
-- the EXECUTE of context_of is its own
SELECT is((SELECT count(*) FROM regexp_matches(context, 'SQL statement', 'g')), 1::bigint,
    s || ': one statement is shown') FROM found;
SELECT unalike(context, '%INSERT%', s || ': and that is not ours') FROM found;

-- a function of somebody else stays in the context
CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 / 0; RETURN NEW; END $$;
CREATE TRIGGER mine BEFORE INSERT ON promote.revision FOR EACH ROW EXECUTE FUNCTION public.mine();
SELECT matches(pg_temp.context_of($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 3}')$$,
    current_user),
    '^22012\n.*SELECT 1 / 0.*\nPL/pgSQL function (public\.)?mine\(\).*\n'
    'SQL statement "SELECT promote.configure_instance', 'what others have written is shown');

SELECT * FROM finish();
ROLLBACK;
