-- Verbs of the registry: what there is to promote is registered, published and taken away under grants. They write the
-- tables by plain INSERT, UPDATE and DELETE, so that what holds for these holds here.

CREATE FUNCTION promote.register_project(project text, description text DEFAULT NULL, attributes jsonb DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_register_project';
REVOKE ALL ON FUNCTION promote.register_project(text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.register_project(text, text, jsonb) IS
'Registers a project, or changes what is given of it. Takes the grant register everywhere';

CREATE FUNCTION promote.register_environment(
    project text, environment text, description text DEFAULT NULL, attributes jsonb DEFAULT NULL,
    reference_defaults jsonb DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_register_environment';
REVOKE ALL ON FUNCTION promote.register_environment(text, text, text, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.register_environment(text, text, text, jsonb, jsonb) IS
'Registers an environment of a project, or changes what is given of it; the name of an archived one is opened as its next generation. Takes the grant register there';

CREATE FUNCTION promote.set_environment_rules(
    project text, environment text, require_plan boolean DEFAULT NULL, decommission_protection boolean DEFAULT NULL,
    max_lost_leases integer DEFAULT NULL, source_policy text DEFAULT NULL,
    require_source_in_sync boolean DEFAULT NULL, required_soak interval DEFAULT NULL,
    require_no_drift boolean DEFAULT NULL, require_expected boolean DEFAULT NULL,
    require_proven_release boolean DEFAULT NULL, require_no_reverts boolean DEFAULT NULL,
    require_artifact_digest boolean DEFAULT NULL, require_structure text DEFAULT NULL,
    version_policy text DEFAULT NULL, promotion_mode text DEFAULT NULL, separation_of_duty boolean DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_environment_rules';
REVOKE ALL ON FUNCTION promote.set_environment_rules(text, text, boolean, boolean, integer, text, boolean, interval, boolean, boolean, boolean, boolean, boolean, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_environment_rules(text, text, boolean, boolean, integer, text, boolean, interval, boolean, boolean, boolean, boolean, boolean, text, text, text, boolean) IS
'Changes those rules of an environment that are given. Takes the grant rules there';

CREATE FUNCTION promote.register_bundle(bundle text, description text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_register_bundle';
REVOKE ALL ON FUNCTION promote.register_bundle(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.register_bundle(text, text) IS
'Registers a bundle, or changes what is given of it. Takes the grant register everywhere';

CREATE FUNCTION promote.publish_release(
    bundle text, version text, params_schema jsonb, stateful_types text[] DEFAULT NULL,
    secrets jsonb DEFAULT NULL, remote_references jsonb DEFAULT NULL, presets jsonb DEFAULT NULL,
    artifact_digest text DEFAULT NULL, source_commit text DEFAULT NULL, changelog text DEFAULT NULL,
    attributes jsonb DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_publish_release';
REVOKE ALL ON FUNCTION promote.publish_release(text, text, jsonb, text[], jsonb, jsonb, jsonb, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.publish_release(text, text, jsonb, text[], jsonb, jsonb, jsonb, text, text, text, jsonb) IS
'Publishes a release of a bundle. One that is there already is kept where all is the same, and refused, PM203, where something differs: a release never changes. Takes the grant publish everywhere';

CREATE FUNCTION promote.register_component(
    project text, component text, bundle text DEFAULT NULL, description text DEFAULT NULL,
    attributes jsonb DEFAULT NULL, version_policy text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_register_component';
REVOKE ALL ON FUNCTION promote.register_component(text, text, text, text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.register_component(text, text, text, text, jsonb, text) IS
'Registers a component of a project, made of a bundle, or changes what is given of it. Takes the grant register in the project';

CREATE FUNCTION promote.set_dependency(project text, component text, depends_on text, description text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_dependency';
REVOKE ALL ON FUNCTION promote.set_dependency(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_dependency(text, text, text, text) IS
'Lets a component depend on another one of its project, or changes the description. Takes the grant register in the project';

CREATE FUNCTION promote.register_instance(project text, environment text, component text, attributes jsonb DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_register_instance';
REVOKE ALL ON FUNCTION promote.register_instance(text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.register_instance(text, text, text, jsonb) IS
'Registers the instance of a component in an environment, or changes its attributes. Takes the grant register there';

CREATE FUNCTION promote.set_promotion_path(
    project text, source_environment text, destination_environment text, description text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_promotion_path';
REVOKE ALL ON FUNCTION promote.set_promotion_path(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_promotion_path(text, text, text, text) IS
'Lets a path lead from one environment of a project to another, or changes the description. Takes the grant register in the project';

CREATE FUNCTION promote.set_attributes(
    attributes jsonb, project text, environment text DEFAULT NULL, component text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_attributes';
REVOKE ALL ON FUNCTION promote.set_attributes(jsonb, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_attributes(jsonb, text, text, text) IS
'Replaces the attributes of what is named by all that is given: a project, an environment, a component or an instance, which has to be there. Takes the grant register there';

CREATE FUNCTION promote.remove_project(project text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_project';
REVOKE ALL ON FUNCTION promote.remove_project(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_project(text) IS
'Takes away a project that nothing refers to, PM512. Takes the grant register everywhere';

CREATE FUNCTION promote.remove_environment(project text, environment text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_environment';
REVOKE ALL ON FUNCTION promote.remove_environment(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_environment(text, text) IS
'Takes away an environment that nothing refers to, PM512. Takes the grant register there, and rules where any of its rules is not the default';

CREATE FUNCTION promote.remove_bundle(bundle text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_bundle';
REVOKE ALL ON FUNCTION promote.remove_bundle(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_bundle(text) IS
'Takes away a bundle that nothing refers to, PM512. Takes the grant register everywhere';

CREATE FUNCTION promote.remove_release(bundle text, version text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_release';
REVOKE ALL ON FUNCTION promote.remove_release(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_release(text, text) IS
'Takes away a release that nothing refers to, PM512. Takes the grant publish everywhere';

CREATE FUNCTION promote.remove_component(project text, component text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_component';
REVOKE ALL ON FUNCTION promote.remove_component(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_component(text, text) IS
'Takes away a component that nothing refers to, PM512. Takes the grant register in the project';

CREATE FUNCTION promote.remove_dependency(project text, component text, depends_on text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_dependency';
REVOKE ALL ON FUNCTION promote.remove_dependency(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_dependency(text, text, text) IS
'Takes away a dependency between components. Takes the grant register in the project';

CREATE FUNCTION promote.remove_instance(project text, environment text, component text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_instance';
REVOKE ALL ON FUNCTION promote.remove_instance(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_instance(text, text, text) IS
'Takes away an instance that has no history, PM512. Takes the grant register there';

CREATE FUNCTION promote.remove_promotion_path(project text, source_environment text, destination_environment text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_promotion_path';
REVOKE ALL ON FUNCTION promote.remove_promotion_path(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_promotion_path(text, text, text) IS
'Takes away a path between environments. Takes the grant register in the project';
