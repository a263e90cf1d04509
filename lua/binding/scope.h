/*
 * scope - tasks that belong together, and the first error among them
 *
 * A task counts in the scope it was started in until it has ended. The first error in
 * one cancels the root of the scope, with that error as the cause.
 *
 * Knows wait.h, cancel.h, registry.h.
 */
#ifndef CTX_BINDING_SCOPE_H
#define CTX_BINDING_SCOPE_H

#include "wait.h"

/* A block; its tasks, and the scopes begun in it, hold it. */
struct scope {
  struct scope *outer; /* held; NULL: none */
  size_t live;         /* tasks that have not ended */
  struct list joiners; /* who waits for the last of them */
  bool failed;         /* SCOPE_ERROR holds the first error */
  bool ending;         /* all have ended once, and its root with them */
  bool joined;         /* over: errors of hooks that run later belong to the one outside */
  bool owns_world;     /* it began a virtual clock, and ends all that lives on it */
};

/* User values: the handle of the root, the first error, the scope it was begun in. */
enum { SCOPE_ROOT = 1, SCOPE_ERROR, SCOPE_OUTER, SCOPE_VALUES = SCOPE_OUTER };

/* Pushes a scope whose root is the handle at 'root', begun in the scope at 'outer', or nil. */
struct scope *scope_push_new(lua_State *L, int root, int outer);

/* Puts in place of the scope on top the innermost one around it that is not over, or nil. */
void scope_replace_joined(lua_State *L);

/* True when 's' is 'outer', or was begun in it, or in one that was. */
bool scope_within(const struct scope *s, const struct scope *outer);

/* The scope at 'index', or NULL; the same, which raises when a script has put something else
 * there. */
struct scope *scope_test(lua_State *L, int index);
struct scope *scope_check(lua_State *L, int index);

/* The error on top of the stack, which is popped, is that of the scope at 'index'. */
void scope_fail(lua_State *L, int index);

/* One task less. */
void scope_task_ended(struct scope *s);

/* Ends the root of the scope at 'index', or all that lives on the clock it owns. */
void scope_end(lua_State *L, int index);

/* Makes the metatable, once per state. */
void scope_open(lua_State *L);

#endif
