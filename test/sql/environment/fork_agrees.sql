-- Whatever is forked, with whatever options: a preview returns what forking does then, and all or nothing is done.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/environment.sql
SELECT setseed(0.4);
INSERT INTO promote.bundle VALUES ('service');
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references, presets)
    VALUES ('service', '1.0.0', '{
    "required": ["size"], "properties": {"size": {"type": "integer", "maximum": 9}, "zone": {"type": "string", '
        '"$md.copyable": false},
    "key": {"type": "string", "$md.sensitive": true}}}', '{"token": {"required": false}}',
        '{"net": {"required": false}}',
    '{"small": {"zone": "z"}}'),
        ('service', '1.1.0', '{"required": ["size"], "properties": {"size": {"type": "integer", "maximum": 7}}}',
    '{}', '{}', '{}');
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment, version_policy, require_proven_release)
    VALUES ('shop', 'a', 'pinned', false), ('shop', 'b', 'constraint', false);
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('shop', 'a', '{"region": "east"}');
INSERT INTO promote.component (project, component, bundle, version_policy, attributes)
SELECT 'shop', 's' || n, 'service', CASE WHEN n = 3 THEN 'constraint' END, jsonb_build_object('odd', n % 2 = 1)
  FROM generate_series(1, 5) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, 's' || n FROM unnest('{a,b}'::text[]) AS e, generate_series(1, 5) AS n;
DO $$
BEGIN
    PERFORM promote.configure_instance('shop-' || e || '-s' || n,
        jsonb_build_object('size', 4 + n, 'zone', e, 'key', '{{region}}', 'x', n) - CASE WHEN e = 'b' THEN 'key' ELSE ''
            END,
        version_constraint => '~1.0')
       FROM unnest('{a,b}'::text[]) AS e, generate_series(1, 4) AS n;
    PERFORM promote.set_remote_reference('shop-a-s1', 'net', 'arn:net');
    UPDATE promote.environment SET require_plan = false WHERE project = 'shop';
    PERFORM promote.deploy_instance('shop-a-s' || n) FROM generate_series(1, 2) AS n;
    PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing)
       FROM promote.claim_deployment('w', max => 100) AS c WHERE c.instance IS NOT NULL;
    PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing)
       FROM promote.claim_deployment('w', max => 100) AS c WHERE c.instance IS NOT NULL;
    PERFORM promote.tag_environment('shop-a', 'then'), promote.tag_environment('shop-b', 'then');
    PERFORM promote.configure_instance('shop-a-s1', '{"x": 2}', plan => false);
END
$$;

CREATE FUNCTION pg_temp.one_of(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;
CREATE FUNCTION pg_temp.counts() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT count(*) FROM promote.environment), (SELECT count(*) FROM promote.instance),
        (SELECT count(*) FROM promote.revision), (SELECT count(*) FROM promote.deployment), (SELECT count(*)
            FROM promote.audit_log))
$$;
-- Forks at random; returns what is wrong.
CREATE FUNCTION pg_temp.forked(number integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text := 'shop-' || pg_temp.one_of('n' || number, 'n' || number, 'pr', 'pr');
    source text := pg_temp.one_of('shop-a', 'shop-b') || pg_temp.one_of('', '', '@then');
    args text := format('%L, %L, %L, overrides => %L, copy_rules => %s, copy_remote_references => %s, plan => %s, pin '
        '=> %s,'
        ' source_state => %s, configure => %s, fill_defaults => %s, components => %s, preset => %s',
        source, name, pg_temp.one_of('{}', '{"region": "west"}', '{"region": "west"}', '{"region": null}',
                                     '{"region": "{{x}}"}'),
        pg_temp.one_of('{}', '{}', '{"s1": {"size": 2, "zone": "{{x}}"}}', '{"s1": {"zone": "{{x}}"}}',
                       '{"s1": {"size": 2}}', '{"s1": {"size": 99}, "s2": {"size": "x"}}', '{"s5": {}}'),
        pg_temp.one_of('true', 'false'), pg_temp.one_of('true', 'false', 'false'), pg_temp.one_of('true', 'false'),
        pg_temp.one_of('true', 'false', 'false', 'false'), pg_temp.one_of('NULL', '''desired''', '''running'''),
        pg_temp.one_of('true', 'true', 'true', 'false'), pg_temp.one_of('true', 'false'),
        pg_temp.one_of('NULL', 'NULL', $s$'{s1,s2}'$s$, $s$'{s5}'$s$, $s$'{s3,s4,nope}'$s$),
        pg_temp.one_of('NULL', 'NULL', '''small'''));
    partial boolean := random() < 0.5;
    before text := pg_temp.counts();
    previewed text := pg_temp.says(format('SELECT * FROM promote.preview_fork_environment(%s, partial => %L)', args,
        partial));
    between text := pg_temp.counts();
    done text := pg_temp.says(format('SELECT * FROM promote.fork_environment(%s, partial => %L)', args, partial));
BEGIN
    IF done ~ '^[0-9A-Z]{5} ' AND done !~ '^PM' THEN
        RETURN args || ': ' || done;
    ELSIF between <> before THEN
        RETURN args || ': the preview has written';
    ELSIF done ~ '^PM' AND pg_temp.counts() <> before THEN
        RETURN args || ': something is left of what was refused';
    ELSIF previewed <> done AND (done !~ '^PM103|^PM105|^PM508' OR previewed !~ ',PM') THEN
        RETURN args || E':\n' || previewed || E'\n---\n' || done;
    END IF;
    IF name = 'shop-pr' AND done !~ '^PM' THEN
        PERFORM promote.abort_deployment(i.name, d.deployment)
           FROM promote.deployment AS d JOIN promote.instance AS i USING (project, environment, component)
          WHERE d.environment = 'pr' AND d.status = 'PENDING';
        PERFORM promote.archive_environment('shop-pr');
    END IF;
    INSERT INTO outcomes VALUES (CASE WHEN done ~ '^PM' THEN done ELSE 'done' END);
    RETURN NULL;
END
$$;
CREATE TEMP TABLE outcomes (outcome text) ON COMMIT DROP;
SELECT is(pg_temp.forked(n), NULL, 'fork ' || n) FROM generate_series(1, 120) AS n;
SELECT cmp_ok((SELECT count(*) FROM outcomes WHERE outcome = 'done'), '>', 15::bigint, 'many are done');
SELECT cmp_ok((SELECT count(*) FROM outcomes WHERE outcome <> 'done'), '>', 5::bigint, 'some are refused');
SELECT ok(EXISTS (SELECT FROM outcomes WHERE outcome ~ wanted), 'some because of ' || what)
  FROM (VALUES ('^PM105', 'a placeholder that no parameter stands for'), ('^PM404.*{{', 'one in a parameter'),
               ('^PM508', 'what was not there then')) AS w (wanted, what);
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');
SELECT finish();
ROLLBACK;
