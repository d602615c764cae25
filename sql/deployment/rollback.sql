-- Going back to what ran before.

CREATE FUNCTION promote.rollback_instance(
    instance text, to_revision integer DEFAULT NULL, message text DEFAULT NULL,
    expected_revision integer DEFAULT NULL, plan boolean DEFAULT true,
    allow_replace boolean DEFAULT false,
    OUT destination text, OUT old_revision integer, OUT new_revision integer,
    OUT deployment integer, OUT changed boolean, OUT diff jsonb)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_rollback_instance';
REVOKE ALL ON FUNCTION promote.rollback_instance(text, integer, text, integer, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.rollback_instance(text, integer, text, integer, boolean, boolean) IS
'Stages what a revision that was deployed desired, by the release that ran with it, as a new revision, and queues a PLAN; the last revision that was deployed and is not the desired one where none is named. Refused for everything that stands in the way';

CREATE FUNCTION promote.rehearse_rollback(
    instance text, to_revision integer DEFAULT NULL, record boolean DEFAULT false)
    RETURNS TABLE (kind text, code text, path text, change text, old_value jsonb, new_value jsonb,
                   immutable boolean, sensitive boolean, message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_rehearse_rollback';
REVOKE ALL ON FUNCTION promote.rehearse_rollback(text, integer, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.rehearse_rollback(text, integer, boolean) IS
'What rollback_instance with these arguments would do: a row of kind change for each leaf that would change, sensitive values masked; of kind obstacle for everything that the rollback would be refused for; of kind gate for each gate of time that is closed now. With record the audit log keeps it as evidence; nothing else is changed';
