//! Event streams as providers write them: frames, each of which is written by itself.

/// Who writes so, and the frames.
pub(super) type Dialect = (&'static str, Vec<&'static [u8]>);

/// Every dialect of Server-Sent Events, and what the format allows beyond them.
pub(super) fn all() -> Vec<Dialect> {
    let mut all = openai();
    all.extend(others());
    all.extend(oddities());
    all
}

fn openai() -> Vec<Dialect> {
    vec![
        (
            "OpenAI, chat",
            vec![
                b"data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
                b"data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"h\xc3\xa9\"}}]}\n\n",
                b"data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n",
                b"data: [DONE]\n\n",
            ],
        ),
        (
            "OpenAI, responses",
            vec![
                b"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0}\n\n",
                b"event: response.output_text.delta\ndata: {\"delta\":\"hi\",\"obfuscation\":\"xYz\"}\n\n",
                b"event: response.not.yet.invented\ndata: {}\n\n",
                b"event: response.completed\ndata: {\"usage\":{}}\n\n",
            ],
        ),
        (
            "Azure, which begins with a choice of nobody",
            vec![
                b"data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n",
                b"data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n",
                b"data: [DONE]\n\n",
            ],
        ),
    ]
}

fn others() -> Vec<Dialect> {
    vec![
        (
            "Anthropic",
            vec![
                b"event: message_start\ndata: {\"type\":\"message_start\"}\n\n",
                b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
                b"event: content_block_delta\ndata: {\"delta\":{\"text\":\"Hi\"}}\n\n",
                b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            ],
        ),
        (
            "Anthropic, overloaded in the middle",
            vec![
                b"event: message_start\ndata: {\"type\":\"message_start\"}\n\n",
                b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            ],
        ),
        (
            "Gemini, with alt=sse",
            vec![
                b"data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}]}}]}\r\n\r\n",
                b"data: {\"candidates\": [{\"finishReason\": \"STOP\"}],\"usageMetadata\": {}}\r\n\r\n",
            ],
        ),
        (
            "OpenRouter and DeepSeek, which keep alive by comments",
            vec![b": OPENROUTER PROCESSING\n\n", b": keep-alive\n\n", b":\n\n", b"data: {\"choices\":[]}\n\n", b"data: [DONE]\n\n"],
        ),
    ]
}

fn oddities() -> Vec<Dialect> {
    vec![
        ("carriage returns alone", vec![b"data: one\r\r", b"event: x\rdata: two\r\r", b"\r"]),
        ("all line ends at once", vec![b"data: a\r\ndata: b\rdata: c\n\r\n", b"\n\r\n\r"]),
        ("a byte order mark", vec![b"\xef\xbb\xbfdata: first\n\n", b"data: \xef\xbb\xbf second\n\n"]),
        ("a character in two frames", vec![b"data: \xf0\x9f", b"\x98\x80\n", b"\n", b"data: \xe2", b"\x82", b"\xac\n\n"]),
        ("every field", vec![b"retry: 10\nid: 7\nevent: x\ndata\ndata:\ndata:a\ndata: b\nunknown: c\n\n"]),
        ("bytes that are no text", vec![b"data: \xff\xfe\x00\x01\n\n", b"id: \x00\n\n"]),
        ("an end in the middle of an event", vec![b"data: [DONE]\n\n", b"data: never ended"]),
    ]
}
