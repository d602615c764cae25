#!/usr/bin/perl
#
# blame.pl: what blame and leaf_history say is what a replay of the whole history says.
#
# usage: blame.pl [seconds [seed]]
#
# Each round is a history of a new project: four environments and one component.  Instances are edited, promoted with
# overrides that set, remove and empty, forked, taken back to former revisions, and take over drift; some revisions are
# written by verbs, others by hand.  A model replays all revisions from the first to the last: of each leaf it keeps who
# has set it and through what it came, and a revision that takes a leaf over takes that along.  So it goes the other way
# than blame, which walks back, and knows nothing but the rows of the tables.  A finding is a difference:
#
#   - of blame, of what is desired and of a former revision, to the model, by an owner and by a role that may view some
#     of the environments,
#   - of leaf_history to the differences of all neighbours,
#   - of what is masked to what the schema marks; an error.
#
# The connection is taken from the usual PG* variables and has to be a superuser's; the database must have the
# extension.  Prints one summary line; with findings the exit status is 1.
#
use strict;
use warnings;
no warnings 'recursion';
use FindBin;
use lib "$FindBin::Bin/lib";
use FuzzSession;
use Fuzz qw(pick);
use JSON::PP ();

use constant STEPS => 50;
use constant MASK => '"(sensitive value)"';

$| = 1;
my ($seconds, $seed) = ($ARGV[0] // 60, $ARGV[1] // time);
my ($start, $round, $findings, $leaves, $taken, $hidden, $refused, $rounds_seed) = (time, 0, 0, 0, 0, 0, 0, 0);
my $json = JSON::PP->new->canonical->allow_nonref;
my $session = FuzzSession->new;
my @environments = qw(dev qa staging production);
my @keys = ('a', 'b', 'c', 'a b', 'own', 'pw');
my (%found, $project);

$session->send(<<'SQL');
SET client_min_messages = error;
SET jit = off;
SELECT 'CREATE ROLE blame_fuzzer' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'blame_fuzzer') \gexec
DROP SCHEMA IF EXISTS blame_fuzz CASCADE;
CREATE SCHEMA blame_fuzz;
GRANT USAGE ON SCHEMA blame_fuzz TO PUBLIC;
CREATE FUNCTION blame_fuzz.try(statement text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	answer jsonb;
BEGIN
	EXECUTE 'SELECT COALESCE(jsonb_agg(to_jsonb(x)), ''[]'') FROM (' || statement || ') AS x' INTO answer;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	RETURN to_jsonb(concat_ws(' ', SQLSTATE, SQLERRM));
END
$$;
CREATE FUNCTION blame_fuzz.write(project text, environment text, params jsonb, origin text, source text, number integer,
	overrides jsonb, version_constraint text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO promote.config (project, params) VALUES ($1, $3) ON CONFLICT DO NOTHING;
	INSERT INTO promote.revision (project, environment, component, digest, version_constraint, origin,
		source_environment, source_revision, overrides, plan)
	VALUES ($1, $2, 'x', promote.config_digest($1, $3), $8, $4, $5, $6, $7, false);
END
$$;
CREATE FUNCTION blame_fuzz.make(project text, visible text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO promote.bundle VALUES ($1);
	INSERT INTO promote.bundle_release (bundle, version, params_schema) VALUES
		($1, '1.0.0', '{"properties": {"own": {"$md.copyable": false}, "pw": {"$md.sensitive": true}}}'),
		($1, '1.1.0', '{"properties": {"own": {"$md.copyable": false}, "pw": {"$md.sensitive": true}}}');
	INSERT INTO promote.project (project) VALUES ($1);
	INSERT INTO promote.environment (project, environment, require_proven_release)
	SELECT $1, e, false FROM unnest(ARRAY['dev', 'qa', 'staging', 'production']) AS e;
	INSERT INTO promote.component (project, component, bundle) VALUES ($1, 'x', $1);
	INSERT INTO promote.instance (project, environment, component)
	SELECT $1, e, 'x' FROM unnest(ARRAY['dev', 'qa', 'staging', 'production']) AS e;
	PERFORM promote.grant_action('blame_fuzzer', 'view', $1, v) FROM unnest($2) AS v;
END
$$;
SQL
do { round($seed + $round++) } while (time < $start + $seconds);
$session->end;
printf "blame: %d leaves, %d taken over, %d hidden, %d verbs refused in %d rounds in %d seconds, %d findings (seed "
	. "%s)\n",
	$leaves, $taken, $hidden, $refused, $round, time - $start, $findings, $seed;
exit($findings ? 1 : 0);

# ---- talking ----

sub chance { my ($of) = @_; return rand() < $of }
sub quote { my ($text) = @_; return defined $text ? "'" . $text =~ s/'/''/gr . "'" : 'NULL' }

sub found {
	my ($kind, @told) = @_;
	$findings++;
	print "finding: $kind (seed $rounds_seed): @told\n" if $found{$kind}++ < 5;
	return;
}

# The rows of a statement, as hashes; nothing where it is refused, which is a finding unless it may be.
sub ask {
	my ($statement, $may) = @_;
	$session->send('SELECT blame_fuzz.try(', quote($statement), ");\n");
	my $lines = $session->answer // die "blame: connection lost (seed $rounds_seed)\n";
	my $answer = $json->decode(join '', @$lines);
	return @$answer if ref $answer;
	$refused++;
	found("refused", "$statement: $answer") if !$may || $answer !~ /^PM(?:103|401|003)/;
	return;
}

# ---- a history ----

sub value {
	my ($depth) = @_;
	my $kind = int rand 10;
	return int rand 3 if $kind < 4 || $depth > 2;
	return pick('x', 'y') if $kind < 6;
	return { map { $keys[rand 4] => value($depth + 1) } 1 .. rand 3 } if $kind < 8;
	return [map { value($depth + 1) } 1 .. rand 3] if $kind < 9;
	return pick(JSON::PP::true, JSON::PP::null);
}

# A document that is a little different.
sub changed {
	my ($document) = @_;
	my $copy = $json->decode($json->encode($document));
	for (0 .. rand 2) {
		my $key = pick(@keys);
		if (chance(0.2)) { delete $copy->{$key} }
		elsif (ref $copy->{$key} eq 'HASH' && chance(0.5)) { $copy->{$key}{ pick(@keys[0 .. 3]) } = value(1) }
		else { $copy->{$key} = value(0) }
	}
	return $copy;
}

# A merge patch.
sub patch { return { map { pick(@keys) => chance(0.2) ? JSON::PP::null : value(0) } 1 .. rand 3 } }

sub instance { my ($environment) = @_; return quote("$project-$environment-x") }

sub round {
	$rounds_seed = shift;
	srand $rounds_seed;
	$project = 'p' . ($rounds_seed % 1000000) . 'q' . $$;
	my @visible = grep { chance(0.5) } @environments;
	ask("SELECT blame_fuzz.make('$project', '{" . join(',', 'dev', @visible) . "}')");
	ask("SELECT promote.configure_instance(" . instance($_) . ", '{\"a\": 1, \"own\": 2}', '~1')") for @environments;
	my %history = history();
	for (1 .. STEPS) {
		step(\%history);
		%history = history() if chance(0.3);
	}
	%history = history();
	my $model = replay(\%history, { map { $_ => 1 } @environments });
	my $seen = { map { $_ => 1 } 'dev', @visible };
	for my $environment (@environments) {
		my $last = @{ $history{$environment} };
		hold_blame($environment, $_, $model, '') for $last, 1 + int rand $last;
		hold_history($environment, $history{$environment});
		hold_blame($environment, $last, replay(\%history, $seen), 'blame_fuzzer') if $seen->{$environment};
	}
	return;
}

# One change of somebody.
sub step {
	my ($history) = @_;
	my ($from, $to) = (pick(@environments), pick(@environments));
	my $kind = int rand 10;
	if ($kind < 3) {
		my $constraint = chance(0.2) ? quote(pick('~1', '~1.0', '1.1.0', 'latest')) : 'NULL';
		ask('SELECT promote.configure_instance(' . instance($to) . ', ' . quote($json->encode(patch()))
			. "::jsonb, $constraint, plan => false)", 1);
	} elsif ($kind < 7) {
		return if $from eq $to;
		my $overrides = chance(0.6) ? quote($json->encode(patch())) : "'{}'";
		ask('SELECT promote.promote_instance(' . instance($from) . ', ' . instance($to)
			. ", $overrides, plan => false)", 1);
	} else {
		by_hand($history, $from, $to);
	}
	return;
}

# A revision that is written by hand: a former one of its source, as it is or changed.
sub by_hand {
	my ($history, $from, $to) = @_;
	my $origin = pick(qw(fork rollback adoption edit), $from eq $to ? () : 'promotion');
	$from = $to if $origin eq 'rollback' && chance(0.9);
	my $source = pick(@{ $history->{$from} });
	my $params = chance(0.5) ? $source->{params} : changed($source->{params});
	my $overrides = chance(0.4) ? quote($json->encode(patch())) : 'NULL';
	my @source = $origin eq 'edit' && chance(0.7) ? ('NULL', 'NULL') : (quote($from), $source->{revision});
	ask("SELECT blame_fuzz.write('$project', '$to', " . quote($json->encode($params)) . ", '$origin', "
		. join(', ', @source, $overrides, quote(chance(0.7) ? $source->{version_constraint} : pick('~1', '1.0.0')))
			. ')', 1);
	return;
}

# All revisions, as the tables have them, in the order in which they were written.
sub history {
	my @rows = ask("SELECT r.environment, r.revision, r.origin, r.source_environment, r.source_revision, r.overrides,"
		. ' r.version_constraint, r.release_channel, r.actor, r.message, c.params'
		. ' FROM promote.revision AS r JOIN promote.config AS c USING (project, digest)'
		. " WHERE r.project = '$project' ORDER BY r.created_at, r.revision");
	my (%history, $number);
	for my $row (@rows) {
		$row->{order} = $number++;
		push @{ $history{ $row->{environment} } }, $row;
	}
	return %history;
}

# ---- the model ----

# The leaves of a document: path => value as text.
sub flat {
	my ($value, $path, $flat) = @_;
	if (ref $value eq 'HASH' && (%$value || $path eq '')) {
		for my $key (keys %$value) {
			my $step = $key =~ /^[A-Za-z_]\w*$/ ? ".$key" : ($path eq '' ? '.' : '') . '["' . $key . '"]';
			flat($value->{$key}, "$path$step", $flat);
		}
	} elsif (ref $value eq 'ARRAY' && @$value) {
		flat($value->[$_], "$path\[$_]", $flat) for 0 .. $#$value;
	} else {
		$flat->{$path} = $json->encode($value);
	}
	return $flat;
}

# All leaves of a revision.
sub leaves_of {
	my ($row) = @_;
	my $leaves = flat($row->{params}, '', {});
	$leaves->{'release constraint'} = $json->encode($row->{version_constraint});
	$leaves->{'release channel'} = $json->encode($row->{release_channel});
	return $leaves;
}

# Does a merge patch say something of a path, or of what is in it?
sub said {
	my ($patch, $path) = @_;
	return 0 if !ref $patch || $path =~ /^release/;
	my $at = $patch;
	while ($path =~ /\G\.?(?:\["([^"]*)"\]|\[(\d+)\]|(\w+))/g) {
		return 1 if ref $at ne 'HASH';
		my $key = $1 // $3;
		return 0 if !defined $key || !exists $at->{$key};
		$at = $at->{$key};
	}
	return 1;
}

# Who has set each leaf of each revision, for somebody who may view some environments: environment => revision => path
# => where, origin, through.
sub replay {
	my ($history, $visible) = @_;
	my %blame;
	for my $row (sort { $a->{order} <=> $b->{order} } map { @$_ } values %$history) {
		my $leaves = $row->{leaves} //= leaves_of($row);
		my ($environment, $revision) = @$row{qw(environment revision)};
		my $before = $blame{$environment}[ $revision - 1 ];
		my $from = $row->{origin} =~ /edit|adoption/ ? undef : $row->{source_environment};
		my $source = defined $from && $visible->{$from} ? $blame{$from}[ $row->{source_revision} ] : undef;
		for my $path (keys %$leaves) {
			my $said = defined $from ? said($row->{overrides}, $path) : 0;
			my $old = $before && $before->{$path};
			my $taken = $source && $source->{$path};
			my $here = "$environment/$revision";
			my $told;
			if ($old && $old->{value} eq $leaves->{$path}) { $told = $old }
			elsif (!$said && $taken && $taken->{value} eq $leaves->{$path}) {
				$told = { %$taken, through => [$here, @{ $taken->{through} }] };
			} else {
				$told = { value => $leaves->{$path}, set => $here, origin => $said ? 'override' : $row->{origin},
					through => [], hidden => !$said && defined $from && !$visible->{$from} ? 1 : 0 };
			}
			$blame{$environment}[$revision]{$path} = $told;
		}
	}
	return \%blame;
}

# ---- comparing ----

# Is a value shown as it has to be?
sub same_value {
	my ($path, $said, $value) = @_;
	return $said eq MASK if $path =~ /^\.pw\b/;
	return $said eq $value;
}

# Holds a blame against the model's.
sub hold_blame {
	my ($environment, $revision, $model, $role) = @_;
	my %expected = %{ $model->{$environment}[$revision] };
	$session->send("SET ROLE $role;\n") if $role;
	my @rows = ask('SELECT * FROM promote.blame(' . instance($environment) . ", $revision)");
	$session->send("RESET ROLE;\n") if $role;
	for my $row (@rows) {
		my $told = delete $expected{ $row->{path} };
		my $said = join ' ', $row->{set_in} =~ s/^$project-(\w+)-x$/$1/r . "/$row->{set_revision}", $row->{origin},
			$row->{hidden} ? 1 : 0, map { ($_->{instance} =~ s/^$project-(\w+)-x$/$1/r)
				. "/$_->{revision}" } @{ $row->{through} };
		my $true = $told ? join ' ', @$told{qw(set origin hidden)}, @{ $told->{through} } : 'no leaf';
		my $value = $json->encode($row->{value});
		$leaves++;
		$taken++ if @{ $row->{through} };
		$hidden++ if $row->{hidden};
		found('a blame', "$environment/$revision $row->{path} is said to be $said and is $true") if $said ne $true;
		found('a value', "$environment/$revision $row->{path} is said to be $value")
			if $told && !same_value($row->{path}, $value, $told->{value});
		found('a mark', "$environment/$revision $row->{path}") if !!$row->{sensitive} != ($row->{path} =~ /^\.pw\b/);
	}
	found('a leaf is missing', "$environment/$revision $_") for sort keys %expected;
	return;
}

# Holds a history of leaves against what differs between neighbours.
sub hold_history {
	my ($environment, $rows) = @_;
	my (%expected, %said);
	for my $row (@$rows) {
		my $new = $row->{leaves};
		my $old = $row->{revision} > 1 ? $rows->[ $row->{revision} - 2 ]{leaves} : {};
		for my $path (keys %{ { %$old, %$new } }) {
			my ($before, $after) = ($old->{$path}, $new->{$path});
			next if defined $before && defined $after && $before eq $after;
			($before, $after) = map { defined $_ ? MASK : undef } $before, $after if $path =~ /^\.pw\b/;
			$expected{"$row->{revision} $path"} = join ' ', $before // '-', $after // '-', $row->{origin},
				$row->{source_environment} // '-', $row->{source_revision} // '-';
		}
	}
	for my $row (ask('SELECT *, old_value IS NULL AS was_not, new_value IS NULL AS is_not FROM promote.leaf_history('
			. instance($environment) . ')')) {
		$said{"$row->{revision} $row->{path}"} = join ' ', $row->{was_not} ? '-' : $json->encode($row->{old_value}),
			$row->{is_not} ? '-' : $json->encode($row->{new_value}), $row->{origin},
			defined $row->{source} ? $row->{source} =~ s/^$project-(\w+)-x$/$1/r : '-', $row->{source_revision} // '-';
	}
	for my $key (sort keys %{ { %expected, %said } }) {
		my ($true, $told) = map { $_->{$key} // 'nothing' } \%expected, \%said;
		found('a change', "$environment $key is said to be $told and is $true") if $true ne $told;
	}
	return;
}
