-- Whether the record is whole: behind all that is recorded.

CREATE FUNCTION promote.recorded_rows(subject text DEFAULT NULL)
    RETURNS TABLE (project text, subject text, facts jsonb)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_recorded_rows';
REVOKE ALL ON FUNCTION promote.recorded_rows(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.recorded_rows(text) IS
'The rows that promote.record_change records, as the audit log would have them now: all, or the one that a subject names';

-- What is about one subject, or about all, as functions that the planner takes apart: by keys in the one case, as a whole
-- in the other.  One that asked for "$1 IS NULL OR subject = $1" would read the whole log for one instance.

CREATE FUNCTION promote.audit_of(subject text) RETURNS SETOF promote.audit_log
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT a.* FROM promote.audit_log AS a WHERE $1 IS NULL
        UNION ALL
        -- the projects of the log, one look into the index for each
        SELECT a.*
          FROM (WITH RECURSIVE next (project) AS (
                    (SELECT f.project FROM promote.audit_log AS f ORDER BY f.project LIMIT 1)
                    UNION ALL
                    SELECT (SELECT f.project FROM promote.audit_log AS f
                             WHERE f.project > next.project ORDER BY f.project LIMIT 1)
                      FROM next WHERE next.project IS NOT NULL)
                SELECT next.project FROM next WHERE next.project IS NOT NULL) AS p
         CROSS JOIN LATERAL (SELECT c.* FROM promote.audit_log AS c
                              WHERE c.project = p.project AND c.subject = $1 ORDER BY c.seq OFFSET 0) AS a
         WHERE $1 IS NOT NULL;
    END;
REVOKE ALL ON FUNCTION promote.audit_of(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.audit_of(text) IS
'The audit rows of a subject, by the index; NULL: all';

CREATE FUNCTION promote.revisions_of(subject text) RETURNS SETOF promote.revision
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT t.* FROM promote.revision AS t WHERE $1 IS NULL
        UNION ALL
        SELECT t.* FROM promote.revision AS t
         WHERE t.project = pg_catalog.split_part($1, '-', 1)
           AND t.environment = pg_catalog."substring"($1, '^[^-]*-(.*)-[^-]*$')
           AND t.component = pg_catalog."substring"($1, '-([^-]*)$');
    END;
REVOKE ALL ON FUNCTION promote.revisions_of(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.revisions_of(text) IS
'The revisions of an instance, by its name; NULL: of all';

CREATE FUNCTION promote.deployments_of(subject text) RETURNS SETOF promote.deployment
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT t.* FROM promote.deployment AS t WHERE $1 IS NULL
        UNION ALL
        SELECT t.* FROM promote.deployment AS t
         WHERE t.project = pg_catalog.split_part($1, '-', 1)
           AND t.environment = pg_catalog."substring"($1, '^[^-]*-(.*)-[^-]*$')
           AND t.component = pg_catalog."substring"($1, '-([^-]*)$');
    END;
REVOKE ALL ON FUNCTION promote.deployments_of(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.deployments_of(text) IS
'The deployments of an instance, by its name; NULL: of all';

CREATE FUNCTION promote.approvals_of(subject text) RETURNS SETOF promote.approval
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT t.* FROM promote.approval AS t WHERE $1 IS NULL
        UNION ALL
        SELECT t.* FROM promote.approval AS t
         WHERE t.project = pg_catalog.split_part($1, '-', 1)
           AND t.environment = pg_catalog."substring"($1, '^[^-]*-(.*)-[^-]*$')
           AND t.component = pg_catalog."substring"($1, '-([^-]*)$');
    END;
REVOKE ALL ON FUNCTION promote.approvals_of(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.approvals_of(text) IS
'The votes on plans of an instance, by its name; NULL: of all';

CREATE FUNCTION promote.overrides_of(subject text) RETURNS SETOF promote.gate_override
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT t.* FROM promote.gate_override AS t WHERE $1 IS NULL
        UNION ALL
        SELECT t.* FROM promote.gate_override AS t
         WHERE t.project = pg_catalog.split_part($1, '-', 1)
           AND t.environment = pg_catalog."substring"($1, '^[^-]*-(.*)-[^-]*$')
           AND t.component = pg_catalog."substring"($1, '-([^-]*)$');
    END;
REVOKE ALL ON FUNCTION promote.overrides_of(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.overrides_of(text) IS
'The overrides of an instance, by its name; NULL: of all';

CREATE FUNCTION promote.reviews_of(subject text) RETURNS SETOF promote.override_review
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT t.* FROM promote.override_review AS t WHERE $1 IS NULL
        UNION ALL
        SELECT t.* FROM promote.override_review AS t
         WHERE t.project = pg_catalog.split_part($1, '-', 1)
           AND t.environment = pg_catalog."substring"($1, '^[^-]*-(.*)-[^-]*$')
           AND t.component = pg_catalog."substring"($1, '-([^-]*)$');
    END;
REVOKE ALL ON FUNCTION promote.reviews_of(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.reviews_of(text) IS
'The reviews of overrides of an instance, by its name; NULL: of all';

-- With the rights of who calls it, which are enough only for the owner: promote.verify_audit does.
CREATE FUNCTION promote.audit_problems(subject text)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = on
    BEGIN ATOMIC
        WITH recorded AS (
            SELECT r.project::text, r.project || '-' || r.environment || '-' || r.component AS subject,
                   'revision.created' AS event, promote.audit_facts(r) AS facts,
                   'revision ' || r.revision AS what, 'revision' AS counter, r.revision AS number, r.created_at
              FROM promote.revisions_of($1) r
            UNION ALL
            SELECT d.project, d.project || '-' || d.environment || '-' || d.component,
                   CASE WHEN d.status = 'PROPOSED' OR d.status = 'REJECTED' OR d.approved_by IS NOT NULL
                        THEN 'deployment.proposed' ELSE 'deployment.created' END,
                   promote.deployment_facts(d), 'deployment ' || d.deployment, 'deployment', d.deployment, d.created_at
              FROM promote.deployments_of($1) d
            UNION ALL
            SELECT v.project, v.project || '-' || v.environment || '-' || v.component,
                   CASE v.decision WHEN 'approved' THEN 'approval.given' ELSE 'approval.refused' END,
                   promote.audit_facts(v), 'vote ' || v.vote, 'vote', v.vote, v.created_at
              FROM promote.approvals_of($1) v
            UNION ALL
            SELECT o.project, o.project || '-' || o.environment || '-' || o.component, 'gate.overridden',
                   promote.audit_facts(o), 'override ' || o.override || ' of ' || o.code || ' of deployment ' || o.deployment,
                   NULL, NULL, o.created_at
              FROM promote.overrides_of($1) o
            UNION ALL
            SELECT w.project, w.project || '-' || w.environment || '-' || w.component, 'override.reviewed',
                   promote.audit_facts(w), 'the review of override ' || w.override || ' of ' || w.code || ' of deployment ' || w.deployment,
                   NULL, NULL, w.created_at
              FROM promote.reviews_of($1) w
        ),
        -- what stands for the rows of a chain that were pruned
        checkpoint AS (
            SELECT DISTINCT ON (a.project, a.subject) a.project, a.subject, a.seq, a.data
              FROM promote.audit_of($1) a WHERE a.event = 'audit.checkpoint'
             ORDER BY a.project, a.subject, a.seq DESC
        ),
        -- how far the log has each deployment come
        step AS (
            SELECT DISTINCT ON (a.project, a.subject, (a.data ->> 'deployment')::integer)
                   a.project, a.subject, a.seq, (a.data ->> 'deployment')::integer AS deployment, a.data
              FROM promote.audit_of($1) a
             WHERE a.event IN ('deployment.approved', 'deployment.rejected', 'deployment.started',
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
                      FROM promote.audit_of($1) a
                     WHERE a.event IN ('deployment.approved', 'deployment.started', 'deployment.released',
                                       'deployment.lost', 'deployment.completed', 'deployment.failed',
                                       'deployment.aborted')) s
              JOIN promote.deployments_of($1) d
                ON d.project = s.project AND d.project || '-' || d.environment || '-' || d.component = s.subject
                   AND d.deployment = s.deployment
              LEFT JOIN checkpoint c ON c.project = s.project AND c.subject = s.subject
             WHERE (s.status_before = 'RUNNING'
                    OR s.status_before IS NULL AND (c.data ->> 'running')::integer = s.deployment)
               AND s.status IN ('COMPLETED', 'FAILED', 'ABORTED') AND d.action <> 'PLAN'
            UNION ALL
            SELECT d.project, c.subject, v.seq, d.deployment, d.revision, d.action, d.status
              FROM checkpoint c
             CROSS JOIN LATERAL (VALUES ((c.data ->> 'completed')::integer, c.seq - 1),
                                        ((c.data ->> 'changed_by')::integer, c.seq)) AS v (deployment, seq)
              JOIN promote.deployments_of($1) d
                ON d.project = c.project AND d.project || '-' || d.environment || '-' || d.component = c.subject
                   AND d.deployment = v.deployment
        ),
        change AS (
            SELECT DISTINCT ON (r.project, r.subject) r.* FROM ran r ORDER BY r.project, r.subject, r.seq DESC
        ),
        done AS (
            SELECT DISTINCT ON (r.project, r.subject) r.* FROM ran r WHERE r.status = 'COMPLETED'
             ORDER BY r.project, r.subject, r.seq DESC
        ),
        carried AS (
            SELECT r.project::text, r.project || '-' || r.environment || '-' || r.component AS subject,
                   'revision ' || r.revision AS what, r.digest
              FROM promote.revisions_of($1) r
            UNION ALL
            SELECT d.project, d.project || '-' || d.environment || '-' || d.component,
                   'deployment ' || d.deployment, d.rendered_digest
              FROM promote.deployments_of($1) d
        ),
        chained AS (
            SELECT a.*,
                   pg_catalog.lag(a.seq, 1, 0::bigint) OVER chain AS before,
                   pg_catalog.lag(a.hash) OVER chain AS hash_before
              FROM promote.audit_of($1) a
            WINDOW chain AS (PARTITION BY a.project, a.subject ORDER BY a.seq)
        )
        SELECT c.project::text, c.subject, c.seq, p.problem
          FROM chained c
         CROSS JOIN LATERAL (
            SELECT 'the row was changed: its hash is not that of its columns' AS problem
             WHERE c.event <> 'audit.checkpoint'
               AND c.hash <> promote.audit_hash(c.project, c.subject, c.seq, c.at, c.actor,
                                                c.database_role, c.event, c.data,
                                                c.previous_hash)
            UNION ALL
            SELECT 'the checkpoint was changed: its seal is not that of its columns'
             WHERE c.event = 'audit.checkpoint'
               AND c.previous_hash <> promote.audit_hash(c.project, c.subject, c.seq, c.at, c.actor,
                                                         c.database_role, c.event, c.data, c.hash)
            UNION ALL
            SELECT 'it is a checkpoint that no pruning has left'
             WHERE c.event = 'audit.checkpoint'
               AND (c.before > 0
                    OR NOT EXISTS (SELECT FROM promote.audit_log p
                                    WHERE p.project = c.project AND p.subject = c.project
                                      AND (p.seq = (c.data ->> 'pruning')::bigint AND p.event = 'audit.pruned'
                                           OR p.seq >= (c.data ->> 'pruning')::bigint AND p.event = 'audit.checkpoint')))
            UNION ALL
            SELECT 'its author is not the one in its data'
             WHERE c.actor <> c.data ->> 'actor' OR c.database_role <> c.data ->> 'database_role'
            UNION ALL
            SELECT 'rows were removed before it: ' || c.before + 1 || ' to ' || c.seq - 1
             WHERE c.seq <> c.before + 1 AND (c.event <> 'audit.checkpoint' OR c.before > 0)
            UNION ALL
            SELECT 'it does not follow the row before: that one was replaced or reordered'
             WHERE c.seq = c.before + 1 AND c.event <> 'audit.checkpoint'
               AND c.previous_hash IS DISTINCT FROM c.hash_before) p
        UNION ALL
        SELECT COALESCE(a.project, r.project), COALESCE(a.subject, r.subject), a.seq,
               CASE WHEN a.seq IS NULL
                    THEN r.what || ' has no row: the row was removed, or ' || r.what || ' was changed'
                    ELSE 'what it records is not there or was changed' END
          FROM recorded r
          FULL JOIN (SELECT a.project, a.subject, a.seq, a.event, a.data
                       FROM promote.audit_of($1) a
                      WHERE a.event IN ('revision.created', 'deployment.created', 'deployment.proposed',
                                        'approval.given', 'approval.refused', 'gate.overridden', 'override.reviewed')) a
            ON a.project = r.project AND a.subject = r.subject AND a.event = r.event
               AND a.data = r.facts
         WHERE r.project IS NULL
            OR a.project IS NULL AND NOT EXISTS (
               -- it was pruned
               SELECT FROM checkpoint c
                WHERE c.project = r.project AND c.subject = r.subject
                  AND CASE WHEN r.counter IS NULL THEN r.created_at <= (c.data ->> 'last_at')::timestamptz
                           ELSE r.number <= (c.data ->> r.counter)::integer END)
        UNION ALL
        -- rows that people write themselves are what was recorded of them last
        SELECT COALESCE(l.project, n.project), COALESCE(l.subject, n.subject), l.seq,
               CASE WHEN n.project IS NULL THEN 'the row that it records is not there'
                    WHEN l.data IS NULL THEN 'there is such a row, and nothing records it'
                    WHEN NOT l.data ? 'after' THEN 'the row that it says was deleted is there'
                    ELSE 'the row is not what it records' END
          FROM (SELECT DISTINCT ON (a.project, a.subject) a.project, a.subject, a.seq, a.data
                  FROM promote.audit_of($1) a
                 WHERE a.data ? 'after' OR a.data ? 'before'
                 ORDER BY a.project, a.subject, a.seq DESC) l
          FULL JOIN promote.recorded_rows($1) n ON n.project = l.project AND n.subject = l.subject
         WHERE l.data -> 'after' IS DISTINCT FROM n.facts
        UNION ALL
        -- deployments have come as far as the log says
        SELECT COALESCE(d.project, s.project), COALESCE(d.subject, s.subject), s.seq,
               'deployment ' || COALESCE(d.deployment, s.deployment)
               || ': it has not come as far as the log says, or further'
          FROM (SELECT d.*, d.project || '-' || d.environment || '-' || d.component AS subject
                  FROM promote.deployments_of($1) d) AS d
          FULL JOIN step AS s
            ON s.project = d.project AND s.subject = d.subject AND s.deployment = d.deployment
         WHERE CASE WHEN s.seq IS NULL
                    THEN (d.status NOT IN ('PENDING', 'PROPOSED') OR d.fencing > 0 OR d.reason IS NOT NULL
                          OR d.action = 'PLAN' AND d.plan_digest IS NOT NULL)
                         AND NOT EXISTS (SELECT FROM checkpoint c
                                          WHERE c.project = d.project AND c.subject = d.subject
                                            AND d.deployment <= (c.data ->> 'deployment')::integer)
                    ELSE s.data IS DISTINCT FROM (SELECT promote.deployment_state(o) FROM promote.deployment o
                                                   WHERE o.project = d.project AND o.environment = d.environment
                                                     AND o.component = d.component
                                                     AND o.deployment = d.deployment) END
        UNION ALL
        -- configurations are what their digests say, and are there
        SELECT h.project, h.subject, NULL, h.what || ': its configuration is not there or was changed'
          FROM carried h
          JOIN (SELECT k.project, k.digest
                  FROM (SELECT DISTINCT k.project, k.digest FROM carried k) k
                 WHERE NOT COALESCE((SELECT c.digest = promote.jsonb_digest(c.params) FROM promote.config c
                                      WHERE c.project = k.project AND c.digest = k.digest), false)) wrong
            ON wrong.project = h.project AND wrong.digest = h.digest
        UNION ALL
        -- instances are where their history has brought them
        SELECT i.project, i.name, NULL, 'the instance does not say what its history says'
          FROM (SELECT i.* FROM promote.instance i WHERE $1 IS NULL
                UNION ALL
                SELECT i.* FROM promote.instance i WHERE i.name = $1) i
          LEFT JOIN (SELECT r.project, r.environment, r.component, pg_catalog.max(r.revision) AS revision
                       FROM promote.revisions_of($1) r GROUP BY 1, 2, 3) last
            ON last.project = i.project AND last.environment = i.environment
               AND last.component = i.component
          LEFT JOIN promote.revisions_of($1) r
            ON r.project = i.project AND r.environment = i.environment
               AND r.component = i.component AND r.revision = i.revision
          LEFT JOIN (SELECT d.project, d.environment, d.component, pg_catalog.max(d.deployment) AS deployment
                       FROM promote.deployments_of($1) d GROUP BY 1, 2, 3) planned
            ON planned.project = i.project AND planned.environment = i.environment
               AND planned.component = i.component
          LEFT JOIN change ON change.project = i.project AND change.subject = i.name
          LEFT JOIN done ON done.project = i.project AND done.subject = i.name
         WHERE (i.status <> CASE WHEN change.deployment IS NULL THEN 'INITIALIZED'
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
          FROM promote.deployments_of($1) d
         WHERE d.status IN ('PENDING', 'APPROVED', 'RUNNING')
         GROUP BY d.project, d.environment, d.component
        HAVING pg_catalog.count(d.due_at) FILTER (WHERE pg_catalog.isfinite(d.due_at)) = 0
        UNION ALL
        -- requests are where their chains have brought them, and their items with them
        SELECT COALESCE(q.project, l.project), COALESCE(q.subject, l.subject), l.seq, p.problem
          FROM (SELECT r.*, 'request ' || r.project || '/' || r.request AS subject FROM promote.promotion_request r
                 WHERE $1 IS NULL
                UNION ALL
                SELECT r.*, $1 FROM promote.promotion_request r
                 WHERE r.project = pg_catalog."substring"($1, '^request ([a-z0-9_]+)/')
                   AND r.request::text = pg_catalog."substring"($1, '^request [a-z0-9_]+/([0-9]+)$')) q
          FULL JOIN (SELECT DISTINCT ON (a.project, a.subject) a.*
                       FROM promote.audit_of($1) a WHERE a.event LIKE 'request.%'
                      ORDER BY a.project, a.subject, a.seq DESC) l
            ON l.project = q.project AND l.subject = q.subject
         CROSS JOIN LATERAL (
            SELECT 'the request that it records is not there' AS problem WHERE q.project IS NULL
            UNION ALL
            SELECT 'there is such a request, and nothing records it' WHERE l.project IS NULL
            UNION ALL
            SELECT 'the request has not come as far as its log says, or further'
             WHERE (q.status, q.wave, q.reason)
                   IS DISTINCT FROM (l.data ->> 'status', (l.data ->> 'wave')::integer, l.data ->> 'reason')
               AND q.project IS NOT NULL AND l.project IS NOT NULL) p
        UNION ALL
        -- stops of the line stand, and were lifted, as the chains of the lines that they stopped say
        SELECT e.project, e.subject, e.seq, 'stop ' || (e.data ->> 'stop') || ' of the line is not what it records'
          FROM promote.audit_of($1) e
          LEFT JOIN promote.line_stop s ON s.stop = (e.data ->> 'stop')::integer
         WHERE e.event IN ('line.stopped', 'line.resumed')
           AND (s.stop IS NULL
                OR s.project IS DISTINCT FROM CASE e.data ->> 'scope' WHEN 'project' THEN e.project END
                OR (e.actor, e.database_role, e.data ->> 'reason')
                   IS DISTINCT FROM CASE e.event WHEN 'line.stopped' THEN (s.actor, s.database_role, s.reason)
                                                 ELSE (s.lifted_by, s.lifted_role, s.message) END)
        UNION ALL
        SELECT COALESCE(s.project, '*'), 'line ' || COALESCE(s.project, '*'), NULL,
               'stop ' || s.stop || ' of the line: nothing records that it was ' || n.what
          FROM promote.line_stop s
         CROSS JOIN LATERAL (VALUES ('line.stopped', 'made', s.stopped_at),
                                    ('line.resumed', 'lifted', s.lifted_at)) AS n (event, what, at)
         WHERE n.at IS NOT NULL AND ($1 IS NULL OR 'line ' || s.project = $1)
           AND NOT EXISTS (SELECT FROM promote.audit_log a
                            WHERE a.event IN ('line.stopped', 'line.resumed') AND a.event = n.event
                              AND (a.data ->> 'stop')::integer = s.stop)
           -- it was not pruned, and there was a project to record it
           AND NOT EXISTS (SELECT FROM promote.audit_log c
                            WHERE c.event = 'audit.checkpoint' AND c.subject = 'line ' || c.project
                              AND (s.project IS NULL OR c.project = s.project)
                              AND (c.data ->> 'last_at')::timestamptz >= n.at)
           AND (s.project IS NOT NULL
                OR EXISTS (SELECT FROM promote.audit_log p WHERE p.subject = 'project ' || p.project AND p.at < n.at))
        UNION ALL
        SELECT NULL, $1, NULL, 'there is no such instance, and nothing is recorded of it'
         WHERE $1 IS NOT NULL
           AND NOT EXISTS (SELECT FROM promote.audit_of($1))
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

CREATE FUNCTION promote.audit_head(project text DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, hash bytea)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT DISTINCT ON (a.project, a.subject) a.project, a.subject, a.seq, a.hash
          FROM promote.audit_log AS a
         WHERE $1 IS NULL OR a.project = $1
         ORDER BY a.project, a.subject, a.seq DESC;
    END;
REVOKE ALL ON FUNCTION promote.audit_head(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.audit_head(text) IS
'The last hash of every chain of a project, or of all: kept where nobody who can write here can reach, it proves later that nothing up to there was rewritten';

CREATE FUNCTION promote.verify_audit_head(project text, subject text, seq bigint, hash bytea)
    RETURNS TABLE (problem text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT CASE WHEN a.seq IS NULL AND l.seq IS NULL THEN 'the chain is gone'
                    WHEN a.seq IS NULL AND l.seq < $3 THEN 'the chain ends before it: rows were removed'
                    -- whoever can write here can write a checkpoint, too: it excuses nothing
                    WHEN a.seq IS NULL AND l.checkpoint > $3
                        THEN 'it was pruned: the chain begins with a checkpoint in place ' || l.checkpoint
                             || ', and only a head of there or later proves anything'
                    WHEN a.seq IS NULL THEN 'the row is gone'
                    ELSE 'the row has another hash: the chain was rewritten' END
          FROM (SELECT pg_catalog.max(m.seq) AS seq,
                       pg_catalog.max(m.seq) FILTER (WHERE m.event = 'audit.checkpoint') AS checkpoint
                  FROM promote.audit_log AS m
                 WHERE m.project = $1 AND m.subject = $2) AS l
          LEFT JOIN promote.audit_log AS a ON a.project = $1 AND a.subject = $2 AND a.seq = $3
         WHERE a.hash IS DISTINCT FROM $4;
    END;
REVOKE ALL ON FUNCTION promote.verify_audit_head(text, text, bigint, bytea) FROM PUBLIC;
COMMENT ON FUNCTION promote.verify_audit_head(text, text, bigint, bytea) IS
'What is wrong with a chain by a head of it that was kept elsewhere: no row where it still has that hash in that place. That it was pruned beyond it is told as well';
