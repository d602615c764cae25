-- What would arrive if everything on the way were promoted and deployed.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
INSERT INTO promote.bundle VALUES ('app');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'app', version, '{"properties": {"n": {"type": "integer", "maximum": 9}, "own": {"$md.copyable": false},
    "pw": {"$md.sensitive": true}}}' FROM unnest(ARRAY['1.0.0', '1.1.0', '2.0.0']) AS version;
INSERT INTO promote.project (project) VALUES ('line');
INSERT INTO promote.environment (project, environment)
    VALUES ('line', 'dev'), ('line', 'staging'), ('line', 'production'), ('line', 'lab'), ('line', 'alone');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('line', 'dev', '{"domain": "dev"}'), ('line', 'staging', '{"domain": "stage"}'),
           ('line', 'production', '{"domain": "prod"}');
INSERT INTO promote.component (project, component, bundle)
SELECT 'line', c, 'app' FROM unnest(ARRAY['api', 'web', 'old', 'late', 'bad']) AS c;
INSERT INTO promote.instance (project, environment, component)
SELECT 'line', e, c FROM unnest(ARRAY['dev', 'staging', 'production']) AS e,
    unnest(ARRAY['api', 'web', 'old', 'late', 'bad']) AS c
 WHERE (e, c) NOT IN (('production', 'old'), ('dev', 'late'));
INSERT INTO promote.promotion_path VALUES ('line', 'dev', 'staging'), ('line', 'staging', 'production');

-- What the chain says, a line each; kind: what of it.
CREATE FUNCTION pg_temp.chain(what text, src text DEFAULT 'line-dev', up_to text DEFAULT 'line-production') RETURNS text
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN pg_temp.lines(format('SELECT component, step, %s FROM promote.preview_chain(%L, %L)', what, src, up_to));
END
$$;
CREATE FUNCTION pg_temp.codes(blockers jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(b ->> 'code', ' ' ORDER BY n) FROM jsonb_array_elements($1) WITH ORDINALITY AS x (b, n)
$$;
CREATE FUNCTION pg_temp.desire(name text, params jsonb, version text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    SELECT promote.configure_instance($1, $2, $3)
$$;
SELECT pg_temp.desire('line-dev-api', '{"n": 1, "at": "{{domain}}", "own": "dev", "pw": "x"}', '~1'),
    pg_temp.desire('line-dev-web', '{"n": 2}', '1.0.0'), pg_temp.desire('line-dev-old', '{"n": 3}', '1.0.0'),
    pg_temp.desire('line-staging-late', '{"n": 4}', '1.0.0'), pg_temp.desire('line-staging-api', '{"own": "stage"}',
        '1.0.0'),
    pg_temp.desire('line-production-web', '{"n": 2}', '1.0.0'), pg_temp.desire('line-dev-bad', '{"n": 5}', '1.0.0'),
    pg_temp.desire('line-production-bad', '{"n": 6}', '1.0.0') \g /dev/null
SELECT promote.block_release('app', '2.0.0', 'broken') \g /dev/null

-- ---- what would arrive ----
CREATE TEMP TABLE before AS SELECT (SELECT count(*) FROM promote.revision) AS revisions,
    (SELECT count(*) FROM promote.deployment) AS deployments, (SELECT count(*) FROM promote.audit_log) AS log;
SELECT is(pg_temp.chain($$source, destination, changed, version, code, split_part(problem, ':', 1)$$),
    $$(api,1,line-dev-api,line-staging-api,t,1.1.0,,)
(api,2,line-staging-api,line-production-api,t,1.1.0,,)
(bad,1,line-dev-bad,line-staging-bad,t,1.0.0,,)
(bad,2,line-staging-bad,line-production-bad,t,1.0.0,,)
(late,1,line-dev-late,line-staging-late,f,,PM002,"instance ""line-dev-late"" does not exist")
(late,2,line-staging-late,line-production-late,t,1.0.0,,)
(old,1,line-dev-old,line-staging-old,t,1.0.0,,)
(old,2,line-staging-old,line-production-old,f,,PM002,"instance ""line-production-old"" does not exist")
(web,1,line-dev-web,line-staging-web,t,1.0.0,,)
(web,2,line-staging-web,line-production-web,f,1.0.0,,)$$,
    'each component, step by step: what is on one side alone is told, and begins where it is');
SELECT is(pg_temp.lines($$SELECT step, pg_temp.entries(diff) FROM promote.preview_chain('line-dev', 'line-production')
    WHERE component = 'api'$$), $$(1,"release version add -> ""1.1.0"" 2
release constraint add -> ""~1"" 2
release channel add -> ""stable"" 1
.n add -> 1 2
.at add -> ""stage"" 2
.pw add -> ""(sensitive value)"" 2
.own add -> ""stage"" 1")
(2,"release version add -> ""1.1.0"" 1
release constraint add -> ""~1"" 1
release channel add -> ""stable"" 1
.n add -> 1 1
.at add -> ""prod"" 1
.pw add -> ""(sensitive value)"" 1")$$, 'rendered with the parameters of each, and what stays where it is stays there');
SELECT is((SELECT ARRAY[revisions, deployments, log] FROM before),
    ARRAY[(SELECT count(*) FROM promote.revision), (SELECT count(*) FROM promote.deployment),
        (SELECT count(*) FROM promote.audit_log)], 'nothing is written');
SELECT results_eq($$SELECT * FROM promote.promotion_chain('line-production')$$,
    $$SELECT * FROM promote.preview_chain('line-dev', 'line-production')$$,
    'promotion_chain begins where everything does');
SELECT results_eq($$SELECT * FROM promote.preview_chain('line-dev', 'line-production', '{web,api}')$$,
    $$SELECT * FROM promote.preview_chain('line-dev', 'line-production') WHERE component IN ('web', 'api')$$,
    'components narrow it');

SELECT results_eq($$SELECT * FROM promote.promotion_chain('line-production', '{web,api}', '{}')$$,
    $$SELECT * FROM promote.preview_chain('line-dev', 'line-production') WHERE component IN ('web', 'api')$$,
    '... also of promotion_chain');

-- ---- selectors ----
UPDATE promote.project SET attributes = '{"kind": "shop"}' WHERE project = 'line';
UPDATE promote.component SET attributes = '{"tier": 1}' WHERE project = 'line' AND component IN ('api', 'old');
UPDATE promote.instance SET attributes = '{"tier": 2}'
 WHERE project = 'line' AND (environment, component) IN (('production', 'web'), ('staging', 'bad'));
SELECT results_eq(format($$SELECT * FROM promote.preview_chain('line-dev', 'line-production', selector => %L)$$,
        selector),
    format($$SELECT * FROM promote.preview_chain('line-dev', 'line-production') WHERE component = ANY (%L)$$,
        components),
    format('%s takes %s', selector, what))
  FROM (VALUES ('{"tier": 1}', '{api,old}', 'components, whether they have an instance in the end or not'),
               ('{"tier": 2}', '{web}', 'instances by what they are in the end'),
               ('{"kind": "shop"}', '{api,bad,late,old,web}', 'all of a project'),
               ('{}', '{api,bad,late,old,web}', 'everything')) AS v(selector, components, what);
SELECT results_eq($$SELECT * FROM promote.preview_chain('line-dev', 'line-staging', selector => '{"tier": 2}')$$,
    $$SELECT * FROM promote.preview_chain('line-dev', 'line-staging', '{bad}')$$, 'where the end is another one');
SELECT results_eq($$SELECT * FROM promote.promotion_chain('line-production', selector => '{"tier": 2}')$$,
    $$SELECT * FROM promote.promotion_chain('line-production', '{web}')$$, 'promotion_chain takes one as well');
SELECT is(pg_temp.lines($$SELECT * FROM promote.preview_chain('line-dev', 'line-production', '{web,api}', '{"tier": 2}')
    WHERE component = 'api'$$),
    $$(api,1,line-dev-api,line-staging-api,f,,,,selector,"its attributes do not match the selector")
(api,2,line-staging-api,line-production-api,f,,,,selector,"its attributes do not match the selector")$$,
    'what is named and not selected is told');
SELECT results_eq($$SELECT * FROM promote.preview_chain('line-dev', 'line-production', '{web,api}', '{"tier": 2}')
    WHERE component = 'web'$$, $$SELECT * FROM promote.preview_chain('line-dev', 'line-production', '{web}')$$,
    '... beside what is');
SELECT pg_temp.refuses(format($$SELECT * FROM promote.preview_chain('line-dev', 'line-production', %s)$$, arguments),
    state, detail, arguments)
  FROM (VALUES ($$selector => '{"tier": 3}'$$, 'PM404', 'environment "production" of project "line"'),
               ($$'{api}', '{"tier": 2}'$$, 'PM404', 'attributes in environment'),
               ($$selector => '[]'$$, 'PM101', '')) AS v(arguments, state, detail);

-- ---- gates ----
UPDATE promote.environment SET require_proven_release = true, require_source_in_sync = true, required_soak = '1 day'
 WHERE project = 'line';
SELECT is(pg_temp.chain('pg_temp.codes(blockers)'), $$(api,1,"soak source_in_sync release_unproven")
(api,2,soak)
(bad,1,"soak source_in_sync release_unproven")
(bad,2,soak)
(late,1,)
(late,2,"soak source_in_sync release_unproven")
(old,1,"soak source_in_sync release_unproven")
(old,2,)
(web,1,"soak source_in_sync release_unproven")
(web,2,soak)$$, 'what is supposed to run at the source is proven, in sync, and soaks from now on');
SELECT is((SELECT (blockers -> 0 ->> 'until')::timestamptz - now() BETWEEN '23:59' AND '24:01'
    FROM promote.preview_chain('line-dev', 'line-production') WHERE component = 'api' AND step = 2), true,
        'until when is said');
UPDATE promote.environment SET require_proven_release = false, require_source_in_sync = false, required_soak = '0'
 WHERE project = 'line';
CREATE ROLE chain_approver;
SET LOCAL client_min_messages = error; -- it has no members
INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
VALUES ('line', 'production', 'two', 'chain_approver', 2);
INSERT INTO promote.freeze_window (name, project, environment, during, reason)
VALUES ('frozen', 'line', 'staging', tstzrange(now() - interval '1 hour', now() + interval '1 hour'), 'x');
UPDATE promote.environment SET require_structure = 'lab' WHERE project = 'line' AND environment = 'production';
SELECT is(pg_temp.lines($$SELECT step, b ->> 'code', b ->> 'liftable_by', b ? 'until'
    FROM promote.preview_chain('line-dev', 'line-production',
        '{api}') CROSS JOIN LATERAL jsonb_array_elements(blockers) AS b$$),
    E'(1,freeze,"whoever changes promote.freeze_window",t)\n(2,structure,"whoever deploys ""line-lab-api"" first",f)\n'
        '(2,approval,"role chain_approver",f)',
    'windows, structure and approvals of each step');
DELETE FROM promote.freeze_window WHERE name = 'frozen';
DELETE FROM promote.approval_rule WHERE rule = 'two';
UPDATE promote.environment SET require_structure = NULL WHERE project = 'line';

-- ---- refusals on the way ----
SELECT promote.block_release('app', '1.1.0', 'broken') \g /dev/null
SELECT is(pg_temp.lines($$SELECT step, version, code, problem FROM promote.preview_chain('line-dev', 'line-production')
    WHERE component = 'api'$$), $$(1,,PM510,"release 1.1.0 of bundle ""app"" is blocked: The reason given is: broken")
(2,1.0.0,,)$$, 'behind a step that is refused it goes on with what is desired there now');
SELECT promote.unblock_release('app', '1.1.0') \g /dev/null
UPDATE promote.component SET version_policy = 'pinned' WHERE project = 'line' AND component = 'api';
SELECT is((SELECT code FROM promote.preview_chain('line-dev',
    'line-production') WHERE component = 'api' AND step = 1), 'PM508',
    'pinned to what does not run yet');
SELECT pg_temp.deploy('line-dev-api') \g /dev/null
SELECT is(pg_temp.lines($$SELECT step, version, diff @> '[{"path": "release constraint", "new": "1.1.0"}]'
    FROM promote.preview_chain('line-dev', 'line-production') WHERE component = 'api'$$), E'(1,1.1.0,t)\n(2,1.1.0,t)',
    'and then to what is supposed to run');

-- ---- it agrees with what is then done ----
UPDATE promote.environment SET promotion_mode = 'merge' WHERE project = 'line' AND environment = 'production';
CREATE TEMP TABLE forecast AS SELECT * FROM promote.preview_chain('line-dev', 'line-production');
CREATE FUNCTION pg_temp.carry_out(one_step integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    f record;
    done record;
    state text;
BEGIN
    FOR f IN SELECT * FROM forecast AS c WHERE c.step = one_step ORDER BY c.component LOOP
        state := NULL;
        BEGIN
            SELECT p.changed, p.diff INTO done FROM promote.promote_instance(f.source, f.destination) AS p;
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        RETURN NEXT is(state, f.code, format('%s to %s: refused or not', f.source, f.destination));
        CONTINUE WHEN state IS NOT NULL;
        RETURN NEXT is(done.changed, f.changed, format('%s to %s: a new revision or not', f.source, f.destination));
        RETURN NEXT is(done.diff, f.diff, format('%s to %s: the same diff', f.source, f.destination));
        PERFORM pg_temp.deploy(f.destination);
        RETURN NEXT is((SELECT d.version FROM promote.instance AS i
                          JOIN promote.deployment AS d ON d.project = i.project AND d.environment = i.environment
                               AND d.component = i.component AND d.deployment = i.deployed_by
                         WHERE i.name = f.destination)::text, f.version, f.destination || ' runs the release');
    END LOOP;
END
$$;
SELECT pg_temp.carry_out(1);
SELECT pg_temp.carry_out(2);
SELECT is(pg_temp.lines($$SELECT component, step, changed, diff, blockers FROM promote.preview_chain('line-dev',
    'line-production')
    WHERE code IS NULL$$), $$(api,1,f,[],[])
(api,2,f,[],[])
(bad,1,f,[],[])
(late,2,f,[],[])
(old,1,f,[],[])
(web,1,f,[],[])$$, 'then nothing is left to do');

-- ---- ways ----
INSERT INTO promote.promotion_path VALUES ('line', 'dev', 'lab'), ('line', 'lab', 'production');
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s', f), state, detail, f)
  FROM (VALUES ('preview_chain(''line-dev'', ''line-production'')', 'PM605',
      'From "dev" they lead to "?lab"?, "?staging'),
               ('preview_chain(''line-production'', ''line-dev'')', 'PM605', 'none ends here'),
               ('preview_chain(''line-dev'', ''line-alone'')', 'PM605', 'none ends here'),
               ('preview_chain(''line-dev'', ''line-production'', via => ''{line-alone}'')', 'PM605', 'none ends here'),
               ('preview_chain(''line-dev'', ''line-production'', via => ''{ecomm-staging}'')', 'PM004',
                   'project "ecomm"'),
               ('preview_chain(''line-dev'', ''line-production'', via => ''{NULL}'')', 'PM404', 'names no environment'),
               ('preview_chain(''line-dev'', ''line-dev'')', 'PM003', 'begins and ends'),
               ('preview_chain(''line-dev'', ''ecomm-production'')', 'PM004', 'project "ecomm"'),
               ('preview_chain(''line-dev'', ''line-nowhere'')', 'PM002', 'no environment "nowhere"'),
               ('preview_chain(''line-dev'', NULL)', 'PM404', 'null'), ('preview_chain(NULL, ''line-dev'')', 'PM404',
                   'null'),
               ('preview_chain(''line-dev@tuesday'', ''line-production'')', 'PM001', ''),
               ('preview_chain(''line-dev'', ''line-staging'', ''{nothing}'')', 'PM002',
                   'no instance in any environment from "dev" to'),
               ('preview_chain(''line-dev'', ''line-staging'', ''{api,NULL}'')', 'PM404', 'An element is null'),
               ('preview_chain(''line-dev'', ''line-staging'', ''{}'')', 'PM404', 'empty'),
               ('promotion_chain(''line-dev'')', 'PM605', 'No promotion path leads'),
               ('promotion_chain(''line-production'')', 'PM605', 'From "dev" they lead')) AS v(f, state, detail);
SELECT is(pg_temp.lines($$SELECT DISTINCT step, regexp_replace(destination, '-[a-z]+$', '')
    FROM promote.promotion_chain('line-production', via => '{line-staging}') ORDER BY 1$$),
    E'(1,line-staging)\n(2,line-production)', 'by via one of several ways is meant');
INSERT INTO promote.promotion_path VALUES ('line', 'alone', 'production');
SELECT pg_temp.refuses($$SELECT * FROM promote.promotion_chain('line-production')$$, 'PM605', 'begins in',
    'several beginnings');

SELECT * FROM finish();
ROLLBACK;
