-- Which components depend on which: the order in which things are deployed, and taken away.

CREATE TABLE promote.component_dependency (
    project     promote.project_name NOT NULL,
    component   promote.component_name NOT NULL,
    depends_on  promote.component_name NOT NULL,
    description text,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT component_dependency_pkey PRIMARY KEY (project, component, depends_on),
    CONSTRAINT component_dependency_component_fkey FOREIGN KEY (project, component)
        REFERENCES promote.component (project, component),
    CONSTRAINT component_dependency_depends_on_fkey FOREIGN KEY (project, depends_on)
        REFERENCES promote.component (project, component)
);
CREATE INDEX component_dependency_depends_on_idx
    ON promote.component_dependency (project, depends_on, component);
COMMENT ON INDEX promote.component_dependency_depends_on_idx IS 'Finds what depends on a component';
SELECT pg_catalog.pg_extension_config_dump('promote.component_dependency', '');
COMMENT ON TABLE promote.component_dependency IS 'Components that need others of their project, in every environment; followed any number of times they never come back';
COMMENT ON COLUMN promote.component_dependency.project IS 'Project of both components';
COMMENT ON COLUMN promote.component_dependency.component IS 'Component that needs the other one: it is deployed after it, and taken away before it';
COMMENT ON COLUMN promote.component_dependency.depends_on IS 'Component that it needs';
COMMENT ON COLUMN promote.component_dependency.description IS 'For people';
COMMENT ON COLUMN promote.component_dependency.created_at IS 'When the row was inserted';

-- paths have this trigger as well
CREATE FUNCTION promote_internal.lock_project() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_lock_project';
REVOKE ALL ON FUNCTION promote_internal.lock_project() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.lock_project() IS
'Lets those who write rows of one project into the table follow each other, and nobody else';

CREATE FUNCTION promote_internal.check_dependencies() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_check_dependencies';
REVOKE ALL ON FUNCTION promote_internal.check_dependencies() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.check_dependencies() IS
'Refuses dependencies that close a cycle, PM620';

CREATE TRIGGER lock_project BEFORE INSERT OR UPDATE ON promote.component_dependency
    FOR EACH ROW EXECUTE FUNCTION promote_internal.lock_project();
ALTER TABLE promote.component_dependency ENABLE ALWAYS TRIGGER lock_project;

CREATE TRIGGER check_inserted AFTER INSERT ON promote.component_dependency
    REFERENCING NEW TABLE AS new_dependency
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.check_dependencies();
ALTER TABLE promote.component_dependency ENABLE ALWAYS TRIGGER check_inserted;
CREATE TRIGGER check_updated AFTER UPDATE ON promote.component_dependency
    REFERENCING NEW TABLE AS new_dependency
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.check_dependencies();
ALTER TABLE promote.component_dependency ENABLE ALWAYS TRIGGER check_updated;

CREATE FUNCTION promote_internal.component_rank(project text)
    RETURNS TABLE (component text, rank integer)
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_component_rank';
REVOKE ALL ON FUNCTION promote_internal.component_rank(text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.component_rank(text) IS
'How many components of a project have to be there before each one, one after the other: 0 for those that depend on nothing. Whoever goes by rank and name comes to everything behind what it depends on';
