-- Dependencies of components: never in a circle, and the order that they come to.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

CREATE FUNCTION pg_temp.needs(component text, depends_on text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.component_dependency (project, component, depends_on) VALUES ('ecomm', component, depends_on)
$$;
INSERT INTO promote.component (project, component, bundle)
SELECT 'ecomm', component, 'empty' FROM unnest(ARRAY['app', 'network', 'web', 'zone']) AS component;

-- ---- cycles ----
SELECT lives_ok($$SELECT pg_temp.needs('app', 'db'), pg_temp.needs('db', 'network')$$, 'a chain');
SELECT pg_temp.refuses($$SELECT pg_temp.needs('network', 'app')$$, 'PM620',
    '^The cycle is app -> db -> network -> app\.$', 'a row that closes a cycle');
SELECT is((pg_temp.refusal($$SELECT pg_temp.needs('network', 'app')$$)).message,
    'the components of project "ecomm" would depend on each other in a cycle', '... is refused in words');
SELECT matches((pg_temp.refusal($$SELECT pg_temp.needs('network', 'app')$$)).hint, 'Leave one', '... with the way out');
SELECT pg_temp.refuses($$SELECT pg_temp.needs('db', 'db')$$, 'PM620', '^The cycle is db -> db\.$',
    'what depends on itself');
SELECT pg_temp.refuses($$INSERT INTO promote.component_dependency (project, component, depends_on)
    VALUES ('ecomm', 'web', 'cache'), ('ecomm', 'cache', 'zone'), ('ecomm', 'zone', 'web')$$,
    'PM620', '^The cycle is cache -> zone -> web -> cache\.$', 'several rows that close one together');
SELECT is((SELECT count(*) FROM promote.component_dependency), 2::bigint, 'nothing of it is kept');
SELECT pg_temp.refuses($$UPDATE promote.component_dependency SET depends_on = 'app' WHERE component = 'db'$$,
    'PM620', '^The cycle is app -> db -> app\.$', 'a row that is bent into a cycle');
SELECT lives_ok($$SELECT pg_temp.needs('web', 'app'), pg_temp.needs('web', 'network'),
    pg_temp.needs('cache', 'network')$$,
    'branches and joins');
SELECT throws_ok($$SELECT pg_temp.needs('web', 'app')$$, '23505', NULL, 'a dependency is there once');
SELECT throws_ok($$SELECT pg_temp.needs('web', 'nowhere')$$, '23503', NULL, 'a component that is not there');
SELECT throws_ok($$DELETE FROM promote.component WHERE component = 'network'$$, '23503', NULL,
    'one that is needed stays');
SELECT lives_ok($$INSERT INTO promote.component (project, component, bundle) VALUES ('other', 'app', 'empty');
    INSERT INTO promote.component_dependency VALUES ('other', 'db', 'app', 'for people')$$,
    'another project has dependencies of its own');
SET LOCAL session_replication_role = replica;
SELECT pg_temp.refuses($$SELECT pg_temp.needs('network', 'app')$$, 'PM620', 'cycle', 'replicas are checked too');
RESET session_replication_role;
SELECT throws_ok(format('CREATE TRIGGER t %s ON promote.project FOR EACH %s EXECUTE FUNCTION promote_internal.%s(); '
    'UPDATE promote.project SET project = project', t, e, f), '39P01', NULL, f || ' is not for other tables')
  FROM (VALUES ('AFTER UPDATE', 'STATEMENT', 'check_dependencies')) AS v(t, e, f);

-- ---- the order ----
SELECT is((SELECT string_agg(component || ' ' || rank, ', ' ORDER BY rank, component)
    FROM promote_internal.component_rank('ecomm')),
    'bare 0, network 0, zone 0, cache 1, db 1, app 2, web 3', 'everything stands behind what it depends on');
SELECT is((SELECT count(*) FROM promote_internal.component_rank('nowhere')), 0::bigint, 'a project that is not there');
SELECT is((SELECT count(*) FROM promote.component_dependency AS d
      JOIN promote_internal.component_rank('ecomm') AS a ON a.component = d.component
      JOIN promote_internal.component_rank('ecomm') AS b ON b.component = d.depends_on
     WHERE d.project = 'ecomm' AND a.rank <= b.rank), 0::bigint, 'no dependency goes against it');
SELECT is((SELECT string_agg(component, ', ' ORDER BY component)
    FROM promote_internal.components_around('ecomm', 'web', 'PROVISION')), 'app, db, network',
    'all that a component needs');
SELECT is((SELECT string_agg(component, ', ' ORDER BY component)
    FROM promote_internal.components_around('ecomm', 'network', 'DECOMMISSION')), 'app, cache, db, web',
    'all that needs it');

-- ---- long chains, and branches that join again and again ----
INSERT INTO promote.component (project, component, bundle)
SELECT 'other', kind || n, 'empty' FROM generate_series(1, 60) AS n, unnest(ARRAY['l', 'r']) AS kind;
SELECT lives_ok($$INSERT INTO promote.component_dependency (project, component, depends_on)
    SELECT 'other', a || n + 1, b || n FROM generate_series(1, 59) AS n, unnest(ARRAY['l', 'r']) AS a,
           unnest(ARRAY['l', 'r']) AS b ORDER BY n DESC$$, 'ways that are more than could be counted');
SELECT is((SELECT rank FROM promote_internal.component_rank('other') WHERE component = 'l60'), 59, '... have an order');
SELECT pg_temp.refuses($$INSERT INTO promote.component_dependency VALUES ('other', 'l1', 'r60')$$, 'PM620',
    '-> l1 -> r60\.$', '... and no cycle');

-- ---- a chain of 5,000, as which ranks would take minutes if each place were come to by each length of a way ----
INSERT INTO promote.component (project, component, bundle)
SELECT 'other', 'n' || n, 'empty' FROM generate_series(1, 5000) AS n;
SET LOCAL session_replication_role = replica;
ALTER TABLE promote.component_dependency DISABLE TRIGGER check_inserted;
INSERT INTO promote.component_dependency (project, component, depends_on)
SELECT 'other', 'n' || n + 1, 'n' || n FROM generate_series(1, 4999) AS n;
SET LOCAL statement_timeout = '1min';
SELECT results_eq($$SELECT count(*), max(r.rank), count(DISTINCT r.rank),
        bool_and(r.rank = substr(r.component, 2)::integer - 1)
      FROM promote_internal.component_rank('other') AS r WHERE r.component ~ '^n'$$,
    $$VALUES (5000::bigint, 4999, 5000::bigint, true)$$, 'a long chain has its order at once');
RESET statement_timeout;

-- ---- what was loaded past the triggers ----
INSERT INTO promote.component_dependency (project, component, depends_on) VALUES ('other', 'n3000', 'n3002');
SELECT pg_temp.refuses($$SELECT * FROM promote_internal.component_rank('other')$$, 'PM620',
    '^The cycle is n300(0 -> n3002 -> n3001 -> n3000|2 -> n3001 -> n3000 -> n3002|1 -> n3000 -> n3002 -> n3001)\.$',
    'a cycle has no order');
ALTER TABLE promote.component_dependency ENABLE ALWAYS TRIGGER check_inserted;
RESET session_replication_role;
DELETE FROM promote.component_dependency WHERE component = 'n3000' AND depends_on = 'n3002';
SELECT lives_ok($$SELECT * FROM promote_internal.component_rank('other')$$, '... until it is gone');

-- ---- the record ----
SELECT isnt_empty($$SELECT FROM promote.audit_log WHERE subject = 'component_dependency ecomm/app/db'$$,
    'a dependency has a chain of its own');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'which is whole');

SELECT * FROM finish();
ROLLBACK;
