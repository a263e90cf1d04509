/*
 * option - bytes as options and times for the functions of the module
 *
 * option.lua calls each function with arguments that are odd in one place or two: it works, or
 * raises "bad argument #n to 'f'", and what is right does not raise. What a time has become is
 * compared here with the same in 128 bits.
 */
#include <math.h>

#include "state.h"

#ifdef __SIZEOF_FLOAT128__
typedef __float128 exact; /* of a double times 10^9, and more */
#else
typedef long double exact; /* of 128 bits, too, where there is no other */
#endif

static const int64_t ns_per_s = 1000000000;

/* What does not fit is the number nearest to it. */
static int64_t times(int64_t a, int64_t b)
{
  int64_t product;
  if (!__builtin_mul_overflow(a, b, &product)) return product;
  return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

static int64_t plus(int64_t a, int64_t b)
{
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? INT64_MAX : INT64_MIN;
}

static int64_t held_float(exact n)
{
  if (n >= (exact)INT64_MAX) return INT64_MAX;
  return n <= (exact)INT64_MIN ? INT64_MIN : (int64_t)n;
}

/*
 * The nanoseconds that a number of seconds may become: one, but where the product in double
 * is not exact. They are not fewer, but for a thousandth of one, and not one more.
 */
static void bounds(lua_State *L, int arg, int64_t *from_ns, int64_t *to_ns)
{
  if (lua_isinteger(L, arg)) {
    *from_ns = *to_ns = times(lua_tointeger(L, arg), ns_per_s);
    return;
  }
  if (isinf(lua_tonumber(L, arg))) {
    *from_ns = *to_ns = lua_tonumber(L, arg) > 0 ? INT64_MAX : INT64_MIN;
    return;
  }
  exact ns = (exact)lua_tonumber(L, arg) * (exact)ns_per_s;
  exact off = (ns < 0 ? -ns : ns) * 0x1p-52;
  exact least = ns - (exact)0.001L - off, most = least + 1 + 2 * off;
  *from_ns = held_float(least);
  if (*from_ns < least && *from_ns != INT64_MAX) ++*from_ns;
  *to_ns = held_float(most);
  if (*to_ns > most && *to_ns != INT64_MIN) --*to_ns;
  if (lua_tonumber(L, arg) > 0 && *from_ns < 1) *from_ns = 1;
  if (lua_tonumber(L, arg) > 0 && *to_ns < 1) *to_ns = 1;
}

/* check(context, x, b): the deadline of 'context' is x seconds from now, or, where b is false, is x. */
static int check(lua_State *L)
{
  int64_t from_ns, to_ns;
  ctx_context *c = ctx_lua_check(L, 1);
  int64_t now_ns = lua_toboolean(L, 3) ? ctx_engine_now(ctx_engine_of(c)) : 0;
  int64_t deadline_ns = ctx_deadline(c);
  bounds(L, 2, &from_ns, &to_ns);
  from_ns = plus(from_ns, now_ns);
  to_ns = plus(to_ns, now_ns);
  if (deadline_ns < from_ns || deadline_ns > to_ns)
    return luaL_error(L, "%I ns where %I to %I are meant", (LUAI_UACINT)deadline_ns,
                      (LUAI_UACINT)from_ns, (LUAI_UACINT)to_ns);
  return 0;
}

static const luaL_Reg functions[] = {{"check", check}, {NULL, NULL}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
  struct bytes b = {bytes, size};
  lua_State *L = state_open(NULL);
  state_load(L, "spec/fuzz/option.lua", &b);
  luaL_setfuncs(L, functions, 0);
  int status = lua_pcall(L, 1, 0, 0);
  EXPECT(status == LUA_OK, "%s", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return 0;
}
