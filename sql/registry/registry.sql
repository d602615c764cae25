-- The registry: what there is to promote.  Plain tables for plain DML.

-- A key comes with its project, goes with it and follows it, by the trigger. Projects refer to their keys, so that a dump
-- loads these first: what was recorded has digests by them.
CREATE TABLE promote.project_key (
    project    promote.project_name NOT NULL,
    digest_key bytea NOT NULL,
    CONSTRAINT project_key_pkey PRIMARY KEY (project),
    CONSTRAINT project_key_digest_key_check CHECK (pg_catalog.octet_length(digest_key) = 32)
);
SELECT pg_catalog.pg_extension_config_dump('promote.project_key', '');
COMMENT ON TABLE promote.project_key IS 'Keys of the digests of projects'' configurations, withheld from everybody but the owner';
COMMENT ON COLUMN promote.project_key.project IS 'Project';
COMMENT ON COLUMN promote.project_key.digest_key IS 'Made at random, and never changed; without it nobody can confirm a guess of a configuration';

CREATE TABLE promote.project (
    project     promote.project_name NOT NULL,
    description text,
    attributes  jsonb NOT NULL DEFAULT '{}',
    request     integer NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    pruned      bigint,
    CONSTRAINT project_pkey PRIMARY KEY (project),
    CONSTRAINT project_key_fkey FOREIGN KEY (project) REFERENCES promote.project_key (project),
    CONSTRAINT project_attributes_check
        CHECK (promote_internal.check_object(attributes, 'attributes')),
    CONSTRAINT project_request_check CHECK (request >= 0)
);
SELECT pg_catalog.pg_extension_config_dump('promote.project', '');
COMMENT ON TABLE promote.project IS 'The boundary of promotion: nothing is promoted from one project to another';
COMMENT ON COLUMN promote.project.project IS 'Name of the project, the first part of its instances'' names';
COMMENT ON COLUMN promote.project.description IS 'For people';
COMMENT ON COLUMN promote.project.attributes IS 'An object of the user''s own, for selecting by containment';
COMMENT ON COLUMN promote.project.request IS 'Number of the project''s last promotion request; 0: none yet. Kept by promote';
COMMENT ON COLUMN promote.project.created_at IS 'When the row was inserted';
COMMENT ON COLUMN promote.project.pruned IS 'Row of the project''s chain in the audit log that tells of the last pruning; NULL: nothing was pruned. Kept by promote';

CREATE FUNCTION promote_internal.keep_digest_key() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_keep_digest_key';
REVOKE ALL ON FUNCTION promote_internal.keep_digest_key() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.keep_digest_key() IS
'Gives a new project a random key, and a new name the key of the old one; leaves rows alone that a dump loads, which has the keys';
CREATE FUNCTION promote_internal.drop_digest_key() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_drop_digest_key';
REVOKE ALL ON FUNCTION promote_internal.drop_digest_key() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.drop_digest_key() IS
'Takes the key of a project, or of a name, that is no more';
CREATE TRIGGER keep_digest_key BEFORE INSERT OR UPDATE OF project ON promote.project
    FOR EACH ROW EXECUTE FUNCTION promote_internal.keep_digest_key();
ALTER TABLE promote.project ENABLE ALWAYS TRIGGER keep_digest_key;
CREATE TRIGGER drop_digest_key AFTER UPDATE OF project OR DELETE ON promote.project
    FOR EACH ROW EXECUTE FUNCTION promote_internal.drop_digest_key();
ALTER TABLE promote.project ENABLE ALWAYS TRIGGER drop_digest_key;

-- Only the owner may call this: whoever may can try values until the digest is right.
CREATE FUNCTION promote.config_digest(project text, params jsonb) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_config_digest';
REVOKE ALL ON FUNCTION promote.config_digest(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote.config_digest(text, jsonb) IS
'HMAC-SHA256 of the promote.jsonb_digest of a document under the key of a project, which never changes. For the owner of the tables: whoever may call it can confirm guesses. PM002 where there is no such project';

CREATE FUNCTION promote_internal.check_reference_defaults(defaults jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_reference_defaults';
COMMENT ON FUNCTION promote_internal.check_reference_defaults(jsonb) IS
'True for an object of slots, each with what can be a remote reference; otherwise an error that says what is wrong';

CREATE TABLE promote.environment (
    project     promote.project_name NOT NULL,
    environment promote.environment_name NOT NULL,
    description text,
    attributes  jsonb NOT NULL DEFAULT '{}',
    reference_defaults    jsonb NOT NULL DEFAULT '{}',
    require_plan          boolean NOT NULL DEFAULT true,
    decommission_protection boolean NOT NULL DEFAULT false,
    max_lost_leases       integer NOT NULL DEFAULT 3,
    source_policy          text COLLATE "C" NOT NULL DEFAULT 'any',
    require_source_in_sync boolean NOT NULL DEFAULT false,
    required_soak          interval NOT NULL DEFAULT '0',
    require_no_drift       boolean NOT NULL DEFAULT true,
    require_expected       boolean NOT NULL DEFAULT true,
    require_proven_release boolean NOT NULL DEFAULT true,
    require_no_reverts     boolean NOT NULL DEFAULT false,
    require_artifact_digest boolean NOT NULL DEFAULT false,
    require_structure      promote.environment_name,
    version_policy         text COLLATE "C" NOT NULL DEFAULT 'constraint',
    promotion_mode         text COLLATE "C" NOT NULL DEFAULT 'replace',
    separation_of_duty     boolean NOT NULL DEFAULT false,
    forked_from promote.environment_name,
    generation  integer NOT NULL DEFAULT 1,
    opened_at   timestamptz,
    archived_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT environment_pkey PRIMARY KEY (project, environment),
    CONSTRAINT environment_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT environment_generation_check
        CHECK (generation > 0 AND (generation = 1 OR opened_at IS NOT NULL)),
    -- no foreign key: a table that refers to itself is one of which a dump of data warns
    CONSTRAINT environment_require_structure_check
        CHECK (promote_internal.check_value(require_structure <> environment,
            'required structure', 'It is the environment itself.',
            'Name the environment that this one has to be shaped like; NULL asks for nothing.')),
    CONSTRAINT environment_attributes_check
        CHECK (promote_internal.check_object(attributes, 'attributes')),
    CONSTRAINT environment_reference_defaults_check
        CHECK (promote_internal.check_reference_defaults(reference_defaults)),
    CONSTRAINT environment_max_lost_leases_check
        CHECK (promote_internal.check_value(max_lost_leases > 0,
            'number of lost leases', 'It has to be 1 or more.',
            'Say after how many lost leases a deployment fails.')),
    CONSTRAINT environment_source_policy_check
        CHECK (promote_internal.check_value(source_policy IN ('any', 'path'),
            'source policy', 'It is any or path.',
            'Say path where nothing comes in but along rows of promote.promotion_path.')),
    CONSTRAINT environment_version_policy_check
        CHECK (promote_internal.check_value(version_policy IN ('constraint', 'pinned'),
            'version policy', 'It is constraint or pinned.',
            'Say pinned where every promotion takes over the exact version that its source runs.')),
    CONSTRAINT environment_promotion_mode_check
        CHECK (promote_internal.check_value(promotion_mode IN ('replace', 'merge'),
            'promotion mode', 'It is replace or merge.',
            'Say merge where a promotion keeps what the destination has changed itself.')),
    CONSTRAINT environment_required_soak_check
        CHECK (promote_internal.check_value(required_soak >= '0'::interval AND required_soak <= '1 year'::interval,
            'required soak', 'It is between 0 and 1 year.',
            'Say how long the source has to have run it, such as ''1 day''; NULL asks for nothing.'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.environment', '');
COMMENT ON TABLE promote.environment IS 'A stage of a project: staging, production, prod-uswest';
COMMENT ON COLUMN promote.environment.project IS 'Project it belongs to';
COMMENT ON COLUMN promote.environment.environment IS 'Name of the environment, the middle part of its instances'' names';
COMMENT ON COLUMN promote.environment.description IS 'For people';
COMMENT ON COLUMN promote.environment.attributes IS 'An object of the user''s own, for selecting by containment';
COMMENT ON COLUMN promote.environment.reference_defaults IS 'What fills slots for remote references of its instances that have none of their own, by the slots'' names';
COMMENT ON COLUMN promote.environment.require_plan IS 'Whether a PROVISION has to follow a PLAN that a worker has completed';
COMMENT ON COLUMN promote.environment.decommission_protection IS 'Whether the environment''s instances are protected from being decommissioned';
COMMENT ON COLUMN promote.environment.max_lost_leases IS 'A deployment of which that many workers have lost the lease has failed';
COMMENT ON COLUMN promote.environment.source_policy IS 'From where may be promoted to it? any: from every environment; path: along promotion paths only';
COMMENT ON COLUMN promote.environment.require_source_in_sync IS 'Whether what is deployed to the environment has to be what the source runs, in sync';
COMMENT ON COLUMN promote.environment.required_soak IS 'How long the source must have run the very configuration without an unhealthy report';
COMMENT ON COLUMN promote.environment.require_no_drift IS 'Whether open drift blocks deployments';
COMMENT ON COLUMN promote.environment.require_expected IS 'Whether changes that no plan of the source had block deployments';
COMMENT ON COLUMN promote.environment.require_proven_release IS 'Whether a release that was promoted has to have run at its source, or upstream of it, deployed and not failed';
COMMENT ON COLUMN promote.environment.require_no_reverts IS 'Whether somebody has to answer for promotions that undo what an instance here had set itself since the one before';
COMMENT ON COLUMN promote.environment.require_artifact_digest IS 'Whether a release without an artifact_digest blocks deployments';
COMMENT ON COLUMN promote.environment.require_structure IS 'Environment that this one has to be shaped like, however much larger it is: what is deployed has to have the shape of what that runs; NULL: none';
COMMENT ON COLUMN promote.environment.version_policy IS 'What a promotion takes over of its source''s version, unless the component says otherwise: constraint: the version constraint; pinned: the exact version that the source runs';
COMMENT ON COLUMN promote.environment.promotion_mode IS 'What a promotion to it does with what the destination has changed itself, unless the call says otherwise: replace: it goes; merge: it stays, and what both have changed is a conflict';
COMMENT ON COLUMN promote.environment.separation_of_duty IS 'Whether the approvals of those who asked for a deployment never count';
COMMENT ON COLUMN promote.environment.forked_from IS 'Environment that this generation was forked from; NULL: none. Kept by promote.fork_environment';
COMMENT ON COLUMN promote.environment.generation IS 'How many times the name was taken, this time included. Kept by promote.fork_environment';
COMMENT ON COLUMN promote.environment.opened_at IS 'When this generation was opened; NULL: with the row. Kept by promote.fork_environment';
COMMENT ON COLUMN promote.environment.archived_at IS 'When it was archived; NULL: it is in use. Kept by promote.archive_environment';
COMMENT ON COLUMN promote.environment.created_at IS 'When the row was inserted';

CREATE TABLE promote.environment_generation (
    project     promote.project_name NOT NULL,
    environment promote.environment_name NOT NULL,
    generation  integer NOT NULL,
    opened_at   timestamptz NOT NULL,
    archived_at timestamptz NOT NULL,
    forked_from promote.environment_name,
    parameters_digest bytea,
    attributes  jsonb NOT NULL,
    instances   jsonb NOT NULL,
    message     text,
    actor       text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    CONSTRAINT environment_generation_pkey PRIMARY KEY (project, environment, generation),
    CONSTRAINT environment_generation_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT environment_generation_forked_from_fkey FOREIGN KEY (project, forked_from)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT environment_generation_number_check CHECK (generation > 0)
);
SELECT pg_catalog.pg_extension_config_dump('promote.environment_generation', '');
COMMENT ON TABLE promote.environment_generation IS 'What environments were that are over: a row for each time that one was archived';
COMMENT ON COLUMN promote.environment_generation.project IS 'Project';
COMMENT ON COLUMN promote.environment_generation.environment IS 'Name, which another generation may have by now';
COMMENT ON COLUMN promote.environment_generation.generation IS 'Which of those that had the name, counted from 1';
COMMENT ON COLUMN promote.environment_generation.opened_at IS 'When it was opened';
COMMENT ON COLUMN promote.environment_generation.archived_at IS 'When it was archived';
COMMENT ON COLUMN promote.environment_generation.forked_from IS 'Environment that it was forked from; NULL: none';
COMMENT ON COLUMN promote.environment_generation.parameters_digest IS 'Digest of its parameters in the end, which promote.config has; NULL: it had none';
COMMENT ON COLUMN promote.environment_generation.attributes IS 'Its attributes in the end';
COMMENT ON COLUMN promote.environment_generation.instances IS 'Of each component the first and the last revision that it had: [3, 7]; null: it desired nothing';
COMMENT ON COLUMN promote.environment_generation.message IS 'Why it was archived, in the actor''s words';
COMMENT ON COLUMN promote.environment_generation.actor IS 'Who has archived it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.environment_generation.database_role IS 'Role that the session acted as';

CREATE TABLE promote.bundle (
    bundle      promote.bundle_name NOT NULL,
    description text,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT bundle_pkey PRIMARY KEY (bundle)
);
SELECT pg_catalog.pg_extension_config_dump('promote.bundle', '');
COMMENT ON TABLE promote.bundle IS 'Reusable infrastructure with versioned releases; shared by all projects';
COMMENT ON COLUMN promote.bundle.bundle IS 'Name';
COMMENT ON COLUMN promote.bundle.description IS 'For people';
COMMENT ON COLUMN promote.bundle.created_at IS 'When the row was inserted';

CREATE FUNCTION promote_internal.secret_declarations_check(secrets jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_secret_declarations_check';
COMMENT ON FUNCTION promote_internal.secret_declarations_check(jsonb) IS
'True for an object of declarations of secrets; anything else is refused, PM404, with what is wrong with it';

CREATE FUNCTION promote_internal.check_slots(slots jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_slots';
COMMENT ON FUNCTION promote_internal.check_slots(jsonb) IS
'True for declarations of slots for remote references, each with a description and whether it is required; otherwise an error that says what is wrong';

CREATE FUNCTION promote_internal.check_presets(presets jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_presets';
COMMENT ON FUNCTION promote_internal.check_presets(jsonb) IS
'True for an object of named params within the limits; otherwise an error that says what is wrong';

CREATE FUNCTION promote_internal.judge_presets() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_judge_presets';
REVOKE ALL ON FUNCTION promote_internal.judge_presets() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.judge_presets() IS
'Refuses a release with presets whose values its own schema refuses, PM103, whatever would be added to them; what is missing from them is allowed';

CREATE TABLE promote.bundle_release (
    bundle        promote.bundle_name NOT NULL,
    version       promote.semantic_version NOT NULL,
    sort_key      bytea NOT NULL GENERATED ALWAYS AS (promote.version_key(version)) STORED,
    prerelease    boolean NOT NULL GENERATED ALWAYS AS (promote.version_is_prerelease(version)) STORED,
    params_schema jsonb NOT NULL,
    stateful_types text[] COLLATE "C" NOT NULL DEFAULT '{}',
    secrets       jsonb NOT NULL DEFAULT '{}',
    remote_references jsonb NOT NULL DEFAULT '{}',
    presets       jsonb NOT NULL DEFAULT '{}',
    artifact_digest text COLLATE "C",
    source_commit text COLLATE "C",
    changelog     text,
    attributes    jsonb,
    block_reason  text,
    published_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT bundle_release_pkey PRIMARY KEY (bundle, version),
    CONSTRAINT bundle_release_bundle_fkey FOREIGN KEY (bundle)
        REFERENCES promote.bundle (bundle),
    -- +dev behind a version constraint means the channel
    CONSTRAINT bundle_release_version_check
        CHECK (promote_internal.check_value(pg_catalog.strpos(version, '+') = 0,
            'version of a release', 'Build metadata, which is what stands behind +, does not tell two releases apart.',
            'Leave it out, or publish another version.')),
    CONSTRAINT bundle_release_params_schema_check
        CHECK (promote.jsonb_schema_check(params_schema)),
    CONSTRAINT bundle_release_secrets_check
        CHECK (promote_internal.secret_declarations_check(secrets)),
    CONSTRAINT bundle_release_remote_references_check
        CHECK (promote_internal.check_slots(remote_references)),
    CONSTRAINT bundle_release_presets_check
        CHECK (promote_internal.check_presets(presets)),
    CONSTRAINT bundle_release_artifact_digest_check
        CHECK (promote_internal.check_value(
            pg_catalog.length(artifact_digest) <= 300
            AND artifact_digest ~ '^[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,}$'
            AND (artifact_digest !~ '^sha256:' OR pg_catalog.length(artifact_digest) = 7 + 64)
            AND (artifact_digest !~ '^sha512:' OR pg_catalog.length(artifact_digest) = 7 + 128),
            'artifact digest', 'It is an algorithm, a colon and the digest in lower-case hexadecimal digits: 64 of them for sha256, 128 for sha512.',
            'Write it as registries do, such as sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.')),
    CONSTRAINT bundle_release_source_commit_check
        CHECK (promote_internal.check_value(source_commit ~ '^[[:graph:]]{1,255}$',
            'source commit', 'It is 1 to 255 characters without blanks.',
            'Name the commit as its repository does, such as by its hash.')),
    CONSTRAINT bundle_release_changelog_check
        CHECK (promote_internal.check_value(pg_catalog.octet_length(changelog) BETWEEN 1 AND 1048576,
            'changelog', 'It is empty, or larger than 1 MB.',
            'Say what the release changes, or leave it out.')),
    CONSTRAINT bundle_release_attributes_check
        CHECK (promote_internal.check_object(attributes, 'attributes'))
);
-- This index also refuses two versions that differ in nothing but build metadata. It is no constraint, since a
-- foreign key could refer to that: PostgreSQL takes a row FOR UPDATE where a generated column of such a key might
-- change, and a block of a release would wait for everything that refers to it.
CREATE UNIQUE INDEX bundle_release_sort_key_key ON promote.bundle_release (bundle, sort_key)
    WHERE bundle IS NOT NULL;
-- latest stable, however many development builds came after it
CREATE INDEX bundle_release_stable_idx ON promote.bundle_release (bundle, sort_key)
    WHERE NOT prerelease;
SELECT pg_catalog.pg_extension_config_dump('promote.bundle_release', '');
COMMENT ON TABLE promote.bundle_release IS 'A version of a bundle and the JSON Schema of its params';
COMMENT ON INDEX promote.bundle_release_sort_key_key IS 'Versions of a bundle in their order, each once';
COMMENT ON INDEX promote.bundle_release_stable_idx IS 'Finds the newest stable release of a range';
COMMENT ON COLUMN promote.bundle_release.bundle IS 'Bundle it is a release of';
COMMENT ON COLUMN promote.bundle_release.version IS 'Semantic version (semver.org 2.0.0) without build metadata';
COMMENT ON COLUMN promote.bundle_release.sort_key IS 'Sorts as the versions'' precedence does';
COMMENT ON COLUMN promote.bundle_release.prerelease IS 'Whether the release is for the development channel only';
COMMENT ON COLUMN promote.bundle_release.params_schema IS 'JSON Schema that the params must satisfy, with the $md annotations';
COMMENT ON COLUMN promote.bundle_release.stateful_types IS 'Types of resources that hold data, beside those of promote.stateful_type; * stands for any characters';
COMMENT ON COLUMN promote.bundle_release.secrets IS 'Secrets that it declares: an object of names, each with an object of required, format (text or json) and description';
COMMENT ON COLUMN promote.bundle_release.remote_references IS 'Slots for what others provide, by name: is it required, and a description';
COMMENT ON COLUMN promote.bundle_release.presets IS 'Params by name that configuring and promoting may begin with, each valid as far as it goes';
COMMENT ON COLUMN promote.bundle_release.artifact_digest IS 'Digest of the artifact that the release consists of, as algorithm:hex; NULL: not known';
COMMENT ON COLUMN promote.bundle_release.source_commit IS 'Commit that it was built from; NULL: not known';
COMMENT ON COLUMN promote.bundle_release.changelog IS 'What it changes, for people; NULL: not said';
COMMENT ON COLUMN promote.bundle_release.attributes IS 'An object of the user''s own, such as who has signed the artifact; NULL: none';
COMMENT ON COLUMN promote.bundle_release.block_reason IS 'Why nothing may be deployed by it; NULL: it may';
COMMENT ON COLUMN promote.bundle_release.published_at IS 'When the row was inserted';

-- not where triggers are off for a replica, and not for rows that are restored: they were judged before
CREATE TRIGGER judge_presets AFTER INSERT ON promote.bundle_release
    FOR EACH ROW EXECUTE FUNCTION promote_internal.judge_presets();

CREATE TABLE promote.component (
    project     promote.project_name NOT NULL,
    component   promote.component_name NOT NULL,
    bundle      promote.bundle_name NOT NULL,
    description text,
    attributes  jsonb NOT NULL DEFAULT '{}',
    version_policy text COLLATE "C",
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT component_pkey PRIMARY KEY (project, component),
    CONSTRAINT component_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT component_bundle_fkey FOREIGN KEY (bundle)
        REFERENCES promote.bundle (bundle),
    CONSTRAINT component_attributes_check
        CHECK (promote_internal.check_object(attributes, 'attributes')),
    CONSTRAINT component_version_policy_check
        CHECK (promote_internal.check_value(version_policy IN ('constraint', 'pinned'),
            'version policy', 'It is constraint or pinned.',
            'Say pinned where every promotion takes over the exact version that its source runs; NULL leaves it to the environment.'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.component', '');
COMMENT ON TABLE promote.component IS 'A slot of a project''s blueprint: db, app, cache';
COMMENT ON COLUMN promote.component.project IS 'Project it belongs to';
COMMENT ON COLUMN promote.component.component IS 'Name of the component, the last part of its instances'' names';
COMMENT ON COLUMN promote.component.bundle IS 'Bundle that all its instances are made of';
COMMENT ON COLUMN promote.component.description IS 'For people';
COMMENT ON COLUMN promote.component.attributes IS 'An object of the user''s own, for selecting by containment';
COMMENT ON COLUMN promote.component.version_policy IS 'As in promote.environment, for promotions of this component everywhere; NULL: what the destination''s environment says';
COMMENT ON COLUMN promote.component.created_at IS 'When the row was inserted';

CREATE FUNCTION promote_internal.check_instance(
    status text, revision integer, opened_revision integer, deployment integer, version_constraint text,
    release_channel text, deployed_revision integer, deployed_by integer, changed_by integer) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_instance';
COMMENT ON FUNCTION promote_internal.check_instance(text, integer, integer, integer, text, text, integer, integer, integer) IS
'Whether an instance''s row makes sense: its status exists; it has a constraint and a channel if and only if it has a revision of its environment''s generation; what runs and what may have changed it are among its deployments, and what runs is of one of those revisions';

CREATE TABLE promote.instance (
    project            promote.project_name NOT NULL,
    environment        promote.environment_name NOT NULL,
    component          promote.component_name NOT NULL,
    name               text COLLATE "C" NOT NULL
        GENERATED ALWAYS AS (project || '-' || environment || '-' || component) STORED,
    attributes         jsonb NOT NULL DEFAULT '{}',
    status             text COLLATE "C" NOT NULL DEFAULT 'INITIALIZED',
    revision           integer NOT NULL DEFAULT 0,
    deployment         integer NOT NULL DEFAULT 0,
    version_constraint promote.version_constraint,
    release_channel    promote.release_channel,
    deployed_revision  integer,
    deployed_by        integer,
    changed_by         integer NOT NULL DEFAULT 0,
    removed_secrets    jsonb,
    opened_revision    integer NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT instance_pkey PRIMARY KEY (project, environment, component),
    CONSTRAINT instance_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT instance_component_fkey FOREIGN KEY (project, component)
        REFERENCES promote.component (project, component),
    CONSTRAINT instance_attributes_check
        CHECK (promote_internal.check_object(attributes, 'attributes')),
    -- one function, because PostgreSQL reads the text of every check anew for every statement: see instance.c
    CONSTRAINT instance_check
        CHECK (promote_internal.check_instance(status, revision, opened_revision, deployment, version_constraint,
                                               release_channel, deployed_revision, deployed_by, changed_by))
)
-- counters move at every promotion: room for the new row on the same page
WITH (fillfactor = 80);
CREATE INDEX instance_name_idx ON promote.instance (name);
SELECT pg_catalog.pg_extension_config_dump('promote.instance', '');
COMMENT ON TABLE promote.instance IS 'A component in an environment: what is promoted';
COMMENT ON INDEX promote.instance_name_idx IS 'Finds an instance by its name';
COMMENT ON COLUMN promote.instance.project IS 'Project it belongs to';
COMMENT ON COLUMN promote.instance.environment IS 'Environment it is in';
COMMENT ON COLUMN promote.instance.component IS 'Component it is an instance of';
COMMENT ON COLUMN promote.instance.name IS 'Name of the instance: project, environment and component with dashes between them';
COMMENT ON COLUMN promote.instance.attributes IS 'An object of the user''s own, for selecting by containment';
COMMENT ON COLUMN promote.instance.status IS 'INITIALIZED, PROVISIONED, FAILED or DECOMMISSIONED. Kept by the triggers';
COMMENT ON COLUMN promote.instance.revision IS 'The desired revision, which is the last one; opened_revision: none yet. Kept by the triggers';
COMMENT ON COLUMN promote.instance.deployment IS 'Number of the instance''s last deployment; 0: none yet. Kept by the triggers';
COMMENT ON COLUMN promote.instance.version_constraint IS 'The desired revision''s. Kept by the triggers';
COMMENT ON COLUMN promote.instance.release_channel IS 'The desired revision''s. Kept by the triggers';
COMMENT ON COLUMN promote.instance.deployed_revision IS 'Revision that it runs; NULL: it is not provisioned. Kept by the triggers';
COMMENT ON COLUMN promote.instance.deployed_by IS 'PROVISION deployment that brought that about. Kept by the triggers';
COMMENT ON COLUMN promote.instance.changed_by IS 'Last PROVISION or DECOMMISSION that a worker has begun to carry out and that is over, whatever came of it; 0: none yet. Kept by the triggers';
COMMENT ON COLUMN promote.instance.removed_secrets IS 'Names of secrets that it has had, each with the time when it was removed last; NULL: none was. Kept by promote.remove_secret';
COMMENT ON COLUMN promote.instance.opened_revision IS 'What revision was when the environment''s generation was opened: the revisions up to it are of earlier ones; 0: of none. Kept by promote.fork_environment';
COMMENT ON COLUMN promote.instance.created_at IS 'When the row was inserted';

CREATE FUNCTION promote_internal.effective_attributes(of_project jsonb, of_environment jsonb, of_component jsonb, of_instance jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN $1 || $2 || $3 || COALESCE($4, '{}');
REVOKE ALL ON FUNCTION promote_internal.effective_attributes(jsonb, jsonb, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.effective_attributes(jsonb, jsonb, jsonb, jsonb) IS
'What an instance is selected by: its attributes over those of its component, its environment and its project. Where it is not there yet (NULL), what it would begin with';

CREATE VIEW promote_internal.instance_attributes WITH (security_invoker = true) AS
    SELECT i.project,
           i.environment,
           i.component,
           promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, i.attributes) AS attributes
      FROM promote.instance AS i
      JOIN promote.project AS p ON p.project = i.project
      JOIN promote.environment AS e ON e.project = i.project AND e.environment = i.environment
      JOIN promote.component AS c ON c.project = i.project AND c.component = i.component
     WHERE e.archived_at IS NULL;
COMMENT ON VIEW promote_internal.instance_attributes IS 'The effective attributes of every instance whose environment is in use';
COMMENT ON COLUMN promote_internal.instance_attributes.project IS 'Project';
COMMENT ON COLUMN promote_internal.instance_attributes.environment IS 'Environment';
COMMENT ON COLUMN promote_internal.instance_attributes.component IS 'Component';
COMMENT ON COLUMN promote_internal.instance_attributes.attributes IS 'What its selectors look at';

CREATE FUNCTION promote.resolve_release(
    bundle text, version_constraint text, release_channel text)
    RETURNS TABLE (version text, params_schema jsonb)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        (SELECT r.version, r.params_schema
           FROM promote.bundle_release AS r
          WHERE $3 = 'stable' AND $2 !~ '^[0-9]'
            AND r.bundle = $1 AND NOT r.prerelease
            AND r.sort_key >= (promote.version_range($2)).lower
            AND r.sort_key < (promote.version_range($2)).upper
          ORDER BY r.bundle DESC, r.sort_key DESC LIMIT 1)
        UNION ALL
        (SELECT r.version, r.params_schema
           FROM promote.bundle_release AS r
          WHERE ($3 = 'development' OR $2 ~ '^[0-9]')
            AND r.bundle = $1
            AND r.sort_key >= (promote.version_range($2)).lower
            AND r.sort_key < (promote.version_range($2)).upper
          ORDER BY r.bundle DESC, r.sort_key DESC LIMIT 1);
    END;
REVOKE ALL ON FUNCTION promote.resolve_release(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.resolve_release(text, text, text) IS
'The newest release of a bundle that a version constraint allows now: stable ones only, or on the channel development prereleases too; an exact version is taken from any channel. No row where nothing matches';

CREATE VIEW promote_internal.instance_release AS
SELECT i.project, i.environment, i.component, NULLIF(i.revision, i.opened_revision) AS revision, i.version_constraint, i.release_channel, c.bundle, r.version,
       (SELECT NULLIF(f.remote_references, '{}') FROM promote.bundle_release AS f
         WHERE f.bundle = c.bundle AND f.version = r.version) AS slots
  FROM promote.instance AS i
  JOIN promote.component AS c ON c.project = i.project AND c.component = i.component
  LEFT JOIN LATERAL promote.resolve_release(c.bundle, i.version_constraint, i.release_channel) AS r ON true;
COMMENT ON VIEW promote_internal.instance_release IS
'The release that an instance''s constraint stands for now, and the slots for remote references that it declares; NULL: there is none';

