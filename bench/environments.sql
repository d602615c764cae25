-- What the benchmark of whole environments works on: three of so many components, of 4 KB each in the first.

CREATE PROCEDURE bench.environments(count integer) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.environment (project, environment)
    SELECT 'bench', e FROM unnest(ARRAY['whole', 'verb', 'calls']) AS e;
    INSERT INTO promote.component (project, component, bundle)
    SELECT 'bench', 'e' || t, 'bench' FROM generate_series(1, count) AS t;
    INSERT INTO promote.instance (project, environment, component)
    SELECT 'bench', e, 'e' || t FROM unnest(ARRAY['whole', 'verb', 'calls']) AS e, generate_series(1, count) AS t;
    INSERT INTO bench.instance (project, environment, component)
    SELECT 'bench', e, 'e' || t FROM unnest(ARRAY['whole', 'verb', 'calls']) AS e, generate_series(1, count) AS t;
    -- each has a configuration of its own
    INSERT INTO promote.config (project, params)
    SELECT 'bench', bench.params(1, t) FROM generate_series(1, count) AS t ON CONFLICT DO NOTHING;
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'bench', 'whole', 'e' || t, promote.config_digest('bench', bench.params(1, t)), '1.0.0'
      FROM generate_series(1, count) AS t;
    INSERT INTO bench.config SELECT * FROM promote.config WHERE project = 'bench' ON CONFLICT DO NOTHING;
    INSERT INTO bench.revision SELECT * FROM promote.revision WHERE environment = 'whole';
END
$$;

-- What was deployed runs in the twins, too, so that they have room for another plan of each.
CREATE PROCEDURE bench.follow() LANGUAGE sql AS $$
    DELETE FROM bench.deployment;
    INSERT INTO bench.deployment SELECT * FROM promote.deployment WHERE environment = 'verb'
$$;

-- Overrides for every component.
CREATE FUNCTION bench.overrides(count integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg('e' || t, jsonb_build_object('weight', t)) FROM generate_series(1, count) AS t
$$;

-- The single calls.
CREATE FUNCTION bench.called(overrides jsonb) RETURNS SETOF integer LANGUAGE sql VOLATILE AS $$
    SELECT p.new_revision
      FROM promote.instance AS i,
           promote.promote_instance(i.name, 'bench-calls-' || i.component, COALESCE(overrides -> i.component, '{}')) AS p
     WHERE i.environment = 'whole' AND i.component ~ '^e[0-9]'
$$;

-- The rows that forking has written, written to the twins.
CREATE PROCEDURE bench.fork_floor() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.instance (project, environment, component)
    SELECT i.project, i.environment, i.component FROM promote.instance AS i WHERE i.environment = 'fork';
    CALL bench.insert_floor('fork', 1);
END
$$;

-- A project of so many components: each depends on one, and two on each; or, if it is flat, none on any.
CREATE PROCEDURE bench.stand(name text, count integer) LANGUAGE sql AS $$
    INSERT INTO promote.project (project) VALUES (name);
    INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
    VALUES (name, 'test', false, false);
    INSERT INTO promote.component (project, component, bundle)
    SELECT name, 'c' || t, 'bench' FROM generate_series(1, count) AS t;
    INSERT INTO promote.component_dependency (project, component, depends_on)
    SELECT name, 'c' || t, 'c' || t / 2 FROM generate_series(2, count) AS t WHERE name <> 'flat';
    INSERT INTO promote.instance (project, environment, component)
    SELECT name, 'test', 'c' || t FROM generate_series(1, count) AS t;
    INSERT INTO promote.config (project, params) VALUES (name, '{"replicas": 1}');
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT name, 'test', 'c' || t, promote.config_digest(name, '{"replicas": 1}'), '1.0.0'
      FROM generate_series(1, count) AS t;
$$;

-- Carries out what a project has planned, and then its deployments.
CREATE PROCEDURE bench.carry_out(name text) LANGUAGE plpgsql AS $$
BEGIN
    CALL bench.work();
    PERFORM promote.deploy_environment(name || '-test');
    COMMIT;
    CALL bench.work();
END
$$;
