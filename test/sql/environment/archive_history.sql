-- What was in an environment that is over is found by name, as before, also when its name was taken again.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SELECT promote.configure_instance('shop-production-s1', '{"size": 7}', plan => false) \g /dev/null
SELECT clock_timestamp() AS early \gset
SELECT promote.promote_instance('shop-staging-s1', 'shop-production-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-production-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.tag_environment('shop-production', 'live') \g /dev/null
SELECT clock_timestamp() AS late \gset
SELECT promote.decommission_environment('shop-production') \g /dev/null
SELECT pg_temp.work_all(action => 'DECOMMISSION') \g /dev/null

CREATE FUNCTION pg_temp.said(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN COALESCE(pg_temp.lines(statement), '');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
-- Questions, and whether the name stands for a later generation in them, too.
CREATE TEMP TABLE question (statement text, of_name boolean DEFAULT true, answer text);
INSERT INTO question (statement)
SELECT format('SELECT * FROM promote.' || call, :'early', :'late') FROM unnest(ARRAY[
    $$config_as_of('shop-production-s1', %1$L)$$,
    $$config_as_of('shop-production-s1', %2$L)$$,
    $$config_as_of('shop-production-s1', %1$L, 'running')$$,
    $$config_as_of('shop-production-s1', %2$L, 'running')$$,
    $$plan_text('shop-production-s1', 1)$$,
    $$plan_text('shop-production-s1')$$,
    $$blame('shop-production-s1', 1)$$,
    $$leaf_history('shop-production-s1')$$,
    $$compare_deployments('shop-production-s1/1', 'shop-production-s1/3')$$,
    $$compare_deployments('shop-production-s1', 'shop-production-s1/3')$$,
    $$compare_environments('shop-production@%1$s', 'shop-staging')$$,
    $$compare_environments('shop-production@%1$s', 'shop-production@%2$s')$$,
    $$compare_structure('shop-staging', 'shop-production@%2$s')$$,
    $$promotion_history WHERE destination = 'shop-production-s1'$$,
    $$config_changes WHERE instance = 'shop-production-s1'$$]) AS call;
INSERT INTO question (statement, of_name)
SELECT 'SELECT * FROM promote.' || call, false FROM unnest(ARRAY[
    $$config_as_of('shop-production-s1')$$,
    $$blame('shop-production-s1')$$,
    $$compare_environments('shop-production@live', 'shop-staging')$$,
    $$compare_structure('shop-production@live', 'shop-staging')$$]) AS call;
UPDATE question SET answer = pg_temp.said(statement);
SELECT is_empty($$SELECT statement FROM question WHERE answer = '' OR answer ~ '^[0-9A-Z]{5}$'$$, 'all have answers');

SELECT promote.archive_environment('shop-production') \g /dev/null
SELECT is(pg_temp.said(statement), answer, 'archived: ' || split_part(statement, ' FROM ', 2)) FROM question;
SELECT is(pg_temp.said('SELECT * FROM promote.' || call), 'PM006', 'what is there now is nothing to compare: ' || call)
  FROM unnest(ARRAY[$$compare_environments('shop-production', 'shop-staging')$$,
    $$compare_structure('shop-staging', 'shop-production')$$,
    $$compare_instances('shop-staging-s1', 'shop-production-s1')$$]) AS call;
SELECT is(pg_temp.said(
    $$SELECT * FROM promote.compare_environments('shop-production@never', 'shop-staging')$$), 'PM002',
    'nor a tag that it did not have');
SELECT is(pg_temp.said($$SELECT * FROM promote.promote_environment('shop-production@live', 'shop-staging')$$), 'PM006',
    'nothing is promoted from what was');

-- ---- the name is taken again ----
SELECT promote.fork_environment('shop-staging', 'shop-production', components => '{s1}',
    configure => false) \g /dev/null
SELECT is(pg_temp.said(statement), answer, 'another generation: ' || split_part(statement, ' FROM ', 2))
    FROM question WHERE of_name;
SELECT is(pg_temp.said($$SELECT * FROM promote.config_as_of('shop-production-s1')$$), '', 'which desires nothing yet');
SELECT clock_timestamp() AS opened \gset
SELECT promote.configure_instance('shop-production-s1', '{"size": 8}', plan => false) \g /dev/null
SELECT is(params ->> 'size', '8', '... and then what it is given') FROM promote.config_as_of('shop-production-s1');
SELECT is(pg_temp.said(format($$SELECT * FROM promote.config_as_of('shop-production-s1', %L)$$, :'opened')), '',
    '... and nothing before');
SELECT is(pg_temp.said(statement), answer, 'configured: ' || split_part(statement, ' FROM ', 2))
    FROM question WHERE of_name AND statement ~ 'config_as_of|compare_environments';
SELECT promote.archive_environment('shop-production') \g /dev/null
SELECT promote.fork_environment('shop-staging', 'shop-production', components => '{s1}',
    configure => false) \g /dev/null
SELECT is(pg_temp.said(statement), answer, 'and once more: ' || split_part(statement, ' FROM ', 2))
    FROM question WHERE of_name AND statement ~ 'config_as_of|compare_environments';
SELECT is(pg_temp.said(format($$SELECT * FROM promote.config_as_of('shop-production-s1', %L)$$, :'opened')), '',
    'what the second generation desired when it was opened');

SELECT finish();
ROLLBACK;
