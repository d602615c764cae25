# What is previewed, promoted, planned, handed to workers and running agrees: the driver test/fuzz/agree.pl for some
# seconds.
#
# PROMOTE_AGREE_SECONDS and PROMOTE_AGREE_SEED choose a longer run, and another one.
#
# All that is counted below happens within the first rounds.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
my $node = PromoteTest->new;
$node->create_promote('agree');

my ($rc, $out, $err) = $node->run('env', 'PGHOST=' . $node->dir, 'PGPORT=5432', 'PGUSER=postgres', 'PGDATABASE=agree',
	"PATH=$bindir:$ENV{PATH}",
	$^X, 'test/fuzz/agree.pl', $ENV{PROMOTE_AGREE_SECONDS} // 10, $ENV{PROMOTE_AGREE_SEED} // 1, 4);
is("$rc$err", '0', 'preview, result, plan, worker and status agree') or diag($out);
note("result: " . ($out =~ s/\n\z//r));
my ($moved, $deployed, $failed, $back, $down) = $out
	=~ /(\d+) changes, (\d+) deployed, (\d+) failed, (\d+) rolled back, (\d+) taken down/;
cmp_ok($moved // 0, '>', 5, 'of histories with changes');
cmp_ok($deployed // 0, '>', 3, '... that are deployed');
cmp_ok($failed // 0, '>', 0, '... and fail');
cmp_ok($back // 0, '>', 0, '... are rolled back');
cmp_ok($down // 0, '>', 0, '... and taken down');
done_testing();
