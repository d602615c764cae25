-- Random sets give the same rows as the same promotions and revisions one by one: two projects with one digest key go
-- through the same, one in sets and the other by single verbs, and all columns but times are compared.
BEGIN;
SELECT no_plan();
SET LOCAL client_min_messages = error;
INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'api', v, '{"properties": {"own": {"$md.copyable": false}, "size": {"type": "integer"},
    "disk": {"$md.immutable": true}, "password": {"$md.sensitive": true}}}'
  FROM unnest(ARRAY['1.0.0', '1.1.0']) AS v;
-- as a dump is loaded, with one key
SET LOCAL row_security = off;
INSERT INTO promote.project_key (project, digest_key) VALUES ('pone', sha256('key')), ('ptwo', sha256('key'));
INSERT INTO promote.project (project) VALUES ('pone'), ('ptwo');
RESET row_security;
INSERT INTO promote.environment (project, environment, promotion_mode, require_proven_release, require_plan)
SELECT p, e, CASE e WHEN 'd' THEN 'merge' ELSE 'replace' END, false, false
  FROM unnest('{pone,ptwo}'::text[]) AS p, unnest('{a,b,c,d}'::text[]) AS e;
INSERT INTO promote.parameter_set (project, environment, parameters)
SELECT p, e, jsonb_build_object('name', e)
  FROM unnest('{pone,ptwo}'::text[]) AS p, unnest('{a,b,c,d}'::text[]) AS e;
INSERT INTO promote.component (project, component, bundle)
SELECT p, c, 'api' FROM unnest('{pone,ptwo}'::text[]) AS p, unnest('{x,y,z}'::text[]) AS c;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);
CREATE TEMP TABLE outcome (project text, step integer, place bigint, said jsonb) ON COMMIT DROP;

CREATE FUNCTION pg_temp.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;
-- A random patch, which may be invalid.
CREATE FUNCTION pg_temp.patch() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(jsonb_object_agg(k, CASE k WHEN 'size' THEN pg_temp.pick('1', '2', '3', '3', '"x"', 'null')
               ELSE pg_temp.pick('1', '"a"', '{"m": 1}', '{"m": {"n": 2}}', '"{{name}}"', '"{{none}}"', 'null', '1')
               END::jsonb), '{}')
      FROM (SELECT k FROM unnest('{own,size,disk,password,k1,k2}'::text[]) AS k ORDER BY random()
             LIMIT floor(random() * 3)) AS x
$$;

-- Promotes one by one, as promote_many does with partial.
CREATE FUNCTION pg_temp.singly(sources text[], destinations text[], overrides jsonb[], wants_plan boolean,
                               replace boolean, filled boolean)
RETURNS TABLE (changed boolean, revision integer, deployment integer, diff jsonb, code text) LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1 .. cardinality(sources) LOOP
        BEGIN
            SELECT p.changed, p.new_revision, p.deployment, p.diff, NULL INTO changed, revision, deployment, diff, code
              FROM promote.promote_instance(sources[n], destinations[n], overrides[n], plan => wants_plan,
                                            allow_replace => replace, fill_defaults => filled, message => 'm') AS p;
        EXCEPTION WHEN OTHERS THEN
            SELECT false, NULL, NULL, NULL, SQLSTATE INTO changed, revision, deployment, diff, code;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Carries out what waits, the same in both projects.
CREATE FUNCTION pg_temp.work() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    claim record;
BEGIN
    LOOP
        SELECT * INTO claim FROM promote.claim_deployment('worker');
        EXIT WHEN NOT FOUND;
        PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
    END LOOP;
END
$$;

-- Deploys an instance, unless a gate is closed.
CREATE FUNCTION pg_temp.try_to_deploy(instance text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.deploy_instance(instance);
EXCEPTION WHEN SQLSTATE 'PM601' THEN
    NULL;
END
$$;

DO $$
DECLARE
    sources text[];
    destinations text[];
    overrides jsonb[];
    wants_plan boolean;
    replace boolean;
    filled boolean;
    params jsonb;
    chosen text[];
BEGIN
    FOR step IN 1 .. 40 LOOP
        -- edits that both get, in one INSERT or in many
        params := jsonb_strip_nulls(pg_temp.patch() || '{"size": 4}');
        CONTINUE WHEN params::text ~ 'none';
        SELECT array_agg(i) INTO chosen FROM (
            SELECT e || '/' || c AS i FROM unnest('{a,b,c,d}'::text[]) AS e, unnest('{x,y,z}'::text[]) AS c
             WHERE random() < 0.25) AS x;
        INSERT INTO promote.config (project, params) VALUES ('pone', params), ('ptwo', params) ON CONFLICT DO NOTHING;
        wants_plan := random() < 0.8;
        INSERT INTO promote.revision (project, environment, component, digest, version_constraint, plan, allow_replace)
        SELECT 'pone', split_part(i, '/', 1), split_part(i, '/', 2), promote.config_digest('pone', params), '~1',
               wants_plan, true FROM unnest(chosen) AS i;
        FOR n IN 1 .. COALESCE(cardinality(chosen), 0) LOOP
            INSERT INTO promote.revision (project, environment, component, digest, version_constraint, plan,
                                          allow_replace)
            VALUES ('ptwo', split_part(chosen[n], '/', 1), split_part(chosen[n], '/', 2),
                    promote.config_digest('ptwo', params), '~1', wants_plan, true);
        END LOOP;
        -- a set of promotions, each destination once
        SELECT array_agg(s || '-' || c), array_agg(d || '-' || c), array_agg(pg_temp.patch())
          INTO sources, destinations, overrides
          FROM (SELECT pg_temp.pick('a', 'a', 'b', 'c') AS s, d, c FROM unnest('{a,b,c,d}'::text[]) AS d,
                       unnest('{x,y,z}'::text[]) AS c WHERE random() < 0.6 ORDER BY random()) AS x;
        wants_plan := random() < 0.8;
        replace := random() < 0.5;
        filled := random() < 0.2;
        INSERT INTO outcome
        SELECT 'pone', step, n, to_jsonb(p) - 'instance' - 'problem'
          FROM promote.promote_many(ARRAY(SELECT 'pone-' || s FROM unnest(sources) AS s),
                   ARRAY(SELECT 'pone-' || d FROM unnest(destinations) AS d), overrides, plan => wants_plan,
                   allow_replace => replace, fill_defaults => filled, message => 'm', partial => true)
               WITH ORDINALITY AS p (instance, changed, revision, deployment, diff, code, problem, n);
        UPDATE outcome SET said = said - 'n';
        INSERT INTO outcome
        SELECT 'ptwo', step, n, to_jsonb(p) - 'n'
          FROM pg_temp.singly(ARRAY(SELECT 'ptwo-' || s FROM unnest(sources) AS s),
                   ARRAY(SELECT 'ptwo-' || d FROM unnest(destinations) AS d), overrides, wants_plan, replace, filled)
               WITH ORDINALITY AS p (changed, revision, deployment, diff, code, n);
        CONTINUE WHEN random() < 0.7;
        PERFORM pg_temp.work();
        PERFORM pg_temp.try_to_deploy(name) FROM promote.instance WHERE revision > 0 AND environment IN ('b', 'd')
            ORDER BY name;
        PERFORM pg_temp.work();
    END LOOP;
END
$$;

-- A row without times, and without what tells the projects apart.
CREATE FUNCTION pg_temp.bare(stored jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT replace((stored - ARRAY['created_at', 'queued_at', 'due_at', 'started_at', 'finished_at', 'at', 'rows',
        'hash', 'previous_hash'])::text, 'ptwo', 'pone')
$$;
SELECT cmp_ok(count(*), '>', 30::bigint, 'many were promoted') FROM outcome WHERE project = 'pone'
    AND (said ->> 'changed')::boolean;
SELECT cmp_ok(count(*), '>', 10::bigint, '... and many refused') FROM outcome WHERE project = 'pone' AND said ? 'code'
    AND said ->> 'code' IS NOT NULL;
SELECT results_eq($$SELECT step, place, regexp_replace(said::text, '"at": "[^"]*"', '', 'g') FROM outcome
                     WHERE project = 'pone' ORDER BY 1, 2$$,
                  $$SELECT step, place, regexp_replace(said::text, '"at": "[^"]*"', '', 'g') FROM outcome
                     WHERE project = 'ptwo' ORDER BY 1, 2$$,
    'the verbs say the same');
CREATE FUNCTION pg_temp.rows_of(of_table text, of_project text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT regexp_replace(pg_temp.bare(to_jsonb(t) || CASE WHEN to_jsonb(t) ? %L
        THEN jsonb_build_object(%L, pg_temp.bare((to_jsonb(t) -> %L))) ELSE %L END), %L, %L, %L)
        FROM promote.%I AS t WHERE project = %L', 'data', 'data', 'data', '{}', '\\*"at\\*": \\*"[^"]*"', '', 'g',
        of_table, of_project);
END
$$;
SELECT bag_eq(format('SELECT pg_temp.rows_of(%L, %L)', t, 'pone'), format('SELECT pg_temp.rows_of(%L, %L)', t, 'ptwo'),
    t || ' has the same rows')
  FROM unnest('{instance,revision,deployment,config}'::text[]) AS t;
SELECT bag_eq($$SELECT replace(subject, 'ptwo', 'pone'), seq, event, actor FROM promote.audit_log
                  WHERE project = 'pone'$$,
              $$SELECT replace(subject, 'ptwo', 'pone'), seq, event, actor FROM promote.audit_log
                  WHERE project = 'ptwo'$$,
    'audit_log has the same events, in the same places');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all chains are whole');

SELECT * FROM finish();
ROLLBACK;
