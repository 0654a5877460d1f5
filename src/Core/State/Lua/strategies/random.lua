-- By lot, each with a chance proportional to its weight.
pick = function(candidates, n)
  readAll()
  local weights, total = weights, 0
  for i = 1, n do total = total + weights[candidates[i]] end
  local mark = math.floor(roll1 * total)
  for i = 1, n - 1 do
    mark = mark - weights[candidates[i]]
    if mark < 0 then return i end
  end
  return n
end
