# A restored dump holds exactly the rows that were dumped: with default options, in every format, and although the
# triggers that record exist before the rows come in. What is restored goes on as if nothing had happened.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $node = PromoteTest->new;
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);

# Everything that makes rows: several projects, edits, promotions, placeholders, plans made later or never, keys,
# a revision of a DBA's own, a provisioned instance, and values that are easily garbled.
my $content = <<'SQL';
CREATE EXTENSION promote;
INSERT INTO promote.bundle VALUES ('postgres', 'it''s a "bundle"'), ('redis', NULL);
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES
    ('postgres', '1.0.0', '{"$ref": "#/definitions/db", "definitions": {"db": {"type": "object", "properties": {
        "size": {"type": "number", "minimum": 1}, "zone": {"type": "string", "$md.copyable": false},
        "password": {"$md.sensitive": true}, "region": {"$md.immutable": true}}, "required": ["size"]}}}'),
    ('postgres', '1.10.0', '{"properties": {"zone": {"type": "string", "$md.copyable": false}}}'),
    ('postgres', '1.11.0-dev.20260915T101500Z', '{}');
INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references) VALUES
    ('redis', '7.0.0', '{"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": '
    	'"https://example.com/cache.json"}',
     '{"network": {"required": false, "description": "naïve"}, "dns": {"required": false}}');
INSERT INTO promote.stateful_type (pattern, description) VALUES ('my_*', 'ours'), ('aws_db_instance', NULL);
INSERT INTO promote.schema_document (uri, document) VALUES
    ('https://example.com/cache.json', '{"properties": {"a": {"$ref": "types.json#a"}}}'),
    ('https://example.com/types.json', '{"$defs": {"a": {"$anchor": "a", "type": "object"}}}');
INSERT INTO promote.project (project, description, attributes)
VALUES ('shop', E'tab\there, \\N, \\., newline\nthere', '{"größe": "ünïcode €"}'), ('blog', NULL, '{}');
INSERT INTO promote.environment (project, environment)
    VALUES ('shop', 'staging'), ('shop', 'production'), ('shop', 'prod-us-west'), ('blog', 'staging'),
           ('blog', 'production');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('shop', 'staging', '{"region": "eu", "n": 1.50}'), ('shop', 'production', '{"region": "us", "n": 2}'),
           ('shop', 'prod-us-west', '{"region": "us-west", "n": 3}');
INSERT INTO promote.freeze_window (name, environment, selector, reason, rule, zone, starts_at, duration, exdates) VALUES
    (E'Weihnachten\t☃', 'production', '{"größe": 1.0}', 'ü', 'FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24', 'europe/berlin',
    	'2021-12-24 00:00:00.5', '1 mon 2 days 03:04:05', '{2022-12-24 00:00:00.5}');
INSERT INTO promote.change_window (name, project, during, max_deployments_per_window)
	VALUES ('ever', 'blog', '(2020-01-01,)', 100);
SELECT promote.stop_line('a "reason"'), promote.resume_line(), promote.stop_line('only a word', 'blog'),
	promote.resume_line('blog', 'another');
INSERT INTO promote.promotion_path VALUES ('shop', 'staging', 'production', 'a path'),
	('shop', 'prod-us-west', 'staging', NULL);
INSERT INTO promote.component (project, component, bundle)
VALUES ('shop', 'db', 'postgres'), ('shop', 'cache', 'redis'), ('blog', 'db', 'postgres');
INSERT INTO promote.component_dependency VALUES ('shop', 'db', 'cache', 'a dependency');
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, component FROM promote.environment JOIN promote.component USING (project);

DO $$
BEGIN
    PERFORM promote.configure_instance('shop-staging-db',
        '{"size": 1.00, "zone": "s", "password": "secret", "region": "{{region}}", "n": "{{n}}", "text": "naïve '
        	'☃\n\t\\"}',
        '~1.0', 'first');
    PERFORM promote.configure_instance('shop-production-db', '{"size": 1e2, "zone": "p", "region": "{{region}}"}',
    	'1.0.0');
    PERFORM promote.configure_instance('shop-prod-us-west-db', '{"size": 7, "zone": "w"}', 'latest+dev', plan => false);
    PERFORM promote.configure_instance('shop-staging-cache', '{}');
    PERFORM promote.tag_environment('shop-staging', 'before', 'naïve ☃');
    PERFORM promote.fork_environment('shop-staging', 'shop-gone', plan => false);
    PERFORM promote.archive_environment('shop-gone', 'naïve ☃');
    PERFORM promote.fork_environment('shop-staging', 'shop-back', plan => false);
    PERFORM promote.archive_environment('shop-back');
    PERFORM promote.fork_environment('shop-staging', 'shop-back', configure => false);
    PERFORM promote.configure_instance('shop-production-cache', '{"a": {"b": [null, {}, []]}}', plan => false);
    PERFORM promote.configure_instance('blog-staging-db', '{"size": 3}');
    PERFORM promote.configure_instance('blog-production-db', '{"size": 4}');
END $$;
UPDATE promote.instance SET attributes = '{"work": true}' WHERE name = 'blog-production-db';
DO $$
DECLARE
    claim record;
BEGIN
    FOR i IN 1 .. 2 LOOP
        SELECT * INTO claim FROM promote.claim_deployment('worker', selector => '{"work": true}');
        IF claim.action = 'PLAN' THEN
            PERFORM promote.record_plan(claim.instance, claim.deployment,
            	'{"format_version": "1.2", "resource_changes": [{"address": "a.b[\"ü\"]",
                "change": {"actions": ["create", "delete"], "before": {"x": 1.0}, "after": {"x": 1e2}, '
                	'"replace_paths": [["x"]]}}]}', claim.fencing);
        END IF;
        PERFORM promote.append_deployment_log(claim.instance, claim.deployment, 'done', claim.fencing);
        PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing);
        EXIT WHEN i = 2;
        PERFORM promote.deploy_instance('blog-production-db');
    END LOOP;
    PERFORM promote.propose_deployment('blog-production-db', 'DECOMMISSION', message => 'no longer');
    CREATE ROLE approver LOGIN;
    INSERT INTO promote.grants (role, action, project, environment)
    VALUES ('approver', 'approve', 'blog', 'production'), ('approver', 'override', 'blog', NULL);
    INSERT INTO promote.override_rule (project, environment, code, role, description)
    	VALUES ('blog', 'production', 'approval', 'approver', 'naïve');
    INSERT INTO promote.approval_rule (project, environment, rule, role, quorum, expires_after, component, selector)
    VALUES ('blog', 'production', 'it''s "a rule"', 'approver', 1, '1 mon 2 days', 'db', '{"work": true}');
    SET LOCAL ROLE approver;
    PERFORM promote.approve_deployment('blog-production-db', 1, E'fine\n\\N');
    PERFORM promote.override_gate('blog-production-db', 3, 'approval', E'nobody\\tis there');
    RESET ROLE;
    PERFORM promote.review_override('blog-production-db', 3, 'approval', 'é');
    PERFORM promote.report_observed('blog-production-db', '{"size": 5, "n": null}'::jsonb, 'scan');
    PERFORM promote.dismiss_drift('blog-production-db', 'never mind', '.size');
    PERFORM promote.adopt_drift('blog-production-db');
    PERFORM promote.report_observed_digest('blog-production-db', sha256('x'), 'scan');
    PERFORM promote.report_health('blog-production-db', 'größe', false, E'tab\there', '1 day');
    PERFORM promote.report_health('blog-production-db', 'größe', true);
    PERFORM promote.block_release('postgres', '1.11.0-dev.20260915T101500Z', 'naïve');
    PERFORM promote.block_release('postgres', '1.0.0', 'for now');
    PERFORM promote.unblock_release('postgres', '1.0.0');
END $$;
INSERT INTO promote.required_check (project, environment, check_name, "of", expires_after, component, selector)
VALUES ('blog', 'production', 'größe', 'source', '1 mon 2 days', 'db', '{"größe": "ü"}');
CREATE FUNCTION "a rule"(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE sql STABLE
    AS 'SELECT NULL::promote.blocking_reason WHERE false';
INSERT INTO promote.policy (policy, function, project) VALUES ('a rule', 'public."a rule"', 'blog'),
	('gone', 'public."a rule"', NULL);
CREATE FUNCTION gone(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE sql STABLE
    AS 'SELECT NULL::promote.blocking_reason WHERE false';
UPDATE promote.policy SET function = 'public.gone' WHERE policy = 'gone';
DROP FUNCTION gone;

SELECT promote.grant_action('approver', 'deploy', 'blog', 'production'), promote.grant_action('approver', 'view');
SET promote.actor = 'Ada "the boss" O''Neil <ada@example.com>';
DO $$
BEGIN
    PERFORM promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": 12345678901234567890.10}',
        message => E'autumn\nsale', idempotency_key => 'sale');
    PERFORM promote.promote_instance('shop-staging-db', 'shop-prod-us-west-db', plan => false,
    	idempotency_key => 'sale');
    PERFORM promote.promote_instance('shop-staging-cache', 'shop-production-cache', plan => false);
    PERFORM promote.set_remote_reference('shop-staging-cache', 'network', E'urn:größe:\\N "x"');
    PERFORM promote.set_remote_reference('shop-production-cache', 'dns', 'gone');
    PERFORM promote.remove_remote_reference('shop-production-cache', 'dns');
    PERFORM promote.promote_instance('shop-staging-cache', 'shop-production-cache', copy_remote_references => true,
    	plan => false);
    PERFORM promote.promote_instance('shop-staging-cache', 'shop-production-cache');   -- plans what has no plan yet
    PERFORM promote.promote_instance('blog-staging-db', 'blog-production-db', '{"region": "x"}', allow_replace => true);
END $$;
RESET promote.actor;
DO $$
BEGIN
    FOR i IN 1 .. 30 LOOP
        PERFORM promote.configure_instance('shop-staging-db', jsonb_build_object('i', i), plan => i % 3 > 0);
        PERFORM promote.promote_instance('shop-staging-db', 'shop-production-db', idempotency_key => 'k' || i);
    END LOOP;
END $$;
SELECT promote.open_request('shop', 'staging', 'prod-us-west', '{"components": ["db"]}', 'canary', '1',
	'{"db": {"text": "ünï"}}', '[2026-01-01,)',
    'all', '1 day 02:00', '{smoke,"a b"}', 'vera', 'frank', 'CHG-7', E'tab\t', "only" => '{".[\"ünï code\"]"}',
	choices => '{"db": {"preset": "groß"}}');
SELECT promote.open_request('blog', 'staging', 'production', include_other_changes => true);
SELECT promote.register_consumer('reader', 'blog');
SELECT count(*) FROM promote.preview_request('blog', 1);
SELECT promote.advance_request('blog', 1);
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
VALUES ('postgres', '1.12.0', '{}', '{"password": {"description": "größe"}, "config": {"format": "json"}}');
SELECT promote.configure_instance('blog-staging-db', '{}', '1.12.0', plan => false);
SET promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
SELECT promote.set_secret('blog-staging-db', 'password', 'naïve'), promote.set_secret('blog-staging-db', 'config',
	'[]');
SELECT count(*) FROM promote.prune_audit(clock_timestamp(), 'shop');
CREATE ROLE dba IN ROLE postgres;
SET ROLE dba;
INSERT INTO promote.config (project, params) VALUES ('blog', '{"size": 99}');
INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
VALUES ('blog', 'staging', 'db', promote.config_digest('blog', '{"size": 99}'), 'latest');
SQL

my @tables;

# All rows of a database, by table.
sub rows {
	my ($database) = @_;
	# settled_by is a number of the server that holds the row
	my %row = ('promote.audit_log' => "(to_jsonb(t) - 'settled_by')::text");
	return { map { my $row = $row{$_} // 't::text';
		$_ => $node->query($database, "SELECT x FROM (SELECT $row FROM $_ t) AS r (x) ORDER BY x COLLATE \"C\"") }
		@tables };
}

$node->create_database('origin');
my ($rc, undef, $err) = $node->psql('origin', $content);
is("$rc$err", '0', 'there is something to dump') or BAIL_OUT($err);
# What is there for a moment only is in no dump.
@tables = split /\n/, $node->query('origin', q{
	SELECT c.oid::regclass FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE c.relname NOT IN ('rule_change', 'notice') AND c.relpersistence = 'p'
	AND d.deptype = 'e' AND e.extname = 'promote' AND c.relkind IN ('r', 'p') ORDER BY 1});
my $expected = rows('origin');
is(scalar(grep { $expected->{$_} eq '' } @tables), 0, 'every table has rows: ' . join(', ', @tables));
is($node->query('origin', 'SELECT * FROM promote.verify_audit()'), '', 'the audit log is whole');

my %format = (
	'plain'                     => [ [],            [] ],
	'plain, in one transaction' => [ [],            ['-1'] ],
	'plain, --inserts'          => [ ['--inserts'], [] ],
	'custom'                    => [ ['-Fc'],       ['--exit-on-error'] ],
	'directory'                 => [ ['-Fd'],       ['--exit-on-error'] ],
	# With several jobs pg_restore loads tables in any order, although the foreign keys of an extension's tables are
	# there already. Without these it gives the same as in order.
	'custom, two jobs'    => [ ['-Fc'], [ '--exit-on-error', '-j2' ], '-c session_replication_role=replica' ],
	'directory, two jobs' => [ [ '-Fd', '-j2' ], [ '--exit-on-error', '-j2' ], '-c session_replication_role=replica' ],
);
my $number = 0;
for my $format (sort keys %format) {
	my ($dump_options, $restore_options, $settings) = @{ $format{$format} };
	my $database = 'restored_' . ++$number;
	my $path = $node->dir . "/$database.dump";
	my ($rc, $out, $err) = $node->run("$bindir/pg_dump", $node->connection, @$dump_options, '-f', $path, 'origin');
	is("$rc$out$err", '0', "$format: dumped without a word");

	$node->create_database($database);
	{
		local $ENV{PGOPTIONS} = $settings // '';
		($rc, $out, $err) = $node->restore($database, $path, @$restore_options);
	}
	is("$rc$err", '0', '... restored without a word') or next;
	is_deeply(rows($database), $expected, '... brings back exactly the rows that were dumped');
	is($node->query($database, 'SELECT * FROM promote.verify_audit()'), '', '... with their chains whole');

	# The last revision, deployment and audit row, before and after one more promotion.
	my $heads = q{SELECT i.revision, i.deployment,
		(SELECT max(seq) FROM promote.audit_log a WHERE a.subject = i.name)
		FROM promote.instance i WHERE name = 'shop-production-db'};
	my @before = split /\|/, $node->query($database, $heads);
	is($node->query($database, q{SELECT old_revision, new_revision, deployment, changed FROM promote.promote_instance(
			'shop-staging-db', 'shop-production-db', '{"size": 5}')}),
		join('|', $before[0], $before[0] + 1, $before[1] + 1, 't'), '... a promotion goes on where the dump ended');
	is($node->query($database, $heads), join('|', $before[0] + 1, $before[1] + 1, $before[2] + 2),
		'... and is recorded once');
	is($node->query($database, q{SELECT new_revision, changed FROM promote.promote_instance(
			'shop-staging-db', 'shop-production-db', idempotency_key => 'k7')}),
		$node->query('origin', q{SELECT new_revision, changed FROM promote.idempotency_key
			WHERE environment = 'production' AND idempotency_key = 'k7'}), '... a key of before is still known');
	is($node->query($database, 'SELECT * FROM promote.verify_audit()'), '', '... and the chains go on whole');
	($rc, $out, $err) = $node->psql($database, 'DELETE FROM promote.audit_log', '-v', 'VERBOSITY=sqlstate');
	is("$rc$err", "3ERROR:  PM301\n", '... and history is guarded there too');
	$node->query('postgres', qq{DROP DATABASE "$database"});
}

# A dump of a restored database is the dump of the original: nothing was added that only a second restore would show.
$node->create_database('second');
$node->dump('origin', $node->dir . '/first.sql');
$node->restore('second', $node->dir . '/first.sql');
$node->dump('second', $node->dir . '/second.sql');
# Newer versions put a random word into every dump.
my ($first, $second) =
  map { (PromoteTest::slurp($node->dir . "/$_.sql")) =~ s/^\\(?:un)?restrict .*\n//gmr } 'first', 'second';
# Where a page had room left, a row may have come to lie in another place.
is(join("\n", sort split /\n/, $second), join("\n", sort split /\n/, $first),
	'dumping what was restored gives the same dump');

done_testing;
