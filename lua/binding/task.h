/*
 * task - a coroutine that the loop runs, with a context
 *
 * Its body runs under a protected call inside the coroutine, so that variables with
 * <close> are closed, and may wait, when it fails. Until it has ended a task is
 * anchored in the loop: its userdata, which keeps the coroutine, the scope and the handle,
 * and the coroutine itself. Where a script takes that from the userdata, or its anchor, the task
 * ends as failed.
 *
 * Knows wait.h, cancel.h, scope.h, report.h, registry.h, keep.h.
 */
#ifndef CTX_BINDING_TASK_H
#define CTX_BINDING_TASK_H

#include "scope.h"
#include "wait.h"

enum task_status { TASK_LIVE, TASK_DONE, TASK_FAILED, TASK_CANCELED };

/* Whose affair an error in a task is. */
enum task_outcome {
  TASK_FATAL, /* its scope's: it ends that */
  TASK_HELD,  /* the holder's: he asks by join */
  TASK_MAIN   /* the function of ctx.run itself */
};

/* Pushes a new task, ready. From 'base' on the stack holds the handle of its context, its
 * function and the arguments of that, all of which are popped; the scope it belongs to lies
 * at 'scope', or nil. */
void task_push_new(lua_State *L, int base, int scope, enum task_outcome outcome);

/* Raises where there are as many tasks as there may be. */
void task_check_quota(lua_State *L);

/* Starts a hook's task, whose turn it is: from 'base' on the stack holds its scope or nil, the
 * function, and its arguments. Leaves something there. */
void task_start_hook(lua_State *L, int base);

/* Pushes the scope of the current task, or nil. */
void task_push_scope(lua_State *L);

/* The task at 'index', or NULL; the same for an argument, which raises when it is none. */
struct task *task_test(lua_State *L, int index);
struct task *task_check(lua_State *L, int arg);

/* "ready", "running", "waiting", "done", "failed" or "canceled". */
const char *task_status(lua_State *L, struct task *t);

struct waiter *task_waiter(struct task *t);
bool task_ended(const struct task *t);

/* The row of those who wait for its end. */
struct list *task_joiners(struct task *t);

/* Pushes what has become of the ended task at 'index': true and its results, or false and
 * the error. How many values. */
int task_push_outcome(lua_State *L, int index);

/* Ends the tasks of 's' and of the scopes begun in it, or all in 'w' where that is NULL, by
 * closing their coroutines. */
void task_abandon(lua_State *L, struct world *w, const struct scope *s);

extern const luaL_Reg task_functions[]; /* c:go, c:async */

/* Makes the metatable, once per state, and pushes its table of methods. */
void task_open(lua_State *L);

/* core.claim(task): its error is known to who has started it, also where nobody joins it. */
int task_claim(lua_State *L);

#endif
