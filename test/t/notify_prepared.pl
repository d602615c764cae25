# PREPARE TRANSACTION: what it brings is told of when it is committed, whoever does that, also after a crash.

use strict;
use warnings;
use Test::More;
use PromoteTest;
use Session;

my $node = PromoteTest->new('max_prepared_transactions = 5');
$node->create_database('two');
$node->query('two', <<'SQL');
CREATE ROLE keeper SUPERUSER;
SET ROLE keeper;
CREATE EXTENSION promote;
RESET ROLE;
ALTER ROLE keeper NOSUPERUSER;
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0', '{}');
INSERT INTO promote.project VALUES ('shop'), ('end');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
	VALUES ('shop', 'staging', false, false), ('shop', 'production', false, false);
INSERT INTO promote.instance (project, environment, component) SELECT project, environment, component
	FROM promote.environment JOIN promote.component USING (project);
SQL

sub sql { return $node->query('two', @_) }

sub listen_now {
	my $listener = Session->new($node, 'two');
	$listener->ask('LISTEN promote;');
	return $listener;
}

# Hears everything up to now.
my $ends = 0;

sub hear_all {
	my ($listener) = @_;
	my ($call, $said) = $ends++ % 2 ? ('resume_line(', 'resumed') : (q{stop_line('end', }, 'stopped');
	sql("SELECT promote.${call}'end')");
	my @payloads = $listener->hear(qr/"event": "line[.]$said"/);
	pop @payloads;
	return join ' ', @payloads;
}

my $worker = q{SELECT %sEXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'promote notifier')};
my $listener = listen_now();
my $session = Session->new($node, 'two');
my $configure = q{SELECT FROM promote.configure_instance('shop-staging-db', '{"size": %d}', '1.0.0', plan => false);};
my $promote = q{SELECT FROM promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": %d}',
	plan => false);};

sub prepare {
	my ($sql) = @_;
	is($session->ask("BEGIN; $sql PREPARE TRANSACTION 'it';"), '', "this is prepared: " . $sql =~ s{\s+}{ }gr);
	is(hear_all($listener), '', '... and nothing is told of it');
	return;
}

prepare(sprintf $configure, 1);
# in a session that has nothing to do with promote
sql(q{COMMIT PREPARED 'it'});
is(join(' ', $listener->hear(qr/revision/)), '{"instance": "shop-staging-db", "revision": 1}',
	'committed, it is told of');
is(sql('SELECT count(*) FROM promote.notice'), 0, '... once');

prepare(sprintf $promote, 2);
sql(q{ROLLBACK PREPARED 'it'});
is(hear_all($listener), '', 'rolled back, it is not');

prepare(q{SAVEPOINT s; } . sprintf($configure, 2) . ' ROLLBACK TO s; ' . sprintf $promote, 3);
is(sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'promote notifier'}), 't',
	'the worker is ended in between');
kill 'STOP', $node->postmaster;     # which starts the next one late
$session->ask(q{COMMIT PREPARED 'it';});
$session->ask(q{SELECT promote.stop_line('after it', 'end');});
kill 'CONT', $node->postmaster;
is(join(' ', $listener->hear(qr/"event"/)) =~ s/, "project"[^}]*|"project"[^,]*, //gr,
	'{"instance": "shop-production-db", "revision": 1} {"event": "line.stopped"}',
	'the next one finds it, before what came later');
sql(q{SELECT promote.resume_line('end')});
$listener->hear(qr/resumed/);

for my $setting (qw(worker transaction)) {
	prepare(sprintf "SET LOCAL promote.notify = '$setting'; $configure", 3 + ($setting eq 'worker'));
	sql(q{COMMIT PREPARED 'it'});
	like(join(' ', $listener->hear(qr/revision/)), qr/shop-staging-db/, "so it is with promote.notify = '$setting'");
}

# ---- code of the owner's ----

sql(<<'SQL');
CREATE TABLE seen (who text);
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen VALUES (current_user);
	RETURN NULL;
END $$;
SET ROLE keeper;
CREATE CONSTRAINT TRIGGER see AFTER DELETE ON promote.notice DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION see();
SQL
prepare(sprintf $configure, 6);
sql(q{COMMIT PREPARED 'it'});
like(join(' ', $listener->hear(qr/revision/)), qr/"shop-staging-db"/, 'a trigger that the owner of the table has made');
is(sql('SELECT who FROM seen'), 'keeper', '... has the rights of the owner, not those of the worker');
sql('DROP TRIGGER see ON promote.notice');

# ---- a crash ----

for my $loads (0, 1) {
	my $revisions = q{SELECT count(*) FROM promote.revision WHERE environment = 'production'};
	my $before = sql($revisions);
	prepare(sprintf $promote, 10 + $loads);
	$_->end for $listener, $session;
	$node->stop('immediate');
	$node->configure("session_preload_libraries = 'promote'") if $loads;
	$node->start;
	is($node->query('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), 1, 'after a crash it is still prepared');
	$listener = Session->new($node, 'two');
	is($node->query('postgres', sprintf $worker, 'NOT '), 't', '... and nobody looks for it') if !$loads;
	ok($node->wait_for('postgres', sprintf $worker, ''), '... and whoever connects starts the worker') if $loads;
	$listener->ask('LISTEN promote;');
	sql(q{COMMIT PREPARED 'it'});
	sql(q{SELECT count(*) FROM promote.blockers('shop-staging-db')}) if !$loads;
	like(join(' ', $listener->hear(qr/revision/)), qr/"shop-production-db"/,
		$loads ? '... is told of' : '... and whoever calls something of promote has it told');
	is(sql($revisions), $before + 1, '... what was promoted is there');
	is(sql('SELECT count(*) FROM promote.verify_audit()'), 0, '... and the log is whole');
	$session = Session->new($node, 'two');
}
# ---- no worker ----

$node->configure('max_worker_processes = 0', q{session_preload_libraries = ''});
$node->stop;
$node->start;
$listener = listen_now();
$session = Session->new($node, 'two');
prepare(sprintf $configure, 20);
sql(q{COMMIT PREPARED 'it'});
like(hear_all($listener), qr/"shop-staging-db"/, 'without a worker the next who notifies tells of it');
is(sql('SELECT count(*) FROM promote.notice'), 0, '... and nothing is left');
is(sql('SELECT count(*) FROM promote.verify_audit()'), 0, 'the log is whole');

done_testing;
