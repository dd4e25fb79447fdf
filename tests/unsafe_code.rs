//! `unsafe` is denied in the whole workspace. Where it is allowed all the same, it is written here with its reason.

use std::fs;
use std::path::Path;

/// Files that allow `unsafe`, each with its reason.
const ALLOWED: [(&str, &str); 8] = [
    ("src/heap.rs", "only the C library can be told how many heaps to keep"),
    ("src/model/engine.rs", "a shared library can only be asked for its version by calling into it"),
    ("src/model/type_info.rs", "the engine is a table of C functions"),
    ("src/ports/jack/process.rs", "a trait of the crate `jack` is unsafe to implement"),
    ("tests/no_allocation/guard.rs", "an allocator is unsafe by nature"),
    ("tests/service.rs", "a thread is held still with ptrace"),
    ("tools/train/src/matrix.rs", "vector intrinsics and the crate gemm take raw pointers"),
    ("tools/train/src/simd.rs", "vector instructions of the processor"),
];

/// Folders with Rust code of ours.
const FOLDERS: [&str; 6] = ["src", "tests", "benches", "examples", "tools", "fuzz"];

#[test]
fn unsafe_code_is_allowed_only_where_it_is_written_down_why() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lints = fs::read_to_string(root.join("Cargo.toml")).expect("there");
    assert!(lints.contains("unsafe_code = \"deny\""), "denied for all");
    for manifest in ["Cargo.toml", "tools/train/Cargo.toml", "fuzz/Cargo.toml"] {
        let text = fs::read_to_string(root.join(manifest)).expect("there");
        let is_bound = text.contains("[lints]\nworkspace = true") || text.contains("unsafe_code = \"deny\"");
        assert!(is_bound, "{manifest} is bound by the lints");
    }
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| collect(root, &root.join(folder), &mut found));
    found.sort_unstable();
    let allowed = ALLOWED.map(|(file, _)| file.to_owned());
    assert_eq!(found, allowed, "the list above says which files may allow it, and why");
}

/// The files that lift the lint, relative to `root`.
fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
    let this_test = Path::new(file!()).file_name();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && path.file_name() != this_test {
            let text = fs::read_to_string(&path).expect("text");
            // In an attribute, alone or among others.
            if text.lines().any(|line| line.contains("unsafe_code") && !line.trim_start().starts_with("//")) {
                let relative = path.strip_prefix(root).expect("inside");
                found.push(
                    relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"),
                );
            }
        }
    }
}
