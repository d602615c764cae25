-- Whatever document is applied: a dry run says what applying it then does, or refuses it in the same words, and writes
-- nothing.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
SET LOCAL client_min_messages = error;
SELECT setseed(0.3);
INSERT INTO promote.freeze_window (name, project, during)
SELECT 'f' || n, 'shop', '[2031-01-01, 2031-02-01)' FROM generate_series(1, 3) AS n;
INSERT INTO promote.required_check (project, environment, check_name)
SELECT project, environment, 'c' || n FROM promote.environment, generate_series(1, 2) AS n WHERE project = 'shop';
INSERT INTO promote.component_dependency (project, component, depends_on)
VALUES ('shop', 's1', 's2'), ('shop', 's2', 's3');
CREATE FUNCTION pg_temp.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;
-- A value that is somewhere in a document, changed, or not.
CREATE FUNCTION pg_temp.changed(value jsonb) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT CASE jsonb_typeof(value)
               WHEN 'number' THEN to_jsonb(floor(random() * 4)::integer)
               WHEN 'boolean' THEN to_jsonb(random() < 0.5)
               WHEN 'string' THEN to_jsonb(pg_temp.pick('staging', 'production', 's1', 's2', 'x', '~1', '1.0.0',
                   value #>> '{}', 'a b', '{{x}}'))
               WHEN 'object' THEN value || jsonb_build_object(pg_temp.pick('size', 'x', 'tenant', 'description'),
                   pg_temp.pick('1', '2', '"x"', '{}', 'null')::jsonb)
               ELSE value END
$$;
-- An element of a section with one of its members changed, or left out.
CREATE FUNCTION pg_temp.element(element jsonb) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(jsonb_object_agg(m.key, CASE WHEN m.key = c.key THEN pg_temp.changed(m.value) ELSE m.value END)
                    FILTER (WHERE m.key <> c.key OR NOT c.gone), '{}')
      FROM jsonb_each(element) AS m,
           (SELECT k AS key, random() < 0.2 AS gone FROM jsonb_object_keys(element) AS k ORDER BY random() LIMIT 1) AS c
$$;
-- The project as it is, or was at first, with some of it changed or left out.
CREATE TEMP TABLE first ON COMMIT DROP AS SELECT promote.export_project('shop') AS document;
CREATE FUNCTION pg_temp.document(odds double precision) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_object_agg(d.key, CASE jsonb_typeof(d.value)
               WHEN 'array' THEN (
                   SELECT COALESCE(jsonb_agg(CASE WHEN random() < odds THEN pg_temp.element(e) ELSE e END
                                             ORDER BY random()) FILTER (WHERE random() > CASE
                                 WHEN d.key IN ('bundles', 'releases', 'environments', 'components', 'instances')
                                 THEN odds / 2 ELSE 0.2 END), '[]')
                     FROM jsonb_array_elements(d.value) AS e)
               ELSE d.value END) FILTER (WHERE d.key IN ('version', 'project') OR random() > odds)
      FROM (SELECT CASE WHEN random() < 0.5 THEN document ELSE promote.export_project('shop') END AS document
              FROM first) AS f, jsonb_each(f.document) AS d
$$;
-- The rows of a call, or how it is refused.
CREATE FUNCTION pg_temp.rows_of(document jsonb, prune boolean, dry_run boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    RETURN (SELECT COALESCE(jsonb_agg(to_jsonb(a) ORDER BY n), '[]')
              FROM ROWS FROM (promote.apply_document(document, prune, dry_run)) WITH ORDINALITY
                   AS a (kind, name, action, changes, n));
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    IF SQLSTATE !~ '^(PM|2)' THEN
        RAISE;
    END IF;
    RETURN to_jsonb(concat_ws(' ', SQLSTATE, SQLERRM, detail));
END
$$;
CREATE FUNCTION pg_temp.written() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM promote.audit_log
$$;
CREATE TEMP TABLE outcome (document jsonb, prune boolean, written bigint, dry jsonb, done jsonb) ON COMMIT DROP;
DO $$
DECLARE
    document jsonb;
    prune boolean;
    before bigint;
    dry jsonb;
BEGIN
    FOR n IN 1 .. 150 LOOP
        document := pg_temp.document((ARRAY[0, 0.02, 0.06])[1 + n % 3]);
        prune := random() < 0.4;
        before := pg_temp.written();
        dry := pg_temp.rows_of(document, prune, true);
        INSERT INTO outcome VALUES (document, prune, pg_temp.written() - before, dry,
            pg_temp.rows_of(document, prune, false));
    END LOOP;
END
$$;
SELECT is_empty('SELECT document, prune, dry, done FROM outcome WHERE dry <> done',
    'a dry run says what applying then does');
SELECT is(sum(written), 0::numeric, '... and writes nothing') FROM outcome;
SELECT cmp_ok(count(*), '>', 5::bigint, 'changes are among them: ' || action)
  FROM unnest('{create,change,delete}'::text[]) AS action
  LEFT JOIN outcome ON jsonb_path_exists(done, '$[*] ? (@.action == $a)', jsonb_build_object('a', action))
 GROUP BY action;
SELECT cmp_ok(count(DISTINCT done #>> '{}'), '>', 3::bigint, 'refusals are among them') FROM outcome
 WHERE jsonb_typeof(done) = 'string';
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'all chains are whole');
SELECT * FROM finish();
ROLLBACK;
