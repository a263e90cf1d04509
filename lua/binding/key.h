/*
 * key - the address under which C keeps the values of a Lua key
 *
 * What is equal in every Lua state (a string, a number, a boolean) has one key in the whole
 * process, found by its name, so that states read each other's values. Everything else has
 * a key of its own state alone, without a name.
 *
 * A key lives as long as it is held: by each value context that uses it, and by each state
 * that has looked it up. So its address stands for no other key while it can be compared.
 *
 * Knows platform.h. Any thread; one lock for all names of the process.
 */
#ifndef CTX_BINDING_KEY_H
#define CTX_BINDING_KEY_H

#include <stddef.h>

struct key;

/* What a key is found by: its type and its bytes. */
struct key_name {
  char type;
  const void *bytes;
  size_t len;
};

/* A key without a name. NULL: there is no memory. */
struct key *key_new(void);

/* The key of that name, made when there is none. NULL: there is no memory. */
struct key *key_intern(const struct key_name *name);

/* One reference more, one less; both functions above give one. Releasing NULL does nothing. */
struct key *key_retain(struct key *k);
void key_release(struct key *k);

/* How many keys have names; for tests. */
size_t key_count(void);

#endif
