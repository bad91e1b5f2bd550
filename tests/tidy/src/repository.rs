//! The tracked files of this repository. Files that git does not track are nobody's business here:
//! build output and a developer's notes may lie about.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tracked file that exists in the working tree.
#[derive(Debug)]
pub struct TrackedFile {
    /// Path from the root, with `/`.
    pub path: String,
    /// The content; `None` where it is not UTF-8.
    pub text: Option<String>,
}

/// The root of the repository that this crate was built from.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).expect("this crate lives at tests/tidy");
    root.to_path_buf()
}

/// All tracked files that exist in the working tree, sorted by path.
///
/// # Errors
/// Git cannot be run, it refuses the folder, or a tracked file cannot be read.
pub fn tracked_files(root: &Path) -> io::Result<Vec<TrackedFile>> {
    let output = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z"]).output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(reason));
    }
    let listing = String::from_utf8_lossy(&output.stdout);
    let mut files = Vec::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        let absolute = root.join(path);
        // A deleted file stays in the index until the next commit.
        if absolute.is_file() {
            let text = String::from_utf8(fs::read(&absolute)?).ok(); // not UTF-8: no text
            files.push(TrackedFile { path: path.to_owned(), text });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
