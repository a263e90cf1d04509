/*
 * memory - a Lua state that runs out of memory
 *
 * Runs a script again and again, each time with one allocation more, from which on all fail
 * until the script has ended. Whatever the error, nothing crashes, the module answers as
 * before, and nothing is left (the sanitized build looks for leaks).
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

#include "check.h"

int luaopen_ctx_core(lua_State *L);

/* How many allocations may still succeed; below 0: all. */
static long budget = -1;

static void *allocate(void *arg, void *block, size_t old_size, size_t size)
{
  (void)arg;
  if (size == 0) {
    free(block);
    return NULL;
  }
  bool grows = block == NULL || size > old_size;
  if (grows && budget == 0) return NULL;
  if (grows && budget > 0) budget--;
  return realloc(block, size);
}

static lua_State *open_state(void)
{
  budget = -1;
  lua_State *L = lua_newstate(allocate, NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "ctx.core", luaopen_ctx_core, 0);
  lua_settop(L, 0);
  CHECK_INT(luaL_dostring(L, "ctx = require 'ctx'"), LUA_OK);
  return L;
}

/* What must be so once there is memory again, whatever has failed. */
static const char still_well[] =
  "collectgarbage() collectgarbage()\n"
  "local core = require 'ctx.core'\n"
  "assert(ctx.now() > 1, 'the virtual clock is still in front')\n"
  "assert(7 == ctx.run(function(c)\n"
  "  local t = c:async(function() ctx.yield() return 7 end)\n"
  "  return select(2, t:join())\n"
  "end))\n"
  "assert(5 == ctx.run({clock = 'virtual'}, function() ctx.sleep(5) return ctx.now() end))\n"
  "collectgarbage() collectgarbage()\n"
  "local n, report = core.unfinished_tasks()\n"
  "assert(n == 0, report)\n"
  "local contexts, hooks, timers = core.counters()\n"
  "assert(contexts == 0 and hooks == 0 and timers == 0, contexts .. ' ' .. hooks .. ' ' .. "
  "timers)\n";

/* True: the script has ended within 'n' allocations. */
static bool run_within(const char *script, long n)
{
  lua_State *L = open_state();
  CHECK_INT(luaL_loadstring(L, script), LUA_OK);
  budget = n;
  int status = lua_pcall(L, 0, 0, 0);
  bool enough = budget != 0;
  budget = -1;
  if (enough) CHECK_STR(status == LUA_OK ? "" : lua_tostring(L, -1), "");
  lua_settop(L, 0);
  status = luaL_dostring(L, still_well);
  CHECK_STR(status == LUA_OK ? "" : lua_tostring(L, -1), "");
  lua_close(L);
  return enough;
}

static void sweep(const char *script)
{
  long n = 1;
  while (n < 5000 && !run_within(script, n)) n++;
  CHECK(n > 1);
  CHECK(n < 5000);
}

TEST(contexts)
{
  sweep("local a, cancel = ctx.with_cancel(ctx.background())\n"
        "local b <close> = a:with_timeout(100, 'late')\n"
        "local v = b:with_value({}, {}):with_value('key', 1)\n"
        "assert(v:value 'key' == 1)\n"
        "cancel({})\n"
        "assert(v:cause() ~= nil and tostring(v) ~= '')\n");
}

TEST(tasks)
{
  sweep("ctx.run(function(root)\n"
        "  local ch = ctx.channel()\n"
        "  local t = root:async(function(c, x) ch:send(x) c:sleep(0) return x end, {})\n"
        "  assert(ctx.select(ch, t, root))\n"
        "  assert(t:join())\n"
        "end)\n");
}

TEST(virtual_runs)
{
  sweep(
    "ctx.run({clock = 'virtual'}, function(root)\n"
    "  local c = root:with_timeout(3)\n"
    "  c:go(function() local x <close> = setmetatable({}, {__close = rawlen}) ctx.sleep(1) end)\n"
    "  c:wait((ctx.with_timeout(root, 5)))\n"
    "  ctx.wrap(function() ctx.sleep(1) end)()\n"
    "end)\n");
}

TEST(hooks)
{
  sweep("ctx.run({clock = 'virtual'}, function(root)\n"
        "  local c, cancel = root:with_cancel()\n"
        "  local stop = c:on_done(function() end)\n"
        "  c:with_timeout(9):on_done(function(err, cause) assert(err == cause) end)\n"
        "  stop() cancel() ctx.yield()\n"
        "end)\n");
}

static const struct test tests[] = {
  T(contexts, "contexts, values and causes leave nothing behind without memory"),
  T(tasks, "tasks and channels leave nothing behind without memory"),
  T(virtual_runs, "a run on a virtual clock gives its clock back without memory"),
  T(hooks, "hooks leave nothing behind without memory"),
};

int main(int argc, char **argv)
{
  return check_run("memory", tests, sizeof tests / sizeof *tests, argc, argv);
}
