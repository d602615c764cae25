-- A preview agrees with what is then done: random calls of the verbs of environments, in random states, are previewed
-- and then made. What is refused is refused by the verb, too, and what is left out is so by both. A tag, which has no
-- preview, says what rows of its environment say.
BEGIN;
SELECT no_plan();
SET LOCAL client_min_messages = error;
INSERT INTO promote.bundle VALUES ('api');
SELECT set_config('promote.secret_key_command', format('printf ''k:%s\n''', encode(sha256('k'), 'base64')), true)
    \g /dev/null
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references, secrets, presets)
SELECT 'api', v, '{"properties": {"own": {"$md.copyable": false}, "size": {"type": "integer"},
    "name": {"type": "string"},
    "disk": {"$md.immutable": true}, "password": {"$md.sensitive": true}, "port": {"default": 1}}}',
    '{"network": {"required": false}}', '{"token": {"required": false}}', '{"small": {"size": 1}}'
  FROM unnest(ARRAY['1.0.0', '1.1.0']) AS v;
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment, promotion_mode, require_proven_release, require_plan)
SELECT 'shop', e, CASE e WHEN 'c' THEN 'merge' ELSE 'replace' END, false, e = 'a'
  FROM unnest('{a,b,c,d}'::text[]) AS e;
INSERT INTO promote.parameter_set (project, environment, parameters)
SELECT 'shop', e, jsonb_build_object('name', e)
  FROM unnest('{a,b,c}'::text[]) AS e;
INSERT INTO promote.component (project, component, bundle, attributes)
SELECT 'shop', 'c' || n, 'api', jsonb_build_object('odd', n % 2) FROM generate_series(1, 5) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project)
 WHERE (environment, component) <> ('b', 'c5') AND (environment <> 'd' OR component IN ('c1', 'c2'));

CREATE FUNCTION pg_temp.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;
-- A random patch, which may be invalid.
CREATE FUNCTION pg_temp.patch() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(jsonb_object_agg(k, CASE k WHEN 'size' THEN pg_temp.pick('1', '2', '3', '4', '"x"', 'null')
               WHEN 'name' THEN pg_temp.pick('"{{name}}"', '"n"', 'null', '"{{none}}"')
               ELSE pg_temp.pick('1', '2', 'null') END::jsonb), '{}')
      FROM unnest('{own,size,name,disk,password}'::text[]) AS k WHERE random() < 0.3
$$;
-- Tries a statement; what is refused has done nothing.
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE !~ '^PM' THEN
        RAISE;
    END IF;
    RETURN SQLSTATE;
END
$$;
-- What tags have said that the rows of instances do not.
CREATE TEMP TABLE tagged (environment text, tag text, component text) ON COMMIT DROP;
CREATE FUNCTION pg_temp.tag(environment text, tag text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO tagged
    SELECT $1, $2, COALESCE(t.component, i.component)
      FROM promote.tag_environment('shop-' || $1, $2, replace => true) AS t
      FULL JOIN (SELECT i.*, d.version FROM promote.instance AS i
                   LEFT JOIN promote.deployment AS d ON (d.project, d.environment, d.component, d.deployment)
                       = (i.project, i.environment, i.component, i.deployed_by)
                  WHERE i.environment = $1) AS i ON i.component = t.component
     WHERE (t.desired, t.revision, t.deployment, t.version) IS DISTINCT FROM
           (NULLIF(i.revision, 0), i.deployed_revision, i.deployed_by, i.version)
$$;
-- Something happens to an instance.
CREATE FUNCTION pg_temp.happen(number integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'shop-' || pg_temp.pick('a', 'b', 'c') || '-c' || pg_temp.pick('1', '2', '3', '4', '5');
    claim record;
BEGIN
    CASE pg_temp.pick('edit', 'edit', 'edit', 'deploy', 'work', 'work', 'tag', 'reference', 'secret', 'decommission')
        WHEN 'edit' THEN PERFORM pg_temp.try(format('SELECT promote.configure_instance(%L, %L, %L)', name,
            pg_temp.patch(),
            pg_temp.pick('~1', '1.0.0', 'latest', '~1.0')));
        WHEN 'deploy' THEN PERFORM pg_temp.try(format('SELECT promote.deploy_environment(%L, partial => true)',
            'shop-' || pg_temp.pick('a', 'b', 'c')));
        WHEN 'tag' THEN PERFORM pg_temp.tag(pg_temp.pick('a', 'b', 'c'), pg_temp.pick('one', 'two'));
        WHEN 'reference' THEN PERFORM pg_temp.try(format('SELECT promote.set_remote_reference(%L, %L, %L)', name,
            'network',
            pg_temp.pick('net/1', 'net/2', 'net/{{name}}')));
        WHEN 'secret' THEN PERFORM pg_temp.try(format('SELECT promote.set_secret(%L, %L, %L)', name, 'token',
            pg_temp.pick('x', 'y', 'z')));
        WHEN 'decommission' THEN PERFORM pg_temp.try(format('SELECT promote.decommission_instance(%L)', name));
        ELSE FOR claim IN SELECT * FROM promote.claim_deployment('w', max => 20) LOOP
                PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
            END LOOP;
    END CASE;
END
$$;
-- A random call without its last argument, which says whether the rest is done where some are refused.
CREATE FUNCTION pg_temp.call() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    source text := pg_temp.pick('a', 'b', 'c');
    state text := pg_temp.pick('', '', '', '@one', '@two', '@' || clock_timestamp());
    rest text := (SELECT string_agg(', ' || option, '') FROM unnest(ARRAY[
        'components => ''{c1,c3,c4}''', 'components => ''{c2,c5}''', 'selector => ''{"odd": 1}''']) AS option
        WHERE random() < 0.15);
BEGIN
    CASE pg_temp.pick('promote', 'promote', 'promote', 'promote', 'promote', 'promote', 'deploy', 'plan', 'rollback',
        'rollback', 'decommission', 'abort', 'archive')
        WHEN 'decommission' THEN RETURN format('decommission_environment(%L%s', 'shop-' || source, rest);
        WHEN 'abort' THEN RETURN format('abort_environment(%L, %L%s', 'shop-' || source, pg_temp.pick('late', 'no'),
            rest);
        WHEN 'archive' THEN RETURN format('archive_environment(%L', 'shop-' || pg_temp.pick('a', 'd', 'd'));
        WHEN 'deploy' THEN RETURN format('deploy_environment(%L%s', 'shop-' || source, rest);
        WHEN 'plan' THEN RETURN format('plan_environment(%L%s', 'shop-' || source, rest);
        WHEN 'rollback' THEN RETURN format('rollback_environment(%L, plan => %L, allow_replace => %L%s',
            'shop-' || source || COALESCE(NULLIF(state, ''), '@one'), random() < 0.8, random() < 0.5, rest);
        ELSE RETURN format('promote_environment(%L, %L, overrides => %L, plan => %L, allow_replace => %L,'
            ' pin => %L%s%s',
            'shop-' || source || state, 'shop-' || pg_temp.pick('a', 'b', 'c', 'a', 'b', 'c', 'd'),
            CASE WHEN random() < 0.5 THEN jsonb_build_object('c1', pg_temp.patch(), 'c3',
                pg_temp.patch()) ELSE '{}' END,
            random() < 0.8, random() < 0.5, random() < 0.2, (SELECT string_agg(', ' || option, '') FROM unnest(ARRAY[
                'reprovision => true', '"only" => ''{.size}''', '"only" => ''{.name,release}''', 'mode => ''merge''',
                'on_conflict => ''source''', 'fill_defaults => true', 'preset => ''small''',
                'copy_remote_references => true', 'copy_secrets => true', 'source_state => ''running''',
                'source_state => ''desired''',
                'expected_revision => ''{"c1": 1}''']) AS option WHERE random() < 0.08), rest);
    END CASE;
END
$$;
CREATE TEMP TABLE outcome (call text, preview jsonb, done jsonb, alone text) ON COMMIT DROP;
-- The rows of a call, or how it was refused.
CREATE FUNCTION pg_temp.rows_of(call text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    rows jsonb;
    said text := '';
BEGIN
    EXECUTE format('SELECT jsonb_agg(to_jsonb(v) ORDER BY n) FROM (SELECT row_number() OVER () AS n, p.*'
        ' FROM promote.%s AS p) AS v', call) INTO rows;
    RETURN rows;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
    IF SQLSTATE !~ '^(PM|42601)' THEN
        RAISE;
    END IF;
    RETURN to_jsonb(concat_ws(' ', SQLSTATE, SQLERRM, said));
END
$$;
CREATE FUNCTION pg_temp.compare(number integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    call text := pg_temp.call();
    preview jsonb := pg_temp.rows_of('preview_' || call || ')');
    alone text;
    done jsonb;
BEGIN
    -- by itself, which is undone
    BEGIN
        alone := pg_temp.try('SELECT promote.' || call || ')');
        RAISE EXCEPTION SQLSTATE 'P0009';
    EXCEPTION WHEN SQLSTATE 'P0009' OR syntax_error THEN
        NULL;
    END;
    -- in part, if the verb can; what archives is undone, as nothing would be left to go on with
    BEGIN
        done := pg_temp.rows_of(call || CASE WHEN call ~ '^(abort|archive)' THEN ')' ELSE ', partial => true)' END);
        IF call ~ '^archive' THEN
            RAISE EXCEPTION SQLSTATE 'P0009';
        END IF;
    EXCEPTION WHEN SQLSTATE 'P0009' THEN
        NULL;
    END;
    INSERT INTO outcome VALUES (call, preview, done, alone);
END
$$;
SELECT count(pg_temp.happen(n)) FROM generate_series(1, 60) AS n \g /dev/null
SELECT count(*) FROM generate_series(1, 300) AS n, LATERAL (SELECT pg_temp.happen(n), pg_temp.happen(n),
    pg_temp.compare(n)
    OFFSET 0) AS x \g /dev/null

SELECT is_empty($$SELECT call, preview, done FROM outcome WHERE preview IS DISTINCT
    FROM done AND preview::text !~ '"42601' AND (call !~ '^archive' OR alone = 'done')$$,
    'what a preview shows is what the verb returns');
SELECT is_empty($$SELECT call, preview, alone FROM outcome WHERE jsonb_typeof(preview) = 'array'
    AND (alone = 'done') <> NOT jsonb_path_exists(preview, '$[*] ? (@.code like_regex "^PM")')$$,
    'the verb is refused as a whole where the preview has a refusal');
SELECT is_empty($$SELECT call, preview, alone FROM outcome WHERE jsonb_typeof(preview) = 'array'
    AND alone <> 'done' AND NOT jsonb_path_exists(preview, '$[*] ? (@.code == $c)', jsonb_build_object('c', alone))$$,
    '... by the SQLSTATE of one');
SELECT isnt((SELECT count(*) FROM outcome WHERE call || done::text ~ form), 0::bigint, what || ' is among them')
  FROM (VALUES ('promote', 'promote_environment.*"changed": true'),
            ('rollback', 'rollback_environment.*"changed": true'),
            ('deploy', 'deploy_environment'), ('plan', 'plan_environment'),
            ('abort', 'abort_environment.*"changed": true'), ('archive', 'archive_environment.*"changed": true'),
            ('decommission', 'decommission_environment.*"changed": true')) AS v (what, form);
SELECT is(count(DISTINCT substring(call FROM '^[a-z]+')), 7::bigint, 'all verbs are among them') FROM outcome;
SELECT is_empty($$SELECT * FROM tagged$$, 'a tag says what its instances desire and run');
SELECT cmp_ok((SELECT count(*) FROM promote.environment_tag), '>', 3::bigint, '... of which there are some');
SELECT cmp_ok(count(*), '>', 5::bigint, 'refusals are among them') FROM outcome WHERE preview::text ~ '"code": "PM';
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all chains are whole');

SELECT * FROM finish();
ROLLBACK;
