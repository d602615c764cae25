# What is marked stays masked: the driver test/fuzz/mask.pl for some seconds, plans that are printed, and the warnings
# of marks that say nothing.
#
# PROMOTE_MASK_SECONDS and PROMOTE_MASK_SEED choose a longer run, and another one.

use strict;
use warnings;
use Test::More;
use PromoteTest;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
my $node = PromoteTest->new;
$node->create_promote('masks');

# ---- the driver ----

my ($rc, $out, $err) = $node->run('env', 'PGHOST=' . $node->dir, 'PGPORT=5432', 'PGUSER=postgres', 'PGDATABASE=masks',
	"PATH=$bindir:$ENV{PATH}",
	$^X, 'test/fuzz/mask.pl', $ENV{PROMOTE_MASK_SECONDS} // ($ENV{PROMOTE_SHORT} ? 1 : 8),
	$ENV{PROMOTE_MASK_SEED} // 1);
is("$rc$err", '0', 'no marked value is seen') or diag($out);
my ($rounds, $previews, $answers, $masks,
	$values) = $out
	=~ /^mask: (\d+) rounds, (\d+) previews, (\d+) answers with (\d+) masks looked through for (\d+) values/m;
note("result: " . ($out =~ s/\n\z//r));
cmp_ok($rounds // 0, '>', 0, 'there were rounds');
cmp_ok($masks // 0, '>', 100 * ($rounds // 1), 'in which much was masked');
cmp_ok($values // 0, '>', 2 * ($rounds // 1), '... of what was looked for');

# ---- plans that are printed ----

# Whoever has plans made for the values that a statement is run with, and printed, does not see those of ours in them.
$node->query('masks', <<'SQL');
CREATE ROLE printer;
INSERT INTO promote.bundle VALUES ('printed');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
	VALUES ('printed', '1.0.0', '{"properties": {"pw": {"$md.sensitive": true}}}');
INSERT INTO promote.project (project) VALUES ('printed');
INSERT INTO promote.environment (project, environment) VALUES ('printed', 'staging'), ('printed', 'production');
INSERT INTO promote.component (project, component, bundle) VALUES ('printed', 'c', 'printed');
INSERT INTO promote.instance (project, environment, component) VALUES ('printed', 'staging', 'c'),
	('printed', 'production', 'c');
INSERT INTO promote.grants (role, action, project) VALUES ('printer', 'promote', 'printed');
SELECT promote.configure_instance('printed-staging-c', '{"pw": "ZprintedZ"}'),
	promote.configure_instance('printed-production-c', '{"pw": "other"}');
SQL
for my $path ('public', 'pg_catalog, pg_temp') {
	my (undef, $told, $printed) = $node->psql('masks', <<"SQL");
SET client_min_messages = log; SET plan_cache_mode = force_custom_plan; SET debug_print_plan = on;
	SET debug_print_parse = on; SET debug_print_rewritten = on;
SET enable_seqscan = off; SET search_path = $path;
SET ROLE printer;
BEGIN;
SELECT changed FROM promote.promote_instance('printed-staging-c', 'printed-production-c', '{"own": "ZbroughtZ"}');
ROLLBACK;
SQL
	# what plans have of constants, as bytes
	my $bytes = join "\n", map { join '', map { chr($_ & 255) } split } $printed
		=~ /:constvalue\s+\d+\s+\[\s*([-\d\s]+?)\s*\]/g;
	like($told, qr/^t$/m, "promoted by a role that has all plans printed, with the path $path");
	like($bytes, qr/ZbroughtZ/, '... among them that of its own statement');
	unlike($bytes, qr/ZprintedZ/, '... but no value that it does not see');
}

# ---- marks that say nothing ----

# What publishing a release with a schema warns of: places, each with the keyword that is to blame.
my $version = 0;

sub warned {
	my ($schema) = @_;
	$version++;
	my (undef, undef, $said) = $node->psql('masks', "INSERT INTO promote.bundle VALUES ('b') ON CONFLICT DO NOTHING;
		INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('b', '$version.0.0', '$schema');");
	return join ' ', $said =~ /says nothing: (\S+)\nDETAIL:  In this schema's dialect nothing in ("[^"]*") applies/g
		if $said !~ /ERROR/;
	return $said;
}

my $mark = '{"$md.sensitive": true}';
my $new = '"$schema": "https://json-schema.org/draft/2020-12/schema"';
for (['{"properties": {"l": {"prefixItems": [{}, ' . $mark . ']}}}', '#/properties/l/prefixItems/1 "prefixItems"'],
	["{$new, \"properties\": {\"l\": {\"prefixItems\": [{}, $mark]}}}", ''],
	["{\"dependentSchemas\": {\"a\": {\"properties\": {\"b\": $mark}}}}",
		'#/dependentSchemas/a/properties/b "dependentSchemas"'],
	["{$new, \"dependentSchemas\": {\"a\": {\"properties\": {\"b\": $mark}}}}", ''],
	["{\"unevaluatedProperties\": $mark, \"unevaluatedItems\": {\"\$md\": {\"sensitive\": true}}}",
		'#/unevaluatedItems "unevaluatedItems" #/unevaluatedProperties "unevaluatedProperties"'],
	["{$new, \"unevaluatedProperties\": $mark}", ''],
	["{$new, \"additionalItems\": $mark}", '#/additionalItems "additionalItems"'],
	["{\"items\": [{}], \"additionalItems\": $mark}", ''],
	["{\"propertyNames\": $mark, \"not\": {\"properties\": {\"a\": $mark}}}",
		'#/not/properties/a "not" #/propertyNames "propertyNames"'],
	["{\"then\": {\"properties\": {\"a\": $mark}}}", '#/then/properties/a "then"'],
	["{\"if\": true, \"then\": {\"properties\": {\"a\": $mark}}}", ''],
	["{\"propertes\": {\"a\": $mark}, \"x\": [{\"\$md.copyable\": false}], \"y\": {\"\$md.immutable\": true}}",
		'#/x/0 "x" #/y "y" #/propertes/a "propertes"'],
	["{\"propertes\": {\"a\": {\"\$md.sensitive\": false, \"\$md.copyable\": true, \"\$md\": {\"immutable\": false}}}}",
		''],
	["{\"\$defs\": {\"a\": $mark}, \"properties\": {\"a\": {\"\$ref\": \"#/\$defs/a\"}}}", ''],
	["{\"definitions\": {\"unused\": $mark}, \"\$defs\": {\"unused\": {\"properties\": {\"a\": $mark}}}}", ''],
	["{\"x\": {\"a\": $mark}, \"properties\": {\"a\": {\"\$ref\": \"#/x/a\"}}}", ''],
	["{\"enum\": [$mark], \"const\": $mark, \"default\": $mark, \"examples\": [$mark]}", ''],
	["{\"properties\": {\"default\": $mark, \"not\": $mark, \"\$md.sensitive\": true, \"const\": "
		. "{\"properties\": {\"a\": $mark}}}}", ''],
	["{\"contains\": $mark, \"oneOf\": [$mark], \"anyOf\": [$mark], \"allOf\": [$mark], "
		. "\"patternProperties\": {\"x\": $mark}, \"additionalProperties\": $mark, \"dependencies\": "
			. "{\"a\": $mark, \"b\": [\"c\"]}}", ''],
	["{$new, \"properties\": {\"a\": {\"\$dynamicRef\": \"#d\"}}, "
		. "\"\$defs\": {\"d\": {\"\$dynamicAnchor\": \"d\", \"properties\": {\"b\": $mark}}}}", ''],
	['{"properties": {"a": {"$ref": "https://example.com/not-there"}, "b": {"prefixItems": [' . $mark . ']}}}',
		'#/properties/b/prefixItems/0 "prefixItems"']) {
	my ($schema, $expected) = @$_;
	is(warned($schema), $expected, $schema);
}
is(scalar(() = warned('{"x": [' . join(',', ($mark) x 150) . ']}') =~ /"x"/g), 100, 'no more than a hundred are told');

done_testing;
