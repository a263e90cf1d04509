/*
 * wait - how a thread, or a poll, waits for the end of a context
 *
 * A thread hangs a sleeper on the context and sleeps on its word. On the monotonic clock
 * it wakes by itself at the deadline and when its time is over, and so needs no driver. On
 * another clock nobody can say when that is: there it looks from time to time.
 */
#include "platform.h"

#include "descriptor.h"
#include "driver.h"
#include "wait.h"

/* How often a clock that is not the kernel's is looked at. */
static const int64_t slice_ns = 5000000;

/* ---- a thread ------------------------------------------------------------ */

int64_t wait_next_look(const ctx_context *c, int64_t until_ns)
{
  int64_t deadline_ns = ctx_deadline(c);
  int64_t first_ns = deadline_ns < until_ns ? deadline_ns : until_ns;
  if (first_ns == CTX_NEVER || clock_is_monotonic(&c->engine->clock)) return first_ns;
  return clock_after(CTX__NOW(), slice_ns);
}

/* The word is read before the deadline is: it changes when that becomes earlier. */
static int sleep_until(ctx_context *c, const struct sleeper *s, int64_t until_ns)
{
  for (;;) {
    uint32_t seen = CTX__LOAD(&s->woken);
    int err = ctx_err(c);
    if (err != 0 || clock_now(&c->engine->clock) >= until_ns) return err;
    CTX__WAIT(&s->woken, seen, wait_next_look(c, until_ns));
  }
}

/* On what never ends nobody but who gives something wakes it. */
bool wait_lie_down(struct sleeper *s, ctx_context *c)
{
  ctx_context *end = context_ending(c);
  if (end != NULL) return hook_sleep(s, end);
  *s = (struct sleeper){.woken = 0};
  return true;
}

/* Takes the sleeper back: nobody else has it from here on. */
void wait_get_up(struct sleeper *s)
{
  uint32_t seen = CTX__LOAD(&s->woken);
  if (s->hook.context == NULL) return;
  bool stopped = (seen & 1) == 0 && hook_stop(&s->hook); /* race: it is just being woken */
  if (stopped) return;
  while (((seen = CTX__LOAD(&s->woken)) & 1) == 0) /* race: as above */
    CTX__WAIT(&s->woken, seen, INT64_MAX);
}

int ctx_wait(ctx_context *c, int64_t timeout_ns)
{
  int err = ctx_err(c);
  if (err != 0 || timeout_ns <= 0 || engine_is_dead(c->engine)) return err;
  int64_t until_ns = clock_after(clock_now(&c->engine->clock), timeout_ns);
  struct sleeper s;
  if (!wait_lie_down(&s, c)) return ctx_err(c); /* race: it ends meanwhile */
  err = sleep_until(c, &s, until_ns);
  wait_get_up(&s);
  return err;
}

/* ---- a poll --------------------------------------------------------------- */

/* The context whose descriptor is that of 'c': the one that ends, or what has no end of its own
 * and no other's. */
static ctx_context *descriptor_owner(ctx_context *c)
{
  if (context_ending(c) != NULL) return context_ending(c);
  while (c->node.kind == NODE_VALUE) c = context_of_node(c->node.parent);
  return c;
}

int ctx_fd(ctx_context *c)
{
  ctx_engine *e = c->engine;
  bool timed = CTX__FD_TIMED && clock_is_monotonic(&e->clock);
  bool by_driver = !timed && ctx_deadline(c) != CTX_NEVER;
  int refused = engine_is_dead(e) ? ECHILD : by_driver ? driver_start(e) : 0;
  if (refused != 0) {
    errno = refused;
    return -1;
  }
  (void)ctx_err(c); /* past its deadline it ends here */
  return descriptor_open(descriptor_owner(c));
}
