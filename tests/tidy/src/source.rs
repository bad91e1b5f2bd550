//! What the syntax of a source file says: lengths, the ban on `unsafe`, reasons of `#[allow]`,
//! imports. That `forbid(unsafe_code)` holds is the compiler's business; that it stands is ours.
//!
//! Code inside `macro_rules!` is not parsed; the manifest rules and clippy still see its effects.

use crate::{Violation, at_line, in_file};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// The crates with a licence for `unsafe`; every other crate root forbids it.
const UNSAFE_ALLOWED: [&str; 2] = ["engine/runtime/", "engine/digest/"];

/// Every rule about one `.rs` file. `is_root`: the file is the root of a crate (a library, a
/// binary, a test, a benchmark, an example, a build script).
#[must_use]
pub fn check(path: &str, text: &str, is_root: bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        let rule = format!("has {lines} lines; {FILE_LINES_MAX} at most");
        violations.push(in_file(path, rule));
    }
    if !text.starts_with("//! ") {
        let rule = "must open with `//!`: what it is and what it must never do";
        violations.push(at_line(path, 1, rule.to_owned()));
    }
    let file = match syn::parse_file(text) {
        Ok(file) => file,
        Err(error) => {
            let line = error.span().start().line;
            violations.push(at_line(path, line, format!("does not parse: {error}")));
            return violations;
        }
    };
    let may_be_unsafe = UNSAFE_ALLOWED.iter().any(|prefix| path.starts_with(prefix));
    if is_root && !may_be_unsafe && !forbids_unsafe(&file.attrs) {
        let rule = "is a crate root without `#![forbid(unsafe_code)]`";
        violations.push(in_file(path, rule.to_owned()));
    }
    let mut walk = Walk { path, violations };
    walk.visit_file(&file);
    walk.violations
}

/// Whether a path is the root of a crate by cargo's conventions.
#[must_use]
pub fn is_crate_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let [.., folder, name] = parts.as_slice() else {
        return false;
    };
    let above = parts.len().checked_sub(3).map_or("", |index| parts[index]);
    match (above, *folder, *name) {
        (_, "src", "lib.rs" | "main.rs") | (_, _, "build.rs") => true,
        ("src", "bin", _) | (_, "benches" | "examples", _) => true,
        ("bin", _, "main.rs") => true,
        // `tests/` of a package; the repository's own `tests/` holds packages, not files.
        (_, "tests", _) => parts.len() > 2,
        _ => false,
    }
}

fn forbids_unsafe(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("forbid")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string().contains("unsafe_code"))
    })
}

struct Walk<'a> {
    path: &'a str,
    violations: Vec<Violation>,
}

impl Walk<'_> {
    fn refuse(&mut self, span: Span, rule: String) {
        self.violations.push(at_line(self.path, span.start().line, rule));
    }

    fn check_function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let start = signature.fn_token.span.start().line;
        let end = block.brace_token.span.close().end().line;
        let lines = end + 1 - start;
        if lines > FUNCTION_LINES_MAX {
            let name = &signature.ident;
            let rule = format!("`{name}` has {lines} lines; {FUNCTION_LINES_MAX} at most");
            self.refuse(signature.fn_token.span, rule);
        }
    }

    /// A path by its first two segments, from a `use` or from an expression.
    fn check_path(&mut self, first: &syn::Ident, second: Option<&syn::Ident>) {
        if first == "io_uring" && !self.path.starts_with("engine/runtime/") {
            let rule = "only `runtime` may import io_uring";
            self.refuse(first.span(), rule.to_owned());
        }
        let judge = self.path.starts_with("loadgen/");
        if judge && first == "gyre" && second.is_none_or(|name| name != "embed") {
            let rule = "loadgen may use nothing of the server but `gyre::embed`";
            self.refuse(first.span(), rule.to_owned());
        }
    }

    /// `allow` and `expect` among the tokens of an attribute, `cfg_attr` included.
    fn check_allow(&mut self, attribute: &syn::Attribute) {
        let (name, tokens) = match &attribute.meta {
            syn::Meta::List(list) => (&list.path, list.tokens.clone()),
            _ => return,
        };
        let is_allow = name.is_ident("allow") || name.is_ident("expect");
        let nested = name.is_ident("cfg_attr") && names_allow(tokens.clone());
        if (is_allow || nested) && !tokens.to_string().contains("reason =") {
            let rule = "an `#[allow]` carries `reason = \"...\"`";
            self.refuse(attribute.pound_token.span, rule.to_owned());
        }
    }
}

fn names_allow(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(name) => name == "allow" || name == "expect",
        _ => false,
    })
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        self.check_allow(attribute);
        visit::visit_attribute(self, attribute);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check_function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check_function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.check_function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        let seconds: Vec<Option<&syn::Ident>> = match &*path.tree {
            syn::UseTree::Group(group) => group.items.iter().map(first_name).collect(),
            tree => vec![first_name(tree)],
        };
        for second in seconds {
            self.check_path(&path.ident, second);
        }
        visit::visit_use_path(self, path);
    }

    fn visit_use_name(&mut self, name: &'ast syn::UseName) {
        if name.ident == "io_uring" {
            self.check_path(&name.ident, None);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.check_path(&path.segments[0].ident, Some(&path.segments[1].ident));
        }
        visit::visit_path(self, path);
    }
}

fn first_name(tree: &syn::UseTree) -> Option<&syn::Ident> {
    match tree {
        syn::UseTree::Path(path) => Some(&path.ident),
        syn::UseTree::Name(name) => Some(&name.ident),
        syn::UseTree::Rename(rename) => Some(&rename.ident),
        syn::UseTree::Glob(_) | syn::UseTree::Group(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "//! A crate.\n#![forbid(unsafe_code)]\n";

    fn check_text(path: &str, text: &str, expected: &[&str]) {
        let found: Vec<String> =
            check(path, text, is_crate_root(path)).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    call();\n".repeat(lines - 2))
    }

    #[test]
    fn lengths_have_bounds() {
        let path = "engine/model/src/limits.rs";
        check_text(path, &format!("//! A file.\n{}", function("a", 70)), &[]);
        let long = format!("//! A file.\n{}", function("a", 71));
        check_text(path, &long, &["limits.rs:2: `a` has 71 lines; 70 at most"]);
        let method = format!("//! A file.\nimpl A {{\n{}}}\n", function("a", 71));
        check_text(path, &method, &["limits.rs:3: `a` has 71 lines"]);
        let given = format!("//! A file.\ntrait A {{\n{}}}\n", function("a", 71));
        check_text(path, &given, &["limits.rs:3: `a` has 71 lines"]);
        check_text(path, &format!("//! A file.\n{}", "\n".repeat(599)), &[]);
        check_text(path, &format!("//! A file.\n{}", "\n".repeat(600)), &["has 601 lines"]);
    }

    #[test]
    fn every_file_opens_with_its_purpose() {
        check_text("engine/model/src/limits.rs", "fn a() {}\n", &["limits.rs:1: must open with"]);
        check_text("engine/model/src/limits.rs", "/// A.\nfn a() {}\n", &["must open with"]);
    }

    #[test]
    fn every_root_forbids_unsafe_code() {
        let bare = "//! A crate.\n";
        let rule = ["is a crate root without"];
        check_text("engine/model/src/lib.rs", ROOT, &[]);
        check_text("engine/model/src/lib.rs", bare, &rule);
        check_text("engine/runtime/src/lib.rs", bare, &[]);
        check_text("engine/digest/benches/md5.rs", bare, &[]);
        check_text("engine/model/src/limits.rs", bare, &[]);
        for root in [
            "loadgen/src/main.rs",
            "loadgen/src/bin/stub.rs",
            "loadgen/src/bin/stub/main.rs",
            "bench/benches/md5.rs",
            "engine/model/tests/golden.rs",
            "engine/model/build.rs",
            "tests/tidy/src/lib.rs",
            "tests/tidy/tests/house.rs",
        ] {
            check_text(root, bare, &rule);
        }
        for module in ["tests/tidy/src/words.rs", "loadgen/src/bin/stub/a.rs", "bench/src/a.rs"] {
            check_text(module, bare, &[]);
        }
    }

    #[test]
    fn an_allowance_has_its_reason() {
        let path = "engine/model/src/limits.rs";
        check_text(path, "//! A.\n#[allow(dead_code, reason = \"why\")]\nfn a() {}\n", &[]);
        check_text(
            path,
            "//! A.\n#[allow(dead_code)]\nfn a() {}\n",
            &["limits.rs:2: an `#[allow]`"],
        );
        check_text(path, "//! A.\n#![expect(dead_code)]\n", &["an `#[allow]`"]);
        check_text(
            path,
            "//! A.\n#[cfg_attr(test, allow(dead_code))]\nfn a() {}\n",
            &["an `#[allow]`"],
        );
    }

    #[test]
    fn imports_that_the_manifest_cannot_see() {
        let rule = "only `runtime` may import io_uring";
        let path = "engine/storage/src/log.rs";
        check_text(path, "//! A.\nuse io_uring::opcode;\n", &[rule]);
        check_text(path, "//! A.\nuse io_uring;\n", &[rule]);
        check_text(path, "//! A.\nfn a() { io_uring::opcode::b(); }\n", &[rule]);
        check_text("engine/runtime/src/file.rs", "//! A.\nuse io_uring::opcode;\n", &[]);
        let rule = "loadgen may use nothing of the server but";
        let path = "loadgen/src/drive.rs";
        check_text(path, "//! A.\nuse gyre::embed::Engine;\n", &[]);
        check_text(path, "//! A.\nuse gyre::{embed::Engine, embed};\n", &[]);
        check_text(path, "//! A.\nuse gyre::router::Router;\n", &[rule]);
        check_text(path, "//! A.\nuse gyre::{embed::Engine, router};\n", &[rule]);
        check_text(path, "//! A.\nuse gyre::*;\n", &[rule]);
        check_text(path, "//! A.\nfn a() { gyre::shard::open(); }\n", &[rule]);
    }
}
