//! What figures mean, and what they are made of.

use super::*;

pub(super) async fn figures_are_explained(service: &Service, show: &Show) {
    let list = service.ask("anna", &[Role::Viewer], "/api/v1/figures", &[]).await.body;
    let named = |name: &str| {
        list["items"].as_array().unwrap().iter().find(|figure| figure["name"] == name).unwrap().clone()
    };
    assert_eq!(named("totalViews")["definition"], "sessions begun");
    assert_eq!(named("totalViews")["version"], 1);
    let plain = service.ask("anna", &[Role::Viewer], "/api/v1/figures/totalTips/explain", &[]).await.body;
    assert_eq!(plain, named("totalTips"));
    let unknown = service.ask("anna", &[Role::Viewer], "/api/v1/figures/luck/explain", &[]).await;
    assert_eq!((unknown.status, &unknown.body["code"]), (404, &json!("figure_not_found")));

    let path = format!("/api/v1/figures/totalViews/explain?streamId={}", show.id);
    assert_eq!(service.get("anna", &path).await.status, 403);
    let mut events = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = service.get("host", &format!("{path}&limit=4{cursor}")).await.body;
        let evidence = &page["evidence"];
        assert_eq!(evidence["value"], json!(6));
        assert_eq!(
            (&evidence["counts"][0]["event"], &evidence["counts"][0]["count"]),
            (&json!("ViewerJoined"), &json!(6))
        );
        events.extend(evidence["items"].as_array().unwrap().clone());
        match evidence["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    // each is found in the log by its id, at its place
    let log = service.log.events();
    assert_eq!(events.len(), 6);
    for event in events {
        let position = event["position"].as_u64().unwrap();
        let stored = log.iter().find(|stored| stored.position.0 == position).unwrap();
        assert_eq!(json!(stored.id.0), event["eventId"]);
        assert_eq!(
            (&stored.kind, json!(stored.revision)),
            (&"ViewerJoined".to_owned(), event["sequence"].clone())
        );
    }
    let money = format!("/api/v1/figures/totalTips/explain?streamId={}", show.id);
    let body = service.get("host", &money).await.body;
    assert_eq!(
        (&body["evidence"]["value"], &body["evidence"]["counts"][0]["count"]),
        (&json!(12.25), &json!(2))
    );
}
