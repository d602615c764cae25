/*
 * escape.h: anybody's text in the languages that people's programs draw.
 *
 * Texts of this room are UTF-8 until page_result gives them back in the database's encoding.
 */
#ifndef PROMOTE_PAGE_ESCAPE_H
#define PROMOTE_PAGE_ESCAPE_H

#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"

#define PAGE_MOST_CHARACTERS 300	/* of one text that somebody wrote */

/* What a text becomes a part of. */
typedef enum PageStyle
{
	PAGE_PLAIN,					/* a line of a terminal, or of a calendar's property */
	PAGE_WORDS,					/* Markdown, as words */
	PAGE_CODE,					/* Markdown, between backticks */
	PAGE_CELL,					/* Markdown, between backticks in a table */
	PAGE_HTML,
	PAGE_MERMAID,				/* between the quotation marks of a label */
	PAGE_DOT					/* likewise */
} PageStyle;

extern void page_escape(StringInfo out, PageStyle style, const char *text, int most);
extern int	page_characters(const char *text, int bytes);
extern int	page_width(const char *text, int bytes);
extern Datum page_result(const StringInfo text);
extern char **page_cells(FunctionCallInfo fcinfo, int argument, int columns, int *rows);
extern void page_require_project(FunctionCallInfo fcinfo, int project, int found);

#endif							/* PROMOTE_PAGE_ESCAPE_H */
