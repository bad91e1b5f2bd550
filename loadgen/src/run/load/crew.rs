//! The workers of a load on their generator cores, from their memory to what they leave.

use std::sync::Arc;
use std::time::Duration;

use gyre::embed::{Client, Stream};
use model::ApiError;
use runtime::cores::{self, CoreConfig};
use runtime::local::Closed;
use runtime::mesh::{self, Reply, ReplySender};
use runtime::{clock, task};

use super::LoadPlan;
use crate::batch::{BatchMaker, BatchPlan};
use crate::consumer::{Consumed, ConsumerPlan, Consumers, Stamps};
use crate::payload::Payloads;
use crate::run::Failure;
use crate::run::live::Live;
use crate::run::subject::Rig;
use crate::schedule::Lane;
use crate::stats::recorder::Measured;
use crate::verify::Ledger;
use crate::worker::{self, Account, AccountPlan, Pace, Progress, Seen, Worked, WorkerPlan};

/// How often progress is shown.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The workers of a load, and the consumers beside them.
#[derive(Default)]
pub(super) struct Crew {
    cores: Vec<cores::Core<Option<Left>>>,
    pub(super) go: Vec<ReplySender<clock::Instant>>,
    progress: Vec<Arc<Progress>>,
    /// Resolves when a worker is done with everything.
    done: Vec<Reply<Vec<u64>>>,
    /// Records that the workers who are done had acknowledged, by shard; empty without consumers.
    acked: Vec<u64>,
    /// Tells the consumers what they must get.
    over: Vec<ReplySender<Arc<[u64]>>>,
}

/// What a core leaves.
pub(super) struct Left {
    pub(super) worked: Worked,
    /// `None` where nobody consumes.
    pub(super) consumed: Option<Consumed>,
}

impl Crew {
    /// Starts a worker on each generator CPU, and waits until all have their memory.
    pub(super) async fn start(
        rig: &Rig,
        plan: &LoadPlan,
        stream: &Stream,
        payloads: &Arc<Payloads>,
    ) -> Result<Crew, Failure> {
        let mut crew = Crew::default();
        let mut ready = Vec::new();
        let cpus = plan.generator_cpus(rig);
        let producers = u32::try_from(cpus.len()).expect("few CPUs");
        for (producer, cpu) in (0..).zip(cpus) {
            let lane = Lane { producer, producers };
            let (ready_sender, is_ready) = mesh::reply();
            let (go, start) = mesh::reply();
            let (done_sender, done) = mesh::reply();
            let (over, acked) = mesh::reply();
            let wires = Wires { ready: ready_sender, start, done: done_sender, acked };
            let progress = Arc::new(Progress::default());
            let seat = Seat {
                lane,
                plan: plan.clone(),
                client: rig.client.clone(),
                stream: stream.clone(),
                payloads: Arc::clone(payloads),
                progress: Arc::clone(&progress),
            };
            let config = CoreConfig {
                name: format!("generator-{producer}"),
                cpu: Some(*cpu),
                io_memory_bytes: 64 << 10,
            };
            let main = move || seat.work(wires);
            crew.cores.push(cores::start(config, main).map_err(Failure::could_not)?);
            crew.go.push(go);
            crew.progress.push(progress);
            crew.done.push(done);
            crew.over.push(over);
            ready.push(is_ready);
        }
        for is_ready in ready {
            let ended = || Failure::could_not("a generator core ended before it began");
            is_ready.await.map_err(|_| ended())?.map_err(Failure::could_not)?;
        }
        Ok(crew)
    }

    /// Shows progress until a moment, or until all workers are done.
    pub(super) async fn watch_until(
        &mut self,
        until: clock::Instant,
        start: clock::Instant,
        measured: Measured,
        live: &mut Live,
    ) {
        let span = Duration::from_nanos(measured.until_ns);
        while clock::now() < until && !self.done.is_empty() {
            let look = until.min(clock::now() + LOOK_EVERY);
            let last = self.done.last_mut().expect("not empty");
            if let Some(acked) = clock::timeout_at(look, last).await {
                self.done.pop();
                self.add(acked);
                continue;
            }
            let seen = self.progress.iter().fold(Seen::default(), |sum, one| sum.and(one.seen()));
            live.load(clock::now() - start, span, seen);
        }
    }

    /// Waits for the workers, and for the consumers to get what was acknowledged.
    pub(super) async fn join(mut self) -> Vec<Left> {
        for done in std::mem::take(&mut self.done) {
            self.add(done.await);
        }
        let acked: Arc<[u64]> = self.acked.into();
        self.over.into_iter().for_each(|over| over.send(Arc::clone(&acked)));
        let cores = self.cores;
        let join = move || cores.into_iter().map(cores::Core::join).collect::<Vec<_>>();
        let left = task::blocking(join).await;
        left.into_iter().map(|left| left.expect("every worker was told to go")).collect()
    }

    fn add(&mut self, acked: Result<Vec<u64>, Closed>) {
        let acked = acked.expect("a worker that was told to go says when it is done");
        self.acked.resize(self.acked.len().max(acked.len()), 0);
        self.acked.iter_mut().zip(acked).for_each(|(sum, count)| *sum += count);
    }
}

/// What a worker's thread begins with.
struct Seat {
    lane: Lane,
    plan: LoadPlan,
    client: Client,
    stream: Stream,
    payloads: Arc<Payloads>,
    progress: Arc<Progress>,
}

/// How a worker's thread and the crew's speak with each other.
struct Wires {
    /// Everything is there for the start.
    ready: ReplySender<Result<(), ApiError>>,
    /// The moment zero.
    start: Reply<clock::Instant>,
    /// The worker is done; what it had acknowledged.
    done: ReplySender<Vec<u64>>,
    /// What all had acknowledged; a core lives until then.
    acked: Reply<Arc<[u64]>>,
}

impl Seat {
    async fn work(self, wires: Wires) -> Option<Left> {
        let Wires { ready, start, done, acked } = wires;
        let consumers = match self.subscribe().await {
            Ok(consumers) => consumers,
            Err(error) => {
                ready.send(Err(error));
                return None;
            }
        };
        let prepared = self.prepare();
        ready.send(Ok(()));
        // Nobody says go where another core could not be had.
        let start = start.await.ok()?;
        let Some(consumers) = consumers else {
            let worked = prepared.work(start).await;
            done.send(Vec::new());
            // The meters find the CPU time of threads that live only. Who hears nothing is not waited for.
            drop(acked.await);
            return Some(Left { worked, consumed: None });
        };
        let consuming = task::spawn(consumers.run(start, acked));
        let mut worked = prepared.work(start).await;
        done.send(worked.account.ledger.acked_counts().collect());
        let consumed = consuming.await;
        worked.work_time += consumed.work_time;
        Some(Left { worked, consumed: Some(consumed) })
    }

    async fn subscribe(&self) -> Result<Option<Consumers>, ApiError> {
        let Seat { lane, plan, client, stream, .. } = self;
        let consumers = plan.scenario.consumer.groups;
        if consumers == 0 {
            return Ok(None);
        }
        let schedule = match plan.pace() {
            Pace::Open { schedule, .. } => Some((schedule, lane.producers)),
            Pace::Closed { .. } => None,
        };
        let data_bytes = plan.scenario.producer.size.sizes().bytes_max();
        let stamps = Stamps::new(usize::try_from(data_bytes).expect("32 bits fit"), schedule);
        let plan = ConsumerPlan { consumers, lane: *lane, measured: plan.measured, stamps };
        Consumers::subscribe(plan, client, stream).await.map(Some)
    }

    fn prepare(self) -> worker::Prepared {
        let Seat { lane, plan, client, stream, payloads, progress } = self;
        let producer = &plan.scenario.producer;
        let shards = plan.scenario.stream.shards as usize;
        let maker = BatchMaker::new(BatchPlan {
            seed: plan.scenario.seed,
            keys: producer.keys.distribution(),
            sizes: producer.size.sizes(),
            payloads,
            lane,
            shards: stream.shards().clone(),
            records_max: producer.batch.max_records,
        });
        let ledger = Ledger::new(lane.producer, plan.watched(lane), shards);
        let pace = plan.pace();
        let account_plan = AccountPlan {
            measured: plan.measured,
            shards,
            rates: plan.rates(),
            open_loop: matches!(pace, Pace::Open { .. }),
        };
        let in_flight = lane_share(producer.in_flight(), lane);
        let worker_plan = WorkerPlan {
            lane,
            pace,
            in_flight_max: usize::try_from(in_flight).expect("checked: at most 65,536"),
            measured: plan.measured,
            slow: plan.slow,
            progress,
        };
        let account = Account::new(account_plan, ledger);
        worker::prepare(worker_plan, maker, client, stream, account)
    }
}

/// A lane's share of what all lanes may have, which adds up to it.
fn lane_share(all: u64, lane: Lane) -> u64 {
    let lanes = u64::from(lane.producers);
    all / lanes + u64::from(u64::from(lane.producer) < all % lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_shares_add_up() {
        for (all, producers) in [(1, 1), (64, 2), (5, 3), (1_024, 7)] {
            let lane = |producer| Lane { producer, producers };
            let shares: Vec<u64> = (0..producers).map(|one| lane_share(all, lane(one))).collect();
            assert_eq!(shares.iter().sum::<u64>(), all);
            assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
        }
    }
}
