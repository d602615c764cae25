# kill -9 of the whole server while environments are forked, decommissioned and archived: a call that was acknowledged
# is there as a whole, every other one is not there at all, and nothing is there by half.

use strict;
use warnings;
use Test::More;
use CrashTest;

my $sessions   = 3;
my $components = 10;
my $sql = <<"SQL";
INSERT INTO promote.environment (project, environment, require_plan) VALUES ('shop', 'staging', false);
INSERT INTO promote.component (project, component, bundle)
SELECT 'shop', 's' || n, 'postgres' FROM generate_series(1, $components) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);
SELECT count(*) FROM (SELECT promote.configure_instance(name, '{"size": 0}', plan => false) FROM promote.instance) AS c;
SQL

# Each statement is a call; psql says which was committed once it knows.
sub script {
	my ($session, $round) = @_;
	return join '', map {
		my $message = "$round-$session-$_";
		"SELECT count(*) FROM promote.fork_environment('shop-staging', 'shop-pr$session', message => 'fork $message',"
		  . " copy_rules => true, plan => false) \\g /dev/null\n\\echo fork $message\n"
		  . "SELECT count(*) FROM promote.archive_environment('shop-pr$session', 'archive $message') \\g /dev/null\n"
		  . "\\echo archive $message\n"
	} 1 .. 2000;
}

my %contradiction = (
	'a fork is there as a whole or not at all' => qq{
		SELECT message, count(*) FROM promote.revision WHERE message IS NOT NULL GROUP BY 1
			HAVING count(*) <> $components},
	'what is archived is told of by every chain' => qq{
		SELECT data ->> 'message', count(*) FROM promote.audit_log
		 WHERE event = 'instance.archived' AND data ->> 'message' IS NOT NULL GROUP BY 1
		HAVING count(*) <> $components},
	'instances of an environment are of one generation' => q{
		SELECT environment, array_agg(DISTINCT opened_revision) FROM promote.instance GROUP BY 1
		HAVING count(DISTINCT opened_revision) > 1},
	'each generation that is over has a row, and no other' => q{
		SELECT environment, generation FROM promote.environment AS e
		 WHERE (SELECT count(*) FROM promote.environment_generation AS g WHERE g.environment = e.environment)
		       <> generation - (archived_at IS NULL)::integer},
	'what is archived has no rules' => q{
		SELECT environment FROM promote.environment AS e WHERE archived_at IS NOT NULL
		   AND EXISTS (SELECT FROM promote.promotion_path AS p
		   	WHERE e.environment IN (p.source_environment, p.destination_environment))},
);
my $crash = CrashTest->new(sql => $sql, sessions => $sessions, script => \&script, contradiction => \%contradiction,
	counted => 'promote.environment_generation', rows => 20, least => 10,
	told => 'SELECT message FROM promote.revision UNION SELECT message FROM promote.environment_generation');
for my $round (1 .. 2) {
	# what the server died in the middle of may be open
	$crash->query("SELECT count(*) FROM (SELECT promote.archive_environment('shop-' || environment)"
		. " FROM promote.environment WHERE environment <> 'staging' AND archived_at IS NULL) AS a");
	$crash->round($round);
}
done_testing;
