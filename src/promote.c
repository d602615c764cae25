/*
 * promote.c: the module's entry.
 */
#include "postgres.h"

#include "actor.h"
#include "config_digest.h"
#include "record_mark.h"
#include "rescue.h"
#include "rule.h"
#include "schema_document.h"
#include "secret_key.h"
#include "wipe.h"

#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/* Called once per backend, when the library is loaded. */
void
_PG_init(void)
{
	actor_init();
	config_digest_init();
	mark_init();
	rescue_init();
	rule_init();
	schema_document_init();
	secret_key_init();
	wipe_init();
	MarkGUCPrefixReserved("promote");
}
