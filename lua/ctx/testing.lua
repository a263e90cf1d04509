--- Tests on a virtual clock.
--
--     it("ends after three seconds", testing.wrap(function(main, clock)
--       local c = main:with_timeout(3)
--       clock:advance(3)
--       assert.is_true(c:done())
--     end))
--
-- @module ctx.testing

local core = require "ctx.core"

local testing = {}

local clock = {}
clock.__index = clock

--- Lets time pass; returns when all that is due by then has run.
-- @tparam number seconds not negative
-- @raise when `seconds` is not a number
function clock:advance(seconds)
  core.sleep(seconds)
  self:settle()
end

--- Returns when every other task waits.
function clock:settle() -- luacheck: no unused args
  core.settle()
end

-- Two rounds: what a finalizer lets go of is collected in the second.
local function collect()
  collectgarbage()
  collectgarbage()
end

--- Wraps a test, for `it`: it runs as the main task of a run on a virtual clock that begins at 0.
-- Fails when the test does, and when it leaves contexts, hooks or timers behind.
-- @tparam function test called with the root context of the run and the clock
-- @treturn function
function testing.wrap(test)
  return function()
    core.run({ clock = "virtual" }, function(main)
      test(main, setmetatable({}, clock))
      return main
    end)
  end
end

testing.collect = collect

return testing
