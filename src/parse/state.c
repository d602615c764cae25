/*
 * state.c: names of environments that may say of what time they are meant: ecomm-staging,
 * ecomm-staging@tuesday and ecomm-staging@2026-11-20 10:00+00.
 *
 * A tag begins with a letter and a time with a digit, so that nothing is looked up to tell them
 * apart.  Whether the environment and the tag exist is not asked here.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/attempt.h"
#include "base/compat.h"
#include "base/errors.h"
#include "parse/state.h"

#define TIME_MAX_LENGTH 64		/* bytes of a time */

/* A time in the course of being read. */
typedef struct ReadTime
{
	const char *text;
	TimestampTz at;
} ReadTime;

/* Read a time, as PostgreSQL does.  A step of attempt. */
static void
read_time(void *state)
{
	ReadTime   *read = state;

	read->at = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(read->text),
													   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* Refuse what stands behind the @ for what is wrong with it. */
pg_noreturn static void
refuse_state(const char *problem)
{
	ereport(ERROR,
			(errcode(PM_INVALID_NAME),
			 errmsg("invalid state of an environment"),
			 errdetail_internal("%s", problem),
			 errhint("Behind the @ of an environment stands a tag, as in ecomm-staging@tuesday, or a time, as in ecomm-staging@2026-11-20 10:00+00.")));
}

/* Does a text begin as an ISO date, with year, month and day in this order whatever DateStyle says? */
static bool
begins_with_date(const char *text)
{
	static const char form[] = "0000-00-00";

	for (int i = 0; form[i]; i++)
		if (form[i] == '0' ? !(text[i] >= '0' && text[i] <= '9') : text[i] != form[i])
			return false;
	return true;
}

/* The time that a text says. */
static TimestampTz
parse_time(const char *text)
{
	ReadTime	read = {text};
	Refusal		refusal;

	if (strlen(text) > TIME_MAX_LENGTH || !begins_with_date(text))
		refuse_state("It begins with a digit, and not with a date, year, month and day.");
	if (!attempt(read_time, &read, &refusal))
		refuse_state(psprintf("It is no time: %s.", refusal.message));
	/* a word behind the date makes it so */
	if (TIMESTAMP_NOT_FINITE(read.at))
		refuse_state("It is infinite.");
	return read.at;
}

/*
 * Take the name of an environment, or of a state of it, apart.  Raises PM_INVALID_NAME.
 */
void
environment_state_parse(const char *text, EnvironmentState *state)
{
	const char *at = strchr(text, '@');

	*state = (EnvironmentState) {.at = DT_NOEND};
	environment_name_parse(at ? pnstrdup(text, at - text) : text, &state->key);
	if (at == NULL)
		return;
	if (at[1] >= '0' && at[1] <= '9')
		state->at = parse_time(at + 1);
	else
	{
		tag_name_check(at + 1);
		state->tag = pstrdup(at + 1);
	}
}

/* Is the environment meant as it was, and not as it is? */
bool
environment_state_is_past(const EnvironmentState *state)
{
	return state->tag != NULL || state->at != DT_NOEND;
}

/* The name of an environment or a state, for messages. */
char *
environment_state_name(const EnvironmentState *state)
{
	char	   *name = psprintf("%s-%s", state->key.project, state->key.environment);

	return state->tag ? psprintf("%s@%s", name, state->tag) :
		state->at != DT_NOEND ? psprintf("%s@%s", name, timestamptz_to_str(state->at)) : name;
}
