//! The load generator and judge of Kinesis endpoints.
