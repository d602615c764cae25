-- Promoting and previewing one instance.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

-- ---- the preview ----
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, origin, immutable, sensitive
                            FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db',
                                '{"replicas": 5, "subnet": null}') WHERE change <> 'none'$$),
E'("release version",change,"""1.0.0""","""1.2.0-dev.20260915T101500Z""",source,f,f)
("release constraint",change,"""1.0.0""","""~1""",source,f,f)
("release channel",change,"""stable""","""development""",source,f,f)
(.size,change,"""small""","""medium""",source,f,f)
(.tier,add,,null,source,f,f)
(.nodes[0].role,change,"""x""","""primary""",source,f,f)
(.nodes[1].id,remove,"""p2""",,source,f,f)
(.nodes[1].role,remove,"""y""",,source,f,f)
(.subnet,remove,"""internal""",,override,t,f)
(.network.zones[0],add,,"""a""",source,f,f)
(.password,change,"""(sensitive value)""","""(sensitive value)""",source,f,t)
(.replicas,add,,5,override,f,f)
(.nodes[0].id,keep,"""p1""","""p1""",destination,f,f)
(.account,keep,"""prod""","""prod""",destination,f,f)
(.network.cidr,keep,"""10.9.0.0/16""","""10.9.0.0/16""",destination,t,f)',
    'a row per leaf, with its origin and marks; missing and null are told apart');
SELECT is(pg_temp.rows(), 2 + 2 + 2 + 4 + 0 + 4::bigint, 'a preview writes nothing');
SAVEPOINT own;
SELECT promote.configure_instance('ecomm-production-db', '{"account": "mine"}', plan => false) \g /dev/null
SELECT is(pg_temp.lines($$SELECT change, old_value, new_value, origin
    FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db')
    WHERE path = '.account'$$), '(keep,"""mine""","""mine""",destination)',
        'what the destination keeps comes from there, also where no plan has it');
ROLLBACK TO own;
SELECT is(pg_temp.lines($$SELECT count(*) FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db')
    WHERE old_value::text ~ 'secret"|hush' OR new_value::text ~ 'secret"|hush'$$), '(0)',
    'nor shows what is sensitive');

-- ---- the promotion ----
CREATE TEMP TABLE previewed ON COMMIT DROP AS
SELECT * FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 5}');
SELECT is(pg_temp.lines($$SELECT destination, old_revision, new_revision, deployment, changed, jsonb_array_length(diff)
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 5}', message => 'sale')$$),
    '(ecomm-production-db,1,2,2,t,13)', 'the promotion says what it did');
SELECT is(pg_temp.params('ecomm-production-db'),
    '{"size": "medium", "replicas": 5, "account": "prod", "subnet": "internal", "password": "hush", "tier": null,
    "network": {"cidr": "10.9.0.0/16", "zones": ["a"]}, "nodes": [{"id": "p1", "role": "primary"}]}',
        'the source''s params, the destination''s own, the overrides');
SELECT is(pg_temp.lines($$SELECT revision, deployment, version_constraint, release_channel FROM promote.instance
    WHERE name = 'ecomm-production-db'$$), '(2,2,~1,development)', 'constraint and channel come along');
SELECT is(pg_temp.lines($$SELECT origin, source_environment, source_revision, overrides, message, actor,
    database_role = current_user, plan, allow_replace
    FROM promote.revision WHERE environment = 'production' AND revision = 2$$),
        '(promotion,staging,1,"{""replicas"": ""(value)""}",sale,ada,t,t,f)', 'the revision says where it came from');
SELECT is(pg_temp.lines($$SELECT action, status, revision, base_revision, bundle, version, previous_version,
    destructive, actor FROM promote.deployment WHERE environment = 'production' AND deployment = 2$$),
    '(PLAN,PENDING,2,,postgres,1.2.0-dev.20260915T101500Z,,f,ada)', 'the plan waits; nothing runs yet');
SELECT is((SELECT jsonb_agg(c) FROM promote.deployment, jsonb_array_elements(diff) c WHERE environment = 'production'
    AND deployment = 2),
          (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('kind', kind, 'path', path, 'since', since,
                                'change', CASE WHEN running_value IS NULL THEN 'add' WHEN new_value IS NULL
                                THEN 'remove' ELSE 'change' END, 'old', running_value,
                                'immutable', NULLIF(immutable, false), 'sensitive', NULLIF(sensitive, false)))
                            || CASE WHEN new_value IS NULL THEN '{}' ELSE jsonb_build_object('new', new_value) END
                            ORDER BY place)
             FROM previewed, LATERAL (SELECT n FROM promote.deployment, jsonb_array_elements(diff)
                 WITH ORDINALITY AS x (c, n) WHERE environment = 'production' AND deployment = 2
                   AND c ->> 'path' = path) AS p (place)
            WHERE since IS NOT NULL), 'the plan''s diff is what the preview showed');
SELECT is((SELECT jsonb_array_length(diff) FROM promote.deployment WHERE environment = 'production' AND deployment = 2),
    (SELECT count(*)::integer FROM previewed WHERE since IS NOT NULL), '... all of it');
SELECT ok(NOT EXISTS (SELECT FROM promote.deployment WHERE diff::text ~ 'secret"|hush') AND NOT EXISTS (SELECT
    FROM promote.audit_log WHERE data::text ~ 'secret"|hush'), 'what is sensitive is in no diff and in no audit row');
SELECT is(pg_temp.lines($$SELECT event, actor, database_role = current_user, data ->> 'origin',
    data ->> 'source_environment', data -> 'source_revision', data ->> 'action'
    FROM promote.audit_log WHERE subject = 'ecomm-production-db' AND seq > 2 ORDER BY seq$$),
    E'(revision.created,ada,t,promotion,staging,1,)\n(deployment.created,ada,t,,,,PLAN)', 'both are in the audit log');

-- ---- nothing to change ----
CREATE TEMP TABLE counted ON COMMIT DROP AS SELECT pg_temp.rows() AS n;
SELECT is(pg_temp.lines($$SELECT p.old_revision, p.new_revision, p.deployment, p.changed, p.diff = d.diff
    FROM promote.deployment AS d,
         promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 5.0}') AS p
    WHERE d.environment = 'production' AND d.deployment = 2$$),
    '(2,2,,f,t)', 'the same again changes nothing and says so; what waits is what waited');
SELECT is(pg_temp.rows(), n, 'and writes nothing') FROM counted;
SELECT is(pg_temp.lines($$SELECT new_revision, deployment, changed
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', plan => false)$$), '(3,,t)',
    'staged only, without a plan');
SELECT is((SELECT pg_temp.entries(diff, 4) FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"replicas": 8}', plan => false)), '.replicas add -> 8 4', 'the diff is returned all the same');
SELECT is((SELECT row(new_revision, deployment, changed, pg_temp.entries(diff, 4))::text
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 8}')),
    '(4,3,f,".replicas add -> 8 4")', 'a revision that has no plan gets one');
SELECT is(pg_temp.lines($$SELECT revision, base_revision, pg_temp.entries(diff, 4), pg_temp.entries(diff, 3),
    jsonb_array_length(diff) FROM promote.deployment WHERE environment = 'production' AND deployment = 3$$),
    '(4,,".replicas add -> 8 4",,13)', '... in which everything is that waits');
SELECT is(pg_temp.lines($$SELECT deployment, changed
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 8}')$$), '(,f)',
    'but only one');
SELECT is(pg_temp.lines($$SELECT new_revision, changed
    FROM promote.configure_instance('ecomm-staging-db', version_constraint => '~1')$$), '(2,t)', 'the channel alone');
SELECT is(pg_temp.lines($$SELECT new_revision, changed
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 8}')$$), '(5,t)',
    'is a change');

-- ---- expected revision, idempotency ----
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 1}',
    expected_revision => 4)$$, 'PM401', 'revision is 5', 'an expectation that does not hold');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 2}',
    expected_revision => 5)$$, 'one that does');
CREATE TEMP TABLE first_call ON COMMIT DROP AS SELECT *
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 3}',
    idempotency_key => 'k1');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 4}')$$,
    'another promotion in between');
SELECT is(pg_temp.lines($$SELECT * FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"replicas": 3}', idempotency_key => 'k1')$$),
          pg_temp.lines('SELECT * FROM first_call'), 'the same key returns the first result again');
SELECT is(pg_temp.params('ecomm-production-db') -> 'replicas', '4', 'and changes nothing');
-- What a key stands for is this document, in every version: calls are repeated across updates.  Its digest is keyed:
-- HMAC-SHA256, by the key of the project, of "call" and the plain digest.
CREATE FUNCTION pg_temp.keyed(document jsonb) RETURNS bytea LANGUAGE sql AS $$
    WITH pad AS (
        SELECT v.byte, string_agg(set_byte('\x00', 0,
                   (CASE WHEN n < 32 THEN get_byte(k.digest_key, n) ELSE 0 END) # v.byte), '' ORDER BY n) AS bytes
          FROM promote.project_key AS k, generate_series(0, 63) AS n, (VALUES (54), (92)) AS v (byte)
         WHERE k.project = 'ecomm' GROUP BY v.byte)
    SELECT sha256(o.bytes || sha256(i.bytes || 'call' || promote.jsonb_digest(document))) FROM pad AS i, pad AS o
     WHERE i.byte = 54 AND o.byte = 92
$$;
SELECT is((SELECT request FROM promote.idempotency_key WHERE idempotency_key = 'k1'),
    pg_temp.keyed('{"source": "ecomm-staging-db", "overrides": {"replicas": 3}, "plan": true, "message": null, '
        '"allow_replace": false}'), 'a key stands for the arguments of its call');
SAVEPOINT keyed;
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 3}', plan => false,
    allow_replace => true, message => 'm', copy_secrets => true, copy_remote_references => true,
    idempotency_key => 'k0') \g /dev/null
SELECT is((SELECT request FROM promote.idempotency_key WHERE idempotency_key = 'k0'),
    pg_temp.keyed('{"source": "ecomm-staging-db", "overrides": {"replicas": 3}, "plan": false, "allow_replace": '
        'true, "message": "m", "copy_secrets": "true", "copy_remote_references": "true"}'), '... all of them');
ROLLBACK TO keyed;
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 9}',
    idempotency_key => 'k1')$$, 'PM402', 'other arguments', 'the key of another call');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"replicas": 4}', idempotency_key => 'k2')$$), '(f)', 'a call that changed nothing');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db', '{"replicas": 5}')$$,
    'another in between');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"replicas": 4}', idempotency_key => 'k2')$$), '(f)', 'is remembered too');

-- ---- immutable values ----
SELECT is(pg_temp.lines($$SELECT changed FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"subnet": "private"}', plan => false)$$), '(t)', 'before it is provisioned an immutable value may change');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$$, 'and back');
SELECT ok(pg_temp.deploy('ecomm-production-db') > 0, 'deployed');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"subnet": "private", "network": {"cidr": "10.1.0.0/16"}}')$$, 'PM104', E'^\\.subnet\n\\.network\\.cidr$',
    'after that it is refused, all of them named');
SELECT is(pg_temp.lines($$SELECT path FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db',
    '{"subnet": "private"}') WHERE immutable AND change = 'change'$$), '(.subnet)', 'the preview marks it');
SELECT is(pg_temp.lines($$SELECT d.destructive FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"subnet": "private"}', allow_replace => true) p
    JOIN promote.deployment d ON d.environment = 'production' AND d.deployment = p.deployment$$), NULL,
        'what is being written is not visible to its own statement');
SELECT is(pg_temp.lines($$SELECT destructive FROM promote.deployment WHERE environment = 'production'
    ORDER BY deployment DESC LIMIT 1$$), '(t)', 'unless it may replace, which marks the plan');
SELECT is(pg_temp.lines($$SELECT path, change, old_value, new_value, running_value, since
    FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-production-db') WHERE change <> 'keep'$$),
    '(.subnet,change,"""private""","""internal""","""internal""",)',
    'back to what runs is a change of what is desired, with nothing to do');
SELECT is(pg_temp.lines($$SELECT p.changed, p.deployment, p.diff
    FROM promote.promote_instance('ecomm-staging-db', 'ecomm-production-db') p$$), '(t,,[])', '... and no plan');

-- ---- placeholders ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db',
    '{"tier": "db.{{domain}}", "replicas": "{{count}}"}')$$, 'params with placeholders');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$$, 'are promoted');
SELECT is(pg_temp.params('ecomm-production-db') -> 'tier', '"db.{{domain}}"', 'they stay in the params');
SELECT is(pg_temp.lines($$SELECT c.params -> 'tier', c.params -> 'replicas' FROM promote.deployment d
    JOIN promote.config c ON c.project = d.project AND c.digest = d.rendered_digest
    WHERE d.environment = 'production' ORDER BY deployment DESC LIMIT 1$$), '("""db.example.com""",3)',
        'and are rendered with the destination''s parameters, a lone one with its type');
SELECT is((SELECT jsonb_agg(c ORDER BY c ->> 'path') FROM (SELECT diff FROM promote.deployment
    WHERE environment = 'production' ORDER BY deployment DESC LIMIT 1) d, jsonb_array_elements(diff) c),
    '[{"kind": "param", "path": ".replicas", "change": "change", "old": 1, "new": 3, "since": 14}, {"kind": "param", '
        '"path": ".tier", "change": "change", "old": null, "new": "db.example.com", "since": 14}]',
            'the diff is of the rendered params');
SELECT is((SELECT digest FROM promote.revision WHERE environment = 'staging' ORDER BY revision DESC LIMIT 1)
    = promote.config_digest('ecomm', pg_temp.params('ecomm-staging-db')), true, 'digests stay comparable');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small"}', '1.0.0')$$,
    'a third environment');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-prod-uswest-db')$$, 'PM105',
    E'^Parameter "(tier|domain|count)" is missing\\.\nParameter "(domain|count)" is missing\\.$',
    'all missing parameters');
SELECT is(pg_temp.lines($$SELECT problem FROM promote.preview_promotion('ecomm-staging-db', 'ecomm-prod-uswest-db')
    WHERE kind = 'violation' ORDER BY problem COLLATE "C"$$),
    E'("Parameter ""count"" is missing.")\n("Parameter ""domain"" is missing.")', 'the preview says so, too');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-prod-uswest-db',
    '{"replicas": 2, "tier": null}')$$, 'overrides can do without');

-- ---- what is sensitive stays so when a release forgets it ----
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('postgres', '3.0.0', '{"properties": {"size": {}}}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"password": null}', '3.0.0')$$,
    'a release whose schema has no such mark');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db')$$, 'is promoted');
SELECT is((SELECT c FROM (SELECT diff FROM promote.deployment WHERE environment = 'production'
    ORDER BY deployment DESC LIMIT 1) d, jsonb_array_elements(diff) c WHERE c ->> 'path' = '.password'),
    '{"kind": "param", "path": ".password", "change": "remove", "old": "(sensitive value)", "sensitive": true, '
        '"since": 15}',
        'the value that goes is masked by the release before');

-- ---- refusals ----
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s(%L, %L, %s)', f, s, d, o), state, detail, f || ': ' || what)
  FROM unnest(ARRAY['promote_instance', 'preview_promotion']) AS f, (VALUES
    ('ecomm-staging-db', 'ecomm-production-cache', '''{}''', 'PM004', 'component "db" .* component "cache"',
        'another component'),
    ('ecomm-staging-db', 'other-production-db', '''{}''', 'PM004', 'project "ecomm".*project "other"',
        'another project'),
    ('ecomm-staging-db', 'ecomm-staging-db', '''{}''', 'PM003', 'same instance', 'itself'),
    ('nope-staging-db', 'nope-production-db', '''{}''', 'PM002', 'no project "nope"', 'an unknown project'),
    ('ecomm-dev-db', 'ecomm-production-db', '''{}''', 'PM002', 'no environment "dev"', 'an unknown source environment'),
    ('ecomm-staging-db', 'ecomm-dev-db', '''{}''', 'PM002', 'no environment "dev"',
        'an unknown destination environment'),
    ('ecomm-staging-app', 'ecomm-production-app', '''{}''', 'PM002', 'no component "app"', 'an unknown component'),
    ('ecomm-staging-bare', 'ecomm-production-bare', '''{}''', 'PM002', 'exist', 'an instance that was never made'),
    ('ecomm-staging-cache', 'ecomm-production-cache', '''{}''', 'PM005', 'no revision', 'a source without a revision'),
    ('nonsense', 'ecomm-production-db', '''{}''', 'PM001', 'three parts', 'a malformed source'),
    ('ecomm-staging-db', 'Ecomm-production-db', '''{}''', 'PM001', 'project', 'a malformed destination'),
    ('ecomm-staging-db', 'ecomm-production-db', '''[1]''', 'PM108', 'Operation 0: it is not an object',
        'overrides that are an array of something else'),
    ('ecomm-staging-db', 'ecomm-production-db', '''"x"''', 'PM101', 'string', 'overrides that are a string'),
    ('ecomm-staging-db', 'ecomm-production-db', '(repeat(''{"a":'', 1001) || ''1'' || repeat(''}'', 1001))::jsonb',
        'PM102', '1000 levels', 'overrides too deep'),
    ('ecomm-staging-db', 'ecomm-production-db', 'jsonb_build_object(''tier'', repeat(''x'', 17000000))', 'PM102',
        '16777216', 'overrides too large'),
    ('ecomm-staging-db', 'ecomm-production-db', '(''{"n":'' || repeat(''7'', 10000) || ''}'')::jsonb', 'PM102',
        '\.n has 10000 digits', 'a number too long')) AS v(s, d, o, state, detail, what);
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s(NULL, %L)', f, 'ecomm-production-db'), 'PM001', 'null',
    f || ': no source') FROM unnest(ARRAY['promote_instance', 'preview_promotion']) AS f;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cache')$$, 'a source with a first revision');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"password": "hush"}', '~1.1')$$,
    'staging moves');
SELECT pg_temp.refuses($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"size": "huge", "replicas": 10, "password": ["topsecret"], "network": {"zones": [1]}}')$$, 'PM103',
    E'^\\.size: [^\n]*\n(.*\n)*\\.network\\.zones\\[0\\]: [^\n]*\n\\.password: [^\n]*\n\\.replicas: [^\n]*$',
        'an invalid result, all violations');
SELECT unalike((SELECT message || detail || hint
    FROM pg_temp.refusal($$SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-production-db',
    '{"password": ["topsecret"], "size": "topsecret"}')$$)),
    '%topsecret%', 'no value is in the error');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-production-cache', '{}', '1.0.0')$$, 'a cache');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('redis', '1.0.1-dev.1', '{}');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 1}', '~1.0+dev')$$,
    'on a development build');
-- ---- a release that the constraint stands for now is a change ----
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cache', '{"a": 1}', '~1')$$, 'a range');
SELECT lives_ok($$SELECT promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$, 'promoted');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('redis', '1.1.0', '{"properties": {"a": {"maximum": 5}}}');
SELECT is(pg_temp.lines($$SELECT changed
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$), '(t)',
    'the same params by a newer release');
SELECT is(pg_temp.lines($$SELECT version, pg_temp.entries(diff, revision) FROM promote.deployment
    WHERE environment = 'production' AND component = 'cache' ORDER BY deployment DESC LIMIT 1$$),
    '(1.1.0,"release version add -> ""1.1.0"" 3")', 'the plan shows the release');
SELECT is(pg_temp.lines($$SELECT changed, deployment
    FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$), '(f,)', 'once');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('redis', '1.2.0', '{"required": ["zone"]}');
SELECT pg_temp.refuses(format('SELECT * FROM promote.%s', c), 'PM103', 'zone', c)
    FROM unnest(ARRAY[$$promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$,
    $$promote_instance('ecomm-staging-cache', 'ecomm-production-cache', plan => false)$$]) AS c;
SELECT throws_ok($$UPDATE promote.component SET bundle = 'postgres' WHERE component = 'cache'$$, 'PM301', NULL,
    'a component stays its bundle''s');

-- ---- results are not forged ----
SET LOCAL row_security = off;
SELECT throws_ok($$INSERT INTO promote.idempotency_key SELECT project, environment, component, 'x' || idempotency_key,
    '\x', 1, 2, 3, true, '[]' FROM promote.idempotency_key$$, '23514', NULL, 'a digest of no length');
RESET row_security;
CREATE ROLE promote_test_cheat;
GRANT INSERT, SELECT ON promote.idempotency_key TO promote_test_cheat;
INSERT INTO promote.grants (role, action) VALUES ('promote_test_cheat', 'view');
SET LOCAL ROLE promote_test_cheat;
SELECT throws_ok($$INSERT INTO promote.idempotency_key SELECT project, environment, component, 'x' || idempotency_key,
    request, 1, 2, 3, true, '[]' FROM promote.idempotency_key$$, 'PM303', NULL, 'by one who may write the table');
RESET ROLE;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole after all this');
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-cache', '{}', '1.0.0')$$, 'back to what is valid');
SET TRANSACTION READ ONLY;
SELECT lives_ok($$SELECT * FROM promote.preview_promotion('ecomm-staging-cache', 'ecomm-production-cache')$$,
    'a preview works in a read-only transaction');
SELECT lives_ok($$SELECT * FROM promote.plan_text('ecomm-production-cache')$$, 'so do the reports');
SELECT throws_ok($$SELECT * FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache')$$, '25006',
    NULL, 'a promotion does not');

SELECT * FROM finish();
ROLLBACK;
