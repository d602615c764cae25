#include "sql.h"
static Statement one = {.text = "SELECT $1::project_name"};	/* bad */
