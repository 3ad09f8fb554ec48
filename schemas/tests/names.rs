//! What stands in events by name has one name, whoever writes it.

use schemas::events::{AccessBasis, AuthorRole, DeclineReason, DeviceType, LeaveReason, Quality};
use serde::Serialize;

fn stored(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn names_are_those_of_stored_events() {
    for device in [DeviceType::Mobile, DeviceType::Desktop, DeviceType::Tablet] {
        assert_eq!(device.name(), stored(device));
    }
    for basis in [AccessBasis::Public, AccessBasis::Entitled, AccessBasis::Staff] {
        assert_eq!(basis.name(), stored(basis));
    }
    for reason in [LeaveReason::Left, LeaveReason::Unseen] {
        assert_eq!(reason.name(), stored(reason));
    }
    for role in [AuthorRole::Host, AuthorRole::Moderator, AuthorRole::Admin, AuthorRole::Viewer] {
        assert_eq!(role.name(), stored(role));
    }
    for reason in [DeclineReason::Declined, DeclineReason::Expired, DeclineReason::Cancelled] {
        assert_eq!(reason.name(), stored(reason));
    }
    for quality in [Quality::Sd, Quality::Hd, Quality::Fhd, Quality::Uhd] {
        assert_eq!(quality.name(), stored(quality));
    }
}
