//! The figures over the real engine: what each route answers, to whom, and in which format.

mod creators;
mod explanations;
mod files;
mod rights;
mod streams;
mod troubles;

pub(super) use troubles::nothing_else_needs_the_warehouse;

use super::*;
use crate::testkit::Warehouse;

/// Some time after everything that happens here.
const LATER: &str = "2025-06-30T00:00:00.000Z";

/// The query of a period that everything here is in.
const JUNE: &str = "from=2025-06-01&to=2025-07-01";

/// Six come, one leaves; messages, reactions and tips between; one tip is paid after the end.
pub(super) async fn first_show(service: &Service) -> Show {
    let show = Show::created(&service.log, &service.vault).await;
    show.let_happen(Happening::Started).await;
    for sub in ["anna", "ben", "carl", "dora", "erik", "finn"] {
        show.let_happen(Happening::Joined(sub)).await;
    }
    show.wait(60);
    show.message("anna", "hi").await;
    // somebody reacted who is no viewer
    show.let_happen(Happening::Reactions(3)).await;
    show.wait(60);
    show.let_happen(Happening::Left("ben")).await;
    tip(&show, "anna", 500).await;
    show.let_happen(Happening::TipRequested("carl", 725)).await;
    show.wait(120);
    show.let_happen(Happening::Ended).await;
    show.wait(60);
    show.let_happen(Happening::TipCaptured("carl", 725)).await;
    show
}

/// A day later, still running: two of the six and four others.
async fn second_show(service: &Service) -> Show {
    let show = Show::created(&service.log, &service.vault).await;
    show.wait(86_400);
    show.let_happen(Happening::Started).await;
    for sub in ["anna", "ben", "gina", "hans", "ida", "jan"] {
        show.let_happen(Happening::Joined(sub)).await;
    }
    show
}

/// Without what changes from run to run.
fn without(mut body: Value, members: &[&str]) -> Value {
    for member in members {
        body.as_object_mut().unwrap().remove(*member).unwrap_or_else(|| panic!("{member} is missing"));
    }
    body
}

/// All of it in one cluster and one engine: starting them takes longer than everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_answer_what_the_log_says() {
    let warehouse = Warehouse::start().await;
    let service = Service::with(warehouse.figures()).await;
    troubles::a_warehouse_that_is_not_filled_says_so(&service, &warehouse).await;
    let first = first_show(&service).await;
    warehouse.load(&service.log, LATER).await;
    streams::a_show_has_its_figures(&service, &first).await;
    streams::a_show_has_its_minutes(&service, &first).await;
    streams::a_show_has_its_audience_and_revenue(&service, &first).await;
    streams::a_show_is_told_as_of_then(&service, &first).await;
    let second = second_show(&service).await;
    warehouse.load(&service.log, LATER).await;
    streams::a_running_show_counts_up_to_now(&service, &second).await;
    streams::nothing_is_zero(&service, &warehouse).await;
    creators::creators_have_sums(&service).await;
    creators::creators_have_details(&service).await;
    creators::the_platform_has_its_own(&service, &first, &second).await;
    explanations::figures_are_explained(&service, &first).await;
    files::lists_are_files_too(&service, &warehouse, &first).await;
    files::facts_are_files(&service, &warehouse, &first).await;
    rights::figures_are_for_those_whom_they_concern(&service, &first).await;
    troubles::bad_questions_are_refused(&service, &first).await;
    troubles::positions_are_waited_for(&service, &warehouse, &first).await;
    service.stop().await;
    warehouse.stop().await;
}
