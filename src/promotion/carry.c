/*
 * carry.c: what a promotion carries besides params.
 *
 * Remote references are configuration: plans show how they differ from those that run, and
 * deployments carry them.  Secrets are sealed again for the destination (secret.h); nothing but
 * their names and what happened to each is shown.
 */
#include "postgres.h"

#include "base/sql.h"
#include "compose/entry.h"
#include "parse/name.h"
#include "promotion/carry.h"
#include "registry/remote_reference.h"
#include "secret/secret.h"

#define NAMES_MAX_BYTES 3000	/* told to listeners: a notification has at most 8000 */

/* ---- what changes ---- */

/* Does a promotion change secrets, or would it? */
bool
carry_has_secrets(const ProposedRevision *proposed)
{
	ListCell   *cell;

	foreach(cell, proposed->copied_secrets)
		if (secret_is_copied(lfirst(cell)))
			return true;
	return false;
}

/* Does a promotion change references, as they are written, or would it? */
bool
carry_has_references(const ProposedRevision *proposed)
{
	return differing_references(reference_declared(proposed->set_references, proposed->slots),
								proposed->written_references) != NIL;
}

/* Find which running references the proposal, which is checked, replaces, and note them in it. */
void
carry_judge(const Sql *sql, ProposedRevision *proposed, bool read_only)
{
	proposed->replaced = reference_replaced(sql, &proposed->key, proposed->slots, proposed->references,
											read_only);
	if (proposed->replaced != NIL)
		proposed->proposal.destructive = true;
}

/* Add names to the notification, as many as fit; no field if there are none. */
static void
add_names(JsonBuilder *builder, const List *names, const char *key)
{
	int			bytes = 0;
	ListCell   *cell;

	if (names == NIL)
		return;
	json_build_array_field(builder, key);
	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		bytes += strlen(name) + strlen("\"\", ");
		if (bytes <= NAMES_MAX_BYTES)
			json_build_string(builder, name, strlen(name));
	}
	json_build_end_array(builder);
}

/* The names of references that the last plan has otherwise, and of secrets that change, for listeners; NULL: none. */
Jsonb *
carry_names(const ProposedRevision *proposed)
{
	List	   *references = differing_references(proposed->plan_references, proposed->references);
	List	   *secrets = NIL;
	JsonBuilder	builder;
	ListCell   *cell;

	foreach(cell, proposed->copied_secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		if (secret_is_copied(copy))
			secrets = lappend(secrets, unconstify(char *, copy->name));
	}
	if (references == NIL && secrets == NIL)
		return NULL;
	json_begin_object(&builder);
	add_names(&builder, references, "references");
	add_names(&builder, secrets, "secrets");
	return json_builder_finish(&builder);
}

/* ---- carrying ---- */

/* Append what was copied to the destination's chain.  builder holds facts that are not ended yet. */
static void
record_copy(const Sql *sql, ProposedRevision *proposed, const char *event, JsonBuilder *builder)
{
	AuditEntry	entry = {event};

	entry.data = json_builder_finish(builder);
	audit_append(sql, &proposed->head, proposed->key.project, proposed->proposal.instance, &entry, 1);
}

/* Begin the facts of a copy: who copied from where. */
static void
begin_copy(JsonBuilder *builder, const InstanceKey *source)
{
	audit_begin(builder);
	json_build_field(builder, "source", instance_key_name(source));
}

/* The slots in which copying references would replace what runs without permission: a list of char *. */
static List *
find_refused(const Sql *sql, const ProposedRevision *proposed, const Entries *changes, const Jsonb *references,
			 bool read_only)
{
	List	   *refused = NIL;
	const List *replaced;

	if (proposed->proposal.allow_replace || changes->count == 0)
		return NIL;
	replaced = reference_replaced(sql, &proposed->key, proposed->slots, references, read_only);
	for (Size i = 0; i < changes->count; i++)
		if (names_hold(replaced, entry_name(&changes->list[i])))
			refused = lappend(refused, unconstify(char *, entry_name(&changes->list[i])));
	return refused;
}

/* Of an object, which may be NULL, the fields of those names; NULL where none is left. */
static Jsonb *
keep_named(const Jsonb *object, const List *names)
{
	JsonBuilder builder;
	ListCell   *cell;
	JsonbValue	value;
	Jsonb	   *kept;

	if (object == NULL)
		return NULL;
	json_begin_object(&builder);
	foreach(cell, names)
		if (json_find_in(object, lfirst(cell), &value))
		{
			json_build_key(&builder, lfirst(cell), strlen(lfirst(cell)));
			json_build_value(&builder, &value);
		}
	kept = json_builder_finish(&builder);
	return JB_ROOT_COUNT(kept) > 0 ? kept : NULL;
}

/*
 * The slots that nothing fills: a list of char *.  By what is set, for the proposal may have been
 * given what would be carried before, as that of a request is.
 */
static List *
empty_slots(const ProposedRevision *proposed)
{
	List	   *empty = NIL;
	JsonbValue	value;

	if (proposed->slots)
		json_foreach_in(slot, &proposed->slots->root)
		{
			char	   *field = pnstrdup(slot.key.val.string.val, slot.key.val.string.len);

			if (proposed->set_references == NULL || !json_find_in(proposed->set_references, field, &value))
				empty = lappend(empty, field);
		}
	return empty;
}

/*
 * Of references that would fill empty slots, those that replace nothing of what runs, or all
 * where that is allowed; NULL: none.
 */
static Jsonb *
keep_harmless(const Sql *sql, const ProposedRevision *proposed, Jsonb *references, bool read_only)
{
	List	   *harmless = NIL;
	const List *replaced;

	if (references == NULL || proposed->proposal.allow_replace)
		return references;
	replaced = reference_replaced(sql, &proposed->key, proposed->slots,
								  reference_render(&proposed->key,
												   reference_over(proposed->written_references, references),
												   proposed->proposal.parameters, NULL, NULL), read_only);
	json_foreach_in(reference, &references->root)
	{
		char	   *field = pnstrdup(reference.key.val.string.val, reference.key.val.string.len);

		if (!names_hold(replaced, field))
			harmless = lappend(harmless, field);
	}
	return keep_named(references, harmless);
}

/*
 * What of the source's references goes along unasked, as it means the same everywhere: those to
 * siblings, for slots that nothing fills, neither now nor in what runs; NULL: none.
 */
static Jsonb *
siblings_along(const Sql *sql, const Carry *carry, const InstanceKey *source, const ProposedRevision *proposed,
			   bool read_only)
{
	List	   *empty = carry->only ? NIL : empty_slots(proposed);

	if (empty == NIL)
		return NULL;
	return keep_harmless(sql, proposed, keep_named(reference_siblings(reference_own(sql, source, read_only)), empty),
						 read_only);
}

/* Has a promotion anything to carry besides params? */
bool
carry_is_needed(const Sql *sql, const Carry *carry, const InstanceKey *source, const ProposedRevision *proposed,
				bool read_only)
{
	return carry->secrets || carry->references || siblings_along(sql, carry, source, proposed, read_only) != NULL;
}

/* Copy references, for slots that the destination's release declares: all, or those that go along unasked. */
static void
take_references(const Sql *sql, Carry *carry, const InstanceKey *source, ProposedRevision *proposed, bool write)
{
	Jsonb	   *present;
	Jsonb	   *copied = carry->references ? NULL : siblings_along(sql, carry, source, proposed, !write);
	List	   *problems = NIL;
	Entries		changes = {NULL};
	JsonBuilder	builder;

	if (proposed->slots == NULL || (copied == NULL && !carry->references))
		return;
	/* read now, because the proposal may be from before the references of an earlier call */
	proposed->set_references = reference_read(sql, &proposed->key, !write);
	present = reference_declared(proposed->set_references, proposed->slots);
	if (carry->references)
		copied = reference_declared(reference_own(sql, source, !write), proposed->slots);
	if (carry->only)
		copied = keep_named(copied, carry->only->references);
	carry->source_references = copied;
	proposed->written_references = reference_over(present, copied);
	/* what is stored has its placeholders, for each environment has parameters of its own */
	entries_add_references(&changes, present, proposed->written_references, NIL);
	carry->refused = find_refused(sql, proposed, &changes,
								  reference_render(&proposed->key, proposed->written_references,
												   proposed->proposal.parameters, NULL, &problems), !write);
	if (changes.count > 0 && write)
	{
		if (carry->refused != NIL)
			refuse_replaced(&proposed->key, carry->refused);
		reference_require_rendered(problems);
		(void) reference_store(sql, &proposed->key, copied);
		begin_copy(&builder, source);
		json_build_document(&builder, "references", entries_document(&changes));
		record_copy(sql, proposed, "references.copied", &builder);
		proposed->carried = true;
	}
}

/* The secrets that the release declares. */
static Jsonb *
read_declared(const Sql *sql, const ProposedRevision *proposed, bool read_only)
{
	static Statement read = {"SELECT f.secrets FROM promote.bundle_release AS f WHERE f.bundle = $1 AND f.version = $2"};
	SqlRows		rows = sql_read_if(sql, read_only, &read, AS_TEXT(proposed->proposal.bundle),
								   AS_TEXT(proposed->proposal.version));

	return sql_jsonb(&rows, 0);
}

/* Copy secrets that the destination's release declares. */
static void
take_secrets(const Sql *sql, const Carry *carry, const InstanceKey *source, ProposedRevision *proposed, bool write)
{
	JsonBuilder	builder;
	ListCell   *cell;

	proposed->copied_secrets = secret_copy(sql, source, &proposed->key, read_declared(sql, proposed, !write),
										   carry->only ? carry->only->secrets : NIL, write ? proposed->revision : 0,
										   carried_began(proposed->proposal.runs));
	if (!write || !carry_has_secrets(proposed))
		return;
	begin_copy(&builder, source);
	json_build_array_field(&builder, "secrets");
	foreach(cell, proposed->copied_secrets)
	{
		const SecretCopy *copy = lfirst(cell);

		json_build_begin_object(&builder);
		json_build_field(&builder, "name", copy->name);
		json_build_field(&builder, "change", secret_change_word(copy->change));
		json_build_end_object(&builder);
	}
	record_copy(sql, proposed, "secrets.copied", &builder);
	proposed->carried = true;
}

/* Why the secret of a name cannot be copied; NULL: it can, or is the destination's own. */
static const char *
secret_problem(const List *copies, const char *name)
{
	ListCell   *cell;

	foreach(cell, copies)
	{
		const SecretCopy *copy = lfirst(cell);

		if (strcmp(copy->name, name) == 0)
			return copy->change == SECRET_UNDECLARED ? "the release does not declare it" :
				copy->change == SECRET_MISSING ? "neither side has it" : NULL;
	}
	return "neither side has it";
}

/* Note the secrets and remote references that are named, are to be copied and cannot be, as neither side has them. */
void
carry_check_only(const Sql *sql, const Carry *carry, Only *only, const InstanceKey *source,
				 const ProposedRevision *proposed, bool read_only)
{
	const List *slots = carry->references ? only->references : NIL;
	const List *secrets = carry->secrets ? only->secrets : NIL;
	Jsonb	   *references = NULL;
	List	   *copies = NIL;
	const char *problem;
	JsonbValue	value;
	ListCell   *cell;

	if (slots != NIL)
		references = reference_declared(reference_over(reference_read(sql, &proposed->key, read_only),
													   reference_own(sql, source, read_only)), proposed->slots);
	if (secrets != NIL)
		copies = secret_copy(sql, source, &proposed->key, read_declared(sql, proposed, read_only), secrets, 0,
								 carried_began(proposed->proposal.runs));
	foreach(cell, slots)
		if (references == NULL || !json_find_in(references, lfirst(cell), &value))
			only_complain(only, entry_path(ENTRY_REFERENCE, lfirst(cell)),
						  "neither side has it, for a slot of the release");
	foreach(cell, secrets)
		if ((problem = secret_problem(copies, lfirst(cell))) != NULL)
			only_complain(only, entry_path(ENTRY_SECRET, lfirst(cell)), problem);
}

/*
 * Carry what was asked for from the source to a proposal's instance, under the locks of both.
 * If write is false, only note in the proposal what would happen.
 */
void
carry_take(const Sql *sql, Carry *carry, const InstanceKey *source, ProposedRevision *proposed, bool write)
{
	take_references(sql, carry, source, proposed, write);
	if (carry->secrets)
		take_secrets(sql, carry, source, proposed, write);
}
