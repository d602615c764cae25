# promote is built like any PGXS extension:
#
#   make && make install && make installcheck      (PG_CONFIG=... picks the server)
#
# The last one needs a running server with promote installed. `./dev test` brings a server of its own.
# All of it works in another directory, too: make -f THIS-DIRECTORY/Makefile

PG_CONFIG ?= pg_config

# Where the sources are, by the rule by which PGXS finds its srcdir.
TOP := $(patsubst %/,%,$(or $(VPATH),$(dir $(firstword $(MAKEFILE_LIST)))))
in_top = $(patsubst $(TOP)/%,%,$(wildcard $(1:%=$(TOP)/%)))
# What make or a shell would take for something else there.
ODD := % ' " & ; ( ) : $$ [ ] * ? ` \ | < >
ifneq ($(strip $(foreach each,$(ODD),$(findstring $(each),$(TOP)))),)
$(error "$(TOP)" has a character that make or a shell reads in a way of its own, one of $(ODD): call make there)
endif

EXTENSION = promote
# promote.control is the one place that says which version this is.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" '$(TOP)/promote.control')

# The install script's parts, sql/<room>/<area>.sql, each after those it refers to.
SQL_PARTS := $(shell cat '$(TOP)/sql/ORDER')

MODULE_big = promote
SOURCES := $(call in_top,src/*.c src/*/*.c)
ifeq ($(SOURCES),)
$(error no sources in "$(TOP)/src": call make there, or by -f with the path of the Makefile there, which may have no blanks)
endif
HEADER_FILES := $(wildcard $(TOP)/src/*/*.h)
OBJS = $(SOURCES:.c=.o)
SHLIB_LINK = -lyaml -licuuc -lical -lcrypto

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
ifeq ($(WERROR),1)
PG_CFLAGS += -Werror
endif

EXTENSION_SQL = promote--$(EXTVERSION).sql
DATA_built = $(EXTENSION_SQL)
# Scripts as they were released, and those that lead from one version to the next: doc/how-to/change-the-schema.md.
DATA = $(filter-out %/$(EXTENSION_SQL),$(call in_top,sql/promote--*.sql))

# Where the tests' database has the extension already: --use-existing
TEST_DATABASE = --load-extension=promote
# := because PGXS asks whether these are defined: a kind of test of which there is none yet must not be.
REGRESS := $(patsubst test/regress/%.sql,%,$(call in_top,test/regress/*.sql))
REGRESS_OPTS = --inputdir=$(TEST_INPUT) --outputdir=$(TEST_OUTPUT)/regress $(TEST_DATABASE)
ISOLATION := $(patsubst test/specs/%.spec,%,$(call in_top,test/specs/*.spec))
ISOLATION_OPTS = --inputdir=$(TEST_INPUT) --outputdir=$(TEST_OUTPUT)/isolation $(TEST_DATABASE)

# Objects of sources that have moved or gone, too.
EXTRA_CLEAN = promote--*.sql .build-for test/output $(wildcard src/*.o src/*.bc src/*/*.o src/*/*.bc)

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# What is made is looked for here alone: objects that lie beside the sources were made for another build. PGXS has its
# srcdir follow a VPATH that it is given.
srcdir := $(TOP)
override VPATH :=
vpath %.c $(TOP)
vpath %.control $(TOP)

$(EXTENSION_SQL): $(SQL_PARTS:%=$(TOP)/sql/%.sql) $(TOP)/sql/ORDER $(TOP)/Makefile $(TOP)/promote.control
	cat $(SQL_PARTS:%=$(TOP)/sql/%.sql) >$@.tmp
	mv $@.tmp $@

# PGXS tracks headers only where the server was configured with --enable-depend, and Debian's is not.
$(OBJS) $(OBJS:.o=.bc): $(HEADER_FILES)

# The library knows which version it is.
src/base/script.o src/base/script.bc: override CPPFLAGS += -DPROMOTE_VERSION='"$(EXTVERSION)"'
src/base/script.o src/base/script.bc: $(TOP)/promote.control

# Keeps the install script as it is released. What was released never changes.
freeze: $(EXTENSION_SQL)
	@test ! -e $(TOP)/sql/$< || cmp $< $(TOP)/sql/$<
	@cp $< $(TOP)/sql/

OBJECT_DIRECTORIES = $(sort $(dir $(OBJS)))
$(OBJS) $(OBJS:.o=.bc): | $(OBJECT_DIRECTORIES)
$(OBJECT_DIRECTORIES):
	mkdir -p $@

# Objects made for another major version, or with other flags, must not be linked into this build.
$(OBJS): .build-for
.build-for: FORCE
	@echo '$(VERSION) $(COPT) $(PROFILE)' | cmp -s - $@ || echo '$(VERSION) $(COPT) $(PROFILE)' >$@

# Both drivers look for NAME below one directory, in sql/ or specs/ and in expected/, and create their output directory,
# but not that directory's parent. The isolation tester knows no include: each spec gets the shared beginning here.
TEST_OUTPUT = test/output
TEST_INPUT = $(TEST_OUTPUT)/given
installcheck: $(TEST_INPUT)
$(TEST_INPUT): FORCE
	@mkdir -p $@/specs
	@ln -sfn '$(abspath $(TOP))/test/regress' $@/sql
	@ln -sfn '$(abspath $(TOP))/expected' $@/expected
	@set -e; for each in $(ISOLATION); do \
		cat $(TOP)/test/specs/shop.setup $(TOP)/test/specs/$$each.spec >$@/specs/$$each.spec; done

# Needs a running server (PGHOST and so on); `./dev bench` brings its own. BENCH=json runs that one alone.
BENCH ?= run queue plan gate request json sessions sets environments report history verify
bench:
	@set -e; for each in $(BENCH); do PG_CONFIG='$(PG_CONFIG)' $(TOP)/bench/$$each; done

# The archive for PGXN: what is committed, but for what .gitattributes leaves out, and the install script, which
# META.json names.
DIST = promote-$(EXTVERSION)
dist: $(EXTENSION_SQL)
	@git -C '$(TOP)' diff --quiet HEAD || { echo 'dist: commit or take back what has changed' >&2; exit 1; }
	git -C '$(TOP)' archive --format=zip --prefix=$(DIST)/ --add-file='$(CURDIR)/$(EXTENSION_SQL)' \
		-o '$(CURDIR)/$(DIST).zip' HEAD

FORCE:
.PHONY: bench dist freeze FORCE
