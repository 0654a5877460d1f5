-- Settles outcomes, then chooses backends and reserves places on them, request by request: the same as one call a request, in this order.
-- KEYS as in common.lua, the first 5.
-- ARGV[1] 8 doubles: clock (-1: the server's), generation, lease ms, slow start ms, probes bring back misconfigured ones, backends in the pool,
--         outcomes, how many bytes of the board to read at first
-- ARGV[2] the requests, a row of 40 bytes each: lease id, roll 1, roll 2, slow start roll (8 bytes each), panic, and in which ARGV are the backends
--         that may serve it, its model, its ring's order (2 bytes each; 0: none)
-- ARGV[3] settings, ARGV[4…] outcomes: see settle.lua; then, as the rows name them,
--         backends, by priority, then in the pool's order: n and g (2 bytes each), then columns: the last position of each of the g groups, slot,
--         index (2 bytes), weight, max_connections, timeout ms (4 bytes); then the max_connections that all have (4 bytes; 0: they differ)
--         a model
--         for consistent_hash positions of the backends (2 bytes) in the ring's order
-- Returns status (2 bytes), version, birth (doubles), what settle.lua returns, then a request: taken, position, trial (2 bytes each), epoch (a double).
local clock, wanted, leaseMs, slowStart, probed, poolCount, outcomes, size = unpack_('<dddddddd', ARGV[1])
if not readBoard(size) or generation ~= wanted then return pack_('<I2dd', 2, version or 0, birth or 0) end
readClock(clock)
sweep(leaseMs)
local told = { pack_('<I2dd', 1, version, birth), '' }
if outcomes > 0 then
  told[2] = settleOutcomes(ARGV[3], 4, 3 + 3 * outcomes, {}, true)
  if ARGV[2] == '' then return table.concat(told) end
  readBoard()
end

inFlight = { unpack_('<' .. string.rep('I4', capacity), bytesAt(HEADER, 4 * capacity)) }
local known, rings, rows, epochs, leases = {}, {}, {}, {}, {}
local lease, slowRoll, panic, model, ringAt
local backends, packed, n, g
local quiet, calmFrom, busiest, cards, before, highest, spread

local function lazy(format, size, at)
  local from = packed
  return setmetatable({}, { __index = function(numbers, position)
    local number = unpack_(format, from, at + size * (position - 1))
    numbers[position] = number
    return number
  end })
end

-- What several requests have in common is read once.
local function consider(argument)
  backends = known[argument]
  if not backends then
    packed = ARGV[argument]
    n, g = unpack_('<I2I2', packed)
    local at = 5 + 2 * g
    backends = { packed = packed, n = n, g = g, groups = { unpack_('<' .. string.rep('I2', g), packed, 5) },
      slots = lazy('<I2', 2, at), weights = lazy('<I4', 4, at + 4 * n),
      limit = (unpack_('<I4', packed, #packed - 3)) }
    known[argument] = backends
  end
  packed, n, g, slots, weights = backends.packed, backends.n, backends.g, backends.slots, backends.weights
end

readAll = function()
  if backends.limits then return end
  local longs, at = '<' .. string.rep('I4', n), 5 + 2 * g
  slots = { unpack_('<' .. string.rep('I2', n), packed, at) }
  weights = { unpack_(longs, packed, at + 4 * n) }
  backends.slots, backends.weights, backends.limits = slots, weights, { unpack_(longs, packed, at + 8 * n) }
end

-- By a glance: nothing stands against any backend, and all have places. False decides nothing.
local function isClear()
  if not calmFrom then
    quiet = column(QUIET)
    calmFrom, busiest = math.max(unpack(quiet, 1, capacity)), math.max(unpack(inFlight, 1, capacity))
  end
  return now >= calmFrom and busiest < backends.limit
end

local function everyone()
  if not backends.everyone then
    local all = {}
    for position = 1, backends.groups[1] do all[position] = position end
    backends.everyone = all
  end
  return backends.everyone, backends.groups[1]
end

local function cardOf(slot)
  local card = rows[slot]
  if not card then
    cards = cards or redis.call('GET', KEYS[2])
    card = readCard(slot, cards)
    rows[slot] = card
  end
  return card
end

local function lacksModel(slot, card)
  if model == '' or card.absentUntil <= now then return false end
  local absent = redis.call('HGET', KEYS[4], 'm' .. slot)
  local untilMs = absent and cmsgpack.unpack(absent)[model]
  return untilMs and now < untilMs
end

-- Eligibility.Passing: 0 nothing in the way, 1 something, 2 only its slow start.
local function obstacle(position, inPanic)
  local slot = slots[position]
  local full = inFlight[slot + 1] >= backends.limits[position]
  if now >= quiet[slot + 1] then return full and 1 or 0 end
  local card = cardOf(slot)
  if lacksModel(slot, card) then return 1 end
  if not inPanic and ((card.misconfigured ~= 0 and probed ~= 0) or (card.circuit == OPEN and now < card.openUntil)
      or (card.circuit == TRIAL and now < card.trialUntil)) then return 1 end
  if now < card.parkedUntil or full then return 1 end
  local elapsed, share = now - card.recoveredAt, 1
  if card.recoveredAt ~= 0 and elapsed < slowStart then share = math.max(0.1, elapsed / slowStart) end
  return slowRoll >= share and 2 or 0
end

local function take(position, mayTry)
  local slot, isTrial = slots[position], 0
  local epoch = epochs[slot] or get(EPOCH, slot)
  if mayTry and quiet[slot + 1] == HUGE then
    local card = cardOf(slot)
    if card.circuit ~= CLOSED then
      isTrial, epoch = 1, epoch + 1
      card.circuit, card.trialLease = TRIAL, lease
      card.trialUntil = now + unpack_('<I4', packed, 5 + 2 * g + 12 * n + 4 * (position - 1))
      redis.call('SETRANGE', KEYS[2], slot * ROW, packCard(card))
      set(EPOCH, slot, epoch)
      before = nil
    end
  end
  epochs[slot] = epoch
  inFlight[slot + 1] = inFlight[slot + 1] + 1
  busiest = math.max(busiest, inFlight[slot + 1])
  if backends.limits and inFlight[slot + 1] >= backends.limits[position] then before = nil end
  turn = turn + 1
  spread = spread or highest and slot ~= highest
  highest = math.max(highest or slot, slot)
  leases[#leases + 1] = now + leaseMs
  leases[#leases + 1] = string.format('%d:%.0f', slot, lease)
  return pack_('<I2I2I2d', 1, position - 1, isTrial, epoch)
end

local function settleBalances(candidates, count, picked)
  readAll()
  balances = balances or column(BALANCE)
  local slots, weights, balances, total = slots, weights, balances, 0
  for i = 1, count do
    local position = candidates[i]
    local weight, slot = weights[position], slots[position] + 1
    total = total + weight
    balances[slot] = balances[slot] + weight
  end
  local slot = slots[candidates[picked]] + 1
  balances[slot] = balances[slot] - total
end

local function choose(candidates, count)
  if ringAt > 0 then
    ring = rings[ringAt]
    if not ring then
      ring = { unpack_('<' .. string.rep('I2', #ARGV[ringAt] / 2), ARGV[ringAt]) }
      ring[#ring] = nil
      rings[ringAt] = ring
    end
  end
  local picked = count > 1 and pick(candidates, count) or 1
  if keepsBalance then settleBalances(candidates, count, picked) end
  return take(candidates[picked], true)
end

-- Who can take it in the first group that has any; the third result: all that was looked at is in order.
local function eligible()
  readAll()
  local slots, limits, quiet, inFlight, groups = slots, backends.limits, quiet, inFlight, backends.groups
  local start, allQuiet = 1, true
  for group = 1, g do
    local last, candidates, count, slow, slowCount = groups[group], {}, 0, nil, 0
    for position = start, last do
      local slot = slots[position] + 1
      local found
      if now >= quiet[slot] then
        found = inFlight[slot] < limits[position] and 0 or 1
      else
        found, allQuiet = obstacle(position, false), false
      end
      if found == 0 then
        count = count + 1
        candidates[count] = position
      elseif found == 2 and slowRoll > 0 then
        slow = slow or {}
        slowCount = slowCount + 1
        slow[slowCount] = position
      end
    end
    if count == 0 and slow then candidates, count = slow, slowCount end
    if count > 0 then return candidates, count, allQuiet end
    start = last + 1
  end
  return nil, 0, false
end

-- The least bad: an open circuit before a wrong configuration, the earliest to be tried again first, in turn among equals.
local function leastBad()
  local index = { unpack_('<' .. string.rep('I2', n), packed, 5 + 2 * g + 2 * n) }
  local best, bestRank, bestOpen, bestStep
  for position = 1, n do
    if obstacle(position, true) ~= 1 then
      local card = cardOf(slots[position])
      local open = card.circuit == CLOSED and 0 or card.openUntil
      local step = (index[position] - turn) % poolCount
      if not best or card.misconfigured < bestRank or (card.misconfigured == bestRank
          and (open < bestOpen or (open == bestOpen and step < bestStep))) then
        best, bestRank, bestOpen, bestStep = position, card.misconfigured, open, step
      end
    end
  end
  return best
end

local function serve(at)
  local which, modelAt
  lease, roll1, roll2, slowRoll, panic, which, modelAt, ringAt = unpack_('<ddddI2I2I2I2', ARGV[2], at)
  model = modelAt > 0 and ARGV[modelAt] or ''
  consider(which)
  if isClear() then
    before = nil
    return choose(everyone())
  end
  -- Whom the request before could choose from, this one can, where nothing but free places changed.
  if before and before.which == which then return choose(before.candidates, before.count) end
  local candidates, count, allQuiet = eligible()
  before = allQuiet and { which = which, candidates = candidates, count = count } or nil
  if count > 0 then return choose(candidates, count) end
  local best = panic ~= 0 and n > 0 and leastBad()
  return best and take(best, false) or pack_('<I2I2I2d', 0, 0, 0, 0)
end

for at = 1, #ARGV[2], 40 do told[#told + 1] = serve(at) end

if highest then
  if keepsBalance and balances then
    redis.call('SETRANGE', KEYS[1], cell(BALANCE, 0), pack_('<' .. string.rep('d', capacity), unpack(balances, 1, capacity)))
  end
  -- The turn stands right before the column of loads: one write for both.
  local loads = spread and pack_('<' .. string.rep('I4', highest + 1), unpack(inFlight, 1, highest + 1))
    or bytesAt(HEADER, 4 * highest) .. pack_('<I4', inFlight[highest + 1])
  redis.call('SETRANGE', KEYS[1], HEADER - 8, pack_('<d', turn) .. loads)
  redis.call('ZADD', KEYS[3], unpack(leases))
end
return table.concat(told)
