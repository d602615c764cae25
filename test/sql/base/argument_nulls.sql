-- Whoever may use the schema may call its functions, with NULL for anything: each answers, or refuses it by a code of
-- promote's, and the server stays up.
BEGIN;
SELECT no_plan();

CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

-- Every call of a function with some arguments NULL, as a statement; of one with very many arguments, those with up to
-- two NULLs and those with all but two.
CREATE FUNCTION pg_temp.calls(function oid) RETURNS SETOF text LANGUAGE sql AS $$
SELECT format('SELECT %s.%I(%s)', min(p.pronamespace::regnamespace::text), min(p.proname), string_agg(
           CASE WHEN (mask >> (a.place::integer - 1)) & 1 = 1 THEN 'NULL' ELSE sample.value END
           || '::' || format_type(a.type, NULL), ', ' ORDER BY a.place))
  FROM pg_proc AS p
 CROSS JOIN LATERAL (
       SELECT generate_series(0, (1 << p.pronargs) - 1) WHERE p.pronargs <= 9
       UNION
       SELECT few # CASE WHEN others THEN (1 << p.pronargs) - 1 ELSE 0 END
         FROM (SELECT 0 AS few UNION SELECT (1 << i) | (1 << j) FROM generate_series(0, p.pronargs - 1) AS i,
             generate_series(0, p.pronargs - 1) AS j) AS f, unnest('{f,t}'::boolean[]) AS others
        WHERE p.pronargs > 9) AS choice (mask)
 CROSS JOIN unnest(p.proargtypes) WITH ORDINALITY AS a (type, place)
  LEFT JOIN (VALUES ('boolean', 'true'), ('bytea', $v$'\x00'$v$), ('bigint', '1'), ('integer', '1'),
                    ('interval', $v$'1 min'$v$), ('jsonb', $v$'{"a": 1}'$v$), ('text', $v$'a-b-c'$v$),
                    ('text[]', $v$'{PLAN}'$v$), ('integer[]', $v$'{1}'$v$),
                    ('jsonb[]', $v$'{}'$v$), ('timestamp with time zone', 'now()'),
                    ('timestamp without time zone', $v$'2026-01-01'$v$), ('timestamp without time zone[]', $v$'{}'$v$),
                    ('tstzrange', $v$'(,)'$v$)) AS sample (type, value)
    ON sample.type = format_type(a.type, NULL)
 WHERE p.oid = function
 GROUP BY mask
$$;

CREATE TEMP TABLE called AS
SELECT p.oid::regprocedure::text AS function, c.call, pg_temp.outcome(c.call) AS outcome
  FROM pg_proc AS p
  JOIN pg_language AS l ON l.oid = p.prolang
 CROSS JOIN LATERAL pg_temp.calls(p.oid) AS c (call)
 WHERE p.pronamespace IN ('promote'::regnamespace, 'promote_internal'::regnamespace) AND l.lanname = 'c'
   AND NOT p.proisstrict AND p.prorettype <> 'trigger'::regtype;

SELECT cmp_ok(count(*), '>', 5000::bigint, 'functions that take NULL were called with every choice of them')
    FROM called;
SELECT is_empty('SELECT function, call FROM called WHERE call IS NULL', '... whatever their types are');
SELECT is_empty($$SELECT call, outcome FROM called WHERE outcome <> 'ok' AND outcome !~ '^PM'$$,
    '... and answered, or refused it by a code of promote''s');
SELECT is(promote_internal.check_deployment(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), false,
    'a deployment without anything makes no sense');
SELECT is(promote_internal.check_audit('p', 1, 'e', NULL, NULL), false, 'nor does an audit row without a hash');

SELECT * FROM finish();
ROLLBACK;
