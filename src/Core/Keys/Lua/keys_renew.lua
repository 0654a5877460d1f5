-- Keeps requests under way from expiring.   KEYS[1] held, as in keys_window.lua
-- ARGV[1] 2 doubles: clock (-1: the server's), how long from now   ARGV[2…] numbers of requests
-- Returns nothing.
local clock, holdMs = struct.unpack('<dd', ARGV[1])
local now = clock
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + holdMs, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], 2 * holdMs)
