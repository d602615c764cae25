-- Gates: what must hold before a deployment may run.

CREATE TYPE promote.blocking_reason AS (
    code        text,
    message     text,
    since       timestamptz,
    until       timestamptz,
    liftable_by text,
    overridable boolean
);
COMMENT ON TYPE promote.blocking_reason IS 'A reason why something may not be deployed';
COMMENT ON COLUMN promote.blocking_reason.code IS 'The gate''s stable name: freeze, approval, ...';
COMMENT ON COLUMN promote.blocking_reason.message IS 'For people';
COMMENT ON COLUMN promote.blocking_reason.since IS 'Since when it blocks; NULL: not known';
COMMENT ON COLUMN promote.blocking_reason.until IS 'When it opens by itself; NULL: not known, or never';
COMMENT ON COLUMN promote.blocking_reason.liftable_by IS 'Who can lift it; NULL: time alone';
COMMENT ON COLUMN promote.blocking_reason.overridable IS 'Whether promote.override_gate may override it';

CREATE FUNCTION promote.blockers(
    instance text, deployment integer DEFAULT NULL, at timestamptz DEFAULT pg_catalog.now(), action text DEFAULT NULL)
    RETURNS SETOF promote.blocking_reason
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
    AS 'MODULE_PATHNAME', 'promote_blockers';
REVOKE ALL ON FUNCTION promote.blockers(text, integer, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.blockers(text, integer, timestamptz, text) IS
'Every reason why a deployment may not run at a time, in the order of the gates: of a PROVISION that follows the PLAN named, of the deployment named, or of what deploy_instance would queue now, or, where the action is DECOMMISSION, decommission_instance. No row: it may. A later time is a forecast';

CREATE FUNCTION promote.gates(
    OUT gate integer, OUT code text, OUT kind text, OUT overridable boolean, OUT decommission boolean)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 20
    AS 'MODULE_PATHNAME', 'promote_gates';
COMMENT ON FUNCTION promote.gates() IS
'The gates in the order in which they are looked at: their codes, what they are about (static, time, state, people, lock), whether they can be overridden at all, and whether a DECOMMISSION passes through them';

CREATE FUNCTION promote_internal.rule_scopes(project text, environment text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[$1 || '-' || $2, $1 || '-*', '*-' || $2, '*-*'];
COMMENT ON FUNCTION promote_internal.rule_scopes(text, text) IS
'The scopes of the rules that hold in an environment: its own, its project''s, those of all environments of that name, and those that hold everywhere';

CREATE FUNCTION promote_internal.equal_plan(
    project text, environment text, component text, deployment integer, bundle text, version text, plan integer)
    RETURNS TABLE (status text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
    BEGIN ATOMIC
        SELECT d.status
          FROM promote.deployment AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4
           AND d.bundle = $5 AND d.version = $6
           AND d.revision > (SELECT o.revision FROM promote_internal.opened_revision($1, $2, $3) AS o)
           AND ($7 IN (0, $4)
                OR EXISTS (
                    SELECT FROM promote.deployment AS p
                     CROSS JOIN LATERAL (
                          SELECT v.version_constraint, v.release_channel
                            FROM promote.revision AS v
                           WHERE v.project = $1 AND v.environment = $2 AND v.component = $3 AND v.revision = p.revision LIMIT 1) AS v
                     CROSS JOIN LATERAL (
                          SELECT u.version_constraint, u.release_channel
                            FROM promote.revision AS u
                           WHERE u.project = $1 AND u.environment = $2 AND u.component = $3 AND u.revision = d.revision LIMIT 1) AS u
                     WHERE p.project = $1 AND p.environment = $2 AND p.component = $3 AND p.deployment = $7
                       AND p.remote_references IS NOT DISTINCT FROM d.remote_references
                       AND v.version_constraint = u.version_constraint AND v.release_channel = u.release_channel));
    END;
REVOKE ALL ON FUNCTION promote_internal.equal_plan(text, text, text, integer, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.equal_plan(text, text, text, integer, text, text, integer) IS
'The status of a deployment that is of the release, and has the version constraint, the channel and the remote references of the plan (0: none is followed); no row: it is of others, or of an earlier generation of the environment, and what was said of it says nothing here, whatever its digest. What was planned without a document has the digest of its params alone';

-- Which rules were changed by which transaction: at its commit, a transaction that was judged by rules looks here for
-- changes that it did not see. Only transactions under way look at it, and no dump has it. A prepared transaction survives
-- a crash, and so must its rows.
CREATE TABLE promote.rule_change (
    change      xid8 NOT NULL,
    number      integer NOT NULL,
    source      text COLLATE "C" NOT NULL,
    project     promote.project_name,
    environment promote.environment_name,
    bundle      promote.bundle_name,
    version     promote.semantic_version,
    CONSTRAINT rule_change_pkey PRIMARY KEY (change, number)
);
COMMENT ON TABLE promote.rule_change IS 'Changes of rules by transactions that others under way may not have seen. Proves nothing, and is removed when nobody needs it';
COMMENT ON COLUMN promote.rule_change.change IS 'The transaction that changed them';
COMMENT ON COLUMN promote.rule_change.number IS 'Number within the transaction';
COMMENT ON COLUMN promote.rule_change.source IS 'Table whose rows were changed';
COMMENT ON COLUMN promote.rule_change.project IS 'Project that they are about; NULL: all';
COMMENT ON COLUMN promote.rule_change.environment IS 'Environment; NULL: all';
COMMENT ON COLUMN promote.rule_change.bundle IS 'Bundle of a release that was blocked; NULL: it was something else';
COMMENT ON COLUMN promote.rule_change.version IS 'Version of that release; NULL with it';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.rule_change
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.rule_change ENABLE ALWAYS TRIGGER guard_record;

CREATE FUNCTION promote_internal.note_rule() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_note_rule';
REVOKE ALL ON FUNCTION promote_internal.note_rule() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.note_rule() IS
'Notes that a rule was changed, and which instances it is about, by its columns project and environment (NULL or absent: all): a transaction that was judged without seeing the change fails at its commit';

-- An environment's own rules are columns, and attributes say which instances other rules are about.
CREATE TRIGGER note_rule AFTER UPDATE ON promote.environment
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.parameter_set
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
CREATE TRIGGER note_rule AFTER UPDATE OF attributes ON promote.project
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
CREATE TRIGGER note_rule AFTER UPDATE OF attributes ON promote.component
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
-- what was allowed by a grant that is taken back before the commit fails at the commit
CREATE TRIGGER note_rule AFTER DELETE ON promote.grants
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
-- the gate "destructive" looks for resources that hold data
CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.stateful_type
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.stateful_type ENABLE ALWAYS TRIGGER note_rule;
-- what waits in the queue begins by what its component depends on
CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.component_dependency
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.component_dependency ENABLE ALWAYS TRIGGER note_rule;
ALTER TABLE promote.environment ENABLE ALWAYS TRIGGER note_rule;
ALTER TABLE promote.project ENABLE ALWAYS TRIGGER note_rule;
ALTER TABLE promote.component ENABLE ALWAYS TRIGGER note_rule;
ALTER TABLE promote.grants ENABLE ALWAYS TRIGGER note_rule;
