-- The last part: what ALTER DEFAULT PRIVILEGES has given away of the tables, to PUBLIC or to anybody, is taken back. A
-- trigger on one of them would run with the owner's rights, and nobody but the owner writes.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT DISTINCT c.oid::pg_catalog.regclass AS name, a.grantee, r.rolname
          FROM pg_catalog.pg_class AS c
         CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
          LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
         WHERE c.relnamespace IN ('promote'::pg_catalog.regnamespace, 'promote_internal'::pg_catalog.regnamespace) AND c.relkind IN ('r', 'v')
           AND a.grantee <> c.relowner AND a.privilege_type <> 'SELECT'
    LOOP
        EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %s FROM ', given.name)
            || CASE WHEN given.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(given.rolname) END;
    END LOOP;
END
$$;
