-- Shared by all scripts of a pool: where things are, and the rules that more than one script needs.
-- KEYS[1] board   what every choice reads, one string: a header of 8 doubles (see readHead; until failedUntil a failure load may count),
--                 then columns, one number a slot:
--                 in flight (4 bytes), quiet, balance, epoch, failure load, its time, latency, its time (8 bytes each)
-- KEYS[2] cards   what only a change reads, one string: a row of 112 bytes a slot
-- KEYS[3] leases  sorted by expiry: "slot:id", or "#id" for all of an instance that reports its load; "~…" remembers an expired one,
--                 "=id" one settled without its lease, "" keeps the key alive
-- KEYS[4] notes   a hash: "e<slot>" the last error's words, "m<slot>" absent models with their times, "i<id>" what an instance reported last
-- KEYS[5] totals  one string of counters, 1,384 bytes a slot
-- KEYS[6] names   a hash: lower-case backend name to slot
-- KEYS[7] changes a hash: "v" version, "d" document of what was changed at run time
-- All times are milliseconds. Every script's reply begins with a status: 0 nothing, 1 done, 2 stale (the caller's slots are out of date).
local HEADER, ROW, STRIDE, DAY, HUGE = 64, 112, 1384, 86400000, 1e300
local QUIET, BALANCE, EPOCH, LOAD, LOAD_AT, LATENCY, LATENCY_AT, COLUMNS = 0, 1, 2, 3, 4, 5, 6, 7
local CLOSED, OPEN, TRIAL = 0, 1, 2
local FADE_MS = 10000

local unpack_, pack_ = struct.unpack, struct.pack
local board, capacity, generation, version, nextExpiry, turn, birth, digest, failedUntil
local most, now
local columns

local function readHead()
  if not board or #board < HEADER then return false end
  columns = {}
  birth, generation, capacity, version, digest, nextExpiry, failedUntil, turn = unpack_('<dddddddd', board)
  local size = HEADER + capacity * (4 + 8 * COLUMNS)
  return #board == (most and math.min(most, size) or size)
end

-- All of it, or, where a script needs few cells, its first bytes: the whole of a small board, the head of a large one.
local function readBoard(upTo)
  most = upTo or most
  board = most and redis.call('GETRANGE', KEYS[1], 0, most - 1) or not most and redis.call('GET', KEYS[1])
  return readHead()
end

-- The clock is the server's; a test hands in its own.
local function readClock(given)
  if given >= 0 then now = given return end
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Offsets count from 0.
local function cell(column, slot) return HEADER + 4 * capacity + 8 * (capacity * column + slot) end
local function bytesAt(at, count)
  if at + count <= #board then return string.sub(board, at + 1, at + count) end
  return redis.call('GETRANGE', KEYS[1], at, at + count - 1)
end
local function column(which)
  columns[which] = columns[which] or { unpack_('<' .. string.rep('d', capacity), bytesAt(cell(which, 0), 8 * capacity)) }
  return columns[which]
end
local function get(which, slot) return (unpack_('<d', bytesAt(cell(which, slot), 8))) end
local function set(which, slot, value) redis.call('SETRANGE', KEYS[1], cell(which, slot), pack_('<d', value)) end
local function inFlightOf(slot) return (unpack_('<I4', bytesAt(HEADER + 4 * slot, 4))) end
local function setInFlight(slot, count) redis.call('SETRANGE', KEYS[1], HEADER + 4 * slot, pack_('<I4', math.max(0, count))) end

local function fade(value, at)
  if value == 0 then return 0 end
  local elapsed = now - at
  if elapsed <= 0 then return value end
  if elapsed >= 10 * FADE_MS then return 0 end
  return value * math.exp(-elapsed / FADE_MS)
end

local function readCard(slot, cards)
  local card = {}
  card.circuit, card.misconfigured, card.openUntil, card.trialUntil, card.parkedUntil, card.recoveredAt, card.absentUntil,
    card.failures, card.probeFailures, card.cooldown, card.trips, card.trialLease, card.windowStart,
    card.requests, card.failed, card.previousRequests, card.previousFailed, card.seenAt
    = unpack_('<I4I4dddddI4I4ddddI4I4I4I4d', cards, slot * ROW + 1)
  return card
end

local function packCard(card)
  return pack_('<I4I4dddddI4I4ddddI4I4I4I4d', card.circuit, card.misconfigured, card.openUntil, card.trialUntil, card.parkedUntil,
    card.recoveredAt, card.absentUntil, card.failures, card.probeFailures, card.cooldown, card.trips, card.trialLease, card.windowStart,
    card.requests, card.failed, card.previousRequests, card.previousFailed, card.seenAt)
end

-- Until when a choice has to look at the card: before it, anything may be in the way; from it on, nothing is.
local function quietFrom(card, slowStart)
  if card.circuit ~= CLOSED or card.misconfigured ~= 0 then return HUGE end
  local slowUntil = card.recoveredAt > 0 and card.recoveredAt + slowStart or 0
  return math.max(card.parkedUntil, card.absentUntil, slowUntil)
end

local function touch()
  for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], DAY) end
end

-- Takes back what expired leases held. Each is remembered for an hour, so that its late outcome is still counted, once.
local function sweep(leaseMs)
  if now < nextExpiry then return end
  local dead, freed = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 1000), {}
  for i = 1, #dead do
    local member = dead[i]
    redis.call('ZREM', KEYS[3], member)
    local slot, holder = tonumber(string.match(member, '^(%d+):')), string.match(member, '#(%d+)$')
    if slot then
      redis.call('ZADD', KEYS[3], now + 3600000, '~' .. member)
      freed[slot] = (freed[slot] or 0) + 1
    elseif holder and string.sub(member, 1, 1) == '~' then
      redis.call('HDEL', KEYS[4], 'i' .. holder)
    elseif holder then
      local reported = redis.call('HGET', KEYS[4], 'i' .. holder) or ''
      for at = 9, #reported, 6 do
        local held, count = unpack_('<I2I4', reported, at)
        freed[held] = (freed[held] or 0) + count
      end
      redis.call('HSET', KEYS[4], 'i' .. holder, string.sub(reported, 1, 8))
      redis.call('ZADD', KEYS[3], now + 3600000, '~' .. member)
    end
  end
  for slot, count in pairs(freed) do
    if slot < capacity then setInFlight(slot, inFlightOf(slot) - count) end
  end
  local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  nextExpiry = now + leaseMs
  if #dead == 1000 then nextExpiry = now elseif first[2] then nextExpiry = math.min(nextExpiry, tonumber(first[2])) end
  redis.call('SETRANGE', KEYS[1], 40, pack_('<d', nextExpiry))
  touch()
  readBoard()
end
