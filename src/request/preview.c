/*
 * preview.c: what a request would change.
 *
 * Previewing and staging propose an item by one function.  The preview keeps the
 * digest of a document that says what would be staged; staging compares it with
 * the digest of now.  What stands in the item's way changes with time, and is no
 * part of the document.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "base/result.h"
#include "gate/gate.h"
#include "json/digest.h"
#include "json/reader.h"
#include "json/render.h"
#include "json/writer.h"
#include "ledger/config_digest.h"
#include "ledger/guard.h"
#include "promotion/diff.h"
#include "registry/remote_reference.h"
#include "request/request.h"

PG_FUNCTION_INFO_V1(promote_preview_request);

/* ---- proposing an item ---- */

/* What is known of an item's two instances. */
typedef struct ItemFacts
{
	bool		has_source;
	bool		has_destination;
	bool		decommissioned;	/* was the destination, and nothing deployed since? */
	bool		in_scope;		/* do the destination's attributes match the selector? */
	int32		source_revision;	/* that the source desires; 0: none */
	int32		revision;		/* that the destination desires; 0: none */
	int32		deployed_revision;	/* 0: nothing runs */
	bytea	   *source_digest;	/* of what is taken of the source; NULL: there is no such revision */
	bool		is_deployed;	/* is what is desired what runs? */
	char	   *origin;			/* of the revision that is desired, as is author */
	char	   *author;
} ItemFacts;

static const SqlField facts_fields[] = {
	SQL_FIELDS(ItemFacts, "f", has_source, has_destination, decommissioned, in_scope, source_revision, revision,
				   deployed_revision, source_digest, is_deployed, origin, author)
};

/* Read what is known of an item's two instances, and of what is taken of the source, see promotion_revision_of. */
static void
read_facts(const Sql *sql, const PromotionRequest *request, const char *component, int32 of_revision,
		   ItemFacts *facts)
{
	static Statement read = SQL_ROWS(facts_fields, "SELECT $* FROM"
									 " promote_internal.request_item_facts($1, $2, $3, $4, $5, $6) AS f");
	SqlRows		rows = sql_run(sql, &read, AS_TEXT(request->project), AS_TEXT(request->source_environment),
							   AS_TEXT(request->destination_environment), AS_TEXT(component),
							   AS_JSONB(request->selector), AS_NUMBER(of_revision));

	if (!sql_row(&rows, 0, facts))
		elog(ERROR, "project \"%s\" or an environment of request %d is gone", request->project, request->number);
}

/* Why an item is left alone whose destination was decommissioned. */
static Jsonb *
would_revive(const PromotionRequest *request, const char *component)
{
	InstanceKey key = request_instance(request, component);

	return skip_reason("decommissioned", proposal_would_revive(&key));
}

/* Why there is nothing to promote; NULL: there is something. */
static Jsonb *
missing(const PromotionRequest *request, const ItemFacts *facts, const char *component)
{
	InstanceKey source = {request->project, request->source_environment, (char *) component};
	char	   *name = request_instance_name(request, component);

	if (!facts->has_destination)
		return skip_reason("gone", psprintf("left the scope: \"%s\" is gone", name));
	if (!facts->has_source)
		return skip_reason("gone", psprintf("left the scope: \"%s\" is gone", instance_key_name(&source)));
	if (!facts->in_scope)
		return skip_reason("selector", "left the scope: its attributes no longer match the selector");
	if (facts->source_revision == 0)
		return skip_reason("unconfigured", psprintf("\"%s\" has no configuration yet", instance_key_name(&source)));
	if (facts->decommissioned && !request->reprovision)
		return would_revive(request, component);
	return NULL;
}

/* Why a staged item must not be deployed any more, as it has left the scope or was decommissioned; NULL: it may be. */
Jsonb *
request_left_scope(const Sql *sql, const PromotionRequest *request, const RequestItem *item)
{
	ItemFacts	facts;

	read_facts(sql, request, item->component, PROPOSAL_DESIRED, &facts);
	if (facts.decommissioned && !request->reprovision)
		return would_revive(request, item->component);
	/* an instance with a history cannot be deleted, so only its attributes can take it out of the scope */
	return facts.in_scope ? NULL :
		skip_reason("selector", psprintf("left the scope: its attributes no longer match the selector; revision %d stays desired",
										 item->revision));
}

/* Was the destination of an item decommissioned, and the request not asked to bring such back? */
bool
request_leaves_alone(const Sql *sql, const PromotionRequest *request, const RequestItem *item)
{
	ItemFacts	facts;

	read_facts(sql, request, item->component, PROPOSAL_DESIRED, &facts);
	return facts.decommissioned && !request->reprovision;
}

/*
 * Other changes that would ride along: the destination desires a revision that
 * does not run and that this request has not staged.  NULL: there are none, or
 * nothing runs to compare with.
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

/* Note why an item cannot be staged. */
static void
note_obstacle(ItemProposal *proposal, const char *code, char *message)
{
	ItemObstacle *added = palloc(sizeof(ItemObstacle));

	*added = (ItemObstacle) {code, message};
	proposal->obstacles = lappend(proposal->obstacles, added);
}

/* Note an obstacle to composing.  An ObstacleCollector; the state is the proposal. */
static void
add_obstacle(void *state, const Obstacle *obstacle)
{
	note_obstacle(state, obstacle->sqlstate == PM_RELEASE_BLOCKED ? "release" : "params",
				  obstacle->path ? psprintf("%s: %s", obstacle->path, obstacle->message) :
				  pstrdup(obstacle->message));
}

/*
 * Propose the secrets and remote references that are to be copied, as they are
 * committed now: staging may have waited for a lock on them.  A request never
 * replaces a remote reference of what runs.
 */
static void
propose_carry(const Sql *sql, const PromotionRequest *request, ItemProposal *proposal)
{
	Promotion  *promotion = &proposal->promotion;
	ListCell   *cell;

	sql_push_latest();
	carry_take(sql, &promotion->carry, &promotion->source, &promotion->proposed, false);
	PopActiveSnapshot();
	proposal_render_references(&promotion->proposed);
	foreach(cell, promotion->proposed.reference_problems)
		note_obstacle(proposal, "references", pstrdup(((const ReferenceProblem *) lfirst(cell))->message));
	foreach(cell, promotion->carry.refused)
		note_obstacle(proposal, "references",
					  psprintf("remote reference %s: what runs has another one", (char *) lfirst(cell)));
}

/*
 * Read an item's promotion and compose what would be staged.  That the source has moved is an
 * obstacle beside others; promotion_require_source refuses it.
 */
static void
read_promotion(const Sql *sql, const PromotionRequest *request, ItemProposal *proposal)
{
	Promotion  *promotion = &proposal->promotion;
	Choice	   *choice = &promotion->choice;
	int32		expected = choice->expected_source_revision;

	promotion->pin = request->pin;
	promotion->carry = request->carry;
	promotion->carry.only = choice->only;
	choice->expected_source_revision = 0;
	promotion_read(sql, promotion, false);
	choice->expected_source_revision = expected;
	if (promotion_source_moved(promotion))
		note_obstacle(proposal, "choice", psprintf("revision %d of \"%s\" would be promoted, and revision %d is expected",
												   promotion->proposed.source_revision,
												   instance_key_name(&promotion->source), expected));
}

/* Does the destination desire, as it is written, and run already what would be staged? */
static bool
is_nothing(const ProposedRevision *proposed)
{
	return stage_is_unchanged(proposed) && !carry_has_references(proposed) && !proposal_waits(proposed);
}

/* Propose an item: what would be staged now, or why nothing would be. */
void
request_propose(const Sql *sql, const PromotionRequest *request, const RequestItem *item, ItemProposal *proposal)
{
	Promotion  *promotion = &proposal->promotion;
	ProposedRevision *proposed = &promotion->proposed;
	JsonbValue	patch;
	ItemFacts	facts;

	memset(proposal, 0, sizeof(*proposal));
	promotion->source = (InstanceKey) {request->project, request->source_environment, item->component};
	promotion->destination = request_instance(request, item->component);
	request_choice(request, item->component, &promotion->choice);
	read_facts(sql, request, item->component, promotion_revision_of(&promotion->choice), &facts);
	proposal->deployed_revision = facts.deployed_revision;
	proposal->source_digest = facts.source_digest;
	proposal->skip_reason = missing(request, &facts, item->component);
	if (proposal->skip_reason)
		return;
	promotion->overrides = json_find_in(request->overrides, item->component, &patch) ? json_from_view(&patch) :
		json_empty_object();
	read_promotion(sql, request, proposal);
	stage_number(proposed);
	compose_obstacles(&proposed->proposal, add_obstacle, proposal);
	propose_carry(sql, request, proposal);
	carry_judge(sql, proposed, false);
	proposal->rendered_digest = config_digest(request->project, proposed->proposal.rendered);
	proposal->other_changes = other_changes(request, item, &facts);
	proposal->diff = proposal_diff(sql, proposed, false);
	if (!is_nothing(proposed) || promotion_source_moved(promotion))
		return;
	proposal->diff = NULL;
	proposal->skip_reason = skip_reason("nothing_to_do", psprintf("nothing to do: \"%s\" runs it already",
																  request_instance_name(request, item->component)));
}

/*
 * The document by which a preview and a later proposal of an item are compared.  A
 * proposal of NULL is one that was refused.
 */
static Jsonb *
item_document(const PromotionRequest *request, const RequestItem *item, const ItemProposal *proposal)
{
	const Jsonb *choice = request_choice_document(request, item->component);
	JsonBuilder	builder;

	json_begin_object(&builder);
	json_build_field(&builder, "component", item->component);
	if (item->wave > 0)
		json_build_number(&builder, "wave", item->wave);
	if (JB_ROOT_COUNT(choice) > 0)
		json_build_document(&builder, "choice", choice);
	if (proposal == NULL)
		json_build_field(&builder, "refused", "it cannot be staged");
	else if (proposal->skip_reason)
		json_build_document(&builder, "skip_reason", proposal->skip_reason);
	else
	{
		const ProposedRevision *proposed = &proposal->promotion.proposed;

		json_build_number(&builder, "source_revision", proposed->source_revision);
		json_build_field(&builder, "source_digest", audit_hex(proposal->source_digest));
		json_build_number(&builder, "base_revision", proposal_desired(proposed));
		json_build_field(&builder, "version", proposed->proposal.version);
		json_build_field(&builder, "digest", audit_hex(proposed->digest));
		json_build_field(&builder, "rendered_digest", audit_hex(proposal->rendered_digest));
		/* as they are written, for what they are rendered to is in the diff */
		if (carry_has_references(proposed))
			json_build_document(&builder, "references", proposed->written_references);
		json_build_document(&builder, "diff", proposal->diff);
	}
	return json_builder_finish(&builder);
}

/* Would still be staged what was previewed?  A proposal of NULL is one that was refused. */
bool
request_is_as_previewed(const PromotionRequest *request, const RequestItem *item, const ItemProposal *proposal)
{
	return json_digest_equal(json_digest(item_document(request, item, proposal)), item->preview_digest);
}

/* Is the item staged, and is what it has staged still desired? */
static bool
is_staged(const RequestItem *item)
{
	return item->status == ITEM_STAGED && item->desired == item->revision;
}

/*
 * Does what the item has staged, from the same revision of the source, render to what was previewed?
 * Then nothing has moved, although composing it once more may come to something else: a JSON Patch that
 * appends does so again, on top of what is staged.
 */
static bool
still_renders(const PromotionRequest *request, const RequestItem *item, const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	return item->source_revision == proposed->source_revision && proposal->own_params &&
		json_digest_equal(item->rendered_digest,
						  config_digest(request->project,
										json_render(proposal->own_params, proposal->parameters, true)));
}

/* Is what the item has staged still what would be staged?  If not, it is staged once more. */
bool
request_is_as_staged(const PromotionRequest *request, const RequestItem *item, const ItemProposal *proposal)
{
	const ProposedRevision *proposed = &proposal->promotion.proposed;

	if (!is_staged(item))
		return false;
	if (proposal->skip_reason)
		return item->as_previewed || item->planned.number == 0;
	return item->version == NULL ||
		(strcmp(item->version, proposed->proposal.version) == 0 &&
		 (json_digest_equal(item->rendered_digest, proposal->rendered_digest) ||
		  still_renders(request, item, proposed)));
}

/* ---- what stands in the way ---- */

/*
 * Judge what would be staged by the gates that need no plan: the case is the
 * destination's, with what would be promoted to it.
 */
static void
judge_proposal(const Sql *sql, const PromotionRequest *request, const ItemProposal *proposal, GateCase *gate)
{
	const ProposedRevision *proposed = &proposal->promotion.proposed;
	const DeploymentOrder order = {
		.action = ACTION_PROVISION,
		.revision = proposed->revision,
		.bundle = proposed->proposal.bundle,
		.version = proposed->proposal.version
	};

	gate_open_order(sql, &proposal->promotion.destination, &order, gate);
	gate->digest = proposed->digest;
	gate->rendered_digest = proposal->rendered_digest;
	gate->params = proposed->proposal.rendered;
	gate->references = proposed->references;
	gate->secrets = proposed->copied_secrets;
	gate->source_environment = request->source_environment;
	gate->source_revision = proposed->source_revision;
	gate->source_digest = proposal->source_digest;
	gate_judge(sql, gate, GATES_EARLY);
}

/*
 * The array of all that stands in the way of an item: why it cannot be staged, and
 * the reasons of gates that are closed.
 */
static Jsonb *
item_blockers(const Sql *sql, const PromotionRequest *request, const ItemProposal *proposal)
{
	JsonBuilder	builder;
	GateCase	gate = {.blockers = NIL};
	ListCell   *cell;

	if (proposal->skip_reason == NULL)
		judge_proposal(sql, request, proposal, &gate);
	json_begin_array(&builder);
	foreach(cell, proposal->obstacles)
	{
		const ItemObstacle *obstacle = lfirst(cell);

		gate_build_reason(&builder, obstacle->code, obstacle->message, GATE_NO_TIME, NULL);
	}
	foreach(cell, gate.blockers)
	{
		const Blocker *blocker = lfirst(cell);

		if (!blocker->overridden)
			gate_build_reason(&builder, blocker->code, blocker->message, blocker->until, blocker->liftable_by);
	}
	return json_builder_finish(&builder);
}

/* The code of why a proposal was refused: of what stands in the way, not of the error. */
static const char *
refusal_code(int sqlstate)
{
	switch (sqlstate)
	{
		case PM_NO_PATH:
			return "path";
		case PM_RELEASE_BLOCKED:
			return "release";
		case PM_NOT_FOUND:
		case PM_NOT_CONFIGURED:
		case PM_NOT_DEPLOYED:
		case PM_CANNOT_TAKE:
			return "choice";
		case PM_CONFLICT:
			return "conflict";
		default:
			return "params";
	}
}

/* The array with the one reason of an item whose proposal was refused. */
static Jsonb *
refusal_blocker(const Refusal *refusal)
{
	JsonBuilder	builder;

	json_begin_array(&builder);
	gate_build_reason(&builder, refusal_code(refusal->sqlstate), refusal->message, GATE_NO_TIME, NULL);
	return json_builder_finish(&builder);
}

/* ---- taking a preview ---- */

/* What is shown of an item beside its row; in the request's memory. */
typedef struct Shown
{
	Jsonb	   *document;		/* what the preview keeps */
	char	   *other_changes;	/* NULL: none */
	Jsonb	   *diff;			/* NULL: none */
	Jsonb	   *blockers;		/* NULL: they were not asked for */
} Shown;

/* A preview in the course of being taken. */
typedef struct Preview
{
	PromotionRequest request;
	RequestItem *items;
	int			count;
	Jsonb	   *former;			/* the items of the preview before; NULL: there was none */
	Shown	   *shown;
	int			current;		/* the item that is proposed */
	bool		as_staged;		/* does what the preview before says of that item still hold? */
} Preview;

/* A copy of a document in the current memory context; NULL stays NULL. */
static Jsonb *
copy_document(const Jsonb *document)
{
	return document ? DatumGetJsonbPCopy(JsonbPGetDatum(document)) : NULL;
}

/* Keep what the current item would become, and what stands in its way.  A proposal of NULL is one that was refused. */
static void
keep_item(Preview *preview, const ItemProposal *proposal, const Jsonb *blockers)
{
	RequestItem *item = &preview->items[preview->current];
	const Jsonb *document = item_document(&preview->request, item, proposal);
	MemoryContext inner = MemoryContextSwitchTo(preview->request.context);
	const ProposedRevision *proposed = proposal ? &proposal->promotion.proposed : NULL;
	bool		staged = proposal && proposal->skip_reason == NULL;

	/* a revision is the item's only as long as it is desired */
	if (item->desired != item->revision)
		item->revision = 0;
	item->status = ITEM_PENDING;
	item->skip_reason = proposal ? request_copy_document(&preview->request, proposal->skip_reason) : NULL;
	item->source_revision = proposed ? proposed->source_revision : 0;
	item->base_revision = proposed ? proposal_desired(proposed) : 0;
	item->version = staged ? pstrdup(proposed->proposal.version) : NULL;
	item->rendered_digest = staged ? DatumGetByteaPCopy(PointerGetDatum(proposal->rendered_digest)) : NULL;
	preview->shown[preview->current] = (Shown) {
		.document = copy_document(document),
		.other_changes = proposal ? request_copy(&preview->request, proposal->other_changes) : NULL,
		.diff = proposal ? copy_document(proposal->diff) : NULL,
		.blockers = copy_document(blockers)
	};
	item->preview_digest = json_digest(document);
	MemoryContextSwitchTo(inner);
}

/* What the preview before says of the current item. */
static Jsonb *
former_document(const Preview *preview)
{
	JsonbValue	items;
	JsonbValue	document;

	if (preview->former)
	{
		json_root(preview->former, &items);
		if (json_count(&items) == preview->count)
		{
			json_view_child(items.val.binary.data, preview->current, &document);
			if (json_is_object(&document))
				return json_from_view(&document);
		}
	}
	elog(ERROR, "preview %d of request %d does not say what it has seen: a trigger or a rule has changed it",
		 preview->request.preview, preview->request.number);
}

/* Keep what the preview before says of the current item, which has gone on since, or why it was skipped. */
static void
keep_former(Preview *preview)
{
	const RequestItem *item = &preview->items[preview->current];
	ItemProposal skipped = {.skip_reason = item->skip_reason};
	Shown	   *shown = &preview->shown[preview->current];
	JsonbValue	diff;

	shown->document = item->status == ITEM_SKIPPED ?
		item_document(&preview->request, item, &skipped) : former_document(preview);
	if (json_find_in(shown->document, "diff", &diff))
		shown->diff = json_from_view(&diff);
}

/* Propose the current item, in a scope.  attempt runs this. */
static void
propose_current(void *state)
{
	Preview    *preview = state;
	const RequestItem *item = &preview->items[preview->current];
	ItemProposal proposal;
	Sql			sql;

	sql_enter(&sql);
	request_propose(&sql, &preview->request, item, &proposal);
	preview->as_staged = request_is_as_staged(&preview->request, item, &proposal);
	if (!preview->as_staged)
		keep_item(preview, &proposal, item_blockers(&sql, &preview->request, &proposal));
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

	preview->shown = palloc_extended(Max(preview->count, 1) * sizeof(Shown), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (preview->current = 0; preview->current < preview->count; preview->current++)
	{
		const RequestItem *item = &preview->items[preview->current];

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		preview->as_staged = item->status != ITEM_PENDING && item->status != ITEM_STAGED;
		if (!preview->as_staged && !attempt(propose_current, preview, &refusal))
		{
			/* a staged item is deployed as it is, if its gates are open */
			preview->as_staged = is_staged(item);
			if (!preview->as_staged)
				keep_item(preview, NULL, refusal_blocker(&refusal));
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
	static Statement read = {"SELECT v.items FROM promote.promotion_request_preview AS v WHERE " OF_REQUEST("v")
		" AND v.preview = $3"};
	SqlRows		rows = sql_run(sql, &read, AS_REQUEST(request), AS_INT(request->preview));
	MemoryContext inner = MemoryContextSwitchTo(request->context);
	Jsonb	   *items = rows.count > 0 ? copy_document(sql_jsonb(&rows, 0)) : NULL;

	MemoryContextSwitchTo(inner);
	return items;
}

/* Write what the preview says of an item that is not under way. */
static void
write_item(const Sql *sql, const PromotionRequest *request, const RequestItem *item)
{
	static Statement write = {"UPDATE promote.promotion_request_item AS t SET status = 'PENDING', preview_digest = $4,"
		" source_revision = $5, base_revision = $6, version = $7, skip_reason = $8, rendered_digest = $9,"
		" revision = $10, plan = NULL, reason = NULL"
		" WHERE " OF_REQUEST("t") " AND t.component = $3"};

	guarded_run(sql, &write, AS_REQUEST(request), AS_TEXT(item->component), AS_BYTEA(item->preview_digest),
				AS_NUMBER(item->source_revision), AS_NUMBER(item->base_revision), AS_TEXT(item->version),
				AS_JSONB(item->skip_reason), AS_BYTEA(item->rendered_digest), AS_NUMBER(item->revision));
}

/* All documents as one array. */
static Jsonb *
all_documents(const Preview *preview)
{
	JsonBuilder	builder;

	json_begin_array(&builder);
	for (int i = 0; i < preview->count; i++)
	{
		const JsonbValue view = json_view(preview->shown[i].document);

		json_build_value(&builder, &view);
	}
	return json_builder_finish(&builder);
}

/* Write the preview with its items, record it, and return its digest. */
static bytea *
keep_preview(Preview *preview)
{
	static Statement write = {"WITH kept AS ("
		" INSERT INTO promote.promotion_request_preview AS v (project, request, preview, items)"
		" VALUES ($1, $2, $3, $4) RETURNING v.digest, v.actor, v.created_at)"
		" UPDATE promote.promotion_request AS r SET preview = $3, preview_digest = k.digest,"
		" previewed_at = k.created_at, previewed_by = k.actor FROM kept AS k WHERE " OF_REQUEST("r")
		" RETURNING k.digest"};
	PromotionRequest *request = &preview->request;
	Sql			sql;
	SqlRows		rows;
	JsonBuilder	facts;
	bytea	   *digest;

	sql_enter(&sql);
	rows = guarded_run(&sql, &write, AS_REQUEST(request), AS_INT(++request->preview), AS_JSONB(all_documents(preview)));
	digest = DatumGetByteaP(SPI_datumTransfer(PointerGetDatum(sql_bytea(&rows, 0)), false, -1));
	for (int i = 0; i < preview->count; i++)
		if (preview->items[i].status == ITEM_PENDING)
			write_item(&sql, request, &preview->items[i]);
	request_facts(&facts, request);
	json_build_number(&facts, "preview", request->preview);
	json_build_field(&facts, "digest", audit_hex(digest));
	request_record(&sql, request, "request.previewed", &facts);
	sql_leave(&sql);
	return digest;
}

/* Put the row of an item; sql/request/request.sql has its columns. */
static void
put_row(FunctionCallInfo fcinfo, const Preview *preview, int number, const bytea *digest)
{
	const PromotionRequest *request = &preview->request;
	const RequestItem *item = &preview->items[number];
	const Shown *shown = &preview->shown[number];

	result_put(fcinfo, AS_NUMBER(item->wave), AS_TEXT(item->component),
			   AS_TEXT(request_instance_name(request, item->component)), AS_TEXT(item_statuses[item->status]),
			   AS_JSONB(item->skip_reason), AS_TEXT(shown->other_changes), AS_NUMBER(item->source_revision),
			   AS_NUMBER(item->base_revision), AS_TEXT(item->version), AS_JSONB(shown->diff),
			   AS_JSONB(shown->blockers), AS_NUMBER(RecoveryInProgress() ? 0 : request->preview), AS_BYTEA(digest),
			   AS_JSONB(request_choice_document(request, item->component)));
}

/*
 * promote.preview_request(project text, request integer) returns table, see sql/request/request.sql
 *
 * On a standby the preview is not kept: it has the digest that it would have, and no number.
 */
Datum
promote_preview_request(PG_FUNCTION_ARGS)
{
	Preview		preview = {.count = 0};
	PromotionRequest *request = &preview.request;
	bool		records = !RecoveryInProgress();
	Sql			sql;
	bytea	   *digest;

	InitMaterializedSRF(fcinfo, 0);
	if (records)
		request_open(fcinfo, &sql, false, NULL, request);
	else
		request_look(fcinfo, &sql, request);
	request_require_status(request, BIT(REQUEST_OPEN) | BIT(REQUEST_RUNNING) | BIT(REQUEST_BLOCKED) |
						   BIT(REQUEST_PAUSED) | BIT(REQUEST_FAILED), "previewed");
	preview.items = request_items(&sql, request, PART_ALL, &preview.count);
	preview.former = read_former(&sql, request);
	sql_leave(&sql);
	preview_items(&preview);
	digest = records ? keep_preview(&preview) : json_digest(all_documents(&preview));
	for (int i = 0; i < preview.count; i++)
		put_row(fcinfo, &preview, i, digest);
	return (Datum) 0;
}
