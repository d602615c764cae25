-- What the benchmark of chains works on: three environments, so many components with 4 KB each, all of which run what
-- they desire, and of which every tenth differs from one environment to the next.
\set QUIET on

CREATE PROCEDURE bench.line(count integer) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.project VALUES ('line');
    INSERT INTO promote.environment (project, environment) SELECT 'line', e FROM unnest(ARRAY['a', 'b', 'c']) AS e;
    INSERT INTO promote.promotion_path VALUES ('line', 'a', 'b'), ('line', 'b', 'c');
    INSERT INTO promote.component (project, component, bundle) SELECT 'line', 'c' || n, 'bench' FROM generate_series(1, count) AS n;
    INSERT INTO promote.instance (project, environment, component)
    SELECT 'line', e, 'c' || n FROM unnest(ARRAY['a', 'b', 'c']) AS e, generate_series(1, count) AS n;
    INSERT INTO promote.config (project, params)
    SELECT 'line', bench.document(4) || jsonb_build_object('replicas', n, 'account_id', CASE WHEN n % 10 = 0 THEN e ELSE 'all' END)
      FROM unnest(ARRAY['a', 'b', 'c']) AS e, generate_series(1, count) AS n ON CONFLICT DO NOTHING;
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'line', e, 'c' || n, promote.config_digest('line', bench.document(4)
               || jsonb_build_object('replicas', n, 'account_id', CASE WHEN n % 10 = 0 THEN e ELSE 'all' END)), '~1'
      FROM unnest(ARRAY['a', 'b', 'c']) AS e, generate_series(1, count) AS n;
END
$$;

-- Carries out what waits, as a worker would.
CREATE PROCEDURE bench.carry_out() LANGUAGE plpgsql AS $$
DECLARE
    claim record;
BEGIN
    LOOP
        SELECT * INTO claim FROM promote.claim_deployment('bench');
        EXIT WHEN NOT FOUND;
        PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
    END LOOP;
END
$$;

-- What is read of an instance, joined: its revision and configuration, what runs, the release, references and secrets.
CREATE VIEW bench.part AS
    SELECT i.environment, i.component, k.params, f.params_schema, d.version, d.rendered_digest,
           (SELECT jsonb_object_agg(x.field, x.reference) FROM promote.remote_reference AS x
             WHERE x.project = i.project AND x.environment = i.environment AND x.component = i.component) AS remote_references,
           (SELECT jsonb_object_agg(s.secret, 'set') FROM promote.secret AS s
             WHERE s.project = i.project AND s.environment = i.environment AND s.component = i.component) AS secrets
      FROM promote.instance AS i
      JOIN promote.revision AS r USING (project, environment, component, revision)
      JOIN promote.config AS k ON k.project = r.project AND k.digest = r.digest
      JOIN promote.bundle_release AS f ON f.bundle = r.bundle AND f.version = r.version
      LEFT JOIN promote.deployment AS d
        ON d.project = i.project AND d.environment = i.environment AND d.component = i.component AND d.deployment = i.deployed_by
     WHERE i.project = 'line';

-- The floor of a comparison, and that of a chain of two steps, which reads the last plans of the destinations as well.
CREATE FUNCTION bench.floor_compare() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE a.params IS DISTINCT FROM b.params OR a.params_schema IS DISTINCT FROM b.params_schema
               OR a.remote_references IS DISTINCT FROM b.remote_references OR a.secrets IS DISTINCT FROM b.secrets)
      FROM (SELECT * FROM bench.part WHERE environment = 'a') AS a
      FULL JOIN (SELECT * FROM bench.part WHERE environment = 'b') AS b USING (component)
$$;
CREATE VIEW bench.state AS
    SELECT p.*, (SELECT d.diff FROM promote.deployment AS d
                  WHERE d.project = 'line' AND d.environment = p.environment AND d.component = p.component
                    AND d.action = 'PLAN' ORDER BY d.deployment DESC LIMIT 1) AS diff
      FROM bench.part AS p;
CREATE FUNCTION bench.floor_chain() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE a.params IS DISTINCT FROM b.params OR b.params IS DISTINCT FROM c.params
               OR a.params_schema IS DISTINCT FROM b.params_schema OR b.params_schema IS DISTINCT FROM c.params_schema
               OR b.diff IS DISTINCT FROM c.diff)
      FROM (SELECT * FROM bench.part WHERE environment = 'a') AS a
      FULL JOIN (SELECT * FROM bench.state WHERE environment = 'b') AS b USING (component)
      FULL JOIN (SELECT * FROM bench.state WHERE environment = 'c') AS c USING (component)
$$;
