-- Settles what happened to requests, outcome by outcome: Circuit.Settle number for number, and the totals.
-- settings: 11 doubles: threshold, ratio, least requests, window ms, cooldown ms, longest cooldown ms, quota park ms, absent model park ms,
--           probes on, probe interval ms, slow start ms
-- first, last: where in ARGV the outcomes are, three an outcome: the model, or ''; the error in words, or ''; and doubles:
--           lease id (0: a probe), slot, epoch, trial, without lease (1: the store began anew since, 2: it is in the instance's report),
--           kind (-1: no outcome but a trial's beginning), blame, overloaded, duration ms, first token ms (-1: none), Retry-After ms (-1: none),
--           jitter roll, input tokens, output tokens, duration bucket (-1: none), duration µs, first token bucket (-1: none), first token µs
-- freed: places by slot that are given back with them   news: false where they were counted before
-- Returns, an outcome: transitions, open for ms, parked for ms (doubles). What was read of the board is out of date after it.
local function settleOutcomes(settings, first, last, freed, news)
  local threshold, ratio, leastRequests, windowMs, cooldownMs, cooldownMax, quotaPark, absentPark, probed, interval, slowStart
    = unpack_('<ddddddddddd', settings)
  local PRAISE, FAILURE, PARK, PARK_LONG, MISCONFIGURED, MODEL_ABSENT = 1, 2, 3, 4, 5, 6
  local OPENED, CLOSED_AGAIN, TRIAL_FAILED, REFUSED, ACCEPTED, PARKED, ABSENT = 1, 2, 4, 8, 16, 32, 64

  -- What is known of a slot is read once and written once, however many outcomes it has.
  local cards, counts = {}, {}
  local model, words
  local lease, slot, epoch, isTrial, leaseless, kind, blame, overloaded, duration, firstToken, asked, jitter,
    inTokens, outTokens, durationBucket, durationUs, firstBucket, firstUs
  local card

  local function cardOf(which)
    local known = cards[which]
    if not known then
      known = readCard(0, redis.call('GETRANGE', KEYS[2], which * ROW, which * ROW + ROW - 1))
      known.epoch = get(EPOCH, which)
      known.wasEpoch, known.wasQuiet = known.epoch, quietFrom(known, slowStart)
      cards[which] = known
    end
    return known
  end

  -- At most once, however often it is sent: the lease goes with it, or, where there may be none, a mark stays.
  local function isFirst()
    if lease == 0 or leaseless == 2 then return true end
    local member = string.format('%d:%.0f', slot, lease)
    local isHeld = redis.call('ZREM', KEYS[3], member) == 1
    if isHeld then freed[slot] = (freed[slot] or 0) + 1 end
    if leaseless == 1 then return redis.call('ZADD', KEYS[3], 'NX', now + 3600000, string.format('=%.0f', lease)) == 1 end
    return isHeld or redis.call('ZREM', KEYS[3], '~' .. member) == 1
  end

  local function op(name, type, at, amount)
    local n = #counts
    counts[n + 1], counts[n + 2], counts[n + 3], counts[n + 4] = name, type, at, amount
  end

  local function count()
    local base = slot * STRIDE * 8
    if lease == 0 then
      op('SET', 'i64', base + 64 * 37, now)
    else
      op('INCRBY', 'i64', base + 64 * kind, 1)
      if inTokens > 0 then op('INCRBY', 'i64', base + 64 * 32, inTokens) end
      if outTokens > 0 then op('INCRBY', 'i64', base + 64 * 33, outTokens) end
      if durationBucket >= 0 then
        op('INCRBY', 'u32', base + 2560 + 32 * durationBucket, 1)
        op('INCRBY', 'i64', base + 64 * 34, durationUs)
      end
      if firstBucket >= 0 then
        op('INCRBY', 'u32', base + 2560 + 32 * (133 + firstBucket), 1)
        op('INCRBY', 'i64', base + 64 * 35, firstUs)
      end
    end
    if blame >= FAILURE then
      op('SET', 'i64', base + 64 * 36, now)
      redis.call('HSET', KEYS[4], 'e' .. slot, words)
    end
  end

  local function feed(sample)
    sample = math.max(sample, 0.001)
    local elapsed = now - card.latencyAt
    local kept = elapsed <= 0 and 1 or elapsed >= 10 * FADE_MS and 0 or math.exp(-elapsed / FADE_MS)
    if sample < card.latency * kept then sample = sample * (1 - kept) + card.latency * kept end
    card.latency, card.latencyAt = sample, now
  end

  local function weigh()
    if lease == 0 or (blame ~= PRAISE and blame ~= FAILURE) then return end
    if not card.latency then card.latency, card.latencyAt = get(LATENCY, slot), get(LATENCY_AT, slot) end
    if blame == PRAISE then
      feed(firstToken >= 0 and firstToken or duration)
    else
      feed(math.max(duration, math.min(math.max(2 * fade(card.latency, card.latencyAt), 1000), 60000)))
      if not card.load then card.load, card.loadAt = get(LOAD, slot), get(LOAD_AT, slot) end
      card.load, card.loadAt = math.min(fade(card.load, card.loadAt) + 1, 100), now
    end
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

  -- Most outcomes are successes of a backend in good standing. What the others need is made when the first of them comes.
  local function makeRare()
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

    local function mark()
      local wait = asked >= 0 and math.min(asked, 3600000) or -1
      if blame == PRAISE then
        if card.misconfigured ~= 0 then
          card.misconfigured = 0
          return ACCEPTED
        end
      elseif blame == FAILURE then
        if overloaded ~= 0 and wait > 0 then return park(wait) end
      elseif blame == PARK then
        return park(wait < 0 and 1000 or wait)
      elseif blame == PARK_LONG then
        return park(math.max(wait, quotaPark))
      elseif blame == MISCONFIGURED then
        if probed == 0 then park(quotaPark) end
        local before = card.misconfigured
        card.misconfigured = 1
        return before ~= 0 and 0 or REFUSED
      elseif blame == MODEL_ABSENT and model ~= '' and lease ~= 0 then
        return forgetModel()
      end
      return 0
    end

    local function clearWindow()
      card.windowStart, card.requests, card.failed, card.previousRequests, card.previousFailed = now, 0, 0, 0, 0
    end

    local function open(cooldown)
      card.cooldown = math.min(cooldown, math.floor(cooldownMax))
      card.openUntil = math.max(card.openUntil, now + math.floor(card.cooldown * (0.8 + 0.4 * jitter)))
      card.circuit, card.epoch, card.trips, card.trialLease = OPEN, card.epoch + 1, card.trips + 1, 0
      clearWindow()
    end

    local function trip()
      local flaps = card.cooldown > 0 and card.recoveredAt > 0 and now - card.recoveredAt < cooldownMax
      open(flaps and card.cooldown * 2 or math.floor(cooldownMs))
      return OPENED
    end

    local function close()
      card.circuit, card.epoch, card.failures, card.probeFailures = CLOSED, card.epoch + 1, 0, 0
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
        card.circuit, card.epoch, card.trialLease = OPEN, card.epoch + 1, 0
      end
      return 0
    end

    -- A trial that an instance began by itself: the first report of it counts.
    local function begin()
      if epoch == card.epoch + 1 and (card.circuit == OPEN or (card.circuit == TRIAL and now >= card.trialUntil)) then
        card.circuit, card.epoch, card.trialLease, card.trialUntil = TRIAL, epoch, lease, now + duration
      end
      return 0
    end

    return function()
      if kind < 0 then return begin() end
      if lease == 0 and blame == PARK then return 0 end
      local changed = mark()
      if lease == 0 then return changed + settleProbe() end
      return epoch == card.epoch and changed + move() or changed
    end
  end
  local settleRare

  local function settle()
    card = cardOf(slot)
    if kind >= 0 then weigh() end
    if blame == PRAISE and lease ~= 0 and card.circuit == CLOSED and card.misconfigured == 0 then
      if epoch == card.epoch then
        card.failures, card.probeFailures = 0, 0
        countInWindow(false)
      end
      return 0
    end
    settleRare = settleRare or makeRare()
    return settleRare()
  end

  local told = {}
  for i = first, last, 3 do
    model, words = ARGV[i], ARGV[i + 1]
    lease, slot, epoch, isTrial, leaseless, kind, blame, overloaded, duration, firstToken, asked, jitter,
      inTokens, outTokens, durationBucket, durationUs, firstBucket, firstUs = unpack_('<dddddddddddddddddd', ARGV[i + 2])
    local changed, openFor, parkedFor = 0, 0, 0
    if news and (kind < 0 or isFirst()) then
      if kind >= 0 then count() end
      if kind < 0 or blame ~= 0 or isTrial ~= 0 then
        changed = settle()
        if changed ~= 0 then
          openFor = card.circuit == CLOSED and 0 or math.max(0, card.openUntil - now)
          parkedFor = math.max(0, card.parkedUntil - now)
        end
      end
    end
    told[#told + 1] = pack_('<ddd', changed, openFor, parkedFor)
  end

  if #counts > 0 then redis.call('BITFIELD', KEYS[5], unpack(counts)) end
  for which, gone in pairs(freed) do
    if gone ~= 0 then setInFlight(which, inFlightOf(which) - gone) end
  end
  for which, known in pairs(cards) do
    redis.call('SETRANGE', KEYS[2], which * ROW, packCard(known))
    if known.latency then
      set(LATENCY, which, known.latency)
      set(LATENCY_AT, which, known.latencyAt)
    end
    if known.load then
      set(LOAD, which, known.load)
      set(LOAD_AT, which, known.loadAt)
      failedUntil = now + 10 * FADE_MS
      redis.call('SETRANGE', KEYS[1], 48, pack_('<d', failedUntil))
    end
    if known.epoch ~= known.wasEpoch then set(EPOCH, which, known.epoch) end
    local quiet = quietFrom(known, slowStart)
    if quiet ~= known.wasQuiet then set(QUIET, which, quiet) end
  end
  return table.concat(told)
end
