/*
 * sensitive.c: what a plan itself says is secret.
 *
 * A plan notes what is sensitive place by place, and not at every place where
 * a value is: what a provider computed of a sensitive argument, such as the
 * output of terraform_data, has no note.  So values that are noted anywhere,
 * of resources, outputs and variables, are secrets of the whole document.
 *
 * Nothing is refused here: what is not of the form that is expected has no
 * secrets, and terraform/document.c says so where it matters.  Pure.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "json/reader.h"
#include "terraform/change.h"

/* The value under two keys, one in the other; false if there is none. */
static bool
find_below(const JsonbValue *value, const char *first, const char *second, JsonbValue *found)
{
	JsonbValue	between;

	return json_is_object(value) && json_find(value, first, &between) &&
		json_is_object(&between) && json_find(&between, second, found);
}

/* Add what a change notes. */
static void
add_change(Secrets *secrets, const JsonbValue *change)
{
	PlanSides	sides;

	if (!json_is_object(change))
		return;
	plan_sides_read(change, &sides);
	secrets_add_marked(secrets, &sides.before,
					   plan_marks(&sides.before, &sides.before_sensitive, NULL), PLAN_SENSITIVE);
	secrets_add_marked(secrets, &sides.after,
					   plan_marks(&sides.after, &sides.after_sensitive, NULL), PLAN_SENSITIVE);
}

/* Add what a list of changes notes; within is the key of each one's resource, or NULL. */
static void
add_changes(Secrets *secrets, const JsonbValue *plan, const char *key, const char *within)
{
	JsonbValue	list,
				change;

	if (!json_find(plan, key, &list) || !json_is_array(&list))
		return;
	json_foreach(item, &list)
	{
		CHECK_FOR_INTERRUPTS();
		if (!json_is_object(&item.value) || (within && !json_find(&item.value, within, &item.value)))
			continue;
		if (json_is_object(&item.value) && json_find(&item.value, "change", &change))
			add_change(secrets, &change);
	}
}

/* Add what changes of outputs note. */
static void
add_outputs(Secrets *secrets, const JsonbValue *plan)
{
	JsonbValue	outputs;

	if (!json_find(plan, "output_changes", &outputs) || !json_is_object(&outputs))
		return;
	json_foreach(child, &outputs)
		add_change(secrets, &child.value);
}

/* Add the values of variables that the configuration declares sensitive. */
static void
add_variables(Secrets *secrets, const JsonbValue *plan)
{
	JsonMark	whole = {.flags = PLAN_SENSITIVE};
	JsonJoin	join;
	JsonbValue	configuration,
				declared,
				values,
				value;

	if (!json_find(plan, "configuration", &configuration) ||
		!find_below(&configuration, "root_module", "variables", &declared) ||
		!json_is_object(&declared) ||
		!json_find(plan, "variables", &values) || !json_is_object(&values))
		return;
	json_join_init(&join, &declared, &values);
	while (json_join_next(&join))
		if (join.left && join.right && json_is_object(join.left) && json_is_object(join.right) &&
			json_flag(join.left, "sensitive") &&
			json_find(join.right, "value", &value))
			secrets_add_marked(secrets, &value, &whole, PLAN_SENSITIVE);
}

/*
 * The secrets of a plan, an object, in the current memory context; the
 * document must live as long as they.
 */
Secrets *
plan_secrets(const JsonbValue *plan)
{
	Secrets    *secrets = secrets_create(SECRETS_DERIVED);

	add_changes(secrets, plan, "resource_changes", NULL);
	add_changes(secrets, plan, "resource_drift", NULL);
	add_changes(secrets, plan, "deferred_changes", "resource_change");
	add_outputs(secrets, plan);
	add_variables(secrets, plan);
	secrets_finish(secrets);
	return secrets;
}
