# kill -9 of the whole server in the middle of a thousand promotions: what was acknowledged is there, all the rest is
# not, and nothing is there by half.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $sessions   = 4;
my $promotions = 1000;    # far more of them than are done when the server dies
my $node = PromoteTest->new;
$node->create_database('crash');

# Every session promotes to an instance of its own, to another of its own, and to one that all have in common.
my $environments = join ', ', "('shop', 'common')", "('shop', 'staging')",
  map { "('shop', 'a-$_'), ('shop', 'b-$_')" } 1 .. $sessions;
$node->query('crash', <<"SQL");
CREATE EXTENSION promote;
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0', '{}');
INSERT INTO promote.project VALUES ('shop');
INSERT INTO promote.environment (project, environment, parameters)
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

# Transactions of three promotions that carry the same message; psql says which one was committed once it knows.
sub script {
	my ($session, $round) = @_;
	return join '', map {
		my $message = "$round-$session-$_";
		my $promote = sub {
			my ($destination) = @_;
			return "SELECT 1 / (new_revision - old_revision) FROM promote.promote_instance('shop-staging-db',"
			  . qq{ '$destination', '{"note": "$message"}', message => '$message') \\g /dev/null\n};
		};
		join '', "BEGIN;\n", $promote->("shop-a-$session-db"), $promote->("shop-b-$session-db"),
		  $promote->('shop-common-db'), "COMMIT;\n\\echo $message\n";
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
	'the audit log is whole' => 'SELECT * FROM promote.verify_audit()',
);
my %acknowledged;
for my $round (1 .. 2) {
	my $before = $node->query('crash', 'SELECT count(*) FROM promote.promotion_history');
	my @clients = map { $node->spawn('crash', script($_, $round)) } 1 .. $sessions;
	ok($node->wait_for('crash', "SELECT count(*) >= $before + 300 FROM promote.promotion_history"),
		"round $round: promotions are under way");
	$node->kill9;
	my $cut_off = 0;
	for my $client (@clients) {
		my ($rc, $out, $err) = $node->finish($client);
		$cut_off++ if $rc != 0;
		$acknowledged{$_} = 1 for split /\n/, $out;
		unlike($err, qr/ERROR/, '... without an error but the lost connection');
	}
	is($cut_off, $sessions, '... and no session has come to its end when the server dies');

	$node->start;
	is($node->query('crash', "SELECT * FROM ($contradiction{$_}) AS contradiction"), '', $_)
	  for sort keys %contradiction;

	my %there = map { $_ => 1 } split /\n/,
		$node->query('crash', 'SELECT DISTINCT message FROM promote.promotion_history');
	my @lost = grep { !$there{$_} } sort keys %acknowledged;
	is("@lost", '', 'every promotion that a client was told of is there');
	cmp_ok(scalar(keys %acknowledged), '>', 50 * $round, '... and those are many');
	# One commit per session may have been on its way to the client.
	cmp_ok(scalar(keys %there), '<=', keys(%acknowledged) + $sessions * $round, '... and next to no other is');
}

is($node->query('crash', q{SELECT new_revision - old_revision FROM promote.promote_instance(
		'shop-staging-db', 'shop-common-db', '{"note": "after"}')}), '1', 'promotions go on');
is($node->query('crash', 'SELECT * FROM promote.verify_audit()'), '', '... in a chain that is whole');

done_testing;
