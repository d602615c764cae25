-- Whatever an instance has behind it, plans that came to nothing, retries, or a long life, costs nobody anything who
-- asks what counts now.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/long.sql

SELECT pg_temp.long_instance('young') \g /dev/null
SELECT pg_temp.long_instance('aborted', deployments => 1502), pg_temp.long_deployments('aborted', 'production', 'PLAN',
    'ABORTED', 2, 3, 1502),
       pg_temp.long_instance('failed', deployments => 1502), pg_temp.long_deployments('failed', 'production', 'PLAN',
           'FAILED', 2, 3, 1502),
       pg_temp.long_instance('planned', deployments => 1502),
       pg_temp.long_deployments('planned', 'production', 'PLAN', 'COMPLETED', 2, 3, 1502, '{"loaded": true}'),
       pg_temp.long_instance('proposed', deployments => 1502),
       pg_temp.long_deployments('proposed', 'production', 'PROVISION', 'REJECTED', 2, 3, 1502),
       pg_temp.long_instance('dropped', deployments => 1502),
       pg_temp.long_deployments('dropped', 'production', 'PROVISION', 'ABORTED', 2, 3, 1502),
       pg_temp.long_instance('retried', deployments => 1502),
       pg_temp.long_deployments('retried', 'production', 'PROVISION', 'FAILED', 2, 3, 1502)
\g /dev/null

-- It must not matter whether PostgreSQL knows how many rows there are: most plans of statements are older than these.
CREATE TEMP TABLE question (what text, statement text) ON COMMIT DROP;
INSERT INTO question VALUES
    ('a preview', $$SELECT count(*) FROM promote.preview_promotion('long-staging-@', 'long-production-@')$$),
    ('a preview of an edit', $$SELECT count(*)
        FROM promote.preview_configuration('long-production-@', '{"size": 7}')$$),
    ('a promotion', $$SELECT promote.promote_instance('long-staging-@', 'long-production-@', '{"size": 7}')$$),
    ('an edit', $$SELECT promote.configure_instance('long-production-@', '{"size": 7}')$$),
    ('a plan', $$SELECT promote.plan_instance('long-production-@')$$),
    ('gates', $$SELECT count(*) FROM promote.blockers('long-production-@')$$),
    ('its status', $$SELECT status FROM promote.instance_status WHERE instance = 'long-production-@'$$),
    ('what it desires', $$SELECT revision FROM promote.config_as_of('long-production-@')$$),
    ('what it runs', $$SELECT revision FROM promote.config_as_of('long-production-@', state => 'running')$$),
    ('a comparison', $$SELECT count(*) FROM promote.compare_instances('long-staging-@', 'long-production-@')$$),
    ('a rehearsal', $$SELECT count(*) FROM promote.rehearse_rollback('long-production-@')$$),
    ('its drift', $$SELECT count(*) FROM promote.drift_status WHERE instance = 'long-production-@'$$),
    ('an observation', $$SELECT promote.report_observed('long-production-@', '{"size": 4}', 'test')$$),
    ('a decommission', $$SELECT promote.decommission_instance('long-production-@')$$),
    ('its last promotions', $$SELECT count(*) FROM (SELECT at, diff, overridden FROM promote.promotion_history
        WHERE project = 'long'
         AND environment = 'production' AND component = '@' ORDER BY revision DESC LIMIT 10) AS h$$);
SELECT pg_temp.costs_as(q.statement, l.long, 'young', q.what)
  FROM unnest(ARRAY['aborted', 'failed', 'planned', 'proposed', 'dropped']) AS l (long), question AS q;
-- Of what was tried again and again, each time the row alone is read, and not what it carries. There are some rows on a
-- page.
SELECT pg_temp.costs_as(q.statement, 'retried', 'young', q.what, 5) FROM question AS q;
ANALYZE;
SELECT pg_temp.costs_as(q.statement, l.long, 'young', q.what || ', analyzed')
  FROM unnest(ARRAY['aborted', 'failed', 'planned']) AS l (long), question AS q;

-- What follows a plan: it is claimed, carried out, deployed, aborted.
CREATE FUNCTION pg_temp.carry_out(name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    claim record;
BEGIN
    SELECT * INTO STRICT claim
        FROM promote.claim_deployment('test', selector => jsonb_build_object('name', carry_out.name));
    PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
END
$$;
SELECT promote.promote_instance('long-staging-' || l, 'long-production-' || l, '{"size": 8}')
  FROM unnest(ARRAY['young', 'aborted', 'failed', 'planned', 'proposed', 'dropped']) AS l
\g /dev/null
SELECT pg_temp.costs_as($$SELECT promote.abort_deployment('long-production-@', deployment) FROM promote.instance
    WHERE name = 'long-production-@'$$,
                        l, 'young', 'aborting')
  FROM unnest(ARRAY['aborted', 'failed', 'planned', 'proposed', 'dropped']) AS l;
SELECT pg_temp.costs_as($$SELECT pg_temp.carry_out('@')$$, l, 'young', 'claiming and completing')
  FROM unnest(ARRAY['aborted', 'failed', 'planned', 'proposed', 'dropped']) AS l;
SELECT pg_temp.carry_out(l)
    FROM unnest(ARRAY['young', 'aborted', 'failed', 'planned', 'proposed', 'dropped']) AS l \g /dev/null
SELECT pg_temp.costs_as($$SELECT promote.deploy_instance('long-production-@')$$, l, 'young', 'deploying')
  FROM unnest(ARRAY['aborted', 'failed', 'planned', 'proposed', 'dropped']) AS l;

-- ---- what is told is told by all plans, whatever became of them ----
SELECT is((SELECT plan_status FROM promote.promotion_history WHERE destination = 'long-production-aborted'
    AND revision = 2), 'ABORTED',
    'a promotion''s first plan, which was aborted');
SELECT is((SELECT deployment FROM promote_internal.last_plan('long', 'production', 'aborted', 2)), 1502,
    'the last of a revision');
SELECT is((SELECT deployment FROM promote_internal.last_plan('long', 'production', 'planned', 2)), 1502,
    '... that came to something');
SELECT is((SELECT deployment FROM promote_internal.last_recorded_plan('long', 'production', 'planned')), 1502,
    '... that was recorded');
SELECT is_empty($$SELECT * FROM promote_internal.last_recorded_plan('long', 'production', 'aborted')$$,
    '... of which there is none');
SELECT is((SELECT count(*) FROM promote_internal.may_run('long', 'production', 'retried', 2)), 2::bigint,
    'what may run is what runs, and what was tried again and again');
SELECT is((SELECT max(deployment) FROM promote_internal.may_run('long', 'production', 'retried', 2)), 1502,
    '... the last time');

SELECT * FROM finish();
ROLLBACK;
