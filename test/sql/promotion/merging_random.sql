-- On random histories, promotions that merge are promote.merge_params of what both began with, which a model of its own
-- keeps, the source and the destination; and previews show what comes out.
BEGIN;
SELECT no_plan();
SET LOCAL client_min_messages = error;
INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'api', v, '{"properties": {"own": {"$md.copyable": false}, "nodes": {"$md.key": "name"}}}'
  FROM unnest(ARRAY['1.0.0', '1.1.0', '2.0.0']) AS v;
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'a'), ('shop', 'b'), ('shop', 'c');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'api', 'api');
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, 'api' FROM unnest(ARRAY['a', 'b', 'c']) AS e;

-- What two instances had in common last: nothing is known of the extension's tables here.
CREATE TEMP TABLE base (pair text PRIMARY KEY, params jsonb, version_constraint text) ON COMMIT DROP;
CREATE TEMP TABLE outcome (what text, step integer, detail text) ON COMMIT DROP;

CREATE FUNCTION pg_temp.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;
CREATE FUNCTION pg_temp.pair(a text, b text) RETURNS text LANGUAGE sql AS $$ SELECT least(a, b) || greatest(a, b) $$;
CREATE FUNCTION pg_temp.nodes() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(jsonb_agg(jsonb_build_object('name', n, 'v', floor(random() * 3)) ORDER BY random()), '[]')
      FROM unnest(ARRAY['n1', 'n2', 'n3', 'n4']) AS n WHERE random() < 0.6
$$;
-- A random edit.
CREATE FUNCTION pg_temp.patch() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_object_agg(k, CASE k WHEN 'nodes' THEN pg_temp.nodes() ELSE
               pg_temp.pick('1', '2', '"x"', '[1]', 'null', '{"x": 1}', '{"x": 2, "y": 1}', '{"x": null}',
                   '{"y": {"z": 1}}')::jsonb
           END)
      FROM (SELECT k FROM unnest(ARRAY['k1', 'k2', 'k3', 'nodes', 'own']) AS k ORDER BY random()
             LIMIT 1 + floor(random() * 2)) AS x
$$;
CREATE FUNCTION pg_temp.desired(environment text, OUT params jsonb, OUT version_constraint text) LANGUAGE sql AS $$
    SELECT params, version_constraint FROM promote.config_as_of('shop-' || $1 || '-api', 'infinity')
$$;
-- What it has desired in a revision.
CREATE FUNCTION pg_temp.past(environment text, number integer, OUT params jsonb, OUT version_constraint text)
LANGUAGE sql AS $$
    SELECT c.params, r.version_constraint FROM promote.revision AS r JOIN promote.config AS c USING (project, digest)
     WHERE r.project = 'shop' AND r.environment = $1 AND r.revision = number
$$;
-- A document with some top-level members of another.
CREATE FUNCTION pg_temp.taken(document jsonb, other jsonb, places text[]) RETURNS jsonb LANGUAGE sql AS $$
    SELECT (document - members) || COALESCE((SELECT jsonb_object_agg(m.key, m.value) FROM jsonb_each(other) AS m
                                              WHERE m.key = ANY (members)), '{}')
      FROM (SELECT array_agg(ltrim(p, '.')) AS members FROM unnest(places) AS p) AS x
$$;
-- What becomes of the constraint; NULL: a conflict.
CREATE FUNCTION pg_temp.merged(base text, source text, destination text, choice text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN source = destination OR base = source THEN destination WHEN base = destination THEN source
                WHEN choice = 'source' THEN source WHEN choice = 'destination' THEN destination END
$$;
-- The conflicts that a preview is to show.
CREATE FUNCTION pg_temp.conflicts(base jsonb, source jsonb, destination jsonb, places text[]) RETURNS text[]
LANGUAGE sql AS $$
    SELECT array_agg(concat_ws(' ', path, base_value, source_value, destination_value) ORDER BY path COLLATE "C")
      FROM promote.merge_conflicts(base, source, destination,
               (SELECT params_schema FROM promote.bundle_release WHERE version = '1.0.0')) AS c
     WHERE places IS NULL OR EXISTS (SELECT FROM unnest(places) AS p
                                      WHERE left(path, length(p)) = p AND substr(path, length(p) + 1, 1) IN ('', '.',
                                          '['))
$$;

-- One promotion, held against the model.
CREATE FUNCTION pg_temp.promote(step integer, source text, destination text, mode text, choice text, places text[],
                                release boolean, former integer DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    names text[] := CASE WHEN places IS NOT NULL THEN places || CASE WHEN release THEN ARRAY['release'] END END;
    s record; d record; b record; after record; result record;
    expected jsonb;
    wish text;
    found text[];
    wanted text[];
BEGIN
    SELECT * INTO s FROM pg_temp.past(source, former);
    IF former IS NULL THEN
        SELECT * INTO s FROM pg_temp.desired(source);
    END IF;
    SELECT * INTO d FROM pg_temp.desired(destination);
    SELECT * INTO b FROM base WHERE pair = pg_temp.pair(source, destination);
    IF mode = 'merge' THEN
        wanted := pg_temp.conflicts(b.params, s.params, d.params, places);
        wish := pg_temp.merged(b.version_constraint, s.version_constraint, d.version_constraint, choice);
        IF choice IS NOT NULL THEN
            wanted := NULL;
        ELSIF (places IS NULL OR release) AND wish IS NULL THEN
            wanted := array_append(wanted, 'release constraint');
        END IF;
        SELECT array_agg(CASE WHEN path LIKE 'release%' THEN path ELSE
                              concat_ws(' ', path, base_value, new_value,
                                  old_value) END ORDER BY path COLLATE "C") INTO found
          FROM promote.preview_promotion('shop-' || source || '-api', 'shop-' || destination || '-api',
              "only" => names, source_revision => former,
                                         mode => mode, on_conflict => choice)
         WHERE kind = 'conflict';
        INSERT INTO outcome VALUES (CASE WHEN ARRAY(SELECT unnest(found) ORDER BY 1)
                                              = ARRAY(SELECT unnest(wanted) ORDER BY 1)
            THEN 'conflicts as expected' ELSE 'WRONG conflicts' END, step, concat_ws(' / ', found, wanted));
        IF wanted IS NOT NULL THEN
            BEGIN
                PERFORM promote.promote_instance('shop-' || source || '-api', 'shop-' || destination || '-api',
                    "only" => names, source_revision => former, mode => mode, plan => false);
                INSERT INTO outcome VALUES ('WRONG: conflicts are promoted', step);
            EXCEPTION WHEN SQLSTATE 'PM109' THEN
                INSERT INTO outcome VALUES ('refused', step);
            END;
            RETURN;
        END IF;
        expected := promote.merge_params(b.params, s.params, d.params,
            (SELECT params_schema FROM promote.bundle_release WHERE version = '1.0.0'), '{}',
            COALESCE(choice, 'destination'));
    ELSE
        wish := s.version_constraint;
        expected := promote.compose_params(s.params, d.params,
            (SELECT params_schema FROM promote.bundle_release WHERE version = '1.0.0'));
    END IF;
    IF places IS NOT NULL THEN
        expected := pg_temp.taken(d.params, expected, places);
        wish := CASE WHEN release THEN wish ELSE d.version_constraint END;
    END IF;
    CREATE TEMP TABLE shown AS
    SELECT * FROM promote.preview_promotion('shop-' || source || '-api', 'shop-' || destination || '-api',
        "only" => names, source_revision => former, mode => mode, on_conflict => choice);
    SELECT * INTO result FROM promote.promote_instance('shop-' || source || '-api', 'shop-' || destination || '-api',
        "only" => names, source_revision => former, mode => mode, on_conflict => choice, plan => false);
    SELECT * INTO after FROM pg_temp.desired(destination);
    INSERT INTO outcome VALUES
        (CASE WHEN after.params = expected AND after.version_constraint = wish THEN mode ELSE 'WRONG ' || mode END,
            step,
         format('%s %s: %s %s, not %s %s', b, names, after.params, after.version_constraint, expected, wish)),
        (CASE WHEN result.changed = ((after.params, after.version_constraint) IS DISTINCT FROM (d.params,
            d.version_constraint))
              THEN 'changed' ELSE 'WRONG changed' END, step, result::text);
    INSERT INTO outcome SELECT CASE WHEN count(*) = 0 THEN 'preview' ELSE 'WRONG preview' END, step,
        string_agg(x::text, E'\n')
      FROM ((SELECT path, change, old_value, new_value FROM shown
              WHERE kind = 'param' AND change IN ('add', 'change', 'remove')
             EXCEPT SELECT * FROM promote.jsonb_leaf_diff(d.params, after.params))
            UNION ALL
            (SELECT * FROM promote.jsonb_leaf_diff(d.params, after.params)
             EXCEPT SELECT path, change, old_value, new_value FROM shown)) AS x;
    -- elements of nodes stand elsewhere at the source
    INSERT INTO outcome SELECT 'WRONG origin', step, p::text FROM shown AS p
     WHERE kind = 'param' AND path NOT LIKE '.nodes%'
       AND CASE change WHEN 'keep' THEN origin <> 'destination' OR new_value IS NOT DISTINCT
           FROM promote.jsonb_at_path(s.params, path)
                ELSE origin <> CASE WHEN path = '.own' THEN 'destination' ELSE 'source' END
                     AND change <> 'none' END;
    DROP TABLE shown;
    IF result.new_revision = result.old_revision THEN
        RETURN;
    END IF;
    IF places IS NULL THEN
        INSERT INTO base VALUES (pg_temp.pair(source, destination), s.params, s.version_constraint)
            ON CONFLICT (pair) DO UPDATE SET params = excluded.params, version_constraint = excluded.version_constraint;
    ELSE
        UPDATE base SET params = pg_temp.taken(params, s.params, places),
               version_constraint = CASE WHEN release THEN s.version_constraint ELSE version_constraint END
         WHERE pair = pg_temp.pair(source, destination);
    END IF;
END
$$;

CREATE FUNCTION pg_temp.history(steps integer, seed double precision) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source text; destination text; places text[]; former integer;
BEGIN
    PERFORM setseed(seed);
    PERFORM promote.configure_instance('shop-a-api', '{"k1": 1, "nodes": []}', '~1');
    FOREACH destination IN ARRAY ARRAY['b', 'c'] LOOP
        PERFORM promote.configure_instance('shop-' || destination || '-api', '{"own": 1}', '~1');
        PERFORM pg_temp.promote(0, 'a', destination, 'replace', NULL, NULL, true);
    END LOOP;
    PERFORM promote.configure_instance('shop-b-api', '{"k3": 1}', '~1');
    PERFORM pg_temp.promote(0, 'b', 'c', 'replace', NULL, NULL, true);
    FOR n IN 1 .. steps LOOP
        PERFORM promote.configure_instance('shop-' || pg_temp.pick('a', 'b', 'c') || '-api', pg_temp.patch(),
            CASE WHEN random() < 0.2 THEN pg_temp.pick('~1', '~1.0', '1.1.0', '2.0.0') END, plan => false);
        CONTINUE WHEN random() < 0.4;
        source := pg_temp.pick('a', 'b', 'c');
        destination := CASE source WHEN 'a' THEN pg_temp.pick('b', 'c') WHEN 'b' THEN pg_temp.pick('a', 'c')
                       ELSE pg_temp.pick('a', 'b') END;
        SELECT revision INTO former FROM promote.revision
         WHERE project = 'shop' AND environment = source AND random() < 0.02 ORDER BY revision DESC LIMIT 1;
        SELECT array_agg('.' || k ORDER BY k) INTO places FROM jsonb_object_keys(
            COALESCE((pg_temp.past(source, former)).params, (pg_temp.desired(source)).params)
            || (pg_temp.desired(destination)).params) AS k WHERE k <> 'own' AND random() < 0.3;
        IF random() < 0.7 THEN
            places := NULL;
        END IF;
        PERFORM pg_temp.promote(n, source, destination, pg_temp.pick('merge', 'merge', 'merge', 'replace'),
            NULL, places, random() < 0.5, former);
        -- what was refused
        IF EXISTS (SELECT FROM outcome AS o WHERE o.step = n AND o.what = 'refused') THEN
            PERFORM pg_temp.promote(n, source, destination, 'merge', pg_temp.pick('source', 'destination'), places,
                random() < 0.5, former);
        END IF;
    END LOOP;
END
$$;
\set steps 400
\getenv short PROMOTE_SHORT
\if :{?short}
\set steps 120
\endif
SELECT pg_temp.history(:steps, 0.16) \g /dev/null
SELECT is(count(*), 0::bigint, what) FROM outcome WHERE what LIKE 'WRONG%' GROUP BY what;
SELECT is((SELECT string_agg(concat_ws(' ', step, what, detail), E'\n') FROM (
    SELECT * FROM outcome WHERE what LIKE 'WRONG%' ORDER BY step LIMIT 3) AS o), NULL,
        'merges are what the model says');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE what = w), '>', n::bigint * :steps / 400,
    'of histories with: ' || w)
  FROM (VALUES ('merge', 60), ('replace', 20), ('refused', 30), ('preview', 100), ('conflicts as expected',
      100)) AS v(w, n);
SELECT * FROM finish();
ROLLBACK;
