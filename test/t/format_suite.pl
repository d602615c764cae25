# The formats and the regular expressions of the official JSON Schema test suite, all of both dialects.  The suite is no
# part of the project: it is read from the directory in PROMOTE_SCHEMA_SUITE, the one that holds "tests" (or from its
# "tests" itself), and without it there is nothing to test.

use strict;
use warnings;
use Test::More;
use JSON::PP;
use PromoteTest;

my $suite = $ENV{PROMOTE_SCHEMA_SUITE} // '';
$suite .= '/tests' if -d "$suite/tests";
my @files = map { glob "$suite/$_/optional/format/*.json" } qw(draft7 draft2020-12);
plan skip_all => 'no suite: set PROMOTE_SCHEMA_SUITE' if !@files;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $node = PromoteTest->new;
$node->create_promote('formats');

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# A document, or the text in it, as a literal; undefined if it has U+0000, which PostgreSQL cannot hold.
sub literal { my $text = $json->encode($_[0]); return $text =~ /\\u0000/ ? undef : quoted($text) . '::jsonb' }

# All answers of one file by one query: the names of the tests that are decided wrongly.
sub decide {
	my (@tests) = @_;
	my $rows = join ",\n", map { "(" . quoted($_->[0]) . ', ' . $_->[1] . ', ' . ($_->[2] ? 'true' : 'false')
		. ')' } @tests;
	return $node->query('formats',
		"SELECT name FROM (VALUES $rows) t(name, answer, valid) WHERE answer IS DISTINCT FROM valid");
}

my %left_out;
for my $file (@files) {
	my ($dialect, $name) = $file =~ m{([^/]+)/optional/format/(.*)\.json$};
	my @tests;
	for my $group (@{ $json->decode(PromoteTest::slurp($file)) }) {
		my $format = $group->{schema}{format} // next;
		for my $test (@{ $group->{tests} }) {
			next if ref $test->{data} || $json->encode($test->{data}) !~ /^"/;
			my $literal = literal($test->{data});
			my $title = "$group->{description}: $test->{description}" =~ s/[^ -~]/?/gr;
			$left_out{"$name: $title"} = 1, next if !defined $literal;
			push @tests, [$title, "promote.jsonb_format_valid('$format', $literal #>> '{}')", $test->{valid}];
		}
	}
	next if $name eq 'unknown';
	is(decide(@tests), '', "$dialect: $name, " . @tests . ' strings');
}
note("not in a text of PostgreSQL, for U+0000: $_") for sort keys %left_out;

for my $file (map { glob "$suite/$_" } map { ("$_/optional/ecmascript-regex.json", "$_/optional/non-bmp-regex.json",
	"$_/pattern.json", "$_/patternProperties.json") } qw(draft7 draft2020-12)) {
	my ($name) = $file =~ m{tests/(.*)\.json$};
	my @tests;
	for my $group (@{ $json->decode(PromoteTest::slurp($file)) }) {
		my $schema = $group->{schema};
		delete $schema->{'$schema'};
		next if $json->encode($schema) =~ /"format"/;
		push @tests, map { [("$group->{description}: $_->{description}" =~ s/[^ -~]/?/gr),
			'promote.jsonb_schema_valid(' . literal($_->{data}) . ', ' . literal($schema) . ')',
				$_->{valid}] } @{ $group->{tests} };
	}
	is(decide(@tests), '', "$name, " . @tests . ' documents');
}

done_testing;
