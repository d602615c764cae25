#!/usr/bin/perl
#
# merge.pl: three-way merges of random documents under random schemas, held to an oracle and to laws.
#
# usage: merge.pl [seconds [seed]]
#
# test/conformance/merge.py makes groups of a schema, with arrays by key, conditional marks, what is not copyable and
# what is sensitive, and of documents that are edits of each other: members and elements changed, removed, retyped,
# moved, and named twice. It says of every ordered triple of a group what the merge comes to, with some overrides and
# some way to decide conflicts. The groups of test/fuzz/merge come first. test/conformance/merge.sql holds the server to
# that, and to what holds of any merge: base = destination gives what a promotion of the source gives; base = source,
# and source = destination, give the destination; each scalar of the result is one of the source, the destination or
# the overrides; what is sensitive in any document is seen in no conflict; and exchanging source and destination
# exchanges them in the conflicts, where all is copyable.
#
# The connection is taken from the usual PG* variables; the database must have the extension. Prints one summary line;
# a finding is a triple of which something else is true, and ends with exit status 1.
#
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(copy_rows);

my $groups_at_once = 5;

my $fuzz = Fuzz->new(name => 'merge', kept => 'a group on each line');
my %count = map { $_ => 0 } qw(groups triples params open problems conflicts);
my $conformance = "$FindBin::Bin/../conformance";
open my $oracle, '-|', 'python3', "$conformance/merge.py", $fuzz->{seed}, 0, sort glob "$FindBin::Bin/merge/*.json"
  or die "python3: $!\n";
binmode $oracle;

sub batch {
	my @lines;
	while (@lines < $groups_at_once && defined(my $line = readline $oracle)) {
		chomp $line;
		push @lines, $line;
		$count{groups}++;
		$count{triples} += () = $line =~ /"expected":/g;
		$count{$_} += () = $line =~ /"expected":\{"$_":/g for qw(params open problems);
		$count{conflicts} += () = $line =~ /"conflicts":\[\[/g;
	}
	die "the oracle has ended\n" if !@lines;
	return \@lines;
}

sub question {
	my ($lines) = @_;
	return "TRUNCATE merging.line;\n" . copy_rows('merging.line', @$lines)
	  . "SELECT d.what || ') ' || to_jsonb(d) FROM merging.line, merging.differences(line) AS d;\n";
}

open my $in, '<', "$conformance/merge.sql" or die "$conformance/merge.sql: $!\n";
my $checks = do { local $/; <$in> };
$fuzz->tell("SET client_min_messages = error;\nDROP SCHEMA IF EXISTS merging CASCADE;\n$checks");
$fuzz->run(\&batch, \&question, sub { return $_[0] });
close $oracle;
$fuzz->finish(sprintf '%d triples in %d groups (%d merged, %d refused for conflicts and %d for keys; %d conflict)',
	@count{qw(triples groups params open problems conflicts)});
