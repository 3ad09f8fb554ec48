//! Whom figures are for.

use super::*;

const OF_STREAM: [&str; 6] = ["", "/timeline", "/retention", "/audience", "/revenue", "/facts/tips"];
const OF_CREATOR: [&str; 7] =
    ["", "/revenue", "/audience", "/growth", "/peak-times", "/content", "/facts/shows"];
const OF_PLATFORM: [&str; 5] = ["", "/popular", "/peak-times", "/revenue", "/behaviour"];

/// Who asks: the creator, another one, a viewer, a moderator, an administrator.
const CALLERS: [(&str, Role); 5] = [
    ("host", Role::Creator),
    ("rival", Role::Creator),
    ("anna", Role::Viewer),
    ("mo", Role::Moderator),
    ("root", Role::Admin),
];

pub(super) async fn figures_are_for_those_whom_they_concern(service: &Service, show: &Show) {
    let stream = |part: &str| format!("/api/v1/streams/{}/analytics{part}", show.id);
    let creator = |part: &str| format!("/api/v1/creators/host/analytics{part}");
    let platform = |part: &str| format!("/api/v1/platform/analytics{part}");
    let mut table: Vec<(String, [u16; 5], &str)> = Vec::new();
    table.extend(OF_STREAM.map(|part| (stream(part), [200, 403, 403, 403, 200], "not_the_creator")));
    table.extend(OF_CREATOR.map(|part| (creator(part), [200, 403, 403, 403, 200], "not_the_creator")));
    table.extend(OF_PLATFORM.map(|part| (platform(part), [403, 403, 403, 403, 200], "role_required")));
    for (path, statuses, reason) in table {
        let nobody = Request::get(&path).body(Body::empty()).unwrap();
        assert_eq!(answer_status(service, nobody).await, 401, "{path}");
        for ((sub, role), expected) in CALLERS.into_iter().zip(statuses) {
            let authorization = format!("Bearer {}", token(sub, &[role], 60));
            let request = Request::get(&path).header("authorization", authorization).body(Body::empty());
            let response = service.app.clone().oneshot(request.unwrap()).await.unwrap();
            assert_eq!(response.status(), expected, "{path} as {sub}");
            if expected == 403 {
                assert_eq!(answer(response).await.body["reason"], reason, "{path} as {sub}");
            }
        }
    }
    // an administrator who mistypes a name is told so; others do not learn who is a creator
    let unknown = "/api/v1/creators/hots/analytics";
    let told = service.ask("root", &[Role::Admin], unknown, &[]).await;
    assert_eq!((told.status, &told.body["code"]), (404, &json!("creator_not_found")));
    assert_eq!(service.ask("anna", &[Role::Viewer], unknown, &[]).await.status, 403);
    let nowhere = format!("/api/v1/streams/{}/analytics", uuid::Uuid::new_v4());
    assert_eq!(service.ask("host", &[Role::Creator], &nowhere, &[]).await.body["code"], "stream_not_found");
}
