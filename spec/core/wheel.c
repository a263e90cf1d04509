/*
 * The wheel against what wheel.h says of it: facts about single cases first,
 * then millions of random steps against a sorted array.
 *
 * WHEEL_STEPS in the environment sets the number of random steps.
 */
#include "wheel.h"

#include <stdlib.h>

#include "check.h"

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define STEP ((size_t)64) /* entries that one call may move down */

enum { MANY = 100000 };

/* Nothing here has threads: their sanitizer only makes it slow. */
#ifdef __SANITIZE_THREAD__
enum { MODEL_STEPS = 2000000 };
#else
enum { MODEL_STEPS = 12000000 };
#endif

static struct wheel w;
static struct wheel_entry one, two, three, many[MANY];

/* The sum, or the end of time that it would pass. */
static int64_t plus(int64_t ns, int64_t more_ns)
{
  int64_t sum;
  if (!__builtin_add_overflow(ns, more_ns, &sum)) return sum;
  return more_ns > 0 ? INT64_MAX : INT64_MIN;
}

/* An empty wheel and idle entries. */
static void begin(int64_t now_ns)
{
  wheel_init(&w, now_ns);
  wheel_entry_init(&one);
  wheel_entry_init(&two);
  wheel_entry_init(&three);
}

static void begin_many(int64_t now_ns)
{
  begin(now_ns);
  for (size_t i = 0; i < MANY; i++) wheel_entry_init(&many[i]);
}

/* The next entry due at 'now_ns', through as many steps as it takes; NULL: none. */
static struct wheel_entry *pop(int64_t now_ns)
{
  struct wheel_entry *e;
  bool more;
  do e = wheel_pop(&w, now_ns, &more);
  while (e == NULL && more);
  return e;
}

/* -- one or two entries -- */

TEST(empty)
{
  begin(5 * SECOND);
  CHECK_INT(wheel_next(&w), WHEEL_NEVER);
  CHECK(pop(HOUR) == NULL);
  CHECK(pop(INT64_MAX) == NULL);
  CHECK_INT(wheel_next(&w), WHEEL_NEVER);
  CHECK_STR(wheel_check(&w, NULL), NULL);
}

TEST(empty_again)
{
  begin(0);
  wheel_arm(&w, &one, HOUR);
  wheel_arm(&w, &two, -HOUR);
  wheel_disarm(&w, &one);
  wheel_disarm(&w, &two);
  CHECK_INT(wheel_next(&w), WHEEL_NEVER);
  CHECK(pop(2 * HOUR) == NULL);
  CHECK_STR(wheel_check(&w, NULL), NULL);
}

TEST(to_the_nanosecond)
{
  for (int64_t after = 1; after < INT64_MAX / 3; after *= 3) {
    begin(777);
    wheel_arm(&w, &one, 777 + after);
    CHECK(pop(777 + after - 1) == NULL);
    CHECK(wheel_next(&w) <= 777 + after);
    CHECK(pop(777 + after) == &one);
    CHECK(pop(INT64_MAX) == NULL);
  }
}

/* 'deadline_ns' is reached from 'now_ns' by way of its last nanosecond before. */
static void cross(int64_t now_ns, int64_t deadline_ns)
{
  if (deadline_ns <= now_ns) return;
  begin(now_ns);
  wheel_arm(&w, &one, deadline_ns);
  CHECK_STR(wheel_check(&w, NULL), NULL);
  CHECK(wheel_next(&w) <= deadline_ns);
  CHECK(pop(deadline_ns - 1) == NULL);
  CHECK_STR(wheel_check(&w, NULL), NULL);
  CHECK(pop(deadline_ns) == &one);
}

static void cross_borders(int64_t now_ns)
{
  for (int bits = WHEEL_TICK_BITS; bits < 63; bits += WHEEL_DIGIT_BITS) {
    int64_t width = INT64_C(1) << bits, at = now_ns / width * width;
    for (int border = 0; border < 3; border++) {
      for (int64_t off = -1; off <= 1; off++) cross(now_ns, plus(at, off));
      if (at > INT64_MAX - width - 1) break;
      at += width;
    }
  }
}

TEST(borders)
{
  cross_borders(INT64_MIN);
  cross_borders(INT64_MIN + 4095);
  cross_borders(-1);
  cross_borders(0);
  cross_borders(123456789012345678);
  cross_borders(INT64_MAX - HOUR);
}

TEST(ends_of_time)
{
  begin(INT64_MIN);
  wheel_arm(&w, &one, INT64_MAX);
  wheel_arm(&w, &two, INT64_MAX - 1);
  wheel_arm(&w, &three, INT64_MIN);
  CHECK_STR(wheel_check(&w, NULL), NULL);
  CHECK(pop(INT64_MIN) == &three);
  CHECK(pop(INT64_MAX - 2) == NULL);
  CHECK(wheel_next(&w) <= INT64_MAX - 1);
  CHECK(pop(INT64_MAX - 1) == &two);
  CHECK(pop(INT64_MAX - 1) == NULL);
  CHECK(pop(INT64_MAX) == &one);
  wheel_arm(&w, &one, INT64_MAX);
  CHECK(pop(INT64_MAX) == &one);
  CHECK_STR(wheel_check(&w, NULL), NULL);
}

TEST(past)
{
  begin(HOUR);
  wheel_arm(&w, &one, HOUR);
  wheel_arm(&w, &two, -HOUR);
  wheel_arm(&w, &three, INT64_MIN);
  CHECK(wheel_next(&w) <= INT64_MIN);
  CHECK(pop(HOUR) == &three);
  CHECK(pop(HOUR) == &two);
  CHECK(pop(HOUR) == &one);
  CHECK(pop(HOUR) == NULL);
}

TEST(earlier_now)
{
  begin(0);
  CHECK(pop(HOUR) == NULL);
  wheel_arm(&w, &one, HOUR - 1);
  CHECK(pop(0) == &one);
  wheel_arm(&w, &one, HOUR + SECOND);
  wheel_arm(&w, &two, HOUR + 2 * SECOND);
  CHECK(pop(HOUR + 3 * SECOND) == &one);
  CHECK(pop(HOUR) == &two);
}

TEST(answers)
{
  begin(0);
  CHECK(!wheel_disarm(&w, &one));
  wheel_arm(&w, &one, HOUR);
  CHECK(wheel_armed(&one));
  CHECK(wheel_disarm(&w, &one));
  CHECK(!wheel_armed(&one));
  CHECK(!wheel_disarm(&w, &one));
  wheel_arm(&w, &one, HOUR);
  CHECK(pop(HOUR) == &one);
  CHECK(!wheel_armed(&one));
  CHECK(!wheel_disarm(&w, &one));
}

TEST(left_alone)
{
  begin(0);
  one.tag = 3;
  wheel_arm(&w, &one, HOUR);
  wheel_disarm(&w, &one);
  CHECK_INT(one.deadline_ns, HOUR);
  CHECK_INT(one.tag, 3);
  wheel_arm(&w, &one, SECOND);
  CHECK(pop(SECOND) == &one);
  CHECK_INT(one.deadline_ns, SECOND);
  CHECK_INT(one.tag, 3);
}

/* -- order -- */

TEST(order_in_a_tick)
{
  begin_many(0);
  for (size_t i = 0; i < 1000; i++) wheel_arm(&w, &many[i], HOUR + (int64_t)(i * 617 % 1000));
  for (int64_t ns = 0; ns < 1000; ns++) {
    struct wheel_entry *e = pop(HOUR + 1000);
    if (!CHECK(e != NULL)) return;
    CHECK_INT(e->deadline_ns, HOUR + ns);
  }
}

TEST(rest_of_a_tick)
{
  begin_many(0);
  for (size_t i = 0; i < 1000; i++) wheel_arm(&w, &many[i], HOUR + (int64_t)(i * 617 % 1000));
  for (int64_t ns = 0; ns < 1000; ns++) {
    struct wheel_entry *e = pop(HOUR + ns);
    if (!CHECK(e != NULL)) return;
    CHECK_INT(e->deadline_ns, HOUR + ns);
    CHECK(pop(HOUR + ns) == NULL);
    CHECK(wheel_next(&w) > HOUR + ns);
  }
}

TEST(equal)
{
  begin_many(0);
  for (size_t i = 0; i < MANY; i++) wheel_arm(&w, &many[i], HOUR);
  CHECK(pop(HOUR - 1) == NULL);
  for (size_t i = 0; i < MANY; i++) {
    if (!CHECK(pop(HOUR) == &many[i])) return;
  }
  CHECK(pop(HOUR) == NULL);
}

TEST(equal_when_moved)
{
  begin_many(0);
  size_t armed = 0;
  bool more = true;
  for (; armed < 10 * STEP; armed++) wheel_arm(&w, &many[armed], HOUR);
  for (int64_t now = HOUR - SECOND; now < HOUR; now += SECOND / 10) {
    do wheel_arm(&w, &many[armed++], HOUR);
    while (CHECK(wheel_pop(&w, now, &more) == NULL) && more);
  }
  for (size_t i = 0; i < armed; i++) {
    if (!CHECK(pop(HOUR) == &many[i])) return;
  }
}

TEST(armed_anew)
{
  begin(0);
  wheel_arm(&w, &one, HOUR);
  wheel_arm(&w, &two, HOUR);
  wheel_disarm(&w, &one);
  wheel_arm(&w, &one, HOUR);
  CHECK(pop(HOUR) == &two);
  CHECK(pop(HOUR) == &one);
}

TEST(put_back)
{
  begin(0);
  wheel_arm(&w, &one, HOUR);
  wheel_arm(&w, &two, HOUR);
  CHECK(pop(HOUR) == &one);
  wheel_unpop(&w, &one);
  CHECK(wheel_armed(&one));
  CHECK_INT(wheel_next(&w), HOUR);
  CHECK_STR(wheel_check(&w, NULL), NULL);
  CHECK(pop(HOUR) == &one);
  CHECK(pop(HOUR) == &two);
  wheel_unpop(&w, &two);
  CHECK(wheel_disarm(&w, &two));
  CHECK(pop(HOUR) == NULL);
}

/* -- changes within a batch, and while a slot moves down -- */

TEST(armed_within)
{
  begin_many(0);
  for (size_t i = 0; i < 10; i++) wheel_arm(&w, &many[i], HOUR + 10 * (int64_t)i);
  CHECK(pop(HOUR + 100) == &many[0]);
  wheel_arm(&w, &one, HOUR + 10);         /* after its equal, which was armed before */
  wheel_arm(&w, &two, HOUR + 15);         /* between two */
  wheel_arm(&w, &three, -HOUR);           /* before all */
  wheel_arm(&w, &many[0], HOUR + SECOND); /* not due */
  CHECK(pop(HOUR + 100) == &three);
  CHECK(pop(HOUR + 100) == &many[1]);
  CHECK(pop(HOUR + 100) == &one);
  CHECK(pop(HOUR + 100) == &two);
  for (size_t i = 2; i < 10; i++) CHECK(pop(HOUR + 100) == &many[i]);
  CHECK(pop(HOUR + 100) == NULL);
  CHECK(pop(HOUR + SECOND) == &many[0]);
}

TEST(disarmed_within)
{
  begin_many(0);
  for (size_t i = 0; i < 4; i++) wheel_arm(&w, &many[i], HOUR);
  CHECK(pop(HOUR) == &many[0]);
  CHECK(wheel_disarm(&w, &many[1]));
  CHECK(wheel_disarm(&w, &many[3]));
  CHECK_STR(wheel_check(&w, NULL), NULL);
  CHECK(pop(HOUR) == &many[2]);
  CHECK(pop(HOUR) == NULL);
  CHECK(!wheel_disarm(&w, &many[1]));
}

/* Makes a long slot move down from one hour before its entries are due. */
static void begin_move(void)
{
  bool more;
  begin_many(0);
  for (size_t i = 0; i < MANY; i++) wheel_arm(&w, &many[i], 100 * HOUR + (int64_t)i * 1000);
  CHECK(wheel_pop(&w, 99 * HOUR, &more) == NULL);
  CHECK(more);
}

TEST(bounded)
{
  static unsigned place[MANY];
  size_t calls = 1, total = STEP, moved;
  bool more = true;
  for (begin_move(); more; calls++, total += moved) {
    for (size_t i = 0; i < MANY; i++) place[i] = (unsigned)many[i].place;
    CHECK(wheel_pop(&w, 99 * HOUR, &more) == NULL);
    moved = 0;
    for (size_t i = 0; i < MANY; i++) moved += place[i] != many[i].place;
    if (!CHECK(moved <= STEP)) break;
  }
  CHECK(total >= MANY);
  CHECK(calls <= total / STEP + 2);
  CHECK_STR(wheel_check(&w, NULL), NULL);
}

/* Pops all that are due up to 'until_ns', a pop every 5 us. The most steps that one has taken. */
static size_t pop_all(int64_t from_ns, int64_t until_ns, size_t *popped)
{
  size_t worst = 0;
  for (int64_t now_ns = from_ns; now_ns <= until_ns; now_ns += 5000) {
    size_t steps = 0;
    bool more = true;
    while (more) {
      while (wheel_pop(&w, now_ns, &more) != NULL) ++*popped;
      steps++;
    }
    if (steps > worst) worst = steps;
  }
  return worst;
}

/* A stream of entries goes from one slot of level 3 to the next, where half of them lie. */
TEST(without_a_pause)
{
  int64_t slot_ns = INT64_C(1) << 30, below_ns = slot_ns / WHEEL_SLOTS;
  int64_t from_ns = slot_ns - 5000 * (MANY / 2);
  size_t popped = 0;
  begin_many(0);
  for (size_t i = 0; i < MANY; i++) wheel_arm(&w, &many[i], from_ns + 5000 * (int64_t)i);
  pop_all(from_ns, from_ns + slot_ns / 8, &popped);
  size_t worst = pop_all(from_ns + slot_ns / 8, from_ns + 5000 * MANY, &popped);
  CHECK_INT(popped, MANY);
  CHECK(worst <= (size_t)(below_ns / 5000) / STEP + 3); /* of MANY / 2 / STEP that lie there */
}

/* Those of its first ticks as well, whose place is a level below that to which they were moved. */
TEST(ahead)
{
  begin_many(0);
  for (size_t i = 0; i < 100; i++) wheel_arm(&w, &many[i], (INT64_C(1) << 24) + (int64_t)(99 - i));
  wheel_arm(&w, &one, (INT64_C(1) << 24) + 100000);
  wheel_arm(&w, &two, 100);
  for (int i = 0; i < 3; i++) CHECK(pop(99) == NULL);
  CHECK_STR(wheel_check(&w, NULL), NULL);
  CHECK_INT(wheel_next(&w), 100);
  CHECK(wheel_disarm(&w, &two));
  CHECK_INT(wheel_next(&w), INT64_C(1) << 24);
  for (size_t i = 100; i-- > 0;) CHECK(pop(INT64_C(1) << 25) == &many[i]);
  CHECK_INT(wheel_next(&w), (INT64_C(1) << 24) + 100000);
  CHECK(pop(INT64_C(1) << 25) == &one);
}

/* Some of a slot have been moved ahead, and the rest takes more than one step. */
TEST(ahead_in_part)
{
  const int64_t slot_ns = INT64_C(1) << 24;
  bool more;
  begin_many(0);
  for (size_t i = 0; i < 500; i++) wheel_arm(&w, &many[i], slot_ns + 30000 * (int64_t)i);
  for (int i = 0; i < 3; i++) CHECK(pop(99) == NULL);
  CHECK(wheel_pop(&w, slot_ns, &more) == NULL && more);
  CHECK_STR(wheel_check(&w, NULL), NULL);
  for (size_t i = 0; i < 500; i++) {
    CHECK(pop(slot_ns + 30000 * (int64_t)i) == &many[i]);
    CHECK_STR(wheel_check(&w, NULL), NULL);
  }
}

TEST(disarmed_while_moving)
{
  begin_move();
  CHECK(wheel_next(&w) <= 99 * HOUR);
  for (size_t i = 1; i < MANY; i++) CHECK(wheel_disarm(&w, &many[i]));
  CHECK_STR(wheel_check(&w, NULL), NULL);
  CHECK(pop(100 * HOUR) == &many[0]);
  CHECK_INT(wheel_next(&w), WHEEL_NEVER);
}

TEST(armed_while_moving)
{
  begin_move();
  wheel_arm(&w, &one, 98 * HOUR);
  wheel_arm(&w, &two, 100 * HOUR);
  CHECK_STR(wheel_check(&w, NULL), NULL);
  CHECK(pop(99 * HOUR) == &one);
  CHECK(pop(100 * HOUR) == &many[0]);
  CHECK(pop(100 * HOUR) == &two);
  CHECK(pop(100 * HOUR) == NULL);
}

TEST(few)
{
  begin(0);
  wheel_arm(&w, &one, HOUR + 1);
  wheel_arm(&w, &two, HOUR);
  wheel_arm(&w, &three, 2 * HOUR);
  CHECK_INT(wheel_next(&w), HOUR);
}

/* -- the model: what is armed, sorted, the earliest last -- */

enum { POOL = 2048, NOT_MODELED = 0 };

struct timer {
  struct wheel_entry entry;
  int64_t deadline_ns;
  uint64_t number; /* of its arming by the model's count; NOT_MODELED: idle */
};

struct key {
  int64_t deadline_ns;
  uint64_t number;
  struct timer *timer;
};

static struct timer timers[POOL];
static struct key model[POOL];
static size_t modeled;      /* keys in the model */
static size_t pool;         /* timers in use in this life */
static unsigned reach;      /* deadlines and jumps go up to 2^reach ns */
static int64_t now;         /* the latest given */
static int64_t favorite[4]; /* deadlines that many share */
static uint64_t armings, seed, steps;

static uint64_t chance(uint64_t n)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (seed >> 11) % n;
}

/* The index of the first key that is not later than (deadline_ns, number). */
static size_t model_find(int64_t deadline_ns, uint64_t number)
{
  size_t low = 0, high = modeled;
  while (low < high) {
    size_t mid = (low + high) / 2;
    const struct key *k = &model[mid];
    bool later = k->deadline_ns != deadline_ns ? k->deadline_ns > deadline_ns : k->number > number;
    if (later) {
      low = mid + 1;
    } else {
      high = mid;
    }
  }
  return low;
}

static void model_add(struct timer *t)
{
  size_t at = model_find(t->deadline_ns, t->number);
  memmove(&model[at + 1], &model[at], (modeled - at) * sizeof *model);
  model[at] = (struct key){t->deadline_ns, t->number, t};
  modeled++;
}

static void model_remove(struct timer *t)
{
  size_t at = model_find(t->deadline_ns, t->number);
  modeled--;
  memmove(&model[at], &model[at + 1], (modeled - at) * sizeof *model);
  t->number = NOT_MODELED;
}

/* WHEEL_NEVER when nothing is armed. */
static int64_t model_next(void)
{
  return modeled > 0 ? model[modeled - 1].deadline_ns : WHEEL_NEVER;
}

/* A span of any magnitude up to 2^reach. */
static int64_t span(void)
{
  return (int64_t)chance(UINT64_C(1) << chance(reach + 1));
}

/* The border of a slot some way ahead, or one nanosecond beside it. */
static int64_t border(void)
{
  unsigned bits = (unsigned)(WHEEL_TICK_BITS + WHEEL_DIGIT_BITS * chance(WHEEL_LEVELS));
  if (bits > reach) bits = WHEEL_TICK_BITS;
  int64_t width = INT64_C(1) << bits, into = now % width;
  int64_t start = plus(now, into < 0 ? -into - width : -into);
  return plus(start, width * (int64_t)chance(3) + (int64_t)chance(3) - 1);
}

static int64_t some_deadline(void)
{
  switch (chance(10)) {
  case 0: return now;
  case 1: return plus(now, (int64_t)chance(20000) - 10000);
  case 2: return plus(now, -span());
  case 3: return border();
  case 4: return favorite[chance(4)];
  case 5: return favorite[chance(4)] = plus(now, span());
  case 6: return modeled > 0 ? model[chance(modeled)].deadline_ns : now;
  case 7: return chance(50) > 0 ? plus(now, HOUR) : INT64_MAX - (int64_t)chance(3);
  default: return plus(now, span());
  }
}

static int64_t some_later_now(void)
{
  int64_t next_ns = model_next(), to_ns;
  switch (chance(8)) {
  case 0: return now;
  case 1: to_ns = plus(now, (int64_t)chance(5000)); break;
  case 2: to_ns = border(); break;
  case 3: to_ns = wheel_next(&w); break;
  case 4: to_ns = next_ns; break;
  case 5: to_ns = plus(next_ns, -1); break;
  case 6: to_ns = plus(next_ns, span()); break;
  default: to_ns = plus(now, span()); break;
  }
  if (to_ns == INT64_MAX && chance(100) > 0) return now; /* that would be the end of a life */
  return to_ns > now ? to_ns : now;
}

static void disarm(struct timer *t)
{
  CHECK_INT(wheel_disarm(&w, &t->entry), t->number != NOT_MODELED);
  CHECK(!wheel_armed(&t->entry));
  if (t->number != NOT_MODELED) model_remove(t);
}

static void arm(struct timer *t)
{
  if (t->number != NOT_MODELED) disarm(t);
  t->deadline_ns = some_deadline();
  t->number = ++armings;
  wheel_arm(&w, &t->entry, t->deadline_ns);
  model_add(t);
}

static void arm_or_disarm(void)
{
  struct timer *t = &timers[chance(pool)];
  if (chance(3) > 0) {
    arm(t);
  } else {
    disarm(t);
  }
}

/* 'e' is what the model has as the earliest, and is due. */
static bool right(const struct wheel_entry *e)
{
  if (!CHECK(modeled > 0)) return false;
  struct timer *t = model[modeled - 1].timer;
  if (!CHECK(e == &t->entry) || !CHECK(t->deadline_ns <= now)) return false;
  CHECK(!wheel_armed(e));
  model_remove(t);
  return true;
}

/*
 * Pops at 'now', or at an earlier instant, which counts as 'now'. Disturbs the
 * batch, or leaves it, now and then if so told. Answers how many it popped.
 */
static size_t pop_batch(bool calm)
{
  size_t popped = 0;
  bool more = true;
  for (size_t calls = 0; CHECK(calls < 1000000); calls++) {
    bool back = calls > 0 && chance(50) == 0;
    struct wheel_entry *e = wheel_pop(&w, back ? plus(now, -span()) : now, &more);
    if (e == NULL && !more) break;
    if (e != NULL && chance(50) == 0) {
      wheel_unpop(&w, e);
      continue;
    }
    if (e != NULL && !right(e)) return popped;
    popped += e != NULL;
    if (calm) continue;
    if (chance(4) == 0) arm_or_disarm();
    if (chance(100) == 0) return popped;
  }
  CHECK(modeled == 0 || model_next() > now);
  return popped;
}

/* From look to look by wheel_next, early at most once a level. */
static void look_ahead(void)
{
  unsigned looks = 0;
  if (pop_batch(true) > 0 || modeled == 0 || model_next() == INT64_MAX) return;
  if (model_next() > plus(now, INT64_C(1) << reach)) return;
  do {
    int64_t next_ns = wheel_next(&w);
    if (!CHECK(next_ns <= model_next()) || !CHECK(looks++ <= WHEEL_LEVELS)) return;
    if (next_ns > now) now = next_ns;
  } while (pop_batch(true) == 0);
}

static void one_step(void)
{
  uint64_t what = chance(100);
  if (what < 80) {
    arm_or_disarm();
  } else if (what < 98) {
    now = some_later_now();
    pop_batch(false);
  } else {
    look_ahead();
  }
  if (modeled == 0) {
    CHECK_INT(wheel_next(&w), WHEEL_NEVER);
  } else {
    CHECK(wheel_next(&w) <= model_next());
  }
}

static int64_t some_start(void)
{
  switch (chance(5)) {
  case 0: return INT64_MIN + (int64_t)chance(2) * span();
  case 1: return (int64_t)chance(20000) - 10000;
  case 2: return INT64_MAX - (int64_t)chance(UINT64_C(1) << 50);
  case 3: return (int64_t)(chance(UINT64_C(1) << 53) << 11); /* anywhere, also below 0 */
  default: return 12345 * SECOND;
  }
}

/* One wheel from its birth until nothing is armed. */
static void live(size_t length)
{
  static const size_t pools[] = {3, 20, 100, 300, POOL};
  static const unsigned reaches[] = {8, 13, 20, 31, 43, 52, 62};
  pool = pools[chance(5)];
  reach = reaches[chance(7)];
  now = some_start();
  modeled = 0;
  wheel_init(&w, now);
  for (size_t i = 0; i < 4; i++) favorite[i] = plus(now, span());
  for (size_t i = 0; i < pool; i++) {
    wheel_entry_init(&timers[i].entry);
    timers[i].number = NOT_MODELED;
  }
  for (size_t i = 0; i < length && check_failures == 0; i++, steps++) {
    one_step();
    if (i < 200 || i % 1024 == 0) CHECK_STR(wheel_check(&w, NULL), NULL);
  }
  while (modeled > 0 && check_failures == 0) {
    now = model_next() > now ? model_next() : now;
    pop_batch(true);
  }
  CHECK_STR(wheel_check(&w, NULL), NULL);
}

TEST(like_the_model)
{
  static const uint64_t seeds[] = {1, 20, 300, 4000, 50000, 600000};
  const char *wish = getenv("WHEEL_STEPS");
  uint64_t total = wish != NULL ? strtoull(wish, NULL, 10) : MODEL_STEPS, n = 6;
  steps = 0;
  for (uint64_t i = 0; i < n; i++) {
    seed = seeds[i] * UINT64_C(0x9E3779B97F4A7C15);
    while (steps < total / n * (i + 1)) {
      live(100 + (size_t)chance(20000));
      if (check_failures == 0) continue;
      printf("# seed %llu, step %llu\n", (unsigned long long)seeds[i], (unsigned long long)steps);
      return;
    }
  }
  printf("# %llu steps\n", (unsigned long long)steps);
}

static const struct test tests[] = {
  T(empty, "an empty wheel is due never"),
  T(empty_again, "a wheel that has become empty is due never"),
  T(to_the_nanosecond, "Q2 an entry is due at its nanosecond and not one before"),
  T(borders, "Q2 so it is at the borders of the slots of every level"),
  T(ends_of_time, "D9 the smallest and the largest instant are deadlines like others"),
  T(past, "deadlines of the past are due at once, in their order"),
  T(earlier_now, "a now before the latest counts as the latest"),
  T(answers, "disarm answers whether the entry was armed"),
  T(left_alone, "arming leaves the tag alone, disarming the deadline too"),
  T(order_in_a_tick, "D10 entries of one tick come by deadline"),
  T(rest_of_a_tick, "D10 what of a tick is not yet due stays"),
  T(equal, "D10 100,000 equal deadlines come in arming order"),
  T(equal_when_moved, "D10 so do those armed while others move down"),
  T(armed_anew, "D10 an entry armed anew comes after its equals"),
  T(put_back, "D10 an entry put back comes first again"),
  T(armed_within, "D10 an entry armed within a batch comes in its place"),
  T(disarmed_within, "an entry disarmed within a batch does not come"),
  T(bounded, "a long slot moves down 64 entries at a time"),
  T(without_a_pause,
    "a stream of timers comes to a slot of many thousands without a long row of steps"),
  T(ahead, "what was moved ahead is due in its order"),
  T(ahead_in_part, "and so where some of a slot were moved ahead, and some were not"),
  T(disarmed_while_moving, "entries of a slot that moves down can be disarmed"),
  T(armed_while_moving, "entries armed while a slot moves down come in their place"),
  T(few, "the next look is exact for a few entries"),
  T(like_the_model, "D10 a wheel does what a sorted array does, in millions of steps"),
};

int main(int argc, char **argv)
{
  return check_run("wheel", tests, sizeof tests / sizeof *tests, argc, argv);
}
