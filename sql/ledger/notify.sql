-- Notices that wait in rows for the worker that notifies listeners: of transactions that were prepared, or for which
-- there was no room in memory. The worker removes what it sends, so that no dump has them.
CREATE TABLE promote.notice (
    change   xid8 NOT NULL,
    number   integer NOT NULL,
    payloads text NOT NULL,
    CONSTRAINT notice_pkey PRIMARY KEY (change, number)
);
COMMENT ON TABLE promote.notice IS 'Notices of committed transactions that are not sent yet. Proves nothing, and is removed when it is sent';
COMMENT ON COLUMN promote.notice.change IS 'The transaction that they are of';
COMMENT ON COLUMN promote.notice.number IS 'Number within the transaction';
COMMENT ON COLUMN promote.notice.payloads IS 'What listeners of the channel promote are told, one payload in each line';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.notice
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.notice ENABLE ALWAYS TRIGGER guard_record;
