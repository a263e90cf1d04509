/*
 * memory - a Lua state that runs out of memory
 *
 * Runs a script again and again, each time with one allocation more, from which on all fail
 * until the script has ended. Whatever the error, nothing crashes, the module answers as
 * before, and nothing is left (the sanitized build looks for leaks).
 */
#include "state.h"

#include <stdlib.h>

/* How many allocations may still succeed, of Lua and of C; below 0: all. */
static long budget = -1, c_budget = -1;

#ifdef WRAPS_MALLOC
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool c_may(void)
{
  if (c_budget == 0) return false;
  if (c_budget > 0) c_budget--;
  return true;
}

/* What the module and the engine call for malloc; and what a compiler makes of that where the
 * block is zeroed. */
void *__wrap_malloc(size_t size)
{
  return c_may() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
  return c_may() ? __real_calloc(n, size) : NULL;
}
#endif

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

/* give(c) -> c, which C could show to others */
static int give(lua_State *L)
{
  ctx_lua_push(L, ctx_lua_check(L, 1));
  return 1;
}

static lua_State *new_state(void)
{
  budget = -1;
  lua_State *L = lua_newstate(allocate, NULL);
  luaL_openlibs(L);
  lua_setwarnf(L, state_warn, NULL);
  lua_register(L, "give", give);
  return L;
}

static lua_State *open_state(void)
{
  lua_State *L = new_state();
  CHECK_INT(ctx_lua_open(L, NULL), LUA_OK);
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

/* True: the script has ended within 'n' allocations that '*left' counts. */
static bool run_within(const char *script, long *left, long n)
{
  lua_State *L = open_state();
  CHECK_INT(luaL_loadstring(L, script), LUA_OK);
  *left = n;
  int status = lua_pcall(L, 0, 0, 0);
  bool enough = *left != 0;
  check_points += !enough;
  *left = -1;
  if (enough) CHECK_STR(status == LUA_OK ? "" : lua_tostring(L, -1), "");
  lua_settop(L, 0);
  status = luaL_dostring(L, still_well);
  CHECK_STR(status == LUA_OK ? "" : lua_tostring(L, -1), "");
  lua_close(L);
  return enough;
}

static void sweep_by(const char *script, long *left)
{
  long n = 1;
  while (n < 5000 && !run_within(script, left, n)) n++;
  CHECK(n > 1);
  CHECK(n < 5000);
}

static void sweep(const char *script)
{
  sweep_by(script, &budget);
#ifdef WRAPS_MALLOC
  sweep_by(script, &c_budget);
#endif
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

TEST(shared)
{
  sweep(
    "local key, why = {}, {}\n"
    "local c, cancel = ctx.background():with_value('k', key):with_value(key, 1.5):with_cancel()\n"
    "c:on_done(function() end)\n"
    "local late = give(c:with_timeout(0, why))\n"
    "assert(give(c) == c and cancel(why))\n"
    "assert(c:value 'k' == key and c:value(key) == 1.5)\n"
    "assert(c:cause() == why and late:cause() == why)\n");
}

TEST(trees)
{
  sweep("ctx.track(true)\n"
        "local a, cancel = ctx.background():with_cancel()\n"
        "a:name 'the first'\n"
        "local m = ctx.merge(a, (ctx.with_timeout(ctx.background(), 100)))\n"
        "local late = m:without_cancel({grace = 0})\n"
        "assert(#ctx.tree(a) == 1 and ctx.extend(select(2, m:with_timeout(9)), 10))\n"
        "assert(cancel('why') and late:done())\n"
        "assert(m:origin().name == 'the first' and m:cause() == 'why')\n"
        "ctx.track(false)\n");
}

/* More than a new coroutine has room for. */
TEST(many_values)
{
  sweep("local many = {}\n"
        "for i = 1, 100 do many[i] = i end\n"
        "local function count(...) return select('#', ...) end\n"
        "local function give(c, ...) return ... end\n"
        "local n = count(ctx.run(function(root)\n"
        "  assert(count(root:async(give, table.unpack(many)):join()) == 101)\n"
        "  assert(count(root:async(function() return table.unpack(many) end):join()) == 101)\n"
        "  assert(count(ctx.wrap(give)(1, table.unpack(many))) == 100)\n"
        "  return table.unpack(many)\n"
        "end))\n"
        "assert(n == 100)\n");
}

/* ---- a hook that could run is not lost ----------------------------------- */

static void do_well(lua_State *L, const char *script)
{
  bool ok = luaL_dostring(L, script) == LUA_OK;
  CHECK_STR(ok ? "" : lua_tostring(L, -1), "");
  lua_settop(L, 0);
}

/* Within 'n' allocations, none of which the collector gives back. */
static bool try_within(lua_State *L, const char *script, long n)
{
  do_well(L, "collectgarbage() collectgarbage 'stop'");
  CHECK_INT(luaL_loadstring(L, script), LUA_OK);
  budget = n;
  bool ok = lua_pcall(L, 0, 0, 0) == LUA_OK;
  check_points += !ok;
  budget = -1;
  lua_settop(L, 0);
  do_well(L, "collectgarbage 'restart'");
  return ok;
}

static bool hook_within(long n)
{
  lua_State *L = open_state();
  do_well(L, "ran = 0\n"
             "function hook() stop = c:on_done(function() ran = ran + 1 end) end\n"
             "c = ctx.background():with_timeout(1000):with_cancel()\n");
  bool ok = try_within(L, "hook()", n);
  if (ok) do_well(L, "assert(stop())");
  do_well(L, "c, stop = nil\n"
             "collectgarbage() collectgarbage()\n"
             "local contexts = require 'ctx.core'.counters()\n"
             "assert(contexts == 0, contexts)\n"
             "c = ctx.background():with_timeout(0.001):with_cancel():with_cancel()\n");
  if (!try_within(L, "hook()", n)) do_well(L, "hook()");
  do_well(L, "c, stop = nil\n"
             "collectgarbage() collectgarbage()\n"
             "ctx.sleep(0.002) ctx.sleep(0)\n"
             "assert(ran == 1, ran)\n");
  lua_close(L);
  return ok;
}

TEST(hooks_stay)
{
  long n = 0;
  while (n < 100 && !hook_within(n)) n++;
  CHECK(n > 1);
  CHECK(n < 100);
}

static bool hold_within(long n)
{
  lua_State *L = open_state();
  do_well(L, "c = ctx.background():with_cancel()\n"
             "c:on_done(function() ran = true end)\n");
  bool ok = try_within(L, "give(c)", n);
  lua_getglobal(L, "c");
  ctx_context *c = ctx_retain(ctx_lua_check(L, -1));
  lua_settop(L, 0);
  do_well(L, "c = nil collectgarbage() collectgarbage()");
  ctx_cancel(c);
  ctx_release(c);
  do_well(L, "ctx.sleep(0.001) ctx.sleep(0) assert(ran)");
  lua_close(L);
  return ok;
}

TEST(holds_stay)
{
  long n = 0;
  while (n < 100 && !hold_within(n)) n++;
  CHECK(n > 1);
  CHECK(n < 100);
}

/* ---- what has been shared in part ------------------------------------------ */

/* Gives C a context by two tries, the first within 'n' allocations that '*left' counts. */
static bool share_within(long *left, long n)
{
  lua_State *L = open_state();
  do_well(L, "key, value, why = {}, {}, {}\n"
             "local up = ctx.background():with_value(key, value):with_value('name', value)\n"
             "c, cancel = up:with_timeout(100, value):with_cancel()\n"
             "cancel(why)\n");
  CHECK_INT(luaL_loadstring(L, "give(c)"), LUA_OK);
  *left = n;
  bool ok = lua_pcall(L, 0, 0, 0) == LUA_OK;
  *left = -1;
  lua_settop(L, 0);
  do_well(L, "give(c)");
  lua_getglobal(L, "c");
  ctx_context *c = ctx_retain(ctx_lua_check(L, -1));
  do_well(L, "c, cancel = nil collectgarbage() collectgarbage()");
  ctx_lua_push(L, c);
  lua_setglobal(L, "c");
  do_well(L, "assert(c:value(key) == value and c:value 'name' == value and c:cause() == why)");
  lua_close(L);
  ctx_release(c);
  return ok;
}

TEST(shared_in_part)
{
  long n = 0;
  while (n < 500 && !share_within(&budget, n)) n++;
  CHECK(n > 1);
  CHECK(n < 500);
#ifdef WRAPS_MALLOC
  for (n = 0; n < 500 && !share_within(&c_budget, n);) n++;
  CHECK(n > 1);
  CHECK(n < 500);
#endif
}

/* ---- opening --------------------------------------------------------------- */

/* Begins to open a state within 'n' allocations. */
static lua_State *begin_within(ctx_context *root, long *left, long n, bool *enough)
{
  lua_State *L = new_state();
  *left = n;
  int status = ctx_lua_open(L, root);
  *enough = *left != 0;
  check_points += !*enough;
  *left = -1;
  CHECK(status == LUA_OK || !*enough);
  lua_settop(L, 0);
  return L;
}

/* Opens a state within 'n' allocations, and again with all that it takes. */
static bool open_within(ctx_context *root, long *left, long n)
{
  bool enough;
  lua_close(begin_within(root, left, n, &enough)); /* without another try */
  lua_State *L = begin_within(root, left, n, &enough);
  CHECK_INT(ctx_lua_open(L, root), LUA_OK);
  int status = luaL_dostring(L, "ctx = require 'ctx' collectgarbage() ctx.yield()"
                                "assert(ctx.root() ~= ctx.background())");
  CHECK_STR(status == LUA_OK ? "" : lua_tostring(L, -1), "");
  lua_close(L);
  return enough;
}

/* Where the first try has come far enough, its root stays. */
static bool another_root_within(ctx_context *root, long n)
{
  bool enough;
  ctx_context *other = ctx_with_cancel(root);
  lua_State *L = begin_within(root, &budget, n, &enough);
  bool refused = ctx_lua_open(L, other) != LUA_OK;
  if (refused) CHECK(strstr(lua_tostring(L, -1), "with another root or none") != NULL);
  CHECK(refused || !enough);
  lua_settop(L, 0);
  CHECK_INT(ctx_lua_open(L, refused ? root : other), LUA_OK);
  lua_close(L);
  ctx_release(other);
  return refused && !enough;
}

TEST(opening)
{
  ctx_engine *e = ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST});
  ctx_context *root = ctx_with_cancel(ctx_engine_background(e));
  long n = 0;
  while (n < 5000 && !open_within(root, &budget, n)) n++;
  CHECK(n > 1);
  CHECK(n < 5000);
  long refused = 0;
  for (long i = 0; i < n; i++) refused += another_root_within(root, i);
  CHECK(refused > n / 2);
#ifdef WRAPS_MALLOC
  for (n = 0; n < 100 && !open_within(root, &c_budget, n);) n++;
  CHECK(n > 1);
  CHECK(n < 100);
#endif
  ctx_release(root);
  ctx_counters counters;
  ctx_engine_counters(e, &counters);
  CHECK_INT(counters.contexts, 0);
  ctx_engine_close(e);
}

static const struct test tests[] = {
  T(opening, "a state without memory is opened by another try"),
  T(shared, "values and causes that C has seen leave nothing behind without memory"),
  T(contexts, "contexts, values and causes leave nothing behind without memory"),
  T(tasks, "tasks and channels leave nothing behind without memory"),
  T(trees, "merges, names, snapshots and moved deadlines leave nothing behind without memory"),
  T(many_values, "more values than fit on a stack leave nothing behind without memory"),
  T(virtual_runs, "a run on a virtual clock gives its clock back without memory"),
  T(hooks, "hooks leave nothing behind without memory"),
  T(hooks_stay,
    "H7 a hook for which there was no memory leaves nothing behind, and the next stays"),
  T(shared_in_part, "what C could not be given for want of memory is given by another try"),
  T(holds_stay, "H7 a hook stays where C was given its context by another try"),
};

int main(int argc, char **argv)
{
  return check_run("memory", tests, sizeof tests / sizeof *tests, argc, argv);
}
