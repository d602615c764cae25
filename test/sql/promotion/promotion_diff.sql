-- What a reviewer sees is all that will happen: the base of every diff is what runs, and each entry says since when it
-- waits.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
SELECT 'api', v, '{"properties": {"own": {"$md.copyable": false}, "password": {"$md.sensitive": true}}}',
       '{"network": {"required": false}}'
  FROM unnest('{1.0.0,1.1.0}'::text[]) AS v;
DELETE FROM promote.bundle_release WHERE bundle = 'api' AND version = '1.1.0';
INSERT INTO promote.component VALUES ('ecomm', 'api', 'api');
INSERT INTO promote.instance (project, environment, component)
SELECT 'ecomm', e, 'api' FROM unnest('{staging,production}'::text[]) AS e;
UPDATE promote.parameter_set SET parameters = parameters
    || '{"host": "a.example.com"}' WHERE environment = 'production';
UPDATE promote.parameter_set SET parameters = parameters || '{"host": "s.example.com"}' WHERE environment = 'staging';

CREATE FUNCTION pg_temp.preview(overrides jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', kind, path, change, old_value, '->', new_value, '|', running_value, since), E'\n')
      FROM promote.preview_promotion('ecomm-staging-api', 'ecomm-production-api', overrides)
$$;
CREATE FUNCTION pg_temp.promoted(overrides jsonb DEFAULT '{}', plan boolean DEFAULT true) RETURNS text
    LANGUAGE sql AS $$
    SELECT concat_ws(' ', new_revision, COALESCE(deployment, 0), changed, E'\n' || pg_temp.entries(diff))
      FROM promote.promote_instance('ecomm-staging-api', 'ecomm-production-api', overrides, plan => plan,
          reprovision => true)
$$;
-- The diff of the last deployment.
CREATE FUNCTION pg_temp.last_diff(name text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.entries(d.diff) FROM promote.instance AS i
      JOIN promote.deployment AS d USING (project, environment, component, deployment) WHERE i.name = $1
$$;

SELECT promote.configure_instance('ecomm-staging-api', '{"size": 1, "password": "hush"}', '~1') \g /dev/null
SELECT promote.configure_instance('ecomm-production-api', '{"size": 1, "own": "p", "url": "http://{{host}}/"}', '~1')
\g /dev/null

-- ---- nothing runs: everything is added ----
SELECT is(pg_temp.last_diff('ecomm-production-api'),
E'release version add -> "1.0.0" 1
release constraint add -> "~1" 1
release channel add -> "stable" 1
.own add -> "p" 1
.url add -> "http://a.example.com/" 1
.size add -> 1 1', 'where nothing runs everything is added, the release first');
SELECT is((SELECT jsonb_agg(DISTINCT e -> 'kind') FROM promote.deployment AS d, jsonb_array_elements(d.diff) AS e
    WHERE d.component = 'api'), '["param", "release"]', 'each entry says what it is about');
SELECT pg_temp.deploy('ecomm-production-api') \g /dev/null

-- ---- a release is a change ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
SELECT bundle, '1.1.0', params_schema, remote_references FROM promote.bundle_release WHERE bundle = 'api';
SELECT is(pg_temp.promoted('{"size": 1, "password": null, "url": "http://{{host}}/"}', false),
E'2 0 t \nrelease version change "1.0.0" -> "1.1.0" 2',
    'a newer release alone is an entry, of what is only staged, too');
SELECT is(pg_temp.preview('{"password": null, "url": "http://{{host}}/"}'),
E'release release version none "1.1.0" -> "1.1.0" | "1.0.0" 2
param .own keep "p" -> "p" | "p"', 'the preview shows what is desired already, and waits');
SELECT is(promote.format_diff((SELECT diff FROM promote.promote_instance('ecomm-staging-api', 'ecomm-production-api',
    '{"password": null, "url": "http://{{host}}/"}')), revision => 3),
    E'  ~ release version  "1.0.0" -> "1.1.0"  # since revision 2\n\nPlan: 0 to add, 1 to change, 0 to remove.',
    'the text says what came with another revision');
SELECT promote.configure_instance('ecomm-staging-api', '{}', '~1+dev') \g /dev/null
SELECT is(pg_temp.preview('{"password": null, "url": "http://{{host}}/"}'),
E'release release channel change "stable" -> "development" | "stable" 3
release release version none "1.1.0" -> "1.1.0" | "1.0.0" 2
param .own keep "p" -> "p" | "p"', 'a channel alone is one, too');

-- ---- riding along ----
SELECT is(pg_temp.promoted('{"size": 2, "password": null, "url": "http://{{host}}/"}'),
E'3 4 t \nrelease version change "1.0.0" -> "1.1.0" 2\nrelease channel change "stable" -> "development" 3
.size change 1 -> 2 3', 'each entry says since which revision it waits');
SELECT is(pg_temp.promoted('{"size": 2, "password": "hush", "url": "http://{{host}}/"}'),
E'4 5 t \nrelease version change "1.0.0" -> "1.1.0" 2\nrelease channel change "stable" -> "development" 3
.size change 1 -> 2 3\n.password add -> "(sensitive value)" 4', 'what others staged keeps its revision');
SELECT is(pg_temp.promoted('{"size": 2, "password": "tell", "url": "http://{{host}}/"}'),
E'5 6 t \nrelease version change "1.0.0" -> "1.1.0" 2\nrelease channel change "stable" -> "development" 3
.size change 1 -> 2 3\n.password add -> "(sensitive value)" 5', 'masked values are compared before they are masked');
SELECT is(pg_temp.promoted(format('{"size": %s, "password": "tell", "url": "http://{{host}}/"}', n)::jsonb, false),
    n || E' 0 t \nrelease version change "1.0.0" -> "1.1.0" 2\nrelease channel change "stable" -> "development" 3\n'
    || '.size change 1 -> ' || n || ' ' || n || E'\n.password add -> "(sensitive value)" 5', 'without plans ' || n)
  FROM generate_series(6, 8) AS n;
SELECT is(pg_temp.promoted('{"size": 8, "password": "tell", "more": 1, "url": "http://{{host}}/"}'),
E'9 7 t \nrelease version change "1.0.0" -> "1.1.0" 2\nrelease channel change "stable" -> "development" 3
.more add -> 1 9\n.size change 1 -> 8 8\n.password add -> "(sensitive value)" 5',
    'revisions without a plan are looked at one by one');

-- ---- the same placeholder stands for something else ----
UPDATE promote.parameter_set SET parameters = parameters
    || '{"host": "b.example.com"}' WHERE environment = 'production';
SELECT is((SELECT string_agg(concat_ws(' ', kind, path, change, old_value, '->', new_value, '|', running_value, since),
    E'\n') FROM promote.preview_promotion('ecomm-staging-api', 'ecomm-production-api',
    '{"size": 8, "password": "tell", "more": 1, "url": "http://{{host}}/"}') WHERE path = '.url'),
    'parameter .url none "http://b.example.com/" -> "http://b.example.com/" | "http://a.example.com/" 9',
    'a leaf whose template is the same is of the kind parameter');
SELECT is(pg_temp.promoted('{"size": 8, "password": "tell", "more": 1, "url": "http://{{host}}/"}'),
E'9 8 f \nrelease version change "1.0.0" -> "1.1.0" 2\nrelease channel change "stable" -> "development" 3
.url change "http://a.example.com/" -> "http://b.example.com/" 9
.more add -> 1 9\n.size change 1 -> 8 8\n.password add -> "(sensitive value)" 5', '... and is planned');
SELECT is((SELECT string_agg(path || ' ' || kind, ', ') FROM promote.config_changes
    WHERE instance = 'ecomm-production-api' AND deployment = 8),
        '.url parameter, .more param, .size param, .password param',
    '... as the view of leaves says');
SELECT is(pg_temp.promoted('{"size": 8, "password": "tell", "more": 1, "url": "http://b.example.com/"}'),
E'10 9 t \nrelease version change "1.0.0" -> "1.1.0" 2\nrelease channel change "stable" -> "development" 3
.url change "http://a.example.com/" -> "http://b.example.com/" 9
.more add -> 1 9\n.size change 1 -> 8 8\n.password add -> "(sensitive value)" 5',
    'what renders the same waits as long');

-- ---- staging back what runs ----
SELECT promote.configure_instance('ecomm-staging-api', '{}', '1.0.0') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-api', '{}', '~1') \g /dev/null
UPDATE promote.parameter_set SET parameters = parameters
    || '{"host": "a.example.com"}' WHERE environment = 'production';
SELECT promote.block_release('api', '1.1.0', 'broken') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-api', '{}', '1.0.0') \g /dev/null
SELECT is(pg_temp.promoted('{"size": 1, "password": null, "url": "http://{{host}}/"}'),
    E'11 10 t \nrelease constraint change "~1" -> "1.0.0" 11', 'only the constraint is left');
SELECT promote.unblock_release('api', '1.1.0') \g /dev/null
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT promote.deploy_instance('ecomm-production-api') \g /dev/null
SELECT is(pg_temp.last_diff('ecomm-production-api'), 'release constraint change "~1" -> "1.0.0" 11',
    'a PROVISION''s diff is its plan''s');
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT is(pg_temp.promoted('{"size": 5, "password": null, "url": "http://{{host}}/"}'),
    E'12 12 t \n.size change 1 -> 5 12',
    'what was deployed waits no more');
SELECT is(pg_temp.preview('{"password": null, "url": "http://{{host}}/"}'),
    E'param .size change 5 -> 1 | 1\nparam .own keep "p" -> "p" | "p"', 'staging back what runs: nothing will happen');
SELECT is(pg_temp.promoted('{"password": null, "url": "http://{{host}}/"}'), '13 0 t',
    '... is a change of what is desired, without a plan');
SELECT is(pg_temp.promoted('{"password": null, "url": "http://{{host}}/"}'), '13 0 f', '... nor another one');
SELECT is(promote.format_diff('[]'), 'No changes. What is desired is what runs.', '... as its text would say');

-- ---- a plan whose base moves before it is claimed ----
SELECT is(pg_temp.promoted('{"size": 6, "password": null, "url": "http://{{host}}/"}'),
    E'14 13 t \n.size change 1 -> 6 14',
    'something waits');
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT promote.deploy_instance('ecomm-production-api') \g /dev/null
SELECT is(pg_temp.promoted('{"size": 7, "password": null, "url": "http://{{host}}/"}'),
    E'15 15 t \n.size change 1 -> 7 15',
    'a plan is made while a deployment of what came before waits');
SELECT is((SELECT row(base_deployment, base_revision, previous_version, diff @> '[{"old": 1}]')::text
    FROM promote.deployment WHERE component = 'api' AND environment = 'production' AND deployment = 15),
    '(11,11,1.0.0,t)', '... from what runs then');
UPDATE promote.instance SET attributes = '{"moving": 1}' WHERE name = 'ecomm-production-api';
SELECT promote.complete_deployment(instance, deployment, fencing)
  FROM promote.claim_deployment('w', '{PROVISION}', selector => '{"moving": 1}') \g /dev/null
SELECT alike(promote.plan_text('ecomm-production-api', 15), E'%, plan 15: revision 11 -> 15, api 1.0.0\nWhat runs is '
    'revision 14, api 1.0.0: promote.compare_deployments(''ecomm-production-api/14'', ''ecomm-production-api/15'') '
        'shows '
    'all that would change.%', 'the text of a plan that starts elsewhere says what runs');
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT is((SELECT row(base_deployment, base_revision, previous_version, pg_temp.entries(diff))::text
    FROM promote.deployment WHERE component = 'api' AND environment = 'production' AND deployment = 15),
    '(14,14,1.0.0,".size change 6 -> 7 15")', 'when it is claimed it starts from what runs by then');
SELECT is((SELECT array_agg(k ORDER BY k) FROM promote.audit_log, jsonb_object_keys(data) AS k
    WHERE subject = 'ecomm-production-api' AND event = 'deployment.started' AND data @> '{"deployment": 15}'
      AND k IN ('base_deployment', 'base_revision', 'diff')), '{base_deployment,base_revision,diff}', '... on record');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE subject = 'ecomm-production-api'
    AND event = 'deployment.started' AND data ? 'diff'), 1::bigint, '... where it does, alone');
SELECT throws_ok($$UPDATE promote.deployment SET diff = '[]' WHERE component = 'api' AND deployment = 15$$, 'PM301',
    NULL,
    'nobody else moves what a plan starts from');
SELECT is(pg_temp.promoted('{"size": 7, "password": null, "url": "http://{{host}}/"}'),
    E'15 0 f \n.size change 6 -> 7 15',
    'a plan that stands is enough');

-- ---- what failed may have changed anything ----
SELECT promote.deploy_instance('ecomm-production-api') \g /dev/null
UPDATE promote.instance SET attributes = '{"failing": 1}' WHERE name = 'ecomm-production-api';
SELECT deployment, fencing FROM promote.claim_deployment('w', selector => '{"failing": 1}') \gset
SELECT promote.fail_deployment('ecomm-production-api', :deployment, 'broken', :fencing) \g /dev/null
SELECT is(pg_temp.promoted('{"size": 7, "password": null, "url": "http://{{host}}/"}'),
    E'15 17 f \n.size change 6 -> 7 15',
    'a plan from before a deployment that failed does not stand');
SELECT is(pg_temp.promoted('{"size": 6, "password": null, "url": "http://{{host}}/"}'), '16 18 t',
    'going back to what was deployed is planned as well: nobody knows what runs');

-- ---- what runs is taken away ----
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT promote.deploy_instance('ecomm-production-api') \g /dev/null
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT promote.decommission_instance('ecomm-production-api') \g /dev/null
SELECT is(pg_temp.last_diff('ecomm-production-api'),
E'release version remove "1.0.0" ->\nrelease constraint remove "1.0.0" ->\nrelease channel remove "stable" ->
.own remove "p" ->\n.url remove "http://a.example.com/" ->\n.size remove 6 ->', 'the release goes, too');
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT is(pg_temp.promoted('{"size": 9, "password": null, "url": "http://{{host}}/"}'),
E'17 21 t \nrelease version add -> "1.0.0" 16\nrelease constraint add -> "1.0.0" 16\nrelease channel add -> "stable" 16
.own add -> "p" 16\n.url add -> "http://a.example.com/" 16\n.size add -> 9 17',
    'everything is added again, since what was desired when it went');

-- ---- approvals are of a release, its constraint and its channel ----
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
INSERT INTO promote.approval_rule (project, environment, rule, role)
    VALUES ('ecomm', 'production', 'one', current_user);
SELECT promote.approve_deployment('ecomm-production-api', 21) \g /dev/null
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-api')), NULL, 'a plan is approved');
SELECT promote.plan_instance('ecomm-production-api') \g /dev/null
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-api')), NULL, '... so is its like');
SELECT promote.configure_instance('ecomm-production-api', '{}', '~1.0') \g /dev/null
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-api')), 'approval',
    'what renders the same under another constraint was not approved');
SELECT promote.configure_instance('ecomm-production-api', '{}', '1.0.0+dev') \g /dev/null
SELECT pg_temp.work('ecomm-production-api') \g /dev/null
SELECT is((SELECT string_agg(code, ' ') FROM promote.blockers('ecomm-production-api')), 'approval',
    '... nor from another channel');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and all of it is on record');
-- ---- a plan that starts from something else than when it was queued ----
DELETE FROM promote.approval_rule;
INSERT INTO promote.component VALUES ('ecomm', 'late', 'api');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'production', 'late');
CREATE FUNCTION pg_temp.edited(params jsonb, plan boolean DEFAULT true) RETURNS integer LANGUAGE sql AS $$
    SELECT new_revision FROM promote.configure_instance('ecomm-production-late', params, '1.0.0', plan => plan)
$$;
SELECT pg_temp.edited('{"size": 1}') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-late', true) \g /dev/null
SELECT pg_temp.edited('{"size": 2}') \g /dev/null
SELECT promote.deploy_instance('ecomm-production-late') \g /dev/null
SELECT is(pg_temp.edited('{"size": 1}', false), 3, 'somebody sets back what is queued');
SELECT is(pg_temp.edited('{"more": 1}'), 4, 'and somebody else plans something');
SELECT is(pg_temp.last_diff('ecomm-production-late'), '.more add -> 1 4', 'by what runs, that is all');
SELECT pg_temp.work('ecomm-production-late') \g /dev/null
SELECT is(pg_temp.last_diff('ecomm-production-late'), E'.more add -> 1 4\n.size change 2 -> 1 3',
    'what rides along since the plan was queued says so, too');

-- ---- the last plan is of a former revision ----
INSERT INTO promote.component VALUES ('ecomm', 'former', 'api');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'production', 'former');
SELECT promote.configure_instance('ecomm-production-former', '{}', '1.0.0') \g /dev/null
SELECT pg_temp.deploy('ecomm-production-former') \g /dev/null
SELECT promote.configure_instance('ecomm-production-former', '{}', '~1') \g /dev/null
SELECT promote.configure_instance('ecomm-production-former', '{}', '~1.0', plan => false) \g /dev/null
SELECT promote.configure_instance('ecomm-production-former', '{"more": 1}') \g /dev/null
SELECT is(pg_temp.last_diff('ecomm-production-former'),
    E'release constraint change "1.0.0" -> "~1.0" 3\n.more add -> 1 4',
    'what a constraint waits since is told by the one that was planned');

SELECT * FROM finish();
ROLLBACK;
