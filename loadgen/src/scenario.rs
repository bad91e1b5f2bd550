//! What a run does, as a file: everything that decides its load, and nothing of the machine it is on
//! but the engine's share of it.
//!
//! ```toml
//! schema = 1
//! name = "ingest-1k-128sh"
//! seed = 42
//! target   = { embedded = true, cores = 1, memory = "1GiB" }
//! stream   = { shards = 128, limits = "aws", durability = "durable" }
//! producer = { rate = "60k", batch = { max_records = 500, linger = "2ms" }, in_flight_max = 512,
//!              keys = { dist = "zipf", s = 0.75, n = 1_000_000 }, size = { dist = "fixed", bytes = 1024 } }
//! consumer = { groups = 0 }
//! run      = { warmup = "2s", measure = "30s" }
//! slo      = { response_p99 = "10ms", error_ratio = 0.0001, throttled_ratio = 0.0 }
//! ```
//!
//! Only `schema` must be there. An unknown key is an error that names its line and the nearest right
//! word: a mistyped key that is ignored measures something else than was meant. Flags of the command
//! line come on top, and the resolved whole is stored with the run.

mod parts;

use crate::amount::{Bytes, Span};
use crate::keys::KEY_BYTES_MAX;
use model::limits::{
    PUT_RECORDS_BYTES_MAX, PUT_RECORDS_COUNT_MAX, RECORD_BYTES_MAX_DEFAULT,
    SHARD_WRITE_RECORDS_PER_SECOND,
};
pub use parts::{
    BatchSettings, ConsumerSettings, Durability, KeysSetting, LimitsSetting, ProducerSettings,
    Rate, RunSettings, SizeSetting, SloSettings, StreamSettings, TargetSettings,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;

/// The only version of the file's form.
pub const SCHEMA: u32 = 1;

/// Shards of the default run and of `run` where nothing else is said: more than 4 M records/s fit.
pub const SHARDS_DEFAULT: u32 = 4096;

/// More consumers than that are a mistake.
pub const CONSUMERS_MAX: u64 = 1_000;

/// Warm-up and measured time together: more is a mistake, and does not fit in what is counted.
pub const SPAN_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A call that waits longer for its last record is a mistake.
pub const LINGER_MAX: Duration = Duration::from_secs(60);

/// The default run never asks for more than this part of the shards' limit in records.
pub const DEFAULT_RUN_LIMIT_SHARE: f64 = 0.95;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Names the folder of its results.
    #[serde(default = "default_name")]
    pub name: String,
    /// Everything random follows from it.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// What is measured.
    #[serde(default)]
    pub target: TargetSettings,
    /// The stream that is made.
    #[serde(default)]
    pub stream: StreamSettings,
    /// The load.
    #[serde(default)]
    pub producer: ProducerSettings,
    /// Who reads while it is written.
    #[serde(default)]
    pub consumer: ConsumerSettings,
    /// How long.
    #[serde(default)]
    pub run: RunSettings,
    /// What must hold.
    #[serde(default)]
    pub slo: SloSettings,
}

fn default_name() -> String {
    "run".to_owned()
}

const fn default_seed() -> u64 {
    42
}

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq)]
pub enum ScenarioError {
    /// A key that no scenario has.
    UnknownKey {
        /// Where, from 1.
        line: usize,
        /// As it stands there.
        key: String,
        /// The right word that it resembles most.
        nearest: Option<String>,
        /// All right words, as serde lists them.
        expected: String,
    },
    /// Not TOML, or a value of the wrong kind.
    Malformed {
        /// Where, from 1; 0 where that is not known.
        line: usize,
        /// The reader's reason.
        reason: String,
    },
    /// A form of another version.
    Schema(u32),
    /// A value that the load cannot have.
    OutOfRange {
        /// The key, with its section.
        key: &'static str,
        /// What it may be.
        allowed: String,
    },
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { line, key, nearest, expected } => {
                write!(f, "line {line}: unknown key `{key}`")?;
                match nearest {
                    Some(word) => write!(f, "; did you mean `{word}`?"),
                    None => write!(f, "; expected {expected}"),
                }
            }
            Self::Malformed { line: 0, reason } => f.write_str(reason),
            Self::Malformed { line, reason } => write!(f, "line {line}: {reason}"),
            Self::Schema(schema) => {
                write!(f, "schema = {schema} is not known; this loadgen reads schema = {SCHEMA}")
            }
            Self::OutOfRange { key, allowed } => write!(f, "{key} must be {allowed}"),
        }
    }
}

impl std::error::Error for ScenarioError {}

impl Scenario {
    /// What `loadgen run` does where no flag and no file says otherwise.
    #[must_use]
    pub fn run_default() -> Self {
        Self {
            schema: SCHEMA,
            name: default_name(),
            seed: default_seed(),
            target: TargetSettings::default(),
            stream: StreamSettings::default(),
            producer: ProducerSettings::default(),
            consumer: ConsumerSettings::default(),
            run: RunSettings::default(),
            slo: SloSettings::default(),
        }
    }

    /// What `loadgen` alone does. Its rate is the most that the search may try; the measured run has
    /// 90 % of what held.
    #[must_use]
    pub fn default_run() -> Self {
        let mut scenario = Self::run_default();
        scenario.name = "default".to_owned();
        let per_shard = f64::from(SHARD_WRITE_RECORDS_PER_SECOND);
        let limit = f64::from(SHARDS_DEFAULT) * per_shard * DEFAULT_RUN_LIMIT_SHARE;
        scenario.producer.rate = Rate::PerSecond(limit as u64);
        scenario.slo.response_p99 = Some(Span(Duration::from_millis(5)));
        scenario.slo.error_ratio = Some(0.0);
        scenario.slo.throttled_ratio = Some(0.0);
        scenario
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// Where it is not one, with line and remedy. Values are not checked yet: flags come on top.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| explain(text, &error))?;
        if scenario.schema != SCHEMA {
            return Err(ScenarioError::Schema(scenario.schema));
        }
        Ok(scenario)
    }

    /// The resolved scenario as a file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field has a form in TOML")
    }

    /// SHA-256 of the resolved file in hex: two runs with the same had the same load.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(self.to_toml().as_bytes()))
    }

    /// Whether the values can be run.
    ///
    /// # Errors
    /// The first that cannot, with what it may be.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let within = |key, value: u64, min: u64, max: u64| {
            let allowed = || format!("{min} to {max}, not {value}");
            let error = || ScenarioError::OutOfRange { key, allowed: allowed() };
            if (min..=max).contains(&value) { Ok(()) } else { Err(error()) }
        };
        let batch_max = PUT_RECORDS_COUNT_MAX as u64;
        let record_max = u64::from(RECORD_BYTES_MAX_DEFAULT) - KEY_BYTES_MAX as u64;
        let record_bytes = self.producer.size.bytes().0;
        let records = u64::from(self.producer.batch.max_records);
        within("stream.shards", u64::from(self.stream.shards), 1, 100_000)?;
        within("producer.batch.max_records", records, 1, batch_max)?;
        within(
            "producer.in_flight_max",
            self.producer.in_flight_max.map_or(1, |n| n.0),
            1,
            65_536,
        )?;
        within("producer.size.bytes", record_bytes, 0, record_max)?;
        within("consumer.groups", u64::from(self.consumer.groups), 0, CONSUMERS_MAX)?;
        if let Rate::PerSecond(rate) = self.producer.rate {
            within("producer.rate", rate, 1, 1_000_000_000)?;
        }
        let call_bytes = records * (record_bytes + KEY_BYTES_MAX as u64);
        if call_bytes > u64::from(PUT_RECORDS_BYTES_MAX) {
            let allowed =
                format!("at most 10 MiB a call; {records} records are {call_bytes} bytes");
            return Err(ScenarioError::OutOfRange { key: "producer.batch.max_records", allowed });
        }
        if self.run.measure.0 < Duration::from_millis(100) {
            let allowed = "100ms or longer".to_owned();
            return Err(ScenarioError::OutOfRange { key: "run.measure", allowed });
        }
        let span = self.run.warmup.0.checked_add(self.run.measure.0);
        if span.is_none_or(|span| span > SPAN_MAX) {
            let allowed = "24h at most, warm-up included".to_owned();
            return Err(ScenarioError::OutOfRange { key: "run.measure", allowed });
        }
        if self.producer.batch.linger.0 > LINGER_MAX {
            let allowed = "60s at most".to_owned();
            return Err(ScenarioError::OutOfRange { key: "producer.batch.linger", allowed });
        }
        if !self.target.embedded {
            let allowed = "true: there is no other target yet".to_owned();
            return Err(ScenarioError::OutOfRange { key: "target.embedded", allowed });
        }
        self.producer.keys.check()
    }

    /// Bytes of data of each record.
    #[must_use]
    pub fn record_bytes(&self) -> Bytes {
        self.producer.size.bytes()
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes it");
    }
    text
}

fn explain(text: &str, error: &toml::de::Error) -> ScenarioError {
    let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
    let reason = error.message().to_owned();
    // serde's words: unknown field `shard`, expected one of `shards`, `limits`
    let Some(rest) = reason.strip_prefix("unknown field `") else {
        return ScenarioError::Malformed { line, reason };
    };
    let Some((key, expected)) = rest.split_once("`, expected ") else {
        return ScenarioError::Malformed { line, reason };
    };
    let words = expected.split('`').skip(1).step_by(2);
    let nearest = words
        .map(|word| (strsim::jaro_winkler(key, word), word))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, word)| word.to_owned());
    let (key, expected) = (key.to_owned(), expected.to_owned());
    ScenarioError::UnknownKey { line, key, nearest, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Count;
    use crate::keys::KeyDistribution;

    const FULL: &str = r#"
schema = 1
name = "ingest-1k-128sh"
seed = 7

[target]
embedded = true
cores = 2
cpus = "0,2-3"
memory = "2GiB"

[stream]
shards = 128
limits = "off"
durability = "written"

[producer]
rate = "60k"
batch = { max_records = 250, linger = "5ms" }
in_flight_max = 2_000
keys = { dist = "zipf", s = 0.75, n = 1_000 }
size = { dist = "fixed", bytes = "1KiB" }

[consumer]
groups = 0

[run]
warmup = "1s"
measure = "30s"

[slo]
response_p99 = "10ms"
error_ratio = 0.0001
throttled_ratio = 0.0
"#;

    #[test]
    fn a_full_file_is_read_and_written_back() {
        let scenario = Scenario::parse(FULL).unwrap();
        assert_eq!(scenario.stream.shards, 128);
        assert_eq!(scenario.stream.limits, LimitsSetting::Off);
        assert_eq!(scenario.producer.rate, Rate::PerSecond(60_000));
        assert_eq!(scenario.producer.in_flight_max, Some(Count(2_000)));
        assert_eq!(scenario.record_bytes(), Bytes(1_024));
        let zipf = KeyDistribution::Zipf { exponent: 0.75, keys: 1_000 };
        assert_eq!(scenario.producer.keys.distribution(), zipf);
        assert_eq!(scenario.slo.response_p99, Some(Span(Duration::from_millis(10))));
        assert_eq!(scenario.check(), Ok(()));
        assert_eq!(Scenario::parse(&scenario.to_toml()).unwrap(), scenario);
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let scenario = Scenario::parse("schema = 1").unwrap();
        assert_eq!(scenario, Scenario::run_default());
        assert_eq!(scenario.check(), Ok(()));
        assert_eq!(scenario.stream.limits, LimitsSetting::Aws);
        assert_eq!(scenario.record_bytes(), Bytes(100));
        for scenario in [Scenario::run_default(), Scenario::default_run()] {
            assert_eq!(Scenario::parse(&scenario.to_toml()).unwrap(), scenario);
            assert_eq!(scenario.check(), Ok(()));
        }
    }

    #[test]
    fn unknown_keys_are_named_with_line_and_nearest_word() {
        let check = |text: &str, expected: &str| {
            let error = Scenario::parse(&format!("schema = 1\n{text}")).unwrap_err().to_string();
            assert_eq!(error, expected);
        };
        check("seeds = 1", "line 2: unknown key `seeds`; did you mean `seed`?");
        check("[stream]\nshard = 4", "line 3: unknown key `shard`; did you mean `shards`?");
        check(
            "[producer]\n\nbatch = { max_record = 4 }",
            "line 4: unknown key `max_record`; did you mean `max_records`?",
        );
        check("[consumer]\nqq = 4", "line 3: unknown key `qq`; expected `groups`");
        // Of a later milestone: refused, not ignored.
        check(
            "[faults]",
            "line 2: unknown key `faults`; expected one of `schema`, `name`, `seed`, \
            `target`, `stream`, `producer`, `consumer`, `run`, `slo`",
        );
    }

    #[test]
    fn values_of_the_wrong_kind_are_told_with_their_line() {
        let check = |text: &str, expected: &[&str]| {
            let error = Scenario::parse(&format!("schema = 1\n{text}")).unwrap_err().to_string();
            assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        };
        check("[run]\nmeasure = \"30\"", &["line 3", "write a number and a unit"]);
        check("[stream]\nlimits = \"on\"", &["line 3", "unknown variant `on`", "`aws` or `off`"]);
        check("[producer]\nrate = \"fast\"", &["line 3", "max"]);
        check("[producer]\nkeys = { dist = \"zipf\" }", &["line 3", "missing field `s`"]);
        check("[stream", &["line 2"]);
        assert_eq!(Scenario::parse("schema = 2"), Err(ScenarioError::Schema(2)));
        assert!(Scenario::parse("name = \"a\"").unwrap_err().to_string().contains("`schema`"));
    }

    #[test]
    fn values_that_cannot_be_run_are_refused() {
        let check = |text: &str, expected: &str| {
            let scenario = Scenario::parse(&format!("schema = 1\n{text}")).unwrap();
            let error = scenario.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check("[stream]\nshards = 0", "stream.shards must be 1 to 100000, not 0");
        check(
            "[producer]\nbatch = { max_records = 501 }",
            "producer.batch.max_records must be 1 to",
        );
        check("[producer]\nsize = { dist = \"fixed\", bytes = \"1MiB\" }", "producer.size.bytes");
        check(
            "[producer]\nsize = { dist = \"fixed\", bytes = \"100k\" }",
            "producer.batch.max_records must be at most 10 MiB a call",
        );
        check("[producer]\nrate = 0", "producer.rate");
        check("[producer]\nkeys = { dist = \"hot\", percent = 200.0 }", "producer.keys");
        check("[run]\nmeasure = \"1ms\"", "run.measure must be 100ms or longer");
        check("[run]\nmeasure = \"25h\"", "run.measure must be 24h at most");
        check("[run]\nmeasure = \"18446744073709551615s\"", "run.measure must be 24h at most");
        check("[run]\nwarmup = \"24h\"", "run.measure must be 24h at most");
        check("[producer]\nbatch = { linger = \"61s\" }", "producer.batch.linger must be 60s");
        check("[target]\nembedded = false", "target.embedded");
    }

    #[test]
    fn the_same_load_has_the_same_hash() {
        let one = Scenario::parse("schema = 1\nseed = 42").unwrap();
        assert_eq!(one.sha256(), Scenario::run_default().sha256());
        assert_eq!(one.sha256().len(), 64);
        assert_ne!(one.sha256(), Scenario::default_run().sha256());
    }

    #[test]
    fn every_scenario_that_is_kept_can_be_run_and_has_the_name_of_its_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let scenario = Scenario::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(scenario.check(), Ok(()), "{}", path.display());
            assert_eq!(path.file_stem().unwrap(), scenario.name.as_str());
            count += 1;
        }
        assert!(count >= 5, "{count} scenarios");
    }
}
