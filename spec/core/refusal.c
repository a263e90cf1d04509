/*
 * refusal - the calls of the system that the binding makes without Lua, when they fail
 *
 * Each fails at its first calls, one at a time. Who needs it is told, nothing is left, and the
 * next try goes as ever.
 */
#define _GNU_SOURCE 1

#include "key.h"

#include "faulty.h"
#include "system.h"
#include "watched.h"

#include <limits.h>

enum { TIMES = 3 };

/* A bell is a timer; where it is not, it is a pipe, and there is no epoll. */
#ifdef CTX__PORTABLE
enum { PORTABLE = true };
#define FAULT_BELL FAULT_PIPE
#else
enum { PORTABLE = false };
#define FAULT_BELL FAULT_TIMER
#endif

/* Who waits for the pipe is told as ever. */
static void goes_on(struct bench *b)
{
  struct sleeper s;
  watch(b, &s, b->ends[0], POLL_READ);
  ping(b);
  woken = 0;
  poller_wait(b->poller, CTX_NEVER, wake);
  CHECK_INT(woken, 1);
}

/* ---- mailboxes and keys --------------------------------------------------- */

/* The first of the process: forks are not watched yet. */
TEST(no_mailbox)
{
  fail(FAULT_ATFORK, 1, false);
  CHECK(mailbox_new() == NULL);
  CHECK(heal());
  fail(FAULT_MALLOC, 1, false);
  CHECK(mailbox_new() == NULL);
  CHECK(heal());
  mailbox_release(need(mailbox_new()));
}

enum { ROWS = 64 }; /* so many the table of names has at first */

static struct key *intern(int n)
{
  return key_intern(&(struct key_name){'i', &n, sizeof n});
}

TEST(no_key)
{
  struct key *keys[ROWS + 1];
  for (int i = 0; i < ROWS; i++) keys[i] = need(intern(i));
  fail(FAULT_MALLOC, 1, false);
  CHECK(intern(ROWS) == NULL);
  CHECK(heal());
  CHECK_INT(key_count(), ROWS);
  fail(FAULT_MALLOC, 2, false);
  keys[ROWS] = need(intern(ROWS));
  CHECK(heal()); /* there was memory for it, and none for more rows */
  CHECK_INT(key_count(), ROWS + 1);
  for (int i = 0; i <= ROWS; i++) {
    struct key *same = intern(i);
    CHECK(same == keys[i]);
    key_release(same);
    key_release(keys[i]);
  }
  CHECK_INT(key_count(), 0);
}

/* ---- pollers -------------------------------------------------------------- */

/* Whether 'what' was met at its call 'at', and the poller refused. */
static bool opening_is_refused(struct mailbox *m, enum fault what, int at)
{
  int before = descriptors();
  fail(what, at, false);
  struct poller *p = poller_new(m);
  int error = errno;
  bool met = heal();
  CHECK((p == NULL) == met);
  if (met) CHECK_INT(error, errors[what]);
  poller_free(p);
  CHECK_INT(descriptors(), before);
  return met;
}

TEST(no_poller)
{
  static const enum fault faults[] = {FAULT_MALLOC, FAULT_BELL, FAULT_FCNTL, FAULT_EPOLL,
                                      FAULT_WATCH};
  struct mailbox *m = need(mailbox_new());
  int met = 0;
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    for (int at = 1; at <= TIMES; at++) met += opening_is_refused(m, faults[i], at);
  }
  CHECK(met > TIMES);
  mailbox_release(m);
}

static bool row_is_refused(enum fault what, int at)
{
  struct bench b;
  open_bench(&b);
  fail(what, at, false);
  struct list *row = poller_watch(b.poller, b.ends[0], POLL_READ);
  int error = errno;
  bool met = heal();
  CHECK((row == NULL) == met);
  if (met) CHECK_INT(error, errors[what]);
  goes_on(&b);
  close_bench(&b);
  return met;
}

TEST(no_row)
{
  int no_memory = 0, no_room = 0;
  for (int at = 1; at <= TIMES; at++) no_memory += row_is_refused(FAULT_MALLOC, at);
  for (int at = 1; at <= TIMES; at++) no_room += row_is_refused(FAULT_WATCH, at);
  CHECK_INT(no_memory, 2);
  CHECK(no_room > 0 || PORTABLE);
}

TEST(far_descriptor)
{
  struct bench b;
  open_bench(&b);
  CHECK(poller_watch(b.poller, INT_MAX, POLL_READ) == NULL);
  CHECK_INT(errno, ENOMEM);
  goes_on(&b);
  close_bench(&b);
}

/* One of two is told; the kernel refuses to go on watching for the other. */
TEST(not_asked_anew)
{
  struct bench b;
  struct sleeper reads, writes;
  open_bench(&b);
  watch(&b, &reads, b.ends[0], POLL_READ);
  watch(&b, &writes, b.ends[0], POLL_WRITE); /* which this end never is */
  ping(&b);
  fail(FAULT_WATCH, 1, true);
  poller_wait(b.poller, CTX_NEVER, wake);
  bool met = heal();
  CHECK(met != PORTABLE);
  CHECK_INT(woken, met ? 2 : 1);
  if (!met) list_remove(writes.row, &writes.link);
  goes_on(&b);
  close_bench(&b);
}

/* A look that a signal breaks off is taken again. */
TEST(looks)
{
  struct bench b;
  open_bench(&b);
  ping(&b);
  fail(FAULT_POLL, 1, false);
  CHECK_INT(poller_ready(b.ends[0], POLL_READ), 1);
  CHECK(heal());
  fail(FAULT_LOOK, 1, false);
  CHECK_INT(poller_ready(b.ends[0], POLL_READ), -1);
  CHECK_INT(errno, ENOMEM);
  CHECK(heal());
  goes_on(&b);
  close_bench(&b);
}

/* ---- a forked child, which needs descriptors of its own ---------------------- */

static void in_child(struct bench *b)
{
  struct sleeper s;
  watch(b, &s, b->ends[0], POLL_READ);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    fail(FAULT_BELL, 1, true);
    CHECK(poller_watch(b->poller, b->ends[0], POLL_READ) == NULL);
    CHECK_INT(errno, errors[FAULT_BELL]);
    poller_wait(b->poller, CTX_NEVER, wake);
    CHECK_INT(woken, 1);
    CHECK(s.row == NULL);
    CHECK(heal());
    goes_on(b);
    fflush(stdout);
    _exit(READ(check_failures) != 0);
  }
  ends_well(child);
  list_remove(s.row, &s.link);
}

TEST(no_own_kernel)
{
  struct bench b;
  open_bench(&b);
  in_child(&b);
  close_bench(&b);
}

static const struct test tests[] = {
  T(no_mailbox, "there is no mailbox without memory, or where forks cannot be told of"),
  T(no_key, "a name without memory has no key, and one without more rows has one"),
  T(no_poller, "a poller that cannot be opened says why, and leaves no descriptor"),
  T(no_row, "a descriptor that cannot be watched says why, and can be later"),
  T(far_descriptor, "a number that no descriptor has is none to wait for"),
  T(not_asked_anew, "who cannot be watched for any more is woken"),
  T(looks, "a look that is broken off is taken again, and one that fails says so"),
  T(no_own_kernel, "a forked child without descriptors wakes who waits, and goes on later"),
};

int main(int argc, char **argv)
{
  if (no_proc("refusal")) return 0;
  return check_run("refusal", tests, sizeof tests / sizeof *tests, argc, argv);
}
