# Behind a pooler that hands one server connection to one client after another, promote.actor must not be the next
# client's: what is set for a transaction goes with it. That a plain SET does stay is shown, too, for
# doc/explanation/security.md says so.

use strict;
use warnings;
use Test::More;
use IO::Socket::UNIX;
use ClientTest;
use PromoteTest;

my $pgbouncer = ClientTest::program('pgbouncer');
plan skip_all => 'no pgbouncer' if !defined $pgbouncer;

my $node = PromoteTest->new;
my $dir  = $node->dir;
$node->create_promote('pool');
$node->query('pool', <<'SQL');
CREATE ROLE app LOGIN;
CREATE ROLE clerk LOGIN;
CREATE ROLE ann LOGIN;
GRANT ann TO app;
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0', '{}');
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'db');
INSERT INTO promote.grants (role, action, project) VALUES ('app', 'configure', 'shop'), ('clerk', 'configure', 'shop'),
	('ann', 'view', 'shop');
INSERT INTO promote.grants (role, action) VALUES ('app', 'impersonate');
SQL

# One connection to the server for each login, whoever and how many the clients are.
sub write_pooler_file {
	my ($name, $text) = @_;
	open my $file, '>', "$dir/$name" or die "cannot write $dir/$name: $!\n";
	print $file $text;
	close $file;
	return;
}
write_pooler_file('pgbouncer.ini', <<"INI");
[databases]
pool = host=$dir port=5432 dbname=pool
[pgbouncer]
unix_socket_dir = $dir
listen_port = 6432
listen_addr =
auth_type = any
auth_file =
logfile = $dir/pgbouncer.log
pidfile = $dir/pgbouncer.pid
pool_mode = transaction
default_pool_size = 1
min_pool_size = 0
server_reset_query = DISCARD ALL
server_reset_query_always = 0
admin_users = app
INI
# With "any" clients are let in, and the server's user is the database's: a line for each login.
write_pooler_file('pgbouncer.ini',
	PromoteTest::slurp("$dir/pgbouncer.ini") =~ s/^pool = (.*)$/pool = $1 user=app\nclerk = $1 user=clerk/mr);

my @command = defined $node->owner ? ('runuser', '-u', $node->owner, '--') : ();
system('chown', '-R', $node->owner, "$dir/pgbouncer.ini") if defined $node->owner;
my $pid = fork // die "cannot fork: $!\n";
if ($pid == 0) {
	open STDOUT, '>', '/dev/null';
	open STDERR, '>', '/dev/null';
	exec @command, $pgbouncer, "$dir/pgbouncer.ini" or POSIX::_exit(127);
}
END { if ($pid) { local $?; kill 'TERM', $pid; waitpid $pid, 0; } }
for (1 .. 100) {
	last if IO::Socket::UNIX->new("$dir/.s.PGSQL.6432");
	select undef, undef, undef, 0.1;
}
ok(-S "$dir/.s.PGSQL.6432", 'a pooler in transaction mode is up') or BAIL_OUT(PromoteTest::slurp("$dir/pgbouncer.log"));

chomp(my $bindir = `@{[ $ENV{PG_CONFIG} || 'pg_config' ]} --bindir`);

# A client that stays: what it is told to, a line at a time, and what it is answered.
sub client {
	my ($database) = @_;
	my ($in, $out);
	require IPC::Open2;
	IPC::Open2::open2($out, $in, "$bindir/psql", '-XqAt', '-h', $dir, '-p', 6432, '-U', 'app', '-d', $database);
	$in->autoflush;
	return { in => $in, out => $out };
}

sub ask {
	my ($client, $sql) = @_;
	print { $client->{in} } "$sql\n\\echo --\n";
	my $said = '';
	while (defined(my $line = readline $client->{out})) {
		last if $line eq "--\n";
		$said .= $line;
	}
	chomp $said;
	return $said;
}

my ($first, $second) = (client('pool'), client('pool'));
my $server = ask($first, 'SELECT pg_backend_pid();');
like($server, qr/^\d+$/, 'a client has a server');
is(ask($second, 'SELECT pg_backend_pid();'), $server, '... and the next one has the same');

# ---- for a transaction ----

for my $set (q{SET LOCAL promote.actor = 'ann@example.com';},
	q{SELECT FROM set_config('promote.actor', 'ann@example.com', true);}) {
	is(ask($first, "BEGIN; $set SELECT promote.current_actor(); COMMIT;"), 'ann@example.com', "one person, by $set");
	is(ask($second, 'SELECT promote.current_actor();'), 'app', '... and the next client is not that one');
	is(ask($second, q{BEGIN; SET LOCAL promote.actor = 'bob@example.com'; SELECT promote.current_actor(); COMMIT;}),
		'bob@example.com', '... but whom it names');
	ask($first, "BEGIN; $set ROLLBACK;");
	is(ask($second, 'SELECT promote.current_actor();'), 'app', '... also where the transaction was rolled back');
}
ask($first, q{BEGIN; SET LOCAL promote.actor = 'ann@example.com'; SELECT
	FROM promote.configure_instance('shop-staging-db', '{"a": 1}', '1.0.0'); COMMIT;});
ask($second, q{BEGIN; SET LOCAL promote.actor = 'bob@example.com'; SELECT
	FROM promote.configure_instance('shop-staging-db', '{"a": 2}', '1.0.0'); COMMIT;});
ask($second, q{SELECT FROM promote.configure_instance('shop-staging-db', '{"a": 3}', '1.0.0');});
is($node->query('pool', q{SELECT string_agg(actor || '/' || database_role, ' ' ORDER BY revision)
	FROM promote.revision}),
	'ann@example.com/app bob@example.com/app app/app', 'the history says who each was');
is(ask($first, q{BEGIN; SET LOCAL ROLE ann; SELECT promote.current_actor(); COMMIT;}), 'ann',
	'a person with a role of their own, by SET LOCAL ROLE');
is(ask($second, 'SELECT promote.current_actor();'), 'app', '... for that transaction, too');

# ---- for the session: what not to do ----

ask($first, q{SET promote.actor = 'ann@example.com';});
is(ask($second, 'SELECT promote.current_actor();'), 'ann@example.com',
	'a plain SET is the next client\'s: that is why it is to be local');
ask($first, 'RESET promote.actor;');

# ---- a login that may not ----

my $clerk = client('clerk');
is(ask($clerk, 'SELECT promote.current_actor();'), 'clerk', 'another login');
print { $clerk->{in} } "\\set ON_ERROR_STOP off\n";
is(ask($clerk, q{BEGIN; SET LOCAL promote.actor = 'ann@example.com'; SELECT
	FROM promote.configure_instance('shop-staging-db', '{"a": 4}', '1.0.0'); COMMIT;}), '',
	'... names nobody');
is($node->query('pool', 'SELECT count(*) FROM promote.revision'), 3, '... and nothing is written');
is(ask($clerk, 'SELECT promote.current_actor();'), 'clerk', '... nor does the name stay');

close $_->{in} for $first, $second, $clerk;
done_testing();
