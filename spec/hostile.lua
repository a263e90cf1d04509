--- What a hostile script can reach, and do to it: for children of hostile_spec.lua.
--
-- Nothing here knows the objects of the module by name. It crawls all that the debug library
-- reaches, takes away what was there before `require "ctx"`, and attacks the rest, one attack
-- at one moment at a time. Each attack is printed before it is made, so that a crash names it.

local debug, coroutine = debug, coroutine

local hostile = {}

-- The environment asks for every attack at every moment, which takes minutes.
local HAS_ALL = os.getenv "HOSTILE" == "all"

-- ---- what can be reached ------------------------------------------------

local USER_VALUES = 5 -- of a userdata; none of ours has more

local children = {}

function children.table(t, visit)
  for k, v in next, t do
    visit(k)
    visit(v)
  end
end

function children.userdata(u, visit)
  for n = 1, USER_VALUES do visit((debug.getuservalue(u, n))) end
end

children["function"] = function(f, visit)
  for n = 1, 255 do
    local name, value = debug.getupvalue(f, n)
    if not name then break end
    visit(value)
  end
end

function children.thread(co, visit)
  local level = 0
  while true do
    local info = debug.getinfo(co, level, "f")
    if not info then break end
    visit(info.func)
    for n = 1, 255 do
      local name, value = debug.getlocal(co, level, n)
      if not name then break end
      visit(value)
    end
    level = level + 1
  end
end

-- Every object that is reached from 'roots' and is not in 'known', in a list; both as a set.
local function reach(roots, known)
  local seen, list = {}, {}
  local function visit(x)
    if x == nil or seen[x] or known[x] or not (children[type(x)]) then return end
    seen[x] = true
    list[#list + 1] = x
  end
  for _, x in ipairs(roots) do visit(x) end
  local i = 0
  while i < #list do
    i = i + 1
    local x = list[i]
    children[type(x)](x, visit)
    visit(debug.getmetatable(x))
  end
  return list, seen
end

local old_keys = {}
for key in next, debug.getregistry() do old_keys[key] = true end
local _, before = reach({ _G, debug.getregistry(), io.stdout, "" }, {})
before[debug.getregistry()] = nil
before[package.loaded] = true

local ctx = require "ctx"
local core = require "ctx.core"
local foreign_file = assert(io.open("/dev/null"))

-- A light userdata has no metatable, and none of ours with a user value lacks both.
local function is_full(u)
  return debug.getmetatable(u) ~= nil or select("#", debug.getuservalue(u, 1)) > 1
end

-- What tells one kind of our userdata from the others, the same in every process.
local function label(u)
  local meta, count = debug.getmetatable(u), 0
  for n = 1, USER_VALUES do
    if select(2, debug.getuservalue(u, n)) then count = n end
  end
  local first = type((debug.getuservalue(u, 1)))
  local name = type(meta) == "table" and rawget(meta, "__name") or "block"
  return ("%s/%d/%s"):format(tostring(name), count, first)
end

-- What is ours at this moment: userdata by their labels, C functions, threads.
local function crawl(...)
  local ours = { userdata = {}, functions = {}, threads = {} }
  before[foreign_file] = true
  for _, x in ipairs(reach({ debug.getregistry(), ctx, core, ... }, before)) do
    local kind = type(x)
    if kind == "userdata" and is_full(x) then
      local l = label(x)
      ours.userdata[l] = ours.userdata[l] or {}
      table.insert(ours.userdata[l], x)
    elseif kind == "function" and debug.getinfo(x, "S").what == "C" then
      table.insert(ours.functions, x)
    elseif kind == "thread" and x ~= coroutine.running() then
      table.insert(ours.threads, x)
    end
  end
  return ours
end

-- ---- a busy program ------------------------------------------------------

local function raise() error("hostile", 0) end

local function collect()
  for _ = 1, 2 do collectgarbage() end
end

local function closer(f) return setmetatable({}, { __close = f }) end

-- Calls all that can be called on what is left, whatever it answers.
local function poke(left)
  for _, c in ipairs(left.contexts) do
    for _, name in ipairs { "done", "err", "cause", "check", "deadline", "timeout", "with_cancel" } do
      pcall(ctx[name], c)
    end
    pcall(ctx.value, c, "key")
    pcall(ctx.with_timeout, c, 5)
    pcall(ctx.wait, c, 0)
    pcall(tostring, c)
  end
  for _, t in ipairs(left.tasks) do
    for _, name in ipairs { "status", "name", "join" } do
      pcall(function() return t[name](t, name == "join" and 0 or nil) end)
    end
    pcall(tostring, t)
    pcall(ctx.select, t, 0)
  end
  for _, f in ipairs(left.functions) do pcall(f) end
  pcall(core.unfinished_tasks)
  pcall(core.live_contexts)
  pcall(core.counters)
end

-- Tasks in every kind of wait, below 'root'.
local function start_tasks(root, left)
  local channel = ctx.channel()
  local limit, stop_limit = ctx.with_timeout(root, 50)
  local last = root:async(function() ctx.sleep(20) return 7 end)
  local waits = {
    function() ctx.sleep(30) end,
    function(c) c:sleep(30) end,
    function(c) c:wait() end,
    function(c) c:wait(limit) end,
    function() channel:recv() end,
    function() channel:recv(limit) end,
    function(c) ctx.select(channel, c, channel, last, limit, 40) end,
    function() last:join() end,
    function() last:join(limit) end,
    function() coroutine.yield() ctx.sleep(1) end,
    function() ctx.run(function(inner) inner:go(function() ctx.sleep(9) end) inner:wait(3) end) end,
    function() ctx.wrap(function() ctx.sleep(30) end)() end,
    function() return 1, nil, print end,
    function() error(setmetatable({}, { __tostring = raise, __name = raise }), 0) end,
    function() local _ <close> = closer(function() ctx.sleep(1) end) ctx.sleep(5) end,
    function() local _ <close> = closer(raise) error() end,
  }
  left.tasks[1] = last
  for i, f in ipairs(waits) do left.tasks[i + 1] = root:async(f) end
  left.functions[#left.functions + 1] = stop_limit
  left.contexts[#left.contexts + 1] = limit
  left.channel = channel
end

local function start_contexts(root, left)
  local a, cancel = ctx.with_cancel(root)
  local b = ctx.with_timeout(a, 10, {})
  local v = b:with_value("key", "value"):with_value({}, {})
  local d = v:without_cancel():with_timeout(10)
  for _, c in ipairs { a, b, v, d, root } do table.insert(left.contexts, c) end
  for _, c in ipairs { a, v, d } do table.insert(left.functions, c:on_done(function() end)) end
  table.insert(left.functions, cancel)
  return a, cancel
end

-- The program, inside a run on a virtual clock; 'strike' is called at the moment of that name.
local moments = {}

function moments.before_the_start(root, left, strike)
  start_contexts(root, left)
  start_tasks(root, left)
  strike()
  ctx.sleep(1)
end

function moments.while_they_wait(root, left, strike)
  start_contexts(root, left)
  start_tasks(root, left)
  ctx.sleep(2)
  strike()
  ctx.sleep(2)
end

function moments.in_a_hook(root, left, strike)
  local a, cancel = start_contexts(root, left)
  start_tasks(root, left)
  a:on_done(strike)
  ctx.sleep(2)
  cancel()
  ctx.sleep(2)
end

function moments.in_a_close(root, left, strike)
  local a, cancel = start_contexts(root, left)
  start_tasks(root, left)
  a:go(function()
    local _ <close> = closer(strike)
    ctx.sleep(9)
  end)
  ctx.sleep(2)
  cancel()
  ctx.sleep(2)
end

function moments.in_a_finalizer(root, left, strike)
  start_contexts(root, left)
  start_tasks(root, left)
  ctx.sleep(2)
  setmetatable({}, { __gc = strike })
  collect()
  ctx.sleep(2)
end

function moments.in_a_debug_hook(root, left, strike)
  start_contexts(root, left)
  start_tasks(root, left)
  root:async(function()
    debug.sethook(function() debug.sethook() strike() end, "", 1)
    ctx.sleep(1)
  end)
  ctx.sleep(2)
end

local moment_names = {}
for name in next, moments do moment_names[#moment_names + 1] = name end
table.sort(moment_names)
moment_names[#moment_names + 1] = "after_the_run"
moment_names[#moment_names + 1] = "on_the_main_thread"
moment_names[#moment_names + 1] = "before_the_run"

-- Runs the program with one strike at the moment; afterwards everything is called again.
local function run_program(moment, strike)
  local left = { contexts = {}, tasks = {}, functions = {} }
  local struck = false
  local function once()
    if struck then return end
    struck = true
    strike(crawl(left))
    collect()
  end
  local function program(root)
    if not moments[moment] then
      start_contexts(root, left)
      start_tasks(root, left)
      return ctx.sleep(2)
    end
    moments[moment](root, left, function() once() end)
    poke(left)
  end
  if moment == "before_the_run" then once() end
  if moment == "on_the_main_thread" then
    local stop
    pcall(function()
      local root
      root, stop = ctx.with_cancel(ctx.background())
      start_contexts(root, left)
      start_tasks(root, left)
      ctx.yield()
    end)
    once()
    pcall(ctx.yield)
    pcall(stop)
    for _ = 1, 4 do pcall(ctx.yield) end
  else
    pcall(ctx.run, { clock = "virtual" }, program)
    if moment == "after_the_run" then once() end
  end
  poke(left)
  left = nil -- luacheck: ignore
  collect()
end

-- True: the module does its work, whatever was done before, and few tasks have been left.
local function is_well()
  local counted, tasks = pcall(core.unfinished_tasks)
  if not counted or tasks > 50 then return false end
  local ok, answer = pcall(ctx.run, { clock = "virtual" }, function(root)
    local c, cancel = root:with_timeout(9)
    local ch, fired = ctx.channel(), false
    c:on_done(function() fired = true end)
    root:go(function() ctx.sleep(1) ch:send(5) cancel() end)
    local value = ch:recv()
    local t = root:async(function() ctx.sleep(1) return value end)
    local _, result = t:join()
    return fired and ctx.now() == 2 and result
  end)
  return ok and answer == 5 and pcall(ctx.yield) and (pcall(ctx.background))
end

-- ---- attacks ----------------------------------------------------------------

-- What is put where something of ours was.
local values = {
  { "nil", function() return nil end },
  { "a number", function() return 42 end },
  { "a table", function()
    return setmetatable({}, { __index = raise, __newindex = raise, __len = raise })
  end },
  { "a thread", function() return coroutine.create(raise) end },
  { "a file", function() return foreign_file end },
  { "a context", function() return (ctx.with_cancel(ctx.background())) end },
  { "itself", function(u) return u end },
  { "another one's", function(_, n, targets)
    return (debug.getuservalue(targets[#targets], n))
  end },
}

local function user_value_attacks(l, add)
  local count = tonumber(l:match "/(%d+)/")
  for n = 1, count do
    for _, value in ipairs(values) do
      add(("user value %d becomes %s"):format(n, value[1]), function(targets)
        for _, u in ipairs(targets) do
          local ok, v = pcall(value[2], u, n, targets)
          debug.setuservalue(u, ok and v or nil, n)
        end
      end)
    end
  end
  add("all user values become nil", function(targets)
    for _, u in ipairs(targets) do
      for n = 1, count do debug.setuservalue(u, nil, n) end
    end
  end)
end

local function finalizer_attacks(add)
  add("__gc by hand, twice", function(targets)
    for _, u in ipairs(targets) do
      local gc = (debug.getmetatable(u) or {}).__gc or print
      if gc ~= print then
        pcall(gc, u)
        pcall(gc, u)
      end
    end
  end)
end

-- Changes a metatable, and puts it back when the program has ended.
local function with_field(meta, name, value, undo)
  local old = rawget(meta, name)
  rawset(meta, name, value)
  undo[#undo + 1] = function() rawset(meta, name, old) end
end

local function metatable_attacks(add)
  local metatables = {
    { "no metatable", function() return nil end },
    { "an empty metatable", function() return {} end },
    { "one that raises", function()
      return { __gc = raise, __index = raise, __close = raise, __tostring = raise, __eq = raise, __name = {} }
    end },
    { "that of contexts", function() return debug.getmetatable(ctx.background()) end },
    { "that of errors", function() return debug.getmetatable(ctx.CANCELED) end },
  }
  for _, m in ipairs(metatables) do
    add("it gets " .. m[1], function(targets)
      for _, u in ipairs(targets) do debug.setmetatable(u, (m[2]())) end
    end)
  end
  for _, name in ipairs { "__gc", "__index", "__close", "__eq", "__tostring", "__name", "__metatable" } do
    for _, value in ipairs { { "nothing" }, { "a function that raises", raise } } do
      add(("%s becomes %s"):format(name, value[1]), function(targets, _, undo)
        local meta = debug.getmetatable(targets[1])
        if meta then with_field(meta, name, value[2], undo) end
        for _, u in ipairs(targets) do
          for n = 1, USER_VALUES do debug.setuservalue(u, nil, n) end
        end
      end)
    end
  end
end

local function registry_attacks(add)
  for i = 1, 40 do
    for _, value in ipairs {
      { "nil" }, { "a table", {} }, { "a file", foreign_file }, { "a context", ctx.todo() },
    } do
      add(("place %d of the registry becomes %s"):format(i, value[1]), function()
        local registry, keys = debug.getregistry(), {}
        for key in next, registry do
          if not old_keys[key] and type(key) == "userdata" then keys[#keys + 1] = key end
        end
        table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
        if keys[i] then registry[keys[i]] = value[2] end
        return keys[i] ~= nil
      end)
    end
  end
end

local function upvalue_attacks(add)
  for _, value in ipairs(values) do
    add(("upvalues of C functions become %s"):format(value[1]), function(_, ours)
      for _, f in ipairs(ours.functions) do
        for n = 1, 4 do
          local ok, v = pcall(value[2], f, n, { foreign_file })
          if debug.getupvalue(f, n) then debug.setupvalue(f, n, ok and v or nil) end
        end
      end
      for _, f in ipairs(ours.functions) do
        if debug.getupvalue(f, 1) then pcall(f) pcall(f, f) end
      end
    end)
  end
end

-- The slots of C functions that have yielded: what a wait finds when it comes back.
local function stack_attacks(add)
  for _, value in ipairs(values) do
    add(("slots of C functions that wait become %s"):format(value[1]), function(_, ours)
      for _, co in ipairs(ours.threads) do
        local suspended = coroutine.status(co) == "suspended"
        local level = 0
        while suspended and debug.getinfo(co, level, "S") do
          local is_c = debug.getinfo(co, level, "S").what == "C"
          for n = 1, is_c and 20 or 0 do
            local ok, v = pcall(value[2], co, n, { foreign_file })
            if not debug.setlocal(co, level, n, ok and v or nil) then break end
          end
          level = level + 1
        end
      end
    end)
  end
end

local function each_thread(f)
  return function(_, ours)
    for _, co in ipairs(ours.threads) do pcall(f, co) end
  end
end

local function thread_attacks(add)
  add("coroutines are resumed", each_thread(function(co) coroutine.resume(co, 1, 2, 3) end))
  add("coroutines are resumed until they are dead", each_thread(function(co)
    for _ = 1, 50 do coroutine.resume(co) end
  end))
  add("coroutines are closed", each_thread(coroutine.close))
  add("coroutines are closed and resumed", each_thread(function(co)
    coroutine.close(co)
    coroutine.resume(co, print)
  end))
  for _, count in ipairs { 1, 2, 3, 5, 8, 13 } do
    add(("a hook raises in coroutines after %d instructions"):format(count), each_thread(function(co)
      debug.sethook(co, raise, "", count)
    end))
  end
  for _, event in ipairs { "c", "r", "l", "crl" } do
    add(("a hook raises in coroutines at '%s'"):format(event), each_thread(function(co)
      debug.sethook(co, raise, event)
    end))
    add(("a hook yields in coroutines at '%s'"):format(event), each_thread(function(co)
      debug.sethook(co, coroutine.yield, event)
    end))
  end
end

-- A light userdata: the address of something of ours.
local function our_place()
  for key in next, debug.getregistry() do
    if not old_keys[key] and type(key) == "userdata" then return key end
  end
end

-- Calls the i-th C function with everything, in places of which most are wrong.
local function call_with_everything(ours, i)
  local f = ours.functions[i]
  local arguments = { foreign_file, 42, -1, "key", {}, rawlen, coroutine.create(rawlen), 0 / 0, true }
  arguments[#arguments + 1] = our_place()
  for _, list in next, ours.userdata do
    arguments[#arguments + 1] = list[1]
    arguments[#arguments + 1] = list[#list]
  end
  pcall(f)
  for _, x in ipairs(arguments) do
    pcall(f, x)
    pcall(f, x, x)
    pcall(f, x, rawlen, x)
    pcall(f, x, 0, x, x)
  end
end

local function call_attacks(add)
  for i = 1, 120 do
    add(("C function %d is called with everything"):format(i), function(_, ours)
      if ours.functions[i] then call_with_everything(ours, i) end
    end)
  end
end

-- C functions that others of ours call inside, and nobody else: a debug hook sees them run.
local function inner_functions()
  local inner, seen = {}, {}
  local function note()
    local info = debug.getinfo(2, "fS")
    if info.what ~= "C" or seen[info.func] or before[info.func] then return end
    seen[info.func] = true
    inner[#inner + 1] = info.func
  end
  debug.sethook(note, "c")
  run_program("while_they_wait", function(ours)
    for _, f in ipairs(ours.functions) do seen[f] = true end
  end)
  ctx.run({ clock = "virtual" }, function(root)
    debug.sethook(note, "c") -- each coroutine has its own
    ctx.track(true)
    local c, cancel = root:with_cancel()
    c:async(ctx.sleep, 9)
    local _, token = debug.getupvalue(cancel, 2)
    debug.getmetatable(token).__gc(token)
    ctx.tree(root)
  end)
  debug.sethook()
  return inner
end

local function inner_attacks(add)
  local inner = inner_functions()
  for i = 1, #inner do
    add(("inner C function %d is called with everything"):format(i), function(_, ours)
      call_with_everything({ functions = inner, userdata = ours.userdata }, i)
    end)
  end
end

-- The n-th event on the main thread, and in the coroutines that are made after this, raises;
-- then the n-th after that one, and once more.
local function event_attacks(add)
  for _, events in ipairs { "crl", "c", "r" } do
    for nth = 1, HAS_ALL and 250 or 50 do
      add(("event %d of '%s' raises"):format(nth, events), function()
        local n = 0
        debug.sethook(function()
          local outer = debug.getinfo(3, "f")
          if debug.getinfo(2, "f").func == hostile.attack or outer and outer.func == hostile.attack then
            return
          end
          n = n + 1
          if n % nth == 0 and n <= 3 * nth then raise() end
        end, events)
      end)
    end
  end
end

-- The attacks of a group, the same list in every process. Of many moments each attack has three,
-- in turn.
local groups = {}
local MOMENTS = HAS_ALL and math.huge or 3
local turn = 0

local function at(list, names, subject, what, attack)
  for _ = 1, math.min(#names, MOMENTS) do
    turn = turn + 1
    local moment = names[turn % #names + 1]
    local name = ("%s: %s, %s"):format(subject, what, moment)
    list[#list + 1] = { name = name, moment = moment, attack = attack }
  end
end

local function all_labels()
  local labels = {}
  run_program("while_they_wait", function(ours)
    for l in next, ours.userdata do labels[#labels + 1] = l end
  end)
  table.sort(labels)
  return labels
end

local function on_userdata(list, names, make)
  for _, l in ipairs(all_labels()) do
    make(l, function(what, attack)
      at(list, names, l, what, function(ours, undo)
        local targets = ours.userdata[l]
        if targets then attack(targets, ours, undo) end
      end)
    end)
  end
end

local function on_all(list, names, subject, make)
  make(function(what, attack)
    at(list, names, subject, what, function(ours, undo) return attack(nil, ours, undo) end)
  end)
end

local few = { "while_they_wait", "in_a_close", "after_the_run" }

groups["user values"] = function(list)
  on_userdata(list, moment_names, user_value_attacks)
end

groups.finalizers = function(list)
  on_userdata(list, moment_names, function(_, add) finalizer_attacks(add) end)
end

groups.metatables = function(list)
  on_userdata(list, few, function(_, add) metatable_attacks(add) end)
end

groups.registry = function(list)
  on_all(list, { "while_they_wait" }, "registry", registry_attacks)
end

groups.functions = function(list)
  on_all(list, few, "functions", upvalue_attacks)
  on_all(list, { "while_they_wait" }, "functions", call_attacks)
end

groups["inner functions"] = function(list)
  on_all(list, { "while_they_wait", "in_a_close", "on_the_main_thread" }, "inner functions", inner_attacks)
end

groups.events = function(list)
  on_all(list, { "before_the_run", "on_the_main_thread" }, "debug hook", event_attacks)
end

groups.coroutines = function(list)
  on_all(list, moment_names, "coroutines", stack_attacks)
  on_all(list, moment_names, "coroutines", thread_attacks)
end

--- Makes the attacks of a group from the number 'first' on. Exits with 0 after the last; with
-- 7, after a line "broken <n>", when attack n has left a state in which nothing runs any more.
function hostile.attack(group, first)
  io.stdout:setvbuf "line"
  local list = {}
  groups[group](list)
  for i = first, #list do
    local one, undo = list[i], {}
    io.write(i, "\t", one.name, "\n")
    -- A hook may raise as pcall returns.
    pcall(pcall, pcall, pcall, pcall, run_program, one.moment, function(ours) one.attack(ours, undo) end)
    debug.sethook()
    for k = #undo, 1, -1 do undo[k]() end
    if not is_well() then
      print("broken " .. i)
      os.exit(7, true)
    end
  end
  print(("done %d"):format(#list))
  os.exit(0, true)
end

--- Leaves tasks in every kind of wait behind, for the state to be closed with them.
function hostile.leave()
  local left = { contexts = {}, tasks = {}, functions = {} }
  start_contexts(ctx.background(), left)
  start_tasks(ctx.background(), left)
  ctx.yield()
  hostile.left = left
end

--- Calls everything with everything.
function hostile.call_all()
  local ours = crawl(hostile)
  for i in ipairs(ours.functions) do call_with_everything(ours, i) end
end

return hostile
