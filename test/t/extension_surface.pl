# Names and columns are a promise: test/promise.txt has them, and the catalog has to have the same.  And no two of them
# become one name where a program makes names of a language's own of them, as GraphQL's do.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
$node->create_promote('surface');
my $listed = $node->query('surface', PromoteTest::slurp('test/promise.sql'));
my $written = PromoteTest::slurp('test/promise.txt');
my %is = map { $_ => 1 } split /\n/, $listed;
my %was = map { $_ => 1 } split /\n/, $written;
is(join("\n", grep { !$is{$_} } split /\n/, $written), '', 'nothing of test/promise.txt is gone or has changed');
is(join("\n", grep { !$was{$_} } split /\n/, $listed), '',
	'test/promise.txt has all that there is: psql -XAtqf test/promise.sql > test/promise.txt');
is($listed, $written =~ s/\n\z//r, '... in the same order, so that columns only came at the end');
cmp_ok(scalar keys %is, '>', 1000, 'it is a long list');

# ---- names ----

# A name as a type of GraphQL has it, of one and of many.
sub camel { my ($name) = @_; return join '', map { ucfirst } split /_/, $name }
sub singular {
	my ($name) = @_;
	return $name if $name =~ /(?:status|health|ss)$/;
	return $name =~ s/ies$/y/r =~ s/(x|ch|sh)es$/$1/r =~ s/s$//r;
}
sub plural {
	my ($name) = @_;
	my $one = singular($name);
	return "${one}es" if $one =~ /(?:s|x|ch|sh)$/;
	return $one =~ s/([^aeiou])y$/$1ies/r if $one =~ /[^aeiou]y$/;
	return "${one}s";
}

my %relations = map { /^(?:table|view) (\w+)\./ ? ($1 => 1) : () } keys %is;
my %types = map { /^type (\w+)\./ ? ($1 => 1) : () } keys %is;
my %functions = map { /^(?:function|procedure) (\w+)/ ? ($1 => 1) : () } keys %is;
cmp_ok(scalar keys %relations, '>', 40, 'there are tables and views');
my %taken;
push @{ $taken{ camel(singular($_)) } }, "relation $_" for keys %relations;
push @{ $taken{ camel($_) } }, "type $_" for keys %types;
my @clashes = map { join ', ', sort @{ $taken{$_} } } grep { @{ $taken{$_} } > 1 } sort keys %taken;
is(join("\n", @clashes), '', 'tables, views and types have names of their own, in the singular');
is(join("\n", grep { $relations{ plural($_) } && plural($_) ne $_ } sort keys %relations), '',
	'no name is the plural of another');
my %fields = map { (camel(singular($_)) => $_, camel(plural($_)) => $_) } keys %relations;
is(join("\n", map { "function $_: $fields{ camel($_) }" } grep { $fields{ camel($_) } } sort keys %functions), '',
	'no function has the name of a table or view, of one or of many');
my %made = map { my $name = camel(singular($_)); map { ("$_$name" => 1) } qw(Create Update Delete) } keys %relations;
is(join("\n", grep { $made{ camel($_) } } sort keys %functions), '', 'nor of what is made of a table to write it');

# ---- what the promise is about is to be seen ----

my $unseen = $node->query('surface', <<'SQL');
SELECT c.relname FROM pg_class AS c
 WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind NOT IN ('r', 'v', 'i', 'c')
SQL
is($unseen, '', 'nothing but tables, views and types is there');
done_testing;
