#include "platform.h"

#include "interrupt.h"

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
    if (in == NULL && CTX__CAS(&e->signaled[i], &in, c)) return true;
    if (in != c) continue;
    node_release(&c->node); /* not the last one: the caller has another */
    return true;
  }
  node_release(&c->node);
  return false;
}

/* Takes 'c' out again. False: somebody has done so. */
static bool withdraw(ctx_engine *e, ctx_context *c)
{
  for (int i = 0; i < SIGNALED_MAX; i++) {
    ctx_context *in = c;
    if (!CTX__CAS(&e->signaled[i], &in, NULL)) continue;
    node_release(&c->node); /* not the last one, as in put */
    return true;
  }
  return false;
}

/* Both this and the close change the word: so one of the two comes first, and is seen. */
static bool still_open(ctx_engine *e)
{
  uint32_t open = 0;
  return CTX__CAS(&e->closed, &open, 0);
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
    if (CTX__LOAD(&e->signaled[i]) != NULL) CTX__STORE(&e->signals, 1);
  }
  return NULL;
}

bool ctx_cancel_from_signal(ctx_context *c)
{
  ctx_context *end = context_ending(c);
  if (end != c || state_is_done(context_state(c))) return false;
  ctx_engine *e = c->engine;
  if (engine_accepts(e) != 0 || !has_driver(e) || !put(e, c)) return false;
  CTX__EXCHANGE(&e->signals, 1);
  if (!still_open(e) && withdraw(e, c)) return false; /* who closes has looked already */
  engine_wake_from_signal(e);
  return true;
}
