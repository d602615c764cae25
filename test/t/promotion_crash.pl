# kill -9 of the whole server, or of the worker that notifies listeners, in the middle of a thousand promotions: what
# was acknowledged is there, all the rest is not, and nothing is there by half.

use strict;
use warnings;
use Test::More;
use CrashTest;

my $sessions   = 4;
my $promotions = 1000;    # far more of them than are done when the server dies

# Every session promotes to an instance of its own, to another of its own, and to one that all have in common.
my $environments = join ', ', "('shop', 'common')", "('shop', 'staging')",
  map { "('shop', 'a-$_'), ('shop', 'b-$_')" } 1 .. $sessions;
my $sql = <<"SQL";
INSERT INTO promote.environment (project, environment)
SELECT project, environment
  FROM (VALUES $environments) AS v (project, environment);
INSERT INTO promote.parameter_set (project, environment, parameters)
SELECT project, environment, jsonb_build_object('environment', environment)
  FROM (VALUES $environments) AS v (project, environment);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
-- Rendered params are stored beside the others.
DO \$\$ BEGIN
	PERFORM promote.configure_instance(name, '{"host": "{{environment}}"}') FROM promote.instance ORDER BY name;
END \$\$;
SQL

# Transactions of three promotions, or of a set of three, that carry the same message; psql says which one was
# committed once it knows.
sub script {
	my ($session, $round) = @_;
	return join '', map {
		my $message = "$round-$session-$_";
		my $promote = sub {
			my ($destination) = @_;
			return "SELECT 1 / (new_revision - old_revision) FROM promote.promote_instance('shop-staging-db',"
			  . qq{ '$destination', '{"note": "$message"}', message => '$message') \\g /dev/null\n};
		};
		my @destinations = ("shop-a-$session-db", "shop-b-$session-db", 'shop-common-db');
		# every other transaction promotes to all three by one call
		my $set = 'SELECT 1 / changed::integer'
		  . " FROM promote.promote_many(array_fill('shop-staging-db'::text, '{3}'),"
		  . " '{" . join(',', @destinations) . qq(}', array_fill('{"note": "$message"}'::jsonb, '{3}'),)
		  . " message => '$message') \\g /dev/null\n";
		join '', "BEGIN;\n", $_ % 2 ? $set : map({ $promote->($_) } @destinations), "COMMIT;\n\\echo $message\n";
	} 1 .. $promotions / $sessions * 3;
}

# Rows that contradict others, of which there must be none.
my %contradiction = (
	'every revision has its configuration' => q{
		SELECT r FROM promote.revision r LEFT JOIN promote.config c USING (project, digest) WHERE c IS NULL},
	'... and its plan' => q{
		SELECT r FROM promote.revision r LEFT JOIN promote.deployment d USING (project, environment, component,
			revision)
		GROUP BY r HAVING count(d) <> 1 OR min(d.action) <> 'PLAN' OR min(d.status) <> 'PENDING'},
	'... and two audit rows' => q{
		SELECT i.name, r.revision FROM promote.instance i JOIN promote.revision r
			USING (project, environment, component)
		LEFT JOIN promote.audit_log a ON a.subject = i.name AND (a.data->>'revision')::integer = r.revision
		GROUP BY 1, 2 HAVING array_agg(a.event ORDER BY a.seq) <> ARRAY['revision.created', 'deployment.created']},
	'... and nothing is recorded of what is not there' => q{
		SELECT a FROM promote.audit_log a JOIN promote.instance i ON i.name = a.subject
		LEFT JOIN promote.revision r ON (r.project, r.environment, r.component, r.revision::text)
			= (i.project, i.environment, i.component, a.data->>'revision') WHERE r IS NULL},
	'no configuration is there by itself' => q{
		SELECT c FROM promote.config c WHERE NOT EXISTS (SELECT FROM promote.revision r WHERE r.digest = c.digest)
		AND NOT EXISTS (SELECT FROM promote.deployment d WHERE d.rendered_digest = c.digest)},
	'what was rendered for a plan is there' => q{
		SELECT d FROM promote.deployment d LEFT JOIN promote.config c
			ON (c.project, c.digest) = (d.project, d.rendered_digest)
		WHERE c.params->>'host' IS DISTINCT FROM d.environment},
	'counters are those of the history, without a gap' => q{
		SELECT i.name, r, d FROM promote.instance i
		LEFT JOIN LATERAL (SELECT count(*), max(revision) FROM promote.revision r
			WHERE (r.project, r.environment, r.component) = (i.project, i.environment, i.component)) r ON true
		LEFT JOIN LATERAL (SELECT count(*), max(deployment) FROM promote.deployment d
			WHERE (d.project, d.environment, d.component) = (i.project, i.environment, i.component)) d ON true
		WHERE (i.revision, i.revision, i.deployment, i.deployment) IS DISTINCT FROM (r.count, r.max, d.count, d.max)},
	'the three promotions of a transaction are all there or none' => q{
		SELECT message FROM promote.promotion_history GROUP BY 1 HAVING count(DISTINCT destination) <> 3
			OR count(*) <> 3},
);
my $crash = CrashTest->new(sql => $sql, sessions => $sessions, script => \&script, contradiction => \%contradiction,
	counted => 'promote.promotion_history', rows => 300, least => 50,
	told => 'SELECT message FROM promote.promotion_history');
$crash->round($_) for 1 .. 2;
$crash->round(3, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'promote notifier'});

is($crash->query(q{SELECT new_revision - old_revision FROM promote.promote_instance(
		'shop-staging-db', 'shop-common-db', '{"note": "after"}')}), '1', 'promotions go on');
is($crash->query('SELECT * FROM promote.verify_audit()'), '', '... in a chain that is whole');

done_testing;
