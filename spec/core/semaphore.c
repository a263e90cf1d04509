/*
 * semaphore - tokens, and the threads that wait for some
 */
#define _GNU_SOURCE 1

#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

/* A thread that acquires, and what came of it. */
struct taker {
  ctx_semaphore *s;
  ctx_context *c;
  int64_t k;
  int answer; /* atomic; -1: none yet */
  int *order; /* atomic, shared: who comes when */
  int place;
  pthread_t thread;
};

static void *acquire(void *arg)
{
  struct taker *t = arg;
  int answer = ctx_semaphore_acquire(t->s, t->c, t->k);
  if (t->order != NULL) t->place = __atomic_add_fetch(t->order, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&t->answer, answer, __ATOMIC_RELEASE);
  return NULL;
}

static bool has_answer(const struct taker *t)
{
  return __atomic_load_n(&t->answer, __ATOMIC_ACQUIRE) != -1;
}

/* Starts it, and returns when it stands in the queue of its context and the semaphore. */
static void start(struct taker *t, ctx_semaphore *s, ctx_context *c, int64_t k)
{
  ctx_counters before, n;
  *t = (struct taker){.s = s, .c = c, .k = k, .answer = -1};
  ctx_engine_counters(ctx_engine_of(c), &before);
  CHECK_INT(pthread_create(&t->thread, NULL, acquire, t), 0);
  do {
    sched_yield();
    ctx_engine_counters(ctx_engine_of(c), &n);
  } while (n.hooks == before.hooks && !has_answer(t));
  while (k <= 3 && !has_answer(t) && ctx_semaphore_try_acquire(s, 1)) ctx_semaphore_release(s, 1);
}

static int end(struct taker *t)
{
  pthread_join(t->thread, NULL);
  return t->answer;
}

TEST(fifo)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  ctx_semaphore *s = need(ctx_semaphore_open(3));
  struct taker large, small;
  CHECK_INT(ctx_semaphore_acquire(s, c, 2), 0);
  start(&large, s, c, 3);
  CHECK(!ctx_semaphore_try_acquire(s, 1));
  start(&small, s, c, 1);
  CHECK(!has_answer(&large) && !has_answer(&small));
  CHECK_INT(ctx_semaphore_release(s, 2), 0);
  CHECK_INT(end(&large), 0);
  CHECK(!has_answer(&small));
  CHECK_INT(ctx_semaphore_release(s, 3), 0);
  CHECK_INT(end(&small), 0);
  CHECK(ctx_semaphore_try_acquire(s, 2));
  CHECK(!ctx_semaphore_try_acquire(s, 1));
  ctx_semaphore_close(s);
  ctx_release(c);
  world_close(&w);
}

TEST(done)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  ctx_semaphore *s = need(ctx_semaphore_open(1));
  ctx_cancel(c);
  CHECK_INT(ctx_semaphore_acquire(s, c, 1), CTX_CANCELED);
  CHECK(ctx_semaphore_try_acquire(s, 1));
  ctx_semaphore_close(s);
  ctx_release(c);
  world_close(&w);
}

TEST(ends_in_queue)
{
  ctx_context *bg = ctx_background(), *c = ctx_with_cancel(bg);
  ctx_context *d = ctx_with_timeout(bg, CTX_MS(20));
  ctx_semaphore *s = need(ctx_semaphore_open(2));
  struct taker by_cancel;
  CHECK(ctx_semaphore_try_acquire(s, 1));
  start(&by_cancel, s, c, 2);
  CHECK_INT(ctx_semaphore_acquire(s, d, 1), CTX_DEADLINE_EXCEEDED); /* no driver */
  ctx_cancel(c);
  CHECK_INT(end(&by_cancel), CTX_CANCELED);
  CHECK(ctx_semaphore_try_acquire(s, 1));
  CHECK_INT(ctx_semaphore_release(s, 2), 0);
  ctx_semaphore_close(s);
  ctx_release(d);
  ctx_release(c);
}

TEST(too_large)
{
  struct world w;
  ctx_context *c = ctx_with_cancel(manual(&w));
  ctx_semaphore *s = need(ctx_semaphore_open(2));
  struct taker t;
  start(&t, s, c, 5);
  CHECK_INT(ctx_semaphore_acquire(s, c, 2), 0);
  CHECK(!has_answer(&t));
  CHECK_INT(ctx_semaphore_release(s, 2), 0);
  ctx_cancel(c);
  CHECK_INT(end(&t), CTX_CANCELED);
  ctx_semaphore_close(s);
  ctx_release(c);
  world_close(&w);
}

TEST(gives_up)
{
  struct world w;
  ctx_context *bg = manual(&w), *a = ctx_with_cancel(bg), *b = ctx_with_cancel(bg);
  ctx_semaphore *s = need(ctx_semaphore_open(3));
  struct taker first, second;
  CHECK(ctx_semaphore_try_acquire(s, 1));
  start(&first, s, a, 3);
  start(&second, s, b, 2);
  CHECK(!has_answer(&second));
  ctx_cancel(a);
  CHECK_INT(end(&second), 0);
  CHECK_INT(end(&first), CTX_CANCELED);
  CHECK_INT(ctx_semaphore_release(s, 3), 0);
  ctx_semaphore_close(s);
  ctx_release(a);
  ctx_release(b);
  world_close(&w);
}

TEST(too_many)
{
  ctx_semaphore *s = need(ctx_semaphore_open(3));
  CHECK(ctx_semaphore_try_acquire(s, 2));
  CHECK_INT(ctx_semaphore_release(s, 3), EINVAL);
  CHECK_INT(ctx_semaphore_release(s, 0), EINVAL);
  CHECK_INT(ctx_semaphore_release(s, 2), 0);
  CHECK_INT(ctx_semaphore_release(s, 1), EINVAL);
  CHECK_INT(ctx_semaphore_acquire(s, ctx_background(), 0), EINVAL);
  CHECK(!ctx_semaphore_try_acquire(s, -1));
  ctx_semaphore_close(s);
  CHECK(ctx_semaphore_open(0) == NULL);
  CHECK_INT(errno, EINVAL);
}

/* ---- many threads --------------------------------------------------------------- */

enum { CREW = 4, ROUNDS = 3000, TOKENS = 3 };

struct storm {
  ctx_semaphore *s;
  ctx_context *bg;
  int64_t held, most; /* atomic */
};

static void *storm(void *arg)
{
  struct storm *st = arg;
  for (int i = 0; i < ROUNDS; i++) {
    int64_t k = 1 + i % TOKENS;
    ctx_context *c = ctx_with_timeout(st->bg, i % 5 == 0 ? 20000 : CTX_SECONDS(1000));
    if (i % 7 == 0) ctx_cancel(c);
    int err = ctx_semaphore_acquire(st->s, c, k);
    CHECK(err == 0 || ctx_err(c) == err);
    if (err == 0) {
      CHECK(__atomic_add_fetch(&st->held, k, __ATOMIC_RELAXED) <= TOKENS);
      __atomic_sub_fetch(&st->held, k, __ATOMIC_RELAXED);
      CHECK_INT(ctx_semaphore_release(st->s, k), 0);
    }
    ctx_release(c);
  }
  return NULL;
}

TEST(many)
{
  struct storm st = {need(ctx_semaphore_open(TOKENS)), ctx_background(), 0, 0};
  pthread_t crew[CREW];
  for (int i = 0; i < CREW; i++) CHECK_INT(pthread_create(&crew[i], NULL, storm, &st), 0);
  for (int i = 0; i < CREW; i++) pthread_join(crew[i], NULL);
  CHECK(ctx_semaphore_try_acquire(st.s, TOKENS));
  ctx_semaphore_close(st.s);
}

static const struct test tests[] = {
  T(fifo, "M1 a small request waits behind a large one"),
  T(done, "M2 a done context fails even if tokens are free"),
  T(ends_in_queue, "M2 who is ended in the queue has taken nothing"),
  T(too_large, "M3 a request for more than there are blocks nobody"),
  T(gives_up, "M4 who gives up lets those behind go on at once"),
  T(too_many, "M5 more than is held is not released"),
  T(many, "M2 never are more tokens out than there are, whoever ends when"),
};

int main(int argc, char **argv)
{
  return check_run("semaphore", tests, sizeof tests / sizeof *tests, argc, argv);
}
