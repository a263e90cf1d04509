/*
 * futex - which call of the system is a sleep on a word, for tests that stand between
 *
 * Knows the operating system.
 */
#ifndef CTX_FUTEX_H
#define CTX_FUTEX_H

#include <linux/futex.h>
#include <stdbool.h>
#include <sys/syscall.h>

/* Whether a call of syscall() with this number, and this operation as its second argument, sleeps. */
static inline bool is_futex_sleep(long number, long operation)
{
  bool is_futex = number == SYS_futex;
#ifdef SYS_futex_time64
  is_futex = is_futex || number == SYS_futex_time64;
#endif
  return is_futex && (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
}

#endif
