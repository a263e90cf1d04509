local ctx = require "ctx"
local helper = require "spec.helper"

local raised = helper.raised

local function kill(name)
  return ("os.execute('kill -%s $PPID')"):format(name)
end

describe("a context with signals", function()
  it("K2 ends at the first of them, and names it", function()
    local output, status = helper.script(([[
      local ctx = require "ctx"
      local c, cancel = ctx.with_signal(ctx.background(), "term", "usr1")
      local d = c:with_value("k", 1)
      print(c:done())
      local t = c:async(function(self) print(self:wait(20), self:err(), self:cause(), self:origin().kind) end)
      %s
      d:wait(20)
      t:join()
      print(cancel())
    ]]):format(kill "USR1"))
    assert.equal("false\ntrue\tcontext canceled\tsignal SIGUSR1\tsignal\nfalse\n", output)
    assert.equal(0, status)
  end)

  it("K2 gives the disposition back when it has ended", function()
    local output, status = helper.script(([[
      local ctx = require "ctx"
      do local c <close> = ctx.with_signal(ctx.background(), "term") end
      io.write "before" io.flush()
      %s
      print "not reached"
    ]]):format(kill "TERM"))
    assert.equal("before", (output:gsub("Terminated.*", "")))
    assert.not_equal(0, status)
  end)

  it("K2 ends with its parent, and by its cancel", helper.virtual(function(root)
    local c = root:with_timeout(2):with_signal "usr2"
    local d, cancel = root:with_signal("usr2")
    cancel "mine"
    assert.equal("mine", d:cause())
    ctx.sleep(2)
    assert.equal(ctx.DEADLINE_EXCEEDED, c:err())
  end))

  it("Q3 may end what waits on a virtual clock", function()
    local output = helper.script(([[
      local ctx = require "ctx"
      local c = ctx.with_signal(ctx.background(), "usr1")
      c:on_done(function(_, cause) print(cause) end)
      %s
      c:wait()
      ctx.sleep(1)
    ]]):format(kill "USR1"), "-l ctx.virtual")
    assert.equal("signal SIGUSR1\n", output)
  end)

  it("P1 knows the names of signals", function()
    local bg = ctx.background()
    assert.matches("no signal 'kill'", raised(ctx.with_signal, bg, "kill"))
    assert.matches("no signal 'INT'", raised(ctx.with_signal, bg, "int", "INT"))
    assert.matches("#2 .*string expected, got number", raised(ctx.with_signal, bg, 2))
    assert.matches("#2 .*string expected, got no value", raised(ctx.with_signal, bg))
    local names = {}
    for i = 1, 65 do names[i] = "usr1" end
    assert.matches("too many signals", raised(ctx.with_signal, bg, table.unpack(names)))
  end)
end)
