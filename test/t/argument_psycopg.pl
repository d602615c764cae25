# The whole story by psycopg 3: directly, and behind a pool in transaction mode.

use strict;
use warnings;
use Test::More;
use ClientTest;

my $python = ClientTest::python();
plan skip_all => 'no Python with psycopg 3 (Debian: python3-psycopg; or on PYTHONPATH)' if !defined $python;
my $node = ClientTest->shop('client');
ClientTest::story($node, {}, $python, 'test/clients/story.py');
$node = ClientTest->shop('client');
SKIP: {
	skip 'no pgbouncer', 1 if !defined ClientTest::program('pgbouncer');
	ok(ClientTest::pooler($node, 'client = host=' . $node->dir . " port=5432 dbname=client\n"), 'a pool is up')
		or last SKIP;
	ClientTest::story($node, { PORT => 6432, POOLED => 1 }, $python, 'test/clients/story.py');
}

done_testing();
