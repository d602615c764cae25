-- What holds of the rows of all tables, whoever wrote them, and whatever the server went through. What verify_audit holds
-- against the log is not looked at again. This part comes after all tables.

CREATE FUNCTION promote_internal.in_circles(names text[], others text[]) RETURNS SETOF text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10
    AS 'MODULE_PATHNAME', 'promote_in_circles';
REVOKE ALL ON FUNCTION promote_internal.in_circles(text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.in_circles(text[], text[]) IS
'The names from which one comes back to them, where each leads to the other one in the same place, and those that only such lead to';

-- Most invariants are of a kind, of which this function has tables: a row of a table is an invariant.
CREATE FUNCTION promote_internal.invariant_queries() RETURNS SETOF text
    LANGUAGE sql STABLE ROWS 100
    BEGIN ATOMIC
        WITH place AS MATERIALIZED (
            -- how a row's project and its name are written, where t is the row
            SELECT c.oid, c.relname, k.conkey,
                   pg_catalog.quote_literal(c.relname || ' ') AS kind,
                   (SELECT pg_catalog.array_agg('t.' || pg_catalog.quote_ident(a.attname) ORDER BY u.place)
                      FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
                      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = u.attnum) AS key,
                   COALESCE((SELECT CASE WHEN a.attnotnull THEN 't.project' ELSE 'COALESCE(t.project, ''*'')' END
                               FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'project'),
                            '''*''') AS project
              FROM pg_catalog.pg_class AS c
              JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid AND k.contype = 'p'
             WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace),
        named AS MATERIALIZED (
            SELECT p.*, pg_catalog.array_to_string(p.key, ', ') AS columns,
                   pg_catalog.format('($1 IS NULL OR %s = $1)', p.project) AS asked
              FROM place AS p),
        -- what refers to what: by foreign keys, and by columns that cannot have one, which would be a circle or of two tables
        reference (table_name, columns, other, keys) AS (
            SELECT c.relname,
                   (SELECT pg_catalog.array_agg(a.attname::text ORDER BY u.place)
                      FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
                      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
                   r.relname,
                   (SELECT pg_catalog.array_agg(a.attname::text ORDER BY u.place)
                      FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
                      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum)
              FROM pg_catalog.pg_constraint AS k
              JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
              JOIN pg_catalog.pg_class AS r ON r.oid = k.confrelid
             WHERE k.contype = 'f' AND c.relnamespace = 'promote'::pg_catalog.regnamespace
               AND r.relnamespace = c.relnamespace
            UNION ALL
            SELECT s.table_name, pg_catalog.string_to_array(s.columns, ' '), s.other, pg_catalog.string_to_array(s.keys, ' ')
              FROM (VALUES
                  ('project_key', 'project', 'project', 'project'),
                  ('environment', 'project forked_from', 'environment', 'project environment'),
                  ('instance', 'project environment component deployed_revision', 'revision', 'project environment component revision'),
                  ('instance', 'project environment component deployed_by', 'deployment', 'project environment component deployment'),
                  ('revision', 'project source_environment component source_revision', 'revision', 'project environment component revision'),
                  ('deployment', 'project environment component base_deployment', 'deployment', 'project environment component deployment'),
                  ('deployment', 'project environment component plan', 'deployment', 'project environment component deployment'),
                  ('idempotency_key', 'project environment component new_revision', 'revision', 'project environment component revision'),
                  ('idempotency_key', 'project environment component deployment', 'deployment', 'project environment component deployment'),
                  ('secret', 'project environment component revision', 'revision', 'project environment component revision'),
                  ('promotion_request_item', 'project destination_environment component previous_revision', 'revision', 'project environment component revision'),
                  ('promotion_request_item', 'project destination_environment component revision', 'revision', 'project environment component revision'),
                  ('promotion_request_item', 'project destination_environment component plan', 'deployment', 'project environment component deployment'),
                  ('promotion_request_item', 'project destination_environment component deployment', 'deployment', 'project environment component deployment'),
                  ('promotion_request_item', 'project destination_environment component rollback_revision', 'revision', 'project environment component revision'),
                  ('promotion_request_item', 'project destination_environment component rollback_plan', 'deployment', 'project environment component deployment'),
                  ('promotion_request_item', 'project destination_environment component rollback_deployment', 'deployment', 'project environment component deployment')
                  ) AS s (table_name, columns, other, keys)),
        -- the last column of these keys counts from 1, for each of what the others say
        numbered (table_name) AS (
            VALUES ('deployment'), ('promotion_request'), ('promotion_request_preview'),
                   ('environment_generation'), ('approval'), ('gate_override'), ('health_report'), ('drift_item'),
                   ('release_event'), ('line_stop'), ('planned_change')),
        -- of an environment that is archived there are no such rows
        ended (table_name, environment, condition) AS (
            VALUES ('deployment', 'environment', 't.status IN (''PROPOSED'', ''PENDING'', ''APPROVED'', ''RUNNING'')'),
                   ('instance', 'environment', 't.deployed_revision IS NOT NULL OR t.status = ''FAILED'''),
                   ('promotion_request', 'source_environment', 't.finished_at IS NULL'),
                   ('promotion_request', 'destination_environment', 't.finished_at IS NULL'),
                   ('promotion_path', 'source_environment', 'true'),
                   ('promotion_path', 'destination_environment', 'true'),
                   ('approval_rule', 'environment', 'true'),
                   ('override_rule', 'environment', 'true'),
                   ('freeze_window', 'environment', 'true'),
                   ('change_window', 'environment', 'true'),
                   ('required_check', 'environment', 'true'),
                   ('policy', 'environment', 'true'),
                   ('grants', 'environment', 'true'),
                   ('idempotency_key', 'environment', 'true'),
                   ('remote_reference', 'environment', 'true'),
                   ('secret', 'environment', 'true'))
        SELECT pg_catalog.format($f$SELECT 'reference', %s, %s || pg_catalog.concat_ws('/', %s), %L || pg_catalog.concat_ws('/', %s)
                 FROM promote.%I AS t WHERE %s AND %s AND NOT EXISTS (SELECT FROM promote.%I AS r WHERE %s)$f$,
                                 n.project, n.kind, n.columns, 'there is no ' || f.other || ' ', w.columns, n.relname, n.asked, w.given, f.other, w.found)
          FROM reference AS f
          JOIN named AS n ON n.relname = f.table_name
         CROSS JOIN LATERAL (
              SELECT pg_catalog.string_agg('t.' || pg_catalog.quote_ident(u.name), ', ' ORDER BY u.place) AS columns,
                     pg_catalog.string_agg('t.' || pg_catalog.quote_ident(u.name) || ' IS NOT NULL', ' AND ') AS given,
                     pg_catalog.string_agg(pg_catalog.format('r.%I = t.%I', u.key, u.name), ' AND ') AS found
                FROM ROWS FROM (pg_catalog.unnest(f.columns), pg_catalog.unnest(f.keys)) WITH ORDINALITY AS u (name, key, place)) AS w
        UNION ALL
        SELECT pg_catalog.format($f$SELECT 'numbers', %s, pg_catalog.concat_ws('/', %s), pg_catalog.format('%s: %%s are numbered up to %%s', pg_catalog.count(*), pg_catalog.max(%s))
                 FROM promote.%I AS t WHERE %s GROUP BY %s HAVING pg_catalog.count(*) <> pg_catalog.max(%s)$f$,
                                 CASE WHEN g.count = 0 THEN '''*''' ELSE n.project END,
                                 pg_catalog.array_to_string(pg_catalog.quote_literal(n.relname) || n.key[:g.count], ', '),
                                 n.relname, n.key[g.count + 1], n.relname,
                                 CASE WHEN g.count = 0 THEN '($1 IS NULL OR $1 = ''*'')' ELSE n.asked END,
                                 CASE WHEN g.count = 0 THEN '()' ELSE pg_catalog.array_to_string(n.key[:g.count], ', ') END,
                                 n.key[g.count + 1])
          FROM numbered AS s
          JOIN named AS n ON n.relname = s.table_name
         CROSS JOIN LATERAL (SELECT pg_catalog.cardinality(n.key) - 1 AS count) AS g
        UNION ALL
        SELECT pg_catalog.format($f$SELECT 'archived', %s, %s || pg_catalog.concat_ws('/', %s), 'environment ' || t.%s || ' is archived'
                 FROM promote.%I AS t CROSS JOIN LATERAL (SELECT FROM promote.environment AS e
                      WHERE e.project = t.project AND e.environment = t.%s AND e.archived_at IS NOT NULL LIMIT 1) AS e
                WHERE %s AND (%s)$f$,
                                 n.project, n.kind, n.columns, s.environment, n.relname, s.environment, n.asked, s.condition)
          FROM ended AS s
          JOIN named AS n ON n.relname = s.table_name
        UNION ALL
        SELECT 'SELECT * FROM promote_internal.broken_invariants($1)';
    END;
REVOKE ALL ON FUNCTION promote_internal.invariant_queries() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.invariant_queries() IS
'Queries, with a project as $1 or NULL, that return what promote.check_invariants does';

CREATE FUNCTION promote_internal.broken_invariants(project text)
    RETURNS TABLE (invariant text, project text, subject text, detail text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        -- revisions count from 1, but that a number is left out where a generation of the environment was opened
        SELECT 'numbers', s.project::text, 'revision ' || pg_catalog.concat_ws('/', s.project, s.environment, s.component, s.revision),
               'the one before it is ' || COALESCE(s.previous, 0)
          FROM (SELECT r.project, r.environment, r.component, r.revision,
                       pg_catalog.lag(r.revision) OVER (PARTITION BY r.project, r.environment, r.component ORDER BY r.revision) AS previous
                  FROM promote.revision AS r
                 WHERE $1 IS NULL OR r.project = $1) AS s
         WHERE s.revision <> COALESCE(s.previous, 0) + 1
           AND NOT EXISTS (SELECT FROM promote.instance AS i
                            WHERE i.project = s.project AND i.environment = s.environment AND i.component = s.component
                              AND i.opened_revision = s.revision - 1)
           AND NOT EXISTS (SELECT FROM promote.environment_generation AS g
                            WHERE g.project = s.project AND g.environment = s.environment
                              AND (g.instances -> s.component ->> 0)::integer = s.revision)
        UNION ALL
        -- what is due is what runs or was queued first
        SELECT 'queue', d.project,
               'deployment ' || pg_catalog.concat_ws('/', d.project, d.environment, d.component, d.deployment),
               'it is due, and deployment ' || o.deployment || ' is before it'
          FROM promote.deployment AS d
         CROSS JOIN LATERAL (
              SELECT o.deployment
                FROM promote.deployment AS o
               WHERE o.project = d.project AND o.environment = d.environment AND o.component = d.component
                 AND o.status IN ('PENDING', 'APPROVED', 'RUNNING') AND o.deployment <> d.deployment
                 AND (o.status = 'RUNNING'
                      OR d.status <> 'RUNNING' AND (o.queued_at, o.deployment) < (d.queued_at, d.deployment))
               ORDER BY o.deployment LIMIT 1) AS o
         WHERE ($1 IS NULL OR d.project = $1) AND d.due_at IS NOT NULL
        UNION ALL
        -- of an instance one runs at a time
        SELECT 'one_runs', s.project,
               'deployment ' || pg_catalog.concat_ws('/', s.project, s.environment, s.component, s.deployment),
               'it began before deployment ' || s.previous || ' had ended'
          FROM (SELECT d.project, d.environment, d.component, d.deployment, d.started_at,
                       pg_catalog.lag(d.deployment) OVER one_after_the_other AS previous,
                       pg_catalog.lag(d.finished_at) OVER one_after_the_other AS ended
                  FROM promote.deployment AS d
                 WHERE ($1 IS NULL OR d.project = $1) AND d.started_at IS NOT NULL AND d.imported_at IS NULL
                WINDOW one_after_the_other AS (PARTITION BY d.project, d.environment, d.component
                                               ORDER BY d.started_at, d.deployment)) AS s
         WHERE s.previous IS NOT NULL AND (s.ended > s.started_at) IS NOT FALSE
        UNION ALL
        -- only the last claim writes, and what a claim did was not lost
        SELECT 'claim', d.project, 'deployment ' || pg_catalog.concat_ws('/', d.project, d.environment, d.component, d.deployment), v.detail
          FROM promote.deployment AS d
         CROSS JOIN LATERAL (VALUES
              (d.status IN ('RUNNING', 'COMPLETED') AND d.fencing <= d.lost_leases,
               'it is ' || d.status || ', and all of its claims were lost'),
              (EXISTS (SELECT FROM promote.planned_change AS c
                        WHERE c.project = d.project AND c.environment = d.environment AND c.component = d.component
                          AND c.deployment = d.deployment AND c.fencing > d.fencing),
               'changes were recorded by a claim that there never was'),
              (EXISTS (SELECT FROM promote.deployment_log AS l
                        WHERE l.project = d.project AND l.environment = d.environment AND l.component = d.component
                          AND l.deployment = d.deployment AND l.fencing > d.fencing),
               'its log was written by a claim that there never was')) AS v (broken, detail)
         WHERE ($1 IS NULL OR d.project = $1) AND v.broken
        UNION ALL
        -- a deployment is of its revision's bundle; what it follows is the plan that was reviewed; and what its diff starts
        -- from is what it says
        SELECT 'deployment', d.project, 'deployment ' || pg_catalog.concat_ws('/', d.project, d.environment, d.component, d.deployment), v.detail
          FROM promote.deployment AS d
          LEFT JOIN LATERAL (
               SELECT r.bundle FROM promote.revision AS r
                WHERE r.project = d.project AND r.environment = d.environment AND r.component = d.component
                  AND r.revision = d.revision LIMIT 1) AS r ON true
          LEFT JOIN LATERAL (
               SELECT p.action, p.status, p.revision, p.version, p.plan_digest FROM promote.deployment AS p
                WHERE p.project = d.project AND p.environment = d.environment AND p.component = d.component
                  AND p.deployment = d.plan LIMIT 1) AS p ON true
          LEFT JOIN LATERAL (
               SELECT b.revision FROM promote.deployment AS b
                WHERE b.project = d.project AND b.environment = d.environment AND b.component = d.component
                  AND b.deployment = d.base_deployment LIMIT 1) AS b ON true
         CROSS JOIN LATERAL (VALUES
              (r.bundle <> d.bundle, 'its revision is of another bundle'),
              ((p.action, p.status, p.revision, p.version, p.plan_digest)
               <> ('PLAN', 'COMPLETED', d.revision, d.version, d.plan_digest),
               'deployment ' || d.plan || ' is not the plan that it follows'),
              (b.revision <> d.base_revision, 'deployment ' || d.base_deployment || ' has not the revision that it starts from')
              ) AS v (broken, detail)
         WHERE ($1 IS NULL OR d.project = $1) AND v.broken
        UNION ALL
        -- a request holds its instances until it is over, and knows its last preview
        SELECT 'request', r.project, 'promotion_request ' || pg_catalog.concat_ws('/', r.project, r.request), v.detail
          FROM promote.promotion_request AS r
         CROSS JOIN LATERAL (
              SELECT pg_catalog.count(*) AS items,
                     pg_catalog.count(*) FILTER (WHERE t.holds) AS held,
                     pg_catalog.count(*) FILTER (WHERE NOT t.holds AND t.status <> 'SKIPPED') AS free,
                     pg_catalog.count(*) FILTER (WHERE t.status NOT IN ('DONE', 'SKIPPED', 'ROLLED_BACK')) AS open
                FROM promote.promotion_request_item AS t
               WHERE t.project = r.project AND t.request = r.request) AS t
          LEFT JOIN LATERAL (
               SELECT p.preview, p.digest FROM promote.promotion_request_preview AS p
                WHERE p.project = r.project AND p.request = r.request ORDER BY p.preview DESC LIMIT 1) AS p ON true
         CROSS JOIN LATERAL (VALUES
              (t.items = 0, 'it has no items'),
              (r.finished_at IS NOT NULL AND t.held > 0, 'it is over, and holds instances'),
              (r.finished_at IS NULL AND t.free > 0, 'it is open, and does not hold all of its instances'),
              (r.status IN ('COMPLETED', 'SKIPPED') AND t.open > 0, 'it is ' || r.status || ', and items of it are open'),
              ((r.preview, r.preview_digest) IS DISTINCT FROM (COALESCE(p.preview, 0), p.digest), 'its last preview is another one')
              ) AS v (broken, detail)
         WHERE ($1 IS NULL OR r.project = $1) AND v.broken
        UNION ALL
        -- the deployments of an item are what it has them for
        SELECT 'item', t.project, 'promotion_request_item ' || pg_catalog.concat_ws('/', t.project, t.request, t.component),
               'deployment ' || d.deployment || CASE v.action WHEN 'DONE' THEN ' is not completed' ELSE ' is not its ' || v.action END
          FROM promote.promotion_request_item AS t
         CROSS JOIN LATERAL (VALUES
              (t.plan, 'PLAN', t.revision), (t.deployment, 'PROVISION', t.revision),
              (t.rollback_plan, 'PLAN', t.rollback_revision), (t.rollback_deployment, 'PROVISION', t.rollback_revision),
              (CASE t.status WHEN 'DONE' THEN t.deployment END, 'DONE', NULL)) AS v (deployment, action, revision)
         CROSS JOIN LATERAL (
              SELECT d.deployment, d.action, d.status, d.revision FROM promote.deployment AS d
               WHERE d.project = t.project AND d.environment = t.destination_environment AND d.component = t.component
                 AND d.deployment = v.deployment LIMIT 1) AS d
         WHERE ($1 IS NULL OR t.project = $1)
           AND CASE v.action WHEN 'DONE' THEN d.status <> 'COMPLETED'
                             ELSE (d.action, d.revision) IS DISTINCT FROM (v.action, v.revision) END
        UNION ALL
        -- an environment has as many ended generations as it says
        SELECT 'generation', e.project, 'environment ' || pg_catalog.concat_ws('/', e.project, e.environment),
               pg_catalog.format('it is in its generation %s, and %s are kept', e.generation, g.kept)
          FROM promote.environment AS e
         CROSS JOIN LATERAL (
              SELECT pg_catalog.count(*) AS kept FROM promote.environment_generation AS g
               WHERE g.project = e.project AND g.environment = e.environment) AS g
         WHERE ($1 IS NULL OR e.project = $1)
           AND g.kept <> e.generation - CASE WHEN e.archived_at IS NULL THEN 1 ELSE 0 END
        UNION ALL
        -- a tag names revisions and deployments that there are
        SELECT 'tag', t.project, 'environment_tag ' || pg_catalog.concat_ws('/', t.project, t.environment, t.generation, t.tag),
               'there is no ' || v.kind || ' ' || pg_catalog.concat_ws('/', t.project, t.environment, s.key, v.number)
          FROM promote.environment_tag AS t
         CROSS JOIN LATERAL pg_catalog.jsonb_each(t.state) AS s (key, value)
         CROSS JOIN LATERAL (VALUES
              ('revision', (s.value ->> 'desired')::integer), ('revision', (s.value ->> 'revision')::integer),
              ('deployment', (s.value ->> 'deployment')::integer)) AS v (kind, number)
         WHERE ($1 IS NULL OR t.project = $1) AND v.number IS NOT NULL
           AND CASE v.kind
               WHEN 'revision' THEN NOT EXISTS (
                    SELECT FROM promote.revision AS r
                     WHERE r.project = t.project AND r.environment = t.environment AND r.component = s.key AND r.revision = v.number)
               ELSE NOT EXISTS (
                    SELECT FROM promote.deployment AS d
                     WHERE d.project = t.project AND d.environment = t.environment AND d.component = s.key AND d.deployment = v.number)
               END
        UNION ALL
        -- dependencies and paths never come back
        SELECT 'circle', g.project, g.kind || ' ' || g.project, 'they come back: ' || c.names
          FROM (SELECT 'component_dependency' AS kind, d.project, pg_catalog.array_agg(d.component::text) AS names,
                       pg_catalog.array_agg(d.depends_on::text) AS others
                  FROM promote.component_dependency AS d
                 WHERE ($1 IS NULL OR d.project = $1) GROUP BY d.project
                UNION ALL
                SELECT 'promotion_path', p.project, pg_catalog.array_agg(p.source_environment::text),
                       pg_catalog.array_agg(p.destination_environment::text)
                  FROM promote.promotion_path AS p
                 WHERE ($1 IS NULL OR p.project = $1) GROUP BY p.project) AS g
         CROSS JOIN LATERAL (
              SELECT pg_catalog.string_agg(c.name, ', ' ORDER BY c.name) AS names
                FROM (SELECT c.name FROM promote_internal.in_circles(g.names, g.others) AS c (name) ORDER BY c.name LIMIT 10) AS c) AS c
         WHERE c.names IS NOT NULL
        UNION ALL
        -- a chain's events are read in its order
        SELECT 'events', a.project, a.subject, pg_catalog.format('row %s is read before row %s', a.seq, a.previous)
          FROM (SELECT a.project, a.subject, a.seq, a.position,
                       pg_catalog.lag(a.seq) OVER chain AS previous, pg_catalog.lag(a.position) OVER chain AS position_before
                  FROM promote.audit_log AS a
                 WHERE ($1 IS NULL OR a.project = $1)
                WINDOW chain AS (PARTITION BY a.project, a.subject ORDER BY a.seq)) AS a
         WHERE a.position <= a.position_before;
    END;
REVOKE ALL ON FUNCTION promote_internal.broken_invariants(text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.broken_invariants(text) IS
'What is broken of the invariants that are of no kind: see promote_internal.invariant_queries. All look up whole keys, or go once through a table in the order of its key';

CREATE FUNCTION promote.check_invariants(project text DEFAULT NULL)
    RETURNS TABLE (invariant text, project text, subject text, detail text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'promote_check_invariants';
REVOKE ALL ON FUNCTION promote.check_invariants(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.check_invariants(text) IS
'What of the rows of a project, or of all, contradicts other rows: the invariant that is broken, the row by its table and key, and how. No row where all is well. What the audit log says of rows is held against them by promote.verify_audit';
