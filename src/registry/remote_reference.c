/*
 * remote_reference.c: remote references, which fill the input slots of instances.
 *
 * A release declares slots, such as "network".  For each instance, a reference fills a slot:
 * the name or URI of something that another project or system provides, never a secret.  The
 * rows here are what is desired now.  Each deployment carries a copy of them, so a worker gets
 * what was reviewed, and what runs is known.
 *
 * component://network/vpc is a reference to a sibling: the instance of that component in the same
 * environment, wherever the reference is.  Its name takes the component's place when the
 * reference is rendered: component://ecomm-staging-network/vpc.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/argument.h"
#include "base/ascii.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/trigger.h"
#include "grant/actor.h"
#include "grant/grants.h"
#include "json/reader.h"
#include "json/render.h"
#include "ledger/audit.h"
#include "ledger/guard.h"
#include "registry/instance.h"
#include "registry/release.h"
#include "registry/remote_reference.h"

PG_FUNCTION_INFO_V1(promote_check_slots);
PG_FUNCTION_INFO_V1(promote_check_reference);
PG_FUNCTION_INFO_V1(promote_check_reference_defaults);
PG_FUNCTION_INFO_V1(promote_desired_references);
PG_FUNCTION_INFO_V1(promote_set_remote_reference);
PG_FUNCTION_INFO_V1(promote_remove_remote_reference);

#define FIELD_MAX_LENGTH 63
#define REFERENCE_MAX_LENGTH 2048
#define SIBLING_SCHEME "component://"

/* ---- what a release declares ---- */

/* Refuse a declaration of slots. */
static void
refuse_slots(const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("not a declaration of slots for remote references"),
			 errdetail("%s", detail),
			 errhint("Declare them as in {\"network\": {\"required\": true, \"description\": \"where it is\"}}.")));
}

/* Is it a valid name for a slot? */
static bool
is_field(const char *name, int length)
{
	return length <= FIELD_MAX_LENGTH && ascii_is_word(name, length, "-_") && name[0] != '-';
}

/* Check the declaration of one slot. */
static void
check_slot(const JsonbValue *slot)
{
	if (!json_is_object(slot))
		refuse_slots("What is said of a slot has to be an object.");
	json_foreach(said, slot)
		if (json_string_is(&said.key, "required") ? said.value.type != jbvBool :
			!json_string_is(&said.key, "description") || said.value.type != jbvString)
			refuse_slots("Of a slot is said whether it is \"required\", true or false, and its \"description\", a string.");
}

/* promote_internal.check_slots(slots jsonb) returns boolean: true, or an error that says what is wrong */
Datum
promote_check_slots(PG_FUNCTION_ARGS)
{
	JsonbValue	slots = json_view(PG_GETARG_JSONB_P(0));

	if (!json_is_object(&slots))
		refuse_slots("They have to be an object, with a key for each slot.");
	json_foreach(slot, &slots)
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_field(slot.key.val.string.val, slot.key.val.string.len))
			refuse_slots("A slot's name has 1 to 63 letters, digits, dashes and underscores, and does not begin with a dash.");
		check_slot(&slot.value);
	}
	PG_RETURN_BOOL(true);
}

/* Does the release declare that slot? */
static bool
has_slot(const Jsonb *slots, const char *field)
{
	JsonbValue	slot;

	return slots &&
		getKeyJsonValueFromContainer(&unconstify(Jsonb *, slots)->root, field, strlen(field), &slot) != NULL;
}

/* The keys of an object: a list of char *, in the document's order. */
static List *
key_names(const Jsonb *object)
{
	List	   *names = NIL;

	json_foreach_in(child, &object->root)
		names = lappend(names, pnstrdup(child.key.val.string.val, child.key.val.string.len));
	return names;
}

/* ---- references, as values ---- */

/* Does a URI contain a password, as postgres://user:password@host does? */
static bool
has_password(const char *reference)
{
	const char *authority = strstr(reference, "://");
	const char *end;

	if (authority == NULL)
		return false;
	authority += strlen("://");
	/* the last @ ends what is said of the user, as most readers have it */
	for (end = authority + strcspn(authority, "/?#"); end > authority && end[-1] != '@';)
		end--;
	return memchr(authority, ':', end - authority) != NULL;
}

/* Why a text is no valid reference; NULL: it is one. */
static const char *
reference_problem(const char *reference)
{
	size_t		length = strlen(reference);

	if (length == 0 || length > REFERENCE_MAX_LENGTH)
		return "It has to have 1 to 2048 bytes.";
	for (const char *c = reference; *c; c++)
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			return "It holds control characters.";
	if (reference[0] == ' ' || reference[length - 1] == ' ')
		return "It begins or ends with a space.";
	if (has_password(reference))
		return "It is a URI with a password.";
	return NULL;
}

/*
 * The component that a text refers to as a sibling, with the length of its name; NULL: it is no
 * such reference.  What has a dash is the name of an instance, which needs no environment.
 */
static const char *
sibling_of(const char *reference, size_t *length)
{
	const char *name = reference + strlen(SIBLING_SCHEME);

	if (strncmp(reference, SIBLING_SCHEME, strlen(SIBLING_SCHEME)) != 0)
		return NULL;
	*length = strcspn(name, "/?#");
	return memchr(name, '-', *length) ? NULL : name;
}

/* Refuse an invalid reference.  The error does not show it, because it may be a secret. */
static void
require_reference(const char *reference)
{
	const char *problem = reference_problem(reference);

	if (problem)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("not a remote reference"),
				 errdetail("%s", problem),
				 errhint("Pass the name or the URI of what fills the slot; what must not be seen is a secret's affair.")));
}

/* promote_internal.check_reference(reference text) returns boolean: true, or an error that says what is wrong */
Datum
promote_check_reference(PG_FUNCTION_ARGS)
{
	require_reference(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_BOOL(true);
}

/* Refuse defaults for slots. */
static void
refuse_defaults(const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("not defaults for remote references"),
			 errdetail("%s", detail),
			 errhint("Write them as in {\"network\": \"component://network/vpc\"}.")));
}

/* promote_internal.check_reference_defaults(defaults jsonb) returns boolean: true, or an error */
Datum
promote_check_reference_defaults(PG_FUNCTION_ARGS)
{
	JsonbValue	defaults = json_view(PG_GETARG_JSONB_P(0));

	if (!json_is_object(&defaults))
		refuse_defaults("They have to be an object, with a key for each slot.");
	json_foreach(reference, &defaults)
	{
		const JsonbValue *value = &reference.value;

		CHECK_FOR_INTERRUPTS();
		if (!is_field(reference.key.val.string.val, reference.key.val.string.len))
			refuse_defaults("A slot's name has 1 to 63 letters, digits, dashes and underscores, and does not begin with a dash.");
		if (value->type != jbvString)
			refuse_defaults("What fills a slot has to be a text.");
		require_reference(pnstrdup(value->val.string.val, value->val.string.len));
	}
	PG_RETURN_BOOL(true);
}

/* The references that fill slots which a release declares; NULL: none. */
Jsonb *
reference_declared(const Jsonb *references, const Jsonb *slots)
{
	JsonBuilder	builder;
	JsonbValue	root;
	Jsonb	   *declared;

	if (references == NULL || slots == NULL)
		return NULL;
	json_root(references, &root);
	json_begin_object(&builder);
	json_foreach(reference, &root)
	{
		if (!findJsonbValueFromContainer(&unconstify(Jsonb *, slots)->root, JB_FOBJECT, &reference.key))
			continue;
		json_build_key(&builder, reference.key.val.string.val, reference.key.val.string.len);
		json_build_value(&builder, &reference.value);
	}
	declared = json_builder_finish(&builder);
	return JB_ROOT_COUNT(declared) > 0 ? declared : NULL;
}

/* Merge two sets of references; fields of both take the value of the second set.  NULL is an empty set. */
Jsonb *
reference_over(const Jsonb *references, const Jsonb *over)
{
	JsonBuilder	builder;

	if (references == NULL && over == NULL)
		return NULL;
	json_begin_object(&builder);
	json_build_fields(&builder, references);
	json_build_fields(&builder, over);
	return json_builder_finish(&builder);
}

/* The references without one field; NULL where none is left. */
static Jsonb *
reference_without(const Jsonb *references, const char *field)
{
	Jsonb	   *rest = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(references),
														  CStringGetTextDatum(field)));

	return JB_ROOT_COUNT(rest) > 0 ? rest : NULL;
}

/* A set with one reference. */
static Jsonb *
reference_alone(const char *field, const char *reference)
{
	JsonBuilder	builder;

	json_begin_object(&builder);
	json_build_field(&builder, field, reference);
	return json_builder_finish(&builder);
}

/* Those of a set of references that are to siblings; NULL: none. */
Jsonb *
reference_siblings(const Jsonb *references)
{
	JsonBuilder	builder;
	JsonbValue	root;
	Jsonb	   *siblings;
	size_t		length;

	if (references == NULL)
		return NULL;
	json_root(references, &root);
	json_begin_object(&builder);
	json_foreach(reference, &root)
	{
		const JsonbValue *value = &reference.value;

		if (sibling_of(pnstrdup(value->val.string.val, value->val.string.len), &length) == NULL)
			continue;
		json_build_key(&builder, reference.key.val.string.val, reference.key.val.string.len);
		json_build_value(&builder, value);
	}
	siblings = json_builder_finish(&builder);
	return JB_ROOT_COUNT(siblings) > 0 ? siblings : NULL;
}

/* A set of references, which may be NULL, with the names of siblings in the environment of an instance. */
static Jsonb *
resolve_siblings(const InstanceKey *key, const Jsonb *references)
{
	Jsonb	   *siblings = reference_siblings(references);
	JsonBuilder	builder;
	JsonbValue	root;

	if (siblings == NULL)
		return unconstify(Jsonb *, references);
	json_root(siblings, &root);
	json_begin_object(&builder);
	json_foreach(reference, &root)
	{
		const char *text = pnstrdup(reference.value.val.string.val, reference.value.val.string.len);
		size_t		length = 0;
		const char *component = sibling_of(text, &length);
		char	   *resolved = psprintf(SIBLING_SCHEME "%s-%s-%s", key->project, key->environment, component);

		json_build_key(&builder, reference.key.val.string.val, reference.key.val.string.len);
		json_build_string(&builder, resolved, strlen(resolved));
	}
	return reference_over(references, json_builder_finish(&builder));
}

/*
 * A set of references, which may be NULL, with components in the place of the instances of the same environment that
 * they name.  What resolves siblings is undone, so that environments that are wired alike have equal references.
 */
Jsonb *
reference_relative(const InstanceKey *key, const Jsonb *references)
{
	char	   *own = psprintf(SIBLING_SCHEME "%s-%s-", key->project, key->environment);
	JsonBuilder	builder;
	JsonbValue	root;

	if (references == NULL)
		return NULL;
	json_root(references, &root);
	json_begin_object(&builder);
	json_foreach(reference, &root)
	{
		char	   *text = pnstrdup(reference.value.val.string.val, reference.value.val.string.len);
		const char *component = text + strlen(own);

		if (strncmp(text, own, strlen(own)) == 0 && !memchr(component, '-', strcspn(component, "/?#")))
			text = psprintf(SIBLING_SCHEME "%s", component);
		json_build_key(&builder, reference.key.val.string.val, reference.key.val.string.len);
		json_build_string(&builder, text, strlen(text));
	}
	return json_builder_finish(&builder);
}

/* What a rendered value is as a reference; NULL: no text. */
static char *
rendered_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		default:
			return NULL;
	}
}

/* Add a reason to a list of them, unless that is NULL; the sentence is taken over. */
static void
add_problem(List **problems, int sqlstate, const char *message)
{
	ReferenceProblem *problem;

	if (problems == NULL)
		return;
	problem = palloc(sizeof(ReferenceProblem));
	*problem = (ReferenceProblem) {sqlstate, message};
	*problems = lappend(*problems, problem);
}

/* References as they are rendered. */
typedef struct Rendering
{
	JsonbValue	templates;
	JsonbValue	rendered;
	JsonbValue	seen;			/* rendered without what the mask holds */
	Mask	   *mask;			/* NULL: nobody is shown what comes out */
	bool		looks;			/* may parameters be among them that must not be seen? */
	List	  **problems;		/* NULL: nobody asks for them */
} Rendering;

/* The parameters without those that are sensitive, or whose value a mask holds (NULL: none does). */
static Jsonb *
parameters_seen(const Jsonb *parameters, Mask *mask)
{
	JsonBuilder	builder;
	JsonbValue	root = json_view(parameters);

	json_begin_object(&builder);
	json_foreach(parameter, &root)
	{
		if ((mask && mask_holds(mask, &parameter.value)) ||
			json_is_sensitive_variable(parameters, parameter.key.val.string.val, parameter.key.val.string.len))
			continue;
		json_build_key(&builder, parameter.key.val.string.val, parameter.key.val.string.len);
		json_build_value(&builder, &parameter.value);
	}
	json_build_end_object(&builder);
	return json_builder_finish(&builder);
}

/* Does a reference show what is sensitive, or the mask holds, in a placeholder or as a whole? */
static bool
is_sensitive(const Rendering *rendering, const JsonbValue *field, const JsonbValue *rendered)
{
	JsonbValue	template;
	JsonbValue	seen;

	if (!rendering->looks || !json_find_key(&rendering->templates, field, &template) ||
		json_equal(&template, rendered))
		return false;
	return (rendering->mask && mask_holds(rendering->mask, rendered)) ||
		!json_find_key(&rendering->seen, field, &seen) || !json_equal(&seen, rendered);
}

/* What a reference is once it is rendered; NULL: nothing that may be, for a reason that is noted. */
static char *
render_one(const Rendering *rendering, const JsonbValue *field, const JsonbValue *rendered)
{
	char	   *text = rendered_text(rendered);
	const char *problem = text ? reference_problem(text) : "It is no text.";
	char	   *slot = pnstrdup(field->val.string.val, field->val.string.len);

	if (problem)
		add_problem(rendering->problems, PM_INVALID_PLACEHOLDER,
					psprintf("What fills the slot \"%s\" is no remote reference once it is rendered. %s", slot, problem));
	if (is_sensitive(rendering, field, rendered))
	{
		add_problem(rendering->problems, PM_SENSITIVE_REFERENCE,
					psprintf("What fills the slot \"%s\" has a parameter whose value is sensitive.", slot));
		return NULL;
	}
	return problem ? NULL : text;
}

/* Begin to render references that have placeholders; what cannot be rendered is noted. */
static void
begin_rendering(const Jsonb *references, const Jsonb *parameters, Rendering *rendering)
{
	List	   *found;
	ListCell   *cell;

	json_root(references, &rendering->templates);
	json_root(json_render_noting(references, parameters, &found), &rendering->rendered);
	foreach(cell, found)
		add_problem(rendering->problems, PM_INVALID_PLACEHOLDER, lfirst(cell));
	rendering->looks = rendering->mask || json_has_sensitive_variables(parameters);
	if (rendering->looks)
		json_root(json_render_noting(references, parameters_seen(parameters, rendering->mask), &found),
				  &rendering->seen);
}

/*
 * The references of an instance with its environment's parameters in the place of their
 * placeholders, and the names of its siblings in the place of components.  A
 * reference stays as it is that cannot be rendered, or is none then, or would show what the mask
 * holds (NULL: nobody is shown it); why is added to problems, as ReferenceProblem *, unless that
 * is NULL.  NULL is an empty set.
 */
Jsonb *
reference_render(const InstanceKey *key, const Jsonb *references, const Jsonb *parameters, Mask *mask,
				 List **problems)
{
	Rendering	rendering = {.mask = mask,.problems = problems};
	JsonBuilder	builder;

	if (references == NULL || !json_has_placeholders(references))
		return resolve_siblings(key, references);
	begin_rendering(references, parameters, &rendering);
	json_begin_object(&builder);
	json_foreach(reference, &rendering.rendered)
	{
		char	   *text = render_one(&rendering, &reference.key, &reference.value);
		JsonbValue	template;

		json_build_key(&builder, reference.key.val.string.val, reference.key.val.string.len);
		if (text)
			json_build_string(&builder, text, strlen(text));
		else if (json_find_key(&rendering.templates, &reference.key, &template))
			json_build_value(&builder, &template);
	}
	return resolve_siblings(key, json_builder_finish(&builder));
}

/* Refuse references that would show what must not be seen, with all sentences about them. */
pg_noreturn static void
refuse_sensitive(const char *sentences)
{
	ereport(ERROR,
			(errcode(PM_SENSITIVE_REFERENCE),
			 errmsg("remote references would show sensitive values"),
			 errdetail_internal("%s", sentences),
			 errhint("References are shown everywhere: give them other parameters; what must not be seen is a secret's affair.")));
}

/* Refuse references that cannot be deployed, for these reasons; NIL: there are none. */
void
reference_require_rendered(const List *problems)
{
	StringInfoData detail;
	ListCell   *cell;
	bool		sensitive = false;

	if (problems == NIL)
		return;
	initStringInfo(&detail);
	foreach(cell, problems)
	{
		const ReferenceProblem *problem = lfirst(cell);

		appendStringInfo(&detail, "%s%s", detail.len > 0 ? "\n" : "", problem->message);
		sensitive |= problem->sqlstate == PM_SENSITIVE_REFERENCE;
	}
	if (sensitive)
		refuse_sensitive(detail.data);
	ereport(ERROR,
			(errcode(PM_INVALID_PLACEHOLDER),
			 errmsg("the placeholders of remote references cannot be rendered"),
			 errdetail_internal("%s", detail.data),
			 errhint("Give the instance's environment the parameters named above, or write \\{{ for braces that are meant literally.")));
}

/* Are two sets equal?  NULL is an empty set. */
bool
reference_same(const Jsonb *a, const Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE(a) == VARSIZE(b) && memcmp(&a->root, &b->root, VARSIZE(a) - VARHDRSZ) == 0;
}

/* ---- the rows ---- */

/* What one statement says of an instance's references, as a copy. */
static Jsonb *
read_references(const Sql *sql, Statement *read, const InstanceKey *key, bool read_only)
{
	SqlRows		rows = sql_read_if(sql, read_only, read, AS_KEY(key));
	Jsonb	   *references = sql_jsonb(&rows, 0);

	if (references)
		references = DatumGetJsonbPCopy(JsonbPGetDatum(references));
	SPI_freetuptable(rows.table);
	return references;
}

#define OWN_REFERENCES "(SELECT pg_catalog.jsonb_object_agg(r.field, r.reference) FROM promote.remote_reference AS r" \
	" WHERE " OF_INSTANCE("r") ")"

/*
 * The references of an instance, whatever release declares their slots: its own ones, over the
 * defaults of its environment; NULL: none.  The result is a copy.
 */
Jsonb *
reference_read(const Sql *sql, const InstanceKey *key, bool read_only)
{
	static Statement read = {"SELECT NULLIF(COALESCE((SELECT e.reference_defaults FROM promote.environment AS e"
		" WHERE e.project = $1 AND e.environment = $2), '{}') || COALESCE(" OWN_REFERENCES ", '{}'), '{}')"};

	return read_references(sql, &read, key, read_only);
}

/* The references that are set of an instance itself; NULL: none.  The result is a copy. */
Jsonb *
reference_own(const Sql *sql, const InstanceKey *key, bool read_only)
{
	static Statement read = {"SELECT " OWN_REFERENCES};

	return read_references(sql, &read, key, read_only);
}

/*
 * The slots whose reference differs from one that may run: those of the last PROVISION, or of
 * one that began after it.  A slot counts only if both that deployment's release and the new
 * release declare it.  Returns a list of char *, in order.
 */
List *
reference_replaced(const Sql *sql, const InstanceKey *key, const Jsonb *slots, const Jsonb *references,
				   bool read_only)
{
	static Statement read = {"SELECT s.field FROM promote_internal.replaced_slots($1, $2, $3, $4, $5) AS s (field)"};
	SqlRows		rows;
	List	   *fields;

	if (slots == NULL)
		return NIL;
	rows = sql_read_if(sql, read_only, &read, AS_KEY(key), AS_JSONB(slots), AS_JSONB(references));
	fields = sql_texts(&rows);
	SPI_freetuptable(rows.table);
	return fields;
}

/* Refuse to replace the references that run in these slots. */
void
refuse_replaced(const InstanceKey *key, const List *fields)
{
	ereport(ERROR,
			(errcode(PM_REFERENCE_FIXED),
			 errmsg("remote references of \"%s\" are fixed while it is provisioned", instance_key_name(key)),
			 errdetail("What runs has others in: %s.", names_joined(fields)),
			 errhint("Pass allow_replace => true if what runs may be replaced.")));
}

/*
 * Write references, and leave the instance's others as they are; false where nothing changed.
 * The caller holds the instance's lock.
 */
bool
reference_store(const Sql *sql, const InstanceKey *key, const Jsonb *references)
{
	static Statement store = {"INSERT INTO promote.remote_reference AS r (project, environment, component, field, reference,"
		" actor, database_role, moved_by, moved_role) SELECT $1, $2, $3, x.key, x.value, $5, $6, $7, $8"
		" FROM pg_catalog.jsonb_each_text($4) AS x (key, value) ORDER BY x.key COLLATE \"C\""
		" ON CONFLICT (project, environment, component, field) DO UPDATE SET reference = EXCLUDED.reference,"
		" actor = EXCLUDED.actor, database_role = EXCLUDED.database_role, moved_by = EXCLUDED.moved_by,"
		" moved_role = EXCLUDED.moved_role, set_at = EXCLUDED.set_at"
		" WHERE r.reference <> EXCLUDED.reference"};
	Asking		asked = asking();

	return references && guarded_run(sql, &store, AS_KEY(key), AS_JSONB(references), AS_ASKING(&asked)).count > 0;
}

/* Delete a reference. */
static void
reference_delete(const Sql *sql, const InstanceKey *key, const char *field)
{
	static Statement take = {"DELETE FROM promote.remote_reference AS r WHERE " OF_INSTANCE("r") " AND r.field = $4"};

	guarded_run(sql, &take, AS_KEY(key), AS_TEXT(field));
}

/* ---- the verbs ---- */

/* A slot of an instance, for the verbs. */
typedef struct Slot
{
	InstanceKey key;
	char	   *field;
	int32		revision;		/* the desired one; 0: none */
	char	   *version_constraint;
	char	   *release_channel;
	char	   *bundle;
	char	   *version;		/* the release that would be deployed */
	Jsonb	   *slots;			/* declared by that release; NULL: none */
	char	   *reference;		/* the present one of its own; NULL: none */
	Jsonb	   *parameters;		/* of the environment, like what follows */
	Jsonb	   *default_reference;	/* for this slot alone; NULL: none */
	Jsonb	   *references;		/* those of all declared slots, rendered; NULL: none */
} Slot;

static const SqlField slot_fields[] = {
	SQL_FIELDS(Slot, "i", revision, version_constraint, release_channel, bundle, version, slots),
	SQL_FIELD(Slot, parameters, "promote_internal.parameters_of(i.project, i.environment)"),
	SQL_FIELD(Slot, default_reference, "(SELECT pg_catalog.jsonb_build_object($4, e.reference_defaults -> $4)"
			  " FROM promote.environment AS e WHERE e.project = i.project AND e.environment = i.environment"
			  " AND e.reference_defaults ? $4)"),
	SQL_FIELD(Slot, reference, "(SELECT r.reference FROM promote.remote_reference AS r WHERE " OF_INSTANCE("r") " AND r.field = $4)")
};

/*
 * Lock the instance, and read the slots of the release that would be deployed and the present
 * references.  Raises PM_NOT_FOUND, PM_NOT_CONFIGURED and PM_NO_RELEASE.
 */
static void
open_slot(const Sql *sql, Slot *slot)
{
	static Statement read = SQL_ROWS(slot_fields, "SELECT $* FROM promote_internal.instance_release AS i WHERE " OF_INSTANCE("i"));
	SqlRows		rows;

	instance_lock(sql, &slot->key, true);
	rows = sql_run(sql, &read, AS_KEY(&slot->key), AS_TEXT(slot->field));
	(void) sql_row(&rows, 0, slot);
	if (slot->revision == 0)
		refuse_unconfigured(&slot->key, "Configure it first, with promote.configure_instance: its release says which slots it has.");
	if (slot->version == NULL)
		refuse_no_release(sql, slot->bundle, slot->version_constraint, slot->release_channel);
	if (slot->slots)
		slot->references = reference_render(&slot->key,
											reference_declared(reference_read(sql, &slot->key, false), slot->slots),
											slot->parameters, NULL, NULL);
}

/* Refuse a slot that the release does not declare. */
static void
refuse_undeclared(const Slot *slot)
{
	ereport(ERROR,
			(errcode(PM_UNDECLARED),
			 errmsg("release %s %s has no slot \"%s\"", slot->bundle, slot->version, slot->field),
			 slot->slots ?
			 errdetail("It declares: %s.", names_joined(key_names(slot->slots))) :
			 errdetail("It declares none."),
			 errhint("Correct the name, or desire a release that declares it.")));
}

/* Refuse a change that would replace the running reference of the slot, unless allow_replace. */
static void
check_replaced(const Sql *sql, const Slot *slot, const Jsonb *references, bool allow_replace)
{
	if (!allow_replace &&
		names_hold(reference_replaced(sql, &slot->key, slot->slots, references, false), slot->field))
		refuse_replaced(&slot->key, list_make1(slot->field));
}

/* What an instance desires, as far as it says what must not be seen. */
typedef struct SlotParams
{
	Jsonb	   *params;
	Jsonb	   *kept;			/* paths that stay marked, see mask.h; NULL: none */
	Jsonb	   *schema;			/* of the release that would be deployed */
	Jsonb	   *own_schema;		/* of the release that they were judged by */
} SlotParams;

static const SqlField slot_params_fields[] = {
	SQL_FIELD(SlotParams, params, "c.params"),
	SQL_FIELD(SlotParams, kept, "r.kept_marks"),
	SQL_FIELD(SlotParams, schema, "(SELECT f.params_schema FROM promote.bundle_release AS f WHERE f.bundle = $5 AND f.version = $6)"),
	SQL_FIELD(SlotParams, own_schema, "(SELECT f.params_schema FROM promote.bundle_release AS f"
			  " WHERE f.bundle = r.bundle AND f.version = r.version)")
};

/* What of an instance's desired params must not be seen; NULL: it has none, after an incomplete restore. */
static Mask *
params_mask(const Sql *sql, const Slot *slot)
{
	static Statement read = SQL_ROWS(slot_params_fields, "SELECT $* FROM promote.revision AS r"
									 " JOIN promote.config AS c ON c.project = r.project AND c.digest = r.digest"
									 " WHERE " OF_INSTANCE("r") " AND r.revision = $4");
	SqlRows		rows = sql_run(sql, &read, AS_KEY(&slot->key), AS_INT(slot->revision), AS_TEXT(slot->bundle),
							   AS_TEXT(slot->version));
	SlotParams	of;
	Mask	   *mask;

	if (!sql_row(&rows, 0, &of))
		return NULL;
	mask = mask_create(of.schema);
	mask_add_schema(mask, of.own_schema);
	mask_add_both(mask, of.params, slot->parameters, of.kept);
	return mask;
}

/* Refuse a reference to a sibling that the instance's environment does not have, or to the instance itself. */
static void
require_sibling(const Sql *sql, const InstanceKey *key, const char *reference)
{
	static Statement read = {"SELECT FROM promote.instance AS i WHERE " OF_INSTANCE("i")};
	size_t		length;
	const char *component = sibling_of(reference, &length);
	InstanceKey sibling = *key;

	/* a placeholder is judged by the gate, as is what is gone since */
	if (component == NULL || strstr(reference, "{{"))
		return;
	sibling.component = pnstrdup(component, length);
	if (strcmp(sibling.component, key->component) != 0 && sql_run(sql, &read, AS_KEY(&sibling)).count > 0)
		return;
	ereport(ERROR,
			(errcode(PM_NOT_FOUND),
			 errmsg("\"%s\" has no sibling \"%s\"", instance_key_name(key), sibling.component),
			 strcmp(sibling.component, key->component) == 0 ?
			 errdetail("It is of that component itself.") :
			 errdetail("Environment \"%s\" of project \"%s\" has no instance of component \"%s\".", key->environment,
					   key->project, sibling.component),
			 errhint("Write component:// and the name of another component of the same environment, as in component://network/vpc.")));
}

/* Append to the instance's chain what happened to the slot. */
static void
record_slot(const Sql *sql, const Slot *slot, const char *event, const char *reference)
{
	JsonBuilder	builder;

	audit_begin(&builder);
	json_build_field(&builder, "field", slot->field);
	if (slot->reference)
		json_build_field(&builder, "old", slot->reference);
	if (reference)
		json_build_field(&builder, "new", reference);
	audit_note_facts(sql, slot->key.project, instance_key_name(&slot->key), event, &builder);
}

/*
 * promote.set_remote_reference(instance text, field text, reference text,
 * allow_replace boolean) returns boolean
 */
Datum
promote_set_remote_reference(PG_FUNCTION_ARGS)
{
	Slot		slot = {.field = argument_required(fcinfo, 1, "field")};
	char	   *reference = argument_required(fcinfo, 2, "reference");
	Sql			sql;
	Jsonb	   *set;
	Jsonb	   *rendered;
	List	   *problems = NIL;
	bool		changed;

	require_reference(reference);
	argument_instance_for(fcinfo, 0, "instance", "configure", &slot.key);
	sql_enter(&sql);
	open_slot(&sql, &slot);
	if (!has_slot(slot.slots, slot.field))
		refuse_undeclared(&slot);
	changed = slot.reference == NULL || strcmp(slot.reference, reference) != 0;
	if (changed)
	{
		set = reference_alone(slot.field, reference);
		require_sibling(&sql, &slot.key, reference);
		rendered = reference_render(&slot.key, set, slot.parameters, params_mask(&sql, &slot), &problems);
		reference_require_rendered(problems);
		check_replaced(&sql, &slot, reference_over(slot.references, rendered), argument_bool(fcinfo, 3, false));
		(void) reference_store(&sql, &slot.key, set);
		record_slot(&sql, &slot, "reference.set", reference);
	}
	sql_leave(&sql);
	PG_RETURN_BOOL(changed);
}

/* The rendered references of all slots without the one of its own in this slot. */
static Jsonb *
references_after(const Slot *slot)
{
	return reference_over(reference_without(slot->references, slot->field),
						  has_slot(slot->slots, slot->field) ?
						  reference_render(&slot->key, slot->default_reference, slot->parameters, NULL, NULL) : NULL);
}

/*
 * promote.remove_remote_reference(instance text, field text, allow_replace boolean) returns
 * boolean
 *
 * Also removes the reference of a slot that the release does not declare any more.
 */
Datum
promote_remove_remote_reference(PG_FUNCTION_ARGS)
{
	Slot		slot = {.field = argument_required(fcinfo, 1, "field")};
	Sql			sql;

	argument_instance_for(fcinfo, 0, "instance", "configure", &slot.key);
	sql_enter(&sql);
	open_slot(&sql, &slot);
	if (slot.reference == NULL && !has_slot(slot.slots, slot.field))
		refuse_undeclared(&slot);
	if (slot.reference)
	{
		if (slot.references)
			check_replaced(&sql, &slot, references_after(&slot), argument_bool(fcinfo, 2, false));
		reference_delete(&sql, &slot.key, slot.field);
		record_slot(&sql, &slot, "reference.removed", NULL);
	}
	sql_leave(&sql);
	PG_RETURN_BOOL(slot.reference != NULL);
}

/* ---- for views ---- */

/*
 * promote_internal.desired_references(project text, environment text, component text, slots
 * jsonb) returns jsonb
 *
 * NULL also where the caller sees nothing of the environment.
 */
Datum
promote_desired_references(PG_FUNCTION_ARGS)
{
	static Statement read = {"SELECT promote_internal.parameters_of($1, $2)"};
	InstanceKey key = {argument_text(fcinfo, 0), argument_text(fcinfo, 1), argument_text(fcinfo, 2)};
	Datum		result = (Datum) 0;
	Jsonb	   *references;
	Sql			sql;

	if (!grants_may(GRANTS_ROWS, key.project, key.environment))
		PG_RETURN_NULL();
	sql_enter(&sql);
	references = reference_declared(reference_read(&sql, &key, true), PG_GETARG_JSONB_P(3));
	if (references && json_has_placeholders(references))
	{
		SqlRows		rows = sql_read(&sql, &read, AS_TEXT(key.project), AS_TEXT(key.environment));

		references = reference_render(&key, references, sql_jsonb(&rows, 0), NULL, NULL);
	}
	else
		references = reference_render(&key, references, NULL, NULL, NULL);
	if (references)
		result = SPI_datumTransfer(JsonbPGetDatum(references), false, -1);
	sql_leave(&sql);
	if (result == (Datum) 0)
		PG_RETURN_NULL();
	return result;
}

/* ---- the table ---- */

/*
 * promote_internal.guard_reference() returns trigger
 *
 * BEFORE INSERT, UPDATE OR DELETE of remote_reference, for each row: only the verbs write
 * these rows, or a dump loads them as they are.
 */
Datum
TRIGGER_FUNCTION(promote_guard_reference)
{
	TriggerData *data = trigger_data(fcinfo, "remote_reference", TRIGGER_EVENT_BEFORE | TRIGGER_EVENT_ROW);

	return guard_written(data, TRIGGER_FIRED_BY_INSERT(data->tg_event) && loading_rows(),
						 "What they say is judged, and recorded with who says it.",
						 "Use promote.set_remote_reference and promote.remove_remote_reference.");
}

