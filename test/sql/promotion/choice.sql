-- What of a source is promoted: named places alone, a former revision, what runs.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

-- Arguments of a promotion from staging to production, or of its preview.
CREATE FUNCTION pg_temp.call(verb text, more text) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT * FROM promote.%s(%L, %L, %s)', verb, 'ecomm-staging-db', 'ecomm-production-db', more) $$;
CREATE FUNCTION pg_temp.preview(more text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.lines(format('SELECT path, change, old_value, new_value, origin FROM (%s) AS p WHERE change <> %L',
        pg_temp.call('preview_promotion', more), 'none')) $$;
CREATE FUNCTION pg_temp.only(VARIADIC places text[]) RETURNS text LANGUAGE sql AS $$
    SELECT format('"only" => %L', places) $$;

-- ---- named places ----
SELECT is(pg_temp.preview(pg_temp.only('.size', '.network.zones')),
E'("release version",keep,"""1.0.0""","""1.0.0""",destination)
("release constraint",keep,"""1.0.0""","""1.0.0""",destination)
("release channel",keep,"""stable""","""stable""",destination)
(.size,change,"""small""","""medium""",source)
(.network.zones[0],add,,"""a""",source)
(.tier,keep,,,destination)
(.nodes[0].id,keep,"""p1""","""p1""",destination)
(.nodes[0].role,keep,"""x""","""x""",destination)
(.nodes[1].id,keep,"""p2""","""p2""",destination)
(.nodes[1].role,keep,"""y""","""y""",destination)
(.account,keep,"""prod""","""prod""",destination)
(.network.cidr,keep,"""10.9.0.0/16""","""10.9.0.0/16""",destination)
(.password,keep,"""(sensitive value)""","""(sensitive value)""",destination)
(.replicas,keep,,,destination)', 'what is not taken is kept, where the source has something else');
CREATE TEMP TABLE before ON COMMIT DROP AS SELECT pg_temp.params('ecomm-production-db') AS params;
SAVEPOINT taken;
SELECT is(pg_temp.lines(pg_temp.call('promote_instance', pg_temp.only('.size', '.network.zones') ||
    $$, idempotency_key => 'k', message => 'a part'$$) || ' AS p(d, o, n, deployment, changed, diff)'),
    (SELECT pg_temp.lines($$SELECT i.name, 1, 2, 2, true, d.diff FROM promote.instance AS i
        JOIN promote.deployment AS d USING (project, environment, component)
        WHERE i.name = 'ecomm-production-db' AND d.deployment = 2$$)), 'it is promoted');
SELECT is(pg_temp.params('ecomm-production-db'), jsonb_set(jsonb_set(params, '{size}', '"medium"'), '{network,zones}',
    '["a"]'), 'its own with these places') FROM before;
SELECT is(pg_temp.lines($$SELECT version_constraint, release_channel, version, origin, source_revision, mode, "only"
    FROM promote.revision WHERE environment = 'production' AND revision = 2$$),
    '(1.0.0,stable,1.0.0,promotion,1,replace,"{.size,.network.zones}")', 'with its own release; the revision says it');
SELECT is(pg_temp.lines($$SELECT source_revision, "only" FROM promote.promotion_history WHERE revision = 2$$),
    '(1,"{.size,.network.zones}")', 'as the history does');
SELECT throws_ok(pg_temp.call('promote_instance', $$idempotency_key => 'k'$$), 'PM402', NULL,
    'a call for everything is another one');
ROLLBACK TO taken;
SELECT is(pg_temp.lines(pg_temp.call('promote_instance', pg_temp.only('release', '.tier', '.nodes[1]', '.replicas'))
    || ' AS p(d, o, n, deployment, changed, diff)') IS NOT NULL, true,
    'the release, what only one side has, an element');
SELECT is(pg_temp.params('ecomm-production-db'), params || '{"tier": null, "replicas": 1,
    "nodes": [{"id": "p1", "role": "x"}]}', 'null is a value, and what the source lacks goes') FROM before;
SELECT is(pg_temp.lines($$SELECT version_constraint, release_channel, version FROM promote.revision
    WHERE environment = 'production' AND revision = 2$$), '(~1,development,1.2.0-dev.20260915T101500Z)',
    'release is constraint and channel');
ROLLBACK TO taken;
UPDATE promote.environment SET version_policy = 'pinned' WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.lines(pg_temp.call('promote_instance', $$'{"replicas": 4, "account": "mine"}', $$ ||
    pg_temp.only('.size')) || ' AS p(d, o, n, deployment, changed, diff)') IS NOT NULL, true, 'with overrides');
SELECT is(pg_temp.params('ecomm-production-db'), params || '{"size": "medium", "replicas": 4, "account": "mine"}',
    'which are laid on top, and set anything') FROM before;
ROLLBACK TO taken;
SELECT is(pg_temp.lines(pg_temp.call('promote_instance', pg_temp.only('.'))
    || ' AS p(d, o, n, deployment, changed, diff)') IS NOT NULL, true, 'all params, without the release');
SELECT is(pg_temp.params('ecomm-production-db'), promote.compose_params((SELECT c.params FROM promote.config AS c
    JOIN promote.revision AS r USING (project, digest) WHERE r.environment = 'staging' AND r.revision = 1), params,
    (SELECT params_schema FROM promote.bundle_release WHERE bundle = 'postgres' AND version = '1.0.0')),
    'are composed as ever') FROM before;
ROLLBACK TO taken;

-- ---- what cannot be taken ----
SELECT is(r.state || E'\n' || r.detail, E'PM405\n' || problems, verb || ' lists all that cannot be taken')
  FROM unnest(ARRAY['promote_instance', 'preview_promotion']) AS verb,
       (VALUES (E'release version: a release is taken as a whole: name release
size: it is no path, which begins with a point, nor release, reference NAME or secret NAME
release: it is named twice
.network.zones[0]: it lies inside .network, which is named as well
.tier: it is named twice
secret s: it is copied with copy_secrets => true
reference r: it is copied with copy_remote_references => true
.account: it is not copyable, and stays the destination''s
.nodes[0].id: it is not copyable, and stays the destination''s
.nodes[7].role: neither side has it
.none: neither side has it')) AS p(problems),
       pg_temp.refusal(pg_temp.call(verb, pg_temp.only('release', 'release version', 'size', 'release', '.account',
           '.none', '.tier', '.tier', '.network', '.network.zones[0]', '.nodes[0].id', '.nodes[7].role', 'secret s',
           'reference r'))) AS r;
SELECT is(pg_temp.lines($$SELECT changed FROM promote.configure_instance('ecomm-production-db',
    '{"nodes": [{"id": "1"}, {"id": "2"}, {"id": "3"}], "size": "large", "network": {"zones": null}}')$$), '(t)',
    'a destination with more elements');
SELECT pg_temp.refuses(pg_temp.call('promote_instance', pg_temp.only(VARIADIC places)), 'PM405', detail,
    array_to_string(places, ' '))
  FROM (VALUES
    (ARRAY['.nodes[1]'], '^\.nodes\[1\]: not both sides have that element, and it is not the end'),
    (ARRAY['.network.zones[0]'], '^\.network\.zones\[0\]: it is in an array that only one side has')) AS
        v(places, detail);
SELECT lives_ok(pg_temp.call('preview_promotion', pg_temp.only('.nodes[2]', '.nodes[1]')),
    'the last ones go, in any order');
SELECT pg_temp.refuses(pg_temp.call(verb, more), state, detail, verb || ' ' || more)
  FROM unnest(ARRAY['promote_instance', 'preview_promotion']) AS verb,
       (VALUES ($$"only" => '{}'$$, 'PM404', 'not an array of 1 to 1000 places'),
        ($$"only" => '{{.size},{.tier}}'$$, 'PM404', 'not an array of 1 to 1000'),
        ($$"only" => ARRAY[NULL, '.size']$$, 'PM404', 'Element 1 is null'),
        ($$"only" => array_fill('.size'::text, ARRAY[1001])$$, 'PM404', 'not an array of 1 to 1000'),
        ($$"only" => ARRAY['.a..b']$$, '22023', '"\.a\.\.b" cannot be read from character 4 on'),
        ($$"only" => ARRAY['.size'], pin => true$$, 'PM404', 'leaves the release out'),
        ($$"only" => ARRAY['.size'], copy_secrets => true$$, 'PM404', 'names no secret'),
        ($$"only" => ARRAY['.size'], copy_remote_references => true$$, 'PM404', 'names no reference'),
        ($$"only" => ARRAY['.size', 'secret s', 'reference r'], copy_secrets => true, copy_remote_references => true$$,
            'PM405', E'^reference r: neither side has it, for a slot of the release\nsecret s: neither side has it$'),
        ('source_revision => 0', 'PM404', 'revisions are numbered from 1'),
        ('expected_source_revision => -1', 'PM404', 'revisions are numbered from 1'),
        ($$source_state => 'gone'$$, 'PM404', '"gone" is neither desired nor running'),
        ($$source_state => 'running', source_revision => 1$$, 'PM404', 'and source_revision as well'),
        ('source_revision => 7', 'PM002', 'source_revision'),
        ($$source_state => 'running'$$, 'PM508', 'not provisioned'),
        ('expected_source_revision => 7', 'PM401', 'Revision 1 would be'),
        ('source_revision => 1, expected_source_revision => 2', 'PM401', 'Revision 1 would be')) AS
            v(more, state, detail);
SELECT lives_ok(pg_temp.call('preview_promotion', '"only" => NULL, source_revision => NULL, source_state => NULL, '
    'expected_source_revision => NULL'), 'NULL is the default');

-- ---- another state of the source ----
SELECT is(pg_temp.deploy('ecomm-staging-db', true) > 0, true, 'staging runs its first revision');
SELECT promote.configure_instance('ecomm-staging-db', '{"size": "large", "replicas": 8}', '1.1.0') \g /dev/null
SELECT promote.configure_instance('ecomm-staging-db', '{"size": "small", "password": "other one"}') \g /dev/null
SELECT is(pg_temp.lines(format('SELECT path, new_value FROM (%s) AS p WHERE path IN (%L, %L, %L)',
    pg_temp.call('preview_promotion', more), 'release constraint', '.size', '.replicas')), expected, more)
  FROM (VALUES ('pin => false', E'("release constraint","""1.1.0""")\n(.size,"""small""")\n(.replicas,8)'),
    ('source_revision => 2, expected_source_revision => 2',
        E'("release constraint","""1.1.0""")\n(.replicas,8)\n(.size,"""large""")'),
    ('source_revision => 1', E'("release constraint","""~1""")\n(.size,"""medium""")\n(.replicas,1)'),
    ($$source_state => 'running', expected_source_revision => 1$$,
        E'("release constraint","""~1""")\n(.size,"""medium""")\n(.replicas,1)'),
    ($$source_state => 'desired'$$, E'("release constraint","""1.1.0""")\n(.size,"""small""")\n(.replicas,8)'))
    AS v(more, expected);
SAVEPOINT taken;
SELECT is(pg_temp.lines(format('SELECT new_revision FROM (%s) AS p', pg_temp.call('promote_instance',
    'source_revision => 2'))), '(3)', 'a former revision is promoted');
SELECT is(pg_temp.lines($$SELECT source_revision, version_constraint, version FROM promote.revision
    WHERE environment = 'production' AND revision = 3$$), '(2,1.1.0,1.1.0)', 'and recorded');
ROLLBACK TO taken;
SELECT is(pg_temp.deploy('ecomm-staging-db', true) > 0, true, 'staging runs its third revision');
UPDATE promote.environment SET require_source_in_sync = true WHERE project = 'ecomm' AND environment = 'production';
SELECT is(pg_temp.lines(format('SELECT new_revision FROM (%s) AS p', pg_temp.call('promote_instance',
    $$source_state => 'running'$$))), '(3)', 'what runs is promoted');
SELECT is((SELECT string_agg(message, '') FROM promote.blockers('ecomm-production-db') WHERE code = 'source_in_sync'),
    NULL, 'and nothing is wrong with that');
SELECT is(pg_temp.lines(format('SELECT new_revision FROM (%s) AS p', pg_temp.call('promote_instance',
    'source_revision => 2'))), '(4)', 'one that does not run any more');
SELECT is((SELECT string_agg(message, '') FROM promote.blockers('ecomm-production-db') WHERE code = 'source_in_sync'),
    'the source "ecomm-staging-db" runs revision 3, not the configuration of revision 2 that was promoted',
    'is what gates judge');
ROLLBACK TO taken;
SELECT is(pg_temp.lines(format('SELECT new_revision FROM (%s) AS p', pg_temp.call('promote_instance',
    $$source_state => 'running', idempotency_key => 'k2'$$))), '(3)', 'under a key');
SELECT throws_ok(pg_temp.call('promote_instance', format('%s, idempotency_key => %L', more, 'k2')), 'PM402', NULL,
    'that is another call: ' || more)
  FROM unnest(ARRAY['source_revision => 1', $$source_state => 'desired'$$,
      $$source_state => 'running', expected_source_revision => 1$$]) AS more;

-- ---- secrets and remote references ----
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references) VALUES
    ('redis', '2.0.0', '{}', '{"password": {"required": false}, "token": {"required": false}}',
        '{"network": {"required": false}, "queue": {"required": false}}');
SELECT promote.configure_instance(name, '{"a": 1}', '2.0.0'), promote.set_remote_reference(name, 'network', name)
  FROM unnest(ARRAY['ecomm-staging-cache', 'ecomm-production-cache']) AS name \g /dev/null
SELECT promote.set_remote_reference('ecomm-staging-cache', 'queue', 'q') \g /dev/null
SET LOCAL promote.secret_key_command = 'echo one:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=';
SELECT promote.set_secret('ecomm-' || e || '-cache', s, e || s)
  FROM unnest(ARRAY['staging', 'production']) AS e, unnest(ARRAY['password', 'token']) AS s \g /dev/null
SELECT is(pg_temp.lines($$SELECT path, change, origin FROM promote.preview_promotion('ecomm-staging-cache',
    'ecomm-production-cache', "only" => ARRAY['reference queue', 'secret token'], copy_secrets => true,
    copy_remote_references => true) WHERE kind IN ('reference', 'secret')$$),
E'("reference queue",add,source)
("reference network",keep,destination)
("secret password",keep,destination)
("secret token",change,source)', 'of what may be copied, only what is named is');
SELECT is(pg_temp.lines($$SELECT changed FROM promote.promote_instance('ecomm-staging-cache', 'ecomm-production-cache',
    "only" => ARRAY['reference queue', 'secret token'], copy_secrets => true, copy_remote_references => true)$$), '(t)',
    'copied');
SELECT is(pg_temp.lines($$SELECT field, reference FROM promote.remote_reference WHERE environment = 'production'
    ORDER BY field$$), E'(network,ecomm-production-cache)\n(queue,q)', 'the reference');
SELECT is(pg_temp.lines($$SELECT secret, fingerprint = promote.secret_fingerprint('ecomm', 'staging' || secret)
    FROM promote.secret WHERE environment = 'production' ORDER BY secret$$), E'(password,f)\n(token,t)',
    'and the secret');
SELECT is((SELECT data -> 'secrets' FROM promote.audit_log WHERE event = 'secrets.copied'),
    '[{"name": "password", "change": "kept"}, {"name": "token", "change": "replaced"}]', 'which is recorded');

-- ---- elements that have a key ----
INSERT INTO promote.bundle VALUES ('keyed');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('keyed', '1.0.0', '{"properties": {
    "l": {"$md.key": "name", "items": {"properties": {"id": {"$md.copyable": false}}}}}}');
INSERT INTO promote.component (project, component, bundle) VALUES ('ecomm', 'keyed', 'keyed');
INSERT INTO promote.instance (project, environment, component)
    VALUES ('ecomm', 'staging', 'keyed'), ('ecomm', 'production', 'keyed');
SELECT promote.configure_instance('ecomm-staging-keyed', '{"l": [{"name": "a", "v": 1}, {"name": "b", "v": 1},
    {"name": "d"}]}', '1.0.0'), promote.configure_instance('ecomm-production-keyed',
    '{"l": [{"name": "a", "id": 11}, {"name": "d", "id": 22}]}', '1.0.0') \g /dev/null
SELECT pg_temp.refuses(format('SELECT promote.promote_instance(%L, %L, "only" => %L)', 'ecomm-staging-keyed',
    'ecomm-production-keyed', place), 'PM405', 'the sides have different elements there: name the array',
    'an element is not taken for another: ' || place)
  FROM (VALUES ('{".l[1]"}'), ('{".l[1].v"}'), ('{".l[1].name"}'), ('{".l[2]"}')) AS v(place);
SELECT promote.promote_instance('ecomm-staging-keyed', 'ecomm-production-keyed', "only" => '{".l[0].v"}') \g /dev/null
SELECT is((promote.config_as_of('ecomm-production-keyed', 'infinity')).params,
    '{"l": [{"name": "a", "v": 1, "id": 11}, {"name": "d", "id": 22}]}', 'where it is the same one, it is taken');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the record is whole');

SELECT * FROM finish();
ROLLBACK;
