/*
 * poller - which descriptors are waited for, and which have come to be ready
 *
 * One a loop, made when the first descriptor is waited for. Each descriptor has a *port*, with a
 * row for each way of being waited for: to be read, to be written, either. What lies in the rows
 * is the caller's affair.
 *
 *     poller_watch(fd, modes) --> a row, to wait in
 *     poller_wait             --> the rows of what is ready are given to 'wake', which empties them
 *
 * The kernel tells each port once, and has to be asked anew by the next poller_watch. So whoever
 * stops waiting only leaves his row: at worst the kernel tells of what nobody waits for any more.
 *
 * While the owner sleeps here, a letter of another thread wakes him by a descriptor of ours, the
 * *bell*; it is also what ends the sleep at its instant, to the nanosecond where there is a timerfd.
 *
 * A descriptor that is closed while it is waited for is noticed within a second, or at once
 * after poller_closing. What has taken its number by then is waited for in its place.
 *
 * This is the one file of the module that calls the system: epoll on Linux, elsewhere poll.
 * All functions are for the owner of the mailbox. Knows mailbox.h, list.h and platform.h.
 */
#ifndef CTX_BINDING_POLLER_H
#define CTX_BINDING_POLLER_H

#include <stdint.h>

#include "list.h"
#include "mailbox.h"

struct poller;

enum { POLL_READ = 1, POLL_WRITE = 2, POLL_MODES = 4 };

/* Wakes all in a row, which is empty then. */
typedef void poller_wake(struct list *row);

/*
 * poller_new: with no port. Borrows 'm'.
 *
 *   fails    NULL, errno: no memory, no descriptors
 */
struct poller *poller_new(struct mailbox *m);

/* All rows are empty. NULL is none. */
void poller_free(struct poller *p);

/* 1: 'fd' is ready in one of 'modes', or has failed; 0: it is not; -1, errno: it is not open. */
int poller_ready(int fd, unsigned modes);

/*
 * poller_watch: the row for who waits until 'fd' is ready in one of 'modes'. It is the port's, and
 * lives as long as the poller.
 *
 *   fails    NULL, errno: EBADF, it is not open; EPERM, it is never waited for, as a file is
 *            always ready; no memory
 */
struct list *poller_watch(struct poller *p, int fd, unsigned modes);

/*
 * poller_wait: sleeps until a descriptor is ready, whose rows it wakes; until there is a
 * letter to take, until the instant 'until_ns' of the monotonic clock (0: does not sleep;
 * INT64_MAX: none), until a signal handler has run on this thread, or for no reason.
 */
void poller_wait(struct poller *p, int64_t until_ns, poller_wake *wake);

/* 'fd' is about to be closed: wakes who waits for it. */
void poller_closing(struct poller *p, int fd, poller_wake *wake);

#endif
