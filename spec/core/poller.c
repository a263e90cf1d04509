/*
 * poller - which descriptors are told of, how often, and what else ends a sleep
 *
 * Pipes: their reading end is ready when something is written, the writing end while there is room.
 */
#define _GNU_SOURCE 1

#include "watched.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIPES = 100 };

static int64_t now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return CTX_SECONDS((int64_t)t.tv_sec) + t.tv_nsec;
}

static void leave(struct sleeper *s)
{
  if (s->row != NULL) list_remove(s->row, &s->link);
  s->row = NULL;
}

static void fill(const struct bench *b)
{
  char bytes[4096] = {0};
  fcntl(b->ends[1], F_SETFL, O_NONBLOCK);
  while (write(b->ends[1], bytes, sizeof bytes) > 0) continue;
}

/* ---- looking ---------------------------------------------------------------- */

TEST(ready)
{
  struct bench b;
  open_bench(&b);
  CHECK_INT(poller_ready(b.ends[0], POLL_READ), 0);
  CHECK_INT(poller_ready(b.ends[1], POLL_WRITE), 1);
  ping(&b);
  CHECK_INT(poller_ready(b.ends[0], POLL_READ), 1);
  CHECK_INT(poller_ready(b.ends[0], POLL_READ | POLL_WRITE), 1);
  fill(&b);
  CHECK_INT(poller_ready(b.ends[1], POLL_WRITE), 0);
  close(b.ends[0]);
  CHECK_INT(poller_ready(b.ends[1], POLL_WRITE), 1); /* a write tells what is wrong */
  CHECK_INT(poller_ready(b.ends[0], POLL_READ), -1);
  CHECK_INT(errno, EBADF);
  b.ends[0] = -1;
  close_bench(&b);
}

/* ---- being told ------------------------------------------------------------- */

TEST(told_once)
{
  struct bench b;
  struct sleeper s;
  open_bench(&b);
  watch(&b, &s, b.ends[0], POLL_READ);
  poller_wait(b.poller, 0, wake);
  CHECK_INT(woken, 0);
  ping(&b);
  poller_wait(b.poller, CTX_NEVER, wake);
  CHECK_INT(woken, 1);
  poller_wait(b.poller, 0, wake); /* nobody waits */
  watch(&b, &s, b.ends[0], POLL_READ);
  poller_wait(b.poller, CTX_NEVER, wake);
  CHECK_INT(woken, 2);
  close_bench(&b);
}

TEST(each_mode)
{
  struct bench b;
  struct sleeper reads, writes, either;
  open_bench(&b);
  fill(&b);
  watch(&b, &writes, b.ends[1], POLL_WRITE);
  watch(&b, &either, b.ends[1], POLL_READ | POLL_WRITE);
  watch(&b, &reads, b.ends[1], POLL_READ);
  poller_wait(b.poller, 0, wake);
  CHECK_INT(woken, 0);
  char bytes[65536];
  CHECK(read(b.ends[0], bytes, sizeof bytes) > 0);
  poller_wait(b.poller, CTX_NEVER, wake);
  CHECK_INT(woken, 2); /* a writing end is never to be read */
  CHECK(reads.row != NULL);
  leave(&reads);
  close_bench(&b);
}

/* Who still waits in another way is told later, without asking again. */
TEST(others_stay)
{
  struct bench b;
  struct sleeper reads, writes;
  open_bench(&b);
  close(b.ends[0]);
  int listener[2];
  CHECK_INT(pipe(listener), 0);
  b.ends[0] = listener[0];
  watch(&b, &reads, listener[0], POLL_READ);
  watch(&b, &writes, listener[0], POLL_WRITE); /* which it never is */
  poller_wait(b.poller, 0, wake);
  CHECK_INT(woken, 0);
  CHECK_INT(write(listener[1], "x", 1), 1);
  poller_wait(b.poller, CTX_NEVER, wake);
  CHECK_INT(woken, 1);
  CHECK(reads.row == NULL && writes.row != NULL);
  close(listener[1]); /* an end of the file is told to everybody */
  poller_wait(b.poller, CTX_NEVER, wake);
  CHECK_INT(woken, 2);
  close_bench(&b);
}

TEST(many)
{
  struct bench b;
  struct sleeper s[PIPES];
  int ends[PIPES][2];
  open_bench(&b);
  for (int i = 0; i < PIPES; i++) {
    if (pipe(ends[i]) != 0) abort();
    watch(&b, &s[i], ends[i][0], POLL_READ);
  }
  for (int i = 0; i < PIPES; i += 2) CHECK_INT(write(ends[i][1], "x", 1), 1);
  while (woken < PIPES / 2) poller_wait(b.poller, CTX_NEVER, wake);
  poller_wait(b.poller, 0, wake);
  CHECK_INT(woken, PIPES / 2);
  for (int i = 0; i < PIPES; i++) {
    CHECK((s[i].row == NULL) == (i % 2 == 0));
    leave(&s[i]);
    close(ends[i][0]), close(ends[i][1]);
  }
  close_bench(&b);
}

/* ---- what is gone ------------------------------------------------------------- */

TEST(closed_while_waited_for)
{
  struct bench b;
  struct sleeper s;
  open_bench(&b);
  watch(&b, &s, b.ends[0], POLL_READ);
  close(b.ends[0]);
  int64_t before_ns = now();
  while (woken == 0 && now() - before_ns < CTX_SECONDS(30)) {
    poller_wait(b.poller, now() + CTX_MS(100), wake);
  }
  CHECK_INT(woken, 1);
  b.ends[0] = -1;
  close_bench(&b);
}

TEST(closing)
{
  struct bench b;
  struct sleeper s;
  open_bench(&b);
  watch(&b, &s, b.ends[0], POLL_READ);
  poller_closing(b.poller, b.ends[0], wake);
  CHECK_INT(woken, 1);
  poller_closing(b.poller, 100000, wake); /* never waited for */
  poller_closing(b.poller, -1, wake);
  CHECK_INT(woken, 1);
  close_bench(&b);
}

/* Another file under the number of one that was waited for. */
TEST(number_used_again)
{
  struct bench b;
  struct sleeper before, after;
  int ends[2];
  open_bench(&b);
  watch(&b, &before, b.ends[0], POLL_READ);
  leave(&before);
  CHECK_INT(pipe(ends), 0);
  CHECK(dup2(ends[0], b.ends[0]) == b.ends[0]);
  watch(&b, &after, b.ends[0], POLL_READ);
  CHECK_INT(write(ends[1], "x", 1), 1);
  while (woken == 0) poller_wait(b.poller, CTX_NEVER, wake);
  CHECK(after.row == NULL);
  close(ends[0]), close(ends[1]);
  close_bench(&b);
}

/* ---- what else ends a sleep ---------------------------------------------------- */

TEST(instants)
{
  struct bench b;
  struct sleeper s;
  open_bench(&b);
  watch(&b, &s, b.ends[0], POLL_READ);
  int64_t before_ns = now(), until_ns = before_ns + CTX_MS(20);
  poller_wait(b.poller, until_ns, wake);
  CHECK(now() >= until_ns);
  poller_wait(b.poller, 1, wake); /* long past */
  CHECK(now() - before_ns < CTX_SECONDS(30));
  CHECK_INT(woken, 0);
  leave(&s);
  close_bench(&b);
}

static void received(struct letter *l)
{
  (void)l;
}

static void *post_later(void *letter)
{
  int64_t until_ns = now() + CTX_MS(20); /* till the other sleeps, most likely */
  while (now() < until_ns) sched_yield();
  mailbox_post(letter);
  return NULL;
}

TEST(letters)
{
  struct bench b;
  struct sleeper s;
  struct letter l;
  pthread_t poster;
  open_bench(&b);
  letter_init(&l, b.box, received);
  watch(&b, &s, b.ends[0], POLL_READ);
  CHECK(mailbox_post(&l));
  poller_wait(b.poller, CTX_NEVER, wake); /* there is one */
  CHECK(mailbox_take(b.box) == &l);
  if (pthread_create(&poster, NULL, post_later, &l) != 0) abort();
  struct letter *taken;
  while ((taken = mailbox_take(b.box)) == NULL) poller_wait(b.poller, CTX_NEVER, wake);
  CHECK(taken == &l);
  pthread_join(poster, NULL);
  CHECK_INT(woken, 0);
  leave(&s);
  close_bench(&b);
}

/* ---- processes, and what fails ---------------------------------------------------- */

static int in_child(struct bench *b, struct sleeper *s)
{
  ping(b);
  poller_wait(b->poller, CTX_NEVER, wake);
  poller_wait(b->poller, 0, wake);
  return woken == 1 && s->row == NULL ? 0 : 1;
}

TEST(forked)
{
  struct bench b;
  struct sleeper s;
  int status = -1;
  open_bench(&b);
  watch(&b, &s, b.ends[0], POLL_READ);
  pid_t child = fork();
  if (child == 0) _exit(in_child(&b, &s));
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  poller_wait(b.poller, CTX_NEVER, wake); /* the pipe is one, and here it has not been told */
  CHECK_INT(woken, 1);
  close_bench(&b);
}

TEST(no_descriptors)
{
  struct rlimit before, none;
  struct mailbox *m = need(mailbox_new());
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = 3;
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
  CHECK(poller_new(m) == NULL);
  CHECK_INT(errno, EMFILE);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
  mailbox_release(m);
}

static const struct test tests[] = {
  T(ready, "a look tells what is ready, what is not, and what is not open"),
  T(told_once, "a row is woken once, and again when it is asked for anew"),
  T(each_mode, "who waits to read, to write or for either is woken for that"),
  T(others_stay, "who waits in another way goes on, and is told later"),
  T(many, "of a hundred descriptors those that are ready are told"),
  T(closed_while_waited_for, "a descriptor that is closed while it is waited for wakes"),
  T(closing, "and at once when that is said before"),
  T(number_used_again, "another file under the same number is waited for in its place"),
  T(instants, "a sleep ends at its instant, not before"),
  T(letters, "a letter of another thread ends a sleep"),
  T(forked, "a forked child has a poller of its own"),
  T(no_descriptors, "without descriptors there is no poller"),
};

int main(int argc, char **argv)
{
  return check_run("poller", tests, sizeof tests / sizeof *tests, argc, argv);
}
