# What compose_params makes of documents is what an oracle in Python makes of them, which was written from the pages
# and the RFCs: for random schemas and documents, and for every ordered pair of the presets of real bundles. None of
# these bundles marks anything as not copyable, so that the oracle adds marks. Validity and filtering are compared too.
#
# PROMOTE_ORACLE_SEED and PROMOTE_ORACLE_COUNT choose other random schemas, and more.

use strict;
use warnings;
use Encode ();
use Test::More;
use JSON::PP;
use PromoteTest;

my $bundles = ($ENV{PROMOTE_DATA} || '../shared/data') . '/bundles';
my $seed = $ENV{PROMOTE_ORACLE_SEED} // 1;
my $count = $ENV{PROMOTE_ORACLE_COUNT} // ($ENV{PROMOTE_SHORT} ? 40 : 400);

plan skip_all => 'no python3' if system('python3 -c "import json, fractions" >/dev/null 2>&1') != 0;

my $json = JSON::PP->new->canonical->allow_nonref;
binmode $_, ':utf8' for map { Test::More->builder->$_ } qw(output failure_output);
my $node = PromoteTest->new;
$node->create_promote('oracle');
$node->query('oracle', PromoteTest::slurp('test/conformance/oracle.sql'));

# Lets the oracle speak, and compares.
sub compare {
	my ($what, @arguments) = @_;
	my ($rc, $lines, $err) = $node->run('python3', 'test/conformance/compose.py', @arguments);
	is("$rc$err", '0', "$what: the oracle runs") or return;
	# As CSV, which leaves backslashes alone.
	my $csv = join '', map { '"' . s/"/""/gr . "\"\n" } split /\n/, $lines;
	$node->query('oracle', "TRUNCATE oracle.schema;\nCOPY oracle.schema FROM stdin (FORMAT csv);\n$csv\\.\n");

	my %number = map { split /\|/ } split /\n/, $node->query('oracle', q{
		SELECT 'documents', count(*) FROM oracle.document
		UNION ALL SELECT 'valid', count(*) FROM oracle.document WHERE valid
		UNION ALL SELECT 'filtered', count(*) FROM oracle.document WHERE filtered <> document
		UNION ALL SELECT 'compositions', count(*) FROM oracle.composition
		UNION ALL SELECT 'mixed', count(*) FROM oracle.composition
			WHERE expected NOT IN (source, destination) AND overrides = '{}'
		UNION ALL SELECT 'patched', count(*) FROM oracle.composition
			WHERE jsonb_typeof(overrides) = 'array' AND expected <> '"refused"'});
	note(sprintf 'result: %s: %d compositions (%d mix both documents, %d by a JSON Patch), %d documents (%d valid, '
		. '%d with something not copyable)',
		$what, @number{qw(compositions mixed patched documents valid filtered)});
	# Where nothing is mixed, nothing is tested.
	cmp_ok($number{mixed}, '>', 100, "$what: the documents are worth it");
	cmp_ok($number{patched}, '>', 100, "$what: most JSON Patches fit");

	my @differences = split /\n/, $node->query('oracle', 'SELECT to_jsonb(d) FROM oracle.difference AS d');
	is(scalar(@differences), 0, "$what: the server agrees with the oracle in all of them");
	for my $difference (map { $json->decode(Encode::decode('UTF-8', $_)) } @differences > 5 ? @differences[0 .. 4]
		: @differences) {
		diag(join "\n", "$difference->{name}, $difference->{what}",
			map { "  $_ " . $json->encode($difference->{$_}) } qw(input expected found));
	}
}

compare("random schemas, seed $seed", 'random', $seed, $count);

SKIP: {
	skip 'no data: set PROMOTE_DATA', 4 if !-d $bundles;
	compare('presets of bundles', 'bundles', $bundles);
}

# What stays does not depend on what else the schema says: here on whether there is a branch anywhere.
my $sql = q{SELECT promote.compose_params('{"o": 5}', '{"o": {"n": "own"}}', '{"properties": {"o": {"properties":
	{"n": {"$md.copyable": false}}}}%s}', '{"o": {"x": 1}}')};
is($node->query('oracle', sprintf $sql, ''), '{"o": {"n": "own", "x": 1}}',
	'an override that makes an object brings back what stays in it');
is($node->query('oracle', sprintf $sql, ', "if": false, "then": {"$md.copyable": false}'),
	'{"o": {"n": "own", "x": 1}}', 'the same with a branch');

done_testing();
