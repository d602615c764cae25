/*
 * configure.c: editing what an instance desires, in place.
 */
#include "postgres.h"

#include "errors.h"
#include "json/merge.h"
#include "stage.h"
#include "version.h"

#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(promote_configure_instance);

/* The empty object. */
static Jsonb *
empty_object(void)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
}

/*
 * What the instance is to desire: its params with the patch on top; its
 * version constraint and channel, unless others are given; latest where it
 * has none yet.
 */
static void
compose_edit(const Desired *desired, const char *version_constraint, Staging *staging)
{
	char	   *constraint;
	bool		development;

	staging->params = json_merge(desired->revision ? desired->params : empty_object(),
								 staging->overrides, JSON_NULL_REMOVES);
	if (version_constraint)
	{
		version_parse_constraint(version_constraint, &constraint, &development);
		staging->version_constraint = constraint;
		staging->release_channel = development ? "development" : "stable";
	}
	else
	{
		staging->version_constraint = desired->revision ? desired->version_constraint : "latest";
		staging->release_channel = desired->revision ? desired->release_channel : "stable";
	}
}

/*
 * promote.configure_instance(instance text, patch jsonb, version_constraint
 * text, message text, expected_revision integer, plan boolean, allow_replace
 * boolean) returns a row, see sql/configure.sql
 */
Datum
promote_configure_instance(PG_FUNCTION_ARGS)
{
	Staging		staging = {
		.origin = "edit",
		.message = argument_text(fcinfo, 3),
		.plan = argument_bool(fcinfo, 5, true),
		.allow_replace = argument_bool(fcinfo, 6, false)
	};
	Desired		desired;
	SpiScope	scope;
	Staged		staged;

	argument_instance(fcinfo, 0, "instance", &staging.key);
	staging.overrides = argument_params(fcinfo, 1, "patch");
	spi_enter(&scope);
	stage_lock(&staging.key, true);
	stage_read(&staging.key, false, &desired);
	stage_check_revision(&staging.key, &desired, PG_ARGISNULL(4) ? -1 : PG_GETARG_INT32(4));
	compose_edit(&desired, argument_text(fcinfo, 2), &staging);
	stage_write(&staging, &desired, scope.caller, &staged);
	staged.destination = MemoryContextStrdup(scope.caller, staged.destination);
	spi_leave(&scope);
	return stage_result(fcinfo, &staged);
}
