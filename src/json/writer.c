/*
 * writer.c: jsonb laid out directly.
 *
 * The format is that of PostgreSQL's src/include/utils/jsonb.h, and the
 * choices it leaves open are those of convertToJsonb (jsonb_util.c): a child
 * whose number is a multiple of JB_OFFSET_STRIDE stores where it ends, every
 * other one its length; numbers and containers start at multiples of four,
 * and the padding before them counts into their length.
 *
 * A container's bytes do not depend on where it lies, as long as that is a
 * multiple of four.  So neighbours keep their bytes when they are copied: only
 * the padding before the first number or container among them can change,
 * and every 32nd entry.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/compat.h"
#include "json/writer.h"

/* The limits of jsonb_util.c, where they are private. */
#define MAX_ELEMENTS Min(MaxAllocSize / sizeof(JsonbValue), JB_CMASK)
#define MAX_PAIRS Min(MaxAllocSize / sizeof(JsonbPair), JB_CMASK)

/* A document of no known size starts with this room. */
#define ROOM_MIN 256

/*
 * Start a document in the current memory context.  expected is how many bytes
 * it will probably have, with its header; 0 where nothing is known.
 */
void
json_writer_init(JsonWriter *writer, Size expected)
{
	writer->room = Max(expected, ROOM_MIN);
	writer->data = MemoryContextAllocHuge(CurrentMemoryContext, writer->room);
	writer->length = VARHDRSZ;
	writer->top = NULL;
}

/* Make room for more bytes behind the last, and return where they begin. */
static inline char *
reserve(JsonWriter *writer, Size more)
{
	if (unlikely(more > writer->room - writer->length))
	{
		writer->room = Max(writer->room * 2, writer->length + more);
		writer->data = repalloc_huge(writer->data, writer->room);
	}
	return writer->data + writer->length;
}

/* Append bytes. */
static inline void
append(JsonWriter *writer, const void *bytes, Size length)
{
	memcpy(reserve(writer, length), bytes, length);
	writer->length += length;
}

/* Append zeros up to the next multiple of four, as padBufferToInt does. */
static inline void
pad(JsonWriter *writer)
{
	Size		padding = INTALIGN(writer->length) - writer->length;

	memset(reserve(writer, padding), 0, padding);
	writer->length += padding;
}

/* Is the frame's container an object? */
static inline bool
is_object(const JsonWriter *writer, const JsonWriterFrame *frame)
{
	return (*(uint32 *) (writer->data + frame->header) & JB_FOBJECT) != 0;
}

/* Refuse a container past the format's limit, in PostgreSQL's words. */
static void
refuse_size(const JsonWriter *writer, const JsonWriterFrame *frame)
{
	if (is_object(writer, frame))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("total size of jsonb object elements exceeds the maximum of %u bytes",
						JENTRY_OFFLENMASK)));
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("total size of jsonb array elements exceeds the maximum of %u bytes",
					JENTRY_OFFLENMASK)));
}

/* How many bytes the frame's children take so far. */
static inline Size
children_size(const JsonWriter *writer, const JsonWriterFrame *frame)
{
	Size		size = writer->length - frame->base;

	if (unlikely(size > JENTRY_OFFLENMASK))
		refuse_size(writer, frame);
	return size;
}

/* The frame's entry of that number. */
static inline JEntry *
entry_of(const JsonWriter *writer, const JsonWriterFrame *frame, uint32 number)
{
	return (JEntry *) (writer->data + frame->header + sizeof(uint32)) + number;
}

/*
 * Enter the child that was written from start on, with its padding, into the
 * innermost open container.
 */
static inline void
enter_child(JsonWriter *writer, JEntry type, Size start)
{
	JsonWriterFrame *frame = writer->top;
	Size		size = children_size(writer, frame);
	uint32		number = frame->written++;

	Assert(number < frame->count);
	*entry_of(writer, frame, number) = number % JB_OFFSET_STRIDE == 0 ?
		(type | (JEntry) size | JENTRY_HAS_OFF) : (type | (JEntry) (writer->length - start));
}

/* Open a container with room for that many entries. */
static void
open_container(JsonWriter *writer, JsonWriterFrame *frame, uint32 header, uint32 count)
{
	frame->parent = writer->top;
	frame->start = writer->length;
	pad(writer);
	frame->header = writer->length;
	frame->count = count;
	frame->written = 0;
	append(writer, &header, sizeof(header));
	reserve(writer, (Size) count * sizeof(JEntry));
	writer->length += (Size) count * sizeof(JEntry);
	frame->base = writer->length;
	writer->top = frame;
}

/*
 * Open an object that will have exactly so many pairs: first all keys follow,
 * in order and each once, then all values.  frame must last until the object
 * is closed.
 */
void
json_open_object(JsonWriter *writer, JsonWriterFrame *frame, uint32 pairs)
{
	if (pairs > MAX_PAIRS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("number of jsonb object pairs exceeds the maximum allowed (%zu)",
						(Size) MAX_PAIRS)));
	open_container(writer, frame, pairs | JB_FOBJECT, pairs * 2);
}

/* Open an array that will have exactly so many elements. */
void
json_open_array(JsonWriter *writer, JsonWriterFrame *frame, uint32 elements)
{
	if (elements > MAX_ELEMENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("number of jsonb array elements exceeds the maximum allowed (%zu)",
						(Size) MAX_ELEMENTS)));
	open_container(writer, frame, elements | JB_FARRAY, elements);
}

/*
 * Close the innermost open container, all of whose children were written.  To
 * the limit of its size its own header, entries and padding count, too, and
 * even where it is the root, which no entry tells the size of.
 */
void
json_close(JsonWriter *writer)
{
	JsonWriterFrame *frame = writer->top;

	Assert(frame->written == frame->count);
	if (unlikely(writer->length - frame->start > JENTRY_OFFLENMASK))
		refuse_size(writer, frame);
	writer->top = frame->parent;
	if (frame->parent)
		enter_child(writer, JENTRY_ISCONTAINER, frame->start);
}

/* The next key of the innermost open object. */
void
json_write_key(JsonWriter *writer, const char *key, int length)
{
	Size		start = writer->length;

	append(writer, key, length);
	enter_child(writer, JENTRY_ISSTRING, start);
}

/* Append a value's bytes, with their padding; returns its type as an entry's. */
static JEntry
append_value(JsonWriter *writer, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return JENTRY_ISNULL;
		case jbvBool:
			return value->val.boolean ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		case jbvString:
			append(writer, value->val.string.val, value->val.string.len);
			return JENTRY_ISSTRING;
		case jbvNumeric:
			pad(writer);
			append(writer, value->val.numeric, VARSIZE_ANY(value->val.numeric));
			return JENTRY_ISNUMERIC;
		case jbvBinary:
			pad(writer);
			append(writer, value->val.binary.data, value->val.binary.len);
			return JENTRY_ISCONTAINER;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
	return 0;
}

/* A scalar as a whole document: jsonb keeps it in an array of one. */
static void
write_root_scalar(JsonWriter *writer, const JsonbValue *scalar)
{
	JsonWriterFrame frame;
	JEntry		type;

	open_container(writer, &frame, 1 | JB_FARRAY | JB_FSCALAR, 1);
	type = append_value(writer, scalar);
	enter_child(writer, type, frame.base);
	json_close(writer);
}

/*
 * The next value: of the innermost open container, or the whole document.
 * Containers are views into other documents (json/reader.h).
 */
void
json_write_value(JsonWriter *writer, const JsonbValue *value)
{
	Size		start = writer->length;
	JEntry		type;

	if (writer->top == NULL && value->type != jbvBinary)
	{
		write_root_scalar(writer, value);
		return;
	}
	type = append_value(writer, value);
	if (writer->top)
		enter_child(writer, type, start);
}

/* Start copying out of a container. */
void
json_origin_init(JsonOrigin *origin, const JsonbContainer *container)
{
	uint32		entries = JsonContainerSize(container) * (JsonContainerIsObject(container) ? 2 : 1);

	origin->container = container;
	origin->base = (const char *) &container->children[entries];
	origin->entry = 0;
	origin->offset = 0;
}

/* Move an origin to the child of that entry. */
static inline void
move_origin(JsonOrigin *origin, uint32 entry)
{
	if (entry < origin->entry || entry - origin->entry > JB_OFFSET_STRIDE / 2)
		origin->offset = getJsonbOffset(origin->container, entry);
	else
		for (uint32 i = origin->entry; i < entry; i++)
			JBE_ADVANCE_OFFSET(origin->offset, origin->container->children[i]);
	origin->entry = entry;
}

/* How far it is to the next number that is a multiple of the stride. */
static inline uint32
to_stride(uint32 number)
{
	return -number % JB_OFFSET_STRIDE;
}

/*
 * Copy the entries of the origin's children up to to, which are going to lie
 * shift bytes (modulo 2^32) further on than in their own container, and move
 * the origin behind them.  Between two multiples of the stride, of either
 * container, entries are lengths and stay what they are.
 */
static void
copy_entries(JsonWriter *writer, JsonOrigin *origin, uint32 to, uint32 shift)
{
	const JEntry *from = origin->container->children;
	JEntry	   *entries = entry_of(writer, writer->top, 0);
	uint32		number = writer->top->written;
	uint32		offset = origin->offset;
	uint32		i = origin->entry;

	while (i < to)
	{
		uint32		stop = i + Min(to - i, Min(to_stride(i), to_stride(number)));
		uint32		end;

		for (; i < stop; i++)
		{
			entries[number++] = from[i];
			offset += JBE_OFFLENFLD(from[i]);
		}
		if (i == to)
			break;
		end = offset;
		JBE_ADVANCE_OFFSET(end, from[i]);
		entries[number] = (from[i] & JENTRY_TYPEMASK) |
			(number % JB_OFFSET_STRIDE == 0 ? (end + shift) | JENTRY_HAS_OFF : end - offset);
		offset = end;
		number++;
		i++;
	}
	writer->top->written = number;
	origin->entry = to;
	origin->offset = offset;
}

/* Copy the origin's children up to to, all by one shift. */
static void
copy_children(JsonWriter *writer, JsonOrigin *origin, uint32 to)
{
	uint32		start = origin->offset;

	copy_entries(writer, origin, to, (uint32) (writer->length - writer->top->base) - start);
	append(writer, origin->base + start, origin->offset - start);
	(void) children_size(writer, writer->top);
}

/* The first number or container from the origin on, or to. */
static uint32
first_aligned(const JsonOrigin *origin, uint32 to)
{
	uint32		i = origin->entry;

	while (i < to && !JBE_ISNUMERIC(origin->container->children[i]) &&
		   !JBE_ISCONTAINER(origin->container->children[i]))
		i++;
	return i;
}

/* Copy the origin's child, which is aligned, with other padding before it. */
static void
copy_aligned_child(JsonWriter *writer, JsonOrigin *origin)
{
	JEntry		entry = origin->container->children[origin->entry];
	Size		start = writer->length;
	uint32		end = origin->offset;

	JBE_ADVANCE_OFFSET(end, entry);
	pad(writer);
	append(writer, origin->base + INTALIGN(origin->offset), end - INTALIGN(origin->offset));
	enter_child(writer, entry & JENTRY_TYPEMASK, start);
	origin->entry++;
	origin->offset = end;
}

/*
 * The next children are copies of the origin's, those that it has as its
 * entries from up to to.  An object's keys are its entries from 0, its values
 * those from JsonContainerSize on.
 *
 * What is aligned stays so relative to its neighbours; so all can be copied
 * at once, or, where the run's own alignment changes, up to the first child
 * that has any and from behind it.
 */
void
json_write_run(JsonWriter *writer, JsonOrigin *origin, uint32 from, uint32 to)
{
	if (from >= to)
		return;
	Assert(writer->top->written + (to - from) <= writer->top->count);
	move_origin(origin, from);
	if ((writer->length - writer->top->base - origin->offset) % ALIGNOF_INT != 0)
	{
		copy_children(writer, origin, first_aligned(origin, to));
		if (origin->entry < to)
			copy_aligned_child(writer, origin);
	}
	copy_children(writer, origin, to);
}

/* The finished document; the writer is not to be used again. */
Jsonb *
json_writer_finish(JsonWriter *writer)
{
	Assert(writer->top == NULL && writer->length > VARHDRSZ);
	SET_VARSIZE(writer->data, writer->length);
	return (Jsonb *) writer->data;
}

/* A document of its own out of a view into another; NULL of NULL. */
Jsonb *
json_from_view(const JsonbValue *view)
{
	JsonWriter	writer;
	Size		size = 64;

	if (view == NULL)
		return NULL;
	if (view->type == jbvBinary)
		size = VARHDRSZ + view->val.binary.len;
	else if (view->type == jbvString)
		size = VARHDRSZ + 2 * sizeof(uint32) + view->val.string.len;
	json_writer_init(&writer, size);
	json_write_value(&writer, view);
	return json_writer_finish(&writer);
}

/* A text as a document, a string; NULL of NULL. */
Jsonb *
json_from_text(const char *text)
{
	JsonbValue	value = {.type = jbvString};

	if (text == NULL)
		return NULL;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	return json_from_view(&value);
}
