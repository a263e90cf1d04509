/*
 * report - who waits where, for the texts of errors
 *
 * Knows wait.h, stack.h.
 */
#ifndef CTX_BINDING_REPORT_H
#define CTX_BINDING_REPORT_H

#include "wait.h"

/* Pushes a line for each task of 'w' that has not ended, but for the current one, and one for
 * the main thread when that waits. How many tasks. */
size_t report_push(lua_State *L, struct world *w);

/* Pushes the name of the task 'w', whose userdata lies at 'index'. */
void report_push_name(lua_State *L, int index, const struct waiter *w);

#endif
