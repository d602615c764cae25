-- A value keeps the marks of every document that it comes from, whoever turns which branch of a schema: what a role
-- that may only view, or only promote, can make a value show itself by.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
CREATE FUNCTION pg_temp.as_role(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE 'SELECT string_agg(x::text, E''\n'') FROM (' || statement || ') AS x' INTO result;
    PERFORM set_config('role', 'none', true);
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(': ', state, message, detail, hint);
END
$$;
CREATE ROLE m_viewer;
CREATE ROLE m_promoter;
INSERT INTO promote.grants (role, action, project) VALUES ('m_viewer', 'view', 'ecomm'),
    ('m_promoter', 'promote', 'ecomm');
INSERT INTO promote.bundle VALUES ('cond');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES
    ('cond', '1.0.0', '{"if": {"properties": {"mode": {"const": "open"}}, "required": ["mode"]},
        "else": {"properties": {"token": {"$md.sensitive": true}, "list": {"items": {"$md.sensitive": true}}}},
        "oneOf": [{"properties": {"kind": {"const": "a"}, "key": {"$md.sensitive": true}}, "required": ["kind"]},
                  {"properties": {"kind": {"const": "b"}}, "required": ["kind"]}, {"not": {"required": ["kind"]}}]}');
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'cond', 'cond');
INSERT INTO promote.instance (project, environment, component) SELECT 'ecomm', e, 'cond'
    FROM unnest(ARRAY['staging', 'production', 'prod-uswest']) AS e;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cond',
    '{"mode": "closed", "token": "SECRET-of-staging", "list": ["SECRET-listed"], "kind": "a", "key": '
    '"SECRET-keyed"}')$$, 'a source');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-cond',
    '{"mode": "closed", "token": "SECRET-of-production", "kind": "a"}')$$, 'a destination');

-- ---- a preview by who may only view ----
SELECT unalike(pg_temp.as_role('m_viewer', format('SELECT * FROM promote.preview_promotion(%L, %L, %L)',
    'ecomm-staging-cond', 'ecomm-production-cond', overrides)), '%SECRET%', 'overrides turn no mark off: ' || overrides)
  FROM unnest(ARRAY['{"mode": "open"}', '{"kind": "b"}', '{"kind": null}', '{"mode": "open", "kind": "b"}',
      '{"mode": "open", "kind": null, "token": {}}']) AS overrides;
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, new_value, sensitive
    FROM promote.preview_promotion('ecomm-staging-cond', 'ecomm-production-cond', '{"mode": "open", "kind": "b"}')
    WHERE path IN ('.token', '.key', '.mode')$$),
    E'(.key,"""(sensitive value)""",t)\n(.mode,"""open""",f)\n(.token,"""(sensitive value)""",t)',
        'what they set themselves is shown');

-- ---- placeholders that the viewer brings ----
UPDATE promote.parameter_set SET parameters = '{"NAME": "PARAM-withheld", "MODE": "closed"}' WHERE project = 'ecomm';
SELECT matches(pg_temp.as_role('m_viewer', format('SELECT * FROM promote.preview_promotion(%L, %L, %L)',
    'ecomm-staging-cond', 'ecomm-production-cond', overrides)),
    '^PM701: not allowed: placeholders in overrides: Role "m_viewer" has no grant "promote" for '
        '"ecomm-production-cond", whose parameters would replace them\.: .', 'who may only view renders nothing: '
        || overrides)
  FROM unnest(ARRAY['{"free": "{{NAME}}"}', '{"free": ["x", {"deep": "a {{ NAME }} b"}]}', '{"free": "\\{{NAME}}"}',
      '{"token": "{{NAME}}"}']) AS overrides;
SELECT alike(pg_temp.as_role('m_viewer', format('SELECT * FROM promote.preview_promotion(%L, %L, %L)',
    'ecomm-staging-cond', 'ecomm-production-cond', overrides)), '(%',
    'braces that are no placeholder are shown as they are: ' || overrides)
  FROM unnest(ARRAY['{"{{NAME}}": 1}', '{"a": "x{", "b": "{NAME}}"}', '{"a": "{", "b": ["{NAME}}", "{", "{"]}']) AS
      overrides;
SELECT unalike(pg_temp.as_role('m_viewer',
    $$SELECT * FROM promote.preview_promotion('ecomm-staging-cond', 'ecomm-production-cond',
    '{"{{NAME}}": "x{", "y": "{NAME}}"}')$$), '%PARAM%', '... and render nothing');
SELECT alike(pg_temp.as_role('m_promoter',
    $$SELECT * FROM promote.preview_promotion('ecomm-staging-cond', 'ecomm-production-cond', '{"free": "{{NAME}}"}')$$),
    '%PARAM-withheld%', 'who may promote there may see what they would promote');

-- ---- guessing ----
CREATE FUNCTION pg_temp.preview(overrides jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.as_role('m_viewer', format('SELECT * FROM promote.preview_promotion(%L, %L, %L)',
        'ecomm-staging-cond', 'ecomm-production-cond', overrides)) $$;
SELECT is(pg_temp.preview(guess), pg_temp.preview(wrong),
    'an override that is what nobody may see says no more than another one: ' || guess::text)
  FROM (VALUES ('{"token": "SECRET-of-production"}'::jsonb, '{"token": "wrong"}'::jsonb),
      ('{"token": "SECRET-of-staging"}', '{"token": "wrong"}'), ('{"token": "SECRET-of-production", "mode": "open"}',
      '{"token": "wrong", "mode": "open"}'),
               ('{"key": "SECRET-keyed"}', '{"key": "wrong"}'),
                   ('{"list": ["SECRET-listed"]}', '{"list": ["wrong"]}')) AS v (guess, wrong);
SELECT is(replace(pg_temp.preview(jsonb_build_object('note', guess)), guess, '#'),
    replace(pg_temp.preview('{"note": "wrong"}'), 'wrong', '#'), 'nor at a place that is open: ' || guess)
  FROM unnest(ARRAY['SECRET-of-production', 'SECRET-of-staging', 'x SECRET-of-staging y']) AS guess;
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, change, old_value, new_value, origin
    FROM promote.preview_promotion('ecomm-staging-cond', 'ecomm-production-cond', '{"token": "SECRET-of-production"}')
    WHERE path = '.token'$$),
    '(.token,change,"""(sensitive value)""","""(sensitive value)""",override)', 'it has its row, as any other');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT count(*)
    FROM promote.preview_promotion('ecomm-staging-cond', 'ecomm-production-cond', '{"kind": "a"}')
    WHERE path = '.kind' AND change <> 'none'$$), '(0)', 'what may be seen and does not change has none');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, change, origin
    FROM promote.preview_promotion('ecomm-staging-cond', 'ecomm-production-cond', '{"token": null}')
    WHERE path = '.token'$$), '(.token,remove,override)', 'what is taken away is said to be');

-- where nothing else differs, and what is desired runs
SAVEPOINT alike;
SELECT promote.configure_instance('ecomm-staging-cond', '{"mode": "closed", "token": "t", "list": null, "kind": "a",
    "key": null}') \g /dev/null
SELECT promote.promote_instance('ecomm-staging-cond', 'ecomm-production-cond', '{"token": "SECRET-of-production"}')
\g /dev/null
SELECT pg_temp.deploy('ecomm-production-cond') \g /dev/null
SELECT is(pg_temp.preview('{"token": "SECRET-of-production"}'), pg_temp.preview('{"token": "wrong"}'),
    'nor does the revision since which it waits confirm a guess, where nothing else would change');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, change, since - (SELECT revision FROM promote.instance
    WHERE name = 'ecomm-production-cond') AS since FROM promote.preview_promotion('ecomm-staging-cond',
    'ecomm-production-cond', '{"token": "SECRET-of-production"}')$$), '(.token,change,1)', '... as if it changed');
ROLLBACK TO alike;

-- ---- what is promoted keeps its marks ----
CREATE FUNCTION pg_temp.all_shown(role text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(pg_temp.as_role(role, s), E'\n') FROM unnest(ARRAY[
        'SELECT d.instance, x.* FROM promote.instance_status AS d CROSS JOIN LATERAL promote.config_as_of(d.instance) '
            'AS x',
        'SELECT d.instance, x.* FROM promote.instance_status AS d CROSS JOIN LATERAL promote.config_as_of(d.instance, '
            'state => ''running'') AS x',
        'SELECT d.instance, promote.plan_text(d.instance) FROM promote.instance_status AS d WHERE d.instance '
            '~ ''cond''', 'SELECT * FROM promote.config_changes',
        'SELECT * FROM promote.deployment', 'SELECT * FROM promote.idempotency_key',
            'SELECT * FROM promote.promotion_history',
            'SELECT project, subject, seq, actor, event, data FROM promote.audit_log',
            'SELECT * FROM promote.drift_status', 'SELECT * FROM promote.drift_item',
        'SELECT * FROM promote.compare_instances(''ecomm-staging-cond'', ''ecomm-production-cond'')',
            'SELECT * FROM promote.compare_instances(''ecomm-production-cond'', ''ecomm-staging-cond'')',
        'SELECT * FROM promote.compare_deployments(''ecomm-production-cond'', ''ecomm-staging-cond'')',
            'SELECT * FROM promote.preview_promotion(''ecomm-production-cond'', ''ecomm-staging-cond'')',
        'SELECT * FROM promote.rehearse_rollback(''ecomm-production-cond'')',
            'SELECT kept_marks FROM promote.revision']) AS s $$;
SELECT unalike(pg_temp.as_role('m_promoter',
    $$SELECT * FROM promote.promote_instance('ecomm-staging-cond', 'ecomm-production-cond',
    '{"mode": "open", "kind": "b"}', idempotency_key => 'k')$$), '%SECRET%', 'who promotes is not shown it either');
SELECT matches(pg_temp.as_role('m_viewer', format($$SELECT * FROM promote.promote_instance('ecomm-staging-cond',
    'ecomm-production-cond', '{"mode": "open", "kind": %s}', idempotency_key => 'k')$$, kind)),
    '^PM701: not allowed: promote: ', 'nor does its key tell a viewer whether this was the call: ' || kind)
  FROM unnest(ARRAY['"b"', '"a"']) AS kind;
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'production' AND component = 'cond'
    ORDER BY revision DESC LIMIT 1), '[".key", ".list[0]", ".token"]', 'the revision knows what keeps its marks');
SELECT unalike(pg_temp.all_shown('m_viewer'), '%SECRET%', 'nobody sees it afterwards');
SELECT unalike(pg_temp.all_shown('m_viewer'), '%42501%', '... though all of that may be looked at');
SELECT ok(pg_temp.deploy('ecomm-production-cond') > 0, 'deployed');
SELECT unalike(pg_temp.all_shown('m_viewer'), '%SECRET%', '... nor once it runs');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-cond', '{"note": 1}')$$, 'edited');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-cond',
    '{"note": 2, "copied": "in SECRET-of-staging!"}')$$, '... twice, with a copy of it');
SELECT unalike(pg_temp.all_shown('m_viewer'), '%SECRET%', '... nor by what was made of that');
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'production' AND component = 'cond'
    ORDER BY revision DESC LIMIT 1), '[".key", ".list[0]", ".token", ".copied"]', 'the copy as well');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-production-cond', 'ecomm-staging-cond')$$,
    'and on from there');
SELECT unalike(pg_temp.all_shown('m_viewer'), '%SECRET%', '... nor there');
SELECT lives_ok($$SELECT promote.report_observed('ecomm-production-cond',
    '{"mode": "open", "token": "SECRET-of-staging", "elsewhere": "SECRET-keyed"}'::jsonb, 'test')$$, 'drifted');
SELECT unalike(pg_temp.all_shown('m_viewer'), '%SECRET%', '... nor in what has drifted');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-cond',
    '{"token": "plain now", "copied": null, "key": "plain key", "list": null}')$$, 'other values');
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'production' AND component = 'cond'
    ORDER BY revision DESC LIMIT 1), NULL, '... keep nothing');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT params ->> 'token' FROM promote.config_as_of('ecomm-production-cond')$$),
    '("plain now")', '... and are shown');

-- ---- elements of arrays, wherever they are reported: the short ones are known by their places alone ----
INSERT INTO promote.bundle VALUES ('lists');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('lists', '1.0.0',
    '{"properties": {"keys": {"items": {"$md.sensitive": true}}, "users": {"items": {"properties": {"pw": '
        '{"$md.sensitive": true}}}}, "pair": {"items": [{}, {"$md.sensitive": true}]}}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'lists', 'lists');
INSERT INTO promote.instance (project, environment, component) SELECT 'ecomm', e, 'lists'
    FROM unnest(ARRAY['staging', 'production']) AS e;
SELECT lives_ok(format('SELECT promote.configure_instance(%L, %L)', 'ecomm-' || e || '-lists', p), 'lists of ' || e)
    FROM (VALUES
    ('staging', '{"keys": ["hxs1", "hxs2"], "users": [{"name": "a", "pw": "hxs3"}, {"name": "b"}], "pair": ["open-s", '
        '"HIDDEN-s4"]}'),
    ('production', '{"keys": ["hxp1"], "users": [{"name": "a", "pw": "hxp3"}], "pair": ["open-p", "HIDDEN-p4"]}')) AS
        v(e, p);
SELECT ok(pg_temp.deploy('ecomm-production-lists') > 0, 'deployed');
SELECT is(pg_temp.as_role('m_viewer', format('SELECT params FROM promote.config_as_of(%L, state => %L)',
    'ecomm-production-lists', state)),
    '("{""keys"": [""(sensitive value)""], ""pair"": [""open-p"", ""(sensitive value)""], ""users"": [{""pw"": '
        '""(sensitive value)"", ""name"": ""a""}]}")', 'the configuration, ' || state)
  FROM unnest(ARRAY['desired', 'running']) AS state;
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, a_value, b_value
    FROM promote.compare_instances('ecomm-staging-lists', 'ecomm-production-lists') WHERE kind = 'param'
    ORDER BY path COLLATE "C"$$),
E'(.keys[0],"""(sensitive value)""","""(sensitive value)""")
(.keys[1],"""(sensitive value)""",)
(.pair[0],"""open-s""","""open-p""")
(.pair[1],"""(sensitive value)""","""(sensitive value)""")
(.users[0].pw,"""(sensitive value)""","""(sensitive value)""")
(.users[1].name,"""b""",)', 'instances compared');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, old_value, new_value, sensitive
    FROM promote.preview_promotion('ecomm-staging-lists', 'ecomm-production-lists') ORDER BY path COLLATE "C"$$),
E'(.keys[0],"""(sensitive value)""","""(sensitive value)""",t)
(.keys[1],,"""(sensitive value)""",t)
(.pair[0],"""open-p""","""open-s""",f)
(.pair[1],"""(sensitive value)""","""(sensitive value)""",t)
(.users[0].pw,"""(sensitive value)""","""(sensitive value)""",t)
(.users[1].name,,"""b""",f)', 'a preview');
SELECT is(promote.report_observed('ecomm-production-lists',
    '{"keys": ["hxo1", "hxo2"], "users": [{"name": "a", "pw": "hxo3"}], "pair": ["open-o", "HIDDEN-o4"], "log": ["saw '
    'HIDDEN-p4", "saw nothing"]}'::jsonb, 'scan'), 7, 'what is observed');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, deployed_value, observed_value FROM promote.drift_status
    WHERE instance = 'ecomm-production-lists' ORDER BY path COLLATE "C"$$),
E'(.keys[0],"""(sensitive value)""","""(sensitive value)""")
(.keys[1],,"""(sensitive value)""")
(.log[0],,"""(sensitive value)""")
(.log[1],,"""saw nothing""")
(.pair[0],"""open-p""","""open-o""")
(.pair[1],"""(sensitive value)""","""(sensitive value)""")
(.users[0].pw,"""(sensitive value)""","""(sensitive value)""")', 'drift');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-lists', 'ecomm-production-lists')$$, 'promoted');
SELECT is((SELECT jsonb_agg(x ORDER BY x ->> 'path') FROM promote.deployment AS d, jsonb_array_elements(d.diff) AS x
    WHERE d.component = 'lists' AND d.environment = 'production' AND d.deployment = (SELECT max(deployment)
    FROM promote.deployment WHERE component = 'lists' AND environment = 'production') AND x ->> 'path' ~ 'keys|pair'),
    '[{"kind": "param", "old": "(sensitive value)", "new": "(sensitive value)", "path": ".keys[0]", "change": '
        '"change", '
        '"sensitive": true, "since": 2}, {"kind": "param", "new": "(sensitive value)", "path": ".keys[1]", "change": '
        '"add", "sensitive": true, "since": 2}, {"kind": "param", "old": "open-p", "new": "open-s", "path": '
            '".pair[0]", '
        '"change": "change", "since": 2}, {"kind": "param", "old": "(sensitive value)", "new": "(sensitive value)", '
        '"path": ".pair[1]", "change": "change", "sensitive": true, "since": 2}]', 'its plan');
SELECT matches(promote.plan_text('ecomm-production-lists'), E'\\+ \\.keys\\[1\\] +"\\(sensitive value\\)"',
    '... as text');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, old_value, new_value FROM promote.config_changes
    WHERE instance = 'ecomm-production-lists' AND path ~ 'keys' AND deployment > 2 ORDER BY path$$),
E'(.keys[0],"""(sensitive value)""","""(sensitive value)""")\n(.keys[1],,"""(sensitive value)""")', '... as rows');
SELECT unalike(pg_temp.all_shown('m_viewer'), '%' || hidden || '%', '... and nowhere else')
    FROM unnest(ARRAY['HIDDEN', 'hx']) AS hidden;

-- ---- a placeholder decides the branch ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-cond',
    '{"mode": "{{MODE}}", "token": "SECRET-rendered"}')$$, 'a placeholder is the discriminator');
UPDATE promote.parameter_set SET parameters = '{"MODE": "open"}'
 WHERE project = 'ecomm' AND environment = 'prod-uswest';
SELECT ok(pg_temp.deploy('ecomm-prod-uswest-cond') > 0, 'deployed where it says otherwise');
SELECT unalike(pg_temp.all_shown('m_viewer'), '%SECRET%',
    'what the params as they stand, or as they were rendered, mark is masked');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('cond', '2.0.0',
    '{"if": {"properties": {"mode": {"const": "open"}}}, "then": {"properties": {"token": {"$md.sensitive": true}}}}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-cond', '{"token": "SECRET-by-rendering"}',
    '2.0.0')$$, 'sensitive only as it is rendered');
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.config_as_of('ecomm-prod-uswest-cond')$$),
    '%SECRET%', 'config_as_of knows');

UPDATE promote.parameter_set SET parameters = '{"MODE": "open", "PW": "SECRET-parameter"}' WHERE project = 'ecomm'
    AND environment = 'prod-uswest';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-cond',
    '{"mode": "{{MODE}}", "token": "{{PW}}", "beside": "{{PW}}", "in": "x:{{PW}}@"}', '1.0.0', plan => false)$$,
    'a parameter is sensitive in the params as they stand');
SELECT lives_ok($$SELECT promote.plan_instance('ecomm-prod-uswest-cond')$$, '... planned');
SELECT unalike(pg_temp.as_role('m_viewer',
    $$SELECT * FROM promote.preview_promotion('ecomm-prod-uswest-cond', 'ecomm-production-cond')$$)
    || promote.plan_text('ecomm-prod-uswest-cond'), '%SECRET%', '... and masked as it is rendered, there and beside');

SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-cond',
    '{"mode": "closed", "beside": "SECRET-parameter", "in": null}', '1.0.0', plan => false)$$,
    '... and copied from where it was rendered');
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.config_as_of('ecomm-prod-uswest-cond')$$),
    '%SECRET%', '... it is masked where the params stand alone');

UPDATE promote.parameter_set SET parameters = parameters || '{"HOST": "db.example.com"}' WHERE project = 'ecomm'
    AND environment = 'prod-uswest';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-cond',
    '{"mode": "closed", "token": "\\{{HOST}}", "beside": "{{HOST}}", "in": "x.{{HOST}}"}', '1.0.0', plan => false)$$,
    'a marked value that looks like a placeholder');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT params - 'mode' FROM promote.config_as_of('ecomm-prod-uswest-cond')$$),
    $$("{""in"": ""x.{{HOST}}"", ""token"": ""(sensitive value)"", ""beside"": ""{{HOST}}""}")$$,
    '... makes no secret of the placeholder');

-- ---- what is short, and what is common ----
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('cond', '3.0.0', '{"properties": {"db": {"$md.sensitive": true}}}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-cond',
    '{"mode": null, "token": null, "beside": null, "in": null, "db": {"port": 5432, "ssl": true, "user": "admin", '
    '"password": "SECRET-in-db"}}', '3.0.0')$$, 'all of a container');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-cond',
    '{"port": 5432, "ssl": true, "who": "admin", "url": "x://u:SECRET-in-db@h/", "b64": "eDpTRUNSRVQtaW4tZGI6eQ==", '
    '"urls": ["a%2FSECRET-in-db"]}')$$, 'and the like beside it');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT params - 'db' FROM promote.config_as_of('ecomm-prod-uswest-cond')$$),
    '("{""b64"": ""(sensitive value)"", ""ssl"": true, ""url"": ""(sensitive value)"", ""who"": ""admin"", ""port"": '
        '5432, '
    '""urls"": [""(sensitive value)""]}")',
        'long values are known anywhere, also inside others; words and numbers of less than six bytes at their places '
        'alone');

-- ---- what ran ----
SELECT is(pg_temp.lines($$SELECT revision, params, version, deployment IS NOT NULL AS by
    FROM promote.config_as_of('ecomm-prod-uswest-cond', state => 'running')$$),
    '(1,"{""mode"": ""open"", ""token"": ""SECRET-rendered""}",1.0.0,t)', 'what ran is what was rendered');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT revision, params, version
    FROM promote.config_as_of('ecomm-prod-uswest-cond', state => 'running')$$),
    '(1,"{""mode"": ""open"", ""token"": ""(sensitive value)""}",1.0.0)', '... masked for who views');
SELECT is(pg_temp.lines($$SELECT revision, version FROM promote.config_as_of('ecomm-prod-uswest-cond')$$), '(7,3.0.0)',
    '... and not what is desired');
SELECT is_empty($$SELECT * FROM promote.config_as_of('ecomm-staging-cond', state => 'running')$$,
    'no row where nothing ran');
SELECT is_empty($$SELECT *
    FROM promote.config_as_of('ecomm-prod-uswest-cond', (SELECT finished_at - interval '1 microsecond'
    FROM promote.deployment WHERE environment = 'prod-uswest' AND component = 'cond' AND action = 'PROVISION'),
    'running')$$, '... or did yet');
SELECT ok(pg_temp.deploy('ecomm-prod-uswest-cond') > 0, 'deployed anew');
SELECT is(pg_temp.lines(format('SELECT revision, version, since = %L, deployment = %s FROM promote.config_as_of(%L, '
    '%L, %L)', d.finished_at, d.deployment, 'ecomm-prod-uswest-cond', d.finished_at, 'running')),
    format('(%s,%s,t,t)', d.revision, d.version), 'at each moment what ran then')
  FROM promote.deployment AS d WHERE d.environment = 'prod-uswest' AND d.component = 'cond' AND d.action = 'PROVISION';
SELECT lives_ok($$SELECT promote.decommission_instance('ecomm-prod-uswest-cond')$$, 'decommissioned');
SELECT ok(pg_temp.work('ecomm-prod-uswest-cond') > 0, '... by a worker');
SELECT is_empty($$SELECT * FROM promote.config_as_of('ecomm-prod-uswest-cond', 'infinity', 'running')$$,
    'nothing runs any more');
SELECT pg_temp.refuses(format('SELECT * FROM promote.config_as_of(%L, state => %L)', 'ecomm-prod-uswest-cond', s),
    'PM404', '^States are desired and running\.$', 'a state that is none: ' || s)
  FROM unnest(ARRAY['planned', '']) AS s;
-- ---- parameters that change later, and put what is desired, or was, into another branch ----
INSERT INTO promote.bundle VALUES ('later');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES
    ('later', '1.0.0', '{"if": {"properties": {"tier": {"const": "prod"}}}, "then": {"properties": {"pw": '
        '{"$md.sensitive": true}}}, "properties": {"own": {"$md.copyable": false}}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'later', 'later');
INSERT INTO promote.instance (project, environment, component) SELECT 'ecomm', e, 'later'
    FROM unnest(ARRAY['staging', 'production', 'prod-uswest']) AS e;
UPDATE promote.parameter_set SET parameters = '{"tier": "dev"}' WHERE project = 'ecomm';
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-later',
    '{"tier": "{{tier}}", "pw": "LATER-marked"}', plan => false)$$, 'a parameter decides, and marks nothing');
SELECT alike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.config_as_of('ecomm-production-later')$$),
    '%LATER-marked%', 'what nothing marks is shown');
UPDATE promote.parameter_set SET parameters = '{"tier": "prod"}' WHERE project = 'ecomm' AND environment = 'production';
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.config_as_of('ecomm-production-later')$$),
    '%LATER-marked%', 'what it would be rendered to now marks it, also where that was not planned');
SELECT ok(pg_temp.deploy('ecomm-production-later') > 0, 'deployed');
UPDATE promote.parameter_set SET parameters = '{"tier": "dev"}' WHERE project = 'ecomm' AND environment = 'production';
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.config_as_of('ecomm-production-later')$$),
    '%LATER-marked%', '... and so does what runs of it, when the parameter is what it was');

-- ---- ... and what is made of it from then on ----
SELECT lives_ok(format('SELECT promote.configure_instance(%L, %L, plan => false)', 'ecomm-' || e || '-later', '{}'),
    'another one') FROM unnest(ARRAY['staging', 'prod-uswest']) AS e;
SELECT unalike(pg_temp.as_role('m_viewer', statement), '%LATER-marked%', 'masked as it was when it was deployed: '
    || statement)
  FROM unnest(ARRAY[$$SELECT * FROM promote.compare_instances('ecomm-production-later', 'ecomm-staging-later')$$,
      $$SELECT * FROM promote.compare_instances('ecomm-staging-later', 'ecomm-production-later')$$,
    $$SELECT * FROM promote.preview_promotion('ecomm-production-later', 'ecomm-prod-uswest-later')$$,
        $$SELECT * FROM promote.preview_promotion('ecomm-prod-uswest-later', 'ecomm-production-later',
        '{"pw": null}')$$]) AS statement;
SELECT lives_ok($$SELECT promote.plan_instance('ecomm-production-later')$$, 'planned as it is rendered now');
SELECT is(pg_temp.lines($$SELECT d.deployment,
    promote.jsonb_digest(c.params) = promote.jsonb_digest('{"tier": "dev", "pw": "LATER-marked"}')
    FROM promote.deployment AS d JOIN promote.config AS c ON c.project = d.project AND c.digest = d.rendered_digest
    WHERE d.component = 'later' AND d.environment = 'production' ORDER BY 1 DESC LIMIT 1$$), '(3,t)',
    'a deployment that marks nothing itself');
SELECT unalike(promote.plan_text('ecomm-production-later', 3) || pg_temp.as_role('m_viewer',
    $$SELECT * FROM promote.compare_deployments('ecomm-production-later/1', 'ecomm-production-later/3')$$),
    '%LATER-marked%', '... shows nothing more');
SELECT ok(pg_temp.deploy('ecomm-production-later') > 0, '... nor once it is what runs');
SELECT is(promote.report_observed('ecomm-production-later',
    '{"tier": "dev", "pw": "LATER-marked", "note": "LATER-marked"}'::jsonb, 'scan'), 1, 'a copy that has drifted');
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.drift_status$$) || pg_temp.as_role('m_viewer',
    $$SELECT * FROM promote.config_as_of('ecomm-production-later', state => 'running')$$), '%LATER-marked%',
    '... is one');
SELECT matches(pg_temp.as_role('m_promoter', $$SELECT promoted.*
    FROM promote.promote_instance('ecomm-production-later', 'ecomm-prod-uswest-later') AS promoted$$),
    '^[(].*sensitive value.*[.]pw.*sensitive', 'a promotion to it shows that there is one');
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'prod-uswest' AND component = 'later'
    ORDER BY revision DESC LIMIT 1), '[".pw"]', '... with its marks');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-later', '{"tier": "dev"}', plan => false)$$,
    'and edited');
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'production' AND component = 'later'
    ORDER BY revision DESC LIMIT 1), '[".pw"]', '... as well');

-- ---- a plan that an edit or a promotion makes without a revision marks what it renders, too ----
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'again', 'later');
INSERT INTO promote.instance (project, environment, component) SELECT 'ecomm', e, 'again'
    FROM unnest(ARRAY['staging', 'production', 'prod-uswest']) AS e;
CREATE FUNCTION pg_temp.tier(tier text) RETURNS void
    LANGUAGE sql AS $$ UPDATE promote.parameter_set SET parameters = jsonb_build_object('tier', tier)
    WHERE project = 'ecomm' $$;
SELECT pg_temp.tier('dev');
SELECT lives_ok(format('SELECT promote.configure_instance(%L, %L)', 'ecomm-' || e || '-again',
    '{"tier": "{{tier}}", "pw": "AGAIN-marked"}'), 'nothing is marked')
    FROM unnest(ARRAY['staging', 'production', 'prod-uswest']) AS e;
SELECT pg_temp.tier('prod');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-again', '{}')$$,
    'planned by an edit that changes nothing, while a parameter marks it');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-again', 'ecomm-prod-uswest-again')$$,
    '... and by such a promotion');
SELECT pg_temp.tier('dev');
SELECT is((SELECT string_agg(DISTINCT revision::text, ' ') FROM promote.revision WHERE component = 'again'), '1',
    '... without a revision');
SELECT unalike(pg_temp.as_role('m_viewer', format('SELECT * FROM promote.config_as_of(%L)', 'ecomm-' || e || '-again')),
    '%AGAIN-marked%', 'it is masked from then on') FROM unnest(ARRAY['production', 'prod-uswest']) AS e;

-- ---- a report that is in another branch than what is made of it ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-later', '{"tier": "dev", "pw": "plain-word"}')$$,
    'nothing is marked');
SELECT ok(pg_temp.deploy('ecomm-staging-later') > 0, 'deployed');
SELECT is(promote.report_observed('ecomm-staging-later', '{"tier": "dev", "pw": "DRIFTED-password"}'::jsonb, 'scan'), 1,
    'what is there marks nothing');
SELECT alike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.drift_status WHERE instance = 'ecomm-staging-later'$$),
    '%DRIFTED%', '... and is shown');
SELECT is(promote.report_observed('ecomm-staging-later', '{"tier": "prod", "pw": "DRIFTED-password"}'::jsonb, 'scan'),
    2, 'the same value, which is marked now');
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.drift_status$$) || pg_temp.as_role('m_viewer',
    $$SELECT * FROM promote.drift_item$$), '%DRIFTED%', '... is shown no more');
SELECT is(promote.report_observed('ecomm-staging-later', '{"tier": "prod", "pw": "OBSERVED-password"}'::jsonb, 'scan'),
    2, 'what is there marks a value');
SELECT is(promote.dismiss_drift('ecomm-staging-later', 'it is not', '.tier'), 1, 'but for what marks it');
SELECT unalike((promote.adopt_drift('ecomm-staging-later')).diff::text, '%OBSERVED%', 'it is adopted, and masked');
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.config_as_of('ecomm-staging-later')$$), '%OBSERVED%',
    '... from then on');

-- ---- what a plan alone has marked that an edit without changes has queued ----
UPDATE promote.parameter_set SET parameters = parameters || '{"TIER": "dev"}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-later',
    '{"tier": "{{TIER}}", "pw": "7531", "note": null}')$$, 'a short value');
UPDATE promote.parameter_set SET parameters = parameters || '{"TIER": "prod"}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT is(pg_temp.lines($$SELECT old_revision = new_revision, deployment IS NOT NULL
    FROM promote.configure_instance('ecomm-production-later', '{}')$$), '(t,t)',
    'nothing new but the parameter, by which it is planned');
UPDATE promote.parameter_set SET parameters = parameters || '{"TIER": "dev"}' WHERE project = 'ecomm'
    AND environment = 'production';
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.config_as_of('ecomm-production-later')$$), '%7531%',
    '... keeps its mark when that is what it was');

-- ---- the same report again, of what is marked by now ----
SELECT is(promote.report_observed('ecomm-staging-later', c.params, 'scan'), 0, 'what ran is there')
    FROM promote.config_as_of('ecomm-staging-later', state => 'running') AS c;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-later', '{"tier": "dev", "pw": "a"}')$$,
    'nothing is marked');
SELECT ok(pg_temp.deploy('ecomm-staging-later') > 0, 'deployed');
SELECT is(promote.report_observed('ecomm-staging-later', '{"tier": "dev", "pw": "8642", "note": "seen"}'::jsonb,
    'scan'), 2, 'drifted');
SELECT alike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.drift_status WHERE instance = 'ecomm-staging-later'$$),
    '%8642%', '... and shown');
SELECT is(promote.report_observed('ecomm-staging-later', '{"tier": "dev", "pw": "8642", "note": "seen"}'::jsonb,
    'scan'), 2, 'the same again');
SELECT is((SELECT count(*) FROM promote.audit_log WHERE subject = 'ecomm-staging-later' AND event = 'drift.reported'
    AND data @> '{"opened": 0, "moved": 0, "gone": 0}'), 0::bigint, '... is no news');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-later', '{"tier": "prod"}', plan => false)$$,
    'what is desired marks it');
SELECT is(promote.report_observed('ecomm-staging-later', '{"tier": "dev", "pw": "8642", "note": "seen"}'::jsonb,
    'scan'), 2, 'once more');
SELECT unalike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.drift_status$$) || pg_temp.as_role('m_viewer',
    $$SELECT * FROM promote.drift_item$$), '%8642%', '... it is shown no more');
SELECT alike(pg_temp.as_role('m_viewer', $$SELECT * FROM promote.drift_status WHERE instance = 'ecomm-staging-later'$$),
    '%seen%', '... but what is not marked is');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-later', '{"tier": "dev", "pw": "plain-word"}')$$,
    'and on');

-- ---- a promotion that takes the destination to a release that does not mark what it keeps ----
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('later', '1.1.0', '{"properties": {"own": {"$md.copyable": false, "$md.sensitive": true}}}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-later', '{"own": "of-staging"}', '1.0.0')$$,
    'a source by the older release');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-later', '{"own": "OWN-of-uswest"}', '1.1.0')$$,
    'a destination by the newer one');
SELECT ok(pg_temp.deploy('ecomm-prod-uswest-later') > 0, 'deployed');
SELECT unalike(pg_temp.as_role('m_promoter',
    $$SELECT * FROM promote.promote_instance('ecomm-staging-later', 'ecomm-prod-uswest-later')$$), '%OWN%',
    'who may promote is not shown it');
SELECT unalike(pg_temp.as_role(role, statement), '%OWN%', 'nor does it show later: ' || statement)
  FROM unnest(ARRAY['m_promoter', 'm_viewer']) AS role,
      unnest(ARRAY[$$SELECT * FROM promote.config_as_of('ecomm-prod-uswest-later')$$,
    $$SELECT * FROM promote.compare_instances('ecomm-staging-later', 'ecomm-prod-uswest-later')$$,
        $$SELECT * FROM promote.preview_promotion('ecomm-prod-uswest-later', 'ecomm-staging-later', '{"own": null}')$$])
        AS statement;
-- ---- a release to come that does not mark what is there ----
INSERT INTO promote.bundle VALUES ('moved');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('moved', '1.0.0',
    '{"properties": {"pw": {"$md.sensitive": true}, "pin": {"$md.sensitive": true, "$md.copyable": false}}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'moved', 'moved');
INSERT INTO promote.instance (project, environment, component) SELECT 'ecomm', e, 'moved'
    FROM unnest(ARRAY['staging', 'production', 'prod-uswest']) AS e;
SELECT lives_ok(format('SELECT promote.configure_instance(%L, %L)', 'ecomm-' || e || '-moved',
    jsonb_build_object('pw', 'MOVED-of-' || e)), 'configured') FROM unnest(ARRAY['staging', 'production']) AS e;
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('moved', '2.0.0', '{"properties": {"auth": {"properties": {"pw": {"$md.sensitive": true}}}}}');
SELECT is(pg_temp.as_role('m_viewer',
    $$SELECT * FROM promote.compare_instances('ecomm-staging-moved', 'ecomm-production-moved')$$),
    '(param,.pw,change,"""(sensitive value)""","""(sensitive value)""",t)',
    'what the release marks that it was configured by is masked, whatever is published since');

-- ---- ... which is so for short values, too, that are known by their places alone ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-moved', '{"pin": "4321"}', '1.0.0')$$,
    'a short value, and nothing else that is marked');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-moved', '{"pw": null}', '2.0.0')$$,
    'a source by the release that marks it no more');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('moved', '2.1.0', '{"properties": {"pin": {"$md.copyable": false}}}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-moved', '{"note": 1}', '2.1.0')$$,
    '... and does not copy it');
SELECT unalike(pg_temp.as_role('m_promoter',
    $$SELECT * FROM promote.promote_instance('ecomm-staging-moved', 'ecomm-prod-uswest-moved')$$), '%4321%',
    'who may promote is not shown what the destination keeps');
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'prod-uswest' AND component = 'moved'
    ORDER BY revision DESC LIMIT 1), '[".pin"]', '... and it keeps its mark');
SELECT unalike(pg_temp.as_role('m_promoter', $$SELECT * FROM promote.config_as_of('ecomm-prod-uswest-moved')$$),
    '%4321%', '... so that they do not see it afterwards');
-- ---- what a PROVISION left half done, and what is desired ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-moved', '{"pw": "HALF-one"}', '1.0.0')$$,
    'a value');
SELECT ok(pg_temp.deploy('ecomm-production-moved') > 0, 'deployed');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-moved', '{"pw": "HALF-two"}', '1.0.0')$$,
    'another one');
SELECT ok(pg_temp.work('ecomm-production-moved') > 0, 'planned');
SELECT is((promote.deploy_instance('ecomm-production-moved')).status, 'PENDING', '... to be deployed');
UPDATE promote.instance SET attributes = '{"half": true}' WHERE name = 'ecomm-production-moved';
SELECT is((promote.fail_deployment(c.instance, c.deployment, 'half way', c.fencing)).status, 'FAILED',
    '... which fails half way') FROM promote.claim_deployment('test', selector => '{"half": true}') AS c;
SELECT lives_ok($$SELECT promote.rollback_instance('ecomm-production-moved', (SELECT deployed_revision
    FROM promote.instance WHERE name = 'ecomm-production-moved'))$$, 'rolled back');
SELECT isnt((promote.record_plan(c.instance, c.deployment,
    '{"format_version": "1.2", "resource_changes": [{"address": "t.u", "mode": "managed", "type": "t", "change": '
    '{"actions": ["delete"], "before": {"data": "PW=HALF-two"}, "after": null}}]}', c.fencing)).plan_facts, NULL,
    'the plan takes back what was begun')
  FROM promote.claim_deployment('test', selector => '{"half": true}') AS c;
SELECT is(pg_temp.as_role('m_viewer', $$SELECT diff FROM promote.resource_changes
    WHERE instance = 'ecomm-production-moved' AND address = 't.u'$$),
    '("[{""old"": ""(sensitive value)"", ""path"": "".data"", ""change"": ""remove"", ""sensitive"": true}]")',
    '... and does not show it');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-moved', '{"pw": "HALF-three"}', '1.0.0',
    plan => false)$$, 'a third one is desired');
SELECT is(promote.report_observed('ecomm-production-moved',
    '{"pw": "HALF-one", "a": "by HALF-two", "b": "by HALF-three"}'::jsonb, 'scan'), 2,
    'what is there has parts of both');
SELECT is(pg_temp.as_role('m_viewer', $$SELECT path, observed_value FROM promote.drift_status
    WHERE instance = 'ecomm-production-moved' ORDER BY path$$),
    E'(.a,"""(sensitive value)""")\n(.b,"""(sensitive value)""")', '... which nobody is shown');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

-- ---- what a revision marks itself it need not keep ----
SELECT promote.configure_instance('ecomm-production-db', patch, plan => false) FROM unnest(ARRAY[
    '{"password": "hush-hush-hush", "tier": "hush-hush-hush"}', '{"replicas": 7}']::jsonb[]) AS patch \g /dev/null
SELECT is((SELECT kept_marks FROM promote.revision WHERE environment = 'production' AND component = 'db'
    ORDER BY revision DESC LIMIT 1), NULL, 'a value that is marked at its own place still, wherever else it is');
SELECT is(promote_internal.masked_params('{"a": {"b": 1}, "c": [2, 3]}', '{}', NULL,
    '[".a[0]", ".c.b", ".c[1]", ".f"]'), '{"a": {"b": 1}, "c": [2, "(sensitive value)"]}',
    'and a path that leads nowhere keeps nothing');

SELECT * FROM finish();
ROLLBACK;
