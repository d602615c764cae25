-- For bench/plan: a plan like those that terraform makes of a few hundred servers, a PLAN deployment that is claimed,
-- and the two that race.  The variable megabytes says how large it is.
SET client_min_messages = warning;
CREATE EXTENSION promote;
CREATE SCHEMA bench;

INSERT INTO promote.bundle VALUES ('b');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
VALUES ('b', '1.0.0', '{"properties": {"token": {"$md.sensitive": true}}}');
INSERT INTO promote.project (project) VALUES ('p');
INSERT INTO promote.environment (project, environment) VALUES ('p', 'e');
INSERT INTO promote.component (project, component, bundle) VALUES ('p', 'c', 'b');
INSERT INTO promote.instance (project, environment, component) VALUES ('p', 'e', 'c');
SELECT promote.configure_instance('p-e-c', '{"token": "a-token-of-some-length"}') \g /dev/null
SELECT FROM promote.claim_deployment('bench', lease => '1 day') \g /dev/null

-- A server as it is before, and after; two in five stay as they are, as many are changed, the rest come and go.
CREATE FUNCTION bench.server(i integer, version integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('id', 'i-' || md5(i::text), 'arn', 'arn:aws:ec2:eu-west-1:123456789012:instance/' || md5(i::text),
        'ami', 'ami-' || md5(version::text), 'instance_type', 'm5.large', 'subnet_id', 'subnet-' || i % 7, 'monitoring', false,
        'ebs_optimized', NULL, 'timeouts', NULL, 'user_data', repeat('IyEvYmluL2Jhc2gK', 8), 'password', 'hush-' || i,
        'tags', jsonb_build_object('Name', 'node-' || i, 'env', 'prod', 'team', 'core', 'cost', '1234'),
        'vpc_security_group_ids', '["sg-0a1b2c3d", "sg-4e5f6a7b"]'::jsonb,
        'root_block_device', jsonb_build_array(jsonb_build_object('device_name', '/dev/xvda', 'encrypted', true,
            'volume_size', 100 + version, 'volume_type', 'gp3', 'iops', 3000, 'throughput', 125, 'tags', '{}'::jsonb)),
        'metadata_options', '[{"http_endpoint": "enabled", "http_tokens": "required", "hop": 2}]'::jsonb)
$$;
CREATE FUNCTION bench.change(i integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('address', format('module.cluster["eu"].aws_instance.node[%s]', i), 'module_address', 'module.cluster["eu"]',
        'mode', 'managed', 'type', 'aws_instance', 'name', 'node', 'index', i, 'provider_name', 'registry.terraform.io/hashicorp/aws',
        'change', jsonb_build_object('actions', actions,
            'before', CASE WHEN actions <> '["create"]' THEN bench.server(i, 1) END,
            'after', CASE actions WHEN '["no-op"]' THEN bench.server(i, 1) WHEN '["delete"]' THEN NULL
                ELSE bench.server(i, 2) - 'arn' - CASE actions WHEN '["update"]' THEN 'arn' ELSE 'id' END END,
            'after_unknown', CASE actions WHEN '["update"]' THEN '{"arn": true}' WHEN '["no-op"]' THEN '{}' WHEN '["delete"]' THEN '{}'
                ELSE '{"id": true, "arn": true, "tags": {}, "root_block_device": [{}]}' END::jsonb,
            'before_sensitive', '{"password": true, "tags": {}, "root_block_device": [{"tags": {}}]}'::jsonb,
            'after_sensitive', '{"password": true, "tags": {}, "root_block_device": [{"tags": {}}]}'::jsonb))
      FROM (SELECT (ARRAY['["no-op"]', '["update"]', '["no-op"]', '["update"]', '["create"]', '["no-op"]', '["update"]', '["create"]', '["delete"]', '["delete", "create"]'])[i % 10 + 1]::jsonb AS actions) AS v
$$;
CREATE FUNCTION bench.resources(servers integer, side text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(c - 'change' || jsonb_build_object('schema_version', 1, 'values', c -> 'change' -> side))
      FROM generate_series(1, servers) AS i, LATERAL (SELECT bench.change(i) AS c OFFSET 0) AS x
     WHERE c -> 'change' -> side <> 'null'
$$;
CREATE FUNCTION bench.plan(servers integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('format_version', '1.2', 'terraform_version', '1.11.4', 'timestamp', '2026-11-20T15:42:34Z',
        'applyable', true, 'complete', true, 'errored', false, 'configuration', '{}'::jsonb,
        'resource_changes', (SELECT jsonb_agg(bench.change(i)) FROM generate_series(1, servers) AS i),
        'planned_values', jsonb_build_object('root_module', jsonb_build_object('resources', bench.resources(servers, 'after'))),
        'prior_state', jsonb_build_object('values', jsonb_build_object('root_module', jsonb_build_object('resources', bench.resources(servers, 'before')))))
$$;
CREATE TABLE bench.document AS
SELECT bench.plan((:megabytes * 1000000.0 / octet_length(bench.plan(100)::text) * 100)::integer) AS plan;
ALTER TABLE bench.document ADD text text;
UPDATE bench.document SET text = plan::text;

CREATE TABLE bench.lap (passed text, round integer, floor float8, record float8);

-- Microseconds that a statement takes; what it writes is undone.
CREATE FUNCTION bench.lap(statement text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
    took float8;
BEGIN
    BEGIN
        start := clock_timestamp();
        EXECUTE statement;
        took := extract(epoch FROM clock_timestamp() - start) * 1e6;
        RAISE 'undo' USING ERRCODE = 'BEN00';
    EXCEPTION WHEN SQLSTATE 'BEN00' THEN
        NULL;
    END;
    RETURN took;
END
$$;
CREATE FUNCTION bench.record(rounds integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    passed text;
    floor float8;
    record float8;
BEGIN
    FOR round IN 0 .. rounds LOOP
        FOREACH passed IN ARRAY ARRAY['text', 'plan'] LOOP
            floor := bench.lap(format('SELECT count(*) FROM bench.document, jsonb_array_elements(%I::jsonb -> ''resource_changes'')', passed));
            record := bench.lap(format('SELECT promote.record_plan(''p-e-c'', 1, %I::jsonb, 1) FROM bench.document', passed));
            -- the first round warms up
            CONTINUE WHEN round = 0;
            INSERT INTO bench.lap VALUES (passed, round, floor, record);
        END LOOP;
    END LOOP;
END
$$;
CREATE VIEW bench.report AS
    SELECT format('%s: floor %s ms (%s-%s), record_plan %s ms (%s-%s), ratio %s%s', CASE passed WHEN 'text' THEN 'as text' ELSE 'stored' END,
        m.floor, f.least, f.most, m.record, r.least, r.most, m.ratio,
        CASE WHEN passed = 'text' THEN CASE WHEN m.ratio <= 2 THEN ', wanted 2.00: ok' ELSE ', wanted 2.00: MISSED' END END)
      FROM (SELECT passed, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY floor) / 1000)::numeric, 1) AS floor,
                   round((percentile_cont(0.5) WITHIN GROUP (ORDER BY record) / 1000)::numeric, 1) AS record,
                   round((percentile_cont(0.5) WITHIN GROUP (ORDER BY record / floor))::numeric, 2) AS ratio
              FROM bench.lap GROUP BY passed) AS m
      JOIN (SELECT passed, round((min(floor) / 1000)::numeric, 1) AS least, round((max(floor) / 1000)::numeric, 1) AS most FROM bench.lap GROUP BY passed) AS f USING (passed)
      JOIN (SELECT passed, round((min(record) / 1000)::numeric, 1) AS least, round((max(record) / 1000)::numeric, 1) AS most FROM bench.lap GROUP BY passed) AS r USING (passed)
     ORDER BY passed DESC;
SELECT format('a plan of %s bytes with %s changes', octet_length(text), jsonb_array_length(plan -> 'resource_changes')) FROM bench.document;
