-- What bench/json works with: documents made by rule, the peers, the table of what is measured, and the stop-watch.
-- :floor is the path of floor.so.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION promote;
CREATE SCHEMA bench;

CREATE FUNCTION bench.copy(a jsonb) RETURNS jsonb LANGUAGE c IMMUTABLE STRICT AS :'floor', 'bench_copy';
CREATE FUNCTION bench.copy2(a jsonb, b jsonb) RETURNS jsonb LANGUAGE c IMMUTABLE STRICT AS :'floor', 'bench_copy2';
CREATE FUNCTION bench.copy2_rows(a jsonb, b jsonb) RETURNS SETOF jsonb LANGUAGE c IMMUTABLE STRICT ROWS 20
    AS :'floor', 'bench_copy2_rows';
CREATE FUNCTION bench.both(a jsonb, b jsonb) RETURNS jsonb LANGUAGE c IMMUTABLE STRICT AS :'floor', 'bench_both';
CREATE FUNCTION bench.lap(query text, document jsonb, rows integer, microseconds integer) RETURNS float8
    LANGUAGE c STRICT AS :'floor', 'bench_lap';
CREATE FUNCTION bench.peak(query text, document jsonb) RETURNS bigint LANGUAGE c STRICT AS :'floor', 'bench_peak';

-- ---- documents ----
--
-- Each is a map of services. A service has twenty leaves at three levels, of which arrays count as one, about 700 bytes.

CREATE TABLE bench.leaf (leaf integer PRIMARY KEY, path text[] NOT NULL);
INSERT INTO bench.leaf
SELECT ordinality, string_to_array(path, '.')
  FROM unnest(ARRAY['image', 'version', 'port', 'enabled', 'replicas', 'weight', 'account_id', 'description',
                    'resources.cpu', 'resources.memory', 'resources.limits.cpu', 'resources.limits.memory',
                    'probe.path', 'probe.interval', 'probe.headers.host', 'env.LOG_LEVEL', 'env.DATABASE_URL',
                    'env.TRACING', 'zones', 'ports']) WITH ORDINALITY AS x(path, ordinality);

-- The value of a leaf. state 0 and 1 differ, and have the same type and length; 2 is 0 with placeholders in a
-- twentieth of the strings.
CREATE FUNCTION bench.value(leaf integer, service integer, seed integer, state integer) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    changed integer := state % 2;
    word text := substr(md5(format('%s %s %s %s', leaf, service, seed, changed)), 1, 12);
    number integer := (service * 31 + seed * 7) % 400 * 2 + changed;
BEGIN
    RETURN CASE leaf
        WHEN 1 THEN to_jsonb(CASE WHEN state = 2 AND service % 2 = 1 THEN '{{registry}}' ELSE 'registry.example.com' END ||
                             '/team/service-' || word)
        WHEN 2 THEN to_jsonb('1.' || 100 + number || '.' || word)
        WHEN 3 THEN to_jsonb(8000 + number)
        WHEN 4 THEN to_jsonb((service + seed + changed) % 2 = 0)
        WHEN 5 THEN to_jsonb(1000 + number)
        WHEN 6 THEN to_jsonb(100 + number / 8.0)
        WHEN 7 THEN to_jsonb('account-' || word)
        WHEN 8 THEN to_jsonb('The service that answers for ' || word || ', and what it is good for')
        WHEN 9 THEN to_jsonb(2500 + number)
        WHEN 10 THEN to_jsonb(1000 + number || 'Mi')
        WHEN 11 THEN to_jsonb(4000 + number)
        WHEN 12 THEN to_jsonb(2000 + number || 'Mi')
        WHEN 13 THEN to_jsonb('/health/' || word)
        WHEN 14 THEN to_jsonb(30.5 + number % 10)
        WHEN 15 THEN to_jsonb(word || '.internal')
        WHEN 16 THEN to_jsonb(CASE changed WHEN 0 THEN 'error' ELSE 'debug' END)
        WHEN 17 THEN to_jsonb('postgres://app@' || word || '.' ||
                              CASE WHEN state = 2 AND service % 5 = 1 THEN '{{domain}}' ELSE 'internal' END || ':5432/app')
        WHEN 18 THEN to_jsonb((service + seed + changed) % 2 = 1)
        WHEN 19 THEN CASE changed WHEN 0 THEN '["a", "b", "c"]' ELSE '["b", "c", "a"]' END::jsonb
        WHEN 20 THEN jsonb_build_array(jsonb_build_object('name', 'http', 'port', 1000 + number),
                                       jsonb_build_object('name', word, 'port', 2000 + number))
        END;
END
$$;

-- Which leaves are touched, spread evenly: every so many, at least one; -1 is one in the middle; 0 is none.
CREATE FUNCTION bench.is_touched(leaf integer, service integer, services integer, every integer) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN every > 0 AND every < 20 * services THEN (leaf + 21 * service) % every = 0
    WHEN every <> 0 THEN leaf = 9 AND service = (services + 1) / 2
    ELSE false END;

CREATE FUNCTION bench.leaves(services integer, seed integer, every integer, touched integer, only_touched boolean,
                             OUT service text, OUT path text[], OUT value jsonb) RETURNS SETOF record
LANGUAGE sql IMMUTABLE AS $$
    SELECT 'service_' || s, path, bench.value(leaf, s, seed, CASE WHEN picked THEN touched ELSE 0 END)
      FROM generate_series(1, services) AS s, bench.leaf,
           LATERAL (SELECT bench.is_touched(leaf, s, services, every) AS picked) AS x
     WHERE picked OR NOT only_touched
$$;

-- A document of so many services whose touched leaves are in that state, or, with only_touched, the merge patch that
-- touches them.
CREATE FUNCTION bench.nested(services integer, seed integer, every integer DEFAULT 0, touched integer DEFAULT 1,
                             only_touched boolean DEFAULT false) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    WITH leaf AS MATERIALIZED (
        SELECT * FROM bench.leaves(services, seed, every, touched, only_touched)
    ), level3 AS (
        SELECT service, path[1:2] AS path, jsonb_object_agg(path[3], value) AS value
          FROM leaf WHERE cardinality(path) = 3 GROUP BY service, path[1:2]
    ), level2 AS (
        SELECT service, path[1:1] AS path, jsonb_object_agg(path[2], value) AS value
          FROM (SELECT * FROM leaf WHERE cardinality(path) = 2 UNION ALL SELECT * FROM level3) x GROUP BY service, path[1:1]
    ), level1 AS (
        SELECT service, jsonb_object_agg(path[1], value) AS value
          FROM (SELECT * FROM leaf WHERE cardinality(path) = 1 UNION ALL SELECT * FROM level2) x GROUP BY service
    )
    SELECT jsonb_object_agg(service, value) FROM level1
$$;

-- The same leaves but the arrays, as the values of one object.
CREATE FUNCTION bench.flat(services integer, seed integer, every integer DEFAULT 0, only_touched boolean DEFAULT false)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(service || '_' || array_to_string(path, '_'), value)
      FROM bench.leaves(services, seed, every, 1, only_touched) WHERE path[1] NOT IN ('zones', 'ports')
$$;

-- A merge patch that replaces whole services: a tenth of them, at least one. "||" takes it as well.
CREATE FUNCTION bench.whole(services integer, seed integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(key, value) FROM jsonb_each(bench.nested(services, seed, 1))
     WHERE substr(key, 9)::integer % 10 = 1
$$;

-- The patch with one new key in the middle.
CREATE FUNCTION bench.new_key(services integer) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object('service_' || (services + 1) / 2, '{"resources": {"quota": 7}}'::jsonb);

-- The touched leaves as a JSON Patch (RFC 6902).
CREATE FUNCTION bench.operations(services integer, seed integer, every integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(jsonb_build_object('op', 'replace', 'path', '/' || service || '/' || array_to_string(path, '/'),
                                        'value', value))
      FROM bench.leaves(services, seed, every, 1, true)
$$;

-- The schema of a nested document: about as many keywords to a value as the schemas of real bundles have. The account,
-- a twentieth of the leaves, is not copied.
CREATE FUNCTION bench.schema() RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN '{
    "type": "object",
    "additionalProperties": {"$ref": "#/definitions/service"},
    "definitions": {
      "quantity": {
        "type": "object", "required": ["cpu", "memory"],
        "properties": {"cpu": {"type": "integer", "minimum": 1}, "memory": {"type": "string", "pattern": "^[0-9]+[MG]i$"}}},
      "service": {
        "type": "object", "required": ["image", "port"], "additionalProperties": false,
        "properties": {
          "image": {"type": "string", "maxLength": 200}, "version": {"type": "string", "minLength": 1},
          "port": {"type": "integer", "minimum": 1, "maximum": 65535}, "enabled": {"type": "boolean", "default": true},
          "replicas": {"type": "integer", "minimum": 0}, "weight": {"type": "number", "exclusiveMinimum": 0},
          "account_id": {"type": "string", "$md.copyable": false}, "description": {"type": "string"},
          "resources": {
            "type": "object", "additionalProperties": false,
            "properties": {"cpu": {"type": "integer"}, "memory": {"type": "string"},
                           "limits": {"$ref": "#/definitions/quantity"}}},
          "probe": {
            "type": "object", "required": ["path"],
            "properties": {"path": {"type": "string", "minLength": 1}, "interval": {"type": "number", "minimum": 1},
                           "headers": {"type": "object", "additionalProperties": {"type": "string"}}}},
          "env": {
            "type": "object",
            "properties": {"LOG_LEVEL": {"oneOf": [{"const": "debug"}, {"const": "info"}, {"const": "error"}]},
                           "DATABASE_URL": {"type": "string"}, "TRACING": {"type": "boolean"}}},
          "zones": {"type": "array", "uniqueItems": true, "items": {"type": "string", "enum": ["a", "b", "c"]}},
          "ports": {
            "type": "array", "maxItems": 10,
            "items": {"type": "object", "required": ["port"],
                      "properties": {"name": {"type": "string"}, "port": {"type": "integer", "minimum": 1}}}}}}}}'::jsonb;

-- Where a document is not valid, validation ends early and is fast for nothing.
DO $$
BEGIN
    ASSERT promote.jsonb_schema_valid(bench.nested(50, 1), bench.schema()), 'the documents are not valid';
END
$$;

-- ---- peers ----

CREATE FUNCTION bench.plpgsql_merge(a jsonb, b jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF jsonb_typeof(b) <> 'object' THEN
        RETURN b;
    ELSIF a IS NULL OR jsonb_typeof(a) <> 'object' THEN
        a := '{}';
    END IF;
    RETURN (SELECT coalesce(jsonb_object_agg(key, CASE jsonb_typeof(y.value)
                                WHEN 'object' THEN bench.plpgsql_merge(x.value, y.value)
                                ELSE coalesce(y.value, x.value) END), '{}')
              FROM jsonb_each(a) AS x FULL JOIN jsonb_each(b) AS y USING (key)
             WHERE jsonb_typeof(y.value) IS DISTINCT FROM 'null');
END
$$;

CREATE FUNCTION bench.plpgsql_filter(params jsonb, schema jsonb, root jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF schema ? '$ref' THEN
        schema := root #> string_to_array(substr(schema ->> '$ref', 3), '/');
    END IF;
    IF jsonb_typeof(params) = 'object' AND schema ?| ARRAY['properties', 'additionalProperties'] THEN
        RETURN (SELECT coalesce(jsonb_object_agg(key, bench.plpgsql_filter(value, sub, root)), '{}')
                  FROM jsonb_each(params),
                       LATERAL (SELECT coalesce(schema -> 'properties' -> key, schema -> 'additionalProperties') AS sub) AS x
                 WHERE sub -> '$md.copyable' IS DISTINCT FROM 'false');
    ELSIF jsonb_typeof(params) = 'array' AND schema ? 'items' THEN
        RETURN (SELECT coalesce(jsonb_agg(bench.plpgsql_filter(value, schema -> 'items', root) ORDER BY i), '[]')
                  FROM jsonb_array_elements(params) WITH ORDINALITY AS x(value, i));
    END IF;
    RETURN params;
END
$$;

-- The members of a container by the steps that lead to them.
CREATE FUNCTION bench.members(a jsonb) RETURNS TABLE (step text, value jsonb) LANGUAGE plpgsql IMMUTABLE ROWS 20 AS $$
BEGIN
    IF jsonb_typeof(a) = 'object' THEN
        RETURN QUERY SELECT '.' || x.key, x.value FROM jsonb_each(a) AS x;
    ELSE
        RETURN QUERY SELECT '[' || i - 1 || ']', x.value FROM jsonb_array_elements(a) WITH ORDINALITY AS x(value, i);
    END IF;
END
$$;

CREATE FUNCTION bench.change(a jsonb, b jsonb) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN a IS NULL THEN 'add' WHEN b IS NULL THEN 'remove' ELSE 'change' END;

-- Goes through all of both, as it is usually written. For the documents measured here: no leaf becomes a container.
CREATE FUNCTION bench.plpgsql_diff(a jsonb, b jsonb, at text DEFAULT '')
RETURNS TABLE (path text, change text, old_value jsonb, new_value jsonb) LANGUAGE plpgsql IMMUTABLE ROWS 20 AS $$
DECLARE
    m record;
BEGIN
    FOR m IN SELECT step, x.value AS x, y.value AS y
               FROM bench.members(a) AS x FULL JOIN bench.members(b) AS y USING (step) LOOP
        IF jsonb_typeof(m.x) IN ('object', 'array') AND jsonb_typeof(m.x) = jsonb_typeof(m.y) THEN
            RETURN QUERY SELECT * FROM bench.plpgsql_diff(m.x, m.y, at || m.step);
        ELSIF m.x IS DISTINCT FROM m.y THEN
            RETURN QUERY SELECT at || m.step, bench.change(m.x, m.y), m.x, m.y;
        END IF;
    END LOOP;
END
$$;

-- The same for one who knows that "=" is fast.
CREATE FUNCTION bench.plpgsql_diff_pruned(a jsonb, b jsonb, at text DEFAULT '')
RETURNS TABLE (path text, change text, old_value jsonb, new_value jsonb) LANGUAGE plpgsql IMMUTABLE ROWS 20 AS $$
DECLARE
    m record;
BEGIN
    IF a = b THEN
        RETURN;
    END IF;
    FOR m IN SELECT step, x.value AS x, y.value AS y
               FROM bench.members(a) AS x FULL JOIN bench.members(b) AS y USING (step)
              WHERE x.value IS DISTINCT FROM y.value LOOP
        IF jsonb_typeof(m.x) IN ('object', 'array') AND jsonb_typeof(m.x) = jsonb_typeof(m.y) THEN
            RETURN QUERY SELECT * FROM bench.plpgsql_diff_pruned(m.x, m.y, at || m.step);
        ELSE
            RETURN QUERY SELECT at || m.step, bench.change(m.x, m.y), m.x, m.y;
        END IF;
    END LOOP;
END
$$;

-- Knows the operation "replace" alone, which is in its favour.
CREATE FUNCTION bench.plpgsql_apply(document jsonb, operations jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    operation jsonb;
BEGIN
    FOR operation IN SELECT jsonb_array_elements(operations) LOOP
        document := jsonb_set(document, string_to_array(substr(operation ->> 'path', 2), '/'), operation -> 'value', false);
    END LOOP;
    RETURN document;
END
$$;

-- Where plpython3u cannot be had these functions are missing, and the table says so.
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'plpython3u') AS has_python \gset
\if :has_python
CREATE EXTENSION plpython3u;

CREATE FUNCTION bench.plpython_merge(a jsonb, b jsonb) RETURNS jsonb LANGUAGE plpython3u IMMUTABLE AS $$
import json

def merge(a, b):
    if not isinstance(b, dict):
        return b
    if not isinstance(a, dict):
        a = {}
    for key, value in b.items():
        if value is None:
            a.pop(key, None)
        else:
            a[key] = merge(a.get(key), value)
    return a

return json.dumps(merge(json.loads(a), json.loads(b)))
$$;

CREATE FUNCTION bench.plpython_filter(params jsonb, schema jsonb) RETURNS jsonb LANGUAGE plpython3u IMMUTABLE AS $$
import json

root = json.loads(schema)

def kept(value, schema):
    if '$ref' in schema:
        schema = root['definitions'][schema['$ref'].rsplit('/', 1)[1]]
    if isinstance(value, dict):
        properties, rest = schema.get('properties', {}), schema.get('additionalProperties') or {}
        subschemas = {key: properties.get(key, rest) for key in value}
        return {key: kept(value[key], sub) for key, sub in subschemas.items() if sub.get('$md.copyable') is not False}
    if isinstance(value, list):
        return [kept(item, schema.get('items', {})) for item in value]
    return value

return json.dumps(kept(json.loads(params), root))
$$;
\endif

-- ---- what is measured ----
--
-- jsonb_deep_merge is the same walk as jsonb_merge_patch, so that only some of its shares are.
--
-- The documents of a measurement are the columns a to d of bench.work, made by the expressions in columns from the
-- number of services n and the seed, another one in each row, so that nothing can remember the last call. $1 is what
-- stays the same from call to call, which comes in memory. Functions of rows (kind 'rows') stand in FROM.

CREATE TABLE bench.task (
    task integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    function text NOT NULL,
    shape text NOT NULL,
    touched text NOT NULL,
    call text NOT NULL,
    columns text[] NOT NULL,
    floor text NOT NULL,                    -- whose result is not compared with that of the call
    peers jsonb NOT NULL DEFAULT '{}',      -- name: expression, with the same result unless the name begins with *
    wanted jsonb NOT NULL DEFAULT '{}',     -- name: [at most this ratio to it, from this size in KB on, up to that]
    fixed jsonb NOT NULL DEFAULT '{}',      -- $1
    kind text NOT NULL DEFAULT 'value',
    up_to integer NOT NULL DEFAULT 1000000  -- KB up to which it is measured
);

CREATE VIEW bench.share AS
SELECT * FROM (VALUES ('1 key', -1), ('1 %', 100), ('10 %', 10), ('100 %', 1)) AS x (touched, every);

INSERT INTO bench.task (function, shape, touched, call, columns, floor, peers, wanted)
SELECT f, 'flat', touched, format('promote.%s(w.a, w.b)', f),
       ARRAY['bench.flat(n, seed)', format('bench.flat(n, seed, %s, true)', every)], 'bench.copy2(w.a, w.b)',
       '{"||": "w.a || w.b"}',
       CASE touched WHEN '10 %' THEN '{"||": [0.15, 10, 100]}' WHEN '100 %' THEN '{"||": [0.5]}' ELSE '{}' END::jsonb
  FROM unnest(ARRAY['jsonb_merge_patch', 'jsonb_deep_merge']) AS f, bench.share
 WHERE f = 'jsonb_merge_patch' OR every IN (1, 10);
INSERT INTO bench.task (function, shape, touched, call, columns, floor, peers, wanted)
SELECT f, 'flat', 'new key', format('promote.%s(w.a, w.b)', f),
       ARRAY['bench.flat(n, seed)', $$jsonb_build_object('service_' || (n + 1) / 2 || '_quota', 7)$$],
       'bench.copy2(w.a, w.b)',
       '{"||": "w.a || w.b"}', '{"floor": [1.3, 100]}'
  FROM unnest(ARRAY['jsonb_merge_patch', 'jsonb_deep_merge']) AS f;
INSERT INTO bench.task (function, shape, touched, call, columns, floor, peers, wanted)
SELECT f, 'services', '10 %', format('promote.%s(w.a, w.b)', f),
       ARRAY['bench.nested(n, seed)', 'bench.whole(n, seed)'], 'bench.copy2(w.a, w.b)',
       '{"||": "w.a || w.b"}', '{"||": [0.15, 10, 100]}'
  FROM unnest(ARRAY['jsonb_merge_patch', 'jsonb_deep_merge']) AS f;
INSERT INTO bench.task (function, shape, touched, call, columns, floor, peers, wanted)
SELECT f, 'nested', touched, format('promote.%s(w.a, w.b)', f),
       ARRAY['bench.nested(n, seed)', patch], 'bench.copy2(w.a, w.b)',
       '{"plpgsql": "bench.plpgsql_merge(w.a, w.b)", "plpython": "bench.plpython_merge(w.a, w.b)"}',
       CASE touched WHEN 'new key' THEN '{"floor": [1.3, 100]}' ELSE '{}' END::jsonb
  FROM unnest(ARRAY['jsonb_merge_patch', 'jsonb_deep_merge']) AS f,
       (SELECT 'new key', 'bench.new_key(n)'
         UNION ALL
        SELECT touched, format('bench.nested(n, seed, %s, 1, true)', every) FROM bench.share) AS x (touched, patch)
 WHERE f = 'jsonb_merge_patch' OR touched IN ('new key', '10 %');

INSERT INTO bench.task (function, shape, touched, call, columns, floor, peers, fixed, wanted)
VALUES ('jsonb_filter_copyable', 'nested', '5 %', 'promote.jsonb_filter_copyable(w.a, $1)', ARRAY['bench.nested(n, seed)'],
        'bench.copy(w.a)', '{"plpgsql": "bench.plpgsql_filter(w.a, $1, $1)", "plpython": "bench.plpython_filter(w.a, $1)"}',
        bench.schema(), '{"floor": [10, 10, 100], "plpgsql": [0.01]}');

INSERT INTO bench.task (function, shape, touched, call, columns, floor, peers, kind, wanted)
SELECT 'jsonb_leaf_diff', 'nested', touched, 'promote.jsonb_leaf_diff(w.a, w.b)',
       ARRAY['bench.nested(n, seed)', format('bench.nested(n, seed, %s)', every)], 'bench.copy2(w.a, w.b)',
       '{"*rows": "bench.copy2_rows(w.a, w.b)", "plpgsql": "bench.plpgsql_diff(w.a, w.b)",
         "pruned": "bench.plpgsql_diff_pruned(w.a, w.b)"}', 'rows',
       CASE touched WHEN 'equal' THEN '{"floor": [2, 10], "rows": [2]}'
                    WHEN '1 %' THEN '{"plpgsql": [0.02]}' ELSE '{}' END::jsonb
  FROM (SELECT 'equal', 0 UNION ALL SELECT touched, every FROM bench.share) AS x (touched, every);

INSERT INTO bench.task (function, shape, touched, call, columns, floor, peers, fixed, wanted)
VALUES ('jsonb_render', 'nested', '5 %', 'promote.jsonb_render(w.a, $1)', ARRAY['bench.nested(n, seed, 1, 2)'],
        'bench.copy(w.a)',
        jsonb_build_object('replace', $$replace(replace(w.a::text, '{{registry}}', $1 ->> 'registry'),
                                                '{{domain}}', $1 ->> 'domain')::jsonb$$),
        '{"registry": "registry.production.example.com", "domain": "production.example.com"}', '{"replace": [0.2]}'),
       ('jsonb_digest', 'nested', 'all', 'promote.jsonb_digest(w.a)', ARRAY['bench.nested(n, seed)'], 'bench.copy(w.a)',
        '{"*sha256": "sha256(convert_to(w.a::text, ''UTF8''))"}', '{}', '{"sha256": [1]}'),
       ('jsonb_schema_valid', 'nested', 'all', 'promote.jsonb_schema_valid(w.a, $1)', ARRAY['bench.nested(n, seed)'],
        'bench.copy(w.a)', '{"*filter": "promote.jsonb_filter_copyable(w.a, $1)"}', bench.schema(), '{"filter": [5]}'),
       ('compose_params', 'nested', '1 %', 'promote.compose_params(w.a, w.b, $1, w.c)',
        ARRAY['bench.nested(n, seed)', 'bench.nested(n, seed, 7)', 'bench.nested(n, seed, 100, 1, true)',
              $$(SELECT jsonb_object_agg(key, jsonb_build_object('account_id', value -> 'account_id'))
                   FROM jsonb_each(bench.nested(n, seed, 7)))$$],
        'bench.both(bench.copy(w.b), bench.copy2(w.a, w.c))',
        jsonb_build_object('parts', $$bench.both(promote.jsonb_filter_copyable(w.b, $1),
            promote.jsonb_merge_patch(promote.jsonb_merge_patch(w.d, promote.jsonb_filter_copyable(w.a, $1)), w.c))$$),
        bench.schema(), '{"parts": [1.5]}');
INSERT INTO bench.task (function, shape, touched, call, columns, floor, peers, up_to)
SELECT 'jsonb_apply_patch', 'nested', touched, 'promote.jsonb_apply_patch(w.a, w.b)',
       ARRAY['bench.nested(n, seed)', format('bench.operations(n, seed, %s)', every)], 'bench.copy2(w.a, w.b)',
       '{"plpgsql": "bench.plpgsql_apply(w.a, w.b)"}', 100
  FROM bench.share WHERE touched <> '100 %';
INSERT INTO bench.task (function, shape, touched, call, columns, floor)
SELECT f, 'nested', touched, format('promote.%s(w.a, w.b)', f),
       ARRAY['bench.nested(n, seed)', format('bench.nested(n, seed, %s)', every)], 'bench.copy2(w.a, w.b)'
  FROM unnest(ARRAY['jsonb_diff_patch', 'jsonb_merge_diff']) AS f, bench.share WHERE touched IN ('1 key', '10 %');

-- ---- measuring ----

CREATE TABLE bench.result (task integer, storage text, kb integer, bytes float8, us float8);
CREATE TABLE bench.verdict (storage text, kb integer, what text, ok boolean);

-- How many services make a document of so many KB.
CREATE TABLE bench.service_bytes AS
SELECT pg_column_size(bench.nested(100, 1)) / 100.0 AS nested, pg_column_size(bench.flat(100, 1)) / 100.0 AS flat;

-- Makes bench.work: different documents, some MB in all, stored as the tables of promote store them, or EXTERNAL.
CREATE FUNCTION bench.prepare(t bench.task, kb integer, storage text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    documents integer := CASE WHEN kb <= 1 THEN 400 WHEN kb <= 10 THEN 100 WHEN kb <= 100 THEN 12 ELSE 2 END;
    services integer := (SELECT greatest(round(kb * 1024 / CASE t.shape WHEN 'flat' THEN flat ELSE nested END), 1)
                           FROM bench.service_bytes);
BEGIN
    DROP TABLE IF EXISTS bench.work;
    CREATE UNLOGGED TABLE bench.work (id integer, a jsonb, b jsonb, c jsonb, d jsonb);
    IF storage = 'external' THEN
        ALTER TABLE bench.work ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL,
                               ALTER c SET STORAGE EXTERNAL, ALTER d SET STORAGE EXTERNAL;
    END IF;
    EXECUTE (SELECT format('INSERT INTO bench.work SELECT seed, %s
                      FROM (SELECT $1 AS n, seed FROM generate_series(1, $2) AS seed) AS x',
                           string_agg(format('bench.copy(%s)', coalesce(t.columns[i], 'NULL')), ', ' ORDER BY i))
               FROM generate_series(1, 4) AS i) USING services, documents;
    ANALYZE bench.work;
    RETURN documents;
END
$$;

CREATE FUNCTION bench.query(kind text, call text) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    CASE kind
        WHEN 'rows' THEN format('SELECT count(*) FROM bench.work AS w, LATERAL %s AS r WHERE w.id <= $2', call)
        ELSE format('SELECT count(%s) FROM bench.work AS w WHERE w.id <= $2', call) END;

-- NULL where the query cannot be planned because a function of this version or an extension is not there.
CREATE FUNCTION bench.exists(query text, fixed jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'EXPLAIN ' || query USING fixed, 1;
    RETURN true;
EXCEPTION WHEN undefined_function THEN
    RETURN NULL;
END
$$;

-- Do two expressions give the same for the first rows? A race between different results says nothing.
CREATE FUNCTION bench.agree(t bench.task, other text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    same boolean;
BEGIN
    IF t.kind = 'rows' THEN
        EXECUTE format('SELECT (SELECT count(*) FROM bench.work AS w, LATERAL %s AS r WHERE w.id <= 2) =
                               (SELECT count(*) FROM bench.work AS w, LATERAL %s AS r WHERE w.id <= 2)', t.call, other)
            INTO same USING t.fixed;
    ELSE
        EXECUTE format('SELECT bool_and(%s = %s) FROM bench.work AS w WHERE w.id <= 2', t.call, other)
            INTO same USING t.fixed;
    END IF;
    RETURN same;
END
$$;

-- The rows that a lap of a candidate goes through: all, unless that takes too long. At least two, so that what
-- remembers the last document gains nothing, unless even that takes too long.
CREATE FUNCTION bench.rows_of_lap(query text, fixed jsonb, documents integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    us float8;
BEGIN
    PERFORM bench.lap(query, fixed, 2, 0);
    us := bench.lap(query, fixed, 2, 0);
    RETURN CASE WHEN us * documents < 50000 THEN documents WHEN us < 100000 THEN 2 ELSE 1 END;
END
$$;

CREATE TYPE bench.figure AS (name text, median float8, least float8, most float8, ratio float8);

-- Lets the candidates take turns: the median time of a call in microseconds, its spread, and the median of the ratios
-- of the first candidate to this one within a round, which what else the machine does changes least.
CREATE FUNCTION bench.race(names text[], queries text[], fixed jsonb, documents integer, rounds integer,
                           microseconds integer) RETURNS SETOF bench.figure LANGUAGE plpgsql AS $$
DECLARE
    rows_of integer[];
    times float8[] := '{}';
BEGIN
    FOR i IN 1 .. cardinality(names) LOOP
        rows_of[i] := bench.rows_of_lap(queries[i], fixed, documents);
    END LOOP;
    FOR round IN 1 .. rounds LOOP
        FOR i IN 1 .. cardinality(names) LOOP
            times := times || bench.lap(queries[i], fixed, rows_of[i], microseconds);
        END LOOP;
    END LOOP;
    RETURN QUERY
        SELECT names[i], percentile_disc(0.5) WITHIN GROUP (ORDER BY us), min(us), max(us),
               percentile_disc(0.5) WITHIN GROUP (ORDER BY times[n - i + 1] / us)
          FROM unnest(times) WITH ORDINALITY AS x (us, n),
               LATERAL (SELECT ((n - 1) % cardinality(names) + 1)::integer AS i) AS y
         GROUP BY i ORDER BY i;
END
$$;

-- A number with three digits that count.
CREATE FUNCTION bench.short(number float8) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    CASE WHEN number >= 100 THEN round(number)::text WHEN number >= 10 THEN round(number::numeric, 1)::text
         WHEN number >= 0.1 THEN round(number::numeric, 2)::text ELSE round(number::numeric, 4)::text END;

-- What a line begins with.
CREATE FUNCTION bench.label(t bench.task, kb integer) RETURNS text LANGUAGE sql IMMUTABLE RETURN
    format('%s %s %s %s', rpad((t).function, 21), rpad((t).shape, 8), lpad(kb || ' KB', 7), lpad((t).touched, 7));

-- Notes whether a ratio is what was wanted, and spells it.
CREATE FUNCTION bench.judge(storage text, kb integer, what text, ratio float8, most float8) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.verdict VALUES (storage, kb, what, ratio <= most);
    RETURN format('<= %s %s', bench.short(most), CASE WHEN ratio <= most THEN 'ok' ELSE 'MISS' END);
END
$$;

-- A line of the table; with wanted_only nothing if nothing is wanted there, and only those peers.
CREATE FUNCTION bench.measure(task integer, kb integer, storage text, rounds integer, microseconds integer,
                              wanted_only boolean) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    t bench.task;
    label text;
    documents integer;
    bytes float8;
    names text[] := ARRAY['', 'floor'];
    queries text[];
    peer record;
    subject bench.figure;
    other bench.figure;
    ratios text := '';
    missing text := '';
BEGIN
    SELECT * INTO STRICT t FROM bench.task AS x WHERE x.task = measure.task;
    SELECT coalesce(jsonb_object_agg(key, value -> 0), '{}') INTO t.wanted FROM jsonb_each(t.wanted)
     WHERE kb BETWEEN coalesce((value ->> 1)::integer, 0) AND coalesce((value ->> 2)::integer, kb);
    IF kb > t.up_to OR (wanted_only AND t.wanted = '{}') THEN
        RETURN;
    END IF;
    label := bench.label(t, kb);
    documents := bench.prepare(t, kb, storage);
    IF bench.exists(bench.query(t.kind, t.call), t.fixed) IS NULL THEN
        RETURN NEXT label || '  skipped: there is no such function in this version';
        RETURN;
    END IF;
    queries := ARRAY[bench.query(t.kind, t.call), bench.query('value', t.floor)];
    FOR peer IN SELECT ltrim(key, '*') AS name, key LIKE '*%' AS differs, value FROM jsonb_each_text(t.peers) LOOP
        CONTINUE WHEN wanted_only AND NOT t.wanted ? peer.name;
        IF bench.exists(bench.query(t.kind, peer.value), t.fixed) IS NULL THEN
            missing := missing || format('  %s -', peer.name);
        ELSE
            IF NOT peer.differs AND NOT bench.agree(t, peer.value) THEN
                RAISE WARNING '%: the result of % is another one', label, peer.name;
                missing := missing || format('  %s DIFFERS', peer.name);
            END IF;
            names := names || peer.name;
            queries := queries || bench.query(t.kind, peer.value);
        END IF;
    END LOOP;
    FOR other IN SELECT * FROM bench.race(names, queries, t.fixed, documents, rounds, microseconds) LOOP
        IF other.name = '' THEN
            subject := other;
        ELSE
            ratios := ratios || format('  %s %s', other.name, bench.short(other.ratio));
            IF t.wanted ? other.name THEN
                ratios := ratios || ' ' || bench.judge(storage, kb, t.function || ' to ' || other.name,
                                                       other.ratio, (t.wanted ->> other.name)::float8);
            END IF;
        END IF;
    END LOOP;
    SELECT avg(pg_column_size(bench.copy(w.a))) INTO bytes FROM bench.work AS w;
    INSERT INTO bench.result VALUES (task, storage, kb, bytes, subject.median);
    RETURN NEXT format('%s  %s us (%s..%s)%s%s', label, lpad(bench.short(subject.median), 8), bench.short(subject.least),
                       bench.short(subject.most), ratios, missing);
END
$$;

-- The memory of one call. What it may take is twice what goes in and comes out, all of it in memory and not compressed.
CREATE FUNCTION bench.memory(task integer, kb integer, storage text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    t bench.task;
    taken bigint;
    given bigint;
    result bigint;
BEGIN
    SELECT * INTO STRICT t FROM bench.task AS x WHERE x.task = memory.task;
    PERFORM bench.prepare(t, kb, storage);
    IF bench.exists(bench.query(t.kind, t.call), t.fixed) IS NULL THEN
        RETURN;
    END IF;
    taken := bench.peak(bench.query(t.kind, t.call), t.fixed);
    SELECT pg_column_size(bench.copy(a)) + coalesce(pg_column_size(bench.copy(b)), 0) +
           coalesce(pg_column_size(bench.copy(c)), 0)
      INTO given FROM bench.work WHERE id = 1;
    EXECUTE format(CASE t.kind
                       WHEN 'rows' THEN 'SELECT coalesce(sum(pg_column_size(r)), 0)
                                           FROM bench.work AS w, LATERAL %s AS r WHERE w.id = 1'
                       ELSE 'SELECT pg_column_size(%s) FROM bench.work AS w WHERE w.id = 1' END, t.call)
       INTO result USING t.fixed;
    RETURN NEXT format('%s  peak %s KB  in and out %s KB  %s', bench.label(t, kb), lpad(coalesce((taken / 1024)::text, '?'), 6),
                       lpad(((given + result) / 1024)::text, 6),
                       CASE WHEN taken IS NULL THEN 'not told by this system'
                            ELSE 'ratio ' || bench.short(taken::float8 / (given + result)) || ' ' ||
                                 bench.judge(storage, kb, t.function || ' memory', taken::float8 / (given + result), 2) END);
END
$$;

-- Is the cost of validation linear? Nanoseconds per byte from 10 KB on.
CREATE FUNCTION bench.linear() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT storage, max(us / bytes) / min(us / bytes) AS ratio,
                    string_agg(format('%s KB: %s', kb, bench.short(us / bytes * 1000)), ', ' ORDER BY kb) AS each
               FROM bench.result JOIN bench.task USING (task)
              WHERE function = 'jsonb_schema_valid' AND kb >= 10 GROUP BY storage HAVING count(*) > 1 LOOP
        RETURN NEXT format('jsonb_schema_valid, %s, ns per byte: %s  most to least %s %s', r.storage, r.each,
                           bench.short(r.ratio), bench.judge(r.storage, 0, 'validation per byte', r.ratio, 1.5));
    END LOOP;
END
$$;
