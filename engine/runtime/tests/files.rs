//! Files, directories and buffers on the kernel's driver, on the file system of the build.
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::buffer::{Buffer, pool_bytes};
use runtime::cores::{CoreConfig, block_on};
use runtime::environment::check_directory;
use runtime::file::{self, Access, IoErrorKind};

const PAGE: u64 = 4096;
const POOL_BYTES: usize = 4 << 20;

/// A directory of its own for a test, empty at its start. Not in /tmp, which may be in memory.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("the build's directory can be cleared");
    }
    std::fs::create_dir_all(&path).expect("the build's directory can be written");
    path
}

fn on_a_core<T: 'static, Fut: Future<Output = T> + 'static>(
    main: impl FnOnce() -> Fut + 'static,
) -> T {
    block_on(config(), main).expect("the tests need io_uring")
}

fn config() -> CoreConfig {
    CoreConfig { name: "test".to_owned(), cpu: None, io_memory_bytes: POOL_BYTES }
}

/// On a thread that has never been a core.
fn on_a_core_of_its_own<T: Send + 'static, Fut: Future<Output = T> + 'static>(
    main: impl FnOnce() -> Fut + Send + 'static,
) -> T {
    runtime::cores::start(config(), main).expect("the tests need io_uring").join()
}

fn page_of(pages: usize, value: u8) -> Rc<Buffer> {
    let mut buffer = Buffer::reused(pages * PAGE as usize);
    buffer.fill(value);
    Rc::new(buffer)
}

#[test]
fn the_directory_of_the_build_is_fit_for_data() {
    let facts = check_directory(&directory("facts"), true).unwrap();
    assert_eq!(facts.alignment, 4096);
    assert!(!facts.file_system.is_empty());
    assert_eq!(std::fs::read_dir(directory("facts")).unwrap().count(), 0, "the probe is gone");
}

#[test]
fn what_is_written_is_read_back_by_this_handle_and_the_next() {
    let path = directory("round-trip").join("a");
    for access in [Access::ReadWrite, Access::ReadWriteDsync] {
        let path = path.clone();
        on_a_core(move || async move {
            let file = file::create(&path, access, 64 * PAGE).await.unwrap();
            assert_eq!((file.bytes(), file.path()), (64 * PAGE, path.as_path()));
            let empty = file.read(0, 4096).await.unwrap();
            assert!(empty.iter().all(|byte| *byte == 0), "blocks are allocated, not written");

            // Different sizes, all in flight at once.
            let sizes = [1, 7, 32, 3, 21];
            let mut position = 0;
            let mut writes = Vec::new();
            for (value, pages) in (1..).zip(sizes) {
                writes.push(file.write(position, page_of(pages, value)));
                position += pages as u64 * PAGE;
            }
            for write in writes {
                write.await.unwrap();
            }
            file.flush().await.unwrap();
            file.close().await;

            let file = file::open(&path, Access::Read).await.unwrap();
            assert_eq!(file.bytes(), 64 * PAGE);
            let read = file.read(0, 64 * PAGE as usize).await.unwrap();
            let expected = (1..).zip(sizes).flat_map(|(value, pages)| vec![value; pages * 4096]);
            assert!(expected.eq(read.iter().copied()));
            file::remove(&path).await.unwrap();
            assert!(!file::exists(&path).await.unwrap());
        });
    }
}

/// A read of such a file never reaches the device: nothing may be concluded from it.
#[test]
fn the_first_file_of_a_core_may_be_empty_or_unwritten() {
    let folder = directory("first");
    let unwritten = folder.join("unwritten");
    for path in [folder.join("empty"), unwritten.clone(), unwritten] {
        let exists = path.exists();
        on_a_core_of_its_own(move || async move {
            let access = Access::ReadWrite;
            let file = match exists {
                true => file::open(&path, access).await.unwrap(),
                false => file::create(&path, access, 4 * PAGE).await.unwrap(),
            };
            if file.path().ends_with("empty") || exists {
                file.write(0, page_of(1, 9)).await.unwrap();
                assert_eq!(file.read(0, 4096).await.unwrap()[0], 9);
            }
        });
    }
}

#[test]
fn a_buffer_that_was_read_can_be_changed_and_written() {
    let path = directory("copied").join("a");
    on_a_core(move || async move {
        let file = file::create(&path, Access::ReadWrite, 2 * PAGE).await.unwrap();
        file.write(0, page_of(1, 7)).await.unwrap();
        let unchanged = file.read(0, 4096).await.unwrap();
        let mut changed = file.read(0, 4096).await.unwrap();
        changed[0] = 8;
        file.write(0, Rc::new(changed)).await.unwrap();
        file.write(PAGE, Rc::new(unchanged)).await.unwrap();
        let both = file.read(0, 8192).await.unwrap();
        assert_eq!((both[0], both[1], both[4096], both[8191]), (8, 7, 7, 7));
    });
}

#[test]
fn dropping_an_operation_cancels_nothing_even_at_the_end_of_the_core() {
    let path = directory("detached").join("a");
    let written = path.clone();
    on_a_core(move || async move {
        let file = file::create(&written, Access::ReadWrite, 64 * PAGE).await.unwrap();
        for page in 0..64 {
            drop(file.write(page * PAGE, page_of(1, 5)));
        }
    });
    on_a_core(move || async move {
        let file = file::open(&path, Access::Read).await.unwrap();
        let read = file.read(0, 64 * 4096).await.unwrap();
        assert!(read.iter().all(|byte| *byte == 5));
    });
}

#[test]
fn errors_say_what_failed_where() {
    let folder = directory("errors");
    on_a_core(move || async move {
        let path = folder.join("a");
        let missing = file::open(&path, Access::Read).await.unwrap_err();
        assert_eq!(missing.kind, IoErrorKind::NotFound);
        let file = file::create(&path, Access::ReadWrite, PAGE).await.unwrap();
        let twice = file::create(&path, Access::ReadWrite, PAGE).await.unwrap_err();
        assert_eq!(twice.kind, IoErrorKind::AlreadyExists);
        let short = file.read(0, 8192).await.unwrap_err();
        assert_eq!(short.kind, IoErrorKind::Short { expected: 8192, done: 4096 });
        let past = file.read(8 * PAGE, 4096).await.unwrap_err();
        assert_eq!(past.kind, IoErrorKind::Short { expected: 4096, done: 0 });
        assert_eq!(past.position, 8 * PAGE);
        let large = file::create(&folder.join("b"), Access::ReadWrite, 1 << 50).await.unwrap_err();
        assert!(
            matches!(large.kind, IoErrorKind::NoSpace | IoErrorKind::Errno(libc::EFBIG)),
            "{large}"
        );
        assert!(!file::exists(&folder.join("b")).await.unwrap(), "no half file is left");
        let read_only = file::open(&path, Access::Read).await.unwrap();
        let refused = read_only.write(0, page_of(1, 1)).await.unwrap_err();
        assert_eq!(refused.kind, IoErrorKind::Errno(libc::EBADF));
    });
}

#[test]
fn misuse_is_a_broken_invariant() {
    let path = directory("misuse").join("a");
    on_a_core(move || async move {
        let file = file::create(&path, Access::ReadWrite, 2 * PAGE).await.unwrap();
        let panics = |misuse: &dyn Fn()| catch_unwind(AssertUnwindSafe(misuse)).is_err();
        assert!(panics(&|| drop(file.write(1, page_of(1, 1)))), "position not aligned");
        assert!(panics(&|| drop(file.write(PAGE, page_of(2, 1)))), "past the end of the file");
        assert!(panics(&|| drop(file.read(512, 4096))), "position not aligned");
        assert!(panics(&|| drop(file.read(0, 512))), "length not aligned");
        assert!(panics(&|| drop(file.read(0, 0))), "nothing to read");
    });
}

#[test]
fn names_are_listed_renamed_and_removed() {
    let folder = directory("names");
    on_a_core(move || async move {
        file::create_directory_all(&folder.join("x/y")).await.unwrap();
        file::create_directory_all(&folder.join("x/y")).await.unwrap();
        drop(file::create(&folder.join("b"), Access::ReadWrite, PAGE).await.unwrap());
        drop(file::create(&folder.join("a"), Access::ReadWrite, 2 * PAGE).await.unwrap());
        file::rename(&folder.join("b"), &folder.join("c")).await.unwrap();
        file::sync_directory(&folder).await.unwrap();
        let entries = file::list(&folder).await.unwrap();
        let entries: Vec<_> = entries.iter().map(|entry| (&*entry.name, entry.bytes)).collect();
        assert_eq!(entries, [("a", 8192), ("c", 4096), ("x", 0)]);
        file::remove(&folder.join("c")).await.unwrap();
        let again = file::remove(&folder.join("c")).await.unwrap_err();
        assert_eq!(again.kind, IoErrorKind::NotFound);
        assert!(file::free_bytes(&folder).await.unwrap() > PAGE);
        let missing = file::list(&folder.join("missing")).await.unwrap_err();
        assert_eq!(missing.kind, IoErrorKind::NotFound);
    });
}

#[test]
fn a_directory_has_one_holder_of_its_lock() {
    let folder = directory("lock");
    let locked = folder.clone();
    on_a_core(move || async move {
        let held = file::lock_directory(&locked).await.unwrap();
        let refused = file::lock_directory(&locked).await.unwrap_err();
        assert_eq!(refused.kind, IoErrorKind::Locked);
        assert!(refused.to_string().contains("another process uses it"));
        drop(held);
        drop(file::lock_directory(&locked).await.unwrap());
    });
}

#[test]
fn readers_share_the_lock_of_a_directory_and_keep_its_user_out() {
    let folder = directory("lock-read");
    let locked = folder.clone();
    on_a_core(move || async move {
        assert!(file::lock_directory_to_read(&locked).await.unwrap().is_none());
        assert!(!file::exists(&locked.join("lock")).await.unwrap(), "nothing is created");
        let user = file::lock_directory(&locked).await.unwrap();
        let refused = file::lock_directory_to_read(&locked).await.unwrap_err();
        assert_eq!(refused.kind, IoErrorKind::Locked);
        drop(user);
        let reader = file::lock_directory_to_read(&locked).await.unwrap();
        let other = file::lock_directory_to_read(&locked).await.unwrap();
        assert!(reader.is_some() && other.is_some());
        let refused = file::lock_directory(&locked).await.unwrap_err();
        assert_eq!(refused.kind, IoErrorKind::Locked);
        drop((reader, other));
        drop(file::lock_directory(&locked).await.unwrap());
    });
}

#[test]
fn reading_a_folder_writes_no_probe_into_it() {
    let folder = directory("read-probe");
    std::fs::write(folder.join("small"), [7; 4096]).unwrap();
    std::fs::File::create(folder.join("empty")).unwrap().set_len(8192).unwrap();
    let read = folder.clone();
    let names = move || std::fs::read_dir(&folder).unwrap().count();
    let watched = std::fs::metadata(&read).unwrap().modified().unwrap();
    on_a_core_of_its_own({
        let read = read.clone();
        move || async move {
            for name in ["empty", "small", "empty"] {
                let file = file::open(&read.join(name), Access::Read).await.unwrap();
                let block = file.read(0, 4096).await.unwrap();
                assert!(block.iter().all(|byte| *byte == if name == "small" { 7 } else { 0 }));
            }
        }
    });
    assert_eq!(names(), 2);
    let after = std::fs::metadata(&read).unwrap().modified().unwrap();
    assert_eq!(after, watched, "a probe would have been made and removed");
}

#[test]
fn the_pool_is_used_up_given_back_and_never_dirty_where_zeros_are_promised() {
    on_a_core(|| async {
        let before = pool_bytes();
        assert_eq!(before.used, 0);
        assert_eq!(before.capacity, POOL_BYTES);
        for value in [1, 2] {
            let mut buffers: Vec<Buffer> = Vec::new();
            while buffers.len() * (256 << 10) < 2 * POOL_BYTES {
                let buffer =
                    if value == 1 { Buffer::zeroed(256 << 10) } else { Buffer::reused(256 << 10) };
                buffers.push(buffer);
            }
            assert!(pool_bytes().used >= before.capacity / 2, "{:?}", pool_bytes());
            for buffer in &mut buffers {
                if value == 1 {
                    assert!(buffer.iter().all(|byte| *byte == 0));
                }
                buffer.fill(value);
            }
            drop(buffers);
            assert_eq!(pool_bytes().used, 0);
        }
        let odd = Buffer::zeroed(63 * 4096);
        assert!(odd.iter().all(|byte| *byte == 0), "cleared although it was used before");
        assert_eq!((odd.len(), odd.taken_bytes()), (63 * 4096, 64 * 4096));
        assert_eq!(pool_bytes().used, 64 * 4096);
    });
}
