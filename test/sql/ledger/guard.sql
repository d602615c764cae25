-- The guards are closed again after each verb, whether it has written, had nothing to do, or was refused halfway.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL promote.secret_key_command = 'echo one:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=';
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
VALUES ('service', '1.1.0', '{"type": "object", "properties": {"size": {"type": "integer", "maximum": 100}}}',
    '{"token": {"required": false}}', '{"network": {"required": false}}');

-- What a statement is refused with, or 'done'; and whether what only promote writes may then be written by hand.
CREATE FUNCTION pg_temp.guards_after(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    outcome text;
BEGIN
    BEGIN
        EXECUTE statement;
        outcome := 'done';
    EXCEPTION WHEN OTHERS THEN
        outcome := SQLSTATE;
    END;
    BEGIN
        UPDATE promote.instance SET revision = revision + 1 WHERE name = 'shop-production-s1';
        RETURN outcome || ', and the guards are open';
    EXCEPTION WHEN SQLSTATE 'PM303' THEN
        RETURN outcome;
    END;
END
$$;
-- One that fails where the log is written, behind all that a verb writes.
CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE 'ZZ001'
    USING MESSAGE = 'the log is full'; END $$;

CREATE TEMP TABLE verb (number integer GENERATED ALWAYS AS IDENTITY, call text,
    writes boolean DEFAULT true) ON COMMIT DROP;
INSERT INTO verb (call, writes) VALUES
    ($$configure_instance('shop-staging-s1', '{"size": 21}', '1.1.0')$$, true),
        ($$configure_instance('shop-staging-s1', '{"size": 21}')$$, false),
        ($$configure_instance('shop-staging-s1', '{"size": 1000}')$$, false),
    ($$preview_promotion('shop-staging-s1', 'shop-production-s1')$$, false),
        ($$set_secret('shop-staging-s1', 'token', 'hush')$$, true),
        ($$set_remote_reference('shop-staging-s1', 'network', 'n')$$, true),
    ($$promote_instance('shop-staging-s1', 'shop-production-s1', copy_secrets => true,
        copy_remote_references => true, idempotency_key => 'k')$$, true),
    ($$promote_instance('shop-staging-s1', 'shop-production-s1', copy_secrets => true,
        copy_remote_references => true, idempotency_key => 'k')$$, false),
    ($$plan_instance('shop-production-s1')$$, false), ($$rotate_secrets()$$, false),
        ($$remove_secret('shop-staging-s1', 'token')$$, true),
        ($$remove_remote_reference('shop-staging-s1', 'network')$$, true),
    ($$report_health('shop-production-s1', 'smoke', true)$$, true), ($$claim_deployment('w')$$, true),
    ($$heartbeat_deployment(i.name, d.deployment, d.fencing)
        FROM promote.deployment AS d
        JOIN promote.instance AS i USING (project, environment, component)
        WHERE d.status = 'RUNNING'$$, false),
    ($$append_deployment_log(i.name, d.deployment, 'x', d.fencing)
        FROM promote.deployment AS d
        JOIN promote.instance AS i USING (project, environment, component)
        WHERE d.status = 'RUNNING'$$, false),
    ($$record_plan(i.name, d.deployment, '{"format_version": "1.2", "resource_changes": []}', d.fencing)
        FROM promote.deployment AS d
        JOIN promote.instance AS i USING (project, environment, component)
        WHERE d.status = 'RUNNING'$$, true),
    ($$complete_deployment(i.name, d.deployment, d.fencing)
        FROM promote.deployment AS d
        JOIN promote.instance AS i USING (project, environment, component)
        WHERE d.status = 'RUNNING'$$, true),
    ($$propose_deployment('shop-production-s2')$$, false), ($$deploy_instance('shop-production-s2')$$, false),
        ($$configure_instance('shop-production-s2', '{"size": 4}')$$, true),
    ($$deploy_instance('shop-production-s2')$$, false), ($$propose_deployment('shop-production-s3', 'DECOMMISSION')$$,
        true), ($$approve_deployment('shop-production-s3', 3)$$, true), ($$abort_deployment('shop-production-s3', 3)$$,
        true),
    ($$propose_deployment('shop-production-s3', 'DECOMMISSION')$$, true),
        ($$reject_deployment('shop-production-s3', 4, 'no')$$, true), ($$decommission_instance('shop-production-s6')$$,
        true),
    ($$report_observed('shop-production-s4', '{"size": 5, "own": 4}'::jsonb, 'scan')$$, true),
        ($$report_observed('shop-production-s4', '[]'::jsonb, 'scan')$$, false),
        ($$dismiss_drift('shop-production-s4', 'known', '.size')$$, true),
    ($$report_observed('shop-production-s4', '{"size": 6, "own": 4}'::jsonb, 'scan')$$, true),
        ($$adopt_drift('shop-production-s4', 'as it is')$$, true), ($$adopt_drift('shop-production-s4')$$, false),
    ($$rehearse_rollback('shop-production-s4', record => true)$$, true),
        ($$rollback_instance('shop-production-s4', 1)$$, true), ($$rollback_instance('shop-production-s4', 99)$$,
        false),
    ($$block_release('service', '1.1.0', 'broken')$$, true), ($$unblock_release('service', '1.1.0', 'mended')$$, true),
        ($$grant_action('pg_monitor', 'view', 'shop')$$, true), ($$refresh_grants('pg_monitor')$$, true),
    ($$revoke_action('pg_monitor', 'view', 'shop')$$, true), ($$stop_line('fire', 'shop')$$, true),
        ($$resume_line('shop', 'out')$$, true),
    ($$open_request('shop', 'staging', 'production', '{"components": ["s5"]}')$$, true),
        ($$preview_request('shop', 1)$$, true), ($$advance_request('shop', 1)$$, true),
        ($$pause_request('shop', 1, 'wait')$$, true),
    ($$resume_request('shop', 1, 'go')$$, true), ($$cancel_request('shop', 1, 'enough')$$, true),
        ($$prune_audit(clock_timestamp(), 'shop')$$, true), ($$plan_and_deploy('shop-production-s5')$$, true),
        ($$verify_audit()$$, false), ($$matrix()$$, false);

SET CONSTRAINTS ALL IMMEDIATE;
SELECT is(pg_temp.guards_after('SELECT 1'), 'done', 'at first they are closed');
CREATE FUNCTION pg_temp.tried() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    v record;
BEGIN
    FOR v IN SELECT * FROM verb ORDER BY number LOOP
        IF v.writes THEN
            CREATE TRIGGER zzz BEFORE INSERT ON promote.audit_log FOR EACH ROW EXECUTE FUNCTION pg_temp.fail();
            RETURN NEXT is(pg_temp.guards_after('SELECT promote.' || v.call), 'ZZ001', 'refused halfway: ' || v.call);
            DROP TRIGGER zzz ON promote.audit_log;
        END IF;
        RETURN NEXT matches(pg_temp.guards_after('SELECT promote.' || v.call), CASE WHEN v.writes THEN '^done$'
            ELSE '^(done|PM...)$' END, v.call);
    END LOOP;
END
$$;
SELECT pg_temp.tried();

SELECT * FROM finish();
ROLLBACK;
