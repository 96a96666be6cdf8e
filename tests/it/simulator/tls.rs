//! The simulator behind TLS: HTTP/2 where the client offers it, and a certificate that must be readable.

use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sidegate::simulator::{Options, Tls, start};

use super::{caller::request, quick};
use crate::support::tls::Authority;

#[tokio::test]
async fn alpn_chooses_between_http_2_and_http_1() {
    let authority = Authority::new();
    let (certificate, key) = authority.files("localhost");
    let provider = start(Options { tls: Some(Tls { certificate, key }), ..quick() }).unwrap();
    assert!(provider.base_url().starts_with("https://"));

    let stream = authority.connect(provider.address(), &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut ask = request("GET", "/v1/models", None);
    ask.headers_mut().remove("host");
    assert_eq!(sender.send_request(ask).await.unwrap().status(), 200);

    let stream = authority.connect(provider.address(), &["http/1.1"]).await;
    let (mut sender, connection) = http1::handshake::<_, Full<bytes::Bytes>>(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut ask = request("GET", "/v1/models", None);
    *ask.uri_mut() = "/v1/models".parse().unwrap();
    let reply = sender.send_request(ask).await.unwrap();
    assert_eq!(reply.status(), 200);
    assert!(!reply.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[test]
fn a_certificate_that_can_not_be_used_is_an_error_that_names_it() {
    let authority = Authority::new();
    let (certificate, key) = authority.files("localhost");
    let missing = certificate.with_file_name("missing.pem");
    let error = start(Options { tls: Some(Tls { certificate: missing, key }), ..quick() }).unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");
    let (_, other) = Authority::new().files("localhost");
    assert!(start(Options { tls: Some(Tls { certificate, key: other }), ..quick() }).is_err(), "a key of another certificate");
}
