/*
 * explorer - what the parts of the explorer know of each other
 *
 * An operation is what a thread is about to do next: it names the objects that it
 * touches, and how. It happens when the search has chosen its thread: then it is an
 * event, numbered in the order of this schedule, and the thread goes on to the next.
 *
 * A past says, for each thread, up to which of its events all has happened before
 * something. Event n counts as 2n in it, and what its thread does between that and its
 * next event, unseen by others, as 2n + 1.
 */
#ifndef CTX_EXPLORER_H
#define CTX_EXPLORER_H

#include "platform.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "scenario.h"

enum { THREADS = 8, MAIN = 0, NOBODY = 255 };

struct past {
  uint16_t to[THREADS];
};

static inline void past_join(struct past *p, const struct past *q)
{
  for (int i = 0; i < THREADS; i++) p->to[i] = p->to[i] > q->to[i] ? p->to[i] : q->to[i];
}

/* Adds commute with each other, as reads do. */
enum how { NOTHING, READ, ADD, WRITE, HOWS };

enum kind {
  BEGIN,
  STEPS_ON,
  LOADS,
  STORES,
  ADDS,
  SUBS,
  EXCHANGES,
  COMPARES,
  LOCKS,
  WAITS,
  WAKES_UP,
  WAKES,
  JOINS,
  READS_CLOCK,
  TICKS,
  FREES,
  USES_FD,
  KINDS
};

struct access {
  uintptr_t object;
  enum how how;
};

struct operation {
  enum kind kind;
  const char *where;
  struct access access[3];
  const ctx__lock *lock; /* LOCKS */
  int target;            /* JOINS: a thread; FREES: a block */
};

struct thread {
  bool started, finished, joined;
  void *(*f)(void *);
  void *arg;
  struct operation next;
  struct past past;
  struct ctx__self self;
  int held;               /* locks */
  const void *sleeps_on;  /* in WAKES_UP: the word; */
  int64_t until_ns;       /* the instant; */
  bool woken;             /* it may go on; */
  int waker;              /* because of this event (0: all others slept); */
  struct past waker_past; /* with that past */
  jmp_buf base, at;
  const char *top; /* of its stack, while another thread runs: below it is nothing */
};

extern struct thread threads[THREADS];
extern int running;      /* whose code runs */
extern int thread_count; /* started in this schedule */
extern bool alone;       /* every thread that was started has been joined */
extern bool tracing;     /* prints each event */

/* ---- thread.c ----------------------------------------------------------- */

/* Runs 'f' as the main thread until the schedule ends. */
void threads_run(void (*f)(void));

/* Ends the schedule, from inside a thread. */
_Noreturn void threads_stop(void);

/* Makes a thread; its first operation is BEGIN. */
int thread_new(void *(*f)(void *), void *arg);

/* What the running thread is about to do, as 'next' says: returns when it is chosen. */
void thread_step(void);

/* The thread on whose stack 'p' lies, at a place where nothing is any more, or NOBODY. */
int thread_left(const void *p);

/* ---- time and waiting, operation.c -------------------------------------- */

extern int64_t now_ns;

/* Time jumps to the first instant that a sleeper has asked for. False: there is none. */
bool jump(void);

/* Nobody can go on. */
_Noreturn void fail_asleep(void);

void operations_reset(void);

/* Fails where a thread is not joined, or a descriptor is open. */
void operations_check(void);

const char *kind_name(enum kind kind);

/* ---- memory.c ----------------------------------------------------------- */

void memory_reset(void);

/* Fails where a block is left, or a freed one was written to. */
void memory_check(void);

void *memory_new(size_t size, const char *where);

/* The number of the block that begins there. */
int memory_block(const void *start, const char *where);

/* The last events of the other threads that use block 'n', and need not come before what
 * 'thread' does now. */
void memory_find_uses(int n, int thread, int found[]);

/* Block 'n' is freed. */
void memory_bury(int n);

/* Whether 'thread' has touched the block in that event or after it. */
bool memory_touched(int n, int thread, int event);

/* An atomic access of the running thread. */
void memory_touch(const volatile void *p, const char *where);

/* One that is no step of its own: it comes after its last step. */
void memory_touch_between(const volatile void *p, const char *where);

/* "block 3 + 8" */
const char *memory_name(uintptr_t p);

/* ---- main.c ------------------------------------------------------------- */

extern const void *failed_at; /* the code of the last plain access, where 'where' is NULL */

_Noreturn void fail(const char *where, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

/* Ends a schedule that can show nothing new. */
_Noreturn void cut(void);

#endif
