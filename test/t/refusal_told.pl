# What a program is told of a refusal: DETAIL as JSON, where the log keeps the sentences, and what a pool that hands a
# session on leaves behind.

use strict;
use warnings;
use JSON::PP qw(decode_json);
use Test::More;
use PromoteTest;

my $node = PromoteTest->shop('told', <<'SQL');
INSERT INTO promote.environment (project, environment) VALUES ('shop', 'staging');
INSERT INTO promote.component (project, component, bundle) VALUES ('shop', 'db', 'postgres');
INSERT INTO promote.instance (project, environment, component) VALUES ('shop', 'staging', 'db');
CREATE ROLE clerk LOGIN;
SELECT promote.grant_action('clerk', 'view', 'shop');
SQL

# What psql prints, which goes on behind errors.
sub told {
	my ($sql) = @_;
	my (undef, $out, $err) = $node->psql('told', "\\set ON_ERROR_STOP 0\n$sql");
	return ($out, $err);
}

my $refused = "SELECT promote.deploy_instance('shop-none-db');\n";
my $ask     = "SELECT promote.last_refusal() ->> 'sqlstate';\n";

# ---- DETAIL ----

my (undef, $text) = told($refused);
like($text, qr/^DETAIL:  Project "shop" has no environment "none"\.$/m, 'for people');
for my $set ("SET promote.error_format = 'json';\n", "BEGIN; SET LOCAL promote.error_format = 'json';\n") {
	my (undef, $errors) = told("$set$refused");
	my ($detail) = $errors =~ /^DETAIL:  (.*)$/m;
	my $document = decode_json($detail);
	is("@$document{qw(sqlstate condition instance)}", 'PM002 not_found shop-none-db', "for programs, by $set");
	is($document->{detail}, 'Project "shop" has no environment "none".', '... with what people are told');
	is_deeply($document->{reasons}, [ $document->{detail} ], '... line by line');
	like($errors, qr/^ERROR:  \Q$document->{message}\E$/m, '... and the message as it is');
	like($errors, qr/^HINT:  \Q$document->{hint}\E$/m, '... and the hint');
}
my $log = $node->log_text;
unlike($log, qr/"sqlstate"/, 'the log keeps the sentences');
is(scalar(() = $log =~ /DETAIL:  Project "shop" has no environment "none"\./g), 3, '... of each');
my (undef, $other) = told("SET promote.error_format = 'json'; SELECT promote.last_refusal(); SELECT 'x'::integer;");
unlike($other, qr/sqlstate/, 'errors of others stay as they are');

$node->query('told', "ALTER ROLE clerk SET promote.error_format = 'json'");
my (undef, undef, $as_clerk) = $node->psql('told', $refused, '-U', 'clerk');
like($as_clerk, qr/^DETAIL:  \{"sqlstate": "PM701".*"grants": \[\{"role": "clerk", "action": "deploy", "project"/m,
	'a role has it from its first refusal on');
unlike($node->log_text, qr/"sqlstate"/, '... and the log does not');

# A parallel worker hands the error to its leader, which tells it.
my (undef, $worked) = told("CREATE TABLE public.texts AS SELECT 'a: [' AS text;\nSET promote.error_format = 'json';\n"
	. "SET ${\$node->parallel_setting} = on;\nSELECT promote.yaml_to_jsonb(text) FROM public.texts;\n");
my ($detail) = $worked =~ /^DETAIL:  (.*)$/m;
like($worked, qr/^CONTEXT:  parallel worker$/m, 'an error of a parallel worker');
like(decode_json($detail)->{detail}, qr/^Line 2, column 1: /, '... is detailed once');

# ---- a pool's session ----

is((told("$refused$ask"))[0], "PM002\n", 'the session is asked');
is((told("${refused}DISCARD ALL;\n$ask"))[0], "\n", 'DISCARD ALL forgets it');
is((told("${refused}DISCARD PLANS;\n$ask"))[0], "PM002\n", '... and nothing less does');
is((told("${refused}DO \$\$BEGIN EXECUTE 'PREPARE x AS SELECT 1'; END\$\$;\n$ask"))[0], "PM002\n",
	'... nor does a driver that prepares');
is((told("${refused}SET ROLE clerk;\n$ask"))[0], "\n", 'another role is not told');

# Where errors are not logged, nothing comes by to be told of.
my ($quiet, $errors) = told("SET promote.error_format = 'json'; SET log_min_messages = 'fatal';\n$refused$ask");
like($errors, qr/^DETAIL:  Project "shop" has no environment/m, 'where errors are not logged DETAIL is for people');
is($quiet, "\n", '... and nothing is kept');

done_testing();
