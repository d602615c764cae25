-- Applying what one revision changed to another instance.

CREATE FUNCTION promote.apply_revision(
    instance text, revision integer, to_instance text, message text DEFAULT NULL,
    expected_revision integer DEFAULT NULL, on_conflict text DEFAULT NULL, overrides jsonb DEFAULT '{}',
    plan boolean DEFAULT true, allow_replace boolean DEFAULT false,
    OUT destination text, OUT old_revision integer, OUT new_revision integer,
    OUT deployment integer, OUT changed boolean, OUT diff jsonb)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_apply_revision';
REVOKE ALL ON FUNCTION promote.apply_revision(text, integer, text, text, integer, text, jsonb, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.apply_revision(text, integer, text, text, integer, text, jsonb, boolean, boolean) IS
'Stages what a revision changed in the params and in the release''s constraint and channel, and nothing else, at another instance of the component, or again at its own: merged with what is desired there, with the overrides on top. What was changed there as well is refused (PM109), unless the overrides or on_conflict, source or destination, decide it';
