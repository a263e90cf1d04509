/*
 * ctx - a context engine for C
 *
 * A context carries three things down a tree of work: the news that the work
 * is to end, and why; the instant by which it must have ended; and the values
 * of the request. The idea is that of Go's package context; the rules are
 * numbered in docs/semantics.md.
 *
 *     ctx_context *request = ctx_with_timeout(ctx_background(), CTX_SECONDS(3));
 *     while (!ctx_done(request)) step();
 *     ctx_cancel(request);
 *     ctx_release(request);
 *
 * What holds for every function here:
 *
 *   units     Times are int64_t nanoseconds (the suffix _ns). A deadline is an
 *             instant on the clock of the engine, a timeout is counted from now.
 *             CTX_NEVER as either means none; sums saturate at it. The clock is the
 *             monotonic one of the system, unless an engine brings its own: nobody
 *             sets it, and on Linux it stands still while the machine is suspended.
 *             A process that cannot read it is ended.
 *   NULL      A constructor refuses a NULL parent with EINVAL. Releasing and
 *             canceling NULL do nothing. All else wants a real object.
 *   owns      "gives": the caller must release it. "takes": the callee will.
 *             "borrows": neither; it need only live through the call, or as
 *             long as is said.
 *             Who calls anything with a context has a reference on it until the call
 *             has returned: that others see it end does not mean that the cancel is
 *             through with it.
 *   fails     A constructor that fails gives NULL with errno, and nothing has
 *             changed. In a forked child that may be ECHILD: see ctx_engine_open.
 *             What cancels, fires, wakes, stops or releases cannot fail and allocates
 *             nothing.
 *   threads   Any thread, at any time, unless a contract says otherwise. No
 *             lock of the engine is held while a function of yours runs. A thread
 *             must not be ended in a call (pthread_cancel): it would keep its locks.
 *   hooks     A hook may call everything here, on its own context too, except
 *             what a contract forbids. One that takes its time delays all that the
 *             same driver has to do after it.
 *   state     done, err and cause are one word, published once: no thread sees
 *             one without the others, and what the canceling thread wrote
 *             before is visible to whoever sees the end.
 *
 * Names that begin with ctx__ are not for use.
 */
#ifndef CTX_H
#define CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifndef CTX_NO_STDIO /* without the few functions that write to a FILE */
#include <stdio.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifndef CTX_API /* what a library gives away, when all else is hidden */
#define CTX_API __attribute__((visibility("default")))
#endif

#define CTX_VERSION_MAJOR 0
#define CTX_VERSION_MINOR 1
#define CTX_VERSION_PATCH 0

#define CTX_NEVER INT64_MAX
#define CTX_SECONDS(n) (INT64_C(1000000000) * (n))
#define CTX_MS(n) (INT64_C(1000000) * (n))

typedef struct ctx_context ctx_context; /* a context, counted */
typedef struct ctx_engine ctx_engine;   /* whose time it is: a clock, a wheel, a driver */
typedef struct ctx_cause ctx_cause;     /* why a context ended, counted */
typedef struct ctx_hook ctx_hook;       /* a function run once, at the end of a context */
typedef struct ctx_timer ctx_timer;     /* a function run once, at an instant */

/* The two ways to end; 0 stands for "not ended". */
enum { CTX_CANCELED = 1, CTX_DEADLINE_EXCEEDED = 2 };

/* ---- asking a context ------------------------------------------------- */

/* States above the two errors: live, but there is more to ask than this word. */
enum { CTX__LIVE = 0, CTX__LIVE_TIMED = 3, CTX__ELSEWHERE = 4 };

CTX_API int ctx__err_asked(const ctx_context *c);

/*
 * ctx_err: 0 while 'c' lives; then CTX_CANCELED or CTX_DEADLINE_EXCEEDED, for
 * ever. One load, where the answer needs no clock: the state is the first word
 * of a context, which is part of the ABI. From the instant of the deadline on
 * the answer is CTX_DEADLINE_EXCEEDED, whether or not a driver has run: the
 * query itself ends the context then, and leaves its hooks to the driver.
 *
 *   owns     borrows
 *   fails    never
 *   threads  any; a call that ends a context waits for a cancel under way above it,
 *            and may call drop functions, as ctx_release does
 */
static inline int ctx_err(const ctx_context *c)
{
  uint32_t state = __atomic_load_n((const uint32_t *)c, __ATOMIC_ACQUIRE);
  return state <= CTX_DEADLINE_EXCEEDED ? (int)state : ctx__err_asked(c);
}

/* ctx_done: whether 'c' has ended; as ctx_err. */
static inline bool ctx_done(const ctx_context *c)
{
  return ctx_err(c) != 0;
}

/*
 * ctx_cause_of: NULL while 'c' lives; then what the canceler gave, and where he
 * gave nothing a cause that only repeats the err. That of the context that ended
 * first, when the end came down from an ancestor.
 *
 *   owns     gives nothing: valid as long as 'c', and longer for who retains it
 *   fails    never
 *   threads  any
 */
CTX_API ctx_cause *ctx_cause_of(const ctx_context *c);

/*
 * ctx_deadline: the earliest deadline of 'c' and its ancestors, CTX_NEVER when
 * there is none. The same answer before and after the end.
 */
CTX_API int64_t ctx_deadline(const ctx_context *c);

/*
 * ctx_value: what the nearest context, from 'c' upwards, holds for 'key' (keys
 * are compared by address); NULL when none does, or when it holds NULL. Costs a
 * step for each value context above 'c', and nothing for the others.
 *
 *   owns     gives nothing: valid as long as 'c'
 */
CTX_API void *ctx_value(const ctx_context *c, const void *key);

/* ctx_engine_of: the engine that 'c' lives in; valid until it is closed. */
CTX_API ctx_engine *ctx_engine_of(const ctx_context *c);

/* ctx_strerror: "context canceled", "context deadline exceeded"; for 0 "no error". */
CTX_API const char *ctx_strerror(int err);

/* ---- waiting ---------------------------------------------------------- */

/*
 * ctx_wait: blocks the thread until 'c' is done or 'timeout_ns' has passed, on the
 * clock of its engine. It wakes by itself at a deadline, whether or not a driver runs,
 * and signals do not end it early. On a context that never ends it lasts as long as the
 * timeout; with CTX_NEVER for ever. A timeout of 0 or less only asks.
 *
 *   owns     borrows
 *   fails    never; as ctx_err: 0 says that 'c' lives, and the time has passed. In a
 *            forked child of an engine with a thread it does not block: there 0 comes at
 *            once, and a loop that waits again would spin
 *   threads  any; in a hook it keeps waiting all that comes after that hook
 */
CTX_API int ctx_wait(ctx_context *c, int64_t timeout_ns);

/*
 * ctx_fd: a descriptor that is readable once 'c' is done, for ever: for poll, epoll and
 * the like. The kernel knows the deadline, so that no driver need run. Do not read it.
 * While another thread is just ending 'c', ctx_done may say so a moment before it. That of
 * a context that never ends is never readable. After a fork a child asks for it again.
 *
 *   owns     gives nothing: it is the context's, made at the first call and closed with it;
 *            contexts that end as one share it
 *   fails    -1, errno EMFILE, ENOMEM and the like; ECHILD: the engine's thread lives in
 *            the parent process. Where the kernel cannot know the deadline (not Linux, or
 *            another clock) a driver must: EAGAIN, its thread cannot be started;
 *            ECANCELED, the engine is closed
 *   threads  any
 */
CTX_API int ctx_fd(ctx_context *c);

/* ---- making contexts -------------------------------------------------- */

/*
 * ctx_background, ctx_todo: the roots of the default engine, which is made at
 * the first call. Never done, no deadline, no values.
 *
 *   owns     gives nothing: they live as long as the process
 *   fails    never
 *   threads  any
 */
CTX_API ctx_context *ctx_background(void);
CTX_API ctx_context *ctx_todo(void);

/*
 * ctx_with_cancel: a child of 'parent', to be ended by ctx_cancel. A child of a
 * done parent is born done, with the parent's err and cause. A child that is
 * released without having been canceled leaves nothing behind in its parent.
 *
 *   owns     gives one reference (ctx_release); the child keeps 'parent' alive
 *   fails    NULL, errno ENOMEM or EINVAL; nothing has changed
 *   threads  any; does not block; runs no hook
 */
CTX_API ctx_context *ctx_with_cancel(ctx_context *parent);

/*
 * ctx_with_deadline: a child of 'parent' that ends at 'deadline_ns' at the
 * latest, with CTX_DEADLINE_EXCEEDED; born done when that instant is past. A
 * deadline of the parent that is earlier or equal stays in force: the child then
 * has no timer of its own.
 *
 *   owns     gives one reference (ctx_release); the child keeps 'parent' alive
 *   fails    NULL, errno ENOMEM or EINVAL; nothing has changed
 *   threads  any; runs no hook, even if already due; may wait for a cancel under way above
 */
CTX_API ctx_context *ctx_with_deadline(ctx_context *parent, int64_t deadline_ns);

/* ctx_with_timeout: ctx_with_deadline, 'timeout_ns' from now. */
CTX_API ctx_context *ctx_with_timeout(ctx_context *parent, int64_t timeout_ns);

/*
 * ctx_with_deadline_cause, ctx_with_timeout_cause: the same, with the cause of an
 * end by that deadline. A NULL cause means none.
 *
 *   owns     as above; takes 'cause' when it succeeds
 */
CTX_API ctx_context *ctx_with_deadline_cause(ctx_context *parent, int64_t deadline_ns,
                                             ctx_cause *cause);
CTX_API ctx_context *ctx_with_timeout_cause(ctx_context *parent, int64_t timeout_ns,
                                            ctx_cause *cause);

/*
 * ctx_extend: moves the own deadline of 'c', a live context of ctx_with_deadline, ctx_with_timeout
 * or ctx_without_cancel_keep_deadline: to a later instant or an earlier one; CTX_NEVER: it has
 * none any more. All below follow at once, with their waits, descriptors and timers. An earlier
 * deadline of the parent stays in force; then the own one counts when that is gone. Where the
 * instant is past, 'c' ends here, as by a question: its hooks are left to the driver.
 *
 *   owns     borrows; allocates nothing
 *   fails    0; EINVAL: 'c' was made by another function; ECANCELED: it is done; EAGAIN: it
 *            had no deadline, and the engine's thread cannot be started; ECHILD: that lives in the
 *            parent process. Nothing has changed
 *   threads  any; takes a time that grows with the number of contexts below, those included that
 *            are done and not released
 */
CTX_API int ctx_extend(ctx_context *c, int64_t deadline_ns);

/*
 * ctx_with_value: a child of 'parent' in which 'key' has 'value'. It ends with
 * its parent, as one: it has no end of its own. 'drop', unless NULL, is called
 * with 'value' when the last context that can see it goes, on the thread that
 * releases it.
 *
 *   owns     gives one reference (ctx_release); takes 'value' when it succeeds;
 *            borrows 'key' for as long as the context lives
 *   fails    NULL, errno ENOMEM or EINVAL; nothing has changed, 'drop' is not called
 *   threads  any
 */
CTX_API ctx_context *ctx_with_value(ctx_context *parent, const void *key, void *value,
                                    void (*drop)(void *value));

/*
 * ctx_without_cancel: a child of 'parent' that sees its values and neither its
 * end nor its deadline; never done.
 *
 *   owns     gives one reference (ctx_release); the child keeps 'parent' alive
 *   fails    NULL, errno ENOMEM or EINVAL; nothing has changed
 */
CTX_API ctx_context *ctx_without_cancel(ctx_context *parent);

/*
 * ctx_without_cancel_keep_deadline: a child of 'parent' that sees its values and not its end. It
 * ends by ctx_cancel, or at the deadline that 'parent' has now, if it has one; born done when
 * that is past. The same as ctx_with_deadline on ctx_without_cancel.
 *
 *   owns     gives one reference (ctx_release); the child keeps 'parent' alive
 *   fails    NULL, errno ENOMEM or EINVAL; nothing has changed
 *   threads  any; does not block; runs no hook
 */
CTX_API ctx_context *ctx_without_cancel_keep_deadline(ctx_context *parent);

/*
 * ctx_with_grace: a child of 'parent' that outlives it by 'grace_ns' at most: for what is still to
 * be written or closed. It ends by ctx_cancel, or when that time has passed since the end of
 * the parent: since the cancel, or since the deadline, where it ended by one. Then its err is
 * CTX_DEADLINE_EXCEEDED, its cause says no more, and its origin is CTX_ORIGIN_PARENT. While the
 * parent lives, its deadline is that of the parent, and the grace on top. On a parent that is done
 * the time of a cancel counts from now, that of a deadline from the deadline. A grace below 0
 * counts as 0; with CTX_NEVER the parent does not end it at all.
 *
 *   owns     gives one reference (ctx_release); the child keeps 'parent' alive
 *   fails    NULL, errno ENOMEM or EINVAL; EAGAIN: the engine's thread cannot be started.
 *            Nothing has changed
 *   threads  any; runs no hook; may wait for a cancel under way above
 */
CTX_API ctx_context *ctx_with_grace(ctx_context *parent, int64_t grace_ns);

/*
 * ctx_merge: a child of all 'n' parents: it ends when the first of them does, with the same err
 * and cause (of several that are done already, those of the first listed), or by ctx_cancel. Its
 * deadline is the earliest of theirs. It sees the values of parents[0]; what that does not
 * have it looks up in parents[1], and so on. The parents lie in one engine; one of them may
 * be listed twice.
 *
 *   owns     gives one reference (ctx_release); the child keeps all parents alive; borrows the
 *            array for the call
 *   fails    NULL, errno ENOMEM; EINVAL: 'n' is 0, a parent is NULL, or lies in another
 *            engine. Nothing has changed
 *   threads  any; runs no hook; may wait for a cancel under way above
 */
CTX_API ctx_context *ctx_merge(size_t n, ctx_context *const parents[]);

/*
 * ctx_notify_signals: a child of 'parent' that ends at the first of these signals, with
 * CTX_CANCELED and a cause that names it (its code is the number); or by ctx_cancel. All that listen
 * to a signal are ended by it. From the first listener to the last a handler stands in for the
 * disposition that was there before. A thread of the process, which takes no signals, is started
 * for the first of all, and stays: it does the canceling, whoever drives the engine. In a forked
 * child the signals that are listened to have no effect.
 *
 *   owns     gives one reference (ctx_release); the child keeps 'parent' alive; borrows the list
 *   fails    NULL, errno ENOMEM; EINVAL: no signals, or one that cannot be caught (SIGKILL, SIGSTOP) or
 *            handled later (SIGSEGV and the like); EAGAIN, EMFILE: the thread cannot be started;
 *            ECHILD: it is that of the parent process. Nothing has changed
 *   threads  any
 */
CTX_API ctx_context *ctx_notify_signals(ctx_context *parent, size_t n, const int signals[]);

/*
 * ctx_retain, ctx_release: one reference more, one less. The last release frees
 * the context, and then those ancestors that only it kept; it does not cancel:
 * a context with a hook on it, or with a living child, is kept by that.
 *
 *   owns     ctx_retain gives one reference and returns 'c'
 *   fails    never
 *   threads  any; the last release calls the drop functions of values and causes
 */
CTX_API ctx_context *ctx_retain(ctx_context *c);
CTX_API void ctx_release(ctx_context *c);

/* ---- ending ----------------------------------------------------------- */

/*
 * ctx_cancel: ends 'c' and all below it with CTX_CANCELED. When it returns, all
 * are done, and those of their hooks that are inline have run; the others are
 * left to the driver. The first end of a context wins, every later one changes
 * nothing. On a value context, a root or a detached one: false, no effect.
 *
 *   owns     borrows
 *   fails    never; true: this call was the one that ended 'c'
 *   threads  any; takes a time that grows with what is below. A caller that comes second
 *            waits until the first has ended all below (not for its hooks), and so does
 *            one that has something below it in the same engine
 */
CTX_API bool ctx_cancel(ctx_context *c);

/*
 * ctx_cancel_cause: the same, saying why. A NULL cause means none.
 *
 *   owns     borrows 'c'; takes 'cause', also when it comes second or 'c' is NULL
 */
CTX_API bool ctx_cancel_cause(ctx_context *c, ctx_cause *cause);

/* Who has ended a context. */
typedef enum ctx_origin_kind {
  CTX_ORIGIN_EXPLICIT = 1, /* a cancel */
  CTX_ORIGIN_DEADLINE,     /* its deadline */
  CTX_ORIGIN_SIGNAL,       /* a signal */
  CTX_ORIGIN_PARENT, /* its parent's end, though not at once: a grace period, a finished run */
  CTX_ORIGIN_MEMBER, /* a member of its group, which has failed */
  CTX_ORIGIN_HOST    /* the program that embeds the one who asks */
} ctx_origin_kind;

/*
 * ctx_cancel_at: ctx_cancel_cause, for who knows more: by whom, and where in the
 * source ("file:line", or NULL).
 *
 *   owns     as above; borrows 'site' for as long as the context lives: a literal is
 *            meant. A plugin that is unloaded while its contexts live defines
 *            CTX_NO_SITES before it includes this
 */
CTX_API bool ctx_cancel_at(ctx_context *c, ctx_cause *cause, ctx_origin_kind by, const char *site);

#define CTX__TEXT_(x) #x
#define CTX__TEXT(x) CTX__TEXT_(x)
#define CTX_SITE __FILE__ ":" CTX__TEXT(__LINE__)

/* A cancel knows its place in the source. The functions are there as well. */
#ifndef CTX_NO_SITES
#define ctx_cancel(c) ctx_cancel_at((c), NULL, CTX_ORIGIN_EXPLICIT, CTX_SITE)
#define ctx_cancel_cause(c, cause) ctx_cancel_at((c), (cause), CTX_ORIGIN_EXPLICIT, CTX_SITE)
#endif

/*
 * ctx_cancel_from_signal: asks the driver to cancel 'c': the one way to end a context
 * that a signal handler may take. The driver is woken, and ends 'c' as ctx_cancel does.
 *
 *   owns     borrows: somebody must hold 'c' while handlers can run that name it; from
 *            true on the driver holds it, too
 *   fails    false: 'c' is done or has no end of its own; or its engine is closed, is to
 *            cancel 16 others first, or has a thread that has not started: call
 *            ctx_engine_start(ctx_engine_of(c)) before the handler is installed. An engine
 *            without a thread cancels it at the next poll or advance
 *   threads  any, and in signal handlers; keeps errno
 */
CTX_API bool ctx_cancel_from_signal(ctx_context *c);

/*
 * ctx_cause_new: a cause with a text for people ('len' bytes, copied), a code
 * and a pointer for programs. 'drop', unless NULL, is called with 'data' when the
 * last reference goes.
 *
 *   owns     gives one reference (ctx_cause_release, or any call that takes it);
 *            takes 'data' when it succeeds
 *   fails    NULL, errno ENOMEM; 'drop' is not called
 *   threads  any
 */
CTX_API ctx_cause *ctx_cause_new(const char *text, size_t len, int code, void *data,
                                 void (*drop)(void *data));

/*
 * ctx_cause_new_at: the same for who makes the name of the canceler's place at run time: the
 * cause keeps a copy of 'site', which goes before that of ctx_cancel_at. A NULL text stands
 * for that of CTX_CANCELED: the cause says no more than the err.
 */
CTX_API ctx_cause *ctx_cause_new_at(const char *text, size_t len, int code, void *data,
                                    void (*drop)(void *data), const char *site);
CTX_API ctx_cause *ctx_cause_retain(ctx_cause *cause);
CTX_API void ctx_cause_release(ctx_cause *cause);

/* What the cause was made of; it must not be NULL, as that of a live context is. The text ends
 * with a NUL; 'len' may be NULL. */
CTX_API const char *ctx_cause_text(const ctx_cause *cause, size_t *len);
CTX_API int ctx_cause_code(const ctx_cause *cause);
CTX_API void *ctx_cause_data(const ctx_cause *cause);

/* ---- names, and where an end came from --------------------------------- */

/*
 * ctx_set_name: a name for people, of up to 255 bytes (what is longer is cut), in place of
 * the one before; NULL or "" takes it away.
 *
 *   owns     borrows both; 'name' is copied
 *   fails    0; ENOMEM; ECHILD as the constructors. Nothing has changed then
 *   threads  any
 */
CTX_API int ctx_set_name(ctx_context *c, const char *name);

/* ctx_name: writes the name, or "", to 'text' of 'size' bytes as snprintf does: cut where it
 * must be, and always with a NUL. How long it is. */
CTX_API size_t ctx_name(const ctx_context *c, char *text, size_t size);

/* ctx_id: a number for people, from 1 on, given to a context of its engine when it is first
 * asked for; 0: there is no memory for it. */
CTX_API uint64_t ctx_id(ctx_context *c);

/* Where an end came from. */
typedef struct ctx_origin {
  ctx_context *context; /* the one that ended first; valid as long as the one that was asked */
  ctx_cause *cause;     /* as ctx_cause_of */
  const char *site; /* where in the source that was asked for; NULL: not known; valid likewise */
  int64_t at_ns;    /* when, on the clock of the engine: a deadline exactly (who is born
                           past it: the birth), a cancel up to
                           10 ms less where that is the monotonic clock */
  ctx_origin_kind kind; /* by whom */
  int err;              /* as ctx_err */
} ctx_origin;

/*
 * ctx_origin_of: who ended 'c', where and when. False: it lives, and nothing is written.
 *
 *   owns     gives nothing
 *   threads  any; waits for a cancel under way
 */
CTX_API bool ctx_origin_of(const ctx_context *c, ctx_origin *origin);

/*
 * ctx_origin_text: the same in a line for people, to 'text' as ctx_name does; "" while 'c'
 * lives. For instance:
 *
 *     context canceled: client hung up ("request" was canceled at cancel.c:80, 0.213 s ago)
 */
CTX_API size_t ctx_origin_text(const ctx_context *c, char *text, size_t size);

/*
 * ctx_text: the chain of 'c' from its root, as Go prints it, to 'text' as ctx_name does:
 * context.Background.WithCancel.WithDeadline(<instant> [<left>]). Names are shown, values are not.
 */
CTX_API size_t ctx_text(const ctx_context *c, char *text, size_t size);

/* ---- the live tree ------------------------------------------------------ */

typedef struct ctx_snapshot ctx_snapshot;

/* A context as a snapshot has found it. */
typedef struct ctx_snapshot_entry {
  ctx_context *context; /* held by the snapshot */
  const char *
    kind; /* "background", "todo", "without_cancel", "cancel", "signal", "deadline", "grace" or "merge" */
  const char *name; /* "" where it has none */
  const char *site; /* where it was made, of a tracked one, or NULL */
  size_t depth;     /* 0: the one that was asked for */
  size_t parent;    /* the place of its parent in the snapshot; of the first its own */
  size_t hooks;     /* that wait for its end, */
  size_t waiters;   /* and threads */
  int64_t left_ns;  /* to its deadline, 0 past it; CTX_NEVER: it has none */
  int64_t age_ns;   /* of a tracked one; else -1 */
  int err;
} ctx_snapshot_entry;

/*
 * ctx_snapshot_take: 'c' and the live contexts below it, a parent before its children, those in
 * the order of their making. Contexts with values and no end of their own are not among them. A
 * root knows its children only while its engine tracks contexts (ctx_engine_track).
 * What ends or is made meanwhile may be in it or not.
 *
 *   owns     gives the snapshot (ctx_snapshot_free), which holds its contexts
 *   fails    NULL, errno ENOMEM; ECHILD as the constructors
 *   threads  any; holds no lock for longer than it takes to copy the children of one
 */
CTX_API ctx_snapshot *ctx_snapshot_take(ctx_context *c);
CTX_API void ctx_snapshot_free(ctx_snapshot *s);
CTX_API size_t ctx_snapshot_count(const ctx_snapshot *s);
CTX_API const ctx_snapshot_entry *ctx_snapshot_at(const ctx_snapshot *s, size_t i);

#ifndef CTX_NO_STDIO
/*
 * ctx_dump, ctx_dump_dot: the same as lines of text, or for Graphviz, to 'f'; no lock is held
 * meanwhile. ctx_dump_oldest: the 'n' oldest live contexts of a tracking engine, with the
 * place in the source where they were made.
 *
 *   fails    0; ENOMEM, ECHILD; EIO: 'f' does not take it
 */
CTX_API int ctx_dump(ctx_context *c, FILE *f);
CTX_API int ctx_dump_dot(ctx_context *c, FILE *f);
CTX_API int ctx_dump_oldest(ctx_engine *e, size_t n, FILE *f);
#endif

/* ---- hooks ------------------------------------------------------------ */

typedef void ctx_hook_fn(ctx_context *c, void *arg);

/* Run on the thread that ends the context: before ctx_cancel returns, or by the driver at the
 * deadline. Where a query has ended it, by the driver as well. */
enum { CTX_HOOK_INLINE = 1 };

/* In the caller's memory: it may be freed or used again once ctx_hook_stop has
 * answered true, or the function has started. */
struct ctx_hook {
  uint64_t ctx__space[10];
};

/*
 * ctx_after_func: runs f(c, arg) once after 'c' is done; at once when it is
 * already. The driver of the engine runs it, in the order of registration, or
 * with CTX_HOOK_INLINE the thread that cancels (of a done context: this one).
 *
 *   owns     gives the hook (ctx_hook_release), which keeps 'c' alive until it
 *            has run or been stopped
 *   fails    NULL, errno ENOMEM; EINVAL, for unknown flags too; EAGAIN: the engine's
 *            thread cannot be started; ECANCELED: it is closed; ECHILD: its thread
 *            lives in the parent process. Nothing has changed
 *   threads  any
 */
CTX_API ctx_hook *ctx_after_func(ctx_context *c, ctx_hook_fn *f, void *arg, unsigned flags);

/*
 * ctx_hook_init, ctx_hook_attach: the same in memory of the caller; attaching
 * allocates nothing. A hook that has started, or whose stop has returned, may be
 * attached again; one that is attached is refused.
 *
 *   owns     borrows 'h' until it has started or been stopped; the attached
 *            hook keeps 'c' alive
 *   fails    attach: 0, or EINVAL, EAGAIN, ECANCELED or ECHILD as above
 *   threads  any; one at a time for one hook, but for ctx_hook_stop
 */
CTX_API void ctx_hook_init(ctx_hook *h, ctx_hook_fn *f, void *arg, unsigned flags);
CTX_API int ctx_hook_attach(ctx_hook *h, ctx_context *c);

/*
 * ctx_hook_stop: true: the function will never run; false: it has started, or the
 * hook is not attached. Of {it starts, one stop answers true} exactly one happens, also
 * where a closed engine drops the hook.
 *
 *   threads  any; does not wait for a function that runs
 */
CTX_API bool ctx_hook_stop(ctx_hook *h);

/*
 * ctx_hook_stop_wait: the same, and when it returns the function is not running, on any
 * thread, and will not. Called inside a hook or timer, of whatever engine, it
 * does not wait, and answers as ctx_hook_stop: two hooks cannot wait for each other.
 *
 *   owns     borrows; since its init 'h' was attached in one engine only (one of
 *            ctx_after_func is), of which a context still lives, or which is open
 *   threads  any; waits for the function when it runs
 */
CTX_API bool ctx_hook_stop_wait(ctx_hook *h);

/*
 * ctx_hook_release: gives up a hook that came from ctx_after_func. Does not stop
 * it: a released hook still runs.
 *
 *   owns     takes 'h'
 */
CTX_API void ctx_hook_release(ctx_hook *h);

/* ---- semaphores ------------------------------------------------------- */

typedef struct ctx_semaphore ctx_semaphore; /* so many tokens, and who waits for some */

/*
 * ctx_semaphore_open, ctx_semaphore_close: with 'n' tokens, all free. Nobody may wait when it is
 * closed.
 *
 *   owns     open gives the semaphore; close takes it
 *   fails    open: NULL, errno ENOMEM; EINVAL: 'n' is not positive
 */
CTX_API ctx_semaphore *ctx_semaphore_open(int64_t n);
CTX_API void ctx_semaphore_close(ctx_semaphore *s);

/*
 * ctx_semaphore_acquire: blocks the thread until it has 'k' tokens, after all who came before; or
 * until 'c' is done, by its deadline too: then it has taken nothing. On a context that is done it
 * fails even where tokens are free. A request for more than there are waits for the end of 'c',
 * and nobody waits behind it.
 *
 *   owns     borrows
 *   fails    0; the err of 'c'; EINVAL: 'k' is not positive; ECHILD: in a forked child of an
 *            engine with a thread nobody could end the wait
 *   threads  any; allocates nothing
 */
CTX_API int ctx_semaphore_acquire(ctx_semaphore *s, ctx_context *c, int64_t k);

/* ctx_semaphore_try_acquire: whether it has 'k' tokens now: not while anybody waits. */
CTX_API bool ctx_semaphore_try_acquire(ctx_semaphore *s, int64_t k);

/* ctx_semaphore_release: gives 'k' tokens back, and wakes who has enough now. 0; EINVAL: so many are
 * not held, and nothing has changed. */
CTX_API int ctx_semaphore_release(ctx_semaphore *s, int64_t k);

/* ---- groups ------------------------------------------------------------ */

typedef struct ctx_group ctx_group; /* functions, on the host's threads, that end together */

/*
 * ctx_group_open: a group below 'parent', of which no more than 'limit' run at once (0: any
 * number). Its context ends with the first error, which is its cause, or when ctx_group_wait has
 * returned, or with 'parent'.
 *
 *   owns     gives the group (ctx_group_close); its context is borrowed, valid as long as it is open
 *   fails    NULL, errno as ctx_with_cancel
 */
CTX_API ctx_group *ctx_group_open(ctx_context *parent, size_t limit);
CTX_API ctx_context *ctx_group_context(ctx_group *g);

/* ctx_group_close: 0, and 'g' is gone; EBUSY: functions run. */
CTX_API int ctx_group_close(ctx_group *g);

/* ctx_group_set_limit: 0; EBUSY: functions run; ENOMEM. No other call may be under way. */
CTX_API int ctx_group_set_limit(ctx_group *g, size_t limit);

/*
 * ctx_group_add, ctx_group_try_add: counts a function in that the caller is about to run, and that
 * ends by ctx_group_done. 'add' waits for a place, up to the end of the group's context.
 *
 *   fails    0; the err of the group's context; ctx_group_try_add: EAGAIN, there is no place
 *   threads  any
 */
CTX_API int ctx_group_add(ctx_group *g);
CTX_API int ctx_group_try_add(ctx_group *g);

/*
 * ctx_group_done: a function has ended, with the error 'cause', or none where that is NULL. The first
 * error ends the group's context before the function is counted out.
 *
 *   owns     takes 'cause'
 *   fails    never; allocates nothing
 *   threads  any
 */
CTX_API void ctx_group_done(ctx_group *g, ctx_cause *cause);

/*
 * ctx_group_wait: blocks the thread until all functions have ended, also where 'parent' is done, and
 * ends the group's context then. The first error is put into '*cause', unless that is NULL; NULL
 * stands for none.
 *
 *   owns     gives nothing: the cause is the group's
 *   fails    0; ETIMEDOUT: the time has passed, and functions run
 *   threads  any
 */
CTX_API int ctx_group_wait(ctx_group *g, int64_t timeout_ns, ctx_cause **cause);

/* ---- timers ----------------------------------------------------------- */

typedef void ctx_timer_fn(ctx_timer *t, void *arg);

/* In the caller's memory: it may be freed or used again once it is disarmed or
 * the function has started. Disarm all of an engine's timers before closing it. */
struct ctx_timer {
  uint64_t ctx__space[10];
};

/*
 * ctx_timer_init, ctx_timer_arm: the driver runs f(t, arg) once, at 'deadline_ns' or
 * as soon after as it runs. Equal deadlines fire in the order of arming; arming
 * an armed timer moves it, and counts anew. An instant before the last poll
 * counts as that of the poll. CTX_NEVER only disarms.
 *
 *   owns     borrows 't' while armed, and 'e'; nothing is allocated
 *   fails    arm: 0; EAGAIN: the engine's thread cannot be started; ECANCELED: it is
 *            closed; ECHILD: its thread lives in the parent process
 *   threads  any; one at a time for one timer, but for ctx_timer_disarm
 */
CTX_API void ctx_timer_init(ctx_timer *t, ctx_engine *e, ctx_timer_fn *f, void *arg);
CTX_API int ctx_timer_arm(ctx_timer *t, int64_t deadline_ns);

/* ctx_timer_disarm: true: it will not fire; false: it was not armed, or fires: its function
 * may just be about to begin on another thread. */
CTX_API bool ctx_timer_disarm(ctx_timer *t);

/* ctx_timer_disarm_wait: the same, and when it returns the function is not running and will
 * not; inside a hook or timer it does not wait. See ctx_hook_stop_wait. */
CTX_API bool ctx_timer_disarm_wait(ctx_timer *t);

/* ---- engines ---------------------------------------------------------- */

/* Who makes time pass. */
typedef enum ctx_driver {
  CTX_DRIVER_THREAD = 0, /* a thread of the engine's own, started when it is first needed */
  CTX_DRIVER_HOST = 1,   /* the host, from its loop: ctx_engine_next, _poll, _fd */
  CTX_DRIVER_MANUAL = 2  /* ctx_engine_advance, for tests and simulation */
} ctx_driver;

/* What is left zero takes its default. No options at all stands for all zero. */
typedef struct ctx_engine_options {
  ctx_driver driver;
  int64_t start_ns;                                  /* manual: the first instant */
  int64_t (*now)(void *arg);                         /* host: another clock than the monotonic */
  void *(*alloc)(void *arg, size_t size);            /* both or none: another allocator, */
  void (*free)(void *arg, void *block, size_t size); /* aligned as malloc; 'size' as asked for;
                                                        neither calls anything of this file */
  void *arg;                                         /* given to these three */
  int track;                                         /* not 0: as ctx_engine_track */
  void *ctx__reserved[3];                            /* zero */
} ctx_engine_options;

/*
 * ctx_engine_open: an engine of its own clock, wheel and driver. A child lies in
 * the engine of its parent.
 *
 * A thread of an engine takes no signals and has a stack of 1 MiB, on which the hooks
 * and timers run. In a forked child the engines whose thread runs in the parent are dead:
 * constructors, attach and arm answer ECHILD; to cancel or to release has no effect; what
 * was done is done, and ctx_err still tells of a deadline. Other engines go on there, if
 * the process had but one thread. A child is best left by _exit or exec.
 *
 *   owns     gives the engine (ctx_engine_close); the functions of 'options'
 *            must outlive its last context
 *   fails    NULL, errno ENOMEM; EINVAL
 */
CTX_API ctx_engine *ctx_engine_open(const ctx_engine_options *options);

/*
 * ctx_engine_start: starts the thread of 'e' now, if it has not started: so that no
 * later attach or arm finds that it cannot, and ctx_cancel_from_signal finds it running. An engine
 * driven otherwise needs no start.
 *
 *   fails    0; EAGAIN: a thread cannot be started; ECANCELED: 'e' is closed; ECHILD
 *   threads  any
 */
CTX_API int ctx_engine_start(ctx_engine *e);

/*
 * ctx_engine_close: its driver runs no more hooks and timers, and those that
 * wait for it are dropped. Its contexts stay valid, can be canceled and stay
 * true; the memory goes with the last of them. A hook still keeps the context it is
 * attached to: stop those on contexts that nobody is going to end.
 *
 *   owns     takes 'e' when it succeeds
 *   fails    0; EINVAL: it is the default engine; EDEADLK: called from a hook or timer
 *            of this engine; ECHILD: its thread lives in the parent process
 *   threads  no other call that names 'e' may be under way; calls that name its contexts
 *            may; waits for its thread, and so for the hook or timer that runs there. Who gives
 *            the memory back waits for those that are just giving back that of a context; if one
 *            is held up there for a second, the engine's is left
 */
CTX_API int ctx_engine_close(ctx_engine *e);

/*
 * ctx_engine_background, ctx_engine_todo: the roots of 'e'.
 *
 *   owns     gives nothing: valid until 'e' is closed, or as long as a context
 *            of it lives
 */
CTX_API ctx_context *ctx_engine_background(ctx_engine *e);
CTX_API ctx_context *ctx_engine_todo(ctx_engine *e);

/* ctx_engine_now: the instant on the clock of 'e'. */
CTX_API int64_t ctx_engine_now(const ctx_engine *e);

/* ctx_engine_is_monotonic: whether that is the monotonic clock of the system, which the
 * kernel can wait for. */
CTX_API bool ctx_engine_is_monotonic(const ctx_engine *e);

/*
 * ctx_engine_next: an instant at which to call ctx_engine_poll: never later than
 * the next thing to do, sometimes earlier; in the past when there is something
 * to do now; CTX_NEVER when there is nothing.
 */
CTX_API int64_t ctx_engine_next(ctx_engine *e);

/*
 * ctx_engine_poll: does what is due: ends contexts, fires timers, runs hooks, in the
 * order of (deadline, arming). Timers that are armed meanwhile, and hooks that are
 * attached meanwhile to done contexts, may have to wait for the next call. Answers
 * how many functions it ran and contexts it ended; 0 at once when somebody, this
 * thread included, is polling this engine already, or its own thread drives it.
 */
CTX_API size_t ctx_engine_poll(ctx_engine *e);

/*
 * ctx_engine_fd: a descriptor that is readable when ctx_engine_poll has
 * something to do. Do not read it; poll makes it unreadable again.
 *
 *   owns     gives nothing: it is the engine's, and closed with it
 *   fails    -1, errno EMFILE and the like; EINVAL: not on the monotonic clock, or
 *            not driven by the host; ENOTSUP: only Linux has it so far
 */
CTX_API int ctx_engine_fd(ctx_engine *e);

/*
 * ctx_engine_advance: lets 'ns' nanoseconds pass on a manual engine, instant by
 * instant; when it returns, all that is due by then has run.
 *
 *   fails    0; EINVAL: not a manual engine, or 'ns' is negative; EDEADLK: called
 *            from a hook or timer of this engine, or while another thread drives it
 */
CTX_API int ctx_engine_advance(ctx_engine *e, int64_t ns);

/*
 * ctx_engine_track: says, and ctx_engine_tracks answers, whether each context that is made from
 * now on is recorded: when, and where in the source as far as that is known; for
 * ctx_dump_oldest, and for a ctx_dump of a root. It costs a block or two for each context, and
 * a look at the clock: it is for debugging.
 *
 *   threads  any
 */
CTX_API void ctx_engine_track(ctx_engine *e, bool on);
CTX_API bool ctx_engine_tracks(const ctx_engine *e);

/*
 * ctx_track_site: the place in the source of the next context that this thread makes, if that is
 * tracked. Who defines CTX_TRACK_SITES before including this header need not call it.
 *
 *   owns     borrows 'site' until that is made, or another site set; NULL: none
 */
CTX_API void ctx_track_site(const char *site);

#ifdef CTX_TRACK_SITES
#define ctx_with_cancel(...) (ctx_track_site(CTX_SITE), ctx_with_cancel(__VA_ARGS__))
#define ctx_with_deadline(...) (ctx_track_site(CTX_SITE), ctx_with_deadline(__VA_ARGS__))
#define ctx_with_timeout(...) (ctx_track_site(CTX_SITE), ctx_with_timeout(__VA_ARGS__))
#define ctx_with_value(...) (ctx_track_site(CTX_SITE), ctx_with_value(__VA_ARGS__))
#define ctx_without_cancel(...) (ctx_track_site(CTX_SITE), ctx_without_cancel(__VA_ARGS__))
#define ctx_with_deadline_cause(...) \
  (ctx_track_site(CTX_SITE), ctx_with_deadline_cause(__VA_ARGS__))
#define ctx_with_timeout_cause(...) (ctx_track_site(CTX_SITE), ctx_with_timeout_cause(__VA_ARGS__))
#define ctx_with_grace(...) (ctx_track_site(CTX_SITE), ctx_with_grace(__VA_ARGS__))
#define ctx_merge(...) (ctx_track_site(CTX_SITE), ctx_merge(__VA_ARGS__))
#define ctx_notify_signals(...) (ctx_track_site(CTX_SITE), ctx_notify_signals(__VA_ARGS__))
#define ctx_without_cancel_keep_deadline(...) \
  (ctx_track_site(CTX_SITE), ctx_without_cancel_keep_deadline(__VA_ARGS__))
#endif

/* What lives in an engine; but for a thread that drives it, and a descriptor it was asked for,
 * all zero when nothing was forgotten. */
typedef struct ctx_counters {
  int64_t contexts; /* not yet freed, but for the roots */
  int64_t hooks;    /* attached or waiting for the driver */
  int64_t timers;   /* armed: ctx_timer and deadlines of contexts */
  int64_t threads;  /* of its own: 1 while one drives it */
  int64_t fds;      /* open: its own, and those of contexts */
  int64_t ctx__reserved[3];
} ctx_counters;

CTX_API void ctx_engine_counters(ctx_engine *e, ctx_counters *counters);

/* ctx_version: "0.1.0", of the library that is linked. */
CTX_API const char *ctx_version(void);

/* For tests, while nobody else works at the engine or below: walks the wheel and the lists;
 * NULL, or a sentence about what is broken. */
CTX_API const char *ctx__check(ctx_engine *e);

#ifdef __cplusplus
}
#endif

#endif
