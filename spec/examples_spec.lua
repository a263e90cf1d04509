local ctx = require "ctx"
local helper = require "spec.helper"
local testing = require "ctx.testing"

-- What a program prints on the virtual clock of this run, in the form of the tables below.
local function run_here(path)
  local seen = {}
  local function record(line) seen[#seen + 1] = ("%g %s"):format(ctx.now(), line) end
  local env = setmetatable({ print = record }, { __index = _G })
  assert(loadfile(path, "t", env))()
  record "end"
  return seen
end

-- What a program prints, errors too, in a process of its own, with these same modules.
local function run_alone(path)
  local command = ("LUA_PATH_5_4=%s LUA_CPATH_5_4=%s %s -l ctx.virtual %s 2>&1"):format(
    helper.quote(package.path), helper.quote(package.cpath), helper.interpreter(), path)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

local function output_of(lines)
  local text = table.concat(lines, "\n", 1, #lines - 1) .. "\n"
  return (("\n" .. text):gsub("\n%d+ ", "\n"):sub(2))
end

local checked = {}
local runs = (os.getenv "SAN" or "") == "" and 20 or 2

-- An example and what it guarantees: lines of the form "<seconds> <line>", a blank at
-- their end counts, and last "<seconds> end".
local function example(file, guarantee, text)
  local path, expected = "examples/" .. file, {}
  for line in text:gmatch "[^\n]+" do expected[#expected + 1] = line end
  checked[#checked + 1] = file

  describe("the example " .. file, function()
    it(guarantee, testing.wrap(function()
      assert.same(expected, run_here(path))
    end))

    it(("Q4 prints the same bytes in %d of %d runs"):format(runs, runs), function()
      for _ = 1, runs do assert.equal(output_of(expected), run_alone(path)) end
    end)
  end)
end

example("work_tree.lua", "S1 ends each branch at its instant", [[
0 work1  is running
0 work2  is running
0 work3  is running with value custom value
1 work1  is running
1 work2  is running
1 work3  is running with value custom value
2 work1  is running
2 work2  is running
2 work3  is running with value custom value
3 work2  get message to quit
3 work3  get message to quit
3 work1  is running
4 work1  is running
5 work1  get message to quit
6 end
]])

local collect = [[
0 收集服务器资源中....
2 收集服务器资源中....
4 收集服务器资源中....
6 收集服务器资源中....
8 收集服务器资源中....
10 收集任务结束
11 end
]]

example("collect_channel.lua", "S2 stops the worker by a value on a channel", collect)
example("collect_context.lua", "S2 stops the worker by a context", collect)

local monitor = [[
0 监控器1，正在监控中...
0 监控器2，正在监控中...
0 监控器3，正在监控中...
0 监控器4，正在监控中...
0 监控器5，正在监控中...
2 监控器1，监控结束。
2 监控器2，监控结束。
2 监控器3，监控结束。
2 监控器4，监控结束。
2 监控器5，监控结束。
5 监控器取消的原因:  context deadline exceeded
5 主程序退出！！
5 end
]]

example("monitor_deadline.lua", "S3 ends the monitors at an instant", monitor)
example("monitor_timeout.lua", "S4 ends the monitors after a second", monitor)
local monitor_value = monitor:gsub("正在监控中%.%.%.", "正在监控 CPU ")

example("monitor_value.lua", "S5 tells the monitors what they watch", monitor_value)

example("monitor_prompt.lua", "S5 shows the end at 2 s without the context, at 1 s on it", [[
0 0 s  sleeping  is running
0 0 s  waiting   is running
1 1 s  waiting   sees the end
2 2 s  sleeping  sees the end
3 end
]])

-- A program in C, which make has built where what it needs is there, and all that it prints.
local function program(name, guarantee, text)
  local path = ("%s/examples/%s"):format(os.getenv "BUILD" or "build", name)
  checked[#checked + 1] = name .. ".c"

  describe("the example " .. name .. ".c", function()
    it(guarantee, function()
      local built = io.open(path)
      if not built then return pending(name .. " is not built: its library is missing") end
      built:close()
      for _ = 1, 5 do
        local pipe <close> = assert(io.popen(path .. " 2>&1"))
        assert.equal(text, pipe:read "a")
        assert.is_true(pipe:close())
      end
    end)
  end)
end

program("embed", "C1 ends four threads, two of them with Lua states, by one cancel", [[
main: four workers are at it; no error
c 1: request 42; context deadline exceeded; then context canceled: the client has gone
c 2: request 42; context deadline exceeded; then context canceled: the client has gone
lua 1: request 42; tasks 1 + 2 + 3 = 6; then context canceled: the client has gone
lua 2: request 42; tasks 1 + 2 + 3 = 6; then context canceled: the client has gone
main: all joined, 0 contexts are left
]])

program("epoll", "D2 ends contexts in an epoll loop, without a thread", [[
tick 1
tick 2
tick 3
hook: the client has gone
the request has ended: context canceled
hook: context deadline exceeded
the request has ended: context deadline exceeded
0 contexts and 0 threads are left
]])

program("libuv", "D2 ends a context in a loop of libuv, without a thread", [[
tick 1
tick 2
tick 3
hook: context deadline exceeded
the request has ended: context deadline exceeded
]])

describe("the tree of work", function()
  it("S1 ends b and c by their deadline and a by its cancel", testing.wrap(function(main)
    local a, cancel = main:with_cancel()
    local b = a:with_timeout(3)
    local c = b:with_value("key", "custom value")
    ctx.sleep(3)
    assert.same({ ctx.DEADLINE_EXCEEDED, ctx.DEADLINE_EXCEEDED }, { b:err(), c:err() })
    assert.is_nil(a:err())
    ctx.sleep(2)
    cancel()
    assert.same({ ctx.CANCELED, ctx.DEADLINE_EXCEEDED }, { a:err(), b:err() })
  end))
end)

describe("the list of examples", function()
  it("names each, and each is checked here", function()
    local pipe <close> = assert(io.popen "cd examples && LC_ALL=C ls *.c *.lua")
    local readme <close> = assert(io.open "examples/README.md")
    local text, files = readme:read "a", {}
    for file in pipe:lines() do
      assert.is_truthy(text:find("`" .. file .. "`", 1, true), file)
      files[#files + 1] = file
    end
    table.sort(checked)
    assert.same(checked, files)
  end)
end)
