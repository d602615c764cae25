-- Verbs of parameters: an environment's set of them is declared by names.

CREATE FUNCTION promote_internal.changed_parameters(
    of_project text, of_environment text, new_parameters jsonb, new_sensitive text[], new_descriptions jsonb)
    RETURNS TABLE (given jsonb, is_made boolean, differs boolean)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_build_object(
                   'project', $1, 'environment', $2, 'parameters', p.parameters,
                   'sensitive', k.sensitive::text, 'descriptions', d.descriptions),
               s.project IS NOT NULL OR p.parameters <> '{}' OR k.sensitive <> '{}' OR d.descriptions <> '{}',
               (p.parameters, k.sensitive, d.descriptions) IS DISTINCT FROM (s.parameters, s.sensitive, s.descriptions)
          FROM (SELECT) AS one
          LEFT JOIN promote.parameter_set AS s ON s.project = $1 AND s.environment = $2
         CROSS JOIN LATERAL (
              SELECT COALESCE(pg_catalog.jsonb_object_agg(x.key, x.value), '{}') AS parameters
                FROM pg_catalog.jsonb_each(COALESCE(s.parameters, '{}') || $3) AS x
               WHERE NOT ($3 OPERATOR(pg_catalog.?) x.key AND x.value = 'null')) AS p
         CROSS JOIN LATERAL (
              -- who says nothing of marks leaves them, and who gives a value anew may take its mark
              SELECT ARRAY(SELECT n.name COLLATE "C" FROM pg_catalog.unnest(s.sensitive) AS n (name)
                            WHERE p.parameters OPERATOR(pg_catalog.?) n.name
                              AND ($4 IS NULL OR NOT $3 OPERATOR(pg_catalog.?) n.name)
                            UNION
                           SELECT m.name COLLATE "C" FROM pg_catalog.unnest($4) AS m (name)
                            ORDER BY 1) AS names) AS m
         CROSS JOIN LATERAL (
              -- in the order that they have
              SELECT CASE WHEN s.sensitive @> m.names AND s.sensitive <@ m.names THEN s.sensitive ELSE m.names END AS sensitive) AS k
         CROSS JOIN LATERAL (
              SELECT COALESCE(pg_catalog.jsonb_object_agg(x.key, x.value), '{}') AS descriptions
                FROM pg_catalog.jsonb_each(COALESCE(s.descriptions, '{}') || COALESCE($5, '{}')) AS x
               WHERE x.value <> 'null'
                 AND (p.parameters OPERATOR(pg_catalog.?) x.key OR NOT $3 OPERATOR(pg_catalog.?) x.key)) AS d;
    END;
REVOKE ALL ON FUNCTION promote_internal.changed_parameters(text, text, jsonb, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.changed_parameters(text, text, jsonb, text[], jsonb) IS
'What an environment''s row of parameter_set is to be declared as, by what is given of single parameters; whether there is, or is to be, one, and whether it differs';

CREATE FUNCTION promote.set_parameters(
    project text, environment text, parameters jsonb DEFAULT NULL, sensitive text[] DEFAULT NULL,
    descriptions jsonb DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_parameters';
REVOKE ALL ON FUNCTION promote.set_parameters(text, text, jsonb, text[], jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_parameters(text, text, jsonb, text[], jsonb) IS
'Gives an environment those parameters that are named, and leaves the others; null takes one away. Marks stay where no sensitive ones are named; whoever names some says of all that are given whether they are. Takes the grant register there';

CREATE FUNCTION promote.remove_parameter(project text, environment text, name text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_parameter';
REVOKE ALL ON FUNCTION promote.remove_parameter(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_parameter(text, text, text) IS
'Takes a parameter of an environment away, if it is there. Takes the grant register there';

CREATE FUNCTION promote.clear_parameters(project text, environment text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_clear_parameters';
REVOKE ALL ON FUNCTION promote.clear_parameters(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.clear_parameters(text, text) IS
'Takes all parameters of an environment away, as before the environment is removed. Takes the grant register there';
