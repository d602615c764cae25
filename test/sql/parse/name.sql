-- Names: domains, and instances' names taken apart.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

SELECT results_eq('SELECT * FROM promote.parse_instance_name(' || quote_literal(n) || ')',
    format('VALUES (%L, %L, %L)', p, e, c), n)
  FROM (VALUES ('ecomm-staging-db', 'ecomm', 'staging', 'db'), ('api-prod-uswest-db', 'api', 'prod-uswest', 'db'),
               ('a-b-c-d-e', 'a', 'b-c-d', 'e'), ('my_shop-e2e_1-cache_9', 'my_shop', 'e2e_1', 'cache_9')) AS v(n, p, e,
                   c);
SELECT pg_temp.refuses('SELECT promote.parse_instance_name(' || quote_literal(n) || ')', 'PM001', detail, 'name ' || n)
  FROM (VALUES ('', 'fewer than three'), ('ecomm', 'fewer than three'), ('ecomm-db', 'fewer than three'),
      ('-staging-db', 'project is empty'),
               ('ecomm-staging-', 'component is empty'), ('ecomm--db', 'environment is empty'),
                   ('Ecomm-staging-db', 'project "Ecomm" holds'),
               ('ecomm-stag ing-db', 'environment "stag ing" holds'),
                   ('ecomm-a--b-db', 'environment "a--b" begins or ends'),
               ('ecomm-staging-dé', 'component "dé" holds'), (repeat('a', 64) || '-b-c', 'project is longer than 63'),
               ('a-' || repeat('b', 64) || '-c', 'environment is longer'),
                   ('a-b-' || repeat('c', 64), 'component is longer')) AS v(n, detail);
SELECT lives_ok(format('INSERT INTO promote.environment (project, environment) VALUES (%L, %L)', 'ecomm', e),
    'environment ' || e)
  FROM unnest(ARRAY['x', 'a-b', '1-2-3', 'a_b-c_d', repeat('e', 63)]) AS e;
SELECT throws_ok(format('INSERT INTO promote.environment (project, environment) VALUES (%L, %L)', 'ecomm', e), 'PM001',
    NULL, 'no environment: ' || e)
  FROM unnest(ARRAY['', '-a', 'a-', 'a--b', 'A', 'a b', 'a.b', 'a' || E'\n', repeat('e', 64)]) AS e;
SELECT throws_ok(format('INSERT INTO promote.project (project) VALUES (%L)', p), 'PM001', NULL, 'no project: ' || p)
  FROM unnest(ARRAY['', 'a-b', 'A', 'é', repeat('p', 64)]) AS p;
SELECT throws_ok(format('INSERT INTO promote.component (project, component, bundle) VALUES (%L, %L, %L)', 'ecomm', c,
    'redis'), 'PM001', NULL, 'no component: ' || c)
  FROM unnest(ARRAY['', 'a-b', 'A', repeat('c', 64)]) AS c;
SELECT throws_ok($$INSERT INTO promote.bundle VALUES ('A b')$$, 'PM001', NULL, 'no bundle');
SELECT is(name, 'ecomm-prod-uswest-db', 'the name is generated') FROM promote.instance
    WHERE environment = 'prod-uswest';

SELECT * FROM finish();
ROLLBACK;
