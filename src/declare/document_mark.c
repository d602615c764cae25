/*
 * document_mark.c: the values that a document does not have, because they are sensitive.
 *
 * An export has a mask in the place of each.  Where a document has one, the present value stays, if an export of the
 * present would have the mask there, too.  An element of an array in which there is a mask stands for a present one of
 * which an export has the very same: so elements can be moved, but not changed without saying the value.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/errors.h"
#include "compose/censor.h"
#include "declare/document.h"
#include "json/builder.h"
#include "json/path.h"
#include "json/reader.h"

/* A document that is made whole. */
typedef struct Unmasking
{
	JsonBuilder builder;
	StringInfoData path;
	char	   *unknown;		/* the first place without a present value; NULL: none */
} Unmasking;

/* Is there a mask in a value? */
bool
document_has_mask(const JsonbValue *value)
{
	check_stack_depth();
	if (value->type != jbvBinary)
		return json_string_is(value, SENSITIVE_MASK);
	json_foreach(child, value)
		if (document_has_mask(&child.value))
			return true;
	return false;
}

/* Note a place for whose mask there is no value. */
static void
note_unknown(Unmasking *unmasking)
{
	if (unmasking->unknown == NULL)
		unmasking->unknown = pstrdup(json_path_text(&unmasking->path));
	json_build_null(&unmasking->builder);
}

/*
 * The present element that an element stands for: at its own place, or else the only one, or one of several that are
 * the same.  False: there is none, or nobody can tell which.
 */
static bool
find_element(const JsonbValue *element, uint32 index, const JsonbValue *present, const JsonbValue *masked,
			 JsonbValue *found)
{
	JsonbValue	shown;
	bool		any = false;

	if (index < json_count(masked))
	{
		json_view_child(masked->val.binary.data, index, &shown);
		json_view_child(present->val.binary.data, index, found);
		if (json_equal(element, &shown))
			return true;
	}
	json_foreach(child, masked)
	{
		JsonbValue	other;

		if (!json_equal(element, &child.value))
			continue;
		json_view_child(present->val.binary.data, child.index, &other);
		if (any && !json_equal(&other, found))
			return false;
		*found = other;
		any = true;
	}
	return any;
}

static void unmask(Unmasking *unmasking, const JsonbValue *value, const JsonbValue *present,
				   const JsonbValue *masked);

/* Write an element of an array. */
static void
unmask_element(Unmasking *unmasking, const JsonChild *child, const JsonbValue *present, const JsonbValue *masked)
{
	JsonbValue	found;

	if (!document_has_mask(&child->value))
		json_build_value(&unmasking->builder, &child->value);
	else if (present && masked && json_is_array(present) && json_is_array(masked) &&
			 find_element(&child->value, child->index, present, masked, &found))
		json_build_value(&unmasking->builder, &found);
	else
		note_unknown(unmasking);
}

/* Write a field of an object, whose key is written. */
static void
unmask_field(Unmasking *unmasking, const JsonChild *child, const JsonbValue *present, const JsonbValue *masked)
{
	JsonbValue	own;
	JsonbValue	shown;
	bool		there = present && masked && json_is_object(present) && json_is_object(masked) &&
		json_find_key(present, &child->key, &own) && json_find_key(masked, &child->key, &shown);

	unmask(unmasking, &child->value, there ? &own : NULL, there ? &shown : NULL);
}

/* Write a value, with what is there in the place of masks; present and masked are NULL where nothing is there. */
static void
unmask(Unmasking *unmasking, const JsonbValue *value, const JsonbValue *present, const JsonbValue *masked)
{
	int			length = unmasking->path.len;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_string_is(value, SENSITIVE_MASK))
	{
		if (present && json_equal(value, masked))
			json_build_value(&unmasking->builder, present);
		else
			note_unknown(unmasking);
		return;
	}
	if (value->type != jbvBinary)
	{
		json_build_value(&unmasking->builder, value);
		return;
	}
	json_build_begin_like(&unmasking->builder, value);
	json_foreach(child, value)
	{
		json_build_key_of(&unmasking->builder, value, &child);
		if (json_is_object(value))
			json_path_add_key(&unmasking->path, child.key.val.string.val, child.key.val.string.len);
		else
			json_path_add_index(&unmasking->path, child.index);
		if (json_is_object(value))
			unmask_field(unmasking, &child, present, masked);
		else
			unmask_element(unmasking, &child, present, masked);
		json_path_truncate(&unmasking->path, length);
	}
	json_build_end(&unmasking->builder);
}

/*
 * A document with the present values in the place of masks.  masked is what an export has of the present; both are NULL
 * where nothing is there.  unknown is the first place for whose mask there is no value, or NULL.
 */
Jsonb *
document_unmask(const Jsonb *document, const Jsonb *present, const Jsonb *masked, char **unknown)
{
	Unmasking	unmasking = {.unknown = NULL};
	JsonbValue	view = json_view(document);
	JsonbValue	own = present ? json_view(present) : view;
	JsonbValue	shown = masked ? json_view(masked) : view;

	initStringInfo(&unmasking.path);
	json_builder_init(&unmasking.builder);
	unmask(&unmasking, &view, present ? &own : NULL, masked ? &shown : NULL);
	*unknown = unmasking.unknown;
	return json_builder_finish(&unmasking.builder);
}

/* An environment's row of parameters, as far as it is unmasked. */
typedef struct ParametersRow
{
	Jsonb	   *present;
	Jsonb	   *masked;			/* where the document has it so, too */
	Jsonb	   *told;			/* what the document says of it, with marks in the order that they have */
	bool		tells;			/* does it say a value that is sensitive? */
} ParametersRow;

static const SqlField parameters_fields[] = {
	SQL_FIELDS(ParametersRow, "p", present, masked, told, tells)
};

/*
 * Put the present values of an environment's parameters in the place of masks: of those alone that stay sensitive,
 * so that whoever takes a mark away has to say the value.
 */
void
document_unmask_parameters(const Sql *sql, DocumentElement *element)
{
	static Statement read = SQL_ROWS(parameters_fields, "SELECT $*"
									 " FROM promote_internal.parameters_for_document($1) AS p");
	ParametersRow row;
	SqlRows		rows = sql_run(sql, &read, AS_JSONB(element->given));
	char	   *unknown;

	(void) sql_row(&rows, 0, &row);
	element->given = document_unmask(row.told, row.present, row.masked, &unknown);
	element->tells = row.tells;
	if (unknown)
		ereport(ERROR,
				(errcode(PM_INVALID_DOCUMENT),
				 errmsg("a value of an environment's parameters is not in the document"),
				 errdetail("%s is " SENSITIVE_MASK ", and there is no such value to be kept.", unknown + 1),
				 errhint("Write the value into the document that is applied.")));
}
