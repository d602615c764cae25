/*
 * timeline_event.c: events of the audit log in words.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/value.h"
#include "json/reader.h"
#include "terraform/text.h"

PG_FUNCTION_INFO_V1(promote_event_text);

/*
 * What an event says: {name} stands for a fact of that name.  What is in
 * brackets is left out where a fact in it is missing; there is no bracket within
 * another.
 */
typedef struct EventText
{
	const char *event;
	const char *text;
} EventText;

static const EventText texts[] = {
	{"approval.given", "deployment {deployment} approved under rule {rule}[: {reason}]"},
	{"approval.refused", "deployment {deployment} refused under rule {rule}[: {reason}]"},
	{"audit.checkpoint", "{rows} earlier events were pruned"},
	{"deployment.aborted", "deployment {deployment} aborted[: {reason}]"},
	{"deployment.approved", "deployment {deployment} approved[: {reason}]"},
	{"deployment.completed", "deployment {deployment} completed[: {reason}]"},
	{"deployment.created", "{action} {deployment} queued: revision {revision}, {bundle} {version}[, by plan {plan}][: {message}]"},
	{"deployment.failed", "deployment {deployment} failed[: {reason}]"},
	{"deployment.lost", "deployment {deployment} lost its worker {worker}[: {reason}]"},
	{"deployment.proposed", "{action} {deployment} proposed: revision {revision}, {bundle} {version}[, by plan {plan}][: {message}]"},
	{"deployment.rejected", "deployment {deployment} rejected[: {reason}]"},
	{"deployment.released", "deployment {deployment} given back by worker {worker}[: {reason}]"},
	{"deployment.started", "deployment {deployment} started by worker {worker}"},
	{"drift.adopted", "drift adopted[ as revision {revision}]"},
	{"drift.dismissed", "drift dismissed[ at {path}][: {reason}]"},
	{"drift.reported", "{differences} differences observed by {source}"},
	{"gate.overridden", "gate {code} overridden for deployment {deployment}: {reason}"},
	{"gates.judged", "gates judged for deployment {deployment}"},
	{"health.reported", "check {check}[ of revision {revision}]: healthy {healthy}"},
	{"idempotency_key.deleted", "idempotency keys forgotten"},
	{"idempotency_key.inserted", "idempotency key noted"},
	{"instance.archived", "archived"},
	{"instance.deleted", "removed"},
	{"instance.inserted", "registered"},
	{"instance.opened", "opened as generation {generation}[, forked from {forked_from}]"},
	{"instance.updated", "registered anew"},
	{"override.reviewed", "override of gate {code} for deployment {deployment} reviewed[: {review}]"},
	{"plan.joined", "plan {deployment} to be deployed, too"},
	{"plan.not_deployed", "plan {deployment} not deployed"},
	{"plan.recorded", "plan {deployment} recorded"},
	{"reference.removed", "remote reference {field} removed"},
	{"reference.set", "remote reference {field} set"},
	{"references.copied", "remote references copied[ from {source}]"},
	{"request.advanced", "advanced[ to wave {wave}][: {reason}]"},
	{"request.blocked", "blocked[ in wave {wave}][: {reason}]"},
	{"request.cancelled", "cancelled[: {reason}]"},
	{"request.completed", "completed"},
	{"request.failed", "failed[ in wave {wave}][: {reason}]"},
	{"request.opened", "opened: {source_environment} to {destination_environment}, {items} components, {strategy}"},
	{"request.paused", "paused[: {reason}]"},
	{"request.previewed", "preview {preview} taken"},
	{"request.resumed", "resumed[: {reason}]"},
	{"request.rolled_back", "rolled back[: {reason}]"},
	{"request.rolling_back", "rolling back[: {reason}]"},
	{"request.skipped", "skipped: there was nothing to do"},
	{"request.started", "started"},
	{"revision.created", "revision {revision}: {origin}[ from {source_environment} revision {source_revision}][: {message}]"},
	{"rollback.rehearsed", "rollback[ to revision {to_revision}] rehearsed"},
	{"secret.removed", "secret {secret} removed"},
	{"secret.set", "secret {secret} set"},
	{"secrets.copied", "secrets copied[ from {source}][: {secrets}]"},
	{"secrets.read", "secrets read for deployment {deployment}[: {secrets}]"},
	{"secrets.rotated", "secrets sealed anew"},
};

/* Compare a word with the event of a text, for bsearch. */
static int
compare_events(const void *event, const void *text)
{
	return strcmp(event, ((const EventText *) text)->event);
}

/* Append a scalar: a string as it is, a truth as a word.  Returns whether it was one that says something. */
static bool
append_scalar(StringInfo out, const JsonbValue *value)
{
	char	   *digits;

	switch (value->type)
	{
		case jbvString:
			append_printable(out, value->val.string.val, value->val.string.len);
			return value->val.string.len > 0;
		case jbvNumeric:
			digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			appendStringInfoString(out, digits);
			return true;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "yes" : "no");
			return true;
		default:
			return false;
	}
}

/* Append a fact; the elements of an array with commas between them.  Returns whether there was one. */
static bool
append_fact(StringInfo out, const JsonbValue *facts, const char *name, int length)
{
	JsonbValue	value;
	bool		said = false;

	if (!json_find(facts, pnstrdup(name, length), &value))
		return false;
	if (!json_is_array(&value))
		return append_scalar(out, &value);
	json_foreach(child, &value)
	{
		if (said)
			appendStringInfoString(out, ", ");
		said |= append_scalar(out, &child.value);
	}
	return said;
}

/* Append a text up to a character or its end, with facts for names; sets whether all were there, returns the end. */
static const char *
append_part(StringInfo out, const char *text, char end, const JsonbValue *facts, bool *whole)
{
	for (*whole = true; *text && *text != end; text++)
		if (*text == '{')
		{
			const char *name = text + 1;

			text = strchr(name, '}');
			if (!append_fact(out, facts, name, text - name))
				*whole = false;
		}
		else if (*text == '[')
		{
			int			before = out->len;
			bool		all;

			text = append_part(out, text + 1, ']', facts, &all);
			if (!all)
			{
				out->len = before;
				out->data[before] = '\0';
			}
		}
		else
			appendStringInfoChar(out, *text);
	return text;
}

/*
 * promote_internal.event_text(event text, facts jsonb) returns text; an event
 * that nothing is known of is its own text
 */
Datum
promote_event_text(PG_FUNCTION_ARGS)
{
	char	   *event = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const EventText *known = bsearch(event, texts, lengthof(texts), sizeof(EventText), compare_events);
	StringInfoData out;
	JsonbValue	facts;
	bool		whole;

	initStringInfo(&out);
	json_root(PG_GETARG_JSONB_P(1), &facts);
	if (known && json_is_object(&facts))
		append_part(&out, known->text, '\0', &facts, &whole);
	else
		append_printable(&out, event, strlen(event));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
