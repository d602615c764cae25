/*
 * seal.h: encrypting values for one owner, by AES-256-GCM.
 */
#ifndef PROMOTE_SECRET_SEAL_H
#define PROMOTE_SECRET_SEAL_H

#include "postgres.h"

#include "parse/name.h"
#include "secret/key.h"

/* The owner of a value.  The value does not open for any other owner. */
typedef struct SealOwner
{
	const InstanceKey *instance;
	const char *name;
} SealOwner;

extern bytea *seal(const SecretKey *key, const SealOwner *owner, const char *value, Size length);
extern char *seal_open(const SecretKeys *keys, const SealOwner *owner, const bytea *sealed,
					   Size *length);

#endif							/* PROMOTE_SECRET_SEAL_H */
