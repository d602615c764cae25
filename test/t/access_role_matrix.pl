# Every kind of role tries every function and every table of the extension, as pg_depend lists them: nobody does what
# they were not granted, and nobody sees anything of a project or an environment that they have no grant for. What is
# added later is tried as well: a function that this test does not know fails it, until %takes says what it takes.

use strict;
use warnings;
use Test::More;
use PromoteTest;

# ---- what there is to be seen ----

# Three places, each with a word of its own in whatever can be written there: what a role is shown is searched for
# those of the places that it has no grant for.
my %word = ('mine' => 'markmine', 'mine-hidden' => 'markhidden', 'other' => 'markother');
my $sensitive = 'hush-7a1';    # marked sensitive in the params
my $secret    = 'sealed-9c2';

my $node = PromoteTest->new;
$node->create_promote('matrix');
$node->query('matrix', <<"SQL");
ALTER DATABASE matrix SET promote.secret_key_command = 'echo k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
SQL
$node->query('matrix', <<"SQL");
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets, remote_references)
	VALUES ('postgres', '1.0.0',
	'{"properties": {"size": {"type": "integer"}, "password": {"type": "string", "\$md.sensitive": true}}}',
	'{"token": {"required": false}}', '{"network": {"required": false}}');
SELECT promote.block_release('postgres', '1.0.0', 'for the history'), promote.unblock_release('postgres', '1.0.0');
INSERT INTO promote.schema_document (uri, document) VALUES ('https://example.com/x.json', '{}');
CREATE FUNCTION public.no_objection(instance text, deployment integer,
	at timestamptz) RETURNS SETOF promote.blocking_reason
	LANGUAGE sql STABLE AS 'SELECT NULL::promote.blocking_reason WHERE false';
-- A project with all there can be in it; the first of the environments has the word in hidden.
CREATE FUNCTION public.make(p text, word text, hidden text) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	claim record;
	e text;
	w text;
BEGIN
	PERFORM set_config('promote.actor', word, true);
	INSERT INTO promote.project (project, description) VALUES (p, word);
	INSERT INTO promote.component (project, component, bundle, description) VALUES (p, 'db', 'postgres', word),
		(p, 'app', 'postgres', word);
	INSERT INTO promote.environment (project, environment, description)
	    VALUES (p, 'staging', word), (p, 'production', word), (p, 'hidden', hidden);
	INSERT INTO promote.parameter_set (project, environment, parameters)
	    VALUES (p, 'hidden', jsonb_build_object('x', hidden));
	INSERT INTO promote.instance (project, environment, component, attributes)
	SELECT p, v.environment, c, jsonb_build_object('word', v.description, 'of', p)
	FROM promote.environment v, unnest('{db,app}'::text[]) c WHERE v.project = p;
	INSERT INTO promote.promotion_path VALUES (p, 'staging', 'production', word);
	FOREACH e IN ARRAY '{hidden,staging,production}'::text[] LOOP
		w := CASE e WHEN 'hidden' THEN hidden ELSE word END;
		PERFORM set_config('promote.actor', w, true);
		INSERT INTO promote.freeze_window (name, project, environment, reason, during)
			VALUES (p || e || w, p, e, w, '[2020-01-01,2020-01-02)');
		INSERT INTO promote.change_window (name, project, environment, reason, during)
			VALUES (p || e || w, p, e, w, '[2020-01-01,)');
		INSERT INTO promote.policy (policy, function, project, environment, description)
			VALUES (p || e || w, 'public.no_objection', p, e, w);
		INSERT INTO promote.required_check (project, environment, check_name, description) VALUES (p, e, w, w);
		INSERT INTO promote.approval_rule (project, environment, rule, role, description)
			VALUES (p, e, w, current_user, w);
		INSERT INTO promote.override_rule (project, environment, code, role, description)
			VALUES (p, e, 'approval', current_user, w), (p, e, 'source_in_sync', current_user, w);
		-- to be set and removed by a name that tells nothing
		INSERT INTO promote.freeze_window (name, project, environment, reason, during)
			VALUES (p || '-' || e, p, e, w, '[2020-01-01,2020-01-02)');
		INSERT INTO promote.change_window (name, project, environment, reason, during)
			VALUES (p || '-' || e, p, e, w, '[2020-01-01,)');
		INSERT INTO promote.policy (policy, function, project, environment, description)
			VALUES (p || '-' || e, 'public.no_objection', p, e, w);
		PERFORM promote.configure_instance(p || '-' || e || '-db', jsonb_build_object('size', 1, 'password',
			'$sensitive', 'note', w), message => w);
		PERFORM promote.configure_instance(p || '-' || e || '-app', jsonb_build_object('size', 1, 'note', w),
			message => w);
		PERFORM promote.report_health(p || '-' || e || '-db', w, true, w);
		PERFORM promote.tag_environment(p || '-' || e, 'now', w);
		PERFORM promote.register_consumer(p || '-' || e, p, e);
	END LOOP;
	FOR round IN 1 .. 2 LOOP
		LOOP
			PERFORM set_config('promote.actor', word, true);
			SELECT * INTO claim FROM promote.claim_deployment(word, selector => jsonb_build_object('of', p));
			EXIT WHEN NOT FOUND;
			w := CASE WHEN claim.instance ~ 'hidden' THEN hidden ELSE word END;
			PERFORM set_config('promote.actor', w, true);
			IF claim.action = 'PLAN' THEN
				PERFORM promote.record_plan(claim.instance, claim.deployment, jsonb_build_object('format_version',
					'1.2',
					'resource_changes', jsonb_build_array(jsonb_build_object('address', 'a.' || w, 'mode', 'managed',
						'type', 'a', 'name', w,
						'change', '{"actions": ["create"], "before": null, "after": {"x": 1}}'::jsonb))),
							claim.fencing);
			END IF;
			PERFORM promote.append_deployment_log(claim.instance, claim.deployment, w, claim.fencing);
			PERFORM promote.complete_deployment(claim.instance, claim.deployment, claim.fencing, w);
			IF claim.action = 'PLAN' AND claim.instance ~ 'db' THEN
				PERFORM promote.override_gate(claim.instance, claim.deployment, 'approval', w);
				PERFORM promote.approve_deployment(claim.instance, claim.deployment, w);
				PERFORM promote.deploy_instance(claim.instance, claim.deployment, w);
			END IF;
		END LOOP;
	END LOOP;
	PERFORM set_config('promote.actor', 'reviewer', true);
	PERFORM promote.review_override(p || '-' || v || '-db', 1, 'approval', CASE v WHEN 'hidden' THEN hidden ELSE word
		END) FROM unnest('{hidden,staging,production}'::text[]) AS v;
	FOREACH e IN ARRAY '{hidden,production}'::text[] LOOP
		w := CASE e WHEN 'hidden' THEN hidden ELSE word END;
		PERFORM set_config('promote.actor', w, true);
		PERFORM promote.set_secret(p || '-' || e || '-db', 'token', '$secret');
		PERFORM promote.set_remote_reference(p || '-' || e || '-db', 'network', w, true);
		PERFORM promote.report_observed(p || '-' || e || '-db', jsonb_build_object('size', 2, 'password', '$sensitive',
			'note', w || 'drifted'), w);
		PERFORM promote.open_request(p, 'staging', e, '{"components": ["app"]}',
			overrides => '{"app": {"password": "$sensitive"}}', ticket => w, message => w);
		PERFORM promote.preview_request(p, CASE e WHEN 'hidden' THEN 1 ELSE 2 END);
		PERFORM promote.promote_instance(p || '-staging-db', p || '-' || e || '-db', jsonb_build_object('note', w),
			message => w, idempotency_key => w);
		PERFORM promote.propose_deployment(p || '-' || e || '-db', 'DECOMMISSION', message => w);
	END LOOP;
	PERFORM set_config('promote.actor', word, true);
	PERFORM promote.stop_line(word, p), promote.resume_line(p, word);
	PERFORM promote.plan_instance(p || '-staging-app', word);
END \$\$;
SELECT public.make('mine', '$word{mine}', '$word{'mine-hidden'}');
SELECT public.make('other', '$word{other}', '$word{other}');
DROP FUNCTION public.make;
-- Whatever is there of the tables' own to be granted by hand
CREATE ROLE somebody;
INSERT INTO promote.grants (role, action, project, environment) VALUES ('somebody', 'view', 'other', 'hidden');
SQL

# What a role comes to with a statement of one value: 'ok' and what it is shown, or the SQLSTATE and all of the refusal.
$node->query('matrix', <<'SQL');
-- a document of a project that differs in nothing
CREATE TABLE public.described AS SELECT project, description FROM promote.project;
CREATE FUNCTION public.document_of(p text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT jsonb_build_object('version', 1, 'project', to_jsonb(d)) FROM public.described AS d WHERE d.project = p $$;
CREATE TABLE public.tried (role text, kind text, name text, place text, state text, said text);
CREATE FUNCTION public.attempt(role text, statement text, OUT state text, OUT said text) LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
	context text;
BEGIN
	PERFORM set_config('role', role, true);
	EXECUTE statement INTO said;
	RAISE EXCEPTION SQLSTATE 'ZZ000';
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE = 'ZZ000' THEN
		state := 'ok';
	ELSE
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
		state := SQLSTATE;
		said := concat_ws(E'\n', SQLERRM, detail, hint, context);
	END IF;
END $$;
SQL

# ---- roles ----

my @actions = qw(view configure promote plan deploy approve override decommission secrets work
	register publish rules import admin audit);

# Where each role has which actions: [action, project, environment].
my %grants = (
	(map { ("only_$_" => [[ $_, 'mine' ]]) } @actions),
	all_of_mine  => [ map { [ $_, 'mine' ] } @actions ],
	all_of_two   => [ map { my $a = $_; map { [ $a, 'mine', $_ ] } 'staging', 'production' } @actions ],
	all_of_other => [ map { [ $_, 'other' ] } @actions ],
	everything   => [ map { [$_] } @actions ],
	impersonator => [ ['impersonate'] ],
	stranger     => [],
	by_hand      => [],
	dba          => [],
);
for my $role (sort keys %grants) {
	$node->query('matrix', "CREATE ROLE $role");
	for my $grant (@{ $grants{$role} }) {
		my $values = join ', ', map { defined $_ ? "'$_'" : 'NULL' } $role, @$grant[ 0 .. 2 ];
		$node->query('matrix', "SELECT promote.grant_action($values)");
	}
}
$node->query('matrix', <<'SQL');
GRANT postgres TO dba;
GRANT USAGE ON SCHEMA promote TO by_hand;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA promote TO by_hand;
GRANT SELECT ON ALL TABLES IN SCHEMA promote TO by_hand;
SQL
my @exempt = ('dba', 'postgres');
my @roles = (sort(keys %grants), 'postgres');

# Is the action granted to the role in a place? Every grant but the last lets see rows, which is no action.
my %implied = (view => qr/^(?!impersonate|audit)/, see => qr/^(?!impersonate)/, audit => qr/^admin/);
sub is_granted {
	my ($role, $action, $project, $environment) = @_;
	return 1 if grep { $_ eq $role } @exempt;
	return scalar grep {
		($_->[0] eq $action || ($implied{$action} && $_->[0] =~ $implied{$action}))
		  && (!defined $_->[1] || (defined $project && $_->[1] eq $project))
		  && (!defined $_->[2] || (defined $environment && $_->[2] eq $environment))
	} @{ $grants{$role} };
}

# The words that a role must not be shown.
sub forbidden {
	my ($role) = @_;
	return (
		is_granted($role, 'see', 'other') ? () : $word{other},
		is_granted($role, 'see', 'mine', 'hidden') ? () : $word{'mine-hidden'},
		is_granted($role, 'see', 'mine', 'staging') ? () : $word{mine});
}

# ---- functions ----

# What each function takes: actions where its arguments point to, "action everywhere", "rows" where row-level security
# lets it find what the caller sees, or "nobody" where it is not for anybody but the owner.
my %takes = (
	(map { $_ => 'view' } qw(preview_promotion preview_configuration blockers plan_text plan_markdown review_html
		config_as_of
		rehearse_rollback
		compare_deployments compare_instances compare_environments compare_structure blame leaf_history
		wait_for_deployment
		preview_chain promotion_chain next_environments upstream_environments next_possible
		preview_promote_environment preview_deploy_environment preview_rollback_environment preview_plan_environment
		preview_abort_environment preview_archive_environment preview_decommission_environment
		preview_fork_environment gate_backtest policy_backtest)),
	(map { $_ => 'see' } qw(register_consumer required_approvals open_votes request_evidence request_markdown matrix
		pipeline_mermaid pipeline_dot matrix_text
		change_history instance_timeline state_as_of changes_between pending_changes calendar calendar_text
		dora_deployments dora_lead_time dora_change_failure_rate dora_time_to_restore dora_summary
		history_html)),
	(map { $_ => 'configure' } qw(configure_instance adopt_drift dismiss_drift set_remote_reference
		remove_remote_reference export_project export_text apply_document apply_text)),
	(map { $_ => 'promote' } qw(promote_instance promote_many promote_to_next apply_revision rollback_instance
		promote_environment rollback_environment tag_environment open_request preview_request pause_request)),
	(map { $_ => 'promote deploy' } qw(advance_request resume_request cancel_request)),
	(map { $_ => 'deploy' } qw(deploy_instance deploy_many deploy_environment propose_deployment abort_deployment
		abort_environment)),
	(map { $_ => 'plan' } qw(plan_many plan_environment)),
	(map { $_ => 'approve' } qw(approve_deployment approve_many reject_deployment reject_many
		approve_request)),
	(map { $_ => 'override' } qw(override_gate review_override)),
	(map { $_ => 'work' } qw(claim_deployment heartbeat_deployment append_deployment_log complete_deployment
		fail_deployment release_deployment complete_many fail_many release_many
		heartbeat_many
		record_plan report_observed report_observed_digest report_health deployment_secrets)),
	(map { $_ => 'secrets' } qw(set_secret remove_secret)),
	# the two that end an environment, and begin one
	(map { $_ => 'admin' } qw(archive_environment fork_environment)),
	(map { $_ => 'admin' } qw(grant_action revoke_action stop_line resume_line end_session prune_audit)),
	(map { $_ => 'rules' } map { ("set_$_", "remove_$_") } qw(freeze change_window approval_rule required_check
		override_rule policy)),
	(map { $_ => 'audit' } qw(verify_audit check_invariants audit_html)),
	(map { $_ => 'register everywhere' } qw(register_project remove_project register_bundle remove_bundle)),
	(map { $_ => 'publish everywhere' } qw(publish_release remove_release)),
	(map { $_ => 'register' } qw(register_environment remove_environment register_component remove_component
		set_dependency remove_dependency register_instance remove_instance set_promotion_path remove_promotion_path
		set_attributes set_parameters remove_parameter clear_parameters)),
	set_environment_rules => 'rules',
	import_history => 'import',
	(map { $_ => 'admin everywhere' } qw(refresh_grants block_release unblock_release rotate_secrets)),
	(map { $_ => 'rows' } qw(events next_events acknowledge_events remove_consumer pipeline_html
		resolve_release handoff_text audit_head chain_heads audit_slices verify_audit_head)),
	(map { $_ => 'nobody' } qw(restore_guards config_digest secret_fingerprint)),
	plan_instance => 'plan',
	plan_and_deploy => 'plan deploy',
	(map { $_ => 'decommission' } qw(decommission_instance decommission_environment)),
);

# Of PUBLIC's that are not immutable: none of them reads what is anybody's.
my @open = qw(may plain_tables
	document_schema current_actor current_database_role last_refusal compose_params window_occurrences
	jsonb_schema_errors
	merge_params merge_conflicts jsonb_schema_valid jsonb_schema_defaults jsonb_schema_annotations
  jsonb_filter_annotated jsonb_keep_annotated jsonb_filter_copyable jsonb_keep_copyable);

# These take any of several places: the worst refusal is an empty result.
my %anywhere = map { $_ => 1 } qw(claim_deployment);

# An argument that makes sense, by its name, and what an argument of its type is otherwise.
my %argument = (
	source_environment => q{'staging'}, action => q{'PROVISION'}, reason => q{'why'}, role => q{'stranger'},
		scope => q{'{"components": ["app"]}'},
	code => q{'approval'}, bundle => q{'postgres'}, version => q{'1.0.0'}, version_constraint => q{'~1'},
		release_channel => q{'stable'},
	check_name => q{'smoke'}, worker => q{'w'}, name => q{'token'}, field => q{'network'}, reference => q{'net-1'},
		strategy => q{'one_by_one'}, rollback_mode => q{'none'},
	actions => q{'{PLAN}'}, selector => q{'{}'}, lease => q{'5 min'}, delay => q{'0'}, path => q{'.size'},
		observed => q{'{"size": 1}'}, waves => 'NULL', expected_revision => 'NULL',
		expected_revisions => 'NULL', plans => 'NULL', preset => 'NULL',
	idempotency_key => q{'k'}, record => 'true', copy_secrets => 'false', execution_window => 'NULL', checks => q{'{}'},
		to_revision => 'NULL', at => 'now()', deployment => '1',
	since => q{'2020-01-01'}, period => q{'week'},
	consumer => q{'reader'}, timeout => q{'0'}, events => 'NULL', after_position => '0',
	plan => undef, revision => 'NULL', expires_after => 'NULL', soak => q{'0'}, batch => '1', source => q{'scan'},
		value => q{'v'});
my %of_type = (text => q{'text'}, integer => '1', bigint => '1', jsonb => q{'{}'}, boolean => 'false',
	bytea => q{sha256('x')}, interval => 'NULL',
	'timestamp with time zone' => 'now()', tstzrange => 'NULL', 'text[]' => q{'{}'}, 'integer[]' => q{'{1}'});

# The arguments of a function in a place: mine, other, or mine-hidden, where the destination is hidden.
sub arguments {
	my ($function, $place) = @_;
	my ($project, $hidden) = $place =~ /^(\w+)(-hidden)?$/;
	my $to = $hidden ? 'hidden' : 'production';
	my %placed = (project => "'$project'", destination_environment => "'$to'", request => $hidden ? 1 : 2,
		before => q{now()}, environment => $function->{name} =~ /environments/ ? "'$project-$to'" : "'$to'",
			subject => "'$project-$to-db'",
		instances => "ARRAY['$project-$to-db']",
		(map { $_ => "'$project-$to-db'" } qw(instance to_instance dst b)),
		(map { $_ => "'$project-staging-db'" } qw(src a)));
	# what is promoted on comes from where it is seen, and leads to production
	$placed{instance} = "'$project-staging-db'" if $function->{name} =~ /^(?:promote_to_next|apply_revision)$/;
	@placed{qw(source destination overrides expected_revision)} =
		("ARRAY['$project-staging-db']", "ARRAY['$project-$to-db']", 'NULL', 'NULL')
		if $function->{name} eq 'promote_many';
	$placed{new_environment} = "'$project-forked'";
	@placed{qw(environment src dst components to_request tag)} = ("'$project-$to'", "'$project-staging'",
		"'$project-$to'", q{'{db}'}, 'NULL', $function->{name} =~ /^tag_/ ? q{'here'} : 'NULL')
		if $function->{name} =~ /_environment$/;
	my %two = (a => "'$project-staging'", b => "'$project-$to'");
	my %own = ((map { $_ => { environment => "'$to'" } } qw(register_environment remove_environment)),
		compare_environments => \%two, compare_structure => \%two,
		(map { $_ => { name => "'$project-$to'", policy => "'$project-$to'", function => q{'public.no_objection'},
			component => 'NULL', during => q{'[2020-01-01,2020-01-03)'}, rule => $_ =~ /approval/ ? q{'two'} : 'NULL',
			zone => 'NULL', starts_at => 'NULL', duration => 'NULL', exdates => q{'{}'}, of => q{'source'},
			code => q{'soak'}, timeout => q{'1 s'} } }
			map { ("set_$_", "remove_$_") } qw(freeze change_window approval_rule required_check override_rule policy)),
		preview_chain => { src => "'$project-staging'", up_to => "'$project-$to'", components => 'NULL',
			selector => 'NULL', via => 'NULL' },
		promotion_chain => { environment => "'$project-$to'", components => 'NULL', selector => 'NULL', via => 'NULL' },
		export_text => { format => q{'yaml'} },
		(map { $_ => { document => "public.document_of('$project')" } } qw(apply_document apply_text)),
		import_history => { document => qq{'{"version": 1, "project": "$project", "instances": [{"environment": "$to",
			"component": "db", "revisions": [{"params": {}, "version": "1.0.0", "actor": "a",
			"at": "2024-01-01T00:00:00Z"}]}]}'} },
		rehearse_rollback => { record => 'false' },
		(map { $_ => { max_length => 'NULL' } } qw(plan_markdown request_markdown)),
		leaf_history => { at_path => 'NULL' }, gate_backtest => { settings => q{'{"require_plan": true}'} },
		policy_backtest => { body => 'NULL' }, dora_band => { metric => q{'lead time'}, value => '1' },
		apply_revision => { revision => '1', on_conflict => q{'destination'} }, grant_action => { action => q{'view'} },
		revoke_action => { action => q{'view'} },
		propose_deployment => { plan => 'NULL' }, audit_facts => { row_of_history => 'ROW(1)',
			without => q{VARIADIC '{}'} },
		deployment_facts => { deployment => q{jsonb_populate_record(NULL::promote.deployment, '{}')} });
	my @names = split /,/, $function->{names};
	my @types = split /\|/, $function->{types};
	return join ', ', map {
		my ($name, $type) = ($names[$_], $types[$_]);
		my $value = $own{ $function->{name} }{$name} // $placed{$name} // $argument{$name} // $of_type{$type};
		$value = 'true' if $name eq 'plan' && $type eq 'boolean';
		$value = q{sha256('x')} if $type eq 'bytea';
		die "no value for $name, $type\n" if !defined $value;
		"${value}::$type"
	} 0 .. $#names;
}

my @functions = map { my %f; @f{qw(schema name signature names types open pure)} = split /;/, $_, -1; \%f } split /\n/,
	$node->query('matrix', q{
	SELECT concat_ws(';', p.pronamespace::regnamespace, p.proname, p.oid::regprocedure,
		coalesce(array_to_string(p.proargnames[1:p.pronargs], ','), ''),
		(SELECT coalesce(string_agg(format_type(t, NULL), '|' ORDER BY n), '')
			FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n)),
		EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0),
			p.provolatile = 'i')
	FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
		AND e.extname = 'promote'
	JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
	WHERE d.deptype = 'e' AND p.prorettype <> 'trigger'::regtype ORDER BY 1});
cmp_ok(scalar(@functions), '>', 100, 'the functions are found');

# What is in promote_internal nobody calls, whatever its privileges are.
$takes{ $_->{name} } = 'nobody' for grep { $_->{schema} eq 'promote_internal' } @functions;

# A function's name without an entry is nothing that was thought about.
my %seen = map { $_->{name} => 1 } @functions;
for my $function (@functions) {
	my $name = $function->{name};
	next if $function->{schema} eq 'promote_internal' || $function->{open} eq 't'
		&& ($function->{pure} eq 't' || grep { $_ eq $name } @open);
	ok(exists $takes{$name} && $function->{open} eq 'f',
		"it is known what $function->{signature} takes, and it is not open to PUBLIC");
}
is(join(' ', grep { !$seen{$_} } sort keys %takes), '', 'everything that is known is there');

my @places = ('mine', 'other', 'mine-hidden');
my @tries;
for my $function (grep { $takes{ $_->{name} } } @functions) {
	my $call = sub { "SELECT string_agg(x::text, E'\\n') FROM $function->{schema}.$function->{name}($_[0]) AS x" };
	my %calls = map { $_ => $call->(arguments($function, $_)) } @places;
	$calls{null} = $call->(join ', ', map { "NULL::$_" } split /\|/, $function->{types});
	push @tries, map { [ 'function', $function->{signature}, $_, $calls{$_} ] } sort keys %calls;
}

# ---- tables ----

my @relations = map { [ split /;/ ] } split /\n/, $node->query('matrix', q{
	SELECT concat_ws(';', c.relname, c.relkind) FROM pg_depend d
	JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'promote'
	JOIN pg_class c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass
	WHERE d.deptype = 'e' AND c.relkind NOT IN ('i', 'c') AND c.relnamespace = 'promote'::regnamespace ORDER BY 1});
cmp_ok(scalar(@relations), '>', 40, 'the tables and views are found');
my @tables = map { $_->[0] } grep { $_->[1] eq 'r' } @relations;
is(join(' ', map { $_->[0] } grep { $_->[1] !~ /^[rv]$/ } @relations), '', 'and there is nothing else that has rows');

for (@relations) {
	my ($name, $kind) = @$_;
	my $column = $node->query('matrix',
		"SELECT attname FROM pg_attribute WHERE attrelid = 'promote.$name'::regclass AND attnum = 1");
	push @tries, map { [ 'write', $name, $_->[0], $_->[1] ] }
	  [ INSERT => "INSERT INTO promote.$name DEFAULT VALUES" ],
	  	[ UPDATE => "UPDATE promote.$name SET $column = $column" ],
	  [ DELETE => "DELETE FROM promote.$name" ], [ TRUNCATE => "TRUNCATE promote.$name CASCADE" ],
	  [ LOCK => "LOCK promote.$name IN ACCESS EXCLUSIVE MODE" ];
	push @tries, [ 'read', $name, 'all columns',
		"SELECT string_agg(x::text, E'\\n') FROM (SELECT * FROM promote.$name) AS x" ];
	push @tries, [ 'read', $name, 'a lock', "SELECT count(*) FROM (SELECT FROM promote.$name FOR UPDATE) AS x" ]
		if $kind eq 'r';
	# A function that tells what it is asked about, and is cheap: it must not be asked before rows are filtered.
	push @tries, [ 'read', $name, 'leak', "SELECT count(*) FROM promote.$name WHERE public.leak($column\::text)" ];
}
$node->query('matrix', q{CREATE FUNCTION public.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
	BEGIN IF $1 ~ '^other' AND current_user NOT IN ('all_of_other', 'everything', 'postgres', 'dba') THEN
		RAISE EXCEPTION SQLSTATE 'LEAK0'; END IF; RETURN true; END $$});

my @machinery = split /\n/, $node->query('matrix', q{SELECT oid::regclass FROM pg_class
	WHERE relnamespace = 'promote_internal'::regnamespace AND relkind NOT IN ('i', 'c') ORDER BY 1});
cmp_ok(scalar(@machinery), '>', 1, 'so are the views that only other views read');
push @tries, [ 'internal', $_, 'read', "SELECT count(*) FROM $_" ] for @machinery;

# ---- trying ----

sub quoted { my ($text) = @_; return q{'} . $text =~ s/'/''/gr . q{'} }

my $script = "BEGIN;\n";
for my $role (@roles) {
	for my $try (@tries) {
		my ($kind, $name, $place, $statement) = @$try;
		$script .= sprintf "INSERT INTO public.tried SELECT %s, * FROM public.attempt(%s, %s);\n",
		  join(', ', map { quoted($_) } $role, $kind, $name, $place), quoted($role), quoted($statement);
	}
	# what it may read, column by column
	for my $relation (@relations) {
		my $name = $relation->[0];
		$script .= sprintf "INSERT INTO public.tried SELECT %s, * FROM public.attempt(%s, (SELECT 'SELECT "
			. "string_agg(x::text, E''\\n'') FROM (SELECT '
			|| string_agg(quote_ident(attname), ', ') || ' FROM promote.$name) AS x' FROM pg_attribute
			WHERE attrelid = 'promote.$name'::regclass AND attnum > 0 AND NOT attisdropped
				AND has_column_privilege('$role', attrelid, attnum, 'SELECT')));\n",
		  join(', ', map { quoted($_) } $role, 'read', $name, 'its columns'), quoted($role);
	}
}
$script .= "COMMIT;\n";
my ($rc, undef, $err) = $node->psql('matrix', "SET client_min_messages = error;\n$script");
is("$rc$err", '0', scalar(@tries) . ' things are tried by ' . scalar(@roles) . ' roles') or BAIL_OUT($err);

# ---- what came of it ----

# Everything that was tried, for the condition.
sub tried {
	my ($condition) = @_;
	return map { my %t; @t{qw(role name place state)} = split /;/, $_, -1; \%t } split /\n/,
	  $node->query('matrix', "SELECT concat_ws(';', role, name, place, state) FROM public.tried WHERE $condition "
	  	. "ORDER BY 1");
}

sub none { my ($what, @found) = @_; return is(join("\n", @found), '', $what) }

my %refusal = ('42501' => 1, PM701 => 1);
my $tell = sub { "$_->{role}: $_->{name}, $_->{place}: $_->{state}" };

# May the role call the function there?
sub may_call {
	my ($role, $name, $place) = @_;
	my ($function) = $name =~ /(\w+)\(/;
	my ($project, $hidden) = $place =~ /^(\w+)(-hidden)?$/;
	my @takes = split / /, $takes{$function};
	return 1 if grep { $_ eq $role } @exempt;
	return 0 if $takes[0] eq 'nobody';
	return is_granted($role, $takes[0]) if ($takes[1] // '') eq 'everywhere';
	# a project as a whole, and what is somewhere in it
	my $environment = $function =~ /_line$|end_session|verify_audit|check_invariants|audit_html|prune_audit/
		|| $function =~ /fork_environment/
		|| $function =~ /_component$|_dependency$|_path$|^export_|^apply_(?:document|text)$/
		? undef : $function eq 'promote_to_next' ? 'production' : $hidden ? 'hidden' : 'production';
	return is_granted($role, 'see', $project, 'staging') || is_granted($role, 'see', $project, 'hidden') if $function
		=~ /^(?:matrix(?:_text)?|pipeline_(?:mermaid|dot)|change_history|state_as_of|changes_between|dora_\w+
			|history_html)$/x;
	return scalar(grep { $_->[0] eq 'work' } @{ $grants{$role} }) if $anywhere{$function};
	return 0 if $function
		=~ /^(?:preview_promotion|(?:preview_)?promote_environment|promote_many?|open_request|compare_\w+
			|(?!approve_)\w+_request)$/x
		&& !is_granted($role, 'view', $project, 'staging');
	return !grep { !is_granted($role, $_, $project, $environment) } @takes;
}

my @calls = grep { $_->{place} ne 'null' } tried(q{kind = 'function'});
my ($refused, $allowed) = (0, 0);
my %wrong;
for my $call (@calls) {
	my ($function) = $call->{name} =~ /(\w+)\(/;
	next if $takes{$function} eq 'rows' && $call->{role} ne 'stranger';
	# what it reads was given to it by hand, and shows it nothing: see below
	next if $takes{$function} eq 'nobody' && $call->{role} eq 'by_hand';
	my $may = $takes{$function} eq 'rows' ? 0 : may_call(@$call{qw(role name place)});
	$may ? $allowed++ : $refused++;
	push @{ $wrong{ $call->{name} } }, $call if $may == ($refusal{ $call->{state} } // 0);
}
for my $name (map { $_->{signature} } grep { $takes{ $_->{name} } } @functions) {
	none("$name: who may, and nobody else", map { $tell->() } @{ $wrong{$name} // [] });
}
cmp_ok($allowed, '>', 500, "$allowed calls were allowed");
cmp_ok($refused, '>', 1000, "$refused calls were refused");
none('the refusal of promote is not that of PostgreSQL, where EXECUTE was granted by hand',
	map { $tell->() } grep { $_->{role} eq 'by_hand' && $_->{state} ne 'PM701'
		&& $takes{ $_->{name} =~ s/\(.*//r =~ s/promote(?:_internal)?\.//r } !~ /rows|nobody/ } @calls);
none('without arguments nobody gets anything who has no grant',
	map { $tell->() } tried(q{kind = 'function' AND place = 'null' AND state = 'ok' AND role IN ('stranger', }
		. q{'by_hand', 'impersonator')
		AND coalesce(said, '') <> ''}));

for (@relations) {
	my ($name, $kind) = @$_;
	# most views are not to be written by anybody
	my $states = $kind eq 'v' ? "('42501', '55000', '42809')" : "('42501')";
	none("$name: nobody but the owner writes", map { $tell->() } grep { my $role = $_->{role};
		!grep { $_ eq $role } @exempt }
		tried("kind = 'write' AND name = '$name' AND state NOT IN $states"));
}
none('nobody but the owner reads what only other views do',
	map { $tell->() } tried(q{kind = 'internal' AND (state = '42501') = (role IN ('dba', 'postgres'))}));
none('nobody but the owner locks rows',
	map { $tell->() } tried(q{kind = 'read' AND place = 'a lock' AND state <> '42501' AND role NOT IN ('dba', }
	. q{'postgres')}));
none('who has a grant reads what it opens', map { $tell->() }
	tried(q{kind = 'read' AND place = 'its columns' AND state <> 'ok' AND role NOT IN ('stranger', 'impersonator', }
		. q{'by_hand') AND name <> ALL (promote_internal.withheld_tables())}));
none('... what is withheld nobody does', map { $tell->() }
	tried(q{kind = 'read' AND state = 'ok' AND role NOT IN ('dba', 'postgres') AND coalesce(said, '') !~ '^0?$' }
		. q{AND name = ANY (promote_internal.withheld_tables())}));
none('... who has none sees no row', map { $tell->() }
	tried(q{kind = 'read' AND role IN ('stranger', 'impersonator', 'by_hand') AND state = 'ok' AND coalesce(said, }
		. q{'') !~ '^0?$'}));
none('the owner is refused nothing',
	map { $tell->() } tried(q{role IN ('dba', 'postgres') AND state IN ('42501', 'PM701')}));

none('no function of a caller is asked about a row that the caller may not see',
	map { $tell->() } tried(q{state = 'LEAK0'}));

# ---- what was shown ----

for my $role (@roles) {
	my @forbidden = forbidden($role);
	none("$role is shown nothing of what it may not see", map { $tell->() }
		tried(join ' OR ', 'false', map { "role = '$role' AND said ~ '$_'" } @forbidden)) if @forbidden;
}
for my $word (sort values %word) {
	none("... for there is something to be seen in every table that can hold it: $word",
		grep {
			$_ !~ /^(?:audit_checkpoint|bundle|bundle_release|release_event|schema_document
				|stateful_type|secret|config|project_key|grants
				|component|component_dependency
				|promotion_path|line_stop|project|promotion_request_item|rule_change|notice)$/x }
		  map { $_->{name} } tried("kind = 'read' AND role = 'postgres' AND place = 'its columns' AND said !~ "
		  	. "'$word' AND name IN ("
			  . join(', ', map { quoted($_) } @tables) . ')')) if $word ne $word{mine};
}
none('a value that is sensitive is shown to nobody but the owner and workers', map { $tell->() }
	tried("said ~ '$sensitive' AND role NOT IN ('dba', 'postgres', 'only_work') AND role !~ '^all_|^everything'"));
none('... and by nothing but what is made for it', map { $tell->() }
	tried("said ~ '$sensitive' AND role NOT IN ('dba', 'postgres') AND name !~ 'claim_deployment|config_as_of'"));
none('a secret is shown by nothing', map { $tell->() } tried("said ~ '$secret'"));

# ---- by code that nobody has called ----

# As the owner, to whom everything is allowed, in what refreshes a materialized view.
$node->query('matrix', 'CREATE TABLE public.uncalled (name text, volatile boolean, statement text)');
$node->query('matrix', join '',
	map { my $try = $_; sprintf "INSERT INTO public.uncalled SELECT %s, provolatile = 'v', %s FROM pg_proc WHERE "
	. "oid = %s::regprocedure;\n",
	map { quoted($_) } @$try[ 1, 3, 1 ] } grep { $_->[0] eq 'function' && $_->[2] eq 'mine'
		# what is written in SQL is the owner's alone, and judges nobody: the verbs that call it do. A position
		# alone is nothing
		&& $_->[1] !~ /^promote_internal\.(?:clear_environment|copy_rules|open_environment|open_parameters
			|open_instances|next_position)\(/x } @tries);
$node->query('matrix', <<'SQL');
CREATE FUNCTION public.attempt_uncalled(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE MATERIALIZED VIEW public.came_uncalled AS SELECT u.name, u.volatile,
	public.attempt_uncalled(u.statement) AS state FROM public.uncalled AS u;
SQL
# rehearsing is tried without recording it, which only asks
none('what changes something is refused in what the server does with somebody\'s objects',
	$node->query('matrix', q{SELECT name || ' ' || state FROM public.came_uncalled WHERE volatile AND state <> 'PM704'
		AND name !~ 'rehearse'}) || ());
none('... and what only asks is not',
	$node->query('matrix', q{SELECT name || ' ' || state FROM public.came_uncalled
	WHERE NOT volatile AND state = 'PM704'}) || ());
cmp_ok($node->query('matrix', q{SELECT count(*) FROM public.came_uncalled WHERE volatile}), '>', 40,
	'... and both are many');

# ---- on a standby ----

# As the owner again. What changes something is refused in one sentence, before any statement of promote's is; what asks
# is answered as on the primary.
$node->query('matrix', <<'SQL');
CREATE FUNCTION public.attempt_there(statement text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	message text;
	context text;
BEGIN
	EXECUTE statement;
	RETURN '{"state": "ok"}';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, context = PG_EXCEPTION_CONTEXT;
	RETURN jsonb_build_object('state', SQLSTATE, 'message', message, 'context', context);
END $$;
SQL
$node->query('matrix', q{SELECT promote.register_consumer('reader')});
my $standby = PromoteTest->standby($node);
ok($standby->follow($node), 'a standby follows');
my $there = q{SELECT u.name, u.volatile, (t.told ->> 'state') || coalesce(': ' || (t.told ->> 'message'), ''),
	coalesce(t.told ->> 'context' ~ 'SQL statement "(?!SELECT string_agg)', false)
	FROM public.uncalled AS u CROSS JOIN LATERAL public.attempt_there(u.statement) AS t (told)
	WHERE u.name ~ '^promote[.]' ORDER BY 1};
my @answers = map { my %a; @a{qw(name volatile told inside)} = split /[|]/; \%a } split /\n/,
	$standby->query('matrix', $there);
my %primary = map { my ($name, undef, $told) = split /[|]/; $name => $told } split /\n/,
	$node->query('matrix', $there =~ s/WHERE /WHERE NOT u.volatile AND /r);
my $asks = qr/^promote[.](?:next_events|preview_request|rehearse_rollback|wait_for_deployment)[(]/;
none('what changes something says that it wants the primary', map { "$_->{name}: $_->{told}" }
	grep { $_->{volatile} eq 't' && $_->{name} !~ $asks
		&& $_->{told} ne '25006: this server is a standby, and what changes something is called on the primary' }
	@answers);
none('... and shows no statement of its own', map { $_->{name} } grep { $_->{inside} eq 't' } @answers);
none('what asks has the same answer', map { "$_->{name}: $_->{told}" }
	grep { $_->{volatile} eq 'f' && $_->{told} ne $primary{ $_->{name} } } @answers);
none('... and so has what also keeps what it was asked elsewhere', map { "$_->{name}: $_->{told}" }
	grep { $_->{name} =~ $asks && $_->{told} ne 'ok' } @answers);
cmp_ok(scalar(grep { $_->{name} =~ $asks } @answers), '==', 4, '... which is all of that');
cmp_ok(scalar(grep { $_->{volatile} eq 't' } @answers), '>', 100, 'much changes something');

my $preview = q{SELECT count(*), min(preview), min(encode(digest, 'hex')) FROM promote.preview_request('mine', 2)};
my ($items, $number, $digest) = split /[|]/, $standby->query('matrix', $preview);
is($number, '', 'a preview there has no number');
like($node->query('matrix', $preview), qr/^$items[|]\d+[|]$digest$/, '... and the digest that it has when it is kept');
my $rehearse = q{SELECT r::text FROM promote.rehearse_rollback('mine-production-db', record => true) AS r};
is($standby->query('matrix', $rehearse), $node->query('matrix', $rehearse), 'a rehearsal there says the same');
is($standby->query('matrix', 'SELECT pg_promote()'), 't', 'the standby is promoted');
is($standby->query('matrix', q{SELECT changed FROM promote.configure_instance('mine-staging-db', '{"size": 77}')}), 't',
	'... and verbs work there');
is($standby->query('matrix', 'SELECT * FROM promote.verify_audit()'), '', '... on a history that is whole');

# ---- COPY ----

for my $role ('only_view', 'all_of_two', 'by_hand') {
	my @forbidden = forbidden($role);
	my $pattern = join '|', @forbidden;
	my (undef, $out, $errors) = $node->psql('matrix',
		join('', "SET ROLE $role;\n", map { "COPY promote.$_ TO STDOUT;\nCOPY promote.$_ FROM STDIN;\n\\.\n" } @tables),
		'-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=sqlstate');
	unlike($out . $errors, qr/$pattern/, "$role copies nothing out that it may not see");
	is(scalar(() = $errors =~ /42501/g) >= @tables, 1, '... and nothing in');
	unlike($errors, qr/ERROR:  (?!42501)/, '... and is refused as one who may not');
}

# ---- how it is kept from them ----

is($node->query('matrix', q{SELECT string_agg(c.relname, ' ' ORDER BY 1) FROM pg_class c
	WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind = 'r'
		AND (NOT c.relrowsecurity OR c.relforcerowsecurity
		OR (SELECT string_agg(p.polcmd::text, '') FROM pg_policy p WHERE p.polrelid = c.oid) IS DISTINCT FROM
			CASE WHEN c.relname <> ALL (promote_internal.withheld_tables()) THEN 'r' END
		OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND obj_description(p.oid, 'pg_policy') IS NULL))}),
	'', 'every table has row-level security, not for its owner, and one policy, for SELECT, with a comment,
		or is withheld');
is($node->query('matrix', q{SELECT string_agg(c.relname, ' ' ORDER BY 1) FROM pg_class c
	WHERE c.relnamespace IN ('promote'::regnamespace, 'promote_internal'::regnamespace) AND c.relkind = 'v'
		AND NOT coalesce(c.reloptions @> '{security_invoker=true}', false)
		AND NOT (coalesce(c.reloptions @> '{security_barrier=true}', false)
			AND pg_get_viewdef(c.oid) ~ 'may_view|visible_instance|visible_secret|may\(')
		AND NOT (c.relnamespace = 'promote_internal'::regnamespace
			AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner))}),
	'', 'every view judges by who asks, or has a barrier behind which it asks, or is for the owner alone');
is($node->query('matrix', q{SELECT string_agg(p.oid::regprocedure::text, ' ') FROM pg_proc p
	WHERE p.pronamespace IN ('promote'::regnamespace, 'promote_internal'::regnamespace) AND p.prosecdef}), '',
		'no function has the owner\'s rights but in C');

done_testing;
