/*
 * compose.h: what a promotion means, as pure functions of documents.
 */
#ifndef PROMOTE_COMPOSE_COMPOSE_H
#define PROMOTE_COMPOSE_COMPOSE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "compose/mask.h"
#include "json/marks.h"

/* What a deployment carries, or would carry, with its configuration and release. */
typedef struct Carried
{
	int32		deployment;
	int32		revision;
	char	   *bundle;
	char	   *version;
	char	   *version_constraint; /* of the revision */
	char	   *release_channel;
	bytea	   *rendered_digest;
	Jsonb	   *params;			/* rendered */
	Jsonb	   *template;		/* of the revision, with the placeholders; NULL: there are none */
	Jsonb	   *schema;			/* of its release */
	Jsonb	   *kept;			/* paths that stay marked, see mask.h; NULL: none */
	Jsonb	   *slots;			/* of its release, for remote references; NULL: none */
	Jsonb	   *references;		/* NULL: none */
	TimestampTz started_at;		/* DT_NOEND: it was never claimed */
} Carried;

/* When what runs was begun; DT_NOBEGIN: nothing runs (NULL). */
static inline TimestampTz
carried_began(const Carried *runs)
{
	return runs ? runs->started_at : DT_NOBEGIN;
}

/*
 * A desired state that is proposed for an instance, with what it is judged
 * by.  compose_check fills in the lower part.
 */
typedef struct Proposal
{
	const char *instance;		/* name, for messages */
	Jsonb	   *params;			/* proposed */
	Jsonb	   *own_params;		/* desired until now; NULL: none */
	Jsonb	   *preset;			/* of the release, see compose_base and compose_edit_base; NULL: none */
	bool		fill_defaults;	/* do the schema's defaults fill in what is missing? */
	Jsonb	   *source_params;	/* that params are made of; NULL: none are known */
	Jsonb	   *observed;		/* that values were taken over from; NULL: none */
	List	   *deployed;		/* all that may run: Carried *; NIL: nothing */
	const Carried *runs;		/* what runs, one of these; NULL: nothing */
	Jsonb	   *parameters;		/* the environment's, for placeholders */
	Jsonb	   *source_parameters;	/* the same of the source; NULL with it */
	const char *bundle;
	const char *version;		/* release that it would run */
	Jsonb	   *schema;			/* of that release */

	/*
	 * Of the other releases concerned, NULL where it is the same one: the
	 * destination's until now, the one that runs, the source's.
	 */
	Jsonb	   *other_schemas[3];

	/* The paths that keep marks in these, see mask.h; NULL: none do. */
	Jsonb	   *kept;			/* in params, of a row or where a JSON Patch or a document has put what is sensitive */
	Jsonb	   *own_kept;
	Jsonb	   *source_kept;
	Jsonb	   *tried;			/* what a JSON Patch leaves, masked where it was sensitive before; NULL: none */
	bool		allow_replace;	/* may immutable values change? */

	Jsonb	   *rendered;		/* params with placeholders replaced */
	bool		destructive;	/* an immutable value of what runs changes */
} Proposal;

/*
 * Why a proposal may not be.  The strings live until the collector returns.
 */
typedef struct Obstacle
{
	int			sqlstate;		/* what compose_check would raise; 0: it would not */
	const char *path;			/* where, jq style; NULL: the message says it */
	const char *message;		/* a sentence; never a value */
} Obstacle;

/* What is said of an immutable value that would change. */
#define COMPOSE_IMMUTABLE "what runs has another value, which is immutable"

typedef void (*ObstacleCollector) (void *state, const Obstacle *obstacle);

extern JsonMark *compose_noncopyable(const Jsonb *document, const Jsonb *schema, const Jsonb *const *variables);
extern Jsonb *compose_own(const Proposal *proposal);
extern Jsonb *compose_own_over_preset(const Proposal *proposal);
extern Jsonb *compose_filled_own(const Proposal *proposal);
extern Jsonb *compose_base(const Proposal *proposal);
extern Jsonb *compose_masked(const Jsonb *document);
extern Jsonb *compose_edit_base(const Proposal *proposal);
extern Jsonb *compose_edit(Proposal *proposal, const Jsonb *base, const Jsonb *patch);
extern Jsonb *compose_overrides(Proposal *proposal, Jsonb *base, const Jsonb *overrides);
extern void compose_check(Proposal *proposal);
extern void compose_obstacles(Proposal *proposal, ObstacleCollector collect, void *state);
extern void compose_add_deployed(Mask *mask, const List *deployed);
extern Mask *compose_mask(const Proposal *proposal);
extern Jsonb *compose_kept(const Proposal *proposal);
extern Jsonb *compose_kept_anew(const Proposal *proposal, const Jsonb *known);
extern char *compose_replaced(const Jsonb *runs, const Jsonb *rendered, Jsonb *schema);

#endif							/* PROMOTE_COMPOSE_COMPOSE_H */
