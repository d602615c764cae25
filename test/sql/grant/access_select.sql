-- Every table and view answers SELECT * to every role with a grant, but for what is withheld, which answers nobody.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
\ir ../../fixtures/as_role.sql
SELECT pg_temp.deploy('ecomm-production-db') \g /dev/null
SELECT count(*) FROM promote.open_request('ecomm', 'staging', 'production', overrides => '{"db": {"size": "large"}}')
\g /dev/null

-- A role for each action that there is, and one without.
CREATE TEMP TABLE actor ON COMMIT DROP AS
SELECT 's_' || a.action AS role, a.action
  FROM pg_constraint AS c,
       regexp_matches(pg_get_constraintdef(c.oid), '''(\w+)''::text', 'g') AS m (words),
       LATERAL (SELECT m.words[1] AS action) AS a
 WHERE c.conrelid = 'promote.grants'::regclass AND c.conname = 'grants_action_check';
SELECT cmp_ok((SELECT count(*) FROM actor), '>=', 13::bigint, 'there are actions');
SELECT set_has('SELECT action FROM actor', $$VALUES ('view'), ('audit'), ('configure'), ('work'), ('impersonate')$$,
    '... all of them');
DO $$
DECLARE
    one record;
BEGIN
    CREATE ROLE s_nobody;
    FOR one IN SELECT * FROM actor LOOP
        EXECUTE format('CREATE ROLE %I', one.role);
        INSERT INTO promote.grants (role, action, project)
        VALUES (one.role, one.action, CASE WHEN one.action <> 'impersonate' THEN 'ecomm' END);
    END LOOP;
END
$$;
CREATE TEMP TABLE relation ON COMMIT DROP AS
SELECT c.relname::text AS name, c.relname = ANY (promote_internal.withheld_tables()) AS withheld,
       c.relkind = 'r' AS is_table, c.oid
  FROM pg_class AS c WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind IN ('r', 'v');
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM relation WHERE withheld),
    'config parameter_set project_key secret', 'what is withheld');
SELECT cmp_ok((SELECT count(*) FROM relation WHERE NOT withheld), '>', 40::bigint, '... is not all');

CREATE FUNCTION pg_temp.answer(role text, name text) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(substring(pg_temp.as_role(role,
    format('SELECT count(x)::text FROM (SELECT * FROM promote.%I) AS x', name))
                              FROM '^[0-9A-Z]{5}(?=:)'), 'answers')
$$;
SELECT is(pg_temp.answer(a.role, r.name), CASE WHEN r.withheld THEN '42501'
    -- whoever sees nothing of any project is refused, as by promote.matrix
    WHEN a.action = 'impersonate' AND r.name = 'promotion_matrix' THEN 'PM701' ELSE 'answers' END,
    format('%s: SELECT * FROM %s', a.role, r.name)) FROM actor AS a, relation AS r ORDER BY r.name, a.role;
SELECT is(pg_temp.answer('s_nobody', r.name), '42501',
    'without a grant: ' || r.name) FROM relation AS r ORDER BY r.name;

-- ---- privileges are of whole tables ----
SELECT is_empty($$SELECT attrelid::regclass, attname, attacl FROM pg_attribute
    WHERE attrelid IN (SELECT oid FROM relation) AND attacl IS NOT NULL$$, 'no column has privileges of its own');
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM relation AS r
    WHERE is_table AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = r.oid)),
    'config parameter_set project_key secret', 'what is withheld has row-level security, and no policy');
SELECT is_empty($$SELECT name FROM relation JOIN pg_class USING (oid) WHERE is_table AND NOT relrowsecurity$$,
    '... as has every table');
GRANT SELECT ON promote.config, promote.parameter_set, promote.project_key, promote.secret TO s_view, s_work;
SELECT is(pg_temp.as_role(role, format('SELECT count(*)::text FROM promote.%I', name)), '0',
    format('%s was granted SELECT on %s by hand, and sees no row', role, name))
  FROM unnest('{s_view,s_work}'::text[]) AS role, relation WHERE withheld ORDER BY 1;

-- ---- the shape of overrides, of whoever writes them ----
SELECT promote.promote_instance('ecomm-staging-db', 'ecomm-prod-uswest-db',
    '[{"op": "add", "path": "/subnet", "value": "SHAPE-unseen"}, {"op": "copy", "from": "/subnet",
    "path": "/account"}]',
    plan => false) \g /dev/null
SELECT is((SELECT overrides FROM promote.revision WHERE environment = 'prod-uswest'),
    '[{"op": "add", "path": "/subnet", "value": "(value)"}, {"op": "copy", "from": "/subnet", "path": "/account"}]',
    'a JSON Patch says what it does and where');
SELECT promote.configure_instance('ecomm-prod-uswest-db',
    '{"tier": null, "network": {"zones": ["SHAPE-unseen"]}, "nodes": [{"id": "q", "role": "r"}]}',
    plan => false) \g /dev/null
SELECT is((SELECT overrides FROM promote.revision WHERE environment = 'prod-uswest' AND revision = 2),
    '{"tier": null, "nodes": [{"id": "(value)", "role": "(value)"}], "network": {"zones": ["(value)"]}}',
    'a merge patch what it sets, and what it takes away');
INSERT INTO promote.revision (project, environment, component, digest, version_constraint, overrides)
SELECT project, environment, component, digest, version_constraint,
    '{"size": "SHAPE-unseen", "deep": [[1, true, null]]}'
  FROM promote.revision WHERE environment = 'prod-uswest' AND revision = 2;
SELECT is((SELECT overrides FROM promote.revision WHERE environment = 'prod-uswest' AND revision = 3),
    '{"size": "(value)", "deep": [["(value)", "(value)", null]]}', '... also where it was inserted');
SELECT is((SELECT count(*) FROM promote.revision AS r WHERE r::text ~ 'SHAPE-unseen'), 0::bigint,
    'no value is there');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'the chains are whole');
SELECT * FROM finish();
ROLLBACK;
