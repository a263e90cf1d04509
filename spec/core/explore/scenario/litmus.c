/*
 * litmus - small programs that show what the explorer itself sees
 *
 * Each has a known number of outcomes, or must fail in a known way.
 */
#include "scenario.h"

struct shared {
  ctx__atomic x, y, z;
  ctx__lock lock, other;
  uint32_t plain, r1, r2;
  struct shared *block;
};

/* ---- outcomes ---------------------------------------------------------------- */

static void store_x(void *arg)
{
  struct shared *s = arg;
  CTX__STORE(&s->x, 1);
  s->r1 = CTX__LOAD(&s->y);
}

static void store_y(void *arg)
{
  struct shared *s = arg;
  CTX__STORE(&s->y, 1);
  s->r2 = CTX__LOAD(&s->x);
}

static void store_buffers(void)
{
  struct shared *s = NEW(struct shared);
  together(s, store_x, store_y, NULL);
  explore_outcome(2 * s->r1 + s->r2);
  CTX__FREE(s);
}

static void increment(void *arg)
{
  struct shared *s = arg;
  CTX__STORE(&s->x, CTX__LOAD(&s->x) + 1);
}

static void lost_updates(void)
{
  struct shared *s = NEW(struct shared);
  together(s, increment, increment, increment, NULL);
  explore_outcome(CTX__LOAD(&s->x));
  CTX__FREE(s);
}

static void locked_step(void *arg)
{
  struct shared *s = arg;
  CTX__LOCK(&s->lock);
  s->plain = s->plain * 3 + (CTX__LOAD(&s->y) != 0);
  CTX__UNLOCK(&s->lock);
  CTX__STORE(&s->y, 1);
}

static void locked_order(void)
{
  struct shared *s = NEW(struct shared);
  together(s, locked_step, locked_step, locked_step, NULL);
  explore_outcome(s->plain);
  CTX__FREE(s);
}

static void sleeper(void *arg)
{
  struct shared *s = arg;
  CTX__WAIT(&s->x, 0, 10);
  s->r1 = CTX__LOAD(&s->y);
}

static void waker(void *arg)
{
  struct shared *s = arg;
  CTX__STORE(&s->y, 1);
  CTX__STORE(&s->x, 1);
  CTX__WAKE(&s->x);
  CTX__STORE(&s->y, 2);
}

static void time_10(void *arg)
{
  (void)arg;
  TIME_PASSES(10);
}

static void waked_or_late(void)
{
  struct shared *s = NEW(struct shared);
  together(s, sleeper, waker, time_10, NULL);
  explore_outcome(s->r1);
  CTX__FREE(s);
}

/* ---- failures -------------------------------------------------------------------- */

static void one_two(void *arg)
{
  struct shared *s = arg;
  CTX__LOCK(&s->lock);
  CTX__LOCK(&s->other);
  CTX__UNLOCK(&s->other);
  CTX__UNLOCK(&s->lock);
}

static void two_one(void *arg)
{
  struct shared *s = arg;
  CTX__LOCK(&s->other);
  CTX__LOCK(&s->lock);
  CTX__UNLOCK(&s->lock);
  CTX__UNLOCK(&s->other);
}

static void lock_order(void)
{
  struct shared *s = NEW(struct shared);
  together(s, one_two, two_one, NULL);
  CTX__FREE(s);
}

static void wait_without_loop(void *arg)
{
  struct shared *s = arg;
  if (CTX__LOAD(&s->x) == 0) CTX__WAIT(&s->y, 0, INT64_MAX);
}

static void wake_too_early(void *arg)
{
  struct shared *s = arg;
  CTX__STORE(&s->x, 1);
  CTX__WAKE(&s->y);
}

static void lost_wake(void)
{
  struct shared *s = NEW(struct shared);
  together(s, wait_without_loop, wake_too_early, NULL);
  CTX__FREE(s);
}

static void free_block(void *arg)
{
  struct shared *s = arg;
  CTX__STORE(&s->x, 1);
  CTX__FREE(s->block);
}

static void use_block(void *arg)
{
  struct shared *s = arg;
  if (CTX__LOAD(&s->x) == 0) s->block->plain = 1;
}

static void look_at_block(void *arg)
{
  struct shared *s = arg;
  if (CTX__LOAD(&s->x) == 0) (void)CTX__LOAD(&s->block->y);
}

static void with_block(part *user)
{
  struct shared *s = NEW(struct shared);
  s->block = NEW(struct shared);
  together(s, free_block, user, NULL);
  CTX__FREE(s);
}

static void used_after_free(void)
{
  with_block(look_at_block);
}

static void raced_by_free(void)
{
  with_block(use_block);
}

static void write_plain(void *arg)
{
  struct shared *s = arg;
  s->plain = 1;
  CTX__STORE(&s->x, 1);
  s->plain = 2;
}

static void read_plain(void *arg)
{
  struct shared *s = arg;
  if (CTX__LOAD(&s->x) == 1) s->r1 = s->plain;
}

static void plain_race(void)
{
  struct shared *s = NEW(struct shared);
  together(s, write_plain, read_plain, NULL);
  CTX__FREE(s);
}

static void leak(void)
{
  (void)NEW(struct shared);
}

static void foreign_under_lock(void)
{
  struct shared *s = NEW(struct shared);
  CTX__LOCK(&s->lock);
  CTX__FOREIGN();
}

/* ---- on the stack ------------------------------------------------------------------ */

struct desk {
  ctx__atomic *note; /* on the stack of who wrote it */
};

__attribute__((noinline)) static void leave_note(struct desk *d)
{
  ctx__atomic note = 0;
  CTX__STORE(&d->note, &note);
}

static void note_writer(void *arg)
{
  leave_note(arg);
  STEP();
}

static void note_reader(void *arg)
{
  struct desk *d = arg;
  ctx__atomic *note = CTX__LOAD(&d->note);
  if (note != NULL) (void)CTX__LOAD(note);
}

static void left_stack(void)
{
  struct desk *d = NEW(struct desk);
  together(d, note_writer, note_reader, NULL);
  CTX__FREE(d);
}

const struct scenario litmus_scenarios[] = {
  {"store-buffers", "sequentially consistent: 3 outcomes", store_buffers, .bound = COMPLETE,
   .outcomes = 3},
  {"lost-updates", "three increments in two halves: 3 outcomes", lost_updates, .bound = COMPLETE,
   .outcomes = 3},
  {"lost-updates-bound-1", "one preemption loses one or two: 3 outcomes", lost_updates, .bound = 1,
   .outcomes = 3},
  {"lost-updates-bound-0", "no preemption loses any: 1 outcome", lost_updates, .bound = 0,
   .outcomes = 1},
  {"locked-order", "three sections of a lock: 3 outcomes", locked_order, .bound = COMPLETE,
   .outcomes = 3},
  {"waked-or-late", "a sleep with a limit: 3 outcomes", waked_or_late, .bound = COMPLETE,
   .time_passes = true, .outcomes = 3},
  {"lock-order", "a deadlock is seen", lock_order, .bound = COMPLETE, .fails = "all wait for ever"},
  {"lost-wake", "a lost wake-up is seen", lost_wake, .bound = COMPLETE,
   .fails = "all wait for ever"},
  {"used-after-free", "a use after free is seen", used_after_free, .bound = COMPLETE,
   .fails = "after its end"},
  {"raced-by-free", "a free under a plain use is seen", raced_by_free, .bound = COMPLETE,
   .fails = ""},
  {"plain-race", "a race of plain accesses is seen", plain_race, .bound = COMPLETE,
   .fails = "a race"},
  {"leak", "a leak is seen", leak, .bound = COMPLETE, .fails = "leaks"},
  {"foreign-under-lock", "foreign code under a lock is seen", foreign_under_lock, .bound = COMPLETE,
   .fails = "foreign code"},
  {"left-stack", "a use of a stack that was left is seen", left_stack, .bound = COMPLETE,
   .fails = "stack"},
  {0}};
