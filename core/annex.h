/*
 * annex - what a context gets only when somebody asks: a descriptor, a name, a number
 *
 * A block of its own, which lies first among the context's hooks and stays there for life;
 * the context's mark says so. So a context that nobody asks is not a byte larger. In an
 * engine that tracks its contexts each gets one at its birth, and they are strung together.
 *
 * Knows context.h.
 */
#ifndef CTX_ANNEX_H
#define CTX_ANNEX_H

#include "platform.h"

#include "context.h"

struct annex {
  struct list_link link; /* in the context's hooks, before all others */
  ctx_context *context;  /* whose it is; fixed */

  /* Under the node's lock: */
  char *name;           /* a block of its own, or NULL */
  const char *end_site; /* where the end of the context was asked for, or NULL */
  uint64_t id;          /* 0: not asked for yet */
  ctx__fd fd;           /* see descriptor.h; */
  uint32_t process;     /* CTX__PROCESS() when it was opened; 0: it has not been */

  /* Of a tracked one, fixed at birth: */
  struct list_link tracked; /* in the engine's list; under its lock */
  char *site;               /* where it was made: a block of its own, or NULL */
  int64_t born_ns;          /* ANNEX_UNTRACKED: not known */
};

#define ANNEX_UNTRACKED INT64_MIN

/* The annex of 'c', or NULL; with its node's lock, or where nobody else knows 'c'. */
struct annex *annex_of(const ctx_context *c);

/* The same without the lock, made when there is none. NULL with errno: there is no memory. */
struct annex *annex_make(ctx_context *c);

/* Keeps, and gives, where the end of 'c', which is done, was asked for; NULL: it is not known. */
void annex_keep_site_locked(ctx_context *c, const char *site);
const char *annex_site_locked(const ctx_context *c);

/* Makes that of 'c', which nobody knows yet and which is to be tracked, and takes the site that
 * was set for it. False: there is no memory. */
bool annex_track(ctx_context *c);

/* Puts 'c', of which all is in its place now, among those that are tracked, if it is one. */
void annex_publish(ctx_context *c);

/* Takes 'c', which nobody holds, out of those that are tracked again: before it leaves the node it
 * hangs on, and holds nothing above it any more, because who finds 'c' among them looks there. */
void annex_unpublish(ctx_context *c);

/* Frees the annex, if any, of a context that nobody knows any more; its descriptor is closed. */
void annex_drop(ctx_context *c);

#endif
