# The annotation tests of the official JSON Schema test suite, of which neither dialect makes one mandatory: does
# jsonb_schema_annotations tell what they say? Where the suite comes from: test/t/lib/SchemaSuite.pm.

use strict;
use warnings;
use Test::More;
use JSON::PP;
use PromoteTest;
use SchemaSuite;

my ($suite, $reason) = SchemaSuite->find;
plan skip_all => "no JSON Schema test suite: $reason" if !$suite;
my %files = $suite->annotations;
plan skip_all => 'the suite of ' . $suite->from . ' has no tests of annotations' if !%files;

my %dialects = (7 => 'http://json-schema.org/draft-07/schema#', 2020 => 'https://json-schema.org/draft/2020-12/schema');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $node = PromoteTest->new;
$node->create_promote('suite');

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# Is a case for the dialect of that release? "6,<=2019" means from draft-06 up to 2019-09.
sub is_for {
	my ($compatibility, $release) = @_;
	for my $bound (split /,/, $compatibility // '') {
		my ($relation, $number) = $bound =~ /^(<=|=|)(\d+)$/ or die "what is the compatibility $bound?\n";
		return 0 if $relation eq '<=' ? $release > $number : $relation eq '=' ? $release != $number
			: $release < $number;
	}
	return 1;
}

# The suite's pointer to a place of the instance, as the function spells it.
sub path {
	my ($pointer) = @_;
	my $path = join '', map { /^\d+$/ ? "[$_]" : ".$_" } grep { $_ ne '' } split m{/}, $pointer;
	return $path =~ /^\./ ? $path : ".$path";
}

# What is told of a document: rows of instance path, place of the schema, keyword, value.
sub told {
	my ($instance, $schema) = @_;
	return @{ $json->decode($node->query('suite', 'SELECT coalesce(json_agg(json_build_array(instance_path, '
		. q{regexp_replace(schema_path, '/[^/]*$', ''), keyword, value)), '[]') FROM promote.jsonb_schema_annotations(}
		. quoted($json->encode($instance)) . ', ' . quoted($json->encode($schema)) . ')')) };
}

# The tests of one case in one dialect.
sub run {
	my ($name, $case, $release) = @_;
	my $schema = ref $case->{schema} eq 'HASH' ? { %{ $case->{schema} }, '$schema' => $dialects{$release} }
		: $case->{schema};
	for my $test (@{ $case->{tests} }) {
		my @told = told($test->{instance}, $schema);
		for my $assertion (@{ $test->{assertions} }) {
			# the suite escapes in a fragment what need not be for a $ref
			my %expected = map { s/%5E/^/r => $assertion->{expected}{$_} } keys %{ $assertion->{expected} };
			my %found = map { $_->[1] => $_->[3] }
				grep { $_->[0] eq path($assertion->{location}) && $_->[2] eq $assertion->{keyword} } @told;
			is($json->encode(\%found), $json->encode(\%expected),
				"$release, $name: " . $json->encode($test->{instance})
					. ", $assertion->{keyword} at \"$assertion->{location}\"");
		}
	}
}

for my $file (sort keys %files) {
	for my $case (@{ $json->decode($files{$file})->{suite} }) {
		die "$file: $case->{description} refers to other schemas\n" if $case->{externalSchemas};
		run("$file: $case->{description}", $case, $_) for grep { is_for($case->{compatibility}, $_) }
			sort keys %dialects;
	}
}
note('result: ' . Test::More->builder->current_test . ' tests of annotations');
cmp_ok(Test::More->builder->current_test, '>=', 100, 'the suite of annotations is whole');

done_testing();
