-- Whatever happened before: what the preview shows is what the result says, what the plan says, and what its worker
-- gets.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SELECT setseed(0.15);

INSERT INTO promote.bundle VALUES ('api');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
    VALUES ('api', '1.0.0', '{"properties": {"own": {"$md.copyable": false}, "pw": {"$md.sensitive": true}}}');
INSERT INTO promote.component VALUES ('ecomm', 'api', 'api');
INSERT INTO promote.instance (project, environment, component)
SELECT 'ecomm', e, 'api' FROM unnest('{staging,production}'::text[]) AS e;
UPDATE promote.environment SET parameters = parameters || '{"x": 0}';
UPDATE promote.instance SET attributes = '{"mine": 1}' WHERE name = 'ecomm-production-api';
SELECT promote.configure_instance('ecomm-' || e || '-api', '{"a": 1, "x": "{{x}}"}', '~1')
    FROM unnest('{staging,production}'::text[]) AS e \g /dev/null

-- Some params.
CREATE FUNCTION pg_temp.some() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(jsonb_object_agg(k, v) FILTER (WHERE random() < 0.4), '{}')
      FROM (SELECT k, (ARRAY['1', '2', 'null', '"{{x}}"', '{"b": [1, "{{x}}"]}'])[ceil(random() * 5)]::jsonb AS v
              FROM unnest('{a,b,c,own,pw}'::text[]) AS k) AS s
$$;
-- What the diff of a deployment has to say of leaves, by the documents alone.
CREATE FUNCTION pg_temp.leaves(d promote.deployment) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', path, change), ',' ORDER BY path COLLATE "C")
      FROM promote.jsonb_leaf_diff(COALESCE((SELECT c.params FROM promote.deployment AS b JOIN promote.config AS c
               ON c.project = b.project AND c.digest = b.rendered_digest
            WHERE (b.project, b.environment, b.component, b.deployment)
                  = ($1.project, $1.environment, $1.component, $1.base_deployment)), '{}'),
          (SELECT c.params FROM promote.config AS c WHERE c.project = $1.project AND c.digest = $1.rendered_digest))
$$;
CREATE FUNCTION pg_temp.said(diff jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', e ->> 'path', e ->> 'change'), ',' ORDER BY (e ->> 'path') COLLATE "C")
      FROM jsonb_array_elements($1) AS e WHERE e ->> 'kind' IN ('param', 'parameter')
$$;
-- One step of a history: what contradicts what.
CREATE FUNCTION pg_temp.step(n integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    over jsonb := pg_temp.some();
    shown jsonb;
    moves boolean;
    given promote.deployment;
    result record;
    claim record;
    i promote.instance;
BEGIN
    CASE floor(random() * 9)
    WHEN 0 THEN PERFORM promote.configure_instance('ecomm-staging-api', pg_temp.some());
    WHEN 1 THEN PERFORM promote.configure_instance('ecomm-production-api', pg_temp.some(), plan => random() < 0.5);
    WHEN 2 THEN
        PERFORM promote.configure_instance('ecomm-staging-api', '{}',
            (ARRAY['~1', '1.0.0', '~1+dev'])[ceil(random() * 3)]);
    WHEN 3 THEN
        UPDATE promote.environment SET parameters = parameters || jsonb_build_object('x', n % 3)
            WHERE environment = 'production';
    WHEN 4 THEN
        INSERT INTO promote.bundle_release (bundle, version, params_schema)
        SELECT 'api', '1.0.' || n, params_schema FROM promote.bundle_release WHERE bundle = 'api' AND version = '1.0.0';
    WHEN 5 THEN
        BEGIN
            PERFORM promote.deploy_instance('ecomm-production-api');
        EXCEPTION WHEN SQLSTATE 'PM503' OR SQLSTATE 'PM504' THEN NULL; -- nothing of it is planned
        END;
    WHEN 6 THEN
        IF random() < 0.3 AND (SELECT status = 'PROVISIONED' FROM promote.instance
            WHERE name = 'ecomm-production-api') THEN
            PERFORM promote.decommission_instance('ecomm-production-api');
        END IF;
    ELSE
        SELECT COALESCE(jsonb_agg(jsonb_build_array(kind, path, running_value, new_value, since, immutable, sensitive)
                                  ORDER BY path) FILTER (WHERE since IS NOT NULL), '[]'),
               COALESCE(bool_or(change IN ('add', 'change', 'remove') AND NOT (sensitive AND origin = 'override')),
                   false)
          INTO shown, moves
          FROM promote.preview_promotion('ecomm-staging-api', 'ecomm-production-api', over - 'pw',
               reprovision => true);
        SELECT * INTO result FROM promote.promote_instance('ecomm-staging-api', 'ecomm-production-api', over - 'pw',
            reprovision => true,
            plan => random() < 0.7);
        IF shown IS DISTINCT FROM (SELECT COALESCE(jsonb_agg(jsonb_build_array(e -> 'kind', e -> 'path', e -> 'old',
                e -> 'new', e -> 'since', e ? 'immutable', e ? 'sensitive') ORDER BY e ->> 'path'), '[]')
                                     FROM jsonb_array_elements(result.diff) AS e) THEN
            RETURN NEXT format('%s: previewed %s, promoted %s', n, shown, result.diff);
        END IF;
        IF moves <> result.changed THEN
            RETURN NEXT format('%s: the preview moves something: %s, the result: %s', n, moves, result.changed);
        END IF;
        IF result.deployment IS NOT NULL AND result.diff <> (SELECT d.diff FROM promote.deployment AS d
                WHERE d.environment = 'production' AND d.component = 'api' AND d.deployment = result.deployment) THEN
            RETURN NEXT format('%s: the plan says something else', n);
        END IF;
        SELECT * INTO i FROM promote.instance WHERE name = 'ecomm-production-api';
        IF result.diff = '[]' AND result.deployment IS NOT NULL AND i.changed_by = i.deployed_by THEN
            RETURN NEXT format('%s: nothing waits, and is planned', n);
        END IF;
        RETURN QUERY SELECT format('%s: %s waits since %s', n, e ->> 'path', e -> 'since')
          FROM jsonb_array_elements(result.diff) AS e
         WHERE NOT COALESCE((e -> 'since')::integer, 0) BETWEEN 1 AND result.new_revision;
    END CASE;
    -- a worker
    FOR step IN 1 .. floor(random() * 4) LOOP
        SELECT * INTO claim FROM promote.claim_deployment('w', selector => '{"mine": 1}');
        CONTINUE WHEN NOT FOUND;
        SELECT * INTO given FROM promote.deployment AS d
         WHERE d.environment = 'production' AND d.component = 'api' AND d.deployment = claim.deployment;
        SELECT * INTO i FROM promote.instance WHERE name = 'ecomm-production-api';
        IF claim.action = 'PLAN' AND given.base_deployment IS DISTINCT FROM i.deployed_by THEN
            RETURN NEXT format('%s: the plan starts from %s, and %s runs', n, given.base_deployment, i.deployed_by);
        END IF;
        IF claim.action <> 'DECOMMISSION' AND pg_temp.leaves(given) IS DISTINCT FROM pg_temp.said(given.diff) THEN
            RETURN NEXT format('%s: the worker of %s %s gets %s, and the diff says %s', n, claim.action,
                claim.deployment,
                               pg_temp.leaves(given), pg_temp.said(given.diff));
        END IF;
        IF random() < 0.1 THEN
            PERFORM promote.fail_deployment(claim.instance, claim.deployment, 'broken', claim.fencing);
        ELSE
            PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
        END IF;
    END LOOP;
END
$$;

SELECT is((SELECT string_agg(s, E'\n') FROM generate_series(1, 400) AS n, pg_temp.step(n) AS s), NULL,
    'the preview, the result, the plan and the worker agree');
SELECT ok((SELECT count(*) FILTER (WHERE action = 'PROVISION' AND status = 'COMPLETED') > 5
                  AND count(*) FILTER (WHERE action = 'DECOMMISSION' AND status = 'COMPLETED') > 0
                  AND count(*) FILTER (WHERE status = 'FAILED') > 0
             FROM promote.deployment WHERE environment = 'production' AND component = 'api'),
                 'of a history that has it all');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and all of it is on record');
SELECT * FROM finish();
ROLLBACK;
