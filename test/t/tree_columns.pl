# The pages are as wide as the tables: each names the columns of the tables and views of its area, but for those that
# mean the same everywhere, which doc/README.md explains. And where a function writes and returns a row, its page says
# how to call it. Comments tell which columns there are: test/t/extension_install.pl demands one for each column.

use strict;
use warnings;
use File::Basename qw(basename);
use Test::More;
use PromoteTest;

my $map = PromoteTest::slurp('doc/README.md');
my ($paragraph) = $map =~ /^(\*\*Columns\*\* .*?)\n\n/ms;
my %common = map { $_ => 1 } ($paragraph // '') =~ /`(\w+)`/g;
cmp_ok(scalar keys %common, '>', 5, 'columns that mean the same everywhere');
like($map, qr/runs the function once for each column/, 'doc/README.md says how functions are called');

# What a page says as code.
sub code_of {
	my ($page) = @_;
	return join ' ', PromoteTest::slurp($page) =~ /(```.*?^```|`[^`]*`)/gms;
}

# Columns that no code of the page names.
sub unnamed {
	my ($sql, $page) = @_;
	my $code = code_of($page);
	return grep { my ($column) = /\.(\w+)/; !$common{$column} && $code !~ /(?<!\w)\Q$column\E(?!\w)/ }
		map { s/"//gr } $sql =~ /^COMMENT ON COLUMN promote\.(\w+\."?\w+"?) IS/gm;
}

# Functions that write and return rows.
sub verbs {
	my ($sql) = @_;
	my @verbs;
	while ($sql =~ /^CREATE FUNCTION promote\.(\w+)\((.*?)^COMMENT/gms) {
		my ($name, $rest) = ($1, $2);
		push @verbs, $name if $rest =~ /\bVOLATILE\b/ && $rest =~ /RETURNS (?:TABLE|SETOF|promote\.)|\bOUT\b/;
	}
	return @verbs;
}

my $verbs = 0;
for my $file (sort glob 'sql/*/*.sql') {
	my $page = 'doc/reference/' . basename($file, '.sql') . '.md';
	my $sql = PromoteTest::slurp($file);
	next if !-e $page;
	is_deeply([ unnamed($sql, $page) ], [], "$page names the columns of $file");
	my @verbs = verbs($sql) or next;
	$verbs += @verbs;
	like(PromoteTest::slurp($page), qr{README\.md#look-up}, "$page says how @verbs are called");
}
cmp_ok($verbs, '>', 20, 'verbs that return rows');

done_testing();
