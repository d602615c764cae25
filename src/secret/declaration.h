/*
 * declaration.h: which secrets a release declares.
 */
#ifndef PROMOTE_SECRET_DECLARATION_H
#define PROMOTE_SECRET_DECLARATION_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A secret that a release declares. */
typedef struct SecretDeclaration
{
	char	   *name;
	bool		required;
	bool		json;			/* JSON instead of text */
} SecretDeclaration;

extern List *secret_declarations(const Jsonb *declared);
extern const SecretDeclaration *secret_declared(const List *declarations, const char *name);

#endif							/* PROMOTE_SECRET_DECLARATION_H */
