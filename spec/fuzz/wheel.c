/*
 * wheel - bytes as calls of wheel.h, beside a sorted array
 *
 * What is popped must be the first of the array, and due; what wheel_next says must not be
 * after the first. The wheel is walked (wheel_check) after each call.
 */
#include "wheel.h"

#include <string.h>

#include "bytes.h"

enum {
  ENTRIES = 200,           /* more than three of the steps in which a slot is moved down */
  STEP = 64,               /* what wheel_pop may move down in one call */
  SPAN_BITS = 64,          /* spans of time are 2^n ns, and a little more or less */
  WAKES = WHEEL_LEVELS + 2 /* from one entry to the next, when each wake is at wheel_next */
};

static struct wheel w;
static struct wheel_entry entry[ENTRIES];
static struct wheel_entry *sorted[ENTRIES]; /* by deadline, then by age */
static size_t count;
static int64_t now_ns;
static struct wheel_entry *popped; /* by the last call */

static int64_t plus(int64_t ns, int64_t more_ns)
{
  int64_t sum;
  if (!__builtin_add_overflow(ns, more_ns, &sum)) return sum;
  return more_ns > 0 ? INT64_MAX : INT64_MIN;
}

/* 0, or about a power of two. */
static int64_t read_span(struct bytes *b)
{
  unsigned bits = bytes_u8(b) % SPAN_BITS;
  int64_t off = (int64_t)bytes_u8(b) - 128;
  return bits == 0 ? 0 : plus((int64_t)(UINT64_C(1) << (bits - 1)), off);
}

static int64_t read_instant(struct bytes *b)
{
  switch (bytes_u8(b) % 6) {
  case 0: return plus(now_ns, read_span(b));
  case 1: return plus(now_ns, -read_span(b));
  case 2: return plus(INT64_MAX, -read_span(b));
  case 3: return plus(INT64_MIN, read_span(b));
  case 4: return entry[bytes_u8(b) % ENTRIES].deadline_ns;
  default: return bytes_i64(b);
  }
}

/* -- the array -- */

static void insert(struct wheel_entry *e, size_t i)
{
  memmove(&sorted[i + 1], &sorted[i], (count - i) * sizeof *sorted);
  sorted[i] = e;
  count++;
}

static void take_out(struct wheel_entry *e)
{
  size_t i = 0;
  while (i < count && sorted[i] != e) i++;
  EXPECT(i < count, "an entry that was not armed has come");
  memmove(&sorted[i], &sorted[i + 1], (count - i - 1) * sizeof *sorted);
  count--;
}

/* -- the calls -- */

static void check(void)
{
  const char *broken = wheel_check(&w, NULL);
  EXPECT(broken == NULL, "%s", broken);
  EXPECT(w.count == count, "%zu entries where %zu are armed", w.count, count);
  int64_t next_ns = wheel_next(&w);
  EXPECT(count != 0 || next_ns == WHEEL_NEVER, "an empty wheel has a next instant");
  EXPECT(count == 0 || next_ns <= sorted[0]->deadline_ns, "wheel_next is late");
}

static void arm(struct wheel_entry *e, int64_t deadline_ns)
{
  if (wheel_armed(e)) return;
  size_t i = count;
  while (i > 0 && sorted[i - 1]->deadline_ns > deadline_ns) i--;
  wheel_arm(&w, e, deadline_ns);
  EXPECT(wheel_armed(e), "an armed entry does not say so");
  insert(e, i);
}

static void disarm(struct wheel_entry *e)
{
  bool armed = wheel_armed(e);
  EXPECT(wheel_disarm(&w, e) == armed, "wheel_disarm does not know whether it was armed");
  EXPECT(!wheel_armed(e), "a disarmed entry says that it is armed");
  if (armed) take_out(e);
}

/* Time goes on, and never back. */
static void go_to(int64_t at_ns)
{
  if (at_ns > now_ns) now_ns = at_ns;
}

/* The next entry due at 'at_ns', through as many steps as that may take. */
static struct wheel_entry *pop(int64_t at_ns)
{
  struct wheel_entry *e;
  bool more;
  size_t steps = 0;
  go_to(at_ns);
  do {
    e = wheel_pop(&w, at_ns, &more);
    EXPECT(e == NULL || !more, "an entry, and more work");
    EXPECT(steps++ <= count * WHEEL_LEVELS / STEP + 1, "steps that move nothing");
  } while (e == NULL && more);
  if (e == NULL) {
    EXPECT(count == 0 || sorted[0]->deadline_ns > now_ns, "an entry is late");
    return NULL;
  }
  EXPECT(e->deadline_ns <= now_ns, "an entry is early");
  EXPECT(e == sorted[0], "an entry comes out of turn");
  take_out(e);
  return popped = e;
}

/* Sleeps from wheel_next to wheel_next until an entry comes. */
static void sleep_until_next(void)
{
  int wakes = 0;
  if (count == 0) return;
  while (pop(wheel_next(&w)) == NULL) EXPECT(++wakes <= WAKES, "woken in vain, again and again");
}

static void arm_many(struct bytes *b)
{
  size_t first = bytes_u8(b) % ENTRIES, n = bytes_u8(b) % ENTRIES;
  int64_t deadline_ns = read_instant(b), apart_ns = read_span(b);
  for (size_t i = 0; i < n; i++) {
    arm(&entry[(first + i) % ENTRIES], deadline_ns);
    deadline_ns = plus(deadline_ns, apart_ns);
  }
}

static void step(struct bytes *b)
{
  struct wheel_entry *last = popped;
  popped = NULL;
  switch (bytes_u8(b) % 10) {
  case 0:
  case 1: arm(&entry[bytes_u8(b) % ENTRIES], read_instant(b)); break;
  case 2: arm_many(b); break;
  case 3: disarm(&entry[bytes_u8(b) % ENTRIES]); break;
  case 4: pop(plus(now_ns, read_span(b))); break;
  case 5:
    go_to(plus(now_ns, read_span(b)));
    while (pop(now_ns) != NULL) continue;
    popped = NULL;
    break;
  case 6: pop(read_instant(b)); break;
  case 7:
    go_to(plus(now_ns, read_span(b)));
    wheel_set_now(&w, now_ns);
    break;
  case 8: sleep_until_next(); break;
  default:
    if (last == NULL || wheel_armed(last)) break;
    wheel_unpop(&w, last);
    insert(last, 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
  struct bytes b = {bytes, size};
  now_ns = 0;
  for (size_t i = 0; i < ENTRIES; i++) wheel_entry_init(&entry[i]);
  count = 0;
  popped = NULL;
  now_ns = read_instant(&b);
  wheel_init(&w, now_ns);
  while (b.left > 0) {
    step(&b);
    check();
  }
  while (count > 0) sleep_until_next();
  EXPECT(wheel_next(&w) == WHEEL_NEVER, "an empty wheel has a next instant");
  return 0;
}
