/*
 * name.h: instances' names, taken apart and put together.
 */
#ifndef PROMOTE_PARSE_NAME_H
#define PROMOTE_PARSE_NAME_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Rows of the instance whose key is a statement's first three parameters. */
#define OF_INSTANCE(as) as ".project = $1 AND " as ".environment = $2 AND " as ".component = $3"

/* Rows of one instance. */
#define SAME_INSTANCE(row, as) \
	row ".project = " as ".project AND " row ".environment = " as ".environment" \
	" AND " row ".component = " as ".component"

#define NAME_MAX_LENGTH 63		/* of a project, environment or component */

/* The key of an instance; the strings are allocated with it. */
typedef struct InstanceKey
{
	char	   *project;
	char	   *environment;
	char	   *component;
} InstanceKey;

extern void instance_key_parse(const char *name, InstanceKey *key);
extern void environment_name_parse(const char *name, InstanceKey *key);
extern void tag_name_check(const char *tag);
extern char *instance_key_name(const InstanceKey *key);
extern char *names_joined(const List *names);
extern Datum names_array(const List *names);
extern bool names_hold(const List *names, const char *name);
extern int	instance_key_compare(const InstanceKey *a, const InstanceKey *b);

#endif							/* PROMOTE_PARSE_NAME_H */
