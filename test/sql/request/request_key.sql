-- Opening a request once, however often the call arrives.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';

CREATE FUNCTION pg_temp.open(arguments text DEFAULT '') RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    result integer;
BEGIN
    EXECUTE format('SELECT (promote.open_request(''shop'', ''staging'', ''production'', idempotency_key '
        '=> ''k''%s)).request',
        arguments) INTO result;
    RETURN result;
END
$$;

CREATE TEMP TABLE first AS SELECT * FROM promote.open_request('shop', 'staging', 'production',
    '{"components": ["s1", "s2"]}', 'waves', '[1]', '{"s1": {"size": 9}}', tstzrange(NULL, '2999-01-01'), 'wave',
        '1 day',
    '{smoke}', 'vera', 'frank', 'CHG-1', 'because', true, idempotency_key => 'whole');
SELECT results_eq($$SELECT * FROM promote.open_request('shop', 'staging', 'production',
    '{"components": ["s1", "s2"]}', 'waves', '[1.0]', '{"s1": {"size": 9}}', tstzrange(NULL, '2999-01-01'), 'wave',
    '24 hours', '{smoke}', 'vera', 'frank', 'CHG-1', 'because', true, idempotency_key => 'whole')$$,
        'SELECT * FROM first',
    'the same call again returns the same request');
SELECT is((SELECT concat_ws(' ', count(*), min(idempotency_key)) FROM promote.promotion_request WHERE project = 'shop'),
    '1 whole', 'there is one');
SELECT is((SELECT request FROM promote.project WHERE project = 'shop'), 1, '... and no number was taken for another');
SELECT is((SELECT string_agg(event, ' ') FROM promote.audit_log WHERE subject ~ '^request'), 'request.opened',
    '... nor is it recorded twice');
SELECT promote.cancel_request('shop', 1, 'enough') \g /dev/null
SELECT is((SELECT status FROM promote.open_request('shop', 'staging', 'production',
    '{"components": ["s1", "s2"]}', 'waves', '[1]', '{"s1": {"size": 9}}', tstzrange(NULL, '2999-01-01'), 'wave',
        '1 day',
    '{smoke}', 'vera', 'frank', 'CHG-1', 'because', true, idempotency_key => 'whole')), 'CANCELLED',
    'its row is as it stands now, not as it was opened');

-- ---- defaults ----
SELECT is(pg_temp.open(), 2, 'with nothing but defaults');
SELECT is(pg_temp.open(), 2, '... again');
SELECT is(pg_temp.open($$, scope => '{}', strategy => NULL, waves => NULL, overrides => NULL, rollback_mode => 'none',
    soak => NULL, checks => NULL, include_other_changes => NULL, copy_secrets => NULL, choices => NULL, "only" => NULL,
    source_state => 'desired', preset => NULL, fill_defaults => NULL, mode => NULL,
    on_conflict => NULL$$), 2,
        '... where they are spelled out');

-- ---- another call under the key ----
SELECT pg_temp.refuses(format('SELECT pg_temp.open(%L)', ', ' || a), 'PM402',
    'It belongs to request 2 of project "shop", with other', a)
  FROM unnest(ARRAY[$$scope => '{"components": ["s1"]}'$$, $$strategy => 'all_at_once'$$, $$overrides => '{"s1": {}}'$$,
    $$execution_window => tstzrange(NULL, '2999-01-01')$$, $$rollback_mode => 'all'$$, $$soak => '1 s'$$,
    $$checks => '{smoke}'$$, $$verification_owner => 'vera'$$, $$fallback_owner => 'frank'$$, $$ticket => 'CHG-1'$$,
    $$message => 'because'$$, 'include_other_changes => true', 'copy_secrets => true',
        'copy_remote_references => true', 'pin => true', 'reprovision => true', $$"only" => '{.size}'$$,
    $$source_state => 'running'$$, $$preset => 'big'$$, 'fill_defaults => true',
    $$choices => '{"s1": {"preset": "big"}}'$$, $$mode => 'merge'$$, $$on_conflict => 'source'$$])
    AS a;
SELECT pg_temp.refuses($$SELECT promote.open_request('shop', 'production', 'staging', idempotency_key => 'k')$$,
    'PM402',
    'with other arguments', 'other environments');
SELECT pg_temp.refuses($$SELECT promote.open_request('shop', 'staging', 'production', idempotency_key => 'other')$$,
    'PM608',
    'request 2 ', 'another key is another request');

-- ---- keys ----
SELECT pg_temp.refuses(format('SELECT promote.open_request(''shop'', ''staging'', ''production'', idempotency_key => '
    '%L)', k),
    'PM001', '1 to 255 are allowed', length(k) || ' bytes') FROM unnest(ARRAY['', repeat('k', 256)]) AS k;
SELECT promote.cancel_request('shop', 2, 'enough') \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s1"]}')), 3,
    'without a key');
SELECT pg_temp.refuses($$SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s1"]}')$$,
    'PM608',
    'request 3 ', '... each call is one of its own');
SELECT pg_temp.refuses($$UPDATE promote.promotion_request SET idempotency_key = 'mine' WHERE project = 'shop'$$,
    'PM301',
    'what was asked for', 'a key is not changed');
SELECT pg_temp.refuses($$SELECT promote.open_request('nobody', 'staging', 'production', idempotency_key => 'k')$$,
    'PM002',
    'within a project', 'a project that is not there');

SELECT * FROM finish();
ROLLBACK;
