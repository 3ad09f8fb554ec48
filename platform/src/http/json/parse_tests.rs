use super::*;
use serde_json::value::RawValue;

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    title: String,
    #[serde(default)]
    settings: Option<Settings>,
    #[serde(default)]
    amount: Option<Box<RawValue>>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    max_viewers: u32,
}

fn fails(body: &str) -> (u16, String, Option<String>) {
    let problem = parse::<Request>(body.as_bytes()).expect_err(body);
    let json = serde_json::to_value(&problem).expect("serialises");
    (problem.status().as_u16(), problem.code().to_owned(), json["field"].as_str().map(str::to_owned))
}

#[test]
fn the_field_at_fault_is_named() {
    let table = [
        (r#"{}"#, "title"),
        (r#"{"title":1}"#, "title"),
        (r#"{"title":"a","titel":"b"}"#, "titel"),
        (r#"{"title":"a","settings":{"maxViewers":"x"}}"#, "settings.maxViewers"),
        (r#"{"title":"a","settings":{"maxViewers":-1}}"#, "settings.maxViewers"),
        (r#"{"title":"a","settings":{}}"#, "settings.maxViewers"),
        (r#"{"title":"a","settings":{"maxViewers":1,"x":2}}"#, "settings.x"),
        (r#"{"title":"a","tags":["a",2]}"#, "tags[1]"),
    ];
    for (body, field) in table {
        assert_eq!(fails(body), (422, "invalid_field".into(), Some(field.into())), "{body}");
    }
    // serde reads a struct from an array too, which no contract of ours says
    for array in ["[1]", r#"["title"]"#, " []"] {
        assert_eq!(fails(array).0, 422);
    }
    assert_eq!(parse::<Vec<u8>>(b"[1]").ok(), Some(vec![1]));
    assert_eq!(parse::<(u8, u8)>(b"[1,2]").ok(), Some((1, 2)));
    assert_eq!(fails("null"), (422, "invalid_field".into(), None));
}

#[test]
fn what_is_no_json_is_refused_as_such() {
    let deep = format!(r#"{{"title":"a","tags":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    let deeper = "[".repeat(30_000);
    let table = [
        "",
        " ",
        "{",
        r#"{"title":"a"} x"#,
        r#"{"title":"a"}{}"#,
        r#"{"title":"a",}"#,
        r#"{"title":NaN}"#,
        r#"{"title":'a'}"#,
        "{\"title\":\"a\u{1}\"}",
        r#"{"title":"\ud800"}"#,
        r#"{"title":"a","title":"b"}"#,
        r#"{"title":"a","titl\u0065":"b"}"#,
        r#"{"title":"a","settings":{"maxViewers":1,"maxViewers":2}}"#,
        &deep,
        &deeper,
    ];
    for body in table {
        let (status, code, _) = fails(body);
        assert_eq!((status, code.as_str()), (400, "malformed_json"), "{}", &body[..body.len().min(80)]);
    }
    assert!(parse::<Request>(b"{\"title\":\"\xff\"}").is_err());
}

#[test]
fn a_name_is_found_twice_among_many() {
    let members: Vec<String> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
    let object = |members: &[String]| format!("{{{}}}", members.join(","));
    assert!(scan(object(&members).as_bytes()).is_ok());
    for repeated in [3, 50] {
        let mut twice = members.clone();
        twice.push(members[repeated].clone());
        assert!(scan(object(&twice).as_bytes()).is_err());
    }
}

#[test]
fn raw_values_keep_numbers_as_written() {
    let body = r#"{"title":"a","amount":10.000000000000000000000000000000001}"#;
    let request: Request = parse(body.as_bytes()).expect("valid");
    assert_eq!(request.title, "a");
    assert!(request.settings.is_none_or(|settings| settings.max_viewers == 0));
    assert!(request.tags.is_empty());
    assert_eq!(request.amount.expect("there").get(), "10.000000000000000000000000000000001");
}
