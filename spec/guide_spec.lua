--- The guide: what its pages show is part of a file that runs, and what they name exists.

local ctx = require "ctx"
local helper = require "spec.helper"

local PAGES = { "from-go", "cleaning-up", "testing", "embedding" }

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function page(name) return read("docs/guide/" .. name .. ".md") end

--- What a command prints, errors too.
local function output(command)
  local pipe <close> = assert(io.popen(command .. " 2>&1"))
  return pipe:read "a"
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
      local core = require "ctx.core"
      for code in page(name):gmatch "`([^`\n]+)`" do
        for c_name in code:gmatch "%f[%w_][Cc][Tt][Xx]_[%w_]+" do
          assert.is_truthy(header:find("%f[%w_]" .. c_name .. "%f[^%w_]") or c_name == "ctx_lua", c_name)
        end
        for field in code:gmatch "%f[%w_]ctx%.(%l[%l_]*)" do
          local is_file = #field == 1 -- ctx.c, ctx.h
          assert.is_truthy(is_file or ctx[field] or package.searchpath("ctx." .. field, package.path), field)
        end
        for method in code:gmatch "%f[%w_]c:([%a_]+)" do
          assert.is_truthy(rawget(core.methods, method), method)
        end
      end
    end)
  end

  it("names all of Go's package context", function()
    local text = page "from-go"
    for name in ([[Context Context.Deadline Context.Done Context.Err Context.Value Background TODO
      WithCancel WithCancelCause WithDeadline WithDeadlineCause WithTimeout WithTimeoutCause WithValue
      WithoutCancel AfterFunc Cause CancelFunc CancelCauseFunc Canceled DeadlineExceeded]]):gmatch "%S+" do
      local full = name:find "%." and name or "context." .. name
      assert.is_truthy(text:find("\n| `" .. full .. "` | [^|]+ | [^|]+ |\n"), full)
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
4 s	after:	context canceled
4 s	stop:	false
4 s	values:	request 7	context canceled	request 7	nil
]], run_on_virtual_clock "from_go.lua")
  end)

  it("from_go.c does, too", function()
    assert.equal([[
query: request 7, context deadline exceeded
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
]], run_on_virtual_clock "cleaning_up.lua")
  end)

  it("retry_spec.lua passes", function()
    local text = run_spec "retry_spec.lua"
    local _, passed = text:gsub("%f[^\n\0]ok %d", "")
    assert.equal(3, passed, text)
    assert.is_nil(text:find "not ok")
  end)

  it("forgotten_spec.lua fails as its page says", function()
    local text = run_spec "forgotten_spec.lua"
    assert.matches("not ok 1", text)
    for _, block in ipairs(blocks(page "testing")) do
      for _, line in ipairs(block.language == "" and block or {}) do
        assert.is_truthy(text:find(line, 1, true), text)
      end
    end
  end)

  it("manual.c tests two minutes in no time", function()
    assert.equal("two minutes have been tested\n", run_program "manual")
  end)
end)
