-- Whether the record is whole. This part comes after everything that is recorded, and after all triggers.

-- The triggers as they are when the extension is made, which is how they have to stay.
DO $$
BEGIN
    -- definitions are compared as texts
    PERFORM pg_catalog.set_config('quote_all_identifiers', 'off', true);
    EXECUTE pg_catalog.format('CREATE FUNCTION promote_internal.own_triggers()
        RETURNS TABLE (table_name text, trigger_name text, enabled text, definition text)
        LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 150 BEGIN ATOMIC VALUES %s; END',
        (SELECT pg_catalog.string_agg(pg_catalog.format('(%L, %L, %L, %L)', c.relname, t.tgname, t.tgenabled,
                                                        pg_catalog.pg_get_triggerdef(t.oid)), ', ' ORDER BY c.relname, t.tgname)
           FROM pg_catalog.pg_trigger AS t
           JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
          WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace AND NOT t.tgisinternal));
END
$$;
COMMENT ON FUNCTION promote_internal.own_triggers() IS
'The triggers of all tables as CREATE EXTENSION has made them: A in enabled is ENABLE ALWAYS';

CREATE FUNCTION promote_internal.guard_problems()
    RETURNS TABLE (table_name text, trigger_name text, problem text, remedy text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    BEGIN ATOMIC
        SELECT o.table_name, o.trigger_name,
               CASE WHEN t.oid IS NULL THEN 'it is missing'
                    WHEN pg_catalog.pg_get_triggerdef(t.oid) <> o.definition THEN 'it was replaced by another'
                    WHEN f.replaced THEN 'its function was replaced by another'
                    WHEN t.tgenabled = 'D' THEN 'it is disabled'
                    ELSE 'it hangs on session_replication_role' END,
               CASE WHEN t.oid IS NOT NULL AND pg_catalog.pg_get_triggerdef(t.oid) <> o.definition
                    THEN pg_catalog.format('DROP TRIGGER %I ON promote.%I; ', o.trigger_name, o.table_name) ELSE '' END
               || CASE WHEN pg_catalog.pg_get_triggerdef(t.oid) = o.definition THEN '' ELSE o.definition || '; ' END
               || CASE WHEN f.replaced THEN pg_catalog.format('CREATE OR REPLACE FUNCTION promote_internal.%I() RETURNS trigger LANGUAGE c AS %L, %L; ',
                                                              f.proname, '$libdir/promote', 'promote_' || f.proname) ELSE '' END
               || pg_catalog.format('ALTER TABLE promote.%I ENABLE %sTRIGGER %I', o.table_name,
                                    CASE o.enabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END, o.trigger_name)
          FROM promote_internal.own_triggers() AS o
          LEFT JOIN pg_catalog.pg_class AS c
            ON c.relnamespace = 'promote'::pg_catalog.regnamespace AND c.relname = o.table_name
          LEFT JOIN pg_catalog.pg_trigger AS t
            ON t.tgrelid = c.oid AND t.tgname = o.trigger_name AND NOT t.tgisinternal
          -- the functions of all of them are in the library, and their names there follow one rule
          LEFT JOIN LATERAL (SELECT p.proname, (l.lanname, p.probin, p.prosrc)
                                    IS DISTINCT FROM ('c', '$libdir/promote', 'promote_' || p.proname) AS replaced
                               FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
                              WHERE p.oid = t.tgfoid) AS f ON true
         WHERE t.oid IS NULL OR t.tgenabled::text <> o.enabled OR pg_catalog.pg_get_triggerdef(t.oid) <> o.definition OR f.replaced
        UNION ALL
        SELECT c.relname, k.conname, 'the foreign key is not enforced',
               pg_catalog.string_agg(pg_catalog.format('ALTER TABLE promote.%I ENABLE TRIGGER %I', c.relname, t.tgname), '; ')
          FROM pg_catalog.pg_trigger AS t
          JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
          JOIN pg_catalog.pg_constraint AS k ON k.oid = t.tgconstraint
         WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace AND t.tgisinternal AND t.tgenabled <> 'O'
         GROUP BY c.relname, k.conname
         ORDER BY 1, 2;
    END;
REVOKE ALL ON FUNCTION promote_internal.guard_problems() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_problems() IS
'Triggers that are not as CREATE EXTENSION has made them, foreign keys that are not enforced, and the statements that mend that';

CREATE FUNCTION promote_internal.recorded_rows(subject text DEFAULT NULL, project text DEFAULT NULL)
    RETURNS TABLE (project text, subject text, name text, digest text, open boolean)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_recorded_rows';
REVOKE ALL ON FUNCTION promote_internal.recorded_rows(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.recorded_rows(text, text) IS
'The rows of all tables, of one subject or of one project, as the audit log would have them now: the subject whose chain tells of the row, what the row is called there, its digest, and whether nothing has to tell of it yet';

-- Functions for the rows of one subject, of one project, or of all, which the planner takes apart: it looks up keys
-- in the one case, and reads everything in the other. A function that asked for "$1 IS NULL OR subject = $1" would
-- read the whole log for one instance.

CREATE FUNCTION promote_internal.audit_of(subject text, project text)
    RETURNS TABLE (project text, subject text, seq bigint, at timestamptz, actor text, database_role text, event text,
                   data jsonb, rows jsonb, previous_hash bytea, hash bytea)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT a.project, a.subject, a.seq, a.at, a.actor, a.database_role, a.event, a.data, a.rows, a.previous_hash, a.hash
          FROM promote.audit_log AS a WHERE $1 IS NULL AND $2 IS NULL
        UNION ALL
        SELECT a.project, a.subject, a.seq, a.at, a.actor, a.database_role, a.event, a.data, a.rows, a.previous_hash, a.hash
          FROM promote.audit_log AS a WHERE $1 IS NULL AND a.project = $2
        UNION ALL
        -- the projects of the log, one look into the index for each
        SELECT a.project, a.subject, a.seq, a.at, a.actor, a.database_role, a.event, a.data, a.rows, a.previous_hash, a.hash
          FROM (WITH RECURSIVE next (project) AS (
                    (SELECT f.project FROM promote.audit_log AS f ORDER BY f.project LIMIT 1)
                    UNION ALL
                    SELECT (SELECT f.project FROM promote.audit_log AS f
                             WHERE f.project > next.project ORDER BY f.project LIMIT 1)
                      FROM next WHERE next.project IS NOT NULL)
                SELECT next.project FROM next WHERE next.project IS NOT NULL) AS p
         CROSS JOIN LATERAL (SELECT c.project, c.subject, c.seq, c.at, c.actor, c.database_role, c.event, c.data, c.rows,
                                    c.previous_hash, c.hash
                               FROM promote.audit_log AS c
                              WHERE c.project = p.project AND c.subject = $1 ORDER BY c.seq OFFSET 0) AS a
         WHERE $1 IS NOT NULL AND $2 IS NULL
        UNION ALL
        SELECT a.project, a.subject, a.seq, a.at, a.actor, a.database_role, a.event, a.data, a.rows, a.previous_hash, a.hash
          FROM promote.audit_log AS a WHERE a.project = $2 AND a.subject = $1;
    END;
REVOKE ALL ON FUNCTION promote_internal.audit_of(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.audit_of(text, text) IS
'The audit rows of a subject, of a project, or of a subject in a project, by the index; NULL: all';

CREATE FUNCTION promote_internal.instances_of(subject text, project text)
    RETURNS TABLE (project text, environment text, component text, name text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT i.project, i.environment, i.component, i.name FROM promote.instance AS i WHERE $1 IS NULL AND $2 IS NULL
        UNION ALL
        SELECT i.project, i.environment, i.component, i.name FROM promote.instance AS i WHERE $1 IS NULL AND i.project = $2
        UNION ALL
        SELECT i.project, i.environment, i.component, i.name FROM promote.instance AS i WHERE i.name = $1 AND ($2 IS NULL OR i.project = $2);
    END;
REVOKE ALL ON FUNCTION promote_internal.instances_of(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.instances_of(text, text) IS
'The instance of that name, or all of a project; NULL: all';

CREATE FUNCTION promote_internal.chain_problems(subject text, project text, last bigint DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT c.project, c.subject, c.seq, p.problem
          FROM (SELECT a.*,
                       pg_catalog.lag(a.seq, 1, 0::bigint) OVER chain AS before,
                       pg_catalog.lag(a.hash) OVER chain AS hash_before
                  FROM promote_internal.audit_of($1, $2) AS a
                 WHERE $3 IS NULL OR a.seq <= $3
                WINDOW chain AS (PARTITION BY a.project, a.subject ORDER BY a.seq)) AS c
         CROSS JOIN LATERAL (
            SELECT 'the row was changed: its hash is not that of its columns' AS problem
             WHERE c.event <> 'audit.checkpoint'
               AND c.hash IS DISTINCT FROM promote.audit_hash(c.project, c.subject, c.seq, c.at, c.actor, c.database_role,
                                                               c.event, c.data, c.rows, c.previous_hash)
            UNION ALL
            SELECT 'the checkpoint was changed: its seal is not that of its columns'
             WHERE c.event = 'audit.checkpoint'
               AND c.previous_hash IS DISTINCT FROM promote.audit_hash(c.project, c.subject, c.seq, c.at, c.actor, c.database_role,
                                                                        c.event, c.data, c.rows, c.hash)
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
             WHERE (c.actor <> c.data ->> 'actor' OR c.database_role <> c.data ->> 'database_role')
               -- what follows a plan by itself is of who has asked for that, and written by who completes the plan
               AND NOT (c.event = 'deployment.created'
                        AND EXISTS (SELECT FROM promote.deployment AS p
                                     WHERE p.project = c.project AND p.environment = c.data ->> 'environment'
                                       AND p.component = c.data ->> 'component' AND p.deployment = (c.data ->> 'plan')::integer
                                       AND p.deploy_as IS NOT NULL
                                       AND p.actor = c.data ->> 'actor' AND p.database_role = c.data ->> 'database_role'))
            UNION ALL
            SELECT 'rows were removed before it: ' || c.before + 1 || ' to ' || c.seq - 1
             WHERE c.seq <> c.before + 1 AND (c.event <> 'audit.checkpoint' OR c.before > 0)
            UNION ALL
            SELECT 'it does not follow the row before: that one was replaced or reordered'
             WHERE c.seq = c.before + 1 AND c.event <> 'audit.checkpoint'
               AND c.previous_hash IS DISTINCT FROM c.hash_before) AS p;
    END;
REVOKE ALL ON FUNCTION promote_internal.chain_problems(text, text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.chain_problems(text, text, bigint) IS
'What is wrong with chains by themselves, up to that row: rows that are not what their hashes say, that are missing, or that do not follow each other';

-- This function has its caller's rights, which only suffice if the caller is the owner, as promote.verify_audit is.
-- How long it takes does not depend on statistics, of which there are none after a restore: large sets are joined by
-- FULL JOIN, which is never done by nested loops, and everything else is looked up by a whole key.
CREATE FUNCTION promote_internal.audit_problems(subject text, project text)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on SET enable_sort = on
    BEGIN ATOMIC
        SELECT c.project, c.subject, c.seq, c.problem FROM promote_internal.chain_problems($1, $2) AS c
        UNION ALL
        -- the rows of all tables are what the events that wrote them last say of them
        SELECT COALESCE(l.project, n.project), COALESCE(l.subject, n.subject), l.seq,
               CASE WHEN COALESCE(l.name, n.name) = COALESCE(l.subject, n.subject) THEN '' ELSE COALESCE(l.name, n.name) || ': ' END
               || CASE WHEN n.name IS NULL THEN 'the row that it records is not there'
                       WHEN l.name IS NULL THEN 'there is such a row, and nothing records it'
                       WHEN l.digest IS NULL THEN 'the row that it says was deleted is there'
                       ELSE 'the row is not what it records' END
          FROM (SELECT DISTINCT ON (m.project, m.subject, m.name) m.project, m.subject, m.name, m.seq, m.digest
                  FROM (SELECT a.project, a.subject, r.name, a.seq, r.digest
                          FROM promote_internal.audit_of($1, $2) AS a
                         CROSS JOIN LATERAL pg_catalog.jsonb_each_text(a.rows) AS r (name, digest)
                         WHERE r.name <> 'salt'
                        UNION ALL
                        SELECT a.project, a.subject, a.subject, a.seq,
                               pg_catalog.encode(promote.jsonb_digest(a.data -> 'after'), 'hex')
                          FROM promote_internal.audit_of($1, $2) AS a
                         WHERE a.data ? 'after' OR a.data ? 'before') AS m
                 ORDER BY m.project, m.subject, m.name, m.seq DESC) AS l
          FULL JOIN promote_internal.recorded_rows($1, $2) AS n
            ON n.project = l.project AND n.subject = l.subject AND n.name = l.name
         WHERE l.digest IS DISTINCT FROM n.digest AND NOT (l.digest IS NULL AND n.open)
        UNION ALL
        -- configurations are what their digests say, and are there
        SELECT k.project, w.subject, NULL, w.what || ': its configuration is not there or was changed'
          FROM (SELECT h.project, h.digest, pg_catalog.array_agg(h.subject) AS subjects, pg_catalog.array_agg(h.what) AS whats
                  FROM (SELECT i.project, i.name AS subject, 'revision ' || r.revision AS what, r.digest
                          FROM promote_internal.instances_of($1, $2) AS i
                         CROSS JOIN LATERAL (SELECT v.revision, v.digest FROM promote.revision AS v
                                              WHERE v.project = i.project AND v.environment = i.environment
                                                AND v.component = i.component OFFSET 0) AS r
                        UNION ALL
                        SELECT i.project, i.name, 'deployment ' || d.deployment, d.rendered_digest
                          FROM promote_internal.instances_of($1, $2) AS i
                         CROSS JOIN LATERAL (SELECT e.deployment, e.rendered_digest FROM promote.deployment AS e
                                              WHERE e.project = i.project AND e.environment = i.environment
                                                AND e.component = i.component OFFSET 0) AS d
                        UNION ALL
                        -- what was observed may be adopted
                        SELECT i.project, i.name, 'observation', o.document
                          FROM promote_internal.instances_of($1, $2) AS i
                         CROSS JOIN LATERAL (SELECT n.document FROM promote.observation AS n
                                              WHERE n.project = i.project AND n.environment = i.environment
                                                AND n.component = i.component AND n.document IS NOT NULL OFFSET 0) AS o) AS h
                 GROUP BY h.project, h.digest) AS k
         CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.subjects), pg_catalog.unnest(k.whats)) AS w (subject, what)
         WHERE NOT COALESCE((SELECT c.digest = promote.config_digest(c.project, c.params) FROM promote.config AS c
                              WHERE c.project = k.project AND c.digest = k.digest), false)
        UNION ALL
        -- instances are where their history has brought them
        SELECT o.project, o.name, NULL, 'the instance does not say what its history says'
          FROM promote_internal.instances_of($1, $2) AS o
         CROSS JOIN LATERAL (SELECT i.* FROM promote.instance AS i
                              WHERE i.project = o.project AND i.environment = o.environment AND i.component = o.component) AS i
          LEFT JOIN LATERAL (SELECT r.revision, r.version_constraint, r.release_channel FROM promote.revision AS r
                              WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                              ORDER BY r.revision DESC LIMIT 1) AS last ON true
          LEFT JOIN LATERAL (SELECT d.deployment FROM promote.deployment AS d
                              WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                              ORDER BY d.deployment DESC LIMIT 1) AS planned ON true
          LEFT JOIN LATERAL (SELECT d.action, d.status FROM promote.deployment AS d
                              WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                                AND d.deployment = i.changed_by LIMIT 1) AS change ON true
          LEFT JOIN LATERAL (SELECT d.action, d.status, d.revision FROM promote.deployment AS d
                              WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                                AND d.deployment = i.deployed_by LIMIT 1) AS done ON true
         WHERE i.status <> CASE WHEN i.changed_by = 0 THEN 'INITIALIZED'
                                WHEN change.action IN ('PROVISION', 'DECOMMISSION') AND change.status IN ('FAILED', 'ABORTED') THEN 'FAILED'
                                WHEN change.action = 'PROVISION' AND change.status = 'COMPLETED' THEN 'PROVISIONED'
                                WHEN change.action = 'DECOMMISSION' AND change.status = 'COMPLETED' THEN 'DECOMMISSIONED'
                                ELSE '' END
            OR (i.deployed_by IS NULL) <> (i.deployed_revision IS NULL)
            OR i.deployed_by IS NOT NULL
               AND (done.action, done.status, done.revision) IS DISTINCT FROM ('PROVISION', 'COMPLETED', i.deployed_revision)
            OR i.revision <> COALESCE(last.revision, 0)
            OR i.deployment <> COALESCE(planned.deployment, 0)
            OR i.version_constraint IS DISTINCT FROM last.version_constraint
            OR i.release_channel IS DISTINCT FROM last.release_channel
        UNION ALL
        -- where deployments wait, one is due, so that it will be claimed
        SELECT i.project, i.name, NULL, 'its queue stands still: deployments wait, and none is due'
          FROM promote_internal.instances_of($1, $2) AS i
         CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS waiting,
                                    pg_catalog.count(d.due_at) FILTER (WHERE pg_catalog.isfinite(d.due_at)) AS due
                               FROM promote.deployment AS d
                              WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                                AND d.status IN ('PENDING', 'APPROVED', 'RUNNING')) AS q
         WHERE q.waiting > 0 AND q.due = 0
        UNION ALL
        -- projects have counted their requests, and say which row of their chain tells of the last pruning
        SELECT p.project, p.project, NULL, 'the project does not say how many requests it had, or where its last pruning is'
          FROM promote.project AS p
         WHERE ($1 IS NULL OR p.project = $1) AND ($2 IS NULL OR p.project = $2)
           AND (p.request <> COALESCE((SELECT r.request FROM promote.promotion_request AS r WHERE r.project = p.project
                                        ORDER BY r.request DESC LIMIT 1), 0)
                OR p.pruned IS DISTINCT FROM (SELECT pg_catalog.max(a.seq) FROM promote.audit_log AS a
                                               WHERE a.project = p.project AND a.subject = p.project
                                                 AND a.event IN ('audit.pruned', 'audit.checkpoint')))
        UNION ALL
        -- builtin types of resources are those that promote came with
        SELECT '*', 'stateful_type ' || COALESCE(b.pattern, s.pattern) || '/t', NULL, 'it is not as promote came with it'
          FROM promote_internal.builtin_stateful_types() AS b
          FULL JOIN (SELECT t.pattern, t.description, t.like_pattern FROM promote.stateful_type AS t WHERE t.builtin) AS s
            ON s.pattern = b.pattern
         WHERE (s.pattern IS NULL OR b.pattern IS NULL OR s.description IS DISTINCT FROM b.description
                OR s.like_pattern <> promote_internal.type_pattern(b.pattern))
           AND ($1 IS NULL OR $1 = 'stateful_type ' || COALESCE(b.pattern, s.pattern) || '/t') AND ($2 IS NULL OR $2 = '*')
        UNION ALL
        SELECT '*', 'trigger ' || g.trigger_name || ' of ' || g.table_name, NULL, g.problem || ': see promote.restore_guards'
          FROM promote_internal.guard_problems() AS g
         WHERE $1 IS NULL AND ($2 IS NULL OR $2 = '*')
        UNION ALL
        SELECT $2, $1, NULL, CASE WHEN $1 IS NULL THEN 'there is no such project, and nothing is recorded of it'
                                  ELSE 'there is no such instance, and nothing is recorded of it' END
         WHERE ($1 IS NOT NULL OR $2 <> '*')
           AND NOT EXISTS (SELECT FROM promote_internal.audit_of($1, $2))
           AND NOT EXISTS (SELECT FROM promote_internal.instances_of($1, $2))
        ORDER BY 1, 2, 3;
    END;
REVOKE ALL ON FUNCTION promote_internal.audit_problems(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.audit_problems(text, text) IS
'What promote.verify_audit returns to those who may ask it';

CREATE FUNCTION promote.restore_guards()
    RETURNS TABLE (table_name text, trigger_name text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'promote_restore_guards';
REVOKE ALL ON FUNCTION promote.restore_guards() FROM PUBLIC;
COMMENT ON FUNCTION promote.restore_guards() IS
'Makes the triggers that guard and record what they were when the extension was created, and returns those that differed. For the owner of the tables; leaves an event in the audit log';

CREATE FUNCTION promote.verify_audit(subject text DEFAULT NULL, project text DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_verify_audit';
REVOKE ALL ON FUNCTION promote.verify_audit(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.verify_audit(text, text) IS
'What is wrong with the record of one subject, of one project or of all: a row for each problem. There is none if every chain is whole, every row of every table and its configuration are as they were recorded, every instance is where its history has brought it, and every guard stands';

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
'The last hash of every chain of a project, or of all. Kept out of reach of everybody who can write here, it proves later that nothing up to there was rewritten';

CREATE FUNCTION promote.verify_audit_head(project text, subject text, seq bigint, hash bytea)
    RETURNS TABLE (problem text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT CASE WHEN a.seq IS NULL AND l.seq IS NULL THEN 'the chain is gone'
                    WHEN a.seq IS NULL AND l.seq < $3 THEN 'the chain ends before it: rows were removed'
                    -- a checkpoint excuses nothing: whoever can write here can write one as well
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
'What is wrong with a chain, by a head that was kept elsewhere: no row if the chain still has that hash in that place. A chain that was pruned beyond the head is reported as well';
