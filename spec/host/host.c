/*
 * host - a C program and the Lua states that it holds
 */
#include "platform.h"

#include "key.h"
#include "state.h"

static ctx_engine *open_engine(void)
{
  return ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST});
}

static ctx_context *root_of(ctx_engine *e)
{
  return ctx_with_cancel(ctx_engine_background(e));
}

/* Nothing lives in 'e' any more, and it is closed. */
static void close_engine(ctx_engine *e)
{
  ctx_counters counters;
  ctx_engine_counters(e, &counters);
  CHECK_INT(counters.contexts, 0);
  CHECK_INT(counters.hooks, 0);
  CHECK_INT(counters.timers, 0);
  CHECK_INT(ctx_engine_close(e), 0);
  CHECK_INT(key_count(), 0);
}

static void close_all(lua_State *L, ctx_context *root, ctx_engine *e)
{
  lua_close(L);
  ctx_release(root);
  close_engine(e);
}

/* Another thread does f(arg); when this returns, it has. */
struct job {
  void (*f)(void *arg);
  void *arg;
};

static void *do_job(void *arg)
{
  struct job *job = arg;
  job->f(job->arg);
  return NULL;
}

static void on_thread(void (*f)(void *arg), void *arg)
{
  struct job job = {f, arg};
  ctx__thread thread;
  if (CHECK_INT(CTX__THREAD_START(&thread, do_job, &job), 0)) CTX__THREAD_JOIN(&thread);
}

static void release_it(void *c)
{
  ctx_release(c);
}

static void cancel_it(void *c)
{
  ctx_cancel(c);
}

/* ---- opening ----------------------------------------------------------------- */

TEST(opens)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(root);
  CHECK_INT(ctx_lua_open(L, root), LUA_OK);
  CHECK_INT(lua_gettop(L), 0);
  state_give(L, root,
             "local root = ...\n"
             "assert(rawequal(ctx.root(), root) and rawequal(ctx.current(), root))\n"
             "assert(tostring(root) == 'context.Host', tostring(root))\n"
             "assert(not root:done() and root:deadline() == nil)\n"
             "assert(tostring(root:with_cancel()) == 'context.Host.WithCancel')\n"
             "ctx.run(function(c) assert(tostring(c) == 'context.Host.WithCancel') end)\n"
             "ctx.run({clock = 'virtual'}, function(c) assert(ctx.root() ~= root) end)\n"
             "assert(ctx.root() == root)\n");
  state_give(L, ctx_engine_background(e),
             "local background = ...\n"
             "assert(rawequal(ctx.background(), background))\n"
             "assert(tostring(background) == 'context.Background')\n"
             "c = background:with_cancel()\n");
  ctx_context *c = state_take(L, "c");
  CHECK(ctx_engine_of(c) == e);
  ctx_release(c);
  close_all(L, root, e);
}

TEST(tells_an_end)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(root);
  ctx_cancel(root);
  CHECK(luaL_dostring(L, "ctx.sleep(1)") != LUA_OK);
  CHECK_INT(ctx_lua_err(L, -1), CTX_CANCELED);
  CHECK_STR(luaL_tolstring(L, -1, NULL), "context canceled");
  CHECK(luaL_dostring(L, "error 'context canceled'") != LUA_OK);
  CHECK_INT(ctx_lua_err(L, -1), 0);
  CHECK(luaL_dostring(L, "error(ctx.DEADLINE_EXCEEDED)") != LUA_OK);
  CHECK_INT(ctx_lua_err(L, -1), CTX_DEADLINE_EXCEEDED);
  lua_settop(L, 0);
  close_all(L, root, e);
}

TEST(ends)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(root);
  state_run(L, "ctx.sleep(0.001) ctx.yield()\n"
               "seen = {}\n"
               "local below = ctx.with_timeout(ctx.root(), 100)\n"
               "below:go(function() seen[1] = select(2, pcall(ctx.sleep, 100)) end)\n"
               "ctx.root():on_done(function(err, cause)\n"
               "  seen[2], seen[3], seen[4] = err, cause, ctx.current()\n"
               "end)\n"
               "ctx.yield()\n");
  ctx_cancel_cause(root, ctx_cause_new("enough", 6, 1, NULL, NULL));
  state_run(L, "for _, f in ipairs {ctx.yield, ctx.sleep} do\n"
               "  local ok, err = pcall(f, 1)\n"
               "  assert(not ok and err == ctx.CANCELED, err)\n"
               "end\n"
               "assert(ctx.root():cause() == 'enough')\n"
               "local c = ctx.without_cancel(ctx.root())\n"
               "assert(c:sleep(0.001))\n"
               "assert(seen[1] == ctx.CANCELED, seen[1])\n"
               "assert(seen[2] == ctx.CANCELED and seen[3] == 'enough')\n"
               "assert(rawequal(seen[4], ctx.root()))\n");
  close_all(L, root, e);
}

/* What ctx_lua_open answers, and says. */
static void check_refusal(lua_State *L, ctx_context *root, const char *text)
{
  int top = lua_gettop(L);
  CHECK_INT(ctx_lua_open(L, root), LUA_ERRRUN);
  CHECK_INT(lua_gettop(L), top + 1);
  const char *said = lua_tostring(L, -1);
  if (!CHECK(said != NULL && strstr(said, text) != NULL)) printf("# it says: %s\n", said);
  lua_settop(L, top);
}

static int64_t some_clock(void *arg)
{
  (void)arg;
  return 1;
}

TEST(refuses)
{
  ctx_engine *strange =
    ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST, .now = some_clock});
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e), *other = root_of(e);
  lua_State *L = luaL_newstate();
  check_refusal(L, root, "'package'");
  luaL_openlibs(L);
  check_refusal(L, ctx_engine_background(strange), "monotonic clock");
  CHECK_INT(ctx__lua_open(L, root, ctx_version(), -1), LUA_ERRRUN);
  CHECK_INT(ctx__lua_open(L, root, "0.0.0 of another copy", CTX__LUA_ABI), LUA_ERRRUN);
  lua_settop(L, 0);
  CHECK_INT(ctx_lua_open(L, root), LUA_OK);
  check_refusal(L, other, "already, with another root or none");
  check_refusal(L, NULL, "already, with another root or none");
  lua_close(L);
  L = state_open(NULL);
  state_run(L, "assert(ctx.root() == ctx.background())");
  check_refusal(L, root, "already, with another root or none");
  CHECK_INT(ctx_lua_open(L, NULL), LUA_OK);
  lua_close(L);
  ctx_release(other);
  ctx_release(root);
  close_engine(e);
  close_engine(strange);
}

/* luaopen_ctx_core of a copy that is not this one leaves this mark. */
static void mark_as_of_another_copy(lua_State *L)
{
  static char another;
  lua_pushlightuserdata(L, &another);
  lua_setfield(L, LUA_REGISTRYINDEX, "ctx.copy");
}

static int push_unopened(lua_State *L)
{
  ctx_lua_push(L, ctx_background());
  return 1;
}

static int push_of_another_copy(lua_State *L)
{
  ctx__lua_push(L, ctx_background(), "0.0.0");
  return 1;
}

/* True: the error of f() has 'text' in it. */
static bool raises(lua_State *L, lua_CFunction f, const char *text)
{
  lua_pushcfunction(L, f);
  bool failed = lua_pcall(L, 0, 0, 0) == LUA_ERRRUN;
  bool said = failed && strstr(lua_tostring(L, -1), text) != NULL;
  if (!said) printf("# it says: %s\n", failed ? lua_tostring(L, -1) : "nothing");
  lua_settop(L, 0);
  return said;
}

TEST(copies)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  mark_as_of_another_copy(L);
  check_refusal(L, NULL, "another copy");
  CHECK(raises(L, push_unopened, "not open"));
  lua_close(L);
  L = state_open(NULL);
  CHECK(raises(L, push_of_another_copy, "another copy"));
  mark_as_of_another_copy(L);
  state_run(L, "package.loaded['ctx.core'] = nil\n"
               "local ok, err = pcall(require, 'ctx.core')\n"
               "assert(not ok and err:find('another copy', 1, true), err)\n");
  lua_close(L);
}

/* ---- push and check ------------------------------------------------------------ */

static int check_it(lua_State *L)
{
  lua_pushlightuserdata(L, ctx_lua_check(L, 1));
  return 1;
}

static int test_it(lua_State *L)
{
  lua_pushboolean(L, ctx_lua_test(L, 1) != NULL);
  return 1;
}

TEST(pushes)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e), *c = ctx_with_cancel(root);
  lua_State *L = state_open(root);
  ctx_lua_push(L, c);
  ctx_lua_push(L, c);
  CHECK(lua_rawequal(L, -1, -2));
  CHECK(ctx_lua_check(L, -1) == c);
  ctx_lua_push(L, NULL);
  CHECK(lua_isnil(L, -1));
  CHECK(ctx_lua_test(L, -1) == NULL);
  lua_settop(L, 0);
  lua_register(L, "check", check_it);
  lua_register(L, "test", test_it);
  state_run(L, "made = ctx.root():with_timeout(100)\n"
               "address = check(made)\n"
               "assert(test(made) and not test(7) and not test() and not test(io.stdout))\n"
               "local ok, err = pcall(check, 7)\n"
               "assert(not ok and err:find('ctx.context expected, got number', 1, true), err)\n");
  lua_getglobal(L, "address");
  state_give(L, lua_touserdata(L, 1),
             "assert(rawequal(..., made) and tostring(made):find 'Deadl')");
  state_run(L, "local closed <close> = ctx.root() do local also <close> = ctx.root() end\n"
               "assert(not closed:done())\n");
  ctx_release(c);
  close_all(L, root, e);
}

/* The state has handles for these, which are neither another's nor made twice. */
static void check_roots(lua_State *L)
{
  state_run(L, "background, todo = ctx.background(), ctx.todo()");
  ctx_context *todo = state_take(L, "todo"), *background = state_take(L, "background");
  CHECK(background == ctx_engine_background(ctx_engine_of(background)));
  CHECK(todo == ctx_engine_todo(ctx_engine_of(background)));
  state_give(L, background, "assert(rawequal(..., ctx.background()))");
  state_give(L, todo, "assert(rawequal(..., ctx.todo()) and tostring(...) == 'context.TODO')");
  ctx_release(background);
  ctx_release(todo);
}

TEST(pushes_roots)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(NULL);
  check_roots(L);
  lua_close(L);
  L = state_open(root);
  check_roots(L);
  close_all(L, root, e);
}

TEST(outlives)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(root);
  state_run(L, "local key = {}\n"
               "c = ctx.root():with_value('user', 'me'):with_value(key, key)\n"
               "c = c:with_timeout(100):with_value(1.0, 2.5):with_value(true, false)\n"
               "get = function(c) return c:value(key) == key, c:value 'user' end\n"
               "weak = setmetatable({c, key}, {__mode = 'v'})\n");
  ctx_context *c = state_take(L, "c");
  state_run(L, "c = nil collectgarbage() collectgarbage() assert(weak[1] == nil)");
  state_give(L, c,
             "local c = ...\n"
             "assert(tostring(c) == 'context.Host')\n"
             "assert(select(2, get(c)) == 'me')\n"
             "assert(get(c), 'the very same table, under the very same key')\n"
             "assert(c:value(1) == 2.5 and c:value(true) == false and c:value(false) == nil)\n"
             "assert(c:with_value('user', nil):value 'user' == nil)\n");
  state_collect(L);
  on_thread(release_it, c);
  state_run(L, "get = nil ctx.sleep(0) collectgarbage() assert(weak[2] == nil)");
  close_all(L, root, e);
}

TEST(survives_its_state)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(root);
  state_run(L, "local _, cancel = ctx.root():with_cancel()\n"
               "c, stop = ctx.root():with_value('user', 'me'):with_value({}, 1):with_cancel()\n"
               "own = ctx.with_cancel(ctx.without_cancel(c)):with_value('more', 7)\n"
               "stop {'why'}\n");
  ctx_context *c = state_take(L, "c"), *own = state_take(L, "own");
  lua_close(L);
  CHECK(ctx_done(c));
  CHECK_STR(ctx_cause_text(ctx_cause_of(c), NULL), "table");
  CHECK_INT(ctx_cause_code(ctx_cause_of(c)), CTX_LUA_OTHER);
  L = state_open(root);
  state_give(L, c, "assert((...):cause() == 'table' and (...):value 'user' == 'me')");
  state_give(L, own, "assert((...):value 'more' == 7 and not (...):done())");
  on_thread(release_it, c);
  ctx_release(own);
  close_all(L, root, e);
}

/* ---- values ------------------------------------------------------------------- */

static const char user_key, none_key;

static void push_text(lua_State *L, void *value)
{
  lua_pushstring(L, value);
}

static void push_nothing(lua_State *L, void *value)
{
  (void)value;
  (void)L;
}

TEST(keys)
{
  static char user[] = "someone";
  ctx_engine *e = open_engine();
  ctx_context *root = ctx_with_value(ctx_engine_background(e), &user_key, user, NULL);
  lua_State *L = luaL_newstate();
  CHECK_INT(ctx_lua_set_key(L, "user", &user_key, push_text), LUA_ERRRUN);
  lua_close(L);
  L = state_open(root);
  CHECK_INT(ctx_lua_set_key(L, "user", &user_key, push_text), LUA_OK);
  CHECK_INT(ctx_lua_set_key(L, "odd", &user_key, push_nothing), LUA_OK);
  CHECK_INT(ctx_lua_set_key(L, "none", &none_key, push_text), LUA_OK);
  CHECK_INT(lua_gettop(L), 0);
  state_collect(L);
  state_run(L, "local c = ctx.root():with_cancel()\n"
               "assert(c:value 'user' == 'someone' and c:value 'none' == nil)\n"
               "assert(select('#', c:value 'odd') == 1 and c:value 'odd' == nil)\n"
               "local ok, err = pcall(c.with_value, c, 'user', 1)\n"
               "assert(not ok and err:find('the host keeps this key', 1, true), err)\n");
  close_all(L, root, e);
}

TEST(two_states)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *A = state_open(root), *B = state_open(root);
  state_run(A, "t = {}\n"
               "c = ctx.root()\n"
               "for k, v in pairs {s = 'a\\0b', i = math.mininteger, f = 0.1, t = true, o = t,\n"
               "  [1] = false, [2.5] = print, [true] = math.huge, [math.maxinteger] = ''} do\n"
               "  c = c:with_value(k, v)\n"
               "end\n"
               "c = c:with_value('nil', nil)\n");
  ctx_context *c = state_take(A, "c");
  state_give(
    B, c,
    "c = ...\n"
    "assert(c:value 's' == 'a\\0b' and c:value 'i' == math.mininteger)\n"
    "assert(c:value 'f' == 0.1 and c:value 't' == true and c:value 'o' == 'table')\n"
    "assert(c:value(1) == false and c:value(1.0) == false and c:value(2.5) == 'function')\n"
    "assert(c:value(true) == math.huge and c:value(math.maxinteger) == '')\n"
    "assert(c:value 'nil' == nil and c:value {} == nil and c:value '1' == nil)\n"
    "assert(math.type(c:value 'i') == 'integer')\n"
    "c = c:with_value('s', 'of B'):with_value('o', {})\n");
  ctx_context *below = state_take(B, "c");
  state_give(A, below,
             "assert((...):value 's' == 'of B' and (...):value 'o' == 'table')\n"
             "assert((...):value 'i' == math.mininteger and c:value 'o' == t)\n");
  lua_close(A);
  state_run(B, "assert(c:value 'i' == math.mininteger and c:value 's' == 'of B')");
  ctx_release(c);
  ctx_release(below);
  close_all(B, root, e);
}

/* ---- causes -------------------------------------------------------------------- */

TEST(causes)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *A = state_open(root), *B = state_open(root);
  static const char *const given[] = {"'a\\0b'",
                                      "7",
                                      "0.1",
                                      "0.1 + 0.2",
                                      "-0.0",
                                      "true",
                                      "false",
                                      "'7'",
                                      "math.huge",
                                      "ctx.CANCELED",
                                      "math.mininteger",
                                      "ctx.DEADLINE_EXCEEDED"};
  for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
    char script[256];
    snprintf(script, sizeof script, "c, cancel = ctx.with_cancel(ctx.root()) cancel(%s)", given[i]);
    state_run(A, script);
    ctx_context *c = state_take(A, "c");
    snprintf(script, sizeof script,
             "local cause, given = (...):cause(), %s\n"
             "assert(cause == given, tostring(cause))\n"
             "assert(math.type(cause) == math.type(given))\n",
             given[i]);
    state_give(B, c, script);
    state_run(A, "c, cancel = nil collectgarbage() collectgarbage()");
    state_give(A, c, script);
    ctx_release(c);
  }
  lua_close(A);
  close_all(B, root, e);
}

TEST(causes_at_home)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *A = state_open(root), *B = state_open(root);
  state_run(A, "why = {}\n"
               "local parent = ctx.root():with_timeout(0.001, why)\n"
               "early, cancel = parent:with_cancel()\n"
               "late = parent:with_cancel()\n");
  ctx_context *early = state_take(A, "early"), *late = state_take(A, "late");
  state_run(A, "cancel(why) assert(early:cause() == why)\n"
               "late:wait()\n"
               "early, late, cancel = nil\n"
               "collectgarbage() collectgarbage()\n");
  state_give(A, early, "assert((...):cause() == why)");
  state_give(A, late, "assert((...):err() == ctx.DEADLINE_EXCEEDED and (...):cause() == why)");
  state_give(B, late, "assert((...):cause() == 'table')");
  ctx_release(early);
  ctx_release(late);
  state_collect(B);
  state_run(A, "local weak = setmetatable({why}, {__mode = 'v'})\n"
               "why = nil collectgarbage() ctx.sleep(0) collectgarbage()\n"
               "assert(weak[1] == nil)\n");
  lua_close(A);
  close_all(B, root, e);
}

/* The data of a cause that C has made is nobody's business, whatever its code. */
TEST(foreign_causes)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(root);
  for (int code = CTX_LUA_STRING - 1; code <= CTX_LUA_OTHER + 1; code++) {
    ctx_context *c = ctx_with_cancel(root);
    ctx_cancel_cause(c, ctx_cause_new("text", 4, code, (void *)(uintptr_t)&code, NULL));
    bool is_text = code <= CTX_LUA_INTEGER || code >= CTX_LUA_OTHER;
    state_give(L, c, is_text ? "assert((...):cause() == 'text')" : "assert((...):cause() ~= nil)");
    ctx_release(c);
  }
  close_all(L, root, e);
}

/* ---- hooks --------------------------------------------------------------------- */

TEST(keeps_hooks)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(NULL);
  state_give(L, root,
             "ran = {}\n"
             "local function hook(c, n) c:on_done(function() ran[n] = true end) end\n"
             "hook(..., 1)\n"
             "hook((...):with_cancel():with_value(1, 1):with_timeout(1000), 2)\n"
             "local c = ctx.with_cancel(ctx.background())\n"
             "hook(c, 3)\n"
             "given = c\n"
             "hook(c:with_cancel(), 4)\n"
             "also = ctx.with_cancel(ctx.background())\n");
  ctx_context *given = state_take(L, "given"), *also = state_take(L, "also");
  state_run(L, "also:on_done(function() ran[5] = true end)\n"
               "ctx.with_cancel(ctx.background()):on_done(function() ran[6] = true end)\n"
               "given, also = nil\n"
               "collectgarbage() collectgarbage()\n"
               "ctx.yield() assert(next(ran) == nil)\n");
  on_thread(cancel_it, root);
  on_thread(cancel_it, given);
  ctx_cancel(also);
  state_run(L, "ctx.sleep(0.001)\n"
               "for i = 1, 5 do assert(ran[i], i) end\n"
               "assert(not ran[6])\n");
  ctx_release(given);
  ctx_release(also);
  close_all(L, root, e);
}

static void *cancel_later(void *c)
{
  ctx_wait(c, CTX_MS(20));
  ctx_cancel(c);
  return NULL;
}

TEST(waits_for_c)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(root);
  ctx__thread thread;
  if (!CHECK_INT(CTX__THREAD_START(&thread, cancel_later, root), 0)) return;
  state_run(L, "local ch = ctx.channel()\n"
               "ctx.root():go(function() ch:recv() end)\n"
               "assert(ctx.root():wait() == true)\n");
  CTX__THREAD_JOIN(&thread);
  close_all(L, root, e);
}

/* ---- closing ------------------------------------------------------------------- */

TEST(closing)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  for (int stopped = 0; stopped <= 1; stopped++) {
    lua_State *L = state_open(root);
    if (stopped) lua_gc(L, LUA_GCSTOP);
    state_run(L, "local root = ctx.root()\n"
                 "keep = setmetatable({}, {__gc = function()\n"
                 "  made = root:with_value('key', {}):with_timeout(100, {}):with_value({}, 1)\n"
                 "  assert(made:value 'key')\n"
                 "  made:on_done(print)\n"
                 "  without = root:with_cancel():with_timeout(100)\n"
                 "  local c, cancel = made:with_cancel() cancel {}\n"
                 "end})\n");
    lua_close(L);
  }
  ctx_release(root);
  close_engine(e);
}

/* ---- debug hooks ----------------------------------------------------------------- */

static int hook_calls;

static void count_call(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  hook_calls++;
  CHECK_INT(lua_gethookmask(L), LUA_MASKCALL);
}

/* sethook(thread or nil): counts what it calls, or not any more what the main thread does. */
static int set_hook(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  hook_calls = 0;
  lua_sethook(co, count_call, LUA_MASKCALL, 0);
  return 0;
}

/* The main thread waits in a coroutine of ctx.wrap: that is lent the hook. */
TEST(debug_hooks)
{
  lua_State *L = state_open(NULL);
  lua_register(L, "hook", set_hook);
  state_run(L, "local main = coroutine.running()\n"
               "ctx.wrap(function() hook(main) ctx.sleep(0.001) end)()\n");
  CHECK(hook_calls > 0);
  CHECK(lua_gethook(L) == count_call);
  lua_sethook(L, NULL, 0, 0);
  state_run(L,
            "local main = coroutine.running()\n"
            "ctx.wrap(function() hook(main) hook((coroutine.running())) ctx.sleep(0.001) end)()\n");
  CHECK(lua_gethook(L) == count_call);
  lua_close(L);
}

/* ---- limits --------------------------------------------------------------------- */

TEST(limits)
{
  ctx_engine *e = open_engine();
  ctx_context *root = root_of(e);
  lua_State *L = state_open(root);
  ctx_lua_limits limits = {.contexts = 10, .tasks = 5, .hooks = 3};
  CHECK_INT(ctx_lua_set_limits(L, &limits), LUA_OK);
  state_run(L, "local root, kept = ctx.root(), {}\n"
               "repeat\n" /* the root counts as well */
               "  local made, c = pcall(root.with_cancel, root)\n"
               "  kept[#kept + 1] = made and c or nil\n"
               "until not made\n"
               "assert(#kept == 9, #kept)\n"
               "local ok, err = pcall(root.with_cancel, root)\n"
               "assert(not ok and err:find('no more than 10 contexts at once', 1, true), err)\n"
               "assert(not pcall(root.with_timeout, root, 1, 'cause'))\n"
               "kept = nil\n" /* garbage: it is collected for the next */
               "for i = 1, 1000 do local c, cancel = root:with_timeout(100); cancel() end\n");
  state_run(L, "local root, tasks = ctx.root(), {}\n"
               "for i = 1, 5 do tasks[i] = root:async(function(c) c:sleep(0) end) end\n"
               "local ok, err = pcall(root.go, root, print)\n"
               "assert(not ok and err:find('no more than 5 tasks at once', 1, true), err)\n"
               "for i = 1, 5 do tasks[i]:join() end\n"
               "for i = 1, 100 do root:async(function() end):join() end\n");
  state_run(L, "local c, cancel = ctx.root():with_cancel()\n"
               "local stops = {}\n"
               "for i = 1, 3 do stops[i] = c:on_done(function() end) end\n"
               "local ok, err = pcall(c.on_done, c, print)\n"
               "assert(not ok and err:find('no more than 3 hooks', 1, true), err)\n"
               "assert(stops[1]())\n"
               "stops[1] = c:on_done(function() end)\n"
               "cancel()\n"
               "ctx.yield()\n"
               "for i = 1, 100 do assert(ctx.root():on_done(print)()) end\n");
  limits = (ctx_lua_limits){0};
  CHECK_INT(ctx_lua_set_limits(L, &limits), LUA_OK);
  state_run(L, "local kept = {}\n"
               "for i = 1, 100 do kept[i] = ctx.root():with_cancel() end\n");
  close_all(L, root, e);
  lua_State *plain = luaL_newstate();
  CHECK(ctx_lua_set_limits(plain, &limits) != LUA_OK);
  lua_close(plain);
}

static const struct test tests[] = {
  T(opens, "ctx.root() is what the host has given"),
  T(ends, "all waits of a script raise when its root has ended"),
  T(tells_an_end, "an error that says that a script was ended is known in C"),
  T(debug_hooks, "a debug hook on the main thread runs while that waits inside ctx.wrap"),
  T(limits, "a host limits what a script may have at once"),
  T(refuses, "what cannot be opened is refused with a clear text"),
  T(copies, "another copy of the library is refused"),
  T(pushes, "a context has one value in a state"),
  T(pushes_roots, "the roots of an engine are those of the script"),
  T(outlives, "F8 values and their keys stay with a context that only C holds"),
  T(survives_its_state, "a context outlives the state that has made it"),
  T(keys, "a script reads what the host keeps under a key of C"),
  T(two_states, "two states read each other's values"),
  T(causes, "E2 a scalar cause is the same in every state"),
  T(causes_at_home, "E2 any cause is the very same value in its own state"),
  T(foreign_causes, "a cause of C is its text, whatever its code and data"),
  T(keeps_hooks, "H7 a hook that C can make run is not collected"),
  T(waits_for_c, "a wait lasts while C could end it"),
  T(closing, "what a finalizer makes while the state closes is given back"),
};

int main(int argc, char **argv)
{
  return check_run("host", tests, sizeof tests / sizeof *tests, argc, argv);
}
