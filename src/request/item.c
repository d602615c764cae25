/*
 * item.c: the items of requests: their rows, for what previews and
 * moves them.
 *
 * Everything that is known of an item without locking its instance is read by
 * one statement for all of them, by whole keys: a request is looked at as
 * often as anybody likes, and mostly nothing of it may move.
 */
#include "postgres.h"

#include "ledger/guard.h"
#include "request/request.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define SAME_DESTINATION(row) row ".project = t.project" \
	" AND " row ".environment = t.destination_environment AND " row ".component = t.component"

/*
 * The items of a request, under a condition.  The plan is the last one of the
 * revision that is to be deployed, for it may have been planned again.
 */
#define READ_ITEMS(condition) \
	"SELECT t.component::pg_catalog.text, t.wave, t.status, t.skip_reason, t.preview_digest," \
	" t.source_revision, t.base_revision, t.version::pg_catalog.text, t.rendered_digest, t.previous_revision, t.revision," \
	" t.plan, t.deployment, t.rollback_revision, t.rollback_plan, t.rollback_deployment, t.reason," \
	" (SELECT i.revision FROM promote.instance AS i WHERE " SAME_DESTINATION("i") ")," \
	" (SELECT i.revision FROM promote.instance AS i WHERE i.project = t.project" \
	"  AND i.environment = r.source_environment AND i.component = t.component)," \
	" p.deployment, p.status, p.worker, p.reason," \
	" p.version = t.version AND p.rendered_digest = t.rendered_digest, d.status, d.worker, d.reason," \
	" d.started_at IS NOT NULL, COALESCE(t.verified_from, d.finished_at) + r.soak <= n.now," \
	" pg_catalog.to_char((COALESCE(t.verified_from, d.finished_at) + r.soak) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')" \
	" FROM promote.promotion_request AS r" \
	" CROSS JOIN pg_catalog.clock_timestamp() AS n (now)" \
	" JOIN promote.promotion_request_item AS t ON t.project = r.project AND t.request = r.request" \
	" LEFT JOIN LATERAL (SELECT d.deployment, d.status, d.worker, d.reason, d.version, d.rendered_digest" \
	"  FROM promote.deployment AS d WHERE " SAME_DESTINATION("d") " AND d.action = 'PLAN'" \
	"  AND d.revision = COALESCE(t.rollback_revision, t.revision)" \
	"  AND d.deployment >= CASE WHEN t.rollback_revision IS NULL THEN t.plan ELSE t.rollback_plan END" \
	"  ORDER BY d.revision DESC, d.deployment DESC LIMIT 1) AS p ON true" \
	" LEFT JOIN LATERAL (SELECT d.status, d.worker, d.reason, d.started_at, d.finished_at" \
	"  FROM promote.deployment AS d WHERE " SAME_DESTINATION("d") \
	"  AND d.deployment = CASE WHEN t.rollback_revision IS NULL THEN t.deployment ELSE t.rollback_deployment END" \
	"  LIMIT 1) AS d ON true" \
	" WHERE " OF_REQUEST("r") " AND t.project = $1 AND t.request = $2" condition \
	" ORDER BY t.wave, t.component"

#define NOT_OVER " AND t.status NOT IN ('DONE', 'SKIPPED', 'ROLLED_BACK')"

/* Take one row. */
static void
take_item(SPITupleTable *rows, uint64 row, RequestItem *item)
{
	int			column = 0;

	item->component = spi_text(rows, row, ++column);
	item->wave = spi_integer(rows, row, ++column);
	item->status = spi_text(rows, row, ++column);
	item->skip_reason = spi_text(rows, row, ++column);
	item->preview_digest = spi_bytea(rows, row, ++column);
	if (item->preview_digest)
		item->preview_digest = DatumGetByteaPCopy(PointerGetDatum(item->preview_digest));
	item->source_revision = spi_integer(rows, row, ++column);
	item->base_revision = spi_integer(rows, row, ++column);
	item->version = spi_text(rows, row, ++column);
	item->rendered_digest = spi_bytea(rows, row, ++column);
	if (item->rendered_digest)
		item->rendered_digest = DatumGetByteaPCopy(PointerGetDatum(item->rendered_digest));
	item->previous_revision = spi_integer(rows, row, ++column);
	item->revision = spi_integer(rows, row, ++column);
	item->plan = spi_integer(rows, row, ++column);
	item->deployment = spi_integer(rows, row, ++column);
	item->rollback_revision = spi_integer(rows, row, ++column);
	item->rollback_plan = spi_integer(rows, row, ++column);
	item->rollback_deployment = spi_integer(rows, row, ++column);
	item->reason = spi_text(rows, row, ++column);
	item->desired = spi_integer(rows, row, ++column);
	item->source_desired = spi_integer(rows, row, ++column);
	item->last_plan = spi_integer(rows, row, ++column);
	item->plan_status = spi_text(rows, row, ++column);
	item->plan_worker = spi_text(rows, row, ++column);
	item->plan_reason = spi_text(rows, row, ++column);
	item->as_previewed = spi_bool(rows, row, ++column);
	item->deployment_status = spi_text(rows, row, ++column);
	item->deployment_worker = spi_text(rows, row, ++column);
	item->deployment_reason = spi_text(rows, row, ++column);
	item->deployment_began = spi_bool(rows, row, ++column);
	item->soaked = spi_bool(rows, row, ++column);
	item->soaks_until = spi_text(rows, row, ++column);
	item->plan_moved = false;
}

/*
 * Read items, by wave and component, into the request's memory.
 */
RequestItem *
request_items(const Sql *sql, const PromotionRequest *request, RequestPart part, int *count)
{
	static OldStatement reads[] = {
		{.text = READ_ITEMS(" AND t.wave = $3" NOT_OVER),.parameters = 3,.types = {TEXTOID, INT4OID, INT4OID}},
		{.text = READ_ITEMS(" AND t.wave = $3 AND t.status = 'DONE' AND EXISTS (SELECT FROM promote.health_report AS h"
							" WHERE " SAME_DESTINATION("h") " AND NOT h.healthy AND h.reported_at >= t.verified_from)"),
		.parameters = 3,.types = {TEXTOID, INT4OID, INT4OID}},
		{.text = READ_ITEMS(" AND t.wave <= $3" NOT_OVER " AND t.status <> 'PENDING'"),.parameters = 3,.types = {TEXTOID, INT4OID, INT4OID}},
		{.text = READ_ITEMS(""),.parameters = 2,.types = {TEXTOID, INT4OID}}
	};
	Datum		values[3];
	RequestItem *items;
	MemoryContext inner;

	request_values(request, values);
	values[2] = Int32GetDatum(request->wave);
	statement_run(sql, &reads[part], values, NULL, false);
	*count = SPI_processed;
	inner = MemoryContextSwitchTo(request->context);
	items = palloc_extended(Max(*count, 1) * sizeof(RequestItem), MCXT_ALLOC_HUGE);
	for (int i = 0; i < *count; i++)
		take_item(SPI_tuptable, i, &items[i]);
	MemoryContextSwitchTo(inner);
	SPI_freetuptable(SPI_tuptable);
	return items;
}

/* The first wave after the current one that is not over; 0: there is none. */
int32
request_next_wave(const Sql *sql, const PromotionRequest *request)
{
	static OldStatement read = {
		.text = "SELECT t.wave FROM promote.promotion_request_item AS t WHERE " OF_REQUEST("t")
		" AND t.wave > $3" NOT_OVER
		" ORDER BY t.project, t.request, t.wave LIMIT 1",
		.parameters = 3,
		.types = {TEXTOID, INT4OID, INT4OID}
	};
	Datum		values[3];

	request_values(request, values);
	values[2] = Int32GetDatum(request->wave);
	statement_run(sql, &read, values, NULL, false);
	return SPI_processed > 0 ? spi_integer(SPI_tuptable, 0, 1) : 0;
}

/* A text as a parameter. */
static Datum
text_value(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* A number as a parameter; 0 is NULL. */
static Datum
number_value(int32 number, bool *isnull)
{
	*isnull = number == 0;
	return Int32GetDatum(number);
}

/*
 * Write how far an item has come.  What is skipped is held no longer; when it
 * came there, and from when on it is verified, the statement says.
 */
void
request_save_item(const Sql *sql, const PromotionRequest *request, const RequestItem *item)
{
	static OldStatement write = {
		.text = "UPDATE promote.promotion_request_item AS t SET status = $4, skip_reason = $5,"
		" reason = $6, previous_revision = $7, revision = $8, plan = $9, deployment = $10,"
		" rollback_revision = $11, rollback_plan = $12, rollback_deployment = $13,"
		" holds = t.holds AND $4 <> 'SKIPPED',"
		" verified_from = CASE WHEN $4 = 'VERIFYING' AND t.verified_from IS NULL"
		"  THEN (SELECT d.finished_at FROM promote.deployment AS d WHERE " SAME_DESTINATION("d")
		"   AND d.deployment = $10) WHEN $4 IN ('PENDING', 'STAGED', 'DEPLOYING') THEN NULL ELSE t.verified_from END,"
		" staged_at = CASE WHEN $4 = 'STAGED' THEN COALESCE(t.staged_at, n.now) ELSE t.staged_at END,"
		" deploying_at = CASE WHEN $4 = 'DEPLOYING' THEN COALESCE(t.deploying_at, n.now) ELSE t.deploying_at END,"
		" finished_at = CASE WHEN $4 IN ('DONE', 'SKIPPED', 'ROLLED_BACK') THEN n.now END"
		" FROM pg_catalog.clock_timestamp() AS n (now)"
		" WHERE " OF_REQUEST("t") " AND t.component = $3",
		.parameters = 13,
		.types = {TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID,
		INT4OID, INT4OID, INT4OID, INT4OID}
	};
	bool		nulls[13] = {false};
	Datum		values[13];

	request_values(request, values);
	values[2] = CStringGetTextDatum(item->component);
	values[3] = CStringGetTextDatum(item->status);
	values[4] = text_value(item->skip_reason, &nulls[4]);
	values[5] = text_value(item->reason, &nulls[5]);
	values[6] = number_value(item->previous_revision, &nulls[6]);
	values[7] = number_value(item->revision, &nulls[7]);
	values[8] = number_value(item->plan, &nulls[8]);
	values[9] = number_value(item->deployment, &nulls[9]);
	values[10] = number_value(item->rollback_revision, &nulls[10]);
	values[11] = number_value(item->rollback_plan, &nulls[11]);
	values[12] = number_value(item->rollback_deployment, &nulls[12]);
	old_guarded_run(sql, &write, values, nulls);
}
