-- Grants: who may do what, and the functions that read them.

-- Rules and grants hold in a project, in an environment or everywhere, and a key has no NULLs. The column is not
-- generated, because a subscription finds rows by their keys, and is told of no generated columns.
CREATE FUNCTION promote_internal.fill_scope() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_fill_scope';
REVOKE ALL ON FUNCTION promote_internal.fill_scope() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.fill_scope() IS
'Makes the column scope of a row what its project and environment say';

CREATE TABLE promote.grants (
    role          text COLLATE "C" NOT NULL,
    project       promote.project_name,
    environment   promote.environment_name,
    action        text COLLATE "C" NOT NULL,
    scope         text COLLATE "C" NOT NULL,
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT grants_pkey PRIMARY KEY (scope, role, action),
    CONSTRAINT grants_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT grants_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT grants_role_check
        CHECK (promote_internal.check_value(role <> '',
            'role of a grant', 'It is empty.',
            'Name a database role.')),
    CONSTRAINT grants_action_check
        CHECK (promote_internal.check_value(action IN ('view', 'configure', 'promote', 'plan', 'deploy', 'approve', 'override', 'decommission', 'secrets', 'work', 'register', 'publish', 'rules', 'import', 'admin', 'audit', 'impersonate'),
            'action of a grant', 'It is none of view, configure, promote, plan, deploy, approve, override, decommission, secrets, work, register, publish, rules, import, admin, audit and impersonate.',
            'Name one of them.')),
    -- a name that a session acts by counts in all projects
    CONSTRAINT grants_impersonate_check
        CHECK (promote_internal.check_value(action <> 'impersonate' OR (project IS NULL AND environment IS NULL),
            'scope of a grant', 'A name that a session acts by counts in all projects.',
            'Grant impersonate without a project and an environment.'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.grants', '');
COMMENT ON TABLE promote.grants IS 'Which role may do what, and where. The tables'' owner and superusers need no grants';
COMMENT ON COLUMN promote.grants.role IS 'Database role; whoever has its privileges has the grant';
COMMENT ON COLUMN promote.grants.project IS 'Where: a project; NULL: all';
COMMENT ON COLUMN promote.grants.environment IS 'Where: an environment; NULL: all, and what belongs to none';
COMMENT ON COLUMN promote.grants.action IS 'view, configure, promote, plan, deploy, approve, override, decommission, secrets, work, register, publish, rules, import, admin, audit, impersonate; each but the last two implies view, and admin audit';
COMMENT ON COLUMN promote.grants.scope IS 'Where, in one: ecomm-production, ecomm-*, *-*';
COMMENT ON COLUMN promote.grants.actor IS 'Who gave it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.grants.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.grants.created_at IS 'When';
CREATE TRIGGER fill_scope BEFORE INSERT OR UPDATE ON promote.grants
    FOR EACH ROW EXECUTE FUNCTION promote_internal.fill_scope();
ALTER TABLE promote.grants ENABLE ALWAYS TRIGGER fill_scope;

CREATE FUNCTION promote_internal.guard_grant() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_grant';
REVOKE ALL ON FUNCTION promote_internal.guard_grant() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_grant() IS
'Refuses to change a grant, PM702, and warns of roles that are not there';
CREATE TRIGGER guard_grant BEFORE INSERT OR UPDATE ON promote.grants
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_grant();

CREATE FUNCTION promote_internal.withheld_tables() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT '{config,parameter_set,project_key,secret}'::text[];
    END;
GRANT EXECUTE ON FUNCTION promote_internal.withheld_tables() TO PUBLIC;
COMMENT ON FUNCTION promote_internal.withheld_tables() IS
'Tables that hold what is sensitive as it is. Nobody but the owner reads them, also where SELECT was granted by hand: they have no policy';

-- Not among it: promote_internal, what is for the owner alone, and what is withheld.
CREATE FUNCTION promote_internal.door_commands(role text, opens boolean) RETURNS TABLE (command text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH word (verb, toward) AS (
            SELECT CASE WHEN $2 THEN 'GRANT' ELSE 'REVOKE' END, CASE WHEN $2 THEN 'TO' ELSE 'FROM' END
        ), member AS (
            SELECT d.classid, d.objid
              FROM pg_catalog.pg_depend AS d
              JOIN pg_catalog.pg_extension AS e
                ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
             WHERE d.deptype = 'e' AND e.extname = 'promote'
        )
        SELECT pg_catalog.format('%s EXECUTE ON ROUTINE %s %s %I', w.verb,
                   pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::text, ', '), w.toward, $1)
          FROM word AS w
         CROSS JOIN member AS m
          JOIN pg_catalog.pg_proc AS p ON p.oid = m.objid
         WHERE m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
           AND p.pronamespace = 'promote'::pg_catalog.regnamespace AND p.proacl IS NOT NULL
           AND p.proname NOT IN ('restore_guards', 'config_digest', 'secret_fingerprint')
           AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) AS a WHERE a.grantee = 0)
         GROUP BY w.verb, w.toward
         UNION ALL
        SELECT pg_catalog.format('%s SELECT ON TABLE %s %s %I', w.verb, c.oid::pg_catalog.regclass, w.toward, $1)
          FROM word AS w
         CROSS JOIN member AS m
          JOIN pg_catalog.pg_class AS c ON c.oid = m.objid
         WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.relkind IN ('r', 'v')
           AND c.relnamespace = 'promote'::pg_catalog.regnamespace
           AND c.relname <> ALL (promote_internal.withheld_tables());
    END;
REVOKE ALL ON FUNCTION promote_internal.door_commands(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.door_commands(text, boolean) IS
'What opens, or closes, functions and tables to a role that has grants: EXECUTE of what is not for PUBLIC, SELECT of what is read by rows';

CREATE FUNCTION promote_internal.open_door() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_open_door';
REVOKE ALL ON FUNCTION promote_internal.open_door() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.open_door() IS
'Gives a role the privileges that its grants need, with the first one, and takes them with the last';
CREATE TRIGGER open_door AFTER INSERT OR DELETE ON promote.grants
    FOR EACH ROW EXECUTE FUNCTION promote_internal.open_door();
ALTER TABLE promote.grants ENABLE ALWAYS TRIGGER open_door;

CREATE FUNCTION promote.grant_action(
    role text, action text, project text DEFAULT NULL, environment text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_grant_action';
REVOKE ALL ON FUNCTION promote.grant_action(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.grant_action(text, text, text, text) IS
'Grants a role an action in an environment, in all of a project, or everywhere, and opens the functions and tables to it; false: it had it already. Takes the grant admin there, and nobody grants themselves';

CREATE FUNCTION promote.revoke_action(
    role text, action text, project text DEFAULT NULL, environment text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_revoke_action';
REVOKE ALL ON FUNCTION promote.revoke_action(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.revoke_action(text, text, text, text) IS
'Takes back a grant of that very scope; false: there was none. Takes the grant admin there';

CREATE FUNCTION promote.refresh_grants(role text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_refresh_grants';
REVOKE ALL ON FUNCTION promote.refresh_grants(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.refresh_grants(text) IS
'Opens functions and tables to a role that was created after its grants were, or anew to all that have them open, where an update brought new ones; returns to how many. Takes the grant admin everywhere';

-- Row-level security calls these functions as the reader, and a role without grants learns only that it has none.

CREATE FUNCTION promote.may(action text, project text DEFAULT NULL, environment text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_may';
GRANT EXECUTE ON FUNCTION promote.may(text, text, text) TO PUBLIC;
COMMENT ON FUNCTION promote.may(text, text, text) IS
'Whether the current role may do that in an environment; with a NULL environment in all of a project, with a NULL project everywhere';

CREATE FUNCTION promote_internal.may_view(project text, environment text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 10
    AS 'MODULE_PATHNAME', 'promote_may_view';
GRANT EXECUTE ON FUNCTION promote_internal.may_view(text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.may_view(text, text) IS
'Whether the current role may see a row of that project and environment. A row without an environment is seen by roles that see anything of the project, a row without a project by roles that see anything';

CREATE FUNCTION promote_internal.visible_projects() RETURNS text[]
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_visible_projects';
GRANT EXECUTE ON FUNCTION promote_internal.visible_projects() TO PUBLIC;
COMMENT ON FUNCTION promote_internal.visible_projects() IS
'The projects of which the current role sees anything';
