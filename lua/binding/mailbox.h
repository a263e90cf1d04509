/*
 * mailbox - how other threads reach a Lua state
 *
 * A thread that has something to tell a state posts a letter; the state's own thread
 * takes the letters, oldest first, and does with each what it says. So nothing of Lua's
 * is ever touched by another thread.
 *
 *     any thread:  hook of a context, last reference --> mailbox_post
 *                                                            |
 *     the owner:   letter->receive(letter)  <-- mailbox_take --+
 *
 * A letter lies in what it tells of, so that to post allocates nothing and cannot fail.
 * Letters are of two kinds:
 *
 *   expected   It lies in the owner's memory, and is given to a hook: letter_expect, then
 *              ctx_hook_attach, to which an inline function is given that posts it and does
 *              nothing else. Before that memory goes, the owner takes the letter back: see
 *              letter_withdraw.
 *   unasked    It lies in a block of its own, which belongs to whoever holds the letter: the
 *              poster until mailbox_post has answered true, from then on the owner. The
 *              block has a reference on the mailbox, which goes with it.
 *
 * Once the owner can see a letter, the poster touches neither it nor the mailbox: both may
 * be freed at once.
 *
 * "The owner" is the thread that runs the Lua state, whichever that is at the moment.
 *
 * Knows list.h, and of platform.h the lock, the wait and the descriptor. Knows no Lua and no
 * context.
 */
#ifndef CTX_BINDING_MAILBOX_H
#define CTX_BINDING_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"

struct mailbox;

struct letter {
  struct list_link link;             /* in the mailbox; under its lock */
  struct mailbox *box;               /* fixed by letter_init, like the next; borrowed */
  void (*receive)(struct letter *l); /* for the owner to call */
  bool expected; /* a hook has it, or it lies in the mailbox; the owner writes it while no
                    poster may read it */
};

/* ---- the box ----------------------------------------------------------- */

/*
 * mailbox_new: an empty one.
 *
 *   owns     gives one reference (mailbox_release)
 *   fails    NULL: there is no memory
 */
struct mailbox *mailbox_new(void);

/* mailbox_retain, mailbox_release: one reference more, one less. Any thread. */
struct mailbox *mailbox_retain(struct mailbox *m);
void mailbox_release(struct mailbox *m);

/*
 * mailbox_post: puts 'l' into its box, and wakes the owner. An expected letter is always
 * accepted.
 *
 *   owns     see above
 *   fails    never; false: it is unasked, and the box is closed. 'l' is still the poster's
 *   threads  any, in inline hooks too; one post for one letter at a time
 */
bool mailbox_post(struct letter *l);

/* ---- for the owner ----------------------------------------------------- */

/* The oldest letter, which may be posted anew from now on; NULL: there is none, which costs a
 * load. What to do with it is for letter->receive. */
struct letter *mailbox_take(struct mailbox *m);

/* Sleeps until there is a letter to take, until the instant 'until_ns' of the monotonic clock
 * (INT64_MAX: none), until a signal handler has run on this thread, or for no reason. */
void mailbox_sleep(struct mailbox *m, int64_t until_ns);

/*
 * mailbox_hang_bell, mailbox_take_bell: for an owner who sleeps in a call of the system instead. Between
 * the two a post makes 'bell' readable, which is a descriptor of platform.h.
 *
 *   fails    false: there is a letter to take, and no bell
 */
struct ctx__fd;
bool mailbox_hang_bell(struct mailbox *m, const struct ctx__fd *bell);
void mailbox_take_bell(struct mailbox *m);

/* From now on unasked letters are refused; those in the box can still be taken. */
void mailbox_close(struct mailbox *m);

/* ---- letters ----------------------------------------------------------- */

void letter_init(struct letter *l, struct mailbox *m, void (*receive)(struct letter *l));

/* 'l' is about to be given to a hook. */
void letter_expect(struct letter *l);

/*
 * letter_withdraw: takes back a letter: afterwards nobody will post it, and it is not in the
 * box. 'stopped' is what ctx_hook_stop has answered for its hook (true also for one that
 * could not be attached). Where the hook has started, its post is on its way on some thread,
 * and is waited for: it comes, because the hook does nothing else. That holds inside hooks
 * of the host, too, where ctx_hook_stop_wait would not wait.
 *
 *   fails    never; true: it would have come, and will not; false: it was not expected, or
 *            has been taken
 *   threads  the owner
 */
bool letter_withdraw(struct letter *l, bool stopped);

#endif
