-- wrk -t1 -c16 -d5 -s get.lua http://127.0.0.1:8079
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer TOKEN"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Upstash-Encoding"] = "base64"
wrk.body = '["GET","bench:value"]'
