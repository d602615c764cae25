-- Parameters: what placeholders stand for in an environment. They are kept as one withheld document of each
-- environment, which whoever renders looks up by one key, and are read as rows.

-- what is rendered is what was written only where there is no placeholder, by which the status tells them apart
CREATE FUNCTION promote_internal.check_parameters(parameters jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT promote_internal.check_object($1, 'parameters')
           AND promote.check_params($1)
           AND promote_internal.check_value(pg_catalog.strpos($1::text, '{{') = 0,
               'parameters', 'A name or a value has {{ in it. What a parameter holds is never rendered again.',
               'Write out what the placeholder stands for; braces that are meant literally belong into the params, behind a backslash.');
    END;
COMMENT ON FUNCTION promote_internal.check_parameters(jsonb) IS
'True for what can be the parameters of an environment: an object without placeholders; otherwise an error that says what is wrong';

CREATE FUNCTION promote_internal.check_descriptions(descriptions jsonb, parameters jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT promote_internal.check_object($1, 'descriptions')
           AND promote_internal.check_value(NOT EXISTS (
                   SELECT FROM pg_catalog.jsonb_each($1) AS d
                    WHERE NOT $2 OPERATOR(pg_catalog.?) d.key OR pg_catalog.jsonb_typeof(d.value) <> 'string'),
               'descriptions', 'One is no text, or of what is no parameter of the environment.',
               'Give texts by the names of the parameters that there are.');
    END;
COMMENT ON FUNCTION promote_internal.check_descriptions(jsonb, jsonb) IS
'True for an object of texts by names of these parameters; otherwise an error that says what is wrong';

CREATE TABLE promote.parameter_set (
    project      promote.project_name NOT NULL,
    environment  promote.environment_name NOT NULL,
    parameters   jsonb NOT NULL DEFAULT '{}',
    sensitive    text[] COLLATE "C" NOT NULL DEFAULT '{}',
    descriptions jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT parameter_set_pkey PRIMARY KEY (project, environment),
    CONSTRAINT parameter_set_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT parameter_set_parameters_check
        CHECK (promote_internal.check_parameters(parameters)),
    CONSTRAINT parameter_set_sensitive_check
        CHECK (promote_internal.check_value(
            pg_catalog.array_position(sensitive, NULL) IS NULL AND parameters OPERATOR(pg_catalog.?&) sensitive,
            'sensitive parameters', 'One of them is no parameter of the environment.',
            'Name parameters that there are, and give values to those that are new.')),
    CONSTRAINT parameter_set_descriptions_check
        CHECK (promote_internal.check_descriptions(descriptions, parameters))
);
SELECT pg_catalog.pg_extension_config_dump('promote.parameter_set', '');
COMMENT ON TABLE promote.parameter_set IS 'Parameters of environments, withheld from everybody but the owner: promote.parameter shows them';
COMMENT ON COLUMN promote.parameter_set.project IS 'Project';
COMMENT ON COLUMN promote.parameter_set.environment IS 'Environment';
COMMENT ON COLUMN promote.parameter_set.parameters IS 'Values of the {{name}} placeholders in the params of its instances, by name';
COMMENT ON COLUMN promote.parameter_set.sensitive IS 'Names of those that nobody is shown, nor what is rendered of them';
COMMENT ON COLUMN promote.parameter_set.descriptions IS 'What they are for, in words for people, by name';

CREATE FUNCTION promote_internal.parameters_of(project text, environment text) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_parameters_of';
REVOKE ALL ON FUNCTION promote_internal.parameters_of(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.parameters_of(text, text) IS
'What the placeholders of an environment''s instances are rendered with: its parameters, {} where it has none, and under the key {{, which no parameter has, the names of those that are sensitive, if any are';

CREATE FUNCTION promote_internal.open_parameters(
    of_project text, source_environment text, new_environment text, new_parameters jsonb) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        INSERT INTO promote.parameter_set (project, environment, parameters, sensitive, descriptions)
        SELECT $1, $3, $4,
               ARRAY(SELECT n FROM pg_catalog.unnest(s.sensitive) AS n WHERE $4 OPERATOR(pg_catalog.?) n),
               COALESCE((SELECT pg_catalog.jsonb_object_agg(d.key, d.value) FROM pg_catalog.jsonb_each(s.descriptions) AS d
                          WHERE $4 OPERATOR(pg_catalog.?) d.key), '{}')
          FROM (SELECT) AS one
          LEFT JOIN promote.parameter_set AS s ON s.project = $1 AND s.environment = $2
         WHERE $4 <> '{}'
            OR EXISTS (SELECT FROM promote.parameter_set AS o WHERE o.project = $1 AND o.environment = $3)
            ON CONFLICT ON CONSTRAINT parameter_set_pkey DO UPDATE
           SET parameters = excluded.parameters, sensitive = excluded.sensitive, descriptions = excluded.descriptions;
    END;
REVOKE ALL ON FUNCTION promote_internal.open_parameters(text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.open_parameters(text, text, text, jsonb) IS
'Gives an environment that is opened its parameters, with the marks and descriptions that those of its source have';

-- This view has the owner's rights, since it reads what is withheld from others.
CREATE VIEW promote.parameter WITH (security_barrier = true) AS
    SELECT s.project,
           s.environment,
           s.project || '-' || s.environment AS environment_name,
           p.key AS name,
           CASE WHEN m.sensitive THEN pg_catalog.to_jsonb('(sensitive value)'::text) ELSE p.value END AS value,
           m.sensitive,
           s.descriptions ->> p.key AS description
      FROM promote.parameter_set AS s
     CROSS JOIN LATERAL pg_catalog.jsonb_each(s.parameters) AS p (key, value)
     CROSS JOIN LATERAL (SELECT p.key = ANY (s.sensitive) AS sensitive) AS m
     WHERE s.project = ANY ((SELECT promote_internal.visible_projects())::pg_catalog.text[])
       AND promote.may('configure', s.project, s.environment);
COMMENT ON VIEW promote.parameter IS 'Parameters of environments, for roles that may configure there';
COMMENT ON COLUMN promote.parameter.project IS 'Project';
COMMENT ON COLUMN promote.parameter.environment IS 'Environment';
COMMENT ON COLUMN promote.parameter.environment_name IS 'The environment in one word, as in ecomm-staging';
COMMENT ON COLUMN promote.parameter.name IS 'Name, as in {{name}}';
COMMENT ON COLUMN promote.parameter.value IS 'What the placeholder stands for; of a sensitive one "(sensitive value)"';
COMMENT ON COLUMN promote.parameter.sensitive IS 'Whether nobody is shown it, nor what is rendered of it';
COMMENT ON COLUMN promote.parameter.description IS 'What it is for; NULL: nobody has said';
