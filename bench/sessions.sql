-- For bench/sessions, behind setup.sql: what so many sessions work on, in one environment and in one each, and the
-- same rows in the twins.
\set QUIET on
SET client_min_messages = error;
SET synchronous_commit = off;

INSERT INTO promote.project (project) SELECT 'one' UNION ALL SELECT 'p' || s FROM generate_series(0, :sessions - 1) AS s;

-- Where the sessions of a layout find what they work on: instance n of the layout is of project and component.
CREATE FUNCTION bench.place(layout text, n integer, OUT project text, OUT component text) LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT CASE layout WHEN 'one' THEN 'one' ELSE 'p' || n % s.sessions END, 'c' || CASE layout WHEN 'one' THEN n ELSE n / s.sessions END
          FROM (SELECT count(*)::integer - 2 AS sessions FROM promote.project) AS s;
    END;
CREATE TABLE bench.place AS
    SELECT layout, n, p.project, p.component, p.project || '-staging-' || p.component AS source, p.project || '-production-' || p.component AS destination
      FROM unnest(ARRAY['one', 'many']) AS layout, generate_series(0, :instances - 1) AS n, LATERAL bench.place(layout, n) AS p;
ALTER TABLE bench.place ADD PRIMARY KEY (layout, n);

INSERT INTO promote.environment (project, environment)
SELECT project, e FROM promote.project, unnest(ARRAY['staging', 'production', 'pool']) AS e WHERE project <> 'bench';
INSERT INTO promote.component (project, component, bundle) SELECT project, component, 'bench' FROM bench.place;
INSERT INTO promote.instance (project, environment, component)
SELECT project, e, component FROM bench.place, unnest(ARRAY['staging', 'production', 'pool']) AS e
 WHERE e = 'pool' OR n < :voted;
INSERT INTO promote.config (project, params) SELECT project, bench.document(4) FROM promote.project ON CONFLICT DO NOTHING;

-- A new desired state for what has nothing that waits, so that everything in an environment has a plan to carry out.
CREATE FUNCTION bench.fill(of_layout text, of_environment text, replicas integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.config (project, params)
    SELECT DISTINCT project, bench.document(4) || jsonb_build_object('replicas', replicas) FROM bench.place WHERE layout = of_layout
    ON CONFLICT DO NOTHING;
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT i.project, i.environment, i.component, c.digest, '1.0.0'
      FROM bench.place AS p
      JOIN promote.instance AS i ON i.project = p.project AND i.component = p.component AND i.environment = of_environment
      JOIN promote.config AS c ON c.project = p.project AND c.params = bench.document(4) || jsonb_build_object('replicas', replicas)
     WHERE p.layout = of_layout
       AND NOT EXISTS (SELECT FROM promote.deployment AS d WHERE d.project = i.project AND d.environment = i.environment
                          AND d.component = i.component AND d.status = 'PENDING');
    -- the twins take over what waits, so that the floor's claims find as much
    ALTER TABLE bench.deployment DISABLE TRIGGER ALL;
    DELETE FROM bench.deployment WHERE environment = of_environment;
    INSERT INTO bench.deployment SELECT d.* FROM promote.deployment AS d
     WHERE d.environment = of_environment AND d.status = 'PENDING' AND d.project IN (SELECT project FROM bench.place WHERE layout = of_layout);
    ALTER TABLE bench.deployment ENABLE TRIGGER ALL;
END
$$;
SELECT bench.fill(layout, environment, 1) FROM unnest(ARRAY['one', 'many']) AS layout, unnest(ARRAY['staging', 'production']) AS environment \g /dev/null
CALL bench.deploy('staging');
CALL bench.deploy('production');
-- deployment 3 is a plan that waits for approval
SELECT bench.fill(layout, 'production', 2) FROM unnest(ARRAY['one', 'many']) AS layout \g /dev/null
CALL bench.work();

-- Every plan in production is to be approved, by more people than there will be.
INSERT INTO promote.approval_rule (environment, rule, role, quorum) VALUES ('production', 'everybody', current_user, 1000000);
CREATE TABLE bench.approval (LIKE promote.approval INCLUDING ALL);
ALTER TABLE bench.approval ADD FOREIGN KEY (project, environment, component, deployment, plan_digest)
    REFERENCES bench.deployment (project, environment, component, deployment, plan_digest);

-- One source, and a destination in each of so many environments.
INSERT INTO promote.project (project) VALUES ('fan');
INSERT INTO promote.environment (project, environment) SELECT 'fan', 'staging' UNION ALL SELECT 'fan', 'e' || n FROM generate_series(0, :voted - 1) AS n;
INSERT INTO promote.component (project, component, bundle) VALUES ('fan', 'c0', 'bench');
INSERT INTO promote.instance (project, environment, component) SELECT 'fan', environment, 'c0' FROM promote.environment WHERE project = 'fan';
INSERT INTO promote.config (project, params) VALUES ('fan', bench.document(4));
INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
SELECT 'fan', i.environment, 'c0', c.digest, '1.0.0' FROM promote.instance AS i JOIN promote.config AS c USING (project) WHERE project = 'fan';
CALL bench.deploy('staging');
CALL bench.deploy('e%');

INSERT INTO bench.project SELECT * FROM promote.project WHERE project <> 'bench';
INSERT INTO bench.instance (project, environment, component, revision, deployment, version_constraint, release_channel)
SELECT project, environment, component, revision, deployment, version_constraint, release_channel FROM promote.instance WHERE project <> 'bench';
INSERT INTO bench.config SELECT * FROM promote.config WHERE project <> 'bench';
INSERT INTO bench.revision SELECT * FROM promote.revision WHERE project <> 'bench';
DELETE FROM bench.deployment WHERE project <> 'bench';
INSERT INTO bench.deployment SELECT * FROM promote.deployment WHERE project <> 'bench';
INSERT INTO bench.audit_log SELECT * FROM promote.audit_log WHERE project <> 'bench' ON CONFLICT DO NOTHING;
