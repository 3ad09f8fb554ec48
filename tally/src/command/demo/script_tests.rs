use super::*;
use std::collections::HashSet;

#[test]
fn a_seed_is_a_show() {
    let (first, second) = (Script::write(3, 120, 40), Script::write(3, 120, 40));
    assert_eq!(first.viewers, second.viewers);
    assert_ne!(first.viewers, Script::write(4, 120, 40).viewers);
}

#[test]
fn nobody_passes_a_limit() {
    let script = Script::write(1, 300, 60);
    for viewer in &script.viewers {
        let times = |wanted: fn(&Act) -> bool| -> Vec<u64> {
            viewer.acts.iter().filter(|(_, act)| wanted(act)).map(|(at, _)| *at).collect()
        };
        let messages = times(|act| matches!(act, Act::Say(_)));
        assert!(messages.windows(20).all(|window| window[19] - window[0] > 30_000));
        let tips = times(|act| matches!(act, Act::Tip { .. }));
        assert!(tips.windows(10).all(|window| window[9] - window[0] > 60_000));
        let all: Vec<u64> = viewer.acts.iter().map(|(at, _)| *at).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        let left = viewer.acts.iter().position(|(_, act)| *act == Act::Leave);
        assert!(left.is_none_or(|at| at == viewer.acts.len() - 1));
        assert!(all.iter().all(|at| *at > viewer.arrives_ms.unwrap_or(0) && *at < script.length_ms));
    }
}

#[test]
fn a_show_has_everything() {
    let script = Script::write(1, 300, 60);
    let acts: Vec<&Act> = script.viewers.iter().flat_map(|viewer| &viewer.acts).map(|(_, act)| act).collect();
    let count = |wanted: fn(&Act) -> bool| acts.iter().filter(|act| wanted(act)).count();
    assert!(count(|act| matches!(act, Act::Say(_))) > 500);
    assert!(count(|act| matches!(act, Act::React { .. })) > 300);
    assert!(count(|act| matches!(act, Act::Tip { .. })) > 20);
    assert!(count(|act| matches!(act, Act::Drop { .. })) > 10);
    assert!(count(|act| *act == Act::Leave) > 15);
    assert!(script.viewers.iter().any(|viewer| viewer.arrives_ms.is_none()));
    let subjects: HashSet<&String> = script.viewers.iter().map(|viewer| &viewer.subject).collect();
    assert_eq!(subjects.len(), 300);
    assert!(acts.iter().all(|act| !matches!(act, Act::Tip { cents, .. } if MAGIC_CENTS.contains(cents))));
    assert_eq!(Script::write(1, 1, 5).viewers.len(), 1);
}
