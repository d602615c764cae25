-- The metrics of delivery, over a history that was computed by hand. Times are days and hours of two weeks, the first
-- of which begins on Monday, 2026-01-05.
BEGIN;
SELECT no_plan();
SET LOCAL TimeZone = 'UTC';
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/as_role.sql
\ir ../../fixtures/dora.sql
CREATE FUNCTION pg_temp.at(day integer, hour float8) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT '2026-01-05'::timestamptz + day * interval '1 day' + hour * interval '1 hour'
$$;
SELECT pg_temp.told_instance('dev', 'app', 3, 0), pg_temp.told_instance('staging', 'app', 2, 2),
       pg_temp.told_instance('production', 'app', 5, 7), pg_temp.told_instance('production', 'db', 1, 1) \g /dev/null
SELECT pg_temp.told_revision('dev', 'app', 1, pg_temp.at(0, 0)),
       pg_temp.told_revision('dev', 'app', 2, pg_temp.at(1, 0)),
       pg_temp.told_revision('dev', 'app', 3, pg_temp.at(2, 0)),
       pg_temp.told_revision('staging', 'app', 1, pg_temp.at(0, 12), 'promotion', 'dev', 1),
       pg_temp.told_revision('staging', 'app', 2, pg_temp.at(3, 0), 'promotion', 'dev', 3),
       pg_temp.told_revision('production', 'app', 1, pg_temp.at(1, 0), 'promotion', 'staging', 1),
       pg_temp.told_revision('production', 'app', 2, pg_temp.at(4, 0), 'promotion', 'staging', 2),
       pg_temp.told_revision('production', 'app', 3, pg_temp.at(4, 5), 'rollback', 'production', 1),
       pg_temp.told_revision('production', 'app', 4, pg_temp.at(5, 0)),
       pg_temp.told_revision('production', 'app', 5, pg_temp.at(8, 0)),
       pg_temp.told_revision('production', 'db', 1, pg_temp.at(1, 0)) \g /dev/null
SELECT pg_temp.told_deployment('staging', 'app', 1, 1, pg_temp.at(0, 13), pg_temp.at(0, 14)),
       pg_temp.told_deployment('staging', 'app', 2, 2, pg_temp.at(3, 1), pg_temp.at(3, 2)),
       -- from dev's 1, made 26 hours ago
       pg_temp.told_deployment('production', 'app', 1, 1, pg_temp.at(1, 1), pg_temp.at(1, 2)),
       -- from dev's 3, made 50 hours ago; the next one rolls it back, 5 hours later
       pg_temp.told_deployment('production', 'app', 2, 2, pg_temp.at(4, 1), pg_temp.at(4, 2)),
       pg_temp.told_deployment('production', 'app', 3, 3, pg_temp.at(4, 6), pg_temp.at(4, 7)),
       -- given up, and done 2 hours later: 4 hours after it was made
       pg_temp.told_deployment('production', 'app', 4, 4, pg_temp.at(5, 1), pg_temp.at(5, 2), 'FAILED'),
       pg_temp.told_deployment('production', 'app', 5, 4, pg_temp.at(5, 3), pg_temp.at(5, 4)),
       -- made 2 hours ago, and never healthy again
       pg_temp.told_deployment('production', 'app', 6, 5, pg_temp.at(8, 1), pg_temp.at(8, 2)),
       pg_temp.told_deployment('production', 'app', 7, 5, pg_temp.at(10, 1), pg_temp.at(10, 2), 'COMPLETED',
           'DECOMMISSION'),
       -- made 6 hours ago
       pg_temp.told_deployment('production', 'db', 1, 1, pg_temp.at(1, 5), pg_temp.at(1, 6)) \g /dev/null
-- of deployment 5 two checks fail, and are both healthy again after 70 minutes
SELECT pg_temp.told_health('production', 'app', 'smoke', 1, true, 1, pg_temp.at(1, 3)),
       pg_temp.told_health('production', 'app', 'smoke', 2, false, 5, pg_temp.at(5, 5)),
       pg_temp.told_health('production', 'app', 'load', 1, false, 5, pg_temp.at(5, 5.2)),
       pg_temp.told_health('production', 'app', 'smoke', 3, true, 5, pg_temp.at(5, 5.5)),
       pg_temp.told_health('production', 'app', 'load', 2, true, 5, pg_temp.at(5, 5) + interval '70 minutes'),
       pg_temp.told_health('production', 'app', 'smoke', 4, false, 6, pg_temp.at(8, 3)) \g /dev/null

-- What a metric says of the two weeks, in the order of environments, components and weeks.
CREATE FUNCTION pg_temp.metric(name text, period text DEFAULT NULL, since timestamptz DEFAULT '2026-01-05',
    until timestamptz DEFAULT '2026-01-19') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN pg_temp.lines(format('SELECT * FROM promote.%I(''told'', %L, %L, %L) '
        'ORDER BY environment, component, begins', name, since, until, period));
END
$$;
SELECT is(pg_temp.metric('dora_deployments'), '(production,app,"2026-01-05 00:00:00+00",4,1)
(production,app,"2026-01-12 00:00:00+00",1,0)
(production,db,"2026-01-05 00:00:00+00",1,0)
(production,,"2026-01-05 00:00:00+00",5,1)
(production,,"2026-01-12 00:00:00+00",1,0)
(staging,app,"2026-01-05 00:00:00+00",2,0)
(staging,,"2026-01-05 00:00:00+00",2,0)
(,,"2026-01-05 00:00:00+00",7,1)
(,,"2026-01-12 00:00:00+00",1,0)', 'deployments: those that were completed, and those that were given up');
SELECT is(pg_temp.metric('dora_lead_time'),
    '(production,app,"2026-01-05 00:00:00+00",3,"1 day 02:00:00","1 day 21:12:00")
(production,app,"2026-01-12 00:00:00+00",1,02:00:00,02:00:00)
(production,db,"2026-01-05 00:00:00+00",1,06:00:00,06:00:00)
(production,,"2026-01-05 00:00:00+00",4,16:00:00,"1 day 18:48:00")
(production,,"2026-01-12 00:00:00+00",1,02:00:00,02:00:00)
(staging,app,"2026-01-05 00:00:00+00",2,20:00:00,24:48:00)
(staging,,"2026-01-05 00:00:00+00",2,20:00:00,24:48:00)
(,,"2026-01-05 00:00:00+00",6,20:00:00,"1 day 14:00:00")
(,,"2026-01-12 00:00:00+00",1,02:00:00,02:00:00)', 'lead time: from where a change was made, through promotions');
SELECT is(pg_temp.metric('dora_change_failure_rate'), '(production,app,"2026-01-05 00:00:00+00",5,3,0.6000)
(production,app,"2026-01-12 00:00:00+00",1,1,1.0000)
(production,db,"2026-01-05 00:00:00+00",1,0,0.0000)
(production,,"2026-01-05 00:00:00+00",6,3,0.5000)
(production,,"2026-01-12 00:00:00+00",1,1,1.0000)
(staging,app,"2026-01-05 00:00:00+00",2,0,0.0000)
(staging,,"2026-01-05 00:00:00+00",2,0,0.0000)
(,,"2026-01-05 00:00:00+00",8,3,0.3750)
(,,"2026-01-12 00:00:00+00",1,1,1.0000)', 'failures: given up, rolled back, unhealthy');
SELECT is(pg_temp.metric('dora_time_to_restore'), '(production,app,"2026-01-05 00:00:00+00",3,3,02:00:00)
(production,app,"2026-01-12 00:00:00+00",1,0,)
(production,,"2026-01-05 00:00:00+00",3,3,02:00:00)
(production,,"2026-01-12 00:00:00+00",1,0,)
(,,"2026-01-05 00:00:00+00",3,3,02:00:00)
(,,"2026-01-12 00:00:00+00",1,0,)', 'time to restore: by the next one, or by health');
SELECT is(pg_temp.lines($$SELECT deployment, failed_at, restored_at
      FROM promote_internal.dora_outcomes('told', '-infinity', 'infinity')
     WHERE environment = 'production' AND component = 'app' ORDER BY 1$$), '(1,,)
(2,"2026-01-09 02:00:00+00","2026-01-09 07:00:00+00")
(3,,)
(4,"2026-01-10 02:00:00+00","2026-01-10 04:00:00+00")
(5,"2026-01-10 05:00:00+00","2026-01-10 06:10:00+00")
(6,"2026-01-13 03:00:00+00",)', 'each by itself');

-- ---- periods ----
SELECT is(pg_temp.lines($$SELECT begins, deployments FROM promote.dora_deployments('told', '2026-01-05', '2026-01-19',
      'day') WHERE environment IS NULL ORDER BY 1$$), '("2026-01-05 00:00:00+00",1)
("2026-01-06 00:00:00+00",2)
("2026-01-08 00:00:00+00",1)
("2026-01-09 00:00:00+00",2)
("2026-01-10 00:00:00+00",1)
("2026-01-13 00:00:00+00",1)', 'by day');
SELECT is(pg_temp.lines($$SELECT begins, deployments FROM promote.dora_deployments('told', '2026-01-05', '2026-01-19',
      $$ || quote_literal(period) || $$) WHERE environment IS NULL$$), expected, 'by ' || period)
  FROM (VALUES ('month', '("2026-01-01 00:00:00+00",8)'), ('all', '(,8)')) AS v (period, expected);
SET LOCAL TimeZone = 'Asia/Tokyo';
SELECT is((SELECT min(begins) FROM promote.dora_deployments('told', '2026-01-05', '2026-01-19', 'day')
    WHERE component = 'db'), '2026-01-06 00:00 Asia/Tokyo', 'days are those of the session''s time zone');
SET LOCAL TimeZone = 'UTC';
SELECT is((SELECT deployments FROM promote.dora_deployments('told', pg_temp.at(0, 14), pg_temp.at(4, 7), 'all')
    WHERE environment IS NULL), 5::bigint, 'what ended at since is in, what ended at until is not');
SELECT is_empty($$SELECT * FROM promote.dora_deployments('told', '2026-02-01', '2026-03-01')$$, 'nothing of nothing');

-- ---- the summary ----
SELECT is(pg_temp.lines($$SELECT * FROM promote.dora_summary('told', 'production', '2026-01-05', '2026-01-19')$$),
    '("deployment frequency","0.43 a day",high,6)
("lead time",06:00:00,elite,5)
("change failure rate","57.1 %",low,7)
("time to restore",02:00:00,high,3)', 'the four of production, with their bands');
SELECT is(pg_temp.lines($$SELECT * FROM promote.dora_summary('told', since => '2026-01-05', until => '2026-01-19')$$),
    pg_temp.lines($$SELECT * FROM promote.dora_summary('told', 'production', '2026-01-05', '2026-01-19')$$),
    'production where none is named');
SELECT is_empty($$SELECT * FROM promote.dora_summary('told', 'dev', '2026-01-05', '2026-01-19')$$,
    'nothing to measure');
SELECT is((SELECT string_agg(coalesce(promote_internal.dora_band(metric, v), '-'), ' ' ORDER BY n)
             FROM unnest(bounds) WITH ORDINALITY AS u (v, n)), expected, metric || ': bands')
  FROM (VALUES ('days between deployments', '{0.99,1,7,7.1,30,30.1,NULL}'::float8[],
       'elite high high medium medium low -'),
      ('lead time', '{86399,86400,604800,604801,2592000,2592001}', 'elite high high medium medium low'),
      ('change failure rate', '{0,0.05,0.051,0.1,0.11,0.15,0.151}', 'elite elite high high medium medium low'),
      ('time to restore', '{3599,3600,86400,86401,604800,604801}', 'elite high high medium medium low')
      ) AS v (metric, bounds, expected);

-- ---- refusals, and who sees what ----
SELECT pg_temp.refuses(format('SELECT * FROM promote.%I(%s)', f, a), state, detail, f || ' ' || a)
  FROM unnest('{dora_deployments,dora_lead_time,dora_change_failure_rate,dora_time_to_restore}'::text[]) AS f,
       (VALUES ('NULL', 'PM404', 'null or empty'), ($$'nobody'$$, 'PM002', 'registered'),
               ($$'told', '2026-01-02', '2026-01-01'$$, 'PM404', 'not behind'),
               ($$'told', '-infinity'$$, 'PM404', 'infinite'), ($$'told', until => 'infinity'$$, 'PM404', 'infinite'),
               ($$'told', period => 'year'$$, 'PM404', 'day, week, month and all')) AS v (a, state, detail);
SELECT pg_temp.refuses($$SELECT * FROM promote.dora_summary('nobody')$$, 'PM002', 'registered', 'dora_summary');
SELECT pg_temp.refuses(format($$SELECT * FROM promote.dora_summary('told', 'production', %s)$$, span), 'PM404',
    'infinite',
    'dora_summary ' || span)
  FROM unnest(ARRAY[$$'-infinity'$$, $$'2026-01-01', 'infinity'$$]) AS span;
CREATE ROLE test_dan;
INSERT INTO promote.grants (role, action, project, environment) VALUES ('test_dan', 'view', 'told', 'staging');
SET LOCAL row_security = on;
SELECT is(pg_temp.as_role('test_dan', format('SELECT string_agg(DISTINCT environment, '','') FROM promote.%I(''told'', '
    '''2026-01-05'', ''2026-01-19'')', f)), 'staging', f || ': what one sees')
  FROM unnest('{dora_deployments,dora_lead_time,dora_change_failure_rate}'::text[]) AS f;
SELECT is(pg_temp.as_role('test_dan', $$SELECT median::text FROM promote.dora_lead_time('told', '2026-01-05',
    '2026-01-19', 'all') WHERE component IS NULL AND environment IS NOT NULL$$), '02:00:00',
    'a change is followed back as far as one sees');

SELECT * FROM finish();
ROLLBACK;
