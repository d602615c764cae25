-- What writing a revision records.  The triggers are ENABLE ALWAYS:
-- session_replication_role does not switch them off.

CREATE FUNCTION promote.number_revision() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_number_revision';
REVOKE ALL ON FUNCTION promote.number_revision() FROM PUBLIC;
COMMENT ON FUNCTION promote.number_revision() IS
'Fills in the number of a revision that is inserted without one';

CREATE FUNCTION promote.record_revision() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_revision';
REVOKE ALL ON FUNCTION promote.record_revision() FROM PUBLIC;
COMMENT ON FUNCTION promote.record_revision() IS
'Judges new revisions, moves their instances, queues their plans, appends to the audit log and notifies';

CREATE TRIGGER number_revision BEFORE INSERT ON promote.revision
    FOR EACH ROW EXECUTE FUNCTION promote.number_revision();
CREATE TRIGGER record_revision AFTER INSERT ON promote.revision
    REFERENCING NEW TABLE AS new_revision
    FOR EACH STATEMENT EXECUTE FUNCTION promote.record_revision();
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER number_revision;
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER record_revision;
