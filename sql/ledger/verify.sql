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
        SELECT c.relname, k.conname,
               CASE WHEN pg_catalog.bool_or(w.enabled = 'O') THEN 'the foreign key is not enforced'
                    ELSE 'the foreign key locks what it refers to' END,
               pg_catalog.string_agg(pg_catalog.format('ALTER TABLE promote.%I %s TRIGGER %I', c.relname,
                                                       CASE w.enabled WHEN 'O' THEN 'ENABLE' ELSE 'DISABLE' END, t.tgname), '; ')
          FROM pg_catalog.pg_trigger AS t
          JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
          JOIN pg_catalog.pg_constraint AS k ON k.oid = t.tgconstraint
          JOIN pg_catalog.pg_class AS r ON r.oid = k.confrelid
          -- what check_references does, PostgreSQL does not do; keys that the owner adds are left to PostgreSQL
         CROSS JOIN LATERAL (
              SELECT CASE WHEN t.tgfoid = 'pg_catalog."RI_FKey_check_ins"()'::pg_catalog.regprocedure
                           AND r.relnamespace = c.relnamespace AND EXISTS (SELECT FROM promote_internal.own_triggers() AS o
                                        WHERE o.table_name = c.relname AND o.trigger_name = 'check_references')
                          THEN 'D' ELSE 'O' END AS enabled OFFSET 0) AS w
         WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace AND t.tgisinternal AND t.tgenabled::text <> w.enabled
         GROUP BY c.relname, k.conname
         ORDER BY 1, 2;
    END;
REVOKE ALL ON FUNCTION promote_internal.guard_problems() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_problems() IS
'Triggers that are not as CREATE EXTENSION has made them, foreign keys that are not enforced, and the statements that mend that';

CREATE FUNCTION promote_internal.recorded_tables()
    RETURNS TABLE (table_name text, trigger_name text, is_set boolean, blocks bigint)
    LANGUAGE sql STABLE ROWS 40
    BEGIN ATOMIC
        SELECT c.relname, t.tgname, c.relname IN ('planned_change', 'deployment_log'),
               pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint
          FROM pg_catalog.pg_class AS c
          JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname IN ('record_change', 'record_row')
         WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace;
    END;
REVOKE ALL ON FUNCTION promote_internal.recorded_tables() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.recorded_tables() IS
'The tables whose rows the log tells of, a row for each trigger that records them; whether a digest is one of many rows, in the order of their key; and how many blocks they have';

CREATE FUNCTION promote_internal.recorded_rows(
    subject text DEFAULT NULL, project text DEFAULT NULL, from_subject text DEFAULT NULL, to_subject text DEFAULT NULL,
    buckets integer[] DEFAULT NULL)
    RETURNS TABLE (project text, subject text, name text, digest text, open boolean)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_recorded_rows';
REVOKE ALL ON FUNCTION promote_internal.recorded_rows(text, text, text, text, integer[]) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.recorded_rows(text, text, text, text, integer[]) IS
'The rows of all tables, of one subject or of one project, as the audit log would have them now: the subject whose chain tells of the row, what the row is called there, its digest, and whether nothing has to tell of it yet. Of a project also those of subjects from one to before another. With buckets only rows that fall into them, see verify_rows';

CREATE FUNCTION promote_internal.recorded_row(project text, subject text, name text)
    RETURNS TABLE (project text, subject text, name text, digest text, open boolean)
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'promote_recorded_row';
REVOKE ALL ON FUNCTION promote_internal.recorded_row(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.recorded_row(text, text, text) IS
'As recorded_rows, the row that a chain knows by that name; none where there is none';

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
          FROM (SELECT $4 AS hash) AS kept
          LEFT JOIN promote.audit_log AS a ON a.project = $1 AND a.subject = $2 AND a.seq = $3
         -- the chain is read only where the head does not fit
         CROSS JOIN LATERAL (SELECT pg_catalog.max(m.seq) AS seq,
                                    pg_catalog.max(m.seq) FILTER (WHERE m.event = 'audit.checkpoint') AS checkpoint
                               FROM promote.audit_log AS m
                              WHERE m.project = $1 AND m.subject = $2 AND a.hash IS DISTINCT FROM kept.hash) AS l
         WHERE a.hash IS DISTINCT FROM kept.hash;
    END;
REVOKE ALL ON FUNCTION promote.verify_audit_head(text, text, bigint, bytea) FROM PUBLIC;
COMMENT ON FUNCTION promote.verify_audit_head(text, text, bigint, bytea) IS
'What is wrong with a chain, by a head that was kept elsewhere: no row if the chain still has that hash in that place. A chain that was pruned beyond the head is reported as well';

CREATE FUNCTION promote_internal.are_heads(after jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_typeof($1) = 'array' AND NOT EXISTS (
            SELECT FROM pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof($1) WHEN 'array' THEN $1 ELSE '[]' END) AS h
             WHERE (pg_catalog.jsonb_typeof(h -> 'project') = 'string' AND pg_catalog.jsonb_typeof(h -> 'subject') = 'string'
                    AND h ->> 'seq' ~ '^[0-9]{1,18}$' AND h ->> 'hash' ~ E'^(\\\\x)?[0-9a-f]{64}$') IS NOT TRUE);
    END;
REVOKE ALL ON FUNCTION promote_internal.are_heads(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.are_heads(jsonb) IS
'Is it an array of objects, each with project, subject, seq and hash, which is hexadecimal, as text or as bytea is written?';

CREATE FUNCTION promote_internal.heads(after jsonb)
    RETURNS TABLE (project text, subject text, seq bigint, hash bytea)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT h ->> 'project', h ->> 'subject', (h ->> 'seq')::bigint,
               pg_catalog.decode(pg_catalog.right(h ->> 'hash', 64), 'hex')
          FROM pg_catalog.jsonb_array_elements(CASE WHEN promote_internal.are_heads($1) THEN $1 ELSE '[]' END) AS h;
    END;
REVOKE ALL ON FUNCTION promote_internal.heads(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.heads(jsonb) IS 'Heads as promote.chain_heads makes them; of anything else there are none';

CREATE FUNCTION promote_internal.chains_after(after jsonb, subject text, project text, from_subject text, to_subject text)
    RETURNS TABLE (project text, subject text, seq bigint)
    LANGUAGE sql STABLE ROWS 1000
    BEGIN ATOMIC
        -- one look into the index for each chain
        WITH RECURSIVE chain (project, subject) AS (
            (SELECT f.project, f.subject FROM promote.audit_log AS f
              WHERE (f.project, f.subject) >= (COALESCE($3, ''), COALESCE($4, '')) ORDER BY f.project, f.subject LIMIT 1)
            UNION ALL
            SELECT n.project, n.subject
              FROM chain AS c
             CROSS JOIN LATERAL (SELECT f.project, f.subject FROM promote.audit_log AS f
                                  WHERE (f.project, f.subject) > (c.project, c.subject) ORDER BY f.project, f.subject LIMIT 1) AS n
             WHERE $3 IS NULL OR c.project = $3 AND ($5 IS NULL OR c.subject < $5))
        SELECT c.project, c.subject, COALESCE(t.seq, h.seq, 0)
          FROM chain AS c
          LEFT JOIN (SELECT k.project, k.subject, pg_catalog.max(k.seq) AS seq
                       FROM promote_internal.heads($1) AS k
                       JOIN promote.audit_log AS a
                         ON a.project = k.project AND a.subject = k.subject AND a.seq = k.seq AND a.hash = k.hash
                      GROUP BY k.project, k.subject) AS h
            ON h.project = c.project AND h.subject = c.subject
          -- with nearly all that is done to an instance moves it, its newest deployment, or the one that is next or runs;
          -- what was told of these long ago is not looked for, as each night's verification would read on from there
          LEFT JOIN LATERAL (
              SELECT pg_catalog.min(w.seq) AS seq
                FROM (SELECT i.project, i.environment, i.component, i.deployment FROM promote.instance AS i
                       WHERE i.project = c.project AND i.name = c.subject OFFSET 0) AS i
               CROSS JOIN LATERAL (
                    SELECT 'instance'
                    UNION ALL
                    SELECT 'deployment/' || i.deployment
                    UNION ALL
                    SELECT 'deployment/' || d.deployment FROM promote.deployment AS d
                     WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                       AND d.due_at IS NOT NULL) AS n (name)
               CROSS JOIN LATERAL (
                    SELECT a.seq FROM promote.audit_log AS a
                     WHERE a.project = c.project AND a.subject = c.subject AND a.seq BETWEEN h.seq - 100 AND h.seq AND a.rows ? n.name
                     ORDER BY a.seq DESC LIMIT 1) AS w) AS t ON h.seq IS NOT NULL
         WHERE ($2 IS NULL OR c.subject = $2) AND ($3 IS NULL OR c.project = $3)
           AND ($4 IS NULL OR c.subject >= $4) AND ($5 IS NULL OR c.subject < $5);
    END;
REVOKE ALL ON FUNCTION promote_internal.chains_after(jsonb, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.chains_after(jsonb, text, text, text, text) IS
'The chains of a subject, of a project or of all, and in which place reading begins: at a head that was kept and that the chain still has, of an instance up to a hundred rows before it, where it was told what the instance and the deployments at work were then; or with 0 at its beginning';

CREATE FUNCTION promote_internal.last_words(
    subject text, project text, from_subject text DEFAULT NULL, to_subject text DEFAULT NULL, buckets integer[] DEFAULT NULL,
    after jsonb DEFAULT NULL)
    RETURNS TABLE (project text, subject text, name text, seq bigint, digest text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_last_words';
REVOKE ALL ON FUNCTION promote_internal.last_words(text, text, text, text, integer[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.last_words(text, text, text, text, integer[], jsonb) IS
'What chains say last of rows: what the row is called, in which place they say it, and its digest, NULL where it is gone. Arguments as of recorded_rows; with heads only what is said from there on. What was said long before may be there as well, in an earlier place: the last one counts';

-- The two functions below are what a whole verification is made of. They read a part each, and parallel workers may
-- share the parts. What the log says last of rows and what rows say of themselves is not returned, for that would be as
-- long as the log, but added up: the sums of keyed hashes, by buckets, which are the same if all has been said that is.

CREATE FUNCTION promote_internal.verify_chains(
    key bytea, subject text, project text, from_project text DEFAULT NULL, from_subject text DEFAULT NULL,
    to_project text DEFAULT NULL, to_subject text DEFAULT NULL, last bigint DEFAULT NULL, after jsonb DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text, speaker integer, bucket integer, low bigint, high bigint)
    LANGUAGE c STABLE PARALLEL SAFE COST 100000 ROWS 100
    AS 'MODULE_PATHNAME', 'promote_verify_chains';
REVOKE ALL ON FUNCTION promote_internal.verify_chains(bytea, text, text, text, text, text, text, bigint, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.verify_chains(bytea, text, text, text, text, text, text, bigint, jsonb) IS
'What is wrong with chains by themselves: of a subject, of a project, or of all from one key of the log to before another, up to a place in each, or behind heads that were kept. With a key of 32 bytes also sums of what they say last of rows: rows without a problem, but with a bucket and the two halves of its sum, speaker 0';

CREATE FUNCTION promote_internal.verify_rows(
    key bytea, project text, from_subject text, to_subject text, tables text[], triggers text[], from_block bigint, to_block bigint)
    RETURNS TABLE (project text, subject text, seq bigint, problem text, speaker integer, bucket integer, low bigint, high bigint)
    LANGUAGE c STABLE PARALLEL SAFE COST 100000 ROWS 100
    AS 'MODULE_PATHNAME', 'promote_verify_rows';
REVOKE ALL ON FUNCTION promote_internal.verify_rows(bytea, text, text, text, text[], text[], bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.verify_rows(bytea, text, text, text, text[], text[], bigint, bigint) IS
'The sums that verify_chains has to find, of the rows of tables as they are recorded by those triggers, of some blocks or of all: speaker 1 for rows, 2 for those of which nothing has to tell yet';

CREATE FUNCTION promote_internal.verify_parts(project text, from_subject text, to_subject text) RETURNS SETOF text
    LANGUAGE sql STABLE ROWS 100
    BEGIN ATOMIC
        WITH part AS MATERIALIZED (
            SELECT GREATEST(pg_catalog.pg_size_bytes(pg_catalog.current_setting('min_parallel_table_scan_size'))
                            / pg_catalog.current_setting('block_size')::bigint, 1) AS blocks),
        log AS MATERIALIZED (
            SELECT r.blocks, LEAST(r.blocks / p.blocks, 64) AS parts
              FROM part AS p
             CROSS JOIN (SELECT pg_catalog.pg_relation_size('promote.audit_log')
                                / pg_catalog.current_setting('block_size')::bigint AS blocks) AS r),
        -- some 32 blocks for each part say where it begins
        bound AS (
            SELECT DISTINCT s.project, s.subject
              FROM (SELECT a.project, a.subject, pg_catalog.row_number() OVER (ORDER BY a.project, a.subject) AS place,
                           pg_catalog.count(*) OVER () AS total
                      FROM promote.audit_log AS a
                           TABLESAMPLE SYSTEM ((SELECT CASE WHEN l.parts < 2 THEN 0 ELSE LEAST(3200.0 * l.parts / l.blocks, 100) END FROM log AS l))
                     WHERE ($1 IS NULL OR a.project = $1) AND ($2 IS NULL OR a.subject > $2) AND ($3 IS NULL OR a.subject < $3)) AS s
             CROSS JOIN log AS l
             WHERE s.place % GREATEST(s.total / GREATEST(l.parts, 1), 1) = 0),
        recorded AS (
            SELECT r.table_name, r.trigger_name, r.blocks, CASE WHEN $1 IS NULL AND NOT r.is_set THEN GREATEST(p.blocks, r.blocks / 64 + 1) END AS step,
                   r.blocks > p.blocks AS is_large
              FROM promote_internal.recorded_tables() AS r
             CROSS JOIN part AS p)
        SELECT pg_catalog.format('SELECT * FROM promote_internal.verify_chains($1, NULL, $2, %L, %L, %L, %L)', f.project, f.subject,
                                 pg_catalog.lead(f.project) OVER successive,
                                 COALESCE(pg_catalog.lead(f.subject) OVER successive, $3))
          FROM (SELECT NULL AS project, $2 AS subject UNION ALL SELECT b.project, b.subject FROM bound AS b) AS f
        WINDOW successive AS (ORDER BY f.project NULLS FIRST, f.subject COLLATE "C" NULLS FIRST)
        UNION ALL
        SELECT pg_catalog.format('SELECT * FROM promote_internal.verify_rows($1, $2, %L, %L, %L, %L, %L, %L)', $2, $3,
                                 ARRAY[r.table_name], ARRAY[r.trigger_name], b.block,
                                 CASE WHEN b.block + r.step <= r.blocks THEN b.block + r.step END)
          FROM recorded AS r
         CROSS JOIN LATERAL pg_catalog.generate_series(0, r.blocks, COALESCE(r.step, r.blocks + 1)) AS b (block)
         WHERE r.is_large
        UNION ALL
        SELECT pg_catalog.format('SELECT * FROM promote_internal.verify_rows($1, $2, %L, %L, %L, %L, NULL, NULL)', $2, $3,
                                 pg_catalog.array_agg(r.table_name), pg_catalog.array_agg(r.trigger_name))
          FROM recorded AS r
         WHERE NOT r.is_large;
    END;
REVOKE ALL ON FUNCTION promote_internal.verify_parts(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.verify_parts(text, text, text) IS
'The queries, with a key as $1 and the project as $2, that together read all chains and all recorded rows of a project or of all once. What is larger than min_parallel_table_scan_size is divided into parts of that size or more, of 64 at most: the log by its key, so that a chain is never divided, other tables by blocks';

-- Functions for the rows of one subject, of one project, or of all, which the planner takes apart: it looks up keys
-- in the one case, and reads everything in the other.

CREATE FUNCTION promote_internal.projects_of(subject text) RETURNS TABLE (project text)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        -- the projects of the log, one look into the index for each
        WITH RECURSIVE next (project) AS (
            (SELECT f.project FROM promote.audit_log AS f ORDER BY f.project LIMIT 1)
            UNION ALL
            SELECT (SELECT f.project FROM promote.audit_log AS f WHERE f.project > next.project ORDER BY f.project LIMIT 1)
              FROM next WHERE next.project IS NOT NULL)
        SELECT next.project FROM next
         WHERE EXISTS (SELECT FROM promote.audit_log AS a WHERE a.project = next.project AND a.subject = $1)
         ORDER BY 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.projects_of(text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.projects_of(text) IS 'The projects in which that subject has a chain';

CREATE FUNCTION promote_internal.instances_of(subject text, project text, from_subject text DEFAULT NULL, to_subject text DEFAULT NULL)
    RETURNS TABLE (project text, environment text, component text, name text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT i.project, i.environment, i.component, i.name FROM promote.instance AS i WHERE $1 IS NULL AND $2 IS NULL
        UNION ALL
        SELECT i.project, i.environment, i.component, i.name FROM promote.instance AS i
         WHERE $1 IS NULL AND i.project = $2 AND ($3 IS NULL OR i.name >= $3 COLLATE "C") AND ($4 IS NULL OR i.name < $4 COLLATE "C")
        UNION ALL
        SELECT i.project, i.environment, i.component, i.name FROM promote.instance AS i WHERE i.name = $1 AND ($2 IS NULL OR i.project = $2);
    END;
REVOKE ALL ON FUNCTION promote_internal.instances_of(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.instances_of(text, text, text, text) IS
'The instance of that name, or all of a project, or those of it from one name to before another; NULL: all';

CREATE FUNCTION promote_internal.chain_problems(subject text, project text, last bigint DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT c.project, c.subject, c.seq, c.problem
          FROM promote_internal.verify_chains(NULL, $1, $2, NULL, NULL, NULL, NULL, $3) AS c;
    END;
REVOKE ALL ON FUNCTION promote_internal.chain_problems(text, text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.chain_problems(text, text, bigint) IS
'What is wrong with chains by themselves, up to that row: rows that are not what their hashes say, that are missing, or that do not follow each other';

-- The functions below have their caller's rights, which only suffice if the caller is the owner, as promote.verify_audit
-- is. How long they take does not depend on statistics, of which there are none after a restore: large sets are joined by
-- FULL JOIN, which is never done by nested loops, and everything else is looked up by a whole key.

CREATE FUNCTION promote_internal.row_problems(
    subject text, project text, from_subject text DEFAULT NULL, to_subject text DEFAULT NULL, buckets integer[] DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on SET enable_sort = on
    BEGIN ATOMIC
        SELECT COALESCE(l.project, n.project), COALESCE(l.subject, n.subject), l.seq,
               CASE WHEN COALESCE(l.name, n.name) = COALESCE(l.subject, n.subject) THEN '' ELSE COALESCE(l.name, n.name) || ': ' END
               || CASE WHEN n.name IS NULL THEN 'the row that it records is not there'
                       WHEN l.name IS NULL THEN 'there is such a row, and nothing records it'
                       WHEN l.digest IS NULL THEN 'the row that it says was deleted is there'
                       ELSE 'the row is not what it records' END
          FROM (SELECT DISTINCT ON (m.project, m.subject, m.name) m.project, m.subject, m.name, m.seq, m.digest
                  FROM promote_internal.last_words($1, $2, $3, $4, $5) AS m
                 ORDER BY m.project, m.subject, m.name, m.seq DESC) AS l
          FULL JOIN promote_internal.recorded_rows($1, $2, $3, $4, $5) AS n
            ON n.project = l.project AND n.subject = l.subject AND n.name = l.name
         WHERE l.digest IS DISTINCT FROM n.digest AND NOT (l.digest IS NULL AND n.open);
    END;
REVOKE ALL ON FUNCTION promote_internal.row_problems(text, text, text, text, integer[]) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.row_problems(text, text, text, text, integer[]) IS
'Rows of tables that are not what the events that wrote them last say of them, and what of them is missing on either side. Arguments as of recorded_rows';

CREATE FUNCTION promote_internal.config_problems(
    subject text, project text, from_subject text DEFAULT NULL, to_subject text DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH named AS NOT MATERIALIZED (
            SELECT r.project, r.environment, r.component, r.digest, 'revision ' || r.revision AS what FROM promote.revision AS r
            UNION ALL
            SELECT d.project, d.environment, d.component, d.rendered_digest, 'deployment ' || d.deployment FROM promote.deployment AS d
            UNION ALL
            -- what was observed may be adopted
            SELECT o.project, o.environment, o.component, o.document, 'observation' FROM promote.observation AS o
             WHERE o.document IS NOT NULL),
        -- each configuration is read once
        unfit AS MATERIALIZED (
            SELECT c.project, c.digest FROM promote.config AS c
             WHERE $1 IS NULL AND ($2 IS NULL OR c.project = $2)
               -- without its project there is no key for it
               AND CASE WHEN EXISTS (SELECT FROM promote.project_key AS p WHERE p.project = c.project)
                        THEN c.digest <> promote.config_digest(c.project, c.params) ELSE true END
            UNION ALL
            SELECT k.project, k.digest
              FROM (SELECT DISTINCT n.project, n.digest
                      FROM promote_internal.instances_of($1, $2) AS i
                      JOIN named AS n ON n.project = i.project AND n.environment = i.environment AND n.component = i.component
                     WHERE $1 IS NOT NULL) AS k
             WHERE NOT EXISTS (SELECT FROM promote.config AS c WHERE c.project = k.project AND c.digest = k.digest
                                  AND c.digest = CASE WHEN EXISTS (SELECT FROM promote.project_key AS p WHERE p.project = c.project)
                                                      THEN promote.config_digest(c.project, c.params) END)),
        suspect AS NOT MATERIALIZED (
            SELECT n.* FROM named AS n
             WHERE $1 IS NULL AND ($2 IS NULL OR n.project = $2)
               AND NOT EXISTS (SELECT FROM promote.config AS c WHERE c.project = n.project AND c.digest = n.digest)
            UNION ALL
            SELECT n.* FROM named AS n
             WHERE $1 IS NULL AND EXISTS (SELECT FROM unfit)
               -- IS TRUE, so that it is not joined: the few are hashed
               AND ((n.project, n.digest) IN (SELECT u.project, u.digest FROM unfit AS u)) IS TRUE
            UNION ALL
            SELECT n.*
              FROM promote_internal.instances_of($1, $2) AS i
              JOIN named AS n ON n.project = i.project AND n.environment = i.environment AND n.component = i.component
             WHERE $1 IS NOT NULL AND ((n.project, n.digest) IN (SELECT u.project, u.digest FROM unfit AS u)) IS TRUE)
        SELECT i.project, i.name, NULL::bigint, s.what || ': its configuration is not there or was changed'
          FROM suspect AS s
          JOIN promote.instance AS i ON i.project = s.project AND i.environment = s.environment AND i.component = s.component
         WHERE ($3 IS NULL OR i.name >= $3 COLLATE "C") AND ($4 IS NULL OR i.name < $4 COLLATE "C")
        UNION ALL
        -- documents of other rows, which are few
        SELECT x.project, x.subject, NULL::bigint, x.what || ' are not there or were changed'
          FROM (SELECT r.project::text, 'request ' || r.project || '/' || r.request, 'its overrides', r.overrides_digest
                  FROM promote.promotion_request AS r
                 WHERE r.overrides_digest IS NOT NULL
                 UNION ALL
                SELECT g.project, 'environment_generation ' || g.project || '/' || g.environment || '/' || g.generation,
                       'its parameters', g.parameters_digest
                  FROM promote.environment_generation AS g
                 WHERE g.parameters_digest IS NOT NULL) AS x (project, subject, what, digest)
         WHERE ($1 IS NULL OR x.subject = $1) AND ($2 IS NULL OR x.project = $2)
           AND ($3 IS NULL OR x.subject >= $3 COLLATE "C") AND ($4 IS NULL OR x.subject < $4 COLLATE "C")
           AND NOT EXISTS (SELECT FROM promote.config AS c WHERE c.project = x.project AND c.digest = x.digest
                              AND c.digest = CASE WHEN EXISTS (SELECT FROM promote.project_key AS p WHERE p.project = c.project)
                                                  THEN promote.config_digest(c.project, c.params) END);
    END;
REVOKE ALL ON FUNCTION promote_internal.config_problems(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.config_problems(text, text, text, text) IS
'Configurations of revisions, of deployments and of what was observed last, overrides of requests and parameters of what is archived that are not what their digests say, or are not there. Arguments as of recorded_rows. It has no settings of its own, so that it is planned for its arguments';

CREATE FUNCTION promote_internal.problems_after(
    after jsonb, subject text, project text, from_subject text, to_subject text)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on SET enable_sort = on
    BEGIN ATOMIC
        WITH word AS MATERIALIZED (
            SELECT DISTINCT ON (m.project, m.subject, m.name) m.project, m.subject, m.name, m.seq, m.digest
              FROM promote_internal.last_words($2, $3, $4, $5, NULL, $1) AS m
             ORDER BY m.project, m.subject, m.name, m.seq DESC)
        SELECT h.project, h.subject, h.seq, 'the kept head: ' || v.problem
          FROM promote_internal.heads($1) AS h
         CROSS JOIN LATERAL promote.verify_audit_head(h.project, h.subject, h.seq, h.hash) AS v
         WHERE ($2 IS NULL OR h.subject = $2) AND ($3 IS NULL OR h.project = $3)
           AND ($4 IS NULL OR h.subject >= $4 COLLATE "C") AND ($5 IS NULL OR h.subject < $5 COLLATE "C")
        UNION ALL
        SELECT c.project, c.subject, c.seq, c.problem
          FROM promote_internal.verify_chains(NULL, $2, $3, NULL, $4, NULL, $5, NULL, $1) AS c
        UNION ALL
        SELECT w.project, w.subject, w.seq,
               CASE WHEN w.name = w.subject THEN '' ELSE w.name || ': ' END
               || CASE WHEN n.name IS NULL THEN 'the row that it records is not there'
                       WHEN w.digest IS NULL THEN 'the row that it says was deleted is there'
                       ELSE 'the row is not what it records' END
          FROM word AS w
          LEFT JOIN LATERAL promote_internal.recorded_row(w.project, w.subject, w.name) AS n ON true
         WHERE w.digest IS DISTINCT FROM n.digest AND NOT (w.digest IS NULL AND n.open)
        UNION ALL
        SELECT s.project, s.subject, NULL, s.what || ': its configuration is not there or was changed'
          FROM (SELECT w.project, w.subject, 'revision ' || r.revision AS what, r.digest
                  FROM (SELECT * FROM word WHERE name ~ '^revision [^/]+/[^/]+/[^/]+/[0-9]{1,9}$' OFFSET 0) AS w
                  JOIN promote.revision AS r
                    ON r.project = pg_catalog.split_part(pg_catalog.substr(w.name, 10), '/', 1)
                   AND r.environment = pg_catalog.split_part(w.name, '/', 2) AND r.component = pg_catalog.split_part(w.name, '/', 3)
                   AND r.revision = pg_catalog.split_part(w.name, '/', 4)::integer
                UNION ALL
                SELECT w.project, w.subject, 'deployment ' || d.deployment, d.rendered_digest
                  FROM (SELECT * FROM word WHERE name ~ '^deployment [^/]+/[^/]+/[^/]+/[0-9]{1,9}$' OFFSET 0) AS w
                  JOIN promote.deployment AS d
                    ON d.project = pg_catalog.split_part(pg_catalog.substr(w.name, 12), '/', 1)
                   AND d.environment = pg_catalog.split_part(w.name, '/', 2) AND d.component = pg_catalog.split_part(w.name, '/', 3)
                   AND d.deployment = pg_catalog.split_part(w.name, '/', 4)::integer
                UNION ALL
                SELECT w.project, w.subject, 'observation', o.document
                  FROM (SELECT * FROM word WHERE name LIKE 'observation %' OFFSET 0) AS w
                  JOIN promote.observation AS o
                    ON o.project = pg_catalog.split_part(pg_catalog.substr(w.name, 13), '/', 1)
                   AND o.environment = pg_catalog.split_part(w.name, '/', 2) AND o.component = pg_catalog.split_part(w.name, '/', 3)
                   AND o.document IS NOT NULL) AS s
         WHERE NOT EXISTS (SELECT FROM promote.config AS c WHERE c.project = s.project AND c.digest = s.digest
                              AND c.digest = CASE WHEN EXISTS (SELECT FROM promote.project_key AS p WHERE p.project = c.project)
                                                  THEN promote.config_digest(c.project, c.params) END);
    END;
REVOKE ALL ON FUNCTION promote_internal.problems_after(jsonb, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.problems_after(jsonb, text, text, text, text) IS
'What is wrong with heads that were kept, with chains from them on, and with rows and configurations that events from them on tell of';

CREATE FUNCTION promote_internal.state_problems(
    subject text, project text, from_subject text DEFAULT NULL, to_subject text DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = on SET enable_hashjoin = on SET enable_mergejoin = on SET enable_sort = on
    BEGIN ATOMIC
        -- instances are where their history has brought them
        SELECT o.project, o.name, NULL::bigint, 'the instance does not say what its history says'
          FROM promote_internal.instances_of($1, $2, $3, $4) AS o
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
            OR i.revision <> GREATEST(last.revision, i.opened_revision)
            OR i.deployment <> COALESCE(planned.deployment, 0)
            OR i.version_constraint IS DISTINCT FROM CASE WHEN last.revision > i.opened_revision THEN last.version_constraint::text END
            OR i.release_channel IS DISTINCT FROM CASE WHEN last.revision > i.opened_revision THEN last.release_channel::text END
        UNION ALL
        -- where deployments wait, one is due, so that it will be claimed
        SELECT i.project, i.name, NULL, 'its queue stands still: deployments wait, and none is due'
          FROM promote_internal.instances_of($1, $2, $3, $4) AS i
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
           AND NOT EXISTS (SELECT FROM promote.audit_log AS a WHERE a.project = $2 AND ($1 IS NULL OR a.subject = $1))
           AND NOT EXISTS (SELECT FROM promote_internal.projects_of($1) WHERE $1 IS NOT NULL AND $2 IS NULL)
           AND NOT EXISTS (SELECT FROM promote_internal.instances_of($1, $2));
    END;
REVOKE ALL ON FUNCTION promote_internal.state_problems(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.state_problems(text, text, text, text) IS
'Instances, queues, projects, builtin types and guards that are not as they must be, and a subject of which there is nothing. Arguments as of recorded_rows; of rows that belong to no instance the bounds are not looked at';

CREATE FUNCTION promote_internal.audit_problems(subject text, project text)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT * FROM promote_internal.chain_problems($1, $2)
        UNION ALL
        SELECT * FROM promote_internal.row_problems($1, $2)
        UNION ALL
        SELECT * FROM promote_internal.config_problems($1, $2)
        UNION ALL
        SELECT * FROM promote_internal.state_problems($1, $2)
        ORDER BY 1, 2, 3;
    END;
REVOKE ALL ON FUNCTION promote_internal.audit_problems(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.audit_problems(text, text) IS
'What promote.verify_audit returns of a subject';

CREATE FUNCTION promote.restore_guards()
    RETURNS TABLE (table_name text, trigger_name text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'promote_restore_guards';
REVOKE ALL ON FUNCTION promote.restore_guards() FROM PUBLIC;
COMMENT ON FUNCTION promote.restore_guards() IS
'Makes the triggers that guard and record what they were when the extension was created, and returns those that differed. For the owner of the tables; leaves an event in the audit log';

CREATE FUNCTION promote.verify_audit(
    subject text DEFAULT NULL, project text DEFAULT NULL, heads jsonb DEFAULT NULL,
    from_subject text DEFAULT NULL, to_subject text DEFAULT NULL)
    RETURNS TABLE (project text, subject text, seq bigint, problem text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_verify_audit';
REVOKE ALL ON FUNCTION promote.verify_audit(text, text, jsonb, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.verify_audit(text, text, jsonb, text, text) IS
'What is wrong with the record of one subject, of one project or of all: a row for each problem. There is none if every chain is whole, every row of every table and its configuration are as they were recorded, every instance is where its history has brought it, and every guard stands';

CREATE FUNCTION promote.chain_heads(project text DEFAULT NULL) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                   'project', h.project, 'subject', h.subject, 'seq', h.seq, 'hash', pg_catalog.encode(h.hash, 'hex'))
                   ORDER BY h.project, h.subject)
          FROM promote.audit_head($1) AS h;
    END;
REVOKE ALL ON FUNCTION promote.chain_heads(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.chain_heads(text) IS
'As audit_head, in one document that can be kept in a file, or of which only promote.jsonb_digest is kept out of reach. promote.verify_audit(heads => ...) goes on from it. NULL where there are none';

CREATE FUNCTION promote.audit_slices(project text DEFAULT NULL, chains integer DEFAULT 1000)
    RETURNS TABLE (project text, from_subject text, to_subject text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT b.project, b.subject, pg_catalog.lead(b.subject) OVER (PARTITION BY b.project ORDER BY b.place)
          FROM (SELECT k.project, CASE WHEN k.place > 1 THEN k.subject END AS subject, k.place
                  FROM (SELECT c.project, c.subject, pg_catalog.row_number() OVER (PARTITION BY c.project ORDER BY c.subject) AS place
                          FROM (SELECT a.project, a.subject COLLATE "C" AS subject FROM promote.audit_log AS a
                                UNION
                                SELECT p.project, p.project FROM promote.project AS p
                                UNION
                                SELECT '*', '*' WHERE promote.may('audit')) AS c
                         WHERE $1 IS NULL OR c.project = $1) AS k
                 WHERE (k.place - 1) % GREATEST(COALESCE($2, 1000), 1) = 0) AS b
         ORDER BY b.project, b.place;
    END;
REVOKE ALL ON FUNCTION promote.audit_slices(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.audit_slices(text, integer) IS
'Bounds of slices of so many chains, which together are a project or everything. promote.verify_audit(project => ..., from_subject => ..., to_subject => ...) verifies one: several sessions may share them, and an interrupted verification goes on with the next';
