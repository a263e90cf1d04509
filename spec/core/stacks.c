/*
 * stacks - random stacks of 30 and more layers, against a model
 *
 * A stack is built layer on layer: value, cancel, deadline, without_cancel, deadline kept, grace
 * period, merge with lower layers, in random order. A model, which looks at every layer and knows
 * nothing of links and walks, says of each layer whether it is done, why, by when, and what it
 * sees; before one of them is canceled, after that, after some time has passed, and when all
 * are let go.
 *
 *   STACKS=1000000 STACKS_SEED=7 build/spec/stacks
 */
#define _GNU_SOURCE 1

#include "world.h"

#include <stdint.h>

#ifdef SLOW
enum { STACKS = 20000 };
#else
enum { STACKS = 100000 };
#endif

enum { LEAST = 30, MOST = 64, KEYS = 4, UPS = 3, HORIZON = 1000 };

enum kind { VALUE, CANCEL, DEADLINE, DETACHED, KEPT, SPARED, MERGE, KINDS };

struct layer {
  ctx_context *c;
  enum kind kind;
  int up[UPS], ups; /* lower layers; -1: the background */
  int err;
  int64_t own_ns;      /* CTX_NEVER where it has no deadline of its own */
  int64_t deadline_ns; /* the effective one; fixed by the end */
  int64_t grace_ns;
  const ctx_cause *cause; /* NULL where none was given */
  const int *value[KEYS];
};

struct stack {
  struct world *w;
  uint64_t seed;
  int n;
  struct layer layer[MOST];
};

static const char keys[KEYS];
static const int held[MOST];

/* ---- building --------------------------------------------------------------- */

static ctx_context *context_at(const struct stack *s, int i)
{
  return i < 0 ? ctx_engine_background(s->w->engine) : s->layer[i].c;
}

static int64_t some_time(struct stack *s)
{
  return 1 + below(&s->seed, HORIZON);
}

static ctx_context *make(struct stack *s, struct layer *l, const void *key, const int *value)
{
  ctx_context *up[UPS] = {NULL};
  for (int k = 0; k < l->ups; k++) up[k] = context_at(s, l->up[k]);
  switch (l->kind) {
  case VALUE: return ctx_with_value(up[0], key, (void *)(uintptr_t)value, NULL);
  case CANCEL: return ctx_with_cancel(up[0]);
  case DEADLINE: return ctx_with_deadline(up[0], l->own_ns);
  case DETACHED: return ctx_without_cancel(up[0]);
  case KEPT: return ctx_without_cancel_keep_deadline(up[0]);
  case SPARED: return ctx_with_grace(up[0], l->grace_ns);
  default: return ctx_merge((size_t)l->ups, up);
  }
}

/* What the layers above the background see of each: the first of them that has a value. */
static void model_values(struct stack *s, struct layer *l)
{
  for (int key = 0; key < KEYS; key++) {
    for (int k = 0; k < l->ups && l->value[key] == NULL; k++)
      if (l->up[k] >= 0) l->value[key] = s->layer[l->up[k]].value[key];
  }
}

/* The earliest deadline of those that a layer lies on. */
static int64_t model_above(const struct stack *s, const struct layer *l)
{
  int64_t first_ns = CTX_NEVER;
  for (int k = 0; k < l->ups; k++) {
    int64_t up_ns = l->up[k] < 0 ? CTX_NEVER : s->layer[l->up[k]].deadline_ns;
    if (up_ns < first_ns) first_ns = up_ns;
  }
  return first_ns;
}

static void model_deadline(const struct stack *s, struct layer *l)
{
  int64_t above_ns = model_above(s, l);
  if (l->kind == KEPT) l->own_ns = above_ns;
  if (l->kind == SPARED) l->own_ns = above_ns == CTX_NEVER ? CTX_NEVER : above_ns + l->grace_ns;
  bool follows = l->kind != DETACHED && l->kind != KEPT && l->kind != SPARED;
  l->deadline_ns = follows && above_ns < l->own_ns ? above_ns : l->own_ns;
}

/* A layer lies on the one before it; a merge on others, too, in any order. */
static void push(struct stack *s)
{
  int i = s->n++, key = (int)below(&s->seed, KEYS);
  struct layer *l = &s->layer[i];
  *l = (struct layer){.kind = (enum kind)below(&s->seed, KINDS), .ups = 1, .own_ns = CTX_NEVER};
  if (below(&s->seed, 3) != 0 && (l->kind == DETACHED || l->kind == KEPT)) l->kind = CANCEL;
  if (l->kind == MERGE) l->ups = 1 + (int)below(&s->seed, UPS);
  for (int k = 0; k < l->ups; k++) l->up[k] = (int)below(&s->seed, i + 1) - 1;
  l->up[below(&s->seed, l->ups)] = i - 1;
  l->grace_ns = some_time(s);
  if (l->kind == DEADLINE) l->own_ns = s->w->now_ns + some_time(s) + HORIZON / 2;
  if (l->kind == VALUE) l->value[key] = &held[i];
  model_values(s, l);
  model_deadline(s, l);
  l->c = need(make(s, l, &keys[key], &held[i]));
}

/* ---- ending ------------------------------------------------------------------- */

static bool has_end(const struct layer *l)
{
  return l->kind != VALUE && l->kind != DETACHED;
}

/* Of what 'l' lies on, one that has ended and ends it as well; or NULL. */
static const struct layer *model_ender(const struct stack *s, const struct layer *l)
{
  if (l->kind == DETACHED || l->kind == KEPT) return NULL;
  for (int k = 0; k < l->ups; k++)
    if (l->up[k] >= 0 && s->layer[l->up[k]].err != 0) return &s->layer[l->up[k]];
  return NULL;
}

/* Every layer once, from below: what the cancel of 'i' makes of it. */
static void model_cancel(struct stack *s, int i, const ctx_cause *cause)
{
  s->layer[i].err = CTX_CANCELED;
  s->layer[i].cause = cause;
  for (int k = i + 1; k < s->n; k++) {
    struct layer *l = &s->layer[k];
    const struct layer *ender = model_ender(s, l);
    if (ender != NULL && l->kind != SPARED) {
      l->err = ender->err;
      l->cause = ender->cause;
      if (l->kind == VALUE) l->deadline_ns = ender->deadline_ns;
    } else if (ender != NULL) {
      int64_t end_ns = s->w->now_ns + l->grace_ns;
      if (end_ns < l->deadline_ns) l->deadline_ns = end_ns;
    } else if (l->kind != KEPT && l->kind != SPARED) {
      model_deadline(s, l);
    } else if (l->kind == SPARED) {
      int64_t above_ns = model_above(s, l);
      l->deadline_ns = above_ns == CTX_NEVER ? CTX_NEVER : above_ns + l->grace_ns;
    }
  }
}

/* What is over now has ended: the deadline of a layer already says of all above. */
static void model_pass(struct stack *s)
{
  for (int i = 0; i < s->n; i++) {
    struct layer *l = &s->layer[i];
    if (l->err == 0 && l->deadline_ns <= s->w->now_ns) l->err = CTX_DEADLINE_EXCEEDED;
  }
}

/* ---- comparing ------------------------------------------------------------------ */

static bool layer_is(const struct layer *l)
{
  bool same = CHECK_INT(ctx_err(l->c), l->err) && CHECK_INT(ctx_deadline(l->c), l->deadline_ns);
  if (l->cause != NULL) same = same && CHECK(ctx_cause_of(l->c) == l->cause);
  for (int key = 0; key < KEYS; key++)
    same = same && CHECK(ctx_value(l->c, &keys[key]) == l->value[key]);
  return same;
}

/* In any order, so that questions meet the layers from above and from below. */
static bool stack_is(struct stack *s)
{
  int from = (int)below(&s->seed, s->n);
  for (int i = 0; i < s->n; i++) {
    if (!layer_is(&s->layer[(from + i * 67) % s->n]))
      return false; /* 67 is prime, and more than n */
  }
  return true;
}

static bool cancel_one(struct stack *s)
{
  int i = (int)below(&s->seed, s->n);
  struct layer *l = &s->layer[i];
  ctx_cause *x = cause("one");
  bool first = ctx_cancel_cause(l->c, ctx_cause_retain(x));
  if (has_end(l)) model_cancel(s, i, x);
  bool same = CHECK(first == has_end(l)) && stack_is(s);
  for (int k = 0; k < s->n; k++) s->layer[k].cause = NULL;
  ctx_cause_release(x);
  return same;
}

static bool time_passes(struct stack *s)
{
  s->w->now_ns += below(&s->seed, 2 * HORIZON);
  model_pass(s);
  if (below(&s->seed, 2) == 0) ctx_engine_poll(s->w->engine);
  return stack_is(s);
}

static bool stack_run(struct world *w, uint64_t seed)
{
  struct stack s = {.w = w, .seed = seed};
  int n = LEAST + (int)below(&s.seed, MOST - LEAST + 1);
  int64_t blocks = w->blocks;
  while (s.n < n) push(&s);
  bool same = stack_is(&s) && cancel_one(&s) && time_passes(&s);
  int from = (int)below(&s.seed, n);
  for (int i = 0; i < n; i++) ctx_release(s.layer[(from + i * 67) % n].c);
  ctx_counters left = counters(w);
  same = CHECK_INT(w->blocks, blocks) && same;
  return CHECK(left.contexts == 0 && left.hooks == 0 && left.timers == 0) && same;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
  const char *text = getenv(name);
  return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

TEST(as_the_model_says)
{
  struct world w;
  uint64_t seed = setting("STACKS_SEED", 1), stacks = setting("STACKS", STACKS), i = 0;
  host(&w);
  printf("# %llu stacks from seed %llu\n", (unsigned long long)stacks, (unsigned long long)seed);
  while (i < stacks && stack_run(&w, (seed + i) * 0x9e3779b97f4a7c15u)) i++;
  seed += i;
  if (i < stacks) printf("# it is that of STACKS=1 STACKS_SEED=%llu\n", (unsigned long long)seed);
  world_close(&w);
}

static const struct test tests[] = {
  T(as_the_model_says,
    "C1 C3 C9 B4 B7 F1 F4 G1 G2 K1 of each layer of random stacks the model is right"),
};

int main(int argc, char **argv)
{
  return check_run("stacks", tests, sizeof tests / sizeof *tests, argc, argv);
}
