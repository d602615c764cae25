# The comparison of catalogs, test/catalog.sql, by which other tests hold databases to each other: two that were made
# alike are the same, and it names whatever differs between them.

use strict;
use warnings;
use Test::More;
use PromoteTest;
use CatalogTest;

my $node = PromoteTest->new;
for my $database (qw(one other)) {
	$node->create_database($database);
	# other numbers than in the one before
	$node->query($database, 'CREATE TABLE other_numbers (a text PRIMARY KEY)') if $database eq 'other';
	$node->query($database, 'CREATE EXTENSION promote');
}
my $one = CatalogTest::snapshot($node, 'one');
cmp_ok(scalar keys %$one, '>', 10_000, 'there are facts to compare');
is(join("\n", grep { /kind that is not looked at/ } keys %$one), '', '... of every kind of object that there is');
is(CatalogTest::differences($one, CatalogTest::snapshot($node, 'other')), '', 'extensions that were made alike');

# What is done to one of them, and what has to be named.
my @mutations = (
	['COMMENT ON TABLE promote.project IS NULL', qr/^- table promote\.project: comment = The boundary/m],
	[q{COMMENT ON COLUMN promote.project.attributes IS 'x'},
		qr/^\+ table column promote\.project\.attributes: comment = x/m],
	['COMMENT ON FUNCTION promote.gates() IS NULL', qr/^- function promote\.gates\(\): comment/m],
	['COMMENT ON POLICY seen ON promote.component IS NULL', qr/^- policy seen on promote\.component: comment/m],
	[q{COMMENT ON EXTENSION promote IS 'x'}, qr/^\+ extension promote: comment = x/m],
	['GRANT SELECT ON promote.config TO PUBLIC', qr/^\+ table promote\.config: relacl = .*"=r/m],
	['GRANT UPDATE (description) ON promote.project TO PUBLIC',
		qr/^\+ table column promote\.project\.description: attacl = .*"=w/m],
	['REVOKE ALL ON FUNCTION promote.is_version(text) FROM PUBLIC', qr/^\+ function promote\.is_version.*: proacl = /m],
	['REVOKE USAGE ON SCHEMA promote FROM PUBLIC', qr/^- schema promote: nspacl = /m],
	['GRANT USAGE ON SCHEMA promote_internal TO PUBLIC', qr/^\+ schema promote_internal: nspacl = /m],
	['REVOKE USAGE ON TYPE promote.project_name FROM PUBLIC', qr/^\+ type promote\.project_name: typacl = /m],
	['ALTER TABLE promote.audit_log DISABLE TRIGGER refuse_rewrite',
		qr/^\+ trigger refuse_rewrite on promote\.audit_log: tgenabled = D/m],
	['ALTER TABLE promote.project ENABLE TRIGGER record_change',
		qr/^\+ trigger record_change on promote\.project: tgenabled = O/m],
	['ALTER TABLE promote.bundle DISABLE TRIGGER ALL', qr/^\+ trigger of constraint .*: tgenabled = D/m],
	['DROP TRIGGER record_change ON promote.bundle', qr/^- trigger record_change on promote\.bundle: definition/m],
	['ALTER TABLE promote.environment ALTER require_plan SET DEFAULT false',
		qr/^\+ default value for promote\.environment\.require_plan: default = false/m],
	['ALTER TABLE promote.environment ALTER require_plan DROP NOT NULL',
		qr/^\+ table column promote\.environment\.require_plan: attnotnull = false/m],
	['ALTER TABLE promote.environment ALTER description SET STORAGE external',
		qr/^\+ table column promote\.environment\.description: attstorage = e/m],
	['ALTER TABLE promote.component ALTER description SET STATISTICS 7',
		qr/^\+ table column promote\.component\.description: attstattarget = 7/m],
	['ALTER TABLE promote.component ADD COLUMN more text', qr/^\+ table column promote\.component\.more: place = 8/m],
	['ALTER TABLE promote.project DROP CONSTRAINT project_request_check',
		qr/^- table constraint project_request_check on promote\.project: definition/m],
	['ALTER TABLE promote.stateful_type ADD CONSTRAINT more CHECK (true) NOT VALID',
		qr/^\+ table constraint more on promote\.stateful_type: convalidated = false/m],
	['ALTER TABLE promote.promotion_path DROP CONSTRAINT promotion_path_source_fkey',
		qr/^- trigger of constraint promotion_path_source_fkey /m],
	['CREATE INDEX more ON promote.bundle (description)', qr/^\+ index promote\.more: definition/m],
	['ALTER INDEX promote.bundle_pkey SET (fillfactor = 50)',
		qr/^\+ index promote\.bundle_pkey: reloptions = .*fillfactor=50/m],
	['ALTER TABLE promote.bundle CLUSTER ON bundle_pkey', qr/^\+ index promote\.bundle_pkey: indisclustered = true/m],
	['ALTER TABLE promote.health_report DISABLE ROW LEVEL SECURITY',
		qr/^\+ table promote\.health_report: relrowsecurity = false/m],
	['ALTER POLICY seen ON promote.health_report USING (true)',
		qr/^\+ policy seen on promote\.health_report: using = true/m],
	['DROP POLICY seen ON promote.line_stop', qr/^- policy seen on promote\.line_stop: using/m],
	['ALTER TABLE promote.line_stop SET (autovacuum_enabled = off)',
		qr/^\+ table promote\.line_stop: reloptions = .*autovacuum/m],
	['ALTER TABLE promote.line_stop REPLICA IDENTITY FULL', qr/^\+ table promote\.line_stop: relreplident = f/m],
	['ALTER TABLE promote.drift_item OWNER TO pg_monitor',
		qr/^\+ table promote\.drift_item: relowner = role pg_monitor/m],
	['ALTER FUNCTION promote.is_version_constraint(text) OWNER TO pg_monitor',
		qr/^\+ function promote\.is_version_constraint.*: proowner = role pg_monitor/m],
	['ALTER VIEW promote.instance_status SET (security_invoker = off)',
		qr/^\+ view promote\.instance_status: reloptions = .*security_invoker=off/m],
	['CREATE OR REPLACE VIEW promote_internal.more AS SELECT 1 AS one',
		qr/^\+ rule "_RETURN" on promote_internal\.more: definition/m],
	[q{CREATE OR REPLACE FUNCTION promote_internal.rule_scopes(project text, environment text) RETURNS text[]
		LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ARRAY[$1, $2]},
		qr/^\+ function promote_internal\.rule_scopes.*: body = RETURN ARRAY\[project, environment\]/m],
	['ALTER FUNCTION promote.version_key(text) VOLATILE', qr/^\+ function promote\.version_key.*: provolatile = v/m],
	['ALTER FUNCTION promote.version_compare(text, text) COST 7',
		qr/^\+ function promote\.version_compare.*: procost = 7/m],
	['ALTER FUNCTION promote.jsonb_digest(jsonb) SET search_path = public',
		qr/^\+ function promote\.jsonb_digest.*: proconfig = .*public/m],
	['ALTER FUNCTION promote.chain_heads(text) SECURITY INVOKER PARALLEL SAFE',
		qr/^\+ function promote\.chain_heads.*: proparallel = s/m],
	['ALTER DOMAIN promote.semantic_version SET NOT NULL', qr/^\+ type promote\.semantic_version: typnotnull = true/m],
	[q{ALTER DOMAIN promote.bundle_name ADD CONSTRAINT more CHECK (VALUE <> 'x')},
		qr/^\+ domain constraint more on promote\.bundle_name: definition/m],
	['ALTER EXTENSION promote DROP FUNCTION promote.version_range(text)',
		qr/^- function promote\.version_range.*: depends on = extension promote \(e\)/m],
	[q{UPDATE pg_extension SET extcondition[1] = 'WHERE true' WHERE extname = 'promote'},
		qr/^\+ extension promote: extcondition = .*WHERE true/m],
	[q{UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'promote'},
		qr/^\+ extension promote: extversion = 0\.0\.1/m],
	['CREATE STATISTICS promote.more ON project, environment FROM promote.deployment; '
		. 'ALTER EXTENSION promote ADD TABLE public.other_numbers; ALTER TABLE public.other_numbers SET SCHEMA promote',
		qr/^\+ statistics object promote\.more: depends on/m],
	['CREATE SEQUENCE promote.numbers', qr/^\+ sequence promote\.numbers: relkind = S/m],
	['CREATE OPERATOR promote.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.texteq); '
		. 'ALTER EXTENSION promote ADD OPERATOR promote.=== (text, text)',
		qr/^\+ operator promote\.===\(.*: is of a kind that is not looked at/m],
);
my $mutated = CatalogTest::snapshot($node, 'other', join ";\n", map { $_->[0] } @mutations);
my $found = CatalogTest::differences($one, $mutated);
like($found, $_->[1], "is found: $_->[0]") for @mutations;
is(CatalogTest::differences($one, CatalogTest::snapshot($node, 'other')), '', 'without them all is as it was');

done_testing();
