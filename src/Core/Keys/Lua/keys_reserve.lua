-- Reserves what a request asks of its key: all of it or nothing.   KEYS as in keys_window.lua
-- ARGV[1] 7 doubles: clock (-1: the server's), the limits of requests, tokens and requests at a time (-1: none), tokens asked for,
--         number of the request, how long it is held without being renewed
-- Returns refusal (2 bytes: 0 none, 1 requests, 2 tokens, 3 concurrency, 4 too large), then doubles: requests used, tokens used, wait, reset, second.
local clock, mostRequests, mostTokens, mostHeld, tokens, hold, holdMs = unpack_('<ddddddd', ARGV[1])
readClock(clock)
local counts = mostRequests >= 0 or mostTokens >= 0
if counts then openWindow() else second, usedRequests, usedTokens, usedAt = math.floor(now / 1000), 0, 0, -SPAN end

local overRequests = mostRequests >= 0 and usedRequests + 1 - mostRequests or 0
local overTokens = mostTokens >= 0 and usedTokens + tokens - mostTokens or 0
local refusal, wait = 0, 0
if mostTokens >= 0 and tokens > mostTokens then
  refusal = 4
elseif overRequests > 0 or overTokens > 0 then
  refusal = overRequests > 0 and 1 or 2
  local of = second - SPAN + 1
  while of < second and (overRequests > 0 or overTokens > 0) do
    local r, t = cell(of)
    overRequests, overTokens, of = overRequests - r, overTokens - t, of + 1
  end
  -- At least the present second has to go where all before it do not suffice.
  local last = (overRequests > 0 or overTokens > 0) and second or of - 1
  wait = math.max(1, (last + SPAN) * 1000 - now)
elseif mostHeld >= 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= mostHeld then refusal, wait = 3, 1000 end
end

if refusal == 0 then
  if counts then add(1, tokens) end
  if mostHeld >= 0 then
    redis.call('ZADD', KEYS[2], now + holdMs, string.format('%.0f', hold))
    redis.call('PEXPIRE', KEYS[2], 2 * holdMs)
  end
end
return pack_('<I2ddddd', refusal, usedRequests, usedTokens, wait, math.max(0, (usedAt + SPAN) * 1000 - now), second)
