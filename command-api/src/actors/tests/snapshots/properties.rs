//! Two nodes that write snapshots of the same show at once, with lost requests and answers, and pieces that are lost.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
struct Step {
    on_second: bool,
    who: u128,
    what: u8,
    pause: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (any::<bool>(), 10u128..20, 0u8..3, any::<bool>()).prop_map(|(on_second, who, what, pause)| Step {
        on_second,
        who,
        what,
        pause,
    })
}

async fn play(seed: u64, chaos: u32, steps: Vec<Step>, lost: Vec<prop::sample::Index>) {
    let log = MemoryLog::new(seed);
    let settings = ActorSettings { snapshot_every: 3, ..ActorSettings::default() };
    let nodes = [node_with(&log, settings), node_with(&log, settings)];
    run(&nodes[0], by(HOST, 1, create(None))).await.unwrap();
    run(&nodes[0], by(HOST, 2, Action::Start)).await.unwrap();
    log.faults().chaos(chaos);
    let mut running = Vec::new();
    for (id, step) in (1_000u128..).zip(steps) {
        let action = match step.what {
            0 => join(),
            1 => leave(None),
            _ => post(id),
        };
        let node = nodes[usize::from(step.on_second)].clone();
        running.push(tokio::spawn(async move { run(&node, by(step.who, id, action)).await }));
        if step.pause {
            soon().await;
        }
    }
    for answer in running {
        // what became of each is another test's matter
        drop(answer.await.unwrap());
    }
    for node in &nodes {
        node.shutdown().await;
    }
    log.faults().chaos(0);
    let expected = folded(&log);
    assert!(load(&log, show_id()).await.unwrap().base == expected);
    let there = pieces(&log);
    if there.is_empty() {
        return;
    }
    let hidden =
        lost.iter().map(|index| index.get(&there)).map(|piece| (piece.stream.clone(), piece.revision));
    let log = Watched::new(&log, hidden);
    assert!(load(&log, show_id()).await.unwrap().base == expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_written_and_lost_a_load_gives_what_the_fold_gives(
        seed: u64,
        chaos in 0u32..30,
        steps in prop::collection::vec(step(), 1..60),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(play(seed, chaos, steps, lost));
    }
}
