#!/usr/bin/perl
# Runs the suites against the server that PGHOST and the other variables point at, and counts.
#
#   perl test/run.pl [--log SERVER-LOG] [AREA...]
#
# What a suite prints is shown only where something failed, but for comments that start with "result: " and the reason
# why a whole file is skipped. The last line is "N passed, N failed": pgTAP and TAP
# assertions, and one for each pg_regress and isolation test. An assertion that never came to run has failed; so
# has a file that ended badly in any other way, and a suite that could not run. Skipped ones count as neither.
use strict;
use warnings;
use File::Basename qw(basename);
use File::Temp ();
use Getopt::Long qw(GetOptions);
use POSIX ();
use TAP::Parser;

# A file that takes longer, in seconds, hangs, and whoever waits for the verdict wants to know which.
our $time_limit = 600;

my %total = (passed => 0, failed => 0, skipped => 0);
my $found = 0;    # test files that the arguments selected
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my $log;
GetOptions('log=s' => \$log) or exit 2;
my %rooms = rooms();

$| = 1;
# The signal goes to the whole process group. A test has servers of its own to stop, and is waited for.
my $running;
my @signals = qw(HUP INT TERM);
$SIG{$_} = \&end for @signals;

eval {
	run_make('pg_regress', 'REGRESS', selected('test/regress/*.sql'));
	run_make('isolation', 'ISOLATION', selected('test/specs/*.spec'));
	run_pgtap(selected('test/sql/*/*.sql'));
	run_tap($_, $^X, '-Itest/t/lib', $_) for selected('test/t/*.pl');
	1;
} or count_failure("the test run broke off: $@");

count_failure('no test matches: ' . join(' ', @ARGV)) if !$found;
check_log() if defined $log;

print "$total{skipped} skipped\n" if $total{skipped};
print "$total{passed} passed, $total{failed} failed\n";
exit($total{failed} ? 1 : 0);

sub end {
	$SIG{$_} = 'IGNORE' for @signals;
	waitpid $running, 0 if $running;
	exit 143;
}

# The files of a pattern that the arguments ask for: each names an area (request), which selects request.sql and
# request_moves.sql, a room, which selects all that test its areas, or a file.
sub selected {
	my ($pattern) = @_;
	my @files = sort glob $pattern;
	@files = grep { is_wanted($_) } @files if @ARGV;
	$found += @files;
	return @files;
}

sub is_wanted {
	my ($file) = @_;
	my $name = basename($file) =~ s/\.\w+$//r;
	# the longest beginning of the name that is an area says what is tested, or the folder does
	my $area = $name;
	1 while !$rooms{$area} && $area =~ s/_?[^_]+$//;
	my %room = map { $_ => 1 } $file =~ m{^test/sql/(\w+)/} ? $1 : @{ $rooms{$area} // [] };
	for my $wanted (@ARGV) {
		return 1 if $wanted =~ /\.\w+$/ ? "/$file" =~ m{/\Q$wanted\E$} : $room{$wanted} || $name =~ /^\Q$wanted\E(?:_|$)/;
	}
	return 0;
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

# pg_regress and its isolation sibling, through the Makefile as `make installcheck` runs them.
sub run_make {
	my ($what, $variable, @files) = @_;
	return if !@files;
	my @names = map { basename($_) =~ s/\.\w+$//r } @files;
	my %none  = (REGRESS => '', ISOLATION => '');
	my %only  = (%none, $variable => join(' ', @names));
	local $time_limit = $time_limit + 60 * @files;
	my ($output, $status) =
	  capture('make', '-s', "PG_CONFIG=$pg_config", 'installcheck', map { "$_=$only{$_}" } sort keys %only);

	my $passed = 0;
	for my $name (@names) {
		# "test json ... ok 12 ms" up to PostgreSQL 15, "ok 1 - json 12 ms" since.
		my $is_ok = $output =~ /^(?:test\s+\Q$name\E\s+\.\.\.\s+ok\b|ok\s+\d+\s+[-+]\s+\Q$name\E\s)/m;
		report("$what/$name", $is_ok ? 1 : 0, $is_ok ? 0 : 1);
		$passed += $is_ok;
	}
	if ($passed < @names) {
		my $directory = $variable eq 'REGRESS' ? 'regress' : 'isolation';
		print $output, slurp("test/output/$directory/regression.diffs");
	}
	elsif ($status != 0) {
		count_failure("$what ended with status $status, though no test failed\n$output");
	}
}

# Each file gets a database of its own, so that it may commit.
sub run_pgtap {
	my (@files) = @_;
	return if !@files;
	my $template = 'promote_pgtap';
	for my $command (
		[ 'postgres', "DROP DATABASE IF EXISTS $template" ],
		[ 'postgres', "CREATE DATABASE $template" ],
		[ $template, 'CREATE EXTENSION pgtap' ],
		[ $template, 'CREATE EXTENSION promote' ])
	{
		my ($database, $sql) = @$command;
		my ($output, $status) = capture(psql($database), '-c', $sql);
		return count_failure("pgTAP could not run: $sql\n$output") if $status != 0;
	}
	for my $file (@files) {
		my $database = 'test_' . join '_', $file =~ m{(\w+)/(\w+)\.sql$};
		wait_for_server();
		my ($output, $status) = capture(psql('postgres'), '-c', qq{DROP DATABASE IF EXISTS "$database"},
			'-c', qq{CREATE DATABASE "$database" TEMPLATE $template});
		if ($status != 0) {
			count_failure("$file could not run\n$output");
			next;
		}
		run_tap($file, psql($database), '-At', '-f', $file);
		capture(psql('postgres'), '-c', qq{DROP DATABASE IF EXISTS "$database"});
	}
}

# After a crash in one file the server recovers, and the next file need not suffer.
sub wait_for_server {
	for (1 .. 60) {
		return if system('pg_isready', '-q') == 0;
		sleep 1;
	}
}

sub psql {
	my ($database) = @_;
	return ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-P', 'pager=off', '-d', $database);
}

# Runs one program that speaks TAP.
sub run_tap {
	my ($name, @command) = @_;
	my ($output, $status) = capture(@command);
	my $parser = TAP::Parser->new({ tap => $output });
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
	push @problems, "it ended with status $status" if $status != 0;
	$failed++ if @problems && !$failed;

	$total{skipped} += $skipped;
	if ($parser->skip_all && !$failed) {
		$total{skipped}++;
		printf "%-40s skipped: %s\n", $name, $parser->skip_all;
		return;
	}
	report($name, $passed, $failed);
	print map { "    $_\n" } $output =~ /^# result: (.*)$/mg if !$failed;
	print $output, map { "$name: $_\n" } @problems if $failed;
}

# A crash restarts the server and need not fail any test: the log tells.
sub check_log {
	my $trouble = qr/was terminated by signal|^PANIC:|\bPANIC:  |^TRAP:|runtime error:|AddressSanitizer|write past chunk end|problem in alloc set/;
	my @lines = grep { /$trouble/ } split /^/, slurp($log);
	count_failure("the server's log tells of a crash\n" . join('', @lines)) if @lines;
}

sub report {
	my ($name, $passed, $failed) = @_;
	$total{passed} += $passed;
	$total{failed} += $failed;
	printf "%-40s %s\n", $name, $failed ? "FAILED ($failed of " . ($passed + $failed) . ')' : "ok ($passed)";
}

sub count_failure {
	my ($why) = @_;
	$total{failed}++;
	chomp $why;
	print "FAILED: $why\n";
}

# Runs a command and returns all that it printed, and its exit status.
sub capture {
	my @command = @_;
	my $file = File::Temp->new;
	my $pid = fork // die "cannot fork: $!\n";
	if (!$pid) {
		$SIG{$_} = 'DEFAULT' for @signals;
		open STDIN, '<', '/dev/null' or POSIX::_exit(126);
		open STDOUT, '>&', $file or POSIX::_exit(126);
		open STDERR, '>&', $file or POSIX::_exit(126);
		exec 'timeout', '--foreground', '-k', 10, $time_limit, @command or POSIX::_exit(127);
	}
	$running = $pid;
	waitpid $pid, 0;
	$running = undef;
	my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	my $output = slurp("$file");
	$output .= "\nended after $time_limit seconds\n" if $status == 124;
	return ($output, $status);
}

sub slurp {
	my ($path) = @_;
	open my $file, '<', $path or return '';
	local $/;
	return scalar(<$file>) // '';
}
