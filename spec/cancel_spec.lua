--- Cancel: who ends, in which order, why, and what is left behind.

local ctx = require "ctx"
local helper = require "spec.helper"
local virtual, raised, collect = helper.virtual, helper.raised, helper.collect

describe("cancel", function()
  it("C1 ends the context and all below it before it returns", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local child = ctx.with_cancel(c)
    local value = ctx.with_value(child, "key", "value")
    local timed = ctx.with_timeout(value, 10)
    local leaf = ctx.with_cancel(timed)
    cancel()
    for _, x in ipairs { c, child, value, timed, leaf } do
      assert.is_true(x:done())
      assert.equal(ctx.CANCELED, x:err())
    end
  end))

  it("C2 leaves nothing open for the second caller either", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local leaf = ctx.with_cancel(ctx.with_cancel(c))
    root:go(function() cancel "first" end)
    root:go(function()
      assert.is_false(cancel "second")
      assert.is_true(leaf:done())
      assert.equal("first", leaf:cause())
    end)
  end))

  it("C3 leaves parent and siblings alive", virtual(function(root)
    local parent = ctx.with_cancel(root)
    local left = ctx.with_cancel(parent)
    local _, cancel = ctx.with_cancel(parent)
    local right = ctx.with_cancel(parent)
    cancel()
    for _, c in ipairs { parent, left, right } do assert.is_false(c:done()) end
  end))

  it("C4 answers true the first time and false ever after", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    assert.is_true(cancel "first")
    assert.is_false(cancel "second")
    assert.is_false(cancel())
    assert.equal("first", c:cause())
  end))

  it("C4 answers false when somebody above was first", virtual(function(root)
    local parent, cancel_parent = ctx.with_cancel(root)
    local child, cancel_child = ctx.with_cancel(parent)
    assert.is_true(cancel_parent "above")
    assert.is_false(cancel_child "below")
    assert.equal("above", child:cause())
  end))

  it("C5 makes later children born done", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    cancel "over"
    for _, child in ipairs {
      (ctx.with_cancel(parent)), (ctx.with_timeout(parent, 5)), (ctx.with_deadline(parent, 5)),
      ctx.with_value(parent, "key", "value"),
      (ctx.with_cancel(ctx.with_value(parent, "key", "value"))),
    } do
      assert.is_true(child:done())
      assert.equal(ctx.CANCELED, child:err())
      assert.equal("over", child:cause())
    end
  end))

  it("C5 answers false from the cancel of a child born done", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    cancel()
    local _, cancel_child = ctx.with_cancel(parent)
    assert.is_false(cancel_child())
  end))

  it("C6 loses no child that a hook makes", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    local below = ctx.with_cancel(parent)
    local made = {}
    for _, c in ipairs { parent, below } do
      c:on_done(function()
        made[#made + 1] = ctx.with_cancel(parent)
        made[#made + 1] = ctx.with_timeout(below, 1)
      end)
    end
    cancel "why"
    ctx.sleep(1)
    assert.equal(4, #made)
    for _, c in ipairs(made) do
      assert.equal(ctx.CANCELED, c:err())
      assert.equal("why", c:cause())
    end
  end))

  it("C7 lets a child report that the parent ran out of time", virtual(function(root)
    local parent = ctx.with_timeout(root, 1)
    local before = ctx.with_cancel(parent)
    ctx.sleep(1)
    local after = ctx.with_cancel(parent)
    for _, c in ipairs { before, after } do
      assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
      assert.equal(ctx.DEADLINE_EXCEEDED, c:cause())
    end
  end))

  it("C8 goes from parents to children, depth first, siblings as they were made", virtual(function(root)
    local order, names = {}, {}
    local function node(parent, name)
      local c, cancel = ctx.with_cancel(parent)
      names[#names + 1] = { c, name }
      return c, cancel
    end
    local top, cancel = node(root, "top")
    local a = node(top, "a")
    local b = node(top, "b")
    node(b, "b1")
    local a1 = node(a, "a1")
    node(top, "c")
    node(a1, "a1x")
    node(a, "a2")
    for i = #names, 1, -1 do
      local c, name = table.unpack(names[i])
      c:on_done(function() order[#order + 1] = name end)
    end
    cancel()
    ctx.sleep(1)
    assert.same({ "top", "a", "a1", "a1x", "a2", "b", "b1", "c" }, order)
  end))

  it("C9 leaves no live context between two done ones", virtual(function(root)
    local chain, cancels = { root }, {}
    for i = 1, 50 do chain[i + 1], cancels[i] = ctx.with_cancel(chain[i]) end
    cancels[20]()
    for i = 2, #chain do assert.equal(i > 20, chain[i]:done()) end
  end))

  it("C10 ends a chain of 100,000 and lets it go", virtual(function(root)
    local top, cancel = ctx.with_cancel(root)
    local last = top
    for _ = 1, 100000 do last = ctx.with_cancel(last) end
    assert.is_true(cancel "deep")
    assert.equal(ctx.CANCELED, last:err())
    assert.equal("deep", last:cause())
    top, last = nil, nil -- luacheck: ignore
    collect()
  end))

  it("C10 lets a chain of 100,000 go that nobody has canceled", virtual(function(root)
    local last = root
    for i = 1, 100000 do last = i % 3 == 0 and ctx.with_value(last, i, i) or ctx.with_cancel(last) end
    assert.is_false(last:done())
    last = nil -- luacheck: ignore
    collect()
  end))

  it("C10 ends a fan of 100,000", virtual(function(root)
    local top, cancel = ctx.with_cancel(root)
    local fan = {}
    for i = 1, 100000 do fan[i] = ctx.with_cancel(top) end
    cancel()
    local done = 0
    for _, c in ipairs(fan) do if c:done() then done = done + 1 end end
    assert.equal(100000, done)
  end))

  it("C12 unlinks a canceled child from its parent", virtual(function(root)
    local seen = helper.weak {}
    local parent = ctx.with_cancel(root)
    local function canceled_child()
      seen.token = {}
      local _, cancel = ctx.with_cancel(ctx.with_value(parent, "key", seen.token))
      cancel()
    end
    canceled_child()
    collect()
    assert.is_nil(seen.token)
    assert.is_false(parent:done())
  end))

  it("C13 leaves nothing of a child that was dropped without one", virtual(function(root)
    local seen = helper.weak {}
    local parent, cancel = ctx.with_cancel(root)
    local function dropped(make)
      seen.token = {}
      seen.child = make(ctx.with_value(parent, "key", seen.token))
    end
    for _, make in ipairs {
      ctx.with_cancel,
      ctx.without_cancel,
      function(c) return (ctx.with_cancel(ctx.with_cancel(c))) end,
      function(c) return ctx.with_value(c, "other", "value") end,
    } do
      dropped(make)
      collect()
      assert.is_nil(seen.child)
      assert.is_nil(seen.token)
    end
    assert.is_true(cancel())
  end))

  it("C13 leaves nothing of 200,000 children dropped under one parent", virtual(function(root)
    local function resident()
      local file = io.open "/proc/self/statm"
      if not file then return 0 end
      local pages = file:read("a"):match "^%d+ (%d+)"
      file:close()
      return pages * 4096
    end
    local function dropped_children()
      for _ = 1, 200000 do ctx.with_cancel(root) end
      collect()
      return resident()
    end
    local last, least = dropped_children(), math.huge
    for _ = 1, 3 do -- an allocator keeps some, and grows now and then
      local now = dropped_children()
      last, least = now, math.min(least, now - last)
    end
    assert.is_true(least < 45e6, least) -- to keep them all takes more
  end))

  it("C13 keeps a dropped parent as long as it has a child", virtual(function(root)
    local function grandchild()
      local parent, cancel = ctx.with_cancel(root)
      return ctx.with_cancel(ctx.with_cancel(parent)), cancel
    end
    local c, cancel = grandchild()
    collect()
    assert.is_false(c:done())
    cancel "far above"
    assert.equal("far above", c:cause())
  end))

  it("C13 is never what garbage collection does", virtual(function(root)
    local function child()
      local parent = ctx.with_cancel(root)
      return (ctx.with_cancel(parent))
    end
    local c = child()
    collect()
    assert.is_false(c:done())
  end))
end)

describe("the cancel function", function()
  it("is a plain function", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    assert.equal("function", type(cancel))
    assert.is_true(coroutine.wrap(cancel) "from a coroutine")
    assert.equal("from a coroutine", c:cause())
    for _, make in ipairs { ctx.with_timeout, ctx.with_deadline } do
      assert.equal("function", type(select(2, make(root, 1))))
    end
  end))

  it("is what the context itself does not have", virtual(function(root)
    local c = ctx.with_cancel(root)
    assert.is_nil(c.cancel)
    raised(function() c:cancel() end)
    assert.is_nil(ctx.cancel)
    assert.is_false(c:done())
  end))

  it("is not given with values and detached contexts", virtual(function(root)
    assert.equal(1, select("#", ctx.with_value(root, "key", "value")))
    assert.equal(1, select("#", ctx.without_cancel(root)))
  end))

  it("can be called when its context has been collected", virtual(function(root)
    local function only_cancel() return (select(2, ctx.with_cancel(root))) end
    local cancel = only_cancel()
    collect()
    assert.is_true(cancel())
    assert.is_false(cancel())
  end))

  it("can be called by a task that it ends", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local t = c:async(function()
      cancel()
      ctx.sleep(1)
    end)
    assert.same({ false, ctx.CANCELED }, { t:join() })
    assert.equal(0, ctx.now())
  end))
end)

describe("a cause", function()
  it("E1 is set by the first cancel, together with the err", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    assert.is_nil(c:cause())
    cancel "first"
    cancel "second"
    assert.equal(ctx.CANCELED, c:err())
    assert.equal("first", c:cause())
  end))

  it("E1 is the very value that was given", virtual(function(root)
    local object = setmetatable({}, { __eq = function() return true end })
    local thread = coroutine.create(print)
    for _, cause in ipairs { object, "a\0b", ("x"):rep(100000), 2 ^ 53, math.mininteger, false, thread } do
      local c, cancel = ctx.with_cancel(root)
      local child = ctx.with_cancel(c)
      cancel(cause)
      assert.is_true(rawequal(cause, c:cause()))
      assert.is_true(rawequal(cause, child:cause()))
    end
  end))

  it("E1 lives as long as a context that has it", virtual(function(root)
    local seen = helper.weak {}
    local function canceled()
      local c, cancel = ctx.with_cancel(root)
      local child = ctx.with_cancel(c)
      seen.cause = {}
      cancel(seen.cause)
      return child
    end
    local child = canceled()
    collect()
    assert.equal("table", type(child:cause()))
    assert.equal(seen.cause, child:cause())
    child = nil -- luacheck: ignore
    collect()
    assert.is_nil(seen.cause)
  end))

  it("E1 may refer to its own context and is collected with it", virtual(function(root)
    local seen = helper.weak {}
    local function canceled()
      local c, cancel = ctx.with_cancel(root)
      seen.context, seen.cause = c, { c }
      cancel(seen.cause)
    end
    canceled()
    collect()
    assert.is_nil(seen.context)
    assert.is_nil(seen.cause)
  end))

  it("E2 is the err itself where none is given", virtual(function(root)
    local a, cancel_a = ctx.with_cancel(root)
    local b, cancel_b = ctx.with_cancel(root)
    local timed = ctx.with_timeout(root, 1)
    cancel_a()
    cancel_b(nil)
    ctx.sleep(1)
    assert.equal(ctx.CANCELED, a:cause())
    assert.equal(ctx.CANCELED, b:cause())
    assert.equal(ctx.DEADLINE_EXCEEDED, timed:cause())
  end))

  --- The causes of parent and child after each was canceled, in either order.
  local function causes(root, parent_first, x, y)
    local parent, cancel_parent = ctx.with_cancel(root)
    local child, cancel_child = ctx.with_cancel(parent)
    if parent_first then cancel_parent(x) end
    cancel_child(y)
    cancel_parent(x)
    return { parent:cause(), child:cause() }
  end

  it("E3 of the parent reaches the child, when the parent is first", virtual(function(root)
    assert.same({ "X", "X" }, causes(root, true, "X", "Y"))
    assert.same({ ctx.CANCELED, ctx.CANCELED }, causes(root, true, nil, "Y"))
    assert.same({ "X", "X" }, causes(root, true, "X", nil))
  end))

  it("E3 of the child is its own, when the child is first", virtual(function(root)
    assert.same({ "X", "Y" }, causes(root, false, "X", "Y"))
    assert.same({ ctx.CANCELED, "Y" }, causes(root, false, nil, "Y"))
    assert.same({ "X", ctx.CANCELED }, causes(root, false, "X", nil))
  end))

  it("E4 of a timeout counts when the timer fires", virtual(function(root)
    local a = ctx.with_timeout(root, 1, "slow")
    local b = ctx.with_deadline(root, 1, "late")
    ctx.sleep(1)
    assert.equal("slow", a:cause())
    assert.equal("late", b:cause())
    assert.equal(ctx.DEADLINE_EXCEEDED, a:err())
    assert.equal(ctx.DEADLINE_EXCEEDED, b:err())
  end))

  it("E4 of a timeout does not count when it is canceled before", virtual(function(root)
    local c, cancel = ctx.with_timeout(root, 1, "slow")
    cancel()
    ctx.sleep(2)
    assert.equal(ctx.CANCELED, c:cause())
  end))

  it("E5 of a timeout of zero beats the parent's later one", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    local child = ctx.with_timeout(parent, 0, "X")
    cancel "Y"
    assert.equal(ctx.DEADLINE_EXCEEDED, child:err())
    assert.equal("X", child:cause())
  end))

  it("E5 of a long timeout gives way to the parent's", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    local child = ctx.with_timeout(parent, 100, "X")
    cancel "Y"
    assert.equal(ctx.CANCELED, child:err())
    assert.equal("Y", child:cause())
  end))

  it("E6 is seen through layers of values", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local v = ctx.with_value(ctx.with_value(c, "a", 1), "b", 2)
    local child = ctx.with_cancel(v)
    cancel "through"
    assert.equal("through", v:cause())
    assert.equal("through", child:cause())
  end))
end)

describe("a context that takes <close>", function()
  it("is canceled at the end of its block", virtual(function(root)
    local kept
    do
      local a <close> = ctx.with_cancel(root)
      local b <close>, cancel = ctx.with_timeout(a, 5)
      kept = { a, b, ctx.with_cancel(b), cancel }
      assert.is_false(a:done())
    end
    for i = 1, 3 do assert.equal(ctx.CANCELED, kept[i]:err()) end
    assert.is_false(kept[4]())
  end))

  it("is canceled when its block fails, and the error goes on", virtual(function(root)
    local kept
    local message = raised(function()
      local c <close> = ctx.with_cancel(root)
      kept = c
      error("boom", 0)
    end)
    assert.equal("boom", message)
    assert.equal(ctx.CANCELED, kept:err())
  end))

  it("keeps the end that it already has", virtual(function(root)
    local kept
    do
      local c <close>, cancel = ctx.with_cancel(root)
      kept = c
      cancel "before"
    end
    assert.equal("before", kept:cause())
  end))

  it("does nothing where there is nothing to cancel", virtual(function(root)
    local value, detached
    do
      local a <close> = ctx.with_value(root, "key", "value")
      local b <close> = ctx.without_cancel(root)
      local _ <close> = ctx.background()
      local _ <close> = ctx.todo()
      value, detached = a, b
    end
    for _, c in ipairs { value, detached, root, ctx.background(), ctx.todo() } do
      assert.is_false(c:done())
    end
  end))

  it("P2 still answers when it is closed, and its children are born done", virtual(function(root)
    local kept, cancel
    do
      local c <close>, f = ctx.with_timeout(ctx.with_value(root, "key", "value"), 5)
      kept, cancel = c, f
    end
    assert.is_true(kept:done())
    assert.equal(ctx.CANCELED, kept:cause())
    assert.equal(5, kept:deadline())
    assert.equal("value", kept:value "key")
    assert.is_true(kept:wait())
    assert.same({ nil, ctx.CANCELED }, { kept:sleep(1) })
    assert.equal("string", type(tostring(kept)))
    assert.is_false(cancel())
    assert.is_true(ctx.with_cancel(kept):done())
    assert.equal("value", ctx.with_timeout(kept, 1):value "key")
    assert.equal(0, ctx.now())
  end))

  it("ends its tasks", virtual(function(root)
    local t
    do
      local c <close> = ctx.with_cancel(root)
      t = c:async(function() ctx.sleep(100) end)
      ctx.sleep(1)
    end
    assert.same({ false, ctx.CANCELED }, { t:join() })
    assert.equal(1, ctx.now())
  end))
end)
