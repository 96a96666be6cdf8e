//! `sidegate demo`: a simulated provider, the proxy before it, and the traffic between them as it passes.

mod client;
mod screen;

use std::{
    io::{self, ErrorKind, Write},
    net::SocketAddr,
};

use tokio::{runtime::Builder, select, sync::mpsc};

use super::{
    Options, Seen,
    mock::{Replies, interrupted},
    start_observed,
};
use screen::Screen;

/// Lines of traffic that may wait for a slow terminal; beyond it, lines are lost and no request waits.
const BACKLOG: usize = 1024;

/// Run the proxy in front of a simulated provider and show the traffic
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The proxy's port; a free one if it is taken
    #[arg(long, value_name = "PORT", default_value = "8080")]
    pub port: u16,
    /// Make the first request and leave
    #[arg(long)]
    pub once: bool,
    /// Stay up without a line for every request, as under a load
    #[arg(long)]
    pub quiet: bool,
    /// How the provider's replies come
    #[command(flatten)]
    pub replies: Replies,
}

/// The keys of the demo's pool. They open nothing.
const KEYS: [(&str, &str); 2] = [("amber", "sk-demo-amber"), ("violet", "sk-demo-violet")];

/// The demo's `proxy.yaml`: the proxy on `port`, in front of the provider at `provider`.
#[must_use]
pub fn configuration(port: u16, provider: SocketAddr) -> String {
    let keys: String = KEYS.iter().map(|(name, value)| format!("      - {{ name: {name}, value: {value} }}\n")).collect();
    format!(
        "\
listen: {{ address: 127.0.0.1:{port} }}
admin: {{ address: 127.0.0.1:0 }}
providers:
  simulated:
    dialect: openai
    base_url: http://{provider}/v1
    keys:
{keys}\
routes:
  - {{ path: /v1, targets: [simulated] }}
clients:
  anonymous: demo
"
    )
}

/// Runs the demo until Ctrl-C, or with `once` until its own request has been answered.
///
/// `start_proxy` starts the proxy with a configuration and returns its address with whatever keeps it up.
/// Where the port is taken it fails with [`ErrorKind::AddrInUse`], and is asked again for a free one.
///
/// # Errors
/// The provider or the proxy can't start, the first request fails, or `out` is closed.
pub fn run<P>(args: &Args, out: &mut dyn Write, mut start_proxy: impl FnMut(&str) -> io::Result<(SocketAddr, P)>) -> io::Result<()> {
    let (report, mut traffic) = mpsc::channel(BACKLOG);
    let options = args.replies.options(Options::default().address);
    let provider = start_observed(options, move |seen| drop(report.try_send(seen)))?;
    let proxy = match start_proxy(&configuration(args.port, provider.address())) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => start_proxy(&configuration(0, provider.address())),
        started => started,
    };
    let (address, _proxy) = proxy?;
    let mut screen = Screen::new(out, &KEYS);
    screen.welcome(provider.address(), address, args.port)?;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        client::stream(address, |token| screen.token(token)).await?;
        if args.once {
            return screen.end_of_text();
        }
        if args.quiet {
            screen.end_of_text()?;
            return interrupted().await;
        }
        screen.before_traffic()?;
        show(&mut traffic, &mut screen).await
    })
}

/// A line for every request, until Ctrl-C.
async fn show(traffic: &mut mpsc::Receiver<Seen>, screen: &mut Screen<'_>) -> io::Result<()> {
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    loop {
        select! {
            stopped = &mut interrupted => return stopped,
            Some(seen) = traffic.recv() => screen.exchange(&seen)?,
        }
    }
}
