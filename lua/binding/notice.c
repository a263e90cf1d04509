#include "notice.h"

static void on_end(ctx_context *c, void *arg)
{
  (void)c;
  mailbox_post(arg);
}

void notice_init(struct notice *n, struct mailbox *m, void (*receive)(struct letter *l))
{
  ctx_hook_init(&n->hook, on_end, &n->letter, CTX_HOOK_INLINE);
  letter_init(&n->letter, m, receive);
}

int notice_attach(struct notice *n, ctx_context *c)
{
  letter_expect(&n->letter);
  int refused = ctx_hook_attach(&n->hook, c);
  if (refused != 0) letter_withdraw(&n->letter, true);
  return refused;
}

bool notice_withdraw(struct notice *n)
{
  if (!n->letter.expected) return false;
  letter_withdraw(&n->letter, ctx_hook_stop(&n->hook));
  return true;
}
