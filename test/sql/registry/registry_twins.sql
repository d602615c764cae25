-- What stands beside an instance changes no answer about it: other projects, environments and components that have as
-- many revisions, deployments, reports and requests as its own have, of the same names and numbers, and other contents.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL promote.secret_key_command = 'echo one:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=';
INSERT INTO promote.bundle VALUES ('twin');
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
VALUES ('twin', '1.0.0', '{"properties": {"password": {"$md.sensitive": true}}}', '{"token": {"required": false}}',
    '{"network": {"required": false}}');

-- The same story for each, told with other contents.
CREATE FUNCTION pg_temp.story(project text, source text, destination text, component text, n integer,
    well boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    a text := concat_ws('-', project, source, component);
    b text := concat_ws('-', project, destination, component);
    claim record;
    number integer;
BEGIN
    INSERT INTO promote.project (project) VALUES (story.project) ON CONFLICT DO NOTHING;
    INSERT INTO promote.environment (project, environment, require_plan, require_no_drift)
    SELECT story.project, e, false, false
      FROM unnest(ARRAY[source, destination]) AS e ON CONFLICT DO NOTHING;
    INSERT INTO promote.parameter_set (project, environment, parameters)
    SELECT story.project, e, jsonb_build_object('n', n)
      FROM unnest(ARRAY[source, destination]) AS e ON CONFLICT DO NOTHING;
    INSERT INTO promote.component (project, component, bundle)
        VALUES (story.project, story.component, 'twin') ON CONFLICT DO NOTHING;
    INSERT INTO promote.instance (project, environment, component) SELECT story.project, e, story.component
        FROM unnest(ARRAY[source, destination]) AS e;
    PERFORM promote.configure_instance(i, jsonb_build_object('size', n, 'at', i, 'password', 'hush' || n), '1.0.0')
        FROM unnest(ARRAY[a, b]) AS i;
    PERFORM promote.set_secret(i, 'token', 'token ' || n), promote.set_remote_reference(i, 'network', 'net-' || n)
        FROM unnest(ARRAY[a, b]) AS i;
    PERFORM pg_temp.deploy(i, true) FROM unnest(ARRAY[a, b]) AS i;
    PERFORM promote.configure_instance(a, jsonb_build_object('size', n + 1, 'more', '{{n}}'));
    PERFORM pg_temp.deploy(a, true);
    PERFORM promote.promote_instance(a, b, jsonb_build_object('own', n), message => 'message ' || n);
    UPDATE promote.instance AS i SET attributes = '{"turn": 1}' WHERE i.name = b;
    SELECT * INTO STRICT claim FROM promote.claim_deployment('worker ' || n, selector => '{"turn": 1}');
    PERFORM promote.append_deployment_log(b, claim.deployment, 'log ' || n, claim.fencing);
    PERFORM promote.record_plan(b, claim.deployment, jsonb_build_object('format_version', '1.2', 'resource_changes',
        jsonb_build_array(jsonb_build_object('address', 'r.of_' || n, 'mode', 'managed', 'type', 't' || n,
                'change', jsonb_build_object('actions', '["update"]'::jsonb, 'before', jsonb_build_object('v', n),
                    'after', jsonb_build_object('v', n + 1))))), claim.fencing);
    PERFORM promote.complete_deployment(b, claim.deployment, claim.fencing);
    UPDATE promote.instance AS i SET attributes = '{}' WHERE i.name = b;
    PERFORM promote.report_health(i, 'smoke', well, 'by ' || n) FROM unnest(ARRAY[a, b]) AS i;
    PERFORM promote.report_observed(b, jsonb_build_object('size', n, 'at', b, 'seen', n), 'scan ' || n);
    IF well THEN
        PERFORM promote.dismiss_drift(b, 'known ' || n, '.seen');
    END IF;
END
$$;
-- All that is asked of an instance, and of another that it is promoted from.
CREATE FUNCTION pg_temp.answers(a text, b text) RETURNS TABLE (question text, answer jsonb) LANGUAGE plpgsql AS $$
DECLARE
    asked text;
BEGIN
    FOREACH asked IN ARRAY ARRAY['promote.blockers($2)', 'promote.config_as_of($2)',
        'promote.config_as_of($2, state => ''running'')', 'promote.config_as_of($1)', 'promote.plan_text($2)',
        'promote.plan_text($1)',
        'promote.preview_promotion($1, $2)', 'promote.preview_promotion($2, $1)', 'promote.rehearse_rollback($2, 1)',
            'promote.compare_instances($1, $2)', 'promote.compare_deployments($2 || ''/2'', $2 || ''/3'')',
        'promote.next_environments(''shop-staging'')', 'promote.upstream_environments(''shop-production'')',
            'promote.next_possible($2)', 'promote.required_approvals($2, 3)',
        '(SELECT * FROM promote.instance_status WHERE instance IN ($1, $2))',
            '(SELECT * FROM promote.instance_health WHERE instance IN ($1, $2))',
            '(SELECT * FROM promote.drift_status WHERE instance IN ($1, $2))',
        '(SELECT * FROM promote.secret_status WHERE instance IN ($1, $2))',
            '(SELECT * FROM promote.reference_status WHERE instance IN ($1, $2))',
            '(SELECT * FROM promote.config_changes WHERE instance IN ($1, $2))',
        '(SELECT * FROM promote.resource_changes WHERE instance IN ($1, $2))',
            '(SELECT * FROM promote.promotion_history WHERE destination = $2)',
            '(SELECT * FROM promote.promotion_matrix WHERE instance IN ($1, $2))',
        '(SELECT * FROM promote.audit_log WHERE subject IN ($1, $2))', 'promote.verify_audit()'] LOOP
        question := asked;
        EXECUTE format('SELECT jsonb_agg(to_jsonb(x) ORDER BY to_jsonb(x)::text) FROM %s AS x', asked) INTO answer
            USING a, b;
        RETURN NEXT;
    END LOOP;
END
$$;

SELECT pg_temp.story('shop', 'staging', 'production', 'app', 1, true) \g /dev/null
INSERT INTO promote.required_check (project, environment, check_name, "of", component)
    VALUES ('shop', 'production', 'smoke', 'destination', 'app'), ('shop', 'production', 'smoke', 'source', 'app');
UPDATE promote.environment SET require_no_drift = true, require_expected = true, require_source_in_sync = true
    WHERE project = 'shop' AND environment = 'production';
CREATE TEMP TABLE alone ON COMMIT DROP AS SELECT * FROM pg_temp.answers('shop-staging-app', 'shop-production-app');
SELECT ok(count(answer) >= 20, 'there is much to be told') FROM alone;

-- Each twin is beside it in one respect; those of names before and behind its own come first or last in any order.
CREATE FUNCTION pg_temp.same(what text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is(now.answer, alone.answer, format('%s changes nothing: %s', what, question)) FROM alone
        JOIN pg_temp.answers('shop-staging-app', 'shop-production-app') AS now USING (question)
$$;
SELECT pg_temp.story('alike', 'staging', 'production', 'app', 2, false) \g /dev/null
SELECT pg_temp.same('a project before');
SELECT pg_temp.story('zoo', 'staging', 'production', 'app', 3, false) \g /dev/null
SELECT pg_temp.same('a project behind');
SELECT pg_temp.story('shop', 'canary', 'live', 'app', 4, false) \g /dev/null
SELECT pg_temp.same('environments before');
SELECT pg_temp.story('shop', 'test', 'zone', 'app', 5, false) \g /dev/null
SELECT pg_temp.same('environments behind');
SELECT pg_temp.story('shop', 'staging', 'production', 'aaa', 6, false) \g /dev/null
SELECT pg_temp.same('a component before');
SELECT pg_temp.story('shop', 'staging', 'production', 'zzz', 7, false) \g /dev/null
SELECT pg_temp.same('a component behind');
INSERT INTO promote.bundle SELECT b FROM unnest(ARRAY['alike', 'zwilling']) AS b;
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
SELECT b, '1.0.0', '{"properties": {"size": {"$md.sensitive": true, "$md.immutable": true}}}',
    '{"other": {"required": true}}', '{"other": {"required": true}}' FROM unnest(ARRAY['alike', 'zwilling']) AS b;
SELECT pg_temp.same('a bundle');
SELECT promote.configure_instance('shop-canary-app', '{"size": 99}') \g /dev/null
SELECT pg_temp.deploy('shop-canary-app', true) AS deployed \gset
SELECT is((SELECT deployed_by FROM promote.instance WHERE name = 'shop-canary-app'), :deployed,
    '... nor what keeps a worker from a deployment');

-- ---- what is forged is told of what it was forged at ----
CREATE FUNCTION pg_temp.found(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE promote.config DISABLE TRIGGER ALL;
    ALTER TABLE promote.revision DISABLE TRIGGER ALL;
    ALTER TABLE promote.deployment DISABLE TRIGGER ALL;
    ALTER TABLE promote.health_report DISABLE TRIGGER ALL;
    ALTER TABLE promote.instance DISABLE TRIGGER ALL;
    ALTER TABLE promote.audit_log DISABLE TRIGGER ALL;
    EXECUTE statement;
    SELECT string_agg(DISTINCT concat_ws(' ', project, subject), ', ') INTO found FROM promote.verify_audit()
        WHERE subject !~ '^trigger ';
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = COALESCE(found, 'nothing');
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
    RETURN SQLERRM;
END
$$;
SELECT matches(pg_temp.found(replace(forged, '@',
    $$project = 'shop' AND environment = 'production' AND component = 'app'$$)),
    '^(shop shop-production-app|shop instance shop/production/app)(, shop instance shop/production/app|, shop '
    'shop-production-app)?$', forged)
  FROM (VALUES ('UPDATE promote.config SET params = ''{"forged": 1}'' WHERE (project, digest) IN (SELECT project, '
      'digest FROM promote.revision WHERE @ AND revision = 1)'),
               ('UPDATE promote.revision SET message = ''forged'' WHERE @ AND revision = 2'),
                   ('DELETE FROM promote.revision WHERE @ AND revision = 1'),
               ('UPDATE promote.deployment SET message = ''forged'' WHERE @ AND deployment = 2'),
                   ('UPDATE promote.health_report SET healthy = NOT healthy WHERE @'),
               ('UPDATE promote.instance SET revision = 9 WHERE @'),
                   ('UPDATE promote.audit_log SET actor = ''eve'' WHERE subject = ''shop-production-app'' AND seq = 2'),
               ('DELETE FROM promote.audit_log WHERE subject = ''shop-production-app'' AND seq = 2')) AS v (forged);

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
