#include "platform.h"

#include "hook.h"

/* STOPPING: a stop has it, and is about to unlink it. */
enum hook_state { HOOK_IDLE, HOOK_ATTACHED, HOOK_STARTED, HOOK_STOPPING };

/* A hook that ctx_after_func made. Keeps the engine, whose memory it is, by its background. */
struct heap_hook {
  struct hook hook;
  ctx_engine *engine;
};

_Static_assert(sizeof(struct hook) <= sizeof(ctx_hook), "a ctx_hook has room for a hook");

static struct hook *inside(ctx_hook *h)
{
  return (struct hook *)(void *)h;
}

/* True: the caller has the hook now, and the reference that it holds. */
static bool take(struct hook *h, enum hook_state as)
{
  uint32_t expected = HOOK_ATTACHED;
  return CTX__CAS(&h->state, &expected, as);
}

/* One reference less on a hook on the heap. */
static void unref(struct hook *h)
{
  if (CTX__SUB_RELEASE(&h->refs, 1) != 1) return;
  ctx_engine *e = ((struct heap_hook *)(void *)h)->engine;
  engine_free(e, h, sizeof(struct heap_hook));
  ctx_release(e->background);
}

/*
 * What is left of a hook for who will start or drop it. It is copied before the hook is
 * taken: from then on ctx_hook_stop answers false, and the caller's memory may be gone.
 */
struct taken {
  ctx_context *context;
  ctx_hook_fn *f;
  void *arg;
  struct hook *on_heap; /* which keeps itself until it is let go; or NULL */
};

static struct taken copy(struct hook *h)
{
  bool on_heap = CTX__LOAD_RELAXED(&h->refs) != 0;
  return (struct taken){h->context, h->f, h->arg, on_heap ? h : NULL};
}

/* Gives up what a taken hook has held. */
static void let_go(const struct taken *t)
{
  if (t->on_heap != NULL) unref(t->on_heap);
  ctx_release(t->context);
}

/* ---- at the end of a context ------------------------------------------ */

void hook_batch_init(struct hook_batch *b, enum hook_runner runner)
{
  b->runner = runner;
  b->used = false;
  list_init(&b->run);
  list_init(&b->drop);
}

/* Where a hook goes when its context ends; under the engine's lock. */
static struct list *next_list(ctx_engine *e, const struct hook *h, struct hook_batch *b)
{
  if ((h->flags & CTX_HOOK_INLINE) != 0 && b->runner == HOOK_RUN_INLINE) return &b->run;
  return engine_accepts(e) == 0 ? &e->queue : &b->drop;
}

static void move(struct hook *h, struct list *to)
{
  list_append(to, &h->link);
  h->in = to;
}

/* To the end of the engine's queue; under its lock. */
static void enqueue_locked(ctx_engine *e, struct hook *h)
{
  move(h, &e->queue);
  e->queue_count++;
}

/* Out of the queue or batch that it lies in; under the engine's lock. */
static void unlink_locked(ctx_engine *e, struct hook *h)
{
  if (h->in == &e->queue) e->queue_count--;
  list_remove(h->in, &h->link);
}

void hook_collect_locked(ctx_context *c, struct hook_batch *b)
{
  if (list_empty(&c->hooks)) return;
  ctx_engine *e = c->engine;
  CTX__LOCK(&e->lock);
  struct list_link *k;
  while ((k = list_pop(&c->hooks)) != NULL) {
    struct hook *h = LIST_ELEMENT(k, struct hook, link);
    struct list *next = next_list(e, h, b);
    if (next == &e->queue) {
      enqueue_locked(e, h);
    } else {
      move(h, next);
      b->used = true;
    }
  }
  engine_wake_locked(e);
  CTX__UNLOCK(&e->lock);
}

/* ---- running ---------------------------------------------------------- */

static void run(ctx_engine *e, const struct taken *t)
{
  struct engine_call call;
  engine_count(e, COUNT_HOOKS, -1);
  engine_call_begin(e, &call);
  t->f(t->context, t->arg);
  engine_call_end(&call);
  let_go(t);
}

/* Pops the first hook that can still be taken. False: none is left. */
static bool take_first_locked(ctx_engine *e, struct list *list, struct taken *t)
{
  while (!list_empty(list)) {
    struct hook *h = LIST_ELEMENT(list->first, struct hook, link);
    unlink_locked(e, h);
    *t = copy(h);
    if (take(h, HOOK_STARTED)) return true;
  }
  return false;
}

bool hook_run_first_locked(ctx_engine *e, struct list *list)
{
  struct taken t;
  bool taken = take_first_locked(e, list, &t);
  CTX__UNLOCK(&e->lock);
  if (taken) run(e, &t);
  return taken;
}

void hook_drop_all(ctx_engine *e, struct list *list)
{
  for (;;) {
    struct taken t;
    CTX__LOCK(&e->lock);
    bool taken = take_first_locked(e, list, &t);
    CTX__UNLOCK(&e->lock);
    if (!taken) return;
    engine_count(e, COUNT_HOOKS, -1);
    let_go(&t);
  }
}

/* Only its own thread fills a batch, but others stop hooks in it: it is looked at under lock. */
void hook_run_batch(ctx_engine *e, struct hook_batch *b)
{
  bool more = b->used;
  while (more) {
    CTX__LOCK(&e->lock);
    more = hook_run_first_locked(e, &b->run);
  }
  if (b->used) hook_drop_all(e, &b->drop);
}

/* ---- attaching -------------------------------------------------------- */

void ctx_hook_init(ctx_hook *public, ctx_hook_fn *f, void *arg, unsigned flags)
{
  *inside(public) =
    (struct hook){.f = f, .arg = arg, .flags = (uint16_t)(flags > UINT16_MAX ? UINT16_MAX : flags)};
}

/* 0, or why a hook with these flags cannot be attached to 'c'. */
static int refuse(const ctx_context *c, ctx_hook_fn *f, unsigned flags)
{
  if (c == NULL || f == NULL || (flags & ~(unsigned)CTX_HOOK_INLINE) != 0) return EINVAL;
  return engine_accepts(c->engine);
}

/* Gives a hook of a context that is done to the driver. ECANCELED: there is none any more. */
static int attach_queued(ctx_engine *e, struct hook *h)
{
  CTX__LOCK(&e->lock);
  int refused = engine_accepts(e);
  if (refused == 0) {
    CTX__STORE(&h->state, HOOK_ATTACHED);
    enqueue_locked(e, h);
    engine_wake_locked(e);
  }
  CTX__UNLOCK(&e->lock);
  return refused;
}

/* True: 'h' hangs on the live context 'end'. From the state on, others may stop it: it is
 * linked in the same section. */
static bool attach_live(ctx_context *end, struct hook *h)
{
  CTX__LOCK(&end->node.lock);
  bool live = !state_is_done(CTX__LOAD_RELAXED(&end->node.state));
  if (live) {
    CTX__STORE(&h->state, HOOK_ATTACHED);
    move(h, &end->hooks);
  }
  CTX__UNLOCK(&end->node.lock);
  return live;
}

/* Attaches 'h', which holds its context. Answers as ctx_hook_attach. */
static int attach(struct hook *h)
{
  ctx_context *c = h->context, *end = context_ending(c);
  if (end == NULL) {
    CTX__STORE(&h->state, HOOK_ATTACHED);
    return 0;
  }
  if (ctx_err(c) == 0 && attach_live(end, h)) return 0;
  if ((h->flags & CTX_HOOK_INLINE) == 0) return attach_queued(c->engine, h);
  struct taken t = copy(h);
  CTX__STORE(&h->state, HOOK_STARTED);
  run(c->engine, &t);
  return 0;
}

int ctx_hook_attach(ctx_hook *public, ctx_context *c)
{
  struct hook *h = inside(public);
  uint32_t state = CTX__LOAD(&h->state);
  bool busy = state == HOOK_ATTACHED || state == HOOK_STOPPING;
  int refused = busy ? EINVAL : refuse(c, h->f, h->flags);
  if (refused != 0) return refused;
  h->context = ctx_retain(c);
  h->link.next = h->link.prev = NULL;
  engine_count(c->engine, COUNT_HOOKS, 1);
  refused = attach(h);
  if (refused == 0) return 0;
  engine_count(c->engine, COUNT_HOOKS, -1);
  ctx_release(c);
  return refused;
}

/* Takes a stopped hook out of the list it lies in, if any. Its context is alive. */
static void detach(struct hook *h)
{
  ctx_context *end = context_ending(h->context);
  if (end == NULL) return;
  CTX__LOCK(&end->node.lock);
  CTX__LOCK(&end->engine->lock);
  if (list_linked(&h->link)) unlink_locked(end->engine, h);
  CTX__UNLOCK(&end->engine->lock);
  CTX__UNLOCK(&end->node.lock);
}

bool ctx_hook_stop(ctx_hook *public)
{
  struct hook *h = inside(public);
  if (!take(h, HOOK_STOPPING)) return false;
  detach(h);
  struct taken t = copy(h);
  CTX__STORE(&h->state, HOOK_IDLE);
  engine_count(t.context->engine, COUNT_HOOKS, -1);
  let_go(&t);
  return true;
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
  h->engine = e;
  ctx_retain(e->background);
  refused = ctx_hook_attach(public, c);
  if (refused == 0) return public;
  h->hook.refs = 1;
  unref(&h->hook);
  errno = refused;
  return NULL;
}

void ctx_hook_release(ctx_hook *public)
{
  if (public != NULL) unref(inside(public));
}
