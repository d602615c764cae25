# PostGraphile makes a GraphQL schema of the schema promote, and the main steps go over it.

use strict;
use warnings;
use Test::More;
use ClientTest;

plan skip_all => 'no node with PostGraphile 5 (npm install pg postgraphile, and its node_modules as NODE_PATH)'
	if !ClientTest::node_has('pg', 'postgraphile/presets/amber');
my $node = ClientTest->shop('client');
$node->query('client', q{
	INSERT INTO promote.project VALUES ('hidden');
	SELECT promote.grant_action('portal_owners', 'view', 'shop')});
ClientTest::story($node, {}, ClientTest::program('node'), 'test/clients/postgraphile.cjs');

done_testing();
