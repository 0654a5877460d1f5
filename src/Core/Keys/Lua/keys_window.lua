-- One key's last 60 seconds, by the second; KeyWindow.cs does the same in memory.
-- KEYS[1] window, one string: 4 doubles (the present second, requests and tokens that count, the second last used), then 64 cells of requests
--         (4 bytes) and tokens (8 bytes): the cell of a second is its number modulo 64. The present second and the 60 before it count.
-- KEYS[2] held, sorted by expiry: the numbers of requests under way; only of keys with max_concurrency
-- All times are milliseconds.
local HEADER, CELLS, CELL, SPAN, KEEP = 32, 64, 12, 61, 120000
local unpack_, pack_ = struct.unpack, struct.pack
local now, window, known, second, usedRequests, usedTokens, usedAt

-- The clock is the server's; a test hands in its own.
local function readClock(given)
  if given >= 0 then now = given return end
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function offset(of) return HEADER + CELL * (of % CELLS) end

-- A second that this window had not reached when it was read has nothing in it, whatever its cell held before.
local function cell(of)
  if of > known then return 0, 0 end
  local requests, tokens = unpack_('<I4d', window, offset(of) + 1)
  return requests, tokens
end

local function writeHeader()
  redis.call('SETRANGE', KEYS[1], 0, pack_('<dddd', second, usedRequests, usedTokens, usedAt))
  redis.call('PEXPIRE', KEYS[1], KEEP)
end

local function openWindow()
  second = math.floor(now / 1000)
  window = redis.call('GET', KEYS[1])
  if window and #window == HEADER + CELL * CELLS then
    known, usedRequests, usedTokens, usedAt = unpack_('<dddd', window)
    -- A clock that goes back stands still here.
    if second < known then second = known end
    if second - known < SPAN then
      for gone = known - SPAN + 1, second - SPAN do
        local requests, tokens = cell(gone)
        if requests > 0 or tokens > 0 then
          usedRequests, usedTokens = usedRequests - requests, usedTokens - tokens
          redis.call('SETRANGE', KEYS[1], offset(gone), string.rep('\0', CELL))
        end
      end
      if second > known then writeHeader() end
      return
    end
  end
  window = string.rep('\0', HEADER + CELL * CELLS)
  known, usedRequests, usedTokens, usedAt = second, 0, 0, -SPAN
  redis.call('SET', KEYS[1], window)
  writeHeader()
end

local function write(of, requests, tokens)
  redis.call('SETRANGE', KEYS[1], offset(of), pack_('<I4d', requests, tokens))
  writeHeader()
end

local function add(requests, tokens)
  local before, tokensBefore = cell(second)
  usedRequests, usedTokens, usedAt = usedRequests + requests, usedTokens + tokens, second
  write(second, before + requests, tokensBefore + tokens)
end
