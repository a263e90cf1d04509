#include "platform.h"

#include <stdio.h>

#include "listener.h"

enum { SIGNALS = 64 };

static ctx__lock lock; /* guards the rest */
static struct list listeners;
static unsigned wanted[SIGNALS]; /* by how many listeners */
static uint64_t last_number;
static ctx__atomic process; /* that they are of; in its children nothing here is touched */

static struct listener_context *listener_of(ctx_context *c)
{
  return (struct listener_context *)(void *)c;
}

static uint64_t bit(int signal)
{
  return (uint64_t)1 << (signal - 1);
}

/* ---- in and out ---------------------------------------------------------- */

/* One listener less for each of these signals. */
static void give_up_locked(uint64_t signals)
{
  for (int s = 1; s <= SIGNALS; s++) {
    if ((signals & bit(s)) != 0 && --wanted[s - 1] == 0) CTX__SIGNAL_RESTORE(s);
  }
}

/* Catches all of them, or none. */
static int want_locked(uint64_t signals)
{
  for (int s = 1; s <= SIGNALS; s++) {
    if ((signals & bit(s)) == 0) continue;
    int failed = wanted[s - 1] == 0 ? CTX__SIGNAL_CATCH(s) : 0;
    if (failed != 0) {
      give_up_locked(signals & (bit(s) - 1));
      return failed;
    }
    wanted[s - 1]++;
  }
  return 0;
}

static int enter(struct listener_context *l)
{
  CTX__LOCK(&lock);
  int failed = want_locked(l->signals);
  if (failed == 0) {
    l->number = ++last_number;
    list_append(&listeners, &l->listed);
  }
  CTX__UNLOCK(&lock);
  return failed;
}

void listener_drop(struct listener_context *l)
{
  if (CTX__LOAD(&process) != CTX__PROCESS()) return;
  CTX__LOCK(&lock);
  if (list_linked(&l->listed)) {
    list_remove(&listeners, &l->listed);
    give_up_locked(l->signals);
  }
  CTX__UNLOCK(&lock);
}

/* ---- a signal ------------------------------------------------------------- */

static uint64_t last_entered(void)
{
  CTX__LOCK(&lock);
  uint64_t number = last_number;
  CTX__UNLOCK(&lock);
  return number;
}

/* The first listener to this signal that is no newer, retained, or NULL. */
static ctx_context *find(int signal, uint64_t newest)
{
  ctx_context *found = NULL;
  CTX__LOCK(&lock);
  for (struct list_link *k = listeners.first; k != NULL && found == NULL;
       k = list_after(&listeners, k)) {
    struct listener_context *l = LIST_ELEMENT(k, struct listener_context, listed);
    if ((l->signals & bit(signal)) == 0 || l->number > newest) continue; /* race: a new one */
    if (node_retain_unless_dead(&l->context.node)) found = &l->context;  /* race: it goes */
  }
  CTX__UNLOCK(&lock);
  return found;
}

static ctx_cause *cause_of(int signal)
{
  char text[32];
  const char *name = CTX__SIGNAL_NAME(signal);
  int len = name != NULL ? snprintf(text, sizeof text, "signal SIG%s", name)
                         : snprintf(text, sizeof text, "signal %d", signal);
  return ctx_cause_new(text, (size_t)len, signal, NULL, NULL);
}

/* On the thread that is told of signals. Whoever is canceled has left the list. Who comes while
 * others are canceled waits for the next one. */
static void received(int signal)
{
  uint64_t newest = last_entered();
  for (ctx_context *c; (c = find(signal, newest)) != NULL; ctx_release(c)) {
    ctx_cancel_at(c, cause_of(signal), CTX_ORIGIN_SIGNAL, NULL);
    listener_leave(c); /* where it has ended while it was put into the list, it is there yet */
  }
}

/* ---- making --------------------------------------------------------------- */

/* The bits of the signals, or 0: one of them cannot be listened to. */
static uint64_t read_signals(size_t n, const int signals[])
{
  uint64_t bits = 0;
  for (size_t i = 0; i < n; i++) {
    if (signals[i] < 1 || signals[i] > SIGNALS || !CTX__SIGNAL_CAN(signals[i])) return 0;
    bits |= bit(signals[i]);
  }
  return bits;
}

/* A live one listens, unless it is ended in between: then it leaves again. */
static int listen(struct listener_context *l)
{
  int failed = CTX__SIGNALS_OPEN(received);
  if (failed != 0) return failed;
  CTX__STORE(&process, CTX__PROCESS());
  failed = enter(l);
  if (failed == 0 && ctx_done(&l->context)) listener_leave(&l->context); /* race: it ends now */
  return failed;
}

ctx_context *ctx_notify_signals(ctx_context *parent, size_t n, const int signals[])
{
  uint64_t bits = signals != NULL ? read_signals(n, signals) : 0;
  if (parent == NULL || bits == 0) {
    errno = EINVAL;
    return NULL;
  }
  ctx_context *c = context_new(parent, NODE_LISTENER, sizeof(struct listener_context));
  if (c == NULL) return NULL;
  struct listener_context *l = listener_of(c);
  l->signals = bits;
  l->listed.next = l->listed.prev = NULL;
  context_hang(c, CTX_NEVER, false);
  int failed = ctx_done(c) ? 0 : listen(l);
  if (failed == 0) return context_made(c);
  ctx_release(c);
  errno = failed;
  return NULL;
}
