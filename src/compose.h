/*
 * compose.h: what a promotion means, as pure functions of documents.
 */
#ifndef PROMOTE_COMPOSE_H
#define PROMOTE_COMPOSE_H

#include "postgres.h"

#include "json/diff.h"
#include "utils/jsonb.h"

/*
 * A desired state that is proposed for an instance, with what it is judged
 * by.  compose_check fills in the lower part.
 */
typedef struct Proposal
{
	const char *instance;		/* name, for messages */
	Jsonb	   *params;			/* proposed */
	Jsonb	   *old_params;		/* desired until now; NULL: none */
	Jsonb	   *old_plan;		/* the same as it was last planned, where that
								 * differs: with the parameters of then */
	Jsonb	   *deployed;		/* what runs; NULL: not provisioned */
	bool		deployed_rendered;	/* are its placeholders replaced? */
	Jsonb	   *parameters;		/* the environment's, for placeholders */
	const char *bundle;
	const char *version;		/* release that it would run */
	Jsonb	   *schema;			/* of that release */
	Jsonb	   *old_schema;		/* of the release until now; NULL: the same */
	Jsonb	   *source_schema;	/* of the source's release; NULL: the same */
	bool		allow_replace;	/* may immutable values change? */

	Jsonb	   *rendered;		/* params with placeholders replaced */
	Jsonb	   *old_rendered;	/* NULL where there were none */
	JsonMark   *marks;			/* of rendered */
	JsonMark   *old_marks;		/* of old_rendered */
	bool		destructive;	/* an immutable value of what runs changes */
} Proposal;

extern Jsonb *compose_params(const Jsonb *source, const Jsonb *destination,
							 const Jsonb *schema, const Jsonb *overrides);
extern Jsonb *compose_base(const Proposal *proposal, const Jsonb *source_parameters);
extern Jsonb *compose_overrides(Jsonb *base, const Jsonb *overrides);
extern void compose_check(Proposal *proposal);
extern JsonMark *compose_marks(const Proposal *proposal, const Jsonb *document);
extern Jsonb *compose_diff(const Proposal *proposal);
extern const JsonbValue *compose_shown(const JsonbValue *value, uint32 flags,
									   JsonbValue *mask);

#endif							/* PROMOTE_COMPOSE_H */
