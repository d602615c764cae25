/*
 * script.c: which version of the install script the library serves.
 *
 * The version of the script is that of the extension, as pg_extension has it.  A backend keeps
 * it until something is made or changed in the catalog that the script of an update would make
 * or change: a function or a relation.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/script.h"

/* The library's version, which the Makefile takes from promote.control; who only looks at the source has none. */
#ifndef PROMOTE_VERSION
#define PROMOTE_VERSION ""
#endif
#define LIBRARY PROMOTE_VERSION
#define OLDEST "0.1.0"			/* script that the library serves: doc/how-to/change-the-schema.md */

/* The script's version in this database. */
static struct
{
	bool		known;
	bool		served;			/* the library does */
	char		text[32];
} script;

/* Forget it.  A SyscacheCallbackFunction. */
static void
forget(Datum unused, int cache, uint32 hash)
{
	script.known = script.served = false;
}

/* A version as a number that grows with it; 0 where it is not three numbers, as all of promote's are. */
static int64
number_of(const char *version)
{
	int			part[3];
	int			end = 0;

	if (sscanf(version, "%5d.%5d.%5d%n", &part[0], &part[1], &part[2], &end) != 3 || version[end] != '\0')
		return 0;
	return (part[0] * INT64CONST(100000) + part[1]) * 100000 + part[2];
}

/* Read the extension's version from the catalog.  Where there is no extension, nothing stands against the library. */
static void
read_version(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull = true;
	Datum		version = (Datum) 0;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("promote"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		version = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(extensions), &isnull);
	strlcpy(script.text, isnull ? LIBRARY : TextDatumGetCString(version), sizeof(script.text));
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
}

/*
 * The script's version.  While a script runs it is not kept: what was read may be rolled back
 * without a word.
 */
static const char *
script_version(void)
{
	static bool watched = false;

	if (script.known)
		return script.text;
	if (!watched)
	{
		CacheRegisterSyscacheCallback(PROCOID, forget, (Datum) 0);
		CacheRegisterSyscacheCallback(RELOID, forget, (Datum) 0);
		watched = true;
	}
	read_version();
	script.known = !creating_extension;
	return script.text;
}

/* Refuse a script that is newer than the library, PM_LIBRARY_BEHIND. */
static void
refuse_newer(void)
{
	if (number_of(script_version()) > number_of(LIBRARY))
		ereport(ERROR,
				(errcode(PM_LIBRARY_BEHIND),
				 errmsg("the extension promote is of version %s in this database, and the library that is loaded of %s",
						script.text, LIBRARY),
				 errdetail("A library serves what is as old as it is, or older."),
				 errhint("Have the package of version %s or newer on this server, and connect again.", script.text)));
}

/*
 * Refuse a script that the library does not serve.  Called by all that runs SQL, so it costs
 * nothing while the version is known.
 */
void
script_check(void)
{
	if (script.served)
		return;
	refuse_newer();
	/* the script of an update may call what only its end makes complete */
	if (!creating_extension)
		script_need(OLDEST);
	script.served = script.known;
}

/*
 * Refuse a newer script when the library is being loaded for a function that is to be called: so that a
 * function which a newer script knows, and the library does not, is no riddle.  At the start
 * of the server or of a session there is no function to be called, and nobody is kept out.
 */
void
script_check_loading(void)
{
	if (!IsParallelWorker() && IsTransactionState() && IsNormalProcessingMode() && OidIsValid(MyDatabaseId))
		refuse_newer();
}

/* Is the script of that version, or newer? */
bool
script_has(const char *version)
{
	return number_of(script_version()) >= number_of(version);
}

/* Refuse a script that is older than a version, PM_SCRIPT_BEHIND. */
void
script_need(const char *version)
{
	if (!script_has(version))
		ereport(ERROR,
				(errcode(PM_SCRIPT_BEHIND),
				 errmsg("the extension promote is of version %s in this database, and this needs %s",
						script.text, version),
				 errdetail("The library that is loaded is of version %s.", LIBRARY),
				 errhint("Have the extension's owner run, in this database: ALTER EXTENSION promote UPDATE")));
}
