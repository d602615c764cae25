# What blame and leaf_history say is what a replay of the whole history says: the driver test/fuzz/blame.pl for some
# seconds.
#
# PROMOTE_BLAME_SECONDS and PROMOTE_BLAME_SEED choose a longer run, and another one.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
my $node = PromoteTest->new;
$node->create_promote('blame');

my ($rc, $out, $err) = $node->run('env', 'PGHOST=' . $node->dir, 'PGPORT=5432', 'PGUSER=postgres', 'PGDATABASE=blame',
	"PATH=$bindir:$ENV{PATH}",
	$^X, 'test/fuzz/blame.pl', $ENV{PROMOTE_BLAME_SECONDS} // 5, $ENV{PROMOTE_BLAME_SEED} // 1);
is("$rc$err", '0', 'blame agrees with a replay of the history') or diag($out);
note("result: " . ($out =~ s/\n\z//r));
my ($leaves, $taken, $hidden) = $out =~ /(\d+) leaves, (\d+) taken over, (\d+) hidden/;
cmp_ok($leaves // 0, '>', 20, 'of many leaves');
cmp_ok($taken // 0, '>', 0, '... which are taken over');
cmp_ok($hidden // 0, '>', 0, '... and hidden');
done_testing();
