# Every SQLSTATE of src/base/errors.h is explained in doc/reference/errors.md and provoked by a test, and the
# documentation knows of no others.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $header = PromoteTest::slurp('src/base/errors.h');
my %defined;
while ($header =~ /^#define\s+(PM_\w+)\s+PM_ERRCODE\('(\w)',\s*'(\w)',\s*'(\w)'\)/mg) {
	ok(!$defined{"PM$2$3$4"}, "PM$2$3$4 is used once");
	$defined{"PM$2$3$4"} = $1;
}
my %documented = map { $_ => 1 } PromoteTest::slurp('doc/reference/errors.md') =~ /^\| `(PM\d{3})` \|/mg;
is_deeply([sort keys %documented], [sort keys %defined], 'doc/reference/errors.md lists all of them and no others');

my %named = map { $_ => 1 } PromoteTest::slurp('src/base/refusal.c') =~ /\bCONDITION\((\w+)\)[,\n]/g;
is_deeply([sort map { "PM_$_" } keys %named], [sort values %defined],
	'src/base/refusal.c has the names of all of them');

my %called = PromoteTest::slurp('doc/reference/refusal.md') =~ /`(PM\d{3})` `(\w+)`/g;
is_deeply(\%called, { map { $_ => lc($defined{$_} =~ s/^PM_//r) } keys %defined },
	'doc/reference/refusal.md has them, too');

my $tests = join '', map { PromoteTest::slurp($_) } glob 'test/sql/*/*.sql test/t/*.pl';
my $sources = join '', map { PromoteTest::slurp($_) } glob 'src/*.c src/*/*.c';
for my $code (sort keys %defined) {
	# in SQL by its name, in a test with a server of its own by what an answer begins with
	like($tests, qr/['^]$code\b/, "$code is provoked by a test");
	like($sources, qr/\b$defined{$code}\b/, "$code is raised somewhere");
}
unlike($sources, qr/errcode\(PM_ERRCODE/, 'no code is made up in place');

# An error that a user can cause has a code, and one of ours a detail and a hint.
for my $file (glob 'src/*.c src/*/*.c') {
	my $text = PromoteTest::slurp($file);
	while ($text =~ /ereport\(ERROR,(.*?)\)\);/sg) {
		my $call = $1;
		my ($code) = $call =~ /errcode\((\w+)\)/;
		ok($code, "$file: an error has a code") or diag($call);
		next if !$code || $code !~ /^PM_/;
		like($call, qr/errdetail/, "$file: $code has a detail");
		like($call, qr/errhint/, "$file: $code has a hint");
	}
}

done_testing();
