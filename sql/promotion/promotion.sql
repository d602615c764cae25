-- Promoting one instance, and previewing it.

CREATE TABLE promote.idempotency_key (
    project         promote.project_name NOT NULL,
    environment     promote.environment_name NOT NULL,
    component       promote.component_name NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    request         bytea NOT NULL,
    old_revision    integer NOT NULL,
    new_revision    integer NOT NULL,
    deployment      integer,
    changed         boolean NOT NULL,
    diff            jsonb NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT idempotency_key_pkey
        PRIMARY KEY (project, environment, component, idempotency_key),
    CONSTRAINT idempotency_key_instance_fkey FOREIGN KEY (project, environment, component)
        REFERENCES promote.instance (project, environment, component),
    CONSTRAINT idempotency_key_request_check CHECK (pg_catalog.octet_length(request) = 32),
    CONSTRAINT idempotency_key_diff_check CHECK (pg_catalog.jsonb_typeof(diff) = 'array')
);
CREATE TRIGGER guard_record BEFORE INSERT ON promote.idempotency_key
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.idempotency_key ENABLE ALWAYS TRIGGER guard_record;
SELECT pg_catalog.pg_extension_config_dump('promote.idempotency_key', '');
COMMENT ON TABLE promote.idempotency_key IS 'Results of promotions that were called with an idempotency key; old rows may be deleted';
COMMENT ON COLUMN promote.idempotency_key.project IS 'The destination''s project';
COMMENT ON COLUMN promote.idempotency_key.environment IS 'The destination''s environment';
COMMENT ON COLUMN promote.idempotency_key.component IS 'The destination''s component';
COMMENT ON COLUMN promote.idempotency_key.idempotency_key IS 'The caller''s key';
COMMENT ON COLUMN promote.idempotency_key.request IS 'Digest of the call''s other arguments, by the key of the project';
COMMENT ON COLUMN promote.idempotency_key.old_revision IS 'Result';
COMMENT ON COLUMN promote.idempotency_key.new_revision IS 'Result';
COMMENT ON COLUMN promote.idempotency_key.deployment IS 'Result';
COMMENT ON COLUMN promote.idempotency_key.changed IS 'Result';
COMMENT ON COLUMN promote.idempotency_key.diff IS 'Result; sensitive values are masked';
COMMENT ON COLUMN promote.idempotency_key.created_at IS 'When the call was made';

CREATE FUNCTION promote.preview_promotion(
    src text, dst text, overrides jsonb DEFAULT '{}',
    copy_secrets boolean DEFAULT false, copy_remote_references boolean DEFAULT false, pin boolean DEFAULT false,
    reprovision boolean DEFAULT false,
    "only" text[] DEFAULT NULL, source_revision integer DEFAULT NULL, source_state text DEFAULT 'desired',
    expected_source_revision integer DEFAULT NULL, preset text DEFAULT NULL, fill_defaults boolean DEFAULT false,
    mode text DEFAULT NULL, on_conflict text DEFAULT NULL)
    RETURNS TABLE (kind text, path text, change text, old_value jsonb, new_value jsonb, running_value jsonb,
                   since integer, origin text, immutable boolean, sensitive boolean,
                   reverts jsonb, base_value jsonb, problem text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_preview_promotion';
REVOKE ALL ON FUNCTION promote.preview_promotion(text, text, jsonb, boolean, boolean, boolean, boolean, text[], integer, text, integer, text, boolean, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_promotion(text, text, jsonb, boolean, boolean, boolean, boolean, text[], integer, text, integer, text, boolean, text, text) IS
'What promote_instance with these arguments would change of what is desired (old_value, new_value), what of that waits to be deployed, with what runs and since which desired revision (running_value, since; NULL: nothing will happen), and what the destination would keep: a row for each part of the release, each leaf, reference and secret. What would not be valid, and so be refused by promote_instance, is a row of the kind violation: path and problem. SQL NULL is a missing value, JSON null is null; sensitive values are masked. Writes nothing';

CREATE FUNCTION promote.promote_instance(
    src text, dst text, overrides jsonb DEFAULT '{}',
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
    AS 'MODULE_PATHNAME', 'promote_promote_instance';
REVOKE ALL ON FUNCTION promote.promote_instance(text, text, jsonb, boolean, boolean, boolean, text, integer, text, boolean, boolean, boolean, text[], integer, text, integer, text, boolean, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.promote_instance(text, text, jsonb, boolean, boolean, boolean, text, integer, text, boolean, boolean, boolean, text[], integer, text, integer, text, boolean, text, text) IS
'Stages the source''s desired configuration, version constraint and channel at another instance of the same component, with the overrides on top, and queues a PLAN deployment if that differs from what runs. diff says how, also where no plan is wanted; pin takes the exact version that the source runs instead of its constraint, reprovision brings back what was decommissioned, "only" takes what it names and leaves the rest the destination''s, source_revision and source_state take another revision than the desired one, preset names params of the release for what the destination has not and the source may not give, and fill_defaults fills in the schema''s defaults for what is still missing. A destination without a configuration has nothing of its own';

CREATE FUNCTION promote.promote_many(
    source text[], destination text[], overrides jsonb[] DEFAULT NULL,
    copy_secrets boolean DEFAULT false, copy_remote_references boolean DEFAULT false,
    plan boolean DEFAULT true, message text DEFAULT NULL, expected_revision integer[] DEFAULT NULL,
    allow_replace boolean DEFAULT false, pin boolean DEFAULT false, reprovision boolean DEFAULT false,
    "only" text[] DEFAULT NULL, source_state text DEFAULT 'desired', preset text DEFAULT NULL,
    fill_defaults boolean DEFAULT false, mode text DEFAULT NULL, on_conflict text DEFAULT NULL,
    partial boolean DEFAULT false)
    RETURNS TABLE (instance text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'promote_promote_many';
REVOKE ALL ON FUNCTION promote.promote_many(text[], text[], jsonb[], boolean, boolean, boolean, text, integer[], boolean, boolean, boolean, text[], text, text, boolean, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.promote_many(text[], text[], jsonb[], boolean, boolean, boolean, text, integer[], boolean, boolean, boolean, text[], text, text, boolean, text, text, boolean) IS
'Promotes as promote_instance does, many instances by one call: element by element of the arrays, each with its own overrides and expected revision (NULL: none), all with the same options. Returns a row for each, in the order given. If one is refused, nothing is written and one error names all that are; with partial those are left out, and have the SQLSTATE as code and the reason as problem';
