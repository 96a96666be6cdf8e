//! What a request asks, where the same question may have the same answer.

/// An operation whose reply answers its body and nothing else: no object is made, kept or changed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// OpenAI's `/chat/completions`.
    Chat,
    /// OpenAI's `/completions`, of before chats.
    Completion,
    /// OpenAI's `/responses`.
    Response,
    /// OpenAI's `/embeddings`.
    Embedding,
    /// OpenAI's `/moderations`.
    Moderation,
    /// Anthropic's `/messages`.
    Message,
    /// Gemini's `:generateContent` and `:streamGenerateContent`.
    Content,
    /// Gemini's `:embedContent` and `:batchEmbedContents`.
    ContentEmbedding,
}

impl Question {
    /// All of them, for tests that must not forget one.
    pub const ALL: [Self; 8] = [
        Self::Chat,
        Self::Completion,
        Self::Response,
        Self::Embedding,
        Self::Moderation,
        Self::Message,
        Self::Content,
        Self::ContentEmbedding,
    ];

    /// Whether it always has the same answer: numbers that a model's weights and the text determine, no words that it draws.
    #[must_use]
    pub fn has_one_answer(self) -> bool {
        matches!(self, Self::Embedding | Self::Moderation | Self::ContentEmbedding)
    }
}
