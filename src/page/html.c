/*
 * html.c: blocks of words as a page of HTML.
 *
 * A page is one text: no script, nothing from elsewhere, and a policy in it (CSP, level 3) that lets a browser load
 * nothing and take no style but the page's own, which it knows by its SHA-256.  All words go through page_escape.
 *
 * A block is an array: its kind, and words, which alternate, ours and what somebody wrote, where the kind does not say
 * otherwise.  Kinds stand in one table; what a kind opens, a list, a table or a picture, lasts until a block of another
 * sort comes.
 *
 *	title, text, note, heading, item, code, fold, unfold
 *	state: a mark (good, warn, bad) and words
 *	columns: titles; one that ends with an asterisk has our words, which are tags where they are several
 *	row: cells
 *	heat: a component, and for each cell a mark and three lines
 *	node: a name, a mark and two lines; edge: the names of two nodes, and a mark
 *	plot: what is drawn, with its unit; bar: a label, a number and how that is said
 */
#include "postgres.h"

#include <math.h>

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "json/reader.h"
#include "page/escape.h"

PG_FUNCTION_INFO_V1(promote_html_page);
PG_FUNCTION_INFO_V1(promote_page_project);

#define BYTES_MOST (1900 * 1024)	/* of a page: rows beyond that are counted */
#define STATEMENT_MOST 4000		/* characters of a statement that is to be copied */
#define WORDS_MOST 200			/* of a block */
#define COLUMNS_MOST 60
#define NODE_WIDTH 180			/* of pictures, in CSS pixels */
#define NODE_HEIGHT 78
#define NODE_GAP_X 50
#define NODE_GAP_Y 24
#define NODE_CHARACTERS 22
#define NODES_MOST 300
#define BAR_HEIGHT 26
#define BAR_LABEL 150
#define BAR_WIDTH 460

/* What is open, and goes on with blocks of the same sort. */
typedef enum Sort
{
	SORT_NONE, SORT_LIST, SORT_TABLE, SORT_GRAPH, SORT_PLOT
} Sort;

/* The words of a block; "" for what is missing. */
typedef struct Words
{
	char	   *word[WORDS_MOST];
	int			count;
} Words;

/* A place of a graph. */
typedef struct GraphNode
{
	int			rank;			/* the column: right of all that lead to it */
	int			x;
	int			y;
	Words		words;
} GraphNode;

/* A page that is being written. */
typedef struct HtmlPage
{
	StringInfoData text;
	Sort		open;
	int			folds;			/* that are open */
	int			regions;		/* tables so far, to name them */
	char	   *heading;		/* the last one */
	char	   *titles[COLUMNS_MOST];	/* of the table that is open */
	int			columns;
	int64		cut;			/* rows that were left out of it */
	List	   *nodes;			/* GraphNode *: of the graph that is open */
	List	   *edges;			/* Words * */
	List	   *bars;			/* Words *: of the plot that is open */
} HtmlPage;

/* A kind of blocks. */
typedef struct Kind
{
	const char *name;
	Sort		sort;
	bool		begins;			/* does it open another one, whatever is open? */
	void		(*write) (HtmlPage *page, const Words *words);	/* NULL: words in an element */
	const char *element;
	const char *attributes;		/* of it */
} Kind;

/* ---- words ---- */

/* Append a text that anybody may have written. */
static void
put(HtmlPage *page, const char *text)
{
	page_escape(&page->text, PAGE_HTML, text, PAGE_MOST_CHARACTERS);
}

/* Append markup, which is ours. */
static void
put_markup(HtmlPage *page, const char *markup)
{
	appendStringInfoString(&page->text, markup);
}

/* The word at a place, or "". */
static const char *
word_at(const Words *words, int place)
{
	return place < words->count ? words->word[place] : "";
}

/* Append words: ours, theirs, ours, ... */
static void
put_words(HtmlPage *page, const Words *words, int first)
{
	for (int i = first; i < words->count; i++)
	{
		if (words->word[i][0] == '\0')
			continue;
		put_markup(page, (i - first) % 2 ? "<b>" : "<span>");
		put(page, words->word[i]);
		put_markup(page, (i - first) % 2 ? "</b>" : "</span>");
	}
}

/* The class of a mark, and the sign that says the same to whoever sees no colours. */
typedef struct Mark
{
	const char *name;
	const char *sign;
} Mark;

static const Mark marks[] = {
	{"good", "\xe2\x9c\x94"},	/* U+2714 */
	{"warn", "\xe2\x96\xb2"},	/* U+25B2 */
	{"bad", "\xe2\x96\xa0"},	/* U+25A0 */
	{"soft", "\xc2\xb7"}		/* U+00B7: whatever is none of them */
};

/* Look a mark up. */
static const Mark *
mark_of(const char *name)
{
	const Mark *mark = marks;

	while (mark < &marks[lengthof(marks) - 1] && strcmp(mark->name, name) != 0)
		mark++;
	return mark;
}

/* ---- lines ---- */

/* How things stand, in a line that is seen first. */
static void
write_state(HtmlPage *page, const Words *words)
{
	const Mark *mark = mark_of(word_at(words, 0));

	appendStringInfo(&page->text, "<p class=\"state %s\"><i aria-hidden=\"true\">%s</i> <span>", mark->name, mark->sign);
	put_words(page, words, 1);
	put_markup(page, "</span></p>\n");
}

/* A statement to be copied, whole. */
static void
write_code(HtmlPage *page, const Words *words)
{
	put_markup(page, "<pre tabindex=\"0\">");
	page_escape(&page->text, PAGE_HTML, word_at(words, 0), STATEMENT_MOST);
	put_markup(page, "</pre>\n");
}

/* Begin what is shown on request. */
static void
write_fold(HtmlPage *page, const Words *words)
{
	page->folds++;
	put_markup(page, "<details><summary>");
	put_words(page, words, 0);
	put_markup(page, "</summary>\n");
}

/* End it. */
static void
write_unfold(HtmlPage *page, const Words *words)
{
	if (page->folds == 0)
		return;
	page->folds--;
	put_markup(page, "</details>\n");
}

/* ---- tables ---- */

/* Does the column have our words? */
static bool
is_ours(const char *title)
{
	return title[0] != '\0' && title[strlen(title) - 1] == '*';
}

/* Begin something that is wide, and is scrolled by itself, also by keyboard. */
static void
begin_region(HtmlPage *page)
{
	put_markup(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
	put(page, page->heading ? page->heading : "Table");
	appendStringInfo(&page->text, " %d\">", ++page->regions);
}

/* Begin a table. */
static void
write_columns(HtmlPage *page, const Words *words)
{
	page->columns = Min(words->count, COLUMNS_MOST);
	page->cut = 0;
	begin_region(page);
	put_markup(page, "<table><thead><tr>");
	for (int i = 0; i < page->columns; i++)
	{
		const char *title = page->titles[i] = words->word[i];

		put_markup(page, "<th scope=\"col\">");
		put(page, is_ours(title) ? pnstrdup(title, strlen(title) - 1) : title);
		put_markup(page, "</th>");
	}
	put_markup(page, "</tr></thead><tbody>\n");
}

/* Append tags: words of ours that commas part; those that begin with two capitals warn. */
static void
put_tags(HtmlPage *page, const char *tags)
{
	while (*tags)
	{
		const char *end = strstr(tags, ", ");
		int			length = end ? (int) (end - tags) : (int) strlen(tags);
		bool		warns = length > 1 && isupper((unsigned char) tags[0]) && isupper((unsigned char) tags[1]);

		appendStringInfo(&page->text, "<span class=\"tag %s\">", warns ? "bad" : "soft");
		put(page, pnstrdup(tags, length));
		put_markup(page, "</span> ");
		tags += length + (end ? 2 : 0);
	}
}

/* How cells of a column look, by its title; NULL: as others. */
static const char *
class_of(const char *title)
{
	static const char *const classes[][2] = {{"From", "old"}, {"To", "new"}};

	for (int i = 0; i < lengthof(classes); i++)
		if (strcmp(classes[i][0], title) == 0)
			return classes[i][1];
	return NULL;
}

/* The column that says what a row is about: the first that has not our own words, or the first. */
static int
head_of(const HtmlPage *page)
{
	for (int i = 0; i < page->columns; i++)
		if (!is_ours(page->titles[i]))
			return i;
	return 0;
}

/* Is there no room for another row?  Then it is counted. */
static bool
is_full(HtmlPage *page)
{
	bool		full = page->text.len > BYTES_MOST;

	page->cut += full;
	return full;
}

/* A row of a table. */
static void
write_row(HtmlPage *page, const Words *words)
{
	int			head = head_of(page);

	if (is_full(page))
		return;
	put_markup(page, "<tr>");
	for (int i = 0; i < page->columns; i++)
	{
		const char *class = class_of(page->titles[i]);

		if (i == head)
			put_markup(page, "<th scope=\"row\">");
		else if (class && word_at(words, i)[0])
			appendStringInfo(&page->text, "<td class=\"%s\">", class);
		else if (is_ours(page->titles[i]))
			put_markup(page, "<td class=\"ours\">");
		else
			put_markup(page, "<td>");
		if (i != head && is_ours(page->titles[i]) && strcmp(page->titles[i], "Marks*") == 0)
			put_tags(page, word_at(words, i));
		else
			put(page, word_at(words, i));
		put_markup(page, i == head ? "</th>" : "</td>");
	}
	put_markup(page, "</tr>\n");
}

/* A row of a table whose cells have a mark. */
static void
write_heat(HtmlPage *page, const Words *words)
{
	if (is_full(page))
		return;
	put_markup(page, "<tr><th scope=\"row\">");
	put(page, word_at(words, 0));
	put_markup(page, "</th>");
	for (int i = 1; i < words->count; i += 4)
	{
		const Mark *mark = mark_of(word_at(words, i));

		appendStringInfo(&page->text, "<td class=\"heat %s\">", mark->name);
		if (word_at(words, i + 1)[0])
		{
			appendStringInfo(&page->text, "<b><i aria-hidden=\"true\">%s</i> ", mark->sign);
			put(page, word_at(words, i + 1));
			put_markup(page, "</b>");
		}
		for (int line = 2; line < 4; line++)
		{
			put_markup(page, "<span>");
			put(page, word_at(words, i + line));
			put_markup(page, "</span>");
		}
		put_markup(page, "</td>");
	}
	put_markup(page, "</tr>\n");
}

/* ---- pictures ---- */

/* Keep words until the picture is drawn. */
static Words *
keep_words(const Words *words)
{
	Words	   *kept = palloc(sizeof(Words));

	*kept = *words;
	return kept;
}

/* Keep a place of the graph until all are known. */
static void
write_node(HtmlPage *page, const Words *words)
{
	GraphNode  *node = palloc0(sizeof(GraphNode));

	node->words = *words;
	if (list_length(page->nodes) < NODES_MOST)
		page->nodes = lappend(page->nodes, node);
}

/* Keep an edge, likewise. */
static void
write_edge(HtmlPage *page, const Words *words)
{
	page->edges = lappend(page->edges, keep_words(words));
}

/* Append a line of a picture, which has no room for long ones. */
static void
put_line(HtmlPage *page, const char *class, int x, int y, const char *text)
{
	int			bytes = pg_mbcharcliplen(text, strlen(text), NODE_CHARACTERS);

	appendStringInfo(&page->text, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y);
	put(page, pnstrdup(text, bytes));
	put_markup(page, text[bytes] ? "\xe2\x80\xa6</text>" : "</text>");
}

/* Draw a place, with its whole name for whoever points at it. */
static void
put_node(HtmlPage *page, const GraphNode *node)
{
	const Mark *mark = mark_of(word_at(&node->words, 1));

	appendStringInfo(&page->text, "<g class=\"node %s\"><title>", mark->name);
	put(page, word_at(&node->words, 0));
	appendStringInfo(&page->text, "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>", node->x, node->y,
					 NODE_WIDTH, NODE_HEIGHT);
	put_line(page, "name", node->x + 12, node->y + 23, word_at(&node->words, 0));
	put_line(page, mark->name, node->x + 12, node->y + 44,
			 psprintf("%s %s", mark->sign, word_at(&node->words, 2)));
	put_line(page, "soft", node->x + 12, node->y + 64, word_at(&node->words, 3));
	put_markup(page, "</g>\n");
}

/* The place of that name; NULL: there is none. */
static GraphNode *
node_named(const HtmlPage *page, const char *name)
{
	ListCell   *cell;

	foreach(cell, page->nodes)
		if (strcmp(word_at(&((GraphNode *) lfirst(cell))->words, 0), name) == 0)
			return lfirst(cell);
	return NULL;
}

/* Find both ends of an edge.  False: one is not drawn. */
static bool
find_ends(const HtmlPage *page, const Words *edge, GraphNode **from, GraphNode **to)
{
	*from = node_named(page, word_at(edge, 0));
	*to = node_named(page, word_at(edge, 1));
	return *from && *to;
}

/* Draw an edge. */
static void
put_edge(HtmlPage *page, const Words *words)
{
	GraphNode  *from;
	GraphNode  *to;
	int			reach;
	int			dip;

	if (!find_ends(page, words, &from, &to))
		return;
	/* what leaps over a column goes below what stands there */
	dip = to->rank > from->rank + 1 ? NODE_HEIGHT : 0;
	reach = dip > 0 ? NODE_GAP_X : (to->x - from->x - NODE_WIDTH) / 2;
	appendStringInfo(&page->text, "<path class=\"%s\" marker-end=\"url(#tip)\" d=\"M%d %dC%d %d %d %d %d %d\"/>\n",
					 mark_of(word_at(words, 2))->name, from->x + NODE_WIDTH, from->y + NODE_HEIGHT / 2,
					 from->x + NODE_WIDTH + reach, from->y + NODE_HEIGHT / 2 + dip,
					 to->x - reach, to->y + NODE_HEIGHT / 2 + dip, to->x - 2, to->y + NODE_HEIGHT / 2);
}

/* Put each place right of all that lead to it; where edges came in a circle, somewhere. */
static void
rank_nodes(const HtmlPage *page)
{
	bool		moved = true;
	ListCell   *cell;

	for (int round = 0; moved && round < list_length(page->nodes); round++)
	{
		moved = false;
		CHECK_FOR_INTERRUPTS();
		foreach(cell, page->edges)
		{
			GraphNode  *from;
			GraphNode  *to;

			if (!find_ends(page, lfirst(cell), &from, &to) || to->rank > from->rank)
				continue;
			to->rank = from->rank + 1;
			moved = true;
		}
	}
}

/* Lay the graph out, in columns.  Returns its size. */
static void
lay_out(const HtmlPage *page, int *width, int *height)
{
	int			taken[NODES_MOST + 1] = {0};
	ListCell   *cell;

	rank_nodes(page);
	*width = *height = 0;
	foreach(cell, page->nodes)
	{
		GraphNode  *node = lfirst(cell);

		node->rank = Min(node->rank, NODES_MOST);
		node->x = 10 + node->rank * (NODE_WIDTH + NODE_GAP_X);
		node->y = 10 + taken[node->rank]++ * (NODE_HEIGHT + NODE_GAP_Y);
		*width = Max(*width, node->x + NODE_WIDTH + 10);
		*height = Max(*height, node->y + NODE_HEIGHT + NODE_GAP_Y);
	}
}

/* Begin a picture of that size, whose words for whoever does not see it follow. */
static void
begin_picture(HtmlPage *page, int width, int height)
{
	begin_region(page);
	appendStringInfo(&page->text, "<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
					 width, height, width, height);
}

/* Draw the graph that is open. */
static void
end_graph(HtmlPage *page)
{
	ListCell   *cell;
	int			width;
	int			height;

	lay_out(page, &width, &height);
	begin_picture(page, width, height);
	foreach(cell, page->nodes)
	{
		put(page, word_at(&((GraphNode *) lfirst(cell))->words, 0));
		put_markup(page, lnext(page->nodes, cell) ? ", " : ". ");
	}
	foreach(cell, page->edges)
	{
		GraphNode  *from;
		GraphNode  *to;

		if (!find_ends(page, lfirst(cell), &from, &to))
			continue;
		put(page, word_at(&from->words, 0));
		put_markup(page, " leads to ");
		put(page, word_at(&to->words, 0));
		put_markup(page, ". ");
	}
	put_markup(page, "\"><defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\""
			   " orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n");
	foreach(cell, page->edges)
		put_edge(page, lfirst(cell));
	foreach(cell, page->nodes)
		put_node(page, lfirst(cell));
	put_markup(page, "</svg></div>\n");
	page->nodes = page->edges = NIL;
}

/* Keep a bar of the plot until all are known. */
static void
write_bar(HtmlPage *page, const Words *words)
{
	page->bars = lappend(page->bars, keep_words(words));
}

/* The number of a bar; 0 for what is none. */
static double
bar_value(const Words *words)
{
	double		value = strtod(word_at(words, 1), NULL);

	return isfinite(value) && value > 0 ? value : 0;
}

/* Draw the plot that is open. */
static void
end_plot(HtmlPage *page)
{
	double		most = 0;
	int			y = 4;
	ListCell   *cell;

	foreach(cell, page->bars)
		most = Max(most, bar_value(lfirst(cell)));
	begin_picture(page, BAR_LABEL + BAR_WIDTH + 150, 8 + list_length(page->bars) * BAR_HEIGHT);
	foreach(cell, page->bars)
	{
		put(page, psprintf("%s: %s. ", word_at(lfirst(cell), 0), word_at(lfirst(cell), 2)));
	}
	put_markup(page, "\">\n");
	foreach(cell, page->bars)
	{
		const Words *words = lfirst(cell);
		int			width = most > 0 ? (int) (BAR_WIDTH * bar_value(words) / most) : 0;

		put_line(page, "soft", 0, y + 17, word_at(words, 0));
		appendStringInfo(&page->text, "<rect class=\"bar\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"2\"/>", BAR_LABEL, y + 3,
						 Max(width, 1), BAR_HEIGHT - 8);
		put_line(page, "value", BAR_LABEL + Max(width, 1) + 8, y + 17, word_at(words, 2));
		y += BAR_HEIGHT;
	}
	put_markup(page, "</svg></div>\n");
	page->bars = NIL;
}

/* ---- blocks ---- */

static const Kind kinds[] = {
	{"title", SORT_NONE, false, NULL, "h1", ""},
	{"text", SORT_NONE, false, NULL, "p", ""},
	{"note", SORT_NONE, false, NULL, "p", " class=\"soft\""},
	{"heading", SORT_NONE, false, NULL, "h2", ""},
	{"item", SORT_LIST, false, NULL, "li", ""},
	{"state", SORT_NONE, false, write_state},
	{"code", SORT_NONE, false, write_code},
	{"fold", SORT_NONE, false, write_fold},
	{"unfold", SORT_NONE, false, write_unfold},
	{"columns", SORT_TABLE, true, write_columns},
	{"row", SORT_TABLE, false, write_row},
	{"heat", SORT_TABLE, false, write_heat},
	{"node", SORT_GRAPH, false, write_node},
	{"edge", SORT_GRAPH, false, write_edge},
	{"plot", SORT_NONE, false, NULL, "h3", ""},
	{"bar", SORT_PLOT, false, write_bar}
};

/* End what is open. */
static void
end_sort(HtmlPage *page)
{
	switch (page->open)
	{
		case SORT_LIST:
			put_markup(page, "</ul>\n");
			break;
		case SORT_TABLE:
			put_markup(page, "</tbody></table></div>\n");
			if (page->cut > 0)
				appendStringInfo(&page->text, "<p class=\"soft\">" INT64_FORMAT " more rows are left out.</p>\n", page->cut);
			page->cut = 0;
			break;
		case SORT_GRAPH:
			end_graph(page);
			break;
		case SORT_PLOT:
			end_plot(page);
			break;
		case SORT_NONE:
			break;
	}
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
read_block(const JsonbValue *block, Words *words)
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
		else if (words->count < WORDS_MOST)
			words->word[words->count++] = word;
	}
	return kind_of(kind);
}

/* Write words in an element; a heading names what follows. */
static void
write_element(HtmlPage *page, const Kind *kind, const Words *words)
{
	if (kind->element[0] == 'h')
		page->heading = pstrdup(word_at(words, 0));
	appendStringInfo(&page->text, "<%s%s>", kind->element, kind->attributes);
	put_words(page, words, 0);
	appendStringInfo(&page->text, "</%s>\n", kind->element);
}

/* Write a block. */
static void
write_block(HtmlPage *page, const Kind *kind, const Words *words)
{
	if (kind->begins || page->open != kind->sort)
		end_sort(page);
	if (page->open == SORT_NONE && kind->sort == SORT_LIST)
		put_markup(page, "<ul>\n");
	page->open = kind->sort;
	if (kind->write)
		kind->write(page, words);
	else
		write_element(page, kind, words);
}

/* Write what is before the body, for a page with that title. */
static void
begin_page(HtmlPage *page, const char *style, const Words *title)
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
	put_markup(page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
	appendStringInfo(&page->text, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s';"
					 " base-uri 'none'; form-action 'none'\">\n", TextDatumGetCString(encoded));
	put_markup(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	for (int i = 0; i < title->count; i++)
		put(page, title->word[i]);
	appendStringInfo(&page->text, "</title>\n<style>%s</style></head>\n<body><main>\n", style);
}

/*
 * promote_internal.html_page(style text, blocks jsonb) returns text: a page; the first block is its title
 */
Datum
promote_html_page(PG_FUNCTION_ARGS)
{
	HtmlPage		page = {.open = SORT_NONE};
	JsonbValue	blocks = json_view(PG_GETARG_JSONB_P(1));
	Words		words = {.count = 0};

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
	put_markup(&page, "</main></body></html>\n");
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
