# Ten thousand instances are given a revision by one statement: all of them are judged, planned and recorded in it, or
# none of them.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $count = 10_000;
my $node = PromoteTest->new;
$node->create_promote('bulk');
$node->query('bulk', <<"SQL");
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0',
	'{"properties": {"size": {"type": "integer"}}, "required": ["host"]}');
INSERT INTO promote.project VALUES ('shop');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.environment (project, environment)
SELECT 'shop', 'tenant-' || n
  FROM generate_series(1, $count) AS n;
INSERT INTO promote.parameter_set (project, environment, parameters)
SELECT 'shop', 'tenant-' || n, jsonb_build_object('tenant', n)
  FROM generate_series(1, $count) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
INSERT INTO promote.config (project, params) VALUES
	('shop', '{"host": "db-{{tenant}}", "size": 1}'), ('shop', '{"host": "db-{{tenant}}", "size": 2}'),
	('shop', '{"host": "db-{{tenant}}", "size": "large"}');
-- Plans made while a table was small have to do when it is not.
ANALYZE;
SQL

# Gives every tenant the size, but tenant 7777 its own.
sub insert {
	my ($size, $own_size) = @_;
	$own_size //= $size;
	return <<"SQL";
INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
SELECT project, environment, component, promote.config_digest(project, jsonb_build_object('host', 'db-{{tenant}}',
	'size',
	CASE environment WHEN 'tenant-7777' THEN '$own_size'::jsonb ELSE '$size' END)), 'latest' FROM promote.instance
SQL
}

# All that is there, in numbers.
sub totals {
	return $node->query('bulk', q{
		SELECT (SELECT count(*) FROM promote.revision), (SELECT count(*) FROM promote.deployment),
			(SELECT count(*) FROM promote.audit_log WHERE event !~ 'inserted'), (SELECT count(*) FROM promote.config),
			(SELECT string_agg(DISTINCT revision || '/' || deployment, ' ') FROM promote.instance)});
}

# How many problems the audit log has. That many rows are compared by a plan that needs to know how many they are.
sub problems {
	return $node->query('bulk', 'ANALYZE; SELECT count(*) FROM promote.verify_audit()');
}

my ($rc, undef, $err) = $node->psql('bulk', insert(1));
is("$rc$err", '0', "one INSERT of $count revisions") or BAIL_OUT($err);
is(totals(), join('|', $count, $count, 2 * $count, 3 + $count, '1/1'),
	'... each with its plan, its rendered configuration and two audit rows, and the counters moved');
is($node->query('bulk', q{SELECT count(*) FROM promote.deployment d JOIN promote.config c
	ON (c.project, c.digest) = (d.project, d.rendered_digest)
	WHERE d.revision = 1 AND d.environment = replace(c.params->>'host', 'db-', 'tenant-')}), $count,
	'... rendered with the parameters of its own environment');
is(problems(), 0, '... in whole chains');
is($node->query('bulk', 'SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM promote.revision
	UNION ALL SELECT xmin FROM promote.deployment UNION ALL SELECT xmin FROM promote.audit_log WHERE event !~ '
		. '$$inserted$$
	UNION ALL SELECT xmin FROM promote.instance) AS written'), 1, '... by one transaction');

($rc, undef, $err) = $node->psql('bulk', insert(2, '"large"'), '-v', 'VERBOSITY=sqlstate');
is("$rc$err", "3ERROR:  PM103\n", 'an invalid one among them refuses the statement');
my ($missing) = ($node->psql('bulk', insert(2) . q{ WHERE environment <> 'tenant-7777'
	UNION ALL SELECT 'shop', 'tenant-7777', 'db', promote.config_digest('shop', '{}'), 'latest'}, '-v',
		'VERBOSITY=sqlstate'))[2];
is($missing, "ERROR:  23503\n", '... so does one whose configuration is not there');
($rc, undef, $err) = $node->psql('bulk', insert(2) . ' UNION ALL ' . insert(1) =~ s/\A.*\n//r, '-v',
	'VERBOSITY=sqlstate');
is("$rc$err", "3ERROR:  23505\n", '... and a second one for an instance');
is(totals(), join('|', $count, $count, 2 * $count, 3 + $count, '1/1'), '... and nothing of it stays');

($rc, undef, $err) = $node->psql('bulk', insert(2));
is("$rc$err", '0', 'the same without it');
is(totals(), join('|', 2 * $count, 2 * $count, 4 * $count, 3 + 2 * $count, '2/2'), '... goes on from there');
is($node->query('bulk', q{SELECT count(*) FROM promote.deployment WHERE revision = 2
	AND base_revision IS NULL
	AND diff @> '[{"path": ".size", "new": 2, "since": 2}, {"path": "release version", "since": 1}]'}), $count,
	'... with the difference in every plan');

# The same by the verb: one statement that promotes to every tenant.
is($node->query('bulk', q{SELECT count(*) FILTER (WHERE p.changed), count(DISTINCT p.destination)
	FROM promote.instance i, promote.promote_instance('shop-tenant-1-db', i.name, '{"size": 3}') p
	WHERE i.environment <> 'tenant-1'}), join('|', ($count - 1) x 2),
		'and all but one are promoted to in one statement');
is($node->query('bulk', q{SELECT count(*) FROM promote.promotion_history WHERE revision = 3 AND plan = 3
	AND diff @> '[{"path": ".size", "new": 3, "since": 3}]'}),
	$count - 1, '... with their plans');
is(problems(), 0, '... and whole chains');

done_testing;
