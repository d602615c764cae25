-- What writing a revision records, and what guards history.  The triggers are
-- ENABLE ALWAYS: session_replication_role does not switch them off.

CREATE FUNCTION promote.refuse_rewrite() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_refuse_rewrite';
REVOKE ALL ON FUNCTION promote.refuse_rewrite() FROM PUBLIC;
COMMENT ON FUNCTION promote.refuse_rewrite() IS
'Refuses UPDATE, DELETE and TRUNCATE of history, PM301';

CREATE FUNCTION promote.guard_instance() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_instance';
REVOKE ALL ON FUNCTION promote.guard_instance() FROM PUBLIC;
COMMENT ON FUNCTION promote.guard_instance() IS
'Refuses to change by hand what an instance desires, PM303';

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

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.config
    FOR EACH ROW EXECUTE FUNCTION promote.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.config
    FOR EACH STATEMENT EXECUTE FUNCTION promote.refuse_rewrite();
ALTER TABLE promote.config ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.config ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.revision
    FOR EACH ROW EXECUTE FUNCTION promote.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.revision
    FOR EACH STATEMENT EXECUTE FUNCTION promote.refuse_rewrite();
CREATE TRIGGER number_revision BEFORE INSERT ON promote.revision
    FOR EACH ROW EXECUTE FUNCTION promote.number_revision();
CREATE TRIGGER record_revision AFTER INSERT ON promote.revision
    REFERENCING NEW TABLE AS new_revision
    FOR EACH STATEMENT EXECUTE FUNCTION promote.record_revision();
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER number_revision;
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER record_revision;

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.deployment
    FOR EACH ROW EXECUTE FUNCTION promote.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.deployment
    FOR EACH STATEMENT EXECUTE FUNCTION promote.refuse_rewrite();
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.audit_log
    FOR EACH ROW EXECUTE FUNCTION promote.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION promote.refuse_rewrite();
ALTER TABLE promote.audit_log ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.audit_log ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER guard_instance BEFORE INSERT OR UPDATE ON promote.instance
    FOR EACH ROW EXECUTE FUNCTION promote.guard_instance();
ALTER TABLE promote.instance ENABLE ALWAYS TRIGGER guard_instance;
