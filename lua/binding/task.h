/*
 * task - a coroutine that the loop runs, with a context
 *
 * Its body runs under a protected call inside the coroutine, so that variables with
 * <close> are closed, and may wait, when it fails. Until it has ended a task is
 * anchored in the loop.
 *
 * Knows wait.h, handle.h, run.h.
 */
#ifndef CTX_BINDING_TASK_H
#define CTX_BINDING_TASK_H

#include "run.h"
#include "wait.h"

enum task_status { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DONE, TASK_FAILED, TASK_CANCELED };

/* Whose affair an error in a task is. */
enum task_outcome {
  TASK_FATAL, /* the run's: it ends it */
  TASK_HELD,  /* the holder's: he asks by join */
  TASK_MAIN   /* the function of ctx.run itself */
};

/* Pushes a new task, ready. From 'base' on the stack holds the handle of its context, its
 * function and the arguments of that, all of which are popped; the run it belongs to lies at
 * 'run', or nil. */
void task_push_new(lua_State *L, int base, int run, enum task_outcome outcome);

/* Starts a hook's task: from 'base' on the stack holds its run or nil, the function, and
 * its arguments, which are popped. */
void task_start_hook(lua_State *L, int base);

/* Pushes the context of the task that 'w' is; the run of the current task, or nil. */
void task_push_context(lua_State *L, struct waiter *w);
void task_push_run(lua_State *L);

/* Its context: a reference of the task's. */
ctx_context *task_context(struct waiter *w);

/* The task at 'index', or NULL. */
struct task *task_test(lua_State *L, int index);

struct waiter *task_waiter(struct task *t);
bool task_ended(const struct task *t);

/* The row of those who wait for its end. */
struct list *task_joiners(struct task *t);

/* Pushes what has become of the ended task at 'index': true and its results, or false and
 * the error. How many values. */
int task_push_outcome(lua_State *L, int index);

/* Ends the tasks of 'r', or all in 'w' where that is NULL, by closing their coroutines. */
void task_abandon(lua_State *L, struct world *w, const struct run *r);

/* Pushes lines that say who waits where in 'w', but for the current task; how many tasks. */
size_t task_push_report(lua_State *L, struct world *w);

extern const luaL_Reg task_functions[]; /* c:go, c:async */

/* Makes the metatable, once per state. */
void task_open(lua_State *L);

#endif
