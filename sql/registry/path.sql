-- Promotion paths: which environments lead to which.

CREATE TABLE promote.promotion_path (
    project                 promote.project_name NOT NULL,
    source_environment      promote.environment_name NOT NULL,
    destination_environment promote.environment_name NOT NULL,
    description             text,
    created_at              timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT promotion_path_pkey
        PRIMARY KEY (project, source_environment, destination_environment),
    CONSTRAINT promotion_path_source_fkey FOREIGN KEY (project, source_environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT promotion_path_destination_fkey FOREIGN KEY (project, destination_environment)
        REFERENCES promote.environment (project, environment)
);
CREATE INDEX promotion_path_destination_idx
    ON promote.promotion_path (project, destination_environment, source_environment);
COMMENT ON INDEX promote.promotion_path_destination_idx IS 'Finds what leads to an environment';
SELECT pg_catalog.pg_extension_config_dump('promote.promotion_path', '');
COMMENT ON TABLE promote.promotion_path IS 'Ways from one environment of a project to another; followed any number of times they never come back';
COMMENT ON COLUMN promote.promotion_path.project IS 'Project of both environments';
COMMENT ON COLUMN promote.promotion_path.source_environment IS 'Environment that is promoted from';
COMMENT ON COLUMN promote.promotion_path.destination_environment IS 'Environment that is promoted to';
COMMENT ON COLUMN promote.promotion_path.description IS 'For people';
COMMENT ON COLUMN promote.promotion_path.created_at IS 'When the row was inserted';

CREATE FUNCTION promote_internal.check_paths() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_check_paths';
REVOKE ALL ON FUNCTION promote_internal.check_paths() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.check_paths() IS
'Refuses paths that close a cycle, PM605';

CREATE TRIGGER lock_project BEFORE INSERT OR UPDATE ON promote.promotion_path
    FOR EACH ROW EXECUTE FUNCTION promote_internal.lock_project();
ALTER TABLE promote.promotion_path ENABLE ALWAYS TRIGGER lock_project;

CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.promotion_path
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.promotion_path ENABLE ALWAYS TRIGGER note_rule;

CREATE TRIGGER check_inserted AFTER INSERT ON promote.promotion_path
    REFERENCING NEW TABLE AS new_path
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.check_paths();
ALTER TABLE promote.promotion_path ENABLE ALWAYS TRIGGER check_inserted;
CREATE TRIGGER check_updated AFTER UPDATE ON promote.promotion_path
    REFERENCING NEW TABLE AS new_path
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.check_paths();
ALTER TABLE promote.promotion_path ENABLE ALWAYS TRIGGER check_updated;

CREATE FUNCTION promote_internal.fork_parent(project text, environment text, component text)
    RETURNS TABLE (environment text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT e.forked_from::text
          FROM promote.environment AS e
          JOIN promote.instance AS i ON i.project = e.project AND i.environment = e.environment AND i.component = $3
          JOIN promote.environment AS s ON s.project = e.project AND s.environment = e.forked_from
         WHERE e.project = $1 AND e.environment = $2
           -- what has taken the source's name since is another one
           AND (s.generation = 1 OR s.opened_at <= COALESCE(e.opened_at, e.created_at))
           AND i.deployed_by IS NULL AND i.status <> 'DECOMMISSIONED'
           -- nor was it taken away since, and has failed to come back
           AND NOT EXISTS (SELECT FROM promote.deployment AS d
                            WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                              AND d.action <> 'PLAN' AND d.started_at IS NOT NULL AND d.action = 'PROVISION'
                              AND d.status = 'COMPLETED' AND d.revision > i.opened_revision)
         LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.fork_parent(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.fork_parent(text, text, text) IS
'The environment that an instance''s environment was forked from, until the instance has been deployed once: what it is deployed with first comes from there as if along a path';

CREATE FUNCTION promote.next_environments(environment text)
    RETURNS TABLE (environment text, description text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 5
    AS 'MODULE_PATHNAME', 'promote_next_environments';
REVOKE ALL ON FUNCTION promote.next_environments(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.next_environments(text) IS
'The environments that paths lead to from one, which is called by its project and its name with a dash between them; in order of their names';

CREATE FUNCTION promote.upstream_environments(environment text)
    RETURNS TABLE (environment text, distance integer)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 5
    AS 'MODULE_PATHNAME', 'promote_upstream_environments';
REVOKE ALL ON FUNCTION promote.upstream_environments(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.upstream_environments(text) IS
'The environments from which an environment can be reached along paths, and the least number of paths that this takes; the nearest first, then by name';

CREATE FUNCTION promote.promote_to_next(
    instance text, overrides jsonb DEFAULT '{}',
    copy_secrets boolean DEFAULT false, copy_remote_references boolean DEFAULT false,
    plan boolean DEFAULT true, message text DEFAULT NULL,
    expected_revision integer DEFAULT NULL, idempotency_key text DEFAULT NULL,
    allow_replace boolean DEFAULT false, pin boolean DEFAULT false, reprovision boolean DEFAULT false,
    "only" text[] DEFAULT NULL, source_revision integer DEFAULT NULL, source_state text DEFAULT 'desired',
    expected_source_revision integer DEFAULT NULL, preset text DEFAULT NULL, fill_defaults boolean DEFAULT false,
    mode text DEFAULT NULL, on_conflict text DEFAULT NULL,
    OUT destination text, OUT old_revision integer, OUT new_revision integer,
    OUT deployment integer, OUT changed boolean, OUT diff jsonb)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_promote_to_next';
REVOKE ALL ON FUNCTION promote.promote_to_next(text, jsonb, boolean, boolean, boolean, text, integer, text, boolean, boolean, boolean, text[], integer, text, integer, text, boolean, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.promote_to_next(text, jsonb, boolean, boolean, boolean, text, integer, text, boolean, boolean, boolean, text[], integer, text, integer, text, boolean, text, text) IS
'Does what promote_instance does, along the only path from the instance''s environment to one in which the component has an instance; refused, PM605, with the choices, where there are several paths, or none';
