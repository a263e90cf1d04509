/*
 * thread - the explored threads: stacks of one thread of the system
 *
 * Each has a frame at its base that stays for ever; a schedule begins anew by a jump to
 * that, which forgets all that lay above. So a schedule costs no system call.
 */
#define _GNU_SOURCE 1

#include "explorer.h"

#include "search.h"

#include <ucontext.h>

enum { STACK = 1 << 17 };

struct thread threads[THREADS];
int running;
int thread_count;
bool alone;

static char stacks[THREADS][STACK] __attribute__((aligned(4096)));
static jmp_buf home;

/* ---- switching ---------------------------------------------------------- */

/* Leaves a frame at the base of the stack of 'running' where each of its lives begins. */
static void begin_at_base(void)
{
  if (_setjmp(threads[running].base) == 0) _longjmp(home, 1);
  for (;;) {
    struct thread *t = &threads[running];
    t->f(t->arg);
    t = &threads[running];
    t->finished = true;
    t->past.to[running] |= 1;
    if (running == MAIN) threads_stop();
    running = search_choose();
    _longjmp(threads[running].at, 1);
  }
}

static void make_base(int n)
{
  ucontext_t c;
  running = n;
  if (_setjmp(home) != 0) return;
  getcontext(&c);
  c.uc_stack.ss_sp = stacks[n];
  c.uc_stack.ss_size = STACK;
  c.uc_link = NULL;
  makecontext(&c, begin_at_base, 0);
  setcontext(&c);
}

__attribute__((noinline)) static void switch_to(int n)
{
  char here;
  struct thread *t = &threads[running];
  t->top = &here;
  if (_setjmp(t->at) != 0) return;
  running = n;
  _longjmp(threads[n].at, 1);
}

void thread_step(void)
{
  if (alone) {
    if (!search_ready(running) && !jump()) fail(threads[running].next.where, "waits for ever");
    return;
  }
  int n = search_choose();
  if (n != running) switch_to(n);
}

/* ---- lives --------------------------------------------------------------- */

static void (*main_life)(void);

static void *live(void *arg)
{
  (void)arg;
  main_life();
  return NULL;
}

int thread_new(void *(*f)(void *), void *arg)
{
  if (thread_count == THREADS) fail(NULL, "more than %d threads", THREADS);
  int n = thread_count++;
  struct thread *t = &threads[n];
  t->started = true;
  t->finished = t->joined = t->woken = false;
  t->sleeps_on = NULL;
  t->f = f;
  t->arg = arg;
  t->next = (struct operation){.kind = BEGIN, .where = "its begin"};
  t->self = (struct ctx__self){0};
  t->held = 0;
  t->past = (struct past){{0}};
  t->top = stacks[n] + STACK;
  memcpy(t->at, t->base, sizeof t->at);
  return n;
}

void threads_run(void (*f)(void))
{
  static bool made;
  for (int i = 0; !made && i < THREADS; i++) make_base(i);
  made = true;
  thread_count = 0;
  alone = true;
  main_life = f;
  thread_new(live, NULL);
  running = MAIN;
  if (_setjmp(home) == 0) _longjmp(threads[MAIN].base, 1);
}

void threads_stop(void)
{
  _longjmp(home, 1);
}

int thread_left(const void *p)
{
  size_t at = (size_t)((const char *)p - stacks[0]);
  int n = (int)(at / STACK);
  if (at >= sizeof stacks || n == running || n >= thread_count) return NOBODY;
  return threads[n].finished || (const char *)p < threads[n].top ? n : NOBODY;
}
