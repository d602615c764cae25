-- The table of deployments: which steps there are, whoever takes them, and what each brings about.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL promote.actor = 'ada';

-- ---- the table of steps ----
SELECT is(pg_temp.lines($$SELECT from_status, to_status, event FROM promote.deployment_steps()
    WHERE action = 'PROVISION' ORDER BY 1, 2$$),
E'(APPROVED,ABORTED,deployment.aborted)
(APPROVED,RUNNING,deployment.started)
(PENDING,ABORTED,deployment.aborted)
(PENDING,RUNNING,deployment.started)
(PROPOSED,APPROVED,deployment.approved)
(PROPOSED,REJECTED,deployment.rejected)
(RUNNING,ABORTED,deployment.aborted)
(RUNNING,APPROVED,deployment.released)
(RUNNING,COMPLETED,deployment.completed)
(RUNNING,FAILED,deployment.failed)
(RUNNING,PENDING,deployment.released)', 'the steps of the design, and back to the queue');
SELECT is(count(DISTINCT steps), 1::bigint, 'every action takes the same steps')
  FROM (SELECT array_agg((from_status, to_status, event)::text ORDER BY from_status, to_status) AS steps
      FROM promote.deployment_steps() GROUP BY action) AS s;
SELECT is(pg_temp.lines($$SELECT action, from_status, to_status, instance_status FROM promote.deployment_steps()
    WHERE instance_status IS NOT NULL ORDER BY 1, 2, 3$$),
E'(DECOMMISSION,RUNNING,ABORTED,FAILED)
(DECOMMISSION,RUNNING,COMPLETED,DECOMMISSIONED)
(DECOMMISSION,RUNNING,FAILED,FAILED)
(PROVISION,RUNNING,ABORTED,FAILED)
(PROVISION,RUNNING,COMPLETED,PROVISIONED)
(PROVISION,RUNNING,FAILED,FAILED)', 'and what ran leaves its mark on the instance, but for a PLAN');

-- An instance of its own for each case, with one deployment in the state asked for.
CREATE FUNCTION pg_temp.instance_with(number integer, action text, status text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    instance_name text := 'ecomm-s' || number || '-db';
    claim record;
    approved boolean := status IN ('PROPOSED', 'APPROVED', 'REJECTED');
BEGIN
    INSERT INTO promote.environment (project, environment, require_plan, attributes)
    VALUES ('ecomm', 's' || number, false, jsonb_build_object('case', number));
    INSERT INTO promote.instance (project, environment, component) VALUES ('ecomm', 's' || number, 'db');
    PERFORM promote.configure_instance(instance_name, '{"size": "small"}', '1.0.0', plan => false);
    IF action = 'DECOMMISSION' THEN
        PERFORM pg_temp.deploy(instance_name, true);
    END IF;
    IF approved THEN
        PERFORM promote.propose_deployment(instance_name, action);
    ELSIF action = 'PLAN' THEN
        PERFORM promote.plan_instance(instance_name);
    ELSIF action = 'PROVISION' THEN
        PERFORM promote.deploy_instance(instance_name);
    ELSE
        PERFORM promote.decommission_instance(instance_name);
    END IF;
    IF status = 'APPROVED' THEN
        PERFORM promote.approve_deployment(instance_name, (SELECT deployment FROM promote.instance
            WHERE name = instance_name));
    ELSIF status = 'REJECTED' THEN
        PERFORM promote.reject_deployment(instance_name, (SELECT deployment FROM promote.instance
            WHERE name = instance_name), 'no');
    ELSIF status IN ('RUNNING', 'COMPLETED', 'FAILED', 'ABORTED') THEN
        SELECT * INTO STRICT claim FROM promote.claim_deployment('w', selector => jsonb_build_object('case', number));
        CASE status
            WHEN 'COMPLETED' THEN PERFORM promote.complete_deployment(instance_name, claim.deployment, claim.fencing);
            WHEN 'FAILED' THEN PERFORM promote.fail_deployment(instance_name, claim.deployment, 'broken',
                claim.fencing);
            WHEN 'ABORTED' THEN PERFORM promote.abort_deployment(instance_name, claim.deployment, 'enough');
            ELSE NULL;
        END CASE;
    END IF;
    RETURN instance_name;
END
$$;

-- Runs a statement in a subtransaction of its own and says its SQLSTATE; '00000' where it went well.
CREATE FUNCTION pg_temp.state_of(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    state := '00000';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state := RETURNED_SQLSTATE, message := MESSAGE_TEXT, detail := PG_EXCEPTION_DETAIL,
        hint := PG_EXCEPTION_HINT;
END
$$;

-- ---- every pair of states, for every action, by a plain UPDATE ----
CREATE TEMP TABLE pair ON COMMIT DROP AS
SELECT row_number() OVER ()::integer AS number, a AS action, f AS from_status, t AS to_status
  FROM unnest(ARRAY['PLAN', 'PROVISION', 'DECOMMISSION']) AS a,
       unnest(ARRAY['PROPOSED', 'APPROVED', 'REJECTED', 'PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'ABORTED']) AS f,
       unnest(ARRAY['PROPOSED', 'APPROVED', 'REJECTED', 'PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'ABORTED']) AS t;
CREATE TEMP TABLE tried ON COMMIT DROP AS
SELECT p.*, i.name, s.state, s.hint
  FROM pair AS p, LATERAL (SELECT pg_temp.instance_with(number, action, from_status) AS name) AS i,
       LATERAL pg_temp.state_of(format($$UPDATE promote.deployment SET status = %L %s
            WHERE environment = 's%s' AND deployment = (SELECT deployment FROM promote.instance
                WHERE environment = 's%3$s')$$,
            to_status, CASE to_status
                WHEN 'RUNNING' THEN $$, worker = 'hand', due_at = clock_timestamp() + interval '1 minute'$$ ELSE '' END,
                number)) AS s;
-- An UPDATE to the state that it is in is no step.  What ran without being approved goes back to PENDING alone.
SELECT is(t.state,
          CASE WHEN t.from_status = t.to_status AND t.to_status <> 'RUNNING' THEN '00000'
               WHEN t.from_status = t.to_status THEN 'PM303'
               WHEN (t.from_status, t.to_status) = ('RUNNING', 'APPROVED') THEN 'PM501'
               WHEN s.event IS NOT NULL THEN '00000' ELSE 'PM501' END,
          format('%s: %s to %s', t.action, t.from_status, t.to_status))
  FROM tried AS t LEFT JOIN promote.deployment_steps() AS s USING (action, from_status, to_status) ORDER BY t.number;
SELECT is((SELECT count(*) FROM tried WHERE state <> '00000' AND COALESCE(hint, '') = ''), 0::bigint,
    'every refusal says what can be done');
SELECT is(d.status, CASE t.state WHEN '00000' THEN t.to_status ELSE t.from_status END,
    format('%s: %s to %s is where it is', t.action, t.from_status, t.to_status))
  FROM tried AS t JOIN promote.instance AS i ON i.environment = 's' || t.number
  JOIN promote.deployment AS d ON d.environment = i.environment AND d.deployment = i.deployment
      WHERE d.project = 'ecomm'
   AND d.status <> CASE t.state WHEN '00000' THEN t.to_status ELSE t.from_status END;
SELECT is((SELECT count(*) FROM tried AS t JOIN promote.deployment_steps() AS s USING (action, from_status, to_status)
             JOIN promote.instance AS i ON i.name = t.name
             JOIN promote.audit_log AS a ON a.subject = t.name AND a.event = s.event
                 AND a.data ->> 'status' = t.to_status AND (a.data ->> 'deployment')::integer = i.deployment
            WHERE t.state = '00000'), 3 * 10::bigint, 'each step by hand is in the audit log');
SELECT is(i.status, COALESCE(s.instance_status, CASE WHEN t.from_status IN ('COMPLETED', 'FAILED', 'ABORTED')
    OR t.action = 'DECOMMISSION' THEN i.status ELSE 'INITIALIZED' END),
          format('%s: %s to %s leaves the instance', t.action, t.from_status, t.to_status))
  FROM tried AS t JOIN promote.deployment_steps() AS s USING (action, from_status, to_status)
      JOIN promote.instance AS i ON i.name = t.name
 WHERE t.state = '00000' ORDER BY t.number;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and the record is whole');

-- ---- every verb in every state ----
CREATE TEMP TABLE verb ON COMMIT DROP AS
SELECT 1000 + row_number() OVER ()::integer AS number, a AS action, f AS from_status, v AS verb, call, good
  FROM unnest(ARRAY['PLAN', 'PROVISION', 'DECOMMISSION']) AS a,
       unnest(ARRAY['PROPOSED', 'APPROVED', 'REJECTED', 'PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'ABORTED']) AS f,
       (VALUES ('approve', 'approve_deployment(%L, %s)', '{PROPOSED,APPROVED}'::text[]),
               ('reject', 'reject_deployment(%L, %s, ''no'')', '{PROPOSED,REJECTED}'),
               ('abort', 'abort_deployment(%L, %s, ''no'')', '{PENDING,APPROVED,RUNNING,ABORTED}'),
               ('heartbeat', 'heartbeat_deployment(%L, %s, 1)', '{RUNNING}'),
               ('log', 'append_deployment_log(%L, %s, ''x'', 1)', '{RUNNING}'),
               ('complete', 'complete_deployment(%L, %s, 1)', '{RUNNING,COMPLETED}'),
               ('fail', 'fail_deployment(%L, %s, ''x'', 1)', '{RUNNING,FAILED}'),
               ('release', 'release_deployment(%L, %s, 1)', '{RUNNING}')) AS v(v, call, good);
CREATE TEMP TABLE called ON COMMIT DROP AS
SELECT v.*, i.name, s.*
  FROM verb AS v, LATERAL (SELECT pg_temp.instance_with(number, action, from_status) AS name) AS i,
       LATERAL pg_temp.state_of(format('SELECT promote.' || call, i.name,
           format('(SELECT n.deployment FROM promote.instance AS n WHERE n.name = %L)', i.name))) AS s;
SELECT is(state, CASE WHEN from_status = ANY (good) THEN '00000'
               -- that is a vote
               WHEN verb IN ('approve', 'reject') AND action = 'PLAN' AND from_status = 'COMPLETED' THEN 'PM603'
               WHEN verb IN ('approve', 'reject', 'abort') THEN 'PM501' ELSE 'PM502' END,
          format('%s of a %s that is %s', verb, action, from_status)) FROM called ORDER BY number;
SELECT is(pg_temp.lines($$SELECT verb, action, from_status, message, detail FROM called
    WHERE state NOT IN ('00000', 'PM603') AND message !~ from_status AND detail !~ from_status$$), NULL,
    'every refusal names the state');
SELECT is((SELECT count(*) FROM called WHERE state <> '00000' AND COALESCE(hint, '') = ''), 0::bigint,
    'and says what can be done');
SELECT is(d.status,
          CASE WHEN c.state <> '00000' OR c.verb IN ('heartbeat', 'log') THEN c.from_status
               ELSE (ARRAY['APPROVED', 'REJECTED', 'ABORTED', 'COMPLETED', 'FAILED',
                   'PENDING'])[array_position(ARRAY['approve', 'reject', 'abort', 'complete', 'fail', 'release'],
                   c.verb)] END,
          format('where %s leaves a %s that was %s', c.verb, c.action, c.from_status))
  FROM called AS c JOIN promote.instance AS i ON i.name = c.name
  JOIN promote.deployment AS d ON d.environment = i.environment AND d.deployment = i.deployment AND d.project = 'ecomm'
      ORDER BY c.number;
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and the record is whole');

-- ---- what a row may be, column by column: each of these is one that may be but for the columns named ----
CREATE FUNCTION pg_temp.may_be(status text, change jsonb DEFAULT '{}') RETURNS boolean LANGUAGE sql AS $$
    SELECT promote_internal.check_deployment((n ->> 'deployment')::integer, n ->> 'action', n ->> 'status',
        (n ->> 'plan')::integer, (n ->> 'queued_at')::timestamptz, (n ->> 'due_at')::timestamptz,
               n ->> 'worker', (n ->> 'fencing')::integer, (n ->> 'lost_leases')::integer,
                   (n ->> 'started_at')::timestamptz, (n ->> 'finished_at')::timestamptz, (n ->> 'plan_digest')::bytea)
      FROM (SELECT jsonb_build_object('deployment', 2, 'action', 'PROVISION', 'status', status, 'fencing', 0,
          'lost_leases', 0)
                || CASE WHEN status IN ('PROPOSED', 'REJECTED') THEN '{}' ELSE '{"queued_at": "2026-01-01"}' END::jsonb
                || CASE WHEN status IN ('RUNNING', 'COMPLETED',
                    'FAILED') THEN '{"worker": "w", "fencing": 1, "started_at": "2026-01-01"}' ELSE '{}' END::jsonb
                || CASE WHEN status = 'RUNNING' THEN '{"due_at": "2026-01-01"}' ELSE '{}' END::jsonb
                || CASE WHEN status IN ('REJECTED', 'COMPLETED', 'FAILED',
                    'ABORTED') THEN '{"finished_at": "2026-01-01"}' ELSE '{}' END::jsonb
                || change) AS r (n)
$$;
SELECT is(pg_temp.may_be(status), true, status || ' may be')
    FROM unnest(ARRAY['PROPOSED', 'APPROVED', 'REJECTED', 'PENDING', 'RUNNING', 'COMPLETED', 'FAILED',
    'ABORTED']) AS status;
SELECT is(pg_temp.may_be(status, change::jsonb), true, status || ' may have ' || change)
  FROM (VALUES ('PENDING', '{"due_at": "2026-01-01"}'), ('APPROVED', '{"due_at": "2026-01-01"}'),
      ('PENDING', '{"plan": 1}'),
      ('PENDING', '{"worker": "w", "fencing": 3, "lost_leases": 3, "started_at": "2026-01-01"}'),
               ('ABORTED', '{"queued_at": null}'),
                   ('ABORTED', '{"worker": "w", "fencing": 1, "started_at": "2026-01-01"}'),
                   ('PENDING', '{"action": "PLAN"}'), ('PENDING', '{"action": "DECOMMISSION"}'),
               ('COMPLETED', '{"plan_digest": "\\x0000000000000000000000000000000000000000000000000000000000000000"}'),
                   ('PENDING', '{"deployment": 1}')) AS v (status, change);
SELECT is(pg_temp.may_be(status, change::jsonb), false, status || ' may not have ' || change)
  FROM (VALUES ('RUNNING', '{"fencing": 0}'), ('RUNNING', '{"fencing": 0, "worker": null, "started_at": null}'),
      ('COMPLETED', '{"fencing": 0, "worker": null, "started_at": null}'),
               ('FAILED', '{"fencing": 0, "worker": null, "started_at": null}'), ('RUNNING', '{"worker": null}'),
                   ('RUNNING', '{"started_at": null}'), ('PENDING', '{"worker": "w"}'),
                   ('PENDING', '{"started_at": "2026-01-01"}'),
               ('RUNNING', '{"due_at": null}'), ('PROPOSED', '{"due_at": "2026-01-01"}'),
                   ('COMPLETED', '{"due_at": "2026-01-01"}'), ('PENDING', '{"queued_at": null}'),
                   ('APPROVED', '{"queued_at": null}'), ('RUNNING', '{"queued_at": null}'),
               ('RUNNING', '{"finished_at": "2026-01-01"}'), ('PENDING', '{"finished_at": "2026-01-01"}'),
                   ('COMPLETED', '{"finished_at": null}'), ('REJECTED', '{"finished_at": null}'),
               ('PENDING', '{"lost_leases": -1}'), ('RUNNING', '{"lost_leases": 2}'), ('PENDING', '{"deployment": 0}'),
                   ('PENDING', '{"plan": 2}'), ('PENDING', '{"plan": 1, "action": "PLAN"}'),
                   ('PENDING', '{"plan": 1, "action": "DECOMMISSION"}'),
               ('PENDING', '{"action": "DANCE"}'), ('PENDING', '{"action": "PLA"}'),
                   ('PENDING', '{"status": "WAITING"}'), ('COMPLETED', '{"plan_digest": "\\x00"}'),
               ('PENDING', '{"deployment": null}'), ('PENDING', '{"action": null}'), ('PENDING', '{"status": null}'),
                   ('PENDING', '{"fencing": null}'), ('PENDING', '{"lost_leases": null}')) AS v (status, change);

-- ---- what a deployment carries never changes, and its progress is nobody's to set ----
SELECT pg_temp.instance_with(9001, 'PROVISION', 'RUNNING') AS instance \gset
SELECT throws_ok(format('UPDATE promote.deployment SET %s WHERE environment = ''s9001''', change), 'PM301', NULL,
    change)
  FROM unnest(ARRAY['revision = revision + 1', 'version = ''9.9.9''', 'diff = ''[1]''',
      'rendered_digest = sha256(''x'')', 'deployment = 99', 'environment = ''staging''',
                    'actor = ''eve''', 'message = ''x''', 'created_at = now()',
                        'plan_digest = sha256(''x''), status = ''COMPLETED'', action = ''PLAN''']) AS change;
SELECT throws_ok(format('UPDATE promote.deployment SET %s WHERE environment = ''s9001''', change), 'PM303', NULL,
    change)
  FROM unnest(ARRAY['fencing = 7', 'due_at = ''infinity''', 'worker = ''eve''', 'queued_at = now()', 'lost_leases = 1',
      'seen_change = 5', 'started_at = now()',
                    'approved_by = ''eve''', 'reason = ''x''', 'plan_facts = ''{}''',
                        'status = ''COMPLETED'', finished_at = now()']) AS change;
-- What a plan says is written while it runs, once.
SELECT pg_temp.instance_with(9010, 'PLAN', 'PENDING'), pg_temp.instance_with(9011, 'PLAN', 'COMPLETED'),
    pg_temp.instance_with(9012, 'PLAN', 'PROPOSED'), pg_temp.instance_with(9013, 'PLAN', 'ABORTED') \g /dev/null
SELECT throws_ok(format('UPDATE promote.deployment SET %s WHERE environment = ''s%s''', change, number), 'PM301', NULL,
    format('%s of case %s', change, number))
  FROM unnest(ARRAY[9010, 9011, 9012, 9013]) AS number,
      unnest(ARRAY['plan_facts = ''{"complete": true}''', 'plan_defects = ''{incomplete}''',
      'plan_digest = sha256(''x'')']) AS change;
SELECT throws_ok($$DELETE FROM promote.deployment$$, 'PM301', NULL, 'no deployment is deleted');
SELECT throws_ok($$TRUNCATE promote.deployment CASCADE$$, 'PM301', NULL, 'nor all of them');
SELECT throws_ok($$INSERT INTO promote.deployment (project, environment, component, deployment, action, status,
    revision, bundle, version, rendered_digest, diff)
    SELECT project, environment, component, deployment + 1, action, 'PROPOSED', revision, bundle, version,
        rendered_digest, diff FROM promote.deployment WHERE environment = 's9001'$$,
    'PM303', NULL, 'none is made up');
CREATE ROLE pm_writer;
GRANT USAGE ON SCHEMA promote TO pm_writer;
GRANT INSERT ON promote.deployment_log TO pm_writer;
SET LOCAL ROLE pm_writer;
SELECT throws_ok($$INSERT INTO promote.deployment_log (project, environment, component, deployment, entry, fencing,
    message) VALUES ('ecomm', 's9001', 'db', 1, 1, 1, 'x')$$, 'PM303', NULL, 'nor what a worker said');
RESET ROLE;
SELECT is(promote_internal.check_deployment(1, action, status, NULL, NULL, NULL, NULL, fencing, lost, NULL, NULL, NULL),
    expected, 'whoever asks: a row that lacks what it must have makes no sense')
  FROM (VALUES (NULL, 'PROPOSED', 0, 0, false), ('PLAN', NULL, 0, 0, false), ('PLAN', 'PROPOSED', NULL, 0, false),
      ('PLAN', 'PROPOSED', 0, NULL, false), ('PLAN', 'PROPOSED', 0, 0, true)) AS v (action, status, fencing, lost,
      expected);

SELECT pg_temp.instance_with(9003, 'PLAN', 'PENDING'), pg_temp.instance_with(9004, 'PLAN', 'PROPOSED') \g /dev/null
SELECT is((promote.propose_deployment('ecomm-s9003-db', 'PROVISION')).status, 'PROPOSED',
    'a proposal behind what waits');
UPDATE promote.deployment SET status = 'APPROVED', due_at = 'infinity' WHERE environment IN ('s9003', 's9004')
    AND status = 'PROPOSED';
SELECT is(pg_temp.lines($$SELECT environment, deployment, status, due_at <= clock_timestamp() FROM promote.deployment
    WHERE environment IN ('s9003', 's9004') ORDER BY 1, 2$$),
    E'(s9003,1,PENDING,t)\n(s9003,2,APPROVED,)\n(s9004,1,APPROVED,t)',
        'whoever approves has no say in whose turn it is');

-- ---- triggers that a user added ----
CREATE FUNCTION pg_temp.skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION pg_temp.alter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW := jsonb_populate_record(NEW, TG_ARGV[0]::jsonb);
    RETURN NEW;
END
$$;
SELECT pg_temp.instance_with(9002, 'PROVISION', 'PENDING') AS waiting \gset
-- What is tried, with a trigger on that table for as long as that takes.
CREATE FUNCTION pg_temp.with_trigger(name text, event text, target text, body text, statement text) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('CREATE TRIGGER %I BEFORE %s ON promote.%s FOR EACH ROW EXECUTE FUNCTION pg_temp.%s', name, event,
        target, body);
    result := (pg_temp.state_of(statement)).state;
    EXECUTE format('DROP TRIGGER %I ON promote.%s', name, target);
    RETURN result;
END
$$;
SELECT is(pg_temp.with_trigger('aaa', event, target, 'skip()', 'SELECT promote.' || call), 'XX000',
    'a row that a trigger skips: ' || call)
  FROM (VALUES ('UPDATE', 'deployment', $$heartbeat_deployment('ecomm-s9001-db', 1, 1)$$),
               ('UPDATE', 'deployment', $$release_deployment('ecomm-s9001-db', 1, 1)$$),
               ('UPDATE', 'deployment', $$abort_deployment('ecomm-s9001-db', 1)$$),
               ('UPDATE', 'deployment', $$claim_deployment('w', selector => '{"case": 9002}')$$),
               ('INSERT', 'deployment', $$plan_instance('ecomm-s9001-db')$$),
               ('INSERT', 'deployment_log', $$append_deployment_log('ecomm-s9001-db', 1, 'x', 1)$$)) AS v (event,
                   target, call);
SELECT is(pg_temp.with_trigger('zzz', 'UPDATE', 'deployment', format('alter(%L)', new),
    $$SELECT promote.claim_deployment('w', selector => '{"case": 9002}')$$), state,
    'a row that a trigger changes: ' || new)
  FROM (VALUES ('{"status": "APPROVED"}', 'PM501'),
      ('{"status": "COMPLETED", "finished_at": "2026-01-01", "due_at": null}', 'PM501'),
      ('{"message": "x"}', 'PM301')) AS v (new, state);
SELECT is((SELECT status FROM promote.deployment WHERE environment = 's9002'), 'PENDING', 'nothing has come of it');
SELECT throws_ok(format('UPDATE promote.deployment SET status = %L WHERE environment = ''s9002''', status), 'PM501',
    'deployment 1 of "ecomm-s9002-db" is PENDING and cannot become ' || COALESCE(status, 'null'),
        'no state that there is: ' || COALESCE(status, 'NULL'))
  FROM (VALUES ('DONE'), (''), (NULL)) AS v (status);

-- What one queues where a step is taken waits behind what waits already.
SELECT pg_temp.instance_with(9005, 'PLAN', 'PENDING'), pg_temp.instance_with(9006, 'PROVISION', 'PENDING') \g /dev/null
SELECT (promote.propose_deployment('ecomm-s9005-db', 'PROVISION')).deployment,
    (promote.approve_deployment('ecomm-s9005-db', 2)).status \g /dev/null
CREATE FUNCTION pg_temp.deploy_next() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.configure_instance('ecomm-s9005-db', '{"size": "large"}', plan => false);
    PERFORM promote.deploy_instance('ecomm-s9005-db');
    RETURN NULL;
END
$$;
CREATE FUNCTION pg_temp.plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.plan_instance('ecomm-s9006-db');
    RETURN NULL;
END
$$;
CREATE TRIGGER auto AFTER UPDATE ON promote.deployment FOR EACH ROW
    WHEN (NEW.environment = 's9005' AND NEW.action = 'PLAN'
    AND NEW.status = 'COMPLETED') EXECUTE FUNCTION pg_temp.deploy_next();
CREATE TRIGGER auto AFTER UPDATE ON promote.instance FOR EACH ROW
    WHEN (NEW.environment = 's9006' AND NEW.status IS DISTINCT FROM OLD.status) EXECUTE FUNCTION pg_temp.plan();
SELECT is(promote.complete_deployment(c.instance, c.deployment, c.fencing) IS NULL, false, 'a step is taken')
  FROM unnest('{9005,9006}'::integer[]) AS n, promote.claim_deployment('w', selector => jsonb_build_object('case',
      n)) AS c;
SELECT is(pg_temp.lines($$SELECT environment, deployment, action, status, due_at IS NOT NULL FROM promote.deployment
    WHERE environment IN ('s9005', 's9006') ORDER BY 1, 2$$),
E'(s9005,1,PLAN,COMPLETED,f)
(s9005,2,PROVISION,APPROVED,t)
(s9005,3,PROVISION,PENDING,f)
(s9006,1,PROVISION,COMPLETED,f)
(s9006,2,PLAN,PENDING,t)', 'a trigger queues behind what waits');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'and the record is whole');

SELECT * FROM finish();
ROLLBACK;
