/*
 * wait_fd - waits for descriptors
 *
 * A descriptor is a number, or an object that answers with one: by pollfd(), as those of cqueues do, or
 * by getfd(), as those of LuaSocket. An object is asked at each look, because it may have been
 * closed.
 *
 * Knows poller.h, limit.h, cancel.h, error.h.
 */
#ifndef CTX_BINDING_WAIT_FD_H
#define CTX_BINDING_WAIT_FD_H

#include <lauxlib.h>

/* c:wait_fd(x, mode [, limit]) -> true; false: the limit; nil, err: c is done; nil, "closed" */
int wait_fd_bind(lua_State *L);

/* core.closing_fd(x): it is about to be closed; wakes who waits for it. */
int wait_fd_closing(lua_State *L);

#endif
