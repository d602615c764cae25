/*
 * release.c: blocking releases and unblocking them.
 *
 * A release is blocked while bundle_release.block_reason is set.  The verbs or an UPDATE may
 * set it, and triggers do the rest.
 *
 * Blocking does not wait for transactions that use the release.  They fail when they commit,
 * see rule_hold.c.
 */
#include "postgres.h"

#include <ctype.h>

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/row.h"
#include "base/trigger.h"
#include "grant/access.h"
#include "ledger/guard.h"
#include "parse/name.h"
#include "parse/version.h"
#include "registry/release.h"
#include "registry/rule_hold.h"

PG_FUNCTION_INFO_V1(promote_block_release);
PG_FUNCTION_INFO_V1(promote_unblock_release);

#define OF_RELEASE(as) as ".bundle = $1 AND " as ".version = $2"

/* ---- reading ---- */

static const SqlField release_fields[] = {
	SQL_FIELDS(Release, "f", version, block_reason),
	SQL_FIELD(Release, schema, "f.params_schema"),
	SQL_FIELD(Release, slots, "f.remote_references")
};
static RowFields release_columns = ROW_FIELDS(release_fields);
static const SqlField version_fields[] = {
	SQL_FIELDS(Release, "f", version)
};
static RowFields version_columns = ROW_FIELDS(version_fields);

/* Read a release, as a snapshot shows it. */
void
release_take(const char *bundle, const char *version, Snapshot snapshot, Release *release)
{
	const RowKey key = {"bundle_release", "bundle_release_pkey", {AS_TEXT(bundle), AS_TEXT(version)}, 2};

	*release = (Release) {NULL};
	if (row_take(&key, ForwardScanDirection, &release_columns, snapshot, release) && JB_ROOT_COUNT(release->slots) == 0)
		release->slots = NULL;
}

/*
 * The version of the newest release that a constraint allows, as a snapshot shows it, by the rule of
 * promote.resolve_release: on the channel stable of those that are no prereleases, and by an exact version of all.
 * NULL: there is none.
 */
char *
release_newest(const char *bundle, const char *version_constraint, const char *release_channel, Snapshot snapshot)
{
	bool		any = strcmp(release_channel, VERSION_DEVELOPMENT) == 0 || isdigit((unsigned char) *version_constraint);
	RowKey		key = {"bundle_release", any ? "bundle_release_sort_key_key" : "bundle_release_stable_idx",
		{AS_TEXT(bundle)}, 1};
	Release		release = {NULL};
	bytea	   *lower;
	bytea	   *upper;

	version_range(version_constraint, &lower, &upper);
	key.bounds[0] = (RowBound) {BTGreaterEqualStrategyNumber, AS_BYTEA(lower)};
	key.bounds[1] = (RowBound) {BTLessStrategyNumber, AS_BYTEA(upper)};
	(void) row_take(&key, BackwardScanDirection, &version_columns, snapshot, &release);
	return release.version;
}

/* ---- refusing and blocking ---- */

/* Refuse a blocked release. */
void
refuse_blocked_release(const char *bundle, const char *version, const char *reason)
{
	ereport(ERROR,
			(errcode(PM_RELEASE_BLOCKED),
			 errmsg("release %s of bundle \"%s\" is blocked", version, bundle),
			 errdetail("The reason given is: %s", reason),
			 errhint("Use another release, or put this one back to use by promote.unblock_release.")));
}

/* The schema of a release's params, in the current memory context; NULL: there is no such release. */
Jsonb *
release_schema(const Sql *sql, const char *bundle, const char *version, bool read_only)
{
	static Statement read = {"SELECT f.params_schema FROM promote.bundle_release AS f"
		" WHERE f.bundle = $1 AND f.version = $2"};
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_TEXT(bundle), AS_TEXT(version));
	Jsonb	   *schema = rows.count > 0 ? DatumGetJsonbPCopy(JsonbPGetDatum(sql_jsonb(&rows, 0))) : NULL;

	/* a walk over a long history asks for many */
	SPI_freetuptable(rows.table);
	return schema;
}

/*
 * Refuse a blocked release now, and refuse to commit if it is blocked by then.  Where many are
 * judged together, what was seen of the last one (NULL: of one alone) is not read again: what
 * happens after that is found at the commit.
 */
void
release_require_unblocked(const Sql *sql, const char *bundle, const char *version, ReleaseSeen *seen)
{
	static Statement read = {"SELECT f.block_reason FROM promote.bundle_release AS f WHERE " OF_RELEASE("f")};
	SqlRows		rows;
	char	   *reason;

	rule_hold(RULE_RELEASE, bundle, version, rule_view());
	if (seen && seen->bundle && strcmp(seen->bundle, bundle) == 0 && strcmp(seen->version, version) == 0)
		return;
	sql_push_latest();
	rows = sql_read(sql, &read, AS_TEXT(bundle), AS_TEXT(version));
	PopActiveSnapshot();
	reason = rows.count > 0 ? sql_text(&rows, 0) : NULL;
	if (reason)
		refuse_blocked_release(bundle, version, reason);
	if (seen)
		*seen = (ReleaseSeen) {bundle, version};
}

/* Refuse a release that does not exist. */
static void
refuse_unknown_release(const char *bundle, const char *version)
{
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("bundle \"%s\" has no release %s", bundle, version),
			 errdetail("There is no such row in promote.bundle_release."),
			 errhint("Check the spelling; a release is named by its whole version, as in 1.2.3.")));
}

/*
 * Set the block reason, or clear it with the message as the reason for that, if it changes.
 * Returns the row.
 */
static Datum
set_block_reason(FunctionCallInfo fcinfo, const char *reason, const char *message)
{
	static Statement set = {"UPDATE promote.bundle_release AS f SET block_reason = $3"
		" WHERE " OF_RELEASE("f") " AND f.block_reason IS DISTINCT FROM $3"};
	static Statement read = {"SELECT f FROM promote.bundle_release AS f WHERE " OF_RELEASE("f")};
	char	   *bundle = argument_required(fcinfo, 0, "bundle");
	char	   *version = argument_required(fcinfo, 1, "version");
	Sql			sql;
	SqlRows		rows;
	Datum		row;

	/* a release belongs to no project */
	access_require_in("admin", NULL, NULL);
	sql_enter(&sql);
	errand_run(&sql, &(Errand) {.message = message}, &set, AS_TEXT(bundle), AS_TEXT(version), AS_TEXT(reason));
	rows = sql_run(&sql, &read, AS_TEXT(bundle), AS_TEXT(version));
	if (rows.count == 0)
		refuse_unknown_release(bundle, version);
	row = SPI_datumTransfer(sql_datum(&rows, 0).value, false, -1);
	sql_leave(&sql);
	return row;
}

/* promote.block_release(bundle text, version text, reason text) returns promote.bundle_release */
Datum
promote_block_release(PG_FUNCTION_ARGS)
{
	return set_block_reason(fcinfo, argument_required(fcinfo, 2, "reason"), NULL);
}

/* promote.unblock_release(bundle text, version text, message text) returns promote.bundle_release */
Datum
promote_unblock_release(PG_FUNCTION_ARGS)
{
	return set_block_reason(fcinfo, NULL, argument_text(fcinfo, 2));
}

/* Refuse a version that is registered already, with another artifact or with none. */
static void
require_artifact(const Sql *sql, const char *bundle, const char *version, const char *digest)
{
	/* registrations of one bundle follow each other, so that none is overlooked */
	static Statement lock = {"SELECT FROM promote.bundle AS b WHERE b.bundle = $1 FOR NO KEY UPDATE"};
	static Statement read = {"SELECT f.artifact_digest FROM promote.bundle_release AS f WHERE " OF_RELEASE("f")
		" AND f.artifact_digest IS DISTINCT FROM $3"};
	SqlRows		rows;
	const char *registered;

	(void) sql_run(sql, &lock, AS_TEXT(bundle));
	rows = sql_run(sql, &read, AS_TEXT(bundle), AS_TEXT(version), AS_TEXT(digest));
	if (rows.count == 0)
		return;
	registered = sql_text(&rows, 0);
	ereport(ERROR,
			(errcode(PM_OTHER_ARTIFACT),
			 errmsg("release %s of bundle \"%s\" is registered with another artifact", version, bundle),
			 registered ? errdetail("It is registered with %s, not with %s.", registered, digest) :
			 errdetail("It is registered without an artifact digest, not with %s.", digest),
			 errhint("What a version consists of never changes: publish another version.")));
}

/*
 * promote_internal.check_artifact() returns trigger
 *
 * BEFORE INSERT of bundle_release, for each row: an INSERT that says ON CONFLICT DO NOTHING
 * comes by here, too, and must not believe that its artifact is what was registered.
 */
Datum
TRIGGER_FUNCTION(promote_check_artifact)
{
	TriggerData *data = trigger_data(fcinfo, "bundle_release", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);
	char	   *digest = trigger_text(data, data->tg_trigtuple, "artifact_digest");
	Sql			sql;

	if (digest == NULL)
		return PointerGetDatum(data->tg_trigtuple);
	sql_enter(&sql);
	require_artifact(&sql, trigger_text(data, data->tg_trigtuple, "bundle"),
					 trigger_text(data, data->tg_trigtuple, "version"), digest);
	sql_leave(&sql);
	return PointerGetDatum(data->tg_trigtuple);
}

/* Append to the chain why a release was blocked or unblocked. */
static void
record_block(const Sql *sql, const char *bundle, const char *version, const char *block_reason)
{
	static Statement record = {"INSERT INTO promote.release_event (bundle, version, seq, event, reason)"
		" SELECT $1, $2, COALESCE((SELECT e.seq FROM promote.release_event AS e WHERE " OF_RELEASE("e")
		"  ORDER BY e.bundle DESC, e.version DESC, e.seq DESC LIMIT 1), 0) + 1, $3, $4"};

	guarded_run(sql, &record, AS_TEXT(bundle), AS_TEXT(version), AS_TEXT(block_reason ? "blocked" : "unblocked"),
				AS_TEXT(block_reason ? block_reason : errand()->message));
}

/*
 * promote_internal.record_release() returns trigger
 *
 * AFTER UPDATE of bundle_release, for each row: records that the release was blocked or
 * unblocked.  Transactions that relied on its block state or its stateful types fail when they
 * commit.
 */
Datum
TRIGGER_FUNCTION(promote_record_release)
{
	TriggerData *data = trigger_data(fcinfo, "bundle_release", TRIGGER_EVENT_AFTER | TRIGGER_EVENT_ROW);
	char	   *reason;
	char	   *bundle;
	char	   *version;
	bool		moved;
	bool		retyped;
	Sql			sql;

	if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		return PointerGetDatum(NULL);
	moved = trigger_differs(data, "block_reason");
	retyped = trigger_differs(data, "stateful_types");
	if (!moved && !retyped)
		return PointerGetDatum(NULL);
	reason = trigger_text(data, data->tg_newtuple, "block_reason");
	bundle = trigger_text(data, data->tg_trigtuple, "bundle");
	version = trigger_text(data, data->tg_trigtuple, "version");
	sql_enter(&sql);
	if (moved)
		record_block(&sql, bundle, version, reason);
	if (retyped || (moved && reason))
		rule_changed(&sql, RULE_RELEASE, RULE_RELEASES, bundle, version);
	sql_leave(&sql);
	return PointerGetDatum(NULL);
}

/* Refuse a constraint that no release of the bundle satisfies.  The error lists the newest releases. */
void
refuse_no_release(const Sql *sql, const char *bundle, const char *version_constraint,
				  const char *release_channel)
{
	static Statement newest = {"SELECT r.version FROM promote.bundle_release AS r"
		" WHERE r.bundle = $1 ORDER BY r.bundle DESC, r.sort_key DESC LIMIT 5"};
	SqlRows		rows = sql_run(sql, &newest, AS_TEXT(bundle));

	ereport(ERROR,
			(errcode(PM_NO_RELEASE),
			 errmsg("no release of bundle \"%s\" matches %s%s", bundle, version_constraint,
					strcmp(release_channel, VERSION_DEVELOPMENT) == 0 ? "+dev" : ""),
			 rows.count == 0 ? errdetail("The bundle has no releases.") :
			 errdetail("The newest releases are %s.", names_joined(sql_texts(&rows))),
			 rows.count == 0 ? errhint("Publish one by promote.publish_release.") :
			 errhint("Use a constraint that one of them satisfies; prereleases need +dev behind it.")));
}
