/*
 * config_digest.h: the keyed digests of configurations, and of other things whose values not
 * everybody who sees the digest may know.
 */
#ifndef PROMOTE_LEDGER_CONFIG_DIGEST_H
#define PROMOTE_LEDGER_CONFIG_DIGEST_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/snapshot.h"

#include "base/compat.h"

extern void config_digest_init(void);
extern void config_digest_hold(const char *project, const bytea *key);
extern NullableDatum config_take(Datum project, Datum digest, Snapshot snapshot);
extern bool config_digest_has_key(const char *project);
extern bytea *config_digest(const char *project, const Jsonb *document);
extern bytea *config_digest_if_any(const char *project, const Jsonb *document);
extern bytea *config_digest_of(const char *project, const bytea *digest);
extern bytea *config_digest_apart(const char *project, const char *domain, const bytea *digest);

#endif							/* PROMOTE_LEDGER_CONFIG_DIGEST_H */
