--- ctx.run: a tree of tasks with one beginning and one end.

local ctx = require "ctx"
local helper = require "spec.helper"
local raised, closer = helper.raised, helper.closer

local virtual_clock = { clock = "virtual" }

--- The facts that hold on both clocks; no time passes in them.
for name, run in pairs {
  ["the real clock"] = ctx.run,
  ["the virtual clock"] = function(...) return ctx.run(virtual_clock, ...) end,
} do
  describe("a run on " .. name, function()
    it("gives its function a live context and the arguments", function()
      run(function(root, ...)
        assert.is_false(root:done())
        assert.equal(root, ctx.current())
        assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(...))
      end, 1, nil, 3, nil)
    end)

    it("answers the results of its function", function()
      assert.same({ 1, nil, 3, nil, n = 4 }, table.pack(run(function()
        ctx.yield()
        return 1, nil, 3, nil
      end)))
      assert.equal(0, select("#", run(function() end)))
    end)

    it("raises the error of its function, the very object", function()
      local err = {}
      for _, e in ipairs { err, "text", 7, false } do
        assert.equal(e, raised(run, function() error(e, 0) end))
      end
      assert.same({ false, nil, n = 2 }, table.pack(pcall(run, function() error(nil) end)))
    end)

    it("joins all its tasks before it answers", function()
      local finished = 0
      local result = run(function(root)
        for i = 1, 5 do
          root:go(function(c)
            for _ = 1, i do ctx.yield() end
            c:go(function() ctx.yield() finished = finished + 1 end)
            finished = finished + 1
          end)
        end
        return "result"
      end)
      assert.equal("result", result)
      assert.equal(10, finished)
    end)

    it("cancels its root with the first error as the cause", function()
      local err = {}
      local cause, root_err
      assert.equal(err, raised(run, function(root)
        root:go(function(c)
          c:wait()
          cause, root_err = c:cause(), c:err()
        end)
        root:go(function() ctx.yield() error(err) end)
        root:wait()
      end))
      assert.equal(err, cause)
      assert.equal(ctx.CANCELED, root_err)
    end)

    it("raises the first of several errors", function()
      assert.same({ "first" }, raised(run, function(root)
        root:go(function() ctx.yield() error { "first" } end)
        root:go(function() ctx.yield() error { "second" } end)
        root:go(function(c)
          local _ <close> = closer(function() error { "third" } end)
          c:wait()
        end)
        root:wait()
        error { "fourth" }
      end))
    end)

    it("joins its tasks also after an error", function()
      local log = {}
      raised(run, function(root)
        for i = 1, 3 do
          root:go(function(c)
            local _ <close> = closer(function()
              ctx.background():sleep(0)
              log[#log + 1] = i
            end)
            c:wait()
          end)
        end
        ctx.yield()
        error "boom"
      end)
      assert.same({ 1, 2, 3 }, log)
    end)

    it("does not cancel its root when its function merely returns", function()
      local seen
      run(function(root)
        root:go(function(c)
          for _ = 1, 5 do ctx.yield() end
          seen = c:done()
        end)
      end)
      assert.is_false(seen)
    end)

    it("runs again, and again after an error", function()
      for i = 1, 100 do
        assert.equal(i, run(function() return i end))
        raised(run, function() error "boom" end)
      end
    end)

    it("leaves the current context of the main thread as it was", function()
      local before = ctx.current()
      run(function() end)
      raised(run, function() error "boom" end)
      assert.equal(before, ctx.current())
    end)

    it("is no place for the tasks of another", function()
      local t
      run(function(root) t = root:async(function() return "result" end) end)
      assert.equal("done", t:status())
    end)
  end)
end

describe("a nested run", function()
  it("answers results and raises errors in its task alone", helper.virtual(function(root)
    assert.equal("inner", ctx.run(function() ctx.sleep(1) return "inner" end))
    assert.equal(1, ctx.now())
    assert.same({ "boom" }, raised(ctx.run, function(inner)
      inner:go(function() ctx.sleep(1) error { "boom" } end)
      inner:wait()
    end))
    assert.equal(2, ctx.now())
    assert.is_false(root:done())
  end))

  it("has a root of its own, which ends with the current context", helper.virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local inner_root
    local t = c:async(function()
      ctx.run(function(inner)
        inner_root = inner
        inner:wait()
        inner:check()
      end)
    end)
    ctx.sleep(1)
    assert.is_false(inner_root == root)
    cancel "from outside"
    t:join()
    assert.equal("from outside", inner_root:cause())
  end))

  it("waits for its own tasks and for no others", helper.virtual(function(root)
    root:go(function() ctx.sleep(10) end)
    local finished = false
    ctx.run(function(inner)
      inner:go(function() ctx.sleep(3) finished = true end)
    end)
    assert.is_true(finished)
    assert.equal(3, ctx.now())
  end))

  it("lets the tasks outside go on", helper.virtual(function(root)
    local ticks = 0
    root:go(function() for _ = 1, 10 do ctx.sleep(1) ticks = ticks + 1 end end)
    ctx.run(function() ctx.sleep(5.5) end)
    assert.equal(5, ticks)
  end))

  it("joins its tasks when the context outside ends", helper.virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local cleaned
    local t = c:async(function()
      ctx.run(function(inner)
        inner:go(function(d)
          d:wait()
          ctx.background():sleep(2)
          cleaned = ctx.now()
        end)
        ctx.sleep(100)
      end)
    end)
    ctx.sleep(1)
    cancel()
    t:join()
    assert.equal(3, cleaned)
    assert.equal(3, ctx.now())
  end))

  it("cannot have a clock of its own in a task", function()
    for _, outer in ipairs { {}, virtual_clock } do
      ctx.run(outer, function()
        local message = raised(ctx.run, virtual_clock, function() end)
        assert.matches("main thread", message, 1, true)
      end)
    end
  end)
end)

describe("a run with a clock of its own", function()
  it("begins at 0 and lets no real time pass", function()
    local before = ctx.now()
    ctx.run(virtual_clock, function()
      assert.equal(0, ctx.now())
      ctx.sleep(100000)
      assert.equal(100000, ctx.now())
    end)
    assert.is_true(ctx.now() - before < 60)
  end)

  it("has a background of its own", function()
    local outside = ctx.background()
    ctx.run(virtual_clock, function(root)
      local inside = ctx.background()
      assert.is_false(inside == outside)
      assert.equal("context.Background", tostring(inside))
      assert.is_true(inside == ctx.background())
      local t = root:async(function() return ctx.background() end)
      assert.same({ true, inside }, { t:join() })
    end)
    assert.equal(outside, ctx.background())
  end)

  it("has a root under that background", function()
    ctx.run(virtual_clock, function(root)
      assert.matches("^context%.Background%.", tostring(root))
      assert.is_nil(root:deadline())
    end)
  end)

  it("raises when the parent is on another clock", function()
    local outside = ctx.with_cancel(ctx.background())
    local value = ctx.with_value(outside, "key", "value")
    ctx.run(virtual_clock, function()
      for _, parent in ipairs { outside, value } do
        for name, arguments in pairs {
          with_cancel = {}, with_timeout = { 1 }, with_deadline = { 1 }, with_value = { "key", 1 },
          without_cancel = {},
        } do
          assert.matches("clock", raised(ctx[name], parent, table.unpack(arguments)))
        end
      end
    end)
    assert.is_false(outside:done())
  end)

  it("cancels its contexts when it ends", function()
    local kept = {}
    ctx.run(virtual_clock, function(root)
      local c = ctx.with_cancel(root)
      kept = { root, c, (ctx.with_timeout(c, 100)), ctx.with_value(c, "key", "value"),
        (ctx.with_cancel(ctx.background())), (ctx.with_timeout(ctx.background(), 100)) }
    end)
    for _, c in ipairs(kept) do
      assert.equal(ctx.CANCELED, c:err())
      assert.is_true(c:wait())
    end
    assert.equal("value", kept[4]:value "key")
    assert.equal(100, kept[3]:deadline())
  end)

  it("cancels its contexts when it fails", function()
    local kept
    raised(ctx.run, virtual_clock, function()
      kept = ctx.with_cancel(ctx.background())
      error "boom"
    end)
    assert.is_true(kept:done())
  end)

  it("knows no other clock than the two", function()
    for _, clock in ipairs { "sundial", "", 1, true, {} } do
      assert.matches("clock", raised(ctx.run, { clock = clock }, function() end))
    end
    assert.equal("fine", ctx.run({}, function() return "fine" end))
  end)

  it("reads its options raw", function()
    local touched = false
    local hostile = setmetatable({}, { __index = function() touched = true end })
    ctx.run(hostile, function() end)
    assert.is_false(touched)
  end)
end)

describe("a run and the tasks outside it", function()
  it("lets them run meanwhile", function()
    local order = {}
    local t = ctx.background():async(function()
      for i = 1, 3 do
        order[#order + 1] = i
        ctx.yield()
      end
    end)
    ctx.run(function() for _ = 1, 5 do ctx.yield() end end)
    assert.same({ 1, 2, 3 }, order)
    assert.equal("done", t:status())
  end)

  it("does not wait for them", function()
    local finished = false
    local c <close> = ctx.with_cancel(ctx.background())
    local t = c:async(function()
      c:wait()
      finished = true
    end)
    assert.equal("result", ctx.run(function() ctx.yield() return "result" end))
    assert.is_false(finished)
    assert.equal("waiting", t:status())
  end)

  it("hears of an error in one of them by raising it", function()
    ctx.background():go(function() error { "outside" } end)
    local ok, err = pcall(function()
      ctx.run(function() for _ = 1, 3 do ctx.yield() end end)
      ctx.yield() -- at the latest
    end)
    assert.is_false(ok)
    assert.same({ "outside" }, err)
    assert.equal("fine", ctx.run(function() return "fine" end))
  end)
end)

describe("a state that closes", function()
  it("says so when tasks are unfinished", function()
    local output, status = helper.script([[
      local ctx = require "ctx"
      ctx.background():go(function() ctx.sleep(100) end)
      ctx.yield()]], "-W")
    assert.equal(0, status, output)
    assert.matches("Lua warning:.*task", output)
  end)

  it("says nothing when all have ended", function()
    local output, status = helper.script([[
      local ctx = require "ctx"
      ctx.background():async(function() ctx.yield() end):join()
      ctx.run({ clock = "virtual" }, function(root)
        root:go(function() ctx.sleep(100) end)
        ctx.with_timeout(root, 5):on_done(function() end)
      end)]], "-W")
    assert.equal("", output)
    assert.equal(0, status)
  end)
end)
