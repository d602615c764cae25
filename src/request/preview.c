/*
 * preview.c: what a request would change.
 *
 * An item is proposed in the same way by previewing and by staging it; that it
 * is the same still is told by the digest of a document that says what would
 * be staged.  What only stands in its way, which moves with time, is no part
 * of that.
 */
#include "postgres.h"

#include "base/errors.h"
#include "gate/gate.h"
#include "json/digest.h"
#include "json/reader.h"
#include "json/writer.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "registry/remote_reference.h"
#include "request/request.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(promote_preview_request);

/* What is known of an item's two instances. */
typedef struct ItemFacts
{
	bool		has_source;
	bool		has_destination;
	bool		in_scope;		/* do its attributes match the selector? */
	int32		source_revision;	/* 0: none */
	int32		revision;		/* that the destination desires; 0: none */
	int32		deployed_revision;	/* 0: nothing runs */
	bytea	   *source_digest;
	bytea	   *deployed_digest;	/* rendered; NULL with it */
	char	   *deployed_version;
	Jsonb	   *deployed_references;	/* remote ones; NULL: none */
	bool		is_deployed;	/* is what is desired what runs? */
	char	   *origin;			/* of what is desired */
	char	   *author;
} ItemFacts;

#define REVISION_OF(as, instance, number) \
	" LEFT JOIN LATERAL (SELECT r.* FROM promote.revision AS r WHERE " SAME_INSTANCE("r", instance) \
	" AND r.revision = " number " LIMIT 1) AS " as " ON true"

/* Read them. */
static void
read_facts(const Sql *sql, const PromotionRequest *request, const char *component, ItemFacts *facts)
{
	static OldStatement read = {
		.text = "SELECT s.project IS NOT NULL, i.project IS NOT NULL, $5 IS NULL"
		"  OR promote_internal.effective_attributes(p.attributes, e.attributes, c.attributes, i.attributes) @> $5,"
		" s.revision, i.revision, i.deployed_revision, q.digest, d.rendered_digest,"
		" d.version::pg_catalog.text, o.digest = n.digest AND d.version = n.version, n.origin, n.actor,"
		" d.remote_references"
		" FROM promote.project AS p"
		" JOIN promote.environment AS e ON e.project = $1 AND e.environment = $3"
		" LEFT JOIN promote.component AS c ON c.project = $1 AND c.component = $4"
		" LEFT JOIN promote.instance AS s ON s.project = $1 AND s.environment = $2 AND s.component = $4"
		" LEFT JOIN promote.instance AS i ON i.project = $1 AND i.environment = $3 AND i.component = $4"
		REVISION_OF("q", "s", "s.revision")
		REVISION_OF("n", "i", "i.revision")
		REVISION_OF("o", "i", "i.deployed_revision")
		" LEFT JOIN LATERAL (SELECT d.rendered_digest, d.version, d.remote_references FROM promote.deployment AS d"
		"  WHERE " SAME_INSTANCE("d", "i") " AND d.deployment = i.deployed_by LIMIT 1) AS d ON i.status = 'PROVISIONED'"
		" WHERE p.project = $1",
		.parameters = 5,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID}
	};
	bool		nulls[5] = {[4] = request->selector == NULL};
	Datum		values[5] = {
		CStringGetTextDatum(request->project),
		CStringGetTextDatum(request->source_environment),
		CStringGetTextDatum(request->destination_environment),
		CStringGetTextDatum(component),
		JsonbPGetDatum(request->selector)
	};

	statement_run(sql, &read, values, nulls, false);
	facts->has_source = spi_bool(SPI_tuptable, 0, 1);
	facts->has_destination = spi_bool(SPI_tuptable, 0, 2);
	facts->in_scope = spi_bool(SPI_tuptable, 0, 3);
	facts->source_revision = spi_integer(SPI_tuptable, 0, 4);
	facts->revision = spi_integer(SPI_tuptable, 0, 5);
	facts->deployed_revision = spi_integer(SPI_tuptable, 0, 6);
	facts->source_digest = spi_bytea(SPI_tuptable, 0, 7);
	facts->deployed_digest = spi_bytea(SPI_tuptable, 0, 8);
	facts->deployed_version = spi_text(SPI_tuptable, 0, 9);
	facts->is_deployed = spi_bool(SPI_tuptable, 0, 10);
	facts->origin = spi_text(SPI_tuptable, 0, 11);
	facts->author = spi_text(SPI_tuptable, 0, 12);
	facts->deployed_references = spi_jsonb(SPI_tuptable, 0, 13);
}

/* Why there is nothing that could be promoted; NULL: there is. */
static char *
missing(const PromotionRequest *request, const ItemFacts *facts, const char *component)
{
	InstanceKey source = {request->project, request->source_environment, (char *) component};
	char	   *name = request_instance_name(request, component);

	if (!facts->has_destination)
		return psprintf("left the scope: \"%s\" is gone", name);
	if (!facts->has_source)
		return psprintf("left the scope: \"%s\" is gone", instance_key_name(&source));
	if (!facts->in_scope)
		return "left the scope: its attributes no longer match the selector";
	if (facts->source_revision == 0)
		return psprintf("\"%s\" has no configuration yet", instance_key_name(&source));
	if (facts->revision == 0)
		return psprintf("\"%s\" has no configuration of its own yet", name);
	return NULL;
}

/*
 * Why what was staged must not be deployed any more; NULL: it may.
 */
char *
request_left_scope(const Sql *sql, const PromotionRequest *request, const RequestItem *item)
{
	ItemFacts	facts;

	/* what has a history cannot be deleted: nothing but attributes can take it away */
	if (request->selector == NULL)
		return NULL;
	read_facts(sql, request, item->component, &facts);
	return facts.in_scope ? NULL :
		psprintf("left the scope: its attributes no longer match the selector; revision %d stays desired",
				 item->revision);
}

/*
 * What rides along: a desired state that does not run and was not staged by
 * this request.  An instance that runs nothing has nothing to compare with.
 */
static char *
other_changes(const PromotionRequest *request, const RequestItem *item, const ItemFacts *facts)
{
	if (facts->deployed_revision == 0 || facts->is_deployed || facts->revision == facts->deployed_revision ||
		facts->revision == item->revision || facts->revision == item->rollback_revision)
		return NULL;
	return psprintf("revision %d (%s by %s) is desired at \"%s\" and not deployed: revision %d runs",
					facts->revision, facts->origin, facts->author,
					request_instance_name(request, item->component), facts->deployed_revision);
}

/* Note why it cannot be staged; an ObstacleCollector whose state is the proposal. */
static void
add_obstacle(void *state, const Obstacle *obstacle)
{
	ItemProposal *proposal = state;
	ItemObstacle *added = palloc(sizeof(ItemObstacle));

	added->code = obstacle->sqlstate == PM_RELEASE_BLOCKED ? "release" : "params";
	added->message = obstacle->path ? psprintf("%s: %s", obstacle->path, obstacle->message) :
		pstrdup(obstacle->message);
	proposal->obstacles = lappend(proposal->obstacles, added);
}

/* Note the slots in which copying would replace what runs: a request never may. */
static void
add_replaced(ItemProposal *proposal)
{
	ListCell   *cell;

	foreach(cell, proposal->promotion.carry.refused)
	{
		ItemObstacle *added = palloc(sizeof(ItemObstacle));

		added->code = "references";
		added->message = psprintf("remote reference %s: what runs has another one", (char *) lfirst(cell));
		proposal->obstacles = lappend(proposal->obstacles, added);
	}
}

/* Propose what is to be carried besides, as it is now: staging may have waited for it. */
static void
propose_carry(const Sql *sql, const PromotionRequest *request, ItemProposal *proposal)
{
	Promotion  *promotion = &proposal->promotion;

	promotion->carry = request->carry;
	sql_push_latest();
	carry_take(sql, &promotion->carry, &promotion->source, &promotion->proposed, false);
	PopActiveSnapshot();
	add_replaced(proposal);
}

/* Is what would be staged what is desired and what runs? */
static bool
is_nothing(const ItemFacts *facts, const ItemProposal *proposal)
{
	const ProposedRevision *proposed = &proposal->promotion.proposed;

	return stage_is_unchanged(proposed) && !carry_has_secrets(proposed) && reference_same(facts->deployed_references, proposed->references) &&
		json_digest_equal(facts->deployed_digest, proposal->rendered_digest) &&
		strcmp(facts->deployed_version, proposed->proposal.version) == 0;
}

/*
 * Propose an item: what would be staged now, or why nothing would be.
 */
void
request_propose(const Sql *sql, const PromotionRequest *request, const RequestItem *item, ItemProposal *proposal)
{
	Promotion  *promotion = &proposal->promotion;
	ProposedRevision *proposed = &promotion->proposed;
	JsonbValue	overrides;
	JsonbValue	patch;
	ItemFacts	facts;

	memset(proposal, 0, sizeof(*proposal));
	promotion->source = (InstanceKey) {request->project, request->source_environment, item->component};
	promotion->destination = request_instance(request, item->component);
	read_facts(sql, request, item->component, &facts);
	proposal->deployed_revision = facts.deployed_revision;
	proposal->source_digest = facts.source_digest;
	proposal->skip_reason = missing(request, &facts, item->component);
	if (proposal->skip_reason)
		return;
	json_root(request->overrides, &overrides);
	promotion->overrides = json_find(&overrides, item->component, &patch) ? json_from_view(&patch) :
		DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	promotion_read(sql, promotion, false);
	proposed->digest = config_digest(request->project, proposed->proposal.params);
	compose_obstacles(&proposed->proposal, add_obstacle, proposal);
	propose_carry(sql, request, proposal);
	carry_judge(sql, proposed, false);
	proposal->rendered_digest = config_digest(request->project, proposed->proposal.rendered);
	proposal->other_changes = other_changes(request, item, &facts);
	if (is_nothing(&facts, proposal))
		proposal->skip_reason = psprintf("nothing to do: \"%s\" runs it already",
										 request_instance_name(request, item->component));
	else
		proposal->diff = carry_diff(proposed);
}

/*
 * What a preview says of an item, and what staging it is held against.  A
 * proposal of NULL is one that was refused.
 */
Jsonb *
request_item_document(const RequestItem *item, const ItemProposal *proposal)
{
	JsonBuilder	builder;
	JsonbValue	diff;

	json_builder_init(&builder);
	json_build_begin_object(&builder);
	json_build_field(&builder, "component", item->component);
	if (item->wave > 0)
		json_build_number(&builder, "wave", item->wave);
	if (proposal == NULL)
		json_build_field(&builder, "refused", "it cannot be staged");
	else if (proposal->skip_reason)
		json_build_field(&builder, "skip_reason", proposal->skip_reason);
	else
	{
		const ProposedRevision *proposed = &proposal->promotion.proposed;

		json_build_number(&builder, "source_revision", proposed->source_revision);
		json_build_field(&builder, "source_digest", audit_hex(proposal->source_digest));
		json_build_number(&builder, "base_revision", proposed->current_revision);
		json_build_field(&builder, "version", proposed->proposal.version);
		json_build_field(&builder, "digest", audit_hex(proposed->digest));
		json_build_field(&builder, "rendered_digest", audit_hex(proposal->rendered_digest));
		json_build_key(&builder, "diff", strlen("diff"));
		json_root(proposal->diff, &diff);
		json_build_value(&builder, &diff);
	}
	json_build_end_object(&builder);
	return json_builder_finish(&builder);
}

/* ---- what stands in the way ---- */

/*
 * Judge what would be staged by the gates of which that can be said already:
 * the case is that of the destination, with what would be promoted to it.
 */
static void
judge_proposal(const Sql *sql, const PromotionRequest *request, const ItemProposal *proposal, GateCase *gate)
{
	const ProposedRevision *proposed = &proposal->promotion.proposed;

	gate_open(sql, &proposal->promotion.destination, 0, GetCurrentTimestamp(), gate);
	gate->plan = 0;
	gate->plan_digest = NULL;
	gate->revision = proposed->current_revision + (stage_is_unchanged(proposed) ? 0 : 1);
	gate->digest = proposed->digest;
	gate->version = proposed->proposal.version;
	gate->references = proposed->references;
	gate->secrets = proposed->copied_secrets;
	gate->source_environment = request->source_environment;
	gate->source_revision = proposed->source_revision;
	gate->source_digest = proposal->source_digest;
	gate_judge_early(sql, gate);
}

/* Add a reason to the array that is open. */
static void
add_blocker(JsonBuilder *builder, const char *code, const char *message, TimestampTz until,
			const char *liftable_by)
{
	json_build_begin_object(builder);
	json_build_field(builder, "code", code);
	json_build_field(builder, "message", message);
	if (until != GATE_NO_TIME)
		json_build_field(builder, "until", audit_time(until));
	if (liftable_by)
		json_build_field(builder, "liftable_by", liftable_by);
	json_build_end_object(builder);
}

/*
 * All that stands in the way of an item: what it cannot be staged for, or the
 * gates that would be closed.
 */
static Jsonb *
item_blockers(const Sql *sql, const PromotionRequest *request, const ItemProposal *proposal)
{
	JsonBuilder	builder;
	GateCase	gate = {.blockers = NIL};
	ListCell   *cell;

	if (proposal->skip_reason == NULL)
		judge_proposal(sql, request, proposal, &gate);
	json_builder_init(&builder);
	json_build_begin_array(&builder);
	foreach(cell, proposal->obstacles)
	{
		const ItemObstacle *obstacle = lfirst(cell);

		add_blocker(&builder, obstacle->code, obstacle->message, GATE_NO_TIME, NULL);
	}
	foreach(cell, gate.blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (!blocker->overridden)
			add_blocker(&builder, blocker->code, blocker->message, blocker->until, blocker->liftable_by);
	}
	json_build_end_array(&builder);
	return json_builder_finish(&builder);
}

/* The one reason of an item that was refused altogether. */
static Jsonb *
refusal_blocker(const Refusal *refusal)
{
	JsonBuilder	builder;

	json_builder_init(&builder);
	json_build_begin_array(&builder);
	add_blocker(&builder, refusal->sqlstate == PM_NO_PATH ? "path" :
				refusal->sqlstate == PM_RELEASE_BLOCKED ? "release" : "params",
				refusal->message, GATE_NO_TIME, NULL);
	json_build_end_array(&builder);
	return json_builder_finish(&builder);
}

/* ---- taking a preview ---- */

/* The columns of a row. */
enum
{
	WAVE, COMPONENT, INSTANCE, STATUS, SKIP_REASON, OTHER_CHANGES, SOURCE_REVISION, BASE_REVISION,
	VERSION, DIFF, BLOCKERS, PREVIEW, DIGEST, COLUMNS
};

/* A row that is to be returned; its values live in the request's memory. */
typedef struct PreviewRow
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
} PreviewRow;

/* A preview in the course of being taken. */
typedef struct Preview
{
	PromotionRequest request;
	RequestItem *items;
	int			count;
	Jsonb	   *former;			/* the items of the preview before; NULL: there was none */
	Jsonb	  **documents;		/* of the items, in the request's memory */
	PreviewRow *rows;
	int			current;		/* the item that is proposed */
	bool		as_staged;		/* does what the preview before says of it stand? */
} Preview;

/* Is it staged, and still desired? */
static bool
is_staged(const RequestItem *item)
{
	return strcmp(item->status, "STAGED") == 0 && item->desired == item->revision;
}

/* Is what is staged still what was previewed?  What is not is staged once more. */
bool
request_is_as_staged(const RequestItem *item, const ItemProposal *proposal)
{
	return is_staged(item) &&
		(proposal->skip_reason ? item->as_previewed || item->last_plan == 0 :
		 item->version == NULL ||
		 (strcmp(item->version, proposal->promotion.proposed.proposal.version) == 0 &&
		  json_digest_equal(item->rendered_digest, proposal->rendered_digest)));
}

/* Put a text into a row; NULL leaves it NULL. */
static void
put_text(PreviewRow *row, int column, const char *text)
{
	row->nulls[column] = text == NULL;
	row->values[column] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* Put a number into a row; 0 leaves it NULL. */
static void
put_number(PreviewRow *row, int column, int32 number)
{
	row->nulls[column] = number == 0;
	row->values[column] = Int32GetDatum(number);
}

/* Put a document into a row, a copy of it; NULL leaves it NULL. */
static void
put_document(PreviewRow *row, int column, const Jsonb *document)
{
	row->nulls[column] = document == NULL;
	row->values[column] = document ? datumCopy(JsonbPGetDatum(document), false, -1) : (Datum) 0;
}

/* Put what is known of every item. */
static void
put_item(Preview *preview, const RequestItem *item, PreviewRow *row)
{
	memset(row->nulls, true, sizeof(row->nulls));
	put_number(row, WAVE, item->wave);
	put_text(row, COMPONENT, item->component);
	put_text(row, INSTANCE, request_instance_name(&preview->request, item->component));
	put_text(row, STATUS, item->status);
	put_text(row, SKIP_REASON, item->skip_reason);
	put_number(row, SOURCE_REVISION, item->source_revision);
	put_number(row, BASE_REVISION, item->base_revision);
	put_text(row, VERSION, item->version);
}

/* Keep the current item's document and its row; proposal is NULL where it was refused. */
static void
keep_item(Preview *preview, const ItemProposal *proposal, const Jsonb *document, const Jsonb *blockers)
{
	MemoryContext inner = MemoryContextSwitchTo(preview->request.context);
	RequestItem *item = &preview->items[preview->current];
	PreviewRow *row = &preview->rows[preview->current];

	/* what it has staged is its own as long as it is desired */
	if (item->desired != item->revision)
		item->revision = 0;
	item->status = "PENDING";
	item->skip_reason = proposal && proposal->skip_reason ? pstrdup(proposal->skip_reason) : NULL;
	item->source_revision = proposal ? proposal->promotion.proposed.source_revision : 0;
	item->base_revision = proposal ? proposal->promotion.proposed.current_revision : 0;
	item->version = proposal && proposal->skip_reason == NULL ?
		pstrdup(proposal->promotion.proposed.proposal.version) : NULL;
	item->rendered_digest = item->version ?
		DatumGetByteaPCopy(PointerGetDatum(proposal->rendered_digest)) : NULL;
	item->preview_digest = json_digest(document);
	preview->documents[preview->current] = DatumGetJsonbPCopy(JsonbPGetDatum(document));
	put_item(preview, item, row);
	if (proposal)
	{
		put_text(row, OTHER_CHANGES, proposal->other_changes);
		put_document(row, DIFF, proposal->diff);
	}
	put_document(row, BLOCKERS, blockers);
	MemoryContextSwitchTo(inner);
}

/* View what the preview before says of the current item. */
static void
find_former(const Preview *preview, JsonbValue *document)
{
	JsonbValue	items;

	if (preview->former)
	{
		json_root(preview->former, &items);
		if (json_count(&items) == preview->count)
		{
			json_view_child(items.val.binary.data, preview->current, document);
			if (json_is_object(document))
				return;
		}
	}
	elog(ERROR, "preview %d of request %d does not say what it has seen: a trigger or a rule has changed it",
		 preview->request.preview, preview->request.number);
}

/* What the preview before says of an item that has gone on since, or why it was skipped. */
static void
keep_former(Preview *preview)
{
	RequestItem *item = &preview->items[preview->current];
	PreviewRow *row = &preview->rows[preview->current];
	ItemProposal skipped = {.skip_reason = item->skip_reason};
	JsonbValue	document;
	JsonbValue	diff;

	put_item(preview, item, row);
	if (strcmp(item->status, "SKIPPED") == 0)
	{
		preview->documents[preview->current] = request_item_document(item, &skipped);
		return;
	}
	find_former(preview, &document);
	preview->documents[preview->current] = json_from_view(&document);
	if (json_find(&document, "diff", &diff))
		put_document(row, DIFF, json_from_view(&diff));
}

/* Propose the current item, in a scope; a step of attempt. */
static void
propose_current(void *state)
{
	Preview    *preview = state;
	const RequestItem *item = &preview->items[preview->current];
	ItemProposal proposal;
	Sql			sql;

	sql_enter(&sql);
	request_propose(&sql, &preview->request, item, &proposal);
	preview->as_staged = request_is_as_staged(item, &proposal);
	if (!preview->as_staged)
		keep_item(preview, &proposal, request_item_document(item, &proposal),
				  item_blockers(&sql, &preview->request, &proposal));
	sql_leave(&sql);
}

/* Take the preview of all items, one after the other. */
static void
preview_items(Preview *preview)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "promote preview of an item",
												  ALLOCSET_DEFAULT_SIZES);
	Refusal		refusal;

	preview->documents = palloc_extended(Max(preview->count, 1) * sizeof(Jsonb *), MCXT_ALLOC_HUGE);
	preview->rows = palloc_extended(Max(preview->count, 1) * sizeof(PreviewRow), MCXT_ALLOC_HUGE);
	for (preview->current = 0; preview->current < preview->count; preview->current++)
	{
		const RequestItem *item = &preview->items[preview->current];

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		preview->as_staged = strcmp(item->status, "PENDING") != 0 && strcmp(item->status, "STAGED") != 0;
		if (!preview->as_staged && !attempt(propose_current, preview, &refusal))
		{
			/* what is staged is deployed as it is, if its gates let it */
			preview->as_staged = is_staged(item);
			if (!preview->as_staged)
				keep_item(preview, NULL, request_item_document(item, NULL), refusal_blocker(&refusal));
		}
		MemoryContextSwitchTo(outer);
		MemoryContextReset(context);
		if (preview->as_staged)
			keep_former(preview);
	}
	MemoryContextDelete(context);
}

/* The items of the request's last preview, in its memory; NULL: there is none. */
static Jsonb *
read_former(const Sql *sql, const PromotionRequest *request)
{
	static OldStatement read = {
		.text = "SELECT v.items FROM promote.promotion_request_preview AS v WHERE " OF_REQUEST("v")
		" AND v.preview = $3",
		.parameters = 3,
		.types = {TEXTOID, INT4OID, INT4OID}
	};
	Datum		values[3];
	MemoryContext inner;
	Jsonb	   *items;

	request_values(request, values);
	values[2] = Int32GetDatum(request->preview);
	statement_run(sql, &read, values, NULL, false);
	if (SPI_processed == 0)
		return NULL;
	items = spi_jsonb(SPI_tuptable, 0, 1);
	inner = MemoryContextSwitchTo(request->context);
	items = DatumGetJsonbPCopy(JsonbPGetDatum(items));
	MemoryContextSwitchTo(inner);
	return items;
}

/* Write what the preview says of an item that can still be staged. */
static void
write_item(const Sql *sql, const Preview *preview, const RequestItem *item)
{
	static OldStatement write = {
		.text = "UPDATE promote.promotion_request_item AS t SET status = 'PENDING', preview_digest = $4,"
		" source_revision = NULLIF($5, 0), base_revision = NULLIF($6, 0), version = $7, skip_reason = $8,"
		" rendered_digest = $9, revision = NULLIF($10, 0), plan = NULL, reason = NULL"
		" WHERE " OF_REQUEST("t") " AND t.component = $3",
		.parameters = 10,
		.types = {TEXTOID, INT4OID, TEXTOID, BYTEAOID, INT4OID, INT4OID, TEXTOID, TEXTOID, BYTEAOID, INT4OID}
	};
	bool		nulls[10] = {[6] = item->version == NULL,[7] = item->skip_reason == NULL,
		[8] = item->rendered_digest == NULL};
	Datum		values[10];

	request_values(&preview->request, values);
	values[2] = CStringGetTextDatum(item->component);
	values[3] = PointerGetDatum(item->preview_digest);
	values[4] = Int32GetDatum(item->source_revision);
	values[5] = Int32GetDatum(item->base_revision);
	values[6] = nulls[6] ? (Datum) 0 : CStringGetTextDatum(item->version);
	values[7] = nulls[7] ? (Datum) 0 : CStringGetTextDatum(item->skip_reason);
	values[8] = PointerGetDatum(item->rendered_digest);
	values[9] = Int32GetDatum(item->revision);
	old_guarded_run(sql, &write, values, nulls);
}

/* All documents as one array. */
static Jsonb *
all_documents(const Preview *preview)
{
	JsonBuilder	builder;
	JsonbValue *views = palloc_extended(Max(preview->count, 1) * sizeof(JsonbValue), MCXT_ALLOC_HUGE);

	json_builder_init(&builder);
	json_build_begin_array(&builder);
	for (int i = 0; i < preview->count; i++)
	{
		json_root(preview->documents[i], &views[i]);
		json_build_value(&builder, &views[i]);
	}
	json_build_end_array(&builder);
	return json_builder_finish(&builder);
}

/* Keep the preview; returns its digest, in the request's memory.  Runs inside a scope. */
static bytea *
write_preview(const Sql *sql, Preview *preview)
{
	static OldStatement write = {
		.text = "WITH kept AS (INSERT INTO promote.promotion_request_preview AS v (project, request, preview, items)"
		" VALUES ($1, $2, $3, $4) RETURNING v.digest, v.actor, v.created_at)"
		" UPDATE promote.promotion_request AS r SET preview = $3, preview_digest = k.digest,"
		" previewed_at = k.created_at, previewed_by = k.actor FROM kept AS k WHERE " OF_REQUEST("r")
		" RETURNING k.digest",
		.parameters = 4,
		.types = {TEXTOID, INT4OID, INT4OID, JSONBOID}
	};
	Datum		values[4];
	MemoryContext inner;
	bytea	   *digest;

	request_values(&preview->request, values);
	values[2] = Int32GetDatum(++preview->request.preview);
	values[3] = JsonbPGetDatum(all_documents(preview));
	old_guarded_run(sql, &write, values, NULL);
	digest = spi_bytea(SPI_tuptable, 0, 1);
	inner = MemoryContextSwitchTo(preview->request.context);
	digest = DatumGetByteaPCopy(PointerGetDatum(digest));
	MemoryContextSwitchTo(inner);
	return digest;
}

/* Write the preview with its items, record it, and return its digest. */
static bytea *
keep_preview(Preview *preview)
{
	PromotionRequest *request = &preview->request;
	Sql			sql;
	JsonBuilder	facts;
	bytea	   *digest;

	sql_enter(&sql);
	digest = write_preview(&sql, preview);
	for (int i = 0; i < preview->count; i++)
		if (strcmp(preview->items[i].status, "PENDING") == 0)
			write_item(&sql, preview, &preview->items[i]);
	request_facts(&facts, request);
	json_build_number(&facts, "preview", request->preview);
	json_build_field(&facts, "digest", audit_hex(digest));
	request_record(&sql, request, "request.previewed", &facts);
	sql_leave(&sql);
	return digest;
}

/* promote.preview_request(project text, request integer) returns table, see sql/request/request.sql */
Datum
promote_preview_request(PG_FUNCTION_ARGS)
{
	static const char *const allowed[] = {"OPEN", "RUNNING", "BLOCKED", "PAUSED", "FAILED", NULL};
	ReturnSetInfo *result;
	Preview		preview = {.count = 0};
	Sql			sql;
	bytea	   *digest;

	argument_request(fcinfo, &preview.request);
	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	sql_enter(&sql);
	request_lock(&sql, &preview.request);
	request_read(&sql, &preview.request);
	request_access(&preview.request, sql.user, NULL);
	request_require_status(&preview.request, allowed, "previewed");
	preview.items = request_items(&sql, &preview.request, REQUEST_ALL, &preview.count);
	preview.former = read_former(&sql, &preview.request);
	sql_leave(&sql);
	preview_items(&preview);
	digest = keep_preview(&preview);
	for (int i = 0; i < preview.count; i++)
	{
		PreviewRow *row = &preview.rows[i];

		put_number(row, PREVIEW, preview.request.preview);
		row->nulls[DIGEST] = false;
		row->values[DIGEST] = PointerGetDatum(digest);
		tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
	}
	return (Datum) 0;
}
