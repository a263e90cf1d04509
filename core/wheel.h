/*
 * wheel - who is due, and when: a pure data structure
 *
 * A hierarchical timing wheel (Varghese and Lauck, 1987) over the whole range
 * of int64_t nanoseconds: 9 levels of 64 slots, a slot of level 0 being one
 * tick of 4096 ns, one of level n+1 as wide as all of level n. An entry lies at
 * the level of the highest digit (base 64) in which its tick differs from the
 * wheel's, so that there is no range limit and no overflow list.
 *
 *   tick, base 64:   8 7 6 5 4 3 2 1 0   digit = level
 *   the wheel's      0 0 0 0 0 0 7 2 9
 *   an entry's       0 0 0 0 0 0 7 5 1   lies at level 1, slot 5
 *
 * When the wheel comes to a slot above level 0, it moves the slot's entries
 * down in bounded steps; when it comes to one of level 0, it takes what is due
 * into a sorted list. What of that tick is not yet due stays. A slot may hold
 * many: so each pop moves a few of those that come next ahead, into a second
 * row of the level below, which takes the place of the first when the wheel comes there.
 *
 * Always true: no entry lies in a slot that has been passed; what
 * wheel_pop gives is the earliest armed entry by (deadline, arming number),
 * and its deadline is not after the given now.
 *
 * Knows list.h. Knows no clock, lock, thread or heap: the owner guards it and
 * owns the memory of the entries.
 */
#ifndef CTX_WHEEL_H
#define CTX_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"

#define WHEEL_NEVER INT64_MAX /* what wheel_next answers when nothing is armed */

enum {
  WHEEL_TICK_BITS = 12, /* a tick is 4096 ns */
  WHEEL_DIGIT_BITS = 6, /* 64 slots a level: one bitmap word */
  WHEEL_SLOTS = 64,
  WHEEL_LEVELS = 9, /* 12 + 9 * 6 >= 64 */
  WHEEL_ROWS = 2 * WHEEL_LEVELS
};

struct wheel_entry {
  struct list_link link;
  int64_t deadline_ns; /* set by wheel_arm, kept by wheel_disarm */
  uint64_t order : 51; /* arming number: equal deadlines fire in this order */
  uint64_t place : 11; /* which list of the wheel it lies in; 0: not armed */
  uint64_t tag : 2;    /* the owner's; the wheel does not look at it */
};

/*
 * Always true: an entry with a deadline up to 'collected_ns' lies in 'due', any
 * other in a slot. 'collected_ns' lies in 'tick', or is the last nanosecond
 * before it. So nothing in a slot is earlier than anything in 'due'.
 */
struct wheel {
  uint64_t tick;                 /* every slot before it is empty */
  uint64_t armings;              /* the last arming number given */
  size_t count;                  /* entries armed */
  int64_t now_ns;                /* the latest now given */
  int64_t collected_ns;          /* never after now_ns */
  int64_t rest_ns;               /* nothing in the slot of 'tick' is earlier */
  unsigned moving;               /* the place that 'tick' begins and that is moved down; 0: none */
  unsigned swapped;              /* bit n: of level n row n + WHEEL_LEVELS is in use, not row n */
  struct list due;               /* to be popped; sorted by (deadline, order) */
  uint64_t occupied[WHEEL_ROWS]; /* bit s: slot s of the row is not empty */
  struct list slot[WHEEL_ROWS][WHEEL_SLOTS];
};

/* Makes an empty wheel that stands at 'now_ns', the first now given. */
void wheel_init(struct wheel *w, int64_t now_ns);

/* Makes 'e' an entry that is not armed. Leaves the tag at 0. */
void wheel_entry_init(struct wheel_entry *e);

/* True while 'e' lies in the wheel. */
static inline bool wheel_armed(const struct wheel_entry *e)
{
  return e->place != 0;
}

/*
 * Arms 'e', which is not armed, for 'deadline_ns', which may be in the past,
 * and at any time: between two pops of one batch too. O(1); only an entry for
 * the past that meets a long row of entries due, not yet popped and later than
 * itself, walks along that row.
 */
void wheel_arm(struct wheel *w, struct wheel_entry *e, int64_t deadline_ns);

/* Takes 'e' out, also when it is due and not yet popped. False: it was not armed. O(1). */
bool wheel_disarm(struct wheel *w, struct wheel_entry *e);

/*
 * An instant at which to look again: never after the earliest deadline. It may
 * be the start of a slot, so early, at most once a level, and once more when
 * the earliest entry has been disarmed. WHEEL_NEVER when nothing is armed.
 * O(levels).
 */
int64_t wheel_next(const struct wheel *w);

/* Says that it is 'now_ns', unless it was later already. */
void wheel_set_now(struct wheel *w, int64_t now_ns);

/*
 * Takes out the earliest entry due at 'now_ns' and gives it, disarmed. NULL:
 * look at '*more': true says that a bounded step of work was done (a long slot
 * is moved down in pieces, so that the owner may drop its lock between) and
 * the call is to be repeated with a 'now_ns' no earlier; false says that
 * nothing is due. A 'now_ns' before the latest one given counts as that one.
 *
 * O(levels), but the first of one tick's entries pays for sorting them.
 */
struct wheel_entry *wheel_pop(struct wheel *w, int64_t now_ns, bool *more);

/* Puts 'e', popped by the last call, back as it was: the next pop gives it again. O(1). */
void wheel_unpop(struct wheel *w, struct wheel_entry *e);

/* For tests: walks every slot and bit; NULL, or a sentence about what is broken. 'also', which may
 * be NULL, is asked the same about each entry. */
typedef const char *wheel_also(const struct wheel_entry *e);
const char *wheel_check(const struct wheel *w, wheel_also *also);

#endif
