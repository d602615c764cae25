# kill -9 of the whole server in the middle of deployments that wait for each other: nothing ever began before what it
# depends on was over, and everything that is queued comes to its end.

use strict;
use warnings;
use Test::More;
use CrashTest;

my $sessions   = 3;
my $components = 5;    # each depends on the one before
my $sql = <<"SQL";
INSERT INTO promote.environment (project, environment, attributes, require_plan)
SELECT 'shop', 'e-' || n, jsonb_build_object('session', n), false FROM generate_series(1, $sessions) AS n;
INSERT INTO promote.component (project, component, bundle)
SELECT 'shop', 's' || n, 'postgres' FROM generate_series(1, $components) AS n;
INSERT INTO promote.component_dependency (project, component, depends_on)
SELECT 'shop', 's' || n, 's' || n - 1 FROM generate_series(2, $components) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);
SQL

# Deploys everything, in any order, and carries it out, again and again.
sub script {
	my ($session, $round) = @_;
	my $names = "ARRAY(SELECT name FROM promote.instance WHERE environment = 'e-$session' ORDER BY random())";
	return join '', map {
		"DO \$do\$ BEGIN PERFORM promote.configure_instance(name, jsonb_build_object('size', $round * 1000 + $_), "
		  . "plan => false) FROM promote.instance WHERE environment = 'e-$session' ORDER BY name; END \$do\$;\n"
		  . "SELECT count(*) FROM promote.deploy_many($names, message => '$round-$session-$_') \\g /dev/null\n"
		  . "\\echo $round-$session-$_\n" . CrashTest::carry_out($session) x ($components + 1)
	} 1 .. 500;
}

my %contradiction = (
	'nothing began before what it depends on was over' => q{
		SELECT a.environment, a.component, a.deployment FROM promote.deployment AS a
		  JOIN promote.component_dependency AS c ON c.component = a.component
		  JOIN promote.deployment AS b ON b.environment = a.environment AND b.component = c.depends_on
		   AND b.message = a.message
		 WHERE a.started_at IS NOT NULL AND (b.finished_at > a.started_at) IS NOT FALSE},
);
my $crash = CrashTest->new(sql => $sql, sessions => $sessions, script => \&script, contradiction => \%contradiction,
	counted => 'promote.deployment', rows => 20 * $components, least => 3,
	told => 'SELECT message FROM promote.deployment');
for my $round (1 .. 2) {
	$crash->round($round);
	# what was held back is judged again within half a minute, and has all of the wait that others have
	my $deadline = time + 120;
	my $open;
	do {
		$crash->query(join('', map { CrashTest::carry_out($_) } 1 .. $sessions));
		$open = $crash->query(
			q{SELECT count(*) FROM promote.deployment WHERE status IN ('PENDING', 'APPROVED', 'RUNNING')});
	} while ($open > 0 && time < $deadline);
	is($open, 0, 'everything that is queued comes to its end');
}
done_testing;
