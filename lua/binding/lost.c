#include "lost.h"
#include "handle.h"
#include "registry.h"
#include "stack.h"
#include "wait.h"

#include <stdio.h>
#include <string.h>

struct token {
  const struct handle *handle; /* an address, under which it is remembered */
  char site[STACK_SITE];
};

/* ---- what could end it ---------------------------------------------------- */

/* Whether nothing but a cancel of its own could end the context of the handle on top. */
static bool has_no_other_end(lua_State *L, const struct handle *h)
{
  if (h->is_held || ctx_done(h->context)) return false;
  if (ctx_deadline(h->context) != CTX_NEVER) return false;
  lua_pushvalue(L, -1);
  while ((h = handle_push_parent(L, -1)) != NULL && h->kind == HANDLE_VALUE) lua_remove(L, -2);
  lua_pop(L, 2);
  return h != NULL && h->kind <= HANDLE_DETACHED;
}

/* Whether the context of the task on top is that of 'h' or lies below it. */
static bool is_below(lua_State *L, const struct handle *h)
{
  int top = lua_gettop(L);
  lua_getiuservalue(L, -1, WAITER_CONTEXT);
  const struct handle *at = handle_live(L, -1);
  while (at != NULL && at != h) at = handle_push_parent(L, -1);
  lua_settop(L, top);
  return at == h;
}

/* ---- who could close it ----------------------------------------------------- */

/* Of functions in Lua; those whose names have been stripped might have one. */
static bool is_variable(const lua_Debug *ar, const char *name)
{
  return name[0] != '(' || strcmp(name, "(for state)") == 0 || ar->currentline < 0;
}

/* Whether the function on top of 'co' runs a coroutine: that may have anything. */
static bool runs_coroutine(lua_State *co)
{
  bool found = false;
  for (int n = 1; lua_getupvalue(co, -1, n) != NULL; n++) {
    found |= lua_isthread(co, -1);
    lua_pop(co, 1);
  }
  return found;
}

static bool has_variable(lua_State *co, const lua_Debug *ar, const struct handle *h)
{
  bool found = false;
  const char *name;
  for (int n = 1; (name = lua_getlocal(co, ar, n)) != NULL; n++) {
    found |= lua_touserdata(co, -1) == h && is_variable(ar, name);
    lua_pop(co, 1);
  }
  return found;
}

/* Whether a function that runs in 'co' may have 'h' in a local variable. */
static bool holds(lua_State *co, const struct handle *h)
{
  lua_Debug ar;
  if (!lua_checkstack(co, 3)) return true; /* never: it is in a function of C, with room */
  for (int level = 0; lua_getstack(co, level, &ar) != 0; level++) {
    lua_getinfo(co, "Slf", &ar);
    bool found = ar.what[0] == 'C' && runs_coroutine(co);
    lua_pop(co, 1);
    if (found || (ar.what[0] != 'C' && has_variable(co, &ar, h))) return true;
  }
  return false;
}

/* Inside ctx.wrap, too: on the main stack lies the function that runs its coroutine. */
static bool main_holds(lua_State *L, const struct handle *h)
{
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return holds(L, h) || main == NULL || (main != L && holds(main, h));
}

/* ---- telling ------------------------------------------------------------------ */

/* How many tasks run under 'h'; 0 also where somebody else may close it. */
static int count_tasks(lua_State *L, const struct handle *h)
{
  struct world *w = loop_of(L)->world;
  int n = 0;
  for (struct list_link *k = w->tasks.first; k != NULL; k = list_after(&w->tasks, k)) {
    const struct waiter *task = LIST_ELEMENT(k, struct waiter, all);
    int top = lua_gettop(L);
    lua_State *co = waiter_push_coroutine(L, task);
    lua_settop(L, top + 1);
    if (co == NULL) return 0;
    bool below = is_below(L, h);
    lua_settop(L, top);
    if (below)
      n++;
    else if (co != L && (waiter_is_active(co) || holds(co, h)))
      return 0;
  }
  return n;
}

/* What tell is about. NULL: a script has called it, which a debug hook can show to it. */
static _Thread_local const struct token *collected;

static int tell(lua_State *L)
{
  const struct token *t = collected;
  char text[STACK_SITE + 200], name[64] = "";
  collected = NULL;
  lua_settop(L, 0);
  if (t == NULL) return 0;
  luaL_checkstack(L, 16, NULL);
  registry_push_remembered(L, t->handle);
  const struct handle *h = handle_live(L, 1);
  if (h != t->handle || !has_no_other_end(L, h) || main_holds(L, h)) return 0;
  int n = count_tasks(L, h);
  if (n == 0) return 0;
  ctx_name(h->context, name, sizeof name);
  snprintf(text, sizeof text,
           "ctx: the cancel function of the context %s%s%smade at %s is lost, and nothing else can "
           "end the %d task%s that run%s under it",
           name[0] != '\0' ? "'" : "", name, name[0] != '\0' ? "' " : "", t->site, n,
           n > 1 ? "s" : "", n > 1 ? "" : "s");
  lua_warning(L, text, 0);
  return 0;
}

static void finalize(lua_State *L, void *p)
{
  if (loop_find(L) == NULL) return;
  lua_pushcfunction(L, tell);
  collected = p;
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  collected = NULL;
}

static const struct block_kind kind = {finalize, NULL};

void lost_push_token(lua_State *L)
{
  const struct handle *h = handle_check(L, -1);
  if (!ctx_engine_tracks(ctx_engine_of(h->context))) {
    lua_pushnil(L);
    return;
  }
  registry_remember(L, h, -1);
  struct token *t = block_push_new(L, &kind, sizeof *t, 0);
  registry_remember_late(L, t, -1);
  t->handle = h;
  stack_write_site(L, t->site);
}

void lost_open(lua_State *L)
{
  block_open(L, &kind);
  lua_pop(L, 1);
}
