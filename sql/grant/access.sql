-- Who sees which rows.  Row-level security is on for every table, for reading alone: nobody but the owner writes, and
-- for the owner there is none.  Projects are compared with an array that is made once for each statement, so that an
-- index that begins with the project finds the rows; promote_internal.may_view then says which environments of them.

CREATE FUNCTION promote_internal.may_view_audit(project text, subject text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 20
    AS 'MODULE_PATHNAME', 'promote_may_view_audit';
GRANT EXECUTE ON FUNCTION promote_internal.may_view_audit(text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.may_view_audit(text, text) IS
'May the current role see what was recorded of a subject? As promote_internal.may_view of the environment that the subject is in; where it is in none, or belongs to a rule, of the whole project';

-- Tables whose environment is not in a column of that name have a policy of their own here.
CREATE POLICY seen ON promote.audit_log FOR SELECT
    USING (project = ANY ((SELECT promote_internal.visible_projects() || '*'::pg_catalog.text)::pg_catalog.text[])
           AND promote_internal.may_view_audit(project, subject));
COMMENT ON POLICY seen ON promote.audit_log IS 'Seen by roles that see what it happened to';

CREATE POLICY seen ON promote.promotion_request FOR SELECT
    USING (project = ANY ((SELECT promote_internal.visible_projects())::pg_catalog.text[])
           AND promote_internal.may_view(project, destination_environment));
COMMENT ON POLICY seen ON promote.promotion_request IS 'Seen by roles that see the environment that the request leads to';

CREATE POLICY seen ON promote.promotion_request_item FOR SELECT
    USING (project = ANY ((SELECT promote_internal.visible_projects())::pg_catalog.text[])
           AND promote_internal.may_view(project, destination_environment));
COMMENT ON POLICY seen ON promote.promotion_request_item IS 'Seen by roles that see the environment that the request leads to';

CREATE POLICY seen ON promote.promotion_request_preview FOR SELECT
    USING (project = ANY ((SELECT promote_internal.visible_projects())::pg_catalog.text[])
           AND EXISTS (SELECT FROM promote.promotion_request AS r
                        WHERE r.project = promotion_request_preview.project
                          AND r.request = promotion_request_preview.request));
COMMENT ON POLICY seen ON promote.promotion_request_preview IS 'Seen by roles that see the request';

-- All other tables have a policy by the columns that they have, so that a table that is added is covered; but for what
-- is withheld, which has none.
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT c.oid::pg_catalog.regclass AS name,
               EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid) AS has_policy,
               c.relname = ANY (promote_internal.withheld_tables()) AS is_withheld,
               project.attnotnull AS of_project,
               environment.attname AS environment
          FROM pg_catalog.pg_class AS c
          LEFT JOIN pg_catalog.pg_attribute AS project
            ON project.attrelid = c.oid AND project.attname = 'project' AND NOT project.attisdropped
          LEFT JOIN pg_catalog.pg_attribute AS environment
            ON environment.attrelid = c.oid AND environment.attname = 'environment' AND NOT environment.attisdropped
         WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace AND c.relkind = 'r'
         ORDER BY c.relname
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name);
        CONTINUE WHEN t.has_policy OR t.is_withheld;
        EXECUTE pg_catalog.format('CREATE POLICY seen ON %s FOR SELECT USING (%s)', t.name,
            CASE WHEN t.of_project IS NULL THEN '(SELECT promote_internal.may_view(NULL, NULL))'
                 ELSE pg_catalog.format('(%sproject = ANY ((SELECT promote_internal.visible_projects())::pg_catalog.text[]))'
                                        ' AND promote_internal.may_view(project, %s)',
                                        CASE WHEN t.of_project THEN '' ELSE 'project IS NULL OR ' END,
                                        COALESCE(t.environment, 'NULL')) END);
        EXECUTE pg_catalog.format('COMMENT ON POLICY seen ON %s IS %L', t.name,
            CASE WHEN t.of_project IS NULL THEN 'By whoever sees anything'
                 WHEN t.environment IS NULL THEN 'By whoever sees anything of its project'
                 ELSE 'By whoever sees its environment' END
            || CASE WHEN NOT t.of_project THEN '; what is about all, by whoever sees anything' ELSE '' END);
    END LOOP;
END
$$;
