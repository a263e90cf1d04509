#include "drive.h"
#include "keep.h"
#include "report.h"

/* As many rounds of mere yields at one instant of virtual time are taken for a loop without
 * end. */
enum { ROUNDS_MAX = 1000000 };

/*
 * The longest sleep in one piece: so late comes at worst what tells nobody (a task's coroutine
 * that a stranger has closed), and a signal that arrives in the moment between the last look
 * for its hook and the sleep in the kernel. To close that gap takes a signal mask, which is
 * the host's, or a handler of ours, which would be another one than the host's.
 */
static const int64_t slice_ns = 1000000000;

static int nothing(lua_State *L)
{
  (void)L;
  return 0;
}

/*
 * Lets a debug hook that a signal handler has set have its say: it runs at a call. Such a
 * handler, like that of the interpreter, sets it on the main coroutine; where the main thread waits in
 * another one, that is lent the hook for the call.
 */
static void let_hook_run(lua_State *L)
{
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  int mask = main != NULL ? lua_gethookmask(main) : 0;
  if (mask == 0 || (main != L && lua_gethookmask(L) != 0)) return;
  lua_Hook hook = lua_gethook(main);
  int count = lua_gethookcount(main);
  if (main != L) {
    lua_sethook(main, NULL, 0, 0);
    lua_sethook(L, hook, mask, count);
  }
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
  if (main != L) {
    lua_sethook(L, NULL, 0, 0);
    lua_sethook(main, hook, mask, count);
  }
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

/* After a round on a virtual clock: raises when too many in a row were made of yields alone. */
static void check_progress(lua_State *L, struct world *w)
{
  w->rounds = w->progress ? 0 : w->rounds + 1;
  w->progress = false;
  if (w->rounds <= ROUNDS_MAX) return;
  w->rounds = 0;
  report_push(L, w);
  luaL_error(L,
             "virtual time stands still: %d rounds at one instant in which nothing happened but "
             "that a task yields:%s",
             (int)ROUNDS_MAX, lua_tostring(L, -1));
}

/* Puts the table of anchors that there is now where the entries that run find it. */
static void renew_anchors(lua_State *L)
{
  keep_push_anchors(L);
  lua_replace(L, ENTRY_ANCHORS);
}

/* True: a task was woken whose coroutine was closed while it waited, which tells nobody; or was taken
 * away, which its turn is to find, too. */
static bool wake_closed(lua_State *L, struct world *w)
{
  bool woken = false;
  renew_anchors(L);
  for (struct list_link *k = w->tasks.first; k != NULL; k = list_after(&w->tasks, k))
    woken |= waiter_wake_closed(L, LIST_ELEMENT(k, struct waiter, all));
  return woken;
}

/* Sleeps in the kernel until the instant, or until something comes from outside. */
static void sleep_in_kernel(lua_State *L, struct world *w, int64_t until_ns)
{
  struct loop *l = loop_of(L);
  if (w->polls > 0)
    poller_wait(l->poller, until_ns, wait_wake_row);
  else
    mailbox_sleep(l->mailbox, until_ns);
  let_hook_run(L);
}

/* Makes ready who waits for a descriptor that is ready by now. */
static void poll_descriptors(lua_State *L, struct world *w)
{
  if (w->polls > 0) poller_wait(loop_of(L)->poller, 0, wait_wake_row);
}

/* On the real clock, unless something has been posted. */
static void sleep_until(lua_State *L, struct world *w, int64_t next_ns)
{
  int64_t now_ns = ctx_engine_now(w->engine);
  if (next_ns <= now_ns) return;
  bool in_pieces = next_ns - now_ns > slice_ns;
  int64_t until_ns = in_pieces ? now_ns + slice_ns : next_ns;
  sleep_in_kernel(L, w, until_ns);
  if (in_pieces && ctx_engine_now(w->engine) >= until_ns) wake_closed(L, w);
}

/* On a virtual clock, when nothing but a signal or a descriptor can end a wait: these come in
 * real time. */
static void sleep_for_outside(lua_State *L, struct world *w)
{
  int64_t now_ns = ctx_engine_now(ctx_engine_of(ctx_background()));
  sleep_in_kernel(L, w, now_ns + slice_ns);
}

/* A virtual clock jumps; but what is ready by now comes before what is due later. */
static void jump(lua_State *L, struct world *w, int64_t next_ns)
{
  poll_descriptors(L, w);
  if (w->ready_count > 0) return;
  int64_t now_ns = ctx_engine_now(w->engine);
  ctx_engine_advance(w->engine, next_ns > now_ns ? next_ns - now_ns : 0);
  w->rounds = 0;
}

/* Nothing is ready: lets time pass up to the next instant. */
static void idle(lua_State *L, struct world *w)
{
  if (w->idle != NULL) {
    poll_descriptors(L, w);
    if (w->ready_count > 0) return;
    struct waiter *settled = w->idle;
    w->idle = NULL;
    waiter_wake(settled);
    return;
  }
  int64_t next_ns = ctx_engine_next(loop_engine(L));
  bool outside = w->listens || w->polls > 0 || (loop_of(L)->outside && !w->is_virtual);
  if (next_ns == CTX_NEVER && !outside) {
    if (!wake_closed(L, w)) raise_nothing_left(L, w);
  } else if (w->is_virtual && next_ns == CTX_NEVER) {
    sleep_for_outside(L, w);
  } else if (w->is_virtual) {
    jump(L, w, next_ns);
  } else {
    sleep_until(L, w, next_ns);
  }
}

int drive(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (!l->entering) return luaL_error(L, "ctx: only a wait of the main thread drives the loop");
  l->entering = false;
  l->was_failure = false;
  lua_settop(L, ENTRY_ANCHORS);
  luaL_checkstack(L, ENTRY_STACK, NULL);
  renew_anchors(L);
  raise_failure(L, l);
  while (!l->main_ready) {
    struct world *w = l->world;
    ctx_engine_poll(loop_engine(L));
    keep_fired(L);
    if (w->ready_count == 0) {
      idle(L, w);
      keep_fired(L);
      continue;
    }
    poll_descriptors(L, w);
    run_round(L, l);
    let_hook_run(L);
    if (w->is_virtual) check_progress(L, w);
  }
  return 0;
}
