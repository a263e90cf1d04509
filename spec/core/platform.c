/*
 * platform - what the engine asks of the operating system, by itself
 */
#include "platform.h"

#include <poll.h>
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

/* 136 years: of its seconds, 32 bits keep one. */
static const int64_t far_ns = ((INT64_C(1) << 32) + 1) * 1000000000;

static struct {
  ctx__atomic word, begins;
  uint32_t seen; /* of 'word', after the wait */
} sleeper;

static void *sleep_long(void *arg)
{
  (void)arg;
  CTX__STORE(&sleeper.begins, 1);
  CTX__WAIT(&sleeper.word, 0, far_ns);
  sleeper.seen = CTX__LOAD(&sleeper.word);
  return NULL;
}

TEST(far_wait)
{
  ctx__atomic nobody = 0;
  pthread_t t;
  CHECK_INT(pthread_create(&t, NULL, sleep_long, NULL), 0);
  while (CTX__LOAD(&sleeper.begins) == 0) CTX__WAIT(&sleeper.begins, 0, CTX__NOW() + 1000000);
  for (int64_t now = CTX__NOW(), ns = now + 10000000; now < ns; now = CTX__NOW())
    CTX__WAIT(&nobody, 0, ns); /* so long one that does not last is over */
  CTX__STORE(&sleeper.word, 1);
  CTX__WAKE(&sleeper.word);
  CHECK_INT(pthread_join(t, NULL), 0);
  CHECK_INT(sleeper.seen, 1);
}

TEST(far_descriptor)
{
  ctx__fd f = CTX__FD_NONE;
  if (!CHECK_INT(CTX__FD_OPEN(&f), 0)) return;
  struct pollfd p = {.fd = f.fd, .events = POLLIN};
  CTX__FD_ARM(&f, far_ns);
  CHECK_INT(poll(&p, 1, 0), 0);
  CTX__FD_ARM(&f, CTX__NOW());
  CHECK_INT(poll(&p, 1, 0), 1);
  CTX__FD_CLOSE(&f);
}

TEST(clocks)
{
  int64_t a = CTX__NOW(), b = CTX__NOW(), coarse = CTX__NOW_COARSE(), c = CTX__NOW();
  CHECK(a <= b && b <= c);
  CHECK(coarse <= c && b - coarse < INT64_C(1000000000));
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

static ctx__lock dropped = 1;

static void *take_it(void *arg)
{
  (void)arg;
  CTX__LOCK(&dropped);
  CTX__UNLOCK(&dropped);
  return NULL;
}

/* As by who has looked for sleepers just before one came. */
TEST(dropped_unseen)
{
  pthread_t t;
  CHECK_INT(pthread_create(&t, NULL, take_it, NULL), 0);
  ctx__atomic nobody = 0;
  while (CTX__LOAD(&dropped) != 2) CTX__WAIT(&nobody, 0, CTX__NOW() + 1000000);
  CTX__WAIT(&nobody, 0, CTX__NOW() + 10000000); /* it sleeps */
  CTX__STORE(&dropped, 0);
  CHECK_INT(pthread_join(t, NULL), 0);
  CHECK_INT(dropped, 0);
}

static const struct test tests[] = {
  T(past, "D2 a wait until an instant of the past does not last"),
  T(changed, "nor one for a word that has changed"),
  T(far_wait, "D2 a wait until an instant that is far away lasts"),
  T(far_descriptor, "J3 a descriptor is not readable before such an instant"),
  T(clocks, "the clocks do not go back, and the coarse one is not far behind"),
  T(dropped_unseen, "who sleeps on a lock that is dropped unseen takes it all the same"),
  T(locks, "one thread at a time is inside a lock"),
};

int main(int argc, char **argv)
{
  return check_run("platform", tests, sizeof tests / sizeof *tests, argc, argv);
}
