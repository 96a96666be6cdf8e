//! A talk in OpenAI's events. A reply is said in its time, and the client may cancel it or go on talking meanwhile.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::events::{Names, Saying, item_of};
use crate::simulator::{Options, exchange::Exchange, pace::Pace, text::Author};

/// An event of ours alone: the provider closes, with this `code` and `reason`.
const CLOSE: &str = "simulator.close";

/// Tokens that a talk is remembered by; what was said before is forgotten.
const MEMORY: usize = 8 << 10;

/// One talk.
pub(super) struct Dialogue<'a> {
    options: &'a Options,
    names: &'static Names,
    session: Value,
    /// What the client said, as far as it shapes the next reply.
    heard: String,
    sent: u64,
    saying: Option<Saying>,
    pace: Pace,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(options: &'a Options, model: String, beta: bool) -> Self {
        let session = json!({
            "type": "realtime", "object": "realtime.session", "id": format!("sess_{:016x}", fastrand::u64(..)), "model": model,
            "output_modalities": ["text"], "instructions": "", "tools": [], "tool_choice": "auto", "max_output_tokens": "inf",
        });
        let (names, pace) = (Names::of(beta), Pace::of(options));
        Self { options, names, session, heard: String::new(), sent: 0, saying: None, pace }
    }

    /// Talks until one side closes.
    pub(super) async fn run<S>(mut self, socket: &mut WebSocketStream<S>, exchange: &mut Exchange) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let session = self.session.clone();
        self.send(socket, json!({ "type": "session.created", "session": session })).await?;
        loop {
            let due = self.saying.as_ref().map(Saying::due);
            select! {
                message = socket.next() => match message {
                    None => return Ok(()),
                    Some(message) => self.hear(socket, message?).await?,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let events = self.saying.as_mut().map(|saying| saying.next(self.pace)).unwrap_or_default();
                    if self.saying.as_ref().is_some_and(Saying::is_over) {
                        self.saying = None;
                    }
                    exchange.note(|seen| seen.tokens += 1);
                    self.send_all(socket, events).await?;
                }
            }
        }
    }

    /// Takes one message. What is no event is answered with an error, and the talk goes on.
    async fn hear<S>(&mut self, socket: &mut WebSocketStream<S>, message: Message) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let event: Value = match &message {
            Message::Text(text) => serde_json::from_str(text.as_str()).unwrap_or_default(),
            Message::Binary(_) => Value::Null,
            _ => return Ok(()),
        };
        if event["type"] == CLOSE {
            let code = event["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(1000);
            let reason = event["reason"].as_str().unwrap_or_default().to_owned().into();
            return socket.close(Some(CloseFrame { code: CloseCode::from(code), reason })).await;
        }
        let events = self.react(&event);
        self.send_all(socket, events).await
    }

    /// The events that one of the client's brings about at once.
    fn react(&mut self, event: &Value) -> Vec<Value> {
        match event["type"].as_str().unwrap_or_default() {
            "session.update" => {
                if let (Value::Object(session), Value::Object(changed)) = (&mut self.session, event["session"].clone()) {
                    session.extend(changed);
                }
                vec![json!({ "type": "session.updated", "session": self.session })]
            }
            "conversation.item.create" => {
                self.remember(&event["item"]);
                let item = item_of(&event["item"]);
                self.names.item.iter().map(|name| json!({ "type": name, "previous_item_id": null, "item": item })).collect()
            }
            "conversation.item.delete" => vec![json!({ "type": "conversation.item.deleted", "item_id": event["item_id"] })],
            "input_audio_buffer.append" => Vec::new(),
            "input_audio_buffer.commit" => {
                vec![json!({ "type": "input_audio_buffer.committed", "previous_item_id": null, "item_id": "item_simulated" })]
            }
            "input_audio_buffer.clear" => vec![json!({ "type": "input_audio_buffer.cleared" })],
            "response.create" if self.saying.is_some() => {
                vec![error("conversation_already_has_active_response", "A response is in progress. Wait for `response.done`.", event)]
            }
            "response.create" => {
                let mut author = Author::new(self.options.seed, self.options.length, &self.heard.as_str().into());
                let most = event["response"]["max_output_tokens"].as_u64().and_then(|most| usize::try_from(most).ok());
                let (saying, events) = Saying::begin(self.names, &mut author, most, self.pace);
                self.saying = Some(saying);
                events
            }
            "response.cancel" => match self.saying.take() {
                Some(saying) => saying.cancel(),
                None => vec![error("response_cancel_not_active", "No response is in progress.", event)],
            },
            _ => vec![error("invalid_event", "This is no event that the simulator knows.", event)],
        }
    }

    fn remember(&mut self, item: &Value) {
        let said = item["content"].to_string();
        if self.heard.len() + said.len() > MEMORY {
            self.heard.clear();
        }
        self.heard.push_str(said.get(..MEMORY).unwrap_or(&said));
    }

    async fn send_all<S>(&mut self, socket: &mut WebSocketStream<S>, events: Vec<Value>) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for event in events {
            self.send(socket, event).await?;
        }
        Ok(())
    }

    async fn send<S>(&mut self, socket: &mut WebSocketStream<S>, mut event: Value) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.sent += 1;
        event["event_id"] = format!("event_{}", self.sent).into();
        socket.send(Message::text(event.to_string())).await
    }
}

fn error(code: &str, message: &str, event: &Value) -> Value {
    let (kind, event_id) = ("invalid_request_error", &event["event_id"]);
    json!({ "type": "error", "error": { "type": kind, "code": code, "message": message, "param": null, "event_id": event_id } })
}
