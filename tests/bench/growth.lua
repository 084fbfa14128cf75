-- wrk: OP=put or get of one of KEYS keys that million_keys.py has written; far from the one before.
local keys = tonumber(os.getenv("KEYS"))
local value = string.rep("x", 256)
local is_put = os.getenv("OP") == "put"
local n = 0
request = function()
  n = n + 1
  local path = string.format("/v1/kv/k/%09d", n * 7919 % keys)
  return is_put and wrk.format("PUT", path, {}, value) or wrk.format("GET", path .. "?raw")
end

-- answers, seconds, p50 and p99 in ms, bad answers
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("%d %.6f %.3f %.3f %d\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status + e.connect + e.read + e.write + e.timeout))
end
