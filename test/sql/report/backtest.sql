-- What a policy, or other settings of gates, would have stopped, over a history that was judged by hand. Times are days
-- and hours of two weeks, the first of which begins on Monday, 2026-01-05.
BEGIN;
SELECT no_plan();
SET LOCAL TimeZone = 'UTC';
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql
\ir ../../fixtures/dora.sql
CREATE FUNCTION pg_temp.at(day integer, hour float8) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT '2026-01-05'::timestamptz + day * interval '1 day' + hour * interval '1 hour'
$$;
INSERT INTO promote.bundle_release (bundle, version, params_schema, artifact_digest)
VALUES ('told', '1.1.0', '{}', 'sha256:' || repeat('0', 64)), ('told', '1.2.0', '{}', NULL);

-- A revision, and a deployment of it, as a dump brings them along.
CREATE FUNCTION pg_temp.made(environment text, revision integer, params jsonb, at timestamptz, actor text,
    source_revision integer DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.config (project, params) SELECT 'told', made.params
     WHERE NOT EXISTS (SELECT FROM promote.config AS c WHERE c.project = 'told' AND c.params = made.params);
    INSERT INTO promote.revision (project, environment, component, revision, digest, version_constraint, bundle,
        version, created_at, origin, source_environment, source_revision, mode, actor, database_role)
    SELECT 'told', made.environment, 'app', made.revision, c.digest, '~1', 'told', '1.0.0', at,
           CASE WHEN source_revision IS NULL THEN 'edit' ELSE 'promotion' END,
           CASE WHEN source_revision IS NOT NULL THEN 'staging' END, made.source_revision,
           CASE WHEN source_revision IS NOT NULL THEN 'replace' END, made.actor, made.actor
      FROM promote.config AS c WHERE c.project = 'told' AND c.params = made.params;
END
$$;
CREATE FUNCTION pg_temp.ran(environment text, deployment integer, revision integer, version text, queued timestamptz,
    started timestamptz, actor text, plan integer DEFAULT NULL, base integer DEFAULT NULL, gates jsonb DEFAULT NULL,
    status text DEFAULT 'COMPLETED', action text DEFAULT 'PROVISION', diff jsonb DEFAULT '[]',
    approved_by text DEFAULT NULL, imported timestamptz DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.deployment (project, environment, component, deployment, action, status, revision, bundle,
        version, rendered_digest, diff, worker, fencing, created_at, queued_at, started_at, finished_at, plan_digest,
        reason, seen_change, actor, database_role, plan, base_deployment, base_revision, gates, reverts, approved_by,
        imported_at, moved_by, moved_role)
    SELECT 'told', $1, 'app', $2, $12, $11, $3, 'told', $4, r.digest, $13,
           CASE WHEN $6 IS NOT NULL THEN 'worker' END, ($6 IS NOT NULL)::integer, $5, $5, $6,
           COALESCE($6, $5) + interval '5 minutes', sha256(''), 'loaded', 0, $7, $7, $8, $9,
           (SELECT b.revision FROM promote.deployment AS b
             WHERE b.project = 'told' AND b.environment = $1 AND b.component = 'app' AND b.deployment = $9),
           $10, $13 <> '[]', $14, $15, CASE WHEN $15 IS NOT NULL THEN 'importer' END,
           CASE WHEN $15 IS NOT NULL THEN 'importer' END
      FROM promote.revision AS r
     WHERE r.project = 'told' AND r.environment = $1 AND r.component = 'app' AND r.revision = $3
$$;
SELECT pg_temp.told_instance('staging', 'app', 2, 3), pg_temp.told_instance('production', 'app', 5, 9) \g /dev/null
SELECT pg_temp.made('staging', 1, '{"a": 1}', pg_temp.at(0, 9), 'ada'),
       pg_temp.made('staging', 2, '{"a": 2}', pg_temp.at(2, 9), 'ada'),
       pg_temp.made('production', 1, '{"a": 1}', pg_temp.at(0, 11), 'ada', 1),
       pg_temp.made('production', 2, '{"a": 2}', pg_temp.at(2, 10.5), 'ada', 2),
       pg_temp.made('production', 3, '{"a": 3}', pg_temp.at(5, 9), 'cid'),
       pg_temp.made('production', 4, '{"a": 2}', pg_temp.at(7, 9), 'bob', 2),
       pg_temp.made('production', 5, '{"a": 5}', pg_temp.at(9, 9), 'dan') \g /dev/null
CREATE FUNCTION pg_temp.gates(at timestamptz, approvals jsonb DEFAULT '[]') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('at', at, 'gates', '[]'::jsonb, 'overridden', '[]'::jsonb, 'approvals', approvals)
$$;
SELECT pg_temp.ran('staging', 1, 1, '1.0.0', pg_temp.at(0, 10), pg_temp.at(0, 10), 'ada'),
       pg_temp.ran('staging', 2, 2, '1.1.0', pg_temp.at(2, 10), pg_temp.at(2, 10), 'ada', base => 1),
       -- what staging ran later proves nothing of what production ran before
       pg_temp.ran('staging', 3, 2, '1.2.0', pg_temp.at(9, 1), pg_temp.at(9, 1), 'ada', base => 2),
       -- an hour and 55 minutes after staging did
       pg_temp.ran('production', 1, 1, '1.0.0', pg_temp.at(0, 12), pg_temp.at(0, 12), 'ada',
                   gates => pg_temp.gates(pg_temp.at(0, 12))) \g /dev/null
SELECT pg_temp.ran('production', 2, 2, '1.1.0', pg_temp.at(2, 11), pg_temp.at(2, 11), 'bob', base => 1,
           action => 'PLAN', diff => '[{"kind": "param", "path": ".a", "change": "change", "old": 1, "new": 2,
                      "reverts": {"revision": 1}}]') \g /dev/null
-- waits in the queue until the next morning
SELECT pg_temp.ran('production', 3, 2, '1.1.0', pg_temp.at(2, 11.5), pg_temp.at(3, 9), 'bob', plan => 2, base => 1,
           gates => pg_temp.gates(pg_temp.at(2, 11.5), jsonb_build_array(jsonb_build_object('rule', 'two', 'role',
               'test_ops', 'quorum', 1, 'votes', jsonb_build_array(jsonb_build_object('vote', 1, 'actor', 'ada',
               'database_role', 'ada', 'at', pg_temp.at(2, 11.25))))))),
       -- on Saturday, and fails
       pg_temp.ran('production', 4, 3, '1.1.0', pg_temp.at(5, 10), pg_temp.at(5, 10), 'cid', base => 3,
           status => 'FAILED', gates => pg_temp.gates(pg_temp.at(5, 10))),
       -- by a release that never ran in staging, with a rule that somebody had overridden
       pg_temp.ran('production', 5, 4, '1.2.0', pg_temp.at(7, 10), pg_temp.at(7, 10), 'bob', base => 3,
           gates => pg_temp.gates(pg_temp.at(7, 10),
               '[{"rule": "two", "role": "test_ops", "quorum": 1, "votes": []}]')),
       pg_temp.ran('production', 6, 4, '1.2.0', pg_temp.at(8, 10), pg_temp.at(8, 10), 'cid', base => 5,
           action => 'DECOMMISSION', gates => pg_temp.gates(pg_temp.at(8, 10))),
       -- never begun
       pg_temp.ran('production', 7, 5, '1.2.0', pg_temp.at(8, 11), NULL, 'dan', status => 'ABORTED',
           gates => pg_temp.gates(pg_temp.at(8, 11))),
       pg_temp.ran('production', 8, 5, '1.1.0', pg_temp.at(9, 12), pg_temp.at(9, 12), 'eve',
           imported => pg_temp.at(10, 0)),
       -- a proposal, approved a while later
       pg_temp.ran('production', 9, 5, '1.1.0', pg_temp.at(10, 12), pg_temp.at(10, 12), 'dan', base => 8,
           approved_by => 'ada', gates => pg_temp.gates(pg_temp.at(10, 11.99))) \g /dev/null

-- What is said of production, a line for each reason, but for what passes.
CREATE FUNCTION pg_temp.gate(settings jsonb, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', g.deployment, g.verdict, g.code, to_char(g.at, 'DD HH24:MI'), '-',
                                to_char(g.until, 'DD HH24:MI'), '|', g.message), E'\n' ORDER BY g.deployment, g.message)
      FROM promote.gate_backtest('told', 'production', $1, $2, $3) AS g WHERE g.verdict <> 'passed'
$$;
SELECT is(pg_temp.lines($$SELECT * FROM promote.gate_backtest('told', 'production',
      '{"freeze": {"name": "inventory", "reason": "we count", "during": "[2026-01-10, 2026-01-12)"}}')$$),
    '(production,app,told-production-app,1,PROVISION,ada,"2026-01-05 12:00:00+00",passed,,,,COMPLETED)
(production,app,told-production-app,3,PROVISION,bob,"2026-01-07 11:30:00+00",passed,,,,COMPLETED)
(production,app,told-production-app,4,PROVISION,cid,"2026-01-10 10:00:00+00",blocked,freeze,"freeze ""inventory"" '
    || 'is on: we count","2026-01-12 00:00:00+00",FAILED)
(production,app,told-production-app,5,PROVISION,bob,"2026-01-12 10:00:00+00",passed,,,,COMPLETED)
(production,app,told-production-app,6,DECOMMISSION,cid,"2026-01-13 10:00:00+00",passed,,,,COMPLETED)
(production,app,told-production-app,8,PROVISION,eve,"2026-01-14 12:00:00+00",passed,,,,COMPLETED)
(production,app,told-production-app,9,PROVISION,dan,"2026-01-15 11:59:24+00",passed,,,,COMPLETED)',
    'a row for each deployment that was carried out: who, when, and what would have been said; no plan, nothing that '
    'was never begun');
SELECT is(pg_temp.gate('{"freeze": {"during": "[2026-01-08, 2026-01-09)"}}'),
    '3 held freeze 08 09:00 - 09 00:00 | freeze "freeze" is on', 'what was queued before a freeze is held by it');
SELECT is(pg_temp.gate('{"freeze": [{"name": "a", "during": "[2026-01-05, 2026-01-06)"},
      {"name": "b", "zone": "UTC", "starts_at": "2026-01-05 11:00", "duration": "2 hours",
       "rule": "FREQ=DAILY;INTERVAL=2"}, {"name": "c", "component": "other", "during": "[2026-01-01, 2026-02-01)"}]}'),
    '1 blocked freeze 05 12:00 - 06 00:00 | freeze "a" is on
1 blocked freeze 05 12:00 - 05 13:00 | freeze "b" is on
3 blocked freeze 07 11:30 - 07 13:00 | freeze "b" is on
9 blocked freeze 15 11:59 - 15 13:00 | freeze "b" is on', 'several, of which one recurs');
SELECT is(pg_temp.gate('{"change_window": {"name": "work", "zone": "UTC", "starts_at": "2025-12-01 09:00",
      "duration": "2 hours 45 minutes", "rule": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"}}'),
    '1 blocked window 05 12:00 - 06 09:00 | no change window is open, of "work"
4 blocked window 10 10:00 - 12 09:00 | no change window is open, of "work"
8 blocked window 14 12:00 - 15 09:00 | no change window is open, of "work"
9 blocked window 15 11:59 - 16 09:00 | no change window is open, of "work"', 'change windows, in which alone one may');
SELECT is(pg_temp.gate('{"change_window": [{"during": "[2026-01-05, 2026-01-08)"},
      {"name": "b", "during": "[2026-01-09, 2026-01-20)"}]}'),
    '3 held window 08 09:00 - 09 00:00 | no change window is open, of "b", "change_window"', 'and is held');
SELECT is(pg_temp.gate('{"required_soak": "2 hours"}'),
    '1 blocked soak 05 12:00 - 05 12:05 | the source "told-staging-app" has not run it for 02:00:00 yet
3 blocked soak 07 11:30 - 07 12:05 | the source "told-staging-app" has not run it for 02:00:00 yet
5 blocked soak 12 10:00 - | the source "told-staging-app" runs revision 2 by release 1.1.0, not what was promoted '
    || 'of revision 2 by release 1.2.0', 'soaking, by what the source ran then');
SELECT is(pg_temp.gate('{"required_soak": "1 hour"}', until => pg_temp.at(7, 0)), NULL, 'long enough');
SELECT pg_temp.told_health('staging', 'app', 'smoke', 1, false, 2, pg_temp.at(2, 11)),
       pg_temp.told_health('staging', 'app', 'smoke', 2, true, 2, pg_temp.at(2, 11.25)),
       pg_temp.told_health('staging', 'app', 'smoke', 3, false, 2, pg_temp.at(2, 13)) \g /dev/null
SELECT is(pg_temp.gate('{"required_soak": "1 hour"}', pg_temp.at(2, 0), pg_temp.at(3, 0)),
    '3 blocked soak 07 11:30 - 07 12:00 | the source "told-staging-app" has not run it for 01:00:00 since it was last '
    || 'reported unhealthy', 'in good health, as far as was known then');
SELECT is(pg_temp.gate('{"require_plan": true}'),
    '1 blocked plan 05 12:00 - | it was deployed without a plan
4 blocked plan 10 10:00 - | it was deployed without a plan
5 blocked plan 12 10:00 - | it was deployed without a plan
8 undecided require_plan 14 12:00 - | it was imported, and what was planned elsewhere was not kept
9 blocked plan 15 11:59 - | it was deployed without a plan', 'plans; of what was imported nobody knows');
SELECT is(pg_temp.gate('{"require_proven_release": true}'),
    '5 blocked release_unproven 12 10:00 - | release 1.2.0 has not run at "told-staging-app", nor where that was '
    || 'promoted from', 'proven by then: what ran later proves nothing');
SELECT is((SELECT count(*) FROM promote_internal.proving_runs('told', 'production', 'app', 'told', '1.2.0', 'staging',
    2, false)), 1::bigint, '... though it does by now');
SELECT is(pg_temp.gate('{"require_artifact_digest": true}'),
    '1 blocked artifact 05 12:00 - | release 1.0.0 of bundle "told" has no artifact digest
5 blocked artifact 12 10:00 - | release 1.2.0 of bundle "told" has no artifact digest', 'artifacts');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
VALUES ('told', 'dev', 'production');
SELECT is((SELECT array_agg(g.deployment ORDER BY 1) FROM promote.gate_backtest('told', 'production',
    '{"source_policy": "path"}') AS g WHERE g.verdict = 'blocked' AND g.code = 'path'), '{1,3,5}',
    'promotions along paths only');
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
VALUES ('told', 'staging', 'production');
SELECT is(pg_temp.gate('{"source_policy": "path"}'), NULL, '... by those that there are, for they are a rule');
SELECT is(pg_temp.gate('{"require_no_reverts": true}', until => pg_temp.at(6, 0)),
    '1 undecided require_no_reverts 05 12:00 - | it followed no plan, which would say what it undid
3 blocked reverts 07 11:30 - | a promotion undoes what "told-production-app" had set itself: .a of revision 1
4 undecided require_no_reverts 10 10:00 - | it followed no plan, which would say what it undid',
    'what plans say of reverts');
SELECT is(pg_temp.gate('{"approvals": {"quorum": 2}}', until => pg_temp.at(8, 0)),
    '1 undecided approvals 05 12:00 - | no such rule asked anybody to approve it then
3 blocked approval 07 11:30 - | rule "two" would have asked for 2 of role "test_ops": 1 given, by ada
4 undecided approvals 10 10:00 - | no such rule asked anybody to approve it then
5 blocked approval 12 10:00 - | rule "two" would have asked for 2 of role "test_ops": 0 given',
    'approvals; who was not asked has not refused');
SELECT is(pg_temp.gate(settings, pg_temp.at(2, 0), pg_temp.at(3, 0)), expected, settings::text)
  FROM (VALUES ('{"approvals": {"quorum": 1}}'::jsonb, NULL),
      ('{"approvals": {"quorum": 2, "rule": "other"}}',
       '3 undecided approvals 07 11:30 - | no such rule asked anybody to approve it then'),
      -- ada has made the revision that was promoted
      ('{"approvals": {"requester_counts": false}}',
       '3 blocked approval 07 11:30 - | rule "two" would have asked for 1 of role "test_ops": 0 given'),
      ('{"approvals": {"expires_after": "15 minutes"}}',
       '3 blocked approval 07 11:30 - | rule "two" would have asked for 1 of role "test_ops": 0 given'),
      ('{"approvals": {"expires_after": "16 minutes", "rule": "two"}}', NULL)) AS v (settings, expected);
SELECT is(pg_temp.gate('{"approvals": {"quorum": 1}}', pg_temp.at(9, 0), pg_temp.at(10, 0)),
    '8 undecided approvals 14 12:00 - | it was imported, and nobody was asked here to approve it', 'imported');
SELECT is((SELECT string_agg(DISTINCT g.verdict || ' ' || g.code, ',') FROM promote.gate_backtest('told', 'production',
    jsonb_build_object(s, true), until => pg_temp.at(8, 0)) AS g), 'undecided ' || s, s || ': history does not tell')
  FROM unnest('{require_source_in_sync,require_no_drift,require_expected,require_structure,max_deployments_per_window}'
      ::text[]) AS s;
SELECT is(pg_temp.gate('{"require_plan": false, "require_proven_release": false, "source_policy": "any",
    "require_artifact_digest": false, "required_soak": "0", "require_no_reverts": false}'), NULL,
    'what is not asked for stops nothing');
SELECT is(pg_temp.lines($$SELECT g.verdict, count(DISTINCT (g.instance, g.deployment)) FROM promote.gate_backtest(
    'told', 'production', '{"require_plan": true, "require_artifact_digest": true}') AS g GROUP BY 1 ORDER BY 1$$),
    '(blocked,4)
(passed,2)
(undecided,1)', 'how many were looked at');
-- attributes are those of the rows, which were made long after
SELECT is((SELECT string_agg(DISTINCT g.verdict || ': ' || g.message, ',') FROM promote.gate_backtest('told', NULL,
    '{"freeze": {"selector": {"tier": "gold"}, "during": "[2026-01-01, 2026-02-01)"}}') AS g),
    'undecided: attributes, which a selector looks at, were changed since', 'whom a selector meant then is not known');
-- the environment is opened anew
SAVEPOINT opened;
ALTER TABLE promote.instance DISABLE TRIGGER ALL;
UPDATE promote.instance SET opened_revision = 1 WHERE project = 'told' AND environment = 'staging';
SELECT is((SELECT string_agg(g.deployment || ' ' || g.verdict, ',' ORDER BY g.deployment) FROM promote.gate_backtest(
    'told', 'production', '{"required_soak": "1 s", "require_proven_release": true}', until => pg_temp.at(7, 0)) AS g),
    '1 undecided,1 undecided,3 passed,4 passed', 'what ran in an earlier generation is not looked for');
ROLLBACK TO opened;
SAVEPOINT rendered;
ALTER TABLE promote.revision DISABLE TRIGGER ALL;
INSERT INTO promote.config (project, params) VALUES ('told', '{"a": "{{two}}"}');
UPDATE promote.revision SET digest = (SELECT c.digest FROM promote.config AS c
    WHERE c.project = 'told' AND c.params = '{"a": "{{two}}"}')
 WHERE project = 'told' AND environment = 'staging' AND revision = 2;
SELECT is(pg_temp.gate('{"required_soak": "1 s"}', pg_temp.at(2, 0), pg_temp.at(3, 0)), NULL,
    'what is written the same is the same');
ALTER TABLE promote.deployment DISABLE TRIGGER ALL;
UPDATE promote.deployment SET revision = 1 WHERE project = 'told' AND environment = 'staging' AND deployment = 2;
SELECT is(pg_temp.gate('{"required_soak": "1 s"}', pg_temp.at(2, 0), pg_temp.at(3, 0)),
    '3 undecided required_soak 07 11:30 - | the source ran another document, and how what was promoted would have been '
    || 'rendered there was not kept', 'what is written otherwise may have been rendered the same');
ROLLBACK TO rendered;
SAVEPOINT lost;
ALTER TABLE promote.deployment DISABLE TRIGGER ALL;
UPDATE promote.deployment SET fencing = 2, started_at = pg_temp.at(2, 20) WHERE project = 'told'
    AND environment = 'staging' AND deployment = 2;
SELECT is(pg_temp.gate('{"required_soak": "1 s"}', pg_temp.at(2, 0), pg_temp.at(3, 0)),
    '3 undecided required_soak 07 11:30 - | the source was being deployed by a worker that was lost, and when it had '
    || 'begun was not kept', 'of what was claimed twice the first time was not kept');
ROLLBACK TO lost;

-- ---- the gates say the same ----
SELECT setseed(0.20);
CREATE FUNCTION pg_temp.disagreements() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    days text[] := '{MO,TU,WE,TH,FR,SA,SU}';
    compared integer := 0;
    supposed jsonb;
    kind text;
    extra text;
BEGIN
    FOR i IN 1 .. 40 LOOP
        kind := CASE WHEN random() < 0.5 THEN 'freeze' ELSE 'change_window' END;
        supposed := CASE WHEN random() < 0.5
            THEN jsonb_build_object('name', 'w', 'during', tstzrange(pg_temp.at(0, 0) + random() * interval '7 days',
                pg_temp.at(7, 0) + random() * interval '7 days'))
            ELSE jsonb_build_object('name', 'w', 'zone', 'Europe/Berlin', 'starts_at', '2025-12-01 08:00',
                'duration', (1 + floor(random() * 9))::text || ' hours', 'reason', 'because',
                'rule', 'FREQ=WEEKLY;BYDAY=' || array_to_string(days[1 + floor(random() * 3)::integer:
                    4 + floor(random() * 3)::integer], ',')) END;
        EXECUTE format('INSERT INTO promote.%I (name, project, environment, reason, during, rule, zone, starts_at, '
            'duration) SELECT name, ''told'', ''production'', reason, during, rule, zone, starts_at, duration '
            'FROM jsonb_populate_record(NULL::promote.%1$I, $1)', kind || CASE kind WHEN 'freeze' THEN '_window' ELSE ''
            END) USING supposed;
        FOR extra IN
            SELECT concat_ws(' ', kind, supposed, coalesce(a.deployment, b.deployment), a.said, '/', b.said)
              FROM (SELECT g.deployment, g.message || coalesce(g.until::text, '') AS said
                      FROM promote.gate_backtest('told', 'production', jsonb_build_object(kind, supposed)) AS g
                     WHERE g.verdict = 'blocked') AS a
              FULL JOIN (SELECT g.deployment, b.message || coalesce(b.until::text, '') AS said
                           FROM promote.gate_backtest('told', 'production', '{"require_plan": false}') AS g
                          CROSS JOIN LATERAL promote.blockers(g.instance, g.deployment, g.at) AS b
                          WHERE b.code IN ('freeze', 'window')) AS b USING (deployment)
             WHERE a.said IS DISTINCT FROM b.said
        LOOP
            RETURN NEXT extra;
        END LOOP;
        compared := compared + (SELECT count(*) FROM promote.gate_backtest('told', 'production',
            jsonb_build_object(kind, supposed)) AS g WHERE g.verdict = 'blocked');
        DELETE FROM promote.freeze_window WHERE name = 'w';
        DELETE FROM promote.change_window WHERE name = 'w';
    END LOOP;
    IF compared < 40 THEN
        RETURN NEXT compared || ' are too few to compare';
    END IF;
END
$$;
SELECT is_empty('SELECT * FROM pg_temp.disagreements()', 'freezes and windows: what would be, and what is');

-- ---- policies ----
CREATE SCHEMA rules;
CREATE FUNCTION rules.weekend(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE AS $$
    SELECT NULL, 'it is ' || to_char($3 AT TIME ZONE 'UTC', 'FMDay') || ', ' || coalesce($2::text, 'no plan'),
           NULL::timestamptz, $3 + interval '1 day', NULL, true
     WHERE extract(isodow FROM $3 AT TIME ZONE 'UTC') > 3 $$;
CREATE FUNCTION rules.picky(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE AS $$ BEGIN
    IF $2 = 2 THEN RAISE 'nobody knows %', $2; END IF;
    RETURN QUERY VALUES ('one', 'a', NULL::timestamptz, NULL::timestamptz, NULL, true),
        ('two', 'b', NULL, NULL, NULL, true); END $$;
CREATE TABLE rules.written (at timestamptz);
CREATE FUNCTION rules.write() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN INSERT INTO rules.written VALUES (now());
    RETURN 1; END $$;
CREATE FUNCTION rules.writes(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM rules.write(); END $$;
CREATE FUNCTION pg_temp.policy(name text DEFAULT NULL, body text DEFAULT NULL, since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', p.environment, p.deployment, p.verdict, p.code, '|', p.message), E'\n'
                      ORDER BY p.at, p.environment, p.deployment, p.code)
      FROM promote.policy_backtest($1, $3, $4, 'told', body => $2) AS p WHERE p.verdict <> 'passed'
$$;
INSERT INTO promote.policy (policy, function, project, environment, code, enabled)
VALUES ('weekend', 'rules.weekend', 'told', 'production', 'calm', false);
SELECT is(pg_temp.policy('weekend'), 'production 4 blocked calm | it is Saturday, no plan
production 9 blocked calm | it is Thursday, 9', 'a policy that is not enabled is asked, for the time of then');
SELECT is(pg_temp.lines($$SELECT * FROM promote.policy_backtest('weekend', pg_temp.at(5, 0), pg_temp.at(7, 10))$$),
    '(production,app,told-production-app,4,PROVISION,cid,"2026-01-10 10:00:00+00",blocked,calm,"it is Saturday, no plan'
    || '","2026-01-11 10:00:00+00",FAILED)', 'of its own project; what was queued at until is not in');
SELECT is((SELECT count(*) FROM promote.policy_backtest('weekend', pg_temp.at(5, 10), pg_temp.at(7, 10))), 1::bigint,
    'what was queued at since is');
SELECT is((SELECT string_agg(p.message, ',' ORDER BY p.deployment) FROM promote.policy_backtest(project => 'told',
    environment => 'production', body => $$SELECT 'x', coalesce($2::text, 'none'), NULL, NULL, NULL, false$$) AS p),
    'none,2,none,none,none,none,9', 'it is asked about the plan that was followed, or the proposal that was approved');
DELETE FROM promote.policy;
INSERT INTO promote.component (project, component, bundle) VALUES ('told', 'db', 'told');
INSERT INTO promote.policy (policy, function, project, component) VALUES ('of db', 'rules.weekend', 'told', 'db');
INSERT INTO promote.policy (policy, function, selector) VALUES ('of gold', 'rules.weekend', '{"tier": "gold"}');
INSERT INTO promote.policy (policy, function, environment) VALUES ('picky', 'rules.picky', 'production'),
    ('writes', 'rules.writes', NULL);
SELECT is_empty($$SELECT * FROM promote.policy_backtest('of db')$$, 'of another component nothing is asked');
SELECT is((SELECT string_agg(DISTINCT p.verdict || ' ' || p.message, ',') FROM promote.policy_backtest('of gold',
    project => 'told') AS p), 'undecided attributes, which a selector looks at, were changed since',
    'whom a selector meant then is not known');
SELECT is(pg_temp.policy('picky', NULL, NULL, pg_temp.at(7, 0)), 'production 1 blocked one | a
production 1 blocked two | b
production 3 error policy | policy "picky" has failed: nobody knows 2
production 4 blocked one | a
production 4 blocked two | b', 'one that fails is told of where it does, and every reason is');
SELECT is((SELECT string_agg(DISTINCT p.verdict || ': ' || p.message, ',') FROM promote.policy_backtest('writes',
    project => 'told') AS p),
    'error: policy "writes" has failed: cannot execute INSERT in a read-only transaction', 'one that writes fails');
SELECT is_empty('SELECT * FROM rules.written', '... and nothing is written');
DROP FUNCTION rules.picky;
SELECT is((SELECT string_agg(DISTINCT p.verdict || ': ' || p.message, ',') FROM promote.policy_backtest('picky',
    project => 'told') AS p), 'error: policy "picky" cannot be asked, function rules.picky: there is no such function '
    'of (text, integer, timestamptz)', 'one that is gone');

-- ---- queries in a policy's place ----
SELECT is(pg_temp.policy(NULL, $$SELECT NULL, 'weekend', NULL, NULL, NULL, NULL
    WHERE extract(isodow FROM $3 AT TIME ZONE 'UTC') > 5 -- Saturday and Sunday$$),
    'production 4 blocked policy | weekend', 'a query');
SELECT is(pg_temp.policy(NULL, 'SELECT * FROM rules.weekend($1, $2, $3)'),
    'production 4 blocked policy | it is Saturday, no plan
production 9 blocked policy | it is Thursday, 9', 'a function that is no policy yet');
SELECT is(pg_temp.policy(NULL, $$SELECT 'a', (1 / ($2 - 2))::text, NULL, NULL, NULL, true$$, pg_temp.at(2, 11),
    pg_temp.at(3, 0)), 'production 3 error policy | policy "body" has failed: division by zero', 'one that fails');
SELECT is(pg_temp.policy(NULL, $$SELECT 'a', pg_sleep(60)::text, NULL, NULL, NULL, true$$, pg_temp.at(2, 11),
    pg_temp.at(3, 0)), 'production 3 error policy | policy "body" was still running after 1000 ms',
    'or takes too long');
SELECT is(pg_temp.policy(NULL, $$SELECT 'a', rules.write()::text, NULL, NULL, NULL, true$$, pg_temp.at(2, 11),
    pg_temp.at(3, 0)), 'production 3 error policy | policy "body" has failed: cannot execute INSERT in a read-only '
    'transaction', 'or writes');
SELECT is(pg_temp.policy(NULL, $$SELECT 'a', set_config('role', 'postgres', false), NULL, NULL, NULL, true$$,
    pg_temp.at(2, 11), pg_temp.at(3, 0)), 'production 3 error policy | policy "body" has failed: cannot set parameter '
    '"role" within security-definer function', 'or would be somebody else');
SELECT set_config('promote.actor', 'ada', true) \g /dev/null
SELECT matches(pg_temp.policy(NULL, $$SELECT 'a', set_config('promote.actor', 'mallory', false), NULL, NULL, NULL,
    true$$, pg_temp.at(2, 11), pg_temp.at(3, 0)), 'blocked a', 'what it sets');
SELECT is(current_setting('promote.actor'), 'ada', '... is gone with it');
SELECT is_empty('SELECT * FROM rules.written', 'nothing is written');
SELECT matches(pg_temp.policy(NULL, $$SELECT 'a', p.message, NULL, NULL, NULL, true
    FROM promote.policy_backtest(project => 'told', body => 'SELECT ''a'', ''b'', NULL, NULL, NULL, true') AS p$$,
    pg_temp.at(2, 11), pg_temp.at(3, 0)), 'error .*asks for itself', 'nor is it asked within itself');
SELECT pg_temp.refuses(format('SELECT * FROM promote.policy_backtest(project => %L, body => %L)', 'told', body),
    'PM610', detail, body)
  FROM (VALUES ('SELECT', 'has 0 columns available'), ('nonsense', 'syntax error'),
      ('SELECT 1', 'has 1 columns available'), ('DELETE FROM rules.written', 'syntax error'),
      ('SELECT 1, 2, NULL, NULL, NULL, true; SELECT 1', 'syntax error'),
      ('SELECT 1, 2, NULL, NULL, NULL, true) AS b (code, message, since, until, liftable_by, overridable); '
       'DELETE FROM rules.written; SELECT b.* FROM (SELECT 1, 2, 3, 4, 5, 6', 'not one query'),
      ('WITH w AS (DELETE FROM rules.written RETURNING 1) SELECT 1, 2, NULL, NULL, NULL, true FROM w',
       'must be at the top level'),
      ('SELECT * FROM nowhere', 'does not exist')) AS v (body, detail);
INSERT INTO rules.written VALUES (now());
SELECT is((SELECT count(*) FROM rules.written), 1::bigint, 'and the transaction goes on to write');

-- ---- refusals ----
SELECT pg_temp.refuses(statement, state, detail, statement)
  FROM (VALUES ('SELECT * FROM promote.policy_backtest()', 'PM404', 'Either a policy'),
      ($$SELECT * FROM promote.policy_backtest('picky', body => 'SELECT 1')$$, 'PM404', 'Either a policy'),
      ($$SELECT * FROM promote.policy_backtest('nobody')$$, 'PM002', 'None of that name'),
      ($$SELECT * FROM promote.policy_backtest('of db', project => 'ecomm')$$, 'PM002', 'None of that name'),
      ($$SELECT * FROM promote.policy_backtest('picky')$$, 'PM404', 'in more than one'),
      ($$SELECT * FROM promote.policy_backtest(body => 'SELECT 1')$$, 'PM404', 'in more than one'),
      ($$SELECT * FROM promote.policy_backtest('picky', project => 'nobody')$$, 'PM002', 'registered'),
      ($$SELECT * FROM promote.policy_backtest('of db', environment => 'nowhere')$$, 'PM002', 'none of that name'),
      ($$SELECT * FROM promote.policy_backtest('of db', '2026-01-02', '2026-01-01')$$, 'PM404', 'before "since"'),
      ($$SELECT * FROM promote.gate_backtest(NULL, 'production', '{"require_plan": true}')$$, 'PM404', 'null or empty'),
      ($$SELECT * FROM promote.gate_backtest('told', 'nowhere', '{"require_plan": true}')$$, 'PM002', 'none of that'))
      AS v (statement, state, detail);
SELECT pg_temp.refuses(format('SELECT * FROM promote.gate_backtest(%L, NULL, %L)', 'told', settings), state, detail,
    coalesce(left(settings, 80), 'NULL'))
  FROM (VALUES (NULL, 'PM404', 'at least one setting'), ('{}', 'PM404', 'at least one setting'),
      ('[]', 'PM404', 'at least one setting'), ('{"require_plans": true}', 'PM404', 'no setting "require_plans"'),
      ('{"require_plan": {}}', 'PM404', 'plain value'), ('{"require_plan": "perhaps"}', 'PM404', 'perhaps'),
      ('{"required_soak": "long"}', 'PM404', 'long'), ('{"source_policy": "all"}', 'PM404', 'any or path'),
      ('{"approvals": 2}', 'PM404', 'is an object'), ('{"approvals": {"quorums": 2}}', 'PM404', 'none of rule, quorum'),
      ('{"approvals": {"quorum": -1}}', 'PM404', '1 or more'), ('{"approvals": {"quorum": 0}}', 'PM404', '1 or more'),
      ('{"approvals": {"expires_after": "0"}}', 'PM404', 'more than 0'),
      ('{"approvals": {"expires_after": "101 years"}}', 'PM404', 'at most 100 years'),
      ('{"required_soak": "366 days"}', 'PM404', '1 year'), ('{"required_soak": "-1 s"}', 'PM404', 'from 0'),
      ('{"freeze": {"name": " ", "during": "[2026-01-01, 2026-01-02)"}}', 'PM602', 'not only blanks'),
      (format('{"freeze": {"name": "%s", "during": "empty"}}', repeat('x', 201)), 'PM602', '200 bytes'),
      ('{"freeze": {"selector": [], "during": "[2026-01-01, 2026-01-02)"}}', 'PM602', 'by an object'),
      ('{"freeze": "christmas"}', 'PM404', 'is an object'), ('{"freeze": [1]}', 'PM404', 'is an object'),
      (jsonb_build_object('freeze', array_fill('{"during": "[2026-01-01, 2026-01-02)"}'::jsonb, ARRAY[101]))::text,
       'PM404', 'at most 100'),
      ('{"freeze": {"when": 1}}', 'PM404', 'none of name, reason'), ('{"freeze": {}}', 'PM602', 'has either during'),
      ('{"freeze": {"during": "never"}}', 'PM404', 'malformed range'),
      ('{"freeze": {"during": "[2026-01-01,)"}}', 'PM602', 'no upper bound'),
      ('{"freeze": {"during": "empty"}}', 'PM602', 'is empty'),
      ('{"freeze": {"during": "[2026-01-01, 2026-01-02)", "zone": "UTC"}}', 'PM602', 'has either during'),
      ('{"freeze": {"zone": "UTC", "duration": "1 hour"}}', 'PM602', 'has either during'),
      ('{"freeze": {"zone": "Mars", "starts_at": "2026-01-01", "duration": "1 hour"}}', 'PM602', 'pg_timezone_names'),
      ('{"change_window": {"zone": "UTC", "starts_at": "2026-01-01", "duration": "1 hour", "rule": "FREQ=NEVER"}}',
       'PM602', '.')) AS v (settings, state, detail);

-- ---- rights ----
CREATE ROLE test_dan;
CREATE ROLE test_eve;
INSERT INTO promote.grants (role, action, project, environment) VALUES ('test_dan', 'view', 'told', 'staging');
GRANT USAGE ON SCHEMA rules TO test_dan;
CREATE TABLE rules.hidden (secret text);
INSERT INTO rules.hidden VALUES ('hush');
SET LOCAL row_security = on;
SELECT is(pg_temp.as_role('test_dan', $$SELECT string_agg(DISTINCT environment, ',') || count(*)
    FROM promote.gate_backtest('told', NULL, '{"require_plan": false}')$$), 'staging3', 'what one may view');
SELECT is(pg_temp.as_role('test_dan', $$SELECT string_agg(DISTINCT environment, ',') || count(*)
    FROM promote.policy_backtest('writes', project => 'told')$$), 'staging3', 'of policies, too');
SELECT matches(pg_temp.as_role('test_dan', statement), '^PM701: ', statement)
  FROM (VALUES ($$SELECT 1 FROM promote.gate_backtest('told', 'production', '{"require_plan": false}')$$),
      ($$SELECT 1 FROM promote.gate_backtest('ecomm', NULL, '{"require_plan": false}')$$),
      ($$SELECT 1 FROM promote.policy_backtest('of db', environment => 'production')$$)) AS v (statement);
INSERT INTO promote.policy (policy, function, project) VALUES ('of ecomm', 'rules.weekend', 'ecomm');
SELECT is(pg_temp.as_role('test_dan', $$SELECT 1 FROM promote.policy_backtest('of ecomm')$$),
    pg_temp.as_role('test_dan', $$SELECT 1 FROM promote.policy_backtest('of nobody')$$),
    'a policy that one does not see is as none');
GRANT USAGE ON SCHEMA promote TO test_eve;
GRANT EXECUTE ON FUNCTION promote.policy_backtest TO test_eve;
GRANT SELECT ON promote.deployment, promote.instance TO test_eve;
SELECT matches(pg_temp.as_role('test_eve', $$SELECT 1 FROM promote.policy_backtest($$ || a || ')'), '^PM701: ', a)
  FROM unnest(ARRAY['', $$'of ecomm'$$, $$project => 'told', body => 'SELECT 1'$$]) AS a;
SELECT matches(pg_temp.as_role('test_dan', $$SELECT min(message) FROM promote.policy_backtest(project => 'told',
    body => 'SELECT ''a'', h.secret, NULL, NULL, NULL, true FROM rules.hidden AS h')$$),
    'permission denied for table hidden', 'a query reads what its caller may');
SELECT matches(pg_temp.as_role('test_dan', $$SELECT min(message) FROM promote.policy_backtest(project => 'told',
    body => 'SELECT ''a'', current_user || '' '' || current_setting(''search_path''), NULL, NULL, NULL, true')$$),
    '^test_dan pg_catalog, pg_temp$', '... for that is who it runs as');
-- as the owner of a function it does not run, nor as a caller who has not written it
CREATE FUNCTION rules.wrapped(body text) RETURNS text LANGUAGE sql SECURITY DEFINER
    AS $$ SELECT min(message) FROM promote.policy_backtest(project => 'told', body => $1) $$;
SELECT is(left(pg_temp.as_role('test_dan', $$SELECT rules.wrapped('SELECT ''a'', h.secret, NULL, NULL, NULL, true
    FROM rules.hidden AS h')$$), 50), 'PM610: It runs with the rights of the session, and',
    'whose it is within SECURITY DEFINER nobody knows');
ALTER FUNCTION rules.wrapped OWNER TO test_dan;
SELECT pg_temp.refuses($$SELECT rules.wrapped('SELECT ''a'', ''b'', NULL, NULL, NULL, true')$$, 'PM610',
    'rights of the session', 'nor does the function of somebody borrow its caller''s');
-- one that is not enabled may name the function of anybody
GRANT CREATE ON SCHEMA rules TO test_dan;
CREATE FUNCTION rules.theirs(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
    LANGUAGE sql STABLE SECURITY DEFINER
    AS $$ SELECT 'a', current_user::text, NULL::timestamptz, NULL::timestamptz, NULL, true $$;
ALTER FUNCTION rules.theirs OWNER TO test_dan;
INSERT INTO promote.policy (policy, function, project, enabled) VALUES ('theirs', 'rules.theirs', 'told', false);
SELECT is((SELECT string_agg(DISTINCT p.verdict || ' ' || p.message, ',') FROM promote.policy_backtest('theirs') AS p),
    'error policy "theirs" cannot be asked, function rules.theirs: it, or its schema, is not owned by who owns the '
    'tables, or a superuser, and the policy is not enabled',
    'what nobody has switched on is asked of trusted roles alone');
UPDATE promote.policy SET enabled = true WHERE policy = 'theirs';
SELECT is((SELECT string_agg(DISTINCT p.verdict || ' ' || p.message, ',') FROM promote.policy_backtest('theirs') AS p),
    'blocked test_dan', '... and as ever where it was switched on');

SELECT * FROM finish();
ROLLBACK;
