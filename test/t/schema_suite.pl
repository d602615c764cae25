# The official JSON Schema test suite, draft-07 and 2020-12: every file that an implementation must pass, and those of
# the formats that can be asserted. Where it comes from: test/t/lib/SchemaSuite.pm.

use strict;
use warnings;
use Test::More;
use JSON::PP;
use PromoteTest;
use SchemaSuite;

my ($suite, $reason) = SchemaSuite->find;
plan skip_all => "no JSON Schema test suite: $reason" if !$suite;
note('result: the suite of ' . $suite->from);

# What is asserted of "format". The names of the files are those of the formats, but for ecmascript-regex.
my %is_asserted = map { ("optional/format/$_.json" => 1) } qw(date-time date time duration email hostname ipv4 ipv6 uri
	uri-reference uuid json-pointer regex ecmascript-regex);
# What any implementation may leave out, and what is of interest all the same: counted, and not a failure.
my %is_of_interest = map { ("optional/$_.json" => 1) } qw(anchor bignum cross-draft dynamicRef ecmascript-regex
	float-overflow id no-schema non-bmp-regex refOfUnknownKeyword unknownKeyword);
# Fewer tests than there were at the end of 2022 are not the whole suite.
my %at_least = ('draft7' => 850, 'draft2020-12' => 1150);

my $json = JSON::PP->new->utf8;
binmode $_, ':utf8' for map { Test::More->builder->$_ } qw(output failure_output todo_output);
my $node = PromoteTest->new;
$node->create_promote('suite');
$node->query('suite', PromoteTest::slurp('test/conformance/suite.sql'));

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# One object of JSON a row.
sub rows {
	my ($sql) = @_;
	return map { $json->decode($_) } split /\n/, $node->query('suite', "SELECT to_jsonb(q) FROM ($sql) AS q");
}

# ---- what the tests refer to ----

my %documents = $suite->documents;
ok(exists $documents{$_}, "the meta-schema $_ is at hand")
	for qw(http://json-schema.org/draft-07/schema https://json-schema.org/draft/2020-12/schema
		https://json-schema.org/draft/2020-12/meta/core);
# One that is refused, as those of draft-04 are, is a miss where a test needs it.
my @refused;
for my $uri (sort keys %documents) {
	my ($rc, undef, $err) = $node->psql('suite', 'INSERT INTO promote.schema_document (uri, document) VALUES ('
		. quoted($uri) . ', ' . quoted($documents{$uri}) . ') ON CONFLICT DO NOTHING');
	push @refused, "$uri: $err" if $rc != 0;
}
cmp_ok(scalar(keys %documents) - @refused, '>=', 30, 'the documents that tests refer to are registered');
note("refused: $_") for @refused;

# ---- the tests ----

my $load = '';
for my $dialect ($suite->dialects) {
	my %kind;
	$kind{$_} = 'mandatory' for $suite->files($dialect);
	$kind{$_} = 'format' for grep { $is_asserted{$_} } $suite->files($dialect, 'optional/format');
	$kind{$_} = 'optional' for grep { $is_of_interest{$_} } $suite->files($dialect, 'optional');
	$load .= 'INSERT INTO suite.file VALUES ('
		. join(', ', map { quoted($_) } $dialect, $kind{$_}, $_, $suite->text($dialect, $_)) . ");\n" for
			sort keys %kind;
}
$node->query('suite', $load);
$node->query('suite', "SET statement_timeout = '5min'; SELECT suite.run()");

for my $dialect ($suite->dialects) {
	for my $kind (qw(mandatory format optional)) {
		my $these = "FROM suite.test WHERE dialect = '$dialect' AND kind = '$kind'";
		my ($count) = rows("SELECT count(*) FILTER (WHERE holdable) AS run, count(*) FILTER (WHERE outcome = "
			. "expected::text) AS passed $these");
		note("result: $dialect, $kind: $count->{passed} of $count->{run} pass");
		note("result: $dialect, $kind: jsonb cannot hold \\u0000: $_->{name}")
			for rows("SELECT name $these AND NOT holdable");
		my @misses = map { "$_->{name}\n    should be " . ($_->{expected} ? 'valid' : 'invalid')
			. ", was $_->{outcome}" }
			rows("SELECT name, expected, outcome $these AND outcome <> expected::text");
		if ($kind eq 'optional') {
			note("not required: $_") for @misses;
			next;
		}
		is(scalar(@misses), 0, "$dialect, $kind: $count->{run} tests") or diag(join "\n", @misses);
		cmp_ok($count->{run}, '>=', $at_least{$dialect}, "$dialect: the suite is whole") if $kind eq 'mandatory';
	}
}

# ---- presets ----

is($node->query('suite', 'SET client_min_messages = error; SELECT suite.refused_parts()'), '',
	'whatever is left of a valid document may be a preset, for it can be completed');

done_testing();
