# What holds of the tests themselves: each is named for an area, the pages name tests that there are, and lines are not
# longer than one can read.

use strict;
use warnings;
use File::Basename qw(basename);
use Test::More;
use PromoteTest;

my $longest = 120;    # characters, where a tab is four

my %area = map { (basename($_) =~ s/\.\w+$//r) => 1 } glob 'src/*/*.[ch] sql/*/*.sql';
$area{$_} = 1 for qw(extension tree);
my %tests = map { $_ => 1 } glob 'test/regress/*.sql test/specs/*.spec test/sql/*/*.sql test/t/*.pl';

sub is_of_area {
	my ($name) = @_;
	1 while !$area{$name} && $name =~ s/_?[^_]+$//;
	return $name ne '';
}
is_deeply([ grep { !is_of_area(basename($_) =~ s/\.\w+$//r) } sort keys %tests ], [], 'each test is named for an area');
my %rooms = map { basename($_) => 1 } glob 'src/*';
is_deeply([ grep { m{^test/sql/(\w+)/} && !$rooms{$1} } sort keys %tests ], [], '... in a room that there is');

# ---- what is printed ----

my @printing = map { basename($_) =~ s/\.\w+$//r } grep { m{/(?:regress|specs)/} } sort keys %tests;
is_deeply([ sort map { basename($_, '.out') } glob 'expected/*.out' ], [ sort @printing ],
	'what is expected is expected of a test, and one alone');

# ---- what pages say ----

my $named = 0;
for my $page (glob '*.md doc/*.md doc/*/*.md test/README.md') {
	my $text = PromoteTest::slurp($page);
	my @wrong;
	# by the path, or by the end of it: `gate/approval.sql`, `tree_lint.pl`
	while ($text =~ m{`((?:test|expected)/[\w./-]*\w|(?:\w+/)?\w+\.(?:sql|spec|pl))`}g) {
		my $name = $1;
		$named++;
		push @wrong, $name if !-e $name && !-e "test/$name" && !-e "doc/$name" && !grep { m{/\Q$name\E$} } keys %tests;
	}
	is_deeply(\@wrong, [], "$page names tests that there are") if @wrong;
}
cmp_ok($named, '>', 20, 'pages name tests');
my ($security) = 'doc/explanation/security.md';
my @promises = grep { /^\|/ && !/^\|(?:-| promise)/ } split /\n/,
	PromoteTest::slurp($security) =~ s/.*^## What is promised\n(.*?)^## .*/$1/msr;
cmp_ok(scalar @promises, '>', 20, 'there are promises');
for (@promises) {
	my ($promise) = /^\| (.*?) \|/;
	like($_, qr/\|[^|]*(?:\.sql|\.spec|\.pl|isolation specs)[^|]*\|$/, "a test shows: $promise");
}

# ---- lines ----

my @files = split /\n/, `find test -name '*.sql' -o -name '*.spec' -o -name '*.setup' -o -name '*.p[lm]'`;
my @long;
for my $path (grep { !m{^test/(?:lint|output)/} } 'test/layers', sort @files) {
	my @lines = split /\n/, PromoteTest::slurp($path);
	utf8::decode($_) for @lines;
	push @long, map { "$path:$_" } grep { length($lines[ $_ - 1 ] =~ s/\t/    /gr) > $longest } 1 .. @lines;
}
is_deeply(\@long, [], "no line of a test is longer than $longest characters");

done_testing;
