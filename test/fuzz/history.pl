#!/usr/bin/perl
#
# history.pl: eight sessions call all verbs at random, at all isolation levels, and what they are told is held against
# what the pages promise.
#
# usage: history.pl [--cancel] [--terminate] [--crash] [--keep FILE] [seconds [seed]]
#        history.pl --check FILE
#
# Sessions call in transactions of one to three calls, some behind savepoints, some rolled back, some left open for a
# moment; what is to be tried again is.  After half a minute all stand still, a checker with an account of its own
# (lib/HistoryCheck.pm) goes through what was asked, told and recorded, and the next round begins with a new extension. 
# The connection is taken from the usual PG* variables, and has to be a superuser's; the database is the driver's own,
# and so are roles called history_1 and so on, which have to be let in.
#
#   --cancel     statements are cancelled at random moments
#   --terminate  sessions are terminated, and connect again
#   --crash      a server process is killed, so that all of them are and the server recovers: on the server's
#                machine, as root
#   --keep FILE  the last round's history is left there, as JSON, to be looked at, or checked again by --check
#
# Prints the findings, some of each kind, with the calls that it takes to see them, a summary line, and how long it took
# at most to stop, to freeze and to block; the exit status is 1 if there are findings. A run with the same seed asks
# much the same, but not in the same order.
#
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Getopt::Long qw(GetOptions);
use JSON::PP ();
use HistoryCheck;
use HistoryWork;

use constant ROUND => 30;    # seconds
use constant SHOWN => 3;     # findings of a kind

my (%storm, $keep, $check);
GetOptions((map { ("$_" => \$storm{$_}) } qw(cancel terminate crash)), 'keep=s' => \$keep, 'check=s' => \$check)
	or exit 2;
my ($seconds, $seed) = ($ARGV[0] // 60, $ARGV[1] // time);
my $json = JSON::PP->new->utf8->canonical;
my $documented = HistoryCheck::documented("$FindBin::Bin/../../doc/reference/errors.md",
	grep { $storm{$_} } sort keys %storm);
my ($start, $calls, $rounds, $findings, %seen, %kinds) = (time, 0, 0, 0);
my %longest = map { $_ => 0 } qw(stop_line hist.freeze block_release);

if (defined $check) {
	open my $in, '<:raw', $check or die "$check: $!\n";
	hold($json->decode(do { local $/; <$in> }));
} else {
	round($seed + $rounds) while time < $start + $seconds;
}
printf "history: %d calls in %d rounds in %d seconds, %d findings (seed %s)\n", $calls, $rounds, time - $start,
	$findings, $seed;
print "  $_: $kinds{$_}\n" for sort keys %kinds;
printf "  %s within %.0f ms\n", $_, $longest{$_} / 1000 for sort keys %longest;
print "  $_: $seen{$_}\n" for $ENV{FUZZ_SEEN} ? sort keys %seen : ();
exit($findings ? 1 : 0);

sub round {
	my ($seed) = @_;
	my $left = $start + $seconds - time;
	HistoryWork::prepare();
	my $history = HistoryWork::record(seconds => $left < ROUND ? $left : ROUND, seed => $seed,
		storms => [grep { $storm{$_} } sort keys %storm]);
	if (defined $keep) {
		open my $out, '>:raw', $keep or die "$keep: $!\n";
		print $out $json->encode($history);
	}
	$rounds++;
	hold($history);
	return;
}

# Checks a history and prints what is found.
sub hold {
	my ($history) = @_;
	for my $call (map { @{ $_->{calls} } } @{ $history->{transactions} }) {
		$calls++;
		$seen{"$call->{verb} $call->{state}"}++;
		my $took = $call->{got} - $call->{sent};
		$longest{ $call->{verb} } = $took if exists $longest{ $call->{verb} } && $took > $longest{ $call->{verb} };
	}
	for my $finding (HistoryCheck::check($history, $documented)) {
		$findings++;
		print 'finding: ', HistoryCheck::told($finding) if $kinds{ $finding->{kind} }++ < SHOWN;
	}
	return;
}
