/*
 * convert - times, from Lua to C and back
 *
 * Lua's only unit is the second, as an integer or a float; C's the nanosecond.
 */
#ifndef CTX_BINDING_CONVERT_H
#define CTX_BINDING_CONVERT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

/* The nanoseconds of the seconds at 'arg', held at both ends of the range: math.huge and
 * what is too large is CTX_NEVER. Raises for other types, numeric strings too, and NaN. */
int64_t convert_timeout(lua_State *L, int arg);

/* The same for an instant; raises when that is finite and more than 20 years after 'now_ns',
 * as os.time() is. */
int64_t convert_instant(lua_State *L, int arg, int64_t now_ns);

/* Pushes 'ns' as seconds. */
void convert_push_seconds(lua_State *L, int64_t ns);

/* The hint for a function where a value was meant: the tail of f(p:with_cancel()). */
extern const char convert_parentheses[];

#endif
