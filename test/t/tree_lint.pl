# What test/lint.py refuses in the SQL of the extension, in its scripts and in its C: nothing in the tree, and every
# line of its cases, test/lint/RULE.sql and .c, that says "bad".

use strict;
use warnings;
use File::Basename qw(basename);
use Test::More;
use PromoteTest;

# A Python of one's own in front of Debian's need not have Debian's modules.
my ($python) = grep { system("$_ -c 'import pglast.ast, pglast.enums' >/dev/null 2>&1") == 0 } qw(python3
	/usr/bin/python3);
plan skip_all => 'no Python with pglast' if !defined $python;
plan skip_all => 'no cc to run the preprocessor' if system('cc --version >/dev/null 2>&1') != 0;
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $server = `$pg_config --includedir-server`);

# Lints, and returns the exit status and what was found.
sub lint {
	my @command = ($python, 'test/lint.py', @_);
	open my $output, '-|', @command or die "cannot run $python: $!\n";
	my @lines = <$output>;
	close $output;
	return ($? >> 8, @lines);
}

# Debian 12 has version 5. Another one may give another tree, and cannot be blamed for what it does not see.
my $version = `$python -c 'import pglast; print(pglast.__version__)'`;
chomp $version;
plan skip_all => "pglast $version, which reads another tree than version 5"
  if $version !~ /^v?5\b/ && (lint('test/lint/good.sql'))[0] != 0;

# ---- the tree ----

my $parts = PromoteTest::slurp('sql/ORDER');
my @scripts = (map({ "sql/$_.sql" } split ' ', $parts), glob 'sql/promote--*.sql');
my ($rc, @found) = lint('--headers', 'src', '--headers', $server, @scripts, glob 'src/*.c src/*/*.c');
is(join('', @found), '', 'nothing is found in the tree');
is($rc, 0, '... and the linter has run to its end');
is_deeply([ sort grep { !/promote--/ } @scripts ], [ grep { !/promote--/ } sort glob 'sql/*/*.sql' ],
	'every part of the install script was looked at');

# ---- the cases ----

my %tested;
for my $path (sort glob 'test/lint/*.sql test/lint/*.c') {
	my ($rule) = basename($path) =~ /^([\w-]+)\./;
	my @text = split /\n/, PromoteTest::slurp($path);
	my %expected = map { $_ + 1 => $rule } grep { $text[$_] =~ m{-- bad|/\* bad \*/} } 0 .. $#text;
	my ($status, @lines) = lint('--headers', 'test/lint', $path);
	my %reported = map { /^[^:]+:(\d+): ([\w-]+):/ ? ($1 => $2) : ($_ => 'not a report') } @lines;
	is_deeply(\%reported, \%expected, $rule eq 'good' ? "$path: nothing is reported" : "$path: that rule, line by line")
	  or diag(@lines);
	is($status, $rule eq 'good' ? 0 : 1, '... and it says so');
	$tested{$rule} = 1;
}
my (undef, @rules) = lint('--rules');
chomp @rules;
is_deeply([ sort keys %tested ], [ sort 'good', @rules ], 'every rule has its cases');

done_testing;
