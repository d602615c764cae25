-- Waiting for a deployment: what is returned, and what is refused. test/t/wait_wakes.pl has who wakes whom.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql

-- What this transaction has written it may not wait for.
SELECT pg_temp.refuses($$SELECT * FROM promote.wait_for_deployment('ecomm-staging-db', 1)$$, 'PM407', 'has written',
    'a transaction that has written');
SELECT pg_temp.refuses(s, state, detail, s)
  FROM (VALUES
    ('SELECT promote.wait_for_deployment($$ecomm-staging-db$$, 1, $$-1 s$$)', 'PM404', '0 seconds to 24 hours'),
    ('SELECT promote.wait_for_deployment($$ecomm-staging-db$$, 1, $$25 h$$)', 'PM404', '0 seconds to 24 hours'),
    ('SELECT promote.wait_for_deployment($$ecomm-staging-db$$, 1, $$178000000 years$$)', 'PM404', '0 seconds to 24'),
    ('SELECT promote.wait_for_deployment($$ecomm-staging-db$$, 0)', 'PM002', 'nothing to wait for'),
    ('SELECT promote.wait_for_deployment($$ecomm-staging-db$$, -7)', 'PM002', 'nothing to wait for'),
    ('SELECT promote.wait_for_deployment($$ecomm$$)', 'PM001', 'three parts'),
    ('SELECT promote.wait_for_deployment(NULL)', 'PM001', '')) AS v (s, state, detail);
CREATE ROLE test_viewer;
SELECT promote.grant_action('test_viewer', 'view', 'ecomm', 'production') \g /dev/null
SELECT is(pg_temp.as_role('test_viewer', $$SELECT promote.wait_for_deployment('ecomm-staging-db')$$),
    'PM701: Role "test_viewer" has no grant "view" for environment "staging" of project "ecomm".',
    'who may not see an environment waits for nothing there');
SELECT matches(pg_temp.as_role('test_viewer', $$SELECT promote.wait_for_deployment('ecomm-production-db')$$), 'PM407',
    '... and elsewhere view is enough');

SELECT * FROM finish();
ROLLBACK;
