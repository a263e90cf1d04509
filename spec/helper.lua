--- What several specs share: runs on the virtual clock, garbage, other processes.

local ctx = require "ctx"

local helper = {}

--- Makes the body of an `it`: a run on the virtual clock.
-- @tparam function fn `fn(root)`, the main task
-- @treturn function
function helper.virtual(fn)
  return function()
    ctx.run({ clock = "virtual" }, fn)
  end
end

--- Calls a function that must fail.
-- @treturn any what it raised
function helper.raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "an error is expected, and none was raised")
  return err
end

--- Collects all garbage, also what only a finalizer sets free.
function helper.collect()
  for _ = 1, 4 do collectgarbage() end
end

--- A table that keeps none of its values alive.
function helper.weak(t)
  return setmetatable(t or {}, { __mode = "v" })
end

--- A value for `<close>`.
-- @tparam function fn called with the error, if there is one
function helper.closer(fn)
  return setmetatable({}, { __close = function(_, err) fn(err) end })
end

--- A text as one word of the shell.
function helper.quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

--- What starts a Lua as this one was started, for the shell.
-- @treturn string spec/run.sh says it in LUA_COMMAND, with a sanitizer's runtime where one is needed
function helper.interpreter()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return os.getenv "LUA_COMMAND" or helper.quote(arg[first])
end

--- Whether that is valgrind, which is slow, and opens files of its own.
-- @treturn boolean
function helper.is_valgrind()
  return helper.interpreter():find("valgrind", 1, true) ~= nil
end

--- Runs a script in another process, with this one's Lua and its paths.
-- What hangs is killed after 30 seconds, under valgrind after 300.
-- @tparam string source
-- @tparam ?string options of the interpreter
-- @tparam ?string environment `NAME=value`s, for the shell
-- @treturn string what the script printed, errors too
-- @treturn integer its exit status
function helper.script(source, options, environment)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(source)
  file:close()
  local pipe = assert(io.popen(table.concat({
    "exec env",
    "LUA_PATH_5_4=" .. helper.quote(package.path),
    "LUA_CPATH_5_4=" .. helper.quote(package.cpath),
    environment or "",
    "$(command -v timeout >/dev/null && echo timeout " .. (helper.is_valgrind() and 300 or 30) .. ")",
    helper.interpreter(), options or "", helper.quote(name), "2>&1",
  }, " ")))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  os.remove(name)
  return output, status
end

return helper
