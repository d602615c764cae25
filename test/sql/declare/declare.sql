-- What declaring a row comes to, whatever its kind: create, change, keep, delete, and what it writes.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql

-- A declaration in a line; writes says how many events the log has more.
CREATE FUNCTION pg_temp.said(call text, OUT said text, OUT writes bigint) LANGUAGE plpgsql AS $$
BEGIN
    writes := -(SELECT count(*) FROM promote.audit_log);
    EXECUTE 'SELECT concat_ws('' '', kind, name, action, changes) FROM promote.' || call INTO said;
    writes := writes + (SELECT count(*) FROM promote.audit_log);
END
$$;
CREATE FUNCTION pg_temp.says(call text, expected text, expected_writes integer, what text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    SELECT * INTO r FROM pg_temp.said(call);
    RETURN NEXT is(r.said, expected, what);
    RETURN NEXT is(r.writes, expected_writes::bigint, '... events: ' || expected_writes);
END
$$;

-- ---- merging ----
SELECT pg_temp.says($$register_project('shop')$$, 'project shop create []', 1, 'a row that is new');
SELECT pg_temp.says($$register_project('shop')$$, 'project shop keep []', 0, 'one that is there');
SELECT pg_temp.says($$register_project('shop', 'A shop', '{"tier": 1}')$$,
    'project shop change [{"new": "A shop", "old": null, "column": "description"}, '
        || '{"new": {"tier": 1}, "old": {}, "column": "attributes"}]', 1, 'what is given changes');
SELECT pg_temp.says($$register_project('shop', attributes => '{"tier": 1.00}')$$, 'project shop keep []', 0,
    'what is not given stays, and equal documents are the same');
SELECT pg_temp.says($$register_project('shop', 'A shop', attributes => '{}')$$,
    'project shop change [{"new": {}, "old": {"tier": 1}, "column": "attributes"}]', 1, 'an empty document takes away');
SELECT pg_temp.says($$register_project('shop', '')$$,
    'project shop change [{"new": null, "old": "A shop", "column": "description"}]', 1,
    '... and so does an empty text');
SELECT is(p.description IS NULL AND p.attributes = '{}', true, '... as the table says') FROM promote.project AS p
 WHERE p.project = 'shop';

-- ---- equal, but not spelled so ----
SELECT pg_temp.says($$set_environment_rules('ecomm', 'staging', required_soak => '1 day')$$,
    'environment ecomm/staging change [{"new": "P1D", "old": "PT0S", "column": "required_soak"}]', 1,
    'an interval, in ISO 8601');
SET LOCAL IntervalStyle = 'sql_standard';
SET LOCAL TimeZone = 'Asia/Tokyo';
SELECT pg_temp.says($$set_environment_rules('ecomm', 'staging', required_soak => '24:00:00')$$,
    'environment ecomm/staging keep []', 0, '... that is equal, whatever the session''s style');
SELECT pg_temp.says($$set_environment_rules('ecomm', 'staging', required_soak => '1 day -00:01:00')$$,
    'environment ecomm/staging change [{"new": "P1DT-1M", "old": "P1D", "column": "required_soak"}]', 1,
    '... of mixed signs is read as it was meant');
RESET IntervalStyle;
RESET TimeZone;

-- ---- the whole ----
SELECT pg_temp.says($$publish_release('redis', '1.1.0', '{}', '{b,a}')$$,
    'bundle_release redis/1.1.0 create [{"new": {}, "column": "params_schema"}, '
        || '{"new": ["b", "a"], "column": "stateful_types"}]', 1, 'an array; what has its default is not said');
SELECT pg_temp.says($$publish_release('redis', '1.1.0', '{}', '{b,a}')$$, 'bundle_release redis/1.1.0 keep []', 0,
    '... again');
SELECT pg_temp.refuses($$SELECT promote.publish_release('redis', '1.1.0', '{}', changelog => 'x')$$, 'PM203',
    '^It differs in stateful_types, changelog\.$', 'what is not given is the default, and a release never changes');

-- ---- going ----
SELECT pg_temp.says($$remove_project('shop')$$, 'project shop delete []', 1, 'a row that goes');
SELECT pg_temp.says($$remove_project('shop')$$, 'project shop keep []', 0, '... is gone');
SELECT pg_temp.refuses($$SELECT promote.remove_project('ecomm')$$, 'PM512', 'component, config, environment',
    'a row that others refer to');

-- ---- what it refers to ----
SELECT pg_temp.refuses($$SELECT promote.register_environment('nowhere', 'staging')$$, 'PM002',
    'environment "nowhere/staging" refers to it', 'a project that is not there');
SELECT pg_temp.refuses($$SELECT promote.register_instance('ecomm', 'staging', 'queue')$$, 'PM002',
    'instance "ecomm/staging/queue" refers', 'a component that is not there');

-- ---- every argument is a column ----
SELECT is_empty($$
    SELECT p.proname, a.name
      FROM pg_proc AS p, unnest(p.proargnames) AS a (name)
     WHERE p.pronamespace = 'promote'::regnamespace AND p.prorettype = 'promote.declaration'::regtype
         AND NOT p.proretset
       AND NOT EXISTS (SELECT FROM pg_attribute AS c JOIN pg_class AS t ON t.oid = c.attrelid
                        WHERE t.relnamespace = p.pronamespace AND t.relkind = 'r' AND c.attname = a.name)$$,
    'arguments have the names of columns');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the log has them all');
SELECT * FROM finish();
ROLLBACK;
