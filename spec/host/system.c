/*
 * system - a Lua state under which calls of the system fail
 *
 * The script is told by an error what has failed; nothing is left of the try, and the next one
 * goes as ever.
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "faulty.h"
#include "state.h"

#ifdef CTX__PORTABLE
enum { PORTABLE = true };
#define FAULT_BELL FAULT_PIPE
#else
enum { PORTABLE = false };
#define FAULT_BELL FAULT_TIMER
#endif

/* What scripts call them. */
static const struct {
  const char *name;
  enum fault what;
} faults[] = {{"descriptors", FAULT_BELL}, {"poller", FAULT_EPOLL}, {"watch", FAULT_WATCH},
              {"gone", FAULT_GONE},        {"look", FAULT_LOOK},    {"threads", FAULT_THREAD},
              {"signals", FAULT_ACTION},   {"memory", FAULT_MALLOC}};

/* From the first call on. */
static void fail_all(enum fault what)
{
  fail(what, 1, true);
}

/* fail(name): what has that name fails until heal() -> boolean: whether it has been met */
static int start_failing(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    if (strcmp(faults[i].name, name) == 0) fail_all(faults[i].what);
  }
  return 0;
}

static int stop_failing(lua_State *L)
{
  lua_pushboolean(L, heal());
  return 1;
}

static int count_descriptors(lua_State *L)
{
  lua_pushinteger(L, descriptors());
  return 1;
}

static int has_epoll(lua_State *L)
{
  lua_pushboolean(L, !PORTABLE);
  return 1;
}

static const luaL_Reg functions[] = {{"fail", start_failing},
                                     {"heal", stop_failing},
                                     {"descriptors", count_descriptors},
                                     {"has_epoll", has_epoll},
                                     {NULL, NULL}};

/* refused(name, text, f, ...): while that fails, f raises 'text', a pattern. */
static const char helpers[] = "function refused(what, text, f, ...)\n"
                              "  local before = descriptors()\n"
                              "  fail(what)\n"
                              "  local ok, err = pcall(f, ...)\n"
                              "  assert(heal(), what .. ' was not met')\n"
                              "  assert(not ok, 'nothing was raised')\n"
                              "  assert(tostring(err):find(text), err)\n"
                              "  assert(descriptors() == before, 'a descriptor is left')\n"
                              "end\n";

static lua_State *open_state(ctx_context *root)
{
  lua_State *L = state_open(root);
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  state_run(L, helpers);
  return L;
}

/* ---- opening ------------------------------------------------------------------- */

/* The first of the process: forks are not watched yet. */
TEST(opens_later)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  fail_all(FAULT_ATFORK);
  CHECK_INT(ctx_lua_open(L, NULL), LUA_ERRMEM);
  CHECK(heal());
  CHECK(strstr(lua_tostring(L, -1), "not enough memory") != NULL);
  lua_settop(L, 0);
  CHECK_INT(ctx_lua_open(L, NULL), LUA_OK);
  state_run(L, "assert(require 'ctx'.now() > 0)");
  lua_close(L);
}

TEST(no_memory)
{
  lua_State *L = open_state(NULL);
  state_run(L, "local why, bg = 'not enough memory', ctx.background()\n"
               "local c, cancel = ctx.with_cancel(bg)\n"
               "refused('memory', why, ctx.with_cancel, bg)\n"
               "refused('memory', why, ctx.with_timeout, bg, 1, 'cause')\n"
               "refused('memory', why, ctx.with_value, bg, 'key', 1)\n"
               "refused('memory', why, ctx.value, bg, 'another key')\n"
               "refused('memory', why, ctx.without_cancel, bg)\n"
               "refused('memory', why, ctx.merge, c, c)\n"
               "refused('memory', why, ctx.name, c, 'name')\n"
               "refused('memory', why, ctx.tree, c)\n"
               "refused('memory', why, ctx.run, {clock = 'virtual'}, print)\n"
               "assert(c:name() == nil and #ctx.tree(c) == 0)\n"
               "fail 'memory'\n"
               "local first = cancel 'cause'\n"
               "assert(heal() and first and c:cause() == ctx.CANCELED)\n");
  lua_close(L);
}

/* ---- descriptors ----------------------------------------------------------------- */

TEST(no_descriptor)
{
  lua_State *L = open_state(NULL);
  state_run(L, "local c, cancel = ctx.with_cancel(ctx.background())\n"
               "refused('descriptors', 'a context to poll: ', c.pollfd, c)\n"
               "local fd = c:pollfd()\n"
               "refused('descriptors', 'to wait for descriptors: ', c.wait_fd, c, fd, 'r')\n"
               "if has_epoll() then\n"
               "  refused('poller', 'to wait for descriptors: ', c.wait_fd, c, fd, 'r')\n"
               "end\n"
               "local late = ctx.with_timeout(ctx.background(), 0.001)\n"
               "assert(select(2, late:wait_fd(fd, 'r')) == ctx.DEADLINE_EXCEEDED)\n"
               "cancel()\n"
               "assert(ctx.background():wait_fd(fd, 'r'))\n");
  lua_close(L);
}

TEST(no_look)
{
  lua_State *L = open_state(NULL);
  state_run(L, "local c = ctx.with_timeout(ctx.background(), 0.001)\n"
               "local wait, fd = ctx.background().wait_fd, c:pollfd()\n"
               "refused('look', 'to wait for descriptor %d+: ', wait, ctx.background(), fd, 'r')\n"
               "assert(ctx.background():wait_fd(fd, 'r'))\n");
  lua_close(L);
}

/* The kernel refuses to watch what a look has found open. */
TEST(no_watch)
{
  lua_State *L = open_state(NULL);
  state_run(L, "if not has_epoll() then return end\n"
               "local c, cancel = ctx.with_cancel(ctx.background())\n"
               "local bg, fd = ctx.background(), c:pollfd()\n"
               "assert(bg:wait_fd(fd, 'r', 0.001) == false)\n" /* makes the poller */
               "refused('watch', 'to wait for descriptor %d+: ', bg.wait_fd, bg, fd, 'r')\n"
               "fail 'gone'\n"
               "local ok, err = bg:wait_fd(fd, 'r')\n"
               "assert(heal() and ok == nil and err == 'closed')\n"
               "cancel()\n"
               "assert(bg:wait_fd(fd, 'r'))\n");
  lua_close(L);
}

/* ---- threads and signals ----------------------------------------------------------- */

static const char thread_script[] =
  "local c = ...\n"
  "local never, cancel = c:with_timeout(math.huge)\n"
  "local timed = c:with_timeout(100)\n"
  "local why = 'nothing can tell the end of this context: '\n"
  "refused('threads', why, ctx.wait, timed)\n"
  "refused('threads', why, timed.on_done, timed, print)\n"
  "local ran = false\n"
  "never:on_done(function() ran = true end)\n"
  "refused('threads', 'temporarily unavailable', ctx.extend, cancel, 0.001)\n"
  "assert(never:deadline() == nil)\n"
  "assert(ctx.extend(cancel, 0.001))\n"
  "assert(never:wait())\n"
  "for _ = 1, 30000 do if not ran then ctx.sleep(0.001) end end\n"
  "assert(ran)\n";

/* The engine of the context has a thread, which cannot be started. */
TEST(no_thread)
{
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_THREAD});
  lua_State *L = open_state(NULL);
  state_give(L, ctx_engine_background(e), thread_script);
  lua_close(L);
  CHECK_INT(ctx_engine_close(e), 0);
}

TEST(no_signal)
{
  lua_State *L = open_state(NULL);
  state_run(L, "local bg = ctx.background()\n"
               "refused('memory', 'not enough memory', ctx.with_signal, bg, 'usr1')\n"
               "assert(not bg:with_signal('usr2'):done())\n" /* the thread that listens stays */
               "refused('signals', 'cannot listen to signals: ', ctx.with_signal, bg, 'usr1')\n"
               "assert(not bg:with_signal('usr1'):done())\n");
  lua_close(L);
}

static const struct test tests[] = {
  T(opens_later, "a state for which no handler can be set is opened by another try"),
  T(no_memory, "what needs memory that is not there is refused, and a cancel is not"),
  T(no_descriptor, "who needs a descriptor is told that there is none"),
  T(no_look, "a look at a descriptor that fails says so"),
  T(no_watch, "a descriptor that the kernel does not watch is refused, one that is gone is closed"),
  T(no_thread, "who needs a thread is told that it cannot be started, and nothing has changed"),
  T(no_signal, "signals that cannot be listened to are refused"),
};

int main(int argc, char **argv)
{
  if (no_proc("system")) return 0;
  return check_run("system", tests, sizeof tests / sizeof *tests, argc, argv);
}
