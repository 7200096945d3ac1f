//! Checks a value against a JSON Schema, as far as the published schema of the results uses the language. A maintained
//! validator exists, but would outweigh the workspace's other dependencies. A test that uses an unknown keyword fails.

use serde_json::{Map, Value};

/// Where and how `value` violates `schema`; empty if it does not.
pub(crate) fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(schema, schema, value, "", &mut errors);
    errors
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
    let rules: &Map<String, Value> = schema.as_object().expect("a schema is an object");
    for (keyword, rule) in rules {
        let follows = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "then" => true,
            "$ref" => {
                let pointer = rule
                    .as_str()
                    .and_then(|text| text.strip_prefix('#'))
                    .expect("a local reference");
                check(
                    root,
                    root.pointer(pointer).expect("a definition"),
                    value,
                    path,
                    errors,
                );
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| has_type(value, one)),
                one => has_type(value, one),
            },
            "const" => value == rule,
            "enum" => rule.as_array().expect("a list").contains(value),
            "minimum" => value
                .as_f64()
                .is_none_or(|number| number >= rule.as_f64().expect("a number")),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 >= rule.as_u64().expect("a count")),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 <= rule.as_u64().expect("a count")),
            "required" => value.as_object().is_none_or(|fields| {
                let names = rule
                    .as_array()
                    .expect("a list")
                    .iter()
                    .filter_map(Value::as_str);
                names.into_iter().all(|name| fields.contains_key(name))
            }),
            "properties" => {
                for (name, schema) in rule.as_object().expect("schemas by name") {
                    if let Some(field) = value.get(name) {
                        check(root, schema, field, &format!("{path}/{name}"), errors);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                for (name, field) in value.as_object().into_iter().flatten() {
                    if known.is_none_or(|known| !known.contains_key(name)) {
                        check(root, rule, field, &format!("{path}/{name}"), errors);
                    }
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{path}/{index}"), errors);
                }
                true
            }
            "if" => {
                let mut otherwise = Vec::new();
                check(root, rule, value, path, &mut otherwise);
                if let (true, Some(then)) = (otherwise.is_empty(), rules.get("then")) {
                    check(root, then, value, path, errors);
                }
                true
            }
            unknown => panic!("the schema uses `{unknown}`, which this checker does not know"),
        };
        if !follows {
            errors.push(format!("{path}: {keyword} {rule}, found {value}"));
        }
    }
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("a type's name") {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "boolean" => value.is_boolean(),
        unknown => panic!("`{unknown}` is no type of JSON"),
    }
}
