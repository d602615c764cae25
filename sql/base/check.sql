-- What CHECKs call, so that they refuse in sentences.

CREATE FUNCTION promote_internal.check_value(fits boolean, what text, rule text, remedy text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_value';
COMMENT ON FUNCTION promote_internal.check_value(boolean, text, text, text) IS
'true, or PM404: what does not fit, the rule, and what to do instead';
