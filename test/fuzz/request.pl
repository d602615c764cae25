#!/usr/bin/perl
#
# request.pl: sessions that work on one small project at once, at random.
#
# usage: request.pl [seconds [seed]]
#
# Each of them opens, previews, advances, pauses, resumes and cancels requests, works as a worker, edits, deploys, goes
# back, approves, rejects, overrides, reports, freezes and stops.  After each batch all stand still, and what they have
# left is looked at.  The connection is taken from the usual PG* variables; the database is the driver's own: it makes
# the extension, and does so again for each project, with other rules.  Prints one summary line.  A finding, with exit
# status 1, is
#
#   - an SQLSTATE other than class PM and those that ask to try again,
#   - a row of verify_audit(), two deployments of an instance that run, an item further than its wave,
#   - a deployment that was queued while a freeze, a stop, an unhealthy check, a missing approval, a blocked release or
#     another one's request stood in its way that was not overridden: the driver keeps its own account of these,
#   - a request that cannot be shown, or that promote.cancel_request does not end,
#   - a lost connection.
#
# A run with the same seed asks the same, but not in the same order.
#
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(pick);
use FuzzSession;

use constant SESSIONS => 3;
use constant BATCHES => 12;       # of one project

use constant STATEMENTS => 25;    # of a session in a batch

my ($seconds, $seed) = ($ARGV[0] // 60, $ARGV[1] // time);
srand $seed;
my ($start, $asked, $projects, $findings, $lost) = (time, 0, 0, 0, 0);
my (%seen, %found);
my @components = map { "c$_" } 1 .. 5;
my @instances = map { ("shop-staging-$_", "shop-production-$_") } @components;
my @hot = map { "shop-production-$_" } @components;
my @sessions;

while (!$lost && time < $start + $seconds) {
	$_->end for splice @sessions;
	@sessions = map { FuzzSession->new } 1 .. SESSIONS;
	$projects++;
	ask($sessions[0], project());
	ask($_, prepare()) for @sessions;
	for (1 .. BATCHES) {
		last if $lost || time >= $start + $seconds;
		$_->send(batch()) for @sessions;
		answered($_) for @sessions;
		ask($sessions[0], "SELECT * FROM fuzz.wrong();\n") if !$lost;
	}
}
$_->end for @sessions;
printf "request: %d calls of %d sessions in %d projects in %d seconds, %d findings%s (seed %s)\n", $asked, SESSIONS,
	$projects,
  time - $start, $findings, $lost ? ', connection lost' : '', $seed;
print "  $_: $seen{$_}\n" for $ENV{FUZZ_SEEN} ? sort keys %seen : ();
exit($findings || $lost ? 1 : 0);

sub quote { my ($text) = @_; return "'" . $text =~ s/'/''/gr . "'" }

sub ask {
	my ($session, $sql) = @_;
	$session->send($sql);
	answered($session);
	return;
}

# Counts what came of calls; all else is a finding.
sub answered {
	my ($session) = @_;
	my $lines = $session->answer;
	$lost ||= !defined $lines;
	for my $line (grep { $_ ne '' } @{ $lines // [] }) {
		if ($line =~ /^called (.*)/) {
			$asked++;
			$seen{$1}++;
		} else {
			my ($kind) = $line =~ /^([^|]*)/;
			$findings++;
			print "finding: $line\n" if $found{$kind}++ < 3;
		}
	}
	return;
}

# ---- what is asked ----

# Some calls, one by one and in transactions, some of which are rolled back.
sub batch {
	my $sql = '';
	my $open = 0;
	for (1 .. STATEMENTS) {
		if (!$open && rand() < 0.15) {
			$sql .= pick("BEGIN;\n", "BEGIN;\n", "BEGIN ISOLATION LEVEL REPEATABLE READ;\n");
			$open = 1;
		}
		$sql .= call();
		if ($open && rand() < 0.4) {
			$sql .= pick((commits("COMMIT;\n")) x 2, "ROLLBACK;\n");
			$open = 0;
		}
	}
	return $open ? $sql . commits("COMMIT;\n") : $sql;
}

# What may commit may be asked to try again then: what it judged by has changed.  Anything else is a finding.
sub commits {
	my ($sql) = @_;
	return "\\set ON_ERROR_STOP off\n$sql\\set ON_ERROR_STOP on\n"
		. "SELECT 'commit|' || s FROM (VALUES (:'SQLSTATE')) AS v (s) WHERE s NOT IN ('00000', '40001', '40P01');\n";
}

# One call, as one of four people.
sub call {
	my $who = rand() < 0.5 ? '' : pick('fuzz_ada', 'fuzz_bob', 'fuzz_eve');
	my $sql = statement();
	my $try = commits("SELECT fuzz.try(" . quote($sql) . ");\n");
	return $who ? "SET ROLE $who;\nSET promote.actor = '$who';\n${try}RESET ROLE;\nRESET promote.actor;\n" : $try;
}

sub statement {
	my $hot = quote(pick(@hot));
	my $any = quote(pick(@instances));
	my $request = "'shop', " . 'fuzz.a_request()';
	my $plan = "fuzz.a_deployment($hot)";
	my $size = int rand 100;
	return pick(
		(open_request()) x 3,
		("SELECT promote.preview_request('shop', n), promote.advance_request('shop', n) FROM fuzz.a_request() AS "
			. "n") x 6,
		"SELECT promote.preview_request($request)",
		("SELECT promote.advance_request($request)") x 14,
		"SELECT promote.pause_request($request, 'wait')",
		("SELECT promote.resume_request($request)") x 4,
		rand() < 0.5 ? "SELECT promote.cancel_request($request, 'enough')" : "SELECT promote.resume_request($request)",
		("SELECT fuzz.work(@{[rand]}, $size)") x 18,
		("SELECT promote.configure_instance($any, '{\"size\": $size}')") x 2,
		"SELECT promote.configure_instance(@{[quote('shop-staging-' . pick(@components))]}, "
			. "'{\"size\": $size, \"fixed\": @{[int rand 3]}}')",
		"SELECT promote.promote_instance(@{[quote('shop-staging-' . pick(@components))]}, $hot)",
		("SELECT promote.deploy_instance($any)") x 3,
		"SELECT promote.plan_instance($any)",
		("SELECT promote.plan_and_deploy($any)") x 2,
		"SELECT promote.rollback_instance($any)",
		"SELECT promote.decommission_instance($any)",
		("SELECT promote.propose_deployment($any)") x 2,
		("SELECT promote.approve_deployment($hot, $plan, 'fine')") x 6,
		("SELECT promote.reject_deployment($hot, $plan, 'no')") x 2,
		"SELECT promote.abort_deployment($hot, $plan, 'no')",
		("SELECT promote.override_gate($hot, p, (SELECT code FROM promote.blockers($hot, p) ORDER BY random() LIMIT "
			. "1), 'it must') FROM $plan AS p") x 6,
		"SELECT promote.review_override($hot, $plan, 'freeze', 'seen')",
		("SELECT fuzz.health($any, @{[rand() < 0.75 ? 'true' : 'false']})") x 4,
		"SELECT promote.report_observed($any, '{\"size\": $size}'::jsonb, 'fuzz')",
		rand() < 0.25 ? "SELECT fuzz.freeze()" : "SELECT fuzz.thaw()",
		("SELECT fuzz.thaw()") x 2,
		rand() < 0.25 ? "SELECT fuzz.stop()" : "SELECT fuzz.lift()",
		("SELECT fuzz.lift()") x 2,
		rand() < 0.25 ? "SELECT fuzz.block()" : "SELECT fuzz.unblock()",
		("SELECT fuzz.unblock()") x 2,
		"SELECT promote.blockers($any, $plan)",
		"SELECT promote.next_possible($any)",
		"SELECT promote.request_evidence($request)",
		"SELECT promote.handoff_text($request)",
		'SELECT count(*) FROM promote.promotion_matrix',
		"UPDATE promote.instance SET attributes = '{\"tenant\": \"@{[pick('a', 'b')]}\"}' WHERE name = $hot");
}

sub open_request {
	my $scope = pick('{}', '{"selector": {"tenant": "a"}}', '{"components": ["c1", "c2"]}',
		'{"components": ["c3", "c4", "c5"]}', '{"components": ["c5"]}');
	my ($strategy, $waves) = @{ pick(['one_by_one'], ['all_at_once'], ['all_at_once'], ['canary', '1'],
		['waves', '[1, 2]'], ['waves', '[{"tenant": "a"}, 1]']) };
	my @named = ("scope => '$scope'", "strategy => '$strategy'", "rollback_mode => '" . pick(qw(none wave all)) . "'");
	push @named, "waves => '$waves'" if $waves;
	push @named, "checks => '{smoke}'" if rand() < 0.2;
	push @named, "soak => '100 ms'" if rand() < 0.2;
	push @named, 'include_other_changes => true' if rand() < 0.7;
	push @named, 'overrides => \'{"c1": {"size": 7}, "c3": {"size": 8}, "c5": {"size": 9}}\'' if $scope eq '{}'
		&& rand() < 0.3;
	push @named, '"only" => \'' . pick('{.size}', '{.size,release}', '{.fixed}') . "'" if rand() < 0.2;
	push @named, "mode => 'merge'", rand() < 0.5 ? "on_conflict => '" . pick(qw(source destination)) . "'" : ()
		if rand() < 0.2;
	push @named, "source_state => 'running'" if rand() < 0.1;
	push @named, "choices => '" . pick('{"c1": {"only": null}, "c2": {"source_revision": 2}}',
		'{"c1": {"only": [".size"]}, "c2": {"expected_source_revision": ' . int(rand 4) . '}}',
		'{"c1": {"source_state": "running"}, "c2": {"preset": "none"}}') . "'" if $scope =~ /^\{\}|c1/ && rand() < 0.3;
	return "SELECT fuzz.opened(promote.open_request('shop', 'staging', 'production', @{[join ', ', @named]}))";
}

# ---- the project ----

# A new extension with a project, by rules of its own.
sub project {
	my $n = @components;
	my $sql = <<"SQL";
SET client_min_messages = error;
DROP EXTENSION IF EXISTS promote CASCADE;
DROP SCHEMA IF EXISTS fuzz, promote CASCADE;
CREATE EXTENSION promote;
CREATE SCHEMA fuzz;
DO \$\$
BEGIN
	CREATE ROLE fuzz_people;
	CREATE ROLE fuzz_ada LOGIN IN ROLE fuzz_people;
	CREATE ROLE fuzz_bob LOGIN IN ROLE fuzz_people;
	CREATE ROLE fuzz_eve LOGIN;
EXCEPTION WHEN duplicate_object THEN
END \$\$;
GRANT USAGE, CREATE ON SCHEMA promote, fuzz TO fuzz_people, fuzz_eve;
INSERT INTO promote.bundle VALUES ('service');
INSERT INTO promote.bundle_release (bundle, version, params_schema)
	SELECT 'service', v, '{"type": "object", "properties": {
	"size": {"type": "integer", "maximum": 90}, "fixed": {"type": "integer"}, "own": {"\$md.copyable": false}}}'
		FROM unnest('{1.0.0,1.1.0}'::text[]) AS v;
INSERT INTO promote.project (project) VALUES ('shop');
INSERT INTO promote.environment (project, environment, require_plan, require_proven_release)
	VALUES ('shop', 'staging', false, false), ('shop', 'production', true, false);
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
	VALUES ('shop', 'staging', 'production');
INSERT INTO promote.component (project, component, bundle, attributes)
SELECT 'shop', 'c' || n, 'service', jsonb_build_object('tenant', CASE WHEN n <= 2 THEN 'a' ELSE 'b' END)
	FROM generate_series(1, $n) AS n;
INSERT INTO promote.instance (project, environment, component)
SELECT 'shop', e, 'c' || n FROM generate_series(1, $n) AS n, unnest('{staging,production}'::text[]) AS e;
SQL
	my $rules = "INSERT INTO promote.override_rule (project, environment, code, role)
SELECT 'shop', 'production', code, 'fuzz_people' FROM unnest('{freeze,health,approval,drift,window,"
	. "budget}'::text[]) AS code WHERE random() < 0.7;\n";
	$rules .= "UPDATE promote.environment SET separation_of_duty = true WHERE environment = 'production';\n"
		if rand() < 0.3;
	$rules .= "UPDATE promote.environment SET source_policy = 'path' WHERE environment = 'production';\n"
		if rand() < 0.3;
	$rules .= "UPDATE promote.environment SET require_source_in_sync = true WHERE environment = 'production';\n"
		if rand() < 0.1;
	$rules .= "INSERT INTO promote.approval_rule (project, environment, rule, role) VALUES ('shop', 'production', "
		. "'people', 'fuzz_people');\n" if rand() < 0.4;
	$rules .= "INSERT INTO promote.required_check (project, environment, check_name) VALUES ('shop', 'production', "
		. "'smoke');\n" if rand() < 0.5;
	$rules .= "INSERT INTO promote.change_window (name, during, max_deployments_per_window) VALUES ('busy', "
		. "tstzrange(now() - interval '1 hour', now() + interval '1 day'), 40);\n" if rand() < 0.2;
	return $sql . <<'SQL' . $rules . account() . wrong();
-- What was claimed, to be ended later.
CREATE TABLE fuzz.claim (instance text, deployment integer, action text, fencing integer);
GRANT ALL ON fuzz.claim TO PUBLIC;
CREATE FUNCTION fuzz.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	kind text := substring(statement FROM '(?:promote|fuzz)\.(\w+)');
BEGIN
	EXECUTE statement;
	RETURN concat_ws(' ', 'called', kind, 'ok');
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE ~ '^PM' OR SQLSTATE IN ('40P01', '40001', '42501', '55P03') THEN
		RETURN concat_ws(' ', 'called', kind, SQLSTATE);
	END IF;
	RETURN concat_ws(' | ', SQLSTATE, SQLERRM, statement);
END
$$;
CREATE FUNCTION fuzz.a_request() RETURNS integer LANGUAGE sql VOLATILE SECURITY DEFINER
RETURN (SELECT request FROM promote.promotion_request ORDER BY finished_at IS NULL AND random() < 0.95 DESC,
	random() LIMIT 1);
CREATE FUNCTION fuzz.a_deployment(name text) RETURNS integer LANGUAGE sql VOLATILE SECURITY DEFINER
RETURN (SELECT d.deployment FROM promote.deployment AS d JOIN promote.instance AS i
	USING (project, environment, component)
	WHERE i.name = a_deployment.name ORDER BY random() < 0.7 DESC, d.deployment DESC LIMIT 1);
-- Claims something, or takes up something that was claimed, and goes on with it.
CREATE FUNCTION fuzz.work(choice float8, size integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	mine fuzz.claim;
	claimed record;
	facts jsonb := '{"format_version": "1.2", "terraform_version": "1.11.4", "applyable": true, "complete": true, '
		'"errored": false, "resource_changes": [], "resource_drift": []}';
BEGIN
	FOR i IN 1 .. 6 LOOP
		mine := NULL;
		IF choice < 0.3 THEN
			DELETE FROM fuzz.claim AS c WHERE c.ctid = (SELECT ctid FROM fuzz.claim
				ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING c.* INTO mine;
		END IF;
		IF mine.instance IS NULL THEN
			SELECT * INTO claimed FROM promote.claim_deployment('w' || i, lease => (CASE WHEN random() < 0.2 THEN '1 s'
				ELSE '1 hour' END)::interval);
			EXIT WHEN NOT FOUND;
			mine := ROW(claimed.instance, claimed.deployment, claimed.action, claimed.fencing);
			IF claimed.action = 'PLAN' AND random() < 0.3 THEN
				PERFORM promote.record_plan(mine.instance, mine.deployment, facts || jsonb_build_object('variables',
					size % 3), mine.fencing);
			END IF;
		END IF;
		IF choice > 0.95 THEN
			INSERT INTO fuzz.claim VALUES (mine.*);
		ELSIF random() < (CASE WHEN mine.action = 'PLAN' THEN 0.04 ELSE 0.15 END) AND size > 0 THEN
			PERFORM promote.fail_deployment(mine.instance, mine.deployment, 'broken', mine.fencing);
		ELSIF random() < 0.05 AND size > 0 THEN
			PERFORM promote.release_deployment(mine.instance, mine.deployment, mine.fencing);
		ELSE
			PERFORM promote.complete_deployment(mine.instance, mine.deployment, mine.fencing);
		END IF;
	END LOOP;
END
$$;
SELECT promote.configure_instance(name, '{"size": 1}') FROM promote.instance \g /dev/null
SELECT fuzz.work(0.5, 0) FROM generate_series(1, 20) \g /dev/null
DO $$ BEGIN PERFORM promote.deploy_instance(name) FROM promote.instance WHERE name <> 'shop-production-c5'; END $$;
SELECT fuzz.work(0.5, 0) FROM generate_series(1, 20) \g /dev/null
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA promote TO fuzz_people, fuzz_eve;
SQL
}

# Its own account of what stands in the way, and since when at the latest, until when at the earliest: what changes
# gates waits for whoever judges them, so that what is noted behind a change, and before it is taken back, is sound.
sub account {
	return <<'SQL';
CREATE TABLE fuzz.fact (kind text, subject text, since timestamptz, until timestamptz);
GRANT ALL ON fuzz.fact TO PUBLIC;
CREATE FUNCTION fuzz.begin(kind text, subject text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
	INSERT INTO fuzz.fact VALUES (kind, subject, clock_timestamp())
$$;
CREATE FUNCTION fuzz.end(kind text, subject text, at timestamptz) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
	UPDATE fuzz.fact AS f SET until = at WHERE f.kind = $1 AND f.subject = $2 AND f.until IS NULL
$$;
CREATE FUNCTION fuzz.opened(request promote.promotion_request) RETURNS void LANGUAGE sql AS $$
	SELECT fuzz.begin('request', request.request::text)
$$;
-- The revisions that a request has staged, for its own deployments.
CREATE TABLE fuzz.staged (request integer, component text, revision integer);
CREATE FUNCTION fuzz.note_staged() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO fuzz.staged VALUES (NEW.request, NEW.component, NEW.revision),
		(NEW.request, NEW.component, NEW.rollback_revision);
	RETURN NULL;
END
$$;
CREATE TRIGGER note_staged AFTER UPDATE ON promote.promotion_request_item FOR EACH ROW EXECUTE FUNCTION
	fuzz.note_staged();
CREATE FUNCTION fuzz.freeze() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	called text := 'f' || (random() * 1e9)::integer;
BEGIN
	INSERT INTO promote.freeze_window (name, project, environment, during)
		VALUES (called, 'shop', 'production', tstzrange(now() - interval '1 hour', now() + interval '1 day'));
	PERFORM fuzz.begin('freeze', called);
END
$$;
CREATE FUNCTION fuzz.thaw() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	at timestamptz := clock_timestamp();
	called text;
BEGIN
	DELETE FROM promote.freeze_window WHERE name = (SELECT name FROM promote.freeze_window LIMIT 1)
		RETURNING name INTO called;
	PERFORM fuzz.end('freeze', called, at);
END
$$;
CREATE FUNCTION fuzz.stop() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	why text := 'fire ' || random();
BEGIN
	-- what is stopped already stays so, and may just be lifted by somebody else
	IF (promote.stop_line(why, 'shop')).reason = why THEN
		PERFORM fuzz.begin('stopped', 'shop');
	END IF;
END
$$;
CREATE FUNCTION fuzz.lift() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	at timestamptz := clock_timestamp();
BEGIN
	PERFORM promote.resume_line('shop');
	PERFORM fuzz.end('stopped', 'shop', at);
END
$$;
CREATE FUNCTION fuzz.block() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	PERFORM promote.block_release('service', '1.1.0', 'bad ' || random());
	PERFORM fuzz.begin('release', '1.1.0');
END
$$;
CREATE FUNCTION fuzz.unblock() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	at timestamptz := clock_timestamp();
BEGIN
	PERFORM promote.unblock_release('service', '1.1.0');
	PERFORM fuzz.end('release', '1.1.0', at);
END
$$;
CREATE FUNCTION fuzz.health(name text, healthy boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	at timestamptz := clock_timestamp();
BEGIN
	PERFORM promote.report_health(name, 'smoke', healthy);
	IF healthy THEN
		PERFORM fuzz.end('health', name, at);
	ELSE
		PERFORM fuzz.begin('health', name);
	END IF;
END
$$;
SQL
}

# What is wrong by now, while nobody else does anything.
sub wrong {
	return <<'SQL';
CREATE FUNCTION fuzz.wrong() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	number integer;
BEGIN
	RETURN QUERY SELECT 'called wrong ' || status FROM promote.promotion_request;
	RETURN QUERY SELECT concat_ws(' | ', 'audit', v.subject, v.seq, v.problem) FROM promote.verify_audit() AS v;
	RETURN QUERY SELECT concat_ws(' | ', 'running at once', environment, component) FROM promote.deployment
	 WHERE status = 'RUNNING' GROUP BY project, environment, component HAVING count(*) > 1;

	RETURN QUERY
	WITH judged AS (
		SELECT d.*, i.name, (d.gates ->> 'at')::timestamptz AS at FROM promote.deployment AS d
			JOIN promote.instance AS i USING (project, environment, component)
		 WHERE d.gates IS NOT NULL AND d.environment = 'production')
	SELECT concat_ws(' | ', 'queued in spite of', f.kind, f.subject, f.since, f.until, j.name, j.deployment, j.action,
		j.gates)
	  FROM judged AS j JOIN fuzz.fact AS f ON j.at > f.since AND j.at < COALESCE(f.until, 'infinity')
	 WHERE CASE f.kind
			WHEN 'stopped' THEN true
			WHEN 'freeze' THEN NOT j.gates @> jsonb_build_object('overridden',
				jsonb_build_array(jsonb_build_object('code', 'freeze', 'subject', f.subject)))
			WHEN 'release' THEN j.action = 'PROVISION' AND j.version::text = f.subject
			WHEN 'health' THEN j.action = 'PROVISION' AND j.name = f.subject AND EXISTS (SELECT
				FROM promote.required_check)
				AND NOT j.gates @> '{"overridden": [{"code": "health"}]}'
			WHEN 'request' THEN EXISTS (SELECT FROM promote.promotion_request_item AS t
				JOIN promote.promotion_request AS q USING (project, request)
					 WHERE t.request = f.subject::integer AND t.component = j.component AND t.status <> 'SKIPPED'
					   AND q.status NOT IN ('ROLLED_BACK', 'COMPLETED', 'CANCELLED'))
				AND NOT (j.action = 'PROVISION' AND EXISTS (SELECT FROM fuzz.staged AS s
					 WHERE s.request = f.subject::integer AND s.component = j.component AND s.revision = j.revision))
			ELSE false END
	UNION ALL
	SELECT concat_ws(' | ', 'queued without approval', j.name, j.deployment, j.action, j.gates) FROM judged AS j
	 WHERE j.at > (SELECT created_at FROM promote.approval_rule)
	 	AND NOT j.gates @> '{"overridden": [{"code": "approval"}]}'
	   AND NOT EXISTS (SELECT FROM promote.approval AS a WHERE (a.project, a.environment, a.component) = (j.project,
	   	j.environment, j.component)
		AND a.plan_digest = j.plan_digest AND a.decision = 'approved' AND a.database_role IN ('fuzz_ada', 'fuzz_bob')
			AND a.created_at < j.at
		AND NOT EXISTS (SELECT FROM promote.approval AS n WHERE (n.project, n.environment, n.component) = (j.project,
			j.environment, j.component)
			AND n.deployment = a.deployment AND n.vote > a.vote AND n.decision = 'rejected' AND n.actor = a.actor
				AND n.created_at < j.at));

	-- whoever is at rest may have items behind: a wave that was resumed is looked at item by item
	RETURN QUERY SELECT concat_ws(' | ', 'ahead of its wave', q.request, q.status, t.component, t.status)
	  FROM promote.promotion_request AS q JOIN promote.promotion_request_item AS t USING (project, request)
	 WHERE NOT q.rolling_back AND t.wave > q.wave AND t.status NOT IN ('PENDING', 'SKIPPED');
	RETURN QUERY SELECT concat_ws(' | ', 'not all at once', q.request, q.status) FROM promote.promotion_request AS q
	 WHERE q.strategy = 'all_at_once' AND (SELECT count(DISTINCT t.staged_at IS NULL)
	 	FROM promote.promotion_request_item AS t
		WHERE t.project = q.project AND t.request = q.request AND t.status <> 'SKIPPED') > 1;
	RETURN QUERY SELECT concat_ws(' | ', 'done, and not deployed', t.request, t.component, d.status)
	  FROM promote.promotion_request_item AS t LEFT JOIN promote.deployment AS d
		ON d.project = t.project AND d.environment = t.destination_environment AND d.component = t.component
			AND d.deployment = t.deployment
	 WHERE t.status = 'DONE' AND d.status IS DISTINCT FROM 'COMPLETED';
	RETURN QUERY SELECT concat_ws(' | ', 'over, and holds', q.request, q.status, t.component)
	  FROM promote.promotion_request AS q JOIN promote.promotion_request_item AS t USING (project, request)
	  	WHERE t.holds AND q.finished_at IS NOT NULL;

	PERFORM promote.request_evidence('shop', request), promote.handoff_text('shop', request)
		FROM promote.promotion_request;
	BEGIN
		FOR number IN SELECT request FROM promote.promotion_request WHERE finished_at IS NULL LOOP
			IF (SELECT status FROM promote.cancel_request('shop', number, 'to see that it ends')) <> 'CANCELLED' THEN
				RETURN NEXT format('request %s is not cancelled', number);
			END IF;
		END LOOP;
		RAISE SQLSTATE 'FZ000';
	EXCEPTION WHEN SQLSTATE 'FZ000' THEN
	END;
EXCEPTION WHEN OTHERS THEN
	RETURN NEXT concat_ws(' | ', 'wrong() itself', SQLSTATE, SQLERRM);
END
$$;
SQL
}

# What each session begins with.
sub prepare {
	return <<'SQL';
SET client_min_messages = error;
SET statement_timeout = '120s';
SET deadlock_timeout = '200ms';
SQL
}
