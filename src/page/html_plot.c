/*
 * html_plot.c: numbers over time, as pictures (SVG).
 *
 * They are as wide as there is room, and their words are of one size: what stands where is told in percents, and no
 * coordinates are scaled.
 *
 * A plot has a bar for each number, up to the largest, which is said.  A strip has a mark for each number that is not
 * zero, and a higher one where it is bad.  Both say in words what they show.
 */
#include "postgres.h"

#include <math.h>

#include "page/html.h"

#define PLOT_TOP 20				/* of the largest bar, in CSS pixels */
#define PLOT_BOTTOM 110
#define STRIP_BOTTOM 24

/* The number of a bar; 0 for what is none. */
static double
bar_value(const HtmlWords *bar)
{
	double		value = strtod(html_word(bar, 1), NULL);

	return isfinite(value) && value > 0 ? value : 0;
}

/* The bar with the largest number; NULL: there is none that has one. */
static const HtmlWords *
largest_bar(const List *bars)
{
	const HtmlWords *largest = NULL;
	ListCell   *cell;

	foreach(cell, bars)
		if (bar_value(lfirst(cell)) > (largest ? bar_value(largest) : 0))
			largest = lfirst(cell);
	return largest;
}

/* Append a line of a picture. */
static void
put_line(HtmlPage *page, const char *place, int y, const char *text)
{
	appendStringInfo(&page->text, "<text class=\"soft\" %s y=\"%d\">", place, y);
	html_put(page, text);
	html_markup(page, "</text>");
}

/* Append a line from side to side. */
static void
put_rule(HtmlPage *page, int y)
{
	appendStringInfo(&page->text, "<line x1=\"0\" x2=\"100%%\" y1=\"%d\" y2=\"%d\"/>\n", y, y);
}

/* Append the labels of the first bar, of one in the middle, and of the last. */
static void
put_axis(HtmlPage *page, int y)
{
	static const char *const places[] = {"x=\"0\"", "x=\"50%\" text-anchor=\"middle\"",
	"x=\"100%\" text-anchor=\"end\""};
	int			last = list_length(page->bars) - 1;

	for (int i = 0; i <= Min(last, 2); i++)
	{
		const HtmlWords *bar = list_nth(page->bars, last < 2 ? i : i * last / 2);

		put_line(page, places[last == 1 ? 2 * i : i], y, html_word(bar, 0));
	}
	html_markup(page, "\n");
}

/* Append a bar at its place, from its top to its bottom, with its words for whoever points at it. */
static void
put_bar(HtmlPage *page, const HtmlWords *bar, int place, double top, double bottom)
{
	double		width = 100.0 / list_length(page->bars);

	appendStringInfo(&page->text, "<g class=\"%s\"><title>", html_mark(html_word(bar, 3))->name);
	html_put(page, psprintf("%s: %s", html_word(bar, 0), html_word(bar, 2)));
	appendStringInfo(&page->text, "</title><rect x=\"%.2f%%\" width=\"%.2f%%\" y=\"%.1f\" height=\"%.1f\"/></g>\n",
					 (place + 0.1) * width, 0.8 * width, top, bottom - top);
}

/* Begin the picture, with what it shows in words: the bars that have something to say. */
static void
begin_picture(HtmlPage *page, const char *class, int height)
{
	ListCell   *cell;

	appendStringInfo(&page->text, "<svg class=\"%s\" width=\"100%%\" height=\"%d\" role=\"img\" aria-label=\"", class,
					 height);
	for (int i = 0; i < page->figure->count; i++)
		html_put(page, page->figure->word[i]);
	html_markup(page, ". ");
	foreach(cell, page->bars)
		if (html_word(lfirst(cell), 2)[0])
			html_put(page, psprintf("%s: %s. ", html_word(lfirst(cell), 0), html_word(lfirst(cell), 2)));
	html_markup(page, "\">\n");
}

/* Draw a plot. */
static void
draw_bars(HtmlPage *page)
{
	const HtmlWords *largest = largest_bar(page->bars);
	double		scale = largest ? (PLOT_BOTTOM - PLOT_TOP) / bar_value(largest) : 0;
	ListCell   *cell;

	begin_picture(page, "plot", PLOT_BOTTOM + 20);
	put_line(page, "x=\"0\"", PLOT_TOP - 6, largest ? psprintf("up to %s", html_word(largest, 2)) : "nothing to show");
	put_rule(page, PLOT_TOP);
	put_rule(page, PLOT_BOTTOM);
	foreach(cell, page->bars)
		if (html_word(lfirst(cell), 1)[0])
			put_bar(page, lfirst(cell), foreach_current_index(cell),
					Min(PLOT_BOTTOM - scale * bar_value(lfirst(cell)), PLOT_BOTTOM - 2), PLOT_BOTTOM);
	put_axis(page, PLOT_BOTTOM + 16);
}

/* Draw a strip; only the last one of several has labels. */
static void
draw_marks(HtmlPage *page, bool labelled)
{
	ListCell   *cell;

	begin_picture(page, "strip", STRIP_BOTTOM + (labelled ? 20 : 2));
	put_rule(page, STRIP_BOTTOM);
	foreach(cell, page->bars)
		if (bar_value(lfirst(cell)) > 0)
			put_bar(page, lfirst(cell), foreach_current_index(cell),
					strcmp(html_word(lfirst(cell), 3), "bad") == 0 ? 0 : STRIP_BOTTOM / 2, STRIP_BOTTOM);
	if (labelled)
		put_axis(page, STRIP_BOTTOM + 16);
}

/* Draw the plot that is open, the last one or not of its place in the page. */
static void
draw_figure(HtmlPage *page, bool last)
{
	if (page->figure == NULL)
		return;
	appendStringInfo(&page->text, "<figure%s><figcaption>", page->strip ? " class=\"wide\"" : "");
	html_words(page, page->figure, 0);
	html_markup(page, "</figcaption>");
	if (page->strip)
		draw_marks(page, last);
	else
		draw_bars(page);
	html_markup(page, "</svg></figure>\n");
	page->figure = NULL;
}

/* Begin a plot. */
void
html_plot(HtmlPage *page, const HtmlWords *words)
{
	draw_figure(page, false);
	page->bars = NIL;
	page->figure = html_keep(words);
	page->strip = false;
}

/* Begin a strip. */
void
html_strip(HtmlPage *page, const HtmlWords *words)
{
	html_plot(page, words);
	page->strip = true;
}

/* Keep a bar until all are known. */
void
html_bar(HtmlPage *page, const HtmlWords *words)
{
	page->bars = lappend(page->bars, html_keep(words));
}

/* Draw the last plot. */
void
html_draw_plot(HtmlPage *page)
{
	draw_figure(page, true);
}
