#!/usr/bin/perl
#
# mask.pl: hostile overrides against schemas whose marks depend on what is in the document.
#
# usage: mask.pl [seconds [seed]]
#
# Each round makes a project of two environments, whose bundle has one release of test/fuzz/mask, or one of random
# parts, and publishes others later that mark more.  Then people configure, move values about by JSON Patches, change
# parameters, promote and roll back with overrides that turn branches, record plans, deploy and report drift, while a
# role that may only view looks at everything that it can call or select, and previews with overrides of its own.
#
# Every value is a word or a number that occurs nowhere else, so that the oracle is a search: a value that was marked
# where it turned up first, by the params as they stand or as they are rendered, is never seen again, whatever became of
# it; nor is a parameter that no configuration refers to.  What only a deployment has marked, because of the parameters
# that there were, is not seen from then on in what is asked, while it is nowhere else than where that was deployed
# from.  One that no marked place refers to any more comes from the environment the next time, and not from where it was
# marked.  What a release has ceased to mark is not looked at: releases mark more, never less.  What somebody brings
# along themselves is theirs to see.
#
# The connection is taken from the usual PG* variables; the database must have the extension, and the driver makes roles
# in it.  Prints one summary line; a finding is a value that was seen, with what has shown it, or an SQLSTATE other than
# class PM, and ends with exit status 1.  One round of ten is committed, so that listeners hear of it.
#
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(pick);

my $fuzz = Fuzz->new(name => 'mask', kept => 'a statement on each line');
my @corpus = map { s/\s+\z//r } $fuzz->corpus('mask');
my ($round, $looked, $previews, $masked, $hidden) = (0, 0, 0, 0, 0);
my (%secret, %later, %codes);    # by value: is it one? has only a deployment marked it?
my $asked = qr/^out \S+ (?:preview|promote|rollback|rehearse|compare_\w+|config_as_of) /;
my $word = qr/Z[0-9a-z]{10}Z|77[0-9]{11}/;
my $project;

# ---- what comes back ----

sub answered {
	my ($line) = @_;
	if ($line =~ /^note x (.*)/) {
		$secret{$1} = 0;
		return;
	}
	if ($line =~ /^note ([tf]) (.*)/) {
		$hidden++ if $1 eq 't' && !exists $secret{$2};
		$secret{$2} = $1 eq 't' if !exists $secret{$2};
		return;
	}
	if ($line =~ /^note u (.*)/) {
		$later{$1} = 1;
		return;
	}
	my ($who) = $line =~ /^out (\S+ \S+)/;
	# the owner sees what they like; of what they do the states are looked at
	$line =~ s/^(out fuzz_owner \S+ refused \w+).*/$1/;
	$looked++;
	$masked += () = $line =~ /\(sensitive value\)/g;
	$codes{"$1 $2"}++ if $line =~ /^out \S+ (\S+) refused (\w+)/;
	# what was recorded of resources before that is as it was recorded
	my @seen = ((grep { $secret{$_} } $line =~ /$word/g),
		grep { $later{$_} && $line =~ $asked } ($line =~ s/ (?:;; )?\(resource,.*?(?= ;; |\z)//gr) =~ /$word/g);
	$secret{$_} //= 0 for $line =~ /$word/g;
	return sprintf '%s) has shown %s in round %d: %s', $who // 'listen', $seen[0], $round,
	  $line =~ s/.*?(.{0,160}$seen[0].{0,80}).*/$1/sr if @seen;
	return "$1) raised $2: $line" if $line =~ /^out (\S+ \S+) refused (?!PM)(\w+)/;
	return;
}

# ---- documents ----

sub chance { my ($of) = @_; return rand() < $of }
sub quote { my ($text) = @_; return "'" . $text =~ s/'/''/gr . "'" }
sub word { return 'Z' . join('', map { (0 .. 9, 'a' .. 'z')[ rand 36 ] } 1 .. 10) . 'Z' }
sub number { return '77' . join '', map { int rand 10 } 1 .. 11 }

# A leaf, as JSON; with placeholders where there may be some.
sub leaf {
	my ($placeholders) = @_;
	return pick(@$placeholders) if @$placeholders && chance(0.2);
	return pick('"' . word() . '"', '"' . word() . '"', '"x ' . word() . '/y"', number());
}

sub value {
	my ($depth, $placeholders) = @_;
	return leaf($placeholders) if $depth == 0 || chance(0.5);
	return '[' . join(',', map { value($depth - 1, $placeholders) } 1 .. 1 + rand 3) . ']' if chance(0.5);
	return object($depth - 1, $placeholders, pick(1 .. 3));
}

my @keys = qw(a b c d x1 x2 o l);

sub object {
	my ($depth, $placeholders, $count) = @_;
	my %pairs;
	for my $key (map { pick(@keys) } 1 .. $count) {
		$pairs{$key} = value($depth, $placeholders);
		$pairs{$key} = object($depth - 1, $placeholders, 2) if $key eq 'o' && $depth > 0;
		$pairs{$key} = '[' . join(',', map { value($depth - 1, $placeholders) } 1 .. 3) . ']' if $key eq 'l'
			&& $depth > 0;
	}
	$pairs{mode} = pick('"m1"', '"m2"', '"m3"', @$placeholders ? '"{{MODE}}"' : ()) if chance(0.5);
	$pairs{kind} = pick('"k1"', '"k2"', '"k3"') if chance(0.4);
	return '{' . join(',', map { "\"$_\":$pairs{$_}" } sort keys %pairs) . '}';
}

sub params { return object(2, ['"{{P1}}"', '"{{P2}}"', '"u {{P1}} v"'], 7) }

# A patch that turns branches, takes keys away, and sets some.
sub patch {
	my ($placeholders) = @_;
	my %pairs;
	$pairs{mode} = pick('"m1"', '"m2"', '"m3"', 'null', '7') if chance(0.7);
	$pairs{kind} = pick('"k1"', '"k2"', '"k3"', 'null', '[]') if chance(0.6);
	$pairs{ pick(@keys) } = pick('null', '{}', '[]', value(2, $placeholders), value(1, $placeholders)) for 1 .. rand 3;
	$pairs{o} = '{' . pick('"a":null', '"a":' . leaf($placeholders), '"mode":"m2","kind":"k2"') . '}' if chance(0.2);
	return '{' . join(',', map { "\"$_\":$pairs{$_}" } sort keys %pairs) . '}';
}

# Operations of a JSON Patch that take values elsewhere; those that do not apply are left out by who applies them.
sub moves {
	my @places = qw(/a /b /c /d /x1 /o /l /l/0 /l/1 /l/2 /o/a /o/b /new /o/new /l/-);
	return map { sprintf '{"op":"%s","from":"%s","path":"%s"}', pick(qw(move copy)), pick(@places),
		pick(@places) } 1 .. 1 + rand 3;
}

# A JSON Patch that copies, moves, shifts and tests what is there, and turns branches; most operations fit often.
sub json_patch {
	my ($placeholders) = @_;
	my @places = qw(/a /b /c /d /x1 /o /l /l/0 /l/1 /o/a /o/b /o/mode /mode /kind);
	my @operations = map {
		my $kind = pick(qw(add add replace remove copy copy move test));
		my @members = (qq("op":"$kind"), sprintf '"path":"%s"',
			pick(@places, $kind =~ /add|copy|move/ ? ('/new', '/l/-') : ()));
		push @members, sprintf '"from":"%s"', pick(@places) if $kind =~ /copy|move/;
		push @members, '"value":' . pick('"m1"', '"k2"', 'null', leaf($placeholders), value(1, $placeholders))
			if $kind =~ /add|replace|test/;
		'{' . join(',', @members) . '}';
	} 1 .. 1 + rand 3;
	return '[' . join(',', @operations) . ']';
}

# Overrides of either kind.
sub overrides {
	my ($placeholders) = @_;
	return chance(0.5) ? json_patch($placeholders) : patch($placeholders);
}

# ---- schemas ----

my $mark = '"$md.sensitive":true';

sub marked_keys {
	return join ',', map {
		sprintf '"%s":{%s}', $_, $_ eq 'l' && chance(0.5) ? pick("\"items\":{$mark}",
			"\"items\":[{\"\$md.copyable\":false},{$mark}]") :
		  $_ eq 'o' && chance(0.5) ? "\"properties\":{\"a\":{$mark}}" : chance(0.15) ? '"$md.copyable":false' : $mark
	} sort keys %{ { map { $_ => 1 } map { pick(@keys) } 1 .. 1 + rand 4 } };
}

sub part {
	my $keys = marked_keys();
	my $other = marked_keys();
	my ($m, $k) = (pick('m1', 'm2'), pick('k1', 'k2'));
	return pick(
		"{\"properties\":{$keys}}",
		"{\"if\":{\"properties\":{\"mode\":{\"const\":\"$m\"}}},\"then\":{\"properties\":{$keys}}}",
		"{\"if\":{\"properties\":{\"mode\":{\"const\":\"$m\"}},\"required\":[\"mode\"]},"
			. "\"then\":{\"properties\":{$keys}},\"else\":{\"properties\":{$other}}}",
		"{\"if\":{\"required\":[\"kind\"]},\"else\":{\"properties\":{$keys}}}",
		"{\"anyOf\":[{\"properties\":{\"kind\":{\"const\":\"$k\"},$keys}},{\"properties\":{$other}},{}]}",
		"{\"oneOf\":[{\"properties\":{\"kind\":{\"const\":\"$k\"},$keys},\"required\":[\"kind\"]},"
			. "{\"properties\":{\"kind\":{\"not\":{\"const\":\"$k\"}}}},{\"not\":{}}]}",
		"{\"allOf\":[{\"if\":{\"properties\":{\"kind\":{\"enum\":[\"$k\"]}}},\"then\":{\"properties\":{$keys}}},"
			. "{\"properties\":{\"o\":{\"if\":{\"required\":[\"mode\"]},"
			. "\"else\":{\"additionalProperties\":{$mark}}}}}]}",
		"{\"dependencies\":{\"" . pick(@keys, 'kind') . "\":{\"properties\":{$keys}}}}",
		"{\"if\":{\"properties\":{\"mode\":{\"const\":\"$m\"}}},\"then\":{\"\$ref\":\"#/definitions/all\"}}",
		"{\"if\":{\"properties\":{\"kind\":{\"const\":\"$k\"}}},"
			. "\"then\":{\"patternProperties\":{\"^x[0-9]\":{$mark}}},"
			. "\"else\":{\"properties\":{\"l\":{\"items\":{$mark}}}}}",
		"{\"properties\":{\"l\":{\"contains\":{\"type\":\"integer\",$mark},\"items\":[{},{\"\$md.copyable\":false},"
			. "{$mark}]}}}",
		"{\"if\":{\"properties\":{\"mode\":{\"const\":\"$m\"}}},\"then\":{\"additionalProperties\":{$mark},"
			. "\"properties\":{\"mode\":{},\"kind\":{}}}}");
}

# A schema of parts: the releases that come later have more of them.
sub schema {
	my (@parts) = @_;
	return '{"definitions":{"all":{"properties":{"a":{' . $mark . '},"b":{' . $mark . '},"l":{"items":{' . $mark
		. '}}}}},"allOf":['
	  . join(',', @parts) . ']}';
}

# ---- a round ----

sub as { my ($role, $what, $sql) = @_; return sprintf "SELECT fuzz.ask(%s, %s, %s);\n", quote($role), quote($what),
	quote($sql) }
sub instance { my ($environment) = @_; return quote("$project-$environment-c") }
sub note { return "SELECT fuzz.note(" . quote($project) . ");\n" }

# Something that the owner does.
sub owner { my ($what, $sql) = @_; return as('fuzz_owner', $what, $sql) . note() }

sub parameters {
	my ($first) = map { quote(sprintf '{"P1":"%s","P2":"%s","MODE":"%s","HIDDEN":"%s"}', word(), word(),
		pick('m1', 'm2', 'm3'), $_) } my $secret = word();
	return ("SELECT 'note t $secret';\n", $first);
}

sub configure {
	my ($environment) = @_;
	return owner('configure', sprintf 'SELECT FROM promote.configure_instance(%s, %s::jsonb, %s, plan => %s)',
		instance($environment),
		quote(chance(0.5) ? params() : overrides(['"{{P1}}"', '"w {{P2}}"'])), chance(0.3) ? "'latest'" : 'NULL',
			chance(0.7) ? 'true' : 'false');
}

sub preview {
	$previews++;
	# who may only view has placeholders of their own, too
	my $own = chance(0.2) ? ['"{{HIDDEN}}"', '"x{{P1}}"', '"\\\\{{HIDDEN}}"'] : [];
	return as(@$own ? 'fuzz_viewer' : pick('fuzz_viewer', 'fuzz_promoter'), 'preview',
		sprintf 'SELECT * FROM promote.preview_promotion(%s, %s, %s)',
		instance('staging'), instance('production'), quote(overrides($own)));
}

sub promotion {
	my $options = pick('', ', plan => false', ", idempotency_key => '" . word() . "'", ', allow_replace => true');
	my $op = as('fuzz_promoter', 'promote', sprintf 'SELECT * FROM promote.promote_instance(%s, %s, %s%s)',
		instance('staging'), instance('production'), quote(overrides([])), $options);
	return $op . note();
}

sub request {
	my $open = sprintf 'SELECT * FROM promote.open_request(%s, %s, %s, overrides => %s)', quote($project), "'staging'",
		"'production'", quote('{"c":' . patch([]) . '}');
	return as('fuzz_promoter', 'request', $open) . as('fuzz_promoter', 'preview_request',
		sprintf 'SELECT * FROM promote.preview_request(%s, fuzz.last_request(%s))', quote($project), quote($project))
	  . as('fuzz_viewer', 'evidence', sprintf 'SELECT promote.request_evidence(%s, fuzz.last_request(%s))',
	  	quote($project), quote($project))
	  . as('fuzz_promoter', 'cancel', sprintf "SELECT * FROM promote.cancel_request(%s, fuzz.last_request(%s), 'x')",
	  	quote($project), quote($project));
}

sub change_parameters {
	my ($note, $p) = parameters();
	return $note . owner('parameters',
		sprintf 'UPDATE promote.parameter_set SET parameters = %s WHERE project = %s AND environment = %s', $p,
		quote($project), quote($_[0]));
}

sub deploy { return owner('deploy', sprintf 'SELECT fuzz.deploy(%s)', instance($_[0])) }

my @ops = (
	sub { configure('staging') }, sub { configure('staging') }, sub { configure('production') },
	sub { my $e = pick('staging', 'production'); owner('move', sprintf 'SELECT fuzz.move(%s, ARRAY[%s]::jsonb[])',
		instance($e), join ',', map { quote($_) } moves()) },
	sub { change_parameters(pick('staging', 'production')) },
	# what is marked while it is deployed, and perhaps not before and after
	sub { my $e = pick('staging', 'production'); change_parameters($e) . deploy($e) . change_parameters($e)
		. preview() },
	(\&preview) x 5, (\&promotion) x 3, \&request,
	sub { deploy(pick('staging', 'production', 'production')) }, sub { deploy('production') },
	sub { owner('observe', sprintf 'SELECT fuzz.observe(%s, ARRAY[%s]::jsonb[])', instance('production'), join ',',
		map { quote($_) } moves()) },
	sub { owner('adopt', sprintf 'SELECT FROM promote.adopt_drift(%s)', instance('production')) },
	sub { as('fuzz_promoter', 'rollback', sprintf 'SELECT * FROM promote.rollback_instance(%s)', instance('production'))
		. note() },
	sub { owner('decommission', sprintf 'SELECT fuzz.decommission(%s)', instance('production')) },
);

sub sweep { return sprintf "SELECT fuzz.sweep(%s);\n", quote($project) }

# A round, a statement in each element.
sub batch {
	$round++;
	$project = "fz$round" . lc substr word(), 1, 4;
	my @parts = map { part() } 1 .. 1 + rand 3;
	my $kept = chance(0.3) ? pick(@corpus) : undef;
	my @sql = ("BEGIN;\n", sprintf "SELECT fuzz.project(%s, %s);\n", quote($project), quote($kept // schema(@parts)));
	for my $environment ('staging', 'production') {
		my ($note, $p) = parameters();
		push @sql, $note, sprintf "UPDATE promote.parameter_set SET parameters = %s WHERE project = %s AND "
			. "environment = '%s';\n", $p, quote($project), $environment;
		push @sql, owner('configure', sprintf "SELECT FROM promote.configure_instance(%s, %s::jsonb)",
			instance($environment), quote(params()));
	}
	my $releases = 1;
	for (1 .. 16) {
		push @sql, pick(@ops)->();
		next if defined $kept || !chance(0.08);
		push @parts, part();
		$releases++;
		push @sql, sprintf "SELECT fuzz.publish(%s, '%d.0.0', %s);\n", quote($project), $releases,
			quote(schema(@parts));
	}
	push @sql, sweep(), $round % 10 == 0 ? "COMMIT;\n" : "ROLLBACK;\n";
	return \@sql;
}

$fuzz->tell(prepare());
$fuzz->run(\&batch, sub { join '', @{ $_[0] } }, \&answered);
print map { "  $_: $codes{$_}\n" } $ENV{FUZZ_SEEN} ? sort keys %codes : ();
$fuzz->finish(sprintf '%d rounds, %d previews, %d answers with %d masks looked through for %d values',
	$round, $previews, $looked, $masked, $hidden);

# ---- the other end ----

sub prepare {
	return <<'SQL';
SET client_min_messages = error;
SET search_path = pg_catalog;
SET plpgsql.variable_conflict = use_column;
DROP SCHEMA IF EXISTS fuzz CASCADE;
CREATE SCHEMA fuzz;
GRANT USAGE ON SCHEMA fuzz TO PUBLIC;
DO $$
BEGIN
    IF to_regrole('fuzz_viewer') IS NULL THEN
        CREATE ROLE fuzz_viewer;
        CREATE ROLE fuzz_promoter;
    END IF;
END
$$;
INSERT INTO promote.grants (role, action) VALUES ('fuzz_viewer', 'view'),
	('fuzz_promoter', 'promote') ON CONFLICT DO NOTHING;
LISTEN promote;

CREATE FUNCTION fuzz.project(p text, s text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO promote.bundle VALUES (p);
    INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES (p, '1.0.0', s::jsonb);
    INSERT INTO promote.project (project) VALUES (p);
    INSERT INTO promote.environment (project, environment, require_proven_release)
        VALUES (p, 'staging', false), (p, 'production', false);
    INSERT INTO promote.parameter_set (project, environment) VALUES (p, 'staging'), (p, 'production');
    INSERT INTO promote.component (project, component, bundle) VALUES (p, 'c', p);
    INSERT INTO promote.instance (project, environment, component) VALUES (p, 'staging', 'c'), (p, 'production', 'c');
END
$$;
CREATE FUNCTION fuzz.publish(p text, v text, s text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES (p, v, s::jsonb) $$;
CREATE FUNCTION fuzz.last_request(p text) RETURNS integer LANGUAGE sql SECURITY DEFINER AS $$
    SELECT max(request) FROM promote.promotion_request WHERE project = p $$;

-- What a role is told: rows, or all of an error, in one line.  What the owner is told is not looked at.
CREATE FUNCTION fuzz.ask(role text, what text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    state text; message text; detail text; hint text; context text;
BEGIN
    IF role <> 'fuzz_owner' THEN
        PERFORM set_config('role', role, true);
        EXECUTE 'SELECT string_agg(x::text, '' ;; '') FROM (' || statement || ') AS x' INTO said;
        PERFORM set_config('role', 'none', true);
        RETURN 'out ' || role || ' ' || what || ' ' || translate(COALESCE(said, ''), E'\n\r', '  ');
    END IF;
    EXECUTE statement;
    RETURN 'out owner ' || what;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    	hint = PG_EXCEPTION_HINT;
    RETURN 'out ' || role || ' ' || what || ' refused ' || state || ' ' || translate(concat_ws(' ', message, detail,
    	hint), E'\n\r', '  ');
END
$$;

-- The words and numbers of a text or document, and those that are all of a value.
CREATE FUNCTION fuzz.words(document jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT m[1] FROM regexp_matches(document::text, 'Z[0-9a-z]{10}Z|\m77[0-9]{11}\M', 'g') AS m $$;
-- The values that are marked: by the params as they stand and as they are rendered.  Of a text that a parameter is a
-- part of
-- the parameter is not marked itself.
CREATE FUNCTION fuzz.marked(raw jsonb, rendered jsonb, params_schema jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT w FROM (SELECT l.path
    	FROM promote.jsonb_leaf_diff('{}', promote.jsonb_keep_annotated(raw, params_schema, '$md.sensitive',
    	'true')) AS l
                    WHERE promote.jsonb_at_path(raw, l.path) = l.new_value
                    UNION SELECT l.path FROM promote.jsonb_leaf_diff('{}', promote.jsonb_keep_annotated(rendered,
                    	params_schema, '$md.sensitive', 'true')) AS l
                    WHERE promote.jsonb_at_path(rendered, l.path) = l.new_value) AS p
     CROSS JOIN LATERAL (SELECT fuzz.words(promote.jsonb_at_path(raw, p.path))
                         UNION SELECT v #>> '{}' FROM (SELECT promote.jsonb_at_path(rendered, p.path)) AS r (v)
                         	WHERE v #>> '{}' ~ '^(Z[0-9a-z]{10}Z|77[0-9]{11})$') AS x (w) $$;
-- The values that what was deployed of a revision has marked, where they are in no other revision or configuration,
-- and no parameter.
CREATE FUNCTION fuzz.deployed_marks(p text) RETURNS SETOF text LANGUAGE sql AS $$
    WITH rendered AS (SELECT c.params AS raw, k.params AS rendered, f.params_schema, r.digest, d.rendered_digest,
    	i.name, i.environment, i.component, i.revision
                        FROM promote.instance AS i
                        JOIN promote.revision AS r USING (project, environment, component)
                        JOIN promote.deployment AS d USING (project, environment, component)
                        JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest
                        JOIN promote.config AS k ON k.project = r.project AND k.digest = d.rendered_digest
                        JOIN promote.bundle_release AS f ON f.bundle = d.bundle AND f.version = d.version
                       WHERE i.project = p AND r.revision = i.revision AND d.revision = r.revision)
    SELECT DISTINCT w FROM rendered AS o CROSS JOIN LATERAL fuzz.marked(o.raw, o.rendered, o.params_schema) AS w
     WHERE NOT EXISTS (SELECT FROM promote.parameter_set AS e
     	WHERE e.project = p AND e.parameters::text LIKE '%' || w || '%')
       AND NOT EXISTS (SELECT FROM promote.config AS c WHERE c.project = p AND c.params::text LIKE '%' || w || '%'
       	AND c.digest NOT IN
                       (SELECT unnest(ARRAY[s.digest, s.rendered_digest]) FROM rendered AS s WHERE s.name = o.name))
       AND NOT EXISTS (SELECT FROM (SELECT r.project, r.environment, r.component, r.revision, r.digest
       	FROM promote.revision AS r
                                    UNION ALL SELECT d.project, d.environment, d.component, d.revision,
                                    	d.rendered_digest FROM promote.deployment AS d) AS x
                         JOIN promote.config AS c ON c.project = x.project AND c.digest = x.digest
                        WHERE x.project = p AND (x.environment, x.component, x.revision) <> (o.environment, o.component,
                        	o.revision) AND c.params::text LIKE '%' || w || '%') $$;
-- Of all values that are there now: is it marked?
CREATE FUNCTION fuzz.note(p text) RETURNS SETOF text LANGUAGE sql AS $$
    WITH now AS (SELECT c.params AS raw, promote.jsonb_render(c.params, e.parameters) AS rendered, f.params_schema
                   FROM promote.revision AS r
                   JOIN promote.instance AS i USING (project, environment, component)
                   JOIN promote.parameter_set AS e USING (project, environment)
                   JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest
                   JOIN promote.bundle_release AS f ON f.bundle = r.bundle AND f.version = r.version
                  WHERE r.project = p AND r.revision = i.revision),
         secret AS (SELECT DISTINCT fuzz.marked(n.raw, n.rendered, n.params_schema) AS w FROM now AS n)
    SELECT 'note t ' || w FROM secret
    UNION ALL
    SELECT 'note f ' || w FROM (SELECT fuzz.words(n.rendered) AS w FROM now AS n UNION SELECT fuzz.words(n.raw)
    	FROM now AS n EXCEPT SELECT w FROM secret) AS x
    UNION ALL
    SELECT 'note u ' || v.w FROM fuzz.deployed_marks(p) AS v (w)
    UNION ALL
    SELECT 'note x ' || v.value FROM promote.parameter_set AS e CROSS
    	JOIN LATERAL jsonb_each_text(e.parameters - 'HIDDEN') AS v
     WHERE e.project = p AND v.value NOT IN (SELECT w FROM secret) $$;

-- Operations of a JSON Patch, as far as they apply.
CREATE FUNCTION fuzz.moved(document jsonb, operations jsonb[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    operation jsonb;
BEGIN
    FOREACH operation IN ARRAY operations LOOP
        BEGIN
            document := promote.jsonb_apply_patch(document, jsonb_build_array(operation));
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    RETURN document;
END
$$;
CREATE FUNCTION fuzz.move(instance text, operations jsonb[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    was jsonb := (SELECT c.params FROM promote.config_as_of(instance, 'infinity') AS c);
BEGIN
    PERFORM promote.configure_instance(instance, promote.jsonb_merge_diff(was, fuzz.moved(was, operations)));
END
$$;
CREATE FUNCTION fuzz.observe(instance text, operations jsonb[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.report_observed(instance, fuzz.moved(c.params, operations), 'fuzz')
    	FROM promote.config_as_of(instance, 'infinity', 'running') AS c;
END
$$;

-- A plan that has the params in all places where a tool may put them.
CREATE FUNCTION fuzz.plan(params jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('format_version', '1.2', 'resource_changes', jsonb_build_array(jsonb_build_object(
        'address', 'r.t["' || COALESCE(max(w), 'x') || '"]', 'mode', 'managed', 'type', 't', 'action_reason',
        	'because of ' || COALESCE(min(w), 'x'),
        'change', jsonb_build_object('actions', '["delete", "create"]'::jsonb, 'before',
        	jsonb_build_object('tags', COALESCE(jsonb_object_agg(w, 1) FILTER (WHERE w IS NOT NULL), '{}')),
            'replace_paths', COALESCE(jsonb_agg(jsonb_build_array('tags', w)) FILTER (WHERE w IS NOT NULL), '[]'),
            'after', jsonb_build_object('env', COALESCE(jsonb_agg('V=' || w), '[]'), 'all', params::text, 'doc',
            	params)))))
      FROM (SELECT DISTINCT v #>> '{}'
      	FROM jsonb_path_query(params, 'strict $.** ? (@.type() == "string" || @.type() == "number")') AS v) AS x (w)
     WHERE length(w) > 5 $$;
CREATE FUNCTION fuzz.work() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c record;
BEGIN
    FOR i IN 1 .. 20 LOOP
        SELECT * INTO c FROM promote.claim_deployment('fuzz');
        EXIT WHEN NOT FOUND;
        IF c.action = 'PLAN' THEN
            PERFORM promote.record_plan(c.instance, c.deployment, fuzz.plan(c.params), c.fencing);
        END IF;
        PERFORM promote.complete_deployment(c.instance, c.deployment, c.fencing);
    END LOOP;
END
$$;
CREATE FUNCTION fuzz.deploy(instance text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.plan_instance(instance);
    PERFORM fuzz.work();
    PERFORM promote.deploy_instance(instance);
    PERFORM fuzz.work();
END
$$;
CREATE FUNCTION fuzz.decommission(instance text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promote.decommission_instance(instance);
    PERFORM fuzz.work();
END
$$;

-- All that who may view can select, and ask: each table and view of promote's, as far as it is about the project.
CREATE FUNCTION fuzz.sweep(p text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    t record;
    one text;
BEGIN
    FOR t IN SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns,
                    bool_or(a.attname = 'project') AS of_project,
                    	bool_or(a.attname = 'instance' AND a.atttypid = 'text'::regtype) AS of_instance
               FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              WHERE c.relnamespace = 'promote'::regnamespace AND c.relkind IN ('r', 'v')
              	AND has_column_privilege('fuzz_viewer', c.oid, a.attnum, 'SELECT')
              GROUP BY c.relname
    LOOP
        CONTINUE WHEN t.relname IN ('bundle_release', 'stateful_type');
        RETURN NEXT fuzz.ask('fuzz_viewer', t.relname, format('SELECT %s FROM promote.%I', t.columns, t.relname)
            || CASE WHEN t.of_project THEN format(' WHERE project = %L', p)
            	WHEN t.of_instance THEN format(' WHERE instance LIKE %L', p || '-%') ELSE '' END);
    END LOOP;
    FOREACH one IN ARRAY ARRAY[p || '-staging-c', p || '-production-c'] LOOP
        RETURN NEXT fuzz.ask('fuzz_viewer', 'rehearse', format('SELECT * FROM promote.rehearse_rollback(%L)', one));
        RETURN NEXT fuzz.ask('fuzz_viewer', 'blockers', format('SELECT * FROM promote.blockers(%L)', one));
        RETURN QUERY SELECT fuzz.ask('fuzz_viewer', 'config_as_of',
        	format('SELECT * FROM promote.config_as_of(%L, %L, %L)', one, m, s))
            FROM unnest(ARRAY['desired', 'running']) AS s, (SELECT created_at FROM promote.revision WHERE project = p
            	UNION ALL SELECT finished_at FROM promote.deployment
            	WHERE project = p AND finished_at IS NOT NULL) AS x (m);
        RETURN QUERY SELECT fuzz.ask('fuzz_viewer', 'plan_text', format('SELECT promote.plan_text(%L, %s)', one, d))
        	FROM generate_series(1, 9) AS d;
        RETURN QUERY SELECT fuzz.ask('fuzz_viewer', 'rehearse',
        	format('SELECT * FROM promote.rehearse_rollback(%L, %s)', one, r)) FROM generate_series(1, 4) AS r;
        RETURN QUERY SELECT fuzz.ask('fuzz_viewer', 'compare_deployments',
        	format('SELECT * FROM promote.compare_deployments(%L, %L)', one || '/' || d, other || '-c' || '/' || e))
            FROM generate_series(1, 4) AS d, generate_series(1, 4) AS e,
            	unnest(ARRAY[p || '-staging', p || '-production']) AS other;
    END LOOP;
    RETURN NEXT fuzz.ask('fuzz_viewer', 'compare_instances', format('SELECT * FROM promote.compare_instances(%L, %L)',
    	p || '-staging-c', p || '-production-c'));
    RETURN NEXT fuzz.ask('fuzz_viewer', 'compare_instances', format('SELECT * FROM promote.compare_instances(%L, %L)',
    	p || '-production-c', p || '-staging-c'));
    RETURN NEXT fuzz.ask('fuzz_viewer', 'matrix', format('SELECT * FROM promote.matrix(%L)', p));
    RETURN QUERY SELECT fuzz.ask('fuzz_viewer', 'evidence',
    	format('SELECT promote.request_evidence(%L, %s), promote.handoff_text(%L, %s)', p, r, p, r))
    	FROM generate_series(1, fuzz.last_request(p)) AS r;
END
$$;
SQL
}
