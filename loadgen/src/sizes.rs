//! How many bytes of data a record has, without its key.

/// The sizes of a run's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Every record alike.
    Fixed {
        /// Bytes of data.
        bytes: u32,
    },
}

impl Sizes {
    /// The largest that any record has; arenas and bodies are allocated for it.
    #[must_use]
    pub const fn bytes_max(self) -> u32 {
        let Self::Fixed { bytes } = self;
        bytes
    }

    /// The mean, for what a plan predicts.
    #[must_use]
    pub fn bytes_mean(self) -> f64 {
        let Self::Fixed { bytes } = self;
        f64::from(bytes)
    }
}
