-- Gates: what must hold before a deployment may run.

CREATE TYPE promote.blocker AS (
    code        text,
    message     text,
    since       timestamptz,
    until       timestamptz,
    liftable_by text,
    overridable boolean
);
COMMENT ON TYPE promote.blocker IS 'A reason why something may not be deployed';
COMMENT ON COLUMN promote.blocker.code IS 'The gate''s stable name: freeze, approval, ...';
COMMENT ON COLUMN promote.blocker.message IS 'For people';
COMMENT ON COLUMN promote.blocker.since IS 'Since when it blocks; NULL: not known';
COMMENT ON COLUMN promote.blocker.until IS 'When it opens by itself; NULL: not known, or never';
COMMENT ON COLUMN promote.blocker.liftable_by IS 'Who can lift it; NULL: time alone';
COMMENT ON COLUMN promote.blocker.overridable IS 'May it be overridden by promote.override_gate?';

CREATE FUNCTION promote.blockers(
    instance text, deployment integer DEFAULT NULL, at timestamptz DEFAULT pg_catalog.now())
    RETURNS SETOF promote.blocker
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
    AS 'MODULE_PATHNAME', 'promote_blockers';
REVOKE ALL ON FUNCTION promote.blockers(text, integer, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote.blockers(text, integer, timestamptz) IS
'Every reason why a deployment may not run at a time, in the order of the gates: of a PROVISION that follows the PLAN named, of the deployment named, or of what deploy_instance would queue now. No row: it may. A later time is a forecast';

CREATE FUNCTION promote.gates(
    OUT gate integer, OUT code text, OUT kind text, OUT overridable boolean, OUT decommission boolean)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_gates';
COMMENT ON FUNCTION promote.gates() IS
'The gates in the order in which they are looked at: their codes, what they are about (static, time, state, people, lock), whether they can be overridden at all, and whether a DECOMMISSION passes through them';

-- What changes the rules waits for those who are being judged by them, and the other way round.
CREATE FUNCTION promote.lock_scope() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_lock_scope';
REVOKE ALL ON FUNCTION promote.lock_scope() FROM PUBLIC;
COMMENT ON FUNCTION promote.lock_scope() IS
'Locks the environments that a rule is about, by its columns project and environment (NULL or absent: all), before it is written';
