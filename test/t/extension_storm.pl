# A short storm: sessions call all verbs while the server is killed, stopped and cut off in several ways. What was
# acknowledged is there, nothing contradicts itself, and the record is whole. test/storm/storm.pl is the long form.

use strict;
use warnings;
use FindBin;
use Test::More;
use PromoteTest;

my $storm = "$FindBin::Bin/../storm/storm.pl";
my $seed = $ENV{PROMOTE_SEED} // time % 100_000;

# Runs it; the table's rows by name, and all that was printed.
sub storm {
	my (@arguments) = @_;
	my $printed = qx{@{[join ' ', map { "'$_'" } $^X, $storm, @arguments]} 2>&1};
	my %row = $printed =~ /^\| ([^|]+?) \| ([^|]*?) \|$/mg;
	return ($? >> 8, $printed, %row);
}

my ($status, $printed, %row) = storm('--faults', 3, '--only', 'backend,everything,terminate', 0, $seed);
is($status, 0, "what is promised holds through kills (PROMOTE_SEED=$seed)") or diag($printed);
cmp_ok($row{faults} // 0, '>=', 3, 'there were some');
cmp_ok($row{'calls acknowledged'} // 0, '>', 20, '... and calls were acknowledged');
is($row{$_}, 0, "... of which nothing: $_")
  for 'acknowledged and lost', 'invariants or chains broken', 'otherwise than promised';
note("result: $row{'calls acknowledged'} calls acknowledged, $row{faults} faults, $row{seconds} s");

# A server that answers before it has written is one that loses what it has answered, and that is found.
# Another's commit may have flushed it all by chance.
for my $try (0 .. 4) {
	($status, $printed, %row) = storm('--faults', 2, '--only', 'everything', '--set', 'synchronous_commit=off', '--set',
		'wal_writer_delay=10s', 0, $seed + $try);
	last if $status;
}
is($status, 1, 'where commits do not wait for the disk') or diag($printed);
cmp_ok($row{'acknowledged and lost'}, '>', 0, '... what is lost is found');

# Where root can mount a file system, what comes of power is asked as well.
($status, $printed, %row) = storm('--faults', 1, '--only', 'power', 0, $seed);
SKIP: {
	skip $1, 1 if $printed =~ /none of these faults can be had here: (.*)/;
	is($status, 0, '... and through a loss of power') or diag($printed);
	note("result: power: $row{'... power'}");
}

($status, $printed) = storm('--only', 'earthquake', 1, 1);
like($printed, qr/there is no such fault: earthquake/, 'a fault that there is none of is refused');
isnt($status, 0, '... and is no success');

done_testing;
