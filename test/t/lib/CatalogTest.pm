package CatalogTest;

# What a database has of promote, to be held against what another has, or what it had before: the catalog by
# test/catalog.sql, rows, and what is evidence.
#
#   my $made = CatalogTest::snapshot($node, 'made');
#   is(CatalogTest::differences($made, CatalogTest::snapshot($node, 'updated')), '', 'the same');

use strict;
use warnings;
use PromoteTest;

my $query = PromoteTest::slurp('test/catalog.sql');

# The lines of a database; SQL may come before them, in a transaction that is rolled back.
sub snapshot {
	my ($node, $database, $before) = @_;
	return { map { $_ => 1 } split /\n/, $node->query($database,
			defined $before ? "BEGIN;\n$before;\n$query\nROLLBACK;" : $query) };
}

# A line for each fact that is in one of them only, told by a minus or a plus.
sub differences {
	my ($first, $second) = @_;
	my @differences = ((map { [ $_, '-' ] } grep { !$second->{$_} } keys %$first),
		(map { [ $_, '+' ] } grep { !$first->{$_} } keys %$second));
	return join '', map { "$_->[1] $_->[0]\n" } sort { $a->[0] cmp $b->[0] || $a->[1] cmp $b->[1] } @differences;
}

# The version of the extension.
sub version {
	my ($node, $database) = @_;
	return $node->query($database, q{SELECT extversion FROM pg_extension WHERE extname = 'promote'});
}

# All rows, by table. What only counts for the server that holds the row is left out, and what an update of
# ServerTree::make_next has added.
sub rows {
	my ($node, $database) = @_;
	my @tables = split /\n/, $node->query($database, q{
		SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r'
		AND c.relname NOT IN ('rule_change', 'notice') ORDER BY 1});
	return { map { $_ => $node->query($database, "SELECT r FROM (
			SELECT (to_jsonb(t) - 'settled_by' - 'owner_team')::text FROM promote.$_ AS t) AS s (r)
			ORDER BY r COLLATE \"C\"") } @tables };
}

# What somebody outside would hold the database to: the heads of the log, and digests.
sub evidence {
	my ($node, $database) = @_;
	return $node->query($database, 'SELECT promote.chain_heads();
		SELECT project, promote.config_digest(project, params), digest FROM promote.config ORDER BY 1, 2');
}

# What the log has to say against the database: nothing.
sub problems {
	my ($node, $database) = @_;
	return $node->query($database, 'SELECT * FROM promote.verify_audit()');
}

# A dump's lines in one order: where a page had room left, a row may have come to lie in another place. Newer versions
# put a random word into every dump.
sub lines {
	my ($path) = @_;
	return join "\n", sort split /\n/, PromoteTest::slurp($path) =~ s/^\\(?:un)?restrict .*\n//gmr;
}

# The SQLSTATE and words of a refusal, to a session that begins.
sub refusal {
	my ($node, $database, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($database, $sql, '-v', 'VERBOSITY=verbose');
	return $rc == 0 ? "done: $out" : $err =~ s/^LOCATION:.*\n//mr;
}

1;
