use super::*;

#[tokio::test(start_paused = true)]
async fn a_paid_tip_is_answered_as_everybody_gets_it() {
    let service = Service::new();
    let show = service.live().await;
    let path = format!("{show}/tip");
    let body = json!({ "amount": 10.00, "message": "Keep up the great work!", "currency": "USD" });
    let first = service.post_keyed("anna", &path, "k", body.clone()).await.expect(201);
    first.spells("\"amount\":10.00");
    assert_eq!((first.text("status"), first.text("currency")), ("CAPTURED", "USD"));
    assert_eq!((first.text("message"), &first.body["sequence"]), ("Keep up the great work!", &json!(3)));
    let again = service.post_keyed("anna", &path, "k", body).await.expect(201);
    assert_eq!(again.body, first.body);
    let other = json!({ "amount": 11, "currency": "USD" });
    service.post_keyed("anna", &path, "k", other).await.problem(422, "idempotency_key_reused");
    // the stream's currency is the default, and a text is as exact as a number
    let second = service.post_keyed("ben", &path, "k", json!({ "amount": "0.50" })).await.expect(201);
    assert_eq!(second.body["message"], Value::Null);
    let ended = service.post("host", &format!("{show}/end"), json!({})).await.expect(200);
    ended.spells("\"totalTips\":10.50");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_tipped_is_refused() {
    let service = Service::new();
    let path = format!("{}/tip", service.live().await);
    let keyless = service.post("anna", &path, json!({ "amount": 1 })).await;
    keyless.problem(400, "idempotency_key_required");
    let table = [
        ("amount", json!({ "amount": 0 })),
        ("amount", json!({ "amount": -5 })),
        ("amount", json!({ "amount": 1.005 })),
        ("amount", json!({ "amount": "ten" })),
        ("amount", json!({ "amount": 10_001 })),
        ("currency", json!({ "amount": 1, "currency": "EUR" })),
        ("currency", json!({ "amount": 1, "currency": "XXX" })),
        ("message", json!({ "amount": 1, "message": "x".repeat(501) })),
    ];
    for (index, (field, body)) in table.into_iter().enumerate() {
        let answer = service.post_keyed("anna", &path, &format!("k{index}"), body).await.expect(422);
        assert_eq!(answer.text("field"), field, "{}", answer.body);
    }
    service.post_keyed("host", &path, "own", json!({ "amount": 1 })).await.problem(403, "own_stream");
}

#[tokio::test(start_paused = true)]
async fn declined_and_waiting_payments_say_so() {
    let service = Service::paid_by(Provider::that(None));
    let path = format!("{}/tip", service.live().await);
    for _ in 0..2 {
        let declined = service.post_keyed("anna", &path, "k", json!({ "amount": 1 })).await;
        assert_eq!(declined.problem(402, "payment_declined").text("reason"), "DECLINED");
    }
    let service = Service::paid_by(Provider::that(Some(IntentStatus::RequiresAction)));
    let show = service.live().await;
    let path = format!("{show}/tip");
    let waiting = service.post_keyed("anna", &path, "k", json!({ "amount": 1 })).await.expect(202);
    assert_eq!((waiting.text("status"), waiting.text("clientSecret")), ("PENDING", "secret"));
    assert_eq!((&waiting.body["timestamp"], &waiting.body["sequence"]), (&Value::Null, &Value::Null));
    let ended = service.post("host", &format!("{show}/end"), json!({})).await.expect(200);
    assert_eq!(ended.body["pendingTips"], 1);
}
