/*
 * seal.c: encrypting values for one owner, by AES-256-GCM of OpenSSL.
 *
 * A sealed value consists of a byte with the format's version, a byte with the length of the
 * key's id, the id, a random nonce, the ciphertext and the tag.  The tag also authenticates
 * the owner, the id and the version, so a value that was moved to another row, or changed by
 * any bit, does not open.  Opened values lie in wiped memory.  This file reads neither tables
 * nor the clock.
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/wipe.h"
#include "secret/seal.h"

PG_FUNCTION_INFO_V1(promote_secret_key_id);

#define SEAL_VERSION 1
#define NONCE_BYTES 12
#define TAG_BYTES 16

/* The parts of a sealed value. */
typedef struct SealParts
{
	char		id[SECRET_KEY_ID_LENGTH + 1];
	const uint8 *nonce;
	const uint8 *ciphertext;
	int			length;			/* of the ciphertext and of the value */
	const uint8 *tag;
} SealParts;

/* ---- the format ---- */

/* The number of bytes before the nonce. */
static int
head_bytes(int id_length)
{
	return 2 + id_length;
}

/* Find the parts of a sealed value; false if it does not have the format. */
static bool
take_apart(const bytea *sealed, SealParts *parts)
{
	const uint8 *bytes = (const uint8 *) VARDATA_ANY(sealed);
	Size		size = VARSIZE_ANY_EXHDR(sealed);
	int			id_length;

	if (size < 2 || bytes[0] != SEAL_VERSION)
		return false;
	id_length = bytes[1];
	if (id_length > SECRET_KEY_ID_LENGTH || size <= head_bytes(id_length) + NONCE_BYTES + TAG_BYTES)
		return false;
	memcpy(parts->id, bytes + 2, id_length);
	parts->id[id_length] = '\0';
	if (!secret_key_is_id(parts->id, id_length))
		return false;
	parts->nonce = bytes + head_bytes(id_length);
	parts->ciphertext = parts->nonce + NONCE_BYTES;
	parts->tag = bytes + size - TAG_BYTES;
	parts->length = parts->tag - parts->ciphertext;
	return true;
}

/*
 * Add a part of the associated data.  The length in front of each part keeps the data of
 * different owners apart.
 */
static void
add_part(StringInfo data, const char *part)
{
	uint32		length = pg_hton32((uint32) strlen(part));

	appendBinaryStringInfo(data, (const char *) &length, sizeof(length));
	appendStringInfoString(data, part);
}

/* The associated data that the tag authenticates: the format, the owner and the key's id. */
static void
associated_data(StringInfo data, const SealOwner *owner, const char *id)
{
	initStringInfo(data);
	add_part(data, "promote.secret");
	appendStringInfoChar(data, SEAL_VERSION);
	add_part(data, owner->instance->project);
	add_part(data, owner->instance->environment);
	add_part(data, owner->instance->component);
	add_part(data, owner->name);
	add_part(data, id);
}

/* ---- the cipher ---- */

/* Encrypt a value and compute the tag; false if OpenSSL fails. */
static bool
encrypt(const SecretKey *key, const uint8 *nonce, const StringInfo with, const char *value,
		int length, uint8 *ciphertext, uint8 *tag)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int			written;
	bool		done = cipher &&
		EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
		EVP_EncryptUpdate(cipher, NULL, &written, (const uint8 *) with->data, with->len) == 1 &&
		EVP_EncryptUpdate(cipher, ciphertext, &written, (const uint8 *) value, length) == 1 &&
		written == length &&
		EVP_EncryptFinal_ex(cipher, ciphertext + length, &written) == 1 && written == 0 &&
		EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;

	/* this wipes the key in the context, and accepts NULL */
	EVP_CIPHER_CTX_free(cipher);
	return done;
}

/* Decrypt a value; false if the tag does not fit the parts. */
static bool
decrypt(const SecretKey *key, const SealParts *parts, const StringInfo with, char *value)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int			written;
	bool		done = cipher &&
		EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, parts->nonce) == 1 &&
		EVP_DecryptUpdate(cipher, NULL, &written, (const uint8 *) with->data, with->len) == 1 &&
		EVP_DecryptUpdate(cipher, (uint8 *) value, &written, parts->ciphertext, parts->length) == 1 &&
		written == parts->length &&
		EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, unconstify(uint8 *, parts->tag)) == 1 &&
		EVP_DecryptFinal_ex(cipher, (uint8 *) value + parts->length, &written) == 1 && written == 0;

	EVP_CIPHER_CTX_free(cipher);
	return done;
}

/* ---- sealing and opening ---- */

/* Seal a value for its owner, in the current memory context. */
bytea *
seal(const SecretKey *key, const SealOwner *owner, const char *value, Size length)
{
	int			id_length = strlen(key->id);
	Size		size = head_bytes(id_length) + NONCE_BYTES + length + TAG_BYTES;
	bytea	   *sealed = palloc(VARHDRSZ + size);
	uint8	   *bytes = (uint8 *) VARDATA(sealed);
	uint8	   *nonce = bytes + head_bytes(id_length);
	StringInfoData with;

	SET_VARSIZE(sealed, VARHDRSZ + size);
	bytes[0] = SEAL_VERSION;
	bytes[1] = id_length;
	memcpy(bytes + 2, key->id, id_length);
	if (!pg_strong_random(nonce, NONCE_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random nonce")));
	associated_data(&with, owner, key->id);
	if (!encrypt(key, nonce, &with, value, length, nonce + NONCE_BYTES, bytes + size - TAG_BYTES))
		elog(ERROR, "could not encrypt a secret");
	pfree(with.data);
	return sealed;
}

/* Refuse a sealed value that does not open.  The error shows nothing of it. */
static void
refuse_sealed(const SealOwner *owner)
{
	ereport(ERROR,
			(errcode(PM_SECRET_SEALED),
			 errmsg("secret \"%s\" of \"%s\" does not open", owner->name, instance_key_name(owner->instance)),
			 errdetail("It was sealed with another key of that id or for another owner, or was changed since."),
			 errhint("Set it again by promote.set_secret, or bring back the key that it was sealed with.")));
}

/* Refuse a sealed value whose key is not configured. */
static void
refuse_unknown_key(const SealOwner *owner, const char *id)
{
	ereport(ERROR,
			(errcode(PM_UNUSABLE_SECRET_KEY),
			 errmsg("key \"%s\", which secret \"%s\" of \"%s\" is sealed with, is not among the configured ones",
					id, owner->name, instance_key_name(owner->instance)),
			 errdetail("A key is needed until promote.rotate_secrets has come to the end of all that it has sealed."),
			 errhint("Put it back behind the first one, or set the secret again by promote.set_secret.")));
}

/*
 * Open what was sealed for the owner.  The value has a NUL behind it, and the caller frees it
 * by wiped_free.  Raises PM_SECRET_SEALED, and PM_UNUSABLE_SECRET_KEY where its key is
 * missing.
 */
char *
seal_open(const SecretKeys *keys, const SealOwner *owner, const bytea *sealed, Size *length)
{
	SealParts	parts;
	const SecretKey *key;
	StringInfoData with;
	char	   *value;

	if (!take_apart(sealed, &parts))
		refuse_sealed(owner);
	key = secret_key_find(keys, parts.id);
	if (key == NULL)
		refuse_unknown_key(owner, parts.id);
	value = wiped_alloc(parts.length + 1);
	associated_data(&with, owner, parts.id);
	if (!decrypt(key, &parts, &with, value))
		refuse_sealed(owner);
	pfree(with.data);
	*length = parts.length;
	return value;
}

/* promote_internal.secret_key_id(ciphertext bytea) returns text; NULL for bytes that are no sealed value */
Datum
promote_secret_key_id(PG_FUNCTION_ARGS)
{
	SealParts	parts;

	if (!take_apart(PG_GETARG_BYTEA_PP(0), &parts))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(parts.id));
}
