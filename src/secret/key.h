/*
 * key.h: the keys that secrets are sealed with.
 */
#ifndef PROMOTE_SECRET_KEY_H
#define PROMOTE_SECRET_KEY_H

#include "postgres.h"

#define SECRET_KEY_BYTES 32		/* AES-256 */
#define SECRET_KEY_ID_LENGTH 63 /* at most */
#define SECRET_KEYS_MAX 32		/* old and new */

/* A key and its id. */
typedef struct SecretKey
{
	char		id[SECRET_KEY_ID_LENGTH + 1];
	uint8		bytes[SECRET_KEY_BYTES];
} SecretKey;

/* All configured keys.  The first one seals; all of them open. */
typedef struct SecretKeys
{
	int			count;
	SecretKey	keys[SECRET_KEYS_MAX];
} SecretKeys;

extern void secret_key_init(void);
extern bool secret_key_is_id(const char *id, int length);
extern SecretKeys *secret_keys_load(void);
extern const SecretKey *secret_key_find(const SecretKeys *keys, const char *id);

#endif							/* PROMOTE_SECRET_KEY_H */
