--- Calls the functions of the module with odd options and times: the half of option.c in Lua.

local from = ...
local ctx = require "ctx"

local byte, bits, left = from.byte, from.bits, from.left

local MAX_CALLS = 30 -- of one input
local YEARS_20 = 20 * 365.25 * 86400

local function raise() error("hostile", 0) end
local function nothing() end

-- ---- values ---------------------------------------------------------------

local integers = { 0, 1, -1, 3, math.maxinteger, math.mininteger, 9223372036, 9223372037 }
local floats = {
  0 / 0, 1 / 0, -1 / 0, 0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-9, 4.3, 0.1, 1e308,
  9223372036.854775, 9223372036.854776, -9223372036.854776, 1e-10, 0.9999999999, -2.0 ^ 63, YEARS_20,
}
local strings = { "", "3", "virtual", "nan", "0x10", "limit", "r", "a\0b", ("x"):rep(300), "%s%n" }
local keys = { "limit", "clock", "deadline", "grace", 1, "x", "a\0b", 0.5, true, math.huge }

local odd = {
  __index = raise, __newindex = raise, __len = raise, __pairs = raise, __lt = raise, __le = raise,
  __eq = raise, __tostring = raise, __concat = raise, __call = raise, __name = {}, __unm = raise,
  __metatable = false, __close = raise,
}

local function pick(list) return list[byte() % #list + 1] end

local function number()
  local kind = byte() % 6
  if kind == 0 then return pick(integers) end
  if kind == 1 then return pick(floats) end
  if kind == 2 then return bits() end
  if kind == 3 then return (string.unpack("d", string.pack("j", bits()))) end
  if kind == 4 then return byte() end
  return (byte() - 128) * 10.0 ^ (byte() % 40 - 20)
end

local value

local function key()
  local k = byte()
  if k < 200 then return keys[k % #keys + 1] end
  k = value(1)
  if k == nil or k ~= k then return "nil" end
  return k
end

local function options(depth)
  local t = {}
  for _ = 1, byte() % 4 do t[key()] = value(depth) end
  if byte() % 3 == 0 then setmetatable(t, odd) end
  return t
end

local things = {
  function() return nil end,
  function() return true end,
  function() return false end,
  function() return pick(strings) end,
  function() return setmetatable({}, odd) end,
  function() return nothing end,
  function() return coroutine.create(nothing) end,
  function() return io.stdout end,
  function() return ctx.CANCELED end,
  function() return ctx.channel(1) end,
  function() return ctx.semaphore(1) end,
  function() return (ctx.with_cancel(ctx.current())) end,
  function() return select(2, ctx.with_cancel(ctx.current())) end,
  function() return setmetatable({}, { __name = "ctx.context" }) end,
}

function value(depth)
  local kind = byte()
  if kind < 128 then return number() end
  if kind < 160 and depth < 3 then return options(depth + 1) end
  return things[kind % #things + 1]()
end

-- ---- calls ------------------------------------------------------------------

-- What may be raised beside "bad argument": the end of the context that a wait implies.
local function is_allowed(err, first, last)
  if ctx.is_canceled(err) or err == ctx.DEADLINE_EXCEEDED then return true end
  local n = type(err) == "string" and err:match "bad argument #(%d+) to '[^']+' %(.+%)$"
  return n and tonumber(n) >= first and tonumber(n) <= last
end

-- Calls f; 'first' to 'last' are the arguments that may be odd. True, and what it returned; or false.
local function call(what, first, last, f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] or is_allowed(results[2], first, last) then return table.unpack(results, 1, results.n) end
  error(("%s raised %s"):format(what, type(results[2]) == "string" and results[2] or type(results[2])), 0)
end

local function expect(what, x, meant, got)
  if meant ~= got then
    error(("%s with %s %s"):format(what, math.type(x) or type(x), got and "works" or "raises"), 0)
  end
end

local function is_time(x) return type(x) == "number" and x == x end

local calls = {}

function calls.with_timeout(c)
  local x = value(1)
  local ok, child = call("with_timeout", 2, 2, ctx.with_timeout, c, x)
  expect("with_timeout", x, is_time(x), ok)
  if ok then from.check(child, x, true) end
end

function calls.with_deadline(c, now)
  local x = value(1)
  local ok, child = call("with_deadline", 2, 2, ctx.with_deadline, c, x)
  local far = is_time(x) and x ~= math.huge and x - now > YEARS_20
  -- At the border itself rounding decides.
  if not is_time(x) or math.abs(x - now - YEARS_20) > 1 then
    expect("with_deadline", x, is_time(x) and not far, ok)
  end
  if ok then from.check(child, x, false) end
end

function calls.extend(c)
  local child, cancel = ctx.with_timeout(c, 5)
  local x = value(1)
  local ok, moved = call("extend", 2, 2, ctx.extend, cancel, x)
  expect("extend", x, is_time(x), ok)
  if ok and moved and not child:done() then from.check(child, x, true) end
end

function calls.without_cancel(c)
  local o = value(0)
  call("without_cancel", 2, 3, ctx.without_cancel, c, o)
end

function calls.grace(c)
  local child, cancel = ctx.with_cancel(c)
  local x = value(1)
  local ok, grace = call("without_cancel", 2, 3, ctx.without_cancel, child, { grace = x })
  expect("without_cancel", x, is_time(x), ok)
  cancel()
  if ok then call("deadline", 0, 0, ctx.deadline, grace) end
end

function calls.group(c)
  local o = value(0)
  local ok, g = call("group", 2, 2, c.group, c, o)
  if ok then call("set_limit", 1, 2, g.set_limit, g, value(1)) end
end

local function capacity(name)
  return function()
    local x = value(1)
    local n = math.type(x) and math.tointeger(x)
    local ok = call(name, 1, 1, ctx[name], x)
    if type(x) ~= "number" then expect(name, x, x == nil and name == "channel", ok) end
    if n and n < 0 then expect(name, x, false, ok) end
  end
end

calls.channel = capacity "channel"
calls.semaphore = capacity "semaphore"

-- Waits with an odd limit, in a task whose context ends after a second.
local waits = {
  { "wait", 2, function(c, x) return ctx.wait, c, x end },
  { "wait", 2, function(_, x) return ctx.wait, ctx.without_cancel(ctx.current()):with_timeout(1), x end },
  { "sleep", 2, function(c, x) return c.sleep, c, x end },
  { "ctx.sleep", 1, function(_, x) return ctx.sleep, x end },
  { "recv", 2, function(_, x) return ctx.channel().recv, ctx.channel(), x end },
  { "send", 3, function(_, x) return ctx.channel().send, ctx.channel(), 1, x end },
  { "join", 2, function(c, x) local t = c:async(ctx.sleep, 5) return t.join, t, x end },
  { "acquire", 3, function(_, x) local s = ctx.semaphore(1) return s.acquire, s, 1, x end },
  { "acquire", 2, function(_, x) local s = ctx.semaphore(1) return s.acquire, s, x end },
  { "group:wait", 2, function(c, x) local g = c:group() return g.wait, g, x end },
  { "select", 3, function(c, x) return ctx.select, ctx.channel(), c, x end },
  { "wait_fd", 4, function(c, x) return ctx.wait_fd, c, 0, "w", x end },
  { "shield", 2, function(_, x) return ctx.shield, x, nothing end },
}

function calls.wait(c)
  local wait = pick(waits)
  local child = c:with_timeout(1)
  local t = child:async(function() call(wait[1], 1, wait[2], wait[3](child, value(1))) end)
  local ok, err = t:join()
  if not ok and not ctx.is_canceled(err) and err ~= ctx.DEADLINE_EXCEEDED then error(err, 0) end
end

-- The others, with one odd argument or two behind what is right.
local others = {
  { "with_cancel", 1 }, { "with_value", 3 }, { "merge", 3 }, { "value", 2 }, { "name", 2 }, { "on_done", 2 },
  { "done", 2 }, { "cause", 2 }, { "check", 2 }, { "deadline", 2 }, { "timeout", 2 }, { "dump", 2 },
  { "dot", 2 }, { "tree", 2 }, { "async", 3 },
}

function calls.other(c)
  local other = pick(others)
  local f = ctx[other[1]]
  call(other[1], 1, 3, f, c, value(0), value(0))
  call(other[1], 1, 3, f, value(0), value(0))
end

function calls.alone()
  local name = pick { "wall", "wrap", "is_canceled", "defer", "with_signal" }
  call(name, 1, 2, ctx[name], value(0))
end

local names = {}
for name in pairs(calls) do names[#names + 1] = name end
table.sort(names)

-- ---- one input ----------------------------------------------------------------

-- ctx.run itself, on the main thread.
local o = value(0)
if type(o) == "table" then call("run", 1, 2, ctx.run, o, nothing) end

ctx.run({ clock = "virtual" }, function(root)
  local now = byte() << byte() % 24
  ctx.sleep(now)
  for _ = 1, MAX_CALLS do
    if left() == 0 then break end
    local c = ctx.without_cancel(root)
    calls[pick(names)](c, ctx.now())
  end
end)
