-- The audit log: who did what to which subject. The rows of each subject are chained by their hashes.

CREATE FUNCTION promote_internal.check_audit(project text, seq bigint, event text, previous_hash bytea, hash bytea)
    RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_audit';
COMMENT ON FUNCTION promote_internal.check_audit(text, bigint, text, bytea, bytea) IS
'Whether a row can be a link of a chain: the project is a name or *, places count from 1, hashes have 32 bytes, and only the first row has no previous hash';

-- The order of events, see event.sql. The sequence is in no dump: it is moved behind each row that is loaded.
CREATE SEQUENCE promote_internal.event_position;
COMMENT ON SEQUENCE promote_internal.event_position IS 'The position that an event was given last';

CREATE FUNCTION promote_internal.next_position() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_next_position';
REVOKE ALL ON FUNCTION promote_internal.next_position() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.next_position() IS
'The position of a new event, behind all that were given before. The transaction has a number before it gets one';

-- Not immutable, and it may move the sequence, but that is what a generated column asks for. It depends on the position,
-- so that it is computed for each row, after that.
CREATE FUNCTION promote_internal.settled_by("position" bigint) RETURNS xid8
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_settled_by';
REVOKE ALL ON FUNCTION promote_internal.settled_by(bigint) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.settled_by(bigint) IS
'The transaction that begins next: once all before it have ended, no event comes up before this position any more. Moves the sequence behind a position that was not drawn from it';

CREATE TABLE promote.audit_log (
    project       text COLLATE "C" NOT NULL,
    subject       text COLLATE "C" NOT NULL,
    seq           bigint NOT NULL,
    at            timestamptz NOT NULL,
    actor         text NOT NULL,
    database_role text NOT NULL,
    event         text COLLATE "C" NOT NULL,
    data          jsonb NOT NULL,
    rows          jsonb,
    previous_hash bytea,
    hash          bytea NOT NULL,
    position      bigint NOT NULL DEFAULT promote_internal.next_position(),
    settled_by    xid8 NOT NULL GENERATED ALWAYS AS (promote_internal.settled_by(position)) STORED,
    CONSTRAINT audit_log_pkey PRIMARY KEY (project, subject, seq),
    CONSTRAINT audit_log_check CHECK (promote_internal.check_audit(project, seq, event, previous_hash, hash))
)
-- Rows are not changed, only pruned. They are frozen by a vacuum that comes while their pages are still at hand, and reads
-- new pages alone: none has to read the whole table later, to save it from wraparound. It also keeps the index on the
-- times up to date.
WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_freeze_min_age = 0);
-- Rows come in the order of their times, so that a few bytes for each megabyte of them are enough.
CREATE INDEX audit_log_at_idx ON promote.audit_log USING brin (at);
COMMENT ON INDEX promote.audit_log_at_idx IS 'Finds what happened in a span of time';
CREATE INDEX audit_log_position_idx ON promote.audit_log (position);
COMMENT ON INDEX promote.audit_log_position_idx IS 'Finds what comes after a position';
SELECT pg_catalog.pg_extension_config_dump('promote.audit_log', '');
COMMENT ON TABLE promote.audit_log IS 'What happened, a chain of rows per subject';
COMMENT ON COLUMN promote.audit_log.project IS 'Project of the subject; *: it belongs to none';
COMMENT ON COLUMN promote.audit_log.subject IS 'What it happened to: the name of an instance, or of a project for what happened to all of it; "request" and its key; a table of the registry, of rules or grants, and a row''s key';
COMMENT ON COLUMN promote.audit_log.seq IS 'Place in the subject''s chain, from 1';
COMMENT ON COLUMN promote.audit_log.at IS 'When';
COMMENT ON COLUMN promote.audit_log.actor IS 'Who, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.audit_log.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.audit_log.event IS 'What: revision.created, deployment.started, environment.updated';
COMMENT ON COLUMN promote.audit_log.data IS 'The facts, without the key of an instance that is the subject; never a value of a configuration';
COMMENT ON COLUMN promote.audit_log.rows IS 'Digests of the rows that were written, in base64, by table and key without what the subject says of it, null for what is gone, beside a salt';
COMMENT ON COLUMN promote.audit_log.previous_hash IS 'Hash of the row before; NULL in the first row. In a checkpoint, the hash over its other columns';
COMMENT ON COLUMN promote.audit_log.hash IS 'SHA-256 over all other columns, of rows over its digest, see promote.audit_hash. Of a checkpoint, that of the last row that it stands for';
COMMENT ON COLUMN promote.audit_log.position IS 'Place among all events, see promote.events; a chain''s rows have rising ones';
COMMENT ON COLUMN promote.audit_log.settled_by IS 'Once all transactions before this one have ended, no row with a lower position comes up any more; of this server, so that a dump does not have it';

-- pg_dump orders tables by foreign keys: by this one the log comes before all that it records,
-- so that rows that are restored are known to be recorded already
ALTER TABLE promote.project ADD CONSTRAINT project_pruned_fkey FOREIGN KEY (project, project, pruned)
    REFERENCES promote.audit_log (project, subject, seq);

CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.audit_log
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.audit_log ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.audit_log ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER guard_record BEFORE INSERT ON promote.audit_log
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.audit_log ENABLE ALWAYS TRIGGER guard_record;

CREATE FUNCTION promote.audit_hash(
    project text, subject text, seq bigint, at timestamptz, actor text,
    database_role text, event text, data jsonb, rows jsonb, previous_hash bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_audit_hash';
COMMENT ON FUNCTION promote.audit_hash(text, text, bigint, timestamptz, text, text, text, jsonb, jsonb, bytea) IS
'The hash of an audit row: jsonb_digest of an object with its columns by name, times as UTC with microseconds, of rows their digest, that and the previous hash in hexadecimal or null';

CREATE FUNCTION promote_internal.audit_facts(row_of_history record, VARIADIC without text[] DEFAULT '{}')
    RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_audit_facts';
REVOKE ALL ON FUNCTION promote_internal.audit_facts(record, text[]) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.audit_facts(record, text[]) IS
'What the audit log says of a row: the columns that are not null, without those named; bytes in hexadecimal, documents as digests by the key of the row''s project, times in UTC with microseconds';
