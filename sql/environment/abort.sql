-- Aborting environments: what waits in the queues of one is ended by one call, as a pipeline does that is cancelled.

CREATE FUNCTION promote_internal.abortable(
    project text, environment text, components text[], selector jsonb)
    RETURNS TABLE (component text, code text, problem text, revision integer, deployment integer)
    LANGUAGE sql STABLE ROWS 20
    BEGIN ATOMIC
        SELECT i.component,
               CASE d.status WHEN 'RUNNING' THEN 'running' WHEN 'PROPOSED' THEN 'proposed'
                             WHEN 'PENDING' THEN NULL WHEN 'APPROVED' THEN NULL ELSE 'nothing_waits' END,
               CASE d.status WHEN 'RUNNING' THEN pg_catalog.format(
                                 'deployment %s is RUNNING: its worker ends it, or promote.abort_deployment', d.deployment)
                             WHEN 'PROPOSED' THEN pg_catalog.format(
                                 'deployment %s is PROPOSED: promote.reject_deployment ends it', d.deployment)
                             WHEN 'PENDING' THEN NULL WHEN 'APPROVED' THEN NULL ELSE 'nothing of it waits' END,
               d.revision, d.deployment
          FROM promote.instance AS i
          JOIN promote_internal.instance_attributes AS a
            ON a.project = i.project AND a.environment = i.environment AND a.component = i.component
          LEFT JOIN LATERAL (
              SELECT d.deployment, d.revision, d.status
                FROM promote.deployment AS d
               WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                 AND d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING') OFFSET 0) AS d ON true
         WHERE i.project = $1 AND i.environment = $2
           AND ($3 IS NULL OR i.component = ANY ($3))
           AND ($4 IS NULL OR a.attributes @> $4);
    END;
REVOKE ALL ON FUNCTION promote_internal.abortable(text, text, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.abortable(text, text, text[], jsonb) IS
'The deployments of an environment''s instances that are not over, and why each is left alone when what waits is aborted (NULL: it waits); a row without one for each instance that has none';

CREATE FUNCTION promote.preview_abort_environment(
    environment text, reason text DEFAULT NULL, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_preview_abort_environment';
REVOKE ALL ON FUNCTION promote.preview_abort_environment(text, text, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_abort_environment(text, text, text[], jsonb) IS
'What abort_environment with these arguments would return. Writes nothing and locks nothing';

CREATE FUNCTION promote.abort_environment(
    environment text, reason text DEFAULT NULL, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_abort_environment';
REVOKE ALL ON FUNCTION promote.abort_environment(text, text, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.abort_environment(text, text, text[], jsonb) IS
'Ends every deployment that waits in the queues of an environment, or of some of its components, for a reason, as abort_deployment does one: all or none, and waiting for promote.rescue_timeout at most. Returns a row for each deployment that is not over, and one for each instance without any; what runs or is a proposal is left alone, and says so in code and problem';
