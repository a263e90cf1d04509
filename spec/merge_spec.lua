local ctx = require "ctx"
local helper = require "spec.helper"

local virtual, raised, collect = helper.virtual, helper.raised, helper.collect

describe("a merge", function()
  it("K1 ends with the first of its parents, as that", virtual(function(root)
    local a, b = root:with_cancel(), root:with_timeout(2, "slow")
    local m = ctx.merge(a, b)
    assert.is_false(m:done())
    assert.equal(2, m:deadline())
    assert.is_true(m:wait(3))
    assert.equal(2, ctx.now())
    assert.equal(ctx.DEADLINE_EXCEEDED, m:err())
    assert.equal("slow", m:cause())
    assert.is_false(a:done())
  end))

  it("K1 of parents that are done takes the first listed", virtual(function(root)
    local a, cancel_a = root:with_cancel()
    local b, cancel_b = root:with_cancel()
    cancel_b "b"
    cancel_a "a"
    assert.equal("a", ctx.merge(root, a, b):cause())
    assert.equal("b", ctx.merge(root, b, a):cause())
  end))

  it("K1 has the values of the first, then of the others", virtual(function(root)
    local m = ctx.merge(root:with_value("k", "a"):with_value("only a", 1),
      root:with_value("k", "b"):with_value("only b", 2))
    assert.equal("a", m:value "k")
    assert.equal(1, m:value "only a")
    assert.equal(2, m:value "only b")
    assert.is_nil(m:value "none")
    collect()
    assert.equal(2, m:value "only b")
  end))

  it("K1 is ended by its own cancel alone", virtual(function(root)
    local a, b = root:with_cancel(), root:with_cancel()
    local m, cancel = ctx.merge(a, b)
    local below = m:with_cancel()
    assert.is_true(cancel "mine")
    assert.equal("mine", below:cause())
    assert.is_false(a:done() or b:done())
  end))

  it("H1 runs its hooks, whichever parent ends and whatever is collected", virtual(function(root)
    local ran = {}
    local cancels = {}
    for i = 1, 2 do
      local a, cancel_a = root:with_cancel()
      local b, cancel_b = root:with_cancel()
      ctx.merge(a, b):with_value("k", i):on_done(function(_, cause) ran[i] = cause end)
      cancels[i] = i == 1 and cancel_a or cancel_b
    end
    collect()
    cancels[1] "first"
    cancels[2] "second"
    ctx.sleep(1)
    assert.same({ "first", "second" }, ran)
  end))

  it("P1 wants contexts of one clock", virtual(function(root)
    assert.matches("#1 to '[%w.]*merge' %(ctx.context expected", raised(ctx.merge))
    assert.matches("#2 .*ctx.context expected, got number", raised(ctx.merge, root, 7))
    assert.matches("put the call in parentheses", raised(ctx.merge, root:with_cancel()))
  end))
end)
