local ctx = require "ctx"
local helper = require "spec.helper"

local virtual, raised = helper.virtual, helper.raised

describe("a deadline that is moved", function()
  it("D13 moves later, and all below follow", virtual(function(root)
    local c, cancel = root:with_timeout(2)
    local below = c:with_value("k", 1):with_cancel()
    local woke
    below:go(function(self) self:wait() woke = ctx.now() end)
    ctx.sleep(1)
    assert.is_true(ctx.extend(cancel, 5))
    assert.equal(6, below:deadline())
    ctx.sleep(4.5)
    assert.is_false(below:done())
    ctx.sleep(1)
    assert.equal(6, woke)
  end))

  it("D13 moves beyond all time", virtual(function(root)
    local c, cancel = root:with_timeout(2)
    ctx.sleep(1)
    assert.is_true(ctx.extend(cancel, math.maxinteger // 1000000000)) -- more than is left
    assert.is_nil(c:deadline())
    assert.is_true(ctx.extend(cancel, 1))
    assert.equal(2, c:deadline())
  end))

  it("D13 moves earlier, and wakes who waits", virtual(function(root)
    local c, cancel = root:with_timeout(100)
    local woke
    c:with_cancel():go(function(self) self:sleep(50) woke = ctx.now() end)
    ctx.sleep(1)
    assert.is_true(ctx.extend(cancel, 2))
    ctx.sleep(3)
    assert.equal(3, woke)
    assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
  end))

  it("D13 moved to the past ends at once, and never is for ever", virtual(function(root)
    local c, cancel = root:with_timeout(1)
    assert.is_true(ctx.extend(cancel, math.huge))
    assert.is_nil(c:deadline())
    ctx.sleep(1000)
    assert.is_false(c:done())
    assert.is_true(ctx.extend(cancel, 0))
    assert.is_true(c:done())
    assert.is_false(ctx.extend(cancel, 1))
  end))

  it("D5 stays under that of the parent", virtual(function(root)
    local p, cancel_p = root:with_timeout(2)
    local c, cancel = p:with_timeout(5, "mine")
    assert.is_true(ctx.extend(cancel, 9))
    assert.equal(2, c:deadline())
    ctx.extend(cancel_p, 20)
    assert.equal(9, c:deadline())
    ctx.sleep(10)
    assert.equal("mine", c:cause())
    assert.is_false(p:done())
  end))

  it("P1 belongs to a cancel function of a context with a deadline", virtual(function(root)
    local _, cancel = root:with_cancel()
    assert.matches("not one of with_timeout", raised(ctx.extend, cancel, 1))
    assert.matches("cancel function expected, got table", raised(ctx.extend, {}, 1))
    local _, cancel_timeout = root:with_timeout(1)
    assert.matches("NaN", raised(ctx.extend, cancel_timeout, 0 / 0))
  end))
end)

describe("a context without cancel", function()
  it("G1 keeps the deadline when that is wanted", virtual(function(root)
    local p, cancel = root:with_timeout(3)
    local c = p:with_value("k", 1):without_cancel { deadline = true }
    cancel()
    assert.is_false(c:done())
    assert.equal(1, c:value "k")
    ctx.sleep(3)
    assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
  end))

  it("G1 ends a grace after its parent when that is wanted", virtual(function(root)
    local p, cancel = root:with_cancel()
    local c = p:without_cancel { grace = 2 }
    local below = c:with_cancel()
    ctx.sleep(5)
    cancel()
    assert.is_false(c:done())
    assert.equal(7, below:deadline())
    ctx.sleep(2)
    assert.is_true(below:done())
    assert.equal("parent", below:origin().kind)
  end))

  it("G1 ends by its own cancel before", virtual(function(root)
    local p = root:with_timeout(1)
    local c, cancel = p:without_cancel { grace = 2 }
    assert.equal(3, c:deadline())
    assert.is_true(cancel "enough")
    assert.equal("enough", c:cause())
  end))

  it("P1 knows its options", virtual(function(root)
    for _, options in ipairs { {}, { grace = 1, deadline = true }, { deadline = 1 }, { grase = 1 } } do
      assert.matches("option", raised(ctx.without_cancel, root, options))
    end
    assert.matches("number expected", raised(ctx.without_cancel, root, { grace = "1" }))
  end))
end)
