/*
 * module - a state that has loaded the module is closed
 *
 * Lua closes the module's file with the state. It stays in memory: a fork, the end of a
 * thread, and the next state all go into code of it.
 */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const char script[] =
  "local ctx = require 'ctx'\n"
  "local c = ctx.with_timeout(ctx.background(), 3600):with_value('key', {})\n"
  "c:on_done(function() end)\n"
  "c:go(function() c:sleep(3600) end)\n"
  "assert(not ctx.with_timeout(c, 3600):wait(0.0001))\n"
  "file = package.searchpath('ctx.core', package.cpath)\n";

static char file[4096]; /* of the module */

/* Loads the module into a state of its own, works with it and closes it. */
static bool load_and_close(void)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  int status = luaL_dostring(L, script);
  bool ok = CHECK_STR(status == LUA_OK ? "" : lua_tostring(L, -1), "");
  lua_getglobal(L, "file");
  if (lua_isstring(L, -1)) snprintf(file, sizeof file, "%s", lua_tostring(L, -1));
  lua_close(L);
  return ok;
}

static void *in_thread(void *arg)
{
  *(bool *)arg = load_and_close();
  return NULL;
}

static bool is_loaded(void)
{
  void *handle = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
  if (handle != NULL) dlclose(handle);
  return handle != NULL;
}

TEST(stays)
{
  for (int i = 0; i < 100; i++) {
    if (!load_and_close() || !CHECK(is_loaded())) break;
  }
}

TEST(threads_end)
{
  for (int i = 0; i < 100; i++) {
    pthread_t t;
    bool ok = false;
    if (!CHECK(pthread_create(&t, NULL, in_thread, &ok) == 0)) break;
    pthread_join(t, NULL);
    if (!ok) break;
  }
}

TEST(forks)
{
  for (int i = 0; i < 100; i++) {
    int status = 1;
    pid_t child = fork();
    if (child == 0) _exit(!load_and_close());
    CHECK(waitpid(child, &status, 0) == child);
    if (!CHECK_INT(status, 0)) break;
  }
}

static const struct test tests[] = {
  T(stays, "the module stays in memory when the state that has loaded it is closed"),
  T(threads_end, "a thread ends whose state had the module"),
  T(forks, "a process forks that had a state with the module, and so can its child have one"),
};

int main(int argc, char **argv)
{
  return check_run("module", tests, sizeof tests / sizeof *tests, argc, argv);
}
