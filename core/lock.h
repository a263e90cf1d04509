/*
 * lock - a lock of one word that is dropped by a store
 *
 * 0 free, 1 held, 2 held and somebody may sleep. It is dropped by a plain store, which costs a
 * fraction of an exchange. Who begins to sleep between the look and the store is not seen, and not
 * woken: so nobody sleeps on a lock for long before he looks again. Taking it is the mutex
 * of Drepper's "Futexes Are Tricky" (2011).
 *
 * Part of platform.h, which includes it when it has named the atomics and the waits. The explorer has
 * a lock of its own, in which all these steps are one; it explores this one as well.
 */
#ifndef CTX_LOCK_H
#define CTX_LOCK_H

/* Takes a lock that is held by somebody else, as a rule. */
void ctx__lock_slow(ctx__atomic *l);

static inline void ctx__lock_take(ctx__atomic *l)
{
  uint32_t expected = 0;
  if (!CTX__CAS_ACQUIRE(l, &expected, 1)) ctx__lock_slow(l);
}

static inline void ctx__lock_drop(ctx__atomic *l)
{
  bool somebody = CTX__LOAD_RELAXED(l) == 2;
  CTX__STORE(l, 0);
  if (somebody) CTX__WAKE_ONE(l);
}

#endif
