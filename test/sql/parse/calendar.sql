-- Calendars: which moments an RRULE in a time zone stands for.  What is expected was worked out by hand, from the text
-- of RFC 5545 and from what is known of the zones.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';

-- When a window opens, in UTC without the seconds: with its end where it has a duration that matters.
CREATE FUNCTION pg_temp.opens(rule text, zone text, starts_at timestamp, max_rows integer DEFAULT 5,
    exdates timestamp[] DEFAULT '{}', after timestamptz DEFAULT '1970-01-01')
RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(to_char(o.opens_at, 'YYYY-MM-DD HH24:MI'), ', ')
      FROM promote.window_occurrences(rule, zone, starts_at, '1 minute', exdates, after, max_rows => max_rows) AS o
$$;
CREATE FUNCTION pg_temp.lasts(rule text, zone text, starts_at timestamp, duration interval, max_rows integer DEFAULT 3)
RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(to_char(o.opens_at, 'MM-DD HH24:MI') || ' to ' || to_char(o.closes_at, 'MM-DD HH24:MI'), ', ')
      FROM promote.window_occurrences(rule, zone, starts_at, duration, not_before => '1970-01-01',
           max_rows => max_rows) AS o
$$;
CREATE FUNCTION pg_temp.bad(rule text, detail_like text, what text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.refuses(format('SELECT * FROM promote.window_occurrences(%L, ''UTC'', ''2026-01-01'', ''1 hour'')',
        rule), 'PM602', detail_like, what)
$$;
-- Local days in New York, as the examples of the RFC have them.
CREATE FUNCTION pg_temp.days(rule text, starts_at timestamp, max_rows integer DEFAULT 6) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(to_char(o.opens_at AT TIME ZONE 'America/New_York', 'YY-MM-DD'), ' ')
      FROM promote.window_occurrences(rule, 'America/New_York', starts_at, '1 hour', not_before => '1970-01-01',
          max_rows => max_rows) AS o
$$;

-- ---- clocks that are put forward and back ----
SELECT is(pg_temp.opens('FREQ=DAILY', 'Europe/Berlin', '2026-03-28 02:30', 3),
    '2026-03-28 01:30, 2026-03-29 01:30, 2026-03-30 00:30', 'Berlin: 2:30 is left out, and read by the offset before');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Europe/Berlin', '2026-10-24 02:30', 3),
    '2026-10-24 00:30, 2026-10-25 00:30, 2026-10-26 01:30', 'Berlin: 2:30 comes twice, and is the first');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Europe/Berlin', '2026-10-24 03:00', 3),
    '2026-10-24 01:00, 2026-10-25 02:00, 2026-10-26 02:00', 'Berlin: 3:00 comes once');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Europe/Berlin', '2026-10-24 02:00', 3),
    '2026-10-24 00:00, 2026-10-25 00:00, 2026-10-26 01:00', 'Berlin: 2:00 comes twice');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Europe/Berlin', '2026-03-28 02:00', 3),
    '2026-03-28 01:00, 2026-03-29 01:00, 2026-03-30 00:00', 'Berlin: 2:00 is left out: it is 3:00');
SELECT is(pg_temp.opens('FREQ=DAILY', 'America/New_York', '2026-03-07 02:30', 3),
    '2026-03-07 07:30, 2026-03-08 07:30, 2026-03-09 06:30', 'New York: a gap');
SELECT is(pg_temp.opens('FREQ=DAILY', 'America/New_York', '2026-10-31 01:30', 3),
    '2026-10-31 05:30, 2026-11-01 05:30, 2026-11-02 06:30', 'New York: twice');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Australia/Lord_Howe', '2018-10-06 02:15', 3),
    '2018-10-05 15:45, 2018-10-06 15:45, 2018-10-07 15:15', 'Lord Howe: half an hour is left out');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Australia/Lord_Howe', '2018-03-31 01:45', 3),
    '2018-03-30 14:45, 2018-03-31 14:45, 2018-04-01 15:15', 'Lord Howe: half an hour comes twice');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Pacific/Apia', '2011-12-29 12:00', 4),
    '2011-12-29 22:00, 2011-12-30 22:00, 2011-12-30 22:00, 2011-12-31 22:00', 'Apia: a whole day is left out');
SELECT is(pg_temp.opens('FREQ=DAILY', 'America/Sao_Paulo', '2018-11-03 00:00', 3),
    '2018-11-03 03:00, 2018-11-04 03:00, 2018-11-05 02:00', 'Sao Paulo: midnight is left out');
SELECT is(pg_temp.opens('FREQ=DAILY', 'America/Sao_Paulo', '2018-02-16 23:30', 3),
    '2018-02-17 01:30, 2018-02-18 01:30, 2018-02-19 02:30', 'Sao Paulo: the hour before midnight comes twice');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Africa/Casablanca', '2018-05-12 02:30', 3),
    '2018-05-12 01:30, 2018-05-13 01:30, 2018-05-14 02:30', 'Casablanca: back for Ramadan');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Europe/Dublin', '2026-10-24 01:30', 3),
    '2026-10-24 00:30, 2026-10-25 00:30, 2026-10-26 01:30', 'Dublin: where winter is the exception');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Europe/Dublin', '2026-03-28 01:30', 3),
    '2026-03-28 01:30, 2026-03-29 01:30, 2026-03-30 00:30', 'Dublin: a gap');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Antarctica/Troll', '2018-03-24 02:00', 3),
    '2018-03-24 02:00, 2018-03-25 02:00, 2018-03-26 00:00', 'Troll: two hours are left out');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Antarctica/Troll', '2018-10-27 02:30', 3),
    '2018-10-27 00:30, 2018-10-28 00:30, 2018-10-29 02:30', 'Troll: two hours come twice');
SELECT is(pg_temp.opens('FREQ=DAILY', 'Asia/Kathmandu', '2026-01-01 00:00', 2), '2025-12-31 18:15, 2026-01-01 18:15',
    'Kathmandu: 5:45 ahead');
SELECT is(pg_temp.opens('FREQ=YEARLY', 'Europe/Berlin', '2100-07-01 12:00', 2), '2100-07-01 10:00, 2101-07-01 10:00',
    'daylight saving goes on in the years to come');
SELECT is(pg_temp.opens('FREQ=DAILY;BYHOUR=2,3;BYMINUTE=15,45', 'Europe/Berlin', '2026-03-29 00:00', 4),
    '2026-03-29 01:15, 2026-03-29 01:15, 2026-03-29 01:45, 2026-03-29 01:45',
    'what was left out falls among what was not, in order');
SELECT is(pg_temp.opens('FREQ=DAILY', 'UTC', '2026-01-01 00:00:00.25', 1), '2026-01-01 00:00', 'fractions of a second');
SELECT is((SELECT opens_at FROM promote.window_occurrences('FREQ=DAILY', 'UTC', '1999-12-31 23:59:59.75', '1 hour',
    not_before => '1999-01-01', max_rows => 1)), '1999-12-31 23:59:59.75Z', '... are kept, before 2000 too');

-- ---- durations ----
SELECT is(pg_temp.lasts('FREQ=WEEKLY', 'Europe/Berlin', '2026-03-28 12:00', '1 day', 2),
    '03-28 11:00 to 03-29 10:00, 04-04 10:00 to 04-05 10:00', 'a day is one of the calendar');
SELECT is(pg_temp.lasts('FREQ=WEEKLY', 'Europe/Berlin', '2026-03-28 12:00', '24 hours', 2),
    '03-28 11:00 to 03-29 11:00, 04-04 10:00 to 04-05 10:00', '24 hours are 24 hours');
SELECT is(pg_temp.lasts('FREQ=WEEKLY', 'Europe/Berlin', '2026-10-24 12:00', '1 day 6 hours', 1),
    '10-24 10:00 to 10-25 17:00', 'first the days, then the hours');
SELECT is(pg_temp.lasts('FREQ=DAILY', 'Europe/Berlin', '2026-03-28 02:30', '1 day', 2),
    '03-28 01:30 to 03-29 01:30, 03-29 01:30 to 03-30 00:30', 'one that ends in a gap');
SELECT is(pg_temp.lasts('FREQ=YEARLY', 'UTC', '2027-01-31', '1 month', 2),
    '01-31 00:00 to 02-28 00:00, 01-31 00:00 to 02-29 00:00', 'a month has the days that it has');
SELECT is(pg_temp.lasts('FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=-1', 'Europe/Berlin', '2026-01-01 23:00', '2 hours', 2),
    '12-31 22:00 to 01-01 00:00, 12-31 22:00 to 01-01 00:00', 'over the end of the year');
SELECT is(pg_temp.lasts('FREQ=DAILY;UNTIL=20111231', 'Pacific/Apia', '2011-12-29', '1 day', 5),
    '12-29 10:00 to 12-30 10:00, 12-30 10:00 to 12-31 10:00', 'of the day that Apia skipped nothing is left');

-- ---- the examples of RFC 5545, 3.8.5.3 ----
SELECT is(pg_temp.days('FREQ=DAILY;COUNT=10', '1997-09-02 09:00', 20),
    '97-09-02 97-09-03 97-09-04 97-09-05 97-09-06 97-09-07 97-09-08 97-09-09 97-09-10 97-09-11', 'ten times');
SELECT is((SELECT count(*) || ' ' || max(opens_at) FROM promote.window_occurrences('FREQ=DAILY;UNTIL=19971224T000000Z',
    'America/New_York', '1997-09-02 09:00', '1 hour', not_before => '1997-01-01', max_rows => 1000)),
    '113 1997-12-23 14:00:00+00', 'until Christmas Eve');
SELECT is(pg_temp.days('FREQ=DAILY;INTERVAL=10;COUNT=5', '1997-09-02 09:00', 20),
    '97-09-02 97-09-12 97-09-22 97-10-02 97-10-12', 'every ten days');
SELECT is((SELECT count(*)
    FROM promote.window_occurrences('FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA',
    'America/New_York', '1998-01-01 09:00', '1 hour', not_before => '1997-01-01', max_rows => 1000)), 93::bigint,
    'every day in January, for three years');
SELECT is((SELECT count(*) FROM promote.window_occurrences('FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1',
    'America/New_York', '1998-01-01 09:00', '1 hour', not_before => '1997-01-01', max_rows => 1000)), 93::bigint,
    '... said otherwise');
SELECT is(pg_temp.days('FREQ=WEEKLY;INTERVAL=2;WKST=SU', '1997-09-02 09:00', 5),
    '97-09-02 97-09-16 97-09-30 97-10-14 97-10-28', 'every other week');
SELECT is(pg_temp.days('FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH', '1997-09-02 09:00', 20),
    '97-09-02 97-09-04 97-09-09 97-09-11 97-09-16 97-09-18 97-09-23 97-09-25 97-09-30 97-10-02',
    'Tuesdays and Thursdays');
SELECT is(pg_temp.days('FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=MO,WE,FR', '1997-09-01 09:00', 7),
    '97-09-01 97-09-03 97-09-05 97-09-15 97-09-17 97-09-19 97-09-29', 'every other week on three days');
SELECT is(pg_temp.days('FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH', '1997-09-02 09:00', 20),
    '97-09-02 97-09-04 97-09-16 97-09-18 97-09-30 97-10-02 97-10-14 97-10-16', 'eight times');
SELECT is(pg_temp.days('FREQ=MONTHLY;COUNT=10;BYDAY=1FR', '1997-09-05 09:00', 20),
    '97-09-05 97-10-03 97-11-07 97-12-05 98-01-02 98-02-06 98-03-06 98-04-03 98-05-01 98-06-05', 'the first Friday');
SELECT is(pg_temp.days('FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU', '1997-09-07 09:00', 20),
    '97-09-07 97-09-28 97-11-02 97-11-30 98-01-04 98-01-25 98-03-01 98-03-29 98-05-03 98-05-31',
    'the first and the last Sunday of every other month');
SELECT is(pg_temp.days('FREQ=MONTHLY;COUNT=6;BYDAY=-2MO', '1997-09-22 09:00', 20),
    '97-09-22 97-10-20 97-11-17 97-12-22 98-01-19 98-02-16', 'the second-to-last Monday');
SELECT is(pg_temp.days('FREQ=MONTHLY;BYMONTHDAY=-3', '1997-09-28 09:00'),
    '97-09-28 97-10-29 97-11-28 97-12-29 98-01-29 98-02-26', 'the third-to-the-last day');
SELECT is(pg_temp.days('FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1', '1997-09-30 09:00', 20),
    '97-09-30 97-10-01 97-10-31 97-11-01 97-11-30 97-12-01 97-12-31 98-01-01 98-01-31 98-02-01',
    'the first and the last day');
SELECT is(pg_temp.days('FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15', '1997-09-10 09:00', 20),
    '97-09-10 97-09-11 97-09-12 97-09-13 97-09-14 97-09-15 99-03-10 99-03-11 99-03-12 99-03-13', 'every 18 months');
SELECT is(pg_temp.days('FREQ=YEARLY;COUNT=10;BYMONTH=6,7', '1997-06-10 09:00', 20),
    '97-06-10 97-07-10 98-06-10 98-07-10 99-06-10 99-07-10 00-06-10 00-07-10 01-06-10 01-07-10', 'June and July');
SELECT is(pg_temp.days('FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200', '1997-01-01 09:00', 20),
    '97-01-01 97-04-10 97-07-19 00-01-01 00-04-09 00-07-18 03-01-01 03-04-10 03-07-19 06-01-01', 'days of the year');
SELECT is(pg_temp.days('FREQ=YEARLY;BYDAY=20MO', '1997-05-19 09:00', 3), '97-05-19 98-05-18 99-05-17',
    'the 20th Monday');
SELECT is(pg_temp.days('FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO', '1997-05-12 09:00', 3), '97-05-12 98-05-11 99-05-17',
    'Monday of week 20');
SELECT is(pg_temp.days('FREQ=YEARLY;BYMONTH=3;BYDAY=TH', '1997-03-13 09:00', 8),
    '97-03-13 97-03-20 97-03-27 98-03-05 98-03-12 98-03-19 98-03-26 99-03-04', 'Thursdays in March');
SELECT is(pg_temp.days('FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13', '1997-09-02 09:00', 5),
    '98-02-13 98-03-13 98-11-13 99-08-13 00-10-13', 'Friday the 13th');
SELECT is(pg_temp.days('FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13', '1997-09-13 09:00', 10),
    '97-09-13 97-10-11 97-11-08 97-12-13 98-01-10 98-02-07 98-03-07 98-04-11 98-05-09 98-06-13',
    'the Saturday that follows the first Sunday');
SELECT is(pg_temp.days('FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8', '1996-11-05 09:00', 3),
    '96-11-05 00-11-07 04-11-02', 'election day');
SELECT is(pg_temp.days('FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3', '1997-09-04 09:00', 9),
    '97-09-04 97-10-07 97-11-06', 'the third of these days');
SELECT is(pg_temp.days('FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2', '1997-09-29 09:00', 7),
    '97-09-29 97-10-30 97-11-27 97-12-30 98-01-29 98-02-26 98-03-30', 'the second-to-last workday');
SELECT is(pg_temp.opens('FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0,20,40', 'UTC', '1997-09-02 09:00', 7),
    '1997-09-02 09:00, 1997-09-02 09:20, 1997-09-02 09:40, 1997-09-02 10:00, 1997-09-02 10:20, 1997-09-02 10:40, '
    '1997-09-03 09:00', 'every 20 minutes of two hours');
SELECT is(pg_temp.days('FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO', '1997-08-05 09:00', 9),
    '97-08-05 97-08-10 97-08-19 97-08-24', 'weeks that begin on Monday');
SELECT is(pg_temp.days('FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU', '1997-08-05 09:00', 9),
    '97-08-05 97-08-17 97-08-19 97-08-31', 'weeks that begin on Sunday');
SELECT is(pg_temp.days('FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5', '2007-01-15 09:00', 9),
    '07-01-15 07-01-30 07-02-15 07-03-15 07-03-30', 'days that are not there are left out');

-- ---- more of rules ----
SELECT is(pg_temp.days('FREQ=YEARLY', '2024-02-29 09:00', 3), '24-02-29 28-02-29 32-02-29', 'leap days');
SELECT is(pg_temp.days('FREQ=YEARLY;BYYEARDAY=-1,366', '2024-01-01 09:00', 4), '24-12-31 25-12-31 26-12-31 27-12-31',
    'a day that is two of the list is once');
SELECT is(pg_temp.days('FREQ=MONTHLY', '2026-01-31 09:00', 4), '26-01-31 26-03-31 26-05-31 26-07-31',
    'months that have the day');
SELECT is(pg_temp.days('FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO,SU', '2024-06-01 09:00', 4),
    '24-12-30 25-01-05 25-12-29 26-01-04', 'week 1 may begin in December');
SELECT is(pg_temp.days('FREQ=YEARLY;BYWEEKNO=53,-1;BYDAY=TH', '2020-06-01 09:00', 3), '20-12-31 21-12-30 22-12-29',
    'the last week');
SELECT is(pg_temp.days('FREQ=YEARLY;BYWEEKNO=10', '2026-01-01 09:00', 3), '26-03-05 27-03-11 28-03-09',
    'a week without a weekday: the start''s');
SELECT is(pg_temp.days('FREQ=YEARLY;BYMONTHDAY=1', '2026-11-15 09:00', 3), '26-12-01 27-01-01 27-02-01',
    'every year on the first of every month');
SELECT is(pg_temp.days('FREQ=YEARLY;BYDAY=-1SU', '2026-01-01 09:00', 3), '26-12-27 27-12-26 28-12-31',
    'the last Sunday of the year');
SELECT is(pg_temp.days('FREQ=DAILY;BYMONTHDAY=-1', '2026-01-15 09:00', 3), '26-01-31 26-02-28 26-03-31',
    'the last day of each month, daily');
SELECT is(pg_temp.days('FREQ=WEEKLY;BYDAY=MO,FR;BYSETPOS=-1', '2026-01-01 09:00', 3), '26-01-02 26-01-09 26-01-16',
    'the last of a week');
SELECT is(pg_temp.opens('FREQ=DAILY;BYHOUR=9,12,17;BYSETPOS=1,-1', 'UTC', '2026-01-01 00:00', 4),
    '2026-01-01 09:00, 2026-01-01 17:00, 2026-01-02 09:00, 2026-01-02 17:00', 'the first and the last of a day');
SELECT is(pg_temp.opens('FREQ=MONTHLY;BYMONTHDAY=1,2;BYHOUR=8,20;BYSETPOS=2', 'UTC', '2026-01-01 00:00', 2),
    '2026-01-01 20:00, 2026-02-01 20:00', 'BYSETPOS counts times, not days');
SELECT is(pg_temp.days('FREQ=WEEKLY;INTERVAL=10;WKST=TH;BYDAY=MO', '2028-12-01 12:30', 3), '28-12-04 29-02-12 29-04-23',
    'INTERVAL counts weeks as WKST has them');
SELECT is(pg_temp.days('FREQ=MONTHLY;INTERVAL=5;BYDAY=1MO', '2021-03-10 09:00', 3), '21-08-02 22-01-03 22-06-06',
    'what is not met in the first month is not made up for');
SELECT is(pg_temp.days('freq=monthly;byday=+1mo', '2026-01-01 09:00', 2), '26-01-05 26-02-02',
    'in small letters, with a plus');
SELECT is(pg_temp.days('FREQ=DAILY;UNTIL=20260103', '2026-01-01 09:00', 9), '26-01-01 26-01-02 26-01-03',
    'UNTIL a date: its whole day');
SELECT is(pg_temp.days('FREQ=DAILY;UNTIL=20260103T090000', '2026-01-01 09:00', 9), '26-01-01 26-01-02 26-01-03',
    'UNTIL a local time: the time itself, too');
SELECT is(pg_temp.days('FREQ=DAILY;UNTIL=20260103T140000Z', '2026-01-01 09:00', 9), '26-01-01 26-01-02 26-01-03',
    'UNTIL in UTC');
SELECT is(pg_temp.days('FREQ=DAILY;UNTIL=20260103T135959Z', '2026-01-01 09:00', 9), '26-01-01 26-01-02',
    '... a second earlier');
SELECT is(pg_temp.days(NULL, '2026-01-01 09:00', 9), '26-01-01', 'no rule: once');
SELECT is(pg_temp.opens('FREQ=DAILY;COUNT=3', 'UTC', '2026-01-01 09:00', 9, '{2026-01-02 09:00}'),
    '2026-01-01 09:00, 2026-01-03 09:00', 'an exception counts for COUNT');
SELECT is(pg_temp.opens('FREQ=DAILY', 'UTC', '2021-01-01 09:00', 2, after => '2026-06-01'),
    '2026-06-01 09:00, 2026-06-02 09:00', 'from some time on');
SELECT is(pg_temp.opens('FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO', 'UTC', '2026-01-01 09:00', 2),
    '2044-02-29 09:00, 2072-02-29 09:00', 'what is rare is found');
SELECT is(pg_temp.opens('FREQ=YEARLY', 'UTC', '2026-01-01', 2, after => '9998-06-01'), '9999-01-01 00:00',
    'up to the year 9999');
SELECT is_empty($$SELECT * FROM promote.window_occurrences('FREQ=DAILY', 'UTC', '2026-01-01', '1 hour',
    not_before => '294000-01-01')$$, 'and no farther');
SELECT is_empty($$SELECT * FROM promote.window_occurrences('FREQ=DAILY', 'UTC', '2026-01-01', '1 hour',
    not_after => '-infinity')$$, 'before anything');
SELECT is((SELECT count(*) FROM promote.window_occurrences('FREQ=DAILY', 'UTC', '2026-01-01', '1 hour',
    not_before => '2026-01-01 00:30', not_after => '2026-01-04')), 3::bigint,
    'one that has begun is shown, one that begins at the end is not');
SELECT is_empty($$SELECT * FROM promote.window_occurrences('FREQ=DAILY', 'UTC', '2026-01-01', '1 hour',
    not_before => '2026-01-01 01:00', not_after => '2026-01-02')$$, 'nor one that has just ended');
SELECT is_empty($$SELECT * FROM promote.window_occurrences('FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30', 'UTC', '2026-01-01',
    '1 hour')$$, 'what never occurs is shown as that');

-- ---- a jump ends where plain walking does ----
CREATE TEMP TABLE rule AS SELECT *
    FROM unnest(ARRAY['FREQ=DAILY;INTERVAL=7', 'FREQ=DAILY;INTERVAL=3;BYMONTH=1,2,12',
    'FREQ=WEEKLY;INTERVAL=3;BYDAY=SU,WE',
    'FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU', 'FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=2',
        'FREQ=MONTHLY;INTERVAL=5;BYMONTHDAY=31,-1', 'FREQ=MONTHLY;BYDAY=TU,TH;BYSETPOS=-2',
    'FREQ=YEARLY;INTERVAL=3;BYDAY=10WE', 'FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1,52;BYDAY=TU',
        'FREQ=YEARLY;BYMONTH=2;BYDAY=SU;BYSETPOS=-1', 'FREQ=DAILY;INTERVAL=2;BYHOUR=1,13']) AS rule;
SELECT is_empty($$
    SELECT r.rule, s.after FROM rule r CROSS JOIN generate_series('2020-01-31'::timestamptz, '2025-12-01',
        '37 days 5 hours') AS s (after)
     WHERE (SELECT array_agg(w.opens_at ORDER BY w.opens_at)
         FROM (SELECT a.opens_at FROM promote.window_occurrences(r.rule, 'Europe/Berlin', '2019-11-30 02:30', '3 hours',
         not_before => '2019-01-01', max_rows => 4000) a WHERE a.closes_at > s.after ORDER BY 1 LIMIT 5) AS w)
           IS DISTINCT FROM (SELECT array_agg(b.opens_at ORDER BY b.opens_at)
               FROM promote.window_occurrences(r.rule, 'Europe/Berlin', '2019-11-30 02:30', '3 hours',
                   not_before => s.after,
               max_rows => 5) b)$$,
    'jumps');

-- ---- refusals ----
SELECT pg_temp.bad('', 'RFC 5545 knows', 'nothing');
SELECT pg_temp.bad('weekly', 'RFC 5545 knows', 'a word');
SELECT pg_temp.bad('FREQ=FORTNIGHTLY', 'RFC 5545 knows', 'an unknown frequency');
SELECT pg_temp.bad('BYDAY=MO', 'RFC 5545 knows', 'no frequency');
SELECT pg_temp.bad('FREQ=DAILY;', 'RFC 5545 knows', 'an empty part');
SELECT pg_temp.bad('FREQ=DAILY;BYPARTY=1', 'RFC 5545 knows', 'an unknown part');
SELECT pg_temp.bad('RRULE:FREQ=DAILY', 'RFC 5545 knows', 'a whole line of a calendar');
SELECT pg_temp.bad('FREQ=DAILY;FREQ=WEEKLY', 'given twice', 'a part twice');
SELECT pg_temp.bad('FREQ=DAILY;INTERVAL=1;INTERVAL=2', 'given twice', 'another part twice');
SELECT pg_temp.bad('FREQ=DAILY;COUNT=2;UNTIL=20270101', 'RFC 5545 knows', 'COUNT and UNTIL');
SELECT pg_temp.bad('FREQ=DAILY;COUNT=0', 'RFC 5545 knows', 'no times');
SELECT pg_temp.bad('FREQ=DAILY;COUNT=3x', 'RFC 5545 knows', 'no number');
SELECT pg_temp.bad('FREQ=DAILY;COUNT=1001', 'up to 1000|to 1000', 'too many times');
SELECT pg_temp.bad('FREQ=DAILY;INTERVAL=0', 'RFC 5545 knows', 'INTERVAL 0');
SELECT pg_temp.bad('FREQ=DAILY;INTERVAL=-1', 'RFC 5545 knows', 'INTERVAL -1');
SELECT pg_temp.bad('FREQ=DAILY;INTERVAL=1001', '1 to 1000', 'INTERVAL 1001');
SELECT pg_temp.bad('FREQ=DAILY;INTERVAL=65537', 'RFC 5545 knows', 'INTERVAL 65537, which is 1 in 16 bits');
SELECT pg_temp.bad('FREQ=MONTHLY;BYDAY=257MO', 'RFC 5545 knows', '257MO, which is 1MO in 8 bits');
SELECT pg_temp.bad('FREQ=DAILY;BYHOUR=' || list, 'RFC 5545 knows', 'an empty item of a list: ' || list)
    FROM unnest('{"1,,2","1,",",1",+}'::text[]) AS list;
SELECT pg_temp.bad('FREQ=YEARLY;BYMONTH=8;BYDAY=-53TU,6MO', 'No month has that many',
    'a month without any of its weekdays');
SELECT pg_temp.bad('FREQ=YEARLY;BYMONTH=8;BYDAY=54TU,-2MO', 'No year has that many',
    'a number that RFC 5545 does not have');
SELECT is(pg_temp.days('FREQ=YEARLY;BYMONTH=8;BYDAY=-53TU,-2MO', '2026-01-01 09:00', 3), '26-08-24 27-08-23 28-08-21',
    'a weekday that no month has beside one that each has');
SELECT is(pg_temp.days('FREQ=MONTHLY;BYDAY=6TU,MO', '2026-01-01 09:00', 2), '26-01-05 26-01-12',
    '... or beside every one');
SELECT pg_temp.bad('FREQ=MONTHLY;BYDAY=0MO', 'RFC 5545 knows', 'the 0th Monday');
SELECT pg_temp.bad('FREQ=MONTHLY;BYDAY=6MO', 'No month has', 'the 6th Monday of a month');
SELECT pg_temp.bad('FREQ=YEARLY;BYMONTH=2;BYDAY=-6MO', 'No month has', '... said otherwise');
SELECT pg_temp.bad('FREQ=YEARLY;BYDAY=54MO', 'No year has', 'the 54th Monday of a year');
SELECT pg_temp.bad('FREQ=MONTHLY;BYDAY=MON', 'RFC 5545 knows', 'MON');
SELECT pg_temp.bad('FREQ=MONTHLY;BYDAY=MO, TU', 'RFC 5545 knows', 'a blank');
SELECT pg_temp.bad('FREQ=MONTHLY;BYDAY=', 'RFC 5545 knows', 'an empty list');
SELECT pg_temp.bad('FREQ=MONTHLY;BYDAY=MO,', 'RFC 5545 knows', 'an empty item');
SELECT pg_temp.bad('FREQ=DAILY;BYDAY=1MO', 'counted only within', 'a counted weekday daily');
SELECT pg_temp.bad('FREQ=WEEKLY;BYDAY=1MO', 'counted only within', 'a counted weekday weekly');
SELECT pg_temp.bad('FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO', 'not counted within weeks', 'a counted weekday of weeks');
SELECT pg_temp.bad('FREQ=WEEKLY;BYMONTHDAY=1', 'BYMONTHDAY is not', 'BYMONTHDAY weekly');
SELECT pg_temp.bad('FREQ=MONTHLY;BYYEARDAY=1', 'only for FREQ=YEARLY', 'BYYEARDAY monthly');
SELECT pg_temp.bad('FREQ=MONTHLY;BYWEEKNO=1', 'only for FREQ=YEARLY', 'BYWEEKNO monthly');
SELECT pg_temp.bad('FREQ=YEARLY;BYWEEKNO=54', 'RFC 5545 knows', 'week 54');
SELECT pg_temp.bad('FREQ=YEARLY;BYYEARDAY=367', 'RFC 5545 knows', 'day 367');
SELECT pg_temp.bad('FREQ=YEARLY;BYYEARDAY=0', 'RFC 5545 knows', 'day 0');
SELECT pg_temp.bad('FREQ=MONTHLY;BYMONTHDAY=32', 'RFC 5545 knows', 'the 32nd');
SELECT pg_temp.bad('FREQ=YEARLY;BYMONTH=13', 'RFC 5545 knows', 'month 13');
SELECT pg_temp.bad('FREQ=YEARLY;BYMONTH=5L', 'RFC 5545 knows', 'a leap month');
SELECT pg_temp.bad('FREQ=DAILY;BYHOUR=24', 'RFC 5545 knows', 'hour 24');
SELECT pg_temp.bad('FREQ=DAILY;BYMINUTE=60', 'RFC 5545 knows', 'minute 60');
SELECT pg_temp.bad('FREQ=DAILY;BYSECOND=60', 'RFC 5545 knows', 'second 60');
SELECT pg_temp.bad('FREQ=DAILY;BYSETPOS=1', 'chooses from', 'BYSETPOS alone');
SELECT pg_temp.bad('FREQ=MONTHLY;BYDAY=MO;BYSETPOS=367', 'RFC 5545 knows', 'BYSETPOS 367');
SELECT pg_temp.bad('FREQ=DAILY;UNTIL=20260231', 'RFC 5545 knows', 'UNTIL 31 February');
SELECT pg_temp.bad('FREQ=DAILY;UNTIL=2026', 'RFC 5545 knows', 'UNTIL a year');
SELECT pg_temp.bad('FREQ=DAILY;UNTIL=tomorrow', 'RFC 5545 knows', 'UNTIL a word');
SELECT pg_temp.bad('FREQ=HOURLY', 'less than a day', 'hourly');
SELECT pg_temp.bad('FREQ=MINUTELY', 'less than a day', 'minutely');
SELECT pg_temp.bad('FREQ=SECONDLY', 'less than a day', 'secondly');
SELECT pg_temp.bad('RSCALE=CHINESE;FREQ=YEARLY', 'Gregorian', 'another calendar');
SELECT pg_temp.bad('FREQ=YEARLY;SKIP=FORWARD', 'RFC 5545 knows|Gregorian', 'SKIP');
SELECT pg_temp.bad('FREQ=DAILY;BYMINUTE=' || (SELECT string_agg(i::text, ',') FROM generate_series(0, 59) i)
    || ';BYHOUR=1,2', 'more than 100 times a day', 'too often a day');
SELECT pg_temp.bad('FREQ=DAILY;BYMINUTE=' || repeat('1,', 600) || '1', 'bytes, and may have', 'a long rule');
SELECT pg_temp.bad(E'FREQ=DAILY\n', 'RFC 5545 knows', 'a line''s end');
SELECT pg_temp.bad('FREQ=TÄGLICH', 'RFC 5545 knows', 'another language');

CREATE FUNCTION pg_temp.bad_call(arguments text, detail_like text, what text,
    code text DEFAULT 'PM602') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.refuses(format('SELECT * FROM promote.window_occurrences(%s)', arguments), code, detail_like, what)
$$;
SELECT pg_temp.bad_call($$'FREQ=DAILY', $$ || quote_literal(zone) || $$, '2026-01-01', '1 hour'$$,
    'must be one of pg_timezone_names', 'zone ' || zone)
  FROM unnest(ARRAY['FOO+3', 'XYZ5', '+02', '+02:00', '<+03>-3', 'CEST', 'PST', 'Mars/Olympus', 'localtime', 'EST5EDT4',
      'UTC+1', 'Europe/Berlin ', '../etc/passwd', repeat('x', 300)]) AS zone;
SELECT lives_ok($$SELECT * FROM promote.window_occurrences('FREQ=DAILY', 'europe/BERLIN', '2026-01-01', '1 hour')$$,
    'in other letters it is the same zone');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '0'$$, 'end before it begins', 'no duration');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '-1 hour'$$, 'end before it begins',
    'a negative duration');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '1 day -1 hour'$$, 'end before it begins',
    'a duration that is negative in part');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '367 days'$$, 'up to 366 days', 'a long duration');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '13 months'$$, 'up to 366 days', 'one of months');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '9000 hours'$$, 'up to 366 days', 'one of hours');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '178956970 years'$$, 'up to 366 days', 'one of ages');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', 'infinity', '1 hour'$$, 'infinite or outside', 'a start that never is');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '1969-12-31', '1 hour'$$, 'infinite or outside', 'an early start');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '9000-01-01', '1 hour'$$, 'infinite or outside', 'a late start');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '1 hour', '{NULL}'$$, 'Each is the local time',
    'an exception that is null');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '1 hour', '{infinity}'$$, 'Each is the local time',
    'one that never is');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '1 hour',
    (SELECT array_agg('2026-01-01'::timestamp + i * '1 day'::interval) FROM generate_series(0, 1000) i)$$,
        'It has 1001', 'too many of them');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', NULL, '1 hour'$$, 'is null', 'no start', 'PM404');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', NULL$$, 'is null', 'a missing duration', 'PM404');
SELECT pg_temp.bad_call($$'FREQ=DAILY', NULL, '2026-01-01', '1 hour'$$, 'is null', 'no zone', 'PM404');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '1 hour', not_before => 'infinity'$$, 'infinite',
    'after all', 'PM404');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '1 hour', max_rows => 10001$$, 'from 0 to 10000',
    'too many rows', 'PM404');
SELECT pg_temp.bad_call($$'FREQ=DAILY', 'UTC', '2026-01-01', '1 hour', max_rows => -1$$, 'from 0 to 10000',
    'fewer than none', 'PM404');

SELECT * FROM finish();
ROLLBACK;
