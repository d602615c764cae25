# The worker that notifies listeners: no commit waits for another's because of it, no notice is lost when it is ended,
# cannot be had or has too much to do, and it is in nobody's way.

use strict;
use warnings;
use Test::More;
use PromoteTest;
use Session;

# Nobody's standby: who asks for its word at a commit waits for ever.
my $node = PromoteTest->new("synchronous_standby_names = 'nobody'", 'synchronous_commit = local');
chomp(my $bindir = `$ENV{PG_CONFIG} --bindir`);

# Long names, so that few notices are much.
my ($shop, $staging, $db) = map { $_ x 11 } qw(shop1 stage cloud);
my $instance = "$shop-$staging-$db";

sub setup {
	my ($database) = @_;
	$node->create_promote($database);
	$node->query($database, <<"SQL");
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0', '{}');
INSERT INTO promote.project VALUES ('$shop'), ('end');
INSERT INTO promote.component (project, component, bundle) VALUES ('$shop', '$db', 'postgres');
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
	VALUES ('$shop', '$staging', false, false);
INSERT INTO promote.instance (project, environment, component) VALUES ('$shop', '$staging', '$db');
SQL
	return;
}

# Writes revisions from one number to another, in a transaction each, or all in one.
sub configure {
	my ($from, $to) = @_;
	return map { "SELECT FROM promote.configure_instance('$instance', '{\"size\": $_}', '1.0.0', plan => false);" }
	  $from .. $to;
}

# The revisions that are heard until that one.
sub revisions {
	my ($listener, $until) = @_;
	return join ' ', map { /"revision": (\d+)/ ? $1 : $_ } $listener->hear(qr/"revision": $until\b/);
}

sub listen_in {
	my ($database) = @_;
	my $listener = Session->new($node, $database);
	$listener->ask('LISTEN promote;');
	return $listener;
}

# The workers, by their databases.
my $workers = q{FROM pg_stat_activity WHERE backend_type = 'promote notifier' AND datname = '%s'};

sub is_gone {
	my ($database) = @_;
	return $node->wait_for('postgres', sprintf "SELECT NOT EXISTS (SELECT $workers)", $database);
}

sub sql { return $node->query('wake', @_) }

setup('wake');
my $listener = listen_in('wake');
my $revision = 0;

# ---- the lock of NOTIFY ----

my $stuck = Session->new($node, 'postgres');
sub unstick {
	$node->query('postgres', 'SELECT pg_cancel_backend(' . $stuck->backend . ')');
	$stuck->answer;
	$stuck->ask('SET synchronous_commit = local;');
	return;
}

my $lock = q{SELECT count(*) = %d FROM pg_locks WHERE locktype = 'object' AND database = 0
	AND classid = 'pg_database'::regclass AND objid = 0 AND mode = 'AccessExclusiveLock'};
sub holds_lock { return $node->wait_for('postgres', sprintf("$lock AND pid = %d AND granted", 1, $stuck->backend)) }
sub waiters { return $node->wait_for('postgres', sprintf("$lock AND NOT granted", $_[0])) }

$stuck->ask('CREATE TABLE x ();');

sub stick {
	$stuck->begin('SET synchronous_commit = on; BEGIN; INSERT INTO x DEFAULT VALUES; NOTIFY other; COMMIT;');
	ok(holds_lock(), 'a commit in another database does not end, and holds the lock of NOTIFY');
	return;
}

stick();
# for what must not wait: who waits for what is stuck waits for ever
my $short = q{SET lock_timeout = '60s';};
my $by_itself = q{SET promote.notify = 'transaction'; SET lock_timeout = '300ms';};
like(($node->psql('wake', $by_itself . join '', configure(1, 1)))[2], qr/canceling statement due to lock timeout/,
	'a transaction that notifies by itself waits for it');
sql($short . join ' ', configure(1, 3));
pass('others do not, the first as little as those after it');
ok(waiters(1), 'the worker waits for it');
is(join(' ', $listener->hear), '', 'and nothing is heard');

# the memory has room for some, and so many go into rows
sql($short . join ' ', configure(4, 370));
cmp_ok(sql('SELECT count(*) FROM promote.notice'), '>', 5, 'what has no room in memory goes into rows');
sql($short . 'BEGIN;' . join(' ', configure(371, 430)) . 'COMMIT;');
is(sql(q{SELECT count(*) FROM promote.notice WHERE length(payloads) > 8000}), 1, '... and so does what is much');
my $worker = sql(sprintf "SELECT pid $workers", 'wake');
is(sql("SELECT pg_terminate_backend($worker, 60000)"), 't', 'the worker can be ended while it waits');
sql($short . join ' ', configure(431, 431));
isnt(sql(sprintf "SELECT pid $workers", 'wake'), $worker, '... and the next commit has started another')
  if $node->wait_for('wake', sprintf "SELECT EXISTS (SELECT $workers)", 'wake');
unstick();
my @heard;
push @heard, split / /, revisions($listener, '\\d+') while @heard < 431;
is(join(' ', sort { $a <=> $b } @heard), join(' ', 1 .. 431), 'when the lock is free every notice is heard once');
is(sql('SELECT count(*) FROM promote.notice'), 0, '... and the rows are gone');
$revision = 431;

# ---- many in one transaction, and what is taken back ----

sql("BEGIN; SELECT count(*) FROM generate_series(1, 200) AS i, LATERAL promote.configure_instance('$instance',
	jsonb_build_object('count', i), plan => false); SAVEPOINT s; " . join(' ', configure(1, 20))
	. "ROLLBACK TO s; SAVEPOINT s; SAVEPOINT t;"
	. "SELECT promote.configure_instance('$instance', '{\"t\": 1}', plan => false); RELEASE t;"
	. "SELECT promote.configure_instance('$instance', '{\"t\": 2}', plan => false); ROLLBACK TO s;"
	. "SELECT promote.configure_instance('$instance', '{\"last\": 1}', plan => false); COMMIT;");
is(revisions($listener, $revision + 201), join(' ', $revision + 1 .. $revision + 201),
	'hundreds in one transaction are heard in order, without what was taken back');
$revision += 201;
sql("BEGIN; SELECT promote.configure_instance('$instance', '{\"rolled\": 1}', plan => false); ROLLBACK;");

# the same payload again, in another transaction, is another notice
sql(q{SELECT promote.stop_line('a', 'end')}), sql(q{SELECT promote.resume_line('end')}) for 1 .. 10;
my $pairs = join ' ', map { /line[.](\w+)/ ? $1 : $_ } map { $listener->hear(qr/resumed/) } 1 .. 10;
is($pairs, join(' ', ('stopped resumed') x 10), 'what is repeated is heard in order, as often as it happened');

# ---- in nobody's way ----

ok(is_gone('wake'), 'the worker ends when there is nothing to do');

# ---- more than a transaction keeps in memory ----

# As many instances as it takes: the notice of the last one is the first that is too many.
my $first = 1000;
my $last = $first + int 64 * 1024 / length qq({"instance": "$instance$first", "revision": 1}\n);
sql("INSERT INTO promote.component (project, component, bundle)
	SELECT '$shop', '$db' || i, 'postgres' FROM generate_series($first, @{[ $last + 1 ]}) AS i;
	INSERT INTO promote.instance (project, environment, component)
	SELECT project, '$staging', component FROM promote.component WHERE component ~ '[0-9]{4}\$'");
my $configure = "SELECT count(promote.configure_instance('$instance' || i, jsonb_build_object('n', %d), '1.0.0',
	plan => false)) FROM generate_series(%d, %d) AS i;";
my $itself = q{SET promote.notify = 'transaction';};
my @ways = (
	[ 'in rows alone, with no worker before', 0, 'READ COMMITTED', '' ],
	[ 'by itself', 1, 'READ COMMITTED', $itself ],
	[ 'by itself, after a part is in a row', 1, 'REPEATABLE READ', '', $itself ],
	[ 'in rows, and then some', 1, 'READ COMMITTED', '' ]);
for my $number (0 .. $#ways) {
	my ($how, $more, $level, @set) = @{ $ways[$number] };
	my $to = $last + $more;
	sql(join ' ', $set[0], "BEGIN ISOLATION LEVEL $level;", sprintf($configure, $number, $first, $to - 1),
		$set[1] // '',
		sprintf($configure, $number, $to, $to), 'COMMIT;');
	is(join(' ', map { /(\d{4})"/ } $listener->hear(qr/$to"/)), join(' ', $first .. $to),
		"more than a transaction keeps in memory is told $how");
	is(sql('SELECT count(*) FROM promote.notice'), 0, '... and nothing is left');
}

# What fits the memory, and then what does not, while the worker can do nothing; and the other way round.
stick();
sql($short . sprintf($configure, 10, $first, $first));
sql($short . sprintf($configure, 11, $first, $first + 100));
sql($short . sprintf($configure, 12, $first, $first));
unstick();
like(join(' ', map { /$first", "revision": (\d+)/ } map { $listener->hear(qr/$first"/) } 1 .. 3),
	qr/^(\d+) (??{ $1 + 1 }) (??{ $1 + 2 })$/,
	'they are told of in the order of their commits');

setup('gone');
$node->query('gone', join '', configure(1, 1));
$node->query('postgres', 'CREATE DATABASE copy TEMPLATE gone');
pass('the database is copied beside it');
mkdir $node->dir . '/space';
my (undef, undef, $uid, $gid) = getpwnam(PromoteTest::owner() // getpwuid $>);
chown $uid, $gid, $node->dir . '/space';
$node->query('postgres', "CREATE TABLESPACE space LOCATION '" . $node->dir . "/space'");
$node->query('gone', join '', configure(2, 2));
$node->query('postgres', 'ALTER DATABASE gone SET TABLESPACE space');
pass('... and moved');
$node->query('gone', join '', configure(3, 3));
$node->query('postgres', 'DROP DATABASE gone');
pass('... and dropped');
$node->query('copy', join '', configure(2, 2));
$node->query('postgres', 'DROP DATABASE copy WITH (FORCE)');
pass('... also by force');

# ---- ended, and killed ----

sql(join '', configure(1, 1));
is(revisions($listener, ++$revision), $revision, 'there is a worker');
is(sql(sprintf "SELECT pg_terminate_backend(pid, 60000) $workers", 'wake'), 't', 'it is ended');
sql(join '', configure(2, 2));
is(revisions($listener, ++$revision), $revision, '... and what happens then is heard');
is(sql(sprintf "SELECT pg_cancel_backend(pid) $workers", 'wake'), 't', 'it is cancelled');
sql(join '', configure(3, 3));
is(revisions($listener, ++$revision), $revision, '... and goes on');

sql(join '', configure(4, 4));
my $before = sql('SELECT count(*) FROM promote.revision');
kill 'KILL', sql(sprintf "SELECT pid $workers", 'wake');
ok($node->wait_for('wake', "SELECT count(*) = $before FROM promote.revision"),
	'killed, it takes the sessions along, as any process does, and nothing of what was committed');
$listener->end;
$listener = listen_in('wake');
sql(join '', configure(5, 5));
$revision += 2;
is(revisions($listener, $revision), $revision, '... and who listens again hears what happens then');

# ---- a worker that does not come ----

ok(is_gone('wake'), 'there is no worker');
my $writer = Session->new($node, 'wake');
my $postmaster = $node->postmaster;
kill 'STOP', $postmaster;
my $size = 5;
my @told;
while (!@told) {
	$writer->ask(join '', configure(++$size, $size));
	@told = $listener->hear;
}
pass('when the server starts no worker, transactions notify by themselves after a while');
kill 'CONT', $postmaster;
$revision += $size - 5;
push @told, $listener->hear(qr/revision/) while @told < $size - 5;
is(scalar(@told), $size - 5, '... and what was left for the worker is told when it comes');
$writer->end;

# ---- the extension goes and comes ----

sql(join '', configure(1, 1));
$listener->hear(qr/"revision": @{[++$revision]}\b/);
my $log = length $node->log_text;
sql('BEGIN; DROP EXTENSION promote; COMMIT;');
ok(is_gone('wake'), 'without the extension the worker ends');
unlike(substr($node->log_text, $log), qr/ERROR|FATAL/, '... and has nothing to complain of');
$listener->end;
$node->query('postgres', 'DROP DATABASE wake');
setup('wake');
$listener = listen_in('wake');
sql(join '', configure(1, 1));
is(revisions($listener, 1), 1, 'it works for the next one');

# ---- settings of the database ----

$node->query('postgres', 'ALTER DATABASE wake CONNECTION LIMIT 0');
$node->query('postgres', q{ALTER DATABASE wake SET default_transaction_read_only = on;
	ALTER DATABASE wake SET promote.notify = 'transaction'; ALTER DATABASE wake SET lock_timeout = 1});
ok(is_gone('wake'), 'settings of the database');
$writer = Session->new($node, 'wake');
$node->query('postgres', 'ALTER DATABASE wake ALLOW_CONNECTIONS false');
$writer->ask("SET default_transaction_read_only = off; SET promote.notify = 'worker'; SET lock_timeout = 0;");
$writer->ask(join '', 'BEGIN;', configure(2, 100), 'COMMIT;');
is(revisions($listener, 100), join(' ', 2 .. 100),
	'... and that nobody may connect do not keep the worker from working');
$node->query('postgres', 'ALTER DATABASE wake ALLOW_CONNECTIONS true; ALTER DATABASE wake CONNECTION LIMIT -1;
	ALTER DATABASE wake RESET ALL');
$writer->end;
$listener->end;

# ---- no worker ----

setup('other');
$node->configure('max_worker_processes = 1', 'max_logical_replication_workers = 0');
$node->stop;
$node->start;
$listener = listen_in('wake');
my $elsewhere = listen_in('other');
$stuck = Session->new($node, 'postgres');
stick();
sql($short . join '', configure(101, 101));
ok(waiters(1), 'the only worker that there can be waits');
like(($node->psql('other', "SET lock_timeout = '300ms';" . join '', configure(1, 1)))[2], qr/lock timeout/,
	'where no worker can be had a transaction notifies by itself, with what that costs');
unstick();
is(revisions($listener, 101), 101, 'the worker is done');
$node->query('other', join '', configure(1, 1));
is(revisions($elsewhere, 1), 1, '... and a transaction that notifies by itself is heard');
is_gone($_) for qw(wake other);
$node->query('other', join '', configure(2, 2));
is(revisions($elsewhere, 2), 2, 'the place is free for the worker of another database');

$node->configure('max_worker_processes = 0');
$node->stop;
$node->start;
$listener = listen_in('wake');
sql(join '', configure(102, 103));
is(revisions($listener, 103), '102 103', 'without any worker');

# ---- without the postmaster ----

$node->stop;
my ($how, @single) = $node->as_owner("$bindir/postgres", '--single', '-D', $node->data, 'wake');
my (undef, undef, $err) = $node->run({ %$how, input => join "\n", configure(104, 104), '' }, @single);
unlike($err, qr/ERROR|FATAL|WARNING/, 'in single-user mode');
$node->start;
is(sql('SELECT max(revision) FROM promote.revision'), 104, '... it is committed');

done_testing;
