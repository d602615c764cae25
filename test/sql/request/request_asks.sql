-- Who has asked is who has asked: the opener of a request asks for all that it does, whoever moves it; but nobody gets
-- their own edits through by moving them for somebody else.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql

CREATE ROLE test_voters;
CREATE ROLE test_olga LOGIN IN ROLE test_voters; -- opens
CREATE ROLE test_mo LOGIN IN ROLE test_voters; -- moves
CREATE ROLE test_ann LOGIN IN ROLE test_voters;
INSERT INTO promote.grants (role, action, project) SELECT 'test_voters', a, 'shop'
    FROM unnest('{view,configure,promote,plan,deploy,approve,decommission}'::text[]) AS a;
INSERT INTO promote.approval_rule (project, environment, rule, role, requester_counts)
    VALUES ('shop', 'production', 'another', 'test_voters', false);

\ir ../../fixtures/as_role.sql
CREATE FUNCTION pg_temp.opens(role text, component text, mode text DEFAULT 'none', copies boolean DEFAULT false)
    RETURNS integer LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, format('SELECT request FROM promote.open_request(''shop'', ''staging'', ''production'',
        %L, rollback_mode => %L, copy_remote_references => %L)',
        jsonb_build_object('components', jsonb_build_array(component)), mode, copies))::integer
$$;
CREATE FUNCTION pg_temp.previews(role text, request integer) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, format('SELECT count(*) FROM promote.preview_request(''shop'', %s)', request))
$$;
CREATE FUNCTION pg_temp.moves(role text, request integer) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role,
        format('SELECT concat_ws('' '', status, moved) FROM promote.advance_request(''shop'', %s)',
        request))
$$;
-- Approves the last plan of a service in production.
CREATE FUNCTION pg_temp.approves(role text, component text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_role(role, format('SELECT status FROM promote.approve_deployment(%L, %s)',
        'shop-production-' || component, (SELECT max(d.deployment) FROM promote.deployment AS d
          WHERE d.project = 'shop' AND d.environment = 'production' AND d.component = approves.component
              AND d.action = 'PLAN')))
$$;
-- Who has asked for the last revision and the last deployment of a service in production, and who has moved them.
CREATE FUNCTION pg_temp.who(component text) RETURNS text LANGUAGE sql AS $$
    SELECT (SELECT concat_ws(' ', r.origin, r.actor, r.database_role, r.moved_by, r.moved_role)
        FROM promote.revision AS r
             WHERE r.project = 'shop' AND r.environment = 'production' AND r.component = who.component
             ORDER BY r.revision DESC LIMIT 1) || ', ' ||
           (SELECT concat_ws(' ', d.action, d.actor, d.database_role, d.moved_by, d.moved_role)
               FROM promote.deployment AS d
             WHERE d.project = 'shop' AND d.environment = 'production' AND d.component = who.component
             ORDER BY d.deployment DESC LIMIT 1)
$$;

-- ---- the opener asks, whoever moves ----
SELECT is(pg_temp.opens('test_olga', 's1'), 1, 'opened by one');
SELECT is(pg_temp.previews('test_olga', 1), '1', '... who has previewed it');
SELECT is(pg_temp.moves('test_mo', 1), 'RUNNING 1', 'and moved by another');
SELECT is(pg_temp.who('s1'),
    'promotion test_olga test_olga test_mo test_mo, PLAN test_olga test_olga test_mo test_mo',
    'the opener has asked for the revision and its plan, and who has moved it is told beside');
SELECT is(pg_temp.lines($$SELECT actor, database_role, moved_by, moved_role FROM promote.promotion_history
    WHERE destination = 'shop-production-s1' AND source_revision = 1 ORDER BY revision DESC LIMIT 1$$),
    '(test_olga,test_olga,test_mo,test_mo)', 'the history says so');
SELECT is(pg_temp.lines($$SELECT event, actor, database_role, data ->> 'actor', data ->> 'moved_by',
    data ->> 'moved_role' FROM promote.audit_log WHERE subject = 'shop-production-s1' ORDER BY seq DESC LIMIT 2$$),
    E'(deployment.created,test_mo,test_mo,test_olga,test_mo,test_mo)\n'
    '(revision.created,test_mo,test_mo,test_olga,test_mo,test_mo)',
    'in the audit log the one who moved has acted, for the opener');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_olga', 's1'),
    'PM603: Rule "another" does not count who has asked for it, as "test_olga" has.', 'the opener has asked for it');
SELECT is(pg_temp.approves('test_mo', 's1'), 'COMPLETED', 'who has moved it has not, and votes');
SELECT is(pg_temp.moves('test_mo', 1), 'RUNNING 1', 'and moves it on');
SELECT is(pg_temp.who('s1'),
    'promotion test_olga test_olga test_mo test_mo, PROVISION test_olga test_olga test_mo test_mo',
    'the opener has asked for the deployment');
SELECT is((SELECT count(*) FROM promote.deployment AS d, jsonb_array_elements(d.gates -> 'approvals') AS a,
    jsonb_array_elements(a -> 'votes') AS v WHERE d.project = 'shop' AND d.component = 's1'
        AND v ->> 'actor' = 'test_mo'),
    1::bigint, '... by the vote of who has moved it');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.moves('test_ann', 1), 'COMPLETED 2', 'anybody ends it');
SELECT is((SELECT string_agg(event || ' ' || actor, ', ' ORDER BY seq) FROM promote.audit_log
    WHERE subject = 'request shop/1'),
    'request.opened test_olga, request.previewed test_olga, request.started test_mo, request.advanced test_mo, '
    'request.advanced test_mo, request.completed test_ann', 'its own chain has who has called');
SELECT is((SELECT string_agg(concat_ws(' ', d ->> 'action', d ->> 'actor', d ->> 'moved_by'), ', '
    ORDER BY d -> 'deployment')
    FROM jsonb_path_query(promote.request_evidence('shop', 1), '$.items[*].deployments[*]') AS d),
    'PLAN test_olga test_mo, PROVISION test_olga test_mo', 'and the evidence has both');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

-- ---- nothing is asked for by somebody else by hand ----
SELECT is(pg_temp.as_role('none', $$INSERT INTO promote.revision (project, environment, component, digest,
    version_constraint, moved_by) SELECT project, environment, component, digest, version_constraint, 'test_mo'
    FROM promote.revision WHERE project = 'shop' AND environment = 'production' AND component = 's1' AND revision = 1
    RETURNING revision$$), 'PM303: It says who has moved the request that the revision is of.',
    'nobody writes down who has moved it');
SELECT is(pg_temp.as_role('none', $$INSERT INTO promote.revision (project, environment, component, digest,
    version_constraint, moved_role) SELECT project, environment, component, digest, version_constraint, 'test_mo'
    FROM promote.revision WHERE project = 'shop' AND environment = 'production' AND component = 's1' AND revision = 1
    RETURNING revision$$), 'PM303: It says who has moved the request that the revision is of.', '... by which role');

-- ---- who moves their own edits has asked for them ----
SELECT pg_temp.as_role('test_mo', $$SELECT new_revision FROM promote.configure_instance('shop-staging-s2',
    '{"size": 66}')$$) \g /dev/null
SELECT is(pg_temp.opens('test_olga', 's2'), 2, 'another one opens a request of somebody''s edit');
SELECT is(pg_temp.previews('test_olga', 2), '1', 'and previews it');
SELECT is(pg_temp.moves('test_mo', 2), 'RUNNING 1', 'who has made the edit moves it');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_mo', 's2'),
    'PM603: Rule "another" does not count who has asked for it, as "test_mo" has.', '... and may not approve it');
SELECT is(pg_temp.approves('test_olga', 's2') ~ '^PM603', true, 'nor may the opener');
SELECT is(pg_temp.approves('test_ann', 's2'), 'COMPLETED', 'a third does');
SELECT is(pg_temp.moves('test_ann', 2), 'RUNNING 1', 'and it goes on');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.moves('test_ann', 2), 'COMPLETED 2', '... to its end');

SELECT is(pg_temp.opens('test_olga', 's3'), 3, 'what was edited');
SELECT is(pg_temp.previews('test_olga', 3), '1', 'and previewed');
SELECT pg_temp.as_role('test_mo', $$SELECT new_revision FROM promote.configure_instance('shop-staging-s3',
    '{"size": 77}')$$) \g /dev/null
SELECT is(pg_temp.previews('test_mo', 3), '1', '... is edited again by who takes another preview of it');
SELECT is(pg_temp.moves('test_ann', 3), 'RUNNING 1', 'and lets somebody move it');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_mo', 's3'),
    'PM603: Rule "another" does not count who has asked for it, as "test_mo" has.', 'they have asked for that edit');
SELECT is(pg_temp.approves('test_ann', 's3'), 'COMPLETED', 'who has moved it for them has not');

SELECT pg_temp.as_role('test_mo', $$SELECT new_revision FROM promote.configure_instance('shop-staging-s4',
    '{"size": 67}')$$) \g /dev/null
SELECT pg_temp.as_role('test_ann', $$SELECT new_revision FROM promote.configure_instance('shop-staging-s4',
    '{"own": 4}')$$) \g /dev/null
SELECT is(pg_temp.opens('test_olga', 's4'), 4, 'an edit behind another''s');
SELECT is(pg_temp.previews('test_olga', 4), '1', 'previewed');
SELECT is(pg_temp.moves('test_mo', 4), 'RUNNING 1', 'moved by the author of the first');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_mo', 's4') ~ '^PM603', true, '... which goes along: they have asked for it');
SELECT is(pg_temp.approves('test_ann', 's4'), 'COMPLETED', 'whose edit somebody else has moved has not');

-- what they made long ago and runs there already does not count
SELECT pg_temp.moves('test_mo', 4) \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.moves('test_mo', 4), 'COMPLETED 2', 'it runs');
SELECT pg_temp.as_role('test_ann', $$SELECT new_revision FROM promote.configure_instance('shop-staging-s4',
    '{"size": 68}')$$) \g /dev/null
SELECT is(pg_temp.opens('test_olga', 's4'), 5, 'a later edit of another');
SELECT is(pg_temp.previews('test_olga', 5), '1', 'previewed');
SELECT is(pg_temp.moves('test_mo', 5), 'RUNNING 1', 'moved by who has made what runs');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_mo', 's4'), 'COMPLETED', 'they have asked for nothing of it');
SELECT is(pg_temp.as_role('test_mo', $$SELECT status FROM promote.cancel_request('shop', 5, 'enough')$$), 'CANCELLED',
    'cancelled');
-- what somebody has edited at the destination goes along whoever moves
SELECT pg_temp.as_role('test_mo', $$SELECT new_revision FROM promote.configure_instance('shop-production-s5',
    '{"size": 50}')$$) \g /dev/null
SELECT is(pg_temp.as_role('test_olga', $$SELECT request FROM promote.open_request('shop', 'staging', 'production',
    '{"components": ["s5"]}', include_other_changes => true)$$), '6', 'other changes go along');
SELECT is(pg_temp.previews('test_olga', 6), '1', 'previewed');
SELECT is(pg_temp.moves('test_ann', 6), 'RUNNING 1', 'moved');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_mo', 's5') ~ '^PM603', true, 'who has made them has asked');
SELECT is(pg_temp.approves('test_ann', 's5'), 'COMPLETED', 'who has moved it has not');

-- ---- with separated duties ----
UPDATE promote.environment SET separation_of_duty = true WHERE project = 'shop' AND environment = 'production';
SELECT is(pg_temp.lines($$SELECT code FROM promote.blockers('shop-production-s5')$$), NULL,
    'the vote of who has moved it counts there, too');
UPDATE promote.environment SET separation_of_duty = false WHERE project = 'shop' AND environment = 'production';

-- ---- a rollback is asked for by the opener ----
SELECT is(pg_temp.opens('test_olga', 's6', 'all'), 7, 'one that goes back');
SELECT is(pg_temp.previews('test_olga', 7), '1', 'previewed');
SELECT is(pg_temp.moves('test_mo', 7), 'RUNNING 1', 'moved');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_mo', 's6'), 'COMPLETED', 'approved');
SELECT is(pg_temp.moves('test_mo', 7), 'RUNNING 1', 'deployed');
SELECT pg_temp.work_all('s6') \g /dev/null
SELECT matches(pg_temp.moves('test_mo', 7), '^ROLLING_BACK', 'it fails');
SELECT is(pg_temp.who('s6'),
    'rollback test_olga test_olga test_mo test_mo, PLAN test_olga test_olga test_mo test_mo',
    'whoever opened it has asked for the way back');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_olga', 's6') ~ '^PM603', true, '... and does not approve it');
SELECT is(pg_temp.approves('test_mo', 's6'), 'COMPLETED', 'who moves it does');

-- ---- what is copied along ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    SELECT 'service', '1.1.0', params_schema, '{"network": {"required": false}}' FROM promote.bundle_release
     WHERE bundle = 'service' AND version = '1.0.0';
SELECT pg_temp.as_role('test_ann', $$SELECT promote.set_remote_reference('shop-staging-s1', 'network', 'net-1')$$)
    \g /dev/null
SELECT is(pg_temp.opens('test_olga', 's1', copies => true), 8, 'a request that copies remote references');
SELECT is(pg_temp.previews('test_olga', 8), '1', 'previewed');
SELECT is(pg_temp.moves('test_mo', 8), 'RUNNING 1', 'moved');
SELECT is(pg_temp.lines($$SELECT actor, database_role, moved_by, moved_role FROM promote.remote_reference
    WHERE project = 'shop' AND environment = 'production' AND component = 's1'$$),
    '(test_olga,test_olga,test_mo,test_mo)', 'the opener has set the reference there');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_mo', 's1'), 'COMPLETED', 'who has moved it may approve');
SELECT is(pg_temp.approves('test_olga', 's1') ~ '^PM603', true, '... and the opener may not');
SELECT pg_temp.as_role('test_mo', $$SELECT promote.set_remote_reference('shop-staging-s2', 'network', 'net-2')$$)
    \g /dev/null
SELECT is(pg_temp.opens('test_olga', 's2', copies => true), 9, 'another');
SELECT is(pg_temp.previews('test_olga', 9), '1', 'previewed');
SELECT is(pg_temp.moves('test_mo', 9), 'RUNNING 1', 'moved by who has set the reference at the source');
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.approves('test_mo', 's2') ~ '^PM603', true, 'they have asked for it');
SELECT is(pg_temp.approves('test_ann', 's2'), 'COMPLETED', 'others have not');
SET LOCAL promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
INSERT INTO promote.grants (role, action, project) VALUES ('test_voters', 'secrets', 'shop');
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
    SELECT 'service', '1.2.0', params_schema, '{"token": {"required": false}}' FROM promote.bundle_release
     WHERE bundle = 'service' AND version = '1.0.0';
SELECT is(pg_temp.as_role('test_mo', $$SELECT changed FROM promote.set_secret('shop-staging-s4', 'token', 'mine')$$),
    'true',
    'a secret');
SELECT is(pg_temp.as_role('test_olga', $$SELECT request FROM promote.open_request('shop', 'staging', 'production',
    '{"components": ["s4"]}', include_other_changes => true, copy_secrets => true)$$), '10', 'one that copies secrets');
SELECT is(pg_temp.previews('test_olga', 10), '1', 'previewed');
SELECT is(pg_temp.moves('test_mo', 10), 'RUNNING 1', 'moved by who has set the secret');
SELECT pg_temp.work_all() \g /dev/null
SELECT is((SELECT count(*) FROM promote.secret WHERE project = 'shop' AND environment = 'production'
    AND component = 's4'),
    1::bigint, 'it is copied');
SELECT is(pg_temp.approves('test_mo', 's4') ~ '^PM603', true, 'they have asked for it');
SELECT is(pg_temp.approves('test_ann', 's4'), 'COMPLETED', 'and others have not');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

SELECT * FROM finish();
ROLLBACK;
