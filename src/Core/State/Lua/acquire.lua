-- Chooses a backend and reserves a place on it.
-- KEYS as in common.lua, the first 4.
-- ARGV[1] 11 doubles: clock (-1: the server's), generation, lease id, lease ms, slow start ms, roll 1, roll 2, slow start roll,
--         panic, probes bring back misconfigured ones, backends in the pool
-- ARGV[2] the backends that may serve the request, by priority, then in the pool's order: n and g (2 bytes each), then columns:
--         the last position of each of the g groups, slot, index (2 bytes), weight, max_connections, timeout ms (4 bytes)
-- ARGV[3] the model, or ''
-- ARGV[4] consistent_hash only: positions in ARGV[2] (2 bytes) in the ring's order
-- Returns status, position (2 bytes each), trial, epoch, version, birth, now (doubles).
local clock, wanted, lease, leaseMs, slowStart, slowRoll, panic, probed, poolCount
clock, wanted, lease, leaseMs, slowStart, roll1, roll2, slowRoll, panic, probed, poolCount = unpack_('<ddddddddddd', ARGV[1])
if not readBoard() or generation ~= wanted then return pack_('<I2I2ddddd', 2, 0, 0, 0, version or 0, birth or 0, 0) end
readClock(clock)
sweep(leaseMs)

local n, g = unpack_('<I2I2', ARGV[2])
local at, words, longs = 5, '<' .. string.rep('I2', n), '<' .. string.rep('I4', n)
local groups = { unpack_('<' .. string.rep('I2', g), ARGV[2], at) }
at = at + 2 * g
slots = { unpack_(words, ARGV[2], at) }
at = at + 4 * n
weights = { unpack_(longs, ARGV[2], at) }
at = at + 4 * n
local limits = { unpack_(longs, ARGV[2], at) }
inFlight = { unpack_('<' .. string.rep('I4', capacity), board, HEADER + 1) }
local quiet = column(QUIET)
local model, cards = ARGV[3], nil

local function cardOf(slot)
  cards = cards or redis.call('GET', KEYS[2])
  return readCard(slot, cards)
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

local function take(position, mayTry)
  local slot, isTrial = slots[position], 0
  local epoch = get(EPOCH, slot)
  if mayTry and quiet[slot + 1] == HUGE then
    local card = cardOf(slot)
    if card.circuit ~= CLOSED then
      isTrial, epoch = 1, epoch + 1
      card.circuit, card.trialLease = TRIAL, lease
      card.trialUntil = now + unpack_('<I4', ARGV[2], 5 + 2 * g + 12 * n + 4 * (position - 1))
      redis.call('SETRANGE', KEYS[2], slot * ROW, packCard(card))
      set(EPOCH, slot, epoch)
    end
  end
  -- The turn stands right before the column of loads: one write for both.
  redis.call('SETRANGE', KEYS[1], HEADER - 8, pack_('<d', turn + 1) .. string.sub(board, HEADER + 1, HEADER + 4 * slot)
    .. pack_('<I4', inFlight[slot + 1] + 1))
  redis.call('ZADD', KEYS[3], now + leaseMs, string.format('%d:%.0f', slot, lease))
  return pack_('<I2I2ddddd', 1, position - 1, isTrial, epoch, version, birth, now)
end

local start = 1
for group = 1, g do
  local last, candidates, count, slow, slowCount = groups[group], {}, 0, nil, 0
  for position = start, last do
    local slot = slots[position] + 1
    local found = now >= quiet[slot] and (inFlight[slot] < limits[position] and 0 or 1) or nil
    if not found then found = obstacle(position, false) end
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
  if count > 0 then
    if ARGV[4] then ring = { unpack_('<' .. string.rep('I2', #ARGV[4] / 2), ARGV[4]) } ring[#ring] = nil end
    local picked = 1
    if count > 1 then picked = pick(candidates, count) end
    if keepsBalance then
      balances = balances or column(BALANCE)
      local total = 0
      for i = 1, count do
        local weight, slot = weights[candidates[i]], slots[candidates[i]] + 1
        total = total + weight
        balances[slot] = balances[slot] + weight
      end
      local slot = slots[candidates[picked]] + 1
      balances[slot] = balances[slot] - total
      redis.call('SETRANGE', KEYS[1], cell(BALANCE, 0), pack_('<' .. string.rep('d', capacity), unpack(balances, 1, capacity)))
    end
    return take(candidates[picked], true)
  end
  start = last + 1
end

if panic ~= 0 and n > 0 then
  -- The least bad: an open circuit before a wrong configuration, the earliest to be tried again first, in turn among equals.
  local index = { unpack_(words, ARGV[2], 5 + 2 * g + 2 * n) }
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
  if best then return take(best, false) end
end
return pack_('<I2I2ddddd', 0, 0, 0, 0, version, birth, now)
