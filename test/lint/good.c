/* Nothing here is reported. */
#include "sql.h"
#define FROM_IT(as) " FROM promote.instance AS " as
static Statement one = {
	.text = "SELECT i.project, E'\\n' || 'a \"b\"'"
	FROM_IT("i") " WHERE i.name = $1 FOR UPDATE OF i",
	.parameters = 1
};
