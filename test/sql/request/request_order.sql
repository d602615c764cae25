-- Requests go along dependencies: in their waves, and within a wave in the queue.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql

CREATE FUNCTION pg_temp.waves(strategy text, waves jsonb DEFAULT NULL, scope jsonb DEFAULT '{}') RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    number integer;
    shown text;
BEGIN
    number := (promote.open_request('shop', 'staging', 'production', scope, strategy, waves)).request;
    SELECT string_agg(wave || ':' || names, ' ' ORDER BY wave) INTO shown FROM (
        SELECT wave, string_agg(component, ',' ORDER BY component) AS names FROM promote.promotion_request_item
         WHERE project = 'shop' AND request = number AND wave IS NOT NULL GROUP BY wave) AS w;
    PERFORM promote.cancel_request('shop', number, 'seen');
    RETURN shown;
END
$$;
SELECT is(pg_temp.waves('one_by_one'), '1:s1 2:s2 3:s3 4:s4 5:s5 6:s6', 'by name where nothing depends on anything');
INSERT INTO promote.component_dependency (project, component, depends_on)
VALUES ('shop', 's1', 's3'), ('shop', 's3', 's5'), ('shop', 's2', 's6');
SELECT is(pg_temp.waves('one_by_one'), '1:s4 2:s5 3:s6 4:s2 5:s3 6:s1', 'what is needed goes first, then by name');
SELECT is(pg_temp.waves('waves', '[2, 2]'), '1:s4,s5 2:s2,s6 3:s1,s3', 'waves of a size take what is needed first');
SELECT is(pg_temp.waves('canary', '1'), '1:s4 2:s1,s2,s3,s5,s6', 'so do canaries');
SELECT is(pg_temp.waves('one_by_one', NULL, '{"components": ["s1", "s5"]}'), '1:s5 2:s1',
    'what stands between need not be in the scope');
SELECT pg_temp.refuses($$SELECT pg_temp.waves('waves', '[{"tenant": "acme"}]')$$, 'PM404',
    '^Wave 1 takes "s1" before "s3", which it depends on, in wave 2\.$', 'a selector against them');
SELECT is(pg_temp.waves('waves', '[{"tenant": "rest"}]'), '1:s3,s4,s5,s6 2:s1,s2', 'one that goes along them');

-- ---- one wave goes along them in the queue ----
SELECT (promote.open_request('shop', 'staging', 'production', '{"components": ["s1", "s3", "s5"]}', 'all_at_once',
    overrides => '{"s1": {"size": 3}, "s3": {"size": 3}, "s5": {"size": 3}}')).request AS number \gset
DO $$ BEGIN PERFORM promote.preview_request('shop', request) FROM promote.promotion_request
    WHERE status NOT IN ('CANCELLED') AND project = 'shop'; END $$;
SELECT lives_ok(format('SELECT promote.advance_request(%L, %s)', 'shop', :number), 'it is staged');
SELECT pg_temp.work_all() AS planned \gset
SELECT lives_ok(format('SELECT promote.advance_request(%L, %s)', 'shop', :number), '... and deployed');
SELECT is((SELECT string_agg(component, ' ') FROM promote.claim_deployment('w', max => 10)), 's5',
    'what is needed begins');
SELECT is((SELECT waits_for FROM promote.instance_status WHERE instance = 'shop-production-s3'),
    'deployment 4 of "shop-production-s5", which is RUNNING', '... and the others say for what they wait');
SELECT * FROM finish();
ROLLBACK;
