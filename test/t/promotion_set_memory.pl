# A set takes no more memory the longer it is, nor the larger its documents are: a session that gives five thousand
# instances a revision of 4 KB each, of their own, by INSERT, by promote_many and by promote_environment, holds next to
# what one of five hundred holds, and one that gives a hundred instances half a megabyte each is held to pages of a few.

use strict;
use warnings;
use Test::More;
use PromoteTest;

plan skip_all => 'there is no /proc to read it from' if !-r '/proc/self/status';

my %count = (few => 500, many => 5_000, large => 100);
my %keys = (few => 55, many => 55, large => 6_000);
my $node = PromoteTest->shop('memory', <<'SQL');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging55'), ('shop', 'staging6000');
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
-- About 4 KB that nothing compresses, or more, the same to no two instances.
CREATE FUNCTION params(n integer, keys integer = 55) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_object_agg('key_' || k, sha256(convert_to(n || '/' || k, 'UTF8'))) FROM generate_series(1, keys) AS k
$$;
SELECT FROM unnest('{55,6000}'::integer[]) AS keys,
	LATERAL promote.configure_instance('shop-staging' || keys || '-db', params(0, keys));
SQL
for my $group (sort keys %count) {
	my $keys = $keys{$group};
	$node->query('memory', <<"SQL");
INSERT INTO promote.environment (project, environment)
SELECT 'shop', '$group' || n FROM generate_series(1, $count{$group}) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment WHERE environment LIKE '$group%';
INSERT INTO promote.config (project, params)
SELECT 'shop', params(n, $keys) FROM generate_series(1, $count{$group}) AS n
	ON CONFLICT DO NOTHING;
-- a whole environment of as many
INSERT INTO promote.project VALUES ('$group');
INSERT INTO promote.environment (project, environment) VALUES ('$group', 'a'), ('$group', 'b');
INSERT INTO promote.component (project, component, bundle)
SELECT '$group', 'c' || n, 'postgres' FROM generate_series(1, $count{$group}) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project)
 WHERE project = '$group';
INSERT INTO promote.config (project, params)
SELECT '$group', params(n, $keys) FROM generate_series(1, $count{$group}) AS n;
INSERT INTO promote.revision (project, environment, component, digest, version_constraint, plan)
SELECT '$group', 'a', 'c' || n, promote.config_digest('$group', params(n, $keys)), 'latest', false
  FROM generate_series(1, $count{$group}) AS n;
ANALYZE;
SQL
}

# What the memory of a session's own came to, in MB, when it has run a statement.
sub peak {
	my ($statement) = @_;
	my $status = $node->query('memory', "$statement; SELECT pg_read_file('/proc/self/status')");
	my ($most) = $status =~ /VmHWM:\s+(\d+)/;
	my ($shared) = $status =~ /RssShmem:\s+(\d+)/;
	return ($most - $shared) / 1024;
}

my %way = (
	'INSERT' => q{INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
		SELECT 'shop', '%g' || n, 'db', promote.config_digest('shop', params(n, %k)), 'latest'
		FROM generate_series(1, %n) AS n},
	promote_many => q{SELECT count(*) FROM promote.promote_many(array_fill('shop-staging%k-db'::text, '{%n}'),
		ARRAY(SELECT 'shop-%g' || n || '-db' FROM generate_series(1, %n) AS n),
		ARRAY(SELECT jsonb_build_object('n', n, 'filler', repeat('x', 100)) FROM generate_series(1, %n) AS n),
		plan => false)},
	promote_environment => q{SELECT count(*) FROM promote.promote_environment('%g-a', '%g-b', plan => false)},
);
for my $way (sort keys %way) {
	my %peak = map {
		($_ => peak($way{$way} =~ s/%g/$_/gr =~ s/%n/$count{$_}/gr =~ s/%k/$keys{$_}/gr));
	} sort keys %count;
	note("$way: $peak{few} MB, $peak{many} MB and $peak{large} MB");
	cmp_ok($peak{many} - $peak{few}, '<', 40, "$way: ten times as many take about the same memory");
	cmp_ok($peak{large} - $peak{few}, '<', $way eq 'INSERT' ? 60 : 200, "$way: larger ones come in smaller pages");
}
is($node->query('memory', q{SELECT count(*) FROM promote.instance WHERE environment !~ 'staging' AND revision = 2}),
	$count{few} + $count{many} + $count{large}, 'and all of them have it');

done_testing;
