--- Cancel functions that nobody holds any more, while tasks run that only they could end.

local helper = require "spec.helper"

--- What a script says on the virtual clock, with warnings on.
local function warnings(source)
  return (helper.script([[
    local ctx = require "ctx"
    ctx.track(true)
    local function worker(c) while c:sleep(1) do end end
    local function collect()
      ctx.sleep(1)
      for _ = 1, 3 do collectgarbage() end
      ctx.sleep(1)
    end
  ]] .. source .. "\nos.exit(0)", "-W -l ctx.virtual"))
end

local function is_silent(source) assert.equal("", warnings(source)) end

describe("a cancel function that is lost", function()
  it("is named, while tasks run that only it could end", function()
    assert.matches("^Lua warning: ctx: the cancel function of the context made at [^ ]+:11 is lost, "
      .. "and nothing else can end the 1 task that runs under it\n$", warnings [[

      do
        local c = ctx.with_cancel(ctx.background())
        c:go(worker)
      end
      collect()
    ]])
  end)

  it("is named with the name of its context, and the tasks below are counted", function()
    local expected = "the context 'poller' made at [^ ]+:10 is lost, .* the 2 tasks that run under it\n$"
    assert.matches(expected, warnings [[
      local function start()
        local c = ctx.with_cancel(ctx.background()):name "poller"
        c:go(worker)
        c:with_value("k", 1):with_cancel():go(worker)
      end
      start()
      collect()
    ]])
  end)

  it("is of no interest where no task runs", function()
    is_silent [[
      do
        local c = ctx.with_cancel(ctx.background())
        c:go(function() end)
      end
      collect()
    ]]
  end)

  it("is of no interest where contexts are not tracked", function()
    is_silent [[
      ctx.track(false)
      do ctx.with_cancel(ctx.background()):go(worker) end
      collect()
    ]]
  end)

  it("is of no interest where its context ends in another way", function()
    is_silent [[
      local top, cancel = ctx.with_cancel(ctx.background())
      do
        top:with_cancel():go(worker)
        top:with_value("k", 1):with_cancel():go(worker)
        ctx.background():with_timeout(100):go(worker)
        ctx.background():with_timeout(100):with_cancel():go(worker)
      end
      collect()
      cancel()
    ]]
  end)

  it("is of no interest where its context may be closed by who holds it", function()
    is_silent [[
      local c <close> = ctx.with_cancel(ctx.background())
      c:go(worker)
      ctx.background():go(function()
        local d <close> = ctx.with_cancel(ctx.background())
        d:go(worker)
        ctx.sleep(100)
      end)
      local wrapped = ctx.wrap(function()
        local e <close> = ctx.with_cancel(ctx.background())
        e:go(worker)
        ctx.sleep(100)
      end)
      ctx.background():go(function() wrapped() end)
      collect()
    ]]
  end)

  it("is of no interest where a loop, or a function without names, may close its context", function()
    is_silent [[
      ctx.background():go(function()
        local function start()
          local c = ctx.with_cancel(ctx.background())
          c:go(worker)
          return c
        end
        for _ in ctx.sleep, 100, nil, start() do end
      end)
      ctx.background():go(load(string.dump(function()
        local ctx = require "ctx"
        local c <close> = ctx.with_cancel(ctx.background())
        c:go(c.sleep, 100)
        ctx.sleep(100)
      end, true)))
      collect()
    ]]
  end)

  it("is named where its context is in the middle of an expression only", function()
    assert.matches("is lost, and nothing else can end the 1 task", warnings [[
      local function start()
        local c = ctx.with_cancel(ctx.background())
        c:go(worker)
        return c
      end
      ctx.background():go(function() return rawequal(start(), ctx.sleep(100)) end)
      collect()
    ]])
  end)

  it("is looked for in the main thread, where a task collects", function()
    local make = " local c <close> = ctx.with_cancel(ctx.background()) c:go(worker) "
    local sleep = " ctx.background():go(collect) ctx.sleep(3) "
    local in_wrap = "ctx.wrap(function() %s end)()"
    is_silent(make .. sleep)
    is_silent(in_wrap:format(make .. sleep))
    is_silent(make .. in_wrap:format(sleep))
    local lose = " do local c = ctx.with_cancel(ctx.background()) c:go(worker) end "
    assert.matches("is lost", warnings(lose .. sleep))
    is_silent(in_wrap:format(lose .. sleep)) -- what runs a coroutine may have anything
  end)

  it("is of no interest while a task runs a coroutine, which may have anything", function()
    is_silent [[
      local function lose() ctx.with_cancel(ctx.background()):go(worker) end
      ctx.background():go(function()
        lose()
        ctx.sleep(1)
        coroutine.resume(coroutine.create(function() collectgarbage() collectgarbage() end))
      end)
      ctx.sleep(1.5)
    ]]
  end)

  it("is not lost where somebody has it", function()
    is_silent [[
      local kept = {}
      do
        local c, cancel = ctx.with_cancel(ctx.background())
        c:go(worker)
        kept[1] = cancel
      end
      collect()
      kept[1]()
      kept = nil
      collect()
    ]]
  end)
end)
