use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use arc_swap::ArcSwap;

use super::*;
use crate::{
    config::Environment,
    runtime::{Cache, Held, Registry},
    telemetry::{
        AccessLog, Metrics,
        decisions::Ring,
        log::{Ration, Seldom},
        trace::Spans,
    },
};

/// What a proxy has that serves with this config.
fn runtime(loaded: &Loaded) -> Arc<Runtime> {
    let (metrics, registry) = (Metrics::default(), Registry::default());
    let ground = Ground { metrics: &metrics, registry: &registry, before: None };
    let snapshot = ArcSwap::from_pointee(compile(loaded.clone(), ground).unwrap());
    let server_metrics = metrics.server();
    let (access_log, _) = AccessLog::start(Box::new(std::io::sink()), server_metrics.clone()).unwrap();
    let (spans, _) = Spans::new(metrics.spans());
    Arc::new(Runtime {
        snapshot,
        registry,
        metrics,
        server_metrics,
        traffic: Arc::default(),
        access_log,
        spans,
        held: Held::default(),
        failures: Seldom::default(),
        cooled: Seldom::default(),
        slow: Ration::default(),
        cache: Cache::new(loaded.config.cache_bounds()),
        decisions: Ring::new(loaded.config.log.decisions),
        began: Instant::now(),
        estimator: Default::default(),
        cut: AtomicBool::new(false),
    })
}

#[test]
fn a_key_that_is_back_can_be_used_from_the_moment_on_that_its_config_is_in_force() {
    const RELOADS: usize = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.yaml");
    let write = |key: &str| {
        let config = format!(
            "providers: {{ p: {{ base_url: http://127.0.0.1:9/v1, keys: [{{ value: {key} }}] }} }}\nroutes: [{{ path: /v1, targets: [p] }}]\n"
        );
        std::fs::write(&path, config).unwrap();
    };
    write("sk-0");
    let loaded = crate::config::load::load(&path, &Environment::default()).unwrap();
    let runtime = runtime(&loaded);
    let reloader = Reloader::new(Arc::clone(&runtime), loaded, Box::new(|_| Ok(())));
    let over = AtomicBool::new(false);
    let is_usable = |snapshot: &Snapshot| snapshot.providers.values().any(|provider| provider.has_key());
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut unusable = 0;
            while !over.load(Ordering::Relaxed) {
                let seen = runtime.snapshot.load_full();
                let newest = || runtime.snapshot.load().generation;
                // Where another has come meanwhile, that is why.
                unusable += usize::from(!is_usable(&seen) && newest() == seen.generation);
            }
            unusable
        });
        for reload in 1..=RELOADS {
            write(["sk-0", "sk-1"][reload % 2]);
            assert!(matches!(reloader.reload(Trigger::Admin).outcome, Outcome::Applied { .. }));
        }
        over.store(true, Ordering::Relaxed);
        assert_eq!(looking.join().unwrap(), 0);
    });
}
