//! Where a run is kept: a folder with `run.json scenario.toml latency.hlog series.csv shards.csv`.
//!
//! Each file is written under another name, flushed, and renamed; run.json comes last, so that a
//! folder with a run.json is whole. A disk that fills up leaves no half file behind, and what was
//! measured has been printed before.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// More runs than this of one second and commit are not tried for a free name.
const NAMES_TRIED_MAX: u32 = 1_000;

/// What stands in the name of a file until it is whole.
const UNFINISHED: &str = "unfinished";

/// The contents of a run's folder.
#[derive(Clone, Debug)]
pub struct RunFiles {
    /// The document.
    pub run_json: String,
    /// The resolved scenario.
    pub scenario_toml: String,
    /// All latencies.
    pub latency_hlog: Vec<u8>,
    /// Counters by time.
    pub series_csv: String,
    /// Counters by shard.
    pub shards_csv: String,
}

/// Where a run belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder that was named, as it is.
    Folder(PathBuf),
    /// `results/local/…`, ignored by git, or `results/runs/…` where it is published.
    Results {
        /// The folder that holds `results`.
        root: PathBuf,
        /// Whether it is to be committed.
        is_published: bool,
        /// The machine.
        hw_id: String,
        /// The scenario's name.
        scenario: String,
        /// Time and commit.
        name: String,
    },
}

/// Why a run could not be saved.
#[derive(Debug)]
pub struct SaveError {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's reason.
    pub error: io::Error,
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "the run could not be saved: {path}: {}", self.error)?;
        match self.error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                f.write_str("; make room, or name a folder elsewhere with -o DIR")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                f.write_str("; name a folder that can be written with -o DIR")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for SaveError {}

/// Writes a run's folder and returns it.
///
/// # Errors
/// The first file or folder that could not be written. Whole files written before it stay; run.json
/// is not among them.
pub fn save(place: &Place, files: &RunFiles) -> Result<PathBuf, SaveError> {
    let folder = match place {
        Place::Folder(folder) => {
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
            folder.clone()
        }
        Place::Results { root, is_published, hw_id, scenario, name } => {
            let kind = if *is_published { "runs" } else { "local" };
            let parent = root.join("results").join(kind).join(plain(hw_id)).join(plain(scenario));
            new_folder(&parent, &plain(name))?
        }
    };
    let contents: [(&str, &[u8]); 5] = [
        ("scenario.toml", files.scenario_toml.as_bytes()),
        ("latency.hlog", &files.latency_hlog),
        ("series.csv", files.series_csv.as_bytes()),
        ("shards.csv", files.shards_csv.as_bytes()),
        ("run.json", files.run_json.as_bytes()),
    ];
    for (name, content) in contents {
        write_whole(&folder, name, content)?;
    }
    Ok(folder)
}

/// A folder that was not there before: a second run of the same second gets "-2".
fn new_folder(parent: &Path, name: &str) -> Result<PathBuf, SaveError> {
    fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    let mut attempt = 1;
    loop {
        let numbered = if attempt == 1 { name.to_owned() } else { format!("{name}-{attempt}") };
        let folder = parent.join(numbered);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && attempt < NAMES_TRIED_MAX =>
            {
                attempt += 1;
            }
            Err(error) => return Err(failed(&folder, error)),
        }
    }
}

fn write_whole(folder: &Path, name: &str, content: &[u8]) -> Result<(), SaveError> {
    let path = folder.join(name);
    let unfinished = folder.join(format!(".{name}.{UNFINISHED}"));
    let written =
        write_and_flush(&unfinished, content).and_then(|()| fs::rename(&unfinished, &path));
    written.map_err(|error| {
        // The reason to tell is the first one; half a file may be left where this fails as well.
        let _removed = fs::remove_file(&unfinished).is_ok();
        failed(&path, error)
    })
}

fn write_and_flush(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_data()
}

fn failed(path: &Path, error: io::Error) -> SaveError {
    SaveError { path: path.to_path_buf(), error }
}

/// A name that is one folder and stays in its parent: letters, digits, dot, dash, underscore.
fn plain(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    if name.chars().all(|c| c == '.') { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> RunFiles {
        RunFiles {
            run_json: "{}\n".to_owned(),
            scenario_toml: "schema = 1\n".to_owned(),
            latency_hlog: b"#\n".to_vec(),
            series_csv: "at_s\n".to_owned(),
            shards_csv: "id\n".to_owned(),
        }
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    const ALL: [&str; 5] =
        ["latency.hlog", "run.json", "scenario.toml", "series.csv", "shards.csv"];

    #[test]
    fn a_run_has_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let place = |is_published| Place::Results {
            root: root.path().to_path_buf(),
            is_published,
            hw_id: "0123456789ab".to_owned(),
            scenario: "../in gest".to_owned(),
            name: "20261125T074502Z-abcdef0".to_owned(),
        };
        let local = root.path().join("results/local/0123456789ab/..-in-gest");
        let first = save(&place(false), &files()).unwrap();
        assert_eq!(first, local.join("20261125T074502Z-abcdef0"));
        assert_eq!(names_in(&first), ALL);
        let second = save(&place(false), &files()).unwrap();
        assert_eq!(second, local.join("20261125T074502Z-abcdef0-2"));
        let published = save(&place(true), &files()).unwrap();
        assert!(published.starts_with(root.path().join("results/runs/0123456789ab")));
        assert_eq!(fs::read(published.join("run.json")).unwrap(), b"{}\n");
    }

    #[test]
    fn a_named_folder_is_taken_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let place = Place::Folder(folder.clone());
        assert_eq!(save(&place, &files()).unwrap(), folder);
        let mut changed = files();
        changed.run_json = "{\"a\": 1}\n".to_owned();
        save(&place, &changed).unwrap();
        assert_eq!(names_in(&folder), ALL);
        assert_eq!(fs::read(folder.join("run.json")).unwrap(), b"{\"a\": 1}\n");
    }

    #[test]
    fn what_cannot_be_written_is_told_and_leaves_no_half_file() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("run");
        // A folder in the way of a file: the rename fails as a full disk would.
        fs::create_dir_all(folder.join("series.csv/in the way")).unwrap();
        let error = save(&Place::Folder(folder.clone()), &files()).unwrap_err();
        assert!(error.to_string().contains("series.csv"), "{error}");
        assert_eq!(names_in(&folder), ["latency.hlog", "scenario.toml", "series.csv"]);
        let full = SaveError { path: folder, error: io::ErrorKind::StorageFull.into() };
        assert!(full.to_string().contains("make room, or name a folder elsewhere with -o DIR"));
    }

    #[test]
    fn a_name_stays_in_its_folder() {
        let check = |name: &str, expected: &str| assert_eq!(plain(name), expected);
        check("ingest-1k_128.sh", "ingest-1k_128.sh");
        check("../../etc", "..-..-etc");
        check("..", "unnamed");
        check("", "unnamed");
        check("größe", "gr--e");
    }
}
