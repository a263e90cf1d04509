/*
 * snapshot - who is found by a look at the tree while it comes, ends, is moved or goes
 */
#include "scenario.h"

struct view {
  ctx_engine *engine;
  ctx_context *a, *b, *child;
  ctx_snapshot *seen; /* NULL: not taken */
};

enum { SOON = 10, LATER = 20 };

static struct view *new_view(void)
{
  struct view *v = NEW(struct view);
  v->engine = explore_engine(CTX_DRIVER_HOST);
  v->a = ctx_with_deadline(ctx_engine_background(v->engine), SOON);
  v->b = ctx_with_deadline(ctx_engine_background(v->engine), LATER);
  return v;
}

/* All that have been seen are done, but for this one. */
static void are_done(const struct view *v, const ctx_context *but)
{
  for (size_t i = 0; v->seen != NULL && i < ctx_snapshot_count(v->seen); i++) {
    const ctx_context *c = ctx_snapshot_at(v->seen, i)->context;
    EXPECT(ctx_done(c) || c == but);
  }
}

/* Who has been found has all above it yet, and so ends with that. */
static void end_view(struct view *v)
{
  if (v->a != NULL) ctx_cancel(v->a);
  ctx_cancel(v->b);
  are_done(v, ctx_engine_background(v->engine));
  ctx_snapshot_free(v->seen);
  ctx_release(v->child);
  ctx_release(v->a);
  ctx_release(v->b);
  ctx_counters n;
  ctx_engine_counters(v->engine, &n);
  EXPECT_INT(n.contexts, 0);
  EXPECT_INT(ctx_engine_close(v->engine), 0);
  CTX__FREE(v);
}

/* The first below 'c' that a look finds, retained, or NULL. */
static ctx_context *find_below(ctx_context *c)
{
  ctx_snapshot *s = ctx_snapshot_take(c);
  ctx_context *found = NULL;
  if (ctx_snapshot_count(s) > 1) found = ctx_retain(ctx_snapshot_at(s, 1)->context);
  ctx_snapshot_free(s);
  return found;
}

static void release_child(void *arg)
{
  struct view *v = arg;
  ctx_release(v->child);
  v->child = NULL;
}

static void look_at_b(void *arg)
{
  struct view *v = arg;
  v->seen = ctx_snapshot_take(v->b);
}

/* ---- who is tracked -------------------------------------------------------------------- */

static void release_a_and_look(void *arg)
{
  struct view *v = arg;
  ctx_release(v->a);
  v->a = NULL;
  v->seen = ctx_snapshot_take(ctx_engine_background(v->engine));
}

/* Who looks at the tracked asks each what it hangs on. */
static void let_go(void)
{
  struct view *v = new_view();
  ctx_engine_track(v->engine, true);
  v->child = ctx_with_cancel(v->a);
  together(v, release_child, release_a_and_look, NULL);
  end_view(v);
}

static void bear_and_release(void *arg)
{
  struct view *v = arg;
  ctx_release(ctx_with_cancel(v->a));
}

static void number_and_track(void *arg)
{
  struct view *v = arg;
  ctx_context *found = find_below(v->a);
  if (found != NULL) ctx_id(found);
  ctx_release(found);
  ctx_engine_track(v->engine, true);
}

/* It is given an annex by who has found it, before it would be among the tracked. */
static void numbered(void)
{
  struct view *v = new_view();
  together(v, bear_and_release, number_and_track, NULL);
  v->seen = ctx_snapshot_take(ctx_engine_background(v->engine));
  end_view(v);
}

/* ---- who ends -------------------------------------------------------------------------- */

static void cancel_and_release_child(void *arg)
{
  struct view *v = arg;
  ctx_cancel(v->child);
  ctx_release(v->child);
  v->child = NULL;
}

static void number_below_a(void *arg)
{
  struct view *v = arg;
  ctx_context *found = find_below(v->a);
  if (found != NULL) ctx_id(found);
  ctx_release(found);
}

static void ended(void)
{
  struct view *v = new_view();
  v->child = ctx_with_cancel(v->a);
  together(v, cancel_and_release_child, number_below_a, NULL);
  end_view(v);
}

static void look_at_root(void *arg)
{
  struct view *v = arg;
  v->seen = ctx_snapshot_take(ctx_engine_background(v->engine));
}

/* Who hangs on nothing is found among the tracked alone. */
static void ended_at_root(void)
{
  struct view *v = new_view();
  ctx_engine_track(v->engine, true);
  v->child = ctx_with_cancel(ctx_engine_background(v->engine));
  together(v, cancel_and_release_child, look_at_root, NULL);
  end_view(v);
}

/* ---- merges ---------------------------------------------------------------------------- */

static void bear_merge(void *arg)
{
  struct view *v = arg;
  ctx_release(ctx_merge(2, (ctx_context *[]){v->a, v->b}));
}

static void bear_below(void *arg)
{
  struct view *v = arg;
  ctx_context *found = find_below(v->a);
  if (found != NULL) v->child = ctx_with_cancel(found);
  ctx_release(found);
}

static void cancel_b(void *arg)
{
  struct view *v = arg;
  ctx_cancel(v->b);
}

/* Who finds a merge while it is born hangs something below it. */
static void born(void)
{
  struct view *v = new_view();
  together(v, bear_merge, bear_below, cancel_b, NULL);
  if (v->child != NULL) EXPECT(ctx_done(v->child));
  end_view(v);
}

static void extend_a(void *arg)
{
  struct view *v = arg;
  ctx_extend(v->a, SOON + 1);
}

/* A walk holds the merge last, and gives it up. */
static void moved(void)
{
  struct view *v = new_view();
  v->child = ctx_merge(2, (ctx_context *[]){v->a, v->b});
  together(v, extend_a, release_child, look_at_b, NULL);
  end_view(v);
}

enum { CROWD = 63 }; /* before the merge: there others are let in */

static void cancel_a(void *arg)
{
  struct view *v = arg;
  ctx_cancel(v->a);
}

static void canceled(void)
{
  struct view *v = new_view();
  ctx_context *crowd[CROWD];
  for (int i = 0; i < CROWD; i++) crowd[i] = ctx_with_cancel(v->a);
  v->child = ctx_merge(2, (ctx_context *[]){v->a, v->b});
  together(v, cancel_a, release_child, look_at_b, NULL);
  are_done(v, v->b);
  for (int i = 0; i < CROWD; i++) ctx_release(crowd[i]);
  end_view(v);
}

const struct scenario snapshot_scenarios[] = {
  {"snapshot-release", "N3 among the tracked is found who holds all above it, or nobody", let_go,
   .bound = COMPLETE},
  {"snapshot-track", "N3 who was not tracked at its birth is not there, whoever has found it",
   numbered, .bound = COMPLETE},
  {"snapshot-end", "N3 who is found may end, and be let go", ended, .bound = COMPLETE},
  {"snapshot-end-root", "N3 and so where it hangs on nothing", ended_at_root, .bound = COMPLETE},
  {"snapshot-birth", "N3 K1 who hangs something below what was found sees it end", born,
   .bound = 3},
  {"snapshot-move", "N3 D13 who is found while its deadline is moved ends with what it hangs on",
   moved, .bound = 3},
  {"snapshot-cancel", "N3 K1 and who is found while one of its parents ends", canceled, .bound = 3},
  {0}};
