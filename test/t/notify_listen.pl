# LISTEN promote: who listens is told of what was committed, by ids alone, and of nothing else.

use strict;
use warnings;
use JSON::PP;
use Test::More;
use PromoteTest;
use Session;

my $node = PromoteTest->new;
$node->create_promote('listen');
$node->query('listen', <<'SQL');
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0',
	'{"properties": {"size": {"type": "integer"}}}');
INSERT INTO promote.project VALUES ('shop');
INSERT INTO promote.environment (project, environment)
VALUES ('shop', 'staging'), ('shop', 'production'), ('shop', 'testing');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component)
SELECT project, environment, 'db' FROM promote.environment;
DO $$ BEGIN
	PERFORM promote.configure_instance(name, '{"size": 1}') FROM promote.instance ORDER BY name;
	PERFORM promote.configure_instance('shop-staging-db', '{"size": 2, "password": "confidential"}');
END $$;
INSERT INTO promote.project VALUES ('end');
SQL
my $listener = Session->new($node, 'listen');
$listener->ask('LISTEN promote;');

# Hears everything up to now: the worker sends in the order of commits, so what comes last ends the rest.
my $ends = 0;

sub hear_all {
	my $event = $ends++ % 2 ? 'resume' : 'stop';
	my $done = { stop => 'stopped', resume => 'resumed' }->{$event};
	$node->query('listen', $event eq 'stop' ? q{SELECT promote.stop_line('end', 'end')}
		: q{SELECT promote.resume_line('end')});
	my @payloads = $listener->hear(qr/"line[.]$done", "project": "end"|"project": "end", "event": "line[.]$done"/);
	pop @payloads;
	return @payloads;
}

# What another session hears of SQL: the SQL's exit status and the payloads, in order.
sub heard {
	my ($sql) = @_;
	hear_all();
	my ($rc) = $node->psql('listen', $sql);
	return ($rc, hear_all());
}

# The payloads as text with keys in order, so that spaces do not matter and further keys do.
sub told {
	my ($rc, @payloads) = heard(@_);
	my $json = JSON::PP->new->canonical;
	return join ' ', "($rc)", map { $json->encode($json->decode($_)) } @payloads;
}

sub of {
	my ($instance, $revision, $deployment) = @_;
	my %ids = (instance => $instance, revision => $revision, defined $deployment ? (deployment => $deployment) : ());
	return JSON::PP->new->canonical->encode(\%ids);
}

my $promotion = q{SELECT promote.promote_instance('shop-staging-db', 'shop-production-db', '{"note": "%s"}',
	message => 'why');};
is(told(sprintf $promotion, 'a'), '(0) ' . of('shop-production-db', 2, 2),
	'a promotion: instance, revision and deployment');
is(told(q{SELECT promote.stop_line('fire', 'shop'), promote.stop_line('again', 'shop');
	SELECT promote.resume_line('shop'), promote.resume_line('shop')}),
	'(0) {"event":"line.stopped","project":"shop"} {"event":"line.resumed","project":"shop"}', 'the line, once each');
is(told(q{SELECT promote.stop_line('fire')}), '(0) {"event":"line.stopped"}', 'all of it');
is(told(q{SELECT promote.resume_line()}), '(0) {"event":"line.resumed"}', '... goes on');
is(told(q{SELECT promote.configure_instance('shop-testing-db', '{"size": 5}')}), '(0) ' . of('shop-testing-db', 2, 2),
	'an edit');
is(told(q{SELECT promote.configure_instance('shop-testing-db', '{"size": 6}', plan => false)}),
	'(0) ' . of('shop-testing-db', 3),
	'without a plan there is no deployment to name');
is(told(q{SELECT promote.configure_instance('shop-testing-db')}), '(0) ' . of('shop-testing-db', 3, 3),
	'... until there is one');
is(told(q{SELECT promote.configure_instance('shop-testing-db')}), '(0)',
	'where nothing changes there is nothing to tell');
is(told('BEGIN;' . sprintf($promotion, 'b') . 'ROLLBACK'), '(0)', 'nothing is told of what is rolled back');
is(told('BEGIN; SAVEPOINT s;' . sprintf($promotion, 'c') . 'ROLLBACK TO s;'
		  . q{SELECT promote.configure_instance('shop-testing-db', '{"size": 7}'); COMMIT}),
	'(0) ' . of('shop-testing-db', 4, 4), '... to a savepoint either');
is(told(q{SELECT promote.promote_instance('shop-staging-db', 'shop-production-db', '{"size": "large"}')}), '(3)',
	'nothing is told of what is refused');
is(told(q{SELECT count(*) FROM promote.preview_promotion('shop-staging-db', 'shop-production-db')}), '(0)',
	'... or only looked at');
is(told('BEGIN;' . sprintf($promotion, 'd') . sprintf($promotion, 'e') . 'COMMIT'),
	'(0) ' . of('shop-production-db', 3, 3) . ' ' . of('shop-production-db', 4, 4),
		'one each, in order, at the commit of several');
is(told(q{INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
	SELECT project, environment, component, promote.config_digest(project, '{"size": 1}'), 'latest'
	FROM promote.instance WHERE environment <> 'staging'}),
	'(0) ' . of('shop-production-db', 5, 5) . ' ' . of('shop-testing-db', 5, 5),
		q{one for each row of a DBA's own INSERT});
is(told(q{SET session_replication_role = replica; SELECT promote.configure_instance('shop-testing-db', '{"size": 8}')}),
	'(0) ' . of('shop-testing-db', 6, 6), 'nobody can keep it quiet');

# What is carried is told by its names alone, as many as a notification has room for.
$node->query('listen', q{INSERT INTO promote.bundle_release (bundle, version, params_schema, remote_references)
	VALUES ('postgres', '1.1.0',
	'{}', '{"network": {}, "dns": {"required": false}}'), ('postgres', '1.2.0', '{}',
	(SELECT jsonb_object_agg(n || repeat('x', 60), '{"required": false}'::jsonb)
		FROM generate_series(100, 299) AS n))});
$node->query('listen', q{SELECT promote.configure_instance('shop-staging-db', '{}', '1.1.0'),
	promote.configure_instance('shop-production-db', '{}', '1.1.0')});
is(told(q{SELECT promote.set_remote_reference('shop-staging-db', 'network', 'confidential')}), '(0)',
	'what is set for the next plan is no news');
$node->query('listen', q{SELECT promote.promote_instance('shop-staging-db', 'shop-production-db', plan => false)});
like(told(q{SELECT promote.promote_instance('shop-staging-db', 'shop-production-db', copy_remote_references => true)}),
	qr/^\(0\) \{"deployment":\d+,"instance":"shop-production-db","references":\["network"\],"revision":\d+\}$/,
		'the names of references');
$node->query('listen', q{SELECT promote.set_remote_reference('shop-staging-db', 'dns', 'confidential')});
like(told(q{SELECT promote.promote_instance('shop-staging-db', 'shop-production-db', copy_remote_references => true,
	plan => false)}),
	qr/^\(0\) \{"instance":"shop-production-db","references":\["dns"\],"revision":\d+\}$/,
		'... without a plan as well');
$node->query('listen', q{SELECT promote.configure_instance('shop-staging-db', '{}', '1.2.0')});
$node->query('listen', q{SELECT promote.set_remote_reference('shop-staging-db', n || repeat('x', 60), 'confidential')
	FROM generate_series(100, 299) AS n});
my $many = told(q{SELECT promote.promote_instance('shop-staging-db', 'shop-production-db',
	copy_remote_references => true)});
like($many, qr/^\(0\) .*"100x{60}"/, 'many of them');
cmp_ok(() = $many =~ /"\d{3}x{60}"/g, '<', 100, '... not all');

$node->query('listen', q{SELECT promote.open_request('shop', 'staging', 'production'); SELECT count(*)
	FROM promote.preview_request('shop', 1)});
is(told(q{SELECT promote.pause_request('shop', 1, 'confidential')}),
	'(0) {"action":"request.paused","project":"shop","request":1,"status":"PAUSED"}', 'each step of a request');
is(told(q{SELECT promote.advance_request('shop', 1)}), '(0)', 'nothing where none is taken');

done_testing;
