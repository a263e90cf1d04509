--- The guide: what its pages show is part of a file that runs, and what they name exists.

local ctx = require "ctx"
local helper = require "spec.helper"
local testing = require "ctx.testing"

local PAGES = { "from-go", "cleaning-up", "testing", "embedding" }

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function page(name) return read("docs/guide/" .. name .. ".md") end

--- What a command prints, errors too. It must succeed.
local function output(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  assert.is_true(pipe:close(), text)
  return text
end

local function run_on_virtual_clock(file)
  return output(("LUA_PATH_5_4=%s LUA_CPATH_5_4=%s %s -l ctx.virtual examples/guide/%s"):format(
    helper.quote(package.path), helper.quote(package.cpath), helper.interpreter(), file))
end

local function run_program(name)
  return output(("%s/examples/guide/%s"):format(os.getenv "BUILD" or "build", name))
end

--- Runs a spec of the guide in a busted of its own.
local function run_spec(file)
  return (helper.script(([[
    arg = { [0] = "busted", "--output=TAP", "examples/guide/%s" }
    require "busted.runner" { standalone = false }
  ]]):format(file)))
end

--- Each block of code in a page, and the example that was linked to last before it.
local function blocks(text)
  local found, linked, block, indent = {}, nil, nil, nil
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local before, language = line:match "^(%s*)```(%a*)$"
    if before and not block then
      indent, block = before, { file = linked, language = language }
    elseif before then
      found[#found + 1], block = block, nil
    elseif block then
      block[#block + 1] = line:sub(1, #indent) == indent and line:sub(#indent + 1) or line
    else
      linked = line:match ".*%]%(%.%./%.%./(examples/[^)]+)%)" or linked
    end
  end
  return found
end

--- Each block of output in a page, that is one of no language, is part of this text.
local function assert_printed(text, name)
  local n = 0
  for _, block in ipairs(blocks(page(name))) do
    if block.language == "" then
      local lines = "\n" .. table.concat(block, "\n") .. "\n"
      assert.is_truthy(("\n" .. text):find(lines, 1, true), text .. "\nhas no\n" .. lines)
      n = n + 1
    end
  end
  assert.is_true(n > 0)
end

--- What the pages call c, p, main, g, s, t, ch and clock, for their methods.
local context_methods = require "ctx.core".methods
local methods = { c = context_methods, p = context_methods, main = context_methods }
ctx.run(function(main)
  methods.g, methods.s, methods.ch = main:group(), ctx.semaphore(1), ctx.channel()
  methods.t = main:async(function() end)
end)
testing.wrap(function(_, clock) methods.clock = clock end)()

-- What Go has: of context all that it exports; of the others what belongs to contexts.
local GO = {
  context = [[Context Context.Deadline Context.Done Context.Err Context.Value Background TODO
    WithCancel WithCancelCause WithDeadline WithDeadlineCause WithTimeout WithTimeoutCause WithValue
    WithoutCancel AfterFunc Cause CancelFunc CancelCauseFunc Canceled DeadlineExceeded]],
  signal = "NotifyContext",
  errgroup = "Group WithContext Group.Go Group.TryGo Group.Wait Group.SetLimit",
  semaphore = "Weighted NewWeighted Weighted.Acquire Weighted.TryAcquire Weighted.Release",
  synctest = "Test Wait",
}

describe("the guide", function()
  for _, name in ipairs(PAGES) do
    it("shows in " .. name .. ".md what stands in a file of the examples", function()
      local shown = 0
      for _, block in ipairs(blocks(page(name))) do
        if block.language == "lua" or block.language == "c" then
          assert.is_string(block.file)
          local text = "\n" .. table.concat(block, "\n") .. "\n"
          assert.is_truthy(("\n" .. read(block.file)):find(text, 1, true), block.file .. " has no" .. text)
          shown = shown + 1
        end
      end
      assert.is_true(shown > 0)
    end)

    it("links in " .. name .. ".md to what exists", function()
      for target in page(name):gmatch "%]%(([^)#]+)%)" do
        local file = io.open("docs/guide/" .. target)
        assert.is_truthy(file, target)
        file:close()
      end
    end)

    it("names in " .. name .. ".md what exists", function()
      local header = read "core/ctx.h" .. read "lua/ctx_lua.h"
      for code in page(name):gmatch "`([^`\n]+)`" do
        for c_name in code:gmatch "%f[%w_][Cc][Tt][Xx]_[%w_]+" do
          assert.is_truthy(header:find("%f[%w_]" .. c_name .. "%f[^%w_]") or c_name == "ctx_lua", c_name)
        end
        for field in code:gmatch "%f[%w_]ctx%.(%a[%a_]*)" do
          local is_file = #field == 1 -- ctx.c, ctx.h
          assert.is_truthy(is_file or ctx[field] or package.searchpath("ctx." .. field, package.path), field)
        end
        for owner, method in code:gmatch "%f[%w_](%l+):([%a_]+)" do
          assert.is_truthy(methods[owner], code)
          assert.is_function(methods[owner][method], code)
        end
      end
    end)
  end

  it("names all of Go's package context, and what belongs to it, in a row each", function()
    local rows = {}
    for line in page("from-go"):gmatch "[^\n]+" do
      local name, in_lua, in_c = line:match "^| `([%a.]+)` | ([^|]+) | ([^|]+) |$"
      assert.is_nil(name and rows[name], name)
      if name then rows[name] = { in_lua, in_c } end
    end
    for package_name, names in pairs(GO) do
      for name in names:gmatch "%S+" do
        local row = rows[package_name .. "." .. name]
        assert.is_table(row, name)
        assert.matches("%a", row[1])
        assert.matches("[Cc][Tt][Xx]_%a", row[2])
      end
    end
  end)
end)

describe("an example of the guide", function()
  it("from_go.lua prints what a Go programmer expects", function()
    assert.equal([[
0 s	consumer:	one
1 s	consumer:	two
1 s	consumer:	context canceled	enough
3 s	fetch:	nil	context deadline exceeded	the backend is slow
4 s	job 1:	true	nil
4 s	job 2:	true	nil
4 s	job 4:	nil	context canceled
4 s	group:	nil	job 3 has failed
6.5 s	cancel:	true	false
6.5 s	explicit:	true	nil	context canceled
6.5 s	implied:	false	context canceled
6.5 s	tries:	true	3
6.5 s	end of:	first
6.5 s	end of:	below the first
6.5 s	end of:	second
6.5 s	after:	context canceled
6.5 s	stop:	false
6.5 s	values:	request 7	context canceled	request 7	nil
]], run_on_virtual_clock "from_go.lua")
  end)

  it("from_go.c does, too", function()
    assert.equal([[
query: request 7, context deadline exceeded
quick: context deadline exceeded, 0 threads
after: context canceled
worker: context canceled: enough
stop: false
]], run_program "from_go")
  end)

  it("cleaning_up.lua cleans up, whatever ends the work", function()
    assert.equal([[
0 s	db	connected
1 s	db	committed
2 s	db	said good-bye	no error
2 s	db	connected
3 s	db	rolled back
4 s	db	said good-bye	context canceled
4 s	task	false	context canceled
4 s	helper	context canceled
6 s	member	has ended
6 s	group	is joined
7 s	log	flushed
8 s	stuck	context deadline exceeded
9 s	db	connected
10 s	db	rolled back
11 s	db	said good-bye	context canceled
11 s	block	false	no space left
12 s	hasty	false	context canceled
12 s	stop	true
12 s	on_done	context canceled	the user has left
]], run_on_virtual_clock "cleaning_up.lua")
    assert_printed(run_on_virtual_clock "cleaning_up.lua", "cleaning-up")
  end)

  it("cleaning_up.c wakes a blocked read, and leaves nothing", function()
    assert.equal([[
disconnect: the hook will not run
hang up: the user has left
disconnect: the hook has run
flush for request 7: no error
request 7: its id is dropped
]], run_program "cleaning_up")
  end)

  it("embedding.c drives an engine from its loop, and opens another one after a fork", function()
    assert.equal([[
beat 1
beat 2
beat 3
over: context canceled
worker: canceled
0 bytes are in use
child: ECHILD
child: context deadline exceeded
]], run_program "embedding")
  end)

  it("retry_spec.lua passes", function()
    local text = run_spec "retry_spec.lua"
    local _, passed = text:gsub("%f[^\n\0]ok %d", "")
    assert.equal(4, passed, text)
    assert.is_nil(text:find "not ok")
  end)

  it("forgotten_spec.lua fails as its page says", function()
    local text = run_spec "forgotten_spec.lua"
    local _, failed = text:gsub("%f[^\n\0]not ok %d", "")
    assert.equal(3, failed, text)
    text = text:gsub("\n# ", "\n"):gsub("\nFailure message: [^\n]-testing%.lua:%d+: ", "\n")
    assert.matches("every task waits, and nothing is left that could end a wait:\n", text)
    assert_printed(text, "testing")
  end)

  it("manual.c tests two minutes in no time", function()
    assert.equal("two minutes have been tested\n", run_program "manual")
  end)
end)
