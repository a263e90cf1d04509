#include "platform.h"

#include <string.h>

#include "key.h"

struct key {
  ctx__atomic refs; /* of a key with a name: falls to 0 under the lock only */
  char type;
  struct key *next; /* in its row; under the lock */
  uint64_t hash;
  size_t len;
  char bytes[];
};

enum { ROWS_FIRST = 64 };

/* Each key with a name lies in the row of its hash. The number of rows is a power of 2. */
static ctx__lock lock; /* guards the rest */
static struct key *first_rows[ROWS_FIRST];
static struct key **rows = first_rows;
static size_t row_count = ROWS_FIRST;
static size_t count;

/* ---- the table; its lock is held ---------------------------------------- */

/* The place that points to the key, or where it is to be put. */
static struct key **find_locked(const struct key_name *n, uint64_t hash)
{
  struct key **at = &rows[hash & (row_count - 1)];
  for (; *at != NULL; at = &(*at)->next) {
    const struct key *k = *at;
    if (k->hash == hash && k->type == n->type && k->len == n->len &&
        memcmp(k->bytes, n->bytes, n->len) == 0)
      break;
  }
  return at;
}

/* Moves all keys to 'more' rows, which are empty. Gives the old ones, when they are to be freed. */
static struct key **spread_locked(struct key **more, size_t more_count)
{
  struct key **old = rows;
  for (size_t i = 0; i < row_count; i++) {
    for (struct key *k = old[i], *next; k != NULL; k = next) {
      struct key **row = &more[k->hash & (more_count - 1)];
      next = k->next;
      k->next = *row;
      *row = k;
    }
    old[i] = NULL;
  }
  rows = more;
  row_count = more_count;
  return old != first_rows ? old : NULL;
}

/* Twice as many rows, once there are as many keys; without memory the rows get longer. */
static void grow(void)
{
  CTX__LOCK(&lock);
  size_t seen = row_count;
  bool full = count >= seen;
  CTX__UNLOCK(&lock);
  if (!full) return;
  size_t size = 2 * seen * sizeof(struct key *);
  struct key **more = CTX__ALLOC(size);
  if (more == NULL) return;
  memset(more, 0, size);
  CTX__LOCK(&lock);
  struct key **over =
    row_count == seen ? spread_locked(more, 2 * seen) : more; /* race: another has been faster */
  CTX__UNLOCK(&lock);
  CTX__FREE(over);
}

/* ---- names -------------------------------------------------------------- */

static uint64_t hash_of(const struct key_name *n)
{
  const unsigned char *bytes = n->bytes;
  uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (unsigned char)n->type;
  for (size_t i = 0; i < n->len; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 32;
}

/* A key that nobody else knows; 'n' is NULL: without a name. */
static struct key *make(const struct key_name *n, uint64_t hash)
{
  size_t len = n != NULL ? n->len : 0;
  if (len > SIZE_MAX - sizeof(struct key)) return NULL; /* never: no string of Lua is so long */
  struct key *k = CTX__ALLOC(sizeof *k + len);
  if (k == NULL) return NULL;
  *k = (struct key){.refs = 1, .hash = hash, .len = len};
  if (n == NULL) return k;
  k->type = n->type;
  if (len > 0) memcpy(k->bytes, n->bytes, len);
  return k;
}

static struct key *find(const struct key_name *n, uint64_t hash)
{
  CTX__LOCK(&lock);
  struct key *k = *find_locked(n, hash);
  if (k != NULL) CTX__ADD(&k->refs, 1);
  CTX__UNLOCK(&lock);
  return k;
}

struct key *key_intern(const struct key_name *n)
{
  uint64_t hash = hash_of(n);
  struct key *k = find(n, hash);
  if (k != NULL) return k;
  struct key *made = make(n, hash);
  if (made == NULL) return NULL;
  grow();
  CTX__LOCK(&lock);
  struct key **at = find_locked(n, hash);
  k = *at;
  if (k != NULL) { /* another thread was faster */
    CTX__ADD(&k->refs, 1);
  } else {
    *at = k = made;
    made = NULL;
    count++;
  }
  CTX__UNLOCK(&lock);
  CTX__FREE(made);
  return k;
}

struct key *key_new(void)
{
  return make(NULL, 0);
}

/* ---- references ----------------------------------------------------------- */

struct key *key_retain(struct key *k)
{
  CTX__ADD(&k->refs, 1);
  return k;
}

/* The last reference on a key with a name goes under the lock, so that nobody finds it then. */
static bool release_named(struct key *k)
{
  uint32_t refs = CTX__LOAD_RELAXED(&k->refs);
  while (refs > 1) {
    if (CTX__CAS(&k->refs, &refs, refs - 1)) return false;
  }
  CTX__LOCK(&lock);
  bool last = CTX__SUB_RELEASE(&k->refs, 1) == 1;
  if (last) {
    struct key **at = &rows[k->hash & (row_count - 1)];
    while (*at != k) at = &(*at)->next;
    *at = k->next;
    count--;
  }
  struct key **over =
    count == 0 && rows != first_rows ? spread_locked(first_rows, ROWS_FIRST) : NULL;
  CTX__UNLOCK(&lock);
  CTX__FREE(over);
  return last;
}

void key_release(struct key *k)
{
  if (k == NULL) return;
  bool last = k->type != 0 ? release_named(k) : CTX__SUB_RELEASE(&k->refs, 1) == 1;
  if (last) CTX__FREE(k);
}

size_t key_count(void)
{
  CTX__LOCK(&lock);
  size_t n = count;
  CTX__UNLOCK(&lock);
  return n;
}
