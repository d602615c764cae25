-- What waits in the queue for other components: PROVISIONs for what they depend on, DECOMMISSIONs for what depends on it.

CREATE FUNCTION promote_internal.components_around(project text, component text, action text)
    RETURNS TABLE (component text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 5
    BEGIN ATOMIC
        -- whole keys are looked up, whatever the planner believes of the table
        WITH RECURSIVE needed (component) AS (
            SELECT d.depends_on::text FROM promote.component_dependency AS d
             WHERE $3 = 'PROVISION' AND d.project = $1 AND d.component = $2
             UNION
            SELECT d.depends_on::text
              FROM needed AS n
             CROSS JOIN LATERAL (
                  SELECT d.depends_on FROM promote.component_dependency AS d
                   WHERE d.project = $1 AND d.component = n.component OFFSET 0) AS d
        ), needing (component) AS (
            SELECT d.component::text FROM promote.component_dependency AS d
             WHERE $3 = 'DECOMMISSION' AND d.project = $1 AND d.depends_on = $2
             UNION
            SELECT d.component::text
              FROM needing AS n
             CROSS JOIN LATERAL (
                  SELECT d.component FROM promote.component_dependency AS d
                   WHERE d.project = $1 AND d.depends_on = n.component OFFSET 0) AS d
        )
        SELECT n.component FROM needed AS n
         UNION ALL
        SELECT n.component FROM needing AS n;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.components_around(text, text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.components_around(text, text, text) IS
'What comes before a component: for a PROVISION all that it depends on, directly or not, and for a DECOMMISSION all that depends on it';

-- A DECOMMISSION that stands in its own queue behind a PROVISION is not waited for: that could itself wait for what asks,
-- or for what stands behind it. A PROVISION is, whatever stands before it: a DECOMMISSION waits for nothing but others
-- that nothing but plans stand before, against the dependencies, and so comes to an end.
CREATE FUNCTION promote_internal.first_in_line(project text, environment text, component text, action text)
    RETURNS TABLE (deployment integer, status text, since timestamptz)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT d.deployment, d.status, COALESCE(CASE d.status WHEN 'RUNNING' THEN d.started_at END, d.queued_at)
          FROM promote.deployment AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
           AND d.status IN ('PENDING', 'APPROVED', 'RUNNING')
           AND (d.action = $4 OR d.action = 'PLAN' AND d.deploy_as IS NOT NULL AND $4 = 'PROVISION')
           AND ($4 = 'PROVISION'
                OR NOT EXISTS (SELECT FROM promote.deployment AS b
                                WHERE b.project = $1 AND b.environment = $2 AND b.component = $3
                                  AND b.status IN ('PENDING', 'APPROVED', 'RUNNING') AND b.action = 'PROVISION'
                                  AND (b.queued_at, b.deployment) < (d.queued_at, d.deployment)))
         ORDER BY d.queued_at, d.deployment
         LIMIT 1;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.first_in_line(text, text, text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.first_in_line(text, text, text, text) IS
'What is done first of an instance''s open deployments that are of an action: a PROVISION, or a PLAN that is deployed once it has completed; or a DECOMMISSION that no open PROVISION stands before. No row: there is none';

-- Who comes to something open on the way need not go on: whatever is behind that waits for it, too, and is freed when it
-- ends. So what is put in a queue together is come to once, however long the way is.
CREATE FUNCTION promote_internal.components_freed(project text, environment text, component text, action text)
    RETURNS TABLE (component text, action text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 5
    BEGIN ATOMIC
        WITH RECURSIVE freed (component, action) AS (
            SELECT $3 COLLATE "C", w.action
              FROM (VALUES ('PROVISION'), ('DECOMMISSION')) AS w (action)
             WHERE w.action = CASE $4 WHEN 'PLAN' THEN 'PROVISION' ELSE $4 END
                OR EXISTS (SELECT FROM promote.instance AS i
                            WHERE i.project = $1 AND i.environment = $2 AND i.component = $3 AND i.status = 'FAILED')
             UNION
            SELECT n.component, f.action
              FROM freed AS f
             CROSS JOIN LATERAL (
                  SELECT d.component::text FROM promote.component_dependency AS d
                   WHERE f.action = 'PROVISION' AND d.project = $1 AND d.depends_on = f.component
                   UNION ALL
                  SELECT d.depends_on::text FROM promote.component_dependency AS d
                   WHERE f.action = 'DECOMMISSION' AND d.project = $1 AND d.component = f.component OFFSET 0) AS n
             WHERE NOT EXISTS (SELECT FROM promote_internal.first_in_line($1, $2, f.component, f.action))
        )
        SELECT f.component, f.action FROM freed AS f WHERE f.component <> $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.components_freed(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.components_freed(text, text, text, text) IS
'The components, and the action by which, of which something may wait for nothing any more, once a deployment of a component has ended that was of that action: those that depend on it may be provisioned, those that it depends on decommissioned. To be asked before the instance has another status: one that has failed holds back both';

CREATE FUNCTION promote_internal.awaited(project text, environment text, component text, deployment integer)
    RETURNS TABLE (component text, deployment integer, status text, since timestamptz)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT n.component, w.deployment, w.status, w.since
          FROM promote.deployment AS d
         CROSS JOIN LATERAL promote_internal.components_around($1, $3, d.action) AS n
         CROSS JOIN LATERAL (
              SELECT f.deployment, f.status, f.since
                FROM promote_internal.first_in_line($1, $2, n.component, d.action) AS f
               UNION ALL
              SELECT i.changed_by, 'FAILED', (SELECT c.finished_at
                                                FROM promote.deployment AS c
                                               WHERE c.project = $1 AND c.environment = $2 AND c.component = n.component
                                                 AND c.deployment = i.changed_by)
                FROM promote.instance AS i
               WHERE i.project = $1 AND i.environment = $2 AND i.component = n.component AND i.status = 'FAILED'
                 AND (d.action = 'PROVISION'
                      OR EXISTS (SELECT FROM promote.deployment AS c
                                  WHERE c.project = $1 AND c.environment = $2 AND c.component = n.component
                                    AND c.deployment = i.changed_by AND c.action = 'DECOMMISSION'))
                 AND NOT EXISTS (SELECT FROM promote_internal.first_in_line($1, $2, n.component, d.action))) AS w
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4
           AND d.action <> 'PLAN' AND d.status IN ('PENDING', 'APPROVED');
    END;
GRANT EXECUTE ON FUNCTION promote_internal.awaited(text, text, text, integer) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.awaited(text, text, text, integer) IS
'What a PROVISION or DECOMMISSION that waits in the queue waits for in the same environment: of each component that comes before it, the deployment that is to be done first, or, where there is none, the one that has failed. No row: it waits for no other component';

CREATE FUNCTION promote_internal.waits_for(project text, environment text, component text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.string_agg(
                   'deployment ' || w.deployment || ' of "' || pg_catalog.concat_ws('-', $1, $2, w.component) || '", which '
                   || CASE w.status WHEN 'FAILED' THEN 'has failed' ELSE 'is ' || w.status END, '; ' ORDER BY w.component)
          FROM promote.deployment AS d
         CROSS JOIN LATERAL promote_internal.awaited($1, $2, $3, d.deployment) AS w
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.due_at IS NOT NULL;
    END;
GRANT EXECUTE ON FUNCTION promote_internal.waits_for(text, text, text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.waits_for(text, text, text) IS
'In words, what of other components the next deployment of an instance waits for; NULL: nothing';
