--- The real clock: the few facts that only it can show, with short waits and wide bounds.

local ctx = require "ctx"
local helper = require "spec.helper"

describe("on the real clock", function()
  it("D2 a context ends never before its deadline, and less than a second after", function()
    local c = ctx.with_timeout(ctx.background(), 0.02)
    local before = ctx.now()
    local t = c:async(function() return c:sleep(10) end)
    assert.is_true(c:wait())
    local late = ctx.now() - c:deadline()
    assert.is_true(late >= 0 and late < 1, late)
    assert.is_true(ctx.now() - before >= 0.02)
    assert.same({ true, nil, ctx.DEADLINE_EXCEEDED }, { t:join() })
  end)

  it("B8 a context is done from its deadline on, though nothing has driven the loop", function()
    local parent = ctx.with_timeout(ctx.background(), 0.002, "slow")
    local child = ctx.with_value(ctx.with_cancel(parent), "key", "value")
    while ctx.now() < parent:deadline() do end -- luacheck: ignore
    assert.is_true(child:done())
    assert.equal(ctx.DEADLINE_EXCEEDED, child:err())
    assert.equal("slow", child:cause())
    assert.is_true(parent:done())
  end)

  it("J4 one Ctrl-C ends a wait at once", function()
    local before = os.time()
    local output, status = helper.script [[
      local ctx = require "ctx"
      ctx.background():go(function() while true do ctx.sleep(0.01) end end)
      os.execute "(sleep 0.1; kill -INT $PPID) >/dev/null 2>&1 &"
      ctx.sleep(20)
      print "slept it all"]]
    assert.matches("interrupted!", output, 1, true)
    assert.equal(1, status)
    assert.is_nil(output:find "slept it all")
    assert.is_true(os.time() - before < 15)
  end)

  it("J4 no other signal ends a wait early", function()
    local output, status = helper.script [[
      local ctx = require "ctx"
      os.execute "(sleep 0.05; kill -STOP $PPID; kill -CONT $PPID) >/dev/null 2>&1 &"
      local before = ctx.now()
      print(ctx.background():sleep(0.2))
      print(ctx.now() - before >= 0.2)]]
    assert.equal("true\ntrue\n", output)
    assert.equal(0, status)
  end)
end)
