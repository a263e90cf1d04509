/*
 * semaphore - so many tokens, and the threads that wait for some
 *
 * First come, first served: a small request waits behind a large one. Who waits lies on his own
 * stack, in the queue and on his context; what is released is given to the first in the
 * queue before he wakes.
 *
 * Always true: the first in the queue wants more than is free. A request for more than there is
 * at all stands in no queue. The lock of a semaphore comes after all others.
 */
#include "platform.h"

#include "list.h"
#include "wait.h"

struct ctx_semaphore {
  int64_t total;  /* fixed at birth */
  ctx__lock lock; /* guards the rest */
  int64_t held;
  struct list queue; /* of those who wait */
};

struct waiter {
  struct sleeper sleeper;
  struct list_link link; /* in the queue */
  int64_t tokens;
  bool given; /* it has them; under the lock, under which it is woken */
};

ctx_semaphore *ctx_semaphore_open(int64_t n)
{
  ctx_semaphore *s = n > 0 ? CTX__ALLOC(sizeof *s) : NULL;
  if (s == NULL) {
    errno = n > 0 ? ENOMEM : EINVAL;
    return NULL;
  }
  *s = (ctx_semaphore){.total = n};
  return s;
}

void ctx_semaphore_close(ctx_semaphore *s)
{
  if (s != NULL) CTX__FREE(s);
}

/* ---- under the lock --------------------------------------------------------- */

static bool take_locked(ctx_semaphore *s, int64_t k)
{
  if (!list_empty(&s->queue) || k > s->total - s->held) return false;
  s->held += k;
  return true;
}

/* Gives those who stand first what is free. */
static void serve_locked(ctx_semaphore *s)
{
  while (!list_empty(&s->queue)) {
    struct waiter *w = LIST_ELEMENT(s->queue.first, struct waiter, link);
    if (w->tokens > s->total - s->held) return;
    s->held += w->tokens;
    list_remove(&s->queue, &w->link);
    w->given = true;
    CTX__ADD(&w->sleeper.woken, WAIT_GIVEN);
    CTX__WAKE(&w->sleeper.woken);
  }
}

/* ---- waiting ---------------------------------------------------------------- */

/* Takes the tokens, or stands in the queue. True: it has them. */
static bool enter(ctx_semaphore *s, struct waiter *w)
{
  CTX__LOCK(&s->lock);
  w->given = take_locked(s, w->tokens);
  if (!w->given && w->tokens <= s->total) list_append(&s->queue, &w->link); /* race: a release */
  bool given = w->given;
  CTX__UNLOCK(&s->lock);
  return given;
}

static bool is_given(ctx_semaphore *s, const struct waiter *w)
{
  CTX__LOCK(&s->lock);
  bool given = w->given;
  CTX__UNLOCK(&s->lock);
  return given;
}

/* Who gives up makes room for those behind. What was given before counts. */
static bool leave(ctx_semaphore *s, struct waiter *w)
{
  CTX__LOCK(&s->lock);
  bool given = w->given;
  if (list_linked(&w->link)) {
    list_remove(&s->queue, &w->link);
    serve_locked(s);
  }
  CTX__UNLOCK(&s->lock);
  return given;
}

static int sleep_in_queue(ctx_semaphore *s, struct waiter *w, ctx_context *c)
{
  for (;;) {
    uint32_t seen = CTX__LOAD(&w->sleeper.woken);
    int err = ctx_err(c);
    if (err != 0 || is_given(s, w)) return err;
    CTX__WAIT(&w->sleeper.woken, seen, wait_next_look(c, CTX_NEVER));
  }
}

int ctx_semaphore_acquire(ctx_semaphore *s, ctx_context *c, int64_t k)
{
  if (k < 1) return EINVAL;
  int err = ctx_err(c);
  if (err != 0 || ctx_semaphore_try_acquire(s, k)) return err;
  if (engine_is_dead(c->engine)) return ECHILD; /* nobody could end the wait */
  struct waiter w = {.tokens = k};
  if (!wait_lie_down(&w.sleeper, c)) return ctx_err(c); /* race: it ends now */
  if (!enter(s, &w)) err = sleep_in_queue(s, &w, c);    /* race: a release */
  if (leave(s, &w)) err = 0;
  wait_get_up(&w.sleeper);
  return err;
}

bool ctx_semaphore_try_acquire(ctx_semaphore *s, int64_t k)
{
  CTX__LOCK(&s->lock);
  bool taken = k >= 1 && take_locked(s, k);
  CTX__UNLOCK(&s->lock);
  return taken;
}

int ctx_semaphore_release(ctx_semaphore *s, int64_t k)
{
  CTX__LOCK(&s->lock);
  bool held = k >= 1 && k <= s->held;
  if (held) {
    s->held -= k;
    serve_locked(s);
  }
  CTX__UNLOCK(&s->lock);
  return held ? 0 : EINVAL;
}
