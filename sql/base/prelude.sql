\echo Use "CREATE EXTENSION promote" to load this file. \quit

-- Names below mean what they say whatever the installing session's path is: unqualified ones are pg_catalog's.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Somebody who can make functions and tables in the schema can make better matches for calls of those below, which
-- would then be called with the owner's rights. CREATE EXTENSION takes a schema that is there already; promote
-- refuses one that is anybody else's.
DO $$
DECLARE
    problem text;
BEGIN
    SELECT CASE
               WHEN o.oid <> u.oid AND NOT o.rolsuper
                   THEN pg_catalog.format('It belongs to role "%s".', o.rolname)
               WHEN EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) AS a
                             WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner)
                   THEN 'Others than its owner may create in it.'
               WHEN EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                             WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                               AND d.refobjid = n.oid
                               AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass)
                   THEN 'There is something in it.'
           END
      INTO problem
      FROM pg_catalog.pg_namespace AS n
      JOIN pg_catalog.pg_roles AS o ON o.oid = n.nspowner
      JOIN pg_catalog.pg_roles AS u ON u.rolname = CURRENT_USER
     WHERE n.nspname = 'promote';
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'schema "promote" is there already' USING
            ERRCODE = 'object_not_in_prerequisite_state', DETAIL = problem,
            HINT = 'Drop it, or have it empty, a superuser''s, and closed to what others would create.';
    END IF;
END
$$;

COMMENT ON SCHEMA promote IS 'promotion of validated configuration between environments';

-- Pure functions (merging, comparing, validating) are for everyone, and USAGE lets everyone name them. It opens
-- nothing else: tables grant nothing to PUBLIC, and every function that writes revokes EXECUTE from it.
GRANT USAGE ON SCHEMA promote TO PUBLIC;

-- What triggers, CHECKs, views and verbs are made of. PostgreSQL asks for USAGE where a name is looked up, and so of whoever
-- writes it: never where a view, a default, a CHECK or a body that was parsed already is run. So nobody needs it, and what
-- default privileges give of it is taken back. A schema of that name which is there already is somebody else's: an error.
CREATE SCHEMA promote_internal;
COMMENT ON SCHEMA promote_internal IS 'machinery of promote, which is called by its tables, views and verbs alone';
DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT COALESCE(pg_catalog.quote_ident(r.rolname), 'PUBLIC')
          FROM pg_catalog.pg_namespace AS n
         CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS a
          LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
         WHERE n.nspname = 'promote_internal' AND a.grantee <> n.nspowner
    LOOP
        EXECUTE 'REVOKE ALL ON SCHEMA promote_internal FROM ' || grantee;
    END LOOP;
END
$$;

