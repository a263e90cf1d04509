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

static struct past pasts[STEPS + 1]; /* of each event */

static bool comes_before(int event, int later)
{
  return pasts[later].to[nodes[event].chosen] >= 2 * event;
}

/*
 * The threads that may go first where event 'n' and all that comes after it is left out of the
 * schedule, up to the last event: those whose first event in what remains has no other of that
 * before it.
 */
static unsigned initials_without(int n)
{
  int first[THREADS] = {0};
  unsigned initials = 0;
  for (int m = n + 1; m <= depth; m++) {
    int t = nodes[m].chosen;
    if (first[t] != 0 || (m < depth && comes_before(n, m))) continue;
    bool initial = true;
    for (int q = 0; q < thread_count; q++) initial &= first[q] == 0 || !comes_before(first[q], m);
    first[t] = m;
    if (initial) initials |= 1u << t;
  }
  return initials;
}

/* The last event is to come before event 'n': one of the threads that begin a schedule in which
 * it does is to be tried there. */
static void reverse(int n)
{
  struct node *k = &nodes[n];
  unsigned initials = initials_without(n);
  if (initials & k->tries) return;
  initials &= k->enabled;
  k->tries |= initials != 0 ? (uint8_t)(initials & -initials) : k->enabled;
}

static void try_at(int n, int t)
{
  struct node *k = &nodes[n];
  k->tries |= (k->enabled >> t & 1) ? (uint8_t)(1 << t) : k->enabled;
}

/* With a bound: also where the run of events of one thread began that 'n' lies in: there a
 * switch may cost nothing. */
static void reverse_bounded(int n, int t)
{
  try_at(n, t);
  while (n > 1 && nodes[n - 1].chosen == nodes[n].chosen) n--;
  try_at(n, t);
}

/* The last events of the other threads that conflict with an access by 't', and need not have
 * come before it. */
static void find_races(const struct object *o, enum how how, int t, int found[THREADS])
{
  for (int h = READ; h < HOWS; h++) {
    for (int q = 0; conflicts[how][h] && q < thread_count; q++) {
      int n = o->last[h][q];
      if (q != t && n > found[q] && 2 * n > threads[t].past.to[q]) found[q] = n;
    }
  }
}

/* Whether another of the events found lies between 'n' and what they conflict with. */
static bool is_covered(int n, const int found[THREADS])
{
  for (int q = 0; q < thread_count; q++) {
    if (found[q] > n && comes_before(n, found[q])) return true;
  }
  return false;
}

static void reverse_all(const int found[THREADS], int t)
{
  for (int q = 0; q < thread_count; q++) {
    if (found[q] == 0 || is_covered(found[q], found)) continue;
    if (bound == COMPLETE)
      reverse(found[q]);
    else
      reverse_bounded(found[q], t);
  }
}

/* A sleeper with a limit would have gone on without its waker. */
static bool could_sleep_less(const struct thread *t)
{
  return time_passes && t->next.kind == WAKES_UP && t->until_ns != INT64_MAX && t->waker != 0;
}

/* What an operation touches, found once. */
struct touched {
  struct object *object;
  enum how how;
};

static int touched_by(const struct operation *op, struct touched *to)
{
  int n = 0;
  for (int i = 0; i < 3 && op->access[i].how != NOTHING; i++)
    to[n++] = (struct touched){object_of(op->access[i].object), op->access[i].how};
  return n;
}

static void happen_after(struct past *past, const struct touched *to)
{
  for (int h = READ; h < HOWS; h++) {
    if (conflicts[to->how][h]) past_join(past, &to->object->past[h]);
  }
}

/* What the operation touches has been touched in this event, and before by what this gives. */
static void touch_all(int p, const struct touched *to, int count, int found[THREADS])
{
  struct thread *t = &threads[p];
  for (int i = 0; i < count; i++) find_races(to[i].object, to[i].how, p, found);
  if (t->next.kind == FREES) memory_find_uses(t->next.target, p, found);
  if (t->next.kind == WAKES_UP && t->waker != 0) past_join(&t->past, &t->waker_past);
  if (t->next.kind == JOINS) past_join(&t->past, &threads[t->next.target].past);
  for (int i = 0; i < count; i++) happen_after(&t->past, &to[i]);
  t->past.to[p] = (uint16_t)(2 * depth);
  for (int i = 0; i < count; i++) {
    to[i].object->last[to[i].how][p] = (uint16_t)depth;
    past_join(&to[i].object->past[to[i].how], &t->past);
  }
}

/* The races of an event that was there before have been seen. */
static void happen(int p)
{
  struct thread *t = &threads[p];
  struct touched to[3];
  int found[THREADS] = {0};
  touch_all(p, to, touched_by(&t->next, to), found);
  pasts[depth] = t->past;
  last = t->next;
  if (depth < kept || !reduced()) return;
  reverse_all(found, p);
  if (could_sleep_less(t)) nodes[t->waker].tries |= nodes[t->waker].enabled;
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
