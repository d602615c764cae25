/*
 * markdown.c: blocks of words as GitHub-flavoured Markdown, up to a length.
 *
 * The words of a block alternate: ours, and what somebody wrote, which stands between backticks: there nothing is
 * markup, and no program makes a mention, a reference or a link of it.  A row has a cell for each column; the cells
 * of a column whose title ends with an asterisk are ours.  A state is a mark, which is for whoever draws it, and words
 * of ours.
 *
 * What does not fit is left out and counted, block by block, and whatever was opened is closed: RESERVE is kept for
 * that.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/errors.h"
#include "base/sql.h"
#include "page/escape.h"
#include "page/subject.h"

PG_FUNCTION_INFO_V1(promote_plan_markdown);
PG_FUNCTION_INFO_V1(promote_request_markdown);

#define LENGTH_DEFAULT 60000	/* GitHub takes comments of up to 65,536 characters */
#define LENGTH_LEAST 1000
#define LENGTH_MOST 1000000
#define RESERVE 400				/* characters for what closes, and for what says how much was left out */
#define COLUMNS_MOST 16

/* The kinds of blocks, by the names that the statements give them. */
typedef enum BlockKind
{
	BLOCK_NONE, BLOCK_TITLE, BLOCK_STATE, BLOCK_HEADING, BLOCK_TEXT, BLOCK_ITEM, BLOCK_COLUMNS, BLOCK_ROW, BLOCK_CODE,
	BLOCK_FOLD, BLOCK_UNFOLD
} BlockKind;

static const char *const block_kinds[] = {
	NULL, "title", "state", "heading", "text", "item", "columns", "row", "code", "fold", "unfold", NULL
};

/* A row of what is to be written. */
typedef struct TextBlock
{
	BlockKind	kind;
	ArrayType  *words;
} TextBlock;

static const SqlField block_fields[] = {
	SQL_ENUM_FIELD(TextBlock, kind, "b.kind", block_kinds),
	SQL_FIELD(TextBlock, words, "b.words")
};

/* What is being written. */
typedef struct Markdown
{
	StringInfoData text;
	int			length;			/* characters of it */
	int			most;
	int			folds;			/* that are open */
	int			skipped_folds;	/* that are open and were left out, with all that is in them */
	int			table_cut;		/* rows of the table that were left out */
	int			cut;			/* rows and blocks that were left out */
	BlockKind	last;			/* what was written last */
	bool		ours[COLUMNS_MOST]; /* of the table: has the column our own words? */
} Markdown;

/* The words of a block, "" for NULL. */
static char **
words_of(const TextBlock *block, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	char	  **words;

	deconstruct_array(block->words, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, count);
	words = palloc((*count + 1) * sizeof(char *));
	for (int i = 0; i < *count; i++)
		words[i] = nulls[i] ? "" : TextDatumGetCString(values[i]);
	return words;
}

/* The length of the longest run of backticks. */
static int
longest_run(const char *text)
{
	int			longest = 0;
	int			run = 0;

	for (; *text; text++)
	{
		run = *text == '`' ? run + 1 : 0;
		longest = Max(longest, run);
	}
	return longest;
}

/* Append what somebody wrote as code within a line, behind a fence that it does not have in itself. */
static void
append_code(StringInfo out, PageStyle style, const char *text)
{
	int			fence = longest_run(text) + 1;
	bool		padded = text[0] == '`' || text[0] == ' ' || (*text && strchr(" `", text[strlen(text) - 1]));

	if (*text == '\0')
		return;
	for (int i = 0; i < fence; i++)
		appendStringInfoChar(out, '`');
	appendStringInfoString(out, padded ? " " : "");
	page_escape(out, style, text, PAGE_MOST_CHARACTERS);
	appendStringInfoString(out, padded ? " " : "");
	for (int i = 0; i < fence; i++)
		appendStringInfoChar(out, '`');
}

/* Append words: ours, theirs, ours, ... */
static void
append_words(StringInfo out, char **words, int count)
{
	for (int i = 0; i < count; i++)
		if (i % 2 == 0)
			page_escape(out, PAGE_WORDS, words[i], PAGE_MOST_CHARACTERS);
		else
			append_code(out, PAGE_CODE, words[i]);
}

/* Append words of a summary, which is HTML. */
static void
append_summary(StringInfo out, char **words, int count)
{
	appendStringInfoString(out, "<details><summary>");
	for (int i = 0; i < count; i++)
	{
		appendStringInfoString(out, i % 2 ? "<code>" : "");
		page_escape(out, PAGE_HTML, words[i], PAGE_MOST_CHARACTERS);
		appendStringInfoString(out, i % 2 ? "</code>" : "");
	}
	appendStringInfoString(out, "</summary>\n\n");
}

/* Append the head of a table, and note whose words its columns have. */
static void
append_columns(Markdown *page, StringInfo out, char **words, int count)
{
	if (count > COLUMNS_MOST)
		elog(ERROR, "a table has %d columns", count);
	for (int i = 0; i < count; i++)
	{
		int			length = strlen(words[i]);

		page->ours[i] = length > 0 && words[i][length - 1] == '*';
		appendStringInfoString(out, "| ");
		page_escape(out, PAGE_WORDS, page->ours[i] ? pnstrdup(words[i], length - 1) : words[i], PAGE_MOST_CHARACTERS);
		appendStringInfoChar(out, ' ');
	}
	appendStringInfoString(out, "|\n");
	for (int i = 0; i < count; i++)
		appendStringInfoString(out, "|---");
	appendStringInfoString(out, "|\n");
}

/* Append a row of a table. */
static void
append_row(const Markdown *page, StringInfo out, char **words, int count)
{
	for (int i = 0; i < count; i++)
	{
		appendStringInfoString(out, "| ");
		if (i < COLUMNS_MOST && page->ours[i])
			page_escape(out, PAGE_WORDS, words[i], PAGE_MOST_CHARACTERS);
		else
			append_code(out, PAGE_CELL, words[i]);
		appendStringInfoChar(out, ' ');
	}
	appendStringInfoString(out, "|\n");
}

/* Append a statement to be copied, whole. */
static void
append_statement(StringInfo out, const char *statement)
{
	int			fence = Max(longest_run(statement) + 1, 3);

	for (int side = 0; side < 2; side++)
	{
		for (int i = 0; i < fence; i++)
			appendStringInfoChar(out, '`');
		appendStringInfoString(out, side == 0 ? "sql\n" : "\n\n");
		if (side == 0)
		{
			page_escape(out, PAGE_CODE, statement, LENGTH_LEAST);
			appendStringInfoChar(out, '\n');
		}
	}
}

/* Append a block as it looks. */
static void
append_block(Markdown *page, StringInfo out, BlockKind kind, char **words, int count)
{
	static const char *const begins[] = {[BLOCK_TITLE] = "## ", [BLOCK_HEADING] = "### ", [BLOCK_TEXT] = "",
	[BLOCK_ITEM] = "- "};

	switch (kind)
	{
		case BLOCK_STATE:
			appendStringInfoString(out, "**");
			page_escape(out, PAGE_WORDS, words[1], PAGE_MOST_CHARACTERS);
			appendStringInfoString(out, "**\n\n");
			break;
		case BLOCK_COLUMNS:
			append_columns(page, out, words, count);
			break;
		case BLOCK_ROW:
			append_row(page, out, words, count);
			break;
		case BLOCK_CODE:
			append_statement(out, words[0]);
			break;
		case BLOCK_FOLD:
			append_summary(out, words, count);
			break;
		case BLOCK_UNFOLD:
			appendStringInfoString(out, "</details>\n\n");
			break;
		default:
			appendStringInfoString(out, begins[kind]);
			append_words(out, words, count);
			appendStringInfoString(out, kind == BLOCK_ITEM ? "\n" : "\n\n");
	}
}

/* Does a block go on in the list or the table that the last one is of? */
static bool
goes_on(BlockKind last, BlockKind kind)
{
	return kind == BLOCK_ROW || (last == BLOCK_ITEM && kind == BLOCK_ITEM);
}

/* Does a block stand in lines that only a blank one ends? */
static bool
is_of_lines(BlockKind kind)
{
	return kind == BLOCK_ITEM || kind == BLOCK_ROW || kind == BLOCK_COLUMNS;
}

/* Write what was made. */
static void
put(Markdown *page, const StringInfo made)
{
	appendBinaryStringInfo(&page->text, made->data, made->len);
	page->length += page_characters(made->data, made->len);
}

/* End a list or a table, and say of a table how many of its rows were left out. */
static void
end_lines(Markdown *page)
{
	StringInfoData end;

	initStringInfo(&end);
	if (is_of_lines(page->last))
		appendStringInfoChar(&end, '\n');
	if (page->table_cut > 0)
		appendStringInfo(&end, "*Rows left out here: %d.*\n\n", page->table_cut);
	page->table_cut = 0;
	put(page, &end);
}

/* Leave a block out that there is no room for. */
static void
leave_out(Markdown *page, BlockKind kind)
{
	page->skipped_folds += kind == BLOCK_FOLD;
	page->table_cut += kind == BLOCK_ROW;
	page->cut++;
}

/* Is a block in a fold that was left out?  Then so is the block. */
static bool
is_skipped(Markdown *page, BlockKind kind)
{
	if (page->skipped_folds == 0)
		return false;
	page->skipped_folds += (kind == BLOCK_FOLD) - (kind == BLOCK_UNFOLD);
	page->cut += kind != BLOCK_UNFOLD;
	return true;
}

/* Write a block if there is room for it. */
static void
write_block(Markdown *page, const TextBlock *block)
{
	StringInfoData made;
	int			count;
	char	  **words;

	CHECK_FOR_INTERRUPTS();
	if (is_skipped(page, block->kind))
		return;
	words = words_of(block, &count);
	initStringInfo(&made);
	append_block(page, &made, block->kind, words, count);
	if (block->kind != BLOCK_UNFOLD &&
		page->length + page_characters(made.data, made.len) > page->most - RESERVE)
		leave_out(page, block->kind);
	else
	{
		if (!goes_on(page->last, block->kind))
			end_lines(page);
		put(page, &made);
		page->folds += (block->kind == BLOCK_FOLD) - (block->kind == BLOCK_UNFOLD);
		page->last = block->kind;
	}
	pfree(made.data);
}

/* The length that is asked for; NULL: the default.  Raises PM_INVALID_ARGUMENT. */
static int
argument_length(FunctionCallInfo fcinfo, int argument)
{
	int			length = PG_ARGISNULL(argument) ? LENGTH_DEFAULT : PG_GETARG_INT32(argument);

	if (length < LENGTH_LEAST || length > LENGTH_MOST)
		ereport(ERROR,
				(errcode(PM_INVALID_ARGUMENT),
				 errmsg("the length \"max_length\" is out of bounds"),
				 errdetail("It is %d, and can be from %d to %d characters.", length, LENGTH_LEAST, LENGTH_MOST),
				 errhint("Leave it out: what is written then fits a comment of GitHub's.")));
	return length;
}

/* Blocks as Markdown of up to so many characters; whole: which function shows what does not fit. */
static Datum
write_markdown(const Sql *sql, SqlRows *rows, int most, const char *whole)
{
	Markdown	page = {.most = most,.last = BLOCK_TEXT};
	StringInfoData end;
	TextBlock	block;
	Datum		result;

	initStringInfo(&page.text);
	initStringInfo(&end);
	for (uint64 i = 0; i < rows->count && sql_row(rows, i, &block); i++)
		write_block(&page, &block);
	end_lines(&page);
	if (page.cut > 0)
		appendStringInfo(&end, "*This was cut at %d characters. Rows and blocks left out: %d; %s has all.*\n", most,
						 page.cut, whole);
	put(&page, &end);
	result = page_result(&page.text);
	return SPI_datumTransfer(result, false, -1);
}

/*
 * promote.plan_markdown(instance text, deployment integer, max_length integer) returns text; without a deployment, that
 * of the last one
 */
Datum
promote_plan_markdown(PG_FUNCTION_ARGS)
{
	static Statement read = SQL_ROWS(block_fields, "SELECT $* FROM promote_internal.plan_blocks($1, $2, $3, $4) AS b");
	int			most = argument_length(fcinfo, 2);
	InstanceKey key;
	Sql			sql;
	int32		deployment = subject_deployment(fcinfo, "instance", &sql, &key);
	SqlRows		rows = sql_read(&sql, &read, AS_KEY(&key), AS_INT(deployment));
	Datum		result = write_markdown(&sql, &rows, most, "`promote.plan_text`");

	sql_leave(&sql);
	return result;
}

/*
 * promote.request_markdown(project text, request integer, max_length integer) returns text; without a request, that of
 * the last one; NULL: there is no such request
 */
Datum
promote_request_markdown(PG_FUNCTION_ARGS)
{
	static Statement read = SQL_ROWS(block_fields, "SELECT $* FROM promote_internal.request_blocks($1, $2) AS b");
	int			most = argument_length(fcinfo, 2);
	char	   *project;
	int32		request;
	Datum		result = (Datum) 0;
	Sql			sql;
	SqlRows		rows;

	fcinfo->isnull = !subject_request(fcinfo, &sql, &project, &request);
	if (!fcinfo->isnull)
	{
		rows = sql_read(&sql, &read, AS_TEXT(project), AS_INT(request));
		result = write_markdown(&sql, &rows, most, "`promote.request_evidence`");
	}
	sql_leave(&sql);
	return result;
}
