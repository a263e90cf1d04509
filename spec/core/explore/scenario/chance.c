/*
 * chance - small programs made by chance, to compare the search with a naive one
 *
 * A program is what its seed says: two or three threads of a few operations on two words
 * and a lock. What each thread has read, in order, and what is left in the words is the
 * outcome.
 */
#include "scenario.h"

enum { PLAYERS = 3 };

struct table {
  ctx__atomic word[2];
  ctx__lock lock;
  uint32_t plain, longest;
  uint32_t seen[PLAYERS];
  uint64_t seed;
};

static uint32_t draw(uint64_t *seed, uint32_t n)
{
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(*seed >> 33) % n;
}

static uint32_t mix(uint32_t seen, uint32_t v)
{
  return (seen ^ v) * 0x9e3779b1u + 1;
}

static uint32_t play_word(struct table *t, ctx__atomic *p, uint32_t what, uint32_t v)
{
  uint32_t expected = v;
  switch (what) {
  case 0: return CTX__LOAD(p);
  case 1: CTX__STORE(p, v); return 0;
  case 2: CTX__ADD(p, v); return 0;
  case 3: return CTX__SUB_RELEASE(p, v);
  case 4: return CTX__EXCHANGE(p, v);
  case 5: return CTX__CAS(p, &expected, v + 1) ? 99 : expected;
  default: return t->plain;
  }
}

static uint32_t play_locked(struct table *t, ctx__atomic *p, uint32_t v)
{
  CTX__LOCK(&t->lock);
  t->plain = t->plain * 3 + v;
  uint32_t seen = t->plain;
  if (v == 1) seen += CTX__LOAD(p);
  CTX__UNLOCK(&t->lock);
  return seen;
}

static uint32_t play_waiting(ctx__atomic *p, uint32_t what, uint32_t v)
{
  if (what == 0) {
    CTX__WAIT(p, 0, 10);
    return CTX__LOAD(p);
  }
  if (what == 1) {
    CTX__STORE(p, v);
    CTX__WAKE(p);
    return 0;
  }
  if (what == 2) TIME_PASSES(10);
  return (uint32_t)CTX__NOW();
}

static void play(struct table *t, uint32_t me)
{
  uint64_t seed = t->seed * PLAYERS + me;
  uint32_t seen = 0;
  for (uint32_t left = 1 + draw(&seed, t->longest); left > 0; left--) {
    ctx__atomic *p = &t->word[draw(&seed, 2)];
    uint32_t what = draw(&seed, 10), v = 1 + draw(&seed, 2);
    if (what < 6)
      seen = mix(seen, play_word(t, p, what, v));
    else if (what < 7)
      seen = mix(seen, play_locked(t, p, v));
    else
      seen = mix(seen, play_waiting(p, draw(&seed, 4), v));
  }
  t->seen[me] = seen;
}

static void first(void *arg)
{
  play(arg, 0);
}

static void second(void *arg)
{
  play(arg, 1);
}

static void third(void *arg)
{
  play(arg, 2);
}

static void game(void)
{
  struct table *t = NEW(struct table);
  t->seed = explore_seed;
  uint64_t seed = explore_seed;
  bool two = draw(&seed, 2) == 0;
  t->longest = two ? 4 : 2;
  together(t, first, second, two ? NULL : third, NULL);
  uint32_t outcome = 0;
  for (int i = 0; i < PLAYERS; i++) outcome = mix(outcome, t->seen[i]);
  outcome = mix(mix(mix(outcome, t->word[0]), t->word[1]), t->plain);
  explore_outcome(outcome >> 26);
  CTX__FREE(t);
}

const struct scenario chance_scenarios[] = {
  {"chance", "the search and a naive one have the same outcomes", game, .bound = COMPLETE,
   .time_passes = true, .seeds = 60},
  {0}};
