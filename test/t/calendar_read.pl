# Calendars as another library reads them: each is what RFC 5545 asks for, says what promote.calendar says, event by
# event, and whatever somebody wrote is text in it.

use strict;
use warnings;
use JSON::PP;
use Test::More;
use ClientTest;
use PromoteTest;

my ($python) = grep { defined && ClientTest::succeeds($_, '-c', 'import icalendar') } '/usr/bin/python3',
	ClientTest::program('python3');
plan skip_all => 'no Python with the module icalendar (Debian: python3-icalendar)' if !defined $python;

my $node = PromoteTest->shop('calendar', <<'SQL');
INSERT INTO promote.environment (project, environment, require_proven_release) VALUES ('shop', 'staging', false),
	('shop', 'production', false);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'db'),
	('shop', 'production', 'db');
SELECT promote.configure_instance('shop-staging-db', '{}');
INSERT INTO promote.project (project) VALUES ('bare');
SQL

# Has the library read the calendars that a call of calendar_text returns: a hash for each.
sub read_calendars {
	my @files;
	for my $text (@_) {
		push @files, $node->dir . '/' . @files . '.ics';
		open my $out, '>', $files[-1] or die "cannot write $files[-1]: $!\n";
		print $out $text;
		close $out or die "cannot write $files[-1]: $!\n";
	}
	my ($rc, $out, $err) = $node->run('timeout', 900, $python, 'test/clients/read_calendar.py', @files);
	is($rc, 0, 'the library reads ' . @files . ' calendars') or diag $err;
	return map { decode_json($_) } split /\n/, $out;
}

sub calendar { my ($arguments) = @_; return $node->query('calendar', "SELECT promote.calendar_text($arguments)") }

# ---- what the reader is worth ----

my $event = join "\r\n", 'BEGIN:VEVENT', 'UID:1', 'DTSTAMP:20310101T000000Z', 'DTSTART:20310101T000000Z',
	'DTEND:20310101T000000Z', 'SUMMARY:x', 'END:VEVENT';
my @odd = read_calendars("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "BEGIN:VCALENDAR\r\n$event\r\nEND:VCALENDAR\r\n",
	"BEGIN:VCALENDAR\r\nX-LONG:" . ('x' x 80) . "\r\nEND:VCALENDAR\r\n", "BEGIN:VEVENT\r\n");
is(scalar(grep { @{ $_->{problems} } } @odd), 4, 'the reader finds what is wrong');
like("@{ $odd[1]{problems} }", qr/an event is not one: x/, '... such as an event that takes no time');
like("@{ $odd[2]{problems} }", qr/too long/, '... or a line that is too long');

# ---- windows, requests and whatever is written of them ----

# Of a backslash before an n the library makes a new line, as of \n: that it is written right is held elsewhere.
my $hostile = q{E'END:VEVENT\r\nBEGIN:VALARM\r\n;,:\\\\"\\\\x \t' || U&'\202E\0007\FEFF'
	|| 'https://x.example/?a=b' || };
$node->query('calendar', <<"SQL");
DO \$\$
BEGIN
	FOR n IN 1 .. 60 LOOP
		INSERT INTO promote.freeze_window (name, project, during, reason) VALUES (
			-- each length, so that lines are folded everywhere
			repeat(chr(ascii('ü') + n), n) || ' ' || n, 'shop',
			tstzrange('2031-03-01'::timestamptz + n * interval '1 hour',
				'2031-03-02'::timestamptz + n * interval '1 hour'),
			$hostile repeat('日本', n));
	END LOOP;
END
\$\$;
INSERT INTO promote.freeze_window (name, project, environment, rule, zone, starts_at, duration, exdates)
	VALUES ('weekend', 'shop', 'production', 'FREQ=WEEKLY;BYDAY=FR', 'Europe/Berlin', '2031-01-03 16:00',
		'2 days 16 hours', '{2031-03-14 16:00}');
INSERT INTO promote.change_window (name, environment, rule, zone, starts_at, duration, max_deployments_per_window)
	VALUES ('nights', 'production', 'FREQ=DAILY', 'America/New_York', '2031-01-01 22:00', '6 hours', 3);
SELECT promote.open_request('shop', 'staging', 'production', ticket => 'OPS-7', message => 'the sale',
	execution_window => '[2031-03-20 08:00,2031-03-20 12:00)');
SELECT promote.stop_line('replication is broken', 'shop');
SQL
my @spans = (q{'shop', NULL, '2031-02-20', '2031-04-10'}, q{'shop', 'production', '2031-03-29', '2031-04-02'},
	q{'bare', NULL, '2020-01-01', '2020-01-02'});
my @read = read_calendars(map { calendar($_) } @spans);
is_deeply([ map { $_->{problems} } @read ], [ [], [], [] ], 'nothing is wrong with them');
is(join(', ', map { $_->{name} } @read), 'promote shop, promote shop-production, promote bare', 'they have names');
is(join(', ', map { $_->{method} } @read), 'PUBLISH, PUBLISH, PUBLISH', 'they are published');

for my $i (0 .. $#spans) {
	my ($since, $until) = $spans[$i] =~ /('[^']+'), ('[^']+')$/;
	my $rows = decode_json($node->query('calendar', <<"SQL"));
SELECT coalesce(jsonb_agg(jsonb_build_array(
	       to_char(c.begins AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
	       to_char(CASE c.ends WHEN 'infinity' THEN $until\::timestamptz ELSE c.ends END AT TIME ZONE 'UTC',
	               'YYYY-MM-DD HH24:MI:SS'),
	       c.title) ORDER BY n), '[]')
  FROM promote.calendar($spans[$i]) WITH ORDINALITY AS c (begins, ends, kind, name, project, environment, component,
       selector, title, reason, actor, facts, n)
SQL
	is_deeply([ map { [ @$_{qw(dtstart dtend summary)} ] } @{ $read[$i]{events} } ], $rows,
		"the events are the rows: $spans[$i], " . @$rows);
	my %uids = map { $_->{uid} => 1 } @{ $read[$i]{events} };
	is(scalar keys %uids, scalar @$rows, '... each with a UID of its own');
}
my %summary = map { $_->{uid} => "$_->{summary} $_->{dtstart}" } @{ $read[0]{events} };
my @both = grep { $summary{ $_->{uid} } } @{ $read[1]{events} };
is(scalar(grep { $summary{ $_->{uid} } ne "$_->{summary} $_->{dtstart}" } @both), 0,
	'an event of two calendars has the same UID in both');
cmp_ok(scalar @both, '>', 3, '... as many have: ' . @both);

my ($first) = grep { $_->{summary} =~ / 60$/ } @{ $read[0]{events} };
is($first->{description}, q{END:VEVENT  BEGIN:VALARM  ;,:\"\x  [U+202E][U+0007][U+FEFF]https://x.example/?a=b}
	. ("\x{65e5}\x{672c}" x 60) . "\nby postgres", 'whatever somebody wrote is what one reads');
my ($request) = grep { $_->{categories} eq 'Request' } @{ $read[0]{events} };
is(join("\n", @$request{qw(summary location status transp description)}), join("\n", 'Request 1 to production',
	'shop-production', 'TENTATIVE', 'OPAQUE', 'the sale',
	'by postgres, request: 1, source environment: staging, status: OPEN, ticket: OPS-7'),
	'a request, with what is known');
is(join(' ', sort keys %{ { map { $_->{categories} => 1 } @{ $read[0]{events} } } }),
	'Change window Freeze Request Stop', 'each kind has its category');

# ---- other encodings ----

$node->query('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$node->query('latin', q{CREATE EXTENSION promote});
$node->query('latin', q{SET client_encoding = 'UTF8'; INSERT INTO promote.project (project) VALUES ('shop');
	INSERT INTO promote.freeze_window (name, during) VALUES (repeat('ü', 90), '[2031-03-01,2031-03-02)')});
my ($latin) = read_calendars($node->query('latin', q{SET client_encoding = 'UTF8';
	SELECT promote.calendar_text('shop', NULL, '2031-03-01', '2031-03-02')}));
is_deeply($latin->{problems}, [], 'a database that is not in UTF-8');
is($latin->{events}[0]{summary}, 'Freeze ' . ("\x{fc}" x 90), '... has the same characters');

done_testing;
