-- What promote promises to those who call it: names, and columns with their types, a line each. Run it with psql -XAtq
-- where the extension is, and this gives test/promise.txt: doc/reference/surface.md.
SELECT line
  FROM (
    SELECT 1, c.relname::text, a.attnum::integer,
           format('%s %s.%s %s', CASE c.relkind WHEN 'r' THEN 'table' ELSE 'view' END, c.relname, a.attname,
                  format_type(a.atttypid, a.atttypmod))
      FROM pg_class AS c
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind IN ('r', 'v')
    UNION ALL
    SELECT 2, t.typname, a.attnum, format('type %s.%s %s', t.typname, a.attname, format_type(a.atttypid, a.atttypmod))
      FROM pg_type AS t
      JOIN pg_class AS c ON c.oid = t.typrelid AND c.relkind = 'c'
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE t.typnamespace = 'promote'::regnamespace
    UNION ALL
    SELECT 3, t.typname, 0, format('domain %s %s', t.typname, format_type(t.typbasetype, t.typtypmod))
      FROM pg_type AS t
     WHERE t.typnamespace = 'promote'::regnamespace AND t.typtype = 'd'
    UNION ALL
    -- arguments in their order, then what comes back
    SELECT 4, f.name, n.place,
           CASE WHEN n.place = 0 THEN format('%s %s returns %s', f.kind, f.name, f.result)
                ELSE format('%s %s%s %s %s%s', f.kind, f.name,
                            CASE WHEN n.mode IN ('t', 'o') THEN ' returns' ELSE '' END,
                            COALESCE(f.names[n.place], '$' || n.place), format_type(n.type, NULL),
                            CASE WHEN n.mode IN ('i', 'v', 'b') AND n.place > f.pronargs - f.pronargdefaults
                                 THEN ' default' ELSE '' END) END
      FROM (SELECT p.proname || CASE WHEN count(*) OVER (PARTITION BY p.proname) > 1
                                     THEN format('(%s)', oidvectortypes(p.proargtypes)) ELSE '' END AS name,
                   CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
                   CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END || format_type(p.prorettype, NULL) AS result,
                   p.proargnames AS names, p.pronargs, p.pronargdefaults,
                   COALESCE(p.proallargtypes, p.proargtypes::oid[]) AS types, p.proargmodes AS modes
              FROM pg_proc AS p
             WHERE p.pronamespace = 'promote'::regnamespace) AS f
     CROSS JOIN LATERAL (
           SELECT 0 AS place, NULL::oid AS type, NULL::"char" AS mode
           UNION ALL
           SELECT row_number() OVER ()::integer, t, COALESCE(f.modes[row_number() OVER ()], 'i')
             FROM unnest(f.types) AS t) AS n) AS x (sort, name, place, line)
 ORDER BY sort, name COLLATE "C", place;
