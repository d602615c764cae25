-- Retention: old rows of the audit log make way for checkpoints, behind which the chains still verify.

-- From chain to chain by the index, however many rows each of them has.
CREATE FUNCTION promote_internal.chains_of(project text) RETURNS TABLE (subject text)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        WITH RECURSIVE chain (subject) AS (
            (SELECT a.subject FROM promote.audit_log AS a WHERE a.project = $1 ORDER BY a.project, a.subject LIMIT 1)
             UNION ALL
            SELECT (SELECT a.subject FROM promote.audit_log AS a WHERE a.project = $1 AND a.subject > c.subject
                     ORDER BY a.project, a.subject LIMIT 1)
              FROM chain AS c WHERE c.subject IS NOT NULL)
        SELECT c.subject FROM chain AS c WHERE c.subject IS NOT NULL;
    END;
REVOKE ALL ON FUNCTION promote_internal.chains_of(text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.chains_of(text) IS
'The subjects of a project that have a chain';

CREATE FUNCTION promote_internal.prunable_chains(before timestamptz, project text)
    RETURNS TABLE (project text, subject text, cut bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT o.project, c.subject, l.cut
          FROM (SELECT $2 AS project WHERE $2 IS NOT NULL
                UNION ALL
                -- a project that is gone has left its chains
               (WITH RECURSIVE next (project) AS (
                    (SELECT a.project FROM promote.audit_log AS a ORDER BY a.project LIMIT 1)
                     UNION ALL
                    SELECT (SELECT a.project FROM promote.audit_log AS a WHERE a.project > n.project ORDER BY a.project LIMIT 1)
                      FROM next AS n WHERE n.project IS NOT NULL)
                SELECT n.project FROM next AS n WHERE n.project IS NOT NULL AND $2 IS NULL)
                OFFSET 0) AS o
         CROSS JOIN LATERAL promote_internal.chains_of(o.project) AS c
         CROSS JOIN LATERAL (
              SELECT a.seq AS oldest
                FROM (SELECT a.seq, a.at FROM promote.audit_log AS a
                       WHERE a.project = o.project AND a.subject = c.subject AND a.event <> 'audit.checkpoint'
                       ORDER BY a.project, a.subject, a.seq LIMIT 1) AS a
               WHERE a.at < $1) AS f
         CROSS JOIN LATERAL (
              SELECT COALESCE((SELECT a.seq FROM promote.audit_log AS a
                                WHERE a.project = o.project AND a.subject = c.subject AND a.seq > f.oldest
                                  AND a.at >= $1 AND a.event <> 'audit.checkpoint'
                                ORDER BY a.project, a.subject, a.seq LIMIT 1),
                              (SELECT a.seq FROM promote.audit_log AS a
                                WHERE a.project = o.project AND a.subject = c.subject
                                ORDER BY a.project DESC, a.subject DESC, a.seq DESC LIMIT 1)) - 1 AS cut) AS l
         WHERE l.cut >= f.oldest;
    END;
REVOKE ALL ON FUNCTION promote_internal.prunable_chains(timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.prunable_chains(timestamptz, text) IS
'The chains with rows that are older than that, of a project or of all, and the last row of each that can go: all up to the first that is not old, but never the last one. A checkpoint is as old as what it stands for, whenever it was made; alone it is no reason to prune again';

CREATE FUNCTION promote_internal.pruned_rows(project text, subject text, cut bigint)
    RETURNS TABLE (gone bigint, newest timestamptz, stood_for bigint, last_at text, rows jsonb, hash bytea)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT pg_catalog.count(*), pg_catalog.max(g.at) FILTER (WHERE g.event <> 'audit.checkpoint'),
               pg_catalog.sum(CASE g.event WHEN 'audit.checkpoint' THEN (g.data ->> 'rows')::bigint ELSE 1 END)::bigint,
               pg_catalog.max(g.data ->> 'last_at') FILTER (WHERE g.event = 'audit.checkpoint'),
               -- the salt is one of theirs; of what is gone nothing has to be known
               (SELECT pg_catalog.jsonb_object_agg(l.name, l.digest)
                  FROM (SELECT DISTINCT ON (r.name) r.name, r.digest
                          FROM promote.audit_log AS a
                         CROSS JOIN LATERAL pg_catalog.jsonb_each_text(a.rows) AS r (name, digest)
                         WHERE a.project = $1 AND a.subject = $2 AND a.seq <= $3
                         ORDER BY r.name, a.seq DESC) AS l
                 WHERE l.digest IS NOT NULL),
               (SELECT a.hash FROM promote.audit_log AS a WHERE a.project = $1 AND a.subject = $2 AND a.seq = $3)
          FROM promote.audit_log AS g
         WHERE g.project = $1 AND g.subject = $2 AND g.seq <= $3;
    END;
REVOKE ALL ON FUNCTION promote_internal.pruned_rows(text, text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.pruned_rows(text, text, bigint) IS
'What a checkpoint carries along of the rows of a chain up to that one: how many they are, the newest time of those that are no checkpoint, how many it stands for with those that a checkpoint among them does and the time of that one''s last, what they said last of rows of other tables, and the last one''s hash';

CREATE FUNCTION promote.prune_audit(
    before timestamptz, project text DEFAULT NULL, max_chains integer DEFAULT NULL)
    RETURNS TABLE (project text, subject text, pruned bigint, seq bigint, last_at timestamptz)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_prune_audit';
REVOKE ALL ON FUNCTION promote.prune_audit(timestamptz, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.prune_audit(timestamptz, text, integer) IS
'Removes the rows of the audit log that are older than a time, of a project or of all, but for the last row of each chain. A checkpoint stands for the removed rows and carries the hash of the last of them. Returns a row for each chain that was shortened, at most max_chains; called again it goes on. Takes the grant admin; a chain that does not verify is refused, PM731';
