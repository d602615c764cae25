-- Rolling an environment back to what ran there before by one call, and previewing that.

CREATE FUNCTION promote.preview_rollback_environment(
    environment text, at timestamptz DEFAULT NULL, to_request integer DEFAULT NULL, tag text DEFAULT NULL,
    components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, message text DEFAULT NULL,
    expected_revision jsonb DEFAULT '{}', plan boolean DEFAULT true, allow_replace boolean DEFAULT false,
    partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_preview_rollback_environment';
REVOKE ALL ON FUNCTION promote.preview_rollback_environment(text, timestamptz, integer, text, text[], jsonb, text, jsonb, boolean, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_rollback_environment(text, timestamptz, integer, text, text[], jsonb, text, jsonb, boolean, boolean, boolean) IS
'What rollback_environment with these arguments would return: a row for each component, with code and problem for each that it would refuse or leave out. Writes nothing and locks nothing';

CREATE FUNCTION promote.rollback_environment(
    environment text, at timestamptz DEFAULT NULL, to_request integer DEFAULT NULL, tag text DEFAULT NULL,
    components text[] DEFAULT NULL, selector jsonb DEFAULT NULL, message text DEFAULT NULL,
    expected_revision jsonb DEFAULT '{}', plan boolean DEFAULT true, allow_replace boolean DEFAULT false,
    partial boolean DEFAULT false)
    RETURNS TABLE (component text, changed boolean, revision integer, deployment integer, diff jsonb,
                   code text, problem text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_rollback_environment';
REVOKE ALL ON FUNCTION promote.rollback_environment(text, timestamptz, integer, text, text[], jsonb, text, jsonb, boolean, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.rollback_environment(text, timestamptz, integer, text, text[], jsonb, text, jsonb, boolean, boolean, boolean) IS
'Stages what the components of an environment ran at a time, by a tag, or when a request to there was over, each by the release that ran then, as rollback_instance does each, by one call: those that are named, whose attributes contain the selector, or all. The tag or the time may also stand behind the @ of the environment. expected_revision is by component. Returns a row for each component, in order; a word as code says why one is left out. If one is refused, nothing is written and one error names all that are; with partial those are left out, too, and have the SQLSTATE as code';
