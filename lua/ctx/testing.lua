--- Tests on a virtual clock.
--
--     it("ends after three seconds", testing.wrap(function(main, clock)
--       local c <close> = main:with_timeout(3)
--       clock:advance(3)
--       assert.is_true(c:done())
--     end))
--
-- @module ctx.testing

local core = require "ctx.core"

---@class ctx.testing
local testing = {}

--- The virtual clock of a test, which begins at 0. It also jumps by itself, to the next due
-- instant, when every task waits.
-- @type Clock
local Clock = {}
Clock.__index = Clock

local function check_self(self, name)
  if getmetatable(self) ~= Clock then
    core.argument_error(1, name, "ctx.clock expected; call it as clock:" .. name .. "(...)")
  end
end

--- Lets time pass; returns when all that is due by then has run.
-- @tparam number seconds finite, not negative
-- @raise for any other argument; the err of the current context
function Clock:advance(seconds)
  check_self(self, "advance")
  if type(seconds) ~= "number" then
    core.argument_error(1, "advance", "number expected, got " .. type(seconds))
  end
  if not (seconds >= 0 and seconds < math.huge) then
    core.argument_error(1, "advance", "a finite number of seconds expected that is not negative")
  end
  core.sleep(seconds)
  core.settle()
end

--- Returns when every other task waits; time stands still.
function Clock:settle()
  check_self(self, "settle")
  core.settle()
end

-- A second round collects what a finalizer of the first has let go of.
local function collect()
  for _ = 1, 3 do collectgarbage() end
end

local function fail_on_tasks()
  local n, report = core.unfinished_tasks()
  if n > 0 then error(("the test has left %d task(s) that have not ended:%s"):format(n, report), 0) end
end

local function fail_on_contexts(main)
  collect()
  local texts = {}
  for _, c in ipairs(core.live_contexts()) do
    local site = core.snapshot(c)[1].site
    if c ~= main then
      texts[#texts + 1] = ("\n  %s%s"):format(tostring(c), site and ", made at " .. site or "")
    end
  end
  if #texts > 0 then
    error(("the test has left %d context(s) that have not ended:%s"):format(#texts, table.concat(texts)), 0)
  end
end

--- Wraps a test, for `it`: it runs as the main task of a run on a virtual clock.
-- @tparam function test called with the root context of the run and the @{Clock}
-- @treturn function which raises what the test does; else, when the test has left tasks
--   that have not ended, or live contexts that somebody still holds, an error that
--   names them and where they were made
function testing.wrap(test)
  return function()
    core.run({ clock = "virtual" }, function(main)
      core.track(true)
      test(main, setmetatable({}, Clock))
      core.settle()
      fail_on_tasks()
      fail_on_contexts(main)
    end)
  end
end

return testing
