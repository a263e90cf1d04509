-- run - busted, under the Lua that runs this file, reporting as the C tests do
--
--   lua5.4 spec/run.lua [busted's arguments]
--
-- One line for each test: 'ok - subject: title', 'not ok - ...' with the
-- message below it, or 'skip - ...'. spec/run.sh counts them.

local function report(kind, busted, element, message)
  local subject, parent = {}, busted.parent(element)
  while parent and parent.descriptor ~= "file" do
    if parent.name then table.insert(subject, 1, parent.name) end
    parent = busted.parent(parent)
  end
  if #subject == 0 then subject[1] = parent and parent.name or "spec" end
  local title = element.name or element.descriptor
  print(("%s - %s: %s"):format(kind, table.concat(subject, " "), title))
  if message ~= nil then
    if type(message) ~= "string" then message = require "pl.pretty".write(message) end
    print("  " .. message:gsub("%s+$", ""):gsub("\n", "\n  "))
  end
end

local function handler()
  local busted = require "busted"

  local function failed(element, _, message, trace)
    local text = message
    if type(text) == "string" and trace and trace.traceback then text = text .. trace.traceback end
    report("not ok", busted, element, text)
    return nil, true
  end

  local function ended(element, _, status)
    if status == "success" then report("ok", busted, element) end
    if status == "pending" then report("skip", busted, element) end
    return nil, true
  end

  return {
    subscribe = function()
      io.stdout:setvbuf "line"
      busted.subscribe({ "test", "end" }, ended)
      busted.subscribe({ "failure" }, failed)
      busted.subscribe({ "error" }, failed)
    end,
  }
end

package.preload["busted.outputHandlers.lines"] = function() return handler end

-- Files whose scripts keep to one thread, and take long: there is nothing that the thread sanitizer
-- might see. The address sanitizer sees them.
local one_thread = {
  "arguments", "channel", "examples", "guide", "hostile", "pure", "select", "stranger",
  "tamper", "types", "virtual",
}

if os.getenv "SAN" == "thread" and #arg == 0 then
  for name in require "lfs".dir "spec" do
    local stem = name:match "^(.*)_spec%.lua$"
    local left = not stem
    for _, left_out in ipairs(one_thread) do left = left or stem == left_out end
    if not left then table.insert(arg, "spec/" .. name) end
  end
  table.sort(arg)
end

require "busted.runner" { standalone = false, output = "lines" }
