#!/usr/bin/perl
#
# storm.pl: eight sessions call all verbs at random on a server that is killed, stopped, cut from its disk, its power or
# its memory, and replaced by its standby. What they were told is kept outside, and held after each recovery against
# what is there.
#
# usage: storm.pl [--faults N] [--only KIND,...] [--set NAME=VALUE]... [seconds [seed]]
#
# Sessions work in legs of some faults each. Right after each fault promote.check_invariants() and
# promote.verify_audit() are asked, while sessions work on; at the end of a leg everybody stands still, and all that the
# sessions were told is held against what is recorded (HistoryCheck). After some legs everything begins anew. It ends
# when the time is over and N faults were done, and prints a table, in Markdown, whose numbers of what is lost,
# contradicts itself or was promised otherwise have to be 0: else the exit status is 1, and the findings stand above the
# table. With the same seed the same faults come in the same order, and sessions ask for much the same.
#
# The server is its own, made in /tmp by PG_CONFIG, with settings by --set: with synchronous_commit=off it loses what
# was acknowledged, as it may, and the table says that. What takes root, or programs that are not there, is left out,
# and the table says so.
#
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../t/lib", "$FindBin::Bin/../fuzz/lib";
use Getopt::Long qw(GetOptions);
use POSIX qw(strftime);
use Storable qw(dclone);
use Time::HiRes qw(sleep time);
use PromoteTest;
use HistoryCheck;
use HistoryWork;
use StormServer;

use constant LEG => 3;         # faults
use constant WORK => 20;       # events that sessions leave before each fault, at least
use constant PAUSE => 1;       # seconds that they work on then, at most
use constant LEGS => 5;        # of one history
use constant SHOWN => 3;       # findings of a kind
use constant LOST => ('lost update', 'acknowledged, and not recorded', 'revisions');
use constant BROKEN => ('check_invariants', 'verify_audit', 'chain');

my ($at_least, $only, %set) = (1);
GetOptions('faults=i' => \$at_least, 'only=s' => \$only, 'set=s' => \%set) or exit 2;
my ($seconds, $seed) = ($ARGV[0] // 60, $ARGV[1] // time % 100_000);

# What is mounted goes with this process, however that ends.
if ($> == 0 && !$ENV{STORM_ALONE} && StormServer::quietly(qw(unshare -m true))) {
	$ENV{STORM_ALONE} = 1;
	exec qw(unshare -m --propagation private), $^X, $0, '--faults', $at_least, defined $only ? ('--only', $only) : (),
		(map { ('--set', "$_=$set{$_}") } sort keys %set), $seconds, $seed;
}

my $documented = HistoryCheck::documented("$FindBin::Bin/../../doc/reference/errors.md",
	qw(cancel terminate crash full memory));
my $server = StormServer->new(map { "$_ = '$set{$_}'" } sort keys %set);
my %left_out = $server->left_out;
$server->create_database('storm');
chomp(my $bindir = `@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir`);
$ENV{PATH} = "$bindir:$ENV{PATH}";
%ENV = (%ENV, $server->environment('storm'));

my %weight = StormServer::KINDS;
my @asked = defined $only ? split /,/, $only : sort keys %weight;
if (my @unknown = grep { !$weight{$_} } @asked) {
	die "there is no such fault: @unknown; there are @{[sort keys %weight]}\n";
}
my %is_asked = map { $_ => 1 } @asked;
my @hat;                       # the faults to come
my (%times, %took, %kinds, %done, $verbs);
my ($start, $faults, $calls, $legs, $recoveries, $findings) = (time, 0, 0, 0, 0, 0);
my $acknowledged = 0;

while (time < $start + $seconds || $faults < $at_least) {
	HistoryWork::prepare();
	my ($history, $of_history) = (undef, 0);
	for my $leg (1 .. LEGS) {
		last if $leg > 1 && time >= $start + $seconds && $faults >= $at_least;
		$legs++;
		srand $seed * 1000 + $legs;
		my $left = time < $start + $seconds ? LEG : $at_least - $faults;
		my @next = map { next_fault() } 1 .. ($left < LEG ? $left : LEG);
		$history = HistoryWork::record(seed => $seed * 1000 + $legs, after => $history,
			disturb => sub { disturb(@next) });
		$of_history = hold(dclone($history));
	}
	$acknowledged += $of_history;
}
report();
exit($findings ? 1 : 0);

# A fault from a hat in which each kind is as often as it weighs.
sub next_fault {
	if (!@hat) {
		@hat = grep { $is_asked{$_} && !$left_out{$_} } map { ($_) x $weight{$_} } sort keys %weight;
		die "none of these faults can be had here: @{[map { qq($_ ($left_out{$_})) } grep { $left_out{$_} } @asked]}\n"
		  if !@hat;
	}
	return splice @hat, rand @hat, 1;
}

sub disturb {
	my @next = @_;
	for my $kind (@next) {
		my $before = events();
		StormServer::until_true('sessions work', sub { return events() >= $before + WORK });
		sleep rand PAUSE;
		my $began = time;
		my $method = $kind eq 'postmaster' ? 'postmaster_killed' : $kind;
		$server->$method;
		$took{$kind} += time - $began;
		$times{$kind}++;
		$faults++;
		look("right after $kind");
	}
	sleep 0.5 + rand 0.5;
	return;
}

sub events { return $server->query('storm', 'SELECT count(*) FROM promote.audit_log') }

# Asks the server itself, by one snapshot each.
sub look {
	my ($when) = @_;
	for my $question (qw(check_invariants verify_audit)) {
		found({ kind => $question, text => "$when: $_", calls => [], began => 0 })
		  for split /\n/, $server->query('storm', "SELECT * FROM promote.$question()");
	}
	$recoveries++;
	return;
}

# Holds what was told against what is there; returns how many calls were acknowledged.
sub hold {
	my ($history) = @_;
	my $answered = 0;
	for my $transaction (@{ $history->{transactions} }) {
		my @good = grep { $_->{state} eq '00000' && !$_->{undone} } @{ $transaction->{calls} };
		$answered += @good if $transaction->{outcome} eq 'committed';
		$done{ $_->{verb} } = 1 for @good;
	}
	found($_) for HistoryCheck::check($history, $documented);
	return $answered;
}

sub found {
	my ($finding) = @_;
	my $told = HistoryCheck::told($finding);
	return if $kinds{ $finding->{kind} }{$told}++;
	$findings++;
	print "finding: $told" if keys %{ $kinds{ $finding->{kind} } } <= SHOWN;
	return;
}

sub count_of { my $count = 0; $count += keys %{ $kinds{$_} // {} } for @_; return $count }

sub report {
	my %other = map { $_ => 1 } keys %kinds;
	delete @other{ +LOST, +BROKEN };
	my ($version) = $server->query('storm', "SELECT extversion FROM pg_extension WHERE extname = 'promote'");
	chomp(my $commit = `git -C "$FindBin::Bin" rev-parse --short HEAD 2>/dev/null` || '-');
	chomp(my $cores = `nproc 2>/dev/null` || '-');
	my @rows = (
		[date => strftime('%Y-%m-%d %H:%M UTC', gmtime)],
		[PostgreSQL => $server->query('storm', 'SHOW server_version')],
		[promote => "$version, commit $commit"],
		[seed => $seed], [cores => $cores], [seconds => sprintf '%.0f', time - $start],
		[faults => $faults],
		(map { my $kind = $_; [
			"... $kind" => $left_out{$kind} ? "left out: $left_out{$kind}"
			: $times{$kind} ? sprintf('%d, %.1f s each', $times{$kind}, $took{$kind} / $times{$kind}) : 0] } @asked),
		['verbs that were done' => scalar keys %done],
		['calls acknowledged' => $acknowledged],
		['acknowledged and lost' => count_of(LOST)],
		['invariants or chains broken' => count_of(BROKEN)],
		['otherwise than promised' => count_of(keys %other)],
		['recoveries looked at' => $recoveries], ['histories held' => $legs]);
	print "| storm | |\n|---|---|\n", map { "| $_->[0] | $_->[1] |\n" } @rows;
	print "  $_: @{[scalar keys %{ $kinds{$_} }]}\n" for sort keys %kinds;
	return;
}
