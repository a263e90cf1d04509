/*
 * states - many Lua states, on many threads, under the contexts of one program
 */
#include "platform.h"

#include <dirent.h>

#include "state.h"

static ctx_context *root_of(ctx_engine *e)
{
  return ctx_with_cancel(ctx_engine_background(e));
}

/* How many entries a folder of /proc has; below 0: there is no such folder. */
static int count_entries(const char *folder)
{
  DIR *d = opendir(folder);
  int n = 0;
  if (d == NULL) return -1;
  while (readdir(d) != NULL) n++;
  closedir(d);
  return n;
}

/* The same, once it is 'n': a thread that has been joined may still have to go. */
static int count_until(const char *folder, int n)
{
  for (int i = 0; i < 10000 && count_entries(folder) != n; i++)
    ctx_wait(ctx_background(), CTX_MS(1));
  return count_entries(folder);
}

/* What must be as it was, once all is closed. The thread of the engine may still have to let go
 * of what it has just ended. */
static void check_nothing_is_left(ctx_engine *e, int threads, int descriptors)
{
  ctx_counters counters = {.contexts = 1};
  for (int i = 0; i < 10000 && counters.contexts != 0; i++) {
    if (i > 0) ctx_wait(ctx_engine_background(e), CTX_MS(1));
    ctx_engine_counters(e, &counters);
  }
  CHECK_INT(counters.contexts, 0);
  CHECK_INT(counters.hooks, 0);
  CHECK_INT(counters.timers, 0);
  CHECK_INT(ctx_engine_close(e), 0);
  CHECK_INT(count_until("/proc/self/task", threads), threads);
  CHECK_INT(count_entries("/proc/self/fd"), descriptors);
}

/* ---- one cancel ends them all -------------------------------------------------- */

enum { STATES = 8 };

struct script {
  ctx_context *root;
  ctx__atomic *waiting; /* grows when all tasks of a script wait */
  ctx__thread thread;
};

static int tell_waiting(lua_State *L)
{
  ctx__atomic *waiting = lua_touserdata(L, lua_upvalueindex(1));
  CTX__ADD(waiting, 1);
  CTX__WAKE(waiting);
  return 0;
}

static const char waits[] =
  "local ended = {}\n"
  "local ok, err = pcall(ctx.run, function(root)\n"
  "  local ch = ctx.channel()\n"
  "  local function task(name, f)\n"
  "    root:go(function(c)\n"
  "      local ok, err = pcall(f, c)\n"
  "      ended[name] = ok and 'ended' or err\n"
  "    end)\n"
  "  end\n"
  "  task('sleep', function() ctx.sleep(1000) end)\n"
  "  task('own sleep', function(c) assert(select(2, c:sleep(1000)) == ctx.CANCELED) end)\n"
  "  task('recv', function() ch:recv() end)\n"
  "  task('timeout', function(c)\n"
  "    local child = c:with_timeout(1000):with_value('n', 7)\n"
  "    assert(child:wait() and child:cause() == 'all of you' and child:value 'n' == 7)\n"
  "  end)\n"
  "  task('often', function(c)\n"
  "    while true do c:with_timeout(0.0001):wait() ctx.yield() end\n"
  "  end)\n"
  "  root:on_done(function(_, cause) ended.hook = cause end)\n"
  "  root:go(function() ctx.sleep(0.001) tell_waiting() end)\n"
  "  root:wait()\n"
  "end)\n"
  "assert(ok, err)\n"
  "assert(ended.sleep == ctx.CANCELED and ended.recv == ctx.CANCELED)\n"
  "assert(ended['own sleep'] == 'ended' and ended.timeout == 'ended', ended.timeout)\n"
  "assert(ended.often == ctx.CANCELED and ended.hook == 'all of you')\n"
  "assert(not pcall(ctx.sleep, 1))\n";

static void *run_script(void *arg)
{
  struct script *s = arg;
  lua_State *L = state_open(s->root);
  lua_pushlightuserdata(L, s->waiting);
  lua_pushcclosure(L, tell_waiting, 1);
  lua_setglobal(L, "tell_waiting");
  state_run(L, waits);
  lua_close(L);
  return NULL;
}

static void end_all(ctx_driver driver)
{
  int threads = count_entries("/proc/self/task"), descriptors = count_entries("/proc/self/fd");
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.driver = driver});
  ctx_context *root = root_of(e);
  ctx__atomic waiting = 0;
  struct script scripts[STATES];
  for (int i = 0; i < STATES; i++) {
    scripts[i] = (struct script){.root = root, .waiting = &waiting};
    CHECK_INT(CTX__THREAD_START(&scripts[i].thread, run_script, &scripts[i]), 0);
  }
  for (uint32_t seen; (seen = CTX__LOAD(&waiting)) < STATES;) CTX__WAIT(&waiting, seen, INT64_MAX);
  CHECK(ctx_cancel_cause(root, ctx_cause_new("all of you", 10, 0, NULL, NULL)));
  for (int i = 0; i < STATES; i++) CTX__THREAD_JOIN(&scripts[i].thread);
  ctx_release(root);
  check_nothing_is_left(e, threads, descriptors);
}

TEST(ends_all)
{
  end_all(CTX_DRIVER_HOST);
}

TEST(ends_all_of_a_thread)
{
  end_all(CTX_DRIVER_THREAD);
}

/* ---- one tree, and values from everywhere ---------------------------------------- */

enum { ROUNDS = 200, SHARERS = 4 };

/* A place for one context, which each thread takes and leaves another one in. */
struct exchange {
  ctx_context *root;
  ctx__lock lock;
  ctx_context *place;
};

static ctx_context *exchange(struct exchange *x, ctx_context *c)
{
  CTX__LOCK(&x->lock);
  ctx_context *before = x->place;
  x->place = c;
  CTX__UNLOCK(&x->lock);
  return before;
}

/* Each round gives a context of this state to whoever comes, and asks one of a stranger: what
 * is read there and dropped there belongs to another thread. */
static void *share(void *arg)
{
  struct exchange *x = arg;
  lua_State *L = state_open(x->root);
  state_run(L, "key = {}\n"
               "function make(i)\n"
               "  local cancel\n"
               "  c = ctx.root():with_value('n', i):with_value(key, {}):with_value('t' .. i, key)\n"
               "  c, cancel = c:with_timeout(i % 7 == 0 and 0.00001 or 1000, i)\n"
               "  if i % 3 == 0 then cancel(i % 2 == 0 and i or {}) end\n"
               "end\n"
               "function ask(c)\n"
               "  if not c then return end\n"
               "  local i = c:value 'n'\n"
               "  assert(math.type(i) == 'integer')\n"
               "  local t = c:value('t' .. i)\n"
               "  assert(t == 'table' or t == key)\n"
               "  local cause = c:cause()\n"
               "  assert(not cause or cause == i or cause == 'table' or type(cause) == 'table')\n"
               "  local v = c:value(key)\n"
               "  assert(v == nil or type(v) == 'table')\n"
               "end\n");
  for (int i = 1; i <= ROUNDS; i++) {
    lua_getglobal(L, "make");
    lua_pushinteger(L, i);
    CHECK_INT(lua_pcall(L, 1, 0, 0), LUA_OK);
    ctx_context *c = exchange(x, state_take(L, "c"));
    lua_getglobal(L, "ask");
    ctx_lua_push(L, c);
    int status = lua_pcall(L, 1, 0, 0);
    CHECK_STR(status == LUA_OK ? "" : lua_tostring(L, -1), "");
    lua_settop(L, 0);
    ctx_release(c);
    if (i % 16 == 0) state_run(L, "c = nil collectgarbage() ctx.sleep(0)");
  }
  lua_close(L);
  return NULL;
}

TEST(shares)
{
  int threads = count_entries("/proc/self/task"), descriptors = count_entries("/proc/self/fd");
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_THREAD});
  struct exchange x = {.root = root_of(e)};
  ctx__thread sharers[SHARERS];
  for (int i = 0; i < SHARERS; i++) CHECK_INT(CTX__THREAD_START(&sharers[i], share, &x), 0);
  for (int i = 0; i < SHARERS; i++) CTX__THREAD_JOIN(&sharers[i]);
  ctx_release(x.place);
  ctx_release(x.root);
  check_nothing_is_left(e, threads, descriptors);
}

/* ---- 10,000 states ---------------------------------------------------------------- */

enum { PAIRS = 100, LIVES = 50 };

/* Opens and closes states, each with contexts that live and deadlines that are pending. Threads
 * are short-lived, because the thread sanitizer is not told of the jumps by which Lua leaves
 * functions, and takes the stack of a thread to grow by each. */
static void *live_and_die(void *root)
{
  for (int i = 0; i < LIVES; i++) {
    lua_State *L = luaL_newstate();
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
    CHECK_INT(ctx_lua_open(L, root), LUA_OK);
    lua_settop(L, 0);
    state_run(L,
              "local core = require 'ctx.core'\n"
              "root, own = core.root(), core.with_timeout(core.without_cancel(core.root()), 1000)\n"
              "c, cancel = root:with_timeout(1000, {}):with_value('key', {}):with_cancel()\n"
              "c:on_done(function() end)\n"
              "c:with_timeout(500):go(function(c) c:sleep(400) end)\n"
              "core.yield()\n");
    ctx_context *c = i % 2 == 0 ? state_take(L, "c") : NULL;
    lua_close(L);
    ctx_release(c);
  }
  return NULL;
}

TEST(ten_thousand)
{
  int threads = count_entries("/proc/self/task"), descriptors = count_entries("/proc/self/fd");
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_THREAD});
  ctx_context *root = root_of(e);
  for (int i = 0; i < PAIRS; i++) {
    ctx__thread pair[2];
    for (int k = 0; k < 2; k++) CHECK_INT(CTX__THREAD_START(&pair[k], live_and_die, root), 0);
    for (int k = 0; k < 2; k++) CTX__THREAD_JOIN(&pair[k]);
  }
  ctx_release(root);
  check_nothing_is_left(e, threads, descriptors);
}

static const struct test tests[] = {
  T(ends_all, "one cancel ends eight scripts on eight threads"),
  T(ends_all_of_a_thread, "one cancel ends eight scripts, of an engine with a thread too"),
  T(shares, "states on many threads share contexts, values and causes"),
  T(ten_thousand, "10,000 states leave nothing behind"),
};

static void *nothing(void *arg)
{
  return arg;
}

int main(int argc, char **argv)
{
  ctx__thread first; /* with which a sanitizer may start one of its own */
  if (CTX__THREAD_START(&first, nothing, NULL) == 0) CTX__THREAD_JOIN(&first);
  return check_run("states", tests, sizeof tests / sizeof *tests, argc, argv);
}
