-- Approvals: who has to agree to what is planned, and who has agreed.

CREATE TABLE promote.approval_rule (
    project          promote.project_name,
    environment      promote.environment_name,
    scope            text COLLATE "C" NOT NULL,
    rule             text COLLATE "C" NOT NULL,
    role             text COLLATE "C" NOT NULL,
    quorum           integer NOT NULL DEFAULT 1,
    expires_after    interval,
    requester_counts boolean NOT NULL DEFAULT true,
    component        promote.component_name,
    selector         jsonb NOT NULL DEFAULT '{}',
    description      text,
    created_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT approval_rule_pkey PRIMARY KEY (scope, rule),
    CONSTRAINT approval_rule_project_fkey FOREIGN KEY (project)
        REFERENCES promote.project (project),
    CONSTRAINT approval_rule_environment_fkey FOREIGN KEY (project, environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT approval_rule_component_fkey FOREIGN KEY (project, component)
        REFERENCES promote.component (project, component),
    CONSTRAINT approval_rule_rule_check
        CHECK (promote_internal.check_value(rule <> '',
            'name of an approval rule', 'It is empty.',
            'Give it a name, which refusals say.')),
    CONSTRAINT approval_rule_role_check
        CHECK (promote_internal.check_value(role <> '',
            'role of an approval rule', 'It is empty.',
            'Name a database role, whose members approve.')),
    CONSTRAINT approval_rule_quorum_check
        CHECK (promote_internal.check_value(quorum >= 1,
            'quorum', 'It has to be 1 or more.',
            'Say how many approvals are needed.')),
    CONSTRAINT approval_rule_expires_after_check
        CHECK (promote_internal.check_value(expires_after > '0' AND expires_after <= '100 years',
            'time after which approvals expire', 'It is more than 0, and at most 100 years.',
            'Say such as ''7 days''; NULL: as long as the digest of the plan holds.')),
    CONSTRAINT approval_rule_selector_check CHECK (promote_internal.check_object(selector, 'selector'))
);
SELECT pg_catalog.pg_extension_config_dump('promote.approval_rule', '');
COMMENT ON TABLE promote.approval_rule IS 'Who has to approve what is deployed, in an environment, a project or everywhere; all rules have to be met';
COMMENT ON COLUMN promote.approval_rule.project IS 'Project; NULL: all';
COMMENT ON COLUMN promote.approval_rule.environment IS 'Environment; NULL: all';
COMMENT ON COLUMN promote.approval_rule.scope IS 'Where, in one: ecomm-production, ecomm-*, *-*';
COMMENT ON COLUMN promote.approval_rule.rule IS 'What the rule is called';
COMMENT ON COLUMN promote.approval_rule.role IS 'Database role whose members approve';
COMMENT ON COLUMN promote.approval_rule.quorum IS 'How many members of the role have to approve';
COMMENT ON COLUMN promote.approval_rule.expires_after IS 'How long an approval counts; NULL: as long as the plan''s digest holds';
COMMENT ON COLUMN promote.approval_rule.requester_counts IS 'Whether approvals count of those who made the revision, the plan or the proposal; never where the environment''s separation_of_duty is set';
COMMENT ON COLUMN promote.approval_rule.component IS 'Only instances of that component; NULL: of all';
COMMENT ON COLUMN promote.approval_rule.selector IS 'Only instances whose attributes, with those of their project, environment and component, contain this';
COMMENT ON COLUMN promote.approval_rule.description IS 'For people';
COMMENT ON COLUMN promote.approval_rule.created_at IS 'When the row was inserted';
CREATE TRIGGER fill_scope BEFORE INSERT OR UPDATE ON promote.approval_rule
    FOR EACH ROW EXECUTE FUNCTION promote_internal.fill_scope();
ALTER TABLE promote.approval_rule ENABLE ALWAYS TRIGGER fill_scope;

CREATE TRIGGER note_rule AFTER INSERT OR UPDATE OR DELETE ON promote.approval_rule
    FOR EACH ROW EXECUTE FUNCTION promote_internal.note_rule();
ALTER TABLE promote.approval_rule ENABLE ALWAYS TRIGGER note_rule;

CREATE FUNCTION promote_internal.check_approval_rule() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_check_approval_rule';
REVOKE ALL ON FUNCTION promote_internal.check_approval_rule() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.check_approval_rule() IS
'Warns of roles that are not there, and of those with fewer members than have to approve';
CREATE TRIGGER check_approval_rule BEFORE INSERT OR UPDATE ON promote.approval_rule
    FOR EACH ROW EXECUTE FUNCTION promote_internal.check_approval_rule();

-- One function for what hangs together: PostgreSQL takes the text of every CHECK in anew for each statement.
CREATE FUNCTION promote_internal.check_vote(vote integer, decision text, reason text) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_vote';
COMMENT ON FUNCTION promote_internal.check_vote(integer, text, text) IS
'Whether a vote has a number, or PM404: what is wrong with its decision, or with the reason of a rejection';

CREATE TABLE promote.approval (
    project       promote.project_name NOT NULL,
    environment   promote.environment_name NOT NULL,
    component     promote.component_name NOT NULL,
    vote          integer NOT NULL,
    deployment    integer NOT NULL,
    plan_digest   bytea NOT NULL,
    rule          text COLLATE "C" NOT NULL,
    decision      text COLLATE "C" NOT NULL,
    reason        text,
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT approval_pkey PRIMARY KEY (project, environment, component, vote),
    CONSTRAINT approval_plan_fkey
        FOREIGN KEY (plan_digest, project, environment, component, deployment)
        REFERENCES promote.deployment (plan_digest, project, environment, component, deployment),
    CONSTRAINT approval_check CHECK (promote_internal.check_vote(vote, decision, reason))
);
CREATE INDEX approval_plan_idx
    ON promote.approval (project, environment, component, plan_digest, deployment, vote);
COMMENT ON INDEX promote.approval_plan_idx IS 'Finds who has voted on a plan and its equals';
SELECT pg_catalog.pg_extension_config_dump('promote.approval', '');
COMMENT ON TABLE promote.approval IS 'Who has approved or rejected which plan, by which rule. Whether a vote counts is judged when something is deployed';
COMMENT ON COLUMN promote.approval.project IS 'The instance''s project';
COMMENT ON COLUMN promote.approval.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.approval.component IS 'The instance''s component';
COMMENT ON COLUMN promote.approval.vote IS 'Number, from 1 per instance';
COMMENT ON COLUMN promote.approval.deployment IS 'The PLAN that was voted on, or the proposal';
COMMENT ON COLUMN promote.approval.plan_digest IS 'The plan''s: it counts for every plan of the instance with an equal digest that starts from the same running state';
COMMENT ON COLUMN promote.approval.rule IS 'The rule of promote.approval_rule that asked';
COMMENT ON COLUMN promote.approval.decision IS 'approved or rejected; of one person and rule the last counts';
COMMENT ON COLUMN promote.approval.reason IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.approval.actor IS 'Who, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.approval.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.approval.created_at IS 'When';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.approval
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.approval ENABLE ALWAYS TRIGGER guard_record;
CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.approval
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.approval
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.approval ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.approval ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION promote.required_approvals(instance text, deployment integer DEFAULT NULL)
    RETURNS TABLE (rule text, role text, quorum integer, given integer, missing integer,
                   approved_by text[], rejected_by text[], not_counted text[])
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5
    AS 'MODULE_PATHNAME', 'promote_required_approvals';
REVOKE ALL ON FUNCTION promote.required_approvals(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.required_approvals(text, integer) IS
'The rules that ask for approvals of a plan or a proposal, or of what deploy_instance would queue now, and who has given them; a row per rule';

CREATE FUNCTION promote.open_votes(instance text, deployment integer)
    RETURNS TABLE (rule text, role text, quorum integer, given integer, missing integer)
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'promote_open_votes';
REVOKE ALL ON FUNCTION promote.open_votes(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.open_votes(text, integer) IS
'The rules that wait for the caller''s approval of a plan or a proposal: those that are not met, and by which the caller may vote and has not yet. A row without a rule: a proposal that no rule is about, and that the caller may approve. None of what somebody has rejected';

CREATE VIEW promote.approval_status WITH (security_invoker = true) AS
    SELECT i.name AS instance, d.deployment, a.*, d.actor, d.created_at
      FROM promote.instance AS i
     CROSS JOIN LATERAL (
          (SELECT p.deployment, p.actor, p.created_at
             FROM promote.deployment AS p
            WHERE p.project = i.project AND p.environment = i.environment AND p.component = i.component
              AND p.action = 'PLAN' AND p.status = 'COMPLETED' AND p.revision = i.revision
            ORDER BY p.deployment DESC LIMIT 1)
          UNION ALL
          SELECT p.deployment, p.actor, p.created_at
            FROM promote.deployment AS p
           WHERE p.project = i.project AND p.environment = i.environment AND p.component = i.component
             AND p.status = 'PROPOSED' AND p.action <> 'PLAN') AS d
     CROSS JOIN LATERAL promote.required_approvals(i.name, d.deployment) AS a
     WHERE EXISTS (SELECT FROM promote.approval_rule AS r
                    WHERE r.scope = ANY (promote_internal.rule_scopes(i.project, i.environment)))
       AND EXISTS (SELECT FROM promote.environment AS e
                    WHERE e.project = i.project AND e.environment = i.environment AND e.archived_at IS NULL);
COMMENT ON VIEW promote.approval_status IS 'Which approvals the last plans of the desired revisions, and the proposals, need and have';
COMMENT ON COLUMN promote.approval_status.instance IS 'Instance';
COMMENT ON COLUMN promote.approval_status.deployment IS 'PLAN or proposal';
COMMENT ON COLUMN promote.approval_status.rule IS 'Rule';
COMMENT ON COLUMN promote.approval_status.role IS 'Database role whose members approve';
COMMENT ON COLUMN promote.approval_status.quorum IS 'How many members of the role have to approve';
COMMENT ON COLUMN promote.approval_status.given IS 'How many approvals count now';
COMMENT ON COLUMN promote.approval_status.missing IS 'How many approvals are still missing';
COMMENT ON COLUMN promote.approval_status.approved_by IS 'Whose approvals count now';
COMMENT ON COLUMN promote.approval_status.rejected_by IS 'Who has rejected it';
COMMENT ON COLUMN promote.approval_status.not_counted IS 'Whose vote does not count, and why not';
COMMENT ON COLUMN promote.approval_status.actor IS 'Who has asked for the PLAN or proposal';
COMMENT ON COLUMN promote.approval_status.created_at IS 'When';

CREATE FUNCTION promote_internal.plan_base(project text, environment text, component text, deployment integer)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_build_array(b.bundle::text, b.version::text, pg_catalog.encode(b.rendered_digest, 'hex'), b.remote_references)
          FROM promote.deployment AS d
          JOIN promote.deployment AS b
            ON b.project = d.project AND b.environment = d.environment AND b.component = d.component
               AND b.deployment = d.base_deployment
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.deployment = $4;
    END;
REVOKE ALL ON FUNCTION promote_internal.plan_base(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.plan_base(text, text, text, integer) IS
'What ran when a deployment was planned, which its diff starts from; NULL: nothing did';

CREATE FUNCTION promote_internal.votes(
    project text, environment text, component text, plan_digest bytea, bundle text, version text, plan integer)
    RETURNS TABLE (vote integer, rule text, actor text, database_role text, approved boolean, at timestamptz, reason text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 5
    BEGIN ATOMIC
        -- what is voted on is judged once, however many have voted; the order and OFFSET keep plans that are made of an
        -- empty table from any other index, and from joining the whole of it
        SELECT a.vote, a.rule, a.actor, a.database_role, a.decision = 'approved', a.created_at, a.reason
          FROM (SELECT DISTINCT a.deployment
                  FROM promote.approval AS a
                 WHERE a.project = $1 AND a.environment = $2 AND a.component = $3 AND a.plan_digest = $4
                 ORDER BY a.deployment OFFSET 0) AS o
         CROSS JOIN LATERAL (
              SELECT o.deployment = $7 OR $7 = 0
                     OR promote_internal.plan_base($1, $2, $3, o.deployment)
                        IS NOT DISTINCT FROM promote_internal.plan_base($1, $2, $3, $7) AS same_base
                FROM promote_internal.equal_plan($1, $2, $3, o.deployment, $5, $6, $7) AS d
               WHERE d.status <> 'REJECTED' LIMIT 1) AS d
         CROSS JOIN LATERAL (
              SELECT a.vote, a.rule, a.actor, a.database_role, a.decision, a.created_at, a.reason
                FROM promote.approval AS a
               WHERE a.project = $1 AND a.environment = $2 AND a.component = $3 AND a.plan_digest = $4
                 AND a.deployment = o.deployment
               ORDER BY a.deployment, a.vote OFFSET 0) AS a
         WHERE d.same_base OR a.decision = 'rejected';
    END;
REVOKE ALL ON FUNCTION promote_internal.votes(text, text, text, bytea, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.votes(text, text, text, bytea, text, text, integer) IS
'What was voted on a plan and its equals, by whatever rule; approvals only of what starts from what ran then, too. Votes on a proposal end with it where it is rejected';
