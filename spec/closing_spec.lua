local ctx = require "ctx"
local core = require "ctx.core"
local helper = require "spec.helper"

local function ends_well(source)
  return function()
    local output, status = helper.script(source)
    assert.equal(0, status, output)
    assert.matches("alive", output, 1, true)
  end
end

describe("a Lua state that closes", function()
  -- Finalizers run in the reverse order of creation: this one after all of the module's.
  it("P2 raises in a finalizer older than the module, and does not crash", ends_well [[
    local ctx, c, cancel, ch
    local _ = setmetatable({}, { __gc = function()
      for _, f in ipairs { ctx.now, ctx.background, ctx.todo, ctx.current, ctx.yield, ctx.channel } do
        pcall(f)
      end
      for _, name in ipairs { "done", "err", "cause", "deadline", "timeout", "wait", "with_cancel", "go" } do
        pcall(ctx[name], c, print)
      end
      pcall(ctx.sleep, 1)
      pcall(ctx.run, print)
      pcall(ctx.run, { clock = "virtual" }, print)
      pcall(cancel)
      pcall(ch.recv, ch)
      io.write "alive"
    end })
    ctx = require "ctx"
    c, cancel = ctx.with_timeout(ctx.background(), 100)
    ch = ctx.channel()
  ]])

  it("P2 lets go of tasks in every wait, and of hooks", ends_well [[
    local ctx = require "ctx"
    local root, cancel = ctx.with_timeout(ctx.background(), 100)
    local ch = ctx.channel()
    root:on_done(print)
    for _, f in ipairs {
      function() ctx.sleep(50) end, function(c) c:sleep(50) end, function(c) c:wait() end,
      function() ch:recv() end, function(c) ctx.select(ch, c, ch, ch) end,
      function(c) c:async(function() ctx.sleep(50) end):join() end,
      function() ctx.run(function(c) c:wait() end) end,
      function() ctx.wrap(function() ctx.sleep(50) end)() end,
    } do root:go(f) end
    ctx.yield()
    root:go(function() end)
    io.write "alive"
  ]])

  it("P2 may close inside a task of a run on a virtual clock", ends_well [[
    local ctx = require "ctx"
    ctx.run({ clock = "virtual" }, function(root)
      root:on_done(print)
      root:go(function() ctx.sleep(5) end)
      ctx.sleep(1)
      io.write "alive"
      os.exit(0, true)
    end)
  ]])
end)

describe("a coroutine that waits for ever, and is dropped", function()
  it("C13 releases the context of its <close> variable", function()
    local contexts, seen = core.counters(), helper.weak()
    coroutine.wrap(function()
      local c <close> = ctx.with_cancel(ctx.background())
      seen.c = c
      coroutine.yield()
    end)()
    helper.collect()
    assert.is_nil(seen.c)
    assert.equal(contexts, (core.counters()))
  end)

  it("P2 may be there when its state closes", ends_well [[
    local ctx = require "ctx"
    kept = coroutine.wrap(function()
      local c <close>, cancel = ctx.with_timeout(ctx.background(), 100)
      c:on_done(cancel)
      coroutine.yield(c)
    end)
    kept():go(function(c) c:wait() end)
    ctx.yield()
    io.write "alive"
  ]])
end)

describe("a run that is given up", function()
  it("ends the tasks of the runs inside it as well, and runs their <close> variables", function()
    local closed = 0
    local ok, err = pcall(ctx.run, { clock = "virtual" }, function(root)
      root:go(function()
        ctx.run(function(inner)
          inner:go(function()
            local _ <close> = helper.closer(function() closed = closed + 1 end)
            ctx.channel():recv(ctx.background())
          end)
        end)
      end)
    end)
    assert.is_false(ok)
    assert.matches("every task waits", err, 1, true)
    assert.equal(1, closed)
    assert.equal(0, (require "ctx.core".unfinished_tasks()))
  end)
end)

describe("a hook registered in a run that is over", function()
  it("H7 raises its error in the wait that drives it", function()
    local c, cancel = ctx.with_cancel(ctx.background())
    ctx.run(function() c:on_done(function() error("late", 0) end) end)
    cancel()
    assert.equal("late", helper.raised(function() ctx.yield() ctx.yield() end))
  end)

  it("ends a run around the ended one", function()
    local c, cancel
    local err = helper.raised(ctx.run, { clock = "virtual" }, function(root)
      c, cancel = ctx.with_cancel(root)
      ctx.run(function() c:on_done(function() error("late", 0) end) end)
      cancel()
      ctx.sleep(1)
    end)
    assert.equal("late", err)
  end)

  it("keeps nothing of its world alive", function()
    local weak = helper.weak()
    ctx.run({ clock = "virtual" }, function(root)
      local below = ctx.with_timeout(ctx.without_cancel(root), 100)
      below:on_done(function() end)
      weak[1] = below
    end)
    helper.collect()
    assert.is_nil(weak[1])
  end)
end)
