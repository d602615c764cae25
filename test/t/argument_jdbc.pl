# The main steps by PostgreSQL's JDBC driver.

use strict;
use warnings;
use Test::More;
use ClientTest;

my $java = ClientTest::program('java');
plan skip_all => 'no java' if !defined $java;
my $path = join ':', grep { defined && length } $ENV{CLASSPATH},
	glob '/usr/share/java/postgresql.jar /usr/share/java/scram-*.jar';
plan skip_all => 'no Java that compiles (Debian: default-jdk-headless)'
	if !ClientTest::succeeds('sh', '-c', "'$java' --list-modules | grep -q jdk.compiler");
plan skip_all => 'no JDBC driver (Debian: libpostgresql-jdbc-java; or on CLASSPATH)'
	if !grep { m{postgresql[^/]*\.jar$} && -e } split /:/, $path;
my $node = ClientTest->shop('client');
ClientTest::story($node, { PORT => ClientTest::relay($node), CLASSPATH => $path }, $java, 'test/clients/Story.java');

done_testing();
