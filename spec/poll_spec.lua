--- A context in the polls of others: cqueues, and LuaSocket's select. On the real clock, which is
-- the only one that the kernel knows.

local ctx = require "ctx"
local helper = require "spec.helper"

local has_cqueues, cqueues = pcall(require, "cqueues")
local has_socket, socket = pcall(require, "socket")

--- `it`, or a skipped test where a library is absent.
local function it_with(present, library)
  if present then return it end
  return function(title) pending(title .. " (no " .. library .. " here)") end
end

local instant = 0.02 -- how soon the deadlines here come
local patience = 20 -- what takes as long has not been woken

--- Runs functions as coroutines of one cqueues loop; how long it took.
local function loop(...)
  local queue = cqueues.new()
  for _, fn in ipairs { ... } do queue:wrap(fn) end
  local before = cqueues.monotime()
  assert(queue:loop(patience))
  assert.is_true(queue:empty())
  return cqueues.monotime() - before
end

describe("a context in a loop of cqueues", function()
  local it_polls = it_with(has_cqueues, "cqueues")

  it_polls("J3 wakes a poll when another coroutine cancels it", function()
    local c, cancel = ctx.with_cancel(ctx.background())
    local other <close> = ctx.with_cancel(ctx.background())
    local ready, canceled
    loop(function()
      ready = cqueues.poll(other, c)
      assert.is_true(canceled)
    end, function()
      cqueues.sleep(0)
      canceled = cancel()
    end)
    assert.equal(c, ready)
    assert.equal(ctx.CANCELED, c:err())
    assert.is_false(other:done())
  end)

  it_polls("J3 wakes a poll that waits for a child when the parent is canceled", function()
    local c, cancel = ctx.with_cancel(ctx.background())
    local child = c:with_value("key", 1):with_timeout(1000)
    local ready
    loop(function() ready = cqueues.poll(child) end, function() cqueues.sleep(0) cancel() end)
    assert.equal(child, ready)
    assert.equal(ctx.CANCELED, child:err())
  end)

  it_polls("J3 wakes a poll at its deadline, and at one from above", function()
    for _, make in ipairs {
      function(c) return c end, ctx.with_cancel,
      function(c) return c:with_value("key", 1) end, function(c) return c:with_timeout(1000) end,
    } do
      local c = ctx.with_timeout(ctx.background(), instant)
      local below = make(c)
      local ready
      local took = loop(function() ready = cqueues.poll(below) end)
      assert.equal(below, ready)
      assert.equal(ctx.DEADLINE_EXCEEDED, below:err())
      assert.is_true(took < patience / 2)
    end
  end)

  it_polls("J3 is readable at its deadline by its descriptor alone", function()
    local c = ctx.with_timeout(ctx.background(), instant)
    local ready
    loop(function()
      ready = cqueues.poll({ pollfd = c:pollfd(), events = c:events() })
    end)
    assert.is_table(ready)
    assert.is_true(c:done())
  end)

  it_polls("J3 is ready at once when it is done", function()
    local c, cancel = ctx.with_timeout(ctx.background(), 1000)
    cancel()
    local ready
    loop(function() ready = cqueues.poll(c) end)
    assert.equal(c, ready)
  end)

  it_polls("J3 is polled where the descriptor of an earlier one was", function()
    local numbers, polled = {}, 0
    loop(function()
      for _ = 1, 20 do
        do
          local c, cancel = ctx.with_cancel(ctx.background())
          numbers[c:pollfd()] = true
          cqueues.running():wrap(function() cqueues.sleep(0) cancel() end)
          assert.equal(c, cqueues.poll(c))
          polled = polled + 1
        end
        cqueues.sleep(0)
        helper.collect()
      end
    end)
    assert.equal(20, polled)
    local n = 0
    for _ in pairs(numbers) do n = n + 1 end
    assert.is_true(n < 20, "no descriptor was closed and used again")
  end)
end)

describe("a context in LuaSocket's select", function()
  local it_selects = it_with(has_socket, "LuaSocket")

  it_selects("J3 ends the wait when it is canceled", function()
    local c, cancel = ctx.with_cancel(ctx.background())
    local other <close> = ctx.with_cancel(ctx.background())
    local ready, _, err = socket.select({ c, other }, nil, 0)
    assert.same({}, ready)
    assert.equal("timeout", err)
    cancel()
    ready = socket.select({ other, c }, nil, patience)
    assert.equal(1, #ready)
    assert.equal(c, ready[1])
  end)

  it_selects("J3 ends the wait at its deadline, and at one from above", function()
    local c = ctx.with_timeout(ctx.background(), instant)
    local child <close> = ctx.with_cancel(c)
    local before = socket.gettime()
    local ready = socket.select({ child }, nil, patience)
    assert.is_true(socket.gettime() - before < patience / 2)
    assert.equal(child, ready[1])
    assert.is_true(c:done())
  end)

  it_selects("J3 ends the wait by its descriptor, and not only because it is done already", function()
    local c <close> = ctx.with_timeout(ctx.background(), instant)
    local bare = { getfd = function() return c:getfd() end, dirty = function() return false end }
    assert.equal(bare, socket.select({ bare }, nil, patience)[1])
    assert.is_true(c:done())
  end)
end)

describe("what a poll asks of a context", function()
  it("J3 is the same for both libraries", function()
    local c, cancel = ctx.with_timeout(ctx.background(), 1000)
    assert.equal("integer", math.type(c:pollfd()))
    assert.equal(c:pollfd(), c:getfd())
    assert.equal("r", c:events())
    assert.is_false(c:dirty())
    assert.is_true(c:timeout() > 900 and c:timeout() <= 1000)
    cancel()
    assert.is_true(c:dirty())
    assert.is_nil(ctx.background():timeout())
    assert.equal("integer", math.type(ctx.background():pollfd()))
  end)

  it("J3 is refused on a virtual clock", helper.virtual(function(root)
    local c <close> = root:with_timeout(1)
    for _, method in ipairs { "pollfd", "getfd", "events", "dirty" } do
      assert.matches("real clock", helper.raised(c[method], c), 1, true)
      helper.raised(c[method])
      helper.raised(c[method], {})
    end
  end))
end)
