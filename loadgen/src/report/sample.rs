//! A made-up run in which every figure is there, for tests of what reports are made of.

use crate::environment::affinity::Affinity;
use crate::environment::hardware::{Cgroup, Cpu, Disk, Hardware};
use crate::environment::preflight::{Check, CheckState, Preflight};
use crate::environment::probes::{ProbeFigures, Probes};
use crate::environment::reasons::Reasons;
use crate::environment::resources::{
    GeneratorResources, HostResources, Pressure, Resources, ServerResources,
};
use crate::environment::roofline::Roofline;
use crate::environment::system::{ResourceLimits, System};
use crate::exit_code::ExitCode;
use crate::limit_checker::{LimitChecker, StreamAge};
use crate::outcome::{
    ConsumersOutcome, EngineOutcome, GeneratorOutcome, Load, Outcome, QuantileValidity, Search,
    SearchStep, Shards, SloOutcome, Trust, Validity, Verdict, Verification,
};
use crate::report::provenance::Provenance;
use crate::report::{Environment, Finished};
use crate::scenario::Scenario;
use crate::stats::distribution::QUANTILES;
use crate::stats::recorder::{Kind, Measured, Recorder};
use crate::stats::series::Series;
use crate::stats::shards::{AnswerMoment, ShardStats};
use crate::stats::skew::skew;
use crate::stats::steady;
use crate::stats::throughput::Counters;
use gyre::embed::{FlushMethod, Identity, MemoryShares, StartReport};
use model::limits::ShardRates;
use runtime::environment::{DirectoryFacts, UringFacts};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
const MEASURED: Measured = Measured { from_ns: 2 * SECOND, until_ns: 12 * SECOND };
const CALLS: u64 = 10_000;
const RECORDS_PER_CALL: u64 = 500;
const SHARDS: u32 = 128;

/// Ten seconds of 1,000 calls of 500 records each: half a million a second, all acknowledged.
pub(crate) fn outcome() -> Outcome {
    let mut scenario = Scenario::default_run();
    scenario.stream.shards = SHARDS;
    Outcome {
        scenario,
        started_unix_ms: 1_795_592_702_000,
        interrupted: false,
        search: Some(search()),
        load: load(),
        verify: verification(),
        engine: engine(),
        generator: generator(),
        validity: validity(),
        slo: vec![
            SloOutcome {
                expression: "response_p99<5ms".to_owned(),
                observed: "2.37ms".to_owned(),
                pass: true,
                undecided: false,
            },
            SloOutcome {
                expression: "throttled=0".to_owned(),
                observed: "0 %".to_owned(),
                pass: true,
                undecided: false,
            },
        ],
        planted: Vec::new(),
        exit: ExitCode::Ok,
    }
}

pub(crate) fn finished<'a>(outcome: &'a Outcome, environment: &'a Environment) -> Finished<'a> {
    Finished {
        outcome,
        environment,
        flush: FlushMethod::Fdatasync,
        provenance: Provenance {
            git: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            binary_sha256: "ab".repeat(32),
        },
        tags: BTreeMap::from([("host".to_owned(), "a".to_owned())]),
        note: Some("made up".to_owned()),
    }
}

fn load() -> Load {
    let mut recorder = Recorder::new(MEASURED);
    let mut series = Series::new(MEASURED);
    let mut shards = ShardStats::new(SHARDS as usize);
    for call in 0..CALLS {
        let tick_ns = MEASURED.from_ns + call * 10 * SECOND / CALLS;
        let response_ns = 500_000 + call * 7_919 % 2_000 * 1_000;
        let slice = MEASURED.slice(tick_ns);
        for kind in Kind::ALL {
            let ns = if kind == Kind::Lag { 12_345 } else { response_ns };
            let records = if kind == Kind::Call { 1 } else { RECORDS_PER_CALL };
            recorder.record_call(kind, ns, records, slice);
        }
        recorder.tend(tick_ns);
        count(&mut series, tick_ns, response_ns);
        let at = AnswerMoment {
            call: u32::try_from(call + 1).unwrap(),
            second: u32::try_from(tick_ns / SECOND).unwrap(),
        };
        for record in 0..RECORDS_PER_CALL {
            let shard = u32::try_from((call * RECORDS_PER_CALL + record) % 127).unwrap();
            shards.offer(shard);
            shards.accept(shard, 116, response_ns, at);
        }
    }
    let records = CALLS * RECORDS_PER_CALL;
    Load {
        open_loop: true,
        measured_ns: MEASURED.span_ns(),
        counters: Counters {
            offered_records: records,
            sent_records: records,
            acked_records: records,
            calls: CALLS,
            acked_bytes: records * 100,
            ..Counters::default()
        },
        distributions: recorder.finish(),
        steady: steady::judge(&series.mean_responses_ns(), 0.1),
        series,
        in_flight_max: 41,
        shards: stream(shards),
        consumers: Some(consumers()),
        first_error: None,
    }
}

fn count(series: &mut Series, tick_ns: u64, response_ns: u64) {
    let slice = series.at(tick_ns);
    slice.offered += RECORDS_PER_CALL;
    slice.acked += RECORDS_PER_CALL;
    slice.calls += 1;
    slice.response_ns_sum += response_ns;
    slice.response_ns_max = slice.response_ns_max.max(response_ns);
}

fn stream(stats: ShardStats) -> Shards {
    let loads: Vec<u64> = stats.counters().iter().map(|shard| shard.accepted_records).collect();
    let width = u128::MAX / u128::from(SHARDS);
    let range = |shard: u32| (width * u128::from(shard), width * u128::from(shard) + width - 1);
    let checker = LimitChecker::new(ShardRates::AWS, SHARDS as usize, StreamAge::Fresh);
    Shards {
        hash_ranges: (0..SHARDS).map(range).collect(),
        counted_ns: 12 * SECOND,
        limits: Some(checker.verdicts().to_vec()),
        all_writers_seen: true,
        skew: skew(&loads),
        top_keys: vec![("k-000001".to_owned(), 0.008)],
        stats,
    }
}

fn consumers() -> ConsumersOutcome {
    ConsumersOutcome {
        count: 2,
        received_records: 12_000_000,
        missing_records: 0,
        corrupt_records: 0,
        out_of_order_chunks: 0,
        chunks: 240_000,
        cpu_ns_per_record: Some(31.26),
        verdict: Verdict::Ok,
        drained: Duration::from_millis(1),
        named: Vec::new(),
    }
}

fn verification() -> Verification {
    Verification {
        verdict: Verdict::Ok,
        checked: 6_000_000,
        cpu_ns_per_record: Some(104.4),
        took: Duration::from_millis(1_234),
        ..Verification::default()
    }
}

fn engine() -> EngineOutcome {
    let report = StartReport {
        identity: Identity { logs: 1, segment_bytes: 64 << 20 },
        is_new: true,
        life: 1,
        cores: 1,
        idle_cores: 0,
        logs: Vec::new(),
        stream_count: 0,
        catalog_damage: Vec::new(),
        memory: MemoryShares {
            memory_bytes: 1 << 30,
            frame_buffers_bytes_per_log: 1,
            queues_bytes_per_core: 1,
            waiting_bytes_per_log: 1,
            cache_bytes_per_log: 1,
            table_cache_bytes_per_log: 1,
            rewriting_bytes_per_log: 1,
            images_bytes_per_log: 1,
            reads_bytes_per_core: 1,
            followers_bytes_per_core: 1,
            reserve_bytes: 1,
        },
        uring: Some(UringFacts { release: "6.18.0".to_owned() }),
        directory: Some(DirectoryFacts {
            file_system: "ext4".to_owned(),
            device: "vda1".to_owned(),
            alignment: 4_096,
            direct: true,
        }),
        took: Duration::from_millis(20),
    };
    EngineOutcome {
        report,
        cpus: vec![0],
        data: PathBuf::from("target/gyre-run"),
        data_kept: false,
        before: Vec::new(),
        after: Vec::new(),
        last: Vec::new(),
        prepared_bytes: 2 << 30,
        prepared_took: Duration::from_millis(1_500),
    }
}

fn generator() -> GeneratorOutcome {
    GeneratorOutcome {
        cpus: vec![1],
        load_pct: 34.5,
        self_stall_max: Duration::from_micros(800),
        self_stall_pct: 0.01,
        arenas_replaced: 0,
    }
}

fn validity() -> Validity {
    let quantiles = QUANTILES.map(|q| QuantileValidity {
        q,
        lag_ns: 12_345,
        lag_ns_max: 237_000,
        stall_pct: 0.01,
        stall_pct_max: 0.1,
        stall_pct_bound_max: 0.5,
        trust: Trust::Exact,
    });
    let reasons = vec!["1 search step was void and repeated".to_owned()];
    Validity { ok: true, reasons, generator_limited: false, quantiles: quantiles.to_vec() }
}

fn search() -> Search {
    let step = |rate: u64, held: bool, reason: &str| SearchStep {
        rate,
        measured_ns: SECOND,
        response_p99_ns: Some(if held { 2_000_000 } else { 12_000_000 }),
        acked_per_s: rate as f64,
        throttled_records: 0,
        valid: true,
        held,
        reason: reason.to_owned(),
    };
    Search {
        steps: vec![step(250_000, true, ""), step(1_000_000, false, "p99 12.0 ms")],
        held_per_s: Some(555_555),
        limited_by_shards: false,
        repeated: 1,
        generator_limited: false,
    }
}

/// A machine of which everything is known, and where nothing is, a reason.
pub(crate) fn environment() -> Environment {
    Environment {
        hardware: hardware(),
        system: system(),
        probes: probes(),
        preflight: preflight(),
        affinity: Affinity { server: Some(vec![0]), generator: Some(vec![1]) },
        resources: resources(),
        roofline: Roofline {
            disk_write_ratio: Some(0.38),
            flush_ratio: Some(0.61),
            bottleneck: "none: engine core at 56 %".to_owned(),
        },
    }
}

fn reasons() -> Reasons {
    let mut reasons = Reasons::default();
    reasons.add("figure", "made up".to_owned());
    reasons
}

fn hardware() -> Hardware {
    Hardware {
        hw_id: "0123456789ab".to_owned(),
        hw_class: "made-up-2-virtio-kvm".to_owned(),
        cpu: Cpu {
            model: "Made Up 9000".to_owned(),
            threads_online: 2,
            instruction_sets: vec!["avx2".to_owned()],
        },
        mem_bytes: Some(24 << 30),
        disk: Some(Disk {
            name: "vda".to_owned(),
            model: None,
            kind: "virtio".to_owned(),
            scheduler: Some("none".to_owned()),
            write_cache: Some("write back".to_owned()),
            fua: Some(false),
            logical_block_bytes: Some(512),
            physical_block_bytes: Some(4_096),
            file_system: Some("ext4".to_owned()),
        }),
        virt: Some("kvm".to_owned()),
        cgroup: Cgroup { cpus_max: None, memory_max_bytes: None },
        null_reasons: reasons(),
    }
}

fn system() -> System {
    System {
        kernel: Some("6.18.0".to_owned()),
        distro: Some("Debian".to_owned()),
        mitigations: Some(BTreeMap::from([("spectre_v2".to_owned(), "on".to_owned())])),
        clocksource: Some("tsc".to_owned()),
        rlimits: ResourceLimits { memlock_bytes: None, open_files: Some(1_024) },
        null_reasons: reasons(),
    }
}

fn probes() -> Probes {
    let figures = ProbeFigures {
        seq_write_mb_s: Some(2_900.0),
        seq_write_block_bytes: 256 << 10,
        seq_write_depth: 16,
        write_flush_p50_us: Some(200.0),
        write_flush_p99_us: Some(290.0),
        write_flush_per_s: Some(2_600.0),
        write_flush_busy_p99_us: Some(4_000.0),
        seq_read_mb_s: Some(2_400.0),
        memcpy_gb_s: Some(9.0),
        loopback_rtt_p50_us: Some(30.0),
        sleep_overshoot_p99_us: Some(60.0),
        null_reasons: reasons(),
    };
    Probes { mean: figures.clone(), before: figures.clone(), after: Some(figures) }
}

fn preflight() -> Preflight {
    Preflight {
        psi_cpu_some_avg10: Some(1.0),
        steal_pct: Some(0.0),
        load1: Some(0.4),
        waited_s: 0.0,
        checks: vec![Check {
            name: "steal".to_owned(),
            state: CheckState::Pass,
            sentence: "0.0 % of at most 2 %".to_owned(),
        }],
    }
}

fn resources() -> Resources {
    let pressure =
        Pressure { cpu_some_pct: Some(1.0), io_some_pct: Some(2.0), memory_some_pct: Some(0.0) };
    let mut without_perf = Reasons::default();
    without_perf.add("syscalls_per_record", "perf is not there".to_owned());
    Resources {
        server: ServerResources {
            cpu_us_per_record: Some(0.4),
            cpu_pct: Some(20.0),
            rss_max_bytes: Some(700 << 20),
            syscalls_per_record: None,
            uring_enters_per_record: None,
            flushes: Some(14_000),
            bytes_written_per_payload_byte: Some(1.31),
            read_bytes: Some(0),
            cache_misses: Some(0),
            null_reasons: without_perf,
        },
        generator: GeneratorResources {
            load_pct: Some(34.5),
            cpu_pct: Some(100.0),
            self_stall_max_us: Some(800.0),
            self_stall_pct: Some(0.01),
            ceiling_records_per_s: Some(9e6),
            null_reasons: reasons(),
        },
        host: HostResources {
            disk_util_pct: Some(40.0),
            psi: Some(pressure),
            steal_pct: Some(0.0),
            foreign_cpu_pct: Some(0.5),
            kernel_cpu_pct: Some(4.0),
            irq_cpu_pct: Some(1.0),
            device_flushes: Some(13_900),
            device_written_bytes: Some(800 << 20),
            device_reads: Some(3),
            device_read_bytes: Some(12 << 10),
            null_reasons: reasons(),
        },
    }
}
