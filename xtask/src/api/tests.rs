//! The comparison can fail, and does not fail where a user could not tell: on small crates, described by real rustdoc.

use std::process::Command;
use std::sync::OnceLock;

use super::*;

/// A crate with one of everything that a jobserver's API has.
const CRATE: &str = r#"
    mod error {
        #[derive(Debug)] pub struct Error { inner: u8 }
        impl std::fmt::Display for Error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{}", self.inner) }
        }
        impl std::error::Error for Error {}
        #[non_exhaustive] #[derive(Debug)] pub enum Kind { One, Two }
    }
    pub use error::{Error, Kind};
    #[derive(Clone, Debug)] pub struct Client { inner: std::sync::Arc<u8> }
    pub struct Found { pub client: Client }
    impl Client {
        pub fn new(limit: usize) -> std::io::Result<Client> { let _ = limit; panic!() }
        pub unsafe fn from_env() -> Option<Client> { None }
        pub fn help<F>(self, f: F) -> u8 where F: FnMut(u8) + Send + 'static { panic!() }
    }
"#;

fn surface(source: &str) -> Surface {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jobs.rs");
    fs::write(&file, source).unwrap();
    let output = Command::new("rustdoc")
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["--edition=2021", "-Zunstable-options", "--output-format=json", "--out-dir"])
        .args([dir.path(), &file])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = fs::read_to_string(dir.path().join("jobs.json")).unwrap();
    Surface::of(&serde_json::from_str(&json).unwrap()).unwrap()
}

/// The difference that replacing a part of [`CRATE`] makes.
fn difference(old: &str, new: &str) -> Difference {
    assert!(CRATE.contains(old), "{old}");
    static BEFORE: OnceLock<Surface> = OnceLock::new();
    Difference::between(BEFORE.get_or_init(|| surface(CRATE)), &surface(&CRATE.replace(old, new)))
}

#[track_caller]
fn is_missing(old: &str, new: &str, name: &str) {
    let found = difference(old, new);
    assert!(found.missing.iter().any(|missing| missing == name), "missing: {:?}", found.missing);
}

#[track_caller]
fn is_changed(old: &str, new: &str, name: &str) {
    let found = difference(old, new);
    assert_eq!(found.missing, Vec::<String>::new());
    assert_eq!(found.changed.iter().map(|changed| changed.0.as_str()).collect::<Vec<_>>(), [name]);
}

#[track_caller]
fn is_the_same(old: &str, new: &str) {
    let found = difference(old, new);
    assert!(found.missing.is_empty() && found.changed.is_empty(), "{:?} {:?}", found.missing, found.changed);
}

#[test]
fn a_crate_is_equal_to_itself_and_every_kind_of_item_is_seen() {
    is_the_same("limit", "limit");
    let names: Vec<String> = surface(CRATE).items.into_keys().collect();
    for name in [
        "mod jobs",
        "struct jobs::Client",
        "field jobs::Found::client",
        "enum jobs::Kind",
        "variant jobs::Kind::Two",
        "fn jobs::Client::help",
        "impl core::fmt::Display for jobs::Error",
        "impl core::error::Error for jobs::Error",
        "impl core::clone::Clone for jobs::Client",
        "impl core::marker::Send for jobs::Client",
        "impl core::panic::unwind_safe::UnwindSafe for jobs::Client",
        "impl alloc::string::ToString for jobs::Error",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:#?}");
    }
    assert!(!names.iter().any(|name| name.contains("inner") || name.contains("error::Kind")), "{names:#?}");
}

#[test]
fn what_is_removed_is_missing() {
    is_missing("pub fn new", "fn new", "fn jobs::Client::new");
    is_missing("One, Two", "One", "variant jobs::Kind::Two");
    is_missing("pub client", "client", "field jobs::Found::client");
    is_missing("{Error, Kind}", "{Error}", "enum jobs::Kind");
}

#[test]
fn a_trait_that_is_no_longer_implemented_is_missing() {
    is_missing("#[derive(Clone, Debug)]", "#[derive(Debug)]", "impl core::clone::Clone for jobs::Client");
    is_missing("std::sync::Arc<u8>", "std::rc::Rc<u8>", "impl core::marker::Sync for jobs::Client");
    is_missing("impl std::error::Error for Error {}", "", "impl core::error::Error for jobs::Error");
}

#[test]
fn another_signature_is_a_change() {
    is_changed("limit: usize", "limit: u32", "fn jobs::Client::new");
    is_changed("std::io::Result<Client>", "Option<Client>", "fn jobs::Client::new");
    is_changed("unsafe fn from_env", "fn from_env", "fn jobs::Client::from_env");
    is_changed("FnMut(u8) + Send", "FnMut(u8) + Send + Sync", "fn jobs::Client::help");
    is_changed("self, f: F", "&self, f: F", "fn jobs::Client::help");
}

#[test]
fn what_a_literal_or_a_match_would_notice_is_a_change() {
    is_changed("pub struct Found", "#[non_exhaustive] pub struct Found", "struct jobs::Found");
    is_changed("pub client: Client", "pub client: Client, pub more: u8", "struct jobs::Found");
    is_changed("pub client: Client", "pub client: Client, more: u8", "struct jobs::Found");
    is_changed("#[non_exhaustive]", "", "enum jobs::Kind");
}

#[test]
fn names_of_arguments_and_the_place_of_bounds_are_no_change() {
    is_the_same("limit", "n");
    is_the_same("std::io::Result<Client>", "std::io::Result<Self>");
    is_the_same(
        "help<F>(self, f: F) -> u8 where F: FnMut(u8) + Send + 'static",
        "help<G: Send + 'static>(self, g: G) -> u8 where G: FnMut(u8)",
    );
}

#[test]
fn additions_are_listed_and_no_change() {
    let found = difference("impl Client {", "impl Client { pub fn more(&self) {}");
    assert!(found.missing.is_empty() && found.changed.is_empty());
    assert_eq!(found.added, ["fn jobs::Client::more"]);
    is_the_same("One, Two", "One, Two, Three");
}
