//! Compiles `c/*.c` with cc, as many at once as the pool has slots for: cc takes a token from it for each compiler
//! beyond the first. Nothing here says how many; that is the point.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir("c")? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    // The order of a directory is the file system's; a build should not depend on it.
    files.sort();
    let mut build = cc::Build::new();
    let compiler = build.get_compiler();
    assert!(compiler.is_like_gnu() || compiler.is_like_clang(), "cc did not recognise the compiler behind the wrapper");
    build.files(&files).include("..").compile("numbers");
    println!("cargo:rerun-if-changed=c");
    Ok(())
}
