--- on_done: what runs when a context has ended, and what keeps it until then.

local ctx = require "ctx"
local helper = require "spec.helper"
local virtual, raised, collect = helper.virtual, helper.raised, helper.collect

local function nothing() end

describe("a hook", function()
  it("H1 runs once, after the end and not before", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local ran = 0
    c:on_done(function() ran = ran + 1 end)
    ctx.sleep(1)
    assert.equal(0, ran)
    cancel()
    ctx.sleep(1)
    assert.equal(1, ran)
    cancel()
    ctx.sleep(1)
    assert.equal(1, ran)
  end))

  it("H1 runs at once on a done context", virtual(function(root)
    local c = ctx.with_timeout(root, 0, "cause")
    local got
    c:on_done(function(...) got = table.pack(...) end)
    ctx.sleep(0.001)
    assert.same({ ctx.DEADLINE_EXCEEDED, "cause", n = 2 }, got)
  end))

  it("H1 runs at the deadline", virtual(function(root)
    local at
    ctx.with_timeout(root, 3):on_done(function() at = ctx.now() end)
    ctx.sleep(5)
    assert.equal(3, at)
  end))

  it("H1 has run when who has canceled lets others run once", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local order = {}
    for i = 1, 3 do c:on_done(function() order[i] = #order + 1 end) end
    cancel()
    ctx.yield()
    assert.same({ 1, 2, 3 }, order)
  end))

  it("is given err and cause", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local got = {}
    c:on_done(function(...) got[1] = { ... } end)
    ctx.with_value(c, "key", "value"):on_done(function(...) got[2] = { ... } end)
    ctx.on_done(c, function(...) got[3] = { ... } end)
    cancel "why"
    ctx.sleep(1)
    for i = 1, 3 do assert.same({ ctx.CANCELED, "why" }, got[i]) end
  end))

  it("H2 can be stopped once its run is over, which has not run it", function()
    local stop
    ctx.run({ clock = "virtual" }, function(root)
      stop = root:without_cancel():with_cancel():on_done(error)
    end)
    assert.is_true(stop())
    assert.is_false(stop())
  end)

  it("H2 that is stopped in time never runs: true, then false", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local ran = false
    local stop = c:on_done(function() ran = true end)
    assert.equal("function", type(stop))
    assert.is_true(stop())
    assert.is_false(stop())
    cancel()
    ctx.sleep(1)
    assert.is_false(ran)
    assert.is_false(stop())
  end))

  it("H2 that has run cannot be stopped", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local stop = c:on_done(nothing)
    cancel()
    ctx.sleep(1)
    assert.is_false(stop())
  end))

  it("H2 either runs or is stopped, also between the end and its start", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local ran = false
    local stop = c:on_done(function() ran = true end)
    cancel()
    local stopped = stop()
    ctx.sleep(1)
    assert.is_true(stopped ~= ran)
    assert.is_false(stop())
  end))

  it("H2 cannot stop itself while it runs", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local stop, answer
    stop = c:on_done(function() answer = stop() end)
    cancel()
    ctx.sleep(1)
    assert.is_false(answer)
  end))

  it("H2 may stop the one after it", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local ran = {}
    local stop, answer
    c:on_done(function()
      ran[#ran + 1] = 1
      answer = stop()
    end)
    stop = c:on_done(function() ran[#ran + 1] = 2 end)
    cancel()
    ctx.sleep(1)
    assert.same(answer and { 1 } or { 1, 2 }, ran)
  end))

  it("H3 that is stopped lets go of its function", virtual(function(root)
    local seen = helper.weak {}
    local c = ctx.with_cancel(root)
    local function stopped()
      local token = {}
      local function hook() return token end
      seen.token, seen.hook = token, hook
      local stop = c:on_done(hook)
      stop()
      return stop
    end
    local stop = stopped()
    collect()
    assert.same({}, seen)
    assert.is_false(stop())
    assert.is_false(c:done())
  end))

  it("lets go of its function when it has run", virtual(function(root)
    local seen = helper.weak {}
    local c, cancel = ctx.with_cancel(root)
    local function registered()
      local token = {}
      seen.token = token
      return c:on_done(function() return token end)
    end
    local stop = registered()
    collect()
    assert.is_not_nil(seen.token)
    cancel()
    ctx.sleep(1)
    collect()
    assert.same({}, seen)
    assert.is_false(stop())
  end))

  it("H4 may cancel, create, register and stop anything, its own context included", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local child, cancel_child = ctx.with_cancel(c)
    local _, cancel_other = ctx.with_cancel(root)
    local log = {}
    c:on_done(function()
      assert.is_false(cancel())
      assert.is_false(cancel_child())
      assert.is_true(cancel_other())
      c:on_done(function() log[#log + 1] = "late" end)
      local stop = child:on_done(nothing)
      stop()
      local fresh, cancel_fresh = ctx.with_cancel(root)
      fresh:on_done(function() log[#log + 1] = "fresh" end)
      cancel_fresh()
      log[#log + 1] = "first"
    end)
    cancel()
    ctx.sleep(1)
    assert.same({ "first", "late", "fresh" }, log)
  end))

  it("H4 may wait", virtual(function(root)
    local c = ctx.with_timeout(root, 1)
    local at
    c:on_done(function()
      ctx.sleep(2)
      root:sleep(3)
      at = ctx.now()
    end)
    ctx.sleep(10)
    assert.equal(6, at)
  end))

  it("H5 is not waited for by cancel", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local ran = false
    c:on_done(function() ran = true end)
    cancel()
    assert.is_false(ran)
    ctx.sleep(1)
    assert.is_true(ran)
  end))

  it("H5 is never run by a query", virtual(function(root)
    local c = ctx.with_timeout(root, 0)
    local ran = false
    c:on_done(function() ran = true end)
    assert.is_true(c:done())
    assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
    assert.equal(ctx.DEADLINE_EXCEEDED, c:cause())
    tostring(c)
    assert.is_false(ran)
  end))

  it("H5 runs as a task whose current context is the run's root", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local current, yieldable, main
    c:go(function(inner)
      inner:on_done(function()
        current = ctx.current()
        yieldable = coroutine.isyieldable()
        main = select(2, coroutine.running())
      end)
    end)
    ctx.sleep(1)
    cancel()
    ctx.sleep(1)
    assert.equal(root, current)
    assert.is_true(yieldable)
    assert.is_false(main)
  end))

  it("H5 has the root as its current context outside a run", function()
    local c, cancel = ctx.with_cancel(ctx.background())
    local current
    c:on_done(function() current = ctx.current() end)
    cancel()
    ctx.background():async(function() for _ = 1, 3 do ctx.yield() end end):join()
    assert.equal(ctx.root(), current)
  end)

  it("H7 runs in the order of registration", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local order = {}
    for i = 1, 100 do c:on_done(function() order[#order + 1] = i end) end
    cancel()
    ctx.sleep(1)
    for i = 1, 100 do assert.equal(i, order[i]) end
  end))

  it("H7 does not depend on the others: stops among them", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local order, stops = {}, {}
    for i = 1, 10 do stops[i] = c:on_done(function() order[#order + 1] = i end) end
    for i = 2, 10, 2 do assert.is_true(stops[i]()) end
    cancel()
    ctx.sleep(1)
    assert.same({ 1, 3, 5, 7, 9 }, order)
  end))

  for position = 1, 3 do
    it("H7 that fails is fatal to the run and stops no other: position " .. position, function()
      local order = {}
      assert.same({ "boom" }, raised(ctx.run, { clock = "virtual" }, function(root)
        local c, cancel = ctx.with_cancel(root)
        for i = 1, 3 do
          c:on_done(function()
            order[#order + 1] = i
            if i == position then error { "boom" } end
          end)
        end
        cancel()
        root:wait()
      end))
      assert.same({ 1, 2, 3 }, order)
    end)
  end

  it("H7 that fails outside a run raises from the wait that drives it", function()
    local c, cancel = ctx.with_cancel(ctx.background())
    c:on_done(function() error { "boom" } end)
    cancel()
    assert.same({ "boom" }, raised(function() for _ = 1, 10 do ctx.yield() end end))
  end)

  it("H8 on what never ends never runs; stop is true, then false", virtual(function(root)
    local ran = false
    for _, c in ipairs { ctx.background(), ctx.todo(), ctx.without_cancel(root),
      ctx.with_value(ctx.background(), "key", "value") } do
      local stop = c:on_done(function() ran = true end)
      ctx.sleep(1)
      assert.is_true(stop())
      assert.is_false(stop())
    end
    ctx.background():on_done(function() ran = true end)
    ctx.sleep(1)
    assert.is_false(ran)
  end))

  it("H9 finds its context done", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local below = ctx.with_cancel(c)
    local seen = {}
    c:on_done(function() seen[#seen + 1] = c:done() and below:done() end)
    below:on_done(function() seen[#seen + 1] = c:done() and below:done() end)
    cancel()
    ctx.sleep(1)
    assert.same({ true, true }, seen)
  end))

  it("is joined by its run", function()
    local finished
    ctx.run({ clock = "virtual" }, function(root)
      local c, cancel = ctx.with_cancel(root)
      c:on_done(function() ctx.sleep(5) finished = ctx.now() end)
      cancel()
    end)
    assert.equal(5, finished)
  end)

  it("is one of ten thousand", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local ran = 0
    for _ = 1, 10000 do c:on_done(function() ran = ran + 1 end) end
    cancel()
    ctx.sleep(1)
    assert.equal(10000, ran)
  end))
end)

describe("a hook that could run is not lost to garbage collection when only", function()
  --- Registers by make(root, hook), collects, ends by what make returned, and counts.
  local function kept(make)
    return virtual(function(root)
      local ran = 0
      local finish = make(root, function() ran = ran + 1 end)
      collect()
      ctx.sleep(1)
      collect()
      assert.equal(0, ran)
      if finish then finish() end
      ctx.sleep(10)
      assert.equal(1, ran)
    end)
  end

  it("the cancel function is held", kept(function(root, hook)
    local c, cancel = ctx.with_cancel(root)
    c:on_done(hook)
    return cancel
  end))

  it("the cancel function of a child of background is held", kept(function(_, hook)
    local c, cancel = ctx.with_cancel(ctx.background())
    c:on_done(hook)
    return cancel
  end))

  it("its armed timer is left", kept(function(root, hook)
    ctx.with_timeout(root, 5):on_done(hook)
  end))

  it("its armed timer is left, under background", kept(function(_, hook)
    ctx.with_timeout(ctx.background(), 5):on_done(hook)
  end))

  it("the cancel function of an ancestor is held", kept(function(_, hook)
    local top, cancel = ctx.with_cancel(ctx.background())
    local c = ctx.with_cancel(ctx.with_value(ctx.with_cancel(top), "key", "value"))
    c:on_done(hook)
    return cancel
  end))

  it("the armed timer of an ancestor is left", kept(function(_, hook)
    local top = ctx.with_timeout(ctx.background(), 5)
    ctx.with_cancel(ctx.with_value(ctx.with_cancel(top), "key", "value")):on_done(hook)
  end))

  it("the handle of an ancestor is held, whose timer is armed", kept(function(root, hook)
    local top = ctx.with_timeout(root, 5)
    ctx.with_value(top, "key", "value"):on_done(hook)
    return function() assert.is_false(top:done()) end
  end))

  it("the cancel function of an ancestor is held, and handles between were made anew", kept(function(_, hook)
    local top, cancel = ctx.with_cancel(ctx.background())
    local function middle() return ctx.with_cancel((ctx.with_cancel(top))) end
    local c = middle()
    collect()
    c:on_done(hook)
    return cancel
  end))

  it("a value of a context that is held holds the cancel function", kept(function(root, hook)
    local c, cancel = ctx.with_cancel(ctx.background())
    c:on_done(hook)
    local holder = ctx.with_value(root, "cancel", cancel)
    return function() holder:value "cancel" () end
  end))

  it("the hook of another context holds the cancel function", kept(function(root, hook)
    local c, cancel = ctx.with_cancel(ctx.background())
    c:on_done(hook)
    ctx.with_timeout(root, 5):on_done(function() cancel() end)
  end))
end)

describe("a cycle through a hook is collected when nothing can end it:", function()
  --- On the real clock's background: nothing but what the script holds can end these.
  local function collected(make)
    return function()
      local seen = helper.weak {}
      make(seen)
      collect()
      assert.same({}, seen)
    end
  end

  it("context to hook to context", collected(function(seen)
    local c = ctx.with_cancel(ctx.background())
    local function hook() return c:done() end
    c:on_done(hook)
    seen[1], seen[2] = c, hook
  end))

  it("context to hook to cancel", collected(function(seen)
    local c, cancel = ctx.with_cancel(ctx.background())
    local function hook() cancel() end
    c:on_done(hook)
    seen[1], seen[2], seen[3] = c, hook, cancel
  end))

  it("context to hook to its own stop", collected(function(seen)
    local c = ctx.with_cancel(ctx.background())
    local stop
    local function hook() stop() end
    stop = c:on_done(hook)
    seen[1], seen[2], seen[3] = c, hook, stop
  end))

  it("parent to the child's hook to parent", collected(function(seen)
    local parent, cancel = ctx.with_cancel(ctx.background())
    local child = ctx.with_value(ctx.with_cancel(parent), "key", "value")
    local function hook() return parent, cancel, child end
    child:on_done(hook)
    seen[1], seen[2], seen[3], seen[4] = parent, child, hook, cancel
  end))

  it("two contexts, each in the hook of the other", collected(function(seen)
    local a, cancel_a = ctx.with_cancel(ctx.background())
    local b, cancel_b = ctx.with_cancel(ctx.background())
    a:on_done(function() cancel_b() end)
    b:on_done(function() cancel_a() end)
    seen[1], seen[2] = a, b
  end))

  it("a hook that was stopped", collected(function(seen)
    local c = ctx.with_cancel(ctx.background())
    local function hook() return c end
    local stop = c:on_done(hook)
    stop()
    seen[1], seen[2], seen[3] = c, hook, stop
  end))

  it("a hook in the value of its context", collected(function(seen)
    local hook = function() end
    local c = ctx.with_cancel(ctx.with_value(ctx.background(), "key", hook))
    c:on_done(hook)
    seen[1], seen[2] = c, hook
  end))

  it("a timed context that has been canceled", collected(function(seen)
    local c, cancel = ctx.with_timeout(ctx.background(), 3600)
    local function hook() return c, cancel end
    local stop = c:on_done(hook)
    stop()
    cancel()
    seen[1], seen[2], seen[3] = c, hook, cancel
  end))
end)
