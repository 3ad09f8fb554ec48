//! Figures of many streams. Four of them are there: two with viewers, an empty one, and those that never started.

use super::*;

/// Seconds of the second show on air: it counts up to its last event, which is its last join.
const RUNNING: i64 = 0;

pub(super) async fn creators_have_sums(service: &Service) {
    let body = service.get("host", &format!("/api/v1/creators/host/analytics?{JUNE}")).await.body;
    let expected = json!({
        "creatorId": "host", "streams": 3, "totalViews": 12, "uniqueViewers": 10, "peakViewers": 6,
        "duration": 240 + RUNNING, "watchTime": 1_320, "averageViewTime": 132, "averageConcurrent": 5.5,
        "viewerRetention": 0.916_667, "messagesCount": 1, "reactionsCount": 3, "engagementRate": 0.2,
        "tipConversion": 0.2, "returningViewers": 0, "returningShare": 0.0, "totalTips": { "USD": 12.25 },
        "period": { "from": "2025-06-01T00:00:00.000Z", "to": "2025-07-01T00:00:00.000Z", "timezone": "UTC" },
    });
    assert_eq!(without(body, &["asOf"]), expected);

    // the second day alone: two of six had come before
    let path = "/api/v1/creators/host/analytics?from=2025-06-28&to=2025-06-30&timezone=Europe/Berlin";
    let body = service.get("host", path).await.body;
    assert_eq!((&body["uniqueViewers"], &body["returningViewers"]), (&json!(6), &json!(2)));
    assert_eq!(body["returningShare"], json!(0.333_333));
    assert_eq!(
        body["period"],
        json!({ "from": "2025-06-27T22:00:00.000Z", "to": "2025-06-29T22:00:00.000Z", "timezone": "Europe/Berlin" })
    );

    // whoever has no streams has zeros
    let body = service.get("nora", "/api/v1/creators/nora/analytics").await.body;
    assert_eq!(
        (&body["streams"], &body["viewerRetention"], &body["totalTips"]),
        (&json!(0), &json!(0.0), &json!({}))
    );
}

pub(super) async fn creators_have_details(service: &Service) {
    let get = |resource: &str, zone: &str| {
        let path = format!("/api/v1/creators/host/analytics/{resource}?{JUNE}&timezone={zone}");
        async move { without(service.get("host", &path).await.body, &["creatorId", "asOf", "period"]) }
    };
    let day = |day: &str| {
        json!({ "byCurrency": [{ "currency": "USD", "tips": 12.25, "tipsCount": 2, "tippers": 2 }],
                "byDay": [{ "day": day, "currency": "USD", "tips": 12.25 }] })
    };
    assert_eq!(get("revenue", "UTC").await, day("2025-06-27"));
    // half past eight in the evening is another day in India
    assert_eq!(get("revenue", "Asia/Kolkata").await, day("2025-06-28"));

    let all = |name: &str| json!([{ "name": name, "persons": 10 }]);
    assert_eq!(
        get("audience", "UTC").await,
        json!({ "byCountry": all("DE"), "byCity": all("Berlin, DE"), "byDevice": all("MOBILE"), "byVisit": all("new") })
    );
    assert_eq!(
        get("growth", "UTC").await,
        json!({ "viewers": 10, "returningViewers": 0, "newViewers": 10, "returningShare": 0.0,
                "cohorts": [{ "firstMonth": "2025-06", "month": "2025-06", "persons": 10 }] })
    );
    let times = get("peak-times", "Asia/Kolkata").await;
    // Friday 20:30 in UTC is Saturday 02:00 in India; the empty show was on air for no time
    let hour = json!({ "weekday": 6, "hour": 2, "streams": 1, "averageConcurrent": 5.5, "low": null, "high": null,
                       "tips": { "USD": 12.25 } });
    assert_eq!(times["hours"], json!([hour]));
    assert_eq!(times["advice"], json!([]), "one show is no reason");
    let content = get("content", "UTC").await;
    assert_eq!(
        (&content["categories"][0]["category"], &content["categories"][0]["streams"]),
        (&json!("music"), &json!(3))
    );
    assert_eq!(content["categories"][0]["tips"], json!({ "USD": 12.25 }));
    let advice = &content["advice"];
    assert_eq!(
        (advice.as_array().map(Vec::len), &advice[0]["category"], &advice[0]["confidence"]),
        (Some(1), &json!("music"), &json!("TENTATIVE"))
    );
    assert!(content["categories"][0]["low"].is_number());
}

pub(super) async fn the_platform_has_its_own(service: &Service, first: &Show, second: &Show) {
    let min = service.head().to_string();
    let headers = [("tally-min-position", min.as_str())];
    let get = |resource: &'static str| {
        let path = format!("/api/v1/platform/analytics{resource}?{JUNE}&limit=2");
        async move { service.ask("root", &[Role::Admin], &path, &headers).await.body }
    };
    let sums = get("").await;
    assert_eq!((&sums["streams"], &sums["uniqueViewers"]), (&json!(3), &json!(10)));
    let popular = get("/popular").await["streams"].clone();
    let show = |show: &Show, watch_time: i64| {
        json!({ "streamId": show.id, "creatorId": "host", "title": "A show", "category": "music",
                "uniqueViewers": 6, "peakViewers": 6, "watchTime": watch_time })
    };
    assert_eq!(popular, json!([show(first, 1_320), show(second, RUNNING)]));
    let path = format!("/api/v1/platform/analytics/popular?{JUNE}&limit=1");
    let page = service.ask("root", &[Role::Admin], &path, &headers).await.body;
    assert_eq!(page["streams"], json!([show(first, 1_320)]));
    let path = format!("{path}&cursor={}", page["nextCursor"].as_str().unwrap());
    let page = service.ask("root", &[Role::Admin], &path, &headers).await.body;
    assert_eq!(page["streams"], json!([show(second, RUNNING)]));
    let times = get("/peak-times").await["hours"].clone();
    assert_eq!(times.as_array().unwrap().len(), 168);
    let friday = times.as_array().unwrap().iter().find(|hour| hour["weekday"] == 5 && hour["hour"] == 20);
    // June has four Fridays: 1,320 s watched in four hours, in one quarter of an hour
    assert_eq!(friday.unwrap()["averageConcurrent"], json!(0.091_667));
    assert_eq!(friday.unwrap()["peakConcurrent"], json!(1.466_667));
    assert_eq!(get("/revenue").await["byCurrency"][0]["tips"], json!(12.25));
    let behaviour = without(get("/behaviour").await, &["asOf", "period"]);
    assert_eq!(
        behaviour,
        json!({ "viewers": 10, "sessions": 12, "streamsPerViewer": 1.2, "watchTime": 1_320, "watchTimeMedian": 240,
                "watchTimeP90": 240, "chatters": 1, "reactors": 0, "tippers": 2, "engagementRate": 0.2,
                "tipConversion": 0.2, "cohorts": [{ "firstMonth": "2025-06", "month": "2025-06", "persons": 10 }] })
    );
}
