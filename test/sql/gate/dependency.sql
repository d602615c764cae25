-- What waits in the queue for other components: in order, backwards, and behind what has failed.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('empty', '1.0.0', '{}'),
    ('empty', '1.1.0', '{}');
INSERT INTO promote.project (project) VALUES ('line');
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release, attributes)
VALUES ('line', 'test', false, false, '{"line": true}'), ('line', 'far', false, false, '{}');
INSERT INTO promote.component (project, component, bundle)
SELECT 'line', component, 'empty' FROM unnest(ARRAY['app', 'db', 'network', 'other']) AS component;
INSERT INTO promote.component_dependency (project, component, depends_on)
VALUES ('line', 'app', 'db'), ('line', 'db', 'network');
INSERT INTO promote.instance (project, environment, component)
SELECT 'line', e, c FROM unnest(ARRAY['test', 'far']) AS e, unnest(ARRAY['app', 'db', 'network', 'other']) AS c;
DO $$ BEGIN
    PERFORM promote.configure_instance(name, '{"n": 1}', '1.0.0', plan => false) FROM promote.instance
      WHERE project = 'line';
END $$;

-- Claims what may begin, all there is; returns their components in the order of the claims.
CREATE FUNCTION pg_temp.claims() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(c.component, ' ')
      FROM promote.claim_deployment('w', selector => '{"line": true}', max => 10) AS c
$$;
-- Ends what runs of a component.
CREATE FUNCTION pg_temp.done(component text, well boolean DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ran promote.deployment;
BEGIN
    SELECT * INTO STRICT ran FROM promote.deployment AS d
      WHERE d.project = 'line' AND d.environment = 'test' AND d.component = done.component AND d.status = 'RUNNING';
    RETURN CASE WHEN well
        THEN (promote.complete_deployment('line-test-' || component, ran.deployment, ran.fencing)).status
        ELSE (promote.fail_deployment('line-test-' || component, ran.deployment, 'broken', ran.fencing)).status END;
END
$$;
CREATE FUNCTION pg_temp.waits(component text) RETURNS text LANGUAGE sql AS $$
    SELECT waits_for FROM promote.instance_status WHERE instance = 'line-test-' || waits.component
$$;
CREATE FUNCTION pg_temp.deploy(VARIADIC components text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    component text;
BEGIN
    FOREACH component IN ARRAY components LOOP
        PERFORM promote.deploy_instance('line-test-' || component);
    END LOOP;
END
$$;

-- ---- in order, whichever way they were queued ----
DO $$ BEGIN PERFORM promote.deploy_instance('line-far-network'); END $$;
SELECT pg_temp.deploy('app', 'db', 'network', 'other');
SELECT is(pg_temp.claims(), 'network other', 'what depends on nothing begins');
SELECT is(pg_temp.claims(), NULL, '... and nothing else');
SELECT is(pg_temp.waits('db'), 'deployment 1 of "line-test-network", which is RUNNING',
    'the status says for what it waits');
SELECT is(pg_temp.waits('app'), 'deployment 1 of "line-test-db", which is PENDING; '
    'deployment 1 of "line-test-network", which is RUNNING', '... also for what is needed by what it needs');
SELECT is(pg_temp.waits('other'), NULL, '... and nothing of what runs');
SELECT is((SELECT string_agg(waits_for, '|' ORDER BY component) FROM promote.promotion_matrix
    WHERE project = 'line' AND environment = 'test'),
    (SELECT string_agg(waits_for, '|' ORDER BY component) FROM promote.instance_status
    WHERE project = 'line' AND environment = 'test'), 'so does the matrix');
SELECT is((SELECT array_agg((code, message, until, liftable_by, overridable)::text)
    FROM promote.blockers('line-test-db', 1)),
    ARRAY['(dependency,"deployment 1 of ""line-test-network"", which it depends on, is RUNNING and comes first",,'
    '"the worker of ""line-test-network""",f)'], 'so do the blockers of what waits');
SELECT isnt((SELECT since FROM promote.blockers('line-test-db', 1)), NULL, '... with since when');
SELECT is_empty($$SELECT * FROM promote.blockers('line-test-db')$$, 'another deployment may be queued');
SELECT is_empty($$SELECT * FROM promote.blockers('line-test-network', 1) WHERE code = 'dependency'$$,
    'what runs waits for nothing');
SELECT pg_temp.refuses($$UPDATE promote.deployment SET status = 'RUNNING', worker = 'hand',
    due_at = clock_timestamp() + '1 h' WHERE project = 'line' AND environment = 'test' AND component = 'db'$$,
    'PM601', 'another component comes first', 'it is not begun by hand');
SELECT is(pg_temp.done('network'), 'COMPLETED', 'when that is done');
SELECT is(pg_temp.claims(), 'db', '... the next begins at once');
SELECT is(pg_temp.waits('app'), 'deployment 1 of "line-test-db", which is RUNNING', '... and the one behind it waits');
SELECT is(pg_temp.done('db'), 'COMPLETED', 'when that is done, too');
SELECT is(pg_temp.claims(), 'app', '... the last begins');
SELECT pg_temp.done(c) FROM unnest(ARRAY['app', 'other']) AS c;
SELECT is((SELECT count(*) FROM promote.instance WHERE project = 'line' AND status = 'PROVISIONED'), 4::bigint,
    'all run, and the other environment was in nobody''s way');

-- ---- what is planned in order to be deployed is waited for, a mere plan is not ----
DO $$ BEGIN PERFORM promote.configure_instance('line-test-' || c, '{"n": 2}') FROM unnest(ARRAY['app', 'network']) AS c;
    END $$;
SELECT is(pg_temp.claims(), 'app network', 'plans wait for nobody');
SELECT pg_temp.deploy('app');
SELECT pg_temp.done(c) FROM unnest(ARRAY['app', 'network']) AS c;
SELECT is(pg_temp.claims(), 'app', '... nor does anybody for them');
SELECT pg_temp.done('app');
DO $$ BEGIN PERFORM promote.configure_instance('line-test-' || c, '{"n": 3}', plan => false)
    FROM unnest(ARRAY['app', 'network']) AS c; END $$;
SELECT isnt((SELECT r.deployment FROM promote.plan_and_deploy('line-test-network') AS r), NULL,
    'a plan that is to be deployed');
SELECT pg_temp.deploy('app');
SELECT is(pg_temp.claims(), 'network', '... is begun first');
SELECT pg_temp.done('network');
SELECT is(pg_temp.claims(), 'network', '... then what it has queued');
SELECT pg_temp.done('network');
SELECT is(pg_temp.claims(), 'app', '... and then what waits for it');
SELECT pg_temp.done('app');

-- ---- what has failed holds what depends on it ----
DO $$ BEGIN PERFORM promote.configure_instance('line-test-' || c, '{"n": 4}', plan => false)
    FROM unnest(ARRAY['app', 'db', 'network']) AS c; END $$;
SELECT pg_temp.deploy('app', 'db', 'network');
SELECT is(pg_temp.claims(), 'network', 'the first begins');
SELECT is(pg_temp.done('network', false), 'FAILED', '... and fails');
SELECT is(pg_temp.claims(), NULL, 'nothing that depends on it begins');
SELECT is(pg_temp.waits('db'), 'deployment ' || (SELECT changed_by FROM promote.instance
    WHERE name = 'line-test-network')
    || ' of "line-test-network", which has failed', '... and says so');
SELECT is((SELECT message || '|' || liftable_by FROM promote.blockers('line-test-db',
      (SELECT deployment FROM promote.instance WHERE name = 'line-test-db'))),
    'deployment 5 of "line-test-network", which it depends on, has failed|whoever mends "line-test-network"',
    '... with who can mend it');
SELECT is_empty($$SELECT * FROM promote.blockers('line-test-network')$$, 'what has failed may be deployed again');
SELECT pg_temp.deploy('network');
SELECT is(pg_temp.claims(), 'network', '... and begins');
SELECT is(pg_temp.waits('db'), 'deployment 6 of "line-test-network", which is RUNNING', '... which is waited for then');
SELECT pg_temp.done('network');
SELECT is(pg_temp.claims(), 'db', 'what waited goes on');
SAVEPOINT gone;
SELECT is(pg_temp.done('db', false), 'FAILED', 'what has failed');
DELETE FROM promote.component_dependency WHERE component = 'app';
SELECT is(pg_temp.waits('app'), NULL, '... holds nothing that does not depend on it any more');
ROLLBACK TO gone;
SELECT pg_temp.done('db');
SELECT is(pg_temp.claims(), 'app', '... to the end');
SELECT pg_temp.done('app');

-- ---- there and back again: no two wait for each other ----
SAVEPOINT back;
DO $$ BEGIN PERFORM promote.configure_instance('line-test-' || c, '{"n": 9}', plan => false)
    FROM unnest(ARRAY['app', 'network']) AS c; END $$;
SELECT pg_temp.deploy('app');
DO $$ BEGIN PERFORM promote.decommission_instance('line-test-' || c) FROM unnest(ARRAY['app', 'network']) AS c; END $$;
SELECT pg_temp.deploy('network');
SELECT is(pg_temp.claims(), 'network', 'what is to be taken away behind a PROVISION is not waited for');
SELECT pg_temp.done('network');
SELECT is(pg_temp.claims(), 'network', '... but what is to come back is');
SELECT pg_temp.done('network');
SELECT is(pg_temp.claims(), 'app', '... and then it goes on');
SELECT pg_temp.done('app');
SELECT pg_temp.claims();
SELECT is_empty($$SELECT FROM promote.deployment WHERE project = 'line' AND environment = 'test'
    AND status IN ('PENDING', 'APPROVED')$$, '... to the end');
ROLLBACK TO back;
DO $$ BEGIN PERFORM promote.decommission_instance('line-test-' || c) FROM unnest(ARRAY['app', 'network']) AS c;
    PERFORM promote.configure_instance('line-test-' || c, '{"n": 9}', plan => false)
       FROM unnest(ARRAY['app', 'network']) AS c; END $$;
SELECT pg_temp.deploy('app', 'network');
CREATE FUNCTION pg_temp.goes() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    claimed record;
BEGIN
    SELECT * INTO claimed FROM promote.claim_deployment('w', selector => '{"line": true}');
    PERFORM promote.complete_deployment(claimed.instance, claimed.deployment, claimed.fencing);
    RETURN concat_ws(' ', claimed.action, claimed.component);
END
$$;
SELECT is(string_agg(pg_temp.goes(), ', ' ORDER BY n),
    'DECOMMISSION app, DECOMMISSION network, PROVISION network, PROVISION app',
    'what is taken down and brought back goes down backwards, and comes back in order')
  FROM generate_series(1, 4) AS n;
ROLLBACK TO back;

-- ---- backwards ----
DO $$ BEGIN PERFORM promote.decommission_instance('line-test-' || c) FROM unnest(ARRAY['network', 'db', 'app']) AS c;
    END $$;
SELECT is(pg_temp.claims(), 'app', 'what nothing depends on is taken away first');
SELECT is((SELECT message FROM promote.blockers('line-test-db', (SELECT deployment FROM promote.instance
    WHERE name = 'line-test-db'))), 'deployment ' || (SELECT deployment FROM promote.instance
        WHERE name = 'line-test-app')
    || ' of "line-test-app", which depends on it, is RUNNING and comes first', '... and what it needs waits');
SELECT is(pg_temp.done('app', false), 'FAILED', 'where that fails');
SELECT is(pg_temp.claims(), NULL, '... nothing that it needs is taken away');
SELECT matches(pg_temp.waits('network'), 'line-test-app", which has failed', '... which says so');
DO $$ BEGIN PERFORM promote.decommission_instance('line-test-app'); END $$;
SELECT is(pg_temp.claims(), 'app', 'it is tried again');
SELECT pg_temp.done('app');
SELECT is(pg_temp.claims(), 'db', '... then the next');
SELECT pg_temp.done('db');
SELECT is(pg_temp.claims(), 'network', '... and the last');
SELECT pg_temp.done('network');
SELECT is((SELECT string_agg(DISTINCT status, ' ') FROM promote.instance WHERE project = 'line' AND environment = 'test'
    AND component <> 'other'), 'DECOMMISSIONED', 'all are gone');

SELECT * FROM finish();
ROLLBACK;
