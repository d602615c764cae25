-- Editing what an instance desires, in place.

CREATE FUNCTION promote.configure_instance(
    instance text, patch jsonb DEFAULT '{}', version_constraint text DEFAULT NULL,
    message text DEFAULT NULL, expected_revision integer DEFAULT NULL,
    plan boolean DEFAULT true, allow_replace boolean DEFAULT false,
    preset text DEFAULT NULL, fill_defaults boolean DEFAULT false,
    OUT destination text, OUT old_revision integer, OUT new_revision integer,
    OUT deployment integer, OUT changed boolean, OUT diff jsonb)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_configure_instance';
REVOKE ALL ON FUNCTION promote.configure_instance(text, jsonb, text, text, integer, boolean, boolean, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.configure_instance(text, jsonb, text, text, integer, boolean, boolean, text, boolean) IS
'Edits what an instance desires: a merge patch (RFC 7396) on its params, and a version constraint such as ~1.2 or latest+dev; the first call is the instance''s first revision. preset merges params of the release over its own before the patch, and fill_defaults fills in the schema''s defaults for what is still missing';

CREATE FUNCTION promote.preview_configuration(
    instance text, patch jsonb DEFAULT '{}', version_constraint text DEFAULT NULL,
    preset text DEFAULT NULL, fill_defaults boolean DEFAULT false)
    RETURNS TABLE (kind text, path text, change text, old_value jsonb, new_value jsonb, running_value jsonb,
                   since integer, origin text, immutable boolean, sensitive boolean,
                   reverts jsonb, base_value jsonb, problem text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20
    AS 'MODULE_PATHNAME', 'promote_preview_configuration';
REVOKE ALL ON FUNCTION promote.preview_configuration(text, jsonb, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_configuration(text, jsonb, text, text, boolean) IS
'What configure_instance with these arguments would change, in the columns of preview_promotion; also of an instance without a configuration. Writes nothing';
