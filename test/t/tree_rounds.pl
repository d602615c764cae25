# The rounds that tests are run in: which tests each has, and what the table of the longest says of a step that is ok,
# that fails, and that something is missing for.

use strict;
use warnings;
use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;
use PromoteTest;

sub listed { return split /\n/, `$^X test/run.pl --list @_` }

# ---- which tests ----

my @all = sort glob 'test/regress/*.sql test/specs/*.spec test/sql/*/*.sql test/t/*.pl';
is_deeply([ listed('--long') ], \@all, 'the long round has all tests');
my %short = map { $_ => 1 } listed();
my @left_out = grep { !$short{$_} } @all;
my ($named) = PromoteTest::slurp('test/run.pl') =~ /^my %long = .*? qw\((.*?)\);/ms;
my @named = split ' ', $named;
cmp_ok(scalar @named, '>', 20, 'some are long');
is(scalar(@left_out), scalar(@named), 'the short one leaves out those, each of which there is once');
is_deeply([ sort map { basename($_) } @left_out ], [ sort map { basename($_) } @named ], '... and no other');
ok((grep { $_ eq 'test/t/sql_snapshots.pl' } listed('sql_snapshots')), 'who names one gets it, also if it is long');

# ---- the table of the longest ----

my $top = tempdir(CLEANUP => 1);
make_path("$top/test/fuzz");
copy('test/all', "$top/test/all") or die "cannot copy: $!\n";
sub write_file {
	my ($path, $text) = @_;
	open my $file, '>', "$top/$path" or die "cannot write $path: $!\n";
	print $file $text;
	close $file or die "cannot write $path: $!\n";
	return;
}
write_file("test/fuzz/$_.pl", '') for 'json', 'yaml';
write_file('dev', <<'SH');
#!/bin/sh
echo 'dev: building for PostgreSQL 15.99'
case "$*" in
help) echo '  storm [SECONDS]' ;;
'test --long') printf '%s\n' 'FAILED: no' '3 skipped' '10 passed, 2 failed' && exit 1 ;;
'fuzz 7 json') echo 'json: 5 | 6 pairs in 7 seconds, 0 findings (seed 1)' ;;
'fuzz 7 yaml') echo 'it broke off' && exit 3 ;;
'storm 9') printf '%s\n' '| kills | lost |' '|---|---|' '| 4 | 0 |' '8 passed, 0 failed' ;;
*) echo "what is $*?" && exit 99 ;;
esac
SH
chmod 0755, "$top/dev";

# What it prints, with its status, and its seconds as an n.
sub table {
	my $out = `cd / && sh $top/test/all @_ 2>/dev/null`;
	return ($? >> 8) . "|$out" =~ s/\| \d+ \|$/| n |/gmr;
}
my $told = table(qw(--fuzz 7 --storm 9 --write), "$top/kept.md", qw(long fuzz storm package));
like($told, qr/^1\|# Evidence\n.* at commit unknown, with PostgreSQL 15\.99, /s, 'a step that is not ok is no success');
is($told =~ s/.*^\|---\|---\|---\|---\|\n//msr, <<'END', '... and each is told');
| long | FAILED | 10 passed, 2 failed, 3 skipped | n |
| fuzz json | ok | 5 / 6 pairs in 7 seconds, 0 findings (seed 1) | n |
| fuzz yaml | FAILED | it broke off | n |
| storm | ok | 8 passed, 0 failed | n |
| package | not run | ./dev package is missing | n |

storm:

| kills | lost |
|---|---|
| 4 | n |
END
is(PromoteTest::slurp("$top/kept.md") =~ s/\| \d+ \|$/| n |/gmr, $told =~ s/^1\|//r, 'the file has the same');
like(table(qw(--storm 9 storm)), qr/^0\|/, 'a success is one');
is(table($_) =~ s/\|.*//sr, 2, "not understood: $_") for 'nothing', '--fuzz', '--fuzz x storm', '--loud';

done_testing;
