-- Whether the record is whole: behind all that is recorded.

-- With the rights of who calls it, which are enough only for the owner: promote.verify_audit does.
CREATE FUNCTION promote.audit_problems(subject text)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = on
    BEGIN ATOMIC
        WITH recorded AS (
            SELECT r.project::text, r.project || '-' || r.environment || '-' || r.component AS subject,
                   'revision.created' AS event, promote.audit_facts(r) AS facts,
                   'revision ' || r.revision AS what
              FROM promote.revision r
            UNION ALL
            SELECT d.project, d.project || '-' || d.environment || '-' || d.component,
                   CASE WHEN d.status = 'PROPOSED' OR d.status = 'REJECTED' OR d.approved_by IS NOT NULL
                        THEN 'deployment.proposed' ELSE 'deployment.created' END,
                   promote.deployment_facts(d), 'deployment ' || d.deployment
              FROM promote.deployment d
            UNION ALL
            SELECT v.project, v.project || '-' || v.environment || '-' || v.component,
                   CASE v.decision WHEN 'approved' THEN 'approval.given' ELSE 'approval.refused' END,
                   promote.audit_facts(v), 'vote ' || v.vote
              FROM promote.approval v
            UNION ALL
            SELECT o.project, o.project || '-' || o.environment || '-' || o.component, 'gate.overridden',
                   promote.audit_facts(o), 'override ' || o.override || ' of ' || o.code || ' of deployment ' || o.deployment
              FROM promote.gate_override o
            UNION ALL
            SELECT w.project, w.project || '-' || w.environment || '-' || w.component, 'override.reviewed',
                   promote.audit_facts(w), 'the review of override ' || w.override || ' of ' || w.code || ' of deployment ' || w.deployment
              FROM promote.override_review w
        ),
        -- how far the log has each deployment come
        step AS (
            SELECT DISTINCT ON (a.project, a.subject, (a.data ->> 'deployment')::integer)
                   a.project, a.subject, a.seq, (a.data ->> 'deployment')::integer AS deployment, a.data
              FROM promote.audit_log a
             WHERE ($1 IS NULL OR a.subject = $1)
               AND a.event IN ('deployment.approved', 'deployment.rejected', 'deployment.started',
                               'deployment.released', 'deployment.lost', 'deployment.completed',
                               'deployment.failed', 'deployment.aborted', 'plan.recorded')
             ORDER BY a.project, a.subject, (a.data ->> 'deployment')::integer, a.seq DESC
        ),
        -- what was carried out, to its end or not, in the order of the log: clocks may have been set back
        ran AS (
            SELECT d.project, s.subject, s.seq, d.deployment, d.revision, d.action, d.status
              FROM (SELECT a.project, a.subject, a.seq, (a.data ->> 'deployment')::integer AS deployment,
                           a.data ->> 'status' AS status,
                           pg_catalog.lag(a.data ->> 'status') OVER (
                               PARTITION BY a.project, a.subject, (a.data ->> 'deployment')::integer
                               ORDER BY a.seq) AS status_before
                      FROM promote.audit_log a
                     WHERE ($1 IS NULL OR a.subject = $1)
                       AND a.event IN ('deployment.approved', 'deployment.started', 'deployment.released',
                                       'deployment.lost', 'deployment.completed', 'deployment.failed',
                                       'deployment.aborted')) s
              JOIN promote.deployment d
                ON d.project = s.project AND d.project || '-' || d.environment || '-' || d.component = s.subject
                   AND d.deployment = s.deployment
             WHERE s.status_before = 'RUNNING' AND s.status IN ('COMPLETED', 'FAILED', 'ABORTED')
               AND d.action <> 'PLAN'
        ),
        change AS (
            SELECT DISTINCT ON (r.project, r.subject) r.* FROM ran r ORDER BY r.project, r.subject, r.seq DESC
        ),
        done AS (
            SELECT DISTINCT ON (r.project, r.subject) r.* FROM ran r WHERE r.status = 'COMPLETED'
             ORDER BY r.project, r.subject, r.seq DESC
        ),
        chained AS (
            SELECT a.*,
                   pg_catalog.lag(a.seq, 1, 0::bigint) OVER chain AS before,
                   pg_catalog.lag(a.hash) OVER chain AS hash_before
              FROM promote.audit_log a
             WHERE $1 IS NULL OR a.subject = $1
            WINDOW chain AS (PARTITION BY a.project, a.subject ORDER BY a.seq)
        )
        SELECT c.project::text, c.subject, c.seq, p.problem
          FROM chained c
         CROSS JOIN LATERAL (
            SELECT 'the row was changed: its hash is not that of its columns' AS problem
             WHERE c.hash <> promote.audit_hash(c.project, c.subject, c.seq, c.at, c.actor,
                                                c.database_role, c.event, c.data,
                                                c.previous_hash)
            UNION ALL
            SELECT 'its author is not the one in its data'
             WHERE c.actor <> c.data ->> 'actor' OR c.database_role <> c.data ->> 'database_role'
            UNION ALL
            SELECT 'rows were removed before it: ' || c.before + 1 || ' to ' || c.seq - 1
             WHERE c.seq <> c.before + 1
            UNION ALL
            SELECT 'it does not follow the row before: that one was replaced or reordered'
             WHERE c.seq = c.before + 1 AND c.previous_hash IS DISTINCT FROM c.hash_before) p
        UNION ALL
        SELECT COALESCE(a.project, r.project), COALESCE(a.subject, r.subject), a.seq,
               CASE WHEN a.seq IS NULL
                    THEN r.what || ' has no row: the row was removed, or ' || r.what || ' was changed'
                    ELSE 'what it records is not there or was changed' END
          FROM (SELECT * FROM recorded r WHERE $1 IS NULL OR r.subject = $1) r
          FULL JOIN (SELECT a.project::text, a.subject, a.seq, a.event, a.data
                       FROM promote.audit_log a
                      WHERE ($1 IS NULL OR a.subject = $1)
                        AND a.event IN ('revision.created', 'deployment.created', 'deployment.proposed',
                                        'approval.given', 'approval.refused', 'gate.overridden', 'override.reviewed')) a
            ON a.project = r.project AND a.subject = r.subject AND a.event = r.event
               AND a.data = r.facts
         WHERE a.project IS NULL OR r.project IS NULL
        UNION ALL
        -- deployments have come as far as the log says
        SELECT COALESCE(d.project, s.project), COALESCE(d.subject, s.subject), s.seq,
               'deployment ' || COALESCE(d.deployment, s.deployment)
               || ': it has not come as far as the log says, or further'
          FROM (SELECT d.*, d.project || '-' || d.environment || '-' || d.component AS subject
                  FROM promote.deployment d) AS d
          FULL JOIN step AS s
            ON s.project = d.project AND s.subject = d.subject AND s.deployment = d.deployment
         WHERE ($1 IS NULL OR COALESCE(d.subject, s.subject) = $1)
           AND CASE WHEN s.seq IS NULL
                    THEN d.status NOT IN ('PENDING', 'PROPOSED') OR d.fencing > 0 OR d.reason IS NOT NULL
                         OR d.action = 'PLAN' AND d.plan_digest IS NOT NULL
                    ELSE s.data IS DISTINCT FROM (SELECT promote.deployment_state(o) FROM promote.deployment o
                                                   WHERE o.project = d.project AND o.environment = d.environment
                                                     AND o.component = d.component
                                                     AND o.deployment = d.deployment) END
        UNION ALL
        -- configurations are what their digests say, and are there
        SELECT h.project, h.subject, NULL, h.what || ': its configuration is not there or was changed'
          FROM (SELECT r.project::text, r.project || '-' || r.environment || '-' || r.component AS subject,
                       'revision ' || r.revision AS what, r.digest
                  FROM promote.revision r
                UNION ALL
                SELECT d.project, d.project || '-' || d.environment || '-' || d.component,
                       'deployment ' || d.deployment, d.rendered_digest
                  FROM promote.deployment d) h
          LEFT JOIN (SELECT c.project, c.digest FROM promote.config c
                      WHERE c.digest = promote.jsonb_digest(c.params)) c
            ON c.project = h.project AND c.digest = h.digest
         WHERE c.project IS NULL AND ($1 IS NULL OR h.subject = $1)
        UNION ALL
        -- instances are where their history has brought them
        SELECT i.project, i.name, NULL, 'the instance does not say what its history says'
          FROM promote.instance i
          LEFT JOIN (SELECT r.project, r.environment, r.component, pg_catalog.max(r.revision) AS revision
                       FROM promote.revision r GROUP BY 1, 2, 3) last
            ON last.project = i.project AND last.environment = i.environment
               AND last.component = i.component
          LEFT JOIN promote.revision r
            ON r.project = i.project AND r.environment = i.environment
               AND r.component = i.component AND r.revision = i.revision
          LEFT JOIN (SELECT d.project, d.environment, d.component, pg_catalog.max(d.deployment) AS deployment
                       FROM promote.deployment d GROUP BY 1, 2, 3) planned
            ON planned.project = i.project AND planned.environment = i.environment
               AND planned.component = i.component
          LEFT JOIN change ON change.project = i.project AND change.subject = i.name
          LEFT JOIN done ON done.project = i.project AND done.subject = i.name
         WHERE ($1 IS NULL OR i.name = $1)
           AND (i.status <> CASE WHEN change.deployment IS NULL THEN 'INITIALIZED'
                                 WHEN change.status <> 'COMPLETED' THEN 'FAILED'
                                 WHEN change.action = 'PROVISION' THEN 'PROVISIONED'
                                 WHEN change.action = 'DECOMMISSION' THEN 'DECOMMISSIONED'
                                 ELSE '' END
                OR i.changed_by <> COALESCE(change.deployment, 0)
                OR i.deployed_by IS DISTINCT FROM
                   CASE WHEN done.action = 'PROVISION' THEN done.deployment END
                OR i.deployed_revision IS DISTINCT FROM
                   CASE WHEN done.action = 'PROVISION' THEN done.revision END
                OR i.revision <> COALESCE(last.revision, 0)
                OR i.deployment <> COALESCE(planned.deployment, 0)
                OR i.version_constraint IS DISTINCT FROM r.version_constraint
                OR i.release_channel IS DISTINCT FROM r.release_channel)
        UNION ALL
        -- and what waits comes to its turn
        SELECT d.project, d.project || '-' || d.environment || '-' || d.component, NULL,
               'its queue stands still: deployments wait, and none is due'
          FROM promote.deployment d
         WHERE d.status IN ('PENDING', 'APPROVED', 'RUNNING')
           AND ($1 IS NULL OR d.project || '-' || d.environment || '-' || d.component = $1)
         GROUP BY d.project, d.environment, d.component
        HAVING pg_catalog.count(d.due_at) FILTER (WHERE pg_catalog.isfinite(d.due_at)) = 0
        UNION ALL
        SELECT NULL, $1, NULL, 'there is no such instance, and nothing is recorded of it'
         WHERE $1 IS NOT NULL
           AND NOT EXISTS (SELECT FROM promote.audit_log a WHERE a.subject = $1)
           AND NOT EXISTS (SELECT FROM promote.instance i WHERE i.name = $1)
        ORDER BY 1, 2, 3;
    END;
REVOKE ALL ON FUNCTION promote.audit_problems(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.audit_problems(text) IS
'What promote.verify_audit returns to those who may ask it';

CREATE FUNCTION promote.verify_audit(subject text DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_verify_audit';
REVOKE ALL ON FUNCTION promote.verify_audit(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.verify_audit(text) IS
'What is wrong with the record of one subject or of all: a row per problem, none where every chain is whole, every revision, deployment, vote and override is recorded as it stands, with its configuration, and every instance is where they brought it';
