-- Aborting environments: what waits in the queues is ended, all or a part, and what does not wait is left and says so.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/environment.sql
SET LOCAL promote.actor = 'ada';
CREATE FUNCTION pg_temp.open(environment text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', d.component, d.deployment, d.status, d.due_at IS NOT NULL), ', '
                      ORDER BY d.component, d.deployment)
      FROM promote.deployment AS d
     WHERE d.project = 'shop' AND d.environment = open.environment
       AND d.status IN ('PROPOSED', 'PENDING', 'APPROVED', 'RUNNING')
$$;

-- ---- what waits ----
SELECT promote.propose_deployment('shop-production-s1', 'DECOMMISSION') \g /dev/null
SELECT promote.approve_deployment('shop-production-s1', 3) \g /dev/null
SELECT promote.decommission_instance('shop-production-s2') \g /dev/null
SELECT promote.propose_deployment('shop-production-s3', 'DECOMMISSION') \g /dev/null
SELECT promote.promote_instance('shop-staging-s4', 'shop-production-s4') \g /dev/null
SELECT (c).instance FROM promote.claim_deployment('w', '{PLAN}', selector => '{"tenant": "rest"}') AS c \g /dev/null
SELECT promote.plan_and_deploy('shop-staging-s4') \g /dev/null
SELECT promote.decommission_instance('shop-production-s4') \g /dev/null
SELECT promote.promote_instance('shop-staging-s5', 'shop-production-s5') \g /dev/null
SELECT promote.decommission_instance('shop-production-s5') \g /dev/null
SELECT is(pg_temp.open('production'), 's1 3 APPROVED t, s2 3 PENDING t, s3 3 PROPOSED f, s4 3 RUNNING t, '
    's4 4 PENDING f, s5 3 PENDING t, s5 4 PENDING f', 'deployments of every sort');
SELECT pg_temp.previewed($$abort_environment('shop-production', 'too late', '{s6}')$$, 'of nothing');
SELECT is(pg_temp.open('production'), 's1 3 APPROVED t, s2 3 PENDING t, s3 3 PROPOSED f, s4 3 RUNNING t, '
    's4 4 PENDING f, s5 3 PENDING t, s5 4 PENDING f', 'what is not named is left alone');
SELECT is(pg_temp.said($$abort_environment('shop-production', 'too late', selector => '{"tenant": "acme"}')$$),
    E's1 t 1 3\ns2 t 1 3', 'a part of it, by a selector');
SELECT is(pg_temp.open('production'), 's3 3 PROPOSED f, s4 3 RUNNING t, s4 4 PENDING f, s5 3 PENDING t, '
    's5 4 PENDING f', '... is ended, and no more');
SELECT is(pg_temp.lines($$SELECT component, status, reason, finished_at IS NOT NULL FROM promote.deployment
    WHERE environment = 'production' AND component IN ('s1', 's2') AND deployment = 3 ORDER BY component$$),
    E'(s1,ABORTED,"too late",t)\n(s2,ABORTED,"too late",t)', '... for the reason that was given');
SAVEPOINT whole;
SELECT pg_temp.previewed($$abort_environment('shop-production')$$, 'of all');
ROLLBACK TO whole;
SELECT is(pg_temp.said($$abort_environment('shop-production')$$),
    E's1 f - nothing_waits nothing of it waits\n'
    's2 f - nothing_waits nothing of it waits\n'
    's3 f 1 3 proposed deployment 3 is PROPOSED: promote.reject_deployment ends it\n'
    's4 f 2 3 running deployment 3 is RUNNING: its worker ends it, or promote.abort_deployment\n'
    's4 t 1 4\n'
    's5 t 2 3\n'
    's5 t 1 4\n'
    's6 f - nothing_waits nothing of it waits', 'a row for each deployment that is not over, and says what is left');
SELECT is(pg_temp.open('production'), 's3 3 PROPOSED f, s4 3 RUNNING t', '... which are still there');
SELECT isnt(pg_temp.open('staging'), NULL, '... as is what waits elsewhere');
SELECT is(pg_temp.lines($$SELECT a.subject, a.actor, a.data ->> 'status' FROM promote.audit_log AS a
    WHERE a.project = 'shop' AND a.event = 'deployment.aborted' ORDER BY 1$$),
    E'(shop-production-s1,ada,ABORTED)\n(shop-production-s2,ada,ABORTED)\n(shop-production-s4,ada,ABORTED)\n'
    '(shop-production-s5,ada,ABORTED)\n(shop-production-s5,ada,ABORTED)', 'each is an event of its instance');
SELECT is((SELECT to_jsonb(d) - '{component,deployment,revision,created_at,queued_at,finished_at}'::text[]
    FROM promote.deployment AS d WHERE environment = 'staging' AND component = 's4' AND status = 'ABORTED'),
    NULL, 'nothing was aborted elsewhere');

-- ---- as by the verb of one ----
SELECT promote.decommission_instance('shop-production-' || c) FROM unnest('{s1,s2}'::text[]) AS c \g /dev/null
SELECT promote.abort_deployment('shop-production-s1', 4, 'no') \g /dev/null
SELECT pg_temp.said($$abort_environment('shop-production', 'no', '{s2}')$$) \g /dev/null
SELECT is((SELECT to_jsonb(d) - '{component,created_at,queued_at,finished_at,gates,diff,rendered_digest,plan_digest}'
        ::text[] FROM promote.deployment AS d
            WHERE environment = 'production' AND component = 's2' AND deployment = 4),
    (SELECT to_jsonb(d) - '{component,created_at,queued_at,finished_at,gates,diff,rendered_digest,plan_digest}'
        ::text[] FROM promote.deployment AS d
            WHERE environment = 'production' AND component = 's1' AND deployment = 4), 'aborted as by the verb of one');
SELECT is(pg_temp.lines($$SELECT component, status FROM promote.instance
    WHERE environment = 'production' AND component IN ('s1', 's2')$$), E'(s1,PROVISIONED)\n(s2,PROVISIONED)',
    '... and what runs is as it was');
SELECT is(pg_temp.said($$abort_environment('shop-production', 'no', '{s2}')$$),
    's2 f - nothing_waits nothing of it waits', 'doing so twice is doing it once');

-- ---- what is refused ----
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'over');
SELECT count(*) FROM promote.archive_environment('shop-over') \g /dev/null
SELECT is(pg_temp.says('SELECT * FROM promote.' || p || 'abort_environment(' || args || ')'), expected, p || args)
FROM unnest('{"",preview_}'::text[]) AS p, (VALUES
    ($$'shop-over'$$, E'PM006 environment "shop-over" is archived\nIts history is there, and nothing is '
        'done with it any more.'),
    ($$'shop-nowhere'$$, E'PM002 environment "shop-nowhere" does not exist\nProject "shop" has no environment '
        '"nowhere".'),
    ($$'shop-staging@now'$$, E'PM404 the environment cannot be a state\n"shop-staging@now" is what was, and nothing '
        'changes that.'),
    ($$'shop-staging', 'no', '{s1,nope}'$$,
        E'PM002 environment "shop-staging" does not have all components that are named\nNot there, or not selected: '
        '"nope".'),
    ($$'shop-staging', 'no', '{}'$$, E'PM404 invalid list of components\nIt is empty.'),
    ($$'shop-staging', selector => '{"no": 1}'$$,
        E'PM404 there is nothing to do\nNo component with an instance there matches.')
) AS c (args, expected);
SELECT * FROM finish();
ROLLBACK;
