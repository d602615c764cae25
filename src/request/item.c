/*
 * item.c: the rows of the items of requests, and the health of what they have
 * deployed.
 *
 * One statement reads all that is known of all items without locking their
 * instances, by whole keys: promote.advance_request is called often, and mostly
 * nothing may move.
 */
#include "postgres.h"

#include "ledger/guard.h"
#include "request/request.h"

const char *const item_statuses[] = {
	[ITEM_PENDING] = "PENDING", [ITEM_STAGED] = "STAGED", [ITEM_DEPLOYING] = "DEPLOYING",
	[ITEM_VERIFYING] = "VERIFYING", [ITEM_DONE] = "DONE", [ITEM_SKIPPED] = "SKIPPED", [ITEM_FAILED] = "FAILED",
	[ITEM_ROLLING_BACK] = "ROLLING_BACK", [ITEM_ROLLED_BACK] = "ROLLED_BACK", NULL
};

/* The columns of promote_internal.request_item_now AS t. */
static const SqlField item_fields[] = {
	SQL_FIELDS(RequestItem, "t", component, wave),
	SQL_ENUM_FIELD(RequestItem, status, "t.status", item_statuses),
	SQL_FIELDS(RequestItem, "t", skip_reason, preview_digest, source_revision, base_revision, version,
				   rendered_digest, previous_revision, revision, plan, deployment, rollback_revision,
				   rollback_plan, rollback_deployment, reason, desired, is_pair),
	SQL_FIELD(RequestItem, planned.number, "t.last_plan"),
	SQL_ENUM_FIELD(RequestItem, planned.status, "t.plan_status", deployment_statuses),
	SQL_FIELD(RequestItem, planned.worker, "t.plan_worker"),
	SQL_FIELD(RequestItem, planned.reason, "t.plan_reason"),
	SQL_FIELD(RequestItem, as_previewed, "t.as_previewed"),
	SQL_FIELD(RequestItem, queued.number, "t.queued"),
	SQL_ENUM_FIELD(RequestItem, queued.status, "t.queued_status", deployment_statuses),
	SQL_FIELD(RequestItem, queued.worker, "t.queued_worker"),
	SQL_FIELD(RequestItem, queued.reason, "t.queued_reason"),
	SQL_FIELDS(RequestItem, "t", queued_began, soaked, soaks_until)
};

/* A copy of a digest in the current memory context; NULL stays NULL. */
static bytea *
copy_digest(const bytea *digest)
{
	return digest ? DatumGetByteaPCopy(PointerGetDatum(digest)) : NULL;
}

/* Read a part of the items, by wave and component, into the request's memory. */
RequestItem *
request_items(const Sql *sql, const PromotionRequest *request, RequestPart part, int *count)
{
#define READ_ITEMS(condition) SQL_ROWS(item_fields, "SELECT $* FROM promote_internal.request_item_now AS t" \
	" WHERE " OF_REQUEST("t") condition " ORDER BY t.wave, t.component")
	static Statement reads[] = {
		[PART_WAVE] = READ_ITEMS(" AND t.wave = $3 AND NOT t.is_over"),
		[PART_RELAPSED] = READ_ITEMS(" AND t.wave = $3 AND t.is_relapsed"),
		[PART_ROLLBACK] = READ_ITEMS(" AND t.wave <= $3 AND NOT t.is_over AND t.status <> 'PENDING'"),
		[PART_ALL] = READ_ITEMS("")
	};
	SqlRows		rows = sql_run(sql, &reads[part], AS_REQUEST(request), AS_INT(request->wave));
	MemoryContext inner = MemoryContextSwitchTo(request->context);
	RequestItem *items = palloc_extended(Max(rows.count, 1) * sizeof(RequestItem), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint64 i = 0; sql_row(&rows, i, &items[i]); i++)
	{
		items[i].skip_reason = request_copy_document(request, items[i].skip_reason);
		items[i].preview_digest = copy_digest(items[i].preview_digest);
		items[i].rendered_digest = copy_digest(items[i].rendered_digest);
	}
	MemoryContextSwitchTo(inner);
	SPI_freetuptable(rows.table);
	*count = rows.count;
	return items;
}

/*
 * Write how far an item has come.  A skipped item does not hold its instance any
 * more.  The statement sets the times of the status, and from when on the item is
 * verified.
 */
void
request_save_item(const Sql *sql, const PromotionRequest *request, const RequestItem *item)
{
	static Statement write = {"UPDATE promote.promotion_request_item AS t SET status = $4, skip_reason = $5,"
		" reason = $6, previous_revision = $7, revision = $8, plan = $9, deployment = $10,"
		" rollback_revision = $11, rollback_plan = $12, rollback_deployment = $13,"
		" holds = t.holds AND $4 <> 'SKIPPED',"
		" verified_from = CASE WHEN $4 = 'VERIFYING' AND t.verified_from IS NULL"
		"  THEN (SELECT d.finished_at FROM promote.deployment AS d WHERE d.project = t.project"
		"   AND d.environment = t.destination_environment AND d.component = t.component AND d.deployment = $10)"
		"  WHEN $4 IN ('PENDING', 'STAGED', 'DEPLOYING') THEN NULL ELSE t.verified_from END,"
		" staged_at = CASE WHEN $4 IN ('STAGED', 'DONE') THEN COALESCE(t.staged_at, n.now) ELSE t.staged_at END,"
		" deploying_at = CASE WHEN $4 = 'DEPLOYING' THEN COALESCE(t.deploying_at, n.now) ELSE t.deploying_at END,"
		" finished_at = CASE WHEN $4 IN ('DONE', 'SKIPPED', 'ROLLED_BACK') THEN n.now END"
		" FROM pg_catalog.clock_timestamp() AS n (now)"
		" WHERE " OF_REQUEST("t") " AND t.component = $3"};

	guarded_run(sql, &write, AS_REQUEST(request), AS_TEXT(item->component), AS_TEXT(item_statuses[item->status]),
				AS_JSONB(item->skip_reason), AS_TEXT(item->reason), AS_NUMBER(item->previous_revision),
				AS_NUMBER(item->revision), AS_NUMBER(item->plan), AS_NUMBER(item->deployment),
				AS_NUMBER(item->rollback_revision), AS_NUMBER(item->rollback_plan),
				AS_NUMBER(item->rollback_deployment));
}

/* Why an item that is deployed is not verified; both NULL: it is verified. */
typedef struct Health
{
	char	   *unhealthy;
	char	   *unverified;
} Health;

/*
 * Judge the health of an item that is deployed.  words is set to why it is not
 * verified, in the request's memory; NULL: it is verified.
 */
RequestHealth
request_health(const Sql *sql, const PromotionRequest *request, const RequestItem *item, char **words)
{
	static const SqlField fields[] = {
		SQL_FIELDS(Health, "h", unhealthy, unverified)
	};
	static Statement read = SQL_ROWS(fields, "SELECT $* FROM promote_internal.request_item_health AS h"
									 " WHERE " OF_REQUEST("h") " AND h.component = $3");
	SqlRows		rows = sql_run(sql, &read, AS_REQUEST(request), AS_TEXT(item->component));
	Health		health = {NULL, NULL};

	(void) sql_row(&rows, 0, &health);
	*words = request_copy(request, health.unhealthy ? health.unhealthy : health.unverified);
	return health.unhealthy ? REQUEST_UNHEALTHY : health.unverified ? REQUEST_UNVERIFIED : REQUEST_HEALTHY;
}
