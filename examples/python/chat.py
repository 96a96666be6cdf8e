"""A streamed chat through Sidegate with OpenAI's own SDK.

    pip install openai
    python examples/python/chat.py "Why is the sky blue?"

SIDEGATE_URL is where Sidegate listens, MODEL the model to ask.
"""

import os
import sys

from openai import OpenAI

# The only line that differs from talking to the provider. The key stays with Sidegate, but the SDK insists on one.
client = OpenAI(base_url=os.environ.get("SIDEGATE_URL", "http://127.0.0.1:8080/v1"), api_key="anything")

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
