/*
 * cleaning_up - a blocked read returns when its request ends
 *
 * The hook lies in the connection, which may go once nobody can be in the hook.
 */
#include "ctx.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
  ctx_hook hook;
  int fds[2]; /* ours, and that of the other side */
};

/* At the end of the request, on the thread that cancels: a blocked read returns. */
static void hang_up(ctx_context *c, void *arg)
{
  struct connection *conn = arg;
  printf("hang up: %s\n", ctx_cause_text(ctx_cause_of(c), NULL));
  shutdown(conn->fds[0], SHUT_RDWR);
}

static void disconnect(struct connection *conn)
{
  bool stopped = ctx_hook_stop_wait(&conn->hook); /* now it does not run, and never will */
  printf("disconnect: the hook %s\n", stopped ? "will not run" : "has run");
  close(conn->fds[0]);
  close(conn->fds[1]);
  free(conn);
}

static struct connection *connect_under(ctx_context *c)
{
  struct connection *conn = malloc(sizeof *conn);
  if (conn == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, conn->fds) != 0) abort();
  ctx_hook_init(&conn->hook, hang_up, conn, CTX_HOOK_INLINE);
  if (ctx_hook_attach(&conn->hook, c) != 0) abort();
  return conn;
}

/* Knows nothing of contexts: it blocks until the connection ends. */
static void *reader(void *arg)
{
  struct connection *conn = arg;
  char byte;
  while (read(conn->fds[0], &byte, 1) == 1) continue;
  return NULL;
}

static void drop_id(void *id)
{
  printf("request %d: its id is dropped\n", *(int *)id);
  free(id);
}

static ctx_context *with_id(ctx_context *parent, const void *key, int id)
{
  int *value = malloc(sizeof *value);
  if (value == NULL) return NULL;
  *value = id;
  ctx_context *c = ctx_with_value(parent, key, value, drop_id);
  if (c == NULL) free(value); /* what has failed has taken nothing */
  return c;
}

int main(void)
{
  static const char key;
  ctx_context *c = ctx_with_cancel(ctx_background());
  ctx_context *request = with_id(c, &key, 7);
  ctx_context *flush = ctx_with_grace(request, CTX_SECONDS(5)); /* outlives it so long at most */

  disconnect(connect_under(request)); /* before the end */

  struct connection *conn = connect_under(request);
  pthread_t thread;
  if (pthread_create(&thread, NULL, reader, conn) != 0) return 1;
  const char *why = "the user has left";
  ctx_cancel_cause(c, ctx_cause_new(why, strlen(why), 0, NULL, NULL)); /* hangs up */
  pthread_join(thread, NULL);
  disconnect(conn); /* after it */

  ctx_release(c); /* each once, in any order */
  ctx_release(request);
  printf("flush for request %d: %s\n", *(int *)ctx_value(flush, &key),
         ctx_strerror(ctx_err(flush)));
  ctx_cancel(flush);  /* it has been quick enough */
  ctx_release(flush); /* the last that could see the id */
  return 0;
}
