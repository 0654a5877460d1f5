-- Keeps an instance's leases, expires those of others that died, and keeps the pool's keys from expiring.
-- KEYS as in common.lua, all 7.
-- ARGV[1] doubles: clock, lease ms, generation, take again (1: a lease that is gone is taken once more)   ARGV[2] slots in use (2 bytes each)
-- ARGV[3…] leases, "slot:id"
-- Returns status (2 bytes), version (a double), then one byte a lease: 1 held, 0 gone.
local clock, leaseMs, wanted, again = unpack_('<dddd', ARGV[1])
if not readBoard() or generation ~= wanted then return pack_('<I2d', 2, version or 0) end
readClock(clock)
local held = {}
for i = 3, #ARGV do
  local member = ARGV[i]
  local isHeld = redis.call('ZSCORE', KEYS[3], member)
  if not isHeld and again ~= 0 then
    local slot = tonumber(string.match(member, '^(%d+):'))
    redis.call('ZREM', KEYS[3], '~' .. member)
    setInFlight(slot, inFlightOf(slot) + 1)
    readBoard()
    isHeld = true
  end
  if isHeld then redis.call('ZADD', KEYS[3], now + leaseMs, member) end
  held[#held + 1] = isHeld and '\1' or '\0'
end
for at = 1, #ARGV[2], 2 do
  redis.call('SETRANGE', KEYS[2], unpack_('<I2', ARGV[2], at) * ROW + 104, pack_('<d', now))
end
nextExpiry = math.min(nextExpiry, now)
sweep(leaseMs)
return pack_('<I2d', 1, version) .. table.concat(held)
