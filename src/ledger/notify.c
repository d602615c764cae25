/*
 * notify.c: notifying listeners at commit.
 *
 * The payload holds names and numbers but no values, because everybody may listen.
 */
#include "postgres.h"

#include "commands/async.h"

#include "base/compat.h"
#include "json/builder.h"
#include "ledger/notify.h"

#define CHANNEL "promote"

/* Add a number, unless it is 0. */
static void
add_number(JsonBuilder *builder, const char *name, int32 number)
{
	if (number != 0)
		json_build_number(builder, name, number);
}

/* Add a word, unless it is NULL. */
static void
add_word(JsonBuilder *builder, const char *name, const char *word)
{
	if (word)
		json_build_field(builder, name, word);
}

/* Send the payload, at commit. */
static void
send_payload(JsonBuilder *builder)
{
	Jsonb	   *payload = json_builder_finish(builder);

	Async_Notify(CHANNEL, JsonbToCString(NULL, &payload->root, VARSIZE(payload)));
}

/* Notify the listeners of the channel promote, at commit. */
void
notify(const Notice *notice)
{
	JsonBuilder	builder;

	json_begin_object(&builder);
	add_word(&builder, "instance", notice->instance);
	add_word(&builder, "project", notice->project);
	add_number(&builder, "request", notice->request);
	add_number(&builder, "revision", notice->revision);
	add_number(&builder, "deployment", notice->deployment);
	add_word(&builder, "action", notice->action);
	add_word(&builder, "status", notice->status);
	json_build_fields(&builder, notice->carried);
	send_payload(&builder);
}

/* Notify listeners of what happened to a project's line; a NULL project means the lines of all projects. */
void
notify_line(const char *project, const char *event)
{
	JsonBuilder	builder;

	json_begin_object(&builder);
	json_build_field(&builder, "event", event);
	add_word(&builder, "project", project);
	send_payload(&builder);
}
