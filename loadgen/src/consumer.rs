//! The consumers of one generator core: each follows every shard of this core's part from the
//! stream's first record on, while it is written.
//!
//! ```text
//!   engine core ── chunk ──► a follower's queue            wakes its tail: the number goes on a list
//!                                                                          │
//!   one task    ◄── list ── take up to 32 chunks ── read the clock ── count, check, record
//! ```
//! One task serves all followers of the core, for at most `LOOK_MAX` at a stretch: it shares the core
//! with the worker, whose calls must leave in time. The clock is read once for a group of chunks and
//! after the last of them was taken, so that nothing counts as arrived before it had.
//!
//! Nothing is kept of a record but its count and its latency. A consumer that does not keep up is not
//! told so: the engine lets it read on from where it is, from memory or the disk.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gyre::embed::{Chunk, Client, Follower, Stream};
use model::{ApiError, IteratorType};
use runtime::clock::{self, Instant};
use runtime::mesh::Reply;
use runtime::signal;

use self::arrivals::Arrivals;
use self::ready::{Ready, Wake};
use crate::outcome::Verdict;
use crate::schedule::Lane;
use crate::stats::distribution::Distribution;
use crate::stats::recorder::Measured;

pub use self::stamp::Stamps;

mod arrivals;
mod ready;
mod stamp;

/// Chunks that share one reading of the clock: the first of them counts as arrived a few
/// microseconds after it had.
const GROUP_CHUNKS: usize = 32;
/// How long the task holds the core: half of the lateness that the generator is allowed.
const LOOK_MAX: Duration = Duration::from_micros(50);
/// A pause too short to matter, in which the core looks at its timers and at what others woke.
const BREATH: Duration = Duration::from_nanos(1);
/// How long what was acknowledged is waited for, once the last answer is there.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// The same after an interruption.
const DRAIN_MAX_INTERRUPTED: Duration = Duration::from_millis(500);
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(50);
/// Sentences kept; the counters tell how many there were.
const NAMED_MAX: usize = 10;

/// What the consumers of one core do.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerPlan {
    /// How many follow each shard.
    pub consumers: u32,
    /// This core, of how many: it has every so-manieth shard.
    pub lane: Lane,
    /// The time that counts.
    pub measured: Measured,
    /// Where a record says when it was meant.
    pub stamps: Stamps,
}

/// What the consumers of one core leave. Records are counted once for each consumer.
#[derive(Clone, Debug)]
pub struct Consumed {
    /// From a record's tick to its arrival, of the measured time.
    pub end_to_end: Distribution,
    /// Records that came, warm-up included.
    pub received: u64,
    /// Records acknowledged that did not come.
    pub missing: u64,
    /// Chunks that did not begin where the one before them had ended.
    pub out_of_order: u64,
    /// Records that are not ours, or in a chunk whose bytes do not add up.
    pub corrupt: u64,
    /// Chunks that came.
    pub chunks: u64,
    /// Time in taking and counting them.
    pub busy: Duration,
    /// The part of it within the measured time.
    pub work_time: Duration,
    /// From the last answer to the last record.
    pub drained: Duration,
    /// Somebody asked to stop: what is missing was not waited for.
    pub was_cut_short: bool,
    /// Sentences about the first that were not as they should be.
    pub named: Vec<String>,
}

impl Consumed {
    /// Those of two cores.
    #[must_use]
    pub fn and(mut self, other: Consumed) -> Consumed {
        self.end_to_end.merge(&other.end_to_end);
        self.received += other.received;
        self.missing += other.missing;
        self.out_of_order += other.out_of_order;
        self.corrupt += other.corrupt;
        self.chunks += other.chunks;
        self.busy += other.busy;
        self.work_time += other.work_time;
        self.drained = self.drained.max(other.drained);
        self.was_cut_short |= other.was_cut_short;
        self.named.extend(other.named);
        self
    }

    /// Whether everybody got everything that was acknowledged, in order.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match (self.out_of_order + self.corrupt, self.missing) {
            (0, 0) => Verdict::Ok,
            (0, _) if self.was_cut_short => Verdict::Partial,
            (_, _) => Verdict::Failed,
        }
    }
}

/// One consumer's place in one shard.
struct Tail {
    follower: Follower,
    wake: Wake,
    consumer: u32,
    received: u64,
    /// Index behind the last record.
    end: u64,
    /// Records that must come, once that is known.
    owed: u64,
    is_over: bool,
}

/// See the module.
pub struct Consumers {
    plan: ConsumerPlan,
    /// The moment zero of the plan.
    start: Instant,
    tails: Vec<Tail>,
    ready: Arc<Ready>,
    /// Tails to be looked at, taken off the list.
    hand: VecDeque<u32>,
    group: Vec<(u32, Chunk)>,
    arrivals: Arrivals,
    chunks: u64,
    out_of_order: u64,
    /// Records that all tails together must still get.
    owed: u64,
    busy: Duration,
    work_time: Duration,
    named: Vec<String>,
}

/// What ends a wait.
enum News {
    /// Something has come.
    Ready,
    /// The load is over; records that were acknowledged, by shard.
    Over(Arc<[u64]>),
}

impl Consumers {
    /// Subscribes everybody, with all the memory that is needed. The stream is new: its beginning is
    /// its tail.
    ///
    /// # Errors
    /// The engine's.
    pub async fn subscribe(
        plan: ConsumerPlan,
        client: &Client,
        stream: &Stream,
    ) -> Result<Consumers, ApiError> {
        let Lane { producer, producers } = plan.lane;
        let shards = stream.shards().open().iter().copied();
        let ours = shards.filter(|shard| shard.get() % producers == producer);
        let ready = Arc::new(Ready::default());
        let mut tails = Vec::new();
        for shard in ours {
            let begin = client.shard_iterator(stream, shard, IteratorType::TrimHorizon).await?;
            for consumer in 0..plan.consumers {
                let number = u32::try_from(tails.len()).expect("fewer than the engine's followers");
                tails.push(Tail {
                    follower: client.follow(&begin).await?,
                    wake: Wake::new(number, &ready),
                    consumer,
                    received: 0,
                    end: begin.index().get(),
                    owed: 0,
                    is_over: false,
                });
            }
        }
        tails.iter().for_each(|tail| tail.wake.wake());
        Ok(Consumers {
            start: Instant::from_nanos(0),
            hand: VecDeque::with_capacity(tails.len()),
            tails,
            ready,
            group: Vec::with_capacity(GROUP_CHUNKS),
            arrivals: Arrivals::new(plan.measured, plan.stamps),
            chunks: 0,
            out_of_order: 0,
            owed: 0,
            busy: Duration::ZERO,
            work_time: Duration::ZERO,
            named: Vec::new(),
            plan,
        })
    }

    /// Consumes from now on; `start` is the moment zero of the plan. When `acked` says what was
    /// acknowledged, waits until all of it has come, within bounds.
    pub async fn run(mut self, start: Instant, mut acked: Reply<Arc<[u64]>>) -> Consumed {
        self.start = start;
        let acked = loop {
            match self.news(&mut acked).await {
                News::Ready => self.serve().await,
                News::Over(acked) => break acked,
            }
        };
        let began = clock::now();
        self.owe(&acked);
        while self.owed > 0 {
            let interrupted = signal::is_interrupted();
            let longest = if interrupted { DRAIN_MAX_INTERRUPTED } else { DRAIN_MAX };
            if clock::now() >= began + longest {
                break;
            }
            let look = clock::now() + DRAIN_LOOK_EVERY;
            if clock::timeout_at(look, self.some_ready()).await.is_some() {
                self.serve().await;
            }
        }
        self.finish(began)
    }

    async fn news(&mut self, over: &mut Reply<Arc<[u64]>>) -> News {
        poll_fn(|context| {
            if let Poll::Ready(acked) = Pin::new(&mut *over).poll(context) {
                // Whoever would tell is gone where the load was given up.
                return Poll::Ready(News::Over(acked.unwrap_or_default()));
            }
            self.poll_ready(context).map(|()| News::Ready)
        })
        .await
    }

    async fn some_ready(&mut self) {
        poll_fn(|context| self.poll_ready(context)).await;
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.hand.is_empty() {
            return Poll::Ready(());
        }
        self.ready.poll_take(&mut self.hand, context)
    }

    /// Takes what has come, and lets others have the core where there is more.
    async fn serve(&mut self) {
        if self.look() {
            clock::sleep(BREATH).await;
        }
    }

    /// Takes and counts chunks until none is left or its time is over. True where there may be more.
    fn look(&mut self) -> bool {
        let began = clock::now();
        let mut now = began;
        let has_more = loop {
            self.take_group();
            if self.group.is_empty() {
                break false;
            }
            now = clock::now();
            self.count_group(now);
            if now >= began + LOOK_MAX {
                break true;
            }
        };
        self.arrivals.tend(self.since_start(now));
        let took = clock::now() - began;
        self.busy += took;
        if self.plan.measured.contains(self.since_start(began)) {
            self.work_time += took;
        }
        has_more
    }

    fn take_group(&mut self) {
        while self.group.len() < GROUP_CHUNKS {
            if self.hand.is_empty() && !self.ready.take(&mut self.hand) {
                return;
            }
            let Some(number) = self.hand.pop_front() else { return };
            let tail = &mut self.tails[number as usize];
            if tail.is_over {
                continue;
            }
            // Before the look: what comes after it wakes again.
            let waker = tail.wake.listen();
            let polled = pin!(tail.follower.next()).poll(&mut Context::from_waker(waker));
            match polled {
                Poll::Ready(Ok(chunk)) => {
                    // It has a waker in the engine again only once it was found empty.
                    tail.wake.wake();
                    self.group.push((number, chunk));
                }
                Poll::Ready(Err(error)) => self.end(number, &error),
                Poll::Pending => {}
            }
        }
    }

    fn count_group(&mut self, now: Instant) {
        let arrived_ns = self.since_start(now);
        for (number, chunk) in self.group.drain(..) {
            let tail = &mut self.tails[number as usize];
            self.out_of_order += u64::from(chunk.first_index != tail.end);
            tail.end = chunk.end_index();
            let count = self.arrivals.take(&chunk, arrived_ns);
            tail.received += count;
            self.owed -= count.min(tail.owed);
            tail.owed -= count.min(tail.owed);
            self.chunks += 1;
        }
        self.arrivals.close_group(arrived_ns);
    }

    /// A subscription has ended for good.
    fn end(&mut self, number: u32, error: &ApiError) {
        let tail = &mut self.tails[number as usize];
        tail.is_over = true;
        self.owed -= tail.owed;
        let (consumer, shard) = (tail.consumer, tail.follower.shard().get());
        self.name(format!("consumer {consumer} was told by shard {shard}: {error}"));
    }

    fn owe(&mut self, acked: &[u64]) {
        for tail in &mut self.tails {
            let acked = acked.get(tail.follower.shard().get() as usize).copied().unwrap_or(0);
            tail.owed = acked.saturating_sub(tail.received);
            // Of one that is over nothing can be waited for.
            self.owed += if tail.is_over { 0 } else { tail.owed };
        }
    }

    fn finish(mut self, began: Instant) -> Consumed {
        let now = clock::now();
        let was_cut_short = self.owed > 0 && signal::is_interrupted();
        let late: Vec<_> = self.tails.iter().filter(|tail| tail.owed > 0).collect();
        let missing = late.iter().map(|tail| tail.owed).sum();
        let sentences = late.iter().take(NAMED_MAX).map(|tail| {
            let Tail { consumer, owed, .. } = tail;
            format!("consumer {consumer} did not get {owed} records of {}", tail.follower.shard())
        });
        let sentences: Vec<String> = sentences.collect();
        sentences.into_iter().for_each(|sentence| self.name(sentence));
        let since_plan_ns = self.since_start(now).saturating_sub(self.plan.measured.until_ns);
        let received = self.tails.iter().map(|tail| tail.received).sum();
        let (mut end_to_end, corrupt) = self.arrivals.finish();
        if missing > 0 {
            // Each was meant before the end of the plan, and is not there yet.
            end_to_end.censor(since_plan_ns, missing);
        }
        Consumed {
            end_to_end,
            received,
            missing,
            out_of_order: self.out_of_order,
            corrupt,
            chunks: self.chunks,
            busy: self.busy,
            work_time: self.work_time,
            drained: now - began,
            was_cut_short,
            named: self.named,
        }
    }

    fn name(&mut self, sentence: String) {
        if self.named.len() < NAMED_MAX {
            self.named.push(sentence);
        }
    }

    fn since_start(&self, moment: Instant) -> u64 {
        // Before the moment zero nothing comes: nothing has been sent.
        moment.as_nanos().saturating_sub(self.start.as_nanos())
    }
}
