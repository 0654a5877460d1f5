-- Bounded loads: the first in the ring's order whose share, times 1.25, one more request does not exceed. The caller walks the ring
-- and sends the order in which its walk meets the backends.
pick = function(candidates, n)
  readAll()
  local slots, weights, inFlight, indexOf = slots, weights, inFlight, {}
  local load, total = 1, 0
  for i = 1, n do
    local position = candidates[i]
    load = load + inFlight[slots[position] + 1]
    total = total + weights[position]
    indexOf[position] = i
  end
  local first
  for step = 1, #ring do
    local i = indexOf[ring[step]]
    if i then
      if loadOf(ring[step]) + 1 <= math.ceil(1.25 * load * weights[ring[step]] / total) then return i end
      first = first or i
    end
  end
  return first or 1
end
