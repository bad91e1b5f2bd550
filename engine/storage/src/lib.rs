//! The log of one core: frames, segments, commit, recovery, reading, retention.
