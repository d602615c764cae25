-- Reports by time, of long histories: they read what they show, by an index.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/long.sql
SELECT pg_temp.long_instance('young'), pg_temp.long_instance('ran', 2, 10002) \g /dev/null
SELECT pg_temp.long_instance('other' || n) FROM generate_series(1, 60) AS n \g /dev/null
SELECT pg_temp.long_deployments('ran', 'production', 'PROVISION', 'COMPLETED', 2, 3, 10002) \g /dev/null
-- the first of them has ended 2 minutes and 3 seconds behind this
SELECT (now() - interval '100 days')::text AS began \gset
CREATE ROLE test_reader;
INSERT INTO promote.grants (role, action, project) VALUES ('test_reader', 'view', 'long'), ('test_reader', 'view',
    'ecomm');
ANALYZE;

-- Does a statement take the index, and read no table of that name from end to end?
CREATE FUNCTION pg_temp.takes(index text, statement text, relation text DEFAULT 'deployment') RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    line text;
    taken boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || statement LOOP
        taken := taken OR line LIKE '%' || index || '%';
        IF line LIKE '%Seq Scan on ' || relation || ' %' THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN taken;
END
$$;

-- ---- deployment_history ----
CREATE TEMP TABLE asked (what text, index text, statement text, at_most integer) ON COMMIT DROP;
GRANT SELECT ON asked TO PUBLIC;
INSERT INTO asked
SELECT what, index, format('SELECT * FROM promote.deployment_history WHERE ' || condition, now() - interval '100 days'),
       at_most FROM (VALUES
    ('what ended in a span of time', 'deployment_finished_idx',
     $$project = 'long' AND finished_at >= %1$L::timestamptz + interval '1 hour'
         AND finished_at < %1$L::timestamptz + interval '1 hour 10 seconds'$$, 300),
    ('the newest that ended', 'deployment_finished_idx',
     $$project = 'long' AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 10$$, 300),
    ('what was queued in a span of time', 'deployment_queued_idx',
     $$project = 'long' AND queued_at >= %1$L::timestamptz + interval '1 hour'
         AND queued_at < %1$L::timestamptz + interval '1 hour 10 seconds'$$, 300),
    ('... of an environment', 'deployment_finished_idx',
     $$project = 'long' AND environment = 'production' AND finished_at >= %1$L::timestamptz + interval '1 hour'
         AND finished_at < %1$L::timestamptz + interval '1 hour 10 seconds'$$, 300),
    ('the newest of a project where others are busy', 'deployment_finished_idx',
     $$project = 'ecomm' AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 10$$, 30)
    ) AS v (what, index, condition, at_most);
SELECT ok(pg_temp.takes(index, statement), what || ': by ' || index) FROM asked;
SELECT cmp_ok(pg_temp.pages(statement), '<=', at_most, what || ': pages') FROM asked;
SELECT is((SELECT count(*) FROM promote.deployment_history WHERE project = 'long'
    AND finished_at >= :'began'::timestamptz + interval '1 hour'
    AND finished_at < :'began'::timestamptz + interval '1 hour 10 seconds'), 10::bigint, 'ten of ten thousand');
SET LOCAL row_security = on;
SET LOCAL ROLE test_reader;
SELECT ok(pg_temp.takes(index, statement), what || ': by ' || index || ', for a role as well') FROM asked;
SELECT cmp_ok(pg_temp.pages(statement), '<=', at_most + 50, what || ': pages, for a role as well') FROM asked;
RESET ROLE;

-- ---- change_history ----
SET LOCAL row_security = off;
SELECT pg_temp.long_instance('edited', 10001, 2, 'edit'), pg_temp.long_instance('promoted', 10001) \g /dev/null
ANALYZE promote.revision;
SELECT format('SELECT * FROM promote.change_history(''long'', %L, %L)', :'began'::timestamptz + interval '1 day',
              :'began'::timestamptz + interval '1 day 10 minutes') AS asked \gset
SELECT is((SELECT count(*) FROM (:asked) AS c), 20::bigint, 'ten edits and ten promotions of twenty thousand');
SELECT ok(pg_temp.takes(index, :'asked', 'revision'), 'a span of time: by ' || index)
  FROM unnest('{revision_promoted_idx,revision_changed_idx}'::text[]) AS index;
SELECT cmp_ok(pg_temp.pages(:'asked'), '<=', 400, '... pages');
SET LOCAL row_security = on;
SET LOCAL ROLE test_reader;
SELECT ok(pg_temp.takes(index, :'asked', 'revision'), '... for a role as well: by ' || index)
  FROM unnest('{revision_promoted_idx,revision_changed_idx}'::text[]) AS index;
SELECT cmp_ok(pg_temp.pages(:'asked'), '<=', 450, '... pages');
RESET ROLE;

-- ---- the metrics of delivery ----
CREATE TEMP TABLE metric ON COMMIT DROP AS
SELECT m, format('SELECT * FROM promote.%I(''long'', %L, %L, ''all'')', m, :'began'::timestamptz + interval '1 hour',
                 :'began'::timestamptz + interval '1 hour 10 seconds') AS statement
  FROM unnest('{dora_deployments,dora_lead_time,dora_change_failure_rate,dora_time_to_restore}'::text[]) AS m;
SELECT ok(pg_temp.takes('deployment_finished_idx', statement), m || ': by the index')
  FROM metric WHERE m = 'dora_deployments';
INSERT INTO metric
SELECT 'dora_summary', format('SELECT * FROM promote.dora_summary(''long'', ''production'', %L, %L)',
    :'began'::timestamptz + interval '1 hour', :'began'::timestamptz + interval '1 hour 10 seconds');
SELECT cmp_ok(pg_temp.pages(statement), '<=', 400, m || ' of ten of ten thousand: pages') FROM metric;

-- ---- the page of a chain ----
SET LOCAL row_security = off;
INSERT INTO promote.audit_log (project, subject, seq, at, actor, database_role, event, data, previous_hash, hash)
SELECT 'long', 'long-production-loaded' || n, 1, now(), 'loader', 'loader', 'revision.created', '{}', NULL, sha256('')
  FROM generate_series(1, 20000) AS n;
ANALYZE promote.audit_log;
SELECT promote.audit_html('long-production-young') \g /dev/null
SELECT cmp_ok(pg_temp.pages($$SELECT promote.audit_html('long-production-young')$$), '<=',
    60 + pg_temp.pages($$SELECT * FROM promote.verify_audit('long-production-young')$$),
    'a chain that was verified is read by its key, however many there are');

SELECT * FROM finish();
ROLLBACK;
