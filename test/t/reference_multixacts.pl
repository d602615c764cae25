# Sessions that write at the same moment, in one environment, by one release, of one document: no row is locked by
# two of them, so that there is no multixact.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $sessions = 4;
my $node = PromoteTest->new;
$node->create_promote('many');
$node->query('many', <<"SQL");
INSERT INTO promote.bundle VALUES ('b');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('b', '1.0.0', '{}');
INSERT INTO promote.project (project) VALUES ('p');
-- who stores a document that another session is just storing waits for that
INSERT INTO promote.config (project, params) SELECT 'p', jsonb_build_object('size', n) FROM generate_series(1, 3) AS n;
INSERT INTO promote.environment (project, environment, require_proven_release, require_plan)
SELECT 'p', environment, false, environment = 'production' FROM unnest(ARRAY['staging', 'production']) AS environment;
INSERT INTO promote.component (project, component, bundle) SELECT 'p', 'c' || n, 'b'
	FROM generate_series(1, $sessions) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);
INSERT INTO promote.approval_rule (environment, rule, role, quorum) VALUES ('production', 'all', 'postgres', 99);

-- Waits until all sessions have come to a step: what they have done so far says a sequence, which shows at once.
CREATE SEQUENCE arrival;
CREATE FUNCTION meet(step integer) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM nextval('arrival');
	FOR i IN 1 .. 6000 LOOP
		IF (SELECT last_value FROM arrival) >= step * $sessions THEN
			RETURN;
		END IF;
		PERFORM pg_sleep(0.05);
	END LOOP;
	RAISE 'not all came to step %', step;
END
\$\$;
SQL

# What every session does, each with a component of its own, in transactions that all overlap.
my @steps = (
	[ 'configures', q{promote.configure_instance('p-staging-cN', '{"size": 1}', '1.0.0')} ],
	[ 'claims the plan', q{promote.claim_deployment('wN')}, 'claim' ],
	[ 'completes it', q{promote.complete_deployment(instance, deployment, fencing) FROM claim WHERE worker = 'wN'} ],
	[ 'promotes', q{promote.promote_instance('p-staging-cN', 'p-production-cN', '{"size": 2}')} ],
	[ 'claims the plan', q{promote.claim_deployment('wN')}, 'claim' ],
	[ 'completes it', q{promote.complete_deployment(instance, deployment, fencing) FROM claim WHERE worker = 'wN'} ],
	[ 'votes', q{promote.approve_deployment('p-production-cN', 1)} ],
	[ 'edits by DML', q{1; INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
		SELECT project, environment, component, digest, '1.0.0' FROM promote.revision
		 WHERE environment = 'staging' AND component = 'cN'} ],
	[ 'deploys', q{promote.deploy_instance('p-staging-cN')} ],
	[ 'promotes again', q{promote.promote_instance('p-staging-cN', 'p-production-cN', '{"size": 3}')} ],
);

sub multixacts { return $node->query('many', q{SELECT mxid_age('1')}) }

$node->query('many', 'CREATE TABLE claim (worker text, instance text, deployment integer, fencing integer)');
my $number = 0;
for my $step (@steps) {
	my ($what, $call, $keeps) = @$step;
	my $before = multixacts();
	$number++;
	my @children = map {
		my $statement = $keeps ? "INSERT INTO claim SELECT 'wN', c.instance, c.deployment, c.fencing FROM $call AS c"
			: "SELECT $call";
		$statement = "DELETE FROM claim WHERE worker = 'wN'; $statement" if $keeps;
		my $sql = "BEGIN; $statement; SELECT meet($number); COMMIT;";
		$sql =~ s/N(?=['" ])/$_/g;
		$node->spawn('many', $sql);
	} 1 .. $sessions;
	my @errors = grep { $_ ne '' } map { ($node->finish($_))[2] } @children;
	is("@errors", '', "each session $what");
	is(multixacts() - $before, 0, '... without a multixact');
}
is($node->query('many', 'SELECT count(*) FROM promote.verify_audit()'), 0, 'all is whole');

done_testing();
