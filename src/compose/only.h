/*
 * only.h: promotions of named places alone.
 */
#ifndef PROMOTE_COMPOSE_ONLY_H
#define PROMOTE_COMPOSE_ONLY_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "base/refusal.h"
#include "compose/compose.h"

#define ONLY_RELEASE "release"	/* stands for constraint, channel and the version that they lead to */

/* What is taken alone. */
typedef struct Only
{
	List	   *names;			/* as they were given: char * */
	List	   *places;			/* of params: OnlyPlace *, in their order */
	bool		release;
	List	   *references;		/* slots: char * */
	List	   *secrets;		/* names: char * */
	StringInfoData problems;	/* why some cannot be taken, a line each */
	RefusalItems violations;	/* as the problems */
} Only;

extern Only *only_read(const List *names);
extern bool only_touches(const Only *only, const char *path);
extern void only_complain(Only *only, const char *name, const char *problem);
extern void only_require(const Only *only, const char *instance);
extern Jsonb *compose_only(const Proposal *proposal, const Jsonb *base, Only *only);

#endif							/* PROMOTE_COMPOSE_ONLY_H */
