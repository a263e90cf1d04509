/*
 * notice - a letter that tells of the end of a context
 *
 * A hook that does nothing but post its letter, on whatever thread the context ends. So a
 * notice comes to the thread of its Lua state in the order of the ends.
 *
 * Knows ctx.h, mailbox.h. All on the thread of its state.
 */
#ifndef CTX_BINDING_NOTICE_H
#define CTX_BINDING_NOTICE_H

#include "ctx.h"
#include "mailbox.h"

struct notice {
  ctx_hook hook;
  struct letter letter;
};

/* Makes 'n' new: its letter comes to 'm', whose owner calls 'receive'. */
void notice_init(struct notice *n, struct mailbox *m, void (*receive)(struct letter *l));

/* 0, or the errno of ctx_hook_attach. Of a done context the letter is posted at once. */
int notice_attach(struct notice *n, ctx_context *c);

/* From now on nothing but the owner knows 'n', whose memory may be freed. True: its letter
 * would have come; false: it has been received, or none was to come. */
bool notice_withdraw(struct notice *n);

#endif
