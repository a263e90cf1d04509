--- Contexts as text.
-- @module ctx.inspect

local core = require "ctx.core"

local inspect = {}

-- Values are shown when that calls no code of theirs.
local function show(value)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then return tostring(value) end
  return kind
end

local function with_deadline(c)
  local instant, left = c:deadline(), c:timeout()
  if not instant then return ".WithDeadline(never)" end
  return (".WithDeadline(%.9g [%.9gs])"):format(instant, left)
end

local part = {
  background = function() return "context.Background" end,
  todo = function() return "context.TODO" end,
  host = function() return "context.Host" end,
  without_cancel = function() return ".WithoutCancel" end,
  cancel = function() return ".WithCancel" end,
  deadline = with_deadline,
  grace = function() return ".WithGrace" end,
  signal = function() return ".NotifySignals" end,
  merge = function() return ".Merge" end,
  value = function(_, key, value) return (".WithValue(%s, %s)"):format(show(key), show(value)) end,
}

--- The chain of a context, from its root, as Go prints it:
-- `context.Background.WithCancel.WithDeadline(<instant> [<left>])`.
-- @tparam context c
-- @treturn string
function inspect.text(c)
  local parts, n = {}, 0
  repeat
    local kind, parent, key, value = core.describe(c)
    n = n + 1
    local name = c:name()
    parts[n] = part[kind](c, key, value) .. (name and ("%q"):format(name) or "")
    c = core.is_context(parent) and parent or nil
  until not c
  for i = 1, n // 2 do parts[i], parts[n + 1 - i] = parts[n + 1 - i], parts[i] end
  return table.concat(parts)
end

return inspect
