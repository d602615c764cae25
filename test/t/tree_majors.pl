# Which majors of PostgreSQL promote is for is said at several places, and in one way: what ./dev takes, what compat.h
# knows, what README.md and META.json ask for, and of which ones doc/platforms.md has a row, that ./dev matrix printed.

use strict;
use warnings;
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Test::More;
use PromoteTest;

sub slurp { return PromoteTest::slurp(@_) }

my $dev = slurp('dev');
my @majors = sort split ' ', $dev =~ /^majors='([\d ]+)'/m ? $1 : '';
my ($oldest, $newest) = @majors[ 0, -1 ];
is_deeply(\@majors, [ $oldest .. $newest ], './dev takes majors without a gap');

# ---- what is said ----

my $compat = slurp('src/base/compat.h');
like($compat, qr/between PostgreSQL $oldest and $newest\./, 'compat.h is about them');
like($compat, qr/^#if PG_VERSION_NUM < ${oldest}0000\n#error/m, '... and refuses older ones');
like(slurp('README.md'), qr/\bPostgreSQL $oldest to $newest\b/, 'README.md asks for them');
like(slurp('CHANGELOG.md'), qr/\bPostgreSQL $oldest to $newest\b/, 'CHANGELOG.md promises them');
like(slurp('META.json'), qr/"PostgreSQL": "$oldest\.0\.0"/, 'META.json asks for the oldest');

my %rows = map { /^\| (\d+)\S* .*\| \d+ \| (\d+) \| \d+ \| \d+ \| \d{4}-\d\d-\d\d \| \w+/ ? ($1 => $2) : () }
	split /\n/, slurp('doc/platforms.md');
SKIP: {
	skip 'doc/platforms.md has no table of ./dev matrix yet', 1 if !%rows;
	is_deeply(\%rows, { map { $_ => 0 } @majors }, 'doc/platforms.md has a row of each, in which nothing failed');
}

# ---- ./dev matrix ----

# Runs a copy of ./dev by somebody who is not root, without any PostgreSQL at hand.
my $directory = tempdir('promote_majors.XXXXXX', TMPDIR => 1, CLEANUP => 1);
copy('dev', $directory) or die "cannot copy dev: $!\n";
chmod 0755, $directory, "$directory/dev";

# Returns (exit status, all it printed).
sub matrix {
	my ($major) = @_;
	my $user = $> == 0 ? 'runuser -u nobody -- ' : '';
	my $text = `${user}env -u PG_CONFIG PG_CONFIGS=/nowhere '$directory/dev' matrix $major 2>&1`;
	return ($?, $text);
}

for my $major (@majors) {
	ok($dev =~ /^\t$major\) echo \w+ ;;$/m, "there is a release with PostgreSQL $major");
}
my ($rc, $text) = matrix($newest);
isnt($rc, 0, 'a major that is not at hand is refused to who cannot make a chroot');
like($text, qr/^dev: PostgreSQL $newest is not at hand: root can make a chroot for it, or name its pg_config in \w+$/m,
	'... in one sentence');
($rc, $text) = matrix($newest + 1);
isnt($rc, 0, 'a major that promote is not for is refused');
like($text, qr/^dev: promote is for PostgreSQL $oldest to $newest, not for ${\($newest + 1)}$/m, '... by its number');

done_testing;
