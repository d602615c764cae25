/*
 * release.c: releases that are taken out of use, and put back.
 *
 * bundle_release.block_reason is the one place that says whether a release is
 * blocked; it may be set by an UPDATE as well as by the verbs, and triggers
 * do the rest.
 *
 * Whoever blocks a release waits for nothing that is under way with it: that
 * fails at its commit, see rule.c.
 */
#include "postgres.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "registry/release.h"
#include "registry/rule.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(promote_block_release);
PG_FUNCTION_INFO_V1(promote_unblock_release);
PG_FUNCTION_INFO_V1(promote_record_release);

#define OF_RELEASE(as) as ".bundle = $1 AND " as ".version = $2"

/* What is said while the verb unblocks, for the trigger that records; NULL: nothing. */
static const char *unblock_message = NULL;

/* Refuse a release that was taken out of use. */
void
refuse_blocked_release(const char *bundle, const char *version, const char *reason)
{
	ereport(ERROR,
			(errcode(PM_RELEASE_BLOCKED),
			 errmsg("release %s of bundle \"%s\" is blocked", version, bundle),
			 errdetail("The reason given is: %s", reason),
			 errhint("Use another release, or put this one back to use by promote.unblock_release.")));
	pg_unreachable();
}

/*
 * Refuse to go on with a blocked release, and to commit where it is blocked
 * by then.  Runs inside a scope of spi.h.
 */
void
release_require_unblocked(const char *bundle, const char *version)
{
	static Statement read = {
		.text = "SELECT f.block_reason FROM promote.bundle_release AS f"
		" WHERE " OF_RELEASE("f"),
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	Datum		values[2] = {CStringGetTextDatum(bundle), CStringGetTextDatum(version)};
	char	   *reason;

	rule_hold_release(bundle, version, rule_view());
	spi_push_latest();
	statement_run(&read, values, NULL, true);
	PopActiveSnapshot();
	reason = SPI_processed > 0 ? spi_text(SPI_tuptable, 0, 1) : NULL;
	if (reason)
		refuse_blocked_release(bundle, version, reason);
}

/* Refuse a release that is not there. */
static void
refuse_unknown_release(const char *bundle, const char *version)
{
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("bundle \"%s\" has no release %s", bundle, version),
			 errdetail("There is no such row in promote.bundle_release."),
			 errhint("Check the spelling; a release is named by its whole version, as in 1.2.3.")));
}

/* Set the block reason, or clear it, where it is another one; returns the row. */
static Datum
set_block_reason(FunctionCallInfo fcinfo, const char *reason)
{
	static Statement set = {
		.text = "UPDATE promote.bundle_release AS f SET block_reason = $3"
		" WHERE " OF_RELEASE("f") " AND f.block_reason IS DISTINCT FROM $3",
		.parameters = 3,
		.types = {TEXTOID, TEXTOID, TEXTOID}
	};
	static Statement read = {
		.text = "SELECT f FROM promote.bundle_release AS f WHERE " OF_RELEASE("f"),
		.parameters = 2,
		.types = {TEXTOID, TEXTOID}
	};
	char	   *bundle = argument_required(fcinfo, 0, "bundle");
	char	   *version = argument_required(fcinfo, 1, "version");
	Datum		values[3] = {CStringGetTextDatum(bundle), CStringGetTextDatum(version)};
	bool		nulls[3] = {[2] = reason == NULL};
	SpiScope	scope;
	Datum		row;
	bool		isnull;

	/* a release belongs to no project */
	access_require_in("admin", NULL, NULL);
	if (reason)
		values[2] = CStringGetTextDatum(reason);
	spi_enter(&scope);
	statement_run(&set, values, nulls, false);
	statement_run(&read, values, NULL, false);
	if (SPI_processed == 0)
		refuse_unknown_release(bundle, version);
	row = SPI_datumTransfer(spi_value(SPI_tuptable, 0, 1, &isnull), false, -1);
	spi_leave(&scope);
	return row;
}

/* promote.block_release(bundle text, version text, reason text) returns promote.bundle_release */
Datum
promote_block_release(PG_FUNCTION_ARGS)
{
	return set_block_reason(fcinfo, argument_required(fcinfo, 2, "reason"));
}

/* promote.unblock_release(bundle text, version text, message text) returns promote.bundle_release */
Datum
promote_unblock_release(PG_FUNCTION_ARGS)
{
	volatile Datum row = (Datum) 0;

	unblock_message = argument_text(fcinfo, 2);
	PG_TRY();
	{
		row = set_block_reason(fcinfo, NULL);
	}
	PG_FINALLY();
	{
		unblock_message = NULL;
	}
	PG_END_TRY();
	return row;
}

/* The block reason of one of a trigger's rows; NULL: none. */
static char *
reason_of(TriggerData *data, HeapTuple row)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);

	return SPI_getvalue(row, row_type, SPI_fnumber(row_type, "block_reason"));
}

/* Has the update another value of a column? */
static bool
differs(TriggerData *data, const char *column)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	char	   *before = SPI_getvalue(data->tg_trigtuple, row_type, SPI_fnumber(row_type, column));
	char	   *after = SPI_getvalue(data->tg_newtuple, row_type, SPI_fnumber(row_type, column));

	return before == NULL || after == NULL ? before != after : strcmp(before, after) != 0;
}

/* The key of the trigger's release, as a statement's first parameters. */
static void
release_values(TriggerData *data, Datum *values)
{
	TupleDesc	row_type = RelationGetDescr(data->tg_relation);
	bool		isnull;

	values[0] = SPI_getbinval(data->tg_trigtuple, row_type, SPI_fnumber(row_type, "bundle"), &isnull);
	values[1] = SPI_getbinval(data->tg_trigtuple, row_type, SPI_fnumber(row_type, "version"), &isnull);
}

/* Append that a release was blocked, or unblocked, for a reason; runs inside a scope of spi.h. */
static void
record_block(TriggerData *data, Datum *values)
{
	static Statement record = {
		.text = "INSERT INTO promote.release_event (bundle, version, seq, event, reason)"
		" SELECT $1, $2, COALESCE((SELECT e.seq FROM promote.release_event AS e WHERE " OF_RELEASE("e")
		"  ORDER BY e.bundle DESC, e.version DESC, e.seq DESC LIMIT 1), 0) + 1, $3, $4",
		.parameters = 4,
		.types = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	char	   *block_reason = reason_of(data, data->tg_newtuple);
	const char *reason = block_reason ? block_reason : unblock_message;
	bool		nulls[4] = {[3] = reason == NULL};

	values[2] = CStringGetTextDatum(block_reason ? "blocked" : "unblocked");
	values[3] = reason ? CStringGetTextDatum(reason) : (Datum) 0;
	guarded_run(&record, values, nulls);
}

/*
 * promote_internal.record_release() returns trigger
 *
 * AFTER UPDATE of bundle_release, for each row: records that it was blocked
 * or unblocked, and holds who was judged by it to what it is now: blocked, or
 * with other types that hold data.
 */
Datum
promote_record_release(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo, "record_release", "bundle_release",
									 TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	Datum		values[4];
	SpiScope	scope;
	bool		moved;
	bool		retyped;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(NULL);
	moved = differs(data, "block_reason");
	retyped = differs(data, "stateful_types");
	if (!moved && !retyped)
		return PointerGetDatum(NULL);
	release_values(data, values);
	spi_enter(&scope);
	if (moved)
		record_block(data, values);
	if (retyped || (moved && reason_of(data, data->tg_newtuple)))
		rule_release_changed(TextDatumGetCString(values[0]), TextDatumGetCString(values[1]));
	spi_leave(&scope);
	return PointerGetDatum(NULL);
}

/* The newest releases of a bundle, for a message; "" where it has none. */
static char *
newest_releases(const char *bundle)
{
	static Statement newest = {
		.text = "SELECT r.version::pg_catalog.text FROM promote.bundle_release AS r"
		" WHERE r.bundle = $1 ORDER BY r.bundle DESC, r.sort_key DESC LIMIT 5",
		.parameters = 1,
		.types = {TEXTOID}
	};
	Datum		values[1] = {CStringGetTextDatum(bundle)};
	StringInfoData versions;

	statement_run(&newest, values, NULL, false);
	initStringInfo(&versions);
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&versions, "%s%s", i > 0 ? ", " : "", spi_text(SPI_tuptable, i, 1));
	return versions.data;
}

/*
 * Refuse a constraint that no release of the bundle satisfies, listing the
 * newest there are.  Runs inside a scope of spi.h.
 */
void
refuse_no_release(const char *bundle, const char *version_constraint,
				  const char *release_channel)
{
	const char *dev = strcmp(release_channel, "development") == 0 ? "+dev" : "";
	char	   *versions = newest_releases(bundle);

	if (versions[0] == '\0')
		ereport(ERROR,
				(errcode(PM_NO_RELEASE),
				 errmsg("no release of bundle \"%s\" matches %s%s", bundle,
						version_constraint, dev),
				 errdetail("The bundle has no releases."),
				 errhint("Publish one: INSERT INTO promote.bundle_release.")));
	ereport(ERROR,
			(errcode(PM_NO_RELEASE),
			 errmsg("no release of bundle \"%s\" matches %s%s", bundle,
					version_constraint, dev),
			 errdetail("The newest releases are %s.", versions),
			 errhint("Use a constraint that one of them satisfies; prereleases need +dev behind it.")));
}
