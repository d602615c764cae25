-- Decommissioning environments: what runs in one is taken away by one call.

CREATE FUNCTION promote_internal.decommissionable(
    project text, environment text, components text[], selector jsonb)
    RETURNS TABLE (component text, code text, problem text, rank integer)
    LANGUAGE sql STABLE ROWS 20
    BEGIN ATOMIC
        SELECT i.component,
               CASE WHEN i.status = 'DECOMMISSIONED' THEN 'decommissioned' WHEN i.changed_by = 0 THEN 'not_deployed' END,
               CASE WHEN i.status = 'DECOMMISSIONED' THEN 'it was decommissioned'
                    WHEN i.changed_by = 0 THEN 'nothing of it is deployed' || COALESCE((
                        SELECT ' yet, and deployment ' || d.deployment || ' (' || d.status || ') is to bring it up: abort that'
                          FROM promote.deployment AS d
                         WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                           AND d.action = 'PROVISION' AND d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING')
                         ORDER BY d.deployment LIMIT 1), '') END,
               o.rank
          FROM promote.instance AS i
          JOIN promote_internal.instance_attributes AS a
            ON a.project = i.project AND a.environment = i.environment AND a.component = i.component
          LEFT JOIN promote_internal.component_rank($1) AS o ON o.component = i.component
         WHERE i.project = $1 AND i.environment = $2
           AND ($3 IS NULL OR i.component = ANY ($3))
           AND ($4 IS NULL OR a.attributes @> $4);
    END;
REVOKE ALL ON FUNCTION promote_internal.decommissionable(text, text, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.decommissionable(text, text, text[], jsonb) IS
'The instances of an environment, why there is nothing to decommission of one (NULL: there is), and its promote_internal.component_rank: what depends on others is decommissioned before these';

CREATE FUNCTION promote.preview_decommission_environment(
    environment text, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, message text DEFAULT NULL,
    partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_preview_decommission_environment';
REVOKE ALL ON FUNCTION promote.preview_decommission_environment(text, text[], jsonb, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_decommission_environment(text, text[], jsonb, text, boolean) IS
'What decommission_environment with these arguments would return: a row for each component, with code and problem for each that it would refuse or leave out. Writes nothing and locks nothing';

CREATE FUNCTION promote.decommission_environment(
    environment text, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, message text DEFAULT NULL,
    partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_decommission_environment';
REVOKE ALL ON FUNCTION promote.decommission_environment(text, text[], jsonb, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.decommission_environment(text, text[], jsonb, text, boolean) IS
'Queues a DECOMMISSION for each instance of an environment, or of some of its components, of which anything is deployed, as decommission_instance does for one. Returns a row for each, what depends on others before these; what is not deployed is left out and says so. All or nothing; with partial, what is refused is left out, too, and so is what it depends on';
