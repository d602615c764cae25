/*
 * promote.c: the module's entry.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "base/refusal.h"
#include "base/script.h"
#include "base/wipe.h"
#include "grant/actor.h"
#include "ledger/config_digest.h"
#include "ledger/notify.h"
#include "ledger/record_mark.h"
#include "registry/rescue.h"
#include "registry/rule_hold.h"
#include "registry/schema_document.h"
#include "secret/key.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/* Called once per backend, when the library is loaded. */
void
_PG_init(void)
{
	script_check_loading();
	actor_init();
	config_digest_init();
	mark_init();
	refusal_init();
	rescue_init();
	rule_init();
	schema_document_init();
	secret_key_init();
	wipe_init();
	notify_init();
	MarkGUCPrefixReserved("promote");
}
