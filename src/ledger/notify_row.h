/*
 * notify_row.h: notices that wait in rows.
 */
#ifndef PROMOTE_LEDGER_NOTIFY_ROW_H
#define PROMOTE_LEDGER_NOTIFY_ROW_H

#include "postgres.h"

/* Whether rows can be written and read at this moment. */
typedef enum NoticeTable
{
	NOTICES_MISSING,			/* the extension is not there */
	NOTICES_LOCKED,				/* another session is dropping or altering it */
	NOTICES_READY
} NoticeTable;

extern NoticeTable notify_table(void);
extern void notify_leave_row(int32 number, const char *notices);
extern char *notify_take_row(bool own);

#endif							/* PROMOTE_LEDGER_NOTIFY_ROW_H */
