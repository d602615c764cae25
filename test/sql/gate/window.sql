-- Windows: freezes, change windows and their budgets, and stopping the line.
BEGIN;
SELECT no_plan();
\ir ../../fixtures/ecomm.sql
\ir ../../fixtures/deploy.sql
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL promote.actor = 'ada';
UPDATE promote.environment SET require_plan = false;
SELECT pg_temp.work('ecomm-production-db') \g /dev/null

-- The gates of windows at a time, a line each.
CREATE FUNCTION pg_temp.gates(at timestamptz DEFAULT '2027-06-01 12:00',
    name text DEFAULT 'ecomm-production-db') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(code || ': ' || message || COALESCE(' since ' || since, '') || COALESCE(' until ' || until, ''),
        E'\n')
      FROM promote.blockers(name, at => at) WHERE code IN ('stopped', 'freeze', 'window', 'budget')
$$;
CREATE FUNCTION pg_temp.bad(columns text, detail_like text, what text,
    kind text DEFAULT 'freeze_window') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.refuses(format('INSERT INTO promote.%I (name, %s) VALUES (''x'', %s)', kind,
        split_part(columns, '|', 1), split_part(columns, '|', 2)), 'PM602', detail_like, what)
$$;

-- ---- rows ----
SELECT pg_temp.bad('reason|''why''', 'neither during nor zone', 'neither once nor recurring');
SELECT pg_temp.bad($$during, zone|'[2026-01-01,2026-02-01)', 'UTC'$$, 'values for during and for zone', 'both');
SELECT pg_temp.bad($$during, rule|'[2026-01-01,2026-02-01)', 'FREQ=DAILY'$$, 'values for during and for rule',
    'both, by the rule');
SELECT pg_temp.bad($$zone, rule, duration|'UTC', 'FREQ=DAILY', '1 h'$$, 'nor starts_at', 'without a start');
SELECT pg_temp.bad($$zone, rule, starts_at|'UTC', 'FREQ=DAILY', '2026-01-01'$$, 'nor duration', 'without a duration');
SELECT pg_temp.bad($$during|'empty'$$, 'range is empty', 'an empty range');
SELECT pg_temp.bad($$during|'[2026-01-01,2026-01-01)'$$, 'range is empty', 'a range that ends as it begins');
SELECT pg_temp.bad($$during|'[2026-01-01,)'$$, 'no upper bound', 'a freeze without an end');
SELECT pg_temp.bad($$during|'[2026-01-01,infinity)'$$, 'no upper bound', 'a freeze to the end of time');
SELECT pg_temp.bad($$zone, rule, starts_at, duration|'UTC', 'FREQ=DAILY', '2026-01-01', '24 hours'$$, 'without a gap',
    'a freeze that goes on day after day');
SELECT pg_temp.bad($$zone, rule, starts_at, duration|'Europe/Berlin', 'FREQ=DAILY', '2026-01-01', '1 day'$$,
    'without a gap', '... in local time');
SELECT pg_temp.bad($$zone, rule, starts_at, duration|'UTC', 'FREQ=WEEKLY', '2026-01-01', '8 days'$$, 'without a gap',
    '... week after week');
SELECT
    pg_temp.bad($$zone, rule, starts_at, duration, exdates|'UTC', 'FREQ=DAILY',
    '2026-01-01', '2 days', '{2026-02-01}'$$,
    'without a gap', '... in spite of exceptions');
SELECT
    pg_temp.bad($$zone, rule, starts_at, duration|'UTC', 'FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30', '2026-01-01', '1 h'$$,
    'no day on which', '30 February', kind) FROM unnest(ARRAY['freeze_window', 'change_window']) AS kind;
SELECT pg_temp.bad($$zone, rule, starts_at, duration|'UTC', 'FREQ=DAILY;UNTIL=20251231', '2026-01-01', '1 h'$$,
    'past UNTIL', 'over before it begins');
SELECT
    pg_temp.bad($$zone, rule, starts_at, duration|'UTC', 'FREQ=YEARLY;INTERVAL=4;BYYEARDAY=366', '2027-01-01', '1 h'$$,
    'no day on which', 'day 366 of years that are not leap years');
SELECT
    pg_temp.bad($$zone, rule, starts_at, duration, exdates|'UTC', 'FREQ=DAILY;COUNT=1',
    '2026-01-01', '1 h', '{2026-01-01}'$$,
    'excepted', 'all that there was is excepted');
SELECT
    pg_temp.bad($$zone, rule, starts_at, duration, exdates|'UTC', 'FREQ=DAILY',
    '2026-01-01 22:00', '1 h', '{2026-01-05}'$$,
    'begins at that local time', 'an exception of nothing');
SELECT pg_temp.bad($$zone, rule, starts_at, duration|'FOO+3', 'FREQ=DAILY', '2026-01-01', '1 h'$$, 'pg_timezone_names',
    'no zone');
SELECT pg_temp.bad($$zone, rule, starts_at, duration|'UTC', 'FREQ=HOURLY', '2026-01-01', '1 h'$$, 'less than a day',
    'too often');
SELECT pg_temp.bad($$zone, rule, starts_at, duration|'UTC', 'FREQ=DAILY', '2026-01-01', '-1 h'$$,
    'end before it begins', 'backward');
SELECT pg_temp.bad($$during, selector|'[2026-01-01,2026-02-01)', '[]'$$, 'an object', 'a selector that is none');
SELECT pg_temp.refuses($$INSERT INTO promote.freeze_window (name, during) VALUES (' ', '[2026-01-01,2026-02-01)')$$,
    'PM602', 'not only blanks', 'a blank name');
SELECT pg_temp.refuses($$INSERT INTO promote.freeze_window (name, during)
    VALUES (repeat('ü', 101), '[2026-01-01,2026-02-01)')$$, 'PM602', 'from 1 to 200', 'a long name');
SELECT throws_ok($$INSERT INTO promote.change_window (name, during, max_deployments_per_window)
    VALUES ('x', '[2026-01-01,2026-02-01)', 0)$$, 'PM404', NULL, 'a budget of nothing');
SELECT throws_ok($$INSERT INTO promote.freeze_window (name, during, project)
    VALUES ('x', '[2026-01-01,2026-02-01)', 'nobody')$$, '23503', NULL, 'a project that is not there');
SELECT throws_ok($$INSERT INTO promote.freeze_window (name, during) VALUES (NULL, '[2026-01-01,2026-02-01)')$$, '23502',
    NULL, 'no name');
INSERT INTO promote.freeze_window (name, rule, zone, starts_at, duration)
    VALUES ('nights', 'FREQ=DAILY', 'europe/berlin', '2027-01-01 22:00', '8 hours');
SELECT is((SELECT zone || ' ' || actor FROM promote.freeze_window), 'Europe/Berlin ada',
    'the zone is spelled as it should be, and who did it is known');
SELECT is((pg_temp.refusal($$UPDATE promote.freeze_window SET zone = 'UTC+3'$$)).state, 'PM602',
    'an UPDATE is checked as well');
DELETE FROM promote.freeze_window;
CREATE TEMP TABLE other (name text);
SELECT throws_ok($$CREATE TRIGGER t BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION
    promote_internal.check_window()$$ || ';' || $$INSERT INTO other VALUES ('x')$$, '39P01', NULL,
    'it is no trigger of other tables');
SELECT throws_ok($$CREATE TRIGGER t BEFORE INSERT ON promote.project FOR EACH ROW EXECUTE FUNCTION
    promote_internal.check_window()$$ || ';' || $$INSERT INTO promote.project VALUES ('x')$$, '39P01', NULL,
    '... of promote''s neither');

-- ---- freezes ----
SELECT is(pg_temp.gates(), NULL, 'nothing is in the way');
INSERT INTO promote.freeze_window (name, during, reason) VALUES ('june', '[2027-06-01, 2027-06-15)', 'the fair');
SELECT is(pg_temp.gates(),
    'freeze: freeze "june" is on: the fair since 2027-06-01 00:00:00+00 until 2027-06-15 00:00:00+00', 'a freeze');
SELECT is(pg_temp.gates('2027-05-31 23:59:59.999999'), NULL, 'before it');
SELECT is(pg_temp.gates('2027-06-01 00:00') IS NOT NULL, true, 'its begin belongs to it');
SELECT is(pg_temp.gates('2027-06-15 00:00'), NULL, 'its end does not');
UPDATE promote.freeze_window SET during = '(2027-06-01, 2027-06-15]';
SELECT is(pg_temp.gates('2027-06-01 00:00'), NULL, 'unless the range says otherwise');
SELECT is(pg_temp.gates('2027-06-15 00:00') IS NOT NULL, true, '... at both ends');
UPDATE promote.freeze_window SET during = '(, 2027-06-15)';
SELECT is(pg_temp.gates(), 'freeze: freeze "june" is on: the fair until 2027-06-15 00:00:00+00',
    'from the beginning of time');
SELECT is((SELECT liftable_by || ' ' || overridable FROM promote.blockers('ecomm-production-db', at => '2027-06-01')
    WHERE code = 'freeze'), 'whoever changes promote.freeze_window false', 'who can lift it');
-- scope
UPDATE promote.freeze_window SET during = '[2027-06-01, 2027-06-15)';
CREATE FUNCTION pg_temp.frozen(scope text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'UPDATE promote.freeze_window SET project = NULL, environment = NULL, component = NULL, selector = ''{}''';
    EXECUTE 'UPDATE promote.freeze_window SET ' || scope;
    RETURN (SELECT string_agg(i.name, ' ' ORDER BY i.name) FROM promote.instance AS i
             WHERE i.revision > 0 AND EXISTS (SELECT FROM promote.blockers(i.name, at => '2027-06-02') b
                 WHERE b.code = 'freeze'));
END $$;
SELECT promote.configure_instance('ecomm-staging-cache', '{}'), promote.configure_instance('other-production-db',
    '{"size": "small", "tier": "x"}') \g /dev/null
SELECT is(pg_temp.frozen('reason = NULL'),
    'ecomm-production-db ecomm-staging-cache ecomm-staging-db other-production-db', 'everything');
SELECT is(pg_temp.frozen($$project = 'ecomm'$$), 'ecomm-production-db ecomm-staging-cache ecomm-staging-db',
    'a project');
SELECT is(pg_temp.frozen($$environment = 'production'$$), 'ecomm-production-db other-production-db',
    'an environment of every project');
SELECT is(pg_temp.frozen($$component = 'db', project = 'ecomm'$$), 'ecomm-production-db ecomm-staging-db',
    'a component');
UPDATE promote.environment SET attributes = '{"tier": "gold"}' WHERE environment = 'production';
UPDATE promote.instance SET attributes = '{"tier": "tin"}' WHERE name = 'other-production-db';
SELECT is(pg_temp.frozen($$selector = '{"tier": "gold"}'$$), 'ecomm-production-db',
    'by attributes, those of the instance on top');
SELECT is(pg_temp.frozen($$selector = '{"tier": "gold"}', project = 'other'$$), NULL, 'all of it counts');
-- recurring
UPDATE promote.freeze_window SET selector = '{}', project = NULL, during = NULL, rule = 'FREQ=WEEKLY;BYDAY=FR',
    zone = 'Europe/Berlin', starts_at = '2022-01-01 16:00', duration = '2 days 16 hours';
SELECT is(pg_temp.gates('2027-06-05 12:00'),
    'freeze: freeze "june" is on since 2027-06-04 14:00:00+00 until 2027-06-07 06:00:00+00',
    'from Friday afternoon to Monday morning');
SELECT is(pg_temp.gates('2027-06-07 06:00'), NULL, 'to the minute');
SELECT is(pg_temp.gates('2027-03-27 12:00'),
    'freeze: freeze "june" is on since 2027-03-26 15:00:00+00 until 2027-03-29 06:00:00+00',
    'over the day on which the clocks are put forward');
UPDATE promote.freeze_window SET exdates = '{2027-06-04 16:00}';
SELECT is(pg_temp.gates('2027-06-05 12:00'), NULL, 'but for exceptions');
UPDATE promote.freeze_window SET exdates = '{}', rule = 'FREQ=WEEKLY;BYDAY=FR,SA,SU', duration = '1 day';
SELECT is(pg_temp.gates('2027-06-05 12:00'),
    'freeze: freeze "june" is on since 2027-06-04 14:00:00+00 until 2027-06-07 14:00:00+00',
    'days that follow one another are one');
UPDATE promote.freeze_window SET duration = '36 hours';
SELECT is(pg_temp.gates('2027-06-05 20:00'),
    'freeze: freeze "june" is on since 2027-06-04 14:00:00+00 until 2027-06-08 02:00:00+00',
    '... and so are those that overlap');
UPDATE promote.freeze_window SET rule = NULL, starts_at = '2027-12-24 00:00', duration = '3 days';
SELECT is(pg_temp.gates('2027-12-25 12:00'),
    'freeze: freeze "june" is on since 2027-12-23 23:00:00+00 until 2027-12-26 23:00:00+00', 'once, in local time');
SELECT is(pg_temp.gates('2028-12-25 12:00'), NULL, '... and never again');
UPDATE promote.freeze_window SET rule = 'FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24', duration = '10 days';
SELECT is(pg_temp.gates('2029-01-01 12:00'),
    'freeze: freeze "june" is on since 2028-12-23 23:00:00+00 until 2029-01-02 23:00:00+00',
    'over the end of the year');
INSERT INTO promote.freeze_window (name, during) VALUES ('also', '[2028-12-20,2029-02-01)');
SELECT is((SELECT array_agg(message) FROM promote.blockers('ecomm-production-db', at => '2029-01-01')
    WHERE code = 'freeze'), '{"freeze \"also\" is on","freeze \"june\" is on"}', 'each freeze is a reason');

-- ---- change windows ----
DELETE FROM promote.freeze_window;
INSERT INTO promote.change_window (name, environment, rule, zone, starts_at, duration)
    VALUES ('nights', 'production', 'FREQ=DAILY', 'Europe/Berlin', '2022-01-01 22:00', '6 hours');
SELECT is(pg_temp.gates(),
    'window: no change window is open, of "nights" since 2027-06-01 02:00:00+00 until 2027-06-01 20:00:00+00',
    'closed by day');
SELECT is(pg_temp.gates('2027-06-01 20:00'), NULL, 'open by night');
SELECT is(pg_temp.gates(name => 'ecomm-staging-db'), NULL, 'where there is none it is always open');
UPDATE promote.change_window SET rule = 'FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=1';
SELECT is(pg_temp.gates(),
    'window: no change window is open, of "nights" since 2026-12-02 03:00:00+00 until 2027-12-01 21:00:00+00',
    'since long ago');
UPDATE promote.change_window SET rule = 'FREQ=DAILY;UNTIL=20230228';
SELECT is(pg_temp.gates(), 'window: no change window is open, of "nights" since 2023-03-01 03:00:00+00',
    'since it ended for good');
UPDATE promote.change_window SET rule = 'FREQ=DAILY', starts_at = '2027-06-01 22:00';
SELECT is(pg_temp.gates(), 'window: no change window is open, of "nights" until 2027-06-01 20:00:00+00',
    'it never was');
UPDATE promote.change_window SET starts_at = '2022-01-01 22:00';
INSERT INTO promote.change_window (name, project, during)
    VALUES ('lunch', 'ecomm', '[2027-06-01 12:00, 2027-06-01 13:00)');
SELECT is(pg_temp.gates(), NULL, 'one that is open is enough');
SELECT is(pg_temp.gates('2027-06-01 11:00'),
    'window: no change window is open, of "lunch", "nights" since 2027-06-01 02:00:00+00 until 2027-06-01 12:00:00+00',
    'until the next of them opens');
SELECT is(pg_temp.gates('2027-06-01 11:00', 'ecomm-staging-db'),
    'window: no change window is open, of "lunch" until 2027-06-01 12:00:00+00', 'of those in scope');
SELECT is(pg_temp.gates('2027-06-01 13:00', 'ecomm-staging-db'),
    'window: no change window is open, of "lunch" since 2027-06-01 13:00:00+00', 'one that is over never opens');
INSERT INTO promote.freeze_window (name, during) VALUES ('fair', '[2027-06-01, 2027-06-02)');
SELECT is(pg_temp.gates(), 'freeze: freeze "fair" is on since 2027-06-01 00:00:00+00 until 2027-06-02 00:00:00+00',
    'a freeze beats an open window');
SELECT is(pg_temp.gates('2027-06-01 14:00'),
    E'freeze: freeze "fair" is on since 2027-06-01 00:00:00+00 until 2027-06-02 00:00:00+00\nwindow: no change window '
    'is open, of "lunch", "nights" since 2027-06-01 13:00:00+00 until 2027-06-01 20:00:00+00', 'and both are reasons');
SELECT is(promote.next_possible('ecomm-production-db', at => '2027-06-01 05:00'), '2027-06-02 00:00Z',
    'the freeze ends while the window is open');
SELECT is(promote.next_possible('ecomm-production-db', at => '2027-06-02 12:00'), '2027-06-02 20:00Z',
    'the window opens');
SELECT is(promote.next_possible('ecomm-production-db', at => '2027-06-02 21:00'), '2027-06-02 21:00Z', 'it is open');
SELECT is(promote.next_possible('ecomm-production-db', at => '2027-06-01 02:00'), '2027-06-02 00:00Z', 'over the day');
SELECT is(promote.next_possible('ecomm-staging-db', at => '2027-06-03 02:00'), NULL, 'never');
UPDATE promote.freeze_window SET during = NULL, rule = 'FREQ=DAILY;UNTIL=20270630', zone = 'UTC',
    starts_at = '2027-06-01 19:00', duration = '8 hours';
SELECT is(promote.next_possible('ecomm-production-db', at => '2027-06-03 12:00'), '2027-07-01 20:00Z',
    'windows that are frozen are passed by');
UPDATE promote.freeze_window SET rule = 'FREQ=DAILY';
SELECT is(promote.next_possible('ecomm-production-db', at => '2027-11-03 12:00'), NULL,
    'where all of them are it is given up');
SELECT pg_temp.refuses($$SELECT promote.next_possible('ecomm-production-db', at => 'infinity')$$, 'PM404', 'infinite',
    'at no time');
SELECT pg_temp.refuses($$SELECT promote.next_possible('ecomm-production-nobody')$$, 'PM002', 'component',
    'of no instance');
SELECT pg_temp.refuses($$SELECT promote.next_possible('ecomm-production-db', 99)$$, 'PM002', '.', 'of no deployment');
UPDATE promote.change_window SET during = '[2027-06-01,)' WHERE name = 'lunch';
SELECT is(pg_temp.gates('2099-06-01 12:00'), NULL, 'a change window may stay open');
UPDATE promote.change_window SET during = NULL, rule = 'FREQ=DAILY', zone = 'UTC', starts_at = '2027-01-01',
    duration = '24 hours' WHERE name = 'lunch';
SELECT is(pg_temp.gates('2099-06-01 12:00'), NULL, '... day after day');
DELETE FROM promote.freeze_window;
DELETE FROM promote.change_window;

-- ---- deploying ----
SELECT is(promote.next_possible('ecomm-production-db'), now(), 'nothing stands in the way');
INSERT INTO promote.freeze_window (name, during, reason)
    VALUES ('now', tstzrange(now() - '1 hour'::interval, now() + '1 hour'::interval), 'because');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-db')$$, 'PM601',
    'freeze: freeze "now" is on: because \(until', 'a deployment while it is frozen');
SELECT is(promote.next_possible('ecomm-production-db'), now() + '1 hour'::interval, 'later');
UPDATE promote.freeze_window SET during = tstzrange(now() + '1 hour'::interval, now() + '2 hours'::interval);
SELECT is((promote.deploy_instance('ecomm-production-db')).status, 'PENDING', 'before it');
UPDATE promote.freeze_window SET during = tstzrange(now() - '1 hour'::interval, now() + '1 hour'::interval);
SELECT promote.abort_deployment('ecomm-production-db', (SELECT deployment FROM promote.instance
    WHERE name = 'ecomm-production-db'), 'no') \g /dev/null
DELETE FROM promote.freeze_window;

-- ---- budgets ----
INSERT INTO promote.change_window (name, environment, during, max_deployments_per_window)
    VALUES ('today', 'production', tstzrange(now() - '1 hour'::interval, now() + '1 day'::interval), 2);
SELECT is(pg_temp.gates(clock_timestamp()), NULL, 'what was aborted before it began counts for nothing');
SELECT is((promote.deploy_instance('ecomm-production-db')).status, 'PENDING', 'the first');
SELECT is((SELECT string_agg(locktype, ' ') FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'ExclusiveLock'
    AND locktype IN ('advisory', 'object') AND objid > 0), 'object',
    'its place is locked, by no lock that anybody can take');
SELECT is(pg_temp.gates(clock_timestamp()), NULL, 'one is left');
SELECT is((promote.deploy_instance('other-production-db')).status, 'PENDING', 'the second, of another project');
SELECT is(pg_temp.gates(clock_timestamp()) ~ '^budget: change window "today" has had its 2 since', true,
    'none is left');
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-staging-db'), NULL, 'where the window is not in scope');
SELECT is((SELECT string_agg(code, ',')
    FROM promote.blockers('ecomm-production-db', (SELECT deployment FROM promote.instance
    WHERE name = 'ecomm-production-db'), clock_timestamp()) WHERE code = 'budget'), NULL,
    'one that has its place keeps it');
SELECT promote.configure_instance('ecomm-production-cache', '{}') \g /dev/null
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-cache')$$, 'PM601',
    'budget: change window "today" has had its 2', 'the third');
UPDATE promote.change_window SET component = 'cache';
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-production-cache'), NULL, 'a budget is of its scope: components');
UPDATE promote.change_window SET component = NULL, selector = '{"tier": "gold"}';
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-production-cache'), NULL, 'attributes');
UPDATE promote.change_window SET selector = '{}', project = 'ecomm';
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-production-cache'), NULL, 'projects');
UPDATE promote.change_window SET project = NULL, environment = NULL, max_deployments_per_window = 1;
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-production-cache') IS NOT NULL, true, 'and of everything');
INSERT INTO promote.change_window (name, during)
    VALUES ('free', tstzrange(now() + '2 hours'::interval, now() + '3 hours'::interval));
SELECT is((SELECT until FROM promote.blockers('ecomm-production-cache', at => clock_timestamp()) WHERE code = 'budget'),
    now() + '2 hours'::interval, 'another window opens');
SELECT is(promote.next_possible('ecomm-production-cache', at => clock_timestamp()), now() + '2 hours'::interval,
    'and then it is possible');
UPDATE promote.change_window SET during = tstzrange(now() - '2 hours'::interval, now() + '3 hours'::interval)
    WHERE name = 'free';
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-production-cache'), NULL, 'one with a place left is enough');
DELETE FROM promote.change_window WHERE name = 'free';
UPDATE promote.change_window SET during = tstzrange(clock_timestamp(), NULL);
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-production-cache'), NULL,
    'what was queued before counts for nothing');
UPDATE promote.change_window SET during = NULL, rule = 'FREQ=DAILY', zone = 'UTC',
    starts_at = date_trunc('day', now() AT TIME ZONE 'UTC') - '3 days'::interval, duration = '1 day';
SELECT is((SELECT until FROM promote.blockers('ecomm-production-cache', at => clock_timestamp()) WHERE code = 'budget'),
    date_trunc('day', clock_timestamp()) + '1 day'::interval, 'so many a day: until the next day')
    WHERE date_trunc('day', now()) = date_trunc('day', clock_timestamp());
SELECT pg_temp.work('ecomm-production-db'), pg_temp.work('other-production-db') \g /dev/null
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-production-cache') IS NOT NULL, true, 'what has run keeps its place')
    WHERE date_trunc('day', now()) = date_trunc('day', clock_timestamp());
DELETE FROM promote.change_window;

-- ---- stopping the line ----
SELECT pg_temp.refuses($$SELECT promote.stop_line(NULL)$$, 'PM404', 'null or empty', 'without a reason');
SELECT pg_temp.refuses($$SELECT promote.stop_line(' ')$$, 'PM404', 'null or empty', 'for nothing');
SELECT pg_temp.refuses($$SELECT promote.stop_line('why', 'nobody')$$, 'PM002', 'no row', 'a project that is not there');
SELECT pg_temp.refuses($$SELECT promote.resume_line('nobody')$$, 'PM002', 'no row', '... to go on');
SELECT is(promote.resume_line(), NULL, 'nothing is stopped');
SELECT is(pg_temp.lines($$SELECT stop, project, reason, actor, lifted_at FROM promote.stop_line('fire', 'ecomm')$$),
    '(1,ecomm,fire,ada,)', 'a project is stopped');
SELECT is(pg_temp.lines($$SELECT stop, project, reason FROM promote.stop_line('flood', 'ecomm')$$), '(1,ecomm,fire)',
    'once');
SELECT is(pg_temp.gates() ~ '^stopped: project "ecomm" was stopped by ada: fire since [-0-9 :.+]+$', true,
    'and nothing of it is deployed');
SELECT is(pg_temp.gates(name => 'other-production-db'), NULL, 'others are');
SELECT is((SELECT liftable_by || ' ' || overridable FROM promote.blockers('ecomm-production-db')
    WHERE code = 'stopped'), 'promote.resume_line false', 'who can lift it');
SELECT is(promote.next_possible('ecomm-production-db'), NULL, 'nobody knows for how long');
SELECT pg_temp.refuses($$SELECT promote.deploy_instance('ecomm-production-cache')$$, 'PM601',
    'stopped: project "ecomm" was stopped', 'a deployment');
SELECT pg_temp.refuses($$SELECT promote.decommission_instance('ecomm-production-db')$$, 'PM601',
    'stopped: project "ecomm" was stopped', 'a decommission');
SELECT is(pg_temp.lines($$SELECT stop, project FROM promote.stop_line('war')$$), '(2,)', 'everything');
SELECT is(pg_temp.gates(name => 'other-production-db') ~ '^stopped: everything was stopped by ada: war', true,
    '... is');
SELECT is((SELECT count(*) FROM promote.blockers('ecomm-production-db') WHERE code = 'stopped'), 2::bigint,
    'each is a reason');
SELECT is(pg_temp.lines($$SELECT stop, lifted_by, message FROM promote.resume_line(message => 'peace')$$),
    '(2,ada,peace)', 'it goes on');
SELECT is(pg_temp.gates() ~ '^stopped: project "ecomm"', true, 'but for the project');
SELECT is(pg_temp.lines($$SELECT stop, lifted_at >= stopped_at FROM promote.resume_line('ecomm')$$), '(1,t)',
    'and that, too');
SELECT is(pg_temp.gates(), NULL, 'nothing is stopped any more');
SELECT is(promote.resume_line('ecomm'), NULL, 'once');
SELECT is(pg_temp.lines($$SELECT stop, reason FROM promote.stop_line('again', 'ecomm')$$), '(3,again)', 'and again');
SELECT is(pg_temp.lines($$SELECT project, subject, seq, event, data - 'database_role' FROM promote.audit_log
    WHERE event LIKE 'line.%' ORDER BY at, project$$),
E'(ecomm,"line ecomm",1,line.stopped,"{""stop"": 1, ""actor"": ""ada"", ""scope"": ""project"", ""reason"": '
    '""fire""}")\n(ecomm,"line ecomm",2,line.stopped,"{""stop"": 2, ""actor"": ""ada"", ""scope"": ""everything"", '
    '""reason"": ""war""}")\n(other,"line other",1,line.stopped,"{""stop"": 2, ""actor"": ""ada"", ""scope"": '
    '""everything"", ""reason"": ""war""}")\n(*,"line *",1,line.stopped,"{""stop"": 2, ""actor"": ""ada"", ""scope"": '
    '""everything"", ""reason"": ""war""}")\n(ecomm,"line ecomm",3,line.resumed,"{""stop"": 2, ""actor"": ""ada"", '
    '""scope"": ""everything"", ""reason"": ""peace""}")\n(other,"line other",2,line.resumed,"{""stop"": 2, ""actor"": '
    '""ada"", ""scope"": ""everything"", ""reason"": ""peace""}")\n(*,"line *",2,line.resumed,"{""stop"": 2, '
    '""actor"": ""ada"", ""scope"": ""everything"", ""reason"": ""peace""}")\n(ecomm,"line '
    'ecomm",4,line.resumed,"{""stop"": 1, ""actor"": ""ada"", ""scope"": ""project""}")\n(ecomm,"line '
    'ecomm",5,line.stopped,"{""stop"": 3, ""actor"": ""ada"", ""scope"": ""project"", ""reason"": ""again""}")',
    'all of it is in the chains of the projects');
SELECT is_empty('SELECT * FROM promote.verify_audit()', 'which are whole');
SELECT is_empty($$SELECT * FROM promote.verify_audit('line ecomm')$$, 'by themselves, too');
SELECT pg_temp.refuses($$UPDATE promote.line_stop SET reason = 'none'$$, 'PM301', 'who stopped',
    'a stop is not rewritten');
SELECT pg_temp.refuses($$DELETE FROM promote.line_stop$$, 'PM301', 'never deleted', 'nor deleted');
SELECT pg_temp.refuses($$TRUNCATE promote.line_stop$$, 'PM301', 'never truncated', 'nor truncated');
SELECT throws_ok($$INSERT INTO promote.line_stop (stop, project, reason) VALUES (9, 'ecomm', 'twice')$$, 'PM303', NULL,
    'nor stopped by hand');
SELECT throws_ok($$SELECT promote_internal.guard_line_stop()$$, '39P01', NULL, 'a trigger is not called');

-- ---- what is queued already ----
CREATE FUNCTION pg_temp.claimed(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    claim record;
    tag jsonb := jsonb_build_object('worked', name);
BEGIN
    UPDATE promote.instance AS i SET attributes = i.attributes || tag WHERE i.name = claimed.name;
    SELECT * INTO claim FROM promote.claim_deployment('test', selector => tag);
    RETURN claim.action;
END
$$;
-- Puts another one into the queue of an instance that runs nothing.
CREATE FUNCTION pg_temp.requeue(name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.abort_deployment(i.name, i.deployment, 'again') FROM promote.instance AS i
        WHERE i.name = requeue.name AND i.deployment > 0
        AND EXISTS (SELECT FROM promote.deployment d WHERE (d.project, d.environment, d.component, d.deployment)
            = (i.project, i.environment, i.component, i.deployment) AND d.finished_at IS NULL);
    RETURN (promote.deploy_instance(name)).status;
END
$$;
SELECT promote.resume_line('ecomm') \g /dev/null
SELECT promote.configure_instance('ecomm-prod-uswest-db', '{"size": "small", "tier": "x"}', plan => false) \g /dev/null
CREATE TEMP TABLE way (statement text, undone text);
INSERT INTO way VALUES
    ($$INSERT INTO promote.freeze_window (name, environment, during)
        VALUES ('f', 'prod-uswest', tstzrange(now() - '1 h'::interval, now() + '1 day'::interval))$$,
        'DELETE FROM promote.freeze_window'),
    ($$INSERT INTO promote.change_window (name, during)
        VALUES ('c', tstzrange(now() - '2 h'::interval, now() - '1 h'::interval))$$,
        'DELETE FROM promote.change_window'),
    ($$SELECT promote.stop_line('x', 'ecomm')$$, $$SELECT promote.resume_line('ecomm')$$);
CREATE FUNCTION pg_temp.held(statement text, undone text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT is(pg_temp.requeue('ecomm-prod-uswest-db'), 'PENDING', 'queued before: ' || statement);
    EXECUTE statement;
    RETURN NEXT is(pg_temp.claimed('ecomm-prod-uswest-db'), NULL, 'held back');
    RETURN NEXT cmp_ok((SELECT max(d.due_at) FROM promote.deployment d WHERE d.environment = 'prod-uswest'), '>',
        clock_timestamp(), 'for some time');
    EXECUTE undone;
    RETURN NEXT is(pg_temp.requeue('ecomm-prod-uswest-db'), 'PENDING', 'another one');
    RETURN NEXT is(pg_temp.claimed('ecomm-prod-uswest-db'), 'PROVISION', 'is not, afterwards');
    PERFORM promote.fail_deployment('ecomm-prod-uswest-db', i.deployment, 'x', 1) FROM promote.instance i
        WHERE i.name = 'ecomm-prod-uswest-db';
END
$$;
SELECT h FROM way, pg_temp.held(statement, undone) AS h;
SELECT is(pg_temp.requeue('ecomm-prod-uswest-db'), 'PENDING', 'one more');
INSERT INTO promote.freeze_window (name, environment, during)
    VALUES ('elsewhere', 'staging', tstzrange(now() - '1 h'::interval, now() + '1 day'::interval));
INSERT INTO promote.freeze_window (name, selector, during)
    VALUES ('others', '{"tier": "nobody"}', tstzrange(now() - '1 h'::interval, now() + '1 day'::interval));
INSERT INTO promote.change_window (name, during, max_deployments_per_window)
    VALUES ('full', tstzrange(now() - '2 h'::interval, now() + '1 h'::interval), 1);
SELECT is(pg_temp.claimed('ecomm-prod-uswest-db'), 'PROVISION', 'freezes of others, and budgets, hold nothing back');
DELETE FROM promote.change_window;
DELETE FROM promote.freeze_window;
INSERT INTO promote.freeze_window (name, during)
    VALUES ('f', tstzrange(now() - '1 h'::interval, now() + '1 day'::interval));
SELECT promote.plan_instance('ecomm-staging-db') \g /dev/null
SELECT is(pg_temp.claimed('ecomm-staging-db'), 'PLAN', 'a plan is never held back');
SELECT promote.complete_deployment('ecomm-staging-db', i.deployment, 1) FROM promote.instance i
    WHERE i.name = 'ecomm-staging-db' \g /dev/null
INSERT INTO promote.override_rule (project, environment, code, role)
    VALUES ('ecomm', 'staging', 'freeze', current_user);
SELECT promote.override_gate('ecomm-staging-db', (SELECT deployment FROM promote.instance
    WHERE name = 'ecomm-staging-db'), 'freeze', 'fire') \g /dev/null
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-staging-db'), NULL, 'a freeze that was overridden');
SELECT is((promote.deploy_instance('ecomm-staging-db', (SELECT deployment FROM promote.instance
    WHERE name = 'ecomm-staging-db'))).status, 'PENDING', 'does not block');
SELECT is(pg_temp.claimed('ecomm-staging-db'), 'PROVISION', 'nor hold back');
INSERT INTO promote.freeze_window (name, during)
    VALUES ('g', tstzrange(now() - '1 h'::interval, now() + '1 day'::interval));
SELECT is(pg_temp.gates(clock_timestamp(), 'ecomm-staging-db') ~ '^freeze: freeze "g" is on', true,
    'another one blocks again');
DELETE FROM promote.freeze_window;

-- ---- by hand ----
DELETE FROM promote.freeze_window;
DELETE FROM promote.change_window;
SELECT promote.resume_line(), promote.resume_line('ecomm') \g /dev/null
SELECT pg_temp.work('ecomm-production-db') \g /dev/null
DO $$ BEGIN PERFORM promote.configure_instance('ecomm-production-db', '{"replicas": 7}', plan => false); END $$;
SELECT (promote.deploy_instance('ecomm-production-db')).deployment AS held \gset
CREATE FUNCTION pg_temp.begin(deployment integer) RETURNS text LANGUAGE sql AS $$
    SELECT state FROM pg_temp.refusal(format('UPDATE promote.deployment SET status = ''RUNNING'', worker = ''me'', '
        'due_at = clock_timestamp() + ''1 h'' WHERE environment = ''production'' AND component = ''db'' AND deployment '
        '= %s', deployment))
$$;
SAVEPOINT hand;
INSERT INTO promote.freeze_window (name, during)
    VALUES ('now', tstzrange(now() - interval '1 h', now() + interval '1 h'));
SELECT pg_temp.begin(:held) AS state \gset
ROLLBACK TO hand;
SELECT is(:'state'::text, 'PM601', 'what a freeze holds back is not begun by an UPDATE');
SELECT promote.stop_line('fire') \g /dev/null
SELECT pg_temp.begin(:held) AS state \gset
ROLLBACK TO hand;
SELECT is(:'state'::text, 'PM601', '... nor when the line is stopped');
INSERT INTO promote.change_window (name, during)
    VALUES ('later', tstzrange(now() + interval '1 h', now() + interval '2 h'));
SELECT pg_temp.begin(:held) AS state \gset
ROLLBACK TO hand;
SELECT is(:'state'::text, 'PM601', '... nor outside of all windows');
SELECT pg_temp.begin(:held) AS state \gset
ROLLBACK TO hand;
SELECT is(:'state'::text, 'accepted', 'nothing holds it back');

-- ---- when windows are, once or again and again ----
INSERT INTO promote.freeze_window (name, during) VALUES ('once', '[2031-01-01, 2031-01-03)'), ('over',
    '[2021-01-01, 2021-01-03)');
INSERT INTO promote.freeze_window (name, rule, zone, starts_at, duration)
    VALUES ('nightly', 'FREQ=DAILY;COUNT=2', 'UTC', '2031-01-01 22:00', '1 hour');
SELECT is(pg_temp.lines($$SELECT f.name, w.opens_at AT TIME ZONE 'UTC', w.closes_at AT TIME ZONE 'UTC'
    FROM promote.freeze_window AS f
    CROSS JOIN promote.window_occurrences(f.rule, f.zone, f.starts_at, f.duration, f.exdates,
        not_before => '2030-01-01',
        during => f.during) AS w
    WHERE f.name IN ('once', 'over', 'nightly') ORDER BY 2, 1$$),
    E'(once,"2031-01-01 00:00:00","2031-01-03 00:00:00")\n(nightly,"2031-01-01 22:00:00","2031-01-01 23:00:00")\n'
    '(nightly,"2031-01-02 22:00:00","2031-01-02 23:00:00")', 'both kinds join');
SELECT is((SELECT count(*) FROM promote.window_occurrences(NULL, NULL, NULL, NULL, not_before => a::timestamptz,
    not_after => b::timestamptz,
    max_rows => m, during => '[2031-01-01, 2031-01-03)')), n, format('%s %s %s', a, b, m))
  FROM (VALUES ('2031-01-02', NULL, 1, 1::bigint), ('2031-01-03', NULL, 1, 0), ('2030-01-01', '2031-01-01', 1, 0),
      ('2030-01-01', '2031-01-02', 1, 1),
        ('2030-01-01', NULL, 0, 0)) AS v (a, b, m, n);
SELECT is(pg_temp.lines($$SELECT * FROM promote.window_occurrences(NULL, NULL, NULL, NULL, during => '(,)')$$),
    '(-infinity,infinity)', 'for ever');
SELECT is_empty($$SELECT * FROM promote.window_occurrences(NULL, NULL, NULL, NULL, during => 'empty')$$, 'never');
SELECT is((pg_temp.refusal($$SELECT * FROM promote.window_occurrences(NULL, 'UTC', NULL, NULL,
    during => '(,)')$$)).state, 'PM404', 'not both');
SELECT is((pg_temp.refusal($$SELECT * FROM promote.window_occurrences(NULL, NULL, NULL, NULL)$$)).state, 'PM404',
    'nor neither');

-- ---- what triggers of others change is not believed ----
CREATE FUNCTION pg_temp.take_away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.during := NULL; NEW.zone := NULL;
    RETURN NEW; END $$;
CREATE TRIGGER z_mine BEFORE INSERT ON promote.freeze_window FOR EACH ROW EXECUTE FUNCTION pg_temp.take_away();
CREATE TRIGGER z_mine BEFORE INSERT ON promote.change_window FOR EACH ROW EXECUTE FUNCTION pg_temp.take_away();
SELECT is((pg_temp.refusal(format('INSERT INTO promote.%s (name, %s', t, columns))).state, 'PM404',
    t || ' without a time: ' || columns)
  FROM unnest(ARRAY['freeze_window', 'change_window']) AS t,
       unnest(ARRAY[$$during) VALUES ('x', '[2026-01-01, 2026-02-01)')$$,
           $$zone, starts_at, duration) VALUES ('x', 'UTC', '2026-01-01 12:00', '1 h')$$]) AS v (columns);
DROP TRIGGER z_mine ON promote.freeze_window;
DROP TRIGGER z_mine ON promote.change_window;

SELECT * FROM finish();
ROLLBACK;
