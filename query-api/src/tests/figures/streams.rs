//! A stream's figures.

use super::*;

pub(super) async fn a_show_has_its_figures(service: &Service, show: &Show) {
    let answer = service.get("host", &format!("/api/v1/streams/{}/analytics", show.id)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.position, Some(service.head()));
    let expected = json!({
        "streamId": show.id, "totalViews": 6, "peakViewers": 6, "duration": 240, "totalTips": 12.25,
        "messagesCount": 1, "averageViewTime": 220, "viewerRetention": 0.916_667, "currency": "USD",
        "status": "ENDED", "startedAt": "2025-06-27T20:30:00.000Z", "endedAt": "2025-06-27T20:34:00.000Z",
        "viewerCount": 0, "uniqueViewers": 6, "watchTime": 1_320, "averageConcurrent": 5.5,
        "reactionsCount": 3, "engagementRate": 0.333_333, "tipConversion": 0.333_333, "tipsCount": 2,
        "pendingTips": 0, "asOf": { "position": service.head(), "time": LATER }, "final": true,
    });
    assert_eq!(answer.body, expected);
}

pub(super) async fn a_show_has_its_minutes(service: &Service, show: &Show) {
    let path = format!("/api/v1/streams/{}/analytics", show.id);
    let timeline = service.get("host", &format!("{path}/timeline")).await.body;
    let minute = |minute: u32, viewers: u32, joins: u32, leaves: u32, messages: u32, tips: f64| {
        json!({ "minute": minute, "viewerCount": viewers, "uniqueViewers": 6, "joins": joins, "leaves": leaves,
                "messages": messages, "reactions": messages * 3, "tips": tips })
    };
    let expected = [
        minute(0, 6, 6, 0, 0, 0.0),
        minute(1, 6, 0, 0, 1, 0.0),
        minute(2, 5, 0, 1, 0, 5.0),
        minute(3, 5, 0, 0, 0, 0.0),
    ];
    assert_eq!(timeline["minutes"], json!(expected));
    assert_eq!((&timeline["currency"], &timeline["final"]), (&json!("USD"), &json!(true)));

    let retention = service.get("host", &format!("{path}/retention")).await.body;
    let curve: Vec<f64> = retention["absolute"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| at["retention"].as_f64().unwrap())
        .collect();
    assert_eq!(curve, [1.0, 1.0, 0.833_333, 0.833_333]);
    let survival = json!([
        { "minute": 2, "share": 0.833_333, "gone": 1, "censored": 0 },
        { "minute": 4, "share": 0.833_333, "gone": 0, "censored": 5 },
    ]);
    assert_eq!(retention["survival"], survival);
}

pub(super) async fn a_show_has_its_audience_and_revenue(service: &Service, show: &Show) {
    let path = format!("/api/v1/streams/{}/analytics", show.id);
    let audience = service.get("host", &format!("{path}/audience")).await.body;
    let all = |name: &str| json!([{ "name": name, "persons": 6 }]);
    assert_eq!(
        without(audience, &["streamId", "asOf", "final"]),
        json!({ "byCountry": all("DE"), "byCity": all("Berlin, DE"), "byDevice": all("MOBILE"), "byVisit": all("new") })
    );
    let revenue = service.get("host", &format!("{path}/revenue")).await.body;
    assert_eq!(
        without(revenue, &["streamId", "asOf"]),
        json!({ "currency": "USD", "totalTips": 12.25, "tipsCount": 2, "averageTip": 6.12, "pendingTips": 0,
                "byMinute": [{ "minute": 2, "tips": 5.0 }], "afterEnd": 7.25, "final": true })
    );
}

/// As of a position of before an answer is what it was then, whatever came since.
pub(super) async fn a_show_is_told_as_of_then(service: &Service, show: &Show) {
    let path = format!("/api/v1/streams/{}/analytics", show.id);
    let log = service.log.events();
    let of_show = || log.iter().filter(|event| event.stream.ends_with(&show.id.to_string()));
    let left = of_show().find(|event| event.kind == "ViewerLeft").unwrap().position.0;
    let body = service.get("host", &format!("{path}?asOf={left}")).await.body;
    // the last event of then is the leave, two minutes after the start
    let expected = json!({ "position": left, "time": "2025-06-27T20:32:00.000Z" });
    assert_eq!((&body["asOf"], &body["status"]), (&expected, &json!("LIVE")), "{body}");
    assert_eq!(
        (&body["viewerCount"], &body["duration"], &body["final"]),
        (&json!(5), &json!(120), &json!(false))
    );
    assert_eq!((&body["totalTips"], &body["endedAt"]), (&json!(0.0), &Value::Null));
    // a minute later, as far as was known then
    let later = format!("asOf={left}&asOfTime=2025-06-27T20:33:00Z");
    let body = service.get("host", &format!("{path}?{later}")).await.body;
    assert_eq!((&body["duration"], &body["watchTime"]), (&json!(180), &json!(6 * 120 + 5 * 60)));
    let minutes = service.get("host", &format!("{path}/timeline?{later}")).await.body["minutes"].clone();
    assert_eq!((minutes.as_array().unwrap().len(), &minutes[2]["tips"]), (3, &json!(0.0)));
    let explained = format!("/api/v1/figures/totalViews/explain?streamId={}&{later}", show.id);
    assert_eq!(service.get("host", &explained).await.body["evidence"]["asOf"]["position"], json!(left));
    // the same pair gives the same answer again
    let now = service.get("host", &path).await.body;
    let (position, time) = (&now["asOf"]["position"], now["asOf"]["time"].as_str().unwrap());
    assert_eq!(service.get("host", &format!("{path}?asOf={position}&asOfTime={time}")).await.body, now);

    let created = of_show().next().unwrap().position.0;
    let before = service.get("host", &format!("{path}?asOf={}", created - 1)).await;
    assert_eq!((before.status, &before.body["field"]), (422, &json!("asOf")));
    let beyond = service.get("host", &format!("{path}?asOf={}", service.head() + 1_000_000)).await;
    assert_eq!((beyond.status, &beyond.body["code"]), (422, &json!("position_unknown")));
    let to_come = service.get("host", &format!("{path}?asOf={left}&asOfTime=2099-01-01T00:00:00Z")).await;
    assert_eq!((to_come.status, &to_come.body["field"]), (422, &json!("asOfTime")));
}

pub(super) async fn a_running_show_counts_up_to_now(service: &Service, show: &Show) {
    let path = format!("/api/v1/streams/{}/analytics", show.id);
    let figures = service.get("host", &path).await.body;
    // from 20:30 to midnight of the next day
    assert_eq!((&figures["status"], &figures["duration"]), (&json!("LIVE"), &json!(99_000)));
    assert_eq!((&figures["viewerCount"], &figures["final"]), (&json!(6), &json!(false)));
    // two of six had been at the first show: too few to be told apart from the others
    let audience = service.get("host", &format!("{path}/audience")).await.body;
    assert_eq!(audience["byVisit"], json!([{ "name": "other", "persons": 6 }]));
}

/// A show without viewers, one that only is announced, one that the warehouse has not heard of.
pub(super) async fn nothing_is_zero(service: &Service, warehouse: &Warehouse) {
    let (scheduled, empty) = (Show::created(&service.log, &service.vault).await, service.live().await);
    empty.let_happen(Happening::Ended).await;
    warehouse.load(&service.log, LATER).await;
    let unheard_of = Show::created(&service.log, &service.vault).await;
    for (show, status) in [(&scheduled, "SCHEDULED"), (&empty, "ENDED"), (&unheard_of, "SCHEDULED")] {
        let path = format!("/api/v1/streams/{}/analytics", show.id);
        let ask = |path: String| async move { service.ask("host", &[Role::Creator], &path, &[]).await.body };
        // rows of read models come when they come
        service.get("host", &format!("/api/v1/streams/{}", show.id)).await;
        let body = ask(path.clone()).await;
        assert_eq!((&body["status"], &body["totalViews"]), (&json!(status), &json!(0)), "{body}");
        for member in ["peakViewers", "duration", "messagesCount", "averageViewTime", "watchTime"] {
            assert_eq!(body[member], json!(0), "{member}");
        }
        for member in ["totalTips", "viewerRetention", "averageConcurrent", "engagementRate"] {
            assert_eq!(body[member], json!(0.0), "{member}");
        }
        assert_eq!(ask(format!("{path}/timeline")).await["minutes"], json!([]));
        assert_eq!(ask(format!("{path}/retention")).await["survival"], json!([]));
        assert_eq!(ask(format!("{path}/audience")).await["byVisit"], json!([]));
        let revenue = ask(format!("{path}/revenue")).await;
        assert_eq!((&revenue["totalTips"], &revenue["afterEnd"]), (&json!(0.0), &json!(0.0)));
    }
    warehouse.load(&service.log, LATER).await;
}
