//! Question: what does it cost that every door of `runtime` asks which driver the core runs?
//!
//! Measured on the cheapest door, the monotonic clock, where the asking is the largest share:
//! `runtime::clock::now` on a core of the kernel's driver and on a plain thread, against the same
//! system clock called directly.

#![forbid(unsafe_code)]

use criterion::Criterion;
use runtime::clock;
use runtime::cores::{self, CoreConfig};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("driver_dispatch");
    group.bench_function("direct", |bencher| bencher.iter(direct));
    group.bench_function("door_outside_a_core", |bencher| bencher.iter(clock::now));
    group.finish();
    let config = CoreConfig { name: "dispatch".to_owned(), cpu: None, io_memory_bytes: 64 << 10 };
    let criterion = cores::block_on(config, move || async move {
        let mut group = criterion.benchmark_group("driver_dispatch");
        group.bench_function("door_on_a_core", |bencher| bencher.iter(clock::now));
        group.finish();
        criterion
    })
    .expect("a core needs io_uring");
    criterion.final_summary();
}

#[allow(clippy::disallowed_methods, reason = "the direct call is what is measured against")]
fn direct() -> std::time::Instant {
    std::time::Instant::now()
}
