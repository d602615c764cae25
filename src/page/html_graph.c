/*
 * html_graph.c: places and the ways between them, as a picture (SVG).
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "page/html.h"

#define NODE_WIDTH 180			/* in CSS pixels */
#define NODE_HEIGHT 78
#define NODE_GAP_X 50
#define NODE_GAP_Y 24
#define NODE_CHARACTERS 22
#define NODES_MOST 300

/* A place of a graph. */
typedef struct GraphNode
{
	int			rank;			/* the column: right of all that lead to it */
	int			x;
	int			y;
	HtmlWords	words;
} GraphNode;

/* Keep a place of the graph until all are known. */
void
html_node(HtmlPage *page, const HtmlWords *words)
{
	GraphNode  *node = palloc0(sizeof(GraphNode));

	node->words = *words;
	if (list_length(page->nodes) < NODES_MOST)
		page->nodes = lappend(page->nodes, node);
}

/* Keep an edge, likewise. */
void
html_edge(HtmlPage *page, const HtmlWords *words)
{
	page->edges = lappend(page->edges, html_keep(words));
}

/* Append a line of a picture, which has no room for long ones. */
static void
put_line(HtmlPage *page, const char *class, int x, int y, const char *text)
{
	int			bytes = pg_mbcharcliplen(text, strlen(text), NODE_CHARACTERS);

	appendStringInfo(&page->text, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y);
	html_put(page, pnstrdup(text, bytes));
	html_markup(page, text[bytes] ? "\xe2\x80\xa6</text>" : "</text>");
}

/* Draw a place, with its whole name for whoever points at it. */
static void
put_node(HtmlPage *page, const GraphNode *node)
{
	const HtmlMark *mark = html_mark(html_word(&node->words, 1));

	appendStringInfo(&page->text, "<g class=\"node %s\"><title>", mark->name);
	html_put(page, html_word(&node->words, 0));
	appendStringInfo(&page->text, "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>", node->x, node->y,
					 NODE_WIDTH, NODE_HEIGHT);
	put_line(page, "name", node->x + 12, node->y + 23, html_word(&node->words, 0));
	put_line(page, mark->name, node->x + 12, node->y + 44,
			 psprintf("%s %s", mark->sign, html_word(&node->words, 2)));
	put_line(page, "soft", node->x + 12, node->y + 64, html_word(&node->words, 3));
	html_markup(page, "</g>\n");
}

/* The place of that name; NULL: there is none. */
static GraphNode *
node_named(const HtmlPage *page, const char *name)
{
	ListCell   *cell;

	foreach(cell, page->nodes)
		if (strcmp(html_word(&((GraphNode *) lfirst(cell))->words, 0), name) == 0)
			return lfirst(cell);
	return NULL;
}

/* Find both ends of an edge.  False: one is not drawn. */
static bool
find_ends(const HtmlPage *page, const HtmlWords *edge, GraphNode **from, GraphNode **to)
{
	CHECK_FOR_INTERRUPTS();
	*from = node_named(page, html_word(edge, 0));
	*to = node_named(page, html_word(edge, 1));
	return *from && *to;
}

/* Draw an edge. */
static void
put_edge(HtmlPage *page, const HtmlWords *words)
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
					 html_mark(html_word(words, 2))->name, from->x + NODE_WIDTH, from->y + NODE_HEIGHT / 2,
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

/* Draw the graph that is open. */
void
html_draw_graph(HtmlPage *page)
{
	ListCell   *cell;
	int			width;
	int			height;

	lay_out(page, &width, &height);
	html_region(page);
	appendStringInfo(&page->text, "<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
					 width, height, width, height);
	foreach(cell, page->nodes)
	{
		html_put(page, html_word(&((GraphNode *) lfirst(cell))->words, 0));
		html_markup(page, lnext(page->nodes, cell) ? ", " : ". ");
	}
	foreach(cell, page->edges)
	{
		GraphNode  *from;
		GraphNode  *to;

		if (!find_ends(page, lfirst(cell), &from, &to))
			continue;
		html_put(page, html_word(&from->words, 0));
		html_markup(page, " leads to ");
		html_put(page, html_word(&to->words, 0));
		html_markup(page, ". ");
	}
	html_markup(page, "\"><defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\""
			   " orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n");
	foreach(cell, page->edges)
		put_edge(page, lfirst(cell));
	foreach(cell, page->nodes)
		put_node(page, lfirst(cell));
	html_markup(page, "</svg></div>\n");
	page->nodes = page->edges = NIL;
}
