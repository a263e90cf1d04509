#include "platform.h"

#include "mailbox.h"

struct mailbox {
  ctx__lock lock;      /* guards the next four; nothing else is taken or called under it */
  struct list letters; /* oldest first */
  bool sleeping;       /* the owner sleeps on 'posts', or is about to */
  bool closed;
  const ctx__fd *bell; /* the owner polls this, or is about to; NULL: he does not */
  ctx__atomic posts;   /* how many letters have ever come; grows under the lock */
  uint32_t taken;      /* how many of them have left; the owner's alone */
  uint32_t process;    /* CTX__PROCESS() at birth */
  ctx__atomic refs;
};

struct mailbox *mailbox_new(void)
{
  struct mailbox *m = CTX__WATCH_FORKS() == 0 ? CTX__ALLOC(sizeof *m) : NULL;
  if (m != NULL) *m = (struct mailbox){.process = CTX__PROCESS(), .refs = 1};
  return m;
}

struct mailbox *mailbox_retain(struct mailbox *m)
{
  CTX__ADD(&m->refs, 1);
  return m;
}

void mailbox_release(struct mailbox *m)
{
  if (CTX__SUB_RELEASE(&m->refs, 1) == 1) CTX__FREE(m);
}

/* ---- posting ------------------------------------------------------------ */

/* The owner sees the letter once the lock is dropped: after that only the address of 'posts'
 * is used. The bell is rung before. */
bool mailbox_post(struct letter *l)
{
  struct mailbox *m = l->box;
  CTX__LOCK(&m->lock);
  bool accepted = l->expected || !m->closed;
  bool wake = accepted && m->sleeping;
  if (accepted) {
    list_append(&m->letters, &l->link);
    CTX__ADD(&m->posts, 1);
    if (m->bell != NULL) CTX__FD_ARM(m->bell, 0);
  }
  CTX__UNLOCK(&m->lock);
  if (wake) CTX__WAKE(&m->posts);
  return accepted;
}

/* ---- taking ------------------------------------------------------------- */

static bool is_empty(const struct mailbox *m)
{
  return CTX__LOAD(&m->posts) == m->taken;
}

/* Takes 'k' out. */
static struct letter *remove_locked(struct mailbox *m, struct list_link *k)
{
  struct letter *l = LIST_ELEMENT(k, struct letter, link);
  list_remove(&m->letters, k);
  m->taken++;
  l->expected = false;
  return l;
}

struct letter *mailbox_take(struct mailbox *m)
{
  if (is_empty(m)) return NULL;
  CTX__LOCK(&m->lock);
  struct letter *l = remove_locked(m, m->letters.first);
  CTX__UNLOCK(&m->lock);
  return l;
}

void mailbox_close(struct mailbox *m)
{
  CTX__LOCK(&m->lock);
  m->closed = true;
  CTX__UNLOCK(&m->lock);
}

/* ---- sleeping ----------------------------------------------------------- */

/* Drops the lock until there may have been a post. Who posts after that sees 'sleeping', or has
 * changed the word before it is waited on. */
static void sleep_locked(struct mailbox *m, int64_t until_ns)
{
  uint32_t seen = CTX__LOAD(&m->posts);
  m->sleeping = true;
  CTX__UNLOCK(&m->lock);
  CTX__WAIT(&m->posts, seen, until_ns);
  CTX__LOCK(&m->lock);
  m->sleeping = false;
}

void mailbox_sleep(struct mailbox *m, int64_t until_ns)
{
  CTX__LOCK(&m->lock);
  if (is_empty(m)) sleep_locked(m, until_ns);
  CTX__UNLOCK(&m->lock);
}

bool mailbox_hang_bell(struct mailbox *m, const ctx__fd *bell)
{
  CTX__LOCK(&m->lock);
  bool empty = is_empty(m);
  if (empty) m->bell = bell;
  CTX__UNLOCK(&m->lock);
  return empty;
}

void mailbox_take_bell(struct mailbox *m)
{
  CTX__LOCK(&m->lock);
  m->bell = NULL;
  CTX__UNLOCK(&m->lock);
}

/* ---- letters ------------------------------------------------------------ */

void letter_init(struct letter *l, struct mailbox *m, void (*receive)(struct letter *l))
{
  *l = (struct letter){.box = m, .receive = receive};
}

void letter_expect(struct letter *l)
{
  l->expected = true;
}

/* Waits for a letter that is on its way. A thread that was to post it is not there in a forked
 * child. */
static void await(struct letter *l)
{
  struct mailbox *m = l->box;
  CTX__LOCK(&m->lock);
  while (!list_linked(&l->link) && m->process == CTX__PROCESS()) sleep_locked(m, INT64_MAX);
  if (list_linked(&l->link)) remove_locked(m, &l->link);
  CTX__UNLOCK(&m->lock);
}

bool letter_withdraw(struct letter *l, bool stopped)
{
  if (!l->expected) return false;
  if (!stopped) await(l);
  l->expected = false;
  return true;
}
