-- layers - each file knows only what is drawn below it
--
--   lua5.4 .ci/layers.lua [ROOT]
--
-- Reads every #include of core/ and lua/binding/ and every require of lua/,
-- and fails on what the table does not allow, on a file that has no row, on
-- files that include each other in a circle, on a system facility outside
-- core/platform.h, and on a test in C that sleeps and hopes.

local root = arg[1] or "."
local here = arg[0]:match "^(.*/)" or "./"
local source = dofile(here .. "source.lua")

-- A file, and the files it may know beside its own header. The first row that
-- fits counts. '*' stands for any name.
local rows = {
  { "core/list.h", "" },
  { "core/platform.[ch]", "core/lock.h" },
  { "core/lock.h", "" },
  { "core/lock.c", "core/platform.h core/lock.h" },
  { "core/ctx.h", "" },
  { "core/wheel.[ch]", "core/list.h" },
  { "core/clock.[ch]", "core/platform.h" },
  { "core/cause.[ch]", "core/platform.h core/ctx.h" },
  { "core/tree.[ch]", "core/list.h core/platform.h core/ctx.h" },
  { "core/engine.[ch]", "core/tree.h core/clock.h core/wheel.h core/list.h core/platform.h core/ctx.h" },
  { "core/context.h", "core/engine.h core/tree.h core/list.h core/platform.h" },
  { "core/annex.[ch]", "core/context.h core/text.h core/platform.h" },
  { "core/descriptor.[ch]", "core/annex.h core/platform.h" },
  { "core/context.c", "core/cause.h core/annex.h core/listener.h core/platform.h" },
  { "core/listener.[ch]", "core/context.h core/platform.h" },
  { "core/hook.[ch]", "core/context.h core/descriptor.h core/list.h core/platform.h" },
  { "core/deadline.h", "core/context.h core/platform.h" },
  { "core/deadline.c", "core/cause.h core/descriptor.h core/hook.h core/platform.h" },
  { "core/cancel.[ch]", "core/annex.h core/deadline.h core/listener.h core/hook.h core/context.h "
    .. "core/platform.h" },
  { "core/interrupt.[ch]", "core/context.h core/platform.h" },
  { "core/driver.h", "core/engine.h core/platform.h" },
  { "core/driver.c", "core/cancel.h core/interrupt.h core/platform.h" },
  { "core/attach.c", "core/driver.h core/hook.h core/platform.h" },
  { "core/value.c", "core/context.h core/platform.h" },
  { "core/merge.c", "core/deadline.h core/platform.h" },
  { "core/grace.c", "core/driver.h core/deadline.h core/platform.h" },
  { "core/extend.c", "core/driver.h core/deadline.h core/platform.h" },
  { "core/timer.c", "core/driver.h core/engine.h core/platform.h" },
  { "core/wait.h", "core/hook.h core/platform.h" },
  { "core/semaphore.c", "core/wait.h core/list.h core/platform.h" },
  { "core/group.c", "core/wait.h core/platform.h" },
  { "core/wait.c", "core/driver.h core/hook.h core/descriptor.h core/platform.h" },
  { "core/text.[ch]", "" },
  { "core/origin.[ch]", "core/annex.h core/cause.h core/context.h core/text.h core/platform.h" },
  { "core/snapshot.[ch]", "core/annex.h core/hook.h core/context.h core/platform.h" },
  { "core/dump.c", "core/origin.h core/snapshot.h core/platform.h" },
  { "core/check.c", "core/context.h core/platform.h" },
  { "core/root.c", "core/driver.h core/interrupt.h core/hook.h core/context.h core/platform.h" },

  { "lua/binding/error.[ch]", "core/ctx.h" },
  { "lua/binding/stack.[ch]", "" },
  { "lua/binding/convert.[ch]", "core/ctx.h" },
  { "lua/binding/block.[ch]", "" },
  { "lua/binding/registry.[ch]", "" },
  { "lua/binding/mailbox.[ch]", "core/list.h core/platform.h" },
  { "lua/binding/quota.[ch]", "" },
  { "lua/binding/poller.[ch]", "lua/binding/mailbox.h core/list.h core/platform.h" },
  { "lua/ctx_lua.h", "core/ctx.h" },
  { "lua/binding/key.[ch]", "core/platform.h" },
  { "lua/binding/notice.[ch]", "core/ctx.h lua/binding/mailbox.h" },
  { "lua/binding/loop.[ch]", "lua/binding/block.h lua/binding/registry.h core/ctx.h core/list.h "
    .. "core/platform.h lua/binding/mailbox.h lua/binding/poller.h lua/binding/quota.h" },
  { "lua/binding/keep.[ch]", "lua/binding/loop.h lua/binding/registry.h lua/binding/block.h" },
  { "lua/binding/link.[ch]",
    "lua/binding/loop.h lua/binding/registry.h lua/binding/mailbox.h lua/binding/key.h core/platform.h" },
  { "lua/binding/wait.h", "lua/binding/loop.h lua/binding/notice.h" },
  { "lua/binding/report.[ch]", "lua/binding/wait.h lua/binding/stack.h" },
  { "lua/binding/drive.[ch]", "lua/binding/keep.h lua/binding/report.h" },
  { "lua/binding/wait.c",
    "lua/binding/drive.h lua/binding/keep.h lua/binding/registry.h lua/binding/stack.h" },
  { "lua/binding/handle.[ch]",
    "lua/binding/wait.h lua/binding/link.h lua/binding/convert.h lua/binding/error.h "
    .. "lua/binding/stack.h lua/binding/keep.h lua/binding/registry.h core/ctx.h" },
  { "lua/binding/lost.[ch]",
    "lua/binding/handle.h lua/binding/wait.h lua/binding/stack.h lua/binding/registry.h" },
  { "lua/binding/cancel.[ch]",
    "lua/ctx_lua.h lua/binding/lost.h lua/binding/handle.h lua/binding/link.h "
    .. "lua/binding/convert.h lua/binding/error.h lua/binding/stack.h lua/binding/keep.h "
    .. "lua/binding/registry.h" },
  { "lua/binding/listen.[ch]", "lua/binding/cancel.h lua/binding/handle.h" },
  { "lua/binding/tree.[ch]", "lua/binding/handle.h lua/binding/convert.h" },
  { "lua/binding/merge.[ch]", "lua/binding/cancel.h lua/binding/handle.h" },
  { "lua/binding/origin.[ch]", "lua/binding/cancel.h lua/binding/handle.h lua/binding/convert.h" },
  { "lua/binding/value.[ch]",
    "lua/binding/cancel.h lua/binding/link.h lua/binding/key.h lua/binding/registry.h" },
  { "lua/binding/query.[ch]", "lua/binding/handle.h lua/binding/convert.h lua/binding/error.h" },
  { "lua/binding/pollable.[ch]", "lua/binding/handle.h" },
  { "lua/binding/anchor.[ch]", "lua/binding/handle.h lua/binding/keep.h" },
  { "lua/binding/limit.[ch]",
    "lua/binding/cancel.h lua/binding/handle.h lua/binding/wait.h lua/binding/convert.h "
    .. "lua/binding/error.h" },
  { "lua/binding/scope.[ch]",
    "lua/binding/wait.h lua/binding/cancel.h lua/binding/handle.h lua/binding/registry.h" },
  { "lua/binding/task.[ch]",
    "lua/binding/scope.h lua/binding/wait.h lua/binding/cancel.h lua/binding/stack.h "
    .. "lua/binding/handle.h lua/binding/report.h lua/binding/error.h lua/binding/keep.h "
    .. "lua/binding/registry.h" },
  { "lua/binding/join.[ch]", "lua/binding/task.h lua/binding/limit.h lua/binding/report.h" },
  { "lua/binding/run.[ch]",
    "lua/binding/task.h lua/binding/scope.h lua/binding/cancel.h lua/binding/handle.h" },
  { "lua/binding/on_done.[ch]",
    "lua/binding/task.h lua/binding/anchor.h lua/binding/cancel.h lua/binding/handle.h "
    .. "lua/binding/loop.h lua/binding/notice.h lua/binding/error.h lua/binding/keep.h "
    .. "lua/binding/registry.h core/platform.h" },
  { "lua/binding/sleep.[ch]",
    "lua/binding/task.h lua/binding/limit.h lua/binding/cancel.h lua/binding/convert.h "
    .. "lua/binding/error.h" },
  { "lua/binding/wait_fd.[ch]",
    "lua/binding/limit.h lua/binding/cancel.h lua/binding/handle.h lua/binding/error.h" },
  { "lua/binding/wrap.[ch]", "lua/binding/wait.h" },
  { "lua/binding/host.[ch]",
    "lua/ctx_lua.h lua/binding/handle.h lua/binding/anchor.h lua/binding/value.h "
    .. "lua/binding/link.h lua/binding/error.h lua/binding/registry.h" },
  { "lua/binding/module.c", "lua/binding/*.h core/platform.h" },

  { "lua/ctx.lua", "ctx.core lua/ctx/*.lua" },
  { "lua/ctx/channel.lua", "ctx.core lua/ctx/queue.lua" },
  { "lua/ctx/select.lua", "ctx.core lua/ctx/channel.lua lua/ctx/queue.lua" },
  { "lua/ctx/semaphore.lua", "ctx.core lua/ctx/queue.lua" },
  { "lua/ctx/group.lua", "ctx.core lua/ctx/queue.lua lua/ctx/semaphore.lua" },
  { "lua/ctx/scope.lua", "ctx.core lua/ctx/queue.lua" },
  { "lua/ctx/socket.lua", "ctx.core socket" },
  { "lua/ctx/*.lua", "ctx.core" },
}

-- What core/ includes of the system: headers that bring no facility along.
local harmless = {}
for name in ("assert errno inttypes limits stdarg stdbool stddef stdint stdio string"):gmatch "%w+" do
  harmless[name .. ".h"] = true
end

-- What only core/platform.h calls, as patterns after a word boundary.
local facilities = {
  "pthread_[%w_]+", "malloc *%(", "calloc *%(", "realloc *%(", "free *%(", "aligned_alloc *%(",
  "clock_gettime", "nanosleep", "timerfd_[%w_]+", "eventfd", "pipe2? *%(", "epoll_[%w_]+", "poll *%(",
  "fork *%(", "__sync_[%w_]+", "__atomic_[%w_]+", "atomic_[%w_]+",
}
local atomic_is_public = "core/ctx.h" -- its inline check reads the state

local breaches, files, edges = 0, {}, {}

local function breach(path, line, why, ...)
  breaches = breaches + 1
  print(("%s:%d: %s"):format(path, line, why:format(...)))
end

local function fits(glob, path)
  return path:find("^" .. glob:gsub("[.-]", "%%%0"):gsub("%*", "[^/]*") .. "$") ~= nil
end

local function may_know(path)
  for _, row in ipairs(rows) do
    if fits(row[1], path) then return row[2] end
  end
end

local function allows(list, target)
  for glob in list:gmatch "%S+" do
    if fits(glob, target) then return true end
  end
  return false
end

-- 'a/b/../c' as 'a/c'
local function normal(path)
  local n
  repeat path, n = path:gsub("[^/]+/%.%./", "", 1) until n == 0
  return (path:gsub("^%./", ""))
end

local function check_edge(path, line, target, list)
  if target:match "([^/]*)%.[^.]*$" == path:match "([^/]*)%.[^.]*$"
    and target:match "^(.*)/" == path:match "^(.*)/" then
    if target == path then breach(path, line, "knows itself") end
  elseif not allows(list, target) then
    breach(path, line, "may not know %s, only: %s", target, list == "" and "nothing" or list)
  end
  edges[#edges + 1] = { from = path, to = target, line = line }
end

local function resolve_include(path, name)
  local beside = normal(path:match "^.*/" .. name)
  for _, target in ipairs { beside, normal("core/" .. name), normal("lua/" .. name) } do
    if files[target] then return target end
  end
  return name -- of nothing of ours: "lua.h"
end

local lua_headers = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true }

local function check_facilities(path, line, number)
  for _, facility in ipairs(facilities) do
    local from, to = line:find("%f[%w_]" .. facility)
    local before = from and line:sub(1, from - 1)
    local is_member = from and (before:find "%.$" or before:find "->$")
    local is_public = path == atomic_is_public and facility:find "atomic"
    if from and not is_member and not is_public then
      breach(path, number, "%s belongs in core/platform.h", line:sub(from, to))
    end
  end
end

local function check_c(path, code, list)
  local in_core = path:find "^core/" and not path:find "^core/platform%.[ch]$"
  source.each_line(code, function(line, number)
    local name = line:match '^%s*#%s*include%s*"([^"]*)"'
    local system = line:match "^%s*#%s*include%s*<([^>]*)>"
    if lua_headers[name or system] and path:find "^lua/binding/" then return end
    if name then
      check_edge(path, number, resolve_include(path, name), list)
    elseif system and in_core and not harmless[system] then
      breach(path, number, "<%s>: of the system, only core/platform.h includes it", system)
    elseif in_core then
      check_facilities(path, line, number)
    end
  end)
end

local function resolve_require(name)
  local target = "lua/" .. name:gsub("%.", "/") .. ".lua"
  return files[target] and target or name -- "ctx.core", or somebody else's
end

local function check_lua(path, code, list)
  source.each_line(code, function(line, number)
    for name in line:gmatch "%f[%w_]require%s*[(,]?%s*[\"']([^\"']*)[\"']" do
      check_edge(path, number, resolve_require(name), list)
    end
  end)
end

-- Who knows whom, in a circle: found depth first, each circle told once.
local function check_circles()
  local next_of, state = {}, {}
  for _, edge in ipairs(edges) do
    next_of[edge.from] = next_of[edge.from] or {}
    table.insert(next_of[edge.from], edge)
  end
  local function visit(path, way)
    state[path] = "open"
    for _, edge in ipairs(next_of[path] or {}) do
      if state[edge.to] == "open" then
        breach(path, edge.line, "a circle: %s -> %s", way, edge.to)
      elseif not state[edge.to] then
        visit(edge.to, way .. " -> " .. edge.to)
      end
    end
    state[path] = "closed"
  end
  for _, path in ipairs(files) do
    if not state[path] then visit(path, path) end
  end
end

files = source.files(root, "core lua", { "c", "h", "lua" })
for _, path in ipairs(files) do files[path] = true end

for _, path in ipairs(files) do
  local list = may_know(path)
  if list then
    local check = path:find "%.lua$" and check_lua or check_c
    check(path, (source.split(source.read(root .. "/" .. path), path)), list)
  else
    breach(path, 1, "no row for it in .ci/layers.lua")
  end
end
check_circles()

-- A test waits for what must come (EVENTUALLY), or awake for an instant: it does not guess.
for _, path in ipairs(source.files(root, "spec", { "c", "h" })) do
  source.each_line((source.split(source.read(root .. "/" .. path), path)), function(line, number)
    local call = line:gsub('"[^"]*"', '""'):match "%f[%w_]u?n?a?n?o?sleep *%("
    if call then breach(path, number, "a test does not %s)", call) end
  end)
end

print(("layers: %d files, %d edges, %d breaches"):format(#files, #edges, breaches))
os.exit(breaches == 0 and #files > 0)
