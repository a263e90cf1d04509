/*
 * threads - Lua states whose contexts are ended by other threads
 *
 * Scripts give contexts to a crew of threads, which cancel them, or get contexts of engines that
 * are not the state's. The thread sanitizer sees whoever touches what is a state's own.
 */
#define _GNU_SOURCE 1

#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "check.h"
#include "ctx_lua.h"
#include "handle.h"
#include "loop.h"

int luaopen_ctx_core(lua_State *L);

static void *need(void *block)
{
  if (block == NULL) abort();
  return block;
}

static void spawn(pthread_t *thread, void *(*f)(void *), void *arg)
{
  if (pthread_create(thread, NULL, f, arg) != 0) abort();
}

/* ---- a crew that cancels ------------------------------------------------- */

enum { CREW = 3, JOBS = 64 };

static struct crew {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  ctx_context *jobs[JOBS]; /* the first 'count', each with a reference */
  size_t count;
  bool over;
  pthread_t threads[CREW];
} crew = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void give(ctx_context *c)
{
  pthread_mutex_lock(&crew.mutex);
  while (crew.count == JOBS) pthread_cond_wait(&crew.changed, &crew.mutex);
  crew.jobs[crew.count++] = c;
  pthread_cond_broadcast(&crew.changed);
  pthread_mutex_unlock(&crew.mutex);
}

/* NULL: there is nothing left to do. */
static ctx_context *take(void)
{
  pthread_mutex_lock(&crew.mutex);
  while (crew.count == 0 && !crew.over) pthread_cond_wait(&crew.changed, &crew.mutex);
  ctx_context *c = crew.count > 0 ? crew.jobs[--crew.count] : NULL;
  pthread_cond_broadcast(&crew.changed);
  pthread_mutex_unlock(&crew.mutex);
  return c;
}

static void *work(void *arg)
{
  (void)arg;
  for (ctx_context *c; (c = take()) != NULL; ctx_release(c)) ctx_cancel(c);
  return NULL;
}

static void start_crew(void)
{
  crew.over = false;
  for (int i = 0; i < CREW; i++) spawn(&crew.threads[i], work, NULL);
}

static void stop_crew(void)
{
  pthread_mutex_lock(&crew.mutex);
  crew.over = true;
  pthread_cond_broadcast(&crew.changed);
  pthread_mutex_unlock(&crew.mutex);
  for (int i = 0; i < CREW; i++) pthread_join(crew.threads[i], NULL);
}

/* ---- a state --------------------------------------------------------------- */

/* cancel_elsewhere(c) */
static int cancel_elsewhere(lua_State *L)
{
  give(ctx_retain(ctx_lua_check(L, 1))); /* from now on C may end it: that keeps its hooks */
  return 0;
}

static void push_context(lua_State *L, ctx_context *c)
{
  struct handle *h = handle_push_new(L, HANDLE_CANCEL, 0, HANDLE_EXTRA);
  handle_fill(L, h, ctx_retain(c));
}

static bool runs(lua_State *L, const char *script)
{
  bool ok = luaL_dostring(L, script) == LUA_OK;
  CHECK_STR(ok ? "" : lua_tostring(L, -1), "");
  lua_settop(L, 0);
  return ok;
}

static lua_State *open_state(bool outside)
{
  lua_State *L = need(luaL_newstate());
  luaL_openlibs(L);
  luaL_requiref(L, "ctx.core", luaopen_ctx_core, 0);
  lua_settop(L, 0);
  lua_register(L, "cancel_elsewhere", cancel_elsewhere);
  runs(L, "ctx = require 'ctx'\n"
          "bg = ctx.background()\n"
          "function doomed(parent)\n"
          "  local c = ctx.with_cancel(parent or bg)\n"
          "  cancel_elsewhere(c)\n"
          "  return c\n"
          "end\n");
  loop_of(L)->outside = outside;
  return L;
}

/* A state in which 'name' is 'c'. */
static lua_State *open_with(const char *name, ctx_context *c, bool outside)
{
  lua_State *L = open_state(outside);
  push_context(L, c);
  lua_setglobal(L, name);
  return L;
}

/* States that nothing is left in the state's own engine, and closes it. */
static void close_empty(lua_State *L)
{
  runs(L, "collectgarbage() collectgarbage()\n"
          "local core = require 'ctx.core'\n"
          "local n, report = core.unfinished_tasks()\n"
          "assert(n == 0, report)\n"
          "bg = nil\n"
          "local contexts, hooks, timers = core.counters()\n"
          "assert(contexts == 0 and hooks == 0 and timers == 0,\n"
          "  contexts .. ' ' .. hooks .. ' ' .. timers)\n");
  lua_close(L);
}

static void with_crew(const char *script)
{
  start_crew();
  lua_State *L = open_state(true);
  runs(L, script);
  stop_crew(); /* it has let go of every context */
  close_empty(L);
}

/* ---- woken by another thread ---------------------------------------------- */

TEST(main_thread)
{
  with_crew("for i = 1, 500 do\n"
            "  local c = doomed()\n"
            "  assert(c:wait())\n"
            "  assert(c:err() == ctx.CANCELED)\n"
            "end\n");
}

TEST(tasks)
{
  with_crew("for round = 1, 5 do\n"
            "  local woken = 0\n"
            "  ctx.run(function(root)\n"
            "    for i = 1, 100 do\n"
            "      root:go(function()\n"
            "        local c = doomed(i % 2 == 0 and root)\n"
            "        local ok, err = c:sleep(1000)\n"
            "        assert(ok == nil and err == ctx.CANCELED)\n"
            "        woken = woken + 1\n"
            "      end)\n"
            "      if i % 10 == 0 then ctx.yield() end\n"
            "    end\n"
            "  end)\n"
            "  assert(woken == 100)\n"
            "end\n");
}

TEST(current_context)
{
  with_crew("for i = 1, 100 do\n"
            "  local c = doomed()\n"
            "  local t = c:async(function() ctx.channel():recv() end)\n"
            "  local ok, err = t:join()\n"
            "  assert(not ok and err == ctx.CANCELED and t:status() == 'canceled')\n"
            "end\n");
}

TEST(gives_up)
{
  with_crew("local ended, passed = 0, 0\n"
            "for i = 1, 1000 do\n"
            "  local c = doomed()\n"
            "  if c:wait((i % 50) * 1e-6) then ended = ended + 1 else passed = passed + 1 end\n"
            "  local list = {}\n"
            "  for k = 1, 5 do list[k] = doomed() end\n"
            "  list[6] = i % 10 * 1e-6\n"
            "  ctx.select(table.unpack(list))\n"
            "end\n"
            "assert(ended + passed == 1000)\n");
}

/* A coroutine that waits is closed, with all that it watches, while the end comes. */
TEST(closed_coroutines)
{
  with_crew("for i = 1, 300 do\n"
            "  local a, b, c = doomed(), doomed(), doomed()\n"
            "  local t = bg:async(function()\n"
            "    local f = ctx.wrap(function() ctx.select(a, b, c, 1000) end)\n"
            "    f()\n"
            "  end)\n"
            "  local co\n"
            "  local u = bg:async(function() co = coroutine.running() c:wait() end)\n"
            "  ctx.yield()\n"
            "  pcall(coroutine.close, co)\n"
            "  if i % 10 == 0 then collectgarbage() end\n"
            "  t:join() u:join()\n"
            "end\n");
}

TEST(hooks)
{
  with_crew("local n, ran, stopped = 1000, 0, 0\n"
            "for i = 1, n do\n"
            "  local c, cancel = ctx.with_cancel(bg)\n"
            "  local stop = c:on_done(function(err, cause)\n"
            "    assert(err == ctx.CANCELED and cause == err)\n"
            "    assert(ctx.current() == bg)\n"
            "    ran = ran + 1\n"
            "  end)\n"
            "  cancel_elsewhere(c)\n"
            "  if i % 2 == 0 then\n"
            "    for k = 1, i % 16 do ctx.now() end\n"
            "    if stop() then stopped = stopped + 1 end\n"
            "    assert(not stop())\n"
            "  end\n"
            "  if i % 7 == 0 then ctx.yield() end\n"
            "  cancel()\n"
            "end\n"
            "while ran + stopped < n do ctx.yield() end\n"
            "for i = 1, 10 do ctx.yield() end\n"
            "assert(ran + stopped == n and ran >= n // 2)\n");
}

/* ---- states that close ------------------------------------------------------ */

static void run_and_close(int round)
{
  lua_State *L = open_state(true);
  runs(L, "for i = 1, 10 do\n"
          "  local c = doomed()\n"
          "  c:on_done(function() end)\n"
          "  bg:go(function() c:wait() end)\n"
          "  bg:go(function() ctx.select(c, doomed(), doomed(), 1000) end)\n"
          "end\n"
          "local last = ctx.with_cancel(bg)\n"
          "setmetatable({}, {__gc = function()\n"
          "  cancel_elsewhere(last)\n"
          "  pcall(last.wait, last, 0.0001)\n"
          "end})\n");
  for (int i = 0; i < 1 + round % 3; i++) runs(L, "ctx.yield()");
  lua_close(L);
}

TEST(closing)
{
  start_crew();
  for (int i = 0; i < 100; i++) run_and_close(i);
  stop_crew();
}

/* ---- contexts of other engines -------------------------------------------- */

static ctx_engine *open_engine(ctx_driver driver)
{
  ctx_engine_options o = {.driver = driver};
  return need(ctx_engine_open(&o));
}

static void close_engine(ctx_engine *e)
{
  ctx_counters n;
  ctx_engine_counters(e, &n);
  CHECK_INT(n.contexts, 0);
  CHECK_INT(n.hooks, 0);
  CHECK_INT(n.timers, 0);
  CHECK_INT(ctx_engine_close(e), 0);
}

/* Of a host that does not drive its engine: nobody but the wait itself knows the time. */
TEST(undriven_deadline)
{
  ctx_engine *e = open_engine(CTX_DRIVER_HOST);
  lua_State *L = open_with("host", ctx_engine_background(e), false);
  runs(L, "local soon, patience, before = 0.005, 10, ctx.now()\n"
          "local c = host:with_timeout(soon)\n"
          "assert(c:wait(patience) and c:err() == ctx.DEADLINE_EXCEEDED)\n"
          "c = host:with_timeout(soon):with_cancel():with_value('k', 1)\n"
          "local ok, err = c:sleep(patience)\n"
          "assert(ok == nil and err == ctx.DEADLINE_EXCEEDED)\n"
          "c = host:with_timeout(soon)\n"
          "assert(not bg:wait(c))\n"
          "c = host:with_timeout(soon)\n"
          "assert(ctx.select(ctx.channel(), c, patience) == c)\n"
          "local value, err = ctx.channel():recv((host:with_timeout(soon)))\n"
          "assert(value == nil and err == ctx.DEADLINE_EXCEEDED)\n"
          "local t = host:with_timeout(soon):async(function() ctx.sleep(patience) end)\n"
          "assert(select(2, t:join()) == ctx.DEADLINE_EXCEEDED)\n"
          "c = host:with_timeout(patience)\n"
          "assert(not c:wait(soon) and not c:done())\n"
          "assert(c:sleep(soon))\n"
          "assert(ctx.now() - before < patience, 'a wait has not ended by itself')\n"
          "c = nil host = nil t = nil\n");
  close_empty(L);
  close_engine(e);
}

TEST(driven_deadline)
{
  ctx_engine *e = open_engine(CTX_DRIVER_THREAD);
  lua_State *L = open_with("host", ctx_engine_background(e), true);
  runs(L, "for i = 1, 50 do\n"
          "  local c = host:with_timeout(1e-4 * (i % 5))\n"
          "  local ran = false\n"
          "  local stop = c:on_done(function(err) ran = err == ctx.DEADLINE_EXCEEDED end)\n"
          "  assert(c:wait())\n"
          "  while not ran do ctx.yield() end\n"
          "  assert(not stop())\n"
          "end\n"
          "host = nil\n");
  close_empty(L);
  close_engine(e);
}

TEST(nothing_left)
{
  ctx_engine *e = open_engine(CTX_DRIVER_HOST);
  lua_State *L = open_with("host", ctx_engine_background(e), false);
  runs(L, "local ok, err = pcall(function() ctx.with_cancel(host):wait() end)\n"
          "assert(not ok and err:find('every task waits', 1, true), err)\n"
          "host = nil\n");
  close_empty(L);
  close_engine(e);
}

TEST(virtual_is_another_clock)
{
  ctx_engine *real = open_engine(CTX_DRIVER_HOST), *manual = open_engine(CTX_DRIVER_MANUAL);
  lua_State *L = open_with("host", ctx_engine_background(real), true);
  push_context(L, ctx_engine_background(manual));
  lua_setglobal(L, "manual");
  runs(L, "local function refused(f, ...)\n"
          "  local ok, err = pcall(f, ...)\n"
          "  assert(not ok and err:find('another clock', 1, true), err)\n"
          "end\n"
          "refused(manual.wait, manual, 1)\n"
          "refused(manual.with_cancel, manual)\n"
          "ctx.run({clock = 'virtual'}, function()\n"
          "  refused(host.wait, host, 1)\n"
          "  refused(host.go, host, print)\n"
          "  refused(bg.wait, bg, 1)\n"
          "end)\n"
          "assert(not host:wait(0.001))\n"
          "host = nil manual = nil\n");
  close_empty(L);
  close_engine(real), close_engine(manual);
}

/* A closed engine runs no hooks; whoever waits is told so, and what waits is let go. */
TEST(closed_engine)
{
  ctx_engine *e = open_engine(CTX_DRIVER_HOST);
  lua_State *L = open_with("host", ctx_engine_background(e), true);
  runs(L, "timed = host:with_timeout(0.3)\n" /* longer than all up to the close may take */
          "stop = timed:on_done(error)\n"
          "t = bg:async(function() return timed:wait() end)\n"
          "ctx.yield()\n");
  CHECK_INT(ctx_engine_close(e), 0);
  runs(L, "assert(select(2, t:join(10)) == true)\n"
          "assert(timed:done() and stop() and not stop())\n"
          "local ok, err = pcall(host.wait, host, 1)\n"
          "assert(not ok and err:find('engine is closed', 1, true), err)\n"
          "host, timed, stop, t = nil\n");
  close_empty(L);
}

/* ---- many states ------------------------------------------------------------ */

enum { STATES = 8 };

struct guest {
  ctx_context *root;
  pthread_barrier_t *begin;
  pthread_t thread;
};

static void *run_guest(void *arg)
{
  struct guest *g = arg;
  lua_State *L = open_with("root", g->root, true);
  pthread_barrier_wait(g->begin);
  runs(L, "local log = {}\n"
          "root:on_done(function() log[#log + 1] = 'hook' end)\n"
          "local t = root:async(function(c) while true do ctx.sleep(0.0001) end end)\n"
          "local u = root:async(function(c) ctx.channel():recv() end)\n"
          "local below = root:with_timeout(1000)\n"
          "assert(root:wait())\n"
          "assert(select(2, t:join()) == ctx.CANCELED and select(2, u:join()) == ctx.CANCELED)\n"
          "while #log == 0 do ctx.yield() end\n" /* the walk of the cancel is over */
          "assert(below:err() == ctx.CANCELED)\n"
          "root = nil\n");
  close_empty(L);
  return NULL;
}

TEST(one_cancel_ends_all)
{
  ctx_engine *e = open_engine(CTX_DRIVER_THREAD);
  for (int round = 0; round < 5; round++) {
    ctx_context *root = need(ctx_with_cancel(ctx_engine_background(e)));
    pthread_barrier_t begin;
    struct guest g[STATES];
    pthread_barrier_init(&begin, NULL, STATES + 1);
    for (int i = 0; i < STATES; i++) {
      g[i] = (struct guest){.root = root, .begin = &begin};
      spawn(&g[i].thread, run_guest, &g[i]);
    }
    pthread_barrier_wait(&begin);
    for (int i = 0; i < 1000 * round; i++) sched_yield();
    ctx_cancel(root);
    for (int i = 0; i < STATES; i++) pthread_join(g[i].thread, NULL);
    pthread_barrier_destroy(&begin);
    ctx_release(root);
  }
  close_engine(e);
}

/* ---- signals ---------------------------------------------------------------- */

static lua_State *interrupted; /* by the handler */

static void raise_interrupted(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

/* As the interpreter does at Ctrl-C. */
static void on_signal(int number)
{
  (void)number;
  int all = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  lua_sethook(interrupted, raise_interrupted, all, 1);
}

struct pest {
  pthread_t victim;
  int over;
};

static void *pester(void *arg)
{
  struct pest *p = arg;
  while (!__atomic_load_n(&p->over, __ATOMIC_ACQUIRE)) {
    pthread_kill(p->victim, SIGUSR1);
    sched_yield();
  }
  return NULL;
}

/* False: the script has ended without being interrupted. */
static bool interrupts(lua_State *L, const char *script)
{
  struct pest p = {.victim = pthread_self()};
  pthread_t thread;
  CHECK_INT(luaL_loadstring(L, script), LUA_OK);
  interrupted = L;
  spawn(&thread, pester, &p);
  int status = lua_pcall(L, 0, 0, 0);
  __atomic_store_n(&p.over, 1, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  lua_sethook(L, NULL, 0, 0);
  bool is_it = status != LUA_OK && strstr(lua_tostring(L, -1), "interrupted!") != NULL;
  lua_settop(L, 0);
  return is_it;
}

TEST(signals)
{
  struct sigaction action = {.sa_handler = on_signal}, before;
  sigaction(SIGUSR1, &action, &before);
  lua_State *L = open_state(true);
  CHECK(interrupts(L, "ctx.channel():recv()")); /* no instant to wake at */
  CHECK(interrupts(L, "ctx.sleep(1000)"));
  CHECK(interrupts(L, "ctx.run(function() ctx.with_cancel(bg):wait() end)"));
  close_empty(L);
  sigaction(SIGUSR1, &before, NULL);
}

static const struct test tests[] = {
  T(main_thread, "J1 a cancel on another thread wakes the main thread"),
  T(tasks, "J2 cancels on other threads wake each task that waits"),
  T(current_context, "E4 a task ends when its context is canceled on another thread"),
  T(gives_up, "J2 who gives up while the end comes is told one of the two"),
  T(closed_coroutines, "J2 a coroutine that is closed while the end comes is let go"),
  T(hooks, "H2 a hook runs in its state, or one stop answers true"),
  T(closing, "a state closes while other threads end what it waits for"),
  T(undriven_deadline, "B8 a wait ends at the deadline of an engine that nobody drives"),
  T(driven_deadline, "B8 a wait and a hook come at the deadline of an engine with a thread"),
  T(nothing_left, "Q3 a context of another engine that nobody can end is told of"),
  T(virtual_is_another_clock, "Q1 the contexts of a host are not on a virtual clock"),
  T(closed_engine, "a state outlives the engine whose contexts it has"),
  T(one_cancel_ends_all, "C1 one cancel ends the scripts of eight states on eight threads"),
  T(signals, "J4 a signal gets through to a script that sleeps without end"),
};

int main(int argc, char **argv)
{
  return check_run("threads", tests, sizeof tests / sizeof *tests, argc, argv);
}
