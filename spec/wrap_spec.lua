local ctx = require "ctx"
local helper = require "spec.helper"

local virtual, raised = helper.virtual, helper.raised

describe("ctx.wrap", function()
  it("hands a wait on to the task that calls", virtual(function()
    local next_value = ctx.wrap(function()
      for i = 1, 3 do
        ctx.sleep(1)
        coroutine.yield(i)
      end
    end)
    assert.equal(1, next_value())
    assert.equal(2, next_value())
    assert.equal(2, ctx.now())
  end))

  it("nests", virtual(function()
    local outer = ctx.wrap(function()
      local inner = ctx.wrap(function() ctx.sleep(1) coroutine.yield "inner" ctx.sleep(1) return "end" end)
      coroutine.yield(inner())
      return inner()
    end)
    assert.equal("inner", outer())
    assert.equal("end", outer())
    assert.equal(2, ctx.now())
  end))

  it("raises what a <close> variable raises in place of the error", virtual(function()
    local f = ctx.wrap(function()
      local _ <close> = helper.closer(function() error("second", 0) end)
      error("first", 0)
    end)
    assert.equal("second", raised(f))
  end))

  it("raises when another task waits in the coroutine", virtual(function(root)
    local f = ctx.wrap(function() ctx.sleep(10) return "value" end)
    local first = root:async(f)
    local second = root:async(function() ctx.sleep(1) return f() end)
    local ok, err = second:join()
    assert.is_false(ok)
    assert.matches("another task waits", err, 1, true)
    assert.same({ true, "value" }, { first:join() })
  end))

  -- Whoever closes the coroutine leaves the task in a wait that nobody steps on.
  for name, wait in pairs {
    sleep = function() ctx.sleep(1) end,
    recv = function() ctx.channel():recv(1) end,
    join = function(root) root:async(function() ctx.sleep(9) end):join(1) end,
    select = function() ctx.select(ctx.channel(), ctx.channel(), ctx.channel(), 1) end,
  } do
    it("is told when its coroutine is closed while it waits: " .. name, virtual(function(root)
      local co
      local task = root:async(function()
        local f = ctx.wrap(function() co = coroutine.running() wait(root) end)
        local err = raised(f)
        for _ = 1, 3 do -- the task is none the worse for it
          assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ctx.channel():recv(1) })
          coroutine.yield()
        end
        return err
      end)
      ctx.yield()
      coroutine.close(co)
      local ok, err = task:join()
      assert.is_true(ok, err)
      assert.matches("closed while it waited", err, 1, true)
    end))
  end

  it("leaves a debug hook where it is", function()
    local function hook() end
    local before, main = { debug.gethook() }, coroutine.running()
    ctx.wrap(function()
      debug.sethook(main, hook, "l", 3) -- as a signal's handler would
      ctx.sleep(0.001)
    end)()
    ctx.run(function(root)
      root:go(function() ctx.sleep(0.001) end)
    end)
    local now, mask, count = debug.gethook()
    debug.sethook(table.unpack(before, 1, 3))
    assert.equal(hook, now)
    assert.equal("l", mask)
    assert.equal(3, count)
  end)

  it("runs inside what Lua cannot leave, as long as it does not wait", virtual(function()
    local yields = ctx.wrap(function() for i = 1, 2 do coroutine.yield(i) end end)
    local seen = {}
    table.sort({ 2, 1 }, function(a, b) seen[#seen + 1] = yields() return a < b end)
    assert.equal(1, seen[1])
    local waits = ctx.wrap(function() ctx.sleep(1) end)
    local err
    table.sort({ 2, 1 }, function(a, b) err = err or raised(waits) return a < b end)
    assert.matches("cannot wait", err)
    assert.equal(0, ctx.now())
  end))

  it("cannot resume itself", function()
    local f
    f = ctx.wrap(function() return raised(f) end)
    assert.matches("cannot resume this coroutine", f())
  end)

  it("lets one Ctrl-C through on the main thread", function()
    local output, status = helper.script([[
      local ctx = require "ctx"
      os.execute("(sleep 0.2; kill -INT $PPID) & ")
      ctx.wrap(function() ctx.sleep(20) end)()
    ]])
    assert.not_equal(0, status)
    assert.matches("interrupted!", output, 1, true)
  end)
end)
