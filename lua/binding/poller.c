#include "platform.h"

#include "poller.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__) && !defined(CTX__PORTABLE)
#include <sys/epoll.h>
#define USES_EPOLL 1
#else
#define USES_EPOLL 0
#endif

enum { BATCH = 32 }; /* so many are told in one go */

/* So often is looked for what has been closed. */
static const int64_t check_ns = 1000000000;

struct port {
  struct list rows[POLL_MODES]; /* by the modes that are waited for */
};

/* What the kernel tells: this descriptor is ready in these modes. */
struct report {
  int fd;
  unsigned modes;
};

#if USES_EPOLL
struct kernel {
  int epoll;
};
#else
struct kernel {
  struct pollfd *asked; /* the first is the bell */
  size_t count, room;
};
#endif

struct poller {
  struct mailbox *mailbox;
  struct kernel kernel;
  ctx__fd bell;
  uint32_t process;    /* CTX__PROCESS() of when the kernel was asked */
  struct port **ports; /* by descriptor; NULL: never waited for */
  int port_count;
  int64_t checked_ns;
};

/* ---- the modes, and what poll calls them --------------------------------- */

static short events_of(unsigned modes)
{
  return (short)(((modes & POLL_READ) != 0 ? POLLIN | POLLPRI : 0) |
                 ((modes & POLL_WRITE) != 0 ? POLLOUT : 0));
}

/* What has failed or is not open is ready for everything: who then reads or writes is told. */
static unsigned modes_of(int events)
{
  if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0) return POLL_READ | POLL_WRITE;
  return ((events & (POLLIN | POLLPRI)) != 0 ? (unsigned)POLL_READ : 0) |
         ((events & POLLOUT) != 0 ? (unsigned)POLL_WRITE : 0);
}

int poller_ready(int fd, unsigned modes)
{
  struct pollfd asked = {.fd = fd, .events = events_of(modes)};
  int n;
  do {
    n = poll(&asked, 1, 0);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return n;
  if ((asked.revents & POLLNVAL) == 0) return 1;
  errno = EBADF;
  return -1;
}

/* ---- the kernel ------------------------------------------------------------ */

#if USES_EPOLL

/* The bits of epoll are those of poll. */
_Static_assert(EPOLLIN == POLLIN && EPOLLPRI == POLLPRI && EPOLLOUT == POLLOUT &&
                 EPOLLERR == POLLERR && EPOLLHUP == POLLHUP,
               "one table of events");

static int kernel_ask(struct kernel *k, int fd, uint32_t events)
{
  struct epoll_event e = {.events = events, .data = {.fd = fd}};
  if (epoll_ctl(k->epoll, EPOLL_CTL_MOD, fd, &e) == 0) return 0;
  return errno == ENOENT ? epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &e) : -1;
}

static int kernel_open(struct kernel *k, const ctx__fd *bell)
{
  k->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (k->epoll < 0) return -1;
  if (kernel_ask(k, bell->fd, EPOLLIN) == 0) return 0;
  int error = errno;
  close(k->epoll);
  errno = error;
  return -1;
}

static void kernel_close(struct kernel *k)
{
  close(k->epoll);
}

/* Until it has told of 'fd' once. */
static int kernel_watch(struct kernel *k, int fd, unsigned modes)
{
  return kernel_ask(k, fd, (uint32_t)events_of(modes) | EPOLLONESHOT);
}

/* The bell ends the sleep. */
static int kernel_wait(struct kernel *k, int64_t until_ns, struct report *reports)
{
  struct epoll_event events[BATCH];
  int n = epoll_wait(k->epoll, events, BATCH, until_ns == 0 ? 0 : -1);
  for (int i = 0; i < n; i++)
    reports[i] = (struct report){events[i].data.fd, modes_of((int)events[i].events)};
  return n;
}

#else

/* Naive: looks through all. Enough where there is no better. */
static struct pollfd *find(struct kernel *k, int fd)
{
  for (size_t i = 0; i < k->count; i++) {
    if (k->asked[i].fd == fd) return &k->asked[i];
  }
  return NULL;
}

static int kernel_watch(struct kernel *k, int fd, unsigned modes)
{
  struct pollfd *a = find(k, fd);
  if (a == NULL && k->count == k->room) {
    size_t room = 2 * k->room + 8;
    struct pollfd *more = CTX__ALLOC(room * sizeof *more);
    if (more == NULL) return -1;
    if (k->count > 0) memcpy(more, k->asked, k->count * sizeof *more);
    CTX__FREE(k->asked);
    k->asked = more;
    k->room = room;
  }
  if (a == NULL) a = &k->asked[k->count++];
  *a = (struct pollfd){.fd = fd, .events = events_of(modes)};
  return 0;
}

static int kernel_open(struct kernel *k, const ctx__fd *bell)
{
  *k = (struct kernel){NULL, 0, 0};
  return kernel_watch(k, bell->fd, POLL_READ);
}

static void kernel_close(struct kernel *k)
{
  CTX__FREE(k->asked);
}

static int milliseconds_until(int64_t until_ns)
{
  if (until_ns == INT64_MAX) return -1;
  int64_t left_ns = until_ns == 0 ? 0 : until_ns - CTX__NOW();
  if (left_ns <= 0) return 0;
  int64_t left_ms = (left_ns - 1) / 1000000 + 1;
  return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

/* What has been told is asked for no more, but for the bell. */
static int kernel_wait(struct kernel *k, int64_t until_ns, struct report *reports)
{
  int told = 0;
  if (poll(k->asked, (nfds_t)k->count, milliseconds_until(until_ns)) < 0) return -1;
  for (size_t i = k->count; i-- > 0 && told < BATCH;) {
    struct pollfd a = k->asked[i];
    if (a.revents == 0) continue;
    reports[told++] = (struct report){a.fd, modes_of(a.revents)};
    if (i > 0) k->asked[i] = k->asked[--k->count];
  }
  return told;
}

#endif

/* ---- ports ------------------------------------------------------------------ */

static unsigned waited_for(const struct port *port)
{
  unsigned modes = 0;
  for (unsigned m = 1; m < POLL_MODES; m++) {
    if (!list_empty(&port->rows[m])) modes |= m;
  }
  return modes;
}

static void wake_port(struct port *port, unsigned modes, poller_wake *wake)
{
  for (unsigned m = 1; m < POLL_MODES; m++) {
    if ((m & modes) != 0) wake(&port->rows[m]);
  }
}

static struct port *find_port(const struct poller *p, int fd)
{
  return fd >= 0 && fd < p->port_count ? p->ports[fd] : NULL;
}

static bool make_room(struct poller *p, int fd)
{
  if (fd < p->port_count) return true;
  if (fd >= INT_MAX / 2) return false;
  int count = 2 * fd + 16;
  struct port **more = CTX__ALLOC((size_t)count * sizeof(struct port *));
  if (more == NULL) return false;
  for (int i = 0; i < count; i++) more[i] = find_port(p, i);
  CTX__FREE(p->ports);
  p->ports = more;
  p->port_count = count;
  return true;
}

static struct port *make_port(struct poller *p, int fd)
{
  struct port *port = find_port(p, fd);
  if (port != NULL || !make_room(p, fd)) return port;
  port = CTX__ALLOC(sizeof *port);
  if (port == NULL) return NULL;
  *port = (struct port){0};
  return p->ports[fd] = port;
}

/* Asks anew for all that is waited for; what cannot be is woken, and told by its next wait. */
static void check_ports(struct poller *p, poller_wake *wake)
{
  p->checked_ns = CTX__NOW();
  for (int fd = 0; fd < p->port_count; fd++) {
    struct port *port = p->ports[fd];
    unsigned modes = port != NULL ? waited_for(port) : 0;
    if (modes != 0 && kernel_watch(&p->kernel, fd, modes) != 0)
      wake_port(port, POLL_READ | POLL_WRITE, wake);
  }
}

/* ---- the poller --------------------------------------------------------------- */

static int open_kernel(struct poller *p)
{
  if (CTX__FD_OPEN(&p->bell) != 0) return -1;
  if (kernel_open(&p->kernel, &p->bell) != 0) {
    int error = errno;
    CTX__FD_CLOSE(&p->bell);
    errno = error;
    return -1;
  }
  p->process = CTX__PROCESS();
  return 0;
}

static void close_kernel(struct poller *p)
{
  if (p->bell.fd < 0) return;
  kernel_close(&p->kernel);
  CTX__FD_CLOSE(&p->bell);
}

/* In a forked child the kernel's part is shared with the parent: makes one of its own. */
static int keep_own(struct poller *p)
{
  if (p->bell.fd >= 0 && p->process == CTX__PROCESS()) return 0;
  close_kernel(p);
  if (open_kernel(p) != 0) return -1;
  p->checked_ns = 0;
  return 0;
}

struct poller *poller_new(struct mailbox *m)
{
  struct poller *p = CTX__ALLOC(sizeof *p);
  if (p == NULL) return NULL;
  *p = (struct poller){.mailbox = m, .bell = CTX__FD_NONE, .checked_ns = CTX__NOW()};
  if (open_kernel(p) == 0) return p;
  int error = errno;
  CTX__FREE(p);
  errno = error;
  return NULL;
}

void poller_free(struct poller *p)
{
  if (p == NULL) return;
  close_kernel(p);
  for (int fd = 0; fd < p->port_count; fd++) CTX__FREE(p->ports[fd]);
  CTX__FREE(p->ports);
  CTX__FREE(p);
}

struct list *poller_watch(struct poller *p, int fd, unsigned modes)
{
  if (keep_own(p) != 0) return NULL;
  struct port *port = make_port(p, fd);
  if (port == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  if (kernel_watch(&p->kernel, fd, waited_for(port) | modes) != 0) return NULL;
  return &port->rows[modes];
}

/* Wakes who has waited for this, and asks anew for what others still wait for. */
static void act_on(struct poller *p, const struct report *r, poller_wake *wake)
{
  struct port *port = find_port(p, r->fd);
  if (port == NULL) return; /* the bell */
  wake_port(port, r->modes, wake);
  unsigned modes = waited_for(port);
  if (modes != 0 && kernel_watch(&p->kernel, r->fd, modes) != 0)
    wake_port(port, POLL_READ | POLL_WRITE, wake);
}

/* The bell rings by itself at 'until_ns', and before that when a letter comes. */
static int sleep_until(struct poller *p, int64_t until_ns, struct report *reports)
{
  CTX__FD_ARM(&p->bell, until_ns);
  if (!mailbox_hang_bell(p->mailbox, &p->bell)) return 0;
  int n = kernel_wait(&p->kernel, until_ns, reports);
  mailbox_take_bell(p->mailbox);
  return n;
}

void poller_wait(struct poller *p, int64_t until_ns, poller_wake *wake)
{
  struct report reports[BATCH];
  if (keep_own(p) != 0) { /* nobody would be told */
    for (int fd = 0; fd < p->port_count; fd++) poller_closing(p, fd, wake);
    return;
  }
  if (p->checked_ns == 0) check_ports(p, wake);
  int n = until_ns == 0 ? kernel_wait(&p->kernel, 0, reports) : sleep_until(p, until_ns, reports);
  for (int i = 0; i < n; i++) act_on(p, &reports[i], wake);
  if (CTX__NOW() - p->checked_ns >= check_ns) check_ports(p, wake);
}

void poller_closing(struct poller *p, int fd, poller_wake *wake)
{
  struct port *port = find_port(p, fd);
  if (port != NULL) wake_port(port, POLL_READ | POLL_WRITE, wake);
}
