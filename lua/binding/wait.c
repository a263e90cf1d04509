#include <errno.h>
#include <string.h>

#include "drive.h"
#include "keep.h"
#include "registry.h"
#include "stack.h"
#include "wait.h"

/* ---- waking ----------------------------------------------------------- */

void waiter_wake(struct waiter *w)
{
  if (w->ready || w->what == NULL) return;
  w->ready = true;
  world_make_ready(w->world, &w->entry);
}

void waiter_yield(struct waiter *w)
{
  bool progress = w->world->progress;
  waiter_wake(w);
  w->world->progress = progress;
}

lua_State *waiter_push_alive(lua_State *L, int anchors, const struct waiter *w)
{
  keep_push_coroutine(L, anchors, w->place);
  lua_State *co = lua_tothread(L, -1);
  return co == w->co ? co : NULL;
}

void waiter_push_userdata(lua_State *L, const struct waiter *w)
{
  if (w->place != 0)
    keep_push_task(L, w->place);
  else
    keep_push(L, w);
}

lua_State *waiter_push_coroutine(lua_State *L, const struct waiter *w)
{
  waiter_push_userdata(L, w);
  if (block_test(L, -1, NULL) != w) {
    lua_pushnil(L);
    return NULL;
  }
  lua_getiuservalue(L, -1, WAITER_CO);
  lua_State *co = lua_tothread(L, -1);
  return co == w->co ? co : NULL;
}

bool waiter_is_active(lua_State *co)
{
  lua_Debug ar;
  return lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar) != 0;
}

bool waiter_wake_closed(lua_State *L, struct waiter *w)
{
  if (w->world == NULL || w->ready || loop_of(L)->current == w) return false;
  keep_push_anchors(L);
  lua_State *co = waiter_push_alive(L, -1, w);
  bool alive = co != NULL && (lua_status(co) == LUA_YIELD || waiter_is_active(co));
  lua_pop(L, 2);
  if (!alive) waiter_wake(w);
  return w->ready;
}

static void on_notice(struct letter *l)
{
  waiter_wake(LIST_ELEMENT(l, struct watch, notice.letter)->waiter);
}

static void on_time(ctx_timer *t, void *arg)
{
  (void)t;
  struct waiter *w = arg;
  loop_receive(w->world->loop);
  w->timed_out = w->wake_ns >= w->until_ns;
  waiter_wake(w);
}

void wait_wake_row(struct list *row)
{
  struct list_link *k;
  while ((k = list_pop(row)) != NULL) {
    struct watch *watch = LIST_ELEMENT(k, struct watch, link);
    watch->row = NULL;
    waiter_wake(watch->waiter);
  }
}

/* ---- watching --------------------------------------------------------- */

struct watch_block {
  size_t room;
  struct watch watches[];
};

static struct watch *next_watch(lua_State *L, struct waiter *w)
{
  if (w->watch_count == w->watch_room) /* never: each wait has counted what it watches */
    luaL_error(L, "ctx: no room to wait for that much");
  struct watch *watch = &w->watches[w->watch_count++];
  watch->waiter = w;
  watch->row = NULL;
  notice_init(&watch->notice, w->world->loop->mailbox, on_notice);
  return watch;
}

static void wake_at(struct waiter *w, int64_t instant_ns)
{
  if (instant_ns == CTX_NEVER || (w->armed && w->wake_ns <= instant_ns)) return;
  if (!w->armed) ctx_timer_init(&w->timer, w->world->engine, on_time, w);
  ctx_timer_arm(&w->timer, instant_ns);
  w->armed = true;
  w->wake_ns = instant_ns;
}

int wait_refuse_context(lua_State *L, ctx_context *c, int refused)
{
  const char *why = strerror(refused);
  if (refused == ECANCELED) {
    why = ctx_engine_is_monotonic(ctx_engine_of(c))
            ? "its engine is closed"
            : "the run that it belongs to has ended, its clock stands still";
  }
  return luaL_error(L, "nothing can tell the end of this context: %s", why);
}

/* A deadline on an engine that others drive wakes by itself, whether or not they do. */
void wait_for_context(lua_State *L, struct waiter *w, ctx_context *c)
{
  struct watch *watch = next_watch(L, w);
  int refused = notice_attach(&watch->notice, c);
  if (refused != 0) {
    wait_let_go(w);
    wait_refuse_context(L, c, refused);
  }
  if (ctx_engine_of(c) != w->world->engine) wake_at(w, ctx_deadline(c));
  loop_receive(w->world->loop);
}

void wait_for_row(lua_State *L, struct waiter *w, struct list *row)
{
  struct watch *watch = next_watch(L, w);
  watch->row = row;
  list_append(row, &watch->link);
}

void wait_for_poll(lua_State *L, struct waiter *w, struct list *row)
{
  wait_for_row(L, w, row);
  w->world->polls++;
  w->polls = true;
}

void wait_until(struct waiter *w, int64_t deadline_ns)
{
  w->until_ns = deadline_ns;
  wake_at(w, deadline_ns);
}

void waiter_disconnect(struct waiter *w)
{
  if (w->world == NULL) return;
  wait_let_go(w);
  if (w->ready) world_make_unready(w->world, &w->entry);
  w->ready = false;
  if (w->world->idle == w) w->world->idle = NULL;
  bool held = list_linked(&w->all);
  if (held) {
    list_remove(&w->world->tasks, &w->all);
    w->world->loop->tasks.now--;
  }
  w->world = NULL;
  ctx_release(w->context);
  w->context = NULL;
  if (held) block_release(w);
}

static void disconnect_all(struct world *w)
{
  struct waiter *main = w->loop->main;
  while (!list_empty(&w->tasks))
    waiter_disconnect(LIST_ELEMENT(w->tasks.first, struct waiter, all));
  if (main->world == w) waiter_disconnect(main);
}

void wait_let_go(struct waiter *w)
{
  for (size_t i = 0; i < w->watch_count; i++) {
    struct watch *watch = &w->watches[i];
    notice_withdraw(&watch->notice);
    if (watch->row != NULL) list_remove(watch->row, &watch->link);
    watch->row = NULL;
  }
  w->watch_count = 0;
  w->watches = w->small;
  w->watch_room = WATCHES;
  block_release(w->block);
  w->block = NULL;
  if (w->armed) ctx_timer_disarm(&w->timer);
  w->armed = false;
  if (w->polls) w->world->polls--;
  w->polls = false;
  w->what = NULL;
}

/* ---- many watches ----------------------------------------------------- */

static const struct block_kind watches_kind = {NULL, NULL};
static const struct block_kind main_kind = {NULL, NULL};

struct watch_block *wait_push_block(lua_State *L, size_t n)
{
  struct watch_block *b = block_push_new(L, &watches_kind, sizeof *b + n * sizeof(struct watch), 0);
  b->room = n;
  registry_remember_late(L, b, -1);
  return b;
}

void wait_use_block(struct waiter *w, struct watch_block *b)
{
  w->block = block_hold(b);
  w->watches = b->watches;
  w->watch_room = b->room;
}

/* ---- who waits -------------------------------------------------------- */

void waiter_init(struct waiter *w, struct world *world, lua_State *co)
{
  w->world = world;
  w->co = co;
  w->top = co;
  w->watches = w->small;
  w->watch_room = WATCHES;
}

struct waiter *waiter_current(lua_State *L)
{
  struct loop *l = loop_of(L);
  return l->current != NULL ? l->current : l->main;
}

static void refuse_barrier(lua_State *L, const char *what, bool in_library)
{
  stack_push_place(L, L, in_library);
  stack_push_barrier(L);
  lua_pushfstring(L,
                  "%s: cannot wait (%s) inside %s, which Lua cannot leave and come back to: wait "
                  "before or after it",
                  lua_tostring(L, -2), what, lua_tostring(L, -1));
  lua_error(L);
}

static void refuse_stranger(lua_State *L, const char *what, bool in_library)
{
  stack_push_place(L, L, in_library);
  lua_pushfstring(L,
                  "%s: cannot wait (%s) in a coroutine that is not a task: start it with c:go(fn), "
                  "or make it with ctx.wrap(fn) in place of coroutine.wrap",
                  lua_tostring(L, -1), what);
  lua_error(L);
}

struct waiter *wait_check(lua_State *L, const char *what, bool in_library)
{
  struct loop *l = loop_check(L);
  struct waiter *w = l->current != NULL ? l->current : l->main;
  if (w->co != NULL) {
    if (w->world == NULL) luaL_error(L, "ctx: a task has been tampered with");
    if (L != w->top) refuse_stranger(L, what, in_library);
    if (!lua_isyieldable(L)) refuse_barrier(L, what, in_library);
  } else {
    if (l->driving) refuse_barrier(L, what, in_library);
    if (lua_isyieldable(L) && L != w->top) refuse_stranger(L, what, in_library);
    w->world = l->world;
  }
  return w;
}

struct waiter *wait_begin(lua_State *L, const char *what)
{
  struct waiter *w = wait_check(L, what, false);
  wait_let_go(w); /* of a wait that was left by an error, or whose coroutine was closed */
  w->parked = false;
  w->what = what;
  w->in_library = false;
  w->timed_out = false;
  w->until_ns = CTX_NEVER;
  return w;
}

struct waiter *wait_begin_copied(lua_State *L, const char *what)
{
  struct waiter *w = wait_begin(L, "");
  strncpy(w->text, what, sizeof w->text - 1);
  w->what = w->text;
  w->in_library = true;
  return w;
}

/* ---- parking ---------------------------------------------------------- */

static int resumed(lua_State *L, int status, lua_KContext context);

static int park_task(lua_State *L, struct waiter *w)
{
  w->parked = true;
  return lua_yieldk(L, 0, (lua_KContext)w, resumed);
}

/* The turn of a parked task has come; or a stranger has resumed its coroutine, who is
 * told so, and nothing changes. */
static int resumed(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct waiter *w = (struct waiter *)context;
  if (loop_of(L)->current != w || L != w->top || w->ready) {
    lua_pushnil(L);
    lua_pushliteral(L, "this coroutine is a task of ctx, which waits; only its loop resumes it");
    return lua_yieldk(L, 2, context, resumed);
  }
  w->parked = false;
  wait_let_go(w);
  return w->step(L, w);
}

static int park_main(lua_State *L, struct waiter *w, wait_step *step)
{
  struct loop *l = block_hold(loop_of(L)); /* and with it 'w' */
  lua_State *top = w->top;
  w->top = L;
  l->driving = true;
  l->entering = true;
  l->main_ready = false;
  lua_pushcfunction(L, drive);
  int status = lua_pcall(L, 0, 0, 0);
  l->driving = false;
  l->current = NULL;
  w->top = top;
  wait_let_go(w);
  if (w->ready) world_make_unready(w->world, &w->entry);
  w->ready = false;
  block_release(l);
  if (status != LUA_OK) return lua_error(L);
  if (loop_find(L) != l) return registry_refuse(L);
  return step(L, w);
}

int wait_park(lua_State *L, struct waiter *w, wait_step *step)
{
  if (w->co == NULL) return park_main(L, w, step);
  w->step = step;
  return park_task(L, w);
}

/* The entry of the main thread: whoever drives returns to it. */
static void run_main(lua_State *L, struct entry *e)
{
  (void)L;
  struct waiter *w = (struct waiter *)(void *)e;
  w->ready = false;
  w->world->loop->main_ready = true;
}

void wait_open(lua_State *L)
{
  struct loop *l = loop_of(L);
  if (l->main != NULL) return;
  block_open(L, &watches_kind);
  block_open(L, &main_kind);
  struct waiter *w = block_push_new(L, &main_kind, sizeof *w, 0);
  waiter_init(w, l->world, NULL);
  w->entry.run = run_main;
  keep_value(L, w, -1);
  lua_pop(L, 3);
  l->main = block_hold(w);
  l->disconnect = disconnect_all;
}
