-- Requests: a scope of components, promoted from one environment to another
-- in waves.  promote.advance_request moves them.

CREATE FUNCTION promote_internal.guard_request() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_request';
REVOKE ALL ON FUNCTION promote_internal.guard_request() FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.guard_request() IS
'Refuses to change how far a request has come by hand, PM303, and the columns that it is given, what was asked for, at all, PM301';

CREATE TABLE promote.promotion_request (
    project                 promote.project_name NOT NULL,
    request                 integer NOT NULL,
    -- what was asked for: never changed
    source_environment      promote.environment_name NOT NULL,
    destination_environment promote.environment_name NOT NULL,
    scope                   jsonb NOT NULL,
    strategy                text COLLATE "C" NOT NULL,
    waves                   jsonb,
    overrides_digest        bytea,
    execution_window        tstzrange,
    rollback_mode           text COLLATE "C" NOT NULL,
    soak                    interval NOT NULL,
    checks                  text[] COLLATE "C" NOT NULL,
    verification_owner      text,
    fallback_owner          text,
    ticket                  text,
    message                 text,
    include_other_changes   boolean NOT NULL,
    copy_secrets            boolean NOT NULL DEFAULT false,
    copy_remote_references  boolean NOT NULL DEFAULT false,
    idempotency_key         text COLLATE "C",
    pin                     boolean NOT NULL DEFAULT false,
    reprovision             boolean NOT NULL DEFAULT false,
    choice                  jsonb NOT NULL DEFAULT '{}',
    choices                 jsonb NOT NULL DEFAULT '{}',
    actor                   text NOT NULL DEFAULT promote.current_actor(),
    database_role           text NOT NULL DEFAULT promote.current_database_role(),
    created_at              timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    -- how far a request has come: kept by promote
    status                  text COLLATE "C" NOT NULL DEFAULT 'OPEN',
    wave                    integer NOT NULL DEFAULT 0,
    rolling_back            boolean NOT NULL DEFAULT false,
    reason                  text,
    waits_for               jsonb NOT NULL DEFAULT '[]',
    preview                 integer NOT NULL DEFAULT 0,
    preview_digest          bytea,
    previewed_at            timestamptz,
    previewed_by            text,
    started_at              timestamptz,
    finished_at             timestamptz,
    CONSTRAINT promotion_request_pkey PRIMARY KEY (project, request),
    CONSTRAINT promotion_request_source_fkey FOREIGN KEY (project, source_environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT promotion_request_destination_fkey FOREIGN KEY (project, destination_environment)
        REFERENCES promote.environment (project, environment),
    CONSTRAINT promotion_request_number_check CHECK (request > 0 AND wave >= 0 AND preview >= 0),
    CONSTRAINT promotion_request_strategy_check
        CHECK (strategy IN ('one_by_one', 'waves', 'canary', 'all_at_once')),
    CONSTRAINT promotion_request_overrides_fkey FOREIGN KEY (project, overrides_digest)
        REFERENCES promote.config (project, digest),
    CONSTRAINT promotion_request_choice_check
        CHECK (promote_internal.check_object(choice, 'choice') AND promote_internal.check_object(choices, 'choices')),
    CONSTRAINT promotion_request_rollback_mode_check CHECK (rollback_mode IN ('none', 'wave', 'all')),
    CONSTRAINT promotion_request_status_check
        CHECK (status IN ('OPEN', 'RUNNING', 'BLOCKED', 'PAUSED', 'FAILED', 'ROLLING_BACK', 'ROLLED_BACK',
                          'COMPLETED', 'SKIPPED', 'CANCELLED')),
    CONSTRAINT promotion_request_preview_check CHECK ((preview = 0) = (preview_digest IS NULL)),
    CONSTRAINT promotion_request_finished_check
        CHECK ((status IN ('ROLLED_BACK', 'COMPLETED', 'SKIPPED', 'CANCELLED')) = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX promotion_request_idempotency_key
    ON promote.promotion_request (project, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
COMMENT ON INDEX promote.promotion_request_idempotency_key IS 'An idempotency key opens one request of a project';
CREATE INDEX promotion_request_open_idx ON promote.promotion_request (project, request)
    WHERE finished_at IS NULL;
COMMENT ON INDEX promote.promotion_request_open_idx IS 'Finds the requests that are not over';
SELECT pg_catalog.pg_extension_config_dump('promote.promotion_request', '');
COMMENT ON TABLE promote.promotion_request IS 'Promotions of a scope from one environment to another, numbered from 1 per project';
COMMENT ON COLUMN promote.promotion_request.project IS 'Project that it is of';
COMMENT ON COLUMN promote.promotion_request.request IS 'Number, from 1 per project';
COMMENT ON COLUMN promote.promotion_request.source_environment IS 'Environment that is promoted from';
COMMENT ON COLUMN promote.promotion_request.destination_environment IS 'Environment that is promoted to';
COMMENT ON COLUMN promote.promotion_request.scope IS 'What the request is limited to: an object with the keys components, an array of names, and selector, what effective attributes must contain; both may be missing';
COMMENT ON COLUMN promote.promotion_request.strategy IS 'one_by_one, waves, canary or all_at_once';
COMMENT ON COLUMN promote.promotion_request.waves IS 'Sizes or selectors of the waves, in order; the rest is one more. NULL: the strategy has none';
COMMENT ON COLUMN promote.promotion_request.overrides_digest IS 'Digest of the merge patches or JSON Patches by component, on top of what is promoted, which promote.config has; NULL: none';
COMMENT ON COLUMN promote.promotion_request.execution_window IS 'When anything may be staged or deployed; NULL: at any time';
COMMENT ON COLUMN promote.promotion_request.rollback_mode IS 'What is rolled back when something fails: none, wave or all';
COMMENT ON COLUMN promote.promotion_request.soak IS 'How long what is deployed has to stay healthy before its wave is done';
COMMENT ON COLUMN promote.promotion_request.checks IS 'Health checks that have to be green after a deployment, beside those that the environment requires';
COMMENT ON COLUMN promote.promotion_request.verification_owner IS 'Who verifies the outcome';
COMMENT ON COLUMN promote.promotion_request.fallback_owner IS 'Who is called if the verification owner cannot be reached';
COMMENT ON COLUMN promote.promotion_request.ticket IS 'Where it was asked for';
COMMENT ON COLUMN promote.promotion_request.message IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.promotion_request.include_other_changes IS 'Whether what was staged at a destination before, and not deployed, is deployed along with the request';
COMMENT ON COLUMN promote.promotion_request.copy_secrets IS 'Whether secrets are copied as well';
COMMENT ON COLUMN promote.promotion_request.copy_remote_references IS 'Whether remote references are copied as well';
COMMENT ON COLUMN promote.promotion_request.idempotency_key IS 'The caller''s key for the call that opened it; NULL: it had none';
COMMENT ON COLUMN promote.promotion_request.pin IS 'Whether the exact versions that the sources run are promoted, whatever their constraints';
COMMENT ON COLUMN promote.promotion_request.reprovision IS 'Whether instances that were decommissioned are brought back; otherwise they are skipped';
COMMENT ON COLUMN promote.promotion_request.choice IS 'What of the sources is taken: an object with only, source_state, preset, fill_defaults, mode and on_conflict, as far as they were given';
COMMENT ON COLUMN promote.promotion_request.choices IS 'By component, objects that go over choice, with source_revision and expected_source_revision as well';
COMMENT ON COLUMN promote.promotion_request.actor IS 'Who opened it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.promotion_request.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.promotion_request.created_at IS 'When it was opened';
COMMENT ON COLUMN promote.promotion_request.status IS 'OPEN, RUNNING, BLOCKED, PAUSED, FAILED, ROLLING_BACK, ROLLED_BACK, COMPLETED, SKIPPED (there was nothing to do for any of its items) or CANCELLED';
COMMENT ON COLUMN promote.promotion_request.wave IS 'Wave that it is at; 0: it has not begun';
COMMENT ON COLUMN promote.promotion_request.rolling_back IS 'Whether a failure has started the rollback';
COMMENT ON COLUMN promote.promotion_request.reason IS 'Why it is paused, cancelled or failed';
COMMENT ON COLUMN promote.promotion_request.waits_for IS 'What it waited for when it was advanced last: an array of objects with code and message, of an item also wave and instance, of what was refused also sqlstate';
COMMENT ON COLUMN promote.promotion_request.preview IS 'Number of the request''s last preview; 0: none was taken';
COMMENT ON COLUMN promote.promotion_request.preview_digest IS 'Digest of that one';
COMMENT ON COLUMN promote.promotion_request.previewed_at IS 'When it was taken';
COMMENT ON COLUMN promote.promotion_request.previewed_by IS 'Who took it';
COMMENT ON COLUMN promote.promotion_request.started_at IS 'When it was begun';
COMMENT ON COLUMN promote.promotion_request.finished_at IS 'When it came to its end';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.promotion_request
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
CREATE TRIGGER guard_request BEFORE UPDATE ON promote.promotion_request
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_request('project', 'request', 'source_environment', 'destination_environment', 'scope', 'strategy', 'waves', 'overrides_digest', 'execution_window', 'rollback_mode', 'soak', 'checks', 'verification_owner', 'fallback_owner', 'ticket', 'message', 'include_other_changes', 'copy_secrets', 'copy_remote_references', 'idempotency_key', 'pin', 'reprovision', 'choice', 'choices', 'actor', 'database_role', 'created_at');
CREATE TRIGGER refuse_rewrite BEFORE DELETE ON promote.promotion_request
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.promotion_request
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.promotion_request ENABLE ALWAYS TRIGGER guard_record;
ALTER TABLE promote.promotion_request ENABLE ALWAYS TRIGGER guard_request;
ALTER TABLE promote.promotion_request ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.promotion_request ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TABLE promote.promotion_request_item (
    project                 promote.project_name NOT NULL,
    request                 integer NOT NULL,
    component               promote.component_name NOT NULL,
    destination_environment promote.environment_name NOT NULL,
    wave                    integer,
    status                  text COLLATE "C" NOT NULL DEFAULT 'PENDING',
    skip_reason             jsonb,
    holds                   boolean NOT NULL DEFAULT true,
    preview_digest          bytea,
    source_revision         integer,
    base_revision           integer,
    version                 promote.semantic_version,
    rendered_digest         bytea,
    previous_revision       integer,
    revision                integer,
    plan                    integer,
    deployment              integer,
    verified_from           timestamptz,
    rollback_revision       integer,
    rollback_plan           integer,
    rollback_deployment     integer,
    reason                  text,
    staged_at               timestamptz,
    deploying_at            timestamptz,
    finished_at             timestamptz,
    CONSTRAINT promotion_request_item_pkey PRIMARY KEY (project, request, component),
    CONSTRAINT promotion_request_item_request_fkey FOREIGN KEY (project, request)
        REFERENCES promote.promotion_request (project, request),
    CONSTRAINT promotion_request_item_status_check
        CHECK (status IN ('PENDING', 'STAGED', 'DEPLOYING', 'VERIFYING', 'DONE', 'SKIPPED', 'FAILED', 'ROLLING_BACK',
                          'ROLLED_BACK')),
    CONSTRAINT promotion_request_item_wave_check CHECK (wave > 0 AND wave IS NOT NULL OR status = 'SKIPPED'),
    CONSTRAINT promotion_request_item_revision_check
        CHECK (revision IS NOT NULL OR status IN ('PENDING', 'SKIPPED', 'FAILED'))
);
CREATE UNIQUE INDEX promotion_request_item_holds_key
    ON promote.promotion_request_item (project, destination_environment, component)
    WHERE holds;
COMMENT ON INDEX promote.promotion_request_item_holds_key IS 'An instance is held by one open request';
CREATE INDEX promotion_request_item_instance_idx
    ON promote.promotion_request_item (project, destination_environment, component, revision);
COMMENT ON INDEX promote.promotion_request_item_instance_idx IS 'Finds who has asked for what an instance desires, or desired';
CREATE INDEX promotion_request_item_rollback_idx
    ON promote.promotion_request_item (project, destination_environment, component, rollback_revision)
    WHERE rollback_revision IS NOT NULL;
COMMENT ON INDEX promote.promotion_request_item_rollback_idx IS 'Finds which request has rolled an instance back';
CREATE INDEX promotion_request_item_open_idx
    ON promote.promotion_request_item (project, request, wave, component)
    WHERE status NOT IN ('DONE', 'SKIPPED', 'ROLLED_BACK');
CREATE INDEX promotion_request_item_done_idx
    ON promote.promotion_request_item (project, request, wave, component)
    WHERE status = 'DONE';
COMMENT ON INDEX promote.promotion_request_item_done_idx IS 'Finds the items of a wave that are done, since they may have become unhealthy';
COMMENT ON INDEX promote.promotion_request_item_open_idx IS 'Finds the next wave that is not over, and its open items';
SELECT pg_catalog.pg_extension_config_dump('promote.promotion_request_item', '');
COMMENT ON TABLE promote.promotion_request_item IS 'What a request promotes, a row per component: frozen when it was opened';
COMMENT ON COLUMN promote.promotion_request_item.project IS 'The request''s project';
COMMENT ON COLUMN promote.promotion_request_item.request IS 'The request';
COMMENT ON COLUMN promote.promotion_request_item.component IS 'Component that is promoted';
COMMENT ON COLUMN promote.promotion_request_item.destination_environment IS 'The request''s destination';
COMMENT ON COLUMN promote.promotion_request_item.wave IS 'Wave that it belongs to; NULL: it was skipped from the start';
COMMENT ON COLUMN promote.promotion_request_item.status IS 'PENDING, STAGED, DEPLOYING, VERIFYING, DONE, SKIPPED, FAILED, ROLLING_BACK or ROLLED_BACK';
COMMENT ON COLUMN promote.promotion_request_item.skip_reason IS 'Why there is nothing to promote: code and message; of a PENDING item, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.holds IS 'Whether the instance is kept from other requests';
COMMENT ON COLUMN promote.promotion_request_item.preview_digest IS 'Digest of what the last preview says of the item; NULL: none was taken';
COMMENT ON COLUMN promote.promotion_request_item.source_revision IS 'Revision that is promoted, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.base_revision IS 'Desired revision of the destination before, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.version IS 'Release that would run, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.rendered_digest IS 'Digest of the params that it would run with, the placeholders replaced, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.previous_revision IS 'Revision that ran when it was staged; NULL: none did';
COMMENT ON COLUMN promote.promotion_request_item.revision IS 'Revision that was staged at the destination';
COMMENT ON COLUMN promote.promotion_request_item.plan IS 'The item''s PLAN deployment';
COMMENT ON COLUMN promote.promotion_request_item.deployment IS 'The item''s PROVISION deployment';
COMMENT ON COLUMN promote.promotion_request_item.verified_from IS 'Since when it has to be healthy';
COMMENT ON COLUMN promote.promotion_request_item.rollback_revision IS 'Revision that was staged to roll it back';
COMMENT ON COLUMN promote.promotion_request_item.rollback_plan IS 'PLAN deployment of the revision that was staged to roll the item back';
COMMENT ON COLUMN promote.promotion_request_item.rollback_deployment IS 'PROVISION deployment of the revision that was staged to roll the item back';
COMMENT ON COLUMN promote.promotion_request_item.reason IS 'Why the item failed, or what it waits for, unless that is a worker or time';
COMMENT ON COLUMN promote.promotion_request_item.staged_at IS 'When it was staged';
COMMENT ON COLUMN promote.promotion_request_item.deploying_at IS 'When the item''s PROVISION was queued';
COMMENT ON COLUMN promote.promotion_request_item.finished_at IS 'When it was done, skipped or rolled back';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.promotion_request_item
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
CREATE TRIGGER guard_request BEFORE UPDATE ON promote.promotion_request_item
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_request('project', 'request', 'component', 'destination_environment', 'wave');
CREATE TRIGGER refuse_rewrite BEFORE DELETE ON promote.promotion_request_item
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.promotion_request_item
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.promotion_request_item ENABLE ALWAYS TRIGGER guard_record;
ALTER TABLE promote.promotion_request_item ENABLE ALWAYS TRIGGER guard_request;
ALTER TABLE promote.promotion_request_item ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.promotion_request_item ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TABLE promote.promotion_request_preview (
    project       promote.project_name NOT NULL,
    request       integer NOT NULL,
    preview       integer NOT NULL,
    digest        bytea NOT NULL GENERATED ALWAYS AS (promote.jsonb_digest(items)) STORED,
    items         jsonb NOT NULL,
    actor         text NOT NULL DEFAULT promote.current_actor(),
    database_role text NOT NULL DEFAULT promote.current_database_role(),
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT promotion_request_preview_pkey PRIMARY KEY (project, request, preview),
    CONSTRAINT promotion_request_preview_request_fkey FOREIGN KEY (project, request)
        REFERENCES promote.promotion_request (project, request),
    CONSTRAINT promotion_request_preview_items_check
        CHECK (preview > 0 AND pg_catalog.jsonb_typeof(items) = 'array')
);
SELECT pg_catalog.pg_extension_config_dump('promote.promotion_request_preview', '');
COMMENT ON TABLE promote.promotion_request_preview IS 'Every preview that was taken of a request';
COMMENT ON COLUMN promote.promotion_request_preview.project IS 'The request''s project';
COMMENT ON COLUMN promote.promotion_request_preview.request IS 'The request';
COMMENT ON COLUMN promote.promotion_request_preview.preview IS 'Number, from 1 per request';
COMMENT ON COLUMN promote.promotion_request_preview.digest IS 'SHA-256 of the items'' canonical form';
COMMENT ON COLUMN promote.promotion_request_preview.items IS 'What would be staged: an object per item with component, wave, what is chosen of the source, and skip_reason, or revisions, version, digests, remote references that would be set otherwise, as they would be written, and the diff, masked';
COMMENT ON COLUMN promote.promotion_request_preview.actor IS 'Who took it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.promotion_request_preview.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.promotion_request_preview.created_at IS 'When';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.promotion_request_preview
    FOR EACH ROW EXECUTE FUNCTION promote_internal.guard_record();
CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.promotion_request_preview
    FOR EACH ROW EXECUTE FUNCTION promote_internal.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.promotion_request_preview
    FOR EACH STATEMENT EXECUTE FUNCTION promote_internal.refuse_rewrite();
ALTER TABLE promote.promotion_request_preview ENABLE ALWAYS TRIGGER guard_record;
ALTER TABLE promote.promotion_request_preview ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.promotion_request_preview ENABLE ALWAYS TRIGGER refuse_truncate;

-- What verbs lock, by the name that RowToLock.what of src/registry/rescue.h gives it.
CREATE VIEW promote_internal.lockable_row AS
SELECT i.project::text AS project, 'promote.instance'::regclass::oid AS class, pg_catalog.format('"%s"', i.name) AS what
  FROM promote.instance AS i
 UNION ALL
SELECT d.project, 'promote.deployment'::regclass, pg_catalog.format('deployment %s of "%s"', d.deployment, i.name)
  FROM promote.instance AS i
  JOIN promote.deployment AS d ON d.project = i.project AND d.environment = i.environment AND d.component = i.component
 WHERE d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING')
 UNION ALL
SELECT r.project, 'promote.promotion_request'::regclass, pg_catalog.format('request %s of project "%s"', r.request, r.project)
  FROM promote.promotion_request AS r;
COMMENT ON VIEW promote_internal.lockable_row IS
'Rows that verbs lock: their project, their table, and what they are called where somebody waits for them';

-- ---- what the verbs read ----

CREATE FUNCTION promote_internal.time_words(at timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN pg_catalog.to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"');
GRANT EXECUTE ON FUNCTION promote_internal.time_words(timestamptz) TO PUBLIC;
COMMENT ON FUNCTION promote_internal.time_words(timestamptz) IS 'A time as sentences have it';

CREATE VIEW promote_internal.request_now AS
    SELECT r.project,
           r.request,
           r.source_environment,
           r.destination_environment,
           NULLIF(r.scope -> 'selector', '{}') AS selector,
           COALESCE(promote_internal.config_params(r.project, r.overrides_digest), '{}') AS overrides,
           r.choice,
           r.choices,
           r.strategy,
           r.rollback_mode,
           'request ' || r.request || COALESCE(': ' || r.message, '') AS message,
           r.include_other_changes,
           r.copy_secrets,
           r.copy_remote_references,
           r.pin,
           r.reprovision,
           COALESCE(r.execution_window @> n.now, true) AS window_open,
           CASE WHEN pg_catalog.lower(r.execution_window) > n.now
                THEN 'the execution window opens at ' || promote_internal.time_words(pg_catalog.lower(r.execution_window))
                WHEN NOT r.execution_window @> n.now
                THEN 'the execution window closed at ' || promote_internal.time_words(pg_catalog.upper(r.execution_window))
           END AS window_words,
           r.status,
           r.wave,
           r.started_at IS NOT NULL AS started,
           r.rolling_back,
           r.reason,
           r.preview,
           r.actor,
           r.database_role
      FROM promote.promotion_request AS r
     CROSS JOIN pg_catalog.clock_timestamp() AS n (now);
COMMENT ON VIEW promote_internal.request_now IS
'Requests as the verbs read them: by message what they stage is recorded with, by window_words why nothing may be begun outside of the execution window';

-- The plan is the last one of the revision that is to be deployed, for it may have been planned again.
CREATE VIEW promote_internal.request_item_now AS
    SELECT t.project,
           t.request,
           t.component,
           t.wave,
           t.status,
           t.skip_reason,
           t.preview_digest,
           t.source_revision,
           t.base_revision,
           t.version,
           t.rendered_digest,
           t.previous_revision,
           t.revision,
           t.plan,
           t.deployment,
           t.rollback_revision,
           t.rollback_plan,
           t.rollback_deployment,
           t.reason,
           (SELECT i.revision FROM promote.instance AS i
             WHERE i.project = t.project AND i.environment = t.destination_environment AND i.component = t.component) AS desired,
           EXISTS (SELECT FROM promote.instance AS i
                    WHERE i.project = t.project AND i.environment = t.destination_environment AND i.component = t.component)
           AND EXISTS (SELECT FROM promote.instance AS i
                    WHERE i.project = t.project AND i.environment = r.source_environment AND i.component = t.component) AS is_pair,
           p.deployment AS last_plan,
           p.status AS plan_status,
           p.worker AS plan_worker,
           p.reason AS plan_reason,
           p.version = t.version AND p.rendered_digest = t.rendered_digest AS as_previewed,
           d.deployment AS queued,
           d.status AS queued_status,
           d.worker AS queued_worker,
           d.reason AS queued_reason,
           -- what was over before the item was staged has carried out nothing of it
           d.started_at IS NOT NULL AND (d.finished_at < t.staged_at) IS NOT TRUE AS queued_began,
           COALESCE(t.verified_from, d.finished_at) + r.soak <= n.now AS soaked,
           promote_internal.time_words(COALESCE(t.verified_from, d.finished_at) + r.soak) AS soaks_until,
           t.status IN ('DONE', 'SKIPPED', 'ROLLED_BACK') AS is_over,
           t.status = 'DONE' AND EXISTS (
               SELECT FROM promote.health_report AS h
                WHERE h.project = t.project AND h.environment = t.destination_environment AND h.component = t.component
                  AND NOT h.healthy AND h.reported_at >= t.verified_from) AS is_relapsed
      FROM promote.promotion_request AS r
     CROSS JOIN pg_catalog.clock_timestamp() AS n (now)
      JOIN promote.promotion_request_item AS t ON t.project = r.project AND t.request = r.request
      LEFT JOIN LATERAL (
               SELECT d.deployment, d.status, d.worker, d.reason, d.version, d.rendered_digest
                 FROM promote_internal.last_plan(t.project, t.destination_environment, t.component,
                                                 COALESCE(t.rollback_revision, t.revision)) AS d
                WHERE d.deployment >= CASE WHEN t.rollback_revision IS NULL THEN t.plan ELSE t.rollback_plan END
                LIMIT 1) AS p ON true
      LEFT JOIN LATERAL (
               SELECT d.deployment, d.status, d.worker, d.reason, d.started_at, d.finished_at
                 FROM promote.deployment AS d
                WHERE d.project = t.project AND d.environment = t.destination_environment AND d.component = t.component
                  AND d.deployment = CASE WHEN t.rollback_revision IS NULL THEN t.deployment ELSE t.rollback_deployment END
                LIMIT 1) AS d ON true;
COMMENT ON VIEW promote_internal.request_item_now IS
'Items of requests with where their instances stand: what these desire, the last plan of what is to be deployed, or to be rolled back, and what was queued of it';

-- By the checks that the environment requires of its instances, and those that the request names. What was green before
-- says nothing of what was deployed, unless the check is about the revision.
CREATE VIEW promote_internal.request_item_health AS
    SELECT t.project,
           t.request,
           t.component,
           -- without the reporter's words, which may quote anything
           (SELECT 'check "' || h.check_name || '" has failed since its deployment'
              FROM promote.health_report AS h
             WHERE h.project = t.project AND h.environment = t.destination_environment AND h.component = t.component
               AND NOT h.healthy AND h.reported_at >= t.verified_from
             ORDER BY h.project, h.environment, h.component, h.reported_at
             LIMIT 1) AS unhealthy,
           (SELECT pg_catalog.string_agg('"' || w.check_name || '"', ', ' ORDER BY w.check_name)
              FROM (SELECT u.check_name, false AS per_revision, NULL::interval AS expires_after
                      FROM pg_catalog.unnest(r.checks) AS u (check_name)
                     UNION
                    SELECT c.check_name, c.per_revision, c.expires_after
                      FROM promote.required_check AS c
                     WHERE c.scope = ANY (promote_internal.rule_scopes(t.project, t.destination_environment)) AND c."of" = 'destination'
                       AND (c.component = t.component OR c.component IS NULL) AND c.selector <@ a.attributes) AS w
             WHERE (SELECT h.healthy
                           AND COALESCE(LEAST(h.expires_at, h.reported_at + w.expires_after) > n.now, true)
                           AND (w.per_revision OR h.reported_at >= t.verified_from)
                      FROM promote.health_report AS h
                     WHERE h.project = t.project AND h.environment = t.destination_environment AND h.component = t.component
                       AND h.check_name = w.check_name AND (NOT w.per_revision OR h.revision = t.revision)
                     ORDER BY h.report DESC
                     LIMIT 1) IS NOT TRUE) AS unverified
      FROM promote.promotion_request AS r
     CROSS JOIN pg_catalog.clock_timestamp() AS n (now)
      JOIN promote.promotion_request_item AS t ON t.project = r.project AND t.request = r.request
     CROSS JOIN LATERAL (
               SELECT i.attributes
                 FROM promote_internal.instance_attributes AS i
                WHERE i.project = t.project AND i.environment = t.destination_environment AND i.component = t.component
                LIMIT 1) AS a;
COMMENT ON VIEW promote_internal.request_item_health IS
'Is what a request has deployed healthy? unhealthy: what was reported since; unverified: the checks that are still to be green; both NULL: it is';

-- The LIMIT, which is as many as there can be, keeps PostgreSQL to the instance's deployments, by their whole key.
CREATE VIEW promote_internal.request_queued AS
    SELECT t.project, t.request, t.component, d.deployment
      FROM promote.promotion_request_item AS t
     CROSS JOIN LATERAL (
               SELECT d.deployment FROM promote.deployment AS d
                WHERE d.project = t.project AND d.environment = t.destination_environment AND d.component = t.component
                  AND d.deployment IN (t.plan, t.deployment, t.rollback_plan, t.rollback_deployment)
                  AND d.status IN ('PENDING', 'APPROVED')
                LIMIT 4) AS d;
COMMENT ON VIEW promote_internal.request_queued IS 'Deployments of requests that no worker has begun';

CREATE FUNCTION promote_internal.request_item_facts(
    project text, source_environment text, destination_environment text, component text, selector jsonb,
    of_revision integer)
    RETURNS TABLE (has_source boolean, has_destination boolean, decommissioned boolean, in_scope boolean,
                   source_revision integer, revision integer, deployed_revision integer, source_digest bytea, is_deployed boolean, origin text, author text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT s.project IS NOT NULL,
               i.project IS NOT NULL,
               COALESCE(i.status = 'DECOMMISSIONED', false),
               $5 IS NULL OR promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, i.attributes) @> $5,
               NULLIF(s.revision, s.opened_revision),
               i.revision,
               i.deployed_revision,
               q.digest,
               d.version = n.version
               AND (o.digest = n.digest OR d.rendered_digest = promote_internal.rendered_digest($1, $3, n.digest)),
               n.origin,
               n.actor
          FROM promote.project AS p
          JOIN promote.environment AS e ON e.project = p.project AND e.environment = $3
          LEFT JOIN promote.component AS c ON c.project = p.project AND c.component = $4
          LEFT JOIN promote.instance AS s ON s.project = p.project AND s.environment = $2 AND s.component = $4
          LEFT JOIN promote.instance AS i ON i.project = p.project AND i.environment = $3 AND i.component = $4
          LEFT JOIN LATERAL (
                   SELECT r.digest FROM promote.revision AS r
                    WHERE r.project = s.project AND r.environment = s.environment AND r.component = s.component
                      -- as in promote_internal.proposal_from
                      AND r.revision = CASE WHEN $6 IS NULL THEN s.revision WHEN $6 = -1 THEN s.deployed_revision ELSE $6 END
                    LIMIT 1) AS q ON true
          LEFT JOIN LATERAL (
                   SELECT r.digest, r.version, r.origin, r.actor FROM promote.revision AS r
                    WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                      AND r.revision = i.revision
                    LIMIT 1) AS n ON true
          LEFT JOIN LATERAL (
                   SELECT r.digest FROM promote.revision AS r
                    WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                      AND r.revision = i.deployed_revision
                    LIMIT 1) AS o ON true
          LEFT JOIN LATERAL (
                   SELECT d.version, d.rendered_digest FROM promote.deployment AS d
                    WHERE d.project = i.project AND d.environment = i.environment AND d.component = i.component
                      AND d.deployment = i.deployed_by
                    LIMIT 1) AS d ON i.status = 'PROVISIONED'
         WHERE p.project = $1;
    END;
REVOKE ALL ON FUNCTION promote_internal.request_item_facts(text, text, text, text, jsonb, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.request_item_facts(text, text, text, text, jsonb, integer) IS
'What an item is proposed by: its two instances, what they desire, the digest of what is taken of the source, who has staged what is desired at the destination, and what runs there';

-- What has no instance at one side is in the scope by its other attributes, to be seen.
CREATE FUNCTION promote_internal.request_candidates(
    project text, source_environment text, destination_environment text, components text[], selector jsonb,
    reprovision boolean)
    RETURNS TABLE (component promote.component_name, attributes jsonb, skip_reason jsonb, rank integer)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT c.component,
               a.attributes,
               CASE WHEN i.attributes IS NULL
                    THEN pg_catalog.jsonb_build_object('code', 'no_instance', 'message', 'it has no instance in "' || $3 || '"')
                    WHEN s.attributes IS NULL
                    THEN pg_catalog.jsonb_build_object('code', 'no_instance', 'message', 'it has no instance in "' || $2 || '"')
                    WHEN NOT a.attributes @> $5
                    THEN pg_catalog.jsonb_build_object('code', 'selector', 'message', 'its attributes do not match the selector')
                    WHEN i.status = 'DECOMMISSIONED' AND NOT $6
                    THEN pg_catalog.jsonb_build_object('code', 'decommissioned', 'message',
                             '"' || i.name || '" was decommissioned: deploying it would bring it back') END,
               o.rank
          FROM promote.component AS c
          JOIN promote.project AS p ON p.project = $1
          JOIN promote.environment AS e ON e.project = $1 AND e.environment = $3
          JOIN promote_internal.component_rank($1) AS o ON o.component = c.component
          LEFT JOIN LATERAL (
                   SELECT s.attributes FROM promote.instance AS s
                    WHERE s.project = $1 AND s.environment = $2 AND s.component = c.component
                    LIMIT 1) AS s ON true
          LEFT JOIN LATERAL (
                   SELECT i.attributes, i.status, i.name FROM promote.instance AS i
                    WHERE i.project = $1 AND i.environment = $3 AND i.component = c.component
                    LIMIT 1) AS i ON true
         CROSS JOIN LATERAL (
                   SELECT promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, i.attributes)) AS a (attributes)
         WHERE c.project = $1
           AND ($4 IS NULL AND ($5 IS NULL OR a.attributes @> $5) AND (s.attributes IS NOT NULL OR i.attributes IS NOT NULL)
                OR c.component = ANY ($4));
    END;
REVOKE ALL ON FUNCTION promote_internal.request_candidates(text, text, text, text[], jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.request_candidates(text, text, text, text[], jsonb, boolean) IS
'The components that a scope comes to, those that it names (NULL: all that its selector matches), with their effective attributes, why they cannot be promoted (NULL: they can), and their promote_internal.component_rank';

CREATE FUNCTION promote_internal.request_items(items jsonb)
    RETURNS TABLE (component text, wave integer, skip_reason jsonb)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT n.component, n.wave, n.skip_reason
          FROM pg_catalog.jsonb_to_recordset($1) AS n (component text, wave integer, skip_reason jsonb);
    END;
REVOKE ALL ON FUNCTION promote_internal.request_items(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.request_items(jsonb) IS 'The items that a request is opened with, as rows';

CREATE FUNCTION promote_internal.request_holders(project text, destination_environment text, items jsonb)
    RETURNS TABLE (component promote.component_name, words text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT t.component,
               'request ' || r.request || ' (' || r.source_environment || ' to ' || r.destination_environment || ', ' || r.status
               || ', opened by ' || r.actor || ') holds "' || t.project || '-' || t.destination_environment || '-' || t.component || '"'
          FROM promote_internal.request_items($3) AS n
         CROSS JOIN LATERAL (
                   SELECT t.project, t.request, t.destination_environment, t.component
                     FROM promote.promotion_request_item AS t
                    WHERE t.project = $1 AND t.destination_environment = $2 AND t.component = n.component AND t.holds
                    LIMIT 1) AS t
          JOIN promote.promotion_request AS r ON r.project = t.project AND r.request = t.request
         WHERE n.skip_reason IS NULL;
    END;
REVOKE ALL ON FUNCTION promote_internal.request_holders(text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.request_holders(text, text, jsonb) IS
'The instances of items that are to be promoted and that other requests hold, in words';

-- ---- verbs ----

CREATE FUNCTION promote.open_request(
    project text, source_environment text, destination_environment text,
    scope jsonb DEFAULT '{}', strategy text DEFAULT 'one_by_one', waves jsonb DEFAULT NULL,
    overrides jsonb DEFAULT '{}', execution_window tstzrange DEFAULT NULL,
    rollback_mode text DEFAULT 'none', soak interval DEFAULT '0', checks text[] DEFAULT '{}',
    verification_owner text DEFAULT NULL, fallback_owner text DEFAULT NULL,
    ticket text DEFAULT NULL, message text DEFAULT NULL,
    include_other_changes boolean DEFAULT false,
    copy_secrets boolean DEFAULT false, copy_remote_references boolean DEFAULT false,
    idempotency_key text DEFAULT NULL, pin boolean DEFAULT false, reprovision boolean DEFAULT false,
    choices jsonb DEFAULT '{}', "only" text[] DEFAULT NULL, source_state text DEFAULT 'desired',
    preset text DEFAULT NULL, fill_defaults boolean DEFAULT false,
    mode text DEFAULT NULL, on_conflict text DEFAULT NULL)
    RETURNS promote.promotion_request
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_open_request';
REVOKE ALL ON FUNCTION promote.open_request(text, text, text, jsonb, text, jsonb, jsonb, tstzrange, text, interval, text[], text, text, text, text, boolean, boolean, boolean, text, boolean, boolean, jsonb, text[], text, text, boolean, text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.open_request(text, text, text, jsonb, text, jsonb, jsonb, tstzrange, text, interval, text[], text, text, text, text, boolean, boolean, boolean, text, boolean, boolean, jsonb, text[], text, text, boolean, text, text) IS
'Asks for the promotion of a scope from one environment to another: freezes it into items, in the waves of the strategy, and holds their instances. Changes nothing of these. "only", source_state, preset, fill_defaults, mode and on_conflict say of all items what promote_instance has them for, and choices by component, an object of these names, source_revision and expected_source_revision for each, which goes first. Called again with the same idempotency key it returns the same request, its row as it is now and not as it was opened';

CREATE FUNCTION promote.preview_request(project text, request integer)
    RETURNS TABLE (wave integer, component text, instance text, status text, skip_reason jsonb,
                   other_changes text, source_revision integer, base_revision integer, version text,
                   diff jsonb, blockers jsonb, preview integer, digest bytea, choice jsonb)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_preview_request';
REVOKE ALL ON FUNCTION promote.preview_request(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_request(text, integer) IS
'What each item of a request would change, in order, why it would be skipped, what stands in its way, and which changes ride along, with what is chosen of its source; sensitive values are masked. The preview is kept, and execution is bound to its digest';

CREATE FUNCTION promote.advance_request(
    project text, request integer,
    OUT status text, OUT wave integer, OUT moved integer, OUT waits_for jsonb)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_advance_request';
REVOKE ALL ON FUNCTION promote.advance_request(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.advance_request(text, integer) IS
'Moves a request as far as it can move: stages, deploys, verifies, goes on to the next wave, or rolls back; returns how many steps of items that were, and what the request waits for. Call it from anywhere, as often as you like';

CREATE FUNCTION promote.pause_request(project text, request integer, reason text DEFAULT NULL)
    RETURNS promote.promotion_request
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_pause_request';
REVOKE ALL ON FUNCTION promote.pause_request(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.pause_request(text, integer, text) IS
'Keeps a request from moving until it is resumed; what is queued already goes on';

CREATE FUNCTION promote.resume_request(project text, request integer, reason text DEFAULT NULL)
    RETURNS promote.promotion_request
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_resume_request';
REVOKE ALL ON FUNCTION promote.resume_request(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.resume_request(text, integer, text) IS
'Lets a request that is paused, blocked or failed go on where it stood: what failed is planned again, or verified again';

CREATE FUNCTION promote.cancel_request(project text, request integer, reason text)
    RETURNS promote.promotion_request
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_cancel_request';
REVOKE ALL ON FUNCTION promote.cancel_request(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.cancel_request(text, integer, text) IS
'Ends a request and lets its instances go. Deployments of the request that no worker has begun are aborted; what is deployed stays, and what is staged stays desired';

CREATE FUNCTION promote.approve_request(project text, request integer, message text DEFAULT NULL)
    RETURNS TABLE (wave integer, component text, instance text, deployment integer, voted boolean, code text, reason text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_approve_request';
REVOKE ALL ON FUNCTION promote.approve_request(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.approve_request(text, integer, text) IS
'Approves every plan of a request that the caller may vote for. A row per item, by component: whether the caller''s approval of its plan stands now, and if it was not given by this call, or not under every rule, a code and sentences that say why';

-- A plan that was carried out, or that is queued to be, waits for nobody, nor does one of a request that is over or of
-- an instance that something else has changed since.
CREATE VIEW promote.approval_inbox WITH (security_invoker = true) AS
    SELECT i.project,
           i.environment,
           i.component,
           i.name AS instance,
           d.deployment,
           d.action,
           d.revision,
           d.version,
           d.destructive,
           (SELECT q.request
              FROM promote.promotion_request_item AS t
              JOIN promote.promotion_request AS q ON q.project = t.project AND q.request = t.request
             WHERE t.project = i.project AND t.destination_environment = i.environment AND t.component = i.component
               AND t.holds AND d.revision IN (t.revision, t.rollback_revision)) AS request,
           v.rule,
           v.role,
           v.quorum,
           v.given,
           v.missing,
           d.actor,
           COALESCE(d.message, (SELECT r.message
                                  FROM promote.revision AS r
                                 WHERE r.project = i.project AND r.environment = i.environment AND r.component = i.component
                                   AND r.revision = d.revision)) AS message,
           d.since
      FROM promote.instance AS i
     CROSS JOIN LATERAL (
          (SELECT p.deployment, p.action, p.revision, p.version, p.destructive, p.actor, p.message, p.finished_at AS since
             FROM (SELECT p.*
                     FROM promote.deployment AS p
                    WHERE p.project = i.project AND p.environment = i.environment AND p.component = i.component
                      AND p.action = 'PLAN' AND p.status = 'COMPLETED' AND p.revision = i.revision
                    ORDER BY p.deployment DESC LIMIT 1) AS p
            WHERE (p.seen_change <> i.changed_by) IS NOT TRUE
              AND NOT EXISTS (SELECT FROM promote.deployment AS u
                               WHERE u.project = i.project AND u.environment = i.environment AND u.component = i.component
                                 AND (u.deployment = i.deployed_by AND i.status = 'PROVISIONED' AND u.revision = p.revision
                                      AND u.version = p.version AND u.rendered_digest = p.rendered_digest
                                      AND u.remote_references IS NOT DISTINCT FROM p.remote_references
                                      OR u.action = 'PROVISION' AND u.plan = p.deployment
                                      AND u.status IN ('PENDING', 'APPROVED', 'RUNNING', 'COMPLETED')))
              AND NOT EXISTS (SELECT FROM promote.promotion_request_item AS t
                                JOIN promote.promotion_request AS q ON q.project = t.project AND q.request = t.request
                               WHERE t.project = i.project AND t.destination_environment = i.environment AND t.component = i.component
                                 AND p.moved_by IS NOT NULL AND p.revision IN (t.revision, t.rollback_revision)
                                 AND q.finished_at > p.created_at))
          UNION ALL
          SELECT p.deployment, p.action, p.revision, p.version, p.destructive, p.actor, p.message, p.created_at
            FROM promote.deployment AS p
           WHERE p.project = i.project AND p.environment = i.environment AND p.component = i.component
             AND p.status = 'PROPOSED') AS d
     CROSS JOIN LATERAL promote.open_votes(i.name, d.deployment) AS v
     WHERE EXISTS (SELECT FROM promote.environment AS e
                    WHERE e.project = i.project AND e.environment = i.environment AND e.archived_at IS NULL);
COMMENT ON VIEW promote.approval_inbox IS 'What waits for the caller''s approval: plans of what is desired, and proposals, by the rules that are not met and by which the caller may vote and has not yet';
COMMENT ON COLUMN promote.approval_inbox.project IS 'Project';
COMMENT ON COLUMN promote.approval_inbox.environment IS 'Environment';
COMMENT ON COLUMN promote.approval_inbox.component IS 'Component';
COMMENT ON COLUMN promote.approval_inbox.instance IS 'Instance';
COMMENT ON COLUMN promote.approval_inbox.deployment IS 'The PLAN or proposal that promote.approve_deployment takes';
COMMENT ON COLUMN promote.approval_inbox.action IS 'PLAN: a completed plan of what would be provisioned, or a proposal to plan; otherwise what is proposed';
COMMENT ON COLUMN promote.approval_inbox.revision IS 'Revision that it is about';
COMMENT ON COLUMN promote.approval_inbox.version IS 'Release that it is about';
COMMENT ON COLUMN promote.approval_inbox.destructive IS 'Whether it changes an immutable value of a provisioned instance, or takes it away';
COMMENT ON COLUMN promote.approval_inbox.request IS 'The open request that it is of, which promote.approve_request takes; NULL: none';
COMMENT ON COLUMN promote.approval_inbox.rule IS 'Rule that asks; NULL: no rule is about the proposal, and whoever may approve decides it';
COMMENT ON COLUMN promote.approval_inbox.role IS 'Database role whose members approve; NULL with the rule';
COMMENT ON COLUMN promote.approval_inbox.quorum IS 'How many have to approve';
COMMENT ON COLUMN promote.approval_inbox.given IS 'How many approvals count now';
COMMENT ON COLUMN promote.approval_inbox.missing IS 'How many approvals are still missing';
COMMENT ON COLUMN promote.approval_inbox.actor IS 'Who has asked for it';
COMMENT ON COLUMN promote.approval_inbox.message IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.approval_inbox.since IS 'Since when it waits: when it was planned, or proposed';

-- This function has its caller's rights, which only suffice if the caller is the owner, as promote.request_evidence
-- is.
CREATE FUNCTION promote_internal.request_document(project text, request integer) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT pg_catalog.to_jsonb(r) - 'overrides_digest' - 'preview_digest' || pg_catalog.jsonb_build_object(
                   'preview_digest', pg_catalog.encode(r.preview_digest, 'hex'),
                   -- overrides may hold sensitive values: the previews have what they change, masked
                   'overrides', (SELECT COALESCE(pg_catalog.jsonb_object_agg(
                                           o.component, pg_catalog.encode(promote.config_digest(r.project, o.patch), 'hex')), '{}')
                                   FROM pg_catalog.jsonb_each(
                                        promote_internal.config_params(r.project, r.overrides_digest)) AS o (component, patch)),
                   'previews', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                                           'preview', v.preview, 'digest', pg_catalog.encode(v.digest, 'hex'), 'actor', v.actor,
                                           'database_role', v.database_role, 'created_at', v.created_at, 'items', v.items)
                                           ORDER BY v.preview), '[]')
                                  FROM promote.promotion_request_preview AS v
                                 WHERE v.project = r.project AND v.request = r.request),
                   'items', (SELECT COALESCE(pg_catalog.jsonb_agg(e.item ORDER BY t.wave, t.component), '[]')
                               FROM promote.promotion_request_item AS t
                              CROSS JOIN LATERAL (
                                SELECT pg_catalog.to_jsonb(t) - 'project' - 'request' - 'destination_environment' - 'preview_digest' - 'rendered_digest'
                                       - 'plan' - 'deployment' - 'rollback_plan' - 'rollback_deployment'
                                       || pg_catalog.jsonb_build_object(
                                           'instance', t.project || '-' || t.destination_environment || '-' || t.component,
                                           -- plans, deployments and rollbacks, with their gates as they were judged
                                           'deployments', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                                                'deployment', d.deployment, 'action', d.action, 'status', d.status, 'revision', d.revision,
                                                'version', d.version, 'plan', d.plan,
                                                'release', (SELECT pg_catalog.jsonb_build_object(
                                                     'artifact_digest', f.artifact_digest, 'source_commit', f.source_commit,
                                                     'changelog', f.changelog, 'attributes', f.attributes)
                                                   FROM promote.bundle_release AS f
                                                  WHERE f.bundle = d.bundle AND f.version = d.version),
                                                'rendered_digest', pg_catalog.encode(d.rendered_digest, 'hex'),
                                                'plan_digest', pg_catalog.encode(d.plan_digest, 'hex'), 'plan_facts', d.plan_facts,
                                                'plan_defects', d.plan_defects, 'diff', d.diff, 'destructive', d.destructive,
                                                'gates', d.gates, 'actor', d.actor, 'database_role', d.database_role,
                                                'moved_by', d.moved_by, 'moved_role', d.moved_role, 'joined_by', d.joined_by,
                                                'created_at', d.created_at, 'worker', d.worker, 'started_at', d.started_at,
                                                'finished_at', d.finished_at, 'reason', d.reason) ORDER BY d.deployment), '[]')
                                              FROM promote.deployment AS d
                                             WHERE d.project = t.project AND d.environment = t.destination_environment
                                               AND d.component = t.component
                                               AND (d.revision IN (t.revision, t.rollback_revision))),
                                           'approvals', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                                                'rule', a.rule, 'decision', a.decision, 'reason', a.reason, 'deployment', a.deployment,
                                                'plan_digest', pg_catalog.encode(a.plan_digest, 'hex'), 'actor', a.actor,
                                                'database_role', a.database_role, 'created_at', a.created_at) ORDER BY a.vote), '[]')
                                              FROM promote.approval AS a
                                             WHERE a.project = t.project AND a.environment = t.destination_environment
                                               AND a.component = t.component
                                               AND a.plan_digest IN (SELECT d.plan_digest FROM promote.deployment AS d
                                                     WHERE d.project = t.project AND d.environment = t.destination_environment
                                                       AND d.component = t.component AND d.revision IN (t.revision, t.rollback_revision))),
                                           'gate_overrides', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                                                'code', o.code, 'deployment', o.deployment, 'messages', o.messages, 'reason', o.reason,
                                                'actor', o.actor, 'database_role', o.database_role, 'created_at', o.created_at)
                                                ORDER BY o.deployment, o.code, o.override), '[]')
                                              FROM promote.gate_override AS o
                                              JOIN promote.deployment AS d
                                                ON d.project = o.project AND d.environment = o.environment AND d.component = o.component
                                                   AND d.deployment = o.deployment
                                             WHERE o.project = t.project AND o.environment = t.destination_environment
                                               AND o.component = t.component AND d.revision IN (t.revision, t.rollback_revision)),
                                           -- from the item's deployment to the end of the request
                                           'health', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                                                'check', h.check_name, 'healthy', h.healthy, 'revision', h.revision,
                                                'reported_at', h.reported_at, 'actor', h.actor, 'database_role', h.database_role)
                                                ORDER BY h.reported_at), '[]')
                                              FROM promote.health_report AS h
                                             WHERE h.project = t.project AND h.environment = t.destination_environment
                                               AND h.component = t.component AND h.reported_at >= t.staged_at
                                               AND h.reported_at <= COALESCE(r.finished_at, 'infinity')),
                                           'audit', (SELECT pg_catalog.jsonb_build_object('subject', a.subject, 'seq', a.seq,
                                                'hash', pg_catalog.encode(a.hash, 'hex'))
                                              FROM promote.audit_log AS a
                                             WHERE a.project = t.project
                                               AND a.subject = t.project || '-' || t.destination_environment || '-' || t.component
                                               AND a.at <= COALESCE(r.finished_at, 'infinity')
                                             ORDER BY a.seq DESC LIMIT 1)) AS item) AS e
                              WHERE t.project = r.project AND t.request = r.request),
                   'audit', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                                        'seq', a.seq, 'at', a.at, 'actor', a.actor, 'database_role', a.database_role,
                                        'event', a.event, 'data', a.data, 'rows', pg_catalog.encode(promote.jsonb_digest(a.rows), 'hex'),
                                        'hash', pg_catalog.encode(a.hash, 'hex')) ORDER BY a.seq), '[]')
                               FROM promote.audit_log AS a
                              WHERE a.project = r.project AND a.subject = 'request ' || r.project || '/' || r.request))
          FROM promote.promotion_request AS r
         WHERE r.project = $1 AND r.request = $2;
    END;
REVOKE ALL ON FUNCTION promote_internal.request_document(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote_internal.request_document(text, integer) IS
'What promote.request_evidence returns to those who see the request';

CREATE FUNCTION promote.request_evidence(project text, request integer) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'promote_request_evidence';
REVOKE ALL ON FUNCTION promote.request_evidence(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.request_evidence(text, integer) IS
'Everything known about a request as one document: what was asked for, previews; for each item plans and deployments with their gates as they were judged, approvals, overrides, outcomes, health and the head of its audit chain; and the request''s own chain. It holds nothing sensitive. NULL: there is no such request';

CREATE FUNCTION promote.handoff_text(project text, request integer) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT pg_catalog.concat_ws(E'\n',
                   -- line breaks in what people write become blanks, so that a line stays a line
                   'Request: ' || r.project || '/' || r.request || COALESCE(' (' || pg_catalog.translate(r.ticket, E'\n\r', '  ') || ')', ''),
                   'Source environment: ' || r.source_environment,
                   'Target environment: ' || r.destination_environment,
                   'Scope (tenants/services): ' || COALESCE((r.scope -> 'selector')::text || ': ', '')
                   || (SELECT pg_catalog.string_agg(t.component || CASE WHEN t.status = 'SKIPPED' THEN ' (skipped: ' || (t.skip_reason ->> 'message') || ')' ELSE '' END,
                                                    ', ' ORDER BY t.wave, t.component)
                         FROM promote.promotion_request_item AS t WHERE t.project = r.project AND t.request = r.request),
                   'Takes: ' || NULLIF(pg_catalog.concat_ws('; ', NULLIF(r.choice, '{}')::text,
                       (SELECT pg_catalog.string_agg(c.component || ': ' || c.own::text, '; ' ORDER BY c.component)
                          FROM pg_catalog.jsonb_each(r.choices) AS c (component, own))), ''),
                   'Strategy: ' || r.strategy || ', rollback: ' || r.rollback_mode || ', soak: ' || r.soak,
                   'Approvals required: '
                   || COALESCE((SELECT pg_catalog.string_agg(a.rule || ': ' || a.quorum || ' of ' || a.role
                                           || COALESCE(', for ' || a.component, '')
                                           || CASE WHEN a.selector <> '{}' THEN ', where ' || a.selector::text ELSE '' END,
                                           '; ' ORDER BY a.rule)
                                  FROM promote.approval_rule AS a
                                 WHERE a.scope = ANY (promote_internal.rule_scopes(r.project, r.destination_environment))
                                   AND (a.component IS NULL OR EXISTS (
                                         SELECT FROM promote.promotion_request_item AS t
                                          WHERE t.project = r.project AND t.request = r.request
                                            AND t.component = a.component AND t.wave IS NOT NULL))), 'none'),
                   'Execution window: ' || COALESCE(r.execution_window::text, 'any time'),
                   'Verification owner: ' || COALESCE(pg_catalog.translate(r.verification_owner, E'\n\r', '  '), 'none named'),
                   'Fallback owner: ' || COALESCE(pg_catalog.translate(r.fallback_owner, E'\n\r', '  '), 'none named'),
                   'State: ' || r.status || CASE WHEN r.wave > 0 THEN ', wave ' || r.wave || ' of '
                       || (SELECT pg_catalog.max(t.wave) FROM promote.promotion_request_item AS t
                            WHERE t.project = r.project AND t.request = r.request) ELSE '' END
                   || COALESCE(': ' || pg_catalog.translate(r.reason, E'\n\r', '  '), ''),
                   'Waits for: ' || (SELECT pg_catalog.string_agg(pg_catalog.replace(w.wait ->> 'message', E'\n', E'\n           '), E'\n           ' ORDER BY w.number)
                                        FROM pg_catalog.jsonb_array_elements(r.waits_for) WITH ORDINALITY AS w (wait, number)))
          FROM promote.promotion_request AS r
         WHERE r.project = $1 AND r.request = $2;
    END;
REVOKE ALL ON FUNCTION promote.handoff_text(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.handoff_text(text, integer) IS
'A request as the hand-over sheet that people keep: source, target, scope, approvals required, execution window, owners and state. NULL: there is no such request, or none that the caller may see';
