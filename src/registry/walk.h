/*
 * walk.h: walks over what leads from one name of a project to others, and never back.
 */
#ifndef PROMOTE_REGISTRY_WALK_H
#define PROMOTE_REGISTRY_WALK_H

#include "postgres.h"

#include "commands/trigger.h"
#include "nodes/pg_list.h"

#include "base/sql.h"
#include "parse/name.h"

/* A name that a walk has reached. */
typedef struct WalkPlace
{
	char		name[NAME_MAX_LENGTH + 1];	/* the key */
	bool		on_way;			/* part of the way to the current place */
	int32		distance;		/* from the start of the walk */
} WalkPlace;

/* What a row that was written leads to. */
typedef struct WalkStart
{
	char	   *project;
	char	   *name;
} WalkStart;

/* Refuses a cycle of a project; the chain has its names, with arrows between them. */
typedef void (*RefuseCycle) (const char *project, const char *chain);

extern List *walk_away(const Sql *sql, const char *project, Statement *neighbours, const char *name);
extern void walk_check(TriggerData *data, const char *function, Statement *written, Statement *neighbours,
					   RefuseCycle refuse);

#endif							/* PROMOTE_REGISTRY_WALK_H */
