use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    task::LocalSet,
    time::{Duration, timeout},
};

use super::*;
use crate::{
    config::{Connections, Dns, HttpVersion, Timeouts},
    upstream::{
        dns,
        endpoint::{How, Observer},
    },
};

struct Deaf;

impl Observer for Deaf {
    fn connected(&self) {}
    fn disconnected(&self) {}
    fn failed(&self) {}
    fn resent(&self) {}
}

fn endpoint(url: &str) -> Arc<Endpoint> {
    let (timeouts, bounds) = (Timeouts::default(), Connections::default());
    let how = How { url: url.parse().unwrap(), proxy: None, version: HttpVersion::Http1, timeouts, bounds, keep_case: false };
    Arc::new(Endpoint::new(how, None, Arc::new(Deaf)).unwrap())
}

#[tokio::test]
async fn what_a_retired_endpoint_kept_idle_is_closed_once_another_takes_its_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let work = async {
        let upstream = Upstream::new(dns::resolver(Dns::default()).0, 1);
        let old = endpoint(&url);
        let hold = upstream.pool(&old).checkout().await.unwrap_or_else(|failure| panic!("{failure:?}"));
        let (mut provider, _) = listener.accept().await.unwrap();
        hold.give_back();
        upstream.pool(&old);
        assert!(timeout(Duration::from_millis(50), provider.read_u8()).await.is_err(), "kept while the endpoint is in force");
        old.retire();
        upstream.pool(&endpoint(&url));
        assert_eq!(upstream.0.pools.borrow().len(), 1, "nothing is left of the old one");
        let closed = timeout(Duration::from_secs(10), provider.read_u8()).await.expect("the connection ends");
        assert_eq!(closed.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    };
    LocalSet::new().run_until(work).await;
}
