package PromoteTest;

# A server of a TAP test's own, for what cannot be tested on a shared one: dumps, crashes, restarts.
# Debian packages no PostgreSQL::Test::Cluster, so this is the little of it that is needed, on core Perl.
#
#   my $node = PromoteTest->new;                  # initdb and start
#   my $node = PromoteTest->shop('db', $sql);     # with a project
#   my $copy = PromoteTest->standby($node);       # which follows; $copy->follow($node) waits until it has caught up
#   my ($rc, $out, $err) = $node->psql('postgres', 'SELECT 1');
#   $node->query('postgres', 'SELECT 1');         # '1', and dies on an error
#   $node->dump('db', "$dir/db.dump", '-Fc');
#
# The server and its files go when the object goes, also when the test is killed by a signal that can be caught.

use strict;
use warnings;
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Handle ();
use POSIX ();
use Time::HiRes qw(sleep time);

# The programs of the server; a test may have a node of another server by `local $PromoteTest::bindir`,
# and one whose files differ by `local @PromoteTest::initdb_options`.
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(our $bindir = `$pg_config --bindir`);
my $usual = $bindir;
die "cannot run $pg_config\n" if $? != 0;
our @initdb_options;

my %running;    # the nodes to stop at exit, by address

# What the caller's environment says about connections is about another server.
delete $ENV{$_} for grep { /^PG[A-Z]+$/ } keys %ENV;

# Without handlers a signal would end Perl without END, and leave the servers behind. So would a second signal
# that broke END off: one is sent by the terminal, another by whoever started this program.
my @signals = qw(HUP INT TERM);
$SIG{$_} = \&end for @signals;

sub end {
	$SIG{$_} = 'IGNORE' for @signals;
	exit 143;
}

END {
	local $?;    # cleaning up is not the test's result
	$SIG{$_} = 'IGNORE' for @signals;
	my @nodes = values %running;
	$_->remove for @nodes;
}

# Settings are lines for postgresql.conf, and come after the defaults here. Statements that are made once are compiled
# for longer than they run: without JIT the tests of the catalog take seconds instead of minutes.
sub new {
	my ($class, @settings) = @_;
	my $self = $class->place;
	# a copy takes half the time; what was configured there comes before what is configured here
	my $made = $bindir eq $usual && !@initdb_options ? $ENV{PROMOTE_TEMPLATE} : undef;
	$self->must(defined $made ? ({ shielded => 1 }, 'cp', '-a', "$made/data", $self->data)
		: $self->as_owner("$bindir/initdb", '-D', $self->data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8',
			'--locale=C.UTF-8', '--no-sync', '--no-instructions', @initdb_options));
	$self->configure($self->where, 'fsync = off', 'jit = off', @settings);
	$self->start;
	return $self;
}

# A server that was stopped, for those that come next to be copies of: with a database that has the extension.
sub template {
	my ($class) = @_;
	delete $ENV{PROMOTE_TEMPLATE};    # of a round that a test of this one belongs to
	my $self = $class->new;
	$self->create_database('promote_template');
	$self->query('promote_template', 'CREATE EXTENSION promote');
	$self->stop;
	$ENV{PROMOTE_TEMPLATE} = $self->dir;
	return $self;
}

# A standby of a server, which follows it.
sub standby {
	my ($class, $primary, @settings) = @_;
	my $self = $class->place;
	$self->must($self->as_owner("$bindir/pg_basebackup", $primary->connection, '-D', $self->data, '-R', '-X', 'stream',
			'-c', 'fast', '--no-sync'));
	$self->configure($self->where, @settings);
	$self->start;
	return $self;
}

# Waits until a standby shows what the primary has written.
sub follow {
	my ($self, $primary) = @_;
	my $end = $primary->query('postgres', 'SELECT pg_current_wal_insert_lsn()');
	return $self->wait_for('postgres', "SELECT pg_last_wal_replay_lsn() >= '$end'", 60);
}

# A place for a server that does not run yet.
sub place {
	my ($class) = @_;
	# In /tmp whatever TMPDIR says: a socket's path is short, and the server's user has to get there.
	my $dir = tempdir('promote_test.XXXXXX', DIR => '/tmp');
	my $self = bless { dir => $dir, pid => $$, owner => owner(), bindir => $bindir }, $class;
	$running{ 0 + $self } = $self;
	if (defined $self->{owner}) {
		my (undef, undef, $uid, $gid) = getpwnam $self->{owner};
		chown $uid, $gid, $dir or die "cannot give $dir to $self->{owner}: $!\n";
	}
	return $self;
}

# Where it listens.
sub where {
	my ($self) = @_;
	return ("listen_addresses = ''", "unix_socket_directories = '$self->{dir}'");
}

# A server with a database that has the extension, the bundle postgres and the project shop, and what SQL adds to that.
sub shop {
	my ($class, $database, $sql, @settings) = @_;
	my $self = $class->new(@settings);
	$self->create_promote($database);
	$self->query($database, <<"SQL");
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0', '{}');
INSERT INTO promote.project VALUES ('shop');
$sql
SQL
	return $self;
}

# PostgreSQL refuses to run as root, which hands it to an ordinary user. Undefined for anybody else.
sub owner {
	return if $> != 0;
	return defined getpwnam('postgres') ? 'postgres' : 'nobody';
}

sub dir  { return $_[0]{dir} }
sub data { return "$_[0]{dir}/data" }

# For connections by other means: the arguments that make any client of PostgreSQL connect here.
sub connection { return ('-h', $_[0]{dir}, '-p', 5432, '-U', 'postgres') }

sub log_text { return slurp("$_[0]{dir}/log") }

# Adds lines to postgresql.conf; they count at the next start.
sub configure {
	my ($self, @settings) = @_;
	my $path = $self->data . '/postgresql.conf';
	open my $file, '>>', $path or die "cannot open $path: $!\n";
	print $file map { "$_\n" } @settings;
	close $file or die "cannot write $path: $!\n";
	return;
}

# ---- starting and stopping ----

sub start {
	my ($self) = @_;
	my ($rc, $out, $err) =
	  $self->run($self->as_owner("$self->{bindir}/pg_ctl", '-D', $self->data, '-l', "$self->{dir}/log", '-w', '-t',
			300, '-s', 'start'));
	die "the server did not start: $out$err" . $self->log_text if $rc != 0;
	return;
}

sub stop {
	my ($self, $mode) = @_;
	$self->must(
		$self->as_owner("$self->{bindir}/pg_ctl", '-D', $self->data, '-m', $mode || 'fast', '-w', '-t', 300, '-s',
			'stop'));
	return;
}

# Ends every process of the server at once, as a failing machine would.
sub kill9 {
	my ($self) = @_;
	my $postmaster = $self->postmaster or die "the server does not run\n";
	# Stopped, it can neither fork nor see its children die and start to recover.
	kill 'STOP', $postmaster;
	my @processes = ($postmaster, children($postmaster));
	kill 'KILL', @processes;
	my $deadline = time + 300;
	for my $pid (@processes) {
		while (is_alive($pid)) {
			die "process $pid does not die\n" if time > $deadline;
			sleep 0.01;
		}
	}
	# Until process 1 has reaped it, and not every process 1 does, the dead postmaster looks alive to the next.
	unlink $self->data . '/postmaster.pid', "$self->{dir}/.s.PGSQL.5432.lock";
	return;
}

# The postmaster's process id, or nothing if the server does not run.
sub postmaster {
	my ($self) = @_;
	my ($pid) = slurp($self->data . '/postmaster.pid') =~ /^(\d+)/;
	return defined $pid && is_alive($pid) ? $pid : undef;
}

# A bare Debian has no ps.
sub children {
	my ($parent) = @_;
	# The name in parentheses may contain anything.
	return grep { slurp("/proc/$_/stat") =~ /\) \S $parent [^)]*\z/ } map { m{(\d+)} } glob '/proc/[0-9]*';
}

sub is_alive {
	my ($pid) = @_;
	my ($state) = slurp("/proc/$pid/stat") =~ /\) (\S)/;
	return defined $state && $state ne 'Z';
}

sub remove {
	my ($self) = @_;
	return if $self->{pid} != $$;    # a forked child's copy
	delete $running{ 0 + $self };
	waitpid $self->{starting}, 0 if $self->{starting};
	eval { $self->stop('immediate') } if $self->postmaster;
	remove_tree($self->{dir});
	return;
}

# ---- clients ----

# Runs SQL, or a psql script, and returns (exit status, output, errors). Stops at the first error.
sub psql {
	my ($self, $database, $sql, @arguments) = @_;
	return $self->run({ input => $sql }, $self->psql_command($database, @arguments));
}

# The output of SQL that has to succeed, without the last line's end.
sub query {
	my ($self, $database, $sql) = @_;
	my ($rc, $out, $err) = $self->psql($database, $sql);
	die "this failed: $sql\n$err" if $rc != 0;
	chomp $out;
	return $out;
}

# Starts psql in the background. `finish` waits for it and returns what psql returns.
sub spawn {
	my ($self, $database, $sql) = @_;
	return $self->fork_command({ input => $sql }, $self->psql_command($database));
}

sub finish {
	my ($self, $child) = @_;
	waitpid $child->{pid}, 0;
	delete $self->{starting};
	my $rc = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	return ($rc, slurp("$child->{out}"), slurp("$child->{err}"));
}

# Asks until the answer is "t", the more seldom the longer it takes; false if it is not within some minutes.
sub wait_for {
	my ($self, $database, $sql) = @_;
	my $deadline = time + 300;
	my $pause = 0.02;
	while (time < $deadline) {
		my ($rc, $out) = $self->psql($database, $sql);
		return 1 if $rc == 0 && $out eq "t\n";
		sleep $pause;
		$pause *= 1.5 if $pause < 0.5;
	}
	return 0;
}

sub create_database {
	my ($self, $database) = @_;
	$self->query('postgres', qq{CREATE DATABASE "$database"});
	return;
}

# A database with the extension, as CREATE EXTENSION makes it.
sub create_promote {
	my ($self, $database) = @_;
	if (defined $ENV{PROMOTE_TEMPLATE}) {
		$self->query('postgres', qq{CREATE DATABASE "$database" TEMPLATE promote_template});
		return;
	}
	$self->create_database($database);
	$self->query($database, 'CREATE EXTENSION promote');
	return;
}

# Dumps a database into a file; the arguments are pg_dump's, such as -Fc.
sub dump {
	my ($self, $database, $path, @arguments) = @_;
	$self->must("$self->{bindir}/pg_dump", $self->connection, @arguments, '-f', $path, $database);
	return;
}

# Restores a plain dump by psql, any other by pg_restore, and returns (exit status, output, errors).
sub restore {
	my ($self, $database, $path, @arguments) = @_;
	if (slurp($path, 5) eq 'PGDMP' || -d $path) {
		return $self->run("$self->{bindir}/pg_restore", $self->connection, '-d', $database, @arguments, $path);
	}
	return $self->run($self->psql_command($database, @arguments), '-f', $path);
}

sub psql_command {
	my ($self, $database, @arguments) = @_;
	return ("$self->{bindir}/psql", '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', $self->connection, '-d', $database,
		@arguments);
}

# The SET that has a backslash in a plain literal mean something, which PostgreSQL 19 knows no more.
sub set_backslashes {
	my ($self) = @_;
	return $self->major < 19 ? 'SET standard_conforming_strings = off;' : '';
}

# The setting that has a parallel worker do what it may, which PostgreSQL 16 has given another name.
sub parallel_setting {
	my ($self) = @_;
	return $self->major < 16 ? 'force_parallel_mode' : 'debug_parallel_query';
}

sub major {
	my ($self) = @_;
	return int($self->query('postgres', 'SHOW server_version_num') / 10000);
}

# ---- programs ----

# The server's programs run in /, where its user has access, and are shielded from the signals that end the test: a
# server half started is one that cannot be stopped.
sub as_owner {
	my ($self, @command) = @_;
	my @user = defined $self->{owner} ? ('runuser', '-u', $self->{owner}, '--') : ();
	# a sanitizer that the server was not built with
	my @preload = defined $ENV{PROMOTE_PRELOAD} ? ('env', "LD_PRELOAD=$ENV{PROMOTE_PRELOAD}") : ();
	return ({ shielded => 1 }, @user, @preload, @command);
}

# Runs a program and returns (exit status, output, errors). A hash in front may give its input.
sub run {
	my ($self, @command) = @_;
	return $self->finish($self->fork_command(@command));
}

sub must {
	my ($self, @command) = @_;
	my ($rc, $out, $err) = $self->run(@command);
	return $out if $rc == 0;
	my @words = grep { !ref } @command;
	die "this failed with status $rc: @words\n$out$err";
}

# Files rather than pipes: whatever the program leaves running cannot keep the reader waiting.
sub fork_command {
	my ($self, @command) = @_;
	my %how = ref $command[0] ? %{ shift @command } : ();
	my $in = File::Temp->new;
	$in->autoflush(1);
	print $in $how{input} // '' or die "cannot write the input: $!\n";
	seek $in, 0, 0;
	my %child = (out => File::Temp->new, err => File::Temp->new);
	$child{pid} = fork // die "cannot fork: $!\n";
	if ($child{pid}) {
		$self->{starting} = $child{pid} if $how{shielded};
		return \%child;
	}

	open STDIN, '<&', $in or POSIX::_exit(126);
	open STDOUT, '>&', $child{out} or POSIX::_exit(126);
	open STDERR, '>&', $child{err} or POSIX::_exit(126);
	if ($how{shielded}) {
		POSIX::setsid();
		chdir '/';
	}
	exec { $command[0] } @command or POSIX::_exit(127);
}

# A file's text, or as many of its first bytes as asked for; empty if it cannot be read.
sub slurp {
	my ($path, $length) = @_;
	open my $file, '<', $path or return '';
	return do { local $/; scalar(<$file>) // '' } if !defined $length;
	read $file, my ($text), $length;
	return $text // '';
}

1;
