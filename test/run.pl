#!/usr/bin/perl
# Runs the tests, several at a time, and counts.
#
#   perl test/run.pl [--long] [--list] [--jobs N] [AREA...]
#
# There are as many lanes as processors. Each has a server of its own, which one test after the other gets, so that no
# test sees another's roles, load or crash; tests of test/t start servers themselves. All are copies of one that was
# made for the run. The order in which they run does not matter: those that took longest the last time begin.
#
# The short round is that of every commit. It leaves out those of %long, and PROMOTE_SHORT is set for the others, of
# which those that try much at random try less. --long runs all there is, and so does who names an area. --list says
# which these are, and runs none.
#
# What a test prints is shown only where something failed, but for comments that start with "result: " and the reason
# why a whole file is skipped. The last line is "N passed, N failed": pgTAP and TAP assertions, and one for each
# pg_regress and isolation test. An assertion that never came to run has failed; so has a file that ended badly in any
# other way, and a server that crashed. Skipped ones count as neither.
use strict;
use warnings;
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use File::Temp ();
use FindBin ();
use Getopt::Long qw(GetOptions);
use POSIX ();
use TAP::Parser;
use Time::HiRes qw(time);
use lib "$FindBin::Bin/t/lib";
use PromoteTest;

# A file that takes longer, in seconds, hangs, and whoever waits for the verdict wants to know which. The longest
# ones have taken more than half of that on a machine that was shared by many.
our $time_limit = 1200;

# What the short round leaves out: what takes long for what it tells that nothing else does.
my %long = map { $_ => 1 } qw(abort_crash.pl access_role_matrix.pl archive_long.sql backtest_agrees.sql
	blame_replay.pl calendar_read.pl dependency_crash.pl deploy_set_agrees.sql deploy_set_crash.pl
	digest_programs.pl document_agrees.sql document_trip.pl event_order.pl event_restore.pl event_webhook.pl
	extension_dump.pl extension_history.pl extension_install_attacks.pl extension_lookalikes.pl
	extension_pg_upgrade.pl extension_reinstall.pl extension_update.pl fork_agrees.sql fork_crash.pl
	html_browser.pl html_demo.pl html_viewer.pl import_trip.pl json/limits.sql markdown_rendered.pl
	matrix_random.sql notify_worker.pl pattern_encodings.pl pipeline_drawn.pl plan_sizes.pl policy_endless.pl
	promote_agrees.sql promote_environments_crash.pl promotion_agrees.pl promotion_crash.pl
	promotion_set_memory.pl promotion_set_random.sql record_bypass.pl report_grafana.pl revision_bulk.pl
	rule_hold_brakes.pl rule_hold_prepared.pl schema/pattern.sql schema_annotation_suite.pl schema_suite.pl
	secret_machine.pl sql_snapshots.pl tree_build.pl tree_dist.pl verify_evidence.sql verify_evidence_odd.sql
	verify_guards.pl verify_parts.sql worker_example.pl worker_killed.pl);

my %total = (passed => 0, failed => 0, skipped => 0);
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
chomp(my $processors = `nproc`);
my ($long, $list, $jobs) = (0, 0, $processors);
GetOptions('long' => \$long, 'list' => \$list, 'jobs=i' => \$jobs) or exit 2;
my $short = !$long && !@ARGV;
$ENV{PROMOTE_SHORT} = 1 if $short;
delete $ENV{PROMOTE_SHORT} if !$short;

$| = 1;
my $pgtap  = 'promote_pgtap';      # a database with pgTAP and promote, in each lane's server
my $template;                      # the server of which all others are copies
my $output   = 'test/output';      # of one's own, for each lane below it
my %running;                       # the tests that run, by process id
my %seconds;                       # that each test took

# The signal goes to the whole process group. A test has servers of its own to stop, and is waited for. Then
# PromoteTest stops those of the lanes.
my @signals = qw(HUP INT TERM);
$SIG{$_} = \&end for @signals;

my @tests = tests();
if ($list) {
	print map { "$_\n" } @tests;
	exit;
}
if (!eval { run_all(@tests); 1 }) {
	count_failure("the test run broke off: $@");
	kill TERM => keys %running;
	waitpid $_, 0 for keys %running;
}

my @slowest = sort { $seconds{$b} <=> $seconds{$a} || $a cmp $b } keys %seconds;
if (@slowest > 10) {
	print "the slowest:\n", map { sprintf "%8.1f s  %s\n", $seconds{$_}, $_ } @slowest[ 0 .. 9 ];
}
print "$total{skipped} skipped\n" if $total{skipped};
print "$total{passed} passed, $total{failed} failed\n";
exit($total{failed} ? 1 : 0);

sub end {
	$SIG{$_} = 'IGNORE' for @signals;
	waitpid $_, 0 for keys %running;
	exit 143;
}

# ---- which tests ----

# Those that the arguments ask for. An argument that asks for nothing is a slip, and has failed.
sub tests {
	my %rooms = rooms();
	my @files = sort glob 'test/regress/*.sql test/specs/*.spec test/sql/*/*.sql test/t/*.pl';
	if (@ARGV) {
		my %wanted;
		for my $wanted (@ARGV) {
			my @found = grep { is_wanted($_, $wanted, \%rooms) } @files;
			count_failure("no test matches: $wanted") if !@found;
			@wanted{@found} = ();
		}
		@files = grep { exists $wanted{$_} } @files;
	}
	return grep { !$short || !is_long($_) } @files;
}

sub is_long {
	my ($file) = @_;
	return grep { $long{$_} } basename($file), $file =~ m{(\w+/[^/]+)$};
}

# Whether a word asks for a file. It is an area (request), for which there are request.sql and request_moves.sql, a
# room, that of the area that is tested, or a file.
sub is_wanted {
	my ($file, $wanted, $rooms) = @_;
	return "/$file" =~ m{/\Q$wanted\E$} if $wanted =~ /\.\w+$/;
	my $name = basename($file) =~ s/\.\w+$//r;
	# the longest beginning of the name that is an area says what is tested, or the folder does
	my $area = $name;
	1 while !$rooms->{$area} && $area =~ s/_?[^_]+$//;
	my @in = $file =~ m{^test/sql/(\w+)/} ? $1 : @{ $rooms->{$area} // [] };
	return $name =~ /^\Q$wanted\E(?:_|$)/ || grep { $_ eq $wanted } @in;
}

# Which rooms have an area of a name.
sub rooms {
	my %rooms;
	for (glob 'src/*/*.[ch] sql/*/*.sql') {
		my ($room, $area) = m{/(\w+)/(\w+)\.\w+$} or next;
		push @{ $rooms{$area} }, $room;
	}
	return %rooms;
}

# ---- running them ----

sub run_all {
	my @waiting = sort_by_last_time(@_);
	my $count = @waiting or return;
	$template = PromoteTest->template;
	my @idle = map { { number => $_ } } 1 .. ($jobs < $count ? $jobs : $count);
	my @lanes = @idle;
	while (@waiting || %running) {
		while (@waiting && @idle) {
			start(shift @waiting, shift @idle);
		}
		my $pid = waitpid -1, 0;
		my $test = delete $running{$pid} or next;
		$test->{status} = $? & 127 ? 128 + ($? & 127) : $? >> 8;
		$seconds{ $test->{file} } = time - $test->{began};
		push @idle, $test->{lane};
		printf '%*d/%d ', length $count, $count - @waiting - keys %running, $count;
		judge($test);
	}
	remember_times();
	check_log($_) for grep { $_->{node} } @lanes;
	return;
}

# Starts a test in a lane.
sub start {
	my ($file, $lane) = @_;
	my %test = (file => $file, lane => $lane, output => File::Temp->new, began => time);
	my @command = command($file, $lane);
	my $pid = fork // die "cannot fork: $!\n";
	if (!$pid) {
		$SIG{$_} = 'DEFAULT' for @signals;
		if ($lane->{node}) {
			@ENV{qw(PGHOST PGPORT PGUSER)} = ($lane->{node}->dir, 5432, 'postgres');
		}
		open STDIN, '<', '/dev/null' or POSIX::_exit(126);
		open STDOUT, '>&', $test{output} or POSIX::_exit(126);
		open STDERR, '>&', $test{output} or POSIX::_exit(126);
		exec 'timeout', '--foreground', '-k', 10, $time_limit, @command or POSIX::_exit(127);
	}
	$running{$pid} = \%test;
	return;
}

# What runs a test: pg_regress and its isolation sibling through the Makefile, as `make installcheck` does; a file of
# pgTAP by psql, in a database of its own, so that it may commit.
sub command {
	my ($file, $lane) = @_;
	return ($^X, '-Itest/t/lib', $file) if $file =~ /\.pl$/;
	my $node = ready($lane);
	if ($file =~ m{^test/sql/}) {
		copy_database($node, pgtap => $pgtap);
		return ("$bindir/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-P', 'pager=off', '-d', 'pgtap', '-At', '-f',
			$file);
	}
	my $name = basename($file) =~ s/\.\w+$//r;
	my ($only, $none, $database) = $file =~ /\.spec$/ ? qw(ISOLATION REGRESS isolation_regression)
		: qw(REGRESS ISOLATION contrib_regression);
	copy_database($node, $database => 'promote_template');
	return ('make', '-s', "PG_CONFIG=$pg_config", "TEST_OUTPUT=" . outputs($lane), 'TEST_DATABASE=--use-existing',
		'installcheck', "$only=$name", "$none=");
}

# Makes a database anew, which takes a copy a tenth of the time that the extension takes.
sub copy_database {
	my ($node, $database, $copied) = @_;
	$node->query('postgres', "DROP DATABASE IF EXISTS $database WITH (FORCE)");
	$node->query('postgres', "CREATE DATABASE $database TEMPLATE $copied");
	return;
}

sub outputs { return "$output/lane$_[0]{number}" }

# A lane's server, which is waited for: after a crash in one file it recovers, and the next file need not suffer. What
# plans are made and how many rows they come to does not hang on when autovacuum has passed.
sub ready {
	my ($lane) = @_;
	if (!$lane->{node}) {
		my $node = $lane->{node} = PromoteTest->new('autovacuum = off');
		$node->create_promote($pgtap);
		$node->query($pgtap, 'CREATE EXTENSION pgtap');
	}
	$lane->{node}->wait_for('postgres', 'SELECT true') or die "the server of a lane is gone\n";
	return $lane->{node};
}

# The longest first, so that none is left over at the end. Those of which nothing is known may be long.
sub sort_by_last_time {
	my @files = @_;
	my %last = map { /^(\S+) (\S+)$/ ? ($1 => $2) : () } split /\n/, slurp("$output/seconds");
	return sort { ($last{$b} // 1e6) <=> ($last{$a} // 1e6) || $b cmp $a } @files;
}

sub remember_times {
	my %last = ((map { /^(\S+) (\S+)$/ ? ($1 => $2) : () } split /\n/, slurp("$output/seconds")), %seconds);
	make_path($output);
	open my $file, '>', "$output/seconds" or return;
	printf $file "%s %.1f\n", $_, $last{$_} for sort keys %last;
	close $file;
	return;
}

# ---- what became of them ----

sub judge {
	my ($test) = @_;
	my $text = slurp("$test->{output}");
	$text .= "\nended after $time_limit seconds\n" if $test->{status} == 124;
	return judge_tap($test, $text) if $test->{file} =~ m{^test/(?:sql|t)/};

	my $name = basename($test->{file}) =~ s/\.\w+$//r;
	# "test json ... ok 12 ms" up to PostgreSQL 15, "ok 1 - json 12 ms" since.
	my $is_ok = $test->{status} == 0 && $text =~ /^(?:test\s+\Q$name\E\s+\.\.\.\s+ok\b|ok\s+\d+\s+[-+]\s+\Q$name\E\s)/m;
	report($test, $is_ok ? 1 : 0, $is_ok ? 0 : 1);
	return if $is_ok;
	print $text, map { slurp($_) } glob outputs($test->{lane}) . '/*/regression.diffs';
}

sub judge_tap {
	my ($test, $text) = @_;
	my $parser = TAP::Parser->new({ tap => $text });
	my ($passed, $skipped, $failed) = (0, 0, 0);
	while (my $result = $parser->next) {
		next if !$result->is_test;
		if (!$result->is_ok) { $failed++ }
		elsif ($result->has_skip || $result->has_todo) { $skipped++ }
		else { $passed++ }
	}
	my $missing = ($parser->tests_planned // 0) - $parser->tests_run;
	$failed += $missing if $missing > 0;
	# No plan, too many tests, a number out of order, an exit status.
	my @problems = $parser->parse_errors;
	push @problems, "it ended with status $test->{status}" if $test->{status} != 0;
	$failed++ if @problems && !$failed;

	$total{skipped} += $skipped;
	if ($parser->skip_all && !$failed) {
		$total{skipped}++;
		printf "%-44s skipped: %s\n", $test->{file}, $parser->skip_all;
		return;
	}
	report($test, $passed, $failed);
	print map { "    $_\n" } $text =~ /^# result: (.*)$/mg if !$failed;
	print $text, map { "$test->{file}: $_\n" } @problems if $failed;
}

# A crash restarts the server and need not fail any test: the log tells.
sub check_log {
	my ($lane) = @_;
	my $trouble = qr/was\ terminated\ by\ signal|^PANIC:|\bPANIC:\ \ |^TRAP:|runtime\ error:|AddressSanitizer
		|write\ past\ chunk\ end|problem\ in\ alloc\ set/x;
	my @lines = grep { /$trouble/ } split /^/, $lane->{node}->log_text;
	count_failure("the server's log tells of a crash\n" . join('', @lines)) if @lines;
}

sub report {
	my ($test, $passed, $failed) = @_;
	$total{passed} += $passed;
	$total{failed} += $failed;
	printf "%-44s %s %.1f s\n", $test->{file}, $failed ? "FAILED ($failed of " . ($passed + $failed) . ')'
		: "ok ($passed)",
	  $seconds{ $test->{file} };
}

sub count_failure {
	my ($why) = @_;
	$total{failed}++;
	chomp $why;
	print "FAILED: $why\n";
}

sub slurp { return PromoteTest::slurp(@_) }
