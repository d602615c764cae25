-- Tags: what an environment runs and desires at a moment, by a name.

CREATE DOMAIN promote.tag_name AS text COLLATE "C"
    CONSTRAINT tag_name_check CHECK (promote_internal.check_name(VALUE, 'tag'));
COMMENT ON DOMAIN promote.tag_name IS
'Name of a tag: up to 63 lower-case letters, digits, underscores, dashes and dots, the first one a letter';

CREATE TABLE promote.environment_tag (
    project       promote.project_name NOT NULL,
    environment   promote.environment_name NOT NULL,
    generation    integer NOT NULL,
    tag           promote.tag_name NOT NULL,
    state         jsonb NOT NULL,
    message       text,
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT environment_tag_pkey PRIMARY KEY (project, environment, generation, tag),
    CONSTRAINT environment_tag_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT environment_tag_generation_check CHECK (generation > 0),
    CONSTRAINT environment_tag_state_check
        CHECK (promote_internal.check_object(state, 'state'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.environment_tag', '');
COMMENT ON TABLE promote.environment_tag IS 'Names for what environments were at a moment: promote.tag_environment writes them, and nothing changes one but that verb, by its name';
COMMENT ON COLUMN promote.environment_tag.project IS 'Project';
COMMENT ON COLUMN promote.environment_tag.environment IS 'Environment';
COMMENT ON COLUMN promote.environment_tag.generation IS 'Generation of the environment that was tagged: behind the @ only those of the present one are meant';
COMMENT ON COLUMN promote.environment_tag.tag IS 'Name, behind the @ of the environment''s';
COMMENT ON COLUMN promote.environment_tag.state IS 'By component, the numbers of the revision that was desired, of the one that ran, and of the deployment by which it did; null: none';
COMMENT ON COLUMN promote.environment_tag.message IS 'For people';
COMMENT ON COLUMN promote.environment_tag.actor IS 'Who has tagged it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.environment_tag.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.environment_tag.created_at IS 'When, which is the moment';

CREATE FUNCTION promote_internal.guard_tag() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_tag';
REVOKE ALL ON FUNCTION promote_internal.guard_tag() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_tag() IS
'Refuses tags that no verb wrote, PM303';
CREATE TRIGGER guard_tag BEFORE INSERT OR UPDATE OR DELETE ON promote.environment_tag
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_tag();
ALTER TABLE promote.environment_tag ENABLE ALWAYS TRIGGER guard_tag;

CREATE FUNCTION promote_internal.environment_state(project text, environment text, tag text, at timestamptz)
    RETURNS TABLE (component text, desired integer, revision integer, deployment integer, version text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT s.component, s.desired, s.revision, s.deployment,
               (SELECT d.version FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = s.component
                   AND d.deployment = s.deployment)
          FROM (SELECT i.component::text COLLATE "C" AS component, NULLIF(i.revision, i.opened_revision) AS desired,
                       i.deployed_revision AS revision, i.deployed_by AS deployment
                  FROM promote.instance AS i
                 WHERE i.project = $1 AND i.environment = $2 AND $3 IS NULL AND $4 IS NULL
                 UNION ALL
                SELECT s.key COLLATE "C", (s.value ->> 'desired')::integer, (s.value ->> 'revision')::integer,
                       (s.value ->> 'deployment')::integer
                  FROM promote.environment_tag AS t
                 CROSS JOIN LATERAL pg_catalog.jsonb_each(t.state) AS s (key, value)
                 WHERE t.project = $1 AND t.environment = $2 AND t.tag = $3
                   AND t.generation = (SELECT e.generation FROM promote.environment AS e
                                        WHERE e.project = $1 AND e.environment = $2)
                 UNION ALL
                SELECT i.component::text COLLATE "C",
                       (SELECT a.revision FROM promote_internal.revision_at($1, $2, i.component, $4) AS a),
                       d.revision, d.deployment
                  FROM promote.instance AS i
                  LEFT JOIN LATERAL (
                       SELECT d.revision, d.deployment FROM promote_internal.run_at($1, $2, i.component, $4) AS d
                        LIMIT 1) AS d ON true
                 WHERE i.project = $1 AND i.environment = $2 AND $3 IS NULL AND $4 IS NOT NULL) AS s;
    END;
REVOKE ALL ON FUNCTION promote_internal.environment_state(text, text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.environment_state(text, text, text, timestamptz) IS
'What each instance of an environment desired and ran by a tag of its present generation, at a moment, or, where neither is named, now: the numbers of the revisions, and the deployment by which the one that ran did, with its release; NULL: none';

CREATE FUNCTION promote.tag_environment(
    environment text, tag text, message text DEFAULT NULL, "replace" boolean DEFAULT false)
    RETURNS TABLE (component text, desired integer, revision integer, deployment integer, version text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_tag_environment';
REVOKE ALL ON FUNCTION promote.tag_environment(text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.tag_environment(text, text, text, boolean) IS
'Names what each instance of an environment desires and runs now, so that it can be promoted, compared and gone back to by that name: ''ecomm-staging@tuesday''. Returns a row for each: the revision that is desired, the one that runs, its deployment and release. A tag never changes, but may be replaced by name';
