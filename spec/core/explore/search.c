/*
 * search - which schedules are run
 */
#include "explorer.h"

#include "search.h"

/* ---- what has happened before what --------------------------------------- */

/* A word, a lock, a queue of sleepers, the clock. */
struct object {
  uintptr_t key;
  unsigned run; /* the schedule that this is of */
  uint16_t last[HOWS][THREADS];
  struct past past[HOWS];
};

enum { OBJECTS = 1 << 12 };

static struct object objects[OBJECTS];
static unsigned this_run;

static const bool conflicts[HOWS][HOWS] = {
  [READ] = {[ADD] = true, [WRITE] = true},
  [ADD] = {[READ] = true, [WRITE] = true},
  [WRITE] = {[READ] = true, [ADD] = true, [WRITE] = true},
};

static struct object *object_of(uintptr_t key)
{
  size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 52);
  for (;; at = (at + 1) % OBJECTS) {
    struct object *o = &objects[at];
    if (o->run == this_run && o->key == key) return o;
    if (o->run == this_run) continue;
    *o = (struct object){.key = key, .run = this_run};
    return o;
  }
}

uint16_t stamp_plain(void)
{
  return threads[running].past.to[running] | 1;
}

void publish(const ctx__lock *l)
{
  struct past *p = &object_of((uintptr_t)l)->past[WRITE];
  past_join(p, &threads[running].past);
  p->to[running] = stamp_plain();
}

/* ---- the tree of choices -------------------------------------------------- */

/* Where a thread was chosen. The masks have a bit for each thread. */
struct node {
  uint8_t enabled;
  uint8_t tries;  /* to be chosen here, now or later */
  uint8_t done;   /* have been */
  uint8_t asleep; /* need not be: what would come of it has been seen */
  uint8_t chosen;
  uint8_t before; /* who ran before, or NOBODY */
  int spent;      /* preemptions before this choice */
};

static struct node nodes[STEPS + 1]; /* from 1 on: of each event */
static int depth, kept;
static int bound;
static enum mode mode;
static const uint8_t *forced;
static size_t forced_count;
static struct operation last; /* of event 'depth' */

static bool reduced(void)
{
  return mode == REDUCED;
}

static int cost(const struct node *k, int t)
{
  return k->before != NOBODY && k->before != t && (k->enabled >> k->before & 1);
}

static bool affordable(const struct node *k, int t)
{
  return bound == COMPLETE || k->spent + cost(k, t) <= bound;
}

static bool commute(const struct operation *a, const struct operation *b)
{
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 3; j++) {
      if (a->access[i].object == b->access[j].object &&
          conflicts[a->access[i].how][b->access[j].how])
        return false;
    }
  }
  return true;
}

/* Whether what 't' will do commutes with event 'depth', and with what came after that. */
static bool stays_asleep(int t)
{
  const struct operation *next = &threads[t].next;
  int before = nodes[depth].chosen;
  if (last.kind == FREES) return false;
  if (next->kind == FREES && memory_touched(next->target, before, depth)) return false;
  return commute(next, &last);
}

static uint8_t inherit_sleep(void)
{
  uint8_t asleep = 0;
  if (depth == 0 || bound != COMPLETE || !reduced()) return 0;
  for (int t = 0; t < thread_count; t++) {
    if ((nodes[depth].asleep >> t & 1) && stays_asleep(t)) asleep |= (uint8_t)(1 << t);
  }
  return asleep;
}

/* The thread that goes on where nothing else is wanted. */
static int first_choice(const struct node *k)
{
  unsigned able = k->enabled & ~(unsigned)k->asleep;
  if ((size_t)depth <= forced_count && (k->enabled >> forced[depth - 1] & 1))
    return forced[depth - 1];
  if (able == 0) cut();
  if (k->before != NOBODY && (able >> k->before & 1)) return k->before;
  return __builtin_ctz(able);
}

static void open_node(unsigned enabled)
{
  uint8_t asleep = inherit_sleep();
  const struct node *above = &nodes[depth];
  int before = depth > 0 ? above->chosen : NOBODY;
  int spent = depth > 0 ? above->spent + cost(above, above->chosen) : 0;
  struct node *k = &nodes[++depth];
  *k = (struct node){
    .enabled = (uint8_t)enabled, .asleep = asleep, .before = (uint8_t)before, .spent = spent};
  k->chosen = (uint8_t)first_choice(k);
  k->tries = reduced() ? (uint8_t)(1 << k->chosen) : k->enabled;
}

/* ---- races ---------------------------------------------------------------- */

/* Where event 'n' was chosen, thread 't' is to be tried, or what leads to it. */
static void try_at(int n, int t)
{
  struct node *k = &nodes[n];
  unsigned leads = 0;
  if (k->enabled >> t & 1) {
    k->tries |= (uint8_t)(1 << t);
    return;
  }
  for (int q = 0; q < thread_count && bound == COMPLETE; q++) {
    if ((k->enabled >> q & 1) && threads[t].past.to[q] > 2 * n) leads |= 1u << q;
  }
  if (leads & k->tries) return;
  k->tries |= leads != 0 ? (uint8_t)(leads & -leads) : k->enabled;
}

/* Thread 't' does something that could have come before event 'n'. With a bound, also where
 * the run of events of one thread began that 'n' lies in: there it may cost nothing. */
static void race(int n, int t)
{
  if (!reduced()) return;
  try_at(n, t);
  if (bound == COMPLETE) return;
  while (n > 1 && nodes[n - 1].chosen == nodes[n].chosen) n--;
  try_at(n, t);
}

/* The last event of another thread that conflicts with an access by 't', and that need not have
 * come before it. */
static int last_race(const struct object *o, enum how how, int t)
{
  int found = 0;
  for (int h = READ; h < HOWS; h++) {
    for (int q = 0; conflicts[how][h] && q < thread_count; q++) {
      int n = o->last[h][q];
      if (q != t && n > found && 2 * n > threads[t].past.to[q]) found = n;
    }
  }
  return found;
}

static int later(int a, int b)
{
  return a > b ? a : b;
}

/* A sleeper with a limit would have gone on without its waker. */
static bool could_sleep_less(const struct thread *t)
{
  return time_passes && t->next.kind == WAKES_UP && t->until_ns != INT64_MAX;
}

static void look_for_race(int p)
{
  const struct thread *t = &threads[p];
  int n = 0;
  for (int i = 0; i < 3 && t->next.access[i].how != NOTHING; i++) {
    struct access a = t->next.access[i];
    n = later(n, last_race(object_of(a.object), a.how, p));
  }
  if (t->next.kind == FREES) n = later(n, memory_last_use(t->next.target, p, t->next.where));
  if (could_sleep_less(t)) n = later(n, t->waker);
  if (n != 0) race(n, p);
}

static void happen(int p)
{
  struct thread *t = &threads[p];
  look_for_race(p);
  if (t->next.kind == WAKES_UP && t->waker != 0) past_join(&t->past, &t->waker_past);
  if (t->next.kind == JOINS) past_join(&t->past, &threads[t->next.target].past);
  for (int i = 0; i < 3 && t->next.access[i].how != NOTHING; i++) {
    struct object *o = object_of(t->next.access[i].object);
    for (int h = READ; h < HOWS; h++) {
      if (conflicts[t->next.access[i].how][h]) past_join(&t->past, &o->past[h]);
    }
  }
  t->past.to[p] = (uint16_t)(2 * depth);
  for (int i = 0; i < 3 && t->next.access[i].how != NOTHING; i++) {
    struct object *o = object_of(t->next.access[i].object);
    o->last[t->next.access[i].how][p] = (uint16_t)depth;
    past_join(&o->past[t->next.access[i].how], &t->past);
  }
  last = t->next;
}

/* ---- choosing --------------------------------------------------------------- */

bool search_ready(int t)
{
  const struct operation *next = &threads[t].next;
  switch (next->kind) {
  case LOCKS: return *next->lock == 0 || *next->lock > THREADS; /* of a freed block */
  case WAKES_UP: return threads[t].woken;
  case JOINS: return threads[next->target].finished;
  default: return true;
  }
}

static unsigned all_ready(void)
{
  unsigned ready = 0;
  for (int t = 0; t < thread_count; t++) {
    if (!threads[t].finished && search_ready(t)) ready |= 1u << t;
  }
  return ready;
}

static void trace(int t)
{
  const struct operation *next = &threads[t].next;
  if (!tracing) return;
  printf("%5d  %c  %-10s %-26s ", depth, 'a' + t, kind_name(next->kind), next->where);
  if (next->access[0].how != NOTHING) printf("%s", memory_name(next->access[0].object));
  printf("\n");
}

int search_choose(void)
{
  unsigned ready;
  while ((ready = all_ready()) == 0) {
    if (!jump()) fail_asleep();
  }
  if (depth == STEPS) fail(NULL, "a schedule of more than %d steps", STEPS);
  if (depth < kept && nodes[depth + 1].enabled != ready) fail(NULL, "the scenario is not the same");
  if (depth < kept)
    depth++;
  else
    open_node(ready);
  int t = nodes[depth].chosen;
  trace(t);
  happen(t);
  return t;
}

void search_begin(int max, enum mode how)
{
  bound = max;
  mode = how;
  kept = depth = 0;
}

void search_reset(const uint8_t *choices, size_t n)
{
  this_run++;
  depth = 0;
  forced = choices;
  forced_count = n;
}

/* A thread that is still to be tried at 'k', or NOBODY. */
static int next_try(struct node *k)
{
  k->done |= (uint8_t)(1 << k->chosen);
  k->asleep |= (uint8_t)(1 << k->chosen);
  unsigned left = k->tries & ~(unsigned)k->done;
  if (reduced() && bound == COMPLETE) left &= ~(unsigned)k->asleep;
  for (; left != 0; left &= left - 1) {
    if (affordable(k, __builtin_ctz(left))) return __builtin_ctz(left);
  }
  return NOBODY;
}

bool search_advance(void)
{
  for (int n = depth; n > 0; n--) {
    int t = next_try(&nodes[n]);
    if (t == NOBODY) continue;
    nodes[n].chosen = (uint8_t)t;
    kept = n;
    return true;
  }
  return false;
}

void search_print(char *to, size_t size)
{
  size_t used = 0;
  to[0] = '\0';
  for (int n = 1, m; n <= depth && used + 8 < size; n = m) {
    for (m = n; m <= depth && nodes[m].chosen == nodes[n].chosen;) m++;
    used += (size_t)snprintf(to + used, size - used, "%c%d", 'a' + nodes[n].chosen, m - n);
  }
}

int search_depth(void)
{
  return depth;
}

int search_preemptions(void)
{
  return depth > 0 ? nodes[depth].spent + cost(&nodes[depth], nodes[depth].chosen) : 0;
}
