/*
 * link - what C holds of a Lua value
 *
 * The value of a value context, and the data of a cause, is a link. The Lua value itself
 * lies with a handle of the state that has made the context, the link's home, which finds
 * that handle by the address of the link (registry_remember). While nobody but its home can see the
 * context, whoever can ask for the value keeps that handle; then the link is an
 * address, and little more.
 *
 * Before a context is given to C, the links that can be seen from it are *shared*: the
 * Lua value is pinned at home, for the case that all handles go, and the link gets a copy of
 * it for other states: a scalar itself, of all else the name of its type.
 *
 *     the last context that sees it goes,    shared: post --> home: unpin, free
 *     on any thread --> link_drop            not shared, or home is closed: free
 *
 * Knows mailbox.h, key.h, registry.h, loop.h.
 */
#ifndef CTX_BINDING_LINK_H
#define CTX_BINDING_LINK_H

#include <lua.h>
#include <stdbool.h>

#include "loop.h"

struct key;
struct link;

/* A link that is not shared, and holds 'key', unless NULL. NULL: there is no memory. */
struct link *link_new(struct key *key);

/* For ctx_with_value and ctx_cause_new: the last that could ask for it has gone. Any thread. */
void link_drop(void *link);

/* Shares the link of this state that lies at 'place', unless that is NULL; its value lies at
 * 'value', and what lies at 'key', or 0, is kept as long. Once is enough. Raises where there is no
 * memory, or 'place' has become NULL meanwhile: the link is gone. */
void link_share(lua_State *L, struct link *const *place, int value, int key);

/* Pushes the value that is pinned in this state under the address 'link', which is compared
 * only. False: there is none, and nothing is pushed. */
bool link_push_pinned(lua_State *L, const void *link);

/* Pushes the copy for other states; of what is not shared, nil. */
void link_push_copy(lua_State *L, const struct link *link);

/* Makes the table of what is pinned, once per state. */
void link_open(lua_State *L);

#endif
