/*
 * hostile - a script with the debug library open, in a state whose contexts C has, too
 */
#include "state.h"

static int give_it(lua_State *L)
{
  ctx_lua_push(L, ctx_lua_check(L, 1));
  return 1;
}

/* strike(n, what, f): in the n-th finalizer that runs within f, a cycle of the collector each,
 * what is there of that sort is finalized by hand. */
static const char strike[] =
  "local left, what\n"
  "local function finalize(u)\n"
  "  local meta = type(u) == 'userdata' and debug.getmetatable(u)\n"
  "  if meta and meta.__gc then meta.__gc(u) end\n"
  "end\n"
  "local function each(f)\n" /* that lies in the registry, and is of ctx */
  "  for k, x in next, debug.getregistry() do\n"
  "    if type(k) == 'userdata' then f(x) end\n"
  "  end\n"
  "end\n"
  "local strikes = {}\n"
  "function strikes.stack()\n"
  "  for level = 3, 7 do\n"
  "    for i = 1, debug.getinfo(level, 'f') and 60 or 0 do\n"
  "      local name, u = debug.getlocal(level, i)\n"
  "      if not name then break end\n"
  "      finalize(u)\n"
  "    end\n"
  "  end\n"
  "end\n"
  "function strikes.loop()\n"
  "  each(finalize)\n"
  "end\n"
  "function strikes.below()\n" /* the worlds, and what is anchored; then the loop itself */
  "  each(function(u)\n"
  "    for n = 1, type(u) == 'userdata' and 5 or 0 do\n"
  "      local x = debug.getuservalue(u, n)\n"
  "      for _, v in next, type(x) == 'table' and x or {x} do finalize(v) end\n"
  "    end\n"
  "  end)\n"
  "  strikes.loop()\n"
  "end\n"
  "function strikes.remembered()\n"
  "  each(function(t)\n"
  "    for _, u in next, type(t) == 'table' and t or {} do finalize(u) end\n"
  "  end)\n"
  "end\n"
  "local function finalizer()\n"
  "  if not left then return end\n"
  "  left = left - 1\n"
  "  if left > 0 then\n"
  "    setmetatable({}, {__gc = finalizer})\n"
  "  else\n"
  "    collectgarbage('incremental', 200, 100, 13)\n"
  "    strikes[what]()\n"
  "  end\n"
  "end\n"
  "function strike(n, sort, f)\n"
  "  collectgarbage('incremental', 0, 1000, 28)\n"
  "  collectgarbage('setpause', 0)\n"
  "  collectgarbage()\n"
  "  left, what = n, sort\n"
  "  setmetatable({}, {__gc = finalizer})\n"
  "  pcall(f)\n"
  "  local struck = left == 0\n"
  "  left = nil\n"
  "  return struck\n"
  "end\n";

static const char *const victims[] = {
  "give(ctx.background():with_value('a', {}):with_value({}, 2))",
  "local c, cancel = ctx.background():with_cancel() give(c) cancel {}",
  "local c, cancel = ctx.background():with_timeout(100, {}) cancel {}",
  "local c = ctx.background():with_timeout(100, {}) give(c) give(c:with_value('k', {}))",
  "local c = ctx.background():with_cancel() c:on_done(print) give(c) c:on_done(print)",
  "ctx.todo()",
  "give(ctx.merge((ctx.background():with_cancel()), (ctx.background():with_value(1, {}))))",
  "local c, cancel = ctx.background():with_cancel() c:on_done(type) cancel {} ctx.yield()",
  "local t = ctx.background():async(function() return {} end) t:join()",
  "ctx.run({clock = 'virtual'}, function(c) ctx.wrap(ctx.sleep)(1) return {} end)",
  "ctx.wrap(function() for i = 1, 30 do local t = {} end coroutine.yield() end)()",
  "ctx.run(function(c) ctx.wrap(function() for _ = 1, 30 do c = {} end ctx.sleep(0) end)() end)",
  "ctx.track(true) ctx.background():go(ctx.sleep, 9) require 'ctx.core'.unfinished_tasks()",
};

enum { VICTIMS = sizeof victims / sizeof *victims, STRIKES = 150 };

/* True: within the victim so many finalizers have run. */
static bool strike_at(int n, const char *what, const char *victim)
{
  lua_State *L = state_open(NULL);
  lua_register(L, "give", give_it);
  state_run(L, strike);
  lua_getglobal(L, "strike");
  lua_pushinteger(L, n);
  lua_pushstring(L, what);
  CHECK_INT(luaL_loadstring(L, victim), LUA_OK);
  CHECK_INT(lua_pcall(L, 3, 1, 0), LUA_OK);
  bool struck = lua_toboolean(L, -1);
  lua_close(L);
  return struck;
}

static void strike_all(const char *what)
{
  int strikes = 0;
  for (int victim = 0; victim < VICTIMS; victim++)
    for (int n = 1; n <= STRIKES && strike_at(n, what, victims[victim]); n++) strikes++;
  CHECK(strikes > 10 * VICTIMS);
}

TEST(finalized_meanwhile)
{
  strike_all("stack");
  strike_all("remembered");
}

TEST(closed_meanwhile)
{
  strike_all("loop");
  strike_all("below");
}

static const struct test tests[] = {
  T(finalized_meanwhile, "what a script finalizes by hand, whenever, is refused"),
  T(closed_meanwhile, "so is all when it has closed the module by hand, and nothing crashes"),
};

int main(int argc, char **argv)
{
  return check_run("hostile", tests, sizeof tests / sizeof *tests, argc, argv);
}
