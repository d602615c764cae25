-- Requests that promote to what has no configuration yet: previewed, staged, deployed, verified; or left as it was.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('service', '2.0.0',
    '{"required": ["own"], "properties": {"own": {"$md.copyable": false}, "size": {"type": "integer"}}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'n1', 'service'), ('shop', 'n2', 'service');
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, c FROM unnest('{staging,production}'::text[]) AS e, unnest('{n1,n2}'::text[]) AS c;
SELECT promote.configure_instance('shop-staging-' || c, '{"size": 4, "own": "stage"}', '2.0.0')
    FROM unnest('{n1,n2}'::text[]) AS c
\g /dev/null
SELECT pg_temp.work_all() \g /dev/null

-- ---- what is missing stands in its way ----
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["n1", "n2"]}',
    overrides => '{"n2": {"own": "n2"}}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT component, skip_reason, base_revision, version, blockers
    FROM promote.preview_request('shop', 1)$$),
    E'(n1,,,2.0.0,"[{""code"": ""params"", ""message"": "".: required property \\\\""own\\\\"" is missing""}]")\n'
        '(n2,,,2.0.0,[])',
    'the preview says what is missing');
SELECT is(pg_temp.advance(1), 'BLOCKED 1 0', 'which stands in its way');
SELECT matches(pg_temp.waits(1), 'required property "own" is missing', '... until it is given');
SELECT is((promote.cancel_request('shop', 1, 'n1 has nothing of its own')).status, 'CANCELLED', 'cancelled');

-- ---- a first promotion, from the preview to the end ----
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["n1"]}',
    overrides => '{"n1": {"own": "n1"}}',
    rollback_mode => 'all') \g /dev/null
SELECT is(pg_temp.lines($$SELECT pg_temp.entries(diff), other_changes FROM promote.preview_request('shop', 2)$$),
    E'("release version add -> ""2.0.0"" 1\nrelease constraint add -> ""2.0.0"" 1\nrelease channel add -> ""stable"" '
        '1\n'
    '.own add -> ""n1"" 1\n.size add -> 4 1",)', 'everything is added');
SELECT is(pg_temp.drain(2), 'COMPLETED', 'staged, planned, deployed');
SELECT is(pg_temp.params('shop-production-n1'), '{"size": 4, "own": "n1"}', 'with its own');
SELECT is(pg_temp.lines($$SELECT origin, source_environment, source_revision FROM promote.revision
    WHERE environment = 'production' AND component = 'n1'$$), '(promotion,staging,1)',
        'its first revision is a promotion');
SELECT is((SELECT status FROM promote.instance_status WHERE instance = 'shop-production-n1'), 'in_sync', 'it runs');

-- ---- it moves between the preview and the staging ----
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'n3', 'service');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'n3'),
    ('shop', 'production', 'n3');
SELECT promote.configure_instance('shop-staging-n3', '{"size": 4, "own": "stage"}', '2.0.0') \g /dev/null
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["n3"]}',
    overrides => '{"n3": {"own": "n3"}}') \g /dev/null
SELECT pg_temp.preview(3) \g /dev/null
SELECT promote.configure_instance('shop-production-n3', '{"own": "mine"}', '2.0.0') \g /dev/null
SELECT pg_temp.refuses('SELECT pg_temp.advance(3)', 'PM607', '"shop-production-n3" has moved',
    'somebody configured it meanwhile');
SELECT is(pg_temp.preview(3), 1::bigint, 'another preview');
SELECT is(pg_temp.drain(3), 'COMPLETED', 'and it goes on');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
