/*
 * drive - runs what is ready, and waits for more
 *
 * Knows loop.h, keep.h, wait.h, report.h, mailbox.h.
 */
#ifndef CTX_BINDING_DRIVE_H
#define CTX_BINDING_DRIVE_H

#include <lua.h>

/*
 * drive: a C function for lua_pcall. Runs what is ready until the turn of the main
 * thread comes. Raises the failure of a task outside any run, "interrupted!" and
 * the like from a signal's debug hook, and, when nothing can happen any more, an error
 * that names who waits where.
 */
int drive(lua_State *L);

#endif
