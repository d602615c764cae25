-- What gates ask of the tables is planned as one statement with whoever asks, and looked up by keys: also without
-- statistics.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL plan_cache_mode = force_generic_plan;
SET LOCAL enable_seqscan = off;

-- What is wrong with the plan of a statement: a table that is read whole, also by an index, a join that reads one
-- whole, or a function of ours that was not inlined.
CREATE FUNCTION pg_temp.flaws(statement text, types text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    scan text;
BEGIN
    EXECUTE format('PREPARE asked (%s) AS %s', types, statement);
    FOR line IN EXECUTE format('EXPLAIN (VERBOSE) EXECUTE asked (%s)', regexp_replace(types, '[^,]+', 'NULL', 'g')) LOOP
        RETURN QUERY SELECT btrim(line)
            WHERE line ~ 'Seq Scan on promote\.|Function Scan on promote_internal(?!\.never_ran)|Merge Join|Hash Join';
        -- below a scan stands what it returns, and then by what it looks; what
        -- differs is looked at only where a plan has found drift, and a budget may be of all projects
        RETURN QUERY SELECT btrim(scan) WHERE scan IS NOT NULL AND line !~ '^ *(Output|Index Cond):';
        scan := CASE WHEN line ~ 'Index (Only )?Scan' AND line !~ 'promote.drift_item|project_pkey' THEN line
            WHEN line ~ '^ *Output:' THEN scan END;
    END LOOP;
    DEALLOCATE asked;
END
$$;
SELECT is((SELECT string_agg(flaw, ', ') FROM pg_temp.flaws(format('SELECT * FROM %s(%s)', f.call, f.parameters),
    f.types) AS flaw), NULL, f.proname || ' by keys')
  FROM (SELECT p.proname, p.oid::regproc AS call, (SELECT string_agg('$' || n, ', ')
      FROM generate_series(1, p.pronargs) AS n) AS parameters,
               (SELECT string_agg(format_type(t, NULL), ', ' ORDER BY place)
                   FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, place)) AS types
          FROM pg_proc AS p
         WHERE p.pronamespace = 'promote_internal'::regnamespace
           AND p.proname IN ('case_target', 'deployment_target', 'case_facts', 'last_run', 'requesters', 'equal_plan',
               'outdated', 'changes_before', 'votes', 'carried_out',
               'missing_references', 'brought_release', 'repeated_run',
               'recorded_changes', 'completed_runs', 'unexpected_values', 'unexpected_changes', 'missing_checks',
                   'soak', 'next_report', 'queued_between')) AS f
 ORDER BY f.proname;
-- ... for many cases at once, too, while nobody has voted yet: plans are kept, and tables grow
UPDATE pg_class SET relpages = 0, reltuples = 0 WHERE oid = 'promote.approval'::regclass;
CREATE TEMPORARY TABLE judged_case ON COMMIT DROP AS
SELECT 'p' AS project, 'e' AS environment, 'c' AS component, '\x00'::bytea AS plan_digest, 'b' AS bundle,
    '1.0.0' AS version, 1 AS plan;
SELECT is((SELECT string_agg(flaw, ', ') FROM pg_temp.flaws('SELECT v.* FROM judged_case AS k CROSS JOIN LATERAL '
    'promote_internal.votes(k.project, k.environment, k.component, k.plan_digest, k.bundle, k.version, k.plan) AS v '
    'WHERE k.plan = $1', 'integer') AS flaw), NULL, 'votes on many cases by keys');
SELECT is((SELECT string_agg(flaw, ', ')
    FROM pg_temp.flaws(format('SELECT * FROM promote_internal.%s WHERE project = $1 AND environment = $2 AND component '
    '= $3', v), 'text, text, text') AS flaw),
    NULL, v || ' by keys') FROM unnest(ARRAY['differing_instance', 'open_difference', 'holding_request',
        'instance_attributes', 'matrix_cell', 'reviewed_instance']) AS v;
SELECT is((SELECT string_agg(flaw, ', ')
    FROM pg_temp.flaws('SELECT * FROM promote_internal.blocked_release WHERE bundle = $1 AND version = $2',
    'text, text') AS flaw),
    NULL, 'blocked_release by keys');
SELECT is(promote_internal.effective_attributes('{"a": 1, "b": 1, "c": 1, "d": 1}', '{"b": 2, "c": 2, "d": 2}',
    '{"c": 3, "d": 3}', '{"d": 4}'),
    '{"a": 1, "b": 2, "c": 3, "d": 4}'::jsonb,
        'the instance''s attributes go over its component''s, its environment''s and its project''s');
SELECT is(promote_internal.effective_attributes('{"a": 1}', '{}', '{}', NULL), '{"a": 1}'::jsonb,
    '... and it may not be there yet');
SELECT * FROM finish();
ROLLBACK;
