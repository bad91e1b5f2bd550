//! What stands at the top level, and names of files.

use crate::{Violation, in_file};

/// Everything that may stand at the top level beside dotfiles and dot-directories.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bench",
    "engine",
    "loadgen",
    "results",
    "tests",
];

/// The top level is exactly the list, dotfiles aside: nothing more and nothing missing.
#[must_use]
pub fn check_top_level(paths: &[&str]) -> Vec<Violation> {
    let mut found: Vec<&str> = paths.iter().filter_map(|path| path.split('/').next()).collect();
    found.sort_unstable();
    found.dedup();
    let mut violations = Vec::new();
    for name in &found {
        if !name.starts_with('.') && !TOP_LEVEL.contains(name) {
            let rule = "does not belong at the top level; the list is in tests/tidy/src/layout.rs";
            violations.push(in_file(name, rule.to_owned()));
        }
    }
    for name in TOP_LEVEL {
        if !found.contains(&name) {
            violations.push(in_file(name, "is missing at the top level".to_owned()));
        }
    }
    violations
}

/// A module is `foo.rs` beside `foo/`.
#[must_use]
pub fn check_names(paths: &[&str]) -> Vec<Violation> {
    let is_mod = |path: &&&str| path.rsplit('/').next() == Some("mod.rs");
    let rule = "a module is `foo.rs` beside `foo/`, never `mod.rs`";
    paths.iter().filter(is_mod).map(|path| in_file(path, rule.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(violations: &[Violation], expected: &[&str]) {
        let found: Vec<&str> = violations.iter().map(|v| v.file.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn top_level_is_exactly_the_list() {
        let whole: Vec<&str> = TOP_LEVEL.to_vec();
        check(&check_top_level(&whole), &[]);
        check(&check_top_level(&[&whole[..], &[".gitignore", ".ci/run"]].concat()), &[]);
        check(&check_top_level(&[&whole[..], &["docs/a.md"]].concat()), &["docs"]);
        check(&check_top_level(&[&whole[..], &["clippy.toml"]].concat()), &["clippy.toml"]);
        check(&check_top_level(&whole[1..]), &["Cargo.lock"]);
    }

    #[test]
    fn mod_rs_is_refused() {
        check(&check_names(&["engine/a/src/lib.rs", "engine/a/src/my_mod.rs"]), &[]);
        check(&check_names(&["engine/a/src/b/mod.rs"]), &["engine/a/src/b/mod.rs"]);
    }
}
