//! The public doors of this crate under the simulation: two cores as tasks of one run, with
//! messages, timers and files between them.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::{PAGE, finish, outcomes, pages};
use crate::buffer::Buffer;
use crate::file::{self, Access};
use crate::sim::{CrashPoint, Disk, Options, Outcome, run};
use crate::{clock, mesh, random, task};

/// One core asks for pages to be written, another writes and flushes them; the answer says that
/// the page is durable. Returns the pages answered for.
async fn write_by_message(pages: u64) -> u64 {
    let directory = Path::new("/data");
    file::create_directory_all(directory).await.unwrap();
    file::sync_directory(Path::new("/")).await.unwrap();
    let path = directory.join("log");
    let log = file::create(&path, Access::ReadWrite, pages * PAGE as u64).await.unwrap();
    log.flush().await.unwrap();
    file::sync_directory(directory).await.unwrap();
    let (sender, mut receiver) = mesh::channel::<(u64, mesh::ReplySender<u64>)>(2);
    task::spawn_background(async move {
        while let Some((page, reply)) = receiver.recv().await {
            let log = log.clone();
            task::spawn(async move {
                let mut buffer = Buffer::reused(PAGE);
                buffer.fill(b'x');
                log.write(page * PAGE as u64, Rc::new(buffer)).await.unwrap();
                log.flush().await.unwrap();
                reply.send(page);
            });
        }
    });
    let mut answers = Vec::new();
    for page in 0..pages {
        let (reply, answer) = mesh::reply();
        assert!(sender.send((page, reply)).await.is_ok());
        clock::sleep(Duration::from_micros(random::seed() % 100)).await;
        answers.push(task::spawn(answer));
    }
    let mut answered = 0;
    for answer in answers {
        assert_eq!(answer.await.unwrap(), answered);
        answered += 1;
    }
    answered
}

#[test]
fn what_was_answered_for_survives_a_power_cut() {
    for seed in 0..50 {
        let disk = Disk::new(seed);
        assert_eq!(finish(seed, &disk, write_by_message(8)), 8);
        disk.crash();
        assert_eq!(pages(&disk.read_raw(Path::new("/data/log"))), "xxxxxxxx", "seed {seed}");
    }
}

#[test]
fn the_doors_draw_their_chance_from_the_seed() {
    let trace = |seed| {
        let disk = Disk::new(seed);
        let options = Options { crash: Some(CrashPoint::Steps(40)), ..Options::default() };
        assert_eq!(run(seed, &disk, &options, write_by_message(8)), Outcome::Crashed);
        disk.crash();
        disk.trace_hash()
    };
    let traces = outcomes(|seed| {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
        trace(seed)
    });
    assert_eq!(traces.len(), usize::try_from(super::SEEDS).unwrap());
}
