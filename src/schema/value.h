/*
 * value.h: what a value must be by itself.
 */
#ifndef PROMOTE_SCHEMA_VALUE_H
#define PROMOTE_SCHEMA_VALUE_H

#include "postgres.h"

#include "schema/evaluation.h"

/* What a value must be by one keyword or several of a node that says them; reports what it is not. */
typedef bool SchemaCheck(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at);

/* How bounds of a count are spelled, and what is counted. */
typedef struct SchemaCount
{
	const char *least;			/* keywords */
	const char *most;
	const char *one;
	const char *many;
} SchemaCount;

extern SchemaCheck schema_check_type;
extern SchemaCheck schema_check_enum;
extern SchemaCheck schema_check_const;
extern SchemaCheck schema_check_number;
extern SchemaCheck schema_check_string;
extern SchemaCheck schema_check_unique;
extern bool schema_refuse_count(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
								int64 count, int64 least, int64 most, const SchemaCount *words);

/* Is a count within its bounds?  Reports those that it does not keep. */
static inline bool
schema_check_count(SchemaEvaluation *evaluation, const SchemaNode *node, const SchemaFrame *at,
				   int64 count, int64 least, int64 most, const SchemaCount *words)
{
	return (count >= least && (most == SCHEMA_UNBOUNDED || count <= most)) ||
		schema_refuse_count(evaluation, node, at, count, least, most, words);
}

#endif							/* PROMOTE_SCHEMA_VALUE_H */
