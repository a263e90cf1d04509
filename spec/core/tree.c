/*
 * tree - who ends when an ancestor ends, in which order, and who is forgotten
 *
 * Small trees by hand; chains and fans of a million on a stack of 64 KiB; a long
 * random run against a model that knows nothing but the rules; and trees that
 * eight threads cancel, extend and release at once.
 */
#define _GNU_SOURCE 1

#include "world.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef SLOW
enum { MILLION = 50000, STACK = 512 * 1024, STEPS = 60000, ROUNDS = 2 };
#else
enum { MILLION = 1000000, STACK = 64 * 1024, STEPS = 200000, ROUNDS = 4 };
#endif

/* ---- the order of one cancel ------------------------------------------ */

enum { ORDER_MAX = 64 };

/* What ran, by the number that each hook was given. */
static struct {
  size_t n;
  int ran[ORDER_MAX];
} order;

static void note(ctx_context *c, void *arg)
{
  CHECK(ctx_done(c));
  if (order.n < ORDER_MAX) order.ran[order.n++] = *(const int *)arg;
}

static int number[ORDER_MAX];
static ctx_hook *noted[ORDER_MAX];

static ctx_context *numbered(ctx_context *c, int i)
{
  number[i] = i;
  noted[i] = need(ctx_after_func(c, note, &number[i], CTX_HOOK_INLINE));
  return c;
}

static void order_is(const int *expected, size_t n)
{
  CHECK_INT(order.n, n);
  for (size_t i = 0; i < n && i < order.n; i++) CHECK_INT(order.ran[i], expected[i]);
  order.n = 0;
}

#define ORDER_IS(...) \
  order_is((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void let_go(ctx_context **c, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    ctx_hook_release(noted[i]);
    ctx_release(c[i]);
  }
}

/*
 *        0
 *      / | \
 *     1  2  5        in the order of their creation: 0 1 2 5, then 4 3 below 1,
 *    / \    |        then 6 below 5; so depth first: 0 1 4 3 2 5 6
 *   4   3   6
 */
TEST(depth_first)
{
  struct world w;
  ctx_context *c[7];
  order.n = 0;
  c[0] = numbered(ctx_with_cancel(manual(&w)), 0);
  c[1] = numbered(ctx_with_cancel(c[0]), 1);
  c[2] = numbered(ctx_with_cancel(c[0]), 2);
  c[5] = numbered(ctx_with_timeout(c[0], 50), 5);
  c[6] = numbered(ctx_with_cancel(c[5]), 6);
  c[4] = numbered(ctx_with_timeout(c[1], 50), 4);
  c[3] = numbered(ctx_with_cancel(c[1]), 3);
  ctx_cancel(c[0]);
  ORDER_IS(0, 1, 4, 3, 2, 5, 6);
  let_go(c, 7);
  world_close(&w);
}

/* Through a value layer a child hangs on the nearest that can end: creation decides. */
TEST(order_through_values)
{
  struct world w;
  ctx_context *c[7];
  order.n = 0;
  c[0] = numbered(ctx_with_cancel(manual(&w)), 0);
  c[1] = ctx_with_value(c[0], &w, &w, NULL);
  c[2] = numbered(ctx_with_cancel(c[1]), 2);
  c[3] = numbered(ctx_with_cancel(c[0]), 3);
  c[4] = numbered(ctx_with_cancel(c[1]), 4);
  c[5] = numbered(ctx_with_cancel(c[2]), 5);
  c[6] = numbered(ctx_without_cancel(c[1]), 6);
  numbered(c[1], 1);
  ctx_cancel(c[0]);
  ORDER_IS(0, 1, 2, 5, 3, 4);
  CHECK(ctx_hook_stop(noted[6]));
  let_go(c, 7);
  world_close(&w);
}

TEST(order_without_the_ended)
{
  struct world w;
  ctx_context *c[6];
  order.n = 0;
  c[0] = numbered(ctx_with_cancel(manual(&w)), 0);
  for (int i = 1; i < 5; i++) c[i] = numbered(ctx_with_cancel(c[0]), i);
  c[5] = numbered(ctx_with_cancel(c[2]), 5);
  ctx_cancel(c[2]);
  ORDER_IS(2, 5);
  ctx_hook_stop(noted[4]);
  ctx_cancel(c[0]);
  ORDER_IS(0, 1, 3);
  CHECK(ctx_done(c[4]));
  let_go(c, 6);
  world_close(&w);
}

TEST(order_of_driver)
{
  struct world w;
  ctx_context *c[5];
  order.n = 0;
  c[0] = numbered(ctx_with_timeout(manual(&w), 50), 0);
  c[1] = numbered(ctx_with_timeout(c[0], 40), 1);
  c[2] = numbered(ctx_with_timeout(c[0], 30), 2);
  c[3] = numbered(ctx_with_timeout(c[0], 40), 3);
  c[4] = numbered(ctx_with_cancel(c[0]), 4);
  ctx_engine_advance(w.engine, 100);
  ORDER_IS(2, 1, 3, 0, 4);
  let_go(c, 5);
  world_close(&w);
}

TEST(all_below_are_done)
{
  struct world w;
  ctx_context *c[200] = {ctx_with_cancel(manual(&w))};
  uint64_t seed = 7;
  for (size_t i = 1; i < 200; i++) c[i] = need(ctx_with_cancel(c[below(&seed, (int64_t)i)]));
  CHECK(ctx_cancel(c[0]));
  CHECK_INT(w.now_ns, 0);
  for (size_t i = 0; i < 200; i++) CHECK_INT(ctx_err(c[i]), CTX_CANCELED);
  for (size_t i = 0; i < 200; i++) ctx_release(c[i]);
  world_close(&w);
}

TEST(dropped_child)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  int64_t blocks = w.blocks;
  for (int i = 0; i < 1000; i++) {
    ctx_context *v = ctx_with_value(a, &w, &w, NULL), *b = ctx_with_timeout(v, 50);
    ctx_release(v);
    ctx_release(b);
    CHECK_INT(w.blocks, blocks);
  }
  CHECK_INT(counters(&w).contexts, 1);
  CHECK_INT(counters(&w).timers, 0);
  CHECK(ctx__check(w.engine) == NULL);
  CHECK(ctx_cancel(a));
  ctx_release(a);
  world_close(&w);
}

/* ---- a million, on a small stack -------------------------------------- */

struct large {
  struct world w;
  ctx_context *bg;
  ctx_context **c;   /* of a chain the first and the last, of a fan the parent and all others */
  struct link *next; /* the hook that is to run next */
  int64_t calls;     /* allocations before the part that is to make none */
  void (*run)(struct large *);
};

static void *large_thread(void *arg)
{
  struct large *l = arg;
  l->run(l);
  return NULL;
}

/* Runs 'run' on a stack of STACK bytes; once it has grown something it allocates no more. */
static void on_small_stack(ctx_driver driver, void (*run)(struct large *))
{
  struct large l = {.run = run};
  pthread_attr_t attr;
  pthread_t thread;
  l.bg = world_open(&l.w, driver, START);
  l.c = need(calloc(MILLION + 1, sizeof *l.c));
  pthread_attr_init(&attr);
  CHECK_INT(pthread_attr_setstacksize(&attr, STACK), 0);
  if (pthread_create(&thread, &attr, large_thread, &l) != 0) abort();
  pthread_join(thread, NULL);
  pthread_attr_destroy(&attr);
  CHECK_INT(l.w.calls, l.calls);
  free(l.c);
  world_close(&l.w);
}

/* From here on nothing may be allocated. */
static void grown(struct large *l)
{
  CHECK(counters(&l->w).contexts >= MILLION);
  l->calls = l->w.calls;
}

static void grow_chain(struct large *l, ctx_context *first,
                       ctx_context *(*child)(ctx_context *, int))
{
  l->c[0] = need(first);
  l->c[1] = ctx_retain(first);
  for (int i = 1; i < MILLION; i++) {
    ctx_context *c = need(child(l->c[1], i));
    ctx_release(l->c[1]);
    l->c[1] = c;
  }
  grown(l);
}

static ctx_context *plain_child(ctx_context *parent, int i)
{
  (void)i;
  return ctx_with_cancel(parent);
}

/* Every second one holds a value, every third of the others has a timer of its own. */
static ctx_context *mixed_child(ctx_context *parent, int i)
{
  static const char key;
  if (i % 2 == 0) return ctx_with_value(parent, &key, NULL, NULL);
  if (i % 3 == 0) return ctx_with_deadline(parent, 3 * MILLION - i);
  return ctx_with_cancel(parent);
}

static void cancel_chain(struct large *l)
{
  CHECK(ctx_cancel(l->c[0]));
  CHECK(ctx_err(l->c[1]) == CTX_CANCELED);
  CHECK(ctx_cause_of(l->c[1]) == ctx_cause_of(l->c[0]));
  CHECK(counters(&l->w).timers == 0);
  ctx_release(l->c[0]);
  ctx_release(l->c[1]);
}

static void release_chain(struct large *l)
{
  ctx_release(l->c[0]);
  CHECK(!ctx_done(l->c[1]));
  ctx_release(l->c[1]);
}

static void chain_canceled(struct large *l)
{
  grow_chain(l, ctx_with_cancel(l->bg), plain_child);
  cancel_chain(l);
}

static void chain_released(struct large *l)
{
  grow_chain(l, ctx_with_cancel(l->bg), plain_child);
  release_chain(l);
}

static void mixed_chain_canceled(struct large *l)
{
  grow_chain(l, ctx_with_cancel(l->bg), mixed_child);
  cancel_chain(l);
}

static void mixed_chain_released(struct large *l)
{
  grow_chain(l, ctx_with_cancel(l->bg), mixed_child);
  release_chain(l);
}

/* The deadline is that of the first context, the question is put to the last. */
static void chain_expired(struct large *l)
{
  grow_chain(l, ctx_with_deadline(l->bg, 50), plain_child);
  CHECK(!ctx_done(l->c[1]));
  world_set(&l->w, 50);
  CHECK(ctx_err(l->c[1]) == CTX_DEADLINE_EXCEEDED);
  CHECK(ctx_err(l->c[0]) == CTX_DEADLINE_EXCEEDED);
  ctx_release(l->c[0]);
  ctx_release(l->c[1]);
}

static void deep_value(struct large *l)
{
  static const char key, other;
  ctx_context *v = need(ctx_with_value(l->bg, &key, l, NULL));
  grow_chain(l, ctx_with_cancel(v), mixed_child);
  CHECK(ctx_value(l->c[1], &key) == l);
  CHECK(ctx_value(l->c[1], &other) == NULL);
  ctx_release(v);
  release_chain(l);
}

struct link {
  struct large *l;
  ctx_hook hook;
};

static void next_link(ctx_context *c, void *arg)
{
  struct link *k = arg;
  CHECK(ctx_done(c) && k->l->next == k);
  k->l->next = k + 1;
}

/* The references that hooks hold are all that keeps this chain, but for its first. */
static void hooked_chain(struct large *l)
{
  struct link *links = need(malloc(MILLION * sizeof *links));
  ctx_context *c = l->c[0] = need(ctx_with_cancel(l->bg));
  for (int i = 0; i < MILLION; i++) {
    links[i].l = l;
    ctx_hook_init(&links[i].hook, next_link, &links[i], CTX_HOOK_INLINE);
    CHECK(ctx_hook_attach(&links[i].hook, c) == 0);
    ctx_context *child = i + 1 < MILLION ? need(ctx_with_cancel(c)) : NULL;
    if (i > 0) ctx_release(c);
    c = child;
  }
  grown(l);
  l->next = links;
  CHECK(ctx_cancel(l->c[0]));
  CHECK(l->next == links + MILLION);
  ctx_release(l->c[0]);
  free(links);
}

static void grow_fan(struct large *l)
{
  l->c[0] = need(ctx_with_cancel(l->bg));
  for (int i = 1; i <= MILLION; i++)
    l->c[i] = need(i % 8 != 0 ? ctx_with_cancel(l->c[0]) : ctx_with_deadline(l->c[0], i));
  grown(l);
}

static void fan_canceled(struct large *l)
{
  grow_fan(l);
  CHECK(ctx_cancel(l->c[0]));
  for (int i = 1; i <= MILLION; i++) CHECK(ctx_err(l->c[i]) == CTX_CANCELED);
  CHECK(counters(&l->w).timers == 0);
  for (int i = 0; i <= MILLION; i++) ctx_release(l->c[i]);
}

/* Every child is gone at once, wherever it stands: from the front, the back, between. */
static void fan_released(struct large *l)
{
  grow_fan(l);
  for (int i = 1; i <= MILLION; i += 2) ctx_release(l->c[i]);
  for (int i = MILLION; i > MILLION / 2; i -= 2) ctx_release(l->c[i]);
  for (int i = 2; i <= MILLION / 2; i += 2) ctx_release(l->c[i]);
  CHECK(counters(&l->w).contexts == 1);
  CHECK(counters(&l->w).timers == 0);
  ctx_release(l->c[0]);
}

static void fan_canceled_one_by_one(struct large *l)
{
  grow_fan(l);
  for (int i = MILLION; i > 0; i--) CHECK(ctx_cancel(l->c[i]));
  CHECK(!ctx_done(l->c[0]));
  CHECK(counters(&l->w).timers == 0);
  for (int i = 0; i <= MILLION; i++) ctx_release(l->c[i]);
}

TEST(long_chain_canceled)
{
  on_small_stack(CTX_DRIVER_MANUAL, chain_canceled);
}

TEST(long_chain_released)
{
  on_small_stack(CTX_DRIVER_MANUAL, chain_released);
}

TEST(long_mixed_chain_canceled)
{
  on_small_stack(CTX_DRIVER_MANUAL, mixed_chain_canceled);
}

TEST(long_mixed_chain_released)
{
  on_small_stack(CTX_DRIVER_MANUAL, mixed_chain_released);
}

TEST(long_chain_expired)
{
  on_small_stack(CTX_DRIVER_HOST, chain_expired);
}

TEST(long_chain_value)
{
  on_small_stack(CTX_DRIVER_MANUAL, deep_value);
}

TEST(long_chain_hooks)
{
  on_small_stack(CTX_DRIVER_MANUAL, hooked_chain);
}

TEST(wide_fan_canceled)
{
  on_small_stack(CTX_DRIVER_MANUAL, fan_canceled);
}

TEST(wide_fan_released)
{
  on_small_stack(CTX_DRIVER_MANUAL, fan_released);
}

TEST(wide_fan_canceled_one_by_one)
{
  on_small_stack(CTX_DRIVER_MANUAL, fan_canceled_one_by_one);
}

/* ---- a random run against a model ------------------------------------- */

/*
 * The model is the rules, written down as plainly as possible: arrays, searched
 * from end to end. It keeps for each context who its parent is, what keeps it
 * alive, its deadline and its end; for each hook whether it is attached, waits
 * for the driver, or is over.
 */
enum { NODES = 96, HOOKS = 64, NONE = -1, KEYS = 3 };

enum kind { CANCEL, DEADLINE, VALUE, DETACHED, KINDS };

struct sim_node {
  ctx_context *c; /* NULL: a free place */
  enum kind kind;
  int parent;   /* NONE: the background */
  int handles;  /* references that the run holds */
  int kept;     /* living children and waiting hooks */
  int64_t born; /* number of its creation, and of the arming of its timer */
  int64_t deadline;
  bool armed;
  int err;      /* of one that can end */
  int why;      /* code of the cause; 0: it repeats the err */
  int wish_why; /* code of the cause of its own deadline */
  int key;
};

enum hook_state { FREE, ATTACHED, WAITING, RAN, STOPPED };

struct sim_hook {
  struct sim *sim;
  ctx_hook *h; /* NULL: released */
  enum hook_state state;
  int node;
  bool inlined;
  int64_t born;
  int64_t queued; /* when it began to wait for the driver */
  int runs;       /* how often it really ran */
};

/* Which hooks ran, in order: what really happened, and what the model says. */
struct sim_log {
  size_t real_n, model_n;
  int64_t real[HOOKS], model[HOOKS];
};

struct sim {
  struct world w;
  ctx_context *bg;
  bool lazy; /* a host engine: the clock moves, and nobody may notice for a while */
  uint64_t seed;
  int64_t now, clock; /* 'clock' numbers what happens */
  int causes;         /* causes given so far: their codes */
  int drops[NODES], model_drops[NODES];
  struct sim_node node[NODES];
  struct sim_hook hook[HOOKS];
  struct sim_log inlined, driven;
};

static bool sim_can_end(const struct sim_node *n)
{
  return n->kind == CANCEL || n->kind == DEADLINE;
}

/* Whose end 'i' shows, or NONE. */
static int sim_ending(const struct sim *s, int i)
{
  while (i != NONE && s->node[i].kind == VALUE) i = s->node[i].parent;
  return i != NONE && sim_can_end(&s->node[i]) ? i : NONE;
}

static int sim_err(const struct sim *s, int i)
{
  int e = sim_ending(s, i);
  return e == NONE ? 0 : s->node[e].err;
}

static int64_t sim_deadline(const struct sim *s, int i)
{
  return i == NONE ? CTX_NEVER : s->node[i].deadline;
}

static void sim_keep(struct sim *s, int i)
{
  if (i != NONE) s->node[i].kept++;
}

/* Frees 'i', if nothing keeps it, and then the ancestors that only it kept. */
static void sim_settle(struct sim *s, int i)
{
  while (i != NONE && s->node[i].handles + s->node[i].kept == 0) {
    struct sim_node *n = &s->node[i];
    s->model_drops[i] += n->kind == VALUE;
    n->c = NULL;
    i = n->parent;
    if (i != NONE) s->node[i].kept--;
  }
}

static void sim_unkeep(struct sim *s, int i)
{
  if (i == NONE) return;
  s->node[i].kept--;
  sim_settle(s, i);
}

/* The first born after 'after' among the living children that hang on 'up', or NONE. */
static int sim_next_child(const struct sim *s, int up, int64_t after)
{
  int best = NONE;
  for (int i = 0; i < NODES; i++) {
    const struct sim_node *n = &s->node[i];
    if (n->c == NULL || !sim_can_end(n) || n->born <= after) continue;
    if (sim_ending(s, n->parent) != up) continue;
    if (best == NONE || n->born < s->node[best].born) best = i;
  }
  return best;
}

/* The first born after 'after' among the hooks that are attached to the end of 'e'. */
static int sim_next_hook(const struct sim *s, int e, int64_t after)
{
  int best = NONE;
  for (int i = 0; i < HOOKS; i++) {
    const struct sim_hook *h = &s->hook[i];
    if (h->state != ATTACHED || h->born <= after || sim_ending(s, h->node) != e) continue;
    if (best == NONE || h->born < s->hook[best].born) best = i;
  }
  return best;
}

static void sim_run_hook(struct sim *s, int i)
{
  struct sim_hook *h = &s->hook[i];
  struct sim_log *log = h->inlined ? &s->inlined : &s->driven;
  h->state = RAN;
  log->model[log->model_n++ % HOOKS] = h->born;
}

enum ender { CANCELER, DRIVER, QUESTION };

static void sim_end_hook(struct sim *s, int i, enum ender who)
{
  struct sim_hook *h = &s->hook[i];
  if (h->inlined && who != QUESTION) {
    sim_run_hook(s, i);
  } else {
    h->state = WAITING;
    h->queued = ++s->clock;
  }
}

/* Ends 'i' and all below it, depth first, in the order of creation. */
static void sim_end(struct sim *s, int i, int err, int why, enum ender who)
{
  if (s->node[i].err != 0) return;
  s->node[i].err = err;
  s->node[i].why = why;
  s->node[i].armed = false;
  for (int h = sim_next_hook(s, i, 0); h != NONE; h = sim_next_hook(s, i, s->hook[h].born))
    sim_end_hook(s, h, who);
  for (int c = sim_next_child(s, i, 0); c != NONE; c = sim_next_child(s, i, s->node[c].born))
    sim_end(s, c, err, why, who);
}

/* Hooks that have run no longer keep their contexts; only once all have run may these go. */
static void sim_let_go(struct sim *s)
{
  for (int i = 0; i < HOOKS; i++) {
    struct sim_hook *h = &s->hook[i];
    if (h->state != RAN || h->node == NONE) continue;
    int node = h->node;
    h->node = NONE;
    sim_unkeep(s, node);
  }
}

/* What a question to 'i' does, when its deadline has passed. */
static void sim_ask(struct sim *s, int i)
{
  int e = sim_ending(s, i);
  if (e == NONE || s->node[e].err != 0 || s->node[e].deadline > s->now) return;
  while (!s->node[e].armed) e = sim_ending(s, s->node[e].parent);
  sim_end(s, e, CTX_DEADLINE_EXCEEDED, s->node[e].wish_why, QUESTION);
}

static int sim_first_waiting(const struct sim *s)
{
  int best = NONE;
  for (int i = 0; i < HOOKS; i++)
    if (s->hook[i].state == WAITING && (best == NONE || s->hook[i].queued < s->hook[best].queued))
      best = i;
  return best;
}

static int sim_first_armed(const struct sim *s)
{
  int best = NONE;
  for (int i = 0; i < NODES; i++) {
    const struct sim_node *n = &s->node[i], *b = &s->node[best == NONE ? 0 : best];
    if (n->c == NULL || !n->armed) continue;
    if (best == NONE || n->deadline < b->deadline ||
        (n->deadline == b->deadline && n->born < b->born))
      best = i;
  }
  return best;
}

/* What the driver does, up to 'now'. */
static void sim_drive(struct sim *s)
{
  for (;;) {
    int e = sim_first_armed(s);
    if (e == NONE || s->node[e].deadline > s->now) break;
    sim_end(s, e, CTX_DEADLINE_EXCEEDED, s->node[e].wish_why, DRIVER);
  }
  for (int h = sim_first_waiting(s); h != NONE; h = sim_first_waiting(s)) sim_run_hook(s, h);
  sim_let_go(s);
}

/* ---- the steps: each does the same to the engine and to the model ------ */

static const char sim_keys[KEYS];

static int sim_random_node(struct sim *s)
{
  int start = (int)below(&s->seed, NODES);
  for (int k = 0; k < NODES; k++)
    if (s->node[(start + k) % NODES].c != NULL) return (start + k) % NODES;
  return NONE;
}

static int sim_free_node(const struct sim *s)
{
  for (int i = 0; i < NODES; i++)
    if (s->node[i].c == NULL) return i;
  return NONE;
}

static ctx_cause *sim_cause(int code)
{
  return need(ctx_cause_new("sim", 3, code, NULL, NULL));
}

static int64_t sim_wish(struct sim *s)
{
  if (below(&s->seed, 10) == 0) return CTX_NEVER;
  int64_t spread = below(&s->seed, 2) == 0 ? 50 : 100000;
  return s->now - 5 + below(&s->seed, spread);
}

static ctx_context *sim_with_deadline(struct sim *s, struct sim_node *n, ctx_context *parent)
{
  int64_t wish = sim_wish(s);
  ctx_cause *x = NULL;
  if (below(&s->seed, 2) == 0) x = sim_cause(n->wish_why = ++s->causes);
  if (wish < n->deadline) {
    n->deadline = wish;
    if (n->err == 0) n->armed = wish > s->now;
    if (n->err == 0 && !n->armed) n->err = CTX_DEADLINE_EXCEEDED, n->why = n->wish_why;
  }
  return ctx_with_deadline_cause(parent, wish, x);
}

static ctx_context *sim_make(struct sim *s, int i, ctx_context *parent)
{
  struct sim_node *n = &s->node[i];
  switch (n->kind) {
  case CANCEL: return ctx_with_cancel(parent);
  case DEADLINE: return sim_with_deadline(s, n, parent);
  case VALUE:
    n->key = (int)below(&s->seed, KEYS);
    return ctx_with_value(parent, &sim_keys[n->key], &s->drops[i], count_drop);
  default: n->deadline = CTX_NEVER; return ctx_without_cancel(parent);
  }
}

static void sim_create(struct sim *s)
{
  int i = sim_free_node(s), parent = below(&s->seed, 8) == 0 ? NONE : sim_random_node(s);
  if (i == NONE) return;
  struct sim_node *n = &s->node[i];
  if (parent != NONE) {
    sim_ask(s, parent);
    ctx_done(s->node[parent].c);
  }
  *n = (struct sim_node){.kind = (enum kind)below(&s->seed, KINDS), .parent = parent, .handles = 1};
  n->born = ++s->clock;
  n->deadline = sim_deadline(s, parent);
  int up = sim_ending(s, parent);
  if (up != NONE && sim_can_end(n)) n->err = s->node[up].err, n->why = s->node[up].why;
  n->c = need(sim_make(s, i, parent == NONE ? s->bg : s->node[parent].c));
  sim_keep(s, parent);
}

static void sim_cancel(struct sim *s)
{
  int i = sim_random_node(s), why = 0;
  if (i == NONE) return;
  struct sim_node *n = &s->node[i];
  bool first = sim_can_end(n) && n->err == 0;
  if (below(&s->seed, 2) == 0) why = ++s->causes;
  if (first) sim_end(s, i, CTX_CANCELED, why, CANCELER);
  ctx_context *c = ctx_retain(n->c); /* a hook may be all that keeps it */
  CHECK(ctx_cancel_cause(c, why != 0 ? sim_cause(why) : NULL) == first);
  ctx_release(c);
  sim_let_go(s);
}

static void sim_release(struct sim *s)
{
  int i = sim_random_node(s);
  if (i == NONE || s->node[i].handles == 0) return;
  ctx_context *c = s->node[i].c;
  s->node[i].handles--;
  sim_settle(s, i);
  ctx_release(c);
}

static void sim_retain(struct sim *s)
{
  int i = sim_random_node(s);
  if (i == NONE || s->node[i].handles > 2) return;
  s->node[i].handles++;
  CHECK(ctx_retain(s->node[i].c) == s->node[i].c);
}

static void sim_hook_runs(ctx_context *c, void *arg)
{
  struct sim_hook *h = arg;
  struct sim_log *log = h->inlined ? &h->sim->inlined : &h->sim->driven;
  h->runs++;
  log->real[log->real_n++ % HOOKS] = h->born;
  CHECK(ctx_done(c));
}

static struct sim_hook *sim_free_hook(struct sim *s)
{
  for (int i = 0; i < HOOKS; i++)
    if (s->hook[i].state == FREE) return &s->hook[i];
  return NULL;
}

static void sim_attach(struct sim *s)
{
  int i = sim_random_node(s);
  struct sim_hook *h = sim_free_hook(s);
  if (i == NONE || h == NULL) return;
  sim_ask(s, i);
  ctx_done(s->node[i].c);
  *h = (struct sim_hook){.sim = s, .state = ATTACHED, .node = i, .born = ++s->clock};
  h->inlined = below(&s->seed, 2) == 0;
  sim_keep(s, i);
  ctx_context *c = ctx_retain(s->node[i].c);
  if (sim_err(s, i) != 0) sim_end_hook(s, (int)(h - s->hook), CANCELER);
  h->h = need(ctx_after_func(c, sim_hook_runs, h, h->inlined ? CTX_HOOK_INLINE : 0));
  ctx_release(c);
  sim_let_go(s);
}

static void sim_stop(struct sim *s)
{
  struct sim_hook *h = &s->hook[below(&s->seed, HOOKS)];
  if (h->state == FREE || h->h == NULL) return;
  bool stopped = h->state == ATTACHED || h->state == WAITING;
  CHECK(ctx_hook_stop(h->h) == stopped);
  if (!stopped) return;
  h->state = STOPPED;
  sim_unkeep(s, h->node);
}

/* What can neither run nor be stopped would stay for ever: such a hook is kept. */
static void sim_forget(struct sim *s)
{
  struct sim_hook *h = &s->hook[below(&s->seed, HOOKS)];
  if (h->state == FREE) return;
  if (h->state == ATTACHED && sim_ending(s, h->node) == NONE) return;
  ctx_hook_release(h->h);
  h->h = NULL;
  if (h->state == RAN) CHECK_INT(h->runs, 1);
  if (h->state == STOPPED) CHECK_INT(h->runs, 0);
  if (h->state == RAN || h->state == STOPPED) h->state = FREE;
}

static void sim_advance(struct sim *s)
{
  int64_t ns = below(&s->seed, below(&s->seed, 8) == 0 ? 50000 : 40);
  s->now += ns;
  if (s->lazy) {
    world_set(&s->w, s->now);
    if (below(&s->seed, 2) == 0) return;
    sim_drive(s);
    ctx_engine_poll(s->w.engine);
  } else {
    sim_drive(s);
    CHECK_INT(ctx_engine_advance(s->w.engine, ns), 0);
  }
}

/* ---- what must agree -------------------------------------------------- */

static int *sim_value(struct sim *s, int i, int key)
{
  for (; i != NONE; i = s->node[i].parent)
    if (s->node[i].kind == VALUE && s->node[i].key == key) return &s->drops[i];
  return NULL;
}

static void sim_compare(struct sim *s, int i)
{
  const ctx_context *c = s->node[i].c;
  sim_ask(s, i);
  int err = sim_err(s, i), e = sim_ending(s, i), key = (int)below(&s->seed, KEYS);
  const ctx_cause *x = ctx_cause_of(c);
  CHECK_INT(ctx_err(c), err);
  CHECK((x != NULL) == (err != 0));
  CHECK_INT(ctx_deadline(c), s->node[i].deadline);
  CHECK(ctx_value(c, &sim_keys[key]) == sim_value(s, i, key));
  if (x == NULL || err == 0) return;
  CHECK_STR(ctx_cause_text(x, NULL), s->node[e].why != 0 ? "sim" : ctx_strerror(err));
  if (s->node[e].why != 0) CHECK_INT(ctx_cause_code(x), s->node[e].why);
}

static void sim_compare_log(struct sim_log *log)
{
  CHECK_INT(log->real_n, log->model_n);
  for (size_t i = 0; i < log->real_n && i < log->model_n; i++)
    CHECK_INT(log->real[i % HOOKS], log->model[i % HOOKS]);
  log->real_n = log->model_n = 0;
}

/* An inline hook that a question left to the driver has no place among the others. */
static void sim_compare_logs(struct sim *s)
{
  sim_compare_log(&s->driven);
  if (!s->lazy) sim_compare_log(&s->inlined);
  CHECK_INT(s->inlined.real_n, s->inlined.model_n);
  s->inlined.real_n = s->inlined.model_n = 0;
}

static void sim_compare_counters(struct sim *s)
{
  ctx_counters n = counters(&s->w);
  for (int i = 0; i < NODES; i++) n.contexts -= s->node[i].c != NULL;
  for (int i = 0; i < NODES; i++) n.timers -= s->node[i].c != NULL && s->node[i].armed;
  for (int i = 0; i < HOOKS; i++)
    n.hooks -= s->hook[i].state == ATTACHED || s->hook[i].state == WAITING;
  CHECK_INT(n.contexts, 0);
  CHECK_INT(n.timers, 0);
  CHECK_INT(n.hooks, 0);
}

static void sim_compare_next(struct sim *s)
{
  int64_t next = ctx_engine_next(s->w.engine);
  int e = sim_first_armed(s);
  if (e != NONE) CHECK(next <= s->node[e].deadline);
  if (sim_first_waiting(s) != NONE) CHECK(next <= s->now);
}

static void sim_compare_all(struct sim *s)
{
  CHECK(ctx__check(s->w.engine) == NULL);
  sim_compare_counters(s);
  sim_compare_next(s);
  for (int i = 0; i < NODES; i++) {
    CHECK_INT(s->drops[i], s->model_drops[i]);
    if (s->node[i].c != NULL) sim_compare(s, i);
  }
}

static void sim_step(struct sim *s)
{
  static void (*const steps[])(struct sim *) = {
    sim_create,  sim_create,  sim_create, sim_create,  sim_release, sim_release,
    sim_release, sim_release, sim_retain, sim_cancel,  sim_attach,  sim_attach,
    sim_stop,    sim_forget,  sim_forget, sim_advance,
  };
  steps[below(&s->seed, sizeof steps / sizeof *steps)](s);
  sim_compare_logs(s);
  for (int k = 0; k < 2; k++) {
    int i = sim_random_node(s);
    if (i != NONE) sim_compare(s, i);
  }
}

/* Gives up everything that the model says there is. */
static void sim_finish(struct sim *s)
{
  struct sim_node *n = s->node;
  for (int i = 0; i < NODES; i++)
    if (n[i].c != NULL) ctx_retain(n[i].c), n[i].handles++;
  for (int i = 0; i < HOOKS; i++) {
    if (s->hook[i].h == NULL) continue;
    ctx_hook_stop(s->hook[i].h);
    ctx_hook_release(s->hook[i].h);
  }
  for (int i = 0; i < NODES; i++)
    if (n[i].c != NULL) ctx_cancel(n[i].c);
  for (int i = 0; i < NODES; i++)
    for (; n[i].handles > 0; n[i].handles--) ctx_release(n[i].c);
  ctx_engine_poll(s->w.engine);
}

static void sim_run(uint64_t seed, bool lazy)
{
  struct sim *s = need(calloc(1, sizeof *s));
  s->seed = seed, s->lazy = lazy;
  s->bg = lazy ? host(&s->w) : manual(&s->w);
  for (int i = 0; i < STEPS; i++) {
    sim_step(s);
    if (i % 64 == 0) sim_compare_all(s);
  }
  sim_compare_all(s);
  sim_finish(s);
  world_close(&s->w);
  free(s);
}

TEST(agrees_with_model)
{
  for (uint64_t seed = 1; seed <= 3; seed++) sim_run(seed * 7919, false);
}

TEST(agrees_with_model_unpolled)
{
  for (uint64_t seed = 1; seed <= 3; seed++) sim_run(seed * 104729, true);
}

/* ---- threads ---------------------------------------------------------- */

enum { CREW_MAX = 8 };

/* Threads that meet at a barrier. */
struct crew {
  size_t n;
  void (*run)(struct crew *, size_t who);
  void *job;
  pthread_barrier_t barrier;
};

struct member {
  struct crew *crew;
  size_t who;
  pthread_t thread;
};

static void *member_thread(void *arg)
{
  struct member *m = arg;
  m->crew->run(m->crew, m->who);
  return NULL;
}

static void meet(struct crew *crew)
{
  pthread_barrier_wait(&crew->barrier);
}

static void crew_run(size_t n, void (*run)(struct crew *, size_t), void *job)
{
  struct crew crew = {.n = n, .run = run, .job = job};
  struct member m[CREW_MAX];
  pthread_barrier_init(&crew.barrier, NULL, (unsigned)n);
  for (size_t i = 0; i < n; i++) {
    m[i] = (struct member){.crew = &crew, .who = i};
    if (pthread_create(&m[i].thread, NULL, member_thread, &m[i]) != 0) abort();
  }
  for (size_t i = 0; i < n; i++) pthread_join(m[i].thread, NULL);
  pthread_barrier_destroy(&crew.barrier);
}

/* ---- C14: eight threads cancel all contexts of one tree ---------------- */

enum { STORM = 1500 };

/* In preorder, so that what lies below i is i + 1 to last[i]. */
struct storm {
  struct world w;
  ctx_context *c[STORM];
  size_t parent[STORM], last[STORM];
  bool value[STORM];
  int64_t ended[STORM]; /* atomic: cancels that answered true */
};

static void storm_shape(struct storm *t, uint64_t *seed)
{
  for (size_t i = 1; i < STORM; i++) {
    size_t p = i - 1;
    while (p > 0 && below(seed, 3) != 0) p = t->parent[p];
    t->parent[i] = p;
    t->value[i] = below(seed, 5) == 0;
  }
  for (size_t i = 0; i < STORM; i++) t->last[i] = i, t->ended[i] = 0;
  for (size_t i = STORM - 1; i > 0; i--)
    if (t->last[t->parent[i]] < t->last[i]) t->last[t->parent[i]] = t->last[i];
}

static void storm_open(struct storm *t, uint64_t *seed)
{
  storm_shape(t, seed);
  t->c[0] = need(ctx_with_cancel(manual(&t->w)));
  for (size_t i = 1; i < STORM; i++) {
    ctx_context *parent = t->c[t->parent[i]];
    if (t->value[i])
      t->c[i] = need(ctx_with_value(parent, t, t, NULL));
    else
      t->c[i] = need(i % 3 == 0 ? ctx_with_timeout(parent, 50) : ctx_with_cancel(parent));
  }
}

static void storm_run(struct crew *crew, size_t who)
{
  struct storm *t = crew->job;
  uint64_t seed = who * 977 + 1;
  meet(crew);
  for (size_t k = 0; k < STORM; k++) {
    size_t i = k % 8 != 7 ? (size_t)below(&seed, STORM) : STORM - 1 - k;
    if (t->value[i]) continue;
    if (ctx_cancel(t->c[i])) count(&t->ended[i], 1);
    CHECK(ctx_err(t->c[i]) == CTX_CANCELED);
    CHECK(ctx_done(t->c[t->last[i]]));
    CHECK(ctx_done(t->c[i + (size_t)below(&seed, (int64_t)(t->last[i] - i + 1))]));
  }
}

TEST(storm_of_cancels)
{
  static struct storm t;
  uint64_t seed = 3;
  for (int round = 0; round < 10 * ROUNDS; round++) {
    storm_open(&t, &seed);
    crew_run(8, storm_run, &t);
    ctx_cancel(t.c[0]);
    for (size_t i = 0; i < STORM; i++) {
      CHECK(t.ended[i] <= 1);
      CHECK_INT(ctx_err(t.c[i]), CTX_CANCELED);
      ctx_release(t.c[i]);
    }
    world_close(&t.w);
  }
}

/* ---- C2: the one that comes second returns when all below are done ------ */

enum { FAN = 300 };

struct race {
  struct world w;
  ctx_context *bg, *top;
  ctx_context *c[FAN];
  int64_t firsts; /* atomic */
};

static void second_run(struct crew *crew, size_t who)
{
  struct race *r = crew->job;
  for (int round = 0; round < 300 * ROUNDS; round++) {
    if (who == 0) {
      r->top = need(ctx_with_cancel(r->bg));
      for (size_t i = 0; i < FAN; i++)
        r->c[i] = need(ctx_with_cancel(i % 2 ? r->c[i - 1] : r->top));
    }
    meet(crew);
    if (ctx_cancel(r->top)) count(&r->firsts, 1);
    for (size_t i = FAN; i-- > 0;) CHECK(ctx_err(r->c[i]) == CTX_CANCELED);
    meet(crew);
    for (size_t i = who; i < FAN; i += crew->n) ctx_release(r->c[i]);
    if (who == 0) ctx_release(r->top);
    meet(crew);
  }
}

TEST(second_cancel_waits)
{
  struct race r;
  r.firsts = 0;
  r.bg = manual(&r.w);
  crew_run(3, second_run, &r);
  CHECK_INT(r.firsts, 300 * ROUNDS);
  world_close(&r.w);
}

/* ---- C6: children made while their parent is canceled ------------------- */

/* One cancels, the others make children until one is born done. */
static void birth_run(struct crew *crew, size_t who)
{
  struct race *r = crew->job;
  for (int round = 0; round < 1000 * ROUNDS; round++) {
    ctx_context *mine[FAN];
    size_t n = 0;
    if (who == 0) r->top = need(ctx_with_cancel(r->bg));
    meet(crew);
    if (who == 0) CHECK(ctx_cancel_cause(r->top, cause("X")));
    while (who != 0 && n < FAN && (n == 0 || !ctx_done(mine[n - 1]))) {
      mine[n] = need(n % 4 == 3 ? ctx_with_timeout(r->top, 50) : ctx_with_cancel(r->top));
      n++;
    }
    meet(crew);
    for (size_t i = 0; i < n; i++) {
      CHECK(ctx_err(mine[i]) == CTX_CANCELED);
      CHECK(ctx_cause_of(mine[i]) == ctx_cause_of(r->top));
      ctx_release(mine[i]);
    }
    meet(crew);
    if (who == 0) ctx_release(r->top);
  }
}

TEST(children_of_a_cancel)
{
  struct race r;
  r.bg = manual(&r.w);
  crew_run(3, birth_run, &r);
  world_close(&r.w);
}

/* ---- the last release of a child while its parent is canceled ----------- */

static void release_run(struct crew *crew, size_t who)
{
  struct race *r = crew->job;
  for (int round = 0; round < 500 * ROUNDS; round++) {
    if (who == 0) {
      r->top = need(ctx_with_cancel(r->bg));
      for (size_t i = 0; i < FAN; i++) r->c[i] = need(ctx_with_cancel(r->top));
    }
    meet(crew);
    if (who == 0) {
      CHECK(ctx_cancel(r->top));
      ctx_release(r->top);
    }
    for (size_t i = who - 1; who != 0 && i < FAN; i += crew->n - 1) ctx_release(r->c[i]);
    meet(crew);
  }
}

TEST(release_during_cancel)
{
  struct race r;
  r.bg = manual(&r.w);
  crew_run(3, release_run, &r);
  world_close(&r.w);
}

/* ---- what a thread that sees the end sees ------------------------------- */

enum { SHOWS = 2000 };

struct show {
  struct world w;
  ctx_context *c[SHOWS];
  int written[SHOWS];
  bool canceled[SHOWS];
};

static void show_open(struct show *t, ctx_driver driver)
{
  ctx_context *bg = world_open(&t->w, driver, START);
  for (size_t i = 0; i < SHOWS; i++) {
    t->c[i] = need(ctx_with_deadline(bg, 50));
    t->written[i] = 0;
  }
}

static void show_close(struct show *t)
{
  for (size_t i = 0; i < SHOWS; i++) ctx_release(t->c[i]);
  world_close(&t->w);
}

/* err, cause and what was written before, from the moment on that one is seen. */
static void check_shown(struct show *t, size_t i)
{
  const ctx_cause *x = ctx_cause_of(t->c[i]);
  CHECK(ctx_err(t->c[i]) == CTX_CANCELED);
  CHECK(x != NULL && strcmp(ctx_cause_text(x, NULL), "X") == 0);
  CHECK(t->written[i] == (int)i + 1);
}

static void show_run(struct crew *crew, size_t who)
{
  struct show *t = crew->job;
  meet(crew);
  for (size_t i = 0; i < SHOWS; i++) {
    if (who == 0) {
      t->written[i] = (int)i + 1;
      ctx_cancel_cause(t->c[i], cause("X"));
    }
    if (who == 1)
      while (!ctx_done(t->c[i])) sched_yield();
    if (who == 2)
      while (ctx_cause_of(t->c[i]) == NULL) sched_yield();
    check_shown(t, i);
  }
}

TEST(end_shows_what_was_written)
{
  static struct show t;
  for (int round = 0; round < ROUNDS; round++) {
    show_open(&t, CTX_DRIVER_MANUAL);
    crew_run(3, show_run, &t);
    show_close(&t);
  }
}

/* A cancel and a question past the deadline: one of the two ends the context. */
static void overdue_run(struct crew *crew, size_t who)
{
  struct show *t = crew->job;
  meet(crew);
  for (size_t i = 0; i < SHOWS; i++) {
    if (who == 0) t->canceled[i] = ctx_cancel_cause(t->c[i], cause("X"));
    int err = ctx_err(t->c[i]);
    const ctx_cause *x = ctx_cause_of(t->c[i]);
    CHECK(err != 0 && x != NULL);
    CHECK((err == CTX_CANCELED) == (x != NULL && strcmp(ctx_cause_text(x, NULL), "X") == 0));
    if (who == 0) CHECK(t->canceled[i] == (err == CTX_CANCELED));
  }
}

TEST(cancel_against_question)
{
  static struct show t;
  for (int round = 0; round < ROUNDS; round++) {
    show_open(&t, CTX_DRIVER_HOST);
    world_set(&t.w, 60);
    crew_run(3, overdue_run, &t);
    show_close(&t);
  }
}

/* ---- everything at once ------------------------------------------------ */

enum { SLOTS = 48, BUSY = 40000 };

/* A pool of contexts that all threads take from, put into, cancel and ask. */
struct pool {
  struct world w;
  ctx_context *bg;
  pthread_mutex_t lock[SLOTS];
  ctx_context *slot[SLOTS];
  int64_t attached, ran, stopped; /* atomic: hooks */
};

static ctx_context *pool_take(struct pool *p, int64_t i)
{
  pthread_mutex_lock(&p->lock[i]);
  ctx_context *c = ctx_retain(p->slot[i]);
  pthread_mutex_unlock(&p->lock[i]);
  return c;
}

static void pool_put(struct pool *p, int64_t i, ctx_context *c)
{
  pthread_mutex_lock(&p->lock[i]);
  ctx_context *old = p->slot[i];
  p->slot[i] = c;
  pthread_mutex_unlock(&p->lock[i]);
  ctx_release(old);
}

static ctx_context *pool_child(struct pool *p, ctx_context *parent, uint64_t *seed)
{
  switch (below(seed, 6)) {
  case 0: return ctx_with_timeout(parent, below(seed, 2000));
  case 1: return ctx_with_value(parent, p, p, NULL);
  case 2: return ctx_without_cancel(parent);
  default: return ctx_with_cancel(parent);
  }
}

static void pool_hook(ctx_context *c, void *arg)
{
  struct pool *p = arg;
  count(&p->ran, ctx_done(c) ? 1 : 1000000);
}

static void pool_attach(struct pool *p, ctx_context *c, uint64_t *seed)
{
  unsigned flags = below(seed, 2) == 0 ? CTX_HOOK_INLINE : 0;
  ctx_hook *h = need(ctx_after_func(c, pool_hook, p, flags));
  count(&p->attached, 1);
  if (below(seed, 2) == 0) ctx_cancel(c);
  if (ctx_hook_stop(h)) count(&p->stopped, 1);
  ctx_hook_release(h);
}

static void pool_ask(ctx_context *c)
{
  int err = ctx_err(c);
  const ctx_cause *x = ctx_cause_of(c);
  CHECK(err == 0 || x != NULL);
  CHECK(err == 0 || ctx_err(c) == err);
  CHECK(x == NULL || ctx_done(c));
}

static void pool_drive(struct pool *p)
{
  count(&p->w.now_ns, 20);
  ctx_engine_poll(p->w.engine);
}

static void pool_step(struct pool *p, uint64_t *seed)
{
  ctx_context *c = pool_take(p, below(seed, SLOTS));
  bool fresh = below(seed, 10) == 0;
  switch (below(seed, 8)) {
  case 0:
    if (ctx_cancel(c)) CHECK(ctx_err(c) == CTX_CANCELED);
    break;
  case 1: pool_attach(p, c, seed); break;
  case 2: pool_drive(p); break;
  case 3: pool_ask(c); break;
  default: pool_put(p, below(seed, SLOTS), need(pool_child(p, fresh ? p->bg : c, seed)));
  }
  ctx_release(c);
}

static void pool_run(struct crew *crew, size_t who)
{
  uint64_t seed = who * 31337 + 5;
  meet(crew);
  for (int i = 0; i < BUSY * ROUNDS / 4 + BUSY / 4; i++) pool_step(crew->job, &seed);
}

TEST(everything_at_once)
{
  struct pool p = {.attached = 0};
  p.bg = host(&p.w);
  for (size_t i = 0; i < SLOTS; i++) {
    pthread_mutex_init(&p.lock[i], NULL);
    p.slot[i] = need(ctx_with_cancel(p.bg));
  }
  crew_run(8, pool_run, &p);
  ctx_engine_poll(p.w.engine);
  for (size_t i = 0; i < SLOTS; i++) {
    ctx_release(p.slot[i]);
    pthread_mutex_destroy(&p.lock[i]);
  }
  CHECK_INT(p.ran + p.stopped, p.attached);
  world_close(&p.w);
}

static const struct test tests[] = {
  T(all_below_are_done, "C1 when a cancel returns all below are done"),
  T(depth_first, "C8 a parent ends before its children, siblings in the order of creation"),
  T(order_through_values, "C8 through value layers the order of creation holds"),
  T(order_without_the_ended, "C8 what has ended before, or was stopped, is left out"),
  T(order_of_driver, "C8 the order is the same when the driver ends them"),
  T(dropped_child, "C13 a child that is dropped leaves nothing behind"),

  T(long_chain_canceled,
    "C10 a chain of a million is canceled on a small stack, C11 allocating nothing"),
  T(long_chain_released, "C10 a chain of a million is released on a small stack"),
  T(long_mixed_chain_canceled,
    "C10 a chain of cancels, values and timers is canceled on a small stack"),
  T(long_mixed_chain_released,
    "C10 a chain of cancels, values and timers is released on a small stack"),
  T(long_chain_expired, "C10 a question to the end of a chain of a million ends it all"),
  T(long_chain_value, "F3 a value is found above a chain of a million on a small stack"),
  T(long_chain_hooks, "C8 a million inline hooks run on a small stack"),
  T(wide_fan_canceled,
    "C10 a fan of a million is canceled on a small stack, C11 allocating nothing"),
  T(wide_fan_released, "C12 a released child leaves its parent at once, wherever it stands"),
  T(wide_fan_canceled_one_by_one, "C12 a canceled child leaves its parent at once"),

  T(agrees_with_model, "a random run agrees with the model after each step"),
  T(agrees_with_model_unpolled, "B8 a random run agrees with the model when nobody polls"),

  T(storm_of_cancels, "C14 eight threads cancel all contexts of one tree"),
  T(second_cancel_waits, "C2 a cancel that comes second returns when all below are done"),
  T(children_of_a_cancel, "C6 a child made during the cancel of its parent ends with it"),
  T(release_during_cancel, "a child may be released while its parent is canceled"),
  T(end_shows_what_was_written,
    "B5 who sees the end sees what was written before, B1 and all of the end"),
  T(cancel_against_question,
    "B8 of a cancel and a question past the deadline one ends the context"),
  T(everything_at_once, "B10 eight threads do everything to one tree, and nothing is left"),
};

int main(int argc, char **argv)
{
  return check_run("tree", tests, sizeof tests / sizeof *tests, argc, argv);
}
