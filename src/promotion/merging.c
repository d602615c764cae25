/*
 * merging.c: putting together what source and destination have changed since they had the same.
 *
 * What both began with is the revision that was promoted last from either to the other: the
 * source's as the destination got it, or, after a way back, the destination's as the source got
 * it.  Where only some places were promoted since, these are as they were then.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "json/reader.h"
#include "promotion/merging.h"
#include "registry/release.h"

/* ---- what both began with ---- */

/* A promotion between two instances, with what was promoted. */
typedef struct Exchange
{
	int32		revision;
	bool		is_back;		/* from the destination to the source? */
	ArrayType  *only;			/* NULL: everything */
	char	   *pinned_version; /* NULL: it was not pinned */
	char	   *version_constraint; /* of what was promoted, as are those below; NULL: it is gone */
	char	   *release_channel;
	char	   *bundle;
	char	   *version;
	Jsonb	   *kept;
	Jsonb	   *params;
	Only	   *places;			/* what only names */
} Exchange;

static const SqlField exchange_fields[] = {
	SQL_FIELDS(Exchange, "x", revision, is_back, only, pinned_version, version_constraint, release_channel, bundle,
			   version, params),
	SQL_FIELD(Exchange, kept, "x.kept_marks")
};

/* Refuse to merge without what both began with. */
static void
refuse_unrelated(const InstanceKey *source, const InstanceKey *destination)
{
	ereport(ERROR,
			(errcode(PM_NO_BASE),
			 errmsg("\"%s\" and \"%s\" have nothing that a merge could start from", instance_key_name(source),
					instance_key_name(destination)),
			 errdetail("Neither was ever promoted to the other as a whole."),
			 errhint("Promote once by mode => 'replace', whose preview shows what goes; or take single revisions over by promote.apply_revision.")));
}

/* Refuse to merge by a state that is gone; what is what of it, a word. */
static void
refuse_gone(const InstanceKey *source, const InstanceKey *destination, const Exchange *exchange, const char *what)
{
	ereport(ERROR,
			(errcode(PM_NO_BASE),
			 errmsg("what \"%s\" and \"%s\" had in common is gone", instance_key_name(source),
					instance_key_name(destination)),
			 errdetail("Revision %d of \"%s\" was promoted to the other last, and its %s is not there.",
					   exchange->revision, instance_key_name(exchange->is_back ? destination : source), what),
			 errhint("Promote once by mode => 'replace', whose preview shows what goes.")));
}

/* The schema of an exchange's release; NULL: that of the proposal. */
static Jsonb *
exchange_schema(const Sql *sql, const InstanceKey *source, const ProposedRevision *proposed, bool read_only,
				const Exchange *exchange)
{
	Jsonb	   *schema;

	if (proposal_is_by(&proposed->proposal, exchange->bundle, exchange->version))
		return NULL;
	schema = release_schema(sql, exchange->bundle, exchange->version, read_only);
	if (schema == NULL)
		refuse_gone(source, &proposed->key, exchange, "release");
	return schema;
}

/* Note the release of an exchange. */
static void
take_release(Merging *merging, const Exchange *exchange)
{
	const char *given = exchange->pinned_version ? exchange->pinned_version : exchange->version_constraint;

	/* whoever was promoted has its own constraint, and whoever was promoted to has what was given */
	merging->had = (ReleaseWish) {exchange->is_back ? exchange->version_constraint : given, exchange->release_channel};
	merging->gave = (ReleaseWish) {exchange->is_back ? given : exchange->version_constraint, exchange->release_channel};
	merging->pinned = exchange->is_back ? NULL : exchange->pinned_version;
}

/* The elements of an array of text, none of which is null. */
static List *
list_of(ArrayType *array)
{
	Datum	   *texts;
	int			count;
	List	   *list = NIL;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &count);
	for (int i = 0; i < count; i++)
		list = lappend(list, TextDatumGetCString(texts[i]));
	return list;
}

/*
 * Read what source and destination had in common last, and what they had of the release.  Raises
 * PM_NO_BASE where there is nothing, or it is gone.
 */
void
merging_read(const Sql *sql, const InstanceKey *source, const ProposedRevision *proposed, bool read_only,
			 Merging *merging)
{
	static Statement read = SQL_ROWS(exchange_fields, "SELECT $* FROM promote_internal.exchanges($1, $2, $3, $4) AS x");
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_KEY(&proposed->key), AS_TEXT(source->environment));

	if (rows.count == 0)
		refuse_unrelated(source, &proposed->key);
	for (uint64 i = 0; i < rows.count; i++)
	{
		Exchange   *exchange = palloc0(sizeof(Exchange));

		(void) sql_row(&rows, i, exchange);
		if (exchange->version == NULL || exchange->params == NULL)
			refuse_gone(source, &proposed->key, exchange, exchange->version ? "configuration" : "row");
		if (exchange->only)
			exchange->places = only_read(list_of(exchange->only));
		if (exchange->places == NULL || exchange->places->release)
			take_release(merging, exchange);
		merging->exchanges = lappend(merging->exchanges, exchange);
	}
}

/* Put together what the params of both began with, for a proposal by the release that is to be. */
void
merging_begin(const Sql *sql, const InstanceKey *source, const ProposedRevision *proposed, bool read_only,
			  Merging *merging)
{
	Proposal	then = proposed->proposal;
	ListCell   *cell;

	foreach(cell, merging->exchanges)
	{
		Exchange   *exchange = lfirst(cell);
		MergeBase  *base = palloc(sizeof(MergeBase));

		*base = (MergeBase) {exchange->params, exchange->kept,
			exchange_schema(sql, source, proposed, read_only, exchange)};
		merging->bases = lappend(merging->bases, base);
		if (exchange->places == NULL)
			merging->base = *base;
		else
		{
			then.params = exchange->params;
			then.own_params = unconstify(Jsonb *, merging->base.params);
			merging->base.params = compose_only(&then, exchange->params, exchange->places);
		}
	}
}

/* ---- merging ---- */

/*
 * From what a part of the release is merged: what the destination had, unless that alone has
 * changed since.
 */
static const char *
text_base(const char *had, const char *gave, const char *source, const char *destination)
{
	bool		is_kept = had && strcmp(had, destination) != 0 && strcmp(gave, source) == 0;

	return is_kept ? source : had;
}

/*
 * Merge the release: constraint and channel, each as one value, under the paths "release
 * constraint" and "release channel".  A version that is pinned now is compared with the one that
 * was pinned then.
 */
ReleaseWish
merging_release(Merging *merging, const ReleaseWish *source, const ProposedRevision *proposed)
{
	const ReleaseWish *had = &merging->had;
	const char *gave = proposed->pinned && merging->pinned ? merging->pinned : merging->gave.constraint;
	const char *constraint = proposed->current_constraint;
	const char *channel = proposed->current_channel;

	merging->is_moved = had->constraint == NULL || strcmp(gave, source->constraint) != 0 ||
		strcmp(merging->gave.channel, source->channel) != 0;
	return (ReleaseWish) {
		merge_text(&merging->conflicts, "release constraint",
				   text_base(had->constraint, gave, source->constraint, constraint),
				   source->constraint, constraint, merging->choice),
		merge_text(&merging->conflicts, "release channel",
				   text_base(had->channel, merging->gave.channel, source->channel, channel),
				   source->channel, channel, merging->choice)
	};
}

/* Leave of a merge the conflicts and problems of what is named alone. */
static void
leave_only(Merge *merge, const Only *only)
{
	ListCell   *cell;

	foreach(cell, merge->conflicts)
		if (!only_touches(only, ((const MergeConflict *) lfirst(cell))->path))
			merge->conflicts = foreach_delete_current(merge->conflicts, cell);
	foreach(cell, merge->problems)
		if (!only_touches(only, ((const MergeProblem *) lfirst(cell))->path))
			merge->problems = foreach_delete_current(merge->problems, cell);
}

/* Does the source differ from what both began with, at the places that are named alone? */
static bool
is_moved(const Merge *merge, const Proposal *proposal, const Only *only)
{
	const JsonbValue source = json_view(merge->documents[MERGE_SOURCE]);
	JsonbValue	base = json_view(merge->documents[MERGE_BASE]);
	Proposal	back = *proposal;
	Only		scratch;

	if (only)
	{
		scratch = *only;
		initStringInfo(&scratch.problems);
		back.params = unconstify(Jsonb *, merge->documents[MERGE_BASE]);
		back.own_params = unconstify(Jsonb *, merge->documents[MERGE_SOURCE]);
		base = json_view(compose_only(&back, back.params, &scratch));
	}
	return !json_equal(&base, &source);
}

/*
 * What comes of merging the params of a proposal, which are still the source's: all of it, or what
 * is named alone.
 */
Jsonb *
merging_params(Merging *merging, const Proposal *proposal, const Jsonb *overrides, Only *only)
{
	Merge	   *merge = compose_merge(proposal, &merging->base, overrides, merging->choice);

	if (only)
		leave_only(merge, only);
	merge->conflicts = list_concat(merging->conflicts, merge->conflicts);
	merging->merge = merge;
	merging->is_moved = merging->is_moved || is_moved(merge, proposal, only);
	return only ? compose_only(proposal, merge->params, only) : merge->params;
}

/* What of a merge must not be seen: by the proposal, and by all that both began with. */
Mask *
merging_mask(const Merging *merging, const Proposal *proposal)
{
	Mask	   *mask = merge_mask(merging->merge, proposal, &merging->base);
	ListCell   *cell;

	/* the first is what the merge itself starts from */
	for_each_from(cell, merging->bases, 1)
	{
		const MergeBase *base = lfirst(cell);

		mask_add_schema(mask, base->schema);
		mask_add_both(mask, base->params, proposal->parameters, base->kept);
		mask_add_both(mask, base->params, proposal->source_parameters, base->kept);
	}
	return mask;
}

/* Refuse a merge with conflicts that nobody has decided: PM_CONFLICT, or PM_CANNOT_PATCH. */
void
merging_require(const Merging *merging, const Proposal *proposal)
{
	if (merge_is_open(merging->merge))
		merge_require(merging->merge, merging_mask(merging, proposal), proposal->instance);
}
