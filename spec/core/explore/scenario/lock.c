/*
 * lock - the platform's own lock, whose place the explorer's takes elsewhere
 */
#include "scenario.h"

#include "lock.h"

struct room {
  ctx__atomic lock;
  int inside; /* plain: two at once are a race */
};

static void enter(void *arg)
{
  struct room *r = arg;
  ctx__lock_take(&r->lock);
  r->inside++;
  ctx__lock_drop(&r->lock);
}

static void enter_twice(void *arg)
{
  enter(arg);
  enter(arg);
}

static void two(void)
{
  struct room *r = NEW(struct room);
  together(r, enter_twice, enter_twice, NULL);
  EXPECT_INT(r->inside, 4);
  EXPECT_INT(r->lock, 0);
  CTX__FREE(r);
}

static void three(void)
{
  struct room *r = NEW(struct room);
  together(r, enter, enter, enter, NULL);
  EXPECT_INT(r->inside, 3);
  EXPECT_INT(r->lock, 0);
  CTX__FREE(r);
}

const struct scenario lock_scenarios[] = {
  {"lock-twice", "one is inside, and who waits comes in", two, .bound = COMPLETE},
  {"lock-three", "and so where two wait", three, .bound = COMPLETE},
  {0}};
