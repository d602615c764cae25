package SchemaModel;

# What a JSON Schema says of a document, from the specifications (draft-07, and 2020-12 core and validation) and, for
# marks, from the table in doc/reference/schema.md: to compare the extension with.  It is as plain as can be, and knows
# nothing of how the extension does it.
#
#   my $schema = SchemaModel->new($tree);         # a tree of Fuzz::parse_json
#   my $document = SchemaModel::decode($tree);
#   $schema->valid($document);                    # true or false
#   $schema->applying($document);                 # {"instance path\tschema path" => keywords}
#   $schema->copyable($document);                 # what is left of the document, decoded
#   $document->{text};                            # the same text for equal values
#
# A schema is taken to be well-formed.  What the model cannot or would not say, such as of patterns that Perl reads in
# another way, of references to what may or may not be a schema, or of work without end, it dies of with "doubt: ".

use strict;
use warnings;
no warnings 'recursion';
use Encode qw(decode_utf8);
use Math::BigInt;

use constant STEPS => 20000;
use constant LEVELS => 400;
use constant ROOT => 'model://root/schema';

my %holds7 = (
	(map { $_ => 'one' } qw(not if then else contains additionalItems additionalProperties propertyNames)),
	(map { $_ => 'list' } qw(allOf anyOf oneOf)),
	(map { $_ => 'map' } qw(properties patternProperties definitions dependencies)),
	items => 'either');
my %holds2020 = (
	(map { $_ => 'one' } qw(not if then else contains items additionalProperties propertyNames unevaluatedItems
		unevaluatedProperties contentSchema)),
	(map { $_ => 'list' } qw(allOf anyOf oneOf prefixItems)),
	(map { $_ => 'map' } qw(properties patternProperties definitions dependencies $defs dependentSchemas)));

sub new {
	my ($class, $tree) = @_;
	my $root = decode($tree);
	my $named = $root->{type} eq 'object' ? $root->{value}{'$schema'} : undef;
	my $modern = $named && $named->{value} =~ /2020-12/ ? 1 : 0;
	my $self = bless { modern => $modern, holds => $modern ? \%holds2020 : \%holds7, root => $root, places => {},
		named => {}, dynamic => {}, twice => {} }, $class;
	$self->find($root, '', ROOT);
	return $self;
}

sub valid {
	my ($self, $document) = @_;
	$self->{steps} = 0;
	return defined $self->evaluate($self->{places}{''}, $document, []) ? 1 : 0;
}

sub applying {
	my ($self, $document) = @_;
	$self->{steps} = 0;
	$self->{applying} = {};
	$self->{held} = {};
	$self->apply($self->{places}{''}, $document, '', []);
	return $self->{applying};
}

sub copyable {
	my ($self, $document) = @_;
	$self->applying($document);
	my $left = $self->left($document, '');
	return $left // '{}';
}

# ---- documents ----

# A tree as {type, value, text}: an object's value by its keys, where the last of equal ones counts.
sub decode {
	my ($tree) = @_;
	my ($kind, @children) = @$tree;
	return scalar_of($children[0]) if $kind eq 's';
	if ($kind eq 'a') {
		my @items = map { decode($_) } @children;
		return { type => 'array', value => \@items, text => '[' . join(',', map { $_->{text} } @items) . ']' };
	}
	my %of = map { (text_of($_->[0]) => decode($_->[1])) } @children;
	return { type => 'object', value => \%of,
		text => '{' . join(',', map { quoted($_) . ':' . $of{$_}{text} } sort keys %of) . '}' };
}

sub scalar_of {
	my ($token) = @_;
	return { type => 'null', text => 'null' } if $token eq 'null';
	return { type => 'boolean', value => $token eq 'true', text => $token } if $token =~ /^(true|false)$/;
	if ($token =~ /^"(.*)"$/s) {
		my $text = text_of($1);
		return { type => 'string', value => $text, text => quoted($text) };
	}
	return number_of($token);
}

# A number as its digits without zeros at the end, and the power of ten that they count.
sub number_of {
	my ($token) = @_;
	my ($sign, $whole, $part, $power) = $token =~ /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/
	  or die "doubt: not a number: $token\n";
	my $digits = $whole . ($part // '');
	$power = ($power // 0) - length($part // '');
	$digits =~ s/^0+//;
	$digits =~ s/(0*)$//;
	$power += length $1;
	($sign, $digits, $power) = ('', 0, 0) if $digits eq '';
	return { type => 'number', value => ["$sign$digits", $power], text => "$sign${digits}e$power" };
}

# Two numbers as integers of the same power of ten.
sub integers {
	my ($p, $q) = map { $_->{value} } @_;
	my $least = $p->[1] < $q->[1] ? $p->[1] : $q->[1];
	my @digits = map { $_->[0] . '0' x ($_->[1] - $least) } $p, $q;
	return grep({ length > 15 } @digits) ? map { Math::BigInt->new($_) } @digits : @digits;
}

sub compare {
	my ($p, $q) = integers(@_);
	return $p <=> $q;
}

# Characters from what is between the quotes.
sub text_of {
	my ($bytes) = @_;
	my %short = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
	my $text = decode_utf8($bytes);
	$text =~ s{\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)|\\u(....)|\\(.)}
		{defined $1 ? chr(0x10000 + ((hex($1) & 0x3ff) << 10 | hex($2) & 0x3ff))
			: defined $3 ? chr hex $3 : $short{$4} // $4}ges;
	return $text;
}

sub quoted {
	my ($text) = @_;
	return '"' . ($text =~ s/(["\\])/\\$1/gr =~ s/\n/\\n/gr =~ s/([\x00-\x1f])/sprintf '\\u%04x', ord $1/ger) . '"';
}

# A step to a child as jq spells it.
sub step {
	my ($path, $key) = @_;
	return "$path.$key" if $key =~ /^[A-Za-z_][A-Za-z0-9_]*$/a;
	return ($path eq '' ? '.' : $path) . '[' . quoted($key) . ']';
}

sub item {
	my ($path, $index) = @_;
	return ($path eq '' ? '.' : $path) . "[$index]";
}

# ---- places and names ----

# Notes the subschema and those within it, with what they are called.
sub find {
	my ($self, $node, $pointer, $base) = @_;
	my $place = $self->{places}{$pointer} = { node => $node, pointer => $pointer };
	if ($node->{type} eq 'object') {
		$base = $self->name($node->{value}, $place, $base);
		for my $child ($self->children($node)) {
			$self->find($child->[1], "$pointer$child->[0]", $base);
		}
	}
	$place->{base} = $base;
	return $place;
}

# The subschemas right below one: [pointer from it, node], ...
sub children {
	my ($self, $node) = @_;
	my @found;
	for my $key (sort keys %{ $node->{value} }) {
		my $value = $node->{value}{$key};
		my $kind = $self->{holds}{$key} // next;
		my $below = '/' . token($key);
		if ($kind eq 'map') {
			push @found, map { ["$below/" . token($_), $value->{value}{$_}] }
				grep { $value->{value}{$_}{type} ne 'array' } sort keys %{ $value->{value} };
		} elsif ($value->{type} eq 'array') {
			push @found, map { ["$below/$_", $value->{value}[$_]] } 0 .. $#{ $value->{value} };
		} else {
			push @found, [$below, $value];
		}
	}
	return @found;
}

sub token {
	my ($key) = @_;
	return $key =~ s/~/~0/gr =~ s/\//~1/gr;
}

# Notes the names that keywords give to a place; returns the base URI there.
sub name {
	my ($self, $of, $place, $base) = @_;
	my $id = $of->{'$id'} && $of->{'$id'}{value};
	undef $id if !$self->{modern} && $of->{'$ref'};
	$self->{named}{$base} = $place if $place->{pointer} eq '';
	if (defined $id && $id =~ s/^#(?=.)//) {
		$self->call("$base#$id", $place);
	} elsif (defined $id) {
		$id =~ s/#$//;
		die "doubt: $id\n" if $id !~ /^[-A-Za-z0-9._:\/]+$/ || $id =~ /#/;
		$base = resolve($base, $id);
		$self->call($base, $place);
	}
	return $base if !$self->{modern};
	$self->call("$base#$of->{'$anchor'}{value}", $place) if $of->{'$anchor'};
	if ($of->{'$dynamicAnchor'}) {
		my $name = "$base#$of->{'$dynamicAnchor'}{value}";
		$self->call($name, $place);
		$self->{dynamic}{$name} = $place;
	}
	return $base;
}

sub call {
	my ($self, $name, $place) = @_;
	$self->{twice}{$name} = 1 if $self->{named}{$name} && $self->{named}{$name} != $place;
	$self->{named}{$name} = $place;
	return;
}

# RFC 3986, 5.2, for URIs without a query.
sub resolve {
	my ($base, $reference) = @_;
	return $reference if $reference =~ /^[A-Za-z][-A-Za-z0-9+.]*:/;
	my ($origin, $path) = $base =~ m{^([^:]+:(?://[^/]*)?)(.*)$}s;
	return $base if $reference eq '';
	return $origin =~ s{//.*}{}r . $reference if $reference =~ m{^//};
	my $whole = $reference =~ m{^/} ? $reference : $path =~ s{[^/]*$}{}r . $reference;
	die "doubt: $base $reference\n" if $whole !~ m{^/};
	my @kept;
	my @segments = split m{/}, substr($whole, 1), -1;
	for my $i (0 .. $#segments) {
		pop @kept if $segments[$i] eq '..';
		push @kept, $segments[$i] if $segments[$i] !~ /^\.\.?$/;
		push @kept, '' if $i == $#segments && $segments[$i] =~ /^\.\.?$/;
	}
	return "$origin/" . join '/', @kept;
}

# Where a reference leads; in a list, with the name if it is an anchor's.
sub target {
	my ($self, $base, $reference) = @_;
	my ($uri, $fragment) = $reference =~ /^([^#]*)(?:#(.*))?$/s;
	die "doubt: $reference\n" if $uri !~ /^[-A-Za-z0-9._:\/]*$/;
	$uri = resolve($base, $uri);
	$fragment //= '';
	my $name = $fragment eq '' || $fragment =~ /^\// ? $uri : "$uri#$fragment";
	my $place = $self->{named}{$name} or die "doubt: nothing is called $name\n";
	die "doubt: more than one is called $name\n" if $self->{twice}{$name};
	return $fragment =~ /^\// ? $self->pointed($place, $fragment) : ($place, $name);
}

# The place at a JSON pointer from another one.
sub pointed {
	my ($self, $place, $fragment) = @_;
	my $text = Encode::encode_utf8($fragment) =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
	my ($at, $pointer, $base) = ($place->{node}, $place->{pointer}, $place->{base});
	for my $token (map { substr $_, 1 } decode_utf8($text) =~ /\/[^\/]*/g) {
		my $key = $token =~ s/~1/\//gr =~ s/~0/~/gr;
		$at = $at->{type} eq 'object' ? $at->{value}{$key} : $at->{type} eq 'array' && $key =~ /^\d+$/
			? $at->{value}[$key] : undef;
		die "doubt: nothing is at $fragment\n" if !$at;
		$pointer .= '/' . token($key);
		$base = $self->{places}{$pointer}{base} if $self->{places}{$pointer};
	}
	return $self->{places}{$pointer} if $self->{places}{$pointer};
	die "doubt: what is named in $fragment\n" if $at->{text} =~ /"\$(id|anchor|dynamicAnchor)":/;
	return $self->find($at, $pointer, $base);
}

# Where a $dynamicRef leads: by the outermost resource on the way that has such a $dynamicAnchor.
sub dynamic_target {
	my ($self, $base, $reference, $scope) = @_;
	my ($place, $name) = $self->target($base, $reference);
	return $place if !$name || !$self->{dynamic}{$name};
	my ($fragment) = $name =~ /(#.*)/s;
	for my $resource (@$scope) {
		my $outer = "$resource$fragment";
		die "doubt: more than one is called $outer\n" if $self->{twice}{$outer};
		return $self->{dynamic}{$outer} if $self->{dynamic}{$outer};
	}
	return $place;
}

# ---- validity ----

sub spend {
	my ($self, $scope) = @_;
	die "doubt: too much work\n" if $self->{steps}++ > STEPS || @$scope > LEVELS;
	return;
}

# Undefined if the subschema does not accept the value; otherwise the children of it that were evaluated, which is
# what unevaluatedProperties and unevaluatedItems look at.
sub evaluate {
	my ($self, $place, $value, $scope) = @_;
	$self->spend($scope);
	my $node = $place->{node};
	return $node->{value} ? {} : undef if $node->{type} eq 'boolean';
	die "doubt: not a schema at $place->{pointer}\n" if $node->{type} ne 'object';
	my $of = $node->{value};
	$scope = [@$scope, $place->{base}];
	my $at = { place => $place, of => $of, value => $value, scope => $scope, seen => {} };
	my $type = $value->{type};
	if (!$self->{modern} && $of->{'$ref'}) {
		my ($target) = $self->target($place->{base}, $of->{'$ref'}{value});
		return $self->evaluate($target, $value, $scope);
	}
	return undef if !$self->any_type($at) || !$self->in_place($at);
	return undef if $type eq 'object' && !$self->object($at);
	return undef if $type eq 'array' && !$self->array($at);
	return undef if $type eq 'string' && !$self->string($at);
	return undef if $type eq 'number' && !$self->number($at);
	return $at->{seen};
}

# The subschema that is so many steps below.
sub below {
	my ($self, $at, @steps) = @_;
	my $pointer = join '/', $at->{place}{pointer}, map { token($_) } @steps;
	return $self->{places}{$pointer} // die "no place $pointer\n";
}

# Does the subschema below accept the value?  With "seen", what it evaluates of it counts as evaluated.
sub accepts {
	my ($self, $at, $value, @steps) = @_;
	return defined $self->evaluate($self->below($at, @steps), $value, $at->{scope});
}

sub joins {
	my ($self, $at, $place) = @_;
	my $seen = $self->evaluate($place, $at->{value}, $at->{scope});
	$at->{seen}{$_} = 1 for keys %{ $seen // {} };
	return defined $seen;
}

sub is_type {
	my ($value, $name) = @_;
	return $value->{type} eq 'number' && $value->{value}[1] >= 0 if $name eq 'integer';
	return $value->{type} eq $name;
}

sub any_type {
	my ($self, $at) = @_;
	my ($of, $value) = @$at{qw(of value)};
	if (my $type = $of->{type}) {
		my @names = map { $_->{value} } $type->{type} eq 'array' ? @{ $type->{value} } : $type;
		return 0 if !grep { is_type($value, $_) } @names;
	}
	return 0 if $of->{enum} && !grep { $_->{text} eq $value->{text} } @{ $of->{enum}{value} };
	return 0 if $of->{const} && $of->{const}{text} ne $value->{text};
	return 1;
}

# The keywords that apply subschemas, or others, to the same value.
sub in_place {
	my ($self, $at) = @_;
	my ($of, $value) = @$at{qw(of value)};
	my $valid = 1;
	for my $place ($self->referred($at)) {
		my $joined = $self->joins($at, $place);
		$valid &&= $joined;
	}
	my %matching = map { $_ => $self->matching($at, $_) } qw(allOf anyOf oneOf);
	$valid &&= $matching{allOf} == @{ $of->{allOf}{value} } if $of->{allOf};
	$valid &&= $matching{anyOf} > 0 if $of->{anyOf};
	$valid &&= $matching{oneOf} == 1 if $of->{oneOf};
	$valid &&= !$self->accepts($at, $value, 'not') if $of->{not};
	if ($of->{if}) {
		my $branch = $self->joins($at, $self->below($at, 'if')) ? 'then' : 'else';
		my $joined = !$of->{$branch} || $self->joins($at, $self->below($at, $branch));
		$valid &&= $joined;
	}
	for my $place ($self->dependent($at)) {
		my $joined = $self->joins($at, $place);
		$valid &&= $joined;
	}
	return $valid;
}

# Where the references lead.
sub referred {
	my ($self, $at) = @_;
	my ($of, $place) = @$at{qw(of place)};
	my @found;
	push @found, ($self->target($place->{base}, $of->{'$ref'}{value}))[0] if $of->{'$ref'};
	push @found, $self->dynamic_target($place->{base}, $of->{'$dynamicRef'}{value}, $at->{scope})
	  if $self->{modern} && $of->{'$dynamicRef'};
	return @found;
}

# How many of the branches accept the value.
sub matching {
	my ($self, $at, $keyword) = @_;
	my $branches = $at->{of}{$keyword} or return 0;
	return scalar grep { $self->joins($at, $self->below($at, $keyword, $_)) } 0 .. $#{ $branches->{value} };
}

# The subschemas that apply to an object since a property is there.
sub dependent {
	my ($self, $at) = @_;
	my ($of, $value) = @$at{qw(of value)};
	return if $value->{type} ne 'object';
	my @found;
	for my $keyword ('dependencies', $self->{modern} ? 'dependentSchemas' : ()) {
		my $map = $of->{$keyword} or next;
		push @found, map { $self->below($at, $keyword, $_) }
		  grep { $map->{value}{$_}{type} ne 'array' && $value->{value}{$_} } sort keys %{ $map->{value} };
	}
	return @found;
}

# Which subschemas apply to a property: [place, keyword], ...
sub of_property {
	my ($self, $at, $key) = @_;
	my $of = $at->{of};
	my @found;
	push @found, $self->below($at, 'properties', $key) if $of->{properties} && $of->{properties}{value}{$key};
	push @found, map { $self->below($at, 'patternProperties', $_) } grep { matches($_, $key) }
	  $of->{patternProperties} ? sort keys %{ $of->{patternProperties}{value} } : ();
	push @found, $self->below($at, 'additionalProperties') if !@found && $of->{additionalProperties};
	return @found;
}

sub object {
	my ($self, $at) = @_;
	my ($of, $properties) = ($at->{of}, $at->{value}{value});
	my $count = keys %$properties;
	return 0 if !bounded($of, $count, 'minProperties', 'maxProperties');
	return 0 if $of->{required} && grep { !$properties->{ $_->{value} } } @{ $of->{required}{value} };
	for my $keyword ('dependencies', $self->{modern} ? 'dependentRequired' : ()) {
		my $map = $of->{$keyword} or next;
		for my $key (grep { $properties->{$_} && $map->{value}{$_}{type} eq 'array' } keys %{ $map->{value} }) {
			return 0 if grep { !$properties->{ $_->{value} } } @{ $map->{value}{$key}{value} };
		}
	}
	for my $key (sort keys %$properties) {
		return 0 if $of->{propertyNames} && !$self->accepts($at, { type => 'string', value => $key,
			text => quoted($key) }, 'propertyNames');
		my @places = $self->of_property($at, $key);
		$at->{seen}{$key} = 1 if @places;
		return 0 if grep { !defined $self->evaluate($_, $properties->{$key}, $at->{scope}) } @places;
	}
	return 1 if !$self->{modern} || !$of->{unevaluatedProperties};
	my @rest = grep { !$at->{seen}{$_} } sort keys %$properties;
	$at->{seen}{$_} = 1 for @rest;
	return !grep { !$self->accepts($at, $properties->{$_}, 'unevaluatedProperties') } @rest;
}

# The subschema for an item by its position.
sub of_item {
	my ($self, $at, $index) = @_;
	my $of = $at->{of};
	my ($tuple, $rest) = $self->{modern} ? qw(prefixItems items) : $of->{items} && $of->{items}{type} eq 'array'
		? qw(items additionalItems) : ('', 'items');
	return $self->below($at, $tuple, $index) if $tuple ne '' && $of->{$tuple} && $index < @{ $of->{$tuple}{value} };
	return $of->{$rest} && $self->below($at, $rest);
}

# The positions of the items that "contains" accepts.
sub contained {
	my ($self, $at) = @_;
	my $items = $at->{value}{value};
	return grep { $self->accepts($at, $items->[$_], 'contains') } 0 .. $#$items;
}

sub array {
	my ($self, $at) = @_;
	my ($of, $items) = ($at->{of}, $at->{value}{value});
	return 0 if !bounded($of, scalar @$items, 'minItems', 'maxItems');
	if ($of->{uniqueItems} && $of->{uniqueItems}{value}) {
		my %twice;
		return 0 if grep { $twice{ $_->{text} }++ } @$items;
	}
	if ($of->{contains}) {
		my @contained = $self->contained($at);
		return 0 if !$self->enough($of, scalar @contained);
		$at->{seen}{$_} = 1 for $self->{modern} ? @contained : ();
	}
	for my $index (0 .. $#$items) {
		my $place = $self->of_item($at, $index) or next;
		$at->{seen}{$index} = 1;
		return 0 if !defined $self->evaluate($place, $items->[$index], $at->{scope});
	}
	return 1 if !$self->{modern} || !$of->{unevaluatedItems};
	my @rest = grep { !$at->{seen}{$_} } 0 .. $#$items;
	$at->{seen}{$_} = 1 for @rest;
	return !grep { !$self->accepts($at, $items->[$_], 'unevaluatedItems') } @rest;
}

# Are so many items that are contained as many as may be?
sub enough {
	my ($self, $of, $count) = @_;
	return $count > 0 if !$self->{modern};
	return bounded($of, $count, 'minContains', 'maxContains') && ($of->{minContains} || $count > 0);
}

sub bounded {
	my ($of, $count, $least, $most) = @_;
	my $number = number_of($count);
	return 0 if $of->{$least} && compare($number, $of->{$least}) < 0;
	return 0 if $of->{$most} && compare($number, $of->{$most}) > 0;
	return 1;
}

sub string {
	my ($self, $at) = @_;
	my ($of, $text) = ($at->{of}, $at->{value}{value});
	return 0 if !bounded($of, length $text, 'minLength', 'maxLength');
	return !$of->{pattern} || matches($of->{pattern}{value}, $text);
}

sub number {
	my ($self, $at) = @_;
	my ($of, $value) = @$at{qw(of value)};
	return 0 if $of->{minimum} && compare($value, $of->{minimum}) < 0;
	return 0 if $of->{maximum} && compare($value, $of->{maximum}) > 0;
	return 0 if $of->{exclusiveMinimum} && compare($value, $of->{exclusiveMinimum}) <= 0;
	return 0 if $of->{exclusiveMaximum} && compare($value, $of->{exclusiveMaximum}) >= 0;
	return 1 if !$of->{multipleOf};
	my ($dividend, $divisor) = integers($value, $of->{multipleOf});
	return $dividend % $divisor == 0;
}

# Does the pattern match somewhere?  Only those that mean the same to Perl, once they are spelled as it wants it.
my %patterns;

sub matches {
	my ($pattern, $text) = @_;
	my $compiled = $patterns{$pattern} //= eval { compile_pattern($pattern) } // '';
	die "doubt: pattern $pattern\n" if $compiled eq '';
	return $text =~ $compiled;
}

sub compile_pattern {
	my ($pattern) = @_;
	my $perl = '';
	while ($pattern =~ /\G(?:(\[\^?[A-Za-z0-9]+(?:-[A-Za-z0-9])?\])|(\$)|(\.)|(\\d)
			|(\(\?[:=!]|[-A-Za-z0-9_\ ^|()]|[^\x00-\x7f])([*+?]|\{\d{1,3}\})?)/gcsx) {
		$perl .= $1 // ($2 ? '\\z' : $3 ? "[^\\n\\r\\x{2028}\\x{2029}]" : $4 ? '[0-9]' : $5 . ($6 // ''));
		$perl .= $1 if !defined $5 && $pattern =~ /\G([*+?]|\{\d{1,3}\})/gc;
	}
	die "doubt\n" if (pos($pattern) // 0) < length $pattern;
	return qr/$perl/;
}

# ---- what applies where ----

# Notes that the subschema applies to the value at the path, and all that it makes apply there and below.
sub apply {
	my ($self, $place, $value, $path, $scope) = @_;
	$self->spend($scope);
	my ($node, $of) = ($place->{node}, $place->{node}{value});
	return if $node->{type} ne 'object';
	$self->{applying}{ ($path eq '' ? '.' : $path) . "\t#" . ($place->{pointer} =~ s/%/%25/gr) } = $of;
	$self->{held}{$path} = 1 if holds_back($of);
	my $at = { place => $place, of => $of, value => $value, scope => [@$scope, $place->{base}], seen => {} };
	$self->apply($_, $value, $path, $at->{scope}) for $self->referred($at), $self->branches($at), $self->dependent($at);
	$self->apply_below($at, $path);
	return;
}

sub holds_back {
	my ($of) = @_;
	my @marks = ($of->{'$md.copyable'}, $of->{'$md'} && $of->{'$md'}{type} eq 'object' ? $of->{'$md'}{value}{copyable}
		: ());
	return grep { $_ && $_->{text} eq 'false' } @marks;
}

# The branches that apply: those that match, or all where none does.
sub branches {
	my ($self, $at) = @_;
	my ($of, $value) = @$at{qw(of value)};
	my @found = map { $self->below($at, 'allOf', $_) } $of->{allOf} ? 0 .. $#{ $of->{allOf}{value} } : ();
	for my $keyword (grep { $of->{$_} } qw(anyOf oneOf)) {
		my @all = 0 .. $#{ $of->{$keyword}{value} };
		my @matching = grep { $self->accepts($at, $value, $keyword, $_) } @all;
		push @found, map { $self->below($at, $keyword, $_) } @matching ? @matching : @all;
	}
	return @found if !$of->{if};
	my @kept = $self->accepts($at, $value, 'if') ? qw(if then) : 'else';
	return (@found, map { $self->below($at, $_) } grep { $of->{$_} } @kept);
}

# What applies to the children.
sub apply_below {
	my ($self, $at, $path) = @_;
	my ($of, $value) = @$at{qw(of value)};
	my $is_object = $value->{type} eq 'object';
	my $children = $value->{value};
	my $contains = $value->{type} eq 'array' && $of->{contains} && $self->below($at, 'contains');
	my @contained = $contains ? $self->contained($at) : ();
	# Where none is, all are in doubt, unless none has to be.
	@contained = 0 .. $#$children if $contains && !@contained && !$self->enough($of, 0);
	my $rest = $self->rest($at);
	my $mentioned = $rest ? $self->mentioned($at) : {};
	for my $key (keys_of($value)) {
		my ($child, $below) = $is_object ? ($children->{$key}, step($path, $key)) : ($children->[$key],
			item($path, $key));
		my @places = $self->of_child($at, $key);
		push @places, $contains if $contains && grep { $_ == $key } @contained;
		push @places, $rest if $rest && !$mentioned->{$key};
		$self->apply($_, $child, $below, $at->{scope}) for @places;
	}
	return;
}

# The keys or the positions of a value's children.
sub keys_of {
	my ($value) = @_;
	return $value->{type} eq 'object' ? sort keys %{ $value->{value} } : $value->{type} eq 'array'
		? 0 .. $#{ $value->{value} } : ();
}

# Which subschemas apply to a child by its name or position.
sub of_child {
	my ($self, $at, $key) = @_;
	return $self->of_property($at, $key) if $at->{value}{type} eq 'object';
	return grep { $_ } $self->of_item($at, $key);
}

# The subschema for children that nothing else evaluates, if there is one.
sub rest {
	my ($self, $at) = @_;
	my $keyword = { object => 'unevaluatedProperties', array => 'unevaluatedItems' }->{ $at->{value}{type} };
	return $self->{modern} && $keyword && $at->{of}{$keyword} && $self->below($at, $keyword);
}

# The children of a value, valid or not, that are evaluated by anything but what is said of the rest: where a schema
# does not say that something else may hold as well, it counts though it fails.
sub mentioned {
	my ($self, $at) = @_;
	my ($of, $value, $scope) = @$at{qw(of value scope)};
	my @sure = ($self->referred($at), $self->dependent($at), map { $self->below($at, 'allOf', $_) } $of->{allOf}
		? 0 .. $#{ $of->{allOf}{value} } : ());
	my @found = grep { $self->of_child($at, $_) } keys_of($value);
	push @found, $self->contained($at) if $value->{type} eq 'array' && $of->{contains};
	for my $keyword (grep { $of->{$_} } qw(anyOf oneOf)) {
		push @sure, grep { defined $self->evaluate($_, $value, $scope) }
			map { $self->below($at, $keyword, $_) } 0 .. $#{ $of->{$keyword}{value} };
	}
	if ($of->{if}) {
		my @chosen = $self->accepts($at, $value, 'if') ? qw(if then) : 'else';
		push @sure, map { $self->below($at, $_) } grep { $of->{$_} } @chosen;
	}
	for my $place (grep { $_->{node}{type} eq 'object' } @sure) {
		$self->spend($scope);
		my $there = { place => $place, of => $place->{node}{value}, value => $value,
			scope => [@$scope, $place->{base}] };
		push @found, $self->rest($there) ? keys_of($value) : keys %{ $self->mentioned($there) };
	}
	return { map { $_ => 1 } @found };
}

# The text of what is left of the value when what is held back is gone; undefined if all of it is.
sub left {
	my ($self, $value, $path) = @_;
	return undef if $self->{held}{$path};
	my $children = $value->{value};
	if ($value->{type} eq 'array') {
		return '[' . join(',', grep { defined } map { $self->left($children->[$_], item($path, $_)) } 0 .. $#$children)
			. ']';
	}
	return $value->{text} if $value->{type} ne 'object';
	my %left = map { $_ => $self->left($children->{$_}, step($path, $_)) } keys %$children;
	return '{' . join(',', map { quoted($_) . ':' . $left{$_} } grep { defined $left{$_} } sort keys %left) . '}';
}

1;
