/*
 * races - C2, C6, H2 and B1 by real threads
 *
 * Two threads meet at a spin barrier in each round, so that what they do overlaps; who was first
 * is counted and told, and nothing is asserted of it. ROUNDS in the environment says how many
 * (make soak-races: a million).
 */
#include "process.h"

#include <pthread.h>
#include <sched.h>

enum { ROUNDS = 20000 };

struct race {
  ctx_context *bg, *c, *child;
  ctx_hook hook;
  uint64_t round; /* atomic: of both together, twice a round */
  bool over;
  int ran;     /* atomic: the hook */
  long firsts; /* won by the first thread */
  bool won;    /* of the second; read after the round */
  bool stopped;
};

/* Both come, then both go on. */
static void meet(struct race *r)
{
  uint64_t mine = __atomic_add_fetch(&r->round, 1, __ATOMIC_ACQ_REL), until = (mine + 1) / 2 * 2;
  for (int spins = 0; __atomic_load_n(&r->round, __ATOMIC_ACQUIRE) < until; spins++)
    if (spins > 2000) sched_yield();
}

typedef void side(struct race *r);

struct sides {
  struct race *r;
  side *second;
};

static void *run_second(void *arg)
{
  struct sides *s = arg;
  for (;;) {
    meet(s->r);
    if (s->r->over) return NULL;
    s->second(s->r);
    meet(s->r);
  }
}

/* 'begin' makes what they race for, 'end' states what holds. */
static void race(side *begin, side *first, side *second, side *end)
{
  struct race r = {.bg = ctx_background()};
  struct sides sides = {&r, second};
  pthread_t t;
  int rounds = setting("ROUNDS", ROUNDS);
  CHECK_INT(pthread_create(&t, NULL, run_second, &sides), 0);
  for (int i = 0; i < rounds; i++) {
    begin(&r);
    meet(&r);
    for (volatile int k = 0; k < i % 199; k++) continue; /* now this side comes first, now that */
    first(&r);
    meet(&r);
    end(&r);
  }
  r.over = true;
  meet(&r);
  pthread_join(t, NULL);
  printf("# %d rounds, the first thread won %ld\n", rounds, r.firsts);
  becomes_empty(ctx_engine_of(r.bg));
}

/* ---- C2 ------------------------------------------------------------------------- */

static void make_family(struct race *r)
{
  r->c = ctx_with_cancel(r->bg);
  r->child = ctx_with_cancel(r->c);
}

static void cancel_first(struct race *r)
{
  if (ctx_cancel(r->c)) r->firsts++;
  CHECK(ctx_done(r->child));
}

static void cancel_second(struct race *r)
{
  r->won = ctx_cancel(r->c);
  CHECK(ctx_done(r->child));
}

static void end_family(struct race *r)
{
  CHECK_INT(ctx_err(r->child), CTX_CANCELED);
  ctx_release(r->child);
  ctx_release(r->c);
}

TEST(two_cancels)
{
  race(make_family, cancel_first, cancel_second, end_family);
}

/* ---- C6 ------------------------------------------------------------------------- */

static void make_parent(struct race *r)
{
  r->c = ctx_with_cancel(r->bg);
  r->child = NULL;
}

static void cancel_with_cause(struct race *r)
{
  CHECK(ctx_cancel_cause(r->c, cause("why")));
}

static void bear(struct race *r)
{
  r->child = ctx_with_timeout(r->c, CTX_SECONDS(1000));
  r->won = !ctx_done(r->child);
}

static void end_birth(struct race *r)
{
  r->firsts += !r->won;
  CHECK_INT(ctx_err(r->child), CTX_CANCELED);
  CHECK_STR(ctx_cause_text(ctx_cause_of(r->child), NULL), "why");
  ctx_release(r->child);
  ctx_release(r->c);
}

TEST(birth)
{
  race(make_parent, cancel_with_cause, bear, end_birth);
}

/* ---- H2 ------------------------------------------------------------------------- */

static void ran(ctx_context *c, void *arg)
{
  (void)c;
  __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

static void attach(struct race *r)
{
  r->c = ctx_with_cancel(r->bg);
  r->ran = 0;
  ctx_hook_init(&r->hook, ran, &r->ran, CTX_HOOK_INLINE);
  CHECK_INT(ctx_hook_attach(&r->hook, r->c), 0);
}

static void stop(struct race *r)
{
  r->stopped = ctx_hook_stop(&r->hook);
  CHECK(!ctx_hook_stop(&r->hook));
}

static void cancel_plain(struct race *r)
{
  ctx_cancel(r->c);
}

static void end_hook(struct race *r)
{
  r->firsts += r->stopped;
  CHECK_INT(__atomic_load_n(&r->ran, __ATOMIC_RELAXED) + r->stopped, 1);
  ctx_release(r->c);
}

TEST(start_or_stop)
{
  race(attach, stop, cancel_plain, end_hook);
}

/* ---- B1 ------------------------------------------------------------------------- */

/* Whoever sees one of the three sees the others. */
static void look(struct race *r)
{
  for (int i = 0; i < 20; i++) {
    bool done = ctx_done(r->c);
    int err = ctx_err(r->c);
    const ctx_cause *why = ctx_cause_of(r->c);
    CHECK(!done || err == CTX_CANCELED);
    CHECK(err == 0 || (why != NULL && strcmp(ctx_cause_text(why, NULL), "why") == 0));
    if (done && i == 0) r->won = true;
    if (why != NULL) CHECK(ctx_done(r->c) && ctx_err(r->c) == CTX_CANCELED);
  }
}

static void make_one(struct race *r)
{
  r->c = ctx_with_cancel(r->bg);
  r->won = false;
}

static void end_one(struct race *r)
{
  r->firsts += r->won;
  ctx_release(r->c);
}

TEST(one_state)
{
  race(make_one, cancel_with_cause, look, end_one);
}

static const struct test tests[] = {
  T(two_cancels, "C2 the loser of two cancels finds all below done"),
  T(birth, "C6 a child born during a cancel ends with its cause"),
  T(start_or_stop, "H2 a hook starts or is stopped, one of the two"),
  T(one_state, "B1 done, err and cause are one"),
};

int main(int argc, char **argv)
{
  return check_run("races", tests, sizeof tests / sizeof *tests, argc, argv);
}
