//! Figures as files.

use super::*;

struct File {
    kind: String,
    disposition: String,
    bytes: Vec<u8>,
}

async fn file(service: &Service, path: &str, accept: &str) -> File {
    let authorization = format!("Bearer {}", token("host", &[Role::Creator], 60));
    let request = Request::get(path).header("authorization", authorization).header("accept", accept);
    let response = service.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let (kind, disposition) = (header("content-type"), header("content-disposition"));
    File { kind, disposition, bytes: response.into_body().collect().await.unwrap().to_bytes().to_vec() }
}

async fn csv(service: &Service, path: &str) -> String {
    String::from_utf8(file(service, path, "text/csv").await.bytes).unwrap()
}

pub(super) async fn lists_are_files_too(service: &Service, warehouse: &Warehouse, show: &Show) {
    let stream = format!("/api/v1/streams/{}/analytics", show.id);
    let timeline = file(service, &format!("{stream}/timeline"), "text/csv").await;
    assert!(timeline.kind.starts_with("text/csv"), "{}", timeline.kind);
    assert_eq!(
        timeline.disposition,
        format!("attachment; filename=\"tally-stream-{}-timeline.csv\"", show.id)
    );
    let lines = "\"minute\",\"viewerCount\",\"uniqueViewers\",\"joins\",\"leaves\",\"messages\",\"reactions\",\"tips\"\n\
                 0,6,6,6,0,0,0,0\n1,6,6,0,0,1,3,0\n2,5,6,0,1,0,0,5\n3,5,6,0,0,0,0,0\n";
    assert_eq!(String::from_utf8(timeline.bytes).unwrap(), lines);
    let survival = csv(service, &format!("{stream}/retention?curve=survival&format=csv")).await;
    assert_eq!(survival, "\"minute\",\"share\",\"gone\",\"censored\"\n2,0.833333,1,0\n4,0.833333,0,5\n");
    assert_eq!(csv(service, &format!("{stream}/revenue")).await, "\"minute\",\"tips\"\n2,5\n");
    let audience = csv(service, &format!("{stream}/audience")).await;
    assert!(audience.contains("\"city\",\"Berlin, DE\",6\n"), "{audience}");

    let creator = "/api/v1/creators/host/analytics";
    let days = file(service, &format!("{creator}/revenue?{JUNE}"), "text/csv").await;
    assert_eq!(days.disposition, "attachment; filename=\"tally-creator-revenue-2025-06-01-2025-07-01.csv\"");
    assert_eq!(
        String::from_utf8(days.bytes).unwrap(),
        "\"day\",\"currency\",\"tips\"\n\"2025-06-27\",\"USD\",12.25\n"
    );
    let hours = csv(service, &format!("{creator}/peak-times?{JUNE}")).await;
    assert!(hours.ends_with("\n5,20,1,5.5,,,\"{\"\"USD\"\":12.25}\"\n"), "{hours}");
    // an empty one still has its columns
    let none = csv(service, &format!("{creator}/content?from=2020-01-01&to=2020-02-01")).await;
    assert_eq!(none.lines().count(), 1, "{none}");

    let parquet = file(service, &format!("{stream}/timeline?format=parquet"), "application/json").await;
    assert_eq!(parquet.kind, "application/vnd.apache.parquet");
    assert!(parquet.disposition.ends_with("-timeline.parquet\""));
    assert!(parquet.bytes.starts_with(b"PAR1") && parquet.bytes.ends_with(b"PAR1"));
    let columns = "minute UInt32, viewerCount UInt64, tips Decimal(38, 4)";
    let question = "SELECT concat(toString(count()), ' ', toString(sum(viewerCount)), ' ', toString(sum(tips))) FROM file";
    assert_eq!(warehouse.read_back(columns, "Parquet", parquet.bytes, question).await, "4 22 5");
}

pub(super) async fn facts_are_files(service: &Service, warehouse: &Warehouse, show: &Show) {
    let stream = format!("/api/v1/streams/{}/analytics/facts", show.id);
    let count = |table: &'static str| {
        let path = format!("{stream}/{table}?format=csv");
        async move { csv(service, &path).await.lines().count() - 1 }
    };
    let events = service.log.events();
    let of_show = events.iter().filter(|event| event.stream.ends_with(&show.id.to_string())).count();
    assert_eq!(count("events").await, of_show);
    for (table, rows) in [("audience", 7), ("messages", 1), ("reactions", 1), ("tips", 4), ("viewers", 6)] {
        assert_eq!(count(table).await, rows, "{table}");
    }
    // persons are pseudonyms, words are not there
    let all = csv(service, &format!("{stream}/events")).await;
    assert!(all.contains(&person("anna").to_string()));
    assert!(!all.contains("anna") && !all.contains("Great content"), "{all}");

    let viewers = file(service, &format!("{stream}/viewers?format=parquet"), "*/*").await;
    let columns = "person UUID, watch_ms Int64, tips Decimal(38, 4)";
    let question = "SELECT concat(toString(sum(watch_ms)), ' ', toString(sum(tips))) FROM file";
    assert_eq!(warehouse.read_back(columns, "Parquet", viewers.bytes, question).await, "1320000 12.25");

    let shows = csv(service, &format!("/api/v1/creators/host/analytics/facts/shows?{JUNE}")).await;
    assert_eq!(shows.lines().count(), 4, "{shows}");
    assert!(
        shows.contains(",\"ENDED\",\"2025-06-27T20:30:00.000Z\",\"2025-06-27T20:34:00.000Z\","),
        "{shows}"
    );
    let visits = csv(service, &format!("/api/v1/creators/host/analytics/facts/viewers?{JUNE}")).await;
    assert_eq!(visits.lines().count(), 13, "{visits}");
    let unknown = service.get("host", &format!("{stream}/passwords")).await;
    assert_eq!((unknown.status, &unknown.body["code"]), (404, &json!("table_not_found")));
}
