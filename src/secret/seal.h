/*
 * seal.h: values encrypted for one owner, AES-256-GCM.
 */
#ifndef PROMOTE_SECRET_SEAL_H
#define PROMOTE_SECRET_SEAL_H

#include "postgres.h"

#include "parse/name.h"
#include "secret/key.h"

/* Whose value it is: with another owner it does not open. */
typedef struct SealOwner
{
	const InstanceKey *instance;
	const char *name;
} SealOwner;

extern bytea *seal(const SecretKey *key, const SealOwner *owner, const char *value, Size length);
extern char *seal_open(const SecretKeys *keys, const SealOwner *owner, const bytea *sealed,
					   Size *length);

#endif							/* PROMOTE_SECRET_SEAL_H */
