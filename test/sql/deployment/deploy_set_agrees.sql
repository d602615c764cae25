-- Sets against singles, at random: of two projects that are alike, one is worked on by the verbs of sets, and the other
-- by those of one, in the order in which sets lock. Each element comes out the same, and so do all rows.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL promote.actor = 'ada';
SET LOCAL client_min_messages = warning;
DO $$
BEGIN
    INSERT INTO promote.bundle VALUES ('service');
    INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('service', '1.0.0',
        '{"type": "object", "properties": {"size": {"type": "integer", "maximum": 100}, "zone": {"$md.immutable": '
            'true}}}');
    INSERT INTO promote.project (project) VALUES ('left'), ('right');
    INSERT INTO promote.environment (project, environment, require_plan)
    SELECT p, e, e <> 'dev'
      FROM unnest(ARRAY['left', 'right']) AS p,
        unnest(ARRAY['dev', 'live']) AS e;
    INSERT INTO promote.parameter_set (project, environment, parameters)
    SELECT p, e, jsonb_build_object('name', e)
      FROM unnest(ARRAY['left', 'right']) AS p,
        unnest(ARRAY['dev', 'live']) AS e;
    INSERT INTO promote.component (project, component, bundle)
    SELECT p, 's' || n, 'service' FROM unnest(ARRAY['left', 'right']) AS p, generate_series(1, 5) AS n;
    INSERT INTO promote.instance (project, environment, component)
    SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project)
     WHERE project IN ('left', 'right');
END
$$;
CREATE TABLE public.outcome (side text, round integer, place integer, status text, code text);

-- What one element comes to by a verb of one.
CREATE FUNCTION pg_temp.single(verb text, name text, number integer, fencing integer, OUT status text, OUT code text)
LANGUAGE plpgsql AS $$
BEGIN
    CASE verb
        WHEN 'plan' THEN SELECT v.status INTO single.status FROM promote.plan_instance(name) AS v;
        WHEN 'deploy' THEN SELECT v.status INTO single.status FROM promote.deploy_instance(name, number) AS v;
        WHEN 'complete' THEN SELECT v.status INTO single.status
            FROM promote.complete_deployment(name, number, fencing) AS v;
        WHEN 'fail' THEN SELECT v.status INTO single.status
            FROM promote.fail_deployment(name, number, 'broken', fencing) AS v;
        WHEN 'release' THEN SELECT v.status INTO single.status
            FROM promote.release_deployment(name, number, fencing) AS v;
        WHEN 'heartbeat' THEN SELECT v.status INTO single.status
            FROM promote.heartbeat_deployment(name, number, fencing) AS v;
        WHEN 'approve' THEN SELECT v.status INTO single.status FROM promote.approve_deployment(name, number) AS v;
        WHEN 'reject' THEN SELECT v.status INTO single.status FROM promote.reject_deployment(name, number, 'no') AS v;
    END CASE;
EXCEPTION WHEN OTHERS THEN
    code := SQLSTATE;
END
$$;
CREATE FUNCTION pg_temp.many(verb text, names text[], numbers integer[],
    fencings integer[]) RETURNS TABLE (place bigint, status text, code text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT v.place, v.status, v.code FROM ' || CASE verb
        WHEN 'plan' THEN 'promote.plan_many($1, partial => true)'
        WHEN 'deploy' THEN 'promote.deploy_many($1, $2, partial => true)'
        WHEN 'complete' THEN 'promote.complete_many($1, $2, $3, partial => true)'
        WHEN 'fail' THEN 'promote.fail_many($1, $2, ''broken'', $3, partial => true)'
        WHEN 'release' THEN 'promote.release_many($1, $2, $3, partial => true)'
        WHEN 'heartbeat' THEN 'promote.heartbeat_many($1, $2, $3, partial => true)'
        WHEN 'approve' THEN 'promote.approve_many($1, $2, partial => true)'
        ELSE 'promote.reject_many($1, $2, ''no'', partial => true)' END
        || ' WITH ORDINALITY AS v (instance, deployment, action, status, code, problem, place)' USING names, numbers,
            fencings;
END
$$;
-- What else happens between: the same on both sides.
CREATE FUNCTION pg_temp.stir(die integer, name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CASE die % 4
        WHEN 0 THEN PERFORM promote.configure_instance(name, jsonb_build_object('size', die % 120, 'zone', 'z{{name}}',
            'n', die));
        WHEN 1 THEN PERFORM promote.propose_deployment(name);
        WHEN 2 THEN PERFORM promote.propose_deployment(name, 'PLAN');
        ELSE PERFORM promote.decommission_instance(name);
    END CASE;
EXCEPTION WHEN OTHERS THEN
    NULL;
END
$$;
CREATE PROCEDURE pg_temp.rounds(rounds integer) LANGUAGE plpgsql AS $$
DECLARE
    verbs text[] := ARRAY['plan', 'deploy', 'complete', 'complete', 'complete', 'fail', 'release', 'heartbeat',
        'approve', 'approve', 'reject'];
    verb text;
    tails text[];
    names text[];
    numbers integer[];
    fencings integer[];
    die integer;
BEGIN
    PERFORM setseed(0.17);
    FOR round IN 1 .. rounds LOOP
        FOR i IN 1 .. 3 LOOP
            die := floor(random() * 1000);
            PERFORM pg_temp.stir(die, side || '-' || (ARRAY['dev', 'live'])[1 + die % 2] || '-s' || 1 + die % 5)
               FROM unnest(ARRAY['left', 'right']) AS side;
        END LOOP;
        -- claims: all that is due, at once and one by one; in which order a set becomes due is not said
        IF random() < 0.6 THEN
            PERFORM FROM promote.claim_deployment('w', max => 100, selector => '{"side": "left"}');
            LOOP
                PERFORM FROM promote.claim_deployment('w', selector => '{"side": "right"}');
                EXIT WHEN NOT FOUND;
            END LOOP;
        END IF;
        verb := verbs[1 + floor(random() * 11)];
        SELECT array_agg(tail ORDER BY random()) INTO tails
          FROM (SELECT environment || '-' || component AS tail FROM promote.instance WHERE project = 'left'
                UNION ALL SELECT 'nowhere-s1' UNION ALL SELECT 'dev-s9') AS t;
        tails := tails[1 : 1 + floor(random() * 11)];
        -- mostly what is right, by the left side's rows
        SELECT array_agg(CASE WHEN verb = 'deploy' THEN CASE WHEN random() < 0.1 THEN 1 END
            ELSE COALESCE(d.deployment, 1) END ORDER BY t.place),
               array_agg(COALESCE(d.fencing, 1) + CASE WHEN random() < 0.1 THEN 1 ELSE 0 END ORDER BY t.place)
          INTO numbers, fencings
          FROM unnest(tails) WITH ORDINALITY AS t (tail, place)
          LEFT JOIN LATERAL (
              SELECT d.deployment, d.fencing FROM promote.deployment AS d
               WHERE d.project = 'left' AND d.environment || '-' || d.component = t.tail
               ORDER BY d.status = CASE WHEN verb IN ('approve', 'reject') THEN 'PROPOSED' ELSE 'RUNNING' END DESC,
                   d.deployment DESC
               LIMIT 1) AS d ON true;
        SELECT array_agg('left-' || tail ORDER BY place) INTO names
            FROM unnest(tails) WITH ORDINALITY AS t (tail, place);
        INSERT INTO outcome SELECT 'left', round, m.place, m.status, m.code
            FROM pg_temp.many(verb, names, numbers, fencings) AS m;
        INSERT INTO outcome SELECT 'right', round, t.place, s.status, s.code
          FROM (SELECT * FROM unnest(tails) WITH ORDINALITY AS t (tail, place)
              ORDER BY split_part(tail, '-', 1) COLLATE "C",
                    split_part(tail, '-', 2) COLLATE "C" OFFSET 0) AS t,
               LATERAL pg_temp.single(verb, 'right-' || t.tail, numbers[t.place], fencings[t.place]) AS s;
    END LOOP;
END
$$;
UPDATE promote.project SET attributes = jsonb_build_object('side', project) WHERE project IN ('left', 'right');
INSERT INTO promote.freeze_window (environment, component, name, during)
    VALUES ('live', 's4', 'quiet', '[2000-01-01,2100-01-01)');
CALL pg_temp.rounds(150);
SELECT is(pg_temp.lines($$SELECT l.round, l.place, l.status, l.code, r.status, r.code FROM outcome AS l
    JOIN outcome AS r
    USING (round, place) WHERE l.side = 'left' AND r.side = 'right' AND (l.status, l.code) IS DISTINCT FROM (r.status,
        r.code)
    ORDER BY 1, 2 LIMIT 5$$), NULL, 'each element comes out the same');
SELECT cmp_ok((SELECT count(DISTINCT code) FROM outcome), '>', 4::bigint, 'for many reasons');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE side = 'left' AND status IS NOT NULL), '>', 200::bigint,
    'much was done');
CREATE FUNCTION pg_temp.rows(side text) RETURNS TABLE (line text) LANGUAGE sql AS $$
    SELECT concat_ws(' ', environment, component, deployment, action, status, revision, base_deployment, base_revision,
        version,
        previous_version, rendered_digest = rendered_digest, diff, kept_marks, destructive, plan, message, actor,
            queued_at IS NULL,
        due_at IS NULL, worker, fencing, lost_leases, seen_change, started_at IS NULL, finished_at IS NULL, approved_by,
            reason,
        plan_digest IS NULL, gates - 'at', not_deployed, joined_by) FROM promote.deployment WHERE project = side
    UNION ALL
    SELECT concat_ws(' ', environment, component, status, revision, deployment, deployed_revision, deployed_by,
        changed_by)
      FROM promote.instance WHERE project = side
    UNION ALL
    SELECT concat_ws(' ', replace(subject, side, ''), seq, event,
        data - 'rendered_digest' - 'plan_digest' - 'created_at' - 'queued_at'
        - 'started_at' - 'finished_at' - 'diff' - 'digest' - 'project' - 'gates' - 'params' - 'overrides')
            FROM promote.audit_log
     WHERE project = side AND subject ~ ('^' || side || '-')
$$;
SELECT is(pg_temp.lines($$(SELECT 'left', line FROM pg_temp.rows('left') AS line EXCEPT ALL SELECT 'left', line
    FROM pg_temp.rows('right') AS line)
    UNION ALL (SELECT 'right', line FROM pg_temp.rows('right') AS line EXCEPT ALL SELECT 'right', line
        FROM pg_temp.rows('left') AS line)
    LIMIT 6$$), NULL, 'and so do all rows, and what the log has of them');
SELECT is(pg_temp.lines('SELECT * FROM promote.verify_audit()'), NULL, 'the log tells all of it');
SELECT * FROM finish();
ROLLBACK;
