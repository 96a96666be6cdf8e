//! `listen:`, `admin:` and `body:`.

use super::Review;
use crate::{
    config::{Admin, Body, Config, Listen, path::field, problem::Fault},
    types::{Address, Size, address::MAX_SOCKET_PATH},
};

/// hyper's HTTP/1 reader takes no smaller bound than this.
const MIN_HEADER_SIZE: Size = Size::kib(8);

/// More than any client sends; each connection may hold this much before anything is known about it.
const MAX_HEADER_SIZE: Size = Size::mib(1);

/// Room for these is set aside for each request head.
const MAX_HEADERS: usize = 10_000;

/// Each is a thread with pools of its own.
const MAX_WORKERS: usize = 1_024;

/// With hexadecimal digits 64 bits, the least that can't be tried out over a network.
const SHORTEST_TOKEN: usize = 16;

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    listen(review, config);
    admin(review, &config.listen, &config.admin);
    body(review, &config.body);
}

fn listen(review: &mut Review<'_>, config: &Config) {
    let listen = &config.listen;
    if !listen.address.is_local() && config.clients.is_none() && review.intact(&field!["clients"]) {
        let fault = Fault::new(
            "other machines can reach this address, and nothing says who may call",
            "add `clients:`, or listen on `127.0.0.1` or a Unix socket; `clients: { anonymous: free }` lets everybody in",
        );
        review.value(&field!["listen", "address"], fault.noting("needs `clients:`"));
    }
    review.period(&field!["listen", "header_timeout"], listen.header_timeout);
    review.period(&field!["listen", "keep_alive"], listen.keep_alive);
    if !(MIN_HEADER_SIZE..=MAX_HEADER_SIZE).contains(&listen.max_header_size) {
        let fault = Fault::new(
            "a request head of this size can't be read",
            format!("write a size from `{MIN_HEADER_SIZE}` to `{MAX_HEADER_SIZE}`"),
        );
        review.value(&field!["listen", "max_header_size"], fault);
    }
    if let Address::Unix(path) = &listen.address
        && path.as_os_str().len() > MAX_SOCKET_PATH
    {
        let fault = Fault::new("the path of this socket is too long", format!("write one of at most {MAX_SOCKET_PATH} bytes"));
        review.value(&field!["listen", "address"], fault);
    }
    for (name, count, most) in [("max_headers", Some(listen.max_headers), MAX_HEADERS), ("workers", listen.workers, MAX_WORKERS)] {
        if count.is_some_and(|count| count.get() > most) {
            let fault = Fault::new(format!("`{name}` is larger than this machine can serve"), format!("write at most {most}"));
            review.value(&field!["listen", name], fault);
        }
    }
    if let Some(tls) = &listen.tls {
        let at = field!["listen", "tls"];
        review.identity(&at, &tls.certificate, &tls.key);
        if let Some(path) = &tls.client_ca {
            review.roots(&at.then("client_ca"), path);
        }
    }
    if listen.proxy_protocol && config.trust.proxies.is_empty() && review.intact(&field!["trust"]) {
        let fault = Fault::new(
            "no peer is trusted, so nobody's PROXY header would be read",
            "name the load balancer below `trust:`, such as `proxies: [10.0.0.0/8]`, or leave `proxy_protocol` out",
        );
        review.value(&field!["listen", "proxy_protocol"], fault);
    }
}

fn admin(review: &mut Review<'_>, listen: &Listen, admin: &Admin) {
    let at = field!["admin", "address"];
    if let Some(token) = &admin.token {
        let token = token.0.expose();
        let fault = if token.len() < SHORTEST_TOKEN {
            Some(Fault::new(
                "this token is too easily guessed",
                format!("write at least {SHORTEST_TOKEN} characters: `openssl rand -hex 32`"),
            ))
        } else {
            let odd = !token.bytes().all(|byte| byte.is_ascii_graphic());
            odd.then(|| {
                Fault::new("this token has characters that a header can't carry", "write letters and digits: `openssl rand -hex 32`")
            })
        };
        fault.into_iter().for_each(|fault| review.value(&field!["admin", "token"], fault));
    }
    let Address::Tcp(public) = &listen.address else { return };
    let same_ip = public.ip().is_unspecified() || admin.address.ip().is_unspecified() || public.ip() == admin.address.ip();
    if same_ip && public.port() == admin.address.port() && public.port() != 0 {
        // Either may be the default; the one that was written is the one to change.
        let at = if review.was_written(&at) { at } else { field!["listen", "address"] };
        review.value(&at, Fault::new(format!("`listen` and `admin` are both on port {}", public.port()), "give one of them another port"));
    }
}

fn body(review: &mut Review<'_>, body: &Body) {
    review.period(&field!["body", "read_timeout"], body.read_timeout);
    if body.buffer > body.buffer_total && review.intact(&field!["body"]) {
        let fault = Fault::new(
            format!("one request may hold {}, all together {}", body.buffer, body.buffer_total),
            "raise `buffer_total`, or lower `buffer`",
        );
        let at = if review.was_written(&field!["body", "buffer"]) { field!["body", "buffer"] } else { field!["body", "buffer_total"] };
        review.value(&at, fault);
    }
}
