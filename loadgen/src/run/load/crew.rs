//! The workers of a load on their generator cores, from their memory to what they leave.

use std::sync::Arc;
use std::time::Duration;

use gyre::embed::{Client, Stream};
use runtime::cores::{self, CoreConfig};
use runtime::mesh::{self, Reply, ReplySender};
use runtime::{clock, task};

use super::LoadPlan;
use crate::batch::{BatchMaker, BatchPlan};
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

/// The workers of a load.
pub(super) struct Crew {
    cores: Vec<cores::Core<Option<Worked>>>,
    pub(super) go: Vec<ReplySender<clock::Instant>>,
    progress: Vec<Arc<Progress>>,
    /// Resolves when a worker is done with everything.
    done: Vec<Reply<()>>,
}

impl Crew {
    /// Starts a worker on each generator CPU, and waits until all have their memory.
    pub(super) async fn start(
        rig: &Rig,
        plan: &LoadPlan,
        stream: &Stream,
        payloads: &Arc<Payloads>,
    ) -> Result<Crew, Failure> {
        let mut crew =
            Crew { cores: Vec::new(), go: Vec::new(), progress: Vec::new(), done: Vec::new() };
        let mut ready = Vec::new();
        let cpus = plan.generator_cpus(rig);
        let producers = u32::try_from(cpus.len()).expect("few CPUs");
        for (producer, cpu) in (0..).zip(cpus) {
            let lane = Lane { producer, producers };
            let (ready_sender, is_ready) = mesh::reply();
            let (go, start) = mesh::reply();
            let (done_sender, done) = mesh::reply();
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
                spin: Duration::ZERO,
            };
            let main = move || seat.work(ready_sender, start, done_sender);
            crew.cores.push(cores::start(config, main).map_err(Failure::could_not)?);
            crew.go.push(go);
            crew.progress.push(progress);
            crew.done.push(done);
            ready.push(is_ready);
        }
        for is_ready in ready {
            let ended = || Failure::could_not("a generator core ended before it began");
            is_ready.await.map_err(|_| ended())?;
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
            if clock::timeout_at(look, last).await.is_some() {
                self.done.pop();
                continue;
            }
            let seen = self.progress.iter().fold(Seen::default(), |sum, one| sum.and(one.seen()));
            live.load(clock::now() - start, span, seen);
        }
    }

    pub(super) async fn join(self) -> Vec<Worked> {
        let cores = self.cores;
        let join = move || cores.into_iter().map(cores::Core::join).collect::<Vec<_>>();
        let worked = task::blocking(join).await;
        worked.into_iter().map(|worked| worked.expect("every worker was told to go")).collect()
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

impl Seat {
    async fn work(
        self,
        ready: ReplySender<()>,
        start: Reply<clock::Instant>,
        done: ReplySender<()>,
    ) -> Option<Worked> {
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
        let prepared = worker::prepare(worker_plan, maker, client, stream, account);
        ready.send(());
        // Nobody says go where another core could not be had.
        let start = start.await.ok()?;
        let worked = prepared.work(start).await;
        done.send(());
        Some(worked)
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
