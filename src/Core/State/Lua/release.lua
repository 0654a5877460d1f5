-- Gives a place back and settles what happened: Circuit.Settle number for number, and the totals.
-- KEYS as in common.lua, the first 5.
-- ARGV[1] doubles: clock, generation, lease id (0: a probe), slot, epoch, trial, without lease (the store began anew since), lease ms,
--         kind, blame, overloaded, duration ms, first token ms (-1: none), Retry-After ms (-1: none), jitter roll, input tokens, output tokens,
--         duration bucket (-1: none), duration µs, first token bucket (-1: none), first token µs
-- ARGV[2] doubles: threshold, ratio, least requests, window ms, cooldown ms, longest cooldown ms, quota park ms, absent model park ms,
--         probes on, probe interval ms, slow start ms
-- ARGV[3] the model, or ''   ARGV[4] the error in words, or ''
-- Returns status (2 bytes), transitions, open for ms, parked for ms, version (doubles).
local clock, wanted, lease, slot, epoch, isTrial, leaseless, leaseMs, kind, blame, overloaded, duration, firstToken, asked, jitter,
  inTokens, outTokens, durationBucket, durationUs, firstBucket, firstUs = unpack_('<' .. string.rep('d', 21), ARGV[1])
local threshold, ratio, leastRequests, windowMs, cooldownMs, cooldownMax, quotaPark, absentPark, probed, interval, slowStart
  = unpack_('<ddddddddddd', ARGV[2])
local PRAISE, FAILURE, PARK, PARK_LONG, MISCONFIGURED, MODEL_ABSENT = 1, 2, 3, 4, 5, 6
local OPENED, CLOSED_AGAIN, TRIAL_FAILED, REFUSED, ACCEPTED, PARKED, ABSENT = 1, 2, 4, 8, 16, 32, 64
local model, words = ARGV[3], ARGV[4]

if not readBoard() or generation ~= wanted then return pack_('<I2dddd', 2, 0, 0, 0, version or 0) end
readClock(clock)
sweep(leaseMs)

-- At most once, however often it is sent.
if lease ~= 0 then
  local member = string.format('%d:%.0f', slot, lease)
  if redis.call('ZREM', KEYS[3], member) == 1 then
    setInFlight(slot, inFlightOf(slot) - 1)
  elseif redis.call('ZREM', KEYS[3], '~' .. member) == 0 then
    if leaseless == 0 or redis.call('ZADD', KEYS[3], 'NX', now + 3600000, string.format('=%.0f', lease)) == 0 then
      return pack_('<I2dddd', 1, 0, 0, 0, version)
    end
  end
end

local base = slot * STRIDE * 8
local counts = {}
local function count(field, amount)
  counts[#counts + 1] = 'INCRBY' counts[#counts + 1] = 'i64' counts[#counts + 1] = base + 64 * field counts[#counts + 1] = amount
end
local function bucket(first, which, sumField, sum)
  counts[#counts + 1] = 'INCRBY' counts[#counts + 1] = 'u32'
  counts[#counts + 1] = base + 2560 + 32 * (first + which) counts[#counts + 1] = 1
  count(sumField, sum)
end
local function mark(field)
  counts[#counts + 1] = 'SET' counts[#counts + 1] = 'i64' counts[#counts + 1] = base + 64 * field counts[#counts + 1] = now
end
if lease == 0 then
  mark(37)
else
  count(kind, 1)
  if inTokens > 0 then count(32, inTokens) end
  if outTokens > 0 then count(33, outTokens) end
  if durationBucket >= 0 then bucket(0, durationBucket, 34, durationUs) end
  if firstBucket >= 0 then bucket(133, firstBucket, 35, firstUs) end
end
if blame >= FAILURE then
  mark(36)
  redis.call('HSET', KEYS[4], 'e' .. slot, words)
end
redis.call('BITFIELD', KEYS[5], unpack(counts))
if blame == 0 and isTrial == 0 then return pack_('<I2dddd', 1, 0, 0, 0, version) end

local present = get(EPOCH, slot)
local changed = 0

local function feed(sample)
  sample = math.max(sample, 0.001)
  local latency, at = get(LATENCY, slot), get(LATENCY_AT, slot)
  local elapsed = now - at
  local kept = elapsed <= 0 and 1 or elapsed >= 10 * FADE_MS and 0 or math.exp(-elapsed / FADE_MS)
  if sample < latency * kept then sample = sample * (1 - kept) + latency * kept end
  set(LATENCY, slot, sample)
  set(LATENCY_AT, slot, now)
end

if lease ~= 0 and blame == PRAISE then
  feed(firstToken >= 0 and firstToken or duration)
elseif lease ~= 0 and blame == FAILURE then
  local average = fade(get(LATENCY, slot), get(LATENCY_AT, slot))
  feed(math.max(duration, math.min(math.max(2 * average, 1000), 60000)))
  set(LOAD, slot, math.min(fade(get(LOAD, slot), get(LOAD_AT, slot)) + 1, 100))
  set(LOAD_AT, slot, now)
end

local card = readCard(0, redis.call('GETRANGE', KEYS[2], slot * ROW, slot * ROW + ROW - 1))

local function park(ms)
  local was = now < card.parkedUntil
  card.parkedUntil = math.max(card.parkedUntil, now + ms)
  return (was or ms == 0) and 0 or PARKED
end

local function forgetModel()
  local stored = redis.call('HGET', KEYS[4], 'm' .. slot)
  local old, absent, size, soonest = stored and cmsgpack.unpack(stored) or {}, {}, 0, nil
  for name, ends in pairs(old) do
    if ends > now then
      absent[name] = ends
      size = size + 1
      if not soonest or ends < absent[soonest] then soonest = name end
    end
  end
  if size >= 64 and not absent[model] then absent[soonest] = nil end
  absent[model] = now + absentPark
  redis.call('HSET', KEYS[4], 'm' .. slot, cmsgpack.pack(absent))
  card.absentUntil = 0
  for _, ends in pairs(absent) do card.absentUntil = math.max(card.absentUntil, ends) end
  return ABSENT
end

if asked >= 0 then asked = math.min(asked, 3600000) end
if lease == 0 and blame == PARK then
  return pack_('<I2dddd', 1, 0, 0, 0, version)
elseif blame == PRAISE then
  if card.misconfigured ~= 0 then card.misconfigured, changed = 0, ACCEPTED end
elseif blame == FAILURE then
  if overloaded ~= 0 and asked > 0 then changed = park(asked) end
elseif blame == PARK then
  changed = park(asked < 0 and 1000 or asked)
elseif blame == PARK_LONG then
  changed = park(math.max(asked, quotaPark))
elseif blame == MISCONFIGURED then
  if probed == 0 then park(quotaPark) end
  changed = card.misconfigured ~= 0 and 0 or REFUSED
  card.misconfigured = 1
elseif blame == MODEL_ABSENT and model ~= '' and lease ~= 0 then
  changed = forgetModel()
end

local function clearWindow()
  card.windowStart, card.requests, card.failed, card.previousRequests, card.previousFailed = now, 0, 0, 0, 0
end

local function countInWindow(failed)
  local elapsed = now - card.windowStart
  if elapsed >= windowMs then
    local adjoins = elapsed < 2 * windowMs
    card.previousRequests, card.previousFailed = adjoins and card.requests or 0, adjoins and card.failed or 0
    card.requests, card.failed = 0, 0
    card.windowStart = adjoins and card.windowStart + windowMs or now
    elapsed = now - card.windowStart
  end
  card.requests = card.requests + 1
  if not failed then return false end
  card.failed = card.failed + 1
  if card.failures >= threshold then return true end
  local left = 1 - elapsed / windowMs
  local requests = card.previousRequests * left + card.requests
  return requests >= leastRequests and card.previousFailed * left + card.failed >= ratio * requests
end

local function open(cooldown)
  card.cooldown = math.min(cooldown, math.floor(cooldownMax))
  card.openUntil = math.max(card.openUntil, now + math.floor(card.cooldown * (0.8 + 0.4 * jitter)))
  card.circuit, present, card.trips, card.trialLease = OPEN, present + 1, card.trips + 1, 0
  clearWindow()
end

local function trip()
  local flaps = card.cooldown > 0 and card.recoveredAt > 0 and now - card.recoveredAt < cooldownMax
  open(flaps and card.cooldown * 2 or math.floor(cooldownMs))
  return OPENED
end

local function close()
  card.circuit, present, card.failures, card.probeFailures = CLOSED, present + 1, 0, 0
  card.openUntil, card.trialLease, card.recoveredAt = 0, 0, now
  clearWindow()
  return CLOSED_AGAIN
end

local function settleProbe()
  if blame == PRAISE then
    card.failures, card.probeFailures = card.failures - card.probeFailures, 0
    return card.circuit == CLOSED and 0 or close()
  elseif blame == FAILURE then
    card.failures, card.probeFailures = card.failures + 1, card.probeFailures + 1
    if card.circuit == CLOSED and card.failures >= threshold then return trip() end
    if card.circuit == OPEN then
      card.openUntil = math.max(card.openUntil, now + math.floor(math.min(cooldownMs, interval / 2)))
    end
  end
  return 0
end

local function move()
  if blame == PRAISE then
    card.failures, card.probeFailures = 0, 0
    if card.circuit ~= CLOSED then return close() end
    countInWindow(false)
  elseif blame == FAILURE then
    card.failures = card.failures + 1
    if isTrial ~= 0 then
      open(card.cooldown * 2)
      return TRIAL_FAILED
    end
    if card.circuit == CLOSED and countInWindow(true) then return trip() end
  elseif isTrial ~= 0 then
    card.circuit, present, card.trialLease = OPEN, present + 1, 0
  end
  return 0
end

local before = present
if lease == 0 then
  changed = changed + settleProbe()
elseif epoch == present then
  changed = changed + move()
end
redis.call('SETRANGE', KEYS[2], slot * ROW, packCard(card))
if present ~= before then set(EPOCH, slot, present) end
local quiet = quietFrom(card, slowStart)
if quiet ~= get(QUIET, slot) then set(QUIET, slot, quiet) end
return pack_('<I2dddd', 1, changed, card.circuit == CLOSED and 0 or math.max(0, card.openUntil - now),
  math.max(0, card.parkedUntil - now), version)
