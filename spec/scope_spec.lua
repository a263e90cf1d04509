local ctx = require "ctx"
local helper = require "spec.helper"

local virtual, raised = helper.virtual, helper.raised

describe("ctx.with", function()
  it("J1 makes a context the current one, across waits", virtual(function(root)
    local c, cancel = root:with_value("k", "v"):with_cancel()
    local seen, sum = ctx.with(c, function(a, b)
      ctx.sleep(1)
      return ctx.current():value "k", a + b
    end, 1, 2)
    assert.equal("v", seen)
    assert.equal(3, sum)
    assert.equal(root, ctx.current())
    root:go(function() ctx.sleep(1) cancel() end)
    assert.equal(ctx.CANCELED, raised(ctx.with, c, function() ctx.sleep(9) end))
    assert.equal(2, ctx.now())
  end))

  it("raises the very error", virtual(function(root)
    local e = {}
    assert.equal(e, raised(root.with, root, function() error(e) end))
    assert.matches("#2 to 'with' %(function expected, got nil", raised(ctx.with, root))
    assert.matches("#1 to 'with' %(ctx.context expected, got no value", raised(ctx.with))
  end))
end)

describe("ctx.shield", function()
  it("lets the clean-up of a canceled task wait", virtual(function(root)
    local c, cancel = root:with_value("k", 7):with_cancel()
    local log = {}
    c:go(function()
      local _ <close> = ctx.defer(function(err)
        log[1] = err
        log[2] = ctx.shield(2, function(x)
          ctx.sleep(1)
          return x + ctx.current():value "k"
        end, 1)
      end)
      ctx.sleep(100)
    end)
    ctx.sleep(1)
    cancel()
    ctx.sleep(5)
    assert.equal(ctx.CANCELED, log[1])
    assert.equal(8, log[2])
  end))

  it("has its own limit", virtual(function()
    assert.equal(ctx.DEADLINE_EXCEEDED, raised(ctx.shield, 2, function() ctx.sleep(9) end))
    assert.equal(2, ctx.now())
    assert.matches("#1 to 'shield'", raised(ctx.shield, "2", print))
    assert.matches("#2 to 'shield' %(function expected", raised(ctx.shield, 2))
  end))
end)

describe("ctx.defer", function()
  it("calls its function when the block is left, with the error if there is one", virtual(function()
    local log = {}
    do
      local _ <close> = ctx.defer(function(err) log[#log + 1] = err or "none" end)
    end
    pcall(function()
      local _ <close> = ctx.defer(function(err) log[#log + 1] = err end)
      error("x", 0)
    end)
    assert.same({ "none", "x" }, log)
    assert.matches("#1 to 'defer' %(function expected, got nil", raised(ctx.defer))
  end))
end)
