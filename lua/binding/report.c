#include "report.h"
#include "stack.h"

enum { LINES_MAX = 20 };

void report_push_name(lua_State *L, int index, const struct waiter *w)
{
  if (lua_getiuservalue(L, index, WAITER_NAME) == LUA_TSTRING) return;
  lua_pop(L, 1);
  lua_pushfstring(L, "task %I", w->number);
}

/* Adds the line of 'w', whose name is on top and popped, to the text below. */
static void add_line(lua_State *L, const struct waiter *w)
{
  stack_push_place(L, w->co != NULL ? w->top : L, w->in_library);
  lua_pushfstring(L, "\n  %s waits in %s at %s", lua_tostring(L, -2),
                  w->what != NULL ? w->what : "?", lua_tostring(L, -1));
  lua_insert(L, -3);
  lua_pop(L, 2);
  lua_concat(L, 2);
}

static void add_task(lua_State *L, const struct waiter *w)
{
  loop_push_anchored(L, w);
  if (lua_touserdata(L, -1) == w)
    report_push_name(L, lua_gettop(L), w);
  else
    lua_pushliteral(L, "a task");
  lua_remove(L, -2);
  add_line(L, w);
}

size_t report_push(lua_State *L, struct world *w)
{
  size_t n = 0;
  luaL_checkstack(L, 12, NULL);
  lua_pushliteral(L, "");
  if (w->loop->current == NULL && w->loop->main->what != NULL) {
    lua_pushliteral(L, "the main thread");
    add_line(L, w->loop->main);
  }
  for (struct list_link *k = w->tasks.first; k != NULL; k = list_after(&w->tasks, k)) {
    struct waiter *task = LIST_ELEMENT(k, struct waiter, all);
    if (task != w->loop->current && ++n <= LINES_MAX) add_task(L, task);
  }
  if (n > LINES_MAX) {
    lua_pushfstring(L, "\n  ... and %I more", (lua_Integer)(n - LINES_MAX));
    lua_concat(L, 2);
  }
  return n;
}
