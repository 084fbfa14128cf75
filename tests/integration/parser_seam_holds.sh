#!/bin/bash
# Every ambiguity of HTTP that libmicrohttpd lets through, and every hostile key, on a real node's
# client listener (correctness 4.1): seam.py has a row for each. The node goes on, unharmed.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cluster_new 1
cluster_start
put 1 kept yes
out=$(python3 "$(dirname "$0")/seam.py" "${CLIENT[1]}" $SLOW 2>&1) || fail "$out"
note "$out"

head -c 524288 /dev/urandom >"$WORK/limit"
{ cat "$WORK/limit"; echo -n x; } >"$WORK/over"
for chunked in '' 'Transfer-Encoding: chunked'; do
    http PUT "$(url 1)/v1/kv/limit" -T "$WORK/limit" ${chunked:+-H "$chunked"}
    [ "$STATUS $BODY" = '200 true' ] || fail "524288 bytes $chunked: $STATUS $BODY"
    curl -s --noproxy '*' -o "$WORK/back" "$(url 1)/v1/kv/limit?raw"
    cmp -s "$WORK/limit" "$WORK/back" || fail "524288 bytes come back changed"
    http PUT "$(url 1)/v1/kv/over" -T "$WORK/over" ${chunked:+-H "$chunked"}
    expect_status 413
    [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "outcome: $HEADERS"
    http GET "$(url 1)/v1/kv/over"
    expect_status 404
done
head -c 9000000 /dev/zero | curl -s --noproxy '*' -m 10 -o /dev/null -w '%{http_code}' -T - \
    "$(url 1)/v1/kv/huge" >"$WORK/code"
case $(cat "$WORK/code") in
413 | 000 | 100) ;; # beyond max-request-size the connection is cut
*) fail "9 MB: $(cat "$WORK/code")" ;;
esac
http GET "$(url 1)/v1/kv/?keys"
[ "$BODY" = '["abs","escaped/key","kept","limit"]' ] || fail "keys that should not be there: $BODY"
expect_get 1 kept yes
finish
