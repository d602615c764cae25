-- Names: what projects, environments, components and bundles may be called, and how an instance's name falls apart. A
-- project and a component have no dash, so that ecomm-prod-uswest-db is read without a look-up.

CREATE FUNCTION promote_internal.check_name(name text, kind text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_name';
COMMENT ON FUNCTION promote_internal.check_name(text, text) IS
'true, or PM001: what is wrong with the name of a project, environment, component or bundle';

CREATE DOMAIN promote.project_name AS text COLLATE "C"
    CONSTRAINT project_name_check CHECK (promote_internal.check_name(VALUE, 'project'));
COMMENT ON DOMAIN promote.project_name IS
'Name of a project: 1 to 63 lower-case letters, digits and underscores';

CREATE DOMAIN promote.environment_name AS text COLLATE "C"
    CONSTRAINT environment_name_check CHECK (promote_internal.check_name(VALUE, 'environment'));
COMMENT ON DOMAIN promote.environment_name IS
'Name of an environment: up to 63 lower-case letters, digits and underscores, with single dashes between them';

CREATE DOMAIN promote.component_name AS text COLLATE "C"
    CONSTRAINT component_name_check CHECK (promote_internal.check_name(VALUE, 'component'));
COMMENT ON DOMAIN promote.component_name IS
'Name of a component: 1 to 63 lower-case letters, digits and underscores';

CREATE DOMAIN promote.bundle_name AS text COLLATE "C"
    CONSTRAINT bundle_name_check CHECK (promote_internal.check_name(VALUE, 'bundle'));
COMMENT ON DOMAIN promote.bundle_name IS
'Name of a bundle: up to 63 lower-case letters, digits and underscores, with single dashes between them';

CREATE FUNCTION promote.parse_instance_name(
    instance text, OUT project text, OUT environment text, OUT component text)
    RETURNS record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_parse_instance_name';
COMMENT ON FUNCTION promote.parse_instance_name(text) IS
'The project, environment and component that an instance''s name stands for; PM001 names the part that is malformed. Looks nothing up';
