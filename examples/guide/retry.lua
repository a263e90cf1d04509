--- Calls a function until it answers, with longer and longer pauses between.

--- @tparam ctx.context c ends it
-- @tparam function fn `fn(c)`: a value, or nil and why not
-- @tparam number pause seconds before the second call; twice that before the next, and so on
-- @treturn[1] any what fn answers
-- @treturn[2] nil
-- @return[2] the err of c, and what fn said last
local function retry(c, fn, pause)
  while true do
    local value, why = fn(c)
    if value ~= nil then return value end
    local slept, err = c:sleep(pause)
    if not slept then return nil, err, why end
    pause = pause * 2
  end
end

return retry
