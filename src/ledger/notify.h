/*
 * notify.h: notifying listeners of what is committed.
 */
#ifndef PROMOTE_LEDGER_NOTIFY_H
#define PROMOTE_LEDGER_NOTIFY_H

#include "postgres.h"

#include "utils/jsonb.h"

/* What happened to which instance or request.  Members that are 0 or NULL are left out. */
typedef struct Notice
{
	const char *instance;
	int32		revision;
	int32		deployment;
	const char *action;
	const char *status;
	const char *project;		/* of a request, whose number is unique within the project */
	int32		request;
	const Jsonb *carried;		/* names of references and of secrets, by kind */
} Notice;

extern void notify_init(void);
extern void notify(const Notice *notice);
extern void notify_line(const char *project, const char *event);
extern void notify_send(const char *notices);

#endif							/* PROMOTE_LEDGER_NOTIFY_H */
