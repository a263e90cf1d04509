/*
 * stack - who is on a Lua stack, for the texts of errors
 */
#ifndef CTX_BINDING_STACK_H
#define CTX_BINDING_STACK_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* Pushes "file:line" of the innermost Lua function on the stack of 'co', or "?"; past those
 * of the same file where the innermost is one of a library, whose caller is to be named. */
void stack_push_place(lua_State *L, lua_State *co, bool in_library);

/* Where the function in C that runs was called: the same, without asking for memory. */
struct stack_site {
  char file[LUA_IDSIZE];
  int line; /* 0: no Lua function is running */
};
void stack_find_site(lua_State *L, struct stack_site *s);

/* Its text; the text of what stack_find_site finds. */
enum { STACK_SITE = LUA_IDSIZE + 16 };
void stack_print_site(const struct stack_site *s, char text[STACK_SITE]);
void stack_write_site(lua_State *L, char text[STACK_SITE]);

/* Pushes the name of the innermost C function that called out, as the loaded modules
 * know it ("table.sort"), or a word for it: what keeps the caller from yielding. */
void stack_push_barrier(lua_State *L);

#endif
