/*
 * graph.c: environments and the paths between them, for Mermaid and for Graphviz.
 *
 * Nodes are called by their numbers, so that nobody's name is ever part of the language.  Who sees no colours, or
 * prints the graph, sees the same: states are words, and a path by which nothing may go on is a dashed line.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "page/escape.h"

PG_FUNCTION_INFO_V1(promote_mermaid);
PG_FUNCTION_INFO_V1(promote_dot);

/* The columns of the arrays that the statements pass. */
enum NodeColumn
{
	NODE_NAME, NODE_STATES, NODE_COLUMNS
};

enum EdgeColumn
{
	EDGE_FROM, EDGE_TO, EDGE_WORDS, EDGE_BLOCKED, EDGE_WHY, EDGE_COLUMNS
};

/* How a language says it. */
typedef struct GraphLanguage
{
	PageStyle	style;
	const char *head;
	const char *node;			/* before its number, its name, between that and its states, and behind */
	const char *named;
	const char *broken;
	const char *labelled;
	const char *arrow;			/* between the numbers: of a path */
	const char *blocked_arrow;
	bool		words_first;	/* does the label stand between the arrow and the second number? */
	const char *words;
	const char *blocked_words;	/* before the words, where the path is blocked */
	const char *worded;
	const char *tail;
} GraphLanguage;

static const GraphLanguage mermaid = {
	PAGE_MERMAID, "flowchart LR\n", "    n", "[\"", "<br/>", "\"]\n", " -->", " -.->", true, "|\"", "|\"", "\"| ", ""
};

static const GraphLanguage dot = {
	PAGE_DOT, "digraph pipeline {\n    rankdir=LR;\n    node [shape=box];\n", "    n", " [label=\"", "\\n", "\"];\n",
	" -> ", " -> ", false, " [label=\"", " [style=dashed, label=\"", "\"];\n", "}\n"
};

/* Append a node with its states. */
static void
append_node(StringInfo out, const GraphLanguage *language, int number, char **cells)
{
	appendStringInfo(out, "%s%d%s", language->node, number, language->named);
	page_escape(out, language->style, cells[NODE_NAME], PAGE_MOST_CHARACTERS);
	appendStringInfoString(out, language->broken);
	page_escape(out, language->style, cells[NODE_STATES], PAGE_MOST_CHARACTERS);
	appendStringInfoString(out, language->labelled);
}

/* What is said of a path, as one line: its words, and the lines of why. */
static const char *
edge_label(char **cells)
{
	StringInfoData label;

	if (cells[EDGE_WHY] == NULL)
		return cells[EDGE_WORDS];
	initStringInfo(&label);
	appendStringInfo(&label, "%s; ", cells[EDGE_WORDS]);
	for (const char *from = cells[EDGE_WHY]; *from; from++)
	{
		if (*from == '\n')
			appendStringInfoString(&label, "; ");
		else
			appendStringInfoChar(&label, *from);
	}
	return label.data;
}

/* Append a path with what is said of it. */
static void
append_edge(StringInfo out, const GraphLanguage *language, char **cells)
{
	bool		blocked = cells[EDGE_BLOCKED] != NULL;

	appendStringInfo(out, "    n%s%s", cells[EDGE_FROM], blocked ? language->blocked_arrow : language->arrow);
	if (!language->words_first)
		appendStringInfo(out, "n%s", cells[EDGE_TO]);
	appendStringInfoString(out, blocked ? language->blocked_words : language->words);
	page_escape(out, language->style, edge_label(cells), PAGE_MOST_CHARACTERS);
	appendStringInfoString(out, language->worded);
	if (language->words_first)
		appendStringInfo(out, "n%s\n", cells[EDGE_TO]);
}

/* The graph in a language: arguments are the project, what was found of it, the nodes and the edges. */
static Datum
draw(FunctionCallInfo fcinfo, const GraphLanguage *language)
{
	StringInfoData out;
	int			count;
	char	  **cells;

	page_require_project(fcinfo, 0, 1);
	initStringInfo(&out);
	appendStringInfoString(&out, language->head);
	cells = page_cells(fcinfo, 2, NODE_COLUMNS, &count);
	for (int i = 0; i < count; i++)
		append_node(&out, language, i + 1, &cells[i * NODE_COLUMNS]);
	cells = page_cells(fcinfo, 3, EDGE_COLUMNS, &count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		append_edge(&out, language, &cells[i * EDGE_COLUMNS]);
	}
	appendStringInfoString(&out, language->tail);
	return page_result(&out);
}

/* promote_internal.mermaid(of_project text, found text, nodes text[], edges text[]) returns text */
Datum
promote_mermaid(PG_FUNCTION_ARGS)
{
	return draw(fcinfo, &mermaid);
}

/* promote_internal.dot(of_project text, found text, nodes text[], edges text[]) returns text */
Datum
promote_dot(PG_FUNCTION_ARGS)
{
	return draw(fcinfo, &dot);
}
