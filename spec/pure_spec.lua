--- What the module asks of the system beside time, threads and memory: nothing.

local helper = require "spec.helper"

local core = assert(package.searchpath("ctx.core", package.cpath))

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

-- A sanitizer has a life of its own; a tool may be missing, or not be permitted to look.
local function is_there(command)
  return (os.getenv "SAN" or "") == "" and output_of(command .. " 2>/dev/null") ~= ""
end

-- Uses what there is, after a look for a file that nobody has.
local script = [[
  local ctx = require "ctx"
  local testing, cqueues_like = require "ctx.testing", {}
  io.open "/the module is loaded"
  local function work(root)
    local ch, g, s = ctx.channel(), root:group { limit = 2 }, ctx.semaphore(2)
    g:go(function(c) s:acquire(1, c) ch:send "a" s:release(1) end)
    assert(ctx.select(ch, root))
    assert(g:wait())
    local c, cancel = root:with_value("k", {}):with_timeout(0.01, "late")
    c:on_done(function() end)
    c:name "named"
    assert(not pcall(ctx.with_timeout, c, "x") and c:dump() ~= "" and c:dot() ~= "")
    assert(c:wait() and tostring(c:origin()) ~= "" and tostring(c) ~= "" and not cancel())
    ctx.shield(1, ctx.sleep, 0.001)
  end
  ctx.track(true)
  ctx.run(work)
  ctx.run({ clock = "virtual" }, work)
  testing.wrap(work)()
  local c <close>, cancel = ctx.with_signal(ctx.background(), "usr1")
  cqueues_like.fd = c:pollfd()
  cancel()
  assert(not c:wait_fd(cqueues_like.fd, "r", 0.001))
  error(ctx.wall(os.time()) and "the end")
]]

describe("the module", function()
  it("opens no file, and looks for none, once it is loaded", function()
    local sees = is_there "strace -e trace=%file true 2>&1 | grep execve"
    if not sees or helper.is_valgrind() then return pending "strace cannot look here" end
    local trace, name = os.tmpname(), os.tmpname()
    local file <close> = assert(io.open(name, "w"))
    file:write(script):flush()
    local said = output_of(table.concat({
      "LUA_PATH_5_4=" .. helper.quote(package.path), "LUA_CPATH_5_4=" .. helper.quote(package.cpath),
      "strace -f -e trace=%file -o", trace, helper.interpreter(), name, "2>&1",
    }, " "))
    assert.matches("the end", said, 1, true)
    local list = assert(io.open(trace)):read "a"
    local from = select(2, assert(list:find '"/the module is loaded"[^\n]*\n'))
    for line in list:sub(from + 1):gmatch "[^\n]+" do
      assert.is_truthy(line:find "^%d+ +[+-][+-][+-]", line)
    end
    os.remove(trace)
    os.remove(name)
  end)

  -- Nor lua_toclose, which some releases of Lua 5.4 get wrong.
  it("imports nothing that opens a file, or reads the environment", function()
    if not is_there("nm -D " .. helper.quote(core)) then return pending "there is no nm to look" end
    local names = output_of("nm -D --undefined-only " .. helper.quote(core))
    assert.matches("U lua_pcallk\n", names)
    for name in names:gmatch "U ([%w_]+)" do
      assert.is_falsy(name:find "open" and name ~= "dlopen" or name:find "getenv" or name:find "stat$"
        or name:find "close" and name ~= "close", name)
    end
  end)
end)
