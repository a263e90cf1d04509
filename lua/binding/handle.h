/*
 * handle - a context as userdata
 *
 * A handle holds one reference on its context, and in a user value the handle of
 * the parent, so that what lies in the handles above (values, causes, hooks) lives
 * as long as anybody below can ask for it. Collecting a handle releases its
 * context, and never cancels it.
 *
 * What C holds of the values and causes that lie there are links: see link.h.
 *
 * A context that the host has made has a handle of kind HANDLE_HOST, without a parent. There
 * is one handle for it at a time, found by the address of the context, as for those that
 * were given to C.
 *
 * Knows ctx.h, registry.h, loop.h, keep.h, wait.h, link.h, convert.h, error.h. cancel.h, value.h
 * and query.h stand on it.
 */
#ifndef CTX_BINDING_HANDLE_H
#define CTX_BINDING_HANDLE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "ctx.h"
#include "wait.h"

enum handle_kind { /* the order of 'kind_names' */
                   HANDLE_BACKGROUND,
                   HANDLE_TODO,
                   HANDLE_DETACHED,
                   HANDLE_HOST, /* from here on what may be ended, or show an end; */
                   HANDLE_VALUE,
                   HANDLE_CANCEL, /* from here on with an end of its own */
                   HANDLE_DEADLINE,
                   HANDLE_GRACE,
                   HANDLE_SIGNAL,
                   HANDLE_MERGE
};

struct handle {
  const void *cookie;
  ctx_context *context; /* a reference; NULL: not made yet, or finalized */
  enum handle_kind kind;
  unsigned depth;     /* greater than the parent's: no way upwards is a circle */
  bool is_shared;     /* its links are, and those of all above */
  bool was_canceled;  /* a cancel of it has returned: it is done */
  bool is_counted;    /* in the loop's contexts */
  bool is_held;       /* C may end the context, now or later */
  struct link *link;  /* of its value, or of the cause of its deadline; NULL: none. The context's;
                         until there is one, the handle's */
  struct link *given; /* of the cause that it was canceled with; the context's */
};

/* User values. PAYLOAD: the value of a value context, the cause of a deadline, the world of
 * a background, the handles of the further parents of a merge. */
enum { HANDLE_PARENT = 1, HANDLE_EXTRA, HANDLE_PAYLOAD, HANDLE_KEY };

/* What a handle's EXTRA table holds, when it has one. */
enum { EXTRA_CAUSE = 1, EXTRA_HOOKS, EXTRA_CHILDREN };

/* The handle at 'index', also a finalized one, or NULL. */
struct handle *handle_test(lua_State *L, int index);

/* The same; NULL also when it is finalized, as a script with the debug library can do. */
struct handle *handle_live(lua_State *L, int index);

/* The same for an argument; raises when it is none, or finalized. */
struct handle *handle_check(lua_State *L, int arg);

/* The same; raises also when its clock is not that of the world in front: for parents, and
 * for what is to be waited on. All engines on the monotonic clock are on one. */
struct handle *handle_check_clock(lua_State *L, int arg);

/* Raises "bad argument #arg to '...' (<expected> expected, got ...)", with a hint. */
int handle_type_error(lua_State *L, int arg, const char *expected);

/* Pushes the parent of the handle at 'index', which it gives, or nil. */
struct handle *handle_push_parent(lua_State *L, int index);

/* Pushes the EXTRA table of the handle at 'index', made when there is none. */
void handle_push_extra(lua_State *L, int index);

/* Pushes the background of the world in front; the root, which is what the host has given,
 * where the real world is in front, else that background; the context of the current
 * task, which on the main thread is the root. */
void handle_push_background(lua_State *L);
void handle_push_root(lua_State *L);
void handle_push_current(lua_State *L);

/* Pushes the handle of a context that comes from C: the same as long as one is alive. */
void handle_push_context(lua_State *L, ctx_context *c);

/* The context whose end the implied waits of 'w' watch; NULL: it never ends. Raises its
 * err when it is done. */
ctx_context *handle_implied(lua_State *L, struct waiter *w);

/* Pushes a handle without a context yet, with as many user values; 'parent' is the index of
 * the handle of its parent, or 0. */
struct handle *handle_push_new(lua_State *L, enum handle_kind kind, int parent, int values);

/* Puts 'c', just made, into the handle on top, which takes the reference. NULL: raises, there
 * is no memory. What lives on a virtual clock is remembered, for who looks for what a test
 * has left; and what Lua may not finalize any more, for who closes the state. */
void handle_fill(lua_State *L, struct handle *h, ctx_context *c);

/* Ends the context of 'h' without a cause; its origin is the line of Lua that runs. True: this was
 * the call. */
bool handle_end(lua_State *L, struct handle *h, ctx_origin_kind by);

extern const luaL_Reg handle_functions[]; /* ctx.background and the like */

/* core.describe(c) -> kind, parent, key, value; core.set_tostring(f): for texts. */
int handle_describe(lua_State *L);
int handle_set_tostring(lua_State *L);

/* core.live_contexts() -> sequence: what has not ended on a virtual clock; for tests. */
int handle_push_live(lua_State *L);

/* Makes the metatable, once per state, and pushes its table of methods. */
void handle_open(lua_State *L);

#endif
