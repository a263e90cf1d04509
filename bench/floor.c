/*
 * floor - what each workload cannot do without, and nothing else
 *
 * Memory by malloc, a spinning lock where something is shared, a link and its undoing, a compare
 * and swap that publishes the end, a read of the clock where there is a timeout. No check of an
 * argument, no hook, no cause, no order of locks.
 */
#include "bench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

struct link {
  struct link *next, *prev;
};

struct object { /* as large as a context of ctx */
  atomic_uint state, lock;
  struct object *parent;
  struct link children, sibling;
  char rest[96 - 2 * sizeof(atomic_uint) - sizeof(void *) - 2 * sizeof(struct link)];
};

struct timed {
  struct object object;
  struct link due;
  int64_t deadline_ns;
  char rest[16];
};

static void lock(atomic_uint *l)
{
  while (atomic_exchange_explicit(l, 1, memory_order_acquire) != 0) continue;
}

static void unlock(atomic_uint *l)
{
  atomic_store_explicit(l, 0, memory_order_release);
}

static void link_last(struct link *head, struct link *k)
{
  k->prev = head->prev;
  k->next = head;
  head->prev->next = k;
  head->prev = k;
}

static void unlink_it(struct link *k)
{
  k->prev->next = k->next;
  k->next->prev = k->prev;
}

static struct object *put(struct object *o, struct object *parent)
{
  atomic_init(&o->state, 0);
  atomic_init(&o->lock, 0);
  o->parent = parent;
  o->children.next = o->children.prev = &o->children;
  if (parent == NULL) return o;
  lock(&parent->lock);
  link_last(&parent->children, &o->sibling);
  unlock(&parent->lock);
  return o;
}

static struct object *new_object(struct object *parent)
{
  return put(bench_need(malloc(sizeof(struct object))), parent);
}

static void end(struct object *o)
{
  unsigned live = 0;
  atomic_compare_exchange_strong(&o->state, &live, 1);
}

static void take_off(struct object *o)
{
  lock(&o->parent->lock);
  unlink_it(&o->sibling);
  unlock(&o->parent->lock);
}

/* ---- W1, W2, W8 ------------------------------------------------------------------------- */

enum { TIMES = 1000000 };

static void *come_and_go_below(void *parent)
{
  for (int i = 0; i < TIMES; i++) {
    struct object *o = new_object(parent);
    end(o);
    take_off(o);
    free(o);
  }
  return NULL;
}

static double come_and_go(long n)
{
  struct object parent;
  put(&parent, NULL);
  for (long i = 0; i < n; i++) new_object(&parent);
  int64_t begun = bench_now();
  come_and_go_below(&parent);
  return (double)(bench_now() - begun) / TIMES;
}

enum { SLOTS = 4096 };

static struct link slots[SLOTS];
static atomic_uint wheel_lock;

static void arm(struct timed *t, int64_t deadline_ns)
{
  t->deadline_ns = deadline_ns;
  lock(&wheel_lock);
  link_last(&slots[deadline_ns >> 30 & (SLOTS - 1)], &t->due);
  unlock(&wheel_lock);
}

static void disarm(struct timed *t)
{
  lock(&wheel_lock);
  unlink_it(&t->due);
  unlock(&wheel_lock);
}

static struct timed *new_timed(struct object *parent, int64_t timeout_ns)
{
  struct timed *t = bench_need(malloc(sizeof *t));
  put(&t->object, parent);
  arm(t, bench_now() + timeout_ns);
  return t;
}

static void free_timed(struct timed *t)
{
  end(&t->object);
  disarm(t);
  take_off(&t->object);
  free(t);
}

static struct timed **make_timed(long n, struct object *parent)
{
  struct timed **all = bench_need(malloc((size_t)(n + 1) * sizeof *all));
  uint64_t state = 1;
  for (long i = 0; i < n; i++) all[i] = new_timed(parent, bench_later(&state));
  return all;
}

static void begin_timed(struct object *parent)
{
  put(parent, NULL);
  for (int i = 0; i < SLOTS; i++) slots[i].next = slots[i].prev = &slots[i];
}

static double come_and_go_timed(long n)
{
  struct object parent;
  begin_timed(&parent);
  make_timed(n, &parent);
  int64_t begun = bench_now();
  for (int i = 0; i < TIMES; i++) free_timed(new_timed(&parent, 3600000000000));
  return (double)(bench_now() - begun) / TIMES;
}

static double gain(int own)
{
  struct object parents[2];
  pthread_t thread[2];
  put(&parents[0], NULL);
  put(&parents[1], NULL);
  int64_t begun = bench_now();
  pthread_create(&thread[0], NULL, come_and_go_below, &parents[0]);
  pthread_join(thread[0], NULL);
  int64_t one = bench_now() - begun;
  begun = bench_now();
  for (int i = 0; i < 2; i++)
    pthread_create(&thread[i], NULL, come_and_go_below, &parents[own ? i : 0]);
  for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
  return 2 * (double)one / (double)(bench_now() - begun);
}

static double one_parent(long n)
{
  (void)n;
  return gain(0);
}

static double own_parents(long n)
{
  (void)n;
  return gain(1);
}

/* ---- W3 ---------------------------------------------------------------------------------- */

static atomic_uint word;
static volatile unsigned sink;

static double load(long n)
{
  (void)n;
  enum { LOADS = 100000000 };
  unsigned sum = 0;
  int64_t begun = bench_now();
  for (long i = 0; i < LOADS; i++) sum += atomic_load_explicit(&word, memory_order_acquire);
  sink = sum;
  return (double)(bench_now() - begun) / LOADS;
}

/* ---- W4, W5 ------------------------------------------------------------------------------- */

static double wide(long n)
{
  struct object **all = bench_need(malloc((size_t)n * sizeof *all)), top;
  int64_t took = 0;
  for (long round = 0; round < bench_rounds(n); round++) {
    put(&top, NULL);
    for (long i = 0; i < n; i++) all[i] = new_object(&top);
    int64_t begun = bench_now();
    for (struct link *k = top.children.next; k != &top.children; k = k->next) {
      end((struct object *)(void *)((char *)k - offsetof(struct object, sibling)));
    }
    took += bench_now() - begun;
    for (long i = 0; i < n; i++) free(all[i]);
  }
  free(all);
  return (double)took / (double)(n * bench_rounds(n));
}

static double deep(long n)
{
  struct object **all = bench_need(malloc((size_t)n * sizeof *all)), top;
  int64_t took = 0;
  for (long round = 0; round < bench_rounds(n); round++) {
    struct object *o = put(&top, NULL);
    for (long i = 0; i < n; i++) o = all[i] = new_object(o);
    int64_t begun = bench_now();
    for (struct link *k = top.children.next;;) {
      o = (struct object *)(void *)((char *)k - offsetof(struct object, sibling));
      end(o);
      k = o->children.next;
      if (k == &o->children) break;
    }
    took += bench_now() - begun;
    for (long i = 0; i < n; i++) free(all[i]);
  }
  free(all);
  return (double)took / (double)(n * bench_rounds(n));
}

/* ---- W6 ------------------------------------------------------------------------------------ */

static void *volatile found_value;

struct layer {
  struct layer *parent;
  const void *key;
  void *value;
  char rest[72];
};

static double walk(long n)
{
  const char *keys = bench_need(malloc((size_t)n + 1));
  struct layer *at = NULL;
  long times = 20000000 / (n + 5) + 1;
  for (long i = 0; i < n; i++) {
    struct layer *l = bench_need(malloc(sizeof *l));
    *l = (struct layer){at, &keys[i], &word, {0}};
    at = l;
  }
  int64_t begun = bench_now();
  for (long i = 0; i < times; i++) {
    struct layer *l = at;
    while (l != NULL && l->key != &keys[0]) l = l->parent;
    found_value = l->value;
  }
  return (double)(bench_now() - begun) / (double)times;
}

/* ---- W7 ------------------------------------------------------------------------------------ */

static double insert(long n)
{
  struct object parent;
  begin_timed(&parent);
  int64_t begun = bench_now();
  make_timed(n, &parent);
  return (double)(bench_now() - begun) / (double)n;
}

static double cancel(long n, const uint32_t *order)
{
  struct object parent;
  begin_timed(&parent);
  struct timed **all = make_timed(n, &parent);
  int64_t begun = bench_now();
  for (long i = 0; i < n; i++) free_timed(all[order != NULL ? order[i] : i]);
  return (double)(bench_now() - begun) / (double)n;
}

static double in_order(long n)
{
  return cancel(n, NULL);
}

static double at_random(long n)
{
  return cancel(n, bench_shuffle(n));
}

/* ---- W9 -------------------------------------------------------------------------------------- */

enum { WAKES = 200 };

static atomic_uint bell;
static int64_t woken[WAKES];

static void *waiter(void *arg)
{
  for (unsigned i = 0; i < WAKES; i++) {
    while (atomic_load(&bell) == i) syscall(SYS_futex, &bell, FUTEX_WAIT_PRIVATE, i, NULL, NULL, 0);
    woken[i] = bench_now();
  }
  return arg;
}

static double wake(long n)
{
  (void)n;
  int64_t took[WAKES];
  pthread_t thread;
  pthread_create(&thread, NULL, waiter, NULL);
  for (int i = 0; i < WAKES; i++) {
    usleep(1000); /* it sleeps */
    took[i] = bench_now();
    atomic_fetch_add(&bell, 1);
    syscall(SYS_futex, &bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
  pthread_join(thread, NULL);
  for (int i = 0; i < WAKES; i++) took[i] = woken[i] - took[i];
  bench_sort(took, WAKES);
  return (double)took[WAKES / 2];
}

/* ---- the core ---------------------------------------------------------------------------- */

enum { ADDITIONS = 20000000 };

/* Four additions a turn, each after the one before, or none after another. */
#define ADD(a) \
  a += i; \
  __asm__ volatile("" : "+r"(a))

static int64_t in_turn(void)
{
  uint64_t a = 0;
  int64_t begun = bench_now();
  for (uint64_t i = 0; i < ADDITIONS; i++) {
    ADD(a);
    ADD(a);
    ADD(a);
    ADD(a);
  }
  return bench_now() - begun;
}

static int64_t side_by_side(void)
{
  uint64_t a = 0, b = 0, c = 0, d = 0;
  int64_t begun = bench_now();
  for (uint64_t i = 0; i < ADDITIONS; i++) {
    ADD(a);
    ADD(b);
    ADD(c);
    ADD(d);
  }
  return bench_now() - begun;
}

/* How many additions the core makes at once: fewer while somebody else runs on it, too. */
static double width(long n)
{
  (void)n;
  return (double)in_turn() / (double)side_by_side();
}

static const struct workload workloads[] = {
  {"W1", come_and_go, "ns"}, {"W2", come_and_go_timed, "ns"},
  {"W3", load, "ns"},        {"W4", wide, "ns"},
  {"W5", deep, "ns"},        {"W6", walk, "ns"},
  {"W7i", insert, "ns"},     {"W7c", in_order, "ns"},
  {"W7r", at_random, "ns"},  {"W8p", one_parent, "x"},
  {"W8o", own_parents, "x"}, {"W9", wake, "ns"},
  {"core", width, "x"},      {NULL, NULL, NULL}};

int main(int argc, char **argv)
{
  return bench_main("floor", workloads, argc, argv);
}
