//! Words that must not be committed: open ends, and paths of somebody's machine.

use crate::{Violation, at_line};

/// Each word with the rule it breaks. Spelled in halves: this file is searched as well.
const OPEN_ENDS: [(&str, &str); 7] = [
    (concat!("to", "do!"), "finish it or leave it out"),
    (concat!("unimple", "mented!"), "finish it or leave it out"),
    (concat!("TO", "DO"), "finish it or say in the docs what is missing"),
    (concat!("FIX", "ME"), "finish it or say in the docs what is missing"),
    (concat!("XX", "X"), "finish it or say in the docs what is missing"),
    (concat!("#[", "ignore"), "a test runs or does not exist"),
    (concat!("dbg", "!("), "left over from debugging"),
];

/// Folders that exist on one machine only.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Open ends and machine paths in one file. `results/` is evidence, not text of ours, and the
/// lock file is cargo's.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    if path.starts_with("results/runs/") || path == "Cargo.lock" {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (word, remedy) in OPEN_ENDS {
            if line.contains(word) {
                violations.push(at_line(path, number + 1, format!("`{word}`: {remedy}")));
            }
        }
        for word in MACHINE_PATHS {
            if line.contains(word) {
                let rule = format!("`{word}` is a path of one machine");
                violations.push(at_line(path, number + 1, rule));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn each_word_is_found_at_its_line() {
        for (word, _) in super::OPEN_ENDS {
            let text = format!("//! A file.\nfn a() {{ {word} }}\n");
            assert!(check("engine/a.rs", &text).iter().all(|v| v.line == 2));
            assert!(!check("engine/a.rs", &text).is_empty(), "{word}");
            assert!(check("Cargo.lock", &text).is_empty());
        }
        for word in super::MACHINE_PATHS {
            assert_eq!(check("engine/a.md", &format!("see {word}x")).len(), 1);
        }
        assert!(check("engine/a.rs", "//! Nothing open here.\n").is_empty());
    }
}
