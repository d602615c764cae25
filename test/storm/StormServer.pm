package StormServer;

# A server that faults are done to: processes that are killed, stops, a full disk, power that fails, a standby that
# takes over, backends without memory.
#
#   my $server = StormServer->new(@settings);
#   my %without = $server->left_out;    # kinds of faults that cannot be had here, and why
#   $server->$kind for ...;             # each returns once the server takes connections again
#
# Its data are on a file system of their own, an ext4 in a file, where root may mount one. Clients find whichever of the
# two servers is the primary by $server->environment.

use strict;
use warnings;
use parent -norequire, 'PromoteTest';
use Time::HiRes qw(sleep time);
use PromoteTest;

use constant DISK => '1500M';
use constant EXT4_IOC_SHUTDOWN => 0x8004587D;    # linux/fs/ext4/ext4.h; xfstests' src/godown.c does the same
use constant NOTHING_FLUSHED => 2;               # EXT4_GOING_FLAGS_NOLOGFLUSH
use constant PATIENCE => 300;                    # seconds until a server that does not come back has failed

# Kinds of faults, and how often each comes.
use constant KINDS => (backend => 3, process => 2, postmaster => 3, everything => 3, immediate => 2, restart => 1,
	twice => 2, terminate => 2, cancel => 1, memory => 2, standby => 2, full => 2, power => 4);

sub new {
	my ($class, @settings) = @_;
	$ENV{PGCTLTIMEOUT} = PATIENCE;
	my $self = $class->SUPER::new('fsync = on', 'synchronous_commit = on', 'full_page_writes = on',
		'shared_buffers = 32MB', 'max_connections = 60', 'max_wal_size = 64MB', 'min_wal_size = 32MB',
		'checkpoint_timeout = 30s', 'wal_level = replica', 'recovery_init_sync_method = syncfs',
		'wal_keep_size = 64MB', 'log_checkpoints = off', @settings);
	$self->flush;
	return $self;
}

# ---- where it is ----

# The directory of the data: one of two, by turns, as each failover is to the other one.
sub data {
	my ($self) = @_;
	$self->{disk} //= $self->make_disk;
	return "$self->{disk}/" . $self->side;
}

sub side { my ($self) = @_; return $self->{side} //= 'a' }
sub other { my ($self) = @_; return $self->side eq 'a' ? 'b' : 'a' }
sub port { my ($self, $side) = @_; return ($side // $self->side) eq 'a' ? 5432 : 5433 }
sub connection { my ($self) = @_; return ('-h', $self->dir, '-p', $self->port, '-U', 'postgres') }

# For clients that go where rows can be written.
sub environment {
	my ($self, $database) = @_;
	return (PGHOST => $self->dir . ',' . $self->dir, PGPORT => join(',', map { $self->port($_) } 'a', 'b'),
		PGTARGETSESSIONATTRS => 'read-write', PGUSER => 'postgres', PGDATABASE => $database);
}

# A file system in a file, or else a directory.
sub make_disk {
	my ($self) = @_;
	my ($disk, $image) = map { $self->dir . "/$_" } 'disk', 'image';
	mkdir $disk or die "cannot make $disk: $!\n";
	if ($> != 0) {
		$self->{no_disk} = 'only root can mount a file system';
	} elsif (!quietly(qw(truncate -s), DISK, $image) || !quietly(qw(mkfs.ext4 -q -F -m 0), $image)) {
		$self->{no_disk} = 'there is no mkfs.ext4';
	} elsif (!quietly(qw(mount -o), 'loop,commit=30', $image, $disk)) {
		$self->{no_disk} = 'a file system in a file cannot be mounted';
	} else {
		$self->{image} = $image;
	}
	if (defined $self->{owner}) {
		my (undef, undef, $uid, $gid) = getpwnam $self->{owner};
		chown $uid, $gid, $disk or die "cannot give $disk to $self->{owner}: $!\n";
	}
	return $disk;
}

sub left_out {
	my ($self) = @_;
	return ($self->{no_disk} ? map { ($_ => $self->{no_disk}) } qw(full power) : (),
		quietly(qw(prlimit --version)) ? () : (memory => 'there is no prlimit'));
}

# Nobody would go on with files that were made without being flushed.
sub flush { my ($self) = @_; quietly(qw(sync -f), $self->{disk}); return }

# Runs a program without its output; was it well?
sub quietly {
	my @command = @_;
	my $pid = fork // die "cannot fork: $!\n";
	if (!$pid) {
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return $? == 0;
}

sub remove {
	my ($self) = @_;
	return if $self->{pid} != $$;
	eval { $self->stop('immediate') } if $self->postmaster;
	$self->unmount if $self->{image};
	return $self->SUPER::remove;
}

# ---- up again ----

sub until_true {
	my ($what, $is_true) = @_;
	my $deadline = time + PATIENCE;
	while (!$is_true->()) {
		die "this does not happen: $what\n" if time > $deadline;
		sleep 0.05;
	}
	return;
}

# Starts the server if it does not run, and waits until it takes connections.
sub up {
	my ($self) = @_;
	until_true('the server comes back', sub {
		if (!$self->postmaster) {
			# what it left may still be dying, and have the shared memory
			eval { $self->start; 1 } or return 0;
		}
		my ($rc) = $self->psql('postgres', 'SELECT 1');
		return $rc == 0;
	});
	return;
}

# Process ids of sessions that work.
sub sessions {
	my ($self) = @_;
	my ($rc, $out) = $self->psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE application_name = 'history' ORDER BY pid");
	return $rc == 0 ? split /\n/, $out : ();
}

sub pick { return $_[rand @_] }

# Waits for a session, of which there are none right after another fault.
sub a_session {
	my ($self) = @_;
	my @pids;
	until_true('a session', sub { return @pids = $self->sessions });
	return pick(@pids);
}

# ---- faults ----

# A session's process is killed, as the OOM killer does it: all others end as well, and the server recovers.
sub backend {
	my ($self) = @_;
	kill 'KILL', $self->a_session;
	return $self->up;
}

# Any process but the postmaster is: the checkpointer, the writer of WAL, the notifier.
sub process {
	my ($self) = @_;
	kill 'KILL', pick(PromoteTest::children($self->postmaster));
	return $self->up;
}

# The postmaster alone is; the others find that out by themselves.
sub postmaster_killed {
	my ($self) = @_;
	my $pid = $self->postmaster;
	my @orphans = PromoteTest::children($pid);
	kill 'KILL', $pid;
	until_true('orphans end', sub { return !grep { PromoteTest::is_alive($_) } $pid, @orphans });
	$self->forget_dead;
	return $self->up;
}

# All are, at once.
sub everything {
	my ($self) = @_;
	$self->kill9;
	return $self->up;
}

sub immediate {
	my ($self) = @_;
	$self->stop('immediate');
	return $self->up;
}

sub restart {
	my ($self) = @_;
	$self->stop('fast');
	return $self->up;
}

# All are killed, and again when the server recovers.
sub twice {
	my ($self) = @_;
	$self->kill9;
	my $starting = $self->fork_command($self->as_owner($self->program('pg_ctl'), '-D', $self->data, '-l',
		$self->dir . '/log', '-s', '-W', 'start'));
	$self->finish($starting);
	sleep rand 0.3;
	eval { $self->kill9 };
	return $self->up;
}

# Backends are terminated, or their statements cancelled, one after the other.
sub terminate { my ($self) = @_; return $self->signal_some('pg_terminate_backend', 15, 0.1) }
sub cancel { my ($self) = @_; return $self->signal_some('pg_cancel_backend', 30, 0.05) }

sub signal_some {
	my ($self, $how, $times, $pause) = @_;
	for (1 .. $times) {
		$self->query('postgres', "SELECT $how(pid) FROM (SELECT pid FROM pg_stat_activity
			WHERE application_name = 'history' ORDER BY random() LIMIT 1) AS v");
		sleep rand 2 * $pause;
	}
	return;
}

# Half of the backends get no more memory than they have, or hardly any, for a while.
sub memory {
	my ($self) = @_;
	$self->a_session;
	my @pids = $self->sessions;
	my @poor = grep { rand() < 0.5 } @pids;
	for my $pid (@poor ? @poor : @pids) {
		my ($kb) = PromoteTest::slurp("/proc/$pid/status") =~ /^VmSize:\s+(\d+) kB/m or next;
		quietly('prlimit', '--pid', $pid, '--as=' . ($kb * 1024 + int rand 2_000_000) . ':');
	}
	sleep 1 + rand;
	quietly('prlimit', '--pid', $_, '--as=unlimited:') for @poor ? @poor : @pids;
	return $self->up;
}

# The disk has no more room, for a while.
sub full {
	my ($self) = @_;
	my $filler = "$self->{disk}/filler";
	# what cannot be allocated as a whole is in halves
	for (my $size = 2**31, my $n = 0; $size >= 4096; $size /= 2) {
		$n++ while quietly('fallocate', '-l', $size, "$filler.$n");
	}
	sleep 1 + rand 2;
	unlink glob "$filler.*";
	return $self->up;
}

# Power fails: from one moment on nothing more comes to the disk, and of what was written only that is there which was
# flushed before, or happened to be. The server that goes on with it was killed.
sub power {
	my ($self) = @_;
	$self->{postmaster} = $self->postmaster;
	open my $disk, '<', $self->data . '/PG_VERSION' or die "cannot open the data: $!\n";
	my $how = pack 'L', NOTHING_FLUSHED;
	ioctl $disk, EXT4_IOC_SHUTDOWN, $how or die "the file system does not shut down: $!\n";
	close $disk;
	$self->kill9;
	delete $self->{postmaster};
	$self->unmount;
	until_true('the file system is mounted', sub {
		return quietly(qw(mount -o), 'loop,commit=30', $self->{image}, $self->{disk});
	});
	$self->forget_dead;
	return $self->up;
}

sub unmount {
	my ($self) = @_;
	return until_true('the file system is unmounted', sub { return quietly('umount', $self->{disk}) });
}

# A standby is made, replicates synchronously while sessions work on, and takes over from a primary that is killed.
sub standby {
	my ($self) = @_;
	my ($from, $to) = ($self->data, "$self->{disk}/" . $self->other);
	$self->must('rm', '-rf', $to);
	$self->must($self->as_owner($self->program('pg_basebackup'), $self->connection, '-D', $to, '-R', '-c', 'fast',
		'-X', 'stream', '--no-sync'));
	open my $settings, '>>', "$to/postgresql.conf" or die "cannot open $to/postgresql.conf: $!\n";
	printf $settings "port = %d\n", $self->port($self->other);
	close $settings;
	$self->flush;
	$self->must($self->as_owner($self->program('pg_ctl'), '-D', $to, '-l', $self->dir . '/log', '-w', '-s', 'start'));
	$self->query('postgres', q{ALTER SYSTEM SET synchronous_standby_names = '*'});
	$self->query('postgres', 'SELECT pg_reload_conf()');
	# what was committed before it was synchronous is there as well
	my $lsn = $self->query('postgres', 'SELECT pg_current_wal_flush_lsn()');
	until_true('the standby is there', sub {
		return $self->query('postgres', "SELECT count(*) FROM pg_stat_replication
			WHERE sync_state = 'sync' AND flush_lsn >= '$lsn'") == 1;
	});
	sleep 0.5 + rand 1.5;
	$self->kill9;
	$self->{side} = $self->other;
	$self->must($self->as_owner($self->program('pg_ctl'), '-D', $self->data, '-w', '-s', 'promote'));
	$self->must('rm', '-rf', $from);
	return $self->up;
}

sub program {
	my ($self, $name) = @_;
	chomp($self->{bindir} //= `@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir`);
	return "$self->{bindir}/$name";
}

# ---- what PromoteTest has for one server on a disk that works ----

# What clients are told by the environment is not for servers.
sub as_owner {
	my ($self, @command) = @_;
	return $self->SUPER::as_owner('env', (map { ('-u', $_) } qw(PGHOST PGPORT PGTARGETSESSIONATTRS PGUSER PGDATABASE)),
		@command);
}

# Whose file cannot be read any more is known from before.
sub postmaster {
	my ($self) = @_;
	return $self->{postmaster} // $self->SUPER::postmaster;
}

sub kill9 {
	my ($self) = @_;
	$self->SUPER::kill9;
	$self->forget_dead;
	return;
}

# A dead server's files make it look alive to the next.
sub forget_dead {
	my ($self) = @_;
	unlink $self->data . '/postmaster.pid', $self->dir . '/.s.PGSQL.' . $self->port . '.lock';
	return;
}

1;
