/*
 * run - ctx.run: a function, all tasks that come of it, and their first error
 *
 * Knows loop.h, wait.h, handle.h; task.h for the function itself.
 */
#ifndef CTX_BINDING_RUN_H
#define CTX_BINDING_RUN_H

#include "wait.h"

struct run {
  const void *cookie;
  size_t live;         /* tasks that have not ended */
  struct list joiners; /* who waits for the last of them */
  bool failed;         /* RUN_ERROR holds the first error */
  bool owns_world;     /* it began a virtual clock, and ends all that lives on it */
  bool ending;         /* all have ended once, and its root with them */
};

/* User values. */
enum { RUN_ROOT = 1, RUN_ERROR, RUN_MAIN, RUN_VALUES = RUN_MAIN };

/* The run at 'index', or NULL. */
struct run *run_test(lua_State *L, int index);

/* The error on top of the stack, which is popped, is that of the run at 'index': the first
 * one cancels its root. */
void run_fail(lua_State *L, int index);

/* One task less. */
void run_task_ended(struct run *r);

/* ctx.run([opts,] fn, ...) -> results of fn */
int run_bind(lua_State *L);

/* core.use_virtual_clock(): all that is made from now on is on a virtual clock. */
int run_use_virtual_clock(lua_State *L);

/* Makes the metatable, once per state. */
void run_open(lua_State *L);

#endif
