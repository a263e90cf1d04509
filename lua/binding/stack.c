#include <string.h>

#include "stack.h"

void stack_push_place(lua_State *L, lua_State *co, bool in_library)
{
  lua_Debug ar;
  const char *library = NULL;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    if (in_library && library == NULL) library = ar.source;
    if (library == NULL || strcmp(ar.source, library) != 0) {
      lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
      return;
    }
  }
  lua_pushliteral(L, "?");
}

/* Level 0 is the function in C itself. */
void stack_find_site(lua_State *L, struct stack_site *s)
{
  lua_Debug ar;
  *s->file = '\0';
  s->line = 0;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    memcpy(s->file, ar.short_src, strlen(ar.short_src) + 1);
    s->line = ar.currentline;
    return;
  }
}

/* "file:line", as snprintf would write it: that costs more than the cancel which asks for it. */
void stack_print_site(const struct stack_site *s, char text[STACK_SITE])
{
  char digits[3 * sizeof s->line];
  size_t length = strlen(s->file), n = 0; /* below LUA_IDSIZE */
  for (int line = s->line; line > 0; line /= 10) digits[n++] = (char)('0' + line % 10);
  memcpy(text, s->file, length);
  text += length;
  *text++ = n > 0 ? ':' : '?';
  while (n > 0) *text++ = digits[--n];
  *text = '\0';
}

void stack_write_site(lua_State *L, char text[STACK_SITE])
{
  struct stack_site s;
  stack_find_site(L, &s);
  stack_print_site(&s, text);
}

/* Looks for the function at 'function' among the fields of the table on top; pushes
 * "module.field" when it is there. The name of the module lies below that table. */
static int name_in_module(lua_State *L, int function)
{
  if (!lua_istable(L, -1)) return 0;
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, function)) continue;
    const char *module = lua_tostring(L, -4), *field = lua_tostring(L, -2);
    if (strcmp(module, "_G") == 0)
      lua_pushstring(L, field);
    else
      lua_pushfstring(L, "%s.%s", module, field);
    return 1;
  }
  return 0;
}

/* Puts the name of the function on top in its place, if a loaded module has it. */
static int name_function(lua_State *L)
{
  int function = lua_gettop(L);
  if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE) {
    for (lua_pushnil(L); lua_next(L, function + 1) != 0; lua_pop(L, 1)) {
      if (lua_type(L, -2) == LUA_TSTRING && name_in_module(L, function)) {
        lua_replace(L, function);
        lua_settop(L, function);
        return 1;
      }
    }
  }
  lua_settop(L, function - 1);
  return 0;
}

void stack_push_barrier(lua_State *L)
{
  lua_Debug ar;
  luaL_checkstack(L, 10, NULL);
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "S", &ar);
    if (strcmp(ar.what, "C") != 0) continue;
    lua_getinfo(L, "f", &ar);
    if (name_function(L)) return;
    break;
  }
  lua_pushliteral(L, "a C function or metamethod");
}
