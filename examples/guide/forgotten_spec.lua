--- Tests that forget something: each fails, and says what was left, and where it was made.

package.path = "examples/guide/?.lua;" .. package.path

local ctx = require "ctx"
local retry = require "retry"
local testing = require "ctx.testing"

local kept -- what outlives a test

describe("a test that", function()
  it("forgets its task", testing.wrap(function(main)
    main:go(retry, function() return nil, "busy" end, 1)
  end))

  it("keeps a live context", testing.wrap(function(main)
    kept = main:with_timeout(5)
    assert.is_false(kept:done())
  end))

  it("waits for what nobody sends", testing.wrap(function(main)
    local answers = ctx.channel()
    main:go(retry, function() return answers:recv() end, 1)
    main:wait()
  end))
end)
