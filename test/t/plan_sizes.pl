# Recorded plans at their real sizes and shapes: plans that terraform wrote, and one of 50 MB.  The real ones are not
# part of the project: they are read from PROMOTE_DATA, or from where the project's makers keep them.

use strict;
use warnings;
use Test::More;
use JSON::PP;
use PromoteTest;

my @files = glob(($ENV{PROMOTE_DATA} || '../shared/data') . '/terraform-plans/*.json');

my $json = JSON::PP->new->utf8->canonical->allow_nonref->allow_bignum;
my $node = PromoteTest->new;
$node->create_promote('plans');
$node->query('plans', q{
	INSERT INTO promote.bundle VALUES ('b');
	INSERT INTO promote.bundle_release (bundle, version, params_schema)
	VALUES ('b', '1.0.0', '{"properties": {"token": {"$md.sensitive": true}}}');
	INSERT INTO promote.project (project) VALUES ('p');
	INSERT INTO promote.environment (project, environment) VALUES ('p', 'e');
	INSERT INTO promote.component (project, component, bundle) VALUES ('p', 'c', 'b');
	INSERT INTO promote.instance (project, environment, component) VALUES ('p', 'e', 'c');
	SELECT promote.configure_instance('p-e-c', '{"token": "a-token-of-some-length"}', plan => false);
	CREATE TABLE document (name text, plan jsonb);

	-- The leaves of a change that a plain diff of its sides does not have, or has otherwise; of those that are all
	-- known.
	CREATE VIEW wrong_leaf AS
	SELECT d.name, c.change, w.path
	  FROM document AS d, promote.plan_document_changes(d.plan) AS c,
	       LATERAL (SELECT (d.plan -> 'resource_changes' || COALESCE(d.plan -> 'resource_drift',
	       	'[]')) -> (c.change - 1) -> 'change' AS j) AS x,
	       LATERAL (SELECT COALESCE(NULLIF(j -> 'before', 'null'), '{}') AS before,
	       	COALESCE(NULLIF(j -> 'after', 'null'), '{}') AS after) AS s,
	       LATERAL ((SELECT l ->> 'path' AS path, l ->> 'change' AS kind FROM jsonb_array_elements(c.diff) AS l
	                  WHERE NOT l ? 'unknown' AND (l ->> 'change' = 'add' OR l ? 'sensitive'
	                  	OR l -> 'old' = promote.jsonb_at_path(before, l ->> 'path'))
	                    AND (l ->> 'change' = 'remove' OR l ? 'sensitive' OR l -> 'new' = promote.jsonb_at_path(after,
	                    	l ->> 'path')))
	                EXCEPT SELECT l.path, l.change FROM promote.jsonb_leaf_diff(before, after) AS l) AS w;
	CREATE VIEW missing_leaf AS
	SELECT d.name, c.change, w.path
	  FROM document AS d, promote.plan_document_changes(d.plan) AS c,
	       LATERAL (SELECT (d.plan -> 'resource_changes' || COALESCE(d.plan -> 'resource_drift',
	       	'[]')) -> (c.change - 1) -> 'change' AS j) AS x,
	       LATERAL (SELECT COALESCE(NULLIF(j -> 'before', 'null'), '{}') AS before,
	       	COALESCE(NULLIF(j -> 'after', 'null'), '{}') AS after) AS s,
	       LATERAL (SELECT l.path FROM promote.jsonb_leaf_diff(before, after) AS l EXCEPT SELECT l ->> 'path'
	       	FROM jsonb_array_elements(c.diff) AS l) AS w
	 WHERE NOT c.diff @> '[{"unknown": true}]'});

sub literal { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# Plans, claims, records a document that an expression gives, completes; the statements in between see $1 and $2 as psql
# variables.
sub recorded {
	my ($expression, $setting) = @_;
	return $node->psql('plans', ($setting // '') . qq{
		SELECT (promote.plan_instance('p-e-c')).deployment AS deployment \\gset
		SELECT fencing FROM promote.claim_deployment('worker') \\gset
		SELECT promote.record_plan('p-e-c', :deployment, $expression, :fencing) \\g /dev/null
		SELECT promote.complete_deployment('p-e-c', :deployment, :fencing) \\g /dev/null
		SELECT :deployment});
}

sub action_of {
	my @actions = @{ $_[0] };
	return @actions == 2 ? 'replace' : $actions[0];
}

SKIP: {
	skip 'no data: set PROMOTE_DATA', 1 if !@files;
	for my $file (@files) {
		my ($name) = $file =~ m{([^/]+)\.json$};
		my $text = PromoteTest::slurp($file);
		my $plan = $json->decode($text);
		$node->query('plans', "INSERT INTO document VALUES (" . literal($name) . ', ' . literal($text) . ')');
		my ($rc, $out, $err) = recorded('(SELECT plan FROM document WHERE name = ' . literal($name) . ')');
		is("$rc$err", '0', "$name: is recorded");
		my ($deployment) = $out =~ /(\d+)/;
		my @changes = map { my $origin = $_->[0]; map { join '|', $origin, $_->{address}, $_->{type},
			action_of($_->{change}{actions}), $_->{deposed} // '' } @{ $_->[1] // [] } }
			['change', $plan->{resource_changes}], ['drift', $plan->{resource_drift}];
		is($node->query('plans',
			"SELECT concat_ws('|', origin, address, type, action, COALESCE(deposed, '')) FROM "
			. "promote.resource_changes WHERE deployment = $deployment ORDER BY change"),
			join("\n", @changes), '... change by change');
		like($node->query('plans', "SELECT plan_facts FROM promote.deployment WHERE deployment = $deployment"),
			qr/"terraform_version": "\Q$plan->{terraform_version}\E"/, '... with its facts');
		like($node->query('plans', "SELECT promote.plan_text('p-e-c', $deployment)"), qr/^Resources: .*\.$/m,
			'... and can be read');
	}
	is($node->query('plans', 'SELECT * FROM wrong_leaf'), '', 'leaf by leaf');
	is($node->query('plans', 'SELECT w.* FROM missing_leaf AS w'), '', '... all of them');
	# What the plans' variables and notes call secret.
	is($node->query('plans',
		q{SELECT count(*) FROM promote.planned_change AS c WHERE c::text ~ 'hunter2|correct-horse|pw1'}), 0,
		'no secret is stored');
	is($node->query('plans',
		q{SELECT count(*) FROM promote.planned_change WHERE diff @> '[{"old": 12345678901234567890}]'}) > 0, 1,
		'nor a digit lost');
}

# 50 MB: as much as a few thousand resources take, with configuration and state beside them.
$node->query('plans', q{
	INSERT INTO document
	SELECT 'large', jsonb_build_object('format_version', '1.2', 'complete', true, 'resource_changes', jsonb_agg(c),
		'prior_state', jsonb_agg(c -> 'change' -> 'before'))
	  FROM generate_series(1, 12000) AS i,
	       LATERAL (SELECT jsonb_build_object('id', md5(i::text), 'tags',
	       	'{"team": "core", "token": "a-token-of-some-length"}'::jsonb, 'policy', repeat(md5(i::text), 50),
	                    'list', (SELECT jsonb_agg(n * i) FROM generate_series(1, 20) AS n)) AS before) AS b,
	       LATERAL (SELECT jsonb_build_object('address', 'aws_instance.x[' || i || ']', 'mode', 'managed', 'type',
	       	'aws_instance', 'change', jsonb_build_object(
	                    'actions', CASE i % 3 WHEN 0 THEN '["no-op"]' WHEN 1 THEN '["update"]' ELSE '["create"]'
	                    	END::jsonb, 'before', CASE WHEN i % 3 < 2 THEN before END,
	                    'after', CASE i % 3 WHEN 0 THEN before WHEN 1 THEN before || '{"list": [1, 2, 3]}' ELSE before
	                    	END)) AS c) AS x});
my $size = $node->query('plans', q{SELECT octet_length(plan::text) FROM document WHERE name = 'large'});
cmp_ok($size, '>', 50_000_000, "a plan of $size bytes");
# The limit of time is there to end what hangs.
my ($rc, $out, $err) = recorded(q{(SELECT plan FROM document WHERE name = 'large')}, "SET statement_timeout = '100s';");
is("$rc$err", '0', '... is recorded');
my ($deployment) = $out =~ /(\d+)/;
is($node->query('plans',
	"SELECT count(*), count(*) FILTER (WHERE action = 'create'), count(*) FILTER (WHERE diff = '[]') FROM "
	. "promote.planned_change WHERE deployment = $deployment"),
	'12000|4000|4000', '... with all its changes');
is($node->query('plans',
	"SELECT count(*) FROM promote.planned_change AS c WHERE deployment = $deployment AND c::text ~ "
	. "'a-token-of-some-length'"), 0, '... and without its secrets');

# A backend of its own: what one call needs at most, as the kernel knows.
my $rise = $node->query('plans', q{
	SELECT (promote.plan_instance('p-e-c')).deployment AS deployment \gset
	SELECT fencing FROM promote.claim_deployment('worker') \gset
	SELECT promote.record_plan('p-e-c', :deployment, '{"format_version": "1.2", "resource_changes": []}',
		:fencing) \g /dev/null
	SELECT promote.release_deployment('p-e-c', :deployment, :fencing) \g /dev/null
	SELECT fencing FROM promote.claim_deployment('worker') \gset
	CREATE FUNCTION pg_temp.peak() RETURNS integer LANGUAGE sql AS $$ SELECT substring(pg_read_file('/proc/self/status')
		FROM 'VmHWM:\s*(\d+)')::integer $$;
	SELECT count(*) FROM (SELECT plan FROM document WHERE name = 'large' OFFSET 0) AS d WHERE plan ? 'x' \g /dev/null
	SELECT pg_temp.peak() AS before \gset
	SELECT promote.record_plan('p-e-c', :deployment, plan, :fencing) FROM document WHERE name = 'large' \g /dev/null
	SELECT pg_temp.peak() - :before});
note("result: recording a plan of 50 MB takes $rise KB more than reading it");
cmp_ok($rise, '<', $size / 1024, '... in less memory than the document itself once more');

done_testing();
