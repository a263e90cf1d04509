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

-- ---- the live tree -------------------------------------------------------

local function wrong(c)
  return ("ctx.context expected, got %s"):format(type(c))
end

local function who(entry)
  return entry.name and ("%q"):format(entry.name) or ("context %d"):format(entry.id)
end

local function plural(n, what)
  return n > 0 and (", %d %s%s"):format(n, what, n > 1 and "s" or "") or ""
end

local function describe(entry)
  local text = ("%s %s, %s"):format(entry.kind, who(entry), entry.cause or "live")
  if entry.left then text = text .. (", %.3f s left"):format(entry.left) end
  if entry.age then text = text .. (", %.3f s old"):format(entry.age) end
  if entry.site then text = text .. ", made at " .. entry.site end
  return (text .. plural(entry.hooks, "hook") .. plural(entry.waiters, "waiter")):gsub("%c", " ")
end

--- The live contexts below one, as a table: each `{kind, name, id, cause, left, age, site, hooks,
-- waiters}`, and in its sequence those below it. A background knows its children only while
-- contexts are tracked.
-- @tparam context c
-- @treturn table
-- @raise bad arguments
function inspect.tree(c)
  if not core.is_context(c) then core.argument_error(1, "tree", wrong(c)) end
  local entries = core.snapshot(c)
  for i = 2, #entries do table.insert(entries[entries[i].parent], entries[i]) end
  for _, entry in ipairs(entries) do entry.depth, entry.parent = nil, nil end
  return entries[1]
end

--- The same as text, a line for each, and then a line for each task that waits, and where.
-- @tparam context c
-- @treturn string
-- @raise bad arguments
function inspect.dump(c)
  if not core.is_context(c) then core.argument_error(1, "dump", wrong(c)) end
  local lines = {}
  for i, entry in ipairs(core.snapshot(c)) do
    lines[i] = ("  "):rep(math.min(entry.depth, 60)) .. describe(entry)
  end
  local n, waits = core.unfinished_tasks()
  if n > 0 then lines[#lines + 1] = "tasks:" .. waits end
  return table.concat(lines, "\n")
end

--- The same for Graphviz.
-- @tparam context c
-- @treturn string
-- @raise bad arguments
function inspect.dot(c)
  if not core.is_context(c) then core.argument_error(1, "dot", wrong(c)) end
  local lines = { "digraph contexts {", "  node [shape=box];" }
  for i, entry in ipairs(core.snapshot(c)) do
    local label = describe(entry):gsub('[\\"]', "\\%0")
    lines[#lines + 1] = ('  n%d [label="%s"%s];'):format(i, label, entry.cause and ", style=dashed" or "")
    if i > 1 then lines[#lines + 1] = ("  n%d -> n%d;"):format(entry.parent, i) end
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n")
end

return inspect
