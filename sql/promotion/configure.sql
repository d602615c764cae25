-- Editing what an instance desires, in place.

CREATE FUNCTION promote.configure_instance(
    instance text, patch jsonb DEFAULT '{}', version_constraint text DEFAULT NULL,
    message text DEFAULT NULL, expected_revision integer DEFAULT NULL,
    plan boolean DEFAULT true, allow_replace boolean DEFAULT false,
    OUT destination text, OUT old_revision integer, OUT new_revision integer,
    OUT deployment integer, OUT changed boolean, OUT diff jsonb)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_configure_instance';
REVOKE ALL ON FUNCTION promote.configure_instance(text, jsonb, text, text, integer, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.configure_instance(text, jsonb, text, text, integer, boolean, boolean) IS
'Edits what an instance desires: a merge patch (RFC 7396) on its params, and a version constraint such as ~1.2 or latest+dev; the first call is the instance''s first revision';
