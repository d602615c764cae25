package RandomJson;

# Random documents as trees, which can be spelled in many ways and changed in one place.
#
#   my $tree = RandomJson::document(4);            # at most four levels
#   my ($one, $other) = map { RandomJson::spell($tree) } 1 .. 2;   # equal documents, two texts of characters
#   my $almost = RandomJson::changed($tree);
#
# A tree is [l => literal], [n => sign, digits, exponent] (a decimal, digits times ten to the exponent), [s =>
# character, ...], [a => tree, ...] or [o => [key, tree], ...] with keys that are [s => ...] and differ.

use strict;
use warnings;

# What is treated in a way of its own somewhere: by JSON, by UTF-8 and by the order of UTF-16.
my @characters = (map { chr } 1 .. 0x22, 0x2F, 0x5C, 0x7F, 0x80, 0xE9, 0xFF, 0x7FF, 0x800, 0x2028, 0x20AC, 0xD7FF,
	0xE000, 0xFB33, 0xFEFF, 0xFFFD, 0x10000,
	0x1F600, 0x10FFFD);
my %short = ("\b" => 'b', "\t" => 't', "\n" => 'n', "\f" => 'f', "\r" => 'r', '"' => '"', '\\' => '\\', '/' => '/');

sub pick { return $_[rand @_] }

# ---- trees ----

sub document {
	my ($depth) = @_;
	my $kind = int rand($depth > 0 ? 8 : 5);
	return [l => pick(qw(null true false))] if $kind == 0;
	return number() if $kind <= 2;
	return string() if $kind <= 4;
	my $count = rand(rand() < 0.1 ? 40 : 8);
	return [a => map { document($depth - 1) } 1 .. $count] if $kind == 5;
	my $prefix = rand() < 0.2 ? string() : ['s'];
	my %keys = map { spell_plain($_) => $_ } map { [s => @$prefix[1 .. $#$prefix],
		@{ string() }[1 .. 1 + rand 4]] } 1 .. $count;
	return [o => map { [[grep { defined } @{ $keys{$_} }], document($depth - 1)] } sort keys %keys];
}

# A few digits or more than a double has, around one, around the limits of the layouts, or far away.
sub number {
	my $length = 1 + rand(rand() < 0.6 ? 5 : rand() < 0.9 ? 40 : 300);
	my $digits = join '', pick(1 .. 9), map { pick(0, 0, 0 .. 9, 9) } 2 .. $length;
	my $exponent = int rand(rand() < 0.6 ? 12 : rand() < 0.8 ? 60 : 1000);
	return [n => pick('', '-'), rand() < 0.05 ? '0' : $digits, pick(1, -1) * $exponent];
}

sub string {
	my $length = rand(rand() < 0.9 ? 12 : rand() < 0.95 ? 60 : 2500);
	my $odd = pick(0, 0.1, 0.5);
	return [s => map { rand() < $odd ? pick(@characters) : pick('a' .. 'e', 'A', 'Z', 0, 9, '_', ' ') } 1 .. $length];
}

# ---- spelling ----

sub spell {
	my ($tree) = @_;
	my ($kind, @rest) = @$tree;
	return $rest[0] if $kind eq 'l';
	return spell_number(@rest) if $kind eq 'n';
	return '"' . join('', map { spell_character($_) } @rest) . '"' if $kind eq 's';
	my $space = pick('', '', ' ');
	return "[$space" . join(",$space", map { spell($_) } @rest) . "$space]" if $kind eq 'a';
	my @pairs = sort { $a->[1] <=> $b->[1] } map { [spell($_->[0]) . "$space:$space" . spell($_->[1]), rand] } @rest;
	return "{$space" . join(",$space", map { $_->[0] } @pairs) . "$space}";
}

# A key for telling keys apart.
sub spell_plain { return join ',', map { ord } grep { defined } @{ $_[0] }[1 .. $#{ $_[0] }] }

# The point anywhere, more zeros at the end, the exponent to match.
sub spell_number {
	my ($sign, $digits, $exponent) = @_;
	if (abs $exponent < 30 && rand() < 0.5) {
		$digits .= '0' x $exponent if $exponent > 0;
		$digits = '0' x (1 - $exponent - length $digits) . $digits if $exponent < 0 && length $digits <= -$exponent;
		return $sign . ($exponent < 0 ? substr($digits, 0, $exponent) . '.' . substr($digits, $exponent)
			: $digits =~ s/^0+(?=\d)//r)
		  . ($exponent < 0 && rand() < 0.3 ? '0' x rand 6 : '');
	}
	my $point = $digits =~ /^0/ ? 1 : int rand(1 + length $digits);
	my $fraction = substr($digits, $point) . (rand() < 0.2 ? '0' x rand 6 : '');
	$exponent += length($digits) - $point;
	my $e = $exponent == 0 && rand() < 0.7 ? '' : pick('e', 'E') . ($exponent >= 0 ? pick('', '+') : '-')
		. (rand() < 0.1 ? '0' : '') . abs $exponent;
	return $sign . ($point == 0 ? '0' : substr $digits, 0, $point) . ($fraction eq '' ? '' : ".$fraction") . $e;
}

sub spell_character {
	my ($character) = @_;
	my $code = ord $character;
	my $must = $code < 0x20 || $character eq '"' || $character eq '\\';
	return $character if !$must && rand() < 0.9;
	return "\\$short{$character}" if defined $short{$character} && rand() < 0.7;
	my @units = $code < 0x10000 ? $code : (0xD800 + ($code - 0x10000 >> 10), 0xDC00 + ($code - 0x10000 & 0x3FF));
	my $digits = pick('%04x', '%04X');
	return join '', map { sprintf "\\u$digits", $_ } @units;
}

# ---- changing ----

# A copy with one change, which may happen to change nothing.
sub changed {
	my ($tree) = @_;
	my ($kind, @rest) = @$tree;
	if (($kind eq 'a' || $kind eq 'o') && @rest && rand() < 0.85) {
		my $at = int rand @rest;
		$rest[$at] = $kind eq 'a' ? changed($rest[$at]) : rand() < 0.3 ? [changed_string($rest[$at][0]), $rest[$at][1]]
			: [$rest[$at][0], changed($rest[$at][1])];
		my %seen;
		@rest = grep { !$seen{ spell_plain($_->[0]) }++ } @rest if $kind eq 'o';
		return [$kind, @rest];
	}
	return pick(document(1), [$kind, reverse @rest], [$kind, @rest[0 .. $#rest - 1]]) if $kind eq 'a' || $kind eq 'o';
	return changed_string($tree) if $kind eq 's' && rand() < 0.9;
	return changed_number(@rest) if $kind eq 'n' && rand() < 0.9;
	return document(0);
}

sub changed_string {
	my ($string) = @_;
	my @characters_of = @$string[1 .. $#$string];
	splice @characters_of, rand(1 + @characters_of), int rand 2, rand() < 0.7 ? pick(@characters, 'a') : ();
	return [s => @characters_of];
}

sub changed_number {
	my ($sign, $digits, $exponent) = @_;
	my $kind = int rand 5;
	return [n => $sign eq '' ? '-' : '', $digits, $exponent] if $kind == 0;
	return [n => $sign, $digits, $exponent + pick(-1, 1)] if $kind == 1;
	return [n => $sign, $digits . '0', $exponent - 1] if $kind == 2 && $digits ne '0';
	return [n => $sign, $digits . pick(0 .. 9), $exponent - 1] if $kind == 3 && $digits ne '0';
	substr($digits, -1) = pick(0 .. 9);
	return [n => $sign, $digits, $exponent];
}

1;
