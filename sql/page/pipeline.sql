-- A project's environments, the paths between them and where each component stands, as graphs and for a terminal. What is
-- told is what the asker sees: these functions have the caller's rights; how it looks is in src/page.

CREATE FUNCTION promote_internal.mermaid(of_project text, found text, nodes text[], edges text[]) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_mermaid';
GRANT EXECUTE ON FUNCTION promote_internal.mermaid(text, text, text[], text[]) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.mermaid(text, text, text[], text[]) IS
'A flowchart of nodes (name and states) and edges (numbers of two nodes, words, blocked or NULL, and lines of why or NULL) as Mermaid draws it; PM002 where no project was found';

CREATE FUNCTION promote_internal.dot(of_project text, found text, nodes text[], edges text[]) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_dot';
GRANT EXECUTE ON FUNCTION promote_internal.dot(text, text, text[], text[]) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.dot(text, text, text[], text[]) IS
'The same graph as Graphviz draws it';

CREATE FUNCTION promote_internal.terminal_matrix(
    of_project text, found text, environments text[], cells text[], colours boolean) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_terminal_matrix';
GRANT EXECUTE ON FUNCTION promote_internal.terminal_matrix(text, text, text[], text[], boolean) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.terminal_matrix(text, text, text[], text[], boolean) IS
'Rows of a component and, for each environment, a release and a state, as an aligned table; PM002 where no project was found';

CREATE FUNCTION promote_internal.pipeline_graph(of_project text)
    RETURNS TABLE (nodes text[], edges text[], cells jsonb)
    LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH cell AS MATERIALIZED (
            SELECT m.*
              FROM promote.matrix($1) WITH ORDINALITY AS m (
                   project, component, environment, instance, status, since, revision, version, digest, next, promotable, why_not,
                   upstream, releases_behind, leaves_behind, artifact_digest, waits_for,
                   desired_actor, desired_at, deployed_actor, deployed_at, place)
        ), node AS MATERIALIZED (
            SELECT e.environment::text AS environment,
                   pg_catalog.row_number() OVER (ORDER BY (SELECT pg_catalog.min(c.place) FROM cell AS c
                                                            WHERE c.environment = e.environment) NULLS LAST, e.environment) AS number,
                   COALESCE((SELECT pg_catalog.string_agg(s.count || ' ' || s.status, ', ' ORDER BY s.count DESC, s.status)
                               FROM (SELECT c.status, pg_catalog.count(*) FROM cell AS c
                                      WHERE c.environment = e.environment GROUP BY c.status) AS s), 'nothing there') AS states
              FROM promote.environment AS e
             WHERE e.project = $1 AND e.archived_at IS NULL
        ), edge AS (
            SELECT s.number AS source, d.number AS destination, w.comes, w.stays, w.why
              FROM promote.promotion_path AS p
              JOIN node AS s ON s.environment = p.source_environment
              JOIN node AS d ON d.environment = p.destination_environment
             CROSS JOIN LATERAL (
                   SELECT pg_catalog.count(*) AS comes, pg_catalog.count(l.line) AS stays,
                          pg_catalog.string_agg(DISTINCT pg_catalog.substr(l.line, pg_catalog.length(d.environment) + 3), E'\n') AS why
                     FROM cell AS c
                     LEFT JOIN LATERAL (
                          SELECT l.line FROM pg_catalog.regexp_split_to_table(c.why_not, E'\n') AS l (line)
                           WHERE pg_catalog.starts_with(l.line, d.environment || ': ') LIMIT 1) AS l ON true
                    WHERE c.environment = s.environment AND d.environment = ANY (c.next)) AS w
             WHERE p.project = $1
        )
        SELECT (SELECT pg_catalog.array_agg(x.cell ORDER BY n.number, x.place)
                  FROM node AS n
                 CROSS JOIN LATERAL (VALUES (1, n.environment), (2, n.states)) AS x (place, cell)),
               (SELECT pg_catalog.array_agg(x.cell ORDER BY e.source, e.destination, x.place)
                  FROM edge AS e
                 CROSS JOIN LATERAL (VALUES
                       (1, e.source::text), (2, e.destination::text),
                       (3, CASE WHEN e.comes = 0 THEN 'nothing to promote'
                                ELSE (e.comes - e.stays) || ' of ' || e.comes || ' may go on' END),
                       (4, CASE WHEN e.comes > 0 AND e.comes = e.stays THEN 'blocked' END),
                       (5, e.why)) AS x (place, cell)),
               (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(c) ORDER BY c.place) FROM cell AS c);
    END;
GRANT EXECUTE ON FUNCTION promote_internal.pipeline_graph(text) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.pipeline_graph(text) IS
'What the graphs of a project tell, by the caller''s rights: its environments with how many instances are in which state, the paths between them with how many components may go on, and why others may not, and the rows of its matrix';

CREATE FUNCTION promote.pipeline_mermaid(project text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT promote_internal.mermaid($1, (SELECT p.project::text FROM promote.project AS p WHERE p.project = $1), g.nodes, g.edges)
          FROM promote_internal.pipeline_graph($1) AS g;
    END;
REVOKE ALL ON FUNCTION promote.pipeline_mermaid(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.pipeline_mermaid(text) IS
'A project''s environments that are in use and the paths between them as a flowchart of Mermaid, which GitHub and GitLab draw: how many instances are in which state, and what keeps components from going on';

CREATE FUNCTION promote.pipeline_dot(project text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT promote_internal.dot($1, (SELECT p.project::text FROM promote.project AS p WHERE p.project = $1), g.nodes, g.edges)
          FROM promote_internal.pipeline_graph($1) AS g;
    END;
REVOKE ALL ON FUNCTION promote.pipeline_dot(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.pipeline_dot(text) IS 'The same graph for Graphviz';

CREATE FUNCTION promote.matrix_text(project text, colours boolean DEFAULT false) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH graph AS MATERIALIZED (
            SELECT g.nodes, g.cells FROM promote_internal.pipeline_graph($1) AS g
        ), cell AS MATERIALIZED (
            SELECT c.* FROM graph AS g
             CROSS JOIN pg_catalog.jsonb_to_recordset(g.cells) AS c (component text, environment text, version text, status text)
        ), place AS MATERIALIZED (
            SELECT g.nodes[2 * n.place - 1] AS environment, n.place
              FROM graph AS g CROSS JOIN pg_catalog.generate_series(1, pg_catalog.cardinality(g.nodes) / 2) AS n (place)
        )
        SELECT promote_internal.terminal_matrix(
                   $1, (SELECT p.project::text FROM promote.project AS p WHERE p.project = $1),
                   (SELECT pg_catalog.array_agg(e.environment ORDER BY e.place) FROM place AS e),
                   (SELECT pg_catalog.array_agg(x.cell ORDER BY x.component, x.place, x.part)
                      FROM (SELECT DISTINCT c.component, 0 AS place, 0 AS part, c.component AS cell
                              FROM cell AS c
                             UNION ALL
                            SELECT k.component, e.place, v.part, v.cell
                              FROM (SELECT DISTINCT c.component FROM cell AS c) AS k
                             CROSS JOIN place AS e
                              LEFT JOIN cell AS c ON c.component = k.component AND c.environment = e.environment
                             CROSS JOIN LATERAL (VALUES (1, c.version), (2, c.status)) AS v (part, cell)) AS x),
                   COALESCE($2, false));
    END;
REVOKE ALL ON FUNCTION promote.matrix_text(text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.matrix_text(text, boolean) IS
'Where each component of a project stands in each environment that is in use, as an aligned table for a terminal: the release that is desired and the state, with colours where they are asked for';
