--- What a script with the debug library takes away or closes by hand, one thing at a time.

local ctx = require "ctx"
local helper = require "spec.helper"

local virtual = helper.virtual

--- A script, after helpers to reach what is hidden.
local function script(source, options)
  return helper.script([[
    local ctx = require "ctx"
    local core = require "ctx.core"
    local registry = debug.getregistry()

    -- The userdata of ours in the registry, which is the loop's.
    local function loop()
      for k, u in pairs(registry) do
        if type(k) == "userdata" and type(u) == "userdata" and type(debug.getuservalue(u, 1)) == "table" then
          return u, k
        end
      end
    end
    local ANCHORS, WORLD = 1, 2 -- its user values

    local function finalize(u) debug.getmetatable(u).__gc(u) end

    local function fails(text, f, ...)
      local ok, err = pcall(f, ...)
      assert(not ok and tostring(err):find(text, 1, true), err)
    end
  ]] .. source .. '\nwarn "@off" io.write "alive"', options)
end

local function ends_well(source, options)
  return function()
    local output, status = script(source, options)
    assert.equal(0, status, output)
    assert.equal("alive", output)
  end
end

describe("a script that takes away", function()
  it("the main thread from the registry can wait, and is told of lost cancel functions", function()
    local output, status = script([[
      registry[1] = nil
      ctx.sleep(0.001)
      ctx.run(function(c) c:sleep(0.001) end)
      ctx.track(true)
      do
        local c = ctx.with_cancel(ctx.background())
        c:go(c.sleep, 9)
      end
      ctx.yield()
      collectgarbage() collectgarbage()]], "-W")
    assert.equal(0, status, output)
    assert.equal("alive", output)
  end)

  it("the anchor of a task that runs is refused there", ends_well [[
    ctx.run(function(root)
      local t
      t = root:async(function()
        debug.getuservalue(loop(), ANCHORS)[t] = nil
        local anchors = debug.getuservalue(loop(), ANCHORS)
        for k, v in pairs(anchors) do if v == t then anchors[k] = nil end end
        fails("tampered", ctx.current)
        fails("tampered", root.go, root, print)
      end)
      assert(t:join())
    end)]])

  it("the row of free anchors gives two tasks one place: the older one fails", ends_well [[
    ctx.run(function(root)
      root:async(function() end):join()
      local function change_free(f)
        local anchors = debug.getuservalue(loop(), ANCHORS)
        for place, next in ipairs(anchors) do
          if math.type(next) == "integer" then anchors[place] = f(place) end
        end
      end
      change_free(function(place) return place end)
      local a = root:async(function() ctx.sleep(0.001) return "a" end)
      local b = root:async(function() ctx.sleep(0.002) return "b" end)
      assert(select(2, b:join()) == "b")
      assert(not a:join() and a:status() == "failed")
      change_free(function() return -1 end)
      assert(root:async(function() return true end):join())
    end)]])

  it("the scope that a joined one was begun in gets the tasks of its hooks nowhere", ends_well [[
    local SCOPE, OUTER = 5, 2 -- user values of tasks, and of scopes
    local c, cancel = ctx.with_cancel(ctx.background())
    local ran = false
    ctx.run(function()
      ctx.run(function(inner)
        local t = inner:async(function() c:on_done(function() ran = true end) end)
        local scope = debug.getuservalue(t, SCOPE)
        for n = 1, 3 do
          if not core.is_context((debug.getuservalue(scope, n))) then debug.setuservalue(scope, nil, n) end
        end
        t:join()
      end)
      cancel()
      ctx.yield()
    end)
    ctx.yield()
    assert(ran)]])

  it("a parent hears nothing of lost cancel functions below", ends_well([[
    ctx.track(true)
    local function lose(make)
      local c = make(ctx.background()):with_cancel()
      c:go(c.sleep, 9)
      debug.setuservalue(c, nil, 1)
    end
    lose(function(bg) return bg end)
    lose(function(bg) return bg:with_value("k", 1) end)
    ctx.yield()
    collectgarbage() collectgarbage()]], "-W"))

  it("all that is remembered hears nothing of lost cancel functions", ends_well([[
    ctx.track(true)
    do
      local c = ctx.background():with_cancel()
      c:go(c.sleep, 9)
    end
    ctx.yield()
    for k, t in pairs(registry) do
      local meta = type(k) == "userdata" and type(t) == "table" and getmetatable(t)
      if meta and meta.__mode == "v" then registry[k] = nil end
    end
    collectgarbage() collectgarbage()]], "-W"))

  it("all that lies in the registry gets no error while the state closes", function()
    local output, status = script([[
      ctx.run(function() end)
      for k in pairs(registry) do
        if type(k) == "userdata" and k ~= select(2, loop()) then registry[k] = nil end
      end
      warn = print]], "-W")
    assert.equal(0, status, output)
    assert.equal("@off\nalive", output)
  end)

  it("the metatable of origins gets plain tables", ends_well [[
    local c, cancel = ctx.background():with_cancel()
    cancel()
    local meta = getmetatable(c:origin())
    for k, v in pairs(registry) do if v == meta then registry[k] = nil end end
    assert(getmetatable(c:origin()) == nil)
    assert(c:origin().kind == "explicit")]])

  it("the table of loaded modules is told less of what cannot be waited in", ends_well [[
    local sort = table.sort
    local function where()
      local _, err = pcall(ctx.run, function()
        sort({ 2, 1 }, function() ctx.sleep(1) end)
      end)
      return err:match "inside (.-),"
    end
    assert(where() == "table.sort")
    package.loaded.table, package.loaded.x, package.loaded[1] = nil, { [1] = sort }, { sort = sort }
    assert(where() == "a C function or metamethod")
    registry._LOADED = nil
    assert(where() == "a C function or metamethod")]])

  it("the loop itself is refused from then on", ends_well [[
    local u, key = loop()
    registry[key] = nil
    u = nil
    collectgarbage() collectgarbage()
    fails("tampered", ctx.now)]])
end)

describe("a script that closes by hand", function()
  it("the world in which it runs ends that run", ends_well [[
    local settled
    fails("closed", ctx.run, { clock = "virtual" }, function(root)
      root:go(function() core.settle() settled = true end)
      root:go(function()
        finalize((debug.getuservalue(loop(), WORLD)))
        coroutine.yield()
      end)
      ctx.sleep(1)
    end)
    assert(not settled)]])

  it("the loop in which it runs ends that run", ends_well [[
    fails("closed", ctx.run, function() finalize(loop()) end)]])

  it("the loop is refused, also where a token is collected after that", ends_well([[
    ctx.track(true)
    do
      local c = ctx.background():with_cancel()
      c:go(c.sleep, 9)
    end
    ctx.yield()
    finalize(loop())
    collectgarbage() collectgarbage()
    fails("closed", ctx.now)]], "-W"))
end)

describe("a debug hook", function()
  it("that runs while the loop is driven cannot wait, or choose the clock", ends_well [[
    local wait, clock
    ctx.background():go(function() for _ = 1, 3 do ctx.yield() end end)
    debug.sethook(function()
      if wait then return end
      wait = select(2, pcall(ctx.sleep, 0)) -- nil before the loop is driven
      clock = wait and select(2, pcall(core.use_virtual_clock))
    end, "c")
    ctx.sleep(0.001)
    debug.sethook()
    assert(wait:find "cannot wait %(yield%)", wait)
    assert(clock:find "before anything runs", clock)]])

  it("that raises twice gives a run up, and no task of another one", ends_well [[
    local other = ctx.background():async(function() ctx.sleep(0.01) return "done" end)
    local armed, closed = 0, false
    debug.sethook(function()
      if armed == 0 then return end
      armed = armed - 1
      error("stop " .. armed, 0)
    end, "c")
    fails("stop 1", ctx.run, function(root)
      root:go(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        ctx.background():sleep(60)
      end)
      ctx.sleep(0.001)
      armed = 2
    end)
    debug.sethook()
    assert(closed)
    assert(select(2, other:join()) == "done")]])
end)

describe("a finalizer that opens the module anew", function()
  it("while the state closes finds it closed", function()
    local output, status = script [[
      local path = package.searchpath("ctx.core", package.cpath)
      local open = package.loadlib(path, "luaopen_ctx_core")
      local meta = debug.getmetatable(ctx.background())
      local gc = meta.__gc
      function meta.__gc(c)
        local ok, again = pcall(open)
        local made, err = pcall(ok and again.with_cancel, c)
        io.write(tostring(made or err), "\n")
        gc(c)
      end
      local root = ctx.root()
      setmetatable({}, { __gc = function() kept = root:with_cancel() end })]]
    assert.equal(0, status, output)
    assert.matches("alive.*the Lua state is being closed", output)
  end)
end)

describe("a wait by hand", function()
  local core = require "ctx.core"

  it("is not woken before it begins", virtual(function()
    core.wake(core.me "nothing")
    assert.is_true(core.park("nothing", 1000000000))
    assert.equal(1, ctx.now())
  end))

  it("for a task that has ended is none", virtual(function(root)
    local t = root:async(function() end)
    t:join()
    assert.is_false(core.park("nothing", nil, t))
  end))
end)
