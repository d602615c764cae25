-- In what two environments differ: what is desired, component by component, and their rules.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql

-- ---- components ----
SELECT is(pg_temp.lines($$SELECT * FROM promote.compare_environments('ecomm-staging', 'ecomm-production')
    WHERE kind <> 'rule' AND (component <> 'db' OR kind <> 'param')$$),
    $$(bare,component,,add,,"""empty""",f)
(db,release,"release version",change,"""1.2.0-dev.20260915T101500Z""","""1.0.0""",f)
(db,release,"release constraint",change,"""~1""","""1.0.0""",f)
(db,release,"release channel",change,"""development""","""stable""",f)$$,
    'a component that one side lacks is told, what both have none of is not, and of the others all differs that does');
SELECT is(pg_temp.lines($$SELECT component, kind, path, change, b_value, a_value, sensitive
    FROM promote.compare_environments('ecomm-production', 'ecomm-staging') WHERE change = 'change'$$),
    pg_temp.lines($$SELECT component, kind, path, change, a_value, b_value, sensitive
    FROM promote.compare_environments('ecomm-staging', 'ecomm-production') WHERE change = 'change'$$),
    'the other way round it is the other way round');
SELECT is(pg_temp.lines($$SELECT component, change, a_value, b_value
    FROM promote.compare_environments('ecomm-production', 'ecomm-staging') WHERE kind = 'component'$$),
    '(bare,remove,"""empty""",)', 'also of what one side lacks');
SELECT is(pg_temp.lines($$SELECT component, change, a_value, b_value
    FROM promote.compare_environments('ecomm-staging', 'ecomm-prod-uswest') WHERE kind = 'component'$$),
    E'(cache,remove,"""empty""",)\n(db,remove,"""present""","""empty""")',
        'what desires nothing yet is told from what is not there');
SELECT is(pg_temp.lines($$SELECT * FROM promote.compare_environments('ecomm-staging', 'ecomm-staging')$$), NULL,
    'nothing from itself');

-- ---- the same as of each two instances ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
    VALUES ('redis', '2.0.0', '{"properties": {"token": {"$md.sensitive": true}}}', '{"network": {"required": false},
        "zone": {"required": false}}'), ('empty', '1.0.0', '{}', '{}');
INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 'staging', 'bare');
DO $$
BEGIN
    PERFORM promote.configure_instance('ecomm-staging-cache', '{"token": "old", "at": "{{domain}}", "n": 1}', '2.0.0');
    PERFORM promote.configure_instance('ecomm-production-cache', '{"token": "new", "at": "{{domain}}", "m": []}',
        '2.0.0');
    PERFORM promote.set_remote_reference('ecomm-staging-cache', 'network', 'net://{{domain}}');
    PERFORM promote.set_remote_reference('ecomm-production-cache', 'network', 'net://{{domain}}');
    PERFORM promote.set_remote_reference('ecomm-production-cache', 'zone', 'z');
    PERFORM promote.configure_instance('ecomm-staging-bare', '{"x": "{{domain}}"}', '1.0.0');
    PERFORM promote.configure_instance('ecomm-production-bare', '{"x": "{{domain}}"}', '1.0.0');
END
$$;
SELECT is(pg_temp.lines($$SELECT kind, path, a_value, b_value
    FROM promote.compare_environments('ecomm-staging', 'ecomm-production') WHERE component = 'cache'
    ORDER BY kind, path COLLATE "C"$$),
    $$(param,.m,,[])
(param,.n,1,)
(param,.token,"""(sensitive value)""","""(sensitive value)""")
(parameter,.at,"""staging.example.com""","""example.com""")
(reference,"reference network","""net://staging.example.com""","""net://example.com""")
(reference,"reference zone",,"""z""")$$, 'leaves, placeholders and references as they would be deployed');
SELECT is(pg_temp.lines($$SELECT kind, path, a_value, b_value
    FROM promote.compare_environments('ecomm-staging', 'ecomm-production') WHERE component = 'bare'$$),
    '(parameter,.x,"""staging.example.com""","""example.com""")',
    'one configuration is not the same where parameters make another of it');
SELECT is(pg_temp.lines($$SELECT c.component, c.kind, c.path, c.change, c.a_value, c.b_value, c.sensitive
      FROM promote.compare_environments('ecomm-staging', 'ecomm-production') AS c
     WHERE c.kind IN ('release', 'param', 'parameter', 'reference') ORDER BY c.component COLLATE "C", c.kind,
         c.path COLLATE "C"$$),
    pg_temp.lines($$SELECT k.component, c.kind, c.path, c.change, c.a_value, c.b_value, c.sensitive
      FROM unnest(ARRAY['bare', 'cache', 'db']) AS k (component)
     CROSS JOIN LATERAL promote.compare_instances('ecomm-staging-' || k.component,
         'ecomm-production-' || k.component) AS c
     WHERE c.kind IN ('release', 'param', 'parameter', 'reference') ORDER BY k.component COLLATE "C", c.kind,
         c.path COLLATE "C"$$),
    'component by component what compare_instances says');

-- ---- references to siblings: environments that are wired alike do not differ ----
CREATE FUNCTION pg_temp.wired(staging text, production text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    PERFORM promote.set_remote_reference('ecomm-staging-cache', 'zone', staging);
    PERFORM promote.set_remote_reference('ecomm-production-cache', 'zone', production);
    SELECT concat_ws(' ', c.a_value, c.b_value) INTO found
      FROM promote.compare_environments('ecomm-staging', 'ecomm-production') AS c WHERE c.path = 'reference zone';
    RETURN CASE WHEN found IS NOT DISTINCT FROM (SELECT concat_ws(' ', c.a_value, c.b_value)
        FROM promote.compare_instances('ecomm-staging-cache', 'ecomm-production-cache') AS c
        WHERE c.path = 'reference zone') THEN COALESCE(found, 'alike') ELSE 'compare_instances says otherwise' END;
END
$$;
SELECT is(pg_temp.wired(staging, production), expected, staging || ', ' || production) FROM (VALUES
    ('component://db/vpc', 'component://db/vpc', 'alike'),
    ('component://db', 'component://ecomm-production-db', 'alike'),
    ('component://db/vpc', 'component://db/net', '"component://db/vpc" "component://db/net"'),
    ('component://db/vpc', 'component://ecomm-staging-db/vpc',
        '"component://db/vpc" "component://ecomm-staging-db/vpc"'),
    ('component://ecomm-staging-eu-db/vpc', 'component://db/vpc',
        '"component://ecomm-staging-eu-db/vpc" "component://db/vpc"'),
    ('ecomm-staging-db', 'ecomm-production-db', '"ecomm-staging-db" "ecomm-production-db"'))
    AS v (staging, production, expected);

-- ---- a constraint that no release matches any more is told, and what is sensitive stays so ----
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('redis', '3.0.0', '{"properties": {"token": {"$md.sensitive": true}}}');
SELECT promote.configure_instance('ecomm-staging-cache', '{}', '~3') \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, a_value, b_value
    FROM promote.compare_environments('ecomm-staging',
        'ecomm-production') WHERE component = 'cache' AND path IN ('release version', '.token')$$),
    E'("release version","""3.0.0""","""2.0.0""")\n(.token,"""(sensitive value)""","""(sensitive value)""")',
    'the release is the one that the constraint stands for now');

-- ---- rules ----
SELECT is(pg_temp.lines($$SELECT path FROM promote.compare_environments('ecomm-staging', 'ecomm-production')
    WHERE kind = 'rule'$$), NULL, 'rules that are the same are not told');
SET LOCAL client_min_messages = error; -- there is no such role
UPDATE promote.environment SET require_plan = false WHERE project = 'ecomm' AND environment = 'staging';
INSERT INTO promote.promotion_path VALUES ('ecomm', 'staging', 'production'), ('ecomm', 'staging', 'prod-uswest');
INSERT INTO promote.approval_rule (project, environment, rule, role, description)
    VALUES ('ecomm', 'staging', 'two eyes', 'r', 'a'), ('ecomm', 'production', 'two eyes', 'r', 'b'),
           ('ecomm', 'production', 'four eyes', 'r', NULL), ('ecomm', NULL, 'of all', 'r', NULL);
INSERT INTO promote.required_check (project, environment, check_name, per_revision)
    VALUES ('ecomm', 'staging', 'smoke', true), ('ecomm', 'production', 'smoke', false);
INSERT INTO promote.override_rule (project, environment, code, role) VALUES ('ecomm', 'production', 'soak', 'r');
INSERT INTO promote.freeze_window (name, project, environment, during, reason)
    VALUES ('one', 'ecomm', 'staging', '[2030-01-01 00:00+00, 2030-01-02 00:00+00)', 'x'),
           ('another', 'ecomm', 'production', '[2030-01-01 00:00+00, 2030-01-02 00:00+00)', 'x'),
           ('third', 'ecomm', 'production', '[2031-01-01 00:00+00, 2031-01-02 00:00+00)', 'x');
SELECT is(pg_temp.lines($$SELECT component, path, change FROM promote.compare_environments('ecomm-staging',
    'ecomm-production')
    WHERE kind = 'rule' ORDER BY path COLLATE "C"$$),
    $$(,"approval_rule four eyes",add)
(,"environment require_plan",change)
(,"freeze_window third",add)
(,"override_rule soak by r",add)
(,"promotion_path from staging",add)
(,"promotion_path to prod-uswest",remove)
(,"promotion_path to production",remove)
(,"required_check smoke of destination",change)$$,
    'rules of their own, whatever windows are called, and descriptions say');
SELECT is(pg_temp.lines($$SELECT a_value, b_value FROM promote.compare_environments('ecomm-staging', 'ecomm-production')
    WHERE path = 'environment require_plan'$$), '(false,true)', 'with what they say');

-- ---- states ----
DELETE FROM promote.approval_rule;
DELETE FROM promote.required_check;
SELECT is(pg_temp.lines($$SELECT DISTINCT component, kind, a_value, b_value
    FROM promote.compare_environments('ecomm-staging', 'ecomm-staging@2020-01-01 00:00+00') ORDER BY component$$),
    $$(bare,component,"""present""","""empty""")
(cache,component,"""present""","""empty""")
(db,component,"""present""","""empty""")$$, 'at a time when nothing ran; what rules and secrets were is not asked');
SELECT pg_temp.deploy('ecomm-staging-bare') \g /dev/null
SELECT promote.tag_environment('ecomm-staging', 'tuesday') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-bare', '{"x": "other", "y": 1}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT kind, path, a_value, b_value
    FROM promote.compare_environments('ecomm-staging@tuesday', 'ecomm-staging') WHERE component = 'bare'
    ORDER BY path COLLATE "C"$$), E'(param,.x,"""staging.example.com""","""other""")\n(param,.y,,1)',
    'what ran by a tag, as it was rendered, against what is desired now');
SELECT pg_temp.deploy('ecomm-staging-bare') \g /dev/null
SELECT is(pg_temp.lines($$SELECT kind, path, a_value, b_value
    FROM promote.compare_environments('ecomm-staging@tuesday', 'ecomm-staging') WHERE component = 'bare'
    ORDER BY path COLLATE "C"$$), E'(param,.x,"""staging.example.com""","""other""")\n(param,.y,,1)',
    'a tag stays what it is');
SELECT is(pg_temp.lines(format($$SELECT * FROM promote.compare_environments('ecomm-staging@tuesday',
    'ecomm-staging@%s')$$,
    (SELECT created_at FROM promote.environment_tag))), NULL, 'the moment of a tag is the tag');
SELECT is(pg_temp.lines($$SELECT path, class FROM promote.compare_structure('ecomm-staging@tuesday', 'ecomm-staging')
    WHERE component = 'bare' ORDER BY path COLLATE "C"$$), E'(.x,other)\n(.y,structure)', 'structure, too');

-- ---- bad input ----
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s(%s)', f, arguments), state, detail,
    f || '(' || arguments || ')')
  FROM (VALUES ('compare_environments'), ('compare_structure')) AS f(f),
       (VALUES ('''ecomm-staging'', ''other-production''', 'PM004', 'project "other"'),
               ('''ecomm-staging'', ''ecomm-nowhere''', 'PM002', 'no environment "nowhere"'),
               ('''nothing-staging'', ''nothing-nowhere''', 'PM002', 'no project "nothing"'),
               ('''ecomm-staging'', NULL', 'PM404', 'null'), ('NULL, ''ecomm-staging''', 'PM404', 'null'),
               ('''ecomm-staging@nothing'', ''ecomm-staging''', 'PM002', 'no tag'),
               ('''ecomm-staging@2999-01-01 00:00+00'', ''ecomm-staging''', 'PM404', 'has not passed'),
               ('''ecomm-staging'', ''ecomm-staging@''', 'PM001', 'empty'),
               ('''ecomm-staging-db'', ''ecomm-staging''', 'PM002', 'no environment "staging-db"')) AS v(arguments,
                   state, detail);

SELECT * FROM finish();
ROLLBACK;
