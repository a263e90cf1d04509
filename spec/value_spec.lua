--- Values: who sees them, under which key, and for how long; contexts detached from the end.

local ctx = require "ctx"
local helper = require "spec.helper"
local virtual, raised, collect = helper.virtual, helper.raised, helper.collect

local background = ctx.background()

describe("a value", function()
  it("F1 is seen by its context and all below", virtual(function(root)
    local c = ctx.with_value(root, "key", "value")
    local below = ctx.with_timeout(ctx.with_cancel(c), 5)
    assert.equal("value", c:value "key")
    assert.equal("value", below:value "key")
    assert.is_nil(c:value "other")
  end))

  it("F1 is not seen by the parent", function()
    local parent = ctx.with_value(background, "key", "outer")
    ctx.with_value(parent, "other", "inner")
    assert.is_nil(parent:value "other")
    assert.equal("outer", parent:value "key")
    assert.is_nil(background:value "key")
  end)

  it("F1 is looked up in the ancestors, each under its own key", function()
    local c = background
    for i = 1, 100 do c = ctx.with_value(c, i, "value " .. i) end
    for i = 1, 100 do assert.equal("value " .. i, c:value(i)) end
    assert.is_nil(c:value(101))
  end)

  it("F2 shadows an outer one of the same key", function()
    local outer = ctx.with_value(background, "key", "outer")
    local inner = ctx.with_value(outer, "key", "inner")
    assert.equal("inner", inner:value "key")
    assert.equal("outer", outer:value "key")
  end)

  it("F2 shadows also when it is nil or false", function()
    local outer = ctx.with_value(background, "key", "outer")
    assert.is_nil(ctx.with_value(outer, "key", nil):value "key")
    assert.is_nil(ctx.with_value(ctx.with_value(outer, "key", nil), "other", 1):value "key")
    assert.is_false(ctx.with_value(outer, "key", false):value "key")
  end)

  it("F3 is found through every other kind of context", virtual(function(root)
    local c = ctx.with_value(root, "key", "value")
    c = ctx.with_cancel(c)
    c = ctx.with_timeout(c, 5)
    c = ctx.without_cancel(c)
    c = ctx.with_deadline(c, 6)
    c = ctx.with_value(c, "other", 1)
    assert.equal("value", c:value "key")
  end))

  it("F3 is found at the end of a chain of 100,000 values", function()
    local c = ctx.with_value(background, "key", "value")
    for i = 1, 100000 do c = ctx.with_value(c, i, i) end
    assert.equal("value", c:value "key")
    assert.equal(1, c:value(1))
    assert.is_nil(c:value "none")
  end)

  it("F4 stays readable when the context is done", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    local c = ctx.with_value(parent, "key", "value")
    local timed = ctx.with_timeout(c, 1)
    ctx.sleep(1)
    cancel()
    assert.equal("value", c:value "key")
    assert.equal("value", timed:value "key")
    assert.equal("value", ctx.with_cancel(c):value "key")
  end))

  it("F5 adds no end of its own: children belong to the nearest context that can end", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    local v = ctx.with_value(parent, "key", "value")
    local child, cancel_child = ctx.with_cancel(v)
    local other = ctx.with_cancel(v)
    cancel_child()
    assert.is_true(child:done())
    assert.is_false(v:done())
    cancel "above"
    assert.equal("above", other:cause())
  end))

  it("F6 has a key of any type but nil", function()
    local keys = { "key", "", "a\0b", 1, 1.5, math.huge, true, false, {}, print, function() end, background,
      io.stdout, coroutine.create(print), ctx.CANCELED }
    local c = background
    for i, key in ipairs(keys) do c = ctx.with_value(c, key, i) end
    for i, key in ipairs(keys) do assert.equal(i, c:value(key)) end
  end)

  it("F6 has one key for equal integers and floats", function()
    local c = ctx.with_value(background, 1, "one")
    assert.equal("one", c:value(1.0))
    assert.equal("zero", ctx.with_value(c, 0.0, "zero"):value(-0.0))
    assert.equal("zero", ctx.with_value(c, 0.0, "zero"):value(0))
    assert.equal("big", ctx.with_value(c, 2.0 ^ 53, "big"):value(1 << 53))
    assert.is_nil(c:value "1")
    assert.is_nil(c:value(1.5))
  end)

  it("F6 has tables as keys by identity", function()
    local function any() return true end
    local a = setmetatable({}, { __eq = any, __hash = any })
    local b = setmetatable({}, getmetatable(a))
    local c = ctx.with_value(background, a, "a")
    assert.equal("a", c:value(a))
    assert.is_nil(c:value(b))
    assert.equal("long", ctx.with_value(c, ("k"):rep(1000), "long"):value(("k"):rep(1000)))
  end)

  it("F6 cannot have nil or NaN as its key", function()
    for _, call in ipairs {
      function() ctx.with_value(background, nil, 1) end,
      function() ctx.with_value(background, 0 / 0, 1) end,
      function() background:with_value(nil, 1) end,
      function() background:with_value(-(0 / 0), 1) end,
    } do
      assert.matches("bad argument #[12] to 'with_value'", raised(call))
    end
  end)

  it("F6 is false when false is stored", function()
    assert.is_false(ctx.with_value(background, "key", false):value "key")
    assert.is_false(ctx.with_cancel(ctx.with_value(background, "key", false)):value "key")
  end)

  it("F6 is the very value that was stored", function()
    local thread = coroutine.create(print)
    for _, value in ipairs { {}, print, "a\0b", 2 ^ 63, math.mininteger, background, thread } do
      assert.is_true(rawequal(value, ctx.with_value(background, "key", value):value "key"))
    end
    assert.equal("float", math.type(ctx.with_value(background, "key", 1.0):value "key"))
  end)

  it("F8 lives as long as a context that sees it", function()
    local seen = helper.weak {}
    local function below()
      seen.key, seen.value = {}, {}
      local c = ctx.with_value(background, seen.key, seen.value)
      return (ctx.with_cancel((ctx.with_cancel(c))))
    end
    local c = below()
    collect()
    assert.equal("table", type(seen.key))
    assert.equal(seen.value, c:value(seen.key))
    c = nil -- luacheck: ignore
    collect()
    assert.is_nil(seen.key)
    assert.is_nil(seen.value)
  end)

  it("F8 is released once, when the last of several contexts goes", function()
    local released = 0
    local function two()
      local value = setmetatable({}, { __gc = function() released = released + 1 end })
      local c = ctx.with_value(background, "key", value)
      return { (ctx.with_cancel(c)), ctx.with_value(c, "other", 1), ctx.without_cancel(c) }
    end
    local contexts = two()
    while contexts[1] do
      collect()
      assert.equal(0, released)
      table.remove(contexts)
    end
    collect()
    assert.equal(1, released)
    collect()
    assert.equal(1, released)
  end)

  it("F8 that refers to its own context is collected with it", function()
    local seen = helper.weak {}
    local function cycle()
      local c, cancel = ctx.with_cancel(background)
      local value = { cancel = cancel }
      local v = ctx.with_value(c, "key", value)
      value.child = ctx.with_timeout(v, 1000)
      value.context = v
      seen[1], seen[2], seen[3] = v, value, c
    end
    cycle()
    collect()
    assert.same({}, seen)
  end)

  it("F8 that refers to a child of its context is collected with it", function()
    local seen = helper.weak {}
    local function cycle()
      local value = {}
      local c = ctx.with_value(background, "key", value)
      value.child = ctx.with_cancel(ctx.with_cancel(c))
      seen[1], seen[2] = value, value.child
    end
    cycle()
    collect()
    assert.same({}, seen)
  end)

  it("F8 whose key refers to its context is collected with it", function()
    local seen = helper.weak {}
    local function cycle()
      local key = {}
      local c = ctx.with_value(background, key, "value")
      key.context = c
      seen[1], seen[2] = c, key
    end
    cycle()
    collect()
    assert.same({}, seen)
  end)
end)

describe("a detached context", function()
  it("G1 does not end with its parent", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    local c = ctx.without_cancel(parent)
    cancel "why"
    assert.is_false(c:done())
    assert.is_nil(c:err())
    assert.is_nil(c:cause())
  end))

  it("G1 has no deadline", virtual(function(root)
    local c = ctx.without_cancel((ctx.with_timeout(root, 1)))
    assert.is_nil(c:deadline())
    assert.is_nil(c:timeout())
    ctx.sleep(2)
    assert.is_false(c:done())
  end))

  it("G1 lives when its parent is done already", virtual(function(root)
    local parent = ctx.with_timeout(root, 0)
    assert.is_false(ctx.without_cancel(parent):done())
    assert.is_nil(ctx.without_cancel(parent):deadline())
  end))

  it("G1 sees the values of its parent", virtual(function(root)
    local parent, cancel = ctx.with_cancel(ctx.with_value(root, "key", "value"))
    local c = ctx.without_cancel(parent)
    cancel()
    assert.equal("value", c:value "key")
  end))

  it("G2 shields its children from the parent's cancel", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    local c = ctx.without_cancel(parent)
    local child, cancel_child = ctx.with_cancel(ctx.with_value(c, "key", "value"))
    cancel()
    assert.is_false(child:done())
    assert.is_true(cancel_child "own")
    assert.equal("own", child:cause())
  end))

  it("G2 shields its children from the parent's deadline", virtual(function(root)
    local parent = ctx.with_timeout(root, 1)
    local child = ctx.with_timeout(ctx.without_cancel(parent), 5)
    assert.equal(5, child:deadline())
    ctx.sleep(2)
    assert.is_true(parent:done())
    assert.is_false(child:done())
    ctx.sleep(3)
    assert.equal(ctx.DEADLINE_EXCEEDED, child:err())
  end))
end)
