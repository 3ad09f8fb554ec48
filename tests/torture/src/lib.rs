//! Faults on purpose: tools that break disks and connections, and the tests that the system must survive.

pub mod broken_disks;
pub mod crash_disk;
pub mod fault_proxy;
pub mod faults;
pub mod harness;
pub mod node_process;
pub mod projector_process;
