#include "platform.h"

#include "lock.h"

void ctx__lock_slow(ctx__atomic *l)
{
  for (int spin = 0; spin < CTX__SPINS; spin++) {
    uint32_t expected = 0;
    if (CTX__LOAD_RELAXED(l) == 0 && CTX__CAS_ACQUIRE(l, &expected, 1)) return; /* race: for it */
  }
  while (CTX__EXCHANGE(l, 2) != 0) CTX__WAIT_A_MOMENT(l, 2); /* race: for it */
}
