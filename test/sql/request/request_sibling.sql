-- Requests take references to siblings along: resolved at the destination, shown before, recorded; and where a sibling
-- is not there, its wave waits until it is.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql

INSERT INTO promote.bundle VALUES ('wired');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
VALUES ('wired', '1.0.0', '{}', '{"network": {}, "zone": {"required": false}}');
INSERT INTO promote.component (project, component, bundle)
VALUES ('shop', 'web', 'wired'), ('shop', 'app', 'wired'), ('shop', 'cache', 'service');
INSERT INTO promote.instance (project, environment, component)
VALUES ('shop', 'staging', 'web'), ('shop', 'staging', 'app'), ('shop', 'staging', 'cache'),
    ('shop', 'production', 'web'), ('shop', 'production', 'app');
UPDATE promote.parameter_set SET parameters = jsonb_build_object('vpc', 'vpc-' || environment) WHERE project = 'shop';
DO $$ BEGIN
    PERFORM promote.configure_instance('shop-staging-' || c, '{"n": 1}') FROM unnest(ARRAY['web', 'app', 'cache']) AS c;
    PERFORM promote.set_remote_reference('shop-staging-web', 'network', 'component://s1/{{vpc}}');
    -- production has no such component
    PERFORM promote.set_remote_reference('shop-staging-app', 'network', 'component://cache/vpc');
    PERFORM pg_temp.work_all();
END $$;
SELECT (promote.open_request('shop', 'staging', 'production', '{"components": ["web", "app"]}', 'all_at_once',
    message => 'wires')).request AS number \gset

-- ---- before ----
SELECT is(pg_temp.lines(format($$SELECT component, d ->> 'path', d ->> 'change', d ->> 'new'
    FROM promote.preview_request('shop', %s), jsonb_array_elements(diff) AS d WHERE d ->> 'kind' = 'reference'
    ORDER BY 1$$, :number)),
    E'(app,"reference network",add,component://shop-production-cache/vpc)\n'
    '(web,"reference network",add,component://shop-production-s1/vpc-production)',
    'the preview shows them as they will be at the destination');
SELECT is(pg_temp.lines(format($$SELECT component, b ->> 'message' FROM promote.preview_request('shop', %s),
    jsonb_array_elements(blockers) AS b WHERE b ->> 'code' = 'references' ORDER BY 1$$, :number)),
    '(app,"""shop-production-app"" refers to siblings that its environment does not have: network '
    '(shop-production-cache)")', '... and which sibling is not there');
SELECT is_empty($$SELECT FROM promote.remote_reference WHERE project = 'shop' AND environment = 'production'$$,
    '... and writes nothing');

-- ---- staged ----
SELECT pg_temp.advance(:number) AS moved \gset
SELECT is(pg_temp.lines($$SELECT component, field, reference FROM promote.remote_reference
    WHERE project = 'shop' AND environment = 'production' ORDER BY 1$$),
    E'(app,network,component://cache/vpc)\n(web,network,component://s1/{{vpc}})', 'staging writes them as they were');
SELECT is(pg_temp.lines($$SELECT subject, data ->> 'source' FROM promote.audit_log
    WHERE event = 'references.copied' AND subject ~ '^shop-production' ORDER BY 1$$),
    E'(shop-production-app,shop-staging-app)\n(shop-production-web,shop-staging-web)', '... and records from where');
SELECT pg_temp.work_all() AS planned \gset

-- ---- the sibling is not there ----
SELECT is(pg_temp.advance(:number), 'BLOCKED 1 0', 'what refers to one that is not there is not deployed');
SELECT is(pg_temp.items(:number), 'app 1 STAGED, web 1 STAGED', '... nor is the rest of its wave');
SELECT matches(pg_temp.waits(:number), 'refers to siblings that its environment does not have: network '
    '\(shop-production-cache\)', '... and says what it waits for');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('shop-production-app')$$, 'PM601', 'sibling',
    '... nor is it past the request');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'production', 'cache');
SELECT is(pg_temp.drain(:number), 'COMPLETED', 'once it is there, the request goes on to its end');
SELECT is(pg_temp.lines($$SELECT component, remote_references ->> 'network' FROM promote.deployment
    WHERE project = 'shop' AND environment = 'production' AND component IN ('app', 'web') AND action = 'PROVISION'
    ORDER BY component$$),
    E'(app,component://shop-production-cache/vpc)\n(web,component://shop-production-s1/vpc-production)',
    '... and what is deployed carries the siblings'' names');

-- ---- what runs keeps its empty slots ----
SELECT promote.set_remote_reference('shop-staging-web', 'zone', 'component://s2/zone');
SELECT promote.configure_instance('shop-staging-web', '{"n": 2}') \g /dev/null
SELECT pg_temp.work_all() AS planned \gset
SELECT (promote.open_request('shop', 'staging', 'production', '{"components": ["web"]}', 'all_at_once',
    message => 'again')).request AS number \gset
SELECT is(pg_temp.lines(format($$SELECT d ->> 'path' FROM promote.preview_request('shop', %s),
    jsonb_array_elements(diff) AS d$$, :number)), '(.n)', 'a slot that what runs has empty is left so');
SELECT is(pg_temp.drain(:number), 'COMPLETED', '... by the request as well');
SELECT is((SELECT remote_references FROM promote.deployment WHERE project = 'shop' AND environment = 'production'
    AND component = 'web' ORDER BY deployment DESC LIMIT 1),
    '{"network": "component://shop-production-s1/vpc-production"}', '... to the end');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');
SELECT * FROM finish();
ROLLBACK;
