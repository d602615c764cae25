-- Overriding gates: who may, who did and why, and who has looked at it since.

CREATE TABLE promote.override_rule (
    project     promote.project_name,
    environment promote.environment_name,
    scope       text COLLATE "C" NOT NULL,
    code        text COLLATE "C" NOT NULL,
    role        text COLLATE "C" NOT NULL,
    description text,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT override_rule_pkey PRIMARY KEY (scope, code, role),
    CONSTRAINT override_rule_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT override_rule_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT override_rule_code_check
        CHECK (promote_internal.check_value(code <> '',
            'gate of an override rule', 'It is empty.',
            'Name a gate: promote.gates() lists them.')),
    CONSTRAINT override_rule_role_check
        CHECK (promote_internal.check_value(role <> '',
            'role of an override rule', 'It is empty.',
            'Name a database role.'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.override_rule', '');
COMMENT ON TABLE promote.override_rule IS 'Which gates may be overridden, where and by whom; without a row, none may';
COMMENT ON COLUMN promote.override_rule.project IS 'Project; NULL: all';
COMMENT ON COLUMN promote.override_rule.environment IS 'Environment; NULL: all';
COMMENT ON COLUMN promote.override_rule.scope IS 'Where, in one: ecomm-production, ecomm-*, *-*';
COMMENT ON COLUMN promote.override_rule.code IS 'The gate: a code of promote.gates(), or one of a policy';
COMMENT ON COLUMN promote.override_rule.role IS 'Database role whose members may override the gate';
COMMENT ON COLUMN promote.override_rule.description IS 'For people';
COMMENT ON COLUMN promote.override_rule.created_at IS 'When the row was inserted';
CREATE TRIGGER fill_scope BEFORE INSERT OR UPDATE ON promote.override_rule
    FOR EACH ROW EXECUTE FUNCTION promote_internal.fill_scope();
ALTER TABLE promote.override_rule ENABLE ALWAYS TRIGGER fill_scope;

CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.override_rule
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.override_rule ENABLE ALWAYS TRIGGER note_rule;

CREATE FUNCTION promote_internal.guard_override_rule() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_override_rule';
REVOKE ALL ON FUNCTION promote_internal.guard_override_rule() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_override_rule() IS
'Refuses to let gates be overridden that never are, PM604, and warns of roles that are not there';
CREATE TRIGGER guard_override_rule BEFORE INSERT OR UPDATE ON promote.override_rule
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_override_rule();

CREATE TABLE promote.gate_override (
    project       promote.project_name NOT NULL,
    environment   promote.environment_name NOT NULL,
    component     promote.component_name NOT NULL,
    deployment    integer NOT NULL,
    code          text COLLATE "C" NOT NULL,
    override      integer NOT NULL,
    plan_digest   bytea,
    subjects      text[] COLLATE "C" NOT NULL,
    messages      text[] NOT NULL,
    reason        text NOT NULL,
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT gate_override_pkey
        PRIMARY KEY (project, environment, component, deployment, code, override),
    CONSTRAINT gate_override_deployment_fkey
        FOREIGN KEY (project, environment, component, deployment)
        REFERENCES promote.deployment (project, environment, component, deployment),
    CONSTRAINT gate_override_override_check CHECK (override > 0),
    CONSTRAINT gate_override_reason_check
        CHECK (promote_internal.check_value(reason <> '',
            'override', 'It has no reason.',
            'Say why.'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.gate_override', '');
COMMENT ON TABLE promote.gate_override IS 'Gates that were overridden, for which deployment, by whom and why';
COMMENT ON COLUMN promote.gate_override.project IS 'The instance''s project';
COMMENT ON COLUMN promote.gate_override.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.gate_override.component IS 'The instance''s component';
COMMENT ON COLUMN promote.gate_override.deployment IS 'The PLAN, or the proposal, that may be deployed in spite of the gate';
COMMENT ON COLUMN promote.gate_override.code IS 'The gate';
COMMENT ON COLUMN promote.gate_override.override IS 'Number, from 1, for reasons that came later';
COMMENT ON COLUMN promote.gate_override.plan_digest IS 'The plan''s: a plan with an equal digest may be deployed as well; NULL: the proposal follows none';
COMMENT ON COLUMN promote.gate_override.subjects IS 'What the overridden reasons were about: names of freezes, checks, policies. What comes later blocks again';
COMMENT ON COLUMN promote.gate_override.messages IS 'The reasons in words, as they stood';
COMMENT ON COLUMN promote.gate_override.reason IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.gate_override.actor IS 'Who, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.gate_override.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.gate_override.created_at IS 'When';

CREATE TABLE promote.override_review (
    project       promote.project_name NOT NULL,
    environment   promote.environment_name NOT NULL,
    component     promote.component_name NOT NULL,
    deployment    integer NOT NULL,
    code          text COLLATE "C" NOT NULL,
    override      integer NOT NULL,
    review        text,
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT override_review_pkey
        PRIMARY KEY (project, environment, component, deployment, code, override),
    CONSTRAINT override_review_override_fkey
        FOREIGN KEY (project, environment, component, deployment, code, override)
        REFERENCES promote.gate_override (project, environment, component, deployment, code, override)
);
SELECT pg_catalog.pg_extension_config_dump('promote.override_review', '');
COMMENT ON TABLE promote.override_review IS 'Overrides that somebody else has looked at since';
COMMENT ON COLUMN promote.override_review.project IS 'The instance''s project';
COMMENT ON COLUMN promote.override_review.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.override_review.component IS 'The instance''s component';
COMMENT ON COLUMN promote.override_review.deployment IS 'The override''s deployment';
COMMENT ON COLUMN promote.override_review.code IS 'The gate';
COMMENT ON COLUMN promote.override_review.override IS 'The override''s number';
COMMENT ON COLUMN promote.override_review.review IS 'What was said about it';
COMMENT ON COLUMN promote.override_review.actor IS 'Who, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.override_review.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.override_review.created_at IS 'When';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.gate_override
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.gate_override ENABLE ALWAYS TRIGGER guard_record;
CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.gate_override
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.gate_override
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.gate_override ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.gate_override ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER guard_record BEFORE INSERT ON promote.override_review
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.override_review ENABLE ALWAYS TRIGGER guard_record;
CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.override_review
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.override_review
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.override_review ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.override_review ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION promote.override_gate(instance text, deployment integer, code text, reason text)
    RETURNS promote.gate_override
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_override_gate';
REVOKE ALL ON FUNCTION promote.override_gate(text, integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.override_gate(text, integer, text, text) IS
'Lets a PLAN be deployed, or a proposal be approved, in spite of what blocks it now at one gate, for a reason; only where an override_rule allows it to a role of the caller''s, PM604. What begins to block later is not covered';

CREATE FUNCTION promote.review_override(
    instance text, deployment integer, code text, review text DEFAULT NULL)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_review_override';
REVOKE ALL ON FUNCTION promote.review_override(text, integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.review_override(text, integer, text, text) IS
'Notes that somebody else has looked at what was overridden at that gate of that deployment; returns how many overrides were still open';

CREATE VIEW promote.override_status WITH (security_invoker = true) AS
    SELECT i.name AS instance,
           o.deployment,
           o.code,
           o.messages,
           o.reason,
           o.actor,
           o.database_role,
           o.created_at,
           used.deployed,
           v.actor AS reviewed_by,
           v.created_at AS reviewed_at,
           v.review
      FROM promote.gate_override AS o
      JOIN promote.instance AS i ON i.project = o.project AND i.environment = o.environment
           AND i.component = o.component
      LEFT JOIN promote.override_review AS v
        ON v.project = o.project AND v.environment = o.environment AND v.component = o.component
           AND v.deployment = o.deployment AND v.code = o.code AND v.override = o.override
     CROSS JOIN LATERAL (
         SELECT pg_catalog.array_agg(d.deployment ORDER BY d.deployment) AS deployed
           FROM promote.deployment AS d
          WHERE d.project = o.project AND d.environment = o.environment
            AND d.component = o.component AND d.deployment >= o.deployment
            AND d.gates -> 'overridden' @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object(
                'code', o.code, 'deployment', o.deployment, 'override', o.override))) AS used;
COMMENT ON VIEW promote.override_status IS 'Gates that were overridden; those not reviewed yet have no reviewed_at';
COMMENT ON COLUMN promote.override_status.instance IS 'Instance';
COMMENT ON COLUMN promote.override_status.deployment IS 'The PLAN or proposal that it was overridden for';
COMMENT ON COLUMN promote.override_status.code IS 'The gate';
COMMENT ON COLUMN promote.override_status.messages IS 'What stood in the way';
COMMENT ON COLUMN promote.override_status.reason IS 'Why it was overridden';
COMMENT ON COLUMN promote.override_status.actor IS 'By whom';
COMMENT ON COLUMN promote.override_status.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.override_status.created_at IS 'When';
COMMENT ON COLUMN promote.override_status.deployed IS 'Deployments that were queued because of the override; NULL: none';
COMMENT ON COLUMN promote.override_status.reviewed_by IS 'Who has looked at it since';
COMMENT ON COLUMN promote.override_status.reviewed_at IS 'When that was';
COMMENT ON COLUMN promote.override_status.review IS 'What was said about it then';
