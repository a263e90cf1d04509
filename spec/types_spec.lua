--- The annotations for editors declare what the module exports, and nothing else.

local ctx = require "ctx"
local core = require "ctx.core"
local helper = require "spec.helper"
local testing = require "ctx.testing"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local text = read(assert(package.searchpath("ctx.types", package.path)))

--- What is declared of 'name': its functions and what it borrows, with their parameters (nil of those
-- that are borrowed), and its fields.
local function declared(name)
  local found = {}
  for separator, field, parameters in text:gmatch("\nfunction " .. name .. "([.:])([%w_]+)%((.-)%)") do
    found[field] = { separator == ":" and parameters ~= "" and "self, " .. parameters
      or separator == ":" and "self" or parameters }
  end
  for field, from in text:gmatch("\n" .. name .. "%.([%w_]+) = ([%w_.]+)") do
    found[field] = found[field] or { nil, from = from }
  end
  return found
end

local function declared_fields(class)
  local found = {}
  local block = text:match("%-%-%-@class ctx%." .. class .. "[^\n]*\n(.-)\nlocal ")
  for field in block:gmatch "%-%-%-@field ([%w_]+)" do found[field] = true end
  return found
end

local function sorted_keys(t)
  local list = {}
  for key in pairs(t) do list[#list + 1] = key end
  table.sort(list)
  return list
end

local function methods_of(x)
  return debug.getmetatable(x).__index
end

--- How many parameters are declared, and whether they end in '...'.
local function count(parameters)
  local _, n = parameters:gsub("[%w_.]+", "")
  local is_open = parameters:find("...", 1, true) ~= nil
  return is_open and n - 1 or n, is_open
end

local background = ctx.background()
local task = background:go(function() end)
ctx.yield()

local real = {
  ctx = ctx,
  context = core.methods,
  task = methods_of(task),
  group = methods_of(background:group()),
  semaphore = methods_of(ctx.semaphore(1)),
  channel = methods_of(ctx.channel()),
  testing = testing,
}

testing.wrap(function(_, clock)
  local methods = methods_of(clock)
  real.clock = { advance = methods.advance, settle = methods.settle }
  for name in pairs(methods) do assert(real.clock[name] or name:find "^__", name) end
end)()

local has_socket, socket = pcall(require, "ctx.socket")
if has_socket then
  local server <close> = assert(socket.listen("127.0.0.1", 0))
  local _, port = server:getsockname()
  local connection <close> = assert(socket.connect("127.0.0.1", port, 10))
  real.socket, real.server, real.connection = socket, methods_of(server), methods_of(connection)
end

describe("the types of", function()
  for _, name in ipairs(sorted_keys(real)) do
    it(name .. " are those of what there is", function()
      assert.same(sorted_keys(real[name]), sorted_keys(declared(name)))
    end)

    it(name .. " have the parameters that functions in Lua have", function()
      for field, what in pairs(declared(name)) do
        local info = type(real[name][field]) == "function" and debug.getinfo(real[name][field], "Su")
        if info and info.what == "Lua" and not info.isvararg and what[1] then
          assert.equal(info.nparams, (count(what[1])), name .. "." .. field)
        end
      end
    end)
  end

  it("what is borrowed is there, and the same", function()
    for _, name in ipairs { "ctx", "context" } do
      for field, what in pairs(declared(name)) do
        local from, key = (what.from or ""):match "^(%w+)%.([%w_]+)$"
        if from then
          assert.equal(field, key)
          assert.is_truthy(declared(from)[key], what.from)
          assert.equal(real[name][field], real[from][key])
        end
      end
    end
  end)

  it("every function tells each of its parameters", function()
    for comment, parameters in text:gmatch "\n%-%-%- ([^\n]*\n.-)\nfunction [%w_]+[.:][%w_]+%((.-)%)" do
      comment = comment:match ".*\n\n%-%-%- (.*)" or comment
      for parameter in parameters:gmatch "[%w_.]+" do
        assert.is_truthy(comment:find("---@param " .. parameter, 1, true), comment .. parameter)
      end
    end
  end)

  it("an error are its fields", function()
    local fields = declared_fields "error"
    assert.same({ "code", "temporary", "timeout" }, sorted_keys(fields))
    for field in pairs(fields) do assert.is_not_nil(ctx.CANCELED[field]) end
  end)

  it("an origin are its fields", function()
    local c, cancel = ctx.with_cancel(background)
    c:name "named"
    cancel "why"
    assert.same(sorted_keys(declared_fields "origin"), sorted_keys(c:origin()))
  end)

  it("a tree are its fields", function()
    local c, cancel = ctx.with_timeout(background, 60)
    ctx.track(true)
    local d <close>, cancel_d = ctx.with_timeout(c, 30)
    ctx.track(false)
    c:name "named"
    d:name "named"
    local seen = {}
    for key in pairs(ctx.tree(c)) do seen[key] = type(key) == "string" or nil end
    for key in pairs(ctx.tree(d)) do seen[key] = type(key) == "string" or nil end
    cancel_d()
    for key in pairs(ctx.tree(d)) do seen[key] = type(key) == "string" or nil end
    cancel()
    assert.same(sorted_keys(declared_fields "tree"), sorted_keys(seen))
  end)

  it("a task's status are the words that there are", function()
    local words = text:match "%-%-%- ([^\n]*)\n[^\n]*\nfunction task:status"
    for word in ("ready running waiting done failed canceled"):gmatch "%a+" do
      assert.is_truthy(words:find('"' .. word .. '"', 1, true), word)
    end
    assert.is_truthy(words:find('"' .. task:status() .. '"', 1, true))
  end)

  it("are found beside the module, and harm nobody who loads them", function()
    assert.equal("", (helper.script "require 'ctx.types'"))
  end)
end)
