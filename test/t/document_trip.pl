# A document is carried to an empty database: applied there by a role that owns nothing, it makes the same project, and
# its export is the same, byte for byte.  What is sensitive is given beside it.

use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use PromoteTest;

my $node = PromoteTest->new;
my $fixtures = "$FindBin::Bin/../fixtures";
for my $database ('first', 'second') {
	$node->create_promote($database);
}
my ($status, undef, $errors) = $node->psql('first', <<"SQL");
\\i $fixtures/ecomm.sql
\\i $fixtures/shop.sql
SELECT promote.register_environment('shop', 'canary', 'Yes: "no" # not', '{"on": "off", "n": 1.50}');
SELECT promote.set_parameters('shop', 'canary', '{"zone": "eu", "token": "hush", "pin": "hush"}', '{token}');
SELECT promote.set_parameters('shop', 'staging', '{"token": "hush"}', '{token}', '{"token": "of the gateway"}');
UPDATE promote.parameter_set SET sensitive = '{token,pin}' WHERE environment = 'canary';
SELECT promote.register_environment('shop', 'over');
SELECT promote.register_instance('shop', 'over', 's1');
SELECT promote.set_parameters('shop', 'over', '{"zone": "none"}');
SELECT promote.archive_environment('shop-over');
SELECT promote.set_environment_rules('shop', 'production', required_soak => '1 day 2 hours',
	require_structure => 'staging');
SELECT promote.set_promotion_path('shop', 'staging', 'production', e'one\\ntwo\\n');
SELECT promote.set_dependency('shop', 's2', 's1');
SELECT promote.set_approval_rule('shop', 'production', 'two', 'postgres', expires_after => '7 days',
	selector => '{"a": null}');
SELECT promote.set_required_check('shop', NULL, 'smoke', 'source');
SELECT promote.set_override_rule('shop', 'production', 'freeze', 'postgres');
SELECT promote.set_freeze('night', 'shop', during => '[2031-01-01 00:00+01, 2031-01-02 00:00+01)');
SELECT promote.set_change_window('day', 'shop', 'production', zone => 'Europe/Berlin', starts_at => '2031-01-06 09:00',
    duration => '8 hours', rule => 'FREQ=WEEKLY;BYDAY=MO', exdates => '{2031-01-13 09:00}',
    	max_deployments_per_window => 2);
SQL
is($status, 0, 'there are projects with everything that can be declared') or diag $errors;

# Roles belong to the cluster, grants to the database.
$node->query('second', <<'SQL');
CREATE ROLE carrier;
SELECT promote.grant_action('carrier', action) FROM unnest('{configure,register,publish,rules}'::text[]) AS action;
SQL
for my $project ('shop', 'ecomm') {
	my $text = $node->query('first', "SELECT promote.export_text('$project')");
	my $whole = $text =~ s/\(sensitive value\)/hush/gr;
	my $call = sub { return "SET ROLE carrier; SELECT kind, name, action
		FROM promote.apply_text(\$d\$$_[0]\$d\$$_[1])" };
	my ($refused, undef, $why) = $node->psql('second', $call->($text, ''));
	isnt($refused, 0, "$project: masks alone make nothing in an empty database");
	like($why, qr/PM111|there is no such value to be kept/, '... which is said');
	is($node->query('second', "SELECT count(*) FROM promote.project WHERE project = '$project'"), 0,
		'... and nothing is there');
	my $dry = $node->query('second', $call->($whole, ', dry_run => true'));
	is($node->query('second', "SELECT count(*) FROM promote.project WHERE project = '$project'"), 0,
		'nor after a dry run');
	is($node->query('second', $call->($whole, '')), $dry, 'applied as one document, as the dry run has said');
	is($node->query('second', "SELECT promote.export_text('$project')"), $text, 'the export is the same,
		byte for byte');
	is($node->query('second', "SELECT promote.export_text('$project', 'json')"),
		$node->query('first', "SELECT promote.export_text('$project', 'json')"), '... also as JSON');
	is($node->query('second', <<"SQL"), 'keep|', 'applied again, it writes nothing');
BEGIN;
SET LOCAL ROLE carrier;
SELECT DISTINCT action, pg_current_xact_id_if_assigned() FROM promote.apply_text(\$d\$$text\$d\$, prune => true);
COMMIT;
SQL
}
is($node->query('second', 'SELECT count(*) FROM promote.verify_audit()'), 0, 'the chains of the second verify');
is($node->query('second', "SELECT count(*) FROM promote.audit_log WHERE actor <> 'carrier'
	AND subject ~ '^(project|environment) '"),
	0, '... and say who has declared it');

done_testing();
