# What a session keeps of the grants: what was revoked meanwhile is not kept.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
$node->create_promote('grants');
$node->query('grants', <<'SQL');
INSERT INTO promote.project (project) VALUES ('ecomm');
INSERT INTO promote.environment (project, environment) VALUES ('ecomm', 'staging');
CREATE TABLE big AS SELECT g FROM generate_series(1, 10000) AS g;
ANALYZE big;
GRANT SELECT ON big TO PUBLIC;
CREATE ROLE g_reader LOGIN;
SELECT promote.grant_action('g_reader', 'view', 'ecomm'), promote.grant_action('g_reader', 'deploy', 'ecomm',
	'staging');
SQL

# Asked beside parallel workers, whose statement's snapshot is older than the revocation, and waits for it under way.
my $parallel = <<'SQL';
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT promote.may('deploy', 'ecomm', 'staging');
SELECT b.count, pg_advisory_lock(1), promote.may('deploy', 'ecomm', 'staging') FROM (SELECT count(*) FROM big) AS b;
SELECT promote.may('deploy', 'ecomm', 'staging');
SQL
like($node->query('grants',
	"SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	EXPLAIN SELECT b.count, pg_advisory_lock(1), promote.may('deploy', 'ecomm', 'staging') FROM (SELECT count(*) "
		. "FROM big) AS b"),
	qr/Parallel Seq Scan/, 'the question is asked beside parallel workers');
my $holder = $node->spawn('grants', 'SELECT pg_advisory_lock(1); SELECT pg_sleep(600)');
$node->wait_for('grants', "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted)");
my $reader = $node->spawn('grants', "SET ROLE g_reader; $parallel");
$node->wait_for('grants', "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)");
$node->query('grants', "SELECT promote.revoke_action('g_reader', 'deploy', 'ecomm', 'staging')");
$node->query('grants', "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted");
$node->finish($holder);
my ($status, $out) = $node->finish($reader);
chomp $out;
is($out, "t\n10000||f\nf", 'what was revoked while a statement with parallel workers waited is not granted any more');

# What cannot be read leaves nothing half gone behind.
my ($rc, $answer, $error) = $node->psql('grants', <<'SQL');
\set ON_ERROR_STOP off
SET ROLE g_reader; SELECT promote.may('view', 'ecomm'); RESET ROLE;
ALTER SCHEMA promote RENAME TO elsewhere; CREATE ROLE g_other;
SET ROLE g_reader; SELECT elsewhere.may('view', 'ecomm'); SELECT elsewhere.may('view', 'ecomm'); RESET ROLE;
ALTER SCHEMA elsewhere RENAME TO promote;
SET ROLE g_reader; SELECT promote.may('view', 'ecomm'); SELECT promote.may('deploy', 'ecomm');
SQL
is($answer, "t\nt\nf\n", 'grants are read again once there is a table of them again');

done_testing;
