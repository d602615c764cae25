-- What an earlier generation of an environment was counts for nothing in the next one.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/plan.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = error;
SELECT pg_temp.work_all() \g /dev/null
CREATE FUNCTION pg_temp.says(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN pg_temp.lines(statement);
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END
$$;
-- Opens an environment as a fork, of one component.
CREATE FUNCTION pg_temp.opens(environment text, source text, configure boolean DEFAULT true) RETURNS bigint
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.fork_environment('shop-' || source, 'shop-' || environment, components => '{s1}',
        configure => configure);
    UPDATE promote.environment AS e SET require_proven_release = false
     WHERE e.project = 'shop' AND e.environment = opens.environment;
    RETURN pg_temp.work_all();
END
$$;
-- Takes down what runs there, and archives it.
CREATE FUNCTION pg_temp.ends(environment text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    done integer;
BEGIN
    PERFORM pg_temp.work_all();
    PERFORM promote.decommission_environment('shop-' || environment);
    done := pg_temp.work_all();
    PERFORM promote.archive_environment('shop-' || environment);
    RETURN done;
END
$$;
CREATE FUNCTION pg_temp.size(name text, at timestamptz DEFAULT clock_timestamp()) RETURNS text LANGUAGE sql AS $$
    SELECT params ->> 'size' FROM promote.config_as_of(name, at)
$$;

-- ---- merging ----
SELECT pg_temp.opens('pr', 'staging') \g /dev/null
SELECT promote.configure_instance('shop-pr-s1', '{"size": 5}') \g /dev/null
SELECT promote.promote_instance('shop-pr-s1', 'shop-production-s1') \g /dev/null
SELECT is(pg_temp.size('shop-production-s1'), '5', 'promoted from the first generation');
SELECT pg_temp.ends('pr') \g /dev/null
SELECT pg_temp.opens('pr', 'staging') \g /dev/null
SELECT is(pg_temp.says($$SELECT promote.promote_instance('shop-pr-s1', 'shop-production-s1', mode => 'merge')$$),
    'PM110', 'with another one there is nothing in common to merge by');
SELECT is(pg_temp.size('shop-production-s1'), '5', '... and what the first one has given is not undone');
SELECT pg_temp.ends('pr') \g /dev/null
SELECT pg_temp.opens('back', 'production') \g /dev/null
SELECT pg_temp.ends('back') \g /dev/null
SELECT promote.configure_instance('shop-production-s1', '{"size": 6}') \g /dev/null
SELECT pg_temp.opens('back', 'staging') \g /dev/null
SELECT is(pg_temp.says($$SELECT promote.promote_instance('shop-back-s1', 'shop-production-s1', mode => 'merge')$$),
    'PM110', 'nor by what the first one was forked from');

-- ---- what was desired at a time ----
CREATE TEMP TABLE moment (name text, at timestamptz);
CREATE FUNCTION pg_temp.now(name text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO moment VALUES (name, clock_timestamp())
$$;
SELECT pg_temp.now('before') \g /dev/null
SELECT pg_temp.opens('gaps', 'staging', false) \g /dev/null
SELECT promote.configure_instance('shop-gaps-s1', '{"size": 11}', '1.0.0', plan => false), pg_temp.now('11')
    \g /dev/null
SELECT promote.configure_instance('shop-gaps-s1', '{"size": 12}', plan => false), pg_temp.now('12') \g /dev/null
SELECT pg_temp.ends('gaps'), pg_temp.now('archived') \g /dev/null
SELECT pg_temp.opens('gaps', 'staging', false), pg_temp.now('opened') \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', name, pg_temp.size('shop-gaps-s1', at)), ', ' ORDER BY at) FROM moment),
    'before, 11 11, 12 12, archived 12, opened', 'by the time, where nothing is desired yet');
SELECT promote.configure_instance('shop-gaps-s1', '{"size": 14}', '1.0.0', plan => false), pg_temp.now('14')
    \g /dev/null
SELECT promote.configure_instance('shop-gaps-s1', '{"size": 15}', plan => false), pg_temp.now('15') \g /dev/null
SELECT promote.configure_instance('shop-gaps-s1', '{"size": 16}', plan => false), pg_temp.now('16') \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', name, pg_temp.size('shop-gaps-s1', at)), ', ' ORDER BY at) FROM moment),
    'before, 11 11, 12 12, archived 12, opened, 14 14, 15 15, 16 16',
    'whichever number the opening has taken is found by halves');
SELECT pg_temp.ends('gaps') \g /dev/null
SELECT pg_temp.opens('gaps', 'staging', false) \g /dev/null
SELECT pg_temp.ends('gaps') \g /dev/null
SELECT pg_temp.opens('gaps', 'staging', false) \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', name, pg_temp.size('shop-gaps-s1', at)), ', ' ORDER BY at) FROM moment),
    'before, 11 11, 12 12, archived 12, opened, 14 14, 15 15, 16 16', '... however often it was opened');
SELECT is(pg_temp.size('shop-gaps-s1'), NULL, '... and now');

-- ---- who has set it, and what a revision has changed ----
SELECT pg_temp.opens('line', 'staging') \g /dev/null
SELECT promote.configure_instance('shop-line-s1', '{"size": 30}', plan => false) \g /dev/null
SELECT pg_temp.ends('line') \g /dev/null
SELECT pg_temp.opens('line', 'staging', false) \g /dev/null
SELECT is(pg_temp.says($$SELECT path FROM promote.blame('shop-line-s1')$$), 'PM005',
    'what desires nothing was set by nobody');
SET LOCAL promote.actor = 'bob';
SELECT promote.configure_instance('shop-line-s1', '{"size": 30}', '1.0.0', plan => false) \g /dev/null
SET LOCAL promote.actor = 'ada';
SELECT is(pg_temp.lines($$SELECT path, actor, set_revision FROM promote.blame('shop-line-s1') WHERE path = '.size'$$),
    '(.size,bob,4)', 'what another generation has, too, was set anew');
SELECT is(pg_temp.lines($$SELECT path, revision, change, old_value
    FROM promote.leaf_history('shop-line-s1', '.size')$$),
    E'(.size,4,add,)\n(.size,2,change,2)\n(.size,1,add,)', '... after a history that is shown');
SELECT is(pg_temp.says($$SELECT new_revision FROM promote.apply_revision('shop-line-s1', 4, 'shop-back-s1',
    on_conflict => 'source', plan => false)$$), '(4)', 'a revision that begins a generation is applied');
SELECT is((SELECT params FROM promote.config_as_of('shop-back-s1', clock_timestamp())),
    '{"size": 30, "password": "hush"}', '... as a beginning, and takes nothing away');
SELECT is(pg_temp.says($$SELECT new_revision FROM promote.apply_revision('shop-line-s1', 4, 'shop-gaps-s1',
    on_conflict => 'source', plan => false)$$), 'PM005', '... but not to what desires nothing in its generation');

-- ---- states of before ----
CREATE FUNCTION pg_temp.codes(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    EXECUTE format('SELECT string_agg(concat_ws('' '', component, changed, code), '', '' ORDER BY component) FROM %s'
        ' WHERE component = ''s1''', statement) INTO said;
    RETURN said;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END
$$;
SELECT pg_temp.opens('tags', 'staging') \g /dev/null
UPDATE promote.environment SET require_plan = false WHERE environment = 'tags';
SELECT promote.deploy_instance('shop-tags-s1'), pg_temp.work_all(), pg_temp.now('tagged') \g /dev/null
SELECT count(*) FROM promote.tag_environment('shop-tags', 'first') \g /dev/null
SELECT pg_temp.ends('tags') \g /dev/null
SELECT pg_temp.opens('tags', 'staging') \g /dev/null
SELECT is(pg_temp.codes(format('promote.%s', c.call)), CASE WHEN c.call ~ 'first' THEN 'PM002' ELSE 'PM404' END, c.call)
  FROM moment AS m, unnest(ARRAY[
    $$preview_promote_environment('shop-tags@first', 'shop-production')$$,
    $$preview_promote_environment('shop-tags@first', 'shop-production', source_state => 'desired')$$,
    $$preview_rollback_environment('shop-tags@first')$$,
    $$preview_rollback_environment('shop-tags', tag => 'first')$$,
    format('preview_rollback_environment(%L, %L)', 'shop-tags', m.at),
    format('preview_promote_environment(%L, %L)', 'shop-tags@' || m.at, 'shop-production')]) AS c (call)
 WHERE m.name = 'tagged';
SELECT is(pg_temp.codes($$promote.preview_promote_environment('shop-tags@first', 'shop-production',
    components => '{s1}')$$), 'PM002', 'nor by the name of the component');

-- ---- plans, requesters and reverts ----
UPDATE promote.environment SET require_plan = false, require_no_reverts = true WHERE environment = 'tags';
SELECT promote.deploy_instance('shop-tags-s1'), pg_temp.work_all() \g /dev/null
SELECT pg_temp.planned('shop-tags-s1', '[["aws.old", ["delete"], {"a": 1}, null]]') \g /dev/null
SELECT is(count(*), 1::bigint, 'a plan was recorded')
  FROM promote_internal.last_recorded_plan('shop', 'tags', 's1');
SET LOCAL promote.actor = 'bob';
SELECT promote.configure_instance('shop-tags-s1', '{"size": 8}', plan => false) \g /dev/null
SELECT promote.promote_instance('shop-staging-s1', 'shop-tags-s1', plan => false) \g /dev/null
SET LOCAL promote.actor = 'ada';
SELECT pg_temp.ends('tags') \g /dev/null
SELECT pg_temp.opens('tags', 'staging', false) \g /dev/null
UPDATE promote.environment SET require_plan = false, require_no_reverts = true WHERE environment = 'tags';
SELECT promote.configure_instance('shop-tags-s1', '{"size": 3}', '1.0.0', plan => false) \g /dev/null
SELECT is(count(*), 0::bigint, '... which says nothing of what comes after it')
  FROM promote_internal.last_recorded_plan('shop', 'tags', 's1');
SELECT is(string_agg(r.actor, ', '), 'ada', 'who has edited what was has not asked for this')
  FROM promote.instance AS i,
       promote_internal.requesters('shop', 'tags', 's1', i.revision, NULL, NULL, 'service', '1.0.0') AS r
 WHERE i.name = 'shop-tags-s1';
SELECT is_empty($$SELECT FROM promote.blockers('shop-tags-s1')$$,
    'nor does what was promoted before stand in the way of an edit');

-- ---- attributes of what was never configured ----
SELECT promote.fork_environment('shop-dev', 'shop-bare', configure => false) \g /dev/null
INSERT INTO promote.instance (project, environment, component, attributes)
VALUES ('shop', 'bare', 's1', '{"left": 1}'), ('shop', 'bare', 's2', '{"left": 2}');
SELECT promote.archive_environment('shop-bare') \g /dev/null
UPDATE promote.instance SET attributes = '{"right": 1}' WHERE name = 'shop-staging-s1';
SELECT pg_temp.opens('bare', 'staging') \g /dev/null
SELECT is(pg_temp.lines($$SELECT component, attributes, revision, opened_revision FROM promote.instance
    WHERE environment = 'bare' ORDER BY 1$$), E'(s1,"{""right"": 1}",2,1)\n(s2,{},1,1)',
    'instances that never desired anything have the attributes of the new source, too');
SELECT is_empty('SELECT * FROM promote.verify_audit()', '... which is told');

-- ---- reports and numbers of what desires nothing ----
SELECT pg_temp.ends('bare') \g /dev/null
SELECT pg_temp.opens('bare', 'staging', false) \g /dev/null
SELECT promote.open_request('shop', 'staging', 'bare', '{"components": ["s1"]}') \g /dev/null
SELECT is((SELECT base_revision FROM promote.preview_request('shop', 1)), NULL,
    'requests begin from nothing, too');
SELECT promote.cancel_request('shop', 1, 'enough') \g /dev/null
SELECT is(pg_temp.says($$SELECT healthy, revision FROM promote.report_health('shop-bare-s1', 'smoke', true)$$), '(t,)',
    'health is reported of what is not configured yet');
SELECT is(count(*), 1::bigint, '... and shown') FROM promote.instance_health WHERE instance = 'shop-bare-s1';
SELECT is(pg_temp.says($$SELECT old_revision, new_revision FROM promote.configure_instance('shop-bare-s1',
    '{"size": 1}', '1.0.0', expected_revision => 0, plan => false)$$), '(,4)',
    'which desires revision 0, that is none');
INSERT INTO promote.required_check (project, environment, check_name) VALUES ('shop', 'bare', 'smoke');
UPDATE promote.environment SET require_plan = false WHERE environment = 'bare';
SELECT is_empty($$SELECT FROM promote.blockers('shop-bare-s1')$$, '... and counts');
SELECT pg_temp.ends('bare') \g /dev/null
SELECT pg_temp.opens('bare', 'staging', false) \g /dev/null
SELECT is(count(*), 0::bigint, '... until that is over') FROM promote.instance_health WHERE instance = 'shop-bare-s1';

-- ---- proven releases, and the first deployment of a fork ----
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT bundle, '1.1.0', params_schema FROM promote.bundle_release WHERE bundle = 'service';
SELECT promote.fork_environment('shop-production', 'shop-proof', components => '{s1}', plan => false) \g /dev/null
UPDATE promote.environment SET require_plan = false, require_proven_release = false WHERE environment = 'proof';
SELECT promote.configure_instance('shop-proof-s1', '{"size": 1}', '1.1.0', plan => false),
    promote.deploy_instance('shop-proof-s1'), pg_temp.work_all() \g /dev/null
SELECT pg_temp.ends('proof') \g /dev/null
SELECT promote.fork_environment('shop-production', 'shop-proof', components => '{s1}', plan => false) \g /dev/null
SELECT promote.configure_instance('shop-proof-s1', '{"size": 1}', '1.1.0', plan => false) \g /dev/null
UPDATE promote.environment SET require_plan = false, require_proven_release = true WHERE environment = 'staging';
SELECT promote.promote_instance('shop-proof-s1', 'shop-staging-s1', plan => false) \g /dev/null
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('shop-staging-s1')), 'release_unproven',
    'what another environment of the name ran proves nothing');
UPDATE promote.environment SET require_plan = false, require_proven_release = false, source_policy = 'path'
 WHERE environment = 'proof';
SELECT is((SELECT count(*) FROM promote_internal.fork_parent('shop', 'proof', 's1')), 1::bigint,
    'the source of a fork leads there');
SELECT promote.deploy_instance('shop-proof-s1'), pg_temp.work_all() \g /dev/null
SELECT promote.decommission_instance('shop-proof-s1'), pg_temp.work_all() \g /dev/null
SELECT promote.configure_instance('shop-proof-s1', '{"size": 7}'), pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-proof-s1'), pg_temp.work_all('s1') \g /dev/null
SELECT is((SELECT status FROM promote.instance WHERE name = 'shop-proof-s1'), 'FAILED', 'what fails to come back');
SELECT is((SELECT count(*) FROM promote_internal.fork_parent('shop', 'proof', 's1')), 0::bigint,
    '... was deployed before all the same');
SELECT promote.fork_environment('shop-production', 'shop-one', components => '{s1}', plan => false, pin => true)
    \g /dev/null
SELECT promote.fork_environment('shop-one', 'shop-two', components => '{s1}', plan => false) \g /dev/null
UPDATE promote.environment SET require_plan = false, source_policy = 'path' WHERE environment = 'two';
SELECT is_empty($$SELECT FROM promote.blockers('shop-two-s1')$$,
    'what ran at the source of its source proves the release of a fork''s fork');
SELECT promote.archive_environment('shop-one') \g /dev/null
SELECT pg_temp.opens('one', 'staging') \g /dev/null
SELECT is(pg_temp.says($$SELECT promote.promote_instance('shop-one-s1', 'shop-two-s1')$$), 'PM605',
    'another environment of the source''s name is not what a fork came from');

-- ---- what is said and asked for of the generation alone ----
SELECT pg_temp.opens('k', 'production') \g /dev/null
SELECT is(pg_temp.says($$SELECT status FROM promote.open_request('shop', 'k', 'staging', idempotency_key => 'k1')$$),
    '(OPEN)', 'a request is opened');
SELECT is(pg_temp.says($$SELECT status FROM promote.open_request('shop', 'k', 'staging', idempotency_key => 'k1')$$),
    '(OPEN)', 'a request of a generation is found by its key');
SELECT promote.cancel_request('shop', (SELECT max(request) FROM promote.promotion_request WHERE project = 'shop'),
    'over') \g /dev/null
SELECT pg_temp.ends('k') \g /dev/null
SELECT pg_temp.opens('k', 'production') \g /dev/null
SELECT is(pg_temp.says($$SELECT promote.open_request('shop', 'k', 'staging', idempotency_key => 'k1')$$), 'PM402',
    '... and not by the next one');
SELECT pg_temp.refuses($$SELECT promote.rollback_instance('shop-k-s1')$$, 'PM508',
    '^Nothing was deployed (at "shop-k-s1" yet|but revision [4-9], which)',
    'a rollback speaks of what ran in its generation');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all of it is told');
SELECT finish();
ROLLBACK;
