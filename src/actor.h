/*
 * actor.h: who is acting.
 */
#ifndef PROMOTE_ACTOR_H
#define PROMOTE_ACTOR_H

#include "postgres.h"

extern void actor_init(void);
extern const char *current_actor(void);
extern const char *current_database_role(void);
extern bool role_exists(const char *role);
extern bool role_is_member(const char *member, const char *role);

#endif							/* PROMOTE_ACTOR_H */
