-- Decommissioning environments: each instance as by the verb of one, in reverse order, all or nothing or a part.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/environment.sql
SET LOCAL promote.actor = 'ada';
-- The rows of the verb, and, before, where a preview has others.
CREATE FUNCTION pg_temp.decommissions(args text,
    columns text DEFAULT 'component, changed, revision, deployment, code, problem')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    previewed text := pg_temp.says('SELECT * FROM promote.preview_decommission_environment(' || args || ')');
    done text;
BEGIN
    CREATE TEMPORARY TABLE result ON COMMIT DROP AS SELECT * FROM promote.preview_decommission_environment('shop-dev')
        WHERE false;
    EXECUTE 'INSERT INTO result SELECT * FROM promote.decommission_environment(' || args || ')';
    done := pg_temp.lines('SELECT * FROM result');
    RETURN CASE WHEN previewed = done THEN '' ELSE E'previewed otherwise:\n' || previewed || E'\n' END
        || pg_temp.lines(format('SELECT %s FROM result', columns));
END
$$;

-- ---- in what order ----
INSERT INTO promote.component_dependency (project, component, depends_on) VALUES ('shop', 's1', 's2');
SELECT is((SELECT string_agg(component, ' ')
    FROM promote.preview_decommission_environment('shop-production', '{s1,s2}')),
    's1 s2', 'what depends on others goes before them');
DELETE FROM promote.component_dependency;

-- ---- as by the verb of one ----
SELECT promote.decommission_instance('shop-production-s1', 'over') \g /dev/null
SELECT is(pg_temp.decommissions($$'shop-production', '{s1,s2}', message => 'over'$$),
    E'(s2,t,1,3,,)\n(s1,f,1,3,,)', 'one after the other, the last first; what is queued already is found');
SELECT is((SELECT to_jsonb(d) - '{component,queued_at,due_at,created_at,diff,rendered_digest,plan_digest,gates}'::text[]
    FROM promote.deployment AS d
            WHERE d.environment = 'production' AND component = 's2' AND deployment = 3),
    (SELECT to_jsonb(d) - '{component,queued_at,due_at,created_at,diff,rendered_digest,plan_digest,gates}'::text[]
        FROM promote.deployment AS d
            WHERE d.environment = 'production' AND component = 's1' AND deployment = 3),
                'queued as by the verb of one');
SELECT is((SELECT diff FROM promote.deployment WHERE environment = 'production' AND component = 's2'
    AND deployment = 3),
    (SELECT jsonb_set(diff, '{3,old}', '2') FROM promote.deployment
      WHERE environment = 'production' AND component = 's1' AND deployment = 3), '... with what is taken away');
SELECT is((SELECT gates - 'at' FROM promote.deployment WHERE environment = 'production' AND component = 's2'
    AND deployment = 3),
    (SELECT gates - 'at' FROM promote.deployment WHERE environment = 'production' AND component = 's1'
        AND deployment = 3),
    '... judged by the same gates');
DROP TABLE pg_temp.result;

-- ---- what is left out ----
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 's7', 'service');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'production', 's7');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.decommissions($$'shop-production'$$),
    E'(s7,f,,,not_deployed,"nothing of it is deployed")\n(s6,t,1,3,,)\n(s5,t,1,3,,)\n(s4,t,1,3,,)\n(s3,t,1,3,,)\n'
    '(s2,f,,,decommissioned,"it was decommissioned")\n(s1,f,,,decommissioned,"it was decommissioned")',
        'what is not deployed says so');
DROP TABLE pg_temp.result;
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.lines($$SELECT DISTINCT status FROM promote.instance WHERE environment = 'production'
    AND component <> 's7' AND project = 'shop'$$),
    '(DECOMMISSIONED)', 'and all is carried out');
SELECT is(pg_temp.lines($$SELECT count(*) FROM promote.archive_environment('shop-production')$$), '(7)',
    'so that it can be archived');

-- ---- what is refused ----
SELECT is(pg_temp.says('SELECT * FROM promote.decommission_environment(' || args || ')'), expected, args) FROM (VALUES
    ($$'shop-production'$$, E'PM006 environment "shop-production" is archived\nIts history is there, and nothing is '
        'done with it any more.'),
    ($$'shop-nowhere'$$, E'PM002 environment "shop-nowhere" does not exist\nProject "shop" has no environment '
        '"nowhere".'),
    ($$'shop-staging', '{s1,nope}'$$,
        E'PM002 environment "shop-staging" does not have all components that are named\nNot there, or not selected: '
        '"nope".'),
    ($$'shop-staging', selector => '{"no": 1}'$$,
        E'PM404 there is nothing to do\nNo component with an instance there matches.')
) AS c (args, expected);
SELECT promote.deploy_instance('shop-staging-s' || n) FROM generate_series(1, 2) AS n \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
UPDATE promote.environment SET decommission_protection = true WHERE project = 'shop' AND environment = 'staging';
SELECT is(pg_temp.says($$SELECT * FROM promote.decommission_environment('shop-staging')$$),
    'PM505 2 of 2 deployments are refused' || E'\n'
    'PM505 shop-staging-s2: "shop-staging-s2" is protected from being decommissioned: Environment "staging" of project '
        '"shop" protects its instances.' || E'\n'
    'PM505 shop-staging-s1: "shop-staging-s1" is protected from being decommissioned: Environment "staging" of project '
        '"shop" protects its instances.', 'a protected environment');
SELECT is(pg_temp.decommissions($$'shop-staging', '{s1,s3}', partial => true$$),
    E'(s3,f,,,not_deployed,"nothing of it is deployed")\n(s1,f,,,PM505,"""shop-staging-s1"" is protected from being '
        'decommissioned: Environment ""staging"" of project ""shop"" protects its instances.")',
    'or by one');
SELECT promote.deploy_instance('shop-staging-s3') \g /dev/null
DROP TABLE pg_temp.result;
SELECT is(pg_temp.decommissions($$'shop-staging', '{s3}', partial => true$$, 'code, problem'),
    '(not_deployed,"nothing of it is deployed yet, and deployment 2 (PENDING) is to bring it up: abort that")',
    'what is on its way up is named');

-- ---- what is refused keeps what it depends on ----
UPDATE promote.environment SET decommission_protection = false WHERE project = 'shop' AND environment = 'staging';
SELECT promote.deploy_instance('shop-staging-s' || n) FROM generate_series(3, 5) AS n \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
INSERT INTO promote.component_dependency (project, component, depends_on)
    VALUES ('shop', 's3', 's6'), ('shop', 's6', 's1'), ('shop', 's4', 's2');
INSERT INTO promote.freeze_window (name, project, environment, component, during)
    VALUES ('busy', 'shop', 'staging', 's3', tstzrange(now() - interval '1 day', now() + interval '1 day'));
DROP TABLE pg_temp.result;
SELECT is(pg_temp.decommissions($$'shop-staging', partial => true$$, 'component, changed, code'),
    E'(s3,f,PM601)\n(s6,f,not_deployed)\n(s4,t,)\n(s5,t,)\n(s2,t,)\n(s1,f,PM512)',
    'with a part what is refused keeps what it depends on, also by way of what is not there');
SELECT is((SELECT problem FROM result WHERE component = 's1'),
    '"shop-staging-s3" depends on "shop-staging-s1", and stays: It was refused, and so it goes on needing what it '
        'depends on.', '... which the row says');
SELECT is(pg_temp.lines($$SELECT component FROM promote.deployment WHERE project = 'shop' AND environment = 'staging'
    AND action = 'DECOMMISSION' AND status = 'PENDING' ORDER BY 1$$), E'(s2)\n(s4)\n(s5)', '... and is not queued');
SELECT is(pg_temp.says($$SELECT code FROM promote.preview_decommission_environment('shop-staging')
    WHERE component = 's1'$$), '()', 'all of it is refused by itself alone');
DELETE FROM promote.freeze_window;
DROP TABLE pg_temp.result;
SELECT is(pg_temp.decommissions($$'shop-staging', '{s1,s3}', partial => true$$, 'component, changed, code'),
    E'(s3,t,)\n(s1,t,)', 'once nothing stays, it goes');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');
SELECT finish();
ROLLBACK;
