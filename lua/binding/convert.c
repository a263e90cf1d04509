#include <math.h>
#include <stdbool.h>

#include "convert.h"
#include "ctx.h"

static const int64_t ns_per_s = 1000000000;
static const int64_t years_20 = (int64_t)(20 * 365.25 * 86400) * 1000000000;

const char convert_parentheses[] =
  "with_cancel returns two values: put the call in parentheses to pass one";

static int64_t from_integer(lua_Integer s)
{
  if (s > INT64_MAX / ns_per_s) return INT64_MAX;
  if (s < INT64_MIN / ns_per_s) return INT64_MIN;
  return s * ns_per_s;
}

/* Rounds up, so that nothing is early; but for a thousandth of a nanosecond, which is what
 * decimal fractions like 4.3 carry too much. */
static int64_t from_float(double s)
{
  double ns = ceil(s * 1e9 - 1e-3);
  if (s > 0 && ns < 1) return 1;
  if (ns >= 0x1p63) return INT64_MAX;
  if (ns <= -0x1p63) return INT64_MIN;
  return (int64_t)ns;
}

int64_t convert_timeout(lua_State *L, int arg)
{
  if (lua_type(L, arg) != LUA_TNUMBER) {
    if (!lua_isfunction(L, arg)) return luaL_typeerror(L, arg, "number");
    return luaL_argerror(
      L, arg, lua_pushfstring(L, "number expected, got function; %s", convert_parentheses));
  }
  int whole;
  lua_Integer seconds = lua_tointegerx(L, arg, &whole);
  if (whole) return from_integer(seconds);
  double s = lua_tonumber(L, arg);
  if (isnan(s)) return luaL_argerror(L, arg, "a time cannot be NaN");
  return from_float(s);
}

int64_t convert_instant(lua_State *L, int arg, int64_t now_ns)
{
  int64_t ns = convert_timeout(L, arg);
  bool never = lua_tonumber(L, arg) == HUGE_VAL;
  if (!never && ns > now_ns && (uint64_t)ns - (uint64_t)now_ns > (uint64_t)years_20) {
    return luaL_argerror(L, arg,
                         "more than 20 years ahead; an instant is on the clock of ctx.now(): "
                         "ctx.wall(t) converts os.time()");
  }
  return ns;
}

void convert_push_seconds(lua_State *L, int64_t ns)
{
  lua_pushnumber(L, (lua_Number)ns / 1e9);
}
