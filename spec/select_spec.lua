local core = require "ctx.core"
local ctx = require "ctx"
local testing = require "ctx.testing"

local wrap = testing.wrap

local function assert_says(expected, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_truthy(tostring(err):find(expected, 1, true), tostring(err))
end

-- Exactly these values: for tables, the same table.
local function assert_values(expected, ...)
  assert.equal(expected.n or #expected, select("#", ...))
  for i = 1, select("#", ...) do assert.equal(expected[i], (select(i, ...))) end
end

-- A context that is done.
local function ended(main)
  local c, cancel = main:with_cancel()
  cancel()
  return c
end

local function full_channel(value)
  local ch = ctx.channel(1)
  ch:try_send(value)
  return ch
end

describe("select", function()
  it("R14 answers a done context with its err", wrap(function(main)
    local c = ended(main)
    assert_values({ c, ctx.CANCELED }, ctx.select(c))
  end))

  it("R14 answers a channel with the value", wrap(function()
    local ch = full_channel(false)
    assert_values({ ch, false }, ctx.select(ch))
  end))

  it("R14 answers a closed channel with nil and 'closed'", wrap(function()
    local ch = full_channel("rest")
    ch:close()
    assert_values({ ch, "rest" }, ctx.select(ch))
    assert_values({ ch, nil, "closed" }, ctx.select(ch))
  end))

  it("R14 answers a sender with true, or with nil and 'closed'", wrap(function()
    local ch = ctx.channel(2)
    local sender = ch:sender("value")
    local which, ok = ctx.select(sender)
    assert.equal(sender, which)
    assert.is_true(ok)
    ctx.select(sender) -- again, with the same value
    assert.equal("value", ch:recv())
    assert.equal("value", ch:recv())
    ch:close()
    assert_values({ sender, nil, "closed" }, ctx.select(sender))
  end))

  it("R14 answers a task with its outcome", wrap(function(main)
    local good = main:async(function() return 1, nil, 3 end)
    local bad = main:async(function() error("no", 0) end)
    ctx.yield()
    assert_values({ good, true, 1, nil, 3 }, ctx.select(good))
    assert_values({ bad, false, "no" }, ctx.select(bad))
  end))

  it("R14 answers a group with what its wait answers", wrap(function(main)
    local good, bad = main:group(), main:group()
    good:go(function() ctx.sleep(1) end)
    bad:go(function() ctx.sleep(2) error("oh", 0) end)
    assert.same({ good, true }, { ctx.select(bad, good) })
    assert.equal(1, ctx.now())
    assert.same({ bad, nil, "oh" }, { ctx.select(bad) })
  end))

  it("R14 answers nil at its limit", wrap(function()
    assert_values({ n = 1 }, ctx.select(ctx.channel(), 2.5))
    assert.equal(2.5, ctx.now())
  end))

  it("R14 J1 polls with a limit of 0 or less", wrap(function(main)
    local ch = full_channel "value"
    assert.is_nil(ctx.select(ctx.channel(), main, 0))
    assert.is_nil(ctx.select(ctx.channel(), -1))
    assert.equal(ch, (ctx.select(ctx.channel(), ch, 0)))
    assert.equal(0, ctx.now())
  end))

  it("R14 polls without letting others run", wrap(function(main)
    local has_run = false
    main:go(function() has_run = true end)
    ctx.select(ctx.channel(), 0)
    assert.is_false(has_run)
  end))

  it("R11 R12 takes the first listed of what is ready, and leaves the rest", wrap(function(main)
    local a, b = full_channel "a", full_channel "b"
    local task = main:async(function() end)
    ctx.yield()
    assert_values({ a, "a" }, ctx.select(a, task, b))
    assert_values({ task, true }, ctx.select(a, task, b))
    assert_values({ b, "b" }, ctx.select(b, task))
    assert.same({ 0, 0 }, { #a, #b })
    local sender = a:sender "c"
    assert_values({ sender, true }, ctx.select(sender, task, b:sender "d"))
    assert.same({ 1, 0 }, { #a, #b })
  end))

  it("R12 J5 takes a done context before all else, wherever it stands", wrap(function(main)
    local ch, c = full_channel "value", ended(main)
    assert_values({ c, ctx.CANCELED }, ctx.select(ch, c))
    assert_values({ c, ctx.CANCELED }, ctx.select(ch, main, c, 0))
    assert.equal(1, #ch)
  end))

  it("R12 J5 takes the first listed of several done contexts", wrap(function(main)
    local a, b = ended(main), ended(main)
    assert.equal(a, (ctx.select(a, b)))
    assert.equal(b, (ctx.select(b, a)))
  end))

  it("lists one channel twice", wrap(function(main)
    local ch = ctx.channel()
    main:go(function() ctx.select(ch:sender(1), ch:sender(2)) end)
    assert_values({ ch, 1 }, ctx.select(ch, ch))
    assert_values({ nil, "empty" }, ch:try_recv())
    local waiting = main:async(function() return select(2, ctx.select(ch, ch)) end)
    ctx.yield()
    assert.is_true(ch:try_send(1))
    assert_values({ nil, "full" }, ch:try_send(2))
    assert_values({ true, 1 }, waiting:join())
  end))

  it("lists a table of candidates", wrap(function()
    local list = {}
    for i = 1, 300 do list[i] = ctx.channel() end
    list[200] = full_channel "found"
    assert.equal("found", select(2, ctx.select(table.unpack(list))))
    list[301] = 1
    assert.is_nil((ctx.select(table.unpack(list))))
    assert.equal(1, ctx.now())
  end))
end)

describe("a select that waits", function()
  it("is served by a sender", wrap(function(main)
    local a, b = ctx.channel(), ctx.channel()
    main:go(function()
      ctx.sleep(1)
      b:send("value")
    end)
    assert_values({ b, "value" }, ctx.select(a, b))
    assert.equal(1, ctx.now())
  end))

  it("is served by a receiver", wrap(function(main)
    local a, b = ctx.channel(), ctx.channel()
    local to_a, to_b = a:sender "for a", b:sender "for b"
    local receiver = main:async(function()
      ctx.sleep(1)
      return b:recv()
    end)
    assert_values({ to_b, true }, ctx.select(to_a, to_b))
    assert_values({ true, "for b" }, receiver:join())
    assert_values({ nil, "empty" }, a:try_recv())
  end))

  it("R11 is served once, and consumes nothing else", wrap(function(main)
    local a, b, c = ctx.channel(), ctx.channel(), ctx.channel()
    local waiting = main:async(function() return ctx.select(a, b, c:sender "kept") end)
    ctx.yield()
    assert.is_true(b:try_send("b"))
    assert_values({ nil, "full" }, a:try_send("a"))
    assert_values({ nil, "full" }, b:try_send("b"))
    assert_values({ nil, "empty" }, c:try_recv())
    assert_values({ true, b, "b" }, waiting:join())
  end))

  it("R10 leaves no place behind at its limit", wrap(function()
    local a, b = ctx.channel(), ctx.channel()
    assert.is_nil((ctx.select(a, b:sender "late", 1)))
    assert_values({ nil, "full" }, a:try_send(1))
    assert_values({ nil, "empty" }, b:try_recv())
  end))

  it("R15 does not meet itself", wrap(function(main)
    local ch = ctx.channel()
    assert.is_nil((ctx.select(ch, ch:sender(1), 1)))
    local c = main:with_timeout(1)
    assert_values({ c, ctx.DEADLINE_EXCEEDED }, ctx.select(ch:sender(1), ch, c))
    assert.equal(2, ctx.now())
  end))

  it("R15 meets another one", wrap(function(main)
    local ch = ctx.channel()
    local waiting = main:async(function() return select(2, ctx.select(ch, ch:sender "theirs")) end)
    ctx.yield()
    assert_values({ ch, "theirs" }, ctx.select(ch, ch:sender "ours"))
    assert_values({ true, true }, waiting:join())
  end))

  it("R3 keeps its place among those who receive", wrap(function(main)
    local ch, log = ctx.channel(), {}
    main:go(function() table.insert(log, "select " .. select(2, ctx.select(ctx.channel(), ch))) end)
    main:go(function() table.insert(log, "recv " .. ch:recv()) end)
    ctx.yield()
    ch:try_send(1)
    ch:try_send(2)
    ctx.yield()
    assert.same({ "select 1", "recv 2" }, log)
  end))

  it("keeps its place when it is woken for nothing", wrap(function(main)
    local ch, log, token = ctx.channel(), {}, nil
    main:go(function()
      token = core.me "spec"
      table.insert(log, "select " .. select(2, ctx.select(ch, main)))
    end)
    main:go(function() table.insert(log, "recv " .. ch:recv()) end)
    ctx.yield()
    core.wake(token)
    ctx.yield()
    ch:try_send(1)
    ch:try_send(2)
    ctx.yield()
    assert.same({ "select 1", "recv 2" }, log)
  end))

  it("R14 answers the end of a task", wrap(function(main)
    local slow = main:async(function() ctx.sleep(9) end)
    local quick = main:async(function()
      ctx.sleep(1)
      return "result"
    end)
    assert_values({ quick, true, "result" }, ctx.select(slow, ctx.channel(), quick))
    assert.equal(1, ctx.now())
    assert_values({ slow, true }, ctx.select(slow))
  end))

  it("R6 R14 answers the close of a channel that it receives from", wrap(function(main)
    local a, b = ctx.channel(), ctx.channel()
    local waiting = main:async(function() return ctx.select(a, b) end)
    ctx.yield()
    b:close()
    assert_values({ true, b, nil, "closed" }, waiting:join())
    assert_values({ nil, "full" }, a:try_send(1))
  end))

  it("R6 R14 answers the close of a channel that it sends on", wrap(function(main)
    local a, b = ctx.channel(), ctx.channel()
    local sender = b:sender "kept"
    local waiting = main:async(function() return ctx.select(a, sender) end)
    ctx.yield()
    b:close()
    assert_values({ true, sender, nil, "closed" }, waiting:join())
    assert_values({ nil, "closed" }, b:try_recv())
  end))

  it("R14 answers the end of a context that it lists", wrap(function(main)
    local c = main:with_timeout(2)
    assert_values({ c, ctx.DEADLINE_EXCEEDED }, ctx.select(ctx.channel(), c, 5))
    assert.equal(2, ctx.now())
  end))

  it("R13 raises the error of the current context when it lists none", wrap(function(main)
    local ch = ctx.channel()
    local task = main:with_timeout(1):async(function() return ctx.select(ch, 5) end)
    assert_values({ false, ctx.DEADLINE_EXCEEDED }, task:join())
    assert.equal(1, ctx.now())
    assert_values({ nil, "full" }, ch:try_send(1))
  end))

  it("R13 raises it at once when it is done already", wrap(function(main)
    local ch = full_channel "value"
    local task = ended(main):async(function() return ctx.select(ch, 0) end)
    assert_values({ false, ctx.CANCELED }, task:join())
    assert.equal(1, #ch)
  end))

  it("R13 looks at the contexts that it lists alone", wrap(function(main)
    local ch, before = full_channel "value", main:async(function() return "result" end)
    ctx.yield()
    local task = ended(main):async(function()
      local _, value = ctx.select(ch, main)
      local _, _, result = ctx.select(before, main)
      local limit = ctx.select(ch, main, 1)
      return value, result, limit, ctx.now()
    end)
    assert_values({ true, "value", "result", nil, 1 }, task:join())
  end))

  it("J5 has what was handed over before the end", wrap(function(main)
    local ch = ctx.channel()
    local c, cancel = main:with_cancel()
    local listed = main:async(function() return ctx.select(c, ch) end)
    local implied = c:async(function() return ctx.select(ch) end)
    ctx.yield()
    ch:try_send(1)
    ch:try_send(2)
    cancel()
    assert_values({ true, ch, 1 }, listed:join())
    assert_values({ true, ch, 2 }, implied:join())
  end))

  it("J5 sees the end before what came after it", wrap(function(main)
    local ch = ctx.channel()
    local c, cancel = main:with_cancel()
    local listed = main:async(function() return ctx.select(ch, c) end)
    local implied = c:async(function() return ctx.select(ch) end)
    ctx.yield()
    cancel()
    assert_values({ nil, "full" }, ch:try_send(1))
    assert_values({ true, c, ctx.CANCELED }, listed:join())
    assert_values({ false, ctx.CANCELED }, implied:join())
  end))

  it("R12 J5 keeps the listed order of what became ready before it runs", wrap(function(main)
    local ch, quick = ctx.channel(1), main:async(function() ctx.yield() end)
    local task_first = main:async(function() return ctx.select(quick, ch) end)
    local channel_first = main:async(function() return ctx.select(ch, quick) end)
    main:go(function()
      ctx.yield() -- the task has ended now, and neither select has run
      ch:try_send("value")
    end)
    assert_values({ true, quick, true }, task_first:join())
    assert_values({ true, ch, "value" }, channel_first:join())
  end))

  it("has its <close> variables closed, which may wait", wrap(function(main)
    local ch, closed_at = ctx.channel(), nil
    main:with_timeout(1):go(function()
      local _ <close> = setmetatable({}, { __close = function()
        main:sleep(1)
        closed_at = ctx.now()
      end })
      ctx.select(ch)
    end)
    ctx.sleep(3)
    assert.equal(2, closed_at)
  end))

  it("R11 J2 is served once for each of 100,000", wrap(function(main)
    local n, sum = 100000, 0
    local a, b = ctx.channel(), ctx.channel()
    for _ = 1, n do
      main:go(function()
        local _, value = ctx.select(a, b)
        sum = sum + value
      end)
    end
    ctx.yield()
    for i = 1, n do assert((i % 2 == 0 and a or b):try_send(1)) end
    assert_values({ nil, "full" }, a:try_send(1))
    assert_values({ nil, "full" }, b:try_send(1))
    ctx.yield()
    assert.equal(n, sum)
  end))

  it("is waited for on the main thread", function()
    local ch = ctx.channel()
    ctx.background():go(function() ch:send("value") end)
    assert_values({ ch, "value" }, ctx.select(ctx.channel(), ch))
  end)

  it("R10 swallows nothing when its coroutine is closed from outside", wrap(function(main)
    local a, b, co = ctx.channel(), ctx.channel(), nil
    local c, cancel = main:with_cancel()
    local function start()
      c:async(function()
        co = coroutine.running()
        ctx.select(a, b)
      end)
      ctx.yield()
    end
    start()
    coroutine.close(co)
    assert_values({ nil, "full" }, a:try_send(1))
    start()
    assert.is_true(b:try_send("handed over"))
    coroutine.close(co)
    assert.equal("handed over", b:recv())
    assert_values({ nil, "full" }, a:try_send(1))
    cancel() -- ends the tasks that were closed
  end))
end)

describe("a wrong candidate", function()
  local expected = " to 'select' (context, channel, sender, task or group expected, got "

  it("P1 is named by its place and type", wrap(function(main)
    local ch = full_channel "value"
    assert_says("bad argument #1" .. expected .. "no value)", ctx.select)
    assert_says("bad argument #1" .. expected .. "nil)", ctx.select, nil)
    assert_says("bad argument #1" .. expected .. "number)", ctx.select, 1)
    assert_says("bad argument #2" .. expected .. "nil)", ctx.select, ch, nil)
    assert_says("bad argument #2" .. expected .. "number)", ctx.select, ch, 1, main)
    assert_says("bad argument #3" .. expected .. "string)", ctx.select, main, ch, "x")
    assert_says("bad argument #2" .. expected .. "table)", ctx.select, ch, {})
    assert.equal(1, #ch)
  end))

  it("P1 is told apart when it is a cancel function", wrap(function(main)
    local hint = "function; with_cancel returns two values: put the call in parentheses"
    assert_says("bad argument #2" .. expected .. hint, function()
      ctx.select(main:with_cancel())
    end)
  end))

  it("P1 blames the line that called it", function()
    local line = debug.getinfo(1, "l").currentline
    assert_says("select_spec.lua:" .. line + 1 .. ": bad argument", function() ctx.select(nil) end)
  end)

  it("D9 is a limit that is NaN", wrap(function()
    assert_says("bad argument #2 to 'select'", ctx.select, ctx.channel(), 0 / 0)
  end))

  it("is refused where one cannot wait, not where there is no need to", wrap(function()
    local ch = full_channel "value"
    local in_sort = function()
      table.sort({ 1, 2 }, function(a, b)
        ctx.select(ch)
        return a < b
      end)
    end
    in_sort()
    assert.equal(0, #ch)
    assert_says("sort", in_sort)
  end))
end)
