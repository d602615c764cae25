-- A calendar as iCalendar, and on a page. That another library reads the same is shown by test/t/calendar_read.pl.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/shop.sql
\ir ../../fixtures/as_role.sql
SET LOCAL timezone = 'America/New_York';
SET LOCAL promote.actor = 'ada';

-- A calendar's lines, unfolded as RFC 5545, 3.1, has it.
CREATE FUNCTION pg_temp.unfolded(calendar text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(calendar, E'\r\n ', ''), E'\r\n', E'\n')
$$;
-- The calendar of March 2031, without when it was made.
CREATE FUNCTION pg_temp.march(environment text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(pg_temp.unfolded(promote.calendar_text('shop', environment, '2031-03-01 00:00+00',
                                                                 '2031-04-01 00:00+00')),
                          'DTSTAMP:[0-9]{8}T[0-9]{6}Z', 'DTSTAMP:now', 'g')
$$;

-- What a page says of it.
CREATE FUNCTION pg_temp.section() RETURNS text LANGUAGE sql AS $$
    SELECT substring(regexp_replace(promote.pipeline_html('shop'), ' data-of="[^"]*"', '', 'g')
                     FROM '<h2><span>Calendar of the next weeks</span></h2>\n(.*?)\n(?:<h2>|<p class="soft">)')
$$;

-- ---- the calendar ----
SELECT is(pg_temp.march(), 'BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//promote//calendar//EN
METHOD:PUBLISH
NAME:promote shop
X-WR-CALNAME:promote shop
REFRESH-INTERVAL;VALUE=DURATION:PT1H
X-PUBLISHED-TTL:PT1H
BEGIN:VTIMEZONE
TZID:UTC
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0000
TZOFFSETTO:+0000
END:STANDARD
END:VTIMEZONE
END:VCALENDAR
', 'nothing is a calendar, too');
SELECT matches(pg_temp.section(), 'Nothing: no freeze', 'where nothing has a time the page says so');
SELECT promote.set_freeze('sale', 'shop', 'production', during => '[2031-03-10 00:00+00,2031-03-12 00:00+00)',
    reason => E'the sale, of course; all of it\nand \\more') \g /dev/null
SELECT is(substring(pg_temp.march() FROM 'BEGIN:VEVENT.*END:VEVENT'), 'BEGIN:VEVENT
UID:' || encode(promote.jsonb_digest(jsonb_build_array(current_database(), 'shop', 'freeze', 'sale', NULL)), 'hex')
    || '@promote
DTSTAMP:now
DTSTART:20310310T000000Z
DTEND:20310312T000000Z
SUMMARY:Freeze sale
DESCRIPTION:the sale\, of course\; all of it and \\more\nby ada
LOCATION:shop-production
CATEGORIES:Freeze
STATUS:CONFIRMED
TRANSP:OPAQUE
END:VEVENT', 'an event for what is on it, with what means something escaped, whatever the time zone');
SELECT alike(promote.calendar_text('shop', 'production', '2031-03-01'), '%DTSTAMP:' || to_char(now() AT TIME ZONE 'UTC',
    'YYYYMMDD"T"HH24MISS"Z"') || '%', '... and with when it was written');

-- ---- identities ----
CREATE FUNCTION pg_temp.uids() RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(m[1]) FROM regexp_matches(pg_temp.march(), 'UID:([0-9a-f]{64}@promote)', 'g') AS m
$$;
CREATE TEMP TABLE earlier AS SELECT pg_temp.uids() AS uids;
SELECT promote.set_freeze('sale', 'shop', 'production', during => '[2031-03-15 00:00+00,2031-03-16 00:00+00)',
    reason => 'later') \g /dev/null
SELECT is(pg_temp.uids(), (SELECT uids FROM earlier), 'what is moved is the same event');
SELECT promote.set_freeze('nights', 'shop', rule => 'FREQ=DAILY;COUNT=3', zone => 'UTC',
    starts_at => '2031-03-01 22:00', duration => '4 hours', selector => '{"tenant": "acme"}') \g /dev/null
TRUNCATE earlier;
INSERT INTO earlier SELECT pg_temp.uids();
SELECT is((SELECT count(DISTINCT u) FROM earlier, unnest(uids) AS u), 4::bigint,
    'each time of what recurs is another one');
SELECT promote.set_freeze('nights', 'shop', rule => 'FREQ=DAILY;COUNT=3', zone => 'UTC',
    starts_at => '2031-03-02 22:00', duration => '5 hours') \g /dev/null
SELECT is((SELECT count(*) FROM earlier, unnest(uids) AS u WHERE u = ANY (pg_temp.uids())), 3::bigint,
    '... and is the same as long as it begins at the same time');
SELECT matches(pg_temp.march(),
    E'\nDESCRIPTION:by ada\\\\, rule: FREQ=DAILY\\\\;COUNT=3\\\\, zone: UTC\nLOCATION:shop-\\*\n',
    'how it recurs is said');

-- ---- kinds ----
SELECT promote.set_change_window('always', environment => 'dev', during => '(,)') \g /dev/null
SELECT promote.open_request('shop', 'staging', 'production', '{"components": ["s1"]}', ticket => 'OPS-7',
    message => 'autumn', execution_window => '[2031-03-20 08:00:00.5+00,2031-03-20 08:00:00.6+00]') \g /dev/null
SELECT promote.stop_line('broken') \g /dev/null
SELECT ok(strpos(pg_temp.march(), expected) > 0, what) FROM (VALUES
    (E'DTSTART:20310301T000000Z\nDTEND:20310401T000000Z\nSUMMARY:Change window always\nDESCRIPTION:by ada\n'
     'LOCATION:*-dev\nCATEGORIES:Change window\nSTATUS:CONFIRMED\nTRANSP:TRANSPARENT\n',
     'what has no beginning and no end has those of what was asked for'),
    (E'DTSTART:20310320T080000Z\nDTEND:20310320T080001Z\nSUMMARY:Request 1 to production\n'
     'DESCRIPTION:autumn\\nby ada\\, request: 1\\, source environment: staging\\, status: OPEN\\, ticket: OPS-7\n'
     'LOCATION:shop-production\nCATEGORIES:Request\nSTATUS:TENTATIVE\nTRANSP:OPAQUE\n',
     'a request that is not begun is tentative, and no event is shorter than a second'),
    (E'Z\nDTEND:20310401T000000Z\nSUMMARY:Line stopped\nDESCRIPTION:broken\\nby ada\\, stop: 1\nLOCATION:*-*\n'
     'CATEGORIES:Stop\nSTATUS:CONFIRMED\nTRANSP:OPAQUE\n', 'a stop')) AS v (expected, what);
SELECT promote.resume_line() \g /dev/null
SELECT matches(pg_temp.march('dev'), 'NAME:promote shop-dev\n.*\nSUMMARY:Change window always\n', 'one environment');
SELECT unalike(pg_temp.march('dev'), '%SUMMARY:Freeze sale%', '... alone');
SELECT promote.set_freeze('ages', 'shop', 'dev', during => '[0001-05-05 00:00+00 BC,20000-01-01 00:00+00)') \g /dev/null
SELECT alike(pg_temp.unfolded(promote.calendar_text('shop', 'dev', '4000-01-01 BC', '50000-01-01')),
    E'%DTSTART:00020101T000000Z\nDTEND:30001231T000000Z\nSUMMARY:Freeze ages%',
    'years that iCalendar has not are not written');
SELECT matches(pg_temp.unfolded(promote.calendar_text('shop', 'dev', '-infinity', 'infinity')),
    E'DTSTART:00020101T000000Z\nDTEND:30001231T000000Z\nSUMMARY:Change window always', '... nor what never ends');

-- ---- hostile words ----
SELECT promote.set_freeze('x', 'shop', 'production', during => '[2031-03-10 00:00+00,2031-03-12 00:00+00)',
    reason => E'END:VEVENT\r\nEND:VCALENDAR\r\n' || U&'\202E\0001\FEFF' || repeat('ü', 500000)) \g /dev/null
INSERT INTO promote.freeze_window (name, during)
    VALUES (E'a\r\nATTENDEE:mailto:x@y.example', '[2031-03-10 00:00+00,2031-03-12 00:00+00)');
SELECT is((SELECT count(*) FROM regexp_matches(pg_temp.march(), '^' || line || '\M', 'gn')), times,
    line || ': ' || times)
  FROM (VALUES ('END:VCALENDAR', 1::bigint), ('ATTENDEE', 0)) AS v (line, times);
SELECT is((SELECT count(*) FROM regexp_matches(pg_temp.march(), '^END:VEVENT', 'gn')),
    (SELECT count(*) FROM promote.calendar('shop', NULL, '2031-03-01 00:00+00', '2031-04-01 00:00+00')),
    'no event comes of words');
SELECT matches(pg_temp.march(), 'DESCRIPTION:END:VEVENT  END:VCALENDAR  \[U\+202E\]\[U\+0001\]\[U\+FEFF\]ü+ \.\.\. '
    '\([0-9]+ more characters\)\\nby ada\n', 'they stay words, and are cut');
SELECT is_empty($$SELECT line FROM regexp_split_to_table(
    promote.calendar_text('shop', NULL, '2031-03-01', '2031-04-01'), E'\r\n') AS line
    WHERE octet_length(line) > 75 OR line ~ '[\x01-\x1f\x7f]'$$,
    'no line is longer than 75 octets, nor has a control character');

-- ---- what the writer refuses ----
SELECT pg_temp.refuses(format('SELECT promote_internal.icalendar(''n'', %L, %L)', made, events), 'PM404', detail, what)
  FROM (VALUES ('20310101T000000Z', '{a}', 'Rows have 9 columns', 'half an event'),
    ('20310101T000000Z', '{u,odd,20310101T000000Z,20310102T000000Z,CONFIRMED,t,p,r,w}', 'no kind "odd"', 'an odd kind'),
    ('20310101T000000Z', '{u,stop,20310101T000000,20310102T000000Z,CONFIRMED,t,p,r,w}', 'endless', 'a local time'),
    ('20310101T000000Z', '{u,stop,20310101T000000Z,NULL,CONFIRMED,t,p,r,w}', 'endless', 'no end'),
    ('200310101T00000Z', '{}', 'endless', 'a year of five digits'),
    ('30010101T000000Z', '{}', 'endless', 'a year that the library does not write'),
    (NULL, '{}', 'endless', 'no time at all'))
    AS v (made, events, detail, what);
SELECT matches(promote_internal.icalendar(NULL, '20310101T000000Z',
    '{NULL,stop,20310101T000000Z,20310102T000000Z,NULL,NULL,NULL,NULL,NULL}'),
    'UID:@promote\r\nDTSTAMP:20310101T000000Z\r\nDTSTART:20310101T000000Z\r\n', 'what is missing is nothing');

-- ---- who sees what, and what is refused ----
CREATE ROLE calendar_dev;
SELECT promote.grant_action('calendar_dev', 'view', 'shop', 'dev') \g /dev/null
SELECT is(pg_temp.as_role('calendar_dev', $$SELECT string_agg(DISTINCT m[1], ', ' ORDER BY m[1]) FROM regexp_matches(
    promote.calendar_text('shop', NULL, '2031-03-01', '2031-04-01'), 'SUMMARY:(\w+ \w+(?: \w+)?)', 'g') AS m$$),
    'Change window always, Freeze a, Freeze ages, Freeze nights', 'whoever sees one environment sees that one''s');
SELECT matches(pg_temp.as_role('calendar_dev', 'SELECT promote.calendar_text(' || of || ')'), '^PM701', of)
  FROM unnest('{"''shop'', ''production''","''ecomm''"}'::text[]) AS of;
SELECT pg_temp.refuses('SELECT promote.calendar_text(' || of || ')', state, '.', of) FROM (VALUES
    ('''nowhere''', 'PM002'), ('''shop'', ''nowhere''', 'PM002'),
    ('''shop'', NULL, now(), now() - interval ''1 s''', 'PM404'))
    AS v (of, state);

-- ---- the page ----
DELETE FROM promote.freeze_window;
DELETE FROM promote.change_window;
SELECT date_trunc('week', now() AT TIME ZONE 'UTC') AS monday \gset
SELECT promote.set_freeze('long', 'shop', 'production', during => '[2020-01-01,2100-01-01)',
    reason => 'the <sale>') \g /dev/null
SELECT promote.set_change_window('next', 'shop', 'production', rule => 'FREQ=DAILY;COUNT=3', zone => 'UTC',
    starts_at => :'monday'::timestamp + interval '8 days 22 hours', duration => '3 hours') \g /dev/null
SELECT promote.set_freeze('over', 'shop', 'production', during => tstzrange((:'monday'::timestamp
    + interval '13 days') AT TIME ZONE 'UTC', (:'monday'::timestamp + interval '15 days') AT TIME ZONE 'UTC'))
    \g /dev/null
SELECT ok(strpos(pg_temp.section(), expected) > 0, what) FROM (VALUES
    ('<th scope="col">What</th><th scope="col">This week</th><th scope="col">From '
     || to_char(:'monday'::timestamp + interval '7 days', 'FMDD Mon') || '</th>', 'a column for each of five weeks'),
    ('<tr><th scope="row">Freeze long (shop-production): the &#60;sale&#62;</th>'
     || repeat('<td class="heat bad"><b><i aria-hidden="true">■</i> frozen</b><span>all week</span><span></span></td>',
               5)
     || '</tr>', 'a row for what has a time, a cell for each week, with a word beside the colour'),
    ('<tr><th scope="row">Change window next (shop-production)</th>'
     '<td class="heat soft"><span></span><span></span></td>'
     '<td class="heat good"><b><i aria-hidden="true">✔</i> open</b><span>'
     || to_char(:'monday'::timestamp + interval '8 days 22 hours', 'Dy FMDD Mon HH24:MI') || ' to '
     || to_char(:'monday'::timestamp + interval '9 days 1 hour', 'Dy FMDD Mon HH24:MI')
     || '</span><span>and 2 more</span></td><td class="heat soft">', 'what comes again and again is counted'),
    ('<tr><th scope="row">Freeze over (shop-production)</th><td class="heat soft"><span></span><span></span></td>'
     '<td class="heat bad"><b><i aria-hidden="true">■</i> frozen</b><span>from '
     || to_char(:'monday'::timestamp + interval '13 days', 'Dy FMDD Mon HH24:MI') || '</span><span></span></td>'
     '<td class="heat bad"><b><i aria-hidden="true">■</i> frozen</b><span>until '
     || to_char(:'monday'::timestamp + interval '15 days', 'Dy FMDD Mon HH24:MI') || '</span>',
     'what goes over a week''s end'))
    AS v (expected, what);
SELECT ok(strpos(s, 'Freeze long') < strpos(s, 'Freeze over')
    AND strpos(s, 'Freeze over') < strpos(s, 'Change window next'),
    'freezes stand before windows') FROM pg_temp.section() AS s;
SELECT promote.set_freeze('often', 'shop', rule => 'FREQ=DAILY;BYHOUR='
    || (SELECT string_agg(h::text, ',') FROM generate_series(0, 19) AS h) || ';BYMINUTE=0,10,20,30,40', zone => 'UTC',
    starts_at => '2020-01-01 00:00', duration => '1 minute') \g /dev/null
INSERT INTO promote.freeze_window (name, project, rule, zone, starts_at, duration)
    SELECT name || 'er', project, rule, zone, starts_at, duration FROM promote.freeze_window WHERE name = 'often';
SELECT matches(promote.pipeline_html('shop'), 'Nothing is shown that begins after .* UTC: there is too much of it',
    'where there is too much the page says what it lacks');

SELECT * FROM finish();
ROLLBACK;
