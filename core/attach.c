/*
 * attach - how a hook comes to a context
 *
 * A hook that only the driver can run, or bring to its end, needs one: so the engine's
 * thread is started here, before anything has changed.
 */
#include "platform.h"

#include "driver.h"
#include "hook.h"

static struct hook *inside(ctx_hook *h)
{
  return (struct hook *)(void *)h;
}

/* Whether nothing will come of the hook without a driver: an inline one runs on the thread that
 * cancels, and needs the driver for a deadline only. */
static bool needs_driver(const ctx_context *c, unsigned flags)
{
  return (flags & CTX_HOOK_INLINE) == 0 || ctx_deadline(c) != CTX_NEVER;
}

/* 0, or why a hook with these flags cannot be attached to 'c'. */
static int refuse(const ctx_context *c, ctx_hook_fn *f, unsigned flags)
{
  if (c == NULL || f == NULL || (flags & ~(unsigned)CTX_HOOK_INLINE) != 0) return EINVAL;
  return needs_driver(c, flags) ? driver_start(c->engine) : engine_accepts(c->engine);
}

void ctx_hook_init(ctx_hook *public, ctx_hook_fn *f, void *arg, unsigned flags)
{
  *inside(public) =
    (struct hook){.f = f, .arg = arg, .flags = (uint16_t)(flags > UINT16_MAX ? UINT16_MAX : flags)};
}

/* Attaches 'h', which holds its context. Answers as ctx_hook_attach. */
static int attach(struct hook *h)
{
  ctx_context *c = h->context, *end = context_ending(c);
  if (end == NULL) {
    CTX__STORE(&h->state, HOOK_ATTACHED);
    return 0;
  }
  if (ctx_err(c) == 0 && hook_hang(end, h)) return 0;
  if ((h->flags & CTX_HOOK_INLINE) == 0) return hook_queue(c->engine, h);
  hook_run_at_once(c->engine, h);
  return 0;
}

int ctx_hook_attach(ctx_hook *public, ctx_context *c)
{
  struct hook *h = inside(public);
  uint32_t state = CTX__LOAD(&h->state);
  bool busy = state == HOOK_ATTACHED || state == HOOK_STOPPING; /* race: a stop is under way */
  int refused = busy ? EINVAL : refuse(c, h->f, h->flags);
  if (refused != 0) return refused;
  ctx_engine *e = c->engine;
  h->context = ctx_retain(c);
  CTX__STORE(&h->engine, e);
  engine_count(e, COUNT_HOOKS, 1);
  refused = attach(h);
  if (refused == 0) return 0; /* race: the engine is closed after it was asked */
  engine_count(e, COUNT_HOOKS, -1);
  ctx_release(c);
  return refused;
}

bool ctx_hook_stop(ctx_hook *h)
{
  return hook_stop(inside(h));
}

/* Waits while the function runs. True: it has attached its hook again. A hook begins to run in
 * the section in which it ceases to be attached: so it is nowhere between the two. */
static bool attached_again(ctx_engine *e, const struct hook *h)
{
  engine_lock(e);
  engine_await_call_locked(e, h);
  bool attached = CTX__LOAD(&h->state) == HOOK_ATTACHED;
  engine_unlock(e);
  return attached;
}

bool ctx_hook_stop_wait(ctx_hook *public)
{
  struct hook *h = inside(public);
  bool stopped = hook_stop(h);
  ctx_engine *e = CTX__LOAD(&h->engine);
  if (e == NULL || engine_is_dead(e) || engine_calling(NULL)) return stopped;
  while (attached_again(e, h)) stopped |= hook_stop(h);
  return stopped;
}

/* ---- hooks on the heap ------------------------------------------------ */

ctx_hook *ctx_after_func(ctx_context *c, ctx_hook_fn *f, void *arg, unsigned flags)
{
  int refused = refuse(c, f, flags);
  if (refused != 0) {
    errno = refused;
    return NULL;
  }
  ctx_engine *e = c->engine;
  struct heap_hook *h = engine_alloc(e, sizeof *h);
  if (h == NULL) return NULL;
  ctx_hook *public = (ctx_hook *)(void *)h;
  ctx_hook_init(public, f, arg, flags);
  h->hook.refs = 2; /* the caller's, and its own until it has run or been stopped */
  h->home = e;
  ctx_retain(e->background);
  refused = ctx_hook_attach(public, c);
  if (refused == 0) return public; /* race: as above */
  h->hook.refs = 1;
  hook_unref(h);
  errno = refused;
  return NULL;
}

void ctx_hook_release(ctx_hook *public)
{
  if (public != NULL) hook_unref((struct heap_hook *)(void *)public);
}
