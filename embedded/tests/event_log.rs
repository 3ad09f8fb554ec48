//! The event-log node, seen through the official Rust client and through its own store.

mod event_log {
    pub(crate) mod support;

    mod appends;
    mod crashes;
    mod damage;
    mod disk_faults;
    mod model;
    mod reads;
    mod subscriptions;
}
