#include <stdio.h>

#include "report.h"
#include "stack.h"

enum { LINES_MAX = 20 };

void report_push_name(lua_State *L, int index, const struct waiter *w)
{
  if (lua_getiuservalue(L, index, WAITER_NAME) == LUA_TSTRING) return;
  lua_pop(L, 1);
  lua_pushfstring(L, "task %I", w->number);
}

/* Where a waiter waits, copied: once memory is asked for, a finalizer may end it. */
struct wait {
  char what[WHAT_SIZE];
  bool in_library;
};

static struct wait wait_of(const struct waiter *w)
{
  struct wait wait = {.in_library = w->in_library};
  snprintf(wait.what, sizeof wait.what, "%s", w->what != NULL ? w->what : "?");
  return wait;
}

/* Adds the line of a waiter, whose name is on top and popped, to the text below; 'co' is its
 * coroutine, or NULL. */
static void add_line(lua_State *L, const struct wait *wait, lua_State *co)
{
  if (co != NULL)
    stack_push_place(L, co, wait->in_library);
  else
    lua_pushliteral(L, "?");
  lua_pushfstring(L, "\n  %s waits in %s at %s", lua_tostring(L, -2), wait->what,
                  lua_tostring(L, -1));
  lua_insert(L, -3);
  lua_pop(L, 2);
  lua_concat(L, 2);
}

/* Adds to the text on top where the task at 'index' was started, as far as that is known. */
static void add_site(lua_State *L, int index)
{
  if (index == 0 || lua_getiuservalue(L, index, WAITER_SITE) != LUA_TSTRING) {
    if (index != 0) lua_pop(L, 1);
    return;
  }
  lua_pushliteral(L, ", started at ");
  lua_insert(L, -2);
  lua_concat(L, 3);
}

static void add_task(lua_State *L, const struct waiter *w)
{
  struct wait wait = wait_of(w);
  lua_State *co = waiter_push_coroutine(L, w);
  int top = lua_gettop(L);
  if (co != NULL)
    report_push_name(L, top - 1, w);
  else
    lua_pushliteral(L, "a task");
  lua_pushvalue(L, top - 2);
  lua_insert(L, -2);
  add_line(L, &wait, co);
  add_site(L, co != NULL ? top - 1 : 0);
  lua_replace(L, top - 2);
  lua_settop(L, top - 2);
}

/* The first of the tasks that are numbered from 'number' on, without the current one. Each
 * line may cost memory, and with it a finalizer that starts and ends tasks: so none is kept. */
static struct waiter *next_task(lua_State *L, struct world *w, lua_Integer number)
{
  const struct waiter *current = loop_of(L)->current;
  for (struct list_link *k = w->tasks.first; k != NULL; k = list_after(&w->tasks, k)) {
    struct waiter *task = LIST_ELEMENT(k, struct waiter, all);
    if (task != current && task->number >= number) return task;
  }
  return NULL;
}

static size_t count_tasks(lua_State *L, struct world *w)
{
  const struct waiter *current = loop_of(L)->current;
  size_t n = 0;
  for (struct list_link *k = w->tasks.first; k != NULL; k = list_after(&w->tasks, k))
    n += LIST_ELEMENT(k, struct waiter, all) != current;
  return n;
}

size_t report_push(lua_State *L, struct world *w)
{
  luaL_checkstack(L, 14, NULL);
  size_t n = count_tasks(L, w);
  struct loop *l = loop_of(L);
  bool main_waits = l->current == NULL && l->main->what != NULL;
  struct wait wait = wait_of(l->main);
  lua_pushliteral(L, "");
  if (main_waits) {
    lua_pushliteral(L, "the main thread");
    add_line(L, &wait, L);
  }
  struct waiter *task = next_task(L, w, 0);
  for (int i = 0; i < LINES_MAX && task != NULL; i++) {
    lua_Integer number = task->number;
    add_task(L, task);
    task = next_task(L, w, number + 1);
  }
  if (n > LINES_MAX) {
    lua_pushfstring(L, "\n  ... and %I more", (lua_Integer)(n - LINES_MAX));
    lua_concat(L, 2);
  }
  return n;
}
