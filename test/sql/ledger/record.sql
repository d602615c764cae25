-- What people write themselves is recorded by the statement that does it: every table of the extension, and every verb.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
CREATE FUNCTION pg_temp.chain(subject text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(event || ' ' || CASE WHEN data ? 'before' THEN '-' ELSE '' END || CASE
        WHEN data ? 'after' THEN '+' ELSE '' END, ', ' ORDER BY seq) FROM promote.audit_log a WHERE a.subject = $1 $$;

-- ---- who, what, before, after ----
SET LOCAL promote.actor = 'ada';
INSERT INTO promote.environment (project, environment, attributes)
    VALUES ('ecomm', 'qa', '{"tier": "test"}');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('ecomm', 'qa', '{"password": "hush"}');
UPDATE promote.environment SET required_soak = '1 day 02:00' WHERE environment = 'qa';
UPDATE promote.parameter_set SET parameters = '{"password": "hush hush"}', sensitive = '{password}'
    WHERE environment = 'qa';
DELETE FROM promote.parameter_set WHERE environment = 'qa';
DELETE FROM promote.environment WHERE environment = 'qa';
RESET promote.actor;
SELECT is(pg_temp.chain('environment ecomm/qa'),
    'environment.inserted +, environment.updated -+, environment.deleted -', 'a row''s chain');
SELECT is(pg_temp.chain('parameter_set ecomm/qa'),
    'parameter_set.inserted +, parameter_set.updated -+, parameter_set.deleted -', '... and of its parameters');
SELECT is(pg_temp.lines($$SELECT DISTINCT project, actor, database_role = current_user FROM promote.audit_log
    WHERE subject = 'environment ecomm/qa'$$), '(ecomm,ada,t)', 'who');
SELECT is((SELECT data -> 'after' -> 'attributes' FROM promote.audit_log WHERE subject = 'environment ecomm/qa'
    AND seq = 1), '{"tier": "test"}', 'attributes are shown');
SELECT is((SELECT data -> 'after' ->> 'parameters' FROM promote.audit_log WHERE subject = 'parameter_set ecomm/qa'
    AND seq = 1), encode(promote.config_digest('ecomm', '{"password": "hush"}'), 'hex'),
    'documents are there by their digests');
SELECT is((SELECT data -> 'before' ->> 'required_soak' || ' ' || (data -> 'after' ->> 'required_soak')
    FROM promote.audit_log WHERE subject = 'environment ecomm/qa' AND seq = 2), 'PT0S P1DT2H',
    'before and after, however the session writes intervals');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE data::text ~ 'hush'), 0::bigint, 'no value is in it');
SELECT is((SELECT a.data -> 'before' FROM promote.audit_log a WHERE subject = 'environment ecomm/qa' AND seq = 3),
    (SELECT a.data -> 'after' FROM promote.audit_log a WHERE subject = 'environment ecomm/qa' AND seq = 2),
    'what is deleted is what was there');

-- ---- statements of all kinds ----
UPDATE promote.environment SET description = description;
SELECT is(pg_temp.chain('environment ecomm/staging'), 'environment.inserted +', 'the same value is no change');
UPDATE promote.component SET description = 'many' WHERE project = 'ecomm';
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event = 'component.updated'), 3::bigint,
    'a statement of many rows');
INSERT INTO promote.bundle VALUES ('redis', 'again'), ('new', 'new') ON CONFLICT DO NOTHING;
SELECT is(pg_temp.chain('bundle redis') || '; ' || pg_temp.chain('bundle new'), 'bundle.inserted +; bundle.inserted +',
    'ON CONFLICT DO NOTHING');
INSERT INTO promote.bundle VALUES ('redis', 'again') ON CONFLICT (bundle) DO UPDATE SET description
    = excluded.description;
SELECT is(pg_temp.chain('bundle redis'), 'bundle.inserted +, bundle.updated -+', '... DO UPDATE');
MERGE INTO promote.bundle b USING (VALUES ('redis'), ('merged')) AS v(bundle) ON b.bundle = v.bundle
    WHEN MATCHED THEN UPDATE SET description = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (v.bundle);
SELECT is(pg_temp.chain('bundle redis') || '; ' || pg_temp.chain('bundle merged'),
    'bundle.inserted +, bundle.updated -+, bundle.updated -+; bundle.inserted +', 'MERGE');
SELECT is((SELECT DISTINCT project FROM promote.audit_log WHERE subject LIKE 'bundle %'), '*',
    'what belongs to no project');
UPDATE promote.bundle SET bundle = 'moved' WHERE bundle = 'merged';
SELECT is(pg_temp.chain('bundle merged') || '; ' || pg_temp.chain('bundle moved'),
    'bundle.inserted +, bundle.deleted -; bundle.inserted +', 'another key: both chains tell of it');
SELECT is((SELECT data -> 'became' ->> 'subject' FROM promote.audit_log WHERE subject = 'bundle merged' AND seq = 2)
    || ' ' || (SELECT data -> 'was' ->> 'subject' FROM promote.audit_log WHERE subject = 'bundle moved'),
    'bundle moved bundle merged', '... and name each other');
INSERT INTO promote.freeze_window (name, during, project) VALUES ('a/b\c', '(2030-01-01 10:00+02,2030-01-02)', 'ecomm');
UPDATE promote.freeze_window SET project = 'other' WHERE name = 'a/b\c';
SELECT is((SELECT string_agg(project || ' ' || event, ', ' ORDER BY project) FROM promote.audit_log
    WHERE subject = 'freeze_window a\/b\\c' AND event <> 'freeze_window.inserted') || '; ' || (SELECT count(*)
    FROM promote.audit_log WHERE subject = 'freeze_window a\/b\\c'), 'ecomm freeze_window.deleted; 3',
    'another project: both chains tell of it');
SELECT is((SELECT data -> 'after' ->> 'during' FROM promote.audit_log WHERE subject = 'freeze_window a\/b\\c'
    AND project = 'other'), '("2030-01-01 08:00:00+00","2030-01-02 00:00:00+00")', 'times are UTC');
INSERT INTO promote.schema_document (uri, document) SELECT 'https://example.com/' || repeat('x', 700), '{}';
SELECT ok((SELECT count(*) = 1 FROM promote.audit_log
    WHERE subject = 'schema_document sha256:' || encode(sha256(convert_to('https:\/\/example.com\/' || repeat('x', 700),
    'UTF8')), 'hex')), 'a long key is there by its hash');
SET LOCAL session_replication_role = replica;
INSERT INTO promote.bundle VALUES ('replica');
SELECT is(pg_temp.chain('bundle replica'), 'bundle.inserted +', 'as a replica');
SET LOCAL session_replication_role = origin;
SET LOCAL row_security = off;
INSERT INTO promote.bundle VALUES ('loaded');
SELECT is(pg_temp.chain('bundle loaded'), 'bundle.inserted +', 'what is loaded and not in the log is recorded');
RESET row_security;
-- a key with a boolean, which a cast writes otherwise than the key does
INSERT INTO promote.stateful_type (pattern) VALUES ('zz_*');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all of it verifies');
SELECT is_empty(format('SELECT * FROM promote.verify_audit(%L)', s), 'by itself: ' || left(s, 60))
    FROM (SELECT DISTINCT subject AS s FROM promote.audit_log) AS a;

-- ---- verbs record for themselves ----
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}') \g /dev/null
SELECT is(pg_temp.chain('instance ecomm/production/db'), 'instance.inserted +', 'what verbs keep makes no second row');
UPDATE promote.instance SET attributes = '{"a": 1}' WHERE name = 'ecomm-production-db';
SELECT is(pg_temp.chain('instance ecomm/production/db'), 'instance.inserted +, instance.updated -+',
    'what people set does');
SELECT is((SELECT array(SELECT jsonb_object_keys(data -> 'after')) FROM promote.audit_log
    WHERE subject = 'instance ecomm/production/db' AND seq = 2),
    '{name,project,component,attributes,created_at,environment}', '... without the rest');

-- ---- rows that may be thrown away ----
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', idempotency_key => 'k') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"tier": "silver"}',
    idempotency_key => 'a b/c') \g /dev/null
DELETE FROM promote.idempotency_key WHERE idempotency_key = 'k';
SELECT is((SELECT data -> 'rows' FROM promote.audit_log WHERE subject = 'ecomm-production-db'
    AND event = 'idempotency_key.deleted'), '1', 'their number is recorded');
SELECT is((SELECT string_agg(DISTINCT r.name || ' ' || length(r.digest), ', ') FROM promote.audit_log AS a
    CROSS JOIN LATERAL jsonb_each_text(a.rows) AS r (name, digest) WHERE r.name ~ '^(idempotency|instance|salt)'
    AND r.digest IS NOT NULL), 'idempotency_key/a b\/c 43, idempotency_key/k 43, instance 43, salt 22',
    'rows are named without the key of the subject');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all of it verifies');

-- ---- what is found ----
CREATE FUNCTION pg_temp.tamper(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE promote.environment DISABLE TRIGGER ALL;
    ALTER TABLE promote.audit_log DISABLE TRIGGER ALL;
    EXECUTE statement;
    SELECT string_agg(subject || ': ' || problem, E'\n') INTO found FROM promote.verify_audit()
        WHERE subject !~ '^trigger ';
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing found');
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
SELECT is(pg_temp.tamper(statement), 'environment ecomm/prod-uswest: ' || problem, problem) FROM (VALUES
    ('UPDATE promote.environment SET require_plan = false WHERE environment = ''prod-uswest''',
        'the row is not what it records'),
    ('DELETE FROM promote.instance WHERE environment = ''prod-uswest''; DELETE FROM promote.audit_log WHERE subject '
        '= ''instance ecomm/prod-uswest/db''; DELETE FROM promote.environment WHERE environment = ''prod-uswest''',
        'the row that it records is not there'),
    ('DELETE FROM promote.audit_log WHERE subject = ''environment ecomm/prod-uswest''',
        'there is such a row, and nothing records it')) AS v(statement, problem);

-- ---- one subject is one look into the index ----
CREATE FUNCTION pg_temp.reading(subject text, OUT scans bigint, OUT rows bigint) LANGUAGE plpgsql AS $$
DECLARE
    before record;
BEGIN
    SELECT seq_scan, seq_tup_read + idx_tup_fetch AS tuples INTO before FROM pg_stat_xact_user_tables
        WHERE relid = 'promote.audit_log'::regclass;
    PERFORM promote_internal.verify_chains(NULL, subject, NULL);
    SELECT seq_scan - before.seq_scan, seq_tup_read + idx_tup_fetch - before.tuples INTO scans, rows
        FROM pg_stat_xact_user_tables WHERE relid = 'promote.audit_log'::regclass;
END
$$;
CREATE TEMP TABLE reading ON COMMIT DROP AS SELECT * FROM pg_temp.reading('ecomm-production-db');
SELECT is(scans, 0::bigint, 'the log is not scanned') FROM reading;
SELECT cmp_ok(rows, '<', (SELECT count(*) FROM promote.audit_log WHERE subject = 'ecomm-production-db') + 20,
    'what is read is that chain') FROM reading;

-- ---- no table of the extension without a record or a guard ----
CREATE TEMP VIEW own AS
    SELECT c.oid, c.relname::text AS name FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass
        AND d.objid = c.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'promote'
          WHERE c.relkind IN ('r', 'p');
-- What bit of pg_trigger.tgtype stands for what: 4 INSERT, 8 DELETE, 16 UPDATE, 32 TRUNCATE; 2 BEFORE; 1 for each row.
CREATE FUNCTION pg_temp.is_covered(own oid, event integer) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                    WHERE t.tgrelid = own AND t.tgenabled = 'A' AND t.tgtype & event > 0
                      AND (p.proname IN ('record_change', 'record_deletion', 'guard_record', 'refuse_rewrite',
                          'guard_line_stop', 'guard_request', 'guard_secret', 'record_deployment', 'record_revision')
                           OR p.proname = 'guard_kept' AND t.tgnargs = 0)) $$;
SELECT ok(pg_temp.is_covered(own.oid, event) OR name = 'config' AND event = 4, name || ': ' || what)
  FROM own, (VALUES (4, 'INSERT'), (16, 'UPDATE'), (8, 'DELETE'), (32, 'TRUNCATE')) AS v(event, what)
 -- a configuration is nothing until a revision names it, which is recorded
 ORDER BY name, event;
SET LOCAL client_min_messages = warning;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT matches((pg_temp.refusal(format('TRUNCATE promote.%I CASCADE', name))).state, 'PM30[13]', 'TRUNCATE ' || name)
    FROM own ORDER BY name;
SELECT throws_ok(s, 'PM303', NULL, s) FROM unnest(ARRAY[
    'UPDATE promote.project SET request = 7', 'UPDATE promote.project SET pruned = 7',
        $$INSERT INTO promote.project (project, request) VALUES ('x', 7)$$,
    $$INSERT INTO promote.deployment_log (project, environment, component, deployment, entry, fencing, message)
        VALUES ('ecomm', 'staging', 'db', 1, 1, 1, 'x')$$]) AS s;

-- ---- no verb without a record ----
-- What proves that a verb records is a test of the verb's own, which names its event; here every verb has one.
CREATE TEMP TABLE verb (name text, event text) ON COMMIT DROP;
INSERT INTO verb VALUES ('promote_instance', 'revision.created'), ('promote_many', 'revision.created'),
    ('promote_to_next', 'revision.created'),
    ('configure_instance', 'revision.created'), ('apply_revision', 'revision.created'),
    ('rollback_instance', 'revision.created'), ('adopt_drift', 'drift.adopted'), ('dismiss_drift', 'drift.dismissed'),
        ('report_observed', 'drift.reported'), ('report_observed_digest', 'drift.reported'),
    ('plan_instance', 'deployment.created'), ('deploy_instance', 'deployment.created'),
        ('plan_and_deploy', 'deployment.created'),
        ('decommission_instance', 'deployment.created'),
    ('propose_deployment', 'deployment.proposed'), ('approve_deployment', 'deployment.approved'),
        ('reject_deployment', 'deployment.rejected'),
    ('abort_deployment', 'deployment.aborted'), ('claim_deployment', 'deployment.started'),
        ('complete_deployment', 'deployment.completed'),
    ('fail_deployment', 'deployment.failed'), ('release_deployment', 'deployment.released'),
        ('record_plan', 'plan.recorded'),
    ('override_gate', 'gate.overridden'), ('review_override', 'override.reviewed'),
        ('rehearse_rollback', 'rollback.rehearsed'),
    ('block_release', 'bundle_release.updated'), ('unblock_release', 'bundle_release.updated'),
        ('report_health', 'health.reported'),
    ('stop_line', 'line.stopped'), ('resume_line', 'line.resumed'), ('end_session', 'session.ended'),
        ('open_request', 'request.opened'), ('preview_request', 'request.previewed'),
    ('advance_request', 'request.advanced'), ('pause_request', 'request.paused'), ('resume_request', 'request.resumed'),
        ('cancel_request', 'request.cancelled'), ('approve_request', 'approval.given'),
    ('grant_action', 'grants.inserted'), ('revoke_action', 'grants.deleted'), ('prune_audit', 'audit.pruned'),
        ('restore_guards', 'guards.restored'),
    -- these move nothing but a lease, a log that is no evidence, and privileges that the grants stand for
    ('heartbeat_deployment', NULL), ('append_deployment_log', NULL), ('refresh_grants', NULL),
    ('wait_for_deployment', NULL), ('next_events', NULL), ('acknowledge_events', NULL), ('next_position', NULL),
    ('import_history', 'history.imported'), ('register_consumer', 'consumer.inserted'),
    ('remove_consumer', 'consumer.deleted');
INSERT INTO verb VALUES ('promote_environment', 'revision.created'), ('rollback_environment', 'revision.created'),
    ('deploy_environment', 'deployment.created'), ('plan_environment', 'deployment.created'),
    ('tag_environment', 'environment_tag.inserted');
INSERT INTO verb VALUES ('fork_environment', 'instance.opened'), ('archive_environment', 'instance.archived'),
    ('decommission_environment', 'deployment.created'), ('abort_environment', 'deployment.aborted'),
    -- parts of these two, whose rows are recorded by their triggers
    ('open_environment', NULL), ('open_parameters', NULL), ('open_instances', NULL), ('copy_rules', NULL),
    ('clear_environment', NULL);
-- what is declared is recorded by the triggers of its table
INSERT INTO verb SELECT p.proname, NULL FROM pg_proc AS p WHERE p.prorettype = 'promote.declaration'::regtype;
INSERT INTO verb VALUES ('plan_many', 'deployment.created'), ('deploy_many', 'deployment.created'),
    ('approve_many', 'deployment.approved'), ('reject_many', 'deployment.rejected'),
    ('complete_many', 'deployment.completed'), ('fail_many', 'deployment.failed'),
    ('release_many', 'deployment.released'), ('heartbeat_many', NULL);
INSERT INTO verb SELECT p.proname, 'secret' FROM pg_proc p WHERE p.pronamespace = 'promote'::regnamespace
    AND p.proname IN ('set_secret', 'remove_secret', 'rotate_secrets', 'deployment_secrets');
INSERT INTO verb SELECT p.proname, 'remote_reference' FROM pg_proc p WHERE p.pronamespace = 'promote'::regnamespace
    AND p.proname IN ('set_remote_reference', 'remove_remote_reference');
-- the triggers of their tables record what these write, see test/sql/declare
INSERT INTO verb SELECT p.proname, NULL FROM pg_proc p WHERE p.pronamespace = 'promote'::regnamespace
    AND p.prorettype = 'promote.declaration'::regtype;
SELECT is_empty($$SELECT p.proname FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass
    AND d.objid = p.oid AND d.deptype = 'e'
                    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                        AND e.extname = 'promote'
                   WHERE p.provolatile = 'v' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
                       AND p.proname NOT IN (SELECT name FROM verb)$$, 'every verb is in the table of what it records');

-- Called here: those that change something at once.
CREATE FUNCTION pg_temp.records(call text, event text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    told text;
BEGIN
    SELECT count(*) INTO before FROM promote.audit_log a WHERE a.event = $2;
    EXECUTE 'SELECT ' || call;
    RETURN is((SELECT count(*) > before FROM promote.audit_log a WHERE a.event = $2), true, call);
END
$$;
SELECT pg_temp.records(call, event) FROM (VALUES
    (1, $$promote.configure_instance('ecomm-production-db', '{"replicas": 5}')$$, 'revision.created'),
    (2, $$promote.configure_instance('ecomm-production-db', '{"replicas": 6}')$$, 'deployment.created'),
    (4, $$promote.rehearse_rollback('ecomm-production-db', 2, record => true)$$, 'rollback.rehearsed'),
    (5, $$promote.claim_deployment('w', '{PLAN}')$$, 'deployment.started'),
    (6, $$promote.block_release('redis', '1.0.0', 'why')$$, 'bundle_release.updated'),
    (7, $$promote.unblock_release('redis', '1.0.0')$$, 'bundle_release.updated'),
    (8, $$promote.report_health('ecomm-production-db', 'smoke', true)$$, 'health.reported'),
    (9, $$promote.stop_line('why', 'ecomm')$$, 'line.stopped'),
    (10, $$promote.resume_line('ecomm')$$, 'line.resumed'),
    (11, $$promote.open_request('ecomm', 'staging', 'production')$$, 'request.opened'),
    (12, $$promote.preview_request('ecomm', 1)$$, 'request.previewed'),
    (13, $$promote.pause_request('ecomm', 1, 'why')$$, 'request.paused'),
    (14, $$promote.resume_request('ecomm', 1, 'why')$$, 'request.resumed'),
    (15, $$promote.cancel_request('ecomm', 1, 'why')$$, 'request.cancelled'),
    (16, $$promote.grant_action('pg_monitor', 'view')$$, 'grants.inserted'),
    (17, $$promote.revoke_action('pg_monitor', 'view')$$, 'grants.deleted'),
    (18, $$promote.prune_audit(clock_timestamp())$$, 'audit.pruned'),
    (19, $$promote.tag_environment('ecomm-production', 'now')$$, 'environment_tag.inserted'),
    (20, $$promote.promote_environment('ecomm-staging', 'ecomm-production', components => '{db}')$$,
        'revision.created'),
    (21, $$promote.register_consumer('hook')$$, 'consumer.inserted'),
    (22, $$promote.remove_consumer('hook')$$, 'consumer.deleted')) AS v(n, call, event) ORDER BY n;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and all of it verifies');

-- Facts of a row that is of no table of ours are all that it has; of ours only what is ours.
SELECT is(promote_internal.audit_facts(x, VARIADIC '{}'), '{"a": 1, "b": "x"}', 'a row of no table')
    FROM (SELECT 1 AS a, 'x'::text AS b) AS x;
SELECT is(promote_internal.audit_facts(x, 'b'), '{"a": 1}', '... but for what is named')
    FROM (SELECT 1 AS a, 'x'::text AS b) AS x;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE promote.environment ADD COLUMN own_note text DEFAULT 'mine';
SELECT is(promote_internal.audit_facts(e, 'description') ?| '{own_note,description}', false,
    'what somebody has added to a table of ours is no fact') FROM promote.environment AS e LIMIT 1;
SELECT is(promote_internal.audit_facts(e, 'description') ? 'environment', true, '... what it was made with is')
    FROM promote.environment AS e LIMIT 1;

-- ---- names with dashes ----
SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small"}', '1.0.0') \g /dev/null
SELECT is((SELECT string_agg(DISTINCT r, ' ') FROM promote.audit_log AS a CROSS JOIN LATERAL jsonb_object_keys(a.rows)
    AS r WHERE a.subject = 'ecomm-prod-uswest-db'), 'deployment/1 instance revision/1 salt', 'so is an environment');
SELECT is_empty('SELECT * FROM promote.verify_audit(''ecomm-prod-uswest-db'')', '... and is read again');

SELECT * FROM finish();
ROLLBACK;
