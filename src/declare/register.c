/*
 * register.c: verbs of the registry.
 *
 * Their arguments are columns, see call.c.  What may be registered is said by the tables.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/argument.h"
#include "declare/declare.h"

PG_FUNCTION_INFO_V1(promote_register_project);
PG_FUNCTION_INFO_V1(promote_register_environment);
PG_FUNCTION_INFO_V1(promote_set_environment_rules);
PG_FUNCTION_INFO_V1(promote_register_bundle);
PG_FUNCTION_INFO_V1(promote_publish_release);
PG_FUNCTION_INFO_V1(promote_register_component);
PG_FUNCTION_INFO_V1(promote_set_dependency);
PG_FUNCTION_INFO_V1(promote_register_instance);
PG_FUNCTION_INFO_V1(promote_set_promotion_path);
PG_FUNCTION_INFO_V1(promote_set_attributes);
PG_FUNCTION_INFO_V1(promote_remove_project);
PG_FUNCTION_INFO_V1(promote_remove_environment);
PG_FUNCTION_INFO_V1(promote_remove_bundle);
PG_FUNCTION_INFO_V1(promote_remove_release);
PG_FUNCTION_INFO_V1(promote_remove_component);
PG_FUNCTION_INFO_V1(promote_remove_dependency);
PG_FUNCTION_INFO_V1(promote_remove_instance);
PG_FUNCTION_INFO_V1(promote_remove_promotion_path);

/* promote.register_project(...) returns promote.declaration */
Datum
promote_register_project(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "project", NULL, DECLARE_MERGE);
}

/* promote.register_environment(...) returns promote.declaration */
Datum
promote_register_environment(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "environment", NULL, DECLARE_MERGE);
}

/* promote.set_environment_rules(...) returns promote.declaration */
Datum
promote_set_environment_rules(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "environment", "rules", DECLARE_EXISTING);
}

/* promote.register_bundle(...) returns promote.declaration */
Datum
promote_register_bundle(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "bundle", NULL, DECLARE_MERGE);
}

/* promote.publish_release(...) returns promote.declaration */
Datum
promote_publish_release(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "bundle_release", NULL, DECLARE_WHOLE);
}

/* promote.register_component(...) returns promote.declaration */
Datum
promote_register_component(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "component", NULL, DECLARE_MERGE);
}

/* promote.set_dependency(...) returns promote.declaration */
Datum
promote_set_dependency(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "component_dependency", NULL, DECLARE_MERGE);
}

/* promote.register_instance(...) returns promote.declaration */
Datum
promote_register_instance(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "instance", NULL, DECLARE_MERGE);
}

/* promote.set_promotion_path(...) returns promote.declaration */
Datum
promote_set_promotion_path(PG_FUNCTION_ARGS)
{
	return declare_call(fcinfo, "promotion_path", NULL, DECLARE_MERGE);
}

/*
 * promote.set_attributes(attributes jsonb, project text, environment text, component text) returns promote.declaration
 *
 * What is named by all that is given has the attributes.
 */
Datum
promote_set_attributes(PG_FUNCTION_ARGS)
{
	static const char *const kinds[] = {"project", "environment", "component", "instance"};

	if (PG_ARGISNULL(0))
		argument_missing("attributes");
	return declare_call(fcinfo, kinds[(PG_ARGISNULL(2) ? 0 : 1) + (PG_ARGISNULL(3) ? 0 : 2)], "register",
						DECLARE_EXISTING);
}

/* promote.remove_project(...) returns promote.declaration */
Datum
promote_remove_project(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "project");
}

/* promote.remove_environment(...) returns promote.declaration */
Datum
promote_remove_environment(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "environment");
}

/* promote.remove_bundle(...) returns promote.declaration */
Datum
promote_remove_bundle(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "bundle");
}

/* promote.remove_release(...) returns promote.declaration */
Datum
promote_remove_release(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "bundle_release");
}

/* promote.remove_component(...) returns promote.declaration */
Datum
promote_remove_component(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "component");
}

/* promote.remove_dependency(...) returns promote.declaration */
Datum
promote_remove_dependency(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "component_dependency");
}

/* promote.remove_instance(...) returns promote.declaration */
Datum
promote_remove_instance(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "instance");
}

/* promote.remove_promotion_path(...) returns promote.declaration */
Datum
promote_remove_promotion_path(PG_FUNCTION_ARGS)
{
	return declare_gone_call(fcinfo, "promotion_path");
}
