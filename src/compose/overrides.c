/*
 * overrides.c: what overrides say of a place.
 *
 * Whoever wants to know whether the overrides set a place asks here, by the
 * place's path in what the overrides are laid on.
 */
#include "postgres.h"

#include "compose/overrides.h"
#include "json/path.h"
#include "json/reader.h"

/*
 * What overrides, a merge patch, say of the place at a path, jq style.  Only
 * the overrides decide that, whatever is there.
 */
OverridesSay
overrides_say(const Jsonb *overrides, const char *path)
{
	JsonbValue	at = json_view(overrides);
	JsonbValue	below;
	JsonPathReader reader;
	JsonPathStep step;

	json_path_reader_init(&reader, path, strlen(path));
	/* a value that is no object replaces everything below it */
	while (json_is_object(&at))
	{
		if (!json_path_next(&reader, &step))
			return OVERRIDES_INTO;
		if (step.key == NULL ||
			!getKeyJsonValueFromContainer(at.val.binary.data, step.key, step.length, &below))
			return OVERRIDES_SILENT;
		at = below;
	}
	return OVERRIDES_SET;
}
