-- Gives each backend of a pool its slot, and makes the store anew where any of it is missing. Loads, circuits and totals stay by name.
-- KEYS as in common.lua, all 7.
-- ARGV[1] doubles: clock, a fresh number for a store that begins anew, slow start ms, digest of names and weights, lease ms
-- ARGV[2…] the names in lower case
-- Returns an array: status, generation, version, birth, now (doubles in a string); the slots (2 bytes each, in a string).
local clock, fresh, slowStart, wanted, leaseMs = unpack_('<ddddd', ARGV[1])
local UNSEEN_MS, STEP, MOST = 600000, 8, 4096
readClock(clock)
local cards, existed = nil, readBoard()
if existed then
  cards = redis.call('GET', KEYS[2])
  existed = cards and #cards == ROW * capacity and redis.call('EXISTS', KEYS[3], KEYS[5], KEYS[6]) == 3
end
if not existed then
  for i = 1, 6 do redis.call('DEL', KEYS[i]) end
  birth, generation, capacity, digest, nextExpiry, failedUntil, turn, cards = fresh, fresh, 0, 0, now, 0, 0, ''
  version = tonumber(redis.call('HGET', KEYS[7], 'v') or 0)
  redis.call('ZADD', KEYS[3], 'inf', '')
  redis.call('SETRANGE', KEYS[5], 0, '\0')
end

local rows, loads, columns = {}, {}, {}
if capacity > 0 then
  loads = { unpack_('<' .. string.rep('I4', capacity), board, HEADER + 1) }
  for k = 0, COLUMNS - 1 do columns[k] = column(k) end
  for slot = 0, capacity - 1 do rows[slot] = readCard(slot, cards) end
else
  for k = 0, COLUMNS - 1 do columns[k] = {} end
end

local function clear(slot)
  loads[slot + 1] = 0
  for k = 0, COLUMNS - 1 do columns[k][slot + 1] = 0 end
  rows[slot] = { circuit = 0, misconfigured = 0, openUntil = 0, trialUntil = 0, parkedUntil = 0, recoveredAt = 0, absentUntil = 0,
    failures = 0, probeFailures = 0, cooldown = 0, trips = 0, trialLease = 0, windowStart = 0,
    requests = 0, failed = 0, previousRequests = 0, previousFailed = 0, seenAt = 0 }
end

local names, used, wantedNames = {}, {}, {}
local known = redis.call('HGETALL', KEYS[6])
for i = 1, #known, 2 do
  local slot = tonumber(known[i + 1])
  names[known[i]], used[slot] = slot, true
end
for i = 2, #ARGV do wantedNames[ARGV[i]] = true end

-- Who left all definitions long ago gives the slot back.
for name, slot in pairs(names) do
  if not wantedNames[name] and loads[slot + 1] == 0 and now - rows[slot].seenAt > UNSEEN_MS then
    names[name], used[slot] = nil, nil
    redis.call('HDEL', KEYS[6], name)
    redis.call('HDEL', KEYS[4], 'e' .. slot, 'm' .. slot)
    redis.call('SETRANGE', KEYS[5], slot * STRIDE, string.rep('\0', STRIDE))
    clear(slot)
    generation = generation + 1
  end
end

local slots, free = {}, 0
for i = 2, #ARGV do
  local slot = names[ARGV[i]]
  if not slot then
    while used[free] do free = free + 1 end
    slot = free
    if slot >= MOST then return { pack_('<I2dddd', 0, 0, 0, 0, 0), '' } end
    if slot >= capacity then
      for added = capacity, capacity + STEP - 1 do clear(added) end
      capacity = capacity + STEP
    end
    names[ARGV[i]], used[slot] = slot, true
    redis.call('HSET', KEYS[6], ARGV[i], slot)
  end
  rows[slot].seenAt = now
  columns[QUIET][slot + 1] = quietFrom(rows[slot], slowStart)
  slots[#slots + 1] = pack_('<I2', slot)
end

-- Balances were kept in the old weights.
if digest ~= wanted then
  for i = 1, capacity do columns[BALANCE][i] = 0 end
  digest = wanted
end

local parts = { pack_('<dddddddd', birth, generation, capacity, version, digest, nextExpiry, failedUntil, turn),
  pack_('<' .. string.rep('I4', capacity), unpack(loads, 1, capacity)) }
for k = 0, COLUMNS - 1 do parts[#parts + 1] = pack_('<' .. string.rep('d', capacity), unpack(columns[k], 1, capacity)) end
local packed = {}
for slot = 0, capacity - 1 do packed[slot + 1] = packCard(rows[slot]) end
redis.call('SET', KEYS[1], table.concat(parts))
redis.call('SET', KEYS[2], table.concat(packed))
if redis.call('STRLEN', KEYS[5]) < capacity * STRIDE then redis.call('SETRANGE', KEYS[5], capacity * STRIDE - 1, '\0') end
touch()
return { pack_('<I2dddd', 1, generation, version, birth, now), table.concat(slots) }
