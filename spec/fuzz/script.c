/*
 * script - bytes as what a hostile script does, with the debug library open
 *
 * script.lua does it. Nothing may crash or hang, and once the state is closed nothing may be
 * left: the leak sanitizer looks, and half of the states live below a root of the host, whose
 * engine counts. Scripts that take finalizers away leak what these would have freed; their first
 * byte says that they do, and then nobody looks.
 */
#include "state.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED_ADDRESS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(SANITIZED_ADDRESS)
void __lsan_disable(void);
void __lsan_enable(void);
#else
#define __lsan_disable() ((void)0)
#define __lsan_enable() ((void)0)
#endif

enum { HAS_ROOT = 1, MAY_LEAK = 2 }; /* bits of the first byte */

static ctx_context *open_root(void)
{
  ctx_engine_options options = {.driver = CTX_DRIVER_HOST};
  ctx_engine *e = ctx_engine_open(&options);
  EXPECT(e != NULL, "no engine");
  return ctx_with_cancel(ctx_engine_background(e));
}

static void close_root(ctx_context *root, bool may_leak)
{
  ctx_engine *e = ctx_engine_of(root);
  ctx_counters left;
  ctx_cancel(root);
  ctx_release(root);
  ctx_engine_poll(e);
  ctx_engine_counters(e, &left);
  EXPECT(may_leak || (left.contexts == 0 && left.hooks == 0 && left.timers == 0),
         "the closed state has left %lld contexts, %lld hooks, %lld timers",
         (long long)left.contexts, (long long)left.hooks, (long long)left.timers);
  EXPECT(ctx__check(e) == NULL, "%s", ctx__check(e));
  ctx_engine_close(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
  struct bytes b = {bytes, size};
  uint8_t what = bytes_u8(&b);
  bool may_leak = (what & MAY_LEAK) != 0;
  if (may_leak) __lsan_disable();
  ctx_context *root = (what & HAS_ROOT) != 0 ? open_root() : NULL;
  lua_State *L = state_open(root);
  state_load(L, "spec/fuzz/script.lua", &b);
  lua_pushboolean(L, may_leak);
  lua_setfield(L, -2, "may_leak");
  lua_pushboolean(L, root != NULL);
  lua_setfield(L, -2, "has_root");
  lua_pcall(L, 1, 0, 0); /* it may raise */
  lua_close(L);
  if (root != NULL) close_root(root, may_leak);
  if (may_leak) __lsan_enable();
  return 0;
}
