#!/usr/bin/perl
#
# calendar.pl: makes recurring windows, and looks at each from its beginning and from the middle.
#
# usage: calendar.pl [seconds [seed]]
#
# Rules are put together at random, or are those of the directory calendar/ beside this file with some of their bytes
# changed.  The connection is taken from the usual PG* variables; the database must have the extension, and nothing else
# in its tables: a project is made there, and taken away at the end.  Prints one summary line.  A finding, with exit
# status 1, is
#
#   - an SQLSTATE other than class PM, also that of the statement timeout, or a refusal without DETAIL or HINT,
#   - occurrences that are out of order, or end before they begin,
#   - a jump into the middle that finds others than walking there does,
#   - a freeze that is on at another time, or from or until another, than its occurrences say,
#   - a freeze that is refused as never occurring or never ending, and does, or the other way round,
#   - a lost connection.
#
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(pick copy_rows);

use constant BATCH => 200;

my @zones = qw(UTC Europe/Berlin Europe/Dublin America/New_York America/Sao_Paulo Australia/Lord_Howe Pacific/Apia
	Africa/Casablanca
	Asia/Kathmandu Antarctica/Troll Asia/Gaza America/St_Johns Pacific/Kwajalein Asia/Tehran Africa/Monrovia
		Pacific/Chatham);
my @durations = ('1 second', '90 minutes', '8 hours', '23 hours', '24 hours', '25 hours', '1 day', '1 day 1 hour',
	'2 days', '6 days 23 hours',
	'7 days', '1 mon', '1 mon 5 days', '30 days', '100 days', '12 mons', '366 days');
my @days = qw(MO TU WE TH FR SA SU);
my @tokens = ((map { "$_=" } qw(FREQ INTERVAL COUNT UNTIL WKST BYDAY BYMONTH BYMONTHDAY BYYEARDAY BYWEEKNO BYSETPOS
	BYHOUR BYMINUTE BYSECOND RSCALE SKIP)),
	qw(DAILY WEEKLY MONTHLY YEARLY HOURLY SECONDLY), @days, ';', ',', '-', '+', '0', '1', '2', '31', '53', '366', '367',
		'65537', '4294967297', '1L', '20270101',
	'20270329T013000', '20270329T013000Z', ' ', "\x7f");

my $fuzz = Fuzz->new(name => 'calendar', kept => 'a rule, a zone, a start, a duration and a number on each line',
	shown => 10);
my @corpus = $fuzz->corpus('calendar');
my ($rules, $accepted) = (0, 0);
$fuzz->tell(prepare());
$fuzz->run(\&batch, \&question, \&answered);
$fuzz->tell("DELETE FROM promote.freeze_window;\n");
$fuzz->finish("$rules rules, $accepted accepted,");

# The lines of a batch.
sub batch {
	$rules += BATCH;
	return [map { join "\t", rand() < 0.7 ? rule() : mutate(), pick(@zones), start(), pick(@durations),
		rand() } 1 .. BATCH];
}

# What is asked of them.
sub question {
	my ($rows) = @_;
	return "TRUNCATE batch;\n" . copy_rows('batch', @$rows) . <<'SQL';
WITH tried AS MATERIALIZED (SELECT b.*, t.* FROM batch AS b, pg_temp.try(rule, zone, starts_at, duration, random) AS t)
SELECT 'accepted ' || count(*) FILTER (WHERE accepted) FROM tried
UNION ALL SELECT finding || ': ' || concat_ws(' | ', rule, zone, starts_at, duration, random) FROM tried
	WHERE finding IS NOT NULL;
SQL
}

# A count, or a finding.
sub answered {
	my ($line) = @_;
	return $line if $line !~ /^accepted (\d+)$/;
	$accepted += $1;
	return;
}

# A local time; those about the changes of clocks, and about new year, come often.
sub start {
	my $date = rand() < 0.3 ? pick('2026-03-29', '2026-03-08', '2026-10-25', '2026-11-01', '2011-12-29', '2018-11-04',
		'1993-08-20', '2025-12-31', '2024-02-29')
	  : sprintf '%04d-%02d-%02d', 1972 + rand 80, 1 + rand 12, 1 + rand 28;
	return sprintf '%s %02d:%02d:%02d', $date, rand() < 0.5 ? rand 4 : rand 24, pick(0, 15, 30, 59), pick(0, 0, 0, 59);
}

# So many numbers up to a limit, some of them counted from the end, each with what is behind it.
sub numbers {
	my ($limit, $sign, @behind) = @_;
	return join ',', map { (rand() < $sign ? '-' : '') . (1 + int rand $limit)
		. (@behind ? pick(@behind) : '') } 0 .. rand 4;
}

# A rule that RFC 5545 allows, mostly.
sub rule {
	my $frequency = pick(qw(DAILY WEEKLY MONTHLY YEARLY));
	my @parts = ("FREQ=$frequency");
	push @parts, 'INTERVAL=' . pick(1, 2, 3, 4, 5, 7, 10, 13, 48) if rand() < 0.4;
	push @parts, 'WKST=' . pick(@days) if rand() < 0.3;
	push @parts, 'BYMONTH=' . numbers(12, 0) if rand() < 0.3;
	push @parts, 'BYMONTHDAY=' . numbers(31, 0.3) if $frequency ne 'WEEKLY' && rand() < 0.3;
	push @parts, 'BYYEARDAY=' . numbers(366, 0.3) if $frequency eq 'YEARLY' && rand() < 0.2;
	push @parts, 'BYWEEKNO=' . numbers(53, 0.3) if $frequency eq 'YEARLY' && rand() < 0.2;
	push @parts, 'BYDAY=' . ($frequency =~ /^[MY]/ && rand() < 0.4 ? numbers(5, 0.4, @days) : join ',',
		map { pick(@days) } 0 .. rand 4) if rand() < 0.5;
	push @parts, 'BYHOUR=' . join(',', map { int rand 24 } 0 .. rand 3) if rand() < 0.3;
	push @parts, 'BYMINUTE=' . join(',', map { int rand 60 } 0 .. rand 3) if rand() < 0.2;
	push @parts, 'BYSETPOS=' . numbers(4, 0.5) if @parts > 2 && rand() < 0.3;
	push @parts, pick('COUNT=' . (1 + int rand 60), 'UNTIL=' . (1980 + int rand 80) . '0329',
		'UNTIL=' . (1980 + int rand 80) . '1025T003000Z') if rand() < 0.2;
	return join ';', @parts;
}

# A rule of the corpus, changed in one to four places.
sub mutate {
	my $rule = pick(@corpus);
	for (0 .. rand 4) {
		my $at = int rand(1 + length $rule);
		substr($rule, $at, rand() < 0.5 ? 0 : rand 5, rand() < 0.8 ? pick(@tokens) : '') if $at <= length $rule;
	}
	return $rule;
}

# The table of a batch, something to freeze, and the function that tries one window.
sub prepare {
	return <<'SQL';
SET client_min_messages = warning;
SET statement_timeout = '120s';
CREATE TEMP TABLE batch (rule text, zone text, starts_at timestamp, duration interval, random float8);
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM promote.project WHERE project = 'fuzz') THEN
		INSERT INTO promote.bundle VALUES ('fuzz');
		INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('fuzz', '1.0.0', '{}');
		INSERT INTO promote.project VALUES ('fuzz');
		INSERT INTO promote.environment (project, environment, require_plan) VALUES ('fuzz', 'e', false);
		INSERT INTO promote.component (project, component, bundle) VALUES ('fuzz', 'c', 'fuzz');
		INSERT INTO promote.instance (project, environment, component) VALUES ('fuzz', 'e', 'c');
		PERFORM promote.configure_instance('fuzz-e-c', '{}', plan => false);
	END IF;
END $$;

-- What is wrong with what a freeze says of itself at a time, given the occurrences, all of them or the first.
CREATE FUNCTION pg_temp.misjudged(begins timestamptz[], ends timestamptz[], whole boolean, at timestamptz) RETURNS text
	LANGUAGE plpgsql AS
$$
DECLARE
	began timestamptz;
	ended timestamptz;
	is_on record;
BEGIN
	SELECT since, until INTO is_on FROM promote.blockers('fuzz-e-c', at => at) WHERE code = 'freeze';
	FOR i IN 1 .. cardinality(begins) LOOP
		IF begins[i] <= at AND ends[i] > at THEN
			began := COALESCE(began, begins[i]);
			ended := GREATEST(ended, ends[i]);
		ELSIF begins[i] > at THEN
			EXIT WHEN ended IS NULL OR begins[i] > ended;
			ended := GREATEST(ended, ends[i]);
		ELSIF ended IS NOT NULL THEN
			ended := GREATEST(ended, ends[i]);
		END IF;
	END LOOP;
	IF NOT whole AND ended >= begins[cardinality(begins)] THEN
		RETURN NULL;
	END IF;
	IF is_on.since IS DISTINCT FROM began OR is_on.until IS DISTINCT FROM ended THEN
		RETURN format('freeze(%s) is %s to %s, and should be %s to %s', at, is_on.since, is_on.until, began, ended);
	END IF;
	RETURN NULL;
END
$$;

CREATE FUNCTION pg_temp.try(rule text, zone text, starts_at timestamp, duration interval, random float8,
	OUT accepted boolean, OUT finding text)
LANGUAGE plpgsql AS
$$
DECLARE
	most CONSTANT integer := 400;
	begins timestamptz[];
	ends timestamptz[];
	jumped timestamptz[];
	walked timestamptz[];
	at timestamptz;
	state text;
	message text;
	facts text;
	advice text;
BEGIN
	accepted := false;
	BEGIN
		SELECT array_agg(o.opens_at ORDER BY o.n), array_agg(o.closes_at ORDER BY o.n) INTO begins, ends
		  FROM promote.window_occurrences(rule, zone, starts_at, duration, not_before => '1960-01-01',
		  	max_rows => most) WITH ORDINALITY AS o (opens_at, closes_at, n);
		accepted := true;
		DELETE FROM promote.freeze_window;
		state := 'ok';
		INSERT INTO promote.freeze_window (name, rule, zone, starts_at, duration)
			VALUES ('f', rule, zone, starts_at, duration);
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
			facts = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
		IF state <> 'PM602' OR facts = '' OR advice = '' THEN
			finding := format('refusal(%s): %s', state, message);
			RETURN;
		END IF;
	END;
	IF NOT accepted THEN
		RETURN;
	ELSIF (begins IS NULL) <> (state <> 'ok' AND message ~ 'never occurs')
		OR (state <> 'ok' AND message !~ 'never occurs|never ends') THEN
		finding := format('check(%s): %s', state, message);
		RETURN;
	ELSIF begins IS NULL THEN
		RETURN;
	END IF;
	IF EXISTS (SELECT FROM generate_subscripts(begins, 1) AS i WHERE ends[i] <= begins[i]
		OR begins[i] < begins[i - 1]) THEN
		finding := 'order() is wrong';
		RETURN;
	END IF;
	IF state <> 'ok' AND EXISTS (SELECT FROM generate_subscripts(begins, 1) AS i
		WHERE begins[i] > (SELECT max(e) FROM unnest(ends[1 : i - 1]) AS e)) THEN
		finding := 'endless() though there is a gap';
		RETURN;
	END IF;
	FOR i IN 1 .. 4 LOOP
		-- those at the end of a list that is not whole have others behind them
		at := begins[1 + floor(mod((random * 7919 * i)::numeric, 1) * (CASE
			WHEN cardinality(begins) < most THEN cardinality(begins) ELSE most / 2 END))::integer]
			+ (ARRAY['0', '-1 us', '1 hour', '-7 hours', '3 days', '-20 days', '5 months',
				'1 second'])[1 + floor(random * 97 * i)::integer % 8]::interval;
		SELECT array_agg(o.opens_at ORDER BY o.n) INTO jumped
		  FROM promote.window_occurrences(rule, zone, starts_at, duration, not_before => at,
		  	max_rows => 5) WITH ORDINALITY AS o (opens_at, closes_at, n);
		SELECT array_agg(w.b ORDER BY w.n) INTO walked
		  FROM (SELECT u.* FROM unnest(begins, ends) WITH ORDINALITY AS u (b, e, n) WHERE u.e > at
		  	ORDER BY u.n LIMIT 5) AS w;
		IF jumped IS DISTINCT FROM walked AND (cardinality(begins) < most OR cardinality(walked) = 5) THEN
			finding := format('jump(%s) is %s, and should be %s', at, jumped, walked);
			RETURN;
		END IF;
		IF state = 'ok' AND (cardinality(begins) < most OR at + '366 days'::interval < begins[most]) THEN
			finding := pg_temp.misjudged(begins, ends, cardinality(begins) < most, at);
			EXIT WHEN finding IS NOT NULL;
		END IF;
	END LOOP;
END
$$;
SQL
}
