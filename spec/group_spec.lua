local ctx = require "ctx"
local helper = require "spec.helper"

local virtual, raised, collect = helper.virtual, helper.raised, helper.collect

describe("a group", function()
  it("L1 waits for all, and answers with the first to fail", virtual(function(root)
    local g = root:group()
    local ended = 0
    g:go(function() ctx.background():sleep(3) ended = ended + 1 error("late", 0) end)
    g:go(function() ctx.background():sleep(1) ended = ended + 1 error("first", 0) end)
    g:go(function() ctx.background():sleep(2) ended = ended + 1 end)
    local ok, err = g:wait()
    assert.is_nil(ok)
    assert.equal("first", err)
    assert.equal(3, ended)
    assert.equal(3, ctx.now())
    local again, same = g:wait()
    assert.is_nil(again)
    assert.equal("first", same)
  end))

  it("L1 answers true when none has failed", virtual(function(root)
    local g = root:group()
    local sum = 0
    for i = 1, 10 do g:go(function(_, n) ctx.sleep(n) sum = sum + n end, i) end
    assert.is_true(g:wait())
    assert.equal(55, sum)
    assert.equal(10, ctx.now())
    assert.is_true(root:group():wait())
  end))

  it("L2 ends its context at the first error, with that as the cause", virtual(function(root)
    local g, why = root:group(), {}
    local c = g:context()
    g:go(function(self) self:wait() why[1] = self:cause() end)
    g:go(function(self) why[2] = self == c ctx.sleep(1) error(why) end)
    local _, err = g:wait()
    assert.equal(why, err)
    assert.equal(why, why[1])
    assert.is_true(why[2])
    assert.equal(1, ctx.now())
  end))

  it("L2 ends its context after a clean end, as canceled", virtual(function(root)
    local g = root:group()
    g:go(function() ctx.sleep(1) end)
    assert.is_false(g:context():done())
    g:wait()
    assert.equal(ctx.CANCELED, g:context():cause())
    local ok, err = g:go(print)
    assert.is_nil(ok)
    assert.equal(ctx.CANCELED, err)
    assert.is_false(g:try_go(print))
    assert.is_false(root:done())
  end))

  it("L3 ends with its parent, and joins all the same", virtual(function(root)
    local p, cancel = root:with_cancel()
    local g, ended = p:group(), false
    g:go(function(c)
      c:wait()
      ctx.background():sleep(2)
      ended = c:cause()
    end)
    ctx.sleep(0)
    cancel "stop"
    assert.is_true(g:wait())
    assert.equal("stop", ended)
    assert.equal(2, ctx.now())
  end))

  it("L3 a member that is canceled by its parent is an error", virtual(function(root)
    local p, cancel = root:with_cancel()
    local g = p:group()
    g:go(function() ctx.sleep(9) end)
    ctx.sleep(0)
    cancel()
    local _, err = g:wait()
    assert.equal(ctx.CANCELED, err)
  end))

  it("L4 runs never more than its limit at once, and in order", virtual(function(root)
    local g = root:group { limit = 2 }
    local running, most, order = 0, 0, {}
    for i = 1, 6 do
      assert.truthy(g:go(function()
        order[#order + 1] = i
        running = running + 1
        most = math.max(most, running)
        ctx.sleep(1)
        running = running - 1
      end))
    end
    assert.equal(2, ctx.now())
    g:wait()
    assert.equal(2, most)
    assert.same({ 1, 2, 3, 4, 5, 6 }, order)
    assert.equal(3, ctx.now())
  end))

  it("L4 try_go does not wait, and go gives up when the context ends", virtual(function(root)
    local g = root:group { limit = 1 }
    assert.truthy(g:try_go(function(c) c:wait() end))
    assert.is_false(g:try_go(print))
    local p, cancel = root:with_cancel()
    local h = p:group { limit = 1 }
    h:go(function(c) c:wait() ctx.background():sleep(1) end)
    root:go(function() ctx.sleep(5) cancel() end)
    local ok, err = h:go(print)
    assert.is_nil(ok)
    assert.equal(ctx.CANCELED, err)
    assert.equal(5, ctx.now())
    assert.is_true(h:wait())
    g.cancel()
    g:wait()
  end))

  it("L4 has the place of a member whose task cannot be made", virtual(function(root)
    local g = root:group { limit = 1 }
    local many = setmetatable({}, { __len = function() return 1 end })
    assert.is_false(pcall(g.go, g, many))
    assert.truthy(g:try_go(function() end))
    assert.is_true(g:wait())
  end))

  it("L5 keeps its limit while functions run", virtual(function(root)
    local g = root:group()
    g:set_limit(2)
    g:go(function() ctx.sleep(1) end)
    assert.matches("cannot change while 1 of its functions run", raised(g.set_limit, g, 3))
    g:wait()
    g:set_limit(math.huge)
    assert.matches("integer from 1 on", raised(g.set_limit, g, 0))
  end))

  it("L6 gives the clean-up of a member the very value, too", virtual(function(root)
    local g, seen = root:group(), {}
    local failure = setmetatable({}, { __tostring = function() return "mine" end })
    g:go(function(c)
      local _ <close> = helper.closer(function(err) seen[1] = err end)
      c:sleep(10)
      c:check()
    end)
    g:go(function()
      local _ <close> = ctx.defer(function(err) seen[2] = err end)
      ctx.sleep(1)
      error(failure)
    end)
    assert.equal(failure, select(2, g:wait()))
    assert.equal(ctx.CANCELED, seen[1])
    assert.equal(failure, seen[2])
  end))

  it("L6 has the traceback of the error, and the very value", virtual(function(root)
    local function deep() error "here" end
    local g = root:group()
    g:go(deep)
    local _, err = g:wait()
    assert.matches("group_spec%.lua:%d+: here$", err)
    assert.matches("group_spec%.lua:%d+: here\nstack traceback:", g:traceback())
    assert.matches("group_spec%.lua:%d+: in function <", g:traceback())
    assert.is_nil(root:group():traceback())
  end))

  it("L6 raises what nobody has asked for when it is closed", virtual(function(root)
    local err = raised(function()
      local g <close> = root:group()
      g:go(function() error("lost", 0) end)
    end)
    assert.equal("lost", err)
    assert.equal("mine", raised(function()
      local g <close> = root:group()
      g:go(function(c) c:wait() error("second", 0) end)
      ctx.sleep(0)
      error("mine", 0)
    end))
    local g <close> = root:group()
    g:go(function() error("asked", 0) end)
    g:wait()
  end))

  it("L6 warns when it is collected unasked", function()
    local output = helper.script([[
      warn "@on"
      local ctx = require "ctx"
      do local g = ctx.background():group() g:go(function() error "lost" end) end
      ctx.sleep(0)
      for _ = 1, 4 do collectgarbage() end
      print "end"
    ]])
    assert.matches("the error of a group was never asked for: .*lost.*end\n$", output)
  end)

  it("L2 closed by a block that has failed, it takes its members along", virtual(function(root)
    local cause
    pcall(function()
      local g <close> = root:group()
      g:go(function(c) c:wait() cause = c:cause() end)
      ctx.sleep(0)
      error("block", 0)
    end)
    assert.equal("block", cause)
  end))

  it("J1 a wait has a limit", virtual(function(root)
    local g = root:group()
    g:go(function() ctx.sleep(5) end)
    assert.same({ n = 2, nil, ctx.DEADLINE_EXCEEDED }, table.pack(g:wait(1)))
    assert.same({ n = 2, nil, ctx.DEADLINE_EXCEEDED }, table.pack(g:wait(0)))
    local c, cancel = root:with_cancel()
    cancel()
    assert.same({ n = 2, nil, ctx.CANCELED }, table.pack(g:wait(c)))
    assert.is_true(g:wait())
    assert.equal(5, ctx.now())
  end))

  it("J5 is a candidate of select", virtual(function(root)
    local g, ch = root:group(), ctx.channel()
    g:go(function() ctx.sleep(2) error("x", 0) end)
    assert.is_nil(ctx.select(g, ch, 1))
    local which, ok, err = ctx.select(ch, g)
    assert.equal(g, which)
    assert.is_nil(ok)
    assert.equal("x", err)
    assert.equal(2, ctx.now())
  end))

  it("leaves nothing behind", virtual(function(root)
    local weak = helper.weak { root:group() }
    weak[1]:go(function() end)
    weak[1]:wait()
    collect()
    assert.is_nil(weak[1])
  end))

  it("P1 names a wrong argument", virtual(function(root)
    local g = root:group()
    assert.matches("#1 to 'go' %(function expected, got nil", raised(g.go, g))
    assert.matches("#1 to 'wait' %(ctx.group expected, got table", raised(g.wait, {}))
    assert.matches("no option 'limt'", raised(root.group, root, { limt = 1 }))
    assert.matches("option 'limit': number expected, got string", raised(root.group, root, { limit = "1" }))
  end))
end)
