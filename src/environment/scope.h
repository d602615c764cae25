/*
 * scope.h: what the verbs of environments are about: components of one environment, or of two.
 */
#ifndef PROMOTE_ENVIRONMENT_SCOPE_H
#define PROMOTE_ENVIRONMENT_SCOPE_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"
#include "utils/jsonb.h"

#include "base/sql.h"
#include "parse/state.h"

/* A component, and what is known of it in the source. */
typedef struct ScopeComponent
{
	char	   *component;
	char	   *code;			/* why it is left out, a word; NULL: it is not, as its sentence */
	char	   *problem;
	bool		pins;			/* is the exact version promoted to the destination? */
	int32		rank;			/* how many have to be there before it; read for decommissioning alone */
	ArrayType  *missing;		/* text[]: what it needs and a fork does not get; NULL: nothing; read for forks alone */

	/* of a past state of the source; 0 and NULL: none */
	int32		desired;		/* revision */
	int32		revision;		/* that ran */
	int32		deployment;		/* by which that ran */
	char	   *version;		/* by which release */
} ScopeComponent;

/* What a call is about. */
typedef struct EnvironmentScope
{
	EnvironmentState source;	/* may be the destination itself */
	EnvironmentState destination;
	List	   *named;			/* char *: components; NIL: all */
	Jsonb	   *selector;		/* NULL: none */
	bool		reprovision;	/* are decommissioned ones not left out? */
	ScopeComponent *list;		/* by name; decommissioning puts them into its order */
	int			count;
} EnvironmentScope;

extern void state_require_past(const EnvironmentState *state);
extern void argument_environment(FunctionCallInfo fcinfo, int argument, const char *name, EnvironmentState *state);
extern void argument_state(FunctionCallInfo fcinfo, int argument, const char *name, EnvironmentState *state);
extern void scope_take(FunctionCallInfo fcinfo, int components, EnvironmentScope *scope);
extern void environment_state_find(const Sql *sql, const EnvironmentState *state, bool read_only);
extern void environment_state_require(const Sql *sql, const EnvironmentState *state, bool read_only);
extern void scope_fill(const Sql *sql, EnvironmentScope *scope, SqlRows *rows);
extern Datum scope_names(const EnvironmentScope *scope);
extern void scope_read_state(const Sql *sql, EnvironmentScope *scope, bool read_only);
extern void scope_read(EnvironmentScope *scope, bool read_only);
extern void scope_require_any(const EnvironmentScope *scope);
extern InstanceKey scope_instance(const EnvironmentState *state, const ScopeComponent *component);
extern ScopeComponent *scope_find(const EnvironmentScope *scope, const char *component);
extern void scope_leave_out(const EnvironmentScope *scope, ScopeComponent *component, const char *did);
extern void scope_take_past(const EnvironmentScope *scope, const char *source_state, bool pin);
extern void scope_check_keys(const EnvironmentScope *scope, const Jsonb *document, const char *what);
extern Jsonb *scope_overrides(const Jsonb *overrides, const char *component);
extern NullableDatum scope_expected(const Jsonb *expected, const char *component);

#endif							/* PROMOTE_ENVIRONMENT_SCOPE_H */
