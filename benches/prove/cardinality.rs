//! 100,000 requests, each for a model of another name: no series for any of them, and no memory.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    figures::{Table, mib},
    sidegate::Sidegate,
};

const NAMES: u64 = 100_000;
const CLIENTS: u64 = 8;
/// Pages that the allocator keeps for work in progress move about by this much; 100,000 series would take a hundred times it.
const MEMORY_BAR: u64 = 2 << 20;

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 66\r\n\r\n\
    {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}  ";

pub(crate) async fn prove(table: &mut Table) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let sidegate = Sidegate::before(listener.local_addr().expect("an address"), "1.1").await;
    let provider = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, REPLY));
        }
    });
    // The one series that may be added, and the memory of a process that has as much work with a single name.
    ask(&sidegate, 0..NAMES, |_| 0).await;
    let (series, memory) = (series(sidegate.admin).await, sidegate.process.resident());
    ask(&sidegate, NAMES..2 * NAMES, |name| name).await;
    let (more, grown) = (self::series(sidegate.admin).await - series, sidegate.process.resident().saturating_sub(memory));
    table.tell("series in all", series);
    table.hold("100,000 models of other names: more series", more, "0", more == 0);
    table.hold("100,000 models of other names: growth", mib(grown), "< 2 MiB", grown < MEMORY_BAR);
    provider.abort();
}

/// Asks as often as there are `names`, for the model that `of` makes of each, over a few connections at once.
async fn ask(sidegate: &Sidegate, names: std::ops::Range<u64>, of: fn(u64) -> u64) {
    let (address, mut clients) = (sidegate.address, JoinSet::new());
    for client in 0..CLIENTS {
        let names = names.clone().skip(client as usize).step_by(CLIENTS as usize);
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("somebody listens");
            let mut buffer = Vec::new();
            for name in names.map(of) {
                let body = format!("{{\"model\":\"model-{name}-{}\"}}", name.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: sidegate.test\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.expect("a request is sent");
                buffer.clear();
                while !buffer.ends_with(b"}}  ") {
                    assert!(stream.read_buf(&mut buffer).await.expect("a reply") > 0, "the connection ended");
                }
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("each client comes to its end");
    }
}

/// Answers each request on a connection alike. A request ends with the brace of its body, and waits for the reply.
async fn answer(mut stream: TcpStream, reply: &[u8]) -> io::Result<()> {
    let mut buffer = [0; 4 << 10];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read if buffer[..read].ends_with(b"}") => stream.write_all(reply).await?,
            _ => {}
        }
    }
}

async fn series(admin: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(admin).await.expect("the admin listener");
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.expect("a request is sent");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("the metrics");
    page.lines().filter(|line| line.starts_with("sidegate_")).count()
}
