//! Generates the event log's protocol, and the clients that measurements use, from `proto/`. The parser is protox: no `protoc` is needed.

use std::error::Error;

/// The files of the protocol; what they import is found beside them.
const PROTO_FILES: [&str; 7] = [
    "streams.proto",
    "serverfeatures.proto",
    "gossip.proto",
    "persistent.proto",
    "status.proto",
    "echo.proto",
    "umadb.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTO_FILES, ["proto"])?;
    tonic_build::configure()
        // the maps have two entries: a sorted leaf is cheaper than hashing
        .btree_map(["."])
        // event bodies are slices of the receive buffer, not copies
        .bytes(["."])
        // reads send bytes that are encoded already, see `wire.rs`
        .extern_path(".event_store.client.streams.ReadResp", "crate::event_log::wire::ReadResp")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    Ok(())
}
