-- What of a promotion undoes that its destination has set itself, and the gate that asks who answers for that.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = error;
SELECT pg_temp.work_all() \g /dev/null

INSERT INTO promote.bundle VALUES ('app');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'app', v, '{"properties": {"token": {"$md.sensitive": true}, "size": {"$md.copyable": false}}}'
  FROM unnest(ARRAY['1.0.0', '1.1.0']) AS v;
INSERT INTO promote.project (project) VALUES ('line');
INSERT INTO promote.environment (project, environment, require_expected, require_proven_release)
SELECT 'line', e, false, false
  FROM unnest(ARRAY['staging', 'production']) AS e;
INSERT INTO promote.parameter_set (project, environment, parameters)
SELECT 'line', e, '{"tier": "gold"}'
  FROM unnest(ARRAY['staging', 'production']) AS e;
INSERT INTO promote.component (project, component, bundle) VALUES ('line', 'api', 'app');
INSERT INTO promote.instance (project, environment, component)
SELECT 'line', e, 'api' FROM unnest(ARRAY['staging', 'production']) AS e;

CREATE FUNCTION pg_temp.edit(environment text, patch jsonb, message text DEFAULT NULL, constr text DEFAULT NULL,
    plan boolean DEFAULT true) RETURNS integer LANGUAGE sql AS $$
    SELECT new_revision FROM promote.configure_instance('line-' || environment || '-api', patch, constr, message,
        plan => plan)
$$;
-- The reverts of a diff, each with its path.
CREATE FUNCTION pg_temp.told(diff jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', e ->> 'path', concat_ws(' ', e -> 'reverts' ->> 'revision',
        e -> 'reverts' ->> 'actor',
        e -> 'reverts' ->> 'message')), ', ' ORDER BY e ->> 'path')
      FROM jsonb_array_elements(diff) AS e WHERE e ? 'reverts'
$$;
CREATE FUNCTION pg_temp.send(overrides jsonb DEFAULT '{}', plan boolean DEFAULT true) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(diff) FROM promote.promote_instance('line-staging-api', 'line-production-api', overrides,
        plan => plan)
$$;
CREATE FUNCTION pg_temp.planned() RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(diff) || CASE WHEN reverts THEN '' ELSE ', which the row does not say' END
      FROM promote.deployment
     WHERE project = 'line' AND environment = 'production' AND action = 'PLAN' ORDER BY deployment DESC LIMIT 1
$$;
CREATE FUNCTION pg_temp.previewed(overrides jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s %s', path, change, concat_ws(' ', reverts ->> 'revision', reverts ->> 'actor',
        reverts ->> 'message')), ', ' ORDER BY path)
      FROM promote.preview_promotion('line-staging-api', 'line-production-api', overrides) WHERE reverts IS NOT NULL
$$;
CREATE FUNCTION pg_temp.blocked() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', code || ':', message, '(' || liftable_by || ')', overridable), E'\n')
      FROM promote.blockers('line-production-api')
$$;
CREATE FUNCTION pg_temp.ship(environment text DEFAULT 'production') RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.work_all();
    PERFORM promote.deploy_instance('line-' || environment || '-api');
    RETURN pg_temp.work_all();
END
$$;

SELECT pg_temp.edit('staging', '{"a": 1, "b": 1, "c": {"d": 1}, "l": [1, 2], "token": "t1", "size": 1, "tier": "gold"}',
        constr => '~1'),
    pg_temp.edit('production', '{"a": 0, "size": 9}', constr => '~1'), pg_temp.ship('staging'), pg_temp.ship()
    \g /dev/null
SELECT is(pg_temp.send(), NULL, 'what an instance was given before its first promotion is no change of it');
SELECT pg_temp.ship() \g /dev/null

-- ---- a hotfix ----
SELECT pg_temp.edit('production', '{"a": 7, "c": {"d": 8}, "z": 1, "token": "t9"}', 'hotfix') AS hotfix,
    pg_temp.edit('staging', '{"b": 2}') \gset
SELECT pg_temp.ship() \g /dev/null
SAVEPOINT hotfixed;
SELECT is(pg_temp.previewed(), format('.a change %1$s ada hotfix, .c.d change %1$s ada hotfix, .token change %1$s ada '
    'hotfix, .z remove %1$s ada hotfix', :hotfix), 'the preview says who has set what would be undone');
SELECT is(pg_temp.previewed('{"token": "t9"}'), pg_temp.previewed('{"token": "another"}'),
    'of a masked leaf whether or not the override is what it is already');
SELECT request FROM promote.open_request('line', 'staging', 'production') \gset
SELECT is((SELECT pg_temp.told(diff) FROM promote.preview_request('line', :request)), format('.a %1$s ada hotfix, '
    '.c.d %1$s ada hotfix, .token %1$s ada hotfix, .z %1$s ada hotfix', :hotfix), 'so does the preview of a request');
SELECT promote.cancel_request('line', :request, 'looked at') \g /dev/null
SELECT is_empty($$SELECT FROM promote.preview_configuration('line-production-api',
    '{"a": 3}') WHERE reverts IS NOT NULL$$,
    'an edit undoes nothing unseen');
SELECT is(pg_temp.send(), format('.a %1$s ada hotfix, .c.d %1$s ada hotfix, .token %1$s ada hotfix, .z %1$s ada hotfix',
    :hotfix), 'each leaf that a promotion would overwrite names who has set it');
SELECT is(pg_temp.planned(), format(
    '.a %1$s ada hotfix, .c.d %1$s ada hotfix, .token %1$s ada hotfix, .z %1$s ada hotfix', :hotfix),
    'the plan says it, too');
SELECT matches((SELECT promote.plan_text('line-production-api', max(deployment)) FROM promote.deployment
    WHERE project = 'line' AND environment = 'production' AND action = 'PLAN'),
    format('~ \.a +7 -> 1 +# undoes revision %s by ada: hotfix', :hotfix), 'and so does its text');
SELECT is((SELECT (e -> 'reverts' ->> 'at')::timestamptz FROM promote.deployment AS d, jsonb_array_elements(d.diff) AS e
    WHERE d.project = 'line' AND d.environment = 'production' AND e ->> 'path' = '.a' AND e ? 'reverts'),
    (SELECT created_at FROM promote.revision WHERE project = 'line' AND environment = 'production'
    AND revision = :hotfix), 'and when');
SELECT is((SELECT count(*)::integer FROM promote.deployment AS d, jsonb_array_elements(d.diff) AS e
    WHERE d.project = 'line' AND d.environment = 'production' AND e ? 'reverts' AND e ->> 'path' = '.b'), 0,
    'what only the source has changed is no revert');
SELECT is(pg_temp.edit('production', '{"other": 1}') > 0, true, 'an edit on top');
SELECT is(pg_temp.planned(), format(
    '.a %1$s ada hotfix, .c.d %1$s ada hotfix, .token %1$s ada hotfix, .z %1$s ada hotfix', :hotfix),
    'does not hide it, as long as it is not deployed');
SELECT pg_temp.edit('production', '{"a": 70}', 'on purpose') \g /dev/null
SELECT alike(pg_temp.planned(), '.a %', 'nor does an edit of the leaf itself: what runs is undone');
SELECT pg_temp.edit('staging', '{"a": 2}'), pg_temp.send() \g /dev/null
SELECT alike(pg_temp.planned(), format('.a %s ada hotfix, .c.d %%', :hotfix), 'nor does a second promotion');
ROLLBACK TO hotfixed;

-- Without a plan of its own, a promotion is told by the next.
SELECT pg_temp.send(plan => false) \g /dev/null
SELECT pg_temp.edit('production', '{"other": 1}') \g /dev/null
SELECT alike(pg_temp.planned(), format('.a %s ada hotfix, .c.d %%', :hotfix), 'nor is it hidden by plan => false');
ROLLBACK TO hotfixed;
SELECT pg_temp.send(plan => false) \g /dev/null
SELECT promote.plan_instance('line-production-api') \g /dev/null
SELECT alike(pg_temp.planned(), format('.a %s ada hotfix, .c.d %%', :hotfix),
    'a plan that is asked for says it as well');
ROLLBACK TO hotfixed;

-- ---- what is no revert ----
SELECT pg_temp.edit('production', '{"a": 1, "c": {"d": 1}, "z": null, "token": "t1"}') \g /dev/null
SELECT is(pg_temp.send(), NULL, 'a hotfix that was taken back is none');
ROLLBACK TO hotfixed;
SELECT pg_temp.edit('staging', '{"a": 7, "c": {"d": 8}, "z": 1, "token": "t9"}'), pg_temp.send(),
    pg_temp.edit('staging', '{"a": 3, "c": {"d": 3}, "z": 3, "token": "t3"}') \g /dev/null
SELECT is(pg_temp.send(), NULL, 'nor one that came from the source, too, since then');
ROLLBACK TO hotfixed;
SELECT is(pg_temp.send('{"a": 7, "c": {"d": 8}, "z": 1, "token": "t9"}'), NULL, 'nor one that the overrides keep');
ROLLBACK TO hotfixed;
SELECT pg_temp.edit('production', '{"size": 10}') \g /dev/null
SELECT unalike(pg_temp.send(), '%size%', 'nor what is not copyable, for that is not overwritten');
ROLLBACK TO hotfixed;
SELECT unalike(pg_temp.send('{"size": 3}'), '%size%', 'nor what it was given before its first promotion, and kept');
ROLLBACK TO hotfixed;

-- ---- other ways to set something ----
SELECT pg_temp.send('{"a": 5}') \g /dev/null
SELECT pg_temp.ship() \g /dev/null
SELECT is(pg_temp.send(), format('.a %s ada', :hotfix + 1), 'an override of the last promotion');
SELECT pg_temp.send('{"a": 5}') \g /dev/null
SELECT is(pg_temp.send('{"a": 6}'), format('.a %s ada', :hotfix + 1),
    'also where it was overridden once more, and by another override');
ROLLBACK TO hotfixed;
SELECT promote.rollback_instance('line-production-api', 2, 'back') \g /dev/null
SELECT is(pg_temp.send(), NULL, 'a rollback to what was promoted sets nothing of its own that is overwritten');
SELECT pg_temp.edit('staging', '{"a": 2}') \g /dev/null
SELECT is(pg_temp.send(), NULL, 'where only the source changed something');
ROLLBACK TO hotfixed;
SELECT pg_temp.edit('production', '{}', 'pin it', '1.0.0') AS pin \gset
SELECT pg_temp.ship() \g /dev/null
SELECT alike(pg_temp.previewed(), format('%%release constraint change %s ada pin it%%', :pin),
    'a version constraint, in the preview');
SELECT alike(pg_temp.send(), format('%%release constraint %s ada pin it%%', :pin), 'and in the diff');
ROLLBACK TO hotfixed;
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('app', '1.3.0', '{}'), ('app', '1.4.0',
    '{}');
SELECT pg_temp.edit('production', '{}', 'pin it', '1.0.0') AS pin \gset
SELECT pg_temp.ship(), pg_temp.edit('staging', '{}', constr => '1.3.0'), pg_temp.ship('staging') \g /dev/null
SELECT promote.promote_instance('line-staging-api', 'line-production-api', pin => true, plan => false) \g /dev/null
SELECT pg_temp.edit('staging', '{}', constr => '1.4.0'), pg_temp.ship('staging') \g /dev/null
SELECT alike((SELECT pg_temp.told(diff) FROM promote.promote_instance('line-staging-api', 'line-production-api',
    pin => true)), format('%%release constraint %s ada pin it%%', :pin), 'and behind two promotions that pin');
ROLLBACK TO hotfixed;
SELECT pg_temp.edit('production', '{"tier": "{{tier}}"}', 'by parameter') AS own, pg_temp.edit('staging',
    '{"tier": "iron"}')
    \gset
SELECT alike(pg_temp.send(), format('%%.tier %s ada by parameter%%', :own), 'a placeholder');
ROLLBACK TO hotfixed;
SELECT pg_temp.edit('production', '{"l": [1, 2, 3]}', 'more') AS own \gset
SELECT pg_temp.ship() \g /dev/null
SELECT alike(pg_temp.send(), format('%%.l[2] %s ada more%%', :own), 'an element of an array');
ROLLBACK TO hotfixed;
SELECT pg_temp.edit('production', '{"b": null}', 'gone') AS own \gset
SELECT alike(pg_temp.send(), format('%%.b %s ada gone%%', :own), 'a leaf that was removed, and comes back');
ROLLBACK TO hotfixed;

-- staged and not deployed: nothing of what runs is undone, but of what is desired
SELECT pg_temp.edit('production', '{"b": 9}', 'not yet') AS own \gset
SELECT alike(pg_temp.previewed(), format('%%.b change %s ada not yet%%', :own), 'what is only staged, in the preview');
ROLLBACK TO hotfixed;

-- ---- many revisions ----
SELECT count(pg_temp.edit('production', jsonb_build_object('n', n), plan => false)) FROM generate_series(1, 30) AS n
    \g /dev/null
SELECT promote.plan_instance('line-production-api'), pg_temp.ship() \g /dev/null
SELECT alike(pg_temp.send(), format('.a %1$s ada hotfix, .c.d %1$s ada hotfix, .n %2$s ada, %%', :hotfix, :hotfix + 30),
    'each leaf names the revision that gave it its value');
ROLLBACK TO hotfixed;

-- ---- the gate ----
SELECT pg_temp.send(), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.blocked(), NULL, 'nobody has to answer for it by default');
UPDATE promote.environment SET require_no_reverts = true WHERE project = 'line' AND environment = 'production';
SELECT is(pg_temp.blocked(),
    format('reverts: a promotion undoes what "line-production-api" had set itself: .a of revision '
    '%1$s, .c.d of revision %1$s, .z of revision %1$s, .token of revision %1$s '
    '(whoever promotes with overrides that keep it, or merges) f', :hotfix),
        'where the environment asks for it, it does');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('line-production-api')$$, 'PM601', '^reverts: ',
    'and it is not deployed');
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('line', 'production', 'reverts', current_user);
SELECT promote.override_gate('line-production-api', (SELECT max(deployment) FROM promote.deployment
    WHERE project = 'line' AND environment = 'production' AND action = 'PLAN'), 'reverts', 'it was wrong') \g /dev/null
SELECT is(pg_temp.blocked(), NULL, 'until somebody answers for it');
SELECT lives_ok($$SELECT promote.deploy_instance('line-production-api')$$, 'then it is');
ROLLBACK TO hotfixed;
UPDATE promote.environment SET require_no_reverts = true, require_plan = false
    WHERE project = 'line' AND environment = 'production';
SELECT pg_temp.send(plan => false) \g /dev/null
SELECT is(pg_temp.blocked(),
    format('reverts: revision %s was promoted without a plan, so that nobody knows what it undoes '
    '(whoever plans it, by promote.plan_instance) f', :hotfix + 1), 'nor is it let through without a plan');
ROLLBACK TO hotfixed;
UPDATE promote.environment SET require_no_reverts = true WHERE project = 'line' AND environment = 'production';
SELECT pg_temp.send('{"a": 7, "c": {"d": 8}, "z": 1, "token": "t9"}'), pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.blocked(), NULL, 'a promotion that undoes nothing passes');

ROLLBACK TO hotfixed;

-- What was promoted and is not deployed yet is looked for behind what is staged on top, and behind what applied it.
UPDATE promote.environment SET require_no_reverts = true, require_plan = false
    WHERE project = 'line' AND environment = 'production';
SELECT pg_temp.send(plan => false), pg_temp.edit('production', '{"other": 1}', plan => false) \g /dev/null
SELECT alike(pg_temp.blocked(), 'reverts: revision % was promoted without a plan%',
    'nor by an edit on top, without a plan either');
ROLLBACK TO hotfixed;
UPDATE promote.environment SET require_no_reverts = true, require_plan = false
    WHERE project = 'line' AND environment = 'production';
SELECT pg_temp.edit('staging', '{"a": 2}') AS revision \gset
SELECT promote.apply_revision('line-staging-api', :revision, 'line-production-api', on_conflict => 'source',
    plan => false)
    \g /dev/null
SELECT alike(pg_temp.blocked(), 'reverts: revision % was promoted without a plan%',
    'nor is what a revision that is applied undoes');
ROLLBACK TO hotfixed;

-- ---- a hotfix that is on its way while something is promoted ----
UPDATE promote.environment SET require_no_reverts = true WHERE project = 'line' AND environment = 'production';
SELECT pg_temp.edit('production', '{"b": 78}', 'on its way') AS late, pg_temp.work_all() \gset
SELECT promote.deploy_instance('line-production-api') \g /dev/null
SELECT deployment, fencing FROM promote.claim_deployment('worker') \gset
SELECT pg_temp.edit('staging', '{"b": 1, "e": 5}') \g /dev/null
SELECT pg_temp.send('{"a": 7, "c": {"d": 8}, "z": 1, "token": "t9"}') \g /dev/null
SELECT promote.complete_deployment('line-production-api', :deployment, :fencing) \g /dev/null
SAVEPOINT arrived;
SELECT pg_temp.work_all() \g /dev/null
SELECT is(pg_temp.planned(), format('.b %s ada on its way', :late), 'is told by the plan that is made anew');
SELECT alike(pg_temp.blocked(), 'reverts: %.b of revision %', 'and holds it');
ROLLBACK TO arrived;
SELECT pg_temp.edit('production', '{"other": 1}') \g /dev/null
SELECT is(pg_temp.planned(), format('.b %s ada on its way', :late), 'and by that of an edit on top');
ROLLBACK TO arrived;
UPDATE promote.environment SET require_plan = false WHERE project = 'line' AND environment = 'production';
SELECT alike(pg_temp.blocked(), 'reverts: revision % was promoted without a plan%',
    'a plan that starts from what ran before it opens nothing');
ROLLBACK TO hotfixed;

-- ---- what was not copyable, and is by now ----
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('app', '1.2.0', '{}');
SELECT pg_temp.edit('production', '{"size": 10}', 'own size') AS own, pg_temp.send(),
    pg_temp.edit('staging', '{"size": 2}', constr => '1.2.0') \gset
SELECT alike(pg_temp.previewed(), format('%%.size change %s ada own size%%', :own),
    'what the last promotion kept is undone by the next one that may overwrite it');
SELECT alike(pg_temp.send(), format('%%.size %s ada own size%%', :own), 'and its diff says so');

SELECT * FROM finish();
ROLLBACK;
