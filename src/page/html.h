/*
 * html.h: what the files share that write a page of HTML, of blocks of words.
 */
#ifndef PROMOTE_PAGE_HTML_H
#define PROMOTE_PAGE_HTML_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#define HTML_COLUMNS_MOST 60	/* of a table */
#define HTML_WORDS_MOST (4 * HTML_COLUMNS_MOST) /* of a block: a row of cells with a mark and three lines each */

/* The words of a block; "" for what is missing. */
typedef struct HtmlWords
{
	int			count;
	char	   *word[HTML_WORDS_MOST];
} HtmlWords;

/* The class of a mark, and the sign that says the same to whoever sees no colours. */
typedef struct HtmlMark
{
	const char *name;
	const char *sign;
} HtmlMark;

/* A page that is being written. */
typedef struct HtmlPage
{
	StringInfoData text;
	int			open;			/* what is, and goes on with blocks of the same sort */
	int			folds;			/* that are open */
	int			regions;		/* tables and graphs so far, to name them */
	char	   *heading;		/* the last one */
	char	   *titles[HTML_COLUMNS_MOST];	/* of the table that is open */
	int			columns;
	int64		cut;			/* blocks that were left out */
	List	   *nodes;			/* GraphNode *: of the graph that is open */
	List	   *edges;			/* HtmlWords * */
	const HtmlWords *figure;	/* what the plot that is open shows; NULL: there is none */
	bool		strip;			/* is it one? */
	List	   *bars;			/* HtmlWords *: of that plot */
} HtmlPage;

extern void html_put(HtmlPage *page, const char *text);
extern void html_markup(HtmlPage *page, const char *markup);
extern void html_words(HtmlPage *page, const HtmlWords *words, int first);
extern const char *html_word(const HtmlWords *words, int place);
extern HtmlWords *html_keep(const HtmlWords *words);
extern const HtmlMark *html_mark(const char *name);
extern void html_region(HtmlPage *page);

extern void html_node(HtmlPage *page, const HtmlWords *words);
extern void html_edge(HtmlPage *page, const HtmlWords *words);
extern void html_draw_graph(HtmlPage *page);

extern void html_plot(HtmlPage *page, const HtmlWords *words);
extern void html_strip(HtmlPage *page, const HtmlWords *words);
extern void html_bar(HtmlPage *page, const HtmlWords *words);
extern void html_draw_plot(HtmlPage *page);

#endif							/* PROMOTE_PAGE_HTML_H */
