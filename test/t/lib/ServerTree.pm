package ServerTree;

# A copy of a server's programs of a test's own, into which builds of promote are installed one after the other, as
# packages are; and what can be built: this checkout, and a made-up next version of it.
#
#   my $tree = ServerTree->new($pg_config);
#   my $build = ServerTree::build(ServerTree::checkout(), $pg_config);    # a directory
#   $tree->install($build);
#   $tree->install_library($build);                                      # and nothing of its scripts
#   local $PromoteTest::bindir = $tree->bindir;
#   my $node = PromoteTest->new;
#
# A server finds what belongs to it by where its own program lies, so that a copy has its libraries and scripts for
# itself. The copy keeps the whole path below a directory of its own, and DESTDIR installs into it.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use PromoteTest;    # first: at the end servers go before their programs do

sub new {
	my ($class, $pg_config) = @_;
	my $root = tempdir('promote_tree.XXXXXX', DIR => '/tmp', CLEANUP => 1);
	chmod 0755, $root or die "cannot open $root to the server's user: $!\n";
	my $self = bless { root => $root, pg_config => $pg_config }, $class;
	for my $path (map { $self->original($_) } qw(bindir pkglibdir sharedir)) {
		make_path(dirname("$root$path"));
		run('cp', '-aL', $path, "$root$path");
	}
	unlink $self->library, map { "$root$_" } glob $self->original('sharedir') . '/extension/promote*';
	return $self;
}

# A directory of the server that was copied.
sub original {
	my ($self, $which) = @_;
	chomp(my $path = `'$self->{pg_config}' --$which`);
	return $path;
}

sub bindir { my ($self) = @_; return $self->{root} . $self->original('bindir') }
sub library { my ($self) = @_; return $self->{root} . $self->original('pkglibdir') . '/promote.so' }

sub install {
	my ($self, $build) = @_;
	make($build, $self->{pg_config}, "DESTDIR=$self->{root}", 'install');
	return;
}

# As install does: sessions keep the file that they have opened.
sub install_library {
	my ($self, $build) = @_;
	unlink $self->library;
	copy("$build/promote.so", $self->library) or die "cannot copy the library: $!\n";
	return;
}

# ---- builds ----

# A copy of the sources, of this checkout or of another one, and of their objects: what did not change is not compiled
# again.
sub checkout {
	my ($from) = @_;
	$from //= '.';
	my $directory = tempdir('promote_checkout.XXXXXX', TMPDIR => 1, CLEANUP => 1);
	run('cp', '-a', grep({ -e } map { "$from/$_" } qw(Makefile promote.control sql src .build-for .cheap)), $directory);
	return $directory;
}

# A copy of the sources alone, for another server than the one that this checkout is built for.
sub bare_checkout {
	my $directory = checkout();
	unlink glob "$directory/src/*.o $directory/src/*/*.o $directory/.build-for";
	return $directory;
}

# Compiles what lacks, and returns the directory.
sub build {
	my ($directory, $pg_config) = @_;
	chomp(my $processors = `nproc`);
	make($directory, $pg_config, "-j$processors");
	return $directory;
}

sub make {
	my ($directory, $pg_config, @arguments) = @_;
	# what an outer make was told is not about this one
	delete local @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL VPATH)};
	# objects that are there were made with the options of this run; who compiles all wants to be done soon
	my $cheaply = -e "$directory/.cheap" || !-e "$directory/.build-for";
	if ($cheaply) { open my $mark, '>', "$directory/.cheap" or die "cannot write into $directory: $!\n" }
	run('make', '-s', '-C', $directory, "PG_CONFIG=$pg_config", 'with_llvm=no',
		'COPT=' . ($cheaply ? '-O0 -g0 -w' : $ENV{COPT} // ''), @arguments);
	return;
}

sub run {
	my (@command) = @_;
	my $log = File::Temp->new;
	open my $out, '>&', \*STDOUT or die "cannot keep the output: $!\n";
	open my $err, '>&', \*STDERR or die "cannot keep the errors: $!\n";
	open STDOUT, '>', "$log" or die "cannot write a log: $!\n";
	open STDERR, '>&', \*STDOUT or die "cannot write a log: $!\n";
	my $status = system @command;
	open STDOUT, '>&', $out or die "cannot restore the output: $!\n";
	open STDERR, '>&', $err or die "cannot restore the errors: $!\n";
	die "this failed: @command\n" . PromoteTest::slurp("$log") if $status != 0;
	return;
}

# ---- the next version ----

# The version that the control file of a checkout names.
sub version {
	my ($directory) = @_;
	return PromoteTest::slurp("$directory/promote.control") =~ /^default_version = '([\d.]+)'/m ? $1
	  : die "no version in $directory/promote.control\n";
}

# Makes of a checkout its next version: the script of now is kept as released, parts are changed, and an update script
# does the same to a database that is there: a column, a trigger, a function with a library function behind it, another
# body, and a function that is gone. Returns the next version.
sub make_next {
	my ($directory, $pg_config) = @_;
	my $version = version($directory);
	my ($major, $minor) = split /\./, $version;
	my $next = "$major." . ($minor + 1) . '.0';
	make($directory, $pg_config, 'freeze');
	edit("$directory/promote.control", "'$version'", "'$next'");

	my $column = "COMMENT ON COLUMN promote.component.owner_team IS 'Who is called when it breaks';\n";
	my $function = <<'SQL';
CREATE FUNCTION promote.owner_team(project text, component text) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'promote_owner_team';
REVOKE ALL ON FUNCTION promote.owner_team(text, text) FROM PUBLIC;
COMMENT ON FUNCTION promote.owner_team(text, text) IS 'Who is called when a component breaks';
SQL
	my $body = "RETURN COALESCE(\$1, '+') || '-' || COALESCE(\$2, '+') || COALESCE('-' || \$3, '');";
	my $registry = "$directory/sql/registry/registry.sql";
	my $created = "    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),\n";
	edit($registry, "$created    CONSTRAINT component_pkey",
		"$created    owner_team  text,\n    CONSTRAINT component_pkey");
	edit($registry, "COMMENT ON COLUMN promote.component.created_at IS 'When the row was inserted';\n",
		"COMMENT ON COLUMN promote.component.created_at IS 'When the row was inserted';\n$column\n$function");
	edit("$directory/sql/page/calendar.sql",
		"RETURN COALESCE(\$1, '*') || '-' || COALESCE(\$2, '*') || COALESCE('-' || \$3, '');", $body);
	my $parse = "$directory/sql/parse/version.sql";
	my ($gone) = PromoteTest::slurp($parse) =~ /^(CREATE FUNCTION promote\.version_compare.*?;\n.*?;\n)/ms;
	edit($parse, $gone, '');
	put("$directory/src/registry/owner_team.c", library_part($next));

	put("$directory/sql/promote--$version--$next.sql", <<"SQL");
\\echo Use "ALTER EXTENSION promote UPDATE" to load this file. \\quit

SET LOCAL search_path TO pg_catalog, pg_temp;

-- Rows that are there have NULL, which is in no digest.
ALTER TABLE promote.component ADD COLUMN owner_team text;
$column
DROP TRIGGER record_change ON promote.component;
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON promote.component
    FOR EACH ROW EXECUTE FUNCTION promote_internal.record_change(
        'project', 'component', 'bundle', 'description', 'attributes', 'version_policy', 'created_at', 'owner_team');
ALTER TABLE promote.component ENABLE ALWAYS TRIGGER record_change;

-- What the triggers have to stay like: those that were changed here as they are now, and all others as they were made.
DO \$\$
BEGIN
    PERFORM pg_catalog.set_config('quote_all_identifiers', 'off', true);
    EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION promote_internal.own_triggers()
        RETURNS TABLE (table_name text, trigger_name text, enabled text, definition text)
        LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 150 BEGIN ATOMIC VALUES %s; END',
        (SELECT pg_catalog.string_agg(pg_catalog.format('(%L, %L, %L, %L)', k.table_name, k.trigger_name, k.enabled,
                                                        k.definition), ', ' ORDER BY k.table_name, k.trigger_name)
           FROM (SELECT o.table_name, o.trigger_name, o.enabled, o.definition
                   FROM promote_internal.own_triggers() AS o
                  WHERE (o.table_name, o.trigger_name) NOT IN (('component', 'record_change'))
                 UNION ALL
                 SELECT c.relname, t.tgname, t.tgenabled::text, pg_catalog.pg_get_triggerdef(t.oid)
                   FROM pg_catalog.pg_trigger AS t
                   JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
                  WHERE c.relnamespace = 'promote'::pg_catalog.regnamespace
                    AND (c.relname, t.tgname) IN (('component', 'record_change'))) AS k));
END
\$\$;

$function
CREATE OR REPLACE FUNCTION promote_internal.calendar_place(project text, environment text, component text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    $body

DROP FUNCTION promote.version_compare(text, text);
SQL
	return $next;
}

# A function that needs the next script, and one that can do without.
sub library_part {
	my ($next) = @_;
	return <<"C";
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/script.h"
#include "base/sql.h"

PG_FUNCTION_INFO_V1(promote_owner_team);
PG_FUNCTION_INFO_V1(promote_owner_team_if_any);

Datum
promote_owner_team(PG_FUNCTION_ARGS)
{
	static Statement read = {"SELECT c.owner_team FROM promote.component AS c"
		" WHERE c.project = \$1 AND c.component = \$2"};
	char	   *project = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *component = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *team = NULL;
	SqlRows		rows;
	Sql			sql;

	script_need("$next");
	sql_enter(&sql);
	rows = sql_read(&sql, &read, AS_TEXT(project), AS_TEXT(component));
	if (rows.count > 0)
		team = sql_text(&rows, 0);
	if (team)
		team = MemoryContextStrdup(sql.caller, team);
	sql_leave(&sql);
	if (team == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(team));
}

Datum
promote_owner_team_if_any(PG_FUNCTION_ARGS)
{
	return script_has("$next") ? promote_owner_team(fcinfo) : PointerGetDatum(cstring_to_text("nobody yet"));
}
C
}

# Replaces what has to be there, once.
sub edit {
	my ($path, $from, $to) = @_;
	my $text = PromoteTest::slurp($path);
	my $count = () = $text =~ /\Q$from\E/g;
	die "$path: \"$from\" is there $count times\n" if $count != 1;
	put($path, $text =~ s/\Q$from\E/$to/r);
	return;
}

sub put {
	my ($path, $text) = @_;
	open my $file, '>', $path or die "cannot write $path: $!\n";
	print $file $text;
	close $file or die "cannot write $path: $!\n";
	return;
}

1;
