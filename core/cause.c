#include "platform.h"

#include <string.h>

#include "cause.h"

/* A count that high is no longer kept: the cause lives as long as the process. */
enum { REFS_FOREVER = 1 << 30 };

struct ctx_cause {
  ctx__atomic refs; /* 0: never counted, static */
  int code;
  void *data;
  void (*drop)(void *data);
  size_t len;
  const char *text; /* in the same block, or that of an err; 'len' bytes and a NUL */
  const char *site; /* in the same block, or NULL */
};

static const ctx_cause canceled = {
  .code = CTX_CANCELED, .len = sizeof "context canceled" - 1, .text = "context canceled"};

static const ctx_cause deadline_exceeded = {.code = CTX_DEADLINE_EXCEEDED,
                                            .len = sizeof "context deadline exceeded" - 1,
                                            .text = "context deadline exceeded"};

ctx_cause *cause_of_err(int err)
{
  const ctx_cause *cause = err == CTX_CANCELED ? &canceled : &deadline_exceeded;
  return (ctx_cause *)(uintptr_t)cause;
}

const char *ctx_strerror(int err)
{
  if (err == 0) return "no error";
  if (err == CTX_CANCELED || err == CTX_DEADLINE_EXCEEDED) return cause_of_err(err)->text;
  return "unknown context error";
}

/* Puts 'len' bytes and a NUL at 'to'. */
static const char *copy(char *to, const char *text, size_t len)
{
  if (len > 0) memcpy(to, text, len);
  to[len] = '\0';
  return to;
}

ctx_cause *ctx_cause_new_at(const char *text, size_t len, int code, void *data,
                            void (*drop)(void *), const char *site)
{
  size_t site_len = site != NULL ? strlen(site) : 0, room = sizeof(ctx_cause) + site_len + 2;
  if (text == NULL) len = 0;
  ctx_cause *cause = len <= SIZE_MAX - room ? CTX__ALLOC(room + len) : NULL;
  if (cause == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  char *texts = (char *)(cause + 1);
  *cause = (ctx_cause){.refs = 1, .code = code, .data = data, .drop = drop};
  cause->len = text != NULL ? len : canceled.len;
  cause->text = text != NULL ? copy(texts, text, len) : canceled.text;
  cause->site = site != NULL ? copy(texts + len + 1, site, site_len) : NULL;
  return cause;
}

ctx_cause *ctx_cause_new(const char *text, size_t len, int code, void *data, void (*drop)(void *))
{
  return ctx_cause_new_at(text != NULL ? text : "", text != NULL ? len : 0, code, data, drop, NULL);
}

const char *cause_site(const ctx_cause *cause)
{
  return cause->site;
}

static bool is_counted(const ctx_cause *cause)
{
  uint32_t refs = CTX__LOAD_RELAXED(&cause->refs);
  return refs != 0 && refs < REFS_FOREVER;
}

ctx_cause *ctx_cause_retain(ctx_cause *cause)
{
  if (cause != NULL && is_counted(cause)) CTX__ADD(&cause->refs, 1);
  return cause;
}

void ctx_cause_release(ctx_cause *cause)
{
  if (cause == NULL || !is_counted(cause)) return;
  bool last = CTX__LOAD(&cause->refs) == 1;
  if (!last && CTX__SUB_RELEASE(&cause->refs, 1) != 1) return; /* race: it is the last by now */
  CTX__FOREIGN();
  if (cause->drop != NULL) cause->drop(cause->data);
  CTX__FREE(cause);
}

const char *ctx_cause_text(const ctx_cause *cause, size_t *len)
{
  if (len != NULL) *len = cause->len;
  return cause->text;
}

int ctx_cause_code(const ctx_cause *cause)
{
  return cause->code;
}

void *ctx_cause_data(const ctx_cause *cause)
{
  return cause->data;
}
