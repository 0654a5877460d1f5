-- Gives places back and settles what happened.
-- KEYS as in common.lua, the first 5.
-- ARGV[1] doubles: clock, generation, lease ms; then, 0 where each request has a lease: the instance that reports its load, the report's number
--         (one that is not above the last is not counted again), and 1 to be told what is known of the backends
-- ARGV[2] settings, ARGV[4…] outcomes: see settle.lua
-- ARGV[3] the instance's requests in flight: slot (2 bytes), count (4 bytes) each
-- Returns an array: status (2 bytes), version and what settle.lua returns; then what read returns of vitals.
local clock, wanted, leaseMs, holder, report, isAsked = unpack_('<dddddd', ARGV[1])
if not readBoard(4096) or generation ~= wanted then return { pack_('<I2d', 2, version or 0) } end
readClock(clock)
sweep(leaseMs)

-- The load that an instance reports takes the place of what it reported before.
local news, freed = true, {}
if holder ~= 0 then
  local field, member = string.format('i%.0f', holder), string.format('#%.0f', holder)
  local before = redis.call('HGET', KEYS[4], field) or ''
  news = before == '' or report > unpack_('<d', before)
  if news then
    for at = 9, #before, 6 do
      local held, places = unpack_('<I2I4', before, at)
      freed[held] = (freed[held] or 0) + places
    end
    for at = 1, #ARGV[3], 6 do
      local held, places = unpack_('<I2I4', ARGV[3], at)
      freed[held] = (freed[held] or 0) - places
    end
    redis.call('HSET', KEYS[4], field, pack_('<d', report) .. ARGV[3])
    redis.call('ZREM', KEYS[3], '~' .. member)
    redis.call('ZADD', KEYS[3], now + leaseMs, member)
  end
end

local told = pack_('<I2d', 1, version) .. settleOutcomes(ARGV[2], 4, #ARGV, freed, news)
if isAsked == 0 then return { told } end
local vitals = readVitals()
return { told, unpack(vitals) }
