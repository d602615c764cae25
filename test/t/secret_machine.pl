# Secrets and the machine they are on: key files and who may read them, settings that are not for everyone, rotation
# that is broken off, and where plaintext may be found afterwards: in no log, no statistics, no dump, no file, and, as
# far as the extension made copies of it, not in the memory of the process.

use strict;
use warnings;
no warnings 'portable';    # addresses have 64 bits
use Test::More;
use Digest::SHA qw(hmac_sha256_hex sha256);
use File::Find qw(find);
use MIME::Base64 qw(encode_base64);
use POSIX qw(mkfifo);
use PromoteTest;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $bindir = `$pg_config --bindir`);
chomp(my $libdir = `$pg_config --pkglibdir`);
my $has_statements = -e "$libdir/pg_stat_statements.so";

# What doc/reference/secret.md recommends, on a server that logs as much as it can.
my $node = PromoteTest->new(
	'log_min_messages = debug1', 'log_min_error_statement = error', 'log_min_duration_statement = 0',
		'log_statement = none',
	'log_parameter_max_length = 0', 'log_parameter_max_length_on_error = 0', 'log_temp_files = 0',
	$has_statements ? ("shared_preload_libraries = 'pg_stat_statements'", 'pg_stat_statements.track = all') : ());
my (undef, undef, $uid, $gid) = defined $node->owner ? getpwnam $node->owner : (0, 0, $>, $));
my $random = join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 12;
my $plain = "Pl41n-$random";    # the plaintext that is looked for
my $other = "0th3r-$random";
my %key = map { $_ => join '', map { chr rand 256 } 1 .. 32 } 'k1' .. 'k3';

# ---- helpers ----

sub line { my ($id) = @_; return "$id:" . encode_base64($key{$id}, '') . "\n" }

# Writes a file that belongs to the server's user; returns its path.
sub write_file {
	my ($path, $text, $mode, $owner) = @_;
	$path = $node->dir . "/$path" if $path !~ m{^/};
	unlink $path;
	open my $file, '>', $path or die "cannot open $path: $!\n";
	print $file $text;
	close $file or die "cannot write $path: $!\n";
	chmod $mode // 0600, $path or die "cannot chmod $path: $!\n";
	chown $owner // $uid, $gid, $path if $> == 0;
	return $path;
}

# The SQLSTATE, message and detail that a statement is refused with, or its result.
sub outcome {
	my ($sql, @arguments) = @_;
	my ($rc, $out, $err) = $node->psql('secrets', "\\set VERBOSITY verbose\n$sql", @arguments);
	return $rc == 0 ? $out =~ s/\n\z//r
		: $err =~ s/^.*?ERROR:  (\w+): (.*?)\n(?:DETAIL:  (.*?)\n)?.*\z/$1 $2: @{[ $3 || '' ]}/sr;
}

# Runs one statement by the extended protocol, with :value and others as parameters: the psql of PostgreSQL 15 cannot.
sub with_parameters {
	my ($sql, %values) = @_;
	my $script = write_file('script.sql', "$sql\n", 0644);
	return $node->run({}, "$bindir/pgbench", '-n', '-M', 'extended', '-t', '1', '-f', $script, $node->connection,
		(map { ('-D', "$_=$values{$_}") } sort keys %values), 'secrets');
}

# Those of the server's files that hold the bytes.
sub files_with {
	my ($bytes) = @_;
	my @found;
	find({ no_chdir => 1, wanted => sub { push @found, $_ if -f && index(PromoteTest::slurp($_), $bytes) >= 0 } },
		$node->data);
	return join ' ', map { s{^.*/data/}{}r } @found;
}

# How often the bytes are in the writable memory of a process, but for shared memory; undefined if that cannot be read.
sub in_memory {
	my ($pid, $bytes) = @_;
	open my $memory, '<:raw', "/proc/$pid/mem" or return;
	my $count = 0;
	my $read = 0;
	for (split /\n/, PromoteTest::slurp("/proc/$pid/maps")) {
		my ($from, $to, $name) = /^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ \S+\s*(.*)$/ or next;
		# what a sanitizer reserves for itself
		next if hex($to) - hex $from > 1 << 32;
		sysseek $memory, hex $from, 0 or next;
		my $part;
		$read += sysread($memory, $part, hex($to) - hex $from) // next;
		$count++ while $part =~ /\Q$bytes\E/g;
	}
	return $read ? $count : undef;
}

# A psql that waits for more, and its backend: statements go in by `tell`.
sub session {
	my $path = $node->dir . '/fifo';
	unlink $path;
	mkfifo($path, 0600) or die "cannot make $path: $!\n";
	my @command = $node->psql_command('secrets', '-v', 'ON_ERROR_STOP=0');
	my $pid = fork // die "cannot fork: $!\n";
	if (!$pid) {
		open STDIN, '<', $path or POSIX::_exit(126);
		open STDOUT, '>', $node->dir . '/session.out' or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	open my $in, '>', $path or die "cannot open $path: $!\n";
	$in->autoflush(1);
	my $self = { pid => $pid, in => $in };
	tell_session($self, "SELECT 'pid ' || pg_backend_pid();");
	($self->{backend}) = PromoteTest::slurp($node->dir . '/session.out') =~ /^pid (\d+)/m;
	return $self;
}

my $told = 0;
sub tell_session {
	my ($session, $sql) = @_;
	my $sign = 'told ' . ++$told;
	print { $session->{in} } "$sql\n\\echo $sign\n";
	for (1 .. 3000) {
		return if PromoteTest::slurp($node->dir . '/session.out') =~ /^\Q$sign\E$/m;
		select undef, undef, undef, 0.02;
	}
	die "the session does not answer\n";
}

sub end_session {
	my ($session) = @_;
	close $session->{in};
	waitpid $session->{pid}, 0;
	return;
}

# ---- the scene ----

my $keys = write_file('keys', line('k1'));
$node->create_promote('secrets');
$node->query('secrets', q{
	INSERT INTO promote.bundle VALUES ('b');
	INSERT INTO promote.bundle_release (bundle, version, params_schema, secrets) VALUES ('b', '1.0.0', '{}',
		'{"one": {}, "two": {"required": false}, "json": {"required": false, "format": "json"}}');
	INSERT INTO promote.project (project) VALUES ('p');
	INSERT INTO promote.environment (project, environment) VALUES ('p', 'e');
	INSERT INTO promote.component (project, component, bundle) SELECT 'p', 'c' || n, 'b'
		FROM generate_series(1, 40) AS n;
	INSERT INTO promote.instance (project, environment, component) SELECT 'p', 'e', 'c' || n
		FROM generate_series(1, 40) AS n;
	SELECT promote.configure_instance('p-e-c' || n, '{}', plan => n = 1) FROM generate_series(1, 40) AS n});
$node->query('secrets', 'CREATE EXTENSION pg_stat_statements') if $has_statements;

# ---- settings ----

my $set = "SELECT fingerprint FROM promote.set_secret('p-e-c1', 'one', 'x');";
like(outcome($set), qr/^PM711 /, 'without a key nothing can be set');
$node->query('secrets', "LOAD 'promote'; ALTER SYSTEM SET promote.secret_key_file = '$keys'");
$node->query('secrets', 'SELECT pg_reload_conf()');
ok($node->wait_for('secrets', "SELECT fingerprint <> '' FROM promote.set_secret('p-e-c1', 'one', 'x')"),
	'a key file in the configuration counts after a reload');
$node->query('secrets', "LOAD 'promote'; ALTER SYSTEM RESET promote.secret_key_file");
$node->query('secrets', 'SELECT pg_reload_conf()');
$node->wait_for('secrets', "SELECT current_setting('promote.secret_key_file') = '' FROM promote.secret_status LIMIT 1");

# What an ordinary user has set before the library is loaded does not count, by whatever way.
my $trace = $node->dir . '/trace';
my $command = "touch $trace; printf %s " . (line('k2') =~ s/\n//r);
$node->query('secrets', q{CREATE ROLE clerk LOGIN; SELECT promote.grant_action('clerk', 'secrets', 'p')});
for my $setting ("promote.secret_key_command = '$command'", "promote.secret_key_file = '$keys'") {
	my ($name) = $setting =~ /(promote\.\w+)/;
	like(outcome("SET SESSION AUTHORIZATION clerk; SET $setting; $set"), qr/^(?:42501|PM711) /,
		"$name of an ordinary user's SET does not count");
	like(outcome("SET SESSION AUTHORIZATION clerk; SELECT promote.current_actor(); SET $setting;"), qr/^42501 /,
		'... and is refused once the library is loaded');
	for my $how ("ALTER ROLE clerk SET $setting", "ALTER DATABASE secrets SET $setting") {
		like(outcome("SET SESSION AUTHORIZATION clerk; $how"), qr/^42501 /,
			"... nor may it be left for later by @{[ $how =~ /(ALTER \w+)/ ]}");
	}
	my ($word, $value) = $setting =~ /(\S+) = '(.*)'/;
	local $ENV{PGOPTIONS} = "-c $word=" . ($value =~ s/([\\ ])/\\$1/gr);
	local $ENV{PGUSER};
	my ($rc, $out, $err) = $node->run({ input => $set }, "$bindir/psql", '-X', '-A', '-t', '-q', '-v',
		'ON_ERROR_STOP=1', '-v', 'VERBOSITY=sqlstate',
		($node->connection)[ 0 .. 3 ], '-U', 'clerk', '-d', 'secrets');
	like($err, qr/ERROR:  PM711$/m, '... nor by the options of a connection');
}
ok(!-e $trace, '... and no such command was ever run');
is(outcome("SET SESSION AUTHORIZATION clerk; SELECT promote.current_actor(); SELECT count(*) FROM pg_settings WHERE "
	. "name ~ 'promote.secret_key'"),
	"clerk\n0", 'the settings are not shown to ordinary users');

# ---- key files ----

sub with_file {
	my ($path) = @_;
	return outcome("SET promote.secret_key_file = '$path'; $set");
}
my $good = qr/^[0-9a-f]{64}$/;
like(with_file($keys), $good, 'a good key file');
like(with_file(write_file('keys_0400', line('k1'), 0400)), $good, '... may be read-only');
for my $mode (0640, 0604, 0620, 0602, 0610, 0601, 0660, 0644, 0666, 0777) {
	like(with_file(write_file('open_keys', line('k1'), $mode)), qr/^PM712 .*group or world access/,
		sprintf '... but not %04o', $mode);
}
SKIP: {
	skip 'only root can give files away', 5 if $> != 0 || !defined $node->owner;
	like(with_file(write_file('root_keys', line('k1'), 0640, 0)), $good,
		'root may own it and let the server\'s group read it');
	like(with_file(write_file('root_keys', line('k1'), $_, 0)), qr/^PM712 .*group or world access/,
		sprintf 'root\'s file with %04o', $_) for 0660, 0644, 0650;
	my ($nobody) = (getpwnam 'nobody')[2];
	like(with_file(write_file('stray_keys', line('k1'), 0644, $nobody)), qr/^PM712 .*belongs neither to/,
		'nobody else may own it');
}
symlink $keys, $node->dir . '/link' or die;
like(with_file($node->dir . '/link'), $good,
	'a symlink to a good file is as good as that, as orchestrators mount secrets');
symlink $node->dir . '/open_keys', $node->dir . '/open_link' or die;
like(with_file($node->dir . '/open_link'), qr/^PM712 .*group or world access/,
	'one to a file that others can read is not');
symlink $node->dir . '/nowhere', $node->dir . '/dangling' or die;
like(with_file($node->dir . '/dangling'), qr/^PM712 .*could not be opened: No such file/, 'one that leads nowhere');
like(with_file($node->dir . '/missing'), qr/^PM712 .*could not be opened: No such file/, 'a missing file');
like(with_file('/'), qr/^PM712 .*(?:not a regular file)/, 'a directory');
like(with_file('/dev/null'), qr/^PM712 .*not a regular file/, 'a device');
mkfifo($node->dir . '/pipe', 0600);
chown $uid, $gid, $node->dir . '/pipe';
like(with_file($node->dir . '/pipe'), qr/^PM712 .*not a regular file/,
	'a pipe, without waiting for whoever might write to it');
like(with_file(write_file('empty', '')), qr/^PM712 .*There is none/, 'an empty file');
like(with_file(write_file('large', line('k1') . "#\n" x 9000)), qr/^PM712 .*more than 16384 bytes/, 'a large file');
like(with_file(write_file('crlf', "# keys\r\n\r\n" . line('k1') =~ s/\n/ \t\r\n/r)), $good,
	'comments, blank lines and other systems\' ends of lines');
like(with_file(write_file('last', line('k1') =~ s/\n//r)), $good, 'the last line needs no end');
$node->query('secrets', "COPY (SELECT 1) TO '" . $node->data . "/keys_here'");
write_file($node->data . '/keys_here', line('k1'));
like(with_file('keys_here'), $good, 'a relative path begins at the data directory');

like(outcome("SET promote.secret_key_file = ''; SET promote.secret_key_command = 'sleep 20'; SET statement_timeout "
	. "= '300ms'; $set"), qr/^57014 /, 'a command that hangs is ended with the statement, which says so');

# A changed file counts at once, in a session that goes on.
my $session = session();
my $changing = write_file('changing', line('k1'));
tell_session($session, "SET promote.secret_key_file = '$changing'; SELECT promote.set_secret('p-e-c1', 'two', 'x'), "
	. "key_id FROM promote.secret_status WHERE instance = 'p-e-c1' AND name = 'two';");
write_file('changing', line('k2') . line('k1'));
tell_session($session, "SELECT promote.set_secret('p-e-c1', 'two', 'x');");
is($node->query('secrets', "SELECT key_id FROM promote.secret_status WHERE instance = 'p-e-c1' AND name = 'two'"), 'k2',
	'a changed file is picked up by the next call');
end_session($session);

# ---- rotation, broken off and gone on with ----

my $use = "SET promote.secret_key_file = '$keys';";
write_file('keys', line('k1'));
$node->query('secrets', "$use SELECT promote.set_secret('p-e-c' || n, name, name || n) FROM generate_series(1, 40) "
	. "AS n, unnest(ARRAY['one', 'two']) AS name");
my $all = q{SELECT string_agg(instance || name || fingerprint || set_at, ' ' ORDER BY instance, name)
	FROM promote.secret_status WHERE is_set};
my $before = $node->query('secrets', $all);
write_file('keys', line('k2') . line('k1'));
is($node->query('secrets', "$use SELECT rotated, remaining FROM promote.rotate_secrets(30)"), '30|50',
	'a batch is rotated');
my $batch = $node->spawn('secrets', "$use BEGIN; SELECT promote.rotate_secrets(30); SELECT pg_sleep(60); COMMIT");
$node->wait_for('secrets',
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' OR wait_event = 'PgSleep'});
is($node->query('secrets', "$use SELECT rotated, remaining FROM promote.rotate_secrets()"), '20|30',
	'another session passes over what is being rotated, and waits for nobody');
$node->kill9;
$node->finish($batch);
$node->start;
is($node->query('secrets',
	q{SELECT string_agg(key_id || ' ' || n, ', ') FROM (SELECT key_id, count(*) AS n FROM promote.secret GROUP BY key_id
	ORDER BY 1) AS k}),
	'k1 30, k2 50', 'what a crash broke off is as it was');
# Secrets are set meanwhile.
my $setter = $node->spawn('secrets',
	"$use BEGIN; SELECT promote.set_secret('p-e-c40', 'one', 'one40'); SELECT pg_sleep(2); COMMIT");
$node->wait_for('secrets', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
$node->query('secrets', "$use DO \$\$ BEGIN WHILE (SELECT remaining FROM promote.rotate_secrets(7)) > 0 LOOP "
	. "COMMIT; PERFORM pg_sleep(0.01); END LOOP; END \$\$");
my (undef, undef, $err) = $node->finish($setter);
is($err, '', 'setting one meanwhile works');
is($node->query('secrets', 'SELECT count(*) FILTER (WHERE key_id = \'k2\'), count(*) FROM promote.secret'), '80|80',
	'the documented loop comes to the end');
write_file('keys', line('k2'));
is($node->query('secrets', "$use SELECT rotated, remaining FROM promote.rotate_secrets()"), '0|0',
	'without the old key nothing is left to do');
is($node->query('secrets', $all) =~ s/(p-e-c40one\w{64})\S+ \S+/$1/r, $before =~ s/(p-e-c40one\w{64})\S+ \S+/$1/r,
	'each is what it was, set when it was set');
write_file('keys', line('k3'));
like(outcome("$use SELECT promote.rotate_secrets()"),
	qr/^PM712 key "k2", which secret "one" of "p-e-c1" is sealed with/,
	'the old key removed too early is missed by its name');
is($node->query('secrets', "SELECT count(*) FROM promote.secret WHERE key_id = 'k2'"), '80', '... nothing is lost');
is($node->query('secrets', 'SELECT count(*) FROM promote.verify_audit()'), '0', 'the audit log is whole');
write_file('keys', line('k1') . line('k2'));
is($node->query('secrets', "$use SELECT rotated, remaining FROM promote.rotate_secrets()"), '80|0',
	'and the old key brought back, all is well');

# ---- where plaintext is not ----

# The very values that are looked for are passed as parameters, but for the one that shows that looking finds something.
$node->query('secrets', "UPDATE promote.instance SET attributes = '{\"a\": \"$other\"}' WHERE name = 'p-e-c2'");
$node->query('secrets', "ALTER DATABASE secrets SET promote.secret_key_file = '$keys'");
my $call = q{SELECT promote.set_secret('p-e-c1', :name, :value);};
my ($rc, $out);
($rc, $out, $err) = with_parameters($call, name => 'one', value => $plain);
is($rc, 0, 'a secret is passed as a parameter') or diag($err);
is($node->query('secrets', "SELECT fingerprint FROM promote.secret_status WHERE instance = 'p-e-c1' AND name = 'one'"),
	hmac_sha256_hex("secret:" . sha256($plain), pack 'H*',
		$node->query('secrets', q{SELECT encode(digest_key, 'hex') FROM promote.project_key WHERE project = 'p'})),
		'... and set');
($rc, $out, $err) = with_parameters($call, name => 'json', value => "{\"a\": \"$plain\"}");
is($rc, 0, 'a JSON secret') or diag($err);
# errors that are logged with their statements
for ([ json => "{\"a\": \"$plain\", }" ], [ json => $plain ], [ undeclared => $plain ], [ $plain => 'one' ],
	[ one => '' ], [ json => '[' x 2000 . $plain ]) {
	($rc, $out, $err) = with_parameters($call, name => $_->[0], value => $_->[1]);
	isnt($rc, 0, "an error is provoked with $_->[0]");
	unlike("$out$err", qr/\Q$plain\E/, '... which shows no value to the client');
}
($rc, $out, $err) = with_parameters(q{SELECT promote.set_secret('p-e-c1', 'one', repeat(:value, 100000));},
	value => $plain);
isnt($rc, 0, 'nor one that is too large');
($rc, $out, $err) = with_parameters(q{SELECT promote.set_secret('p-e-c2', 'one', repeat(:value, 58000));},
	value => $plain);
is($rc, 0, 'nearly 1 MB') or diag($err);
# and a listener, a worker that reads all, a rotation
write_file('keys', line('k3') . line('k1'));
$out = $node->query('secrets', q{
	LISTEN promote;
	SELECT promote.set_secret('p-e-c1', 'two', 'y') \g /dev/null
	SELECT promote.plan_instance('p-e-c1') \g /dev/null
	SELECT deployment, fencing FROM promote.claim_deployment('worker') \gset
	SELECT name, value FROM promote.deployment_secrets('p-e-c1', :deployment, :fencing);
	SELECT promote.complete_deployment('p-e-c1', :deployment, :fencing) \g /dev/null
	SELECT promote.rotate_secrets() \g /dev/null
	SELECT promote.remove_secret('p-e-c3', 'two')});
like($out, qr/^json\|\{"a": "\Q$plain\E"\}\none\|\Q$plain\E\ntwo\|y$/m, 'the worker reads them');
unlike($out =~ s/^\w+\|.*$//gmr, qr/\Q$plain\E/, '... and no notification has them');
like($out, qr/Asynchronous notification/, '... though there were some');
like($node->log_text, qr/3 secrets of "p-e-c1" were read under claim 1 of deployment 1/, 'the reading is in the log');
my ($dead, $dead_out) = $node->psql('secrets', q{BEGIN; SELECT promote.plan_instance('p-e-c1') \g /dev/null
	SELECT deployment, fencing FROM promote.claim_deployment('thief') \gset
	SELECT count(*) FROM promote.deployment_secrets('p-e-c1', :deployment, :fencing); ROLLBACK});
like($node->log_text, qr/3 secrets of "p-e-c1" were read under claim 1 of deployment 2/,
	'... also one whose transaction was rolled back');

$node->query('secrets', qq[
	SET work_mem = '64kB';
	SELECT promote.plan_instance('p-e-c2') \\g /dev/null
	SELECT deployment, fencing FROM promote.claim_deployment('worker', selector => '{"a": "$other"}') \\gset
	SELECT length(value) FROM promote.deployment_secrets('p-e-c2', :deployment, :fencing) WHERE name = 'one';
	BEGIN;
	SELECT promote.remove_secret('p-e-c2', name) FROM promote.secret_status WHERE instance = 'p-e-c2' AND is_set
		AND name <> 'one' \\g /dev/null
	SELECT count(*) FROM promote.deployment_secrets('p-e-c2', :deployment, :fencing);
	ROLLBACK]);
like($node->log_text, qr/2 secrets of "p-e-c2" were read/, 'a large secret is read with little work_mem');
like($node->log_text, qr/1 secret of "p-e-c2" was read/, '... and alone');
unlike($node->log_text, qr/temporary file/, '... and was never written to a temporary file');

my @places = (
	[ 'the server\'s log' => sub { $node->log_text } ],
	[ 'pg_dump\'s output' => sub { $node->dump('secrets', $node->dir . '/dump.sql');
		PromoteTest::slurp($node->dir . '/dump.sql') } ],
	[ 'the audit log' => sub { $node->query('secrets',
		'SELECT string_agg(a::text, \' \') FROM promote.audit_log AS a') } ],
	[ 'the status' => sub { $node->query('secrets',
		'SELECT string_agg(s::text, \' \') FROM promote.secret_status AS s') } ],
	[ 'pg_stat_activity' => sub { $node->query('secrets', 'SELECT string_agg(query, \' \') FROM pg_stat_activity') } ],
);
push @places, [ 'pg_stat_statements' => sub { $node->query('secrets',
	'SELECT string_agg(query, \' \') FROM pg_stat_statements') } ] if $has_statements;
for my $place (@places) {
	my ($name, $text) = ($place->[0], $place->[1]->());
	for ($plain, unpack('H*', $plain), encode_base64($plain, '')) {
		is(index($text, $_), -1, "$name does not hold " . (length $_ == length $plain ? 'the plaintext'
			: 'it in other letters'));
	}
}
like($places[0][1]->(), qr/set_secret/, 'the log has the statements');
like($places[-1][1]->(), qr/set_secret/, '... and so have the statistics') if $has_statements;
my $dump = PromoteTest::slurp($node->dir . '/dump.sql');
like($dump, qr/^p\te\tc1\tone\t\\\\x01/m, 'the dump has ciphertexts');

$node->query('secrets', 'CHECKPOINT');
isnt(files_with($other), '', 'what is in a table is found in the server\'s files');
is(files_with($plain), '', 'the plaintext is not, neither in tables nor in the write-ahead log nor in temporary files');
is(files_with($key{$_}), '', "... nor is key $_") for qw(k1 k3);
is(files_with(encode_base64($key{k3}, '') =~ s/=.*//r), '', '... nor its line');
$node->stop;
is(files_with($plain), '', '... nor after it was stopped, when all that was in memory is written');
$node->start;

# ---- memory ----

$session = session();
SKIP: {
	my $seen = in_memory($session->{backend}, 'psql');
	skip 'the memory of other processes cannot be read here', 15 if !defined $seen;
	# Rotation opens every secret, and nobody but the extension ever had what it opened.
	write_file('keys', line('k1') . line('k3'));
	tell_session($session, 'SELECT * FROM promote.rotate_secrets();');
	like(PromoteTest::slurp($node->dir . '/session.out'), qr/^8\d\|0$/m, 'all is rotated in a session of its own');
	is(in_memory($session->{backend}, $plain), 0, '... in whose memory no plaintext is left');
	is(in_memory($session->{backend}, $key{$_}), 0, "... nor key $_") for qw(k1 k3);
	is(in_memory($session->{backend}, substr encode_base64($key{$_}, ''), 0, 40), 0, "... nor the line of $_") for qw(k1
		k3);
	# also where it ends in an error, of which the transaction takes notice later
	write_file('keys', line('k2') . line('k1'));
	$node->query('secrets', q{BEGIN; ALTER TABLE promote.secret DISABLE TRIGGER guard_secret;
		UPDATE promote.secret SET fingerprint = sha256('') WHERE component = 'c1' AND secret = 'one';
		ALTER TABLE promote.secret ENABLE ALWAYS TRIGGER guard_secret; COMMIT});
	tell_session($session, 'BEGIN; SELECT promote.rotate_secrets();');
	like(PromoteTest::slurp($node->dir . '/session.out'), qr/is not the one that its fingerprint is of/,
		'an error with a value at hand');
	is(in_memory($session->{backend}, $plain), 0, '... leaves none');
	is(in_memory($session->{backend}, $key{k1}), 0, '... and no key');
	tell_session($session, 'ROLLBACK; BEGIN; SAVEPOINT a; SELECT promote.rotate_secrets();');
	is(in_memory($session->{backend}, $plain), 0, '... nor does one behind a savepoint, before anybody rolls back');
	is(in_memory($session->{backend}, $key{k1}), 0, '... and no key');
	# a value out of a table is copied, for it has to be put together first
	$node->query('secrets', "CREATE TABLE holding (v text); ALTER TABLE holding ALTER v SET STORAGE EXTERNAL; "
		. "INSERT INTO holding VALUES (repeat('T0asted-$random', 1000))");
	for my $begin ('BEGIN', 'BEGIN; SAVEPOINT a') {
		tell_session($session, "ROLLBACK; $begin; SELECT promote.set_secret('p-e-c1', 'json', v) FROM holding;");
		is(in_memory($session->{backend}, "T0asted-$random"), 0, "... nor one out of a table, after $begin");
	}
	like(PromoteTest::slurp($node->dir . '/session.out'), qr/declares it as JSON, and it is none/,
		'... that is refused');
	# what PostgreSQL itself copies, for the worker that asked, is not the extension's to wipe: looking finds it
	tell_session($session, "ROLLBACK; SELECT '$other' AS a;");
	cmp_ok(in_memory($session->{backend}, $other), '>', 0, 'looking would have found something');
}
end_session($session);

done_testing;
