-- Requests: a scope of components, promoted from one environment to another in waves.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';

CREATE FUNCTION pg_temp.waves(number integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(wave || ':' || names, ' ' ORDER BY wave) FROM (
        SELECT wave, string_agg(component, ',' ORDER BY component) AS names FROM promote.promotion_request_item
         WHERE project = 'shop' AND request = number AND wave IS NOT NULL GROUP BY wave) AS w
$$;
CREATE FUNCTION pg_temp.open(scope jsonb DEFAULT '{}', strategy text DEFAULT NULL, waves jsonb DEFAULT NULL,
    rollback_mode text DEFAULT NULL) RETURNS integer LANGUAGE sql AS $$
    SELECT request FROM promote.open_request('shop', 'staging', 'production', scope, strategy, waves,
        rollback_mode => rollback_mode)
$$;
CREATE FUNCTION pg_temp.cancel(number integer) RETURNS text LANGUAGE sql AS $$
    SELECT status FROM promote.cancel_request('shop', number, 'enough of it')
$$;

-- ---- what cannot be opened ----
SELECT pg_temp.refuses(format('SELECT promote.open_request(%s)', arguments), state, detail, arguments) FROM (VALUES
    ($$'shop', 'staging', 'staging'$$, 'PM003', 'same environment'),
    ($$'nobody', 'staging', 'production'$$, 'PM002', 'within a project'),
    ($$'shop', 'nowhere', 'production'$$, 'PM002', 'from one environment'),
    ($$'shop', 'staging', 'nowhere'$$, 'PM002', 'from one environment'),
    ($$NULL, 'staging', 'production'$$, 'PM404', 'null or empty'),
    ($$'shop', 'staging', 'production', '[]'$$, 'PM101', '.'),
    ($$'shop', 'staging', 'production', '{"tenants": ["acme"]}'$$, 'PM404', 'no "tenants" in a scope'),
    ($$'shop', 'staging', 'production', '{"components": []}'$$, 'PM404', 'empty one'),
    ($$'shop', 'staging', 'production', '{"components": [1]}'$$, 'PM404', 'other than names'),
    ($$'shop', 'staging', 'production', '{"components": ["s1", "s9", "t"]}'$$, 'PM002', 'Unknown: "s9", "t"'),
    ($$'shop', 'staging', 'production', '{"selector": []}'$$, 'PM404', 'not an object'),
    ($$'shop', 'staging', 'production', overrides => '{"s1": [{"op": "add"}]}'$$, 'PM108', 'Operation 0'),
    ($$'shop', 'staging', 'production', '{"selector": {"tenant": "none"}}'$$, 'PM404', 'no component matches'),
    ($$'shop', 'staging', 'dev'$$, 'PM404', 'nothing of it can be promoted. "s1": it has no instance in "dev"'),
    ($$'shop', 'staging', 'production', '{"components": ["s1"], "selector": {"tenant": "rest"}}'$$, 'PM404',
        'attributes do not match'),
    ($$'shop', 'staging', 'production', strategy => 'at_once'$$, 'PM404', 'none of: one_by_one, waves'),
    ($$'shop', 'staging', 'production', rollback_mode => 'some'$$, 'PM404', 'none of: none, wave, all'),
    ($$'shop', 'staging', 'production', strategy => 'waves'$$, 'PM404', 'none are given'),
    ($$'shop', 'staging', 'production', waves => '[1]'$$, 'PM404', 'one_by_one has none'),
    ($$'shop', 'staging', 'production', strategy => 'waves', waves => '[]'$$, 'PM404', 'empty one'),
    ($$'shop', 'staging', 'production', strategy => 'waves', waves => '[1, 0]'$$, 'PM404', 'Wave 2 is neither'),
    ($$'shop', 'staging', 'production', strategy => 'waves', waves => '[1.5]'$$, 'PM404', 'Wave 1 is neither'),
    ($$'shop', 'staging', 'production', strategy => 'waves', waves => '[1e30]'$$, 'PM404', 'Wave 1 is neither'),
    ($$'shop', 'staging', 'production', strategy => 'waves', waves => '[2, -1e30]'$$, 'PM404', 'Wave 2 is neither'),
    ($$'shop', 'staging', 'production', strategy => 'waves', waves => '[{}]'$$, 'PM404', 'Wave 1 is neither'),
    ($$'shop', 'staging', 'production', strategy => 'waves', waves => '["a"]'$$, 'PM404', 'Wave 1 is neither'),
    ($$'shop', 'staging', 'production', strategy => 'waves', waves => '[2, {"tenant": "amce"}]'$$, 'PM404',
        'Wave 2 matches no component'),
    ($$'shop', 'staging', 'production', strategy => 'canary', waves => '[1, 2]'$$, 'PM404',
        'one wave, and then the rest'),
    ($$'shop', 'staging', 'production', overrides => '{"s9": {}}'$$, 'PM404', 'component "s9" is promoted'),
    ($$'shop', 'staging', 'production', overrides => '{"s1": 1}'$$, 'PM404', 'neither an object nor an array'),
    ($$'shop', 'staging', 'production', execution_window => 'empty'$$, 'PM404', 'It is empty'),
    ($$'shop', 'staging', 'production', execution_window => '[2020-01-01, 2020-01-02)'$$, 'PM404', 'over already'),
    ($$'shop', 'staging', 'production', soak => '-1 s'$$, 'PM404', 'below zero'),
    ($$'shop', 'staging', 'production', soak => '1 year 1 s'$$, 'PM404', 'longer than a year'),
    ($$'shop', 'staging', 'production', checks => '{a,""}'$$, 'PM404', 'Check 2 has no name')) AS v (arguments, state,
        detail);
UPDATE promote.environment SET source_policy = 'path' WHERE project = 'shop' AND environment = 'production';
SELECT pg_temp.refuses($$SELECT promote.open_request('shop', 'staging', 'production')$$, 'PM605', 'there is none to it',
    'without a path');
UPDATE promote.environment SET source_policy = 'any' WHERE project = 'shop' AND environment = 'production';
SELECT is((SELECT request FROM promote.project WHERE project = 'shop'), 0, 'none was counted');

-- ---- a scope is frozen into items, in waves ----
SELECT is(pg_temp.open('{"selector": {"tenant": "acme"}}'), 1, 'the first request');
SELECT is(pg_temp.waves(1), '1:s1 2:s2', 'one by one: a wave for each');
SELECT pg_temp.refuses('SELECT pg_temp.open()', 'PM608',
    E'^request 1 \\(staging to production, OPEN, opened by ada\\) holds "shop-production-s1"\nrequest 1 .* holds '
    '"shop-production-s2"$', 'two requests over one instance');
SELECT is(pg_temp.open('{"selector": {"tenant": "rest"}}', 'all_at_once'), 2, 'another one over others');
SELECT is(pg_temp.waves(2), '1:s3,s4,s5,s6', 'all at once: one wave');
SELECT is(pg_temp.cancel(1) || pg_temp.cancel(2), 'CANCELLEDCANCELLED', 'both are cancelled');
SELECT is(pg_temp.open('{}', 'waves', '[1, {"tenant": "acme"}, 2]'), 3, 'what they held can be requested');
SELECT is(pg_temp.waves(3), '1:s1 2:s2 3:s3,s4 4:s5,s6', 'waves by size and selector, and the rest');
SELECT is(pg_temp.cancel(3), 'CANCELLED', 'cancelled');
SELECT is(pg_temp.open('{}', 'waves', '[5, 20, 1]'), 4, 'more than there is');
SELECT is(pg_temp.waves(4), '1:s1,s2,s3,s4,s5 2:s6', '... is one wave less');
SELECT is(pg_temp.cancel(4), 'CANCELLED', 'cancelled');
SELECT is(pg_temp.open('{}', 'canary', '{"tenant": "acme"}'), 5, 'a canary, as a selector alone');
SELECT is(pg_temp.waves(5), '1:s1,s2 2:s3,s4,s5,s6', 'a canary, and the rest');
SELECT is(pg_temp.cancel(5), 'CANCELLED', 'cancelled');

INSERT INTO promote.component (project, component, bundle, attributes)
    VALUES ('shop', 's7', 'service', '{"tenant": "acme"}'), ('shop', 's8', 'service', '{}');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 's7'),
    ('shop', 'production', 's8');
SELECT is(pg_temp.open('{"components": ["s1", "s3", "s7", "s8"], "selector": {"tenant": "acme"}}'), 6,
    'what has no instance at one side, or does not match');
SELECT is((SELECT string_agg(concat_ws(' ', component, status, holds, skip_reason ->> 'code',
    skip_reason ->> 'message'), E'\n' ORDER BY component)
    FROM promote.promotion_request_item WHERE request = 6), $$s1 PENDING t
s3 SKIPPED f selector its attributes do not match the selector
s7 SKIPPED f no_instance it has no instance in "production"
s8 SKIPPED f no_instance it has no instance in "staging"$$, '... is seen to be skipped');
SELECT is((SELECT array_agg(component ORDER BY component) FROM promote.promotion_request_item WHERE request = 6
    AND finished_at IS NOT NULL), '{s3,s7,s8}', '... and is over at once');
SELECT is((SELECT data - 'actor' - 'database_role' FROM promote.audit_log WHERE subject = 'request shop/6'),
    '{"status": "OPEN", "wave": 0, "source_environment": "staging", "destination_environment": "production", '
    '"strategy": "one_by_one", "rollback_mode": "none", "items": 4}', 'the record says what was opened');
INSERT INTO promote.component (project, component, bundle, attributes)
    VALUES ('shop', 's0', 'service', '{"tenant": "nobody"}');
SELECT pg_temp.refuses($$SELECT pg_temp.open('{"selector": {"tenant": "nobody"}}')$$, 'PM404', 'no component matches',
    'what has no instance at either side is in no scope that does not name it');
DELETE FROM promote.component WHERE component = 's0';
INSERT INTO promote.instance (project, environment, component, attributes)
    VALUES ('shop', 'production', 's7', '{"tenant": "new"}');
SELECT is(pg_temp.items(6), 's1 1 PENDING, s3 SKIPPED, s7 SKIPPED, s8 SKIPPED', 'what comes later is not in it');

-- ---- no execution without a preview that holds ----
SELECT pg_temp.refuses('SELECT pg_temp.advance(6)', 'PM607', 'Only what was previewed', 'without a preview');
SELECT is(pg_temp.lines($$SELECT wave, component, instance, status, skip_reason ->> 'message', other_changes,
    source_revision,
    base_revision, version, diff, blockers, preview FROM promote.preview_request('shop', 6)$$),
    '(1,s1,shop-production-s1,PENDING,,,1,1,1.0.0,"[{""new"": 2, ""old"": 1, ""kind"": ""param"", ""path"": "".size"", '
    '""since"": 2, ""change"": ""change""}, {""new"": ""(sensitive value)"", ""kind"": ""param"", ""path"": '
    '"".password"", ""since"": 2, ""change"": ""add"", ""sensitive"": true}]",[],1)' || $$
(,s3,shop-production-s3,SKIPPED,"its attributes do not match the selector",,,,,,,1)
(,s7,shop-production-s7,SKIPPED,"it has no instance in ""production""",,,,,,,1)
(,s8,shop-production-s8,SKIPPED,"it has no instance in ""staging""",,,,,,,1)$$,
    'a preview: what would change, masked, and what is skipped');
SELECT is((SELECT digest FROM promote.preview_request('shop', 6) LIMIT 1), (SELECT promote.jsonb_digest(items)
    FROM promote.promotion_request_preview WHERE request = 6 AND preview = 1),
    'the digest is that of what would be staged, and another preview of the same has it');
SELECT is((SELECT count(*) FROM promote.promotion_request_preview WHERE items::text ~ 'hush'), 0::bigint,
    'no sensitive value is kept');
SELECT promote.configure_instance('shop-staging-s1', '{"size": 3}') \g /dev/null
SELECT pg_temp.refuses('SELECT pg_temp.advance(6)', 'PM607', '"shop-production-s1" has moved since',
    'a source that moved');
SELECT is(pg_temp.preview(6), 1::bigint, 'previewed again');
UPDATE promote.parameter_set SET parameters = '{"unused": 1}' WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.advance(6), 'RUNNING 1 1', 'begun, and staged');
SELECT is(pg_temp.waits(6), 'wave 1: plan 3 of "shop-production-s1" is PENDING: a worker has to carry it out',
    'it waits for the plan');
SELECT is(pg_temp.advance(6), 'RUNNING 1 0', 'nothing moves before that');
SELECT is((SELECT message FROM promote.revision WHERE project = 'shop' AND environment = 'production'
    AND component = 's1' AND revision = 2), 'request 6', 'the revision says whose it is');

-- ---- what it holds is its own ----
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.lines($$SELECT code, liftable_by FROM promote.blockers('shop-production-s1')$$), NULL,
    'its own deployment is not blocked');
SELECT is((SELECT count(*) FROM promote.configure_instance('shop-production-s1', '{"size": 9}')), 1::bigint,
    'an edit behind it');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.lines($$SELECT code, message, liftable_by, overridable FROM promote.blockers('shop-production-s1')$$),
    '(request,"request 6 holds ""shop-production-s1"" (staging to production, RUNNING, opened by ada)","whoever ends '
        'request 6 by promote.cancel_request",f)', 'is blocked');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('shop-production-s1')$$, 'PM601', 'request 6 holds',
    'to deploy it');
SELECT pg_temp.refuses($$SELECT promote.decommission_instance('shop-production-s1')$$, 'PM601', 'request 6 holds',
    'to take it away');
SELECT is(pg_temp.advance(6), 'BLOCKED 1 0', 'and the request is, too');
SELECT matches(pg_temp.waits(6),
    'revision 3 was staged there since, behind this request''s revision 2: take another preview', '... saying why');
SELECT matches((SELECT other_changes FROM promote.preview_request('shop', 6) WHERE component = 's1'),
    'revision 3 \(edit by ada\) is desired at "shop-production-s1" and not deployed: revision 1 runs',
    'the preview says what would ride along');
SELECT is(pg_temp.advance(6), 'BLOCKED 1 0', 'it does not');
SELECT matches(pg_temp.waits(6), 'other changes ride along: revision 3', '... and says so');
SELECT promote.rollback_instance('shop-production-s1', 1) \g /dev/null
SELECT is(pg_temp.preview(6), 1::bigint, 'the edit is taken back');
SELECT is(pg_temp.advance(6), 'RUNNING 1 1', 'and it goes on where it stood');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(6), 'RUNNING 1 1', 'deployed when it is planned');
SELECT is(pg_temp.waits(6), 'wave 1: deployment 7 of "shop-production-s1" is PENDING: a worker has to carry it out',
    'it waits for that');
SELECT promote.claim_deployment('wilma') \g /dev/null
SELECT is(pg_temp.advance(6), 'RUNNING 1 0', 'a worker has it');
SELECT is(pg_temp.waits(6), 'wave 1: deployment 7 of "shop-production-s1" is RUNNING: worker "wilma" has it',
    '... and which');
SELECT promote.complete_deployment('shop-production-s1', 7, 1) \g /dev/null
SELECT is(pg_temp.advance(6), 'COMPLETED 1 2', 'deployed, verified, done');
SELECT is(pg_temp.advance(6), 'COMPLETED 1 0', 'what is over stays so');
SELECT is((SELECT count(*) FROM promote.promotion_request_item WHERE holds), 0::bigint, '... and holds nothing');
SELECT is((SELECT c.params FROM promote.config_as_of('shop-production-s1', 'infinity') AS c),
    '{"own": 1, "size": 3, "password": "hush"}', 'promoted as promote_instance does');
SELECT promote.request_evidence('shop', 6) AS evidence \gset
SAVEPOINT over;
SELECT promote.configure_instance('shop-production-s1', '{"size": 20}'),
    promote.report_health('shop-production-s1', 'smoke', false) \g /dev/null
SELECT is(promote.request_evidence('shop', 6), :'evidence', 'what happens to its instances later is no evidence of it');
ROLLBACK TO over;
SELECT is((SELECT string_agg(event, ' ' ORDER BY seq) FROM promote.audit_log WHERE subject = 'request shop/6'),
    'request.opened request.previewed request.previewed request.previewed request.started request.advanced '
        'request.blocked request.previewed request.previewed request.advanced request.advanced request.completed',
        'each step is recorded');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and the chains are whole');
SELECT pg_temp.refuses($$SELECT * FROM promote.preview_request('shop', 6)$$, 'PM606', 'It is COMPLETED',
    'a preview of what is over');
SELECT pg_temp.refuses($$SELECT promote.pause_request('shop', 6)$$, 'PM606', 'It is COMPLETED', 'pausing what is over');
SELECT pg_temp.refuses($$SELECT promote.resume_request('shop', 6)$$, 'PM606', 'It is COMPLETED',
    'resuming what is over');
SELECT pg_temp.refuses($$SELECT promote.cancel_request('shop', 6, 'late')$$, 'PM606', 'It is COMPLETED',
    'cancelling what is over');
SELECT pg_temp.refuses($$SELECT * FROM promote.advance_request('shop', 99)$$, 'PM002', 'numbered from 1 to 6',
    'a request that is not there');
SELECT pg_temp.refuses($$SELECT * FROM promote.advance_request('other', 1)$$, 'PM002', 'None was opened yet',
    'nor any of the project');
SELECT pg_temp.refuses($$SELECT * FROM promote.advance_request('none', 1)$$, 'PM002', 'no such project',
    'nor the project');

-- ---- nothing to do ----
SELECT is(pg_temp.open('{"components": ["s1", "s2"]}'), 7, 'once more, with another');
SELECT is(pg_temp.lines($$SELECT component, skip_reason ->> 'message' FROM promote.preview_request('shop', 7)$$),
    E'(s1,"nothing to do: ""shop-production-s1"" runs it already")\n(s2,)', 'what runs already has nothing to do');
SELECT is(pg_temp.advance(7), 'RUNNING 2 1', 'its wave is over at once');
SELECT is(pg_temp.items(7), 's1 1 SKIPPED, s2 2 STAGED', 'skipped, and gone on');

-- ---- pause, resume, cancel ----
SELECT is((SELECT status || ' ' || reason FROM promote.pause_request('shop', 7, 'lunch')), 'PAUSED lunch', 'paused');
SELECT is((SELECT status FROM promote.pause_request('shop', 7)), 'PAUSED', 'paused is paused');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.lines($$SELECT * FROM promote.advance_request('shop', 7)$$),
    '(PAUSED,2,0,"[{""code"": ""paused"", ""message"": ""it is paused (lunch): promote.resume_request lets it go '
        'on""}]")', 'nothing moves');
SELECT is((SELECT status FROM promote.resume_request('shop', 7)), 'RUNNING', 'resumed');
SELECT is((SELECT status FROM promote.resume_request('shop', 7)), 'RUNNING', 'running is resumed');
SELECT is(pg_temp.advance(7), 'RUNNING 2 1', 'goes on where it stood');
SELECT pg_temp.refuses($$SELECT promote.cancel_request('shop', 7, ' ')$$, 'PM404', 'null or empty',
    'cancelling without a reason');
SELECT is(pg_temp.cancel(7), 'CANCELLED', 'cancelled');
SELECT is((SELECT status || ' ' || reason FROM promote.deployment WHERE project = 'shop' AND environment = 'production'
    AND component = 's2' AND deployment = 4), 'ABORTED request 7 is cancelled: enough of it',
    'what no worker has begun is aborted');
SELECT is(pg_temp.advance(7), 'CANCELLED 2 0', 'and nothing moves any more');

-- ---- other changes riding along ----
SELECT is(pg_temp.open('{"components": ["s2", "s3"]}'), 8, 'what was cancelled stays staged');
SELECT is((SELECT count(other_changes) FROM promote.preview_request('shop', 8)), 1::bigint,
    '... which the preview says');
SELECT pg_temp.refuses('SELECT pg_temp.advance(8)', 'PM609',
    'revision 2 \(promotion by ada\) is desired at "shop-production-s2" and not deployed',
    '... and the execution refuses');
SELECT is(pg_temp.cancel(8), 'CANCELLED', 'cancelled');
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s2"]}',
    include_other_changes => true)), 9, 'told to include them');
SELECT is(pg_temp.preview(9), 1::bigint, 'there is something to do: it is desired, but does not run');
SELECT is(pg_temp.drain(9), 'COMPLETED', 'it is deployed with them');

-- ---- overrides, window, soak ----
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s2", "s3"]}',
    'all_at_once', overrides => '{"s3": {"size": 7}}',
    execution_window => tstzrange(now() + interval '1 hour', now() + interval '2 hours'), soak => '1 year')), 10,
        'a request with overrides and a window, and with the longest soak');
SELECT is(pg_temp.preview(10), 1::bigint, 'previewed');
SELECT is((SELECT status || ' ' || moved FROM promote.advance_request('shop', 10)), 'OPEN 0',
    'it does not begin before its window opens');
SELECT matches(pg_temp.waits(10), '^the execution window opens at ....-..-.. ..:..:.. UTC$', '... and says when');
SELECT is(pg_temp.cancel(10), 'CANCELLED', 'cancelled');
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s3"]}',
    overrides => '{"s3": [{"op": "replace", "path": "/size", "value": 7}]}', soak => '1 hour',
    message => 'for the sale')), 11, 'a request that soaks');
SELECT is(pg_temp.preview(11), 1::bigint, 'previewed');
SELECT is(pg_temp.drain(11), 'RUNNING', 'deployed');
SELECT matches(pg_temp.waits(11), '^wave 1: "shop-production-s3" soaks until', 'but not done before it has soaked');
SELECT is((SELECT c.params ->> 'size' FROM promote.config_as_of('shop-production-s3', 'infinity') AS c), '7',
    'with its overrides');
SELECT is((SELECT message FROM promote.revision WHERE project = 'shop' AND environment = 'production'
    AND component = 's3' AND revision = 2), 'request 11: for the sale', 'and its message');
-- an hour later
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE promote.promotion_request DISABLE TRIGGER ALL;
UPDATE promote.promotion_request SET soak = '0.01 s' WHERE project = 'shop' AND request = 11;
ALTER TABLE promote.promotion_request ENABLE TRIGGER ALL;
SELECT FROM promote.restore_guards() \g /dev/null
SET CONSTRAINTS ALL DEFERRED;
SELECT pg_sleep(0.05) \g /dev/null
SELECT is(pg_temp.advance(11), 'COMPLETED 1 1', 'then it is');

-- ---- what moves before its wave blocks until it is previewed again ----
SELECT is(pg_temp.open('{"components": ["s4", "s5"]}'), 12, 'two waves');
SELECT is(pg_temp.preview(12), 2::bigint, 'previewed');
SELECT promote.advance_request('shop', 12) \g /dev/null
SELECT promote.configure_instance('shop-staging-s5', '{"size": 4}') \g /dev/null
SELECT is(pg_temp.drain(12), 'BLOCKED', 'the second one is not what was previewed');
SELECT is(pg_temp.waits(12),
    'wave 2: "shop-production-s5": it has moved since preview 1: take another by promote.preview_request',
    '... and says so');
SELECT is(pg_temp.lines($$SELECT component, status, diff IS NOT NULL FROM promote.preview_request('shop', 12)$$),
    E'(s4,DONE,t)\n(s5,PENDING,t)', 'another preview says what was, and what is to come');
SELECT is((SELECT p.items -> 0 = q.items -> 0 FROM promote.promotion_request_preview AS p,
    promote.promotion_request_preview AS q WHERE p.request = 12 AND q.request = 12 AND p.preview = 1 AND q.preview = 2),
    true, 'what is done is in it as it was');
SELECT is(pg_temp.drain(12), 'COMPLETED', 'and it goes on');

-- ---- what has left the scope is skipped, and seen ----
SELECT promote.configure_instance('shop-staging-s' || n, '{"size": 20}') FROM generate_series(1, 6) AS n \g /dev/null
SELECT is(pg_temp.open('{"selector": {"tenant": "rest"}}', 'all_at_once'), 13, 'by a selector');
SELECT is(pg_temp.preview(13), 4::bigint, 'previewed');
UPDATE promote.component SET attributes = '{"tenant": "acme"}' WHERE project = 'shop' AND component = 's6';
SELECT pg_temp.refuses('SELECT pg_temp.advance(13)', 'PM607', '"shop-production-s6" has moved since', 'one has left');
SELECT is((SELECT skip_reason ->> 'message' FROM promote.preview_request('shop', 13) WHERE component = 's6'),
    'left the scope: its attributes no longer match the selector', 'which the preview says');
SELECT is(pg_temp.advance(13), 'RUNNING 1 3', 'the others are staged');
SELECT is(pg_temp.items(13), 's3 1 STAGED, s4 1 STAGED, s5 1 STAGED, s6 1 SKIPPED', 'it is not');

-- ---- all at once ----
SELECT pg_temp.work_all('s4', 'PLAN') \g /dev/null
SELECT is(pg_temp.advance(13), 'FAILED 1 1', 'a plan fails: nothing is deployed');
SELECT is((SELECT count(*) FROM promote.promotion_request_item WHERE request = 13 AND deployment IS NOT NULL),
    0::bigint, '... of any');
SELECT is((SELECT reason FROM promote.promotion_request WHERE project = 'shop' AND request = 13),
    '"shop-production-s4": plan 5 is FAILED: broken', 'with the reason');
SELECT is(pg_temp.lines($$SELECT * FROM promote.advance_request('shop', 13)$$),
    '(FAILED,1,0,"[{""code"": ""failed"", ""message"": ""it has failed (\\""shop-production-s4\\"": plan 5 is FAILED: '
        'broken): '
    'promote.resume_request lets it go on, promote.cancel_request ends it""}]")', 'it stays so');
SELECT is((SELECT status FROM promote.resume_request('shop', 13, 'once more')), 'RUNNING', 'resumed');
SELECT is(pg_temp.advance(13), 'RUNNING 1 1', 'it is planned again');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(13), 'RUNNING 1 3', 'and then all are deployed');
SELECT is(pg_temp.drain(13), 'COMPLETED', '... to the end');
UPDATE promote.component SET attributes = '{"tenant": "rest"}' WHERE project = 'shop' AND component = 's6';

SELECT promote.configure_instance('shop-staging-s' || n, jsonb_build_object('size', CASE n WHEN 5 THEN 90 ELSE 30 END))
    FROM generate_series(3, 6) AS n \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"selector": {"tenant": "rest"}}',
    'all_at_once', overrides => '{"s5": {"size": 900}}')), 14, 'one of them is not valid');
SELECT is((SELECT blockers -> 0 ->> 'code' FROM promote.preview_request('shop', 14) WHERE component = 's5'), 'params',
    'which the preview says');
CREATE TEMP TABLE was AS SELECT name, revision FROM promote.instance;
SELECT is(pg_temp.advance(14), 'BLOCKED 1 0', 'none is staged');
SELECT is_empty('SELECT FROM promote.instance AS i JOIN was AS w USING (name) WHERE w.revision <> i.revision',
    '... at all');
SELECT matches(pg_temp.waits(14), '^wave 1: "shop-production-s5": the params .* would not be valid',
    'for the reason of the one');
SELECT is(pg_temp.advance(14), 'BLOCKED 1 0', 'as often as it is tried');
SELECT is(pg_temp.cancel(14), 'CANCELLED', 'cancelled');

-- ---- failures, and what is rolled back ----
SELECT is(pg_temp.open('{"selector": {"tenant": "rest"}}', 'waves', '[2]', 'wave'), 15, 'a wave of two, and the rest');
SELECT is(pg_temp.preview(15), 4::bigint, 'previewed');
SELECT is(pg_temp.advance(15), 'RUNNING 1 2', 'begun');
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.advance_request('shop', 15) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(15), 'RUNNING 2 6', 'the first wave is done');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(15), 'RUNNING 2 2', 'the second one is deployed');
SELECT pg_temp.work_all('s6') \g /dev/null
SELECT is(pg_temp.advance(15), 'ROLLING_BACK 2 5', 'one fails: the wave is rolled back');
SELECT is(pg_temp.items(15), 's3 1 DONE, s4 1 DONE, s5 2 ROLLING_BACK, s6 2 ROLLING_BACK', '... and none else');
SELECT is(pg_temp.drain(15), 'ROLLED_BACK', 'by plans and deployments');
SELECT is((SELECT string_agg(i.component || ' ' || (c.params ->> 'size') || ' ' || i.status, ', ' ORDER BY i.component)
    FROM promote.instance AS i
    JOIN promote.revision AS r USING (project, environment, component) JOIN promote.config AS c USING (project, digest)
    WHERE i.project = 'shop' AND i.environment = 'production' AND r.revision = i.deployed_revision
        AND i.component IN ('s3', 's4', 's5', 's6')),
    's3 30 PROVISIONED, s4 30 PROVISIONED, s5 20 PROVISIONED, s6 1 PROVISIONED',
        'the first wave stays, the second runs what it ran');
SELECT is((SELECT reason FROM promote.promotion_request WHERE project = 'shop' AND request = 15),
    '"shop-production-s6": deployment 4 is FAILED: broken', 'the reason is kept');

SELECT promote.configure_instance('shop-staging-s' || n, '{"size": 40}') FROM generate_series(1, 6) AS n \g /dev/null
SELECT is(pg_temp.open('{}', 'waves', '[{"tenant": "acme"}, 3]', 'all'), 16, 'everything');
SELECT is((SELECT count(*) FROM promote.preview_request('shop', 16) WHERE skip_reason IS NULL
    AND other_changes IS NULL), 6::bigint, 'what was rolled back is not another change');
SELECT promote.advance_request('shop', 16) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.advance_request('shop', 16) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.advance_request('shop', 16) \g /dev/null
SELECT pg_temp.work_all('s3', 'PLAN') \g /dev/null
SELECT matches(pg_temp.advance(16), '^ROLLING_BACK 2', 'a plan of the second wave fails: all is rolled back');
SELECT matches(pg_temp.items(16),
    '^s1 1 ROLLING_BACK, s2 1 ROLLING_BACK, s3 2 ROLLED_BACK, s4 2 (ROLLED|ROLLING)_BACK, s5 2 (ROLLED|ROLLING)_BACK, '
    's6 3 PENDING, s7 3 PENDING, s8 SKIPPED$', '... but what was not begun; what was only staged by a revision alone');
SELECT is((SELECT status FROM promote.pause_request('shop', 16)), 'PAUSED', 'a rollback can be paused');
SELECT is((SELECT status FROM promote.resume_request('shop', 16)), 'ROLLING_BACK', 'and resumed');
SELECT promote.advance_request('shop', 16) \g /dev/null
SELECT pg_temp.work_all('s1', 'PLAN') \g /dev/null
SELECT pg_temp.drain(16) \g /dev/null
SELECT is((SELECT status FROM promote.promotion_request WHERE project = 'shop' AND request = 16), 'FAILED',
    'a rollback may fail');
SELECT is((SELECT status FROM promote.resume_request('shop', 16)), 'ROLLING_BACK', 'and be resumed');
SELECT is(pg_temp.drain(16), 'ROLLED_BACK', 'to its end');
SELECT is((SELECT string_agg(DISTINCT (c.params ->> 'size'), ',') FROM promote.instance AS i
    JOIN promote.revision AS r USING (project, environment, component) JOIN promote.config AS c USING (project, digest)
    WHERE i.project = 'shop' AND i.environment = 'production' AND r.revision = i.revision
        AND c.params ->> 'size' = '40'), NULL, 'nothing of it is desired any more');

-- ---- a deployment that fails, and is tried again ----
SELECT is(pg_temp.open('{"components": ["s1"]}'), 17, 'without rollback');
SELECT is(pg_temp.preview(17), 1::bigint, 'previewed');
SELECT promote.advance_request('shop', 17) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.advance_request('shop', 17) \g /dev/null
SELECT pg_temp.work_all('s1') \g /dev/null
SELECT is(pg_temp.advance(17), 'FAILED 1 1', 'its deployment fails');
SELECT is((SELECT status FROM promote.resume_request('shop', 17)), 'RUNNING', 'resumed');
SELECT is(pg_temp.drain(17), 'COMPLETED', 'planned and deployed again');

-- ---- what ran nothing before ----
SELECT promote.configure_instance('shop-staging-s7', '{"size": 1}') \g /dev/null
UPDATE promote.component SET attributes = '{"tenant": "first"}' WHERE project = 'shop' AND component = 's7';
SELECT is(pg_temp.open('{"components": ["s7"]}', rollback_mode => 'all'), 18, 'a first deployment');
SELECT is(pg_temp.lines($$SELECT skip_reason, base_revision, blockers FROM promote.preview_request('shop', 18)$$),
    '(,,[])', 'what has no configuration yet can be promoted to');
SELECT is(pg_temp.cancel(18), 'CANCELLED', 'but is not yet');
SELECT promote.configure_instance('shop-production-s7', '{"size": 1, "own": 7}') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.open('{"components": ["s7"]}', rollback_mode => 'all'), 19, 'with one');
SELECT is(pg_temp.lines($$SELECT skip_reason ->> 'message', other_changes FROM promote.preview_request('shop', 19)$$),
    '(,)',
    'there is: it does not run; and no other changes, for nothing does');
SELECT promote.advance_request('shop', 19) \g /dev/null
SELECT promote.advance_request('shop', 19) \g /dev/null
SELECT pg_temp.work_all('s7') \g /dev/null
SELECT is(pg_temp.advance(19), 'FAILED 1 2', 'it fails, and cannot be rolled back');
SELECT is((SELECT reason FROM promote.promotion_request_item WHERE request = 19),
    'nothing ran there before the request: it cannot be rolled back', '... for that reason');
SELECT is(pg_temp.cancel(19), 'CANCELLED', 'it can be cancelled');

-- ---- a wave is done when what it has deployed is verified healthy ----
INSERT INTO promote.required_check (project, environment, check_name, per_revision, component)
    VALUES ('shop', 'production', 'migrated', true, 's1'), ('shop', 'production', 'smoke', false, 's1');
SELECT promote.report_health('shop-production-s1', 'smoke', true), promote.report_health('shop-production-s1', 'load',
    true) \g /dev/null
SELECT promote.configure_instance('shop-staging-s1', '{"size": 50}') \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s1"]}',
    checks => '{load}', rollback_mode => 'wave')), 20, 'with a check of its own');
SELECT is((SELECT blockers -> 0 ->> 'code' FROM promote.preview_request('shop', 20)), 'health',
    'the preview says what the environment requires before');
SELECT promote.advance_request('shop', 20) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(20), 'BLOCKED 1 0', 'which blocks');
SELECT matches(pg_temp.waits(20), '^wave 1: "shop-production-s1": .*health: check "migrated" was never reported',
    '... with the gate''s reason');
SELECT promote.report_health('shop-production-s1', 'migrated', true) \g /dev/null
SELECT is(pg_temp.advance(20), 'RUNNING 1 1', 'until it is reported');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(20), 'RUNNING 1 1', 'deployed, it is not done');
SELECT is(pg_temp.waits(20),
    'wave 1: "shop-production-s1" is not verified: to be reported healthy since its deployment: "load", "smoke"',
    'what was green before is no verification, unless it is about the revision');
SELECT is((SELECT row(h.unhealthy, h.unverified)::text
             FROM promote_internal.request_item_health AS h WHERE h.request = 20),
    '(,"""load"", ""smoke""")', 'which one can ask as it is asked');
SELECT is((SELECT concat_ws(' ', t.component, t.status, t.plan_status, t.queued_status, t.queued_began, t.as_previewed,
                            t.soaked, t.is_over, t.is_relapsed)
             FROM promote_internal.request_item_now AS t WHERE t.request = 20),
    's1 VERIFYING COMPLETED COMPLETED t t t f f', '... and where the item stands');
SELECT promote.report_health('shop-production-s1', 'smoke', true) \g /dev/null
SELECT is(pg_temp.advance(20), 'RUNNING 1 0', 'one of two');
SAVEPOINT others;
SELECT promote.report_health(name, check_name, n % 2 = 0) FROM generate_series(1, 5) AS n,
    unnest('{shop-staging-s1,shop-production-s2}'::text[]) AS name, unnest('{smoke,load,pager}'::text[]) AS check_name
    ORDER BY n \g /dev/null
SELECT is((SELECT row(h.unhealthy, h.unverified)::text
             FROM promote_internal.request_item_health AS h WHERE h.request = 20),
    '(,"""load""")', 'what is reported of others neither fails nor verifies it');
ROLLBACK TO others;
SELECT promote.report_health('shop-production-s1', 'pager', false, 'it rang') \g /dev/null
SELECT is((SELECT row(h.unhealthy, h.unverified)::text
             FROM promote_internal.request_item_health AS h WHERE h.request = 20),
    '("check ""pager"" has failed since its deployment","""load""")',
        'what has failed is one question with what is missing');
SELECT is(pg_temp.advance(20), 'ROLLING_BACK 1 2', 'whatever fails meanwhile is a failure of the request');
SELECT is((SELECT reason FROM promote.promotion_request WHERE project = 'shop' AND request = 20),
    '"shop-production-s1": check "pager" has failed since its deployment', '... with its reason');
SELECT is(pg_temp.drain(20), 'ROLLING_BACK', 'the rollback has the same gates');
SELECT matches(pg_temp.waits(20), 'health: check "migrated" was never reported of revision', '... and says so');
SELECT promote.report_health('shop-production-s1', 'migrated', true) \g /dev/null
SELECT is(pg_temp.drain(20), 'ROLLED_BACK', 'rolled back');
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s1"]}')), 21,
    'once more');
SELECT is(pg_temp.preview(21), 1::bigint, 'previewed');
SELECT promote.advance_request('shop', 21) \g /dev/null
SELECT promote.report_health('shop-production-s1', 'migrated', true) \g /dev/null
SELECT pg_temp.drain(21) \g /dev/null
SELECT promote.report_health('shop-production-s1', 'smoke', false) \g /dev/null
SELECT is(pg_temp.advance(21), 'FAILED 1 1', 'a required check fails');
SELECT is((SELECT status FROM promote.resume_request('shop', 21)), 'RUNNING', 'resumed');
SELECT is(pg_temp.advance(21), 'RUNNING 1 0', 'it is verified from then on');
SELECT promote.report_health('shop-production-s1', 'smoke', true) \g /dev/null
SELECT is(pg_temp.advance(21), 'COMPLETED 1 1', 'and done');
DELETE FROM promote.required_check;

-- ---- all at once: none is deployed before the gates of all are open ----
SELECT promote.configure_instance('shop-staging-s' || n, '{"size": 55}') FROM generate_series(4, 5) AS n \g /dev/null
SELECT is((SELECT request FROM promote.open_request('shop', 'staging', 'production', '{"components": ["s4", "s5"]}',
    'all_at_once')), 22, 'two at once');
SELECT is((SELECT status || ' ' || COALESCE(reason, '') FROM promote.pause_request('shop', 22)), 'PAUSED ',
    'what has not begun can be paused');
SELECT is((SELECT status FROM promote.resume_request('shop', 22)), 'OPEN', '... and resumed');
SELECT is(pg_temp.preview(22), 2::bigint, 'previewed');
SELECT pg_temp.advance(22) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
INSERT INTO promote.required_check (project, environment, check_name, component)
    VALUES ('shop', 'production', 'migrated', 's5');
SELECT is(pg_temp.advance(22), 'BLOCKED 1 0', 'a gate of one is closed');
SELECT is(pg_temp.items(22), 's4 1 STAGED, s5 1 STAGED', '... and none is deployed');
SELECT matches(pg_temp.waits(22),
    '^wave 1: "shop-production-s5": .*health: check "migrated" was never reported of "shop-production-s5"[^\n]*$',
    '... for the reason of the one');
SELECT promote.report_health('shop-production-s5', 'migrated', true) \g /dev/null
SELECT is((promote.plan_instance('shop-production-s4')).status, 'PENDING', 'planned again by hand');
SELECT is(pg_temp.advance(22), 'RUNNING 1 0', 'the last plan is waited for');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(22), 'RUNNING 1 2', 'then both are deployed');
DELETE FROM promote.required_check;
SELECT is((SELECT plan FROM promote.promotion_request_item WHERE request = 22 AND component = 's4'), (SELECT plan
    FROM promote.deployment WHERE project = 'shop' AND environment = 'production' AND component = 's4'
    ORDER BY deployment DESC LIMIT 1), 'by that');
SELECT is(pg_temp.drain(22), 'COMPLETED', 'done');

-- ---- what somebody else deploys of it is its own ----
SELECT promote.configure_instance('shop-staging-s4', '{"size": 56}') \g /dev/null
SELECT is(pg_temp.open('{"components": ["s4"]}'), 23, 'a request');
SELECT is(pg_temp.preview(23), 1::bigint, 'previewed');
SELECT pg_temp.advance(23) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is((promote.deploy_instance('shop-production-s4')).status, 'PENDING', 'deployed by hand');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.drain(23), 'COMPLETED', 'the request goes on with it');

-- ---- many: twenty are named ----
INSERT INTO promote.project (project) VALUES ('many');
INSERT INTO promote.environment (project, environment) VALUES ('many', 'staging'), ('many', 'production');
INSERT INTO promote.component (project, component, bundle) SELECT 'many', 'c' || n, 'service'
    FROM generate_series(1, 25) AS n;
INSERT INTO promote.instance (project, environment, component) SELECT 'many', e, 'c' || n
    FROM generate_series(1, 25) AS n, unnest(ARRAY['staging', 'production']) AS e;
SELECT promote.configure_instance(name, jsonb_build_object('size', length(environment)), plan => false)
    FROM promote.instance WHERE project = 'many' \g /dev/null
SELECT promote.open_request('many', 'staging', 'production', strategy => 'waves', waves => '[25]') \g /dev/null
SELECT is((pg_temp.refusal($$SELECT promote.open_request('many', 'staging', 'production')$$)).detail ~ E'\nand 5 more$',
    true, 'of those that are held');
SELECT count(*) FROM promote.preview_request('many', 1) \g /dev/null
SELECT is((SELECT jsonb_array_length(waits_for) || ' ' || (waits_for -> 20 ->> 'message')
    FROM promote.advance_request('many', 1)),
    '21 and 5 more', 'of those that are waited for');
SELECT promote.configure_instance(name, '{"size": 99}') FROM promote.instance WHERE project = 'many'
    AND environment = 'production' \g /dev/null
SELECT is((SELECT status || ' ' || (SELECT count(*) FROM promote.preview_request('many', 1) WHERE skip_reason IS NULL)
    FROM promote.advance_request('many', 1)), 'BLOCKED 25', 'all are staged again after another preview');
SELECT is((SELECT status || ' ' || moved FROM promote.advance_request('many', 1)), 'RUNNING 25', 'at once');

-- ---- what has left the scope behind its preview, or when it was staged ----
INSERT INTO promote.component (project, component, bundle, attributes)
    VALUES ('shop', 's9', 'service', '{"tenant": "late"}');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 's9'),
    ('shop', 'production', 's9');
SELECT promote.configure_instance('shop-staging-s' || n, '{"size": 60}') FROM generate_series(2, 3) AS n \g /dev/null
UPDATE promote.component SET attributes = '{"tenant": "late"}' WHERE project = 'shop' AND component IN ('s2', 's3');
SELECT is(pg_temp.open('{"selector": {"tenant": "late"}}', 'waves', '[3]'), 24, 'three of a tenant');
SELECT is(pg_temp.preview(24), 2::bigint, 'two are configured');
SELECT pg_temp.advance(24) \g /dev/null
SELECT is(pg_temp.items(24), 's2 1 STAGED, s3 1 STAGED, s9 1 SKIPPED', 'and staged');
UPDATE promote.component SET attributes = '{"tenant": "moved"}' WHERE project = 'shop' AND component = 's3';
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.advance(24), 'RUNNING 1 1', 'one leaves, and is not deployed');
SELECT is((SELECT skip_reason ->> 'message' FROM promote.promotion_request_item
    WHERE request = 24 AND component = 's3'),
    'left the scope: its attributes no longer match the selector; revision '
    || (SELECT revision FROM promote.instance WHERE name = 'shop-production-s3') || ' stays desired',
        '... but skipped, with the reason');
SELECT is(pg_temp.drain(24), 'COMPLETED', 'the other is');
SELECT is(pg_temp.open('{"components": ["s9"]}'), 25, 'an instance without a history');
DELETE FROM promote.instance WHERE name = 'shop-production-s9';
SELECT is((SELECT skip_reason ->> 'message' FROM promote.preview_request('shop', 25)),
    'left the scope: "shop-production-s9" is gone',
    'can be deleted');
SELECT is(pg_temp.advance(25), 'SKIPPED 1 0', 'and is skipped');
SELECT promote.rollback_instance('shop-production-s3') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
UPDATE promote.component SET attributes = '{"tenant": "rest"}' WHERE project = 'shop' AND component = 's3';

-- ---- the rules of the moment hold, and the caller's rights ----
SELECT is(pg_temp.open('{"components": ["s3"]}'), 26, 'a request');
UPDATE promote.environment SET source_policy = 'path' WHERE project = 'shop' AND environment = 'production';
SELECT is((SELECT blockers -> 0 ->> 'code' FROM promote.preview_request('shop', 26)), 'path',
    'a path that is not there is a blocker');
SELECT is(pg_temp.advance(26), 'BLOCKED 1 0', '... and blocks');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
    VALUES ('shop', 'staging', 'production');
SELECT is(pg_temp.preview(26), 1::bigint, 'with a path');
CREATE ROLE bot;
INSERT INTO promote.grants (role, action, project, environment)
VALUES ('bot', 'promote', 'shop', 'production'), ('bot', 'deploy', 'shop', 'production'),
    ('bot', 'view', 'shop', 'staging');
CREATE FUNCTION public.ask(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS $$
    SELECT 'policy', 'asked by ' || current_user, NULL::timestamptz, NULL::timestamptz, NULL, true
        WHERE current_user = 'bot'
$$;
INSERT INTO promote.policy (policy, function, project, environment) VALUES ('ask', 'public.ask', 'shop', 'production');
SET LOCAL ROLE bot;
SET LOCAL promote.actor = '';
SELECT promote.advance_request('shop', 26) \g /dev/null
RESET ROLE;
SELECT is((SELECT actor FROM promote.audit_log WHERE subject = 'request shop/26' ORDER BY seq DESC LIMIT 1), 'bot',
    'who may promote and deploy there advances it');
SELECT pg_temp.work_all() \g /dev/null
SET LOCAL ROLE bot;
SELECT promote.advance_request('shop', 26) \g /dev/null
RESET ROLE;
SELECT matches(pg_temp.waits(26), 'policy: asked by bot', 'what gates run is run with the rights of the caller');
SET LOCAL promote.actor = 'ada';
SELECT is(pg_temp.drain(26), 'COMPLETED', 'by another caller it is open');
SELECT is((pg_temp.refusal($$SET LOCAL ROLE bot; SELECT promote.stop_line('shop', 'x')$$)).state, 'PM701',
    'other verbs are not open to it');
RESET ROLE;

-- ---- what triggers of others change is not believed ----
CREATE FUNCTION pg_temp.change_overrides() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.overrides_digest := '\x01';
    RETURN NEW; END $$;
CREATE FUNCTION pg_temp.change_items() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.items := '[1]';
    RETURN NEW; END $$;
CREATE TRIGGER z_mine BEFORE INSERT ON promote.promotion_request FOR EACH ROW EXECUTE FUNCTION
    pg_temp.change_overrides();
SELECT is((pg_temp.refusal($$SELECT pg_temp.open('{"components": ["s1"]}')$$)).state, '23503',
    'overrides that are nowhere');
DROP TRIGGER z_mine ON promote.promotion_request;
SELECT promote.configure_instance('shop-staging-s1', '{"size": 77}') \g /dev/null
SELECT pg_temp.open('{"components": ["s1"]}') AS changed \gset
CREATE TRIGGER z_mine BEFORE INSERT ON promote.promotion_request_preview FOR EACH ROW EXECUTE FUNCTION
    pg_temp.change_items();
SELECT pg_temp.preview(:changed), pg_temp.advance(:changed) \g /dev/null
SELECT is(pg_temp.items(:changed), 's1 1 STAGED', 'an item that has gone on');
SELECT is((pg_temp.refusal(format('SELECT pg_temp.preview(%s)', :changed))).state, 'XX000',
    'what a changed preview says of it is not read');
DROP TRIGGER z_mine ON promote.promotion_request_preview;
SELECT is(pg_temp.cancel(:changed), 'CANCELLED', 'cancelled');

-- ---- nobody writes them by hand ----
SELECT is((pg_temp.refusal(statement)).state, state, statement) FROM (VALUES
    ($$UPDATE promote.promotion_request SET scope = '{"components": ["s1"]}' WHERE project = 'shop'$$, 'PM301'),
    ($$UPDATE promote.promotion_request SET status = 'OPEN', finished_at = NULL$$, 'PM303'),
    ($$UPDATE promote.promotion_request_item SET component = 'x'$$, 'PM301'),
    ($$UPDATE promote.promotion_request_item SET status = 'DONE'$$, 'PM303'),
    ($$UPDATE promote.promotion_request_preview SET items = '[]'$$, 'PM301'),
    ('DELETE FROM promote.promotion_request', 'PM301'), ('DELETE FROM promote.promotion_request_item', 'PM301'),
    ('DELETE FROM promote.promotion_request_preview', 'PM301'),
    ('TRUNCATE promote.promotion_request CASCADE', 'PM301'), ('TRUNCATE promote.promotion_request_item', 'PM301'),
        ('TRUNCATE promote.promotion_request_preview', 'PM301')) AS v (statement, state);
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'after all that the chains are whole');

SELECT * FROM finish();
ROLLBACK;
