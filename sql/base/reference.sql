-- Foreign keys that are checked without locking the rows referred to. The last lines of ledger/record.sql say which.

CREATE FUNCTION promote_internal.check_references() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_check_references';
REVOKE ALL ON FUNCTION promote_internal.check_references() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.check_references() IS
'Refuses a new row of which a foreign key refers to nothing, 23503, as PostgreSQL''s own check does, but locks no row';

CREATE FUNCTION promote_internal.hold_key() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_hold_key';
REVOKE ALL ON FUNCTION promote_internal.hold_key() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.hold_key() IS
'Lets a row go, or get another key, only while no transaction is just referring to it; its arguments are the columns of the key';
