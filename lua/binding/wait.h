/*
 * wait - how a task, or the main thread, waits
 *
 * A waiting function is a step: it looks whether it has its answer, and if not
 * says what may change that (a context, a row such as the joiners of a task, an
 * instant) and parks. Whatever happens first wakes the waiter; it takes its place
 * in the ready row, and when its turn comes everything it waited on is let go and
 * the step is made again. So the answer is the truth at the moment the waiter runs,
 * and a wake-up that came for another reason costs a look.
 *
 *     static int step(lua_State *L, struct waiter *w)
 *     {
 *       if (answered) return values;
 *       wait_for_context(L, w, c);
 *       wait_until(w, deadline_ns);
 *       return wait_park(L, w, step);
 *     }
 *
 * In a task, park yields; on the main thread it drives the loop. The arguments of
 * the function stay on its stack, and are all a step may keep.
 *
 * Knows loop.h and notice.h; wait.c also registry.h, keep.h and drive.h.
 */
#ifndef CTX_BINDING_WAIT_H
#define CTX_BINDING_WAIT_H

#include "loop.h"
#include "notice.h"

struct waiter;
typedef int wait_step(lua_State *L, struct waiter *w);

/* One thing that is waited on. */
struct watch {
  struct waiter *waiter;
  struct notice notice;  /* of the end of a context, */
  struct list_link link; /* or in a row of watches, */
  struct list *row;      /* this one; NULL: neither */
};

enum { WATCHES = 2 }; /* enough for all but select */

/* User values of a task's userdata: the handle of its context, its name if it has one, its
 * coroutine. */
enum { WAITER_CONTEXT = 1, WAITER_NAME, WAITER_CO, WAITER_SITE, WAITER_VALUES = WAITER_SITE };

enum { WHAT_SIZE = 24 };

/* A block; who lies in a world's tasks is held by that. What a turn of a task looks at comes first, in as few
 * lines of the cache as it goes. */

struct waiter {
  struct entry entry;   /* first: the loop runs it */
  struct world *world;  /* NULL: a task that has ended */
  lua_State *co;        /* the coroutine of the task; NULL: the main thread. To be compared:
                         * followed is what waiter_push_alive gives, or
                         * waiter_push_coroutine */
  lua_State *top;       /* what of it runs: 'co', or a coroutine of ctx.wrap inside it */
  lua_Integer place;    /* of its anchors; 0: the main thread, which is kept by its address */
  ctx_context *context; /* the current one: a reference of the task; NULL: it never ends */
  const char *what;     /* for reports: the function it waits in; NULL: it does not wait */
  bool in_library;      /* that one is ours, in Lua: a report names its caller */
  bool ready;           /* in the ready row */
  bool parked;          /* has yielded in wait_park, and not by itself */
  bool timed_out;       /* the limit of the present wait has been reached */
  bool armed;           /* the timer may be armed */
  bool polls;           /* waits for a descriptor, and is counted for that */
  wait_step *step;
  int64_t until_ns;          /* the limit of the present wait */
  struct watch *watches;     /* 'small', or those of */
  struct watch_block *block; /* held; or NULL */
  size_t watch_count;        /* those in use */
  size_t watch_room;
  struct list_link all; /* in the world's tasks, until it has ended */
  lua_Integer number;   /* of the task, counted from 1 */
  char text[WHAT_SIZE]; /* of 'what', where that was given by a script */
  int64_t wake_ns;      /* its instant */
  ctx_timer timer;
  struct watch small[WATCHES];
};

void waiter_init(struct waiter *w, struct world *world, lua_State *co);

/* The waiter that 'L' runs as: the current task, or the main thread. */
struct waiter *waiter_current(lua_State *L);

/* The same; raises where one cannot wait, as the function 'what' is about to; it is one of
 * ours in Lua, whose caller is to be named, where 'in_library'. */
struct waiter *wait_check(lua_State *L, const char *what, bool in_library);

/* The same, and the wait begins. 'what' must live as long; or is copied. */
struct waiter *wait_begin(lua_State *L, const char *what);
struct waiter *wait_begin_copied(lua_State *L, const char *what);

/* Pushes what is anchored as the userdata of 'w'; of a task that has not ended,
 * without raising: else nil. */
void waiter_push_userdata(lua_State *L, const struct waiter *w);

/* Pushes the coroutine of 'w', from the table of anchors at 'anchors', or gives NULL as below. */
lua_State *waiter_push_alive(lua_State *L, int anchors, const struct waiter *w);

/* Pushes the userdata of the task 'w' and its coroutine, found alive, or NULL: a script has
 * taken away what kept them. */
lua_State *waiter_push_coroutine(lua_State *L, const struct waiter *w);

/* True: 'co' can neither be resumed nor has it ended: it has resumed another, or a stranger
 * closes it and its <close> variables run. Its stack is not to be touched. */
bool waiter_is_active(lua_State *co);

/* What may wake 'w'. The first raises, with all let go, where nothing can tell the end of 'c':
 * its engine is closed, or its thread cannot be started. */
void wait_for_context(lua_State *L, struct waiter *w, ctx_context *c);
void wait_for_row(lua_State *L, struct waiter *w, struct list *row);
void wait_for_poll(lua_State *L, struct waiter *w, struct list *row); /* of the poller */
void wait_until(struct waiter *w, int64_t deadline_ns);               /* CTX_NEVER: no limit */

/* Raises the error for a context to which no hook can be attached, for the errno 'refused'. */
int wait_refuse_context(lua_State *L, ctx_context *c, int refused);

/* Room for more watches: pushes a userdata; gives it to a wait that has begun. */
struct watch_block;
struct watch_block *wait_push_block(lua_State *L, size_t n);
void wait_use_block(struct waiter *w, struct watch_block *b);

/* Waits, then makes 'step' again; its results are those of the calling function. */
int wait_park(lua_State *L, struct waiter *w, wait_step *step);

/* Puts a waiter that is parked, or about to, into the ready row, if it is not there. */
void waiter_wake(struct waiter *w);

/* The same, of a waiter that only lets the others run once. */
void waiter_yield(struct waiter *w);

/* Wakes a task whose coroutine was closed by a stranger while it waited: its turn ends it. */
bool waiter_wake_closed(lua_State *L, struct waiter *w);

/* Wakes all whose watches lie in 'row'; also before the row goes. */
void wait_wake_row(struct list *row);

/* Takes 'w' off everything, and lets go of it: a task may be gone then. */
void waiter_disconnect(struct waiter *w);

/* Lets go of everything that 'w' waits on. */
void wait_let_go(struct waiter *w);

/* Makes the main thread a waiter, once per state. */
void wait_open(lua_State *L);

#endif
