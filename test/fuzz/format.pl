#!/usr/bin/perl
#
# format.pl: feeds mutated texts to the formats, and mutated patterns to the translator of patterns.
#
# usage: format.pl [seconds [seed]]
#
# Mutates the lines of the files in the directory format/ beside this one.  A file is named after the format of its
# lines; text.txt has what patterns (those of regex.txt) are matched against.  The connection is taken from the usual
# PG* variables; the database must have the extension and be in UTF-8.  Prints one summary line.  A finding, with exit
# status 1, is
#
#   - a text that a format decides otherwise than its grammar written as a regular expression of Perl, a cast of
#     PostgreSQL's, or, for "regex", than JavaScript, where node is installed,
#   - a pattern that matches otherwise than in JavaScript, or is refused for no reason that is known,
#   - an error other than those that are expected, or one of class PM without DETAIL or HINT,
#   - a text of 200 kB that takes a format over a second,
#   - a lost connection, after which the batch is left in a file.
#
use strict;
use warnings;
no warnings 'nonchar';
use utf8;
use File::Basename qw(dirname);
use File::Spec;
use IPC::Open2;
use JSON::PP;
use lib dirname(__FILE__) . '/lib';
use Fuzz qw(pick);
use FuzzSession;

use constant BATCH => 200;
use constant LONG => 200_000;
use constant SHOWN_EACH => 5;

binmode STDOUT, ':encoding(UTF-8)';
my $seconds = shift // 60;
my $seed = shift // time;
my %corpus = read_corpus(dirname(__FILE__) . '/format');
my @texts = @{ delete $corpus{text} };
my @formats = sort keys %corpus;
my @characters = (map({ chr } 32 .. 126), "\n", "\x7f", "\x85", 'é', 'ß', 'ж', 'α', '٣', '語', '·', 'ʹ', 'א', "\x{302e}",
	"\x{200d}", "\x{e000}", "\x{fdd0}",
	"\x{ffff}", '😀', "\x{e0001}", "\x{10ffff}", '。');
my @pieces = ('xn--', '%41', '::', '//', '@', '..', '--', '~0', '{', '}', '+', '-', 'T', 'Z', ':60', '{2,3}', '{0,300}',
	'(?:', '(?=', '(?<!', '(?<n>', '\\k<n>', '\\1', ')', '[', '[^', ']', '\\p{L}', '\\P{Nd}',
	'\\p{sc=Grek}', '\\p{', '\\d', '\\W', '\\s', '\\b', '\\u{1F600}', '\\ud83d', '\\ude00', '\\x4', '\\cA', '\\0', '|',
		'*', '+?', '?', '.', '^', '$', '-', 'a-z', '\\');
my $decimal = qr/25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d/a;
my %grammar = grammars();

srand($seed);
my $session = FuzzSession->new;
my $node = Node->new;
$session->send(prepare());

my ($count, $findings, $batches, $lost, $accepted, $compared, %shown) = (0, 0, 0, 0, 0, 0);
my $start = time;
while (time < $start + $seconds && !$lost) {
	my @batch = map { [trial()] } 1 .. BATCH;
	$batches++;
	$count += @batch;
	my $answer = run_batch(\@batch);
	if (!defined $answer) {
		$lost = 1;
		keep(\@batch);
		last;
	}
	my @javascript = $node->judge(map { [$_->[0] eq 'regex' ? $_->[1] : '', $_->[2]] } @batch);
	for my $i (0 .. $#batch) {
		finding($batch[$i], $_) for check($batch[$i], $answer->[$i], $javascript[$i]);
	}
}
$session->end;
printf "format: %d texts in %d seconds, %d%% of them of their format, %s, %d findings%s (seed %s)\n", $count,
	time - $start,
	100 * $accepted / ($count || 1), $node->{there} ? "$compared matches compared with node's" : 'without node',
		$findings, $lost ? ", connection lost in batch $batches" : '', $seed;
exit($findings || $lost ? 1 : 0);

sub read_corpus {
	my ($directory) = @_;
	my %found;
	for my $file (glob "$directory/*.txt") {
		my ($name) = $file =~ m{([^/]+)\.txt$};
		open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
		chomp(my @lines = <$in>);
		$found{$name} = \@lines;
	}
	die "no texts in $directory\n" if !$found{text} || !$found{regex};
	return %found;
}

# ---- trials ----

# A format, a text, a text for patterns to match, and whether to try it at length.
sub trial {
	my $format = rand() < 0.4 ? 'regex' : pick(@formats);
	my $text = mutate(pick(@{ $corpus{ rand() < 0.9 ? $format : pick(@formats) } }), $format);
	my $subject = rand() < 0.5 ? pick(@texts) : mutate(pick(@texts), 'text');
	return ($format, $text, $subject, rand() < 0.02 ? 1 : 0);
}

# A text changed in none to six places.
sub mutate {
	my ($text, $format) = @_;
	for (1 .. rand(rand() < 0.6 ? 3 : 7)) {
		my $at = int rand(1 + length $text);
		my $length = int rand(rand() < 0.7 ? 2 : 6);
		my $kind = int rand 6;
		if ($kind == 0) {
			substr($text, $at, $length) = '';
		} elsif ($kind == 1) {
			substr($text, $at, 0) = rand() < 0.5 ? pick(@characters) : pick(@pieces);
		} elsif ($kind == 2) {
			substr($text, $at, 1) = rand() < 0.7 ? pick(0 .. 9, 'a', 'f', 'g', '-', ':', '.') : pick(@characters);
		} elsif ($kind == 3) {
			substr($text, $at, 0) = substr($text, int rand(1 + length $text), $length);
		} elsif ($kind == 4) {
			my $other = pick(@{ $corpus{$format} // \@texts });
			$text = substr($text, 0, $at) . substr($other, int rand(1 + length $other));
		} else {
			my $piece = substr($text, $at, 1 + $length);
			substr($text, $at, 0) = $piece x pick(1, 2, 3, 8);
		}
		$text = substr($text, 0, 400) if length $text > 400;
	}
	return $text;
}

# ---- oracles ----

# The grammars, from the ABNF of each RFC: a regular expression, or a function of the text.
sub grammars {
	my $name = qr/(?=.{1,253}\z)[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*/ia;
	my $hex = qr/[\da-f]{1,4}/ia;
	my $v4 = qr/(?:$decimal)(?:\.(?:$decimal)){3}/;
	my $tail = qr/(?:$hex:$hex|$v4)/;
	my $v6 =
		qr/(?:(?:$hex:){6}$tail|::(?:$hex:){5}$tail|(?:$hex)?::(?:$hex:){4}$tail
		|(?:(?:$hex:){0,1}$hex)?::(?:$hex:){3}$tail
		|(?:(?:$hex:){0,2}$hex)?::(?:$hex:){2}$tail
		|(?:(?:$hex:){0,3}$hex)?::$hex:$tail|(?:(?:$hex:){0,4}$hex)?::$tail
		|(?:(?:$hex:){0,5}$hex)?::$hex|(?:(?:$hex:){0,6}$hex)?::)/x;
	my $date = qr/\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])/a;
	my $time = qr/(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)/a;
	my $atom = qr/[a-z\d!#\$%&'*+\/=?^_`{|}~-]+/ia;
	my $local = qr/(?:$atom(?:\.$atom)*|"(?:[ !#-\[\]-~]|\\[ -~])*")/;
	return (
		date => sub { $_[0] =~ /^$date\z/ && real_date($_[0]) },
		time => sub { $_[0] =~ /^$time\z/ && real_second($_[0]) },
		'date-time' => sub { $_[0] =~ /^($date)[Tt]($time)\z/ && real_date($1) && real_second($2) },
		duration =>
			qr/^P(?:(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)(?:T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?
			|T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S)|\d+W)\z/xa,
		ipv4 => qr/^$v4\z/, ipv6 => qr/^$v6\z/,
		hostname => sub { $_[0] =~ /(?:^|\.)xn--/i ? undef : $_[0] =~ /^$name\z/ },
		email => sub { $_[0] =~ /[.@]xn--/i ? undef : length $_[0] <= 254
			&& $_[0] =~ /^(?=[^\n]*\z)($local)@(?:$name|\[(?:$v4|IPv6:$v6)\])\z/i && length $1 <= 64 },
		uri => sub { $_[0] =~ uri($v6, $v4, '', '', 1) }, 'uri-reference' => sub { $_[0] =~ uri($v6, $v4, '', '', 0) },
		iri => sub { $_[0] =~ uri($v6, $v4, ucs(), private(), 1) },
			'iri-reference' => sub { $_[0] =~ uri($v6, $v4, ucs(), private(), 0) },
		uuid => qr/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\z/ia,
		'json-pointer' => qr/^(?:\/(?:[^~\/]|~[01])*)*\z/,
		'relative-json-pointer' => qr/^(?:0|[1-9]\d*)(?:[+-](?:0|[1-9]\d*))?(?:#|(?:\/(?:[^~\/]|~[01])*)*)\z/a,
		'uri-template' => do {
			my $u = ucs() . private();
			my $part = qr/(?:\w|%[\da-f]{2})+/ia;
			my $variable = qr/$part(?:\.$part)*(?::[1-9]\d{0,3}|\*)?/a;
			qr/^(?:[!#-\$&'(-;=?-\[\]_a-z~$u]|%[\dA-Fa-f]{2}|[A-Z]|\{[+#.\/;?&=,!@|]?$variable(?:,$variable)*\})*\z/a;
		},
	);
}

# Is there such a day?
sub real_date {
	my ($year, $month, $day) = $_[0] =~ /^(\d{4})-(\d\d)-(\d\d)/;
	my @days = (31, $year % 400 == 0 || ($year % 4 == 0 && $year % 100 != 0) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31);
	return $day <= $days[$month - 1];
}

sub real_second {
	my ($hour, $minute, $second, $zone) = $_[0] =~ /^(\d\d):(\d\d):(\d\d)[.\d]*(.*)/;
	return 1 if $second < 60;
	my $offset = $zone =~ /([+-])(\d\d):(\d\d)/ ? ($1 eq '-' ? -1 : 1) * ($2 * 60 + $3) : 0;
	return ($hour * 60 + $minute - $offset) % 1440 == 1439;
}

# The characters of RFC 3987, for the inside of brackets.
sub ucs { return "\x{a0}-\x{d7ff}\x{f900}-\x{fdcf}\x{fdf0}-\x{ffef}" . join '',
	map { sprintf '\\x{%x}-\\x{%x}', ($_ << 16) + ($_ == 14 ? 0x1000 : 0), ($_ << 16) + 0xfffd } 1 .. 14 }

sub private { return "\\x{e000}-\\x{f8ff}\\x{f0000}-\\x{ffffd}\\x{100000}-\\x{10fffd}" }

sub uri {
	my ($v6, $v4, $ucs, $private, $absolute) = @_;
	my $u = qr/[a-z\d._~!\$&'()*+,;=$ucs-]|%[\da-f]{2}/ia;
	my $p = qr/(?:$u|[:@])/;
	my $authority = qr/(?:(?:$u|:)*@)?(?:\[(?:$v6|v[\da-f]+\.[a-z\d._~!\$&'()*+,;=:-]+)\]|(?:$u)*)(?::\d*)?/ia;
	my $query = $private ? qr/(?:\?(?:$p|[\/?$private])*)?/ : qr/(?:\?(?:$p|[\/?])*)?/;
	my $end = qr/$query(?:\#(?:$p|[\/?])*)?/;
	my $full = qr/[a-z][a-z\d+.-]*:(?:\/\/$authority(?:\/$p*)*|\/(?:$p+(?:\/$p*)*)?|$p+(?:\/$p*)*|)$end/ia;
	my $relative = qr/(?:\/\/$authority(?:\/$p*)*|\/(?:$p+(?:\/$p*)*)?|(?:$u|@)+(?:\/$p*)*|)$end/;
	return $absolute ? qr/^$full\z/ : qr/^(?:$full|$relative)\z/;
}

# What is wrong with the answers to a trial.
sub check {
	my ($trial, $answer, $javascript) = @_;
	my ($format, $text, $subject) = @$trial;
	my ($valid, $cast, $match, $state, $reason, $slow) = map { $_ eq '' ? undef : $_ } split /\t/, $answer, -1;
	my @wrong;
	$accepted += $valid eq 't';
	push @wrong, "format: $valid" if $valid !~ /^[tf]$/;
	push @wrong, "over a second at length" if defined $slow;
	my $grammar = $grammar{$format};
	my $wanted = !$grammar ? undef : ref $grammar eq 'CODE' ? $grammar->($text) : $text =~ $grammar;
	push @wrong, "format says $valid, its grammar otherwise" if $grammar && (ref $grammar ne 'CODE' || defined $wanted)
		&& ($valid eq 't') != !!$wanted;
	push @wrong, "format says $valid, a cast $cast" if defined $cast && $cast ne $valid;
	return @wrong if $format ne 'regex';

	push @wrong, "pattern fails with $state: $reason" if defined $state && $state !~ /^(PM106|PM102|57014)$/;
	push @wrong, "well-formed but refused: $reason" if $valid eq 't' && ($state // '') eq 'PM106'
		&& $reason !~ /back reference|too large|half of|no Unicode character|repeats a group|usable regular expression/;
	return @wrong if !defined $javascript;
	push @wrong, "format says $valid, JavaScript otherwise" if ($valid eq 't') != ($javascript ne 'malformed')
		&& !newer($text);
	return @wrong if $valid ne 't' || !defined $match || $javascript !~ /^[tf]$/ || $text =~ /\\[1-9k]/;
	$compared++;
	push @wrong, "pattern says $match, JavaScript $javascript" if $javascript ne $match;
	return @wrong;
}

# Two groups of one name, and modifiers, are of a newer ECMA-262 than promote's, but perhaps not than node's.
sub newer {
	my ($pattern) = @_;
	my %names;
	return $pattern =~ /\(\?[ims-]+:/ || grep { $names{$_}++ } $pattern =~ /\(\?<(\w+)>/g;
}

sub finding {
	my ($trial, $what) = @_;
	$findings++;
	my $kind = "$trial->[0] $what" =~ s/:.*//r;
	print "finding: $trial->[0]: $what; text ", JSON::PP->new->allow_nonref->ascii->encode($trial->[1]),
		$trial->[0] eq 'regex' ? ' on ' . JSON::PP->new->allow_nonref->ascii->encode($trial->[2]) : '',
			"\n" if $shown{$kind}++ < SHOWN_EACH;
	return;
}

# ---- the server ----

sub prepare {
	return <<'SQL';
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
SET statement_timeout = '60s';
CREATE TEMP TABLE batch (id serial, format text, text text, subject text, at_length boolean);

-- Does the server's type take it? NULL where the two are about different things: inet takes shortened addresses.
CREATE FUNCTION pg_temp.cast_accepts(format text, text text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	CASE
	WHEN format = 'ipv4' AND text ~ '^\d+[.]\d+[.]\d+[.]\d+$' AND text !~ '(^|[.])0\d' THEN PERFORM text::inet;
	WHEN format = 'ipv6' AND text ~ '^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$' AND text !~ '(^|[.:])0\d+[.]|[.]0\d'
		AND (text !~ '[.]' OR text ~ ':\d+[.]\d+[.]\d+[.]\d+$')
		THEN PERFORM text::inet;
	WHEN format = 'uuid' AND text ~ '^[^{}-]{8}-[^{}-]{4}-[^{}-]{4}-[^{}-]{4}-[^{}-]{12}$' THEN PERFORM text::uuid;
	WHEN format = 'date' AND text ~ '^\d{4}-\d\d-\d\d$' AND text !~ '^0000' THEN PERFORM text::date;
	WHEN format = 'date-time' AND text ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]0\d:\d\d)$'
		AND text !~ '^0000|:60|T24' THEN PERFORM text::timestamptz;
	ELSE RETURN NULL;
	END CASE;
	RETURN true;
EXCEPTION WHEN data_exception THEN
	RETURN false;
END $$;

-- All answers to one row, with tabs between them.
CREATE FUNCTION pg_temp.answers(r batch) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	valid text;
	match text;
	state text;
	reason text;
	advice text;
	slow text;
	start timestamptz;
BEGIN
	BEGIN
		valid := CASE WHEN promote.jsonb_format_valid(r.format, r.text) THEN 't' ELSE 'f' END;
		IF r.at_length THEN
			start := clock_timestamp();
			PERFORM promote.jsonb_format_valid(r.format, repeat(r.text, 200000 / (1 + octet_length(r.text))));
			IF clock_timestamp() - start > '1 s' THEN slow := clock_timestamp() - start; END IF;
		END IF;
	EXCEPTION WHEN OTHERS THEN
		valid := sqlstate || ' ' || sqlerrm;
	END;
	IF r.format = 'regex' THEN
		BEGIN
			match := CASE WHEN promote.jsonb_schema_valid(to_jsonb(r.subject),
				jsonb_build_object('pattern', r.text)) THEN 't' ELSE 'f' END;
		EXCEPTION WHEN query_canceled THEN
			state := '57014';
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, reason = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
			IF reason = '' OR advice = '' THEN state := state || ' without detail or hint'; END IF;
		END;
	END IF;
	RETURN concat_ws(E'\t', valid, coalesce(left(pg_temp.cast_accepts(r.format, r.text)::text, 1), ''),
		coalesce(match, ''), coalesce(state, ''),
		coalesce(regexp_replace(reason, '\s', ' ', 'g'), ''), coalesce(slow, ''));
END $$;
SQL
}

# Try a batch; returns a line for each trial, or undef if the connection is lost.
sub run_batch {
	my ($batch) = @_;
	$session->send("TRUNCATE batch;\nCOPY batch (format, text, subject, at_length) FROM STDIN;\n");
	$session->rows(@$batch);
	$session->send("SELECT pg_temp.answers(batch) FROM batch ORDER BY id;\n");
	my $lines = $session->answer;
	return defined $lines && @$lines == @$batch ? $lines : undef;
}

# Leave the batch that ended the session where it can be looked at.
sub keep {
	my ($batch) = @_;
	my $file = File::Spec->catfile(File::Spec->tmpdir, "promote-format-fuzz.$$");
	open my $out, '>', $file or return;
	print $out map { JSON::PP->new->ascii->encode($_) . "\n" } @$batch;
	close $out;
	print "the batch that was running is in $file, a trial on each line\n";
	return;
}

# ---- JavaScript ----

package Node;

# What node makes of patterns and texts; without node, of nothing.
sub new {
	my ($class) = @_;
	my $self = bless {}, $class;
	$self->{there} = !system 'node --version >/dev/null 2>&1';
	return $self if !$self->{there};
	main::open2($self->{from}, $self->{to}, 'node', '-e', <<'JS');
const vm = require('vm');
const context = vm.createContext({});
const match = new vm.Script('new RegExp(pattern, "u").test(text) ? "t" : "f"');
require('readline').createInterface({input: process.stdin}).on('line', line => {
	[context.pattern, context.text] = JSON.parse(line);
	let answer;
	try {
		new RegExp(context.pattern, 'u');
		answer = match.runInContext(context, {timeout: 100});
	} catch (e) {
		answer = e.name === 'SyntaxError' ? 'malformed' : 'unknown';
	}
	console.log(answer);
});
JS
	return $self;
}

# For each [pattern, text]: t or f, malformed, or unknown, for what takes too long.
sub judge {
	my ($self, @pairs) = @_;
	return map { undef } @pairs if !$self->{there};
	my @answers;
	for my $pair (@pairs) {
		print { $self->{to} } JSON::PP->new->ascii->encode($pair), "\n";
		$self->{to}->flush;
		chomp(my $answer = readline($self->{from}) // 'unknown');
		push @answers, $answer;
	}
	return @answers;
}
