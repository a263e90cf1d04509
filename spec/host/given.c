/*
 * given - contexts that scripts give to C, and what C gives to scripts
 */
#include "state.h"

/* give(c) -> c, which C could show to others from now on */
static int give(lua_State *L)
{
  ctx_lua_push(L, ctx_lua_check(L, 1));
  return 1;
}

static lua_State *open_state(void)
{
  lua_State *L = state_open(NULL);
  lua_register(L, "give", give);
  return L;
}

static ctx_engine *open_engine(void)
{
  return ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST});
}

/* ---- from Lua to C ------------------------------------------------------------ */

TEST(merges)
{
  lua_State *L = open_state();
  state_run(L, "local top = ctx.background():with_value('key', {})\n"
               "local a, b = top:with_value(1, {}), top:with_value(2, {}):with_timeout(100)\n"
               "weak = setmetatable({top:value 'key', a:value(1), b:value(2)}, {__mode = 'v'})\n"
               "c = ctx.merge((a:with_cancel()), b, (top:with_cancel()))\n");
  ctx_context *c = state_take(L, "c");
  state_run(L, "c = nil collectgarbage() collectgarbage()");
  state_give(L, c,
             "local c = ...\n"
             "assert(tostring(c) == 'context.Host')\n"
             "assert(weak[1] and c:value 'key' == weak[1])\n"
             "assert(weak[2] and c:value(1) == weak[2])\n"
             "assert(weak[3] and c:value(2) == weak[3])\n");
  ctx_release(c);
  state_run(L, "collectgarbage() ctx.sleep(0) collectgarbage() assert(next(weak) == nil)");
  lua_close(L);
}

/* C may end what is above a hook. */
TEST(hook_below)
{
  lua_State *L = open_state();
  state_run(L, "c = ctx.background():with_cancel()\n"
               "c:with_cancel():with_cancel():on_done(function() ran = true end)\n");
  ctx_context *c = state_take(L, "c");
  state_run(L, "c = nil collectgarbage() collectgarbage() ctx.yield() assert(not ran)");
  ctx_cancel(c);
  ctx_release(c);
  state_run(L, "ctx.sleep(0.001) assert(ran)");
  lua_close(L);
}

static void count_warning(void *n, const char *text, int goes_on)
{
  (void)text;
  *(int *)n += !goes_on;
}

/* The cancel function is collected while a task runs below its context. */
static int warnings_when_lost(bool is_given)
{
  int n = 0;
  ctx_context *c = NULL;
  lua_State *L = open_state();
  lua_setwarnf(L, count_warning, &n);
  state_run(L, "collectgarbage 'stop'\n"
               "ctx.track(true)\n"
               "c = ctx.background():with_cancel()\n"
               "c:go(c.sleep, 9)\n");
  if (is_given) c = state_take(L, "c");
  state_run(L, "ctx.yield() collectgarbage() collectgarbage()");
  if (is_given) CHECK(ctx_cancel(c));
  ctx_release(c);
  lua_setwarnf(L, NULL, NULL);
  lua_close(L);
  return n;
}

TEST(canceled_by_c)
{
  CHECK_INT(warnings_when_lost(false), 1);
  CHECK_INT(warnings_when_lost(true), 0);
}

/* ---- from C to Lua ------------------------------------------------------------ */

TEST(other_engine)
{
  ctx_engine *e = open_engine();
  lua_State *L = open_state();
  state_give(L, ctx_engine_background(e),
             "local ok, err = pcall(ctx.merge, (ctx.background():with_cancel()), ...)\n"
             "assert(not ok and err:find 'belong to one engine', err)\n"
             "ok, err = pcall(ctx.merge, ..., (ctx.background():with_cancel()))\n"
             "assert(not ok and err:find 'belong to one engine', err)\n"
             "assert(not ctx.merge(..., (ctx.with_cancel(...))):done())\n");
  lua_close(L);
  CHECK_INT(ctx_engine_close(e), 0);
}

/* The engine is closed: nothing tells of an end there any more. */
TEST(closed_engine)
{
  ctx_engine *e = open_engine();
  ctx_context *c = ctx_with_cancel(ctx_engine_background(e));
  lua_State *L = open_state();
  CHECK_INT(ctx_engine_close(e), 0);
  state_give(L, c,
             "local c = ...\n"
             "for _, f in ipairs {ctx.wait, function() c:on_done(print) end} do\n"
             "  local ok, err = pcall(f, c)\n"
             "  assert(not ok and err:find('its engine is closed', 1, true), err)\n"
             "end\n"
             "assert(c:wait(0) == false)\n");
  lua_close(L);
  ctx_release(c);
}

static const ctx_lua_limits none;

static int lift_limits(lua_State *L)
{
  CHECK_INT(ctx_lua_set_limits(L, &none), LUA_OK);
  return 0;
}

TEST(lifted)
{
  static const ctx_lua_limits one = {.contexts = 1};
  lua_State *L = open_state();
  lua_register(L, "lift", lift_limits);
  CHECK_INT(ctx_lua_set_limits(L, &one), LUA_OK);
  state_run(L, "local c = ctx.background():with_cancel()\n"
               "assert(not pcall(c.with_cancel, c))\n"
               "setmetatable({}, {__gc = lift})\n"
               "local d = c:with_cancel()\n"
               "assert(c and d)\n");
  lua_close(L);
}

/* What is to be done at an end is done, whatever runs then. */
TEST(hook_at_the_limit)
{
  static const ctx_lua_limits one = {.tasks = 1};
  lua_State *L = open_state();
  CHECK_INT(ctx_lua_set_limits(L, &one), LUA_OK);
  state_run(L, "local ran = 0\n"
               "local function hook() ran = ran + 1 end\n"
               "local c, cancel = ctx.background():with_cancel()\n"
               "for _ = 1, 3 do c:on_done(hook) end\n"
               "ctx.background():go(function() ctx.sleep(100) end)\n"
               "local ok, err = pcall(c.on_done, c, hook)\n"
               "assert(not ok and err:find('no more than 1 tasks', 1, true), err)\n"
               "cancel()\n"
               "ctx.sleep(0)\n"
               "assert(ran == 3, ran)\n"
               "assert(not pcall(c.go, c, hook))\n");
  lua_close(L);
}

/* ---- with the debug library ------------------------------------------------------ */

TEST(pushed_anew)
{
  ctx_engine *e = open_engine();
  ctx_context *root = ctx_with_cancel(ctx_engine_background(e));
  lua_State *L = state_open(root);
  state_run(L, "old = ctx.root()\n"
               "local gc = debug.getmetatable(old).__gc\n"
               "gc(old)\n"
               "assert(not pcall(old.done, old))\n"
               "local new = ctx.root()\n"
               "assert(not rawequal(new, old) and not new:done())\n"
               "gc(new)\n");
  state_give(L, root, "assert(not (...):done() and ctx.root() == ...)");
  lua_close(L);
  ctx_release(root);
  CHECK_INT(ctx_engine_close(e), 0);
}

TEST(taken_away)
{
  lua_State *L = open_state();
  state_run(L, "local c, cancel = ctx.background():with_cancel()\n"
               "cancel {}\n"
               "local m = ctx.merge(c, (ctx.background():with_value('key', {})))\n"
               "for i = 1, 4 do debug.setuservalue(m, nil, i) debug.setuservalue(c, nil, i) end\n"
               "assert(give(c) == c and give(m) == m)\n"
               "assert(c:cause() == 'table', 'the name of its type')\n"
               "assert(type(m:value 'key') == 'table')\n");
  lua_close(L);
}

/* foreign(size, byte) -> userdata of that size, full of such bytes: of another library */
static int push_foreign(lua_State *L)
{
  size_t size = (size_t)luaL_checkinteger(L, 1);
  memset(lua_newuserdatauv(L, size, 0), (int)luaL_checkinteger(L, 2), size);
  return 1;
}

TEST(foreign_userdata)
{
  lua_State *L = open_state();
  lua_register(L, "foreign", push_foreign);
  state_run(
    L, "local core = require 'ctx.core'\n"
       "local finalizers = {}\n"
       "for k, meta in pairs(debug.getregistry()) do\n"
       "  local gc = type(k) == 'userdata' and type(meta) == 'table' and rawget(meta, '__gc')\n"
       "  if gc then finalizers[gc] = true end\n"
       "end\n"
       "assert(next(finalizers))\n"
       "for i = 0, 800 do\n"
       "  local u = foreign(i // 2, i % 2 * 0x55)\n"
       "  assert(not core.is_context(u) and not core.is_task(u))\n"
       "  assert(not pcall(ctx.done, u) and not pcall(ctx.background().wait, u))\n"
       "  for gc in pairs(finalizers) do gc(u) end\n"
       "end\n");
  lua_close(L);
}

/* A handle that was finalized by hand is found under the address of its link, which another state
 * has been given since. */
TEST(address_used_again)
{
  lua_State *A = open_state(), *B = open_state();
  state_run(A, "old = {}\n"
               "for i = 1, 50 do old[i] = ctx.background():with_timeout(100, {}) end\n"
               "for i = 1, 50 do debug.getmetatable(old[i]).__gc(old[i]) end\n");
  state_run(B, "c = ctx.background()\n"
               "for i = 1, 50 do c = c:with_value(i, -i) end\n");
  ctx_context *c = state_take(B, "c");
  state_give(A, c, "for i = 1, 50 do assert((...):value(i) == -i) end");
  ctx_release(c);
  lua_close(A);
  lua_close(B);
}

static const struct test tests[] = {
  T(merges, "F8 the values of all parents of a merge stay with it when only C holds it"),
  T(hook_below, "H7 a hook below what C can end is not collected"),
  T(canceled_by_c, "what C can cancel is not lost with its cancel function"),
  T(other_engine, "K1 contexts of two engines are not merged"),
  T(closed_engine, "an end on a closed engine cannot be waited for, and the script is told"),
  T(lifted, "a limit that is lifted while garbage is collected does not refuse"),
  T(hook_at_the_limit, "a limit of tasks keeps no hook from running, only from being registered"),
  T(pushed_anew, "a context whose value was finalized by hand gets another one"),
  T(taken_away, "a context is given though a script has taken its cause and parents away"),
  T(foreign_userdata, "userdata of other libraries are not taken for ours, whatever their size"),
  T(address_used_again, "a value is found though its address was another's before"),
};

int main(int argc, char **argv)
{
  return check_run("given", tests, sizeof tests / sizeof *tests, argc, argv);
}
