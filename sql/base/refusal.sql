-- What programs are told of a refusal.

CREATE FUNCTION promote.last_refusal() RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_last_refusal';
GRANT EXECUTE ON FUNCTION promote.last_refusal() TO PUBLIC;
COMMENT ON FUNCTION promote.last_refusal() IS
'The last refusal (SQLSTATE of class PM) that the session was sent, as a JSON document: sqlstate, condition, message, detail, hint, instance, and the list of its reasons. NULL where there is none; where a transaction has committed since that wrote something or asked for it, or another error was raised; or where another role, login or promote.actor was told';
