-- What has a time, as spans: each kind, what recurs, what is cut where, who sees what, and that it is what gates say.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/as_role.sql
SET LOCAL timezone = 'UTC';
SET LOCAL promote.actor = 'ada';

-- The calendar of a span, a line for each row, without what is asked for otherwise.
CREATE FUNCTION pg_temp.calendar(since text, until text, environment text DEFAULT NULL, project text DEFAULT 'shop')
    RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', to_char(begins, 'MM-DD HH24:MI'), to_char(ends, 'MM-DD HH24:MI'), kind, name),
                      E'\n' ORDER BY place)
      FROM promote.calendar(project, environment, since::timestamptz, until::timestamptz)
           WITH ORDINALITY AS c (begins, ends, kind, name, of_project, of_environment, component, selector, title,
                                 reason, actor, facts, place)
$$;

-- ---- nothing ----
SELECT is_empty($$SELECT * FROM promote.calendar('shop')$$, 'where nothing has a time there is nothing');

-- ---- windows ----
SELECT promote.set_freeze('sale', 'shop', 'production', during => '[2031-03-10 00:00+00,2031-03-12 00:00+00)',
    reason => 'the week of the sale') \g /dev/null
SELECT promote.set_freeze('weekend', 'shop', rule => 'FREQ=WEEKLY;BYDAY=FR', zone => 'Europe/Berlin',
    starts_at => '2031-01-03 16:00', duration => '2 days 16 hours') \g /dev/null
SELECT promote.set_freeze('all', environment => 'staging', during => '[2031-03-11 12:00+00,2031-03-11 13:00+00]',
    selector => '{"tenant": "acme"}') \g /dev/null
SELECT promote.set_freeze('elsewhere', 'ecomm', 'production', during => '[2031-03-01,2031-04-01)') \g /dev/null
SELECT promote.set_change_window('nights', 'shop', 'production', component => 's1', rule => 'FREQ=DAILY;COUNT=2',
    zone => 'Asia/Tokyo', starts_at => '2031-03-11 22:00', duration => '6 hours', max_deployments_per_window => 3,
    reason => 'nobody looks') \g /dev/null
SELECT is(pg_temp.calendar('2031-03-01', '2031-04-01'),
    '02-28 15:00 03-03 07:00 freeze weekend
03-07 15:00 03-10 07:00 freeze weekend
03-10 00:00 03-12 00:00 freeze sale
03-11 12:00 03-11 13:00 freeze all
03-11 13:00 03-11 19:00 window nights
03-12 13:00 03-12 19:00 window nights
03-14 15:00 03-17 07:00 freeze weekend
03-21 15:00 03-24 07:00 freeze weekend
03-28 15:00 03-31 06:00 freeze weekend',
    'each time that a window is on, in local time where it recurs; the last one ends as clocks have changed');
SELECT is(pg_temp.lines($$SELECT project, environment, component, selector, title, reason, actor, facts
        FROM promote.calendar('shop', NULL, '2031-03-10 12:00', '2031-03-12 00:00')$$),
    '(shop,production,,,"Freeze sale","the week of the sale",ada,{})
(,staging,,"{""tenant"": ""acme""}","Freeze all",,ada,{})
(shop,production,s1,,"Change window nights","nobody looks",ada,"{""rule"": ""FREQ=DAILY;COUNT=2"", '
    '""zone"": ""Asia/Tokyo"", ""max_deployments_per_window"": 3}")',
    'where they count, why, whose they are, and what is known');
SELECT is(pg_temp.calendar('2031-03-10 12:00', '2031-03-12 00:00', 'production'),
    '03-10 00:00 03-12 00:00 freeze sale
03-11 13:00 03-11 19:00 window nights', 'of an environment what counts there');
SELECT is(pg_temp.calendar('2031-03-08', '2031-03-09', 'dev'), '03-07 15:00 03-10 07:00 freeze weekend',
    '... also by a rule of the whole project');
SELECT is(pg_temp.calendar('2031-03-12 00:00', '2031-03-12 13:00'), NULL,
    'what ends as the span begins is not in it, nor what begins as it ends');
SELECT is(pg_temp.calendar('2031-03-12 00:00', '2031-03-12 13:00:00.000001'), '03-12 13:00 03-12 19:00 window nights',
    '... and what begins in its last moment is');
SELECT is(pg_temp.calendar('2031-03-11 23:59:59.999999', '2031-03-12 13:00'), '03-10 00:00 03-12 00:00 freeze sale',
    '... as what is on in its first');
SELECT is(pg_temp.calendar('2031-03-12', '2031-03-12'), NULL, 'an empty span has nothing');
SELECT is(pg_temp.lines($$SELECT begins, ends, name FROM promote.calendar('ecomm')$$), NULL,
    'from now on for four weeks');
SELECT promote.set_change_window('always', 'shop', 'dev', during => '[2020-01-01,)') \g /dev/null
SELECT is(pg_temp.lines($$SELECT begins, ends, name FROM promote.calendar('shop', 'dev', until => now()
    + interval '1 us')$$), '("2020-01-01 00:00:00+00",infinity,always)', 'what has no end has none');
SELECT promote.set_freeze('soon', 'shop', 'dev', during => tstzrange(now() + interval '28 days' - interval '1 us', now()
    + interval '30 days')) \g /dev/null
SELECT promote.set_freeze('late', 'shop', 'dev', during => tstzrange(now() + interval '28 days', now()
    + interval '30 days')) \g /dev/null
SELECT set_eq($$SELECT name FROM promote.calendar('shop', 'dev') WHERE name <> 'weekend'$$, '{always,soon}'::text[],
    'four weeks are what is asked for otherwise');

-- ---- it is what the gates say ----
SELECT is_empty($$
    SELECT t.at, on_calendar, blocked
      FROM generate_series('2031-02-27 00:30+00', '2031-04-02 00:00+00', interval '3 hours 7 minutes') AS t (at)
     CROSS JOIN LATERAL (
           SELECT EXISTS (SELECT FROM promote.calendar('shop', 'production', t.at, t.at + interval '1 us') AS c
                           WHERE c.kind = 'freeze') AS on_calendar,
                  EXISTS (SELECT FROM promote.blockers('shop-production-s2', at => t.at) AS b
                           WHERE b.code = 'freeze') AS blocked) AS v
     WHERE on_calendar <> blocked$$, 'a freeze is on the calendar when it blocks, and at no other time');

-- ---- requests ----
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s1"]}', ticket => 'OPS-7',
    message => 'autumn sale', execution_window => '[2031-05-01 08:00+00,2031-05-01 12:00+00)') \g /dev/null
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s2"]}',
    execution_window => '[2031-05-02 08:00+00,2031-05-02 12:00+00)') \g /dev/null
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s3"]}') \g /dev/null
SELECT is(pg_temp.lines($$SELECT begins, ends, name, environment, title, reason, actor, facts
        FROM promote.calendar('shop', 'production', '2031-05-01', '2031-05-02') WHERE kind = 'request'$$),
    '("2031-05-01 08:00:00+00","2031-05-01 12:00:00+00",1,production,"Request 1 to production","autumn sale",ada,'
    '"{""status"": ""OPEN"", ""ticket"": ""OPS-7"", ""request"": 1, ""source_environment"": ""staging""}")',
    'a request has its execution window, in the environment that it leads to');
SELECT is(pg_temp.calendar('2031-05-01', '2031-05-02', 'staging'), NULL, '... and in no other');
SELECT promote.cancel_request('shop', 2, 'not now') \g /dev/null
SELECT set_eq($$SELECT name FROM promote.calendar('shop', NULL, '-infinity', '2031-06-01') WHERE kind = 'request'$$,
    '{1}'::text[], 'what was over before is not on it, nor what has no time of its own');
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s4"]}',
    execution_window => '[2020-01-01,2100-01-01)') \g /dev/null
SELECT promote.cancel_request('shop', 4, 'not now') \g /dev/null
SELECT is((SELECT ends FROM promote.calendar('shop', NULL, '-infinity', '2021-01-01')
            WHERE kind = 'request'), (SELECT finished_at FROM promote.promotion_request WHERE project = 'shop'
                AND request = 4), 'what was over within its window ends on it then');

-- ---- stops ----
SELECT promote.stop_line('replication is broken', 'shop') \g /dev/null
SELECT is(pg_temp.lines($$SELECT begins = (SELECT stopped_at FROM promote.line_stop) AS b, ends, project, environment,
        title, reason, actor, facts FROM promote.calendar('shop', until => '2100-01-02', since => '2100-01-01')
        WHERE kind = 'stop'$$),
    '(t,infinity,shop,,"Line stopped","replication is broken",ada,"{""stop"": 1}")',
    'a stop stands until it is lifted');
SELECT promote.resume_line('shop', 'mended') \g /dev/null
SELECT is(pg_temp.lines($$SELECT ends = (SELECT lifted_at FROM promote.line_stop) AS e, facts ->> 'message' AS m
        FROM promote.calendar('shop', until => now() + interval '1 day', since => '2020-01-01') WHERE kind = 'stop'$$),
    '(t,mended)', '... and until then');
SELECT promote.stop_line('everything burns') \g /dev/null
SELECT is(pg_temp.lines($$SELECT project, reason FROM promote.calendar('ecomm') WHERE kind = 'stop'$$),
    '(,"everything burns")', '... a stop of everything in every project');
SELECT promote.resume_line() \g /dev/null

-- ---- votes that expire ----
CREATE ROLE test_release;
CREATE ROLE test_bob LOGIN IN ROLE test_release;
CREATE ROLE test_cem LOGIN IN ROLE test_release;
INSERT INTO promote.grants (role, action, project)
    SELECT 'test_release', a, 'shop' FROM unnest('{view,approve}'::text[]) AS a;
INSERT INTO promote.approval_rule (project, environment, rule, role, expires_after)
    VALUES ('shop', 'production', 'release', 'test_release', '2 days'),
           ('shop', 'production', 'owner', 'test_release', NULL);
SELECT promote.promote_instance('shop-staging-s5', 'shop-production-s5') \g /dev/null
SELECT promote.promote_instance('shop-staging-s6', 'shop-production-s6') \g /dev/null
SELECT pg_temp.work_all() \g /dev/null
SET LOCAL promote.actor = '';
SELECT pg_temp.as_role(r, format('SELECT promote.approve_deployment(%L, %s, ''looks good'')', i.name, i.deployment))
  FROM promote.instance AS i, unnest('{test_bob,test_cem}'::text[]) AS r
 WHERE i.name = 'shop-production-s5' OR i.name = 'shop-production-s6' AND r = 'test_bob' \g /dev/null
SELECT is(pg_temp.lines($$SELECT name, environment, component, title, reason, actor, facts -> 'rule' AS rule,
        ends - begins AS d, begins = (SELECT min(a.created_at) FROM promote.approval AS a
            WHERE a.component = c.component AND a.actor = c.actor AND a.rule = 'release') AS at
        FROM promote.calendar('shop', until => '2031-01-01') AS c WHERE kind = 'approval' ORDER BY component, actor$$),
    (SELECT string_agg(format('("%s %s",production,%s,"Approval of deployment %s of %s by %s","looks good",%s,'
        '"""release""","2 days",t)', i.name, a.vote, a.component, a.deployment, i.name, a.actor, a.actor), E'\n'
            ORDER BY a.component, a.actor)
       FROM promote.approval AS a JOIN promote.instance AS i USING (project, environment, component)
      WHERE a.rule = 'release'), 'a vote is on it for as long as it counts, where that is known');
SELECT is((SELECT count(*) FROM promote.calendar('shop', until => '2031-01-01') WHERE kind = 'approval'), 3::bigint,
    '... each once');
SELECT is(array_agg(v.blocked ORDER BY v.at), '{f,t}', 'the gate closes as the last of them ends')
  FROM (SELECT t.at, EXISTS (SELECT FROM promote.blockers('shop-production-s5', at => t.at) AS b
                              WHERE b.code = 'approval') AS blocked
          FROM (SELECT max(ends) AS ends FROM promote.calendar('shop', until => '2031-01-01')
                 WHERE kind = 'approval' AND component = 's5') AS c,
               unnest(ARRAY[c.ends - interval '1 us', c.ends]) AS t (at)) AS v;
SELECT pg_temp.as_role('test_bob', format('SELECT promote.reject_deployment(%L, %s, ''no'')', i.name, i.deployment))
  FROM promote.instance AS i WHERE i.name = 'shop-production-s6' \g /dev/null
SELECT is((SELECT string_agg(DISTINCT component, ' ') FROM promote.calendar('shop', until => '2031-01-01')
    WHERE kind = 'approval'), 's5', 'a vote that was changed counts no more');
SELECT promote.deploy_instance('shop-production-s5') \g /dev/null
SELECT is((SELECT string_agg(DISTINCT component, ' ') FROM promote.calendar('shop', until => '2031-01-01')
    WHERE kind = 'approval'), NULL, '... nor one on what is queued already');

-- ---- who sees what ----
CREATE ROLE test_dev;
CREATE ROLE test_nobody;
CREATE ROLE test_auditor;
SELECT promote.grant_action('test_dev', 'view', 'shop', 'dev') \g /dev/null
SELECT promote.grant_action('test_auditor', 'audit') \g /dev/null
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA promote TO test_nobody;
GRANT SELECT ON ALL TABLES IN SCHEMA promote TO test_nobody;
GRANT USAGE ON SCHEMA promote TO test_nobody;
SELECT is(pg_temp.as_role(role,
        'SELECT string_agg(DISTINCT name, '' '' ORDER BY name) FROM promote.calendar(' || of || ')'), expected,
    role || ': ' || of) FROM (VALUES
    ('test_dev', '''shop'', NULL, ''2031-03-10'', ''2031-03-12''', 'all always weekend'),
    ('test_dev', '''shop'', ''dev'', ''2031-03-10'', ''2031-03-12''', 'always weekend'),
    ('test_auditor', '''shop'', NULL, ''2031-03-10'', ''2031-03-12''', 'all always nights sale weekend'))
    AS v (role, of, expected);
SELECT matches(pg_temp.as_role(role, 'SELECT name FROM promote.calendar(' || of || ')'), expected, role || ': ' || of)
  FROM (VALUES ('test_dev', '''shop'', ''production''', '^PM701'), ('test_dev', '''ecomm''', '^PM701'),
    ('test_nobody', '''shop''', '^PM701'), ('test_nobody', '''shop'', ''dev''', '^PM701'),
    ('test_dev', '''shop'', ''nowhere''', '^PM701')) AS v (role, of, expected);

-- ---- what is refused ----
SELECT pg_temp.refuses('SELECT promote.calendar(' || arguments || ')', state, detail, arguments) FROM (VALUES
    ('''nowhere''', 'PM002', 'Nothing is registered'), ('''shop'', ''nowhere''', 'PM002', 'has none of that name'),
    ('''shop'', NULL, ''2031-01-02'', ''2031-01-01''', 'PM404', '"until" is before "since"'),
    ('NULL', 'PM404', '.')) AS v (arguments, state, detail);
SELECT promote.set_freeze('often', 'shop', 'dev', rule => 'FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9', zone => 'UTC',
    starts_at => '2031-01-01 00:00', duration => '10 minutes') \g /dev/null
SELECT is((SELECT count(*) FROM promote.calendar('shop', 'dev', '2031-01-01 00:00+00', '2031-01-01 00:00+00'
    ::timestamptz + interval '400 days') WHERE name = 'often'), 4000::bigint, 'very many are told');
SELECT pg_temp.refuses(format('SELECT count(*) FROM promote.calendar(''shop'', %s)', span), 'PM404',
    'Each time that a window opens', 'too many: ' || span)
  FROM unnest(ARRAY['''dev'', ''2031-01-01 00:00+00'', ''2032-07-01''', 'NULL, ''-infinity'', ''infinity''']) AS span;
SELECT is((SELECT count(*) FROM promote_internal.calendar_rows('shop', NULL, '-infinity', 'infinity')),
    5001::bigint, '... and no more are looked for');

SELECT * FROM finish();
ROLLBACK;
