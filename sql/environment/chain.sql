-- Chains: what would arrive in an environment if everything on the way to it were promoted and deployed.

CREATE FUNCTION promote_internal.chain_upstream(of_project text, of_environment text)
    RETURNS TABLE (environment text)
    LANGUAGE sql STABLE ROWS 5
    BEGIN ATOMIC
        WITH RECURSIVE up (environment) AS (
            SELECT $2 COLLATE "C"
            UNION
            SELECT p.environment
              FROM up AS u
             CROSS JOIN LATERAL (
                  SELECT p.source_environment::text AS environment FROM promote.promotion_path AS p
                   WHERE p.project = $1 AND p.destination_environment = u.environment OFFSET 0) AS p
        )
        SELECT u.environment FROM up AS u;
    END;
REVOKE ALL ON FUNCTION promote_internal.chain_upstream(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.chain_upstream(text, text) IS
'The environment, and all from which ways lead to it';

CREATE FUNCTION promote_internal.chain_paths(of_project text, src text, up_to text)
    RETURNS TABLE (source_environment text, destination_environment text)
    LANGUAGE sql STABLE ROWS 5
    BEGIN ATOMIC
        WITH RECURSIVE down (environment) AS (
            SELECT $2 COLLATE "C"
            UNION
            SELECT p.environment
              FROM down AS d
             CROSS JOIN LATERAL (
                  SELECT p.destination_environment::text AS environment FROM promote.promotion_path AS p
                   WHERE p.project = $1 AND p.source_environment = d.environment OFFSET 0) AS p
        )
        SELECT p.source_environment::text, p.destination_environment::text
          FROM promote.promotion_path AS p
          JOIN down AS d ON d.environment = p.source_environment
          JOIN promote_internal.chain_upstream($1, $3) AS u ON u.environment = p.destination_environment
         WHERE p.project = $1
         ORDER BY 1, 2;
    END;
REVOKE ALL ON FUNCTION promote_internal.chain_paths(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.chain_paths(text, text, text) IS
'The paths of all ways from one environment to another; no row: none leads there';

CREATE FUNCTION promote_internal.chain_beginnings(of_project text, of_environment text)
    RETURNS TABLE (environment text)
    LANGUAGE sql STABLE ROWS 2
    BEGIN ATOMIC
        SELECT u.environment
          FROM promote_internal.chain_upstream($1, $2) AS u
         WHERE u.environment <> $2
           AND NOT EXISTS (SELECT FROM promote.promotion_path AS p
                            WHERE p.project = $1 AND p.destination_environment = u.environment)
         ORDER BY 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.chain_beginnings(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.chain_beginnings(text, text) IS
'The environments upstream of one to which no path leads, where everything begins that arrives there';

CREATE FUNCTION promote_internal.chain_components(
    of_project text, environments text[], components text[], selector jsonb, behind text, most bigint)
    RETURNS TABLE (component text, version_policy text, selected boolean)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT c.component::text, c.version_policy, s.selected
          FROM promote.component AS c
         CROSS JOIN LATERAL (
              SELECT $4 IS NULL OR (
                         SELECT promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, (
                                    SELECT i.attributes FROM promote.instance AS i
                                     WHERE i.project = $1 AND i.environment = e.environment AND i.component = c.component)) @> $4
                           FROM promote.project AS p
                           JOIN promote.environment AS e ON e.project = p.project
                          WHERE p.project = $1 AND e.environment = $2[pg_catalog.cardinality($2)]) AS selected
              OFFSET 0) AS s
         WHERE c.project = $1 AND ($5 IS NULL OR c.component > $5)
           AND ($3 IS NULL AND s.selected OR c.component = ANY ($3))
           AND EXISTS (SELECT FROM promote.instance AS i
                        WHERE i.project = $1 AND i.component = c.component AND i.environment = ANY ($2) OFFSET 0)
         ORDER BY c.project, c.component
         LIMIT $6;
    END;
REVOKE ALL ON FUNCTION promote_internal.chain_components(text, text[], text[], jsonb, text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.chain_components(text, text[], text[], jsonb, text, bigint) IS
'The next so many components behind one (NULL: the first) that have an instance in one of some environments, by name: those that are named (NULL: all that the selector matches), and whether the selector matches the attributes that they have, or would begin with, in the last of these environments';

CREATE FUNCTION promote.preview_chain(
    src text, up_to text, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, via text[] DEFAULT NULL)
    RETURNS TABLE (component text, step integer, source text, destination text, changed boolean, version text,
                   diff jsonb, blockers jsonb, code text, problem text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_preview_chain';
REVOKE ALL ON FUNCTION promote.preview_chain(text, text, text[], jsonb, text[]) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_chain(text, text, text[], jsonb, text[]) IS
'What would arrive if everything on the way from one environment to another, along the paths, were promoted and deployed now: for each component and step what would change, by which release, and what gates would say of it. Writes nothing and locks nothing. components and selector narrow it; via names environments that the way leads through, where there are several';

CREATE FUNCTION promote.promotion_chain(
    environment text, components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, via text[] DEFAULT NULL)
    RETURNS TABLE (component text, step integer, source text, destination text, changed boolean, version text,
                   diff jsonb, blockers jsonb, code text, problem text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_promotion_chain';
REVOKE ALL ON FUNCTION promote.promotion_chain(text, text[], jsonb, text[]) FROM PUBLIC;
COMMENT ON FUNCTION promote.promotion_chain(text, text[], jsonb, text[]) IS
'promote.preview_chain to an environment from where everything begins that arrives there';
