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
local quiet = column(QUIET)
local calmFrom, busiest = math.max(unpack(quiet, 1, capacity)), math.max(unpack(inFlight, 1, capacity))
local known, epochs, leases = {}, {}, {}
local lease, slowRoll, panic, which, model, modelAt, ringAt
local packed, n, g, groups, limit, limits
local highest, spread

readAll = function()
  if limits then return end
  local longs, at = '<' .. string.rep('I4', n), 5 + 2 * g
  slots, weights, limits = { unpack_('<' .. string.rep('I2', n), packed, at) }, { unpack_(longs, packed, at + 4 * n) }, { unpack_(longs, packed, at + 8 * n) }
  known[which] = { packed, n, g, groups, limit, slots, weights, limits }
end

local function lazy(format, size, at)
  local from = packed
  return setmetatable({}, { __index = function(numbers, position)
    local number = unpack_(format, from, at + size * (position - 1))
    numbers[position] = number
    return number
  end })
end

-- What several requests have in common is read once; many backends only as far as somebody looks.
local function consider()
  if known[which] then
    packed, n, g, groups, limit, slots, weights, limits = unpack(known[which], 1, 8)
    return
  end
  packed, limits = ARGV[which], nil
  n, g = unpack_('<I2I2', packed)
  groups, limit = { unpack_('<' .. string.rep('I2', g), packed, 5) }, unpack_('<I4', packed, #packed - 3)
  if n <= 32 then return readAll() end
  slots, weights = lazy('<I2', 2, 5 + 2 * g), lazy('<I4', 4, 5 + 2 * g + 4 * n)
  known[which] = { packed, n, g, groups, limit, slots, weights }
end

-- Most of the time nothing stands against any backend. What is needed otherwise is made when it first is.
local function makeRare()
  local rows, cards = {}, nil

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
    local full = inFlight[slot + 1] >= limits[position]
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

  -- Who can take it in the first group that has any; the third result: all that was looked at is in order.
  local function eligible()
    readAll()
    local slots, limits, quiet, inFlight, now = slots, limits, quiet, inFlight, now
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

  -- The request is the one that tries a half-open circuit; its epoch, where it is.
  local function try(position)
    local slot = slots[position]
    local card = cardOf(slot)
    if card.circuit == CLOSED then return nil end
    local epoch = (epochs[slot] or get(EPOCH, slot)) + 1
    card.circuit, card.trialLease = TRIAL, lease
    card.trialUntil = now + unpack_('<I4', packed, 5 + 2 * g + 12 * n + 4 * (position - 1))
    redis.call('SETRANGE', KEYS[2], slot * ROW, packCard(card))
    set(EPOCH, slot, epoch)
    return epoch
  end

  return { eligible = eligible, leastBad = leastBad, try = try }
end
local rare

local everyone, everyoneOf
local before, beforeCount, beforeOf
for at = 1, #ARGV[2], 40 do
  local lastOf = which
  lease, roll1, roll2, slowRoll, panic, which, modelAt, ringAt = unpack_('<ddddI2I2I2I2', ARGV[2], at)
  model = modelAt > 0 and ARGV[modelAt] or ''
  if which ~= lastOf then consider() end
  local candidates, count, allQuiet
  if now >= calmFrom and busiest < limit then
    count, beforeOf = groups[1], nil
    if everyoneOf ~= which then
      everyone, everyoneOf = {}, which
      for position = 1, count do everyone[position] = position end
    end
    candidates = everyone
  elseif beforeOf == which then
    -- Whom the request before could choose from, this one can, where nothing but free places changed.
    candidates, count = before, beforeCount
  else
    rare = rare or makeRare()
    candidates, count, allQuiet = rare.eligible()
    before, beforeCount, beforeOf = candidates, count, allQuiet and which or nil
  end

  local position
  if count > 0 then
    if ringAt > 0 then
      ring = { unpack_('<' .. string.rep('I2', #ARGV[ringAt] / 2), ARGV[ringAt]) }
      ring[#ring] = nil
    end
    position = candidates[count > 1 and pick(candidates, count) or 1]
    if keepsBalance then
      readAll()
      balances = balances or column(BALANCE)
      local total = 0
      for i = 1, count do
        local candidate = candidates[i]
        local weight, slot = weights[candidate], slots[candidate] + 1
        total = total + weight
        balances[slot] = balances[slot] + weight
      end
      local slot = slots[position] + 1
      balances[slot] = balances[slot] - total
    end
  elseif panic ~= 0 and n > 0 then
    position = rare.leastBad()
  end

  if position then
    local slot = slots[position]
    local trial = count > 0 and quiet[slot + 1] == HUGE and rare.try(position)
    local epoch, load = trial or epochs[slot] or get(EPOCH, slot), inFlight[slot + 1] + 1
    epochs[slot], inFlight[slot + 1] = epoch, load
    if load > busiest then busiest = load end
    if limits and load >= limits[position] then beforeOf = nil end
    turn = turn + 1
    spread = spread or highest and slot ~= highest
    highest = math.max(highest or slot, slot)
    leases[#leases + 1] = now + leaseMs
    leases[#leases + 1] = string.format('%d:%.0f', slot, lease)
    told[#told + 1] = pack_('<I2I2I2d', 1, position - 1, trial and 1 or 0, epoch)
  else
    told[#told + 1] = pack_('<I2I2I2d', 0, 0, 0, 0)
  end
end

if highest then
  if balances then
    redis.call('SETRANGE', KEYS[1], cell(BALANCE, 0), pack_('<' .. string.rep('d', capacity), unpack(balances, 1, capacity)))
  end
  -- The turn stands right before the column of loads: one write for both.
  local loads = spread and pack_('<' .. string.rep('I4', highest + 1), unpack(inFlight, 1, highest + 1))
    or bytesAt(HEADER, 4 * highest) .. pack_('<I4', inFlight[highest + 1])
  redis.call('SETRANGE', KEYS[1], HEADER - 8, pack_('<d', turn) .. loads)
  redis.call('ZADD', KEYS[3], unpack(leases))
end
return table.concat(told)
