-- All that the catalog has of promote, a line for each fact: run it with psql -XAtq where the extension is. Databases
-- that give the same lines have the same extension, however it came to be there: made, updated, restored or upgraded.
--
-- A fact is a column of a catalog's row, with names in the place of OIDs; so columns that a new major of PostgreSQL
-- brings are looked at, too. The columns that are left out are named below, with what is asked for in their place. What
-- refers to what is read from pg_get_catalog_foreign_keys.
SET search_path = pg_catalog, pg_temp;

-- A trigger's kind and name; a foreign key's own triggers have a number in their names.
CREATE FUNCTION pg_temp.trigger_name(trigger oid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN t.tgisinternal
                THEN format('trigger of constraint %s on %s by %s', k.conname, t.tgrelid::regclass, t.tgfoid::regproc)
                ELSE format('trigger %I on %s', t.tgname, t.tgrelid::regclass) END
      FROM pg_trigger AS t LEFT JOIN pg_constraint AS k ON k.oid = t.tgconstraint
     WHERE t.oid = $1
$$;

-- An object's kind and name, without numbers. It is called for everything, and so one that the planner takes in.
CREATE FUNCTION pg_temp.name_of(class oid, object oid, part integer DEFAULT 0) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN $2 = 0 THEN '-'
                WHEN $1 = 2620 THEN pg_temp.trigger_name($2)
                ELSE (pg_identify_object($1, $2, $3)).type || ' ' || (pg_identify_object($1, $2, $3)).identity END
$$;

-- Is an object promote's, by its name? Objects in its schemas are, and what hangs on these; and so is the extension.
CREATE FUNCTION pg_temp.is_ours(name text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
    $$SELECT $1 ~ '(^|[ .,(])"?promote(_internal)?(\.|$)'$$;

-- Catalogs, each with what its rows t are called, which of them are looked at, which columns are not, and what else is
-- asked for.
CREATE TEMP TABLE catalog (name regclass, called text, condition text, without text[], besides text);
INSERT INTO catalog VALUES
    ('pg_extension', NULL, $$t.extname = 'promote'$$, '{oid}', NULL),
    ('pg_namespace', NULL, $$t.oid IN (SELECT ours)$$, '{oid}', NULL),
    -- files and statistics; columns that were dropped are counted in relnatts
    ('pg_class', NULL, $$t.relnamespace IN (SELECT ours)$$,
        ('{oid,relfilenode,relpages,reltuples,relallvisible,relallfrozen,reltoastrelid,relfrozenxid,relminmxid,'
         'relnatts}')::text[], NULL),
    -- the place is counted without columns that were dropped; some minor releases stamp each with a number
    ('pg_attribute', $$pg_temp.name_of('pg_class'::regclass, t.attrelid, t.attnum)$$,
        $$t.attnum > 0 AND NOT t.attisdropped
          AND t.attrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT ours))$$,
        '{attnum,attcacheoff,atthasmissing,attmissingval,attoptions}',
        $$'attoptions', ARRAY(SELECT o FROM unnest(t.attoptions) AS o WHERE o !~ '^pg_attver='),
          'place', (SELECT count(*) FROM pg_attribute AS b
                     WHERE b.attrelid = t.attrelid AND b.attnum BETWEEN 1 AND t.attnum AND NOT b.attisdropped)$$),
    ('pg_attrdef', NULL, $$t.adrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT ours))$$,
        '{oid,adnum,adbin}', $$'default', pg_get_expr(t.adbin, t.adrelid)$$),
    ('pg_constraint', NULL, $$t.connamespace IN (SELECT ours)$$, '{oid,conkey,confkey,conbin,confdelsetcols}',
        $$'definition', pg_get_constraintdef(t.oid)$$),
    ('pg_index', $$pg_temp.name_of('pg_class'::regclass, t.indexrelid)$$,
        $$t.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT ours))$$,
        '{indkey,indexprs,indpred,indcheckxmin}', $$'definition', pg_get_indexdef(t.indexrelid)$$),
    ('pg_trigger', NULL, $$t.tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT ours))$$,
        '{oid,tgname,tgargs,tgattr,tgqual}',
        $$'definition', CASE WHEN NOT t.tgisinternal THEN pg_get_triggerdef(t.oid) END$$),
    ('pg_policy', NULL, $$t.polrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT ours))$$,
        '{oid,polqual,polwithcheck}',
        $$'using', pg_get_expr(t.polqual, t.polrelid), 'check', pg_get_expr(t.polwithcheck, t.polrelid)$$),
    ('pg_rewrite', NULL, $$t.ev_class IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT ours))$$,
        '{oid,ev_qual,ev_action}', $$'definition', pg_get_ruledef(t.oid)$$),
    ('pg_proc', NULL, $$t.pronamespace IN (SELECT ours)$$, '{oid,proargdefaults,prosqlbody}',
        $$'arguments', pg_get_function_arguments(t.oid), 'body', pg_get_function_sqlbody(t.oid)$$),
    ('pg_type', NULL, $$t.typnamespace IN (SELECT ours)$$, '{oid,typdefaultbin}', NULL);

-- The facts that a catalog's columns are.
CREATE FUNCTION pg_temp.facts(what catalog) RETURNS TABLE (object text, fact text, value text) LANGUAGE plpgsql AS $$
DECLARE
    pairs text;
BEGIN
    SELECT string_agg(format('%L, ', a.attname) || CASE
               WHEN a.atttypid = 'aclitem[]'::regtype
                   THEN format('ARRAY(SELECT u::text FROM unnest(t.%I) AS u ORDER BY 1)', a.attname)
               WHEN k.is_array
                   THEN format('ARRAY(SELECT pg_temp.name_of(%s, u) FROM unnest(t.%I::oid[]) AS u)', k.pktable::oid,
                               a.attname)
               WHEN k.pktable IS NOT NULL THEN format('pg_temp.name_of(%s, t.%I::oid)', k.pktable::oid, a.attname)
               ELSE format('t.%I', a.attname)
           END, ', ' ORDER BY a.attnum) || COALESCE(', ' || what.besides, '')
      INTO pairs
      FROM pg_attribute AS a
      LEFT JOIN pg_get_catalog_foreign_keys() AS k
        ON k.fktable = a.attrelid::regclass AND k.fkcols = ARRAY[a.attname::text]
     WHERE a.attrelid = what.name AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (what.without);
    RETURN QUERY EXECUTE format($query$
        WITH our (ours) AS (SELECT oid FROM pg_namespace WHERE nspname IN ('promote', 'promote_internal'))
        SELECT r.object, p.key, p.value
          FROM (SELECT %s AS object, jsonb_build_object(%s) AS facts
                  FROM %s AS t WHERE %s) AS r
         CROSS JOIN LATERAL jsonb_each_text(r.facts) AS p
        $query$, COALESCE(what.called, format('pg_temp.name_of(%s, t.oid)', what.name::oid)), pairs, what.name,
        replace(what.condition, '(SELECT ours)', '(SELECT ours FROM our)'));
END
$$;

SELECT format('%s: %s = %s', f.object, f.fact, replace(f.value, E'\n', ' '))
  FROM catalog AS c CROSS JOIN LATERAL pg_temp.facts(c) AS f
 WHERE f.value IS NOT NULL
UNION ALL
SELECT format('%s: comment = %s', n.name, d.description)
  FROM pg_description AS d CROSS JOIN LATERAL pg_temp.name_of(d.classoid, d.objoid, d.objsubid) AS n (name)
 WHERE d.objoid >= 16384 AND pg_temp.is_ours(n.name)
UNION ALL
-- what pg_dump takes for the privileges of a fresh extension
SELECT format('%s: first privileges = %s', n.name, ARRAY(SELECT u::text FROM unnest(p.initprivs) AS u ORDER BY 1))
  FROM pg_init_privs AS p CROSS JOIN LATERAL pg_temp.name_of(p.classoid, p.objoid, p.objsubid) AS n (name)
 WHERE p.objoid >= 16384 AND pg_temp.is_ours(n.name)
UNION ALL
SELECT format('%s: depends on = %s (%s)', n.name, r.name, string_agg(d.deptype::text, '' ORDER BY d.deptype))
  FROM pg_depend AS d
 CROSS JOIN LATERAL pg_temp.name_of(d.classid, d.objid, d.objsubid) AS n (name)
 CROSS JOIN LATERAL pg_temp.name_of(d.refclassid, d.refobjid, d.refobjsubid) AS r (name)
 WHERE d.objid >= 16384 AND pg_temp.is_ours(n.name) AND n.name !~ '^toast '
 GROUP BY n.name, r.name
UNION ALL
-- a kind of object that nothing above looks at
SELECT format('%s: is of a kind that is not looked at', pg_temp.name_of(d.classid, d.objid, d.objsubid))
  FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
 WHERE e.extname = 'promote' AND d.deptype = 'e' AND d.classid NOT IN (SELECT name FROM catalog)
 ORDER BY 1;
