//! The sections of a scenario file and their defaults.

use super::ScenarioError;
use crate::amount::{AmountError, Bytes, Count, Span, parse_count_from_one};
use crate::keys::{KEY_BYTES_MAX, KeyDistribution, ZIPF_KEYS_DEFAULT};
use crate::sizes::Sizes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// `[target]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetSettings {
    /// The engine in this process; there is no other target yet.
    pub embedded: bool,
    /// Engine cores; where not said, what the CPUs suggest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// The engine's CPUs as in taskset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// The engine's memory bound.
    pub memory: Bytes,
}

impl Default for TargetSettings {
    fn default() -> Self {
        Self { embedded: true, cores: None, cpus: None, memory: Bytes(1 << 30) }
    }
}

/// `[stream]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamSettings {
    /// Shards of the stream that the run makes.
    pub shards: u32,
    /// What the engine enforces, and the checker expects.
    pub limits: LimitsSetting,
    /// What an acknowledgement means.
    pub durability: Durability,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            shards: super::SHARDS_DEFAULT,
            limits: LimitsSetting::Aws,
            durability: Durability::Durable,
        }
    }
}

/// Whether shards have Kinesis's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LimitsSetting {
    /// 1 MiB/s and 1,000 records/s a shard, a burst of one second.
    Aws,
    /// None.
    Off,
}

/// What an acknowledged record survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The device has flushed: survives power loss.
    Durable,
    /// The direct write has completed: survives the process, not power loss.
    Written,
}

impl fmt::Display for LimitsSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aws => "aws",
            Self::Off => "off",
        })
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Durable => "durable",
            Self::Written => "written",
        })
    }
}

/// `[producer]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProducerSettings {
    /// Records a second, or `max` for a closed loop.
    pub rate: Rate,
    /// What closes a batch.
    pub batch: BatchSettings,
    /// Calls in flight at most, over all workers; see [`ProducerSettings::in_flight`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<Count>,
    /// Partition keys.
    pub keys: KeysSetting,
    /// Bytes of data.
    pub size: SizeSetting,
    /// The generator's CPUs as in taskset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            rate: Rate::Max,
            batch: BatchSettings::default(),
            in_flight_max: None,
            keys: KeysSetting::Uniform { n: None },
            size: SizeSetting::Fixed { bytes: Bytes(100) },
            cpus: None,
        }
    }
}

impl ProducerSettings {
    /// Calls in flight of a closed loop where nothing else is said: enough for several commits of
    /// the log to be on their way, few enough for the memory of 10 MiB calls.
    pub const IN_FLIGHT_CLOSED_DEFAULT: u64 = 64;

    /// The cap of an open loop where nothing else is said: far above what a healthy engine needs at
    /// millions of records a second, so that it decides nothing.
    pub const IN_FLIGHT_OPEN_DEFAULT: u64 = 1024;

    /// An overloaded engine leaves as many calls in the generator's memory as the cap lets go: where
    /// nothing else is said, this many bytes of data and keys.
    pub const IN_FLIGHT_OPEN_BYTES_DEFAULT: u64 = 256 << 20;

    /// Calls in flight at most.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let default = match self.rate {
            Rate::Max => Self::IN_FLIGHT_CLOSED_DEFAULT,
            Rate::PerSecond(_) => {
                let record_bytes = self.size.bytes().0.saturating_add(KEY_BYTES_MAX as u64);
                let call_bytes = record_bytes.saturating_mul(u64::from(self.batch.max_records));
                let calls = Self::IN_FLIGHT_OPEN_BYTES_DEFAULT / call_bytes.max(1);
                calls.clamp(1, Self::IN_FLIGHT_OPEN_DEFAULT)
            }
        };
        self.in_flight_max.map_or(default, |count| count.0)
    }
}

/// Records a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As fast as the answers come: a closed loop.
    Max,
    /// An open loop.
    PerSecond(u64),
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        match text {
            "max" => Ok(Self::Max),
            _ => parse_count_from_one(text).map(Self::PerSecond).map_err(RateError),
        }
    }
}

/// Why a text is not a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateError(AmountError);

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; a rate is records a second, as 20k, or max", self.0)
    }
}

impl std::error::Error for RateError {}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::PerSecond(rate) => rate.fmt(f),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Max => serializer.serialize_str("max"),
            Self::PerSecond(rate) => serializer.serialize_u64(*rate),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(rate) => Ok(Self::PerSecond(rate)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

/// `producer.batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// Records of a full call.
    pub max_records: u32,
    /// How long an unfilled call waits after its first record's tick.
    pub linger: Span,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self { max_records: 500, linger: Span(Duration::from_millis(2)) }
    }
}

/// `producer.keys`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "dist", rename_all = "lowercase", deny_unknown_fields)]
pub enum KeysSetting {
    /// Fresh random keys, or one of `n`.
    Uniform {
        /// Distinct keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
    },
    /// The i-th of `n` as likely as i^-s.
    Zipf {
        /// The exponent.
        s: f64,
        /// Distinct keys.
        #[serde(default = "zipf_keys_default")]
        n: u64,
    },
    /// One key for `percent` per cent of the records.
    Hot {
        /// 0 to 100.
        percent: f64,
    },
}

const fn zipf_keys_default() -> u64 {
    ZIPF_KEYS_DEFAULT
}

impl KeysSetting {
    /// What [`crate::keys`] makes of it.
    #[must_use]
    pub const fn distribution(self) -> KeyDistribution {
        match self {
            Self::Uniform { n: None } => KeyDistribution::Fresh,
            Self::Uniform { n: Some(keys) } => KeyDistribution::Uniform { keys },
            Self::Zipf { s, n } => KeyDistribution::Zipf { exponent: s, keys: n },
            Self::Hot { percent } => KeyDistribution::Hot { percent },
        }
    }

    pub(super) fn check(self) -> Result<(), ScenarioError> {
        let allowed = match self {
            Self::Uniform { n: Some(0) } | Self::Zipf { n: 0, .. } => "of 1 key or more",
            Self::Zipf { s, .. } if !(s > 0.0 && s <= 100.0) => "zipf with s above 0, at most 100",
            Self::Hot { percent } if !(0.0..=100.0).contains(&percent) => {
                "hot with 0 to 100 per cent"
            }
            _ => return Ok(()),
        };
        Err(ScenarioError::OutOfRange { key: "producer.keys", allowed: allowed.to_owned() })
    }
}

impl From<KeyDistribution> for KeysSetting {
    fn from(distribution: KeyDistribution) -> Self {
        match distribution {
            KeyDistribution::Fresh => Self::Uniform { n: None },
            KeyDistribution::Uniform { keys } => Self::Uniform { n: Some(keys) },
            KeyDistribution::Zipf { exponent, keys } => Self::Zipf { s: exponent, n: keys },
            KeyDistribution::Hot { percent } => Self::Hot { percent },
        }
    }
}

/// `producer.size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "dist", rename_all = "lowercase", deny_unknown_fields)]
pub enum SizeSetting {
    /// Every record alike.
    Fixed {
        /// Data without the key.
        bytes: Bytes,
    },
}

impl SizeSetting {
    /// Bytes of data of a record.
    #[must_use]
    pub const fn bytes(self) -> Bytes {
        let Self::Fixed { bytes } = self;
        bytes
    }

    /// What [`crate::sizes`] makes of it. Panics above 4 GiB, which `check` refuses.
    #[must_use]
    pub fn sizes(self) -> Sizes {
        Sizes::Fixed { bytes: u32::try_from(self.bytes().0).expect("checked: at most 1 MiB") }
    }
}

/// `[consumer]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerSettings {
    /// Consumers that follow the tail while it is written, each reading everything.
    pub groups: u32,
}

/// `[run]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunSettings {
    /// Load before anything is counted.
    pub warmup: Span,
    /// Load that is counted.
    pub measure: Span,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self { warmup: Span(Duration::from_secs(2)), measure: Span(Duration::from_secs(10)) }
    }
}

/// `[slo]`: what must hold, or the run ends with exit code 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SloSettings {
    /// Half of all records are acknowledged within this, from their tick.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_p50: Option<Span>,
    /// 99 of 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_p99: Option<Span>,
    /// 999 of 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_p99_9: Option<Span>,
    /// Records that failed or timed out, of those offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_ratio: Option<f64>,
    /// Attempts that were throttled, of those sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_ratio: Option<f64>,
}
