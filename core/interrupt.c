#include "platform.h"

#include "interrupt.h"

enum { ASKING_OVER = 1 << 30 };

/* False: the engine closes. */
static bool enter(ctx_engine *e)
{
  uint32_t asking = CTX__LOAD(&e->asking);
  while (asking < ASKING_OVER) {
    if (CTX__CAS(&e->asking, &asking, asking + 1)) return true; /* race: for the word */
  }
  return false;
}

static void leave(ctx_engine *e)
{
  uint32_t before = CTX__SUB_RELEASE(&e->asking, 1);
  if (before == ASKING_OVER + 1) CTX__WAKE_FROM_SIGNAL(&e->asking); /* race: with the close */
}

void interrupt_close(ctx_engine *e)
{
  uint32_t asking = CTX__LOAD(&e->asking);
  while (!CTX__CAS(&e->asking, &asking, asking + ASKING_OVER)) continue; /* race: for the word */
  while ((asking = CTX__LOAD(&e->asking)) != ASKING_OVER)                /* race: with who asks */
    CTX__WAIT(&e->asking, asking, INT64_MAX);
}

static bool has_driver(ctx_engine *e)
{
  return e->driver != CTX_DRIVER_THREAD || CTX__LOAD(&e->thread_is) == THREAD_RUNS;
}

/* Puts 'c', with a reference, into a free place, unless it lies in one. False: all are taken. */
static bool put(ctx_engine *e, ctx_context *c)
{
  node_retain(&c->node);
  for (int i = 0; i < SIGNALED_MAX; i++) {
    ctx_context *in = CTX__LOAD(&e->signaled[i]);
    if (in == NULL && CTX__CAS(&e->signaled[i], &in, c)) return true; /* race: for the place */
    if (in != c) continue;
    node_release_held(&c->node);
    return true;
  }
  node_release_held(&c->node);
  return false;
}

ctx_context *interrupt_take(ctx_engine *e)
{
  if (CTX__LOAD(&e->signals) == 0) return NULL;
  for (int i = 0; i < SIGNALED_MAX; i++) {
    if (CTX__LOAD(&e->signaled[i]) != NULL) return CTX__EXCHANGE(&e->signaled[i], NULL);
  }
  /* All places are free. Who fills one now sets the word again, or is seen by a second look. */
  CTX__EXCHANGE(&e->signals, 0);
  for (int i = 0; i < SIGNALED_MAX; i++) {
    if (CTX__LOAD(&e->signaled[i]) != NULL) CTX__STORE(&e->signals, 1); /* race: see above */
  }
  return NULL;
}

bool ctx_cancel_from_signal(ctx_context *c)
{
  ctx_context *end = context_ending(c);
  if (end != c || state_is_done(context_state(c))) return false;
  ctx_engine *e = c->engine;
  if (engine_is_dead(e) || !enter(e)) return false;
  bool asked = has_driver(e) && put(e, c);
  if (asked) {
    CTX__EXCHANGE(&e->signals, 1);
    engine_wake_from_signal(e);
  }
  leave(e);
  return asked;
}
