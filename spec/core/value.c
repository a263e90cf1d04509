/*
 * value - what a lookup finds in chains of values, beside a model that asks layer by layer
 *
 * Chains made by chance, deep enough for several indexes, with few keys, so that most hide another;
 * with layers of cancel between, and merges.
 */
#include "world.h"

enum { KEYS = 40, LAYERS = 300 };

#ifdef SLOW
enum { CHAINS = 10 };
#else
enum { CHAINS = 40 };
#endif

static const char keys[KEYS];

/* A context, and how the model sees it. */
struct layer {
  ctx_context *c;
  int up;   /* the layer below which it lies; -1: the background */
  int also; /* of a merge: its second parent; else -1 */
  int key;  /* of a value; else -1 */
  int64_t value;
};

struct chain {
  struct world w;
  ctx_context *bg;
  struct layer layer[LAYERS];
  uint64_t seed;
};

static const int64_t *model_find(const struct chain *ch, int at, int key)
{
  for (; at >= 0; at = ch->layer[at].up) {
    const struct layer *l = &ch->layer[at];
    if (l->key == key) return &l->value;
    if (l->also < 0) continue;
    const int64_t *first = model_find(ch, l->up, key);
    return first != NULL ? first : model_find(ch, l->also, key);
  }
  return NULL;
}

static void agrees(const struct chain *ch, int at)
{
  for (int key = 0; key < KEYS; key++) {
    const int64_t *found = ctx_value(ch->layer[at].c, &keys[key]);
    CHECK(found == model_find(ch, at, key));
  }
}

static ctx_context *context_at(const struct chain *ch, int at)
{
  return at >= 0 ? ch->layer[at].c : ch->bg;
}

/* Most layers are values below the newest one; now and then one lies elsewhere. */
static void grow(struct chain *ch, int at)
{
  struct layer *l = &ch->layer[at];
  int64_t kind = below(&ch->seed, 40);
  int up = below(&ch->seed, 100) == 0 ? (int)below(&ch->seed, at + 1) - 1 : at - 1;
  *l = (struct layer){.up = up, .also = -1, .key = -1, .value = at};
  if (kind == 0 && at > 1) {
    l->also = (int)below(&ch->seed, at);
    l->c = ctx_merge(2, (ctx_context *[]){context_at(ch, up), context_at(ch, l->also)});
  } else if (kind < 4) {
    l->c = kind == 1 ? ctx_without_cancel(context_at(ch, up)) : ctx_with_cancel(context_at(ch, up));
  } else {
    l->key = (int)below(&ch->seed, KEYS);
    l->c = ctx_with_value(context_at(ch, up), &keys[l->key], &l->value, NULL);
  }
  need(l->c);
}

static void one_chain(uint64_t seed)
{
  static struct chain ch;
  ch.seed = seed;
  ch.bg = manual(&ch.w);
  for (int at = 0; at < LAYERS; at++) {
    grow(&ch, at);
    agrees(&ch, at);
  }
  for (int at = 0; at < LAYERS; at++) agrees(&ch, at);
  for (int at = LAYERS - 1; at >= 0; at--) ctx_release(ch.layer[at].c);
  world_close(&ch.w);
}

TEST(as_a_model_says)
{
  for (uint64_t seed = 1; seed <= CHAINS; seed++) one_chain(seed);
}

/* The indexes lie behind the 32nd, the 64th and so on: there, before and after. */
TEST(at_each_depth)
{
  enum { DEEP = 130 };
  static const char depth[DEEP];
  struct world w;
  ctx_context *c = manual(&w);
  for (int i = 0; i < DEEP; i++) {
    ctx_context *up = c;
    c = need(ctx_with_value(up, &depth[i], (void *)(uintptr_t)&depth[i], NULL));
    if (i > 0) ctx_release(up);
    for (int k = 0; k <= i; k++) CHECK(ctx_value(c, &depth[k]) == &depth[k]);
    CHECK(ctx_value(c, &keys[0]) == NULL);
  }
  ctx_release(c);
  world_close(&w);
}

/* The nearest counts, be it the one that an index lies behind, or hidden by one of its row. */
TEST(hides)
{
  struct world w;
  int values[100];
  ctx_context *c = manual(&w);
  for (int i = 0; i < 100; i++) {
    ctx_context *up = c;
    c = need(ctx_with_value(up, &keys[i % 3], &values[i], NULL));
    if (i > 0) ctx_release(up);
    for (int k = 0; k < 3 && k <= i; k++) CHECK(ctx_value(c, &keys[(i - k) % 3]) == &values[i - k]);
  }
  ctx_release(c);
  world_close(&w);
}

static const struct test tests[] = {
  T(as_a_model_says, "F1 F2 F3 K1 lookups in deep chains find what a model finds"),
  T(at_each_depth, "F1 a value is found at each depth, and none that is not there"),
  T(hides, "F2 the nearest value hides those above it, at each depth"),
};

int main(int argc, char **argv)
{
  return check_run("value", tests, sizeof tests / sizeof *tests, argc, argv);
}
