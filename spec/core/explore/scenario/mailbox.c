/*
 * mailbox - letters of other threads, and the owner who drains, withdraws or closes
 */
#include "scenario.h"

#include "list.h"
#include "mailbox.h"

struct office {
  ctx_engine *engine;
  ctx_context *context;
  struct mailbox *box;
  ctx_hook *hook;
  struct letter *letter;
  ctx__atomic taken, posters;
};

/* An unasked letter, in a block of its own. */
struct unasked {
  struct letter letter;
  struct mailbox *box; /* a reference */
};

static void receive(struct letter *l)
{
  (void)l;
}

static struct office *new_office(void)
{
  struct office *o = NEW(struct office);
  o->box = mailbox_new();
  EXPECT(o->box != NULL);
  return o;
}

/* ---- letters that are expected --------------------------------------------------------- */

static void post(ctx_context *c, void *letter)
{
  (void)c;
  EXPECT(mailbox_post(letter));
}

static struct office *new_expecting(void)
{
  struct office *o = new_office();
  o->engine = explore_engine(CTX_DRIVER_HOST);
  o->context = ctx_with_cancel(ctx_engine_background(o->engine));
  o->hook = NEW(ctx_hook);
  o->letter = NEW(struct letter);
  letter_init(o->letter, o->box, receive);
  ctx_hook_init(o->hook, post, o->letter, CTX_HOOK_INLINE);
  return o;
}

static void end_expecting(struct office *o)
{
  ctx_release(o->context);
  EXPECT_INT(ctx_engine_close(o->engine), 0);
  mailbox_release(o->box);
  CTX__FREE(o);
}

static void expect_letter(struct office *o)
{
  letter_expect(o->letter);
  EXPECT_INT(ctx_hook_attach(o->hook, o->context), 0);
}

static void cancel(void *arg)
{
  struct office *o = arg;
  EXPECT(ctx_cancel(o->context));
}

/* Hook and letter are the owner's again when he has the letter. */
static void await_letter(void *arg)
{
  struct office *o = arg;
  expect_letter(o);
  struct letter *l;
  while ((l = mailbox_take(o->box)) == NULL) mailbox_sleep(o->box, INT64_MAX);
  EXPECT(l == o->letter);
  CTX__FREE(o->letter);
  CTX__FREE(o->hook);
}

static void withdraw(void *arg)
{
  struct office *o = arg;
  expect_letter(o);
  bool stopped = ctx_hook_stop(o->hook);
  EXPECT(letter_withdraw(o->letter, stopped));
  EXPECT(mailbox_take(o->box) == NULL);
  CTX__FREE(o->letter);
  CTX__FREE(o->hook);
}

static void withdraw_or_take(void *arg)
{
  struct office *o = arg;
  expect_letter(o);
  struct letter *l = mailbox_take(o->box);
  bool stopped = ctx_hook_stop(o->hook);
  EXPECT(letter_withdraw(o->letter, stopped) == (l == NULL));
  CTX__FREE(o->letter);
  CTX__FREE(o->hook);
}

static void with_expected(part *owner)
{
  struct office *o = new_expecting();
  together(o, cancel, owner, NULL);
  end_expecting(o);
}

static void awaited(void)
{
  with_expected(await_letter);
}

static void withdrawn(void)
{
  with_expected(withdraw);
}

static void withdrawn_or_taken(void)
{
  with_expected(withdraw_or_take);
}

/* ---- letters that nobody asked for ---------------------------------------------------------- */

static void drop(struct unasked *u)
{
  struct mailbox *box = u->box;
  CTX__FREE(u);
  mailbox_release(box);
}

static void post_unasked(void *arg)
{
  struct office *o = arg;
  struct unasked *u = NEW(struct unasked);
  u->box = o->box;
  letter_init(&u->letter, u->box, receive);
  if (!mailbox_post(&u->letter)) drop(u);
}

static bool drain(struct office *o)
{
  struct letter *l = mailbox_take(o->box);
  if (l != NULL) drop(LIST_ELEMENT(l, struct unasked, letter));
  return l != NULL;
}

/* The state closes: what is in the box is taken, what comes later is refused. */
static void close_box(void *arg)
{
  struct office *o = arg;
  while (drain(o)) continue;
  mailbox_close(o->box);
  while (drain(o)) continue;
  mailbox_release(o->box);
}

static void drain_both(void *arg)
{
  struct office *o = arg;
  for (int left = 2; left > 0;) {
    if (drain(o))
      left--;
    else
      mailbox_sleep(o->box, INT64_MAX);
  }
  mailbox_release(o->box);
}

static void closed(void)
{
  struct office *o = new_office();
  mailbox_retain(o->box);
  together(o, post_unasked, close_box, NULL);
  CTX__FREE(o);
}

static void closed_for_two(void)
{
  struct office *o = new_office();
  mailbox_retain(o->box);
  mailbox_retain(o->box);
  together(o, post_unasked, post_unasked, close_box, NULL);
  CTX__FREE(o);
}

static void drained(void)
{
  struct office *o = new_office();
  mailbox_retain(o->box);
  mailbox_retain(o->box);
  together(o, post_unasked, post_unasked, drain_both, NULL);
  CTX__FREE(o);
}

/* ---- an owner who polls ----------------------------------------------------------------------- */

struct tower {
  struct mailbox *box;
  ctx__fd bell;
  struct letter letter;
  bool hung;
};

static struct tower *new_tower(void)
{
  struct tower *t = NEW(struct tower);
  t->box = mailbox_new();
  EXPECT(t->box != NULL);
  EXPECT_INT(CTX__FD_OPEN(&t->bell), 0);
  letter_init(&t->letter, t->box, receive);
  return t;
}

static void post_letter(void *arg)
{
  struct tower *t = arg;
  EXPECT(mailbox_post(&t->letter));
}

static void hang(void *arg)
{
  struct tower *t = arg;
  t->hung = mailbox_hang_bell(t->box, &t->bell);
}

/* He would sleep for ever if the bell were silent then. */
static void rung(void)
{
  struct tower *t = new_tower();
  together(t, post_letter, hang, NULL);
  EXPECT(!t->hung || explore_readable(t->bell.fd, "the owner"));
  EXPECT(mailbox_take(t->box) == &t->letter);
  CTX__FD_CLOSE(&t->bell);
  mailbox_release(t->box);
  CTX__FREE(t);
}

static void hang_and_close(void *arg)
{
  struct tower *t = arg;
  if (mailbox_hang_bell(t->box, &t->bell)) mailbox_take_bell(t->box);
  CTX__FD_CLOSE(&t->bell);
}

static void taken_down(void)
{
  struct tower *t = new_tower();
  together(t, post_letter, hang_and_close, NULL);
  mailbox_release(t->box);
  CTX__FREE(t);
}

const struct scenario mailbox_scenarios[] = {
  {"mailbox-await", "a cancel's letter wakes its owner, who may free it", awaited,
   .bound = COMPLETE},
  {"mailbox-withdraw", "a letter is withdrawn while its hook may run", withdrawn,
   .bound = COMPLETE},
  {"mailbox-take", "or taken before", withdrawn_or_taken, .bound = COMPLETE},
  {"mailbox-close", "a letter is taken or refused, and the box goes with the last", closed,
   .bound = COMPLETE},
  {"mailbox-close-2", "and so from two threads", closed_for_two, .bound = COMPLETE},
  {"mailbox-bell", "a letter rings the bell of an owner who polls, or he sees it before", rung,
   .bound = COMPLETE},
  {"mailbox-bell-close", "and no bell is rung that he has taken down", taken_down,
   .bound = COMPLETE},
  {"mailbox-drain", "the owner sleeps until there are letters of two", drained, .bound = COMPLETE},
  {0}};
