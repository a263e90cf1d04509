--- Does hostile things, as bytes choose them: the half of script.c in Lua.
--
-- The vocabulary is that of spec/hostile.lua, in smaller words: there one attack on all objects
-- of a kind at one moment, here any actions on any objects, inside each other. Objects lie in a
-- pool, and what the debug library reaches from them is added.

local from = ...
local debug, coroutine, collectgarbage = debug, coroutine, collectgarbage
local byte, left, may_leak, has_root = from.byte, from.left, from.may_leak, from.has_root

local MAX_ACTIONS, MAX_DEPTH, MAX_POOL = 150, 5, 250
local USER_VALUES = 5
local TRACED = os.getenv "TRACE" -- says what it does

local old_keys, old_functions = {}, {}
for k in next, debug.getregistry() do old_keys[k] = true end

local function remember(t, seen)
  for _, v in next, t do
    if type(v) == "function" then old_functions[v] = true end
    if type(v) == "table" and not seen[v] then
      seen[v] = true
      remember(v, seen)
    end
  end
end
remember(_G, {})
remember(debug.getmetatable(io.stdout), {})

local ctx = require "ctx"
local core = require "ctx.core"

local function raise() error("hostile", 0) end
local function nothing() end

-- ---- the pool -------------------------------------------------------------

local pool, in_pool = {}, {}

local function add(x, ...)
  local kind = type(x)
  if (kind == "userdata" or kind == "table" or kind == "thread" or kind == "function")
      and not in_pool[x] and not old_functions[x] and #pool < MAX_POOL then
    pool[#pool + 1] = x
    in_pool[x] = true
  end
  if select("#", ...) > 0 then add(...) end
end

local function pick(list) return list[byte() % #list + 1] end

-- One of a type, searched for from a place on.
local function pick_type(kind)
  local start = byte()
  for i = 1, #pool do
    local x = pool[(start + i) % #pool + 1]
    if type(x) == kind then return x end
  end
end

local function is_ours(f)
  return type(f) == "function" and not old_functions[f] and debug.getinfo(f, "S").what == "C"
end

-- The values of a table under names and numbers, the same in every process.
local function in_order(t)
  local names, list = {}, {}
  for k in next, t do
    if type(k) == "string" or math.type(k) == "integer" then names[#names + 1] = k end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, k in ipairs(names) do list[i] = rawget(t, k) end
  return list
end

-- Where in the registry something of ours lies.
local function our_places()
  local places = {}
  for k in next, debug.getregistry() do
    if not old_keys[k] and type(k) == "userdata" then places[#places + 1] = k end
  end
  table.sort(places, function(a, b) return tostring(a) < tostring(b) end)
  return places
end

local odd = {
  __index = raise, __newindex = raise, __len = raise, __lt = raise, __eq = raise, __tostring = raise,
  __call = raise, __name = {}, __close = raise, __gc = raise,
}
local values = {
  function() return nil end,
  function() return pick(pool) end,
  function() return byte() % 8 end,
  function() return pick { 0.0, -1, 1e-6, 0.5, 0 / 0, math.mininteger, 1e308, "key", true, false } end,
  function() return setmetatable({}, odd) end,
  function() return io.stdout end,
  function() return coroutine.create(nothing) end,
  function() return pick(pool) end,
}
local function value() return pick(values)() end

-- ---- actions ------------------------------------------------------------------

local actions = {}
local count, depth = 0, 0
local is_virtual = false

-- Some actions, one after the other, inside of what is done now.
local function act()
  if depth >= MAX_DEPTH then return end
  depth = depth + 1
  local n = byte() % 4 + 1
  for _ = 1, n do
    count = count + 1
    if left() == 0 or count > MAX_ACTIONS then break end
    local action = pick(actions)
    if TRACED then
      local line = debug.getinfo(action, "S").linedefined
      io.stderr:write((" "):rep(depth), is_virtual and "run " or "", "script.lua:", line, "\n")
    end
    local ok, err = pcall(action)
    if not ok then add(err) end
  end
  depth = depth - 1
end

local function a_context()
  local c = pick(pool)
  return core.is_context(c) and c or ctx.current()
end

-- Short, because it may be on the real clock; below a root, which others may end, a wait without
-- a limit is for ever.
local function seconds() return byte() * 1e-7 end
local function may_wait() return is_virtual and not has_root end

local function words(list)
  for _, f in ipairs(list) do actions[#actions + 1] = f end
end

words {
  function() add(ctx.with_cancel(a_context())) end,
  function() add(ctx.with_timeout(a_context(), seconds(), value())) end,
  function() add(ctx.with_value(a_context(), value(), value())) end,
  function() add(ctx.without_cancel(a_context())) end,
  function() add(ctx.without_cancel(a_context(), { grace = seconds() })) end,
  function() add(ctx.merge(a_context(), a_context())) end,
  function() add(ctx.on_done(a_context(), act)) end,
  function() add(ctx.channel(byte() % 2), ctx.semaphore(1), a_context():group()) end,
  function() ctx.track(byte() % 2 == 0) end,
  function() add(ctx.tree(a_context()), ctx.dump(a_context()), ctx.dot(a_context())) end,
  function() tostring(pick(pool)) end,
  function() if may_wait() then add(pick_type "function"(value(), value())) end end,
}

-- Tasks and what they do.
words {
  function() add(a_context():async(act)) end,
  function() add(a_context():async(function() ctx.sleep(seconds()) act() end)) end,
  function() a_context():go(function() act() end) end,
  function() add(ctx.wrap(function() act() ctx.yield() act() end)) end,
  function()
    add(a_context():async(function()
      local _ <close> = setmetatable({}, { __close = act })
      ctx.sleep(seconds())
      error(value(), 0)
    end))
  end,
  function() ctx.yield() end,
  function() ctx.sleep(seconds()) end,
  function() a_context():wait(seconds()) end,
  function() a_context():sleep(seconds()) end,
  function() ctx.select(a_context(), pick(pool), seconds()) end,
  function() ctx.shield(seconds(), act) end,
  function() a_context():with(act) end,
  function() local x = pick_type "table" if x and is_virtual then x:recv(seconds()) end end,
  function() local x = pick_type "table" if x and is_virtual then x:send(value(), seconds()) end end,
  function() local x = pick_type "table" if x and is_virtual then x:close() end end,
  function() local t = pick(pool) if core.is_task(t) then add(t:join(seconds())) end end,
  function() error(value(), 0) end,
}

local resurrect = { __gc = function(t) add(t[1]) act() end }

-- Garbage, and finalizers that bring back what they have and act.
words {
  function() collectgarbage() end,
  function() collectgarbage "step" end,
  function() collectgarbage(pick { "generational", "incremental" }) end,
  function() collectgarbage("incremental", 1, 1000, 1) end,
  function() -- drops from the pool
    local i = byte() % #pool + 1
    in_pool[pool[i]] = nil
    pool[i] = pool[#pool]
    pool[#pool] = nil
    if #pool == 0 then add(ctx.background()) end
  end,
  function()
    local kept = pick(pool)
    setmetatable({}, { __gc = function() add(kept) act() end })
  end,
  function() setmetatable({ (ctx.with_timeout(a_context(), seconds())) }, resurrect) end,
  function() setmetatable({ a_context():async(act) }, resurrect) end,
  function()
    local u = pick_type "userdata"
    local gc = (debug.getmetatable(u) or {}).__gc
    if is_ours(gc) then gc(u) end
  end,
  function()
    local u = pick_type "userdata"
    local close = (debug.getmetatable(u) or {}).__close
    if is_ours(close) then close(u) end
  end,
}

-- What the debug library reaches.
words {
  function() -- digs
    local x = pick(pool)
    if type(x) == "userdata" then
      for n = 1, USER_VALUES do add((debug.getuservalue(x, n))) end
    elseif type(x) == "function" then
      for n = 1, 5 do add((select(2, debug.getupvalue(x, n)))) end
    elseif type(x) == "table" then
      add(table.unpack(in_order(x), 1, 50))
    end
  end,
  function()
    for _, k in ipairs(our_places()) do add(debug.getregistry()[k]) end
  end,
  function() -- what the running functions hold
    local level, n = byte() % 8 + 2, 1
    while debug.getinfo(level, "f") do
      local name, v = debug.getlocal(level, n)
      if not name then break end
      add(v)
      n = n + 1
    end
  end,
  function()
    local co = pick_type "thread"
    local level = byte() % 4
    for n = 1, 20 do
      if not (co and debug.getinfo(co, level, "f")) then break end
      add((select(2, debug.getlocal(co, level, n))))
    end
  end,
}

local function is_our_meta(meta)
  return type(meta) == "table" and meta ~= debug.getmetatable(io.stdout)
end

-- What the debug library changes. Finalizers stay.
words {
  function()
    local u, n = pick_type "userdata", byte() % USER_VALUES + 1
    if u then debug.setuservalue(u, value(), n) end
  end,
  function()
    local f, n = pick_type "function", byte() % 4 + 1
    if is_ours(f) then debug.setupvalue(f, n, value()) end
  end,
  function() -- the slots of a wait
    local co, level = pick_type "thread", byte() % 4
    if not co or coroutine.status(co) ~= "suspended" then return end
    local info = debug.getinfo(co, level, "f")
    if info and is_ours(info.func) then debug.setlocal(co, level, byte() % 20 + 1, value()) end
  end,
  function() local co = pick_type "thread" if co then coroutine.resume(co, value(), value()) end end,
  function() local co = pick_type "thread" if co then coroutine.close(co) end end,
  function()
    local co, events, n = pick_type "thread", pick { "c", "r", "l", "" }, byte() % 32 + 1
    if co then debug.sethook(co, function() debug.sethook() act() end, events, n) end
  end,
  function()
    local events, n, raises = pick { "c", "r", "l", "" }, byte() % 32 + 1, byte() % 2 == 0
    debug.sethook(function()
      n = n - 1
      if n > 0 then return end
      debug.sethook()
      act()
      if raises then raise() end
    end, events, events == "" and n or 0)
  end,
  function()
    local meta = debug.getmetatable(pick_type "userdata")
    local name = pick { "__index", "__close", "__tostring", "__eq", "__name" }
    if is_our_meta(meta) then rawset(meta, name, value()) end
  end,
  function() -- any C function of ours, with anything
    local f = pick_type "function"
    if is_ours(f) and may_wait() then add(f(value(), value(), value())) end
  end,
  function()
    local name = pick { "snapshot", "describe", "claim", "live_contexts", "unfinished_tasks" }
    add(core[name](value()))
  end,
}

-- Finalizers may go.
if may_leak then
  words {
    function()
      local u = pick_type "userdata"
      local meta = pick { {}, {}, odd, debug.getmetatable(pick(pool)) }
      if u and u ~= io.stdout then debug.setmetatable(u, meta) end
    end,
    function()
      local meta = debug.getmetatable(pick_type "userdata")
      local f = value()
      -- One of ours that waits, as a function or a channel does, would do so for ever as the state is closed.
      if type(f) == "function" and not old_functions[f] then f = nil end
      if type(f) == "table" and debug.getmetatable(f) ~= odd then f = nil end
      if is_our_meta(meta) then rawset(meta, "__gc", f) end
    end,
    function()
      local places = our_places()
      if #places > 0 then debug.getregistry()[pick(places)] = value() end
    end,
  }
end

-- ---- one input ----------------------------------------------------------------

add(table.unpack(in_order(core)))
add(ctx.background(), ctx.CANCELED)
while left() > 0 and count <= MAX_ACTIONS do
  count = count + 1
  if byte() % 4 == 0 then
    act()
  else
    is_virtual = true
    pcall(ctx.run, { clock = "virtual" }, function(root)
      add(root)
      repeat act() until byte() % 4 == 0
    end)
    is_virtual = false
  end
  debug.sethook()
end
