# The extension can be dropped and made again under sessions that have used it, and made in any database and under any
# search_path; a digest is the same in all of them.

use strict;
use warnings;
use utf8;
use Test::More;
use PromoteTest;

binmode $_, ':encoding(UTF-8)' for Test::More->builder->output, Test::More->builder->failure_output;

my $node = PromoteTest->new;

# Sends text as it is written here, whatever the encoding of the database; returns what comes, with any complaint.
sub query {
	my ($database, $sql) = @_;
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	utf8::encode(my $bytes = $sql);
	my (undef, $out, $err) = $node->psql($database, $bytes);
	chomp $out;
	utf8::decode($_) for $out, $err;
	return $out . $err;
}

my $content = <<'SQL';
INSERT INTO promote.bundle VALUES ('postgres');
INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES ('postgres', '1.0.0',
	'{"properties": {"größe": {"type": "integer", "$md.copyable": false}}}');
INSERT INTO promote.project VALUES ('shop');
INSERT INTO promote.environment (project, environment)
    VALUES ('shop', 'staging'), ('shop', 'production');
INSERT INTO promote.parameter_set (project, environment, parameters)
    VALUES ('shop', 'staging', '{"hint": "à gauche"}'), ('shop', 'production', '{"hint": "à droite"}');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component, attributes)
SELECT project, environment, 'db', jsonb_build_object('at', environment) FROM promote.environment;
SQL

my $story = <<'SQL';
SELECT new_revision, deployment
	FROM promote.configure_instance('shop-staging-db', '{"größe": 1, "naïve": "é", "v": "{{hint}}"}');
SELECT new_revision, deployment FROM promote.configure_instance('shop-production-db', '{"größe": 2}');
SELECT path, new_value, origin FROM promote.preview_promotion('shop-staging-db', 'shop-production-db')
	WHERE kind = 'param' ORDER BY path;
SELECT old_revision, new_revision, deployment FROM promote.promote_instance('shop-staging-db', 'shop-production-db',
	idempotency_key => 'k');
SELECT new_revision FROM promote.promote_instance('shop-staging-db', 'shop-production-db', idempotency_key => 'k');
SELECT split_part(promote.plan_text('shop-production-db'), E'\n', 1);
SELECT revision, params ->> 'größe', params ->> 'naïve' FROM promote.config_as_of('shop-production-db');
SELECT params ->> 'v' FROM promote.config c JOIN promote.deployment d
	ON c.digest = d.rendered_digest WHERE d.environment = 'production' AND d.deployment = 2;
INSERT INTO promote.revision (project, environment, component, digest, version_constraint)
SELECT project, environment, component, digest, 'latest' FROM promote.revision WHERE environment = 'staging'
	RETURNING revision;
SELECT action, deployment FROM promote.claim_deployment('wörker', '{PLAN}', selector => '{"at": "staging"}');
SELECT extract(epoch FROM due_at - clock_timestamp()) > 3000 FROM promote.heartbeat_deployment('shop-staging-db', 1, 1,
	'1 hour');
SELECT promote.append_deployment_log('shop-staging-db', 1, 'prüft', 1);
SELECT status FROM promote.fail_deployment('shop-staging-db', 1, 'kaputt', 1);
SELECT action, deployment, params ->> 'größe'
	FROM promote.claim_deployment('wörker', '{PLAN}', selector => '{"at": "staging"}');
SELECT plan_facts ->> 'actions' FROM promote.record_plan('shop-staging-db', 2, '{"format_version": "1.2",
	"resource_changes": [{"address": "größe.b", "change": {"actions": ["create"], "after": {"naïve": "é"}}}]}', 1);
SELECT status FROM promote.complete_deployment('shop-staging-db', 2, 1);
SELECT promote.plan_text('shop-staging-db', 2) LIKE '%  +   größe.b%';
SELECT status FROM promote.propose_deployment('shop-staging-db');
SELECT status FROM promote.approve_deployment('shop-staging-db', 3);
SELECT action, plan, fencing FROM promote.claim_deployment('wörker', selector => '{"at": "staging"}');
SELECT status FROM promote.release_deployment('shop-staging-db', 3, 1);
SELECT action, plan, fencing FROM promote.claim_deployment('wörker', selector => '{"at": "staging"}');
SELECT status FROM promote.complete_deployment('shop-staging-db', 3, 2);
SELECT promote.report_observed('shop-staging-db', '{"größe": 3, "naïve": "ê", "v": "à gauche"}'::jsonb, 'gucker');
SELECT promote.dismiss_drift('shop-staging-db', 'so ist es', '.["naïve"]');
SELECT new_revision, deployment FROM promote.adopt_drift('shop-staging-db');
SELECT path, deployed_value, observed_value, dismissed FROM promote.drift_status ORDER BY path;
SELECT status FROM promote.plan_instance('shop-staging-db');
SELECT status FROM promote.abort_deployment('shop-staging-db', 4, 'nein');
SELECT kind, code, path, change FROM promote.rehearse_rollback('shop-staging-db', 2, record => true)
	ORDER BY kind, path;
SELECT old_revision, new_revision FROM promote.rollback_instance('shop-staging-db', 2);
SELECT kind, path, a_value, b_value FROM promote.compare_instances('shop-staging-db', 'shop-production-db')
	ORDER BY kind, path;
SELECT kind, a_value, b_value FROM promote.compare_deployments('shop-staging-db/2', 'shop-staging-db/3');
SELECT status FROM promote.decommission_instance('shop-staging-db');
SELECT instance, status FROM promote.instance_status ORDER BY instance;
INSERT INTO promote.promotion_path (project, source_environment, destination_environment)
	VALUES ('shop', 'staging', 'production');
INSERT INTO promote.freeze_window (name, project, rule, zone, starts_at, duration, reason)
VALUES ('nächtlich', 'shop', 'FREQ=DAILY', 'Europe/Berlin', '2026-01-01', '23 h', 'spät');
SELECT healthy, message FROM promote.report_health('shop-production-db', 'prüfung', true, 'läuft');
SELECT code, message FROM promote.blockers('shop-production-db', at => '2026-07-01 12:00+02');
SELECT environment, next, promotable IS NULL FROM promote.promotion_matrix ORDER BY environment DESC;
SELECT count(*) FROM promote.audit_log WHERE subject LIKE 'shop-%';
SELECT count(*) FROM promote.verify_audit();
SQL
my $told = <<'END';
1|1
1|1
.["größe"]|2|destination
.["naïve"]|"é"|source
.v|"à droite"|source
1|2|2
2
shop-production-db, plan 2: revision 2, postgres 1.0.0
2|2|é
à droite
2
PLAN|1
t
1
FAILED
PLAN|2|1
{"create": 1}
COMPLETED
t
PROPOSED
APPROVED
PROVISION|2|1
APPROVED
PROVISION|2|2
COMPLETED
2
1
3|4
.["größe"]|1|3|f
.["naïve"]|"é"|"ê"|t
PENDING
ABORTED
release||release constraint|change
3|4
param|.["größe"]|1|2
parameter|.v|"à gauche"|"à droite"
release|release constraint|"1.0.0"|"latest"
revision||4|2
status||"PROVISIONED"|"INITIALIZED"
action|"PLAN"|"PROVISION"
PENDING
shop-production-db|never_deployed
shop-staging-db|drifted
t|läuft
plan|revision 2 of "shop-production-db" has no completed plan: Its last plan, deployment 2, is PENDING.
freeze|freeze "nächtlich" is on: spät
staging|{production}|f
production||t
33
0
END

# ---- dropped and made again ----

$node->create_database('again');
my $first = "CREATE EXTENSION promote;\n$content$story";
my $second = "DROP EXTENSION promote;\n$first";
is(query('again', "$first$second$second") . "\n", $told x 3, 'in one session: dropped and made again, and all goes on');
is(query('again', "BEGIN;\nDROP EXTENSION promote CASCADE;\n$first" . "COMMIT;\n$second") . "\n", $told x 2,
	'... in one transaction');
is(query('again', "BEGIN;\nDROP EXTENSION promote CASCADE;\n$first" . "ROLLBACK;\n"
		  . "SELECT count(*) FROM promote.verify_audit();\n$second") . "\n", "${told}0\n$told",
		  	'... in one that is rolled back');
is(query('again', "DROP EXTENSION promote;\nDROP SCHEMA promote;\n$first") . "\n", $told, '... and its schema with it');
query('again', "DROP EXTENSION promote;\nDROP SCHEMA promote");
is(query('again', q{SELECT count(*) FROM pg_proc WHERE probin ~ 'promote'}), 0, 'and nothing of it stays');

# Dropped under the feet of a session that has every statement prepared; it calls again when there is a new one.
$node->query('again', "CREATE TABLE word (said text)");
query('again', "CREATE EXTENSION promote;\n$content");
utf8::encode(my $bytes = $story);
my $other = $node->spawn('again', <<"SQL");
SET client_encoding = 'UTF8';
$bytes
INSERT INTO word VALUES ('ready');
DO \$\$ BEGIN
	FOR i IN 1 .. 60000 LOOP
		EXIT WHEN EXISTS (SELECT FROM word WHERE said = 'go on');
		PERFORM pg_sleep(0.01);
	END LOOP;
END \$\$;
$bytes
SQL
ok($node->wait_for('again', q{SELECT EXISTS (SELECT FROM word WHERE said = 'ready')}),
	'a session has called everything');
query('again', "DROP EXTENSION promote;\nCREATE EXTENSION promote;\n${content}INSERT INTO word VALUES ('go on')");
my ($rc, $out, $err) = $node->finish($other);
utf8::decode($out);
is("$rc$err", '0', '... and still can after another has dropped it and made it again');
is($out, $told x 2, '... with the same answers');

# ---- odd places ----

# What the document is in each encoding, to its last byte.
my $document = '{"größe": "ÿ«é»", "naïve": ["¡ñ!", 1.50, null], "plain": "ascii"}';
my $digest = query('again', "SELECT encode(promote.jsonb_digest('$document'), 'hex')");
is(query('again', q{SELECT encode(promote.jsonb_digest('{"naïve": ["\u00a1\u00f1!", 15e-1, null], "plain": "ascii",
	"gr\u00f6\u00dfe": "\u00ff\u00ab\u00e9\u00bb"}'), 'hex')}), $digest,
		'a digest does not depend on how the text is spelled');

my %place = (
	'LATIN1'     => q{we"ird '%s' $$ \ ünd -- name},
	'SQL_ASCII'  => 'select',
	'LATIN9'     => ' ',
	'UTF8'       => 'Ünïcode €',
	'WIN1252'    => 'UPPER.case',
);
for my $encoding (sort keys %place) {
	my $name = $place{$encoding};
	my $quoted = $name =~ s/"/""/gr;
	query('postgres', qq{CREATE DATABASE "$quoted" ENCODING '$encoding' LOCALE 'C' TEMPLATE template0});
	utf8::encode(my $database = $name);
	# A connection string is taken for one where it has an equals sign; none of these has.
	is(query($database, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database();\n"
			  . "CREATE EXTENSION promote;\n$content$story"), "$encoding\n" . substr($told, 0, -1),
		"database $encoding, named: $name");
	is(query($database, "SELECT encode(promote.jsonb_digest('$document'), 'hex')"), $digest,
		'... the same digest there');
	is(query($database, q{SELECT encode(promote.audit_hash('p', 'é', 1, '2026-01-01Z', 'ñ', 'ü', 'e', '{"ß": 1}', NULL,
		NULL), 'hex')}),
		query('again', q{SELECT encode(promote.audit_hash('p', 'é', 1, '2026-01-01Z', 'ñ', 'ü', 'e', '{"ß": 1}', NULL,
			NULL), 'hex')}),
		'... and the same hash of an audit row');
}

# ---- odd search paths ----

# Look-alikes that would raise if the install script took them for the real ones.
my $trap = <<'SQL';
CREATE SCHEMA trap;
CREATE FUNCTION trap.raise(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'a look-alike was called';
	END $$;
CREATE FUNCTION trap.raise_text(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'a look-alike was called';
	END $$;
CREATE OPERATOR trap.= (FUNCTION = trap.raise, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR trap.<> (FUNCTION = trap.raise, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR trap.~ (FUNCTION = trap.raise, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR trap.!~ (FUNCTION = trap.raise, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR trap.|| (FUNCTION = trap.raise_text, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION trap.octet_length(bytea) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'a look-alike was called';
	END $$;
CREATE FUNCTION trap.octet_length(text) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'a look-alike was called';
	END $$;
CREATE FUNCTION trap.jsonb_typeof(jsonb) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'a look-alike was called';
	END $$;
CREATE FUNCTION trap.strpos(text, text) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE 'a look-alike was called';
	END $$;
CREATE DOMAIN trap.jsonb AS pg_catalog.jsonb CHECK (false);
CREATE DOMAIN trap.bytea AS pg_catalog.bytea CHECK (false);
CREATE TABLE trap.pg_class ();
SQL
my $number = 0;
for my $path ('trap, pg_catalog', q{''}, 'pg_temp', 'nowhere, "$user"', 'promote, trap', 'trap') {
	my $database = 'path_' . ++$number;
	$node->create_database($database);
	is(query($database, "${trap}SET search_path = $path;\nCREATE EXTENSION promote;\nSHOW search_path;\nRESET "
		. "search_path;\n"
			  . "$content$story"), join("\n", $path =~ s/''/""/r, substr($told, 0, -1)),
		"made with search_path = $path, which stays as it was");
}
$node->create_database('elsewhere');
is(query('elsewhere', qq{CREATE SCHEMA "Else Where"; ALTER DATABASE elsewhere SET search_path = "Else Where";\n}
		  . "SET check_function_bodies = off; SET quote_all_identifiers = on; ${\$node->set_backslashes}\n"
		  . "SET default_tablespace = ''; SET default_transaction_isolation = serializable;\nCREATE EXTENSION promote"),
		  	'',
	'made with odd settings');
is(query('elsewhere', "$content$story") . "\n", $told, '... and used');
($rc, $out, $err) = $node->psql('elsewhere', 'ALTER EXTENSION promote SET SCHEMA public', '-v', 'VERBOSITY=sqlstate');
is("$rc$err", "3ERROR:  0A000\n", 'its schema is not to be changed');

done_testing;
