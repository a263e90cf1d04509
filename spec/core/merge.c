/*
 * merge - a context with several parents: who ends it, when, and what it sees
 *
 * Small trees by hand; merges of merges made by chance against a model; chains, diamonds and
 * fans of a million on a stack of 64 KiB; threads that end several parents at once.
 */
#define _GNU_SOURCE 1

#include "system.h"
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#ifdef SLOW
enum { MILLION = 50000, STACK = 512 * 1024, ROUNDS = 20000 / SLOW, TREES = 60 };
#else
enum { MILLION = 1000000, STACK = 64 * 1024, ROUNDS = 20000, TREES = 600 };
#endif

static ctx_context *merge2(ctx_context *a, ctx_context *b)
{
  return need(ctx_merge(2, (ctx_context *[]){a, b}));
}

static void release_all(ctx_context **c, size_t n)
{
  for (size_t i = 0; i < n; i++) ctx_release(c[i]);
}

/* ---- who ends it ---------------------------------------------------------- */

static void ends_with(int which)
{
  struct world w;
  ctx_context *bg = manual(&w), *c[5];
  for (int i = 0; i < 3; i++) c[i] = ctx_with_cancel(bg);
  c[3] = need(ctx_merge(3, c));
  c[4] = ctx_with_cancel(c[3]);
  ctx_cause *why = cause("why");
  CHECK(ctx_cancel_cause(c[which], ctx_cause_retain(why)));
  for (int i = 3; i < 5; i++) {
    CHECK_INT(ctx_err(c[i]), CTX_CANCELED);
    CHECK(ctx_cause_of(c[i]) == why);
  }
  for (int i = 0; i < 3; i++) CHECK_INT(ctx_err(c[i]), i == which ? CTX_CANCELED : 0);
  for (int i = 0; i < 3; i++) ctx_cancel(c[i]);
  CHECK(ctx_cause_of(c[3]) == why);
  ctx_cause_release(why);
  release_all(c, 5);
  world_close(&w);
}

TEST(ends_with_the_first)
{
  for (int i = 0; i < 3; i++) ends_with(i);
}

TEST(ends_by_itself)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_cancel(bg), *b = ctx_with_cancel(bg);
  ctx_context *m = merge2(a, b), *child = ctx_with_cancel(m);
  CHECK(ctx_cancel(m));
  CHECK(!ctx_cancel(m));
  CHECK_INT(ctx_err(child), CTX_CANCELED);
  CHECK(ctx_err(a) == 0 && ctx_err(b) == 0);
  CHECK(ctx_cancel(a) && ctx_cancel(b));
  ctx_release(child);
  ctx_release(m);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(first_listed_wins)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_cancel(bg), *b = ctx_with_cancel(bg);
  ctx_context *c = ctx_with_cancel(bg);
  ctx_cancel_cause(b, cause("b"));
  ctx_cancel_cause(a, cause("a"));
  ctx_context *m[] = {merge2(a, b), merge2(b, a), need(ctx_merge(3, (ctx_context *[]){c, b, a}))};
  CHECK_STR(ctx_cause_text(ctx_cause_of(m[0]), NULL), "a");
  CHECK_STR(ctx_cause_text(ctx_cause_of(m[1]), NULL), "b");
  CHECK_STR(ctx_cause_text(ctx_cause_of(m[2]), NULL), "b");
  CHECK(ctx_cancel(c));
  release_all(m, 3);
  ctx_release(c);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(refuses)
{
  struct world w, other;
  ctx_context *bg = manual(&w), *stranger = manual(&other);
  ctx_context *const mixed[] = {bg, stranger}, *const holes[] = {bg, NULL};
  errno = 0;
  CHECK(ctx_merge(0, mixed) == NULL);
  CHECK_INT(errno, EINVAL);
  errno = 0;
  CHECK(ctx_merge(2, mixed) == NULL);
  CHECK_INT(errno, EINVAL);
  errno = 0;
  CHECK(ctx_merge(2, holes) == NULL);
  CHECK_INT(errno, EINVAL);
  errno = 0;
  CHECK(ctx_merge(1, NULL) == NULL);
  CHECK_INT(errno, EINVAL);
  world_close(&other);
  world_close(&w);
}

TEST(one_or_the_same_or_none_that_ends)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_cancel(bg), *d = ctx_without_cancel(a);
  ctx_context *one = need(ctx_merge(1, &a)), *same = merge2(a, a), *none = merge2(bg, d);
  ctx_cancel(a);
  CHECK_INT(ctx_err(one), CTX_CANCELED);
  CHECK_INT(ctx_err(same), CTX_CANCELED);
  CHECK_INT(ctx_err(none), 0);
  CHECK(ctx_cancel(none));
  ctx_release(none);
  ctx_release(same);
  ctx_release(one);
  ctx_release(d);
  ctx_release(a);
  world_close(&w);
}

/* The parents outlive it, and know nothing of it any more. */
TEST(leaves_nothing)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_cancel(bg), *b = ctx_with_timeout(bg, 50);
  int64_t blocks = w.blocks;
  for (int i = 0; i < 3; i++) {
    ctx_context *m = merge2(a, b), *child = ctx_with_timeout(m, 20);
    if (i == 1) ctx_cancel(m);
    if (i == 2) ctx_release(ctx_with_cancel(child));
    ctx_release(child);
    ctx_release(m);
    CHECK_INT(w.blocks, blocks);
    CHECK_INT(counters(&w).timers, 1);
  }
  ctx_cancel(a);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

/* It alone keeps its parents, and they theirs. */
TEST(keeps_its_parents)
{
  struct world w;
  int dropped = 0, key;
  ctx_context *bg = manual(&w), *m = ctx_retain(bg);
  for (int i = 0; i < 4; i++) {
    ctx_context *a = ctx_with_cancel(bg), *b = ctx_with_timeout(m, 10 + i);
    ctx_context *v = ctx_with_value(b, &key, &dropped, count_drop);
    ctx_context *next = need(ctx_merge(3, (ctx_context *[]){a, v, m}));
    ctx_release(v);
    ctx_release(b);
    ctx_release(a);
    ctx_release(m);
    m = next;
  }
  CHECK_INT(dropped, 0);
  CHECK_INT(counters(&w).contexts, 16);
  CHECK_INT(ctx_deadline(m), 10);
  ctx_release(m);
  CHECK_INT(dropped, 4);
  world_close(&w);
}

/* ---- the order of one cancel ---------------------------------------------- */

static int ran[8], runs;

static void note(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  ran[runs++] = *(const int *)arg;
}

/* The walk has come back to 'branch', and so has written its way into it. */
TEST(keeps_one_that_a_cancel_came_back_to)
{
  struct world w;
  ctx_context *bg = manual(&w), *top = ctx_with_cancel(bg), *other = ctx_with_cancel(bg);
  ctx_context *branch = ctx_with_cancel(top), *twig = ctx_with_cancel(branch);
  ctx_context *c[] = {twig, ctx_with_cancel(twig), ctx_with_cancel(branch), ctx_with_cancel(top)};
  ctx_context *m = merge2(other, branch);
  CHECK(ctx_cancel(top));
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) CHECK(ctx_done(c[i]));
  CHECK(ctx_done(m));
  release_all(c, sizeof c / sizeof *c);
  ctx_release(branch);
  ctx_release(m); /* and with it the last reference on the branch */
  ctx_release(top);
  ctx_release(other);
  world_close(&w);
}

TEST(order_of_one_cancel)
{
  static const int order[] = {0, 1, 2, 5, 3, 4, 6};
  struct world w;
  int number[7];
  ctx_context *bg = manual(&w), *c[7];
  ctx_hook *h[7];
  c[0] = ctx_with_cancel(bg);
  c[1] = ctx_with_cancel(c[0]);
  c[3] = ctx_with_cancel(c[0]);
  c[2] = merge2(c[1], c[3]); /* reached by 1 first */
  c[4] = ctx_with_cancel(c[3]);
  c[5] = merge2(c[2], c[4]);
  c[6] = ctx_with_cancel(c[0]);
  runs = 0;
  for (int i = 0; i < 7; i++) number[i] = i;
  for (int i = 0; i < 7; i++) h[i] = need(ctx_after_func(c[i], note, &number[i], CTX_HOOK_INLINE));
  ctx_cancel(c[0]);
  CHECK_INT(runs, 7);
  for (int i = 0; i < 7; i++) CHECK_INT(ran[i], order[i]);
  for (int i = 0; i < 7; i++) ctx_hook_release(h[i]);
  release_all(c, 7);
  world_close(&w);
}

/* ---- when ------------------------------------------------------------------ */

TEST(earliest_deadline)
{
  struct world w;
  ctx_context *bg = host(&w), *a = ctx_with_deadline(bg, 50);
  ctx_context *b = ctx_with_deadline_cause(bg, 20, cause("b"));
  ctx_context *m = merge2(a, b), *child = ctx_with_cancel(m);
  CHECK_INT(ctx_deadline(m), 20);
  CHECK_INT(ctx_deadline(child), 20);
  CHECK_INT(counters(&w).timers, 2);
  w.now_ns = 19;
  CHECK_INT(ctx_err(child), 0);
  w.now_ns = 20; /* and no driver runs */
  CHECK_INT(ctx_err(child), CTX_DEADLINE_EXCEEDED);
  CHECK_STR(ctx_cause_text(ctx_cause_of(m), NULL), "b");
  CHECK_INT(ctx_err(b), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_err(a), 0);
  CHECK_INT(ctx_deadline(m), 20);
  ctx_release(child);
  ctx_release(m);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(past_parent_is_done)
{
  struct world w;
  ctx_context *bg = host(&w), *a = ctx_with_deadline(bg, 50), *b = ctx_with_deadline(bg, 20);
  w.now_ns = 30;
  ctx_context *m = merge2(a, b);
  CHECK_INT(ctx_err(m), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_deadline(m), 20);
  ctx_release(m);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(follows_a_move)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_deadline(bg, 50), *b = ctx_with_deadline(bg, 60);
  ctx_context *m = merge2(a, b), *below = ctx_with_deadline(m, 55), *n = merge2(below, a);
  CHECK_INT(ctx_extend(a, 100), 0);
  CHECK_INT(ctx_deadline(m), 60);
  CHECK_INT(ctx_deadline(below), 55);
  CHECK_INT(ctx_deadline(n), 55);
  CHECK_INT(ctx_extend(below, CTX_NEVER), 0);
  CHECK_INT(ctx_deadline(n), 60);
  CHECK_INT(ctx_extend(b, CTX_NEVER), 0);
  CHECK_INT(ctx_deadline(n), 100);
  CHECK_INT(ctx_extend(a, CTX_NEVER), 0);
  CHECK_INT(ctx_deadline(n), CTX_NEVER);
  CHECK_INT(counters(&w).timers, 0);
  CHECK_INT(ctx_extend(b, 5), 0);
  CHECK_INT(ctx_deadline(n), 5);
  CHECK_INT(ctx_extend(m, 10), EINVAL);
  ctx_engine_advance(w.engine, 5);
  CHECK_INT(ctx_err(n), CTX_DEADLINE_EXCEEDED);
  CHECK_INT(ctx_err(a), 0);
  ctx_release(n);
  ctx_release(below);
  ctx_release(m);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

TEST(wakes_waiters_of_a_moved_parent)
{
  struct world w;
  int64_t soon_ns;
  ctx_context *bg = threaded(&w), *a = ctx_with_timeout(bg, CTX_SECONDS(3600));
  ctx_context *b = ctx_with_cancel(bg), *m = merge2(b, a), *c = ctx_with_cancel(m);
  int fd = ctx_fd(c);
  CHECK(!readable(fd));
  soon_ns = ctx_engine_now(w.engine) + CTX_MS(1);
  CHECK_INT(ctx_extend(a, soon_ns), 0);
  CHECK(wait_readable(fd));
  CHECK_INT(ctx_wait(c, CTX_NEVER), CTX_DEADLINE_EXCEEDED);
  ctx_release(c);
  ctx_release(m);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

/* ---- what it sees ---------------------------------------------------------- */

static int keys[4];

static ctx_context *holding(ctx_context *c, int k, int *value)
{
  return need(ctx_with_value(c, &keys[k], value, NULL));
}

TEST(values_of_all)
{
  struct world w;
  int v[8];
  ctx_context *bg = manual(&w), *c[10];
  c[0] = holding(bg, 0, &v[0]);   /* 0 */
  c[1] = holding(c[0], 1, &v[1]); /* 0 1 */
  c[2] = holding(bg, 1, &v[2]);   /* 1 2 */
  c[3] = holding(c[2], 2, &v[3]);
  c[4] = holding(bg, 2, &v[4]);  /* 2 3 */
  c[5] = holding(c[4], 3, NULL); /* a NULL is a value */
  c[6] = need(ctx_merge(3, (ctx_context *[]){c[1], c[3], c[5]}));
  c[7] = holding(bg, 3, &v[7]);
  c[8] = merge2(c[6], c[7]);
  c[9] = holding(c[8], 1, &v[6]);
  CHECK(ctx_value(c[6], &keys[0]) == &v[0]);
  CHECK(ctx_value(c[6], &keys[1]) == &v[1]);
  CHECK(ctx_value(c[6], &keys[2]) == &v[3]);
  CHECK(ctx_value(c[6], &keys[3]) == NULL);
  CHECK(ctx_value(c[8], &keys[3]) == NULL);
  CHECK(ctx_value(c[9], &keys[0]) == &v[0]);
  CHECK(ctx_value(c[9], &keys[1]) == &v[6]);
  CHECK(ctx_value(c[9], &keys[2]) == &v[3]);
  ctx_cancel(c[8]);
  CHECK(ctx_value(c[9], &keys[2]) == &v[3]);
  release_all(c, 10);
  world_close(&w);
}

TEST(one_allocation)
{
  struct world w;
  int v;
  ctx_context *bg = manual(&w), *a = holding(bg, 0, &v), *b = holding(bg, 1, &v);
  int64_t calls = w.calls;
  ctx_context *m = merge2(a, b);
  CHECK_INT(w.calls, calls + 1);
  ctx_release(m);
  ctx_release(b);
  ctx_release(a);
  world_close(&w);
}

/* Ever more parents with the same keys, on either side: lists do not grow with the depth. */
TEST(lists_stay_short)
{
  struct world w;
  int v[3];
  ctx_context *bg = manual(&w), *m = ctx_retain(bg);
  for (int i = 0; i < 2000; i++) {
    ctx_context *q = holding(bg, i % 3, &v[i % 3]), *next = merge2(q, m);
    ctx_release(q);
    ctx_release(m);
    m = next;
  }
  for (int i = 0; i < 3; i++) CHECK(ctx_value(m, &keys[i]) == &v[i]);
  CHECK(ctx_value(m, &keys[3]) == NULL);
  ctx_release(m);
  world_close(&w);
}

/* ---- a million, on a small stack ---------------------------------------------- */

struct large {
  struct world w;
  ctx_context **c;
  ctx_context *bg, *first, *last;
  void (*run)(struct large *);
};

static void *large_thread(void *arg)
{
  struct large *l = arg;
  l->run(l);
  return NULL;
}

static void on_small_stack(void (*run)(struct large *))
{
  struct large l = {.run = run};
  l.bg = manual(&l.w);
  l.c = need(calloc(MILLION + 1, sizeof(ctx_context *)));
  join(start_sized(large_thread, &l, STACK));
  free(l.c);
  world_close(&l.w);
}

/* Each merges the one before it with another context. */
static void grow_chain(struct large *l)
{
  l->first = need(ctx_with_deadline(l->bg, 100));
  l->c[0] = ctx_retain(l->first);
  l->last = need(ctx_with_deadline(l->bg, 70));
  for (int i = 1; i <= MILLION; i++) {
    bool swapped = i % 2 == 0;
    ctx_context *before = l->c[i - 1];
    l->c[i] = swapped ? merge2(before, l->first) : merge2(l->first, before);
  }
}

static void chain(struct large *l)
{
  grow_chain(l);
  int64_t calls = l->w.calls;
  CHECK_INT(ctx_extend(l->first, 60), 0);
  CHECK_INT(ctx_deadline(l->c[MILLION]), 60);
  CHECK_INT(ctx_extend(l->first, CTX_NEVER), 0);
  for (int i = 1; i <= MILLION; i++) {
    if (!CHECK_INT(ctx_deadline(l->c[i]), CTX_NEVER)) break;
  }
  CHECK(ctx_cancel(l->first));
  for (int i = 0; i <= MILLION; i++) {
    if (!CHECK_INT(ctx_err(l->c[i]), CTX_CANCELED)) break;
  }
  for (int i = 0; i <= MILLION; i++) ctx_release(l->c[i]);
  ctx_release(l->first);
  ctx_release(l->last);
  CHECK_INT(l->w.calls, calls);
}

static void chain_released(struct large *l)
{
  grow_chain(l);
  int64_t calls = l->w.calls;
  ctx_release(l->last);
  ctx_release(l->first);
  for (int i = 0; i <= MILLION; i++) ctx_release(l->c[i]);
  CHECK_INT(l->w.calls, calls);
}

/* Two ways lead from each merge to the next: a deadline is moved at the top. */
static void diamonds(struct large *l)
{
  enum { DIAMONDS = MILLION / 3 };
  ctx_context *top = l->first = need(ctx_with_deadline(l->bg, 100));
  ctx_retain(top);
  for (int i = 0; i < DIAMONDS; i++) {
    ctx_context *a = need(ctx_with_grace(top, 1)), *b = need(ctx_with_deadline(top, 1000000 - i));
    ctx_context *m = merge2(a, b);
    ctx_release(a);
    ctx_release(b);
    ctx_release(top);
    top = m;
  }
  int64_t calls = l->w.calls;
  CHECK_INT(ctx_deadline(top), 100);
  CHECK_INT(ctx_extend(l->first, CTX_NEVER), 0);
  CHECK_INT(ctx_deadline(top), 1000000 - DIAMONDS + 1);
  CHECK_INT(ctx_extend(l->first, 50), 0);
  CHECK_INT(ctx_deadline(top), 50);
  CHECK(ctx_cancel(l->first));
  CHECK_INT(ctx_err(top), CTX_CANCELED);
  ctx_release(l->first);
  ctx_release(top);
  CHECK_INT(l->w.calls, calls);
}

static void fan(struct large *l)
{
  l->first = need(ctx_with_deadline(l->bg, 100));
  l->last = need(ctx_with_deadline(l->bg, 70));
  for (int i = 0; i <= MILLION; i++) l->c[i] = merge2(l->first, l->last);
  int64_t calls = l->w.calls;
  CHECK_INT(ctx_extend(l->last, 200), 0);
  CHECK_INT(ctx_deadline(l->c[MILLION]), 100);
  CHECK_INT(ctx_deadline(l->c[0]), 100);
  for (int i = 0; i < MILLION; i += 2) ctx_cancel(l->c[i]);
  CHECK(ctx_cancel(l->last));
  for (int i = 0; i <= MILLION; i++) {
    if (!CHECK_INT(ctx_err(l->c[i]), CTX_CANCELED)) break;
  }
  for (int i = 0; i <= MILLION; i++) ctx_release(l->c[i]);
  CHECK_INT(ctx_err(l->first), 0);
  ctx_release(l->first);
  ctx_release(l->last);
  CHECK_INT(l->w.calls, calls);
}

TEST(chain_of_a_million)
{
  on_small_stack(chain);
}

TEST(chain_of_a_million_released)
{
  on_small_stack(chain_released);
}

TEST(a_million_in_diamonds)
{
  on_small_stack(diamonds);
}

TEST(fan_of_a_million)
{
  on_small_stack(fan);
}

/* ---- by chance, against a model ------------------------------------------------ */

enum { NODES = 40, MOVES = 120, UPS = 4 };

struct one {
  ctx_context *c;
  int up[UPS], ups; /* in the order in which they were given; none: the background */
  int64_t wish;     /* CTX_NEVER where it has none */
  int64_t grace;    /* -1 where it has none */
  int64_t end_ns;   /* of a grace whose parent has ended: its own deadline */
  int err;
  bool timed;
};

struct model {
  struct world w;
  uint64_t seed;
  struct one n[NODES];
};

static void model_make(struct model *m, int i, ctx_context *bg)
{
  struct one *o = &m->n[i];
  int64_t kind = i < 2 ? 1 : below(&m->seed, 5);
  ctx_context *up[UPS] = {bg};
  o->ups = i < 2 ? 0 : kind >= 3 ? 1 + (int)below(&m->seed, UPS) : 1;
  for (int k = 0; k < o->ups; k++) {
    o->up[k] = (int)below(&m->seed, i);
    up[k] = m->n[o->up[k]].c;
  }
  o->wish = CTX_NEVER;
  o->grace = -1;
  o->end_ns = CTX_NEVER;
  o->timed = kind == 1;
  if (kind == 0) o->c = ctx_with_cancel(up[0]);
  if (kind == 1) o->c = ctx_with_deadline(up[0], o->wish = 10 + below(&m->seed, 90));
  if (kind == 2) o->c = ctx_with_grace(up[0], o->grace = 1 + below(&m->seed, 20));
  if (kind >= 3) o->c = ctx_merge((size_t)o->ups, up);
  need(o->c);
}

static int64_t model_above(const struct model *m, const int64_t *effective, int i)
{
  int64_t first = CTX_NEVER;
  for (int k = 0; k < m->n[i].ups; k++) {
    int64_t up = effective[m->n[i].up[k]];
    if (up < first) first = up;
  }
  return first;
}

static int64_t model_deadline(const struct model *m, const int64_t *effective, int i)
{
  const struct one *o = &m->n[i];
  int64_t above = model_above(m, effective, i);
  if (o->grace < 0) return o->wish < above ? o->wish : above;
  int64_t own = above == CTX_NEVER ? CTX_NEVER : above + o->grace;
  return o->end_ns < own ? o->end_ns : own;
}

/* What a cancel of 'i' ends, in the model: all below, but what has a grace period. */
static void model_cancel(struct model *m, int i)
{
  bool hit[NODES] = {false};
  hit[i] = m->n[i].err == 0;
  for (int k = i + 1; hit[i] && k < NODES; k++) {
    struct one *o = &m->n[k];
    for (int u = 0; u < o->ups; u++) {
      if (!hit[o->up[u]] || o->err != 0) continue;
      if (o->grace >= 0)
        o->end_ns = o->grace; /* time stands at 0 */
      else
        hit[k] = true;
    }
  }
  for (int k = i; k < NODES; k++) {
    if (hit[k]) m->n[k].err = CTX_CANCELED;
  }
}

static void model_compare(struct model *m)
{
  int64_t effective[NODES], timers = 0;
  for (int i = 0; i < NODES; i++) {
    const struct one *o = &m->n[i];
    effective[i] = o->err != 0 ? ctx_deadline(o->c) : model_deadline(m, effective, i);
    CHECK_INT(ctx_err(o->c), o->err);
    CHECK_INT(ctx_deadline(o->c), effective[i]);
    bool own = o->grace >= 0 ? effective[i] < CTX_NEVER : o->wish < model_above(m, effective, i);
    timers += o->err == 0 && own;
  }
  CHECK_INT(counters(&m->w).timers, timers);
  CHECK(ctx__check(m->w.engine) == NULL);
}

static void model_move(struct model *m)
{
  int i = (int)below(&m->seed, NODES);
  struct one *o = &m->n[i];
  if (below(&m->seed, 12) == 0) {
    CHECK(ctx_cancel(o->c) == (o->err == 0));
    model_cancel(m, i);
  } else {
    int64_t to = below(&m->seed, 6) == 0 ? CTX_NEVER : 10 + below(&m->seed, 90);
    int expected = !o->timed ? EINVAL : o->err != 0 ? ECANCELED : 0;
    if (CHECK_INT(ctx_extend(o->c, to), expected) && expected == 0) o->wish = to;
  }
}

static void model_run(uint64_t seed)
{
  struct model m = {.seed = seed};
  ctx_context *bg = manual(&m.w);
  for (int i = 0; i < NODES; i++) model_make(&m, i, bg);
  model_compare(&m);
  for (int i = 0; i < MOVES; i++) {
    model_move(&m);
    if (i % 4 == 0) model_compare(&m);
  }
  for (int i = 0; i < NODES; i++) ctx_release(m.n[(i * 7 + (int)seed) % NODES].c);
  world_close(&m.w);
}

TEST(as_a_model_says)
{
  for (uint64_t seed = 1; seed <= TREES; seed++) {
    model_run(seed);
    if (check_failures > 0) {
      printf("# seed %llu\n", (unsigned long long)seed);
      break;
    }
  }
}

/* ---- races ----------------------------------------------------------------------- */

struct race {
  ctx_context *a, *b, *m;
  ctx_cause *why_a, *why_b;
  pthread_barrier_t barrier;
};

static void *cancel_b(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  CHECK(ctx_cancel_cause(r->b, ctx_cause_retain(r->why_b)));
  CHECK_INT(ctx_err(r->m), CTX_CANCELED);
  return NULL;
}

static void *cancel_m(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  ctx_cancel_cause(r->m, ctx_cause_retain(r->why_b));
  CHECK_INT(ctx_err(r->m), CTX_CANCELED);
  return NULL;
}

static void *release_m(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  ctx_release(r->m);
  return NULL;
}

static void *bear_m(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  r->m = merge2(r->a, r->b);
  return NULL;
}

/* Cancels 'a' while another thread does 'with'; the merge has the one cause or the other. */
static void race_run(ctx_context *bg, void *(*with)(void *), bool first, ctx_cause *const why[2])
{
  struct race r = {.why_a = why[0], .why_b = why[1]};
  r.a = ctx_with_cancel(bg);
  r.b = ctx_with_cancel(bg);
  if (first) r.m = merge2(r.a, r.b);
  pthread_barrier_init(&r.barrier, NULL, 2);
  pthread_t t = start_sized(with, &r, STACK);
  pthread_barrier_wait(&r.barrier);
  CHECK(ctx_cancel_cause(r.a, ctx_cause_retain(r.why_a)));
  if (with == cancel_b || with == cancel_m) CHECK_INT(ctx_err(r.m), CTX_CANCELED);
  join(t);
  if (with != release_m) {
    const ctx_cause *x = ctx_cause_of(r.m);
    CHECK(x == r.why_a || (x == r.why_b && with != bear_m));
    ctx_release(r.m);
  }
  pthread_barrier_destroy(&r.barrier);
  ctx_cancel(r.b);
  ctx_release(r.a);
  ctx_release(r.b);
}

static void races(void *(*with)(void *), bool first)
{
  struct world w;
  ctx_context *bg = host(&w);
  ctx_cause *why[2] = {cause("a"), cause("b")};
  for (int i = 0; i < ROUNDS; i++) race_run(bg, with, first, why);
  ctx_cause_release(why[0]);
  ctx_cause_release(why[1]);
  world_close(&w);
}

TEST(two_parents_end_at_once)
{
  races(cancel_b, true);
}

TEST(parent_and_merge_end_at_once)
{
  races(cancel_m, true);
}

TEST(let_go_while_a_parent_ends)
{
  races(release_m, true);
}

TEST(born_while_a_parent_ends)
{
  races(bear_m, false);
}

/* Merges are born, end and go while a deadline above both parents is moved. */
static void *churn(void *arg)
{
  struct race *r = arg;
  pthread_barrier_wait(&r->barrier);
  for (int i = 0; i < ROUNDS / 10; i++) {
    ctx_context *m = merge2(r->a, r->b), *n = merge2(m, r->b);
    if (i % 2 == 0) ctx_cancel(m);
    ctx_release(m);
    ctx_release(n);
  }
  return NULL;
}

TEST(born_while_a_deadline_moves)
{
  struct world w;
  ctx_context *bg = host(&w), *top = ctx_with_deadline(bg, 50);
  struct race r = {.a = ctx_with_cancel(top), .b = ctx_with_deadline(top, 1000)};
  r.m = merge2(r.a, r.b);
  pthread_barrier_init(&r.barrier, NULL, 2);
  pthread_t t = start_sized(churn, &r, STACK);
  pthread_barrier_wait(&r.barrier);
  for (int i = 0; i < ROUNDS / 10; i++) {
    int64_t to = 10 + i % 2000;
    CHECK_INT(ctx_extend(top, to), 0);
    ctx_context *m = merge2(r.b, r.a);
    CHECK_INT(ctx_deadline(m), to < 1000 ? to : 1000);
    CHECK_INT(ctx_deadline(r.m), to < 1000 ? to : 1000);
    ctx_release(m);
  }
  join(t);
  pthread_barrier_destroy(&r.barrier);
  ctx_release(r.m);
  ctx_release(r.b);
  ctx_release(r.a);
  ctx_release(top);
  world_close(&w);
}

/* ---- in a snapshot ------------------------------------------------------------------ */

/* Many, so that what has been seen is looked up. */
TEST(is_in_a_snapshot_of_one_parent)
{
  enum { MERGES = 100 };
  struct world w;
  ctx_context *bg = host(&w), *a = ctx_with_cancel(bg), *b = ctx_with_cancel(bg);
  ctx_context *below[MERGES], *m[MERGES];
  for (int i = 0; i < MERGES; i++) {
    m[i] = need(ctx_merge(3, (ctx_context *[]){a, b, b}));
    below[i] = ctx_with_cancel(m[i]);
  }
  ctx_snapshot *s = need(ctx_snapshot_take(b)); /* a, the first parent, is not in it */
  CHECK_INT(ctx_snapshot_count(s), 1 + 3 * MERGES);
  int shown = 0;
  for (size_t i = 0; i < ctx_snapshot_count(s); i++)
    shown += strcmp(ctx_snapshot_at(s, i)->kind, "cancel") == 0;
  CHECK_INT(shown, 1 + MERGES);
  ctx_snapshot_free(s);
  for (int i = 0; i < MERGES; i++) ctx_release(below[i]), ctx_release(m[i]);
  ctx_release(a), ctx_release(b);
  world_close(&w);
}

TEST(is_in_a_snapshot)
{
  struct world w;
  ctx_context *bg = manual(&w), *top = ctx_with_cancel(bg);
  ctx_context *a = ctx_with_cancel(top), *b = ctx_with_cancel(top), *m = merge2(a, b);
  ctx_context *child = ctx_with_cancel(m);
  ctx_snapshot *s = need(ctx_snapshot_take(top));
  static const char *const kinds[] = {"cancel", "cancel", "merge", "cancel", "cancel", "merge"};
  static const size_t depths[] = {0, 1, 2, 3, 1, 2};
  if (CHECK_INT(ctx_snapshot_count(s), 6)) {
    for (size_t i = 0; i < 6; i++) {
      CHECK_STR(ctx_snapshot_at(s, i)->kind, kinds[i]);
      CHECK_INT(ctx_snapshot_at(s, i)->depth, depths[i]);
    }
    CHECK(ctx_snapshot_at(s, 5)->context == m && ctx_snapshot_at(s, 2)->context == m);
  }
  ctx_snapshot_free(s);
  ctx_release(child);
  ctx_release(m);
  ctx_release(b);
  ctx_release(a);
  ctx_release(top);
  world_close(&w);
}

static const struct test tests[] = {
  T(ends_with_the_first, "K1 it ends with the first of its parents, with its err and cause"),
  T(ends_by_itself, "K1 C3 it ends by itself, and its parents live"),
  T(first_listed_wins, "K1 C5 of several that are done the first listed counts"),
  T(refuses, "K1 P1 no parent, a hole or parents of two engines are refused"),
  T(one_or_the_same_or_none_that_ends, "K1 one parent, twice the same, or none that ends"),
  T(leaves_nothing, "K1 C12 C13 it leaves nothing behind in its parents"),
  T(keeps_its_parents, "K1 F8 it keeps its parents, and lets them go"),
  T(keeps_one_that_a_cancel_came_back_to, "K1 C10 F8 and one that a cancel has come back to"),
  T(order_of_one_cancel,
    "K1 C8 a cancel goes through it, depth first, by the way that comes first"),
  T(earliest_deadline, "K1 B4 B8 its deadline is the earliest, and a question ends who owns it"),
  T(past_parent_is_done, "K1 B8 a parent past its deadline is done"),
  T(follows_a_move, "K1 D13 its deadline follows those of its parents"),
  T(wakes_waiters_of_a_moved_parent, "K1 D13 who waits below it looks again"),
  T(values_of_all, "K1 F1 F2 it sees the values of the first, then of the others"),
  T(one_allocation, "K1 F7 it takes one block"),
  T(lists_stay_short, "K1 F3 merges of merges hold each key once"),
  T(chain_of_a_million,
    "K1 C10 D13 a million of them in a chain, on a small stack, with no memory"),
  T(chain_of_a_million_released, "K1 C10 and let go"),
  T(a_million_in_diamonds, "K1 C10 D13 and so in diamonds: each is visited once"),
  T(fan_of_a_million, "K1 C10 C12 D13 and in a fan of two parents"),
  T(as_a_model_says, "K1 D13 G1 made by chance, they end and follow as a model says"),
  T(two_parents_end_at_once, "K1 C1 E1 two parents may end at once"),
  T(parent_and_merge_end_at_once, "K1 C2 and a parent and the merge"),
  T(let_go_while_a_parent_ends, "K1 it may be let go while a parent ends"),
  T(born_while_a_parent_ends, "K1 C6 or be born: it is never lost"),
  T(born_while_a_deadline_moves, "K1 C6 D13 or while a deadline above is moved"),
  T(is_in_a_snapshot_of_one_parent,
    "K1 N3 a snapshot below another parent than the first shows all below it"),
  T(is_in_a_snapshot, "K1 N3 a snapshot shows it below each parent, and what is below it once"),
};

int main(int argc, char **argv)
{
  return check_run("merge", tests, sizeof tests / sizeof *tests, argc, argv);
}
