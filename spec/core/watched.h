/*
 * watched - a poller, a pipe, and those who wait for its ends
 *
 * What the tests of the poller have in common. Knows poller.h, mailbox.h and world.h.
 */
#ifndef CTX_WATCHED_H
#define CTX_WATCHED_H

#include "mailbox.h"
#include "poller.h"

#include "world.h"

#include <unistd.h>

struct bench {
  struct mailbox *box;
  struct poller *poller;
  int ends[2]; /* of a pipe; -1: closed by the test */
};

/* One who waits. */
struct sleeper {
  struct list_link link;
  struct list *row;
};

static int woken;

static inline void wake(struct list *row)
{
  struct list_link *k;
  while ((k = list_pop(row)) != NULL) {
    LIST_ELEMENT(k, struct sleeper, link)->row = NULL;
    woken++;
  }
}

static inline void open_bench(struct bench *b)
{
  woken = 0;
  b->box = need(mailbox_new());
  b->poller = need(poller_new(b->box));
  if (pipe(b->ends) != 0) abort();
}

static inline void close_bench(struct bench *b)
{
  poller_free(b->poller);
  mailbox_release(b->box);
  if (b->ends[0] >= 0) close(b->ends[0]);
  if (b->ends[1] >= 0) close(b->ends[1]);
}

static inline void watch(struct bench *b, struct sleeper *s, int fd, unsigned modes)
{
  s->row = need(poller_watch(b->poller, fd, modes));
  list_append(s->row, &s->link);
}

static inline void ping(const struct bench *b)
{
  if (write(b->ends[1], "x", 1) != 1) abort();
}

#endif
