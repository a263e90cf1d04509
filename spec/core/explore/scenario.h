/*
 * scenario - a small program whose every schedule is run
 *
 * 'run' is the main thread: it makes what it needs, starts threads by together(), and
 * states by EXPECT what must hold. It is run anew from its beginning for each schedule,
 * so it keeps nothing in static memory: what threads share comes from explore_alloc,
 * where races and uses after free are seen. What hooks and threads tell each other is
 * an atomic (CTX__LOAD and the like), or ordered by one.
 *
 * When the threads of together() have returned, ctx__check looks at each engine that is open
 * and has no thread of its own. When 'run' returns, every thread is joined, every block freed, every descriptor closed;
 * else the schedule fails.
 *
 * Knows ctx.h and platform.h, as it is built here.
 */
#ifndef CTX_SCENARIO_H
#define CTX_SCENARIO_H

#include "platform.h"

#include "ctx.h"

enum { COMPLETE = -1 };

struct scenario {
  const char *name;
  const char *says; /* what holds in every schedule */
  void (*run)(void);
  int bound;          /* preemptions; COMPLETE: no bound */
  unsigned long most; /* schedules, after which the search is cut; 0: any number */
  bool time_passes;   /* it calls TIME_PASSES */
  const char *fails;  /* of a test of the explorer itself: how it must fail; */
  int outcomes;       /* or how many different outcomes it must have; */
  unsigned seeds;     /* or for how many seeds the search must agree with a naive one */
};

/* Ends with an entry without a name. */
extern const struct scenario lock_scenarios[], cancel_scenarios[], expiry_scenarios[],
  extend_scenarios[], merge_scenarios[], life_scenarios[], hook_scenarios[], wait_scenarios[],
  driver_scenarios[], signal_scenarios[], litmus_scenarios[], chance_scenarios[],
  mailbox_scenarios[], semaphore_scenarios[], snapshot_scenarios[];

#define EXPECT(ok) explore_expect((ok), #ok, EXPLORE_HERE)
#define EXPECT_INT(a, b) explore_expect_int((a), (b), #a " == " #b, EXPLORE_HERE)

void explore_expect(bool ok, const char *text, const char *where);
void explore_expect_int(int64_t a, int64_t b, const char *text, const char *where);

/* Threads of the scenario, up to the NULL; returns when all have returned. */
typedef void part(void *arg);
void together(void *arg, part *first, ...);

/* Memory of the scenario. */
#define NEW(type) ((type *)explore_new(sizeof(type), EXPLORE_HERE))
void *explore_new(size_t size, const char *where);

/* Time passes, up to this instant: a step of the thread that calls it, so that schedules
 * differ in when. Without it time passes only when every thread waits. */
#define TIME_PASSES(ns) explore_tick((ns), EXPLORE_HERE)
void explore_tick(int64_t ns, const char *where);

/* A step that does nothing: others may run. */
#define STEP() explore_step(EXPLORE_HERE)
void explore_step(const char *where);

/* Waits until *p is not 0. */
#define AWAIT(p) explore_await((p), EXPLORE_HERE)
void explore_await(const ctx__atomic *p, const char *where);

bool explore_readable(int fd, const char *where);

/* For the tests of the explorer: what this schedule has come to, below 64. */
void explore_outcome(unsigned n);
extern unsigned explore_seed; /* of a scenario with seeds: which program it is to be */

/* An engine on the virtual clock, which begins at 0; asserts that there is one. */
ctx_engine *explore_engine(ctx_driver driver);

/* It is not looked at any more. */
#define ctx_engine_close(e) explore_close(e)
int explore_close(ctx_engine *e);

#endif
