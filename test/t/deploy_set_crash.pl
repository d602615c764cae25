# kill -9 of the whole server in the middle of sets that are planned, claimed, completed and deployed: a set that was
# acknowledged is there as a whole, every other one is not there at all, and nothing is there by half.

use strict;
use warnings;
use Test::More;
use CrashTest;

my $sessions   = 4;
my $components = 40;    # of each session, which are a set
my $sql = <<"SQL";
INSERT INTO promote.environment (project, environment, attributes)
SELECT 'shop', 'e-' || n, jsonb_build_object('session', n) FROM generate_series(1, $sessions) AS n;
INSERT INTO promote.component (project, component, bundle)
SELECT 'shop', 's' || n, 'postgres' FROM generate_series(1, $components) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);
DO \$\$ BEGIN
	PERFORM promote.configure_instance(name, '{"size": 1}', plan => false) FROM promote.instance ORDER BY name;
END \$\$;
SQL

# Each transaction is one step of a set; psql says what was committed once it knows.
sub script {
	my ($session, $round) = @_;
	my $names = "ARRAY(SELECT name FROM promote.instance WHERE environment = 'e-$session' ORDER BY random())";
	my $claims = CrashTest::carry_out($session);
	return join '', map {
		my $message = "$round-$session-$_";
		"DO \$do\$ BEGIN PERFORM promote.configure_instance(name, jsonb_build_object('size', $_ * 10 + $round), "
		  	. "plan => false)"
		  . " FROM promote.instance WHERE environment = 'e-$session' ORDER BY name; END \$do\$;\n"
		  . "SELECT count(*) FROM promote.plan_many($names, '$message-plan') \\g /dev/null\n\\echo $message-plan\n"
		  # what the crash has left waits before the plan
		  . $claims x 3
		  . "SELECT count(*) FROM promote.deploy_many($names, message => '$message-deploy') \\g /dev/null\n"
		  . "\\echo $message-deploy\n$claims"
	} 1 .. 500;
}

my %contradiction = (
	'a set is there as a whole or not at all' => qq{
		SELECT message, count(*) FROM promote.deployment WHERE message IS NOT NULL GROUP BY 1
		HAVING count(*) NOT IN (0, $components)},
	'every deployment is recorded as often as it was queued, claimed and ended' => q{
		SELECT i.name, d.deployment FROM promote.deployment d JOIN promote.instance i
			USING (project, environment, component)
		CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE a.event = 'deployment.created') AS created,
			count(*) FILTER (WHERE a.event = 'deployment.started') AS started,
			count(*) FILTER (WHERE a.event = 'deployment.completed') AS completed FROM promote.audit_log a
			WHERE a.subject = i.name AND (a.data->>'deployment')::integer = d.deployment) a
		WHERE (a.created, a.started, a.completed) <> (1, d.fencing, (d.status = 'COMPLETED')::integer)},
	'a claim and its completion are there as a whole' => q{
		SELECT environment, reason FROM promote.deployment WHERE status = 'RUNNING'},
	'counters are those of the history' => q{
		SELECT i.name FROM promote.instance i WHERE i.deployment <> (SELECT count(*) FROM promote.deployment d
			WHERE (d.project, d.environment, d.component) = (i.project, i.environment, i.component))},
	'the instances are what was deployed last' => q{
		SELECT i.name FROM promote.instance i WHERE i.deployed_by IS DISTINCT FROM (SELECT max(d.deployment)
			FROM promote.deployment d WHERE (d.project, d.environment, d.component) = (i.project, i.environment,
				i.component)
			AND d.action = 'PROVISION' AND d.status = 'COMPLETED')},
);
my $crash = CrashTest->new(sql => $sql, sessions => $sessions, script => \&script, contradiction => \%contradiction,
	counted => 'promote.deployment', rows => 30 * $components, least => 10,
	told => 'SELECT message FROM promote.deployment');
$crash->round($_) for 1 .. 2;
done_testing;
