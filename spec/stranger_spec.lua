--- Coroutines of tasks that somebody else closes, starts or resumes.

local ctx = require "ctx"
local helper = require "spec.helper"

local virtual = helper.virtual

--- A script that must come to its end.
local function ends_well(source)
  return function()
    local output, status = helper.script(source .. '\nio.write "alive"')
    assert.equal(0, status, output)
    assert.equal("alive", output)
  end
end

--- Before each of these scripts.
local prelude = [[
  local ctx = require "ctx"
  local function closer(f) return setmetatable({}, { __close = f }) end
  local function fails(t, text)
    local ok, err = t:join()
    assert(not ok and tostring(err):find(text), err)
  end
]]

describe("a task whose coroutine a stranger closes", function()
  it("waits while its <close> variables run, and has failed after that", virtual(function(root)
    local co, seen, t
    t = root:async(function()
      co = coroutine.running()
      local _ <close> = helper.closer(function() seen = t:status() end)
      ctx.sleep(5)
    end)
    ctx.yield()
    coroutine.close(co)
    assert.equal("waiting", seen)
    local ok, err = t:join()
    assert.is_false(ok)
    assert.equal("task closed by coroutine.close", err)
    assert.equal(0, ctx.now())
  end))

  it("is left alone while they run, also when its time has come", ends_well(prelude .. [[
    local co, slept
    local t = ctx.background():async(function()
      co = coroutine.running()
      local _ <close> = closer(function() ctx.sleep(0.02) slept = true end) -- the main thread sleeps
      ctx.sleep(0.01)
    end)
    ctx.yield()
    coroutine.close(co)
    assert(slept)
    fails(t, "closed by coroutine.close")]]))

  it("is noticed after a second, where nothing else happens", function()
    local before, ok, err = ctx.now()
    ctx.run(function(root)
      local co
      local t = root:async(function() co = coroutine.running() ctx.sleep(3600) end)
      root:go(function() ctx.yield() coroutine.close(co) end)
      ok, err = t:join()
    end)
    assert.is_true(ctx.now() - before < 60)
    assert.is_false(ok)
    assert.equal("task closed by coroutine.close", err)
  end)
end)

describe("a task whose coroutine a stranger starts", function()
  -- Before a task starts, its coroutine has the arguments on its stack, of which coroutine.resume
  -- calls the last.
  local with_debug = prelude .. "local CO = 3 -- a user value of tasks\n"

  it("has failed, and waits while that lasts", ends_well(with_debug .. [[
    local slept
    local function sleep()
      table.sort({ 2, 1 }, function(a, b)
        slept = slept or ctx.sleep(0.01) or true -- the main thread sleeps: sort cannot yield
        return a < b
      end)
    end
    local t = ctx.background():async(rawlen, sleep)
    assert(coroutine.resume((debug.getuservalue(t, CO))))
    assert(slept)
    fails(t, "closed by coroutine.close")]]))

  it("is lost where it yields", ends_well(with_debug .. [[
    local t = ctx.background():async(rawlen, coroutine.yield)
    assert(coroutine.resume((debug.getuservalue(t, CO))))
    fails(t, "tampered")]]))
end)

describe("what a failed task has left on its coroutine", function()
  -- An error that is a function is called by coroutine.resume.
  local failed = prelude .. [[
    warn "@on"
    local co
    local function failed(e)
      local t = ctx.background():async(function() co = coroutine.running() error(e, 0) end)
      ctx.yield()
      return t
    end
    local function collect() collectgarbage() collectgarbage() end
  ]]

  it("cannot be joined while it runs", ends_well(failed .. [[
    local t, ok, err
    t = failed(function() ok, err = t:join() end)
    assert(coroutine.resume(co))
    assert(not ok and err:find "tampered", err)]]))

  it("is told by a warning where nobody has asked for it", function()
    local output = helper.script(failed .. [[
      failed "a text"
      collect()
      failed(coroutine.yield)
      assert(coroutine.resume(co))
      collect()
      for _, other in ipairs { 1, coroutine.create(print) } do
        debug.setuservalue(failed "away", other, 3)
        collect()
      end]])
    local warning = "Lua warning: ctx: a task of c:async has failed, and nobody has joined it: "
    local no_string = warning .. "its error is no string\n"
    assert.equal(warning .. "a text\n" .. no_string:rep(3), output)
  end)
end)
