/*
 * compare.h: two states of a component, compared.
 */
#ifndef PROMOTE_REPORT_COMPARE_H
#define PROMOTE_REPORT_COMPARE_H

#include "postgres.h"

#include "compose/compose.h"
#include "compose/entry.h"
#include "compose/mask.h"

/* One of the two.  Members that are NULL are not compared. */
typedef struct Compared
{
	Carried		carried;
	Jsonb	   *other_schemas[3];	/* of releases whose marks count as well, see compose.h; NULL: none */
} Compared;

extern Mask *compared_mask(const Compared *a, const Compared *b);
extern void compared_entries(const Compared *a, const Compared *b, Entries *entries);

#endif							/* PROMOTE_REPORT_COMPARE_H */
