# A set reads of each instance what is its own: where two thousand wait for their plans, a second set for them does not
# read through all that waits for each of its pages, although nothing was ever analyzed.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $count = 2_000;
my $node = PromoteTest->shop('reads', <<"SQL");
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging');
INSERT INTO promote.environment (project, environment) SELECT 'shop', 'e' || n FROM generate_series(1, $count) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
SELECT FROM promote.configure_instance('shop-staging-db', '{"a": 1}');
SQL

# How many rows of deployments a set reads for each of its instances.
sub reads {
	my ($overrides) = @_;
	return $node->query('reads', <<"SQL");
BEGIN;
DO \$\$ BEGIN
	PERFORM FROM promote.promote_many(array_fill('shop-staging-db'::text, '{$count}'),
		ARRAY(SELECT 'shop-e' || n || '-db' FROM generate_series(1, $count) AS n),
		array_fill('$overrides'::jsonb, '{$count}'));
END \$\$;
SELECT (COALESCE(idx_tup_fetch, 0) + COALESCE(seq_tup_read, 0)) / $count
  FROM pg_stat_xact_user_tables WHERE relid = 'promote.deployment'::regclass;
COMMIT;
SQL
}

my @reads = map { reads($_) } '{}', '{"b": 1}', '{"b": 2}';
note("@reads for each");
cmp_ok($reads[$_], '<', 10, 'set ' . ($_ + 1) . ' reads few deployments for each instance') for 0 .. 2;
is($node->query('reads', q{SELECT count(*) FROM promote.deployment WHERE environment <> 'staging'}), 3 * $count,
	'and each of them has got a plan for each instance');

done_testing;
