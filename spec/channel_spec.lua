local core = require "ctx.core"
local ctx = require "ctx"
local testing = require "ctx.testing"

local wrap = testing.wrap

-- The text of the error that f(...) raises.
local function text_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

local function assert_says(expected, f, ...)
  local text = text_of(f, ...)
  assert.is_truthy(text:find(expected, 1, true), text)
end

describe("a channel", function()
  it("prints its kind", function()
    assert.equal("ctx.channel", tostring(ctx.channel()))
    assert.equal("ctx.sender", tostring(ctx.channel():sender(1)))
  end)

  it("R1 has no place without a capacity", function()
    local ch = ctx.channel()
    assert.same({ nil, "full" }, { ch:try_send(1) })
    assert.equal(0, #ch)
  end)

  it("R1 has as many places as its capacity", function()
    local ch = ctx.channel(2)
    assert.is_true(ch:try_send("a"))
    assert.is_true(ch:try_send("b"))
    assert.same({ nil, "full" }, { ch:try_send("c") })
    assert.equal(2, #ch)
  end)

  it("R1 takes a float without a fraction for a capacity", function()
    assert.is_true(ctx.channel(1.0):try_send(1))
  end)

  it("R1 refuses other capacities", function()
    local range = "bad argument #1 to 'channel' (a capacity is an integer from 0 on)"
    assert_says(range, ctx.channel, -1)
    assert_says(range, ctx.channel, 0.5)
    assert_says(range, ctx.channel, math.huge)
    assert_says(range, ctx.channel, 0 / 0)
    assert_says("bad argument #1 to 'channel' (number expected, got string)", ctx.channel, "1")
    assert_says("bad argument #1 to 'channel' (number expected, got table)", ctx.channel, {})
  end)

  it("R3 hands out values in the order in which they came", function()
    local ch = ctx.channel(3)
    for i = 1, 3 do ch:try_send(i) end
    assert.equal(1, ch:try_recv())
    ch:try_send(4)
    for i = 2, 4 do assert.equal(i, ch:try_recv()) end
    assert.same({ nil, "empty" }, { ch:try_recv() })
  end)

  it("R3 keeps that order while its buffer wanders", function()
    local ch, sent, received = ctx.channel(5), 0, 0
    for round = 1, 1000 do
      for _ = 1, round % 5 + 1 do
        if ch:try_send(sent + 1) then sent = sent + 1 end
      end
      for _ = 1, round % 3 + 1 do
        local value = ch:try_recv()
        if value then
          received = received + 1
          assert.equal(received, value)
        end
      end
      assert.equal(sent - received, #ch)
    end
  end)

  it("R5 carries false", wrap(function(main)
    local ch = ctx.channel(1)
    assert.is_true(ch:send(false))
    assert.is_false(ch:try_recv())
    main:go(function() ch:send(false) end)
    assert.is_false(ch:recv())
    main:go(function() ch:send(false) end)
    assert.is_false(ch:recv())
  end))

  it("R5 does not carry nil", function()
    local ch = ctx.channel(1)
    local message = " (a channel cannot carry nil)"
    assert_says("bad argument #1 to 'send'" .. message, function() ch:send(nil) end)
    assert_says("bad argument #1 to 'try_send'" .. message, function() ch:try_send() end)
    assert_says("bad argument #1 to 'sender'" .. message, function() ch:sender(nil) end)
    assert.equal(0, #ch)
  end)

  it("P1 names what it was called with in its place", function()
    local ch = ctx.channel()
    for _, name in ipairs { "send", "recv", "try_send", "try_recv", "close", "sender" } do
      local start = "bad argument #1 to '" .. name .. "' (ctx.channel expected, got "
      assert_says(start .. "no value)", function() ch[name]() end)
      assert_says(start .. "nil)", function() ch[name](nil) end)
      assert_says(start .. "number)", function() ch[name](1) end)
      assert_says(start .. "ctx.context)", function() ch[name](ctx.background()) end)
      assert_says(start .. "ctx.sender)", function() ch[name](ch:sender(1)) end)
    end
  end)

  it("P1 blames the line that called it", function()
    local ch = ctx.channel()
    local line = debug.getinfo(1, "l").currentline
    local text = text_of(function() ch.recv() end)
    assert.is_truthy(text:find("channel_spec.lua:" .. line + 1 .. ": bad argument", 1, true), text)
  end)

  it("refuses limits that are none", function()
    local ch = ctx.channel()
    assert_says("bad argument #2 to 'send'", function() ch:send(1, "1") end)
    assert_says("bad argument #1 to 'recv'", function() ch:recv {} end)
    assert_says("bad argument #1 to 'recv'", function() ch:recv(0 / 0) end)
    local line = debug.getinfo(1, "l").currentline
    assert_says("channel_spec.lua:" .. line + 1 .. ": bad", function() ch:recv "1" end)
  end)

  it("P1 tells two results apart from one limit", wrap(function(main)
    local ch = ctx.channel()
    local hint = " (with_cancel returns two values: put the call in parentheses"
    assert_says("bad argument #2 to 'recv'" .. hint, function() ch:recv(main:with_timeout(1)) end)
    assert_says("bad argument #3 to 'send'" .. hint, function() ch:send(1, main:with_timeout(1)) end)
    assert_says("put the call in parentheses", function() ch:send(main:with_cancel()) end)
  end))
end)

describe("send", function()
  it("R2 waits on an unbuffered channel until the value is received", wrap(function(main)
    local ch, sent_at = ctx.channel(), nil
    main:go(function()
      assert.is_true(ch:send("value"))
      sent_at = ctx.now()
    end)
    ctx.sleep(3)
    assert.is_nil(sent_at)
    assert.equal("value", ch:recv())
    ctx.yield()
    assert.equal(3, sent_at)
  end))

  it("R2 waits on a full buffer until there is a place", wrap(function(main)
    local ch, log = ctx.channel(2), {}
    main:go(function()
      for i = 1, 4 do
        ch:send(i)
        table.insert(log, { ctx.now(), i })
      end
    end)
    for i = 1, 4 do
      ctx.sleep(1)
      assert.equal(i, ch:recv())
    end
    ctx.yield()
    assert.same({ { 0, 1 }, { 0, 2 }, { 1, 3 }, { 2, 4 } }, log)
  end))

  it("R3 lets senders pass in the order in which they came", wrap(function(main)
    local ch = ctx.channel(1)
    for i = 1, 5 do
      main:go(function() ch:send(i) end)
    end
    ctx.yield()
    for i = 1, 5 do assert.equal(i, ch:recv()) end
  end))

  it("R3 does not overtake those who wait", wrap(function(main)
    local ch = ctx.channel(1)
    ch:send(1)
    main:go(function() ch:send(2) end)
    ctx.yield()
    assert.equal(1, ch:recv()) -- 2 has its place now
    assert.same({ nil, "full" }, { ch:try_send(3) })
    assert.equal(2, ch:recv())
  end))

  it("R4 R7 gives up at its limit, and its value is not delivered", wrap(function(main)
    local ch, answer = ctx.channel(), nil
    main:go(function()
      answer = { ch:send("late", 2) }
      table.insert(answer, ctx.now())
    end)
    ctx.sleep(2.5)
    assert.same({ nil, ctx.DEADLINE_EXCEEDED, 2 }, answer)
    assert.same({ nil, "empty" }, { ch:try_recv() })
  end))

  it("R7 J1 polls with a limit of 0 or less", wrap(function()
    local ch = ctx.channel(1)
    assert.is_true(ch:send(1, 0))
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ch:send(2, 0) })
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ch:send(2, -1.5) })
    assert.equal(0, ctx.now())
    assert.equal(1, #ch)
  end))

  it("R7 gives up when the context it was given ends", wrap(function(main)
    local ch = ctx.channel()
    local c, cancel = main:with_cancel()
    main:go(function()
      ctx.sleep(1)
      cancel()
    end)
    assert.same({ nil, ctx.CANCELED }, { ch:send(1, c) })
    assert.equal(1, ctx.now())
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ch:send(1, (main:with_timeout(2))) })
    assert.equal(3, ctx.now())
    assert.same({ nil, "empty" }, { ch:try_recv() })
  end))

  it("R7 raises the error of the current context", wrap(function(main)
    local ch = ctx.channel()
    local task = main:with_timeout(1):async(function() ch:send(1) end)
    assert.same({ false, ctx.DEADLINE_EXCEEDED }, { task:join() })
    assert.equal(1, ctx.now())
    assert.same({ nil, "empty" }, { ch:try_recv() })
  end))

  it("R6 is refused on a closed channel", wrap(function()
    local ch = ctx.channel(1)
    ch:close()
    assert.same({ nil, "closed" }, { ch:send(1) })
    assert.same({ nil, "closed" }, { ch:try_send(1) })
    assert.equal(0, #ch)
  end))
end)

describe("recv", function()
  it("R2 waits for a value", wrap(function(main)
    local ch = ctx.channel()
    main:go(function()
      ctx.sleep(2)
      ch:send("value")
    end)
    assert.equal("value", ch:recv())
    assert.equal(2, ctx.now())
  end))

  it("R3 serves receivers in the order in which they came", wrap(function(main)
    local ch, log = ctx.channel(), {}
    for i = 1, 5 do
      main:go(function() table.insert(log, i .. ch:recv()) end)
    end
    ctx.yield()
    for _, value in ipairs { "a", "b", "c", "d", "e" } do assert.is_true(ch:try_send(value)) end
    ctx.yield()
    assert.same({ "1a", "2b", "3c", "4d", "5e" }, log)
  end))

  it("R3 does not overtake those who wait", wrap(function(main)
    local ch, first = ctx.channel(1), nil
    main:go(function() first = ch:recv() end)
    ctx.yield()
    ch:send("theirs") -- handed over, though that task has not run yet
    assert.same({ nil, "empty" }, { ch:try_recv() })
    ctx.yield()
    assert.equal("theirs", first)
  end))

  it("R4 R7 gives up at its limit, and swallows nothing later", wrap(function()
    local ch = ctx.channel()
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ch:recv(1.5) })
    assert.equal(1.5, ctx.now())
    assert.same({ nil, "full" }, { ch:try_send(1) })
  end))

  it("R7 J1 polls with a limit of 0 or less", wrap(function()
    local ch = ctx.channel(1)
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ch:recv(0) })
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ch:recv(math.mininteger) })
    ch:send(1)
    assert.equal(1, ch:recv(0))
    assert.equal(0, ctx.now())
  end))

  it("waits for ever with a limit of math.huge", wrap(function(main)
    local ch = ctx.channel()
    main:go(function()
      ctx.sleep(1e8)
      ch:send("at last")
    end)
    assert.equal("at last", ch:recv(math.huge))
  end))

  it("R7 gives up when the context it was given ends", wrap(function(main)
    local ch = ctx.channel()
    assert.same({ nil, ctx.DEADLINE_EXCEEDED }, { ch:recv((main:with_timeout(2))) })
    assert.equal(2, ctx.now())
    assert.same({ nil, "full" }, { ch:try_send(1) })
  end))

  it("R7 raises the error of the current context, with a limit in seconds too", wrap(function(main)
    local ch = ctx.channel()
    local c, cancel = main:with_cancel()
    local plain = c:async(function() ch:recv() end)
    local limited = c:async(function() ch:recv(5) end)
    ctx.sleep(1)
    cancel()
    assert.same({ false, ctx.CANCELED }, { plain:join() })
    assert.same({ false, ctx.CANCELED }, { limited:join() })
    assert.equal(1, ctx.now())
  end))

  it("R7 looks at a context it was given alone", wrap(function(main)
    local ch = ctx.channel()
    local c, cancel = main:with_cancel()
    local task = c:async(function()
      local value = ch:recv(main)
      return value, ctx.now()
    end)
    ctx.yield()
    cancel()
    ctx.sleep(1)
    ch:send("cleaned up")
    assert.same({ true, "cleaned up", 1 }, { task:join() })
  end))

  it("refuses to wait for ever for nobody, and is named", function()
    assert_says("recv", ctx.run, { clock = "virtual" }, function() ctx.channel():recv() end)
  end)
end)

describe("a receiver and a sender", function()
  it("R7 J5 see a context that was done before the call, whatever is ready", wrap(function(main)
    local ch = ctx.channel(2)
    ch:send("there")
    local c, cancel = main:with_cancel()
    cancel()
    assert.same({ nil, ctx.CANCELED }, { ch:recv(c) })
    assert.same({ nil, ctx.CANCELED }, { ch:send("more", c) })
    local task = c:async(function() return ch:recv() end)
    assert.same({ false, ctx.CANCELED }, { task:join() })
    ch:close()
    assert.same({ nil, ctx.CANCELED }, { ch:recv(c) })
    assert.equal(1, #ch)
    assert.equal("there", ch:recv())
  end))

  it("J5 have what was handed over before the end", wrap(function(main)
    local values, done = ctx.channel(), ctx.channel()
    local c, cancel = main:with_cancel()
    local receiver = c:async(function() return values:recv() end)
    local sender = c:async(function() return done:send("taken") end)
    ctx.yield()
    assert.is_true(values:try_send("handed over"))
    assert.equal("taken", done:try_recv())
    cancel()
    assert.same({ true, "handed over" }, { receiver:join() })
    assert.same({ true, true }, { sender:join() })
  end))

  it("J5 see the end before what came after it", wrap(function(main)
    local values, offers = ctx.channel(), ctx.channel()
    local c, cancel = main:with_cancel()
    local receiver = c:async(function() return values:recv() end)
    local sender = main:async(function() return offers:send("kept", c) end)
    ctx.yield()
    cancel()
    assert.same({ nil, "full" }, { values:try_send("too late") })
    assert.same({ nil, "empty" }, { offers:try_recv() })
    assert.same({ false, ctx.CANCELED }, { receiver:join() })
    assert.same({ true, nil, ctx.CANCELED }, { sender:join() })
  end))

  it("J5 see a deadline that has passed before what came after it", wrap(function(main)
    local ch = ctx.channel()
    local sender = main:async(function()
      ctx.sleep(1)
      return ch:try_send("too late")
    end)
    ctx.yield() -- its timer is armed first, so it runs first
    local receiver = main:with_timeout(1):async(function() return ch:recv() end)
    assert.same({ true, nil, "full" }, { sender:join() })
    assert.same({ false, ctx.DEADLINE_EXCEEDED }, { receiver:join() })
  end))

  it("R4 pass over those whose context has ended, and lose nothing", wrap(function(main)
    local ch = ctx.channel()
    local c, cancel = main:with_cancel()
    local ended = c:async(function() return ch:recv() end)
    local live = main:async(function() return ch:recv() end)
    ctx.yield()
    cancel()
    assert.is_true(ch:try_send("value"))
    assert.same({ true, "value" }, { live:join() })
    assert.same({ false, ctx.CANCELED }, { ended:join() })
  end))

  it("R10 leave no place behind when they give up in the middle", wrap(function(main)
    local ch, log = ctx.channel(), {}
    local c, cancel = main:with_cancel()
    for i = 1, 5 do
      main:go(function() log[i] = ch:recv(i % 2 == 0 and c or nil) or "gave up" end)
    end
    ctx.yield()
    cancel()
    ctx.yield()
    for i = 1, 3 do assert.is_true(ch:try_send(i)) end
    assert.same({ nil, "full" }, { ch:try_send(4) })
    ctx.yield()
    assert.same({ 1, "gave up", 2, "gave up", 3 }, log)
  end))

  it("have their <close> variables closed, which may wait", wrap(function(main)
    local ch, log = ctx.channel(), {}
    local c, cancel = main:with_cancel()
    local function cleanup(name)
      return setmetatable({}, { __close = function()
        assert.is_true(main:sleep(1))
        log[#log + 1] = name .. " at " .. ctx.now()
      end })
    end
    c:go(function()
      local _ <close> = cleanup "recv"
      ch:recv()
    end)
    c:go(function()
      local full <close> = cleanup "send"
      ctx.channel():send(full)
    end)
    ctx.sleep(1)
    cancel()
    ctx.sleep(2)
    assert.same({ "recv at 2.0", "send at 2.0" }, log)
  end))

  it("R3 keep their places when they are woken for nothing", wrap(function(main)
    local ch, log, token = ctx.channel(), {}, nil
    main:go(function()
      token = core.me "spec"
      table.insert(log, "first " .. ch:recv())
    end)
    main:go(function() table.insert(log, "second " .. ch:recv()) end)
    ctx.yield()
    core.wake(token)
    ctx.yield()
    ch:try_send(1)
    ch:try_send(2)
    ctx.yield()
    assert.same({ "first 1", "second 2" }, log)
  end))

  it("R7 poll without letting others run", wrap(function(main)
    local ch, has_run = ctx.channel(), false
    main:go(function() has_run = true end)
    ch:recv(0)
    ch:send(1, 0)
    assert.is_false(has_run)
  end))

  it("J2 give up by the 100,000, and are served by the 100,000", wrap(function(main)
    local n, ch = 100000, ctx.channel()
    local c, cancel = main:with_cancel()
    local gave_up, sum = 0, 0
    for i = 1, n do
      if i % 2 == 0 then
        main:go(function()
          local value = ch:recv()
          sum = sum + value
        end)
      else
        main:go(function()
          if ch:recv(c) == nil then gave_up = gave_up + 1 end
        end)
      end
    end
    ctx.yield()
    cancel()
    ctx.yield()
    for _ = 1, n // 2 do assert(ch:try_send(1)) end
    ctx.yield()
    assert.same({ n // 2, n // 2 }, { gave_up, sum })
    assert.same({ nil, "full" }, { ch:try_send(1) })
  end))
end)

describe("a try", function()
  it("R8 says why it did nothing, and looks at no context", wrap(function(main)
    local c, cancel = main:with_cancel()
    cancel()
    local seen = c:async(function()
      local ch = ctx.channel(1)
      local outcomes = { { ch:try_recv() }, { ch:try_send(1) }, { ch:try_send(2) }, { ch:try_recv() } }
      ch:close()
      outcomes[5], outcomes[6] = { ch:try_send(3) }, { ch:try_recv() }
      return outcomes
    end)
    local _, outcomes = seen:join()
    assert.same({ { nil, "empty" }, { true }, { nil, "full" }, { 1 }, { nil, "closed" }, { nil, "closed" } },
      outcomes)
  end))

  it("R8 serves who waits, and takes from who waits", wrap(function(main)
    local ch = ctx.channel()
    local receiver = main:async(function() return ch:recv() end)
    ctx.yield()
    assert.is_true(ch:try_send "a")
    assert.same({ true, "a" }, { receiver:join() })
    local sender = main:async(function() return ch:send "b" end)
    ctx.yield()
    assert.equal("b", ch:try_recv())
    assert.same({ true, true }, { sender:join() })
  end))
end)

describe("close", function()
  it("R6 is true for the first call and false for later ones", function()
    local ch = ctx.channel()
    assert.is_true(ch:close())
    assert.is_false(ch:close())
  end)

  it("R6 leaves what is in the buffer to be received", wrap(function()
    local ch = ctx.channel(2)
    ch:send(1)
    ch:send(2)
    ch:close()
    assert.equal(1, ch:recv())
    assert.equal(2, ch:try_recv())
    assert.same({ nil, "closed" }, { ch:recv() })
    assert.same({ nil, "closed" }, { ch:recv(0) })
    assert.same({ nil, "closed" }, { ch:try_recv() })
  end))

  it("R6 wakes receivers in the order in which they came", wrap(function(main)
    local ch, log = ctx.channel(), {}
    for i = 1, 3 do
      main:go(function()
        local value, err = ch:recv()
        log[#log + 1] = { i, value or "none", err }
      end)
    end
    ctx.sleep(1)
    ch:close()
    ctx.yield()
    assert.same({ { 1, "none", "closed" }, { 2, "none", "closed" }, { 3, "none", "closed" } }, log)
  end))

  it("R4 R6 wakes senders, whose values are not delivered", wrap(function(main)
    local ch = ctx.channel(1)
    ch:send("kept")
    local sender = main:async(function() return ch:send("lost") end)
    ctx.sleep(1)
    ch:close()
    assert.equal("kept", ch:recv())
    assert.same({ nil, "closed" }, { ch:recv() })
    assert.same({ true, nil, "closed" }, { sender:join() })
  end))

  it("R6 leaves what was handed over with those who have it", wrap(function(main)
    local ch = ctx.channel()
    local receiver = main:async(function() return ch:recv() end)
    ctx.yield()
    ch:try_send("handed over")
    ch:close()
    assert.same({ true, "handed over" }, { receiver:join() })
  end))
end)

describe("iteration", function()
  it("R9 receives until the channel is closed and empty", wrap(function(main)
    local ch, seen = ctx.channel(2), {}
    main:go(function()
      for i = 1, 5 do
        ch:send(i)
        ctx.sleep(1)
      end
      ch:send(false)
      ch:close()
    end)
    for value in ch do seen[#seen + 1] = value end
    assert.same({ 1, 2, 3, 4, 5, false }, seen)
    assert.equal(5, ctx.now())
  end))

  it("R9 raises the error of the current context", wrap(function(main)
    local ch, seen = ctx.channel(1), 0
    ch:send(1)
    local task = main:with_timeout(1):async(function()
      for _ in ch do seen = seen + 1 end
    end)
    assert.same({ false, ctx.DEADLINE_EXCEEDED }, { task:join() })
    assert.equal(1, seen)
  end))
end)

describe("a coroutine closed from outside", function()
  -- Starts fn as a task of c, and gives its coroutine when it waits.
  local function start(c, fn)
    local co
    c:async(function()
      co = coroutine.running()
      fn()
    end)
    ctx.yield()
    return co
  end

  -- A test whose context c ends with it, and so the tasks that were closed.
  local function wrap_with_context(test)
    return wrap(function(main)
      local c, cancel = main:with_cancel()
      test(c, ctx.channel())
      cancel()
    end)
  end

  it("R10 swallows no value", wrap_with_context(function(c, ch)
    coroutine.close(start(c, function() ch:recv() end))
    assert.same({ nil, "full" }, { ch:try_send(1) })
  end))

  it("R10 delivers no value", wrap_with_context(function(c, ch)
    coroutine.close(start(c, function() ch:send(1) end))
    assert.same({ nil, "empty" }, { ch:try_recv() })
  end))

  it("R10 leaves the value that it had been handed", wrap_with_context(function(c, ch)
    local co = start(c, function() ch:recv() end)
    assert.is_true(ch:try_send("first"))
    coroutine.close(co)
    assert.equal(1, #ch)
    assert.same({ nil, "full" }, { ch:try_send("second") })
    assert.equal("first", ch:recv())
  end))

  it("R10 leaves that value before those who wait to send", wrap_with_context(function(c, ch)
    local co = start(c, function() ch:recv() end)
    ch:try_send("first")
    coroutine.close(co)
    local sender = c:async(function() return ch:send("second") end)
    ctx.yield()
    assert.equal("first", ch:recv())
    assert.equal(0, #ch)
    assert.equal("second", ch:recv())
    assert.same({ true, true }, { sender:join() })
  end))

  it("R10 leaves that value to the next who waits", wrap_with_context(function(c, ch)
    local co = start(c, function() ch:recv() end)
    local nxt = c:async(function() return ch:recv() end)
    ctx.yield()
    ch:try_send("value")
    coroutine.close(co)
    assert.same({ true, "value" }, { nxt:join() })
  end))
end)

describe("a hundred random programs", function()
  -- One way to send: whether the value was taken.
  local senders = {
    function(ch, value, limit) return ch:send(value, limit) end,
    function(ch, value) return ch:try_send(value) end,
    function(ch, value, limit)
      local _, ok = ctx.select(ch:sender(value), limit)
      return ok
    end,
    function(ch, value, limit, other)
      local mine = ch:sender(value)
      local which, got = ctx.select(other, mine, limit)
      return which == mine and got, which == other and got
    end,
  }

  -- One way to receive: the value.
  local receivers = {
    function(ch, limit) return (ch:recv(limit)) end,
    function(ch) return (ch:try_recv()) end,
    function(ch, limit, other)
      local _, value = ctx.select(ch, other, limit)
      return value
    end,
    function(ch) return ch() end,
  }

  local function random_limit() return math.random(0, 8) / 4 end

  local function pick(list) return list[math.random(#list)] end

  -- A task that sends and receives until its context ends. What it was told counts.
  local function act(_, channels, sent, received)
    for _ = 1, 20 do
      local value, ch, other = #sent + 1, pick(channels), pick(channels)
      if math.random(2) == 1 then
        sent[value] = "offered"
        local ok, got = pick(senders)(ch, value, random_limit(), other)
        if ok then sent[value] = "taken" end
        table.insert(received, got or nil)
      else
        table.insert(received, pick(receivers)(ch, random_limit(), other))
      end
    end
  end

  local function run_program(main)
    local channels, sent, received, cancels = {}, {}, {}, {}
    for i = 1, 3 do channels[i] = ctx.channel(math.random(0, 2)) end
    for i = 1, 10 do
      local c, cancel = main:with_timeout(math.random(1, 40) / 4)
      cancels[i] = cancel
      c:go(act, channels, sent, received)
    end
    for _, cancel in ipairs(cancels) do
      ctx.sleep(math.random(0, 4) / 4)
      cancel()
    end
    ctx.yield()
    for _, ch in ipairs(channels) do
      ch:close()
      for value in ch do table.insert(received, value) end
    end
    return sent, received
  end

  it("R4 J5 lose nothing that was taken, and deliver nothing twice", function()
    for seed = 1, 100 do
      math.randomseed(seed)
      testing.wrap(function(main)
        local sent, received = run_program(main)
        local count = {}
        for _, value in ipairs(received) do count[value] = (count[value] or 0) + 1 end
        assert.is_true(#received > 0)
        for value, fate in ipairs(sent) do
          assert.equal(fate == "taken" and 1 or 0, count[value] or 0)
        end
      end)()
    end
  end)
end)

describe("the main thread", function()
  it("drives the tasks while it sends and receives", function()
    local requests, answers = ctx.channel(), ctx.channel()
    ctx.background():go(function()
      for x in requests do answers:send(2 * x) end
    end)
    for i = 1, 3 do
      assert.is_true(requests:send(i))
      assert.equal(2 * i, answers:recv())
    end
    requests:close()
    ctx.yield()
  end)
end)
