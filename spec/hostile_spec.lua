local ctx = require "ctx"
local helper = require "spec.helper"

-- What a finalizer that was taken away would have freed stays, so leaks are not looked for.
local leaks_allowed = 'ASAN_OPTIONS="${ASAN_OPTIONS-}:detect_leaks=0"'

local function run(source, environment)
  local output, status = helper.script(source, nil, environment)
  local tail = output:sub(-2000)
  return tail, status
end

-- All attacks of a group. A process that says it is broken is followed by another.
local function survives(group)
  return function()
    local first, done = 1
    local call = [[require "spec.hostile".attack(%q, %d)]]
    repeat
      local output, status = run(call:format(group, first), leaks_allowed)
      local broken = status == 7 and output:match "broken (%d+)"
      if not broken then assert.equal(0, status, output) end
      done = output:match "done (%d+)"
      first = broken and broken + 1
    until done
    assert.is_true(tonumber(done) > 20)
  end
end

local function ends_well(source)
  return function()
    local output, status = run(source)
    assert.equal(0, status, output)
    assert.matches("alive", output, 1, true)
  end
end

describe("a script with the debug library", function()
  it("finalizes any object by hand, and nothing crashes", survives "finalizers")
  it("replaces user values, and nothing crashes", survives "user values")
  it("replaces metatables and their fields, and nothing crashes", survives "metatables")
  it("replaces what lies in the registry, and nothing crashes", survives "registry")
  it("calls any C function with anything, replaces their upvalues, and nothing crashes", survives "functions")
  it("calls C functions that only others of ours call, and nothing crashes", survives "inner functions")
  it("changes the stacks of coroutines, resumes and closes them, and nothing crashes", survives "coroutines")
  it("raises at any event of a debug hook, and nothing crashes", survives "events")

  it("is told when a context was finalized", function()
    local c = ctx.with_cancel(ctx.background())
    debug.getmetatable(c).__gc(c)
    assert.matches("finalized", helper.raised(c.done, c), 1, true)
    assert.matches("finalized", helper.raised(ctx.background().wait, ctx.background(), c), 1, true)
    assert.matches("finalized", helper.raised(ctx.with_cancel, c), 1, true)
  end)

  it("is told when the limit of a wait was finalized while it waited", helper.virtual(function(root)
    local limit = root:with_timeout(9)
    local t = root:async(function(c) c:wait(limit) end)
    ctx.yield()
    debug.getmetatable(limit).__gc(limit)
    ctx.sleep(10)
    local ok, err = t:join(0)
    assert.is_false(ok)
    assert.matches("finalized", err, 1, true)
  end))

  it("takes a task's coroutine away: the task fails, and says so", helper.virtual(function(root)
    local t = root:async(function() ctx.sleep(5) end)
    ctx.sleep(1)
    for n = 1, 4 do debug.setuservalue(t, nil, n) end
    helper.collect()
    ctx.sleep(9)
    local ok, err = t:join()
    assert.is_false(ok)
    assert.matches("tampered", err, 1, true)
    assert.equal("failed", t:status())
  end))

  it("takes arguments away from constructors that ask for memory, and nothing crashes", ends_well [=[
    local ctx = require "ctx"
    local root, taken = ctx.background(), 0
    local makers = {
      [ctx.with_cancel] = {}, [ctx.without_cancel] = {}, [ctx.with_timeout] = { 3600, {} },
      [ctx.with_value] = { "key", {} }, [ctx.merge] = { root }, [ctx.with_signal] = { "usr1" },
    }
    local function arm()
      setmetatable({}, { __gc = function()
        for level = 2, 4 do
          local info = debug.getinfo(level, "f")
          if info and makers[info.func] and debug.getlocal(level, 1) then
            debug.setlocal(level, 1, taken % 2 == 0 and 42 or nil)
            taken = taken + 1
          end
        end
        arm()
      end })
    end
    arm()
    collectgarbage("setpause", 50)
    for make, arguments in pairs(makers) do
      for _ = 1, 3000 do
        local _, _, cancel = pcall(make, root, table.unpack(arguments))
        if type(cancel) == "function" then cancel() end
      end
    end
    assert(taken > 0)
    io.write "alive"]=])

  it("makes a context its own parent, and nothing goes in circles", helper.virtual(function(root)
    local c, cancel = root:with_timeout(5)
    debug.setuservalue(c, c, 1)
    local stop = c:on_done(function() end)
    assert.is_string(tostring(c))
    assert.is_true(stop())
    cancel()
  end))

  it("finalizes the limit of a wait that begins, and yields before the next", ends_well [[
    local ctx, core = require "ctx", require "ctx.core"
    collectgarbage("setpause", 1)
    collectgarbage("setstepmul", 1000)
    local bg, kept = ctx.background(), nil
    ctx.run(function(root)
      root:async(function()
        for _ = 1, 4000 do
          local c, cancel = ctx.with_cancel(bg)
          local limit = ctx.with_cancel(bg)
          local finalize, inside, over = debug.getmetatable(limit).__gc, true, false
          local function arm()
            setmetatable({}, { __gc = function()
              if inside then finalize(limit) elseif not over then arm() end
            end })
          end
          arm()
          local ok, err = pcall(core.park, "x", 1, c, c, limit)
          inside, over = false, true
          if not ok and tostring(err):find "finalized" then
            kept = cancel
            coroutine.yield()
            pcall(core.park, "x", 1, bg, bg, bg, bg)
            return
          end
        end
      end):join()
    end)
    collectgarbage()
    collectgarbage()
    for i = 1, 10000 do local _ = ("x"):rep(300 + i % 100) end
    if kept then kept() end
    pcall(ctx.sleep, 0.01)
    io.write "alive"
  ]])

  it("finalizes what a running function holds, in the middle of a snapshot", ends_well [[
    local ctx = require "ctx"
    local c = ctx.with_cancel(ctx.background())
    local below, dug = {}, 0
    for i = 1, 50 do below[i] = c:with_cancel() end
    local function finalize(level, n)
      local name, x = debug.getlocal(level, n)
      local meta = type(x) == "userdata" and x ~= c and debug.getmetatable(x)
      if meta and meta.__gc then meta.__gc(x) end
      return name
    end
    local function dig()
      for level = 3, 12 do
        local n = debug.getinfo(level, "f") and 1 or 99
        while n < 20 and finalize(level + 1, n) do n = n + 1 end
      end
      dug = dug + 1
    end
    local function again() setmetatable({}, { __gc = function() dig() again() end }) end
    again()
    collectgarbage("incremental", 1, 1000, 1)
    for _ = 1, 50 do assert(#ctx.tree(c) == 50) end
    assert(dug > 50, dug)
    io.write "alive"
  ]])

  it("drives the loop by hand: refused", function()
    local drive
    local main = coroutine.running()
    local task = ctx.background():async(function()
      for level = 0, 30 do
        local info = debug.getinfo(main, level, "Sf")
        if not info then break end
        if info.what == "C" and not drive then drive = info.func end
      end
    end)
    task:join()
    assert.matches("drives the loop", helper.raised(drive), 1, true)
  end)
end)

describe("a state that closes", function()
  it("P2 has every function called with every object by older and younger finalizers", ends_well [[
    local hostile
    local _ = setmetatable({}, { __gc = function() hostile.call_all() io.write "alive" end })
    require "ctx.virtual"
    hostile = require "spec.hostile"
    hostile.leave()
    _G.younger = setmetatable({}, { __gc = function() hostile.call_all() end })
  ]])

  it("P2 gets objects handed back that were finalized", ends_well [[
    require "ctx.virtual"
    local ctx = require "ctx"
    local hostile = require "spec.hostile"
    local box = setmetatable({ ctx.with_timeout(ctx.background(), 9) }, { __gc = function(b)
      _G.back = b
    end })
    box[3] = ctx.background():async(function() ctx.sleep(9) end)
    box = nil
    collectgarbage() collectgarbage()
    for _ = 1, 2 do
      pcall(debug.getmetatable(back[1]).__gc, back[1])
      pcall(debug.getmetatable(back[1]).__close, back[1])
      pcall(debug.getmetatable(back[3]).__gc, back[3])
      hostile.call_all()
    end
    io.write "alive"
  ]])
end)

describe("arguments of any kind", function()
  local function raise() error("hostile", 0) end
  local odd = { __index = raise, __newindex = raise, __len = raise, __pairs = raise, __lt = raise,
    __le = raise, __eq = raise, __tostring = raise, __concat = raise, __call = raise, __name = {},
    __unm = raise, __metatable = false }

  it("are read raw where they are options", function()
    local answer = ctx.run(setmetatable({ clock = "virtual" }, odd), function() return ctx.now() end)
    assert.equal(0, answer)
    assert.equal(5, ctx.run(setmetatable({}, odd), function() return 5 end))
  end)

  it("call no metamethod where they are names of options", function()
    local root, options = ctx.background(), { [setmetatable({}, odd)] = 1 }
    for _, f in ipairs { root.group, ctx.without_cancel } do
      assert.matches("no option '?'", helper.raised(f, root, options), 1, true)
    end
    assert.matches("no option '?'", helper.raised(ctx.run, options, print), 1, true)
  end)

  it("call no metamethod where they are wrong", function()
    local x = setmetatable({}, odd)
    local root = ctx.background()
    for _, f in ipairs {
      ctx.done, ctx.wait, ctx.with_cancel, ctx.with_timeout, ctx.with_deadline, ctx.sleep, ctx.select,
      ctx.run, ctx.wrap, ctx.go, ctx.async, ctx.on_done, ctx.value, ctx.channel, ctx.wall,
    } do
      assert.matches("bad argument", helper.raised(f, x), 1, true)
    end
    for _, f in ipairs { ctx.with_timeout, ctx.with_deadline, ctx.wait, ctx.go, ctx.async, ctx.on_done } do
      assert.matches("bad argument", helper.raised(f, root, x), 1, true)
    end
    local c, cancel = root:with_value(x, x):with_cancel()
    assert.is_true(rawequal(x, c:value(x)))
    cancel(x)
    assert.is_true(rawequal(x, c:cause()))
    assert.is_string(tostring(c))
  end)

  it("come back as errors, whatever they are", function()
    local x = setmetatable({}, odd)
    local function thrower(_, e) error(e, 0) end
    for _, e in ipairs { x, 5, false, print } do
      assert.is_true(rawequal(e, helper.raised(ctx.run, thrower, e)))
      ctx.run(function(root)
        local ok, err = root:async(thrower, e):join()
        assert.is_false(ok)
        assert.is_true(rawequal(e, err))
      end)
    end
    assert.is_nil(helper.raised(ctx.run, thrower, nil))
  end)

  it("may be functions that were dumped and loaded", function()
    local f = load(string.dump(function(_, x) return x end))
    assert.equal(7, ctx.run(f, 7))
    assert.equal(7, ctx.wrap(load(string.dump(function(x) return x end)))(7))
  end)

  it("may be very many", function()
    local many = {}
    for i = 1, 200000 do many[i] = i end
    local function count(...) return select("#", ...), ... end
    ctx.run(function(root, ...)
      assert.equal(200000, select("#", ...))
      assert.equal(200002, (root:async(count, ...):join() and select("#", root:async(count, ...):join()) - 1))
      assert.equal(200000, (ctx.wrap(count)(...)))
    end, table.unpack(many))
    local contexts = {}
    for i = 1, 5000 do contexts[i] = ctx.background():with_cancel() end
    assert.is_nil((ctx.select(table.unpack(contexts, 1, 5000), 0)))
    contexts[5001] = 0.001
    assert.is_nil((ctx.select(table.unpack(contexts))))
  end)

  it("may be too many for Lua's stack: an error, and the clock is given back", function()
    local many = {}
    for i = 1, 999900 do many[i] = i end
    pcall(ctx.run, { clock = "virtual" }, function() return table.unpack(many) end)
    pcall(ctx.run, function() return table.unpack(many) end)
    pcall(ctx.wrap(function() return table.unpack(many) end))
    assert.is_true(ctx.now() > 1)
    assert.equal(5, ctx.run(function() return 5 end))
  end)
end)

describe("a recursion without end", function()
  it("is an error, in coroutines of ctx.wrap", function()
    local function dive() return ctx.wrap(dive)() end
    assert.matches("overflow", helper.raised(dive), 1, true)
    assert.matches("overflow", helper.raised(ctx.run, dive), 1, true)
  end)

  it("is an error, in runs on virtual clocks and the <close> variables of tasks given up", ends_well [[
    local ctx = require "ctx"
    local depth, deepest = 0, 0
    local function dive()
      depth = depth + 1
      deepest = math.max(depth, deepest)
      pcall(ctx.run, { clock = "virtual" }, function(root)
        local _ <close> = setmetatable({}, { __close = function() ctx.wrap(dive)() end })
        ctx.channel():recv(ctx.todo())
      end)
      depth = depth - 1
    end
    dive()
    assert(deepest > 1, deepest)
    assert(ctx.run(function() return 5 end) == 5)
    io.write "alive"
  ]])

  it("is an error, in the stack of a task", helper.virtual(function(root)
    local function dive(n) return 1 + dive(n + 1) end
    local ok, err = root:async(function() dive(1) end):join()
    assert.is_false(ok)
    assert.matches("overflow", err, 1, true)
  end))
end)
