/*
 * environment.c: what verbs of whole environments have in common.
 */
#include "postgres.h"

#include "funcapi.h"

#include "base/batch.h"
#include "base/errors.h"
#include "base/result.h"
#include "environment/environment.h"
#include "json/builder.h"
#include "registry/instance.h"

/*
 * Lock all instances of an environment, in key order and behind whoever rescues one of them.  Raises 40001 where the
 * transaction's snapshot does not show one.
 */
void
environment_lock_instances(const Sql *sql, const InstanceKey *key)
{
	static Statement read = {"SELECT i.component FROM promote.instance AS i"
		" WHERE i.project = $1 AND i.environment = $2 ORDER BY i.component"};
	SqlRows		rows = sql_run(sql, &read, AS_ENVIRONMENT(key));
	InstanceKey *keys = palloc(Max(rows.count, 1) * sizeof(InstanceKey));
	bool	   *locked;

	for (uint64 i = 0; i < rows.count; i++)
		keys[i] = (InstanceKey) {key->project, key->environment, sql_text(&rows, i)};
	locked = rows.count > 0 ? instances_lock(sql, keys, rows.count, true) : NULL;
	for (uint64 i = 0; i < rows.count; i++)
		if (!locked[i])
			refuse_unseen();
}

/* Append an event to the chain of each instance, which is locked.  It covers the rows of it that were written. */
void
environment_tell(const Sql *sql, const char *event, const ToldInstance *instances, int count)
{
	Batch		batch;

	audit_begin_batch(&batch);
	for (int i = 0; i < count; i++)
	{
		const AuditEntry entry = {event, instances[i].facts};
		char	   *subject = instance_key_name(&instances[i].key);
		AuditHead	head;

		audit_read_head(instances[i].key.project, subject, &head);
		audit_put(&batch, &head, instances[i].key.project, subject, &entry, 1);
	}
	audit_write(sql, &batch);
}

/* ---- deploying ---- */

/* Make the elements of the set, one for each component that is not left out. */
static void
take_elements(const EnvironmentScope *scope, const Jsonb *expected, Deploying *deploying)
{
	int			count = 0;

	for (int i = 0; i < scope->count; i++)
		count += scope->list[i].code == NULL;
	set_make(&deploying->set, count);
	deploying->expected = palloc_extended((count + 1) * sizeof(NullableDatum), MCXT_ALLOC_HUGE);
	count = 0;
	for (int i = 0; i < scope->count; i++)
	{
		const ScopeComponent *component = &scope->list[i];
		Element    *element = &deploying->set.elements[count];

		if (component->code)
			continue;
		element->key = scope_instance(&scope->source, component);
		element->name = instance_key_name(&element->key);
		deploying->expected[count++] = scope_expected(expected, component->component);
	}
}

/* A diff without changes. */
static Jsonb *
no_changes(void)
{
	JsonBuilder builder;

	json_begin_array(&builder);
	return json_builder_finish(&builder);
}

/* Put the row of a component that is not left out. */
static void
put_element(FunctionCallInfo fcinfo, const char *component, const Element *element)
{
	const char *code = element->sqlstate != 0 ? unpack_sql_state(element->sqlstate) : NULL;
	const Jsonb *diff = element->sqlstate != 0 ? NULL : element->diff ? element->diff : no_changes();

	result_put(fcinfo, AS_TEXT(component), AS_BOOL(element->queued), AS_NUMBER(element->revision),
			   AS_NUMBER(element->number), AS_JSONB(diff), AS_TEXT(code), AS_TEXT(element->problem));
}

/*
 * Deploy, decommission or preview what is not left out of the scope, and put a row for each component of it.  expected
 * has the revisions that are expected, by component.
 */
void
environment_deploy(FunctionCallInfo fcinfo, const EnvironmentScope *scope, const Jsonb *expected, Deploying *deploying)
{
	const Element *element;

	scope_check_keys(scope, expected, "expected revisions");
	InitMaterializedSRF(fcinfo, 0);
	take_elements(scope, expected, deploying);
	deploying->details = true;
	deploy_set_run(deploying);
	element = deploying->set.elements;
	for (int i = 0; i < scope->count; i++)
	{
		const ScopeComponent *component = &scope->list[i];

		if (component->code)
			result_put(fcinfo, AS_TEXT(component->component), AS_BOOL(false), AS_NUMBER(0), AS_NUMBER(0),
					   AS_JSONB(NULL), AS_TEXT(component->code), AS_TEXT(component->problem));
		else
			put_element(fcinfo, component->component, element++);
	}
}
