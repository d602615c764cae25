-- Deployments: the queue that workers empty, and what each step does. Whatever writes the column plan sees to it that
-- it is a deployment of the same instance: a foreign key to the table itself would be a cycle to pg_dump.

CREATE FUNCTION promote_internal.check_deployment(
    deployment integer, action text, status text, plan integer, queued_at timestamptz, due_at timestamptz,
    worker text, fencing integer, lost_leases integer, started_at timestamptz, finished_at timestamptz,
    plan_digest bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'promote_check_deployment';
COMMENT ON FUNCTION promote_internal.check_deployment(integer, text, text, integer, timestamptz, timestamptz, text, integer, integer, timestamptz, timestamptz, bytea) IS
'Whether a deployment''s row makes sense: its action and status exist; what is queued has a time; what runs is due and claimed; what is over is not due and has an end; only a PROVISION follows a plan, and that plan is an earlier deployment';

CREATE TABLE promote.deployment (
    project          promote.project_name NOT NULL,
    environment      promote.environment_name NOT NULL,
    component        promote.component_name NOT NULL,
    deployment       integer NOT NULL,
    action           text COLLATE "C" NOT NULL,
    status           text COLLATE "C" NOT NULL DEFAULT 'PENDING',
    -- what a deployment carries: written when it is queued, and never changed, but for what a plan starts from, which
    -- is what runs when it is claimed
    revision         integer NOT NULL,
    base_deployment  integer,
    base_revision    integer,
    bundle           promote.bundle_name NOT NULL,
    version          promote.semantic_version NOT NULL,
    previous_version promote.semantic_version,
    rendered_digest  bytea NOT NULL,
    remote_references jsonb,
    diff             jsonb NOT NULL,
    kept_marks       jsonb,
    destructive      boolean NOT NULL DEFAULT false,
    reverts          boolean NOT NULL DEFAULT false,
    plan             integer,
    deploy_as        text COLLATE "C",
    message          text,
    actor            text NOT NULL DEFAULT promote.current_actor(),
    database_role    text NOT NULL DEFAULT promote.current_database_role(),
    moved_by         text,
    moved_role       text,
    created_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    -- how far a deployment has come: moves with its steps
    queued_at        timestamptz,
    due_at           timestamptz,
    worker           text,
    fencing          integer NOT NULL DEFAULT 0,
    lost_leases      integer NOT NULL DEFAULT 0,
    seen_change      integer,
    started_at       timestamptz,
    finished_at      timestamptz,
    approved_by      text,
    reason           text,
    plan_digest      bytea,
    plan_facts       jsonb,
    plan_defects     text[] COLLATE "C" NOT NULL DEFAULT '{}',
    gates            jsonb,
    not_deployed     text,
    joined_by        jsonb,
    imported_at      timestamptz,
    CONSTRAINT deployment_pkey PRIMARY KEY (project, environment, component, deployment),
    -- what approvals refer to; by the digest it also finds plans that came to the same
    CONSTRAINT deployment_plan_digest_key
        UNIQUE (plan_digest, project, environment, component, deployment),
    CONSTRAINT deployment_revision_fkey FOREIGN KEY (project, environment, component, revision)
        REFERENCES promote.revision (project, environment, component, revision),
    CONSTRAINT deployment_rendered_fkey FOREIGN KEY (project, rendered_digest)
        REFERENCES promote.config (project, digest),
    CONSTRAINT deployment_release_fkey FOREIGN KEY (bundle, version)
        REFERENCES promote.bundle_release (bundle, version),
    CONSTRAINT deployment_kept_marks_check
        CHECK (pg_catalog.jsonb_typeof(kept_marks) = 'array'),
    -- one function, because PostgreSQL reads the text of every check anew for every statement: see deployment.c
    CONSTRAINT deployment_check
        CHECK (promote_internal.check_deployment(deployment, action, status, plan, queued_at, due_at, worker, fencing,
                                        lost_leases, started_at, finished_at, plan_digest))
)
-- Each step moves columns that the queue's indexes have, so that no step is a HOT update, and room on the page would be of
-- no use. A deployment leaves two dead rows or three, soon after it was queued: they are vacuumed before they are a
-- fifth of the table.
WITH (autovacuum_vacuum_scale_factor = 0.05);
-- In two parts, so that plans which came to nothing, however many, are in nobody's way who looks for one that counts. A
-- plan is in one of them at a time.
CREATE INDEX deployment_plan_idx
    ON promote.deployment (project, environment, component, revision, deployment)
    WHERE action = 'PLAN' AND status NOT IN ('FAILED', 'ABORTED', 'REJECTED');
COMMENT ON INDEX promote.deployment_plan_idx IS 'Finds the plans of a revision that have come to something, or still may';
CREATE INDEX deployment_void_plan_idx
    ON promote.deployment (project, environment, component, revision, deployment)
    WHERE action = 'PLAN' AND status IN ('FAILED', 'ABORTED', 'REJECTED');
COMMENT ON INDEX promote.deployment_void_plan_idx IS 'Finds the plans of a revision that have come to nothing';
CREATE INDEX deployment_kept_idx
    ON promote.deployment (project, environment, component, revision)
    WHERE kept_marks IS NOT NULL;
COMMENT ON INDEX promote.deployment_kept_idx IS 'Finds what deployments have marked of a revision';
CREATE INDEX deployment_open_idx
    ON promote.deployment (project, environment, component, queued_at, deployment)
    WHERE status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING');
COMMENT ON INDEX promote.deployment_open_idx IS 'Finds what is not over, and what is next in an instance''s queue';
CREATE INDEX deployment_run_idx
    ON promote.deployment (project, environment, component, started_at)
    WHERE action <> 'PLAN' AND started_at IS NOT NULL;
COMMENT ON INDEX promote.deployment_run_idx IS 'Finds what may have changed an instance, in order';
CREATE INDEX deployment_seen_idx
    ON promote.deployment (project, environment, component, seen_change, started_at)
    WHERE action = 'PLAN' AND plan_facts IS NOT NULL;
COMMENT ON INDEX promote.deployment_seen_idx IS 'Finds what plans have found of an instance since it was changed last';
CREATE UNIQUE INDEX deployment_head_key
    ON promote.deployment (project, environment, component)
    WHERE due_at IS NOT NULL;
COMMENT ON INDEX promote.deployment_head_key IS 'Holds that one deployment of an instance is due at a time: the one that runs, or else the one that may be claimed';
CREATE INDEX deployment_due_idx ON promote.deployment (due_at)
    WHERE due_at IS NOT NULL;
COMMENT ON INDEX promote.deployment_due_idx IS 'Finds what may be claimed, the longest due first';
CREATE INDEX deployment_queued_idx ON promote.deployment (project, queued_at)
    WHERE action <> 'PLAN' AND queued_at IS NOT NULL;
COMMENT ON INDEX promote.deployment_queued_idx IS 'Finds what was queued while a change window was open';
-- a row comes in when it is over, and never moves
CREATE INDEX deployment_finished_idx ON promote.deployment (project, finished_at)
    WHERE action <> 'PLAN' AND finished_at IS NOT NULL;
COMMENT ON INDEX promote.deployment_finished_idx IS 'Finds what was deployed in a span of time, the newest first, however busy other projects are';
SELECT pg_catalog.pg_extension_config_dump('promote.deployment', '');
COMMENT ON TABLE promote.deployment IS 'Attempts to plan, provision or decommission a revision, numbered from 1 per instance';
COMMENT ON COLUMN promote.deployment.project IS 'The instance''s project';
COMMENT ON COLUMN promote.deployment.environment IS 'The instance''s environment';
COMMENT ON COLUMN promote.deployment.component IS 'The instance''s component';
COMMENT ON COLUMN promote.deployment.deployment IS 'Number';
COMMENT ON COLUMN promote.deployment.action IS 'PLAN, PROVISION or DECOMMISSION';
COMMENT ON COLUMN promote.deployment.status IS 'PROPOSED, APPROVED, REJECTED, PENDING, RUNNING, COMPLETED, FAILED or ABORTED';
COMMENT ON COLUMN promote.deployment.revision IS 'Revision it is about';
COMMENT ON COLUMN promote.deployment.base_deployment IS 'PROVISION that the diff starts from: what runs, for a PLAN when it was claimed; for a DECOMMISSION the deployment that changed the instance last; NULL: nothing runs';
COMMENT ON COLUMN promote.deployment.base_revision IS 'Its revision';
COMMENT ON COLUMN promote.deployment.bundle IS 'Bundle of the release';
COMMENT ON COLUMN promote.deployment.version IS 'Release that the version constraint stood for';
COMMENT ON COLUMN promote.deployment.previous_version IS 'Its release';
COMMENT ON COLUMN promote.deployment.rendered_digest IS 'Configuration with the placeholders replaced by the environment''s parameters';
COMMENT ON COLUMN promote.deployment.remote_references IS 'What fills the release''s slots, by their names; NULL: nothing';
COMMENT ON COLUMN promote.deployment.kept_marks IS 'Paths of leaves that are sensitive by the rendered params or by the release that they are rendered by, and not by the revision alone: they are masked wherever the revision is shown; NULL: none';
COMMENT ON COLUMN promote.deployment.diff IS 'What would happen to what runs: an array of objects with kind, path, change, old, new, immutable, sensitive and since; sensitive values are masked. The release comes first, then the leaves of the rendered configuration, then remote references and secrets';
COMMENT ON COLUMN promote.deployment.destructive IS 'Whether the deployment changes an immutable value of a provisioned instance';
COMMENT ON COLUMN promote.deployment.reverts IS 'Whether a promotion undoes by it what the instance had set itself: entries of diff have the member reverts';
COMMENT ON COLUMN promote.deployment.plan IS 'PLAN deployment that a PROVISION follows: what was reviewed; NULL: none';
COMMENT ON COLUMN promote.deployment.deploy_as IS 'Of a PLAN that is to be deployed once it has completed: the role that has asked for that, and by whose grants it is deployed; NULL: nobody has';
COMMENT ON COLUMN promote.deployment.message IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.deployment.actor IS 'Who has asked for it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.deployment.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.deployment.moved_by IS 'Who has moved the request that it is of, for the actor, who has opened that, or has completed the plan that the actor wanted deployed by promote.plan_and_deploy, or has imported it; NULL: none is so';
COMMENT ON COLUMN promote.deployment.moved_role IS 'Role that the session of whoever moved it acted as; NULL with it';
COMMENT ON COLUMN promote.deployment.created_at IS 'When it was queued or proposed';
COMMENT ON COLUMN promote.deployment.queued_at IS 'Since when it waits for a worker, its place among the instance''s others; NULL: it is or was a proposal';
COMMENT ON COLUMN promote.deployment.due_at IS 'Waiting: from when on it may be claimed; running: until when the claim holds; NULL: it is not its turn, or over';
COMMENT ON COLUMN promote.deployment.worker IS 'Who has claimed it last';
COMMENT ON COLUMN promote.deployment.fencing IS 'How often the deployment was claimed, which is the number of the last claim; only that claim may write';
COMMENT ON COLUMN promote.deployment.lost_leases IS 'How many claims ran out';
COMMENT ON COLUMN promote.deployment.seen_change IS 'The instance''s changed_by when it was last claimed: the state of things that a plan has seen';
COMMENT ON COLUMN promote.deployment.started_at IS 'When it was last claimed';
COMMENT ON COLUMN promote.deployment.finished_at IS 'When it came to its end';
COMMENT ON COLUMN promote.deployment.approved_by IS 'Who approved the proposal';
COMMENT ON COLUMN promote.deployment.reason IS 'What was said at its last step: why it was approved, rejected, aborted or released, why it failed, how it ended';
COMMENT ON COLUMN promote.deployment.plan_digest IS 'For a PLAN the digest of the recorded document, or of the rendered params if it was completed without a document; for a PROVISION the digest of the plan that it follows; for a DECOMMISSION a digest of what it takes away';
COMMENT ON COLUMN promote.deployment.plan_facts IS 'What the recorded document says of itself: versions, time and counts; never a value';
COMMENT ON COLUMN promote.deployment.plan_defects IS 'Why the recorded plan cannot be deployed: errored, incomplete, deferred';
COMMENT ON COLUMN promote.deployment.gates IS 'How the gates were judged when the deployment was queued: the time, the gates that were looked at, what was overridden, and who approved; NULL: a PLAN, or not queued';
COMMENT ON COLUMN promote.deployment.not_deployed IS 'Why a PLAN that was to be deployed was not, when it had completed; NULL: it was, has not completed, or was not to be';
COMMENT ON COLUMN promote.deployment.joined_by IS 'Of a PLAN that is to be deployed: who else has asked for that while it waited or ran, an array of objects with actor and database_role; NULL: nobody has';
COMMENT ON COLUMN promote.deployment.imported_at IS 'When it was imported by promote.import_history: then it ran elsewhere, by what moved_by says; it has no diff, no plan and no gates, and whoever approved it there has not voted here; NULL: it was made here';

DO $$
BEGIN
    ALTER TABLE promote.deployment ALTER COLUMN diff SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

CREATE FUNCTION promote_internal.next_in_queue(project text, environment text, component text)
    RETURNS TABLE (deployment integer)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT d.deployment
          FROM promote.deployment AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.status IN ('PENDING', 'APPROVED')
           AND NOT EXISTS (SELECT FROM promote.deployment AS h
                            WHERE h.project = $1 AND h.environment = $2 AND h.component = $3 AND h.due_at IS NOT NULL)
         ORDER BY d.queued_at, d.deployment
         LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.next_in_queue(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.next_in_queue(text, text, text) IS
'The deployment of an instance whose turn it is: what was queued first and waits, where nothing of the instance runs or is due. No row where there is none';

CREATE FUNCTION promote_internal.last_plan(of_project text, of_environment text, of_component text, of_revision integer)
    RETURNS TABLE (deployment integer, status text, worker text, reason text, version text, rendered_digest bytea)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        -- the last of either index: PostgreSQL does not put them together by itself
        SELECT p.*
          FROM ((SELECT d.deployment, d.status, d.worker, d.reason, d.version, d.rendered_digest
                   FROM promote.deployment AS d
                  WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.revision = $4
                    AND d.action = 'PLAN' AND d.status NOT IN ('FAILED', 'ABORTED', 'REJECTED')
                  ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.revision DESC, d.deployment DESC LIMIT 1)
                UNION ALL
                (SELECT d.deployment, d.status, d.worker, d.reason, d.version, d.rendered_digest
                   FROM promote.deployment AS d
                  WHERE d.project = $1 AND d.environment = $2 AND d.component = $3 AND d.revision = $4
                    AND d.action = 'PLAN' AND d.status IN ('FAILED', 'ABORTED', 'REJECTED')
                  ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.revision DESC, d.deployment DESC LIMIT 1)) AS p
         ORDER BY p.deployment DESC LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.last_plan(text, text, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.last_plan(text, text, text, integer) IS
'The last PLAN of a revision, whatever became of it; no row where there is none';

CREATE FUNCTION promote_internal.last_recorded_plan(project text, environment text, component text)
    RETURNS TABLE (deployment integer, revision integer)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT d.deployment, d.revision
          FROM promote.deployment AS d
         WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
           AND d.action = 'PLAN' AND d.plan_facts IS NOT NULL
           AND d.revision > (SELECT i.opened_revision FROM promote.instance AS i
                              WHERE i.project = $1 AND i.environment = $2 AND i.component = $3)
         ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.seen_change DESC, d.started_at DESC LIMIT 1;
    END;
REVOKE ALL ON FUNCTION promote_internal.last_recorded_plan(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.last_recorded_plan(text, text, text) IS
'The plan of an instance of which a worker has recorded a document last, and its revision; no row where there is none';

CREATE FUNCTION promote_internal.guard_deployment() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_deployment';
REVOKE ALL ON FUNCTION promote_internal.guard_deployment() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_deployment() IS
'Refuses illegal steps of a deployment, PM501, and changes of what it carries, PM301; fills in what a step implies';

CREATE FUNCTION promote_internal.record_deployment() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_record_deployment';
REVOKE ALL ON FUNCTION promote_internal.record_deployment() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.record_deployment() IS
'Records deployments'' steps: moves the instances and their queues, appends to the audit log and notifies';

CREATE FUNCTION promote.deployment_steps(
    OUT action text, OUT from_status text, OUT to_status text, OUT event text,
    OUT instance_status text)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 36
    AS 'MODULE_PATHNAME', 'promote_deployment_steps';
COMMENT ON FUNCTION promote.deployment_steps() IS
'The legal steps of deployments: the event that the audit log calls each, and what the instance''s status becomes; NULL: what it was';

CREATE FUNCTION promote_internal.deployment_facts(deployment promote.deployment) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_deployment_facts';
REVOKE ALL ON FUNCTION promote_internal.deployment_facts(promote.deployment) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.deployment_facts(promote.deployment) IS
'What the audit log says of a deployment when it is queued or proposed: what it carries, which never changes; keeps the digest of a row that a verb has just inserted, for that event';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.deployment
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_record;

CREATE TRIGGER guard_deployment BEFORE UPDATE ON promote.deployment
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_deployment();
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER guard_deployment;

CREATE TRIGGER record_deployment AFTER UPDATE ON promote.deployment
    REFERENCING OLD TABLE AS old_deployment NEW TABLE AS new_deployment
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.record_deployment();
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER record_deployment;

CREATE FUNCTION promote_internal.settle_plan() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_settle_plan';
REVOKE ALL ON FUNCTION promote_internal.settle_plan() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.settle_plan() IS
'Deploys a PLAN that has completed, where that was asked for, or notes in its row why not';

-- behind record_deployment, by its name
CREATE TRIGGER settle_plan AFTER UPDATE ON promote.deployment
    REFERENCING OLD TABLE AS old_deployment NEW TABLE AS new_deployment
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.settle_plan();
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER settle_plan;

CREATE TRIGGER refuse_rewrite BEFORE DELETE ON promote.deployment
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.deployment
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.deployment ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION promote_internal.run_at(of_project text, of_environment text, of_component text, at timestamptz)
    RETURNS SETOF promote.deployment
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
        SELECT d.*
          FROM (SELECT d.* FROM promote.deployment AS d
                 WHERE d.project = $1 AND d.environment = $2 AND d.component = $3
                   AND d.action <> 'PLAN' AND d.started_at <= $4 AND d.status = 'COMPLETED' AND d.finished_at <= $4
                 -- one runs at a time: they have ended in the order in which they have begun
                 ORDER BY d.project DESC, d.environment DESC, d.component DESC, d.started_at DESC LIMIT 1) AS d
         WHERE d.action = 'PROVISION';
    END;
REVOKE ALL ON FUNCTION promote_internal.run_at(text, text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.run_at(text, text, text, timestamptz) IS
'What an instance ran at a moment: the PROVISION that was the last completed change, unless that was a DECOMMISSION; no row where nothing ran';
