#!/usr/bin/perl
#
# secret.pl: spoils ciphertexts, keys and values of secrets.
#
# usage: secret.pl [seconds [seed]]
#
# The connection is taken from the usual PG* variables, and is a superuser's; the database must have the extension, and
# nothing else in its tables: a project is made there.  Keys are printed by a command, so the server's user needs a
# shell. Prints one summary line.  A finding, with exit status 1, is
#
#   - a ciphertext that opens and is not, byte by byte, one that was sealed for that row,
#   - a value that is not read back as it was set, or whose fingerprint is not its SHA-256,
#   - a value that is taken for JSON and that PostgreSQL's json refuses, or the other way round,
#   - an SQLSTATE that such a thing is not refused with, or a refusal without DETAIL or HINT,
#   - a refusal that shows some of a key or of a value,
#   - a lost connection.
#
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(pick copy_rows);
use MIME::Base64 qw(encode_base64);

use constant BATCH => 200;

my $fuzz = Fuzz->new(name => 'secret', kept => 'what is tried and its bytes in hexadecimal on each line', shown => 10);
my ($tried, $accepted) = (0, 0);
my @lines = map { "k$_:" . encode_base64(chr($_) x 32, '') } 1 .. 3;
my @tokens = ('{', '}', '[', ']', ':', ',', '"', '\\', '\\u0000', '\\ud800', '\\u12', 'null', 'true', '1', '-', '1e5',
	'.', "\n", "\t", ' ', 'a', "\xc3\xa9", "\x01", "\x7f", '"a"', '"a":');

$fuzz->tell(prepare());
# What is sealed for the row, and what for others, other names, with other keys.
my @sealed = map { pack 'H*', $_ } @{ $fuzz->ask("SELECT encode(ciphertext, 'hex') FROM sealed ORDER BY own DESC;\n")
	// [] };
die "nothing was sealed\n" if !@sealed;
$fuzz->run(\&batch, \&question, \&answered);
$fuzz->tell("ALTER TABLE promote.secret ENABLE ALWAYS TRIGGER guard_secret;\n");
$fuzz->finish("$tried tries, $accepted accepted,");

# The lines of a batch.
sub batch {
	$tried += BATCH;
	return [map {
		my $kind = pick(('seal') x 12, ('value') x 3, ('json') x 4, 'keys');
		my $bytes = $kind eq 'seal' ? ciphertext() : $kind eq 'keys' ? keys_text() : $kind eq 'json' ? json() : value();
		"$kind\t" . unpack 'H*', $bytes;
	} 1 .. BATCH];
}

# One of the ciphertexts with one to four changes, a mixture of two, or noise.
sub ciphertext {
	return pick(@sealed) if rand() < 0.02;
	return noise(rand 80) if rand() < 0.05;
	my ($one, $two) = (pick(@sealed), pick(@sealed));
	if (rand() < 0.2) {
		my $at = int rand length $one;
		return substr($one, 0, $at) . ($at < length $two ? substr($two, $at) : '');
	}
	return change($one);
}

sub noise { return join '', map { chr rand 256 } 1 .. $_[0] }

# Flips bits, cuts, inserts, repeats.
sub change {
	my ($bytes) = @_;
	for (0 .. rand 4) {
		my $at = int rand(1 + length $bytes);
		my $how = rand;
		if ($how < 0.5 && $at < length $bytes) { substr($bytes, $at, 1) ^= chr(1 << rand 8) }
		elsif ($how < 0.65) { $bytes = substr $bytes, 0, $at }
		elsif ($how < 0.8) { substr($bytes, $at, 0) = noise(1 + rand 4) }
		elsif ($at < length $bytes) { substr($bytes, $at, 1 + rand 8) = '' }
	}
	return $bytes;
}

# Keys as a file might have them, none of them with a NUL, which no shell command could hold.
sub keys_text {
	my $text = join "\n", map { pick(@lines, @lines, "# comment", '', noise(rand 60)) } 0 .. rand 4;
	return (rand() < 0.7 ? change($text) : $text) =~ tr/\0//dr;
}

# A text.
sub value { return join '', map { pick(@tokens, map { chr ord('a') + rand 26 } 1 .. 20) } 0 .. rand 40 }

# Something like JSON.
sub json {
	my ($depth) = (@_, 0);
	my $kind = $depth > 5 ? 9 : int rand 10;
	my $text = $kind < 3 ? '[' . join(',', map { json($depth + 1) } 1 .. rand 4) . ']'
	  : $kind < 6 ? '{' . join(',',
	  	map { '"' . pick('a', 'b', '\\n', '\\u00e9') . '":' . json($depth + 1) } 1 .. rand 4) . '}'
	  : pick('1', '-0.5e+3', 'null', 'true', '"x"', '"[{\\""', '""', '"\\\\"', '  0 ');
	substr($text, rand(1 + length $text), rand 2) = pick(@tokens) if !$depth && rand() < 0.6 && length $text;
	return $text;
}

# What is asked of them.
sub question {
	my ($rows) = @_;
	return "TRUNCATE batch;\n" . copy_rows('batch', map { s/\t/\t\\x/r } @$rows) . <<'SQL';
WITH tried AS MATERIALIZED (SELECT b.*, t.* FROM batch AS b, pg_temp.try(kind, bytes) AS t)
SELECT 'accepted ' || count(*) FILTER (WHERE accepted) FROM tried
UNION ALL SELECT finding || ' ' || kind || ' ' || encode(bytes, 'hex') FROM tried WHERE finding IS NOT NULL;
SQL
}

# A count, or a finding.
sub answered {
	my ($line) = @_;
	return $line if $line !~ /^accepted (\d+)$/;
	$accepted += $1;
	return;
}

# An instance, a claim that holds, ciphertexts, and the function that tries one thing.
sub prepare {
	my $command = join '\\n', reverse @lines;
	return <<"SQL" . <<'SQL';
SET client_min_messages = warning;
SET statement_timeout = '60s';
LOAD 'promote';
CREATE TEMP TABLE command AS SELECT 'printf "$command\\n"' AS good;
SQL
SET log_min_messages = fatal;
SET promote.secret_key_file = '';
SELECT set_config('promote.secret_key_command', good, false) FROM command \g /dev/null
CREATE TEMP TABLE batch (kind text, bytes bytea);
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM promote.project WHERE project = 'fuzz') THEN
		INSERT INTO promote.bundle VALUES ('fuzz');
		INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets) VALUES ('fuzz', '1.0.0', '{}',
			'{"a": {}, "b": {"required": false}, "j": {"required": false, "format": "json"}}');
		INSERT INTO promote.project (project, attributes) VALUES ('fuzz', '{"fuzz": 1}');
		INSERT INTO promote.environment (project, environment) VALUES ('fuzz', 'e'), ('fuzz', 'f');
		INSERT INTO promote.component (project, component, bundle) VALUES ('fuzz', 'c', 'fuzz');
		INSERT INTO promote.instance (project, environment, component) VALUES ('fuzz', 'e', 'c'), ('fuzz', 'f', 'c');
		PERFORM promote.configure_instance('fuzz-e-c', '{}'), promote.configure_instance('fuzz-f-c', '{}',
			plan => false);
	END IF;
END $$;
ALTER TABLE promote.secret DISABLE TRIGGER guard_secret;
SELECT deployment, fencing FROM promote.claim_deployment('fuzz', lease => '31 days', selector => '{"fuzz": 1}') \gset
CREATE TEMP TABLE claim AS SELECT :deployment::integer AS deployment, :fencing::integer AS fencing;
SELECT promote.set_secret('fuzz-e-c', 'b', 'the same'), promote.set_secret('fuzz-f-c', 'a', 'the same') \g /dev/null
CREATE TEMP TABLE sealed AS SELECT ciphertext, false AS own FROM promote.secret;
SELECT promote.set_secret('fuzz-e-c', 'a', 'another') \g /dev/null
INSERT INTO sealed SELECT ciphertext, false FROM promote.secret WHERE environment = 'e' AND secret = 'a';
SELECT promote.set_secret('fuzz-e-c', 'a', 'the same') \g /dev/null
INSERT INTO sealed SELECT ciphertext, true FROM promote.secret WHERE environment = 'e' AND secret = 'a';
SELECT promote.set_secret('fuzz-e-c', 'a', 'the same') \g /dev/null
INSERT INTO sealed SELECT ciphertext, true FROM promote.secret WHERE environment = 'e' AND secret = 'a';

-- Does any run of some letters of it stand in the words?
CREATE FUNCTION pg_temp.shown(words text, hidden text) RETURNS boolean LANGUAGE sql AS
$$
	SELECT EXISTS (SELECT FROM generate_series(1, length(hidden) - 11) AS n
		WHERE strpos(words, substr(hidden, n, 12)) > 0)
$$;

CREATE FUNCTION pg_temp.try(kind text, bytes bytea, OUT accepted boolean, OUT finding text) LANGUAGE plpgsql AS
$$
DECLARE
	state text := 'ok';
	message text;
	facts text;
	advice text;
	given text;
	found text;
	is_json boolean;
BEGIN
	accepted := false;
	BEGIN
		IF kind = 'seal' THEN
			UPDATE promote.secret SET ciphertext = bytes WHERE project = 'fuzz' AND environment = 'e' AND secret = 'a';
		ELSIF kind = 'keys' THEN
			PERFORM set_config('promote.secret_key_command', 'true; printf "'
				|| (SELECT COALESCE(string_agg('\' || lpad(CASE WHEN b < 64 THEN format('%s%s', b / 8, b % 8)
					ELSE format('%s%s%s', b / 64, b / 8 % 8, b % 8) END, 3, '0'), ''), '')
					FROM generate_series(0, length(bytes) - 1) AS n, get_byte(bytes, n) AS b) || '"', true);
		ELSE
			given := convert_from(bytes, 'UTF8');
			PERFORM promote.set_secret('fuzz-e-c', CASE kind WHEN 'json' THEN 'j' ELSE 'a' END, given);
		END IF;
		SELECT string_agg(s.value, '' ORDER BY s.name) FILTER (WHERE s.name = CASE kind WHEN 'json' THEN 'j' ELSE 'a'
			END) INTO found
		  FROM claim AS c, promote.deployment_secrets('fuzz-e-c', c.deployment, c.fencing) AS s;
		accepted := true;
		RAISE EXCEPTION SQLSTATE 'ZZ001';
	EXCEPTION WHEN OTHERS THEN
		IF SQLSTATE <> 'ZZ001' THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, facts = PG_EXCEPTION_DETAIL,
				advice = PG_EXCEPTION_HINT;
		END IF;
	END;
	IF kind = 'json' THEN
		BEGIN
			is_json := given::json IS NOT NULL;
		EXCEPTION WHEN OTHERS THEN
			is_json := false;
		END;
	END IF;
	finding := CASE
		WHEN kind = 'seal' AND accepted AND NOT EXISTS (SELECT FROM sealed AS s
			WHERE s.own AND s.ciphertext = bytes) THEN 'opens()'
		WHEN kind = 'seal' AND NOT accepted AND EXISTS (SELECT FROM sealed AS s
			WHERE s.own AND s.ciphertext = bytes) THEN 'does not open()'
		WHEN kind IN ('value', 'json') AND accepted AND found IS DISTINCT FROM given THEN 'is another()'
		WHEN kind = 'json' AND accepted <> is_json THEN 'is JSON(' || is_json || ')'
		WHEN kind = 'value' AND NOT accepted AND given <> '' THEN 'value(' || state || ')'
		WHEN accepted THEN NULL
		WHEN state <> ALL (CASE kind WHEN 'seal' THEN ARRAY['PM713', 'PM712', '23502']
			WHEN 'keys' THEN ARRAY['PM712', 'PM713'] ELSE ARRAY['PM715'] END) THEN 'refusal(' || state || '): '
			|| message
		WHEN state ~ 'PM' AND (facts = '' OR advice = '') THEN 'short(' || state || '): ' || message
		WHEN state ~ 'PM' AND kind = 'keys' AND pg_temp.shown(concat(message, facts, advice),
			encode(bytes, 'escape')) THEN 'shows(' || state || '): ' || message || facts
		WHEN state ~ 'PM' AND given IS NOT NULL AND pg_temp.shown(concat(message, facts, advice), given) THEN 'shows('
			|| state || '): ' || message || facts END;
END
$$;
SQL
}
