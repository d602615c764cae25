-- promote is what people use, promote_internal what that is made of: nobody needs, or has, a way into the second.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
CREATE ROLE s_all;
INSERT INTO promote.grants (role, action)
SELECT 's_all', action FROM
    unnest('{view,configure,promote,plan,deploy,approve,override,decommission,secrets,work,admin,audit}'::text[]) AS
    action;
CREATE FUNCTION pg_temp.as_all(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    SET LOCAL ROLE s_all;
    EXECUTE statement INTO answer;
    RESET ROLE;
    RETURN answer;
END
$$;

-- ---- who comes in ----
SELECT is((SELECT string_agg(a.privilege_type || ' ' || a.grantee::regrole, ', ' ORDER BY 1) FROM pg_namespace AS n,
    aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
            WHERE n.nspname = 'promote_internal' AND a.grantee <> n.nspowner), NULL,
                'nobody but the owner has anything of promote_internal');
SELECT ok(has_schema_privilege('s_all', 'promote', 'USAGE'), 'of promote everybody has USAGE');
SELECT is((SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc AS p, aclexplode(p.proacl) AS a
    WHERE p.pronamespace = 'promote_internal'::regnamespace AND a.grantee = 's_all'::regrole), NULL,
    'a role with all grants was given none of its functions');
SELECT is((SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class AS c, aclexplode(c.relacl) AS a
    WHERE c.relnamespace = 'promote_internal'::regnamespace AND a.grantee = 's_all'::regrole), NULL, '... nor views');
SELECT throws_ok(format('SELECT pg_temp.as_all(%L)', format('SELECT %s(%s)', p.oid::regproc,
    (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(p.proargtypes::oid[]) AS t))),
    '42501', 'permission denied for schema promote_internal', p.oid::regproc || ' is not called by name')
  FROM pg_proc AS p WHERE p.pronamespace = 'promote_internal'::regnamespace ORDER BY p.oid::regproc::text;
SELECT throws_ok(format('SELECT pg_temp.as_all(%L)', 'SELECT count(*) FROM ' || c.oid::regclass), '42501',
    'permission denied for schema promote_internal', c.oid::regclass || ' is not read by name')
  FROM pg_class AS c WHERE c.relnamespace = 'promote_internal'::regnamespace AND c.relkind IN ('r', 'v')
      ORDER BY c.relname;

-- ---- and need not ----
SELECT lives_ok(format('SELECT pg_temp.as_all(%L)', 'SELECT string_agg(x::text, '''') FROM (SELECT * FROM '
    || c.oid::regclass || ') AS x'), c.oid::regclass || ' is read all the same')
  FROM pg_class AS c WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'v' ORDER BY c.relname;
SELECT lives_ok($$SELECT
    pg_temp.as_all('SELECT new_revision FROM promote.configure_instance(''ecomm-staging-db'', ''{"replicas": 3}'')')$$,
    'a verb, behind which triggers, CHECKs and defaults are, is called');
SELECT lives_ok($$SELECT
    pg_temp.as_all('SELECT promote.jsonb_deep_merge_agg(x) FROM (VALUES (''{"a": 1}''::jsonb), (''{"b": 1}'')) AS v '
    '(x)')$$, '... and an aggregate');
-- whoever was granted INSERT by hand needs nothing of what judges the row
GRANT INSERT, SELECT ON promote.bundle_release, promote.schema_document, promote.config, promote.stateful_type TO s_all;
CREATE POLICY by_hand ON promote.bundle_release FOR INSERT TO s_all WITH CHECK (true);
SELECT lives_ok($$SELECT
    pg_temp.as_all('INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES '
    '(''postgres'', ''7.0.0'', ''{}'') RETURNING 1')$$, 'a row is inserted by hand');

-- ---- \df promote.* ----
SELECT is((SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc AS p
    WHERE p.pronamespace = 'promote'::regnamespace
            AND (p.prorettype = 'trigger'::regtype
                 OR EXISTS (SELECT FROM pg_aggregate AS a WHERE a.aggtransfn = p.oid
                     AND NOT p.proname IN ('jsonb_deep_merge', 'jsonb_merge_patch')))), NULL,
                     'no function of promote is a trigger''s or a part of an aggregate');
SELECT is((SELECT count(*) FROM pg_proc WHERE pronamespace = 'promote_internal'::regnamespace
    AND prorettype = 'trigger'::regtype),
          (SELECT count(*) FROM pg_proc AS p WHERE p.prorettype = 'trigger'::regtype AND p.probin ~ 'promote'),
              'all trigger functions are in promote_internal');


-- ---- names that nobody takes for another ----
CREATE TEMP VIEW api (name, kind) AS
    SELECT DISTINCT p.proname::text, 'function' FROM pg_proc AS p WHERE p.pronamespace = 'promote'::regnamespace
    UNION ALL SELECT c.relname::text, CASE c.relkind WHEN 'c' THEN 'type' ELSE 'relation' END FROM pg_class AS c
        WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind IN ('r', 'v', 'c')
    UNION ALL SELECT t.typname::text, 'domain' FROM pg_type AS t WHERE t.typnamespace = 'promote'::regnamespace
        AND t.typtype = 'd';
SELECT cmp_ok(count(*), '>', 150::bigint, 'functions, relations and types are found') FROM api;
SELECT is_empty($$SELECT string_agg(name || ' ' || kind, ', ') FROM api
    GROUP BY regexp_replace(regexp_replace(name, 'ies(_|$)', 'y\1', 'g'), 's(_|$)', '\1', 'g') HAVING count(*) > 1$$,
    'no two of them differ by an s, or not at all');

-- ---- what a driver calls that sends no types ----
SELECT is_empty($$SELECT proname, count(*) FROM pg_proc WHERE pronamespace = 'promote'::regnamespace AND prokind <> 'a'
    GROUP BY proname HAVING count(*) > 1$$, 'no function is overloaded');
SELECT lives_ok(format('PREPARE untyped AS SELECT %s(%s)', p.oid::regproc, (SELECT string_agg('$' || n, ', ')
    FROM generate_series(1, given) AS n)) || '; DEALLOCATE untyped',
                format('%s with %s arguments of no type', p.proname, given))
  FROM pg_proc AS p, generate_series(p.pronargs::integer - p.pronargdefaults, p.pronargs) AS given
 WHERE p.pronamespace = 'promote'::regnamespace AND p.prokind = 'f' ORDER BY p.proname, given;
SELECT lives_ok(format('PREPARE untyped AS SELECT promote.%I(%s)', p.proname, (SELECT string_agg('$' || n, ', ')
    FROM generate_series(1, p.pronargs::integer) AS n)) || '; DEALLOCATE untyped',
                format('%s with %s arguments of no type', p.proname, p.pronargs))
  FROM pg_proc AS p WHERE p.pronamespace = 'promote'::regnamespace AND p.prokind = 'a' ORDER BY p.proname, p.pronargs;

SELECT * FROM finish();
ROLLBACK;
