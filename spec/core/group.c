/*
 * group - functions on threads that are waited for together
 */
#define _GNU_SOURCE 1

#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

struct member {
  ctx_group *g;
  ctx_cause *error;    /* that it ends with */
  bool waits;          /* first for the end of the group's context */
  int *running, *most; /* atomic, or NULL */
};

static void *run(void *arg)
{
  struct member *m = arg;
  if (m->running != NULL) {
    int now = __atomic_add_fetch(m->running, 1, __ATOMIC_RELAXED);
    for (int most = __atomic_load_n(m->most, __ATOMIC_RELAXED);
         now > most && !__atomic_compare_exchange_n(m->most, &most, now, false, __ATOMIC_RELAXED,
                                                    __ATOMIC_RELAXED);)
      continue;
    sched_yield();
    __atomic_sub_fetch(m->running, 1, __ATOMIC_RELAXED);
  }
  if (m->waits) ctx_wait(ctx_group_context(m->g), CTX_NEVER);
  ctx_group_done(m->g, m->error);
  return NULL;
}

static pthread_t go(struct member *m)
{
  pthread_t t;
  CHECK_INT(ctx_group_add(m->g), 0);
  CHECK_INT(pthread_create(&t, NULL, run, m), 0);
  return t;
}

TEST(first_error)
{
  struct world w;
  ctx_cause *why, *x = cause("first");
  ctx_group *g = need(ctx_group_open(manual(&w), 0));
  ctx_context *c = ctx_retain(ctx_group_context(g));
  struct member late = {g, cause("late"), true, NULL, NULL}, first = {g, x, false, NULL, NULL};
  pthread_t a = go(&late), b = go(&first);
  CHECK_INT(ctx_group_wait(g, CTX_NEVER, &why), 0);
  CHECK(why == x);
  CHECK_INT(ctx_group_wait(g, 0, &why), 0);
  CHECK(why == x);
  pthread_join(a, NULL);
  pthread_join(b, NULL);
  CHECK(ctx_cause_of(c) == x);
  ctx_origin o;
  CHECK(ctx_origin_of(c, &o));
  CHECK_INT(o.kind, CTX_ORIGIN_MEMBER);
  CHECK_INT(ctx_group_close(g), 0);
  ctx_release(c);
  world_close(&w);
}

TEST(clean_end)
{
  struct world w;
  ctx_cause *why = NULL;
  ctx_group *g = need(ctx_group_open(manual(&w), 0));
  struct member m = {g, NULL, false, NULL, NULL};
  pthread_t t = go(&m);
  pthread_join(t, NULL);
  CHECK_INT(ctx_err(ctx_group_context(g)), 0);
  CHECK_INT(ctx_group_wait(g, CTX_NEVER, &why), 0);
  CHECK(why == NULL);
  CHECK_INT(ctx_err(ctx_group_context(g)), CTX_CANCELED);
  CHECK_STR(ctx_cause_text(ctx_cause_of(ctx_group_context(g)), NULL), "context canceled");
  CHECK_INT(ctx_group_add(g), CTX_CANCELED);
  CHECK_INT(ctx_group_try_add(g), CTX_CANCELED);
  CHECK_INT(ctx_group_close(g), 0);
  world_close(&w);
}

TEST(no_limit)
{
  struct world w;
  ctx_group *g = need(ctx_group_open(manual(&w), 0));
  for (int i = 0; i < 100; i++) CHECK_INT(ctx_group_try_add(g), 0);
  CHECK_INT(ctx_group_set_limit(g, 1), EBUSY);
  for (int i = 0; i < 100; i++) ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_close(g), 0);
  world_close(&w);
}

TEST(parent_ends)
{
  struct world w;
  ctx_context *p = ctx_with_cancel(manual(&w));
  ctx_group *g = need(ctx_group_open(p, 0));
  CHECK_INT(ctx_group_add(g), 0);
  ctx_cancel_cause(p, cause("stop"));
  CHECK_STR(ctx_cause_text(ctx_cause_of(ctx_group_context(g)), NULL), "stop");
  CHECK_INT(ctx_group_wait(g, 0, NULL), ETIMEDOUT);
  CHECK_INT(ctx_group_close(g), EBUSY);
  ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_wait(g, CTX_NEVER, NULL), 0);
  CHECK_INT(ctx_group_close(g), 0);
  ctx_release(p);
  world_close(&w);
}

TEST(limit)
{
  ctx_group *g = need(ctx_group_open(ctx_background(), 2));
  int running = 0, most = 0;
  struct member m[20];
  pthread_t t[20];
  for (int i = 0; i < 20; i++) {
    m[i] = (struct member){g, NULL, false, &running, &most};
    t[i] = go(&m[i]);
  }
  for (int i = 0; i < 20; i++) pthread_join(t[i], NULL);
  CHECK(most >= 1 && most <= 2);
  CHECK_INT(ctx_group_try_add(g), 0);
  CHECK_INT(ctx_group_try_add(g), 0);
  CHECK_INT(ctx_group_try_add(g), EAGAIN);
  ctx_group_done(g, NULL);
  ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_wait(g, CTX_NEVER, NULL), 0);
  CHECK_INT(ctx_group_close(g), 0);
}

static void *add(void *g)
{
  return (void *)(intptr_t)ctx_group_add(g);
}

TEST(gives_up)
{
  struct world w;
  void *answer;
  pthread_t t;
  ctx_context *p = ctx_with_cancel(manual(&w));
  ctx_group *g = need(ctx_group_open(p, 1));
  CHECK_INT(ctx_group_add(g), 0);
  CHECK_INT(pthread_create(&t, NULL, add, g), 0);
  while (counters(&w).hooks == 0) sched_yield();
  ctx_cancel(p);
  pthread_join(t, &answer);
  CHECK_INT((intptr_t)answer, CTX_CANCELED);
  ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_wait(g, CTX_NEVER, NULL), 0);
  CHECK_INT(ctx_group_close(g), 0);
  ctx_release(p);
  world_close(&w);
}

/* A clock that is further at each look. */
static int64_t tick(void *ns)
{
  return ++*(int64_t *)ns;
}

TEST(wait_ends)
{
  int64_t now_ns = 0;
  ctx_engine_options o = {.driver = CTX_DRIVER_HOST, .now = tick, .arg = &now_ns};
  ctx_engine *e = need(ctx_engine_open(&o));
  ctx_group *g = need(ctx_group_open(ctx_engine_background(e), 0));
  CHECK_INT(ctx_group_add(g), 0);
  int64_t before_ns = now_ns;
  CHECK_INT(ctx_group_wait(g, 3, NULL), ETIMEDOUT);
  CHECK(now_ns >= before_ns + 3);
  ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_close(g), 0);
  CHECK_INT(ctx_engine_close(e), 0);
}

TEST(limit_is_kept)
{
  struct world w;
  ctx_group *g = need(ctx_group_open(manual(&w), 1));
  CHECK_INT(ctx_group_add(g), 0);
  CHECK_INT(ctx_group_set_limit(g, 2), EBUSY);
  ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_set_limit(g, 2), 0);
  CHECK_INT(ctx_group_try_add(g), 0);
  CHECK_INT(ctx_group_try_add(g), 0);
  CHECK_INT(ctx_group_try_add(g), EAGAIN);
  ctx_group_done(g, NULL);
  ctx_group_done(g, NULL);
  CHECK_INT(ctx_group_close(g), 0);
  CHECK_INT(ctx_group_close(NULL), 0);
  world_close(&w);
}

static const struct test tests[] = {
  T(first_error, "L1 all are waited for, and the first error is kept; L2 it is the cause"),
  T(clean_end, "L2 after a clean end the context is canceled"),
  T(no_limit, "L4 without a limit there is a place for all"),
  T(parent_ends, "L3 the end of the parent ends the context, and all are joined"),
  T(limit, "L4 never more than the limit run at once"),
  T(gives_up, "L4 who waits for a place gives up at the end of the context"),
  T(wait_ends, "L1 a wait for all ends when its time has passed"),
  T(limit_is_kept, "L5 the limit is kept while functions run"),
};

int main(int argc, char **argv)
{
  return check_run("group", tests, sizeof tests / sizeof *tests, argc, argv);
}
