/*
 * mask.c: what of documents must not be seen, by where their values come from.
 *
 * A schema marks places of one document, and which ones may depend on what
 * else is in it: an override, a placeholder or another release puts the
 * document into another branch, and the marks are gone while the value is
 * still there.  So a value keeps the marks that it has in every document that
 * it may come from: the origins.  Each is looked at under every schema
 * concerned; then a place is masked that is marked in any of them, and a value
 * that is, or holds, one that is marked anywhere: places move.
 *
 * What a composed document has of such values, but does not mark itself, is
 * written down with its revision (mask_kept), so that the next one who shows it
 * need not know where that came from.
 *
 * Everybody who shows values of configurations goes through mask_leaf_diff or
 * mask_document.  Pure: no tables, no clock.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"

#include "compose/mask.h"
#include "json/path.h"
#include "json/reader.h"
#include "json/render.h"
#include "schema/schema.h"

/* A document that values come from. */
typedef struct Origin
{
	const Jsonb *document;
	List	   *kept;			/* Jsonb *: arrays of paths that keep their marks */
	List	   *twins;			/* Origin *: the same but for its placeholders, whose marks it shares */
	bool		is_marked;		/* are the marks filled in? */
	JsonMarkFrame root;			/* SCHEMA_SENSITIVE, by all schemas and what is kept */
} Origin;

struct Mask
{
	MemoryContext context;		/* that it lives in, with its documents */
	List	   *schemas;		/* Jsonb *; the first one says what is immutable */
	List	   *origins;		/* Origin * */
	bool		has_kept;
	Secrets    *secrets;		/* marked values; NULL: not gathered yet */
};

/* A mask by a schema, without origins, in the current memory context. */
Mask *
mask_create(const Jsonb *schema)
{
	Mask	   *mask = palloc0(sizeof(Mask));

	mask->context = CurrentMemoryContext;
	mask_add_schema(mask, schema);
	return mask;
}

/* Add a schema, unless it is there; NULL is none.  It comes before the first use. */
void
mask_add_schema(Mask *mask, const Jsonb *schema)
{
	ListCell   *cell;

	if (schema == NULL)
		return;
	foreach(cell, mask->schemas)
		if (json_is_copy(lfirst(cell), schema))
			return;
	mask->schemas = lappend(mask->schemas, unconstify(Jsonb *, schema));
}

/* The origin that is a document; NULL: there is none. */
static Origin *
find_origin(const Mask *mask, const Jsonb *document)
{
	ListCell   *cell;

	foreach(cell, mask->origins)
	{
		Origin	   *origin = lfirst(cell);

		if (json_is_copy(origin->document, document))
			return origin;
	}
	return NULL;
}

/* Make a document an origin, with the paths that keep marks in it. */
static Origin *
add_origin(Mask *mask, const Jsonb *document, const Jsonb *kept)
{
	Origin	   *origin = find_origin(mask, document);

	if (origin == NULL)
	{
		origin = palloc0(sizeof(Origin));
		origin->document = document;
		mask->origins = lappend(mask->origins, origin);
	}
	if (kept)
	{
		origin->kept = lappend(origin->kept, unconstify(Jsonb *, kept));
		mask->has_kept = true;
	}
	return origin;
}

/*
 * Add a document that values come from, which lives as long as the mask, with
 * the paths that keep marks in it; NULL is none.  Origins come before the first use.
 */
void
mask_add_origin(Mask *mask, const Jsonb *document, const Jsonb *kept)
{
	if (document)
		(void) add_origin(mask, document, kept);
}

/* Add params as origins, as they stand and as they are rendered: both share their marks. */
void
mask_add_pair(Mask *mask, const Jsonb *params, const Jsonb *rendered, const Jsonb *kept)
{
	Origin	   *origins[2];

	if (params == NULL || rendered == NULL || params == rendered)
	{
		mask_add_origin(mask, params ? params : rendered, kept);
		return;
	}
	origins[0] = add_origin(mask, params, kept);
	origins[1] = add_origin(mask, rendered, kept);
	for (int i = 0; i < 2; i++)
		origins[i]->twins = list_append_unique_ptr(origins[i]->twins, origins[1 - i]);
}

/*
 * Add params as origins, as they stand and as parameters have rendered them; what is rendered of
 * sensitive parameters is marked.
 */
void
mask_add_rendered(Mask *mask, const Jsonb *params, const Jsonb *rendered, const Jsonb *parameters, const Jsonb *kept)
{
	mask_add_pair(mask, params, rendered, kept);
	if (params && parameters)
		mask_add_origin(mask, params, json_sensitive_places(params, parameters));
}

/* Add params as origins, as they stand and as parameters render them; either may be NULL. */
void
mask_add_both(Mask *mask, const Jsonb *params, const Jsonb *parameters, const Jsonb *kept)
{
	mask_add_rendered(mask, params, params && parameters ? json_render(params, parameters, true) : NULL, parameters,
					  kept);
}

/* ---- marks ---- */

/* Mark what a path leads to, or the last there is on the way, which a placeholder may have become. */
static void
mark_path(JsonMarkFrame *frame, const JsonbValue *value, JsonPathReader *path)
{
	JsonPathStep step;
	JsonbValue	next;
	JsonMarkFrame child = {frame, 0, 0, NULL};

	check_stack_depth();
	if (!json_path_next(path, &step))
	{
		json_mark_set(frame, SCHEMA_SENSITIVE);
		return;
	}
	if (json_is_leaf(value))
		json_mark_set(frame, SCHEMA_SENSITIVE);
	else if (json_path_take(value, &step, &child.index, &next))
	{
		frame->count = json_count(value);
		mark_path(&child, &next, path);
	}
}

/* Mark all paths of an array of them. */
static void
mark_paths(JsonMarkFrame *root, const JsonbValue *document, const Jsonb *paths)
{
	JsonbValue	array = json_view(paths);
	JsonPathReader reader;

	json_foreach(item, &array)
	{
		if (item.value.type != jbvString)
			continue;
		json_path_reader_init(&reader, item.value.val.string.val, item.value.val.string.len);
		mark_path(root, document, &reader);
	}
}

/* Add the marks that an origin has by itself to those of another one, or its own. */
static void
add_own_marks(const Mask *mask, const Origin *from, Origin *origin)
{
	JsonMarkFrame own = {NULL, 0, 0, NULL};
	JsonbValue	other = json_view(from->document);
	JsonbValue	view = json_view(origin->document);
	ListCell   *cell;

	foreach(cell, mask->schemas)
		json_mark_unite(&own, &other, &other, schema_marks(lfirst(cell), from->document, SCHEMA_SENSITIVE));
	foreach(cell, from->kept)
		mark_paths(&own, &other, lfirst(cell));
	json_mark_unite(&origin->root, &view, &other, own.node);
}

/* The marks of an origin and its twins, worked out once. */
static const JsonMark *
origin_marks(const Mask *mask, Origin *origin)
{
	MemoryContext outer;
	ListCell   *cell;

	if (origin->is_marked)
		return origin->root.node;
	outer = MemoryContextSwitchTo(mask->context);
	add_own_marks(mask, origin, origin);
	foreach(cell, origin->twins)
		add_own_marks(mask, lfirst(cell), origin);
	origin->is_marked = true;
	MemoryContextSwitchTo(outer);
	return origin->root.node;
}

/* Can a place be marked in one document and not in another? */
static bool
marks_vary(const Mask *mask)
{
	ListCell   *cell;

	foreach(cell, mask->schemas)
		if (schema_marks_vary(schema_compile(lfirst(cell)), SCHEMA_SENSITIVE))
			return true;
	return mask->has_kept;
}

/*
 * The marks of a document that is shown: sensitive where it or any origin is, at
 * that place; immutable where the first schema says so.
 */
JsonMark *
mask_marks(const Mask *mask, const Jsonb *document)
{
	JsonMarkFrame root = {NULL, 0, 0, NULL};
	JsonbValue	view,
				other;
	ListCell   *cell;

	if (document == NULL || (mask->schemas == NIL && !mask->has_kept))
		return NULL;
	json_root(document, &view);
	foreach(cell, mask->schemas)
		json_mark_unite(&root, &view, &view,
						schema_marks(lfirst(cell), document, cell == list_head(mask->schemas) ?
								 SCHEMA_SENSITIVE | SCHEMA_IMMUTABLE : SCHEMA_SENSITIVE));
	if (!marks_vary(mask))
		return root.node;
	foreach(cell, mask->origins)
	{
		Origin	   *origin = lfirst(cell);

		json_root(origin->document, &other);
		json_mark_unite(&root, &view, &other, origin_marks(mask, origin));
	}
	return root.node;
}

/* ---- values ---- */

/* All values that are marked in an origin, as a set of a kind. */
Secrets *
mask_secrets(Mask *mask, SecretsKind kind)
{
	MemoryContext outer = MemoryContextSwitchTo(mask->context);
	Secrets    *secrets = secrets_create(kind);
	JsonbValue	view;
	ListCell   *cell;

	foreach(cell, mask->origins)
	{
		Origin	   *origin = lfirst(cell);

		json_root(origin->document, &view);
		secrets_add_marked(secrets, &view, origin_marks(mask, origin), SCHEMA_SENSITIVE);
	}
	secrets_finish(secrets);
	MemoryContextSwitchTo(outer);
	return secrets;
}

/* Is a value, which may be NULL, one that is marked somewhere, or does it hold one? */
bool
mask_holds(Mask *mask, const JsonbValue *value)
{
	if (value == NULL)
		return false;
	if (mask->secrets == NULL)
		mask->secrets = mask_secrets(mask, SECRETS_PARAMS);
	return secrets_hold(mask->secrets, value);
}

/* ---- showing ---- */

/* A value as it is shown: what is marked sensitive as a mask.  Both may be NULL. */
const JsonbValue *
mask_shown(const JsonbValue *value, uint32 flags, JsonbValue *mask)
{
	if (value == NULL || !(flags & SCHEMA_SENSITIVE))
		return value;
	*mask = json_string(SENSITIVE_MASK, strlen(SENSITIVE_MASK));
	return mask;
}

/* Who is told of the leaves that differ. */
typedef struct Audience
{
	Mask	   *mask;
	JsonChangeCollector collect;
	void	   *state;
} Audience;

/* Collector of changes: pass them on, with the flags of their values. */
static void
pass_on(void *state, const JsonChange *change)
{
	Audience   *audience = state;
	JsonChange	flagged = *change;

	if (!(flagged.flags & SCHEMA_SENSITIVE))
	{
		if (mask_holds(audience->mask, change->old_value))
			flagged.flags |= SCHEMA_SENSITIVE;
		else if (mask_holds(audience->mask, change->new_value))
			flagged.flags |= SCHEMA_SENSITIVE | MASK_NEW_ALONE;
	}
	audience->collect(audience->state, &flagged);
}

/*
 * Report the leaves in which two documents differ, with flags that say which
 * must not be seen: see json_leaf_diff.  An old document of NULL is none.
 */
void
mask_leaf_diff(Mask *mask, const Jsonb *old_document, const Jsonb *new_document,
			   JsonChangeCollector collect, void *state)
{
	Audience	audience = {mask, collect, state};

	json_leaf_diff(old_document, mask_marks(mask, old_document),
				   new_document, mask_marks(mask, new_document), pass_on, &audience);
}

/* Write a value with what must not be seen of it masked. */
static void
write_masked(Mask *mask, JsonBuilder *builder, const JsonbValue *value, const JsonMark *marks)
{
	uint32		flags = json_mark_flags(marks);
	JsonbValue	place;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if ((flags & SCHEMA_SENSITIVE) || value->type != jbvBinary)
	{
		json_build_value(builder, mask_shown(value, mask_holds(mask, value) ? SCHEMA_SENSITIVE : flags, &place));
		return;
	}
	json_build_begin_like(builder, value);
	json_foreach(child, value)
	{
		json_build_key_of(builder, value, &child);
		write_masked(mask, builder, &child.value, json_mark_child(marks, child.index));
	}
	json_build_end(builder);
}

/* A value with all of it masked that must not be seen, in a document of its own. */
Jsonb *
mask_value(Mask *mask, const JsonbValue *value, const JsonMark *marks)
{
	JsonBuilder builder;

	json_builder_init(&builder);
	write_masked(mask, &builder, value, marks);
	return json_builder_finish(&builder);
}

/* Write a value with the leaves masked that must not be seen, so that containers stay what they are. */
static void
write_blinded(Mask *mask, JsonBuilder *builder, const JsonbValue *value, const JsonMark *marks, uint32 above)
{
	uint32		flags = above | json_mark_flags(marks);
	JsonbValue	place;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type != jbvBinary)
	{
		json_build_value(builder, mask_shown(value, mask_holds(mask, value) ? SCHEMA_SENSITIVE : flags, &place));
		return;
	}
	json_build_begin_like(builder, value);
	json_foreach(child, value)
	{
		json_build_key_of(builder, value, &child);
		write_blinded(mask, builder, &child.value, json_mark_child(marks, child.index), flags);
	}
	json_build_end(builder);
}

/* A document with every scalar masked that must not be seen. */
Jsonb *
mask_leaves(Mask *mask, const Jsonb *document)
{
	JsonBuilder builder;
	JsonbValue	view = json_view(document);

	json_builder_init(&builder);
	write_blinded(mask, &builder, &view, mask_marks(mask, document), 0);
	return json_builder_finish(&builder);
}

/* A document with every value masked that must not be seen. */
Jsonb *
mask_document(Mask *mask, const Jsonb *document)
{
	JsonbValue	view = json_view(document);

	return mask_value(mask, &view, mask_marks(mask, document));
}

/*
 * The value at a path of a document, and its marks there by those of the
 * document; with SCHEMA_SENSITIVE in flags where something above it has that.
 * False where the document has nothing there.
 */
bool
mask_find(const Jsonb *document, const JsonMark *marks, const char *path, JsonbValue *value,
		  const JsonMark **found, uint32 *flags)
{
	JsonPathReader reader;
	JsonPathStep step;
	JsonbValue	child;
	uint32		index;

	json_root(document, value);
	json_path_reader_init(&reader, path, strlen(path));
	*flags = json_mark_flags(marks);
	while (json_path_next(&reader, &step))
	{
		if (!json_path_take(value, &step, &index, &child))
			return false;
		*value = child;
		marks = json_mark_child(marks, index);
		*flags |= json_mark_flags(marks);
	}
	*found = marks;
	return true;
}

/* ---- what keeps its marks ---- */

/*
 * Mark the leaves that have the same value as the other document has there, where
 * that is marked.  A JsonMarkVisitor; its state is a bool: is it by what is around it?
 */
static void
mark_equal(JsonMarkFrame *frame, const JsonbValue *value, const JsonbValue *other,
		   const JsonMark *marks, void *state)
{
	bool		marked = *(bool *) state || (json_mark_flags(marks) & SCHEMA_SENSITIVE);

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (!marked && json_mark_within(marks) == 0)
		return;
	if (!json_is_leaf(value) && !json_is_leaf(other))
		json_mark_visit(frame, value, other, marks, mark_equal, &marked);
	else if (marked && json_equal(value, other))
		json_mark_set(frame, SCHEMA_SENSITIVE);
}

/* Mark the leaves whose values are, or hold, one of the secrets. */
static void
mark_held(JsonMarkFrame *frame, const JsonbValue *value, const Secrets *secrets)
{
	JsonMarkFrame child = {frame, 0, 0, NULL};

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type != jbvBinary)
	{
		if (secrets_hold(secrets, value))
			json_mark_set(frame, SCHEMA_SENSITIVE);
		return;
	}
	frame->count = json_count(value);
	json_foreach(each, value)
	{
		child.index = each.index;
		child.node = NULL;
		mark_held(&child, &each.value, secrets);
	}
}

/* A document's leaves that come from a marked place of an origin, as marks. */
static JsonMark *
inherited_marks(const Mask *mask, const Jsonb *document, const Secrets *lost)
{
	JsonMarkFrame root = {NULL, 0, 0, NULL};
	JsonbValue	other;
	JsonbValue	view = json_view(document);
	bool		marked = false;
	ListCell   *cell;

	foreach(cell, mask->origins)
	{
		Origin	   *origin = lfirst(cell);

		json_root(origin->document, &other);
		mark_equal(&root, &view, &other, origin_marks(mask, origin), &marked);
	}
	if (lost)
		mark_held(&root, &view, lost);
	return root.node;
}

/* Add the paths of leaves that one tree marks and the other does not to the array that is open. */
static void
add_paths(JsonBuilder *builder, StringInfo path, const JsonbValue *value, const JsonMark *marks,
		  const JsonMark *own)
{
	int			length = path->len;

	check_stack_depth();
	if (json_mark_within(marks) == 0 || (json_mark_flags(own) & SCHEMA_SENSITIVE))
		return;
	if (json_is_leaf(value))
	{
		const char *text = pstrdup(json_path_text(path));

		json_build_string(builder, text, strlen(text));
		return;
	}
	json_foreach(child, value)
	{
		uint32		index = child.index;

		if (json_is_object(value))
			json_path_add_key(path, child.key.val.string.val, child.key.val.string.len);
		else
			json_path_add_index(path, index);
		add_paths(builder, path, &child.value, json_mark_child(marks, index), json_mark_child(own, index));
		json_path_truncate(path, length);
	}
}

/*
 * What is marked in an origin and not in params as they stand, which is all that
 * whoever shows them may have; NULL: nothing.
 */
static const Secrets *
lost_secrets(Mask *mask, const Jsonb *schema, const Jsonb *params)
{
	Mask	   *own = mask_create(schema);

	mask_add_origin(own, params, NULL);
	return secrets_without(mask_secrets(mask, SECRETS_PARAMS), mask_secrets(own, SECRETS_PARAMS));
}

/*
 * The leaves of params, which rendered is made of, that have a value of a marked
 * place of an origin and are not marked by their own schema any more, nor known to
 * keep their marks (known, NULL: none are): an array of paths, NULL for none.
 * Where placeholders may decide what is marked all are, for what renders them next
 * is not known, and so where there is no one schema that they are always seen by.
 * The origins are looked at under all schemas concerned: a promotion brings a
 * release that does not mark what the destination keeps.
 */
Jsonb *
mask_kept(Mask *mask, const Jsonb *schema, const Jsonb *params, const Jsonb *rendered, const Jsonb *known)
{
	const Secrets *lost = lost_secrets(mask, schema, params);
	bool		varies = marks_vary(mask);
	JsonMarkFrame root = {NULL, 0, 0, NULL};
	JsonMarkFrame own = {NULL, 0, 0, NULL};
	JsonBuilder builder;
	StringInfoData path;
	JsonbValue	view,
				other;
	Jsonb	   *paths;

	/*
	 * What is short is lost as well, but looked for at its place alone: another release may not mark that, and
	 * what a patch has copied is at a place that no schema marks.
	 */
	if (lost == NULL && !varies && list_length(mask->schemas) < 2 && !mask->has_kept)
		return NULL;
	json_root(params, &view);
	root.node = inherited_marks(mask, params, lost);
	json_root(rendered, &other);
	if (rendered != params)
		json_mark_unite(&root, &view, &other, inherited_marks(mask, rendered, lost));
	if (root.node == NULL)
		return NULL;
	if (schema && !(varies && rendered != params))
		own.node = schema_marks(unconstify(Jsonb *, schema), params, SCHEMA_SENSITIVE);
	if (known)
		mark_paths(&own, &view, known);
	initStringInfo(&path);
	json_begin_array(&builder);
	add_paths(&builder, &path, &view, root.node, own.node);
	paths = json_builder_finish(&builder);
	return JB_ROOT_COUNT(paths) > 0 ? paths : NULL;
}
