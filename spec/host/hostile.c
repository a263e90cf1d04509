/*
 * hostile - a script with the debug library open, in a state whose contexts C has, too
 */
#include "state.h"

static int give_it(lua_State *L)
{
  ctx_lua_push(L, ctx_lua_check(L, 1));
  return 1;
}

/* strike(n, f): in the n-th finalizer that runs within f, a cycle of the collector each, all that
 * lies on the stack is finalized by hand. */
static const char strike[] =
  "collectgarbage('incremental', 0, 1000, 28)\n"
  "collectgarbage('setpause', 0)\n"
  "local left\n"
  "local function finalize_all()\n"
  "  for level = 2, 6 do\n"
  "    if not debug.getinfo(level, 'f') then return end\n"
  "    for i = 1, 60 do\n"
  "      local name, u = debug.getlocal(level, i)\n"
  "      if not name then break end\n"
  "      local gc = type(u) == 'userdata' and debug.getmetatable(u).__gc\n"
  "      if gc then gc(u) end\n"
  "    end\n"
  "  end\n"
  "end\n"
  "local function finalizer()\n"
  "  if not left then return end\n"
  "  left = left - 1\n"
  "  if left > 0 then setmetatable({}, {__gc = finalizer}) else finalize_all() end\n"
  "end\n"
  "function strike(n, f)\n"
  "  collectgarbage()\n"
  "  left = n\n"
  "  setmetatable({}, {__gc = finalizer})\n"
  "  pcall(f)\n"
  "  left = nil\n"
  "end\n";

TEST(finalized_meanwhile)
{
  static const char *const victims[] = {
    "give(ctx.background():with_value('a', {}):with_value({}, 2))",
    "local c, cancel = ctx.background():with_cancel() give(c) cancel {}",
    "local c, cancel = ctx.background():with_timeout(100, {}) cancel {}",
    "local c = ctx.background():with_timeout(100, {}) give(c) give(c:with_value('k', {}))",
    "local c = ctx.background():with_cancel() c:on_done(print) give(c) c:on_done(print)",
  };
  for (int i = 0; i < 5 * 25; i++) {
    lua_State *L = state_open(NULL);
    lua_register(L, "give", give_it);
    state_run(L, strike);
    lua_getglobal(L, "strike");
    lua_pushinteger(L, 1 + i / 5);
    CHECK_INT(luaL_loadstring(L, victims[i % 5]), LUA_OK);
    CHECK_INT(lua_pcall(L, 2, 0, 0), LUA_OK);
    lua_close(L);
  }
}

static const struct test tests[] = {
  T(finalized_meanwhile, "what a script finalizes by hand, whenever, is refused"),
};

int main(int argc, char **argv)
{
  return check_run("hostile", tests, sizeof tests / sizeof *tests, argc, argv);
}
