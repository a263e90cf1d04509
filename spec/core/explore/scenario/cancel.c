/*
 * cancel - cancels that meet: of one context, of parent and child, and of a birth
 */
#include "scenario.h"

struct family {
  ctx_engine *engine;
  ctx_context *parent, *a, *b, *below;
  ctx_cause *cause;
  ctx__atomic firsts;
};

static struct family *new_family(void)
{
  struct family *f = NEW(struct family);
  f->engine = explore_engine(CTX_DRIVER_HOST);
  f->parent = ctx_with_cancel(ctx_engine_background(f->engine));
  return f;
}

static void end_family(struct family *f)
{
  ctx_release(f->below);
  ctx_release(f->a);
  ctx_release(f->b);
  ctx_release(f->parent);
  EXPECT_INT(ctx_engine_close(f->engine), 0);
  CTX__FREE(f);
}

/* ---- of one context ------------------------------------------------------------ */

static void cancel_parent(void *arg)
{
  struct family *f = arg;
  if (ctx_cancel(f->parent)) CTX__ADD(&f->firsts, 1);
  EXPECT(ctx_done(f->parent));
  EXPECT(ctx_done(f->a));
  if (f->b != NULL) EXPECT(ctx_done(f->b));
  if (f->below != NULL) EXPECT(ctx_done(f->below));
}

static void twice(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  f->b = ctx_with_cancel(f->parent);
  together(f, cancel_parent, cancel_parent, NULL);
  EXPECT_INT(f->firsts, 1);
  end_family(f);
}

/* The walk has left the parent when the second comes. */
static void twice_deep(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  f->below = ctx_with_cancel(f->a);
  together(f, cancel_parent, cancel_parent, NULL);
  EXPECT_INT(f->firsts, 1);
  end_family(f);
}

static void thrice(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  together(f, cancel_parent, cancel_parent, cancel_parent, NULL);
  EXPECT_INT(f->firsts, 1);
  end_family(f);
}

/* ---- of parent and child ---------------------------------------------------------- */

static void cancel_a(void *arg)
{
  struct family *f = arg;
  ctx_cancel(f->a);
  EXPECT(ctx_done(f->a));
  EXPECT(ctx_done(f->below));
}

static void generations(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  f->below = ctx_with_cancel(f->a);
  together(f, cancel_parent, cancel_a, NULL);
  end_family(f);
}

static void cancel_a_with_all(void *arg)
{
  struct family *f = arg;
  cancel_a(f);
  EXPECT(ctx_done(f->b));
}

/* 'a' has ended, and is to be come back to, when the walk from above finds it. */
static void branching_generations(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  ctx_context *branch = ctx_with_cancel(f->a);
  f->below = ctx_with_cancel(branch);
  f->b = ctx_with_cancel(f->a);
  ctx_release(branch);
  together(f, cancel_parent, cancel_a_with_all, NULL);
  end_family(f);
}

static void cancel_below(void *arg)
{
  struct family *f = arg;
  ctx_cancel(f->below);
  EXPECT(ctx_done(f->below));
}

static void three_generations(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  f->below = ctx_with_cancel(f->a);
  together(f, cancel_parent, cancel_a, cancel_below, NULL);
  end_family(f);
}

/* ---- and a birth -------------------------------------------------------------------- */

static void bear(void *arg)
{
  struct family *f = arg;
  f->a = ctx_with_cancel(f->parent);
  EXPECT(f->a != NULL);
}

static void cancel_with_cause(void *arg)
{
  struct family *f = arg;
  EXPECT(ctx_cancel_cause(f->parent, f->cause));
}

static void birth(void)
{
  struct family *f = new_family();
  f->b = ctx_with_cancel(f->parent);
  f->cause = ctx_cause_new("why", 3, 7, NULL, NULL);
  together(f, bear, cancel_with_cause, NULL);
  EXPECT_INT(ctx_err(f->a), CTX_CANCELED);
  EXPECT(ctx_cause_of(f->a) == f->cause);
  end_family(f);
}

/* ---- four at once ---------------------------------------------------------------------- */

static void four_cancels(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  f->below = ctx_with_cancel(f->a);
  together(f, cancel_parent, cancel_a, cancel_below, cancel_parent, NULL);
  EXPECT(f->firsts <= 1);
  end_family(f);
}

static void bear_b(void *arg)
{
  struct family *f = arg;
  f->b = ctx_with_cancel(f->a);
  EXPECT(f->b != NULL);
}

static void cancel_first(void *arg)
{
  struct family *f = arg;
  ctx_cancel(f->parent);
  EXPECT(ctx_done(f->parent) && ctx_done(f->a) && ctx_done(f->below));
}

static void four_with_a_birth(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  f->below = ctx_with_cancel(f->a);
  together(f, cancel_first, cancel_a, cancel_below, bear_b, NULL);
  EXPECT_INT(ctx_err(f->b), CTX_CANCELED);
  end_family(f);
}

/* ---- and a question where it came from ------------------------------------------------ */

static const char *const here = "here:1";

static void cancel_here(void *arg)
{
  struct family *f = arg;
  EXPECT(ctx_cancel_at(f->parent, NULL, CTX_ORIGIN_MEMBER, here));
}

static void ask_origin(void *arg)
{
  struct family *f = arg;
  ctx_origin o;
  if (!ctx_origin_of(f->parent, &o)) return;
  EXPECT(!ctx_origin_of(f->below, &o) || o.site == here);
  EXPECT(ctx_origin_of(f->parent, &o));
  EXPECT(o.context == f->parent);
  EXPECT(o.site == here);
  EXPECT_INT(o.kind, CTX_ORIGIN_MEMBER);
}

static void origin(void)
{
  struct family *f = new_family();
  f->a = ctx_with_cancel(f->parent);
  f->below = ctx_with_cancel(f->a);
  together(f, cancel_here, ask_origin, NULL);
  ask_origin(f);
  EXPECT(ctx_done(f->below));
  end_family(f);
}

const struct scenario cancel_scenarios[] = {
  {"cancel-cancel", "C2 the second to cancel finds all below done", twice, .bound = COMPLETE},
  {"cancel-cancel-deep", "C2 and all below that", twice_deep, .bound = COMPLETE},
  {"cancel-thrice", "C2 and so does the third", thrice, .bound = COMPLETE},
  {"cancel-generations", "C1 parent and child end with all below", generations, .bound = COMPLETE},
  {"cancel-branching", "C1 and so where one has several children", branching_generations,
   .bound = COMPLETE},
  {"cancel-3-generations", "C14 and a grandchild with them", three_generations, .bound = COMPLETE},
  {"cancel-birth", "C6 who is born meanwhile ends with the same cause", birth, .bound = COMPLETE},
  {"cancel-four", "C14 four cancels of three generations", four_cancels, .bound = COMPLETE},
  {"cancel-four-birth", "C6 C14 three cancels and a birth", four_with_a_birth, .bound = COMPLETE},
  {"cancel-origin", "E7 who sees the end sees where it came from", origin, .bound = COMPLETE},
  {0}};
