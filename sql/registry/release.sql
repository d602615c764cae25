-- Releases that are taken out of use, and put back.

CREATE TABLE promote.release_event (
    bundle        promote.bundle_name NOT NULL,
    version       promote.semantic_version NOT NULL,
    seq           integer NOT NULL,
    event         text COLLATE "C" NOT NULL,
    reason        text,
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    at            timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT release_event_pkey PRIMARY KEY (bundle, version, seq),
    CONSTRAINT release_event_release_fkey FOREIGN KEY (bundle, version)
        REFERENCES promote.bundle_release (bundle, version),
    CONSTRAINT release_event_seq_check CHECK (seq > 0),
    CONSTRAINT release_event_event_check
        CHECK (promote_internal.check_value(event IN ('blocked', 'unblocked'),
            'event of a release', 'It is blocked or unblocked.',
            'Use block_release or unblock_release.')),
    CONSTRAINT release_event_reason_check
        CHECK (promote_internal.check_value(event <> 'blocked' OR reason IS NOT NULL,
            'block of a release', 'It has no reason.',
            'Say why.'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.release_event', '');
COMMENT ON TABLE promote.release_event IS 'When and why releases were blocked and unblocked, numbered from 1 per release; bundle_release.block_reason says whether a release is blocked now';
COMMENT ON COLUMN promote.release_event.bundle IS 'Bundle of the release';
COMMENT ON COLUMN promote.release_event.version IS 'Version of the release';
COMMENT ON COLUMN promote.release_event.seq IS 'Number';
COMMENT ON COLUMN promote.release_event.event IS 'blocked, also for another reason than before, or unblocked';
COMMENT ON COLUMN promote.release_event.reason IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.release_event.actor IS 'Who, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.release_event.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.release_event.at IS 'When';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.release_event
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.release_event
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.release_event
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.release_event ENABLE ALWAYS TRIGGER guard_record;
ALTER TABLE promote.release_event ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.release_event ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION promote_internal.check_artifact() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_check_artifact';
REVOKE ALL ON FUNCTION promote_internal.check_artifact() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.check_artifact() IS
'Refuses to register a version once more with another artifact digest, PM203, also where ON CONFLICT DO NOTHING would keep silent about it';
CREATE TRIGGER check_artifact BEFORE INSERT ON promote.bundle_release
    FOR EACH ROW EXECUTE FUNCTION promote_internal.check_artifact();
ALTER TABLE promote.bundle_release ENABLE ALWAYS TRIGGER check_artifact;

CREATE FUNCTION promote_internal.record_release() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_release';
REVOKE ALL ON FUNCTION promote_internal.record_release() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.record_release() IS
'Records that a release was blocked or unblocked, by whom and why; a transaction that was judged while the release was not blocked fails at its commit';

-- its name sorts before record_change, whose event tells of the row
CREATE TRIGGER note_release AFTER UPDATE ON promote.bundle_release
    FOR EACH ROW EXECUTE FUNCTION promote_internal.record_release();
ALTER TABLE promote.bundle_release ENABLE ALWAYS TRIGGER note_release;

CREATE FUNCTION promote.block_release(bundle text, version text, reason text)
    RETURNS promote.bundle_release
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_block_release';
REVOKE ALL ON FUNCTION promote.block_release(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.block_release(text, text, text) IS
'Takes a release out of use: nothing is promoted, planned, deployed or rolled back to it, PM510, until it is unblocked; what runs goes on running';

CREATE FUNCTION promote.unblock_release(bundle text, version text, message text DEFAULT NULL)
    RETURNS promote.bundle_release
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_unblock_release';
REVOKE ALL ON FUNCTION promote.unblock_release(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.unblock_release(text, text, text) IS
'Puts a blocked release back to use';
