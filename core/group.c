/*
 * group - functions on a host's threads that are waited for together, and end together
 *
 * The group counts who runs, and keeps the first error, which ends its context. Its places, where
 * their number has a limit, are a semaphore.
 *
 * Under the lock of a group no other is taken.
 */
#include "platform.h"

#include "wait.h"

struct ctx_group {
  ctx_context *context;  /* held; fixed at birth */
  ctx_semaphore *places; /* NULL: no limit; changed while nobody runs */
  ctx__lock lock;        /* guards the rest */
  size_t running;
  ctx_cause *cause;  /* of the first that has failed; owned; NULL: none has */
  ctx__atomic ended; /* grows when the last has ended; is waited on */
};

static int open_places(size_t limit, ctx_semaphore **places)
{
  *places = NULL;
  if (limit == 0) return 0;
  int64_t tokens = (int64_t)limit; /* negative where that is too much */
  *places = ctx_semaphore_open(tokens >= 0 ? tokens : INT64_MAX);
  return *places != NULL ? 0 : ENOMEM;
}

ctx_group *ctx_group_open(ctx_context *parent, size_t limit)
{
  ctx_context *c = ctx_with_cancel(parent);
  if (c == NULL) return NULL;
  ctx_group *g = CTX__ALLOC(sizeof *g);
  ctx_semaphore *places = NULL;
  if (g == NULL || open_places(limit, &places) != 0) {
    if (g != NULL) CTX__FREE(g);
    ctx_release(c);
    errno = ENOMEM;
    return NULL;
  }
  *g = (ctx_group){.context = c, .places = places};
  return g;
}

static size_t running(ctx_group *g)
{
  CTX__LOCK(&g->lock);
  size_t n = g->running;
  CTX__UNLOCK(&g->lock);
  return n;
}

int ctx_group_close(ctx_group *g)
{
  if (g == NULL) return 0;
  if (running(g) > 0) return EBUSY;
  ctx_cancel_at(g->context, NULL, CTX_ORIGIN_EXPLICIT, NULL);
  ctx_semaphore_close(g->places);
  ctx_cause_release(g->cause);
  ctx_release(g->context);
  CTX__FREE(g);
  return 0;
}

ctx_context *ctx_group_context(ctx_group *g)
{
  return g->context;
}

int ctx_group_set_limit(ctx_group *g, size_t limit)
{
  ctx_semaphore *places;
  if (running(g) > 0) return EBUSY;
  int failed = open_places(limit, &places);
  if (failed != 0) return failed;
  ctx_semaphore_close(g->places);
  g->places = places;
  return 0;
}

/* ---- members ---------------------------------------------------------------- */

static void count_in(ctx_group *g)
{
  CTX__LOCK(&g->lock);
  g->running++;
  CTX__UNLOCK(&g->lock);
}

int ctx_group_add(ctx_group *g)
{
  int err = ctx_err(g->context);
  if (err == 0 && g->places != NULL) err = ctx_semaphore_acquire(g->places, g->context, 1);
  if (err == 0) count_in(g);
  return err;
}

int ctx_group_try_add(ctx_group *g)
{
  int err = ctx_err(g->context);
  if (err == 0 && g->places != NULL && !ctx_semaphore_try_acquire(g->places, 1)) err = EAGAIN;
  if (err == 0) count_in(g);
  return err;
}

/* Keeps the first error. True: this is it. */
static bool keep(ctx_group *g, ctx_cause *cause)
{
  CTX__LOCK(&g->lock);
  bool first = g->cause == NULL;
  if (first) g->cause = cause;
  CTX__UNLOCK(&g->lock);
  return first;
}

/* After the last has been counted out the group may be gone. */
void ctx_group_done(ctx_group *g, ctx_cause *cause)
{
  if (cause != NULL && keep(g, cause))
    ctx_cancel_at(g->context, ctx_cause_retain(cause), CTX_ORIGIN_MEMBER, NULL);
  else
    ctx_cause_release(cause);
  if (g->places != NULL) ctx_semaphore_release(g->places, 1);
  CTX__LOCK(&g->lock);
  bool last = --g->running == 0;
  if (last) CTX__ADD(&g->ended, 1);
  CTX__UNLOCK(&g->lock);
  if (last) CTX__WAKE(&g->ended);
}

/* False: the time has passed. */
static bool join(ctx_group *g, int64_t until_ns)
{
  ctx_engine *e = g->context->engine;
  for (;;) {
    uint32_t seen = CTX__LOAD(&g->ended);
    if (running(g) == 0) return true;
    if (clock_now(&e->clock) >= until_ns) return false;
    CTX__WAIT(&g->ended, seen, wait_next_look(e->background, until_ns));
  }
}

int ctx_group_wait(ctx_group *g, int64_t timeout_ns, ctx_cause **cause)
{
  ctx_engine *e = g->context->engine;
  if (cause != NULL) *cause = NULL;
  int64_t until_ns = timeout_ns > 0 ? clock_after(clock_now(&e->clock), timeout_ns) : INT64_MIN;
  if (!join(g, until_ns)) return ETIMEDOUT;
  ctx_cancel_at(g->context, NULL, CTX_ORIGIN_EXPLICIT, NULL);
  CTX__LOCK(&g->lock);
  if (cause != NULL) *cause = g->cause;
  CTX__UNLOCK(&g->lock);
  return 0;
}
