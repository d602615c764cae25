/*
 * html_words.c: words and marks of a page of HTML.  All that anybody may have written goes through here.
 */
#include "postgres.h"

#include "page/escape.h"
#include "page/html.h"

/* Append a text that anybody may have written. */
void
html_put(HtmlPage *page, const char *text)
{
	page_escape(&page->text, PAGE_HTML, text, PAGE_MOST_CHARACTERS);
}

/* Append markup, which is ours. */
void
html_markup(HtmlPage *page, const char *markup)
{
	appendStringInfoString(&page->text, markup);
}

/* The word at a place, or "". */
const char *
html_word(const HtmlWords *words, int place)
{
	return place < words->count ? words->word[place] : "";
}

/* Append words: ours, theirs, ours, ... */
void
html_words(HtmlPage *page, const HtmlWords *words, int first)
{
	for (int i = first; i < words->count; i++)
	{
		if (words->word[i][0] == '\0')
			continue;
		html_markup(page, (i - first) % 2 ? "<b>" : "<span>");
		html_put(page, words->word[i]);
		html_markup(page, (i - first) % 2 ? "</b>" : "</span>");
	}
}

static const HtmlMark marks[] = {
	{"good", "\xe2\x9c\x94"},	/* U+2714 */
	{"warn", "\xe2\x96\xb2"},	/* U+25B2 */
	{"bad", "\xe2\x96\xa0"},	/* U+25A0 */
	{"soft", "\xc2\xb7"}		/* U+00B7: whatever is none of them */
};

/* Look a mark up. */
const HtmlMark *
html_mark(const char *name)
{
	const HtmlMark *mark = marks;

	while (mark < &marks[lengthof(marks) - 1] && strcmp(mark->name, name) != 0)
		mark++;
	return mark;
}

/* Keep words until what they are about is drawn. */
HtmlWords *
html_keep(const HtmlWords *words)
{
	Size		size = offsetof(HtmlWords, word) + words->count * sizeof(char *);

	return memcpy(palloc(size), words, size);
}

/* Begin something that is wide, and is scrolled by itself, also by keyboard. */
void
html_region(HtmlPage *page)
{
	html_markup(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
	html_put(page, page->heading ? page->heading : "Table");
	appendStringInfo(&page->text, " %d\">", ++page->regions);
}
