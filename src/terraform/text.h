/*
 * text.h: diffs, as readers of terraform plan know them.
 */
#ifndef PROMOTE_TERRAFORM_TEXT_H
#define PROMOTE_TERRAFORM_TEXT_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* How the leaves of a diff are written. */
typedef struct LeafStyle
{
	int			indent;
	const char *immutable;		/* remark of an immutable leaf */
	int32		revision;		/* that the diff is of: what waits since then is not remarked */
	bool		of_resource;	/* are masks and unknown values written without quotes? */
	const JsonbValue *replace_paths;	/* array of paths; NULL: none */
} LeafStyle;

/* How many leaves are added, changed and removed. */
typedef struct LeafCounts
{
	int			added;
	int			changed;
	int			removed;
} LeafCounts;

extern void append_leaves(StringInfo out, const JsonbValue *diff, const LeafStyle *style,
						  LeafCounts *counts);
extern void append_printable(StringInfo out, const char *text, int length);
extern void append_remark(StringInfo out, bool *first, const char *remark);

#endif							/* PROMOTE_TERRAFORM_TEXT_H */
