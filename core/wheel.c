/*
 * wheel - who is due, and when
 *
 * A place names a list of the wheel: 0 none, 1 'due', 64 * (row + 1) + s the
 * slot s of a row. An entry knows its place, so that it is taken out in O(1).
 *
 * Why a slot can be moved down where it lies. Once 'tick' is the start of slot
 * s of level n, digit n of 'tick' is s. An entry belongs to that slot only if
 * its highest digit that differs from those of 'tick' is digit n and is s; no
 * such entry exists. So nothing is armed into the slot while it is drained,
 * nor until 'tick' has left it, and 'tick' stays until it is empty.
 *
 * Why 'tick' may pass on to any tick before the next occupied slot. Take an
 * entry at level n: the new tick lies between the old one and that slot, which
 * agree above digit n, so it agrees there too; and its digit n is still below
 * the entry's. The entry is where it belongs.
 *
 * What is moved ahead. The row of level n that is not in use, the spare one, holds entries of
 * the slot of level n + 1 that comes next, digit by digit n. When 'tick' comes to the start of that
 * slot, every row in use below is empty: so the rows of level n may change places. All is where it
 * belongs then but slot 0, whose entries agree with 'tick' in digit n: it is moved down as well.
 * Till then 'tick' cannot leave the slot before, so the one that comes next stays the same.
 */
#include "wheel.h"

enum {
  PLACE_IDLE = 0,
  PLACE_DUE = 1,
  STEP = 64,       /* entries that one call of wheel_pop moves down, and ahead, at most */
  AHEAD = 4,       /* those moved ahead by a call that pops one: one seldom goes down oftener */
  GLANCE = 8,      /* entries that wheel_next looks at, at most */
  COUNTER_MAX = 64 /* 2^64 runs do not fit into memory */
};

#define ORDER_MASK ((UINT64_C(1) << 51) - 1)
#define PLACE_MASK ((1U << 11) - 1)
#define SIGN_BIT (UINT64_C(1) << 63)
#define ENTRY(k) LIST_ELEMENT(k, struct wheel_entry, link)

/* Flipping the sign bit keeps the order of all int64_t. */
static uint64_t tick_of(int64_t ns)
{
  return ((uint64_t)ns ^ SIGN_BIT) >> WHEEL_TICK_BITS;
}

static int64_t first_ns(uint64_t tick)
{
  return (int64_t)((tick << WHEEL_TICK_BITS) ^ SIGN_BIT);
}

static int64_t last_ns(uint64_t tick)
{
  return first_ns(tick) + ((1 << WHEEL_TICK_BITS) - 1);
}

static bool before(const struct wheel_entry *a, const struct wheel_entry *b)
{
  if (a->deadline_ns != b->deadline_ns) return a->deadline_ns < b->deadline_ns;
  return a->order < b->order;
}

static unsigned row_of(unsigned place)
{
  return place / WHEEL_SLOTS - 1;
}

static unsigned level_of(unsigned place)
{
  return row_of(place) % WHEEL_LEVELS;
}

static unsigned digit_of(unsigned place)
{
  return place % WHEEL_SLOTS;
}

static unsigned place_in(unsigned row, unsigned digit)
{
  return (row + 1) * WHEEL_SLOTS + digit;
}

static unsigned used_row(const struct wheel *w, unsigned level)
{
  return (w->swapped >> level & 1) == 0 ? level : level + WHEEL_LEVELS;
}

static unsigned spare_row(const struct wheel *w, unsigned level)
{
  return (w->swapped >> level & 1) == 0 ? level + WHEEL_LEVELS : level;
}

static unsigned digit_at(uint64_t tick, unsigned level)
{
  return (unsigned)(tick >> level * WHEEL_DIGIT_BITS) % WHEEL_SLOTS;
}

static struct list *list_at(struct wheel *w, unsigned place)
{
  if (place == PLACE_DUE) return &w->due;
  return &w->slot[row_of(place)][digit_of(place)];
}

/* The place of 'tick', which is not before the wheel's. */
static unsigned place_of(const struct wheel *w, uint64_t tick)
{
  uint64_t differs = tick ^ w->tick;
  unsigned top_bit = 63U - (unsigned)__builtin_clzll(differs | 1);
  unsigned level = top_bit / WHEEL_DIGIT_BITS;
  return place_in(used_row(w, level), digit_at(tick, level));
}

/* The tick at which the slot of 'place' begins. */
static uint64_t slot_tick(const struct wheel *w, unsigned place)
{
  unsigned shift = level_of(place) * WHEEL_DIGIT_BITS;
  uint64_t above = w->tick >> shift & ~(uint64_t)(WHEEL_SLOTS - 1);
  return (above | digit_of(place)) << shift;
}

/* The slot of this level that comes next. Not where 'tick' is in the last one. */
static unsigned next_place(const struct wheel *w, unsigned level)
{
  return place_in(used_row(w, level), digit_at(w->tick, level) + 1);
}

/* Whether some of the next slot of this level have been moved ahead. */
static bool is_ahead(const struct wheel *w, unsigned level)
{
  return level > 0 && w->occupied[spare_row(w, level - 1)] != 0;
}

/* The place of the earliest slot; PLACE_IDLE when all are empty. */
static unsigned first_place(const struct wheel *w)
{
  if (w->moving != PLACE_IDLE) return w->moving;
  for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
    unsigned row = used_row(w, level);
    if (is_ahead(w, level)) return next_place(w, level);
    if (w->occupied[row] != 0) return place_in(row, (unsigned)__builtin_ctzll(w->occupied[row]));
  }
  return PLACE_IDLE;
}

/* Nothing in the slot of 'place' is earlier. */
static int64_t earliest_in(const struct wheel *w, unsigned place)
{
  uint64_t tick = slot_tick(w, place);
  return tick == w->tick ? w->rest_ns : first_ns(tick);
}

/* The slot of this level has been moved down: what lies in slot 0 below was moved ahead, and goes
 * down now. That of level 0 is where it belongs. */
static void move_next(struct wheel *w, unsigned level)
{
  unsigned below = level > 1 ? used_row(w, level - 1) : 0;
  bool rest = level > 1 && (w->occupied[below] & 1) != 0;
  w->moving = rest ? place_in(below, 0) : PLACE_IDLE;
}

/* Says that the list of 'place' has become empty. */
static void emptied(struct wheel *w, unsigned place)
{
  if (place == PLACE_DUE) return;
  w->occupied[row_of(place)] &= ~(UINT64_C(1) << digit_of(place));
  if (place == w->moving) move_next(w, level_of(place));
}

/*
 * Both put 'e' into its list and answer the place. The caller writes it: order
 * and place in one store, which wheel_disarm then reads without a stall.
 */

/* Takes a deadline after collected_ns. */
static unsigned put_in_slot(struct wheel *w, struct wheel_entry *e)
{
  uint64_t tick = tick_of(e->deadline_ns);
  unsigned place = place_of(w, tick);
  if (tick == w->tick && e->deadline_ns < w->rest_ns) w->rest_ns = e->deadline_ns;
  w->occupied[row_of(place)] |= UINT64_C(1) << digit_of(place);
  list_append(list_at(w, place), &e->link);
  return place;
}

/* Takes the entry armed last. Most are the latest too: the search begins there. */
static unsigned put_in_due(struct wheel *w, struct wheel_entry *e)
{
  if (list_empty(&w->due) || e->deadline_ns < ENTRY(w->due.first)->deadline_ns) {
    list_prepend(&w->due, &e->link);
    return PLACE_DUE;
  }
  struct list_link *at = list_last(&w->due);
  while (e->deadline_ns < ENTRY(at)->deadline_ns) at = at->prev;
  list_link_after(at, &e->link);
  return PLACE_DUE;
}

void wheel_init(struct wheel *w, int64_t now_ns)
{
  *w = (struct wheel){
    .tick = tick_of(now_ns),
    .now_ns = now_ns,
    .collected_ns = now_ns,
    .rest_ns = INT64_MAX,
  };
}

void wheel_entry_init(struct wheel_entry *e)
{
  *e = (struct wheel_entry){.place = PLACE_IDLE};
}

void wheel_arm(struct wheel *w, struct wheel_entry *e, int64_t deadline_ns)
{
  e->deadline_ns = deadline_ns;
  unsigned place = deadline_ns > w->collected_ns ? put_in_slot(w, e) : put_in_due(w, e);
  e->order = ++w->armings & ORDER_MASK;
  e->place = place & PLACE_MASK;
  w->count++;
}

bool wheel_disarm(struct wheel *w, struct wheel_entry *e)
{
  unsigned place = e->place;
  if (place == PLACE_IDLE) return false;
  struct list *l = list_at(w, place);
  list_remove(l, &e->link);
  if (list_empty(l)) emptied(w, place);
  e->place = PLACE_IDLE;
  w->count--;
  return true;
}

/* The earliest deadline in a short list; in a long one, 'bound_ns'. */
static int64_t glance(const struct list *l, int64_t bound_ns)
{
  int64_t earliest_ns = INT64_MAX;
  int seen = 0;
  for (const struct list_link *k = l->first; k != NULL; k = list_after(l, k)) {
    if (seen++ == GLANCE) return bound_ns;
    if (ENTRY(k)->deadline_ns < earliest_ns) earliest_ns = ENTRY(k)->deadline_ns;
  }
  return earliest_ns;
}

/* The same as wheel_next of what was moved ahead from the next slot of 'level'. */
static int64_t next_ahead(const struct wheel *w, unsigned level)
{
  unsigned row = spare_row(w, level - 1), digit = (unsigned)__builtin_ctzll(w->occupied[row]);
  uint64_t tick = slot_tick(w, next_place(w, level));
  tick |= (uint64_t)digit << (level - 1) * WHEEL_DIGIT_BITS;
  return glance(&w->slot[row][digit], first_ns(tick));
}

/* A program of a few timers is woken when the first is due, not once a level. */
int64_t wheel_next(const struct wheel *w)
{
  if (!list_empty(&w->due)) return ENTRY(w->due.first)->deadline_ns;
  unsigned place = first_place(w);
  if (place == PLACE_IDLE) return WHEEL_NEVER;
  if (place == w->moving) return w->rest_ns;
  int64_t first_ns = glance(&w->slot[row_of(place)][digit_of(place)], earliest_in(w, place));
  int64_t ahead_ns = is_ahead(w, level_of(place)) ? next_ahead(w, level_of(place)) : WHEEL_NEVER;
  return ahead_ns < first_ns ? ahead_ns : first_ns;
}

/*
 * Sorting: a merge sort of chains (linked by 'next', ended by NULL) that begins
 * with the runs it finds, so that what lies in arming order costs one pass.
 */

/* Cuts the longest ascending run off the head of '*chain'. */
static struct list_link *cut_run(struct list_link **chain)
{
  struct list_link *run = *chain, *last = run;
  while (last->next != NULL && before(ENTRY(last), ENTRY(last->next))) last = last->next;
  *chain = last->next;
  last->next = NULL;
  return run;
}

static struct list_link *merge(struct list_link *a, struct list_link *b)
{
  struct list_link *merged, **tail = &merged;
  while (a != NULL && b != NULL) {
    struct list_link **from = before(ENTRY(b), ENTRY(a)) ? &b : &a;
    *tail = *from;
    tail = &(*from)->next;
    *from = *tail;
  }
  *tail = a != NULL ? a : b;
  return merged;
}

/* merged[i], of those that are used, is empty or made of 2^i runs: a binary counter of the runs
 * seen. */
static struct list_link *sort_chain(struct list_link *chain)
{
  struct list_link *merged[COUNTER_MAX], *all = NULL;
  size_t used = 0;
  while (chain != NULL) {
    struct list_link *run = cut_run(&chain);
    size_t i = 0;
    for (; i < used && merged[i] != NULL; i++) {
      run = merge(merged[i], run);
      merged[i] = NULL;
    }
    if (i == used) used++;
    merged[i] = run;
  }
  for (size_t i = 0; i < used; i++) all = merge(merged[i], all);
  return all;
}

static void sort(struct list *l)
{
  list_last(l)->next = NULL;
  struct list_link *last = l->first = sort_chain(l->first);
  for (; last->next != NULL; last = last->next) last->next->prev = last;
  last->next = l->first;
  l->first->prev = last;
}

/* Comes to a slot of level 0: takes what is due into 'due', which is empty. */
static void collect(struct wheel *w, unsigned place)
{
  struct list *slot = list_at(w, place), all = *slot;
  struct list_link *k;
  bool sorted = true;
  w->tick = slot_tick(w, place);
  w->collected_ns = w->now_ns < last_ns(w->tick) ? w->now_ns : last_ns(w->tick);
  w->rest_ns = INT64_MAX;
  list_init(slot);
  while ((k = list_pop(&all)) != NULL) {
    struct wheel_entry *e = ENTRY(k);
    if (e->deadline_ns > w->collected_ns) {
      if (e->deadline_ns < w->rest_ns) w->rest_ns = e->deadline_ns;
      list_append(slot, k);
      continue;
    }
    if (!list_empty(&w->due) && before(e, ENTRY(list_last(&w->due)))) sorted = false;
    list_append(&w->due, k);
    e->place = PLACE_DUE;
  }
  if (!sorted) sort(&w->due);
  if (list_empty(slot)) emptied(w, place);
}

/* Comes to a slot above level 0: 'tick' is its start, and nothing has moved yet but ahead. */
static void begin_moving(struct wheel *w, unsigned place)
{
  unsigned level = level_of(place);
  if (is_ahead(w, level)) w->swapped ^= 1U << (level - 1);
  w->tick = slot_tick(w, place);
  w->rest_ns = first_ns(w->tick);
  w->collected_ns = w->rest_ns - 1;
  w->moving = place;
  if (list_empty(list_at(w, place))) move_next(w, level);
}

/*
 * Entries leave a list for others below, from its two ends in turn. Each entry is a cache miss,
 * and who takes one out writes to the next: so that is on its way when its turn comes, while the
 * other end is moved, and those of other levels. The back comes first, because it is found by the
 * front. What comes from the front goes to the back, what comes from the back to the front: a list
 * is at most rotated, and sorting two runs is one merge.
 */
static struct list_link *take_end(struct list *l, bool front)
{
  struct list_link *k = front ? l->first : list_last(l);
  list_remove(l, k);
  return k;
}

static void settle(struct wheel *w, struct list_link *k, unsigned place, bool front)
{
  if (!front) list_at(w, place)->first = k;
  ENTRY(k)->place = place & PLACE_MASK;
}

/* Moves up to 'limit' entries down from the slot 'moving'; answers how many. */
static unsigned move_down(struct wheel *w, unsigned limit)
{
  unsigned from = w->moving, moved = 0;
  struct list *slot = list_at(w, from);
  for (; moved < limit && !list_empty(slot); moved++) {
    bool front = moved % 2 != 0;
    struct list_link *k = take_end(slot, front);
    settle(w, k, put_in_slot(w, ENTRY(k)), front);
  }
  if (list_empty(slot)) emptied(w, from);
  return moved;
}

static unsigned put_ahead(struct wheel *w, struct list_link *k, unsigned level)
{
  unsigned row = spare_row(w, level), digit = digit_at(tick_of(ENTRY(k)->deadline_ns), level);
  w->occupied[row] |= UINT64_C(1) << digit;
  list_append(&w->slot[row][digit], k);
  return place_in(row, digit);
}

/* Moves up to 'limit' entries ahead from the next slot of 'level'; answers how many. */
static unsigned move_ahead_from(struct wheel *w, unsigned level, unsigned limit)
{
  unsigned from = next_place(w, level), moved = 0;
  struct list *slot = list_at(w, from);
  for (; moved < limit && !list_empty(slot); moved++) {
    bool front = moved % 2 != 0;
    struct list_link *k = take_end(slot, front);
    settle(w, k, put_ahead(w, k, level - 1), front);
  }
  if (list_empty(slot)) emptied(w, from);
  return moved;
}

/* The same from all levels, a pair at a time, from below: what is needed first. */
static void move_ahead(struct wheel *w, unsigned limit)
{
  if (w->moving != PLACE_IDLE) return;
  for (unsigned before = 0; limit != before;) {
    before = limit;
    for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
      uint64_t after = w->occupied[used_row(w, level)] >> digit_at(w->tick, level);
      if ((after >> 1 & 1) != 0) limit -= move_ahead_from(w, level, limit < 2 ? limit : 2);
    }
  }
}

/* Passes on to now: nothing is due, and no slot begins before. */
static void pass_on(struct wheel *w)
{
  uint64_t tick = tick_of(w->now_ns);
  w->collected_ns = w->now_ns;
  if (tick == w->tick) return;
  w->tick = tick;
  w->rest_ns = INT64_MAX;
}

/* Goes on towards now while 'due' is empty. True: STEP entries have moved, there may be more. */
static bool advance(struct wheel *w)
{
  for (unsigned moved = 0; moved < STEP;) {
    unsigned place = first_place(w);
    if (place == PLACE_IDLE || earliest_in(w, place) > w->now_ns) {
      pass_on(w);
      return false;
    }
    if (level_of(place) == 0) {
      collect(w, place);
      return false;
    }
    if (place != w->moving) begin_moving(w, place);
    if (w->moving != PLACE_IDLE) moved += move_down(w, STEP - moved);
  }
  return true;
}

void wheel_set_now(struct wheel *w, int64_t now_ns)
{
  if (now_ns > w->now_ns) w->now_ns = now_ns;
}

struct wheel_entry *wheel_pop(struct wheel *w, int64_t now_ns, bool *more)
{
  wheel_set_now(w, now_ns);
  *more = list_empty(&w->due) && advance(w);
  bool any = !list_empty(&w->due);
  if (!*more) move_ahead(w, any ? AHEAD : STEP);
  if (!any) return NULL;
  struct wheel_entry *e = ENTRY(w->due.first);
  wheel_disarm(w, e);
  return e;
}

void wheel_unpop(struct wheel *w, struct wheel_entry *e)
{
  list_prepend(&w->due, &e->link);
  e->place = PLACE_DUE;
  w->count++;
}

/* For wheel_check: each answers what is broken, or NULL. */

static const char *check_due(const struct wheel *w, const struct list_link *k)
{
  const struct list_link *next = list_after(&w->due, k);
  if (ENTRY(k)->deadline_ns > w->collected_ns) return "due: an entry is not due";
  if (next != NULL && !before(ENTRY(k), ENTRY(next))) return "due: not sorted";
  return NULL;
}

static const char *check_ahead(const struct wheel *w, unsigned place, uint64_t tick)
{
  unsigned level = level_of(place);
  if (place_of(w, tick) != next_place(w, level + 1))
    return "spare row: an entry is not of the next slot";
  if (digit_at(tick, level) != digit_of(place)) return "spare row: an entry is in the wrong place";
  return NULL;
}

/* Whether the slot of 'place' is being moved down, or is to be after that. */
static bool goes_down(const struct wheel *w, unsigned place)
{
  if (w->moving == PLACE_IDLE) return false;
  bool next = level_of(place) > 0 && level_of(place) + 1 == level_of(w->moving);
  return place == w->moving || (next && digit_of(place) == 0);
}

static const char *check_slot(const struct wheel *w, unsigned place, const struct list_link *k)
{
  uint64_t tick = tick_of(ENTRY(k)->deadline_ns);
  unsigned shift = level_of(place) * WHEEL_DIGIT_BITS;
  if (ENTRY(k)->deadline_ns <= w->collected_ns) return "slot: an entry has been passed";
  if (tick == w->tick && ENTRY(k)->deadline_ns < w->rest_ns) return "slot: rest_ns is late";
  if (row_of(place) != used_row(w, level_of(place))) return check_ahead(w, place, tick);
  if (goes_down(w, place)) {
    if (tick >> shift != w->tick >> shift) return "slot: an entry is not of the moving slot";
  } else if (place_of(w, tick) != place) {
    return "slot: an entry is in the wrong place";
  }
  return NULL;
}

/* Walks the list of 'place' and adds its length to '*count'. */
static const char *check_list(const struct wheel *w, unsigned place, wheel_also *also,
                              size_t *count)
{
  const struct list *l = place == PLACE_DUE ? &w->due : &w->slot[row_of(place)][digit_of(place)];
  for (const struct list_link *k = l->first; k != NULL; k = list_after(l, k)) {
    if (++*count > w->count) return "more entries lie in the wheel than are counted";
    if (k->next->prev != k) return "a list is torn";
    if (ENTRY(k)->place != place) return "an entry does not know its place";
    const char *broken = place == PLACE_DUE ? check_due(w, k) : check_slot(w, place, k);
    if (broken == NULL && also != NULL) broken = also(ENTRY(k));
    if (broken != NULL) return broken;
  }
  return NULL;
}

static const char *check_state(const struct wheel *w)
{
  uint64_t collected = tick_of(w->collected_ns);
  if (w->collected_ns > w->now_ns) return "collected_ns is after now_ns";
  if (collected != w->tick && w->collected_ns != first_ns(w->tick) - 1) {
    return "collected_ns is not at tick";
  }
  if (w->rest_ns < first_ns(w->tick)) return "rest_ns is before tick";
  if (w->moving == PLACE_IDLE) return NULL;
  if (level_of(w->moving) == 0) return "a slot of level 0 moves down";
  if (list_empty(&w->slot[row_of(w->moving)][digit_of(w->moving)]))
    return "an empty slot moves down";
  return NULL;
}

const char *wheel_check(const struct wheel *w, wheel_also *also)
{
  size_t count = 0;
  const char *broken = check_state(w);
  if (broken == NULL) broken = check_list(w, PLACE_DUE, also, &count);
  for (unsigned place = WHEEL_SLOTS; place < (WHEEL_ROWS + 1) * WHEEL_SLOTS; place++) {
    unsigned row = row_of(place), digit = digit_of(place);
    bool bit = (w->occupied[row] >> digit & 1) != 0;
    if (broken == NULL && bit == list_empty(&w->slot[row][digit]))
      broken = "a bit does not tell of its slot";
    if (broken == NULL) broken = check_list(w, place, also, &count);
  }
  if (broken == NULL && count != w->count)
    broken = "fewer entries lie in the wheel than are counted";
  return broken;
}
