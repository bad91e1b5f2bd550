//! Every queue of the server, its bound, and what happens when it is full.
//!
//! | queue | bound | when full |
//! | --- | --- | --- |
//! | puts of a core | [`PUT_QUEUE_COUNT`] messages | the caller waits in `put_records` |
//! | puts under way on a core | [`PUTS_UNDER_WAY_MAX`] | the core takes no more from its queue |
//! | commands of a core | [`COMMAND_QUEUE_COUNT`] messages | the caller waits |
//! | commands under way on a core | [`COMMANDS_UNDER_WAY_MAX`] | the core takes no more |
//! | requests to the registry | [`REGISTRY_QUEUE_COUNT`] messages | the caller waits |
//! | chunks to one follower | [`FOLLOWER_QUEUE_COUNT`] | it is not fed; it reads on when there is room |
//!
//! The log's own bound on waiting bytes stands behind the puts: while it is reached the core stops
//! taking puts, its queue fills, and the callers wait.

/// Requests of PutRecords that wait for a core.
pub(crate) const PUT_QUEUE_COUNT: usize = 256;
/// Requests of PutRecords that a core has accepted and not answered.
pub(crate) const PUTS_UNDER_WAY_MAX: usize = 1024;
/// Other requests that wait for a core.
pub(crate) const COMMAND_QUEUE_COUNT: usize = 256;
/// Other requests that a core works on.
pub(crate) const COMMANDS_UNDER_WAY_MAX: usize = 1024;
/// Requests about streams that wait for core 0.
pub(crate) const REGISTRY_QUEUE_COUNT: usize = 64;
/// Chunks on their way to one follower.
pub(crate) const FOLLOWER_QUEUE_COUNT: usize = 2;
/// Followers of a core; one more is refused. A parked follower costs a task, not a chunk.
pub const FOLLOWERS_MAX: usize = 16_384;

/// What a queued message takes, its list of 500 records included, bytes.
pub(crate) const MESSAGE_BYTES: usize = 12 << 10;
/// What a put under way takes beside its payload: records, indices and outcomes, bytes.
pub(crate) const PUT_BYTES: usize = 24 << 10;
