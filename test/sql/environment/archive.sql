-- Archiving environments: what is refused while they are used, what goes out of sight, what stays, and that no verb
-- takes what is over.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
CREATE FUNCTION pg_temp.archived(environment text, verb text DEFAULT 'archive_environment') RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    d text;
BEGIN
    RETURN pg_temp.lines(format('SELECT * FROM promote.%I(%L)', verb, environment));
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
    RETURN sqlstate || ' ' || sqlerrm || E'\n' || d;
END
$$;

-- ---- what is refused ----
SELECT is(pg_temp.archived('shop-production'), E'PM512 environment "shop-production" is still used\n'
    's1: it runs revision 1\ns2: it runs revision 1\ns3: it runs revision 1\ns4: it runs revision 1\n'
    's5: it runs revision 1\ns6: it runs revision 1', 'what still runs is told by name');
SELECT is(pg_temp.archived('shop-production', 'preview_archive_environment'), (
    SELECT string_agg(format('(s%s,f,1,%s,,PM512,"it runs revision 1")', n, 2), E'\n') FROM generate_series(1, 6) AS n),
    'a preview has a row for each');
SELECT promote.configure_instance('shop-staging-s2', '{"size": 3}') \g /dev/null
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s4"]}') \g /dev/null
SELECT is(pg_temp.archived('shop-staging'), E'PM512 environment "shop-staging" is still used\n'
    's2: deployment 2 is PENDING\ns4: request 1 is OPEN', 'and what is open');
SELECT is(pg_temp.archived('shop-nowhere'), E'PM002 environment "shop-nowhere" does not exist\n'
    'Project "shop" has no environment "nowhere".', 'what is not there');
SELECT is(pg_temp.archived('nowhere-staging'), E'PM002 environment "nowhere-staging" does not exist\n'
    'There is no project "nowhere".', '... nor its project');
SELECT is(left(pg_temp.archived('shop'), 5), 'PM001', 'a name that is none');
SELECT is(left(pg_temp.archived(NULL), 5), 'PM404', 'no name');

-- ---- what it does ----
SELECT promote.cancel_request('shop', 1, 'over') \g /dev/null
SELECT promote.abort_deployment('shop-staging-s2', 2) \g /dev/null
SELECT is(pg_temp.archived('shop-staging', 'preview_archive_environment'), (
    SELECT string_agg(format('(s%s,t,%s,%s,,,)', n, CASE WHEN n = 2 THEN 2 ELSE 1 END, CASE WHEN n = 2 THEN 2 ELSE 1
        END),
                      E'\n') FROM generate_series(1, 6) AS n), 'once nothing is, the preview says so');
UPDATE promote.environment SET decommission_protection = true WHERE project = 'shop' AND environment = 'staging';
SELECT is(pg_temp.archived('shop-staging'), E'PM505 environment "shop-staging" is protected\n'
    'Nothing of it is decommissioned, and its rules would go with it.', 'what is protected is not archived');
SELECT alike(pg_temp.archived('shop-staging', 'preview_archive_environment'),
    '(s1,f,1,1,,PM505,"its environment is protected")%', '... as a preview says');
UPDATE promote.environment SET decommission_protection = false WHERE project = 'shop' AND environment = 'staging';
CREATE ROLE voter;
GRANT voter TO CURRENT_USER;
INSERT INTO promote.promotion_path VALUES ('shop', 'dev', 'staging'), ('shop', 'staging', 'production');
INSERT INTO promote.approval_rule (project, environment, rule, role) VALUES ('shop', 'staging', 'any', 'voter'),
    ('shop', NULL, 'all', 'voter');
INSERT INTO promote.freeze_window (name, project, environment, during)
    VALUES ('then', 'shop', 'staging', '[2000-01-01, 2000-01-02)');
SELECT is((SELECT count(*) FROM promote.promotion_matrix WHERE project = 'shop' AND environment = 'staging'), 6::bigint,
    'before, the matrix shows it');
SET LOCAL promote.actor = 'bob';
SELECT is((SELECT count(*) FROM promote.approval_inbox WHERE environment = 'staging' AND project = 'shop'), 10::bigint,
    '... and the inbox its plans');
SET LOCAL promote.actor = 'ada';
SELECT is(pg_temp.archived('shop-staging'), (
    SELECT string_agg(format('(s%s,t,%s,%s,,,)', n, CASE WHEN n = 2 THEN 2 ELSE 1 END, CASE WHEN n = 2 THEN 2 ELSE 1
        END),
                      E'\n') FROM generate_series(1, 6) AS n), 'archived, as the preview has said');
SELECT is_empty($$SELECT FROM promote.promotion_matrix WHERE project = 'shop' AND environment = 'staging'$$,
    'it is gone from the matrix');
SET LOCAL promote.actor = 'bob';
SELECT is_empty($$SELECT FROM promote.approval_inbox WHERE environment = 'staging' AND project = 'shop'$$,
    '... and the inbox');
SELECT is_empty($$SELECT FROM promote.approval_status WHERE instance LIKE 'shop-staging-%'$$, '... as its approvals');
SELECT is_empty($$SELECT FROM promote_internal.instance_attributes WHERE project = 'shop' AND environment = 'staging'$$,
    '... and the selectors');
SELECT is_empty($$SELECT FROM promote.next_environments('shop-dev')$$, '... and the paths');
SELECT is((SELECT string_agg(rule, ' ') FROM promote.approval_rule WHERE project = 'shop'), 'all',
    'its rules go, and no others');
SELECT is_empty($$SELECT FROM promote.freeze_window WHERE project = 'shop'$$, '... its windows');
SELECT is(pg_temp.lines($$SELECT generation, instances, actor, archived_at >= opened_at
    FROM promote.environment_generation
    WHERE project = 'shop'$$),
    '(1,"{""s1"": [1, 1], ""s2"": [1, 2], ""s3"": [1, 1], ""s4"": [1, 1], ""s5"": [1, 1], ""s6"": [1, 1]}",ada,t)',
    'a row says what it was');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE event = 'instance.archived'), 6::bigint,
    'the chain of each instance tells of it');
SELECT is(params ->> 'size', '3', 'its history is found by name')
    FROM promote.config_as_of('shop-staging-s2', 'infinity');
SELECT is((SELECT max(revision) FROM promote.revision WHERE project = 'shop' AND environment = 'staging'), 2,
    'its history stays');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

-- ---- what is refused afterwards ----
CREATE FUNCTION pg_temp.says(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(' ', sqlstate, CASE WHEN sqlstate <> 'PM006' THEN sqlerrm END);
END
$$;
SELECT is(pg_temp.says(verb), 'PM006', verb) FROM unnest(ARRAY[
    $$SELECT * FROM promote.archive_environment('shop-staging')$$,
    $$SELECT * FROM promote.preview_archive_environment('shop-staging')$$,
    $$SELECT promote.configure_instance('shop-staging-s1', '{}')$$,
    $$SELECT promote.promote_instance('shop-staging-s1', 'shop-production-s1')$$,
    $$SELECT promote.promote_instance('shop-production-s1', 'shop-staging-s1')$$,
    $$SELECT * FROM promote.preview_promotion('shop-staging-s1', 'shop-production-s1')$$,
    $$SELECT * FROM promote.preview_promotion('shop-production-s1', 'shop-staging-s1')$$,
    $$SELECT * FROM promote.promote_many('{shop-staging-s1}', '{shop-production-s1}')$$,
    $$SELECT promote.promote_many('{shop-production-s1}', '{shop-staging-s1}')$$,
    $$SELECT promote.apply_revision('shop-staging-s1', 1, 'shop-production-s1')$$,
    $$SELECT promote.plan_instance('shop-staging-s1')$$,
    $$SELECT promote.deploy_instance('shop-staging-s1')$$,
    $$SELECT promote.plan_and_deploy('shop-staging-s1')$$,
    $$SELECT * FROM promote.plan_many('{shop-staging-s1}')$$,
    $$SELECT * FROM promote.deploy_many('{shop-staging-s1}')$$,
    $$SELECT promote.propose_deployment('shop-staging-s1')$$,
    $$SELECT promote.decommission_instance('shop-staging-s1')$$,
    $$SELECT promote.rollback_instance('shop-staging-s1')$$,
    $$SELECT promote.approve_deployment('shop-staging-s1', 1)$$,
    $$SELECT promote.reject_deployment('shop-staging-s1', 1, 'no')$$,
    $$SELECT promote.abort_deployment('shop-staging-s1', 1)$$,
    $$SELECT promote.override_gate('shop-staging-s1', 1, 'drift', 'why')$$,
    $$SELECT promote.set_secret('shop-staging-s1', 'a', 'b')$$,
    $$SELECT promote.remove_secret('shop-staging-s1', 'a')$$,
    $$SELECT promote.set_remote_reference('shop-staging-s1', 'a', 'b')$$,
    $$SELECT promote.remove_remote_reference('shop-staging-s1', 'a')$$,
    $$SELECT promote.adopt_drift('shop-staging-s1')$$,
    $$SELECT promote.report_health('shop-staging-s1', 'x', true)$$,
    $$SELECT promote.open_request('shop', 'staging', 'production')$$,
    $$SELECT promote.open_request('shop', 'production', 'staging')$$,
    $$INSERT INTO promote.revision (project, environment, component, version_constraint, digest)
      SELECT project, environment, component, version_constraint, digest FROM promote.revision
       WHERE project = 'shop' AND environment = 'staging' AND component = 's1'$$,
    $$INSERT INTO promote.promotion_path VALUES ('shop', 'staging', 'production')$$,
    $$INSERT INTO promote.promotion_path VALUES ('shop', 'dev', 'staging')$$,
    $$INSERT INTO promote.approval_rule (project, environment, rule, role)
        VALUES ('shop', 'staging', 'any', 'pg_monitor')$$,
    $$INSERT INTO promote.grants (project, environment, role, action)
        VALUES ('shop', 'staging', 'pg_monitor', 'view')$$,
    $$UPDATE promote.environment SET description = 'over' WHERE project = 'shop' AND environment = 'staging'$$
]) AS verb;
SELECT throws_ok($$UPDATE promote.environment SET archived_at = NULL WHERE project = 'shop'$$, 'PM303', NULL,
    'nobody takes it back by hand');
SELECT throws_ok($$UPDATE promote.environment SET generation = 2 WHERE project = 'ecomm'$$, 'PM303', NULL,
    'nor counts generations');
SELECT throws_ok($$INSERT INTO promote.environment (project, environment, archived_at) VALUES ('shop', 'x', now())$$,
    'PM303',
    NULL, 'nor begins with one that is over');
SELECT throws_ok($$INSERT INTO promote.environment (project, environment, generation) VALUES ('shop', 'x', 7)$$,
    'PM303',
    NULL, '... or later than the first');
SELECT throws_ok($$DELETE FROM promote.environment_generation$$, 'PM301', NULL, 'what was stays as it was');
SELECT throws_ok($$INSERT INTO promote.environment_generation SELECT * FROM promote.environment_generation$$, 'PM303',
    NULL,
    '... and nothing is added');

-- ---- the line is the project's ----
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'held');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'held', 's1');
SELECT promote.stop_line('for the moment', 'shop') \g /dev/null
SELECT is(pg_temp.archived('shop-held'), '(s1,t,,,,,)', 'a stop of the line keeps nothing from being archived');
SELECT is(pg_temp.lines('SELECT project, lifted_at FROM promote.line_stop'), '(shop,)', '... and stands');
SELECT finish();
ROLLBACK;
