/*
 * life - the last release, and what it may meet
 */
#include "scenario.h"

struct house {
  ctx_engine *engine;
  ctx_context *parent, *child, *other;
  ctx__atomic ran;
};

static struct house *new_house(void)
{
  struct house *h = NEW(struct house);
  h->engine = explore_engine(CTX_DRIVER_HOST);
  h->parent = ctx_with_cancel(ctx_engine_background(h->engine));
  h->child = ctx_with_cancel(h->parent);
  return h;
}

static void release_child(void *arg)
{
  struct house *h = arg;
  ctx_release(h->child);
}

static void release_parent(void *arg)
{
  struct house *h = arg;
  ctx_release(h->parent);
}

static void release_both(void *arg)
{
  struct house *h = arg;
  ctx_release(h->other);
  ctx_release(h->child);
}

static void cancel_parent(void *arg)
{
  struct house *h = arg;
  EXPECT(ctx_cancel(h->parent));
}

static void cancel_child(void *arg)
{
  struct house *h = arg;
  EXPECT(ctx_cancel(h->child));
}

static void close_engine(void *arg)
{
  struct house *h = arg;
  EXPECT_INT(ctx_engine_close(h->engine), 0);
}

/* ---- the walk ---------------------------------------------------------------------- */

static void cancel_meets(struct house *h, void (*release)(void *arg))
{
  together(h, release, cancel_parent, NULL);
  ctx_release(h->parent);
  close_engine(h);
  CTX__FREE(h);
}

static void walked(void)
{
  cancel_meets(new_house(), release_child);
}

static void walked_deep(void)
{
  struct house *h = new_house();
  ctx_context *child = h->child;
  h->child = ctx_with_value(child, h, NULL, NULL);
  ctx_context *last = h->child;
  h->child = ctx_with_cancel(last);
  ctx_release(child);
  ctx_release(last);
  cancel_meets(h, release_child);
}

/* The walk comes back to 'child', which those below it alone have kept. */
static void walked_branch(void)
{
  struct house *h = new_house();
  ctx_context *first = ctx_with_cancel(h->child);
  h->other = ctx_with_cancel(h->child);
  ctx_release(h->child);
  h->child = ctx_with_cancel(first);
  ctx_release(first);
  cancel_meets(h, release_both);
}

static void walked_tracked(void)
{
  struct house *h = new_house();
  ctx_engine_track(h->engine, true);
  ctx_release(h->child);
  h->child = ctx_with_deadline(h->parent, 10);
  cancel_meets(h, release_child);
}

static void unlinked(void)
{
  struct house *h = new_house();
  together(h, release_parent, cancel_child, NULL);
  ctx_release(h->child);
  close_engine(h);
  CTX__FREE(h);
}

static void released_by_two(void)
{
  struct house *h = new_house();
  together(h, release_parent, release_child, NULL);
  close_engine(h);
  CTX__FREE(h);
}

/* ---- the engine ---------------------------------------------------------------------- */

static void closed(void)
{
  struct house *h = new_house();
  ctx_release(h->parent);
  together(h, release_child, close_engine, NULL);
  CTX__FREE(h);
}

static void release_parent_and_close(void *arg)
{
  release_parent(arg);
  close_engine(arg);
}

/* The child has held its parent, and all above, by lying there. */
static void closed_above(void)
{
  struct house *h = new_house();
  together(h, release_child, release_parent_and_close, NULL);
  CTX__FREE(h);
}

static void make_and_release(void *arg)
{
  struct house *h = arg;
  ctx_release(ctx_with_cancel(ctx_engine_background(h->engine)));
}

/* Some threads have a part of the count for themselves, others share one. */
static void counted(void)
{
  struct house *h = new_house();
  together(h, make_and_release, make_and_release, make_and_release, NULL);
  ctx_counters now;
  ctx_engine_counters(h->engine, &now);
  EXPECT_INT(now.contexts, 2);
  ctx_release(h->child);
  ctx_release(h->parent);
  close_engine(h);
  CTX__FREE(h);
}

static void count(ctx_context *c, void *arg)
{
  struct house *h = arg;
  (void)c;
  CTX__ADD(&h->ran, 1);
}

/* The child has a deadline and a hook for the driver, which may be dropped or just left. */
static void closed_by_cancel(void)
{
  struct house *h = new_house();
  ctx_release(h->child);
  h->child = ctx_with_deadline(h->parent, 10);
  ctx_hook *hook = ctx_after_func(h->child, count, h, 0);
  together(h, cancel_parent, close_engine, NULL);
  EXPECT_INT(h->ran, 0);
  ctx_hook_release(hook);
  ctx_release(h->child);
  ctx_release(h->parent);
  CTX__FREE(h);
}

const struct scenario life_scenarios[] = {
  {"release-walk", "a child may be let go while the parent's cancel meets it", walked,
   .bound = COMPLETE},
  {"release-walk-deep", "and all that it alone has kept", walked_deep, .bound = COMPLETE},
  {"release-walk-branch", "and one that the cancel comes back to", walked_branch,
   .bound = COMPLETE},
  {"release-walk-tracked", "and one that has a deadline and is tracked", walked_tracked,
   .bound = COMPLETE},
  {"release-parent", "a child's cancel may meet the parent's last release", unlinked,
   .bound = COMPLETE},
  {"release-both", "the last of two releases frees", released_by_two, .bound = COMPLETE},
  {"close-release", "the last context and its engine go in any order", closed, .bound = COMPLETE},
  {"close-release-parent", "and its parent, and the engine, before its memory is given back",
   closed_above, .bound = COMPLETE},
  {"count-parts", "contexts are counted by threads with and without a part of their own", counted,
   .bound = COMPLETE},
  {"close-cancel", "a context may end while its engine is closed", closed_by_cancel,
   .bound = COMPLETE},
  {0}};
