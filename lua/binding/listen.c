#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cancel.h"
#include "handle.h"
#include "listen.h"

enum { MOST = 64 };

static const char *const names[] = {"int",  "term", "hup",  "quit", "usr1", "usr2",
                                    "alrm", "chld", "cont", "pipe", "tstp", NULL};
static const int numbers[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1, SIGUSR2,
                              SIGALRM, SIGCHLD, SIGCONT, SIGPIPE, SIGTSTP};

static int read_name(lua_State *L, int arg)
{
  luaL_checktype(L, arg, LUA_TSTRING);
  const char *name = lua_tostring(L, arg);
  for (int i = 0; names[i] != NULL; i++) {
    if (strcmp(names[i], name) == 0) return numbers[i];
  }
  return luaL_argerror(
    L, arg,
    lua_pushfstring(L, "no signal '%s'; there are int, term, hup, quit, usr1, usr2, ...", name));
}

int listen_bind(lua_State *L)
{
  int signals[MOST], n = lua_gettop(L) - 1;
  struct handle *parent = handle_check_clock(L, 1);
  if (n < 1) luaL_checktype(L, 2, LUA_TSTRING);
  if (n > MOST) return luaL_error(L, "too many signals");
  for (int i = 0; i < n; i++) signals[i] = read_name(L, i + 2);
  struct handle *h = handle_push_new(L, HANDLE_SIGNAL, 1, HANDLE_EXTRA);
  ctx_context *c = ctx_notify_signals(parent->context, (size_t)n, signals);
  int failed = errno;
  if (c == NULL && failed != ENOMEM)
    return luaL_error(L, "cannot listen to signals: %s", strerror(failed));
  handle_fill(L, h, c);
  loop_of(L)->world->listens = true;
  return cancel_push_function(L);
}
