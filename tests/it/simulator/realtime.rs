//! The realtime WebSocket: a talk, the echo, closes from either side, and what is refused before it begins.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sidegate::simulator::{End, Options};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::HeaderValue,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    caller::{DEADLINE, Simulated},
    quick,
};

type Socket = WebSocketStream<TcpStream>;

async fn connect(provider: &Simulated, path: &str, fields: &[(&'static str, &str)]) -> Result<Socket, Error> {
    let mut request = format!("ws://{}{path}", provider.address()).into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let stream = TcpStream::connect(provider.address()).await.unwrap();
    client_async(request, stream).await.map(|(socket, _)| socket)
}

async fn talk(provider: &Simulated, model: &str) -> Socket {
    connect(provider, &format!("/v1/realtime?model={model}"), &[("authorization", "Bearer key")]).await.unwrap()
}

async fn next(socket: &mut Socket) -> Message {
    timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap()
}

async fn event(socket: &mut Socket) -> Value {
    serde_json::from_str(next(socket).await.to_text().unwrap()).unwrap()
}

async fn say(socket: &mut Socket, event: Value) {
    socket.send(Message::text(event.to_string())).await.unwrap();
}

/// Events up to one of that type, which is the last.
async fn until(socket: &mut Socket, kind: &str) -> Vec<Value> {
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Value| event["type"] != kind) {
        events.push(event(socket).await);
    }
    events
}

#[tokio::test]
async fn a_talk_begins_with_a_session_and_a_reply_comes_token_by_token() {
    let mut provider = Simulated::start(quick());
    let mut socket = talk(&provider, "gpt-realtime").await;
    let session = event(&mut socket).await;
    assert_eq!((&session["type"], &session["session"]["model"]), (&json!("session.created"), &json!("gpt-realtime")));

    let item = json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Hello" }] });
    say(&mut socket, json!({ "type": "conversation.item.create", "item": item })).await;
    assert_eq!(until(&mut socket, "conversation.item.done").await[0]["type"], "conversation.item.added");
    say(&mut socket, json!({ "type": "response.create" })).await;
    let events = until(&mut socket, "response.done").await;
    assert_eq!(events[0]["type"], "response.created");
    let deltas: Vec<&str> =
        events.iter().filter(|event| event["type"] == "response.output_text.delta").filter_map(|e| e["delta"].as_str()).collect();
    let done = events.last().unwrap();
    assert_eq!(deltas.len(), 12);
    assert_eq!(done["response"]["output"][0]["content"][0]["text"], deltas.concat());
    assert_eq!(done["response"]["status"], "completed");

    socket.close(None).await.unwrap();
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
    let seen = provider.seen().await;
    assert_eq!((seen.status.unwrap().as_u16(), seen.end, seen.tokens), (101, End::Complete, 12));
}

#[tokio::test]
async fn a_reply_can_be_cancelled_and_another_one_asked_for_only_then() {
    let provider = Simulated::start(Options { tokens_per_second: 0.1, ..quick() });
    let mut socket = talk(&provider, "gpt-realtime").await;
    say(&mut socket, json!({ "type": "response.create" })).await;
    until(&mut socket, "response.output_text.delta").await;
    say(&mut socket, json!({ "type": "response.create" })).await;
    assert_eq!(until(&mut socket, "error").await[0]["error"]["code"], "conversation_already_has_active_response");
    say(&mut socket, json!({ "type": "response.cancel" })).await;
    assert_eq!(until(&mut socket, "response.done").await.last().unwrap()["response"]["status"], "cancelled");
    say(&mut socket, json!({ "type": "response.create" })).await;
    assert_eq!(event(&mut socket).await["type"], "response.created");
}

#[tokio::test]
async fn what_is_no_event_is_an_error_and_the_talk_goes_on() {
    let provider = Simulated::start(quick());
    let mut socket = talk(&provider, "gpt-realtime").await;
    event(&mut socket).await;
    for message in [Message::text("{"), Message::text("[]"), Message::binary(vec![0; 4]), Message::text("{\"type\":\"unheard.of\"}")] {
        socket.send(message).await.unwrap();
        assert_eq!(event(&mut socket).await["type"], "error");
    }
    say(&mut socket, json!({ "type": "session.update", "session": { "instructions": "Be brief." } })).await;
    assert_eq!(event(&mut socket).await["session"]["instructions"], "Be brief.");
}

#[tokio::test]
async fn the_echo_sends_back_what_it_gets() {
    let provider = Simulated::start(quick());
    let mut socket = talk(&provider, "echo").await;
    for message in [Message::text("東京 🚂"), Message::binary(vec![7; 100_000]), Message::text("")] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(next(&mut socket).await, message);
    }
}

#[tokio::test]
async fn a_close_keeps_its_code_in_both_directions() {
    let provider = Simulated::start(quick());
    let mut socket = talk(&provider, "echo").await;
    let frame = CloseFrame { code: CloseCode::from(4321), reason: "enough".into() };
    socket.close(Some(frame.clone())).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Close(Some(frame)));

    let mut socket = talk(&provider, "gpt-realtime").await;
    event(&mut socket).await;
    say(&mut socket, json!({ "type": "simulator.close", "code": 4001, "reason": "session expired" })).await;
    let frame = CloseFrame { code: CloseCode::from(4001), reason: "session expired".into() };
    assert_eq!(next(&mut socket).await, Message::Close(Some(frame)));
}

#[tokio::test]
async fn a_client_that_vanishes_is_seen_to_leave() {
    let mut provider = Simulated::start(quick());
    let mut socket = talk(&provider, "gpt-realtime").await;
    event(&mut socket).await;
    drop(socket);
    assert_eq!(provider.seen().await.end, End::Cancelled);
}

#[tokio::test]
async fn a_browser_sends_its_key_as_a_subprotocol() {
    let provider = Simulated::start(quick());
    let protocols = [("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-a")];
    let mut socket = connect(&provider, "/v1/realtime?model=gpt-realtime", &protocols).await.unwrap();
    assert_eq!(event(&mut socket).await["type"], "session.created");
}

#[tokio::test]
async fn what_can_not_be_talked_to_is_refused_before_it_begins() {
    let provider = Simulated::start(quick());
    let key = [("authorization", "Bearer key")];
    for (path, fields, status) in [
        ("/v1/realtime?model=m", &[][..], 401),
        ("/v1/realtime", &key[..], 400),
        ("/v1/realtime?model=fault-429", &key[..], 429),
        ("/v1/realtime?model=m", &[("authorization", "Bearer sk-invalid-1")][..], 401),
        ("/v1/elsewhere?model=m", &key[..], 404),
    ] {
        let Err(Error::Http(reply)) = connect(&provider, path, fields).await else { panic!("{path} was accepted") };
        assert_eq!(reply.status(), status, "{path}");
    }
}
