/*
 * state.h: names of environments that may say of what time they are meant.
 */
#ifndef PROMOTE_PARSE_STATE_H
#define PROMOTE_PARSE_STATE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "parse/name.h"

/* An environment, as it is now, or as it was. */
typedef struct EnvironmentState
{
	InstanceKey key;			/* without a component */
	char	   *tag;			/* as a tag says; NULL: it is of none */
	TimestampTz at;				/* as it was then; DT_NOEND: no time is named */
} EnvironmentState;

extern void environment_state_parse(const char *text, EnvironmentState *state);
extern bool environment_state_is_past(const EnvironmentState *state);
extern char *environment_state_name(const EnvironmentState *state);

#endif							/* PROMOTE_PARSE_STATE_H */
