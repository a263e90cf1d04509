--- Tasks: how they start, in which order they run, how they end, and who learns of it.

local ctx = require "ctx"
local helper = require "spec.helper"
local virtual, raised, closer = helper.virtual, helper.raised, helper.closer

local function nothing() end

describe("a task", function()
  it("runs its function with its context and the arguments", virtual(function(root)
    local c = ctx.with_cancel(root)
    local got
    c:go(function(...) got = table.pack(...) end, 1, nil, "three", nil)
    ctx.yield()
    assert.same({ c, 1, nil, "three", nil, n = 5 }, got)
  end))

  it("has its context as the current one, across waits too", virtual(function(root)
    local c = ctx.with_cancel(root)
    local t = c:async(function()
      local before = ctx.current()
      ctx.sleep(1)
      return before, ctx.current()
    end)
    assert.equal(root, ctx.current())
    assert.same({ true, c, c }, { t:join() })
    assert.equal(root, ctx.current())
  end))

  it("does not start before the one that made it waits", virtual(function(root)
    local started = false
    root:go(function() started = true end)
    assert.is_false(started)
    ctx.yield()
    assert.is_true(started)
  end))

  it("starts in the order in which it was made", virtual(function(root)
    local order = {}
    for i = 1, 100 do root:go(function() order[#order + 1] = i end) end
    ctx.yield()
    for i = 1, 100 do assert.equal(i, order[i]) end
    assert.equal(100, #order)
  end))

  it("takes turns with the others", virtual(function(root)
    local order = {}
    for i = 1, 3 do
      root:go(function()
        for _ = 1, 3 do
          order[#order + 1] = i
          ctx.yield()
        end
      end)
    end
    ctx.sleep(1)
    assert.same({ 1, 2, 3, 1, 2, 3, 1, 2, 3 }, order)
  end))

  it("wakes in the order in which it fell asleep", virtual(function(root)
    local order = {}
    for i = 1, 100 do
      root:go(function()
        for _ = 1, 2 do
          ctx.sleep(1)
          order[#order + 1] = i
        end
      end)
    end
    ctx.sleep(3)
    for i = 1, 200 do assert.equal((i - 1) % 100 + 1, order[i]) end
  end))

  it("starts on a done context too", virtual(function(root)
    local c = ctx.with_timeout(root, 0)
    local started
    c:go(function(given) started = given:done() end)
    ctx.yield()
    assert.is_true(started)
  end))

  it("that yields by itself is run again in its turn", virtual(function(root)
    local order = {}
    local t = root:async(function()
      for i = 1, 3 do
        order[#order + 1] = i
        assert.equal(0, select("#", coroutine.yield("ignored", i)))
      end
      return "end"
    end)
    root:go(function() order[#order + 1] = "other" end)
    assert.same({ true, "end" }, { t:join() })
    assert.same({ 1, "other", 2, 3 }, order)
    assert.equal(0, ctx.now())
  end))

  it("is made by functions as by methods", virtual(function(root)
    local got
    ctx.go(root, function(c, x) got = { c, x } end, "x")
    local t = ctx.async(root, function(c, x) return c, x end, "y")
    assert.same({ true, root, "y" }, { t:join() })
    assert.same({ root, "x" }, got)
  end))

  it("runs a C function, and hands a cancel function on", virtual(function(root)
    assert.same({ true, "userdata" }, { root:async(type):join() })
    local c, cancel = ctx.with_cancel(root)
    root:go(function(_, f) f "why" end, cancel)
    ctx.yield()
    assert.equal("why", c:cause())
  end))

  it("runs in a coroutine of its own", virtual(function(root)
    local main = coroutine.running()
    local t = root:async(function() return coroutine.running() end)
    local _, co, is_main = t:join()
    assert.is_not.equal(main, co)
    assert.is_false(is_main)
  end))

  it("is one of thousands", virtual(function(root)
    local sum = 0
    local tasks = {}
    for i = 1, 10000 do
      tasks[i] = root:async(function()
        ctx.sleep(i % 7)
        return i
      end)
    end
    for _, t in ipairs(tasks) do
      local _, i = t:join()
      sum = sum + i
    end
    assert.equal(50005000, sum)
    assert.equal(6, ctx.now())
  end))

  it("is made by tasks, ten thousand levels deep", virtual(function(root)
    local deepest = 0
    local function work(c, depth)
      deepest = depth
      if depth < 10000 then c:go(work, depth + 1) end
    end
    root:go(work, 1)
    ctx.sleep(1)
    assert.equal(10000, deepest)
  end))

  it("is collected with its function when it has ended", virtual(function(root)
    local seen = helper.weak {}
    local function ended()
      local token = {}
      seen.token = token
      local t = root:async(function() return token end)
      seen.task = t
      t:join()
    end
    ended()
    helper.collect()
    assert.same({}, seen)
  end))

  it("keeps running when nobody holds it", virtual(function(root)
    local finished = false
    root:go(function()
      ctx.sleep(1)
      helper.collect()
      ctx.sleep(1)
      finished = true
    end)
    helper.collect()
    ctx.sleep(3)
    assert.is_true(finished)
  end))
end)

describe("the end of a task", function()
  it("runs its <close> variables, whichever way it ends", virtual(function(root)
    local log = {}
    local function body(_, how)
      local _ <close> = closer(function(err)
        ctx.background():sleep(1)
        log[#log + 1] = { how, err }
      end)
      if how == "error" then error("boom", 0) end
      if how == "waits" then ctx.sleep(100) end
    end
    local c, cancel = ctx.with_cancel(root)
    local returns = root:async(body, "returns")
    local fails = root:async(body, "error")
    c:go(body, "waits")
    ctx.sleep(0.5)
    cancel()
    ctx.sleep(5)
    assert.same({ { "returns" }, { "error", "boom" }, { "waits", ctx.CANCELED } }, log)
    assert.equal("done", returns:status())
    assert.equal("failed", fails:status())
  end))

  it("is a cancel when it raises the err of its own done context", virtual(function(root)
    local c = ctx.with_timeout(root, 1)
    local a = c:go(function() c:wait() c:check() end)
    local b = c:go(function() c:wait() error(c:err()) end)
    local d = c:go(function() ctx.sleep(100) end)
    ctx.sleep(2)
    for _, t in ipairs { a, b, d } do assert.equal("canceled", t:status()) end
  end))

  it("is fatal when it raises such an err and its context lives", function()
    for _, err in ipairs { ctx.CANCELED, ctx.DEADLINE_EXCEEDED } do
      assert.equal(err, raised(ctx.run, { clock = "virtual" }, function(root)
        root:go(function() error(err) end)
        ctx.sleep(1)
      end))
    end
  end)

  it("is fatal when it raises the other err than its context's", function()
    assert.equal(ctx.CANCELED, raised(ctx.run, { clock = "virtual" }, function(root)
      local c = ctx.with_timeout(root, 0)
      c:go(function() error(ctx.CANCELED) end)
      ctx.sleep(1)
    end))
  end)

  it("is fatal to the run when it is an error of any other kind", function()
    local object = setmetatable({}, { __tostring = function() return "object" end })
    for _, err in ipairs { object, "text", 7, false, nothing } do
      local cause
      assert.equal(err, raised(ctx.run, { clock = "virtual" }, function(root)
        root:go(function() ctx.sleep(1) error(err, 0) end)
        root:wait(100)
        cause = root:cause()
      end))
      assert.equal(err, cause)
    end
  end)

  it("is fatal to the run when it is an error that is nil", function()
    local ok, err = pcall(ctx.run, { clock = "virtual" }, function(root)
      root:go(function() error(nil) end)
      ctx.sleep(100)
    end)
    assert.is_false(ok)
    assert.is_nil(err)
  end)

  it("is raised outside a run by the wait that drives the tasks", function()
    local background = ctx.background()
    background:go(function() error("boom", 0) end)
    assert.equal("boom", raised(ctx.yield))
    local t = background:async(function() return "fine" end)
    assert.same({ true, "fine" }, { t:join() })
    local err = {}
    background:go(function() error(err) end)
    assert.equal(err, raised(function() background:async(function() ctx.yield() end):join() end))
  end)

  it("says where the error was raised", function()
    local message = raised(ctx.run, { clock = "virtual" }, function(root)
      root:go(function() error "boom" end)
      ctx.sleep(1)
    end)
    assert.matches("task_spec.lua:%d+: boom", message)
  end)

  it("survives an error in a <close> variable, which becomes its error", virtual(function(root)
    local t = root:async(function()
      local _ <close> = closer(function() error("from close", 0) end)
      error("from body", 0)
    end)
    assert.same({ false, "from close" }, { t:join() })
  end))

  it("survives a stack that overflows", virtual(function(root)
    local function deep(...) return 1 + deep(...) end -- wide frames: few of them fill the stack
    local ok, err = root:async(deep, table.unpack({}, 1, 250)):join()
    assert.is_false(ok)
    assert.matches("stack overflow", err)
  end))
end)

describe("join", function()
  it("is true and the results, nils included", virtual(function(root)
    local t = root:async(function() ctx.sleep(1) return nil, 2, nil end)
    assert.same({ true, nil, 2, nil, n = 4 }, table.pack(t:join()))
    assert.same({ true, n = 1 }, table.pack(root:async(nothing):join()))
  end))

  it("is false and the error, and the error harms nobody else", virtual(function(root)
    local err = {}
    for _, e in ipairs { "text", 7, err, false } do
      local ok, got = root:async(function() ctx.sleep(1) error(e, 0) end):join()
      assert.is_false(ok)
      assert.equal(e, got)
    end
    assert.same({ false, nil, n = 2 }, table.pack(root:async(function() error(nil) end):join()))
    assert.is_false(root:done())
  end))

  it("is false and the err of a task that was canceled", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local t = c:async(function() ctx.sleep(100) end)
    ctx.sleep(1)
    cancel "cause"
    assert.same({ false, ctx.CANCELED }, { t:join() })
    assert.same({ false, ctx.DEADLINE_EXCEEDED }, {
      ctx.with_timeout(root, 1):async(function() ctx.sleep(100) end):join(),
    })
  end))

  it("answers the same every time, and to everybody", virtual(function(root)
    local t = root:async(function() ctx.sleep(1) return "result" end)
    local heard = 0
    for _ = 1, 10 do
      root:go(function()
        assert.same({ true, "result" }, { t:join() })
        heard = heard + 1
      end)
    end
    assert.same({ true, "result" }, { t:join() })
    assert.same({ true, "result" }, { t:join(0) })
    ctx.yield()
    assert.equal(10, heard)
  end))

  it("is nil and deadline exceeded at a limit in seconds", virtual(function(root)
    local t = root:async(function() ctx.sleep(5) return "late" end)
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { t:join(2) })
    assert.equal(2, ctx.now())
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { t:join(0) })
    assert.same({ true, "late" }, { t:join(10) })
    assert.equal(5, ctx.now())
  end))

  it("is nil and the limit's err when the limit is a context that ends", virtual(function(root)
    local t = root:async(function() ctx.sleep(5) return "late" end)
    local limit, cancel = ctx.with_cancel(root)
    root:go(function() ctx.sleep(1) cancel() end)
    assert.same({ nil, ctx.CANCELED }, { t:join(limit) })
    assert.equal(1, ctx.now())
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { t:join((ctx.with_timeout(root, 1))) })
    assert.equal(2, ctx.now())
    assert.same({ true, "late" }, { t:join((ctx.with_timeout(root, 100))) })
  end))

  it("looks at its limit alone when that is a context", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local slow = root:async(function() ctx.sleep(5) return "late" end)
    local t = c:async(function()
      cancel()
      return slow:join(root)
    end)
    assert.same({ true, true, "late" }, { t:join() })
  end))

  it("J5 hands over a result that was there before the end", virtual(function(root)
    local t = root:async(function() return "early" end)
    ctx.yield()
    assert.same({ true, "early" }, { t:join((ctx.with_timeout(root, 0))) })
  end))

  it("raises in a task that joins itself", virtual(function(root)
    local t
    t = root:async(function() return t:join() end)
    local ok, err = t:join()
    assert.is_false(ok)
    assert.matches("itself", err)
  end))

  it("drives the tasks from the main thread", function()
    local t = ctx.background():async(function(_, x) ctx.yield() return x end, "result")
    assert.same({ true, "result" }, { t:join() })
  end)

  it("also waits for tasks of go", virtual(function(root)
    local t = root:go(function() ctx.sleep(1) return "result" end)
    assert.is_true((t:join()))
    assert.equal(1, ctx.now())
  end))
end)

describe("status", function()
  it("is ready, running, waiting and done in turn", virtual(function(root)
    local t
    local inside
    t = root:async(function()
      inside = t:status()
      ctx.sleep(1)
    end)
    assert.equal("ready", t:status())
    ctx.yield()
    assert.equal("running", inside)
    assert.equal("waiting", t:status())
    t:join()
    assert.equal("done", t:status())
  end))

  it("is ready for a task that yields", virtual(function(root)
    local t = root:async(function() ctx.yield() coroutine.yield() end)
    ctx.yield()
    assert.equal("ready", t:status())
    ctx.yield()
    assert.equal("ready", t:status())
    ctx.yield()
    assert.equal("done", t:status())
  end))

  it("is failed after an error and canceled after a cancel", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local fails = root:async(error, "boom")
    local waits = c:async(function() ctx.sleep(100) end)
    local goes = c:go(function() ctx.sleep(100) end)
    local returns = c:async(function() c:wait() return "fine" end)
    ctx.sleep(1)
    cancel()
    ctx.sleep(1)
    assert.equal("failed", fails:status())
    assert.equal("canceled", waits:status())
    assert.equal("canceled", goes:status())
    assert.equal("done", returns:status())
  end))

  it("is waiting while a task's <close> variables wait", virtual(function(root)
    local t = root:async(function()
      local _ <close> = closer(function() ctx.sleep(1) end)
    end)
    ctx.yield()
    assert.equal("waiting", t:status())
    t:join()
    assert.equal("done", t:status())
  end))
end)

describe("the error of an async task that nobody joins", function()
  local function warnings(source)
    return (helper.script([[
      local ctx = require "ctx"
      local background = ctx.background()
      local function fails() error("oh", 0) end
    ]] .. source, "-W -l ctx.virtual"))
  end

  it("is told when the task is collected, and when the state is closed", function()
    local told = "Lua warning: ctx: a task of c:async has failed, and nobody has joined it: oh\n"
    assert.equal(told .. "next\n", warnings [[
      background:async(fails)
      ctx.sleep(1)
      collectgarbage()
      print "next"
    ]])
    assert.equal("next\n" .. told, warnings [[
      local task = background:async(fails)
      ctx.sleep(1)
      print "next"
    ]])
    assert.matches("nobody has joined it: its error is no string", warnings [[
      background:async(function() error {} end)
      ctx.sleep(1)
    ]])
  end)

  it("is of no interest where somebody has asked, or where it was the end of its context", function()
    assert.equal("", warnings [[
      local task = background:async(fails)
      task:join()
      local watched = background:async(fails)
      ctx.sleep(1)
      watched:status()
      background:with_timeout(1):async(function() ctx.sleep(5) end)
      background:async(function() return 1 end)
      ctx.select((background:async(fails)))
      local g = background:group()
      g:go(fails)
      g:wait()
      pcall(ctx.with, background, fails)
      ctx.sleep(10)
    ]])
  end)
end)

describe("a task whose coroutine a stranger closes while it waits", function()
  it("has failed, for who joins it", virtual(function(root)
    local co
    local t = root:async(function() co = coroutine.running() ctx.sleep(100) end)
    ctx.yield()
    coroutine.close(co)
    local ok, err = t:join(1)
    assert.is_false(ok)
    assert.matches("closed by coroutine.close", err, 1, true)
    assert.equal("failed", t:status())
    assert.equal(0, ctx.now())
  end))

  it("has failed, when nothing else is left to happen", function()
    local _, err = pcall(ctx.run, { clock = "virtual" }, function(root)
      local co
      root:go(function() co = coroutine.running() ctx.channel():recv() end)
      ctx.yield()
      coroutine.close(co)
    end)
    assert.matches("closed by coroutine.close", err, 1, true)
  end)
end)
