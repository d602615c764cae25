-- What is skipped, what is waited for, and what has moved: told to programs by codes, and to people by sentences.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';

-- What a call says, with the codes alone.
CREATE FUNCTION pg_temp.says(request integer) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', a.status, a.moved,
        (SELECT string_agg(concat_ws('/', w ->> 'code', w ->> 'wave', w ->> 'instance',
        w ->> 'sqlstate'), ' ') FROM jsonb_array_elements(a.waits_for) AS w))
      FROM promote.advance_request('shop', request) AS a
$$;
CREATE FUNCTION pg_temp.open(arguments text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    result integer;
BEGIN
    EXECUTE format('SELECT request FROM promote.open_request(''shop'', ''staging'', ''production'', %s)',
        arguments) INTO result;
    RETURN result;
END
$$;
SELECT pg_temp.work_all() \g /dev/null

-- ---- what was promoted already ----
SELECT is(pg_temp.open($$'{"components": ["s1", "s2"]}'$$), 1, 'two');
SELECT is(pg_temp.preview(1), 2::bigint, 'previewed');
SELECT is(pg_temp.drain(1), 'COMPLETED', 'done');
SELECT is(pg_temp.open($$'{"components": ["s1", "s2"]}'$$), 2, 'the same once more');
SELECT is((SELECT string_agg(skip_reason::text, E'\n' ORDER BY component) FROM promote.preview_request('shop', 2)),
    E'{"code": "nothing_to_do", "message": "nothing to do: \\"shop-production-s1\\" runs it already"}\n'
    '{"code": "nothing_to_do", "message": "nothing to do: \\"shop-production-s2\\" runs it already"}',
        'there is nothing to do');
SELECT is(pg_temp.says(2), 'SKIPPED 0', 'it ends as what it is, and nothing has moved');
SELECT is(pg_temp.says(2), 'SKIPPED 0', '... and stays so');
SELECT is((SELECT concat_ws(' ', status, finished_at IS NOT NULL, waits_for) FROM promote.promotion_request
    WHERE project = 'shop' AND request = 2), 'SKIPPED t []', 'it is over');
SELECT is((SELECT count(*) FROM promote.promotion_request_item WHERE project = 'shop' AND holds), 0::bigint,
    '... and holds nothing');
SELECT is((SELECT string_agg(event, ' ' ORDER BY seq) FROM promote.audit_log WHERE subject = 'request shop/2'),
    'request.opened request.previewed request.started request.skipped', 'the log says so');
SELECT pg_temp.refuses($$SELECT promote.cancel_request('shop', 2, 'late')$$, 'PM606', 'It is SKIPPED',
    'it is not cancelled');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_request('shop', 2)$$, 'PM606', 'It is SKIPPED',
    '... nor previewed');
SELECT matches(promote.handoff_text('shop', 2), 'State: SKIPPED', 'the sheet says so');
SELECT matches(promote.handoff_text('shop', 2),
    E's1 \\(skipped: nothing to do: "shop-production-s1" runs it already\\)',
    '... and why');
SELECT is(pg_temp.open($$'{"components": ["s1", "s3"]}', 'all_at_once'$$), 3, 'one of two');
SELECT is(pg_temp.preview(3), 1::bigint, 'previewed');
SELECT is(pg_temp.says(3), 'RUNNING 1 plan/1/shop-production-s3', 'only what is staged has moved');
SELECT is(pg_temp.drain(3), 'COMPLETED', 'one is done: it is completed');
SELECT is(pg_temp.open($$'{"components": ["s1"]}', overrides => '{"s1": {"size": 5}}'$$), 4, 'one more');
SELECT is(pg_temp.preview(4), 1::bigint, 'previewed');
SELECT is(pg_temp.says(4), 'RUNNING 1 plan/1/shop-production-s1', 'staged');
SELECT promote.cancel_request('shop', 4, 'enough') \g /dev/null

-- ---- what is waited for ----
SELECT is(pg_temp.open($$'{"components": ["s4", "s5"]}', soak => '1 hour', checks => '{smoke}',
    execution_window => tstzrange(now() - interval '1 hour', now() + interval '1 day')$$), 5, 'one that waits');
SELECT is(pg_temp.preview(5), 2::bigint, 'previewed');
SELECT is(pg_temp.says(5), 'RUNNING 1 plan/1/shop-production-s4', 'a plan');
SELECT pg_temp.work_all() \g /dev/null
INSERT INTO promote.freeze_window (project, environment, name, during, reason)
    VALUES ('shop', 'production', 'now', tstzrange(now() - interval '1 hour', now() + interval '1 hour'), 'no');
SELECT is(pg_temp.says(5), 'BLOCKED 0 blocked/1/shop-production-s4/PM601', 'gates');
DELETE FROM promote.freeze_window;
SELECT is(pg_temp.says(5), 'RUNNING 1 deployment/1/shop-production-s4', 'a deployment');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.says(5), 'RUNNING 1 verification/1/shop-production-s4', 'a check');
SELECT promote.report_health('shop-production-s4', 'smoke', true) \g /dev/null
SELECT is(pg_temp.says(5), 'RUNNING 0 soak/1/shop-production-s4', 'time');
SELECT is((SELECT jsonb_path_query_array(waits_for, '$[*].message') ->> 0 FROM promote.promotion_request
    WHERE project = 'shop' AND request = 5) ~ '^wave 1: "shop-production-s4" soaks until', true,
        'with a sentence beside');
SELECT promote.pause_request('shop', 5, 'lunch') \g /dev/null
SELECT is(pg_temp.says(5), 'PAUSED 0 paused', 'people');
SELECT promote.cancel_request('shop', 5, 'enough') \g /dev/null
SELECT is(pg_temp.open($$'{"components": ["s6"]}', execution_window => tstzrange(now() + interval '1 hour', NULL)$$), 6,
    'one that may not begin yet');
SELECT is(pg_temp.preview(6), 1::bigint, 'previewed');
SELECT is(pg_temp.says(6), 'OPEN 0 window', 'its window');
SELECT promote.cancel_request('shop', 6, 'enough') \g /dev/null
SELECT is(pg_temp.open($$'{"components": ["s5", "s6"]}'$$), 7, 'what moves meanwhile');
SELECT is(pg_temp.preview(7), 2::bigint, 'previewed');
SELECT is(pg_temp.says(7), 'RUNNING 1 plan/1/shop-production-s5', 'begun');
SELECT promote.configure_instance('shop-production-s5', '{"size": 8}', plan => false) \g /dev/null
SELECT is(pg_temp.says(7), 'BLOCKED 0 preview_moved/1/shop-production-s5', 'another preview');
SELECT pg_temp.preview(7) \g /dev/null
SELECT is(pg_temp.says(7), 'BLOCKED 0 other_changes/1/shop-production-s5', 'what would ride along');
SELECT promote.cancel_request('shop', 7, 'enough') \g /dev/null
SELECT is(pg_temp.open($$'{"components": ["s6"]}'$$), 8, 'one that fails');
SELECT is(pg_temp.preview(8), 1::bigint, 'previewed');
SELECT pg_temp.says(8) \g /dev/null
SELECT pg_temp.work_all('s6', 'PLAN') \g /dev/null
SELECT is(pg_temp.says(8), 'FAILED 1', 'it has failed');
SELECT is(pg_temp.says(8), 'FAILED 0 failed', '... which is said');

-- ---- what is written otherwise and rendered the same is no nothing: promote_instance calls it a change, too ----
INSERT INTO promote.bundle VALUES ('net');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
VALUES ('net', '1.0.0', '{}', '{"network": {"required": false}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'n1', 'net'), ('shop', 'n2', 'net');
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, c FROM unnest('{staging,production}'::text[]) AS e, unnest('{n1,n2}'::text[]) AS c;
UPDATE promote.parameter_set SET parameters = '{"x": "seven"}' WHERE project = 'shop';
SELECT promote.configure_instance(format('shop-%s-%s', e, c), '{"a": "seven"}'),
       promote.set_remote_reference(format('shop-%s-%s', e, c), 'network', 'urn:seven')
  FROM unnest('{staging,production}'::text[]) AS e, unnest('{n1,n2}'::text[]) AS c \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.plan_and_deploy('shop-production-' || c) FROM unnest('{n1,n2}'::text[]) AS c \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.configure_instance('shop-staging-n1', '{"a": "{{x}}"}') \g /dev/null
SELECT promote.set_remote_reference('shop-staging-n2', 'network', 'urn:{{x}}', true) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT pg_temp.open($$'{"components": ["n1", "n2"]}', copy_remote_references => true$$) AS alike \gset
SELECT is((SELECT string_agg(concat_ws(' ', component, diff, skip_reason), E'\n' ORDER BY component)
    FROM promote.preview_request('shop', :alike)), E'n1 []\nn2 []', 'something is to be staged, and nothing happens');
SELECT is((SELECT string_agg(concat_ws(' ', p.path, p.change, p.since), E'\n') FROM unnest('{n1,n2}'::text[]) AS c,
    promote.preview_promotion('shop-staging-' || c, 'shop-production-' || c, copy_remote_references => true) AS p
    WHERE p.change <> 'keep'), E'.a change\nreference network change', '... as the previews of the promotions say');
SELECT is(pg_temp.drain(:alike), 'COMPLETED', 'it is moved');
SELECT is((SELECT c.params ->> 'a' FROM promote.config_as_of('shop-production-n1') AS c), '{{x}}', 'the params');
SELECT is((SELECT reference FROM promote.reference_status WHERE instance = 'shop-production-n2'), 'urn:{{x}}',
    'the reference');
SELECT is((SELECT string_agg(status, ' ' ORDER BY instance) FROM promote.instance_status
    WHERE instance ~ 'production-n'), 'in_sync in_sync', 'what is desired runs');
SELECT is(pg_temp.open($$'{"components": ["n1", "n2"]}', copy_remote_references => true$$), :alike + 1, 'once more');
SELECT is((SELECT string_agg(skip_reason ->> 'code', ' ') FROM promote.preview_request('shop', :alike + 1)),
    'nothing_to_do nothing_to_do', '... is nothing to do');

SELECT * FROM finish();
ROLLBACK;
