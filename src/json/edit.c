/*
 * edit.c: a document that is being changed, place by place.
 *
 * A node is a view of a value in some document, until something in it changes:
 * then it is opened and has a slot for each child.  A slot says that the child
 * is still that of the view, or holds a node.  A node may be in several slots,
 * of which none knows of the others; so a node on the way to a change is
 * cloned where it is held more than once, and what is below it then is.
 *
 * Slots have a gap that is moved to where children come and go, because
 * changes that follow each other are mostly neighbours.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/grow.h"
#include "json/edit.h"
#include "json/reader.h"
#include "json/writer.h"

/* An odd one: twice the ordinal in the node's view, plus one.  Or a node. */
typedef uintptr_t Slot;

struct JsonNode
{
	JsonbValue	view;			/* the value; of one that is opened, where its slots come from */
	uint64		size;			/* about the bytes that it takes, without its entry */
	uint32		references;		/* slots and callers that hold it */
	uint32		count;			/* of children, and the following: only where it is opened */
	uint32		room;			/* slots, including the gap */
	uint32		gap;			/* the ordinal of the child behind the gap */
	Slot	   *slots;			/* NULL: not opened */
	JsonToken  *keys;			/* of an object, one for each slot */
};

/* Slots to spare when a container is opened. */
#define SPARE 8

/* Where the slot of that child is, or its key. */
static inline uint32
slot_of(const JsonNode *node, uint32 index)
{
	return index < node->gap ? index : index + (node->room - node->count);
}

/* Is the child still that of the view? */
static inline bool
is_untouched(Slot slot)
{
	return (slot & 1) != 0;
}

/* The ordinal in the view of a child that is untouched. */
static inline uint32
ordinal_of(Slot slot)
{
	return slot >> 1;
}

/* The node of a child that is not untouched. */
static inline JsonNode *
node_of(Slot slot)
{
	return (JsonNode *) slot;
}

/* A node that the caller holds, of a value of any document that lasts. */
JsonNode *
json_node_of(const JsonbValue *value)
{
	JsonNode   *node = palloc0(sizeof(JsonNode));

	node->view = *value;
	node->size = json_size(value);
	node->references = 1;
	return node;
}

/* Make room for as many slots. */
static void
allocate_slots(JsonNode *node, uint32 room)
{
	node->room = room;
	node->slots = palloc_extended(room * sizeof(Slot), MCXT_ALLOC_HUGE);
	if (json_is_object(&node->view))
		node->keys = palloc_extended(room * sizeof(JsonToken), MCXT_ALLOC_HUGE);
}

/* Give a container slots, all of them untouched. */
static void
open_node(JsonNode *node)
{
	if (node->slots)
		return;
	node->count = node->gap = json_count(&node->view);
	allocate_slots(node, node->count + SPARE);
	for (uint32 i = 0; i < node->count; i++)
		node->slots[i] = (Slot) i << 1 | 1;
	if (node->keys == NULL)
		return;
	json_foreach(child, &node->view)
		node->keys[child.index] = (JsonToken) {child.key.val.string.val, child.key.val.string.len};
}

/* Let go of a node; what nobody holds then is freed. */
void
json_node_drop(JsonNode *node)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (--node->references > 0)
		return;
	if (node->slots)
	{
		for (uint32 i = 0; i < node->count; i++)
		{
			Slot		slot = node->slots[slot_of(node, i)];

			if (!is_untouched(slot))
				json_node_drop(node_of(slot));
		}
		pfree(node->slots);
	}
	if (node->keys)
		pfree(node->keys);
	pfree(node);
}

/* Move the gap in front of a child. */
static void
move_gap(JsonNode *node, uint32 index)
{
	uint32		width = node->room - node->count;
	uint32		from = Min(index, node->gap);
	uint32		number = Max(index, node->gap) - from;
	uint32		to = from;

	if (index < node->gap)
		to += width;
	else
		from += width;
	memmove(&node->slots[to], &node->slots[from], number * sizeof(Slot));
	if (node->keys)
		memmove(&node->keys[to], &node->keys[from], number * sizeof(JsonToken));
	node->gap = index;
}

/* Add a child in front of that one. */
static void
insert_slot(JsonNode *node, uint32 index, JsonToken key, Slot slot)
{
	if (node->count == node->room)
	{
		move_gap(node, node->count);
		node->room *= 2;
		node->slots = repalloc_huge(node->slots, node->room * sizeof(Slot));
		if (node->keys)
			node->keys = repalloc_huge(node->keys, node->room * sizeof(JsonToken));
	}
	move_gap(node, index);
	node->slots[index] = slot;
	if (node->keys)
		node->keys[index] = key;
	node->gap++;
	node->count++;
}

/* Take a child away. */
static void
remove_slot(JsonNode *node, uint32 index)
{
	move_gap(node, index);
	node->count--;
}

/* A node like that one, which the caller holds; what is below it they share. */
static JsonNode *
clone_node(const JsonNode *node)
{
	JsonNode   *clone = palloc(sizeof(JsonNode));

	*clone = *node;
	clone->references = 1;
	if (node->slots == NULL)
		return clone;
	clone->gap = node->count;
	allocate_slots(clone, node->count + SPARE);
	for (uint32 i = 0; i < node->count; i++)
	{
		clone->slots[i] = node->slots[slot_of(node, i)];
		if (!is_untouched(clone->slots[i]))
			node_of(clone->slots[i])->references++;
		if (node->keys)
			clone->keys[i] = node->keys[slot_of(node, i)];
	}
	return clone;
}

/* The node that is to be changed in place of one that others may hold, too. */
static JsonNode *
own_node(JsonNode *node)
{
	if (node->references == 1)
		return node;
	node->references--;
	return clone_node(node);
}

/* The number of a child's entry in the view's container. */
static inline uint32
entry_of(const JsonNode *node, Slot slot)
{
	return ordinal_of(slot) + (node->keys ? json_count(&node->view) : 0);
}

/* The bytes of a child. */
static uint64
child_size(const JsonNode *node, Slot slot)
{
	if (is_untouched(slot))
		return getJsonbLength(node->view.val.binary.data, entry_of(node, slot));
	return node_of(slot)->size;
}

/* The node of a child, which the caller holds. */
static JsonNode *
share_child(const JsonNode *node, Slot slot)
{
	JsonbValue	view;
	JsonNode   *child;

	if (!is_untouched(slot))
	{
		node_of(slot)->references++;
		return node_of(slot);
	}
	json_view_child(node->view.val.binary.data, ordinal_of(slot), &view);
	child = json_node_of(&view);
	child->size = child_size(node, slot);	/* as it is counted in the parent's */
	return child;
}

/* The node of a child that is to be changed; its parent goes on to hold it. */
static JsonNode *
own_child(JsonNode *node, uint32 index)
{
	Slot	   *slot = &node->slots[slot_of(node, index)];

	if (is_untouched(*slot))
		*slot = (Slot) share_child(node, *slot);
	else
		*slot = (Slot) own_node(node_of(*slot));
	return node_of(*slot);
}

/* Start changing a document, which must last until the end. */
void
json_edit_init(JsonEdit *edit, const Jsonb *document)
{
	JsonbValue	view = json_view(document);

	*edit = (JsonEdit) {.root = json_node_of(&view)};
}

/* Find a key in an object, or the place where it would be. */
static JsonPlaceState
find_key(const JsonNode *object, const JsonToken *key, uint32 *index)
{
	uint32		low = 0;
	uint32		high = object->count;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;
		const JsonToken *at = &object->keys[slot_of(object, middle)];
		int			order = json_key_compare(at->text, at->length, key->text, key->length);

		*index = middle;
		if (order == 0)
			return JSON_PLACE_TAKEN;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*index = low;
	return JSON_PLACE_FREE;
}

/* Find a token in a container that is opened. */
static JsonPlaceState
find_child(const JsonNode *container, const JsonToken *token, uint32 *index)
{
	if (container->keys)
		return find_key(container, token, index);
	if (!json_token_index(token, container->count, index))
		return JSON_PLACE_NO_INDEX;
	if (*index > container->count)
		return JSON_PLACE_PAST_END;
	return *index < container->count ? JSON_PLACE_TAKEN : JSON_PLACE_FREE;
}

/*
 * Go one step down from node; false if there is nothing to be found.  A value
 * that is not found is searched for nowhere else: what follows is the last
 * step, or the way has ended.
 */
static bool
step_down(JsonEdit *edit, JsonNode *node, JsonPointer *pointer, JsonPlace *place)
{
	if (place->state == JSON_PLACE_FREE)
		place->state = JSON_PLACE_NO_PARENT;
	else if (place->state == JSON_PLACE_TAKEN && node->view.type != jbvBinary)
		place->state = JSON_PLACE_IN_SCALAR;
	if (place->state != JSON_PLACE_TAKEN)
		return false;
	json_pointer_next(pointer, &place->key);
	place->rest = pointer->rest;
	place->container = node;
	GROW(edit->way, edit->way_length, edit->way_room);
	edit->way[edit->way_length++] = node;
	open_node(node);
	place->state = find_child(node, &place->key, &place->index);
	place->in_array = node->keys == NULL;
	place->is_last = place->index + 1 == node->count;
	return true;
}

/*
 * Search for a place.  The containers on the way are opened and held by nobody
 * else then, so that they may be changed.
 */
void
json_edit_locate(JsonEdit *edit, JsonPointer pointer, JsonPlace *place)
{
	JsonNode   *node = edit->root = own_node(edit->root);

	*place = (JsonPlace) {.state = JSON_PLACE_TAKEN,.rest = pointer.rest};
	edit->way_length = 0;
	while (pointer.length > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (place->container && place->state == JSON_PLACE_TAKEN)
			node = own_child(place->container, place->index);
		if (!step_down(edit, node, &pointer, place))
			return;
	}
}

/* The slot of a place that is taken, but the root. */
static inline Slot
slot_at(const JsonPlace *place)
{
	return place->container->slots[slot_of(place->container, place->index)];
}

/* Say how the size of the containers on the way changes. */
static void
resize(JsonEdit *edit, uint64 more, uint64 less)
{
	for (Size i = 0; i < edit->way_length; i++)
		edit->way[i]->size += more - less;
}

/* The bytes that a place needs apart from those of its value. */
static uint64
entry_size(const JsonPlace *place)
{
	return sizeof(JEntry) + (place->container->keys ? sizeof(JEntry) + place->key.length : 0);
}

/* Put a node, which the caller hands over, in the place of a value. */
void
json_edit_replace(JsonEdit *edit, const JsonPlace *place, JsonNode *node)
{
	JsonNode   *container = place->container;
	Slot		old;

	if (container == NULL)
	{
		json_node_drop(edit->root);
		edit->root = node;
		return;
	}
	old = slot_at(place);
	resize(edit, node->size, child_size(container, old));
	container->slots[slot_of(container, place->index)] = (Slot) node;
	if (!is_untouched(old))
		json_node_drop(node_of(old));
}

/*
 * Put a node, which the caller hands over, at a place that is free or taken.
 * It replaces what an object has there, and pushes on what an array has.
 */
void
json_edit_put(JsonEdit *edit, const JsonPlace *place, JsonNode *node)
{
	JsonNode   *container = place->container;

	if (container == NULL || (container->keys && place->state == JSON_PLACE_TAKEN))
	{
		json_edit_replace(edit, place, node);
		return;
	}
	resize(edit, node->size + entry_size(place), 0);
	insert_slot(container, place->index, place->key, (Slot) node);
}

/* Take the value out of the document; the caller holds it then.  Not the root. */
JsonNode *
json_edit_take(JsonEdit *edit, const JsonPlace *place)
{
	JsonNode   *node = json_edit_share(edit, place);

	resize(edit, 0, node->size + entry_size(place));
	if (!is_untouched(slot_at(place)))
		node->references--;
	remove_slot(place->container, place->index);
	return node;
}

/* The value at a place that is taken, for another place; the caller holds it. */
JsonNode *
json_edit_share(JsonEdit *edit, const JsonPlace *place)
{
	if (place->container)
		return share_child(place->container, slot_at(place));
	edit->root->references++;
	return edit->root;
}

static bool node_equals(const JsonNode *node, const JsonbValue *value);

/* Is the child equal to a value? */
static bool
child_equals(const JsonNode *node, Slot slot, const JsonbValue *value)
{
	JsonbValue	view;

	if (!is_untouched(slot))
		return node_equals(node_of(slot), value);
	json_view_child(node->view.val.binary.data, ordinal_of(slot), &view);
	return json_equal(&view, value);
}

/* Is a node that is opened equal to a container of as many children? */
static bool
children_equal(const JsonNode *node, const JsonbValue *container)
{
	JsonCursor	cursor;
	JsonbValue	key,
				value;

	json_cursor_init(&cursor, container->val.binary.data);
	for (uint32 i = 0; i < node->count; i++)
	{
		uint32		at = slot_of(node, i);

		if (node->keys == NULL)
			json_next_element(&cursor, &value);
		else if (!json_next_pair(&cursor, &key, &value) ||
				 json_key_compare(node->keys[at].text, node->keys[at].length,
								  key.val.string.val, key.val.string.len) != 0)
			return false;
		if (!child_equals(node, node->slots[at], &value))
			return false;
	}
	return true;
}

/* Is a node equal to a value, as jsonb's own = has it? */
static bool
node_equals(const JsonNode *node, const JsonbValue *value)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (node->slots == NULL)
		return json_equal(&node->view, value);
	return value->type == jbvBinary && json_is_object(value) == (node->keys != NULL) &&
		json_count(value) == node->count && children_equal(node, value);
}

/* Is the value at a place that is taken equal to that one? */
bool
json_edit_equals(JsonEdit *edit, const JsonPlace *place, const JsonbValue *value)
{
	if (place->container)
		return child_equals(place->container, slot_at(place), value);
	return node_equals(edit->root, value);
}

static bool node_holds(const JsonNode *node, const char *string);

/* Is a value a string, or does it hold it as a value? */
static bool
value_holds(const JsonbValue *value, const char *string)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type != jbvBinary)
		return json_string_is(value, string);
	json_foreach(child, value)
		if (value_holds(&child.value, string))
			return true;
	return false;
}

/* Does a child hold a string? */
static bool
child_holds(const JsonNode *node, Slot slot, const char *string)
{
	JsonbValue	view;

	if (!is_untouched(slot))
		return node_holds(node_of(slot), string);
	json_view_child(node->view.val.binary.data, ordinal_of(slot), &view);
	return value_holds(&view, string);
}

/* Does a node hold a string? */
static bool
node_holds(const JsonNode *node, const char *string)
{
	check_stack_depth();
	if (node->slots == NULL)
		return value_holds(&node->view, string);
	for (uint32 i = 0; i < node->count; i++)
		if (child_holds(node, node->slots[slot_of(node, i)], string))
			return true;
	return false;
}

/* Is the value at a place that is taken that string, or does it hold it as a value? */
bool
json_edit_holds(JsonEdit *edit, const JsonPlace *place, const char *string)
{
	return place->container ? child_holds(place->container, slot_at(place), string) : node_holds(edit->root, string);
}

/* About the bytes that the document would take now. */
uint64
json_edit_size(const JsonEdit *edit)
{
	return edit->root->size;
}

/* The end of the run of untouched neighbours that begins with that child. */
static uint32
run_end(const JsonNode *node, uint32 index)
{
	Slot		slot = node->slots[slot_of(node, index)];
	uint32		end = index;

	do
	{
		slot += 2;
		end++;
	} while (end < node->count && node->slots[slot_of(node, end)] == slot);
	return end;
}

static void write_node(JsonWriter *writer, const JsonNode *node);

/* Write all keys of a node, or all of its values or elements; origin is its view's. */
static void
write_children(JsonWriter *writer, const JsonNode *node, JsonOrigin *origin, bool keys)
{
	uint32		next;

	for (uint32 i = 0; i < node->count; i = next)
	{
		uint32		at = slot_of(node, i);
		Slot		slot = node->slots[at];

		CHECK_FOR_INTERRUPTS();
		next = i + 1;
		if (is_untouched(slot))
		{
			uint32		from = keys ? ordinal_of(slot) : entry_of(node, slot);

			next = run_end(node, i);
			json_write_run(writer, origin, from, from + (next - i));
		}
		else if (keys)
			json_write_key(writer, node->keys[at].text, node->keys[at].length);
		else
			write_node(writer, node_of(slot));
	}
}

/* Write what a node stands for. */
static void
write_node(JsonWriter *writer, const JsonNode *node)
{
	JsonWriterFrame frame;
	JsonOrigin	origin;

	check_stack_depth();
	if (node->slots == NULL)
	{
		json_write_value(writer, &node->view);
		return;
	}
	json_origin_init(&origin, node->view.val.binary.data);
	if (node->keys)
	{
		json_open_object(writer, &frame, node->count);
		write_children(writer, node, &origin, true);
	}
	else
		json_open_array(writer, &frame, node->count);
	write_children(writer, node, &origin, false);
	json_close(writer);
}

/* The changed document, in the current memory context; edit ends here. */
Jsonb *
json_edit_finish(JsonEdit *edit)
{
	JsonWriter	writer;

	json_writer_init(&writer, edit->root->size + 64);
	write_node(&writer, edit->root);
	json_node_drop(edit->root);
	if (edit->way)
		pfree(edit->way);
	return json_writer_finish(&writer);
}
