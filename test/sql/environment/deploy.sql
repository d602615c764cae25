-- Planning and deploying whole environments.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/environment.sql
\ir ../../fixtures/as_role.sql

INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'a_new', 'service');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'production', 'a_new');
SELECT count(promote.configure_instance('shop-production-s' || n, '{"size": 5}')) FROM generate_series(1, 3) AS n
    \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.configure_instance('shop-production-s3', '{"size": 6}') \g /dev/null

CREATE TEMP TABLE before ON COMMIT DROP AS SELECT count(*) FROM promote.deployment;
SELECT is(pg_temp.said($$preview_deploy_environment('shop-production')$$),
    format($$a_new f - unconfigured "shop-production-a_new" has no configuration yet
s1 t 2 4 1
s2 t 2 4 1
s3 f - PM504 %s
s4 f 1 2 0
s5 f 1 2 0
s6 f 1 2 0$$, (SELECT message || ': ' || detail FROM pg_temp.refusal($$SELECT
    promote.deploy_instance('shop-production-s3')$$))),
    'a row for each component, with what becomes of it');
SELECT is((SELECT count(*) FROM promote.deployment), (SELECT count FROM before), '... of which nothing is queued');
SELECT pg_temp.refuses($$SELECT promote.deploy_environment('shop-production')$$, 'PM504', 'shop-production-s3',
    'all or nothing');
SELECT is((SELECT count(*) FROM promote.deployment), (SELECT count FROM before), '... and nothing is queued');
SELECT pg_temp.previewed($$deploy_environment('shop-production', partial => true)$$, 'partial');
SELECT is((SELECT count(*) FROM promote.deployment), 2 + (SELECT count FROM before), '... and the others are queued');
SELECT pg_temp.previewed($$deploy_environment('shop-production', '{s1,s2,s4}')$$, 'what is queued already');
SELECT results_eq($$SELECT changed, deployment, diff FROM promote.deploy_environment('shop-production', '{s1}')$$,
    $$SELECT false, d.deployment, d.diff FROM promote.deploy_instance('shop-production-s1') AS d$$,
    'what it returns is what deploy_instance does');
SELECT is(pg_temp.work_all('^$'), 3, 'it is carried out');
SELECT results_eq($$SELECT component, changed FROM promote.deploy_environment('shop-production', message => 'go',
        selector => '{"tenant": "rest"}')$$, $$VALUES ('s3', true), ('s4', false), ('s5', false), ('s6', false)$$,
    'those that a selector matches');
SELECT is(message, 'go', '... with the message') FROM promote.deployment
 WHERE environment = 'production' AND component = 's3' AND action = 'PROVISION' AND revision = 3;

SELECT pg_temp.refuses(format('SELECT promote.%sdeploy_environment(%s)', p, call), code, detail, p || call)
  FROM (VALUES ($$'shop-production@x'$$, 'PM404', 'nothing changes that'), ($$'shop-moon'$$, 'PM002', '"moon"'),
               ($$'shop-dev'$$, 'PM404', 'matches'), ($$'shop-production', '{none}'$$, 'PM002', 'selected: "none"'),
               ($$'shop-production', selector => '{"tenant": "none"}'$$, 'PM404', 'matches'),
               ($$'shop-production', expected_revision => '{"none": 1}'$$, 'PM404', 'not in the scope'),
               ($$NULL$$, 'PM404', 'null')) AS v (call, code, detail), unnest(ARRAY['', 'preview_']) AS p;
SELECT pg_temp.refuses(format('SELECT promote.deploy_environment(%L, %s)', 'shop-production', rest), code, detail, rest)
  FROM (VALUES ($$'{s1}', expected_revision => '{"s1": 1}'$$, 'PM401', 'revision is 2'),
               ($$'{s1}', expected_revision => '{"s1": 0}'$$, 'PM401', 'revision is 2'),
               ($$'{a_new}'$$, 'PM005', 'no revision')) AS v (rest, code, detail);

-- gates
SELECT promote.configure_instance('shop-production-s5', '{"size": 7}') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
INSERT INTO promote.freeze_window (project, environment, name, during, reason)
VALUES ('shop', 'production', 'now', tstzrange(now() - interval '1 hour', now() + interval '1 hour'), 'audit');
SELECT results_eq($$SELECT component, changed, code FROM promote.preview_deploy_environment('shop-production',
    '{s4,s5}')$$,
    $$VALUES ('s4', false, NULL), ('s5', false, 'PM601')$$, 'gates are judged');
SELECT pg_temp.refuses($$SELECT promote.deploy_environment('shop-production', '{s4,s5}')$$, 'PM601', 's5',
    '... for all');

-- planning
SELECT pg_temp.previewed($$plan_environment('shop-production', partial => true)$$, 'of plans');
SELECT results_eq($$SELECT component, changed, code FROM promote.plan_environment('shop-production', '{s1,s4}')$$,
    $$VALUES ('s1', false, NULL), ('s4', false, NULL)$$, 'what is planned already is not queued again');
SELECT results_eq($$SELECT changed, deployment, diff FROM promote.plan_environment('shop-production', '{s1}')$$,
    $$SELECT false, d.deployment, d.diff FROM promote.plan_instance('shop-production-s1') AS d$$,
    'what it returns is what plan_instance does');
SELECT pg_temp.work_all() \g /dev/null
UPDATE promote.parameter_set SET parameters = '{"size": 1}' WHERE project = 'shop' AND environment = 'production';
SELECT results_eq($$SELECT component, changed FROM promote.plan_environment('shop-production', message => 'moved',
        selector => '{"tenant": "acme"}')$$, $$VALUES ('s1', true), ('s2', true)$$, 'as soon as it has run, it is');
SELECT is(string_agg(concat_ws(' ', component, action, status, message), ', ' ORDER BY component),
    's1 PLAN PENDING moved, s2 PLAN PENDING moved', '... with the message')
  FROM promote.deployment WHERE environment = 'production' AND status = 'PENDING';
SELECT pg_temp.refuses($$SELECT promote.plan_environment('shop-production', '{s1}', expected_revision => '{"s1": 1}')$$,
    'PM401', 'revision is 2', 'what has moved is refused');
SELECT pg_temp.refuses($$SELECT promote.plan_environment('shop-production', '{s1,a_new}')$$, 'PM005', 'no revision',
    'what is named and cannot be planned is refused');
SELECT pg_temp.work_all() \g /dev/null

-- who may
CREATE ROLE e_viewer;
SELECT promote.grant_action('e_viewer', 'view', 'shop') \g /dev/null
SELECT is(pg_temp.as_role('e_viewer', $$SELECT count(*) FROM promote.preview_deploy_environment('shop-production')$$),
    '7',
    'who sees it may preview');
SELECT is(left(pg_temp.as_role('e_viewer', $$SELECT count(*) FROM promote.deploy_environment('shop-production')$$), 5),
    'PM701', '... and not deploy');
SELECT is(left(pg_temp.as_role('e_viewer', $$SELECT count(*) FROM promote.plan_environment('shop-production')$$), 5),
    'PM701', '... nor plan');
SELECT promote.grant_action('e_viewer', 'plan', 'shop', 'production') \g /dev/null
SELECT is(pg_temp.as_role('e_viewer', $$SELECT count(*) FROM promote.plan_environment('shop-production')$$), '7',
    '... without the grant');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

SELECT * FROM finish();
ROLLBACK;
