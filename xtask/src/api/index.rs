//! rustdoc's JSON with public names: what can be named from outside, and by which path.
//!
//! Names are those that a user writes, through modules and re-exports: a type that is re-exported from a private
//! module has its public path, and one that cannot be named is not listed.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A crate as rustdoc describes it.
pub(super) struct Index<'a> {
    json: &'a Value,
    /// Everything that can be named, by its public path.
    pub(super) public: Vec<(String, &'a Value)>,
    /// The first public path of each.
    paths: HashMap<String, String>,
    seen: HashSet<(String, String)>,
}

impl<'a> Index<'a> {
    /// Reads the output of `rustdoc --output-format json`.
    pub(super) fn of(json: &'a Value) -> Result<Index<'a>> {
        let root = &json["index"][id(&json["root"])];
        let name = root["name"].as_str().context("rustdoc's JSON has no root")?;
        let mut index = Index { json, public: Vec::new(), paths: HashMap::new(), seen: HashSet::new() };
        index.walk(root, name);
        Ok(index)
    }

    /// The items that a list of numbers stands for. A number without an item is private.
    pub(super) fn items(&self, list: &Value) -> impl Iterator<Item = &'a Value> {
        let list = list.as_array().cloned().unwrap_or_default();
        let index = &self.json["index"];
        list.into_iter().filter_map(move |number| index.get(id(&number)))
    }

    /// Where the item of this number lives, in this crate or another.
    pub(super) fn full_path(&self, number: &Value) -> String {
        if let Some(path) = self.paths.get(&id(number)) {
            return path.clone();
        }
        let parts = self.json["paths"][id(number)]["path"].as_array().map(Vec::as_slice).unwrap_or_default();
        parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("::")
    }

    fn walk(&mut self, item: &'a Value, path: &str) {
        if !self.seen.insert((id(&item["id"]), path.to_string())) {
            return;
        }
        self.paths.entry(id(&item["id"])).or_insert_with(|| path.to_string());
        self.public.push((path.to_string(), item));
        if item["inner"]["module"].is_object() {
            self.walk_members(&item["inner"]["module"]["items"], path);
        }
    }

    fn walk_members(&mut self, members: &'a Value, path: &str) {
        for member in self.items(members) {
            if member["visibility"] != "public" {
                continue;
            }
            let import = &member["inner"]["use"];
            if !import.is_object() {
                let name = member["name"].as_str().unwrap_or_default();
                self.walk(member, &format!("{path}::{name}"));
                continue;
            }
            let name = format!("{path}::{}", import["name"].as_str().unwrap_or_default());
            match self.json["index"].get(id(&import["id"])) {
                Some(target) if import["is_glob"] == true => {
                    let kind = if target["inner"]["enum"].is_object() { "enum" } else { "module" };
                    let members = if kind == "enum" { "variants" } else { "items" };
                    self.walk_members(&target["inner"][kind][members], path);
                }
                Some(target) => self.walk(target, &name),
                None => self.public.push((name, member)),
            }
        }
    }
}

/// The number of an item as the key that JSON has for it.
fn id(number: &Value) -> String {
    number.to_string()
}
