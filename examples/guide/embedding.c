/*
 * embedding - an engine in a loop of one's own: its memory, its time, a thread, a fork
 *
 * The loop sleeps in poll(2), no longer than to the engine's next instant. What it needs lies in
 * its own memory.
 */
#include "ctx.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A connection, as a server has it: what is to happen by the engine is a part of it. */
struct connection {
  ctx_context *request;
  ctx_timer heartbeat;
  ctx_hook over;
  int beats;
};

/* Every 10 ms; after the third the client hangs up. */
static void beat(ctx_timer *t, void *arg)
{
  struct connection *conn = arg;
  printf("beat %d\n", ++conn->beats);
  if (conn->beats < 3)
    ctx_timer_arm(t, ctx_engine_now(ctx_engine_of(conn->request)) + CTX_MS(10));
  else
    ctx_cancel(conn->request);
}

static void end(ctx_context *c, void *arg)
{
  struct connection *conn = arg;
  ctx_timer_disarm(&conn->heartbeat);
  printf("over: %s\n", ctx_strerror(ctx_err(c)));
}

/* How long poll(2) may sleep, in its milliseconds. */
static int timeout_ms(ctx_engine *e)
{
  int64_t next = ctx_engine_next(e), now = ctx_engine_now(e);
  if (next <= now) return 0;
  if (next - now > CTX_SECONDS(60)) return 60000; /* CTX_NEVER, too */
  return (int)((next - now + CTX_MS(1) - 1) / CTX_MS(1));
}

static void loop(ctx_engine *e, ctx_context *c)
{
  struct pollfd fds[] = {{.fd = ctx_fd(c), .events = POLLIN}}; /* and your sockets */
  while (!ctx_done(c)) {
    poll(fds, 1, timeout_ms(e));
    ctx_engine_poll(e);
  }
  ctx_engine_poll(e); /* hooks of what has ended since */
}

/* Waits with the loop for the same end, on a thread of its own. */
static void *worker(void *arg)
{
  return ctx_wait(arg, CTX_NEVER) == CTX_DEADLINE_EXCEEDED ? "deadline exceeded" : "canceled";
}

/* The host's memory. What is taken on one thread may be given back on another. */
static _Atomic size_t in_use;

static void *take(void *arg, size_t size)
{
  (void)arg;
  in_use += size;
  return malloc(size);
}

static void give(void *arg, void *block, size_t size)
{
  (void)arg;
  in_use -= size;
  free(block);
}

static int serve(void)
{
  ctx_engine *e =
    ctx_engine_open(&(ctx_engine_options){.driver = CTX_DRIVER_HOST, .alloc = take, .free = give});
  if (e == NULL) return 1;
  struct connection conn = {.request = ctx_with_timeout(ctx_engine_background(e), CTX_SECONDS(60))};
  ctx_timer_init(&conn.heartbeat, e, beat, &conn);
  ctx_timer_arm(&conn.heartbeat, ctx_engine_now(e) + CTX_MS(10));
  ctx_hook_init(&conn.over, end, &conn, 0);
  ctx_hook_attach(&conn.over, conn.request);
  pthread_t thread;
  if (pthread_create(&thread, NULL, worker, conn.request) != 0) return 1;

  loop(e, conn.request);
  void *how;
  pthread_join(thread, &how);
  printf("worker: %s\n", (char *)how);
  ctx_release(conn.request);
  ctx_engine_close(e);
  printf("%zu bytes are in use\n", in_use);
  return 0;
}

/* In a child an engine whose thread has started is dead, and another one is to be opened. */
static int child(ctx_context *of_parent)
{
  ctx_context *c = ctx_with_cancel(of_parent);
  printf("child: %s\n", c == NULL && errno == ECHILD ? "ECHILD" : "a context");
  ctx_engine *e = ctx_engine_open(NULL);
  ctx_context *own = e != NULL ? ctx_with_timeout(ctx_engine_background(e), CTX_MS(1)) : NULL;
  if (own != NULL) printf("child: %s\n", ctx_strerror(ctx_wait(own, CTX_NEVER)));
  ctx_release(own);
  fflush(stdout);
  return own == NULL || ctx_engine_close(e) != 0;
}

int main(void)
{
  if (serve() != 0) return 1;
  if (ctx_engine_start(ctx_engine_of(ctx_background())) != 0) return 1;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) _exit(child(ctx_background()));
  int status = 1;
  waitpid(pid, &status, 0);
  return status;
}
