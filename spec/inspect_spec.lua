local ctx = require "ctx"
local testing = require "ctx.testing"
local helper = require "spec.helper"

local virtual, raised = helper.virtual, helper.raised

local function draw(root)
  local a, cancel = root:with_cancel()
  a:name 'the "a"'
  a:with_timeout(2.5):with_cancel():go(function(c) c:wait() end)
  ctx.sleep(1)
  return a, cancel
end

describe("a dump", function()
  it("N3 is the live tree as text, with the tasks that wait", virtual(function(root)
    local a, cancel = draw(root)
    local text = a:dump()
    assert.matches('^cancel "the \\"a\\"", live\n  deadline context %d+, live, 1%.500 s left\n'
      .. "    cancel context %d+, live, 1%.500 s left, 1 hook\n"
      .. "tasks:\n  task %d+ waits in wait at .*inspect_spec%.lua:10$", text)
    cancel "why"
    assert.matches('^cancel "the \\"a\\"", why', a:dump())
  end))

  it("N3 is a table", virtual(function(root)
    local t = draw(root):tree()
    assert.equal("cancel", t.kind)
    assert.equal('the "a"', t.name)
    assert.equal(1, #t)
    assert.equal("deadline", t[1].kind)
    assert.equal(1.5, t[1].left)
    assert.equal(1, t[1][1].hooks)
    assert.is_nil(t[1].age)
  end))

  it("N3 is a table of any size", virtual(function(root)
    local kept = {}
    for i = 1, 1500 do kept[i] = root:with_cancel() end
    assert.equal(#kept, #ctx.tree(root))
  end))

  it("N3 is a graph", virtual(function(root)
    local dot = draw(root):dot()
    assert.matches("^digraph contexts {.*}$", dot)
    assert.matches('n1 %[label="cancel \\"the \\\\\\"a\\\\\\"\\", live"%];', dot)
    assert.matches("n1 %-> n2;.*n2 %-> n3;", dot)
  end))

  it("N3 of what is tracked says where and when it was made", virtual(function(root)
    ctx.track(true)
    local c = root:with_cancel()
    local line = debug.getinfo(1, "l").currentline - 1
    ctx.sleep(2)
    ctx.track(false)
    local t = c:tree()
    assert.equal(2, t.age)
    assert.matches("inspect_spec%.lua:" .. line .. "$", t.site)
    assert.matches("2%.000 s old, made at .*inspect_spec%.lua:" .. line, c:dump())
  end))

  it("P1 wants a context", function()
    for _, name in ipairs { "dump", "tree", "dot" } do
      local expected = "inspect_spec%.lua:%d+: bad argument #1 to '" .. name .. "' %(ctx.context expected, "
      assert.matches(expected .. "got number", raised(function() ctx[name](1) end))
    end
  end)
end)

describe("ctx.testing", function()
  it("N3 names what a test has left, and where it was made", function()
    local kept
    local err = raised(testing.wrap(function(main) kept = main:with_cancel() end))
    assert.matches("has left 1 context.*WithCancel, made at .*inspect_spec%.lua:" ..
      debug.getinfo(1, "l").currentline - 2, err)
    assert.truthy(kept)
    err = raised(testing.wrap(function(main) main:go(function(c) c:wait() end) end))
    assert.matches("has left 1 task.*, started at .*inspect_spec%.lua:" ..
      debug.getinfo(1, "l").currentline - 2, err)
  end)
end)
