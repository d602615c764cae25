# What merge_params and merge_conflicts make of documents is what an oracle in Python makes of them, which was written
# from the pages: for the kept groups of test/fuzz/merge and for random ones. test/fuzz/merge.pl does this for as long
# as one likes.
#
# PROMOTE_ORACLE_SEED and PROMOTE_ORACLE_COUNT choose other random groups, and more.

use strict;
use warnings;
use Encode ();
use Test::More;
use JSON::PP;
use PromoteTest;

my $seed = $ENV{PROMOTE_ORACLE_SEED} // 1;
my $count = $ENV{PROMOTE_ORACLE_COUNT} // ($ENV{PROMOTE_SHORT} ? 3 : 15);

plan skip_all => 'no python3' if system('python3 -c "import json, fractions" >/dev/null 2>&1') != 0;

my $json = JSON::PP->new->canonical->allow_nonref;
binmode $_, ':utf8' for map { Test::More->builder->$_ } qw(output failure_output);
my $node = PromoteTest->new;
$node->create_promote('merging');
$node->query('merging', PromoteTest::slurp('test/conformance/merge.sql'));

my ($rc, $lines, $err) = $node->run('python3', 'test/conformance/merge.py', $seed, $count, sort glob
	'test/fuzz/merge/*.json');
is("$rc$err", '0', 'the oracle runs');
# As CSV, which leaves backslashes alone.
my $csv = join '', map { '"' . s/"/""/gr . "\"\n" } split /\n/, $lines;
$node->query('merging', "COPY merging.line FROM stdin (FORMAT csv);\n$csv\\.\n");

# Where nothing comes out of it, nothing is tested.
my %number = map { split /\|/ } split /\n/, $node->query('merging', q{
	SELECT k, count(*)
	FROM merging.line, jsonb_array_elements(line->'cases') AS c, jsonb_object_keys(c->'expected') AS k GROUP BY k
	UNION ALL SELECT 'mixed', count(*) FROM merging.line, jsonb_array_elements(line->'cases') AS c
	WHERE c->'expected'->'params' NOT IN (line->'documents'->(c->>'source')::integer,
		line->'documents'->(c->>'destination')::integer) AND c->>'overrides' = '0'});
cmp_ok($number{$_} // 0, '>', 50, "there are enough: $_") for qw(params open problems mixed);

my @differences = split /\n/, $node->query('merging',
	'SELECT to_jsonb(d) FROM merging.line, merging.differences(line) AS d');
is(scalar(@differences), 0, 'the server agrees with the oracle in all of them');
for my $difference (map { $json->decode(Encode::decode('UTF-8', $_)) } @differences > 5 ? @differences[0 .. 4]
	: @differences) {
	diag(join "\n", $difference->{what}, map { "  $_ " . $json->encode($difference->{$_}) } qw(input expected found));
}

done_testing();
