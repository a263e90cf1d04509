/*
 * ctx_lua - contexts between C and the Lua states of a host
 *
 * A host links the module for Lua with its own libctx, and gives each of its states a
 * context, its root: the script there is to end when that does.
 *
 *     lua_State *L = luaL_newstate();
 *     luaL_openlibs(L);
 *     int status = ctx_lua_open(L, request);
 *     if (status == LUA_OK) status = luaL_dofile(L, "handler.lua"); // local ctx = require "ctx"
 *     if (status != LUA_OK && ctx_lua_err(L, -1) == 0) complain(luaL_tolstring(L, -1, NULL));
 *     lua_close(L);
 *
 * When the root ends, the waits of the main thread that name no context (ctx.sleep, ch:recv)
 * raise its err. A wait that names one (c:sleep, c:wait) looks at that alone, and answers;
 * one on ctx.background() goes on. A script that computes asks c:check() now and then. Tasks
 * run while something waits: ctx.run(function(root) ... end) joins them all, also after
 * the end; those that are left when the state closes are dropped, with a warning (lua_warning).
 *
 * What holds for every function here:
 *
 *   state     A Lua state is used by one thread at a time, as Lua has it. Contexts are
 *             of any thread: other states may have the same ones, and C may end them
 *             at any time, also while the script waits.
 *   engines   Contexts may be of any engine on the monotonic clock. Children that a
 *             script makes live in the engine of their parent. For its sleeps and limits
 *             each state has an engine of its own, without a thread. Without a root that is
 *             where the contexts of a script live: then hooks of C there, which are not inline,
 *             run only while that script waits, up to a second late; and once the state is
 *             closed nobody else can wait for those contexts. What is to be shared had better
 *             live below a root. c:on_done of a deadline needs who drives its engine, as all
 *             hooks do; a wait does not.
 *   errors    ctx_lua_open, ctx_lua_set_key and ctx_lua_err raise nothing, and may be
 *             called from anywhere; the first two answer as lua_pcall does. The others
 *             raise, and are for functions that Lua has called.
 *   copies    All copies of this library in a process are strangers to each other: a
 *             state belongs to the copy that was there first, and takes contexts of
 *             that copy only. What has another one is refused.
 *
 * Values. What a script puts into a context (with_value) is read by each state that
 * comes to see it: strings, numbers and booleans by copy, under keys that are such; of
 * all else a stranger sees the name of the type, and in its own state it is the very
 * same value, for as long as the context lives. A value that refers to its own
 * context keeps both until the state closes, once that context has been given to C.
 *
 * Causes. C sees the cause that a script has given as a text and one of the codes
 * below; its data is not for use. The cause that C gives is its text in Lua.
 */
#ifndef CTX_LUA_H
#define CTX_LUA_H

#include "ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lua_State lua_State;

/* The code of a cause that a script has given: what the text stands for. */
enum {
  CTX_LUA_STRING = 0x4c750001,
  CTX_LUA_INTEGER,
  CTX_LUA_FLOAT,
  CTX_LUA_FALSE, /* of the rest the text is for people */
  CTX_LUA_TRUE,
  CTX_LUA_CANCELED,
  CTX_LUA_DEADLINE_EXCEEDED,
  CTX_LUA_OTHER /* the text is the name of a type of Lua */
};

/* Of the functions below, as this header has them. */
enum { CTX__LUA_ABI = 1 };

CTX_API int ctx__lua_open(lua_State *L, ctx_context *root, const char *version, int abi);
CTX_API void ctx__lua_push(lua_State *L, ctx_context *c, const char *version);

/*
 * ctx_lua_open: makes require "ctx" in 'L' work with this copy of the module. There
 * ctx.root() is 'root', and on the main thread ctx.current() is, too; ctx.background() is
 * the background of its engine. A NULL root: as a plain require, for which the
 * state has roots of its own. To call it again with the same root changes nothing.
 *
 * The state needs the library 'package', and finds the files of the module that are
 * written in Lua (ctx.lua, ctx/...) by package.path.
 *
 *   owns     borrows 'L'; keeps a reference on 'root' until the state is closed
 *   fails    LUA_OK, or another status of Lua with a message on the stack: the clock of root's
 *            engine is not the monotonic one; 'L' has loaded the module already, without
 *            this root; it belongs to another copy; no 'package'; no memory
 *   threads  that of 'L'
 */
static inline int ctx_lua_open(lua_State *L, ctx_context *root)
{
  return ctx__lua_open(L, root, ctx_version(), CTX__LUA_ABI);
}

/*
 * ctx_lua_push: pushes 'c' as a value of Lua, nil for NULL: the one that this state has
 * for it already, as long as that is alive. The script can ask it, wait for it and make
 * children of it; it cannot end it.
 *
 *   owns     borrows 'c'; the value keeps a reference until it is collected
 *   fails    raises: 'c' is of another copy of this library; 'L' has not been opened, or
 *            closes; no memory
 *   threads  that of 'L'
 */
static inline void ctx_lua_push(lua_State *L, ctx_context *c)
{
  ctx__lua_push(L, c, ctx_version());
}

/*
 * ctx_lua_check: the context that is the argument 'arg' of a function that Lua has called.
 * ctx_lua_test: the same; NULL where the argument is something else.
 *
 *   owns     gives nothing: valid as long as the value is on the stack; ctx_retain keeps it
 *   fails    raises: there is no context (ctx_lua_check only); 'L' has not been opened, or
 *            closes; no memory
 *   threads  that of 'L'
 */
CTX_API ctx_context *ctx_lua_check(lua_State *L, int arg);
CTX_API ctx_context *ctx_lua_test(lua_State *L, int arg);

/*
 * ctx_lua_err: CTX_CANCELED or CTX_DEADLINE_EXCEEDED, where the value at 'index' is that error
 * of ctx: what a script raises that has been ended. 0: it is another value. Such an error is a
 * userdata: luaL_tolstring gives its text.
 */
CTX_API int ctx_lua_err(lua_State *L, int index);

/*
 * ctx_lua_set_key: from now on c:value(name) in 'L' is what C has put into c or above it
 * under the address 'key': given to 'push', which pushes one value for it. Where there is
 * none, or NULL, it is nil. Scripts of 'L' cannot put values under that name.
 *
 *   owns     borrows 'key' until the state is closed; 'name' is copied
 *   fails    as ctx_lua_open; 'push' may raise
 *   threads  that of 'L'
 */
typedef void ctx_lua_push_fn(lua_State *L, void *value);
CTX_API int ctx_lua_set_key(lua_State *L, const char *name, const void *key, ctx_lua_push_fn *push);

/* How many a script may have at once; 0: any number. */
typedef struct ctx_lua_limits {
  size_t contexts; /* that it has made or been given from now on, until they are collected */
  size_t tasks; /* that have not ended. A hook that runs is one, and is never kept from that: where
                      there are so many, none is registered */
  size_t hooks; /* of c:on_done, on contexts that live */
  size_t ctx__reserved[5];
} ctx_lua_limits;

/*
 * ctx_lua_set_limits: for scripts that are not trusted. Where a script asks for more, garbage is
 * collected, and if that does not help an error is raised that names the limit. Channels, groups and
 * the like are memory of Lua, which the state's allocator limits.
 *
 *   owns     borrows 'limits'
 *   fails    as ctx_lua_open
 *   threads  that of 'L'
 */
CTX_API int ctx_lua_set_limits(lua_State *L, const ctx_lua_limits *limits);

#ifdef __cplusplus
}
#endif

#endif
