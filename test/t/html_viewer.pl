# examples/viewer/viewer shows pages and nothing else: by the rights of its login, or of the role that a trusted proxy
# names when it was told to believe that; it writes nothing, whatever is asked, and says nothing of what went wrong.

use strict;
use warnings;
use Cwd qw(abs_path);
use Digest::SHA qw(sha256_base64);
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);
use PromoteTest;

plan skip_all => 'there is no python3' if system('python3 -c "import http.server" 2>/dev/null') != 0;

my $program = abs_path('examples/viewer/viewer');
my $node = PromoteTest->shop('pages', <<'SQL');
INSERT INTO promote.project VALUES ('books');
INSERT INTO promote.environment (project, environment, require_proven_release)
	VALUES ('shop', 'staging', false), ('shop', 'production', false), ('books', 'staging', false);
INSERT INTO promote.component (project, component, bundle)
	VALUES ('shop', 'db', 'postgres'), ('books', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component)
	VALUES ('shop', 'staging', 'db'), ('shop', 'production', 'db'), ('books', 'staging', 'db');
SET promote.actor = '<script>alert(1)</script>';
SELECT promote.configure_instance('shop-staging-db', '{"size": 1}', message => 'a start');
RESET promote.actor;
SELECT promote.open_request('shop', 'staging', 'production');
CREATE ROLE guest LOGIN;
CREATE ROLE viewer LOGIN NOINHERIT;
CREATE ROLE ann;
CREATE ROLE bob;
CREATE ROLE "Müller ""x""";
CREATE ROLE carol;
CREATE ROLE nobody_at_all;
CREATE ROLE llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllong;
CREATE ROLE host LOGIN NOINHERIT;
GRANT ann, bob, "Müller ""x""", nobody_at_all, llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllong
	TO viewer;
GRANT ann TO host;
SELECT promote.grant_action('guest', 'view', 'shop'), promote.grant_action('host', 'view', 'shop');
SELECT promote.grant_action('ann', action) FROM unnest('{view,audit}'::text[]) AS action;
SELECT promote.grant_action('bob', 'view', 'books');
SELECT promote.grant_action('Müller "x"', 'view', 'shop');
SELECT promote.grant_action('carol', 'view', 'shop');
SELECT promote.grant_action('llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllong', 'view', 'shop');
SQL
my %has = map { $_ => 1 } split /\n/, $node->query('pages',
	q{SELECT proname FROM pg_proc WHERE pronamespace = 'promote'::regnamespace});

# ---- talking to it ----

@ENV{qw(PGHOST PGPORT)} = ($node->dir, 5432);
my ($psql) = $node->psql_command('pages');
$ENV{PATH} = ($psql =~ s{/[^/]*$}{}r) . ":$ENV{PATH}";
my %pid;

END { local $?; kill 'TERM', keys %pid; waitpid $_, 0 for keys %pid }

# Starts a viewer of a database as a login, and returns its port.
sub viewer {
	my ($database, $user, @options) = @_;
	local @ENV{qw(PGDATABASE PGUSER)} = ($database, $user);
	my $pid = open(my $out, '-|') // die "cannot fork: $!\n";
	if (!$pid) {
		open STDERR, '>>', $node->dir . '/viewer.log';
		exec $program, '-l', '127.0.0.1:0', @options or POSIX::_exit(127);
	}
	my ($port) = (readline($out) // '') =~ /:(\d+)\/$/ or die "no viewer\n" . log_of();
	$pid{$pid} = $out;
	return $port;
}

sub log_of { return PromoteTest::slurp($node->dir . '/viewer.log') }

# Sends bytes, and returns all that comes until the connection is closed.
sub raw {
	my ($port, $bytes) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 300) or return '';
	local $SIG{PIPE} = 'IGNORE';
	print {$socket} $bytes;
	local $/;
	return readline($socket) // '';
}

# An answer to one request: status, the head's fields by their names in lower case, body.
sub ask {
	my ($port, $path, %how) = @_;
	my %head = (Host => 'localhost', %{ $how{head} // {} });
	my $request = join '', ($how{method} // 'GET') . " $path HTTP/1.1\r\n", map {
		my $name = $_;
		map { "$name: $_\r\n" } ref $head{$name} ? @{ $head{$name} } : $head{$name}
	} grep { defined $head{$_} } sort keys %head;
	my ($top, $body) = split /\r\n\r\n/, raw($port, "$request\r\n"), 2;
	my ($first, @fields) = split /\r\n/, $top // '';
	my ($status) = ($first // '') =~ m{^HTTP/1\.0 (\d+) };
	return { status => $status // 0, body => $body // '', fields => scalar @fields,
		head => { map { /^([^:]+): (.*)$/ ? (lc $1 => $2) : () } @fields } };
}

# Is an answer one of a status that says its words and nothing else?
my %words = (400 => 'understood', 403 => 'may not', 404 => 'no such page', 405 => 'nothing is changed',
	421 => 'not the name', 500 => 'did not work', 503 => 'does not answer', 504 => 'too long');
my $plain = qr/[\w ,:.']*/;
sub refused {
	my ($answer, $status, $what) = @_;
	is($answer->{status}, $status, $what) or diag(substr($answer->{body}, 0, 300), log_of());
	like($answer->{body}, qr/\A$plain$words{$status}$plain\n\z/, '... and no word more');
	is($answer->{head}{'content-type'}, 'text/plain; charset=utf-8', '... as plain text');
	headed($answer, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	return;
}

# Has an answer all that protects whoever looks at it?
sub headed {
	my ($answer, $policy) = @_;
	is_deeply({ map { $_ => $answer->{head}{$_} } qw(x-content-type-options referrer-policy cache-control
			content-security-policy) },
		{ 'x-content-type-options' => 'nosniff', 'referrer-policy' => 'no-referrer', 'cache-control' => 'no-store',
			'content-security-policy' => $policy }, '... with what protects whoever looks at it');
	my @known = qw(server date content-type content-length content-security-policy x-content-type-options
		referrer-policy cache-control cross-origin-resource-policy cross-origin-opener-policy allow retry-after);
	is(join(' ', grep { my $name = $_; !grep { $_ eq $name } @known } keys %{ $answer->{head} }), '',
		'... and no other field');
	is($answer->{fields}, scalar(keys %{ $answer->{head} }), '... each once');
	return;
}

# ---- pages, by the rights of the login ----

my $guest = viewer('pages', 'guest');
my $index = ask($guest, '/');
is($index->{status}, 200, 'there is a first page');
my ($style) = $index->{body} =~ m{<style>(.*?)</style>}s;
headed($index, "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" . sha256_base64($style)
	. "='; frame-ancestors 'none'");
like($index->{body}, qr{<a href="review/shop-staging-db/1">shop-staging-db, plan 1</a> pending}, '... with what waits');
like($index->{body}, qr{<a href="review/shop/1">shop, request 1</a> open}, '... with requests');
like($index->{body}, qr{&lt;script&gt;alert\(1\)&lt;/script&gt;}, '... what somebody wrote is text');
unlike($index->{body}, qr/<script|books/, '... nothing runs, and nobody sees what they may not');

my %page = ('/pipeline/shop' => 'Pipeline of', '/review/shop-staging-db/1' => 'Plan',
	'/review/shop-staging-db' => 'Plan', '/review/shop/1' => 'Request', '/review/shop' => 'Request');
@page{'/history/shop', '/history/shop?since=2026-01-01&until=2026-02-01'} = ('History') x 2 if $has{history_html};
for my $path (sort keys %page) {
	my $answer = ask($guest, $path);
	is($answer->{status}, 200, "$path is shown") or diag(log_of());
	like($answer->{body}, qr{<h1>.*$page{$path}.*</h1>}, '... as what it is');
	my ($policy) = $answer->{body} =~ /Content-Security-Policy" content="([^"]*)"/;
	like($policy, qr/default-src 'none'/, '... with a policy of its own');
	headed($answer, "$policy; frame-ancestors 'none'");
	is($answer->{head}{'content-type'}, 'text/html; charset=utf-8', '... as HTML');
	like($answer->{body}, qr{</html>\n\z}, '... whole');
	my $head = ask($guest, $path, method => 'HEAD');
	is_deeply([ @$head{qw(status body)}, $head->{head}{'content-length'} ],
		[ 200, '', $answer->{head}{'content-length'} ], '... and its head alone, on request');
}
SKIP: {
	skip 'there is no calendar_text', 3 if !$has{calendar_text};
	my $calendar = ask($guest, '/calendar/shop.ics?environment=production');
	is($calendar->{status}, 200, 'a calendar');
	is($calendar->{head}{'content-type'}, 'text/calendar; charset=utf-8', '... as that');
	like($calendar->{body}, qr/\ABEGIN:VCALENDAR\r?\n.*END:VCALENDAR\s*\z/s, '... whole');
}
refused(ask($guest, '/audit/shop-staging-db'), 403, 'what it has no grant for');
refused(ask($guest, '/pipeline/books'), 403, 'what it may not see');
refused(ask($guest, '/pipeline/nothing'), 403, 'what is not there, to who sees not everything');
refused(ask($guest, '/review/shop/99'), 404, 'a request that is not there');
refused(ask($guest, '/review/shop-staging-db/99'), 404, 'a deployment that is not there');
refused(ask($guest, '/review/a-b-c-d/1'), 403, 'an instance that is not there');
for my $name (qw(history_html calendar_text)) {
	my $path = $name =~ /history/ ? '/history/shop' : '/calendar/shop.ics';
	refused(ask($guest, $path), 404, "$path, before it can be made") if !$has{$name};
}

# What nobody has told it to believe is not believed.
like(ask($guest, '/pipeline/shop', head => { $_ => 'ann' })->{body}, qr/As.*guest.*sees it/s, "$_ is ignored")
	for 'Remote-User', 'X-Remote-User', 'X-Forwarded-User', 'Authorization';

# ---- what is asked otherwise ----

for my $method (qw(POST PUT DELETE PATCH OPTIONS TRACE CONNECT FOO get)) {
	my $answer = ask($guest, '/pipeline/shop', method => $method);
	refused($answer, 405, "$method is nothing");
	is($answer->{head}{allow}, 'GET, HEAD', '... and what is, is said');
}
is(ask($guest, '/', head => { Host => 'evil.example' })->{status}, 421, 'another name');
is(ask($guest, '/', head => { Host => undef })->{status}, 421, 'no name');
is(ask($guest, '/', head => { Host => $_ })->{status}, 421, "a name that is none: $_") for '[', 'localhost.', 'a:b:c';
is(ask($guest, '/', head => { Host => "127.0.0.1:$guest" })->{status}, 200, 'its address is its name');

my $count = q{SELECT count(*) FROM promote.audit_log};
my $before = $node->query('pages', $count);
my $there = $node->dir . '/there';
my @hostile = ('/..', '/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/pipeline', '/pipeline/', '/pipeline/shop/',
	'/pipeline//shop', '/PIPELINE/shop', '/pipeline/shop/1', '/review/shop/-1', '/review/shop/1e3',
	'/review/shop/9999999999', '/review/shop/1;2', '/pipeline/shop%00', '/pipeline/%0d%0aX-Evil:%201', '/pipeline/%ff',
	"/pipeline/\xff",
	'/pipeline/' . 'a' x 5000, '/pipeline/shop?x=1', '/pipeline/shop?role=ann', '/history/shop?since=%00',
	'/history/shop?since=\'', '/history/shop?since=now()', '/history/shop?since=a&since=b', '/favicon.ico', '*', 'x',
	map({ my $sql = $_ =~ s/([^\w.])/sprintf '%%%02X', ord $1/ger; map { "$_/$sql" } '/pipeline', '/review', '/audit' }
		q{x'; DELETE FROM promote.project; --}, q{x\'; DELETE FROM promote.project; --}, q{' || pg_sleep(60) || '},
		q{:'project'}, q{:"role"}, qq{\\! touch $there}, qq{`touch $there`}, qq{\$(touch $there)},
		"x'\n\\! touch $there",
		q{$$;DELETE FROM promote.project;$$}, q{"}, '\\', '<script>alert(1)</script>', '%', '%s', '../../x'));
for my $path (@hostile) {
	my $answer = ask($guest, $path);
	my $shown = substr $path, 0, 70;
	$shown =~ s/[^ -~]/?/g;
	like($answer->{status}, qr/^4(?:00|03|04)$/, "nothing to be seen: $shown");
	like($answer->{body}, qr/\A[\w ,:.']+\n\z/, '... and no word of it in the answer');
	is($answer->{fields}, 10, '... nor in its head');
}
ok(!-e $there, 'nothing was run');
is($node->query('pages', 'SELECT count(*) FROM promote.project'), 2, '... and nothing is gone');
unlike(log_of(), qr/42601|500/, '... nothing was taken for SQL');
is_deeply([ grep { !/^viewer: 127\.0\.0\.1 / } split /\n/, log_of() ], [], '... the log has a line for each request');
my $not_understood = qr{^HTTP/1\.0 400 .*Content-Security-Policy}s;
like(raw($guest, "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"), $not_understood, 'what is no HTTP');
like(raw($guest, 'GET /' . 'a' x 70_000 . " HTTP/1.1\r\n\r\n"), $not_understood, 'what is too long');
like(raw($guest, "GET / HTTP/1.1\r\n" . "X: 1\r\n" x 200 . "\r\n"), $not_understood, 'what has too many fields');
my $lasting = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
my @answers = raw($guest, $lasting x 2) =~ m{(HTTP/1\.0 200)}g;
is(scalar @answers, 1, 'one answer to a connection, however much is asked');

# ---- a role for each person ----

my @told = ('--role-header', 'Remote-User', '--trusted-proxy', '127.0.0.1', '-n', 'promote.example.com');
my $proxied = viewer('pages', 'viewer', @told);
sub as { my ($role, $path) = @_; return ask($proxied, $path, head => { 'Remote-User' => $role }) }
like(as('ann', '/pipeline/shop')->{body}, qr/As.*ann.*sees it/s, 'a role that a trusted proxy names');
like(as('ann', '/audit/shop-staging-db')->{body}, qr{<h1>.*Audit of.*</h1>}, '... sees what it may');
like(as('ann', '/')->{body}, qr/books.*shop/s, '... all of it');
like(as('bob', '/')->{body}, qr/books/, 'another one');
unlike(as('bob', '/')->{body}, qr/shop/, '... sees less');
refused(as('bob', '/pipeline/shop'), 403, '... and not what the first may');
refused(as('ann', '/pipeline/nothing'), 404, 'what is not there, to who sees everything');
is(as('Müller "x"', '/pipeline/shop')->{status}, 200, 'a name that has to be quoted');
is(ask($proxied, '/', head => { 'Remote-User' => 'ann', Host => 'promote.example.com' })->{status}, 200,
	'the name that it was given');
refused(as($_, '/'), 403, 'not a role that it may take: ' . substr $_, 0, 40) for qw(none postgres carol nobody viewer
	nobody_at_all), '', ' ', 'ann bob', 'ann,bob', q{ann"; RESET ROLE; --}, q{ann'}, ':role', "ann\x01", "\xff",
	'ann' . 'x' x 61, 'NONE', 'default';
my $long = 'l' x 60 . 'ong';
is(as($long, '/')->{status}, 200, 'the longest name');
refused(as("${long}er", '/'), 403, '... and a longer one, which PostgreSQL would cut to that');
refused(ask($proxied, '/'), 403, 'nobody');
refused(as([ 'ann', 'bob' ], '/'), 403, 'two');
refused(as("ann\r\n bob", '/'), 403, 'a name of two lines');
refused(ask($proxied, '/', head => { Remote_User => 'ann' }), 403, 'another field');
is(as("ann\r\nX-Role: bob", '/audit/shop-staging-db')->{status}, 200, 'others are ignored');

# A login that may look shows what it may see to nobody who was not named.
my $granted = viewer('pages', 'host', @told);
is(ask($granted, '/', head => { 'Remote-User' => 'ann' })->{status}, 200, 'a login with a grant of its own');
refused(ask($granted, '/', head => { 'Remote-User' => $_ }), 403, '... shows it to nobody else')
	for 'none', 'bob', undef;
my $distant = viewer('pages', 'viewer', '--role-header', 'Remote-User', '--trusted-proxy', '192.0.2.0/24');
refused(ask($distant, '/', head => { 'Remote-User' => 'ann' }), 403, 'a header from an address that is not trusted');
refused(ask($distant, '/'), 403, '... nor is anything shown without');

# Functions in a schema that is called as the role would come before promote's page in PostgreSQL's own search path.
$node->query('pages', <<'SQL');
CREATE SCHEMA ann AUTHORIZATION ann;
SET ROLE ann;
CREATE FUNCTION ann.as_bob(seen text, project text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE bob;
	seen := (SELECT string_agg(p.project, ' ') FROM promote.project AS p);
	SET LOCAL ROLE ann;
	RETURN seen;
END
$$;
CREATE FUNCTION ann.told(seen text) RETURNS json LANGUAGE sql AS $$ SELECT json_build_array('stolen ' || seen) $$;
CREATE AGGREGATE ann.json_agg(text) (SFUNC = ann.as_bob, STYPE = text, FINALFUNC = ann.told);
SQL
my $anns = as('ann', '/');
is($anns->{status}, 200, 'a role that has functions of its own sees the first page');
unlike($anns->{body}, qr/stolen/, '... and none of them runs in the session, which could be anybody else');
my $hidden = raw($proxied, "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rRemote-User: bob\r\n\r\n");
like($hidden, qr{^HTTP/1\.0 403 }, 'a carriage return within a field begins no other one');
for my $options ([ '--role-header', 'Remote-User' ], [ '--trusted-proxy', '127.0.0.1' ], ['--trusted-proxy', 'proxy'],
	[ '-t', 0 ], [ '-c', 0 ], [ '-l', 'nowhere' ]) {
	is(system("$program @$options >/dev/null 2>&1") >> 8, 2, "@$options is not enough");
}

# ---- at the same time ----

my @running = map {
	my $role = $_ % 2 ? 'ann' : 'bob';
	my $pid = open(my $out, '-|') // die "cannot fork: $!\n";
	if (!$pid) {
		%pid = ();
		my @bodies = map { as($role, '/pipeline/books')->{body} } 1 .. 3;
		print scalar(grep { /As.*\b$role\b.*sees it/s } @bodies), "\n";
		POSIX::_exit(0) if close STDOUT;
	}
	$out;
} 1 .. 12;
is(join(' ', map { (readline $_) =~ /(\d+)/ } @running), join(' ', (3) x 12), 'each sees its own, also side by side');

# ---- what the database does ----

# A database in which the functions are others, which do what promote's never do.
$node->create_database('twin');
$node->query('twin', <<'SQL');
CREATE SCHEMA promote;
GRANT USAGE ON SCHEMA promote TO PUBLIC;
CREATE TABLE promote.written (what text);
GRANT ALL ON promote.written TO PUBLIC;
CREATE FUNCTION promote.pipeline_html(project text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	CASE project
		WHEN 'write' THEN INSERT INTO promote.written VALUES ('x');
		WHEN 'open' THEN SET TRANSACTION READ WRITE; INSERT INTO promote.written VALUES ('x');
		WHEN 'later' THEN PERFORM set_config('default_transaction_read_only', 'off', false);
			INSERT INTO promote.written VALUES ('x');
		WHEN 'create' THEN CREATE TEMPORARY TABLE t (n integer);
		WHEN 'sleep' THEN PERFORM pg_sleep(3600);
		WHEN 'raise' THEN RAISE EXCEPTION 'a secret word' USING DETAIL = 'another secret word';
		WHEN 'busy' THEN RAISE EXCEPTION 'a secret word' USING ERRCODE = '40001';
		WHEN 'die' THEN PERFORM pg_terminate_backend(pg_backend_pid());
		ELSE RETURN format('%s %s %s', current_setting('default_transaction_read_only'),
			current_setting('transaction_read_only'), current_setting('statement_timeout'));
	END CASE;
	RETURN 'done';
END
$$;
SQL
my $twin = viewer('twin', 'postgres', '-t', 300);
is(ask($twin, '/pipeline/x')->{body}, 'on on 5min', 'a session reads, and not for ever');
headed(ask($twin, '/pipeline/x'), "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
refused(ask($twin, "/pipeline/$_"), 500, "not even a superuser could write: $_") for qw(write open later create);
is($node->query('twin', 'SELECT count(*) FROM promote.written'), 0, '... nothing is written');
is(() = log_of() =~ /'25006'/g, 3, '... because it is forbidden');
refused(ask($twin, '/pipeline/raise'), 500, 'what the database says');
unlike(ask($twin, '/pipeline/raise')->{body} . log_of(), qr/secret/, '... stays there');
refused(ask($twin, '/pipeline/busy'), 503, 'what may be asked again');
refused(ask($twin, '/pipeline/die'), 503, 'a session that ends');
my $hasty = viewer('twin', 'postgres', '-t', 2, '-c', 2);
refused(ask($hasty, '/pipeline/sleep'), 504, 'what takes too long is ended');
is($node->query('twin', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'promote viewer'"), 0,
	'... also in the database');
refused(ask($twin, '/review/x'), 404, 'a function that is not there');

# Who says nothing, or next to nothing, holds one place of two, and not for ever.
my @silent = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $hasty) } 1 .. 2;
my ($drip) = @silent;
print {$drip} 'GET';
my $dripping = fork // die "cannot fork: $!\n";
if (!$dripping) {
	local $SIG{PIPE} = 'DEFAULT';
	%pid = ();
	$drip->autoflush(1);
	while (1) { print {$drip} ' '; sleep 0.5 }
}
# ... though the two seconds may be too short for it on a busy machine
my $answer;
for (1 .. 100) {
	$answer = ask($hasty, '/pipeline/x');
	last if $answer->{status} == 200;
}
is($answer->{body}, 'on on 2s', 'others are answered in the end');
kill 'KILL', $dripping;
waitpid $dripping, 0;

$node->stop;
refused(ask($guest, '/pipeline/shop'), 503, 'a database that is not there');
is(ask($guest, '/pipeline/shop')->{head}{'retry-after'}, 5, '... may be there again');

done_testing();
