-- What writing a revision records.  The triggers are ENABLE ALWAYS:
-- session_replication_role does not switch them off.

CREATE FUNCTION promote_internal.complete_revision() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_complete_revision';
REVOKE ALL ON FUNCTION promote_internal.complete_revision() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.complete_revision() IS
'Fills in the number and the release of a revision that is inserted without them';

CREATE FUNCTION promote_internal.record_revision() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_revision';
REVOKE ALL ON FUNCTION promote_internal.record_revision() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.record_revision() IS
'Judges new revisions, moves their instances, queues their plans, appends to the audit log and notifies';

CREATE TRIGGER complete_revision BEFORE INSERT ON promote.revision
    FOR EACH ROW EXECUTE FUNCTION promote_internal.complete_revision();
CREATE TRIGGER record_revision AFTER INSERT ON promote.revision
    REFERENCING NEW TABLE AS new_revision
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.record_revision();
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER complete_revision;
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER record_revision;
