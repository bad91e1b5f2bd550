//! The task that owns the catalog: gathers what is queued, commits it, marks when idle.
//!
//! The only place where commits meet; it must never answer a commit before the writer has.

use std::time::Duration;

use runtime::clock::{self, Instant};
use runtime::mesh::{Receiver, ReplySender};

use super::encode::PAYLOAD_BYTES_MAX;
use super::mutation::Mutation;
use super::state::added_bytes_max;
use super::writer::Writer;
use super::{COMMIT_BYTES_MAX, CatalogError};

/// The mark follows the last acknowledgement after so long; ARCHITECTURE.md allows 10 ms.
const IDLE: Duration = Duration::from_millis(5);

type Outcome = Result<(), CatalogError>;

/// What the task is asked for.
pub(super) enum Request {
    /// Makes the mutations durable together.
    Commit { mutations: Vec<Mutation>, bytes: usize, reply: ReplySender<Outcome> },
    /// Marks and ends.
    Shutdown { reply: ReplySender<Outcome> },
}

/// What was gathered for one frame.
#[derive(Default)]
struct Batch {
    mutations: Vec<Mutation>,
    /// Bytes of the mutations.
    bytes: usize,
    /// Bytes that they can add to the snapshot.
    added_bytes: usize,
    replies: Vec<ReplySender<Outcome>>,
}

/// Serves requests until shutdown, or until every client is gone.
pub(super) async fn serve(mut writer: Writer, mut receiver: Receiver<Request>) {
    let mut carried = None;
    loop {
        let request = match carried.take() {
            Some(request) => request,
            None => match next(&mut writer, &mut receiver).await {
                Some(request) => request,
                None => break,
            },
        };
        match request {
            Request::Shutdown { reply } => {
                let outcome = writer.mark().await;
                reply.send(outcome);
                return;
            }
            first => {
                let batch = gather(&writer, first, &mut receiver, &mut carried);
                commit(&mut writer, batch).await;
            }
        }
    }
    // Every client is gone: nobody is left to be told, and the next opening sees what is missing.
    if let Err(error) = writer.mark().await {
        assert!(writer.has_failed(), "a mark fails only with the writer: {error}");
    }
}

/// The next request; marks meanwhile if the catalog falls idle.
async fn next(writer: &mut Writer, receiver: &mut Receiver<Request>) -> Option<Request> {
    if writer.wants_mark() {
        let idle: Instant = clock::now() + IDLE;
        match clock::timeout_at(idle, receiver.recv()).await {
            Some(request) => return request,
            None => {
                if let Err(error) = writer.mark().await {
                    // Nobody waits for a mark. The writer refuses the next commit with this error.
                    assert!(writer.has_failed(), "a mark fails only with the writer: {error}");
                }
            }
        }
    }
    receiver.recv().await
}

/// Joins `first` and what is queued behind it, up to a frame's bound. A request that ends the batch
/// is carried over to the next.
fn gather(
    writer: &Writer,
    first: Request,
    receiver: &mut Receiver<Request>,
    carried: &mut Option<Request>,
) -> Batch {
    let mut batch = Batch::default();
    let mut next = Some(first);
    while let Some(request) = next {
        let Request::Commit { mutations, bytes, reply } = request else {
            *carried = Some(request);
            break;
        };
        if batch.bytes + bytes > COMMIT_BYTES_MAX {
            *carried = Some(Request::Commit { mutations, bytes, reply });
            break;
        }
        let added_bytes = added_bytes_max(&mutations);
        let bytes_max = PAYLOAD_BYTES_MAX;
        let before = writer.state().snapshot_bytes();
        let may_fit = before + batch.added_bytes + added_bytes <= bytes_max;
        let bytes = if may_fit { 0 } else { snapshot_bytes(writer, &batch, &mutations) };
        // What makes it smaller is taken even where it is too large.
        if bytes > bytes_max.max(before) {
            reply.send(Err(CatalogError::Full { bytes, bytes_max }));
        } else {
            batch.mutations.extend(mutations);
            batch.bytes += bytes;
            batch.added_bytes += added_bytes;
            batch.replies.push(reply);
        }
        next = receiver.try_recv();
    }
    batch
}

/// The snapshot's bytes after the batch and `mutations`: only where it is nearly full, since it takes
/// a copy of all there is.
fn snapshot_bytes(writer: &Writer, batch: &Batch, mutations: &[Mutation]) -> usize {
    let mut state = writer.state().clone();
    batch.mutations.iter().chain(mutations).for_each(|mutation| state.apply(mutation));
    state.snapshot_bytes()
}

async fn commit(writer: &mut Writer, batch: Batch) {
    if batch.replies.is_empty() {
        return;
    }
    let outcome = writer.commit(&batch.mutations).await;
    for reply in batch.replies {
        reply.send(outcome.clone());
    }
}
