-- How two deployments, or two instances, differ.

CREATE VIEW promote_internal.planned_value AS
    SELECT c.project,
           c.environment,
           c.component,
           c.deployment,
           c.address,
           COALESCE(c.deposed, '') AS deposed,
           pg_catalog.jsonb_build_object('action', c.action, 'diff', c.diff) AS value
      FROM promote.planned_change AS c
      JOIN promote.deployment AS d USING (project, environment, component, deployment, fencing)
     WHERE c.origin = 'change' AND c.action <> 'no-op';
COMMENT ON VIEW promote_internal.planned_value IS 'What recorded plans would do with each resource, as the claim that holds has recorded it: its action and diff';

CREATE FUNCTION promote_internal.planned_differences(
    of_project text, of_component text, a_environment text, a_plan integer, b_environment text, b_plan integer)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb, sensitive boolean)
    LANGUAGE sql STABLE ROWS 20
    BEGIN ATOMIC
        SELECT 'resource', COALESCE(a.address, b.address),
               CASE WHEN a.address IS NULL THEN 'add' WHEN b.address IS NULL THEN 'remove' ELSE 'change' END,
               a.value, b.value, false
          FROM (SELECT p.address, p.deposed, p.value FROM promote_internal.planned_value AS p
                 WHERE p.project = $1 AND p.component = $2 AND p.environment = $3 AND p.deployment = $4) AS a
          FULL JOIN (SELECT p.address, p.deposed, p.value FROM promote_internal.planned_value AS p
                      WHERE p.project = $1 AND p.component = $2 AND p.environment = $5 AND p.deployment = $6) AS b
            ON b.address = a.address AND b.deposed = a.deposed
         WHERE a.value IS DISTINCT FROM b.value
         ORDER BY 2;
    END;
REVOKE ALL ON FUNCTION promote_internal.planned_differences(text, text, text, integer, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.planned_differences(text, text, text, integer, text, integer) IS
'The resources of which two recorded plans of a component say different things, in the columns of promote.compare_deployments';

CREATE FUNCTION promote.compare_deployments(a text, b text)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_compare_deployments';
REVOKE ALL ON FUNCTION promote.compare_deployments(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_deployments(text, text) IS
'How two deployments of a component differ: action, status, revision, release, the leaves of the rendered params, remote references, and the resources of recorded plans; what is sensitive is masked. A deployment is named as in ecomm-staging-db/7; without a number it is the last one';

CREATE FUNCTION promote.compare_instances(a text, b text)
    RETURNS TABLE (kind text, path text, change text, a_value jsonb, b_value jsonb,
                   sensitive boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_compare_instances';
REVOKE ALL ON FUNCTION promote.compare_instances(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.compare_instances(text, text) IS
'How two instances of a component differ in what they desire now: status, revision, constraint, release, the leaves of the params as they would be rendered now, remote references, and the resources of recorded plans; what is sensitive is masked';
