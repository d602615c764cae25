/*
 * sharing.c: proposals with equal inputs are validated, rendered and compared once.
 *
 * Of a set, thousands of instances may get the same configuration by the same release, over the
 * same that runs.  What is computed of that depends on documents, names of releases and numbers
 * alone.  Documents are read through a store that keeps equal bytes once (base/shared.h), so that
 * equal inputs are equal pointers, and are found by them.  What has asked the database on the way,
 * as the walk back through former revisions does, is not kept: it depends on more.  Nor is what
 * was refused.
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "access/toast_compression.h"
#include "access/toast_internals.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "compose/compose.h"
#include "json/render.h"
#include "ledger/config_digest.h"
#include "promotion/diff.h"
#include "promotion/sharing.h"
#include "promotion/stage.h"

#define MAX_BYTES (16 * 1024 * 1024)	/* that are kept between the pages of a set, and that a page is to take */
#define FIRST_PAGE 4			/* proposals of the first page */
#define LONGEST_PAGE 400
#define GROWTH 4				/* a page has at most so many times the proposals of the one before */

/* All that is computed from; what is desired already is told by its revision from what is new. */
typedef struct Inputs
{
	const void *documents[18];
	const char *texts[16];
	int32		numbers[15];
	char		runs;			/* was there a deployment that runs? */
} Inputs;

/* What was computed. */
typedef struct Outputs
{
	Inputs		inputs;			/* the key */
	Jsonb	   *rendered;		/* NULL: the params themselves */
	bytea	   *rendered_digest;	/* NULL: not needed yet */
	uint64		recording;		/* in which the rendered params were gathered last */
	Jsonb	   *diff;
	Jsonb	   *packed_diff;
	Jsonb	   *plan_kept;		/* NULL: none, as staged_kept */
	Jsonb	   *staged_kept;
	bool		plan;
	bool		destructive;
	bool		reverts;
} Outputs;

/* All that a promotion's params are composed of. */
typedef struct Parts
{
	const void *documents[6];
	Size		fill_defaults;
} Parts;

/* What they come to. */
typedef struct Composed
{
	Parts		parts;			/* the key */
	Jsonb	   *params;
} Composed;

struct Sharing
{
	Shared	   *values;
	MemoryContext context;		/* of the outputs */
	HTAB	   *outputs;		/* NULL: none yet, as composed */
	HTAB	   *composed;
	uint64		recording;		/* the number of the one that is gathered */
	int			page_size;		/* proposals */
	Size		kept;			/* bytes, when the page was begun */
};

/* Make an empty store, as long as the parent lives. */
Sharing *
sharing_create(MemoryContext parent)
{
	Sharing    *sharing = MemoryContextAllocZero(parent, sizeof(Sharing));

	sharing->values = shared_create(parent);
	sharing->context = AllocSetContextCreate(parent, "promote shared proposals", ALLOCSET_DEFAULT_SIZES);
	sharing->page_size = FIRST_PAGE;
	return sharing;
}

/* Where the documents of proposals are read through. */
Shared *
sharing_values(Sharing *sharing)
{
	return sharing->values;
}

/* How many bytes are kept. */
static Size
kept_bytes(const Sharing *sharing)
{
	return shared_size(sharing->values) + MemoryContextMemAllocated(sharing->context, true);
}

/* Begin a page: forget everything if it has become too much.  No proposal that was read is used any more. */
void
sharing_trim(Sharing *sharing)
{
	if (kept_bytes(sharing) > MAX_BYTES)
	{
		shared_reset(sharing->values);
		MemoryContextReset(sharing->context);
		sharing->outputs = NULL;
		sharing->composed = NULL;
	}
	sharing->kept = kept_bytes(sharing);
}

/* How many proposals the page that is begun has at most. */
int
sharing_page_size(const Sharing *sharing)
{
	return sharing->page_size;
}

/*
 * Decide by what a full page takes, in the current memory context and here, how many proposals the next one has, so
 * that a set of large documents is taken in small pages.
 */
void
sharing_measure(Sharing *sharing)
{
	Size		bytes = MemoryContextMemAllocated(CurrentMemoryContext, true) + kept_bytes(sharing) - sharing->kept;
	Size		fitting = MAX_BYTES / (bytes / sharing->page_size + 1);

	sharing->page_size = Max(1, Min(fitting, Min(sharing->page_size * GROWTH, LONGEST_PAGE)));
}

/* Begin to judge for a recording, into which everything that it needs has to be gathered. */
void
sharing_begin(Sharing *sharing)
{
	sharing->recording++;
}

/* Make a table of what was computed. */
static HTAB *
make_table(const Sharing *sharing, Size key, Size entry)
{
	HASHCTL		control = {.keysize = key,.entrysize = entry,.hcxt = sharing->context};

	return hash_create("promote shared proposals", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* ---- composing ---- */

/* Are there placeholders in a document, which may be NULL? */
static bool
has_placeholders(const Jsonb *document)
{
	return document && json_has_placeholders(document);
}

/* The parts of a promotion's params. */
static void
take_parts(const Proposal *proposal, const Jsonb *overrides, Parts *parts)
{
	bool		minds = has_placeholders(proposal->params) || has_placeholders(proposal->own_params) ||
		has_placeholders(overrides);
	const void *const documents[lengthof(parts->documents)] = {
		proposal->params, proposal->own_params, proposal->schema, overrides,
		minds ? proposal->parameters : NULL, minds ? proposal->source_parameters : NULL
	};

	memcpy(parts->documents, documents, sizeof(documents));
	parts->fill_defaults = proposal->fill_defaults;
}

/*
 * Compose a promotion's params of its source's, which are proposed, and the destination's, with
 * the overrides on top; equal ones become one pointer.  False where that depends on more: a preset
 * or a JSON Patch.  All documents were read through the store.
 */
bool
sharing_compose(Sharing *sharing, Proposal *proposal, const Jsonb *overrides)
{
	Parts		parts;
	Composed   *composed;
	Jsonb	   *params;

	if (proposal->preset || JB_ROOT_IS_ARRAY(overrides))
		return false;
	take_parts(proposal, overrides, &parts);
	if (sharing->composed == NULL)
		sharing->composed = make_table(sharing, sizeof(Parts), sizeof(Composed));
	composed = hash_search(sharing->composed, &parts, HASH_FIND, NULL);
	if (composed == NULL)
	{
		params = compose_overrides(proposal, compose_base(proposal), overrides);
		params = shared_value(sharing->values, JsonbPGetDatum(params));
		composed = hash_search(sharing->composed, &parts, HASH_ENTER, NULL);
		composed->params = params;
	}
	proposal->params = composed->params;
	return true;
}

/* ---- judging ---- */

/* Do the environment's parameters matter?  Only to placeholders. */
static bool
minds_parameters(const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	return has_placeholders(proposal->params) ||
		(proposal->own_params != proposal->params && has_placeholders(proposal->own_params)) ||
		(proposal->source_params != proposal->params && has_placeholders(proposal->source_params));
}

/* What proposals are told apart by, where nothing of one stands elsewhere than in its documents. */
static void
take_inputs(Shared *values, const ProposedRevision *proposed, Inputs *inputs)
{
	static const Carried nothing = {0};
	const Proposal *proposal = &proposed->proposal;
	const Carried *runs = proposal->runs ? proposal->runs : &nothing;
	const bool	minds = minds_parameters(proposed);
	const void *const documents[lengthof(inputs->documents)] = {
		proposal->params, proposal->own_params, proposal->source_params, proposal->schema,
		proposal->other_schemas[0], proposal->other_schemas[1], proposal->other_schemas[2],
		proposal->kept, proposal->own_kept, proposal->source_kept,
		minds ? proposal->parameters : NULL, minds ? proposal->source_parameters : NULL,
		proposed->plan_params, proposed->plan_diff, runs->params, runs->template, runs->kept,
		proposed->own_source_params
	};
	const char *const texts[lengthof(inputs->texts)] = {
		proposed->key.project, proposal->bundle, proposal->version, proposed->version_constraint,
		proposed->release_channel, proposed->current_bundle, proposed->current_version,
		proposed->current_constraint, proposed->current_channel, proposed->plan_version,
		runs->bundle, runs->version, runs->version_constraint, runs->release_channel,
		proposed->own_source_constraint, proposed->own_source_channel
	};
	const int32 numbers[lengthof(inputs->numbers)] = {
		proposed->revision, proposed->current_revision, proposed->plan_revision,
		proposed->plan_base == proposed->deployed_by, proposed->deployed_by > 0,
		proposed->plan_reverts, proposed->current_taken, proposal->allow_replace, proposed->origin,
		runs->revision, proposed->plan, proposed->plan_base > 0, proposed->changed_by == proposed->deployed_by,
		proposed->is_staged, proposed->own_origin
	};

	memset(inputs, 0, sizeof(*inputs));
	memcpy(inputs->documents, documents, sizeof(documents));
	for (int i = 0; i < lengthof(texts); i++)
		inputs->texts[i] = shared_text(values, texts[i]);
	memcpy(inputs->numbers, numbers, sizeof(numbers));
	inputs->runs = proposal->runs != NULL;
}

/* Can a proposal be told apart by Inputs? */
static bool
is_plain(const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;

	return proposed->slots == NULL && proposed->own_slots == NULL && proposed->plan_references == NULL &&
		proposed->waiting_secrets == NIL && proposed->copied_secrets == NIL &&
		proposal->preset == NULL && proposal->observed == NULL && proposal->tried == NULL &&
		list_length(proposal->deployed) == (proposal->runs ? 1 : 0) &&
		(proposal->runs == NULL || (proposal->runs->slots == NULL && proposal->runs->references == NULL));
}

/* A copy of a document in the store; NULL stays NULL. */
static Jsonb *
keep_document(const Sharing *sharing, const Jsonb *document)
{
	Jsonb	   *copy;

	if (document == NULL)
		return NULL;
	copy = MemoryContextAllocHuge(sharing->context, VARSIZE(document));
	memcpy(copy, document, VARSIZE(document));
	return copy;
}

/* Keep what was computed. */
static Outputs *
keep_outputs(Sharing *sharing, const Inputs *inputs, const ProposedRevision *proposed)
{
	const Proposal *proposal = &proposed->proposal;
	const Outputs outputs = {
		.inputs = *inputs,
		.rendered = proposal->rendered == proposal->params ? NULL : keep_document(sharing, proposal->rendered),
		.diff = keep_document(sharing, proposed->diff),
		.packed_diff = keep_document(sharing, proposed->packed_diff),
		.plan_kept = keep_document(sharing, proposed->plan_kept),
		.staged_kept = keep_document(sharing, proposed->staged_kept),
		.plan = proposed->plan,
		.destructive = proposal->destructive,
		.reverts = proposed->reverts
	};
	Outputs    *kept;

	if (sharing->outputs == NULL)
		sharing->outputs = make_table(sharing, sizeof(Inputs), sizeof(Outputs));
	kept = hash_search(sharing->outputs, inputs, HASH_ENTER, NULL);
	*kept = outputs;
	return kept;
}

/* Give a proposal what was computed of equal inputs. */
static void
take_outputs(const Outputs *outputs, ProposedRevision *proposed)
{
	proposed->proposal.rendered = outputs->rendered ? outputs->rendered : proposed->proposal.params;
	proposed->proposal.destructive = outputs->destructive;
	proposed->diff = outputs->diff;
	proposed->packed_diff = outputs->packed_diff;
	proposed->plan_kept = outputs->plan_kept;
	proposed->staged_kept = outputs->staged_kept;
	proposed->reverts = outputs->reverts;
	proposed->plan = outputs->plan;
}

/*
 * A document as it is stored in a row that is too long for a page, as PostgreSQL would compress it: thousands of rows
 * may have it, and the result of a verb, too, which goes to a file where it is long.
 */
static Jsonb *
pack(Jsonb *document)
{
#ifdef USE_LZ4
	const char	method = TOAST_LZ4_COMPRESSION;
#else
	const char	method = TOAST_PGLZ_COMPRESSION;
#endif
	Pointer		packed = NULL;

	if (VARSIZE(document) > TOAST_TUPLE_THRESHOLD)
		packed = DatumGetPointer(toast_compress_datum(JsonbPGetDatum(document), method));
	return packed ? (Jsonb *) packed : document;
}

/* Check a proposal, and make what its plan carries, if it asks for one. */
static void
compute(const Sql *sql, ProposedRevision *proposed)
{
	proposal_check(proposed);
	if (!proposed->plan && !proposed->is_staged)
		return;
	proposal_decide(sql, proposed);
	proposed->packed_diff = pack(proposed->diff);
	if (proposed->plan)
		proposed->plan_kept = proposal_plan_kept(proposed);
	if (proposed->is_staged)
		proposed->staged_kept = compose_kept(&proposed->proposal);
}

/* The digest of rendered params that are not the revision's own. */
static bytea *
rendered_digest(const ProposedRevision *proposed)
{
	return config_digest(proposed->key.project, proposed->proposal.rendered);
}

/* Set the digest of what a plan renders, which is kept with the outputs, if there are any. */
static void
digest_rendered(Sharing *sharing, Outputs *outputs, ProposedRevision *proposed)
{
	MemoryContext caller;

	if (!proposed->plan || proposed->proposal.rendered == proposed->proposal.params)
		return;
	if (outputs == NULL)
	{
		proposed->rendered_digest = rendered_digest(proposed);
		return;
	}
	proposed->rendered_known = outputs->recording == sharing->recording;
	outputs->recording = sharing->recording;
	if (outputs->rendered_digest == NULL)
	{
		caller = MemoryContextSwitchTo(sharing->context);
		outputs->rendered_digest = rendered_digest(proposed);
		MemoryContextSwitchTo(caller);
	}
	proposed->rendered_digest = outputs->rendered_digest;
}

/* Compute what comes of a proposal, unless it was for equal inputs.  NULL: that is not kept. */
static Outputs *
compute_once(const Sql *sql, Sharing *sharing, ProposedRevision *proposed,
			 void (*computing) (const Sql *sql, ProposedRevision *proposed))
{
	Inputs		inputs;
	Outputs    *outputs = NULL;
	bool		plain = is_plain(proposed);
	uint64		asked = sql_calls();

	if (plain)
		take_inputs(sharing->values, proposed, &inputs);
	if (plain && sharing->outputs)
		outputs = hash_search(sharing->outputs, &inputs, HASH_FIND, NULL);
	if (outputs)
	{
		take_outputs(outputs, proposed);
		return outputs;
	}
	computing(sql, proposed);
	return plain && sql_calls() == asked ? keep_outputs(sharing, &inputs, proposed) : NULL;
}

/*
 * Check a proposal as proposal_check, and if it asks for a plan, make the diff, decide whether it gets one, and fill in
 * what that carries; all of it only if it was not done for equal inputs.  Its documents were read through the store.
 */
void
sharing_judge(const Sql *sql, Sharing *sharing, ProposedRevision *proposed)
{
	digest_rendered(sharing, compute_once(sql, sharing, proposed, compute), proposed);
}

/* Judge a proposal that is the desired state already as stage_judge_again, but what was judged of equal inputs. */
void
sharing_judge_again(const Sql *sql, Sharing *sharing, ProposedRevision *proposed)
{
	(void) compute_once(sql, sharing, proposed, stage_look_again);
	stage_decide_again(proposed);
}
