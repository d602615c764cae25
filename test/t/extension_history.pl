# Eight sessions call all verbs at random, at all isolation levels, and what they are told is held against what the
# pages promise: no lost update, one result per key, one that runs, nothing begun under a rule in force, budgets,
# quorums, chains. test/fuzz/history.pl is the long form. Before that, the checker itself: a history that is good
# passes, and whatever is made wrong in it is found. After it the same while statements are cancelled, sessions
# terminated and the server crashes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../fuzz/lib";
use JSON::PP ();
use Test::More;
use PromoteTest;
use HistoryCheck;
use HistoryWork;

my $seed = $ENV{PROMOTE_SEED} // time % 100_000;
my $json = JSON::PP->new->canonical;
my $page = "$FindBin::Bin/../../doc/reference/errors.md";
my $documented = HistoryCheck::documented($page);

my $node = PromoteTest->new('max_connections = 50');
$node->create_database('history');
chomp(my $bindir = `@{[$ENV{PG_CONFIG} || 'pg_config']} --bindir`);
$ENV{PATH} = "$bindir:$ENV{PATH}";
@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->dir, 5432, 'postgres', 'history');

# ---- a history that is good ----

HistoryWork::prepare();
my @sessions = map { HistoryWork->new($_, $seed) } 1 .. 3;
my @transactions;

# One call by one of them, in a transaction of its own.
sub call {
	my ($session, $verb, %args) = @_;
	my $transaction = $sessions[$session - 1]->alone({ verb => $verb, args => \%args });
	push @transactions, $transaction;
	return $transaction->{calls}[0];
}

# Claims all there is, and completes it.
sub carry_out {
	while (my ($claim) = @{ call(1, 'claim_deployment', worker => 'w', lease => '1 minute')->{rows} // [] }) {
		call(1, 'complete_deployment', map { $_ => $claim->{$_} } qw(instance deployment fencing));
	}
	return;
}

my $began = HistoryWork::now();
my $at = 'shop-production-a';
my %production = (project => 'shop', environment => 'production');
carry_out();
call(1, 'configure_instance', instance => 'shop-staging-a', patch => '{"size": 2}', message => 'one',
	expected_revision => 1);
call(2, 'configure_instance', instance => 'shop-staging-a', patch => '{"size": 3}', message => 'two',
	expected_revision => 99);
call(2, 'configure_instance', instance => 'shop-staging-a', patch => '{"size": 3}', message => 'three',
	expected_revision => 2);
my ($staged) = map { call($_, 'promote_instance', src => 'shop-staging-a', dst => $at, overrides => '{"size": 5}',
	message => 'k', idempotency_key => 'k')->{rows}[0] } 1, 2;
carry_out();
call(1, 'hist.ask', %production, rule => 'somebody', quorum => 1, counts => 't');
call(1, 'hist.open_window', %production, name => 'busy', most => 3);
call(2, 'approve_deployment', instance => $at, deployment => $staged->{deployment}, message => 'fine');
call(1, 'deploy_instance', instance => $at, message => 'go');
carry_out();
call(2, 'deploy_instance', instance => $at, message => 'again');
call(1, 'hist.unask', rule => 'somebody');
call(1, 'decommission_instance', instance => $at, message => 'enough');
carry_out();
call(1, 'hist.freeze', name => 'holidays', %production);
call(1, 'hist.thaw', name => 'holidays');
call(1, 'stop_line', reason => 'fire', project => 'shop');
call(1, 'resume_line', project => 'shop');
call(1, 'block_release', bundle => 'service', version => '1.1.0', reason => 'bad');
call(1, 'unblock_release', bundle => 'service', version => '1.1.0');
call(1, 'hist.set', %production, what => 'decommission_protection', value => 't');
call(1, 'hist.require_check', %production, required => 't');
call(1, 'report_health', instance => $at, check_name => 'smoke', healthy => 'f');
call(1, 'open_request', project => 'shop', source_environment => 'staging', destination_environment => 'production',
	message => 'all', reprovision => 't');
my %whole = (plan => 'f', partial => 'f');
my $depot = 'depot-production';
call(1, 'promote_many', source => ['depot-staging-a'], destination => ["$depot-a"], message => 'many', partial => 'f',
	overrides => ['{"size": 4}']);
carry_out();
call(2, 'deploy_many', instances => ["$depot-a"], message => 'go, many', partial => 'f');
carry_out();
call(1, 'tag_environment', environment => $depot, tag => 'first');
call(2, 'fork_environment', src => $depot, new_environment => 'depot-f1', message => 'fork', %whole);
call(1, 'promote_environment', src => 'depot-staging', dst => $depot, overrides => { a => { size => 7 } },
	message => 'everything', %whole);
call(2, 'rollback_environment', environment => $depot, tag => 'first', message => 'back', %whole);
call(1, 'archive_environment', environment => 'depot-f1', message => 'over');
call(2, 'fork_environment', src => $depot, new_environment => 'depot-f1', message => 'another', %whole);
call(1, 'configure_instance', instance => 'depot-staging-a', patch => '{"size": 9}', message => 'too much');
call(2, 'abort_environment', environment => 'depot-staging', reason => 'cancelled');
call(1, 'register_project', project => 'yard', description => $_) for 'a yard', 'a yard', 'the yard';
call(2, 'register_environment', project => 'yard', environment => 'e1');
call(2, 'set_parameters', project => 'yard', environment => 'e1', parameters => { size => 1 });
call(1, 'set_freeze', name => 'yard 1', project => 'yard', during => '[2031-01-01, 2031-02-01)');
call(2, 'apply_document', document => { version => 1, project => { project => 'yard' },
	environments => [{ environment => 'e2' }] }, dry_run => $_) for 't', 'f';
call(1, 'remove_freeze', name => 'yard 1');
$_->{psql} && $_->{psql}->end for @sessions;
is(join(', ', map { "$_->{verb}: $_->{state}" } grep { $_->{state} ne '00000' } map { @{ $_->{calls} } } @transactions),
	'configure_instance: PM401',
	'calls, of which one is refused');
my $good = $json->encode(HistoryWork::finished(began => $began, seed => $seed, transactions => \@transactions));

my @found = HistoryCheck::check($json->decode($good), $documented);
is(join('', map { HistoryCheck::told($_) } @found), '', 'a good history passes');

# ---- what is made wrong in it is found ----

# The calls of a verb, of a history; the last of them is the one that most is done to.
sub of {
	my ($history, $verb) = @_;
	return grep { $_->{verb} eq $verb } map { @{ $_->{calls} } } @{ $history->{transactions} };
}

sub transaction_of {
	my ($history, $call) = @_;
	return (grep { $_->{calls}[0] == $call } @{ $history->{transactions} })[0];
}

# Moves a call and its transaction: when it begins, when COMMIT is sent, when that is answered.
sub move {
	my ($history, $call, $begun, $commit_sent, $ended) = @_;
	my $transaction = transaction_of($history, $call);
	@$transaction{qw(begun commit_sent ended)} = ($begun, $commit_sent, $ended);
	@$call{qw(sent got)} = ($begun, $commit_sent);
	return;
}

# Lets what a verb has made be there before the transaction of another call begins.
sub before {
	my ($history, $verb, $call) = @_;
	my $begun = transaction_of($history, $call)->{begun};
	move($history, (of($history, $verb))[-1], $begun - 3, $begun - 2, $begun - 1);
	return;
}

# The same call by another session, a little after its transaction has ended.
sub again {
	my ($history, $call, $session) = @_;
	my $other = $json->decode($json->encode(transaction_of($history, $call)));
	$other->{session} = $session;
	push @{ $history->{transactions} }, $other;
	move($history, $other->{calls}[0], map { $other->{ended} + $_ } 1 .. 3);
	return $other->{calls}[0];
}

# The call that has claimed what is an action, the first such.
sub claim_of {
	my ($history, $action) = @_;
	return (grep { @{ $_->{rows} } && $_->{rows}[0]{action} eq $action } of($history, 'claim_deployment'))[0];
}

sub end_of {
	my ($history, $claim) = @_;
	my ($row) = @{ $claim->{rows} };
	return (grep { $_->{args}{instance} eq $row->{instance}
		&& $_->{args}{deployment} == $row->{deployment} } of($history, 'complete_deployment'))[0];
}

# Rows of the end: of the revisions that carry a message, and of the events of a name.
sub with_message {
	my ($history, $message) = @_;
	return grep { ($_->{message} // '') eq $message } @{ $history->{final}{revision} };
}

sub events {
	my ($history, $event) = @_;
	return sort { $a->{seq} <=> $b->{seq} } grep { $_->{event} eq $event } @{ $history->{final}{audit} };
}

# Takes rows away, or adds copies of them that differ.
sub without {
	my ($rows, @gone) = @_;
	my %gone = map { $_ => 1 } @gone;
	@$rows = grep { !$gone{$_} } @$rows;
	return;
}

sub besides {
	my ($rows, $row, %other) = @_;
	push @$rows, { %$row, %other };
	return;
}

# What is wrong, the kind of what has to be found, and what makes it so; where nothing must be found, no kind.
my @wrong = (
	['a revision is gone', 'lost update',
		sub { my ($h) = @_; without($h->{final}{revision}, with_message($h, 'three')) }],
	['... and leaves a gap', 'revisions',
		sub { my ($h) = @_; without($h->{final}{revision}, with_message($h, 'three')) }],
	['a revision is there twice', 'done twice',
		sub { my ($h) = @_; besides($h->{final}{revision}, with_message($h, 'three'), revision => 4) }],
	['a refused edit is there', 'not done, and there',
		sub { my ($h) = @_; $_->{message} = 'two' for with_message($h, 'three') }],
	['a revision holds something else', 'another content',
		sub { my ($h) = @_; $_->{params}{size} = 4 for with_message($h, 'three') }],
	['a source that was not desired any more', 'promoted what was desired before',
		sub { my ($h) = @_; $_->{source_revision} = 2 for with_message($h, 'k') }],
	['two expectations of one revision hold', 'expected revision',
		sub { my ($h) = @_; (of($h, 'configure_instance'))[2]{args}{expected_revision} = 1 }],
	['an expectation that holds is refused', 'refused without a reason',
		sub { my ($h) = @_; (of($h, 'configure_instance'))[1]{args}{expected_revision} = 2 }],
	['a key has another answer', 'one result per key',
		sub { my ($h) = @_; (of($h, 'promote_instance'))[1]{rows}[0]{new_revision} = 3 }],
	['a key takes other arguments', 'one result per key',
		sub { my ($h) = @_; (of($h, 'promote_instance'))[1]{args}{overrides} = '{}' }],
	['a row of the log is gone', 'chain',
		sub { my ($h) = @_; without($h->{final}{audit}, (events($h, 'deployment.started'))[0]) }],
	['... which had been told', 'acknowledged, and not recorded',
		sub { my ($h) = @_; without($h->{final}{audit}, (events($h, 'deployment.started'))[0]) }],
	['a row of the log is another', 'chain',
		sub { my ($h) = @_; $_->{data}{actor} = 'mallory' for events($h, 'line.stopped') }],
	['a row of the log is there twice', 'recorded twice',
		sub { my ($h) = @_; besides($h->{final}{audit},
		(grep { $_->{subject} eq $at } events($h, 'revision.created'))[-1], seq => 99) }],
	['verify_audit finds something', 'verify_audit', sub { my ($h) = @_; push @{ $h->{final}{problem} },
		{ subject => $at } }],
	['an event of nobody\'s', 'event without a call',
		sub { my ($h) = @_; $_->{at} += 3_600_000_000 for events($h, 'line.stopped') }],
	['what was refused is recorded', 'recorded, and not done',
		sub { my ($h) = @_; (of($h, 'deploy_instance'))[0]{state} = 'PM601' }],
	['a result that is another call\'s', 'acknowledged, and recorded for another call',
		sub { my ($h) = @_; again($h, claim_of($h, 'PROVISION'), 3) }],
	['an internal error', 'undocumented SQLSTATE',
		sub { my ($h) = @_; (of($h, 'configure_instance'))[1]{state} = 'XX000' }],
	['a duplicate', 'undocumented SQLSTATE', sub { my ($h) = @_; (of($h, 'configure_instance'))[1]{state} = '23505' }],
	['a deployment is claimed while it runs', 'two that run', sub {
			my ($h) = @_;
			my $claim = claim_of($h, 'PROVISION');
			again($h, $claim, 3)->{rows}[0]{fencing} = 2;
			end_of($h, $claim)->{args}{fencing} = 9;
		}],
	['a step without the one before', 'steps',
		sub { my ($h) = @_; $_->{data}{status} = 'PENDING' for events($h, 'deployment.started') }],
	['an earlier one waits', 'order of the queue', sub {
			my ($h) = @_;
			my ($plan, $provision) = (grep { $_->{subject} eq $at } events($h, 'deployment.started'))[1, 2];
			@{ $_->[0]{data} }{qw(deployment fencing)} = ($_->[1], 1) for [$plan, 3], [$provision, 2];
			my ($made) = grep { $_->{subject} eq $at && $_->{data}{deployment} == 3 } events($h, 'deployment.created');
			$made->{seq} = $plan->{seq} - 0.5;
		}],
	['a number comes again', 'fencing', sub { my ($h) = @_; again($h, claim_of($h, 'PROVISION'), 3) }],
	['an end under an old number', 'old fencing',
		sub { my ($h) = @_; again($h, claim_of($h, 'PROVISION'), 3)->{rows}[0]{fencing} = 2 }],
	['an end after the lease', 'lease over',
		sub { my ($h) = @_; claim_of($h, 'PROVISION')->{rows}[0]{lease_until} =~ s/^\d+/2020/ }],
	['an answer from before', 'old answer',
		sub { my ($h) = @_; (of($h, 'deploy_instance'))[1]{rows}[0]{status} = 'PENDING' }],
	['an answer from the future', 'answer from the future',
		sub { my ($h) = @_; (of($h, 'deploy_instance'))[0]{rows}[0]{status} = 'COMPLETED' }],
	['it is queued under a freeze', 'queued under a freeze',
		sub { my ($h) = @_; before($h, 'hist.freeze', (of($h, 'deploy_instance'))[0]) }],
	['a freeze comes before its COMMIT', 'queued under a freeze, which came between the call and its COMMIT', sub {
			my ($h) = @_;
			my ($call) = of($h, 'deploy_instance');
			my $freeze = transaction_of($h, of($h, 'hist.freeze'));
			@{ transaction_of($h, $call) }{qw(commit_sent ended)} = ($freeze->{ended} + 1, $freeze->{ended} + 2);
			transaction_of($h, of($h, 'hist.thaw'))->{commit_sent} = $freeze->{ended} + 3;
		}],
	['it is claimed under a freeze', 'claimed under a freeze',
		sub { my ($h) = @_; before($h, 'hist.freeze', claim_of($h, 'PROVISION')) }],
	['it is claimed under a stop', 'claimed under a stop',
		sub { my ($h) = @_; before($h, 'stop_line', claim_of($h, 'DECOMMISSION')) }],
	['a stop of another project is none', '', sub {
			my ($h) = @_;
			before($h, 'stop_line', claim_of($h, 'PROVISION'));
			(of($h, 'stop_line'))[0]{args}{project} = 'depot';
		}],
	['it is queued by a blocked release', 'queued under a blocked release',
		sub { my ($h) = @_; before($h, 'block_release', (of($h, 'deploy_instance'))[0]) }],
	['it is staged by a blocked release', 'staged by a blocked release',
		sub { my ($h) = @_; before($h, 'block_release', (of($h, 'promote_instance'))[0]) }],
	['what is protected is taken away', 'queued under a protection',
		sub { my ($h) = @_; before($h, 'hist.set', (of($h, 'decommission_instance'))[0]) }],
	['it is queued under a red light', 'queued under a red light', sub {
			my ($h) = @_;
			before($h, $_, (of($h, 'deploy_instance'))[0]) for 'hist.require_check', 'report_health';
		}],
	['nobody has approved', 'queued without approval',
		sub { my ($h) = @_; transaction_of($h, of($h, 'approve_deployment'))->{outcome} = 'rolled back' }],
	['two were asked for', 'queued without approval', sub { my ($h) = @_; (of($h, 'hist.ask'))[0]{args}{quorum} = 2 }],
	['... and one comes twice', 'queued without approval', sub {
			my ($h) = @_;
			(of($h, 'hist.ask'))[0]{args}{quorum} = 2;
			again($h, (of($h, 'approve_deployment'))[0], 2);
		}],
	['who approves is no reviewer', 'queued without approval',
		sub { my ($h) = @_; transaction_of($h, of($h, 'approve_deployment'))->{session} = 8 }],
	['a plan was rejected', 'queued in spite of a rejection', sub {
			my ($h) = @_;
			my $no = again($h, (of($h, 'approve_deployment'))[0], 3);
			$no->{verb} = 'reject_deployment';
			@$_{qw(event actor at)} = ('approval.refused', 'history_3', $no->{sent}) for events($h, 'approval.given');
		}],
	['more than there are places', 'budget', sub { my ($h) = @_; (of($h, 'hist.open_window'))[0]{args}{most} = 1 }],
	['one of a set is gone', 'lost update',
		sub { my ($h) = @_; without($h->{final}{revision}, with_message($h, 'many')) }],
	['a set that is refused is there', 'not done, and there',
		sub { my ($h) = @_; @{ (of($h, 'promote_many'))[0] }{qw(state rows)} = ('PM103', undef) }],
	['what is told of one of a set is not recorded', 'acknowledged, and not recorded',
		sub { my ($h) = @_; (of($h, 'deploy_many'))[0]{rows}[0]{deployment} = 9 }],
	['a set leaves out what it was not to', 'a part, unasked',
		sub { my ($h) = @_; (of($h, 'promote_environment'))[0]{rows}[0]{code} = 'PM103' }],
	['... and does it', 'left out, and done',
		sub { my ($h) = @_; (of($h, 'promote_environment'))[0]{rows}[0]{code} = 'decommissioned' }],
	['one of an environment has other overrides', 'another content',
		sub { my ($h) = @_; (of($h, 'promote_environment'))[0]{args}{overrides}{a}{size} = 8 }],
	['a fork holds something else', 'another content',
		sub { my ($h) = @_; $_->{params}{size} = 5 for with_message($h, 'fork') }],
	['an environment goes back to something else', 'another content',
		sub { my ($h) = @_; (of($h, 'tag_environment'))[0]{rows}[0]{revision} = 1 }],
	['what waited is left', 'left waiting',
		sub { my ($h) = @_; without($h->{final}{audit}, (events($h, 'deployment.aborted'))[-1]) }],
	['... and was told of as aborted', 'acknowledged, and not recorded',
		sub { my ($h) = @_; without($h->{final}{audit}, (events($h, 'deployment.aborted'))[-1]) }],
	['what runs is aborted with what waits', 'aborted what runs', sub {
			my ($h) = @_;
			my ($aborted) = reverse events($h, 'deployment.aborted');
			besides($h->{final}{audit}, $aborted, event => 'deployment.started', seq => $aborted->{seq} - 0.5,
				data => { %{ $aborted->{data} }, status => 'RUNNING', fencing => 1 });
		}],
	['what is left out is aborted', 'left out, and done',
		sub { my ($h) = @_; (of($h, 'abort_environment'))[0]{rows}[0]{code} = 'running' }],
	['a tag has what was before', 'tagged what was desired before',
		sub { my ($h) = @_; (of($h, 'tag_environment'))[0]{rows}[0]{desired} = 1 }],
	['a tag has what is to come', 'tagged what was not committed',
		sub { my ($h) = @_; (of($h, 'tag_environment'))[0]{rows}[0]{desired} = 3 }],
	['something is done with what is archived', 'done with what is archived', sub {
			my ($h) = @_;
			my ($archived) = events($h, 'instance.archived');
			besides($h->{final}{audit}, $archived, event => 'revision.created', seq => $archived->{seq} + 0.5);
		}],
	['something of it is open', 'archived, and open', sub {
			my ($h) = @_;
			my ($archived) = events($h, 'instance.archived');
			besides($h->{final}{audit}, (events($h, 'deployment.created'))[0], subject => $archived->{subject},
				seq => $archived->{seq} - 0.5);
		}],
	['a name is taken twice', 'there twice',
		sub { my ($h) = @_; transaction_of($h, of($h, 'archive_environment'))->{outcome} = 'rolled back' }],
	['what is told as kept is recorded', 'not declared, and recorded',
		sub { my ($h) = @_; (of($h, 'register_project'))[0]{rows}[0]{action} = 'keep' }],
	['what is told as changed is not', 'acknowledged, and not recorded',
		sub { my ($h) = @_; (of($h, 'register_project'))[1]{rows}[0]{action} = 'change' }],
	['what is only tried is recorded', 'not declared, and recorded',
		sub { my ($h) = @_; (of($h, 'apply_document'))[1]{args}{dry_run} = 't' }],
	['a change of what was not there', 'declared of what was not there',
		sub { my ($h) = @_; (of($h, 'register_project'))[2]{rows}[0]{changes}[0]{old} = 'another' }],
	['what is there is made', 'declared of what was not there',
		sub { my ($h) = @_; (of($h, 'register_project'))[2]{rows}[0]{action} = 'create' }],
	['what is gone is deleted', 'declared of what was not there',
		sub { my ($h) = @_; (of($h, 'set_freeze'))[0]{rows}[0]{action} = 'delete' }],
	['another request holds it', 'queued against a request',
		sub { my ($h) = @_; before($h, 'open_request', (of($h, 'deploy_instance'))[0]) }]);

for my $case (@wrong) {
	my ($name, $kind, $change) = @$case;
	my $history = $json->decode($good);
	$change->($history);
	my %kinds = map { $_->{kind} => 1 } HistoryCheck::check($history, $documented);
	if ($kind ne '') {
		ok($kinds{$kind}, "$name: found") or diag('only these are: ' . join('; ', sort keys %kinds));
	} else {
		ok(!grep({ /under/ } keys %kinds), "$name: not found") or diag(join('; ', sort keys %kinds));
	}
}

# ---- eight sessions at random ----

# Lets them work for some seconds, and holds what they were told against what is promised.
sub at_random {
	my ($seconds, @storms) = @_;
	return hold_history($seconds, { storms => \@storms }, @storms);
}

sub hold_history {
	my ($seconds, $how, @storms) = @_;
	HistoryWork::prepare();
	my $history = HistoryWork::record(seconds => $seconds, seed => $seed, %$how);
	my @calls = map { @{ $_->{calls} } } @{ $history->{transactions} };
	my %state;
	$state{ $_->{state} }++ for @calls;
	note("result: @{[scalar @calls]} calls in $seconds seconds, seed $seed", map { ", $_" } @storms);
	my @found = HistoryCheck::check($history, HistoryCheck::documented($page, @storms));
	is(scalar(@found), 0, join ', ', "what they were told is what is promised (PROMOTE_SEED=$seed)", @storms)
	  or diag(map { HistoryCheck::told($_) } @found > 20 ? @found[0 .. 19] : @found);
	return ($history, %state);
}

my ($history) = at_random(10);
my %done;
$done{ $_->{verb} }++ for grep { $_->{state} eq '00000' } map { @{ $_->{calls} } } @{ $history->{transactions} };
cmp_ok($done{$_} // 0, '>', 0, "... with $_") for qw(promote_instance configure_instance deploy_instance
	claim_deployment complete_deployment);
cmp_ok(scalar(grep { /_(?:many|environment)$/ } keys %done), '>', 0, '... and with sets');

# Each call by itself: nobody waits for another in a circle, and nobody is told to try again but by a rule, or a
# request, that has come between a judgement and its commit.
my ($alone) = hold_history($ENV{PROMOTE_ALONE_SECONDS} // 10, { alone => 1 });
my @again = grep { $_->{state} =~ /^40/ && $_->{message} !~ /judged by rules that have changed/ }
	map { @{ $_->{calls} } } @{ $alone->{transactions} };
is(join("\n", map { "$_->{verb}: $_->{state} $_->{message}" } @again), '',
	'... and single calls are not told to try again');

# The same in a storm: what was acknowledged is there, all else is not, and nothing by half.
my (undef, %state) = at_random(6, qw(cancel terminate crash));
cmp_ok($state{'57014'} // 0, '>', 0, '... though statements are cancelled');
cmp_ok($state{lost} // 0, '>', 0, '... and sessions are lost');

done_testing();
