--- A test that forgets a task: it fails, and says what was left and where it was started.

package.path = "examples/guide/?.lua;" .. package.path

local retry = require "retry"
local testing = require "ctx.testing"

describe("a test that forgets its task", function()
  it("fails", testing.wrap(function(main)
    main:go(retry, function() return nil, "busy" end, 1)
  end))
end)
