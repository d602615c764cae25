-- Who is acting.

CREATE FUNCTION promote.current_actor() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_current_actor';
GRANT EXECUTE ON FUNCTION promote.current_actor() TO PUBLIC;
COMMENT ON FUNCTION promote.current_actor() IS
'Who is acting: whom the setting promote.actor names, PM703 if the session''s role, or the role that made the setting, has no grant "impersonate"; where it is empty, the database role, or the login if that has taken a role without the grant. PM704 in code that the session has not called, such as an index''s';

CREATE FUNCTION promote.current_database_role() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_current_database_role';
GRANT EXECUTE ON FUNCTION promote.current_database_role() TO PUBLIC;
COMMENT ON FUNCTION promote.current_database_role() IS
'The role that the session acts as, by its login or by SET ROLE, even inside a SECURITY DEFINER function. PM704 in code that the session has not called';
