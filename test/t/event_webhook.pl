# examples/webhook/webhook posts every event to a web server that fails in whatever way: none is lost, those of one
# subject
# come in order, and it can be killed at any moment. What is not taken is put aside, and posted later.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use IO::Handle ();
use Test::More;
use Time::HiRes qw(sleep time);
use PromoteTest;

plan skip_all => 'there is no python3' if system('python3 -c "import http.client" 2>/dev/null') != 0;

my $seed = $ENV{PROMOTE_SEED} // int(rand 1_000_000);
srand $seed;
note "PROMOTE_SEED=$seed";
my $secret  = 'a secret of some length';
my $program = abs_path('examples/webhook/webhook');
my $receiver = abs_path('test/fixtures/receiver');
my $dir = tempdir(CLEANUP => 1);

my $node = PromoteTest->shop('hooks', <<'SQL');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'production');
INSERT INTO promote.component (project, component, bundle) SELECT 'shop', 'c' || n, 'postgres' FROM generate_series(1,
	5) AS n;
INSERT INTO promote.instance (project, environment, component) SELECT 'shop', 'production', 'c' || n
	FROM generate_series(1, 5) AS n;
SQL
# what the README tells to run
my ($setup) = PromoteTest::slurp('examples/webhook/README.md') =~ /```sql\n(.*?)```/s;
$node->query('hooks', $setup =~ s/'ecomm'/'shop'/gr);
sub change {
	my ($times) = @_;
	$node->query('hooks', "SELECT promote.configure_instance('shop-production-c' || 1 + n % 5,
		jsonb_build_object('n', random()),
		plan => false) FROM generate_series(1, $times) AS n");
	return;
}

my %servers;
sub receive {
	my ($file, $rate, @subject) = @_;
	my $pid = open my $out, '-|', $receiver, "$dir/$file", $secret, $seed, $rate, @subject or die "no receiver: $!\n";
	my $port = <$out>;
	chomp $port;
	$servers{$pid} = $out;
	return "http://127.0.0.1:$port/hook";
}
END { kill 'KILL', keys %servers }

@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE WEBHOOK_SECRET)} = ($node->dir, 5432, 'hook', 'hooks', $secret);
my ($psql) = $node->psql_command('hooks');
$ENV{PATH} = ($psql =~ s{/[^/]*$}{}r) . ":$ENV{PATH}";
# What a server does in time is told by the error of one that does not, and not by how busy the machine is.
my @quick = ('-t', 60, '-w', 0.01, '-p', 0.05, '-s', '/test');
my @hasty = (@quick, '-t', 0.5);

# Runs it to its end, and returns its status.
sub hook { return system(join(' ', $program, map { "'$_'" } @_) . " 2>>$dir/errors") >> 8 }
sub lines { return grep { length } split /\n/, PromoteTest::slurp("$dir/$_[0]") }
sub expected {
	return map { s/\|/ /gr } split /\n/, $node->query('hooks', 'SET ROLE hook; SELECT position, subject, '
		. "'promote.' || event FROM promote.audit_log WHERE position > $_[0] AND project = 'shop' ORDER BY position");
}

# ---- a server that fails, and a program that is killed ----

my $from = $node->query('hooks', q{SELECT position FROM promote.consumer});
change(60);
my $url = receive('chaos', 0.3);
for my $n (1 .. 6) {
	my $pid = fork // die "cannot fork: $!\n";
	if (!$pid) {
		open STDERR, '>>', "$dir/errors";
		exec $program, @hasty, 'to-chat', $url or POSIX::_exit(1);
	}
	sleep 0.3 + rand 0.7;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	change(5);
}
is(hook(@hasty, '-a', 1000, '-1', 'to-chat', $url), 0, 'it ends when there are no more events');
my @got = lines('chaos');
my @wanted = expected($from);
my %first;
my @once = grep { !$first{$_}++ } @got;
is_deeply(\@once, \@wanted, scalar(@wanted) . ' events have come, each after the one before it');
my $repeated = @got - @once;
my @back;
for my $n (1 .. $#got) {
	push @back, $got[$n] if (split / /, $got[$n])[0] < (split / /, $got[ $n - 1 ])[0];
}
is("@back", '', "... $repeated of them again, at once");
is(scalar(grep { /followed|forged/ } @got), 0, 'no redirect is followed, and each signature is right');
is($node->query('hooks', 'SELECT count(*) FROM webhook.dead_letter'), 0, 'nothing had to be put aside');

# ---- what is not taken ----

$url = receive('bad', 0, 'shop-production-c2');
open my $flag, '>', "$dir/bad.bad" or die "cannot write: $!\n";
close $flag;
$from = $node->query('hooks', q{SELECT position FROM promote.consumer});
change(20);
is(hook(@quick, '-a', 2, '-1', 'to-chat', $url), 0, 'a server that does not take the events of one instance');
@wanted = expected($from);
my @others = grep { !/ shop-production-c2 / } @wanted;
my @parked = grep { / shop-production-c2 / } @wanted;
is_deeply([ lines('bad') ], \@others, '... gets all others');
is($node->query('hooks', "SELECT count(*), count(*) FILTER (WHERE reason = 'status 500'),
	count(*) FILTER (WHERE reason = 'parked') FROM webhook.dead_letter"), @parked . '|1|' . (@parked - 1),
	'... these are put aside, and what follows the first is not tried');
is(hook(@quick, '-a', 1, '-r', 'to-chat', $url), 1, 'trying again is of no use yet');
is($node->query('hooks', 'SELECT count(*) FROM webhook.dead_letter'), scalar @parked, '... and loses nothing');
unlink "$dir/bad.bad";
change(5);
is(hook(@quick, '-1', 'to-chat', $url), 0, 'what is new');
is(scalar(grep { / shop-production-c2 / } lines('bad')), 0, '... does not overtake it');
is(hook(@quick, '-r', 'to-chat', $url), 0, 'once the server takes them');
is_deeply([ grep { / shop-production-c2 / } lines('bad') ], [ grep { / shop-production-c2 / } expected($from) ],
	'... they come in order');
is($node->query('hooks', 'SELECT count(*) FROM webhook.dead_letter'), 0, '... and are put aside no more');

# ---- an answer without an end ----

open $flag, '>', "$dir/bad.slow" or die "cannot write: $!\n";
close $flag;
change(1);
is(hook(@hasty, '-a', 1, '-1', 'to-chat', $url), 0, 'a server whose answer goes on and on is cut off');
is($node->query('hooks', 'SELECT count(*) > 0 FROM webhook.dead_letter'), 't', '... and has not taken it');
unlink "$dir/bad.slow";
is(hook(@quick, '-r', 'to-chat', $url), 0, '... until it does');

# ---- what cannot be put aside ----

open $flag, '>', "$dir/bad.bad" or die "cannot write: $!\n";
close $flag;
$node->query('hooks', 'REVOKE INSERT ON webhook.dead_letter FROM hook');
$from = $node->query('hooks', q{SELECT position FROM promote.consumer});
change(10);
is(hook(@quick, '-a', 1, '-1', 'to-chat', $url), 1, 'an event that can neither be posted nor put aside');
is($node->query('hooks', "SELECT count(*) FROM promote.audit_log WHERE subject = 'shop-production-c2'
	AND position > $from AND position <= (SELECT position FROM promote.consumer)"), 0, '... is not acknowledged');
$node->query('hooks', 'GRANT INSERT ON webhook.dead_letter TO hook');
unlink "$dir/bad.bad";

# A subject of several lines, in a database that reads backslashes.
$node->query('hooks', "ALTER DATABASE hooks SET standard_conforming_strings = off");
$node->query('hooks', q{SELECT promote.set_freeze(E'a\n"b"\\\\', 'shop', during => '[2001-01-01,2001-01-02)')});
is(hook(@quick, '-a', 1, '-1', 'to-chat', 'http://127.0.0.1:1/'), 0, 'names with lines and backslashes are put aside');
$node->query('hooks', q{SELECT promote.set_freeze(E'a\n"b"\\\\', 'shop', during => '[2001-01-01,2001-01-03)')});
is(hook(@quick, '-1', 'to-chat', $url), 0, '... and what follows them');
is(scalar(grep { /freeze_window/ } lines('bad')), 0, '... does not overtake them');
$node->query('hooks', 'ALTER DATABASE hooks RESET standard_conforming_strings');
is(hook(@quick, '-r', 'to-chat', $url), 0, '... until they are taken');
is($node->query('hooks', 'SELECT count(*) FROM webhook.dead_letter'), 0, '... all of them');

# ---- what is refused ----

is(hook(@quick, '-1', 'nobody', $url), 1, 'a consumer that is not there');
like(PromoteTest::slurp("$dir/errors"), qr/PM002/, '... is named by its code');
is(hook(@quick, '-1', 'to-chat', 'file:///etc/passwd'), 2, 'a URL of another kind');
{
	local $ENV{WEBHOOK_SECRET} = 'short';
	is(hook(@quick, '-1', 'to-chat', $url), 2, 'a secret that is none');
}

done_testing();
