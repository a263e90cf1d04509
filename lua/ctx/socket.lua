--- Sockets whose waits end with a context: a thin layer over LuaSocket, which has to be there.
--
--     local socket = require "ctx.socket"
--     local server = assert(socket.listen("127.0.0.1", 8080))
--     local connection = assert(server:accept())
--     local line, err = connection:receive("*l", 5)
--
-- The last argument of each wait is its limit: a context, whose end gives `nil, err`; seconds, which
-- give `nil, ctx.DEADLINE_EXCEEDED`; or nothing. Where it is no context the current one counts as
-- well, and its err is raised. What LuaSocket says of a failure is passed on: `nil, "closed"` and
-- the like. Nothing blocks the thread but the look-up of a name.
--
-- For a descriptor of any other origin there is `c:wait_fd`.
--
-- @module ctx.socket

local luasocket = require "socket"
local core = require "ctx.core"

---@class ctx.socket
local socket = {}

-- Repeats attempt(), which must not block, until it is over: it answers true and two results, or
-- false and the mode to wait for. What is ready before a limit in seconds is looked at still counts;
-- a context that is done comes first.
local function repeat_until(limit, raw, attempt)
  local explicit = core.is_context(limit)
  local c = explicit and limit or core.current()
  local timed <close> = limit ~= nil and not explicit and core.with_timeout(c, limit) or nil
  repeat
    if not explicit then core.implied() end
    if explicit and c:done() then return nil, c:err() end
    local over, a, b = attempt()
    if over then return a, b end
    if timed and timed:done() then return nil, core.DEADLINE_EXCEEDED end
    local _, err = (timed or c):wait_fd(raw, a)
  until err == "closed"
  return nil, "closed"
end

-- What LuaSocket calls a time-out of its own is not over yet.
local function wants_to_wait(err)
  return err == "timeout" or err == "Operation already in progress"
end

--- A connection. Made by `socket.connect` and `server:accept`; it has `<close>`. The socket of
-- LuaSocket is its field `raw`, for names and options.
-- @type Connection
local Connection = { __name = "ctx.connection" }
Connection.__index = {}

--- A server. Made by `socket.listen`; it has `<close>`, and `raw` likewise.
-- @type Server
local Server = { __name = "ctx.server" }
Server.__index = {}

local function new(class, raw)
  raw:settimeout(0)
  return setmetatable({ raw = raw }, class)
end

local function close(self)
  if self.raw:getfd() >= 0 then core.closing_fd(self.raw) end
  self.raw:close()
end

for _, class in ipairs { Connection, Server } do
  class.__close = close

  --- Closes it. Who waits for it is told `nil, "closed"`.
  -- @function close
  class.__index.close = close

  --- The descriptor, for `c:wait_fd` and for the polls of others.
  -- @function getfd
  -- @treturn integer -1 when it is closed
  function class.__index:getfd() return self.raw:getfd() end
end

--- Receives, as LuaSocket does.
-- @tparam ?string|integer pattern `"*l"` (a line without its end; the default), `"*a"`, or how many bytes
-- @param[opt] limit
-- @tparam ?string prefix what an earlier call has received of the same
-- @treturn[1] string
-- @treturn[2] nil
-- @return[2] the err, or `"closed"`
-- @treturn[2] string what has been received until then
-- @raise bad arguments; the err of the current context
function Connection.__index:receive(pattern, limit, prefix)
  core.limit(limit, 2, "receive")
  local raw, part = self.raw, prefix or ""
  local data, err = repeat_until(limit, raw, function()
    local all, failure, some = raw:receive(pattern or "*l", part)
    if all then return true, all end
    part = some
    if wants_to_wait(failure) then return false, "r" end
    return true, nil, failure
  end)
  if data then return data end
  return nil, err, part
end

--- Sends all of a text.
-- @tparam string data
-- @param[opt] limit
-- @tparam ?integer first the byte to begin with, 1 where it is nil
-- @treturn[1] integer the last byte sent, which is `#data`
-- @treturn[2] nil
-- @return[2] the err, or `"closed"`
-- @treturn[2] integer the last byte that has been sent
-- @raise bad arguments; the err of the current context
function Connection.__index:send(data, limit, first)
  core.limit(limit, 2, "send")
  local raw, last = self.raw, (first or 1) - 1
  local sent, err = repeat_until(limit, raw, function()
    local all, failure, some = raw:send(data, last + 1)
    last = math.tointeger(all or some) -- LuaSocket counts in floats
    if all then return true, last end
    if wants_to_wait(failure) then return false, "w" end
    return true, nil, failure
  end)
  if sent then return sent end
  return nil, err, last
end

--- Ends one half of the connection, or both, as LuaSocket does.
-- @tparam ?string how `"both"`, `"send"` or `"receive"`
function Connection.__index:shutdown(how)
  return self.raw:shutdown(how or "both")
end

--- Waits for the next client.
-- @param[opt] limit
-- @treturn[1] Connection
-- @treturn[2] nil
-- @return[2] the err, `"closed"`, or another word of the system
-- @raise bad arguments; the err of the current context
function Server.__index:accept(limit)
  core.limit(limit, 1, "accept")
  local raw = self.raw
  local client, err = repeat_until(limit, raw, function()
    local accepted, failure = raw:accept()
    if not accepted and wants_to_wait(failure) then return false, "r" end
    return true, accepted, failure
  end)
  if not client then return nil, err end
  return new(Connection, client)
end

--- Where it listens.
-- @treturn string the address
-- @treturn integer the port
function Server.__index:getsockname()
  local address, port = self.raw:getsockname()
  return address, tonumber(port)
end

--- Listens.
-- @tparam string host a name or an address, `"*"` for all
-- @tparam integer port 0 for any that is free
-- @tparam ?integer backlog
-- @treturn[1] Server
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function socket.listen(host, port, backlog)
  local raw, err = luasocket.bind(host, port, backlog)
  if not raw then return nil, err end
  return new(Server, raw)
end

local function connect_to(address, port, limit)
  local connection = new(Connection, luasocket.tcp())
  local raw, begun = connection.raw, false
  local ok, err = repeat_until(limit, raw, function()
    local done, failure = raw:connect(address, port)
    if done or (begun and failure == "already connected") then return true, true end
    begun = true
    if wants_to_wait(failure) then return false, "w" end
    return true, nil, failure
  end)
  if ok then return connection end
  raw:close()
  return nil, err
end

--- Connects: to the first address of the host that answers.
-- @tparam string host
-- @tparam integer port
-- @param[opt] limit for all of it
-- @treturn[1] Connection
-- @treturn[2] nil
-- @return[2] the err, or what the last address said: `"connection refused"`
-- @raise bad arguments; the err of the current context
function socket.connect(host, port, limit)
  core.limit(limit, 3, "connect")
  local addresses, err = luasocket.dns.getaddrinfo(host)
  if not addresses then return nil, err end
  local timed <close> = type(limit) == "number" and core.with_timeout(core.current(), limit) or nil
  for _, a in ipairs(addresses) do
    local connection
    connection, err = connect_to(a.addr, port, timed or limit)
    if timed then core.implied() end
    if connection or core.is_canceled(err) then return connection, err end
  end
  return nil, err
end

return socket
