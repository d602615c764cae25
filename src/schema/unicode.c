/*
 * unicode.c: Unicode's properties, by the names that ECMA-262 has for them.
 *
 * The data is ICU's.  ICU is generous with names ("latin", "Is_L") where
 * ECMA-262 wants them to the letter, and knows more properties than it.
 */
#include "postgres.h"

#include <unicode/uchar.h>
#include <unicode/uset.h>

#include "schema/unicode.h"

/* What \p{...} asks for, in ICU's terms. */
typedef struct Property
{
	UProperty	property;
	int32_t		value;
	bool		all;			/* every code point: not a property of ICU's */
} Property;

/*
 * The binary properties of ECMA-262 (table "Binary Unicode property aliases"),
 * but ASCII, Any and Assigned.
 */
static const UProperty binary_properties[] = {
	UCHAR_ASCII_HEX_DIGIT, UCHAR_ALPHABETIC, UCHAR_BIDI_CONTROL, UCHAR_BIDI_MIRRORED,
	UCHAR_CASE_IGNORABLE, UCHAR_CASED, UCHAR_CHANGES_WHEN_CASEFOLDED,
	UCHAR_CHANGES_WHEN_CASEMAPPED, UCHAR_CHANGES_WHEN_LOWERCASED,
	UCHAR_CHANGES_WHEN_NFKC_CASEFOLDED, UCHAR_CHANGES_WHEN_TITLECASED,
	UCHAR_CHANGES_WHEN_UPPERCASED, UCHAR_DASH, UCHAR_DEFAULT_IGNORABLE_CODE_POINT,
	UCHAR_DEPRECATED, UCHAR_DIACRITIC, UCHAR_EMOJI, UCHAR_EMOJI_COMPONENT,
	UCHAR_EMOJI_MODIFIER, UCHAR_EMOJI_MODIFIER_BASE, UCHAR_EMOJI_PRESENTATION,
	UCHAR_EXTENDED_PICTOGRAPHIC, UCHAR_EXTENDER, UCHAR_GRAPHEME_BASE, UCHAR_GRAPHEME_EXTEND,
	UCHAR_HEX_DIGIT, UCHAR_IDS_BINARY_OPERATOR, UCHAR_IDS_TRINARY_OPERATOR,
	UCHAR_ID_CONTINUE, UCHAR_ID_START, UCHAR_IDEOGRAPHIC, UCHAR_JOIN_CONTROL,
	UCHAR_LOGICAL_ORDER_EXCEPTION, UCHAR_LOWERCASE, UCHAR_MATH,
	UCHAR_NONCHARACTER_CODE_POINT, UCHAR_PATTERN_SYNTAX, UCHAR_PATTERN_WHITE_SPACE,
	UCHAR_QUOTATION_MARK, UCHAR_RADICAL, UCHAR_REGIONAL_INDICATOR, UCHAR_S_TERM,
	UCHAR_SOFT_DOTTED, UCHAR_TERMINAL_PUNCTUATION, UCHAR_UNIFIED_IDEOGRAPH,
	UCHAR_UPPERCASE, UCHAR_VARIATION_SELECTOR, UCHAR_WHITE_SPACE, UCHAR_XID_CONTINUE,
	UCHAR_XID_START
};

/* Is that a name of the property's value, to the letter? */
static bool
is_value_name(UProperty property, int32_t value, const char *name)
{
	const char *alias;

	for (int i = 0; i < 2 || u_getPropertyValueName(property, value, i); i++)
	{
		alias = u_getPropertyValueName(property, value, i);
		if (alias && strcmp(alias, name) == 0)
			return true;
	}
	return false;
}

/* The value of a property by its name. */
static bool
find_value(UProperty property, const char *name, Property *found)
{
	found->property = property;
	found->value = u_getPropertyValueEnum(property, name);
	return found->value != UCHAR_INVALID_CODE && is_value_name(property, found->value, name);
}

/* Is that a name of the property, to the letter? */
static bool
is_property_name(UProperty property, const char *name)
{
	for (int i = 0; i < 2 || u_getPropertyName(property, i); i++)
	{
		const char *alias = u_getPropertyName(property, i);

		if (alias && strcmp(alias, name) == 0)
			return true;
	}
	return false;
}

/* One of the properties that a character has or has not. */
static bool
find_binary(const char *name, Property *found)
{
	UProperty	property = u_getPropertyEnum(name);

	found->value = 1;
	found->property = property;
	for (int i = 0; i < lengthof(binary_properties); i++)
		if (binary_properties[i] == property)
			return is_property_name(property, name);
	return false;
}

/* What is between the braces of \p{...}: a value of the category, a binary property, or name=value. */
static bool
find_property(const char *text, Property *found)
{
	const char *value = strchr(text, '=');
	int			length;

	found->all = strcmp(text, "Any") == 0;
	if (found->all)
		return true;
	if (value == NULL)
		return find_value(UCHAR_GENERAL_CATEGORY_MASK, text, found) || find_binary(text, found);
	length = value++ - text;
#define IS(name) (length == strlen(name) && memcmp(text, name, length) == 0)
	if (IS("General_Category") || IS("gc"))
		return find_value(UCHAR_GENERAL_CATEGORY_MASK, value, found);
	if (IS("Script") || IS("sc"))
		return find_value(UCHAR_SCRIPT, value, found);
	if (IS("Script_Extensions") || IS("scx"))
	{
		/* its values are those of the script */
		if (!find_value(UCHAR_SCRIPT, value, found))
			return false;
		found->property = UCHAR_SCRIPT_EXTENSIONS;
		return true;
	}
#undef IS
	return false;
}

/* The name of a property that ICU has none for, Assigned, turned into that of its opposite. */
static const char *
synonym(const char *text, bool *negated)
{
	if (strcmp(text, "Assigned") != 0)
		return text;
	*negated = !*negated;
	return "Cn";
}

/* Is there such a property? */
bool
unicode_property_known(const char *text)
{
	Property	found;
	bool		negated = false;

	return strcmp(text, "ASCII") == 0 || find_property(synonym(text, &negated), &found);
}

/* The set of a property, to be closed by the caller; NULL if memory is short. */
static USet *
open_set(const char *text, const Property *found, bool negated)
{
	UErrorCode	error = U_ZERO_ERROR;
	USet	   *set = uset_openEmpty();

	if (set == NULL)
		return NULL;
	if (strcmp(text, "ASCII") == 0)
		uset_addRange(set, 0, 0x7f);
	else if (found->all)
		uset_addRange(set, 0, UCHAR_MAX_VALUE);
	else
		uset_applyIntPropertyValue(set, found->property, found->value, &error);
	if (negated)
		uset_complement(set);
	if (U_SUCCESS(error))
		return set;
	uset_close(set);
	return NULL;
}

/*
 * The code points that have the property, or have it not, in order and
 * allocated; NULL if there is no such property.
 */
UnicodeRange *
unicode_property_ranges(const char *text, bool negated, int *count)
{
	Property	found = {0};
	UnicodeRange *ranges = NULL;
	USet	   *set;

	text = synonym(text, &negated);
	if (!unicode_property_known(text))
		return NULL;
	find_property(text, &found);
	set = open_set(text, &found, negated);
	if (set != NULL)
	{
		*count = uset_getItemCount(set);
		ranges = palloc_extended(sizeof(UnicodeRange) * Max(*count, 1), MCXT_ALLOC_NO_OOM);
	}
	for (int i = 0; ranges != NULL && i < *count; i++)
	{
		UErrorCode	error = U_ZERO_ERROR;
		UChar32		first;
		UChar32		last;

		uset_getItem(set, i, &first, &last, NULL, 0, &error);
		ranges[i].first = first;
		ranges[i].last = last;
	}
	uset_close(set);
	if (ranges == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return ranges;
}

/* May a group's name start with it (ECMA-262, IdentifierStartChar)? */
bool
unicode_starts_name(uint32 code)
{
	return code == '$' || code == '_' || u_hasBinaryProperty(code, UCHAR_ID_START);
}

/* May a group's name go on with it (ECMA-262, IdentifierPartChar)? */
bool
unicode_continues_name(uint32 code)
{
	return code == '$' || code == 0x200c || code == 0x200d ||
		u_hasBinaryProperty(code, UCHAR_ID_CONTINUE);
}
