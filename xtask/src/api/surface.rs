//! What is public, as a table: the name of an item to what a user of it can tell.
//!
//! A struct whose fields are all public and an enum that may be matched without a wildcard list their members, because
//! a new one breaks users. A negative implementation (`!UnwindSafe`) promises nothing and is left out.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{json, Map, Value};

use super::canonical::Names;
use super::index::Index;

/// The public items of a crate.
pub(super) struct Surface {
    /// Name, as `fn jobserver::Client::new`, to a description in which equal means the same to a user.
    pub(super) items: BTreeMap<String, Value>,
}

impl Surface {
    /// Reads the output of `rustdoc --output-format json`.
    pub(super) fn of(json: &Value) -> Result<Surface> {
        let index = Index::of(json)?;
        let mut items = BTreeMap::new();
        for (path, item) in &index.public {
            index.describe(path, item, &mut items);
        }
        Ok(Surface { items })
    }
}

impl Index<'_> {
    fn describe(&self, path: &str, item: &Value, items: &mut BTreeMap<String, Value>) {
        let Some((kind, inner)) = item["inner"].as_object().and_then(|inner| inner.iter().next()) else {
            return;
        };
        let what = match kind.as_str() {
            "module" => Value::Null,
            "function" => self.function(inner, &Names::default()),
            "struct" => self.describe_struct(path, item, inner, items),
            "enum" => self.describe_enum(path, item, inner, items),
            _ => self.with_members(inner),
        };
        self.impls(path, inner, items);
        let kind = match kind.as_str() {
            "module" => "mod",
            "function" => "fn",
            other => other,
        };
        items.insert(format!("{kind} {path}"), what);
    }

    fn describe_struct(&self, path: &str, item: &Value, inner: &Value, items: &mut BTreeMap<String, Value>) -> Value {
        let plain = &inner["kind"]["plain"];
        let tuple = &inner["kind"]["tuple"];
        let mut names = Vec::new();
        for field in self.items(&plain["fields"]).chain(self.items(tuple)) {
            let name = &field["name"];
            names.push(name);
            let what = self.canonical(&field["inner"]["struct_field"], &Names::default());
            items.insert(format!("field {path}::{}", name.as_str().unwrap_or_default()), what);
        }
        let hidden = tuple.as_array().is_some_and(|fields| fields.iter().any(Value::is_null));
        let open = hidden || plain["has_stripped_fields"] == true || is_non_exhaustive(item);
        let shape = if plain.is_object() {
            "plain"
        } else if tuple.is_array() {
            "tuple"
        } else {
            "unit"
        };
        let generics = self.generics(&inner["generics"], &mut Names::default());
        let fields = if open { Value::Null } else { json!(names) };
        json!({"shape": shape, "open": open, "fields": fields, "generics": generics})
    }

    fn describe_enum(&self, path: &str, item: &Value, inner: &Value, items: &mut BTreeMap<String, Value>) -> Value {
        let mut names = Vec::new();
        for variant in self.items(&inner["variants"]) {
            let name = &variant["name"];
            names.push(name);
            let what = json!([is_non_exhaustive(variant), self.with_members(&variant["inner"]["variant"])]);
            items.insert(format!("variant {path}::{}", name.as_str().unwrap_or_default()), what);
        }
        let open = is_non_exhaustive(item);
        let generics = self.generics(&inner["generics"], &mut Names::default());
        let variants = if open { Value::Null } else { json!(names) };
        json!({"open": open, "variants": variants, "generics": generics})
    }

    /// Functions and constants of a type, and the traits that it implements.
    fn impls(&self, path: &str, inner: &Value, items: &mut BTreeMap<String, Value>) {
        for item in self.items(&inner["impls"]) {
            let block = &item["inner"]["impl"];
            if block["is_negative"] == true {
                continue;
            }
            let mut names = Names::default();
            // What a blanket implementation calls `Self` is a parameter.
            if block["blanket_impl"].is_null() {
                names.this = Some(self.canonical(&block["for"], &names));
            }
            let generics = self.generics(&block["generics"], &mut names);
            if block["trait"].is_null() {
                for member in self.items(&block["items"]).filter(|member| member["visibility"] == "public") {
                    let (kind, what) = member["inner"].as_object().and_then(|inner| inner.iter().next()).unwrap();
                    let name = member["name"].as_str().unwrap_or_default();
                    let (kind, what) = match kind.as_str() {
                        "function" => ("fn", self.function(what, &names)),
                        other => (other, self.canonical(what, &names)),
                    };
                    items.insert(format!("{kind} {path}::{name}"), json!([generics, what]));
                }
                continue;
            }
            let implemented = self.canonical(&block["trait"], &names);
            let mut name = implemented["path"].as_str().unwrap_or_default().to_string();
            if !implemented["args"].is_null() {
                name += &format!(" with {}", implemented["args"]);
            }
            let mut members = Map::new();
            for member in self.items(&block["items"]).filter(|member| member["inner"]["function"].is_null()) {
                let name = member["name"].as_str().unwrap_or_default().to_string();
                members.insert(name, self.canonical(&member["inner"], &names));
            }
            items.insert(format!("impl {name} for {path}"), json!([generics, members]));
        }
    }
}

fn is_non_exhaustive(item: &Value) -> bool {
    // Written as "#[non_exhaustive]" by compilers before 1.90.
    item["attrs"].to_string().contains("non_exhaustive")
}
