/*
 * terminal.c: components down, environments across, for a terminal.
 *
 * Columns are aligned by what characters take there: East Asian wide ones take two.  A colour never says anything that
 * the word of the state does not say.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "page/escape.h"

PG_FUNCTION_INFO_V1(promote_terminal_matrix);

/* The colour of a state, by ECMA-48's Select Graphic Rendition; other states have none. */
typedef struct StateColour
{
	const char *state;
	const char *colour;
} StateColour;

static const StateColour colours[] = {
	{"in_sync", "32"}, {"deploying", "36"}, {"stale", "33"}, {"drifted", "35"}, {"failed", "31"}
};

/* The colour of a state; NULL: none. */
static const char *
colour_of(const char *state)
{
	for (int i = 0; i < lengthof(colours); i++)
		if (strcmp(colours[i].state, state) == 0)
			return colours[i].colour;
	return NULL;
}

/* A cell as it is shown: a release and its state, or one of them, or a dash. */
static char *
cell_text(const char *version, const char *state)
{
	StringInfoData out;

	initStringInfo(&out);
	if (version)
		page_escape(&out, PAGE_PLAIN, version, PAGE_MOST_CHARACTERS);
	if (version && state)
		appendStringInfoChar(&out, ' ');
	if (state)
		page_escape(&out, PAGE_PLAIN, state, PAGE_MOST_CHARACTERS);
	if (!version && !state)
		appendStringInfoChar(&out, '-');
	return out.data;
}

/* Append a row, each cell with what aligns the next one. */
static void
append_row(StringInfo out, char **texts, const char **paints, const int *widths, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (paints && paints[i])
			appendStringInfo(out, "\033[%sm%s\033[0m", paints[i], texts[i]);
		else
			appendStringInfoString(out, texts[i]);
		if (i < count - 1)
			appendStringInfoSpaces(out, widths[i] + 2 - page_width(texts[i], strlen(texts[i])));
	}
	appendStringInfoChar(out, '\n');
}

/*
 * promote_internal.terminal_matrix(of_project text, found text, environments text[], cells text[], colours boolean)
 * returns text; cells are rows of a component and, for each environment, a release and a state
 */
Datum
promote_terminal_matrix(PG_FUNCTION_ARGS)
{
	int			environments;
	int			rows;
	int			columns;
	char	  **names;
	char	  **cells;
	char	  **texts;
	const char **paints;
	int		   *widths;
	StringInfoData out;

	page_require_project(fcinfo, 0, 1);
	names = page_cells(fcinfo, 2, 1, &environments);
	columns = environments + 1;
	cells = page_cells(fcinfo, 3, 2 * environments + 1, &rows);
	texts = palloc0((rows + 1) * columns * sizeof(char *));
	paints = palloc0((rows + 1) * columns * sizeof(char *));
	widths = palloc0(columns * sizeof(int));
	for (int row = 0; row <= rows; row++)
		for (int column = 0; column < columns; column++)
		{
			int			at = row * columns + column;
			char	  **cell = row == 0 ? NULL : &cells[(row - 1) * (2 * environments + 1)];

			CHECK_FOR_INTERRUPTS();
			if (row == 0)
				texts[at] = cell_text(column == 0 ? "component" : names[column - 1], NULL);
			else if (column == 0)
				texts[at] = cell_text(cell[0], NULL);
			else
			{
				texts[at] = cell_text(cell[2 * column - 1], cell[2 * column]);
				if (cell[2 * column] && PG_GETARG_BOOL(4))
					paints[at] = colour_of(cell[2 * column]);
			}
			widths[column] = Max(widths[column], page_width(texts[at], strlen(texts[at])));
		}
	initStringInfo(&out);
	for (int row = 0; row <= rows; row++)
		append_row(&out, &texts[row * columns], &paints[row * columns], widths, columns);
	return page_result(&out);
}
