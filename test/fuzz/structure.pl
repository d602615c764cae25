#!/usr/bin/perl
#
# structure.pl: compares random configurations by random schemas, and holds the class of each difference against a
# model of doc/reference/structure.md.
#
# usage: structure.pl [seconds [seed]]
#
# A batch is two environments with as many components, each with a document and a release of its own on either side. The
# model is written over trees, with no path that is followed: it knows the marks of every place of both documents. The
# connection is taken from the usual PG* variables; the database must have the extension, and nothing stays in it.
# Prints one summary line. A finding, with exit status 1, is
#
#   - a difference that is not told, is told and is none, or is of another class than the model says,
#   - one of another class where the environments change places,
#   - an environment that differs from itself,
#   - a lost connection.
#
use strict;
use warnings;
no warnings 'recursion';
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Fuzz qw(pick copy_rows);

use constant BATCH => 20;

my $json = JSON::PP->new->canonical->allow_nonref;
my $fuzz = Fuzz->new(name => 'structure', kept => 'the schema and document of either side on each line');
my @keys = qw(a b c size on);
my ($pairs, $differences) = (0, 0);
my %told = map { $_ => 0 } qw(structure size other);
$fuzz->tell(prepare());
$fuzz->run(\&batch, \&question, \&answered);
$fuzz->finish("$pairs pairs, $differences differences (" . join(', ', map { "$told{$_} $_" } sort keys %told) . ')');

# ---- what is compared ----

# The lines of a batch: a component, its two schemas and documents, and the lines that tell how these differ.
sub batch {
	$pairs += BATCH;
	return [map { pair($_) } 1 .. BATCH];
}

sub pair {
	my ($number) = @_;
	my $a = { map { $_ => value(3) } grep { rand() < 0.6 } @keys };
	my $b = rand() < 0.1 ? { map { $_ => value(3) } @keys } : changed($a, 3);
	my $schema_a = schema([$a, $b], 4);
	my $schema_b = rand() < 0.7 ? $schema_a : schema([$a, $b], 4);
	my %class = classes($schema_a, $a, $schema_b, $b);
	$differences += keys %class;
	$told{$_}++ for values %class;
	return join "\t", "c$number", map({ $json->encode($_) } $schema_a, $a, $schema_b, $b),
		join ' ', map { "$_=$class{$_}" } sort keys %class;
}

sub value {
	my ($depth) = @_;
	my $kind = $depth > 0 ? rand : rand 0.6;
	return $kind < 0.2 ? int rand 3 : $kind < 0.45 ? pick(qw(x y z))
		: $kind < 0.52 ? pick(JSON::PP::true, JSON::PP::false)
		: $kind < 0.55 ? undef : $kind < 0.6 ? pick([], {})
		: $kind < 0.8 ? { map { $_ => value($depth - 1) } grep { rand() < 0.4 } @keys }
		: [map { value($depth - 1) } 1 .. rand 4];
}

# A value like another one: some of it is another value, goes away, or is new.
sub changed {
	my ($value, $depth) = @_;
	return value($depth) if $depth < 3 && rand() < 0.1;
	if (ref $value eq 'HASH') {
		my %other = map { $_ => changed($value->{$_}, $depth - 1) } grep { rand() < 0.9 } keys %$value;
		$other{ pick(@keys) } //= value($depth - 1) if rand() < 0.3;
		return \%other;
	}
	if (!ref $value) {
		my $type = type($value);
		return $type eq 'number' && rand() < 0.3 ? int rand 3
			: $type eq 'string' && rand() < 0.5 ? pick(qw(x y z)) : $value;
	}
	return $value if ref $value ne 'ARRAY';
	my @other = map { changed($_, $depth - 1) } @$value;
	push @other, value($depth - 1) if rand() < 0.3;
	pop @other if rand() < 0.2;
	return \@other;
}

# A schema that all these values satisfy. Whatever it says of a place is of no type that a value there might not have.
sub schema {
	my ($values, $depth) = @_;
	my %schema;
	return \%schema if $depth == 0;
	if (rand() < 0.08) {
		my $mark = pick(JSON::PP::true, JSON::PP::false);
		rand() < 0.5 ? ($schema{'$md.scale'} = $mark) : ($schema{'$md'} = { scale => $mark });
	}
	if (@$values && rand() < 0.06) {
		my %different = map { $json->encode($_) => $_ } @$values;
		my @different = map { $different{$_} } sort keys %different;
		@different == 1 && rand() < 0.5 ? ($schema{const} = $different[0]) : ($schema{enum} = \@different);
	}
	my @objects = grep { ref eq 'HASH' } @$values;
	my @arrays = grep { ref eq 'ARRAY' } @$values;
	my %inside;
	for my $object (@objects) {
		push @{ $inside{$_} }, $object->{$_} for keys %$object;
	}
	if (rand() < 0.8) {
		$schema{properties} = { map { $_ => schema($inside{$_} // [], $depth - 1) } grep { rand() < 0.7 } @keys };
	}
	if (rand() < 0.3) {
		my @others = map { @{ $inside{$_} } } grep { !$schema{properties}{$_} } sort keys %inside;
		$schema{additionalProperties} = schema(\@others, $depth - 1);
	}
	$schema{items} = schema([map { @$_ } @arrays], $depth - 1) if rand() < 0.6;
	$schema{allOf} = [map { schema($values, $depth - 1) } 1 .. 2] if rand() < 0.15;
	return \%schema;
}

# ---- the model ----

# Every place of a document: its value, what is said of it ("" is nothing), and whether it or what it is in has its
# values enumerated.
sub places {
	my ($schemas, $value, $place, $said, $enumerated, $found) = @_;
	my @schemas = map { with_parts($_) } @$schemas;
	my @marks = map { exists $_->{'$md.scale'} ? $_->{'$md.scale'} : exists $_->{'$md'} ? $_->{'$md'}{scale} : () }
		@schemas;
	$said = (grep { !$_ } @marks) ? 'structure' : 'size' if @marks;
	$enumerated ||= grep { exists $_->{enum} || exists $_->{const} } @schemas;
	$found->{$place} = { value => $value, said => $said, enumerated => $enumerated };
	if (ref $value eq 'HASH') {
		for my $key (keys %$value) {
			my @below = map { ($_->{properties} // {})->{$key} // $_->{additionalProperties} // () } @schemas;
			places(\@below, $value->{$key}, "$place.$key", $said, $enumerated, $found);
		}
	} elsif (ref $value eq 'ARRAY') {
		places([map { $_->{items} // () } @schemas], $value->[$_], "${place}[$_]", $said, $enumerated, $found)
			for 0 .. $#$value;
	}
	return $found;
}

# A schema with all that it consists of.
sub with_parts {
	my ($schema) = @_;
	return ($schema, map { with_parts($_) } @{ $schema->{allOf} // [] });
}

sub type {
	my ($value) = @_;
	return !defined $value ? 'null' : JSON::PP::is_bool($value) ? 'boolean' : ref $value ? ref $value
		: $value =~ /^\d/ ? 'number' : 'string';
}

sub is_leaf {
	my ($value) = @_;
	return ref $value eq 'HASH' ? !%$value : ref $value eq 'ARRAY' ? !@$value : 1;
}

# The nearest place above that a document has, and whether an element of it is what it has not.
sub nearest {
	my ($places, $path) = @_;
	my $step;
	$step = $1 while !$places->{$path} && $path =~ s/(\.\w+|\[\d+\])\z//;
	my $place = $places->{$path};
	return ($place, $step && $step =~ /^\[/ && ref $place->{value} eq 'ARRAY');
}

# The class of each difference, by its path.
sub classes {
	my ($schema_a, $a, $schema_b, $b) = @_;
	my $one = places([$schema_a], $a, '', '', '', {});
	my $other = places([$schema_b], $b, '', '', '', {});
	my %class;
	for my $path (keys %$one, keys %$other) {
		my ($x, $y) = ($one->{$path}, $other->{$path});
		next if !grep { $_ && is_leaf($_->{value}) } $x, $y;
		if ($x && $y) {
			next if type($x->{value}) eq type($y->{value})
				&& (ref $x->{value} && !JSON::PP::is_bool($x->{value})
					|| $json->encode($x->{value}) eq $json->encode($y->{value}));
		}
		my ($near_x, $more_y) = nearest($one, $path);
		my ($near_y, $more_x) = nearest($other, $path);
		my @said = map { $_->{said} } $near_x, $near_y;
		my $of_type = !$x || !$y ? ($more_x || $more_y ? 'size' : 'structure')
			: type($x->{value}) ne type($y->{value}) ? 'structure'
			: type($x->{value}) eq 'number' ? 'size'
			: type($x->{value}) eq 'string' && !$x->{enumerated} && !$y->{enumerated} ? 'other' : 'structure';
		$class{$path} = (grep { $_ eq 'structure' } @said) ? 'structure' : (grep { $_ eq 'size' } @said) ? 'size'
			: $of_type;
	}
	return %class;
}

# ---- asking ----

sub question {
	my ($rows) = @_;
	return "BEGIN;\n" . copy_rows('batch', @$rows) . <<'SQL';
DO $$ BEGIN PERFORM pg_temp.configure(); END $$;
CREATE TEMP TABLE found ON COMMIT DROP AS
SELECT c.component, string_agg(format('%s=%s', c.path, c.class), ' ' ORDER BY c.path COLLATE "C") AS classes
  FROM promote.compare_structure('fuzzed-a', 'fuzzed-b') AS c WHERE c.kind = 'param' GROUP BY 1;
CREATE TEMP TABLE turned ON COMMIT DROP AS
SELECT c.component, string_agg(format('%s=%s', c.path, c.class), ' ' ORDER BY c.path COLLATE "C") AS classes
  FROM promote.compare_structure('fuzzed-b', 'fuzzed-a') AS c WHERE c.kind = 'param' GROUP BY 1;
SELECT format('compare(%s, %s, %s, %s): %s, and should be %s', b.schema_a, b.a, b.schema_b, b.b, f.classes, b.classes)
  FROM batch AS b LEFT JOIN found AS f USING (component) WHERE COALESCE(f.classes, '') <> b.classes
UNION ALL
SELECT format('turned(%s, %s, %s, %s): %s, and was %s', b.schema_a, b.a, b.schema_b, b.b, t.classes, f.classes)
  FROM batch AS b LEFT JOIN found AS f USING (component) LEFT JOIN turned AS t USING (component)
 WHERE t.classes IS DISTINCT FROM f.classes
UNION ALL
SELECT format('itself(%s): %s', c.component, c.path) FROM promote.compare_structure('fuzzed-a', 'fuzzed-a') AS c;
ROLLBACK;
SQL
}

sub answered { return $_[0] }

# The table of a batch, and what makes two environments of it.
sub prepare {
	return <<'SQL';
SET client_min_messages = warning;
SET statement_timeout = '120s';
CREATE TEMP TABLE batch (component text, schema_a jsonb, a jsonb, schema_b jsonb, b jsonb, classes text COLLATE "C");

CREATE FUNCTION pg_temp.configure() RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
	INSERT INTO promote.project VALUES ('fuzzed');
	INSERT INTO promote.environment (project, environment) VALUES ('fuzzed', 'a'), ('fuzzed', 'b');
	INSERT INTO promote.bundle SELECT 'fuzzed_' || component FROM batch;
	INSERT INTO promote.bundle_release (bundle, version, params_schema)
	SELECT 'fuzzed_' || component, '1.0.0', schema_a FROM batch
	UNION ALL SELECT 'fuzzed_' || component, '1.1.0', schema_b FROM batch;
	INSERT INTO promote.component (project, component, bundle)
	SELECT 'fuzzed', component, 'fuzzed_' || component FROM batch;
	INSERT INTO promote.instance (project, environment, component)
	SELECT 'fuzzed', e, component FROM batch, unnest(ARRAY['a', 'b']) AS e;
	PERFORM promote.configure_instance(format('fuzzed-%s-%s', v.e, component), promote.jsonb_diff_patch('{}', v.params),
			v.version, plan => false)
	   FROM batch, LATERAL (VALUES ('a', a, '1.0.0'), ('b', b, '1.1.0')) AS v (e, params, version);
END
$$;
SQL
}
