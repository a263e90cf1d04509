/*
 * platform - what the engine asks of the operating system, by itself
 */
#include "platform.h"

#include <pthread.h>

#include "check.h"

TEST(past)
{
  ctx__atomic word = 0;
  CTX__WAIT(&word, 0, INT64_MIN);
  CTX__WAIT(&word, 0, -1);
  CTX__WAIT(&word, 0, 0);
  CTX__WAIT(&word, 0, CTX__NOW());
  CHECK_INT(word, 0);
}

TEST(changed)
{
  ctx__atomic word = 1;
  CTX__WAIT(&word, 0, INT64_MAX);
  CHECK_INT(word, 1);
}

TEST(clocks)
{
  int64_t a = CTX__NOW(), b = CTX__NOW(), coarse = CTX__NOW_COARSE(), c = CTX__NOW();
  CHECK(a <= b && b <= c);
  CHECK(coarse <= c && c - coarse < INT64_C(1000000000));
}

enum { THREADS = 4, ROUNDS = 20000 };

static struct {
  ctx__lock lock;
  int count;
} shared;

static void *add(void *arg)
{
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    CTX__LOCK(&shared.lock);
    shared.count++;
    CTX__UNLOCK(&shared.lock);
  }
  return NULL;
}

TEST(locks)
{
  pthread_t t[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&t[i], NULL, add, NULL), 0);
  for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(t[i], NULL), 0);
  CHECK_INT(shared.count, THREADS * ROUNDS);
  CHECK_INT(shared.lock, 0);
}

static const struct test tests[] = {
  T(past, "D2 a wait until an instant of the past does not last"),
  T(changed, "nor one for a word that has changed"),
  T(clocks, "the clocks do not go back, and the coarse one is not far behind"),
  T(locks, "one thread at a time is inside a lock"),
};

int main(int argc, char **argv)
{
  return check_run("platform", tests, sizeof tests / sizeof *tests, argc, argv);
}
