# examples/ci/deploy promotes, waits and deploys, can be run twice, and fails with what is in the way; what calls it in
# pipelines is YAML that calls it.

use strict;
use warnings;
use Cwd qw(abs_path);
use Test::More;
use Time::HiRes qw(sleep time);
use PromoteTest;

my $node = PromoteTest->shop('ci', <<'SQL');
INSERT INTO promote.environment (project, environment, require_proven_release)
VALUES ('shop', 'staging', false), ('shop', 'production', false);
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'db'), ('shop',
	'production', 'db');
SELECT promote.configure_instance('shop-staging-db', '{"size": 1}', plan => false);
SQL
my $program = abs_path('examples/ci/deploy');
my ($setup) = PromoteTest::slurp('examples/ci/README.md') =~ /```sql\n(.*?)```/s;
$node->query('ci', $setup =~ s/'ecomm'/'shop'/gr);
@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->dir, 5432, 'ci', 'ci');
my ($psql) = $node->psql_command('ci');
$ENV{PATH} = ($psql =~ s{/[^/]*$}{}r) . ":$ENV{PATH}";

# A worker that carries out whatever waits, until it is ended.
sub work {
	my ($how) = @_;
	my $pid = fork // die "cannot fork: $!\n";
	return $pid if $pid;
	$SIG{TERM} = 'DEFAULT';
	while (1) {
		$node->psql('ci', "SELECT $how FROM promote.claim_deployment('w') AS c");
		select undef, undef, undef, 0.1;
	}
}
my $completes = 'promote.complete_deployment(c.instance, c.deployment, c.fencing)';

sub deploys {
	my ($how, @options) = @_;
	my $worker = $how ? work($how) : 0;
	my ($rc, $out, $err) = $node->run($program, @options, 'shop-staging-db', 'shop-production-db');
	if ($worker) {
		kill 'KILL', $worker;
		waitpid $worker, 0;
	}
	return ($rc, "$out$err");
}

my ($rc, $said) = deploys($completes, '-k', 'one', '-m', 'build 1');
is($rc, 0, 'a run that is green') or diag $said;
like($said,
	qr/^promoted: revision 1\nwaiting for plan \d+\nwaiting for deployment \d+\nshop-production-db: deployed$/,
	'... says what it does');
is($node->query('ci', "SELECT deployed_revision FROM promote.instance WHERE name = 'shop-production-db'"), 1,
	'... and it runs there');
my $revisions = $node->query('ci', 'SELECT count(*) FROM promote.deployment');
($rc, $said) = deploys(undef, '-k', 'one', '-m', 'build 1');
is($rc, 0, 'the same again is green at once') or diag $said;
is($node->query('ci', 'SELECT count(*) FROM promote.deployment'), $revisions, '... and changes nothing');

$node->query('ci', <<'SQL');
SELECT promote.configure_instance('shop-staging-db', '{"size": 2}', plan => false);
INSERT INTO promote.freeze_window (name, project, environment, reason, during)
VALUES ('sale', 'shop', 'production', 'the sale', '[2020-01-01,2098-01-01)');
SQL
($rc, $said) = deploys($completes, '-k', 'two');
is($rc, 1, 'what must not be deployed is red');
like($said, qr/plan \d+: COMPLETED .*^  freeze: .*the sale.*, until /ms, '... with what is in the way');
$node->query('ci', 'DELETE FROM promote.freeze_window');

($rc, $said) = deploys(q{promote.fail_deployment(c.instance, c.deployment, 'no such network', c.fencing)}, '-k', 'two');
is($rc, 1, 'what has failed is red');
like($said, qr/FAILED no such network/, '... with the reason');
($rc, $said) = deploys(undef, '-k', 'two', '-t', 1);
is($rc, 3, 'when the time is up it ends') or diag $said;
like($said, qr/PENDING.* the time is up/, '... and says so');
($rc, $said) = $node->run($program, '-k', 'x', 'shop-nowhere-db', 'shop-production-db');
is($rc, 1, 'what is refused is red');
like($said . ($node->run($program, 'shop-nowhere-db', 'shop-production-db'))[2], qr/PM\d\d\d/, '... with its code');
is(($node->run($program))[0], 2, 'it says how it is called');

# ---- what calls it ----

for my $file (glob 'examples/ci/*.yml') {
	my $yaml = PromoteTest::slurp($file) =~ s/'/''/gr;
	my $text = $node->query('ci', "SELECT string_agg(s #>> '{}', E'\\n') FROM jsonb_path_query(
		promote.yaml_to_jsonb('$yaml'),
		'\$.**') AS s WHERE jsonb_typeof(s) = 'string' AND s #>> '{}' ~ '^examples/ci/deploy '");
	my @words = split ' ', $text =~ s/"[^"]*"/x/gr;
	is(join(' ', @words), 'examples/ci/deploy -k x -m x ecomm-staging-db ecomm-production-db', "$file calls it");
}

done_testing();
