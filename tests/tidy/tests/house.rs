//! The house rules, applied to every tracked file of this repository.

#![forbid(unsafe_code)]

use tidy::manifests::{Manifest, check_members, check_reasons};
use tidy::repository::{TrackedFile, root, tracked_files};
use tidy::{Violation, layout, source, words};

fn files() -> Vec<TrackedFile> {
    let files = tracked_files(&root()).expect("the tests run inside a git checkout");
    assert!(files.len() > 10, "git listed {} files: this is not the repository", files.len());
    files
}

fn texts(files: &[TrackedFile]) -> impl Iterator<Item = (&str, &str)> {
    files.iter().filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
}

fn report(mut violations: Vec<Violation>) {
    violations.sort();
    violations.dedup();
    let listing: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(listing.is_empty(), "{} house rules broken:\n{}", listing.len(), listing.join("\n"));
}

#[test]
fn the_top_level_is_exactly_the_list() {
    let files = files();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    report(layout::check_top_level(&paths));
}

#[test]
fn modules_are_files_beside_folders() {
    let files = files();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    report(layout::check_names(&paths));
}

#[test]
fn imports_follow_the_table() {
    let files = files();
    let is_member = |path: &str| path.ends_with("/Cargo.toml");
    let manifests: Vec<Manifest<'_>> = texts(&files)
        .filter(|(path, _)| is_member(path))
        .map(|(path, text)| Manifest { path, text })
        .collect();
    report(check_members(&manifests));
}

#[test]
fn each_dependency_has_its_reason() {
    let files = files();
    let root = texts(&files).find(|(path, _)| *path == "Cargo.toml");
    let (_, text) = root.expect("a workspace has a root manifest");
    report(check_reasons(text));
}

#[test]
fn sources_keep_the_house_rules() {
    let files = files();
    let sources = texts(&files).filter(|(path, _)| path.ends_with(".rs"));
    let check = |(path, text)| source::check(path, text, source::is_crate_root(path));
    report(sources.flat_map(check).collect());
}

#[test]
fn nothing_is_left_open() {
    let files = files();
    report(texts(&files).flat_map(|(path, text)| words::check(path, text)).collect());
}
