--- Deadlines: when a context ends by itself, and what a time is.

local ctx = require "ctx"
local helper = require "spec.helper"
local virtual, raised = helper.virtual, helper.raised

local year = 365.25 * 24 * 3600

describe("a deadline", function()
  it("D1 is now plus the timeout", virtual(function(root)
    ctx.sleep(2)
    assert.equal(5, (ctx.with_timeout(root, 3)):deadline())
    assert.equal(5, (ctx.with_deadline(root, 5)):deadline())
  end))

  it("D2 ends the context by itself, at its instant", virtual(function(root)
    local c = ctx.with_timeout(root, 5)
    ctx.sleep(4.999999999)
    assert.is_false(c:done())
    assert.is_true(c:wait())
    assert.equal(5, ctx.now())
    assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
  end))

  it("D2 ends the contexts below as well", virtual(function(root)
    local c = ctx.with_timeout(root, 1, "slow")
    local leaf = ctx.with_value(ctx.with_cancel(c), "key", "value")
    ctx.sleep(1)
    assert.equal(ctx.DEADLINE_EXCEEDED, leaf:err())
    assert.equal("slow", leaf:cause())
  end))

  it("D2 ends a context that nobody holds any more", virtual(function(root)
    local function child() return ctx.with_cancel((ctx.with_timeout(root, 3))) end
    local c = child()
    helper.collect()
    ctx.sleep(2)
    assert.is_false(c:done())
    ctx.sleep(1)
    assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
  end))

  it("D3 now or in the past makes a context born done, and is still answered", virtual(function(root)
    ctx.sleep(10)
    for _, seconds in ipairs { 0, 0.0, -0.0, -1, -2.5, -10, -1000 } do
      local a = ctx.with_timeout(root, seconds)
      local b = ctx.with_deadline(root, 10 + seconds)
      for _, c in ipairs { a, b } do
        assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
        assert.equal(10 + seconds, c:deadline())
        assert.equal(0, c:timeout())
      end
    end
  end))

  it("D3 in the past gives its cause", virtual(function(root)
    assert.equal("slow", (ctx.with_timeout(root, 0, "slow")):cause())
    assert.equal("late", (ctx.with_deadline(root, -1, "late")):cause())
    assert.equal(ctx.DEADLINE_EXCEEDED, (ctx.with_timeout(root, -1)):cause())
  end))

  it("D4 in the past leaves nothing for cancel to do", virtual(function(root)
    local c, cancel = ctx.with_timeout(root, 0)
    assert.is_false(cancel "why")
    assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
    assert.equal(ctx.DEADLINE_EXCEEDED, c:cause())
  end))

  it("D5 gives way to an earlier one of the parent", virtual(function(root)
    local parent = ctx.with_timeout(root, 2, "parent's")
    local child = ctx.with_timeout(parent, 5, "child's")
    assert.equal(2, child:deadline())
    ctx.sleep(2)
    assert.equal(ctx.DEADLINE_EXCEEDED, child:err())
    assert.equal("parent's", child:cause())
  end))

  it("D5 gives way to an equal one of the parent", virtual(function(root)
    local parent = ctx.with_deadline(root, 2, "parent's")
    local child = ctx.with_deadline(parent, 2, "child's")
    local below = ctx.with_deadline(ctx.with_value(child, "key", "value"), 2, "below's")
    ctx.sleep(2)
    assert.equal("parent's", child:cause())
    assert.equal("parent's", below:cause())
  end))

  it("D5 leaves a child that can be canceled as any other", virtual(function(root)
    local parent = ctx.with_timeout(root, 2)
    local child, cancel = ctx.with_timeout(parent, 5, "child's")
    assert.is_true(cancel "canceled")
    assert.equal(ctx.CANCELED, child:err())
    assert.equal("canceled", child:cause())
    assert.is_false(parent:done())
  end))

  it("D6 earlier than the parent's is the child's own, and the parent lives on", virtual(function(root)
    local parent = ctx.with_timeout(root, 5)
    local child = ctx.with_timeout(parent, 2)
    assert.equal(2, child:deadline())
    assert.equal(5, parent:deadline())
    ctx.sleep(2)
    assert.is_true(child:done())
    assert.is_false(parent:done())
    ctx.sleep(3)
    assert.is_true(parent:done())
  end))

  it("D7 is looked at after the parent's end: canceled beats the past", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    cancel "parent's"
    for _, seconds in ipairs { 0, -1, 5 } do
      local child = ctx.with_timeout(parent, seconds, "child's")
      assert.equal(ctx.CANCELED, child:err())
      assert.equal("parent's", child:cause())
    end
  end))

  it("D7 is looked at after the arguments", virtual(function(root)
    local parent, cancel = ctx.with_cancel(root)
    cancel()
    raised(ctx.with_timeout, parent, "1")
    raised(ctx.with_deadline, parent, 0 / 0)
  end))

  it("D8 changes nothing once the context is canceled", virtual(function(root)
    local c, cancel = ctx.with_timeout(root, 1, "slow")
    cancel "canceled"
    assert.equal(ctx.CANCELED, c:err())
    ctx.sleep(2)
    assert.equal(ctx.CANCELED, c:err())
    assert.equal("canceled", c:cause())
  end))

  for name, end_it in pairs {
    ["is canceled"] = function(root)
      local c, cancel = ctx.with_timeout(root, 100)
      return cancel, c
    end,
    ["ends with an ancestor"] = function(root)
      local parent, cancel = ctx.with_cancel(root)
      return cancel, ctx.with_timeout(ctx.with_value(parent, "key", "value"), 100)
    end,
    ["takes <close>"] = function(root)
      local c = ctx.with_timeout(root, 100)
      return function() local _ <close> = c end, c
    end,
  } do
    it("D8 leaves no timer when the context " .. name, function()
      local at
      pcall(ctx.run, { clock = "virtual" }, function(root)
        local cancel, c = end_it(root)
        ctx.sleep(1)
        cancel()
        local _ <close> = helper.closer(function() at = ctx.now() end)
        ctx.channel():recv() -- nothing is pending: the run ends here
        return c
      end)
      assert.equal(1, at)
    end)
  end

  it("D9 of math.huge is none", virtual(function(root)
    for _, make in ipairs { ctx.with_timeout, ctx.with_deadline } do
      local c, cancel = make(root, math.huge)
      assert.is_false(c:done())
      assert.is_nil(c:deadline())
      assert.is_nil(c:timeout())
      ctx.sleep(10 * year)
      assert.is_false(c:done())
      assert.is_true(cancel())
    end
  end))

  it("D9 of math.huge leaves the parent's in force", virtual(function(root)
    local parent = ctx.with_timeout(root, 2)
    assert.equal(2, (ctx.with_timeout(parent, math.huge)):deadline())
  end))

  it("D9 is past for the smallest numbers", virtual(function(root)
    for _, seconds in ipairs { -math.huge, math.mininteger, -1e308, -1e19, -9223372037 } do
      for _, make in ipairs { ctx.with_timeout, ctx.with_deadline } do
        local c = make(root, seconds)
        assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
        assert.equal(0, c:timeout())
      end
    end
  end))

  it("D9 never comes early through rounding", virtual(function(root)
    for _, seconds in ipairs { 1e-9, 1.4e-9, 1e-300, 5e-324, 0.1 + 0.2, 1 / 3 } do
      local c = ctx.with_timeout(root, seconds)
      assert.is_false(c:done())
      local before = ctx.now()
      c:wait()
      assert.is_true(ctx.now() - before >= seconds - 1e-12)
      assert.is_true(ctx.now() - before <= seconds + 2e-9)
    end
  end))

  it("D9 raises where it is not a number", virtual(function(root)
    for _, make in ipairs { ctx.with_timeout, ctx.with_deadline } do
      raised(make, root, 0 / 0)
      for _, seconds in ipairs { "3", "0x10", "", true, {}, print, root } do raised(make, root, seconds) end
      raised(make, root, nil)
      raised(make, root)
    end
  end))

  it("D9 raises more than 20 years ahead, and names ctx.wall", virtual(function(root)
    for _, instant in ipairs { 20.1 * year, os.time(), 1e10, 1e18, 1e19, 1e308, math.maxinteger } do
      assert.matches("ctx.wall", raised(ctx.with_deadline, root, instant), 1, true)
    end
    assert.is_false((ctx.with_deadline(root, 19.9 * year)):done())
    ctx.sleep(year)
    assert.is_false((ctx.with_deadline(root, 20.9 * year)):done())
    assert.matches("ctx.wall", raised(ctx.with_deadline, root, 21.1 * year), 1, true)
  end))

  it("D9 of a timeout too long to count is none", virtual(function(root)
    for _, seconds in ipairs { 1e10, 1e18, 1e308, math.maxinteger } do
      local c, cancel = ctx.with_timeout(root, seconds)
      assert.is_nil(c:deadline())
      assert.is_false(c:wait(1))
      assert.is_true(cancel())
    end
    assert.equal(1e9, (ctx.with_timeout(root, 1e9 - ctx.now())):deadline())
  end))

  it("D9 is the same for integers and floats", virtual(function(root)
    assert.equal((ctx.with_timeout(root, 3)):deadline(), (ctx.with_timeout(root, 3.0)):deadline())
    assert.equal(0.25, (ctx.with_timeout(root, 0.25)):deadline())
    assert.equal(1 << 29, (ctx.with_deadline(root, 1 << 29)):deadline())
  end))

  it("D10 is met in the order of time, equal ones in the order of arming", virtual(function(root)
    local order = {}
    for i, seconds in ipairs { 2, 1, 2, 1, 3 } do
      ctx.with_timeout(root, seconds):on_done(function() order[#order + 1] = i end)
    end
    ctx.sleep(4)
    assert.same({ 2, 4, 1, 3, 5 }, order)
  end))

  it("D10 is met in that order by waits, sleeps and contexts together", virtual(function(root)
    local order = {}
    local function note(what) order[#order + 1] = what end
    root:go(function() root:sleep(1) note "sleep" end)
    root:go(function() root:wait(1) note "wait" end)
    root:go(function(c) ctx.with_timeout(c, 1):wait() note "context" end)
    root:go(function() ctx.sleep(1) note "current" end)
    ctx.sleep(1)
    note "main"
    assert.same({ "main" }, order)
    ctx.yield()
    assert.same({ "main", "sleep", "wait", "context", "current" }, order)
  end))

  it("D10 agrees with a sorted list of a thousand", virtual(function(root)
    math.randomseed(7)
    local model, order = {}, {}
    for i = 1, 1000 do
      local microseconds = math.random(1, 50) * 10 ^ math.random(0, 9)
      model[i] = { i = i, due = microseconds }
      ctx.with_timeout(root, microseconds / 1e6):on_done(function() order[#order + 1] = i end)
    end
    table.sort(model, function(a, b)
      if a.due ~= b.due then return a.due < b.due end
      return a.i < b.i
    end)
    ctx.sleep(1e6)
    for i, entry in ipairs(model) do model[i] = entry.i end
    assert.same(model, order)
  end))

  it("D12 is judged by the clock of its own engine", function()
    local real = ctx.with_timeout(ctx.background(), 3600)
    local before = ctx.now()
    ctx.run({ clock = "virtual" }, function(root)
      local c = ctx.with_timeout(root, 7200)
      assert.is_true(c:wait())
      assert.equal(7200, ctx.now())
      assert.is_false(real:done())
    end)
    assert.is_false(real:done())
    assert.is_true(ctx.now() >= before and ctx.now() < before + 3600)
  end)
end)

describe("timeout", function()
  it("counts down to zero and no further", virtual(function(root)
    local c = ctx.with_timeout(root, 3)
    assert.equal(3, c:timeout())
    ctx.sleep(1)
    assert.equal(2, c:timeout())
    ctx.sleep(4)
    assert.equal(0, c:timeout())
  end))

  it("is that of the earliest deadline above", virtual(function(root)
    local c = ctx.with_timeout(ctx.with_timeout(root, 2), 5)
    assert.equal(2, c:timeout())
    assert.equal(2, ctx.with_value(c, "key", "value"):timeout())
  end))

  it("is nil where there is no deadline", virtual(function(root)
    assert.is_nil((ctx.with_cancel(root)):timeout())
    assert.is_nil((ctx.with_cancel(root)):deadline())
    assert.is_nil(ctx.without_cancel((ctx.with_timeout(root, 1))):timeout())
  end))
end)

describe("ctx.wall", function()
  it("turns a time of day into an instant on the clock", function()
    local left = ctx.wall(os.time() + 100) - ctx.now()
    assert.is_true(left > 98 and left <= 100.01)
  end)

  it("takes fractions and what is past", function()
    local ahead = ctx.wall(os.time() + 100.5) - ctx.wall(os.time() + 100)
    assert.is_true(ahead > -1 and ahead < 2)
    assert.is_true(ctx.with_deadline(ctx.background(), ctx.wall(os.time() - 100)):done())
  end)

  it("makes deadlines that with_deadline takes", function()
    local c <close> = ctx.with_deadline(ctx.background(), ctx.wall(os.time() + 3600))
    assert.is_true(c:timeout() > 3590 and c:timeout() <= 3600)
  end)

  it("counts from the instant of the virtual clock", virtual(function(root)
    ctx.sleep(50)
    local c = ctx.with_deadline(root, ctx.wall(os.time() + 100))
    assert.is_true(c:timeout() > 45 and c:timeout() <= 101)
  end))
end)
