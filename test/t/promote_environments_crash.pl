# kill -9 of the whole server while environments are promoted, deployed, rolled back and tagged: a call that was
# acknowledged is there as a whole, every other one is not there at all, and nothing is there by half.

use strict;
use warnings;
use Test::More;
use CrashTest;

my $sessions   = 3;
my $components = 30;
my $sql = <<"SQL";
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
SELECT 'shop', e || n, false, false FROM generate_series(1, $sessions) AS n, unnest('{source,target}'::text[]) AS e;
INSERT INTO promote.component (project, component, bundle)
SELECT 'shop', 's' || n, 'postgres' FROM generate_series(1, $components) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);
DO \$\$ BEGIN
	PERFORM promote.configure_instance(name, '{"size": 0}', plan => false) FROM promote.instance
	  WHERE environment ~ 'source' ORDER BY name;
	FOR n IN 1 .. $sessions LOOP
		PERFORM promote.promote_environment('shop-source' || n, 'shop-target' || n, plan => false);
		PERFORM promote.deploy_environment('shop-target' || n);
	END LOOP;
	PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing)
	   FROM promote.claim_deployment('w', max => 1000) AS c;
	FOR n IN 1 .. $sessions LOOP
		PERFORM promote.tag_environment('shop-target' || n, 'first');
	END LOOP;
END \$\$;
SQL

# Each statement is a call; psql says which was committed once it knows.
sub script {
	my ($session, $round) = @_;
	my $target = "'shop-target$session'";
	return join '', map {
		my $message = "$round-$session-$_";
		my $overrides = "(SELECT jsonb_object_agg('s' || n, jsonb_build_object('size', '$message'))"
		  . " FROM generate_series(1, $components) AS n)";
		"SELECT count(*) FROM promote.promote_environment('shop-source$session', $target, $overrides,"
		  . " message => '$message-promote') \\g /dev/null\n\\echo $message-promote\n"
		  . "SELECT count(*) FROM promote.deploy_environment($target, message => '$message-deploy') \\g /dev/null\n"
		  . "\\echo $message-deploy\n"
		  . "SELECT count(*) FROM promote.tag_environment($target, 'v$message') \\g /dev/null\n"
		  . "SELECT count(*) FROM promote.rollback_environment($target, tag => 'first', message => '$message-back')"
		  . " \\g /dev/null\n\\echo $message-back\n"
	} 1 .. 500;
}

my %contradiction = (
	'what is promoted or rolled back is there as a whole or not at all' => qq{
		SELECT message, count(*) FROM promote.revision WHERE message IS NOT NULL GROUP BY 1
		HAVING count(*) <> $components},
	'so is what is deployed' => qq{
		SELECT message, count(*) FROM promote.deployment WHERE message ~ 'deploy' GROUP BY 1
		HAVING count(*) <> $components},
	'the instances of an environment are at one revision' => q{
		SELECT environment, array_agg(DISTINCT revision) FROM promote.instance GROUP BY 1
		HAVING count(DISTINCT revision) > 1},
	'a tag says of all instances what was at one moment' => q{
		SELECT tag FROM promote.environment_tag AS t, jsonb_each(t.state) AS s GROUP BY environment, tag
		HAVING count(DISTINCT s.value ->> 'desired') > 1},
);
my $crash = CrashTest->new(sql => $sql, sessions => $sessions, script => \&script, contradiction => \%contradiction,
	counted => 'promote.revision', rows => 20 * $components, least => 5,
	told => 'SELECT message FROM promote.revision UNION '
		. "SELECT message FROM promote.deployment WHERE message ~ 'deploy'");
$crash->round($_) for 1 .. 2;
done_testing;
