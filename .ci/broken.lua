-- luacheck: no max line length
-- broken - each of these rules, broken in the code, turns its tests red
--
--   lua5.4 .ci/broken.lua [RULE...]      (needs gcc, make, busted; some minutes)
--
-- In a copy of the tree one text of one file is replaced, and the test program or spec is run
-- with the number of the rule as its filter: it must pass before and fail after. Prints a line for
-- each, and 'N passed, N failed'.

local rows = {
  -- rule, file, text, what stands there instead, program or spec
  { "A3", "core/cause.c", '.text = "context canceled"', '.text = "context cancelled"', "spec/context" },
  { "B4", "core/context.c", "return end != NULL ? CTX__LOAD(&end->deadline_ns) : CTX_NEVER;",
    "return end != NULL && !state_is_done(context_state(end)) ? end->deadline_ns : CTX_NEVER;", "spec/context" },
  { "C4", "core/cancel.c", "if (state_is_done(context_state(c))) return false;", "", "spec/context" },
  { "C5", "core/tree.c", "  if (done_locked(up)) return false;\n", "", "spec/context" },
  { "C7", "core/tree.c", "CTX__STORE(&n->state, CTX__LOAD_RELAXED(&origin->state));",
    "CTX__STORE(&n->state, CTX_CANCELED);", "spec/context" },
  { "C8", "core/tree.c", "list_append(&up->children, &child->sibling);",
    "list_prepend(&up->children, &child->sibling);", "spec/tree" },
  { "D8", "core/cancel.c", "  if (live) disarm(c);", "  if (false) disarm(c);", "spec/context" },
  { "E5", "core/deadline.c", "n->end.cause = ctx_cause_retain(d->cause);", "n->end.cause = NULL;", "spec/context" },
  { "E7", "core/cancel.c", "c->node.ended_by = end->by & 0x7f;", "c->node.ended_by = CTX_ORIGIN_EXPLICIT;",
    "spec/origin" },
  { "F8", "core/context.c", "if (v->drop != NULL) v->drop(v->value);", "", "spec/context" },
  { "H1", "core/hook.c", "  t->f(t->context, t->arg);", "", "spec/hook" },
  { "K2", "core/listener.c", "--wanted[s - 1] == 0) CTX__SIGNAL_RESTORE(s);", "--wanted[s - 1] == 0) continue;",
    "process/signals" },
  { "L1", "core/group.c", "bool first = g->cause == NULL;", "bool first = true;", "spec/group" },
  { "L2", "core/group.c", "  ctx_cancel_at(g->context, NULL, CTX_ORIGIN_EXPLICIT, NULL);\n  CTX__LOCK",
    "  CTX__LOCK", "spec/group" },
  { "L4", "core/group.c", "&& g->places != NULL) err = ctx_semaphore_acquire", "&& false) err = ctx_semaphore_acquire",
    "spec/group" },
  { "L5", "core/group.c", "if (running(g) > 0) return EBUSY;\n  int failed", "int failed", "spec/group" },
  { "M1", "core/semaphore.c", "!list_empty(&s->queue) || k", "k", "spec/semaphore" },
  { "M2", "core/semaphore.c", "if (err != 0 || ctx_semaphore_try_acquire(s, k)) return err;",
    "if (ctx_semaphore_try_acquire(s, k)) return 0;", "spec/semaphore" },
  { "M3", "core/semaphore.c", "if (!w->given && w->tokens <= s->total)", "if (!w->given)", "spec/semaphore" },
  { "M5", "core/semaphore.c", "k >= 1 && k <= s->held", "k >= 1", "spec/semaphore" },
  { "N1", "core/origin.c", 'text_add(t, "context.TODO")', 'text_add(t, "context.Todo")', "spec/origin" },
  { "N3", "core/snapshot.c", "e->age_ns = now_ns - a->born_ns;", "e->age_ns = 0;", "spec/snapshot" },

  { "J1", "lua/ctx/group.lua", "if is_late and self.running > 0 then return nil, core.DEADLINE_EXCEEDED end", "",
    "spec/group_spec.lua" },
  { "L3", "lua/ctx/group.lua", "core.with_cancel(c)", "core.with_cancel(core.without_cancel(c))", "spec/group_spec.lua" },
  { "L6", "lua/ctx/group.lua", "self.error, self.trace = err, traceback", "self.error = err", "spec/group_spec.lua" },
  { "M4", "lua/ctx/semaphore.lua", "  serve(self)\nend\n\nlocal Record", "end\n\nlocal Record", "spec/semaphore_spec.lua" },
  { "J5", "lua/ctx/select.lua", "if kinds[i] == contexts and listed[i]:done() then return i end", "",
    "spec/select_spec.lua" },
  { "R1", "lua/ctx/channel.lua", "if count(channel) >= channel.capacity then return false end",
    "if count(channel) > channel.capacity then return false end", "spec/channel_spec.lua" },
  { "R2", "lua/ctx/channel.lua", "if count(channel) >= channel.capacity then return false end", "",
    "spec/channel_spec.lua" },
  { "R3", "lua/ctx/queue.lua", "local prev, next = record.prev, record.next", "local next, prev = record.prev, record.next",
    "spec/channel_spec.lua" },
  { "R4", "lua/ctx/channel.lua", "if sender then serve(sender, true) end", "", "spec/channel_spec.lua" },
  { "R5", "lua/ctx/channel.lua", 'if value == nil then core.argument_error(1, "send", no_nil) end', "",
    "spec/channel_spec.lua" },
  { "R6", "lua/ctx/channel.lua", "if not channel.closed then return first_live(channel.senders) end",
    "return first_live(channel.senders)", "spec/channel_spec.lua" },
  { "R7", "lua/ctx/channel.lua", "if is_poll(limit) then return nil, core.DEADLINE_EXCEEDED end", "",
    "spec/channel_spec.lua" },
  { "R8", "lua/ctx/channel.lua", 'return nil, self.closed and "closed" or "empty"', 'return nil, "empty"',
    "spec/channel_spec.lua" },
  { "R9", "lua/ctx/channel.lua", "  local value = methods.recv(self)\n", "  local value = methods.try_recv(self)\n",
    "spec/channel_spec.lua" },
  { "R10", "lua/ctx/channel.lua", "if result ~= nil and record.channel then give_back(record.channel, result) end", "",
    "spec/channel_spec.lua" },
  { "R11", "lua/ctx/queue.lua", "if wait.served then return true end", "", "spec/select_spec.lua" },
  { "R12", "lua/ctx/select.lua", "if kinds[i] == contexts and listed[i]:done() then return i end", "",
    "spec/select_spec.lua" },
  { "R13", "lua/ctx/select.lua", "  if not listed.lists_context then core.implied() end\n  for i = 1, listed.n do\n    if kinds",
    "  for i = 1, listed.n do\n    if kinds", "spec/select_spec.lua" },
  { "R14", "lua/ctx/select.lua", "return c:err()", "return c:done()", "spec/select_spec.lua" },
  { "R15", "lua/ctx/select.lua", "  leave_all(wait) -- it is not to meet itself\n", "", "spec/select_spec.lua" },
}

local source = dofile((arg[0]:match "^(.*/)" or "./") .. "source.lua")
local read, write = source.read, source.write

local tree = os.tmpname()
os.remove(tree)
assert(os.execute(("mkdir %s && cp -R Makefile .ci .busted core lua spec examples %s && cd %s && make -s CC=gcc >/dev/null")
  :format(tree, tree, tree)))

local function run(rule, program)
  local command
  if program:find "%.lua$" then
    command = ("LUA_PATH='lua/?.lua;;' LUA_CPATH='build/?.so;;' timeout 60 lua5.4 \"$(command -v busted)\" --filter='%%f[%%w]%s%%f[%%W]' %s"):format(rule, program)
  else
    command = ("make -s CC=gcc build/%s && timeout 60 build/%s %s"):format(program, program, rule)
  end
  return os.execute(("cd %s && { %s; } >log 2>&1 </dev/null"):format(tree, command))
end

-- True: all as it is to be; or what is not.
local function break_it(rule, file, text, instead, program)
  local path = tree .. "/" .. file
  local whole = read(path)
  local from, to = whole:find(text, 1, true)
  if not from then return ("%s has no such text"):format(file) end
  if not run(rule, program) then return "fails as it is" end
  write(path, whole:sub(1, from - 1) .. instead .. whole:sub(to + 1))
  local still = run(rule, program)
  local built = not read(tree .. "/log"):find "error:"
  write(path, whole)
  if not built then return "does not compile" end
  return not still or "nobody sees it"
end

local wanted, passed, failed = {}, 0, 0
for _, rule in ipairs(arg) do wanted[rule] = true end
for _, row in ipairs(rows) do
  if #arg == 0 or wanted[row[1]] then
    local verdict = break_it(table.unpack(row))
    if verdict == true then passed = passed + 1 else failed = failed + 1 end
    print(("%s - %s in %s%s"):format(verdict == true and "ok" or "not ok", row[1], row[2],
      verdict == true and "" or ": " .. verdict))
  end
end
os.execute("rm -rf " .. tree)
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
