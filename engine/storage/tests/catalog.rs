//! The catalog over a real disk: what was committed is there again, and damage is named.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::clock;
use runtime::cores::{self, CoreConfig};
use runtime::task;
use storage::catalog::{
    COMMIT_BYTES_MAX, Catalog, CatalogError, CatalogState, FileEntry, Mutation, SegmentEntry,
};
use storage::frame::{BLOCK_BYTES, FrameKind, decode};

/// A fresh folder under cargo's target directory.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("a folder of ours");
    }
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    folder
}

fn on_core<T: Send + 'static, Fut: Future<Output = T> + 'static>(
    main: impl FnOnce() -> Fut + Send + 'static,
) -> T {
    let config = CoreConfig { name: "catalog".to_owned(), cpu: None, io_memory_bytes: 1 << 20 };
    cores::start(config, main).expect("io_uring is here").join()
}

/// Opens the catalog, lets `work` use it, shuts it down, and gives what it was opened with.
fn with_catalog<Fut: Future<Output = ()> + 'static>(
    folder: &Path,
    work: impl FnOnce(storage::catalog::CatalogClient) -> Fut + Send + 'static,
) -> CatalogState {
    let folder = folder.to_path_buf();
    on_core(move || async move {
        let (client, state) = Catalog::open(&folder).await.expect("a whole catalog");
        work(client.clone()).await;
        client.shutdown().await.expect("a last mark");
        assert!(matches!(client.commit(Vec::new()).await, Err(CatalogError::Closed)));
        state
    })
}

fn open_error(folder: &Path) -> CatalogError {
    let folder = folder.to_path_buf();
    on_core(move || async move { Catalog::open(&folder).await.err().expect("a damaged catalog") })
}

fn set(key: &str, value: &[u8]) -> Mutation {
    Mutation::Set { key: key.as_bytes().to_vec(), value: value.to_vec() }
}

fn segment(log: u16, first: u64) -> SegmentEntry {
    SegmentEntry { log, first, last: first, file: 1, generation: 2, bytes: 4096, clustered: false }
}

/// The whole frames of a catalog file: position and kind.
fn frames(path: &Path) -> Vec<(usize, FrameKind)> {
    let bytes = std::fs::read(path).expect("a catalog's file");
    let blocks = (0..bytes.len()).step_by(BLOCK_BYTES);
    let whole = blocks.filter_map(|at| Some((at, decode(&bytes[at..]).ok()?.header.kind)));
    whole.collect()
}

fn flip(path: &Path, position: usize) {
    let mut bytes = std::fs::read(path).expect("a catalog's file");
    bytes[position] ^= 1;
    std::fs::write(path, bytes).expect("a catalog's file");
}

#[test]
fn what_was_committed_is_there_again_in_the_next_life() {
    let folder = folder("catalog-reopen");
    let state = with_catalog(&folder, |client| async move {
        let file = FileEntry { log: 1, file: 3, generation: 0, bytes: 8192 };
        let mutations = vec![
            set("stream/a", b"1"),
            Mutation::PutSegment(segment(0, 0)),
            Mutation::PutFile(file),
        ];
        client.commit(mutations).await.unwrap();
        client.commit(vec![set("stream/b", b"2")]).await.unwrap();
        client.commit(vec![Mutation::Remove { key: b"stream/a".to_vec() }]).await.unwrap();
    });
    assert_eq!(state.life, 1);
    assert!(state.sets.is_empty());
    let state = with_catalog(&folder, |_| async {});
    assert_eq!(state.life, 2);
    assert_eq!(state.sets, BTreeMap::from([(b"stream/b".to_vec(), b"2".to_vec())]));
    assert_eq!(state.segments, BTreeMap::from([((0, 0), segment(0, 0))]));
    assert_eq!(state.files[&(1, 3)].bytes, 8192);
    assert!(state.damage.is_empty());
    assert_eq!(with_catalog(&folder, |_| async {}).life, 3);
}

#[test]
fn files_are_switched_and_grow_with_the_content() {
    let folder = folder("catalog-switch");
    with_catalog(&folder, |client| async move {
        for round in 0..400_u32 {
            let key = format!("key-{:03}", round % 200);
            let value = vec![round as u8; 4000];
            client.commit(vec![set(&key, &value)]).await.unwrap();
        }
    });
    let state = with_catalog(&folder, |_| async {});
    assert_eq!(state.sets.len(), 200);
    for round in 200..400_u32 {
        let key = format!("key-{:03}", round % 200);
        assert_eq!(state.sets[key.as_bytes()], vec![round as u8; 4000]);
    }
    let bytes = |name: &str| std::fs::metadata(folder.join(name)).unwrap().len();
    // A snapshot is 800 KB: a file holds at least four of these.
    assert!(bytes("catalog-a").max(bytes("catalog-b")) >= 4 << 20);
}

#[test]
fn commits_that_come_together_share_a_frame() {
    let folder = folder("catalog-group");
    with_catalog(&folder, |client| async move {
        let commits = (0..200_u32).map(|number| {
            let client = client.clone();
            task::spawn(async move {
                let key = format!("key-{number}");
                client.commit(vec![set(&key, b"")]).await
            })
        });
        for commit in commits.collect::<Vec<_>>() {
            commit.await.unwrap();
        }
    });
    assert!(frames(&folder.join("catalog-a")).len() < 50);
    assert_eq!(with_catalog(&folder, |_| async {}).sets.len(), 200);
}

#[test]
fn too_much_is_refused_alone() {
    let folder = folder("catalog-full");
    with_catalog(&folder, |client| async move {
        let large = vec![0; COMMIT_BYTES_MAX];
        let refused = client.commit(vec![set("large", &large)]).await;
        assert!(matches!(refused, Err(CatalogError::TooLarge { .. })));
        let large = &large[..COMMIT_BYTES_MAX - 100];
        let mut taken = 0;
        let full = loop {
            match client.commit(vec![set(&format!("large-{taken}"), large)]).await {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, CatalogError::Full { .. }), "{full}");
        assert_eq!(taken, 2, "a snapshot is one frame of at most 12 MiB");
        // What puts one thing in the place of another is taken: it is how a full catalog shrinks.
        let removed = Mutation::Remove { key: b"large-0".to_vec() };
        client.commit(vec![removed, set("large-8", large)]).await.unwrap();
        client.commit(vec![Mutation::Remove { key: b"large-8".to_vec() }]).await.unwrap();
        client.commit(vec![set("large-9", large)]).await.unwrap();
    });
    assert_eq!(with_catalog(&folder, |_| async {}).sets.len(), 2);
}

#[test]
fn the_last_commit_has_a_witness_once_the_catalog_was_idle() {
    let folder = folder("catalog-mark");
    let path = folder.join("catalog-a");
    let watched = path.clone();
    with_catalog(&folder, |client| async move {
        client.commit(vec![set("a", b"1")]).await.unwrap();
        // Not a wait for luck: the mark must come by itself, and the loop ends only with it.
        while frames(&watched).last().unwrap().1 != FrameKind::Mark {
            clock::sleep(Duration::from_millis(1)).await;
        }
        client.commit(vec![set("b", b"1")]).await.unwrap();
    });
    let kinds: Vec<_> = frames(&path).into_iter().map(|(_, kind)| kind).collect();
    let (entries, mark) = (FrameKind::Catalog, FrameKind::Mark);
    assert_eq!(kinds, [entries, entries, mark, entries, mark]);
}

#[test]
fn damage_of_a_logs_entries_refuses_that_log_alone_and_is_not_forgotten() {
    let folder = folder("catalog-damage");
    with_catalog(&folder, |client| async move {
        let mutations = [0, 1].map(|log| Mutation::PutSegment(segment(log, 5)));
        client.commit(mutations.to_vec()).await.unwrap();
    });
    // Behind the header and the two directory entries stands log 0's segment.
    let position = frames(&folder.join("catalog-a"))[1].0;
    flip(&folder.join("catalog-a"), position + 128 + 2 * 24 + 20);
    for _ in 0..2 {
        let state = with_catalog(&folder, |client| async move {
            for round in 0..300_u32 {
                client.commit(vec![set("round", &round.to_le_bytes())]).await.unwrap();
            }
        });
        let damage: Vec<_> = state.damage.iter().map(|d| (d.log, d.position)).collect();
        assert_eq!(damage, [(Some(0), position as u64)]);
        assert_eq!(state.segments.len(), 1);
        assert!(state.segments.contains_key(&(1, 5)));
    }
}

#[test]
fn a_catalog_without_a_whole_frame_is_not_taken_for_a_new_one() {
    let folder = folder("catalog-lost");
    with_catalog(&folder, |client| async move {
        client.commit(vec![set("a", b"1")]).await.unwrap();
    });
    let path = folder.join("catalog-a");
    let whole = std::fs::read(&path).unwrap();
    // Zeroed, cut off, and as a later version would have written it.
    let mut later = whole.clone();
    later.iter_mut().skip(75).step_by(BLOCK_BYTES).for_each(|version| *version = 9);
    for lost in [vec![0; whole.len()], Vec::new(), later] {
        std::fs::write(&path, &lost).unwrap();
        let opened = folder.clone();
        let error = on_core(move || async move {
            Catalog::open_existing(&opened).await.err().expect("nothing is whole")
        });
        assert!(matches!(error, CatalogError::Lost), "{error}");
        assert!(std::fs::read(&path).unwrap() == lost, "nothing is written");
    }
    std::fs::write(&path, &whole).unwrap();
    let opened = folder.clone();
    let life = on_core(move || async move {
        let (client, state) = Catalog::open_existing(&opened).await.unwrap();
        client.shutdown().await.unwrap();
        state.life
    });
    assert_eq!(life, 2);
}

#[test]
fn damage_that_may_concern_anybody_refuses_all_and_says_where() {
    let folder = folder("catalog-unreadable");
    with_catalog(&folder, |client| async move {
        client.commit(vec![set("a", b"1")]).await.unwrap();
        client.commit(vec![set("b", b"2")]).await.unwrap();
    });
    let path = folder.join("catalog-a");
    let before = std::fs::read(&path).unwrap();
    let frames = frames(&path);
    for (position, expected) in
        [(frames[0].0, 0), (frames[1].0 + 20, 4096), (frames[2].0 + 160, 8192)]
    {
        std::fs::write(&path, &before).unwrap();
        flip(&path, position);
        let CatalogError::Unreadable(place) = open_error(&folder) else { panic!("not damage") };
        assert_eq!(place.position, expected);
        let text = CatalogError::Unreadable(place).to_string();
        assert!(
            text.starts_with(&format!("catalog-a is damaged at position {expected}")),
            "{text}"
        );
        let mut damaged = before.clone();
        damaged[position] ^= 1;
        assert!(
            std::fs::read(&path).unwrap() == damaged,
            "nothing is written to a damaged catalog"
        );
    }
}
