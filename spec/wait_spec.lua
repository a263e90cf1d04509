--- Waiting: on a context, for a time, with an implied context, and where it is impossible.

local ctx = require "ctx"
local helper = require "spec.helper"
local virtual, raised, closer = helper.virtual, helper.raised, helper.closer

describe("c:wait", function()
  it("J1 is true as soon as c is done", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    root:go(function() ctx.sleep(2) cancel() end)
    assert.is_true(c:wait())
    assert.equal(2, ctx.now())
    local timed = ctx.with_timeout(root, 3)
    assert.is_true(timed:wait(10))
    assert.equal(5, ctx.now())
  end))

  it("J1 is false when the limit has passed", virtual(function(root)
    assert.is_false(root:wait(2.5))
    assert.equal(2.5, ctx.now())
    assert.is_false(root:wait(1))
    assert.equal(3.5, ctx.now())
  end))

  it("J1 polls with a limit of 0, or less", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    for _, limit in ipairs { 0, 0.0, -1, -math.huge } do assert.is_false(c:wait(limit)) end
    cancel()
    for _, limit in ipairs { 0, 0.0, -1, -math.huge } do assert.is_true(c:wait(limit)) end
    assert.equal(0, ctx.now())
  end))

  it("J1 has no limit with math.huge", virtual(function(root)
    local c = ctx.with_timeout(root, 7)
    assert.is_true(c:wait(math.huge))
    assert.equal(7, ctx.now())
  end))

  it("J1 takes a context as its limit", virtual(function(root)
    local c = ctx.with_timeout(root, 5)
    assert.is_false(c:wait((ctx.with_timeout(root, 2))))
    assert.equal(2, ctx.now())
    assert.is_true(c:wait((ctx.with_timeout(root, 20))))
    assert.equal(5, ctx.now())
  end))

  it("J1 is false at once when the limit is a context that is done", virtual(function(root)
    local limit = ctx.with_timeout(root, 0)
    assert.is_false(ctx.with_cancel(root):wait(limit))
    assert.equal(0, ctx.now())
  end))

  it("J5 is true when both are done", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    cancel()
    assert.is_true(c:wait(c))
    assert.is_true(c:wait((ctx.with_timeout(root, 0))))
    assert.is_true(c:wait(0))
  end))

  it("J5 is true when the deadline is the limit, whichever was armed first", virtual(function(root)
    local c = ctx.with_timeout(root, 5)
    assert.is_true(c:wait(5))
    local limit = ctx.with_deadline(root, 10)
    local later = ctx.with_deadline(root, 10)
    assert.is_true(later:wait(limit))
    assert.equal(10, ctx.now())
  end))

  it("J5 is true when c ends before the waiter runs, though its limit came due first", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    root:go(function()
      root:sleep(5) -- armed before the limit below: runs first
      cancel()
    end)
    local t = root:async(function() return c:wait(5) end)
    assert.same({ true, true }, { t:join() })
    assert.equal(5, ctx.now())
  end))

  it("B6 returns at once, for ever, when c is done", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    cancel()
    for _ = 1, 1000 do assert.is_true(c:wait()) end
    assert.is_true(c:wait(100))
    assert.is_true(ctx.with_value(c, "key", "value"):wait())
    assert.equal(0, ctx.now())
  end))

  it("B6 tells many waiters, late ones too", virtual(function(root)
    local c = ctx.with_timeout(root, 1)
    local told = 0
    for i = 1, 10 do
      root:go(function()
        ctx.sleep(i / 5)
        assert.is_true(c:wait())
        told = told + 1
      end)
    end
    ctx.sleep(3)
    assert.equal(10, told)
  end))

  it("looks at c alone, and not at the current context", virtual(function(root)
    local current, cancel = ctx.with_cancel(root)
    local other = ctx.with_timeout(root, 5)
    local t = current:async(function()
      cancel()
      local done = other:wait()
      return done, ctx.now()
    end)
    assert.same({ true, true, 5 }, { t:join() })
  end))

  it("waits on a value context as on its parent", virtual(function(root)
    local c = ctx.with_value((ctx.with_timeout(root, 2)), "key", "value")
    assert.is_false(c:wait(1))
    assert.is_true(c:wait())
    assert.equal(2, ctx.now())
  end))

  it("is false at the limit for a context that never ends", virtual(function(root)
    for _, c in ipairs { ctx.background(), ctx.todo(), ctx.without_cancel(root) } do
      assert.is_false(c:wait(1))
    end
    assert.equal(3, ctx.now())
  end))

  it("J2 wakes 100,000 tasks asleep in one state with one cancel", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local woken, early = 0, 0
    for i = 1, 100000 do
      root:go(function()
        local ended
        if i % 2 == 0 then ended = c:wait() else ended = not c:sleep(1000) end
        if ended then woken = woken + 1 else early = early + 1 end
      end)
    end
    ctx.sleep(1)
    assert.equal(0, woken)
    cancel()
    ctx.yield()
    ctx.sleep(0.001)
    assert.equal(100000, woken)
    assert.equal(0, early)
  end))

  it("J2 forgets a waiter that gives up", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local given_up, told = 0, 0
    for i = 1, 1000 do
      root:go(function()
        if c:wait(i % 2 == 0 and 1 or 10) then told = told + 1 else given_up = given_up + 1 end
      end)
    end
    ctx.sleep(2)
    assert.equal(500, given_up)
    cancel()
    ctx.sleep(1)
    assert.equal(500, told)
    assert.equal(500, given_up)
  end))

  it("J2 wakes in the order in which the waits began", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local order = {}
    for i = 1, 100 do
      root:go(function() c:wait() order[#order + 1] = i end)
    end
    ctx.sleep(1)
    cancel()
    ctx.sleep(1)
    for i = 1, 100 do assert.equal(i, order[i]) end
  end))
end)

describe("c:sleep", function()
  it("is true when it has slept it all", virtual(function(root)
    assert.is_true(root:sleep(1.5))
    assert.equal(1.5, ctx.now())
    assert.is_true(root:sleep(0))
    assert.is_true(root:sleep(-1))
    assert.equal(1.5, ctx.now())
  end))

  it("is nil and the err as soon as c ends", virtual(function(root)
    local canceled, cancel = ctx.with_cancel(root)
    root:go(function() ctx.sleep(1) cancel "cause" end)
    assert.same({ nil, ctx.CANCELED }, { canceled:sleep(10) })
    assert.equal(1, ctx.now())
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ctx.with_timeout(root, 1):sleep(10) })
    assert.equal(2, ctx.now())
  end))

  it("B6 is nil and the err at once, for ever, when c is done", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    cancel()
    for _, seconds in ipairs { 10, 0, -1, math.huge } do
      assert.same({ nil, ctx.CANCELED }, { c:sleep(seconds) })
    end
    assert.equal(0, ctx.now())
  end))

  it("J5 is nil and the err when the deadline is its end, whichever was armed first", virtual(function(root)
    local c = ctx.with_timeout(root, 5)
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { c:sleep(5) })
    local late, cancel = ctx.with_cancel(root)
    root:go(function() root:sleep(5) cancel() end)
    local t = root:async(function() return late:sleep(5) end)
    assert.same({ true, nil, ctx.CANCELED }, { t:join() })
    assert.equal(10, ctx.now())
  end))

  it("sleeps for ever with math.huge, until c ends", virtual(function(root)
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ctx.with_timeout(root, 3):sleep(math.huge) })
    assert.equal(3, ctx.now())
  end))

  it("looks at c alone, and not at the current context", virtual(function(root)
    local current, cancel = ctx.with_cancel(root)
    local t = current:async(function()
      cancel()
      return root:sleep(2)
    end)
    assert.same({ true, true }, { t:join() })
    assert.equal(2, ctx.now())
  end))

  it("lets others run, also for no time at all", virtual(function(root)
    local ran = false
    root:go(function() ran = true end)
    root:sleep(0.001)
    assert.is_true(ran)
  end))
end)

describe("ctx.sleep", function()
  it("sleeps", virtual(function()
    ctx.sleep(2)
    assert.equal(2, ctx.now())
    ctx.sleep(0.5)
    assert.equal(2.5, ctx.now())
  end))

  it("raises the err of the current context when that ends", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local caught, at
    c:go(function()
      local _
      _, caught = pcall(ctx.sleep, 10)
      at = ctx.now()
    end)
    ctx.sleep(1)
    cancel()
    ctx.sleep(1)
    assert.equal(ctx.CANCELED, caught)
    assert.equal(1, at)
  end))

  it("raises at once when the current context is done", virtual(function(root)
    local c = ctx.with_timeout(root, 0)
    local t = c:async(function() return pcall(ctx.sleep, 10) end)
    assert.same({ true, false, ctx.DEADLINE_EXCEEDED }, { t:join() })
    assert.equal(0, ctx.now())
  end))
end)

describe("ctx.yield", function()
  it("lets every task that is ready run first", virtual(function(root)
    local order = {}
    for i = 1, 3 do root:go(function() order[#order + 1] = i end) end
    ctx.yield()
    assert.same({ 1, 2, 3 }, order)
    assert.equal(0, ctx.now())
  end))

  it("raises the err of the current context when it is done", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local t = c:async(function()
      ctx.yield()
      cancel()
      ctx.yield()
    end)
    assert.same({ false, ctx.CANCELED }, { t:join() })
  end))
end)

--- What waits on the current context, one function each.
local function implied(root)
  local asleep = root:async(function() root:sleep(50) end)
  return {
    sleep = function() ctx.sleep(100) end,
    recv = function() ctx.channel():recv() end,
    ["recv with a limit"] = function() ctx.channel():recv(100) end,
    send = function() ctx.channel():send "value" end,
    ["send with a limit"] = function() ctx.channel():send("value", 100) end,
    select = function() ctx.select(ctx.channel()) end,
    ["select with a limit"] = function() ctx.select(ctx.channel(), 100) end,
    ["select of a task"] = function() ctx.select(asleep) end,
    join = function() asleep:join() end,
    ["join with a limit"] = function() asleep:join(100) end,
  }
end

local names = { "sleep", "recv", "recv with a limit", "send", "send with a limit", "select",
  "select with a limit", "select of a task", "join", "join with a limit" }

describe("a wait without a context of its own", function()
  for _, name in ipairs(names) do
    it("ends with the current context: " .. name, virtual(function(root)
      local c, cancel = ctx.with_cancel(root)
      local wait = implied(root)[name]
      local t = c:async(wait)
      ctx.sleep(1)
      assert.equal("waiting", t:status())
      cancel "why"
      assert.same({ false, ctx.CANCELED }, { t:join() })
      assert.equal(1, ctx.now())
      assert.equal("canceled", t:status())
    end))

    it("raises at once on a done one: " .. name, virtual(function(root)
      local c = ctx.with_timeout(root, 0)
      local t = c:async(implied(root)[name])
      assert.same({ false, ctx.DEADLINE_EXCEEDED }, { t:join() })
      assert.equal(0, ctx.now())
    end))
  end

  it("raises again at every later one, under nested pcalls too", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local seen = {}
    local t = c:async(function()
      for _ = 1, 3 do
        pcall(function()
          pcall(function()
            seen[#seen + 1] = select(2, pcall(ctx.sleep, 10))
            ctx.yield()
          end)
          seen[#seen + 1] = select(2, pcall(ctx.yield))
          for _, name in ipairs(names) do
            seen[#seen + 1] = select(2, pcall(implied(root)[name]))
          end
        end)
      end
      return "swallowed"
    end)
    ctx.sleep(1)
    cancel()
    assert.same({ true, "swallowed" }, { t:join() })
    assert.equal(3 * (2 + #names), #seen)
    for _, err in ipairs(seen) do assert.equal(ctx.CANCELED, err) end
    assert.equal(1, ctx.now())
  end))

  it("belongs to the context of its task, not to that of its caller's creator", virtual(function(root)
    local a, cancel = ctx.with_cancel(root)
    local b = ctx.with_cancel(root)
    local t
    a:go(function()
      t = b:async(function() ctx.sleep(5) return ctx.now() end)
      ctx.sleep(100)
    end)
    ctx.sleep(1)
    cancel()
    assert.same({ true, 5 }, { t:join() })
  end))
end)

describe("a canceled wait", function()
  --- Each waits for ever in a task on c, and then ends it with c's err.
  local function ways(root)
    local all = implied(root)
    all["c:sleep"] = function(c) c:sleep(100) c:check() end
    all["c:wait"] = function(c) c:wait() c:check() end
    all["recv until c"] = function(c)
      assert.same({ nil, ctx.CANCELED }, { ctx.channel():recv(c) })
      c:check()
    end
    all["send until c"] = function(c)
      assert.same({ nil, ctx.CANCELED }, { ctx.channel():send(1, c) })
      c:check()
    end
    all["select of c"] = function(c)
      assert.equal(c, (ctx.select(ctx.channel(), c)))
      c:check()
    end
    return all
  end

  local all = { "c:sleep", "c:wait", "recv until c", "send until c", "select of c", table.unpack(names) }

  for _, name in ipairs(all) do
    it("runs the <close> variables of its task, which may wait themselves: " .. name, virtual(function(root)
      local c, cancel = ctx.with_cancel(root)
      local alive = ctx.background()
      local log = {}
      local wait = ways(root)[name]
      local t = c:async(function()
        local _ <close> = closer(function(err)
          assert.is_true(alive:sleep(2))
          log[#log + 1] = { "outer", err, ctx.now() }
        end)
        local _ <close> = closer(function(err)
          assert.is_false(alive:wait(1))
          log[#log + 1] = { "inner", err, ctx.now() }
        end)
        wait(c)
      end)
      ctx.sleep(1)
      cancel()
      assert.same({ false, ctx.CANCELED }, { t:join() })
      assert.same({ { "inner", ctx.CANCELED, 2 }, { "outer", ctx.CANCELED, 4 } }, log)
      assert.equal("canceled", t:status())
    end))
  end

  it("runs <close> variables that use channels and tasks of a live context", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local alive = ctx.background()
    local answer
    local requests = ctx.channel()
    alive:go(function()
      local reply = requests:recv()
      ctx.sleep(1)
      reply:send "cleaned up"
    end)
    c:go(function()
      local _ <close> = closer(function()
        local reply = ctx.channel()
        assert(requests:send(reply, alive))
        answer = reply:recv(alive)
      end)
      ctx.sleep(100)
    end)
    ctx.sleep(1)
    cancel()
    ctx.sleep(5)
    assert.equal("cleaned up", answer)
  end))

  it("raises in <close> variables that wait on the done context", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local caught
    c:go(function()
      local _ <close> = closer(function() caught = raised(ctx.sleep, 1) end)
      ctx.sleep(100)
    end)
    ctx.sleep(1)
    cancel()
    ctx.sleep(1)
    assert.equal(ctx.CANCELED, caught)
  end))

  it("keeps the context current through its <close> variables", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local before, after
    c:go(function()
      local _ <close> = closer(function()
        before = ctx.current()
        ctx.background():sleep(1)
        after = ctx.current()
      end)
      ctx.sleep(100)
    end)
    ctx.sleep(1)
    cancel()
    ctx.sleep(2)
    assert.equal(c, before)
    assert.equal(c, after)
  end))
end)

describe("waiting in a coroutine that is not ours", function()
  local function in_coroutine(fn, ...)
    local _, ok, err = coroutine.resume(coroutine.create(pcall), fn, ...)
    assert.is_false(ok)
    return tostring(err)
  end

  local function names_the_remedy(message)
    assert.matches("ctx.wrap", message, 1, true)
    assert.matches(":go", message, 1, true)
  end

  it("raises an error that names the remedy, in a task", virtual(function(root)
    local c = ctx.with_cancel(root)
    names_the_remedy(in_coroutine(ctx.sleep, 1))
    names_the_remedy(in_coroutine(ctx.yield))
    names_the_remedy(in_coroutine(c.wait, c))
    names_the_remedy(in_coroutine(c.sleep, c, 1))
    local ch = ctx.channel()
    names_the_remedy(in_coroutine(ch.recv, ch))
    names_the_remedy(in_coroutine(ch.send, ch, 1))
    names_the_remedy(in_coroutine(ctx.select, ch))
    local t = root:async(function() ctx.sleep(1) return "fine" end)
    names_the_remedy(in_coroutine(t.join, t))
    assert.same({ true, "fine" }, { t:join() })
  end))

  it("raises an error that names the remedy, on the main thread", function()
    names_the_remedy(in_coroutine(ctx.sleep, 1))
    names_the_remedy(in_coroutine(ctx.yield))
  end)

  it("is no waiting when the answer is there already", virtual(function(root)
    local c = ctx.with_timeout(root, 0)
    assert.is_true(coroutine.wrap(function() return c:wait() end)())
    assert.is_false(coroutine.wrap(function() return root:wait(0) end)())
  end))

  it("leaves the coroutine usable", virtual(function()
    local co = coroutine.wrap(function()
      pcall(ctx.sleep, 1)
      coroutine.yield "still here"
      return "end"
    end)
    assert.equal("still here", co())
    assert.equal("end", co())
  end))
end)

describe("ctx.wrap", function()
  it("passes values in and out as coroutine.wrap does", virtual(function()
    local f = ctx.wrap(function(...)
      assert.same({ 1, nil, 3, n = 3 }, table.pack(...))
      assert.same({ "a", nil, n = 2 }, table.pack(coroutine.yield("x", nil)))
      return nil, "end", nil
    end)
    assert.same({ "x", nil, n = 2 }, table.pack(f(1, nil, 3)))
    assert.same({ nil, "end", nil, n = 3 }, table.pack(f("a", nil)))
    raised(f)
  end))

  it("lets waits inside reach the loop", virtual(function(root)
    local ticks = 0
    root:go(function() for _ = 1, 6 do ctx.sleep(0.5) ticks = ticks + 1 end end)
    local seen = {}
    for i in ctx.wrap(function()
      for i = 1, 3 do
        ctx.sleep(1)
        coroutine.yield(i)
      end
    end) do
      seen[#seen + 1] = { i, ctx.now() }
    end
    assert.same({ { 1, 1 }, { 2, 2 }, { 3, 3 } }, seen)
    assert.is_true(ticks >= 5)
  end))

  it("lets waits inside reach the loop through several of them", virtual(function()
    local outer = ctx.wrap(function()
      local inner = ctx.wrap(function()
        ctx.sleep(1)
        coroutine.yield "inner"
        ctx.sleep(1)
        return "end"
      end)
      coroutine.yield(inner())
      coroutine.yield(inner())
    end)
    assert.equal("inner", outer())
    assert.equal(1, ctx.now())
    assert.equal("end", outer())
    assert.equal(2, ctx.now())
  end))

  it("has the context of the task that calls it", virtual(function(root)
    local c, cancel = ctx.with_cancel(root)
    local f = ctx.wrap(function()
      coroutine.yield(ctx.current())
      coroutine.yield(ctx.current())
      ctx.sleep(10)
    end)
    assert.equal(root, f())
    local t = c:async(function()
      assert.equal(c, f())
      f()
    end)
    ctx.sleep(1)
    cancel()
    assert.same({ false, ctx.CANCELED }, { t:join() })
    assert.equal(1, ctx.now())
  end))

  it("hands errors on", virtual(function()
    local err = {}
    assert.equal(err, raised(ctx.wrap(function() ctx.sleep(1) error(err) end)))
    assert.matches("boom", raised(ctx.wrap(function() error "boom" end)))
  end))

  it("runs the <close> variables of a function that fails", virtual(function()
    local closed = false
    raised(ctx.wrap(function()
      local _ <close> = closer(function() closed = true end)
      ctx.sleep(1)
      error "boom"
    end))
    assert.is_true(closed)
  end))

  it("lets waits inside reach the loop from the main thread", function()
    local ran = false
    ctx.background():go(function() ran = true end)
    local f = ctx.wrap(function()
      ctx.yield()
      coroutine.yield(ran)
    end)
    assert.is_true(f())
  end)
end)

describe("waiting where Lua cannot yield", function()
  local function wait() ctx.sleep(1) end

  it("raises an error that names table.sort", virtual(function()
    local message = raised(table.sort, { 3, 1, 2 }, function(a, b) ctx.sleep(1) return a < b end)
    assert.matches("table.sort", message, 1, true)
  end))

  it("raises an error that names string.gsub", virtual(function()
    assert.matches("string.gsub", raised(string.gsub, "abc", "b", wait), 1, true)
  end))

  it("raises an error that names tostring", virtual(function()
    local object = setmetatable({}, { __tostring = wait })
    assert.matches("tostring", raised(tostring, object), 1, true)
    assert.matches("tostring", raised(function() return #tostring(object) end), 1, true)
  end))

  it("raises an error that names require", virtual(function()
    package.preload["spec.waits"] = wait
    local message = raised(require, "spec.waits")
    package.preload["spec.waits"] = nil
    assert.matches("require", message, 1, true)
  end))

  it("raises for every kind of wait", virtual(function(root)
    local ch = ctx.channel()
    for _, fn in ipairs {
      function() root:wait(1) end, function() root:sleep(1) end, function() ctx.yield() end,
      function() ch:recv() end, function() ch:send(1) end, function() ctx.select(ch) end,
    } do
      assert.matches("string.gsub", raised(string.gsub, "abc", "b", fn), 1, true)
    end
  end))

  it("is no waiting when the answer is there already", virtual(function(root)
    local c = ctx.with_timeout(root, 0)
    local ch = ctx.channel(1)
    assert.equal("atruec", (("abc"):gsub("b", function() return tostring(c:wait()) end)))
    assert.equal("atruec", (("abc"):gsub("b", function() return tostring(ch:send(1)) end)))
    assert.equal("a1c", (("abc"):gsub("b", function() return ch:recv() end)))
  end))

  it("leaves the task able to wait", virtual(function(root)
    local t = root:async(function()
      pcall(string.gsub, "abc", "b", wait)
      ctx.sleep(1)
      return ctx.now()
    end)
    assert.same({ true, 1 }, { t:join() })
  end))

  it("can wait inside what yields: pcall, metamethods, iterators, <close>", virtual(function()
    local object = setmetatable({}, {
      __index = function(_, key) ctx.sleep(1) return key end,
      __add = function() ctx.sleep(1) return "sum" end,
      __call = function() ctx.sleep(1) return "called" end,
    })
    assert.equal("key", object.key)
    assert.equal("sum", object + 1)
    assert.equal("called", object())
    assert.is_true(pcall(ctx.sleep, 1))
    for _ in function(_, i) ctx.sleep(1) return not i or nil end do end
    do local _ <close> = closer(function() ctx.sleep(1) end) end
    assert.equal(7, ctx.now())
  end))
end)

describe("a task resumed by a stranger", function()
  --- Starts a task that waits for five seconds, and resumes it by hand after one.
  local function disturbed(root, wait)
    local co
    local t = root:async(function()
      co = coroutine.running()
      return wait()
    end)
    ctx.sleep(1)
    pcall(coroutine.resume, co, "stray", "values")
    pcall(coroutine.resume, co)
    return t
  end

  it("sleeps on", virtual(function(root)
    local t = disturbed(root, function() return root:sleep(5), ctx.now() end)
    assert.same({ true, true, 5 }, { t:join() })
  end))

  it("sleeps on without a context of its own", virtual(function(root)
    local t = disturbed(root, function() ctx.sleep(5) return ctx.now() end)
    assert.same({ true, 5 }, { t:join() })
  end))

  it("waits on", virtual(function(root)
    local c = ctx.with_timeout(root, 5)
    local t = disturbed(root, function() return c:wait(), ctx.now() end)
    assert.same({ true, true, 5 }, { t:join() })
  end))

  it("still receives what is sent", virtual(function(root)
    local ch = ctx.channel()
    local t = disturbed(root, function() return ch:recv(), ctx.now() end)
    ctx.sleep(4)
    assert.is_true(ch:send "sent")
    assert.same({ true, "sent", 5 }, { t:join() })
  end))

  it("still sends", virtual(function(root)
    local ch = ctx.channel()
    local t = disturbed(root, function() return ch:send "sent", ctx.now() end)
    ctx.sleep(4)
    assert.equal("sent", ch:recv())
    assert.same({ true, true, 5 }, { t:join() })
  end))

  it("still joins", virtual(function(root)
    local other = root:async(function() ctx.sleep(5) return "result" end)
    local t = disturbed(root, function() return other:join() end)
    assert.same({ true, true, "result" }, { t:join() })
  end))

  it("is not lost when it has not yet started", virtual(function(root)
    local ran = 0
    local t = root:async(function() ran = ran + 1 ctx.sleep(1) return ran end)
    assert.same({ true, 1 }, { t:join() })
  end))
end)

describe("waiting for ever with nothing pending", function()
  it("raises an error that names who waits where, on the virtual clock", function()
    local message = tostring(raised(ctx.run, { clock = "virtual" }, function(root)
      root:go(function() ctx.channel():recv() end)
      ctx.with_cancel(root):wait()
    end))
    assert.matches("every task waits", message, 1, true)
    local _, places = message:gsub("wait_spec%.lua:%d+", "")
    assert.is_true(places >= 2, message)
  end)

  it("raises an error that names who waits where, on the real clock", function()
    local output, status = helper.script [[
      local ctx = require "ctx"
      local c = ctx.with_cancel(ctx.background())
      c:go(function() ctx.channel():recv() end)
      c:wait()]]
    assert.equal(1, status, output)
    assert.matches("every task waits", output, 1, true)
    assert.matches(":3", output, 1, true)
    assert.matches(":4", output, 1, true)
  end)

  it("raises in a join on the main thread that nothing can end", function()
    local output, status = helper.script [[
      local ctx = require "ctx"
      local t = ctx.background():async(function() ctx.background():wait() end)
      t:join()]]
    assert.equal(1, status, output)
    assert.matches("every task waits", output, 1, true)
  end)
end)
