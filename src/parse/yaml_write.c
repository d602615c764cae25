/*
 * yaml_write.c: promote.jsonb_to_yaml, jsonb to YAML text.
 *
 * libyaml lays the text out; what is decided here is the order of keys and in which style a string stands.
 * It is plain only where nobody could take it for anything else, by YAML 1.1 either; a text of several lines is
 * a block; all else is in double quotes.  promote.yaml_to_jsonb reads the same document back.
 */
#include "postgres.h"

#include <ctype.h>
#include <yaml.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "json/ordered.h"
#include "json/reader.h"
#include "parse/yaml.h"

PG_FUNCTION_INFO_V1(promote_jsonb_to_yaml);

/* One call.  The emitter owns malloc'ed memory. */
typedef struct YamlWriter
{
	yaml_emitter_t emitter;
	StringInfoData text;		/* UTF-8 */
} YamlWriter;

static void write_value(YamlWriter *writer, const JsonbValue *value, int depth);

/* Take what libyaml has written.  A write handler of libyaml: an error leaves nothing but the emitter to be deleted. */
static int
take_output(void *state, unsigned char *buffer, size_t size)
{
	appendBinaryStringInfo(state, (char *) buffer, size);
	return 1;
}

/* Raise that libyaml has no memory: all that can go wrong, since the events fit each other. */
pg_noreturn static void
refuse_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("The YAML emitter could not allocate memory.")));
}

/* Hand an event to libyaml, which frees it. */
static void
emit(YamlWriter *writer, yaml_event_t *event, int made)
{
	if (!made || !yaml_emitter_emit(&writer->emitter, event))
		refuse_memory();
}

/* ---- scalars ---- */

/* May a byte stand within a plain string, wherever it is? */
static bool
is_plain_byte(unsigned char byte)
{
	return isalnum(byte) || (byte && strchr("_./+@()~^-", byte));
}

/* Could the text be taken for something else than a string, by YAML 1.2 or 1.1? */
static bool
is_word_of_yaml(const char *text, int length)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};

	for (int i = 0; i < lengthof(words); i++)
		if (strlen(words[i]) == length && pg_strncasecmp(text, words[i], length) == 0)
			return true;
	return false;
}

/* Can the text do without quotes?  A letter comes first, so that it is no number; blanks stand alone within. */
static bool
is_plain(const char *text, int length)
{
	if (length == 0 || length > 1000 || !isalpha((unsigned char) text[0]) || is_word_of_yaml(text, length))
		return false;
	for (int i = 0; i < length; i++)
		if (!is_plain_byte(text[i]) && !(text[i] == ' ' && i + 1 < length && text[i + 1] != ' '))
			return false;
	return true;
}

/*
 * Does the text read well as a block?  Lines of ASCII that begin with no blank and end with none; the last ends, or
 * does not, by one line break.
 */
static bool
is_block(const char *text, int length)
{
	if (length < 3 || memchr(text, '\n', length - 1) == NULL)
		return false;
	for (int i = 0; i < length; i++)
	{
		bool		begins = i == 0 || text[i - 1] == '\n';
		bool		ends = i + 1 == length || text[i + 1] == '\n';

		if (text[i] == '\n')
		{
			if (i == 0 || (i + 1 == length && text[i - 1] == '\n'))
				return false;
		}
		else if ((unsigned char) text[i] < ' ' || (unsigned char) text[i] > '~' ||
				 (text[i] == ' ' && (ends || (begins && i == 0))) || (text[i] == '#' && begins))
			return false;
	}
	return true;
}

/* Write a scalar by its text in the database's encoding. */
static void
write_scalar(YamlWriter *writer, const char *text, int length, yaml_scalar_style_t style)
{
	char	   *utf8 = pg_server_to_any(text, length, PG_UTF8);
	int			size = utf8 == text ? length : strlen(utf8);
	yaml_event_t event;

	emit(writer, &event,
		 yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *) utf8, size, 1, 1, style));
	if (utf8 != text)
		pfree(utf8);
}

/* Write a string, as a key or as a value on a level of nesting. */
static void
write_string(YamlWriter *writer, const JsonbValue *string, bool may_be_block)
{
	const char *text = string->val.string.val;
	int			length = string->val.string.len;

	write_scalar(writer, text, length,
				 is_plain(text, length) ? YAML_PLAIN_SCALAR_STYLE :
				 may_be_block && is_block(text, length) ? YAML_LITERAL_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

/* Write a number. */
static void
write_number(YamlWriter *writer, Numeric number)
{
	StringInfoData text;

	initStringInfo(&text);
	json_append_number(&text, number);
	write_scalar(writer, text.data, text.len, YAML_PLAIN_SCALAR_STYLE);
	pfree(text.data);
}

/* Write null, true or false. */
static void
write_word(YamlWriter *writer, const JsonbValue *value)
{
	const char *word = value->type == jbvNull ? "null" : value->val.boolean ? "true" : "false";

	write_scalar(writer, word, strlen(word), YAML_PLAIN_SCALAR_STYLE);
}

/* ---- containers ---- */

/* Write an object. */
static void
write_mapping(YamlWriter *writer, const JsonbValue *object, int depth)
{
	JsonOrderedPair *pairs = json_ordered_pairs(object);
	yaml_event_t event;

	emit(writer, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
	for (uint32 i = 0; i < json_count(object); i++)
	{
		write_string(writer, &pairs[i].key, false);
		write_value(writer, &pairs[i].value, depth + 1);
	}
	emit(writer, &event, yaml_mapping_end_event_initialize(&event));
	pfree(pairs);
}

/* Write an array. */
static void
write_sequence(YamlWriter *writer, const JsonbValue *array, int depth)
{
	yaml_event_t event;

	emit(writer, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
	json_foreach(child, array)
		write_value(writer, &child.value, depth + 1);
	emit(writer, &event, yaml_sequence_end_event_initialize(&event));
}

/* Write a value; depth is that of the containers around it. */
static void
write_value(YamlWriter *writer, const JsonbValue *value, int depth)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(value))
		write_mapping(writer, value, depth);
	else if (json_is_array(value))
		write_sequence(writer, value, depth);
	else if (value->type == jbvString)
		write_string(writer, value, depth > 0);
	else if (value->type == jbvNumeric)
		write_number(writer, value->val.numeric);
	else
		write_word(writer, value);
}

/* Write a whole document. */
static void
write_document(YamlWriter *writer, const JsonbValue *view)
{
	yaml_event_t event;

	yaml_emitter_set_output(&writer->emitter, take_output, &writer->text);
	yaml_emitter_set_encoding(&writer->emitter, YAML_UTF8_ENCODING);
	yaml_emitter_set_unicode(&writer->emitter, 1);
	yaml_emitter_set_indent(&writer->emitter, 2);
	yaml_emitter_set_width(&writer->emitter, -1);
	yaml_emitter_set_break(&writer->emitter, YAML_LN_BREAK);
	emit(writer, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(writer, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
	write_value(writer, view, 0);
	emit(writer, &event, yaml_document_end_event_initialize(&event, 1));
	emit(writer, &event, yaml_stream_end_event_initialize(&event));
}

/* A document as YAML, in the database's encoding. */
text *
yaml_text(const Jsonb *document)
{
	JsonbValue	view = json_view(document);

	/* not on the stack, where longjmp would make its fields indeterminate */
	YamlWriter *writer = palloc0(sizeof(YamlWriter));
	char	   *converted;

	initStringInfo(&writer->text);
	if (!yaml_emitter_initialize(&writer->emitter))
		refuse_memory();
	PG_TRY();
	{
		write_document(writer, &view);
	}
	PG_FINALLY();
	{
		yaml_emitter_delete(&writer->emitter);
	}
	PG_END_TRY();
	converted = pg_any_to_server(writer->text.data, writer->text.len, PG_UTF8);
	return cstring_to_text_with_len(converted,
									converted == writer->text.data ? writer->text.len : strlen(converted));
}

/* promote.jsonb_to_yaml(document jsonb) returns text */
Datum
promote_jsonb_to_yaml(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(yaml_text(PG_GETARG_JSONB_P(0)));
}
