//! Bad questions, and a warehouse that is away, empty, or behind.

use super::*;

/// Over a service whose warehouse nobody can reach.
pub(in crate::tests) async fn nothing_else_needs_the_warehouse(service: &Service) {
    let show = service.live().await;
    let answer = service.get("host", &format!("/api/v1/streams/{}", show.id)).await;
    assert_eq!(answer.status, 200);
    for path in [
        format!("/api/v1/streams/{}/analytics", show.id),
        format!("/api/v1/streams/{}/analytics/facts/events?format=csv", show.id),
        "/api/v1/creators/host/analytics/peak-times".to_owned(),
    ] {
        let answer = service.get("host", &path).await;
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!("warehouse_unavailable")), "{path}");
        assert!(answer.body["retryAfter"].is_number());
    }
    assert_eq!(service.get("host", "/api/v1/figures/totalViews/explain").await.status, 200);
}

/// Before its tables are there, and before every partition of the topic has told how far it is.
pub(super) async fn a_warehouse_that_is_not_filled_says_so(service: &Service, warehouse: &Warehouse) {
    let show = Show::created(&service.log, &service.vault).await;
    let path = format!("/api/v1/streams/{}/analytics", show.id);
    let is_loading = async || {
        let answer = service.get("host", &path).await;
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!("warehouse_loading")));
        assert!(answer.body["retryAfter"].is_number());
    };
    is_loading().await;
    warehouse.migrate().await;
    is_loading().await;
}

pub(super) async fn bad_questions_are_refused(service: &Service, show: &Show) {
    let stream = format!("/api/v1/streams/{}/analytics", show.id);
    let creator = "/api/v1/creators/host/analytics";
    for (path, field) in [
        (format!("{stream}/timeline?format=xml"), "format"),
        (format!("{stream}/retention?curve=flat"), "curve"),
        (format!("{creator}?from=yesterday"), "from"),
        (format!("{creator}?from=2025-07-01&to=2025-06-01"), "from"),
        (format!("{creator}?to=2200-01-01"), "to"),
        (format!("{creator}/peak-times?timezone=Berlin"), "timezone"),
    ] {
        let answer = service.ask("host", &[Role::Creator], &path, &[]).await;
        assert_eq!((answer.status, &answer.body["field"]), (422, &json!(field)), "{path}");
    }
    for path in [
        format!("/api/v1/figures/totalViews/explain?streamId={}&cursor=abc", show.id),
        format!("/api/v1/figures/totalViews/explain?streamId={}&limit=201", show.id),
    ] {
        assert_eq!(service.ask("host", &[Role::Creator], &path, &[]).await.status, 422, "{path}");
    }
    for twice in [
        format!("{creator}?from=2025-06-01&from=2025-06-02"),
        format!("{stream}/retention?curve=absolute&curve=survival"),
        format!("/api/v1/figures/totalViews/explain?streamId={0}&streamId={0}", show.id),
    ] {
        let answer = service.ask("host", &[Role::Creator], &twice, &[]).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("malformed_query")), "{twice}");
    }
    let path = "/api/v1/streams/stream_123/analytics";
    assert_eq!(service.ask("host", &[Role::Creator], path, &[]).await.status, 404);
}

pub(super) async fn positions_are_waited_for(service: &Service, warehouse: &Warehouse, show: &Show) {
    let path = format!("/api/v1/streams/{}/analytics", show.id);
    let beyond = (service.head() + 1_000_000).to_string();
    let answer = service.ask("host", &[Role::Creator], &path, &[("tally-min-position", &beyond)]).await;
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("position_unknown")));

    let later = service.live().await;
    let path = format!("/api/v1/streams/{}/analytics", later.id);
    let behind = service.get("host", &path).await;
    assert_eq!((behind.status, &behind.body["code"]), (503, &json!("position_not_reached")));
    assert!(behind.body["reached"].is_number());
    // many shows are waited for where their roll-ups are behind the facts
    warehouse.tell_loaded(service.head(), LATER).await;
    let rolled_up = service.get("host", "/api/v1/creators/host/analytics").await;
    assert_eq!((rolled_up.status, &rolled_up.body["code"]), (503, &json!("position_not_reached")));
    assert_eq!(rolled_up.body["reached"], behind.body["reached"]);
    assert_eq!(service.ask("host", &[Role::Creator], &path, &[]).await.status, 200);
    let many = service.ask("host", &[Role::Creator], "/api/v1/creators/host/analytics", &[]).await;
    assert_eq!(many.body["asOf"]["position"], behind.body["reached"]);
    let (answer, ()) = tokio::join!(
        service.get("host", "/api/v1/creators/host/analytics"),
        warehouse.load(&service.log, LATER)
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = service.get("host", &path).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("LIVE")), "{}", answer.body);
    assert!(answer.position >= Some(service.head()));
}
