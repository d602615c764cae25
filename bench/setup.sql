-- What the benchmark's scripts work on: projects of one component per document size, a twin of the tables without
-- triggers for the floor and the peer, and the peer's functions.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION promote;
CREATE SCHEMA bench;

-- A configuration of about that many KB, like those of real bundles: nested objects, strings, numbers, some arrays.
CREATE FUNCTION bench.document(kb integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('replicas', 1, 'account_id', 'a-source') || jsonb_object_agg(
               'service_' || s,
               jsonb_build_object(
                   'image', 'registry.example.com/team/service-' || s, 'port', 8000 + s,
                   'enabled', s % 2 = 0, 'weight', s / 8.0,
                   'resources', jsonb_build_object('cpu', 250 + s, 'memory', (s * 64) || 'Mi'),
                   'zones', jsonb_build_array('a', 'b', 'c')))
      FROM generate_series(1, kb * 6) AS s
$$;

-- Its schema: the shape of a service said once, one value that is not copied.
CREATE FUNCTION bench.schema() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT '{
      "type": "object",
      "required": ["replicas"],
      "properties": {"replicas": {"type": "integer", "minimum": 0},
                     "account_id": {"type": "string", "$md.copyable": false}},
      "patternProperties": {"^service_[0-9]+$": {"$ref": "#/definitions/service"}},
      "definitions": {"service": {
        "type": "object", "required": ["image", "port"], "additionalProperties": false,
        "properties": {
          "image": {"type": "string"}, "port": {"type": "integer", "minimum": 1, "maximum": 65535},
          "enabled": {"type": "boolean"}, "weight": {"type": "number"},
          "resources": {"type": "object", "properties": {"cpu": {"type": "integer"}, "memory": {"type": "string"}}},
          "zones": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}}}}}
    }'::jsonb
$$;

INSERT INTO promote.bundle VALUES ('bench');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('bench', '1.0.0', bench.schema());
INSERT INTO promote.project VALUES ('bench');
INSERT INTO promote.environment (project, environment) VALUES ('bench', 'staging'), ('bench', 'production');
INSERT INTO promote.component (project, component, bundle)
SELECT 'bench', 'c' || kb, 'bench' FROM unnest(ARRAY[4, 64]) AS kb;
INSERT INTO promote.instance (project, environment, component)
SELECT 'bench', environment, component
  FROM promote.environment JOIN promote.component USING (project);
SELECT count(*) FROM unnest(ARRAY[4, 64]) AS kb, LATERAL (
    SELECT promote.configure_instance('bench-staging-c' || kb, bench.document(kb), '1.0.0')
    UNION ALL
    SELECT promote.configure_instance('bench-production-c' || kb,
        bench.document(kb) || '{"account_id": "a-destination", "replicas": 2}', '1.0.0')) AS x
\g /dev/null

-- A source with two revisions, and two destinations that have changed it themselves, for what merging costs.
INSERT INTO promote.environment (project, environment, require_proven_release)
SELECT 'bench', environment, false FROM unnest(ARRAY['origin', 'merged', 'replaced']) AS environment;
INSERT INTO promote.instance (project, environment, component)
SELECT 'bench', environment, 'c64' FROM unnest(ARRAY['origin', 'merged', 'replaced']) AS environment;
CREATE FUNCTION bench.change(path text, becomes jsonb, every integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg(s.key, jsonb_build_object(path, becomes)) FROM jsonb_each(bench.document(64)) AS s
     WHERE s.key ~ '^service_' AND split_part(s.key, '_', 2)::integer % every = 0
$$;
SELECT promote.configure_instance('bench-origin-c64', bench.document(64), '1.0.0') \g /dev/null
SELECT promote.configure_instance('bench-origin-c64', bench.change('port', '9000', 10)) \g /dev/null
SELECT count(*) FROM unnest(ARRAY['bench-merged-c64', 'bench-replaced-c64']) AS name, LATERAL (
    SELECT promote.promote_instance('bench-origin-c64', name, source_revision => 1)
    UNION ALL
    SELECT promote.configure_instance(name, bench.change('weight', '1', 7))) AS x
\g /dev/null

-- All run what they desire, as in life.
\ir work.sql
CALL bench.work();
SELECT count(*) FROM promote.instance AS i, LATERAL promote.deploy_instance(i.name) \g /dev/null
CALL bench.work();

-- The twins: the same columns, types, keys and indexes; no triggers, and digests that are given, not computed.
CREATE TABLE bench.project (LIKE promote.project INCLUDING ALL);
CREATE TABLE bench.instance (LIKE promote.instance INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE bench.config (LIKE promote.config INCLUDING ALL EXCLUDING CONSTRAINTS);
CREATE TABLE bench.revision (LIKE promote.revision INCLUDING ALL);
CREATE TABLE bench.deployment (LIKE promote.deployment INCLUDING ALL);
CREATE TABLE bench.audit_log (LIKE promote.audit_log INCLUDING ALL EXCLUDING GENERATED);
ALTER TABLE bench.config ADD FOREIGN KEY (project) REFERENCES bench.project;
ALTER TABLE bench.revision ADD FOREIGN KEY (project, environment, component) REFERENCES bench.instance,
    ADD FOREIGN KEY (project, digest) REFERENCES bench.config,
    ADD FOREIGN KEY (project, source_environment, component) REFERENCES bench.instance,
    ADD FOREIGN KEY (bundle, version) REFERENCES promote.bundle_release;
ALTER TABLE bench.deployment ADD FOREIGN KEY (project, environment, component, revision) REFERENCES bench.revision,
    ADD FOREIGN KEY (project, rendered_digest) REFERENCES bench.config,
    ADD FOREIGN KEY (bundle, version) REFERENCES promote.bundle_release;
INSERT INTO bench.project SELECT * FROM promote.project;
INSERT INTO bench.instance (project, environment, component, revision, deployment, version_constraint, release_channel)
SELECT project, environment, component, revision, deployment, version_constraint, release_channel FROM promote.instance;
INSERT INTO bench.config SELECT * FROM promote.config;
INSERT INTO bench.revision SELECT * FROM promote.revision;
INSERT INTO bench.deployment SELECT * FROM promote.deployment;
INSERT INTO bench.audit_log SELECT * FROM promote.audit_log;

CREATE TABLE bench.sample (kb integer PRIMARY KEY, params jsonb);
INSERT INTO bench.sample SELECT kb, bench.document(kb) FROM unnest(ARRAY[4, 64]) AS kb;

-- The peer.  Filters, merges and compares by recursion over jsonb, as is done where there is nothing better; it
-- validates nothing and resolves nothing, which is in its favour.
CREATE FUNCTION bench.filter(params jsonb, schema jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    result jsonb := params;
    name text;
    sub jsonb;
BEGIN
    FOR name, sub IN SELECT * FROM jsonb_each(schema -> 'properties') LOOP
        IF sub -> '$md.copyable' = 'false' THEN
            result := result - name;
        ELSIF sub ? 'properties' AND jsonb_typeof(params -> name) = 'object' THEN
            result := jsonb_set(result, ARRAY[name], bench.filter(params -> name, sub));
        END IF;
    END LOOP;
    RETURN result;
END
$$;

CREATE FUNCTION bench.merge(a jsonb, b jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    result jsonb := a;
    name text;
    value jsonb;
BEGIN
    FOR name, value IN SELECT * FROM jsonb_each(b) LOOP
        IF jsonb_typeof(value) = 'object' AND jsonb_typeof(result -> name) = 'object' THEN
            result := jsonb_set(result, ARRAY[name], bench.merge(result -> name, value));
        ELSE
            result := jsonb_set(result, ARRAY[name], value);
        END IF;
    END LOOP;
    RETURN result;
END
$$;

CREATE FUNCTION bench.diff(a jsonb, b jsonb, path text, INOUT result jsonb) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    name text;
BEGIN
    IF jsonb_typeof(a) = 'object' AND jsonb_typeof(b) = 'object' THEN
        FOR name IN SELECT jsonb_object_keys(a) UNION SELECT jsonb_object_keys(b) LOOP
            result := bench.diff(a -> name, b -> name, path || '.' || name, result);
        END LOOP;
    ELSIF a IS DISTINCT FROM b THEN
        result := result || jsonb_build_object('path', path, 'old', a, 'new', b);
    END IF;
END
$$;

CREATE FUNCTION bench.promote(c text, overrides jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    dst bench.instance;
    old_params jsonb;
    new_params jsonb;
    new_digest bytea;
    the_diff jsonb;
    previous bytea;
    sealed bytea;
    last bigint;
    new_revision integer;
BEGIN
    SELECT * INTO STRICT dst FROM bench.instance i
     WHERE i.project = 'bench' AND i.environment = 'production' AND i.component = c FOR NO KEY UPDATE;
    SELECT params INTO STRICT old_params FROM bench.revision r JOIN bench.config USING (project, digest)
     WHERE r.project = 'bench' AND r.environment = 'production' AND r.component = c AND r.revision = dst.revision;
    SELECT params INTO STRICT new_params FROM bench.instance i
      JOIN bench.revision r USING (project, environment, component, revision) JOIN bench.config USING (project, digest)
     WHERE i.project = 'bench' AND i.environment = 'staging' AND i.component = c;
    new_params := bench.filter(new_params, (SELECT params_schema FROM promote.bundle_release WHERE bundle = 'bench'));
    new_params := bench.merge(jsonb_build_object('account_id', old_params -> 'account_id'), new_params);
    new_params := bench.merge(new_params, overrides);
    the_diff := bench.diff(old_params, new_params, '', '[]');
    new_digest := sha256(convert_to(new_params::text, 'UTF8'));
    new_revision := dst.revision + 1;
    INSERT INTO bench.config (project, digest, params) VALUES ('bench', new_digest, new_params) ON CONFLICT DO NOTHING;
    INSERT INTO bench.revision (project, environment, component, revision, digest, version_constraint, bundle, version,
                                origin, source_environment, source_revision, overrides)
    VALUES ('bench', 'production', c, new_revision, new_digest, '1.0.0', 'bench', '1.0.0',
            'promotion', 'staging', 1, overrides);
    UPDATE bench.instance i SET revision = new_revision, deployment = dst.deployment + 1
     WHERE i.project = 'bench' AND i.environment = 'production' AND i.component = c;
    INSERT INTO bench.deployment (project, environment, component, deployment, action, revision, base_revision, bundle,
                                  version, rendered_digest, diff, queued_at)
    VALUES ('bench', 'production', c, dst.deployment + 1, 'PLAN', new_revision, dst.revision, 'bench', '1.0.0', new_digest, the_diff,
            clock_timestamp());
    SELECT seq, hash INTO last, previous FROM bench.audit_log
     WHERE project = 'bench' AND subject = dst.name ORDER BY seq DESC LIMIT 1;
    sealed := sha256(previous || convert_to(overrides::text, 'UTF8'));
    INSERT INTO bench.audit_log (project, subject, seq, at, actor, database_role, event, data, previous_hash, hash) VALUES
        ('bench', dst.name, last + 1, clock_timestamp(), session_user, session_user, 'revision.created',
         jsonb_build_object('revision', new_revision, 'digest', encode(new_digest, 'hex')), previous, sealed),
        ('bench', dst.name, last + 2, clock_timestamp(), session_user, session_user, 'deployment.created',
         jsonb_build_object('deployment', dst.deployment + 1), sealed, sha256(sealed));
    PERFORM pg_notify('bench', jsonb_build_object('instance', dst.name, 'revision', new_revision)::text);
    RETURN true;
END
$$;

-- Histories, loaded as a dump is: instances with their counters first, then what the triggers would have recorded.
CREATE FUNCTION bench.grow(revisions integer) RETURNS void LANGUAGE plpgsql SET row_security = off AS $$
DECLARE
    tenants integer := greatest(revisions / 1000, 1);
    each integer := revisions / tenants;
    digest bytea;
    tag text := 'h' || revisions;
BEGIN
    SELECT c.digest INTO STRICT digest FROM promote.config c LIMIT 1;
    INSERT INTO promote.environment (project, environment) SELECT 'bench', tag || '-' || t FROM generate_series(1, tenants) t;
    INSERT INTO promote.instance (project, environment, component, revision, deployment, version_constraint, release_channel)
    SELECT 'bench', tag || '-' || t, 'c4', each, each, '1.0.0', 'stable' FROM generate_series(1, tenants) t;
    INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint, bundle, version)
    SELECT 'bench', tag || '-' || t, 'c4', r, digest, '1.0.0', 'bench', '1.0.0' FROM generate_series(1, each) r, generate_series(1, tenants) t;
    INSERT INTO promote.deployment (project, environment, component, deployment, action, revision, bundle, version,
                                    rendered_digest, diff, status, worker, fencing, queued_at, started_at, finished_at)
    SELECT 'bench', tag || '-' || t, 'c4', r, 'PLAN', r, 'bench', '1.0.0', digest,
           '[{"path": ".replicas", "change": "change", "old": 1, "new": 2}]', 'COMPLETED', 'bench', 1, now(), now(), now()
      FROM generate_series(1, each) r, generate_series(1, tenants) t;
    INSERT INTO promote.audit_log (project, subject, seq, at, actor, database_role, event, data, previous_hash, hash)
    SELECT 'bench', 'bench-' || tag || '-' || t || '-c4', s, now(), 'bench', 'bench', 'revision.created',
           '{"revision": 1, "digest": "00", "message": "as a dump brings it back"}',
           CASE WHEN s > 1 THEN digest END, digest
      FROM generate_series(1, 2 * each) s, generate_series(1, tenants) t;
END
$$;

-- One statement that gives ten thousand instances a revision, and the same rows without the logic.
CREATE FUNCTION bench.bulk(round integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF round = 1 THEN
        INSERT INTO promote.environment (project, environment) SELECT 'bench', 't' || t FROM generate_series(1, 10000) t;
        INSERT INTO promote.instance (project, environment, component)
        SELECT 'bench', 't' || t, 'c4' FROM generate_series(1, 10000) t;
        INSERT INTO bench.instance (project, environment, component)
        SELECT 'bench', 't' || t, 'c4' FROM generate_series(1, 10000) t;
    END IF;
    INSERT INTO promote.config (project, params) VALUES ('bench', jsonb_set(bench.document(4), '{replicas}', to_jsonb(-round + 100)))
        ON CONFLICT DO NOTHING;
    INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint)
    SELECT 'bench', 't' || t, 'c4', round,
           (SELECT promote.config_digest('bench', jsonb_set(bench.document(4), '{replicas}', to_jsonb(-round + 100)))), '1.0.0'
      FROM generate_series(1, 10000) t;
END
$$;

CREATE FUNCTION bench.bulk_floor(round integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d bytea;
BEGIN
    SELECT digest INTO STRICT d FROM bench.config LIMIT 1;
    INSERT INTO bench.revision (project, environment, component, revision, digest, version_constraint, bundle, version)
    SELECT 'bench', 't' || t, 'c4', round, d, '1.0.0', 'bench', '1.0.0' FROM generate_series(1, 10000) t;
    UPDATE bench.instance SET revision = round, deployment = round, version_constraint = '1.0.0', release_channel = 'stable'
     WHERE environment LIKE 't%' AND component = 'c4';
    INSERT INTO bench.deployment (project, environment, component, deployment, action, revision, bundle, version,
                                  rendered_digest, diff, queued_at)
    SELECT 'bench', 't' || t, 'c4', round, 'PLAN', round, 'bench', '1.0.0', d,
           (SELECT p.diff FROM promote.deployment p WHERE p.project = 'bench' AND p.environment = 't1' AND p.component = 'c4'
             AND p.deployment = round), clock_timestamp()
      FROM generate_series(1, 10000) t;
    INSERT INTO bench.audit_log
    SELECT a.*
      FROM promote.audit_log a WHERE a.subject LIKE 'bench-t%-c4' AND a.seq IN (2 * round - 1, 2 * round);
    PERFORM pg_notify('bench', t::text) FROM generate_series(1, 10000) t;
END
$$;

-- Work that waits, a plan of each of so many instances, and the same rows for the floor.
CREATE FUNCTION bench.fill(count integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.environment (project, environment) SELECT 'bench', 'q' || t FROM generate_series(1, count) t;
    INSERT INTO promote.instance (project, environment, component) SELECT 'bench', 'q' || t, 'c4' FROM generate_series(1, count) t;
    INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
    SELECT 'bench', 'q' || t, 'c4', (SELECT digest FROM promote.config WHERE params = bench.document(4) || '{"account_id": "a-source"}'), '1.0.0'
      FROM generate_series(1, count) t;
    ALTER TABLE bench.deployment DISABLE TRIGGER ALL;
    INSERT INTO bench.deployment SELECT * FROM promote.deployment WHERE environment LIKE 'q%';
    ALTER TABLE bench.deployment ENABLE TRIGGER ALL;
    UPDATE promote.deployment SET status = 'ABORTED' WHERE environment NOT LIKE 'q%' AND status = 'PENDING';
END
$$;
