#include "task.h"
#include "cancel.h"
#include "error.h"
#include "handle.h"
#include "keep.h"
#include "registry.h"
#include "report.h"
#include "stack.h"

/* A block. */
struct task {
  struct waiter waiter; /* first: the loop runs it, others wait for it */
  struct list joiners;  /* who waits for its end */
  struct scope *scope;  /* held; NULL: none */
  enum task_status status;
  enum task_outcome outcome;
  int arguments; /* on the coroutine's stack, for its start; -1: it has started */
  bool ok;       /* the body has returned, and not raised */
  bool lost;     /* what has become of it does not lie on its coroutine's stack */
  bool asked;    /* somebody has asked what has become of it, or nobody is to */
};

/* A user value, after those of a waiter. */
enum { TASK_SCOPE = WAITER_VALUES + 1, TASK_VALUES = TASK_SCOPE };

static void destroy(void *p)
{
  struct task *t = p;
  wait_wake_row(&t->joiners);
  ctx_release(t->waiter.context);
  block_release(t->scope);
}

/* The userdata, at 1, goes. An error that nobody has asked for does not vanish without a word. */
static void finalize(lua_State *L, void *p)
{
  const struct task *t = p;
  if (t->status != TASK_FAILED || t->outcome != TASK_HELD || t->asked) return;
  lua_getiuservalue(L, 1, WAITER_CO);
  lua_State *co = lua_tothread(L, -1);
  bool readable = !t->lost && co != NULL && co == t->waiter.co && lua_status(co) == LUA_OK;
  bool is_text = readable && !waiter_is_active(co) && lua_type(co, -1) == LUA_TSTRING;
  lua_warning(L, "ctx: a task of c:async has failed, and nobody has joined it: ", 1);
  lua_warning(L, is_text ? lua_tostring(co, -1) : "its error is no string", 0);
  lua_pop(L, 1);
}

static const struct block_kind kind = {finalize, destroy};

static const char *const status_names[] = {"waiting", "done", "failed", "canceled"};

/* Texts short enough for Lua to find them again without memory; task_open keeps them. */
static const char closed_by_stranger[] = "task closed by coroutine.close";
static const char given_up[] = "task given up: nothing could wake it";
static const char tampered[] = "ctx: a task was tampered with";

/* ---- finding ---------------------------------------------------------- */

struct task *task_test(lua_State *L, int index)
{
  return block_test(L, index, &kind);
}

struct task *task_check(lua_State *L, int arg)
{
  struct task *t = task_test(L, arg);
  if (t != NULL) return t;
  if (block_is_finalized(L, arg, &kind)) luaL_argerror(L, arg, "this task has been finalized");
  luaL_typeerror(L, arg, "ctx.task");
  return NULL;
}

static struct task *of_waiter(struct waiter *w)
{
  return (struct task *)(void *)w;
}

const char *task_status(lua_State *L, struct task *t)
{
  t->asked |= task_ended(t);
  waiter_wake_closed(L, &t->waiter);
  if (t->waiter.ready) return "ready";
  return loop_of(L)->current == &t->waiter ? "running" : status_names[t->status];
}

struct waiter *task_waiter(struct task *t)
{
  return &t->waiter;
}

bool task_ended(const struct task *t)
{
  return t->status >= TASK_DONE;
}

struct list *task_joiners(struct task *t)
{
  return &t->joiners;
}

void task_push_scope(lua_State *L)
{
  struct loop *l = loop_of(L);
  struct task *t = l->current != NULL ? of_waiter(l->current) : NULL;
  if (t == NULL || t->scope == NULL) {
    lua_pushnil(L);
    return;
  }
  waiter_push_userdata(L, &t->waiter);
  if (block_test(L, -1, &kind) != t) luaL_error(L, tampered);
  lua_getiuservalue(L, -1, TASK_SCOPE);
  lua_remove(L, -2);
  if (scope_test(L, -1) != t->scope) luaL_error(L, tampered);
}

/* ---- the end ---------------------------------------------------------- */

/* The error of a task, on top of the stack and popped, goes to the scope below it, or where
 * there is none to who drives. */
static void report(lua_State *L)
{
  if (scope_test(L, -2) != NULL)
    scope_fail(L, lua_gettop(L) - 1);
  else
    loop_fail(L);
}

/* What the body has come to: its values lie on the stack of its coroutine. */
static enum task_status judge(const struct task *t, lua_State *co)
{
  if (t->lost) return TASK_FAILED;
  if (t->ok) return TASK_DONE;
  int err = error_code(co, -1);
  return err != 0 && err == ctx_err(t->waiter.context) ? TASK_CANCELED : TASK_FAILED;
}

/* Pushes the scope of 't', or nil, from its userdata on top: 't' is lost where that does not have the
 * coroutine. */
static void push_scope(lua_State *L, struct task *t)
{
  if (task_test(L, -1) == t) {
    lua_getiuservalue(L, -1, WAITER_CO);
    t->lost |= lua_tothread(L, -1) != t->waiter.co;
    lua_pop(L, 1);
    lua_getiuservalue(L, -1, TASK_SCOPE);
    if (t->scope != NULL && scope_test(L, -1) == t->scope) return;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
}

/* The coroutine of 't' is on top; 'co' is NULL where 't' is lost. It has ended, whatever fails for want of
 * memory after that. May free 't'. */
static void finish(lua_State *L, struct task *t, lua_State *co)
{
  block_hold(t); /* its userdata may have gone */
  keep_drop_task(L, t->waiter.place, t);
  t->waiter.place = 0;
  push_scope(L, t);
  if (!t->lost && !t->ok && lua_gettop(co) == 0) lua_pushnil(co);
  t->status = judge(t, co);
  bool is_lost = t->lost, fails = t->status == TASK_FAILED && t->outcome != TASK_HELD;
  wait_wake_row(&t->joiners);
  if (t->scope != NULL) scope_task_ended(t->scope);
  waiter_disconnect(&t->waiter);
  block_release(t);
  if (fails && is_lost) {
    lua_pushstring(L, tampered);
    report(L);
  } else if (fails && lua_checkstack(co, 1)) {
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    report(L);
  }
  lua_pop(L, 2);
}

/* Its coroutine, on top, has been closed: it has no results, but for the text. */
static void fail(struct task *t, lua_State *co, const char *text)
{
  t->ok = false;
  t->lost = co == NULL || lua_status(co) == LUA_YIELD || waiter_is_active(co);
  if (t->lost) return;
  lua_settop(co, 0);
  lua_pushstring(co, text);
}

/* ---- running ---------------------------------------------------------- */

static int body_ended(lua_State *co, int status, lua_KContext context)
{
  (void)context;
  struct task *t = task_test(co, 1);
  if (t == NULL || t->waiter.co != co) return luaL_error(co, tampered);
  t->ok = status == LUA_OK || status == LUA_YIELD;
  return lua_gettop(co) - 1;
}

/* The function of the coroutine, called with the task's userdata, a function and its
 * arguments: f(...), protected. */
static int body(lua_State *co)
{
  luaL_checkany(co, 2);
  int status = lua_pcallk(co, lua_gettop(co) - 2, LUA_MULTRET, 0, 0, body_ended);
  return body_ended(co, status, 0);
}

/* It has come back without parking: a coroutine.yield of its own is a ctx.yield. */
static void came_back(struct task *t, lua_State *co, int results)
{
  lua_pop(co, results);
  if (t->waiter.parked || t->waiter.world == NULL) return;
  t->waiter.what = "yield";
  waiter_yield(&t->waiter);
}

/* True: it goes on where it stands, or starts, and no stranger has moved it. */
static bool can_resume(const struct task *t, lua_State *co)
{
  if (t->waiter.parked || t->arguments < 0) return lua_status(co) == LUA_YIELD;
  return lua_status(co) == LUA_OK && !waiter_is_active(co) && lua_gettop(co) == t->arguments + 1;
}

/* Runs it till it yields or ends. True: it has ended. While it runs a script may take all
 * away that keeps it. */
static bool step(lua_State *L, struct task *t, lua_State *co)
{
  struct loop *l = t->waiter.world->loop;
  int arguments = 0, results = 0;
  if (!t->waiter.parked) {
    if (t->arguments > 0) arguments = t->arguments;
    t->arguments = -1;
    t->waiter.what = NULL;
  }
  loop_set_current(l, &t->waiter, co);
  int status = lua_resume(co, L, arguments, &results);
  loop_set_current(l, NULL, NULL);
  if (status == LUA_YIELD) {
    came_back(t, co, results);
    return false;
  }
  if (status != LUA_OK) { /* outside its protected call: there was no memory for that */
    t->ok = false;
    lua_resetthread(co); /* leaves the error */
  }
  return true;
}

/* 'co', which is on top, is the coroutine of 't', or NULL. */
static void resume(lua_State *L, struct task *t, lua_State *co)
{
  bool fit = co != NULL && can_resume(t, co);
  if (!fit && co != NULL && waiter_is_active(co)) return; /* till a stranger has closed it */
  block_hold(t);
  bool ended = true;
  if (!fit) {
    if (co != NULL && lua_status(co) != LUA_YIELD) lua_resetthread(co);
    fail(t, co, co != NULL ? closed_by_stranger : tampered);
  } else {
    ended = step(L, t, co);
  }
  bool is_ours = t->waiter.world != NULL; /* else its world was closed while it ran */
  block_release(t);
  if (ended && is_ours) finish(L, t, co);
}

static void run_entry(lua_State *L, struct entry *e)
{
  struct task *t = (struct task *)(void *)e;
  t->waiter.ready = false;
  resume(L, t,
         waiter_push_alive(L, ENTRY_ANCHORS, &t->waiter)); /* there it stays alive while it runs */
  lua_pop(L, 1);
}

/* ---- starting --------------------------------------------------------- */

/* Moves the userdata on top, which stays, the function and the arguments, from 'base' on, to
 * the coroutine. */
static void load(lua_State *L, struct task *t, int base, int last)
{
  lua_State *co = t->waiter.co;
  int n = last - base + 2;
  luaL_checkstack(L, n + 4, "too many arguments");
  if (!lua_checkstack(co, n + 8)) luaL_error(L, "too many arguments");
  lua_pushcfunction(co, body);
  lua_pushvalue(L, -1);
  for (int i = base; i <= last; i++) lua_pushvalue(L, i);
  lua_xmove(L, co, n);
  t->arguments = n;
}

static void push_new(lua_State *L, int base, int scope, enum task_outcome outcome)
{
  int last = lua_gettop(L);
  registry_remember_late(L, block_push_new(L, &kind, sizeof(struct task), TASK_VALUES), -1);
  lua_State *co = lua_newthread(L);
  lua_setiuservalue(L, -2, WAITER_CO);
  lua_pushvalue(L, base);
  lua_setiuservalue(L, -2, WAITER_CONTEXT);
  lua_pushvalue(L, scope);
  lua_setiuservalue(L, -2, TASK_SCOPE);
  if (ctx_engine_tracks(loop_engine(L))) {
    stack_push_place(L, L, false);
    lua_setiuservalue(L, -2, WAITER_SITE);
  }
  loop_engine(L);
  ctx_context *c = handle_check(L, base)->context;
  struct task *t = task_test(L, -1); /* memory has been asked for: a finalizer may have run */
  if (t == NULL) luaL_error(L, tampered);
  t->outcome = outcome;
  waiter_init(&t->waiter, NULL, co);
  load(L, t, base + 1, last);
  lua_getiuservalue(L, -1, WAITER_CO);
  t->waiter.place = keep_task(L);

  /* From here on nothing fails. */
  t->waiter.context = ctx_retain(c);
  struct loop *l = loop_of(L);
  t->scope = scope_test(L, scope);
  if (t->scope != NULL) ((struct scope *)block_hold(t->scope))->live++;
  t->waiter.number = ++l->last_task;
  t->waiter.world = l->world;
  list_append(&l->world->tasks, &t->waiter.all);
  l->tasks.now++;
  block_hold(t);
  t->waiter.entry.run = run_entry;
  t->waiter.what = "start";
  waiter_wake(&t->waiter);
  lua_replace(L, base);
  lua_settop(L, base);
}

void task_push_new(lua_State *L, int base, int scope, enum task_outcome outcome)
{
  task_check_quota(L);
  push_new(L, base, scope, outcome);
}

void task_check_quota(lua_State *L)
{
  quota_check(L, &loop_of(L)->tasks, "tasks");
}

void task_start_hook(lua_State *L, int base)
{
  lua_pushvalue(L, base);
  scope_replace_joined(L);
  lua_replace(L, base);
  if (scope_test(L, base) != NULL)
    lua_getiuservalue(L, base, SCOPE_ROOT);
  else
    handle_push_root(L);
  if (handle_live(L, -1) == NULL) registry_refuse(L);
  lua_insert(L, base + 1);
  push_new(L, base + 1, base, TASK_FATAL); /* its quota was asked when it was registered */
  struct task *t = task_test(L, base + 1);
  world_make_unready(t->waiter.world, &t->waiter.entry);
  run_entry(L, &t->waiter.entry);
}

static int start(lua_State *L, enum task_outcome outcome)
{
  handle_check_clock(L, 1);
  cancel_refuse(L, 2);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 1);
  lua_insert(L, 3); /* context, function, context, arguments */
  task_push_scope(L);
  lua_insert(L, 1);
  task_push_new(L, 2, 1, outcome);
  return 1;
}

/* c:go(fn, ...) -> task running fn(c, ...); an error in it is the run's */
static int bind_go(lua_State *L)
{
  return start(L, TASK_FATAL);
}

/* c:async(fn, ...) -> task; its outcome is for who joins it */
static int bind_async(lua_State *L)
{
  return start(L, TASK_HELD);
}

/* ---- asking ----------------------------------------------------------- */

int task_push_outcome(lua_State *L, int index)
{
  struct task *t = task_check(L, index);
  t->asked = true;
  lua_getiuservalue(L, index, WAITER_CO);
  lua_State *co = lua_tothread(L, -1);
  if (t->lost || co != t->waiter.co || lua_status(co) != LUA_OK || waiter_is_active(co)) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, tampered);
    return 2;
  }
  int n = lua_gettop(co);
  luaL_checkstack(L, n + 2, "too many results");
  if (!lua_checkstack(co, n)) luaL_error(L, "too many results");
  lua_pushboolean(L, t->status == TASK_DONE);
  for (int i = 1; i <= n; i++) lua_pushvalue(co, i);
  lua_xmove(co, L, n);
  return n + 1;
}

int task_claim(lua_State *L)
{
  task_check(L, 1)->asked = true;
  return 0;
}

/* ---- giving up -------------------------------------------------------- */

/* Closes the coroutine, which runs its <close> variables, without waits. Nothing finds the
 * task any more while they run. */
static void close_task(lua_State *L, struct task *t)
{
  lua_State *co = waiter_push_coroutine(L, &t->waiter);
  block_hold(t);
  waiter_disconnect(&t->waiter);
  if (co != NULL && !waiter_is_active(co)) lua_resetthread(co);
  fail(t, co, given_up);
  t->outcome = TASK_HELD;
  t->asked = true;
  finish(L, t, co);
  block_release(t);
  lua_pop(L, 2);
}

/* The first task of 's', or below, that has not ended; of all, where that is NULL. */
static struct task *first_of(struct world *w, const struct scope *s)
{
  for (struct list_link *k = w->tasks.first; k != NULL; k = list_after(&w->tasks, k)) {
    struct task *t = of_waiter(LIST_ELEMENT(k, struct waiter, all));
    if (s == NULL || scope_within(t->scope, s)) return t;
  }
  return NULL;
}

void task_abandon(lua_State *L, struct world *w, const struct scope *s)
{
  for (struct task *t; (t = first_of(w, s)) != NULL;) close_task(L, t);
}

/* ---- metatable -------------------------------------------------------- */

static int task_tostring(lua_State *L)
{
  struct task *t = task_check(L, 1);
  lua_pushliteral(L, "ctx.task: ");
  report_push_name(L, 1, &t->waiter);
  lua_concat(L, 2);
  return 1;
}

const luaL_Reg task_functions[] = {
  {"go", bind_go},
  {"async", bind_async},
  {NULL, NULL},
};

/* '__index' comes last: what there was no memory for has another try. */
static void fill_metatable(lua_State *L)
{
  const char *const texts[] = {closed_by_stranger, given_up, tampered};
  lua_pushcfunction(L, task_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "ctx.task");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "ctx.task");
  lua_setfield(L, -2, "__metatable");
  for (int i = 0; i < 3; i++) {
    lua_pushstring(L, texts[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_newtable(L);
  lua_setfield(L, -2, "__index");
}

void task_open(lua_State *L)
{
  block_open(L, &kind);
  if (lua_getfield(L, -1, "__index") != LUA_TTABLE) {
    lua_pop(L, 1);
    fill_metatable(L);
    lua_getfield(L, -1, "__index");
  }
  lua_remove(L, -2);
}
