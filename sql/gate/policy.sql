-- Policies: gates that users write, as SQL functions.

CREATE TABLE promote.policy (
    policy      text COLLATE "C" NOT NULL,
    function    text COLLATE "C" NOT NULL,
    project     promote.project_name,
    environment promote.environment_name,
    component   promote.component_name,
    selector    jsonb NOT NULL DEFAULT '{}',
    code        text COLLATE "C" NOT NULL DEFAULT 'policy',
    timeout     interval NOT NULL DEFAULT '1 s',
    enabled     boolean NOT NULL DEFAULT true,
    description text,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT policy_pkey PRIMARY KEY (policy),
    CONSTRAINT policy_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT policy_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT policy_component_fkey FOREIGN KEY (project, component)
        REFERENCES promote.component (project, component),
    CONSTRAINT policy_policy_check
        CHECK (promote_internal.check_value(pg_catalog.octet_length(policy) BETWEEN 1 AND 255 AND pg_catalog.btrim(policy, E' \t\r\n') = policy,
            'name of a policy', 'It has 1 to 255 bytes, and no blank at either end.',
            'Give it another name.')),
    CONSTRAINT policy_selector_check
        CHECK (promote_internal.check_object(selector, 'selector')),
    CONSTRAINT policy_code_check
        CHECK (promote_internal.check_value(code ~ '^[a-z][a-z0-9_]{0,62}$',
            'code of a policy', 'It has up to 63 lower-case letters, digits and underscores, and begins with a letter.',
            'Name the gate that it is, such as money.')),
    CONSTRAINT policy_timeout_check
        CHECK (promote_internal.check_value(timeout BETWEEN '1 ms' AND '1 min',
            'timeout of a policy', 'It is between 1 ms and 1 min.',
            'Say such as ''1 s''.'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.policy', '');
COMMENT ON TABLE promote.policy IS 'Functions that are asked what stands against a deployment; an error in one blocks';
COMMENT ON COLUMN promote.policy.policy IS 'Name; policies are asked in its order';
COMMENT ON COLUMN promote.policy.function IS 'Function (instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason, STABLE or IMMUTABLE: its name with the schema, as in SQL';
COMMENT ON COLUMN promote.policy.project IS 'Project whose instances the policy is asked about; NULL: all';
COMMENT ON COLUMN promote.policy.environment IS 'Environment of these; NULL: all';
COMMENT ON COLUMN promote.policy.component IS 'Component of these; NULL: all';
COMMENT ON COLUMN promote.policy.selector IS 'Effective attributes of these, by containment';
COMMENT ON COLUMN promote.policy.code IS 'Code of the policy''s blockers that have none of their own, and of errors in the policy';
COMMENT ON COLUMN promote.policy.timeout IS 'How long it may take to answer: up to a minute';
COMMENT ON COLUMN promote.policy.enabled IS 'Whether the policy is asked';
COMMENT ON COLUMN promote.policy.description IS 'For people';
COMMENT ON COLUMN promote.policy.created_at IS 'When the row was inserted';

CREATE FUNCTION promote_internal.check_policy() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_check_policy';
REVOKE ALL ON FUNCTION promote_internal.check_policy() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.check_policy() IS
'Refuses policies whose function cannot be asked, PM610';

CREATE TRIGGER check_policy BEFORE INSERT OR UPDATE ON promote.policy
    FOR EACH ROW EXECUTE FUNCTION promote_internal.check_policy();
CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.policy
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.policy ENABLE ALWAYS TRIGGER check_policy;
ALTER TABLE promote.policy ENABLE ALWAYS TRIGGER note_rule;
