//! Doors, waits, bad requests, long shows.

use super::*;
use crate::read_model::store_failed;

pub(super) async fn protected_shows_are_for_those_who_entered(service: &Service) {
    let show = Show::created(&service.log, &service.vault).await;
    show.let_happen(Happening::Revised { is_protected: true }).await;
    show.let_happen(Happening::Started).await;
    show.let_happen(Happening::Joined("anna")).await;
    show.message("anna", "among us").await;
    for resource in ["chat", "tips", "leaderboard"] {
        let path = format!("/api/v1/streams/{}/{resource}", show.id);
        assert_eq!(service.get("ben", &path).await.body["reason"], "not_entered", "{resource}");
        assert_eq!(service.get("anna", &path).await.status, 200, "{resource}");
        assert_eq!(service.get("host", &path).await.status, 200, "{resource}");
    }
    let access = format!("/api/v1/streams/{}/access", show.id);
    for (sub, granted, reason) in
        [("anna", true, "entered"), ("ben", false, "subscription_required"), ("host", true, "creator")]
    {
        let body = service.get(sub, &access).await.body;
        assert_eq!((&body["accessGranted"], &body["reason"]), (&json!(granted), &json!(reason)), "{sub}");
    }
    assert_eq!(service.ask("mo", &[Role::Moderator], &access, &[]).await.body["reason"], "staff");
    let open = service.live().await;
    let access = format!("/api/v1/streams/{}/access", open.id);
    assert_eq!(service.get("ben", &access).await.body["reason"], "public");
}

pub(super) async fn positions_are_waited_for(service: &Service) {
    let show = service.live().await;
    let path = format!("/api/v1/streams/{}", show.id);
    // many at once, each for what was just written
    let asked = (0..10).map(|_| async {
        show.message("anna", "hi").await;
        let answer = service.get("ben", &path).await;
        assert!(answer.position >= Some(0), "{}", answer.body);
        answer.body["streamStats"]["messagesCount"].as_i64().unwrap()
    });
    let counts = futures::future::join_all(asked).await;
    assert_eq!(counts.into_iter().max(), Some(10));
    let beyond = (service.head() + 1_000_000).to_string();
    let answer = service.ask("ben", &[Role::Viewer], &path, &[("tally-min-position", &beyond)]).await;
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("position_unknown")));
    let bad = service.ask("ben", &[Role::Viewer], &path, &[("tally-min-position", "x")]).await;
    assert_eq!(bad.status, 422);
}

pub(super) async fn bad_queries_are_refused(service: &Service) {
    let long = format!("q={}", "x".repeat(201));
    for bad in ["status=live", "status=X", "limit=0", "cursor=abc", &long] {
        let answer = service.get("ben", &format!("/api/v1/streams?{bad}")).await;
        assert_eq!(answer.status, 422, "{bad}: {}", answer.body);
    }
    assert_eq!(service.get("ben", "/api/v1/streams?q=a&q=b").await.status, 400);
}

/// A show beyond what is folded from its first event: the snapshot is the same as the fold's.
pub(super) async fn long_shows_begin_with_their_row(service: &Service) {
    let show = service.live().await;
    for index in 0..4_200 {
        let what = match index % 4 {
            0 => Happening::Joined("anna"),
            1 => Happening::Reactions(1),
            2 => Happening::TipRequested("ben", 1),
            _ => Happening::Posted("anna", format!("message {index}")),
        };
        let is_tip = matches!(what, Happening::TipRequested(..));
        show.let_happen(what).await;
        if is_tip {
            show.let_happen(Happening::TipCaptured("ben", 1)).await;
        }
    }
    service.get("ben", &format!("/api/v1/streams/{}", show.id)).await;
    show.message("anna", "beyond the row").await;
    let seeded = service.api.realtime().state_of(show.id, true).await.unwrap();
    let folded = service.api.realtime().state_of(show.id, false).await.unwrap();
    assert_eq!(format!("{seeded:?}"), format!("{folded:?}"));
    assert_eq!(seeded.messages_count, 1_051);
    assert_eq!(seeded.recent.len(), 50);
}

/// At the very first start, when a query may come before the views.
#[tokio::test]
async fn a_view_that_was_not_made_yet_is_to_be_asked_again_and_a_wrong_query_is_a_fault() {
    let database = Database::start().await;
    let ask = async |sql: &'static str| {
        let error = sqlx::query(sql).execute(&database.pool).await.unwrap_err();
        store_failed(&error)
    };
    let unmade = ask("SELECT 1 FROM read.streams").await;
    assert_eq!((unmade.status().as_u16(), unmade.code()), (503, "read_model_unavailable"));
    assert!(unmade.retry_after_seconds().is_some());
    assert_eq!(ask("SELECT nothing FROM read.positions").await.status().as_u16(), 500);
    database.stop().await;
}
