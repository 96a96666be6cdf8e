//! Layer 2: what operators see. Metric names stand once in `names`; everything hot is a handle made beforehand.

pub mod access_log;
pub mod attempt_record;
pub mod breaker_record;
pub mod cache_record;
pub mod causes;
pub mod costs;
pub mod decisions;
pub mod durations;
pub mod key_record;
pub mod limit_record;
pub mod log;
pub mod metrics;
pub mod names;
pub mod occurrences;
pub mod process;
pub mod provider_record;
pub mod queue_record;
pub mod samples;
pub mod stderr;
pub mod target_metrics;
pub mod trace;
pub mod traffic;
pub mod transitions;
pub mod window;

pub use access_log::AccessLog;
pub use cache_record::CacheRecord;
pub use key_record::KeyRecord;
pub use limit_record::LimitRecord;
pub use metrics::{Metrics, ServerMetrics};
pub use provider_record::ProviderRecord;
pub use target_metrics::{ModelLabels, TargetMetrics};
pub use traffic::Traffic;
