package CrashTest;

# A server that is killed under sessions which say what was committed: what they were told is there, next to no other
# is, and nothing is there by half.
#
#   my $crash = CrashTest->new(
#       sql => $sql,                    # what is there at first, beside the extension and PromoteTest's shop
#       sessions => 3,
#       script => \&script,             # of a session and a round, psql's, which echoes a message once it is committed
#       counted => 'promote.revision',  # a table of which the sessions write so many rows before the server dies,
#       rows => 600,
#       told => 'SELECT message ...',   # the messages that are there
#       least => 10,                    # so many were acknowledged in each round, at least
#       contradiction => { 'what holds' => 'SELECT what does not' });
#   $crash->round($_) for 1 .. 2;

use strict;
use warnings;
use Test::More;
use PromoteTest;

sub new {
	my ($class, %how) = @_;
	return bless { %how, node => PromoteTest->shop('crash', $how{sql}), acknowledged => {} }, $class;
}

# The output of SQL that has to succeed.
sub query { my ($self, $sql) = @_; return $self->{node}->query('crash', $sql) }

# SQL by which a session claims what is due in the environments that have its number, and completes it.
sub carry_out {
	my ($session) = @_;
	return qq{WITH c AS MATERIALIZED (SELECT * FROM promote.claim_deployment('w$session', max => 100,
		selector => '{"session": $session}'))
		SELECT count(*) FROM (SELECT array_agg(instance) AS i, array_agg(deployment) AS d, array_agg(fencing) AS f
			FROM c) AS a,
			promote.complete_many(a.i, a.d, a.f) WHERE a.i IS NOT NULL \\g /dev/null\n};
}

# Runs the sessions, kills the server under them, or what a query names, and looks at what is left.
sub round {
	my ($self, $round, $victim) = @_;
	my ($node, $sessions) = @$self{qw(node sessions)};
	my $count = "SELECT count(*) FROM $self->{counted}";
	my $before = $self->query($count);
	my @clients = map { $node->spawn('crash', $self->{script}->($_, $round)) } 1 .. $sessions;
	ok($node->wait_for('crash', "SELECT ($count) >= $before + $self->{rows}"), "round $round: work is under way");
	if ($victim) { kill 'KILL', $self->query($victim) } else { $node->kill9 }
	my $cut_off = 0;
	for my $client (@clients) {
		my ($rc, $out, $err) = $node->finish($client);
		$cut_off++ if $rc != 0;
		$self->{acknowledged}{$_} = 1 for split /\n/, $out;
		unlike($err, qr/ERROR/, '... without an error but the lost connection');
	}
	is($cut_off, $sessions, '... and no session has come to its end when the server dies');
	$node->start if !$victim;
	ok($node->wait_for('crash', 'SELECT true'), 'the server is there again');
	$self->look($round);
	return;
}

# Looks for what contradicts itself, or what sessions were told.
sub look {
	my ($self, $round) = @_;
	my ($contradiction, $acknowledged) = @$self{qw(contradiction acknowledged)};
	is($self->query("SELECT * FROM ($contradiction->{$_}) AS contradiction"), '', $_) for sort keys %$contradiction;
	is($self->query('SELECT * FROM promote.verify_audit()'), '', 'the audit log is whole');
	my %there = map { $_ => 1 } grep { length } split /\n/, $self->query($self->{told});
	is(join(' ', grep { !$there{$_} } sort keys %$acknowledged), '', 'all that a client was told of is there');
	cmp_ok(scalar(keys %$acknowledged), '>', $self->{least} * $round, '... and that is much');
	# one commit per session may have been on its way to the client
	cmp_ok(scalar(keys %there), '<=', keys(%$acknowledged) + $self->{sessions} * $round, '... and next to no other is');
	return;
}

1;
