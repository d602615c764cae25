#include "sql.h"
#define TABLE "instance"
static Statement one = {
	.text = "SELECT 1 FROM promote.instance"	/* bad */
	" CROSS JOIN " TABLE
};
static Statement two = {.text = "DELETE FROM instance"};	/* bad */
