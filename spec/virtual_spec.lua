--- The virtual clock: in a run, for a whole script, and in specs.

local ctx = require "ctx"
local testing = require "ctx.testing"
local helper = require "spec.helper"
local virtual, raised = helper.virtual, helper.raised

describe("virtual time", function()
  it("Q1 stands still while a task runs", virtual(function()
    local before = ctx.now()
    local x = 0
    for i = 1, 100000 do x = x + i end
    assert.equal(before, ctx.now())
    ctx.yield()
    assert.equal(before, ctx.now())
  end))

  it("Q1 jumps to the next due timer when every task waits", virtual(function(root)
    local instants = {}
    for _, seconds in ipairs { 7, 0.25, 86400, 3 } do
      root:go(function()
        ctx.sleep(seconds)
        instants[#instants + 1] = ctx.now()
      end)
    end
    ctx.sleep(100000)
    assert.same({ 0.25, 3, 7, 86400 }, instants)
  end))

  it("Q2 is exact to the nanosecond", virtual(function(root)
    local c = ctx.with_timeout(root, 5)
    root:sleep(4.999999999)
    assert.is_false(c:done())
    root:sleep(0.000000001)
    assert.is_true(c:done())
  end))

  it("Q3 ends with an error that names who waits where, when nothing is pending", function()
    local message = tostring(raised(ctx.run, { clock = "virtual" }, function(root)
      local ch = ctx.channel()
      root:go(function() ch:recv() end)
      root:go(function() ctx.with_cancel(root):wait() end)
      ctx.sleep(1)
      ctx.select(ctx.channel(), ctx.channel())
    end))
    assert.matches("every task waits", message, 1, true)
    local _, places = message:gsub("virtual_spec%.lua:%d+", "")
    assert.is_true(places >= 3, message)
  end)

  it("Q3 ends with an error when tasks wait for one another", function()
    assert.matches("every task waits", tostring(raised(ctx.run, { clock = "virtual" }, function(root)
      local a, b
      a = root:async(function() ctx.yield() b:join() end)
      b = root:async(function() ctx.yield() a:join() end)
    end)), 1, true)
  end)

  it("Q3 ends with an error when the last task left by its main one waits for ever", function()
    assert.matches("every task waits", tostring(raised(ctx.run, { clock = "virtual" }, function(root)
      root:go(function() ctx.background():wait() end)
    end)), 1, true)
  end)

  it("Q3 says nothing while a timer is pending", virtual(function(root)
    assert.is_true(ctx.with_timeout(root, 1e6):wait())
  end))

  it("Q4 gives the same lines in the same order every time", function()
    local function program()
      local lines = {}
      ctx.run({ clock = "virtual" }, function(root)
        math.randomseed(3)
        for i = 1, 50 do
          local c = ctx.with_timeout(root, math.random(1, 20) / 4)
          c:go(function()
            while c:sleep(math.random(1, 8) / 4) do lines[#lines + 1] = i .. "@" .. ctx.now() end
            lines[#lines + 1] = i .. " ends at " .. ctx.now()
          end)
          c:on_done(function() lines[#lines + 1] = "hook " .. i end)
        end
      end)
      return table.concat(lines, "\n")
    end
    local first = program()
    assert.is_true(#first > 500)
    for _ = 1, 10 do assert.equal(first, program()) end
  end)

  it("Q5 names a task that only yields, after a million rounds at one instant", function()
    local message = tostring(raised(ctx.run, { clock = "virtual" }, function(root)
      root:go(function() while true do ctx.yield() end end)
      ctx.sleep(1)
    end))
    assert.matches("virtual_spec.lua:%d+", message)
    assert.matches("yield", message)
  end)

  it("Q5 lets a task yield many times between two instants", virtual(function()
    for _ = 1, 3 do
      for _ = 1, 100000 do ctx.yield() end
      ctx.sleep(1)
    end
    assert.equal(3, ctx.now())
  end))
end)

describe("lua5.4 -l ctx.virtual", function()
  it("runs a script on the virtual clock, from the first line to the last", function()
    local output, status = helper.script([[
      local ctx = require "ctx"
      local function work(c, name)
        while not c:done() do
          print(name .. "  is running")
          c:sleep(1)
        end
        print(name .. "  get message to quit")
      end
      local a, cancel = ctx.with_cancel(ctx.background())
      a:go(work, "work1")
      local b = a:with_timeout(3)
      b:go(work, "work2")
      ctx.sleep(5)
      cancel()
      ctx.sleep(1)
      print(ctx.now())
      ctx.sleep(1000000)]], "-l ctx.virtual")
    assert.equal(0, status, output)
    local one, two = "work1  is running\n", "work2  is running\n"
    assert.equal(one .. two .. one .. two .. one .. two .. "work2  get message to quit\n" .. one .. one ..
      "work1  get message to quit\n6.0\n", output)
  end)

  it("leaves arguments and exit status alone", function()
    local output, status = helper.script([[
      print(#arg, ...)
      require "ctx".sleep(3600)
      os.exit(7)]], "-l ctx.virtual")
    assert.equal("0\n", output)
    assert.equal(7, status)
  end)

  it("ends with the error of the script", function()
    local output, status = helper.script([[
      require "ctx".sleep(3600)
      error "boom"]], "-l ctx.virtual")
    assert.equal(1, status)
    assert.matches(":2: boom", output, 1, true)
  end)

  it("Q3 ends with an error when the script waits for ever", function()
    local output, status = helper.script([[
      local ctx = require "ctx"
      ctx.channel():recv()]], "-l ctx.virtual")
    assert.equal(1, status)
    assert.matches("every task waits", output, 1, true)
    assert.matches(":2", output, 1, true)
  end)
end)

describe("virtual time that stands still", function()
  it("Q5 is told of once: the next wait is as good as the first", function()
    assert.matches("stands still", helper.raised(ctx.run, { clock = "virtual" }, function()
      local ok, err = pcall(ctx.run, function() while true do ctx.yield() end end)
      assert.is_false(ok)
      error(err, 0)
    end), 1, true)
    assert.equal(5, ctx.run({ clock = "virtual" }, function() ctx.yield() return 5 end))
  end)

  it("Q5 names the task that yields", function()
    assert.matches("task %d+ waits in yield at .*virtual_spec.lua", helper.raised(ctx.run,
      { clock = "virtual" }, function(root)
        root:go(function() while not root:done() do ctx.yield() end end)
        ctx.sleep(1)
      end))
  end)
end)

describe("ctx.testing", function()
  it("runs a function as the main task at time 0", testing.wrap(function(main, clock)
    assert.equal(0, ctx.now())
    assert.equal(main, ctx.current())
    assert.is_false(main:done())
    assert.is_not_nil(clock)
    assert.is_true(coroutine.isyieldable())
  end))

  it("hands on what the function raises", function()
    local err = {}
    assert.equal(err, raised(testing.wrap(function() error(err) end)))
    assert.matches("boom", raised(testing.wrap(function(main)
      main:go(function() error "boom" end)
      ctx.sleep(1)
    end)))
  end)

  it("Q1 advances: all that is due by then has run", testing.wrap(function(main, clock)
    local log = {}
    main:go(function()
      for i = 1, 5 do
        ctx.sleep(1)
        log[#log + 1] = i
        main:go(function() log[#log + 1] = -i end)
      end
    end)
    clock:advance(0.5)
    assert.same({}, log)
    clock:advance(0.5)
    assert.same({ 1, -1 }, log)
    clock:advance(2.5)
    assert.same({ 1, -1, 2, -2, 3, -3 }, log)
    assert.equal(3.5, ctx.now())
    clock:advance(100)
    assert.same({ 1, -1, 2, -2, 3, -3, 4, -4, 5, -5 }, log)
    assert.equal(103.5, ctx.now())
  end))

  it("Q1 advances past deadlines and their hooks", testing.wrap(function(main, clock)
    local c = ctx.with_timeout(main, 5)
    local at
    c:on_done(function() at = ctx.now() end)
    clock:advance(4.999999999)
    assert.is_false(c:done())
    assert.is_nil(at)
    clock:advance(0.000000001)
    assert.is_true(c:done())
    assert.equal(5, at)
  end))

  it("Q1 advances by nothing: what is due now has run", testing.wrap(function(main, clock)
    local ran = false
    main:go(function() ran = true end)
    clock:advance(0)
    assert.is_true(ran)
    assert.equal(0, ctx.now())
  end))

  it("settles: every other task waits, and no time has passed", testing.wrap(function(main, clock)
    local log = {}
    local ch = ctx.channel()
    local t = main:async(function()
      for _ = 1, 10 do ctx.yield() end
      log[#log + 1] = "sends"
      ch:send "value"
      log[#log + 1] = "sent"
    end)
    clock:settle()
    assert.same({ "sends" }, log)
    assert.equal("waiting", t:status())
    assert.equal("value", ch:recv())
    clock:settle()
    assert.same({ "sends", "sent" }, log)
    assert.equal("done", t:status())
    assert.equal(0, ctx.now())
  end))

  it("settles in one task at a time", testing.wrap(function(main, clock)
    local t = main:async(function() clock:settle() end)
    local u = main:async(function() clock:settle() end)
    ctx.yield()
    assert.matches("another task is in it already", raised(clock.settle, clock))
    ctx.sleep(1)
    t:join()
    assert.matches("in it already", select(2, u:join()))
  end))

  it("settles after what a descriptor wakes", function()
    local c, cancel = ctx.background():with_cancel()
    local fd = c:pollfd()
    testing.wrap(function(main, clock)
      local told = false
      main:go(function() main:wait_fd(fd, "r") told = true end)
      ctx.yield()
      cancel()
      clock:settle()
      assert.is_true(told)
    end)()
  end)

  it("raises when time is to go back, or is no number", testing.wrap(function(_, clock)
    for _, bad in ipairs { -1, -math.huge, 0 / 0, "1", {}, true } do raised(clock.advance, clock, bad) end
    raised(clock.advance, clock)
    raised(clock.advance, clock, math.huge)
    raised(clock.advance, nil, 1)
    assert.equal(0, ctx.now())
  end))

  it("fails when a task is left", function()
    assert.matches("task", tostring(raised(testing.wrap(function(main)
      main:go(function() ctx.background():sleep(100) end)
      ctx.sleep(1)
    end))))
  end)

  it("fails when a task is left that waits for ever, and says where", function()
    local message = tostring(raised(testing.wrap(function(main)
      main:go(function() ctx.channel():recv(ctx.background()) end)
      ctx.sleep(1)
    end)))
    assert.matches("virtual_spec.lua:%d+", message)
  end)

  it("fails when a live context is left", function()
    local kept
    assert.matches("context", tostring(raised(testing.wrap(function(main)
      kept = ctx.with_cancel(main)
    end))))
    assert.is_true(kept:done())
    assert.matches("context", tostring(raised(testing.wrap(function()
      kept = ctx.with_timeout(ctx.background(), 100)
    end))))
    assert.is_true(kept:done())
  end)

  it("passes when contexts are done, or garbage", function()
    local kept
    testing.wrap(function(main)
      local cancel
      kept, cancel = ctx.with_cancel(main)
      cancel()
      for _ = 1, 10 do ctx.with_cancel(main) end
      local _ <close> = ctx.with_timeout(main, 100)
    end)()
    assert.is_true(kept:done())
  end)

  it("does not sleep for real", function()
    local before = os.time()
    testing.wrap(function(main, clock)
      ctx.sleep(10000)
      clock:advance(10000)
      main:wait(10000)
    end)()
    assert.is_true(os.time() - before < 60)
  end)

  it("leaves nothing behind: every run begins anew", function()
    for _ = 1, 3 do
      testing.wrap(function(_, clock)
        assert.equal(0, ctx.now())
        clock:advance(5)
      end)()
    end
  end)
end)
