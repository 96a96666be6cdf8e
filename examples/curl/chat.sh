#!/usr/bin/env bash
# A streamed chat through Sidegate with curl: the events as they come. -N keeps curl from holding them back.
#
#     examples/curl/chat.sh
#
# SIDEGATE_URL is where Sidegate listens, MODEL the model to ask.
set -euo pipefail

curl -N --fail-with-body --silent --show-error "${SIDEGATE_URL:-http://127.0.0.1:8080/v1}/chat/completions" \
    --header 'content-type: application/json' \
    --data '{
        "model": "'"${MODEL:-gpt-4o-mini}"'",
        "stream": true,
        "messages": [{ "role": "user", "content": "Say hello." }]
    }'
