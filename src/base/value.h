/*
 * value.h: reading values that may be NULL: columns of rows, and arguments (fcinfo->args[n]).
 */
#ifndef PROMOTE_BASE_VALUE_H
#define PROMOTE_BASE_VALUE_H

#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/compat.h"

/*
 * value_text(value) and so on: the name, the C type, what NULL becomes, and what reads any other
 * value.  Text is allocated in the current memory context; jsonb and bytea are detoasted, and may
 * point into their row.
 */
#define VALUE_READER(name, type, none, read) \
	static inline type value_##name(NullableDatum value) { return value.isnull ? (none) : read(value.value); }

VALUE_READER(text, char *, NULL, TextDatumGetCString)
VALUE_READER(int, int32, 0, DatumGetInt32)
VALUE_READER(wide, int64, 0, DatumGetInt64)
VALUE_READER(bool, bool, false, DatumGetBool)
VALUE_READER(time, TimestampTz, DT_NOEND, DatumGetTimestampTz)
VALUE_READER(jsonb, Jsonb *, NULL, DatumGetJsonbP)
VALUE_READER(bytea, bytea *, NULL, DatumGetByteaP)

#endif							/* PROMOTE_BASE_VALUE_H */
