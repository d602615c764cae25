/*
 * secret.h: copying the secrets of instances, and what was copied and waits.
 */
#ifndef PROMOTE_SECRET_SECRET_H
#define PROMOTE_SECRET_SECRET_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/sql.h"
#include "parse/name.h"

/* What copying does to a secret of the destination. */
typedef enum SecretChange
{
	SECRET_KEPT,				/* the source has no such secret: the destination's stays */
	SECRET_SET,					/* the destination had none */
	SECRET_REPLACED,			/* the destination had another value */
	SECRET_SAME,				/* the destination has the same value */
	SECRET_UNDECLARED,			/* the destination's release does not declare it: not copied */
	SECRET_MISSING,				/* declared, but neither instance has it */
	SECRET_LEFT					/* not named, and nothing is kept instead */
} SecretChange;

typedef struct SecretCopy
{
	const char *name;
	SecretChange change;
} SecretCopy;

/* Does the destination get another value? */
static inline bool
secret_is_copied(const SecretCopy *copy)
{
	return copy->change == SECRET_SET || copy->change == SECRET_REPLACED;
}

/* A secret that promotions have brought and no deployment has handed out yet. */
typedef struct SecretWaiting
{
	char	   *name;
	int32		revision;		/* that it waits since */
	bool		replaced;		/* had what runs another value? */
} SecretWaiting;

extern List *secret_copy(const Sql *sql, const InstanceKey *source, const InstanceKey *destination,
						 const Jsonb *declared, const List *only, int32 revision, TimestampTz began);
extern const char *secret_change_word(SecretChange change);

/* secret/row.c */
extern List *secrets_waiting(const Sql *sql, const InstanceKey *key, TimestampTz began, bool read_only);

#endif							/* PROMOTE_SECRET_SECRET_H */
