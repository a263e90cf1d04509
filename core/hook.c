#include "platform.h"

#include "descriptor.h"
#include "hook.h"

_Static_assert(sizeof(struct hook) <= sizeof(ctx_hook), "a ctx_hook has room for a hook");

/* True: the caller has the hook now, and the reference that it holds. */
static bool take(struct hook *h, enum hook_state as)
{
  uint32_t expected = HOOK_ATTACHED;
  return CTX__CAS(&h->state, &expected, as);
}

void hook_unref(struct heap_hook *h)
{
  if (CTX__SUB_RELEASE(&h->hook.refs, 1) != 1) return;
  ctx_engine *e = h->home;
  if (engine_is_dead(e)) return; /* the allocator may be in use by a thread that is not there */
  engine_free(e, h, sizeof *h);
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
  const struct hook *hook; /* its address, to be known by */
  struct hook *on_heap;    /* which keeps itself until it is let go; or NULL */
};

static struct taken copy(struct hook *h)
{
  bool on_heap = CTX__LOAD_RELAXED(&h->refs) != 0;
  return (struct taken){h->context, h->f, h->arg, h, on_heap ? h : NULL};
}

/* Gives up what a taken hook has held. */
static void let_go(const struct taken *t)
{
  if (t->on_heap != NULL) hook_unref((struct heap_hook *)(void *)t->on_heap);
  ctx_release(t->context);
}

/* ---- at the end of a context ------------------------------------------ */

void hook_batch_init(struct hook_batch *b, enum hook_runner runner)
{
  b->runner = runner;
  b->used = false;
  list_init(&b->wake);
  list_init(&b->run);
  list_init(&b->drop);
}

/* Where a hook goes when its context ends; under the engine's lock. */
static struct list *next_list(ctx_engine *e, const struct hook *h, struct hook_batch *b)
{
  if (h->flags == HOOK_SLEEPER) return &b->wake;
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

static void collect_all(ctx_context *c, struct hook_batch *b)
{
  ctx_engine *e = c->engine;
  engine_lock(e);
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
  engine_unlock(e);
}

void hook_collect_locked(ctx_context *c, struct hook_batch *b)
{
  bool has_annex = (c->node.marks & MARK_ANNEX) != 0;
  struct list_link *annex = has_annex ? list_pop(&c->hooks) : NULL;
  if (!list_empty(&c->hooks)) collect_all(c, b);
  if (annex == NULL) return;
  list_append(&c->hooks, annex);
  descriptor_signal_locked(c);
}

/* ---- running ---------------------------------------------------------- */

/* Called with the engine's lock, under which the hook was taken; it is dropped. */
static void run_locked(ctx_engine *e, const struct taken *t)
{
  struct engine_call call;
  engine_call_begin_locked(e, &call, t->hook);
  engine_count(e, COUNT_HOOKS, -1);
  t->f(t->context, t->arg);
  engine_call_end(&call);
  let_go(t);
}

/* Pops the first hook that can still be taken, and takes it. False: none is left. */
static bool take_first_locked(ctx_engine *e, struct list *list, enum hook_state as, struct taken *t)
{
  while (!list_empty(list)) {
    struct hook *h = LIST_ELEMENT(list->first, struct hook, link);
    unlink_locked(e, h);
    *t = copy(h);
    if (take(h, as)) return true;
  }
  return false;
}

bool hook_run_first_locked(ctx_engine *e, struct list *list)
{
  struct taken t;
  bool taken = take_first_locked(e, list, HOOK_STARTED, &t);
  if (taken)
    run_locked(e, &t);
  else
    engine_unlock(e);
  return taken;
}

/* Takes the first hook of 'list' and gives up what it holds. NULL: there was none. */
static const struct hook *drop_first(ctx_engine *e, struct list *list, enum hook_state as)
{
  struct taken t;
  engine_lock(e);
  bool taken = take_first_locked(e, list, as, &t);
  engine_unlock(e);
  if (!taken) return NULL;
  engine_count(e, COUNT_HOOKS, -1);
  let_go(&t);
  return t.hook;
}

void hook_drop_all(ctx_engine *e, struct list *list)
{
  while (drop_first(e, list, HOOK_DROPPED) != NULL) continue;
}

/* A sleeper that was taken stays until it is woken. */
static void wake_all(ctx_engine *e, struct list *list)
{
  const struct hook *h;
  while ((h = drop_first(e, list, HOOK_STARTED)) != NULL) {
    ctx__atomic *woken = &((struct sleeper *)(uintptr_t)h)->woken;
    CTX__STORE(woken, 1);
    CTX__WAKE(woken);
  }
}

/* Only its own thread fills a batch, but others stop hooks in it: it is looked at under lock. */
void hook_run_batch(ctx_engine *e, struct hook_batch *b)
{
  if (!b->used) return;
  wake_all(e, &b->wake);
  bool more = true;
  while (more && !engine_is_dead(e)) {
    engine_lock(e);
    more = hook_run_first_locked(e, &b->run);
  }
  if (!engine_is_dead(e)) hook_drop_all(e, &b->drop);
}

/* ---- attaching -------------------------------------------------------- */

/* From the state on, others may stop it: it is linked in the same section. */
bool hook_hang(ctx_context *end, struct hook *h)
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

int hook_queue(ctx_engine *e, struct hook *h)
{
  engine_lock(e);
  int refused = engine_accepts(e);
  if (refused == 0) { /* race: with its closing */
    CTX__STORE(&h->state, HOOK_ATTACHED);
    enqueue_locked(e, h);
    engine_wake_locked(e);
  }
  engine_unlock(e);
  return refused;
}

void hook_run_at_once(ctx_engine *e, struct hook *h)
{
  struct taken t = copy(h);
  engine_lock(e);
  CTX__STORE(&h->state, HOOK_STARTED);
  run_locked(e, &t);
}

bool hook_sleep(struct sleeper *s, ctx_context *end)
{
  *s = (struct sleeper){.hook = {.flags = HOOK_SLEEPER, .engine = end->engine}};
  s->hook.context = ctx_retain(end);
  engine_count(end->engine, COUNT_HOOKS, 1);
  if (hook_hang(end, &s->hook)) return true; /* race: it ends meanwhile */
  engine_count(end->engine, COUNT_HOOKS, -1);
  ctx_release(end);
  return false;
}

void hook_rouse_locked(ctx_context *c)
{
  bool annex = (c->node.marks & MARK_ANNEX) != 0; /* comes first, and is no hook */
  struct list_link *k = annex ? list_after(&c->hooks, c->hooks.first) : c->hooks.first;
  for (; k != NULL; k = list_after(&c->hooks, k)) {
    struct hook *h = LIST_ELEMENT(k, struct hook, link);
    if (h->flags != HOOK_SLEEPER) continue;
    ctx__atomic *woken = &((struct sleeper *)(void *)h)->woken;
    CTX__SUB_RELEASE(woken, 2);
    CTX__WAKE(woken);
  }
}

/* ---- stopping --------------------------------------------------------- */

/* Takes a stopped hook out of the list it lies in, if any. Its context is alive. */
static void detach(struct hook *h)
{
  ctx_context *end = context_ending(h->context);
  if (end == NULL || engine_is_dead(end->engine)) return;
  CTX__LOCK(&end->node.lock);
  engine_lock(end->engine);
  if (list_linked(&h->link)) unlink_locked(end->engine, h);
  engine_unlock(end->engine);
  CTX__UNLOCK(&end->node.lock);
}

bool hook_stop(struct hook *h)
{
  uint32_t dropped = HOOK_DROPPED;
  if (!take(h, HOOK_STOPPING)) return CTX__CAS(&h->state, &dropped, HOOK_IDLE);
  detach(h);
  struct taken t = copy(h);
  CTX__STORE(&h->state, HOOK_IDLE);
  engine_count(t.context->engine, COUNT_HOOKS, -1);
  let_go(&t);
  return true;
}
