-- Promoting one environment to another by one call, and previewing that.

CREATE FUNCTION promote.preview_promote_environment(
    src text, dst text, overrides jsonb DEFAULT '{}', components text[] DEFAULT NULL, selector jsonb DEFAULT NULL,
    copy_secrets boolean DEFAULT false, copy_remote_references boolean DEFAULT false,
    plan boolean DEFAULT true, message text DEFAULT NULL, expected_revision jsonb DEFAULT '{}',
    allow_replace boolean DEFAULT false, pin boolean DEFAULT false, reprovision boolean DEFAULT false,
    "only" text[] DEFAULT NULL, source_state text DEFAULT NULL, preset text DEFAULT NULL,
    fill_defaults boolean DEFAULT false, mode text DEFAULT NULL, on_conflict text DEFAULT NULL,
    partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_preview_promote_environment';
REVOKE ALL ON FUNCTION promote.preview_promote_environment(text, text, jsonb, text[], jsonb, boolean, boolean, boolean, text, jsonb, boolean, boolean, boolean, text[], text, text, boolean, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_promote_environment(text, text, jsonb, text[], jsonb, boolean, boolean, boolean, text, jsonb, boolean, boolean, boolean, text[], text, text, boolean, text, text, boolean) IS
'What promote_environment with these arguments would return: a row for each component, with code and problem for each that it would refuse or leave out. Writes nothing and locks nothing';

CREATE FUNCTION promote.promote_environment(
    src text, dst text, overrides jsonb DEFAULT '{}', components text[] DEFAULT NULL, selector jsonb DEFAULT NULL,
    copy_secrets boolean DEFAULT false, copy_remote_references boolean DEFAULT false,
    plan boolean DEFAULT true, message text DEFAULT NULL, expected_revision jsonb DEFAULT '{}',
    allow_replace boolean DEFAULT false, pin boolean DEFAULT false, reprovision boolean DEFAULT false,
    "only" text[] DEFAULT NULL, source_state text DEFAULT NULL, preset text DEFAULT NULL,
    fill_defaults boolean DEFAULT false, mode text DEFAULT NULL, on_conflict text DEFAULT NULL,
    partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_promote_environment';
REVOKE ALL ON FUNCTION promote.promote_environment(text, text, jsonb, text[], jsonb, boolean, boolean, boolean, text, jsonb, boolean, boolean, boolean, text[], text, text, boolean, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.promote_environment(text, text, jsonb, text[], jsonb, boolean, boolean, boolean, text, jsonb, boolean, boolean, boolean, text[], text, text, boolean, text, text, boolean) IS
'Promotes the components of one environment to another as promote_instance does each, by one call: those that are named, whose attributes contain the selector, or all. overrides and expected_revision are by component. The source may be a tag or a time, as in ecomm-staging@tuesday: then what ran there is promoted, or by source_state what was desired. Returns a row for each component, in order; a word as code says why one is left out. If one is refused, nothing is written and one error names all that are; with partial those are left out, too, and have the SQLSTATE as code';
