#include "program.h"

#include "ctx.h"
#include "model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { HOOKS = 12, TIMERS = 6, CAUSES = 8, TOKENS = 5, CHECK_EVERY = 64, FIRST_CODE = 100 };

struct hook {
  ctx_hook hook;
  struct run *run;
  struct node *node; /* NULL: not attached */
  bool is_inline, may_run;
  bool at_once; /* it runs in the call that attaches it: others may wait for the driver */
  uint64_t order;
};

struct timer {
  ctx_timer timer;
  struct run *run;
  bool armed, fired;
  int64_t at_ns;
  uint64_t order;
};

struct run {
  const uint8_t *byte, *begin, *end;
  FILE *trace;
  uint64_t calls, order;
  int64_t polled_ns; /* the instant of the last poll */
  ctx_engine *engine;
  struct model model;
  ctx_context *real[NODES]; /* what stands for a node of the model */
  int kept[NODES];          /* references of the program on it */
  struct hook hooks[HOOKS];
  struct timer timers[TIMERS];
  ctx_cause *causes[CAUSES]; /* causes[0] is none */
  ctx_semaphore *semaphore;
  int64_t taken;
  int values, dropped; /* alive by the model; gone by the engine */
  bool is_short;       /* of memory: allocations fail now and then */
  bool is_promised;    /* that the call which is under way allocates nothing */
  uint64_t chance, failures;
  uint64_t fails_at,
    asked;        /* not by chance, but at this one, counted from the first program byte */
  bool forever;   /* and from then on */
  int64_t blocks; /* of the engine, that are out */
  uint64_t fired_ns, fired_order; /* of the timer that has fired last in this poll */
  jmp_buf out;
  char failure[200];
};

__attribute__((format(printf, 2, 3))) static void fail(struct run *r, const char *format, ...)
{
  va_list list;
  va_start(list, format);
  vsnprintf(r->failure, sizeof r->failure, format, list);
  va_end(list);
  longjmp(r->out, 1);
}

/* In a function that the engine has called: the call goes on, and fails when it has returned. */
static void note(struct run *r, const char *what)
{
  if (r->failure[0] == '\0') snprintf(r->failure, sizeof r->failure, "%s", what);
}

static void fail_if_noted(struct run *r)
{
  if (r->failure[0] != '\0') longjmp(r->out, 1);
}

__attribute__((format(printf, 2, 3))) static void say(struct run *r, const char *format, ...)
{
  va_list list;
  if (r->trace == NULL) return;
  va_start(list, format);
  vfprintf(r->trace, format, list);
  va_end(list);
  fputc('\n', r->trace);
}

/* Compares two answers. */
static void same(struct run *r, int64_t real, int64_t model, const char *what, int node)
{
  fail_if_noted(r);
  if (real != model)
    fail(r, "%s of %d is %lld, by the model %lld", what, node, (long long)real, (long long)model);
}

/* The same, of a call. */
static void equal(struct run *r, int64_t real, int64_t model, const char *what, int node)
{
  r->calls++;
  same(r, real, model, what, node);
}

static int place(const struct run *r, const struct node *n)
{
  return (int)(n - r->model.nodes);
}

/* ---- reading ---------------------------------------------------------------- */

static int next(struct run *r, int n)
{
  return r->byte < r->end ? *r->byte++ % n : 0;
}

/* A node of which the program has a reference. */
static int pick(struct run *r)
{
  int start = next(r, NODES);
  for (int i = 0; i < NODES; i++) {
    int k = (start + i) % NODES;
    if (r->kept[k] > 0) return k;
  }
  return 0;
}

/* Mostly soon; now and then past, never, or that of another. */
static int64_t pick_instant(struct run *r)
{
  int way = next(r, 16);
  if (way == 0) return r->model.now_ns - next(r, 50);
  if (way == 1) return NEVER;
  if (way == 2) return model_deadline(&r->model.nodes[pick(r)]);
  return r->model.now_ns + 1 + next(r, 256) * (way < 8 ? 1 : 256);
}

/* ---- memory -------------------------------------------------------------------- */

/* By a chance of its own, so that the program is the same with and without. */
static bool fails_now(struct run *r)
{
  uint64_t x = r->chance;
  x ^= x << 13, x ^= x >> 7, x ^= x << 17;
  r->chance = x;
  if (!r->is_short) return false;
  r->asked++;
  bool fails = r->fails_at == 0 ? x % 4 == 0
                                : r->asked == r->fails_at || (r->forever && r->asked > r->fails_at);
  r->failures += fails;
  return fails;
}

static void *allocate(void *run, size_t size)
{
  struct run *r = run;
  if (r->is_promised) note(r, "what cannot fail has asked for memory");
  void *block = fails_now(r) ? NULL : malloc(size);
  if (block != NULL) r->blocks++;
  return block;
}

static void give_back(void *run, void *block, size_t size)
{
  (void)size;
  ((struct run *)run)->blocks--;
  free(block);
}

/* ---- what runs ----------------------------------------------------------------- */

static void drop_value(void *run)
{
  ((struct run *)run)->dropped++;
}

/* A value knows which it is. */
struct value {
  struct run *run;
  int number;
};

static void drop_block(void *block)
{
  drop_value(((struct value *)block)->run);
  free(block);
}

static void on_end(ctx_context *c, void *arg)
{
  struct hook *h = arg;
  struct run *r = h->run;
  if (h->node == NULL) {
    note(r, "a hook runs that is not attached");
    return;
  }
  if (!h->may_run) note(r, "a hook runs too early");
  if (ctx_err(c) == 0) note(r, "a hook runs on a live context");
  for (int i = 0; i < HOOKS; i++) {
    const struct hook *o = &r->hooks[i];
    if (!h->at_once && o->node == h->node && o->is_inline == h->is_inline && o->may_run &&
        o->order < h->order)
      note(r, "a hook runs before an earlier one of the same context");
  }
  r->values -= model_release(h->node);
  h->node = NULL;
}

static void on_time(ctx_timer *t, void *arg)
{
  struct timer *k = arg;
  struct run *r = k->run;
  (void)t;
  if (!k->armed || k->at_ns > r->model.now_ns) note(r, "a timer fires that is not due");
  if ((uint64_t)k->at_ns < r->fired_ns ||
      ((uint64_t)k->at_ns == r->fired_ns && k->order < r->fired_order))
    note(r, "a timer fires before an earlier one");
  r->fired_ns = (uint64_t)k->at_ns;
  r->fired_order = k->order;
  k->armed = false;
}

/* From here on the hooks of what has ended may run: those that are inline only where the
 * program itself has canceled. */
static void let_hooks_run(struct run *r, bool all)
{
  for (int i = 0; i < HOOKS; i++) {
    struct hook *h = &r->hooks[i];
    if (h->node == NULL) continue;
    struct node *n = model_ending(h->node);
    if (n->kind != ROOT && n->kind != DETACHED && n->err != LIVE && (all || h->is_inline))
      h->may_run = true;
  }
}

/* None that may run is left over. */
static void all_hooks_have_run(struct run *r)
{
  fail_if_noted(r);
  for (int i = 0; i < HOOKS; i++) {
    if (r->hooks[i].node != NULL && r->hooks[i].may_run) fail(r, "hook %d has not run", i);
  }
}

/* ---- comparing ------------------------------------------------------------------- */

/* A merge that has several ends at once may have taken any: asks which. */
static void adopt(struct run *r, int k)
{
  struct node *n = &r->model.nodes[k];
  ctx_origin o;
  if (n->kind != MERGE || n->err == LIVE || !ctx_origin_of(r->real[k], &o)) return;
  for (int i = 0; i < NODES; i++) {
    struct node *from = &r->model.nodes[i];
    if (from->kind == FREE || r->real[i] != o.context || from == n->origin) continue;
    if (from->origin != from || !model_ends_with(n, from))
      fail(r, "the origin of %d is no end above it", k);
    struct node *was = n->origin;
    for (int j = 0; j < NODES; j++) {
      struct node *below = &r->model.nodes[j];
      if (below->kind == FREE || below->err == LIVE || below->origin != was ||
          !model_ends_with(below, n))
        continue;
      below->err = from->err;
      below->why = from->why;
      below->origin = from;
      below->by = from->by;
      below->at_ns = from->at_ns;
    }
  }
}

static void compare_end(struct run *r, int k)
{
  struct node *n = model_ending(&r->model.nodes[k]);
  ctx_cause *why = ctx_cause_of(r->real[k]);
  ctx_origin o;
  bool ended = n->kind != ROOT && n->kind != DETACHED && n->err != LIVE;
  equal(r, ctx_origin_of(r->real[k], &o), ended, "whether there is an origin", k);
  equal(r, why != NULL, ended, "whether there is a cause", k);
  if (!ended) return;
  same(r, o.err, n->err, "the err in the origin", k);
  same(r, (int)o.kind, n->by, "the kind of the origin", k);
  same(r, o.context == r->real[place(r, n->origin)], true, "whether the origin is the one", k);
  same(r, ctx_cause_code(why), n->why != 0 ? FIRST_CODE + n->why : n->err, "the cause", k);
  same(r, o.at_ns, n->at_ns, "the instant of the end", k);
}

static void compare(struct run *r, int k)
{
  struct node *n = &r->model.nodes[k];
  ctx_context *c = r->real[k];
  int err = model_err(&r->model, n), real = ctx_err(c);
  for (int i = 0; i < NODES; i++) adopt(r, i);
  if (n->kind == MERGE || model_ending(n)->kind == MERGE) err = model_err(&r->model, n);
  equal(r, real, err, "err", k);
  equal(r, ctx_deadline(c), model_deadline(n), "the deadline", k);
  compare_end(r, k);
  int key = next(r, KEYS);
  const struct node *holder = model_value(n, key);
  const struct value *v = ctx_value(c, &((const char *)r)[key]);
  equal(r, v != NULL ? v->number : 0, holder != NULL ? holder->value : 0, "a value", k);
}

static void compare_counts(struct run *r)
{
  ctx_counters n;
  int contexts = 0, hooks = 0;
  for (int i = 0; i < NODES; i++) {
    const struct node *k = &r->model.nodes[i];
    contexts += k->kind != FREE && k->kind != ROOT;
    contexts += k->kind == KEEP; /* its detached parent */
  }
  for (int i = 0; i < HOOKS; i++) hooks += r->hooks[i].node != NULL;
  ctx_engine_counters(r->engine, &n);
  same(r, n.contexts, contexts, "the count of contexts", -1);
  same(r, n.hooks, hooks, "the count of hooks", -1);
  same(r, r->dropped, -r->values, "the count of dropped values", -1);
  const char *broken = ctx__check(r->engine);
  if (broken != NULL) fail(r, "%s", broken);
}

/* ---- calls ---------------------------------------------------------------------------- */

/* False: there is no memory. */
static bool keep(struct run *r, struct node *n, ctx_context *c, const char *what)
{
  int k = place(r, n);
  r->calls++;
  if (c == NULL && r->is_short &&
      errno == ENOMEM) {               /* nothing has changed: all that follows says so */
    bool was_value = n->kind == VALUE; /* which was not taken */
    say(r, "%s: no memory", what);
    r->values -= model_release(n) - was_value;
    return false;
  }
  if (c == NULL) fail(r, "%s: %s", what, strerror(errno));
  r->real[k] = c;
  r->kept[k] = 1;
  model_bear(&r->model, n);
  char parents[40] = "";
  for (int i = 0, at = 0; i < n->parents; i++)
    at += snprintf(parents + at, sizeof parents - (size_t)at, i > 0 ? ", %d" : "%d",
                   place(r, n->parent[i]));
  say(r, "%d = %s(%s)  wish %lld, grace %lld, %s, deadline %lld", k, what, parents,
      (long long)n->wish_ns, (long long)n->grace_ns, n->err == LIVE ? "live" : "done",
      (long long)model_deadline(n));
  compare(r, k);
  return true;
}

static int make_cause(struct run *r, ctx_cause **cause)
{
  int why = next(r, CAUSES);
  *cause = ctx_cause_retain(r->causes[why]);
  return why;
}

static void call_make(struct run *r, enum kind kind)
{
  struct node *parent[PARENTS];
  ctx_context *real[PARENTS];
  int n = kind == MERGE ? 1 + next(r, PARENTS) : 1;
  for (int i = 0; i < n; i++) {
    int k = pick(r);
    parent[i] = &r->model.nodes[k];
    real[i] = r->real[k];
  }
  struct node *m = model_new(&r->model, kind, n, parent);
  if (m == NULL) return;
  ctx_cause *cause = NULL;
  switch (kind) {
  case CANCEL: keep(r, m, ctx_with_cancel(real[0]), "with_cancel"); break;
  case DEADLINE:
    m->wish_ns = pick_instant(r);
    m->cause = make_cause(r, &cause);
    if (!keep(r, m, ctx_with_deadline_cause(real[0], m->wish_ns, cause), "with_deadline"))
      ctx_cause_release(cause);
    break;
  case KEEP:
    m->wish_ns = model_deadline(parent[0]);
    keep(r, m, ctx_without_cancel_keep_deadline(real[0]), "keep_deadline");
    break;
  case VALUE: {
    struct value *v = malloc(sizeof *v);
    static int number;
    m->key = next(r, KEYS);
    m->value = ++number;
    *v = (struct value){r, number};
    if (!keep(r, m, ctx_with_value(real[0], &((const char *)r)[m->key], v, drop_block),
              "with_value"))
      free(v);
    break;
  }
  case DETACHED: keep(r, m, ctx_without_cancel(real[0]), "without_cancel"); break;
  case GRACE:
    m->grace_ns = next(r, 8) == 0 ? NEVER : next(r, 256);
    keep(r, m, ctx_with_grace(real[0], m->grace_ns), "with_grace");
    break;
  default: keep(r, m, ctx_merge((size_t)n, real), "merge"); break;
  }
}

static bool can_be_canceled(const struct node *n)
{
  return n->kind != ROOT && n->kind != DETACHED && n->kind != VALUE;
}

static void call_cancel(struct run *r)
{
  int k = pick(r);
  struct node *n = &r->model.nodes[k];
  ctx_cause *cause;
  int why = make_cause(r, &cause);
  bool first = can_be_canceled(n) && n->err == LIVE;
  say(r, "cancel(%d, %d)  %s", k, why, first ? "is the one" : "changes nothing");
  if (first) model_end(&r->model, n, CANCELED, why, BY_CANCEL, r->model.now_ns);
  let_hooks_run(r, false);
  r->is_promised = true;
  bool real = ctx_cancel_cause(r->real[k], cause);
  r->is_promised = false;
  equal(r, real, first, "cancel", k);
  for (int i = 0; i < HOOKS; i++) {
    struct hook *h = &r->hooks[i];
    if (h->node == NULL || !h->is_inline) continue;
    if (first && h->may_run && model_ending(h->node)->origin == n)
      fail(r, "inline hook %d has not run", i);
  }
  compare(r, k);
}

static void call_extend(struct run *r)
{
  int k = pick(r);
  struct node *n = &r->model.nodes[k];
  int64_t to_ns = pick_instant(r);
  int expected = 0;
  say(r, "extend(%d, %lld)", k, (long long)to_ns);
  if (n->kind != DEADLINE && n->kind != KEEP)
    expected = EINVAL;
  else if (model_err(&r->model, n) != LIVE)
    expected = ECANCELED;
  else
    n->wish_ns = to_ns;
  r->is_promised = true;
  int real = ctx_extend(r->real[k], to_ns);
  r->is_promised = false;
  equal(r, real, expected, "extend", k);
  compare(r, k);
}

static void call_release(struct run *r)
{
  int k = pick(r);
  if (k == 0) return;
  say(r, "release(%d)", k);
  r->calls++;
  r->kept[k]--;
  r->values -= model_release(&r->model.nodes[k]);
  r->is_promised = true;
  ctx_release(r->real[k]);
  r->is_promised = false;
  same(r, r->dropped, -r->values, "the count of dropped values", k);
}

static void call_retain(struct run *r)
{
  int k = pick(r);
  if (k == 0) return;
  say(r, "retain(%d)", k);
  r->kept[k]++;
  r->model.nodes[k].held++;
  equal(r, ctx_retain(r->real[k]) == r->real[k], true, "retain", k);
}

static void call_attach(struct run *r)
{
  struct hook *h = &r->hooks[next(r, HOOKS)];
  int k = pick(r);
  if (h->node != NULL) {
    equal(r, ctx_hook_attach(&h->hook, r->real[k]), EINVAL, "attach again", k);
    return;
  }
  h->run = r;
  h->is_inline = next(r, 2) == 1;
  h->may_run = false;
  h->order = ++r->order;
  h->node = &r->model.nodes[k];
  h->node->held++;
  say(r, "attach(%d, %s)", k, h->is_inline ? "inline" : "driver");
  bool ended = model_err(&r->model, h->node) != LIVE;
  h->at_once = h->may_run = ended && h->is_inline;
  ctx_hook_init(&h->hook, on_end, h, h->is_inline ? CTX_HOOK_INLINE : 0);
  equal(r, ctx_hook_attach(&h->hook, r->real[k]), 0, "attach", k);
  if (ended && h->is_inline && h->node != NULL)
    fail(r, "an inline hook on a done context has not run");
}

static void call_stop(struct run *r)
{
  struct hook *h = &r->hooks[next(r, HOOKS)];
  if (h->run == NULL) return;
  bool attached = h->node != NULL;
  say(r, "stop(%d)", (int)(h - r->hooks));
  equal(r, next(r, 2) == 0 ? ctx_hook_stop(&h->hook) : ctx_hook_stop_wait(&h->hook), attached,
        "stop", -1);
  if (attached) r->values -= model_release(h->node);
  h->node = NULL;
}

static void call_arm(struct run *r)
{
  struct timer *t = &r->timers[next(r, TIMERS)];
  int64_t at_ns = pick_instant(r);
  if (t->run == NULL) ctx_timer_init(&t->timer, r->engine, on_time, t);
  t->run = r;
  t->armed = at_ns != NEVER;
  t->at_ns = at_ns > r->polled_ns ? at_ns : r->polled_ns;
  t->order = ++r->order;
  say(r, "arm(%d, %lld)", (int)(t - r->timers), (long long)at_ns);
  equal(r, ctx_timer_arm(&t->timer, at_ns), 0, "arm", -1);
}

static void call_disarm(struct run *r)
{
  struct timer *t = &r->timers[next(r, TIMERS)];
  if (t->run == NULL) return;
  say(r, "disarm(%d)", (int)(t - r->timers));
  equal(r, ctx_timer_disarm(&t->timer), t->armed, "disarm", -1);
  t->armed = false;
}

static void call_poll(struct run *r)
{
  struct node *n;
  say(r, "poll at %lld", (long long)r->model.now_ns);
  r->fired_ns = r->fired_order = 0;
  while ((n = model_due(&r->model)) != NULL) model_expire(&r->model, n);
  let_hooks_run(r, true);
  int rounds = 0;
  do {
    r->is_promised = true;
    ctx_engine_poll(r->engine);
    r->is_promised = false;
    r->calls += 2;
    if (++rounds > 1000) fail(r, "there is always something due");
  } while (ctx_engine_next(r->engine) <= r->model.now_ns);
  r->polled_ns = r->model.now_ns;
  for (int i = 0; i < NODES; i++) adopt(r, i);
  all_hooks_have_run(r);
  for (int i = 0; i < TIMERS; i++) {
    if (r->timers[i].armed && r->timers[i].at_ns <= r->model.now_ns)
      fail(r, "timer %d has not fired", i);
  }
}

static void call_semaphore(struct run *r)
{
  int64_t k = 1 + next(r, TOKENS);
  if (next(r, 2) == 0) {
    bool free = r->taken + k <= TOKENS;
    equal(r, ctx_semaphore_try_acquire(r->semaphore, k), free, "try_acquire", -1);
    if (free) r->taken += k;
  } else {
    bool held = k <= r->taken;
    equal(r, ctx_semaphore_release(r->semaphore, k), held ? 0 : EINVAL, "release", -1);
    if (held) r->taken -= k;
  }
}

static void call_acquire(struct run *r)
{
  int k = pick(r);
  if (model_err(&r->model, &r->model.nodes[k]) == LIVE && r->taken == TOKENS)
    return; /* it would block */
  int expected = r->model.nodes[k].kind == ROOT ? 0 : model_err(&r->model, &r->model.nodes[k]);
  equal(r, ctx_semaphore_acquire(r->semaphore, r->real[k], 1), expected, "acquire", k);
  if (expected == 0) r->taken++;
}

static int place_of_real(const struct run *r, const ctx_context *c)
{
  for (int i = 0; i < NODES; i++) {
    if (r->model.nodes[i].kind != FREE && r->real[i] == c) return i;
  }
  return -1;
}

/* How often 'n' is found on the ways down from 'top': it lives, and so do those it hangs on. A merge is
 * found below each of its parents. */
static int ways_to(struct node *n, struct node *top)
{
  int ways = 0;
  if (n == top) return 1;
  if (n->kind == FREE || n->kind == KEEP || !can_be_canceled(n) || n->err != LIVE) return 0;
  for (int i = 0; i < n->parents; i++) {
    struct node *up = model_ending(n->parent[i]);
    ways += up->kind != ROOT && up->kind != DETACHED && up->err == LIVE && ways_to(up, top) > 0;
  }
  return ways;
}

/* Each is asked for its err as it is described, in an order that the model does not know: so all are
 * asked before. */
static void call_snapshot(struct run *r)
{
  int k = pick(r);
  struct node *top = &r->model.nodes[k];
  size_t expected = 0;
  if (top->kind == VALUE || top->kind == ROOT || top->kind == DETACHED) return;
  for (int i = 0; i < NODES; i++) {
    if (ways_to(&r->model.nodes[i], top) > 0) compare(r, i);
  }
  for (int i = 0; i < NODES; i++) expected += (size_t)ways_to(&r->model.nodes[i], top);
  say(r, "snapshot(%d)", k);
  ctx_snapshot *s = ctx_snapshot_take(r->real[k]);
  if (s == NULL && r->is_short && errno == ENOMEM) return;
  if (s == NULL) fail(r, "no snapshot: %s", strerror(errno));
  size_t n = ctx_snapshot_count(s);
  for (size_t i = 0; i < n; i++) {
    const ctx_snapshot_entry *e = ctx_snapshot_at(s, i);
    int at = place_of_real(r, e->context);
    if (at < 0) fail(r, "a snapshot has a context that nobody knows");
    same(r, e->err, model_err(&r->model, &r->model.nodes[at]), "the err in a snapshot", at);
  }
  ctx_snapshot_free(s);
  equal(r, (int64_t)n, (int64_t)expected, "the size of a snapshot", k);
}

static int64_t clock_of(void *run)
{
  return ((const struct run *)run)->model.now_ns;
}

static void call_wait(struct run *r, bool is_short)
{
  r->model.now_ns += next(r, 256) + (is_short ? 0 : next(r, 256) * 256);
  say(r, "it is %lld", (long long)r->model.now_ns);
}

static void step(struct run *r)
{
  int call = next(r, 64);
  if (call < 6)
    call_make(r, CANCEL);
  else if (call < 14)
    call_make(r, DEADLINE);
  else if (call < 18)
    call_make(r, VALUE);
  else if (call < 20)
    call_make(r, DETACHED);
  else if (call < 23)
    call_make(r, GRACE);
  else if (call < 26)
    call_make(r, MERGE);
  else if (call < 27)
    call_make(r, KEEP);
  else if (call < 32)
    call_cancel(r);
  else if (call < 36)
    call_extend(r);
  else if (call < 44)
    call_release(r);
  else if (call < 45)
    call_retain(r);
  else if (call < 48)
    call_attach(r);
  else if (call < 49)
    call_stop(r);
  else if (call < 52)
    call_arm(r);
  else if (call < 53)
    call_disarm(r);
  else if (call < 55)
    call_wait(r, call == 54);
  else if (call < 57)
    call_poll(r);
  else if (call < 58)
    call_semaphore(r);
  else if (call < 59)
    call_acquire(r);
  else if (call < 60)
    call_snapshot(r);
  else
    compare(r, pick(r));
}

/* ---- a run ---------------------------------------------------------------------------- */

static void open_run(struct run *r)
{
  r->model.now_ns = r->polled_ns = 1000;
  ctx_engine_options o = {
    .driver = CTX_DRIVER_HOST, .now = clock_of, .alloc = allocate, .free = give_back, .arg = r};
  r->engine = ctx_engine_open(&o);
  if (r->engine == NULL) fail(r, "no engine: %s", strerror(errno));
  struct node *root = model_new(&r->model, ROOT, 0, NULL);
  r->real[0] = ctx_engine_background(r->engine);
  r->kept[0] = 1;
  root->held = 1 << 20;
  for (int i = 1; i < CAUSES; i++)
    r->causes[i] = ctx_cause_new("why", 3, FIRST_CODE + i, NULL, NULL);
  r->semaphore = ctx_semaphore_open(TOKENS);
  bool by_chance = next(r, 4) == 0;
  r->is_short = by_chance || r->fails_at != 0;
  r->chance = by_chance ? 1 + (uint64_t)next(r, 256) * 257 + (uint64_t)next(r, 256) : 1;
}

/* Gives all back. */
static void close_run(struct run *r)
{
  for (int i = 0; i < HOOKS; i++) {
    struct hook *h = &r->hooks[i];
    if (h->run == NULL) continue;
    ctx_hook_stop(&h->hook);
    if (h->node != NULL) r->values -= model_release(h->node);
    h->node = NULL;
  }
  for (int i = 0; i < TIMERS; i++) {
    if (r->timers[i].run != NULL) ctx_timer_disarm(&r->timers[i].timer);
  }
  for (int k = NODES; k-- > 1;) {
    for (; r->kept[k] > 0; r->kept[k]--) {
      r->values -= model_release(&r->model.nodes[k]);
      ctx_release(r->real[k]);
    }
  }
  compare_counts(r);
  for (int i = 1; i < CAUSES; i++) ctx_cause_release(r->causes[i]);
  ctx_semaphore_close(r->semaphore);
  equal(r, ctx_engine_close(r->engine), 0, "close", -1);
  same(r, r->blocks, 0, "the count of blocks", -1);
}

static struct outcome run(const uint8_t *bytes, size_t size, FILE *trace, uint64_t fails_at,
                          bool forever)
{
  static struct run r; /* large, and not to be lost in a longjmp */
  memset(&r, 0, sizeof r);
  r.byte = r.begin = bytes;
  r.end = bytes + size;
  r.trace = trace;
  r.fails_at = fails_at;
  r.forever = forever;
  bool ok = setjmp(r.out) == 0;
  if (ok) {
    open_run(&r);
    for (uint64_t n = 1; r.byte < r.end; n++) {
      step(&r);
      if (n % CHECK_EVERY == 0) compare_counts(&r);
    }
    close_run(&r);
  }
  struct outcome o = {
    .ok = ok, .calls = r.calls, .failures = r.failures, .used = (size_t)(r.byte - r.begin)};
  memcpy(o.failure, r.failure, sizeof o.failure);
  return o;
}

struct outcome program_run(const uint8_t *bytes, size_t size, FILE *trace)
{
  return run(bytes, size, trace, 0, false);
}

struct outcome program_run_short(const uint8_t *bytes, size_t size, uint64_t at, bool forever)
{
  return run(bytes, size, NULL, at, forever);
}
