//! Where a run comes from: the commit of the checkout that it was started in, the binary's hash, a
//! name of its own. What cannot be had is "unknown", and a run does not fail for it.

use crate::scenario::hex;
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// What stands where something could not be found out.
pub const UNKNOWN: &str = "unknown";

/// Folders whose changes make another program; results and texts do not.
const SOURCES: [&str; 6] = ["engine", "loadgen", "bench/rows", "tests", "Cargo.toml", "Cargo.lock"];

const COMMIT_DIGITS_SHORT: usize = 7;
const BINARY_BUFFER_BYTES: usize = 256 << 10;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The checkout's commit, "-dirty" behind it where sources differ from it; else "unknown".
    pub git: String,
    /// SHA-256 of the running binary in hex; else "unknown".
    pub binary_sha256: String,
}

impl Provenance {
    /// Asks git and reads the binary.
    #[must_use]
    pub fn find(checkout: Option<&Path>) -> Self {
        // Why it cannot be read does not matter: the report says that it is not known.
        let binary = std::env::current_exe().and_then(|path| sha256_of(&path)).ok();
        Self {
            git: checkout.and_then(commit_of).unwrap_or_else(|| UNKNOWN.to_owned()),
            binary_sha256: binary.unwrap_or_else(|| UNKNOWN.to_owned()),
        }
    }

    /// Of this process: the checkout that it was started in, and its own binary.
    #[must_use]
    pub fn own() -> Self {
        Self::find(checkout().as_deref())
    }

    /// The commit in seven digits, for names of folders.
    #[must_use]
    pub fn git_short(&self) -> &str {
        let is_commit = self.git.bytes().take(COMMIT_DIGITS_SHORT).all(|b| b.is_ascii_hexdigit());
        if is_commit { &self.git[..COMMIT_DIGITS_SHORT.min(self.git.len())] } else { UNKNOWN }
    }
}

/// The nearest folder at or above `start` that is a checkout of this project.
#[must_use]
pub fn checkout_above(start: &Path) -> Option<PathBuf> {
    let is_checkout = |folder: &&Path| {
        folder.join("loadgen/Cargo.toml").is_file() && folder.join("results").is_dir()
    };
    start.ancestors().find(is_checkout).map(Path::to_path_buf)
}

/// The checkout that this process was started in.
#[must_use]
pub fn checkout() -> Option<PathBuf> {
    // A working directory that was removed is in no checkout.
    std::env::current_dir().ok().and_then(|folder| checkout_above(&folder))
}

/// A moment as names of folders have it: `20261125T074502Z`.
#[must_use]
pub fn utc_compact(unix_ms: u64) -> String {
    utc(unix_ms).replace(['-', ':'], "")
}

/// A moment as RFC 3339 has it: `2026-11-25T07:45:02Z`.
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    humantime::format_rfc3339_seconds(moment(unix_ms)).to_string()
}

/// A moment of the wall clock.
#[must_use]
pub fn moment(unix_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(unix_ms)
}

fn commit_of(checkout: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        // Without git, or outside of a repository, there is no commit to be told.
        let output = Command::new("git").arg("-C").arg(checkout).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let mut question = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    question.extend(SOURCES);
    let is_dirty = git(&question).is_none_or(|changes| !changes.is_empty());
    Some(if is_dirty { format!("{commit}-dirty") } else { commit })
}

fn sha256_of(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BINARY_BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_two_forms() {
        assert_eq!(utc(1_795_592_702_999), "2026-11-25T07:45:02Z");
        assert_eq!(utc_compact(1_795_592_702_999), "20261125T074502Z");
    }

    #[test]
    fn what_is_not_there_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(checkout_above(folder.path()), None);
        let found = Provenance::find(Some(folder.path()));
        // A folder for temporary files may itself lie in a repository, but it is none of ours.
        assert!(found.git == UNKNOWN || found.git_short().len() == 7, "{found:?}");
        let found = Provenance::find(None);
        assert_eq!((found.git.as_str(), found.git_short()), (UNKNOWN, UNKNOWN));
        assert_eq!(found.binary_sha256.len(), 64);
    }

    #[test]
    fn a_checkout_is_found_from_below_and_tells_its_commit() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["results", "loadgen/src", "engine"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::fs::write(root.join("loadgen/Cargo.toml"), "a").unwrap();
        assert_eq!(checkout_above(&root.join("loadgen/src")).as_deref(), Some(root));
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
            let mut command = Command::new("git");
            command.arg("-C").arg(root).args(identity).args(arguments).output()
        };
        if git(&["init", "-q"]).is_err() {
            // No git here: exactly what the first test is about.
            assert_eq!(Provenance::find(Some(root)).git, UNKNOWN);
            return;
        }
        git(&["add", "."]).unwrap();
        git(&["commit", "-qm", "first"]).unwrap();
        let clean = Provenance::find(Some(root));
        assert_eq!((clean.git.len(), clean.git_short().len()), (40, 7));
        std::fs::write(root.join("results/run.json"), "{}").unwrap();
        assert_eq!(Provenance::find(Some(root)).git, clean.git, "results are not sources");
        std::fs::write(root.join("loadgen/Cargo.toml"), "b").unwrap();
        assert_eq!(Provenance::find(Some(root)).git, format!("{}-dirty", clean.git));
    }
}
