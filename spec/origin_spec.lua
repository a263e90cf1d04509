local ctx = require "ctx"
local helper = require "spec.helper"

local virtual, raised = helper.virtual, helper.raised

local function line()
  return debug.getinfo(2, "l").currentline
end

describe("an origin", function()
  it("E7 tells who, where, when and why", virtual(function(root)
    local c, cancel = root:with_cancel()
    local below = c:with_value("k", 1):with_timeout(9)
    c:name "request"
    assert.is_nil(c:origin())
    ctx.sleep(2)
    local here = line() + 1
    cancel "hung up"
    ctx.sleep(1.5)
    local o = below:origin()
    assert.equal("explicit", o.kind)
    assert.equal("request", o.name)
    assert.equal("hung up", o.cause)
    assert.equal(2, o.at)
    assert.matches("origin_spec%.lua:" .. here .. "$", o.site)
    assert.matches('^context canceled: hung up %("request" was canceled at .*origin_spec%.lua:'
      .. here .. ", 1%.500 s ago%)$", tostring(o))
    assert.is_true(math.type(o.id) == "integer")
    assert.equal(o.id, c:origin().id)
  end))

  it("E7 knows the line of a <close>", virtual(function(root)
    local done
    do
      local c <close> = root:with_cancel()
      done = c
    end
    assert.equal("explicit", done:origin().kind)
    assert.matches("origin_spec%.lua:%d+$", done:origin().site)
  end))

  it("E7 of a deadline is that deadline, whenever it is noticed", virtual(function(root)
    local c = root:with_timeout(1.5, "too slow")
    ctx.sleep(4)
    local o = c:origin()
    assert.equal("deadline", o.kind)
    assert.equal(1.5, o.at)
    assert.equal("too slow", o.cause)
    assert.is_nil(o.site)
  end))

  it("E7 of a run says that a task has failed", virtual(function(root)
    local seen
    pcall(ctx.run, function(inner)
      seen = inner
      inner:go(function() error("oops", 0) end)
      inner:wait()
    end)
    assert.equal("member", seen:origin().kind)
    assert.equal("oops", seen:origin().cause)
    assert.is_false(root:done())
  end))

  it("E7 of a run that is over says so", virtual(function()
    local seen
    ctx.run(function(inner) seen = inner end)
    assert.equal("parent", seen:origin().kind)
  end))

  it("E2 a cancel without a cause has the err for one", virtual(function(root)
    local c, cancel = root:with_cancel()
    cancel()
    assert.equal(ctx.CANCELED, c:cause())
    assert.equal(ctx.CANCELED, c:origin().cause)
  end))
end)

describe("a name", function()
  it("N1 is shown in the chain, and can be changed", virtual(function(root)
    local c = root:with_cancel()
    assert.is_nil(c:name())
    assert.equal(c, c:name "db.query")
    assert.equal("db.query", c:name())
    assert.matches('%.WithCancel"db%.query"$', tostring(c))
    c:name ""
    assert.is_nil(c:name())
    assert.matches("%.WithCancel$", tostring(c))
  end))

  it("P1 is a string without zeros", function()
    assert.matches("string expected", raised(function() ctx.background():name(1) end))
    assert.matches("no zeros", raised(function() ctx.background():name "a\0b" end))
  end)
end)
