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

#include "json/reader.h"
#include "json/writer.h"

#include "utils/memutils.h"

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

/* Close the innermost open container, all of whose children were written. */
void
json_close(JsonWriter *writer)
{
	JsonWriterFrame *frame = writer->top;

	Assert(frame->written == frame->count);
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

/* A run of children of one container, and where it is copied to. */
typedef struct Run
{
	const JsonbContainer *container;
	uint32		from;			/* numbers of entries */
	uint32		to;
	uint32		aligned;		/* the first number or container, or to */
	Size		start;			/* of its data, from the container's base */
	Size		end;
	uint32		shift;			/* to add to where a child ends, modulo 2^32: */
	uint32		aligned_shift;	/* before, and from aligned on */
} Run;

/* The number of the first entry from which on alignment matters, or to. */
static uint32
first_aligned(const JsonbContainer *container, uint32 from, uint32 to)
{
	while (from < to && !JBE_ISNUMERIC(container->children[from]) &&
		   !JBE_ISCONTAINER(container->children[from]))
		from++;
	return from;
}

/*
 * Append the run's data.  What is aligned stays so relative to its neighbours;
 * so two pieces are copied, with new padding in between, or one where the
 * padding is the same.
 */
static void
append_run(JsonWriter *writer, Run *run)
{
	const JsonbContainer *container = run->container;
	const char *base = (const char *) &container->children[JsonContainerSize(container) *
														   (JsonContainerIsObject(container) ? 2 : 1)];
	Size		start = writer->length - writer->top->base;
	Size		middle = run->end;
	Size		behind = run->end;	/* the padding that lies behind middle */

	run->shift = run->aligned_shift = (uint32) (start - run->start);
	run->aligned = run->to;
	if (run->shift % ALIGNOF_INT != 0)
		run->aligned = first_aligned(container, run->from, run->to);
	if (run->aligned < run->to)
	{
		middle = getJsonbOffset(container, run->aligned);
		behind = INTALIGN(middle);
	}
	append(writer, base + run->start, middle - run->start);
	if (run->aligned == run->to)
		return;
	pad(writer);
	run->aligned_shift = (uint32) (writer->length - writer->top->base - behind);
	append(writer, base + behind, run->end - behind);
}

/* Where the child ends in the container that it is copied to. */
static inline uint32
new_end(const Run *run, uint32 number)
{
	return getJsonbOffset(run->container, number + 1) +
		(number < run->aligned ? run->shift : run->aligned_shift);
}

/* The entry of a child that was copied, as a length. */
static JEntry
length_entry(const Run *run, uint32 number)
{
	uint32		length = getJsonbLength(run->container, number);

	if (number == run->aligned)
		length += run->aligned_shift - run->shift;
	return (run->container->children[number] & JENTRY_TYPEMASK) | length;
}

/* The entry of a child that was copied, as where it ends. */
static JEntry
offset_entry(const Run *run, uint32 number)
{
	return (run->container->children[number] & JENTRY_TYPEMASK) | new_end(run, number) |
		JENTRY_HAS_OFF;
}

/* The first number from there on that is a multiple of the stride. */
static inline uint32
next_stride(uint32 number)
{
	return (number + JB_OFFSET_STRIDE - 1) / JB_OFFSET_STRIDE * JB_OFFSET_STRIDE;
}

/*
 * Copy the run's entries.  All that need a look are those that are offsets in
 * either container, and that of the child whose padding changed.
 */
static void
copy_entries(JsonWriter *writer, const Run *run)
{
	uint32		first = writer->top->written;
	uint32		count = run->to - run->from;
	JEntry	   *entries = entry_of(writer, writer->top, first);

	memcpy(entries, &run->container->children[run->from], count * sizeof(JEntry));
	if (first % JB_OFFSET_STRIDE != run->from % JB_OFFSET_STRIDE)
		for (uint32 i = next_stride(run->from); i < run->to; i += JB_OFFSET_STRIDE)
			entries[i - run->from] = length_entry(run, i);
	if (run->aligned < run->to)
		entries[run->aligned - run->from] = length_entry(run, run->aligned);
	for (uint32 i = next_stride(first); i < first + count; i += JB_OFFSET_STRIDE)
		entries[i - first] = offset_entry(run, run->from + (i - first));
}

/*
 * The next children are copies of another container's, which has them as its
 * entries from up to to.  An object's keys are its entries from 0, its
 * values those from JsonContainerSize on.
 */
void
json_write_run(JsonWriter *writer, const JsonbContainer *container, uint32 from, uint32 to)
{
	Run			run = {.container = container,.from = from,.to = to};

	if (from >= to)
		return;
	Assert(writer->top->written + (to - from) <= writer->top->count);
	run.start = getJsonbOffset(container, from);
	run.end = getJsonbOffset(container, to);
	append_run(writer, &run);
	(void) children_size(writer, writer->top);
	copy_entries(writer, &run);
	writer->top->written += to - from;
}

/* The finished document; the writer is not to be used again. */
Jsonb *
json_writer_finish(JsonWriter *writer)
{
	Assert(writer->top == NULL && writer->length > VARHDRSZ);
	SET_VARSIZE(writer->data, writer->length);
	return (Jsonb *) writer->data;
}

/* A document of its own out of a view into another. */
Jsonb *
json_from_view(const JsonbValue *view)
{
	JsonWriter	writer;
	Size		size = 64;

	if (view->type == jbvBinary)
		size = VARHDRSZ + view->val.binary.len;
	else if (view->type == jbvString)
		size = VARHDRSZ + 2 * sizeof(uint32) + view->val.string.len;
	json_writer_init(&writer, size);
	json_write_value(&writer, view);
	return json_writer_finish(&writer);
}
