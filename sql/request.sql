-- Requests: a scope of components, promoted from one environment to another
-- in waves.  promote.advance_request moves them.

CREATE FUNCTION promote.guard_request() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'promote_guard_request';
REVOKE ALL ON FUNCTION promote.guard_request() FROM PUBLIC;
COMMENT ON FUNCTION promote.guard_request() IS
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
    overrides               jsonb NOT NULL,
    execution_window        tstzrange,
    rollback_mode           text COLLATE "C" NOT NULL,
    soak                    interval NOT NULL,
    checks                  text[] COLLATE "C" NOT NULL,
    verification_owner      text,
    fallback_owner          text,
    ticket                  text,
    message                 text,
    include_other_changes   boolean NOT NULL,
    actor                   text NOT NULL DEFAULT promote.current_actor(),
    database_role           text NOT NULL DEFAULT promote.current_database_role(),
    created_at              timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    -- how far it has come: kept by promote
    status                  text COLLATE "C" NOT NULL DEFAULT 'OPEN',
    wave                    integer NOT NULL DEFAULT 0,
    rolling_back            boolean NOT NULL DEFAULT false,
    reason                  text,
    waits_for               text[] NOT NULL DEFAULT '{}',
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
    CONSTRAINT promotion_request_rollback_mode_check CHECK (rollback_mode IN ('none', 'wave', 'all')),
    CONSTRAINT promotion_request_status_check
        CHECK (status IN ('OPEN', 'RUNNING', 'BLOCKED', 'PAUSED', 'FAILED', 'ROLLING_BACK', 'ROLLED_BACK',
                          'COMPLETED', 'CANCELLED')),
    CONSTRAINT promotion_request_preview_check CHECK ((preview = 0) = (preview_digest IS NULL)),
    CONSTRAINT promotion_request_finished_check
        CHECK ((status IN ('ROLLED_BACK', 'COMPLETED', 'CANCELLED')) = (finished_at IS NOT NULL))
);
CREATE INDEX promotion_request_open_idx ON promote.promotion_request (project, request)
    WHERE finished_at IS NULL;
COMMENT ON INDEX promote.promotion_request_open_idx IS 'Finds the requests that are not over';
SELECT pg_catalog.pg_extension_config_dump('promote.promotion_request', '');
COMMENT ON TABLE promote.promotion_request IS 'Promotions of a scope from one environment to another, numbered from 1 per project';
COMMENT ON COLUMN promote.promotion_request.project IS 'Project that it is of';
COMMENT ON COLUMN promote.promotion_request.request IS 'Number, from 1 per project';
COMMENT ON COLUMN promote.promotion_request.source_environment IS 'Environment that is promoted from';
COMMENT ON COLUMN promote.promotion_request.destination_environment IS 'Environment that is promoted to';
COMMENT ON COLUMN promote.promotion_request.scope IS 'What it is limited to: an object with the keys components, an array of names, and selector, what effective attributes must contain; both may be missing';
COMMENT ON COLUMN promote.promotion_request.strategy IS 'one_by_one, waves, canary or all_at_once';
COMMENT ON COLUMN promote.promotion_request.waves IS 'Sizes or selectors of the waves, in order; the rest is one more. NULL: the strategy has none';
COMMENT ON COLUMN promote.promotion_request.overrides IS 'Merge patches by component, on top of what is promoted';
COMMENT ON COLUMN promote.promotion_request.execution_window IS 'When anything may be staged or deployed; NULL: at any time';
COMMENT ON COLUMN promote.promotion_request.rollback_mode IS 'What is rolled back when something fails: none, wave or all';
COMMENT ON COLUMN promote.promotion_request.soak IS 'How long what is deployed has to stay healthy before its wave is done';
COMMENT ON COLUMN promote.promotion_request.checks IS 'Health checks that have to be green after a deployment, beside those that the environment requires';
COMMENT ON COLUMN promote.promotion_request.verification_owner IS 'Who verifies the outcome';
COMMENT ON COLUMN promote.promotion_request.fallback_owner IS 'Who is called where that one cannot be reached';
COMMENT ON COLUMN promote.promotion_request.ticket IS 'Where it was asked for';
COMMENT ON COLUMN promote.promotion_request.message IS 'Why, in the actor''s words';
COMMENT ON COLUMN promote.promotion_request.include_other_changes IS 'May what was staged at a destination before, and not deployed, be deployed with it?';
COMMENT ON COLUMN promote.promotion_request.actor IS 'Who opened it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.promotion_request.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.promotion_request.created_at IS 'When it was opened';
COMMENT ON COLUMN promote.promotion_request.status IS 'OPEN, RUNNING, BLOCKED, PAUSED, FAILED, ROLLING_BACK, ROLLED_BACK, COMPLETED or CANCELLED';
COMMENT ON COLUMN promote.promotion_request.wave IS 'Wave that it is at; 0: it has not begun';
COMMENT ON COLUMN promote.promotion_request.rolling_back IS 'Has a failure started its rollback?';
COMMENT ON COLUMN promote.promotion_request.reason IS 'Why it is paused, cancelled or failed';
COMMENT ON COLUMN promote.promotion_request.waits_for IS 'What it waited for when it was advanced last, for people';
COMMENT ON COLUMN promote.promotion_request.preview IS 'Number of its last preview; 0: none was taken';
COMMENT ON COLUMN promote.promotion_request.preview_digest IS 'Digest of that one';
COMMENT ON COLUMN promote.promotion_request.previewed_at IS 'When it was taken';
COMMENT ON COLUMN promote.promotion_request.previewed_by IS 'Who took it';
COMMENT ON COLUMN promote.promotion_request.started_at IS 'When it was begun';
COMMENT ON COLUMN promote.promotion_request.finished_at IS 'When it came to its end';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.promotion_request
    FOR EACH ROW EXECUTE FUNCTION promote.guard_record();
CREATE TRIGGER guard_request BEFORE UPDATE ON promote.promotion_request
    FOR EACH ROW EXECUTE FUNCTION promote.guard_request('project', 'request', 'source_environment', 'destination_environment', 'scope', 'strategy', 'waves', 'overrides', 'execution_window', 'rollback_mode', 'soak', 'checks', 'verification_owner', 'fallback_owner', 'ticket', 'message', 'include_other_changes', 'actor', 'database_role', 'created_at');
CREATE TRIGGER refuse_rewrite BEFORE DELETE ON promote.promotion_request
    FOR EACH ROW EXECUTE FUNCTION promote.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.promotion_request
    FOR EACH STATEMENT EXECUTE FUNCTION promote.refuse_rewrite();
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
    skip_reason             text,
    holds                   boolean NOT NULL DEFAULT true,
    preview_digest          bytea,
    source_revision         integer,
    base_revision           integer,
    version                 promote.semantic_version,
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
CREATE INDEX promotion_request_item_open_idx
    ON promote.promotion_request_item (project, request, wave, component)
    WHERE status NOT IN ('DONE', 'SKIPPED', 'ROLLED_BACK');
COMMENT ON INDEX promote.promotion_request_item_open_idx IS 'Finds the next wave that is not over, and what is open of it';
SELECT pg_catalog.pg_extension_config_dump('promote.promotion_request_item', '');
COMMENT ON TABLE promote.promotion_request_item IS 'What a request promotes, a row per component: frozen when it was opened';
COMMENT ON COLUMN promote.promotion_request_item.project IS 'The request''s project';
COMMENT ON COLUMN promote.promotion_request_item.request IS 'The request';
COMMENT ON COLUMN promote.promotion_request_item.component IS 'Component that is promoted';
COMMENT ON COLUMN promote.promotion_request_item.destination_environment IS 'The request''s destination';
COMMENT ON COLUMN promote.promotion_request_item.wave IS 'Wave that it belongs to; NULL: it was skipped from the start';
COMMENT ON COLUMN promote.promotion_request_item.status IS 'PENDING, STAGED, DEPLOYING, VERIFYING, DONE, SKIPPED, FAILED, ROLLING_BACK or ROLLED_BACK';
COMMENT ON COLUMN promote.promotion_request_item.skip_reason IS 'Why there is nothing to promote; of a PENDING item, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.holds IS 'Is the instance kept from other requests?';
COMMENT ON COLUMN promote.promotion_request_item.preview_digest IS 'Digest of what the last preview says of it; NULL: none was taken';
COMMENT ON COLUMN promote.promotion_request_item.source_revision IS 'Revision that is promoted, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.base_revision IS 'Desired revision of the destination before, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.version IS 'Release that would run, by the last preview';
COMMENT ON COLUMN promote.promotion_request_item.previous_revision IS 'Revision that ran when it was staged; NULL: none did';
COMMENT ON COLUMN promote.promotion_request_item.revision IS 'Revision that was staged at the destination';
COMMENT ON COLUMN promote.promotion_request_item.plan IS 'Its PLAN deployment';
COMMENT ON COLUMN promote.promotion_request_item.deployment IS 'Its PROVISION deployment';
COMMENT ON COLUMN promote.promotion_request_item.verified_from IS 'Since when it has to be healthy';
COMMENT ON COLUMN promote.promotion_request_item.rollback_revision IS 'Revision that was staged to roll it back';
COMMENT ON COLUMN promote.promotion_request_item.rollback_plan IS 'PLAN deployment of that one';
COMMENT ON COLUMN promote.promotion_request_item.rollback_deployment IS 'PROVISION deployment of that one';
COMMENT ON COLUMN promote.promotion_request_item.reason IS 'Why it failed, or what it waits for that is not a worker or time';
COMMENT ON COLUMN promote.promotion_request_item.staged_at IS 'When it was staged';
COMMENT ON COLUMN promote.promotion_request_item.deploying_at IS 'When its PROVISION was queued';
COMMENT ON COLUMN promote.promotion_request_item.finished_at IS 'When it was done, skipped or rolled back';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.promotion_request_item
    FOR EACH ROW EXECUTE FUNCTION promote.guard_record();
CREATE TRIGGER guard_request BEFORE UPDATE ON promote.promotion_request_item
    FOR EACH ROW EXECUTE FUNCTION promote.guard_request('project', 'request', 'component', 'destination_environment', 'wave');
CREATE TRIGGER refuse_rewrite BEFORE DELETE ON promote.promotion_request_item
    FOR EACH ROW EXECUTE FUNCTION promote.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.promotion_request_item
    FOR EACH STATEMENT EXECUTE FUNCTION promote.refuse_rewrite();
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
COMMENT ON COLUMN promote.promotion_request_preview.items IS 'What would be staged: an object per item with component, wave and skip_reason, or revisions, version, digests and the diff, masked';
COMMENT ON COLUMN promote.promotion_request_preview.actor IS 'Who took it, by the setting promote.actor; else the database role';
COMMENT ON COLUMN promote.promotion_request_preview.database_role IS 'Role that the session acted as';
COMMENT ON COLUMN promote.promotion_request_preview.created_at IS 'When';

CREATE TRIGGER guard_record BEFORE INSERT ON promote.promotion_request_preview
    FOR EACH ROW EXECUTE FUNCTION promote.guard_record();
CREATE TRIGGER refuse_rewrite BEFORE UPDATE OR DELETE ON promote.promotion_request_preview
    FOR EACH ROW EXECUTE FUNCTION promote.refuse_rewrite();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON promote.promotion_request_preview
    FOR EACH STATEMENT EXECUTE FUNCTION promote.refuse_rewrite();
ALTER TABLE promote.promotion_request_preview ENABLE ALWAYS TRIGGER guard_record;
ALTER TABLE promote.promotion_request_preview ENABLE ALWAYS TRIGGER refuse_rewrite;
ALTER TABLE promote.promotion_request_preview ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION promote.open_request(
    project text, source_environment text, destination_environment text,
    scope jsonb DEFAULT '{}', strategy text DEFAULT 'one_by_one', waves jsonb DEFAULT NULL,
    overrides jsonb DEFAULT '{}', execution_window tstzrange DEFAULT NULL,
    rollback_mode text DEFAULT 'none', soak interval DEFAULT '0', checks text[] DEFAULT '{}',
    verification_owner text DEFAULT NULL, fallback_owner text DEFAULT NULL,
    ticket text DEFAULT NULL, message text DEFAULT NULL,
    include_other_changes boolean DEFAULT false)
    RETURNS promote.promotion_request
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_open_request';
REVOKE ALL ON FUNCTION promote.open_request(text, text, text, jsonb, text, jsonb, jsonb, tstzrange, text, interval, text[], text, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION promote.open_request(text, text, text, jsonb, text, jsonb, jsonb, tstzrange, text, interval, text[], text, text, text, text, boolean) IS
'Asks for the promotion of a scope from one environment to another: freezes it into items, in the waves of the strategy, and holds their instances. Changes nothing of these';

CREATE FUNCTION promote.preview_request(project text, request integer)
    RETURNS TABLE (wave integer, component text, instance text, status text, skip_reason text,
                   other_changes text, source_revision integer, base_revision integer, version text,
                   diff jsonb, blockers jsonb, preview integer, digest bytea)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'promote_preview_request';
REVOKE ALL ON FUNCTION promote.preview_request(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.preview_request(text, integer) IS
'What each item of a request would change, in order, with why it would be skipped, what stands in its way, and changes that ride along; sensitive values are masked. Keeps the preview, whose digest execution is bound to';

CREATE FUNCTION promote.advance_request(
    project text, request integer,
    OUT status text, OUT wave integer, OUT moved integer, OUT waits_for text[])
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'promote_advance_request';
REVOKE ALL ON FUNCTION promote.advance_request(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION promote.advance_request(text, integer) IS
'Moves what may move of a request: stages, deploys, verifies, goes on to the next wave, or rolls back; returns how many steps that were, and what it waits for. To be called from anywhere, as often as you like';

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
'Ends a request and lets its instances go. Its deployments that no worker has begun are aborted; what is deployed stays, and what is staged stays desired';
