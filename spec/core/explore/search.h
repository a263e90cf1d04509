/*
 * search - which schedules are run
 *
 * A schedule is run from the beginning for each choice that is still to be tried, the
 * deepest first. A thread runs from one operation to the next without a switch, and the
 * choice is made before each operation. What lies between needs no choice of its own:
 *
 *   plain accesses  are ordered by operations, or the schedule fails as a race
 *   dropping a lock lets others go on that could not; who is stopped just before it,
 *                   with the lock held, shows nothing that is not also seen with
 *                   these others run after it
 *   an allocation   commutes with everything
 *
 * Operations of different threads that touch different objects, or only read or only add,
 * commute: schedules that differ in the order of such neighbors are one. So, in each
 * schedule, an operation is tried before an earlier one of another thread only when the two
 * conflict and nothing else orders them (dynamic partial order reduction; Flanagan and
 * Godefroid, 2005), and a thread whose next operation has been tried first sleeps until
 * something conflicts with that (sleep sets; Godefroid, 1996). With no bound this runs at
 * least one schedule of each kind: the search is complete.
 *
 * With a bound, only schedules with so many preemptions are run: switches away from a
 * thread that could go on. An operation is then also tried where the run of events began
 * that it conflicts with, and no thread sleeps (Coons, Musuvathi and McKinley, 2013).
 *
 * To free a block conflicts with every use of it. A sleep with a limit may end by its
 * waker or by the clock: where time passes by itself, the waker is taken for a conflict.
 *
 * All is sequentially consistent: what weaker orders of the machine allow is not seen.
 */
#ifndef CTX_SEARCH_H
#define CTX_SEARCH_H

#include "explorer.h"

enum { STEPS = 8000 };

/* NAIVE: every choice is tried at every operation; to compare with. */
enum mode { REDUCED, NAIVE };

extern bool time_passes; /* the scenario says that it may, at any step */

void search_begin(int max_preemptions, enum mode mode);

/* Before each schedule; its first 'n' threads are these, where they can go on. */
void search_reset(const uint8_t *choices, size_t n);

bool search_ready(int thread);

/* Which thread comes next: its operation has happened. Ends the schedule when nobody can. */
int search_choose(void);

/* After a schedule. False: that was the last. */
bool search_advance(void);

/* The schedule so far, as a string: a3b12 for 3 steps of thread a, then 12 of b. */
void search_print(char *to, size_t size);
int search_depth(void);
int search_preemptions(void);

/* When the running thread does something between two operations, in pasts. */
uint16_t stamp_plain(void);

/* All that the running thread has done comes before whoever locks 'l' next. */
void publish(const ctx__lock *l);

#endif
