//! The demo, with the simulated provider itself in the proxy's place.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use clap::Parser;
use sidegate::{
    config::Config,
    simulator::demo::{self, Args},
};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    args: Args,
}

fn once() -> Args {
    Flags::parse_from(["demo", "--once", "--first-token", "0ms", "--tokens-per-second", "inf", "--length", "9"]).args
}

/// The provider that a configuration names.
fn provider(yaml: &str) -> SocketAddr {
    let config: Config = serde_yaml::from_str(yaml).unwrap();
    let [provider] = config.providers.values().collect::<Vec<_>>()[..] else { panic!("one provider") };
    provider.base_url().unwrap().authority().as_str().parse().unwrap()
}

#[test]
fn it_prints_what_to_paste_and_streams_a_first_reply() {
    let mut out = Vec::new();
    demo::run(&once(), &mut out, |yaml| Ok((provider(yaml), ()))).unwrap();
    let text = String::from_utf8(out).unwrap();
    for line in ["from openai import OpenAI", "import OpenAI from \"openai\";", "curl -N http://127.0.0.1:"] {
        assert!(text.contains(line), "{text}");
    }
    let reply = text.lines().last().unwrap().trim();
    assert_eq!(reply.split(' ').count(), 9, "{text}");
    assert!(reply.starts_with("The ") && !text.contains('\x1b'), "{text}");
}

#[test]
fn a_taken_port_is_replaced_by_a_free_one_and_it_says_so() {
    let mut asked = Vec::new();
    let mut out = Vec::new();
    demo::run(&once(), &mut out, |yaml| {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        asked.push(config.listen.address.to_string());
        if asked.len() == 1 { Err(ErrorKind::AddrInUse.into()) } else { Ok((provider(yaml), ())) }
    })
    .unwrap();
    assert_eq!(asked, ["127.0.0.1:8080", "127.0.0.1:0"]);
    assert!(String::from_utf8(out).unwrap().contains("(port 8080 is taken)"));
}

#[test]
fn another_error_of_the_proxy_ends_it() {
    let mut asked = 0;
    let error = demo::run(&once(), &mut io::sink(), |_| -> io::Result<(SocketAddr, ())> {
        asked += 1;
        Err(io::Error::other("no threads left"))
    })
    .unwrap_err();
    assert_eq!((error.to_string().as_str(), asked), ("no threads left", 1));
}
