package ClientTest;

# A program that uses promote by a driver, and what it finds as assertions.
#
#   my $node = ClientTest->shop;                          # a server with what every program takes for granted
#   ClientTest::story($node, { PORT => 6432 }, 'node', 'test/clients/node.cjs');
#
# A program gets the server's directory as PGHOST, and prints "ok - what" or "not ok - what", a line each, and "end" in
# the end. Where it or its driver is missing, a test is skipped: nothing is downloaded.

use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Test::More;
use PromoteTest;

# Two environments of a component, a login with a role for each group that it votes for, and a login that may only look.
sub shop {
	my ($class, $database) = @_;
	return PromoteTest->shop($database, <<'SQL');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.1.0', '{"required": ["size"],
	"properties": {"size": {"enum": ["small", "large"]}, "replicas": {"type": "integer", "minimum": 1},
		"zones": {"type": "array"}, "password": {"$md.sensitive": true}}}');
INSERT INTO promote.environment (project, environment, require_proven_release) VALUES ('shop', 'staging', false),
	('shop', 'production', false);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'db'),
	('shop', 'production', 'db');
CREATE ROLE owners;
CREATE ROLE portal LOGIN NOINHERIT;
CREATE ROLE portal_owners IN ROLE owners ROLE portal;
CREATE ROLE visitor LOGIN;
ALTER ROLE portal SET promote.error_format = 'json';
ALTER ROLE visitor SET promote.error_format = 'json';
SELECT promote.grant_action('visitor', 'view', 'shop');
SELECT promote.grant_action('owners', 'approve', 'shop'), promote.grant_action('portal_owners', 'impersonate'),
	promote.grant_action('portal', 'impersonate');
SELECT promote.grant_action('portal', action, 'shop')
	FROM unnest('{configure,promote,plan,deploy,work}'::text[]) AS action;
SET client_min_messages = 'error';
INSERT INTO promote.approval_rule (project, environment, rule, role, requester_counts)
	VALUES ('shop', 'production', 'an owner', 'owners', false);
SQL
}

# The path of a program, also where administrators' programs are; undefined: it is not there.
sub program {
	my ($name) = @_;
	my ($path) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/bin';
	return $path;
}

# Does a command succeed? It is silent.
sub succeeds {
	my @command = @_;
	return system("@{[ map { quotemeta } @command ]} >/dev/null 2>&1") == 0;
}

# A Python that has the module psycopg; undefined: there is none.
sub python {
	return (grep { defined && succeeds($_, '-c', 'import psycopg') } '/usr/bin/python3', program('python3'))[0];
}

# Is there a node that finds these packages?
sub node_has {
	my $node = program('node') or return 0;
	return !grep { !succeeds($node, '-e', "require.resolve('$_')") } @_;
}

# Runs a program, whose lines become assertions.
sub story {
	my ($node, $environment, @command) = @_;
	local @ENV{ keys %$environment } = values %$environment;
	local $ENV{PGHOST} = $environment->{PGHOST} // $node->dir;
	my ($rc, $out, $err) = $node->run('timeout', 900, @command);
	my @lines = split /\n/, $out;
	my $ended = @lines && $lines[-1] eq 'end';
	/^(not )?ok - (.*)$/ and ok(!$1, $2) for @lines;
	is($rc, 0, "@command ends well");
	ok($ended, '... with its last line') or diag($out, $err);
	return;
}

# A port of 127.0.0.1 behind which the server's socket is, for drivers that know no sockets of Unix.
sub relay {
	my ($node) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 20, Proto => 'tcp')
		or die "cannot listen: $!\n";
	my $pid = fork // die "cannot fork: $!\n";
	if (!$pid) {
		$SIG{TERM} = $SIG{PIPE} = 'DEFAULT';
		$SIG{CHLD} = 'IGNORE';
		while (my $client = $listener->accept) {
			next if fork;
			my $server = IO::Socket::UNIX->new($node->dir . '/.s.PGSQL.5432') or POSIX::_exit(1);
			pump($client, $server);
		}
		POSIX::_exit(0);
	}
	push @ClientTest::started, $pid;
	return $listener->sockport;
}

# Carries bytes both ways until one side closes, and ends the process.
sub pump {
	my @ends = @_;
	while (1) {
		my $ready = '';
		vec($ready, fileno $_, 1) = 1 for @ends;
		select $ready, undef, undef, undef;
		for my $i (0, 1) {
			next if !vec $ready, fileno $ends[$i], 1;
			POSIX::_exit(0) if !sysread $ends[$i], my $bytes, 65536;
			POSIX::_exit(0) if !syswrite $ends[ 1 - $i ], $bytes;
		}
	}
	return;
}

# Starts pgbouncer with these settings and databases, in the server's directory, and waits until it listens at 6432.
# False where there is none, or it does not come up.
sub pooler {
	my ($node, $databases) = @_;
	my $program = program('pgbouncer') or return;
	my $dir = $node->dir;
	open my $file, '>', "$dir/pgbouncer.ini" or die "cannot write $dir/pgbouncer.ini: $!\n";
	print $file <<"INI";
[databases]
$databases
[pgbouncer]
unix_socket_dir = $dir
listen_port = 6432
listen_addr =
auth_type = trust
auth_file = $dir/pgbouncer.users
logfile = $dir/pgbouncer.log
pidfile = $dir/pgbouncer.pid
pool_mode = transaction
default_pool_size = 1
min_pool_size = 0
server_reset_query = DISCARD ALL
server_reset_query_always = 0
INI
	close $file;
	open $file, '>', "$dir/pgbouncer.users" or die "cannot write $dir/pgbouncer.users: $!\n";
	print $file map { qq{"$_" ""\n} } qw(portal visitor);
	close $file;
	system('chown', $node->owner, map { "$dir/pgbouncer.$_" } qw(ini users)) if defined $node->owner;
	my @user = defined $node->owner ? ('runuser', '-u', $node->owner, '--') : ();
	my $pid = fork // die "cannot fork: $!\n";
	if (!$pid) {
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		exec @user, $program, "$dir/pgbouncer.ini" or POSIX::_exit(127);
	}
	push @ClientTest::started, $pid;
	for (1 .. 3000) {
		return 1 if IO::Socket::UNIX->new("$dir/.s.PGSQL.6432");
		select undef, undef, undef, 0.1;
	}
	diag(PromoteTest::slurp("$dir/pgbouncer.log"));
	return 0;
}

our (@started, $main);
$main = $$;

END {
	local $?;
	if ($$ == $main) {
		kill 'TERM', @started;
		waitpid $_, 0 for @started;
	}
}

1;
