#!/usr/bin/perl
#
# schema.pl: feeds mutated schemas and documents to the functions over schemas.
#
# usage: schema.pl [seconds [seed]]
#
# Mutates the schemas and documents in the directory schema/ beside this file
# and calls the functions on each schema with two documents, through one psql
# session.  A file there is [schema, document] or {"schema": ..., "documents":
# [...]}.  Schemas are mostly changed where a subschema or a keyword stands, so
# that many stay well-formed; half of them are of draft-07, half of 2020-12.
# The connection is taken from the usual PG* variables; the database must have
# the extension.  Prints one summary line.  A finding, with exit status 1, is
#
#   - an SQLSTATE other than PM106 for a schema that jsonb_schema_check
#     refuses, 54001, and PM101 or PM102 of compose_params,
#   - a refusal of class PM without DETAIL or HINT,
#   - functions that disagree, with each other or with a schema that is made
#     of the schema and must mean something known,
#   - a document that is valid, keeps something, or has subschemas apply to a
#     place of it other than lib/SchemaModel.pm says,
#   - a violation at a place that is not there, or that tells a value,
#   - a lost connection, or a batch that takes five minutes, after which the
#     batch is left in a file.
#
use strict;
use warnings;
no warnings 'recursion';
use FindBin;
use lib "$FindBin::Bin/lib";
use Fuzz qw(pick parse_json write_json copy_json copy_rows change_json mutate_json);
use SchemaModel;

use constant BATCH => 100;
use constant MAX_LENGTH => 20000;

my $fuzz = Fuzz->new(name => 'schema', kept => 'a schema with its documents on each line');
my @corpus = map { pair($_) } $fuzz->corpus('schema');
my @modern_corpus = grep { write_json($_->[0]) =~ /2020-12/ } @corpus;
my @old_corpus = grep { write_json($_->[0]) !~ /2020-12/ } @corpus;
my @keys = ('', 'a', 'b', 'c', 'ab', 'abc', 'id', 'own', 'name', 'kind', 'type', '$ref', '$md.copyable', 'items', 'a/b',
	'm~n', 'x%y',
	'é', '😀', 'a b', '\\"', '\\\\', '0', '1', '\\n', 'k' x 130);
# "hush" is in documents only, so that a message that tells it is seen
my @scalars = ('null', 'true', 'false', '0', '-0', '1', '1.0', '1.00', '2', '-1', '0.5', '1.5', '3', '10', '100',
	'1e20', '1e-7', '0.3',
	'9' x 40, '0.' . '0' x 30 . '1', '1' . '0' x 1001, '""', '"a"', '"ab"', '"abc"', '"b"', '"1"', '"é"', '"😀"',
		'"a😀b"', '"\\n"', '"\\\\"',
	'"{{a}}"', '"' . 'x' x 300 . '"', '"' . 'y' x 5000 . '"', '"gold"', '"s3"', '"disk"');
my @patterns = ('^a', 'b$', '^[a-c]+$', '^.$', 'a|b', '^$', '', '\\d', '[^a]', '[^]', '[]', '(a)b?c*', '^a{0,300}$',
	'^\\S+$', '(?=a)ab',
	'^(?!a)', '(?<=a)b', '(?<!a)b', '(?<n>a)\\k<n>', '(a|b)\\1', '(a)?\\1b', '\\u00e9', '\\ud83d\\ude00', '\\u{1F600}',
		'[\\w-.]', '[a-\\d]',
	'{', 'a{', 'a{1', 'a{,2}', 'a{2,1}', '(', ')', '*', 'a**', '[b-a]', '\\p{L}', '(?i)a', '\\1', '\\01', '\\', '\\cJ',
		'\\B', '\\bx', '.{255}',
	'(a{255}){255}', '(a*)*b', '(x+x+)+y', '\\/', '[[:alpha:]]', '[[.a.]]', '\\Aa', '***:a', '***=a', '(?:a|b|){3}',
		'(?=(a))\\1', '^\\x61\\0');
my @types = qw(null boolean object array number string integer);
my @bounds = qw(minimum maximum exclusiveMinimum exclusiveMaximum multipleOf);
my @counts = qw(minLength maxLength minItems maxItems minProperties maxProperties);
my @texts = qw($id $schema $comment title title title description format contentEncoding contentMediaType);
my @marks = qw(copyable copyable copyable immutable sensitive scale);
my @keywords = (@bounds, @counts, qw(type type enum const required properties properties items items pattern uniqueItems
	if anyOf
	oneOf $ref $ref md md md default text title));
my @annotations = qw(title description default $md $md.copyable $md.immutable $md.sensitive $md.scale);
my %dialects = (
	old => dialect('http://json-schema.org/draft-07/schema#', 'definitions', [qw(additionalItems)], [], ['items'], []),
	modern => dialect('https://json-schema.org/draft/2020-12/schema', '$defs',
		[qw(items unevaluatedItems unevaluatedProperties)],
		[qw(prefixItems)], [], [qw($dynamicRef $dynamicRef dependentRequired minContains maxContains contains
			unevaluatedItems unevaluatedProperties allOf
		$anchor)], qw(dependentSchemas $defs)));
my $dialect = $dialects{old};
my @names;

$fuzz->tell(prepare());
my ($pairs, $accepted, $valid, $modelled) = (0, 0, 0, 0);
my @batch;
$fuzz->run(\&batch, \&question, \&answered);
$fuzz->finish(sprintf '%d pairs, %d%% of the schemas usable, %d%% of their documents valid, %d%% modelled,', $pairs,
	200 * $accepted / ($pairs || 1), 50 * $valid / ($accepted || 1), 100 * $modelled / ($accepted || 1));

# What the generator knows of a dialect: its URI, where it keeps definitions, what subschemas the keywords hold, which
# keywords to take.
sub dialect {
	my ($uri, $definitions, $one, $list, $either, $more, @map) = @_;
	my %holds = (
		(map { $_ => 'one' } @$one, qw(not if then else contains additionalProperties propertyNames)),
		(map { $_ => 'list' } @$list, qw(allOf anyOf oneOf)),
		(map { $_ => 'map' } @map, qw(properties patternProperties definitions dependencies)),
		(map { $_ => 'either' } @$either));
	return { uri => $uri, definitions => $definitions, holds => \%holds, keywords => [sort(keys %holds), @keywords,
		@$more],
		counts => [@counts, @$more ? qw(minContains maxContains) : ()] };
}

# The lines of a batch.
sub batch {
	$pairs += 2 * BATCH;
	@batch = map { join "\t", map { write_json($_) } related() } 1 .. BATCH;
	return \@batch;
}

# What is asked of them.
sub question {
	my ($rows) = @_;
	return "TRUNCATE raw, batch, tried, answer RESTART IDENTITY;\n" . copy_rows('raw (s, a, b)', @$rows) . <<'SQL';
INSERT INTO batch (id, s, a, b, d, t) SELECT id, s, a, b, CASE WHEN o ? '$schema' THEN jsonb_build_object('$schema',
	o -> '$schema') ELSE '{}' END,
		coalesce(o - '$schema', s)
	FROM (SELECT id, s::jsonb, a::jsonb, b::jsonb FROM raw) r, LATERAL (SELECT CASE jsonb_typeof(s) WHEN 'object' THEN s
		END AS o) x;
SELECT regexp_replace(f || '  s=' || left(s::text, 2500) || '  a=' || left(a::text, 1500) || '  b=' || left(b::text,
	1500), '\n', ' ', 'g')
  FROM batch, pg_temp.check(batch) f;
SELECT concat_ws(' ', 'answer', id, facts) FROM answer;
SELECT concat_ws(' ', 'counts', count(*) FILTER (WHERE accepted), sum(valid)) FROM tried;
SQL
}

# Counts, or a finding.
sub answered {
	my ($line) = @_;
	return compared($batch[$1 - 1], parse_json($2)) if $line =~ /^answer (\d+) (.*)$/;
	return $line if $line !~ /^counts (\d+) (\d+)$/;
	$accepted += $1;
	$valid += $2;
	return;
}

# Nothing if the model says of the schema and its documents what the functions say, or has a doubt; otherwise what they
# do not agree about.
sub compared {
	my ($row, $facts) = @_;
	my ($schema, @documents) = map { parse_json($_) } split /\t/, $row;
	my $found = eval {
		my $model = SchemaModel->new($schema);
		join '', map { differs($model, $documents[$_], $facts->[1 + $_]) } 0, 1;
	};
	my $error = $@;
	return if $error =~ /^doubt: /;
	$modelled++;
	return "model() " . ($found // $error) . '  of ' . $row =~ s/\t/  and /gr if $error || $found ne '';
	return;
}

# What the functions and the model do not agree about, of one document; empty if they agree.
sub differs {
	my ($model, $tree, $facts) = @_;
	my (undef, $valid, $left, $told) = @$facts;
	my $document = SchemaModel::decode($tree);
	my %model = (valid => $model->valid($document) ? 'true' : 'false', left => $model->copyable($document));
	my $applying = $model->applying($document);
	my @told;
	for my $place (keys %$applying) {
		push @told, map { "$place/$_" } grep { $applying->{$place}{$_} } @annotations;
	}
	$model{told} = '[' . join(',', sort map { SchemaModel::quoted($_) } @told) . ']';
	my %functions = (valid => $valid->[1], left => SchemaModel::decode($left)->{text},
		told => '[' . join(',', sort map { SchemaModel::decode($_)->{text} } @$told[1 .. $#$told]) . ']');
	return join '', map { "$_ is $functions{$_}, not $model{$_}; " } grep { $functions{$_} ne $model{$_} }
		sort keys %model;
}

# A file as [schema, document, ...].
sub pair {
	my ($text) = @_;
	my $tree = parse_json($text);
	return [@$tree[1 .. $#$tree]] if $tree->[0] eq 'a';
	my %part = map { @$_ } @$tree[1 .. $#$tree];
	return [$part{schema}, @{ $part{documents} }[1 .. $#{ $part{documents} }]];
}

# A text as JSON writes it.
sub quoted {
	my ($text) = @_;
	return ['s', '"' . ($text =~ s/(["\\])/\\$1/gr) . '"'];
}

# A schema and two documents that may have something to do with it.
sub related {
	$dialect = $dialects{ pick(qw(old modern)) };
	my $modern = $dialect == $dialects{modern};
	my ($schema, @documents) = @{ pick(rand() < 0.1 ? @corpus : $modern && rand() < 0.6 ? @modern_corpus
		: @old_corpus) };
	return deep() if rand() < 0.003;
	return (in_dialect(combined_root()), small_document(2), small_document(2)) if rand() < 0.25;
	$schema = rand() < 0.2 ? random_schema(0) : mutate_schema($modern ? modernized(copy_json($schema)) : $schema);
	@documents = map { @$_[1 .. $#$_] } @corpus if rand() < 0.3;
	my $first = mutate(pick(@documents));
	my $second = mutate(rand() < 0.5 ? $first : pick(@documents));
	return (in_dialect($schema), $first, $second);
}

# A schema whose items are spelled as 2020-12 does it.
sub modernized {
	my ($node) = @_;
	if ($node->[0] eq 'o') {
		my %has = map { @$_ } @$node[1 .. $#$node];
		my $is_tuple = $has{items} && $has{items}[0] eq 'a';
		for my $entry ($is_tuple ? @$node[1 .. $#$node] : ()) {
			$entry->[0] = { items => 'prefixItems', additionalItems => 'items' }->{ $entry->[0] } // $entry->[0];
		}
		modernized($_->[1]) for @$node[1 .. $#$node];
	} elsif ($node->[0] eq 'a') {
		modernized($_) for @$node[1 .. $#$node];
	}
	return $node;
}

# The schema, with the dialect's URI wherever "$schema" is.
sub in_dialect {
	my ($schema) = @_;
	put($schema, '$schema', quoted($dialect->{uri})) if $dialect == $dialects{modern};
	my $text = write_json($schema);
	$text =~ s/"\$schema":"(?:[^"\\]|\\.)*"/"\$schema":"$dialect->{uri}"/g;
	return ['s', $text];
}

# A schema and documents of a hundred to a few thousand levels, more than the functions can take.
sub deep {
	my $levels = 50 + int rand pick(500, 2000, 4500);
	my ($left, $right) = @{ pick(['{"a":', '}'], ['[', ']'], ['{"a":[', ']}']) };
	my $document = nested($left, $right, $levels, pick('1', '"hush"', '{}', '[]'));
	my $schema = pick('{"properties":{"a":{"$ref":"#"}},"items":{"$ref":"#"},"type":["object","array"]}',
		'{"additionalProperties":{"$ref":"#"},"items":{"$ref":"#"},"not":{"enum":["hush",{}]}}',
		'{"anyOf":[{"properties":{"a":{"$ref":"#"}}},{"items":{"$ref":"#"}}],"oneOf":[{"items":{"$ref":"#"}},'
			. '{"type":"string","$md.copyable":false}]}',
		'{"$schema":"' . $dialects{modern}{uri}
			. '","$dynamicAnchor":"t","allOf":[{"properties":{"a":{"$dynamicRef":"#t"}}}],'
			. '"unevaluatedProperties":false,"unevaluatedItems":{"$ref":"#"}}',
		map { nested(@$_, $levels, '{"type":"string","$md.copyable":false}') }
		['{"properties":{"a":', '}}'], ['{"items":', '}'], ['{"properties":{"a":{"items":', '}}}'], ['{"not":', '}'],
			['{"allOf":[', ']}']);
	return map { ['s', $_] } $schema, $document, nested($left, $right, 20, '{}');
}

# So many levels of what opens and closes one or more of them.
sub nested {
	my ($left, $right, $levels, $inner) = @_;
	my $times = int($levels / length $right);
	return ($left x $times) . $inner . ($right x $times);
}

# A document changed in none to eight places.
sub mutate { return mutate_json($_[0], rand(rand() < 0.5 ? 3 : 9), MAX_LENGTH, \&changed_node) }

sub changed_node {
	my ($node) = @_;
	my $kind = int rand 9;
	return scalar_node() if $kind == 0 || ($kind > 4 && $node->[0] eq 's');
	return rand() < 0.5 ? ['o'] : ['a'] if $kind == 1;
	return ['o', [pick(@keys), $node]] if $kind == 2;
	return ['a', map { copy_json($node) } 0 .. rand(rand() < 0.05 ? 100 : 3)] if $kind == 3;
	return piece() if $kind == 4;
	my $child = rand() < 0.6 ? scalar_node() : piece();
	my $index = 1 + int rand @$node;
	if ($kind == 5 && @$node > 1) {
		splice @$node, $index % @$node || 1, 1;
	} elsif ($kind == 6 && @$node > 1) {
		@$node = ($node->[0], reverse @$node[1 .. $#$node]);
	} else {
		splice @$node, $index, 0, $node->[0] eq 'o' ? [pick(@keys), $child] : $child;
	}
	return $node;
}

sub scalar_node {
	return ['s', pick(@scalars, '"hush"', '"hush"')];
}

# A subtree of some document of the corpus.
sub piece {
	my @documents = @{ pick(@corpus) };
	my $node = $documents[1 + rand $#documents];
	while ($node->[0] ne 's' && @$node > 1 && rand() < 0.6) {
		my $child = $node->[1 + rand $#$node];
		$node = $node->[0] eq 'o' ? $child->[1] : $child;
	}
	return copy_json($node);
}

# A schema changed in none to eight places.
sub mutate_schema {
	my $tree = copy_json($_[0]);
	for (1 .. rand(rand() < 0.5 ? 3 : 9)) {
		my $changed = change_schema(copy_json($tree));
		$tree = $changed if length write_json($changed) < MAX_LENGTH;
	}
	return $tree;
}

# Where the subschemas are: [reference to the node, its JSON pointer], ...
sub places {
	my ($at, $pointer, $found) = @_;
	push @$found, [$at, $pointer];
	return if $$at->[0] ne 'o';
	for my $entry (@$$at[1 .. $#$$at]) {
		my ($key, $value) = @$entry;
		my $kind = $dialect->{holds}{$key} // '';
		my $below = $pointer . '/' . token($key);
		if ($kind eq 'map' && $value->[0] eq 'o') {
			places(\$_->[1], "$below/" . token($_->[0]), $found) for @$value[1 .. $#$value];
		} elsif ($kind =~ /list|either/ && $value->[0] eq 'a') {
			places(\$value->[$_], "$below/" . ($_ - 1), $found) for 1 .. $#$value;
		} elsif ($kind =~ /one|either/) {
			places(\$entry->[1], $below, $found);
		}
	}
	return;
}

# A key as a JSON pointer in a fragment writes it.
sub token {
	my ($key) = @_;
	return $key =~ s/~/~0/gr =~ s/\//~1/gr =~ s/%/%25/gr;
}

sub change_schema {
	my ($tree) = @_;
	places(\$tree, '#', \my @places);
	my $place = pick(@places);
	my $at = $place->[0];
	@names = map { $_->[1], named(${ $_->[0] }) } @places;
	my $kind = rand;
	if ($kind < 0.02) {
		return change_json($tree, 2000, \&changed_node);
	} elsif ($kind < 0.1) {
		$$at = random_schema(2);
	} elsif ($kind < 0.25) {
		$$at = wrapped($$at);
	} elsif ($kind < 0.33) {
		$$at = copy_json(${ pick(@places)->[0] });
	} elsif ($kind < 0.43) {
		splice @$$at, 1 + rand $#$$at, 1 if $$at->[0] eq 'o' && @$$at > 1;
	} elsif ($kind < 0.53) {
		my $keyword = $dialect == $dialects{modern} && rand() < 0.4 ? '$dynamicRef' : '$ref';
		my $reference = ['s', '"' . pick(@names) . '"'];
		if (rand() < 0.5) {
			$$at = ['o', [$keyword, $reference]];
		} else {
			put($$at, $keyword, $reference);
		}
	} else {
		put($$at, keyword(2));
	}
	return $tree;
}

sub is_text {
	my ($node) = @_;
	return $node->[0] eq 's' && $node->[1] =~ /^"/;
}

# The references to a subschema by its names.
sub named {
	my ($node) = @_;
	return if $node->[0] ne 'o';
	my %of = map { @$_ } @$node[1 .. $#$node];
	my @found = map { '#' . text_of($of{$_}) } grep { $of{$_} && is_text($of{$_}) } qw($anchor $dynamicAnchor);
	return @found if !$of{'$id'} || !is_text($of{'$id'});
	my $id = text_of($of{'$id'});
	return (@found, $id, map { "$id$_" } @found);
}

# Set a key of an object.
sub put {
	my ($node, $key, $value) = @_;
	return if $node->[0] ne 'o';
	@$node = ('o', (grep { $_->[0] ne $key } @$node[1 .. $#$node]), [$key, $value]);
	return;
}

# A schema with the given one within it.
sub wrapped {
	my ($schema) = @_;
	my $key = pick(sort keys %{ $dialect->{holds} });
	return ['o', [$key, ['o', [$key eq 'patternProperties' ? text_of(quoted(pick(@patterns))) : pick(@keys), $schema]]]]
		if $dialect->{holds}{$key} eq 'map';
	return ['o', [$key, ['a', $schema, map { random_schema(3) } 1 .. rand 3]]] if $dialect->{holds}{$key} eq 'list';
	return ['o', [$key, $schema], map { [$_, random_schema(3)] } $key eq 'if' ? qw(then else) : ()];
}

# What is between the quotes.
sub text_of {
	my ($node) = @_;
	return substr $node->[1], 1, -1;
}

sub random_schema {
	my ($depth) = @_;
	return ['s', pick('true', 'true', 'false')] if rand() < 0.1;
	my $schema = ['o'];
	my $holder = $dialect->{definitions};
	@names = ('#', map { "#/$_" } "$holder/a", "$holder/b", "$holder/m~0n", $depth == 0 && rand() < 0.2
		? qw(properties/a items nowhere %61 definitions/%zz) : ())
	  if $depth == 0;
	my $definitions = $depth == 0 ? definitions(\&random_schema) : undef;
	put($schema, keyword($depth + 1)) for 1 .. 1 + rand 4;
	put($schema, $holder, $definitions) if $depth == 0;
	put($schema, '$dynamicAnchor', quoted('dy')) if $depth == 0 && $dialect == $dialects{modern};
	return $schema;
}

# Definitions that may have names, which are used in them and from then on; make makes a schema at a depth.
sub definitions {
	my ($make) = @_;
	my $modern = $dialect == $dialects{modern};
	my $anchored = rand() < 0.3;
	my $resource = rand() < 0.5;
	push @names, $modern ? '#dy' : ();
	push @names, '#an' if $anchored;
	push @names, 'http://x.test/res', $modern ? 'http://x.test/res#dy' : () if $resource;
	my %of = map { $_ => $make->(2) } 'a', 'b', 'm~n';
	put($of{a}, $modern ? ('$anchor', quoted('an')) : ('$id', quoted('#an'))) if $anchored;
	@{ $of{a} } = ('o', [$modern ? ('$anchor', quoted('an')) : ('$id', quoted('#an'))]) if $anchored
		&& $of{a}[0] ne 'o';
	@{ $of{b} } = ('o') if $resource && $of{b}[0] ne 'o';
	put($of{b}, '$id', quoted('http://x.test/res')) if $resource;
	put($of{b}, $dialect->{definitions}, ['o', map { my $name = $_; [$name, $make->(2)] } 'a', 'b',
		'm~n']) if $resource;
	put($of{b}, pick('$dynamicAnchor', '$dynamicAnchor', '$anchor'), quoted('dy')) if $resource && $modern;
	return ['o', map { [$_, $of{$_}] } sort keys %of];
}

# A schema of few names and small values, where much depends on which of its parts apply: for what no part evaluates.
sub combined_root {
	my $holder = $dialect->{definitions};
	@names = ('#', map { "#/$holder/$_" } qw(a b m~0n));
	my $definitions = definitions(\&combined);
	my $schema = combined(0);
	put($schema, $holder, $definitions);
	put($schema, '$dynamicAnchor', quoted('dy')) if rand() < 0.5;
	put($schema, $_, pick(['s', 'false'], ['s', 'false'], ['o', ['title', quoted('rest')]], small_schema()))
	  for grep { rand() < 0.6 } qw(unevaluatedProperties unevaluatedItems);
	return $schema;
}

sub combined {
	my ($depth) = @_;
	my $schema = ['o'];
	for (1 .. 1 + rand($depth > 2 ? 1 : 3)) {
		my $kind = int rand($depth > 2 ? 7 : 14);
		put($schema, 'properties', ['o', map { [$_, small_schema()] } small_keys()]) if $kind < 2;
		put($schema, 'patternProperties', ['o', ['^a', small_schema()]]) if $kind == 2;
		put($schema, 'required', ['a', map { quoted($_) } small_keys()]) if $kind == 3;
		put($schema, 'prefixItems', ['a', map { small_schema() } 0 .. rand 2]) if $kind == 4;
		put($schema, @$_) for $kind == 5 ? (['contains', small_schema()], rand() < 0.7 ? ['minContains', ['s', 0]] : ())
			: ();
		put($schema, reference()) if $kind == 6;
		put($schema, pick(qw(allOf anyOf anyOf oneOf)), ['a', map { combined($depth + 1) } 0 .. rand 3]) if $kind == 7
			|| $kind == 8;
		put($schema, @$_) for $kind == 9 || $kind == 10 ? map({ [$_, combined($depth + 1)] } 'if',
			grep { rand() < 0.6 } qw(then else)) : ();
		put($schema, 'dependentSchemas', ['o', map { [$_, combined($depth + 1)] } small_keys()]) if $kind == 11;
		put($schema, 'not', combined($depth + 1)) if $kind == 12;
		put($schema, pick(qw(unevaluatedProperties unevaluatedItems items additionalProperties)),
			small_schema()) if $kind == 13;
	}
	return $schema;
}

sub small_schema {
	return pick(['s', 'true'], ['s', 'true'], ['o', ['title', quoted('t')]],
		['o', ['type', quoted(pick('integer', 'string', 'object'))]],
		['o', ['const', ['s', 1]]], ['o', ['$md.copyable', ['s', 'false']]], ['o', [reference()]]);
}

sub small_keys {
	return grep { rand() < 0.5 } qw(a b c ab);
}

sub small_document {
	my ($depth) = @_;
	my $kind = $depth ? rand : 0;
	return ['o', map { [$_, small_document(rand() < 0.3 ? $depth - 1 : 0)] } small_keys()] if $kind > 0.4;
	return ['a', map { small_document(rand() < 0.3 ? $depth - 1 : 0) } 1 .. rand 5] if $kind > 0;
	return ['s', pick(1, 1, 2, '"a"', 'true')];
}

# A reference, and what refers; a dynamic one mostly by an anchor, without which it is like any other.
sub reference {
	my ($key) = @_;
	$key //= $dialect == $dialects{modern} ? pick('$ref', '$dynamicRef') : '$ref';
	my @anchors = $key eq '$dynamicRef' && rand() < 0.7 ? grep { /#\w/ } @names : ();
	return ($key, quoted(pick(@anchors ? @anchors : @names)));
}

# A subschema; below a few levels a small one.
sub subschema {
	my ($depth) = @_;
	return $depth < 4 ? random_schema($depth) : pick(['s', 'true'], ['s', 'false'],
		['o', ['type', quoted(pick(@types))]], ['o', ['$md.copyable', ['s', 'false']]]);
}

# A keyword and a value for it, which is of the right shape but for one in a hundred.
sub keyword {
	my ($depth) = @_;
	my $key = pick(@{ $dialect->{keywords} });
	my $kind = $dialect->{holds}{$key} // '';
	if ($key eq 'md') {
		my $mark = pick(@marks);
		my $value = ['s', $mark eq 'copyable' || rand() < 0.2 ? 'false' : 'true'];
		return rand() < 0.5 ? ("\$md.$mark", $value)
			: ('$md', ['o', [$mark, $value], map { [$_, ['s', 'true']] } rand() < 0.2 ? 'sensitive' : ()]);
	}
	$key = pick(@texts) if $key eq 'text';
	return ($key, rand() < 0.5 ? scalar_node() : piece()) if rand() < 0.01;
	return ($key, subschema($depth)) if $kind eq 'one' || $kind eq 'either' && rand() < 0.6;
	return ($key, ['a', map { subschema($depth) } 0 .. rand 3]) if $kind eq 'list' || $kind eq 'either';
	return ($key, ['o', map { [$_, names()] } some_keys($key)]) if $key eq 'dependentRequired';
	return ($key, ['o', map { [$_, $key eq 'dependencies' && rand() < 0.5 ? names()
		: subschema($depth)] } some_keys($key)]) if $kind eq 'map';
	return ($key, ['s', pick(0.5, 1, 2, 3, '1.0', '0.01', '1e20', $key eq 'multipleOf' ? () : (0, -1, -1.5))]) if
		grep { $_ eq $key } @bounds;
	return ($key, ['s', pick(0, 1, 2, 3, '1.0', '1e30')]) if grep { $_ eq $key } @{ $dialect->{counts} };
	return ($key, quoted(pick('#n', 'n', 'http://example.com/n', 'ipv4', 'base64', 'text/plain', ''))) if
		grep { $_ eq $key } @texts;
	return ($key, rand() < 0.6 ? quoted(pick(@types)) : do { my %seen;
		['a', map { quoted($_) } grep { !$seen{$_}++ } map { pick(@types) } 0 .. rand 3] }) if $key eq 'type';
	return ($key, ['a', map { value() } 0 .. rand 4]) if $key eq 'enum';
	return ($key, names()) if $key eq 'required';
	return ($key, quoted(a_pattern())) if $key eq 'pattern';
	return ($key, ['s', pick('true', 'true', 'false')]) if $key eq 'uniqueItems';
	return reference($key) if $key =~ /ref$/i;
	return ($key, quoted(pick('an', 'dy', 'x'))) if $key eq '$anchor';
	return ($key, value());
}

# A value that a schema names: never the secret.
sub value {
	return ['s', pick(@scalars)] if rand() < 0.7;
	my $value = piece();
	return write_json($value) =~ /hush/ ? ['o'] : $value;
}

# Mostly one that the model reads, too.
sub a_pattern {
	return rand() < 0.7 ? pick(@patterns[0 .. 7]) : pick(@patterns);
}

sub some_keys {
	my ($keyword) = @_;
	my %seen;
	return grep { !$seen{$_}++ } map { $keyword eq 'patternProperties' ? text_of(quoted(a_pattern()))
		: pick(@keys) } 1 .. rand 5;
}

sub names {
	return ['a', map { ['s', "\"$_\""] } some_keys('required')];
}

# The table of a batch, the properties, and the function that tries them on a row.
sub prepare {
	return <<'SQL';
SET client_min_messages = warning;
SET statement_timeout = '5min';
CREATE TEMP TABLE raw (id serial, s text, a text, b text);
-- d is the "$schema" of s, t what else is in s
CREATE TEMP TABLE batch (id int, s jsonb, a jsonb, b jsonb, d jsonb, t jsonb);
ALTER TABLE batch ALTER s SET STORAGE extended, ALTER a SET STORAGE main, ALTER b SET STORAGE external;
CREATE TEMP TABLE tried (accepted boolean, valid int);
CREATE TEMP TABLE answer (id int, facts jsonb);

-- Is every leaf of part in whole?  Arrays may be shortened anywhere, in order.
CREATE FUNCTION pg_temp.within(part jsonb, whole jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	k text;
	x jsonb;
	n int := 0;
BEGIN
	IF part = whole THEN RETURN true; END IF;
	IF jsonb_typeof(part) <> jsonb_typeof(whole) THEN RETURN false; END IF;
	CASE jsonb_typeof(part)
	WHEN 'object' THEN
		FOR k, x IN SELECT * FROM jsonb_each(part) LOOP
			IF NOT whole ? k OR NOT pg_temp.within(x, whole -> k) THEN RETURN false; END IF;
		END LOOP;
		RETURN true;
	WHEN 'array' THEN
		FOR x IN SELECT * FROM jsonb_array_elements(part) LOOP
			WHILE n < jsonb_array_length(whole) AND NOT pg_temp.within(x, whole -> n) LOOP
				n := n + 1;
			END LOOP;
			IF n = jsonb_array_length(whole) THEN RETURN false; END IF;
			n := n + 1;
		END LOOP;
		RETURN true;
	ELSE
		RETURN false;
	END CASE;
END $$;

-- The value at a path that is spelled as jq does; NULL if there is none.
CREATE FUNCTION pg_temp.at(doc jsonb, path text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	m text[];
BEGIN
	WHILE path NOT IN ('', '.') LOOP
		m := regexp_match(path, '^\.?(?:\[(?:("(?:[^"\\]|\\.)*")|([0-9]+))\]|([A-Za-z_][A-Za-z0-9_]*))(.*)$');
		IF m IS NULL THEN RETURN NULL; END IF;
		doc := CASE WHEN m[1] IS NOT NULL THEN doc -> (m[1]::jsonb #>> '{}') WHEN m[2] IS NOT NULL THEN doc -> m[2]::int
			ELSE doc -> m[3] END;
		path := m[4];
	END LOOP;
	RETURN doc;
END $$;

-- The value at a JSON pointer in a fragment as the functions write it; NULL if there is none.
CREATE FUNCTION pg_temp.pointed(doc jsonb, pointer text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT doc #> ARRAY(SELECT replace(replace(t, '~1', '/'), '~0', '~')
		FROM unnest(string_to_array(replace(substr(pointer, 2), '%25', '%'), '/')) WITH ORDINALITY AS x (t, n)
			WHERE n > 1 ORDER BY n)
$$;

-- The violations that are not as they should be.
CREATE FUNCTION pg_temp.odd_errors(doc jsonb, s jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT e::text FROM promote.jsonb_schema_errors(doc, s) e
	WHERE pg_temp.at(doc, instance_path) IS NULL
		OR schema_path NOT LIKE '#%' OR pg_temp.pointed(s, schema_path) IS NULL
		OR coalesce(message, '') = '' OR message ~ 'hush' AND s::text !~ 'hush'
		OR keyword !~ '^(type|enum|const|minimum|maximum|exclusiveMinimum|exclusiveMaximum|multipleOf|minLength|maxLeng'
			't'
			'h|pattern|items|additionalItems|contains|minItems|maxItems|uniqueItems|prefixItems|minContains|maxContain'
			's|unevaluatedItems|unevaluatedProperties|dependentRequired|dependentSchemas|\$dynamicRef|properties|patter'
			'n'
			'Properties|additionalProperties|propertyNames|required|minProperties|maxProperties|dependencies|allOf|anyO'
			'f|oneOf|not|if|then|else|\$ref|false)$'
		OR keyword IS NULL
	LIMIT 1
$$;

-- Where a composition c is not what its sides and what is copyable of them (fa, fb) make it; within arrays
-- elements have moved, so that nothing is known of them.
CREATE FUNCTION pg_temp.odd_key(a jsonb, b jsonb, fa jsonb, fb jsonb, c jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	k text;
	odd text;
BEGIN
	FOR k IN SELECT jsonb_object_keys(a || b) LOOP
		IF a ? k AND NOT fa ? k OR b ? k AND NOT fb ? k THEN
			IF c -> k IS DISTINCT FROM b -> k THEN RETURN k; END IF;
		ELSIF NOT a ? k THEN
			IF c ? k AND NOT pg_temp.within(c -> k, b -> k) THEN RETURN k; END IF;
		ELSIF jsonb_typeof(a -> k) = 'object' AND jsonb_typeof(b -> k) = 'object' THEN
			IF jsonb_typeof(c -> k) IS DISTINCT FROM 'object' THEN RETURN k; END IF;
			odd := pg_temp.odd_key(a -> k, b -> k, fa -> k, fb -> k, c -> k);
			IF odd IS NOT NULL THEN RETURN k || ' ' || odd; END IF;
		ELSIF NOT b ? k OR jsonb_typeof(a -> k) <> 'array' OR jsonb_typeof(b -> k) <> 'array' THEN
			IF c -> k IS DISTINCT FROM fa -> k THEN RETURN k; END IF;
		END IF;
	END LOOP;
	FOR k IN SELECT jsonb_object_keys(c) LOOP
		IF NOT a ? k AND NOT b ? k THEN RETURN k; END IF;
	END LOOP;
	RETURN NULL;
END $$;

-- A root that is marked is the destination's as a whole, and nothing more is known.
CREATE FUNCTION pg_temp.odd_composition(a jsonb, b jsonb, s jsonb) RETURNS text LANGUAGE sql AS $$
	WITH f AS MATERIALIZED (SELECT promote.jsonb_filter_copyable(a, s) AS fa, promote.jsonb_filter_copyable(b, s) AS fb,
		promote.compose_params(a, b, s) AS c)
	SELECT CASE WHEN c <> b OR fa <> '{}' AND fb <> '{}' THEN pg_temp.odd_key(a, b, fa, fb, c) END FROM f
$$;

-- The violations, their places without what leads to the schema and the document.
CREATE FUNCTION pg_temp.violations(doc jsonb, s jsonb, above text, root text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_agg(array[ltrim(substr(instance_path, length(root) + 1), '.'), substr(schema_path, length(above) + 1),
		keyword, message])
	FROM promote.jsonb_schema_errors(doc, s)
$$;

-- What the model is asked of a document.
CREATE FUNCTION pg_temp.facts(doc jsonb, s jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_array(jsonb_build_array(promote.jsonb_schema_valid(doc, s), promote.jsonb_filter_copyable(doc,
		s),
		(SELECT coalesce(jsonb_agg(DISTINCT instance_path || E'\t' || schema_path), '[]')
			FROM promote.jsonb_schema_annotations(doc, s)
			WHERE keyword IN ('title', 'description', 'default', '$md', '$md.copyable', '$md.immutable',
				'$md.sensitive', '$md.scale'))))
$$;

-- Runs an expression; its result, or the SQLSTATE, with all of the refusal where it lacks something.
CREATE FUNCTION pg_temp.try(expression text, r record, OUT result jsonb, OUT state text) LANGUAGE plpgsql AS $$
DECLARE
	facts text;
	advice text;
	message text;
BEGIN
	EXECUTE 'SELECT to_jsonb(' || expression || ') FROM batch WHERE id = $1' INTO result USING r.id;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, facts = PG_EXCEPTION_DETAIL,
		advice = PG_EXCEPTION_HINT;
	IF state LIKE 'PM%' AND (facts = '' OR advice = '') OR state !~ '^(PM101|PM102|PM106|54001)$' THEN
		state := state || ' ' || message || ' / ' || facts || ' / ' || advice;
	END IF;
END $$;

-- What a schema is refused for, the others refuse it for, too.
CREATE FUNCTION pg_temp.check_refused(r record) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	call text;
	x record;
BEGIN
	FOREACH call IN ARRAY ARRAY['promote.jsonb_schema_valid(a, s)',
		'(SELECT count(*) FROM promote.jsonb_schema_errors(a, s))',
		'promote.jsonb_filter_copyable(a, s)', 'promote.compose_params(a, b, s)',
			'promote.jsonb_schema_check(d || jsonb_build_object(''not'', t))'] LOOP
		x := pg_temp.try(call, r);
		-- in an object, a reference may come to lead somewhere
		CONTINUE WHEN x.state IN ('PM106', '54001') OR call ~ 'compose' AND x.state IN ('PM101', 'PM102')
			OR call ~ 'build_object' AND x.state IS NULL AND r.s::text ~ '"\$(dynamicRef|ref|id|anchor)"';
		RETURN NEXT call || ': ' || coalesce(x.state, x.result::text, 'null') || ', but the schema is refused';
	END LOOP;
END $$;

CREATE FUNCTION pg_temp.check(r record) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	pair text[];
	x record;
	y record;
	params boolean := jsonb_typeof(r.a) = 'object' AND jsonb_typeof(r.b) = 'object';
	-- what refers to its root means something else within another schema
	embeddable boolean := r.s::text !~ '"\$(ref|id|dynamicRef|anchor|dynamicAnchor)": ';
	modern boolean := r.d::text ~ '2020-12';
	-- whether a reference may be found to lead nowhere, or to have no end, when it is followed
	open boolean := r.s::text ~ '"\$dynamicRef": |"\$ref": "[^#]';
	-- whether marks stand at names alone: a branch may be another one of what comes out, an array may stay whole
	named boolean := r.s::text !~
		'"(if|anyOf|oneOf|contains|dependencies|items|additionalItems|not|prefixItems|dependentSchemas|unevaluate'
		'd[A-Z][a-z]*)": ';
	-- whether what is filtered can change which branch, or which item, a mark is for
	decided boolean := r.s::text !~
		'"(if|anyOf|oneOf|contains|dependencies|prefixItems|dependentSchemas|unevaluated[A-Z][a-z]*)": |"items": \[';
BEGIN
	x := pg_temp.try('promote.jsonb_schema_check(s)', r);
	INSERT INTO tried VALUES (x.state IS NULL, 0);
	IF x.state = 'PM106' THEN
		RETURN QUERY SELECT * FROM pg_temp.check_refused(r);
		RETURN;
	ELSIF x.state = '54001' THEN
		RETURN;
	ELSIF x.result IS DISTINCT FROM 'true' THEN
		RETURN NEXT 'promote.jsonb_schema_check(s): ' || coalesce(x.state, x.result::text, 'null');
		RETURN;
	END IF;
	FOREACH pair SLICE 1 IN ARRAY ARRAY[
		['promote.jsonb_schema_valid(a, s)', 'NOT EXISTS (SELECT FROM promote.jsonb_schema_errors(a, s))', ''],
		['promote.jsonb_schema_valid(b, s)', 'NOT EXISTS (SELECT FROM promote.jsonb_schema_errors(b, s))', ''],
		['pg_temp.odd_errors(a, s)', 'null::text', ''],
		['pg_temp.odd_errors(b, s)', 'null::text', ''],
		['promote.jsonb_filter_copyable(promote.jsonb_filter_copyable(a, s), s)', 'promote.jsonb_filter_copyable(a, s)',
			'decided'],
		['(SELECT pg_temp.within(f, a) OR f = ''{}'' FROM promote.jsonb_filter_copyable(a, s) f)', 'true', ''],
		['promote.jsonb_filter_copyable(a, s)', 'a', 'unmarked'],
		['promote.compose_params(a, a, s)', 'a', 'params'],
		['promote.compose_params(b, b, s)', 'b', 'params'],
		['promote.compose_params(a, b, s)', 'a', 'params unmarked'],
		-- either all of the empty destination is its own, or none
		['(SELECT c IN (''{}'', f) FROM promote.compose_params(a, ''{}'', s) c, promote.jsonb_filter_copyable(a, s) f)',
			'true', 'params named'],
		['pg_temp.odd_composition(a, b, s)', 'null::text', 'params named'],
		['promote.compose_params(a, b, s, b)', 'promote.jsonb_merge_patch(promote.compose_params(a, b, s), b)',
			'params named'],
		['promote.compose_params(a, promote.compose_params(a, b, s), s)', 'promote.compose_params(a, b, s)',
			'params named'],
		['promote.jsonb_schema_valid(a, jsonb_build_object(''const'', b))', 'a = b', ''],
		['promote.jsonb_schema_valid(a, jsonb_build_object(''enum'', jsonb_build_array(b, 1)))',
			'a IN (b, 1::text::jsonb)', ''],
		['promote.jsonb_schema_valid(jsonb_build_array(0, a, 1, b), ''{"uniqueItems": true}'')',
			'a <> b AND NOT a IN (''0'', ''1'') AND NOT b IN (''0'', ''1'')', ''],
		['promote.jsonb_schema_valid(a, d || jsonb_build_object(''not'', t))', 'NOT promote.jsonb_schema_valid(a, s)',
			'embeddable'],
		['promote.jsonb_schema_valid(a, d || jsonb_build_object(''allOf'', jsonb_build_array(t, true, t)))',
			'promote.jsonb_schema_valid(a, s)', 'embeddable'],
		['promote.jsonb_schema_valid(a, d || jsonb_build_object(''anyOf'', jsonb_build_array(false, t)))',
			'promote.jsonb_schema_valid(a, s)', 'embeddable'],
		['promote.jsonb_schema_valid(a, d || jsonb_build_object(''oneOf'', jsonb_build_array(t, true)))',
			'NOT promote.jsonb_schema_valid(a, s)', 'embeddable'],
		['promote.jsonb_schema_valid(a, d || jsonb_build_object(''if'', t, ''then'', false))',
			'NOT promote.jsonb_schema_valid(a, s)', 'embeddable'],
		['promote.jsonb_schema_valid(a, d || jsonb_build_object(''if'', t, ''else'', false))',
			'promote.jsonb_schema_valid(a, s)', 'embeddable'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''items'', t))',
			'promote.jsonb_schema_valid(a, s) AND promote.jsonb_schema_valid(b, s)', 'embeddable'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''contains'', t))',
			'promote.jsonb_schema_valid(a, s) OR promote.jsonb_schema_valid(b, s)', 'embeddable'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''items'', '
			'jsonb_build_array(true), ''additionalItems'', t))', 'promote.jsonb_schema_valid(b, s)', 'embeddable old'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''prefixItems'', '
			'jsonb_build_array(true), ''items'', t))', 'promote.jsonb_schema_valid(b, s)', 'embeddable modern'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''prefixItems'', '
			'jsonb_build_array(t)))', 'promote.jsonb_schema_valid(a, s)', 'embeddable modern'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''contains'', '
			't, ''minContains'', 2))', 'promote.jsonb_schema_valid(a, s) AND promote.jsonb_schema_valid(b, s)',
			'embeddable modern'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''contains'', '
			't, ''minContains'', 0, ''maxContains'', 1))',
			'NOT (promote.jsonb_schema_valid(a, s) AND promote.jsonb_schema_valid(b, s))', 'embeddable modern'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''contains'', '
			't, ''minContains'', 0, ''unevaluatedItems'', false))',
			'promote.jsonb_schema_valid(a, s) AND promote.jsonb_schema_valid(b, s)', 'embeddable modern'],
		['promote.jsonb_schema_valid(jsonb_build_array(a, b), d || jsonb_build_object(''allOf'', ''[{"prefixItems": '
			'[true]}]''::jsonb, ''unevaluatedItems'', t))', 'promote.jsonb_schema_valid(b, s)', 'embeddable modern'],
		['promote.jsonb_schema_valid(jsonb_build_object(''k'', a, ''m'', b), d || '
			'jsonb_build_object(''if'', ''{"properties": {"m": true}}''::jsonb, ''unevaluatedProperties'', t))',
			'promote.jsonb_schema_valid(a, s)', 'embeddable modern'],
		['promote.jsonb_schema_valid(a || ''{"": 1}'', d || jsonb_build_object(''dependentSchemas'', '
			'jsonb_build_object('''', t, ''none of these'', false)))',
			'promote.jsonb_schema_valid(a || ''{"": 1}'', s)', 'embeddable params modern'],
		['promote.jsonb_schema_valid(jsonb_build_object(''k'', a), d || jsonb_build_object(''$defs'', '
			'jsonb_build_object(''x'', t || ''{"$dynamicAnchor": "y"}''), ''properties'', ''{"k": {"$dynamicRef": '
			'"#y"}}''::jsonb))', 'promote.jsonb_schema_valid(a, s)', 'embeddable modern object'],
		['promote.jsonb_schema_valid(jsonb_build_object(''k'', a, ''m'', b), d || jsonb_build_object(''properties'', '
			'jsonb_build_object(''k'', t)))', 'promote.jsonb_schema_valid(a, s)', 'embeddable'],
		['promote.jsonb_schema_valid(jsonb_build_object(''k'', a, ''m'', b), d || '
			'jsonb_build_object(''patternProperties'', jsonb_build_object(''^m'', t)))',
			'promote.jsonb_schema_valid(b, s)', 'embeddable'],
		['promote.jsonb_schema_valid(jsonb_build_object(''k'', a, ''m'', b), d || jsonb_build_object(''properties'', '
			'jsonb_build_object(''m'', true), ''additionalProperties'', t))', 'promote.jsonb_schema_valid(a, s)',
			'embeddable'],
		['promote.jsonb_schema_valid(jsonb_build_object(''k'', a), d || jsonb_build_object(''x'', '
			't, ''additionalProperties'', ''{"$ref": "#/x"}''::jsonb))', 'promote.jsonb_schema_valid(a, s)',
			'embeddable'],
		['promote.jsonb_schema_valid(''{"k": 1, "ab": 2}'', d || jsonb_build_object(''propertyNames'', t))',
			'promote.jsonb_schema_valid(''"k"'', s) AND promote.jsonb_schema_valid(''"ab"'', s)', 'embeddable'],
		['promote.jsonb_schema_valid(a || ''{"": 1}'', d || jsonb_build_object(''dependencies'', '
			'jsonb_build_object('''', t, ''none of these'', false)))',
			'promote.jsonb_schema_valid(a || ''{"": 1}'', s)', 'embeddable params'],
		['promote.jsonb_filter_copyable(a, d || jsonb_build_object(''allOf'', jsonb_build_array(t)))',
			'promote.jsonb_filter_copyable(a, s)', 'embeddable'],
		['promote.jsonb_filter_copyable(a, d || jsonb_build_object(''anyOf'', jsonb_build_array(t, false)))',
			'promote.jsonb_filter_copyable(a, s)', 'embeddable'],
		['promote.jsonb_filter_copyable(a, d || jsonb_build_object(''not'', t, ''propertyNames'', t))', 'a',
			'embeddable'],
		['pg_temp.violations(jsonb_build_object(''k'', a), d || jsonb_build_object(''properties'', '
			'jsonb_build_object(''k'', t)), ''#/properties/k'', ''.k'')', 'pg_temp.violations(a, s, ''#'', '''')',
			'embeddable object'],
		['pg_temp.violations(jsonb_build_array(a), d || jsonb_build_object(''allOf'', '
			'jsonb_build_array(jsonb_build_object(''items'', t))), ''#/allOf/0/items'', ''.[0]'')',
			'pg_temp.violations(a, s, ''#'', '''')', 'embeddable object'],
		-- a root that is marked leaves {}, a key that is marked goes
		['(SELECT w = jsonb_build_object(''k'', f) OR w = ''{}'' AND f = ''{}'' FROM '
			'promote.jsonb_filter_copyable(jsonb_build_object(''k'', a), d || jsonb_build_object(''properties'', '
			'jsonb_build_object(''k'', t))) w, promote.jsonb_filter_copyable(a, s) f)', 'true', 'embeddable']
	] LOOP
		CONTINUE WHEN pair[3] ~ 'params' AND NOT params OR pair[3] ~ 'embeddable' AND NOT embeddable
			OR pair[3] ~ 'modern' AND NOT modern OR pair[3] ~ 'old' AND modern
			OR pair[3] ~ 'object' AND jsonb_typeof(r.s) <> 'object'
			OR pair[3] ~ 'decided' AND NOT decided OR pair[3] ~ 'named' AND NOT named OR pair[3] ~ 'unmarked'
				AND r.s::text ~ 'copyable';
		x := pg_temp.try(pair[1], r);
		CONTINUE WHEN x.state = '54001' OR open AND x.state = 'PM106' OR pair[3] ~ 'params'
			AND x.state IN ('PM101', 'PM102');
		IF x.state IS NOT NULL THEN
			RETURN NEXT pair[1] || ': ' || x.state;
			CONTINUE;
		END IF;
		IF pair[1] ~ '_valid\([ab], s\)$' AND x.result = 'true' THEN
			INSERT INTO tried VALUES (false, 1);
		END IF;
		y := pg_temp.try(pair[2], r);
		CONTINUE WHEN open AND y.state = 'PM106';
		IF coalesce(y.state, '54001') <> '54001' OR x.result IS DISTINCT FROM y.result AND y.state IS NULL THEN
			RETURN NEXT pair[1] || ' is ' || left(coalesce(x.result::text, 'null'), 300) || ' but ' || pair[2] || ' '
				|| left(coalesce(y.state, y.result::text, 'null'), 300);
		END IF;
	END LOOP;
	x := pg_temp.try('pg_temp.facts(a, s) || pg_temp.facts(b, s)', r);
	IF x.state IS NULL THEN
		INSERT INTO answer VALUES (r.id, x.result);
	ELSIF x.state <> '54001' AND NOT (open AND x.state = 'PM106') THEN
		RETURN NEXT 'pg_temp.facts(a, s): ' || x.state;
	END IF;
END $$;
SQL
}

