/*
 * escape.c: the one place where what somebody wrote becomes a part of a text that a program reads.
 *
 * A table says of each language which characters mean something in it, and how they are written so that they mean
 * themselves.  Characters that nobody sees, or that change what one sees of others, are shown by their number,
 * whatever the language: controls, and of Unicode those that turn the direction of a line (UAX #9), that have no
 * width, or are tags.  A line break becomes a blank.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "base/value.h"
#include "grant/access.h"
#include "page/escape.h"

/* How a character is written that would mean something. */
typedef enum Escape
{
	BY_BACKSLASH,				/* \c */
	BY_ENTITY,					/* &#99; of HTML */
	BY_HASH						/* #99; of Mermaid */
} Escape;

/* What means something in a language, and how it is written. */
typedef struct Language
{
	const char *characters;
	Escape		escape;
} Language;

/* In the order of PageStyle. */
static const Language languages[] = {
	{"", BY_BACKSLASH},
	/* CommonMark 0.31, 2.4: any ASCII punctuation may be escaped; these begin something within a line */
	{"\\`*_[]<#|~&$!@", BY_BACKSLASH},
	/* nothing but its fence, which the caller makes longer, means something there */
	{"", BY_BACKSLASH},
	/* GFM, 4.10: also in code, and nothing else */
	{"|", BY_BACKSLASH},
	{"&<>\"'", BY_ENTITY},
	/* entity codes of flowcharts; a label may be Markdown and HTML */
	{"!\"#$%&'()*+-./:;<=>?@[\\]^_`{|}~", BY_HASH},
	/* quoted strings; what has & is an entity to Graphviz, and means itself as the one of &: see append_dot */
	{"\"\\", BY_BACKSLASH}
};

/* A range of characters that are shown by their numbers. */
typedef struct Unseen
{
	pg_wchar	first;
	pg_wchar	last;
} Unseen;

static const Unseen unseen[] = {
	{0x0, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, {0x61c, 0x61c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180e},
	{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0},
	{0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}
};

/* Is a character one that nobody sees? */
static bool
is_unseen(pg_wchar c)
{
	for (int i = 0; i < lengthof(unseen); i++)
		if (c >= unseen[i].first && c <= unseen[i].last)
			return true;
	return false;
}

/* Append one of ASCII's characters that means something in the language, so that it means itself. */
static void
append_escaped(StringInfo out, Escape escape, char c)
{
	if (escape == BY_BACKSLASH)
		appendStringInfo(out, "\\%c", c);
	else
		appendStringInfo(out, escape == BY_ENTITY ? "&#%d;" : "#%d;", c);
}

/* Append one character of a text. */
static void
append_character(StringInfo out, PageStyle style, const char *text, int bytes)
{
	const Language *language = &languages[style];
	pg_wchar	c = utf8_to_unicode((const unsigned char *) text);

	if (c == '\n' || c == '\r' || c == '\t')
		appendStringInfoChar(out, ' ');
	else if (is_unseen(c))
	{
		StringInfoData number;

		initStringInfo(&number);
		appendStringInfo(&number, "[U+%04X]", c);
		page_escape(out, style, number.data, number.len);
		pfree(number.data);
	}
	else if (style == PAGE_DOT && c == '&')
		appendStringInfoString(out, "&amp;");
	else if (bytes == 1 && strchr(language->characters, c))
		append_escaped(out, language->escape, c);
	else
		appendBinaryStringInfo(out, text, bytes);
}

/* A text of the database as UTF-8.  Where nobody knows what a byte stands for, it is shown by its number. */
static char *
to_utf8(const char *text)
{
	StringInfoData ascii;

	if (GetDatabaseEncoding() != PG_SQL_ASCII)
		return pg_server_to_any(text, strlen(text), PG_UTF8);
	initStringInfo(&ascii);
	for (; *text; text++)
		appendStringInfo(&ascii, IS_HIGHBIT_SET(*text) ? "[0x%02X]" : "%c", (unsigned char) *text);
	return ascii.data;
}

/*
 * Append a text of the database, so that it is text in what is written, whatever it has in it; up to most characters
 * of it, and then how many more there are.
 */
void
page_escape(StringInfo out, PageStyle style, const char *text, int most)
{
	const char *at = to_utf8(text);
	int			left;

	for (; *at && most > 0; most--)
	{
		int			bytes = pg_encoding_mblen(PG_UTF8, at);

		append_character(out, style, at, bytes);
		at += bytes;
	}
	left = page_characters(at, strlen(at));
	if (left > 0)
		appendStringInfo(out, " ... (%d more characters)", left);
}

/* How many characters a text of UTF-8 has. */
int
page_characters(const char *text, int bytes)
{
	int			count = 0;

	for (int i = 0; i < bytes; i++)
		count += (text[i] & 0xc0) != 0x80;
	return count;
}

/* How many columns of a terminal a text of UTF-8 takes: East Asian wide characters take two, combining ones none. */
int
page_width(const char *text, int bytes)
{
	int			width = 0;

	for (const char *at = text; at < text + bytes; at += pg_encoding_mblen(PG_UTF8, at))
		width += Max(pg_encoding_dsplen(PG_UTF8, at), 0);
	return width;
}

/* What was written, as a text of the database. */
Datum
page_result(const StringInfo text)
{
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return PointerGetDatum(cstring_to_text_with_len(text->data, text->len));
	return CStringGetTextDatum(pg_any_to_server(text->data, text->len, PG_UTF8));
}

/* The cells of an array of rows with so many columns each, row by row, NULL where one is; rows: how many there are. */
char	  **
page_cells(FunctionCallInfo fcinfo, int argument, int columns, int *rows)
{
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	int			count;
	char	  **cells;

	*rows = 0;
	if (PG_ARGISNULL(argument))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(argument);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	if (count % columns != 0)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the cells are not whole rows"),
				 errdetail("Rows have %d columns, and there are %d cells.", columns, count),
				 errhint("Pass a cell for each column of each row.")));
	cells = palloc((count + 1) * sizeof(char *));
	for (int i = 0; i < count; i++)
		cells[i] = nulls[i] ? NULL : TextDatumGetCString(values[i]);
	*rows = count / columns;
	return cells;
}

/*
 * Refuse a caller who sees nothing of a project, PM_NOT_GRANTED, and a project that there is not: one argument names
 * it, the other one what was found.
 */
void
page_require_project(FunctionCallInfo fcinfo, int project, int found)
{
	char	   *name = PG_ARGISNULL(project) ? NULL : TextDatumGetCString(PG_GETARG_DATUM(project));

	access_require_sight(name);
	if (PG_ARGISNULL(found))
		ereport(ERROR,
				(errcode(PM_NOT_FOUND),
				 errmsg("there is no project \"%s\"", name ? name : ""),
				 errdetail("promote.project has no row for it."),
				 errhint("Check the name; or INSERT the project first.")));
}
