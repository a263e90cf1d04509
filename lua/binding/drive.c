#include "platform.h"

#include "drive.h"
#include "report.h"

/* As many rounds at one instant of virtual time, and it is taken for a loop without end. */
enum { ROUNDS_MAX = 1000000 };

static int nothing(lua_State *L)
{
  (void)L;
  return 0;
}

/* Lets a debug hook that a signal handler has set have its say: it runs at a call. */
static void let_hook_run(lua_State *L)
{
  if (lua_gethookmask(L) == 0) return;
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
}

static void raise_failure(lua_State *L, struct loop *l)
{
  if (!l->failed) return;
  l->failed = false;
  l->was_failure = true;
  loop_push_value(L, LOOP_ERROR);
  lua_error(L);
}

/* Runs the entries that are ready by now; those that they make ready wait for the next round. */
static void run_round(lua_State *L, struct loop *l)
{
  struct world *w = l->world;
  for (size_t n = w->ready_count; n > 0 && w->ready_count > 0 && !l->main_ready; n--) {
    struct entry *e = LIST_ELEMENT(w->ready.first, struct entry, link);
    world_make_unready(w, e);
    e->run(L, e);
    raise_failure(L, l);
  }
}

static void raise_nothing_left(lua_State *L, struct world *w)
{
  report_push(L, w);
  luaL_error(L, "every task waits, and nothing is left that could end a wait:%s",
             lua_tostring(L, -1));
}

static void raise_no_progress(lua_State *L, struct world *w)
{
  report_push(L, w);
  luaL_error(L,
             "virtual time stands still: %d rounds at one instant, because a task yields "
             "without ever waiting:%s",
             (int)ROUNDS_MAX, lua_tostring(L, -1));
}

/* True: a task was woken whose coroutine was closed while it waited, which tells nobody. */
static bool wake_closed(struct world *w)
{
  bool woken = false;
  for (struct list_link *k = w->tasks.first; k != NULL; k = list_after(&w->tasks, k))
    woken |= waiter_wake_closed(LIST_ELEMENT(k, struct waiter, all));
  return woken;
}

/* Nothing is ready: lets time pass up to the next instant. */
static void idle(lua_State *L, struct world *w)
{
  if (w->idle != NULL) {
    struct waiter *settled = w->idle;
    w->idle = NULL;
    waiter_wake(settled);
    return;
  }
  int64_t next_ns = ctx_engine_next(w->engine);
  if (next_ns == CTX_NEVER) {
    if (!wake_closed(w)) raise_nothing_left(L, w);
    return;
  }
  if (w->is_virtual) {
    int64_t now_ns = ctx_engine_now(w->engine);
    ctx_engine_advance(w->engine, next_ns > now_ns ? next_ns - now_ns : 0);
    w->rounds = 0;
  } else if (next_ns > ctx_engine_now(w->engine)) {
    CTX__SLEEP_UNTIL(next_ns);
    let_hook_run(L);
  }
}

int drive(lua_State *L)
{
  struct loop *l = loop_of(L);
  l->was_failure = false;
  raise_failure(L, l);
  while (!l->main_ready) {
    struct world *w = l->world;
    ctx_engine_poll(w->engine);
    loop_anchor_fired(L);
    if (w->ready_count == 0) {
      idle(L, w);
      loop_anchor_fired(L);
      continue;
    }
    run_round(L, l);
    let_hook_run(L);
    if (w->is_virtual && ++w->rounds > ROUNDS_MAX) raise_no_progress(L, w);
  }
  return 0;
}
