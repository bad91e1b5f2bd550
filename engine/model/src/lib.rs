//! The nouns of Kinesis: hash keys, shards, sequence numbers, limits, errors. No I/O, no clock.
