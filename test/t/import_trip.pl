# The history of a real fleet, at random and exported by plain SQL, is imported into another database: what was desired
# and what ran at any time, blame, what changed where, and drift are the same there.

use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use PromoteTest;

my $seed = $ENV{PROMOTE_SEED} // int rand 1000;
my $fixtures = "$FindBin::Bin/../fixtures";
my $node = PromoteTest->new;
my $registry = <<'SQL';
CREATE EXTENSION promote;
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
	SELECT 'postgres', v, '{"properties": {"password": {"$md.sensitive": true}}}'
	FROM unnest('{1.0.0,1.1.0,2.0.0}'::text[]) AS v;
INSERT INTO promote.project (project) VALUES ('fleet');
INSERT INTO promote.environment (project, environment, require_proven_release, require_plan)
	SELECT 'fleet', e, false, false FROM unnest('{dev,staging,production}'::text[]) AS e;
INSERT INTO promote.parameter_set (project, environment, parameters)
	SELECT 'fleet', e, jsonb_build_object('host', e) FROM unnest('{dev,staging,production}'::text[]) AS e;
INSERT INTO promote.component (project, component, bundle) VALUES ('fleet', 'db', 'postgres'), ('fleet', 'app',
	'postgres');
INSERT INTO promote.instance (project, environment, component)
	SELECT 'fleet', e, c FROM unnest('{dev,staging,production}'::text[]) AS e, unnest('{db,app}'::text[]) AS c;
SQL
$node->create_database($_) for 'first', 'second';
$node->query($_, $registry) for 'first', 'second';
diag "seed $seed";

# Each step is a transaction of its own, so that their times differ.
my ($status, undef, $errors) = $node->psql('first', <<"SQL");
SELECT setseed(($seed % 1000) / 1000.0);
CREATE PROCEDURE public.step() LANGUAGE plpgsql AS \$\$
DECLARE
	envs text[] := '{dev,staging,production}';
	e integer := 1 + floor(random() * 3);
	n text := 'fleet-' || envs[e] || '-' || (ARRAY['db', 'app'])[1 + floor(random() * 2)];
	c record;
	k double precision := random();
BEGIN
	PERFORM set_config('promote.actor', (ARRAY['ann', 'bob', 'zoe'])[1 + floor(random() * 3)], true);
	IF k < 0.35 THEN
		PERFORM promote.configure_instance(n, jsonb_build_object((ARRAY['a', 'b', 'password'])[1 + floor(random() * 3)],
			floor(random() * 5)::text, 'at', '{{host}}'), (ARRAY['1.0.0', '~1', '~1.1',
				'latest'])[1 + floor(random() * 4)],
			message => 'step');
	ELSIF k < 0.55 AND e < 3 THEN
		PERFORM promote.promote_instance(n, replace(n, envs[e], envs[e + 1]), jsonb_build_object('c',
			floor(random() * 3)));
	ELSIF k < 0.6 THEN
		PERFORM promote.rollback_instance(n, 1);
	ELSIF k < 0.64 THEN
		PERFORM promote.decommission_instance(n, message => 'over');
	ELSIF k < 0.8 THEN
		PERFORM promote.deploy_instance(n);
	ELSE
		SELECT * INTO c FROM promote.claim_deployment('worker');
		IF c.instance IS NOT NULL AND random() < 0.8 THEN
			PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing);
		ELSIF c.instance IS NOT NULL THEN
			PERFORM promote.fail_deployment(c.instance, c.deployment, 'broken', c.fencing);
		END IF;
	END IF;
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE !~ '^PM' THEN
		RAISE;
	END IF;
END
\$\$;
SELECT 'CALL public.step()' FROM generate_series(1, 250) \\gexec
-- what still waits or runs is no history
DO \$\$
DECLARE
	c record;
BEGIN
	LOOP
		SELECT * INTO c FROM promote.claim_deployment('worker');
		EXIT WHEN c.instance IS NULL;
		PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing);
	END LOOP;
	UPDATE promote.deployment SET status = 'ABORTED' WHERE status = 'RUNNING';
END
\$\$;
SQL
is($status, 0, 'a fleet has a history') or diag $errors;
my $document = (split /\n/, $node->query('first', <<"SQL"))[-1];
\\i $fixtures/history.sql
SELECT pg_temp.history_of('fleet', 'fleet');
SQL
my $imported = $node->query('second', "SELECT DISTINCT action FROM promote.import_history(\$d\$$document\$d\$)");
is($imported, 'create', 'it is imported elsewhere');
is($node->query('second', 'SELECT count(*) FROM promote.verify_audit()'), 0, 'the record there is whole');

# What is asked of both: by names, times and people, and without the numbers of deployments, of which plans take some.
# A document does not tell overrides, so that what one has set is left out.
my $overridden = $node->query('first', q{SELECT COALESCE(array_agg(i.name || b.path), '{}') FROM promote.instance AS i
	CROSS JOIN LATERAL promote.blame(i.name) AS b WHERE b.origin = 'override'});
my %question = (
	'where the instances are' => q{SELECT name, revision, status, version_constraint, release_channel, deployed_revision
		FROM promote.instance ORDER BY 1},
	'what was desired and what ran at every time' => q{SELECT i.name, t.at, s.state, c.revision, c.params,
		c.version_constraint,
		c.since, c.actor, c.version FROM promote.instance AS i CROSS JOIN (
			SELECT created_at AS at FROM promote.revision UNION
			SELECT finished_at FROM promote.deployment WHERE action <> 'PLAN') AS t
		CROSS JOIN unnest('{desired,running}'::text[]) AS s (state)
		CROSS JOIN LATERAL promote.config_as_of(i.name, t.at, s.state) AS c ORDER BY 1, 2, 3},
	'who has set what' => qq{SELECT i.name, b.path, b.value, b.set_in, b.set_revision, b.actor,
		b.created_at, b.origin, b.message, b.sensitive, b.through
		FROM promote.instance AS i CROSS JOIN LATERAL promote.blame(i.name) AS b
		WHERE i.revision > 0 AND i.name || b.path <> ALL ('$overridden'::text[]) ORDER BY 1, 2, 3},
	'what became of leaves' => q{SELECT i.name, h.* FROM promote.instance AS i
		CROSS JOIN LATERAL promote.leaf_history(i.name, '.a') AS h WHERE i.revision > 0 ORDER BY 1, 2, 3},
	'the promotions' => q{SELECT at, actor, source, source_revision, mode, destination, revision, version_constraint,
		message
		FROM promote.promotion_history ORDER BY 1, 6},
	'what differs between instances' => q{SELECT a.name, b.name, d.* FROM promote.instance AS a
		JOIN promote.instance AS b ON b.component = a.component AND b.name > a.name
		CROSS JOIN LATERAL promote.compare_instances(a.name, b.name) AS d WHERE a.revision > 0
			AND b.revision > 0 ORDER BY 1, 2, 3, 4},
);
for my $what (sort keys %question) {
	my $there = $node->query('first', $question{$what});
	cmp_ok(length $there, '>', 20, "$what: there is something to tell");
	is($node->query('second', $question{$what}), $there, '... and it is the same there');
}
is($node->query('second', "SELECT DISTINCT action FROM promote.import_history(\$d\$$document\$d\$)"), 'keep',
	'imported again, it is kept');

done_testing();
