-- References to siblings, which mean the same in every environment, and defaults of environments.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
VALUES ('empty', '1.0.0', '{}', '{"network": {}, "zone": {"required": false}}');
INSERT INTO promote.project (project) VALUES ('line');
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
    VALUES ('line', 'test', false, false), ('line', 'far-west', false, false), ('line', 'bare', false, false);
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('line', 'test', '{"vpc": "vpc-1"}'), ('line', 'far-west', '{"vpc": "vpc-2"}'),
           ('line', 'bare', '{"vpc": "vpc-3"}');
INSERT INTO promote.component (project, component, bundle)
VALUES ('line', 'app', 'empty'), ('line', 'web', 'empty'), ('line', 'network', 'redis');
INSERT INTO promote.instance (project, environment, component)
SELECT 'line', e, c FROM unnest(ARRAY['test', 'far-west']) AS e, unnest(ARRAY['app', 'web', 'network']) AS c;
INSERT INTO promote.instance (project, environment, component) VALUES ('line', 'bare', 'app');
DO $$ BEGIN
    PERFORM promote.configure_instance(name, '{"n": 1}', '1.0.0', plan => false) FROM promote.instance
      WHERE project = 'line' AND environment <> 'bare';
END $$;
-- What would fill the slots of an instance, as it is rendered.
CREATE FUNCTION pg_temp.filled(name text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT promote_internal.desired_references(i.project, i.environment, i.component, '{"network": {}, "zone": {}}')
      FROM promote.instance AS i WHERE i.name = filled.name
$$;

-- ---- siblings ----
SELECT ok(promote.set_remote_reference('line-test-app', 'network', 'component://network/{{vpc}}/a'), 'a sibling');
SELECT ok(promote.set_remote_reference('line-test-web', 'network', 'component://network/vpc'), '... of another');
SELECT is(pg_temp.filled('line-test-app'), '{"network": "component://line-test-network/vpc-1/a"}',
    'its name, with parameters');
SELECT is(pg_temp.filled('line-test-web'), '{"network": "component://line-test-network/vpc"}', '... or without');
SELECT is((SELECT reference FROM promote.reference_status WHERE instance = 'line-test-web' AND field = 'network'),
    'component://network/vpc', 'it is shown as it is written');
SELECT pg_temp.refuses(format('SELECT promote.set_remote_reference(%L, %L, %L)', 'line-test-app', 'zone', reference),
    'PM002', detail, reference)
  FROM (VALUES ('component://app/x', '^It is of that component itself\.$'),
      ('component://nowhere', '^Environment "test" of project "line" has no instance of component "nowhere"\.$'),
      ('component:///x', 'no instance of component ""')) AS v(reference, detail);
SELECT matches((pg_temp.refusal($$SELECT promote.set_remote_reference('line-test-app', 'zone',
    'component://db/x')$$)).message,
    '^"line-test-app" has no sibling "db"$', 'a component of another project');
SELECT ok(promote.set_remote_reference('line-test-app', 'zone', r), r) FROM unnest(ARRAY[
    'component://line-far-west-network/zone', 'component:network', 'urn:component://network']) AS r;
SELECT is(pg_temp.filled('line-test-app') ->> 'zone', 'urn:component://network', 'what is no sibling stays as it is');
SELECT promote.remove_remote_reference('line-test-app', 'zone');
SELECT is((promote.deploy_instance('line-test-web')).remote_references,
    '{"network": "component://line-test-network/vpc"}',
    'what is deployed carries the name');
SELECT is((SELECT remote_references FROM promote.claim_deployment('w', max => 10) WHERE component = 'web'),
    '{"network": "component://line-test-network/vpc"}', '... and its worker gets it');
SELECT promote.complete_deployment('line-test-web', 1, 1);
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'line-test-web'), 'in_sync',
    'it is in sync then');
SELECT pg_temp.refuses($$SELECT promote.set_remote_reference('line-test-web', 'network', 'component://app/vpc')$$,
    'PM721',
    'network', 'and what runs is not replaced');
SELECT lives_ok($$SELECT promote.set_remote_reference('line-test-web', 'network',
    'component://line-test-network/vpc')$$,
    '... but written otherwise');
SELECT promote.set_remote_reference('line-test-web', 'network', 'component://network/vpc');

SELECT promote.set_remote_reference('line-test-app', 'zone', 'component://network?of=vpc#zone') \g /dev/null
SELECT is_empty($$SELECT FROM promote.blockers('line-test-app') WHERE code = 'references'$$,
    'what follows the name may be a query');
SELECT promote.remove_remote_reference('line-test-app', 'zone') \g /dev/null

-- ---- promoting takes them along ----
SELECT is((SELECT array_agg((kind, path, change, old_value, new_value, origin)::text)
    FROM promote.preview_promotion('line-test-web', 'line-far-west-web') WHERE kind = 'reference'),
    ARRAY['(reference,"reference network",add,,"""component://line-far-west-network/vpc""",source)'],
    'the preview says that it goes along');
SELECT is((SELECT array_agg(d ->> 'path' || ' ' || (d ->> 'new')) FROM promote.promote_instance('line-test-web',
    'line-far-west-web'), jsonb_array_elements(diff) AS d WHERE d ->> 'kind' = 'reference'),
    ARRAY['reference network component://line-far-west-network/vpc'], '... and so it does');
SELECT is((SELECT reference FROM promote.remote_reference WHERE environment = 'far-west' AND component = 'web'),
    'component://network/vpc', '... as it is written');
SELECT isnt_empty($$SELECT FROM promote.audit_log WHERE subject = 'line-far-west-web' AND event = 'references.copied'$$,
    '... and is recorded');
SELECT is((promote.deploy_instance('line-far-west-web')).remote_references,
    '{"network": "component://line-far-west-network/vpc"}', '... and deployed');
SAVEPOINT runs;
-- its plan, and what was queued behind that
DO $$ BEGIN
    FOR n IN 1 .. 2 LOOP
        PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing)
            FROM promote.claim_deployment('w', max => 10) AS c;
    END LOOP;
END $$;
SELECT promote.set_remote_reference('line-test-web', 'zone', 'component://network/zone', allow_replace => true);
SELECT lives_ok($$SELECT promote.promote_instance('line-test-web', 'line-far-west-web')$$, 'where something runs');
SELECT is(pg_temp.filled('line-far-west-web') ->> 'zone', NULL, '... its empty slots are not filled unasked');
SELECT lives_ok($$SELECT promote.promote_instance('line-test-web', 'line-far-west-web', allow_replace => true)$$,
    '... but where it may be replaced');
SELECT is(pg_temp.filled('line-far-west-web') ->> 'zone', 'component://line-far-west-network/zone', '... they are');
ROLLBACK TO runs;
SAVEPOINT many;
SELECT is_empty($$SELECT FROM promote.preview_promotion('line-test-app', 'line-far-west-app', "only" => ARRAY['.n'])
    WHERE kind = 'reference'$$, 'a part of it takes none along');
SELECT is((SELECT array_agg(DISTINCT problem)
    FROM promote.promote_many(ARRAY['line-test-app'], ARRAY['line-far-west-app'])),
    ARRAY[NULL]::text[], 'a set is promoted');
SELECT is(pg_temp.filled('line-far-west-app'), '{"network": "component://line-far-west-network/vpc-2/a"}',
    '... and takes it along as well');
ROLLBACK TO many;
SELECT promote.set_remote_reference('line-far-west-app', 'network', 'urn:own');
SELECT lives_ok($$SELECT promote.promote_instance('line-test-app', 'line-far-west-app')$$, 'where the slot is filled');
SELECT is(pg_temp.filled('line-far-west-app'), '{"network": "urn:own"}', '... it stays what it is');
SELECT promote.set_remote_reference('line-test-app', 'zone', 'urn:zone');
SELECT lives_ok($$SELECT promote.promote_instance('line-test-app', 'line-bare-app')$$,
    'where the sibling is not there');
SELECT is(pg_temp.filled('line-bare-app'), '{"network": "component://line-bare-network/vpc-3/a"}',
    '... it goes along, and nothing else does');
SELECT is((SELECT array_agg(message || '|' || liftable_by) FROM promote.blockers('line-bare-app')
    WHERE code = 'references'),
    ARRAY['"line-bare-app" refers to siblings that its environment does not have: network (line-bare-network)|'
        'promote.set_remote_reference, or whoever inserts the instance'], '... but is not deployed');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('line-bare-app')$$, 'PM601', '^references: ', '... by anybody');
INSERT INTO promote.instance (project, environment, component) VALUES ('line', 'bare', 'network');
SELECT is_empty($$SELECT FROM promote.blockers('line-bare-app')$$, '... until it is there');

-- ---- defaults of environments ----
SELECT promote.remove_remote_reference('line-test-app', 'zone');
UPDATE promote.environment SET reference_defaults
    = '{"zone": "urn:{{vpc}}", "other": "x", "network": "component://network/d"}'
 WHERE project = 'line';
SELECT is(pg_temp.filled('line-test-app'), '{"zone": "urn:vpc-1", "network": "component://line-test-network/vpc-1/a"}',
    'they fill what has none of its own, and slots of the release alone');
SELECT is((SELECT array_agg((field, reference, set_by IS NULL)::text ORDER BY field) FROM promote.reference_status
    WHERE instance = 'line-test-app'), ARRAY['(network,component://network/{{vpc}}/a,f)', '(zone,urn:{{vpc}},t)'],
    '... which is shown');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'line-test-web'), 'stale',
    'what runs without them is stale');
SELECT is((promote.deploy_instance('line-test-web')).remote_references,
    '{"zone": "urn:vpc-1", "network": "component://line-test-network/vpc"}', '... until it is deployed with them');
SELECT ok(promote.remove_remote_reference('line-test-app', 'network'), 'what is removed');
SELECT is(pg_temp.filled('line-test-app'), '{"zone": "urn:vpc-1", "network": "component://line-test-network/d"}',
    '... gives way to the default');
SELECT is_empty($$SELECT FROM promote.blockers('line-test-app')$$, '... by which a slot is not empty');
SELECT ok(NOT promote.remove_remote_reference('line-test-app', 'network'), 'a default is not removed by that');
UPDATE promote.environment SET reference_defaults = '{}' WHERE project = 'line' AND environment = 'bare';

SELECT lives_ok($$SELECT promote.promote_instance('line-test-app', 'line-bare-app', copy_remote_references => true)$$,
    'defaults are of their environment');
SELECT is(pg_temp.filled('line-bare-app'), '{"network": "component://line-bare-network/vpc-3/a"}',
    '... and are not copied');
SELECT pg_temp.refuses(format('UPDATE promote.environment SET reference_defaults = %L', d), 'PM404', detail, d)
  FROM (VALUES ('[]', 'an object'), ('{"a": 1}', 'a text'), ('{"-a": "x"}', 'does not begin with a dash'),
      ('{"a": ""}', '1 to 2048 bytes'), ('{"a": "db://u:p@h"}', 'a password')) AS v(d, detail);
UPDATE promote.environment SET reference_defaults = '{"zone": "urn:{{nowhere}}"}' WHERE project = 'line';
SELECT pg_temp.refuses($$SELECT promote.plan_instance('line-test-web')$$, 'PM105', 'nowhere',
    'parameters that are missing');

SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
