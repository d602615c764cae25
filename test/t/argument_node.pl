# The whole story by node-postgres.

use strict;
use warnings;
use Test::More;
use ClientTest;

plan skip_all => 'no node with the package pg (npm install pg, and its node_modules as NODE_PATH)'
	if !ClientTest::node_has('pg');
ClientTest::story(ClientTest->shop('client'), {}, ClientTest::program('node'), 'test/clients/story.cjs');

done_testing();
