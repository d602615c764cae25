# What another session has committed after a transaction's snapshot was taken: every verb reads it, or is told to try
# again (40001), at each isolation level. It never answers from before, and never fails by a key that somebody else
# took.
#
# The oracle is READ COMMITTED: a verb at REPEATABLE READ or SERIALIZABLE has to answer what it answers there, and leave
# the same rows behind, at once or when it is tried again after a 40001. And every case has to be one: before the change
# the verb answers something else, or ("same") its rows are numbered behind those of the change.
#
# At READ COMMITTED the change is also made beside the verb, and committed when the verb waits for it or has passed it:
# then it has to be as if the one had come after the other, whichever.

use strict;
use warnings;
use IPC::Open2 qw(open2);
use Test::More;
use PromoteTest;

my $key   = 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
my $node  = PromoteTest->new("promote.secret_key_command = 'echo k1:$key'");
my $limit = 300;   # seconds that an answer may take

# ---- sessions ----

# A session that stays: psql, with what it says of errors among its answers.
sub session {
	my ($actor) = @_;
	my @psql = $node->psql_command('snapshots', '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=sqlstate');
	my $pid = open2(my $out, my $in, 'sh', '-c', 'exec "$@" 2>&1', 'sh', @psql);
	my $session = { pid => $pid, in => $in, out => $out };
	ask($session, "SET promote.actor = '$actor'");
	return $session;
}

sub ask {
	my ($session, $sql) = @_;
	begin_to_ask($session, $sql);
	return answer($session);
}

sub begin_to_ask {
	my ($session, $sql) = @_;
	$session->{asked} = $sql;
	print { $session->{in} } "$sql;\n\\echo <end>\n";
	$session->{in}->flush;
	return;
}

# What a session answers; of an error the SQLSTATE alone.
sub answer {
	my ($session) = @_;
	my $answer = '';
	local $SIG{ALRM} = sub { die "no answer to: $session->{asked}\n" };
	alarm $limit;
	while (defined(my $line = readline $session->{out})) {
		last if $line eq "<end>\n";
		$answer .= $line;
	}
	alarm 0;
	return $1 if $answer =~ /ERROR:\s+(\w{5})/;
	chomp $answer;
	return $answer;
}

# ---- what each case begins with ----

$node->create_promote('snapshots');
$node->query('snapshots', <<'SQL');
CREATE ROLE snapshot_dba;
-- a role that rules can be met by, so that they draw no warning
CREATE ROLE snapshot_reviewer;
CREATE ROLE snapshot_member LOGIN IN ROLE snapshot_reviewer;
GRANT snapshot_dba TO postgres;
CREATE TABLE answer (project text PRIMARY KEY, reason text);
CREATE FUNCTION policy(instance text, deployment integer, at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE sql STABLE AS $$ SELECT 'asked', a.reason, NULL::timestamptz, NULL::timestamptz, NULL, false
		FROM public.answer AS a WHERE instance LIKE a.project || '-%' $$;

-- A bundle and a project of its own, deployed to staging and planned for production.
CREATE FUNCTION make(p text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO promote.bundle VALUES (p);
	INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
	VALUES (p, '1.0.0', '{"properties": {"size": {"type": "integer"}}}', '{"password": {}}',
		'{"network": {"required": false}}');
	INSERT INTO promote.project (project, attributes) VALUES (p, jsonb_build_object('case', p));
	INSERT INTO promote.environment (project, environment, require_plan, require_expected, require_proven_release)
	    VALUES (p, 'staging', false, false, false), (p, 'production', true, false, false);
	INSERT INTO promote.parameter_set (project, environment, parameters)
	    VALUES (p, 'staging', '{"host": "s"}'), (p, 'production', '{"host": "h"}');
	INSERT INTO promote.component (project, component, bundle) VALUES (p, 'db', p);
	INSERT INTO promote.instance (project, environment, component) VALUES (p, 'staging', 'db'), (p, 'production', 'db');
	PERFORM promote.configure_instance(p || '-' || e || '-db', '{"size": 1, "host": "{{host}}"}', plan => false)
		FROM (VALUES ('staging'), ('production')) AS v (e);
	PERFORM promote.set_secret(p || '-' || e || '-db', 'password', 'hush')
		FROM (VALUES ('staging'), ('production')) AS v (e);
	PERFORM promote.deploy_instance(p || '-staging-db');
	PERFORM promote.plan_instance(p || '-production-db');
	PERFORM work(p);
END $$;
CREATE FUNCTION claim(p text, lease interval DEFAULT '1 hour') RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', c.instance, c.deployment, c.action, c.version, c.fencing), ', ')
	FROM promote.claim_deployment('w', lease => lease, selector => jsonb_build_object('case', p)) AS c $$;
CREATE FUNCTION work(p text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE c record; done integer := 0;
BEGIN
	LOOP
		SELECT * INTO c FROM promote.claim_deployment('w', selector => jsonb_build_object('case', p));
		EXIT WHEN NOT FOUND;
		PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing);
		done := done + 1;
	END LOOP;
	RETURN done;
END $$;

-- All that there is of a project, but for times.
CREATE FUNCTION state(p text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT concat_ws(' ', 'instance', environment, revision, deployment, status, deployed_revision, deployed_by,
			version_constraint) FROM promote.instance WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'revision', environment, revision, version,
			(SELECT left(encode(promote.jsonb_digest(c.params), 'hex'), 8) FROM promote.config AS c
			WHERE c.project = p AND c.digest = r.digest), actor)
			FROM promote.revision AS r WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'deployment', environment, deployment, action, status, revision, version, plan,
			due_at IS NOT NULL, fencing, reason, remote_references) FROM promote.deployment WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'log', environment, deployment, entry, message) FROM promote.deployment_log
			WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'vote', deployment, vote, decision, actor) FROM promote.approval
			WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'health', environment, check_name, report, healthy) FROM promote.health_report
			WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'drift', item, path, closed_at IS NOT NULL, dismissed_at IS NOT NULL,
			adopted_revision) FROM promote.drift_item WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'override', deployment, code, override, reason) FROM promote.gate_override
			WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'secret', environment, secret) FROM promote.secret WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'reference', environment, field, reference) FROM promote.remote_reference
			WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'request', request, status, wave, preview, reason)
			FROM promote.promotion_request WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'item', request, component, status, holds, revision, plan, deployment)
			FROM promote.promotion_request_item WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'key', idempotency_key, new_revision) FROM promote.idempotency_key
			WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'release', version, block_reason) FROM promote.bundle_release WHERE bundle = p
		UNION ALL SELECT concat_ws(' ', 'stop', reason, lifted_at IS NOT NULL) FROM promote.line_stop WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'consumer', consumer,
			(SELECT count(*) FROM promote.audit_log AS a WHERE a.project = p AND a.position <= c.position))
			FROM promote.consumer AS c WHERE project = p
		UNION ALL SELECT concat_ws(' ', 'event', subject, seq, event) FROM promote.audit_log WHERE project = p
	) AS s (line) $$;
SQL

# ---- the cases ----

# %p is the project, %P its instance in production, %S that in staging.
my $history = q{promote.import_history('{"version": 1, "project": "%p", "instances": [
	{"environment": "dev", "component": "app", "revisions": [
	{"params": {"size": 1}, "version": "1.0.0", "actor": "a", "at": "2024-01-01T00:00:00Z"}]}]}')};
my %say = (
	edit       => q{SELECT FROM promote.configure_instance('%S', '{"size": 2}', plan => false)},
	edit_here  => q{SELECT FROM promote.configure_instance('%P', '{"size": 3}', plan => false)},
	publish    => q{INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets)
		VALUES ('%p', '1.1.0', '{}', '{"password": {}}')},
	block      => q{SELECT FROM promote.block_release('%p', '1.0.0', 'CVE')},
	unblock    => q{SELECT FROM promote.unblock_release('%p', '1.0.0')},
	host       => q{UPDATE promote.parameter_set SET parameters = '{"host": "other"}'
		WHERE project = '%p' AND environment = 'production'},
	protect    => q{UPDATE promote.environment SET decommission_protection = true WHERE project = '%p'},
	freeze     => q{INSERT INTO promote.freeze_window (name, project, during, reason)
		VALUES ('%p', '%p', '[2020-01-01, 2099-01-01)', 'no')},
	stop       => q{SELECT FROM promote.stop_line('now', '%p')},
	resume     => q{SELECT FROM promote.resume_line('%p')},
	plan       => q{SELECT FROM promote.plan_instance('%P')},
	deploy     => q{SELECT FROM promote.deploy_instance('%P')},
	both       => q{SELECT FROM promote.plan_and_deploy('%P')},
	abort      => q{SELECT FROM promote.abort_deployment('%P', 2, 'no')},
	claim      => q{SELECT claim('%p')},
	work       => q{SELECT work('%p')},
	complete   => q{SELECT FROM promote.complete_deployment('%P', 2, 1)},
	take_off   => q{SELECT FROM promote.decommission_instance('%P')},
	propose    => q{SELECT FROM promote.propose_deployment('%P')},
	reject     => q{SELECT FROM promote.reject_deployment('%P', 2, 'no')},
	rule       => q{INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
		VALUES ('%p', 'production', 'dba', 'snapshot_dba', 1)},
	rule_two   => q{INSERT INTO promote.approval_rule (project, environment, rule, role, quorum)
		VALUES ('%p', 'production', 'dba', 'snapshot_dba', 2)},
	approve    => q{SELECT FROM promote.approve_deployment('%P', 1)},
	agree      => q{SELECT FROM promote.approve_deployment('%P', 2)},
	agree_next => q{SELECT FROM promote.approve_deployment('%P', 3)},
	abort_next => q{SELECT FROM promote.abort_deployment('%P', 3)},
	drift      => q{SELECT promote.report_observed('%P', '{"size": 9, "host": "h"}'::jsonb, 'me')},
	no_secret  => q{SELECT promote.remove_secret('%P', 'password')},
	secret     => q{SELECT FROM promote.set_secret('%P', 'password', 'other')},
	reference  => q{SELECT promote.set_remote_reference('%P', 'network', 'urn:a')},
	check      => q{INSERT INTO promote.required_check (project, environment, check_name)
		VALUES ('%p', 'production', 'up')},
	healthy    => q{SELECT FROM promote.report_health('%P', 'up', true)},
	ill        => q{SELECT FROM promote.report_health('%P', 'up', false)},
	ask        => q{INSERT INTO promote.policy (policy, function, project) VALUES ('%p', 'public.policy', '%p')},
	answer     => q{INSERT INTO answer VALUES ('%p', 'the policy says no')},
	may        => q{INSERT INTO promote.override_rule (project, environment, code, role)
		VALUES ('%p', 'production', 'freeze', 'snapshot_dba')},
	override   => q{SELECT FROM promote.override_gate('%P', 1, 'freeze', 'urgent')},
	open       => q{SELECT FROM promote.open_request('%p', 'staging', 'production')},
	preview    => q{SELECT count(*) FROM promote.preview_request('%p', 1)},
	advance    => q{SELECT FROM promote.advance_request('%p', 1)},
	pause      => q{SELECT FROM promote.pause_request('%p', 1, 'wait')},
	cancel     => q{SELECT FROM promote.cancel_request('%p', 1, 'no')},
	promote    => q{SELECT FROM promote.promote_instance('%S', '%P', plan => false)},
	archive_whole => q{SELECT component, changed FROM promote.archive_environment('%p-production')},
	end_whole  => q{SELECT component, changed, code FROM promote.decommission_environment('%p-production')},
	keyed      => q{SELECT FROM promote.promote_instance('%S', '%P', idempotency_key => 'k')},
	grant      => q{SELECT promote.grant_action('%p', 'view', '%p')},
	path       => q{INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
		VALUES ('%p', 'staging', 'production')},
	by_path    => q{UPDATE promote.environment SET source_policy = 'path'
		WHERE project = '%p' AND environment = 'production'},
	instance   => q{INSERT INTO promote.component (project, component, bundle) VALUES ('%p', 'app', '%p');
		INSERT INTO promote.instance (project, environment, component) VALUES ('%p', 'production', 'app')},
	log        => q{SELECT promote.append_deployment_log('%P', 2, 'theirs', 1)},
	beat       => q{SELECT FROM promote.heartbeat_deployment('%P', 2, 1, '2 hours')},
	record     => q{SELECT FROM promote.record_plan('%P', 2,
		'{"format_version": "1.2", "terraform_version": "1.11.4", "applyable": true, "complete": true, "errored": '
		'false, "resource_changes": []}', 1)},
	late       => q{SELECT pg_sleep(0.01)},
	grounds    => q{DO $$ BEGIN PERFORM promote.plan_instance('%P'); PERFORM work('%p');
		PERFORM promote.deploy_instance('%P'); PERFORM work('%p'); END $$},
	no_plan    => q{UPDATE promote.environment SET require_plan = false WHERE project = '%p'},
	# a rule of each kind
	rules      => q{SELECT promote.set_freeze('%p', '%p', during => '[2031-01-01, 2031-02-01)'),
		promote.set_change_window('%p', '%p', during => '[2020-01-01,)'),
		promote.set_approval_rule('%p', 'staging', 'r', 'snapshot_reviewer'),
		promote.set_required_check('%p', 'staging', 'c'),
		promote.set_override_rule('%p', 'staging', 'soak', 'snapshot_dba'),
		promote.set_policy('%p', 'public.policy', '%p', enabled => false)},
	# a row of each kind of the registry
	declared   => q{SELECT promote.register_project('%p', 'theirs', '{"case": "%p", "whose": "theirs"}'),
		promote.register_project('%pq'), promote.register_bundle('%p', 'theirs'), promote.register_bundle('%pb'),
		promote.publish_release('%p', '1.1.0', '{}'), promote.register_environment('%p', 'dev', 'theirs'),
		promote.set_environment_rules('%p', 'staging', max_lost_leases => 5),
		promote.set_parameters('%p', 'dev', '{"size": 1}'), promote.register_component('%p', 'app', '%p', 'theirs'),
		promote.set_dependency('%p', 'app', 'db', 'theirs'), promote.register_instance('%p', 'dev', 'app'),
		promote.set_promotion_path('%p', 'staging', 'dev', 'theirs')},
	consumer   => q{SELECT FROM promote.register_consumer('%p', '%p', after_position => 0)},
	no_consumer => q{SELECT promote.remove_consumer('%p')},
	taken      => q{SELECT promote.acknowledge_events('%p', (SELECT max(position) FROM promote.next_events('%p'))) > 0},
	empty      => q{SELECT promote.register_component('%p', 'app', '%p'), promote.register_environment('%p', 'dev')},
	history    => qq{SELECT FROM $history},
);

my %verb = (
	promote    => q{SELECT old_revision, new_revision, deployment, changed, diff
		FROM promote.promote_instance('%S', '%P')},
	set        => q{SELECT instance, changed, revision, deployment, diff
		FROM promote.promote_many(ARRAY['%S'], ARRAY['%P'])},
	whole      => q{SELECT component, changed, revision, deployment, diff
		FROM promote.promote_environment('%p-staging', '%p-production')},
	deploy_whole => q{SELECT component, changed, deployment, code FROM promote.deploy_environment('%p-production')},
	plan_whole => q{SELECT component, changed, deployment, code FROM promote.plan_environment('%p-production')},
	back_whole => q{SELECT component, changed, revision
		FROM promote.rollback_environment('%p-production', at => clock_timestamp())},
	tag_whole  => q{SELECT component, desired, revision FROM promote.tag_environment('%p-production', 'now')},
	fork_whole => q{SELECT component, revision, diff FROM promote.fork_environment('%p-staging', '%p-forked')},
	archive_whole => q{SELECT component, revision FROM promote.archive_environment('%p-production')},
	abort_whole => q{SELECT component, changed, deployment, code
		FROM promote.abort_environment('%p-production', 'mine')},
	end_whole  => q{SELECT component, changed, deployment FROM promote.decommission_environment('%p-production')},
	keyed      => q{SELECT old_revision, new_revision, deployment, changed
		FROM promote.promote_instance('%S', '%P', idempotency_key => 'k')},
	next       => q{SELECT new_revision FROM promote.promote_to_next('%S')},
	expected   => q{SELECT new_revision FROM promote.promote_instance('%S', '%P', expected_revision => 1)},
	configure  => q{SELECT old_revision, new_revision, deployment, changed
		FROM promote.configure_instance('%P', '{"note": "x"}')},
	new        => q{SELECT new_revision FROM promote.configure_instance('%p-production-app', '{"size": 1}')},
	plan       => q{SELECT deployment, status, version, revision FROM promote.plan_instance('%P')},
	deploy     => q{SELECT deployment, action, status, version, plan, due_at IS NOT NULL
		FROM promote.deploy_instance('%P')},
	both       => q{SELECT deployment, action, status, revision FROM promote.plan_and_deploy('%P')},
	take_off   => q{SELECT deployment, action, status FROM promote.decommission_instance('%P')},
	propose    => q{SELECT deployment, status, version FROM promote.propose_deployment('%P')},
	approve    => q{SELECT deployment, status, version FROM promote.approve_deployment('%P', 2)},
	vote       => q{SELECT deployment, status FROM promote.approve_deployment('%P', 1)},
	reject     => q{SELECT status FROM promote.reject_deployment('%P', 2, 'mine')},
	abort      => q{SELECT status, reason FROM promote.abort_deployment('%P', 2, 'mine')},
	claim      => q{SELECT deployment, action, version, fencing
		FROM promote.claim_deployment('me', selector => '{"case": "%p"}')},
	allow      => q{UPDATE promote.deployment SET status = 'APPROVED'
		WHERE project = '%p' AND environment = 'production' AND deployment = 2 RETURNING status},
	begin      => q{UPDATE promote.deployment SET status = 'RUNNING', worker = 'hand',
		due_at = clock_timestamp() + '1 hour'
		WHERE project = '%p' AND environment = 'production' AND deployment = 2 RETURNING status},
	beat       => q{SELECT status FROM promote.heartbeat_deployment('%P', 2, 1, '3 hours')},
	log        => q{SELECT promote.append_deployment_log('%P', 2, 'mine', 1)},
	record     => q{SELECT status
		FROM promote.record_plan('%P', 2,
		'{"format_version": "1.2", "terraform_version": "1.11.4", "applyable": true, "complete": true, "errored": '
		'false, "resource_changes": []}', 1)},
	secrets    => q{SELECT name, value FROM promote.deployment_secrets('%P', 2, 1)},
	complete   => q{SELECT status, not_deployed IS NOT NULL FROM promote.complete_deployment('%P', 2, 1)},
	fail       => q{SELECT status, reason FROM promote.fail_deployment('%P', 2, 'mine', 1)},
	release    => q{SELECT status FROM promote.release_deployment('%P', 2, 1)},
	plan_set   => q{SELECT deployment, status, code FROM promote.plan_many(ARRAY['%P'])},
	deploy_set => q{SELECT deployment, action, status, code FROM promote.deploy_many(ARRAY['%P'])},
	approve_set => q{SELECT deployment, status, code FROM promote.approve_many(ARRAY['%P'], ARRAY[2])},
	reject_set => q{SELECT status, code FROM promote.reject_many(ARRAY['%P'], ARRAY[2], 'mine')},
	complete_set => q{SELECT status, code FROM promote.complete_many(ARRAY['%P'], ARRAY[2], ARRAY[1])},
	fail_set   => q{SELECT status, code FROM promote.fail_many(ARRAY['%P'], ARRAY[2], 'mine', ARRAY[1])},
	release_set => q{SELECT status, code FROM promote.release_many(ARRAY['%P'], ARRAY[2], ARRAY[1])},
	beat_set   => q{SELECT status, code FROM promote.heartbeat_many(ARRAY['%P'], ARRAY[2], ARRAY[1], '3 hours')},
	rehearse   => q{SELECT kind, path, old_value, new_value, message FROM promote.rehearse_rollback('%P', 1, true)},
	rollback   => q{SELECT new_revision, changed FROM promote.rollback_instance('%P', 1)},
	digest     => q{SELECT promote.report_observed_digest('%P', '\\x00'::bytea, 'other')},
	drift      => q{SELECT promote.report_observed('%P', '{"size": 8, "host": "h"}'::jsonb, 'other')},
	adopt      => q{SELECT new_revision, changed FROM promote.adopt_drift('%P')},
	dismiss    => q{SELECT promote.dismiss_drift('%P', 'mine')},
	ill        => q{SELECT report, healthy, since = reported_at FROM promote.report_health('%P', 'up', false)},
	override   => q{SELECT override, regexp_replace(subjects::text, ', made at [^"]*', '')
		FROM promote.override_gate('%P', 1, 'freeze', 'mine')},
	review     => q{SELECT promote.review_override('%P', 1, 'freeze', 'seen')},
	secret     => q{SELECT changed FROM promote.set_secret('%P', 'password', 'other')},
	no_secret  => q{SELECT promote.remove_secret('%P', 'password')},
	copy       => q{SELECT changed FROM promote.promote_instance('%S', '%P', copy_secrets => true,
		copy_remote_references => true, plan => false)},
	reference  => q{SELECT promote.set_remote_reference('%P', 'network', 'urn:a')},
	no_reference => q{SELECT promote.remove_remote_reference('%P', 'network')},
	open       => q{SELECT request, status FROM promote.open_request('%p', 'staging', 'production')},
	preview    => q{SELECT component, status, skip_reason, base_revision, diff, blockers
		FROM promote.preview_request('%p', 1)},
	advance    => q{SELECT status, moved, waits_for FROM promote.advance_request('%p', 1)},
	vote_all   => q{SELECT component, voted, code FROM promote.approve_request('%p', 1)},
	pause      => q{SELECT status FROM promote.pause_request('%p', 1)},
	resume     => q{SELECT status FROM promote.resume_request('%p', 1)},
	cancel     => q{SELECT status, reason FROM promote.cancel_request('%p', 1, 'mine')},
	grant      => q{SELECT promote.grant_action('%p', 'view', '%p')},
	revoke     => q{SELECT promote.revoke_action('%p', 'view', '%p')},
	apply      => q{SELECT new_revision, changed FROM promote.apply_revision('%S', 1, '%P', on_conflict => 'source')},
	refresh    => q{SELECT promote.refresh_grants('%p')},
	block      => q{SELECT block_reason FROM promote.block_release('%p', '1.0.0', 'mine')},
	unblock    => q{SELECT block_reason FROM promote.unblock_release('%p', '1.0.0')},
	stop       => q{SELECT reason FROM promote.stop_line('mine', '%p')},
	resume_line => q{SELECT count(*) FROM promote.resume_line('%p') WHERE stop IS NOT NULL},
	insert     => q{INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
		SELECT project, 'production', component, digest, 'latest' FROM promote.revision
			WHERE project = '%p' AND environment = 'staging' AND revision = 1
		RETURNING revision, version},
	prune      => q{SELECT subject, pruned FROM promote.prune_audit(clock_timestamp(), '%p') ORDER BY subject},
	set_freeze => q{SELECT action, changes FROM promote.set_freeze('%p', '%p', reason => 'mine',
		during => '[2031-01-01, 2031-02-01)')},
	set_window => q{SELECT action, changes FROM promote.set_change_window('%p', '%p', reason => 'mine',
		during => '[2020-01-01,)')},
	set_rule   => q{SELECT action, changes FROM promote.set_approval_rule('%p', 'staging', 'r',
		'snapshot_reviewer', description => 'mine')},
	set_check  => q{SELECT action, changes FROM promote.set_required_check('%p', 'staging', 'c',
		description => 'mine')},
	set_override => q{SELECT action, changes FROM promote.set_override_rule('%p', 'staging', 'soak', 'snapshot_dba',
		'mine')},
	set_policy => q{SELECT action, changes FROM promote.set_policy('%p', 'public.policy', '%p', enabled => false,
		description => 'mine')},
	no_freeze  => q{SELECT action, changes FROM promote.remove_freeze('%p')},
	no_window  => q{SELECT action, changes FROM promote.remove_change_window('%p')},
	no_rule    => q{SELECT action, changes FROM promote.remove_approval_rule('%p', 'staging', 'r')},
	no_check   => q{SELECT action, changes FROM promote.remove_required_check('%p', 'staging', 'c')},
	no_override => q{SELECT action, changes FROM promote.remove_override_rule('%p', 'staging', 'soak',
		'snapshot_dba')},
	no_policy  => q{SELECT action, changes FROM promote.remove_policy('%p')},
	project    => q{SELECT action, changes FROM promote.register_project('%p', 'mine')},
	bundle     => q{SELECT action, changes FROM promote.register_bundle('%p', 'mine')},
	new_release => q{SELECT action, changes FROM promote.publish_release('%p', '1.1.0', '{}')},
	environment => q{SELECT action, changes FROM promote.register_environment('%p', 'dev', 'mine')},
	env_rules  => q{SELECT action, changes FROM promote.set_environment_rules('%p', 'staging', max_lost_leases => 7)},
	parameters => q{SELECT action, changes FROM promote.set_parameters('%p', 'dev', '{"size": 2}')},
	component  => q{SELECT action, changes FROM promote.register_component('%p', 'app', '%p', 'mine')},
	dependency => q{SELECT action, changes FROM promote.set_dependency('%p', 'app', 'db', 'mine')},
	instance   => q{SELECT action, changes FROM promote.register_instance('%p', 'dev', 'app')},
	path       => q{SELECT action, changes FROM promote.set_promotion_path('%p', 'staging', 'dev', 'mine')},
	attributes => q{SELECT action, changes FROM promote.set_attributes('{"case": "%p", "whose": "mine"}', '%p')},
	consumer   => q{SELECT registered, changed FROM promote.register_consumer('%p', '%p', after_position => 0)},
	no_consumer => q{SELECT promote.remove_consumer('%p')},
	next_events => q{SELECT subject, event FROM promote.next_events('%p', 1)},
	take       => q{SELECT promote.acknowledge_events('%p', (SELECT min(position) FROM promote.audit_log
		WHERE project = '%p')) > 0},
	wait       => q{SELECT status, ended FROM promote.wait_for_deployment('%P', 2, '1 ms')},
	document   => q{SELECT kind, action, changes FROM promote.apply_document('{"version": 1,
		"project": {"project": "%p",
		"description": "mine", "attributes": {"case": "%p"}}}')},
	text       => q{SELECT kind, action, changes FROM promote.apply_text('{"version": 1, "project": {"project": "%p",
		"description": "mine", "attributes": {"case": "%p"}}}')},
	import     => qq{SELECT action, revisions, status FROM $history},
	no_project => q{SELECT action, changes FROM promote.remove_project('%pq')},
	no_bundle  => q{SELECT action, changes FROM promote.remove_bundle('%pb')},
	no_release => q{SELECT action, changes FROM promote.remove_release('%p', '1.1.0')},
	no_environment => q{SELECT action, changes FROM promote.remove_environment('%p', 'dev')},
	no_parameter => q{SELECT action, changes FROM promote.remove_parameter('%p', 'dev', 'size')},
	no_parameters => q{SELECT action, changes FROM promote.clear_parameters('%p', 'dev')},
	no_component => q{SELECT action, changes FROM promote.remove_component('%p', 'app')},
	no_dependency => q{SELECT action, changes FROM promote.remove_dependency('%p', 'app', 'db')},
	no_instance => q{SELECT action, changes FROM promote.remove_instance('%p', 'dev', 'app')},
	no_path    => q{SELECT action, changes FROM promote.remove_promotion_path('%p', 'staging', 'dev')},
);

# What was there, what another session commits behind the snapshot, and what the transaction calls then.
my @cases = (
	# rules
	(map { [ '', 'rules', $_ ] } qw(set_freeze set_window set_rule set_check set_override set_policy no_freeze no_window
		no_rule no_check no_override no_policy)),
	# the registry
	(map { [ '', 'declared', $_ ] } qw(project bundle new_release environment env_rules parameters component dependency
		instance path attributes document text no_project no_bundle no_release no_parameter no_parameters no_dependency
		no_instance no_path)),
	(map { [ '', 'empty', $_ ] } qw(no_environment no_component)),
	# consumers
	[ '', 'consumer', 'consumer' ],
	[ 'consumer', 'no_consumer', 'consumer' ],
	[ 'consumer', 'no_consumer', 'no_consumer' ],
	[ 'consumer', 'taken', 'next_events' ],
	[ 'consumer', 'taken', 'take' ],
	[ 'consumer', 'no_consumer', 'take' ],
	[ '', 'declared', 'import' ],
	[ 'declared', 'history', 'import' ],
	# new desired states
	[ '', 'edit', 'promote' ],
	[ '', 'edit_here', 'apply' ],
	[ '', 'publish', 'promote' ],
	[ 'edit', 'block', 'promote' ],
	[ 'edit block', 'unblock', 'promote' ],
	[ 'edit', 'host', 'promote' ],
	[ 'edit', 'edit_here', 'promote' ],
	[ 'edit', 'promote', 'promote' ],
	[ '', 'edit', 'set' ],
	[ '', 'publish', 'set' ],
	[ 'edit', 'block', 'set' ],
	[ 'edit', 'edit_here', 'set' ],
	[ 'edit', 'promote', 'set' ],
	[ 'edit by_path', 'path', 'set' ],
	[ '', 'edit', 'whole' ],
	[ '', 'publish', 'whole' ],
	[ 'edit', 'block', 'whole' ],
	[ 'edit', 'edit_here', 'whole' ],
	[ 'edit', 'promote', 'whole' ],
	[ 'edit by_path', 'path', 'whole' ],
	[ 'edit', 'instance', 'whole' ],
	[ 'grounds edit_here', 'block', 'back_whole' ],
	[ 'edit_here', 'plan', 'plan_whole', 'same' ],
	[ '', 'edit_here', 'deploy_whole' ],
	[ 'edit_here plan', 'work', 'deploy_whole' ],
	[ '', 'deploy', 'deploy_whole', 'same' ],
	[ '', 'freeze', 'deploy_whole' ],
	[ '', 'edit_here', 'tag_whole' ],
	[ '', 'edit', 'fork_whole' ],
	[ '', 'archive_whole', 'fork_whole', 'same' ],
	[ '', 'edit_here', 'archive_whole' ],
	[ 'grounds', 'end_whole', 'end_whole' ],
	[ 'plan', 'claim', 'abort_whole' ],
	[ 'plan', 'abort', 'abort_whole' ],
	[ '', 'plan', 'abort_whole' ],
	[ 'edit', 'keyed', 'keyed', 'same' ],
	[ 'edit', 'edit_here', 'expected' ],
	[ 'edit', 'plan', 'promote', 'same' ],
	[ 'edit', 'path', 'next' ],
	[ 'edit', 'by_path', 'promote' ],
	[ 'edit by_path', 'path', 'promote' ],
	[ '', 'edit_here', 'configure' ],
	[ '', 'publish', 'configure', 'same' ],
	[ '', 'block', 'configure', 'same' ],
	[ '', 'instance', 'new' ],
	[ 'grounds edit_here', 'publish', 'rollback', 'same' ],
	[ 'grounds edit_here', 'block', 'rollback' ],
	[ 'grounds edit_here', 'grounds', 'rollback', 'same' ],
	[ 'grounds edit_here', 'block', 'rehearse' ],
	[ '', 'grounds', 'rehearse' ],
	[ '', 'edit_here', 'insert' ],
	[ '', 'publish', 'insert' ],
	[ '', 'block', 'insert', 'same' ],

	# plans and deployments
	[ '', 'edit_here', 'plan' ],
	[ '', 'publish', 'plan' ],
	[ '', 'block', 'plan' ],
	[ '', 'plan', 'plan', 'same' ],
	[ 'plan', 'abort', 'plan' ],
	[ 'plan claim', 'complete', 'plan' ],
	[ 'propose', 'agree', 'plan', 'same' ],
	[ 'propose', 'agree', 'deploy' ],
	[ '', 'publish', 'deploy' ],
	[ '', 'edit_here', 'deploy' ],
	[ 'edit_here plan', 'work', 'deploy' ],
	[ '', 'deploy', 'deploy', 'same' ],
	[ '', 'edit_here', 'both' ],
	[ '', 'both', 'both', 'same' ],
	[ 'both', 'work', 'both' ],
	[ 'both claim', 'edit_here', 'complete' ],
	[ 'both claim', 'freeze', 'complete' ],
	[ 'both claim', 'publish', 'complete' ],
	[ 'deploy', 'abort', 'deploy' ],
	[ 'deploy', 'work', 'deploy' ],
	[ 'deploy claim', 'complete', 'take_off' ],
	[ '', 'plan', 'deploy' ],
	[ 'plan', 'work', 'deploy' ],
	[ '', 'host', 'deploy' ],
	[ '', 'block', 'deploy' ],
	[ '', 'freeze', 'deploy' ],
	[ '', 'stop', 'deploy' ],
	[ 'stop', 'resume', 'deploy' ],
	[ '', 'no_secret', 'deploy' ],
	[ 'no_secret', 'secret', 'deploy' ],
	[ '', 'reference', 'deploy' ],
	[ '', 'rule', 'deploy' ],
	[ 'rule', 'approve', 'deploy' ],
	[ 'grounds drift edit_here plan work', 'healthy', 'deploy', 'same' ],
	[ 'grounds edit_here plan work', 'drift', 'deploy' ],
	[ 'check', 'healthy', 'deploy' ],
	[ 'check healthy', 'ill', 'deploy' ],
	[ 'ask', 'answer', 'deploy' ],
	[ 'freeze may', 'override', 'deploy' ],
	[ '', 'open', 'deploy' ],
	[ 'open', 'cancel', 'deploy' ],
	[ 'edit_here', 'no_plan', 'deploy' ],
	[ 'grounds', 'protect', 'take_off' ],
	[ 'grounds', 'take_off', 'take_off', 'same' ],
	[ '', 'grounds', 'take_off' ],
	[ 'grounds take_off', 'work', 'take_off' ],

	# proposals and votes
	[ '', 'publish', 'propose' ],
	[ '', 'propose', 'propose', 'same' ],
	[ 'propose', 'reject', 'propose' ],
	[ 'propose', 'publish', 'approve' ],
	[ 'propose', 'reject', 'approve' ],
	[ 'propose', 'block', 'approve' ],
	[ 'propose', 'edit_here', 'approve' ],
	[ 'propose', 'freeze', 'approve' ],
	[ 'rule_two propose', 'approve', 'approve' ],
	[ 'rule_two', 'approve', 'vote', 'same' ],
	[ '', 'rule', 'vote', 'same' ],
	[ 'propose', 'rule_two', 'approve' ],
	[ 'propose', 'plan', 'approve', 'same' ],
	[ 'propose', 'publish', 'allow' ],
	[ 'propose', 'freeze', 'allow' ],
	[ 'propose', 'no_secret', 'allow' ],
	[ 'propose', 'reject', 'reject', 'same' ],

	# workers
	[ '', 'deploy', 'claim' ],
	[ 'deploy', 'abort', 'claim' ],
	[ 'deploy', 'claim', 'claim' ],
	[ 'deploy', 'block', 'claim' ],
	[ 'deploy', 'stop', 'claim' ],
	[ 'deploy', 'freeze', 'claim' ],
	[ 'deploy', 'no_secret', 'claim' ],
	[ 'grounds take_off', 'protect', 'claim' ],
	[ 'deploy', 'block', 'begin' ],
	[ 'deploy', 'stop', 'begin' ],
	[ 'deploy', 'no_secret', 'begin' ],
	[ 'deploy', 'abort', 'begin' ],
	[ 'plan claim', 'abort', 'beat' ],
	[ 'plan claim', 'beat', 'beat', 'same' ],
	[ 'plan claim', 'log', 'log' ],
	[ 'plan claim', 'abort', 'log' ],
	[ 'plan claim', 'record', 'record', 'same' ],
	[ 'plan claim', 'abort', 'record' ],
	[ 'deploy claim', 'secret', 'secrets' ],
	[ 'deploy claim', 'abort', 'secrets' ],
	[ 'deploy claim', 'no_secret', 'secrets' ],
	[ 'deploy claim', 'block', 'complete', 'same' ],
	[ 'plan claim', 'complete', 'wait' ],
	[ 'plan claim', 'complete', 'complete', 'same' ],
	[ 'plan claim', 'abort', 'complete' ],
	[ 'plan claim', 'deploy', 'complete', 'same' ],
	[ 'plan claim', 'log', 'complete', 'same' ],
	[ 'plan claim propose', 'agree_next', 'complete', 'same' ],
	[ 'plan claim deploy', 'abort_next', 'complete', 'same' ],
	[ 'plan claim propose', 'agree_next', 'fail', 'same' ],
	[ 'plan propose', 'agree_next', 'abort', 'same' ],
	[ 'plan claim', 'deploy', 'fail', 'same' ],
	[ 'plan claim', 'deploy', 'release', 'same' ],
	[ 'plan claim', 'complete', 'fail' ],
	[ 'plan claim', 'complete', 'release' ],
	[ 'plan claim', 'complete', 'abort' ],
	[ 'plan', 'deploy', 'abort', 'same' ],
	[ 'plan', 'abort', 'abort' ],

	# health, drift, overrides
	[ '', 'ill', 'ill' ],
	[ '', 'healthy', 'ill' ],
	[ 'grounds', 'drift', 'drift', 'same' ],
	[ 'grounds', 'drift', 'digest', 'same' ],
	[ 'grounds', 'drift', 'adopt' ],
	[ 'grounds', 'drift', 'dismiss' ],
	[ '', 'grounds', 'drift' ],
	[ 'freeze may', 'override', 'override', 'same' ],
	[ 'may', 'freeze', 'override' ],
	[ 'freeze', 'may', 'override' ],
	[ 'freeze', 'may', 'deploy', 'same' ],
	[ 'freeze may', 'override', 'review' ],

	# secrets and references
	[ '', 'secret', 'secret' ],
	[ '', 'no_secret', 'secret', 'same' ],
	[ 'no_secret', 'secret', 'no_secret' ],
	[ '', 'no_secret', 'no_secret' ],
	[ '', 'secret', 'copy' ],
	[ '', 'reference', 'reference' ],
	[ '', 'reference', 'no_reference' ],

	# requests
	[ 'edit', 'open', 'open' ],
	[ 'edit open', 'cancel', 'open' ],
	[ 'edit open', 'edit', 'preview', 'same' ],
	[ 'edit open', 'edit_here', 'preview' ],
	[ 'edit open', 'cancel', 'preview' ],
	[ 'edit open', 'preview', 'preview', 'same' ],
	[ 'edit open', 'block', 'preview' ],
	[ 'edit open', 'preview', 'advance' ],
	[ 'edit open preview', 'advance', 'advance' ],
	[ 'edit open preview', 'edit_here', 'advance' ],
	[ 'edit open preview', 'cancel', 'advance' ],
	[ 'edit open preview', 'pause', 'advance' ],
	[ 'edit open preview', 'publish', 'advance' ],
	[ 'edit open preview advance', 'work', 'advance' ],
	[ 'edit open preview advance work', 'freeze', 'advance' ],
	[ 'edit open preview advance work', 'advance', 'advance' ],
	[ 'check healthy edit open preview advance work advance work advance', 'healthy', 'advance' ],
	[ 'check healthy edit open preview advance work advance work advance', 'ill', 'advance' ],
	[ 'check healthy edit open preview advance work advance', 'ill', 'advance', 'same' ],
	[ 'rule edit open preview advance', 'work', 'vote_all' ],
	[ 'rule edit open preview advance work', 'cancel', 'vote_all' ],
	[ 'edit open preview advance work', 'rule', 'vote_all' ],
	[ 'edit open', 'cancel', 'pause' ],
	[ 'edit open', 'pause', 'resume', 'same' ],
	[ 'edit open', 'cancel', 'cancel' ],
	[ 'edit open preview', 'advance', 'cancel', 'same' ],
	[ 'edit', 'open', 'cancel' ],

	# releases, the line, grants, pruning
	[ '', 'block', 'unblock', 'same' ],
	[ '', 'block', 'block', 'same' ],
	[ 'block', 'unblock', 'block', 'same' ],
	[ 'block', 'unblock', 'unblock', 'same' ],
	[ '', 'stop', 'stop' ],
	[ '', 'stop', 'resume_line' ],
	[ 'stop', 'resume', 'resume_line' ],
	[ '', 'grant', 'grant' ],
	[ '', 'grant', 'revoke' ],
	[ '', 'grant', 'refresh' ],
	[ '', 'edit_here', 'prune' ],

	# the same of sets
	[ '', 'edit_here', 'plan_set', 'same' ],
	[ '', 'publish', 'plan_set', 'same' ],
	[ '', 'block', 'plan_set' ],
	[ '', 'plan', 'plan_set', 'same' ],
	[ 'plan', 'abort', 'plan_set' ],
	[ 'plan claim', 'complete', 'plan_set' ],
	[ 'propose', 'agree', 'plan_set', 'same' ],
	[ 'propose', 'agree', 'deploy_set' ],
	[ '', 'publish', 'deploy_set' ],
	[ '', 'edit_here', 'deploy_set' ],
	[ 'edit_here plan', 'work', 'deploy_set' ],
	[ '', 'deploy', 'deploy_set', 'same' ],
	[ 'both claim', 'edit_here', 'complete_set', 'same' ],
	[ 'both claim', 'freeze', 'complete_set', 'same' ],
	[ 'both claim', 'publish', 'complete_set', 'same' ],
	[ 'deploy', 'abort', 'deploy_set' ],
	[ 'deploy', 'work', 'deploy_set' ],
	[ '', 'plan', 'deploy_set' ],
	[ 'plan', 'work', 'deploy_set', 'same' ],
	[ '', 'host', 'deploy_set' ],
	[ '', 'block', 'deploy_set' ],
	[ '', 'freeze', 'deploy_set' ],
	[ '', 'stop', 'deploy_set' ],
	[ 'stop', 'resume', 'deploy_set' ],
	[ '', 'no_secret', 'deploy_set' ],
	[ 'no_secret', 'secret', 'deploy_set' ],
	[ '', 'reference', 'deploy_set' ],
	[ '', 'rule', 'deploy_set' ],
	[ 'rule', 'approve', 'deploy_set' ],
	[ 'grounds drift edit_here plan work', 'healthy', 'deploy_set', 'same' ],
	[ 'grounds edit_here plan work', 'drift', 'deploy_set' ],
	[ 'check', 'healthy', 'deploy_set' ],
	[ 'check healthy', 'ill', 'deploy_set' ],
	[ 'ask', 'answer', 'deploy_set' ],
	[ 'freeze may', 'override', 'deploy_set' ],
	[ '', 'open', 'deploy_set' ],
	[ 'open', 'cancel', 'deploy_set' ],
	[ 'edit_here', 'no_plan', 'deploy_set' ],
	[ 'propose', 'publish', 'approve_set' ],
	[ 'propose', 'reject', 'approve_set' ],
	[ 'propose', 'block', 'approve_set' ],
	[ 'propose', 'edit_here', 'approve_set' ],
	[ 'propose', 'freeze', 'approve_set' ],
	[ 'rule_two propose', 'approve', 'approve_set' ],
	[ 'propose', 'rule_two', 'approve_set' ],
	[ 'propose', 'plan', 'approve_set', 'same' ],
	[ 'propose', 'reject', 'reject_set', 'same' ],
	[ 'plan claim', 'abort', 'beat_set' ],
	[ 'plan claim', 'beat', 'beat_set', 'same' ],
	[ 'deploy claim', 'block', 'complete_set', 'same' ],
	[ 'plan claim', 'complete', 'complete_set', 'same' ],
	[ 'plan claim', 'abort', 'complete_set' ],
	[ 'plan claim', 'deploy', 'complete_set', 'same' ],
	[ 'plan claim', 'log', 'complete_set', 'same' ],
	[ 'plan claim propose', 'agree_next', 'complete_set', 'same' ],
	[ 'plan claim deploy', 'abort_next', 'complete_set', 'same' ],
	[ 'plan claim propose', 'agree_next', 'fail_set', 'same' ],
	[ 'plan claim', 'deploy', 'fail_set', 'same' ],
	[ 'plan claim', 'deploy', 'release_set', 'same' ],
	[ 'plan claim', 'complete', 'fail_set' ],
	[ 'plan claim', 'complete', 'release_set' ],
	[ 'freeze', 'may', 'deploy_set', 'same' ],
);

# What is neither of the two orders, and why that does no harm.
my %neither = (
	'edit open preview; edit_here; advance' =>
		'the request has begun, and the item is held against its preview under its lock: it is blocked',
);

# What can never be told at the higher levels, and says so; and what is read by the snapshot, because events come again
# until their position is acknowledged.
my %refused = (wait => 'PM407');
my %by_snapshot = map { $_ => 1 } qw(next_events);

# ---- running them ----

# A role that is made has all sessions plan their statements anew: so those of all projects are made at once.
$node->query('snapshots', <<"SQL");
DO \$\$ BEGIN FOR n IN 1 .. @{[5 * @cases]} LOOP EXECUTE 'CREATE ROLE c' || n; END LOOP; END \$\$
SQL

my $mine   = session('ann');
my $theirs = session('bob');
my $watch  = session('eve');
my $pid    = ask($mine, 'SELECT pg_backend_pid()');
my $number = 0;

# SQL about a case's project.
sub about {
	my ($sql, $project) = @_;
	my %name = (p => $project, P => "$project-production-db", S => "$project-staging-db");
	return $sql =~ s/%([pPS])/$name{$1}/gr;
}

# The same whichever project it is about.
sub anonymous {
	my ($text, $project) = @_;
	return $text =~ s/\b$project\b/p/gr;
}

# What has to succeed, in the other session.
sub change {
	my ($sql, $project) = @_;
	my $answer = ask($theirs, about($sql, $project));
	die "$sql: $answer\n" if $answer =~ /^(?=.*\d)[0-9A-Z]{5}$/;
	return;
}

# A project in which that much has happened.
sub prepare {
	my ($before) = @_;
	my $project = 'c' . ++$number;
	change($_, $project) for "SELECT make('%p')", map { $say{$_} } split ' ', $before;
	return $project;
}

sub state { return anonymous(ask($theirs, "SELECT state('$_[0]')"), $_[0]) }

# The verb's answer when its transaction is over; the commit's, where that is refused.
sub end {
	my ($answer) = @_;
	my $end = ask($mine, 'COMMIT');
	return $end =~ /^\w{5}$/ ? $end : $answer;
}

# The same, once more where it was 40001; returns it with whether it was.
sub end_or_retry {
	my ($answer, $begin, $sql) = @_;
	$answer = end($answer);
	return ($answer, 0) if $answer ne '40001';
	ask($mine, $begin);
	return (end(ask($mine, $sql)), 1);
}

# The verb behind a change that its snapshot does not show: what it answers, what is left, and whether it was tried
# again.
sub behind {
	my ($level, $before, $change, $verb) = @_;
	my $project = prepare($before);
	my $begin   = "BEGIN ISOLATION LEVEL $level";
	my $sql     = about($verb{$verb}, $project);
	ask($mine, $begin);
	ask($mine, 'SELECT count(*) FROM promote.instance');
	change($say{$change}, $project);
	my ($answer, $again) = end_or_retry(ask($mine, $sql), $begin, $sql);
	return (anonymous($answer, $project), state($project), $again);
}

# The verb, and then the change.
sub before {
	my ($before, $change, $verb) = @_;
	my $project = prepare($before);
	my $answer  = ask($mine, about($verb{$verb}, $project));
	ask($theirs, about($say{$change}, $project));
	return (anonymous($answer, $project), state($project));
}

# Does my session wait for a lock?  False where it has answered.
sub waits {
	my $ready = '';
	vec($ready, fileno $mine->{out}, 1) = 1;
	while (!select(my $now = $ready, undef, undef, 0.005)) {
		return 1 if ask($watch, "SELECT 1 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'") eq '1';
	}
	return 0;
}

# The verb while the change is not committed yet: the answer, what is left, and whether it has waited.
sub beside {
	my ($before, $change, $verb) = @_;
	my $project = prepare($before);
	my $sql     = about($verb{$verb}, $project);
	ask($theirs, 'BEGIN');
	change($say{$change}, $project);
	ask($mine, 'BEGIN');
	begin_to_ask($mine, $sql);
	my $waited = waits();
	ask($theirs, 'COMMIT');
	my ($answer) = end_or_retry(answer($mine), 'BEGIN', $sql);
	return (anonymous($answer, $project), state($project), $waited);
}

# Whatever changes anything is among them. Rotating passes over what is locked, and has a specification of its own;
# ending a session and restoring guards are about no rows of a project's.
my $verbs = join "\n", values %verb;
is($node->query('snapshots', q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'promote'::regnamespace
	AND provolatile = 'v' AND prorettype <> 'trigger'::regtype ORDER BY 1})
		=~ s/^(\w+)\n?/$verbs =~ m{promote\.$1\(} ? '' : "$1 "/gemr,
	'end_session restore_guards rotate_secrets ', 'every verb has a case');
my %used = map { $_->[2] => 1 } @cases;
is(join(' ', sort grep { !$used{$_} } keys %verb), '', '... that is played');

my %count = (again => 0, 'at once' => 0, waited => 0, passed => 0);
for my $case (@cases) {
	my ($before, $change, $verb, $same) = @$case;
	my $name = ($before ? "$before; " : '') . "$change; $verb";
	my ($first, $first_left) = before($before, $change, $verb);
	my ($then,  $then_left)  = behind('READ COMMITTED', $before, $change, $verb);
	isnt($then, '23505', "$name: no key is taken twice");
	$same ? pass($name) : isnt($then, $first, "$name: the change matters");
	for my $level ('REPEATABLE READ', 'SERIALIZABLE') {
		my ($answer, $left, $again) = behind($level, $before, $change, $verb);
		$count{ $again ? 'again' : 'at once' }++;
		my $wanted = $refused{$verb} // ($by_snapshot{$verb} ? $first : $then);
		is($answer, $wanted, "$name: behind it at $level") or diag("tried again: $again");
		is($left,   $then_left, "$name: behind it at $level, the same rows");
	}
	my ($answer, $left, $waited) = beside($before, $change, $verb);
	$count{ $waited ? 'waited' : 'passed' }++;
	next if $neither{$name};
	my $as_first = $answer eq $first && $left eq $first_left;
	ok($as_first || $answer eq $then && $left eq $then_left, "$name: beside it, one comes after the other")
		or diag("$answer, not $first or $then\n$left");
}
note("result: behind a change $count{'at once'} calls answered at once, $count{again} were told to try again;"
		. " beside it $count{waited} waited, $count{passed} passed");
cmp_ok($count{$_}, '>', 0, "some: $_") for sort keys %count;
is($node->query('snapshots', 'SELECT * FROM promote.verify_audit()'), '', 'the log tells of all of it');

done_testing;
