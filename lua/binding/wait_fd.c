#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cancel.h"
#include "error.h"
#include "limit.h"
#include "wait_fd.h"

/* The arguments of c:wait_fd. */
enum { ARG_CONTEXT = 1, ARG_SUBJECT, ARG_MODES, ARG_LIMIT };

/* Pushes the method of the object at 'arg' that tells its descriptor. */
static bool push_method(lua_State *L, int arg)
{
  static const char *const names[] = {"pollfd", "getfd"};
  int type = lua_type(L, arg);
  if (type != LUA_TTABLE &&
      (type != LUA_TUSERDATA || luaL_getmetafield(L, arg, "__index") == LUA_TNIL))
    return false;
  if (type == LUA_TUSERDATA) lua_pop(L, 1);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (lua_getfield(L, arg, names[i]) == LUA_TFUNCTION) return true;
    lua_pop(L, 1);
  }
  return false;
}

static int refuse_subject(lua_State *L, int arg)
{
  return handle_type_error(L, arg, "a descriptor, or an object with pollfd() or getfd()");
}

/* What is at 'arg', as a descriptor; -1: the object has none any more. */
static int descriptor_of(lua_State *L, int arg)
{
  int is_integer = 0;
  lua_Integer fd;
  bool is_object = lua_type(L, arg) != LUA_TNUMBER;
  if (is_object) {
    if (!push_method(L, arg)) return refuse_subject(L, arg);
    lua_pushvalue(L, arg);
    lua_call(L, 1, 1);
    bool none = lua_isnil(L, -1);
    fd = lua_tointegerx(L, -1, &is_integer);
    lua_pop(L, 1);
    if (none || (is_integer && fd < 0)) return -1;
  } else {
    fd = lua_tointegerx(L, arg, &is_integer);
  }
  if (!is_integer || fd < 0 || fd > INT_MAX) return refuse_subject(L, arg);
  return (int)fd;
}

/* The modes at 'arg' become a number. */
static void check_modes(lua_State *L, int arg)
{
  static const char *const names[] = {"r", "w", "rw", "wr", NULL};
  static const unsigned modes[] = {POLL_READ, POLL_WRITE, POLL_READ | POLL_WRITE,
                                   POLL_READ | POLL_WRITE};
  const char *given = lua_type(L, arg) == LUA_TSTRING ? lua_tostring(L, arg) : NULL;
  for (int i = 0; given != NULL && names[i] != NULL; i++) {
    if (strcmp(given, names[i]) != 0) continue;
    lua_pushinteger(L, modes[i]);
    lua_replace(L, arg);
    return;
  }
  luaL_argerror(
    L, arg,
    lua_pushfstring(L, "\"r\", \"w\" or \"rw\" expected, got %s%s%s", given != NULL ? "\"" : "",
                    given != NULL ? given : luaL_typename(L, arg), given != NULL ? "\"" : ""));
}

static int push_closed(lua_State *L)
{
  lua_pushnil(L);
  lua_pushliteral(L, "closed");
  return 2;
}

static int push_boolean(lua_State *L, bool b)
{
  lua_pushboolean(L, b);
  return 1;
}

static int refuse_wait(lua_State *L, int fd)
{
  return luaL_error(L, "to wait for descriptor %d: %s", fd, strerror(errno));
}

static int wait_fd_again(lua_State *L, struct waiter *w);

/* The kernel has refused to watch 'fd'. */
static int give_up(lua_State *L, struct waiter *w, int fd)
{
  int error = errno;
  wait_let_go(w);
  errno = error;
  return error == EBADF ? push_closed(L) : refuse_wait(L, fd);
}

/* What wakes: the end of the context, the limit, the descriptor; that last, for what has been
 * counted as a poll must not raise any more. */
static int park(lua_State *L, struct handle *c, int fd)
{
  struct poller *p = loop_poller(L);
  unsigned modes = (unsigned)lua_tointeger(L, ARG_MODES);
  handle_check_clock(L, ARG_CONTEXT);
  struct watch_block *block = wait_push_block(L, 3);
  struct waiter *w = wait_begin(L, "wait_fd");
  wait_use_block(w, block);
  lua_settop(L, ARG_LIMIT);
  wait_for_context(L, w, c->context);
  limit_watch(L, ARG_LIMIT, w);
  struct list *row = poller_watch(p, fd, modes);
  if (row == NULL) return give_up(L, w, fd);
  wait_for_poll(L, w, row);
  return wait_park(L, w, wait_fd_again);
}

static int wait_fd_again(lua_State *L, struct waiter *w)
{
  (void)w;
  int fd = descriptor_of(L, ARG_SUBJECT); /* which may do anything */
  struct handle *c = handle_check(L, ARG_CONTEXT);
  int err = ctx_err(c->context);
  if (err != 0) {
    lua_pushnil(L);
    error_push(L, err);
    return 2;
  }
  int ready = fd < 0 ? -1 : poller_ready(fd, (unsigned)lua_tointeger(L, ARG_MODES));
  if (fd < 0 || (ready < 0 && errno == EBADF)) return push_closed(L);
  if (ready < 0) return refuse_wait(L, fd);
  if (ready > 0) return push_boolean(L, true);
  if (limit_is_over(L, ARG_LIMIT)) return push_boolean(L, false);
  return park(L, c, fd);
}

int wait_fd_bind(lua_State *L)
{
  handle_check(L, ARG_CONTEXT);
  luaL_checkany(L, ARG_SUBJECT);
  check_modes(L, ARG_MODES);
  limit_check(L, ARG_LIMIT);
  return wait_fd_again(L, NULL);
}

int wait_fd_closing(lua_State *L)
{
  int fd = descriptor_of(L, 1);
  struct loop *l = loop_of(L);
  if (l->poller != NULL) poller_closing(l->poller, fd, wait_wake_row);
  return 0;
}
