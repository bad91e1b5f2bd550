//! What the manifests say: the table of who may import whom, and that every dependency is declared
//! once, in the root, with its reason.

use crate::{Violation, at_line, in_file};
use toml::{Table, Value};

/// Who may import whom among our own packages (engine/ARCHITECTURE.md). `bench` and everything in
/// `tests/` may import any; nobody may import those, nor `loadgen`.
const IMPORTS: [(&str, &[&str]); 7] = [
    ("digest", &[]),
    ("model", &["digest"]),
    ("runtime", &[]),
    ("wire", &["model"]),
    ("storage", &["model", "runtime"]),
    ("gyre", &["digest", "model", "runtime", "storage", "wire"]),
    ("loadgen", &["digest", "model", "wire", "runtime", "gyre"]),
];

/// The only package that may name it, so that there is one seam to the kernel.
const KERNEL_CRATE: (&str, &str) = ("io-uring", "runtime");

/// A member's manifest.
#[derive(Debug)]
pub struct Manifest<'a> {
    /// Path from the root, as `engine/model/Cargo.toml`.
    pub path: &'a str,
    /// The file as it is.
    pub text: &'a str,
}

/// A dependency as a manifest names it.
struct Dependency {
    /// The package, not the name it was given here.
    package: String,
    /// What the manifest calls it.
    key: String,
    inherited: bool,
}

/// Every rule about the members' manifests.
#[must_use]
pub fn check_members(manifests: &[Manifest<'_>]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut parsed = Vec::new();
    for manifest in manifests {
        match manifest.text.parse::<Table>() {
            Ok(table) => parsed.push((manifest, table)),
            Err(error) => violations.push(in_file(manifest.path, error.to_string())),
        }
    }
    let ours: Vec<String> = parsed.iter().filter_map(|(_, table)| package_name(table)).collect();
    for (manifest, table) in &parsed {
        violations.extend(check_member(manifest, table, &ours));
    }
    violations
}

fn check_member(manifest: &Manifest<'_>, table: &Table, ours: &[String]) -> Vec<Violation> {
    let Some(name) = package_name(table) else {
        return vec![in_file(manifest.path, "has no package name".to_owned())];
    };
    let mut violations = Vec::new();
    let folder = manifest.path.rsplit('/').nth(1).unwrap_or("");
    let folder_name = if manifest.path == "engine/server/Cargo.toml" { "gyre" } else { folder };
    if name != folder_name {
        let rule = format!("folder = crate: `{name}` stands in `{folder}`");
        violations.push(in_file(manifest.path, rule));
    }
    let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(Value::as_bool) != Some(true) {
        let rule = "takes no part in the lints: add `[lints] workspace = true`";
        violations.push(in_file(manifest.path, rule.to_owned()));
    }
    let allowed = allowed_imports(manifest.path, &name);
    for dependency in dependencies(table) {
        let at = line_of(manifest.text, &dependency.key);
        let mut refuse = |rule: String| violations.push(at_line(manifest.path, at, rule));
        let package = &dependency.package;
        if ours.contains(package) {
            match &allowed {
                Imports::Any if is_engine(package) => {}
                Imports::Only(list) if list.contains(&package.as_str()) => {}
                Imports::Unknown => refuse(format!("`{name}` is not in the import table")),
                Imports::Any | Imports::Only(_) => {
                    refuse(format!("`{name}` may not import `{package}`"));
                }
            }
        }
        if package == KERNEL_CRATE.0 && name != KERNEL_CRATE.1 {
            refuse(format!("only `{}` may name `{package}`", KERNEL_CRATE.1));
        }
        if !dependency.inherited {
            let rule = "is declared here: declare it in the root with its reason and write";
            refuse(format!("`{package}` {rule} `workspace = true`"));
        }
    }
    violations
}

/// What one package may import of ours.
enum Imports {
    Any,
    Only(&'static [&'static str]),
    Unknown,
}

fn allowed_imports(path: &str, name: &str) -> Imports {
    if path.starts_with("bench/") || path.starts_with("tests/") {
        return Imports::Any;
    }
    match IMPORTS.iter().find(|(package, _)| *package == name) {
        Some((_, allowed)) => Imports::Only(allowed),
        None => Imports::Unknown,
    }
}

/// Packages that the tests may build on; the judge is a program, and the tests are leaves.
fn is_engine(package: &str) -> bool {
    IMPORTS.iter().any(|(name, _)| *name == package)
}

fn package_name(table: &Table) -> Option<String> {
    table.get("package")?.get("name")?.as_str().map(str::to_owned)
}

/// Dependencies of every kind and of every target.
fn dependencies(table: &Table) -> Vec<Dependency> {
    let mut found = Vec::new();
    let targets = table.get("target").and_then(Value::as_table);
    let tables =
        targets.into_iter().flat_map(|targets| targets.values().filter_map(Value::as_table));
    for table in tables.chain([table]) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = table.get(kind).and_then(Value::as_table);
            for (key, value) in entries.into_iter().flatten() {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
                let inherited = value.get("workspace").and_then(Value::as_bool) == Some(true);
                found.push(Dependency { package: package.to_owned(), key: key.clone(), inherited });
            }
        }
    }
    found
}

/// The line that declares `key`, for the reader's eye; 0 when it is spelled in a way we do not see.
fn line_of(text: &str, key: &str) -> usize {
    let declares = |line: &str| {
        let rest = line.trim_start().trim_start_matches('"').strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start_matches('"').starts_with([' ', '=', '.']))
    };
    text.lines().position(declares).map_or(0, |index| index + 1)
}

/// In the root, a comment right above each dependency of other people's says what it saves us.
#[must_use]
pub fn check_reasons(text: &str) -> Vec<Violation> {
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => return vec![in_file("Cargo.toml", error.to_string())],
    };
    let entries = table.get("workspace").and_then(|w| w.get("dependencies"));
    let mut violations = Vec::new();
    for (key, value) in entries.and_then(Value::as_table).into_iter().flatten() {
        if value.get("path").is_some() {
            continue;
        }
        let at = line_of(text, key);
        let above = text.lines().nth(at.saturating_sub(2)).unwrap_or("");
        if at < 2 || !above.trim_start().starts_with("# ") {
            let rule = format!("`{key}` has no comment right above it that says what it saves us");
            violations.push(at_line("Cargo.toml", at, rule));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn member(name: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{LINTS}{dependencies}")
    }

    /// `path` holds `text` in a workspace that has the engine's crates and a test crate.
    fn check(path: &str, text: &str, expected: &[&str]) {
        let others = ["digest", "model", "runtime", "storage"].map(|name| member(name, ""));
        let paths =
            ["digest", "model", "runtime", "storage"].map(|n| format!("engine/{n}/Cargo.toml"));
        let gyre = member("gyre", "");
        let tidy = member("tidy", "");
        let loadgen = member("loadgen", "");
        let mut manifests: Vec<Manifest<'_>> =
            paths.iter().zip(&others).map(|(path, text)| Manifest { path, text }).collect();
        manifests.push(Manifest { path: "engine/server/Cargo.toml", text: &gyre });
        manifests.push(Manifest { path: "tests/tidy/Cargo.toml", text: &tidy });
        manifests.push(Manifest { path: "loadgen/Cargo.toml", text: &loadgen });
        manifests.retain(|manifest| manifest.path != path);
        manifests.push(Manifest { path, text });
        let found: Vec<String> =
            check_members(&manifests).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(path), "{found}");
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn arrows_outside_the_table_are_refused() {
        let with = |name: &str, on: &str| {
            member(name, &format!("[dependencies]\n{on} = {{ workspace = true }}\n"))
        };
        check("engine/model/Cargo.toml", &with("model", "digest"), &[]);
        check(
            "engine/model/Cargo.toml",
            &with("model", "runtime"),
            &[":6: `model` may not import"],
        );
        check("engine/runtime/Cargo.toml", &with("runtime", "model"), &["may not import `model`"]);
        check(
            "engine/storage/Cargo.toml",
            &with("storage", "digest"),
            &["may not import `digest`"],
        );
        check("engine/server/Cargo.toml", &with("gyre", "storage"), &[]);
        check("loadgen/Cargo.toml", &with("loadgen", "storage"), &["may not import `storage`"]);
        check("loadgen/Cargo.toml", &with("loadgen", "gyre"), &[]);
        check("tests/crash/Cargo.toml", &with("crash", "storage"), &[]);
        check("tests/crash/Cargo.toml", &with("crash", "tidy"), &["may not import `tidy`"]);
        check("bench/Cargo.toml", &with("bench", "loadgen"), &[]);
        check("engine/extra/Cargo.toml", &with("extra", "model"), &["not in the import table"]);
    }

    #[test]
    fn arrows_of_tests_targets_and_renames_count() {
        let dev = member("storage", "[dev-dependencies]\ndigest.workspace = true\n");
        check("engine/storage/Cargo.toml", &dev, &[":6: `storage` may not import `digest`"]);
        let target = "[target.'cfg(unix)'.build-dependencies]\ndigest.workspace = true\n";
        check(
            "engine/storage/Cargo.toml",
            &member("storage", target),
            &["may not import `digest`"],
        );
        let renamed = "[dependencies]\nd = { workspace = true, package = \"digest\" }\n";
        check(
            "engine/storage/Cargo.toml",
            &member("storage", renamed),
            &["may not import `digest`"],
        );
    }

    #[test]
    fn the_kernel_has_one_door() {
        let text = |name: &str| member(name, "[dependencies]\nio-uring.workspace = true\n");
        check("engine/runtime/Cargo.toml", &text("runtime"), &[]);
        check(
            "engine/storage/Cargo.toml",
            &text("storage"),
            &["only `runtime` may name `io-uring`"],
        );
        check("tests/crash/Cargo.toml", &text("crash"), &["only `runtime` may name `io-uring`"]);
    }

    #[test]
    fn house_rules_of_a_manifest() {
        let versioned = member("model", "[dependencies]\nserde = \"1\"\n");
        check("engine/model/Cargo.toml", &versioned, &["`serde` is declared here"]);
        check(
            "engine/model/Cargo.toml",
            "[package]\nname = \"model\"\n",
            &["no part in the lints"],
        );
        check("engine/nouns/Cargo.toml", &member("model", ""), &["folder = crate"]);
        check("engine/server/Cargo.toml", &member("server", ""), &["folder = crate"]);
    }

    #[test]
    fn each_dependency_of_the_root_has_its_reason() {
        let check = |body: &str, expected: usize| {
            let text = format!("[workspace.dependencies]\n{body}");
            assert_eq!(check_reasons(&text).len(), expected, "{text}");
        };
        check("model = { path = \"engine/model\" }\n", 0);
        check("# Reads JSON.\nserde_json = \"1\"\n", 0);
        check("# Reads JSON.\nserde_json = { version = \"1\", features = [\n  \"std\",\n] }\n", 0);
        check("serde_json = \"1\"\n", 1);
        check("# Both.\nserde = \"1\"\nserde_json = \"1\"\n", 1);
    }
}
