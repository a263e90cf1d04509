/*
 * context - what a context answers, what ends it, and who keeps it
 *
 * On a manual clock, or on one that the test sets. Each test ends with nothing
 * left: no context, hook or timer in its engine, no block in its allocator.
 */
#define _GNU_SOURCE 1

#define START 1000 /* so that a timeout is not the deadline that it makes */

#include "world.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

/* ---- what a context is to answer --------------------------------------- */

static void check_live(const ctx_context *c)
{
  CHECK(!ctx_done(c));
  CHECK_INT(ctx_err(c), 0);
  CHECK(ctx_cause_of(c) == NULL);
}

/* Done, with this err and a cause of this text. */
static void check_done(const ctx_context *c, int err, const char *text)
{
  const ctx_cause *x = ctx_cause_of(c);
  CHECK(ctx_done(c));
  CHECK_INT(ctx_err(c), err);
  CHECK(x != NULL);
  if (x != NULL) CHECK_STR(ctx_cause_text(x, NULL), text);
}

static const char PLAIN_CANCEL[] = "context canceled";
static const char PLAIN_DEADLINE[] = "context deadline exceeded";

static void check_canceled(const ctx_context *c)
{
  check_done(c, CTX_CANCELED, PLAIN_CANCEL);
}

static void check_expired(const ctx_context *c)
{
  check_done(c, CTX_DEADLINE_EXCEEDED, PLAIN_DEADLINE);
}

static void release_all(ctx_context **c, size_t n)
{
  for (size_t i = 0; i < n; i++) ctx_release(c[i]);
}

#define RELEASE(...) \
  release_all((ctx_context *[]){__VA_ARGS__}, \
              sizeof((ctx_context *[]){__VA_ARGS__}) / sizeof(ctx_context *))

/* ---- roots and errors ------------------------------------------------- */

static void check_root(ctx_context *c)
{
  static const int key;
  check_live(c);
  CHECK(ctx_engine_of(c) != NULL);
  CHECK_INT(ctx_deadline(c), CTX_NEVER);
  CHECK(ctx_value(c, &key) == NULL);
  CHECK(!ctx_cancel(c));
  check_live(c);
}

TEST(default_roots) /* the first test: nobody has asked for one yet */
{
  check_root(ctx_todo());
  check_root(ctx_background());
}

TEST(private_roots)
{
  struct world w;
  check_root(manual(&w));
  check_root(ctx_engine_todo(w.engine));
  CHECK_INT(ctx_engine_advance(w.engine, CTX_SECONDS(100)), 0);
  check_root(ctx_engine_background(w.engine));
  world_close(&w);
}

TEST(roots_are_distinct)
{
  struct world w;
  ctx_context *bg = manual(&w);
  CHECK(ctx_background() != ctx_todo());
  CHECK(bg != ctx_engine_todo(w.engine));
  CHECK(bg != ctx_background());
  CHECK(ctx_engine_todo(w.engine) != ctx_todo());
  world_close(&w);
}

TEST(root_again)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *todo = ctx_engine_todo(w.engine);
  int64_t calls = w.calls;
  for (int i = 0; i < 100; i++) {
    CHECK(ctx_engine_background(w.engine) == bg);
    CHECK(ctx_engine_todo(w.engine) == todo);
    CHECK(ctx_background() == ctx_background());
  }
  CHECK_INT(w.calls, calls);
  world_close(&w);
}

TEST(root_retained)
{
  struct world w;
  ctx_context *bg = manual(&w);
  CHECK(ctx_retain(bg) == bg);
  ctx_release(bg);
  CHECK_INT(counters(&w).contexts, 0);
  check_root(bg);
  world_close(&w);
}

TEST(root_refuses_cause)
{
  struct world w;
  int dropped = 0;
  CHECK(!ctx_cancel_cause(manual(&w), counted_cause("X", &dropped)));
  CHECK_INT(dropped, 1);
  world_close(&w);
}

TEST(error_texts)
{
  CHECK_STR(ctx_strerror(CTX_CANCELED), "context canceled");
  CHECK_STR(ctx_strerror(CTX_DEADLINE_EXCEEDED), "context deadline exceeded");
  CHECK_STR(ctx_strerror(0), "no error");
  CHECK_STR(ctx_strerror(99), "unknown context error");
}

TEST(version)
{
  char header[32];
  snprintf(header, sizeof header, "%d.%d.%d", CTX_VERSION_MAJOR, CTX_VERSION_MINOR,
           CTX_VERSION_PATCH);
  CHECK_STR(ctx_version(), header);
}

TEST(engine_is_inherited)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_cancel(bg), *b = ctx_with_timeout(a, 5);
  ctx_context *v = ctx_with_value(b, &w, &w, NULL), *d = ctx_without_cancel(v);
  CHECK(ctx_engine_of(bg) == w.engine && ctx_engine_of(a) == w.engine);
  CHECK(ctx_engine_of(b) == w.engine && ctx_engine_of(v) == w.engine);
  CHECK(ctx_engine_of(d) == w.engine);
  CHECK(ctx_engine_of(ctx_background()) == ctx_engine_of(ctx_todo()));
  CHECK(ctx_engine_of(ctx_background()) != w.engine);
  RELEASE(a, b, v, d);
  world_close(&w);
}

/* ---- asking a context ------------------------------------------------- */

TEST(three_answers)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_cancel(bg), *b = ctx_with_timeout(a, 50);
  ctx_context *v = ctx_with_value(b, &w, &w, NULL);
  check_live(a), check_live(b), check_live(v);
  ctx_engine_advance(w.engine, 50);
  check_live(a), check_expired(b), check_expired(v);
  ctx_cancel(a);
  check_canceled(a), check_expired(b), check_expired(v);
  RELEASE(a, b, v);
  world_close(&w);
}

TEST(end_is_final)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50);
  CHECK(ctx_cancel_cause(a, cause("first")));
  const ctx_cause *x = ctx_cause_of(a);
  ctx_engine_advance(w.engine, 100);
  CHECK(!ctx_cancel_cause(a, cause("second")));
  CHECK(ctx_cause_of(a) == x);
  check_done(a, CTX_CANCELED, "first");
  ctx_release(a);
  world_close(&w);
}

TEST(err_and_cause_are_two)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_cancel(bg), *b = ctx_with_timeout_cause(bg, 5, cause("slow"));
  ctx_cancel_cause(a, ctx_cause_new("why", 3, 77, NULL, NULL));
  ctx_engine_advance(w.engine, 5);
  check_done(a, CTX_CANCELED, "why");
  CHECK_INT(ctx_cause_code(ctx_cause_of(a)), 77);
  check_done(b, CTX_DEADLINE_EXCEEDED, "slow");
  RELEASE(a, b);
  world_close(&w);
}

TEST(earliest_deadline)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_deadline(bg, START + 50), *later = ctx_with_deadline(a, START + 70);
  ctx_context *earlier = ctx_with_deadline(a, START + 30), *plain = ctx_with_cancel(earlier);
  ctx_context *v = ctx_with_value(plain, &w, &w, NULL);
  for (int round = 0; round < 2; round++) {
    CHECK_INT(ctx_deadline(a), START + 50);
    CHECK_INT(ctx_deadline(later), START + 50);
    CHECK_INT(ctx_deadline(earlier), START + 30);
    CHECK_INT(ctx_deadline(plain), START + 30);
    CHECK_INT(ctx_deadline(v), START + 30);
    if (round == 0) ctx_cancel(a);
  }
  RELEASE(a, later, earlier, plain, v);
  world_close(&w);
}

TEST(done_is_level)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  ctx_cancel(a);
  for (int i = 0; i < 1000; i++) CHECK(ctx_done(a) && ctx_err(a) == CTX_CANCELED);
  ctx_release(a);
  world_close(&w);
}

TEST(value_layer_ends_with_parent)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  ctx_context *v = ctx_with_value(a, &w, &w, NULL), *u = ctx_with_value(v, &w, NULL, NULL);
  CHECK(!ctx_cancel(v));
  CHECK(!ctx_cancel(u));
  check_live(a), check_live(v), check_live(u);
  ctx_cancel_cause(a, cause("X"));
  check_done(v, CTX_CANCELED, "X");
  CHECK(ctx_cause_of(v) == ctx_cause_of(a) && ctx_cause_of(u) == ctx_cause_of(a));
  RELEASE(a, v, u);
  world_close(&w);
}

TEST(value_layer_takes_cause)
{
  struct world w;
  int dropped = 0;
  ctx_context *a = ctx_with_cancel(manual(&w)), *v = ctx_with_value(a, &w, &w, NULL);
  CHECK(!ctx_cancel_cause(v, counted_cause("X", &dropped)));
  CHECK_INT(dropped, 1);
  check_live(a);
  RELEASE(a, v);
  world_close(&w);
}

TEST(value_layer_expires_parent)
{
  struct world w;
  ctx_context *a = ctx_with_timeout_cause(host(&w), 50, cause("slow"));
  ctx_context *v = ctx_with_value(a, &w, &w, NULL);
  w.now_ns = START + 50;
  CHECK(ctx_done(v));
  check_done(a, CTX_DEADLINE_EXCEEDED, "slow");
  check_done(v, CTX_DEADLINE_EXCEEDED, "slow");
  RELEASE(a, v);
  world_close(&w);
}

/* ---- truth without a driver ------------------------------------------- */

TEST(query_ends)
{
  struct world w;
  ctx_context *bg = host(&w);
  ctx_context *a = ctx_with_timeout(bg, 50), *b = ctx_with_timeout(bg, 50);
  ctx_context *c = ctx_with_timeout(bg, 50);
  w.now_ns = START + 49;
  check_live(a);
  w.now_ns = START + 50;
  CHECK(ctx_done(a));
  CHECK_INT(ctx_err(b), CTX_DEADLINE_EXCEEDED);
  CHECK(ctx_cause_of(c) != NULL);
  check_expired(a), check_expired(b), check_expired(c);
  CHECK_INT(counters(&w).timers, 0);
  RELEASE(a, b, c);
  world_close(&w);
}

TEST(query_ends_the_owner)
{
  struct world w;
  ctx_context *bg = host(&w);
  ctx_context *a = ctx_with_timeout_cause(bg, 50, cause("slow")), *b = ctx_with_cancel(a);
  ctx_context *c = ctx_with_timeout(b, 70), *sibling = ctx_with_cancel(a);
  w.now_ns = START + 60;
  CHECK(ctx_done(c));
  check_done(a, CTX_DEADLINE_EXCEEDED, "slow");
  check_done(b, CTX_DEADLINE_EXCEEDED, "slow");
  check_done(c, CTX_DEADLINE_EXCEEDED, "slow");
  check_done(sibling, CTX_DEADLINE_EXCEEDED, "slow");
  RELEASE(a, b, c, sibling);
  world_close(&w);
}

TEST(query_spares_the_parent)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(host(&w), 70), *b = ctx_with_timeout(a, 50);
  w.now_ns = START + 60;
  check_expired(b);
  check_live(a);
  w.now_ns = START + 70;
  check_expired(a);
  RELEASE(a, b);
  world_close(&w);
}

TEST(cancel_reads_no_clock)
{
  struct world w;
  ctx_context *bg = host(&w);
  ctx_context *a = ctx_with_timeout(bg, 50), *b = ctx_with_timeout(bg, 50);
  w.now_ns = START + 60;
  CHECK(ctx_cancel(a));
  check_canceled(a);
  CHECK(ctx_done(b));
  CHECK(!ctx_cancel(b));
  check_expired(b);
  RELEASE(a, b);
  world_close(&w);
}

TEST(child_of_overdue_parent)
{
  struct world w;
  ctx_context *a = ctx_with_timeout_cause(host(&w), 50, cause("slow"));
  w.now_ns = START + 60;
  ctx_context *b = ctx_with_cancel(a);
  check_done(b, CTX_DEADLINE_EXCEEDED, "slow");
  ctx_context *c = ctx_with_timeout_cause(a, 100, cause("unused"));
  check_done(c, CTX_DEADLINE_EXCEEDED, "slow");
  RELEASE(a, b, c);
  world_close(&w);
}

TEST(closed_engine_expires)
{
  struct world w;
  ctx_context *a = ctx_with_timeout_cause(host(&w), 50, cause("slow")), *b = ctx_with_cancel(a);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  w.now_ns = START + 49;
  check_live(b);
  w.now_ns = START + 50;
  check_done(b, CTX_DEADLINE_EXCEEDED, "slow");
  check_done(a, CTX_DEADLINE_EXCEEDED, "slow");
  RELEASE(a, b);
  world_memory_is_back(&w);
}

TEST(closed_engine_cancels)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *b = ctx_with_value(a, &w, &w, NULL);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  check_live(b);
  CHECK(ctx_value(b, &w) == &w);
  CHECK_INT(ctx_deadline(b), START + 50);
  CHECK(ctx_cancel_cause(a, cause("X")));
  CHECK(!ctx_cancel(a));
  check_done(b, CTX_CANCELED, "X");
  RELEASE(a, b);
  world_memory_is_back(&w);
}

TEST(closed_engine_makes_children)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(host(&w));
  CHECK_INT(ctx_engine_close(w.engine), 0);
  ctx_context *b = ctx_with_timeout(a, 50), *c = ctx_with_cancel(a);
  CHECK(b != NULL && c != NULL);
  check_live(b), check_live(c);
  w.now_ns = START + 50;
  check_expired(b), check_live(c);
  ctx_cancel(a);
  check_expired(b), check_canceled(c);
  RELEASE(a, b, c);
  world_memory_is_back(&w);
}

TEST(closed_engine_memory)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *b = ctx_with_cancel(a);
  CHECK_INT(ctx_engine_close(w.engine), 0);
  ctx_release(a);
  CHECK(w.blocks > 0);
  check_live(b);
  ctx_release(b);
  world_memory_is_back(&w);
}

/* ---- cancel and propagation ------------------------------------------- */

TEST(cancel_goes_down)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w)), *b = ctx_with_timeout(a, 50);
  ctx_context *v = ctx_with_value(b, &w, &w, NULL), *c = ctx_with_cancel(v);
  CHECK(ctx_cancel(a));
  check_canceled(a), check_canceled(b), check_canceled(v), check_canceled(c);
  RELEASE(a, b, v, c);
  world_close(&w);
}

TEST(cancel_spares_others)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  ctx_context *b = ctx_with_cancel(a), *c = ctx_with_cancel(a), *d = ctx_with_cancel(b);
  CHECK(ctx_cancel(b));
  check_live(a), check_canceled(b), check_live(c), check_canceled(d);
  RELEASE(a, b, c, d);
  world_close(&w);
}

TEST(second_cancel)
{
  struct world w;
  int dropped = 0;
  ctx_context *a = ctx_with_cancel(manual(&w));
  CHECK(ctx_cancel_cause(a, cause("first")));
  CHECK(!ctx_cancel(a));
  CHECK(!ctx_cancel_cause(a, counted_cause("second", &dropped)));
  check_done(a, CTX_CANCELED, "first");
  CHECK_INT(dropped, 1);
  ctx_release(a);
  world_close(&w);
}

TEST(born_done)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  ctx_cancel_cause(a, cause("X"));
  ctx_context *b = ctx_with_cancel(a), *t = ctx_with_timeout(a, 50);
  ctx_context *v = ctx_with_value(a, &w, &w, NULL), *c = ctx_with_cancel(v);
  check_done(b, CTX_CANCELED, "X"), check_done(t, CTX_CANCELED, "X");
  check_done(v, CTX_CANCELED, "X"), check_done(c, CTX_CANCELED, "X");
  CHECK_INT(counters(&w).timers, 0);
  CHECK(!ctx_cancel_cause(b, cause("Y")));
  check_done(b, CTX_CANCELED, "X");
  RELEASE(a, b, t, v, c);
  world_close(&w);
}

TEST(deadline_is_handed_on)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *b = ctx_with_cancel(a);
  ctx_engine_advance(w.engine, 50);
  check_expired(b);
  ctx_context *late = ctx_with_cancel(a);
  check_expired(late);
  RELEASE(a, b, late);
  world_close(&w);
}

TEST(all_between_are_done)
{
  struct world w;
  enum { DEPTH = 60 };
  ctx_context *c[DEPTH] = {ctx_with_cancel(manual(&w))};
  for (int i = 1; i < DEPTH; i++)
    c[i] = i % 3 == 0 ? ctx_with_value(c[i - 1], &w, &w, NULL) : ctx_with_cancel(c[i - 1]);
  ctx_cancel(c[20]);
  for (int i = 0; i < DEPTH; i++) CHECK(ctx_done(c[i]) == (i >= 20));
  release_all(c, DEPTH);
  world_close(&w);
}

/* ---- deadlines -------------------------------------------------------- */

TEST(timeout_counts_from_now)
{
  struct world w;
  ctx_context *bg = host(&w);
  ctx_context *a = ctx_with_timeout(bg, 50);
  w.now_ns = START + 20;
  ctx_context *b = ctx_with_timeout(bg, 50);
  CHECK_INT(ctx_deadline(a), START + 50);
  CHECK_INT(ctx_deadline(b), START + 70);
  RELEASE(a, b);
  world_close(&w);
}

TEST(ends_by_itself)
{
  struct world w;
  ctx_context *a = ctx_with_deadline(manual(&w), START + CTX_SECONDS(3));
  ctx_engine_advance(w.engine, CTX_SECONDS(3) - 1);
  check_live(a);
  CHECK_INT(counters(&w).timers, 1);
  ctx_engine_advance(w.engine, 1);
  CHECK_INT(counters(&w).timers, 0);
  check_expired(a);
  ctx_release(a);
  world_close(&w);
}

TEST(past_deadline)
{
  static const int64_t past[] = {START, START - 1, 0, -1, INT64_MIN};
  struct world w;
  ctx_context *bg = manual(&w);
  for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
    ctx_context *a = ctx_with_deadline(bg, past[i]);
    check_expired(a);
    CHECK_INT(ctx_deadline(a), past[i]);
    CHECK_INT(counters(&w).timers, 0);
    ctx_release(a);
  }
  world_close(&w);
}

TEST(past_timeout)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_timeout(bg, 0), *b = ctx_with_timeout_cause(bg, -5, cause("slow"));
  check_expired(a);
  check_done(b, CTX_DEADLINE_EXCEEDED, "slow");
  CHECK_INT(ctx_deadline(a), START);
  CHECK_INT(ctx_deadline(b), START - 5);
  CHECK_INT(counters(&w).timers, 0);
  RELEASE(a, b);
  world_close(&w);
}

TEST(cancel_of_born_done)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 0);
  CHECK(!ctx_cancel(a));
  CHECK(!ctx_cancel_cause(a, cause("X")));
  check_expired(a);
  ctx_release(a);
  world_close(&w);
}

static void check_gives_way(int64_t wish_ns)
{
  struct world w;
  int dropped = 0;
  ctx_context *a = ctx_with_deadline_cause(manual(&w), START + 50, cause("parent"));
  ctx_context *b = ctx_with_deadline_cause(a, wish_ns, counted_cause("child", &dropped));
  CHECK_INT(counters(&w).timers, 1);
  CHECK_INT(ctx_deadline(b), START + 50);
  ctx_engine_advance(w.engine, 50);
  check_done(b, CTX_DEADLINE_EXCEEDED, "parent");
  RELEASE(a, b);
  CHECK_INT(dropped, 1);
  world_close(&w);
}

TEST(later_than_parent)
{
  check_gives_way(START + 51);
  check_gives_way(CTX_NEVER);
}

TEST(equal_to_parent)
{
  check_gives_way(START + 50);
}

TEST(no_timer_yet_cancelable)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *b = ctx_with_timeout(a, 60);
  CHECK(ctx_cancel(b));
  check_canceled(b), check_live(a);
  CHECK_INT(counters(&w).timers, 1);
  RELEASE(a, b);
  world_close(&w);
}

TEST(earlier_than_parent)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *b = ctx_with_timeout(a, 30);
  CHECK_INT(counters(&w).timers, 2);
  ctx_engine_advance(w.engine, 30);
  check_expired(b), check_live(a);
  CHECK_INT(counters(&w).timers, 1);
  CHECK_INT(ctx_deadline(a), START + 50);
  RELEASE(a, b);
  world_close(&w);
}

TEST(canceled_parent_beats_past)
{
  struct world w;
  int dropped = 0;
  ctx_context *a = ctx_with_cancel(manual(&w));
  ctx_cancel_cause(a, cause("X"));
  ctx_context *b = ctx_with_timeout_cause(a, -1, counted_cause("Y", &dropped));
  check_done(b, CTX_CANCELED, "X");
  CHECK_INT(ctx_deadline(b), START - 1);
  RELEASE(a, b);
  CHECK_INT(dropped, 1);
  world_close(&w);
}

TEST(overdue_parent_beats_past)
{
  struct world w;
  ctx_context *a = ctx_with_timeout_cause(host(&w), 50, cause("parent"));
  w.now_ns = START + 60;
  ctx_context *b = ctx_with_deadline_cause(a, START + 10, cause("child"));
  check_done(b, CTX_DEADLINE_EXCEEDED, "parent");
  RELEASE(a, b);
  world_close(&w);
}

TEST(cancel_before_deadline)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_timeout(bg, 50), *up = ctx_with_cancel(bg);
  ctx_context *v = ctx_with_value(up, &w, &w, NULL), *b = ctx_with_timeout(v, 50);
  CHECK_INT(counters(&w).timers, 2);
  CHECK(ctx_cancel(a));
  CHECK_INT(counters(&w).timers, 1);
  CHECK(ctx_cancel(up));
  CHECK_INT(counters(&w).timers, 0);
  check_canceled(a), check_canceled(b);
  RELEASE(a, up, v, b);
  world_close(&w);
}

TEST(released_deadline)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50);
  ctx_release(a);
  CHECK_INT(counters(&w).timers, 0);
  world_close(&w);
}

static void check_never(ctx_context *c)
{
  CHECK_INT(ctx_deadline(c), CTX_NEVER);
  check_live(c);
  ctx_release(c);
}

TEST(largest_is_never)
{
  struct world w;
  ctx_context *bg = manual(&w);
  check_never(ctx_with_timeout(bg, INT64_MAX));
  check_never(ctx_with_timeout(bg, INT64_MAX - 1));
  check_never(ctx_with_timeout(bg, INT64_MAX - START));
  check_never(ctx_with_deadline(bg, INT64_MAX));
  ctx_context *a = ctx_with_timeout(bg, INT64_MAX), *b = ctx_with_timeout(bg, CTX_SECONDS(1));
  CHECK_INT(counters(&w).timers, 1);
  RELEASE(a, b);
  world_close(&w);
}

TEST(last_instant_is_a_deadline)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), INT64_MAX - START - 1);
  CHECK_INT(ctx_deadline(a), INT64_MAX - 1);
  check_live(a);
  CHECK_INT(counters(&w).timers, 1);
  ctx_engine_advance(w.engine, INT64_MAX - START - 1);
  check_expired(a);
  ctx_release(a);
  world_close(&w);
}

static void check_smallest(int64_t start_ns, int64_t deadline_ns)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(world_open(&w, CTX_DRIVER_HOST, start_ns), INT64_MIN);
  check_expired(a);
  CHECK_INT(ctx_deadline(a), deadline_ns);
  ctx_release(a);
  world_close(&w);
}

TEST(smallest_is_past)
{
  check_smallest(START, INT64_MIN + START);
  check_smallest(0, INT64_MIN);
  check_smallest(-START, INT64_MIN);
}

TEST(one_clock)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(host(&w), CTX_SECONDS(5));
  CHECK_INT(ctx_engine_now(w.engine), START);
  w.now_ns = ctx_deadline(a) - 1;
  CHECK_INT(ctx_engine_now(w.engine), ctx_deadline(a) - 1);
  CHECK_INT(ctx_engine_poll(w.engine), 0);
  check_live(a);
  w.now_ns++;
  CHECK_INT(ctx_engine_poll(w.engine), 1);
  CHECK_INT(counters(&w).timers, 0);
  check_expired(a);
  ctx_release(a);
  world_close(&w);
}

/* ---- who wins, and why ------------------------------------------------ */

TEST(first_end_wins)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_timeout_cause(bg, 50, cause("slow"));
  ctx_context *b = ctx_with_timeout_cause(bg, 50, cause("slow"));
  CHECK(ctx_cancel_cause(a, cause("X")));
  ctx_engine_advance(w.engine, 50);
  CHECK(!ctx_cancel_cause(b, cause("X")));
  check_done(a, CTX_CANCELED, "X");
  check_done(b, CTX_DEADLINE_EXCEEDED, "slow");
  RELEASE(a, b);
  world_close(&w);
}

TEST(no_cause)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_cancel(bg), *b = ctx_with_cancel(a), *t = ctx_with_timeout(bg, 5);
  ctx_cancel_cause(a, NULL);
  ctx_engine_advance(w.engine, 5);
  check_canceled(a), check_canceled(b), check_expired(t);
  size_t len = 0;
  ctx_cause_text(ctx_cause_of(t), &len);
  CHECK_INT(len, strlen(PLAIN_DEADLINE));
  CHECK(ctx_cause_of(a) == ctx_cause_of(b));
  CHECK(ctx_cause_of(a) != ctx_cause_of(t));
  CHECK(ctx_cause_data(ctx_cause_of(a)) == NULL);
  RELEASE(a, b, t);
  world_close(&w);
}

/* Cancels a parent and its child in one order, each with a cause or with none. */
static void check_two_ends(bool parent_first, const char *x, const char *y, const char *parent_has,
                           const char *child_has)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w)), *b = ctx_with_cancel(a);
  ctx_context *first = parent_first ? a : b, *second = parent_first ? b : a;
  CHECK(ctx_cancel_cause(first, x != NULL ? cause(x) : NULL));
  CHECK(ctx_cancel_cause(second, y != NULL ? cause(y) : NULL) == !parent_first);
  check_done(a, CTX_CANCELED, parent_has);
  check_done(b, CTX_CANCELED, child_has);
  RELEASE(a, b);
  world_close(&w);
}

TEST(parent_then_child)
{
  check_two_ends(true, "X", "Y", "X", "X");
  check_two_ends(true, "X", NULL, "X", "X");
  check_two_ends(true, NULL, "Y", PLAIN_CANCEL, PLAIN_CANCEL);
}

TEST(child_then_parent)
{
  check_two_ends(false, "Y", "X", "X", "Y");
  check_two_ends(false, NULL, "X", "X", PLAIN_CANCEL);
  check_two_ends(false, "Y", NULL, PLAIN_CANCEL, "Y");
}

TEST(timeout_cause_needs_the_timer)
{
  struct world w;
  int dropped = 0;
  ctx_context *a = ctx_with_timeout_cause(manual(&w), 50, counted_cause("slow", &dropped));
  CHECK(ctx_cancel(a));
  check_canceled(a);
  ctx_engine_advance(w.engine, 100);
  check_canceled(a);
  ctx_release(a);
  CHECK_INT(dropped, 1);
  world_close(&w);
}

static void check_timeout_under_cancel(int64_t timeout_ns, int err, const char *text)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  ctx_context *b = ctx_with_timeout_cause(a, timeout_ns, cause("X"));
  CHECK(ctx_cancel_cause(a, cause("Y")));
  check_done(a, CTX_CANCELED, "Y");
  check_done(b, err, text);
  RELEASE(a, b);
  world_close(&w);
}

TEST(timeout_under_cancel)
{
  check_timeout_under_cancel(0, CTX_DEADLINE_EXCEEDED, "X");
  check_timeout_under_cancel(50, CTX_CANCELED, "Y");
}

TEST(cause_through_values)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *v = ctx_with_value(bg, &w, &w, NULL), *a = ctx_with_cancel(v);
  ctx_context *u = ctx_with_value(a, &w, &w, NULL), *b = ctx_with_cancel(u);
  ctx_context *t = ctx_with_value(b, &w, &w, NULL);
  ctx_cancel_cause(b, cause("inner"));
  ctx_cancel_cause(a, cause("outer"));
  check_live(v);
  check_done(u, CTX_CANCELED, "outer");
  check_done(t, CTX_CANCELED, "inner");
  CHECK(ctx_cause_of(u) == ctx_cause_of(a) && ctx_cause_of(t) == ctx_cause_of(b));
  RELEASE(v, a, u, b, t);
  world_close(&w);
}

/* ---- causes ----------------------------------------------------------- */

TEST(cause_holds)
{
  static const char text[] = "no\0such\0file";
  int data = 0;
  size_t len = 0;
  ctx_cause *x = ctx_cause_new(text, sizeof text - 1, INT_MIN, &data, NULL);
  CHECK(x != NULL);
  const char *copy = ctx_cause_text(x, &len);
  CHECK_INT(len, sizeof text - 1);
  CHECK(copy != text && memcmp(copy, text, sizeof text) == 0);
  CHECK_INT(ctx_cause_code(x), INT_MIN);
  CHECK(ctx_cause_data(x) == &data);
  ctx_cause_release(x);
}

TEST(cause_copies_len_bytes)
{
  size_t len = 1;
  ctx_cause *x = ctx_cause_new("abcdef", 3, 0, NULL, NULL),
            *y = ctx_cause_new("", 0, 0, NULL, NULL);
  CHECK_STR(ctx_cause_text(x, NULL), "abc");
  CHECK_STR(ctx_cause_text(y, &len), "");
  CHECK_INT(len, 0);
  ctx_cause_release(x);
  ctx_cause_release(y);
}

TEST(cause_drops_once)
{
  int dropped = 0;
  ctx_cause *x = counted_cause("X", &dropped);
  CHECK(ctx_cause_retain(x) == x);
  ctx_cause_release(x);
  CHECK_INT(dropped, 0);
  ctx_cause_release(x);
  CHECK_INT(dropped, 1);
}

TEST(cause_outlives_context)
{
  struct world w;
  int dropped = 0;
  ctx_cause *x = ctx_cause_retain(counted_cause("X", &dropped));
  ctx_context *a = ctx_with_cancel(manual(&w));
  ctx_cancel_cause(a, x);
  CHECK(ctx_cause_of(a) == x);
  ctx_release(a);
  world_close(&w);
  CHECK_INT(dropped, 0);
  CHECK_STR(ctx_cause_text(x, NULL), "X");
  ctx_cause_release(x);
  CHECK_INT(dropped, 1);
}

TEST(cause_goes_with_its_last_context)
{
  struct world w;
  int dropped = 0;
  ctx_context *a = ctx_with_cancel(manual(&w)), *b = ctx_with_cancel(a), *c = ctx_with_cancel(b);
  ctx_cancel_cause(a, counted_cause("X", &dropped));
  RELEASE(a, b);
  check_done(c, CTX_CANCELED, "X");
  CHECK_INT(dropped, 0);
  ctx_release(c);
  CHECK_INT(dropped, 1);
  world_close(&w);
}

TEST(cause_of_two_contexts)
{
  struct world w;
  int dropped = 0;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_cancel(bg), *b = ctx_with_timeout_cause(bg, 5, NULL);
  ctx_cause *x = counted_cause("X", &dropped);
  ctx_cancel_cause(a, ctx_cause_retain(x));
  ctx_cancel_cause(b, x);
  CHECK(ctx_cause_of(a) == ctx_cause_of(b));
  ctx_release(a);
  CHECK_INT(dropped, 0);
  ctx_release(b);
  CHECK_INT(dropped, 1);
  world_close(&w);
}

/* ---- values ----------------------------------------------------------- */

static const char key_a, key_b, key_c;
static char value_1[] = "1", value_2[] = "2";

TEST(value_is_seen_below)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_value(bg, &key_a, value_1, NULL);
  ctx_context *b = ctx_with_value(a, &key_b, value_2, NULL);
  CHECK(ctx_value(a, &key_a) == value_1 && ctx_value(b, &key_a) == value_1);
  CHECK(ctx_value(b, &key_b) == value_2);
  CHECK(ctx_value(a, &key_b) == NULL && ctx_value(bg, &key_a) == NULL);
  CHECK(ctx_value(b, &key_c) == NULL);
  RELEASE(a, b);
  world_close(&w);
}

TEST(inner_value_shadows)
{
  struct world w;
  ctx_context *a = ctx_with_value(manual(&w), &key_a, value_1, NULL);
  ctx_context *b = ctx_with_value(a, &key_a, value_2, NULL);
  ctx_context *c = ctx_with_value(b, &key_a, NULL, NULL);
  CHECK(ctx_value(a, &key_a) == value_1);
  CHECK(ctx_value(b, &key_a) == value_2);
  CHECK(ctx_value(c, &key_a) == NULL);
  RELEASE(a, b, c);
  world_close(&w);
}

TEST(keys_are_addresses)
{
  static const char one[] = "key", other[] = "key";
  struct world w;
  ctx_context *a = ctx_with_value(manual(&w), one, value_1, NULL);
  CHECK(ctx_value(a, one) == value_1);
  CHECK(ctx_value(a, other) == NULL && ctx_value(a, one + 1) == NULL);
  ctx_release(a);
  world_close(&w);
}

TEST(value_through_all_kinds)
{
  struct world w;
  ctx_context *v = ctx_with_value(manual(&w), &key_a, value_1, NULL), *a = ctx_with_cancel(v);
  ctx_context *t = ctx_with_timeout(a, 50), *u = ctx_with_value(t, &key_b, value_2, NULL);
  ctx_context *d = ctx_without_cancel(u), *b = ctx_with_cancel(d);
  CHECK(ctx_value(b, &key_a) == value_1 && ctx_value(b, &key_b) == value_2);
  CHECK(ctx_value(d, &key_a) == value_1 && ctx_value(t, &key_a) == value_1);
  CHECK(ctx_value(t, &key_b) == NULL);
  RELEASE(v, a, t, u, d, b);
  world_close(&w);
}

TEST(value_after_the_end)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w)), *v = ctx_with_value(a, &key_a, value_1, NULL);
  ctx_context *b = ctx_with_timeout(v, 0);
  ctx_cancel(a);
  CHECK(ctx_value(v, &key_a) == value_1 && ctx_value(b, &key_a) == value_1);
  ctx_context *late = ctx_with_value(b, &key_b, value_2, NULL);
  CHECK(ctx_value(late, &key_a) == value_1 && ctx_value(late, &key_b) == value_2);
  RELEASE(a, v, b, late);
  world_close(&w);
}

TEST(value_adds_no_timer)
{
  struct world w;
  ctx_context *t = ctx_with_timeout(manual(&w), 50), *v = ctx_with_value(t, &key_a, value_1, NULL);
  ctx_context *u = ctx_with_timeout(v, 50);
  ctx_counters n = counters(&w);
  CHECK_INT(n.timers, 1);
  CHECK_INT(n.contexts, 3);
  CHECK_INT(n.hooks, 0);
  CHECK_INT(ctx_deadline(v), START + 50);
  ctx_cancel(t);
  check_canceled(u);
  RELEASE(t, v, u);
  world_close(&w);
}

TEST(value_is_one_allocation)
{
  struct world w;
  int dropped = 0;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_cancel(bg);
  int64_t calls = w.calls;
  ctx_context *v = ctx_with_value(a, &key_a, value_1, NULL);
  CHECK_INT(w.calls, calls + 1);
  ctx_context *u = ctx_with_value(bg, &key_a, &dropped, count_drop);
  CHECK_INT(w.calls, calls + 2);
  RELEASE(a, v, u);
  CHECK_INT(dropped, 1);
  world_close(&w);
}

TEST(value_drops_with_its_last_context)
{
  struct world w;
  int dropped = 0;
  ctx_context *v = ctx_with_value(manual(&w), &key_a, &dropped, count_drop);
  ctx_context *a = ctx_with_cancel(v), *d = ctx_without_cancel(a);
  RELEASE(v, a);
  CHECK_INT(dropped, 0);
  CHECK(ctx_value(d, &key_a) == &dropped);
  ctx_release(d);
  CHECK_INT(dropped, 1);
  world_close(&w);
}

TEST(value_drops_once)
{
  struct world w;
  int dropped = 0;
  ctx_context *v = ctx_with_value(manual(&w), &key_a, &dropped, count_drop);
  CHECK(ctx_retain(v) == v);
  ctx_context *twin = ctx_with_value(v, &key_b, &dropped, count_drop);
  ctx_release(v);
  ctx_release(twin);
  CHECK_INT(dropped, 1);
  ctx_release(v);
  CHECK_INT(dropped, 2);
  world_close(&w);
}

static void drop_context(void *value)
{
  ctx_cancel(value);
  ctx_release(value);
}

TEST(drop_may_release)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *kept = ctx_with_cancel(bg), *a = ctx_with_cancel(bg);
  ctx_context *v = ctx_with_value(a, &key_a, ctx_retain(kept), drop_context);
  RELEASE(a, v);
  check_canceled(kept);
  ctx_cause *x = ctx_cause_new("X", 1, 0, ctx_with_cancel(bg), drop_context);
  a = ctx_with_cancel(bg);
  ctx_cancel_cause(a, x);
  RELEASE(a, kept);
  world_close(&w);
}

/* ---- without_cancel --------------------------------------------------- */

TEST(detached_never_ends)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *v = ctx_with_value(a, &key_a, value_1, NULL);
  ctx_context *d = ctx_without_cancel(v);
  CHECK_INT(ctx_deadline(d), CTX_NEVER);
  ctx_cancel_cause(a, cause("X"));
  ctx_engine_advance(w.engine, 100);
  CHECK(!ctx_cancel(d));
  check_live(d);
  CHECK_INT(ctx_deadline(d), CTX_NEVER);
  CHECK(ctx_value(d, &key_a) == value_1);
  ctx_context *late = ctx_without_cancel(a);
  check_live(late);
  RELEASE(a, v, d, late);
  world_close(&w);
}

TEST(detached_child_is_its_own)
{
  struct world w;
  ctx_context *a = ctx_with_timeout(manual(&w), 50), *d = ctx_without_cancel(a);
  ctx_context *b = ctx_with_cancel(d), *t = ctx_with_timeout(d, 80);
  CHECK_INT(ctx_deadline(b), CTX_NEVER);
  CHECK_INT(ctx_deadline(t), START + 80);
  ctx_engine_advance(w.engine, 50);
  check_expired(a), check_live(b), check_live(t);
  ctx_engine_advance(w.engine, 30);
  check_expired(t), check_live(b);
  CHECK(ctx_cancel(b));
  RELEASE(a, d, b, t);
  world_close(&w);
}

/* ---- references ------------------------------------------------------- */

TEST(release_does_not_cancel)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w)), *b = ctx_with_cancel(a);
  ctx_release(a);
  check_live(b);
  CHECK_INT(counters(&w).contexts, 2);
  ctx_release(b);
  CHECK_INT(counters(&w).contexts, 0);
  world_close(&w);
}

TEST(retain_counts)
{
  struct world w;
  ctx_context *a = ctx_with_cancel(manual(&w));
  for (int i = 0; i < 100; i++) CHECK(ctx_retain(a) == a);
  for (int i = 0; i < 100; i++) ctx_release(a);
  CHECK_INT(counters(&w).contexts, 1);
  check_live(a);
  ctx_release(a);
  world_close(&w);
}

TEST(counters_count)
{
  struct world w;
  ctx_context *bg = manual(&w);
  ctx_context *a = ctx_with_cancel(bg), *t = ctx_with_timeout(a, 50);
  ctx_context *v = ctx_with_value(t, &key_a, NULL, NULL), *d = ctx_without_cancel(v);
  CHECK_INT(counters(&w).contexts, 4);
  CHECK_INT(counters(&w).timers, 1);
  ctx_cancel(a);
  CHECK_INT(counters(&w).contexts, 4);
  CHECK_INT(counters(&w).timers, 0);
  ctx_release(a);
  CHECK_INT(counters(&w).contexts, 4);
  RELEASE(t, v, d);
  CHECK_INT(counters(&w).contexts, 0);
  world_close(&w);
}

TEST(allocator_is_used)
{
  struct world w;
  ctx_context *bg = manual(&w);
  int64_t blocks = w.blocks, calls = w.calls;
  CHECK(blocks > 0);
  ctx_context *a = ctx_with_cancel(bg), *t = ctx_with_timeout_cause(a, 50, cause("X"));
  ctx_context *v = ctx_with_value(t, &key_a, NULL, NULL), *d = ctx_without_cancel(v);
  CHECK(w.calls >= calls + 4);
  RELEASE(a, t, v, d);
  CHECK_INT(w.blocks, blocks);
  CHECK_INT(w.misfits, 0);
  world_close(&w);
}

/* ---- arguments -------------------------------------------------------- */

static void check_refused(const ctx_context *c)
{
  CHECK(c == NULL);
  CHECK_INT(errno, EINVAL);
  errno = 0;
}

TEST(null_parent)
{
  int dropped = 0;
  ctx_cause *x = counted_cause("X", &dropped);
  errno = 0;
  check_refused(ctx_with_cancel(NULL));
  check_refused(ctx_with_deadline(NULL, 5));
  check_refused(ctx_with_timeout(NULL, 5));
  check_refused(ctx_with_deadline_cause(NULL, 5, x));
  check_refused(ctx_with_timeout_cause(NULL, 5, x));
  check_refused(ctx_with_value(NULL, &key_a, &dropped, count_drop));
  check_refused(ctx_without_cancel(NULL));
  CHECK_INT(dropped, 0);
  ctx_cause_release(x);
  CHECK_INT(dropped, 1);
}

TEST(null_does_nothing)
{
  ctx_release(NULL);
  ctx_cause_release(NULL);
  ctx_hook_release(NULL);
  CHECK(!ctx_cancel(NULL));
  CHECK(!ctx_cancel_cause(NULL, NULL));
}

TEST(half_an_allocator)
{
  struct world w;
  ctx_engine_options no_free = {.driver = CTX_DRIVER_HOST, .alloc = world_alloc, .arg = &w};
  ctx_engine_options no_alloc = {.driver = CTX_DRIVER_HOST, .free = world_free, .arg = &w};
  errno = 0;
  CHECK(ctx_engine_open(&no_free) == NULL);
  CHECK_INT(errno, EINVAL);
  errno = 0;
  CHECK(ctx_engine_open(&no_alloc) == NULL);
  CHECK_INT(errno, EINVAL);
}

TEST(default_engine_is_clean)
{
  ctx_engine *e = ctx_engine_of(ctx_background());
  ctx_context *a = ctx_with_timeout(ctx_background(), CTX_SECONDS(3600)), *b = ctx_with_cancel(a);
  ctx_counters n;
  CHECK(ctx__check(e) == NULL);
  ctx_cancel(a);
  check_canceled(b);
  RELEASE(a, b);
  ctx_engine_counters(e, &n);
  CHECK(n.contexts == 0 && n.hooks == 0 && n.timers == 0);
}

static const struct test tests[] = {
  T(default_roots, "A1 the roots of the default engine never end and hold nothing"),
  T(private_roots, "A1 the roots of a private engine never end and hold nothing"),
  T(roots_are_distinct, "A1 background and todo are two, and each engine has its own"),
  T(root_again, "A2 asking for a root again allocates nothing"),
  T(root_retained, "A1 retaining and releasing a root leaves it as it is"),
  T(root_refuses_cause, "a root takes the cause of a cancel that it refuses"),
  T(error_texts, "A3 the errors have their texts"),
  T(version, "the version is that of the header"),
  T(engine_is_inherited, "a child lies in the engine of its parent"),

  T(three_answers, "B1 done, err and cause go together"),
  T(end_is_final, "B2 an end is never changed by a later one"),
  T(err_and_cause_are_two, "B3 err is one of two, the cause is what was given"),
  T(earliest_deadline, "B4 the deadline is the earliest above, before the end and after"),
  T(done_is_level, "B6 a done context answers done every time"),
  T(value_layer_ends_with_parent, "B7 a value context ends with its parent and not by itself"),
  T(value_layer_takes_cause, "a value context takes the cause of a cancel that it refuses"),
  T(value_layer_expires_parent, "B7 asking a value context past the deadline ends its parent"),
  T(query_ends, "B8 each question ends a context whose deadline has passed"),
  T(query_ends_the_owner, "B8 a question ends the ancestor that owns the deadline, with all below"),
  T(query_spares_the_parent, "B8 a question leaves a parent with a later deadline live"),
  T(cancel_reads_no_clock, "B8 a cancel past the deadline wins when nobody has asked"),
  T(child_of_overdue_parent, "B8 a child of a parent past its deadline is born done"),
  T(closed_engine_expires, "B8 a context of a closed engine ends at its deadline"),
  T(closed_engine_cancels, "B8 a context of a closed engine answers and can be canceled"),
  T(closed_engine_makes_children, "B8 a context of a closed engine can have children"),
  T(closed_engine_memory, "the memory of a closed engine goes with its last context"),

  T(cancel_goes_down, "C1 a cancel ends all below, through values and deadlines"),
  T(cancel_spares_others, "C3 a cancel leaves parent and siblings live"),
  T(second_cancel, "C4 a second cancel changes nothing, says so and takes its cause"),
  T(born_done, "C5 a child of a canceled parent is born done, with its cause and no timer"),
  T(deadline_is_handed_on, "C7 a parent that ended by deadline hands that on"),
  T(all_between_are_done, "C9 an end that came down has ended all between"),

  T(timeout_counts_from_now, "D1 a timeout is a deadline counted from now"),
  T(ends_by_itself, "D2 a context ends by itself at its deadline, not a nanosecond before"),
  T(past_deadline, "D3 a deadline now or past is born done and keeps the given instant"),
  T(past_timeout, "D3 a timeout of zero or less is born done, with its cause"),
  T(cancel_of_born_done, "D4 the cancel of a context born done changes nothing"),
  T(later_than_parent, "D5 a later deadline gives way to the parent's and has no timer"),
  T(equal_to_parent, "D5 an equal deadline gives way to the parent's, and so does its cause"),
  T(no_timer_yet_cancelable, "D5 a context that gave way is still canceled alone"),
  T(earlier_than_parent, "D6 an earlier deadline is the child's own and spares the parent"),
  T(canceled_parent_beats_past, "D7 a canceled parent beats a past deadline"),
  T(overdue_parent_beats_past, "D7 a parent past its deadline beats a past deadline"),
  T(cancel_before_deadline, "D8 a cancel takes the timers of all below"),
  T(released_deadline, "D8 the last release takes the timer"),
  T(largest_is_never, "D9 the largest timeouts are never"),
  T(last_instant_is_a_deadline, "D9 the instant before never is a deadline"),
  T(smallest_is_past, "D9 the smallest timeout is past, without overflow"),
  T(one_clock, "D12 deadline, wheel and err read the clock of the engine"),

  T(first_end_wins, "E1 the first end sets err and cause together"),
  T(no_cause, "E2 with no cause given the cause repeats the err"),
  T(parent_then_child, "E3 parent then child: both have the parent's cause"),
  T(child_then_parent, "E3 child then parent: each has its own cause"),
  T(timeout_cause_needs_the_timer, "E4 the cause of a timeout counts only when the timer fires"),
  T(timeout_under_cancel, "E5 a timeout under a cancel: the first of the two decides"),
  T(cause_through_values, "E6 through values the cause is that of the nearest that can end"),
  T(cause_holds, "a cause holds its bytes, NULs included, its code and its data"),
  T(cause_copies_len_bytes, "a cause copies as many bytes as it is told"),
  T(cause_drops_once, "a cause drops its data once, with the last reference"),
  T(cause_outlives_context, "a retained cause outlives its context"),
  T(cause_goes_with_its_last_context, "a cause goes with the last context that shows it"),
  T(cause_of_two_contexts, "a cause may be that of two contexts"),

  T(value_is_seen_below, "F1 a value is seen by its context and below, not above"),
  T(inner_value_shadows, "F2 an inner value shadows an outer one, NULL too"),
  T(value_through_all_kinds, "F3 a value is seen through every other kind of context"),
  T(value_after_the_end, "F4 values stay readable after the end"),
  T(keys_are_addresses, "F6 keys are compared by address"),
  T(value_adds_no_timer, "F5 a value context adds no timer and no hook"),
  T(value_is_one_allocation, "F7 a value context is one allocation"),
  T(value_drops_with_its_last_context, "F8 a value goes with the last context that sees it"),
  T(value_drops_once, "F8 a value is dropped exactly once"),
  T(drop_may_release, "F8 a drop function may cancel and release"),

  T(detached_never_ends, "G1 a detached context never ends and keeps the values"),
  T(detached_child_is_its_own, "G2 a child of a detached context has its own end and deadline"),

  T(release_does_not_cancel, "releasing a parent does not end its child"),
  T(retain_counts, "a context goes with its last reference"),
  T(counters_count, "the counters say what lives"),
  T(allocator_is_used, "contexts come from the allocator of the engine and go back to it"),
  T(null_parent, "P1 a NULL parent is refused and nothing has changed"),
  T(null_does_nothing, "P1 releasing and canceling NULL do nothing"),
  T(half_an_allocator, "P1 half an allocator is refused"),
  T(default_engine_is_clean, "the default engine is clean when its contexts are gone"),
};

int main(int argc, char **argv)
{
  return check_run("context", tests, sizeof tests / sizeof *tests, argc, argv);
}
