package.path = "examples/guide/?.lua;" .. package.path

local ctx = require "ctx"
local retry = require "retry"
local testing = require "ctx.testing"

describe("retry", function()
  it("pauses 1, 2 and 4 seconds", testing.wrap(function(main)
    local instants = {}
    local answer = retry(main, function()
      table.insert(instants, ctx.now())
      if #instants == 4 then return "there" end
      return nil, "busy"
    end, 1)
    assert.equal("there", answer)
    assert.same({ 0, 1, 3, 7 }, instants) -- no time has passed here
  end))

  it("ends with its context, in the middle of a pause", testing.wrap(function(main, clock)
    local c <close>, cancel = main:with_cancel()
    local task = main:async(function() return retry(c, function() return nil, "busy" end, 1) end)
    clock:advance(4) -- all that is due by then has run
    assert.equal("waiting", task:status())
    cancel()
    assert.same({ true, nil, ctx.CANCELED, "busy" }, { task:join() })
    assert.equal(4, ctx.now())
  end))

  it("tries at once, and again after a second", testing.wrap(function(main, clock)
    local n = 0
    local c <close> = main:with_cancel() -- ends the task with the test
    c:go(retry, function() n = n + 1 return nil, "busy" end, 1)
    clock:settle() -- every other task waits, and no time has passed
    assert.equal(1, n)
    clock:advance(1)
    assert.equal(2, n)
  end))

  it("gives up at the deadline", testing.wrap(function(main)
    local c <close> = main:with_timeout(5)
    assert.same({ nil, ctx.DEADLINE_EXCEEDED, "busy" },
      { retry(c, function() return nil, "busy" end, 1) })
    assert.equal(5, ctx.now())
  end))
end)
