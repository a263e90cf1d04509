rockspec_format = "3.0"
package = "ctx"
version = "scm-1"
source = {
  url = "git+https://github.com/ctx-lua/ctx.git",
}
description = {
  summary = "Cancellation, deadlines and values for trees of work",
  detailed = [[
    Contexts in the manner of Go: a C core with a cancel tree and a timer wheel,
    and over it a module with tasks, channels and select, on the real clock or
    on a virtual one.
  ]],
  license = "MIT",
  labels = { "concurrency", "coroutine", "cancellation", "timer" },
}
supported_platforms = { "unix" }
dependencies = {
  "lua >= 5.4, < 5.5",
}
build = {
  type = "make", -- so that the Makefile alone lists the files
  build_target = "module",
  install_target = "install-module",
  build_variables = {
    BUILD = "build/rock",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    BUILD = "build/rock",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    INST_LIBDIR = "$(LIBDIR)",
    INST_LUADIR = "$(LUADIR)",
  },
}
