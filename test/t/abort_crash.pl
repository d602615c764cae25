# kill -9 of the whole server while environments are promoted, deployed, worked on, aborted and decommissioned: a call
# that was acknowledged is there as a whole, every other one is not there at all, and nothing is there by half.

use strict;
use warnings;
use Test::More;
use CrashTest;

my $sessions   = 3;
my $components = 20;
my $sql = <<"SQL";
INSERT INTO promote.environment (project, environment, attributes, require_plan, require_proven_release)
SELECT 'shop', e || n, jsonb_build_object('session', CASE e WHEN 'target' THEN n END), false, false
  FROM generate_series(1, $sessions) AS n, unnest('{source,target}'::text[]) AS e;
INSERT INTO promote.component (project, component, bundle)
SELECT 'shop', 's' || n, 'postgres' FROM generate_series(1, $components) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);
DO \$\$ BEGIN
	PERFORM promote.configure_instance(name, '{"size": 0}', plan => false) FROM promote.instance
	  WHERE environment ~ 'source' ORDER BY name;
END \$\$;
SQL

# Each statement is a call; psql says which was committed once it knows.
sub script {
	my ($session, $round) = @_;
	my $target = "'shop-target$session'";
	my $carry_out = CrashTest::carry_out($session);
	return join '', map {
		my $message = "$round-$session-$_";
		my $call = sub {
			my ($verb, $arguments, $argument) = @_;
			return "SELECT count(*) FROM promote.${verb}_environment($arguments, $argument => '$message-$verb')"
			  . " \\g /dev/null\n\\echo $message-$verb\n";
		};
		# what was decommissioned comes back by its instances' names only
		my $deploy = "SELECT count(*) FROM promote.deploy_many(ARRAY(SELECT name FROM promote.instance"
		  . " WHERE environment = 'target$session'), message => '$message-deploy') \\g /dev/null\n"
		  . "\\echo $message-deploy\n";
		my $overrides = "(SELECT jsonb_object_agg('s' || n, jsonb_build_object('size', '$message'))"
		  . " FROM generate_series(1, $components) AS n)";
		join '', $call->('promote', "'shop-source$session', $target, $overrides, reprovision => true", 'message'),
		  $carry_out, $deploy, $carry_out, $call->('plan', $target, 'message'),
		  $call->('abort', $target, 'reason'), $call->('decommission', $target, 'message'), $carry_out
	} 1 .. 500;
}

my %contradiction = (
	'a revision is there in all instances or in none' => qq{
		SELECT message, count(*) FROM promote.revision WHERE message IS NOT NULL GROUP BY 1
		HAVING count(*) <> $components},
	'so is what is planned, deployed and decommissioned' => qq{
		SELECT message, count(*) FROM promote.deployment WHERE message IS NOT NULL GROUP BY 1
		HAVING count(*) <> $components},
	'so is what is aborted' => qq{
		SELECT reason, count(*) FROM promote.deployment WHERE status = 'ABORTED' GROUP BY 1
		HAVING count(*) % $components <> 0},
	'what a call has aborted is all that waited' => q{
		SELECT environment, array_agg(DISTINCT waits) FROM (SELECT i.environment, i.component, (SELECT count(*)
			FROM promote.deployment d WHERE (d.environment, d.component) = (i.environment, i.component)
			AND d.status = 'PENDING') AS waits FROM promote.instance i) AS i GROUP BY 1
		HAVING count(DISTINCT waits) > 1},
	'one runs of an instance at most, and is the oldest that is open' => q{
		SELECT d.environment, d.component FROM promote.deployment d WHERE d.status = 'RUNNING' AND EXISTS (
			SELECT FROM promote.deployment o WHERE (o.environment, o.component) = (d.environment, d.component)
			AND (o.status = 'RUNNING' AND o.deployment <> d.deployment
				OR o.status = 'PENDING' AND o.deployment < d.deployment))},
	'what was aborted was never begun' => q{
		SELECT environment, deployment FROM promote.deployment WHERE status = 'ABORTED' AND started_at IS NOT NULL},
	'an instance runs what was completed last' => q{
		SELECT i.name FROM promote.instance i WHERE i.changed_by <> COALESCE((SELECT max(d.deployment)
			FROM promote.deployment d WHERE (d.environment, d.component) = (i.environment, i.component)
			AND d.action <> 'PLAN' AND d.status = 'COMPLETED'), 0)},
);
my $crash = CrashTest->new(sql => $sql, sessions => $sessions, script => \&script, contradiction => \%contradiction,
	counted => 'promote.deployment', rows => 20 * $components, least => 10,
	told => q{SELECT message FROM promote.revision UNION SELECT message FROM promote.deployment
		UNION SELECT reason FROM promote.deployment WHERE status = 'ABORTED'});
for my $round (1 .. 2) {
	# what the server died in the middle of is carried out, or aborted
	$crash->query(join '', map { CrashTest::carry_out($_) x 3 } 1 .. $sessions);
	$crash->round($round);
}
cmp_ok($crash->query("SELECT count(*) FROM promote.deployment WHERE status = '$_'"), '>', 0, "some are $_")
  for qw(ABORTED COMPLETED);
done_testing;
