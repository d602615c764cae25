-- Drivers send parameters without types, by place or by name.  Every function of the schema is found so, and what it
-- returns has columns with names.
BEGIN;
SELECT no_plan();

-- What becomes of PREPARE with parameters that have no type: 'ok', or the error.
CREATE FUNCTION pg_temp.prepared(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'PREPARE unknown AS SELECT * FROM ' || call || ' AS f';
    DEALLOCATE unknown;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END
$$;

CREATE TEMP TABLE callable AS
SELECT p.oid, p.proname::text AS function, p.pronargs::integer AS most, p.pronargs - p.pronargdefaults AS least,
       p.proargnames[:p.pronargs] AS names, p.prorettype, p.proretset, p.proargmodes, p.provariadic
  FROM pg_proc AS p
 WHERE p.pronamespace = 'promote'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype;
SELECT cmp_ok(count(*), '>', 100::bigint, 'functions') FROM callable;

SELECT is(pg_temp.prepared(format('promote.%I(%s)', function, (SELECT string_agg('$' || n, ', ' ORDER BY n)
           FROM generate_series(1, given) AS n))), 'ok', format('%s, %s parameters by place', function, given))
  FROM callable CROSS JOIN LATERAL unnest(ARRAY[least, most]) AS given GROUP BY function, given;
SELECT is(pg_temp.prepared(format('promote.%I(%s)', function, (SELECT string_agg(format('%I => $%s', name, n), ', ')
           FROM unnest(names) WITH ORDINALITY AS a (name, n)))), 'ok', function || ', by name')
  FROM callable WHERE most > 0;
SELECT is(pg_temp.prepared('promote.blockers(instance => $1::text, nothing => $2)') <> 'ok', true,
    'the test can tell');

SELECT is_empty('SELECT function FROM callable GROUP BY function HAVING count(*) > 1', 'one function of each name');
SELECT is_empty('SELECT function FROM callable WHERE provariadic <> 0', '... none of them variadic');
SELECT is_empty($$SELECT function FROM callable CROSS JOIN LATERAL unnest(names) AS name
    WHERE name !~ '^[a-z][a-z0-9_]*$'$$, 'arguments have names that need no quotes for their letters');
SELECT is_empty($$SELECT function FROM callable WHERE most > 0 AND cardinality(names) IS DISTINCT FROM most$$,
    '... all of them');
-- GraphQL's servers page through sets of rows by arguments of their own.
SELECT is_empty($$SELECT c.function, name FROM callable AS c JOIN pg_proc AS p USING (oid)
    CROSS JOIN LATERAL unnest(c.names) AS name WHERE c.proretset AND p.provolatile <> 'v'
    AND name IN ('first', 'last', 'before', 'after', 'offset', 'condition', 'filter', 'order_by')$$,
    '... none that pages through rows');
SELECT is_empty($$SELECT function FROM callable AS c JOIN pg_type AS t ON t.oid = c.prorettype
    WHERE t.typtype = 'p' AND NOT (t.typname = 'record' AND '{t,o}'::"char"[] && c.proargmodes)$$,
    'rows that are returned have columns');

SELECT * FROM finish();
ROLLBACK;
