/*
 * html.c: blocks of words as a page of HTML.
 *
 * A page is one text: no script, nothing from elsewhere, and a policy in it (CSP, level 3) that lets a browser load
 * nothing and take no style but the page's own, which it knows by its SHA-256.  All words go through page_escape.
 *
 * A block is an array: its kind, and words, which alternate, ours and what somebody wrote, where the kind does not say
 * otherwise.  Kinds stand in one table; what a kind opens, a list, a table or a picture, lasts until a block of another
 * sort comes.  What a page has no room for is left out and counted.
 *
 *	title, text, note, heading, part, item, code, fold, unfold
 *	state: a mark (good, warn, bad) and words
 *	tile: a mark, what was measured, the value, what that is called, and of what it is
 *	event: a mark, a time, why, and words
 *	columns: titles; one that ends with an asterisk has our words, one that ends with a plus what is shown on request
 *	row: cells
 *	heat: a component, and for each cell a mark and three lines
 *	node: a name, a mark and two lines; edge: the names of two nodes, and a mark
 *	plot, strip: what it shows, in words; bar, of one of them: a label, a number, how that is said, and a mark
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "json/reader.h"
#include "page/escape.h"
#include "page/html.h"

PG_FUNCTION_INFO_V1(promote_html_page);
PG_FUNCTION_INFO_V1(promote_page_project);

#define BYTES_MOST (1800 * 1024)	/* of a page, before the last block */
#define STATEMENT_MOST 4000		/* characters of a statement that is to be copied */
#define FOLDED_MOST 2000		/* characters of a cell that is shown on request */

/* What is open, and goes on with blocks of the same sort. */
typedef enum Sort
{
	SORT_NONE, SORT_LIST, SORT_TILES, SORT_EVENTS, SORT_TABLE, SORT_GRAPH, SORT_PLOT
} Sort;

/* What stands before and behind blocks of a sort, and what is drawn when all are known. */
static const struct SortMarkup
{
	const char *before;
	void		(*draw) (HtmlPage *page);
	const char *behind;
}			sorts[] = {
	[SORT_LIST] = {"<ul>\n", NULL, "</ul>\n"},
	[SORT_TILES] = {"<ul class=\"tiles\">\n", NULL, "</ul>\n"},
	[SORT_EVENTS] = {"<ol class=\"events\">\n", NULL, "</ol>\n"},
	[SORT_TABLE] = {"", NULL, "</tbody></table></div>\n"},
	[SORT_GRAPH] = {"", html_draw_graph, ""},
	[SORT_PLOT] = {"<div class=\"figures\">\n", html_draw_plot, "</div>\n"}
};

/* A kind of blocks. */
typedef struct Kind
{
	const char *name;
	Sort		sort;
	bool		begins;			/* does it open another one, whatever is open? */
	void		(*write) (HtmlPage *page, const HtmlWords *words);	/* NULL: words in an element */
	const char *element;
	const char *attributes;		/* of it */
} Kind;

/* ---- lines ---- */

/* A sign for whoever sees no colours, which nobody has to hear. */
static void
put_sign(HtmlPage *page, const HtmlMark *mark)
{
	appendStringInfo(&page->text, "<i aria-hidden=\"true\">%s</i> ", mark->sign);
}

/* How things stand, in a line that is seen first. */
static void
write_state(HtmlPage *page, const HtmlWords *words)
{
	const HtmlMark *mark = html_mark(html_word(words, 0));

	appendStringInfo(&page->text, "<p class=\"state %s\">", mark->name);
	put_sign(page, mark);
	html_markup(page, "<span>");
	html_words(page, words, 1);
	html_markup(page, "</span></p>\n");
}

/* Do words of ours warn?  Then they begin with two capitals. */
static bool
is_warning(const char *words)
{
	return isupper((unsigned char) words[0]) && isupper((unsigned char) words[1]);
}

/* A line of a list. */
static void
write_item(HtmlPage *page, const HtmlWords *words)
{
	bool		warns = is_warning(html_word(words, 0));

	html_markup(page, warns ? "<li class=\"bad\">" : "<li>");
	if (warns)
		put_sign(page, html_mark("bad"));
	html_words(page, words, 0);
	html_markup(page, "</li>\n");
}

/* A number that matters. */
static void
write_tile(HtmlPage *page, const HtmlWords *words)
{
	static const char *const elements[] = {NULL, "span", "b", "em", "span"};
	const HtmlMark *mark = html_mark(html_word(words, 0));

	appendStringInfo(&page->text, "<li class=\"%s\">", mark->name);
	for (int i = 1; i < lengthof(elements); i++)
	{
		appendStringInfo(&page->text, "<%s>", elements[i]);
		if (elements[i][0] == 'e')
			put_sign(page, mark);
		html_put(page, html_word(words, i));
		appendStringInfo(&page->text, "</%s>", elements[i]);
	}
	html_markup(page, "</li>\n");
}

/* Something that happened. */
static void
write_event(HtmlPage *page, const HtmlWords *words)
{
	const HtmlMark *mark = html_mark(html_word(words, 0));

	appendStringInfo(&page->text, "<li class=\"%s\"><time>", mark->name);
	html_put(page, html_word(words, 1));
	html_markup(page, "</time> ");
	put_sign(page, mark);
	html_markup(page, "<p>");
	html_words(page, words, 3);
	if (html_word(words, 2)[0])
	{
		html_markup(page, "<q>");
		html_put(page, html_word(words, 2));
		html_markup(page, "</q>");
	}
	html_markup(page, "</p></li>\n");
}

/* A statement to be copied, whole. */
static void
write_code(HtmlPage *page, const HtmlWords *words)
{
	html_markup(page, "<pre tabindex=\"0\">");
	page_escape(&page->text, PAGE_HTML, html_word(words, 0), STATEMENT_MOST);
	html_markup(page, "</pre>\n");
}

/* Begin what is shown on request. */
static void
write_fold(HtmlPage *page, const HtmlWords *words)
{
	page->folds++;
	html_markup(page, "<details><summary>");
	html_words(page, words, 0);
	html_markup(page, "</summary>\n");
}

/* End it. */
static void
write_unfold(HtmlPage *page, const HtmlWords *words)
{
	if (page->folds == 0)
		return;
	page->folds--;
	html_markup(page, "</details>\n");
}

/* ---- tables ---- */

/* Does the title of a column end so? */
static bool
ends_with(const char *title, char end)
{
	return title[0] != '\0' && title[strlen(title) - 1] == end;
}

/* A title as people see it. */
static const char *
bare_title(const char *title)
{
	return ends_with(title, '*') || ends_with(title, '+') ? pnstrdup(title, strlen(title) - 1) : title;
}

/* Begin a table. */
static void
write_columns(HtmlPage *page, const HtmlWords *words)
{
	page->columns = Min(words->count, HTML_COLUMNS_MOST);
	html_region(page);
	html_markup(page, "<table><thead><tr>");
	for (int i = 0; i < page->columns; i++)
	{
		const char *title = page->titles[i] = words->word[i];

		html_markup(page, "<th scope=\"col\">");
		html_put(page, bare_title(title));
		html_markup(page, "</th>");
	}
	html_markup(page, "</tr></thead><tbody>\n");
}

/* Append tags: words of ours that commas part. */
static void
put_tags(HtmlPage *page, const char *tags)
{
	while (*tags)
	{
		const char *end = strstr(tags, ", ");
		int			length = end ? (int) (end - tags) : (int) strlen(tags);

		appendStringInfo(&page->text, "<span class=\"tag %s\">", is_warning(tags) ? "bad" : "soft");
		html_put(page, pnstrdup(tags, length));
		html_markup(page, "</span> ");
		tags += length + (end ? 2 : 0);
	}
}

/* Begin a cell that is no head: with its column's title, which stands beside it where there is no room for columns. */
static void
begin_cell(HtmlPage *page, const char *class, int column)
{
	html_markup(page, "<td");
	if (*class)
		appendStringInfo(&page->text, " class=\"%s\"", class);
	html_markup(page, " data-of=\"");
	html_put(page, column < page->columns ? bare_title(page->titles[column]) : "");
	html_markup(page, "\">");
}

/* How cells of a column look, by its title. */
static const char *
class_of(const char *title)
{
	static const char *const classes[][2] = {{"From", "old"}, {"To", "new"}, {"Why", "long"}, {"What", "long"}, {"Who can lift it", "long"},
	{"When*", "time"}, {"Since*", "time"}, {"Until*", "time"}, {"First*", "time"}, {"Last*", "time"}};

	for (int i = 0; i < lengthof(classes); i++)
		if (strcmp(classes[i][0], title) == 0)
			return classes[i][1];
	return ends_with(title, '*') ? "ours" : "";
}

/* The column that says what a row is about: the first that has not our own words, or the first. */
static int
head_of(const HtmlPage *page)
{
	for (int i = 0; i < page->columns; i++)
		if (!ends_with(page->titles[i], '*'))
			return i;
	return 0;
}

/* What is in a cell. */
static void
put_cell(HtmlPage *page, const char *title, const char *word)
{
	if (strcmp(title, "Marks*") == 0)
		put_tags(page, word);
	else if (ends_with(title, '+'))
	{
		html_markup(page, "<details><summary>Show</summary><code>");
		page_escape(&page->text, PAGE_HTML, word, FOLDED_MOST);
		html_markup(page, "</code></details>");
	}
	else
		html_put(page, word);
}

/* A row of a table. */
static void
write_row(HtmlPage *page, const HtmlWords *words)
{
	int			head = head_of(page);

	html_markup(page, "<tr>");
	for (int i = 0; i < page->columns; i++)
	{
		const char *title = page->titles[i];
		const char *word = html_word(words, i);

		if (i == head)
			html_markup(page, "<th scope=\"row\">");
		else if (*word)
			begin_cell(page, class_of(title), i);
		else
			html_markup(page, "<td>");
		if (*word)
			put_cell(page, title, word);
		html_markup(page, i == head ? "</th>" : "</td>");
	}
	html_markup(page, "</tr>\n");
}

/* A row of a table whose cells have a mark. */
static void
write_heat(HtmlPage *page, const HtmlWords *words)
{
	html_markup(page, "<tr><th scope=\"row\">");
	html_put(page, html_word(words, 0));
	html_markup(page, "</th>");
	for (int column = 1; column < page->columns; column++)
	{
		int			first = 4 * column - 3;
		const HtmlMark *mark = html_mark(html_word(words, first));

		begin_cell(page, psprintf("heat %s", mark->name), column);
		if (html_word(words, first + 1)[0])
		{
			html_markup(page, "<b>");
			put_sign(page, mark);
			html_put(page, html_word(words, first + 1));
			html_markup(page, "</b>");
		}
		for (int line = 2; line < 4; line++)
		{
			html_markup(page, "<span>");
			html_put(page, html_word(words, first + line));
			html_markup(page, "</span>");
		}
		html_markup(page, "</td>");
	}
	html_markup(page, "</tr>\n");
}

/* ---- blocks ---- */

static const Kind kinds[] = {
	{"title", SORT_NONE, false, NULL, "h1", ""},
	{"text", SORT_NONE, false, NULL, "p", ""},
	{"note", SORT_NONE, false, NULL, "p", " class=\"soft\""},
	{"heading", SORT_NONE, false, NULL, "h2", ""},
	{"part", SORT_NONE, false, NULL, "h3", ""},
	{"item", SORT_LIST, false, write_item},
	{"state", SORT_NONE, false, write_state},
	{"code", SORT_NONE, false, write_code},
	{"fold", SORT_NONE, false, write_fold},
	{"unfold", SORT_NONE, false, write_unfold},
	{"tile", SORT_TILES, false, write_tile},
	{"event", SORT_EVENTS, false, write_event},
	{"columns", SORT_TABLE, true, write_columns},
	{"row", SORT_TABLE, false, write_row},
	{"heat", SORT_TABLE, false, write_heat},
	{"node", SORT_GRAPH, false, html_node},
	{"edge", SORT_GRAPH, false, html_edge},
	{"plot", SORT_PLOT, false, html_plot},
	{"strip", SORT_PLOT, false, html_strip},
	{"bar", SORT_PLOT, false, html_bar}
};

/* End what is open. */
static void
end_sort(HtmlPage *page)
{
	if (page->open == SORT_NONE)
		return;
	if (sorts[page->open].draw)
		sorts[page->open].draw(page);
	html_markup(page, sorts[page->open].behind);
	page->open = SORT_NONE;
}

/* Refuse what is no list of blocks. */
pg_noreturn static void
refuse_blocks(const char *detail)
{
	ereport(ERROR,
			(errcode(PM_INVALID_ARGUMENT),
			 errmsg("these are no blocks of a page"),
			 errdetail_internal("%s", detail),
			 errhint("Blocks are arrays, each of a kind and words.")));
}

/* The kind of that name. */
static const Kind *
kind_of(const char *name)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	refuse_blocks(psprintf("There are none of the kind \"%s\".", name));
}

/* Read the words of a block, the first of which is its kind. */
static const Kind *
read_block(const JsonbValue *block, HtmlWords *words)
{
	const char *kind = "";

	words->count = 0;
	if (!json_is_array(block))
		refuse_blocks("One of them is no array.");
	json_foreach(child, block)
	{
		char	   *word = child.value.type != jbvString ? "" :
			pnstrdup(child.value.val.string.val, child.value.val.string.len);

		if (child.index == 0)
			kind = word;
		else if (words->count < HTML_WORDS_MOST)
			words->word[words->count++] = word;
	}
	return kind_of(kind);
}

/* Write words in an element; a heading names what follows. */
static void
write_element(HtmlPage *page, const Kind *kind, const HtmlWords *words)
{
	if (kind->element[0] == 'h')
		page->heading = pstrdup(html_word(words, 0));
	appendStringInfo(&page->text, "<%s%s>", kind->element, kind->attributes);
	html_words(page, words, 0);
	appendStringInfo(&page->text, "</%s>\n", kind->element);
}

/* Is there no room for a block?  Then it is counted; what ends something is written all the same. */
static bool
is_left_out(HtmlPage *page, const Kind *kind)
{
	bool		out = page->text.len > BYTES_MOST && kind->write != write_unfold;

	page->cut += out;
	return out;
}

/* Write a block. */
static void
write_block(HtmlPage *page, const Kind *kind, const HtmlWords *words)
{
	if (is_left_out(page, kind))
		return;
	if (kind->begins || page->open != kind->sort)
	{
		end_sort(page);
		if (kind->sort != SORT_NONE)
			html_markup(page, sorts[kind->sort].before);
	}
	page->open = kind->sort;
	if (kind->write)
		kind->write(page, words);
	else
		write_element(page, kind, words);
}

/* Write what is before the body, for a page with that title. */
static void
begin_page(HtmlPage *page, const char *style, const HtmlWords *title)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	Datum		encoded;

	if (pg_cryptohash_init(hash) < 0 || pg_cryptohash_update(hash, (const uint8 *) style, strlen(style)) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a digest");
	pg_cryptohash_free(hash);
	encoded = DirectFunctionCall2(binary_encode,
								  PointerGetDatum(cstring_to_text_with_len((char *) digest, sizeof(digest))),
								  CStringGetTextDatum("base64"));
	html_markup(page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
	appendStringInfo(&page->text, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s';"
					 " base-uri 'none'; form-action 'none'\">\n", TextDatumGetCString(encoded));
	html_markup(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	for (int i = 0; i < title->count; i++)
		html_put(page, title->word[i]);
	appendStringInfo(&page->text, "</title>\n<style>%s</style></head>\n<body><main>\n", style);
}

/*
 * promote_internal.html_page(style text, blocks jsonb) returns text: a page; the first block is its title
 */
Datum
promote_html_page(PG_FUNCTION_ARGS)
{
	HtmlPage	page = {.open = SORT_NONE};
	JsonbValue	blocks = json_view(PG_GETARG_JSONB_P(1));
	HtmlWords	words = {.count = 0};

	initStringInfo(&page.text);
	if (!json_is_array(&blocks))
		refuse_blocks("They are no array.");
	json_foreach(block, &blocks)
	{
		const Kind *kind = read_block(&block.value, &words);

		CHECK_FOR_INTERRUPTS();
		if (block.index == 0)
			begin_page(&page, TextDatumGetCString(PG_GETARG_DATUM(0)), &words);
		write_block(&page, kind, &words);
	}
	end_sort(&page);
	while (page.folds > 0)
		write_unfold(&page, &words);
	if (page.cut > 0)
		appendStringInfo(&page.text, "<p class=\"soft\">" INT64_FORMAT " more rows are left out.</p>\n", page.cut);
	html_markup(&page, "</main></body></html>\n");
	return page_result(&page.text);
}

/*
 * promote_internal.page_project(project text, found text) returns text: the project, which is refused where it was not
 * found
 */
Datum
promote_page_project(PG_FUNCTION_ARGS)
{
	page_require_project(fcinfo, 0, 1);
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}
