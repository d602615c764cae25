/*
 * actor.h: who is acting.
 */
#ifndef PROMOTE_GRANT_ACTOR_H
#define PROMOTE_GRANT_ACTOR_H

#include "postgres.h"

/* A person, by both names. */
typedef struct Person
{
	const char *actor;			/* the person */
	const char *database_role;	/* the database role that the person acted by */
} Person;

extern void actor_init(void);
extern void require_primary(void);
extern void require_accountable(Oid role);
extern const char *current_actor(void);
extern const char *current_database_role(void);
extern Person current_person(void);
extern bool same_person(const Person *a, const Person *b);
extern const char *not_member_because(const Person *person, const char *role);
extern bool role_exists(const char *role);
extern bool role_is_member(const char *member, const char *role);

#endif							/* PROMOTE_GRANT_ACTOR_H */
