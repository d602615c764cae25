-- Rules by verbs: windows, approvals, checks, overrides and policies, each stated as a whole, and what takes them away.

CREATE FUNCTION promote.set_freeze(
    name text, project text DEFAULT NULL, environment text DEFAULT NULL, component text DEFAULT NULL,
    selector jsonb DEFAULT '{}', reason text DEFAULT NULL, during tstzrange DEFAULT NULL, rule text DEFAULT NULL,
    zone text DEFAULT NULL, starts_at timestamp DEFAULT NULL, duration interval DEFAULT NULL,
    exdates timestamp[] DEFAULT '{}')
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_freeze';
REVOKE ALL ON FUNCTION promote.set_freeze(text, text, text, text, jsonb, text, tstzrange, text, text, timestamp, interval, timestamp[]) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_freeze(text, text, text, text, jsonb, text, tstzrange, text, text, timestamp, interval, timestamp[]) IS
'Makes a freeze be that, and nothing else: what is not given is as in a new row of promote.freeze_window. Takes the grant rules where it counts, and where it has counted';

CREATE FUNCTION promote.remove_freeze(name text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_freeze';
REVOKE ALL ON FUNCTION promote.remove_freeze(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_freeze(text) IS
'Takes a freeze away. Takes the grant rules where it counts';

CREATE FUNCTION promote.set_change_window(
    name text, project text DEFAULT NULL, environment text DEFAULT NULL, component text DEFAULT NULL,
    selector jsonb DEFAULT '{}', reason text DEFAULT NULL, during tstzrange DEFAULT NULL, rule text DEFAULT NULL,
    zone text DEFAULT NULL, starts_at timestamp DEFAULT NULL, duration interval DEFAULT NULL,
    exdates timestamp[] DEFAULT '{}', max_deployments_per_window integer DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_change_window';
REVOKE ALL ON FUNCTION promote.set_change_window(text, text, text, text, jsonb, text, tstzrange, text, text, timestamp, interval, timestamp[], integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_change_window(text, text, text, text, jsonb, text, tstzrange, text, text, timestamp, interval, timestamp[], integer) IS
'Makes a change window be that, and nothing else: what is not given is as in a new row of promote.change_window. Takes the grant rules where it counts, and where it has counted';

CREATE FUNCTION promote.remove_change_window(name text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_change_window';
REVOKE ALL ON FUNCTION promote.remove_change_window(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_change_window(text) IS
'Takes a change window away. Takes the grant rules where it counts';

CREATE FUNCTION promote.set_approval_rule(
    project text, environment text, rule text, role text, quorum integer DEFAULT 1, expires_after interval DEFAULT NULL,
    requester_counts boolean DEFAULT true, component text DEFAULT NULL, selector jsonb DEFAULT '{}',
    description text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_approval_rule';
REVOKE ALL ON FUNCTION promote.set_approval_rule(text, text, text, text, integer, interval, boolean, text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_approval_rule(text, text, text, text, integer, interval, boolean, text, jsonb, text) IS
'Makes an approval rule be that, and nothing else: what is not given is as in a new row of promote.approval_rule. NULL for the project, or the environment, stands for all. Takes the grant rules there';

CREATE FUNCTION promote.remove_approval_rule(project text, environment text, rule text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_approval_rule';
REVOKE ALL ON FUNCTION promote.remove_approval_rule(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_approval_rule(text, text, text) IS
'Takes an approval rule of that very scope away. Takes the grant rules there';

CREATE FUNCTION promote.set_required_check(
    project text, environment text, check_name text, "of" text DEFAULT 'destination', per_revision boolean DEFAULT false,
    expires_after interval DEFAULT NULL, component text DEFAULT NULL, selector jsonb DEFAULT '{}',
    description text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_required_check';
REVOKE ALL ON FUNCTION promote.set_required_check(text, text, text, text, boolean, interval, text, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_required_check(text, text, text, text, boolean, interval, text, jsonb, text) IS
'Makes a required check be that, and nothing else: what is not given is as in a new row of promote.required_check. NULL for the project, or the environment, stands for all. Takes the grant rules there';

CREATE FUNCTION promote.remove_required_check(
    project text, environment text, check_name text, "of" text DEFAULT 'destination')
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_required_check';
REVOKE ALL ON FUNCTION promote.remove_required_check(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_required_check(text, text, text, text) IS
'Takes a required check of that very scope away. Takes the grant rules there';

CREATE FUNCTION promote.set_override_rule(
    project text, environment text, code text, role text, description text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_override_rule';
REVOKE ALL ON FUNCTION promote.set_override_rule(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_override_rule(text, text, text, text, text) IS
'Lets members of a role override a gate in an environment, a project (NULL: all) or everywhere. Takes the grant rules there, and for the gate freeze everywhere, since that opens the freezes of everybody';

CREATE FUNCTION promote.remove_override_rule(project text, environment text, code text, role text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_override_rule';
REVOKE ALL ON FUNCTION promote.remove_override_rule(text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_override_rule(text, text, text, text) IS
'Takes an override rule of that very scope away. Takes the grant rules there';

CREATE FUNCTION promote.set_policy(
    policy text, function text, project text DEFAULT NULL, environment text DEFAULT NULL, component text DEFAULT NULL,
    selector jsonb DEFAULT '{}', code text DEFAULT 'policy', timeout interval DEFAULT '1 s',
    enabled boolean DEFAULT true, description text DEFAULT NULL)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_set_policy';
REVOKE ALL ON FUNCTION promote.set_policy(text, text, text, text, text, jsonb, text, interval, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.set_policy(text, text, text, text, text, jsonb, text, interval, boolean, text) IS
'Makes a policy be that, and nothing else: what is not given is as in a new row of promote.policy. Takes the grant rules where it counts, and where it has counted. Who does not own the tables names only functions that they may execute, and that the tables'' owner, or a superuser, has written';

CREATE FUNCTION promote.remove_policy(policy text)
    RETURNS promote.declaration
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_remove_policy';
REVOKE ALL ON FUNCTION promote.remove_policy(text) FROM PUBLIC;
COMMENT ON FUNCTION promote.remove_policy(text) IS
'Takes a policy away; its function stays. Takes the grant rules where it counts';
