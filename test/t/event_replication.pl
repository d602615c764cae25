# The history goes to plain tables of another database by logical replication, as the how-to says: what is published,
# and
# nothing that is withheld.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->shop('here', <<'SQL', 'wal_level = logical', 'wal_retrieve_retry_interval = 100ms');
INSERT INTO promote.environment (project, environment, require_plan) VALUES ('shop', 'production', false);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'production', 'db');
SELECT promote.configure_instance('shop-production-db', '{"word": "withheld-1"}');
SQL
my $page = PromoteTest::slurp('doc/how-to/replicate-the-history.md');
my ($publish)   = $page =~ /```sql\n(.*?)```/s;
my ($subscribe) = $page =~ /```\n(CREATE SCHEMA.*?)```/s;
$node->query('here', $publish);
$node->create_database('there');
$node->query('here', q{SELECT pg_create_logical_replication_slot('history', 'pgoutput')});
my $connection = join ' ', 'host=' . $node->dir, 'port=5432', 'user=warehouse', 'dbname=here';
# the two are in one server
$subscribe =~ s/CONNECTION '.*?'/CONNECTION '$connection'/;
$subscribe =~ s/;\s*\z/ WITH (create_slot = false, slot_name = 'history');\n/;
$node->query('there', $subscribe);

ok($node->wait_for('there', q{SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel}),
	'the first copy is made');
$node->query('here', q{SELECT promote.configure_instance('shop-production-db', '{"word": "withheld-2"}')});
$node->query('here', q{SELECT promote.complete_deployment(c.instance, c.deployment, c.fencing)
	FROM promote.claim_deployment('w') AS c}) for 1 .. 2;

my %columns = $publish =~ /promote\.(\w+) \((.*?)\)/gs;
is(join(' ', sort keys %columns), 'audit_log deployment revision', 'tables of the history');
for my $table (sort keys %columns) {
	my $rows = "SELECT md5(string_agg(x::text, E'\\n' ORDER BY x::text COLLATE \"C\")) FROM (SELECT "
	  . join(', ', map { /version|project|environment|component|bundle/ ? "$_\::text" : $_ } split /,\s*/,
	  	$columns{$table})
	  . " FROM promote.$table) AS x";
	my $here = $node->query('here', $rows);
	ok($node->wait_for('there', "SELECT ($rows) = '$here'"), "$table is there as it is here");
}
cmp_ok($node->query('there', 'SELECT count(*) FROM promote.audit_log'), '>', 10,
	'with what was before, and what came after');
is($node->query('there', q{SELECT string_agg(status, ' ' ORDER BY deployment) FROM promote.deployment}),
	'COMPLETED COMPLETED', '... and each step');
is($node->query('there', q{SELECT count(*) FROM (SELECT a::text FROM promote.audit_log AS a UNION ALL
	SELECT r::text FROM promote.revision AS r UNION ALL SELECT d::text FROM promote.deployment AS d) AS x (row)
	WHERE row ~ 'withheld'}), 0, 'no value of a configuration');

# ---- whole tables ----

my ($whole) = $page =~ /^(SELECT format\(.*?\\gexec)$/ms;
is(($node->psql('here', $whole))[2], '', 'all tables are published but what is withheld');
$node->create_database('whole');
$node->query('whole', 'CREATE SCHEMA promote');
$node->query('whole', $node->query('here', q{SELECT definition || ';' FROM promote.plain_tables()}));
$node->query('here', q{SELECT pg_create_logical_replication_slot('whole', 'pgoutput')});
$node->query('whole', "CREATE SUBSCRIPTION whole CONNECTION '" . $connection =~ s/warehouse/postgres/r
	. "' PUBLICATION promote_tables WITH (create_slot = false, slot_name = 'whole')");
ok($node->wait_for('whole', q{SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel}, 60),
	'the first copy is made');
$node->query('here', q{SELECT promote.grant_action('warehouse', 'view', 'shop'),
	promote.revoke_action('warehouse', 'view', 'shop')});
$node->query('here', q{SELECT promote.configure_instance('shop-production-db', '{"word": "withheld-3"}')});
for (split /\n/, $node->query('here', 'SELECT table_name, columns FROM promote.plain_tables()')) {
	my ($table, $names) = split /[|]/;
	my $rows = "SELECT count(*), md5(string_agg(x::text, E'\\n' ORDER BY x::text COLLATE \"C\")) FROM (SELECT $names"
	  . " FROM promote.$table) AS x";
	my $here = $node->query('here', $rows);
	ok($node->wait_for('whole', "SELECT (x.count || '|' || coalesce(md5, '')) = '$here' FROM ($rows) AS x", 60),
		"$table is there as it is here");
}
$node->query('whole', $_) for 'ALTER SUBSCRIPTION whole DISABLE', 'ALTER SUBSCRIPTION whole SET (slot_name = NONE)',
	'DROP SUBSCRIPTION whole';
$node->query('there', $_) for 'ALTER SUBSCRIPTION history DISABLE', 'ALTER SUBSCRIPTION history SET (slot_name = NONE)',
	'DROP SUBSCRIPTION history';

done_testing();
