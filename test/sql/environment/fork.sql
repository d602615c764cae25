-- Forking environments: what a fork gets, what it may be promoted from, what is refused, and names that are taken
-- again.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/environment.sql
SET LOCAL promote.actor = 'ada';
CREATE FUNCTION pg_temp.short(args text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines('SELECT component, changed, revision, deployment, code FROM promote.fork_environment(' || args
        || ')')
$$;

-- ---- what a fork gets ----
UPDATE promote.environment SET attributes = '{"stage": "live"}', description = 'for customers'
    WHERE project = 'shop' AND environment = 'production';
UPDATE promote.parameter_set SET parameters = '{"region": "east", "tier": 1, "gone": 2}', sensitive = '{gone,tier}',
    descriptions = '{"gone": "nothing", "region": "where it is"}'
    WHERE project = 'shop' AND environment = 'production';
UPDATE promote.instance SET attributes = '{"owner": "ada"}' WHERE name = 'shop-production-s1';
SELECT promote.configure_instance('shop-production-s2', '{"size": 7, "own": 2, "password": "{{region}}"}') \g /dev/null
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'dev', 's1');
SELECT matches(pg_temp.forks($$'shop-production', 'shop-west', '{"region": "west", "gone": null}', '{"stage": null,
    "new": true}',
    '{"s1": {"size": 5}}'$$), '^\(s1,t,1,1,"\[.*"new"": 5.*\n\(s2.*\n.*\n.*\n.*\n\(s6,t,1,1,"\[.*\]",,,\)$',
        'forked, as the preview has said');
SELECT is(pg_temp.lines($$SELECT component, revision, deployment, version_constraint, opened_revision
    FROM promote.instance
    WHERE project = 'shop' AND environment = 'west' ORDER BY 1$$),
    (SELECT string_agg(format('(s%s,1,1,%s,0)', n, version_constraint), E'\n' ORDER BY n)
       FROM generate_series(1, 6) AS n, promote.instance WHERE name = 'shop-production-s1'),
           'an instance for each, configured and planned');
SELECT is(pg_temp.lines($$SELECT attributes, description, forked_from, generation, archived_at
    FROM promote.environment WHERE project = 'shop' AND environment = 'west'$$),
    '("{""new"": true}","for customers",production,1,)', 'the environment is like its source, with patches on top');
SELECT is(pg_temp.lines($$SELECT parameters, sensitive, descriptions FROM promote.parameter_set
    WHERE project = 'shop' AND environment = 'west'$$),
    '("{""tier"": 1, ""region"": ""west""}",{tier},"{""region"": ""where it is""}")',
    '... and so are its parameters, with their marks');
SELECT is(pg_temp.lines($$SELECT r.component, r.origin, r.source_environment, r.source_revision, r.actor, c.params
    FROM promote.revision AS r JOIN promote.config AS c USING (project, digest)
    WHERE r.project = 'shop' AND r.environment = 'west' AND r.component IN ('s1', 's2') ORDER BY 1$$),
    E'(s1,fork,production,1,ada,"{""size"": 5}")\n(s2,fork,production,2,ada,"{""size"": 7, ""password"": '
        '""{{region}}""}")',
    'composed as for a destination without a configuration, with the overrides of its component');
SELECT is((SELECT c.params ->> 'password' FROM promote.deployment AS d
    JOIN promote.config AS c ON c.project = d.project AND c.digest = d.rendered_digest
    WHERE d.environment = 'west' AND d.component = 's2'), 'west', 'rendered by its own parameters');
SELECT is((SELECT attributes FROM promote.instance WHERE name = 'shop-west-s1'), '{"owner": "ada"}', 'with attributes');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

-- ---- scope and options ----
SELECT is(pg_temp.short($$'shop-production', 'shop-a', components => '{s2,s1}', plan => false$$),
    E'(s1,t,1,,)\n(s2,t,1,,)',
    'some components, without plans');
SELECT is(pg_temp.short($$'shop-production', 'shop-b', selector => '{"tenant": "acme"}'$$), E'(s1,t,1,1,)\n(s2,t,1,1,)',
    'those that a selector matches');
SELECT is(pg_temp.forks($$'shop-production', 'shop-c', configure => false, components => '{s1}'$$),
    '(s1,f,,,,unconfigured,"it is not to be configured",)', 'without configurations');
SELECT is(pg_temp.forks($$'shop-dev', 'shop-d'$$),
    '(s1,f,,,,unconfigured,"its source has nothing to configure it with",)',
    'of what is not configured an instance alone');
SELECT is((SELECT count(*) FROM promote.instance WHERE environment = 'd'), 1::bigint, '... which is there');
SELECT is((SELECT count(*) FROM promote.fork_environment('shop-production', 'shop-e', components => '{s2}',
    source_state => 'running')),
    1::bigint, 'what runs');
SELECT is((SELECT source_revision FROM promote.revision WHERE environment = 'e'), 1, '... is not what is desired');

-- ---- what it needs and does not get ----
INSERT INTO promote.bundle VALUES ('linked');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('linked', '1.0.0', '{}', '{"net": {"required": false}, "zone": {"required": false}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'app', 'linked'), ('shop', 'tool', 'linked');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'app');
SELECT promote.configure_instance('shop-staging-app', '{}', plan => false) \g /dev/null
INSERT INTO promote.component_dependency (project, component, depends_on)
    VALUES ('shop', 'app', 's4'), ('shop', 's4', 's5'), ('shop', 'app', 'tool');
SELECT promote.set_remote_reference('shop-staging-app', 'net', 'component://s3/vpc') \g /dev/null
UPDATE promote.environment SET reference_defaults = '{"zone": "component://s2?zone", "other": "component://s6"}'
    WHERE project = 'shop' AND environment = 'staging';
CREATE FUNCTION pg_temp.missing(args text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN p = f THEN f ELSE 'previewed otherwise: ' || p END FROM (
        SELECT pg_temp.lines('SELECT component, missing FROM promote.preview_fork_environment(' || args || ')') AS p,
               pg_temp.lines('SELECT component, missing FROM promote.fork_environment(' || args || ')') AS f) AS c
$$;
SELECT is(pg_temp.missing($$'shop-staging', 'shop-m', components => '{app}', plan => false$$), '(app,"{s3,s4,s5}")',
    'what a component depends on, directly or not, and refers to, of what its source has');
SELECT is(pg_temp.missing($$'shop-staging', 'shop-o', components => '{app}', copy_rules => true, plan => false$$),
    '(app,"{s2,s3,s4,s5}")', '... and what the defaults that are copied refer to, in slots of its releases');
SELECT is(pg_temp.missing($$'shop-staging', 'shop-p', components => '{app,s3,s4,s5}', plan => false$$),
    E'(app,)\n(s3,)\n(s4,)\n(s5,)', 'what comes along is not missed');
SELECT is(pg_temp.lines($$SELECT code, message FROM promote.blockers('shop-m-app') WHERE code = 'references'$$),
    '(references,"""shop-m-app"" refers to siblings that its environment does not have: net (shop-m-s3)")',
    '... as the gate says, which is closed meanwhile');
DELETE FROM promote.component_dependency;
SELECT promote.remove_remote_reference('shop-staging-app', 'net') \g /dev/null
UPDATE promote.environment SET reference_defaults = '{}' WHERE project = 'shop' AND environment = 'staging';

-- ---- what is refused ----
SELECT is(pg_temp.forks(args), expected, args) FROM (VALUES
    ($$'shop-production', 'shop-west'$$,
        E'PM007 environment "shop-west" exists\nA fork is a new environment, or another generation of one that is '
        'archived.'),
    ($$'shop-production', 'shop-production'$$,
        E'PM003 cannot fork "shop-production" to itself\nThe source and the new environment have the same name.'),
    ($$'shop-production', 'ecomm-x'$$,
        E'PM004 cannot fork "shop-production" to "ecomm-x"\nOne is of project "shop", the other of project "ecomm".'),
    ($$'shop-nowhere', 'shop-x'$$,
        E'PM002 environment "shop-nowhere" does not exist\nProject "shop" has no environment "nowhere".'),
    ($$'shop-production', 'shop-x', components => '{s1,nope}'$$,
        E'PM002 environment "shop-production" does not have all components that are named\nNot there, or not selected: '
        '"nope".'),
    ($$'shop-production', 'shop-x', selector => '{"no": 1}'$$,
        E'PM404 there is nothing to do\nNo component with an instance there matches.'),
    ($$'shop-production', 'shop-x', overrides => '{"s9": {}}'$$,
        E'PM404 the overrides are of a component that is left alone\nComponent "s9" is not in the scope.'),
    ($$'shop-production', 'shop-x', overrides => '{"s1": {}}', configure => false$$,
        E'PM404 the overrides are of a component that is left alone\nComponent "s1" is left out: it is not to be '
        'configured.'),
    ($$'shop-production', 'shop-x', '{"region": "{{tier}}"}'$$,
        E'PM404 invalid parameters\nA name or a value has {{ in it. What a parameter holds is never rendered again.'),
    ($$'shop-production', 'shop-x', '3'$$, E'PM101 the parameters must be a JSON object\nThey are of type number.'),
    ($$'shop-production', 'shop-x', overrides => '{"s1": 3}'$$,
        E'PM101 the overrides of "s1" cannot be used\nThey are neither an object nor an array.')
) AS c (args, expected);
SELECT throws_ok($$SELECT promote.fork_environment('shop-production', 'shop-x',
    overrides => '{"s1": {"size": 1000}, "s3": {"size": "x"}}')$$,
    'PM103', NULL, 'violations are told');
SELECT matches(pg_temp.says($$SELECT * FROM promote.fork_environment('shop-production', 'shop-x',
    overrides => '{"s1": {"size": 1000}, "s3": {"size": "x"}}')$$),
    E's1.*\n.*s3', '... of all instances together');
SELECT is_empty($$SELECT FROM promote.environment WHERE environment = 'x'$$, '... and nothing is written');
SELECT is(pg_temp.lines($$SELECT component, changed, code FROM promote.fork_environment('shop-production', 'shop-x',
    overrides => '{"s1": {"size": 1000}}', partial => true, components => '{s1,s2}')$$), E'(s1,f,PM103)\n(s2,t,)',
    'unless a part is asked for');

-- ---- paths, proven releases: the first deployment comes from there ----
UPDATE promote.environment SET source_policy = 'path', require_proven_release = true, require_plan = false
    WHERE project = 'shop' AND environment = 'west';
SELECT is((SELECT count(*) FROM promote.blockers('shop-west-s1')), 0::bigint,
    'the first deployment of a fork comes from there');
SELECT promote.promote_instance('shop-production-s1', 'shop-west-s1', '{"size": 6}') \g /dev/null
SELECT is((SELECT count(*) FROM promote.blockers('shop-west-s1')), 0::bigint, '... promoted again, too');
SELECT is(pg_temp.says($$SELECT promote.promote_instance('shop-staging-s1', 'shop-west-s1')$$),
    E'PM605 there is no promotion path from "staging" to "west"\nEnvironment "west" of project "shop" takes from where '
        'a path leads from: production.',
    '... and nothing else does');
SELECT pg_temp.work_all() \g /dev/null
SELECT promote.deploy_instance('shop-west-s1') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SELECT is(left(pg_temp.says($$SELECT promote.promote_instance('shop-production-s1', 'shop-west-s1')$$), 5), 'PM605',
    'what comes later goes along paths');

-- ---- rules ----
CREATE ROLE voter;
CREATE ROLE mia;
GRANT voter TO CURRENT_USER;
INSERT INTO promote.promotion_path VALUES ('shop', 'dev', 'staging'), ('shop', 'staging', 'production');
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
    VALUES ('shop', 'staging', 'any', 'voter', 1);
INSERT INTO promote.override_rule (project, environment, code, role) VALUES ('shop', 'staging', 'drift', 'voter');
INSERT INTO promote.required_check (project, environment, check_name) VALUES ('shop', 'staging', 'smoke');
INSERT INTO promote.freeze_window (name, project, environment, during)
    VALUES ('then', 'shop', 'staging', '[2000-01-01, 2000-01-02)');
INSERT INTO promote.change_window (name, project, environment, during)
    VALUES ('once', 'shop', 'staging', '[2000-01-01, 2100-01-02)');
SELECT promote.grant_action('mia', 'deploy', 'shop', 'staging') \g /dev/null
UPDATE promote.environment SET separation_of_duty = true, required_soak = '1 day', max_lost_leases = 7,
    require_plan = false, decommission_protection = true, require_source_in_sync = true, require_no_drift = false,
    require_expected = false, require_no_reverts = true, require_artifact_digest = true, version_policy = 'pinned',
    promotion_mode = 'merge', source_policy = 'path' WHERE project = 'shop' AND environment = 'staging';
SELECT is(pg_temp.short($$'shop-staging', 'shop-f', configure => false, copy_rules => true, components => '{s1}'$$),
    '(s1,f,,,unconfigured)',
    'with rules');
CREATE FUNCTION pg_temp.rules(of text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(line, E'\n' ORDER BY line) FROM (
        SELECT format('path %s %s', replace(source_environment, of, '*'), replace(destination_environment, of, '*'))
          FROM promote.promotion_path WHERE project = 'shop' AND of IN (source_environment, destination_environment)
        UNION ALL SELECT format('approval %s %s', rule, role) FROM promote.approval_rule WHERE project = 'shop'
            AND environment = of
        UNION ALL SELECT format('override %s %s', code, role) FROM promote.override_rule WHERE project = 'shop'
            AND environment = of
        UNION ALL SELECT format('check %s', check_name) FROM promote.required_check WHERE project = 'shop'
            AND environment = of
        UNION ALL SELECT format('freeze %s', replace(name, ' of shop-' || of, '')) FROM promote.freeze_window
            WHERE environment = of
        UNION ALL SELECT format('change %s', replace(name, ' of shop-' || of, '')) FROM promote.change_window
            WHERE environment = of
        UNION ALL SELECT format('grant %s %s', role, action) FROM promote.grants WHERE project = 'shop'
            AND environment = of
        UNION ALL SELECT (to_jsonb(e) - 'environment' - 'forked_from' - 'created_at')::text
            FROM promote.environment AS e
                   WHERE project = 'shop' AND environment = of) AS l (line)
$$;
-- the names of the copies
INSERT INTO promote.freeze_window (name, during)
    VALUES ('then of shop-u', '[2000-01-01, 2000-01-02)'), ('once of shop-u', '[2000-01-01, 2000-01-02)');
CREATE FUNCTION public.agrees(text, integer, timestamptz) RETURNS SETOF promote.blocking_reason LANGUAGE sql STABLE
    AS 'SELECT r.* FROM jsonb_populate_recordset(NULL::promote.blocking_reason, ''[]'') AS r';
INSERT INTO promote.policy (policy, function, project, environment) VALUES
    (repeat('p', 250), 'public.agrees', 'shop', 'staging'), ('short', 'public.agrees', 'shop', 'staging');
SELECT is(pg_temp.forks($$'shop-staging', 'shop-u', configure => false, copy_rules => true$$),
    E'PM007 the rules of "shop-staging" cannot be copied to "shop-u"\nThere is already, or cannot be: '
    'freeze window "then of shop-u", policy "' || repeat('p', 250) || ' of shop-u" (too long).',
    'names that another window has, or that are too long, are refused by the preview, too');
SELECT is_empty($$SELECT FROM promote.environment WHERE environment = 'u'$$, '... and nothing is written');
DELETE FROM promote.freeze_window WHERE project IS NULL;
DELETE FROM promote.policy WHERE policy LIKE 'pp%';
SELECT is(pg_temp.rules('f'), pg_temp.rules('staging'),
    'all rules are the source''s, every column of the environment among them');
SELECT is(pg_temp.short($$'shop-staging', 'shop-g', configure => false, components => '{s1}'$$),
    '(s1,f,,,unconfigured)', 'without rules');
SELECT is((SELECT to_jsonb(e) - 'environment' - 'forked_from' - 'created_at' FROM promote.environment AS e
    WHERE environment = 'g'),
    (SELECT to_jsonb(e) - 'environment' - 'forked_from' - 'created_at' || '{"require_proven_release": true}'
        FROM promote.environment AS e
      WHERE project = 'shop' AND environment = 'dev'), 'every column is as in a new environment');

-- ---- archived, and opened again ----
UPDATE promote.environment SET decommission_protection = false WHERE project = 'shop' AND environment = 'f';
SELECT is(pg_temp.lines($$SELECT component, changed FROM promote.archive_environment('shop-f')$$), '(s1,t)',
    'archived');
SELECT promote.abort_deployment(i.name, d.deployment) FROM promote.deployment AS d JOIN promote.instance AS i
    USING (project, environment, component) WHERE d.environment = 'b' AND d.status = 'PENDING' \g /dev/null
SELECT promote.configure_instance('shop-b-s1', '{"size": 9}', plan => false) \g /dev/null
SELECT is(pg_temp.lines($$SELECT component, changed, revision FROM promote.archive_environment('shop-b')$$),
    E'(s1,t,2)\n(s2,t,1)', 'so is another');
SELECT is(pg_temp.forks($$'shop-b', 'shop-x2'$$),
    E'PM006 environment "shop-b" is archived\nIts history is there, and nothing is done with it any more.',
    'it is not forked');
SELECT is(pg_temp.short($$'shop-production', 'shop-b', components => '{s1,s3}'$$), E'(s1,t,4,2,)\n(s3,t,1,1,)',
    'the name is taken again: instances keep their counters');
SELECT is(pg_temp.lines($$SELECT generation, opened_at > created_at, archived_at FROM promote.environment
    WHERE environment = 'b'$$),
    '(2,t,)', 'as another generation');
SELECT is(pg_temp.lines($$SELECT component, status, revision, opened_revision, version_constraint IS NULL
    FROM promote.instance
    WHERE environment = 'b' ORDER BY 1$$), E'(s1,INITIALIZED,4,3,f)\n(s2,INITIALIZED,2,2,t)\n(s3,INITIALIZED,1,0,f)',
    'what the fork has not been asked for desires nothing');
SELECT is(pg_temp.lines($$SELECT status, desired_revision, desired_digest, desired_version FROM promote.instance_status
    WHERE instance = 'shop-b-s2'$$), '(never_deployed,,,)', '... as the status says');
SELECT is(pg_temp.lines($$SELECT revision, version FROM promote.promotion_matrix WHERE instance = 'shop-b-s2'$$), '(,)',
    '... and the matrix');
SELECT is(pg_temp.says(verb), expected, verb) FROM (VALUES
    ($$SELECT promote.plan_instance('shop-b-s2')$$,
        E'PM005 instance "shop-b-s2" has no configuration yet\nIt has no revision.'),
    ($$SELECT promote.deploy_instance('shop-b-s2')$$,
        E'PM005 instance "shop-b-s2" has no configuration yet\nIt has no revision.'),
    ($$SELECT * FROM promote.compare_instances('shop-b-s2', 'shop-production-s2')$$,
        E'PM005 instance "shop-b-s2" has no configuration yet\nIt has no revision.'),
    ($$SELECT promote.promote_instance('shop-b-s2', 'shop-c-s1')$$,
        E'PM004 cannot promote "shop-b-s2" to "shop-c-s1"\nThe source is component "s2" of project "shop", the '
        'destination component "s1" of project "shop".'),
    ($$SELECT promote.promote_instance('shop-b-s2', 'shop-production-s2')$$,
        E'PM005 instance "shop-b-s2" has no configuration yet\nIt has no revision.')
) AS c (verb, expected);
SELECT is(pg_temp.lines($$SELECT c.params FROM promote.revision AS r JOIN promote.config AS c USING (project, digest)
    WHERE r.environment = 'b' AND r.component = 's1' AND r.revision = 4$$), '("{""size"": 1}")',
    'nothing of the earlier generation is in the new one');
SELECT is((SELECT d.diff FROM promote.deployment AS d WHERE d.environment = 'b' AND d.component = 's1'
    AND d.deployment = 2) @> '[{"old": 9}]',
    false, '... nor in its diff');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');

SELECT is(pg_temp.lines($$SELECT component, desired FROM promote.tag_environment('shop-b', 'now')$$),
    E'(s1,4)\n(s2,)\n(s3,1)',
    'a tag says so, too');
SELECT is(pg_temp.lines($$SELECT component, changed, code
    FROM promote.preview_promote_environment('shop-b', 'shop-production')
    WHERE component = 's2'$$), '(s2,f,unconfigured)', 'and whole environments are promoted without it');

-- ---- where nothing was desired before ----
SELECT is(pg_temp.lines($$SELECT component, revision FROM promote.fork_environment('shop-production', 'shop-n',
    components => '{s1,s2}', configure => false)$$), E'(s1,)\n(s2,)', 'an environment without any');
UPDATE promote.instance SET attributes = '{"tier": "gold"}' WHERE name IN ('shop-production-s1', 'shop-n-s2');
SELECT promote.archive_environment('shop-n') \g /dev/null
SELECT is(pg_temp.lines($$SELECT component, revision FROM promote.preview_fork_environment('shop-production', 'shop-n',
    components => '{s1}')$$), '(s1,2)', 'its name is taken again, which takes a number');
SELECT is(pg_temp.lines($$SELECT component, revision FROM promote.fork_environment('shop-production', 'shop-n',
    components => '{s1}')$$), '(s1,2)', '... as the preview has said');
SELECT is(pg_temp.lines($$SELECT component, attributes FROM promote.instance WHERE environment = 'n' ORDER BY 1$$),
    E'(s1,"{""tier"": ""gold""}")\n(s2,{})', 'instances have the attributes of this source');
SELECT is(pg_temp.lines($$SELECT subject, event FROM promote.audit_log WHERE subject LIKE 'shop-n-s_'
    AND event LIKE 'instance.%' ORDER BY subject, seq$$),
    E'(shop-n-s1,instance.archived)\n(shop-n-s1,instance.opened)\n(shop-n-s2,instance.archived)\n'
    '(shop-n-s2,instance.opened)', 'and their chains tell that they were opened');

-- ---- what was said of an earlier generation says nothing of this one ----
INSERT INTO promote.approval_rule (project, rule, role) VALUES ('shop', 'all', 'voter');
INSERT INTO promote.required_check (project, check_name) VALUES ('shop', 'smoke');
INSERT INTO promote.override_rule (project, code, role) VALUES ('shop', 'health', 'voter');
CREATE FUNCTION pg_temp.said() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT string_agg(given::text, ' ') FROM promote.required_approvals('shop-j-s1')),
        (SELECT string_agg(code, ' ' ORDER BY code) FROM promote.blockers('shop-j-s1')),
        (SELECT count(*) FROM promote.instance_health WHERE instance = 'shop-j-s1'),
        (SELECT count(*) FROM promote.idempotency_key WHERE environment = 'j'))
$$;
CREATE FUNCTION pg_temp.open_j() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.fork_environment('shop-production', 'shop-j', components => '{s1}');
    PERFORM pg_temp.work_all();
    RETURN (SELECT count(*) FROM promote.deployment WHERE environment = 'j' AND action = 'PLAN'
        AND status = 'COMPLETED');
END
$$;
SELECT is(pg_temp.open_j(), 1::bigint, 'planned');
SELECT is(pg_temp.said(), '0 approval health 0 0', 'nothing is said yet');
SELECT promote.report_health('shop-j-s1', 'smoke', false) \g /dev/null
SELECT promote.override_gate('shop-j-s1', 1, 'health', 'we know') \g /dev/null
SET LOCAL promote.actor = 'bob';
SELECT promote.approve_deployment('shop-j-s1', 1) \g /dev/null
SELECT promote.promote_instance('shop-production-s1', 'shop-j-s1', idempotency_key => 'k') \g /dev/null
SET LOCAL promote.actor = 'ada';
SELECT is(pg_temp.said(), '1 1 1', 'approved, overridden, reported, and called with a key');
SELECT promote.archive_environment('shop-j') \g /dev/null
SELECT is(pg_temp.open_j(), 2::bigint, 'opened again, the very same is planned');
SELECT is(encode((SELECT plan_digest FROM promote.deployment WHERE environment = 'j' AND deployment = 2), 'hex'),
    encode((SELECT plan_digest FROM promote.deployment WHERE environment = 'j' AND deployment = 1), 'hex'),
        '... with the same digest');
SELECT is(pg_temp.said(), '0 approval health 0 0', 'and nothing is said of it yet');
SELECT is((SELECT diff @> '[{"reverts": {}}]' FROM promote.deployment WHERE environment = 'j' AND deployment = 2),
    false,
    'nor does it undo anything');
SELECT is_empty($$SELECT attname FROM pg_attribute WHERE attrelid = 'promote.environment'::regclass AND attnum > 0
    AND NOT attisdropped
    AND attname NOT IN ('project', 'environment', 'description', 'attributes', 'forked_from',
        'generation', 'opened_at',
                        'archived_at', 'created_at')
    AND (pg_get_functiondef('promote_internal.copy_rules'::regproc) !~ (attname || ' = (NULLIF\(+)?s[.]' || attname)
         OR pg_get_functiondef('promote_internal.open_environment'::regproc) !~ (attname || ' = DEFAULT'))$$,
    'every rule that is a column is copied, and begins anew');

-- ---- cycles ----
SELECT is(pg_temp.short($$'shop-c', 'shop-i'$$), '(s1,f,,,unconfigured)', 'a fork of a fork');
SELECT is(pg_temp.lines($$SELECT component FROM promote.archive_environment('shop-c')$$), '(s1)',
    'of which the source is archived');
SELECT is(pg_temp.forks($$'shop-i', 'shop-c'$$),
    E'PM605 environment "shop-c" would be a fork of itself\nThe cycle is c -> i -> c.',
    'cycles of forks are refused');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and all that is told of');
SELECT finish();
ROLLBACK;
