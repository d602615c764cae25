-- One proposal is read row by row, and sets are read by one statement for all: both read the same. What changes at
-- random promotion_set_random.sql compares; here stands what is rare.
BEGIN;
SELECT no_plan();
SET LOCAL client_min_messages = error;
INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
SELECT 'api', v, '{"properties": {"own": {"$md.copyable": false}, "password": {"$md.sensitive": true}}}'
  FROM unnest('{1.0.0,1.1.0,1.2.0-rc.1,2.0.0-rc.1}'::text[]) AS v;
INSERT INTO promote.project VALUES ('shop');
INSERT INTO promote.environment (project, environment, version_policy, require_proven_release, require_plan,
                                 require_expected)
SELECT 'shop', e, CASE WHEN e ~ '^p' THEN 'pinned' ELSE 'constraint' END, false, false, false
  FROM unnest('{from,one,many,pone,pmany}'::text[]) AS e;
INSERT INTO promote.component (project, component, bundle, version_policy)
SELECT 'shop', c, 'api', CASE c WHEN 'pinned' THEN 'pinned' WHEN 'free' THEN 'constraint' END
  FROM unnest('{stable,dev,exact,patch,pinned,free}'::text[]) AS c;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);

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
SELECT promote.configure_instance('shop-from-' || c, '{"own": 1, "password": "p"}', v)
  FROM (VALUES ('stable', '~1'), ('dev', 'latest+dev'), ('exact', '2.0.0-rc.1'), ('patch', '~1.0'), ('pinned', '1.0.0'),
               ('free', '1.0.0')) AS v (c, v) \g /dev/null
SELECT pg_temp.work();
SELECT promote.deploy_instance(name) FROM promote.instance WHERE environment = 'from' \g /dev/null
SELECT pg_temp.work();
-- the source moves on from what it runs
SELECT promote.configure_instance('shop-from-' || c, '{"more": 2}', 'latest') FROM unnest('{pinned,free}'::text[]) AS c
\g /dev/null

-- Promotes everything to two environments, to one by single verbs and to the other as a set.
CREATE FUNCTION pg_temp.promote_all(one text, many text, VARIADIC options text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c text;
BEGIN
    FOR c IN SELECT component FROM promote.component ORDER BY component LOOP
        EXECUTE format('SELECT promote.promote_instance(%L, %L%s)', 'shop-from-' || c,
            format('shop-%s-%s', one, c), options[1]);
    END LOOP;
    EXECUTE format('SELECT promote.promote_many(%L, %L%s)',
        ARRAY(SELECT 'shop-from-' || component FROM promote.component ORDER BY component),
        ARRAY(SELECT format('shop-%s-%s', many, component) FROM promote.component ORDER BY component), options[1]);
END
$$;
-- What of an environment differs from another one.
CREATE FUNCTION pg_temp.differing(one text, many text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (
        SELECT to_jsonb(r) - '{environment,created_at}'::text[] || jsonb_build_object('diff', (
                   SELECT jsonb_agg(d.diff ORDER BY d.deployment) FROM promote.deployment AS d
                    WHERE d.environment = r.environment AND d.component = r.component AND d.revision = r.revision)),
               array_agg(r.environment)
          FROM promote.revision AS r WHERE r.environment IN (one, many) GROUP BY 1 HAVING count(*) <> 2) AS x
$$;
SELECT pg_temp.promote_all('one', 'many', '');
SELECT is(pg_temp.differing('one', 'many'), 0::bigint, 'both take the same of a source');
SELECT is((SELECT string_agg(component || ' ' || version, ', ' ORDER BY component) FROM promote.revision
            WHERE environment = 'one'),
    'dev 2.0.0-rc.1, exact 2.0.0-rc.1, free 1.1.0, patch 1.0.0, pinned 1.0.0, stable 1.1.0',
    'the release that its constraint allows, or the one that runs there');
SELECT pg_temp.promote_all('pone', 'pmany', '');
SELECT is(pg_temp.differing('pone', 'pmany'), 0::bigint, '... also where the environment pins');
SELECT is((SELECT string_agg(component || ' ' || version, ', ' ORDER BY component) FROM promote.revision
            WHERE environment = 'pone'),
    'dev 2.0.0-rc.1, exact 2.0.0-rc.1, free 1.1.0, patch 1.0.0, pinned 1.0.0, stable 1.1.0',
    '... unless the component says otherwise');
SELECT pg_temp.work();
SELECT promote.deploy_instance(name) FROM promote.instance WHERE environment IN ('one', 'many') \g /dev/null
SELECT pg_temp.work();
-- what runs, what waits, what has failed, what was taken down, and a release that has come since
INSERT INTO promote.bundle_release (bundle, version, params_schema)
VALUES ('api', '1.3.0', '{"properties": {"own": {"$md.copyable": false}}}');
SELECT promote.decommission_instance('shop-' || e || '-free') FROM unnest('{one,many}'::text[]) AS e \g /dev/null
SELECT pg_temp.work();
SELECT promote.configure_instance('shop-from-' || c, '{"size": 3}') FROM unnest('{stable,dev,patch}'::text[]) AS c
\g /dev/null
SELECT pg_temp.promote_all('one', 'many', ', reprovision => true');
SELECT is(pg_temp.differing('one', 'many'), 0::bigint, 'against what runs, what waits and what was taken down');
SELECT promote.abort_deployment(format('shop-%s-stable', environment), deployment) FROM promote.deployment
 WHERE environment IN ('one', 'many') AND component = 'stable' AND status = 'PENDING' \g /dev/null
SELECT promote.configure_instance('shop-from-stable', '{"size": 4}') \g /dev/null
SELECT pg_temp.promote_all('one', 'many', ', reprovision => true, source_state => ''running''');
SELECT is(pg_temp.differing('one', 'many'), 0::bigint, 'of what runs, after a plan that came to nothing');
SELECT pg_temp.promote_all('one', 'many', ', reprovision => true');
SELECT is(pg_temp.differing('one', 'many'), 0::bigint, '... and of what is desired');
SELECT * FROM finish();
ROLLBACK;
