-- 100 commands a request; wrk -t1 -c16 -d5 -s pipeline.lua http://127.0.0.1:8079/pipeline
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer TOKEN"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Upstash-Encoding"] = "base64"
local rows = {}
for n = 1, 100 do
  rows[n] = '["GET","bench:value"]'
end
wrk.body = "[" .. table.concat(rows, ",") .. "]"
