-- The trigger functions attached to what they were not made for, and a history that is not complete: errors, no crash.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
CREATE TABLE public.foreign_table (revision text, project integer);
CREATE TABLE public.bare ();
CREATE FUNCTION pg_temp.attach(function text, timing text, event text, relation text, level text,
    work text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER odd %s %s ON %s %s FOR EACH %s EXECUTE FUNCTION promote_internal.%I()', timing,
        event, relation,
                   CASE WHEN function = 'record_revision' AND timing = 'AFTER' AND level = 'STATEMENT'
                       AND event = 'INSERT' THEN 'REFERENCING NEW TABLE AS new_revision' ELSE '' END, level, function);
    EXECUTE work;
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE SQLSTATE WHEN 'UNDO1' THEN SQLERRM ELSE SQLSTATE END;
END
$$;
SELECT is(pg_temp.attach(f, t, e, r, l, w), '39P01', format('%s %s %s of %s for each %s', f, t, e, r, l))
  FROM unnest(ARRAY['refuse_rewrite', 'guard_instance', 'guard_record', 'guard_registry', 'complete_revision',
      'record_revision']) AS f,
       (VALUES ('BEFORE', 'INSERT', 'public.foreign_table', 'ROW',
           'INSERT INTO public.foreign_table VALUES (''x'', 1)'),
               ('AFTER', 'INSERT', 'public.foreign_table', 'ROW', 'INSERT INTO public.foreign_table VALUES (''x'', 1)'),
               ('BEFORE', 'INSERT', 'public.foreign_table', 'STATEMENT',
                   'INSERT INTO public.foreign_table VALUES (''x'', 1)'),
               ('AFTER', 'INSERT', 'public.foreign_table', 'STATEMENT',
                   'INSERT INTO public.foreign_table VALUES (''x'', 1)'),
               ('AFTER', 'UPDATE', 'public.foreign_table', 'STATEMENT', 'UPDATE public.foreign_table SET revision = 1'),
               ('BEFORE', 'TRUNCATE', 'public.bare', 'STATEMENT', 'TRUNCATE public.bare'),
               ('BEFORE', 'INSERT', 'promote.bundle', 'ROW', 'INSERT INTO promote.bundle VALUES (''odd'')'),
               ('BEFORE', 'INSERT', 'promote.bundle', 'STATEMENT', 'INSERT INTO promote.bundle VALUES (''odd'')')) AS
                   v(t, e, r, l, w)
 WHERE NOT (f IN ('refuse_rewrite', 'guard_record', 'guard_registry') AND t = 'BEFORE' AND l = 'ROW'
     AND r = 'promote.bundle');
SELECT throws_ok(format('SELECT promote_internal.%I()', f), '39P01', NULL, f || ' called as a function')
  FROM unnest(ARRAY['refuse_rewrite', 'guard_instance', 'guard_record', 'guard_registry', 'complete_revision',
      'record_revision']) AS f;
SELECT is(pg_temp.attach('complete_revision', 'BEFORE', 'INSERT', 'promote.revision', 'STATEMENT',
    $$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 7}')$$), '39P01',
        'a statement has no row to complete');
SELECT is(pg_temp.attach('record_release', 'AFTER', e, 'promote.bundle_release', 'ROW', w), 'accepted',
    'a release that is only there has nothing to record: ' || e)
  FROM (VALUES ('INSERT', $$INSERT INTO promote.bundle_release (bundle, version, params_schema)
            VALUES ('redis', '9.0.0', '{}')$$),
        ('DELETE', $$INSERT INTO promote.bundle_release (bundle, version, params_schema)
            VALUES ('redis', '9.0.0', '{}'); DELETE FROM promote.bundle_release WHERE version = '9.0.0'$$)) AS v(e, w);
SELECT is(pg_temp.attach(f, 'AFTER', e, 'promote.deployment', l,
    $$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 7}')$$), '39P01',
    f || ' needs both tables of an UPDATE, and gets ' || e || ' for each ' || l)
  FROM unnest(ARRAY['record_deployment', 'settle_plan']) AS f,
       (VALUES ('INSERT', 'ROW'), ('INSERT', 'STATEMENT')) AS v(e, l);
SELECT is(pg_temp.attach('guard_request', 'BEFORE', 'INSERT', 'promote.promotion_request', 'ROW',
    $$SELECT promote.open_request('ecomm', 'staging', 'production', '{"components": ["db"]}')$$), 'accepted',
    'nor a request that is only opened anything to be held to');

-- A row that vanishes, or that nothing records.
CREATE FUNCTION pg_temp.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION pg_temp.meddle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.plan := false;
    NEW.message := 'meddled'; RETURN NEW; END$$;
CREATE TRIGGER odd BEFORE INSERT ON promote.revision FOR EACH ROW EXECUTE FUNCTION pg_temp.swallow();
SELECT throws_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 7}')$$, '55000', NULL,
    'a trigger that swallows the revision');
DROP TRIGGER odd ON promote.revision;
CREATE TRIGGER odd BEFORE INSERT ON promote.revision FOR EACH ROW EXECUTE FUNCTION pg_temp.meddle();
SELECT is(pg_temp.lines($$SELECT new_revision, deployment
    FROM promote.configure_instance('ecomm-staging-db', '{"replicas": 7}')$$), '(2,)',
    'a trigger that changes it: what is written is what is recorded');
DROP TRIGGER odd ON promote.revision;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and the record is whole');
-- What a trigger makes of the row that a verb has judged is judged once more, column by column.
INSERT INTO promote.config (project, params) VALUES ('ecomm', '{"size": "huge"}'),
    ('ecomm', '{"size": "large", "replicas": 3}');
CREATE FUNCTION pg_temp.changed() RETURNS trigger
    LANGUAGE plpgsql AS $$BEGIN RETURN jsonb_populate_record(NEW, TG_ARGV[0]::jsonb); END$$;
CREATE FUNCTION pg_temp.judged(change jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('CREATE TRIGGER zzz BEFORE INSERT ON promote.revision FOR EACH ROW EXECUTE FUNCTION '
        'pg_temp.changed(%L)', change);
    PERFORM promote.configure_instance('ecomm-staging-db', '{"replicas": 6}');
    SELECT concat_ws(' ', r.revision, r.version, d.version, d.deployment IS NOT NULL, c.params ->> 'replicas',
        (SELECT string_agg(x ->> 'path', ',' ORDER BY x ->> 'path') FROM jsonb_array_elements(d.diff) AS x
                      WHERE (x -> 'since')::integer = r.revision AND x ->> 'kind' = 'param'),
                     (SELECT a.data ->> 'digest' = encode(r.digest, 'hex') FROM promote.audit_log AS a
                         WHERE a.subject = 'ecomm-staging-db' AND a.event = 'revision.created'
                         ORDER BY a.seq DESC LIMIT 1))
      INTO answer FROM promote.revision AS r JOIN promote.config AS c USING (project, digest)
          LEFT JOIN promote.deployment AS d USING (project, environment, component, revision)
     WHERE r.project = 'ecomm' AND r.environment = 'staging' AND r.component = 'db' ORDER BY r.revision DESC LIMIT 1;
    RAISE SQLSTATE 'UNDO1' USING MESSAGE = answer;
EXCEPTION WHEN OTHERS THEN
    RETURN CASE SQLSTATE WHEN 'UNDO1' THEN SQLERRM ELSE SQLSTATE || ' ' || SQLERRM END;
END
$$;
SELECT matches(pg_temp.judged(change), said, 'judged with ' || change::text)
  FROM (VALUES ('{}'::jsonb, '^3 1\.2\.0-dev\S+ 1\.2\.0-dev\S+ t 6 \.replicas t$'),
      (jsonb_build_object('digest', promote.config_digest('ecomm', '{"size": "huge"}')), '^PM103 '),
               (jsonb_build_object('digest', promote.config_digest('ecomm', '{"size": "large", "replicas": 3}')),
                   '^3 1\.2\.0-dev\S+ 1\.2\.0-dev\S+ t 3 \.replicas,\.size t$'),
               ('{"version_constraint": "1.0.0"}', '^PM303 .* release that it may not have'),
                   ('{"release_channel": "stable"}', '^PM303 .* release that it may not have'),
                   ('{"version": "1.0.0"}', '^3 1\.0\.0 1\.0\.0 t 6 \.replicas t$'),
               ('{"bundle": "redis", "version": "1.0.0"}', '^PM303 .* release that it may not have'),
                   ('{"actor": "eve"}', '^PM303 column "actor"'),
                   ('{"database_role": "eve"}', '^PM303 column "database_role"'),
               ('{"created_at": "2001-01-01"}', '^PM303 column "created_at"'),
                   ('{"created_at": "2999-01-01"}', '^PM303 column "created_at"'), ('{"revision": 9}', '^PM302 '),
                   ('{"plan": false}', '^3 1\.2\.0-dev\S+ f 6 t$'),
               ('{"environment": "production"}', '^PM302 .*"ecomm-production-db"'),
                   ('{"component": "cache"}', '^PM302 .*"ecomm-staging-cache"'), ('{"project": "other"}', '^23503 '),
                   ('{"allow_replace": true}', '^3 1\.2\.0-dev\S+ 1\.2\.0-dev\S+ t 6 \.replicas t$')) AS v (change,
                   said);
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE promote.revision DISABLE TRIGGER record_revision;
SELECT throws_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 8}')$$, '55000', NULL,
    'recording that is switched off');
ALTER TABLE promote.revision ENABLE ALWAYS TRIGGER record_revision;
SELECT lives_ok($$SELECT promote.configure_instance('ecomm-staging-db', '{"replicas": 8}')$$, 'and on again');

-- Half a restore: the counters are there, the history is not.
SET LOCAL row_security = off;
INSERT INTO promote.instance (project, environment, component, revision, deployment, version_constraint,
    release_channel)
VALUES ('ecomm', 'staging', 'bare', 3, 2, '~1', 'stable'), ('ecomm', 'prod-uswest', 'cache', 3, 2, '~1', 'stable');
RESET row_security;
SELECT pg_temp.refuses(statement, 'PM002', 'not there', statement)
  FROM unnest(ARRAY[$$SELECT promote.configure_instance('ecomm-prod-uswest-cache', '{"a": 1}')$$,
                    $$SELECT promote.promote_instance('ecomm-prod-uswest-cache', 'ecomm-staging-cache')$$,
                    $$SELECT * FROM promote.preview_promotion('ecomm-prod-uswest-cache', 'ecomm-staging-cache')$$]) AS
                        statement;
SELECT throws_ok($$INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint)
    SELECT 'ecomm', 'prod-uswest', 'cache', 4, digest, '~1' FROM promote.config LIMIT 1$$, 'PM002', NULL,
    'nor can it go on by hand');
SELECT throws_ok($$INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint,
    bundle, version, kept_marks) SELECT 'ecomm', 'prod-uswest', 'cache', 1, digest, '~1', 'redis', '1.0.0', '{}'
    FROM promote.config WHERE project = 'ecomm' LIMIT 1$$, '23514', NULL,
    '... and what a restored one keeps of marks is a list');

-- A release or a bundle that the constraint does not allow.
SELECT pg_temp.refuses(format('INSERT INTO promote.revision (project, environment, component, digest, '
    'version_constraint, bundle, version) SELECT project, environment, component, digest, %L, %L, %L FROM '
    'promote.revision WHERE environment = %L AND revision = 1', c, b, v, 'production'),
                       'PM303', 'not of the component''s bundle', c || ' ' || b || ' ' || v)
  FROM (VALUES ('~1', 'postgres', '2.0.0'), ('~1.0', 'postgres', '1.1.0'), ('1.0.0', 'postgres', '1.1.0'),
      ('~1', 'postgres', '1.2.0-dev.20260915T101500Z'), ('~1', 'redis', '1.0.0')) AS v(c, b, v);
SELECT lives_ok($$INSERT INTO promote.revision (project, environment, component, digest, version_constraint, bundle,
    version) SELECT project, environment, component, digest, '~1', 'postgres', '1.0.0' FROM promote.revision
    WHERE environment = 'production' AND revision = 1$$, 'an older one that it allows may be chosen');
-- A name that is cut for a message is cut between characters.
SELECT is((SELECT octet_length(message) < 240 AND message ~ '^invalid instance name "aé+"$'
    FROM pg_temp.refusal(format('SELECT promote.parse_instance_name(%L)', 'a' || repeat('é', 300) || '-b-c'))), true,
    'a long name');

SELECT * FROM finish();
ROLLBACK;
