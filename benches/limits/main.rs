//! What limits cost a request: five of them, asked and charged at once.
//!
//! ```sh
//! cargo bench --profile dist --bench limits
//! ```

#![allow(missing_docs, reason = "a macro makes the program")]

mod five;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use five::Five;

fn limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("five limits");
    for subjects in [1_000, 1_000_000] {
        let mut five = Five::before(subjects);
        group.bench_function(BenchmarkId::from_parameter(subjects), |bencher| bencher.iter(|| five.ask()));
    }
    group.finish();
}

criterion_group!(all, limits);
criterion_main!(all);
