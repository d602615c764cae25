-- Gates about what source and destination are, and what the plan would do.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql

-- What blocks production by one gate: message, liftable_by, overridable.
CREATE FUNCTION pg_temp.blocked(gate text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT b.message FROM promote.blockers('ecomm-production-db') AS b WHERE b.code = gate
$$;
CREATE FUNCTION pg_temp.rule(setting text, setting_value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE promote.environment SET %I = %L WHERE project = ''ecomm'' AND environment = ''production''',
        setting, setting_value);
END $$;

-- ---- the source in sync ----
SELECT pg_temp.rule('require_expected', 'false') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('source_in_sync')$$, 'an edit has no source');
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('source_in_sync')$$, 'nor does everybody ask for that');
SELECT pg_temp.rule('require_source_in_sync', 'true') \g /dev/null
SELECT is(pg_temp.lines($$SELECT message, since IS NOT NULL, until, liftable_by
    FROM promote.blockers('ecomm-production-db') WHERE code = 'source_in_sync'$$),
    '("the source ""ecomm-staging-db"" is never_deployed, not in_sync",t,,"whoever deploys ""ecomm-staging-db"", or '
        'promotes what it runs")', 'a source that does not run blocks');
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('source_in_sync')$$, 'one that runs what was promoted does not');
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 3}') \g /dev/null
SELECT is((SELECT pg_temp.blocked('source_in_sync')), 'the source "ecomm-staging-db" is stale, not in_sync',
    'one that desires something else does');
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is((SELECT pg_temp.blocked('source_in_sync')),
    'the source "ecomm-staging-db" runs revision 2, not the configuration of revision 1 that was promoted',
    'so does one that runs it');
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 1}') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('source_in_sync')$$, 'what runs counts, not its number');
SELECT promote.configure_instance('ecomm-staging-db', '{}', '1.1.0') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is((SELECT pg_temp.blocked('source_in_sync')),
    'the source "ecomm-staging-db" runs release 1.1.0, not 1.2.0-dev.20260915T101500Z', 'and the release it runs by');
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('source_in_sync')$$, 'promoted again it is');
SELECT promote.report_observed('ecomm-staging-db', '{"size": "small"}'::jsonb, 'scan') \g /dev/null
SELECT is((SELECT pg_temp.blocked('source_in_sync')), 'the source "ecomm-staging-db" is drifted, not in_sync',
    'one that drifted is not in sync');
SELECT is((SELECT since FROM promote.blockers('ecomm-production-db') WHERE code = 'source_in_sync'), (SELECT since
    FROM promote.instance_status WHERE instance = 'ecomm-staging-db'), '... since when the status says');
SELECT promote.dismiss_drift('ecomm-staging-db', 'a test') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('source_in_sync')$$, '... until that is dismissed');
SELECT pg_temp.rule('require_source_in_sync', 'false') \g /dev/null

-- ---- drift at the destination ----
SELECT pg_temp.deploy('ecomm-production-db', true) \g /dev/null
SELECT promote.report_observed('ecomm-production-db', pg_temp.params('ecomm-production-db')
    || '{"replicas": 8, "tier": "x"}', 'scan') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('drift')$$, 'deploying what was deployed puts it right');
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 2}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT message, since = (SELECT min(since) FROM promote.drift_status
    WHERE instance = 'ecomm-production-db'), until, liftable_by FROM promote.blockers('ecomm-production-db')
    WHERE code = 'drift'$$),
    '("""ecomm-production-db"" differs from what was deployed: .replicas, .tier",t,,"whoever adopts or dismisses it")',
        'deploying something else would overwrite it unseen');
SELECT is((SELECT string_agg(path, ', ' ORDER BY path) FROM promote.drift_status
    WHERE instance = 'ecomm-production-db'), '.replicas, .tier', '... as the view shows it');
SELECT pg_temp.rule('require_no_drift', 'false') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('drift')$$, '... where that matters');
SELECT pg_temp.rule('require_no_drift', 'true') \g /dev/null
SELECT promote.dismiss_drift('ecomm-production-db', 'fine', '.tier') \g /dev/null
SELECT is((SELECT pg_temp.blocked('drift')), '"ecomm-production-db" differs from what was deployed: .replicas',
    'what was dismissed does not block');
SELECT promote.adopt_drift('ecomm-production-db') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('drift')$$, 'nor what is adopted');
SELECT promote.configure_instance('ecomm-production-db', '{"replicas": 4}') \g /dev/null
SELECT isnt_empty($$SELECT pg_temp.blocked('drift')$$, '... by what is desired');
SELECT promote.report_observed('ecomm-production-db', jsonb_build_object('size', 'small')
    || (SELECT jsonb_object_agg('k' || i, i) FROM generate_series(1, 9) AS i), 'scan') \g /dev/null
SELECT matches((SELECT pg_temp.blocked('drift')),
    '"ecomm-production-db" differs from what was deployed: \.account, \.k1, \.k2, \.k3, \.k4 and \d+ more$',
    'of many the first are named');
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT promote.dismiss_drift('ecomm-production-db', 'start again') \g /dev/null
SELECT pg_temp.planned('ecomm-production-db', '[]',
    '[["aws_db_instance.moved", ["update"], {"a": 1}, {"a": 2}]]') \g /dev/null
SELECT is((SELECT pg_temp.blocked('drift')),
    '"ecomm-production-db" differs from what was deployed: aws_db_instance.moved', 'also what a plan has found');
SELECT pg_temp.planned('ecomm-production-db', '[]') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('drift')$$, '... until the next finds it no more');
-- the environment's parameters have changed: what would be deployed is not what was
SELECT promote.configure_instance('ecomm-production-db', '{"account": "{{domain}}"}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-db', true) \g /dev/null
SELECT promote.report_observed('ecomm-production-db', '{"size": "large"}'::jsonb, 'scan') \g /dev/null
SELECT pg_temp.planned('ecomm-production-db', '[]') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('drift')$$, 'the same with placeholders puts it right');
UPDATE promote.parameter_set SET parameters = parameters || '{"domain": "example.net"}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT matches((SELECT detail FROM pg_temp.refusal($$SELECT promote.deploy_instance('ecomm-production-db')$$)),
    '(^|\n)drift: ', '... not with other parameters, where the last plan holds no more, and none is required');
SELECT is((SELECT string_agg(code, ', ') FROM promote.blockers('ecomm-production-db')), 'drift',
    '... which is what those who ask are told');
SELECT pg_temp.planned('ecomm-production-db', '[]') \g /dev/null
SELECT isnt_empty($$SELECT pg_temp.blocked('drift')$$, '... nor by a plan of these');
UPDATE promote.parameter_set SET parameters = parameters || '{"domain": "example.org"}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT matches((SELECT detail FROM pg_temp.refusal($$SELECT promote.deploy_instance('ecomm-production-db')$$)),
    '(^|\n)drift: ', '... nor where no plan fits, and none is required');
SELECT promote.dismiss_drift('ecomm-production-db', 'start again') \g /dev/null

-- ---- what destroys data ----
SELECT is_empty($$SELECT pg_temp.blocked('destructive')$$, 'a plan that does nothing destroys nothing');
SELECT pg_temp.planned('ecomm-production-db',
    '[["aws_db_instance.a", ["update"], {"a": 1}, {"a": 2}], ["aws_db_instance.b", ["delete"], {"a": 1}, null], '
    '["aws_db_instance.c", ["delete", "create"], {"a": 1}, {"a": 2}]]') AS plan \gset
SELECT is(pg_temp.lines($$SELECT message, since, until, liftable_by FROM promote.blockers('ecomm-production-db')
    WHERE code = 'destructive'$$),
    format('("plan %s deletes or replaces resources that hold data: aws_db_instance.b, aws_db_instance.c",,,"whoever '
        'changes what is desired, so that another plan does not")', :plan), 'what deletes or replaces blocks');
SELECT pg_temp.planned('ecomm-production-db',
    (SELECT jsonb_agg(jsonb_build_array('aws_db_instance.x[' || i || ']', '["delete"]'::jsonb, '{"a": 1}'::jsonb, NULL))
    FROM generate_series(0, 6) AS i)) AS plan \gset
SELECT is((SELECT pg_temp.blocked('destructive')),
    format('plan %s deletes or replaces resources that hold data: aws_db_instance.x[0], aws_db_instance.x[1], '
    'aws_db_instance.x[2], aws_db_instance.x[3], aws_db_instance.x[4] and 2 more', :plan),
    'of many the first are named');
SELECT is((SELECT message FROM promote.blockers('ecomm-production-db', :plan - 1) WHERE code = 'destructive'),
    format('plan %s deletes or replaces resources that hold data: aws_db_instance.b, aws_db_instance.c', :plan - 1),
    'of the deployment that is asked for');
SELECT is((SELECT string_agg(address, ', ' ORDER BY change) FROM promote.resource_changes
    WHERE instance = 'ecomm-production-db' AND deployment = :plan - 1 AND destructive AND stateful),
    'aws_db_instance.b, aws_db_instance.c', '... as the view shows it');
-- types that hold data by the release, and by a pattern
CREATE FUNCTION pg_temp.planned_of(type text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION pg_temp.resources(changes jsonb) RETURNS jsonb LANGUAGE sql AS %L',
        format('SELECT COALESCE(jsonb_agg(jsonb_build_object(''address'', c -> 0, ''mode'', COALESCE(c ->> '
            '4, ''managed''), ''type'', %L, ''name'', ''x'', ''provider_name'', ''p'',
                ''change'', jsonb_build_object(''actions'', c -> 1, ''before'', c -> 2, ''after'', c -> 3))), ''[]'') '
                    'FROM jsonb_array_elements(changes) AS c', type));
    PERFORM pg_temp.planned('ecomm-production-db',
        '[["x.x", ["delete"], {"a": 1}, null], ["x.data", ["delete"], {"a": 1}, null, "data"]]');
    RETURN QUERY SELECT pg_temp.blocked('destructive');
END $$;
SELECT is_empty($$SELECT pg_temp.planned_of('acme_disk')$$, 'what holds no data may go');
UPDATE promote.bundle_release SET stateful_types = '{acme_*}' WHERE bundle = 'postgres';
SELECT matches((SELECT pg_temp.planned_of('acme_disk')), 'hold data: x\.x$', 'it holds data by its release');
UPDATE promote.bundle_release SET stateful_types = '{}' WHERE bundle = 'postgres';
INSERT INTO promote.stateful_type (pattern) VALUES ('zz_*');
SELECT matches((SELECT pg_temp.planned_of('zz_disk')), 'hold data: x\.x$', '... or by a pattern');
SELECT is((SELECT string_agg(address, ', ') FROM promote.resource_changes WHERE instance = 'ecomm-production-db'
    AND destructive AND stateful AND type = 'zz_disk'), 'x.x', '... as the view shows it');
SELECT pg_temp.planned_of('aws_db_instance') \g /dev/null
SELECT is_empty($$SELECT code FROM promote.blockers('ecomm-staging-db') WHERE code = 'destructive'$$,
    'and of that instance');

-- ---- what the source has not been through ----
CREATE FUNCTION pg_temp.promoted(overrides jsonb DEFAULT '{}', changes jsonb DEFAULT NULL) RETURNS SETOF text
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', overrides, allow_replace => true);
    IF changes IS NULL THEN
        PERFORM pg_temp.work('ecomm-production-db');
    ELSE
        PERFORM pg_temp.work('ecomm-production-db');
        PERFORM pg_temp.planned('ecomm-production-db', changes);
    END IF;
    RETURN QUERY SELECT pg_temp.blocked('unexpected');
END $$;
SELECT pg_temp.rule('require_expected', 'true') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('unexpected')$$, 'an edit has no source');
SELECT promote.configure_instance('ecomm-staging-db',
    '{"replicas": 3, "size": "large", "account": "stage"}') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is_empty($$SELECT pg_temp.promoted()$$, 'what the source runs is expected');
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 9, "network": {"zones": ["b", "c"]}}') \g /dev/null
SELECT matches((SELECT pg_temp.promoted()),
    'the configuration gets values that "ecomm-staging-db" never had: (?=.*\.replicas)(?=.*\.network\.zones\[0\])',
    'what it only desires is not');
SELECT ok((SELECT bool_and(unexpected) FROM promote.config_changes WHERE instance = 'ecomm-production-db'
    AND path ~ 'replicas|zones' AND deployment = (SELECT max(deployment) FROM promote.config_changes
    WHERE instance = 'ecomm-production-db')), '... as the view shows it');
SELECT is((SELECT liftable_by FROM promote.blockers('ecomm-production-db') WHERE code = 'unexpected'),
    'whoever deploys it at "ecomm-staging-db" first', '... it says who can help');
SELECT pg_temp.rule('require_expected', 'false') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('unexpected')$$, '... where that matters');
SELECT pg_temp.rule('require_expected', 'true') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('unexpected')$$, 'once the source has run it, it is');
SELECT is_empty($$SELECT pg_temp.promoted('{"replicas": 5}')$$, 'an override is meant');
SELECT is_empty($$SELECT pg_temp.promoted('{"network": {"zones": ["z"]}}')$$, '... with all that it replaces');
SELECT is_empty($$SELECT pg_temp.promoted('{"network": null, "tier": "gold"}')$$, '... and takes away');
SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 8}') \g /dev/null
SELECT matches((SELECT pg_temp.promoted('{"tier": "silver"}')), 'never had: \.replicas$', '... but nothing beside it');
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
-- what is the destination's own
SELECT promote.configure_instance('ecomm-production-db', '{"account": "mine", "network": {"cidr": "10.8.0.0/16"}}',
    allow_replace => true) \g /dev/null
SELECT is_empty($$SELECT pg_temp.promoted()$$, 'what the destination has for itself is no business of the source''s');
SELECT promote.configure_instance('ecomm-staging-db',
    '{"network": {"zones": ["{{domain}}"]}, "nodes": [{"role": "{{domain}}"}]}') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is_empty($$SELECT pg_temp.promoted()$$, 'nor are its environment''s parameters');
-- resources
SELECT is_empty($$SELECT pg_temp.promoted('{}', '[["aws_db_instance.new", ["create"], null, {"a": 1}]]')$$,
    'where no plan of the source was recorded, no change is unexpected');
SELECT pg_temp.planned('ecomm-staging-db', '[["aws_db_instance.known", ["update"], {"a": 1}, {"a": 2}]]') \g /dev/null
SELECT matches((SELECT pg_temp.promoted('{"tier": null}',
    '[["aws_db_instance.known", ["update"], {"a": 1}, {"a": 2}], ["aws_db_instance.new", ["create"], null, {"a": 1}], '
    '["aws_db_instance.other", ["update"], {"a": 1}, {"a": 2}]]')),
    '^plan \d+ makes changes that "ecomm-staging-db" never had: aws_db_instance.new$',
        'where one was, what it did not have is; overrides explain updates');
SELECT promote.configure_instance('ecomm-staging-db', '{"tier": "bronze"}') \g /dev/null
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT matches((SELECT pg_temp.promoted('{}',
    '[["aws_db_instance.known", ["update"], {"a": 5}, {"a": 7}], ["aws_db_instance.other", ["update"], {"a": 1}, {"a": '
    '2}]]')),
    '^plan \d+ makes changes that "ecomm-staging-db" never had: aws_db_instance.other$',
        'without overrides updates are held against the source''s, too');
SELECT is((SELECT string_agg(address, ', ') FROM promote.resource_changes WHERE instance = 'ecomm-production-db'
    AND unexpected AND deployment = (SELECT max(deployment) FROM promote.resource_changes
    WHERE instance = 'ecomm-production-db')), 'aws_db_instance.other', '... as the view shows it');
SELECT is_empty($$SELECT pg_temp.promoted('{}', '[["aws_db_instance.known", ["update"], {"a": 5}, {"a": 7}]]')$$,
    'what the source''s plans had is expected');
-- nothing was planned
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm';
SELECT promote.configure_instance('ecomm-staging-db', '{"tier": "lead", "replicas": 7}') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"size": "small"}', plan => false,
    allow_replace => true) \g /dev/null
SELECT is((SELECT pg_temp.blocked('unexpected')),
    'the configuration gets values that "ecomm-staging-db" never had: .tier, .replicas',
    'without a plan the configurations are compared');
SELECT matches((pg_temp.refusal($$SELECT promote.deploy_instance('ecomm-production-db')$$)).detail,
    'unexpected: the configuration gets values that "ecomm-staging-db" never had: .tier, .replicas',
    '... also when it is deployed');
SELECT pg_temp.deploy('ecomm-staging-db', true) \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('unexpected')$$, '... and what the source has run is expected');
-- nothing ran at the source
SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small"}', '1.0.0', plan => false) \g /dev/null
SELECT promote.promote_instance('ecomm-prod-uswest-db', 'ecomm-production-db', allow_replace => true) \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
SELECT is_empty($$SELECT pg_temp.blocked('unexpected')$$,
    'where nothing ever ran at the source there is nothing to compare with');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
