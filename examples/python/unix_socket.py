"""A streamed chat through Sidegate on a Unix socket, with OpenAI's own SDK.

    pip install openai
    SIDEGATE_SOCKET=/run/sidegate/proxy.sock python examples/python/unix_socket.py "Why is the sky blue?"

SIDEGATE_SOCKET is where Sidegate listens, MODEL the model to ask.
"""

import os
import sys

from openai import DefaultHttpxClient, OpenAI

try:
    import httpx2 as httpx
except ImportError:  # before version 3 of the SDK
    import httpx

# The transport goes to the socket, whatever host stands in the URL; only its path counts.
socket = httpx.HTTPTransport(uds=os.environ.get("SIDEGATE_SOCKET", "/run/sidegate/proxy.sock"))
client = OpenAI(base_url="http://localhost/v1", api_key="anything", http_client=DefaultHttpxClient(transport=socket))

question = " ".join(sys.argv[1:]) or "Say hello."
stream = client.chat.completions.create(
    model=os.environ.get("MODEL", "gpt-4o-mini"),
    messages=[{"role": "user", "content": question}],
    stream=True,
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
print()
