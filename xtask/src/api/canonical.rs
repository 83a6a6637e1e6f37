//! Descriptions in which equal means the same to a user.
//!
//! What a user can't tell is left out or made equal: names of arguments and generic parameters, a bound in angle
//! brackets or after `where`, `Self` or the type's name, documentation. An alias of a foreign crate (`io::Result`) is
//! not looked through: use the same one.

use std::collections::HashMap;

use serde_json::{json, Map, Value};

use super::index::Index;

/// What the names of a scope stand for.
#[derive(Clone, Default)]
pub(super) struct Names {
    /// The type that `Self` is.
    pub(super) this: Option<Value>,
    /// Parameters and lifetimes, by number.
    renamed: HashMap<String, String>,
}

impl Index<'_> {
    pub(super) fn function(&self, inner: &Value, outer: &Names) -> Value {
        let mut names = outer.clone();
        let generics = self.generics(&inner["generics"], &mut names);
        let arguments = inner["sig"]["inputs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let takes: Vec<Value> = arguments.iter().map(|argument| self.canonical(&argument[1], &names)).collect();
        let returns = self.canonical(&inner["sig"]["output"], &names);
        json!({"takes": takes, "returns": returns, "header": inner["header"], "generics": generics})
    }

    /// Parameters by number, and all bounds in one sorted list; `names` learns what the parameters are called.
    pub(super) fn generics(&self, generics: &Value, names: &mut Names) -> Value {
        let params = generics["params"].as_array().map(Vec::as_slice).unwrap_or_default();
        for param in params {
            let name = param["name"].as_str().unwrap_or_default().to_string();
            let number = names.renamed.len();
            names.renamed.insert(name, format!("#{number}"));
        }
        let mut kinds = Vec::new();
        let mut bounds = Vec::new();
        let mut bind = |names: &Names, what: &Value, to: Option<&Value>| {
            for bound in to.and_then(Value::as_array).into_iter().flatten() {
                bounds.push(json!([self.canonical(what, names), self.canonical(bound, names)]));
            }
        };
        for param in params {
            let mut kind = param["kind"].clone();
            if let Some(of_type) = kind.get_mut("type").and_then(Value::as_object_mut) {
                let bounds = of_type.remove("bounds");
                bind(names, &json!({"generic": param["name"]}), bounds.as_ref());
            }
            kinds.push(self.canonical(&kind, names));
        }
        for predicate in generics["where_predicates"].as_array().into_iter().flatten() {
            match predicate.get("bound_predicate") {
                Some(bound) => bind(names, &bound["type"], bound.get("bounds")),
                None => bind(names, &Value::Null, Some(&json!([predicate]))),
            }
        }
        bounds.sort_by_key(Value::to_string);
        json!([kinds, bounds])
    }

    /// The canonical form, with members (of a trait, of a variant) in place of their numbers.
    pub(super) fn with_members(&self, inner: &Value) -> Value {
        let mut value = self.canonical(inner, &Names::default());
        for list in ["/items", "/kind/tuple", "/kind/struct/fields"] {
            let Some(members) = value.pointer_mut(list) else {
                continue;
            };
            let describe = |member: &Value| match &member["inner"]["function"] {
                Value::Null => json!([member["name"], self.with_members(&member["inner"])]),
                function => json!([member["name"], self.function(function, &Names::default())]),
            };
            *members = self.items(members).map(describe).collect();
        }
        value
    }

    /// A copy in which what means the same is written the same.
    pub(super) fn canonical(&self, value: &Value, names: &Names) -> Value {
        match value {
            Value::Object(fields) => {
                if let (Some(this), Some("Self")) = (&names.this, value["generic"].as_str()) {
                    return this.clone();
                }
                let named = fields.contains_key("path") && fields.contains_key("id");
                let mut copy = Map::new();
                for (key, field) in fields {
                    let field = match key.as_str() {
                        "id" | "docs" | "span" | "links" | "has_body" | "impls" | "implementations" => continue,
                        "path" if named => json!(self.full_path(&fields["id"])),
                        "args" if is_no_arguments(field) => Value::Null,
                        _ => self.canonical(field, names),
                    };
                    copy.insert(key.clone(), field);
                }
                Value::Object(copy)
            }
            Value::Array(list) => list.iter().map(|value| self.canonical(value, names)).collect(),
            Value::String(text) => json!(names.renamed.get(text).unwrap_or(text)),
            other => other.clone(),
        }
    }
}

fn is_no_arguments(args: &Value) -> bool {
    let args = &args["angle_bracketed"];
    args["args"].as_array().is_some_and(Vec::is_empty) && args["constraints"].as_array().is_some_and(Vec::is_empty)
}
