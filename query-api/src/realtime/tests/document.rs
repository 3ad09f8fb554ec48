//! The sockets' document says what the code does.

use serde_json::Value;
use std::collections::BTreeSet;

use crate::ASYNCAPI;
use crate::realtime::{CLIENT_TYPES, CloseCode, FrameType};

fn document() -> Value {
    serde_json::from_str(ASYNCAPI).unwrap()
}

/// The types of the messages that an operation of the document carries.
fn types(document: &Value, operation: &str) -> BTreeSet<String> {
    let messages = document["operations"][operation]["messages"].as_array().unwrap();
    messages.iter().map(|reference| type_of(document, reference)).collect()
}

fn resolve<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let pointer = reference["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
    document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} points nowhere"))
}

fn type_of(document: &Value, reference: &Value) -> String {
    let mut message = resolve(document, reference);
    if message.get("$ref").is_some() {
        message = resolve(document, message);
    }
    let constant = message["payload"]["properties"]["type"]["const"].as_str().unwrap();
    assert_eq!(message["name"], constant, "a message is called as its type");
    constant.to_owned()
}

#[test]
fn every_frame_type_is_documented_and_nothing_else() {
    let document = document();
    assert_eq!(document["asyncapi"], "3.0.0");
    let sent: BTreeSet<String> = FrameType::ALL.iter().map(|kind| kind.name().to_owned()).collect();
    assert_eq!(types(&document, "tell"), sent);
    let heard: BTreeSet<String> = CLIENT_TYPES.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(types(&document, "hear"), heard);
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Object(members) => {
                if members.contains_key("$ref") {
                    resolve(document, value);
                }
                members.values().for_each(|member| walk(document, member));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(document, item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[test]
fn every_close_code_is_documented() {
    let document = document();
    let codes = document["channels"]["stream"]["x-closeCodes"].as_object().unwrap();
    for code in CloseCode::ALL {
        let documented = codes.get(&code.number().to_string());
        assert!(documented.is_some_and(|text| text.as_str().unwrap().contains(code.reason())), "{code:?}");
    }
    assert_eq!(codes.len(), CloseCode::ALL.len());
}
